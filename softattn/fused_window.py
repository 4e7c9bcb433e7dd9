# Generated from book/fused_window.md by tools/export.py. Edit the chapter, not this file.
"""The soft window, fused.

The LSTM and its window as one function, whose gradient is three sums.

The chapter book/fused_window.md builds this module and explains each line.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from softattn.fused_lstm import Times, all_rows, close_gates, no_autocast, open_gates, over_rows, product_dtype, tanh_of

__all__ = ["window_sequence"]


# -- One step, out and back --
def texts_by_step(chars, rows: Tensor | None, T: int) -> list:
    """The texts (B, ...) that the rows read at each of T steps; equal
    neighbours share their memory. `chars` may be None, and so are all."""
    if chars is None or rows is None:
        return [chars] * T
    changes = [True] * T  # meta tensors cannot be compared
    if not rows.is_meta:
        changes[1:] = (rows[1:] != rows[:-1]).any(1).tolist()
    texts = []
    for t in range(T):
        texts.append(chars[rows[t]] if changes[t] else texts[-1])
    return texts


# -- One step, out and back --
LIMIT = 10.0  # raw outputs are held below this; exp(10) = 22,026 characters
FAR = 60.0  # exp(-60) = 9e-27 is nothing to a window; below 1e-38 exp is slow


def look(kappa, asked, u, text, phi) -> Tensor:
    """Write the window's weights (B, U) to `phi`; return what it sees, (B, A).
    `asked` (B, 3, K) holds alpha, beta and the step."""
    distance = kappa[..., None] - u  # (B, K, U)
    bells = distance.square_().mul_(asked[:, 1, :, None])
    bells.clamp_(max=FAR).neg_().exp_()
    torch.bmm(asked[:, :1], bells, out=phi[:, None])
    return torch.bmm(phi[:, None], text)[:, 0]


# -- One step, out and back --
def look_back(kappa, asked, u, text, dw, dphi, dkappa, dhats) -> None:
    """Write the gradient of what was asked, before exp, to `dhats` (B, 3, K);
    add to `dkappa` (B, K). `dphi`, None or (B, U), is said of phi itself."""
    alpha, beta, step = asked.unbind(1)
    heard = torch.bmm(dw[:, None], text.transpose(1, 2))  # window-dphi
    if dphi is not None:
        heard.add_(dphi[:, None])  # (B, 1, U)
    distance = kappa[..., None] - u  # (B, K, U)
    bells = distance.square().mul_(beta[..., None])
    bells.clamp_(max=FAR).neg_().exp_().mul_(heard)
    torch.mul(bells.sum(-1), alpha, out=dhats[:, 0])  # window-dalpha
    width = alpha * beta
    shift = bells.mul_(distance).sum(-1)  # window-dkappa
    dkappa.addcmul_(shift, width, value=-2)
    spread = bells.mul_(distance).sum(-1)  # window-dbeta
    torch.mul(spread, width.neg_(), out=dhats[:, 1])
    torch.mul(dkappa, step, out=dhats[:, 2])  # window-dback


# -- All steps, out --
@dataclass
class Weights:
    """The weights in the formats of the steps."""

    x: Tensor  # (I, 4H)
    hw: Tensor  # (H + A, 4H): those of h and of w, one matrix
    bias: Tensor  # (4H,)
    peephole: Tensor | None  # (3, H)
    window: Tensor  # (H, 3K)
    window_bias: Tensor  # (3K,)


@dataclass
class Steps:
    """What the way out leaves for the way back."""

    z: Tensor  # (T, B, 4, H): the gates; if bfloat16, what they open from
    hw: Tensor  # (T + 1, B, H + A): the first is the state given, as in
    c: Tensor  # (T + 1, B, H)
    kappa: Tensor  # (T + 1, B, K)
    asked: Tensor  # (T, B, 3, K): alpha, beta, step
    phi: Tensor  # (T, B, U)


# -- All steps, out --
def make_weights(dtype, weight_x, weight_h, weight_w, bias, peephole, window, window_bias) -> Weights:
    """Bring the weights into the format of the products, `dtype`; what is
    added to cells and places stays exact."""
    exact = torch.promote_types(dtype, torch.float32)
    hw = torch.cat([weight_h, weight_w]).to(dtype)
    p = None if peephole is None else peephole.to(exact)
    x, b, window = (a.to(dtype) for a in (weight_x, bias, window))
    return Weights(x, hw, b, p, window, window_bias.to(exact))


# -- All steps, out --
def make_steps(x, chars, state, weights: Weights) -> Steps:
    """Make room for all steps. The inputs have been multiplied, and the state
    stands before the first step."""
    (T, B, _), (_, U, A), (h, c, kappa, w) = x.shape, chars.shape, state
    H, K, exact = h.shape[1], kappa.shape[1], chars.dtype
    z = all_rows(x.reshape(T * B, -1), weights.x, weights.bias)
    steps = Steps(
        z.view(T, B, 4, H),
        x.new_empty(T + 1, B, H + A),
        x.new_empty(T + 1, B, H, dtype=exact),
        x.new_empty(T + 1, B, K, dtype=exact),
        x.new_empty(T, B, 3, K, dtype=exact),
        x.new_empty(T, B, U, dtype=exact),
    )
    steps.hw[0, :, :H], steps.hw[0, :, H:] = h, w
    steps.c[0], steps.kappa[0] = c, kappa
    return steps


# -- All steps, out --
def walk(steps: Steps, weights: Weights, texts, u, reset) -> None:
    """Take all steps of the LSTM and its window; fills `steps`."""
    (T, B, _, K), H, last = steps.asked.shape, steps.c.shape[2], steps.c[0]
    low = steps.z.dtype != last.dtype
    exact, tanh_c = last.new_empty(B, 4, H), torch.empty_like(last)
    from_hw = Times(weights.hw, T)
    for t in range(T):
        hw, c, kappa, z = steps.hw[t], steps.c[t], steps.kappa[t], steps.z[t]
        if reset is not None:
            new = reset[t, :, None]
            hw, c, kappa = (a.masked_fill(new, 0) for a in (hw, c, kappa))
        from_hw.onto(z.view(B, 4 * H), hw)
        gates = exact.copy_(z) if low else z
        c = open_gates(gates, c, weights.peephole, out=steps.c[t + 1])
        tanh_of(c, out=tanh_c)
        h = tanh_c.mul_(gates[:, 3]).to(z.dtype)
        steps.hw[t + 1, :, :H] = h  # no slice of hw is multiplied
        asked, after = steps.asked[t], steps.kappa[t + 1]
        raw = torch.add(h @ weights.window, weights.window_bias, out=asked.view(B, 3 * K))
        raw.clamp_(max=LIMIT).exp_()
        torch.add(kappa, asked[:, 2], out=after)
        w = look(after, asked, u, texts[t], steps.phi[t])
        steps.hw[t + 1, :, H:] = w


# -- All steps, back --
@dataclass
class Grads:
    """Gradients of each step, of the step before, and summed up."""

    z: Tensor  # (T, B, 4, H)
    hats: Tensor  # (T, B, 3, K)
    seen: Tensor  # (T, B, A): of w
    hw: Tensor  # (B, H + A): running back from step to step, as
    c: Tensor  # (B, H)
    kappa: Tensor  # (B, K)
    bias: Tensor  # (B, 4, H): summed over the steps, as
    peephole: Tensor | None  # (B, 3, H)


def make_grads(steps: Steps, peephole: Tensor | None, last) -> Grads:
    """Make room; `last` are those of h, c and w after the last step."""
    (T, B, _, H), (*_, K) = steps.z.shape, steps.asked.shape
    zeros, empty = steps.c.new_zeros, steps.c.new_empty
    A = steps.hw.shape[2] - H
    dz, dws = torch.empty_like(steps.z), empty(T, B, A)
    dhats, dkappa = empty(T, B, 3, K), zeros(B, K)
    dhw, dc = zeros(B, H + A), zeros(B, H)
    p = None if peephole is None else zeros(B, 3, H)
    grads = Grads(dz, dhats, dws, dhw, dc, dkappa, zeros(B, 4, H), p)
    dh, dw = grads.hw.split([H, A], 1)
    for grad, given in zip((dh, grads.c, dw), last, strict=True):
        if given is not None:
            grad.add_(given)
    return grads


# -- All steps, back --
@dataclass
class Scratch:
    """Memory that each step back overwrites, a view, a matrix turned once."""

    dh: Tensor  # (B, H), of grads.hw
    tanh_c: Tensor  # (B, H)
    work: Tensor  # (B, H)
    gates: Tensor  # (B, 4, H)
    dz: Tensor  # (B, 4, H)
    product: Tensor  # (H + A, B)
    hw_t: Times  # (4H, H + A)


def make_scratch(grads: Grads, weights: Weights) -> Scratch:
    """Make room for one step back."""
    like, c, z, hw = torch.empty_like, grads.c, grads.bias, grads.hw
    product = weights.hw.new_empty(hw.shape[1], hw.shape[0])
    turned = Times(weights.hw.t().contiguous(), len(grads.z))
    dh = hw[:, : c.shape[1]]
    return Scratch(dh, like(c), like(c), like(z), like(z), product, turned)


# -- All steps, back --
def cell_back(t, steps: Steps, grads: Grads, weights: Weights, c, s: Scratch):
    """Take step t's gradients of h and c back through the gates, to those of
    the h, w and c before it; `c` is that of the step before."""
    (B, H), p, dz = c.shape, weights.peephole, grads.z[t]
    gates, low = steps.z[t], steps.z.dtype != c.dtype
    if low:
        gates, dz = s.gates.copy_(gates), s.dz
        open_gates(gates, c, p, out=s.work)
    close_gates(
        gates, c, steps.c[t + 1], p, s.dh, grads.c, dz,
        grads.peephole, s.tanh_c, s.work,
    )  # fmt: skip
    grads.bias.add_(dz)
    if low:
        grads.z[t] = dz
        turned = grads.z[t].view(B, 4 * H).t()
        grads.hw.copy_(torch.mm(weights.hw, turned, out=s.product).t())
    else:
        s.hw_t.into(grads.hw, dz.view(B, 4 * H))


# -- All steps, back --
def walk_back(grads: Grads, steps, weights, texts, u, reset, from_above):
    """Go back through all steps; fills `grads`."""
    (B, H), A = grads.c.shape, grads.seen.shape[2]
    dh, dw = grads.hw.split([H, A], 1)
    scratch = make_scratch(grads, weights)
    window_t = weights.window.t().contiguous()
    *three, dphis = from_above
    for t in reversed(range(len(steps.z))):
        for grad, given in zip((dh, dw, grads.kappa), three, strict=True):
            if given is not None:
                grad.add_(given[t])
        grads.seen[t], dhats = dw, grads.hats[t]
        dphi = None if dphis is None else dphis[t]
        look_back(
            steps.kappa[t + 1], steps.asked[t], u, texts[t],
            dw, dphi, grads.kappa, dhats,
        )  # fmt: skip
        dh.add_(dhats.view(B, -1).to(window_t.dtype) @ window_t)  # window-dh
        c, new = steps.c[t], None if reset is None else reset[t, :, None]
        if new is not None:
            c = c.masked_fill(new, 0)
        cell_back(t, steps, grads, weights, c, scratch)
        if new is not None:
            for grad in (grads.hw, grads.c, grads.kappa):
                grad.masked_fill_(new, 0)


# -- All steps, back --
def weight_grads(x, steps: Steps, grads: Grads, reset) -> tuple:
    """Gradients of weight_x, weight_h, weight_w, bias, peephole and the
    window's weight and bias, over all steps."""
    T, B, _, H = steps.z.shape
    dz, dhats = grads.z.view(T * B, -1), grads.hats.view(T * B, -1)
    before, hs = steps.hw[:-1], steps.hw[1:, :, :H].reshape(T * B, H)
    if reset is not None:
        before = before.masked_fill(reset[..., None], 0)
    dw_x = over_rows(x.reshape(T * B, -1), dz)
    dw_hw = over_rows(before.reshape(T * B, -1), dz)
    dwindow = hs.t().contiguous() @ dhats.to(hs.dtype)
    dp = None if grads.peephole is None else grads.peephole.sum(0)
    db = grads.bias.sum(0).flatten()
    return dw_x, dw_hw[:H], dw_hw[H:], db, dp, dwindow, dhats.sum(0)


def char_grads(chars: Tensor, phi: Tensor, seen: Tensor, rows) -> Tensor:
    """Gradient of the character vectors (N, U, A)."""
    dchars = torch.zeros_like(chars)
    for t in range(len(phi)):
        outer = phi[t, :, :, None] * seen[t, :, None]  # (B, U, A)
        if rows is None:
            dchars.add_(outer)
        else:
            dchars.index_add_(0, rows[t], outer)
    return dchars


# -- The function --
class WindowFunction(torch.autograd.Function):
    """The LSTM with a window over whole sequences, and its way back."""

    @staticmethod
    def forward(ctx, x, chars, h, c, kappa, w, *given):
        *parameters, rows, reset, dtype = given
        inputs = x, chars, h, c, kappa, w, *parameters
        ctx.dtypes = [None if a is None else a.dtype for a in inputs]
        weights = make_weights(dtype, *parameters)
        x, chars = x.to(dtype), chars.to(weights.window_bias.dtype)
        steps = make_steps(x, chars, (h, c, kappa, w), weights)
        u = torch.arange(1, chars.shape[1] + 1, dtype=chars.dtype, device=chars.device)
        walk(steps, weights, texts_by_step(chars, rows, len(x)), u, reset)
        kept = *vars(weights).values(), *vars(steps).values()
        ctx.save_for_backward(x, chars, rows, reset, u, *kept)
        ctx.set_materialize_grads(False)
        hs, ws = steps.hw[1:].split([h.shape[1], w.shape[1]], 2)
        last = (a[-1].clone() for a in (hs, steps.c, ws))
        kappas = steps.kappa[1:].clone()
        return hs.contiguous(), ws.contiguous(), kappas, steps.phi, *last

    @staticmethod
    @once_differentiable
    def backward(ctx, dhs, dws, dkappas, dphis, *last):
        x, chars, rows, reset, u, *kept = ctx.saved_tensors
        w_x, w_hw, b, p, v, v_b, *kept = kept
        weights, steps = Weights(w_x, w_hw, b, p, v, v_b), Steps(*kept)
        grads = make_grads(steps, weights.peephole, last)
        above, dx, dchars = (dhs, dws, dkappas, dphis), None, None
        with no_autocast(x.device.type):
            texts = texts_by_step(chars, rows, len(x))
            walk_back(grads, steps, weights, texts, u, reset, above)
            dweights = weight_grads(x, steps, grads, reset)
            if ctx.needs_input_grad[0]:
                dz = grads.z.flatten(2).flatten(0, 1)
                dx = all_rows(dz, weights.x.t()).view_as(x)
            if ctx.needs_input_grad[1]:
                dchars = char_grads(chars, steps.phi, grads.seen, rows)
        dh, dw = grads.hw.split([grads.c.shape[1], chars.shape[2]], 1)
        found = dx, dchars, dh, grads.c, grads.kappa, dw, *dweights
        pairs = zip(found, ctx.dtypes, strict=True)
        grads_in = (None if a is None else a.to(d) for a, d in pairs)
        return *grads_in, None, None, None


# -- The function --
def window_sequence(
    x: Tensor, chars: Tensor, state: tuple, weights: tuple,
    mask: Tensor | None = None, reset: Tensor | None = None,
    rows: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, tuple]:  # fmt: skip
    """Take a peephole LSTM and its soft window through whole sequences.

    Args:
        x, chars, mask, reset, rows: as in `WindowLSTM.forward`, which also
            checks their shapes.
        state: h (B, H), c (B, H), kappa (B, K), w (B, A).
        weights: weight_x, weight_h, weight_w, bias, peephole (or None), and
            those of the window, weight (H, 3K) and bias (3K,).

    Returns:
        h (T, B, H), w (T, B, A), phi (T, B, U), kappa (T, B, K), and the
        state after the last step. Under autocast h and w are of its format.
    """
    if mask is not None:
        chars = chars.masked_fill(~mask[..., None], 0)  # not seen
    dtype = product_dtype(weights[0])
    inputs = x, chars, *state, *weights, rows, reset, dtype
    with no_autocast(x.device.type):  # from here on formats are our own
        hs, ws, kappas, phis, h, c, w = WindowFunction.apply(*inputs)
    if mask is not None:
        there = mask if rows is None else mask[rows]
        phis = phis.masked_fill(~there, 0)
    return hs, ws, phis, kappas, (h, c, kappas[-1], w)

# Generated from book/window.md by tools/export.py. Edit the chapter, not this file.
"""The soft window.

A soft window slides over the text, and the network sees what it is about to write.

The chapter book/window.md builds this module and explains each line.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from softattn.lstm import _check_state, _close_gates, _make_parameters, _no_autocast, _open_gates

__all__ = [
    "BLIND",
    "FAR",
    "LIMIT",
    "Read",
    "SoftWindow",
    "WindowLSTM",
    "WindowState",
    "alignment_curve",
    "alignment_share",
    "delayed",
    "symbol_copies",
    "window_place",
]


# -- The layer --
LIMIT = 10.0  # the window's raw outputs are held below this: exp(10) = 22,026 characters in one step is no window


def _held(raw: Tensor) -> Tensor:
    """Hold numbers below LIMIT; the gradient passes, so that an output that ran away is still called back."""
    return raw.clamp(max=LIMIT).detach() + (raw - raw.detach())  # the bracket is 0 with slope 1


# -- The layer --
class SoftWindow(nn.Module):
    """A soft window over a text: K bells whose places only move forward.

    Args:
        hidden_size: H, size of the hidden vector that steers the window.
        components: K, bells that are added up.
        pace: characters per step that the window moves before it has learned anything.

    Raises:
        ValueError: if a size is below 1 or the pace is not above 0.

    Source: Graves (2013), eq. 46-51; slides 16-17.
    """

    def __init__(self, hidden_size: int, components: int, pace: float = 1 / 21.7):
        super().__init__()
        if hidden_size < 1 or components < 1:
            raise ValueError(f"SoftWindow: hidden_size {hidden_size}, components {components}: both must be at least 1")
        if not pace > 0:
            raise ValueError(f"SoftWindow: pace is {pace}, expected characters per step, above 0")
        self.hidden_size, self.components = hidden_size, components
        bound = 1 / math.sqrt(hidden_size)
        weight = torch.empty(hidden_size, 3, components).uniform_(-bound, bound)
        weight[:, 2] *= 0.1  # at first all texts are read at one pace
        spread = 0.3 * torch.linspace(-1, 1, components) if components > 1 else torch.zeros(1)
        start = torch.tensor([-math.log(components), math.log(0.3), math.log(pace)])
        bias = start[:, None].repeat(1, components)
        bias[2] += spread  # bells that part hear different letters
        self.weight = nn.Parameter(weight.flatten(1))  # (H, 3K)
        self.bias = nn.Parameter(bias.flatten())  # (3K,)

    def params(self, h: Tensor, kappa: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Read off what the hidden vector asks for.

        Args:
            h: hidden vector, shape (B, H).
            kappa: places before this step, in characters, shape (B, K); zeros at the start of a text.

        Returns:
            alpha (importance), beta (inverse squared width: the standard deviation is 1/sqrt(2 beta) characters) and
            the new kappa (place), each (B, K).

        Source: Graves (2013), eq. 48-51.
        """
        raw = (h @ self.weight + self.bias).to(kappa.dtype)
        alpha, beta, step = torch.exp(_held(raw)).chunk(3, dim=-1)
        return alpha, beta, kappa + step

    def phi(self, alpha: Tensor, beta: Tensor, kappa: Tensor, u: Tensor) -> Tensor:
        """Weigh places in the text; no distribution: the weights need not add up to 1.

        Args:
            alpha: importance, shape (B, K).
            beta: inverse squared width, shape (B, K).
            kappa: place in characters, shape (B, K).
            u: places to weigh, counted from 1, any real numbers, shape (U,) or (B, U).

        Returns:
            Shape (B, U).

        Source: Graves (2013), eq. 46.
        """
        distance = kappa[..., None] - u[..., None, :]  # (B, K, U)
        return (alpha[..., None] * torch.exp(-beta[..., None] * distance.square())).sum(-2)

    def forward(
        self, h: Tensor, kappa: Tensor, chars: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Move the window one step and look through it.

        Args:
            h: hidden vector, shape (B, H).
            kappa: places before this step, shape (B, K).
            chars: the text, one vector per character, shape (B, U, A).
            mask: where False, there is no character; bool, shape (B, U).

        Returns:
            w, the characters as the window sees them, (B, A); phi (B, U), 0 where there is no character; kappa (B, K).

        Raises:
            ValueError: if a shape does not fit.

        Source: Graves (2013), eq. 46-51.
        """
        if h.dim() != 2 or h.shape[1] != self.hidden_size:
            raise ValueError(f"SoftWindow: h has shape {tuple(h.shape)}, expected (B, H) = (B, {self.hidden_size})")
        if kappa.shape != (len(h), self.components):
            raise ValueError(
                f"SoftWindow: kappa has shape {tuple(kappa.shape)}, expected (B, K) = ({len(h)}, {self.components}); "
                "start a text from zeros"
            )
        _check_text("SoftWindow", chars, mask, len(h))
        u = torch.arange(1, chars.shape[1] + 1, dtype=kappa.dtype, device=chars.device)
        alpha, beta, kappa = self.params(h, kappa)
        phi = self.phi(alpha, beta, kappa, u)
        if mask is not None:
            phi = phi.masked_fill(~mask, 0)
        return (phi[:, None] @ chars.to(phi.dtype))[:, 0], phi, kappa


# -- The layer --
def _check_text(name: str, chars: Tensor, mask: Tensor | None, texts: int | None = None) -> None:
    """Raise ValueError unless `chars` is (N, U, A), of `texts` texts if given, and `mask` fits it."""
    if chars.dim() != 3 or 0 in chars.shape or (texts is not None and len(chars) != texts):
        expected = "(B, U, A)" if texts is None else f"({texts}, U, A)"
        raise ValueError(
            f"{name}: chars has shape {tuple(chars.shape)}, expected {expected}: per text at least one character, "
            "each a vector of A numbers"
        )
    if mask is not None and (mask.dtype != torch.bool or mask.shape != chars.shape[:2]):
        raise ValueError(
            f"{name}: mask is {mask.dtype} of shape {tuple(mask.shape)}, expected bool of shape "
            f"{tuple(chars.shape[:2])}"
        )


# -- A staircase known in advance --
def symbol_copies(
    batch: int, generator: torch.Generator, symbols: int = 6, length: int = 6, longest: int = 6
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Draw a task whose alignment is known: copy each symbol of a text n times, n drawn anew for each.

    Args:
        batch: B, texts to draw.
        generator: source of the symbols and of the numbers of copies.
        symbols: A, how many different symbols there are.
        length: U, symbols in a text.
        longest: n is drawn from 1 to this.

    Returns:
        text (B, U), the symbols' codes; beat (T, B, 1), 1 where the next symbol is due; target (T, B), the code to
        say; place (T, B), where in the text it stands, from 0. T is `length` times the mean n; what is longer is cut,
        and in what is shorter the last symbol goes on.

    Raises:
        ValueError: if a size is below 1.
    """
    if min(batch, symbols, length, longest) < 1:
        raise ValueError(
            f"symbol_copies: batch {batch}, symbols {symbols}, length {length}, longest {longest}; "
            "each must be at least 1"
        )
    where = generator.device
    text = torch.randint(symbols, (batch, length), generator=generator, device=where)
    copies = torch.randint(1, longest + 1, (batch, length), generator=generator, device=where)
    steps = torch.arange(length * (1 + longest) // 2, device=where)  # (T,)
    ends = copies.cumsum(1)  # (B, U)
    place = (steps[:, None, None] >= ends).sum(2).clamp(max=length - 1)  # (T, B)
    beat = torch.zeros_like(place)
    beat[1:] = place[1:] - place[:-1]
    return text, beat[..., None].float(), text.gather(1, place.t()).t(), place


# -- The same, fast --
def _texts_by_step(chars: Tensor, rows: Tensor | None, steps: int) -> list[Tensor]:
    """The texts (B, U, A) that the rows of the batch read at each step; equal neighbours share their memory."""
    if rows is None:
        return [chars] * steps
    changes = [True] * steps  # the meta device holds no values to compare
    if not rows.is_meta:
        changes[1:] = (rows[1:] != rows[:-1]).any(1).tolist()
    texts = []
    for t in range(steps):
        texts.append(chars[rows[t]] if changes[t] else texts[-1])
    return texts


# -- The same, fast --
FAR = (
    60.0  # exp(-60) = 9e-27 is nothing to a window, but exp(-90) is slow: processors take 60 times as long below 1e-38
)


def _look(kappa: Tensor, raw: Tensor, u: Tensor, text: Tensor, phi: Tensor) -> Tensor:
    """Write the window's weights (B, U) to `phi`; return what it sees, (B, A); raw (B, 3, K) is exp of the outputs."""
    bells = (kappa[..., None] - u).square_().mul_(raw[:, 1, :, None]).clamp_(max=FAR).neg_().exp_()  # (B, K, U)
    torch.bmm(raw[:, :1], bells, out=phi[:, None])
    return torch.bmm(phi[:, None], text)[:, 0]


def _look_back(kappa: Tensor, raw: Tensor, u: Tensor, text: Tensor, dw: Tensor, dkappa: Tensor, draw: Tensor) -> None:
    """Write the gradient of the window's outputs before exp, (B, 3, K), to `draw`; add to `dkappa` (B, K)."""
    alpha, beta, step = raw.unbind(1)
    dphi = torch.bmm(dw[:, None], text.transpose(1, 2))  # (B, 1, U)
    distance = kappa[..., None] - u  # (B, K, U)
    bells = distance.square().mul_(beta[..., None]).clamp_(max=FAR).neg_().exp_().mul_(dphi)
    torch.mul(bells.sum(-1), alpha, out=draw[:, 0])
    width = alpha * beta
    dkappa.addcmul_(bells.mul_(distance).sum(-1), width, value=-2)
    torch.mul(bells.mul_(distance).sum(-1), width.neg_(), out=draw[:, 1])
    torch.mul(dkappa, step, out=draw[:, 2])


# -- The same, fast --
class _WindowLSTMFunction(torch.autograd.Function):
    """The LSTM with a window over whole sequences, with its backward pass."""

    @staticmethod
    def forward(
        ctx, x, chars, h0, c0, kappa0, w0, weight_x, weight_h, weight_w, bias, peephole, v, v_bias, rows, reset, dtype
    ):
        (T, B, _), H, (_, U, A), K = x.shape, len(weight_h), chars.shape, len(v_bias) // 3
        given = x, chars, h0, c0, kappa0, w0, weight_x, weight_h, weight_w, bias, peephole, v, v_bias
        ctx.dtypes = [None if a is None else a.dtype for a in given]
        exact = torch.promote_types(dtype, torch.float32)  # float32 where the products are bfloat16
        x, w_x, b, v = (a.to(dtype) for a in (x, weight_x, bias, v))
        w_hw = torch.cat([weight_h, weight_w]).to(dtype)  # (H + A, 4H): one product for h and w
        p = None if peephole is None else peephole.to(exact)
        chars, v_bias = chars.to(exact), v_bias.to(exact)
        texts, u = _texts_by_step(chars, rows, T), torch.arange(1, U + 1, dtype=exact, device=x.device)

        z_all = torch.addmm(b, x.reshape(T * B, -1), w_x).view(T, B, 4, H)
        hws, cs = x.new_empty(T + 1, B, H + A), x.new_empty(T + 1, B, H, dtype=exact)
        kappas, raws, phis = cs.new_empty(T + 1, B, K), cs.new_empty(T, B, 3, K), cs.new_empty(T, B, U)
        hws[0, :, :H], hws[0, :, H:], cs[0], kappas[0] = h0, w0, c0, kappa0
        step = None if dtype == exact else cs.new_empty(B, 4, H)
        tanh_c = torch.empty_like(cs[0])
        for t in range(T):
            hw, c, kappa, z = hws[t], cs[t], kappas[t], z_all[t]
            if reset is not None:
                hw, c, kappa = (a.masked_fill(reset[t, :, None], 0) for a in (hw, c, kappa))
            z.view(B, 4 * H).addmm_(hw, w_hw)
            gates = z if step is None else step.copy_(z)
            c = _open_gates(gates, c, p, out=cs[t + 1])
            torch.tanh(c, out=tanh_c)
            h = tanh_c.mul_(gates[:, 3]).to(dtype)  # a tensor of its own: PyTorch 2.13 on AMX multiplies a slice
            hws[t + 1, :, :H] = h  # of bfloat16 rows by what lies behind them, times zero: NaN at worst
            raw = raws[t].view(B, 3 * K)
            torch.add(h @ v, v_bias, out=raw).clamp_(max=LIMIT).exp_()
            kappa = torch.add(kappa, raws[t, :, 2], out=kappas[t + 1])
            hws[t + 1, :, H:] = _look(kappa, raws[t], u, texts[t], phis[t])
        ctx.save_for_backward(x, chars, rows, reset, w_x, w_hw, p, v, hws, cs, kappas, raws, phis, z_all)
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(phis)
        hs, ws = hws[1:].split([H, A], 2)
        return (
            hs.contiguous(),
            ws.contiguous(),
            kappas[1:].clone(),
            phis,
            hs[-1].clone(),
            cs[-1].clone(),
            ws[-1].clone(),
        )

    @staticmethod
    @once_differentiable
    def backward(ctx, dhs, dws, dkappas, _, dh_last, dc_last, dw_last):
        x, chars, rows, reset, w_x, w_hw, p, v, hws, cs, kappas, raws, phis, z_all = ctx.saved_tensors
        (T, B, _, H), (_, U, A), K = z_all.shape, chars.shape, raws.shape[-1]
        low = z_all.dtype != cs.dtype
        texts, u = _texts_by_step(chars, rows, T), torch.arange(1, U + 1, dtype=cs.dtype, device=x.device)
        w_hw_t, v_t = w_hw.t().contiguous(), v.t().contiguous()
        dz_all, draws, dw_all = torch.empty_like(z_all), torch.empty_like(raws), cs.new_empty(T, B, A)
        dhw, dc, dkappa = cs.new_zeros(B, H + A), torch.zeros_like(cs[0]), torch.zeros_like(kappas[0])
        dh, dw = dhw.split([H, A], 1)
        for grad, last in ((dh, dh_last), (dc, dc_last), (dw, dw_last)):
            if last is not None:
                grad.add_(last)
        db, dp = cs.new_zeros(B, 4, H), None if p is None else cs.new_zeros(B, 3, H)
        tanh_c, work = torch.empty_like(dc), torch.empty_like(dc)
        gates, dz = torch.empty_like(db), torch.empty_like(db)
        product = hws.new_empty(H + A, B) if low else None
        with _no_autocast(x.device.type):
            for t in reversed(range(T)):
                for grad, from_above in ((dh, dhs), (dw, dws), (dkappa, dkappas)):
                    if from_above is not None:
                        grad.add_(from_above[t])
                dw_all[t] = dw
                _look_back(kappas[t + 1], raws[t], u, texts[t], dw, dkappa, draws[t])
                dh.add_(draws[t].view(B, 3 * K).to(v.dtype) @ v_t)
                c = cs[t] if reset is None else cs[t].masked_fill(reset[t, :, None], 0)
                if low:
                    _open_gates(gates.copy_(z_all[t]), c, p, out=work)
                else:
                    gates, dz = z_all[t], dz_all[t]
                _close_gates(gates, c, cs[t + 1], p, dh, dc, dz, dp, tanh_c, work)
                db.add_(dz)
                if low:
                    dz_all[t] = dz
                    dhw.copy_(torch.mm(w_hw, dz_all[t].view(B, 4 * H).t(), out=product).t())
                else:
                    torch.mm(dz.view(B, 4 * H), w_hw_t, out=dhw)
                if reset is not None:
                    for grad in (dhw, dc, dkappa):
                        grad.masked_fill_(reset[t, :, None], 0)
            dz, draw = dz_all.view(T * B, 4 * H), draws.view(T * B, 3 * K)
            before = hws[:-1] if reset is None else hws[:-1].masked_fill(reset[..., None], 0)
            dx = (dz @ w_x.t()).view_as(x) if ctx.needs_input_grad[0] else None
            dw_x = x.reshape(T * B, -1).t().contiguous() @ dz
            dw_h, dw_w = (before.reshape(T * B, H + A).t().contiguous() @ dz).split([H, A])
            dv = hws[1:, :, :H].reshape(T * B, H).t().contiguous() @ draw.to(hws.dtype)
            dchars = torch.zeros_like(chars) if ctx.needs_input_grad[1] else None
            if dchars is not None:
                for t in range(T):
                    outer = phis[t, :, :, None] * dw_all[t, :, None]  # (B, U, A)
                    dchars.index_add_(0, rows[t], outer) if rows is not None else dchars.add_(outer)
        grads = (
            dx,
            dchars,
            dh,
            dc,
            dkappa,
            dw,
            dw_x,
            dw_h,
            dw_w,
            db.sum(0).flatten(),
            None if dp is None else dp.sum(0),
            dv,
            draw.sum(0),
        )
        return *(None if a is None else a.to(d) for a, d in zip(grads, ctx.dtypes, strict=True)), None, None, None


# -- The same, fast --
class WindowState(NamedTuple):
    """What a WindowLSTM remembers between two steps.

    Args:
        h: hidden vector, (B, H).
        c: memory cells, (B, H).
        kappa: places of the window, (B, K).
        w: the characters as the window saw them last, (B, A).
    """

    h: Tensor
    c: Tensor
    kappa: Tensor
    w: Tensor


class Read(NamedTuple):
    """What a WindowLSTM did, step by step.

    Args:
        h: hidden vectors, (T, B, H).
        w: the characters as the window saw them, (T, B, A).
        phi: the window's weights, (T, B, U), 0 where there is no character; it carries no gradient.
        kappa: the window's places, (T, B, K).
        state: a WindowState, after the last step.
    """

    h: Tensor
    w: Tensor
    phi: Tensor
    kappa: Tensor
    state: WindowState


# -- The same, fast --
class WindowLSTM(nn.Module):
    """A peephole LSTM that looks at a text through a soft window, over whole sequences, with a backward pass by hand.

    The window of step t is steered by h_t; what it sees, w_t, is an input of step t + 1. Under autocast to bfloat16 the
    large products, h and w are bfloat16; gates, cells, kappa and phi stay float32.

    Args:
        input_size: I, numbers per input step.
        hidden_size: H, number of memory cells.
        alphabet: A, numbers per character.
        components: K, bells of the window.
        peephole: whether the gates see the cell.
        forget_bias: where the forget gate's bias starts.
        pace: characters per step that the window moves before it has learned anything.

    Raises:
        ValueError: if a size is below 1 or the pace is not above 0.

    Source: Graves (2013), section 5.1, eq. 46-52; slide 16.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        alphabet: int,
        components: int,
        peephole: bool = True,
        forget_bias: float = 1.0,
        pace: float = 1 / 21.7,
    ):
        super().__init__()
        if alphabet < 1:
            raise ValueError(f"WindowLSTM: alphabet is {alphabet}, expected at least 1 number per character")
        _make_parameters(self, input_size, hidden_size, peephole, forget_bias)
        self.alphabet = alphabet
        bound = 1 / math.sqrt(hidden_size)
        self.weight_w = nn.Parameter(torch.empty(alphabet, 4 * hidden_size).uniform_(-bound, bound))
        self.window = SoftWindow(hidden_size, components, pace)

    def start(self, batch: int) -> WindowState:
        """Make the state before the first step: zeros, on the module's device.

        Args:
            batch: B, rows.

        Returns:
            h and c (B, H), kappa (B, K), w (B, A).
        """
        zeros = self.bias.new_zeros
        return WindowState(
            zeros(batch, self.hidden_size),
            zeros(batch, self.hidden_size),
            zeros(batch, self.window.components),
            zeros(batch, self.alphabet),
        )

    def forward(
        self,
        x: Tensor,
        chars: Tensor,
        mask: Tensor | None = None,
        state: WindowState | None = None,
        reset: Tensor | None = None,
        rows: Tensor | None = None,
    ) -> Read:
        """Read a batch of sequences, each with its text beside it.

        Args:
            x: inputs, time first, shape (T, B, I).
            chars: N texts, one vector per character, shape (N, U, A); N = B unless `rows` is given.
            mask: where False, there is no character; bool, shape (N, U).
            state: what the last call returned; None starts every text from its beginning.
            reset: where True, a new sequence begins, and the state before that step is zero; bool, shape (T, B).
            rows: which text each row reads at each step, int64, shape (T, B). None: row b reads text b throughout.

        Returns:
            h, w, phi and kappa of every step, and the state after the last.

        Raises:
            ValueError: if a shape or a type does not fit, or the sequence is empty.

        Source: Graves (2013), eq. 46-52.
        """
        if x.dim() != 3 or x.shape[2] != self.input_size or 0 in x.shape:
            raise ValueError(
                f"WindowLSTM: x has shape {tuple(x.shape)}, expected (T, B, I) = (T, B, {self.input_size}): "
                "time first, at least one step"
            )
        T, B, _ = x.shape
        _check_text("WindowLSTM", chars, mask, B if rows is None else None)
        if chars.shape[2] != self.alphabet:
            raise ValueError(
                f"WindowLSTM: chars has {chars.shape[2]} numbers per character, expected A = {self.alphabet}"
            )
        for name, given, dtype in (("reset", reset, torch.bool), ("rows", rows, torch.int64)):
            if given is not None and (given.dtype != dtype or given.shape != (T, B)):
                raise ValueError(
                    f"WindowLSTM: {name} is {given.dtype} of shape {tuple(given.shape)}, expected {dtype} of ({T}, {B})"
                )
        if state is not None and len(state) != 4:
            raise ValueError(
                f"WindowLSTM: the state is a {type(state).__name__} of {len(state)}, expected a WindowState "
                "(h, c, kappa, w); None starts from zeros"
            )
        state = self.start(B) if state is None else WindowState(*state)
        _check_state("WindowLSTM", state[:2], B, self.hidden_size)
        for name, given, size in (("kappa", state.kappa, self.window.components), ("w", state.w, self.alphabet)):
            if given.shape != (B, size):
                raise ValueError(
                    f"WindowLSTM: state {name} has shape {tuple(given.shape)}, expected ({B}, {size}); pass the state "
                    "that the last call returned, or None to start from zeros"
                )
        kind, dtype = x.device.type, x.dtype
        if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind) and dtype != torch.float64:
            dtype = torch.get_autocast_dtype(kind)
        if mask is not None:
            chars = chars.masked_fill(~mask[..., None], 0)  # what is not there is not seen
        window = self.window
        weights = self.weight_x, self.weight_h, self.weight_w, self.bias, self.peephole, window.weight, window.bias
        with _no_autocast(kind):
            hs, ws, kappas, phis, h, c, w = _WindowLSTMFunction.apply(x, chars, *state, *weights, rows, reset, dtype)
        if mask is not None:
            phis = phis.masked_fill(~(mask if rows is None else mask[rows]), 0)
        return Read(hs, ws, phis, kappas, WindowState(h, c, kappas[-1], w))


# -- A pen whose letters are known --
BLIND = 1e-12  # where the weights add up to less, the window sees nothing (WindowLSTM stops at exp(-60), never at 0)


def delayed(truth: Tensor) -> Tensor:
    """Find the points that are written after a later character's: dots on i and j, bars of t and x.

    Args:
        truth: which character each point belongs to, from 0; negative where there is no point; shape (T, B).

    Returns:
        Bool, shape (T, B).
    """
    return (truth >= 0) & (truth < truth.cummax(0).values)


def window_place(phi: Tensor) -> Tensor:
    """Where the window looks on average, in characters counted from 1; NaN where it sees nothing.

    Args:
        phi: the window's weights, shape (..., U).

    Returns:
        sum(phi u) / sum(phi), shape (...).
    """
    total = phi.sum(-1)
    u = torch.arange(1, phi.shape[-1] + 1, dtype=phi.dtype, device=phi.device)
    return torch.where(total > BLIND, phi @ u / total, torch.nan)


def _pairs(phi: Tensor, truth: Tensor, which: Tensor | None, lag: int) -> tuple[Tensor, Tensor, Tensor]:
    """phi and truth of points `lag` later, and which of these count."""
    steps = len(truth)
    if phi.dim() != 3 or truth.shape != phi.shape[:2] or (which is not None and which.shape != truth.shape):
        given = "" if which is None else f", which {tuple(which.shape)}"
        raise ValueError(
            f"alignment: phi {tuple(phi.shape)}, truth {tuple(truth.shape)}{given}; expected (T, B, U) and (T, B)"
        )
    if abs(lag) >= steps:
        raise ValueError(f"alignment: lag {lag} is beyond a sequence of {steps} points")
    count = truth >= 0 if which is None else which & (truth >= 0)
    first, last = max(0, -lag), steps - max(0, lag)
    return phi[first:last], truth[first + lag : last + lag], count[first + lag : last + lag]


def alignment_curve(
    phi: Tensor, truth: Tensor, which: Tensor | None = None, lags: Sequence[int] = range(-10, 11)
) -> Tensor:
    """Share of the points at whose character phi is largest, for each lag.

    Args:
        phi: the window's weights, step by step, shape (T, B, U).
        truth: which character each point belongs to, from 0; negative where there is no point; shape (T, B).
        which: points that count, bool, shape (T, B); None counts all that there are.
        lags: at lag l, phi of step t is compared with the character of point t + l. Where the curve is highest at
            l > 0, the window leads the pen.

    Returns:
        One share per lag, shape (len(lags),); NaN where no point counts. A window that sees nothing is wrong.

    Raises:
        ValueError: if shapes do not fit or a lag is longer than the sequence.
    """
    shares = []
    for lag in lags:
        seen, letter, count = _pairs(phi, truth, which, lag)
        right = (seen.argmax(-1) == letter) & (seen.sum(-1) > BLIND)
        shares.append(right[count].float().mean())
    return torch.stack(shares)


def alignment_share(phi: Tensor, truth: Tensor, which: Tensor | None = None, lag: int = 0) -> float:
    """Share of the points from whose character the window's place is at most one character away.

    Args:
        phi, truth, which: as in alignment_curve.
        lag: phi of step t is compared with the character of point t + lag.

    Returns:
        A share from 0 to 1, NaN where no point counts. A window that sees nothing is wrong.

    Raises:
        ValueError: if shapes do not fit or the lag is longer than the sequence.
    """
    seen, letter, count = _pairs(phi, truth, which, lag)
    near = (window_place(seen) - (letter + 1)).abs() <= 1
    return near[count].float().mean().item()

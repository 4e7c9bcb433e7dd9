# Generated from book/fused_lstm.md by tools/export.py. Edit the chapter, not this file.
"""The fused LSTM.

The LSTM over whole sequences as one function, with a gradient that reuses its memory.

The chapter book/fused_lstm.md builds this module and explains each line.
"""

import functools
import math
import time
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from softattn.hub import shaped

__all__ = ["lstm_sequence"]


# -- Gates in place --
FEW = 4096  # numbers: one slow call is faster than four fast ones


def tanh_of(a: Tensor, out: Tensor) -> Tensor:
    """tanh a = 2 sigma(2 a) - 1; `out` may be a."""
    if a.numel() < FEW:
        return torch.tanh(a, out=out)
    return torch.mul(a, 2, out=out).sigmoid_().mul_(2).sub_(1)


# -- Gates in place --
def open_gates(z: Tensor, c: Tensor, peephole: Tensor | None, out: Tensor) -> Tensor:
    """Turn z (B, 4, H) into the gates i, f, g, o, in place.

    The new c (B, H) is written to `out` and returned.
    """
    i, f, g, o = z.unbind(1)
    if peephole is not None:
        z[:, :2].addcmul_(c[:, None], peephole[:2])
    z[:, :2].sigmoid_()
    tanh_of(g, out=g)
    torch.mul(f, c, out=out).addcmul_(i, g)
    if peephole is not None:
        o.addcmul_(out, peephole[2])
    o.sigmoid_()
    return out


# -- Gates in place --

# (d, s) -> d * s * (1 - s) and (d, t) -> d * (1 - t * t)
sigmoid_slope = torch.ops.aten.sigmoid_backward.grad_input
tanh_slope = torch.ops.aten.tanh_backward.grad_input


def close_gates(gates, c, c_next, peephole, dh, dc, dz, dp, tanh_c, work):
    """Take the gradients of one step's new h and c back through its gates.

    `dz` (B, 4, H) is filled with the gradient of z, `dc` with that of the old
    c; the peepholes' (B, 3, H) is added to `dp`. `dh`, `dc` and the scratch
    `tanh_c` and `work` are (B, H).
    """
    i, f, g, o = gates.unbind(1)
    di, df, dg, do = dz.unbind(1)
    tanh_of(c_next, out=tanh_c)
    sigmoid_slope(torch.mul(dh, tanh_c, out=work), o, grad_input=do)
    dc.add_(tanh_slope(torch.mul(dh, o, out=work), tanh_c, grad_input=work))
    if peephole is not None:
        dc.addcmul_(do, peephole[2])
    sigmoid_slope(torch.mul(dc, g, out=work), i, grad_input=di)
    sigmoid_slope(torch.mul(dc, c, out=work), f, grad_input=df)
    tanh_slope(torch.mul(dc, i, out=work), g, grad_input=dg)
    dc.mul_(f)
    if peephole is not None:
        dc.addcmul_(di, peephole[0]).addcmul_(df, peephole[1])
        dp[:, :2].addcmul_(dz[:, :2], c[:, None])
        dp[:, 2].addcmul_(do, c_next)


# -- Number formats --
def no_autocast(device_type: str):
    """Switch automatic casts off on this type of device, if it has any."""
    return torch.autocast(device_type, enabled=False) if torch.amp.is_autocast_available(device_type) else nullcontext()


def product_dtype(weight: Tensor) -> torch.dtype:
    """Name the format for products with `weight`.

    Its own, or what autocast asks for; float64 stays.
    """
    kind = weight.device.type
    if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind) and weight.dtype != torch.float64:
        return torch.get_autocast_dtype(kind)
    return weight.dtype


# -- Number formats --
CLEARLY = 0.8  # of float32's time: what bfloat16 may take to be chosen


def product_seconds(dtype: torch.dtype, device: str, calls: int = 4) -> float:
    """Time h W and W z^T as a step makes them; inf where there is none."""
    h = torch.ones(64, 400, dtype=dtype, device=device)
    weight = torch.ones(400, 1600, dtype=dtype, device=device)
    return least_seconds(lambda: weight @ (h @ weight).t(), calls)


def least_seconds(product, calls: int) -> float:
    """The least time of some calls; inf for a product that there is not."""
    seconds = []
    try:
        for _ in range(calls + 1):  # the first warms up
            start = time.perf_counter()
            product()[0, 0].item()  # a device has finished when it answers
            seconds.append(time.perf_counter() - start)
    except (RuntimeError, NotImplementedError):
        return math.inf
    return min(seconds[1:])


# -- Number formats --
ROWS, STEPS, SIZE = 16, 8, 65_536  # below one of them: no new layout
BLOCK = 256  # rows of a sequence that are multiplied at once


def relaid(like: Tensor, count: int, least: int) -> bool:
    """Whether `count` products, or rows, `least` or more, go to oneDNN.

    like: a matrix of them, for its size, format and device.
    """
    here = like.dtype == torch.float32 and like.device.type == "cpu"
    much = count >= least and like.numel() >= SIZE
    compiled = torch.compiler.is_compiling()
    return here and much and not compiled and faster_library()[0]


class Times:
    """x -> x @ weight (I, O), often, by the faster of two libraries."""

    def __init__(self, weight: Tensor, steps: int):
        self.weight = weight
        self.packed = packed(weight) if relaid(weight, steps, STEPS) else None

    def into(self, out: Tensor, x: Tensor) -> Tensor:
        """Fill `out` with x @ weight."""
        if self.packed is None or len(x) < ROWS:
            return torch.mm(x, self.weight, out=out)
        return out.copy_(by_packed(x, self.packed))

    def onto(self, out: Tensor, x: Tensor) -> Tensor:
        """Add x @ weight to `out`."""
        if self.packed is None or len(x) < ROWS:
            return out.addmm_(x, self.weight)
        return out.add_(by_packed(x, self.packed))


def packed(weight: Tensor) -> Tensor:
    """Turned, and of oneDNN's kind."""
    return weight.t().contiguous().to_mkldnn()


def by_packed(x: Tensor, weight: Tensor) -> Tensor:
    return F.linear(x.to_mkldnn(), weight).to_dense()


# -- Number formats --
def all_rows(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x @ weight + bias of many rows (N, I)."""
    times = Times(weight, len(x) // BLOCK)
    if times.packed is None:
        return x @ weight if bias is None else torch.addmm(bias, x, weight)
    out = x.new_empty(len(x), weight.shape[1])
    for part, rows in zip(out.split(BLOCK), x.split(BLOCK), strict=True):
        times.into(part, rows)
    return out if bias is None else out.add_(bias)


def over_rows(x: Tensor, dz: Tensor) -> Tensor:
    """x^T dz of many rows, (N, I) and (N, O): F.linear of both, turned."""
    if not relaid(dz, len(dz), BLOCK):
        return x.t().contiguous() @ dz
    total = dz.new_zeros(x.shape[1], dz.shape[1])
    for pair in zip(x.split(BLOCK), dz.split(BLOCK), strict=True):
        turned = (part.to_mkldnn().transpose(0, 1) for part in pair)
        total.add_(F.linear(*turned).to_dense())
    return total


# -- Number formats --
@functools.cache
def faster_library() -> tuple[bool, float, float]:
    """Measure, once, whether oneDNN beats MKL; and the seconds of both."""
    h, weight = torch.ones(64, 400), torch.ones(400, 1600)
    back = weight.t().contiguous()
    mkl = least_seconds(lambda: (h @ weight) @ back, 4)
    if not torch.backends.mkldnn.is_available():
        return False, mkl, math.inf
    w, b = packed(weight), packed(back)
    dnn = least_seconds(lambda: by_packed(by_packed(h, w), b), 4)
    return dnn < CLEARLY * mkl, mkl, dnn


@functools.cache
def faster_products(device: str = "cpu") -> tuple[torch.dtype, str]:
    """Measure, once, which format of products is faster; and say so."""
    wide, low = torch.float32, torch.bfloat16
    a, b = (product_seconds(dtype, device) for dtype in (wide, low))
    if torch.device(device).type == "cpu" and faster_library()[0]:
        a = min(a, faster_library()[2])
    told = f"{1000 * a:.2f} ms in float32, {1000 * b:.2f} ms in bfloat16"
    return low if b < CLEARLY * a else wide, told


# -- Out and back --
@dataclass
class Kept:
    """What the way out keeps; `exact` is float32 at least."""

    x: Tensor  # (T, B, I)
    weight_x: Tensor  # (I, 4H)
    weight_h: Tensor  # (H, 4H)
    peephole: Tensor | None  # (3, H), exact
    reset: Tensor | None  # (T, B), bool
    hs: Tensor  # (T + 1, B, H)
    cs: Tensor  # (T + 1, B, H), exact
    zs: Tensor  # (T, B, 4, H): open gates, or z itself in a low format

    @property
    def low(self) -> bool:
        """Whether products are in a lower format than gates and cells."""
        return self.zs.dtype != self.cs.dtype


# -- Out and back --
def steps_forward(k: Kept) -> None:
    """Fill `k.hs` and `k.cs` from their first entries on.

    `k.zs` holds what the inputs say, and is overwritten.
    """
    T, B, _, H = k.zs.shape
    step = k.cs.new_empty(B, 4, H) if k.low else None
    tanh_c, weight_h = torch.empty_like(k.cs[0]), Times(k.weight_h, T)
    for t in range(T):
        h, c, z = k.hs[t], k.cs[t], k.zs[t]
        if k.reset is not None:
            new = k.reset[t, :, None]
            h, c = h.masked_fill(new, 0), c.masked_fill(new, 0)
        weight_h.onto(z.view(B, 4 * H), h)
        gates = z if step is None else step.copy_(z)
        c = open_gates(gates, c, k.peephole, out=k.cs[t + 1])
        tanh_of(c, out=tanh_c)
        k.hs[t + 1] = tanh_c.mul_(gates[:, 3])


# -- Out and back --
@dataclass
class Back:
    """Gradients on the way back, and scratch; exact, but for dzs."""

    dh: Tensor  # (B, H)
    dc: Tensor  # (B, H)
    dzs: Tensor  # (T, B, 4, H), as zs
    db: Tensor  # (B, 4, H)
    dp: Tensor | None  # (B, 3, H)
    weight_h_t: Times  # (4H, H)
    gates: Tensor  # (B, 4, H)
    dz: Tensor  # (B, 4, H)
    tanh_c: Tensor  # (B, H)
    work: Tensor  # (B, H)
    product: Tensor  # (H, B), as zs


def room(k: Kept, dh: Tensor, dc: Tensor) -> Back:
    """Make what the way back needs; it starts from `dh` and `dc`."""
    T, B, _, H = k.zs.shape
    wide, flat = k.cs.new_empty(B, 4, H), torch.empty_like(dh)
    dp = None if k.peephole is None else k.cs.new_zeros(B, 3, H)
    db = k.cs.new_zeros(B, 4, H)
    turned = Times(k.weight_h.t().contiguous(), T)
    scratch = wide, wide.clone(), flat, flat.clone(), k.hs.new_empty(H, B)
    return Back(dh, dc, torch.empty_like(k.zs), db, dp, turned, *scratch)


# -- Out and back --
def step_backward(k: Kept, b: Back, t: int) -> None:
    """Turn `b.dh`, `b.dc` from those after step t into those before it."""
    _, B, _, H = k.zs.shape
    new = None if k.reset is None else k.reset[t, :, None]
    c = k.cs[t] if new is None else k.cs[t].masked_fill(new, 0)
    gates, dz = (b.gates, b.dz) if k.low else (k.zs[t], b.dzs[t])
    if k.low:  # z was kept, the gates were not
        open_gates(gates.copy_(k.zs[t]), c, k.peephole, out=b.work)
    room = b.dh, b.dc, dz, b.dp, b.tanh_c, b.work
    close_gates(gates, c, k.cs[t + 1], k.peephole, *room)
    b.db.add_(dz)
    if k.low:  # turned: bfloat16 likes the weights on the left
        b.dzs[t] = dz
        turned = b.dzs[t].view(B, 4 * H).t()
        b.dh.copy_(torch.mm(k.weight_h, turned, out=b.product).t())
    else:
        b.weight_h_t.into(b.dh, dz.view(B, 4 * H))
    if new is not None:
        b.dh.masked_fill_(new, 0)
        b.dc.masked_fill_(new, 0)


# -- Out and back --
class LSTMSequence(torch.autograd.Function):
    """The LSTM over a whole sequence, with its backward pass."""

    @staticmethod
    def forward(ctx, x, h, c, w_x, w_h, bias, peephole, reset, dtype):
        (T, B, _), H = x.shape, len(w_h)
        given = x, h, c, w_x, w_h, bias, peephole
        ctx.dtypes = [None if a is None else a.dtype for a in given]
        exact = torch.promote_types(dtype, torch.float32)
        x, w_x, w_h, b = (a.to(dtype) for a in (x, w_x, w_h, bias))
        p = None if peephole is None else peephole.to(exact)
        # what the inputs say: one product
        zs = all_rows(x.reshape(T * B, -1), w_x, b).view(T, B, 4, H)
        hs = x.new_empty(T + 1, B, H)
        cs = x.new_empty(T + 1, B, H, dtype=exact)
        hs[0], cs[0] = h, c
        kept = x, w_x, w_h, p, reset, hs, cs, zs
        steps_forward(Kept(*kept))
        ctx.save_for_backward(*kept)
        ctx.set_materialize_grads(False)
        return hs[1:], hs[-1].clone(), cs[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx, *grads):
        k = Kept(*ctx.saved_tensors)
        T, B, _, H = k.zs.shape
        dhs, dh, dc = grads
        zero, exact = torch.zeros_like(k.cs[0]), k.cs.dtype
        dh = zero if dh is None else dh.to(exact, copy=True)
        dc = zero.clone() if dc is None else dc.to(exact, copy=True)
        with no_autocast(k.x.device.type):
            b = room(k, dh, dc)
            for t in reversed(range(T)):
                if dhs is not None:
                    dh.add_(dhs[t])
                step_backward(k, b, t)
            dz, before = b.dzs.view(T * B, 4 * H), k.hs[:-1]
            if k.reset is not None:
                before = before.masked_fill(k.reset[..., None], 0)
            dx = None
            if ctx.needs_input_grad[0]:
                dx = all_rows(dz, k.weight_x.t()).view_as(k.x)
            dw_x = over_rows(k.x.reshape(T * B, -1), dz)
            dw_h = over_rows(before.reshape(T * B, H), dz)
        dp = None if b.dp is None else b.dp.sum(0)
        back = dx, dh, dc, dw_x, dw_h, b.db.sum(0).flatten(), dp
        pairs = zip(back, ctx.dtypes, strict=True)
        return *(None if a is None else a.to(d) for a, d in pairs), None, None


# -- Out and back --
def check_sequence(x, h, c, weight_x, weight_h, bias, peephole, reset):
    """Raise TypeError or ValueError unless all fit together."""
    name = "lstm_sequence"
    shaped(name, "x", x, "T", "B", "I")
    shaped(name, "weight_h", weight_h, "H", "4H")
    (T, B, I), H = x.shape, len(weight_h)
    if not T:
        raise ValueError(f"{name}: x has shape {tuple(x.shape)}: no step")
    shaped(name, "weight_h", weight_h, H, 4 * H)
    shaped(name, "weight_x", weight_x, I, 4 * H)
    shaped(name, "bias", bias, 4 * H)
    for what, state in (("h", h), ("c", c)):
        shaped(name, what, state, B, H)
    if peephole is not None:
        shaped(name, "peephole", peephole, 3, H)
    if reset is not None:
        shaped(name, "reset", reset, T, B, dtype=torch.bool)


# -- Out and back --
def lstm_sequence(
    x: Tensor,
    h: Tensor,
    c: Tensor,
    weight_x: Tensor,
    weight_h: Tensor,
    bias: Tensor,
    peephole: Tensor | None,
    reset: Tensor | None = None,
    dtype: torch.dtype | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run a peephole LSTM over a batch of sequences.

    Args:
        x: inputs, (T, B, I).
        h, c: the state before the first step, each (B, H).
        weight_x, weight_h, bias: (I, 4H), (H, 4H), (4H,); order i, f, g, o.
        peephole: those of i, f and o, (3, H), or None.
        reset: (T, B), bool: where True, h and c are zero before that step.
        dtype: of the products; None: what autocast asks for, or the weights'.

    Returns:
        All h, (T, B, H), and the last h and c. Source: Graves, eq. 7-11.
    """
    check_sequence(x, h, c, weight_x, weight_h, bias, peephole, reset)
    weights = weight_x, weight_h, bias, peephole
    dtype = dtype or product_dtype(weight_h)
    with no_autocast(x.device.type):  # we choose the formats now
        return LSTMSequence.apply(x, h, c, *weights, reset, dtype)

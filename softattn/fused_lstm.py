# Generated from book/fused_lstm.md by tools/export.py. Edit the chapter, not this file.
"""The LSTM, fused.

The peephole LSTM over whole sequences in one function, with a backward pass that reuses memory.

The chapter book/fused_lstm.md builds this module and explains each line.
"""

from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["lstm_sequence"]


# -- Gates in place --
def open_gates(z: Tensor, c: Tensor, peephole: Tensor | None, out: Tensor) -> Tensor:
    """Turn z (B, 4, H) into the gates i, f, g, o, in place; write the new c (B, H) to `out` and return it."""
    i, f, g, o = z.unbind(1)
    if peephole is not None:
        z[:, :2].addcmul_(c[:, None], peephole[:2])
    z[:, :2].sigmoid_()
    g.tanh_()
    torch.mul(f, c, out=out).addcmul_(i, g)
    if peephole is not None:
        o.addcmul_(out, peephole[2])
    o.sigmoid_()
    return out


# -- Gates in place --
sigmoid_slope = torch.ops.aten.sigmoid_backward.grad_input  # (grad, s) -> grad * s * (1 - s)
tanh_slope = torch.ops.aten.tanh_backward.grad_input  # (grad, t) -> grad * (1 - t * t)


def close_gates(gates, c, c_next, peephole, dh, dc, dz, dp, tanh_c, work):
    """Take the gradients of one step's new h and c back through its gates.

    `dz` (B, 4, H) is filled with the gradient of z, `dc` with that of the old c; the peepholes' (B, 3, H) is added to
    `dp`. `dh`, `dc` and the scratch `tanh_c` and `work` are (B, H).
    """
    i, f, g, o = gates.unbind(1)
    di, df, dg, do = dz.unbind(1)
    torch.tanh(c_next, out=tanh_c)
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
    """Switch automatic casts off on this type of device, where there are any."""
    return torch.autocast(device_type, enabled=False) if torch.amp.is_autocast_available(device_type) else nullcontext()


def product_dtype(weight: Tensor) -> torch.dtype:
    """Name the format for products with `weight`: its own, or what autocast asks for; float64 stays."""
    kind = weight.device.type
    if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind) and weight.dtype != torch.float64:
        return torch.get_autocast_dtype(kind)
    return weight.dtype


# -- Out and back --
@dataclass
class Kept:
    """What the way out keeps; `exact` is the format of gates and cells, `low` that of products where it is another."""

    x: Tensor  # (T, B, I)
    weight_x: Tensor  # (I, 4H)
    weight_h: Tensor  # (H, 4H)
    peephole: Tensor | None  # (3, H), exact
    reset: Tensor | None  # (T, B), bool
    hs: Tensor  # (T + 1, B, H)
    cs: Tensor  # (T + 1, B, H), exact
    zs: Tensor  # (T, B, 4, H): the open gates; z itself where products are in a low format

    @property
    def low(self) -> bool:
        return self.zs.dtype != self.cs.dtype


def steps_forward(k: Kept) -> None:
    """Fill `k.hs` and `k.cs` from their first entries on; `k.zs` holds what the inputs say, and is overwritten."""
    (T, B, _, H), step = k.zs.shape, None
    if k.low:
        step = k.cs.new_empty(B, 4, H)
    tanh_c = torch.empty_like(k.cs[0])
    for t in range(T):
        h, c, z = k.hs[t], k.cs[t], k.zs[t]
        if k.reset is not None:
            h, c = h.masked_fill(k.reset[t, :, None], 0), c.masked_fill(k.reset[t, :, None], 0)
        z.view(B, 4 * H).addmm_(h, k.weight_h)
        gates = z if step is None else step.copy_(z)
        c = open_gates(gates, c, k.peephole, out=k.cs[t + 1])
        torch.tanh(c, out=tanh_c)
        k.hs[t + 1] = tanh_c.mul_(gates[:, 3])


# -- Out and back --
def steps_backward(k: Kept, dhs: Tensor | None, dh: Tensor, dc: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    """Turn `dh`, `dc` from gradients of the last state into those of the first; return those of zs, bias, peepholes."""
    T, B, _, H = k.zs.shape
    w_h_t, dz_all = k.weight_h.t().contiguous(), torch.empty_like(k.zs)
    db, tanh_c, work = k.cs.new_zeros(B, 4, H), torch.empty_like(dh), torch.empty_like(dh)
    dp = None if k.peephole is None else k.cs.new_zeros(B, 3, H)
    gates, dz = torch.empty_like(db), torch.empty_like(db)
    product = k.hs.new_empty(H, B) if k.low else None
    for t in reversed(range(T)):
        c = k.cs[t] if k.reset is None else k.cs[t].masked_fill(k.reset[t, :, None], 0)
        if k.low:
            open_gates(gates.copy_(k.zs[t]), c, k.peephole, out=work)  # z was kept, the gates were not
        else:
            gates, dz = k.zs[t], dz_all[t]
        if dhs is not None:
            dh.add_(dhs[t])
        close_gates(gates, c, k.cs[t + 1], k.peephole, dh, dc, dz, dp, tanh_c, work)
        db.add_(dz)
        if k.low:  # the same product, turned: bfloat16 kernels are faster with the weights on the left
            dz_all[t] = dz
            dh.copy_(torch.mm(k.weight_h, dz_all[t].view(B, 4 * H).t(), out=product).t())
        else:
            torch.mm(dz.view(B, 4 * H), w_h_t, out=dh)
        if k.reset is not None:
            dh.masked_fill_(k.reset[t, :, None], 0)
            dc.masked_fill_(k.reset[t, :, None], 0)
    return dz_all, db.sum(0).flatten(), None if dp is None else dp.sum(0)


# -- Out and back --
class LSTMSequence(torch.autograd.Function):
    """The LSTM over a whole sequence, with its backward pass."""

    @staticmethod
    def forward(ctx, x, h, c, weight_x, weight_h, bias, peephole, reset, dtype):
        (T, B, _), H = x.shape, len(weight_h)
        ctx.dtypes = [None if a is None else a.dtype for a in (x, h, c, weight_x, weight_h, bias, peephole)]
        exact = torch.promote_types(dtype, torch.float32)  # float32 where the products are bfloat16
        x, w_x, w_h, b = (a.to(dtype) for a in (x, weight_x, weight_h, bias))
        zs = torch.addmm(b, x.reshape(T * B, -1), w_x).view(T, B, 4, H)  # what the inputs say: one product
        hs, cs = x.new_empty(T + 1, B, H), x.new_empty(T + 1, B, H, dtype=exact)
        hs[0], cs[0] = h, c
        kept = x, w_x, w_h, None if peephole is None else peephole.to(exact), reset, hs, cs, zs
        steps_forward(Kept(*kept))
        ctx.save_for_backward(*kept)
        ctx.set_materialize_grads(False)
        return hs[1:], hs[-1].clone(), cs[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx, dhs, dh, dc):
        k = Kept(*ctx.saved_tensors)
        T, B, _, H = k.zs.shape
        dh = torch.zeros_like(k.cs[0]) if dh is None else dh.to(k.cs.dtype, copy=True)
        dc = torch.zeros_like(k.cs[0]) if dc is None else dc.to(k.cs.dtype, copy=True)
        with no_autocast(k.x.device.type):
            dz_all, db, dp = steps_backward(k, dhs, dh, dc)
            dz = dz_all.view(T * B, 4 * H)
            before = k.hs[:-1] if k.reset is None else k.hs[:-1].masked_fill(k.reset[..., None], 0)
            dx = (dz @ k.weight_x.t()).view_as(k.x) if ctx.needs_input_grad[0] else None
            dw_x = k.x.reshape(T * B, -1).t().contiguous() @ dz
            dw_h = before.reshape(T * B, H).t().contiguous() @ dz
        grads = dx, dh, dc, dw_x, dw_h, db, dp
        return *(None if a is None else a.to(d) for a, d in zip(grads, ctx.dtypes, strict=True)), None, None


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
        x: inputs, time first, shape (T, B, I).
        h, c: the state before the first step, each (B, H).
        weight_x, weight_h, bias: shapes (I, 4H), (H, 4H), (4H,); gates in the order i, f, g, o.
        peephole: those of i, f and o, shape (3, H), or None.
        reset: where True, h and c are zero before that step; bool, shape (T, B). None: nowhere.
        dtype: the format of the products; None takes what autocast asks for, else the format of the weights.

    Returns:
        All h, shape (T, B, H), and the last h and c, each (B, H). Gates and cells are float32 at least.

    Source: Graves (2013), eq. 7-11.
    """
    dtype = product_dtype(weight_h) if dtype is None else dtype
    with no_autocast(x.device.type):  # from here on we choose the number formats ourselves
        return LSTMSequence.apply(x, h, c, weight_x, weight_h, bias, peephole, reset, dtype)

# Generated from book/lstm.md by tools/export.py. Edit the chapter, not this file.
"""The cell that remembers.

The peephole LSTM, step by step and over whole sequences, with a backward pass written by hand.

The chapter book/lstm.md builds this module and explains each line.
"""

import math
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

__all__ = ["LSTMCell", "PeepholeLSTM", "chrono_"]


# -- Five equations, gate by gate --
def _make_parameters(module: nn.Module, input_size: int, hidden_size: int, peephole: bool, forget_bias: float) -> None:
    """Give `module` the weights that LSTMCell and PeepholeLSTM share, at their starting values."""
    if input_size < 1 or hidden_size < 1:
        raise ValueError(
            f"{type(module).__name__}: input_size {input_size}, hidden_size {hidden_size}: both must be at least 1"
        )
    module.input_size, module.hidden_size = input_size, hidden_size
    bound = 1 / math.sqrt(hidden_size)
    module.weight_x = nn.Parameter(torch.empty(input_size, 4 * hidden_size).uniform_(-bound, bound))
    module.weight_h = nn.Parameter(torch.empty(hidden_size, 4 * hidden_size).uniform_(-bound, bound))
    module.bias = nn.Parameter(torch.zeros(4 * hidden_size))
    with torch.no_grad():
        module.bias[hidden_size : 2 * hidden_size] = forget_bias
    module.register_parameter("peephole", nn.Parameter(torch.zeros(3, hidden_size)) if peephole else None)


def _check_state(name: str, state: tuple[Tensor, Tensor], batch: int, hidden: int) -> None:
    """Raise ValueError unless `state` is a pair (h, c) of shape (batch, hidden)."""
    if not (isinstance(state, (tuple, list)) and len(state) == 2):
        raise ValueError(f"{name}: the state is {type(state).__name__}, expected a pair (h, c); None starts from zeros")
    for letter, tensor in zip("hc", state, strict=True):
        if tuple(tensor.shape) != (batch, hidden):
            raise ValueError(
                f"{name}: state {letter} has shape {tuple(tensor.shape)}, expected (B, H) = ({batch}, {hidden}); "
                "pass the state that the last call returned, or None to start from zeros"
            )


# -- Five equations, gate by gate --
class LSTMCell(nn.Module):
    """One step of the peephole LSTM, written as its equations.

    The weights have the names and shapes of `PeepholeLSTM`, so one can load the other's `state_dict`. They start
    uniform in +-1/sqrt(hidden_size), drawn from PyTorch's global generator; peepholes and biases start at zero, but for
    the forget gate's.

    Args:
        input_size: I, numbers per input.
        hidden_size: H, number of memory cells.
        peephole: whether the gates see the cell.
        forget_bias: where the forget gate's bias starts; 1.0 keeps about three quarters of the cell at each step.

    Source: Graves (2013), eq. 7-11; slide 8. Gate order i, f, g, o.
    """

    def __init__(self, input_size: int, hidden_size: int, peephole: bool = True, forget_bias: float = 1.0):
        super().__init__()
        _make_parameters(self, input_size, hidden_size, peephole, forget_bias)

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """Take one step.

        Args:
            x: input, shape (B, I).
            state: h and c of the step before, each (B, H); zeros if None.

        Returns:
            The new h and c, each (B, H).

        Raises:
            ValueError: if a shape does not fit.
        """
        if x.dim() != 2 or x.shape[1] != self.input_size:
            raise ValueError(f"LSTMCell: x has shape {tuple(x.shape)}, expected (B, I) = (B, {self.input_size})")
        if state is None:
            state = (self.bias.new_zeros(len(x), self.hidden_size),) * 2
        _check_state("LSTMCell", state, len(x), self.hidden_size)
        h, c = state
        z = x @ self.weight_x + h @ self.weight_h + self.bias  # (B, 4H)
        i, f, g, o = z.to(c.dtype).chunk(4, dim=1)  # each (B, H); autocast rounds z, not the gates
        p = self.peephole if self.peephole is not None else z.new_zeros(3, 1)
        i = torch.sigmoid(i + p[0] * c)  # eq. 7
        f = torch.sigmoid(f + p[1] * c)  # eq. 8
        c = f * c + i * torch.tanh(g)  # eq. 9
        o = torch.sigmoid(o + p[2] * c)  # eq. 10: sees the new c
        return o * torch.tanh(c), c  # eq. 11


# -- Memory is a matter of where you start --
def chrono_(bias: Tensor, longest: int, generator: torch.Generator | None = None) -> Tensor:
    """Set the biases of an LSTM, in place, so that its memories last between 2 and `longest` steps.

    Args:
        bias: the biases of the four gates i, f, g, o, shape (4H,). The parts of f and i are overwritten.
        longest: the longest delay that the task asks for, in steps; at least 3.
        generator: source of randomness; the global one if None.

    Returns:
        `bias` itself.

    Raises:
        ValueError: if `bias` is not one row of 4H numbers or `longest` is below 3.

    Source: Tallec and Ollivier (2018): b_f = log U(1, longest - 1), b_i = -b_f.
    """
    if bias.dim() != 1 or len(bias) == 0 or len(bias) % 4:
        raise ValueError(f"chrono_: bias has shape {tuple(bias.shape)}, expected (4H,): pass the `bias` of an LSTM")
    if longest < 3:
        raise ValueError(f"chrono_: longest is {longest}, expected at least 3 steps: U(1, longest - 1) has no width")
    hidden = len(bias) // 4
    where = bias.device if generator is None else generator.device
    u = torch.rand(hidden, generator=generator, device=where, dtype=torch.float64)
    forget = torch.log(1 + (longest - 2) * u).to(bias)  # (H,)
    with torch.no_grad():
        bias[hidden : 2 * hidden] = forget
        bias[:hidden] = -forget
    return bias


# -- The same, fast --
def _open_gates(z: Tensor, c: Tensor, peephole: Tensor | None, out: Tensor) -> Tensor:
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


# -- The same, fast --
def _no_autocast(kind: str):
    """Switch automatic casts off on this kind of device, where there are any."""
    return torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext()


# -- The same, fast --
_sigmoid_slope = torch.ops.aten.sigmoid_backward.grad_input  # (grad, s) -> grad * s * (1 - s)
_tanh_slope = torch.ops.aten.tanh_backward.grad_input  # (grad, t) -> grad * (1 - t * t)


def _close_gates(gates, c, c_next, peephole, dh, dc, dz, dp, tanh_c, work):
    """Take the gradients of one step's new h and c back through its gates.

    `dz` (B, 4, H) is filled with the gradient of z, `dc` with that of the old c; the peepholes' (B, 3, H) is added to
    `dp`. `dh`, `dc` and the scratch `tanh_c` and `work` are (B, H).
    """
    i, f, g, o = gates.unbind(1)
    di, df, dg, do = dz.unbind(1)
    torch.tanh(c_next, out=tanh_c)
    _sigmoid_slope(torch.mul(dh, tanh_c, out=work), o, grad_input=do)
    dc.add_(_tanh_slope(torch.mul(dh, o, out=work), tanh_c, grad_input=work))
    if peephole is not None:
        dc.addcmul_(do, peephole[2])
    _sigmoid_slope(torch.mul(dc, g, out=work), i, grad_input=di)
    _sigmoid_slope(torch.mul(dc, c, out=work), f, grad_input=df)
    _tanh_slope(torch.mul(dc, i, out=work), g, grad_input=dg)
    dc.mul_(f)
    if peephole is not None:
        dc.addcmul_(di, peephole[0]).addcmul_(df, peephole[1])
        dp[:, :2].addcmul_(dz[:, :2], c[:, None])
        dp[:, 2].addcmul_(do, c_next)


# -- The same, fast --
class _PeepholeLSTMFunction(torch.autograd.Function):
    """The LSTM over a whole sequence, with its backward pass."""

    @staticmethod
    def forward(ctx, x, h0, c0, weight_x, weight_h, bias, peephole, reset, dtype):
        (T, B, _), H = x.shape, len(weight_h)
        ctx.dtypes = [None if a is None else a.dtype for a in (x, h0, c0, weight_x, weight_h, bias, peephole)]
        exact = torch.promote_types(dtype, torch.float32)  # float32 where the products are bfloat16
        x, w_x, w_h, b = (a.to(dtype) for a in (x, weight_x, weight_h, bias))
        p = None if peephole is None else peephole.to(exact)

        z_all = torch.addmm(b, x.reshape(T * B, -1), w_x).view(T, B, 4, H)  # what the inputs say: one product
        hs, cs = x.new_empty(T + 1, B, H), x.new_empty(T + 1, B, H, dtype=exact)
        hs[0], cs[0] = h0, c0
        step = None if dtype == exact else cs.new_empty(B, 4, H)
        tanh_c = torch.empty_like(cs[0])
        for t in range(T):
            h, c, z = hs[t], cs[t], z_all[t]
            if reset is not None:
                h, c = h.masked_fill(reset[t, :, None], 0), c.masked_fill(reset[t, :, None], 0)
            z.view(B, 4 * H).addmm_(h, w_h)
            gates = z if step is None else step.copy_(z)
            c = _open_gates(gates, c, p, out=cs[t + 1])
            torch.tanh(c, out=tanh_c)
            hs[t + 1] = tanh_c.mul_(gates[:, 3])
        ctx.save_for_backward(x, w_x, w_h, p, reset, hs, cs, z_all)
        ctx.set_materialize_grads(False)
        return hs[1:], hs[-1].clone(), cs[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx, dhs, dh_last, dc_last):
        x, w_x, w_h, p, reset, hs, cs, z_all = ctx.saved_tensors
        T, B, _, H = z_all.shape
        low = z_all.dtype != cs.dtype
        w_h_t, dz_all = w_h.t().contiguous(), torch.empty_like(z_all)
        dh = torch.zeros_like(cs[0]) if dh_last is None else dh_last.to(cs.dtype, copy=True)
        dc = torch.zeros_like(cs[0]) if dc_last is None else dc_last.to(cs.dtype, copy=True)
        db = cs.new_zeros(B, 4, H)
        dp = None if p is None else cs.new_zeros(B, 3, H)
        tanh_c, work = torch.empty_like(dh), torch.empty_like(dh)
        gates, dz = torch.empty_like(db), torch.empty_like(db)
        product = hs.new_empty(H, B) if low else None
        with _no_autocast(x.device.type):
            for t in reversed(range(T)):
                c = cs[t] if reset is None else cs[t].masked_fill(reset[t, :, None], 0)
                if low:
                    _open_gates(gates.copy_(z_all[t]), c, p, out=work)  # z is kept in bfloat16, gates are not
                else:
                    gates, dz = z_all[t], dz_all[t]
                if dhs is not None:
                    dh.add_(dhs[t])
                _close_gates(gates, c, cs[t + 1], p, dh, dc, dz, dp, tanh_c, work)
                db.add_(dz)
                if low:
                    dz_all[t] = dz
                    # the same product, turned: bfloat16 kernels are faster with the weights on the left
                    dh.copy_(torch.mm(w_h, dz_all[t].view(B, 4 * H).t(), out=product).t())
                else:
                    torch.mm(dz.view(B, 4 * H), w_h_t, out=dh)
                if reset is not None:
                    dh.masked_fill_(reset[t, :, None], 0)
                    dc.masked_fill_(reset[t, :, None], 0)
            dz = dz_all.view(T * B, 4 * H)
            before = hs[:-1] if reset is None else hs[:-1].masked_fill(reset[..., None], 0)
            dx = (dz @ w_x.t()).view_as(x) if ctx.needs_input_grad[0] else None
            dw_x = x.reshape(T * B, -1).t().contiguous() @ dz
            dw_h = before.reshape(T * B, H).t().contiguous() @ dz
        grads = dx, dh, dc, dw_x, dw_h, db.sum(0).flatten(), None if dp is None else dp.sum(0)
        return *(None if a is None else a.to(d) for a, d in zip(grads, ctx.dtypes, strict=True)), None, None


# -- The same, fast --
class PeepholeLSTM(nn.Module):
    """A peephole LSTM over whole sequences, with a backward pass written by hand.

    Under autocast to bfloat16 the matrix products and h are bfloat16; gates, cells and their gradients stay float32.
    The weights start as those of `LSTMCell`, drawn from PyTorch's global generator.

    Args:
        input_size: I, numbers per input.
        hidden_size: H, number of memory cells.
        peephole: whether the gates see the cell.
        forget_bias: where the forget gate's bias starts.

    Source: Graves (2013), eq. 7-11; slide 8. Gate order i, f, g, o; `peephole` (3, H) holds those of i, f and o.
    """

    def __init__(self, input_size: int, hidden_size: int, peephole: bool = True, forget_bias: float = 1.0):
        super().__init__()
        _make_parameters(self, input_size, hidden_size, peephole, forget_bias)

    @classmethod
    def from_torch(cls, lstm: nn.LSTM) -> "PeepholeLSTM":
        """Copy a one-layer nn.LSTM: the same function, with peepholes that start at zero.

        Args:
            lstm: one layer, one direction, time first, no projection. Its two biases are added.

        Returns:
            A PeepholeLSTM on the same device, of the same dtype.

        Raises:
            ValueError: if `lstm` has what a PeepholeLSTM has not.
        """
        for name, got, wanted in (
            ("num_layers", lstm.num_layers, 1),
            ("bidirectional", lstm.bidirectional, False),
            ("proj_size", lstm.proj_size, 0),
            ("batch_first", lstm.batch_first, False),
        ):
            if got != wanted:
                raise ValueError(f"PeepholeLSTM.from_torch: the nn.LSTM has {name}={got}, expected {name}={wanted}")
        new = cls(lstm.input_size, lstm.hidden_size).to(lstm.weight_ih_l0)
        with torch.no_grad():
            new.weight_x.copy_(lstm.weight_ih_l0.t())
            new.weight_h.copy_(lstm.weight_hh_l0.t())
            new.bias.copy_(lstm.bias_ih_l0 + lstm.bias_hh_l0) if lstm.bias else new.bias.zero_()
        return new

    def forward(
        self, x: Tensor, state: tuple[Tensor, Tensor] | None = None, reset: Tensor | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Read a batch of sequences.

        Args:
            x: inputs, time first, shape (T, B, I).
            state: h and c before the first step, each (B, H); zeros if None.
            reset: where True, h and c are zero before that step; bool, shape (T, B). Several sequences can so follow
                each other in one row. None: nowhere.

        Returns:
            All h, shape (T, B, H), and the last (h, c), each (B, H). Under autocast h is bfloat16 and c float32.

        Raises:
            ValueError: if a shape or the type of `reset` does not fit, or the sequence is empty.
        """
        if x.dim() != 3 or x.shape[2] != self.input_size:
            raise ValueError(
                f"PeepholeLSTM: x is {tuple(x.shape)}, expected (T, B, I) = (T, B, {self.input_size}): time first"
            )
        T, B, _ = x.shape
        if T == 0 or B == 0:
            raise ValueError(f"PeepholeLSTM: x has shape {tuple(x.shape)}: an empty sequence; pass at least one step")
        if reset is not None and (reset.dtype != torch.bool or reset.shape != (T, B)):
            raise ValueError(
                f"PeepholeLSTM: reset is {reset.dtype} of shape {tuple(reset.shape)}, expected bool of shape ({T}, {B})"
            )
        if state is None:
            state = (x.new_zeros(B, self.hidden_size),) * 2
        _check_state("PeepholeLSTM", state, B, self.hidden_size)
        kind, dtype = x.device.type, x.dtype
        if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind) and dtype != torch.float64:
            dtype = torch.get_autocast_dtype(kind)
        weights = self.weight_x, self.weight_h, self.bias, self.peephole
        with _no_autocast(kind):  # from here on we choose the number formats ourselves
            hs, h, c = _PeepholeLSTMFunction.apply(x, *state, *weights, reset, dtype)
        return hs, (h, c)

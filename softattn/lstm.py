# Generated from book/lstm.md by tools/export.py. Edit the chapter, not this file.
"""The cell that remembers.

The peephole LSTM, step by step and over whole sequences, with a backward pass written by hand.

The chapter book/lstm.md builds this module and explains each line.
"""

import math

import torch
from torch import Tensor, nn

from softattn.fused_lstm import close_gates as _close_gates  # noqa
from softattn.fused_lstm import lstm_sequence  # noqa
from softattn.fused_lstm import no_autocast as _no_autocast  # noqa
from softattn.fused_lstm import open_gates as _open_gates  # noqa
from softattn.fused_lstm import sigmoid_slope as _sigmoid_slope  # noqa
from softattn.training import use_fused

__all__ = ["LSTMCell", "PeepholeLSTM", "chrono_"]


# -- Five equations, gate by gate --
def _make_parameters(module: nn.Module, input_size: int, hidden_size: int, peephole: bool, forget_bias: float) -> None:
    """Give `module` the weights of an LSTM at their starting values."""
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


# -- Five equations, gate by gate --
def _check_input(name: str, x: Tensor, shape: str, size: int) -> None:
    """Raise ValueError unless `x` is a tensor of real numbers with as many axes as `shape` says, the last of `size`."""
    if not isinstance(x, Tensor) or x.is_complex():
        what = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise ValueError(f"{name}: x is {what}, expected a tensor of real numbers")
    if x.dim() != shape.count(",") + 1 or x.shape[-1] != size:
        raise ValueError(f"{name}: x has shape {tuple(x.shape)}, expected {shape} = {shape.replace('I', str(size))}")


def _check_state(name: str, state: tuple[Tensor, Tensor], batch: int, hidden: int) -> None:
    """Raise ValueError unless `state` is a pair (h, c) of shape (batch, hidden)."""
    if not (isinstance(state, (tuple, list)) and len(state) == 2):
        raise ValueError(f"{name}: the state is {type(state).__name__}, expected a pair (h, c); None starts from zeros")
    for letter, tensor in zip("hc", state, strict=True):
        if not isinstance(tensor, Tensor) or tuple(tensor.shape) != (batch, hidden):
            got = f"has shape {tuple(tensor.shape)}" if isinstance(tensor, Tensor) else f"is {type(tensor).__name__}"
            raise ValueError(
                f"{name}: state {letter} {got}, expected (B, H) = ({batch}, {hidden}); "
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

    def gates(self, z: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Open the gates.

        Args:
            z: what the inputs and the last h say to i, f, g and o, side by side, shape (B, 4H).
            c: the old cells, shape (B, H). What is computed here is computed in their number format.

        Returns:
            The new h, in the format of z, and the new c, each (B, H).
        """
        i, f, g, o = z.to(c.dtype).chunk(4, dim=1)  # each (B, H)
        p = c.new_zeros(3, 1) if self.peephole is None else self.peephole
        i = torch.sigmoid(i + p[0] * c)  # eq. 7
        f = torch.sigmoid(f + p[1] * c)  # eq. 8
        c = f * c + i * torch.tanh(g)  # eq. 9
        o = torch.sigmoid(o + p[2] * c)  # eq. 10: sees the new c
        return (o * torch.tanh(c)).to(z.dtype), c  # eq. 11

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """Take one step.

        Args:
            x: input, shape (B, I). It takes the number format of the weights.
            state: h and c of the step before, each (B, H); zeros if None.

        Returns:
            The new h and c, each (B, H). Under autocast h is bfloat16; gates and c are float32 at least.

        Raises:
            ValueError: if a shape does not fit.
        """
        _check_input(type(self).__name__, x, "(B, I)", self.input_size)
        h, c = self._state(state, len(x))
        z = x.to(h.dtype) @ self.weight_x + h @ self.weight_h + self.bias  # (B, 4H)
        return self.gates(z, c)

    def _state(self, state: tuple[Tensor, Tensor] | None, batch: int) -> tuple[Tensor, Tensor]:
        """Check h and c, or start them from zeros; h in the weights' number format, c in float32 at least."""
        if state is None:
            state = (self.weight_h.new_zeros(batch, self.hidden_size),) * 2
        _check_state(type(self).__name__, state, batch, self.hidden_size)
        dtype = self.weight_h.dtype
        return state[0].to(dtype), state[1].to(torch.promote_types(dtype, torch.float32))


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


# -- Over whole sequences --
class PeepholeLSTM(LSTMCell):
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
        self,
        x: Tensor,
        state: tuple[Tensor, Tensor] | None = None,
        reset: Tensor | None = None,
        fused: bool | None = None,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Read a batch of sequences.

        Args:
            x: inputs, time first, shape (T, B, I).
            state: h and c before the first step, each (B, H); zeros if None.
            reset: where True, h and c are zero before that step; bool, shape (T, B). Several sequences can so follow
                each other in one row. None: nowhere.
            fused: None decides, False takes the plain way, True insists on the fused one.

        Returns:
            All h, shape (T, B, H), and the last (h, c), each (B, H). Under autocast h is bfloat16 and c float32.

        Raises:
            ValueError: if a shape or the type of `reset` does not fit, the sequence is empty, or `fused` is True and
                the module was changed.
        """
        name = type(self).__name__
        _check_input(name, x, "(T, B, I)", self.input_size)
        T, B, _ = x.shape
        if T == 0 or B == 0:
            raise ValueError(f"{name}: x has shape {tuple(x.shape)}: an empty sequence; pass at least one step")
        if reset is not None and (reset.dtype != torch.bool or reset.shape != (T, B)):
            raise ValueError(
                f"{name}: reset is {reset.dtype} of shape {tuple(reset.shape)}, expected bool of shape ({T}, {B})"
            )
        h, c = self._state(state, B)
        if not x.is_floating_point():
            x = x.to(h.dtype)
        if use_fused(fused, self, PeepholeLSTM, x):  # the same numbers, from the engine room
            weights = self.weight_x, self.weight_h, self.bias, self.peephole
            hs, h, c = lstm_sequence(x, h, c, *weights, reset)
            return hs, (h, c)
        hs = []
        for t, x_t in enumerate(x.unbind()):
            if reset is not None:
                h, c = h.masked_fill(reset[t, :, None], 0), c.masked_fill(reset[t, :, None], 0)
            h, c = super().forward(x_t, (h, c))  # eq. 7-11
            hs.append(h)
        return torch.stack(hs), (h, c)

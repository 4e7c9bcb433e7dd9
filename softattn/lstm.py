# Generated from book/lstm.md by tools/export.py. Edit the chapter, not this file.
"""LSTM: a cell that remembers.

A network with a memory, and its gradient worked out by hand.

The chapter book/lstm.md builds this module and explains each line.
"""

import math

import torch
from torch import Tensor, nn

from softattn.fused_lstm import lstm_sequence
from softattn.hub import real, shaped, whole
from softattn.training import use_fused

__all__ = ["LSTMCell", "PeepholeLSTM", "chrono_"]


# -- The LSTM: five equations, gate by gate --
class LSTMCell(nn.Module):
    """One step of the peephole LSTM, written as its equations.

    The weights start uniform in +-1/sqrt(hidden_size), drawn from PyTorch's
    global generator; peepholes and biases at zero, but for the forget gate's.

    Args:
        input_size: I, numbers per input.
        hidden_size: H, number of memory cells.
        peephole: whether the gates see the cell.
        forget_bias: where the forget gate's bias starts; 1.0 keeps about 3/4.

    Raises:
        TypeError, ValueError: if a size is no whole number of at least 1.

    Source: Graves (2013), eq. 7-11; slide 8. Gates in the order i, f, g, o.
    """

    peephole: nn.Parameter | None  # (3, H): of i, f, o

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        peephole: bool = True,
        forget_bias: float = 1.0,
    ):
        super().__init__()
        name = type(self).__name__
        self.input_size = I = whole(name, "input_size", input_size, 1)
        self.hidden_size = H = whole(name, "hidden_size", hidden_size, 1)
        bound = 1 / math.sqrt(H)
        start = lambda *shape: torch.empty(shape).uniform_(-bound, bound)
        self.weight_x = nn.Parameter(start(I, 4 * H))
        self.weight_h = nn.Parameter(start(H, 4 * H))
        self.bias = nn.Parameter(torch.zeros(4 * H))
        with torch.no_grad():
            b = real(name, "forget_bias", forget_bias, -1e4, 1e4)
            self.bias[H : 2 * H] = b
        p = nn.Parameter(torch.zeros(3, H)) if peephole else None
        self.register_parameter("peephole", p)

    def gates(self, z: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Open the gates: z (B, 4H) and the old c (B, H) to the new (h, c)."""
        i, f, g, o = z.to(c.dtype).chunk(4, dim=1)  # each (B, H)
        p = c.new_zeros(3, 1) if self.peephole is None else self.peephole
        i = torch.sigmoid(i + p[0] * c)  # eq. 7
        f = torch.sigmoid(f + p[1] * c)  # eq. 8
        c = f * c + i * torch.tanh(g)  # eq. 9
        o = torch.sigmoid(o + p[2] * c)  # eq. 10: the new c
        return (o * torch.tanh(c)).to(z.dtype), c  # eq. 11

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """Take one step.

        Args:
            x: input, (B, I); it takes the number format of the weights.
            state: h and c of the step before, each (B, H); zeros if None.

        Returns:
            The new h and c, each (B, H). Gates and c are float32 at least.

        Raises:
            TypeError, ValueError: if a type or a shape does not fit.
        """
        shaped(type(self).__name__, "x", x, "B", self.input_size)
        h, c = self._state(state, len(x))
        z = x.to(h.dtype) @ self.weight_x + h @ self.weight_h + self.bias
        return self.gates(z, c)

    def _state(self, state, batch: int) -> tuple[Tensor, Tensor]:
        """Check (h, c), or start from zeros; h in the weights' format."""
        name, H = type(self).__name__, self.hidden_size
        if state is None:
            state = (self.weight_h.new_zeros(batch, H),) * 2
        if not isinstance(state, (tuple, list)) or len(state) != 2:
            what = type(state).__name__
            raise ValueError(f"{name}: state is {what}, not a pair (h, c)")
        shaped(name, "h of the state", state[0], batch, H)
        shaped(name, "c of the state", state[1], batch, H)
        h, c = state[0].to(self.weight_h.dtype), state[1]
        return h, c.to(torch.promote_types(h.dtype, torch.float32))


# -- The forget bias: memory is a matter of where you start --
def chrono_(bias: Tensor, longest: int, generator: torch.Generator | None = None) -> Tensor:
    """Set LSTM biases in place, so that memories last 2 to `longest` steps.

    Args:
        bias: of the gates i, f, g, o, (4H,); f and i are overwritten.
        longest: the longest delay in the task, in steps; at least 3.
        generator: source of randomness; the global one if None.

    Returns:
        `bias` itself.

    Raises: TypeError, ValueError for another shape, or below 3 steps.
    Source: Tallec, Ollivier (2018): b_f = log U(1, longest - 1), b_i = -b_f.
    """
    shaped("chrono_", "bias", bias, "4H")
    if (rows := len(bias)) % 4 or rows == 0:
        raise ValueError(f"chrono_: bias has shape ({rows},), expected (4H,)")
    longest = whole("chrono_", "longest", longest, 3, 2**53)
    where = bias.device if generator is None else generator.device
    H, kind = rows // 4, torch.float64
    u = torch.rand(H, generator=generator, device=where, dtype=kind)
    forget = torch.log(1 + (longest - 2) * u).to(bias)  # (H,)
    with torch.no_grad():
        bias[H : 2 * H] = forget
        bias[:H] = -forget
    return bias


# -- Over whole sequences --
def _check_torch_lstm(lstm: nn.LSTM) -> None:
    """Raise ValueError if `lstm` has what a PeepholeLSTM has not."""
    name = "PeepholeLSTM.from_torch"
    if not isinstance(lstm, nn.LSTM):
        raise ValueError(f"{name}: {type(lstm).__name__} is no nn.LSTM")
    plain = {"num_layers": 1, "bidirectional": False, "proj_size": 0}
    for key, wanted in {**plain, "batch_first": False}.items():
        if (got := getattr(lstm, key)) != wanted:
            raise ValueError(f"{name}: the nn.LSTM has {key}={got}, expected {key}={wanted}")


# -- Over whole sequences --
class PeepholeLSTM(LSTMCell):
    """The peephole LSTM over whole sequences: an LSTMCell in a loop.

    The fused way has a backward pass written by hand and is differentiable
    once; pass `fused=False` for second derivatives.

    Args:
        input_size, hidden_size, peephole, forget_bias: those of LSTMCell, as
            are the weights and their starting values.

    Source: Graves (2013), eq. 7-11; slide 8.
    """

    @classmethod
    def from_torch(cls, lstm: nn.LSTM) -> "PeepholeLSTM":
        """Copy a one-layer nn.LSTM: the same function, peepholes at zero.

        Args:
            lstm: one layer, one direction, time first, no projection. Its two
                biases are added.

        Returns:
            A PeepholeLSTM on the same device, of the same dtype.

        Raises:
            ValueError: if `lstm` has what a PeepholeLSTM has not.
        """
        _check_torch_lstm(lstm)
        w_x, w_h, *biases = lstm.all_weights[0]
        new = cls(lstm.input_size, lstm.hidden_size).to(w_x)
        with torch.no_grad():
            new.weight_x.copy_(w_x.t())
            new.weight_h.copy_(w_h.t())
            new.bias.copy_(sum(biases, torch.zeros_like(new.bias)))
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
            x: inputs, time first, (T, B, I). They take the number format of
                the weights.
            state: h and c before the first step, each (B, H); zeros if None.
            reset: where True, h and c are zero before that step; bool, (T, B).
            fused: None decides, False takes the plain way, True insists on
                the fused one.

        Returns:
            All h, (T, B, H), and the last (h, c), each (B, H). Under autocast
            h is bfloat16 and c float32.

        Raises:
            TypeError, ValueError: if a type or a shape does not fit, there
                is no step, or `fused` is True and the module was changed.
        """
        name = type(self).__name__
        shaped(name, "x", x, "T", "B", self.input_size)
        if x.numel() == 0:
            raise ValueError(f"{name}: x has shape {tuple(x.shape)}: no step")
        if reset is not None:
            shaped(name, "reset", reset, *x.shape[:2], dtype=torch.bool)
        h, c = self._state(state, x.shape[1])
        if use_fused(fused, self, PeepholeLSTM, x):  # the engine room
            weights = self.weight_x, self.weight_h, self.bias, self.peephole
            hs, h, c = lstm_sequence(x, h, c, *weights, reset)
            return hs, (h, c)
        hs = []
        for t, x_t in enumerate(x.unbind()):
            if reset is not None:
                new = reset[t, :, None]
                h, c = h.masked_fill(new, 0), c.masked_fill(new, 0)
            h, c = super().forward(x_t, (h, c))  # eq. 7-11
            hs.append(h)
        return torch.stack(hs), (h, c)

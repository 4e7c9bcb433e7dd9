# Generated from book/transformer.md by tools/export.py. Edit the chapter, not this file.
"""The transformer: from the loop to the matrix.

From the loop to the matrix; everyone attends to everyone, and a text and a pen go on.

The chapter book/transformer.md builds this module and explains each line.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from softattn.handwriting import PenModel, stroke_start_
from softattn.hub import real, shaped, whole
from softattn.lineage import dot_product_attention
from softattn.prediction import text_surprise

__all__ = ["CausalTransformer"]


# -- Positions --
POSITIONS = ("none", "sinusoids", "rotations")


# -- Positions --
def angles(place: Tensor, size: int) -> Tensor:
    """How far size // 2 pairs are turned at places (T,): (T, size // 2)."""
    pair = torch.arange(size // 2, device=place.device)
    return place[:, None] * torch.exp(-math.log(10_000) * 2 * pair / size)


def sinusoids(place: Tensor, size: int) -> Tensor:
    """Sines, then cosines of places (T,): (T, size). Vaswani et al., 3.5."""
    turn = angles(place, size)
    return torch.cat([turn.sin(), turn.cos()], -1)


def rotate(x: Tensor, place: Tensor) -> Tensor:
    """Turn pairs of x (..., T, D) by their places (T,). Su et al. (2021)."""
    turn = angles(place, x.shape[-1])
    sin, cos = turn.sin().to(x.dtype), turn.cos().to(x.dtype)
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)


# -- One page --
class CausalLayer(nn.Module):
    """Look back through heads, then think for yourself; both add."""

    def __init__(self, width: int, heads: int, dropout: float, turns: bool):
        super().__init__()
        self.heads, self.dropout, self.turns = heads, dropout, turns
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.ask = nn.Linear(width, 3 * width, bias=False)  # q, k, v
        self.join = nn.Linear(width, width, bias=False)
        self.grow = nn.Linear(width, 4 * width)
        self.shrink = nn.Linear(4 * width, width)

    def lose(self, x: Tensor) -> Tensor:
        """Dropout, in training."""
        return F.dropout(x, self.dropout, self.training)

    def meet(self, x: Tensor, past: Any) -> tuple[Tensor, ...]:
        """Queries, keys, values (B, heads, T or U, D) and who may see whom.

        x (B, T, E); past: keys and values of the steps before, or None.
        """
        ask = self.ask(self.before(x)).unflatten(-1, (3 * self.heads, -1))
        q, k, v = ask.transpose(1, 2).chunk(3, 1)  # (B, heads, T, D)
        old = 0 if past is None else past[0].shape[-2]
        place = old + torch.arange(x.shape[1], device=x.device)
        if self.turns:
            q, k = rotate(q, place), rotate(k, place)
        if past is not None:
            k, v = torch.cat([past[0], k], -2), torch.cat([past[1], v], -2)
        every = torch.arange(k.shape[-2], device=x.device)
        return q, k, v, every <= place[:, None]

    def forward(self, x: Tensor, past: Any, fused: bool) -> tuple[Tensor, Any]:
        """x (B, T, E) and the past in; the new x, and the past grown, out."""
        q, k, v, back = self.meet(x, past)
        c = dot_product_attention(q, k, v, back, fused)
        x = x + self.lose(self.join(c.transpose(1, 2).flatten(2)))
        h = F.gelu(self.grow(self.between(x)))
        return x + self.lose(self.shrink(h)), (k, v)


# -- One page --
class CausalTransformer(nn.Module):
    """Predict a sequence's next step by attention to all steps before it.

    It is called as `PredictionNetwork` is: what samples and scores the one
    takes the other.

    Args:
        input_size: I, numbers per input step.
        width: E, numbers that pass from layer to layer.
        num_layers: how many layers.
        output_size: O, numbers per output step.
        heads: looks at a time; each has width / heads numbers, an even count.
        positions: "rotations", "sinusoids" or "none".
        dropout: probability of losing a value, in training only.
        fused: let PyTorch's own attention work; False: the plain way.

    Raises: TypeError, ValueError for sizes and names that are none.
    Source: Vaswani et al. (2017), section 3; Su et al. (2021).
    """

    def __init__(
        self,
        input_size: int,
        width: int,
        num_layers: int,
        output_size: int,
        heads: int = 4,
        positions: str = "rotations",
        dropout: float = 0.0,
        fused: bool = True,
    ) -> None:
        super().__init__()
        name = "CausalTransformer"
        self.input_size = I = whole(name, "input_size", input_size, 1)
        self.width = E = whole(name, "width", width, 2)
        N = whole(name, "num_layers", num_layers, 1, 1000)
        O = whole(name, "output_size", output_size, 1)
        self.heads = heads = whole(name, "heads", heads, 1)
        if E % (2 * heads):
            raise ValueError(f"{name}: width {E}, {heads} heads: expected a multiple of twice the heads, to turn pairs")
        if positions not in POSITIONS:
            raise ValueError(f"{name}: positions is {positions!r:.60}, expected one of {', '.join(POSITIONS)}")
        self.positions, self.fused = positions, bool(fused)
        dropout = real(name, "dropout", dropout, 0, 1 - 2**-53)
        turns = positions == "rotations"
        self.input = nn.Linear(I, E)
        self.layers = nn.ModuleList(CausalLayer(E, heads, dropout, turns) for _ in range(N))
        self.last = nn.LayerNorm(E)
        self.output = nn.Linear(E, O)

    def forward(
        self, x: Tensor, state: Sequence[tuple[Tensor, Tensor]] | None = None
    ) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """Predict at every step what comes next.

        Args:
            x: inputs, shape (T, B, I).
            state: what the last call returned: keys and values of each
                layer, (B, heads, U, D); None begins anew.

        Returns: outputs y, (T, B, O), and the state with this part added.
        Raises: TypeError, ValueError if a type or shape does not fit.
        """
        past = self._past(x, state)
        h = self.input(x.transpose(0, 1))  # (B, T, E)
        if self.positions == "sinusoids":
            old = 0 if past[0] is None else past[0][0].shape[-2]
            place = old + torch.arange(h.shape[1], device=h.device)
            h = h + sinusoids(place, self.width).to(h.dtype)
        kept = []
        for layer, before in zip(self.layers, past, strict=True):
            h, seen = layer(h, before, self.fused)
            kept.append(seen)
        return self.output(self.last(h)).transpose(0, 1), kept

    def _past(self, x: Tensor, state: Any) -> list:
        """One entry for each layer, or a sentence about what does not fit."""
        name, N = "CausalTransformer", len(self.layers)
        shaped(name, "x", x, "T", "B", self.input_size)
        if state is None:
            return [None] * N
        if not isinstance(state, (list, tuple)) or len(state) != N:
            raise ValueError(f"{name}: state is no list of {N} pairs (k, v)")
        for pair in state:
            if not isinstance(pair, (list, tuple)) or len(pair) != 2:
                raise ValueError(f"{name}: state holds what is no pair (k, v)")
            U, D = pair[0].shape[-2], self.width // self.heads
            for part in pair:
                shaped(name, "state", part, x.shape[1], self.heads, U, D)
        return list(state)


# -- The book's text, at equal minutes --
def text_surprise_in_windows(model: Any, codes: Tensor, length: int = 256) -> Tensor:
    """Nats of each character, (T,), given those before it in a window.

    A window is half of `length` on from the last; its second half counts.
    """
    half = whole("text_surprise_in_windows", "length", length, 2) // 2
    costs = [text_surprise(model, codes[: 2 * half])]
    for start in range(half, len(codes) - half, half):
        part = codes[start : start + 2 * half]
        costs.append(text_surprise(model, part)[half:])
    return torch.cat(costs)


class PenTransformer(PenModel):
    """`HandwritingPredictor` with causal attention instead of LSTM layers."""

    def __init__(
        self,
        width: int = 96,
        num_layers: int = 3,
        mixtures: int = 20,
        mean: Sequence[float] = (0.0, 0.0),
        std: Sequence[float] = (1.0, 1.0),
        heads: int = 4,
        positions: str = "rotations",
    ) -> None:
        super().__init__(mixtures, mean, std)
        self.network = CausalTransformer(3, width, num_layers, 6 * mixtures + 1, heads, positions)
        stroke_start_(self.network.output.bias, mixtures)

    def outputs(self, x: Tensor, lines: Any) -> Tensor:
        """Raw outputs (T, B, 6M + 1) for points x (T, B, 3)."""
        return self.network(x)[0]

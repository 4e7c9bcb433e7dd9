# Generated from book/synthesis.md by tools/export.py. Edit the chapter, not this file.
"""Handwriting, written.

Type a text, and a network writes it by hand.

The chapter book/synthesis.md builds this module and explains each line.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from softattn.handwriting import PenModel, stroke_start_
from softattn.lstm import PeepholeLSTM
from softattn.strokes import PRINTABLE
from softattn.window import WindowLSTM, WindowState

__all__ = ["CODES", "HandwritingSynthesizer", "OTHER", "Written", "encode_texts"]


# -- The network --
OTHER = len(PRINTABLE)  # the code of whatever is not printable ASCII: it can be read, never written
CODES = OTHER + 1  # A


def encode_texts(texts: Sequence[str]) -> Tensor:
    """Turn texts into codes, one row each, -1 behind the shorter ones.

    Args:
        texts: N texts, each of at least one character. What is not printable ASCII gets the code OTHER.

    Returns:
        int64, shape (N, U), U the longest text's length.

    Raises:
        ValueError: if there is no text, or an empty one.
    """
    if not texts or not all(texts):
        raise ValueError(
            f"encode_texts: {list(texts)!r} holds no text or an empty one; give at least one character each"
        )
    rows = [torch.tensor([PRINTABLE.find(char) % CODES for char in text]) for text in texts]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-1)


# -- The network --
class Written(NamedTuple):
    """What a HandwritingSynthesizer predicts, step by step."""

    raw: Tensor  # raw outputs for StrokeMixture, (T, B, 6M + 1)
    phi: Tensor  # the window's weights, (T, B, U)
    kappa: Tensor  # the window's places, (T, B, K)
    state: tuple[WindowState, list[tuple[Tensor, Tensor]]]  # of the layer with the window, and of the layers above


# -- The network --
class HandwritingSynthesizer(PenModel):
    """Predict the next point of a pen from all points before it and the text that it writes.

    Args:
        hidden_size: H, cells per layer.
        num_layers: LSTM layers. The first one looks at the text; all see the pen and what the window sees.
        components: K, bells of the window.
        mixtures: M, bivariate Gaussians in the predictive density.
        mean: mean of dx and dy over the training strokes, in raw units.
        std: their standard deviation, in raw units.
        dropout: probability of losing a hidden value on its way up, in training only.

    Raises:
        ValueError: for sizes below 1, fewer than two mixtures, a dropout that is no probability, or constants that are
            not a pair or not positive.

    Source: Graves (2013), section 5; slide 16.
    """

    def __init__(
        self,
        hidden_size: int = 400,
        num_layers: int = 3,
        components: int = 10,
        mixtures: int = 20,
        mean: Sequence[float] = (0.0, 0.0),
        std: Sequence[float] = (1.0, 1.0),
        dropout: float = 0.0,
    ) -> None:
        super().__init__(mixtures, mean, std)
        if num_layers < 1:
            raise ValueError(f"HandwritingSynthesizer: num_layers = {num_layers}; the window needs at least one layer")
        if not 0 <= dropout < 1:
            raise ValueError(f"HandwritingSynthesizer: dropout = {dropout}; give a probability from 0 to below 1")
        self.dropout = dropout
        self.first = WindowLSTM(3, hidden_size, CODES, components)
        self.layers = nn.ModuleList(PeepholeLSTM(3 + CODES + hidden_size, hidden_size) for _ in range(num_layers - 1))
        self.output = nn.Linear(num_layers * hidden_size, 6 * mixtures + 1)
        stroke_start_(self.output.bias, mixtures)

    def forward(
        self,
        x: Tensor,
        text: Tensor,
        state: tuple[WindowState, list[tuple[Tensor, Tensor]]] | None = None,
        reset: Tensor | None = None,
        rows: Tensor | None = None,
    ) -> Written:
        """Read points and their texts, and predict at each point the one that follows.

        Args:
            x: normalised points, shape (T, B, 3): dx, dy, end of stroke.
            text: codes of N texts from `encode_texts`, shape (N, U); N = B unless `rows` is given.
            state: what the last call returned, to go on from; None begins anew.
            reset: where True, a new line begins; bool, shape (T, B).
            rows: which text each row writes at each step, int64, shape (T, B); None: row b writes text b.

        Returns:
            Raw outputs, the window's weights and places, and the state.

        Raises:
            ValueError: if a shape does not fit, or the state is of another network.
        """
        if text.dim() != 2:
            raise ValueError(f"HandwritingSynthesizer: text has shape {tuple(text.shape)}, expected codes (N, U)")
        if state is not None and len(state[1]) != len(self.layers):
            raise ValueError(
                f"HandwritingSynthesizer: the state is of {len(state[1]) + 1} layers, expected {len(self.layers) + 1}"
            )
        mask = text >= 0
        chars = (text[..., None] == torch.arange(CODES, device=text.device)).to(self.output.weight.dtype)  # (N, U, A)
        look = self.first(x, chars, mask, None if state is None else state[0], reset, rows)
        outputs, above = [nn.functional.dropout(look.h, self.dropout, self.training)], []
        for n, layer in enumerate(self.layers):
            below = torch.cat([x.to(look.w.dtype), look.w, outputs[-1]], dim=-1)
            h, last = layer(below, None if state is None else state[1][n], reset)
            outputs.append(nn.functional.dropout(h, self.dropout, self.training))
            above.append(last)
        return Written(self.output(torch.cat(outputs, dim=-1)), look.phi, look.kappa, (look.state, above))

    def outputs(self, x: Tensor, lines: Sequence) -> Tensor:
        """Raw outputs (T, B, 6M + 1) for normalised points (T, B, 3) of B lines that carry their texts."""
        empty = [i for i, line in enumerate(lines) if not line.text]
        if empty:
            raise ValueError(f"HandwritingSynthesizer: line {empty[0]} has no text; the window needs one to look at")
        return self(x, encode_texts([line.text for line in lines]).to(x.device)).raw

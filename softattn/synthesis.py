# Generated from book/synthesis.md by tools/export.py. Edit the chapter, not this file.
"""Handwriting, written.

Type a text, and a network writes it by hand.

The chapter book/synthesis.md builds this module and explains each line.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from softattn.fused_window import FAR, LIMIT
from softattn.handwriting import PenModel, stroke_start_
from softattn.lstm import PeepholeLSTM
from softattn.mixture import LIMIT_FLOAT32, LIMIT_FLOAT64
from softattn.pen import PRINTABLE
from softattn.prediction import plain_text
from softattn.strokes import Strokes
from softattn.window import WindowLSTM, WindowState

__all__ = [
    "BATCH",
    "BLOCK",
    "CODES",
    "Draft",
    "Handwriting",
    "HandwritingSynthesizer",
    "JUDGED_BY",
    "OTHER",
    "PACE",
    "RATE",
    "TRIES",
    "WIDTH",
    "WritingError",
    "Written",
    "draw",
    "encode_texts",
    "faults",
    "from_pad",
    "graves_end",
    "height",
    "judged_by",
    "passed",
    "slant",
    "styles",
    "wrap",
    "write",
    "writing_pad",
]


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
    # find says -1 for what is not there, and -1 modulo CODES is OTHER, the last code
    rows = [torch.tensor([PRINTABLE.find(char) % CODES for char in text]) for text in texts]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-1)


# -- The network --
class Written(NamedTuple):
    """What a HandwritingSynthesizer predicts, step by step.

    Args:
        raw: raw outputs for StrokeMixture, (T, B, 6M + 1).
        phi: the window's weights, (T, B, U).
        kappa: the window's places, (T, B, K).
        state: of the layer with the window, and (h, c) of each layer above.
    """

    raw: Tensor
    phi: Tensor
    kappa: Tensor
    state: tuple[WindowState, list[tuple[Tensor, Tensor]]]


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
        raw = self.output.bias  # a product per layer: their outputs are not copied side by side
        for h, weight in zip(outputs, self.output.weight.split(look.h.shape[-1], dim=1), strict=True):
            raw = raw + nn.functional.linear(h, weight)
        return Written(raw, look.phi, look.kappa, (look.state, above))

    def outputs(self, x: Tensor, lines: Sequence) -> Tensor:
        """Read points, teacher-forced, each line beside its text.

        Args:
            x: normalised points of B lines, shape (T, B, 3).
            lines: the lines that they belong to; their texts are read.

        Returns:
            Raw outputs, shape (T, B, 6M + 1), for StrokeMixture.

        Raises:
            ValueError: if a line has no text.
        """
        empty = [i for i, line in enumerate(lines) if not line.text]
        if empty:
            raise ValueError(f"HandwritingSynthesizer: line {empty[0]} has no text; the window needs one to look at")
        return self(x, encode_texts([line.text for line in lines]).to(x.device)).raw


# -- One point at a time --
class _Stepper:
    """The network one step at a time, without gradients: what a writer needs.

    All that the layers read stands in one column for each line: h1, x, w, h2, h3, ...

    Args:
        model: the synthesizer.
        text: codes of B texts, shape (B, U), -1 behind the shorter ones.
        state: (WindowState, [(h, c), ...]) to go on from, each (B, ...).
        low: bfloat16 products, but for the window's.
    """

    def __init__(self, model, text: Tensor, state, low: bool):
        (look, above), exact = state, model.output.weight.dtype
        self.dtype = torch.bfloat16 if low else exact
        layers, H = [model.first, *model.layers], model.first.hidden_size
        used = text[text >= 0].unique()  # (A',): letters that occur
        A = len(used)
        size = 3 + A + H * len(layers)
        self.x, self.w = slice(H, H + 3), slice(H + 3, H + 3 + A)
        self.h = [slice(0, H), *(slice(at, at + H) for at in range(H + 3 + A, size, H))]
        self.reads = [slice(H if n > 1 else 0, h.stop if n else self.w.stop) for n, h in enumerate(self.h)]
        self.weights = []
        for n, layer in enumerate(layers):
            weight = layer.bias.new_zeros(size, 4 * H)
            if n == 0:
                weight[self.x], weight[self.w] = layer.weight_x, layer.weight_w[used]
            else:
                pen, letters, weight[self.h[n - 1]] = layer.weight_x.split([3, CODES, H])
                weight[self.x], weight[self.w] = pen, letters[used]
            weight[self.h[n]] = layer.weight_h
            self.weights.append(weight[self.reads[n]].t())
        output = model.output.weight.new_zeros(len(model.output.bias), size)
        for h, part in zip(self.h, model.output.weight.split(H, 1), strict=True):
            output[:, h] = part
        # bfloat16 products are slow where rows are not contiguous; float32 ones do not mind
        self.weights = [w.to(self.dtype).contiguous() if low else w for w in [*self.weights, output]]
        self.biases = [layer.bias.to(self.dtype)[:, None] for layer in [*layers, model.output]]
        self.peepholes = [(layer.peephole[:2, :, None], layer.peephole[2][:, None]) for layer in layers]
        self.window = model.first.window.bias[:, None], model.first.window.weight.t()
        codes = torch.searchsorted(used, text).masked_fill(text < 0, A)  # A: no character
        self.codes = nn.functional.pad(codes, (0, 1), value=A).t()  # (U + 1, B), the end of the longest too
        self.u = torch.arange(1, len(self.codes) + 1, dtype=exact, device=text.device)[:, None]
        self.cells = [c.t().clone() for c in (look.c, *(c for _, c in above))]
        self.kappa = look.kappa.t()  # (K, B)
        column = [look.h, look.h.new_zeros(len(text), 3), look.w[:, used], *(h for h, _ in above)]
        self._hold(torch.cat(column, 1).to(self.dtype).t())

    def _hold(self, column: Tensor) -> None:
        """Take up a column (rows, B), and make room for what each step overwrites."""
        self.column, B = column.contiguous(), column.shape[1]
        self.starts = [bias.expand(-1, B).contiguous() for bias in self.biases]
        self.product = torch.empty_like(self.starts[0])  # z, as the product gives it
        self.z = self.product.to(self.kappa.dtype)  # and as the gates take it; the same memory if of one type
        self.gates = self.z.view(4, -1, B)
        self.seen = self.kappa.new_empty(self.w.stop - self.w.start + 1, B)

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows of the batch alone."""
        self.codes, self.kappa = self.codes[:, rows], self.kappa[:, rows]
        self.cells = [c[:, rows] for c in self.cells]
        self._hold(self.column[:, rows])

    def _cell(self, n: int) -> Tensor:
        """Layer n reads its stretch of the column; returns its new h (H, B), which takes the old one's place there."""
        torch.addmm(self.starts[n], self.weights[n], self.column[self.reads[n]], out=self.product)
        if self.z is not self.product:
            self.z.copy_(self.product)
        (i, f, g, o), c, (both, last) = self.gates, self.cells[n], self.peepholes[n]
        self.gates[:2].addcmul_(c, both).sigmoid_()  # the gates that see the cell before it changes
        c.mul_(f).addcmul_(i, g.tanh_())
        o.addcmul_(c, last).sigmoid_()
        h = o.mul_(torch.tanh(c))
        self.column[self.h[n]] = h
        return h

    def step(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Read points x (3, B); raw outputs (6M + 1, B) and phi (U + 1, B), one place beyond the text."""
        self.column[self.x] = x
        h = self._cell(0)
        raw = torch.addmm(self.window[0], self.window[1], h).clamp_(max=LIMIT).view(3, len(self.kappa), 1, -1)
        beta, pace = raw[1:].exp_()
        self.kappa = self.kappa + pace[:, 0]
        distance = self.kappa[:, None] - self.u  # (K, U + 1, B)
        phi = torch.addcmul(raw[0], beta, distance.square_(), value=-1).clamp_(min=-FAR).exp_().sum(0)
        self.seen.zero_().scatter_add_(0, self.codes, phi)  # phi @ chars, each row of which is a single 1
        self.column[self.w] = self.seen[:-1]
        for n in range(1, len(self.cells)):
            self._cell(n)
        out = torch.addmm(self.starts[-1], self.weights[-1], self.column)
        return out.to(self.kappa.dtype), phi


# -- One point at a time --
def _point(raw: Tensor, bias: Tensor, noise: Tensor) -> Tensor:
    """Draw points (3, B) from raw outputs (6M + 1, B) with biases (B,) and numbers (4, B), as StrokeMixture.sample."""
    M, limit = len(raw) // 6, LIMIT_FLOAT64 if raw.dtype == torch.float64 else LIMIT_FLOAT32
    ladder = torch.softmax(raw[1 : M + 1] * (1 + bias), 0).cumsum(0)  # eq. 62 of Graves
    chosen = (ladder / ladder[-1] <= noise[0]).sum(0)  # (B,)
    own = raw[M + 1 :].view(5, M, -1).gather(1, chosen.expand(5, 1, -1))[:, 0]
    wide = own[2:].clamp(-limit, limit)
    sigma, rho = torch.exp(wide[:2] - bias), torch.tanh(wide[2])  # eq. 61
    turned = torch.addcmul(rho * noise[2], torch.sqrt(1 - rho.square()), noise[3])
    offset = torch.addcmul(own[:2], sigma, torch.stack([noise[2], turned]))
    return torch.cat([offset, (noise[1] < torch.sigmoid(-raw[:1])).to(raw)])


# -- The pen goes down --
@dataclass(frozen=True, eq=False, repr=False)
class Handwriting(Strokes):
    """A line or a page that a HandwritingSynthesizer wrote: Strokes, and how they came about.

    Args:
        offsets, text, source, char_index: as in Strokes.
        seed: what to pass as `seed` to write the same again.
        redraws: lines that were thrown away before those of this text were accepted.
        windows: for each line of the page, its phi (points, characters) and where in `text` its characters stand.
    """

    seed: int | None = None
    redraws: int = 0
    windows: tuple[tuple[Tensor, Tensor], ...] = ()

    @property
    def attention(self) -> Tensor:
        """The window's weights phi after each point, shape (T, U), U the characters of the text.

        Put together when asked for: a page of 10,000 characters fills 8 GB.
        """
        whole, row = torch.zeros(len(self), len(self.text)), 0
        for phi, place in self.windows:
            whole[row : row + len(phi), place] = phi
            row += len(phi)
        return whole

    def to_json(self, **notes: Any) -> str:
        """As that of Strokes, with the seed and the redraws."""
        return super().to_json(seed=self.seed, redraws=self.redraws, **notes)


class Draft(NamedTuple):
    """One attempt at a line, before anyone has judged it.

    Args:
        strokes: the ink, in raw units.
        phi: the window's weights after each point, one place beyond the text, (T, U + 1).
        ended: whether the stop rule ended it, rather than the limit of points.
    """

    strokes: Strokes
    phi: Tensor
    ended: bool


# -- The pen goes down --
def graves_end(phi: Tensor, lengths: Tensor) -> Tensor:
    """Graves' rule: a line has ended when the window weighs the place after its text more than any character.

    Args:
        phi: weights of the places 1, 2, ..., shape (B, at least the longest length + 1).
        lengths: characters of each text, shape (B,).

    Returns:
        bool, shape (B,).

    Source: Graves (2013), section 5.3.
    """
    beyond = phi.gather(1, lengths[:, None])[:, 0]
    place = torch.arange(phi.shape[1], device=phi.device)
    return beyond > phi.masked_fill(place >= lengths[:, None], 0).amax(1)


# -- The pen goes down --
BLOCK = 8  # points that are drawn between two looks at which lines have ended


@torch.no_grad()
def draw(
    model: HandwritingSynthesizer,
    texts: Sequence[str],
    seeds: Sequence[int],
    bias: float | Sequence[float] = 0.0,
    primes: Sequence[Strokes] | None = None,
    rule: str = "lift",
    low: bool | None = None,
) -> list[Draft]:
    """Write one line for each text, all side by side.

    Args:
        model: the synthesizer.
        texts: B texts of printable ASCII.
        seeds: one for each line; a line does not depend on its neighbours.
        bias: Graves' b: 0 draws from the prediction as it stands; more prefers the probable. A number, or one per line.
        primes: a line to read before each text, with its own text: its hand is taken up.
        rule: when a line has ended. "graves": at his rule. "lift": at the first lift of the pen from where the window
            weighs the place behind the text more than all its characters together, or where it has left both.
        low: bfloat16 products. None: for more than 8 lines on a CPU, where they are faster.

    Returns:
        B drafts. None is longer than 60 points per character and 200 more.

    Raises:
        ValueError: if the numbers of texts, seeds, primes and biases differ, or the rule is unknown.

    Source: Graves (2013), sections 5.3 to 5.5.
    """
    if len(texts) != len(seeds) or (primes is not None and len(primes) != len(texts)):
        counts = f"{len(texts)} texts, {len(seeds)} seeds" + ("" if primes is None else f", {len(primes)} primes")
        raise ValueError(f"draw: {counts}; give each text its seed, and each a prime or none at all")
    if rule not in ("graves", "lift"):
        raise ValueError(f"draw: rule is {rule!r}, expected 'graves' or 'lift'")
    device, dtype = model.mean.device, model.output.weight.dtype
    bias = torch.as_tensor(bias, dtype=dtype, device=device)
    if bias.shape not in ((), (len(texts),)):
        raise ValueError(
            f"draw: bias has shape {tuple(bias.shape)}, expected a number or one for each of {len(texts)} lines"
        )
    bias = bias.expand(len(texts))
    low = len(texts) > 8 and device.type == "cpu" if low is None else low
    before = [""] * len(texts) if primes is None else [prime.text + " " for prime in primes]
    text = encode_texts([b + t for b, t in zip(before, texts, strict=True)]).to(device)  # (B, U)
    skip = torch.tensor([len(b) for b in before], device=device)
    lengths = (text >= 0).sum(1)
    own = torch.arange(text.shape[1] + 1, device=device) <= lengths[:, None]  # its characters and the place behind
    limits = torch.tensor([200 + 60 * len(line) for line in texts], device=device)
    steps = BLOCK * (int(limits.max()) // BLOCK + 1)
    noise = torch.stack([_noise(seed, steps) for seed in seeds], 2).to(device, dtype)  # (steps, 4, B)

    x, state = _read(model, text, primes)
    x, stepper = x.t(), _Stepper(model, text, state, low)
    points = torch.zeros(steps + 1, len(texts), 3, dtype=dtype, device=device)
    phis = torch.zeros(steps, len(texts), text.shape[1] + 1, dtype=dtype, device=device)
    took, rows = limits.clone(), torch.arange(len(texts), device=device)
    over, ended = torch.zeros(2, len(texts), dtype=torch.bool, device=device)
    with torch.inference_mode():  # less bookkeeping than no_grad
        for start in range(0, steps, BLOCK):
            block, xs, looks, b = slice(start, start + BLOCK), [x], [], bias[rows]
            for numbers in noise[block, :, rows].unbind():
                raw, phi = stepper.step(xs[-1])
                xs.append(_point(raw, b, numbers))
                looks.append(phi)
            x, pen, seen = xs[-1], torch.stack(xs).mT, torch.stack(looks).mT  # (BLOCK + 1, B, 3), (BLOCK, B, U + 1)
            points[start + 1 : start + BLOCK + 1, rows], phis[block, rows] = pen[1:], seen
            heard = (seen * own[rows]).sum(2)  # of the text and the place behind, (BLOCK, B)
            if rule == "graves":
                past = graves_end(seen.flatten(0, 1), lengths[rows].repeat(BLOCK)).view(BLOCK, -1)
            else:
                past = 2 * seen.gather(2, lengths[rows].expand(BLOCK, -1)[..., None])[..., 0] > heard
            past[0] &= start > 0  # the first look is before any ink
            end = over[rows] | (past.cumsum(0) > 0)
            over[rows] = end[-1]
            if rule == "lift":
                end = end & ((pen[:-1, :, 2] > 0) | (heard < 1e-3))
            done = end | (limits[rows] == torch.arange(start, start + BLOCK, device=device)[:, None])
            gone, first = done.any(0), done.byte().argmax(0)
            if gone.any():
                took[rows[gone]] = start + first[gone]
                ended[rows[gone]] = end.gather(0, first[None])[0, gone]
                rows, x = rows[~gone], x[:, ~gone]
                if len(rows) == 0:
                    break
                stepper.keep(~gone)
    first = 0 if primes is None else 1  # after a prime the pen jumps to its first point
    offsets = points.mul_(model.std).add_(torch.cat([model.mean[:2], model.mean.new_zeros(1)])).cpu()
    drafts = []
    for b, (line, n) in enumerate(zip(texts, took.tolist(), strict=True)):
        ink = offsets[first : n + 1, b].clone()
        ink[0, :2], ink[-1, 2] = 0, 1
        window = phis[first : n + 1, b, skip[b] : lengths[b] + 1].cpu()
        drafts.append(Draft(Strokes(ink, line, "written by HandwritingSynthesizer"), window, bool(ended[b])))
    return drafts


def _noise(seed: int, steps: int) -> Tensor:
    """Two uniform and two normal numbers for each step, shape (steps, 4), always the same for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.rand(steps, 4, generator=generator, dtype=torch.float64)
    # each step takes four numbers in turn, so that more steps continue the same sequence
    radius = torch.sqrt(-2 * torch.log1p(-numbers[:, 2:3]))
    angle = 2 * math.pi * numbers[:, 3:]
    return torch.cat([numbers[:, :2], radius * torch.cos(angle), radius * torch.sin(angle)], 1)


def _read(model: HandwritingSynthesizer, text: Tensor, primes: Sequence[Strokes] | None) -> tuple[Tensor, tuple]:
    """The first point to go on from (B, 3), and the state before it; primes are read, all ending together."""
    B, H = len(text), model.first.hidden_size
    zeros = model.output.weight.new_zeros
    start = model.first.start(B), [(zeros(B, H), zeros(B, H)) for _ in model.layers]
    if primes is None:
        return model.normalise(zeros(B, 3)), start
    steps = max(len(prime) for prime in primes)
    x, reset = zeros(steps, B, 3), torch.zeros(steps, B, dtype=torch.bool, device=text.device)
    for b, prime in enumerate(primes):
        x[steps - len(prime) :, b] = prime.offsets.to(x)
        reset[steps - len(prime), b] = True  # what stands before a shorter prime is forgotten
    x = model.normalise(x)
    if steps == 1:
        return x[-1], start
    look, above = model(x[:-1], text, None, reset[:-1]).state
    for part in (*look, *(part for pair in above for part in pair)):
        part[reset[-1]] = 0  # a prime of one point: nothing stands before it
    return x[-1], (look, above)


# -- And is it complete? --
JUDGED_BY = "weights"  # what `passed` compares: "weights", phi as it is, or "shares", phi over its sum at each moment


def passed(phi: Tensor, by: str = JUDGED_BY) -> Tensor:
    """Which characters the window passed over: those whose largest value over time is half of anybody's at least.

    Args:
        phi: the window's weights over time, shape (T, U).
        by: which values. "weights": phi itself. "shares": phi divided by its sum at that moment; a window whose weights
            sum to less than 0.1 shares that little.

    Returns:
        bool, shape (U,).

    Raises:
        ValueError: for other values.
    """
    if by not in ("weights", "shares"):
        raise ValueError(f"passed: by is {by!r}, expected 'weights' or 'shares'")
    if by == "shares":
        phi = phi / phi.sum(1, keepdim=True).clamp(min=0.1)
    peak = phi.amax(0)
    return peak >= 0.5 * peak.amax()


def judged_by(model: HandwritingSynthesizer) -> str:
    """How lines of these weights are judged: what their card says, else JUDGED_BY.

    Args:
        model: the network that wrote them.

    Returns:
        "weights" or "shares", as `passed` takes it.
    """
    return getattr(model, "card", {}).get("judged_by", JUDGED_BY)


def faults(draft: Draft, by: str = JUDGED_BY) -> str:
    """What is wrong with a line, in words.

    A line is accepted when the stop rule ended it and the window passed over every character, in their order.

    Args:
        draft: one attempt at a line.
        by: the values that `passed` compares.

    Returns:
        The first fault that is found; "" if the line is accepted.
    """
    U = len(draft.strokes.text)
    if not draft.ended:
        return "the pen ran on behind the text"
    phi = draft.phi[:, :U]
    missed = [f"{draft.strokes.text[u]!r} (character {u})" for u in (~passed(phi, by)).nonzero()[:, 0].tolist()]
    if missed:
        return f"the window passed over {', '.join(missed)} too lightly"
    if (phi.argmax(0).diff() < 0).any():
        return "the window saw characters out of their order"
    return ""


# -- What it buys, and what it costs --
def slant(line: Strokes) -> float:
    """How far the strokes that go down lean to the right.

    Args:
        line: the ink.

    Returns:
        A tangent: 0 is upright, also where no stroke goes down.
    """
    steps, paper = line.offsets[1:, :2], line.offsets[:-1, 2] == 0
    down = paper & (steps[:, 1] > steps[:, 0].abs())  # 45 degrees at most
    return (-steps[down, 0].sum() / steps[down, 1].sum().clamp(min=1)).item()


def height(line: Strokes) -> float:
    """How high the ink is, without the highest and the lowest fiftieth of its points.

    Args:
        line: the ink.

    Returns:
        The height in raw units.
    """
    y = line.to_absolute()[:, 1]
    return (y.quantile(0.98) - y.quantile(0.02)).item()


# -- Hands that come along --
def styles() -> dict[str, Strokes]:
    """The priming lines that come with the weights: lines that the model wrote itself, each in another hand.

    Returns:
        name -> Strokes with their text.
    """
    stored = json.loads((resources.files("softattn") / "data" / "styles.json").read_text("utf-8"))
    return {name: Strokes(line["offsets"], line["text"], f"style {name}") for name, line in stored["styles"].items()}


# -- Your own hand --
RATE = 100.0  # points per second in IAM-OnDB
WIDTH = 8.25 * 20.92  # raw units per character: mean step times points per character
PACE = (12.0, 35.0)  # points per character; who is slower or faster is brought to these bounds


def from_pad(trace: Sequence, text: str) -> Strokes:
    """Turn what a pad recorded into strokes as the corpus has them.

    Args:
        trace: x, y, time in seconds, end (1 where the pen lifts after the point); shape (N, 4), y down, any unit of
            length.
        text: what was written.

    Returns:
        Strokes at 100 points a second, scaled to the corpus' width of a character. Whoever writes faster or slower
        than anyone does with a pen (a mouse is slow) is brought to the bounds of PACE.

    Raises:
        ValueError: if there is no text, the trace is not (N, 4) with at least two points or not finite, time runs
            backwards, or the ink has no width.
    """
    rows = torch.as_tensor(trace, dtype=torch.float64)
    if not text.strip():
        raise ValueError("from_pad: no text; say what was written")
    if rows.dim() != 2 or rows.shape[1] != 4 or len(rows) < 2:
        raise ValueError(
            f"from_pad: the trace has shape {tuple(rows.shape)}, expected (N, 4): x, y, seconds, end; N > 1"
        )
    if not rows.isfinite().all() or (rows[:, 2].diff() < 0).any():
        raise ValueError("from_pad: every number must be finite, and time must not run backwards")
    width = (rows[:, 0].amax() - rows[:, 0].amin()).item()
    if width == 0:
        raise ValueError("from_pad: all points stand above each other; write from left to right")
    pieces = torch.tensor_split(rows, (rows[:-1, 3] == 1).nonzero()[:, 0] + 1)
    seconds = sum((piece[-1, 2] - piece[0, 2]).item() for piece in pieces)  # pen on paper
    pace = RATE * seconds / len(text)
    stretch = min(max(pace, PACE[0]), PACE[1]) / pace if pace > 0 else 1.0
    points, ends = [], []
    for piece in pieces:
        clock = (piece[:, 2] - piece[0, 2]).numpy() * stretch
        ticks = np.arange(int(clock[-1] * RATE + 1e-3) + 1) / RATE
        points.append(np.stack([np.interp(ticks, clock, piece[:, axis].numpy()) for axis in (0, 1)], 1))
        ends += [0] * (len(ticks) - 1) + [1]
    scale = WIDTH * len(text) / width
    return Strokes.from_absolute(scale * np.concatenate(points), np.array(ends), text, "a pad")


# -- Your own hand --
def writing_pad(text: str = "some other hand") -> Any:
    """A pad to write on, for a live notebook: mouse, pen or finger.

    Args:
        text: what is to be written.

    Returns:
        An anywidget; what was written stands in `.strokes`, None while the pad is empty.
    """
    import anywidget
    import traitlets

    from softattn.pictures import demo_source

    class Pad(anywidget.AnyWidget):
        _esm = demo_source("pad")
        text = traitlets.Unicode("").tag(sync=True)
        trace = traitlets.List([]).tag(sync=True)

        @property
        def strokes(self) -> Strokes | None:
            return from_pad(self.trace, self.text) if len(self.trace) > 1 else None

    return Pad(text=text)


# -- The call to remember --
def _check_writable(text: str) -> None:
    """Raise ValueError unless `text` is printable ASCII and line breaks, and holds something to write."""
    if not isinstance(text, str):
        raise ValueError(f"write: text is {type(text).__name__}, expected a string or a list of strings")
    if not text.strip():
        raise ValueError(f"write: {text!r} holds nothing to write; give one character at least that is not a space")
    strange = sorted({char for char in text if char not in PRINTABLE and char != "\n"})
    if strange:
        hints = []
        for char in strange:
            plain = plain_text(char)
            known = plain.strip() and all(c in PRINTABLE for c in plain)
            hints.append(f"{char!r} (U+{ord(char):04X}" + (f": write {plain!r})" if known else ")"))
        raise ValueError(f"write: the pen knows printable ASCII and line breaks; not {', '.join(hints)}")


def wrap(text: str, columns: int) -> list[str]:
    """Break a text into lines at its spaces and line breaks.

    Args:
        text: the text.
        columns: characters on a line at most; longer words are cut.

    Returns:
        The lines, none of them empty.
    """
    lines = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split():
            if line and len(line) + 1 + len(word) > columns:
                lines.append(line)
                line = ""
            while len(word) > columns:
                lines.append(word[:columns])
                word = word[columns:]
            line = f"{line} {word}".strip()
        if line:
            lines.append(line)
    return lines


# -- The call to remember --
class WritingError(RuntimeError):
    """No attempt at a line was accepted.

    Args:
        message: what was tried and what was wrong.
        best: the attempt that came nearest, kept as `.best`; its text is `.text`.
    """

    def __init__(self, message: str, best: Draft):
        super().__init__(message)
        self.best, self.text = best, best.strokes.text


def _check_prime(model: HandwritingSynthesizer, prime: Strokes) -> None:
    """Raise ValueError unless the strokes of a priming line can be those of its text."""
    if not isinstance(prime, Strokes) or not prime.text.strip():
        raise ValueError(f"write: prime is {prime!r}, expected Strokes with the text that they write")
    _check_writable(prime.text)
    pace = len(prime) / len(prime.text)
    if not 4 <= pace <= 100:
        raise ValueError(
            f"write: the priming line has {len(prime)} points for {len(prime.text)} characters, {pace:.1f} each; "
            "handwriting has between 4 and 100, about 22: does the text fit, and is the pen sampled at 100 Hz?"
        )
    codes = encode_texts([prime.text]).to(model.mean.device)
    with torch.no_grad():
        phi = model(model.normalise(prime.offsets.to(model.mean))[:, None], codes).phi[:, 0]  # (T, U)
    seen = int(phi[-1].argmax()) + 1
    if seen < 0.6 * len(prime.text):
        raise ValueError(
            f"write: when the priming line ended, the window was at character {seen} of {len(prime.text)}; "
            f"do its strokes write {prime.text!r}?"
        )


# -- The call to remember --
BATCH = 64  # lines written side by side
TRIES = 10  # attempts at a line before write gives up


def _lines(
    model: HandwritingSynthesizer,
    texts: list[str],
    seeds: list[int],
    primes: list[Strokes] | None,
    bias: float,
    tell: Callable[[int], object],
) -> tuple[list[Draft], list[int]]:
    """Write lines until each is accepted; the drafts, and how often each was drawn again."""
    accepted, redraws = [None] * len(texts), [0] * len(texts)
    nearest: list[Draft | None] = [None] * len(texts)
    by = judged_by(model)
    waiting = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # lines of one length finish together
    while waiting:
        now, waiting = waiting[:BATCH], waiting[BATCH:]
        tried = [seeds[i] + 1_000_003 * redraws[i] for i in now]
        drafts = draw(model, [texts[i] for i in now], tried, bias, primes and [primes[i] for i in now])
        for i, draft in zip(now, drafts, strict=True):
            fault = faults(draft, by)
            if not fault:
                accepted[i] = draft
                tell(1)
                continue
            if nearest[i] is None or len(fault) < len(faults(nearest[i], by)):
                nearest[i] = draft
            redraws[i] += 1
            if redraws[i] == TRIES:
                raise WritingError(
                    f"write: {TRIES} attempts at {texts[i]!r} failed, in the best of them {faults(nearest[i], by)}; "
                    "try another seed, more bias or another style (the attempt is the error's `best`)",
                    nearest[i],
                )
            waiting.append(i)
    return accepted, redraws


# -- The call to remember --
def _page(lines: list[Draft], text: str, seed: int, redraws: int) -> Handwriting:
    """Set lines one below the other, as one piece of handwriting."""
    windows, papers, at = [], [line.strokes.to_absolute() for line in lines], 0
    for line in lines:  # where each character of each line stands in the text
        places = []
        for char in line.strokes.text:
            at = text.index(char, at) + 1
            places.append(at - 1)
        windows.append((line.phi[:, :-1], torch.tensor(places)))
    pitch = 1.3 * max(height(line.strokes) for line in lines)
    for n, paper in enumerate(papers):
        paper[:, 0] -= paper[:, 0].amin()
        paper[:, 1] += n * pitch - paper[:, 1].median()
    page = Strokes.from_absolute(torch.cat(papers))
    return Handwriting(page.offsets, text, f"softattn.write, seed {seed}", None, seed, redraws, tuple(windows))


def write(
    text: str | Sequence[str],
    bias: float = 0.75,
    style: str | None = None,
    prime: Strokes | None = None,
    seed: int | None = None,
    *,
    model: HandwritingSynthesizer | None = None,
    columns: int = 48,
    progress: bool = False,
) -> Handwriting | list[Handwriting]:
    """Write a text by hand.

    A line is accepted when the window passed over every character in order and the stop rule ended it; otherwise it is
    drawn again, up to ten times. Text longer than `columns` is wrapped at word ends into the lines of a page; all lines
    of a page are in one hand: that of the prime, or else that of its first line.

    Args:
        text: printable ASCII and line breaks, of any length. A list is written in one batch.
        bias: 0 is as varied as the training data; more is neater. At least 0.
        style: name of a priming line that comes with the weights, one of `styles()`.
        prime: a line in the hand to write in, with its text, in raw units; instead of `style`.
        seed: the same seed writes the same; None draws one and says which, as `.seed`. Text n of a list has seed + n.
        model: the synthesizer; None loads "synthesis".
        columns: characters per line, at least 8.
        progress: whether to show a progress bar.

    Returns:
        The handwriting, with `.attention` (T, U), `.seed` and `.redraws`; a list for a list.

    Raises:
        ValueError: for a text that cannot be written, a bias below 0 or not finite, a style that is not there, a prime
            that is not a line of its text, or both a style and a prime.
        WritingError: if ten attempts at a line were not accepted; the best of them is attached.

    Source: Graves (2013), sections 5.3 to 5.5; slides 16, 19-20.
    """
    if not isinstance(text, (str, Sequence)):
        raise ValueError(f"write: text is {type(text).__name__}, expected a string or a list of strings")
    single = isinstance(text, str)
    texts = [text] if single else list(text)
    if not texts:
        raise ValueError("write: the list holds no text; give at least one")
    for each in texts:
        _check_writable(each)
    if not 0 <= bias < math.inf:
        raise ValueError(f"write: bias is {bias}, expected a number of at least 0; 0.75 is neat, 0 is free")
    if columns < 8:
        raise ValueError(f"write: columns is {columns}, expected at least 8 characters per line")
    if style is not None and prime is not None:
        raise ValueError(f"write: both style {style!r} and a prime are given; choose one")
    if model is None:
        from softattn import load

        model = load("synthesis")
    if style is not None:
        known = styles()
        if style not in known:
            raise ValueError(f"write: there is no style {style!r}, expected one of {', '.join(known)}")
        prime = known[style]
    if prime is not None:
        _check_prime(model, prime)
    if seed is None:
        seed = torch.seed() % 2**31
    pages = [wrap(each, columns) for each in texts]
    with tqdm(total=sum(map(len, pages)), unit="line", disable=not progress) as bar:
        # the first lines set the hand of those below them
        firsts = [page[0] for page in pages]
        drafts, redraws = _lines(
            model, firsts, [seed + n for n in range(len(texts))], prime and [prime] * len(firsts), bias, bar.update
        )
        rest = [(n, i) for n, page in enumerate(pages) for i in range(1, len(page))]
        hands = [prime or drafts[n].strokes for n, _ in rest]
        below, again = _lines(
            model, [pages[n][i] for n, i in rest], [seed + n + 7919 * i for n, i in rest], hands, bias, bar.update
        )
    written = []
    for n, each in enumerate(texts):
        mine = [k for k, (owner, _) in enumerate(rest) if owner == n]
        lines = [drafts[n], *(below[k] for k in mine)]
        written.append(_page(lines, each, seed + n, redraws[n] + sum(again[k] for k in mine)))
    return written[0] if single else written

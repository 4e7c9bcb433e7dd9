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
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from softattn.handwriting import PenModel, stroke_start_
from softattn.lstm import PeepholeLSTM, _open_gates
from softattn.mixture import StrokeMixture
from softattn.prediction import plain_text
from softattn.strokes import PRINTABLE, Strokes
from softattn.window import FAR, LIMIT, WindowLSTM, WindowState

__all__ = [
    "BATCH",
    "CODES",
    "Draft",
    "Handwriting",
    "HandwritingSynthesizer",
    "OTHER",
    "TRIES",
    "WritingError",
    "Written",
    "draw",
    "encode_texts",
    "faults",
    "graves_end",
    "passed",
    "styles",
    "wrap",
    "write",
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


# -- One step at a time --
class _Stepper:
    """The network one step at a time, without gradients: what a writer needs.

    Args:
        model: the synthesizer.
        text: codes of B texts, shape (B, U), -1 behind the shorter ones.
        state: (WindowState, [(h, c), ...]) to go on from, each (B, ...).
        low: bfloat16 products.
    """

    def __init__(self, model, text: Tensor, state, low: bool):
        first, (look, above) = model.first, state
        exact = model.output.weight.dtype
        self.dtype = torch.bfloat16 if low else exact
        layers = [first, *model.layers]
        self.H, self.K = first.hidden_size, first.window.components
        # each layer reads one row: what comes from outside, then its own h
        self.weights = [
            torch.cat([m.weight_x, m.weight_h] if n else [m.weight_x, m.weight_w, m.weight_h]).to(self.dtype)
            for n, m in enumerate(layers)
        ]
        self.biases = [m.bias.to(self.dtype) for m in layers]
        self.peepholes = [m.peephole for m in layers]
        self.window = first.window.weight.to(self.dtype), first.window.bias
        self.output = model.output.weight.t().contiguous().to(self.dtype), model.output.bias
        text = nn.functional.pad(text, (0, 1), value=-1)  # one place more: the end of the longest text
        self.chars = (text[..., None] == torch.arange(CODES, device=text.device)).to(exact)  # (B, U + 1, A)
        self.u = torch.arange(1, text.shape[1] + 1, dtype=exact, device=text.device)
        self.cells = [look.c, *(c for _, c in above)]
        self.kappa, self.w = look.kappa, look.w.to(exact)
        self.hidden = [look.h.to(self.dtype), *(h.to(self.dtype) for h, _ in above)]

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows of the batch alone."""
        self.chars, self.kappa, self.w = self.chars[rows], self.kappa[rows], self.w[rows]
        self.cells = [c[rows] for c in self.cells]
        self.hidden = [h[rows] for h in self.hidden]

    def _cell(self, n: int, *parts: Tensor) -> Tensor:
        """Layer n reads the parts and its own h; returns its new h."""
        row = torch.cat([part.to(self.dtype) for part in parts] + [self.hidden[n]], 1)
        z = torch.addmm(self.biases[n], row, self.weights[n]).to(self.kappa.dtype).view(len(row), 4, self.H)
        c = self.cells[n] = _open_gates(z, self.cells[n], self.peepholes[n], torch.empty_like(self.cells[n]))
        h = self.hidden[n] = (torch.tanh(c) * z[:, 3]).to(self.dtype)
        return h

    def step(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Read points x (B, 3); raw outputs (B, 6M + 1) and phi (B, U + 1), one place beyond the text."""
        hidden = [self._cell(0, x, self.w)]
        raw = (hidden[0] @ self.window[0]).to(self.kappa.dtype).add_(self.window[1])
        alpha, beta, pace = raw.clamp_(max=LIMIT).exp_().chunk(3, 1)
        self.kappa = self.kappa + pace
        bells = (self.kappa[..., None] - self.u).square_().mul_(beta[..., None]).clamp_(max=FAR).neg_().exp_()
        phi = torch.bmm(alpha[:, None], bells)  # (B, 1, U + 1)
        self.w = torch.bmm(phi, self.chars)[:, 0]
        for n in range(1, len(self.weights)):
            hidden.append(self._cell(n, x, self.w, hidden[-1]))
        out = torch.cat(hidden, 1) @ self.output[0]
        return out.to(self.kappa.dtype).add_(self.output[1]), phi[:, 0]


# -- The pen goes down --
@dataclass(frozen=True, eq=False, repr=False)
class Handwriting(Strokes):
    """A line or a page that a HandwritingSynthesizer wrote: Strokes, and how they came about.

    Args:
        attention: the window's weights phi after each point, shape (T, U), U the characters of the text.
        seed: what to pass as `seed` to write the same again.
        redraws: lines that were thrown away before those of this text were accepted.
    """

    attention: Tensor | None = None
    seed: int | None = None
    redraws: int = 0


class Draft(NamedTuple):
    """One attempt at a line, before anyone has judged it."""

    strokes: Strokes  # raw units
    phi: Tensor  # the window's weights after each point, one place beyond the text: (T, U + 1)
    ended: bool  # whether the stop rule ended it, rather than the limit of points


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
@torch.no_grad()
def draw(
    model: HandwritingSynthesizer,
    texts: Sequence[str],
    seeds: Sequence[int],
    bias: float = 0.0,
    primes: Sequence[Strokes] | None = None,
    rule: str = "lift",
    low: bool | None = None,
) -> list[Draft]:
    """Write one line for each text, all side by side.

    Args:
        model: the synthesizer.
        texts: B texts of printable ASCII.
        seeds: one for each line; a line does not depend on its neighbours.
        bias: Graves' b: 0 draws from the prediction as it stands; more prefers the probable.
        primes: a line to read before each text, with its own text: its hand is taken up.
        rule: when a line has ended. "graves": at his rule. "lift": at the first lift of the pen from there on, or
            where the window has left the text altogether.
        low: bfloat16 products. None: for more than 8 lines on a CPU, where they are faster.

    Returns:
        B drafts. None is longer than 60 points per character and 200 more.

    Raises:
        ValueError: if the numbers of texts, seeds and primes differ, or the rule is unknown.

    Source: Graves (2013), sections 5.3 to 5.5.
    """
    if len(texts) != len(seeds) or (primes is not None and len(primes) != len(texts)):
        counts = f"{len(texts)} texts, {len(seeds)} seeds" + ("" if primes is None else f", {len(primes)} primes")
        raise ValueError(f"draw: {counts}; give each text its seed, and each a prime or none at all")
    if rule not in ("graves", "lift"):
        raise ValueError(f"draw: rule is {rule!r}, expected 'graves' or 'lift'")
    device, dtype = model.mean.device, model.output.weight.dtype
    low = len(texts) > 8 and device.type == "cpu" if low is None else low
    before = [""] * len(texts) if primes is None else [prime.text + " " for prime in primes]
    text = encode_texts([b + t for b, t in zip(before, texts, strict=True)]).to(device)  # (B, U)
    skip = torch.tensor([len(b) for b in before], device=device)
    lengths = (text >= 0).sum(1)
    limit = 200 + 60 * max(map(len, texts))
    noise = torch.stack([_noise(seed, limit) for seed in seeds], 1).to(device, dtype)  # (limit, B, 4)

    x, state = _read(model, text, primes)
    stepper = _Stepper(model, text, state, low)
    points = torch.zeros(limit + 1, len(texts), 3, dtype=dtype, device=device)
    phis = torch.zeros(limit + 1, len(texts), text.shape[1] + 1, dtype=dtype, device=device)
    took = torch.full((len(texts),), limit, device=device)
    rows, over = torch.arange(len(texts), device=device), torch.zeros(len(texts), dtype=torch.bool, device=device)
    for t in range(limit + 1):
        raw, phi = stepper.step(x)
        phis[t, rows] = phi
        if t:
            over = over | graves_end(phi, lengths[rows])
            gone = phi.sum(1) < 1e-3
            done = over & ((x[:, 2] > 0) | gone) if rule == "lift" else over
            if done.any():
                took[rows[done]] = t
                stay = ~done
                rows, over, raw = rows[stay], over[stay], raw[stay]
                if len(rows) == 0:
                    break
                stepper.keep(stay)
        if t < limit:
            x = StrokeMixture(raw).sample(bias, noise=noise[t, rows])
            points[t + 1, rows] = x
    unfinished = set(rows.tolist())
    offsets = points.mul_(model.std).add_(torch.cat([model.mean[:2], model.mean.new_zeros(1)])).cpu()
    drafts = []
    for b, (line, n) in enumerate(zip(texts, took.tolist(), strict=True)):
        ink = offsets[: n + 1, b].clone()
        ink[0], ink[n, 2] = 0, 1
        window = phis[: n + 1, b, skip[b] : lengths[b] + 1].cpu()
        drafts.append(Draft(Strokes(ink, line, "written by HandwritingSynthesizer"), window, b not in unfinished))
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
    B = len(text)
    zeros = model.output.weight.new_zeros
    if primes is None or max(len(prime) for prime in primes) < 2:
        H = model.first.hidden_size
        above = [(zeros(B, H), zeros(B, H)) for _ in model.layers]
        return model.normalise(zeros(B, 3)), (model.first.start(B), above)
    steps = max(len(prime) for prime in primes)
    x, reset = zeros(steps, B, 3), torch.zeros(steps, B, dtype=torch.bool, device=text.device)
    for b, prime in enumerate(primes):
        x[steps - len(prime) :, b] = prime.offsets.to(x)
        reset[steps - len(prime), b] = True  # what stands before a shorter prime is forgotten
    x = model.normalise(x)
    return x[-1], model(x[:-1], text, None, reset[:-1]).state


# -- When has it finished, and was it complete? --
def passed(phi: Tensor) -> Tensor:
    """Which characters the window passed over: those whose largest weight is at least half of the largest of all.

    Args:
        phi: the window's weights over time, shape (T, U).

    Returns:
        bool, shape (U,).
    """
    peak = phi.amax(0)
    return peak >= 0.5 * peak.amax()


def faults(draft: Draft) -> str:
    """What is wrong with a line, in words; "" if it is accepted.

    A line is accepted when the stop rule ended it and the window passed over every character, in their order.
    """
    U = len(draft.strokes.text)
    if not draft.ended:
        return "the pen ran on behind the text"
    phi = draft.phi[:, :U]
    missed = [f"{draft.strokes.text[u]!r} (character {u})" for u in (~passed(phi)).nonzero()[:, 0].tolist()]
    if missed:
        return f"the window passed over {', '.join(missed)} too lightly"
    if (phi.argmax(0).diff() < 0).any():
        return "the window saw characters out of their order"
    return ""


# -- `write` --
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
    """Break a text at its spaces and line breaks into lines of at most `columns` characters; longer words are cut."""
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


# -- `write` --
class WritingError(RuntimeError):
    """No attempt at a line was accepted. `best` is the Draft that came nearest, `text` its text."""

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


# -- `write` --
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
    waiting = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # lines of one length finish together
    while waiting:
        now, waiting = waiting[:BATCH], waiting[BATCH:]
        tried = [seeds[i] + 1_000_003 * redraws[i] for i in now]
        drafts = draw(model, [texts[i] for i in now], tried, bias, primes and [primes[i] for i in now])
        for i, draft in zip(now, drafts, strict=True):
            fault = faults(draft)
            if not fault:
                accepted[i] = draft
                tell(1)
                continue
            if nearest[i] is None or len(fault) < len(faults(nearest[i])):
                nearest[i] = draft
            redraws[i] += 1
            if redraws[i] == TRIES:
                raise WritingError(
                    f"write: {TRIES} attempts at {texts[i]!r} failed, in the best of them {faults(nearest[i])}; "
                    "try another seed, more bias or another style (the attempt is the error's `best`)",
                    nearest[i],
                )
            waiting.append(i)
    return accepted, redraws


# -- `write` --
def _page(lines: list[Draft], text: str, seed: int, redraws: int) -> Handwriting:
    """Set lines one below the other, as one piece of handwriting."""
    places, at = [], 0
    for line in lines:  # where each character of each line stands in the text
        places.append([])
        for char in line.strokes.text:
            at = text.index(char, at) + 1
            places[-1].append(at - 1)
    papers = [line.strokes.to_absolute() for line in lines]
    heights = torch.tensor([(paper[:, 1].quantile(0.98) - paper[:, 1].quantile(0.02)).item() for paper in papers])
    pitch = 1.3 * heights.amax().item()
    attention = torch.zeros(sum(map(len, papers)), len(text))
    row = 0
    for n, (line, paper, place) in enumerate(zip(lines, papers, places, strict=True)):
        paper[:, 0] -= paper[:, 0].amin()
        paper[:, 1] += n * pitch - paper[:, 1].median()
        attention[row : row + len(paper), place] = line.phi[:, :-1]
        row += len(paper)
    page = Strokes.from_absolute(torch.cat(papers))
    return Handwriting(page.offsets, text, f"softattn.write, seed {seed}", None, attention, seed, redraws)


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


# -- `write` --
def styles() -> dict[str, Strokes]:
    """The priming lines that come with the weights: lines that the model wrote itself, each in another hand.

    Returns:
        name -> Strokes with their text.
    """
    stored = json.loads((resources.files("softattn") / "corpus" / "styles.json").read_text("utf-8"))
    return {
        name: Strokes.from_numpy(np.array(line["offsets"], dtype=np.float32), line["text"], f"style {name}")
        for name, line in stored["styles"].items()
    }

# Generated from book/attention.md by tools/export.py. Edit the chapter, not this file.
"""Attention: hard against soft.

Look at one place, or at all of them by weight; what either costs to learn.

The chapter book/attention.md builds this module and explains each line.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from softattn.hub import real
from softattn.images import from_chance, told, whole

__all__ = ["CellReader", "enumerated_loss", "reinforce_loss", "soft_loss", "straight_through_loss"]


# -- One line of clutter --
GLYPHS = [  # the digits 0 to 9, 5 rows of 3 pixels
    "111101101101111",
    "010110010010111",
    "111001111100111",
    "111001111001111",
    "101101111001001",
    "111100111001111",
    "111100111101111",
    "111001001010010",
    "111101111101111",
    "111101111001111",
]


def _clean_line(examples: int, cells: int, generator: torch.Generator):
    """Lines without noise: pixels (B, U, 18), place (B,), digit (B,)."""

    def chance(top: int, *shape: int) -> Tensor:
        there = generator.device
        return torch.randint(top, shape, generator=generator, device=there)

    ink = [list(map(float, glyph)) for glyph in GLYPHS]
    glyphs = torch.tensor(ink, device=generator.device)  # (10, 15)
    digits, place = chance(10, examples, cells), chance(cells, examples)
    scrap = chance(6, examples, cells, 1)  # 3 to 5: none
    bars = (scrap == torch.arange(3, device=generator.device)).float()
    row = torch.arange(examples, device=generator.device)
    bars[row, place] = 1.0
    pixels = torch.cat([glyphs[digits], bars], dim=-1)  # (B, U, 18)
    return pixels, place, digits[row, place]


# -- One line of clutter --
def clutter_line(
    examples: int, cells: int, generator: torch.Generator, noise: float = 0.2
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw lines of cells with one digit each, of which a bar marks one.

    Args:
        examples: lines to draw, B.
        cells: cells on each, U.
        generator: everything is drawn from it, on its device.
        noise: standard deviation added to each pixel; ink is 1, paper 0.

    Returns:
        pixels (B, U, 18), a cell's 5 rows of 3 and its bar of 3 below; the
        place of the mark (B,), int64; the marked digit (B,), int64.

    Raises:
        ValueError: if there is no example or no cell, or the noise is no
            number of at least 0.
    """
    whole("clutter_line", examples=examples, cells=cells)
    noise = real("clutter_line", "noise", noise, 0)
    from_chance("clutter_line", generator)
    pixels, place, digit = _clean_line(examples, cells, generator)
    more = torch.randn(pixels.shape, generator=generator, device=generator.device)
    return pixels + noise * more, place, digit


# -- One line of clutter --
def draw_cells(pixels: Tensor, columns: int) -> Tensor:
    """Lay the cells of one line out as a picture, row by row.

    Args:
        pixels: one line, shape (U, 18).
        columns: cells in a row of the picture; U is a multiple of it.

    Returns:
        The picture, shape (8 U / columns, 6 columns): a cell is 6 pixels
        wide and 8 high, blank around its own 3 by 6.

    Raises:
        ValueError: if the cells do not fill the rows.
    """
    whole("draw_cells", columns=columns)
    shape = pixels.shape
    if len(shape) != 2 or shape[1] != 18 or shape[0] % columns:
        raise ValueError(
            f"draw_cells: pixels are {told(pixels)} in {columns} columns, expected (U, 18), U a multiple of the columns"
        )
    cells = torch.nn.functional.pad(pixels.view(-1, 6, 3), (1, 2, 1, 1))
    rows = cells.view(-1, columns, 8, 6).transpose(1, 2)  # (R, 8, C, 6)
    return rows.reshape(-1, columns * 6)


# -- One line of clutter --
class CellReader(nn.Module):
    """Two linear maps: one weighs the cells of a line, one reads a digit.

    Args:
        pixels: numbers in a cell, D.
        classes: digits to tell apart.

    Raises:
        ValueError: if a size is no whole number of at least 1.

    Source: a toy of this chapter; slides 4-6.
    """

    def __init__(self, pixels: int = 18, classes: int = 10):
        super().__init__()
        whole("CellReader", pixels=pixels, classes=classes)
        self.where = nn.Linear(pixels, 1, bias=False)
        self.what = nn.Linear(pixels, classes)
        nn.init.zeros_(self.where.weight)  # all cells alike at the start

    def forward(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        """Weigh the cells, and read their weighted sum.

        Args:
            cells: shape (B, U, D); any type, taken to that of the weights.

        Returns:
            log of the weights, shape (B, U); scores of the digits read
            from the sum, shape (B, classes).

        Raises:
            ValueError: if the shape does not fit.
        """
        D = self.where.in_features
        right = isinstance(cells, Tensor) and not cells.is_complex()
        shape = tuple(cells.shape) if right else ()
        if len(shape) != 3 or shape[1] == 0 or shape[2] != D:
            raise ValueError(f"CellReader: cells are {told(cells)}, expected (B, U, {D}), U > 0")
        cells = cells.to(self.where.weight.dtype)
        log_p = torch.log_softmax(self.where(cells).squeeze(-1), dim=1)
        blend = (log_p.exp()[..., None] * cells).sum(1)  # (B, D)
        return log_p, self.what(blend)


# -- One line of clutter --
def _check_answers(digit: Tensor, lines: int, classes: int) -> None:
    right = isinstance(digit, Tensor) and digit.dtype == torch.int64
    if right and digit.shape == (lines,):
        known = digit.is_meta or not lines
        if known or 0 <= digit.min() <= digit.max() < classes:
            return
    raise ValueError(
        f"read_losses: digit is {told(digit)}, expected int64 ({lines},), the right answers, 0 to {classes - 1}"
    )


def read_losses(reader: CellReader, values: Tensor, digit: Tensor) -> Tensor:
    """The loss of reading the digit from each of several values.

    Args:
        reader: its `what` is used.
        values: what is read, shape (B, K, D): cells, or blends of them.
        digit: the right answers, shape (B,), int64.

    Returns:
        Cross-entropy in nats, shape (B, K).

    Raises:
        ValueError: if the answers are not one digit a line.
    """
    _check_answers(digit, len(values), reader.what.out_features)
    values = values.to(reader.what.weight.dtype)
    log_q = torch.log_softmax(reader.what(values), dim=-1)  # (B, K, 10)
    wanted = digit[:, None, None].expand(-1, values.shape[1], 1)
    return -log_q.gather(-1, wanted).squeeze(-1)


# -- Pick one, or weigh all --
def _check_reader(reader: CellReader) -> None:
    if not isinstance(reader, CellReader):
        raise TypeError(f"the loss: reader is {told(reader)}, expected a CellReader")


def enumerated_loss(reader: CellReader, cells: Tensor, digit: Tensor) -> Tensor:
    """Hard attention without luck: the mean loss over all picks.

    Args:
        reader: the network; it reads every cell.
        cells: shape (B, U, D).
        digit: shape (B,), int64.

    Returns:
        The mean over the batch in nats, a scalar.

    Raises:
        ValueError: if a shape does not fit.

    Source: the mean that Williams (1992) estimates; slides 4-6.
    """
    _check_reader(reader)
    log_p, _ = reader(cells)
    return (log_p.exp() * read_losses(reader, cells, digit)).sum(1).mean()


# -- Pick one, or weigh all --
def soft_loss(reader: CellReader, cells: Tensor, digit: Tensor) -> Tensor:
    """Soft attention: the loss of reading the weighted sum, once.

    Args:
        reader: the network.
        cells: shape (B, U, D).
        digit: shape (B,), int64.

    Returns:
        The mean over the batch in nats, a scalar.

    Raises:
        ValueError: if a shape does not fit.

    Source: Xu et al. (2015), section 4.2: the expected value is read.
    """
    _check_reader(reader)
    log_p, _ = reader(cells)
    p = log_p.exp()[:, None]  # (B, 1, U)
    return read_losses(reader, p @ cells.to(p.dtype), digit).mean()


# -- The gradient of a gamble --
def _pick(reader: CellReader, cells: Tensor, draws: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Log weights (B, U), and K = `draws` places (B, K) drawn from them."""
    whole("draws of places", draws=draws)
    from_chance("draws of places", generator)
    _check_reader(reader)
    log_p, _ = reader(cells)
    p = log_p.detach().exp().to(generator.device)
    if not p.isfinite().all():
        raise ValueError("draws of places: the cells or the weights hold NaN")
    place = torch.multinomial(p, draws, True, generator=generator)
    return log_p, place.to(cells.device)


def _baseline(losses: Tensor, baseline: float | str) -> Tensor | float:
    """The number by which each loss (B, K) is judged."""
    K = losses.shape[1]
    if baseline == "others" and K > 1:
        return (losses.sum(1, keepdim=True) - losses) / (K - 1)
    if isinstance(baseline, str) or baseline != baseline:
        raise ValueError(
            f"reinforce_loss: baseline={baseline!r} with draws={K}; "
            'expected a number, or "others" with at least 2 draws'
        )
    return real("reinforce_loss", "baseline", baseline, -1e9, 1e9)


# -- The gradient of a gamble --
def reinforce_loss(
    reader: CellReader,
    cells: Tensor,
    digit: Tensor,
    generator: torch.Generator,
    draws: int = 1,
    baseline: float | str = 0.0,
) -> tuple[Tensor, float]:
    """A scalar whose gradient is REINFORCE's estimate; its value is nothing.

    Args:
        reader: the network.
        cells: shape (B, U, D).
        digit: shape (B,), int64.
        generator: draws the places.
        draws: cells read on each line, K.
        baseline: nats, or "others": judged by the line's other draws.

    Returns:
        The scalar, and the mean loss of the cells that were read, in nats.

    Raises:
        ValueError: if shapes, draws or baseline do not fit.

    Source: Williams (1992); "others": Kool, van Hoof and Welling (2019).
    """
    log_p, place = _pick(reader, cells, draws, generator)
    read = torch.take_along_dim(cells, place[..., None], dim=1)  # (B, K, D)
    losses = read_losses(reader, read, digit)  # (B, K)
    credit = (losses - _baseline(losses, baseline)).detach()
    scalar = credit * log_p.gather(1, place) + losses  # where, and what
    return scalar.mean(), losses.mean().item()


# -- The gradient of a gamble --
def straight_through_loss(
    reader: CellReader,
    cells: Tensor,
    digit: Tensor,
    generator: torch.Generator,
    draws: int = 1,
) -> Tensor:
    """The loss of picked cells, with the gradient of a blend; biased.

    Args:
        reader: the network.
        cells: shape (B, U, D).
        digit: shape (B,), int64.
        generator: draws the places.
        draws: cells read on each line, K.

    Returns:
        The mean loss in nats, a scalar.

    Raises:
        ValueError: if shapes or draws do not fit.

    Source: Bengio, Leonard and Courville (2013).
    """
    log_p, place = _pick(reader, cells, draws, generator)
    p = log_p.exp()[:, None]  # (B, 1, U)
    picks = F.one_hot(place, cells.shape[1]).to(p.dtype)  # (B, K, U)
    weights = picks + p - p.detach()  # the value of a pick, the slope of p
    return read_losses(reader, weights @ cells.to(p.dtype), digit).mean()


# -- What each pays --
RATE, ENTROPY = 0.03, 0.01  # of what reads; nats for a nat of spread


def _one_loss(name: str, reader: CellReader, generator: torch.Generator, mean: float) -> tuple[Tensor, float]:
    """The loss of a fresh batch by one estimator, and the new mean loss.

    Whatever picks cells picks 64 a step, so that all pay the same.
    """
    lines = 16 if name == "the others" else 64
    cells, _, digit = clutter_line(lines, 16, generator)  # the place is secret
    batch = (reader, cells, digit)
    if name == "enumerated":
        loss = enumerated_loss(*batch)
    elif name == "soft":
        loss = soft_loss(*batch)
    elif name == "straight-through":
        loss = straight_through_loss(*batch, generator)
    elif name == "the others":
        loss, _ = reinforce_loss(*batch, generator, 4, "others")
    else:
        b = mean if name == "running mean" else 0.0
        loss, now = reinforce_loss(*batch, generator, 1, b)
        mean += 0.05 * (now - mean)
    log_p, _ = reader(cells)
    return loss + ENTROPY * (log_p.exp() * log_p).sum(1).mean(), mean


# -- What each pays --
@torch.no_grad()
def _marks(reader: CellReader, exam: tuple[Tensor, Tensor, Tensor]):
    """Mean weight of the mark; digits right when picking, when blending."""
    cells, place, digit = exam
    log_p, blend = reader(cells)
    right = (reader.what(cells).argmax(-1) == digit[:, None]).float()  # (B, U)
    found = log_p.exp().gather(1, place[:, None]).mean().item()
    picked = (log_p.exp() * right).sum(1).mean().item()
    return found, picked, (blend.argmax(-1) == digit).float().mean().item()


def _check_training(estimator, generator, steps, policy_rate, every, watch):
    if estimator not in ESTIMATORS:
        raise ValueError(f"learn_to_look: estimator {estimator!r} is unknown, expected one of {', '.join(ESTIMATORS)}")
    whole("learn_to_look", 0, steps=steps)
    whole("learn_to_look", every=every)
    real("learn_to_look", "policy_rate", policy_rate, 0)
    from_chance("learn_to_look", generator)
    if watch is not None and not callable(watch):
        raise TypeError(f"learn_to_look: watch is {told(watch)}, no function")


# -- What each pays --
def _learn(name, generator, steps, policy_rate, every, watch):
    reader = CellReader()
    with torch.no_grad():
        reader.what.weight.normal_(0, 0.1, generator=generator)
        reader.what.bias.zero_()
    parts = [(reader.what, RATE), (reader.where, policy_rate)]
    groups = [{"params": part.parameters(), "lr": lr} for part, lr in parts]
    adam, mean, curve = torch.optim.Adam(groups), math.log(10), []
    exam = clutter_line(500, 16, torch.Generator().manual_seed(1_000_000))
    for step in range(steps + 1):
        if watch is not None:
            watch(step, reader)
        if step % every == 0:
            curve.append((step, *_marks(reader, exam)))
        if step < steps:
            loss, mean = _one_loss(name, reader, generator, mean)
            adam.zero_grad()
            loss.backward()
            adam.step()
    return reader, curve


# -- What each pays --
ESTIMATORS = ("enumerated", "soft", "no baseline", "running mean", "the others", "straight-through")


def learn_to_look(
    estimator: str,
    generator: torch.Generator,
    steps: int = 1500,
    policy_rate: float = 0.003,
    every: int = 25,
    watch: Callable[[int, CellReader], None] | None = None,
) -> tuple[CellReader, list[tuple[int, float, float, float]]]:
    """Train a CellReader on lines of 16 cells.

    Args:
        estimator: one of ESTIMATORS.
        generator: draws the start, the lines and the picks, on the CPU.
        steps: of Adam; 0 gives the start. every: steps between two rows.
        policy_rate: learning rate of what looks; what reads has 0.03.
        watch: called as watch(step, reader) before each step and at the end.

    Returns:
        The reader, and the curve on 500 other lines: step, mean weight of
        the mark, share of digits right from one pick, and from the blend.

    Raises:
        ValueError: if the estimator is unknown or a number does not fit.
    """
    _check_training(estimator, generator, steps, policy_rate, every, watch)
    return _learn(estimator, generator, steps, policy_rate, every, watch)

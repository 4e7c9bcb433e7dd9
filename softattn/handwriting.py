# Generated from book/handwriting.md by tools/export.py. Edit the chapter, not this file.
"""Handwriting, predicted.

A network that expects the next point of a pen, and scribbles.

The chapter book/handwriting.md builds this module and explains each line.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from softattn.hub import real, whole
from softattn.mixture import StrokeMixture
from softattn.prediction import PredictionNetwork, State
from softattn.strokes import Strokes, pad

__all__ = ["HandwritingPredictor", "PenModel"]


# -- The network --
ROUNDING = 1 / math.sqrt(12)  # std of the error of a place, whole units


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluate inside; afterwards each part has its own mode again."""
    modes = [(part, part.training) for part in model.modules()]
    model.eval()
    try:
        yield
    finally:  # also after an error
        for part, training in modes:
            part.training = training


# -- The network --
def stroke_start_(bias: Tensor, mixtures: int, generator: torch.Generator | None = None) -> Tensor:
    """Set an output's bias (6M + 1,) to what pens do on average; return it.

    One component in five is as wide as a jump between strokes, the others
    as a step on paper, in offsets of std 1. The generator (None: the global
    one) spreads the means a little.
    """
    M, jumps = mixtures, max(1, mixtures // 5)
    wide = torch.arange(M, device=bias.device) >= M - jumps  # (M,)
    where = bias.device if generator is None else generator.device
    with torch.no_grad():
        e, pi, mu, s_x, s_y, rho = bias.split([1, M, 2 * M, M, M, M])
        e.fill_(math.log(0.96 / 0.04))  # P(end) = sigmoid(-e^) = 0.04
        rare, usual = math.log(0.04 / jumps), math.log(0.96 / (M - jumps))
        pi.copy_(torch.where(wide, rare, usual))
        mu.copy_(0.3 * torch.randn(2 * M, generator=generator, device=where))
        s_x.copy_(torch.where(wide, math.log(4.5), math.log(0.33)))
        s_y.copy_(torch.where(wide, math.log(3.6), math.log(0.53)))
        rho.zero_()
    return bias


# -- The network --
def lines_of(lines: Iterable[Strokes], words: str) -> list[Strokes]:
    """lines as a list, if they are Strokes; or a sentence what they are."""
    group = isinstance(lines, Iterable) and not isinstance(lines, Tensor)
    if isinstance(lines, Strokes) or not group:
        got = type(lines).__name__
        raise TypeError(f"{words}: lines = {got}; give a list of Strokes")
    lines = list(lines)
    for line in lines:
        if not isinstance(line, Strokes):
            what = f"{words}: lines hold a {type(line).__name__}"
            raise TypeError(f"{what}; give a list of Strokes")
    return lines


def half_cells(model, line, cell, reach) -> list[int]:
    """How many cells reach is, across and down; or what does not fit."""
    who, _ = "expected_ink", lines_of([line], "expected_ink")
    if not isinstance(model, PenModel):
        got = type(model).__name__
        raise TypeError(f"{who}: model is a {got}; give a PenModel")
    cell = real(who, "cell", cell, 1, 1e6)
    half = [math.ceil(real(who, "reach", r, 0, 1e6) / cell) for r in reach]
    if len(line) < 2 or len(half) != 2 or not 0 < max(half) <= 400:
        raise ValueError(
            f"{who}: the line has {len(line)} points (at least two), "
            f"cell {cell:g} and reach {reach} (two, at most 400 cells)"
        )
    return half


# -- The network --
class PenModel(nn.Module):
    """What models of the pen share: the unit of their offsets, and scoring.

    Args:
        mixtures: M, bivariate Gaussians in the predictive density.
        mean, std: of dx and dy over the training strokes, in raw units.

    Raises:
        ValueError: for fewer than two mixtures, or constants that are not a
            pair of finite numbers each, std above 0.

    Source: Graves (2013), sections 4 and 5: both are fed and scored alike.
    """

    mean: Tensor  # (3,), 0 for the end bit: constants of the card,
    std: Tensor  # (3,), 1 for the end bit: no weights

    def __init__(self, mixtures: int, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        name = type(self).__name__
        whole(name, "mixtures", mixtures, least=2)  # one of them for jumps
        try:
            pair = [[float(v) for v in values] for values in (mean, std)]
        except (TypeError, ValueError):  # no numbers
            pair = [[], []]
        fine = [len(v) == 2 and all(map(math.isfinite, v)) for v in pair]
        if not all(fine) or not min(pair[1]) > 0:
            raise ValueError(f"{name}: mean {mean}, std {std}; give a pair of finite numbers each, std above 0")
        mine = torch.tensor([*pair[0], 0.0]), torch.tensor([*pair[1], 1.0])
        self.register_buffer("mean", mine[0], persistent=False)
        self.register_buffer("std", mine[1], persistent=False)

    def outputs(self, x: Tensor, lines: Sequence[Strokes]) -> Tensor:
        """Raw outputs (T, B, 6M + 1) for normalised points x (T, B, 3).

        Teacher-forced; `lines` are those that x belongs to.

        Raises:
            NotImplementedError: each model must say how.
        """
        name = type(self).__name__
        raise NotImplementedError(f"{name} must say in `outputs` how it reads")

    def normalise(self, offsets: Tensor) -> Tensor:
        """Raw offsets (..., 3) to mean 0, std 1; the end bit stays."""
        return (offsets - self.mean) / self.std

    def floors(self, floor: float) -> tuple[float, float]:
        """A floor in raw units as one per axis in normalised units."""
        floor = real(type(self).__name__, "floor", floor, 0, 1e6)
        return floor / self.std[0].item(), floor / self.std[1].item()

    def scores(
        self,
        lines: Sequence[Strokes],
        floor: float = ROUNDING,
        batch: int = 64,
    ) -> dict[str, Tensor]:
        """Score lines, teacher-forced; a first row is never a target.

        Args:
            lines: raw strokes, of any lengths.
            floor: std below which no density narrows, in raw units; its
                default is the error of rounding. 0 is the paper's density.
            batch: lines read at once.

        Returns:
            By line, each (N,): `nats`, the negative log-likelihood;
            `squared_error`, summed over points, between offset and predicted
            mean, normalised; `squared_error_jumps`, what of it lies on points
            to which the pen came lifted; `points`, how many were predicted.

        Raises:
            ValueError: no line, a negative floor, a batch below 1.
            TypeError: lines that are no Strokes.
        """
        return score_lines(self, lines, floor, batch)

    def nats(self, lines: Sequence[Strokes], floor: float = ROUNDING) -> Tensor:
        """Nats of each of lines, (N,), float64, with this floor: `scores`."""
        return self.scores(lines, floor)["nats"]


# -- The network --
@torch.no_grad()
def score_lines(model: PenModel, lines, floor, batch) -> dict[str, Tensor]:
    """What PenModel.scores returns."""
    name = f"{type(model).__name__}.scores"
    lines, batch = lines_of(lines, name), whole(name, "batch", batch, 1)
    if not lines:
        raise ValueError(f"{name}: no lines; give at least one Strokes")
    floors = model.floors(floor)
    nats, error, jumps = torch.zeros(3, len(lines), dtype=torch.float64)
    points = torch.tensor([len(line) - 1 for line in lines])
    order = [i for i in range(len(lines)) if points[i] > 0]
    order.sort(key=lambda i: int(points[i]))  # alike: little padding
    for i in range(0, len(order), batch):
        rows = order[i : i + batch]
        offsets, lengths = pad([lines[r] for r in rows])
        x = model.normalise(offsets.to(model.mean))  # (T, B, 3)
        with evaluating(model):
            raw = model.outputs(x[:-1], [lines[r] for r in rows])
        mixture = StrokeMixture(raw, floor=floors)
        real = torch.arange(1, len(x))[:, None] < lengths.cpu()  # (T - 1, B)
        cost = -mixture.log_prob(x[1:]).double().cpu()
        miss = (x[1:, :, :2] - mixture.mean()[..., :2]).square().sum(-1)
        miss, up = miss.double().cpu(), (x[:-1, :, 2] > 0.5).cpu()
        nats[rows] = torch.where(real, cost, 0).sum(0)
        error[rows] = torch.where(real, miss, 0).sum(0)
        jumps[rows] = torch.where(real & up, miss, 0).sum(0)
    found = {"nats": nats, "squared_error": error}
    return found | {"squared_error_jumps": jumps, "points": points}


# -- The network --
class HandwritingPredictor(PenModel):
    """Predict the next point of a pen from all points before it.

    Args:
        hidden_size: H, cells per layer.
        num_layers: LSTM layers, each of which sees the input; all of them
            feed the output.
        mixtures: M, bivariate Gaussians in the predictive density.
        mean: mean of dx and dy over the training strokes, in raw units.
        std: their standard deviation, in raw units.
        dropout: probability of losing a hidden value on its way up, in
            training only.

    Raises:
        ValueError: for sizes below 1, fewer than two mixtures, constants that
            are not a pair of finite numbers, a std not above 0.

    Source: Graves (2013), section 4; slides 11, 14-15.
    """

    def __init__(
        self,
        hidden_size: int = 400,
        num_layers: int = 3,
        mixtures: int = 20,
        mean: Sequence[float] = (0.0, 0.0),
        std: Sequence[float] = (1.0, 1.0),
        dropout: float = 0.0,
    ) -> None:
        super().__init__(mixtures, mean, std)
        self.network = PredictionNetwork(3, hidden_size, num_layers, 6 * mixtures + 1, dropout=dropout)
        stroke_start_(self.network.output.bias, mixtures)

    def forward(
        self,
        x: Tensor,
        state: State | None = None,
        reset: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Read points, and predict at each the one that follows.

        Args:
            x: normalised points, shape (T, B, 3): dx, dy, end of stroke.
            state: what the last call returned; None begins anew.
            reset: where True, a new line begins; bool, shape (T, B).

        Returns:
            Raw outputs (T, B, 6M + 1) for StrokeMixture, and the state.
        """
        return self.network(x, state, reset)

    def outputs(self, x: Tensor, lines: Sequence[Strokes]) -> Tensor:
        """Raw outputs (T, B, 6M + 1) for x (T, B, 3); lines is not read."""
        return self(x)[0]

    @torch.no_grad()
    def scribble(
        self,
        points: int,
        bias: float = 0.0,
        prime: Strokes | None = None,
        generator: torch.Generator | None = None,
    ) -> Strokes:
        """Let the network write: each point it draws is its next input.

        Args:
            points: how many to draw, at least 1.
            bias: 0 draws from the prediction as it stands; more, up to 100,
                prefers the probable (Graves, eq. 61-62).
            prime: a line to read first; it is not part of what is returned.
            generator: source of the draws.

        Returns:
            What was written, points + 1 rows with the start; the pen lifts
            at the end.
        """
        who = f"{type(self).__name__}.scribble"
        points = whole(who, "points", points, 1, 100_000)
        bias = real(who, "bias", bias, 0, 100)
        start = [] if prime is None else lines_of([prime], who)
        return run_pen(self, points, bias, start, generator)


# -- The network --
def run_pen(model: HandwritingPredictor, points: int, bias, start: list, generator) -> Strokes:
    """What HandwritingPredictor.scribble returns."""
    seen = start[0].offsets if start else torch.zeros(1, 3)
    seen = model.normalise(seen.to(model.mean))[:, None]
    state, drawn = None, []
    with evaluating(model):
        for _ in range(points):
            raw, state = model(seen, state)
            mixture = StrokeMixture(raw[-1:])
            seen = mixture.sample(bias=bias, generator=generator)  # (1, 1, 3)
            drawn.append(seen[0, 0])
            seen = seen.to(raw)
    mean, std = model.mean.to(drawn[0]), model.std.to(drawn[0])
    offsets = (torch.stack(drawn) * std + mean).cpu()
    offsets = torch.cat([offsets.new_zeros(1, 3), offsets])
    offsets[-1, 2] = 1
    return Strokes(offsets, source="written by HandwritingPredictor")


# -- Lines in a long strip --
def line_stream(
    lines: Sequence[Strokes], rows: int, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Lay lines end to end in random order, fold the strip into B rows.

    Returns inputs, targets (T, B, 3), raw; reset (T, B), True where a line or
    row begins; line (T, B), whose point it is. At most B - 1 points are lost.
    """
    lines = lines_of(lines, "line_stream")
    rows = whole("line_stream", "rows", rows, 1)
    usable = [i for i, line in enumerate(lines) if len(line) > 1]
    where = generator.device
    order = torch.randperm(len(usable), generator=generator, device=where)
    order, none = [usable[k] for k in order.tolist()], torch.empty(0, 3)
    seen = torch.cat([none, *(lines[i].offsets[:-1] for i in order)])
    coming = torch.cat([none, *(lines[i].offsets[1:] for i in order)])
    counts = torch.tensor([len(lines[i]) - 1 for i in order]).long()
    which = torch.tensor(order).long().repeat_interleave(counts)
    begins = torch.diff(which, prepend=which.new_full((1,), -1)) != 0
    steps = len(which) // rows
    if steps < 1:
        what = f"line_stream: {len(which)} points to predict do not fill"
        raise ValueError(f"{what} {rows} rows; give more lines or fewer rows")
    begins[: steps * rows : steps] = True
    cut = (t[: steps * rows] for t in (seen, coming, begins, which))
    folded = (t.unflatten(0, (rows, steps)).transpose(0, 1) for t in cut)
    x, y, reset, line = (t.contiguous() for t in folded)
    return x, y, reset, line


# -- Where the pen is expected --
def add_densities(canvas, model: PenModel, raw, paper, low, cell, half):
    """Add the density of each next point to canvas, around the pen.

    raw (T - 1, 6M + 1); paper (T, 2), places of the pen; low (2,), the first
    pixel; half: how many pixels a density reaches across and down.
    """
    place = (paper / cell).floor().long() - low  # (T, 2), column and row
    across, down = (torch.arange(-h, h + 1, device=raw.device) for h in half)
    grid = torch.meshgrid(across, down, indexing="xy")
    grid = torch.stack(grid, -1)  # (down, across, 2), pixels
    mean, std = model.mean[:2].to(raw), model.std[:2].to(raw)
    for t in range(len(raw)):
        offset = (grid + place[t] + low + 0.5) * cell - paper[t]
        density = StrokeMixture(raw[t]).density((offset - mean) / std)
        column, row = place[t].tolist()
        there = canvas[row : row + len(down), column : column + len(across)]
        there += density / std.prod()


# -- Where the pen is expected --
@torch.no_grad()
def expected_ink(
    model: PenModel, line: Strokes, cell: float = 8.0, reach=(400.0, 400.0)
) -> tuple[Tensor, tuple[float, float, float, float], Tensor, Tensor]:
    """Add up, along a line, where the model expects each next point.

    `cell` is the side of a pixel, at least 1, `reach` how far across and down
    a density is drawn, in raw units. Returns densities per square raw unit
    (rows, columns); their edges left, right, bottom, top for imshow; the
    probability of a lift (T - 1,); raw outputs (T - 1, 6M + 1). Source:
    Graves (2013), figure 10.
    """
    half = half_cells(model, line, cell, reach)
    with evaluating(model):
        x = model.normalise(line.offsets.to(model.mean))[:-1, None]
        raw = StrokeMixture(model.outputs(x, [line])[:, 0]).raw  # not half
    paper = line.to_absolute()[:, :2].to(raw)
    pixels, edge = (paper / cell).floor().long(), torch.tensor(half)
    low, edge = pixels.amin(0), edge.to(pixels)
    columns, rows = (pixels.amax(0) - low + 1 + 2 * edge).tolist()
    canvas = raw.new_zeros(rows, columns)  # float32 or float64
    add_densities(canvas, model, raw, paper, low, cell, half)
    left, top = ((low - edge) * cell).tolist()
    edges = (left, left + columns * cell, top + rows * cell, top)
    return canvas, edges, StrokeMixture(raw).end, raw

# Generated from book/handwriting.md by tools/export.py. Edit the chapter, not this file.
"""Handwriting, predicted.

A network that expects the next point of a pen, and scribbles.

The chapter book/handwriting.md builds this module and explains each line.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from softattn.mixture import StrokeMixture
from softattn.prediction import PredictionNetwork, State
from softattn.strokes import Strokes, pad

__all__ = ["HandwritingPredictor", "PenModel", "ROUNDING", "expected_ink", "line_stream", "stroke_start_"]


# -- The network --
ROUNDING = 1 / math.sqrt(12)  # std of the error of a coordinate rounded to whole units


def stroke_start_(bias: Tensor, mixtures: int, generator: torch.Generator | None = None) -> Tensor:
    """Set the bias of a mixture output, in place, so that an untrained network expects what pens do on average.

    One component in five is as wide as a jump between strokes, the others as a step of the pen on paper.

    Args:
        bias: of the output layer, shape (6M + 1,), for offsets of mean 0 and standard deviation 1.
        mixtures: M, at least 2.
        generator: source of the small spread of the means; the global one if None.

    Returns:
        `bias` itself.
    """
    jumps = max(1, mixtures // 5)
    wide = torch.arange(mixtures, device=bias.device) >= mixtures - jumps  # (M,)
    where = bias.device if generator is None else generator.device
    with torch.no_grad():
        e, pi, mu, sx, sy, rho = bias.split([1, mixtures, 2 * mixtures, mixtures, mixtures, mixtures])
        e.fill_(math.log(0.96 / 0.04))  # P(end) = sigmoid(-e^) = 0.04
        pi.copy_(torch.where(wide, math.log(0.04 / jumps), math.log(0.96 / (mixtures - jumps))))
        mu.copy_(0.3 * torch.randn(2 * mixtures, generator=generator, device=where))
        sx.copy_(torch.where(wide, math.log(4.5), math.log(0.33)))
        sy.copy_(torch.where(wide, math.log(3.6), math.log(0.53)))
        rho.zero_()
    return bias


class PenModel(nn.Module):
    """What models of the pen have in common: the unit in which they see offsets, and how they are scored.

    Args:
        mixtures: M, bivariate Gaussians in the predictive density.
        mean: mean of dx and dy over the training strokes, in raw units.
        std: their standard deviation, in raw units.

    Raises:
        ValueError: for fewer than two mixtures, or constants that are not a pair or not positive.

    Source: Graves (2013), sections 4 and 5: both networks are fed and scored alike.
    """

    def __init__(self, mixtures: int, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        if mixtures < 2:
            raise ValueError(f"{type(self).__name__}: mixtures = {mixtures}; give at least 2: one for jumps")
        if len(mean) != 2 or len(std) != 2 or not all(s > 0 for s in std):
            raise ValueError(f"{type(self).__name__}: mean {mean}, std {std}; give a pair each, std above 0")
        # constants of the card, not weights: kept exact whatever type the weights are stored in
        self.register_buffer("mean", torch.tensor([*map(float, mean), 0.0]), persistent=False)
        self.register_buffer("std", torch.tensor([*map(float, std), 1.0]), persistent=False)

    def outputs(self, x: Tensor, lines: Sequence[Strokes]) -> Tensor:
        """Read points, teacher-forced; each model says here how.

        Args:
            x: normalised points of B lines, shape (T, B, 3).
            lines: the lines that they belong to, for models that read more than points.

        Returns:
            Raw outputs, shape (T, B, 6M + 1), for StrokeMixture.

        Raises:
            NotImplementedError: if the model does not say.
        """
        raise NotImplementedError(f"{type(self).__name__} must say in `outputs` how it reads points")

    def normalise(self, offsets: Tensor) -> Tensor:
        """Turn raw offsets (..., 3) into what the network reads: mean 0, standard deviation 1; the end bit stays."""
        return (offsets - self.mean) / self.std

    def floors(self, floor: float) -> tuple[float, float]:
        """Turn a floor in raw units into one per axis in normalised units."""
        return floor / self.std[0].item(), floor / self.std[1].item()

    @torch.no_grad()
    def scores(self, lines: Sequence[Strokes], floor: float = ROUNDING, batch: int = 64) -> dict[str, Tensor]:
        """Score lines, teacher-forced: each point is predicted from all true points before it.

        The first row of a line is input, never a target.

        Args:
            lines: raw strokes, of any lengths.
            floor: standard deviation below which no density narrows, in raw units; its default is the error of
                rounding to whole units. 0 is the paper's density.
            batch: lines read at once.

        Returns:
            `nats` (N,), the negative log-likelihood of each line in nats; `squared_error` (N,), the sum over its
            points of the squared distance between the offset and its predicted mean, in normalised units;
            `squared_error_jumps` (N,), what of it lies on points to which the pen came lifted; `points` (N,), how
            many were predicted.

        Raises:
            ValueError: if there is no line, or the floor is negative.
        """
        if not lines:
            raise ValueError(f"{type(self).__name__}.scores: no lines; give at least one Strokes")
        if not floor >= 0:
            raise ValueError(
                f"{type(self).__name__}.scores: floor = {floor}; give 0 or a standard deviation in raw units"
            )
        nats, error, jumps = torch.zeros(3, len(lines), dtype=torch.float64)
        points = torch.tensor([len(line) - 1 for line in lines])
        order = sorted((i for i in range(len(lines)) if points[i] > 0), key=lambda i: int(points[i]))
        was_training = self.training
        self.eval()
        for i in range(0, len(order), batch):
            rows = order[i : i + batch]  # of about one length: little padding
            offsets, lengths = pad([lines[r] for r in rows])
            x = self.normalise(offsets.to(self.mean))  # (T, B, 3)
            mixture = StrokeMixture(self.outputs(x[:-1], [lines[r] for r in rows]), floor=self.floors(floor))
            real = torch.arange(1, len(x))[:, None] < lengths.cpu()  # (T - 1, B): no padding counts
            cost = -mixture.log_prob(x[1:]).double().cpu()
            miss = (x[1:, :, :2] - mixture.mean()[..., :2]).square().sum(-1).double().cpu()
            nats[rows] = torch.where(real, cost, 0).sum(0)
            error[rows] = torch.where(real, miss, 0).sum(0)
            jumps[rows] = torch.where(real & (x[:-1, :, 2] > 0.5).cpu(), miss, 0).sum(0)
        self.train(was_training)
        return {"nats": nats, "squared_error": error, "squared_error_jumps": jumps, "points": points}

    def nats(self, lines: Sequence[Strokes], floor: float = ROUNDING) -> Tensor:
        """Negative log-likelihood of each line, in nats, after normalisation by the constants of the card.

        Args:
            lines: raw strokes.
            floor: in raw units, see `scores`.

        Returns:
            Shape (N,), float64.
        """
        return self.scores(lines, floor)["nats"]


# -- The network --
class HandwritingPredictor(PenModel):
    """Predict the next point of a pen from all points before it.

    Args:
        hidden_size: H, cells per layer.
        num_layers: LSTM layers, each of which sees the input; all of them feed the output.
        mixtures: M, bivariate Gaussians in the predictive density.
        mean: mean of dx and dy over the training strokes, in raw units.
        std: their standard deviation, in raw units.
        dropout: probability of losing a hidden value on its way up, in training only.

    Raises:
        ValueError: for fewer than two mixtures, or constants that are not a pair or not positive.

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

    def forward(self, x: Tensor, state: State | None = None, reset: Tensor | None = None) -> tuple[Tensor, State]:
        """Read points, and predict at each the one that follows.

        Args:
            x: normalised points, shape (T, B, 3): dx, dy, end of stroke.
            state: what the last call returned, to go on from; None begins anew.
            reset: where True, a new line begins; bool, shape (T, B).

        Returns:
            Raw outputs, shape (T, B, 6M + 1), for StrokeMixture, and the state.
        """
        return self.network(x, state, reset)

    def outputs(self, x: Tensor, lines: Sequence[Strokes]) -> Tensor:
        """Read points, teacher-forced.

        Args:
            x: normalised points, shape (T, B, 3).
            lines: not asked: this model reads points alone.

        Returns:
            Raw outputs, shape (T, B, 6M + 1), for StrokeMixture.
        """
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
            bias: 0 draws from the prediction as it stands; more prefers the probable (Graves, eq. 61-62).
            prime: a line to read first; it is not part of what is returned.
            generator: source of the draws.

        Returns:
            What was written, points + 1 rows with the start; the pen lifts at the end.

        Raises:
            ValueError: if there is nothing to write.
        """
        if points < 1:
            raise ValueError(f"HandwritingPredictor.scribble: points = {points}; ask for at least one")
        was_training = self.training
        self.eval()
        start = torch.zeros(1, 3) if prime is None else prime.offsets
        seen, state, drawn = self.normalise(start.to(self.mean))[:, None], None, []
        for _ in range(points):
            raw, state = self(seen, state)
            seen = StrokeMixture(raw[-1:]).sample(bias=bias, generator=generator)  # (1, 1, 3)
            drawn.append(seen[0, 0])
        self.train(was_training)
        offsets = (torch.stack(drawn) * self.std + self.mean).cpu()
        offsets = torch.cat([offsets.new_zeros(1, 3), offsets])
        offsets[-1, 2] = 1
        return Strokes(offsets, source="written by HandwritingPredictor")


# -- Lines in a long strip --
def line_stream(
    lines: Sequence[Strokes], rows: int, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Lay all lines end to end in random order and fold the long strip into rows: training without padding.

    Args:
        lines: raw strokes.
        rows: B, rows that are read side by side; a row may begin in the middle of a line.
        generator: source of the order.

    Returns:
        Inputs and targets, each (T, B, 3) in raw units; reset (T, B), True where a line or a row begins; and line
        (T, B), the index of the line that each point belongs to. Up to B - 1 points at the end of the strip are left
        out.

    Raises:
        ValueError: if the lines hold fewer points to predict than there are rows.
    """
    usable = [i for i, line in enumerate(lines) if len(line) > 1]
    order = torch.randperm(len(usable), generator=generator, device=generator.device)
    order = torch.tensor(usable, dtype=torch.int64)[order.cpu()]
    seen = torch.cat([torch.empty(0, 3), *(lines[i].offsets[:-1] for i in order)])
    coming = torch.cat([torch.empty(0, 3), *(lines[i].offsets[1:] for i in order)])
    which = order.repeat_interleave(torch.tensor([len(lines[i]) - 1 for i in order], dtype=torch.int64))
    begins = torch.diff(which, prepend=which.new_full((1,), -1)) != 0
    steps = len(seen) // rows
    if steps < 1:
        raise ValueError(
            f"line_stream: {len(seen)} points to predict do not fill {rows} rows; give more lines or fewer rows"
        )
    cut = steps * rows
    begins[:cut:steps] = True

    def fold(strip: Tensor) -> Tensor:
        return strip[:cut].unflatten(0, (rows, steps)).transpose(0, 1).contiguous()

    return fold(seen), fold(coming), fold(begins), fold(which)


# -- Where the pen is expected --
@torch.no_grad()
def expected_ink(
    model: PenModel, line: Strokes, cell: float = 8.0, reach: tuple[float, float] = (400.0, 400.0)
) -> tuple[Tensor, tuple[float, float, float, float], Tensor, Tensor]:
    """Add up, along a line, the densities of where the model expects each next point.

    Args:
        model: the predictor.
        line: raw strokes, at least two points.
        cell: side of a pixel, in raw units.
        reach: how far to both sides of the pen, and up and down, a density is drawn, in raw units.

    Returns:
        The sum of the densities per square raw unit, shape (rows, columns), its edges (left, right, bottom, top) for
        imshow, the probability that the pen lifts after each of the T - 1 predicted points, shape (T - 1,), and the
        raw outputs, shape (T - 1, 6M + 1).

    Raises:
        ValueError: for a line of one point: nothing is predicted.

    Source: Graves (2013), figure 10; slide 14.
    """
    if len(line) < 2:
        raise ValueError(
            "expected_ink: the line has one point; give a line of at least two: the first is never predicted"
        )
    was_training = model.training
    model.eval()
    raw = model.outputs(model.normalise(line.offsets.to(model.mean))[:-1, None], [line])[:, 0]  # (T - 1, 6M + 1)
    model.train(was_training)
    paper = line.to_absolute()[:, :2].to(raw)
    half = [math.ceil(r / cell) for r in reach]
    low = (paper / cell).floor().amin(0).long()
    place = (paper / cell).floor().long() - low  # (T, 2): column and row of the pen, margins not counted
    columns, rows = (place.amax(0) + 1).tolist()
    canvas = raw.new_zeros(rows + 2 * half[1], columns + 2 * half[0])
    across = torch.arange(-half[0], half[0] + 1, device=raw.device)
    down = torch.arange(-half[1], half[1] + 1, device=raw.device)
    grid = torch.stack(torch.meshgrid(across, down, indexing="xy"), -1)  # (down, across, 2), in pixels
    for t in range(len(raw)):
        offset = (grid + place[t] + low + 0.5) * cell - paper[t]
        xy = (offset - model.mean[:2]) / model.std[:2]
        column, row = place[t].tolist()
        window = canvas[row : row + len(down), column : column + len(across)]
        window += StrokeMixture(raw[t]).density(xy) / model.std[:2].prod()
    left, top = ((low - torch.tensor(half, device=low.device)) * cell).tolist()
    edges = (left, left + canvas.shape[1] * cell, top + canvas.shape[0] * cell, top)
    return canvas, edges, StrokeMixture(raw).end, raw

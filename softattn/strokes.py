# Generated from book/strokes.md by tools/export.py. Edit the chapter, not this file.
"""Strokes: a line of ink as steps.

One line of ink as the steps of a pen.

The chapter book/strokes.md builds this module and explains each line.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["Strokes", "pad", "stroke_statistics"]


# -- A line of ink is a list of steps --
@dataclass(frozen=True, eq=False, repr=False)
class Strokes:
    """One written line: the steps of a pen, in the raw units of its source, y pointing down.

    Args:
        offsets: shape (T, 3), tensor or array, kept as float32: dx, dy, end. Row t moves the pen to point t;
            end is 1 if the pen lifts after that point. Row 0 is the starting point, dx = dy = 0. The last end is 1.
        text: what is written, "" if unknown.
        source: where the line comes from.
        char_index: shape (T,), the index into `text` of the character that each point belongs to, or None.

    Raises:
        ValueError: if the offsets are empty, of another shape, not finite, or break the conventions above.

    Source: Graves (2013), section 4: x_t in R x R x {0, 1}.
    """

    offsets: Tensor
    text: str = ""
    source: str = ""
    char_index: Tensor | None = None

    def __post_init__(self):
        offsets = torch.as_tensor(self.offsets).detach().to(torch.float32)
        object.__setattr__(self, "offsets", offsets)
        if offsets.ndim != 2 or offsets.shape[1] != 3:
            raise ValueError(
                f"Strokes: offsets have shape {tuple(offsets.shape)}, expected (T, 3): dx, dy, end of stroke"
            )
        if len(offsets) == 0:
            raise ValueError("Strokes: no points; a line has at least one")
        if not torch.isfinite(offsets).all():
            row = int((~torch.isfinite(offsets)).any(1).nonzero()[0])
            raise ValueError(f"Strokes: row {row} is {offsets[row].tolist()}; every number must be finite")
        end = offsets[:, 2]
        if not ((end == 0) | (end == 1)).all():
            row = int(((end != 0) & (end != 1)).nonzero()[0])
            raise ValueError(
                f"Strokes: end of stroke in row {row} is {end[row].item()}, expected 0 or 1; sample or round it"
            )
        if end[-1] != 1:
            raise ValueError(
                "Strokes: the last row must have end = 1, for the pen leaves the paper there; set offsets[-1, 2] = 1"
            )
        if offsets[0, 0] != 0 or offsets[0, 1] != 0:
            raise ValueError(
                f"Strokes: row 0 is {offsets[0].tolist()}, expected dx = dy = 0: it is the starting point. "
                "If these are positions on the paper, use Strokes.from_absolute"
            )
        if self.char_index is not None:
            index = torch.as_tensor(self.char_index).detach().to(torch.int64)
            object.__setattr__(self, "char_index", index)
            if index.shape != end.shape:
                raise ValueError(
                    f"Strokes: char_index has shape {tuple(index.shape)}, expected one per point: ({len(end)},)"
                )
            if index.min() < 0 or index.max() >= len(self.text):
                raise ValueError(
                    f"Strokes: char_index runs from {int(index.min())} to {int(index.max())}, "
                    f"but the text {self.text!r} has indices 0 to {len(self.text) - 1}"
                )

    @classmethod
    def from_absolute(
        cls,
        points: Tensor | np.ndarray | Sequence,
        ends: Tensor | np.ndarray | Sequence | None = None,
        text: str = "",
        source: str = "",
        char_index: Tensor | np.ndarray | Sequence | None = None,
    ) -> "Strokes":
        """Make strokes from positions.

        Args:
            points: x, y of each point, shape (T, 2); or x, y, end, shape (T, 3), and then no `ends`.
            ends: shape (T,), 1 where the pen lifts after the point. The last one is set to 1.
            text, source, char_index: as in Strokes.

        Raises:
            ValueError: if there are no points, or points and ends have other shapes.
        """
        points = torch.as_tensor(points).detach().to(torch.float64)
        if ends is None and points.ndim == 2 and points.shape[1] == 3:
            points, ends = points[:, :2], points[:, 2]
        if ends is None or points.ndim != 2 or points.shape[1] != 2:
            raise ValueError(
                f"Strokes.from_absolute: points have shape {tuple(points.shape)}, "
                "expected (T, 2) and `ends`, or (T, 3) without"
            )
        ends = torch.as_tensor(ends).detach().to(torch.float64)
        if ends.shape != points.shape[:1]:
            raise ValueError(f"Strokes.from_absolute: ends have shape {tuple(ends.shape)}, expected ({len(points)},)")
        if len(points) == 0:
            raise ValueError("Strokes.from_absolute: no points; a line has at least one")
        steps = torch.diff(points, dim=0, prepend=points[:1])
        ends = torch.cat([ends[:-1], ends.new_ones(1)])
        return cls(torch.cat([steps, ends[:, None]], dim=1), text, source, char_index)

    @classmethod
    def from_numpy(
        cls, offsets: np.ndarray, text: str = "", source: str = "", char_index: np.ndarray | None = None
    ) -> "Strokes":
        """Make strokes from an array of offsets, shape (T, 3); the numbers are copied."""
        return cls(torch.tensor(np.asarray(offsets, dtype=np.float32)), text, source, char_index)

    def numpy(self) -> np.ndarray:
        """The offsets as an array of their own, shape (T, 3), float32."""
        return self.offsets.cpu().numpy().copy()

    def to_absolute(self) -> Tensor:
        """Positions on the paper: x, y, end, shape (T, 3), float32; the pen starts at (0, 0)."""
        xy = self.offsets[:, :2].double().cumsum(0).float()
        return torch.cat([xy, self.offsets[:, 2:]], dim=1)

    def polylines(self) -> list[np.ndarray]:
        """One array of positions (points, 2) for each time that the pen is on the paper."""
        line = self.to_absolute().cpu().numpy()
        return np.split(line[:, :2], np.flatnonzero(line[:-1, 2]) + 1)

    def plot(self, ax: Any = None, color: str = "black", linewidth: float = 1.2) -> Any:
        """Draw the line upright.

        Args:
            ax: matplotlib axes to draw on; new ones if None.
            color, linewidth: of the pen, as matplotlib takes them.

        Returns:
            The axes.
        """
        if ax is None:
            from softattn.pictures import figure

            _, ax = figure(height=1.6)
        for stroke in self.polylines():
            if len(stroke) == 1:
                ax.plot(*stroke.T, ".", color=color, markersize=2 * linewidth)
            else:
                ax.plot(*stroke.T, color=color, linewidth=linewidth, solid_capstyle="round")
        ax.set_aspect("equal", adjustable="datalim")
        if not ax.yaxis_inverted():  # y points down in the data
            ax.invert_yaxis()
        ax.axis("off")
        return ax

    def svg(self, width: int = 640, color: str = "currentColor", pen: float = 8.0) -> str:
        """The line as an SVG picture: `width` in pixels, `color` as in CSS, `pen` the pen's thickness in raw units."""
        xy = self.to_absolute()[:, :2]
        low, high = xy.amin(0) - pen, xy.amax(0) + pen
        (x, y), (w, h) = low.tolist(), (high - low).tolist()
        paths = []
        for stroke in self.polylines():
            points = " ".join(f"{px:g} {py:g}" for px, py in stroke)
            paths.append(f"M{points}" if len(stroke) > 1 else f"M{points}h0")  # a round cap makes a dot of it
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{max(1, round(width * h / w))}" '
            f'viewBox="{x:g} {y:g} {w:g} {h:g}" role="img" aria-label="{escape(self.text or "handwriting")}">'
            f'<path d="{"".join(paths)}" fill="none" stroke="{escape(color, quote=True)}" stroke-width="{pen:g}" '
            'stroke-linecap="round" stroke-linejoin="round"/></svg>'
        )

    def __len__(self) -> int:
        return len(self.offsets)

    def __eq__(self, other) -> bool:
        if not isinstance(other, Strokes):
            return NotImplemented
        index = [s.char_index for s in (self, other)]
        same_index = index[0] is index[1] or (
            None not in map(type, index) and all(i is not None for i in index) and torch.equal(*index)
        )
        return (
            (self.text, self.source) == (other.text, other.source)
            and torch.equal(self.offsets, other.offsets)
            and same_index
        )

    __hash__ = None

    def __repr__(self) -> str:
        pens = int(self.offsets[:, 2].sum())
        return f"Strokes({self.text!r}, {len(self)} points, {pens} strokes, source={self.source!r})"


# -- A line of ink is a list of steps --
def pad(lines: Sequence[Strokes]) -> tuple[Tensor, Tensor]:
    """Stack lines of different lengths into one batch, time first, zeros behind the shorter ones.

    Args:
        lines: B lines.

    Returns:
        x (T, B, 3), the offsets, T that of the longest line; lengths (B,), the points of each line, int64.

    Raises:
        ValueError: if there are no lines.
    """
    if len(lines) == 0:
        raise ValueError("pad: no lines; a batch has at least one")
    x = torch.nn.utils.rnn.pad_sequence([line.offsets for line in lines])  # (T, B, 3)
    return x, torch.tensor([len(line) for line in lines])


# -- A heap of lines in numbers --
def stroke_statistics(lines: Sequence[Strokes]) -> dict:
    """What a heap of lines looks like in numbers, for comparing one source with another.

    Args:
        lines: at least one line, each with its text.

    Returns:
        lines, points: how many. points_per_character, strokes_per_character. mean, std: of dx and dy over all rows.
        end_rate: share of points after which the pen lifts. dot_share: share of strokes that are one point.
        pen_down: {dx, dy}, shares of the steps on the paper in bins of 4 units around -78, -74, ..., 78 (the last ones
        take what is beyond); pen_up: the same for jumps, in bins of 40 units around -780 to 780.

    Raises:
        ValueError: if there are no lines, or one has no text.
    """
    if len(lines) == 0 or not all(line.text for line in lines):
        raise ValueError("stroke_statistics: expected at least one line, and every line with its text")
    characters = sum(len(line.text) for line in lines)
    x = torch.cat([line.offsets for line in lines]).double()
    steps = torch.cat([line.offsets[1:] for line in lines])
    after_lift = torch.cat([line.offsets[:-1, 2] for line in lines]) == 1
    strokes = int(x[:, 2].sum())
    dots = sum(sum(len(stroke) == 1 for stroke in line.polylines()) for line in lines)

    def shares(values: Tensor, width: int) -> list[float]:
        bins = (values / width).floor().clamp(-20, 19).long() + 20
        return [round(n / max(1, len(values)), 5) for n in torch.bincount(bins, minlength=40).tolist()]

    return {
        "lines": len(lines),
        "points": len(x),
        "points_per_character": round(len(x) / characters, 2),
        "strokes_per_character": round(strokes / characters, 3),
        "mean": [round(v, 2) for v in x[:, :2].mean(0).tolist()],
        "std": [round(v, 2) for v in x[:, :2].std(0, correction=0).tolist()],
        "end_rate": round(strokes / len(x), 4),
        "dot_share": round(dots / strokes, 4),
        "pen_down": {axis: shares(steps[~after_lift, i], 4) for i, axis in enumerate(("dx", "dy"))},
        "pen_up": {axis: shares(steps[after_lift, i], 40) for i, axis in enumerate(("dx", "dy"))},
    }

# Generated from book/strokes.md by tools/export.py. Edit the chapter, not this file.
"""Strokes: online handwriting as pen offsets.

One line of handwriting as the steps of a pen.

The chapter book/strokes.md builds this module and explains each line.
"""

import io
import json
import os
import re
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from softattn.hub import atomic_write, real, whole

__all__ = ["Strokes", "pad", "stroke_statistics"]


# -- A record that checks itself --
def _numbers(who: str, values: Any, dtype: torch.dtype) -> Tensor:
    """A tensor of one's own with these values, or a TypeError."""
    if isinstance(values, Tensor):
        if values.is_complex():
            raise TypeError(f"{who} came as complex numbers")
        return values.detach().to(dtype, copy=True)
    try:
        array = np.array(values)
    except (TypeError, ValueError, RuntimeError) as err:
        raise TypeError(f"{who}: {err}; expected rows of numbers") from err
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"{who} came as {type(values).__name__} of {array.dtype}, expected a tensor or an array of numbers"
        )
    return torch.from_numpy(array.astype(np.float64)).to(dtype)


# -- A record that checks itself --
def _check_offsets(offsets: Tensor) -> None:
    """Raise ValueError unless these are the steps of one line."""
    if offsets.ndim > 0 and len(offsets) == 0:
        raise ValueError("Strokes: no points; a line has at least one")
    if offsets.ndim != 2 or offsets.shape[1] != 3:
        raise ValueError(f"Strokes: offsets have shape {tuple(offsets.shape)}, expected (T, 3): dx, dy, end of stroke")
    bad = (~torch.isfinite(offsets)).any(1)
    if bad.any():
        row = int(bad.nonzero()[0])
        raise ValueError(f"Strokes: row {row} is {offsets[row].tolist()}; every number must be finite")
    bad = (offsets[:, 2] != 0) & (offsets[:, 2] != 1)
    if bad.any():
        row = int(bad.nonzero()[0])
        raise ValueError(
            f"Strokes: end of stroke in row {row} is {offsets[row, 2]:g}, expected 0 or 1; sample or round it"
        )


# -- A record that checks itself --
def _check_ends(offsets: Tensor) -> None:
    """Raise ValueError unless a line starts at rest and ends off paper."""
    if offsets[-1, 2] != 1:
        raise ValueError(
            "Strokes: the last row must have end = 1, for the pen leaves the paper there; set offsets[-1, 2] = 1"
        )
    if offsets[0, 0] != 0 or offsets[0, 1] != 0:
        raise ValueError(
            f"Strokes: row 0 is {offsets[0].tolist()}, expected dx = dy = 0: "
            "it is the starting point. If these are positions on the paper, "
            "use Strokes.from_absolute"
        )


def _check_index(index: Tensor, given: Any, count: int, text: str) -> None:
    """Raise ValueError unless each point has a character of the text."""
    if index.shape != (count,):
        raise ValueError(f"Strokes: char_index has shape {tuple(index.shape)}, expected one per point: ({count},)")
    if not (index == torch.as_tensor(given, device=index.device)).all():
        raise ValueError("Strokes: char_index holds fractions or NaN")
    if index.min() < 0 or index.max() >= len(text):
        raise ValueError(
            f"Strokes: char_index runs from {int(index.min())} to "
            f"{int(index.max())}, but the text {text!r} has indices 0 to "
            f"{len(text) - 1}"
        )


# -- A record that checks itself --
@dataclass(frozen=True, eq=False, repr=False)
class _Steps:
    """The record behind Strokes: steps, text, letters."""

    offsets: Tensor
    text: str = ""
    source: str = ""
    char_index: Tensor | None = None

    def __post_init__(self):
        for name in ("text", "source"):
            value = getattr(self, name)
            if not isinstance(value, str):
                raise TypeError(f"Strokes: {name} is {value!r}, not a str")
        offsets = _numbers("Strokes: offsets", self.offsets, torch.float32)
        _check_offsets(offsets)
        _check_ends(offsets)
        object.__setattr__(self, "offsets", offsets)
        if self.char_index is not None:
            given = self.char_index
            index = _numbers("Strokes: char_index", given, torch.int64)
            _check_index(index, given, len(offsets), self.text)
            object.__setattr__(self, "char_index", index)

    def __len__(self) -> int:
        return len(self.offsets)

    def __eq__(self, other) -> bool:
        if not isinstance(other, _Steps):
            return NotImplemented
        a, b = self.char_index, other.char_index
        return (
            (self.text, self.source) == (other.text, other.source)
            and torch.equal(self.offsets, other.offsets)
            and (a is None) == (b is None)
            and (a is None or b is None or torch.equal(a, b))
        )

    __hash__ = None  # type: ignore

    def __repr__(self) -> str:
        pens = int(self.offsets[:, 2].sum())
        counts = f"{len(self)} points, {pens} strokes"
        return f"Strokes({self.text!r}, {counts}, source={self.source!r})"


# -- From steps to places and back --
def _offsets(points: Any, ends: Any) -> Tensor:
    """Steps (T, 3) between positions, for Strokes.from_absolute."""
    who = "Strokes.from_absolute"
    points = _numbers(f"{who}: points", points, torch.float64)
    if ends is None and points.ndim == 2 and points.shape[1] == 3:
        points, ends = points[:, :2], points[:, 2]
    if ends is None or points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(
            f"{who}: points have shape {tuple(points.shape)}, expected (T, 2) and `ends`, or (T, 3) without"
        )
    ends = _numbers(f"{who}: ends", ends, torch.float64)
    if ends.shape != points.shape[:1]:
        raise ValueError(f"{who}: ends have shape {tuple(ends.shape)}, expected ({len(points)},)")
    if len(points) == 0:
        raise ValueError(f"{who}: no points; a line has at least one")
    steps = torch.diff(points, dim=0, prepend=points[:1])
    ends = torch.cat([ends[:-1], ends.new_ones(1)]).to(steps.device)
    return torch.cat([steps, ends[:, None]], dim=1)


# -- From steps to places and back --
def _draw(ax: Any, strokes: list[np.ndarray], color: str, width: float):
    """Ink on matplotlib axes, `width` in points."""
    for stroke in strokes:
        if len(stroke) == 1:
            ax.plot(*stroke.T, ".", color=color, markersize=2 * width)
        else:
            ax.plot(
                *stroke.T,
                color=color,
                linewidth=width,
                solid_capstyle="round",
            )
    ax.axis("off")


# -- From steps to places and back --
class _Paper(_Steps):
    """The record on paper: places, one array per stroke, and a plot."""

    @classmethod
    def from_absolute(
        cls,
        points: Tensor | np.ndarray | Sequence,
        ends: Tensor | np.ndarray | Sequence | None = None,
        text: str = "",
        source: str = "",
        char_index: Tensor | np.ndarray | Sequence | None = None,
    ) -> Self:
        """Make strokes from positions.

        Args:
            points: x, y of each point, shape (T, 2); or x, y, end,
                shape (T, 3), and then no `ends`.
            ends: shape (T,), 1 where the pen lifts after the point.
                The last one is set to 1.
            text, source, char_index: as in Strokes.

        Raises:
            ValueError: if there are no points, or points and ends have
                other shapes.
            TypeError: if they are no numbers.
        """
        index = char_index
        if index is not None:
            index = _numbers("Strokes: char_index", index, torch.float64)
        return cls(_offsets(points, ends), text, source, index)

    def to_absolute(self) -> Tensor:
        """Positions: x, y, end, (T, 3), float32; the pen starts at 0, 0."""
        xy = self.offsets[:, :2].double().cumsum(0).float()
        return torch.cat([xy, self.offsets[:, 2:]], dim=1)

    def polylines(self) -> list[np.ndarray]:
        """Positions (points, 2) for each time that the pen is down."""
        line = self.to_absolute().cpu().numpy()
        return np.split(line[:, :2], np.flatnonzero(line[:-1, 2]) + 1)

    def plot(self, ax: Any = None, color: str = "black", linewidth: float = 1.2) -> Any:
        """Draw the line upright on matplotlib axes (new ones if None)."""
        if ax is None:
            from softattn.pictures import figure

            _, ax = figure(height=1.6)
        linewidth = real("Strokes.plot", "linewidth", linewidth, 0, 1000)
        if not hasattr(ax, "yaxis_inverted"):
            raise TypeError(f"Strokes.plot: ax is {ax!r}, no Matplotlib axes")
        _draw(ax, self.polylines(), color, linewidth)
        ax.set_aspect("equal", adjustable="datalim")
        if not ax.yaxis_inverted():  # y points down in the data
            ax.invert_yaxis()
        return ax


# -- Pictures and files --
_PIXELS = 2**25  # of one picture at most: 134 MB while it is drawn


def _frame(
    who: str, strokes: list[np.ndarray], width: int | None, pen: float
) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """Upper left corner and size in raw units, and size in pixels."""
    if width is not None:
        width = whole(who, "width", width, 1)
    pen = real(who, "pen", pen, 0.01, 1000)
    points = np.concatenate(strokes).astype(np.float64)
    low, high = points.min(0) - pen, points.max(0) + pen
    w, h = high - low
    scale = 0.1 if width is None else width / w  # pixels per unit
    return (
        low,
        high - low,
        (max(1, round(scale * w)), max(1, round(scale * h))),
    )


# -- Pictures and files --

# what no XML may hold, not even escaped
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _attribute(text: str) -> str:
    """A text as it may stand between the quotes of an XML attribute."""
    return escape(_NOT_XML.sub("\ufffd", text), quote=True)


def _svg_path(strokes: list[np.ndarray]) -> str:
    """The `d` of an SVG path: every stroke has a length, dots too."""
    paths = []
    for stroke in strokes:
        places = [f"{x:.10g} {y:.10g}" for x, y in stroke.round(2) + 0.0]
        if len(set(places)) == 1:
            x, y = stroke[0] - (0.5, 0)
            places = [f"{x:.10g} {y:.10g}h1"]
        paths.append("M" + " ".join(places))
    return "".join(paths)


# -- Pictures and files --
def _svg(
    strokes: list[np.ndarray],
    words: str,
    width: int | None,
    color: str,
    pen: float,
) -> str:
    """An SVG picture that says its words to those who cannot see it."""
    low, size, pixels = _frame("Strokes.svg", strokes, width, pen)
    box = " ".join(f"{v:.10g}" for v in [*low, *size])
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" '
        f'width="{pixels[0]}" height="{pixels[1]}" viewBox="{box}" '
        f'role="img" aria-label="{_attribute(words)}">'
        f'<path d="{_svg_path(strokes)}" fill="none" '
        f'stroke="{_attribute(color)}" stroke-width="{pen:g}" '
        'stroke-linecap="round" stroke-linejoin="round"/></svg>'
    )


# -- Pictures and files --
def _canvas(inches: tuple[float, float], color: str) -> Any:
    """An empty white figure of 100 pixels to the inch."""
    try:
        from matplotlib.colors import is_color_like
        from matplotlib.figure import Figure
    except ImportError as err:
        why = "a .png needs Matplotlib: pip install matplotlib"
        raise ImportError(f"Strokes.save: {why}; .svg needs nothing") from err
    if not is_color_like(color):
        raise ValueError(f"Strokes.save: {color!r} is no colour")
    return Figure(figsize=inches, dpi=100, facecolor="white")


# -- Pictures and files --
def _png(strokes: list[np.ndarray], width: int | None, color: str, pen: float) -> bytes:
    """A picture in pixels, ink on white, whatever the caller's own style."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    low, size, (across, down) = _frame("Strokes.save", strokes, width, pen)
    if across * down > _PIXELS or max(across, down) >= 2**16:
        raise ValueError(
            f"Strokes.save: {across} x {down} pixels; at most {_PIXELS:,} in "
            "all, and 65,535 on a side, are drawn: give a smaller width"
        )
    inches = ((across + 0.01) / 100, (down + 0.01) / 100)
    figure = _canvas(inches, color)
    ax = figure.add_axes((0, 0, 1, 1))
    _draw(ax, strokes, color, pen * across / size[0] * 72 / 100)
    x, y = low + size
    ax.set(xlim=(low[0], x), ylim=(y, low[1]), aspect="auto")
    file = io.BytesIO()
    FigureCanvasAgg(figure).print_png(file)
    return file.getvalue()


# -- Pictures and files --
_WANTED = 'expected {"text": "...", "offsets": [[dx, dy, end], ...]}'


def _from_json(stored: str | bytes | Mapping) -> Mapping:
    """What a JSON text holds, with rows of three numbers within bounds."""
    who = "Strokes.from_json"
    if isinstance(stored, str | bytes | bytearray):
        if isinstance(stored, str):
            stored = stored.removeprefix("\ufeff")
        try:
            stored = json.loads(stored)  # bytes: by their byte order mark
        except (ValueError, RecursionError) as err:
            raise ValueError(f"{who}: not JSON: {err}; {_WANTED}") from err
    if not isinstance(stored, Mapping):
        kind = type(stored).__name__
        raise ValueError(f"{who}: this is a {kind}; {_WANTED}")
    if "offsets" not in stored:
        raise ValueError(f"{who}: it has no 'offsets'; {_WANTED}")
    return {**stored, "offsets": _rows(stored["offsets"])}


# -- Pictures and files --
def _rows(rows: Any) -> list:
    """Rows of three bounded numbers, or a sentence."""
    who = "Strokes.from_json"
    rows = rows.tolist() if isinstance(rows, Tensor | np.ndarray) else rows
    for k, row in enumerate(rows if isinstance(rows, list) else [rows]):
        three = isinstance(row, list | tuple) and len(row) == 3
        if not three or any(type(v) not in (int, float) for v in row):
            raise ValueError(f"{who}: row {k} is {reprlib.repr(row)}; {_WANTED}")
        if any(abs(v) > 1_000_000 for v in row):
            raise ValueError(f"{who}: row {k} moves over 1,000,000 units")
    return rows


# -- Pictures and files --
def _short(value: np.float32) -> float | int:
    """The shortest number that is this one again as a float32."""
    number = float(str(value))
    return int(number) if number.is_integer() else number


# -- Pictures and files --
class Strokes(_Paper):
    """One written line: the steps of a pen, raw units, y pointing down.

    Args:
        offsets: shape (T, 3), copied as float32: dx, dy, end. Row t moves
            the pen to point t; end is 1 if it lifts after that point. Row 0
            is the starting point, dx = dy = 0. The last end is 1.
        text: what is written, "" if unknown.
        source: where the line comes from.
        char_index: shape (T,), the index into `text` of the character that
            each point belongs to, or None.

    Raises:
        ValueError: if the offsets are empty, of another shape, not finite,
            or break the conventions above.
        TypeError: if they are no numbers, or the text is none.

    Source: Graves (2013), section 4: x_t in R x R x {0, 1}.
    """

    def svg(
        self,
        width: int | None = None,
        color: str = "currentColor",
        pen: float = 8.0,
    ) -> str:
        """The line as an SVG picture.

        Args:
            width: in pixels; None keeps letters the same size in every
                picture, ten raw units to the pixel.
            color: of the ink, as in CSS.
            pen: its thickness, in raw units.
        """
        words = self.text or "handwriting"
        return _svg(self.polylines(), words, width, str(color), pen)

    def to_json(self, **notes: Any) -> str:
        """Text, source, offsets and char_index as JSON, with `notes`."""
        x = self.offsets.cpu().numpy()
        stored = {"text": self.text, "source": self.source, **notes}
        stored["offsets"] = [[_short(value) for value in row] for row in x]
        if self.char_index is not None:
            stored["char_index"] = self.char_index.tolist()
        return json.dumps(stored, allow_nan=False)

    @classmethod
    def from_json(cls, stored: str | bytes | Mapping) -> Self:
        """Read `stored`, what `to_json` wrote: text, bytes or the dict.
        Raises: ValueError where it is no line."""
        stored = _from_json(stored)
        keep = {"text", "source", "offsets", "char_index"} & set(stored)
        try:
            return cls(**{key: stored[key] for key in keep})
        except TypeError as err:
            raise ValueError(f"Strokes.from_json: {err}") from err

    def save(
        self,
        path: str | os.PathLike,
        width: int | None = None,
        color: str = "black",
        pen: float = 8.0,
    ) -> None:
        """Write a .json, .svg or .png file, whole or not at all.

        Args:
            path: its ending says the kind.
            width, color, pen: of a picture, as in `svg`.

        Raises:
            ValueError: for another ending, or a picture too large.
            OSError: if the file cannot be written.
        """
        if not isinstance(path, str | os.PathLike):
            raise TypeError(f"Strokes.save: path is {path!r}, not a path")
        kind = Path(path).suffix.lower()
        if kind == ".json":
            data = self.to_json().encode()
        elif kind == ".svg":
            data = self.svg(width, color, pen).encode()
        elif kind == ".png":
            data = _png(self.polylines(), width, color, pen)
        else:
            raise ValueError(f"Strokes.save: {str(path)!r} ends in {kind or 'nothing'}, expected .json, .svg or .png")
        with atomic_write(path) as beside:
            beside.write_bytes(data)


# -- A batch is a box --
def _lines(who: str, lines: Any) -> list[Strokes]:
    """These lines as a list, or a sentence if they are none."""
    if isinstance(lines, Strokes):
        raise TypeError(f"{who}: got one line; put it into a list")
    try:
        found = list(lines)
    except TypeError:
        found = [lines]
    for k, line in enumerate(found):
        if not isinstance(line, Strokes):
            kind = type(line).__name__
            raise TypeError(f"{who}: entry {k} is {kind}, expected Strokes")
    if not found:
        raise ValueError(f"{who}: no lines; expected at least one line")
    return found


# -- A batch is a box --
def pad(lines: Sequence[Strokes]) -> tuple[Tensor, Tensor]:
    """Stack lines into one batch, time first, zeros behind shorter ones.

    Args:
        lines: B lines.

    Returns:
        x (T, B, 3), the offsets, T that of the longest line; lengths (B,),
        the points of each line, int64.

    Raises:
        ValueError: if there are no lines.
        TypeError: if one of them is no Strokes.
    """
    lines = _lines("pad", lines)
    x = nn.utils.rnn.pad_sequence([line.offsets for line in lines])
    return x, torch.tensor([len(line) for line in lines])  # (T, B, 3), (B,)


# -- A heap of lines in numbers --
def _shares(values: Tensor, width: int) -> list[float]:
    """Shares in 40 bins of `width` around 0; the outer ones take the rest."""
    bins = (values / width).floor().clamp(-20, 19).long() + 20
    counts = torch.bincount(bins, minlength=40).tolist()
    return [round(n / max(1, len(values)), 5) for n in counts]


def _histograms(steps: Tensor, width: int) -> dict[str, list[float]]:
    """Of the two columns dx and dy, (T, 2)."""
    return {a: _shares(steps[:, i], width) for i, a in enumerate(("dx", "dy"))}


# -- A heap of lines in numbers --
def _rates(lines: list[Strokes]) -> dict:
    """Points, and how often this and that occurs."""
    characters = sum(len(line.text) for line in lines)
    points = sum(len(line) for line in lines)
    strokes = [stroke for line in lines for stroke in line.polylines()]
    dots = sum(len(stroke) == 1 for stroke in strokes)
    return {
        "points": points,
        "points_per_character": round(points / characters, 2),
        "strokes_per_character": round(len(strokes) / characters, 3),
        "end_rate": round(len(strokes) / points, 4),
        "dot_share": round(dots / len(strokes), 4),
    }


def _steps(lines: list[Strokes]) -> dict:
    """How long the steps are."""
    x = torch.cat([line.offsets[:, :2] for line in lines]).double()
    steps = torch.cat([line.offsets[1:, :2] for line in lines])
    lifted = torch.cat([line.offsets[:-1, 2] for line in lines]) == 1
    return {
        "mean": [round(v, 2) for v in x.mean(0).tolist()],
        "std": [round(v, 2) for v in x.std(0, correction=0).tolist()],
        "pen_down": _histograms(steps[~lifted], 4),
        "pen_up": _histograms(steps[lifted], 40),
    }


# -- A heap of lines in numbers --
def stroke_statistics(lines: Sequence[Strokes]) -> dict:
    """What a heap of lines looks like in numbers.

    Args:
        lines: at least one line, each with its text.

    Returns:
        lines, points: how many. points_per_character, strokes_per_character.
        mean, std: of dx and dy over all rows. end_rate: share of points
        after which the pen lifts. dot_share: share of strokes that are one
        point. pen_down: {dx, dy}, shares of the steps on the paper in bins
        of 4 units around -78, -74, ..., 78 (the outer ones take what is
        beyond); pen_up: the same for jumps, in bins of 40 units.

    Raises:
        ValueError: if there are no lines, or one has no text.
        TypeError: if one of them is no Strokes.
    """
    lines = _lines("stroke_statistics", lines)
    if not all(line.text for line in lines):
        raise ValueError("stroke_statistics: expected every line with its text")
    return {"lines": len(lines), **_rates(lines), **_steps(lines)}

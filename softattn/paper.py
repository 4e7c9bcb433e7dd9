# Generated from book/paper.md by tools/export.py. Edit the chapter, not this file.
"""Paper: ink in millimetres.

Ink in millimetres, as SVG, PNG, PDF and G-code.

The chapter book/paper.md builds this module and explains each line.
"""

import io
import math
import os
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from softattn.hub import atomic_write, instance, many, path_of, real, whole, writable_target
from softattn.page import WIDTH
from softattn.strokes import Strokes, _attribute

__all__ = ["Sheet", "lay_out", "save_sheets", "sheet_gcode", "sheet_svg", "smooth_stroke"]


# -- Lengths --
_UNITS = {"": 1.0, "mm": 1.0, "cm": 10.0, "in": 25.4, "pt": 25.4 / 72}
_LENGTH = re.compile(r"([+-]?\d{1,9}(?:\.\d{0,9})?|\.\d{1,9}) *([a-z]*)")


def millimetres(who: str, name: str, value: Any, least: float, most: float) -> float:
    """A length in mm: a number, or a text as "0.5mm", "1cm", "2in", "9pt"."""
    if isinstance(value, str):
        found = _LENGTH.fullmatch(value.strip().lower())
        if found is None or found[2] not in _UNITS:
            raise ValueError(
                f'{who}: {name} is {value[:40]!r}, expected a length as 7, "7mm", "0.7cm", "0.3in" or "20pt"'
            )
        value = float(found[1]) * _UNITS[found[2]]
    return real(who, f"{name} (mm)", value, least, most)


# -- Lengths --
TALL = 360.0  # raw units that a tall letter stands above its baseline

PAPERS = {  # width and height in mm
    "A3": (297.0, 420.0),
    "A4": (210.0, 297.0),
    "A5": (148.0, 210.0),
    "A6": (105.0, 148.0),
    "legal": (215.9, 355.6),
    "letter": (215.9, 279.4),
}


def paper_size(who: str, paper: Any) -> tuple[float, float]:
    """Width and height in mm of a paper: its name, or two lengths."""
    if isinstance(paper, str):
        known = {name.lower(): size for name, size in PAPERS.items()}
        if paper.strip().lower() in known:
            return known[paper.strip().lower()]
    pair = paper.lower().split("x") if isinstance(paper, str) else paper
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        names = ", ".join(PAPERS)
        raise ValueError(
            f'{who}: paper is {str(paper)[:40]!r}, expected one of {names}, or width and height as "100mmx150mm"'
        )
    across = millimetres(who, "the paper's width", pair[0], 10, 5000)
    return across, millimetres(who, "the paper's height", pair[1], 10, 5000)


# -- The baseline --
def bottoms(strokes: list[np.ndarray]) -> np.ndarray:
    """Heights y of the places where a pen that goes down turns up."""
    found = []
    for stroke in strokes:
        y = stroke[np.append(True, np.diff(stroke[:, 1]) != 0), 1]
        if len(y) > 1:  # y points down: a bottom is a maximum
            left = np.append(True, y[1:] > y[:-1])
            right = np.append(y[:-1] > y[1:], True)
            found.append(y[left & right])
    return np.concatenate(found or [s[:, 1] for s in strokes])


def baseline(strokes: list[np.ndarray]) -> float:
    """Where a line stands: the median of its bottoms."""
    return float(np.median(bottoms(strokes)))


# -- A sheet --
@dataclass(frozen=True, eq=False)
class Sheet:
    """Ink on a sheet of paper.

    Args:
        width, height: of the sheet, in mm.
        strokes: places (P, 2) in mm, float64, y down, from the upper left
            corner; one array for each time that the pen is down.
        text: what is written.
    """

    width: float
    height: float
    strokes: tuple[np.ndarray, ...]
    text: str = ""

    def __post_init__(self):
        for name in ("width", "height"):
            real("Sheet", name, getattr(self, name), 0.1, 100_000)
        instance("Sheet", "text", self.text, str)
        for stroke in instance("Sheet", "strokes", self.strokes, tuple):
            instance("Sheet", "a stroke", stroke, np.ndarray)
            if stroke.ndim != 2 or stroke.shape[1:] != (2,) or not len(stroke):
                what = f"a stroke has shape {stroke.shape}"
                raise ValueError(f"Sheet: {what}, expected (P, 2)")
            if stroke.dtype.kind != "f" or not np.isfinite(stroke).all():
                raise ValueError("Sheet: every place must be a finite float")


# -- A sheet --
def rows_of(text: str, lines: list[str]) -> list[tuple[int, int]]:
    """Row and indent, in characters, of each line of a wrapped text."""
    found, at, row = [], 0, 0
    for line in lines:
        places: list[int] = []
        for char in line.replace(" ", ""):
            after = places[-1] + 1 if places else at
            places.append(text.find(char, after))
            if places[-1] < 0:
                break
        if not places or places[-1] < 0:  # other lines than the text's
            return [(k, 0) for k in range(len(lines))]
        gap = text[at : places[0]]
        breaks = gap.count("\n")
        row += max(1, breaks) if found else breaks
        begins = breaks > 0 or not found
        lead = len(gap.rpartition("\n")[2]) if begins else 0
        found.append((row, lead))
        at = places[-1] + 1
    return found


# -- A sheet --
ALIGN = {"left": 0.0, "centre": 0.5, "center": 0.5, "right": 1.0}


def fitted(strokes: list[np.ndarray], scale: float, room: float, text: str) -> list[np.ndarray]:
    """A line in mm on its baseline at y = 0, from x = 0, within `room`."""
    low = min(stroke[:, 0].min() for stroke in strokes)
    high = max(stroke[:, 0].max() for stroke in strokes)
    wide, across = (high - low) * scale, scale
    if wide > room:
        across *= room / wide
        warnings.warn(
            f"lay_out: the line {text[:30]!r} is {wide:.0f} mm wide, the "
            f"paper leaves {room:.0f}: squeezed to {room / wide:.0%}",
            stacklevel=3,
        )
    zero = np.array([low, baseline(strokes)])
    return [(s - zero) * (across, scale) for s in strokes]


# -- A sheet --
def lines_of(ink: Any) -> tuple[list[Strokes], list[tuple[int, int]], str]:
    """Lines of ink, where each belongs, and the text of them all."""
    single = isinstance(ink, Strokes)
    lines = getattr(ink, "lines", []) if single else ink
    try:
        lines = list(lines) or [ink]
    except TypeError:
        lines = [ink]
    for line in lines:
        instance("lay_out", "a line", line, Strokes)
    texts = [line.text for line in lines]
    text = getattr(ink, "text", "") or "\n".join(texts)  # a page's blank lines
    return lines, rows_of(text, texts), text


# -- A sheet --
@dataclass(frozen=True)
class Format:
    """Lengths of a layout, all in mm, judged."""

    size: float
    margin: float
    line_height: float
    paper: tuple[float, float] | None
    align: float

    @property
    def room(self) -> float:
        """The width of a line."""
        return self.paper[0] - 2 * self.margin if self.paper else math.inf

    @property
    def rows(self) -> int:
        """Lines on a sheet."""
        if self.paper is None:
            return 2**40
        free = self.paper[1] - 2 * self.margin - 1.5 * self.size
        return 1 + int(free / self.line_height + 1e-9)

    def columns(self, width: float) -> int:
        """Characters on a line, each `width` raw units wide."""
        wide = 1.05 * width * self.size / TALL  # hands differ
        return min(1000, int(self.room / wide)) if self.paper else 48


# -- A sheet --
def format_of(size: Any, margin: Any, line_height: Any, paper: Any, align: Any) -> Format:
    """Judge the lengths of a layout; a ValueError says which is wrong."""
    who = "lay_out"
    size = millimetres(who, "size", size, 0.5, 500)
    margin = millimetres(who, "margin", margin, 0, 500)
    if line_height is None:
        line_height = 2.0 * size
    line_height = millimetres(who, "line_height", line_height, 0.5, 2000)
    if not isinstance(align, str) or align not in ALIGN:
        raise ValueError(f"{who}: align is {align!r}, expected left, centre or right")
    sheet = None if paper is None else paper_size(who, paper)
    if sheet and min(sheet[0] - 2 * margin, sheet[1] - 2 * margin) < 2 * size:
        raise ValueError(
            f"{who}: letters of {size:g} mm do not fit on {sheet[0]:g} x "
            f"{sheet[1]:g} mm with margins of {margin:g} mm; make the size "
            "or the margins smaller"
        )
    return Format(size, margin, line_height, sheet, ALIGN[align])


# -- A sheet --
def lay_out(
    ink: Strokes | Iterable[Strokes],
    *,
    size: float | str = 7.0,
    paper: str | tuple | None = None,
    margin: float | str = 10.0,
    line_height: float | str | None = None,
    align: str = "left",
) -> list[Sheet]:
    """Set ink on sheets of paper, in millimetres.

    Args:
        ink: a page of `write`, a line, or lines, in raw units.
        size: height of a tall letter above its line, in mm; or "7mm".
        paper: A4, letter, or width and height; None: as large as the ink.
        margin: on each side, in mm.
        line_height: from line to line, in mm; None: twice the size.
        align: left, centre or right.

    Returns: the sheets, one at least.
    Raises: TypeError, ValueError for what is no ink, and wrong lengths.
    """
    form = format_of(size, margin, line_height, paper, align)
    lines, places, text = lines_of(ink)
    if form.paper is None:
        return [snug_sheet(lines, places, text, form)]
    return full_sheets(lines, places, form)


# -- A sheet --
def set_lines(lines, places, form: Format) -> list[list[np.ndarray]]:
    """Each line in mm, its baseline in its row, from the left margin on."""
    scale, found = form.size / TALL, []
    for line, (row, indent) in zip(lines, places, strict=True):
        lead = WIDTH * scale * indent
        lead = min(lead, 0.5 * form.room)
        strokes = [s.astype(np.float64) for s in line.polylines()]
        placed = fitted(strokes, scale, form.room - lead, line.text)
        wide = max(s[:, 0].max() for s in placed)
        if form.align and form.paper:
            lead = form.align * (form.room - wide)
        down = row * form.line_height
        found.append([s + (lead, down) for s in placed])
    return found


# -- A sheet --
def snug_sheet(lines, places, text: str, form: Format) -> Sheet:
    """A sheet as large as its ink and the margins."""
    rows = set_lines(lines, places, form)
    if form.align:  # beside the widest line
        edge = max(s[:, 0].max() for row in rows for s in row)
        for k, row in enumerate(rows):
            free = edge - max(s[:, 0].max() for s in row)
            rows[k] = [s + (form.align * free, 0.0) for s in row]
    strokes = [s for row in rows for s in row]
    low = np.min([s.min(0) for s in strokes], axis=0)
    high = np.max([s.max(0) for s in strokes], axis=0)
    wide, tall = (high - low + 2 * form.margin).tolist()
    moved = tuple(s - low + form.margin for s in strokes)
    return Sheet(max(wide, 0.5), max(tall, 0.5), moved, text)


# -- A sheet --
def full_sheets(lines, places, form: Format) -> list[Sheet]:
    """Sheets of one size, with as many rows as fit."""
    wide, tall = form.paper or (0.0, 0.0)
    sheets: dict[int, tuple[list, list]] = {}
    rows = set_lines(lines, places, form)
    for line, strokes, (row, _) in zip(lines, rows, places, strict=True):
        on = row // form.rows
        top = form.margin + form.size - on * form.rows * form.line_height
        ink, words = sheets.setdefault(on, ([], []))
        ink += [s + (form.margin, top) for s in strokes]
        words.append(line.text)
    return [Sheet(wide, tall, tuple(ink), "\n".join(words)) for _, (ink, words) in sorted(sheets.items())]


# -- Through the points --
def _handles(stroke: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Handles of the curves between the points (P, 2): two (P - 1, 2)."""
    around = np.concatenate([stroke[:1], stroke, stroke[-1:]])
    way = (around[2:] - around[:-2]) / 6  # (P, 2)
    chord = np.hypot(*np.diff(stroke, axis=0).T)  # (P - 1,)
    size = np.hypot(*way.T)
    out = np.minimum(1.0, 0.4 * chord / np.maximum(size[:-1], 1e-12))
    back = np.minimum(1.0, 0.4 * chord / np.maximum(size[1:], 1e-12))
    first = stroke[:-1] + out[:, None] * way[:-1]
    return first, stroke[1:] - back[:, None] * way[1:]


# -- Through the points --
def smooth_stroke(stroke: np.ndarray, pieces: int = 4) -> np.ndarray:
    """Points on the curve through a stroke's points.

    Args:
        stroke: (P, 2).
        pieces: how many pieces each step is cut into, 1 to 64.

    Returns: (pieces (P - 1) + 1, 2); the points given are among them.
    Raises: TypeError, ValueError for anything else.
    """
    who = "smooth_stroke"
    instance(who, "stroke", stroke, np.ndarray)
    pieces = whole(who, "pieces", pieces, 1, 64)
    right = stroke.ndim == 2 and stroke.shape[1:] == (2,) and len(stroke)
    if not right or stroke.dtype.kind not in "fiu":
        what = f"{stroke.dtype} of shape {stroke.shape}"
        raise ValueError(f"{who}: {what}, expected numbers, (P, 2)")
    first, second = _handles(stroke)
    u = (np.arange(pieces) / pieces)[:, None, None]
    v = 1 - u
    a, b = stroke[:-1], stroke[1:]
    on = v**3 * a + 3 * v * v * u * first + 3 * v * u * u * second + u**3 * b
    return np.concatenate([on.swapaxes(0, 1).reshape(-1, 2), stroke[-1:]])


# -- A pen that swells --
WIDTHS = 2.0 ** (np.arange(-4, 5) / 4)  # shares of the pen: half to twice


def widths_of(stroke: np.ndarray, swell: float, pace: float) -> np.ndarray:
    """Which of WIDTHS each step (P - 1,) has, at the line's mean `pace`."""
    step = np.hypot(*np.diff(stroke, axis=0).T)
    step = np.convolve(np.pad(step, 2, mode="edge"), np.ones(5) / 5, "valid")
    wide = swell * np.log2(pace / np.maximum(step, 1e-9))
    return np.clip(np.round(4 * wide), -4, 4).astype(int) + 4


# -- A pen that swells --
Run = tuple[int, np.ndarray, int, int]  # which width, stroke, from, to


def runs_of(sheet: Sheet, swell: float) -> list[Run]:
    """Pieces of strokes that have one width each."""
    steps = [np.hypot(*np.diff(s, axis=0).T) for s in sheet.strokes]
    every = np.concatenate(steps) if steps else np.zeros(0)
    pace = float(every.mean()) if every.size else 1.0
    found = []
    for stroke in sheet.strokes:
        if swell == 0 or len(stroke) < 2 or pace == 0:
            found.append((4, stroke, 0, len(stroke) - 1))
            continue
        wide = widths_of(stroke, swell, pace)
        cuts = [0, *(np.flatnonzero(np.diff(wide)) + 1).tolist(), len(wide)]
        ends = pairwise(cuts)
        found += [(int(wide[a]), stroke, a, b) for a, b in ends]
    return found


# -- SVG --
def piece_path(stroke: np.ndarray, a: int, b: int, smooth: bool, dot: float) -> str:
    """The `d` of points a to b of a stroke, in mm with three decimals."""
    rounded = stroke[a : b + 1].round(3) + 0.0
    x, y = rounded[0]
    if (rounded == rounded[0]).all():  # a dot
        return f"M{x - dot / 2:.6g} {y:.6g}h{dot:.6g}"
    if not smooth:
        return "M" + " ".join(f"{x:.6g} {y:.6g}" for x, y in rounded)
    first, second = (h[a:b].round(3) + 0.0 for h in _handles(stroke))
    curves = np.concatenate([first, second, rounded[1:]], 1)
    return f"M{x:.6g} {y:.6g}C" + " ".join(" ".join(f"{v:.6g}" for v in row) for row in curves)


# -- SVG --
def check_color(who: str, color: Any) -> str:
    """A colour's name or #rgb, as SVG and Matplotlib both know it."""
    instance(who, "color", color, str, words='a name or "#0066cc"')
    named = re.fullmatch(r"[A-Za-z]{3,24}", color)
    if not named and not re.fullmatch(r"#(?:[0-9a-fA-F]{3}){1,2}", color):
        raise ValueError(f'{who}: {color[:40]!r} is no colour; give a name as blue, or "#0066cc"')
    return color


# -- SVG --
def sheet_svg(
    sheet: Sheet,
    *,
    pen: float | str = 0.5,
    color: str = "black",
    smooth: bool = True,
    swell: float = 0.0,
    width: int | None = None,
    background: str | None = None,
) -> str:
    """A sheet as an SVG picture.

    Args:
        sheet: what `lay_out` made.
        pen, color: width of the ink, in mm; a name or "#0066cc".
        smooth: curves through the points; False: straight lines.
        swell: 0 to 2, how much wider slow ink is than fast ink.
        width: pixels across; None: the picture says its size in mm.
        background: colour of the paper; None: there is none.

    Returns: the picture, one line of XML.
    Raises: TypeError, ValueError for arguments out of bounds.
    """
    pen, color, swell = _ink_options("sheet_svg", sheet, pen, color, swell)
    paths: dict[int, list[str]] = {}
    for wide, stroke, a, b in runs_of(sheet, swell):
        piece = piece_path(stroke, a, b, bool(smooth), max(pen / 8, 0.01))
        paths.setdefault(wide, []).append(piece)
    drawn = ""
    for k, d in sorted(paths.items()):
        wide = f'stroke-width="{pen * WIDTHS[k]:.4g}"'
        drawn += f'<path d="{"".join(d)}" {wide}/>'
    round_ends = 'stroke-linecap="round" stroke-linejoin="round"'
    group = f'<g fill="none" stroke="{color}" {round_ends}>{drawn}</g></svg>'
    return _svg_frame(sheet, width, background) + group


# -- SVG --
def _ink_options(who: str, sheet: Any, pen, color, swell):
    """Judge what every picture asks."""
    instance(who, "sheet", sheet, Sheet)
    pen = millimetres(who, "pen", pen, 0.01, 50)
    return pen, check_color(who, color), real(who, "swell", swell, 0, 2)


def _svg_frame(sheet: Sheet, width: int | None, background: Any) -> str:
    """The first tag of an SVG picture, and its paper."""
    box = f"{sheet.width:.6g} {sheet.height:.6g}"
    across, down = (f"{v:.6g}mm" for v in (sheet.width, sheet.height))
    if width is not None:
        across = str(whole("sheet_svg", "width", width, 1))
        down = f"{max(1, round(int(across) * sheet.height / sheet.width))}"
    words = _attribute(sheet.text or "handwriting").replace("\n", "&#10;")
    paper = ""
    if background is not None:
        fill = check_color("sheet_svg", background)
        paper = f'<rect width="100%" height="100%" fill="{fill}"/>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{across}" '
        f'height="{down}" viewBox="0 0 {box}" role="img" '
        f'aria-label="{words}">{paper}'
    )


# -- PNG and PDF --
PIXELS = 2**26  # of one picture at most: 268 MB while it is drawn


def check_drawn(color: str) -> None:
    """Raise unless Matplotlib is here and knows the colour."""
    try:
        from matplotlib.colors import is_color_like
    except ImportError as err:
        why = ".png and .pdf need Matplotlib: pip install matplotlib"
        raise ImportError(f"save_sheets: {why}; .svg needs nothing") from err
    if not is_color_like(color):
        raise ValueError(f"save_sheets: {color!r} is no colour")


# -- PNG and PDF --
def sheet_figure(sheet: Sheet, pen, color, smooth, swell, paper) -> Any:
    """A Matplotlib figure of a sheet, one inch to the inch."""
    from matplotlib.collections import PathCollection
    from matplotlib.figure import Figure
    from matplotlib.path import Path as Curve

    inches = sheet.width / 25.4, sheet.height / 25.4
    figure = Figure(figsize=inches, facecolor=paper or "none")
    ax = figure.add_axes((0, 0, 1, 1), frame_on=False)
    ax.set(xlim=(0, sheet.width), ylim=(sheet.height, 0))
    ax.axis("off")
    paths, widths = [], []
    for wide, stroke, a, b in runs_of(sheet, swell):
        paths.append(Curve(*curve_of(stroke, a, b, smooth, pen / 8)))
        widths.append(pen * WIDTHS[wide] * 72 / 25.4)
    ax.add_collection(
        PathCollection(
            paths,
            facecolors="none",
            edgecolors=color,
            linewidths=widths,
            capstyle="round",
            joinstyle="round",
        )
    )
    return figure


# -- PNG and PDF --
def curve_of(stroke: np.ndarray, a: int, b: int, smooth: bool, dot: float) -> tuple:
    """Vertices and codes, as Matplotlib has them, of points a to b."""
    piece = stroke[a : b + 1]
    if len(piece) == 1 or (piece == piece[0]).all():
        piece = piece[0] + np.array([[-dot / 2, 0], [dot / 2, 0]])
        smooth = False
    if not smooth:
        return piece, [1] + [2] * (len(piece) - 1)
    first, second = (h[a:b] for h in _handles(stroke))
    curves = np.stack([first, second, piece[1:]], 1).reshape(-1, 2)
    return np.concatenate([piece[:1], curves]), [1] + [4] * len(curves)


# -- PNG and PDF --
def png_bytes(sheet: Sheet, figure: Any, dpi: float) -> bytes:
    """A figure in pixels, whatever style the caller's own figures have."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    across, down = (v / 25.4 * dpi for v in (sheet.width, sheet.height))
    if across * down > PIXELS or max(across, down) >= 2**16:
        raise ValueError(
            f"save_sheets: {across:.0f} x {down:.0f} pixels; at most "
            f"{PIXELS:,} in all, and 65,535 on a side, are drawn: give "
            "fewer dots per inch, or a smaller size"
        )
    file = io.BytesIO()
    figure.set_dpi(dpi)
    FigureCanvasAgg(figure).print_png(file)
    return file.getvalue()


def pdf_bytes(figures: Any, title: str) -> bytes:
    """Figures as the pages of one PDF, the same bytes each time."""
    from matplotlib.backends.backend_pdf import FigureCanvasPdf, PdfPages

    file, told = io.BytesIO(), {"CreationDate": None, "Title": title[:200]}
    with PdfPages(file, metadata=told) as pages:
        for figure in figures:
            FigureCanvasPdf(figure).print_pdf(pages)
    return file.getvalue()


# -- G-code for a plotter --
def sheet_gcode(
    sheet: Sheet,
    *,
    feed: float = 1500.0,
    up: str = "G0 Z5",
    down: str = "G1 Z0 F500",
    bed: tuple | str | None = None,
    smooth: bool = True,
) -> str:
    """A sheet as G-code for a pen plotter.

    Args:
        sheet: what `lay_out` made.
        feed: speed with the pen down, in mm a minute.
        up, down: commands that lift and lower the pen; several are parted
            by a line break. For a servo: "M5" and "M3 S90".
        bed: the plotter's width and height in mm, or a paper's name; ink
            beyond it is an error. None: nothing is checked.
        smooth: curves through the points; False: straight lines.

    Returns: the program, a command a line.
    Raises: TypeError, ValueError for arguments out of bounds.
    """
    who = "sheet_gcode"
    instance(who, "sheet", sheet, Sheet)
    feed = real(who, "feed", feed, 1, 1e6)
    _check_plotter(sheet, up, down, bed)
    lines = [_comment(sheet.text), "G21", "G90", up]
    for stroke in sheet.strokes:
        lines += _gcode_stroke(sheet, stroke, feed, up, down, bool(smooth))
    return "\n".join([*lines, "G0 X0 Y0", "M2", ""])


# -- G-code for a plotter --
def _gcode_stroke(sheet, stroke, feed, up, down, smooth: bool) -> list[str]:
    """Go there, pen down, along, pen up."""
    way = smooth_stroke(stroke) if smooth and len(stroke) > 1 else stroke
    way = way * (1, -1) + (0, sheet.height)
    places = [f"X{x:.3f} Y{y:.3f}" for x, y in (way.round(3) + 0.0)]
    places = [p for k, p in enumerate(places) if not k or p != places[k - 1]]
    moves = [f"G1 {place} F{feed:g}" for place in places[1:2]]
    moves += [f"G1 {place}" for place in places[2:]]
    return [f"G0 {places[0]}", down, *moves, up]


_SAFE = re.compile(r"[^ -'*-:<-~]")  # printable ASCII without ( ) ;


def _comment(text: str) -> str:
    """A text as G-code may hold it."""
    return f"({_SAFE.sub('?', text.replace(chr(10), ' / '))[:200]})"


# -- G-code for a plotter --
def _check_plotter(sheet: Sheet, up: Any, down: Any, bed: Any) -> None:
    """Raise for what is no command, and for ink beyond the bed."""
    for name, command in (("up", up), ("down", down)):
        instance("sheet_gcode", name, command, str)
        if not command.isascii() or not command.strip():
            raise ValueError(f'sheet_gcode: {name} is {command[:40]!r}, expected a command such as "M5"')
    if bed is None or not sheet.strokes:
        return
    wide, deep = paper_size("sheet_gcode", bed)
    low = np.min([s.min(0) for s in sheet.strokes], axis=0)
    high = np.max([s.max(0) for s in sheet.strokes], axis=0)
    y = sheet.height - high[1], sheet.height - low[1]
    if low[0] < 0 or high[0] > wide or y[0] < 0 or y[1] > deep:
        raise ValueError(
            f"sheet_gcode: the ink reaches from {low[0]:.1f}, {y[0]:.1f} to "
            f"{high[0]:.1f}, {y[1]:.1f} mm, the bed is {wide:g} x {deep:g}; "
            "make the size smaller"
        )


# -- To a file --
PAPER_KINDS = (".svg", ".png", ".pdf", ".gcode", ".nc")


def sheet_paths(path: Path, count: int) -> list[Path]:
    """A file for each sheet: name-1.svg, name-2.svg; one for all in a PDF."""
    if count == 1 or path.suffix.lower() == ".pdf":
        return [path]
    return [path.with_stem(f"{path.stem}-{k + 1}") for k in range(count)]


def check_target(who: str, path: Any, kinds: tuple[str, ...]) -> Path:
    """Raise unless a file of one of these kinds can be written there."""
    path = path_of(who, path)
    kind = path.suffix.lower()
    if kind not in kinds:
        raise ValueError(
            f"{who}: {str(path)!r} ends in {kind or 'nothing'}, expected {', '.join(kinds[:-1])} or {kinds[-1]}"
        )
    writable_target(path)
    return path


# -- To a file --
def save_sheets(
    path: str | os.PathLike,
    sheets: list[Sheet] | Sheet,
    *,
    pen: float | str = 0.5,
    color: str = "black",
    smooth: bool = True,
    swell: float = 0.0,
    transparent: bool = False,
    dpi: float = 300.0,
    width: int | None = None,
    **plotter: Any,
) -> list[Path]:
    """Write sheets as .svg, .png, .pdf or .gcode, whole or not at all.

    Args:
        path: its ending says the kind. Several sheets are pages of a PDF,
            or else files name-1, name-2, ...
        sheets: what `lay_out` made.
        pen, color, smooth, swell, width: as in `sheet_svg`.
        transparent, dpi: of .png: no white paper; dots per inch.
        plotter: feed, up, down, bed, as in `sheet_gcode`.

    Returns: the files.
    Raises: TypeError, ValueError, OSError for what cannot be written.
    """
    path = check_target("save_sheets", path, PAPER_KINDS)
    each = [sheets] if isinstance(sheets, Sheet) else sheets
    each = many("save_sheets", "sheets", each, "what lay_out made")
    how = {"pen": pen, "color": color, "smooth": smooth, "swell": swell}
    more = {"transparent": transparent, "dpi": dpi, "width": width}
    made = _encoded(path.suffix.lower(), each, how, more, plotter)
    paths = sheet_paths(path, len(each))
    for place, data in zip(paths, made, strict=True):
        with atomic_write(place) as beside:
            beside.write_bytes(data)
    return paths


# -- To a file --
def _encoded(kind: str, sheets, how: dict, more: dict, plotter: dict) -> list:
    """The bytes of each file."""
    who = "save_sheets"
    if not sheets:
        raise ValueError(f"{who}: no sheets; lay_out makes one at least")
    ink = how["pen"], how["color"], how["swell"]
    for sheet in sheets:
        pen, color, swell = _ink_options(who, sheet, *ink)
    if kind in (".gcode", ".nc"):
        plotter["smooth"] = how["smooth"]
        return [sheet_gcode(s, **plotter).encode() for s in sheets]
    if plotter:
        raise TypeError(f"{who}: {', '.join(plotter)} is for .gcode alone")
    width = more["width"]
    if kind == ".svg":
        return [sheet_svg(s, width=width, **how).encode() for s in sheets]
    check_drawn(color)
    paper = None if more["transparent"] else "white"
    draw = (pen, color, bool(how["smooth"]), swell, paper)
    figures = (sheet_figure(sheet, *draw) for sheet in sheets)
    if kind == ".pdf":
        return [pdf_bytes(figures, sheets[0].text.split("\n")[0])]
    dpi = real(who, "dpi", more["dpi"], 1, 10_000)
    dots = [dpi if width is None else whole(who, "width", width, 1) * 25.4 / s.width for s in sheets]
    return [png_bytes(*one) for one in zip(sheets, figures, dots, strict=True)]

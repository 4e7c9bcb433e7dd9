# Generated from book/strokes.md by tools/export.py. Edit the chapter, not this file.
"""Pen strokes.

Pen strokes as data, from a corpus and from a pen that writes by itself.

The chapter book/strokes.md builds this module and explains each line.
"""

import hashlib
import json
import os
import re
import string
import sys
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from softattn.hub import atomic_write, safe_members

__all__ = [
    "EmbeddedWriter",
    "Hand",
    "IAM_SPLITS",
    "IamReport",
    "PRINTABLE",
    "Strokes",
    "embedded_text",
    "load_iam",
    "load_strokes",
    "minimum_jerk",
    "pad",
    "pen_path",
    "stroke_statistics",
]


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


# -- How a hand moves --
def minimum_jerk(u: np.ndarray) -> np.ndarray:
    """Share of the way covered after a share of the time: 0 before the movement, 1 after it.

    Args:
        u: share of the time, any shape.

    Returns:
        Share of the way, the same shape.

    Source: Flash and Hogan (1985): of all ways to go from rest to rest, the one with the least change of acceleration.
    """
    u = np.clip(u, 0.0, 1.0)
    return u * u * u * (10 + u * (6 * u - 15))


# -- How a hand moves --
def pen_path(
    via: np.ndarray, first: np.ndarray, time: np.ndarray, overlap: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Move a pen through via points, each movement a minimum-jerk one that overlaps its neighbours.

    Args:
        via: the points to go through, all strokes after one another, shape (N, 2).
        first: whether a point is the first of its stroke, bool, shape (N,).
        time: samples for the movement that leads to each point, shape (N,); not read where `first`.
        overlap: by how many samples a movement overlaps the next; 0 stops at each via point.

    Returns:
        Positions (T, 2), one per sample; end (T,), 1 at the last sample of a stroke; near (T,), the via point whose
        movement is under way.

    Source: Flash and Hogan (1985) for one movement; Plamondon (1995) for the sum of overlapping ones.
    """
    stroke = first.cumsum() - 1  # (N,) which stroke
    time = np.where(first, 0.0, time)
    clock = time.cumsum()
    clock -= clock[first][stroke]  # (N,) when each via point is due, from 0 in each stroke
    last = np.append(np.flatnonzero(first)[1:] - 1, len(via) - 1)
    lead = 0.42 * overlap  # the pen lands and leaves almost at rest
    span = clock[last] + 2 * lead
    count = np.where(
        first[last], 1, np.maximum(2, np.floor(span).astype(int) + 1)
    )  # (S,) samples; a lone point has one
    start = count.cumsum() - count  # (S,) index of the first sample
    zero = -lead + (span - count + 1) / 2  # (S,) time of the first sample
    move = np.flatnonzero(~first)  # (n,) movements, by the via point that they lead to
    s = stroke[move]
    begin = clock[move] - time[move] - overlap / 2
    length = np.maximum(time[move] + overlap, 1e-6)
    k = np.floor(begin - zero[s]).astype(int)[:, None] + np.arange(int(np.ceil(length.max(initial=0))) + 3)
    k = np.clip(k, -1, count[s][:, None] - 1)  # (n, K) sample within the stroke
    share = minimum_jerk((k + zero[s][:, None] - begin[:, None]) / length[:, None])
    share[k < 0] = 0  # nothing is covered before the first sample
    gain = np.diff(share, axis=1)
    where = (start[s][:, None] + np.maximum(k[:, 1:], 0)).ravel()
    step = via[move] - via[move - 1]  # (n, 2)
    total = int(count.sum())
    walk = np.stack([np.bincount(where, (gain * step[:, i : i + 1]).ravel(), total) for i in (0, 1)], axis=1).cumsum(0)
    before = np.concatenate([np.zeros((1, 2)), walk])[start]  # (S, 2) what earlier strokes left in the running sum
    owner = np.repeat(np.arange(len(count)), count)  # (T,) stroke of each sample
    xy = via[first][owner] + walk - before[owner]
    end = np.zeros(total)
    end[start + count - 1] = 1
    now = np.arange(total) - start[owner] + zero[owner]
    epoch = np.concatenate([[0], (clock[last] + 1).cumsum()])  # strokes one after another on one time axis
    due = epoch[stroke] + clock
    near = np.searchsorted(due, epoch[owner] + np.clip(now, 1e-9, clock[last][owner]) - 1e-9)
    return xy, end, np.clip(near, np.flatnonzero(first)[owner], last[owner])


# -- A pen that writes by itself --
PRINTABLE = string.digits + string.ascii_letters + string.punctuation + " "  # the 95 printable characters of ASCII

# How a hand writes a glyph of the font: the strokes in order, "+" keeps the pen down, "," lifts it, "r" runs a stroke
# backwards, "*" leaves it for later (the bar of a t). What is not listed is written as the font has it.
_SCRIPT = (
    "d0+1 g0+1 h0+1 i1 j1 k0+1+2 m0+1+2 n0+1 p0+1+2 q0+1 s0+1 t0+1,2* u0+1 v0+1 w0+1+2 x0,1* y0+1 "
    "B0+1 H0,1 K0,1+2 M0+1+2 N0+1 U0+1 Y0+1"
)
_PRINT = (
    "a1+0 b0+1 d1+0 f0,1* g1+0 h0+1 i1 j1 k0,1+2 m0+1+2 n0+1 p0+1 q1+0 r0+1 t0,1* u0+1 v0+r1 w0+r1+2+r3 z1+0+2 "
    "Ar0+1,2 B0+1+2 D0+1 Er1+0+3,2 Fr1+0,2 K0,1+2 L0+1 Mr0+1+r2+3 Nr0+1+r2 P0+1 R0+1+2 V0+r1 W0+r1+2+r3 Z1+0+2 "
    "71+0 $2,0 ^r0+1 ~0 !0 ?0"
)
# Marks that the fonts draw twice over, or as little rings: points on the font's grid; the baseline is y = 9.
_MARKS = {
    "[": "4 -13 -2 -13 -2 12 4 12", "]": "-4 -13 2 -13 2 12 -4 12",
    "{": "4 -14 1 -13 0 -10 1 -5 0 -2 -3 -1 0 0 1 3 0 8 1 11 4 12",
    "}": "-4 -14 -1 -13 0 -10 -1 -5 0 -2 3 -1 0 0 -1 3 0 8 -1 11 -4 12",
    "@": "4 2 4 -3 0 -5 -4 -2 -4 3 -1 6 3 4 4 -4 4 4 7 6 10 2 9 -6 4 -10 -3 -10 -9 -5 -10 3 -6 10 0 12 7 10",
    "~": "-8 1 -6 -2 -3 -2 3 1 6 1 8 -2", "`": "-2 -12 1 -7", "'": "1 -12 -1 -7", '"': "-1 -12 -3 -7 / 4 -12 2 -7",
    ",": "1 8 0 11 -2 14", ";": "1 8 0 11 -2 14",
    "$": "6 -8 2 -11 -3 -11 -6 -8 -5 -4 5 1 6 5 3 8 -2 8 -6 5 / 0 -14 0 11",
    "%": "-5 -11 -8 -9 -7 -5 -4 -5 -3 -9 -5 -11 / 8 -12 -8 9 / 5 2 3 5 4 8 7 8 8 4 5 2",
}  # fmt: skip
_DOTS = {".": [(0, 8)], ":": [(0, 8), (0, -3)], ";": [(1, -3)], "!": [(0, 8)], "?": [(0, 8)]}


@cache
def _font(name: str) -> dict[str, tuple[list[np.ndarray], float, float]]:
    """Strokes, left edge and width of every glyph of a single-stroke font."""
    from HersheyFonts import HersheyFonts

    font = HersheyFonts()
    font.load_default_font(name)
    return {
        char: ([np.array(s, dtype=float) for s in glyph.strokes], float(glyph.left_offset), float(glyph.char_width))
        for char, glyph in font.all_glyphs.items()
    }


@cache
def _glyph(font: str, char: str) -> tuple[list[tuple[np.ndarray, str]], float, float]:
    """How to write one character: its strokes, each "main", "late" or "dot", with its left edge and width."""
    strokes, left, width = _font(font)[char]
    if char in _MARKS:
        strokes = [np.array(s.split(), dtype=float).reshape(-1, 2) for s in _MARKS[char].split("/")]
    recipes = {word[0]: word[1:] for word in (_SCRIPT if font in ("scripts", "cursive") else _PRINT).split(" ") if word}
    if char in _MARKS or char not in recipes:
        recipes = {char: ",".join(map(str, range(len(strokes))))}
    if char in ".:":
        recipes = {char: ""}
    pieces = []
    for run in filter(None, recipes[char].split(",")):
        parts = [strokes[int(part.strip("r*"))][:: -1 if "r" in part else 1] for part in run.split("+")]
        pieces.append((np.concatenate(parts), "late" if "*" in run else "main"))
    dots = _DOTS.get(char, [tuple(strokes[0].mean(0))] if char in "ij" else [])
    pieces += [(np.array([dot], dtype=float), "dot") for dot in dots]
    if char in string.punctuation:  # the fonts leave wide margins around marks
        xs = np.concatenate([p for p, _ in pieces])[:, 0]
        left, width = xs.min() - 3, np.ptp(xs) + 6
    return pieces, left, width


# -- A pen that writes by itself --
@dataclass(frozen=True)
class Hand:
    """How somebody writes. Lengths are in the font's grid (a capital is 21 high) unless said otherwise.

    Args:
        font: "scripts" or "cursive" (joined), "futural" or "rowmans" (print).
        blend: share of the small letters taken from the other kind of font.
        slant: to the right, as a tangent.
        size: height of a capital in raw units.
        width: how wide letters are, relative to the font.
        spacing: between words, relative to the font.
        xheight: height of a small x.
        style: how far this hand's letter forms are from the font's, standard deviation.
        unsteady: how far one letter differs from the next of its kind, standard deviation.
        wobble: tremor of the pen in raw units, standard deviation.
        drift: wandering of the baseline in raw units, standard deviation.
        slope: rise of the baseline per unit of length.
        pace: time per movement, in samples for a movement of length 1.
        overlap: by how many samples a movement overlaps its neighbours.
        connect: probability that two small letters are joined.
        late: probability that dots and bars wait for the end of the word.
        tap: probability that a dot is one point.
    """

    font: str = "scripts"
    blend: float = 0.0
    slant: float = 0.1
    size: float = 300.0
    width: float = 1.0
    spacing: float = 1.0
    xheight: float = 11.5
    style: float = 0.3
    unsteady: float = 0.25
    wobble: float = 2.0
    drift: float = 8.0
    slope: float = 0.0
    pace: float = 0.7
    overlap: float = 3.0
    connect: float = 0.8
    late: float = 0.7
    tap: float = 0.1

    def __post_init__(self):
        if self.font not in ("scripts", "cursive", "futural", "rowmans"):
            raise ValueError(f"Hand: font {self.font!r} is unknown, expected scripts, cursive, futural or rowmans")
        for name in ("blend", "connect", "late", "tap"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"Hand: {name} is {getattr(self, name)}, expected a probability from 0 to 1")
        for name, low, high in _LIMITS:
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"Hand: {name} is {getattr(self, name)}, expected a number from {low:g} to {high:g}")

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Hand":
        """Draw a hand at random with `rng`, within the variety that IAM-OnDB's writers show."""
        script = rng.random() < 0.5
        return cls(
            font=str(rng.choice(["scripts", "cursive"] if script else ["futural", "rowmans"])),
            blend=float(rng.choice([0.0, rng.uniform(0, 0.5)])),
            slant=float(np.clip(rng.normal(0.12 if script else 0.06, 0.16), -0.35, 0.6)),
            size=float(282 * np.exp(rng.normal(0, 0.18))),
            width=float(1.01 * np.exp(rng.normal(0, 0.17))),
            spacing=float(np.exp(rng.normal(0, 0.2))),
            xheight=float(rng.uniform(9.5, 13.5)),
            style=float(rng.uniform(0.2, 0.8)),
            unsteady=float(rng.uniform(0.15, 0.55)),
            wobble=float(rng.uniform(0.5, 3)),
            drift=float(rng.uniform(3, 30)),
            slope=float(rng.normal(0, 0.025)),
            pace=float((0.7 if script else 0.85) * np.exp(rng.normal(0, 0.22))),
            overlap=float(rng.uniform(2, 4.5)),
            connect=float(rng.beta(4, 4) if script else rng.beta(1, 4)),
            late=float(rng.beta(1, 2.5) if script else rng.beta(1, 4)),
            tap=float(rng.uniform(0, 0.12)),
        )


_LIMITS = [
    ("slant", -2, 2), ("size", 20, 5000), ("width", 0.2, 5), ("spacing", 0.1, 10), ("xheight", 5, 20),
    ("style", 0, 3), ("unsteady", 0, 3),
    ("wobble", 0, 100), ("drift", 0, 500), ("slope", -0.5, 0.5), ("pace", 0.05, 20), ("overlap", 0, 50),
]  # fmt: skip


# -- A pen that writes by itself --
class EmbeddedWriter:
    """Somebody who writes any printable ASCII text, and knows which point belongs to which character.

    Args:
        seed: an int, numpy Generator or torch Generator: the hand is drawn from it, and every line after it.
        hand: fields of Hand to set instead of drawing them (`slant=0.3`), the others stay as drawn.

    Raises:
        ValueError: for a field that Hand does not have, or a value outside its bounds.

    Source: single-stroke fonts of Hershey (1967); movements as in pen_path.
    """

    def __init__(self, seed: int | np.random.Generator | torch.Generator = 0, **hand):
        if isinstance(seed, torch.Generator):
            seed = int(torch.randint(2**62, (1,), generator=seed, device=seed.device))
        unknown = set(hand) - set(Hand.__dataclass_fields__)
        if unknown:
            fields = ", ".join(Hand.__dataclass_fields__)
            raise ValueError(f"EmbeddedWriter: unknown {sorted(unknown)}, expected fields of Hand: {fields}")
        self.name = f"embedded/{seed}" if isinstance(seed, int) else "embedded"
        self.rng = np.random.default_rng(seed)
        self.hand = replace(Hand.draw(self.rng), **hand)
        self._style = int(self.rng.integers(2**62))
        self._forms = {}

    def _form(self, char: str) -> tuple[list[tuple[np.ndarray, str]], float, bool, np.ndarray]:
        """This hand's form of a character: strokes, width, whether it joins, and the way into it when it is joined."""
        if char in self._forms:
            return self._forms[char]
        hand = self.hand
        rng = np.random.default_rng([self._style, ord(char)])  # a letter's form depends on no other letter
        script = hand.font in ("scripts", "cursive")
        if char in string.ascii_lowercase:
            script ^= bool(rng.random() < hand.blend)
        elif char in string.ascii_uppercase:
            script &= bool(rng.random() < 0.4)  # most people print their capitals
        else:
            script = False
        if script:
            font = "cursive" if hand.font == "cursive" else "scripts"
        else:
            font = "rowmans" if hand.font == "rowmans" else "futural"
        pieces, left, width = _glyph(font, char)
        small = char in string.ascii_lowercase
        x_height, stretch = (9.0, 1.0) if script else (14.0, 0.72)
        forms = []
        for points, kind in pieces:
            x, h = (points[:, 0] - left) * stretch, 9 - points[:, 1]
            if small:  # fonts differ in the height of an x: bring both to the hand's
                upper = hand.xheight + (h - x_height) * (21 - hand.xheight) / (21 - x_height)
                h = np.where(h > x_height, upper, np.where(h > 0, h * hand.xheight / x_height, h))
            points = np.stack([x, -h], axis=1)
            if len(points) > 2:
                points = points + rng.normal(0, hand.style, points.shape) * (1.0 if char.isalnum() else 0.4)
            forms.append((points, kind))
        if char in "acdgoq" and forms:  # joined from the left, the pen rides up the bowl before it turns
            points = forms[0][0]
            turn = int(points[: max(2, len(points) // 2), 0].argmin())
            lead = points[turn:0:-1] + (0.0, -0.3)
        else:
            lead = np.zeros((0, 2))
        self._forms[char] = forms, width * stretch, small, lead
        return self._forms[char]

    def plan(self, text: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Decide where the pen goes, before it goes there.

        Args:
            text: printable ASCII, at least one character that is not a space.

        Returns:
            via points (N, 2) in raw units; first (N,), true where a stroke starts; time (N,), samples for the movement
            to each point: what pen_path reads. And char (N,), the character that each point belongs to; a movement from
            one letter to the next belongs to the next.

        Raises:
            ValueError: if there is nothing to write, or a character that the fonts do not have.
        """
        for u, char in enumerate(text):
            if char not in PRINTABLE:
                raise ValueError(f"write: character {u} is {char!r}, expected one of the 95 printable ones of ASCII")
        if not text.strip():
            raise ValueError(f"write: {text!r} has nothing to write; give one character at least that is not a space")
        hand, rng = self.hand, self.rng
        strokes, waiting = [], []  # each stroke: a list of (via points, character)
        x, joined = 0.0, False
        chance = rng.random((len(text), 3))  # one row per character: joins?, waits?, taps?
        for u, char in enumerate(text):
            forms, width, small, lead = self._form(char)
            if char == " ":
                strokes += waiting
                waiting, joined = [], False
                x += 11 * hand.spacing
                continue
            for i, (points, kind) in enumerate(forms):
                if kind == "dot" and chance[u, 2] >= hand.tap:  # a dot is mostly a short dash
                    points = np.concatenate([points, points + rng.normal((0.8, 1.6), 0.5)[None]])
                points = points + (x, 0.0)
                if i == 0 and small and joined and chance[u, 0] < hand.connect:
                    strokes[-1] += [(lead + (x, 0.0), u), (points, u)]
                    joined = True
                elif kind == "main" or chance[u, 1] >= hand.late or char not in string.ascii_letters:
                    strokes.append([(points, u)])
                    joined = small and kind == "main"  # after a dot or a bar the pen starts anew
                else:
                    waiting.append([(points, u)])
            x += width
        strokes += waiting
        runs = [run for stroke in strokes for run in stroke]
        via = np.concatenate([points for points, _ in runs])
        char = np.repeat([u for _, u in runs], [len(points) for points, _ in runs])
        first = np.zeros(len(via), dtype=bool)
        first[np.cumsum([0, *(sum(len(p) for p, _ in stroke) for stroke in strokes)])[:-1]] = True
        lift, stretch = rng.normal(0, hand.unsteady, len(text)), np.exp(rng.normal(0, 0.1 * hand.unsteady, len(text)))
        via = via * np.stack([np.ones(len(via)), stretch[char]], axis=1) + rng.normal(0, hand.unsteady, via.shape) * 0.6
        via[:, 1] += lift[char]
        via[:, 0] -= hand.slant * via[:, 1]
        way = np.hypot(*np.diff(via, axis=0, prepend=via[:1]).T)
        time = hand.pace * way**0.6 * np.exp(rng.normal(0, 0.15, len(via)))  # longer movements are faster ones
        return via * (hand.size / 21 * np.array([hand.width, 1.0])), first, time, char

    def write(self, text: str) -> Strokes:
        """Write one line. The next line of the same text will look a little different.

        Args:
            text: printable ASCII, at least one character that is not a space.

        Returns:
            Strokes in whole raw units, with char_index.

        Raises:
            ValueError: as plan.
        """
        via, first, time, char = self.plan(text)
        hand, rng = self.hand, self.rng
        xy, end, near = pen_path(via, first, time, hand.overlap)
        knots = np.arange(0, len(xy) + 4, 4)
        for axis in (0, 1):
            xy[:, axis] += np.interp(np.arange(len(xy)), knots, rng.normal(0, hand.wobble, len(knots)))
        knots = np.arange(xy[:, 0].min(), xy[:, 0].max() + 1800, 900)
        xy[:, 1] += np.interp(xy[:, 0], knots, rng.normal(0, hand.drift, len(knots))) - hand.slope * xy[:, 0]
        return Strokes.from_absolute(np.rint(xy), end, text, self.name, char[near])


# -- A pen that writes by itself --
_WORDS = {
    "the": "the a one this that her his our their every another no",
    "adjective": "small quiet blue patient early heavy curious bright hidden broken equal jagged lazy"
    " quick amber vivid frozen exact honest wooden silver narrow gentle strange plain hollow"
    " famous extra half-open well-known grey-green",
    "noun": "pen letter window river garden engine window journey teacher pencil question harbour"
    " market kitchen zebra fox island bridge candle puzzle story number curve line box jacket"
    " quilt bird machine winter village mirror ocean kettle map needle boat bicycle jar yard",
    "verb": "writes follows finds keeps draws moves reads leaves turns watches opens measures forgets"
    " joins quotes fixes visits judges gives carries explains crosses answers paints",
    "past": "was came stood went ran fell seemed waited grew slept sailed jumped lay rang looked began spoke vanished",
    "where": "by the sea,in the old house,under the bridge,on the next page,near the window,behind the"
    " mill,at the market,over the hill,across the square,along the quay,between two"
    " lines,outside,at home,without a sound,after the rain,before noon,in January,on Friday",
    "name": "Ada Boris Chloe Dmitri Esther Farid Greta Hugo Ines Jakob Keiko Leon Mira Nadia Omar"
    " Petra Quinn Rosa Samir Thea Umberto Vera Wanda Xaver Yusuf Zoe",
    "start": "Now Then But And Yet So Perhaps Often Soon Once Here Still",
}
_FRAMES = (
    "the adjective noun verb the noun", "start the noun past where", "name verb the adjective noun",
    "where the noun past",
    "the noun verb the noun where", "name past where", "start name verb the noun", "the adjective noun past where",
    "name and name past where", "the noun and the adjective noun", "name's adjective noun past where",
)  # fmt: skip


def embedded_text(rng: np.random.Generator, low: int = 16, high: int = 44) -> str:
    """Make up one line of English-looking text, as much like a line of a page as like a sentence.

    Args:
        rng: where chance comes from.
        low, high: bounds of the length in characters; at least 1 and at least `low` + 20.

    Returns:
        Printable ASCII, no space at either end. All 95 characters occur sooner or later.

    Raises:
        ValueError: if the bounds are too close together.
    """
    if low < 1 or high < low + 20:
        raise ValueError(f"embedded_text: low={low}, high={high}; expected low >= 1 and high >= low + 20")
    vocabulary = {kind: entry.split("," if "," in entry else " ") for kind, entry in _WORDS.items()}
    words = []
    while True:
        kind = rng.random()
        if kind < 0.06:  # letters in any order: no word list teaches them all
            size = int(rng.integers(2, 8))
            part = ["".join(rng.choice(list(string.ascii_lowercase), size))]
            part[0] = part[0].capitalize() if rng.random() < 0.5 else part[0].upper() if rng.random() < 0.3 else part[0]
        elif kind < 0.12:
            part = [str(int(rng.integers(10 ** int(rng.integers(1, 5)))))]
        elif kind < 0.15:
            part = ["".join(rng.choice(list(string.punctuation), int(rng.integers(1, 5))))]
        else:
            frame = _FRAMES[rng.integers(len(_FRAMES))].replace("'s", " 's").split()
            part = (
                " ".join(vocabulary[w][rng.integers(len(vocabulary[w]))] if w in vocabulary else w for w in frame)
                .replace(" '", "'")
                .split()
            )
            part = ["an" if a == "a" and b[0] in "aeiou" else a for a, b in zip(part, [*part[1:], "."], strict=True)]
            part[0] = part[0][:1].upper() + part[0][1:]
            part[-1] += str(rng.choice(list(".......,,?!;:")))
            if rng.random() < 0.06:
                part = (
                    [f'"{part[0]}', *part[1:-1], f'{part[-1]}"']
                    if rng.random() < 0.6
                    else [f"({part[0]}", *part[1:-1], f"{part[-1]})"]
                )
        words += part
        if sum(map(len, words)) + len(words) > high + 20:
            break
    begin = int(rng.integers(min(6, len(words) - 1)))  # a line of a page starts anywhere in a sentence
    goal = int(np.clip(rng.normal(32, 6), low, high))
    line = ""
    for word in words[begin:]:
        if line and len(line) + 1 + len(word) > goal:
            break
        line = f"{line} {word}" if line else word[:high]
    return line if len(line) >= low else embedded_text(rng, low, high)


# -- The corpus: IAM-OnDB --
IAM_SPLITS = {"train": "trainset.txt", "val1": "testset_v.txt", "val2": "testset_t.txt", "test": "testset_f.txt"}

_WHERE = """{why}
The IAM On-Line Handwriting Database is free for non-commercial research, and its makers ask you to register:
  https://fki.tic.heia-fr.ch/databases/iam-on-line-handwriting-database
Get lineStrokes-all.tar.gz, ascii-all.tar.gz and the four lists of task 1 (trainset.txt, testset_v.txt, testset_t.txt,
testset_f.txt), put them into a folder FOLDER/iam-ondb (packed or unpacked), and set SOFTATTN_DATA=FOLDER,
or give load_iam the folder.
Nothing is downloaded for you. Without the corpus, load_strokes("embedded") writes lines by itself."""


def _iam_root(root: str | os.PathLike | None) -> Path:
    """The folder that holds the corpus, or a FileNotFoundError that says how to get it."""
    if root is None:
        data = os.environ.get("SOFTATTN_DATA")
        if not data:
            raise FileNotFoundError(_WHERE.format(why="load_iam: SOFTATTN_DATA is not set and no folder was given."))
        root = Path(data) / "iam-ondb"
    root = Path(root)
    if not any((root / name).exists() for name in ("lineStrokes-all.tar.gz", "lineStrokes", "lineStrokes-all")):
        if (root / "iam-ondb").is_dir():
            return _iam_root(root / "iam-ondb")
        raise FileNotFoundError(
            _WHERE.format(why=f"load_iam: {root} holds neither lineStrokes-all.tar.gz nor a folder lineStrokes.")
        )
    return root


# -- The corpus: IAM-OnDB --
def _line_points(xml: bytes) -> np.ndarray:
    """The points of one line file: x, y, end, shape (T, 3), int32; a ValueError says what is wrong with it."""
    try:
        from defusedxml import ElementTree
        from defusedxml.common import DefusedXmlException
    except ImportError as err:
        raise ImportError(
            'load_iam reads XML through defusedxml, which is missing: pip install "softattn[data]"'
        ) from err
    try:
        tree = ElementTree.fromstring(xml, forbid_dtd=True)
    except DefusedXmlException as err:
        raise ValueError(f"refused: the XML defines entities or a document type ({type(err).__name__})") from err
    except ElementTree.ParseError as err:
        raise ValueError(f"not well-formed XML: {err}") from err
    points = []
    for stroke in tree.iter("Stroke"):
        try:
            points += [(int(p.get("x")), int(p.get("y")), 0) for p in stroke.iter("Point")]
        except (TypeError, ValueError) as err:
            raise ValueError(f"a point without whole coordinates: {err}") from err
        if points:
            points[-1] = (*points[-1][:2], 1)  # a stroke of one point is a dot: keep it
    if not points:
        raise ValueError("no points")
    if max(max(map(abs, p)) for p in points) > 1_000_000:
        raise ValueError("a coordinate beyond 1,000,000 units")
    return np.array(points, dtype=np.int32)


# -- The corpus: IAM-OnDB --
def _form_texts(ascii_file: bytes) -> list[str]:
    """The lines of a transcription file, in order: those of its CSR part, blank ones left out."""
    _, _, csr = ascii_file.decode("latin-1").partition("CSR:")
    csr = re.sub("%{3,}", "\n", csr)  # a run of % stands where a line break was lost
    return [line.strip() for line in csr.splitlines() if line.strip()]


# -- The corpus: IAM-OnDB --
def _archive(path: Path, suffix: str, bar: tqdm) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file in a .tar.gz, in order; nothing is unpacked onto the disk."""
    with open(path, "rb") as file:
        try:
            with tarfile.open(fileobj=file, mode="r:gz") as tar:
                for member in safe_members(tar):
                    bar.update(file.tell() - bar.n if bar.total else 0)
                    if not member.isfile() or not member.name.endswith(suffix):
                        continue
                    if member.size > 2**24:
                        raise ValueError(
                            f"{path.name}: refused, {member.name!r} has {member.size} bytes; a line has under 2^24"
                        )
                    yield Path(member.name).name.removesuffix(suffix), tar.extractfile(member).read()
                while tar.fileobj.read(2**20):  # to the very end, where the checksum stands
                    pass
        except (tarfile.TarError, EOFError, zlib.error, OSError) as err:
            raise ValueError(f"{path}: damaged or cut short ({err}); get this archive again") from err


def _files(root: Path, name: str, suffix: str, bar: tqdm) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file of one part of the corpus, packed or unpacked."""
    packed = root / f"{name}-all.tar.gz"
    folder = next((f for f in (root / name, root / f"{name}-all" / name, root / f"{name}-all") if f.is_dir()), None)
    if packed.is_file():
        yield from _archive(packed, suffix, bar)
    elif folder is not None:
        for path in sorted(folder.rglob(f"*{suffix}")):
            bar.update(path.stat().st_size)
            yield path.stem, path.read_bytes()
    else:
        raise FileNotFoundError(_WHERE.format(why=f"load_iam: {root} holds neither {packed.name} nor a folder {name}."))


# -- The corpus: IAM-OnDB --
def _read_iam(root: Path, progress: bool = True) -> dict[str, np.ndarray]:
    """Read the whole corpus: offsets of all lines after one another, and their names, texts and faults."""
    size = sum(
        (root / f"{n}-all.tar.gz").stat().st_size
        for n in ("lineStrokes", "ascii")
        if (root / f"{n}-all.tar.gz").is_file()
    )
    with tqdm(
        total=size or None, unit="B", unit_scale=True, desc="reading IAM-OnDB (once)", disable=not progress
    ) as bar:
        texts = {form: _form_texts(text) for form, text in _files(root, "ascii", ".txt", bar)}
        ink, problems = {}, {}
        first = bar.n
        for name, xml in _files(root, "lineStrokes", ".xml", _Shifted(bar, first)):
            try:
                ink[name] = _line_points(xml)
            except ValueError as err:
                ink[name], problems[name] = np.zeros((0, 3), np.int32), str(err)
    if not ink:
        raise ValueError(f"load_iam: {root} holds no line of ink; get lineStrokes-all.tar.gz again")
    names = sorted(ink)
    last = {}  # form -> the number of its last line
    for name in names:
        form, _, number = name.rpartition("-")
        if not number.isdigit() or int(number) == 0:
            problems.setdefault(name, "its name does not end in -01, -02, ...: no way to find its text")
        else:
            last[form] = max(last.get(form, 0), int(number))
    text = {}
    for name in names:
        form, _, number = name.rpartition("-")
        if name in problems:
            continue
        if form not in texts:
            problems[name] = "its form has no transcription"
        elif any(line.lower().startswith("please enter transcription") for line in texts[form]) or not texts[form]:
            problems[name] = "placeholder instead of a transcription"
        elif last[form] > len(texts[form]):
            problems[name] = f"{last[form]} lines of ink, {len(texts[form])} of text: no telling which belongs to which"
        else:
            text[name] = texts[form][int(number) - 1]
    for name in names:
        xy = ink[name][:, :2]
        xy[1:] = np.diff(xy, axis=0)  # positions become offsets, in place
        xy[:1] = 0
    notes = {"names": names, "texts": [text.get(n, "") for n in names], "problems": problems}
    return {
        "offsets": np.concatenate([ink[n] for n in names]),
        "lengths": np.array([len(ink[n]) for n in names], dtype=np.int64),
        "notes": np.frombuffer(json.dumps(notes).encode(), dtype=np.uint8),
    }


class _Shifted:
    """A progress bar that goes on counting where an earlier file ended."""

    def __init__(self, bar: tqdm, start: int):
        self.bar, self.start, self.total = bar, start, bar.total

    @property
    def n(self) -> int:
        return self.bar.n - self.start

    def update(self, amount: int) -> None:
        self.bar.update(amount)


# -- The corpus: IAM-OnDB --
_IAM_VERSION = 1  # raise it when _read_iam reads differently: old caches are then left alone


def _cache_folder() -> Path:
    """SOFTATTN_CACHE, or the place where this system keeps caches."""
    if os.environ.get("SOFTATTN_CACHE"):
        return Path(os.environ["SOFTATTN_CACHE"])
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "softattn"
    if sys.platform == "win32" and os.environ.get("LOCALAPPDATA"):
        return Path(os.environ["LOCALAPPDATA"]) / "softattn"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "softattn"


def _identity(root: Path) -> str:
    """A short name for exactly this corpus and this reader: it changes if either does."""
    digest = hashlib.sha256(str(_IAM_VERSION).encode())
    for name in ("ascii", "lineStrokes"):
        packed = root / f"{name}-all.tar.gz"
        if packed.is_file():
            digest.update(packed.read_bytes())
        else:  # unpacked: 12,000 files, so sizes and times must do
            folder = next((f for f in (root / name, root / f"{name}-all") if f.is_dir()), root / name)
            for path in sorted(folder.rglob("*.*")):
                stat = path.stat()
                digest.update(f"{path.relative_to(folder)} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def _load_cache(path: Path) -> dict[str, np.ndarray] | None:
    """What is in the cache, or None if it is absent or fails its check."""
    try:
        with np.load(path, allow_pickle=False) as file:
            data = {key: file[key] for key in ("offsets", "lengths", "notes")}  # each checked against its CRC
        if data["offsets"].shape != (int(data["lengths"].sum()), 3):
            raise ValueError("lengths and offsets disagree")
        notes = json.loads(data["notes"].tobytes())
        if len(notes["names"]) != len(data["lengths"]) or len(notes["texts"]) != len(data["lengths"]):
            raise ValueError("names and lengths disagree")
        return data | {"notes": notes}
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as err:
        warnings.warn(f"load_iam: the cache {path} is damaged ({err}); reading the corpus again", stacklevel=3)
        return None


def _save_cache(path: Path, data: dict[str, np.ndarray]) -> None:
    """Write beside the final name, then rename: an interrupted write never leaves a broken cache."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        np.savez(temporary, **data)


# -- The corpus: IAM-OnDB --
def _faults(offsets: np.ndarray, text: str) -> str:
    """Why `clean` leaves a line out, or "" for a line without fault."""
    step = np.hypot(offsets[1:, 0], offsets[1:, 1])
    down = step[offsets[:-1, 2] == 0]  # steps on the paper; the others are jumps of a lifted pen
    found = []
    if down.size and down.max() > 500:
        found.append(f"a step of {down.max():.0f} units with the pen down (over 500)")
    if step.size and step.max() > 1500:
        found.append(f"a step of {step.max():.0f} units (over 1,500)")
    if "#" in text:
        found.append("a word crossed out (#)")
    return "; ".join(found)


@dataclass(frozen=True)
class IamReport:
    """What load_iam read and what it left out.

    Args:
        split: the name of the split.
        lines: how many lines were returned.
        forms: how many forms of the official list have ink here.
        absent: the forms of the list that are not here.
        dropped: name of each line left out -> the reason.
        faulty: name of each line that clean=True leaves out -> the reason, whether or not it was left out.
    """

    split: str
    lines: int
    forms: int
    absent: tuple[str, ...]
    dropped: dict[str, str]
    faulty: dict[str, str]

    def __str__(self) -> str:
        head = f"IAM-OnDB {self.split}: {self.lines} lines of {self.forms} forms; {len(self.absent)} forms absent, "
        head += f"{len(self.dropped)} lines dropped, {len(self.faulty)} faulty"
        return "\n".join([head, *(f"  dropped {name}: {why}" for name, why in sorted(self.dropped.items()))])


def load_iam(
    root: str | os.PathLike | None = None,
    split: str = "train",
    clean: bool = False,
    progress: bool = True,
    cache: str | os.PathLike | None = None,
) -> tuple[list[Strokes], IamReport]:
    """Read one official split of IAM-OnDB, from its original files at first, then from a cache.

    Args:
        root: folder with lineStrokes-all.tar.gz and ascii-all.tar.gz (or unpacked) and the lists;
            None: SOFTATTN_DATA/iam-ondb.
        split: "train", "val1", "val2" or "test".
        clean: also leave out faulty lines: a step over 500 units with the pen down, any step over 1,500,
            a crossed-out word.
        progress: show a progress bar while the corpus is read for the first time.
        cache: folder for the cache; None: SOFTATTN_CACHE, or where this system keeps caches.

    Returns:
        The lines, in the order of the official list, and a report that names every line left out with its reason.

    Raises:
        FileNotFoundError: if the corpus is not there; the message says where to register and what to set.
        ValueError: for an unknown split, or an archive that is damaged or unsafe.

    Source: Liwicki and Bunke (2005); the splits are those of the database's task 1, as in Graves (2013), section 4.
    """
    if split not in IAM_SPLITS:
        raise ValueError(f"load_iam: split {split!r} is unknown, expected one of {', '.join(IAM_SPLITS)}")
    root = _iam_root(root)
    lists = [path for path in (root / IAM_SPLITS[split], root / "task1" / IAM_SPLITS[split]) if path.is_file()]
    if not lists:
        raise FileNotFoundError(
            _WHERE.format(why=f"load_iam: {root} lacks {IAM_SPLITS[split]}, the official list of {split}.")
        )
    forms = list(dict.fromkeys(lists[0].read_text().split()))
    cache = (Path(cache) if cache is not None else _cache_folder()) / f"iam-ondb-{_identity(root)}.npz"
    data = _load_cache(cache)
    if data is None:
        data = _read_iam(root, progress)
        try:
            _save_cache(cache, data)
        except OSError as err:
            warnings.warn(f"load_iam: cannot write the cache {cache} ({err}); set SOFTATTN_CACHE", stacklevel=2)
        data |= {"notes": json.loads(data["notes"].tobytes())}
    notes, stop = data["notes"], data["lengths"].cumsum()
    rows = {}  # form -> its lines, in order
    for i, name in enumerate(notes["names"]):
        rows.setdefault(name.rpartition("-")[0], []).append(i)
    lines, dropped, faulty = [], {}, {}
    for i in (i for form in forms for i in rows.get(form, [])):
        name, text = notes["names"][i], notes["texts"][i]
        offsets = data["offsets"][stop[i] - data["lengths"][i] : stop[i]]
        if name in notes["problems"]:
            dropped[name] = notes["problems"][name]
            continue
        if fault := _faults(offsets, text):
            faulty[name] = fault
            if clean:
                dropped[name] = fault
                continue
        lines.append(Strokes.from_numpy(offsets, text, f"iam-ondb/{name}"))
    absent = tuple(form for form in forms if form not in rows)
    return lines, IamReport(split, len(lines), len(forms) - len(absent), absent, dropped, faulty)


# -- The corpus: IAM-OnDB --
def load_strokes(
    source: str = "embedded",
    split: str = "train",
    lines: int | None = None,
    root: str | os.PathLike | None = None,
    clean: bool = False,
) -> list[Strokes]:
    """Lines of pen strokes, from the embedded writers or from IAM-OnDB.

    Args:
        source: "embedded" (no files needed) or "iam".
        split: "train", "val1", "val2" or "test". No writer of one split writes in another.
        lines: how many lines. None: 512 of the embedded writers, who never run dry, or all that the corpus has.
        root, clean: passed to load_iam.

    Returns:
        The lines, the same ones at each call. The first 100 of 200 are the 100 of 100.

    Raises:
        ValueError: for an unknown source or split, or fewer than one line.
        FileNotFoundError: if the corpus is asked for and not there.
    """
    if split not in IAM_SPLITS:
        raise ValueError(f"load_strokes: split {split!r} is unknown, expected one of {', '.join(IAM_SPLITS)}")
    if lines is not None and lines < 1:
        raise ValueError(f"load_strokes: lines={lines}, expected at least 1")
    if source == "iam":
        return load_iam(root, split, clean)[0][:lines]
    if source != "embedded":
        raise ValueError(f'load_strokes: source {source!r} is unknown, expected "embedded" or "iam"')
    if root is not None or clean:
        raise ValueError(
            'load_strokes: root and clean are for source="iam"; the embedded writers have no files and no faults'
        )
    written = []
    for i in range(512 if lines is None else lines):
        if i % 8 == 0:  # eight lines a writer, about as on a form of the corpus
            rng = np.random.default_rng([list(IAM_SPLITS).index(split), i // 8])
            writer = EmbeddedWriter(rng)
        line = writer.write(embedded_text(rng))
        written.append(replace(line, source=f"embedded/{split}/{i // 8}"))
    return written


# -- Side by side --
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

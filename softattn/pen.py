# Generated from book/pen.md by tools/export.py. Edit the chapter, not this file.
"""The pen: handwriting by minimum-jerk movements.

A program of a few rules that writes any text, moving as a hand would.

The chapter book/pen.md builds this module and explains each line.
"""

import string
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch

from softattn.hub import real, whole
from softattn.strokes import Strokes

__all__ = ["EmbeddedWriter", "Hand", "PRINTABLE"]


# -- How a hand moves --
def minimum_jerk(u: np.ndarray) -> np.ndarray:
    """Share of the way covered after a share of the time.

    Args:
        u: share of the time, any shape; 0 before the movement, 1 after it.

    Returns:
        Share of the way, the same shape.

    Raises:
        TypeError: if u is no array of numbers.

    Source: Flash and Hogan (1985): of all ways to go from rest to rest, the
    one with the least change of acceleration.
    """
    u = np.asarray(u)
    if u.dtype.kind not in "iuf":
        raise TypeError(f"minimum_jerk: u came as {u.dtype}, not as numbers")
    u = np.clip(u, 0.0, 1.0)
    return u * u * u * (10 + u * (6 * u - 15))


# -- How a hand moves --
class _Timing(NamedTuple):
    """When what happens: N via points, S strokes."""

    stroke: np.ndarray  # (N,) which stroke a point belongs to
    clock: np.ndarray  # (N,) when it is due, from 0 in each stroke
    last: np.ndarray  # (S,) the last via point
    count: np.ndarray  # (S,) samples
    start: np.ndarray  # (S,) index of the first sample
    zero: np.ndarray  # (S,) time of the first sample


def _timing(first: np.ndarray, time: np.ndarray, overlap: float) -> _Timing:
    stroke = first.cumsum() - 1
    clock = time.cumsum()
    clock -= clock[first][stroke]
    last = np.append(np.flatnonzero(first)[1:] - 1, len(first) - 1)
    lead = 0.42 * overlap  # the pen lands and leaves almost at rest
    span = clock[last] + 2 * lead
    count = np.maximum(2, np.floor(span).astype(int) + 1)
    count = np.where(first[last], 1, count)  # a lone point has one sample
    zero = -lead + (span - count + 1) / 2
    return _Timing(stroke, clock, last, count, count.cumsum() - count, zero)


# -- How a hand moves --
def _walk(
    via: np.ndarray,
    move: np.ndarray,
    begin: np.ndarray,
    length: np.ndarray,
    t: _Timing,
) -> np.ndarray:
    """Running sum (T, 2) of n movements; `move` (n,) names their goals."""
    s = t.stroke[move]
    reach = int(np.ceil(length.max(initial=0))) + 3
    k = np.floor(begin - t.zero[s]).astype(int)[:, None] + np.arange(reach)
    k = np.clip(k, -1, t.count[s][:, None] - 1)  # (n, K) sample in the stroke
    now = k + t.zero[s][:, None]
    share = minimum_jerk((now - begin[:, None]) / length[:, None])
    share[k < 0] = 0  # nothing is covered before the first sample
    gain = np.diff(share, axis=1)
    where = (t.start[s][:, None] + np.maximum(k[:, 1:], 0)).ravel()
    step = via[move] - via[move - 1]  # (n, 2)
    total = int(t.count.sum())
    added = [np.bincount(where, (gain * step[:, i : i + 1]).ravel(), total) for i in (0, 1)]
    return np.stack(added, axis=1).cumsum(0)


# -- How a hand moves --
def _near(t: _Timing, owner: np.ndarray, now: np.ndarray) -> np.ndarray:
    """The via point (T,) whose movement is under way at each sample."""
    # strokes one after another on one time axis
    epoch = np.concatenate([[0], (t.clock[t.last] + 1).cumsum()])
    due = epoch[t.stroke] + t.clock
    now = np.clip(now, 1e-9, t.clock[t.last][owner])
    near = np.searchsorted(due, epoch[owner] + now - 1e-9)
    first = np.append(0, t.last[:-1] + 1)
    return np.clip(near, first[owner], t.last[owner])


# -- How a hand moves --
def pen_path(
    via: np.ndarray, first: np.ndarray, time: np.ndarray, overlap: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Move a pen through via points by overlapping minimum-jerk movements.

    Args:
        via: the points to go through, stroke after stroke, shape (N, 2).
        first: whether a point is the first of its stroke, bool, (N,).
        time: samples for the movement to each point, (N,); not read there.
        overlap: samples by which neighbours overlap; 0 stops at each point.

    Returns:
        Positions (T, 2), one per sample; end (T,), 1 where the pen lifts;
        near (T,), the via point whose movement is under way.

    Source: Flash and Hogan (1985); their sum: Plamondon (1995).
    """
    via, first, time = _checked(via, first, time)
    overlap = real("pen_path", "overlap", overlap, 0, 10_000)
    t = _timing(first, time, overlap)
    move = np.flatnonzero(~first)  # movements, by where they lead
    begin = t.clock[move] - time[move] - overlap / 2
    length = np.maximum(time[move] + overlap, 1e-6)
    walk = np.pad(_walk(via, move, begin, length, t), ((1, 0), (0, 0)))
    owner = np.repeat(np.arange(len(t.count)), t.count)  # stroke, (T,)
    xy = via[first][owner] + walk[1:] - walk[t.start][owner]
    end = np.zeros(len(owner))
    end[t.start + t.count - 1] = 1
    now = np.arange(len(owner)) - t.start[owner] + t.zero[owner]
    return xy, end, _near(t, owner, now)


# -- How a hand moves --
def _checked(via: Any, first: Any, time: Any) -> tuple[np.ndarray, ...]:
    """What pen_path was given, as arrays; or a sentence."""
    who, found = "pen_path", []
    for name, given in (("via", via), ("first", first), ("time", time)):
        array = np.asarray(given)
        if array.dtype.kind not in "biuf":
            raise TypeError(f"{who}: {name} came as {array.dtype}, no numbers")
        found.append(array.astype(bool if name == "first" else np.float64))
    via, first, time = found
    if via.ndim != 2 or via.shape[1] != 2 or len(via) == 0:
        raise ValueError(f"{who}: via has shape {via.shape}, expected (N, 2)")
    if first.shape != via.shape[:1] or time.shape != via.shape[:1]:
        raise ValueError(
            f"{who}: first has shape {first.shape} and time {time.shape}, expected ({len(via)},), as many as via points"
        )
    if not first[0]:
        raise ValueError(f"{who}: first[0] is false; a stroke starts there")
    time = np.where(first, 0.0, time)
    if not (np.isfinite(via).all() and np.isfinite(time).all()):
        raise ValueError(f"{who}: via and time must be finite")
    if time.min() < 0 or time.sum() > 10_000_000:
        raise ValueError(f"{who}: times must be 0 to 10,000,000 in all")
    return via, first, time


# -- A pen that writes by itself --

# the 95 printable characters of ASCII
PRINTABLE = string.digits + string.ascii_letters + string.punctuation + " "

# How a hand writes a glyph of the font: the strokes in order, "+" keeps the
# pen down, "," lifts it, "r" runs a stroke backwards, "*" leaves it for later
# (the bar of a t). What is not listed is written as the font has it.
_SCRIPT = (
    "d0+1 g0+1 h0+1 i1 j1 k0+1+2 m0+1+2 n0+1 p0+1+2 q0+1 s0+1 t0+1,2* "
    "u0+1 v0+1 w0+1+2 x0,1* y0+1 B0+1 H0,1 K0,1+2 M0+1+2 N0+1 U0+1 Y0+1"
)
_PRINT = (
    "a1+0 b0+1 d1+0 f0,1* g1+0 h0+1 i1 j1 k0,1+2 m0+1+2 n0+1 p0+1 q1+0 "
    "r0+1 t0,1* u0+1 v0+r1 w0+r1+2+r3 z1+0+2 Ar0+1,2 B0+1+2 D0+1 "
    "Er1+0+3,2 Fr1+0,2 K0,1+2 L0+1 Mr0+1+r2+3 Nr0+1+r2 P0+1 R0+1+2 "
    "V0+r1 W0+r1+2+r3 Z1+0+2 71+0 $2,0 ^r0+1 ~0 !0 ?0"
)


# -- A pen that writes by itself --

# Marks that the fonts draw twice over, or as little rings: points on the
# font's grid; the baseline is y = 9.
_MARKS = {
    "[": "4 -13 -2 -13 -2 12 4 12",
    "]": "-4 -13 2 -13 2 12 -4 12",
    "{": "4 -14 1 -13 0 -10 1 -5 0 -2 -3 -1 0 0 1 3 0 8 1 11 4 12",
    "}": ("-4 -14 -1 -13 0 -10 -1 -5 0 -2 3 -1 0 0 -1 3 0 8 -1 11 -4 12"),
    "@": ("4 2 4 -3 0 -5 -4 -2 -4 3 -1 6 3 4 4 -4 4 4 7 6 10 2 9 -6 4 -10 -3 -10 -9 -5 -10 3 -6 10 0 12 7 10"),
    "~": "-8 1 -6 -2 -3 -2 3 1 6 1 8 -2",
    "`": "-2 -12 1 -7",
    "'": "1 -12 -1 -7",
    '"': "-1 -12 -3 -7 / 4 -12 2 -7",
    ",": "1 8 0 11 -2 14",
    ";": "1 8 0 11 -2 14",
    "$": ("6 -8 2 -11 -3 -11 -6 -8 -5 -4 5 1 6 5 3 8 -2 8 -6 5 / 0 -14 0 11"),
    "%": ("-5 -11 -8 -9 -7 -5 -4 -5 -3 -9 -5 -11 / 8 -12 -8 9 / 5 2 3 5 4 8 7 8 8 4 5 2"),
}
_DOTS = {
    ".": [(0, 8)],
    ":": [(0, 8), (0, -3)],
    ";": [(1, -3)],
    "!": [(0, 8)],
    "?": [(0, 8)],
}


# -- A pen that writes by itself --
@cache
def _font(name: str) -> dict[str, tuple[list[np.ndarray], float, float]]:
    """Strokes, left edge and width of every glyph of a one-stroke font."""
    from HersheyFonts import HersheyFonts

    font = HersheyFonts()
    font.load_default_font(name)
    return {
        char: (
            [np.array(s, dtype=float) for s in glyph.strokes],
            float(glyph.left_offset),
            float(glyph.char_width),
        )
        for char, glyph in font.all_glyphs.items()
    }


def _recipe(font: str, char: str, count: int) -> str:
    """In which order a hand writes the `count` strokes of a glyph."""
    if char in ".:":
        return ""  # dots alone
    table = _SCRIPT if font in ("scripts", "cursive") else _PRINT
    orders = {word[0]: word[1:] for word in table.split(" ")}
    plain = ",".join(map(str, range(count)))
    return plain if char in _MARKS else orders.get(char, plain)


# -- A pen that writes by itself --
@cache
def _glyph(font: str, char: str) -> tuple[list[tuple[np.ndarray, str]], float, float]:
    """Strokes, each "main", "late" or "dot", left edge and width."""
    strokes, left, width = _font(font)[char]
    if char in _MARKS:
        strokes = [np.array(s.split(), dtype=float).reshape(-1, 2) for s in _MARKS[char].split("/")]
    pieces = []
    for run in filter(None, _recipe(font, char, len(strokes)).split(",")):
        parts = [strokes[int(part.strip("r*"))][:: -1 if "r" in part else 1] for part in run.split("+")]
        pieces.append((np.concatenate(parts), "late" if "*" in run else "main"))
    point = [tuple(strokes[0].mean(0))] if char in "ij" else []
    for dot in _DOTS.get(char, point):
        pieces.append((np.array([dot], dtype=float), "dot"))
    if char in string.punctuation:  # the fonts leave wide margins there
        xs = np.concatenate([p for p, _ in pieces])[:, 0]
        left, width = xs.min() - 3, np.ptp(xs) + 6
    return pieces, left, width


# -- A pen that writes by itself --
_LIMITS = {
    "blend": (0, 1),
    "connect": (0, 1),
    "late": (0, 1),
    "tap": (0, 1),
    "slant": (-2, 2),
    "size": (20, 5000),
    "width": (0.2, 5),
    "spacing": (0.1, 10),
    "xheight": (5, 20),
    "style": (0, 3),
    "unsteady": (0, 3),
    "wobble": (0, 100),
    "drift": (0, 500),
    "slope": (-0.5, 0.5),
    "pace": (0.05, 20),
    "overlap": (0, 50),
}


# -- A pen that writes by itself --
@dataclass(frozen=True)
class Hand:
    """How somebody writes.

    Lengths are in the font's grid, where a capital is 21 high.

    Args:
        font: "scripts" or "cursive" (joined), "futural" or "rowmans" (print).
        blend: share of the small letters taken from the other kind of font.
        slant: to the right, as a tangent.
        size: height of a capital in raw units.
        width: how wide letters are, relative to the font.
        spacing: between words, relative to the font.
        xheight: height of a small x.
        style: how far this hand's letter forms are from the font's,
            standard deviation.
        unsteady: how far one letter differs from the next of its kind.
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
        for name, (low, high) in _LIMITS.items():
            real("Hand", name, getattr(self, name), low, high)

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Hand":
        """Draw a hand with `rng`, as varied as the corpus' writers.
        Raises: TypeError if `rng` is no generator of NumPy."""
        if not isinstance(rng, np.random.Generator):
            kind = type(rng).__name__
            raise TypeError(f"Hand.draw: rng is {kind}, not numpy's Generator")
        script = rng.random() < 0.5
        scripts, prints = ["scripts", "cursive"], ["futural", "rowmans"]
        return cls(
            font=str(rng.choice(scripts if script else prints)),
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


# -- A pen that writes by itself --
class _Form(NamedTuple):
    """One hand's form of one character."""

    strokes: list[tuple[np.ndarray, str]]  # each "main", "late" or "dot"
    width: float
    small: bool  # it may be joined to its neighbours
    lead: np.ndarray  # the way into it when it is joined


def _choose_font(hand: Hand, char: str, rng: np.random.Generator) -> str:
    script = hand.font in ("scripts", "cursive")
    if char in string.ascii_lowercase:
        script ^= bool(rng.random() < hand.blend)
    elif char in string.ascii_uppercase:
        script &= bool(rng.random() < 0.4)  # most people print capitals
    else:
        script = False
    if script:
        return "cursive" if hand.font == "cursive" else "scripts"
    return "rowmans" if hand.font == "rowmans" else "futural"


def _same_height(h: np.ndarray, font: float, xheight: float) -> np.ndarray:
    """Heights of a small letter, its x brought from the font's height."""
    upper = xheight + (h - font) * (21 - xheight) / (21 - font)
    return np.where(h > font, upper, np.where(h > 0, h * xheight / font, h))


# -- A pen that writes by itself --
def _draw_form(hand: Hand, style: int, char: str) -> _Form:
    """A letter's form depends on the hand, and on no other letter."""
    rng = np.random.default_rng([style, ord(char)])
    font = _choose_font(hand, char, rng)
    pieces, left, width = _glyph(font, char)
    small = char in string.ascii_lowercase
    script = font in ("scripts", "cursive")
    x_height, stretch = (9.0, 1.0) if script else (14.0, 0.72)
    strokes = []
    for points, kind in pieces:
        x, h = (points[:, 0] - left) * stretch, 9 - points[:, 1]
        if small:
            h = _same_height(h, x_height, hand.xheight)
        points = np.stack([x, -h], axis=1)
        if len(points) > 2:
            amount = 1.0 if char.isalnum() else 0.4
            noise = rng.normal(0, hand.style, points.shape)
            points = points + noise * amount
        strokes.append((points, kind))
    lead = np.zeros((0, 2))
    if char in "acdgoq" and strokes:  # the pen rides up the bowl first
        points = strokes[0][0]
        half = points[: max(2, len(points) // 2), 0]
        lead = points[int(half.argmin()) : 0 : -1] + (0.0, -0.3)
    return _Form(strokes, width * stretch, small, lead)


# -- A pen that writes by itself --
class _Line:
    """Letters after one another; a run is (via points, character)."""

    def __init__(self, hand: Hand, rng: np.random.Generator):
        self.hand, self.rng = hand, rng
        self.strokes: list[list[tuple[np.ndarray, int]]] = []
        self.waiting: list[list[tuple[np.ndarray, int]]] = []
        self.x, self.joined = 0.0, False

    def space(self) -> None:
        """A word ends: what waited is written now."""
        self.strokes += self.waiting
        self.waiting, self.joined = [], False
        self.x += 11 * self.hand.spacing

    def letter(self, u: int, char: str, form: _Form, chance) -> None:
        """Character u; three chances: is it joined, late, tapped?"""
        joins, waits, taps = chance
        for i, (points, kind) in enumerate(form.strokes):
            if kind == "dot" and taps >= self.hand.tap:  # a short dash
                tail = points + self.rng.normal((0.8, 1.6), 0.5)[None]
                points = np.concatenate([points, tail])
            at = np.array([self.x, 0.0])
            small = i == 0 and form.small and self.joined
            if small and joins < self.hand.connect:
                self.strokes[-1] += [(form.lead + at, u), (points + at, u)]
                self.joined = True
            elif kind == "main" or waits >= self.hand.late or char not in string.ascii_letters:
                self.strokes.append([(points + at, u)])
                # after a dot or a bar the pen starts anew
                self.joined = form.small and kind == "main"
            else:
                self.waiting.append([(points + at, u)])
        self.x += form.width


# -- A pen that writes by itself --
def _flat(
    strokes: list[list[tuple[np.ndarray, int]]],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Via points (N, 2), first (N,), char (N,) of a line's strokes."""
    runs = [run for stroke in strokes for run in stroke]
    via = np.concatenate([points for points, _ in runs])
    char = np.repeat([u for _, u in runs], [len(p) for p, _ in runs])
    sizes = [sum(len(p) for p, _ in stroke) for stroke in strokes]
    first = np.zeros(len(via), dtype=bool)
    first[np.cumsum([0, *sizes])[:-1]] = True
    return via, first, char


def _check_text(text: str) -> None:
    if not isinstance(text, str):
        kind = type(text).__name__
        raise TypeError(f"EmbeddedWriter.write: text is a {kind}, not a str")
    for u, char in enumerate(text):
        if char not in PRINTABLE:
            raise ValueError(
                f"EmbeddedWriter.write: character {u} is {char!r}, expected one of the 95 printable ones of ASCII"
            )
    if not text.strip():
        raise ValueError(
            f"EmbeddedWriter.write: {text!r} has nothing to write; give one character at least that is not a space"
        )


# -- A pen that writes by itself --
def _generator(seed: Any) -> tuple[str, np.random.Generator]:
    """A name for this writer, and where chance comes from."""
    if isinstance(seed, np.random.Generator):
        return "embedded", seed
    if isinstance(seed, torch.Generator):
        drawn = torch.randint(2**62, (1,), generator=seed, device=seed.device)
        seed = int(drawn)
    seed = whole("EmbeddedWriter", "seed", seed, 0, None)
    return f"embedded/{seed}", np.random.default_rng(seed)


# -- A pen that writes by itself --
class EmbeddedWriter:
    """Somebody who writes any printable ASCII text, letter by letter.

    Args:
        seed: an int, numpy Generator or torch Generator: the hand is drawn
            from it, and every line after it.
        hand: fields of Hand to set instead of drawing them (`slant=0.3`),
            the others stay as drawn.

    Raises:
        ValueError: for a field that Hand does not have, or a value outside
            its bounds.
        TypeError: for a seed or a field of another type.

    Source: single-stroke fonts of Hershey (1967); movements: pen_path.
    """

    def __init__(
        self,
        seed: int | np.random.Generator | torch.Generator = 0,
        **hand: Any,
    ):
        unknown = sorted(set(hand) - set(Hand.__dataclass_fields__))
        if unknown:
            fields = ", ".join(Hand.__dataclass_fields__)
            raise ValueError(f"EmbeddedWriter: unknown {unknown}, expected fields of Hand: {fields}")
        self.name, self.rng = _generator(seed)
        self.hand = replace(Hand.draw(self.rng), **hand)
        self._style = int(self.rng.integers(2**62))
        self._forms: dict[str, _Form] = {}

    def plan(self, text: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Decide where the pen goes, before it goes there.

        Args, Raises: as write.

        Returns:
            via (N, 2) in raw units, first (N,), time (N,), as pen_path reads
            them; char (N,), the character that each point belongs to. A
            movement from one letter to the next belongs to the next.
        """
        _check_text(text)
        line = _Line(self.hand, self.rng)
        for u, chance in enumerate(self.rng.random((len(text), 3))):
            char = text[u]
            if char == " ":
                line.space()
                continue
            if char not in self._forms:
                form = _draw_form(self.hand, self._style, char)
                self._forms[char] = form
            line.letter(u, char, self._forms[char], chance)
        via, first, char = _flat(line.strokes + line.waiting)
        via, time = _shaken(via, char, len(text), self.hand, self.rng)
        return via, first, time, char

    def write(self, text: str) -> Strokes:
        """Write one line; the same text looks a little different each time.

        Args:
            text: printable ASCII, not only spaces.

        Returns:
            Strokes in whole raw units, with char_index.

        Raises:
            ValueError: if there is nothing to write, or a character that
                the fonts do not have.
            TypeError: if the text is no str.
        """
        via, first, time, char = self.plan(text)
        xy, end, near = pen_path(via, first, time, self.hand.overlap)
        _tremble(xy, self.hand, self.rng)
        ink = np.rint(xy)
        return Strokes.from_absolute(ink, end, text, self.name, char[near])


# -- A pen that writes by itself --
def _shaken(
    via: np.ndarray,
    char: np.ndarray,
    length: int,
    hand: Hand,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Via points as an unsteady hand meets them, and when (N,)."""
    lift = rng.normal(0, hand.unsteady, length)
    stretch = np.exp(rng.normal(0, 0.1 * hand.unsteady, length))[char]
    shake = rng.normal(0, hand.unsteady, via.shape) * 0.6
    via = via * np.stack([np.ones(len(via)), stretch], axis=1) + shake
    via[:, 1] += lift[char]
    via[:, 0] -= hand.slant * via[:, 1]
    way = np.hypot(*np.diff(via, axis=0, prepend=via[:1]).T)
    # longer movements are faster ones
    time = hand.pace * way**0.6 * np.exp(rng.normal(0, 0.15, len(via)))
    return via * (hand.size / 21 * np.array([hand.width, 1.0])), time


def _tremble(xy: np.ndarray, hand: Hand, rng: np.random.Generator) -> None:
    """Add tremor and a wandering, sloping baseline, in place."""
    knots = np.arange(0, len(xy) + 4, 4)
    for axis in (0, 1):
        wobble = rng.normal(0, hand.wobble, len(knots))
        xy[:, axis] += np.interp(np.arange(len(xy)), knots, wobble)
    knots = np.arange(xy[:, 0].min(), xy[:, 0].max() + 1800, 900)
    drift = rng.normal(0, hand.drift, len(knots))
    xy[:, 1] += np.interp(xy[:, 0], knots, drift) - hand.slope * xy[:, 0]


# -- A pen that writes by itself --
_WORDS = {
    "the": "the a one this that her his our their every another no",
    "adjective": (
        "small quiet blue patient early heavy curious bright hidden "
        "broken equal jagged lazy quick amber vivid frozen exact honest "
        "wooden silver narrow gentle strange plain hollow famous extra "
        "half-open well-known grey-green"
    ),
    "noun": (
        "pen letter window river garden engine window journey teacher "
        "pencil question harbour market kitchen zebra fox island bridge "
        "candle puzzle story number curve line box jacket quilt bird "
        "machine winter village mirror ocean kettle map needle boat "
        "bicycle jar yard"
    ),
    "verb": (
        "writes follows finds keeps draws moves reads leaves turns "
        "watches opens measures forgets joins quotes fixes visits "
        "judges gives carries explains crosses answers paints"
    ),
    "past": (
        "was came stood went ran fell seemed waited grew slept sailed jumped lay rang looked began spoke vanished"
    ),
}


# -- A pen that writes by itself --
_WORDS_TOO = {
    "where": (
        "by the sea,in the old house,under the bridge,on the next "
        "page,near the window,behind the mill,at the market,over the "
        "hill,across the square,along the quay,between two "
        "lines,outside,at home,without a sound,after the rain,before "
        "noon,in January,on Friday"
    ),
    "name": (
        "Ada Boris Chloe Dmitri Esther Farid Greta Hugo Ines Jakob "
        "Keiko Leon Mira Nadia Omar Petra Quinn Rosa Samir Thea Umberto "
        "Vera Wanda Xaver Yusuf Zoe"
    ),
    "start": "Now Then But And Yet So Perhaps Often Soon Once Here Still",
}

_FRAMES = (
    "the adjective noun verb the noun",
    "start the noun past where",
    "name verb the adjective noun",
    "where the noun past",
    "the noun verb the noun where",
    "name past where",
    "start name verb the noun",
    "the adjective noun past where",
    "name and name past where",
    "the noun and the adjective noun",
    "name's adjective noun past where",
)


# -- A pen that writes by itself --
@cache
def _vocabulary() -> dict[str, list[str]]:
    return {kind: entry.split("," if "," in entry else " ") for kind, entry in {**_WORDS, **_WORDS_TOO}.items()}


def _sentence(rng: np.random.Generator) -> list[str]:
    """A frame with words in it, and a mark at its end."""
    words, frame = _vocabulary(), _FRAMES[rng.integers(len(_FRAMES))]
    chosen = [words[w][rng.integers(len(words[w]))] if w in words else w for w in frame.replace("'s", " 's").split()]
    part = " ".join(chosen).replace(" '", "'").split()
    pairs = zip(part, [*part[1:], "."], strict=True)
    part = ["an" if a == "a" and b[0] in "aeiou" else a for a, b in pairs]
    part[0] = part[0][:1].upper() + part[0][1:]
    part[-1] += str(rng.choice(list(".......,,?!;:")))
    if rng.random() < 0.06:
        a, b = '""' if rng.random() < 0.6 else "()"
        part[0], part[-1] = f"{a}{part[0]}", f"{part[-1]}{b}"
    return part


# -- A pen that writes by itself --
def _piece(rng: np.random.Generator) -> list[str]:
    """A sentence, or a number, marks, letters in any order."""
    kind = rng.random()
    if kind < 0.06:  # no word list teaches all letters
        size = int(rng.integers(2, 8))
        word = "".join(rng.choice(list(string.ascii_lowercase), size))
        if rng.random() < 0.5:
            return [word.capitalize()]
        return [word.upper() if rng.random() < 0.3 else word]
    if kind < 0.12:
        return [str(int(rng.integers(10 ** int(rng.integers(1, 5)))))]
    if kind < 0.15:
        size = int(rng.integers(1, 5))
        return ["".join(rng.choice(list(string.punctuation), size))]
    return _sentence(rng)


# -- A pen that writes by itself --
def embedded_text(rng: np.random.Generator, low: int = 16, high: int = 44) -> str:
    """Make up a line of English-looking text, cut as on a page.

    Args:
        rng: where chance comes from.
        low, high: bounds of the length in characters; `high` is at least
            `low` + 20 and at most 10,000.

    Returns:
        Printable ASCII, no space at either end. All 95 characters occur
        sooner or later.

    Raises:
        ValueError: if the bounds are too close together.
        TypeError: if an argument is of another type.
    """
    if not isinstance(rng, np.random.Generator):
        kind = type(rng).__name__
        raise TypeError(f"embedded_text: rng is {kind}, not numpy's Generator")
    low = whole("embedded_text", "low", low, 1, 9_980)
    high = whole("embedded_text", "high", high, low + 20, 10_000)
    while True:
        line = _cut(rng, low, high)
        if len(line) >= low:
            return line


# -- A pen that writes by itself --
def _cut(rng: np.random.Generator, low: int, high: int) -> str:
    """A line of at most `high` characters out of running text."""
    words = []
    while sum(map(len, words)) + len(words) <= high + 20:
        words += _piece(rng)
    begin = int(rng.integers(min(6, len(words) - 1)))  # anywhere in it
    goal, line = int(np.clip(rng.normal(32, 6), low, high)), ""
    for word in words[begin:]:
        if line and len(line) + 1 + len(word) > goal:
            break
        line = f"{line} {word}" if line else word[:high]
    return line

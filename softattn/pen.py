# Generated from book/pen.md by tools/export.py. Edit the chapter, not this file.
"""The pen: handwriting by minimum-jerk movements.

A pen that writes any text by itself, by minimum-jerk movements.

The chapter book/pen.md builds this module and explains each line.
"""

import string
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch

from softattn.strokes import Strokes

__all__ = ["EmbeddedWriter", "Hand", "PRINTABLE", "embedded_text", "minimum_jerk", "pen_path"]


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

# Generated from book/page.md by tools/export.py. Edit the chapter, not this file.
"""Pages and pads.

Text in lines, lines on a page, and a pad to write on.

The chapter book/page.md builds this module and explains each line.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from softattn.hub import instance, many, real, whole
from softattn.pen import PRINTABLE
from softattn.strokes import Strokes

__all__ = ["Handwriting", "from_pad", "ink_height", "ink_slant", "styles", "wrap", "writing_pad"]


# -- What can be written --
TAB = 4  # spaces
Plain = Callable[[str], str]  # brings a character nearer to ASCII


def normal_text(text: str) -> str:
    """Bring line ends to one kind, and tabs to spaces."""
    ends = text.replace("\r\n", "\n").replace("\r", "\n")
    return ends.replace("\t", " " * TAB)


# -- What can be written --
def check_writable(text: str, plain: Plain = str) -> None:
    """Raise unless a text is printable ASCII and line breaks, not empty."""
    if not isinstance(text, str):
        raise TypeError(f"write: text is {type(text).__name__}, expected a string or a list of strings")
    if not text.strip():
        raise ValueError(
            f"write: {text[:40]!r} holds nothing to write; give one character at least that is not a space"
        )
    strange = sorted({c for c in text if c not in PRINTABLE and c != "\n"})
    if strange:
        named = ", ".join(hint(c, plain) for c in strange[:8])
        raise ValueError(f"write: the pen knows printable ASCII and line breaks; not {named}")


# -- What can be written --
def hint(char: str, plain: Plain) -> str:
    """Name a character that cannot be written, and what could be instead."""
    near, name = plain(char), f"{char!r} (U+{ord(char):04X}"
    known = near.strip() and all(c in PRINTABLE for c in near)
    return f"{name}: write {near!r})" if known else f"{name})"


# -- What can be written --
def check_texts(texts: Iterable, plain: Plain = str) -> list[str]:
    """Judge several texts, and bring each to one kind of line end."""
    words = "a string or a list of strings"
    texts = many("write", "text", texts, words)
    if not texts:
        raise ValueError("write: the list holds no text; give at least one")
    texts = [normal_text(str(t)) if isinstance(t, str) else t for t in texts]
    for each in texts:
        check_writable(each, plain)
    return texts


# -- Lines --
def wrap(text: str, columns: int) -> list[str]:
    """Break a text into lines at its spaces and line breaks.

    Args:
        text: the text.
        columns: characters on a line; longer words and deep indents are cut.

    Returns:
        The lines with their indents; "" for a blank line.

    Raises:
        TypeError, ValueError: if columns is no number of at least 1.
    """
    columns, lines = whole("wrap", "columns", columns, 1), []
    instance("wrap", "text", text, str)
    for paragraph in normal_text(text).split("\n"):
        indent = len(paragraph) - len(paragraph.lstrip(" "))
        line, first = " " * min(indent, columns // 2), True
        for word in paragraph.split():
            if not first and len(line) + 1 + len(word) > columns:
                lines.append(line)
                line, first = "", True
            line, first = line + ("" if first else " ") + word, False
            while len(line) > columns:
                lines, line = [*lines, line[:columns]], line[columns:]
        lines.append(line.rstrip())
    return lines


# -- Two measures of a line --
def ink_slant(line: Strokes) -> float:
    """How far the strokes that go down lean to the right.

    Args:
        line: the ink.

    Returns:
        A tangent: 0 is upright, also where no stroke goes down.
    """
    instance("ink_slant", "line", line, Strokes)
    steps, paper = line.offsets[1:, :2], line.offsets[:-1, 2] == 0
    # 45 degrees at most
    down = paper & (steps[:, 1] > steps[:, 0].abs())
    x, y = steps[down].sum(0).tolist()
    return -x / max(y, 1.0)


# -- Two measures of a line --
def ink_height(line: Strokes) -> float:
    """How high the ink is, without its outermost fiftieths.

    Args:
        line: the ink.

    Returns:
        The height in raw units.
    """
    instance("ink_height", "line", line, Strokes)
    y = line.to_absolute()[:, 1]
    return (y.quantile(0.98) - y.quantile(0.02)).item()


# -- A page --
@dataclass(frozen=True, eq=False, repr=False)
class Handwriting(Strokes):
    """A line or a page that was written: Strokes, and how they came about.

    Args:
        offsets, text, source, char_index: as in Strokes.
        seed: what to pass as `seed` to write the same again.
        redraws: drafts that were read and not taken.
        windows: for each line of the page, its phi (points, characters) and
            where in `text` its characters stand.
        reading: what a reader made of it, line by line; None if none did.
        confidence: of the line that it was least sure of, 0 to 1; None too.
    """

    seed: int | None = None
    redraws: int = 0
    windows: tuple[tuple[Tensor, Tensor], ...] = ()
    reading: str | None = None
    confidence: float | None = None

    @property
    def attention(self) -> Tensor:
        """The window's weights phi after each point, (T, U).

        U are the characters of the text. Put together when asked for: a page
        of 10,000 characters fills 8 GB.
        """
        whole, row = torch.zeros(len(self), len(self.text)), 0
        for phi, place in self.windows:
            whole[row : row + len(phi), place] = phi
            row += len(phi)
        return whole

    @property
    def lines(self) -> list[Strokes]:
        """The lines of the page, each with its text; without windows none."""
        found, row, points = [], 0, self.to_absolute()
        for phi, place in self.windows:
            text = "".join(self.text[i] for i in place.tolist())
            ink = points[row : row + len(phi)]
            found.append(Strokes.from_absolute(ink, None, text, self.source))
            row += len(phi)
        return found

    def to_json(self, **notes: Any) -> str:
        """As that of Strokes, with seed, redraws, lines, other `notes`."""
        if self.windows:  # how many points each line has, and its text
            notes["lines"] = [[len(each), each.text] for each in self.lines]
        own = {"seed": self.seed, "redraws": self.redraws}
        if self.reading is not None:
            own |= {"reading": self.reading, "confidence": self.confidence}
        return super().to_json(**own, **notes)


# -- A page --
PACES = 4, 100  # points a character that a priming line may have


def check_prime(prime: Strokes, plain: Plain = str) -> None:
    """Raise unless the strokes of a priming line can be those of its text."""
    if not isinstance(prime, Strokes) or not prime.text.strip():
        shown = f"{prime!r:.60}"
        raise ValueError(f"write: prime is {shown}, expected Strokes with the text that they write")
    check_writable(prime.text, plain)
    pace = len(prime) / len(prime.text)
    if not PACES[0] <= pace <= PACES[1]:
        raise ValueError(
            f"write: the priming line has {len(prime)} points for "
            f"{len(prime.text)} characters, {pace:.1f} each; handwriting has "
            "between 4 and 100, about 22: does the text fit, and is the pen "
            "sampled at 100 Hz?"
        )
    check_shape(prime)


# -- A page --
UNITS = 20, 1500  # raw units across, a character; the corpus': 87 to 668


def check_shape(prime: Strokes) -> None:
    """Raise where there are several lines, or no hand writes so wide."""
    if lines := prime.text.strip().count("\n"):
        raise ValueError(f"write: prime holds {lines + 1} lines; give one, as the last of a page's `.lines`")
    x = prime.to_absolute()[:, 0]
    wide = float(x.max() - x.min()) / len(prime.text)
    if len(prime.text) > 2 and not UNITS[0] <= wide <= UNITS[1]:
        raise ValueError(
            f"write: the priming line is {wide:.3g} wide a character, lines "
            "in raw units are about 170; load_ink and from_pad bring ink of "
            "any unit to these"
        )


# -- A page --
PITCH = 1.3  # from line to line, by the height of the tallest


def set_page(layout: Sequence[str], lines: Sequence[Strokes]) -> Strokes:
    """Set lines one below the other, with blank lines and indents kept."""
    pitch = PITCH * max(ink_height(line) for line in lines)
    papers = [line.to_absolute() for line in lines]
    widths = [(p[:, 0].amax() - p[:, 0].amin()).item() for p in papers]
    letters = sum(len(line.text) for line in lines)
    rows = [(n, text) for n, text in enumerate(layout) if text.strip()]
    for paper, (n, text) in zip(papers, rows, strict=True):
        indent = len(text) - len(text.lstrip())
        paper[:, 0] += indent * sum(widths) / letters - paper[:, 0].amin()
        paper[:, 1] += n * pitch - paper[:, 1].median()
    return Strokes.from_absolute(torch.cat(papers))


# -- A page --
def bind_page(text: str, columns: int, lines: Sequence, seed: int, redraws: int) -> Handwriting:
    """Set lines, each with strokes and phi, as one piece of handwriting."""
    windows, at = [], 0
    for line in lines:  # where each of its characters stands in the text
        places = []
        for char in line.strokes.text:
            at = text.index(char, at) + 1
            places.append(at - 1)
        phi = line.phi[:, : len(places)]
        windows.append((phi, torch.tensor(places)))
    page = set_page(wrap(text, columns), [line.strokes for line in lines])
    source = f"softattn.write, seed {seed}"
    read = [line.reading for line in lines if line.reading is not None]
    return Handwriting(
        page.offsets,
        text,
        source,
        None,
        seed,
        redraws,
        tuple(windows),
        "\n".join(one.read for one in read) if read else None,
        min((one.confidence for one in read), default=None),
    )


# -- Hands and jobs --
def styles() -> dict[str, Strokes]:
    """The priming lines that come with the weights, each in another hand.

    Returns:
        name -> Strokes with their text; the model wrote them itself.
    """
    file = resources.files("softattn") / "data" / "styles.json"
    stored = json.loads(file.read_text("utf-8"))["styles"]
    hands = {}
    for name, line in stored.items():
        offsets = torch.tensor(line["offsets"]).float()
        hands[name] = Strokes(offsets, line["text"], f"style {name}")
    return hands


# -- Hands and jobs --
def choose_hand(style: str | None, prime: Strokes | None, plain: Plain = str) -> Strokes | None:
    """The line to go on from, by its name or as it is."""
    if style is not None and prime is not None:
        raise ValueError(f"write: both style {style!r} and a prime; choose one")
    if style is not None:
        known = styles()
        if not isinstance(style, str) or style not in known:
            names = ", ".join(known)
            raise ValueError(f"write: there is no style {style!r}, expected one of {names}")
        return known[style]
    if prime is not None:
        check_prime(prime, plain)
    return prime


# -- Hands and jobs --
SEEDS = 2**62  # the largest seed
MOST_BIAS = 100.0  # beyond, exp and softmax have nothing left to sharpen


def line_jobs(texts, seeds, bias: Any, primes) -> list[tuple[Any, ...]]:
    """Judge what lines are asked for: (text, seed, bias, prime) for each."""
    who = "sample_lines"
    texts, seeds = many(who, "texts", texts), many(who, "seeds", seeds)
    n = len(texts)
    if isinstance(bias, (int, float)) or getattr(bias, "ndim", 1) == 0:
        bias = [bias] * n
    biases = many(who, "bias", bias, "a number or a list of them")
    primes = [None] * n if primes is None else many(who, "primes", primes)
    if not len(seeds) == len(biases) == len(primes) == n or n == 0:
        raise ValueError(
            f"{who}: {n} texts, {len(seeds)} seeds, {len(biases)} biases, {len(primes)} primes; give each text its own"
        )
    if not all(isinstance(t, str) and t for t in texts):
        raise ValueError(f"{who}: {texts!r:.60} holds an empty text")
    for prime in primes:
        instance(who, "prime", prime, Strokes, type(None))
    seeds = [whole(who, "seed", s, -SEEDS, SEEDS) for s in seeds]
    biases = [b.item() if isinstance(b, Tensor) else b for b in biases]
    biases = [real(who, "bias", b, 0, MOST_BIAS) for b in biases]
    return list(zip(texts, seeds, biases, primes, strict=True))


# -- Hands and jobs --
@contextmanager
def evaluated(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode, and back, also after an error."""
    instance("write", "model", model, nn.Module, words="a network")
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


# -- Your own hand --
RATE = 100.0  # points per second in IAM-OnDB
WIDTH = 8.25 * 20.92  # raw units a character: mean step by points each
PACE = 12.0, 35.0  # points a character; others are brought to these bounds


def clocked(pieces: list[np.ndarray]) -> list[np.ndarray]:
    """Points at equal times where the clock stood still on the paper."""
    if any(piece[-1, 2] > piece[0, 2] for piece in pieces):
        return pieces
    return [np.c_[p[:, :2], np.arange(len(p)) / RATE, p[:, 3]] for p in pieces]


def resample(piece: np.ndarray, stretch: float) -> np.ndarray:
    """Points (n, 3) of one stroke, 100 a second, from (m, 4) at any rate."""
    clock = (piece[:, 2] - piece[0, 2]) * stretch
    ticks = np.arange(int(clock[-1] * RATE + 1e-3) + 1) / RATE
    ends = np.zeros(len(ticks))
    ends[-1] = 1
    x, y = (np.interp(ticks, clock, piece[:, axis]) for axis in (0, 1))
    return np.stack([x, y, ends], 1)


# -- Your own hand --
def check_trace(rows: np.ndarray, text: str) -> None:
    """Raise ValueError unless rows are x, y, seconds, end of a line."""
    if not isinstance(text, str) or not text.strip():
        raise ValueError("from_pad: no text; say what was written")
    if rows.ndim != 2 or rows.shape[1] != 4 or len(rows) < 2:
        raise ValueError(f"from_pad: the trace has shape {rows.shape}, expected (N, 4): x, y, seconds, end; N > 1")
    if not np.isfinite(rows).all() or (np.diff(rows[:, 2]) < 0).any():
        raise ValueError("from_pad: every number must be finite, and time must not run backwards")
    if np.ptp(rows[:, 0]) == 0:
        raise ValueError("from_pad: all points stand above each other; write from left to right")


# -- Your own hand --
def from_pad(trace: Sequence, text: str) -> Strokes:
    """Turn what a pad recorded into strokes as the corpus has them.

    Args:
        trace: x, y, time in seconds, end (1 where the pen lifts after the
            point); shape (N, 4), y down, any unit of length.
        text: what was written.

    Returns:
        Strokes at 100 points a second, scaled to the corpus' width of a
        character. Who is slower or faster than any pen is brought to PACE;
        where all times stand still, points count as 100 a second.

    Raises:
        ValueError: if there is no text, or the trace is no written line.
    """
    try:
        rows = np.asarray(trace, dtype=np.float64)
    except (TypeError, ValueError):
        told = "from_pad: the trace is no table of numbers, expected (N, 4)"
        raise ValueError(told) from None
    check_trace(rows, text)
    ends = np.flatnonzero(rows[:-1, 3] == 1) + 1
    pieces = clocked(np.split(rows, ends))
    seconds = sum(piece[-1, 2] - piece[0, 2] for piece in pieces)  # on paper
    pace = RATE * seconds / len(text)
    stretch = min(max(pace, PACE[0]), PACE[1]) / pace if pace > 0 else 1.0
    points = np.concatenate([resample(piece, stretch) for piece in pieces])
    xy = points[:, :2] * (WIDTH * len(text) / np.ptp(rows[:, 0]))
    return Strokes.from_absolute(xy, points[:, 2], text, "a pad")


# -- Your own hand --
def writing_pad(text: str = "some other hand") -> Any:
    """A pad to write on, for a live notebook: mouse, pen or finger.

    Args:
        text: what is to be written.

    Returns:
        An anywidget; `.strokes` is what was written, None while empty.
    """
    instance("writing_pad", "text", text, str)
    import anywidget
    import traitlets

    from softattn.pictures import demo_source

    class Pad(anywidget.AnyWidget):
        _esm = demo_source("pad")
        text = traitlets.Unicode("").tag(sync=True)
        trace = traitlets.List([]).tag(sync=True)

        @property
        def strokes(self) -> Strokes | None:
            if len(self.trace) < 2:
                return None
            return from_pad(self.trace, self.text)

    return Pad(text=text)

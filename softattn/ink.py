# Generated from book/ink.md by tools/export.py. Edit the chapter, not this file.
"""Ink from other programs.

Ink from other programs, brought to one unit, one clock, one way up.

The chapter book/ink.md builds this module and explains each line.
"""

import codecs
import io
import json
import math
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib import format as npy

from softattn.hub import atomic_write, instance, many, path_of, read_file, real
from softattn.page import PACE, RATE, WIDTH, set_page
from softattn.page import resample as ticked
from softattn.paper import PAPER_KINDS, check_target, lay_out, rows_of, save_sheets, smooth_stroke
from softattn.strokes import Strokes, _attribute
from softattn.trace import first_points, slope_of, split_lines, spread, upright
from softattn.trace import resample as walked

__all__ = ["InkFile", "load_ink", "save_ink"]


# -- What a file says, and what it does not --
POINTS, STROKES = 500_000, 20_000  # of one file


# -- What a file says, and what it does not --
class Raw(NamedTuple):
    """What a file of ink says.

    Args:
        kind: of the file, in words.
        strokes: of each: x, y, seconds, (P, 3); NaN where no time is known.
        cuts: the first stroke of each line, where the file says so.
        texts: what the lines say.
        y_up: whether y points up, where it is said.
        rate: points a second, where there are no times.
        clock: False where the points are our own, on curves.
        note: what else is worth telling.
        page: all that a page says, its blank lines and indents kept.
    """

    kind: str
    strokes: list[np.ndarray]
    cuts: list[int] | None = None
    texts: list[str] | None = None
    y_up: bool | None = None
    rate: float | None = None
    clock: bool = True
    note: str = ""
    page: str = ""


# -- What a file says, and what it does not --
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decoded(data: bytes) -> str:
    """Bytes as text: by their mark, as UTF-8, or as old files had it."""
    for mark, name in MARKS:
        if data.startswith(mark):
            return data.decode(name, errors="replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


# -- What a file says, and what it does not --
def xml_root(data: bytes) -> Any:
    """The root of an XML file; a ValueError says what is wrong with it."""
    try:
        from defusedxml import ElementTree
        from defusedxml.common import DefusedXmlException
    except ImportError as err:
        raise ImportError(
            'load_ink reads XML through defusedxml, which is missing: pip install "softattn[data]"'
        ) from err
    try:
        root = ElementTree.fromstring(data)
    except DefusedXmlException as err:
        why = f"refused: the XML defines entities ({type(err).__name__})"
        raise ValueError(why) from err
    except (ElementTree.ParseError, LookupError, ValueError) as err:
        raise ValueError(f"not well-formed XML: {err}") from err
    level, depth = [root], 0
    while level:
        level, depth = [child for each in level for child in each], depth + 1
        if depth > 100:
            raise ValueError("refused: XML elements nest over 100 deep")
    return root


def local(element: Any) -> str:
    """An element's name without its namespace."""
    return str(element.tag).rpartition("}")[2]


# -- InkML --
_VALUE = re.compile(
    r"""([!'"]?)\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"""
    r"""|\#[0-9A-Fa-f]+|[*?TF])"""
)


def trace_values(text: str, channels: int) -> np.ndarray:
    """The points of a trace, (P, channels); NaN for an unknown value."""
    mode, value, step = ["!"] * channels, [0.0] * channels, [0.0] * channels
    rows = []
    for point in text.partition(":")[0].split(","):
        found = _VALUE.findall(point)
        left = _VALUE.sub("", point).strip()
        if left or (len(found) < channels and point.strip()):
            raise ValueError(f"a trace holds the point {point.strip()[:40]!r}")
        for k, (sign, word) in enumerate(found[:channels]):
            mode[k] = sign or mode[k]
            _advance(mode, value, step, k, word)
        if found:
            rows.append(list(value))
    return np.array(rows, dtype=np.float64).reshape(-1, channels)


# -- InkML --
def _advance(mode, value, step, k: int, word: str) -> None:
    """Bring channel k of a point to what `word` says."""
    if word in "*?TF":
        value[k] = {"T": 1.0, "F": 0.0, "?": np.nan}.get(word, value[k])
        return
    number = float(int(word[1:], 16) if word[0] == "#" else float(word))
    if mode[k] == "!":
        value[k], step[k] = number, 0.0
    else:
        step[k] = number if mode[k] == "'" else step[k] + number
        value[k] += step[k]


# -- InkML --
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


class Channels(NamedTuple):
    """How the numbers of a point are to be read."""

    names: tuple[str, ...] = ("X", "Y")
    second: float = 1e-3  # of a unit of T
    y_up: bool = False
    rate: float | None = None


# -- InkML --
def channels_of(element: Any) -> Channels:
    """What a context or a trace format says of its points."""
    names, second, y_up, rate = [], 1e-3, False, None
    for each in element.iter():
        if local(each) == "channel":
            names.append(str(each.get("name", "")).upper())
            if names[-1] == "T":
                second = _SECONDS.get(str(each.get("units")).lower(), 1e-3)
            if names[-1] == "Y":
                y_up = each.get("orientation") == "-ve"
        if local(each) == "sampleRate" and each.get("uniform") != "false":
            rate = _number(each.get("value"))
        if local(each) == "intermittentChannels":
            break
    found = Channels(tuple(names) or ("X", "Y"), second, y_up, rate)
    if not {"X", "Y"} <= set(found.names):
        raise ValueError(f"its points are {' '.join(names)}, expected X and Y")
    return found


def _number(word: Any) -> float | None:
    """A positive finite number, or None."""
    try:
        value = float(word)
    except (TypeError, ValueError):
        return None
    return value if 0 < value < 1e9 else None


# -- InkML --
_TRUTH = {"truth", "transcription", "text", "label", "contentlabel"}


def truth_of(element: Any) -> str:
    """The text that an element itself is annotated with, or nothing."""
    for each in element:
        kind = str(each.get("type", "")).lower()
        if local(each) == "annotation" and kind in _TRUTH:
            return (each.text or "").strip("\n")
    return ""


# -- InkML --
def inkml_strokes(root: Any) -> Raw:
    """Read InkML."""
    contexts = {
        each.get("{http://www.w3.org/XML/1998/namespace}id"): channels_of(each)
        for each in root.iter()
        if local(each) in ("context", "traceFormat", "inkSource")
        and any(local(c) == "channel" or local(c) == "sampleRate" for c in each.iter())
    }
    default = next(iter(contexts.values()), Channels())
    strokes, cuts, texts, axes, rates = [], [], [], set(), set()
    for trace, line, context in _traces(root):
        found = contexts.get(context.lstrip("#"), default)
        points = _trace_points(trace, found)
        if not len(points):
            continue
        if line is not None and (not texts or line is not texts[-1]):
            cuts.append(len(strokes))
            texts.append(line)
        strokes.append(points)
        axes.add(found.y_up)
        rates.add(found.rate)
    truth = [truth_of(line) for line in texts] or [truth_of(root)]
    return Raw(
        "InkML",
        strokes,
        cuts if cuts[:1] == [0] else None,
        [t for t in truth if t] or None,
        axes == {True},
        rates.pop() if len(rates) == 1 else None,
    )


# -- InkML --
def _traces(root: Any) -> list[tuple[Any, Any, str]]:
    """Each trace on paper, the group with a text around it, its context."""
    found, todo = [], [(root, None, "")]
    while todo:
        element, line, context = todo.pop()
        context = element.get("contextRef", context)
        name = local(element)
        if name == "trace" and element.get("type", "penDown") == "penDown":
            found.append((element, line, context))
        elif name == "traceGroup" and truth_of(element):
            line = element
        if name in ("ink", "traceGroup"):
            todo += [(each, line, context) for each in reversed(element)]
    return found


def _trace_points(trace: Any, found: Channels) -> np.ndarray:
    """x, y, seconds of a trace, (P, 3)."""
    rows = trace_values("".join(trace.itertext()), len(found.names))
    points = np.full((len(rows), 3), np.nan)
    for k, name in enumerate(("X", "Y", "T")):
        if name in found.names:
            points[:, k] = rows[:, found.names.index(name)]
    points[:, 2] *= found.second
    offset = _number(trace.get("timeOffset"))
    if offset is not None and len(points) and points[0, 2] == 0:
        points[:, 2] += offset * 1e-3
    return points


# -- UNIPEN --
_KEYWORD = re.compile(r"^\.([A-Z_]+)\b[ \t]*", re.M)


def unipen_strokes(text: str) -> Raw:
    """Read UNIPEN: coordinates, rate, and the text of its segments."""
    pieces = _KEYWORD.split(text.replace("\r\n", "\n").replace("\r", "\n"))
    names, strokes, segments, rate = ["X", "Y"], [], [], None
    for word, body in zip(pieces[1::2], pieces[2::2], strict=True):
        if word == "COORD":
            names = body.upper().split()
        elif word == "POINTS_PER_SECOND":
            rate = _number(body.split()[0] if body.split() else None)
        elif word == "SEGMENT":
            segments.append(body)
        elif word == "PEN_DOWN":
            strokes.append(_unipen_points(body, names))
    kept = [stroke for stroke in strokes if len(stroke)]
    texts = _unipen_texts(segments)
    timed = "T" in names
    return Raw("UNIPEN", kept, None, texts, True, None if timed else rate)


# -- UNIPEN --
def _unipen_points(body: str, names: list[str]) -> np.ndarray:
    """x, y, seconds of a stroke, (P, 3); UNIPEN counts milliseconds."""
    try:
        rows = np.array(body.split(), dtype=np.float64)
        rows = rows.reshape(-1, len(names))
        x, y = rows[:, names.index("X")], rows[:, names.index("Y")]
    except ValueError as err:
        raise ValueError(
            f"a pen-down holds {' '.join(body.split())[:40]!r}, expected rows of {' '.join(names)}"
        ) from err
    t = rows[:, names.index("T")] / 1000 if "T" in names else x * np.nan
    return np.stack([x, y, t], 1)


# -- UNIPEN --
def _unipen_texts(segments: list[str]) -> list[str] | None:
    """What the segments of the highest level say: lines before words."""
    said: dict[str, list[str]] = {}
    for body in segments:
        quoted = re.search(r'"((?:[^"\\]|\\.)*)"', body)
        if quoted and body.split():
            level = body.split()[0].upper()
            said.setdefault(level, []).append(quoted[1].replace('\\"', '"'))
    for level in ("LINE", "SENTENCE", "TEXT", "PARAGRAPH", "PAGE"):
        if level in said:
            return said[level]
    for level, between in (("WORD", " "), ("CHARACTER", "")):
        if level in said:
            return [between.join(said[level])]
    return None


# -- SVG --
MOST = 20_000  # elements of a picture, copies counted

_HREF = "{http://www.w3.org/1999/xlink}href"


def check_copies(root: Any) -> None:
    """Raise if `use` copies an element into itself, or far too many."""
    known = {each.get("id"): each for each in root.iter() if each.get("id")}
    counts: dict[Any, int] = {}

    def count(element: Any, inside: tuple) -> int:
        if element in inside or len(inside) > 300:
            raise ValueError("refused: an element of it uses itself")
        if element not in counts:
            total, around = 1, (*inside, element)
            target = element.get("href") or element.get(_HREF) or ""
            if local(element) == "use" and target[1:] in known:
                total += count(known[target[1:]], around)
            for child in element:
                total += count(child, around)
            counts[element] = min(total, 10**12)
        return counts[element]

    if count(root, ()) > MOST:
        raise ValueError(f"refused: over {MOST:,} elements, copies counted")


# -- SVG --
def svg_paths(root: Any) -> tuple[list[Any], str]:
    """The stroked paths of a picture in its order, and a note."""
    try:
        from svgelements import SVG, Path, Shape
    except ImportError as err:
        raise ImportError(
            'load_ink reads SVG through svgelements, which is missing: pip install "softattn[data]"'
        ) from err
    import io
    from xml.etree import ElementTree

    check_copies(root)
    try:
        picture = SVG.parse(io.BytesIO(ElementTree.tostring(root)))
        shapes = [e for e in picture.elements() if isinstance(e, Shape)]
        drawn = [e for e in shapes if e.stroke and e.stroke.value is not None]
        paths = [abs(Path(shape)) for shape in drawn or shapes]
    except RecursionError as err:
        raise ValueError("refused: its elements nest too deep") from err
    except Exception as err:  # of a library, about a stranger's file
        raise ValueError(f"no SVG that can be read: {err!s:.80}") from err
    left = len(shapes) - len(drawn or shapes)
    return paths, f"{left} filled shapes left out" if left else ""


# -- SVG --
_STRAIGHT = ("Move", "Line", "Close")


def svg_strokes(root: Any) -> Raw:
    """Read SVG: each part of a path that is drawn in one go is a stroke."""
    paths, note = svg_paths(root)
    ends = [(p.x, p.y) for path in paths for s in path for p in (s.start, s.end) if p is not None]
    if not np.isfinite(ends).all():
        raise ValueError("a place in it is not finite")
    size = float(np.hypot(*np.ptp(ends, axis=0))) if ends else 0.0
    found, curved = [], False
    for path in paths:
        pieces: list[list] = []
        for segment in path:
            curved = curved or type(segment).__name__ not in _STRAIGHT
            if type(segment).__name__ == "Move":
                pieces.append([(segment.end.x, segment.end.y)])
            elif pieces:
                pieces[-1] += _along(segment, size / 1500)
        pen = float(getattr(path, "implicit_stroke_width", None) or 0.0)
        found += [_timeless(piece, pen) for piece in pieces]
    label = root.get("aria-label") or ""
    own = label and label != "handwriting"
    texts = [t for t in label.split("\n") if t.strip()] if own else None
    return Raw("SVG", found, None, texts, False, None, not curved, note)


# -- SVG --
def _along(segment: Any, fine: float) -> list[tuple[float, float]]:
    """Places on a piece of a path, without its start."""
    kind = type(segment).__name__
    if kind in _STRAIGHT:
        return [(segment.end.x, segment.end.y)] if segment.end else []
    names = ("start", "control", "control1", "control2", "end", "center")
    known = [getattr(segment, name, None) for name in names]
    handles = np.array([(p.x, p.y) for p in known if p is not None])
    way = np.hypot(*np.diff(handles, axis=0).T).sum()
    if kind == "Arc":
        way = abs(segment.sweep) * max(segment.rx, segment.ry)
    pieces = int(np.clip(np.ceil(way / max(fine, 1e-12)), 2, 64))
    on = [segment.point(k / pieces) for k in range(1, pieces + 1)]
    return [(p.x, p.y) for p in on]


def _timeless(places: list, pen: float) -> np.ndarray:
    """x, y and no time, (P, 3); a dot that was given a length is a dot."""
    xy = np.array(places, dtype=np.float64)
    if len(xy) <= 2 and np.ptp(xy, axis=0).max() <= pen / 4:
        xy = xy.mean(0, keepdims=True)
    return np.c_[xy, np.full(len(xy), np.nan)]


# -- Arrays --
def array_of(data: bytes) -> np.ndarray:
    """The array in a .npy file, nothing pickled, no larger than the file."""
    file = io.BytesIO(data)
    try:
        version = npy.read_magic(file)
        read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version]
        shape, fortran, dtype = read(file)
    except (ValueError, KeyError, SyntaxError, EOFError) as err:
        raise ValueError(f"its header is none of a .npy file: {err}") from err
    if dtype.hasobject:
        raise ValueError("refused: it holds pickled objects, which can run code; store plain numbers, shape (T, 3)")
    body = data[file.tell() :]
    count = int(np.prod([int(n) for n in shape], dtype=object))
    if dtype.itemsize == 0 or count * dtype.itemsize != len(body):
        raise ValueError(
            f"its header promises shape {str(shape)[:60]} of {dtype}, its {len(body):,} bytes hold something else"
        )
    order = "F" if fortran else "C"
    return np.frombuffer(body, dtype).reshape(shape, order=order)


# -- Arrays --
def npy_strokes(array: np.ndarray) -> Raw:
    """Offsets (T, 3), the lifts in the last column or in the first."""
    if array.ndim != 2 or array.shape[1] != 3 or array.dtype.kind not in "fiu":
        raise ValueError(
            f"an array of {array.dtype}, shape {array.shape}; expected numbers, (T, 3): dx, dy, end of stroke"
        )
    rows = array.astype(np.float64)
    lifts = [np.isin(rows[:, k], (0, 1)).all() for k in (0, 2)]
    if not any(lifts):
        raise ValueError("neither its first nor its last column is 0 or 1")
    note = "" if lifts[1] else "the lifts stand in its first column"
    rows = rows if lifts[1] else rows[:, [1, 2, 0]]
    if not np.isfinite(rows).all():
        raise ValueError("a number in it is not finite")
    xy, ends = rows[:, :2].cumsum(0), rows[:, 2] == 1
    if len(rows) > 1 and ends[0]:
        ends[0] = False  # its row 0 is the pen that comes, and no dot
    return Raw("offsets", cut_strokes(xy, None, ends), note=note)


def cut_strokes(xy, seconds, ends: np.ndarray) -> list[np.ndarray]:
    """Strokes (P, 3) of places (T, 2), cut after the points of `ends`."""
    time = np.full(len(xy), np.nan) if seconds is None else seconds
    table = np.concatenate([xy, np.asarray(time, float)[:, None]], 1)
    return np.split(table, np.flatnonzero(ends[:-1]) + 1)


# -- CSV and JSON --
_COLUMNS = {
    "x": "x",
    "y": "y",
    "dx": "dx",
    "dy": "dy",
    "t": "t time timestamp seconds t_s time_s",
    "ms": "ms t_ms time_ms milliseconds",
    "pen": "pen down pendown pen_down pressure p tip",
    "end": "end eos lift lifts penup pen_up up",
    "stroke": "stroke stroke_id strokeid id segment",
}


def column_of(word: str) -> str:
    """What a column of this name holds; nothing for an unknown name."""
    word = word.lower()
    return next((k for k, v in _COLUMNS.items() if word in v.split()), "")


# -- CSV and JSON --
def csv_table(text: str) -> tuple[list[str], list[list[str]]]:
    """Names of the columns, and rows of words; [] where a line is blank."""
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if not line.startswith(("#", "//"))]
    first = next((line for line in lines if line), "")
    mark = next((m for m in ";\t," if m in first), None)
    rows = [line.split(mark) if line else [] for line in lines]
    rows = [[word.strip().strip('"') for word in row] for row in rows]
    if mark in (";", "\t"):
        rows = [[word.replace(",", ".") for word in row] for row in rows]
    head = next((row for row in rows if row), [])
    named = [column_of(word) for word in head]
    if any(named):
        return named, rows[rows.index(head) + 1 :]
    return [], rows


# -- CSV and JSON --
def csv_strokes(text: str) -> Raw:
    """Read a table of x, y, and perhaps time and pen."""
    names, rows = csv_table(text)
    full = [row for row in rows if row]
    wide = len(full[0]) if full else 0
    try:
        table = np.array([[float(w) for w in row] for row in full])
    except ValueError as err:
        raise ValueError(f"no table of numbers: {err}") from err
    if table.ndim != 2 or wide < 2:
        raise ValueError("no table: expected rows of x, y, and perhaps t, pen")
    if not names:
        binary = wide > 2 and np.isin(table[:, 2], (0, 1)).all()
        third = "pen" if binary and wide == 3 else "t"
        names = ["x", "y", third, "pen"][:wide]
    found = {n: table[:, k] for k, n in enumerate(names[:wide]) if n}
    xy = _places(found)
    blank = np.array([not row for row in rows], dtype=bool)
    before = np.cumsum(blank)[~blank]  # blank lines before each row
    lift = np.append(before[1:] != before[:-1], True)
    return _pen_column(xy, found, lift)


# -- CSV and JSON --
def _places(found: dict[str, np.ndarray]) -> np.ndarray:
    """Places (T, 2) of the columns x, y or dx, dy."""
    for x, y in (("x", "y"), ("dx", "dy")):
        if x in found and y in found:
            xy = np.stack([found[x], found[y]], 1)
            return xy if x == "x" else xy.cumsum(0)
    raise ValueError(f"columns {', '.join(found)}; expected x and y")


# -- CSV and JSON --
def _pen_column(xy, found: dict, lift: np.ndarray) -> Raw:
    """Strokes by what the columns say of pen and time."""
    down = np.ones(len(xy), dtype=bool)
    pen, end = found.get("pen"), found.get("end")
    if pen is not None and np.isin(pen, (0, 1)).all() and pen.mean() < 0.5:
        pen, end = None, pen  # mostly 0: it lifts where there is a 1
    if pen is not None:
        down = pen > 0
        lift = lift | ~np.append(down[1:], False)
    if end is not None:
        lift = lift | (end > 0)
    if "stroke" in found:
        lift = lift | np.append(np.diff(found["stroke"]) != 0, True)
    time = found.get("t", found.get("ms"))
    if time is not None:
        time = time * (1e-3 if "ms" in found else _second(time[down]))
    strokes = cut_strokes(xy, time, lift)
    kept = [on[a] for on, a in zip(strokes, np.split(down, np.flatnonzero(lift[:-1]) + 1), strict=True) if a.any()]
    return Raw("a table", kept)


def _second(time: np.ndarray) -> float:
    """Seconds of a unit of time: a pen is asked 20 to 1,000 times each."""
    steps = np.diff(time)
    steps = steps[steps > 0]
    usual = float(np.median(steps)) if len(steps) else 0.01
    units = (1.0, 1e-3, 1e-6, 1e-9)
    return next((unit for unit in units if usual * unit < 0.2), 1e-9)


# -- CSV and JSON --
def json_strokes(data: bytes) -> Raw:
    """Read JSON: a line, a page, or what a pad recorded."""
    try:
        stored = json.loads(data.removeprefix(codecs.BOM_UTF8))
    except (ValueError, RecursionError) as err:
        raise ValueError(f"not JSON: {err!s:.120}") from err
    if isinstance(stored, dict) and "offsets" not in stored:
        for key in ("trace", "points"):
            if key in stored:
                return _pad_strokes(stored[key], stored.get("text"))
    if isinstance(stored, list):
        return _pad_strokes(stored, None)
    line = Strokes.from_json(stored)
    xy = line.to_absolute().double().numpy()
    strokes = cut_strokes(xy[:, :2], None, xy[:, 2] == 1)
    cuts, texts = _stored_lines(stored, xy[:, 2])
    texts = texts or _said(line.text)
    return Raw("JSON", strokes, cuts, texts, False, page=line.text)


def _said(text: Any) -> list[str] | None:
    """The lines of a text that are not blank; None if there is none."""
    lines = text.splitlines() if isinstance(text, str) else []
    return [line for line in lines if line.strip()] or None


# -- CSV and JSON --
def _stored_lines(stored: dict, ends: np.ndarray) -> tuple:
    """First strokes and texts of the lines that a page says it has."""
    lines = stored.get("lines")
    if not isinstance(lines, list) or not lines:
        return None, None
    try:
        counts = np.array([int(count) for count, _ in lines])
        texts = [str(text) for _, text in lines]
    except (TypeError, ValueError, OverflowError):
        return None, None
    last = counts.cumsum() - 1
    right = (counts > 0).all() and last[-1] == len(ends) - 1
    if not right or not (ends[last] == 1).all():
        raise ValueError("its `lines` do not add up to its points")
    lifts = np.concatenate([[0], ends.cumsum()]).astype(int)
    return [int(lifts[k]) for k in (0, *(last[:-1] + 1))], texts


# -- CSV and JSON --
def _pad_strokes(rows: Any, text: Any) -> Raw:
    """Rows of x, y, seconds, end."""
    try:
        table = np.array(rows, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        table = np.zeros((0, 0))
    if table.ndim != 2 or table.shape[1] != 4 or not len(table):
        raise ValueError('expected {"text": ..., "offsets": [[dx, dy, end], ...]}, or rows of x, y, seconds, end')
    strokes = cut_strokes(table[:, :2], table[:, 2], table[:, 3] == 1)
    return Raw("a pad's rows", strokes, None, _said(text), False)


# -- Which way is down? --
def height_of(xy: np.ndarray, stroke: np.ndarray) -> float:
    """What `upright` calls a height, in the unit of xy; 0 for one place."""
    size = np.ptp(xy, axis=0)
    axis = int(size[0] <= 1e-9 * size[1])  # a slope leaves x as it is
    wide = float(np.ptp(upright(xy, stroke)[:, axis]))
    return float(size[axis]) / wide if wide > 0 else 0.0


# -- Which way is down? --
def fall_and_turn(xy: np.ndarray, stroke: np.ndarray) -> tuple[float, float]:
    """How far strokes end below their start; how they turn to the right.

    Args: xy: places (P, 2); stroke: whose place each is, (P,).
    Returns: heights, in the mean; radians for each height of ink.
    """
    height = height_of(xy, stroke)
    starts = first_points(stroke)
    lasts = np.append(starts[1:], len(xy)) - 1
    step = np.diff(xy, axis=0)
    on = stroke[1:] == stroke[:-1]
    way = (np.hypot(*step.T) * on).sum()
    if way == 0 or height == 0:
        return 0.0, 0.0
    turn = np.diff(np.arctan2(step[:, 1], step[:, 0]))
    turn = (turn + np.pi) % (2 * np.pi) - np.pi
    turn[np.abs(turn) > np.pi - 1e-9] = 0  # straight back: neither way
    turned = (turn * (on[1:] & on[:-1])).sum()
    fall = (xy[lasts, 1] - xy[starts, 1]).mean() / height
    return float(fall), float(turned * height / way)


# -- Which way is down? --
SURE = 1.0  # |z| below which the ink itself does not tell


def downness(xy: np.ndarray, stroke: np.ndarray) -> float:
    """z: above 0 where y seems to point down, below where up."""
    fall, turn = fall_and_turn(xy, stroke)
    return 3.9 * fall - 9.5 * turn


# -- Lines, and their tilt --
TILT = 0.1  # a slope beyond it is mended; hands climb and sink by less


def joined(strokes: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Places (P, 2) and the number of each one's stroke, (P,)."""
    count = [len(stroke) for stroke in strokes]
    owner = np.repeat(np.arange(len(strokes)), count)
    return np.concatenate(strokes)[:, :2], owner


# -- Lines, and their tilt --
def cut_lines(strokes: list[np.ndarray]) -> list[list[np.ndarray]]:
    """The lines of a page, by where the pen goes back and down."""
    xy, owner = joined(strokes)
    if len(strokes) < 2:
        return [strokes]
    ends = np.append(owner[1:] != owner[:-1], True)
    size = np.ptp(xy, axis=0).max() or 1.0
    page = Strokes.from_absolute((xy - xy[0]) * (10_000 / size), ends)
    found, at = [], 0
    for line in split_lines(page):
        count = int(line.offsets[:, 2].sum())
        found.append(strokes[at : at + count])
        at += count
    return found


def levelled(strokes: list[np.ndarray]) -> tuple[list[np.ndarray], float]:
    """A line turned until it is level, and the slope that it had."""
    total = 0.0
    for _ in range(3):  # the slope is a shy estimate
        xy, owner = joined(strokes)
        angle = math.atan(slope_of(spread(xy, owner)[1]))
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        strokes = [np.c_[s[:, :2] @ turn, s[:, 2:]] for s in strokes]
        total += angle
    return strokes, total


# -- The clock --
STEP = 0.25  # heights from point to point, in the mean of the corpus
STEPS = 0.14, 0.40  # and the bounds of 99 of 100 of its lines


def made_up_times(xy: np.ndarray, height: float) -> np.ndarray:
    """x, y, seconds of a pen that goes along xy (P, 2) as a hand would."""
    place = walked(xy, np.zeros(len(xy), int), 0.05 * height).place
    step = np.diff(place, axis=0)
    way = np.hypot(*step.T)
    if way.sum() == 0:
        return np.array([[*xy[0], 0.0]])
    heading = np.unwrap(np.arctan2(step[:, 1], step[:, 0]))
    wide = np.pad(heading, 4, mode="edge")  # four steps around
    bend = np.abs(wide[8:] - wide[:-8]) / 0.4  # radians for a height
    speed = np.clip(1 / (bend + 0.1), 0.1, 8) ** (1 / 3)
    at = (way.cumsum() - way / 2) / height
    near = np.minimum(at, way.sum() / height - at)  # heights from an end
    speed *= np.clip(np.sqrt(near / 0.5), 0.3, 1)
    time = np.append(0, (way / height / speed).cumsum())
    return np.c_[place, time * 0.01 / STEP]


# -- The clock --
def clock_of(strokes: list, rate: float | None, clock: bool) -> tuple:
    """Strokes with seconds, whether these are known, and words for it."""
    if not clock:
        return strokes, None, "curves without times"
    time = np.concatenate(strokes)[:, 2]
    steps = [np.hypot(*np.diff(s[:, :2], axis=0).T) for s in strokes]
    steps = np.concatenate(steps)
    uneven = steps.std() / steps.mean() if steps.size and steps.any() else 1.0
    words = "no times"
    if rate is None and np.isfinite(time).all():
        on = sum(s[-1, 2] - s[0, 2] for s in strokes)
        if (np.diff(time) >= 0).all() and on > 0:
            return strokes, True, f"{len(steps) / on:.0f} points a second"
        words = "times that stand still" if on == 0 else "times run backwards"
    if rate is None and uneven < 0.35:
        return strokes, None, f"{words}, equal steps"
    many = np.concatenate([[0], np.cumsum([len(s) for s in strokes])])
    told = [np.c_[s[:, :2], (k + np.arange(len(s))) / (rate or RATE)] for k, s in zip(many, strokes, strict=False)]
    words = f"{rate:g} points a second" if rate else f"{words}, equal times"
    return told, rate is not None, words


# -- The clock --
def clocked(strokes, known, height: float, letters: int) -> tuple:
    """Rows x, y, end of a line at 100 points a second; whether it changed."""
    if known is None:
        strokes = [made_up_times(s[:, :2], height) for s in strokes]
    on = sum(s[-1, 2] - s[0, 2] for s in strokes) * RATE
    way = sum(np.hypot(*np.diff(s[:, :2], axis=0).T).sum() for s in strokes)
    low, high = way / height / STEPS[1], way / height / STEPS[0]
    usual = way / height / STEP
    if letters > 3:
        low, high, usual = (n * letters for n in (*PACE, 20.92))
    if height == 0 or on == 0 or low <= on <= high:
        stretch = 1.0
    elif known is False:
        stretch = usual / on
    else:
        stretch = min(max(on, low), high) / on
    gaps = [np.diff(s[:, 2]) for s in strokes if len(s) > 1]
    gaps = np.concatenate(gaps) if gaps else np.zeros(1)
    if stretch == 1 and np.abs(gaps - 1 / RATE).max() < 1e-4:
        return [np.c_[s[:, :2], np.arange(len(s)) == len(s) - 1] for s in strokes], 1.0
    if np.median(gaps) * stretch > 1.6 / RATE:
        strokes = [_finer(s) for s in strokes]
    ends = [np.c_[s, np.zeros(len(s))] for s in strokes]
    return [ticked(s, stretch) for s in ends], stretch


# -- The clock --
def _finer(stroke: np.ndarray) -> np.ndarray:
    """Curves through points that are far apart, four pieces to a step."""
    at = np.arange(4 * (len(stroke) - 1) + 1) / 4
    time = np.interp(at, np.arange(len(stroke)), stroke[:, 2])
    return np.c_[smooth_stroke(stroke[:, :2]), time]


# -- The unit --
WIDTHS = 108.0, 300.0  # raw units a character, of most lines
HEIGHTS = 41.0, 177.0  # standard deviations of ink, the same
HEIGHT = 81.0


def scale_of(strokes: list[np.ndarray], letters: int) -> float:
    """By what to multiply places so that letters have the corpus' size."""
    xy, owner = joined(strokes)
    wide, high = float(np.ptp(xy[:, 0])), height_of(xy, owner)
    if letters > 3 and wide > 0:
        found, (low, most), usual = wide / letters, WIDTHS, WIDTH
    elif high > 0:
        found, (low, most), usual = high, HEIGHTS, HEIGHT
    else:
        return 1.0
    return 1.0 if low <= found <= most else usual / found


# -- One door --
_NO_INK = (b"\x89PNG", b"%PDF", b"\xff\xd8", b"PK\x03", b"\x1f\x8b", b"GIF8")


def kind_of(data: bytes) -> Raw:
    """Read a file by what it holds, not by what it is called."""
    start = data[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
    if data.startswith(_NO_INK):
        raise ValueError(
            "this is a picture or an archive; ink needs the strokes in their "
            "order: InkML, UNIPEN, SVG, .npy, CSV or JSON"
        )
    if data.startswith(b"\x93NUMPY"):
        return npy_strokes(array_of(data))
    wide = decoded(data[:4096] if len(data) % 2 == 0 else data[:4097]).lstrip()
    if wide[:1] in "{[" and wide:
        return json_strokes(data)
    if start[:1] == b"<" or wide[:1] == "<":
        root = xml_root(data)
        read = {"ink": inkml_strokes, "svg": svg_strokes}.get(local(root))
        if read is None:
            name = local(root)[:40]
            raise ValueError(f"XML of <{name}>, expected ink or svg")
        return read(root)
    text = decoded(data)
    if text.lstrip().startswith(".") and re.search(r"^\.PEN_DOWN", text, re.M):
        return unipen_strokes(text)
    return csv_strokes(text)


# -- One door --
def text_beside(path: Path) -> list[str] | None:
    """The text that lies beside a file: its name in .txt, or -chars.npy."""
    chars = path.with_name(path.name.replace("-strokes", "-chars"))
    if chars != path and chars.is_file():
        array = array_of(read_file(chars, 2**20))
        if array.dtype.kind == "U":
            return _said("".join(array.ravel().tolist()))
        return _said(array.tobytes().decode("utf-8", "replace").strip("\0"))
    note = path.with_suffix(".txt")
    if note != path and note.is_file():
        return _said(decoded(read_file(note, 2**20)))
    return None


# -- One door --
def check_raw(raw: Raw) -> None:
    """Raise unless there are strokes, finite and not too many."""
    points = sum(len(stroke) for stroke in raw.strokes)
    if points == 0:
        raise ValueError(f"{raw.kind}: it holds no ink")
    if points > POINTS or len(raw.strokes) > STROKES:
        raise ValueError(
            f"{raw.kind}: {points:,} points in {len(raw.strokes):,} strokes; at most {POINTS:,} in {STROKES:,} are read"
        )
    places = np.concatenate(raw.strokes)[:, :2]
    if not np.isfinite(places).all() or np.abs(places).max() > 1e9:
        raise ValueError(f"{raw.kind}: a place in it is not finite")


# -- One door --
class _Page(list):
    """Lines, and `text`: all they say, with blank lines and indents."""

    text = ""


class InkFile(NamedTuple):
    """Ink that was read.

    Args:
        lines: each with its text, "" where none is known, in the corpus'
            units, 100 points a second, y down.
        told: what was found out and mended, in one line.
    """

    lines: list[Strokes]
    told: str


# -- One door --
def axis_of(raw: Raw, y_up: bool | None) -> tuple[bool, str]:
    """Whether y points up, and how that is known."""
    means = []
    for sign in (1, -1):
        flipped = [s * (1, sign, 1) for s in raw.strokes]
        lines = cut_lines(flipped) if raw.cuts is None else [flipped]
        means.append(np.mean([downness(*joined(line)) for line in lines]))
    z = float(means[0] - means[1]) / 2
    says = "up" if z < 0 else "down"
    if y_up is not None:
        return y_up, "as you say"
    if raw.y_up is not None:
        stated = "up" if raw.y_up else "down"
        doubt = abs(z) > 3 and says != stated
        return raw.y_up, f"by the format{', but it looks turned' * doubt}"
    if abs(z) < SURE:
        return z < 0, "a guess: the ink does not tell"
    return z < 0, "by the ink"


def assigned(lines: list, cuts: Any, texts: list[str] | None) -> list[str]:
    """A text for each line, or a sentence why not."""
    if not texts:
        return [""] * len(lines)
    if len(texts) != len(lines):
        raise ValueError(
            f"{len(lines)} lines of ink and {len(texts)} lines of text; give each line its own, parted by line breaks"
        )
    return texts


# -- One door --
def mended(raw: Raw, texts, y_up, rate, scale, level) -> tuple[list, str]:
    """Lines of Strokes from what a file says, and one line of words."""
    up, why = axis_of(raw, y_up)
    strokes = [s * (1, -1 if up else 1, 1) for s in raw.strokes]
    if raw.cuts:
        ends = [*raw.cuts[1:], len(strokes)]
        lines = [strokes[a:b] for a, b in zip(raw.cuts, ends, strict=True)]
    elif texts and len(texts) == 1:
        lines = [strokes]
    else:
        lines = cut_lines(strokes)
    texts = assigned(lines, raw.cuts, texts)
    whole = list(zip(lines, texts, strict=True))
    factor = scale or _common(whole)
    rate = rate or raw.rate
    each = [one_line(l, t, factor, rate, level, raw) for l, t in whole]
    words = [
        raw.kind,
        f"{len(lines)} line{'s' * (len(lines) > 1)}, {len(strokes)} strokes",
        f"y {'up' if up else 'down'} ({why})",
    ]
    words += each[0][1] + ([raw.note] if raw.note else [])
    return [line for line, _ in each], "; ".join(words)


def _common(lines: list) -> float:
    """One factor for all lines of a page: that of the median."""
    found = [scale_of(strokes, len(text)) for strokes, text in lines]
    return float(np.median(found))


# -- One door --
def one_line(strokes, text, factor, rate, level, raw: Raw) -> tuple:
    """A line of ink as Strokes, and words for what was mended."""
    words = []
    tilt = math.atan(slope_of(spread(*joined(strokes))[1]))
    if level is not False and (level or abs(tilt) > TILT):
        strokes, tilt = levelled(strokes)
        way, by = "sinks" if tilt > 0 else "climbs", abs(math.degrees(tilt))
        words.append(f"{way} by {by:.0f} degrees, levelled")
    strokes = [s * (factor, factor, 1) for s in strokes]
    words.append("size kept" if factor == 1 else f"size times {factor:.4g}")
    strokes, known, said = clock_of(strokes, rate, raw.clock)
    height = height_of(*joined(strokes))
    rows, stretch = clocked(strokes, known, height, len(text))
    if known is None:
        said += ", made a pen's"
    elif stretch != 1:
        said += f", {sum(map(len, strokes))} points made {sum(map(len, rows))}"
    table = np.concatenate(rows)
    source = raw.kind
    line = Strokes.from_absolute(table[:, :2], table[:, 2], text, source)
    return line, [*words, said]


# -- One door --
def load_ink(
    path: str | os.PathLike,
    text: str | None = None,
    *,
    y_up: bool | None = None,
    rate: float | None = None,
    scale: float | None = None,
    level: bool | None = None,
) -> InkFile:
    """Read ink: InkML, UNIPEN, SVG, .npy, CSV, or JSON of this book.

    Args:
        path: the file; what it holds says its kind.
        text: what is written, a line each; None: as the file or one beside
            it says (its name in .txt; -chars.npy beside -strokes.npy).
        y_up: whether y points up; None: as the format says, or the ink.
        rate: points a second; None: by its times, or as is usual.
        scale: raw units for a unit of the file; None: found out.
        level: whether to turn a line that climbs; None: if it does.

    Returns: its lines, and one line of what was found out and mended.
    Raises: TypeError, ValueError, OSError: what is no ink, and why.
    """
    path = path_of("load_ink", path)
    instance("load_ink", "text", text, str, type(None))
    for name, flag in (("y_up", y_up), ("level", level)):
        instance("load_ink", name, flag, bool, type(None))
    rate = None if rate is None else real("load_ink", "rate", rate, 1, 1e5)
    if scale is not None:
        scale = real("load_ink", "scale", scale, 1e-6, 1e6)
    return _loaded(path, text, (y_up, rate, scale, level))


# -- One door --
def _loaded(path: Path, text: str | None, how: tuple) -> InkFile:
    """Read, mend, tell; every error says which file."""
    if not path.exists():
        raise FileNotFoundError(f"load_ink: there is no file {path}")
    data = read_file(path, 2**26)
    try:
        if not data.strip():
            raise ValueError("it is empty")
        raw = kind_of(data)
        check_raw(raw)
        texts = _said(text) or raw.texts or text_beside(path)
        lines, told = mended(raw, texts, *how)
    except (ValueError, OverflowError, MemoryError) as err:
        why = " ".join(str(err).split())[:300]
        raise ValueError(f"load_ink: {path} is no ink: {why}") from err
    page = _Page(Strokes(l.offsets, l.text, str(path)) for l in lines)
    page.text = text or raw.page
    return InkFile(page, told)


# -- Writing ink --
def lines_in_place(ink: Any) -> tuple[list[Strokes], Strokes]:
    """The lines of ink, and all of it on one page."""
    if isinstance(ink, Strokes):
        return list(getattr(ink, "lines", [])) or [ink], ink
    lines = many("save_ink", "ink", ink, "Strokes or a list of them")
    for line in lines:
        instance("save_ink", "a line", line, Strokes)
    if not lines:
        raise ValueError("save_ink: no lines; give one at least")
    texts = [line.text for line in lines]
    text = getattr(ink, "text", "") or "\n".join(texts)
    rows = rows_of(text, texts)
    layout = [""] * (rows[-1][0] + 1)  # blank where no line belongs
    for (row, lead), said in zip(rows, texts, strict=True):
        layout[row] = " " * lead + (said.lstrip() or "?")
    return lines, Strokes(set_page(layout, lines).offsets, text)


# -- Writing ink --
def inkml_text(ink: Any) -> str:
    """Ink as InkML: a group for each line, with its text."""
    lines, page = lines_in_place(ink)
    places, at, groups = page.to_absolute().double().numpy(), 0, []
    for line in lines:
        rows = places[at : at + len(line)]
        at += len(line)
        cuts = np.flatnonzero(rows[:-1, 2]) + 1
        said = f'<annotation type="truth">{_attribute(line.text)}</annotation>'
        traces = "".join(
            "<trace>" + ", ".join(f"{x:.9g} {y:.9g}" for x, y in s[:, :2]) + "</trace>\n" for s in np.split(rows, cuts)
        )
        groups.append(f"<traceGroup>\n{said}\n{traces}</traceGroup>\n")
    return _INKML.format("".join(groups))


# -- Writing ink --
_INKML = """<?xml version="1.0" encoding="UTF-8"?>
<ink xmlns="http://www.w3.org/2003/InkML">
<definitions><context xml:id="pen"><inkSource xml:id="tablet">
<sampleRate uniform="true" value="100"/>
<traceFormat><channel name="X" type="decimal"/>
<channel name="Y" type="decimal"/></traceFormat>
</inkSource></context></definitions>
{}</ink>
"""


def csv_text(ink: Any) -> str:
    """Ink as a table: x, y, seconds, and 1 where the pen lifts."""
    rows = lines_in_place(ink)[1].to_absolute().double().numpy()
    table = [f"{x:.9g},{y:.9g},{k / 100:g},{end:g}" for k, (x, y, end) in enumerate(rows)]
    return "\n".join(["x,y,t,end", *table, ""])


def json_text(ink: Any) -> str:
    """Ink as JSON of this book; several lines as a page that names them."""
    lines, page = lines_in_place(ink)
    if isinstance(ink, Strokes):
        return ink.to_json()
    return page.to_json(lines=[[len(line), line.text] for line in lines])


# -- Writing ink --
_TEXTS = {".json": json_text, ".inkml": inkml_text, ".csv": csv_text}
_LAYOUT = {"size", "paper", "margin", "line_height", "align"}


def save_ink(path: str | os.PathLike, ink: Any, **how: Any) -> list[Path]:
    """Write ink: numbers as .json, .inkml, .csv; or on sheets of paper.

    Args:
        path: its ending says the kind: also .svg, .png, .pdf, .gcode.
        ink: a page of `write`, a line, or lines.
        how: of sheets: what `lay_out` and `save_sheets` ask.

    Returns: the files.
    Raises: TypeError, ValueError, OSError for what cannot be written.
    """
    kinds = (*_TEXTS, *PAPER_KINDS)
    path = check_target("save_ink", path, kinds)
    if path.suffix.lower() in PAPER_KINDS:
        layout = {k: v for k, v in how.items() if k in _LAYOUT}
        more = {k: v for k, v in how.items() if k not in _LAYOUT}
        return save_sheets(path, lay_out(ink, **layout), **more)
    if how:
        raise TypeError(f"save_ink: {', '.join(how)}: numbers have no look")
    data = _TEXTS[path.suffix.lower()](ink).encode()
    with atomic_write(path) as beside:
        beside.write_bytes(data)
    return [path]

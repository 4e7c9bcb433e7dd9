# Generated from book/strokes.md by tools/export.py. Edit the chapter, not this file.
"""Pen strokes.

Pen strokes as data, from a corpus and from a pen that writes by itself.

The chapter book/strokes.md builds this module and explains each line.
"""

import hashlib
import json
import os
import re
import sys
import tarfile
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

__all__ = ["IAM_SPLITS", "IamReport", "Strokes", "load_iam", "pad"]


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
    def from_absolute(cls, points, ends=None, text: str = "", source: str = "", char_index=None) -> "Strokes":
        """Make strokes from positions.

        Args:
            points: x, y of each point, shape (T, 2); or x, y, end, shape (T, 3), and then no `ends`.
            ends: shape (T,), 1 where the pen lifts after the point. The last one is set to 1.
            text, source, char_index: as in Strokes.
        """
        points = torch.as_tensor(points).detach().to(torch.float64)
        if ends is None and points.ndim == 2 and points.shape[1] == 3:
            points, ends = points[:, :2], points[:, 2]
        if ends is None or points.ndim != 2 or points.shape[1] != 2:
            raise ValueError(
                f"Strokes.from_absolute: points have shape {tuple(points.shape)}, expected (T, 2) and `ends`, or (T, 3) without"
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
    def from_numpy(cls, offsets: np.ndarray, text: str = "", source: str = "", char_index=None) -> "Strokes":
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

    def plot(self, ax=None, color: str = "black", linewidth: float = 1.2):
        """Draw the line upright on matplotlib axes (new ones if None) and return the axes."""
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
        """The line as an SVG picture: `width` in pixels, `pen` the thickness of the pen in raw units."""
        xy = self.to_absolute()[:, :2]
        low, high = xy.amin(0) - pen, xy.amax(0) + pen
        (x, y), (w, h) = low.tolist(), (high - low).tolist()
        paths = []
        for stroke in self.polylines():
            points = " ".join(f"{px:g} {py:g}" for px, py in stroke)
            paths.append(f"M{points}" if len(stroke) > 1 else f"M{points}h0")  # a round cap makes a dot of it
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{max(1, round(width * h / w))}" '
            f'viewBox="{x:g} {y:g} {w:g} {h:g}" role="img" aria-label="{escape(self.text or "handwriting", quote=True)}">'
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


# -- A corpus: IAM-OnDB --
IAM_SPLITS = {"train": "trainset.txt", "val1": "testset_v.txt", "val2": "testset_t.txt", "test": "testset_f.txt"}

_WHERE = """{why}
The IAM On-Line Handwriting Database is free for non-commercial research, and its makers ask you to register:
  https://fki.tic.heia-fr.ch/databases/iam-on-line-handwriting-database
Get lineStrokes-all.tar.gz, ascii-all.tar.gz and the four lists of task 1 (trainset.txt, testset_v.txt, testset_t.txt, testset_f.txt),
put them into a folder FOLDER/iam-ondb (packed or unpacked), and set SOFTATTN_DATA=FOLDER, or give load_iam the folder.
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


# -- A corpus: IAM-OnDB --
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


# -- A corpus: IAM-OnDB --
def _form_texts(ascii_file: bytes) -> list[str]:
    """The lines of a transcription file, in order: those of its CSR part, blank ones left out."""
    _, _, csr = ascii_file.decode("latin-1").partition("CSR:")
    csr = re.sub("%{3,}", "\n", csr)  # a run of % stands where a line break was lost
    return [line.strip() for line in csr.splitlines() if line.strip()]


# -- A corpus: IAM-OnDB --
def _archive(path: Path, suffix: str, bar: tqdm) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file in a .tar.gz, in order; nothing is unpacked onto the disk."""
    with open(path, "rb") as file:
        try:
            with tarfile.open(fileobj=file, mode="r:gz") as tar:
                for member in tar:
                    bar.update(file.tell() - bar.n if bar.total else 0)
                    parts = Path(member.name).parts
                    if member.name.startswith(("/", "\\")) or ".." in parts or not (member.isfile() or member.isdir()):
                        raise ValueError(
                            f"{path.name}: refused, its member {member.name!r} points outside or is no plain file"
                        )
                    if member.isfile() and member.name.endswith(suffix):
                        if member.size > 2**24:
                            raise ValueError(
                                f"{path.name}: refused, {member.name!r} has {member.size} bytes; a line has under 2^24"
                            )
                        yield parts[-1].removesuffix(suffix), tar.extractfile(member).read()
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


# -- A corpus: IAM-OnDB --
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
        "offsets": np.concatenate([ink[n] for n in names] or [np.zeros((0, 3), np.int32)]),
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


# -- A corpus: IAM-OnDB --
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
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as err:
        warnings.warn(f"load_iam: the cache {path} is damaged ({err}); reading the corpus again", stacklevel=3)
        return None


def _save_cache(path: Path, data: dict[str, np.ndarray]) -> None:
    """Write beside the final name, then rename: an interrupted write never leaves a broken cache."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, **data)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


# -- A corpus: IAM-OnDB --
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
    root: str | os.PathLike | None = None, split: str = "train", clean: bool = False, progress: bool = True
) -> tuple[list[Strokes], IamReport]:
    """Read one official split of IAM-OnDB, from its original files at first, then from a cache.

    Args:
        root: folder with lineStrokes-all.tar.gz and ascii-all.tar.gz (or unpacked) and the lists; None: SOFTATTN_DATA/iam-ondb.
        split: "train", "val1", "val2" or "test".
        clean: also leave out faulty lines: a step over 500 units with the pen down, any step over 1,500, a crossed-out word.
        progress: show a progress bar while the corpus is read for the first time.

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
    cache = _cache_folder() / f"iam-ondb-{_identity(root)}.npz"
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

# Generated from book/iam.md by tools/export.py. Edit the chapter, not this file.
"""IAM-OnDB: handwriting from a corpus.

Lines of real pens, from the archives of a corpus.

The chapter book/iam.md builds this module and explains each line.
"""

import hashlib
import json
import os
import re
import sys
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from softattn.hub import atomic_write, safe_members
from softattn.pen import EmbeddedWriter, embedded_text
from softattn.strokes import Strokes

__all__ = ["IAM_SPLITS", "IamReport", "load_iam", "load_strokes"]


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
        lines.append(Strokes(offsets, text, f"iam-ondb/{name}"))
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

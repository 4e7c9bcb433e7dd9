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
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from softattn.hub import atomic_write, open_tar_gz, read_file, safe_members, whole
from softattn.pen import EmbeddedWriter, embedded_text
from softattn.strokes import Strokes

__all__ = ["IamReport", "load_iam", "load_strokes"]


# -- The corpus: IAM-OnDB --
IAM_SPLITS = {
    "train": "trainset.txt",
    "val1": "testset_v.txt",
    "val2": "testset_t.txt",
    "test": "testset_f.txt",
}

_WHERE = """{why}
The IAM On-Line Handwriting Database is free for non-commercial research, and
its makers ask you to register:
  https://fki.tic.heia-fr.ch/databases/iam-on-line-handwriting-database
Get lineStrokes-all.tar.gz, ascii-all.tar.gz and the four lists of task 1
(trainset.txt, testset_v.txt, testset_t.txt, testset_f.txt), put them into a
folder FOLDER/iam-ondb (packed or unpacked), and set SOFTATTN_DATA=FOLDER,
or give load_iam the folder.
Nothing is downloaded for you. Without the corpus, load_strokes("embedded")
writes lines by itself."""


# -- The corpus: IAM-OnDB --
def _absent(why: str) -> FileNotFoundError:
    return FileNotFoundError(_WHERE.format(why=f"load_iam: {why}"))


def _iam_root(root: str | os.PathLike[str] | None) -> Path:
    """The corpus' folder, or a FileNotFoundError that says how to get it."""
    if root is None:
        data = os.environ.get("SOFTATTN_DATA")
        if not data:
            raise _absent("SOFTATTN_DATA is not set and no folder was given.")
        root = Path(data) / "iam-ondb"
    elif not isinstance(root, str | os.PathLike):
        raise TypeError(f"load_iam: root is {root!r}, expected a folder")
    root = Path(root)
    names = ("lineStrokes-all.tar.gz", "lineStrokes", "lineStrokes-all")
    if any((root / name).exists() for name in names):
        return root
    if (root / "iam-ondb").is_dir():
        return _iam_root(root / "iam-ondb")
    raise _absent(f"{root} holds neither lineStrokes-all.tar.gz nor a folder lineStrokes.")


# -- One line of ink --
def _xml_tree(xml: bytes) -> Any:
    """The root of a line file's tree; a ValueError says what is wrong."""
    try:
        from defusedxml import ElementTree
        from defusedxml.common import DefusedXmlException
    except ImportError as err:
        raise ImportError(
            'load_iam reads XML through defusedxml, which is missing: pip install "softattn[data]"'
        ) from err
    try:
        return ElementTree.fromstring(xml, forbid_dtd=True)
    except DefusedXmlException as err:
        raise ValueError(f"refused: the XML defines entities or a document type ({type(err).__name__})") from err
    except (ElementTree.ParseError, LookupError, ValueError) as err:
        raise ValueError(f"not well-formed XML: {err}") from err


# -- One line of ink --
def _line_points(xml: bytes) -> np.ndarray:
    """The points of a line file: x, y, end, shape (T, 3), int32.

    Raises:
        ValueError: what is wrong with the file.
    """
    points = []
    for stroke in _xml_tree(xml).iter("Stroke"):
        try:
            for p in stroke.iter("Point"):
                points.append((int(p.get("x")), int(p.get("y")), 0))
        except (TypeError, ValueError) as err:
            why = f"a point without whole coordinates: {err}"
            raise ValueError(why[:200]) from err
        if points:  # a stroke of one point is a dot: keep it
            points[-1] = (*points[-1][:2], 1)
    if not points:
        raise ValueError("no points")
    if max(max(map(abs, p)) for p in points) > 1_000_000:
        raise ValueError("a coordinate beyond 1,000,000 units")
    return np.array(points, dtype=np.int32)


# -- One line of text --
def _form_texts(ascii_file: bytes) -> list[str]:
    """The lines of a transcription's CSR part, blank ones left out."""
    _, _, csr = ascii_file.decode("latin-1").partition("CSR:")
    csr = re.sub("%{3,}", "\n", csr)  # a run of % was a line break
    return [line.strip() for line in csr.splitlines() if line.strip()]


# -- Archives and folders --
_FILE_BYTES = 2**24  # of one line or form; a real one has under 2^18
_ARCHIVE_BYTES = 2**32  # of a whole archive, unpacked


def _check_member(archive: str, member: tarfile.TarInfo) -> None:
    """Refuse a member that is larger than anything in this corpus."""
    if member.size > _FILE_BYTES and member.isfile():
        raise ValueError(f"{archive}: refused, {member.name!r} has {member.size} bytes; a line has under 2^24")
    if member.offset_data + member.size > _ARCHIVE_BYTES:
        raise ValueError(f"{archive}: refused, it unpacks to over 2^32 bytes")


# -- Archives and folders --
def _archive(path: Path, suffix: str, seen: Callable[[int], Any]) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file in a .tar.gz, in order.

    `seen` is told of every byte of the packed file that was read.
    """
    with open(path, "rb") as file:
        told = 0
        try:
            with open_tar_gz(file) as tar:
                for member in safe_members(tar):
                    seen(file.tell() - told)
                    told = file.tell()
                    _check_member(path.name, member)
                    if member.isfile() and member.name.endswith(suffix):
                        name = Path(member.name).name.removesuffix(suffix)
                        yield name, _content(tar, member)
                _to_the_end(tar, path.name)
        except (tarfile.TarError, EOFError, zlib.error, OSError) as err:
            raise ValueError(f"{path}: damaged or cut short ({err}); get this archive again") from err


# -- Archives and folders --
def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    return file.read() if file else b""


def _to_the_end(tar: tarfile.TarFile, name: str) -> None:
    """Read what follows the last member, where the checksum stands."""
    rest = 0
    while tar.fileobj and (piece := tar.fileobj.read(2**20)):
        rest += len(piece)
        if rest > _FILE_BYTES:
            raise ValueError(f"{name}: refused, 2^24 bytes follow its end")


# -- Archives and folders --
def _unpacked(folder: Path, suffix: str, seen: Callable[[int], Any]) -> Iterator[tuple[str, bytes | Exception]]:
    """Name of each file below a folder, and its content or the trouble."""
    for path in sorted(folder.rglob(f"*{suffix}")):
        try:
            content = read_file(path, _FILE_BYTES)
        except (OSError, ValueError) as err:
            yield path.stem, err
        else:
            seen(len(content))
            yield path.stem, content


# -- Archives and folders --
def _part_folder(root: Path, name: str) -> Path | None:
    """Where one part of the corpus was unpacked to, if it was."""
    places = (root / name, root / f"{name}-all" / name, root / f"{name}-all")
    return next((folder for folder in places if folder.is_dir()), None)


# -- Archives and folders --
def _files(root: Path, name: str, suffix: str, seen: Callable[[int], Any]) -> Iterator[tuple[str, bytes | Exception]]:
    """The files of one part of the corpus, packed or unpacked."""
    packed = root / f"{name}-all.tar.gz"
    folder = _part_folder(root, name)
    if packed.is_file():
        return _archive(packed, suffix, seen)
    if folder is None:
        raise _absent(f"{root} holds neither {packed.name} nor a folder {name}.")
    return _unpacked(folder, suffix, seen)


# -- Ink and text together --
def _bar(root: Path, progress: bool) -> "tqdm[Any]":
    """A progress bar over the bytes of both archives."""
    packed = [root / f"{n}-all.tar.gz" for n in ("lineStrokes", "ascii")]
    size = sum(path.stat().st_size for path in packed if path.is_file())
    words = "reading IAM-OnDB (once)"
    scale = {"unit": "B", "unit_scale": True, "desc": words}
    return tqdm(total=size or None, disable=not progress, **scale)


# -- Ink and text together --
def _read_parts(root: Path, progress: bool) -> tuple[dict[str, list[str] | str], dict[str, np.ndarray], dict[str, str]]:
    """Texts of each form (or why not), ink of each line, and troubles."""
    texts, ink, problems = {}, {}, {}
    with _bar(root, progress) as bar:
        for form, text in _files(root, "ascii", ".txt", bar.update):
            fine = isinstance(text, bytes)
            texts[form] = _form_texts(text) if fine else str(text)
        for name, xml in _files(root, "lineStrokes", ".xml", bar.update):
            try:
                if isinstance(xml, Exception):
                    raise ValueError(f"cannot be read: {xml}")
                if name in ink:
                    raise ValueError("two files have this name")
                ink[name] = _line_points(xml)
            except ValueError as err:
                ink[name] = np.zeros((0, 3), np.int32)
                problems[name] = str(err)
    return texts, ink, problems


# -- Ink and text together --
def _line_number(name: str) -> tuple[str, int]:
    """ "a01-000u-03" -> ("a01-000u", 3); 0 if it has no number."""
    form, _, number = name.rpartition("-")
    plain = number.isascii() and number.isdigit() and len(number) < 6
    return form, int(number) if plain else 0


def _text_of(name: str, lines: list[str] | str | None, last: int) -> str:
    """The text of a line; a ValueError says why it is not known.

    `lines` are those of its form, `last` the number of its last ink.
    """
    number = _line_number(name)[1]
    if number == 0:
        raise ValueError("its name does not end in -01, -02, ...: no text")
    if lines is None:
        raise ValueError("its form has no transcription")
    if isinstance(lines, str):
        raise ValueError(f"its form's transcription cannot be read: {lines}")
    asked = "please enter transcription"
    if not lines or any(line.lower().startswith(asked) for line in lines):
        raise ValueError("placeholder instead of a transcription")
    if last > len(lines):
        raise ValueError(f"{last} lines of ink, {len(lines)} of text: no telling which belongs to which")
    return lines[number - 1]


# -- Ink and text together --
def _read_iam(root: Path, progress: bool = True) -> dict[str, np.ndarray]:
    """The whole corpus: offsets, and names, texts and faults as JSON."""
    forms, ink, problems = _read_parts(root, progress)
    if not ink:
        raise ValueError(f"load_iam: {root} holds no line of ink; get lineStrokes-all.tar.gz again")
    names, last, texts = sorted(ink), {}, {}
    for form, number in map(_line_number, names):
        last[form] = max(last.get(form, 0), number)
    for name in names:
        form = _line_number(name)[0]
        try:
            if name not in problems:
                texts[name] = _text_of(name, forms.get(form), last[form])
        except ValueError as err:
            problems[name] = str(err)
        xy = ink[name][:, :2]  # positions become offsets, in place
        xy[1:], xy[:1] = np.diff(xy, axis=0), 0
    words = [texts.get(name, "") for name in names]
    notes = {"names": names, "texts": words, "problems": problems}
    return {
        "offsets": np.concatenate([ink[name] for name in names]),
        "lengths": np.array([len(ink[name]) for name in names], np.int64),
        "notes": np.frombuffer(json.dumps(notes).encode(), dtype=np.uint8),
    }


# -- Once is enough --
def _cache_folder() -> Path:
    """SOFTATTN_CACHE, or the place where this system keeps caches."""
    if os.environ.get("SOFTATTN_CACHE"):
        return Path(os.environ["SOFTATTN_CACHE"])
    if sys.platform == "win32" and os.environ.get("LOCALAPPDATA"):
        return Path(os.environ["LOCALAPPDATA"]) / "softattn"
    if os.environ.get("XDG_CACHE_HOME") and sys.platform != "darwin":
        return Path(os.environ["XDG_CACHE_HOME"]) / "softattn"
    try:
        home = Path.home()
    except RuntimeError:  # no HOME, and nobody of this number is known here
        return Path(tempfile.gettempdir()) / f"softattn-{os.getuid()}"
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "softattn"
    return home / ".cache" / "softattn"


# -- Once is enough --
_IAM_VERSION = 2  # raise it when _read_iam reads differently


def _identity(root: Path) -> str:
    """A short name for exactly this corpus and this reader."""
    digest = hashlib.sha256(str(_IAM_VERSION).encode())
    for name in ("ascii", "lineStrokes"):
        packed = root / f"{name}-all.tar.gz"
        if packed.is_file():
            with packed.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
            continue
        # unpacked: 12,000 files, so sizes and times must do
        folder = _part_folder(root, name) or root / name
        for path in sorted(folder.rglob("*.*")):
            state = path.lstat()
            words = f"{path.relative_to(folder)} {state.st_size} "
            digest.update(f"{words}{state.st_mtime_ns}\n".encode(errors="replace"))
    return digest.hexdigest()[:16]


# -- Once is enough --
_DAMAGE = (
    OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error
)  # fmt: skip


def _load_cache(path: Path) -> dict[str, Any] | None:
    """What is in the cache; None if it is absent or fails its check."""
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:  # CRCs are checked
            keys = ("offsets", "lengths", "notes")
            data: dict[str, Any] = {key: file[key] for key in keys}
        if data["offsets"].shape != (int(data["lengths"].sum()), 3):
            raise ValueError("lengths and offsets disagree")
        notes = json.loads(data["notes"].tobytes())
        counts = {len(notes["names"]), len(notes["texts"])}
        if counts != {len(data["lengths"])}:
            raise ValueError("names and lengths disagree")
        return data | {"notes": notes}
    except _DAMAGE as err:
        why = f"the cache {path} is damaged ({err}); reading the corpus again"
        warnings.warn(f"load_iam: {why}", stacklevel=3)
        return None


# -- Once is enough --
def _save_cache(path: Path, data: dict[str, np.ndarray]) -> None:
    """An interrupted write never leaves a broken cache."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        np.savez(temporary, **data)  # pyright: ignore[reportArgumentType]


# -- Once is enough --
def _corpus(root: Path, progress: bool, cache: Path) -> dict[str, Any]:
    """The corpus from its cache, or read, and then kept there."""
    path = cache / f"iam-ondb-{_identity(root)}.npz"
    kept = _load_cache(path)
    if kept is not None:
        return kept
    data = _read_iam(root, progress)
    try:
        _save_cache(path, data)
    except OSError as err:
        warnings.warn(
            f"load_iam: cannot write the cache {path} ({err}); set SOFTATTN_CACHE",
            stacklevel=3,
        )
    return data | {"notes": json.loads(data["notes"].tobytes())}


# -- What was read, what was left out --
def _faults(offsets: np.ndarray, text: str) -> str:
    """Why `clean` leaves a line out, or "" for a line without fault."""
    step = np.hypot(offsets[1:, 0], offsets[1:, 1])
    down = step[offsets[:-1, 2] == 0]  # on paper; the others are jumps
    found = []
    if down.size and down.max() > 500:
        units = f"{down.max():.0f} units"
        found.append(f"a step of {units} with the pen down (over 500)")
    if step.size and step.max() > 1500:
        found.append(f"a step of {step.max():.0f} units (over 1,500)")
    if "#" in text:
        found.append("a word crossed out (#)")
    return "; ".join(found)


# -- What was read, what was left out --
@dataclass(frozen=True)
class IamReport:
    """What load_iam read and what it left out.

    Args:
        split: the name of the split.
        lines: how many lines were returned.
        forms: how many forms of the official list have ink here.
        absent: the forms of the list that are not here.
        dropped: name of each line left out -> the reason.
        faulty: name of each line that clean=True leaves out -> the reason,
            whether or not it was left out.
    """

    split: str
    lines: int
    forms: int
    absent: tuple[str, ...]
    dropped: dict[str, str]
    faulty: dict[str, str]

    def __str__(self) -> str:
        head = (
            f"IAM-OnDB {self.split}: {self.lines} lines of {self.forms} "
            f"forms; {len(self.absent)} forms absent, {len(self.dropped)} "
            f"lines dropped, {len(self.faulty)} faulty"
        )
        rest = sorted(self.dropped.items())
        return "\n".join([head, *(f"  dropped {n}: {why}" for n, why in rest)])


# -- What was read, what was left out --
def _places(root: Any, split: Any, cache: Any) -> tuple[Path, Path]:
    """The folders of the corpus and of its cache, once both may be."""
    _check_split("load_iam", split)
    if cache is not None and not isinstance(cache, str | os.PathLike):
        raise TypeError(f"load_iam: cache is {cache!r}, expected a folder")
    root = _iam_root(root)
    _forms(root, split)  # before the long read
    return root, Path(cache) if cache is not None else _cache_folder()


def _check_split(who: str, split: str) -> None:
    if not isinstance(split, str) or split not in IAM_SPLITS:
        known = ", ".join(IAM_SPLITS)
        raise ValueError(f"{who}: split {split!r} is unknown, expected one of {known}")


# -- What was read, what was left out --
def _forms(root: Path, split: str) -> list[str]:
    """The forms of the official list, in its order, each once."""
    name = IAM_SPLITS[split]
    for path in (root / name, root / "task1" / name):
        if path.is_file():
            data = read_file(path, _FILE_BYTES)
            wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
            text = data.decode("utf-16" if wide else "utf-8-sig", "replace")
            return list(dict.fromkeys(text.split()))
    raise _absent(f"{root} lacks {name}, the official list of {split}.")


# -- What was read, what was left out --
def load_iam(
    root: str | os.PathLike[str] | None = None,
    split: str = "train",
    clean: bool = False,
    progress: bool = True,
    cache: str | os.PathLike[str] | None = None,
) -> tuple[list[Strokes], IamReport]:
    """Read a split of IAM-OnDB: its files at first, then a cache.

    Args:
        root: the corpus' folder; None: SOFTATTN_DATA/iam-ondb.
        split: "train", "val1", "val2" or "test", as in Graves (2013).
        clean: leave out a step over 500 on paper, over 1,500, a "#".
        progress: show a bar at the first time.
        cache: a folder; None: SOFTATTN_CACHE, or the system's place.

    Returns:
        The lines, in the list's order; a report of all left out.

    Raises:
        FileNotFoundError: if it is not there; says where to register.
        ValueError: unknown split; a damaged or unsafe archive.
    Source: Liwicki and Bunke (2005), task 1.
    """
    root, folder = _places(root, split, cache)
    forms = _forms(root, split)
    return _select(_corpus(root, progress, folder), split, forms, clean)


# -- What was read, what was left out --
def _select(data: dict[str, Any], split: str, forms: list[str], clean: bool) -> tuple[list[Strokes], IamReport]:
    """The lines of these forms, and the report."""
    notes, rows = data["notes"], {}  # form -> its lines, in order
    pieces = np.split(data["offsets"], data["lengths"].cumsum()[:-1])
    for i, name in enumerate(notes["names"]):
        rows.setdefault(name.rpartition("-")[0], []).append(i)
    lines, dropped, faulty = [], {}, {}
    for i in (i for form in forms for i in rows.get(form, [])):
        name, text = notes["names"][i], notes["texts"][i]
        if name in notes["problems"]:
            dropped[name] = notes["problems"][name]
            continue
        if fault := _faults(pieces[i], text):
            faulty[name] = fault
        if fault and clean:
            dropped[name] = fault
            continue
        ink = torch.from_numpy(pieces[i])
        lines.append(Strokes(ink, text, f"iam-ondb/{name}"))
    absent = tuple(form for form in forms if form not in rows)
    here = len(forms) - len(absent)
    return lines, IamReport(split, len(lines), here, absent, dropped, faulty)


# -- Two sources, one function --
def _check_wishes(source: Any, split: Any, root: Any, clean: bool) -> None:
    """Raise ValueError where load_strokes cannot do what is asked."""
    _check_split("load_strokes", split)
    if source not in ("embedded", "iam"):
        raise ValueError(f'load_strokes: source {source!r} is unknown, expected "embedded" or "iam"')
    if source == "embedded" and (root is not None or clean):
        raise ValueError(
            'load_strokes: root and clean are for source="iam"; the embedded writers have no files and no faults'
        )


# -- Two sources, one function --
def load_strokes(
    source: str = "embedded",
    split: str = "train",
    lines: int | None = None,
    root: str | os.PathLike[str] | None = None,
    clean: bool = False,
) -> list[Strokes]:
    """Lines of pen strokes, from the embedded writers or from IAM-OnDB.

    Args:
        source: "embedded" (no files needed) or "iam".
        split: "train", "val1", "val2" or "test"; no writer is in two.
        lines: how many. None: 512 of the embedded writers, who never run
            dry, or all that the corpus has.
        root, clean: as in load_iam.

    Returns:
        The lines, the same at each call; the first 100 of 200 are those
        of 100.

    Raises:
        ValueError: unknown source or split; no line, or over a million.
        FileNotFoundError: the corpus is asked for and not there.
    """
    _check_wishes(source, split, root, clean)
    if lines is not None:
        lines = whole("load_strokes", "lines", lines, 1, 1_000_000)
    if source == "iam":
        return load_iam(root, split, clean)[0][:lines]
    return _embedded(split, 512 if lines is None else lines)


# -- Two sources, one function --
def _embedded(split: str, count: int) -> list[Strokes]:
    """Eight lines a writer, about as on a form of the corpus."""
    written = []
    for k in range(-(-count // 8)):
        rng = np.random.default_rng([list(IAM_SPLITS).index(split), k])
        writer, where = EmbeddedWriter(rng), f"embedded/{split}/{k}"
        for _ in range(min(8, count - 8 * k)):
            line = writer.write(embedded_text(rng))
            written.append(replace(line, source=where))
    return written

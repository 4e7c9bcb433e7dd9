"""Files and weights: written whole or not at all, archives read within bounds, models loaded by name or path.

Nothing here computes; it is one of the few modules that no chapter builds.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import os
import re
import reprlib
import secrets
import stat
import tarfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from importlib import import_module
from numbers import Integral, Real
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, cast, overload

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    Model = TypeVar("Model", bound=nn.Module)
    _Path = str | os.PathLike[str]

__all__ = ["atomic_write", "load", "results", "safe_members", "save_weights", "weights"]

WEIGHTS = Path(__file__).resolve().parent / "weights"
FORMAT = 1

# What a card says. save_weights fills in the first row; the second must be given; the rest is checked where it stands.
_FILLED = {"format": int, "sha256": str, "bytes": int, "dtype": str, "parameters": int}
_NEEDED = {
    "class": str,  # "softattn.prediction.PredictionNetwork"
    "config": dict,  # keyword arguments of the class
    "data": str,  # what it was trained on
    "licence": str,  # of the weights, one line
}
_OPTIONAL = {
    "non_commercial": bool,
    "summary": str,  # one line for `softattn weights`
    "command": str,  # trains these weights from nothing
    "commit": str,
    "steps": int,
    "minutes": (int, float),
    "machine": str,
    "seed": int,
    "metric": dict,  # {"name": ..., "value": ..., "split": ...}
    "paper": str,  # the paper's own figure, or why there is none
}
_CLASS = re.compile(r"softattn\.([a-z]\w*)\.([A-Z]\w*)")
_LARGEST = 65_536  # no size in a config is larger; a model of that size would be built before it could be compared
_CARD_BYTES = 4_000_000
_MEMBER_BYTES = 64_000_000  # what may be asked of an archive at once
_PART = re.compile(r"\.softattn-[0-9a-f]{16}\..*")
_DAY = 86_400.0
_told: set[str] = set()  # licences already named in this process


# -- Arguments: what came, what was expected ---------------------------------------------------------------------------


def whole(who: str, name: str, value: Any, least: int | None = None, most: int | None = 65_536) -> int:
    """Judge a whole number that a caller gave.

    Args:
        who: the function that was called, for the message.
        name: the argument.
        value: an int, or NumPy's; True and False are no numbers.
        least, most: bounds; None where there is none.

    Returns:
        The number as an int.

    Raises:
        TypeError: if it is no whole number.
        ValueError: if it is out of bounds.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{who}: {name} is {_shown(value)}, expected a whole number{_between(least, most)}")
    number = int(value)
    if (least is not None and number < least) or (most is not None and number > most):
        raise ValueError(f"{who}: {name} is {_shown(value)}, expected a whole number{_between(least, most)}")
    return number


def real(who: str, name: str, value: Any, least: float | None = None, most: float | None = None) -> float:
    """Judge a finite number that a caller gave.

    Args:
        who: the function that was called, for the message.
        name: the argument.
        value: an int or a float, or NumPy's; True and False are no numbers.
        least, most: bounds, both allowed themselves; None where there is none.

    Returns:
        The number as a float.

    Raises:
        TypeError: if it is no number.
        ValueError: if it is NaN, infinite or out of bounds.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{who}: {name} is {_shown(value)}, expected a number{_between(least, most)}")
    try:
        number = float(value)
    except OverflowError:  # an int of hundreds of digits
        number = math.inf
    if not math.isfinite(number) or (least is not None and number < least) or (most is not None and number > most):
        raise ValueError(f"{who}: {name} is {_shown(value)}, expected a finite number{_between(least, most)}")
    return number


def sizes(who: str, **values: Any) -> None:
    """Judge the sizes that a module is made with: whole numbers of at least 1.

    Args:
        who: the class, for the message.
        values: name -> size.

    Raises:
        TypeError, ValueError: as `whole`.
    """
    for name, value in values.items():
        whole(who, name, value, least=1)


def shaped(who: str, name: str, value: Any, *shape: int | str, dtype: torch.dtype | None = None) -> None:
    """Judge a tensor's type and shape; its numbers are not looked at.

    Args:
        who: the function that was called, for the message.
        name: the argument.
        value: what came.
        shape: for each dimension its size, or a letter where any size is right; one letter always stands for one
            size. "..." first: any dimensions may come before.
        dtype: the type; None: any floating point.

    Raises:
        TypeError: if it is no tensor, or of another type.
        ValueError: if it has another shape.
    """
    import torch

    lead = shape[:1] == ("...",)
    wanted = f"{'floating point' if dtype is None else dtype}, shape ({', '.join(map(str, shape))})"
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"{who}: {name} is {_shown(value)}, expected a tensor: {wanted}")
    if not (value.is_floating_point() if dtype is None else value.dtype == dtype):
        raise TypeError(f"{who}: {name} is {value.dtype}, expected {wanted}")
    sizes, expected = tuple(value.shape), shape[lead:]
    if len(sizes) == len(expected) or (lead and len(sizes) > len(expected)):
        letters: dict[str, int] = {}
        pairs = zip(sizes[len(sizes) - len(expected) :], expected, strict=True)
        if all(got == (letters.setdefault(want, got) if isinstance(want, str) else want) for got, want in pairs):
            return
    raise ValueError(f"{who}: {name} has shape {sizes}, expected {wanted}")


def instance(who: str, name: str, value: Any, *kinds: type, words: str = "") -> Any:
    """Judge what kind of thing a caller gave.

    Args:
        who: the function that was called, for the message.
        name: the argument.
        value: what came.
        kinds: the classes that it may be of.
        words: what was expected, where the classes' names do not say it.

    Returns:
        The value.

    Raises:
        TypeError: if it is of none of the classes.
    """
    if not isinstance(value, kinds):
        wanted = words or " or ".join(f"a {kind.__name__}" for kind in kinds)
        raise TypeError(f"{who}: {name} is {_shown(value)}, expected {wanted}")
    return value


def many(who: str, name: str, values: Any, words: str = "a list") -> list[Any]:
    """Judge several things that a caller gave at once.

    Args:
        who: the function that was called, for the message.
        name: the argument.
        values: anything that can be gone through but for a text, bytes and a dict.
        words: what was expected.

    Returns:
        They as a list.

    Raises:
        TypeError: if they are none.
    """
    single = isinstance(values, str | bytes | Mapping) or getattr(values, "ndim", 1) == 0
    if single or not isinstance(values, Iterable):
        raise TypeError(f"{who}: {name} is {_shown(values)}, expected {words}")
    return list(values)


def path_of(who: str, path: Any) -> Path:
    """Judge a path that a caller gave.

    Args:
        who: the function that was called, for the message.
        path: a str or what stands for a path; bytes are none.

    Returns:
        The path.

    Raises:
        TypeError: if it is none.
        ValueError: if it holds the character that no path may hold.
    """
    if not isinstance(path, str | os.PathLike) or isinstance(os.fspath(path), bytes):
        raise TypeError(f"{who}: the path is {_shown(path)}, expected a str or a pathlib.Path")
    if "\0" in os.fspath(path):
        raise ValueError(f"{who}: the path {os.fspath(path)!r} holds a null character; name a file without it")
    return Path(path)


def _between(least: float | None, most: float | None) -> str:
    """Bounds in words: " from 1 to 9", " of at least 1", nothing."""
    if least is not None and most is not None:
        return f" from {least:,} to {most:,}"
    return f" of at least {least:,}" if least is not None else f" of at most {most:,}" if most is not None else ""


def _shown(value: Any) -> str:
    """A value as a message can hold it: short, of one line, with its type where that is the news."""
    kind = type(value).__name__
    if isinstance(value, bool | int | float) or value is None:
        text = repr(value) if not isinstance(value, int) or abs(value) < 10**30 else f"a number of {kind} beyond 10^30"
        return text
    shape = getattr(value, "shape", None)
    if shape is not None:
        return f"a {kind} of shape {tuple(shape)}"
    return f"{reprlib.repr(value)} ({kind})"


# -- Files -------------------------------------------------------------------------------------------------------------


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Write a file under a temporary name and rename it when all is well.

    A reader of `path` sees the old file or the whole new one. When the block raises, `path` is as it was and the
    temporary file is gone. A link stays a link: the file that it leads to is replaced. The mode of a file that is
    replaced is kept. Temporary files that a killed process left in the folder are removed once they are a day old.

    Args:
        path: the file to write. Its folder must exist.

    Yields:
        The temporary path, in the same folder and with the same ending; write there.

    Raises:
        FileNotFoundError: if the folder does not exist, or if nothing was written at the temporary path.
        IsADirectoryError: if the path is a folder.
        OSError: of the same kind as the one that writing met (disk full, no permission), with the path in its words.
    """
    path = writable_target(path_of("atomic_write", path))
    _sweep(path.parent)
    temporary = path.with_name(f".softattn-{secrets.token_hex(8)}.{path.suffix.lstrip('.') or 'part'}")
    try:
        try:
            yield temporary
        except OSError as err:
            if err.filename is None or os.fspath(err.filename) == os.fspath(temporary):
                raise type(err)(err.errno, f"{path} was not written: {err.strerror or err}") from err
            raise
        if not temporary.exists():
            raise FileNotFoundError(f"nothing was written for {path.name}: write to the path that atomic_write yields")
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        if path.exists():
            os.chmod(temporary, stat.S_IMODE(path.stat().st_mode))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def writable_target(path: Path) -> Path:
    """Find where a file of this path is to be written: at the end of its links.

    Args:
        path: the file to be.

    Returns:
        The path itself, or what it links to.

    Raises:
        OSError: if it is a folder, or its folder does not exist or takes no files.
    """
    target = path.resolve() if path.is_symlink() else path
    if target.is_dir():
        raise IsADirectoryError(f"cannot write {path}: it is a folder; name a file in it")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path.name}: the folder {target.parent} does not exist; make it first")
    probe = target.with_name(f".softattn-{secrets.token_hex(8)}.part")
    try:  # os.access says yes to root everywhere
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as err:
        words = f"cannot write {path}: the folder {target.parent} takes no files from this user"
        raise type(err)(err.errno, f"{words} ({err.strerror})") from err
    return target


def _sweep(folder: Path) -> None:
    """Remove temporary files of processes that were killed; a day old, so that no writer loses its own."""
    with suppress(OSError):
        for entry in os.scandir(folder):
            if _PART.fullmatch(entry.name) and time.time() - entry.stat(follow_symlinks=False).st_mtime > _DAY:
                os.unlink(entry.path)


def read_file(path: Path, limit: int | None = None) -> bytes:
    """Read a regular file: a pipe would wait for ever, a device has no end.

    Args:
        path: the file.
        limit: bytes that it may hold; None: any number.

    Returns:
        Its bytes.

    Raises:
        ValueError: if it is anything else, or larger than `limit` bytes.
    """
    state = path.stat()
    if not stat.S_ISREG(state.st_mode):
        raise ValueError(f"{path} is not a file but a folder, a device or a pipe; name a file")
    if limit is not None and state.st_size > limit:
        raise ValueError(f"{path} holds {state.st_size:,} bytes, expected at most {limit:,}")
    return path.read_bytes()


@contextmanager
def _locked(folder: Path, shared: bool) -> Iterator[None]:
    """Let one writer, or any number of readers, at the pairs of weights and card in a folder."""
    try:
        import fcntl

        handle = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):  # Windows, or a folder that cannot be opened: as good as it gets
        yield
        return
    try:
        with suppress(OSError):  # some network drives know no locks
            fcntl.flock(handle, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def sha256(path: str | os.PathLike[str]) -> str:
    """The SHA-256 digest of a file.

    Args:
        path: the file.

    Returns:
        64 hexadecimal digits.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_tar_gz(file: BinaryIO) -> tarfile.TarFile:
    """Open a .tar.gz of strangers: not even its first header may ask for more memory than any file in it needs.

    Args:
        file: the packed file, open for reading.

    Returns:
        The archive, for `safe_members`.

    Raises:
        ValueError: as `safe_members`, at the first header.
        OSError, EOFError, zlib.error, tarfile.TarError: if it is damaged or no archive.
    """
    unpacked: Any = _Bounded(gzip.GzipFile(fileobj=file))
    return tarfile.open(fileobj=unpacked, mode="r:")


def safe_members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Go through the files and folders of a tar archive, refusing whatever could reach beyond the archive.

    Args:
        archive: an open tar archive.

    Yields:
        The members, in the archive's order: regular files and folders with paths inside the archive.

    Raises:
        ValueError: at a link, a device or a pipe, at a path that is absolute or climbs out with `..`, and at a header
            that asks for more memory than any file in an archive of ours needs.
    """
    source = instance("safe_members", "archive", archive, tarfile.TarFile, words="an open tarfile.TarFile").fileobj
    if source is not None and not isinstance(source, _Bounded):
        archive.fileobj = _Bounded(source)  # pyright: ignore[reportAttributeAccessIssue]  # a file in all that is asked
    for member in archive:
        name = member.name
        parts = PurePosixPath(name.replace("\\", "/")).parts
        windows = PureWindowsPath(name)
        if not name or "\0" in name or windows.drive or windows.root or ".." in parts:
            raise ValueError(f"archive refused: the path {name!r} leads outside it")
        if member.issym() or member.islnk():
            raise ValueError(
                f"archive refused: {name!r} is a link to {member.linkname!r}; only files and folders are read"
            )
        if not (member.isfile() or member.isdir()):
            raise ValueError(f"archive refused: {name!r} is a device or a pipe; only files and folders are read")
        yield member


class _Bounded:
    """A file that gives no more than _MEMBER_BYTES at once: a header may say that its name is 3 GB long."""

    def __init__(self, file: Any):
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if size > _MEMBER_BYTES:
            raise ValueError(f"archive refused: it asks for {size:,} bytes at once, expected at most {_MEMBER_BYTES:,}")
        return self._file.read(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


# -- Weights -----------------------------------------------------------------------------------------------------------


def save_weights(
    path: str | os.PathLike[str],
    state_dict: Mapping[str, Tensor],
    card: Mapping[str, Any],
    dtype: torch.dtype | None = None,
) -> dict[str, Any]:
    """Write weights (safetensors) and the card beside them (JSON).

    Args:
        path: NAME.safetensors; the card goes to NAME.json beside it. The folder must exist.
        state_dict: the model's tensors by name.
        card: four fields are needed: class ("softattn.prediction.PredictionNetwork", or your own), config (its keyword
            arguments), data (what it was trained on) and licence. Well known are non_commercial (False if it is not
            there), summary, command, commit, steps, minutes, machine, seed, metric {name, value, split} and paper.
            Further fields are kept. format, sha256, bytes, dtype and parameters are filled in here.
        dtype: floating-point tensors are stored in this type (torch.bfloat16 halves the file); None keeps theirs.

    Returns:
        The card as written.

    Raises:
        ValueError: if the name, a tensor or a field of the card is not as it must be; nothing is written then.
        TypeError: if a tensor is none, or the card holds what JSON cannot.
        OSError: if the folder does not exist or takes no files.
    """
    from safetensors.torch import save

    path = writable_target(path_of("save_weights", path))
    if path.suffix != ".safetensors":
        raise ValueError(f"save_weights: weights go to NAME.safetensors, got {path.name!r}")
    name = path.stem
    tensors = _storable(name, state_dict, dtype)
    data = save(tensors)
    floats = sorted({str(t.dtype).removeprefix("torch.") for t in tensors.values() if t.is_floating_point()})
    if not isinstance(card, Mapping):
        raise TypeError(f"save_weights: the card is {type(card).__name__}, expected a dict with class, config, ...")
    written = {
        "format": FORMAT,
        "non_commercial": False,
        **{key: value for key, value in card.items() if key not in _FILLED},
        "dtype": "+".join(floats),
        "parameters": sum(t.numel() for t in tensors.values()),
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    _judge(name, written)
    try:
        text = json.dumps(written, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    except (TypeError, ValueError) as err:
        raise type(err)(f"save_weights: the card of {name!r} holds what JSON cannot: {err}") from err
    with _locked(path.parent, shared=False), ExitStack() as stack:  # unwinds from the last: the card is renamed last
        stack.enter_context(atomic_write(path.with_suffix(".json"))).write_text(text, encoding="utf-8", newline="\n")
        stack.enter_context(atomic_write(path)).write_bytes(data)
    return written


def _storable(name: str, state_dict: Mapping[str, Tensor], dtype: torch.dtype | None) -> dict[str, Tensor]:
    """The tensors as they are stored: on the CPU, in `dtype`, each with memory of its own."""
    import torch

    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise TypeError(
            f"save_weights: dtype is {_shown(dtype)}, expected a floating-point type such as torch.bfloat16"
        )
    if not isinstance(state_dict, Mapping) or not state_dict:
        raise ValueError(f"weights {name!r}: the state dict is empty or none; pass model.state_dict()")
    tensors: dict[str, Tensor] = {}
    for key, tensor in state_dict.items():
        if not isinstance(tensor, torch.Tensor):
            raise TypeError(f"weights {name!r}: {key!r} is {type(tensor).__name__}, expected a tensor")
        if not tensor.isfinite().all():
            raise ValueError(f"weights {name!r}: {key!r} holds NaN or infinity; these weights are not worth keeping")
        kept = tensor.to(dtype) if dtype is not None and tensor.is_floating_point() else tensor
        if not kept.isfinite().all():
            raise ValueError(f"weights {name!r}: {key!r} is too large for {dtype}; store it in a wider type")
        tensors[key] = kept.detach().cpu().contiguous().clone()
    return tensors


def weights(folder: str | os.PathLike[str] | None = None) -> dict[str, dict[str, Any]]:
    """The weights that come with the package, or those of a folder.

    Args:
        folder: where to look; the package's own folder when None.

    Returns:
        name -> card, in the order of the names.

    Raises:
        ValueError: if a card is not one.
    """
    folder = WEIGHTS if folder is None else path_of("weights", folder)
    return {path.stem: _card(path) for path in sorted(folder.glob("*.json"))}


def _result_folders() -> list[Path]:
    """Where results lie: as installed; beside the package in its repository."""
    here = Path(__file__).resolve().parent
    return [here / "results", here.parent / "bench" / "results"]


def results_elsewhere(name: str) -> list[str]:
    """The names, for `results`, of what a benchmark measured on other kinds of processors.

    Args:
        name: the benchmark.

    Returns:
        Names such as "lstm@intel", sorted.
    """
    instance("results_elsewhere", "name", name, str, words="the name of a benchmark")
    found = {path.stem for folder in _result_folders() for path in folder.glob("*@*.json")}
    return sorted(other for other in found if other.partition("@")[0] == name)


def results(name: str) -> dict[str, Any]:
    """What a benchmark measured, as `python -m bench.NAME --write` stored it.

    Args:
        name: the benchmark; NAME@KIND what it measured on another kind of processor, "lstm@intel".

    Returns:
        Its figures, and the command, processor, threads, rounds, date and commit that they belong to.

    Raises:
        ValueError: if there is no such result.
    """
    instance("results", "name", name, str, words="the name of a benchmark")
    for folder in _result_folders():
        path = folder / f"{name}.json"
        if re.fullmatch(r"[\w-]+(@[\w-]+)?", name) and path.is_file():
            return json.loads(path.read_text("utf-8"))
    known = sorted({path.stem for folder in _result_folders() for path in folder.glob("*.json")})
    raise ValueError(f"results: no benchmark {name!r} has stored a result; there are: {', '.join(known) or 'none yet'}")


@overload
def load(name_or_path: _Path, device: str | torch.device | None = None) -> nn.Module: ...
@overload
def load(name_or_path: _Path, device: str | torch.device | None = None, *, cls: type[Model]) -> Model: ...
def load(
    name_or_path: _Path,
    device: str | torch.device | None = None,
    *,
    cls: type[nn.Module] | None = None,
) -> nn.Module:
    """Load a pretrained model by its name, or weights of your own by their path.

    The file is checked against its card before a byte of it is used, the class is one that a chapter exports, and no
    code and no path comes from the card. Nothing is allocated before the shapes in the file fit the model's. Where the
    weights are for non-commercial use, the terms are printed, once in a process.

    Args:
        name_or_path: the name of weights that come with the package (`softattn.hub.weights()` lists them), or the path
            of a file NAME.safetensors with its card NAME.json beside it.
        device: where the model goes; the CPU when None.
        cls: the class to build, where it is one of your own; its `config` still comes from the card.

    Returns:
        The model in eval mode, in float32 if it was stored in half precision, its card as the attribute `card`.

    Raises:
        ValueError: if there are no such weights, or if the file, the card or the class is not what it must be.
        TypeError: if `cls` is no network, or the device none.
    """
    import torch

    path, place = _weights_path(name_or_path), _place(device)
    name = path.stem
    with _locked(path.parent, shared=True):
        card = _card(path.with_suffix(".json"))
        made_by = _class(name, card["class"]) if cls is None else _own(name, cls)
        data = _checked(name, path, card)
    tensors = _tensors(name, path, data)
    _fits(name, made_by, card, tensors)
    with torch.random.fork_rng(devices=[]):  # the starting weights are thrown away; leave the generator as it was
        model = made_by(**card["config"])
    model.load_state_dict(tensors)  # copies: half precision becomes the model's own float32
    if card["non_commercial"] and card["licence"] not in _told:
        _told.add(card["licence"])
        print(f"The weights {name!r} are for non-commercial use: {card['licence']}. Terms: softattn/weights/LICENSE.")
    merged: Any = getattr(model, "merged", None)
    if callable(merged):  # what was added to weights that ship: the sum
        model = cast("nn.Module", merged())
    model = model.to(place).eval()
    model.card = card  # pyright: ignore[reportArgumentType]  # no tensor: what its weights are
    return model


def _place(device: Any) -> torch.device:
    """A device on which something can be made."""
    import torch

    where = "cpu" if device is None else instance("load", "device", device, str, torch.device, words="a device")
    try:
        place = torch.device(where)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError, NotImplementedError) as err:
        why = (str(err).splitlines() or [""])[0]
        raise ValueError(f"load: device is {device!r}, which cannot be used here: {why}") from err
    return place


def _weights_path(name_or_path: _Path) -> Path:
    """The file of weights named in a call."""
    if not isinstance(name_or_path, str | os.PathLike):
        raise TypeError(f"load: {name_or_path!r} is {type(name_or_path).__name__}, expected a name or a path")
    given = os.fspath(name_or_path)
    known = sorted(path.stem for path in WEIGHTS.glob("*.json"))
    if given in known:
        return WEIGHTS / f"{given}.safetensors"
    if not isinstance(given, str) or not given.endswith(".safetensors"):
        hint = "" if isinstance(name_or_path, str) and os.sep not in given else "; a path ends in .safetensors"
        raise ValueError(f"there are no weights {given!r}; there are: {', '.join(known) or 'none yet'}{hint}")
    return path_of("load", given)


def _checked(name: str, path: Path, card: Mapping[str, Any]) -> bytes:
    """Read weights that are exactly what their card says."""
    again = "install the package again" if path.parent == WEIGHTS else "save it again"
    if not path.exists():
        raise ValueError(f"weights {name!r}: the card is here, {path.name} is not; {again}")
    data = read_file(path, max(card["bytes"], path.stat().st_size if path.is_file() else 0))
    if len(data) != card["bytes"]:
        raise ValueError(
            f"weights {name!r}: {path.name} holds {len(data)} bytes, its card says {card['bytes']}; "
            f"the file is cut short or replaced: {again}"
        )
    digest = hashlib.sha256(data).hexdigest()
    if digest != card["sha256"]:
        raise ValueError(
            f"weights {name!r}: {path.name} has SHA-256 {digest[:12]}..., its card says {card['sha256'][:12]}...; "
            f"the file is damaged or replaced: {again}"
        )
    return data


def _tensors(name: str, path: Path, data: bytes) -> dict[str, Tensor]:
    """The tensors of a file, all of them finite."""
    from safetensors import SafetensorError
    from safetensors.torch import load as read

    try:
        tensors = read(data)
    except (SafetensorError, KeyError) as err:  # KeyError: a type that torch does not have
        raise ValueError(f"weights {name!r}: {path.name} is not a safetensors file: {err}") from err
    for key, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise ValueError(f"weights {name!r}: {key!r} holds NaN or infinity; train or save them again")
    return tensors


def _fits(name: str, made_by: type[nn.Module], card: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Raise ValueError unless the model that the card describes has these tensors; it is built without memory."""
    import torch

    _bounded(name, card["config"])
    try:
        with torch.device("meta"), torch.random.fork_rng(devices=[]):
            expected = made_by(**card["config"]).state_dict()
    except (TypeError, ValueError) as err:
        raise ValueError(f"weights {name!r}: {card['class']} refuses the config of the card: {err}") from err
    faults = [f"{key} is missing" for key in expected if key not in tensors]
    faults += [f"{key} is not in the model" for key in tensors if key not in expected]
    faults += [
        f"{key} has shape {tuple(tensors[key].shape)}, the model's has {tuple(value.shape)}"
        for key, value in expected.items()
        if key in tensors and tensors[key].shape != value.shape
    ]
    if faults:
        more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise ValueError(f"weights {name!r} do not fit {card['class']}: {'; '.join(faults[:3])}{more}")


def _bounded(name: str, value: Any) -> None:
    """Raise ValueError at a number in a config that no model of this size has."""
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _bounded(name, part)
    if isinstance(value, int | float) and not -_LARGEST <= value <= _LARGEST:
        raise ValueError(f"weights {name!r}: the card's config says {value}; no size is above {_LARGEST:,}")


# -- Cards -------------------------------------------------------------------------------------------------------------


def _card(path: Path) -> dict[str, Any]:
    """Read a card and judge it."""
    name = path.stem
    if not path.exists():
        found = "is here" if path.with_suffix(".safetensors").exists() else "is not here either"
        raise ValueError(
            f"weights {name!r}: the card {path.name} is not beside them ({name}.safetensors {found}); "
            "softattn.hub.save_weights writes both"
        )
    try:
        card = json.loads(read_file(path, _CARD_BYTES).decode("utf-8"))
    except (ValueError, RecursionError) as err:  # no JSON, no UTF-8, a number of thousands of digits, too deep
        raise ValueError(f"weights {name!r}: the card {path.name} is not JSON: {err}") from err
    if not isinstance(card, dict):
        raise ValueError(f"weights {name!r}: the card {path.name} must be an object, it is {type(card).__name__}")
    if card.get("format", FORMAT) != FORMAT:
        raise ValueError(
            f"weights {name!r}: the card has format {card['format']!r}, this package reads {FORMAT}; update the package"
        )
    card.setdefault("non_commercial", False)
    _judge(name, card)
    return card


def _judge(name: str, card: Mapping[str, Any]) -> None:
    """Raise ValueError unless the card has every field that it needs, and each field is of its kind."""
    missing = [field for field in (*_FILLED, *_NEEDED) if field not in card]
    if missing:
        raise ValueError(f"weights {name!r}: the card has no {', '.join(missing)}")
    for field, kind in {**_FILLED, **_NEEDED, **_OPTIONAL}.items():
        if field not in card:
            continue
        value = card[field]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            wanted = "a number" if isinstance(kind, tuple) else f"of type {kind.__name__}"
            raise ValueError(f"weights {name!r}: the card's {field} must be {wanted}, it is {value!r}")
        if isinstance(value, str) and not value.isprintable():
            raise ValueError(f"weights {name!r}: the card's {field} holds control characters: {value!r}")
    if not re.fullmatch(r"[0-9a-f]{64}", card["sha256"]):
        raise ValueError(f"weights {name!r}: the card's sha256 must be 64 hexadecimal digits, it is {card['sha256']!r}")
    if not all(part.isidentifier() for part in card["class"].split(".")):
        raise ValueError(f"weights {name!r}: the card's class must be module.Class, it is {card['class']!r}")
    if "metric" in card:
        _judge_metric(name, card["metric"])


def _judge_metric(name: str, metric: Mapping[str, Any]) -> None:
    """Raise ValueError unless a metric has a name, a finite value and a split."""
    if not {"name", "value", "split"} <= metric.keys():
        raise ValueError(f"weights {name!r}: the card's metric needs name, value and split, it has {sorted(metric)}")
    value = metric["value"]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"weights {name!r}: the card's metric must be a finite number, it is {value!r}")


def _class(name: str, wanted: str) -> type[nn.Module]:
    """The class that a card names: a module of softattn must export it, and it must be a network."""
    match = _CLASS.fullmatch(wanted)
    if match is None:
        raise ValueError(
            f"weights {name!r}: the card's class must be softattn.MODULE.Class, it is {wanted!r}; "
            "a class of your own is passed: load(path, cls=YourClass)"
        )
    module, attribute = match.groups()
    if not (Path(__file__).resolve().parent / f"{module}.py").exists():
        raise ValueError(f"weights {name!r}: the card's class is {wanted}, but softattn has no module {module!r}")
    exported = import_module(f"softattn.{module}")
    if attribute not in getattr(exported, "__all__", ()):
        raise ValueError(
            f"weights {name!r}: the card's class is {wanted}, but softattn.{module} does not export {attribute!r}"
        )
    found = getattr(exported, attribute)
    from torch import nn

    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise ValueError(f"weights {name!r}: the card's class {wanted} is not a network (nn.Module)")
    return found


def _own(name: str, cls: Any) -> type[nn.Module]:
    """A class that the caller brought."""
    from torch import nn

    if not (isinstance(cls, type) and issubclass(cls, nn.Module)):
        raise TypeError(f"weights {name!r}: cls is {cls!r}, expected a class of networks (nn.Module)")
    return cls

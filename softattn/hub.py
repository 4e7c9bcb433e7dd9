"""Files: written whole or not at all, archives unpacked only where they may be, weights with their cards.

Nothing here computes; it is one of the three modules that no chapter builds.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import secrets
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

WEIGHTS = Path(__file__).resolve().parent / "weights"
FORMAT = 1

# What a card says, and what kind of thing says it. save_weights fills in the first row.
_FILLED = {"format": int, "sha256": str, "bytes": int, "dtype": str, "parameters": int}
_FIELDS = {
    "class": str,  # "softattn.prediction.PredictionNetwork"
    "config": dict,  # keyword arguments of the class
    "summary": str,  # one line for `softattn weights`
    "data": str,  # what it was trained on
    "licence": str,  # of the weights, one line
    "non_commercial": bool,
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
_told: set[str] = set()  # licences already named in this process


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Write a file under a temporary name and rename it when all is well.

    A reader of `path` sees the old file or the whole new one. When the block raises, `path` is as it was and the
    temporary file is gone.

    Args:
        path: the file to write. Its folder must exist.

    Yields:
        The temporary path, in the same folder and with the same ending; write there.

    Raises:
        FileNotFoundError: if the folder does not exist, or if nothing was written at the temporary path.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path.name}: the folder {path.parent} does not exist; make it first")
    temporary = path.with_name(f".{secrets.token_hex(4)}.{path.name}")
    try:
        yield temporary
        if not temporary.exists():
            raise FileNotFoundError(f"nothing was written for {path.name}: write to the path that atomic_write yields")
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def sha256(path: str | os.PathLike[str]) -> str:
    """The SHA-256 digest of a file.

    Args:
        path: the file.

    Returns:
        64 hexadecimal digits.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def safe_members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Go through the files and folders of a tar archive, refusing whatever could reach beyond the archive.

    Args:
        archive: an open tar archive.

    Yields:
        The members, in the archive's order: regular files and folders with paths inside the archive.

    Raises:
        ValueError: at a link, a device or a pipe, and at a path that is absolute or climbs out with `..`.
    """
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


def save_weights(
    path: str | os.PathLike[str],
    state_dict: Mapping[str, Tensor],
    card: Mapping[str, Any],
    dtype: torch.dtype | None = None,
) -> dict[str, Any]:
    """Write weights (safetensors) and, last, the card beside them (JSON).

    Args:
        path: NAME.safetensors; the card goes to NAME.json beside it. The folder must exist.
        state_dict: the model's tensors by name.
        card: what `load` and a reader must know: class ("softattn.prediction.PredictionNetwork"), config (its keyword
            arguments), summary, data, licence, non_commercial, command, commit, steps, minutes, machine, seed,
            metric {name, value, split}, paper. Further fields are kept. format, sha256, bytes, dtype and parameters
            are filled in here.
        dtype: floating-point tensors are stored in this type (torch.bfloat16 halves the file); None keeps theirs.

    Returns:
        The card as written.

    Raises:
        ValueError: if the name, a tensor or a field of the card is not as it must be; nothing is written then.
    """
    from safetensors.torch import save

    path = Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(f"weights go to NAME.safetensors, got {path.name!r}")
    name = path.stem
    if not state_dict:
        raise ValueError(f"weights {name!r}: the state dict is empty")
    tensors: dict[str, Tensor] = {}
    for key, tensor in state_dict.items():
        if not tensor.isfinite().all():
            raise ValueError(f"weights {name!r}: {key!r} holds NaN or infinity; these weights are not worth keeping")
        kept = tensor.to(dtype) if dtype is not None and tensor.is_floating_point() else tensor
        if not kept.isfinite().all():
            raise ValueError(f"weights {name!r}: {key!r} is too large for {dtype}; store it in a wider type")
        tensors[key] = kept.detach().cpu().contiguous().clone()
    data = save(tensors)
    floats = sorted({str(t.dtype).removeprefix("torch.") for t in tensors.values() if t.is_floating_point()})
    written = {
        "format": FORMAT,
        **{key: value for key, value in card.items() if key not in _FILLED},
        "dtype": "+".join(floats),
        "parameters": sum(t.numel() for t in tensors.values()),
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    _judge(name, written)
    text = json.dumps(written, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with ExitStack() as stack:  # unwinds from the last: the weights are renamed first, the card last
        stack.enter_context(atomic_write(path.with_suffix(".json"))).write_text(text, encoding="utf-8", newline="\n")
        stack.enter_context(atomic_write(path)).write_bytes(data)
    return written


def weights(folder: str | os.PathLike[str] | None = None) -> dict[str, dict[str, Any]]:
    """The weights that come with the package.

    Args:
        folder: where to look; the package's own folder when None.

    Returns:
        name -> card, in the order of the names.

    Raises:
        ValueError: if a card is not one.
    """
    folder = WEIGHTS if folder is None else Path(folder)
    return {path.stem: _card(path) for path in sorted(folder.glob("*.json"))}


def load(
    name: str, device: str | torch.device | None = None, *, folder: str | os.PathLike[str] | None = None
) -> nn.Module:
    """Load a pretrained model by name.

    The file is checked against its card before a byte of it is used, the class is one that a chapter exports, and no
    code and no path comes from the card. Where the weights are for non-commercial use, the terms are printed, once in
    a process.

    Args:
        name: one of `softattn.hub.weights()`; the command `softattn weights` lists them.
        device: where the model goes; the CPU when None.
        folder: where to look for weights of your own; the package's folder when None.

    Returns:
        The model in eval mode, in float32 if it was stored in half precision, its card as the attribute `card`.

    Raises:
        ValueError: if there are no such weights, or if the file, the card or the class is not what it must be.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load as read

    folder = WEIGHTS if folder is None else Path(folder)
    known = sorted(path.stem for path in folder.glob("*.json"))
    if name not in known:
        raise ValueError(f"there are no weights {name!r}; there are: {', '.join(known) or 'none yet'}")
    card = _card(folder / f"{name}.json")
    made_by = _class(name, card["class"])
    file = folder / f"{name}.safetensors"
    if not file.exists():
        raise ValueError(f"weights {name!r}: the card is here, {file.name} is not; install the package again")
    data = file.read_bytes()
    if len(data) != card["bytes"]:
        raise ValueError(
            f"weights {name!r}: {file.name} holds {len(data)} bytes, its card says {card['bytes']}; "
            "the file is cut short or replaced: install the package again"
        )
    digest = hashlib.sha256(data).hexdigest()
    if digest != card["sha256"]:
        raise ValueError(
            f"weights {name!r}: {file.name} has SHA-256 {digest[:12]}..., its card says {card['sha256'][:12]}...; "
            "the file is damaged or replaced: install the package again"
        )
    try:
        tensors = read(data)
    except SafetensorError as err:
        raise ValueError(f"weights {name!r}: {file.name} is not a safetensors file: {err}") from err
    with torch.random.fork_rng(devices=[]):  # the starting weights are thrown away; leave the generator as it was
        try:
            model = made_by(**card["config"])
        except (TypeError, ValueError) as err:
            raise ValueError(f"weights {name!r}: {card['class']} refuses the config of the card: {err}") from err
    expected = model.state_dict()
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
    model.load_state_dict(tensors)  # copies: half precision becomes the model's own float32
    if card["non_commercial"] and card["licence"] not in _told:
        _told.add(card["licence"])
        print(f"The weights {name!r} are for non-commercial use: {card['licence']}. Terms: softattn/weights/LICENSE.")
    model = model.to(device or "cpu").eval()
    model.card = card
    return model


def _card(path: Path) -> dict[str, Any]:
    """Read a card and judge it."""
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as err:
        raise ValueError(f"weights {path.stem!r}: the card {path.name} is not JSON: {err}") from err
    if not isinstance(card, dict):
        raise ValueError(f"weights {path.stem!r}: the card {path.name} must be an object, it is {type(card).__name__}")
    if card.get("format", FORMAT) != FORMAT:
        raise ValueError(
            f"weights {path.stem!r}: the card has format {card['format']!r}, this package reads {FORMAT}; "
            "update the package"
        )
    _judge(path.stem, card)
    return card


def _judge(name: str, card: Mapping[str, Any]) -> None:
    """Raise ValueError unless the card has every field, each of its kind."""
    fields = {**_FILLED, **_FIELDS}
    missing = [field for field in fields if field not in card]
    if missing:
        raise ValueError(f"weights {name!r}: the card has no {', '.join(missing)}")
    for field, kind in fields.items():
        value = card[field]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            wanted = "a number" if isinstance(kind, tuple) else f"of type {kind.__name__}"
            raise ValueError(f"weights {name!r}: the card's {field} must be {wanted}, it is {value!r}")
    if not re.fullmatch(r"[0-9a-f]{64}", card["sha256"]):
        raise ValueError(f"weights {name!r}: the card's sha256 must be 64 hexadecimal digits, it is {card['sha256']!r}")
    if not _CLASS.fullmatch(card["class"]):
        raise ValueError(f"weights {name!r}: the card's class must be softattn.MODULE.Class, it is {card['class']!r}")
    metric = card["metric"]
    if not {"name", "value", "split"} <= metric.keys():
        raise ValueError(f"weights {name!r}: the card's metric needs name, value and split, it has {sorted(metric)}")
    if (
        isinstance(metric["value"], bool)
        or not isinstance(metric["value"], int | float)
        or not math.isfinite(metric["value"])
    ):
        raise ValueError(f"weights {name!r}: the card's metric must be a finite number, it is {metric['value']!r}")


def _class(name: str, wanted: str) -> type[nn.Module]:
    """The class that a card names: a module of softattn must export it, and it must be a network."""
    module, attribute = _CLASS.fullmatch(wanted).groups()
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

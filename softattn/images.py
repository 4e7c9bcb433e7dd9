# Generated from book/images.md by tools/export.py. Edit the chapter, not this file.
"""Images.

Small pictures as data, from a pen that draws digits by itself, from MNIST, and from house numbers.

The chapter book/images.md builds this module and explains each line.
"""

import gzip
import hashlib
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from softattn.hub import atomic_write
from softattn.iam import _cache_folder
from softattn.pen import EmbeddedWriter

__all__ = [
    "Images",
    "MNIST_MIRRORS",
    "SPLITS",
    "binarise",
    "embedded_digits",
    "fetch_checked",
    "load_binarised",
    "load_digits",
    "load_mnist",
    "load_svhn",
    "rasterise",
    "read_amat",
    "read_idx",
]


# -- From a pen to pixels --
def _ink(a: np.ndarray, b: np.ndarray, thickness: float, size: int) -> np.ndarray:
    """Ink of straight pieces a to b, both (S, 2) in pixels, on a square of size x size pixels."""
    y, x = np.mgrid[:size, :size].astype(np.float32)
    ab = (b - a).astype(np.float32)
    px, py = (c.ravel() - a[:, i : i + 1].astype(np.float32) for i, c in enumerate((x, y)))  # (S, size * size)
    length = np.maximum((ab**2).sum(1, keepdims=True), 1e-12)
    s = np.clip((px * ab[:, :1] + py * ab[:, 1:]) / length, 0, 1)
    d = np.sqrt(((px - s * ab[:, :1]) ** 2 + (py - s * ab[:, 1:]) ** 2).min(0))  # nearest piece
    return np.clip(thickness / 2 - d + 0.5, 0, 1).reshape(size, size)


def rasterise(
    polylines: Sequence[np.ndarray], thickness: float = 2.5, size: int = 28, box: float | None = None
) -> np.ndarray:
    """Turn the path of a pen into a small grey picture with the look of MNIST.

    Args:
        polylines: one array of positions (points, 2) for each time that the pen is on the paper, x right, y down,
            in any unit: what Strokes.polylines gives.
        thickness: of the pen, in pixels.
        size: rows and columns of the picture.
        box: the ink is fitted into box x box pixels; None: 20 of 28, in proportion.

    Returns:
        Ink from 0 to 1, shape (size, size), float32, centred by mass.

    Raises:
        ValueError: if there is no point, a number is not finite, or the pen does not fit into the box.

    Source: LeCun et al. (1998), section III.A, for the box and the centre of mass.
    """
    box = size * 20 / 28 if box is None else box
    if size < 1 or not 0 < thickness < box <= size:
        raise ValueError(
            f"rasterise: thickness={thickness}, box={box:g}, size={size}; expected 0 < thickness < box <= size"
        )
    lines = [np.asarray(line, dtype=np.float64).reshape(-1, 2) for line in polylines]
    lines = [
        line if len(line) > 1 else np.repeat(line, 2, axis=0) for line in lines if len(line)
    ]  # a dot: a piece of length 0
    if not lines:
        raise ValueError("rasterise: the pen never touched the paper; give one point at least")
    a, b = np.concatenate([line[:-1] for line in lines]), np.concatenate([line[1:] for line in lines])
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("rasterise: a position is not a finite number")
    low, high = np.minimum(a, b).min(0), np.maximum(a, b).max(0)
    scale = (box - thickness) / max((high - low).max(), 1e-9)
    middle = (size - 1) / 2
    a, b = ((end - (low + high) / 2) * scale + middle for end in (a, b))
    ink = _ink(a, b, thickness, size)
    across, down = ink.sum(0), ink.sum(1)
    places = np.arange(size)
    mass = np.array([(across * places).sum(), (down * places).sum()]) / max(float(ink.sum()), 1e-9)
    reach = np.array([[np.minimum(a, b)[:, i].min(), np.maximum(a, b)[:, i].max()] for i in (0, 1)])
    edge = thickness / 2 - 0.5
    shift = np.clip(middle - mass, edge - reach[:, 0], size - 1 - edge - reach[:, 1])  # but no ink leaves the picture
    return _ink(a + shift, b + shift, thickness, size)


# -- Refusals that help --
def told(x: object) -> str:
    """What came, in a few words: type and shape, or type and value."""
    if isinstance(x, (Tensor, np.ndarray)):
        return f"{str(x.dtype).removeprefix('torch.')} {tuple(x.shape)}"
    return f"{type(x).__name__} {x!r:.60}"


def whole(name: str, least: int = 1, /, **numbers: Any) -> None:
    """Raise ValueError unless each is a whole number, `least` to 10^7."""
    for what, number in numbers.items():
        kind = isinstance(number, (int, np.integer))
        flag = isinstance(number, (bool, np.bool_))
        if flag or not kind or not least <= number <= 10_000_000:
            raise ValueError(f"{name}: {what} is {told(number)}, expected a whole number from {least} to 10,000,000")


def real(name: str, least: float, most: float, /, **numbers: Any) -> None:
    """Raise ValueError unless each is a number from `least` to `most`."""
    for what, x in numbers.items():
        kind = isinstance(x, (int, float, np.integer, np.floating))
        if isinstance(x, bool) or not kind or not least <= x <= most:
            raise ValueError(f"{name}: {what} is {told(x)}, expected a number from {least:g} to {most:g}")


# -- Refusals that help --
def from_chance(name: str, generator: object, needed: bool = True) -> None:
    """Raise ValueError unless it is a generator, or None where that may be."""
    fine = isinstance(generator, torch.Generator)
    if not fine and (needed or generator is not None):
        raise ValueError(
            f"{name}: generator is {told(generator)}, expected a torch.Generator: torch.Generator().manual_seed(0)"
        )


# -- One class for pictures --
@dataclass(frozen=True, eq=False, repr=False)
class Images:
    """A heap of pictures of one size.

    Args:
        pixels: shape (N, C, H, W), uint8, 0 for paper, 255 for full ink.
        labels: shape (N,), int64, or None where nobody knows.
        source: where the pictures come from, in words.

    Raises:
        ValueError: if shapes or types are others.
    """

    pixels: Tensor
    labels: Tensor | None = None
    source: str = ""

    def __post_init__(self):
        if self.pixels.ndim != 4 or self.pixels.dtype != torch.uint8:
            raise ValueError(
                f"Images: pixels are {self.pixels.dtype} of shape {tuple(self.pixels.shape)}, "
                "expected uint8 (N, C, H, W); for one grey image unsqueeze twice, "
                "for floats from 0 to 1 multiply by 255 and round"
            )
        if self.labels is not None and self.labels.shape != self.pixels.shape[:1]:
            raise ValueError(
                f"Images: labels have shape {tuple(self.labels.shape)}, expected ({len(self.pixels)},), one per image"
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of one image."""
        return tuple(self.pixels.shape[1:])

    def floats(self, index: Any = slice(None)) -> Tensor:
        """Some of the images as floats.

        Args:
            index: which ones: a slice, a list or a tensor; all if not said otherwise.

        Returns:
            float32 from 0 to 1, shape (n, C, H, W).
        """
        return self.pixels[index].to(torch.float32) / 255

    def batch(self, n: int, generator: torch.Generator) -> Tensor:
        """`n` images drawn with replacement, as float32 from 0 to 1, shape (n, C, H, W).

        Args:
            n: at least 1.
            generator: where chance comes from.

        Raises:
            ValueError: if there is nothing to draw.
        """
        if n < 1 or len(self) == 0:
            raise ValueError(f"Images.batch: {n} images of {len(self)}; expected at least one of at least one")
        index = torch.randint(len(self), (n,), generator=generator, device=generator.device)
        return self.floats(index.to(self.pixels.device))

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: slice | Tensor) -> "Images":
        return Images(self.pixels[index], None if self.labels is None else self.labels[index], self.source)

    def __repr__(self) -> str:
        size, labels = " x ".join(map(str, self.shape)), "no" if self.labels is None else "with"
        return f"Images({len(self)} of {size}, {labels} labels, source: {self.source})"


# -- Digits that nobody had to collect --
SPLITS = ("train", "valid", "test")


def _drawn(rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """One digit by one hand: ink (28, 28) and what it says."""
    digit = int(rng.integers(10))
    writer = EmbeddedWriter(rng, style=rng.uniform(0.3, 1.0), unsteady=rng.uniform(0.3, 0.8), slope=0.0)
    lines = writer.write(str(digit)).polylines()
    angle = rng.normal(0, 0.09)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return rasterise([line @ turn for line in lines], thickness=float(rng.uniform(1.9, 3.6))), digit


def embedded_digits(n: int = 2000, split: str = "train") -> Images:
    """Digits written by the embedded pen, one hand each, in the format of MNIST.

    Args:
        n: how many; the pen never runs dry, and the first 100 of 200 are the 100 of 100.
        split: "train", "valid" or "test": other hands for each.

    Returns:
        n images of 1 x 28 x 28 with labels from 0 to 9, the same ones at each call.

    Raises:
        ValueError: for an unknown split or fewer than one image.

    Source: Hershey's fonts moved by softattn.pen; size and centring as LeCun et al. (1998).
    """
    if split not in SPLITS or n < 1:
        raise ValueError(f"embedded_digits: n={n}, split={split!r}; expected n >= 1 and one of {', '.join(SPLITS)}")
    pairs = [_drawn(np.random.default_rng([28, SPLITS.index(split), i])) for i in range(n)]
    pixels = np.stack([np.rint(255 * ink).astype(np.uint8) for ink, _ in pairs])[:, None]
    return Images(
        torch.from_numpy(pixels),
        torch.tensor([digit for _, digit in pairs]),
        f"digits drawn by the embedded pen writer, {split}",
    )


# -- Coins: a grey picture becomes black and white --
def binarise(images: Tensor, generator: torch.Generator) -> Tensor:
    """Toss one coin for each pixel; its grey is the probability of ink.

    Args:
        images: any shape, floats from 0 to 1.
        generator: where the coins come from; drawn on its device, then moved.

    Returns:
        Zeros and ones, shape and type of `images`.

    Raises:
        ValueError: if a value is outside [0, 1] or not a number.

    Source: Salakhutdinov and Murray (2008).
    """
    if images.numel() and not (images.amin() >= 0 and images.amax() <= 1):
        raise ValueError(
            f"binarise: values from {images.amin().item():g} to {images.amax().item():g}, "
            "expected 0 to 1: they are probabilities; divide bytes by 255"
        )
    coins = torch.rand(images.shape, generator=generator, device=generator.device, dtype=torch.float32)
    return (coins.to(images.device) < images).to(images.dtype)


# -- Files: what can be wrong with them --
def read_idx(content: bytes, name: str = "the file") -> np.ndarray:
    """Read an array of bytes in the idx format, MNIST's.

    Args:
        content: the decompressed file.
        name: how to call it in a message.

    Returns:
        The array, uint8, of the shape that the file's head gives.

    Raises:
        ValueError: if the head is not that of an idx file of bytes, or the length is not the one it promises.

    Source: the format's description on the MNIST page.
    """
    if len(content) < 4 or content[:3] != b"\x00\x00\x08" or not 1 <= content[3] <= 4:
        begin = content[:4].hex(" ") or "nothing"
        raise ValueError(f"{name} is no idx file of bytes: it begins with {begin}, expected 00 00 08, then 01 to 04")
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise ValueError(f"{name} ends inside its head, after {len(content)} bytes")
    shape = struct.unpack(f">{content[3]}I", content[4:start])
    wanted = start + int(np.prod(shape, dtype=object))
    if len(content) != wanted:
        raise ValueError(f"{name} has {len(content)} bytes, its head {shape} promises {wanted}: cut short or damaged")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy()


# -- Files: what can be wrong with them --
def _pooch_fetch(progress: bool) -> Callable[[str, str], None]:
    """How a file comes over the net: by pooch, with a progress bar."""
    try:
        import pooch
    except ImportError as err:
        raise ImportError('downloads go through pooch, which is missing: pip install "softattn[data]"') from err
    download = pooch.HTTPDownloader(progressbar=progress, timeout=30)
    return lambda url, path: download(url, path, None)


def _unpacked(path: Path, md5: str) -> bytes:
    """The decompressed content of a .gz file; a ValueError if it is damaged or not what it should be."""
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as err:
        raise ValueError(f"damaged or cut short after {path.stat().st_size} bytes ({err})") from err
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5:
        raise ValueError(f"not the expected file: md5 of its content is {found}, expected {md5}")
    return content


def fetch_checked(
    name: str,
    md5: str,
    mirrors: Sequence[str],
    folder: str | os.PathLike,
    fetch: Callable[[str, str], None] | None = None,
    progress: bool = True,
) -> bytes:
    """The content of a .gz file, from the folder if it is there and sound, otherwise from the first mirror that has it.

    Args:
        name: of the file, `.gz`.
        md5: of the decompressed content.
        mirrors: addresses of folders, asked in this order.
        folder: where the file is kept.
        fetch: `fetch(url, path)` brings a file; None: pooch does.
        progress: show a progress bar.

    Returns:
        The decompressed content, checked.

    Raises:
        ConnectionError: if no mirror gave the file; the message says what each of them answered.
        OSError: if the folder cannot be made.
    """
    folder = Path(folder)
    path, answers = folder / name, []
    if path.is_file():
        try:
            return _unpacked(path, md5)
        except ValueError as err:
            answers.append(f"{path}: {err}; removed")
            path.unlink()
    fetch = _pooch_fetch(progress) if fetch is None else fetch
    folder.mkdir(parents=True, exist_ok=True)
    for mirror in mirrors:
        url = f"{mirror.rstrip('/')}/{name}"
        try:
            with atomic_write(path) as beside:  # removed again if anything goes wrong
                fetch(url, str(beside))
                content = _unpacked(beside, md5)
            for answer in answers:
                print(f"{name}: {answer}")
            return content
        except ValueError as err:
            answers.append(f"{url}: {err}; removed")
        except OSError as err:  # no network, no such host, 404
            answers.append(f"{url}: {type(err).__name__}")
    raise ConnectionError(f"{name}: no mirror gave it ({'; '.join(answers)})")


# -- MNIST --
MNIST_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist",
    "https://storage.googleapis.com/cvdf-datasets/mnist",
    "http://yann.lecun.com/exdb/mnist",
)
# split -> (images, md5 of the decompressed file, labels, md5)
_MNIST = {
    "train": (
        "train-images-idx3-ubyte.gz", "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte.gz", "a25bea736e30d166cdddb491f175f624",
    ),
    "test": (
        "t10k-images-idx3-ubyte.gz", "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte.gz", "27ae3e4e09519cfbb04c329615203637",
    ),
}  # fmt: skip


def _data_folder(name: str) -> Path:
    """SOFTATTN_DATA/name, or the user's cache where the variable is not set."""
    data = os.environ.get("SOFTATTN_DATA")
    return (Path(data) if data else _cache_folder()) / name


def load_mnist(
    split: str = "train",
    root: str | os.PathLike | None = None,
    download: bool = True,
    progress: bool = True,
    fetch: Callable[[str, str], None] | None = None,
) -> Images:
    """Read MNIST: from the folder, or from the net the first time.

    Args:
        split: "train" (the first 50,000 of the training images), "valid" (its last 10,000) or "test" (10,000).
        root: folder of the four .gz files; None: SOFTATTN_DATA/mnist, or the user's cache.
        download: fetch what is missing; False: ask no server.
        progress: show a progress bar while downloading.
        fetch: as in fetch_checked.

    Returns:
        Images of 1 x 28 x 28 with labels.

    Raises:
        ValueError: for an unknown split.
        FileNotFoundError: if a file is missing or damaged and download is False.
        ConnectionError: if no mirror gives a file with the right content.

    Source: LeCun et al. (1998). That the last 10,000 validate is a custom; the fixed binarisation splits otherwise.
    """
    if split not in SPLITS:
        raise ValueError(f"load_mnist: split {split!r} is unknown, expected one of {', '.join(SPLITS)}")
    folder = _data_folder("mnist") if root is None else Path(root)
    arrays = []
    names = _MNIST["test" if split == "test" else "train"]
    for name, md5 in (names[:2], names[2:]):
        if download:
            content = fetch_checked(name, md5, MNIST_MIRRORS, folder, fetch, progress)
        else:
            try:
                content = _unpacked(folder / name, md5)
            except (ValueError, OSError) as err:
                why = "is not there" if isinstance(err, FileNotFoundError) else str(err)
                raise FileNotFoundError(
                    f"load_mnist: {folder / name} {why}; "
                    "allow download=True, or set SOFTATTN_DATA to the folder above mnist/"
                ) from err
        arrays.append(read_idx(content, name))
    part = {"train": slice(0, 50_000), "valid": slice(50_000, 60_000), "test": slice(None)}[split]
    pixels, labels = (torch.from_numpy(array[part]) for array in arrays)
    return Images(pixels[:, None], labels.long(), f"MNIST, {split}")


# -- The fixed binarisation --

# split -> (images, md5 of the bits packed eight to a byte)
_BINARISED = {
    "train": (50_000, "309a57a5f57edf7dfa1a0d2118daedf9"),
    "valid": (10_000, "98627b12c08410820c516e41a0e07017"),
    "test": (10_000, "50aa7f0ccbdaba86f6a8aeabd1fecfed"),
}


def read_amat(path: str | os.PathLike, columns: int = 784) -> np.ndarray:
    """Read zeros and ones from a text file, so many to a line.

    Args:
        path: the file.
        columns: numbers on each line.

    Returns:
        uint8, shape (lines, columns).

    Raises:
        ValueError: if it holds anything else, or a line has another length; the message names file and line.

    Source: the files of Larochelle and Murray (2011).
    """
    text = np.frombuffer(Path(path).read_bytes(), np.uint8)
    text = text[(text != 32) & (text != 13)]  # without spaces and carriage returns
    bits, ends = text[text != 10], np.flatnonzero(text == 10)
    if ((bits != 48) & (bits != 49)).any():
        raise ValueError(
            f"{path}: holds {chr(int(bits[(bits != 48) & (bits != 49)][0]))!r}, expected zeros and ones only"
        )
    lengths = np.diff(ends, prepend=-1, append=len(text)) - 1  # the last one: what stands behind the last line break
    lengths = lengths[:-1] if lengths[-1] == 0 else lengths
    if (lengths != columns).any() or not len(lengths):
        line = int(np.flatnonzero(lengths != columns)[0]) if len(lengths) else 0
        found = int(lengths[line]) if len(lengths) else 0
        raise ValueError(f"{path}: line {line + 1} has {found} numbers, expected {columns}: cut short or damaged")
    return (bits - 48).reshape(-1, columns)


def load_binarised(split: str = "train", root: str | os.PathLike | None = None) -> Images:
    """Read Larochelle's fixed binarisation of MNIST, packed (.npz) or as text (.amat).

    Args:
        split: "train" (50,000), "valid" (10,000) or "test" (10,000, in the order of their classes).
        root: the folder with binarized_mnist.npz or binarized_mnist_SPLIT.amat; None: SOFTATTN_DATA/binarized-mnist,
            or the user's cache.

    Returns:
        Images of 1 x 28 x 28, every pixel 0 or 255, no labels.

    Raises:
        ValueError: for an unknown split, or a file that is damaged or not that set.
        FileNotFoundError: if neither file is there. Nothing is downloaded.

    Source: Larochelle and Murray (2011), after Salakhutdinov and Murray (2008).
    """
    if split not in SPLITS:
        raise ValueError(f"load_binarised: split {split!r} is unknown, expected one of {', '.join(SPLITS)}")
    folder = _data_folder("binarized-mnist") if root is None else Path(root)
    packed, text = folder / "binarized_mnist.npz", folder / f"binarized_mnist_{split}.amat"
    if packed.is_file():
        path = packed
        try:
            with np.load(packed, allow_pickle=False) as file:
                bytes_ = file[split]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as err:
            raise ValueError(f"load_binarised: {packed} is damaged ({err}); get it again") from err
    elif text.is_file():
        path, bytes_ = text, np.packbits(read_amat(text), axis=1)
    else:
        raise FileNotFoundError(
            f"load_binarised: {folder} holds neither {packed.name} nor {text.name}. Put Larochelle's .amat files "
            "there, or set SOFTATTN_DATA to the folder above it. "
            'Without them: binarise(load_digits("mnist").floats(), generator)'
        )
    count, md5 = _BINARISED[split]
    found = hashlib.md5(bytes_.tobytes(), usedforsecurity=False).hexdigest()
    if bytes_.shape != (count, 98) or bytes_.dtype != np.uint8 or found != md5:
        raise ValueError(
            f"load_binarised: {path} is not Larochelle's {split} set: {bytes_.dtype} {bytes_.shape}, md5 {found}, "
            f"expected uint8 {(count, 98)}, md5 {md5}; get it again"
        )
    pixels = np.unpackbits(bytes_, axis=1).reshape(-1, 1, 28, 28) * np.uint8(255)
    return Images(torch.from_numpy(pixels), None, f"MNIST, fixed binarisation, {split}")


# -- House numbers --
def load_svhn(split: str = "train", root: str | os.PathLike | None = None) -> Images:
    """Read the house numbers of SVHN, cropped digits in colour (its format 2).

    Args:
        split: "train", "test" or "extra".
        root: the folder with SPLIT_32x32.mat; None: SOFTATTN_DATA/svhn, or the user's cache.

    Returns:
        Images of 3 x 32 x 32 with labels from 0 to 9.

    Raises:
        ValueError: for an unknown split, or a file that is damaged or of another kind.
        FileNotFoundError: if the file is not there. Nothing is downloaded.

    Source: Netzer et al. (2011).
    """
    if split not in ("train", "test", "extra"):
        raise ValueError(f"load_svhn: split {split!r} is unknown, expected train, test or extra")
    folder = _data_folder("svhn") if root is None else Path(root)
    path = folder / f"{split}_32x32.mat"
    if not path.is_file():
        whole = [p for p in (folder / "digitStruct.mat", folder / split / "digitStruct.mat") if p.is_file()]
        found = f"{whole[0]} is of format 1, whole numbers, which is not read here. " if whole else ""
        raise FileNotFoundError(
            f"load_svhn: {path} is not there. {found}Get {path.name}, the cropped digits of format 2, from "
            "http://ufldl.stanford.edu/housenumbers and put it there, or set SOFTATTN_DATA to the folder above svhn/"
        )
    try:
        from scipy.io import loadmat
    except ImportError as err:
        raise ImportError(
            'load_svhn reads .mat files through SciPy, which is missing: pip install "softattn[data]"'
        ) from err
    try:
        content = loadmat(path, variable_names=["X", "y"])
    except NotImplementedError as err:
        raise ValueError(
            f"load_svhn: {path} is an HDF5 file (MATLAB 7.3), expected the cropped digits of format 2, {path.name}"
        ) from err
    except Exception as err:  # a damaged file can raise anything
        raise ValueError(
            f"load_svhn: {path} is damaged or cut short ({type(err).__name__}: {err}); get it again"
        ) from err
    x, y = content.get("X"), content.get("y")
    if (
        x is None
        or y is None
        or x.ndim != 4
        or x.shape[:3] != (32, 32, 3)
        or x.dtype != np.uint8
        or y.size != x.shape[3]
    ):
        found = {key: f"{v.dtype} {v.shape}" for key, v in (("X", x), ("y", y)) if v is not None}
        raise ValueError(f"load_svhn: {path} holds {found}, expected X uint8 (32, 32, 3, N) and y (N, 1)")
    if y.min() < 1 or y.max() > 10:
        raise ValueError(f"load_svhn: {path} has labels from {y.min()} to {y.max()}, expected 1 to 10")
    pixels = np.ascontiguousarray(x.transpose(3, 2, 0, 1))  # (N, 3, 32, 32)
    return Images(torch.from_numpy(pixels), torch.from_numpy(y.ravel().astype(np.int64) % 10), f"SVHN, {split}")


# -- One door --
def load_digits(
    source: str = "embedded",
    split: str = "train",
    n: int | None = None,
    root: str | os.PathLike | None = None,
    progress: bool = True,
    fetch: Callable[[str, str], None] | None = None,
) -> Images:
    """Digits to draw and to read; `.source` says which.

    Args:
        source: "embedded" (no files, no network), "mnist" (downloaded once; the embedded ones where that fails) or
            "binarised" (Larochelle's fixed set, from your files).
        split: "train", "valid" or "test".
        n: how many; None: 2,000 embedded ones, all of the others.
        root, progress, fetch: as in load_mnist and load_binarised.

    Returns:
        Images of 1 x 28 x 28. Look at `.source` before you compare numbers.

    Raises:
        ValueError: for an unknown source or split, or fewer than one image.
        FileNotFoundError: if "binarised" is asked for and not there.
    """
    if source not in ("embedded", "mnist", "binarised"):
        raise ValueError(f'load_digits: source {source!r} is unknown, expected "embedded", "mnist" or "binarised"')
    if split not in SPLITS or (n is not None and n < 1):
        raise ValueError(
            f"load_digits: n={n}, split={split!r}; expected n >= 1 or None, and one of {', '.join(SPLITS)}"
        )
    if source == "binarised":
        return load_binarised(split, root)[:n]
    if source == "mnist":
        try:
            return load_mnist(split, root, progress=progress, fetch=fetch)[:n]
        except (OSError, ImportError) as err:
            print(f"load_digits: no MNIST here, using digits of the embedded pen writer instead. Reason: {err}")
    return embedded_digits(2000 if n is None else n, split)

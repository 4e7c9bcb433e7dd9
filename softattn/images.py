# Generated from book/images.md by tools/export.py. Edit the chapter, not this file.
"""Images.

Small pictures as data, from a pen that draws digits by itself and from MNIST.

The chapter book/images.md builds this module and explains each line.
"""

import gzip
import hashlib
import math
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from softattn.hub import atomic_write
from softattn.iam import _cache_folder
from softattn.pen import EmbeddedWriter

__all__ = [
    "Clutter",
    "Images",
    "binarise",
    "cluttered",
    "embedded_digits",
    "load_binarised",
    "load_digits",
    "load_mnist",
]


# -- Refusals that help --
def told(x: object) -> str:
    """What came, in a few words: type and shape, or type and value."""
    if isinstance(x, (Tensor, np.ndarray)):
        return f"{str(x.dtype).removeprefix('torch.')} {tuple(x.shape)}"
    return f"{type(x).__name__} {x!r:.60}"


# -- Refusals that help --
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


# -- From a pen to pixels --
def _ink(a: np.ndarray, b: np.ndarray, thickness: float, size: int) -> np.ndarray:
    """Ink of straight pieces a to b, (S, 2) in pixels, on size x size."""
    y, x = np.mgrid[:size, :size].astype(np.float32)
    ab = (b - a).astype(np.float32)
    px = x.ravel() - a[:, :1].astype(np.float32)  # (S, size * size)
    py = y.ravel() - a[:, 1:].astype(np.float32)
    length = np.maximum((ab**2).sum(1, keepdims=True), 1e-12)
    s = np.clip((px * ab[:, :1] + py * ab[:, 1:]) / length, 0, 1)
    square = (px - s * ab[:, :1]) ** 2 + (py - s * ab[:, 1:]) ** 2
    d = np.sqrt(square.min(0))  # the nearest piece
    return np.clip(thickness / 2 - d + 0.5, 0, 1).reshape(size, size)


# -- From a pen to pixels --
def _pieces(polylines: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Starts and ends (S, 2) of the straight pieces; a dot has length 0."""
    lines = []
    try:
        for line in polylines:
            points = np.asarray(line, dtype=np.float64)
            if points.size and (points.ndim != 2 or points.shape[1] != 2):
                raise ValueError(f"it is {told(points)}")
            points = points.reshape(-1, 2)
            lines.append(points if len(points) > 1 else points.repeat(2, 0))
    except (TypeError, ValueError) as err:
        raise ValueError(f"rasterise: a line is no array (points, 2) of positions: {err}") from None
    if not any(len(line) for line in lines):
        raise ValueError("rasterise: the pen never touched the paper; give one point at least")
    a = np.concatenate([line[:-1] for line in lines])
    b = np.concatenate([line[1:] for line in lines])
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("rasterise: a position is not a finite number")
    return a, b


# -- From a pen to pixels --
def _fitted(a, b, thickness, size, box) -> tuple[np.ndarray, np.ndarray]:
    """The pieces in pixels: scaled into the box, centred by mass."""
    low, high = np.minimum(a, b).min(0), np.maximum(a, b).max(0)
    scale = (box - thickness) / max((high - low).max(), 1e-9)
    middle = (size - 1) / 2
    a, b = ((end - (low + high) / 2) * scale + middle for end in (a, b))
    ink = _ink(a, b, thickness, size)
    places = np.arange(size)
    mass = np.array([(ink.sum(0) * places).sum(), (ink.sum(1) * places).sum()])
    mass /= max(float(ink.sum()), 1e-9)
    near, far = np.minimum(a, b).min(0), np.maximum(a, b).max(0)
    edge = thickness / 2 - 0.5  # no ink leaves the picture
    shift = np.clip(middle - mass, edge - near, size - 1 - edge - far)
    return a + shift, b + shift


# -- From a pen to pixels --
def rasterise(
    polylines: Sequence[np.ndarray],
    thickness: float = 2.5,
    size: int = 28,
    box: float | None = None,
) -> np.ndarray:
    """Turn the path of a pen into a small grey picture, as MNIST's are.

    Args:
        polylines: an array of positions (points, 2) for each time that the
            pen is on the paper, x right, y down: Strokes.polylines().
        thickness: of the pen, in pixels. size: rows and columns.
        box: the ink is fitted into box x box pixels; None: 20 of 28.

    Returns:
        Ink from 0 to 1, shape (size, size), float32, centred by mass.

    Raises:
        ValueError: if there is no point, a number is not finite, or the
            pen does not fit into the box.

    Source: LeCun et al. (1998), section III.A.
    """
    whole("rasterise", size=size)
    box = size * 20 / 28 if box is None else box
    real("rasterise", 0, size, thickness=thickness, box=box)
    if not 0 < thickness < box or size > 4096:
        raise ValueError(
            f"rasterise: thickness={thickness}, box={box:g}, size={size}; expected 0 < thickness < box <= size <= 4096"
        )
    a, b = _pieces(polylines)
    return _ink(*_fitted(a, b, thickness, size, box), thickness, size)


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
        x, y = self.pixels, self.labels
        if not isinstance(x, Tensor) or x.ndim != 4 or x.dtype != torch.uint8:
            raise ValueError(
                f"Images: pixels are {told(x)}, expected uint8 (N, C, H, W); "
                "for one grey image unsqueeze twice, for floats from 0 to 1 "
                "multiply by 255 and round"
            )
        if y is not None and told(y) != f"int64 ({len(x)},)":
            raise ValueError(f"Images: labels are {told(y)}, expected int64 ({len(x)},), one per image")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of one image."""
        _, C, H, W = self.pixels.shape
        return C, H, W

    def floats(self, index: Any = slice(None)) -> Tensor:
        """Some of the images as floats.

        Args:
            index: which ones: a slice, a list or a tensor; or all.

        Returns:
            float32 from 0 to 1, shape (n, C, H, W).

        Raises: ValueError where `index` chooses none.
        """
        try:
            return self.pixels[index].to(torch.float32) / 255
        except (IndexError, TypeError, ValueError, RuntimeError) as err:
            raise ValueError(f"Images: {told(index)} chooses none of {len(self)} images: {err}") from None

    def batch(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw images with replacement.

        Args:
            n: how many, at least 1. generator: where chance comes from.

        Returns:
            float32 from 0 to 1, shape (n, C, H, W).

        Raises: TypeError, ValueError for no number or no images.
        """
        whole("Images.batch", n=n)
        from_chance("Images.batch", generator)
        if len(self) == 0:
            raise ValueError(f"Images.batch: {n} images of 0; there are none")
        index = torch.randint(len(self), (n,), generator=generator, device=generator.device)
        return self.floats(index.to(self.pixels.device))

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: slice | Tensor) -> "Images":
        try:
            labels = None if self.labels is None else self.labels[index]
            return Images(self.pixels[index], labels, self.source)
        except (IndexError, TypeError, ValueError, RuntimeError) as err:
            raise ValueError(f"Images: {told(index)} chooses none of {len(self)} images: {err}") from None

    def __repr__(self) -> str:
        size = " x ".join(map(str, self.shape))
        labels = "no" if self.labels is None else "with"
        return f"Images({len(self)} of {size}, {labels} labels, source: {self.source})"


# -- Digits that nobody had to collect --
SPLITS = ("train", "valid", "test")


def _split(name: str, split: object, known: tuple[str, ...] = SPLITS) -> None:
    """Raise ValueError unless the split is one of those known."""
    if not isinstance(split, str) or split not in known:
        raise ValueError(f"{name}: split {split!r:.60} is unknown, expected one of {', '.join(known)}")


def _drawn(rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """One digit by one hand: ink (28, 28) and what it says."""
    digit = int(rng.integers(10))
    style, unsteady = rng.uniform(0.3, 1.0), rng.uniform(0.3, 0.8)
    writer = EmbeddedWriter(rng, style=style, unsteady=unsteady, slope=0.0)
    lines = writer.write(str(digit)).polylines()
    angle = rng.normal(0, 0.09)
    c, s = np.cos(angle), np.sin(angle)
    turned = [line @ np.array([[c, s], [-s, c]]) for line in lines]
    return rasterise(turned, thickness=float(rng.uniform(1.9, 3.6))), digit


# -- Digits that nobody had to collect --
def embedded_digits(n: int = 2000, split: str = "train") -> Images:
    """Digits written by the embedded pen, one hand each, as MNIST has them.

    Args:
        n: how many; the first 100 of 200 are the 100 of 100.
        split: "train", "valid" or "test": other hands for each.

    Returns:
        n images of 1 x 28 x 28 with labels from 0 to 9, the same ones at
        each call.

    Raises:
        ValueError: for an unknown split or fewer than one image.

    Source: Hershey's fonts; size and centring as LeCun et al. (1998).
    """
    _split("embedded_digits", split)
    whole("embedded_digits", n=n)
    seeds = [[28, SPLITS.index(split), i] for i in range(n)]
    pairs = [_drawn(np.random.default_rng(seed)) for seed in seeds]
    ink = np.stack([ink for ink, _ in pairs])[:, None]
    pixels = torch.from_numpy(np.rint(255 * ink).astype(np.uint8))
    labels = torch.tensor([digit for _, digit in pairs])
    source = f"digits drawn by the embedded pen writer, {split}"
    return Images(pixels, labels, source)


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
    if not isinstance(images, Tensor) or not images.is_floating_point():
        raise ValueError(f"binarise: images are {told(images)}, expected floats from 0 to 1; divide bytes by 255")
    from_chance("binarise", generator)
    if images.numel() and not (images.amin() >= 0 and images.amax() <= 1):
        low, high = images.amin().item(), images.amax().item()
        raise ValueError(
            f"binarise: values from {low:g} to {high:g}, expected 0 to 1, probabilities; divide bytes by 255"
        )
    coins = torch.rand(images.shape, generator=generator, device=generator.device)
    return (coins.to(images.device) < images).to(images.dtype)


# -- Clutter --
def _square(corner: Tensor, side: int, width: int) -> Tensor:
    """Numbers of the pixels in squares of a picture that is `width` wide:
    corners (..., 2), column before row, to (..., side^2)."""
    i = torch.arange(side, device=corner.device)
    x, y = corner[..., :1] + i, corner[..., 1:] + i  # (..., side)
    return (y[..., :, None] * width + x[..., None, :]).flatten(-2)


def _paste(
    ink: Tensor,
    pixels: Tensor,
    side: int,
    count: int,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Add `count` squares of pictures (N, S, S) to each of (n, size, size);
    returns of which pictures (n, count), and to which corners."""
    (n, size, _), (N, S, _) = ink.shape, pixels.shape

    def draw(below: int, *shape: int) -> Tensor:
        drawn = torch.randint(below, (n, count, *shape), generator=generator, device=generator.device)
        return drawn.to(ink.device)

    which, cut = draw(N), draw(S - side + 1, 2)
    corner = draw(size - side + 1, 2)
    piece = pixels.flatten(1)[which[..., None], _square(cut, side, S)]
    to = _square(corner, side, size).flatten(1)  # (n, count side^2)
    ink.view(n, -1).scatter_add_(1, to, piece.flatten(1).to(ink.dtype))
    return which, corner


# -- Clutter --
def _clutter_parts(images, n, size, distractors, crop, digits):
    """Squares (N, S, S) and labels (N,), if all can be laid out."""
    whole("cluttered", n=n, size=size, crop=crop, digits=digits)
    whole("cluttered", 0, distractors=distractors)
    if not isinstance(images, Images) or images.labels is None:
        raise ValueError(f"cluttered: images are {told(images)}, expected Images with labels: Images(pixels, labels)")
    C, H, W = images.shape
    if len(images) == 0 or C != 1 or H != W:
        raise ValueError(f"cluttered: {len(images)} images of {C} x {H} x {W}, expected grey squares, one at least")
    if (distractors and crop > H) or size < H:
        raise ValueError(f"cluttered: crop={crop}, size={size}, and images of {H} x {H}; expected crop <= {H} <= size")
    cells = n * (size**2 + distractors * crop**2 + digits * H**2)
    if cells > 2**30:
        raise ValueError(f"cluttered: n={n} canvases of {size} x {size} take {cells:,} cells; ask for fewer at a time")
    return images.pixels[:, 0], images.labels


# -- Clutter --
class Clutter(NamedTuple):
    """Canvases with digits somewhere, among scraps of others.

    Args:
        canvases: float32 from 0 to 1, shape (n, 1, size, size).
        labels: what the digits are, int64, shape (n, digits).
        corners: where the picture of each begins, its left column and its
            upper row, in pixels from 0, int64, shape (n, digits, 2).
    """

    canvases: Tensor
    labels: Tensor
    corners: Tensor


# -- Clutter --
def cluttered(
    images: Images,
    n: int,
    generator: torch.Generator,
    size: int = 100,
    distractors: int = 8,
    crop: int = 8,
    digits: int = 1,
) -> Clutter:
    """Draw canvases that show digits at random places, among scraps.

    Args:
        images: grey squares with labels; digits and scraps come from them.
        n: how many canvases. generator: where chance comes from.
        size: rows and columns of a canvas, an image's at least.
        distractors, crop: scraps on each canvas; rows and columns of one.
        digits: whole images on each canvas.

    Returns:
        Canvases, what their digits are, and where.

    Raises:
        ValueError: if an argument is none, or a size does not fit.

    Source: Mnih et al. (2014), section 4.1; Gregor et al. (2015), 4.1.
    """
    parts = images, n, size, distractors, crop, digits
    pixels, labels = _clutter_parts(*parts)
    from_chance("cluttered", generator)
    ink = pixels.new_zeros(n, size, size, dtype=torch.int32)
    if distractors:
        _paste(ink, pixels, crop, distractors, generator)
    which, corners = _paste(ink, pixels, len(pixels[0]), digits, generator)
    canvases = ink.clamp_(max=255)[:, None].to(torch.float32) / 255
    return Clutter(canvases, labels[which], corners)


# -- Files: what can be wrong with them --
def read_idx(content: bytes, name: str = "the file") -> np.ndarray:
    """Read an array of bytes in the idx format, MNIST's.

    Args:
        content: the decompressed file. name: how a message calls it.

    Returns:
        The array, uint8, of the shape in the file's head.

    Raises:
        ValueError: if it is no idx file of bytes, or has another length.
    """
    if not isinstance(content, (bytes, bytearray)):
        raise ValueError(f"read_idx: content is {told(content)}, not bytes")
    begin = content[:4].hex(" ") or "nothing"
    if begin not in [f"00 00 08 0{k}" for k in (1, 2, 3, 4)]:
        raise ValueError(
            f"read_idx: {name} is no idx file of bytes: begins with {begin}, expected 00 00 08, then 01 to 04"
        )
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise ValueError(f"read_idx: {name} ends inside its head")
    shape = struct.unpack(f">{content[3]}I", content[4:start])
    wanted = start + math.prod(shape)
    if len(content) != wanted:
        raise ValueError(f"read_idx: {name} has {len(content)} bytes, not the {wanted} of its head {shape}")
    return np.frombuffer(content[start:], np.uint8).reshape(shape).copy()


# -- Files: what can be wrong with them --
def _pooch_fetch(progress: bool) -> Callable[[str, str], object]:
    """How a file comes over the net: by pooch, with a progress bar."""
    try:
        import pooch
    except ImportError as err:
        raise ImportError('downloads go through pooch, which is missing: pip install "softattn[data]"') from err
    download = pooch.HTTPDownloader(progressbar=progress, timeout=30)
    return lambda url, path: download(url, path, None)


# -- Files: what can be wrong with them --
def _folder(name: str, root: object, below: str) -> Path:
    """The folder that was named, or SOFTATTN_DATA/below, or the cache."""
    if root is not None and not isinstance(root, (str, os.PathLike)):
        raise ValueError(f"{name}: root is {told(root)}, expected a folder")
    data = os.environ.get("SOFTATTN_DATA")
    if root is None and not data:
        try:
            return _cache_folder() / below
        except RuntimeError as err:  # no HOME, no passwd entry
            raise FileNotFoundError(f"{name}: no home folder ({err}); set SOFTATTN_DATA or SOFTATTN_CACHE") from err
    return Path(str(data)) / below if root is None else Path(root)


# -- Files: what can be wrong with them --
MOST = 64 * 2**20  # bytes, unpacked: MNIST's largest file has 47 million


def _content(path: Path, md5: str) -> bytes:
    """What a file holds, unpacked if it is packed, held to its md5 sum."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("no regular file; it is not read")
    try:
        with open(path, "rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else open(path, "rb") as file:
            content = file.read(MOST + 1)
    except (OSError, EOFError, zlib.error) as err:
        size = path.stat().st_size
        raise ValueError(f"damaged or cut short after {size} bytes ({err})") from err
    if len(content) > MOST:
        raise ValueError(f"holds more than {MOST} bytes; it is not read on")
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5:
        raise ValueError(f"not the expected file: md5 of its content is {found}, expected {md5}")
    return content


# -- Files: what can be wrong with them --
def _own(folder: Path, name: str, md5: str) -> tuple[bytes | None, list[str]]:
    """The content of the first good file of that name, packed or not."""
    plain, faults = name.removesuffix(".gz"), []
    for other in (name, plain, plain.replace("-idx", ".idx")):
        path = folder / other
        try:
            return _content(path, md5), []
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as err:
            faults.append(f"{path}: {err}")
    return None, faults


def fetch_checked(
    name: str,
    md5: str,
    mirrors: Sequence[str],
    folder: str | os.PathLike[str],
    fetch: Callable[[str, str], object] | None = None,
    progress: bool = True,
) -> bytes:
    """The checked content of NAME.gz, own or of the first good mirror."""
    folder = Path(folder)
    content, answers = _own(folder, name, md5)
    if content is not None:
        return content
    if (folder / name).exists() and not (folder / name).is_file():
        raise FileNotFoundError(f"{'; '.join(answers)}; move it away")
    fetch = _pooch_fetch(progress) if fetch is None else fetch
    folder.mkdir(parents=True, exist_ok=True)
    return _from_mirrors(folder / name, md5, mirrors, fetch, answers)


# -- Files: what can be wrong with them --
def _from_mirrors(
    path: Path,
    md5: str,
    mirrors: Sequence[str],
    fetch: Callable[[str, str], object],
    answers: list[str],
) -> bytes:
    """Ask one mirror after the other; the first good answer is kept."""
    own = len(answers)  # what was wrong before
    for mirror in mirrors:
        url = f"{mirror.rstrip('/')}/{path.name}"
        try:
            with atomic_write(path) as beside:  # gone if anything is wrong
                fetch(url, str(beside))
                content = _content(beside, md5)
            for k, answer in enumerate(answers):
                print(f"{path.name}: {answer}{'; replaced' * (k < own)}")
            return content
        except ValueError as err:
            answers.append(f"{url}: {err}")
        except OSError as err:  # no network, no host, 404
            answers.append(f"{url}: {type(err).__name__}")
    raise ConnectionError(f"{path.name}: no mirror gave it ({'; '.join(answers)})")


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


def _mnist_file(name, md5, folder, download, progress, fetch) -> np.ndarray:
    """One of the four files, from the folder or from the net."""
    if download:
        rest = (MNIST_MIRRORS, folder, fetch, progress)
        return read_idx(fetch_checked(name, md5, *rest), name)
    content, faults = _own(folder, name, md5)
    if content is None:
        why = "; ".join(faults) or f"{folder / name} is not there"
        raise FileNotFoundError(
            f"load_mnist: {why}; allow download=True, or set SOFTATTN_DATA to the folder above mnist/"
        )
    return read_idx(content, name)


# -- MNIST --
def load_mnist(
    split: str = "train",
    root: str | os.PathLike[str] | None = None,
    download: bool = True,
    progress: bool = True,
    fetch: Callable[[str, str], object] | None = None,
) -> Images:
    """Read MNIST: from the folder, or from the net the first time.

    Args:
        split: "train" (the first 50,000 of the training images), "valid"
            (its last 10,000) or "test" (10,000).
        root: folder of the four files, .gz or unpacked; None:
            SOFTATTN_DATA/mnist, or the user's cache.
        download: fetch what is missing. progress: show a bar meanwhile.
        fetch: `fetch(url, path)` brings a file; None: pooch does.

    Returns:
        Images of 1 x 28 x 28 with labels.

    Raises:
        ValueError, FileNotFoundError, ConnectionError: for an unknown split;
            without download, if a file is not there; if no mirror has it.
    """
    _split("load_mnist", split)
    folder = _folder("load_mnist", root, "mnist")
    both = _MNIST["test" if split == "test" else "train"]
    how = (folder, download, progress, fetch)
    x, y = _mnist_file(*both[:2], *how), _mnist_file(*both[2:], *how)
    part = {"train": slice(50_000), "valid": slice(50_000, 60_000)}.get(split)
    x, y = (torch.from_numpy(a[part or slice(None)]) for a in (x, y))
    return Images(x[:, None], y.long(), f"MNIST, {split}")


# -- The fixed binarisation --

# split -> (images, md5 of the bits packed eight to a byte)
_BINARISED = {
    "train": (50_000, "309a57a5f57edf7dfa1a0d2118daedf9"),
    "valid": (10_000, "98627b12c08410820c516e41a0e07017"),
    "test": (10_000, "50aa7f0ccbdaba86f6a8aeabd1fecfed"),
}


# -- The fixed binarisation --
def _bounded(path: Path, most: int = 2**28) -> bytes:
    """A regular file of up to a quarter of a gigabyte."""
    known = path.stat()
    if not stat.S_ISREG(known.st_mode) or known.st_size > most:
        raise ValueError(f"{path}: {known.st_size} bytes, expected a regular file of at most {most}")
    return path.read_bytes()


# -- The fixed binarisation --
def read_amat(path: str | os.PathLike[str], columns: int = 784) -> np.ndarray:
    """Zeros and ones from a text file, uint8 (lines, columns)."""
    text = np.frombuffer(_bounded(Path(path)), np.uint8)
    text = text[(text != 32) & (text != 13)]  # no spaces, no returns
    bits, ends = text[text != 10], np.flatnonzero(text == 10)
    strange = bits[(bits != 48) & (bits != 49)]
    if len(strange):
        raise ValueError(f"{path}: holds {chr(int(strange[0]))!r}, expected zeros and ones only")
    lengths = np.diff(ends, prepend=-1, append=len(text)) - 1
    if lengths[-1] == 0:  # a last line break
        lengths = lengths[:-1]
    wrong = np.flatnonzero(lengths != columns)
    if len(wrong) or not len(lengths):
        line = int(wrong[0]) if len(wrong) else 0
        found = int(lengths[line]) if len(lengths) else 0
        raise ValueError(f"{path}: line {line + 1} has {found} numbers, expected {columns}: cut short or damaged")
    return (bits - 48).reshape(-1, columns)


# -- The fixed binarisation --
def _packed(path: Path, split: str, most: int) -> np.ndarray:
    """One split of the packed file; the archive's own sizes are read first."""
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = [item.file_size for item in archive.infolist()]
        if max(sizes) > most:
            raise ValueError(f"it unpacks to more than {most} bytes")
        with np.load(path, allow_pickle=False) as file:
            return file[split]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as err:
        raise ValueError(f"load_binarised: {path} is damaged ({err}); get it again") from err


def _bits(folder: Path, split: str) -> tuple[Path, np.ndarray]:
    """The bits of a split, eight to a byte, and the file they came from."""
    packed = folder / "binarized_mnist.npz"
    text = folder / f"binarized_mnist_{split}.amat"
    if packed.is_file():
        return packed, _packed(packed, split, most=10_000_000)
    if text.is_file():
        return text, np.packbits(read_amat(text), axis=1)
    raise FileNotFoundError(
        f"load_binarised: {folder} holds neither {packed.name} nor "
        f"{text.name}. Put Larochelle's .amat files there, or set "
        "SOFTATTN_DATA to the folder above it. Without: "
        'binarise(load_digits("mnist").floats(), generator)'
    )


# -- The fixed binarisation --
def load_binarised(split: str = "train", root: str | os.PathLike[str] | None = None) -> Images:
    """Read Larochelle's fixed binarisation of MNIST, .npz or .amat.

    Args:
        split: "train" (50,000), "valid" or "test" (10,000 each).
        root: the folder with binarized_mnist.npz or _SPLIT.amat; None:
            SOFTATTN_DATA/binarized-mnist, or the user's cache.

    Returns:
        Images of 1 x 28 x 28, every pixel 0 or 255, no labels.

    Raises:
        ValueError: for an unknown split, or a file that is not that set.
        FileNotFoundError: if neither is there. Nothing is downloaded.
    """
    _split("load_binarised", split)
    folder = _folder("load_binarised", root, "binarized-mnist")
    path, bits = _bits(folder, split)
    (count, md5), found = _BINARISED[split], hashlib.md5(bits.tobytes())
    if told(bits) != f"uint8 ({count}, 98)" or found.hexdigest() != md5:
        raise ValueError(
            f"load_binarised: {path} is not Larochelle's {split} set: "
            f"{told(bits)}, md5 {found.hexdigest()}, expected "
            f"uint8 {(count, 98)}, md5 {md5}"
        )
    pixels = np.unpackbits(bits, axis=1).reshape(-1, 1, 28, 28) * np.uint8(255)
    source = f"MNIST, fixed binarisation, {split}"
    return Images(torch.from_numpy(pixels), None, source)


# -- One door --
def load_digits(
    source: str = "embedded",
    split: str = "train",
    n: int | None = None,
    root: str | os.PathLike[str] | None = None,
    progress: bool = True,
    fetch: Callable[[str, str], object] | None = None,
) -> Images:
    """Digits to draw and to read; `.source` says which.

    Args:
        source: "embedded" (no files, no network), "mnist" (downloaded once;
            the embedded ones where that fails) or "binarised" (from files).
        split: "train", "valid" or "test".
        n: how many; None: 2,000 embedded ones, all of the others.
        root, progress, fetch: as in load_mnist and load_binarised.

    Returns:
        Images of 1 x 28 x 28. Look at `.source` before you compare.

    Raises:
        ValueError, FileNotFoundError: if an argument or a file is not right.
    """
    _check_digits(source, split, n)
    if source == "binarised":
        return load_binarised(split, root)[:n]
    if source == "mnist":
        try:
            return load_mnist(split, root, True, progress, fetch)[:n]
        except (OSError, ImportError) as err:
            print(f"load_digits: no MNIST here, using digits of the embedded pen writer instead. Reason: {err}")
    return embedded_digits(2000 if n is None else n, split)


# -- One door --
def _check_digits(source: object, split: object, n: object) -> None:
    known = ("embedded", "mnist", "binarised")
    if not isinstance(source, str) or source not in known:
        raise ValueError(f"load_digits: source {source!r:.60} is unknown, expected one of {', '.join(known)}")
    _split("load_digits", split)
    if n is not None:
        whole("load_digits", n=n)

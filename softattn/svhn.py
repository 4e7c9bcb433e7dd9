# Generated from book/svhn.md by tools/export.py. Edit the chapter, not this file.
"""House numbers as data.

House numbers in colour, painted by a few rules, or read from the files of SVHN.

The chapter book/svhn.md builds this module and explains each line.
"""

import io
import math
import os
import re
import tarfile
import warnings
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
import torch
from torch import Tensor

from softattn.hub import open_tar_gz, read_file, safe_members
from softattn.images import Images, _folder, _ink, _split, from_chance, told, whole
from softattn.pen import _font

__all__ = ["HouseNumbers", "embedded_house_numbers", "load_svhn", "windows"]


# -- A heap of house numbers --
SIDE = 64  # rows and columns of a crop, as in the papers


# -- A heap of house numbers --
@dataclass(frozen=True, eq=False, repr=False)
class HouseNumbers(Images):
    """Pictures of whole numbers, and what they say.

    Args:
        pixels: shape (N, 3, H, W), uint8.
        labels: None; the numbers are texts.
        source: where the pictures come from, in words.
        numbers: N texts, digits from left to right: "107".
        skipped: what was left out, name -> reason.

    Raises:
        ValueError: if there are not as many numbers as pictures.
    """

    numbers: tuple[str, ...] = ()
    skipped: dict[str, str] = field(default_factory=dict)

    def __post_init__(self):
        super().__post_init__()
        fine = isinstance(self.numbers, tuple)
        if not fine or len(self.numbers) != len(self.pixels):
            came = told(self.numbers)
            raise ValueError(f"HouseNumbers: numbers are {came}, expected {len(self.pixels)} texts in a tuple")

    def __getitem__(self, index: slice | Tensor) -> "HouseNumbers":
        some = super().__getitem__(index)  # judges the index
        chosen = torch.arange(len(self))[index].tolist()
        numbers = tuple(self.numbers[i] for i in chosen)
        rest = self.source, numbers, self.skipped
        return HouseNumbers(some.pixels, some.labels, *rest)


# -- Paint a number --
FONTS = ("futural", "futuram", "rowmans", "rowmand", "rowmant", "timesr", "timesrb", "timesib")
HOW_MANY = (0.15, 0.5, 0.28, 0.07)  # numbers of one to four digits


def _outline(text: str, font: str, rng) -> list[np.ndarray]:
    """Strokes of a number, (points, 2) each, in the font's units, y down."""
    lines, at = [], 0.0
    gap, hop = rng.uniform(0.85, 1.15), rng.uniform(0, 1.2)
    for char in text:
        strokes, left, width = _font(font)[char]
        where = np.array([at - left, rng.normal(0, hop)])
        lines += [np.asarray(stroke) + where for stroke in strokes]
        at += gap * width
    return lines


# -- Paint a number --
def _view(rng) -> np.ndarray:
    """How the wall is seen: a 3 x 3 homography, nearly the identity."""
    angle, lean = rng.normal(0, 0.07), rng.normal(0, 0.08)
    c, s = math.cos(angle), math.sin(angle)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    shear = np.array([[1, lean, 0], [0, 1, 0], [0, 0, 1]])
    tilt = np.array([[1, 0, 0], [0, 1, 0], [*rng.normal(0, 0.12, 2), 1]])
    return tilt @ turn @ shear


def _seen(points: np.ndarray, view: np.ndarray) -> np.ndarray:
    """Where points (P, 2) of the wall lie in the picture."""
    x = np.pad(points, ((0, 0), (0, 1)), constant_values=1.0) @ view.T
    return x[:, :2] / np.maximum(x[:, 2:], 0.2)


# -- Paint a number --
GROWN = 1.3


def _placed(lines, rng) -> tuple[list[np.ndarray], np.ndarray]:
    """Strokes and the corners of a plate, in pixels of the square."""
    points = np.concatenate(lines)
    low, high = points.min(0), points.max(0)
    middle, half = (low + high) / 2, np.maximum((high - low) / 2, 1.0)
    scale = half.max()  # the longer side: -1 to 1
    view = _view(rng)
    room = half / scale + rng.uniform(0.12, 0.6, 2)
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * room
    seen = [_seen((line - middle) / scale, view) for line in lines]
    flat = np.concatenate(seen)
    low, high = flat.min(0), flat.max(0)
    size = np.maximum(high - low, 0.35)  # a 1 is not a bar
    unit = SIDE / GROWN / size

    def pixels(x):
        return (x - (low + high) / 2) * unit + (SIDE - 1) / 2

    return [pixels(line) for line in seen], pixels(_seen(corners, view))


# -- Paint a number --
def _inside(corners: np.ndarray) -> np.ndarray:
    """How much of each pixel lies inside a convex polygon, (SIDE, SIDE)."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float64)
    after = np.roll(corners, -1, axis=0)
    depth = np.full((SIDE, SIDE), np.inf)
    for (ax, ay), (bx, by) in zip(corners, after, strict=True):
        cross = (bx - ax) * (y - ay) - (by - ay) * (x - ax)
        length = max(np.hypot(bx - ax, by - ay), 1e-9)
        depth = np.minimum(depth, cross / length)
    return np.clip(depth + 0.5, 0, 1)


def _blurred(picture: np.ndarray, sigma: float) -> np.ndarray:
    """A picture (SIDE, SIDE, C) out of focus: Gaussian, edge held."""
    reach = np.arange(SIDE)
    rows = np.exp(-((reach[:, None] - reach) ** 2) / (2 * sigma**2))
    rows /= rows.sum(1, keepdims=True)
    return np.einsum("ya,xb,abc->yxc", rows, rows, picture, optimize=True)


# -- Paint a number --
def _colour(rng, light: float | None = None) -> np.ndarray:
    """A colour (3,), mostly grey, now and then a strong one."""
    light = rng.uniform(0.1, 0.9) if light is None else light
    tint = rng.normal(0, 1, 3)
    tint -= tint.mean()
    return np.clip(light + 0.05 * rng.exponential() * tint, 0, 1)


def _wall(rng) -> np.ndarray:
    """A wall (SIDE, SIDE, 3): a colour, patches, and perhaps bricks."""
    patches = np.zeros((SIDE, SIDE, 1))
    patches[::8, ::8, 0] = rng.normal(0, 1, (8, 8))
    wall = _colour(rng) + rng.uniform(0, 6) * _blurred(patches, 5.0)
    if rng.random() < 0.3:
        pitch, at = rng.uniform(9, 20), rng.uniform(0, 20)
        joints = np.abs((np.arange(SIDE) - at + pitch / 2) % pitch - pitch / 2)
        wall = wall + 0.25 * np.clip(1.5 - joints, 0, 1)[:, None, None]
    return wall


def _apart(rng, ground: np.ndarray) -> np.ndarray:
    """A colour that stands out from the ground."""
    light = ground.mean()
    darker, lighter = max(0.0, light - 0.33), max(0.0, 0.67 - light)
    pick = rng.uniform(0, darker + lighter)
    pick += 0.0 if pick < darker else light + 0.33 - darker
    return _colour(rng, pick)


# -- Paint a number --
def _over(below: np.ndarray, ink: np.ndarray, colour) -> np.ndarray:
    """Lay a colour over a picture, in proportion to the ink."""
    return below + ink[..., None] * (colour - below)


def _house(rng) -> tuple[np.ndarray, str]:
    """One house number: a picture (SIDE, SIDE, 3), bytes, and its text."""
    digits = 1 + int(rng.choice(4, p=HOW_MANY))
    text = str(rng.integers(1, 10))
    text += "".join(map(str, rng.integers(0, 10, digits - 1)))
    lines, corners = _placed(_outline(text, rng.choice(FONTS), rng), rng)
    a, b = (np.concatenate([line[part] for line in lines]) for part in (slice(-1), slice(1, None)))
    thick = rng.uniform(3.0, 8.5) / (1 + 0.15 * digits)
    ink, scene = _ink(a, b, thick, SIDE), _wall(rng)
    if rng.random() < 0.7:
        scene = _over(scene, _inside(corners), _colour(rng))
    ground = scene[16:48, 16:48].mean((0, 1))
    if rng.random() < 0.5:  # its shadow
        shift = np.rint(rng.uniform(-4, 4, 2)).astype(int)
        shade = np.roll(ink, shift, (0, 1))
        shade = _blurred(shade[..., None], 1.2)[..., 0]
        scene = _over(scene, 0.6 * shade, 0.0)
    scene = _over(scene, ink, _apart(rng, ground))
    slope = rng.normal(0, 0.15, 2) / SIDE  # light from one side
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    scene = scene * (1 + slope[0] * y + slope[1] * x)[..., None]
    scene = _blurred(scene, rng.uniform(0.5, 1.6))
    scene = scene + rng.normal(0, rng.uniform(0.002, 0.02), scene.shape)
    return np.rint(255 * np.clip(scene, 0, 1)).astype(np.uint8), text


# -- Paint a number --
def embedded_house_numbers(n: int = 600, split: str = "train") -> HouseNumbers:
    """Paint house numbers: walls, plates, digits, light. No files needed.

    Args:
        n: how many; the first 100 of 200 are the 100 of 100.
        split: "train", "valid" or "test": other houses for each.

    Returns:
        n pictures of 3 x 64 x 64 with numbers of one to four digits, the
        same ones at each call.

    Raises:
        ValueError: for an unknown split or fewer than one picture.

    Source: Hershey's fonts; cut out as Goodfellow et al. (2014).
    """
    _split("embedded_house_numbers", split)
    whole("embedded_house_numbers", n=n)
    parts = ("train", "valid", "test").index(split)
    pairs = [_house(np.random.default_rng([64, parts, i])) for i in range(n)]
    pixels = np.stack([picture for picture, _ in pairs]).transpose(0, 3, 1, 2)
    source = f"house numbers painted by the book, {split}"
    numbers = tuple(text for _, text in pairs)
    pixels = torch.from_numpy(np.ascontiguousarray(pixels))
    return HouseNumbers(pixels, None, source, numbers)


# -- Windows --
def windows(pixels: Tensor, side: int = 54, generator: torch.Generator | None = None) -> Tensor:
    """Cut a square window out of each image, all at once.

    Args:
        pixels: any type, shape (N, C, H, W).
        side: of the window, in pixels; at most H and W.
        generator: chooses the places; None: the middle.

    Returns:
        The windows, shape (N, C, side, side), type of `pixels`.

    Raises: ValueError if a window does not fit.

    Source: Goodfellow et al. (2014).
    """
    whole("windows", side=side)
    from_chance("windows", generator, needed=False)
    fine = isinstance(pixels, Tensor) and pixels.ndim == 4
    if not fine or side > min(pixels.shape[2:]):
        raise ValueError(f"windows: pixels are {told(pixels)}, expected (N, C, H, W), at least {side} x {side}")
    N, _, H, W = pixels.shape
    starts = (_starts(N, size - side, generator) for size in (H, W))
    y, x = (start[:, None] + torch.arange(side) for start in starts)
    n = torch.arange(N)[:, None, None]
    cut = pixels.permute(0, 2, 3, 1)[n, y[:, :, None], x[:, None, :]]
    return cut.permute(0, 3, 1, 2)


# -- Windows --
def _starts(n: int, room: int, generator) -> Tensor:
    """The first row or column of each window, (n,)."""
    if generator is None:
        return torch.full((n,), room // 2)
    where = generator.device
    first = torch.randint(room + 1, (n,), generator=generator, device=where)
    return first.cpu()


# -- Format 2: digits cut out --
def _mat(path: Path) -> dict[str, Any]:
    """X and y of a MATLAB file whose shapes were looked at before."""
    try:
        from scipy.io import loadmat, whosmat
    except ImportError as err:
        raise ImportError(
            'load_svhn reads .mat files through SciPy, which is missing: pip install "softattn[data]"'
        ) from err
    try:
        known = {name: shape for name, shape, _ in whosmat(path)}
        if max(map(math.prod, known.values()), default=0) > 2**31:
            raise ValueError(f"it unpacks to {known}")
        return loadmat(path, variable_names=["X", "y"])
    except NotImplementedError as err:
        raise ValueError(
            f"load_svhn: {path} is an HDF5 file (MATLAB 7.3), expected the cropped digits of format 2"
        ) from err
    except Exception as err:  # damaged: it may be anything
        kind = type(err).__name__
        raise ValueError(f"load_svhn: {path} is damaged or cut short ({kind}: {err}); get it again") from err


# -- Format 2: digits cut out --
def _svhn_arrays(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (N, 3, 32, 32), uint8, and labels 0 to 9 (N,), int64."""
    content = _mat(path)
    x, y = (np.asarray(content.get(key)) for key in ("X", "y"))
    shaped = x.ndim == 4 and x.shape[:3] == (32, 32, 3) and x.dtype == np.uint8
    if not shaped or y.size != x.shape[3] or y.dtype.kind not in "iuf":
        raise ValueError(
            f"load_svhn: {path} holds X {told(x)}, y {told(y)}, expected X uint8 (32, 32, 3, N) and y (N, 1)"
        )
    y = y.ravel()
    wrong = y[~np.isin(y, np.arange(1, 11))]  # 1.5 and NaN are among them
    if wrong.size:
        raise ValueError(f"load_svhn: {path} has labels such as {wrong[0]}, expected whole numbers from 1 to 10")
    pixels = np.ascontiguousarray(x.transpose(3, 2, 0, 1))
    return pixels, y.astype(np.int64) % 10


# -- Format 2: digits cut out --
def _cropped_digits(folder: Path, split: str, n: int | None) -> Images:
    path = folder / f"{split}_32x32.mat"
    if not path.is_file():
        raise FileNotFoundError(_svhn_missing(folder, split, 2))
    pixels, labels = (torch.from_numpy(a[:n]) for a in _svhn_arrays(path))
    return Images(pixels, labels, f"SVHN, {split}")


# -- Format 1: whole numbers --
PARTS = ("height", "left", "top", "width", "label")
MOST_DIGITS, MOST_HOUSES = 16, 500_000
MOST_FILE, MOST_MAT = 2**24, 2**28  # bytes: of a PNG, of digitStruct.mat


def _own_array(group: Any, where: Any, most: int) -> np.ndarray:
    """An array of an HDF5 file, flat, that lies in the file and is small.

    `where` is a name in the group, or a reference, which stays in the file.
    """
    import h5py

    if isinstance(where, str):
        link = group.get(where, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise ValueError(f"{where} is missing, or lies in another file")
    array = group[where]
    if not isinstance(array, h5py.Dataset):
        raise ValueError(f"{array.name} is a {type(array).__name__}, no array")
    if array.is_virtual or array.external:
        raise ValueError(f"{array.name} lies in another file; it is not read")
    size = array.size or 0  # None: it has no room
    if not 0 < size <= most or array.dtype.itemsize > 16:
        raise ValueError(f"{array.name} has {size} entries of {array.dtype}, expected 1 to {most} numbers")
    return array[()].ravel()


# -- Format 1: whole numbers --
def _five(file: Any, where: Any) -> dict[str, np.ndarray]:
    """Height, left, top, width and label of the digits of one house."""
    import h5py

    group, rows = file[where], {}
    if not isinstance(group, h5py.Group):
        raise ValueError("its bbox is no group")
    for part in PARTS:
        values = _own_array(group, part, MOST_DIGITS)
        if values.dtype == h5py.ref_dtype:
            values = np.concatenate([_own_array(file, v, 1) for v in values])
        rows[part] = values.astype(np.float64)
    if len({len(values) for values in rows.values()}) != 1:
        raise ValueError("its boxes and labels are not of one number")
    return rows


@dataclass(frozen=True)
class _House:
    """What digitStruct.mat says of one picture."""

    text: str
    box: tuple[float, float, float, float]  # left, top, right, bottom


# -- Format 1: whole numbers --
def _judged(rows: dict[str, np.ndarray]) -> _House:
    """The number, and the box around all its digits."""
    everything = np.stack([rows[part] for part in PARTS])
    if not np.isfinite(everything).all() or np.abs(everything).max() > 1e6:
        raise ValueError("a box is not finite, or far outside")
    height, left, top, width, label = everything
    if min(height.min(), width.min()) <= 0:
        raise ValueError("a box is empty")
    if not np.isin(label, np.arange(1, 11)).all():
        raise ValueError(f"labels {label.tolist()}, expected 1 to 10")
    digits = label[np.argsort(left, kind="stable")].astype(int) % 10
    right, bottom = (left + width).max(), (top + height).max()
    box = float(left.min()), float(top.min()), float(right), float(bottom)
    return _House("".join(map(str, digits)), box)


# -- Format 1: whole numbers --
def _entries(file: Any, skipped: dict[str, str]) -> dict[str, _House]:
    """What an open digitStruct.mat knows, by the names of the pictures."""
    import h5py

    link = file.get("digitStruct", getlink=True)
    if not isinstance(link, h5py.HardLink):
        raise ValueError("holds no digitStruct of its own")
    names, boxes = (_own_array(file["digitStruct"], part, MOST_HOUSES) for part in ("name", "bbox"))
    if len(names) != len(boxes):
        raise ValueError(f"{len(names)} names, {len(boxes)} boxes")
    found: dict[str, _House] = {}
    for k, (name, box) in enumerate(zip(names, boxes, strict=True)):
        called = f"entry {k + 1}"
        try:
            letters = _own_array(file, name, 32)
            called = "".join(chr(int(letter)) for letter in letters)
            if not re.fullmatch(r"\d{1,9}\.png", called):
                raise ValueError(f"is called {called!r}, no NUMBER.png")
            if called in found:
                raise ValueError("is named twice")
            found[called] = _judged(_five(file, box))
        except Exception as err:  # damaged: it may be anything
            skipped[called] = f"{err or type(err).__name__}"[:200]
    return found


# -- Format 1: whole numbers --
def _digit_struct(content: bytes, path: str, skipped) -> dict[str, _House]:
    """Read digitStruct.mat."""
    try:
        import h5py
    except ImportError as err:
        raise ImportError(
            'load_svhn reads digitStruct.mat through h5py, which is missing: pip install "softattn[data]"'
        ) from err
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            found = _entries(file, skipped)
    except Exception as err:  # damaged: it may be anything
        raise ValueError(
            f"load_svhn: {path} is no digitStruct.mat of SVHN, or damaged ({type(err).__name__}: {err})"
        ) from err
    return dict(sorted(found.items(), key=lambda item: int(item[0][:-4])))


# -- The crop --
MOST_PIXELS = 2**24


Box = tuple[float, float, float, float]  # left, top, right, bottom


def _grown(box: Box, width: int, height: int) -> Box:
    """The box, 30 % larger in both directions, cut off at the edges."""
    left, top, right, bottom = box
    x, y = (left + right) / 2, (top + bottom) / 2
    dx, dy = GROWN * (right - left) / 2, GROWN * (bottom - top) / 2
    left, top = max(0.0, x - dx), max(0.0, y - dy)
    right, bottom = min(float(width), x + dx), min(float(height), y + dy)
    if right - left < 1 or bottom - top < 1:
        raise ValueError(f"its box {box} lies outside the {width} x {height} picture")
    return left, top, right, bottom


# -- The crop --
def _square(png: bytes, box: Box) -> np.ndarray:
    """One crop, (SIDE, SIDE, 3), uint8, out of a PNG file."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(io.BytesIO(png), formats=["PNG"]) as picture:
            width, height = picture.size
            if width * height > MOST_PIXELS:
                raise ValueError(f"has {width} x {height} pixels, expected at most {MOST_PIXELS}")
            grown = _grown(box, width, height)
            small = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=grown)
    return np.asarray(small)


# -- Packed or unpacked --
Files = Iterator[tuple[str, bytes | str]]  # name; content, or what is wrong


def _packed_files(path: Path, wanted: Sequence[str]) -> Files:
    """The wanted files of a .tar.gz, in its order."""
    names = set(wanted)
    try:
        with open(path, "rb") as file, open_tar_gz(file) as tar:
            for member in safe_members(tar):
                name = Path(member.name).name
                if not member.isfile() or name not in names:
                    continue
                most = MOST_MAT if name.endswith(".mat") else MOST_FILE
                if member.size > most:
                    yield name, f"has {member.size} bytes; too large"
                    continue
                content = tar.extractfile(member)
                yield name, content.read() if content else b""
                names.discard(name)
                if not names:
                    return
    except (tarfile.TarError, EOFError, zlib.error, OSError) as err:
        raise ValueError(f"load_svhn: {path} is damaged or cut short ({err}); get it again") from err


# -- Packed or unpacked --
def _lying_files(folder: Path, wanted: Sequence[str]) -> Files:
    """The wanted files of a folder."""
    for name in wanted:
        most = MOST_MAT if name.endswith(".mat") else MOST_FILE
        try:
            yield name, read_file(folder / name, most)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as err:
            yield name, str(err)


# -- Packed or unpacked --
def _svhn_missing(folder: Path, split: str, format: int) -> str:
    """What to say where the files are not there."""
    cropped, packed = f"{split}_32x32.mat", f"{split}.tar.gz"
    there = [(folder / cropped).is_file(), _place(folder, split) is not None]
    other = f"That of format {3 - format} is; say format={3 - format}. "
    wanted = packed if format == 1 else cropped
    what = "whole numbers" if format == 1 else "the cropped digits"
    return (
        f"load_svhn: {folder / wanted} is not there. "
        f"{other if there[format - 1] else ''}Get {wanted}, {what} of "
        f"format {format}, from http://ufldl.stanford.edu/housenumbers "
        "and put it there, or set SOFTATTN_DATA to the folder above svhn/"
    )


def _place(folder: Path, split: str) -> Path | None:
    """Where format 1 is: its archive, or what that was unpacked to."""
    packed = folder / f"{split}.tar.gz"
    if packed.is_file():
        return packed
    places = folder / split, folder
    return next((p for p in places if (p / "digitStruct.mat").is_file()), None)


# -- Packed or unpacked --
def _whole_numbers(folder: Path, split: str, n: int | None) -> HouseNumbers:
    place = _place(folder, split)
    if place is None:
        raise FileNotFoundError(_svhn_missing(folder, split, 1))
    files = _lying_files if place.is_dir() else _packed_files
    skipped: dict[str, str] = {}
    _, table = next(files(place, ["digitStruct.mat"]), ("", b""))
    if isinstance(table, str) or not table:
        raise ValueError(f"load_svhn: {place} has no digitStruct.mat that can be read {table or ''}")
    houses = _digit_struct(table, f"{place}: digitStruct.mat", skipped)
    houses = dict(list(houses.items())[:n])
    return _cut_out(files(place, list(houses)), houses, skipped, split)


# -- Packed or unpacked --
def _cut_out(files, houses, skipped, split: str) -> HouseNumbers:
    """All crops in the order of their numbers, and what was skipped."""
    crops: dict[str, np.ndarray] = {}
    for name, content in files:
        try:
            if isinstance(content, str):
                raise ValueError(content)
            crops[name] = _square(content, houses[name].box)
        except Exception as err:  # damaged: it may be anything
            skipped[name] = f"{err or type(err).__name__}"[:200]
    for name in houses:
        if name not in crops:
            skipped.setdefault(name, "its picture is not there")
    names = [name for name in houses if name in crops]
    if not names:
        raise ValueError(f"load_svhn: not one picture of {split} could be read: {dict(list(skipped.items())[:3])}")
    pixels = np.stack([crops[name] for name in names]).transpose(0, 3, 1, 2)
    pixels = torch.from_numpy(np.ascontiguousarray(pixels))
    numbers = tuple(houses[name].text for name in names)
    source = f"SVHN, {split}, whole numbers"
    return HouseNumbers(pixels, None, source, numbers, skipped)


# -- One loader for both --
@overload
def load_svhn(
    split: str = ..., root: str | os.PathLike[str] | None = ..., format: Literal[2] = ..., n: int | None = ...
) -> Images: ...
@overload
def load_svhn(
    split: str = ..., root: str | os.PathLike[str] | None = ..., *, format: Literal[1], n: int | None = ...
) -> HouseNumbers: ...
@overload
def load_svhn(
    split: str = ..., root: str | os.PathLike[str] | None = ..., format: int = ..., n: int | None = ...
) -> Images: ...


# -- One loader for both --
def load_svhn(
    split: str = "train",
    root: str | os.PathLike[str] | None = None,
    format: int = 2,
    n: int | None = None,
) -> Images:
    """Read the house numbers of SVHN, in colour.

    Args:
        split: "train", "test" or "extra".
        root: folder with SPLIT_32x32.mat (format 2), or with SPLIT.tar.gz or
            what it unpacks to (format 1); None: SOFTATTN_DATA/svhn.
        format: 2 for digits cut out, 1 for whole numbers.
        n: the first so many; None: all.

    Returns:
        Format 2: Images of 3 x 32 x 32 with labels from 0 to 9. Format 1:
        HouseNumbers of 3 x 64 x 64; `skipped` says what cannot be read.

    Raises:
        ValueError, FileNotFoundError: if an argument or a file is not right.

    Source: Netzer et al. (2011); crops as Goodfellow et al. (2014).
    """
    _split("load_svhn", split, ("train", "test", "extra"))
    number = isinstance(format, (int, np.integer))
    if isinstance(format, bool) or not number or format not in (1, 2):
        raise ValueError(f"load_svhn: format is {told(format)}, expected 1, whole numbers, or 2, cropped digits")
    whole("load_svhn", n=1 if n is None else n)
    folder = _folder("load_svhn", root, "svhn")
    return (_whole_numbers, _cropped_digits)[int(format) - 1](folder, split, n)

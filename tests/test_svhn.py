"""House numbers: the painted ones, and SVHN's files in the layout in which users have them, written here."""

import io
import math
import os
import re
import tarfile
import zlib

import numpy as np
import pytest
import torch

from softattn import svhn as module
from softattn.images import Images
from softattn.svhn import HouseNumbers, embedded_house_numbers, load_svhn, windows


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path):
    """No data or cache but the test's own."""
    monkeypatch.delenv("SOFTATTN_DATA", raising=False)
    monkeypatch.setenv("SOFTATTN_CACHE", str(tmp_path / "cache"))


# -- painted -----------------------------------------------------------------------------------------------------------


def test_painted_numbers_are_the_same_each_time_and_differ_by_split():
    few, more = embedded_house_numbers(6), embedded_house_numbers(12)
    assert torch.equal(few.pixels, more.pixels[:6]) and few.numbers == more.numbers[:6]
    assert few.shape == (3, 64, 64) and few.pixels.dtype == torch.uint8 and few.labels is None
    others = embedded_house_numbers(6, "test")
    assert not torch.equal(few.pixels, others.pixels) and "painted" in few.source and "test" in others.source
    assert all(1 <= len(text) <= 4 and text.isdigit() and text[0] != "0" for text in more.numbers)


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_each_house_has_its_own_dice(split):
    """Stored weights learned from these houses: 64 pixels, the split's number and the house's seed the generator."""
    heap, number = embedded_house_numbers(2, split), ["train", "valid", "test"].index(split)
    for i in range(2):
        picture, text = module._house(np.random.default_rng([64, number, i]))
        assert heap.numbers[i] == text and np.array_equal(heap.pixels[i].numpy(), np.moveaxis(picture, 2, 0))


def test_digits_stand_out_from_what_they_stand_on():
    """The ink's pixels differ from the others in their middle: the number can be seen."""
    rng = np.random.default_rng(3)
    for _ in range(200):
        ground = rng.uniform(0, 1, 3)
        assert abs(module._apart(rng, ground).mean() - ground.mean()) > 0.2
    heap = embedded_house_numbers(40).floats()
    inner = heap[:, :, 10:54, 10:54].flatten(2)
    assert (inner.std(2).amax(1) > 0.06).all()


@pytest.mark.parametrize("text", ["1", "88", "107", "4420"])
def test_a_number_fills_the_middle_of_its_square(text):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        lines, corners = module._placed(module._outline(text, "timesr", rng), rng)
        points = np.concatenate(lines)
        low, high = points.min(0), points.max(0)
        assert np.allclose((low + high) / 2, 31.5)
        assert (high - low).max() == pytest.approx(64 / 1.3)
        assert corners.shape == (4, 2)


def test_a_view_keeps_straight_lines_straight():
    rng = np.random.default_rng(0)
    for _ in range(20):
        view = module._view(rng)
        start, way = rng.uniform(-1, 1, (2, 2))
        seen = module._seen(start + np.linspace(-0.3, 0.3, 5)[:, None] * way, view)
        steps = seen - seen[0]
        cross = steps[1:, 0] * steps[-1, 1] - steps[1:, 1] * steps[-1, 0]
        assert np.abs(cross).max() < 1e-9


def test_a_plate_lies_around_its_number(monkeypatch):
    """Seen from the front: a rectangle about the middle of the digits, by 0.12 to 0.6 of their longer half wider."""
    monkeypatch.setattr(module, "_view", lambda rng: np.eye(3))
    for seed in range(20):
        rng = np.random.default_rng(seed)
        lines, corners = module._placed(module._outline("123", "futural", rng), rng)
        ink = np.concatenate(lines)
        half, low, high = np.ptp(ink, axis=0) / 2, corners.min(0), corners.max(0)
        middle = np.full(2, (module.SIDE - 1) / 2)
        assert np.allclose((ink.min(0) + ink.max(0)) / 2, middle) and np.allclose((low + high) / 2, middle)
        assert np.allclose(corners, [low, (high[0], low[1]), high, (low[0], high[1])])
        assert np.allclose(half, module.SIDE / module.GROWN / 2)  # the square of 64 shows 1.3 times the number
        unit = half / (
            np.ptp(np.concatenate(module._outline("123", "futural", np.random.default_rng(seed))), axis=0) / 2
        )
        margin = ((high - low) / 2 - half) / unit  # in units of the outline
        longer = (half / unit).max()
        assert (margin > 0.12 * longer - 1e-9).all() and (margin < 0.6 * longer + 1e-9).all()


@pytest.mark.parametrize("share", [0.1, 0.25, 0.6, 0.9])
def test_bricks_have_joints_at_equal_distances(share):
    class Even:
        """Chance that is none: each number at the same share of its range, no noise."""

        def uniform(self, low, high):
            return low + share * (high - low)

        def normal(self, middle, width, size):
            return np.zeros(size)

        def exponential(self):
            return 0.0

        def random(self):
            return 0.0

    wall, light = module._wall(Even()), 0.1 + 0.8 * share
    pitch, at = 9 + 11 * share, 20 * share
    for y in range(module.SIDE):
        off = min(abs(y - at - n * pitch) for n in range(-9, 9))  # from the nearest joint
        assert np.allclose(wall[y], light + 0.25 * min(max(1.5 - off, 0), 1))


def test_inside_counts_the_pixels_of_a_square():
    corners = np.array([[9.5, 19.5], [29.5, 19.5], [29.5, 39.5], [9.5, 39.5]])
    mask = module._inside(corners)
    assert mask.sum() == pytest.approx(400) and mask[20:40, 10:30].min() == 1 and mask[:19].max() == 0
    assert module._inside(corners[::-1]).max() == 0  # the corners go round clockwise


def test_a_blur_keeps_what_is_even_and_equals_loops():
    rng = np.random.default_rng(1)
    flat = np.full((64, 64, 3), 0.3)
    assert np.allclose(module._blurred(flat, 2.0), flat)
    picture, sigma = rng.uniform(0, 1, (64, 64, 1)), 1.3
    weights = np.exp(-((np.arange(64)[:, None] - np.arange(64)) ** 2) / (2 * sigma**2))
    for y, x in ((0, 0), (30, 21), (63, 5)):
        w = weights[y][:, None] * weights[x]
        assert module._blurred(picture, sigma)[y, x, 0] == pytest.approx((w * picture[..., 0]).sum() / w.sum())


@pytest.mark.parametrize(
    ("n", "split", "says"),
    [
        (0, "train", "embedded_house_numbers: n is int 0, expected a whole number from 1"),
        (2.5, "train", "embedded_house_numbers: n is float 2.5"),
        (3, "extra", "embedded_house_numbers: split 'extra' is unknown, expected one of train, valid, test"),
    ],
)
def test_painting_refuses(n, split, says):
    with pytest.raises(ValueError, match=says):
        embedded_house_numbers(n, split)


# -- the heap, and windows ---------------------------------------------------------------------------------------------


def test_a_heap_keeps_pictures_and_texts_together():
    pixels = torch.arange(4 * 3 * 2 * 2, dtype=torch.uint8).reshape(4, 3, 2, 2)
    heap = HouseNumbers(pixels, None, "made", ("1", "02", "3", "4"), {"9.png": "cut"})
    assert heap[1:3].numbers == ("02", "3") and heap[torch.tensor([3, 0])].numbers == ("4", "1")
    assert heap[torch.tensor([True, False, False, True])].numbers == ("1", "4")
    assert heap[1:2].skipped == {"9.png": "cut"} and heap[1:2].source == "made"
    assert torch.equal(heap[torch.tensor([3, 0])].pixels, pixels[[3, 0]])
    assert heap.floats([1]).shape == (1, 3, 2, 2) and len(heap.batch(5, torch.Generator())) == 5
    for numbers in (("1",), ["1", "2", "3", "4"], None):
        with pytest.raises(ValueError, match="HouseNumbers: numbers are .* expected 4 texts in a tuple"):
            HouseNumbers(pixels, None, "", numbers)
    with pytest.raises(ValueError, match="pixels are float32"):
        HouseNumbers(torch.zeros(1, 3, 2, 2), None, "", ("1",))
    with pytest.raises(ValueError, match="chooses none of 4"):
        heap[torch.tensor([7])]


def test_windows_equal_slices():
    pixels = torch.randint(0, 256, (6, 3, 9, 11), dtype=torch.uint8)
    coins, again = (torch.Generator().manual_seed(2) for _ in range(2))
    cut = windows(pixels, 7, coins)
    y, x = torch.randint(3, (6,), generator=again), torch.randint(5, (6,), generator=again)
    for i in range(6):
        assert torch.equal(cut[i], pixels[i, :, y[i] : y[i] + 7, x[i] : x[i] + 7])
    assert cut.dtype == torch.uint8
    assert torch.equal(windows(pixels, 7), pixels[:, :, 1:8, 2:9])
    assert torch.equal(windows(pixels, 9), pixels[:, :, :, 1:10])
    places = windows(torch.arange(99).view(1, 1, 9, 11).expand(500, 1, 9, 11), 7, coins)[:, 0, 0, 0]
    assert set(places.tolist()) == {11 * r + c for r in range(3) for c in range(5)}  # all of them, also the last
    assert windows(pixels[:0], 7, coins).shape == (0, 3, 7, 7)


def test_windows_refuse():
    pixels = torch.zeros(2, 3, 9, 11)
    for arguments, says in [
        ((pixels, 10), r"windows: pixels are float32 \(2, 3, 9, 11\), expected \(N, C, H, W\), at least 10 x 10"),
        ((pixels, 0), "windows: side is int 0"),
        ((pixels[0], 4), r"windows: pixels are float32 \(3, 9, 11\), expected"),
        (("abc", 4), "windows: pixels are str 'abc'"),
        ((pixels, 4, 3), "windows: generator is int 3, expected a torch.Generator"),
    ]:
        with pytest.raises(ValueError, match=says):
            windows(*arguments)


# -- format 2 ----------------------------------------------------------------------------------------------------------


def svhn(path, n=7, **change):
    """A file of the format of SVHN's cropped digits."""
    scipy_io = pytest.importorskip("scipy.io")
    rng = np.random.default_rng(0)
    content = {
        "X": rng.integers(0, 256, (32, 32, 3, n), dtype=np.uint8),
        "y": np.arange(n, dtype=np.uint8)[:, None] % 10 + 1,
    }
    content |= change
    scipy_io.savemat(path, {k: v for k, v in content.items() if v is not None}, do_compression=True)
    return content


def test_svhn_axes_and_the_ten_that_is_a_zero(tmp_path):
    content = svhn(tmp_path / "train_32x32.mat", 12)
    got = load_svhn("train", tmp_path)
    assert got.shape == (3, 32, 32) and len(got) == 12 and got.source == "SVHN, train"
    for n, c, y, x in ((0, 0, 0, 0), (3, 1, 20, 5), (11, 2, 31, 30)):
        assert got.pixels[n, c, y, x] == content["X"][y, x, c, n]
    assert got.labels.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2]
    assert len(load_svhn("train", tmp_path, n=5)) == 5


def test_svhn_refuses(tmp_path):
    with pytest.raises(FileNotFoundError, match="test_32x32.mat is not there. Get test_32x32.mat, the cropped digits"):
        load_svhn("test", tmp_path)
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "digitStruct.mat").write_bytes(b"MATLAB 7.3 MAT-file")  # as the archive of format 1 unpacks
    with pytest.raises(FileNotFoundError, match="test_32x32.mat is not there. That of format 1 is; say format=1"):
        load_svhn("test", tmp_path)
    with pytest.raises(ValueError, match="split 'valid' is unknown, expected one of train, test, extra"):
        load_svhn("valid", tmp_path)
    path = tmp_path / "train_32x32.mat"
    svhn(path, X=np.zeros((28, 28, 3, 7), np.uint8))
    with pytest.raises(ValueError, match=r"uint8 \(28, 28, 3, 7\).*expected X uint8 \(32, 32, 3, N\)"):
        load_svhn("train", tmp_path)
    svhn(path, y=None)
    with pytest.raises(ValueError, match="expected X uint8"):
        load_svhn("train", tmp_path)
    svhn(path, y=np.arange(7)[:, None])
    with pytest.raises(ValueError, match="labels such as 0, expected whole numbers from 1 to 10"):
        load_svhn("train", tmp_path)
    for bad in (1.5, math.nan, 11.0, -1.0, math.inf):
        labels = np.full((7, 1), 2.0)
        labels[3] = bad
        svhn(path, y=labels)
        with pytest.raises(ValueError, match=f"labels such as {bad}, expected whole numbers from 1 to 10"):
            load_svhn("train", tmp_path)
    svhn(path, y=np.full((7, 1), 10.0))
    assert load_svhn("train", tmp_path).labels.tolist() == [0] * 7
    svhn(path)
    whole = path.read_bytes()
    for cut in (50, 400, len(whole) // 2, len(whole) - 3):
        path.write_bytes(whole[:cut])
        with pytest.raises(ValueError, match="damaged or cut short|expected X uint8"):
            load_svhn("train", tmp_path)
    head = b"MATLAB 7.3 MAT-file".ljust(124, b" ") + b"\x00\x02IM" + b"\x89HDF\r\n\x1a\n" + bytes(64)
    path.write_bytes(head)
    with pytest.raises(ValueError, match="is an HDF5 file"):
        load_svhn("train", tmp_path)


# -- format 1 ----------------------------------------------------------------------------------------------------------


def png(picture):
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


def boxed(left, top, width, height, label):
    return dict(height=height, left=left, top=top, width=width, label=label)


def digit_struct(path, houses, change=None):
    """digitStruct.mat as MATLAB writes it: houses is a list of (name, [rows]); references to everything."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w", userblock_size=512) as file:
        refs, names, boxes = file.create_group("#refs#"), [], []
        for k, (name, rows) in enumerate(houses):
            letters = np.array([[ord(c)] for c in name], "u2")
            names.append([refs.create_dataset(f"n{k}", data=letters).ref])
            group = refs.create_group(f"b{k}")
            for part in ("height", "label", "left", "top", "width"):
                values = [float(row[part]) for row in rows]
                if len(values) == 1:
                    group[part] = np.array([values])
                    continue
                held = [refs.create_dataset(f"{part}{k}-{i}", data=[[v]]).ref for i, v in enumerate(values)]
                group[part] = np.array([[r] for r in held], dtype=h5py.ref_dtype)
            boxes.append([group.ref])
        for part, values in (("name", names), ("bbox", boxes)):
            file.create_dataset(f"digitStruct/{part}", data=np.array(values, dtype=h5py.ref_dtype))
        if change:
            change(h5py, file)
    with open(path, "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")


RNG = np.random.default_rng(0)
HOUSES = {
    "1.png": (RNG.integers(0, 256, (40, 90, 3), np.uint8), [boxed(20, 10, 10, 20, 1), boxed(32, 11, 9, 20, 10)]),
    "2.png": (RNG.integers(0, 256, (50, 60, 3), np.uint8), [boxed(40, 5, 10, 30, 7)]),
    "10.png": (RNG.integers(0, 256, (33, 71, 3), np.uint8), [boxed(50, 5, 10, 20, 2), boxed(-3, 4, 9, 20, 10),
                                                             boxed(25, 5, 10, 20, 9)]),
}  # fmt: skip


def unpacked(folder, houses=HOUSES, change=None, split="train"):
    """A folder as train.tar.gz unpacks to."""
    place = folder / split
    place.mkdir(parents=True)
    digit_struct(place / "digitStruct.mat", [(name, rows) for name, (_, rows) in houses.items()], change)
    for name, (picture, _) in houses.items():
        (place / name).write_bytes(png(picture))
    (place / "see_bboxes.m").write_text("% MATLAB")
    return place


def packed(folder, names=None, split="train"):
    """The archive of such a folder, and nothing else."""
    place = folder / split
    with tarfile.open(folder / f"{split}.tar.gz", "w:gz") as tar:
        for path in [place, *(names or sorted(place.iterdir(), reverse=True))]:
            tar.add(path, path.relative_to(folder), recursive=False)
    for path in place.iterdir():
        path.unlink()
    place.rmdir()
    return folder / f"{split}.tar.gz"


def crop(picture, left, top, right, bottom):
    """The crop by a double loop over the square: each pixel a mean over triangles, as bilinear reduction has it."""
    out = np.zeros((64, 64, 3))
    spans = []
    for low, high, size in ((top, bottom, picture.shape[0]), (left, right, picture.shape[1])):
        scale = (high - low) / 64
        reach, rows = max(1.0, scale), []
        for k in range(64):
            centre = low + (k + 0.5) * scale
            places = np.arange(max(0, int(centre - reach + 0.5)), min(size, int(centre + reach + 0.5)))
            weight = np.clip(1 - np.abs((places + 0.5 - centre) / reach), 0, None)
            rows.append((places, weight / weight.sum()))
        spans.append(rows)
    for y, (ys, wy) in enumerate(spans[0]):
        for x, (xs, wx) in enumerate(spans[1]):
            out[y, x] = np.einsum("y,x,yxc->c", wy, wx, picture[np.ix_(ys, xs)].astype(float))
    return out


@pytest.mark.parametrize("archive", [True, False])
def test_the_real_layout_is_read(tmp_path, archive):
    unpacked(tmp_path)
    if archive:
        packed(tmp_path)
    got = load_svhn("train", tmp_path, format=1)
    assert isinstance(got, HouseNumbers) and got.numbers == ("10", "7", "092") and got.skipped == {}
    assert got.shape == (3, 64, 64) and got.source == "SVHN, train, whole numbers"
    boxes = {"1.png": (20, 10, 41, 31), "2.png": (40, 5, 50, 35), "10.png": (-3, 4, 60, 25)}
    for i, (name, (left, top, right, bottom)) in enumerate(boxes.items()):
        picture = HOUSES[name][0]
        x, y, dx, dy = (left + right) / 2, (top + bottom) / 2, 0.65 * (right - left), 0.65 * (bottom - top)
        edges = max(0, x - dx), max(0, y - dy), min(picture.shape[1], x + dx), min(picture.shape[0], y + dy)
        want = crop(picture, *edges)
        assert np.abs(got.pixels[i].permute(1, 2, 0).numpy() - want).max() <= 2  # bytes, rounded twice
    assert load_svhn("train", tmp_path, format=1, n=2).numbers == ("10", "7")
    with pytest.raises(FileNotFoundError, match="test.tar.gz is not there. Get test.tar.gz, whole numbers of format 1"):
        load_svhn("test", tmp_path, format=1)


def test_grey_and_transparent_pictures_are_read_too(tmp_path):
    houses = {
        "1.png": (np.full((30, 30), 90, np.uint8), [boxed(5, 5, 10, 10, 3)]),
        "2.png": (np.full((30, 30, 4), 90, np.uint8), [boxed(5, 5, 10, 10, 4)]),
    }
    unpacked(tmp_path, houses)
    got = load_svhn("train", tmp_path, format=1)
    assert got.numbers == ("3", "4") and set(got.pixels.unique().tolist()) == {90}


def test_one_bad_file_is_named_and_skipped(tmp_path):
    houses = {**HOUSES}
    for k in range(20, 32):
        houses[f"{k}.png"] = (np.zeros((20, 20, 3), np.uint8), [boxed(2, 2, 9, 9, 5)])
    houses["24.png"] = (houses["24.png"][0], [boxed(200, 2, 9, 9, 5)])
    houses["25.png"] = (houses["25.png"][0], [boxed(2, 2, 9, 9, 5), boxed(2, 2, 9, 9, 11)])
    houses["26.png"] = (houses["26.png"][0], [boxed(2, 2, 0, 9, 5)])
    houses["27.png"] = (houses["27.png"][0], [boxed(math.nan, 2, 3, 9, 5)])
    place = unpacked(tmp_path, houses)
    whole = (place / "20.png").read_bytes()
    (place / "20.png").write_bytes(whole[:40])
    (place / "21.png").unlink()
    (place / "22.png").unlink()
    (place / "22.png").mkdir()
    (place / "23.png").write_bytes(b"GIF89a" + bytes(40))
    broken = bytearray(png(RNG.integers(0, 256, (20, 20, 3), np.uint8)))
    broken[60] ^= 255
    (place / "28.png").write_bytes(broken)
    big = (30_000).to_bytes(4) * 2
    head = b"IHDR" + big + bytes([8, 2, 0, 0, 0])
    bomb = whole[:8] + (13).to_bytes(4) + head + zlib.crc32(head).to_bytes(4) + whole[33:]
    (place / "29.png").write_bytes(bomb)
    (place / "30.png").unlink()
    os.mkfifo(place / "30.png")
    got = load_svhn("train", tmp_path, format=1)
    assert got.numbers == ("10", "7", "092", "5")  # 31.png is whole
    reasons = {
        "20.png": "", "21.png": "its picture is not there", "22.png": "is not a file", "23.png": "cannot identify",
        "24.png": "lies outside the 20 x 20 picture", "25.png": r"labels \[5.0, 11.0\]", "26.png": "a box is empty",
        "27.png": "not finite", "28.png": "", "29.png": "pixels", "30.png": "is not a file",
    }  # fmt: skip
    assert set(got.skipped) == set(reasons)
    for name, why in reasons.items():
        assert got.skipped[name]
        assert re.search(why, got.skipped[name]), (name, got.skipped[name])


def test_entries_that_point_elsewhere_are_skipped(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(800))

    def change(h5py, file):
        group = file["#refs#/b0"]
        del group["left"]
        group.create_dataset("left", (1, 1), "f8", external=[(str(secret), 0, 8)])
        group = file["#refs#/b1"]
        del group["top"]
        group["top"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/top")

    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["top"] = [[1.0]]
    unpacked(tmp_path, change=change)
    got = load_svhn("train", tmp_path, format=1)
    assert got.numbers == ("092",) and set(got.skipped) == {"1.png", "2.png"}
    assert all("lies in another file" in why for why in got.skipped.values())


def test_odd_entries_are_skipped(tmp_path):
    def change(h5py, file):
        refs = file["#refs#"]
        evil = refs.create_dataset("evil", data=np.array([[ord(c)] for c in "../1.png"], "u2"))
        again = refs.create_dataset("again", data=np.array([[ord(c)] for c in "2.png"], "u2"))
        vast = refs.create_dataset("vast", (2**40,), "u1", chunks=(2**10,), compression="gzip")
        names, boxes = file["digitStruct/name"][:], file["digitStruct/bbox"][:]
        more = [evil.ref, again.ref, vast.ref, h5py.Reference(), boxes[0, 0]]
        del file["digitStruct/name"], file["digitStruct/bbox"]
        names = [*names.ravel(), *more]
        boxes = [*boxes.ravel(), *(len(more) * [boxes[0, 0]])]
        for part, values in (("name", names), ("bbox", boxes)):
            file[f"digitStruct/{part}"] = np.array([[v] for v in values], dtype=h5py.ref_dtype)

    unpacked(tmp_path, change=change)
    got = load_svhn("train", tmp_path, format=1)
    assert got.numbers == ("10", "7", "092")
    said = "; ".join(f"{name}: {why}" for name, why in got.skipped.items())
    for words in ("../1.png", "is named twice", "has 1099511627776 entries", "entry 7", "entry 8: .*no array"):
        assert re.search(words, said), said


def test_a_bad_list_is_an_error(tmp_path):
    place = unpacked(tmp_path)
    whole = (place / "digitStruct.mat").read_bytes()
    for content in (whole[:700], whole[:100], b"MATLAB 5.0 MAT-file".ljust(4000), whole[:1500] + bytes(3000)):
        (place / "digitStruct.mat").write_bytes(content)
        with pytest.raises(ValueError, match="is no digitStruct.mat of SVHN, or damaged"):
            load_svhn("train", tmp_path, format=1)
    (place / "digitStruct.mat").write_bytes(b"")
    with pytest.raises(ValueError, match="has no digitStruct.mat that can be read"):
        load_svhn("train", tmp_path, format=1)
    h5py = pytest.importorskip("h5py")
    (place / "digitStruct.mat").unlink()
    with h5py.File(place / "digitStruct.mat", "w") as file:
        file["other"] = 1
    with pytest.raises(ValueError, match="holds no digitStruct of its own"):
        load_svhn("train", tmp_path, format=1)
    with h5py.File(place / "digitStruct.mat", "w") as file:
        file["digitStruct"] = h5py.ExternalLink(str(tmp_path / "x.h5"), "/")
    with pytest.raises(ValueError, match="holds no digitStruct of its own"):
        load_svhn("train", tmp_path, format=1)
    for name in HOUSES:
        (place / name).unlink()
    (place / "digitStruct.mat").write_bytes(whole)
    with pytest.raises(ValueError, match="not one picture of train could be read"):
        load_svhn("train", tmp_path, format=1)


def test_a_bad_archive_is_an_error(tmp_path, monkeypatch):
    unpacked(tmp_path)
    path = packed(tmp_path)
    whole = path.read_bytes()
    for cut in (10, len(whole) // 2):
        path.write_bytes(whole[:cut])
        with pytest.raises(ValueError, match="train.tar.gz is damaged or cut short"):
            load_svhn("train", tmp_path, format=1)
    with tarfile.open(path, "w:gz") as tar:
        link = tarfile.TarInfo("train/digitStruct.mat")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(ValueError, match="archive refused: .*is a link"):
        load_svhn("train", tmp_path, format=1)
    with tarfile.open(path, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("train/1.png"))
    with pytest.raises(ValueError, match="has no digitStruct.mat"):
        load_svhn("train", tmp_path, format=1)
    path.write_bytes(whole)
    monkeypatch.setattr(module, "MOST_FILE", 9000)
    got = load_svhn("train", tmp_path, format=1)
    assert got.numbers == ("092",) and all("too large" in why for why in got.skipped.values())
    monkeypatch.setattr(module, "MOST_MAT", 1000)
    with pytest.raises(ValueError, match="has no digitStruct.mat that can be read has .* bytes; too large"):
        load_svhn("train", tmp_path, format=1)


@pytest.mark.parametrize("format", [0, 3, "1", None, True, 1.5])
def test_formats_that_are_none(tmp_path, format):
    with pytest.raises(ValueError, match="load_svhn: format is .*expected 1, whole numbers, or 2, cropped digits"):
        load_svhn("train", tmp_path, format=format)


def test_other_arguments_are_refused(tmp_path):
    with pytest.raises(ValueError, match="load_svhn: split 3 is unknown, expected one of train, test, extra"):
        load_svhn(3)
    with pytest.raises(ValueError, match="load_svhn: n is int 0"):
        load_svhn("train", tmp_path, n=0)
    with pytest.raises(ValueError, match="load_svhn: root is int 3, expected a folder"):
        load_svhn(root=3)
    with pytest.raises(FileNotFoundError, match="train.tar.gz is not there"):
        load_svhn(format=1)
    svhn(tmp_path / "train_32x32.mat")
    with pytest.raises(FileNotFoundError, match="That of format 2 is; say format=2"):
        load_svhn("train", tmp_path, format=1)
    assert type(load_svhn("train", tmp_path)) is Images


def test_without_the_libraries_the_message_says_what_to_install(tmp_path, monkeypatch):
    import sys

    unpacked(tmp_path)
    svhn(tmp_path / "train_32x32.mat")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r"h5py, which is missing: pip install .softattn\[data\]"):
        load_svhn("train", tmp_path, format=1)
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(ImportError, match=r"SciPy, which is missing: pip install"):
        load_svhn("train", tmp_path)

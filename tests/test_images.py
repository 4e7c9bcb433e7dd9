"""Oracle tests of softattn.images: loops, formats written here, mirrors that misbehave. No test opens a connection."""

import gzip
import hashlib
import io
import json
import math
import os
import socket
import struct

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from softattn import images
from softattn.images import (
    Images,
    binarise,
    cluttered,
    embedded_digits,
    fetch_checked,
    load_binarised,
    load_digits,
    load_mnist,
    rasterise,
    read_amat,
    read_idx,
)
from softattn.pen import EmbeddedWriter


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path, request):
    """No network in any test, and no data or cache but the test's own."""

    def refuse(*_):
        raise AssertionError("a test tried to open a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    if not request.node.get_closest_marker("data"):
        monkeypatch.delenv("SOFTATTN_DATA", raising=False)
    monkeypatch.setenv("SOFTATTN_CACHE", str(tmp_path / "cache"))


# -- from a pen to pixels ----------------------------------------------------------------------------------------------


def loop(a, b, thickness, size):
    """Ink by double loops and plain floats."""
    out = np.zeros((size, size))
    for y in range(size):
        for x in range(size):
            nearest = math.inf
            for (ax, ay), (bx, by) in zip(a, b, strict=True):
                length = (bx - ax) ** 2 + (by - ay) ** 2
                s = 0 if length == 0 else min(1, max(0, ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length))
                nearest = min(nearest, math.hypot(x - ax - s * (bx - ax), y - ay - s * (by - ay)))
            out[y, x] = min(1, max(0, thickness / 2 - nearest + 0.5))
    return out


def test_ink_equals_loops():
    rng = np.random.default_rng(0)
    a, b = rng.uniform(-2, 14, (2, 9, 2))
    b[3] = a[3]  # a dot
    assert np.abs(images._ink(a, b, 2.3, 12) - loop(a, b, 2.3, 12)).max() < 1e-5


def test_a_picture_is_fitted_and_centred():
    for seed in range(40):
        lines = EmbeddedWriter(seed).write(str(seed % 10)).polylines()
        ink = rasterise(lines, thickness=2.5)
        assert ink.dtype == np.float32 and ink.shape == (28, 28)
        assert 0 <= ink.min() and ink.max() <= 1
        inked = np.argwhere(ink >= 0.5)  # the ramp is 0.5 at the pen's edge
        assert 19 <= np.ptp(inked, axis=0).max() + 1 <= 21
        for axis in (0, 1):
            centre = (ink.sum(1 - axis) * np.arange(28)).sum() / ink.sum()
            assert abs(centre - 13.5) < 0.15
        edge = np.concatenate([ink[0], ink[-1], ink[:, 0], ink[:, -1]])
        assert edge.max() <= 0.5 + 1e-5


def test_scale_and_place_of_the_path_do_not_matter_but_its_shape_does():
    lines = EmbeddedWriter(5).write("5").polylines()
    base = rasterise(lines)
    assert np.abs(base - rasterise([7 * line + (900, -30) for line in lines])).max() < 1e-4
    assert np.abs(base - rasterise([line * (0.5, 1) for line in lines])).max() > 0.5
    assert np.abs(base[:, ::-1] - rasterise([line * (-1, 1) for line in lines])).max() < 1e-4  # a mirror
    assert rasterise(lines, 4.0).sum() > 1.3 * base.sum()


def test_a_dot_alone_is_a_disc_in_the_middle():
    ink = rasterise([np.array([[3.0, 4.0]])], thickness=5, size=11, box=10)
    want = loop([(5, 5)], [(5, 5)], 5, 11)
    assert np.abs(ink - want).max() < 1e-6


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=1, max_size=6),
    st.floats(0.5, 6),
)
def test_any_finite_path_gives_a_picture(points, thickness):
    ink = rasterise([np.array(points)], thickness)
    assert np.isfinite(ink).all() and 0 <= ink.min() and ink.max() <= 1
    assert ink.sum() > 0 or thickness < 1


@pytest.mark.parametrize(
    ("lines", "options", "says"),
    [
        ([], {}, "never touched the paper"),
        ([np.zeros((0, 2))], {}, "never touched the paper"),
        ([np.array([[0, np.nan]])], {}, "not a finite number"),
        ([np.zeros((2, 2))], {"thickness": 0}, "thickness=0"),
        ([np.zeros((2, 2))], {"thickness": 21}, "0 < thickness < box"),
        ([np.zeros((2, 2))], {"box": 29}, "rasterise: box is int 29, expected a number from 0 to 28"),
        ([np.zeros((2, 2))], {"box": math.nan}, "rasterise: box is float nan"),
        ([np.zeros((2, 2))], {"size": 0}, "rasterise: size is int 0"),
        ([np.zeros((2, 2))], {"size": 10**6, "box": 9}, "size=1000000; expected"),
        ([np.zeros((2, 2))], {"thickness": "thick"}, "rasterise: thickness is str 'thick'"),
        ([np.zeros((2, 3))], {}, r"rasterise: a line is no array .* it is float64 \(2, 3\)"),
        (["ab"], {}, "rasterise: a line is no array"),
        (7, {}, "rasterise: a line is no array"),
    ],
)
def test_rasterise_refuses(lines, options, says):
    with pytest.raises(ValueError, match=says):
        rasterise(lines, **options)


# -- the pen's digits --------------------------------------------------------------------------------------------------


def test_embedded_digits_are_the_same_each_time_and_differ_by_split():
    few, more = embedded_digits(20), embedded_digits(60)
    assert torch.equal(few.pixels, more.pixels[:20]) and torch.equal(few.labels, more.labels[:20])
    assert few.shape == (1, 28, 28) and "embedded" in few.source and "train" in few.source
    for other in ("valid", "test"):
        assert not torch.equal(few.pixels, embedded_digits(20, other).pixels)
    assert len({p.numpy().tobytes() for p in more.pixels}) == 60
    assert set(embedded_digits(200).labels.tolist()) == set(range(10))


def test_embedded_digits_have_the_look_of_mnist():
    x = embedded_digits(400).floats()
    assert abs(x.mean().item() - 0.1307) < 0.02 and abs(x.std().item() - 0.3081) < 0.03
    assert x[:, :, :2].max() < 0.7 and x.mean(0)[0, 13:15, 13:15].mean() > 0.2
    down = (x.sum((1, 3)) * torch.arange(28)).sum(1) / x.sum((1, 2, 3))
    assert (down - 13.5).abs().max() < 0.2


def test_embedded_digits_can_be_told_apart():
    """The nearest mean of the training digits names most test digits: labels and pictures belong together."""
    train, test = embedded_digits(600), embedded_digits(200, "test")
    means = torch.stack([train.floats(train.labels == d).mean(0).flatten() for d in range(10)])
    guess = torch.cdist(test.floats().flatten(1), means).argmin(1)
    assert (guess == test.labels).float().mean() > 0.6


@pytest.mark.parametrize(
    ("n", "split", "says"),
    [
        (0, "train", "embedded_digits: n is int 0, expected a whole number from 1"),
        (2.5, "train", "embedded_digits: n is float 2.5"),
        (10**30, "train", "embedded_digits: n is int 1000"),
        (3, "val1", "embedded_digits: split 'val1' is unknown, expected one of train, valid, test"),
        (3, None, "embedded_digits: split None is unknown"),
        (3, ["train"], r"embedded_digits: split \['train'\] is unknown"),
    ],
)
def test_embedded_digits_refuses(n, split, says):
    with pytest.raises(ValueError, match=says):
        embedded_digits(n, split)


# -- Images ------------------------------------------------------------------------------------------------------------


def test_images_floats_batches_and_slices(device):
    pixels = torch.arange(5 * 2 * 3 * 4, dtype=torch.uint8).reshape(5, 2, 3, 4).to(device)
    heap = Images(pixels, torch.arange(5, device=device), "made")
    assert heap.shape == (2, 3, 4) and len(heap) == 5
    assert heap.floats().dtype == torch.float32
    assert torch.equal((heap.floats([1, 3]) * 255).round().to(torch.uint8), pixels[[1, 3]])
    assert heap[1:3].labels.tolist() == [1, 2] and heap[1:3].source == "made"
    assert repr(heap) == "Images(5 of 2 x 3 x 4, with labels, source: made)"
    assert "no labels" in repr(Images(pixels))
    one, two = (heap.batch(7, torch.Generator().manual_seed(0)) for _ in range(2))
    assert torch.equal(one, two) and one.shape == (7, 2, 3, 4) and one.device == pixels.device
    seen = {v.item() for v in heap.batch(200, torch.Generator().manual_seed(1))[:, 0, 0, 0] * 255}
    assert {round(v) for v in seen} == {0, 24, 48, 72, 96}


def test_images_refuse():
    with pytest.raises(ValueError, match=r"pixels are float32 \(2, 28, 28\), expected uint8 \(N, C, H, W\)"):
        Images(torch.zeros(2, 28, 28))
    with pytest.raises(ValueError, match=r"expected uint8"):
        Images(torch.zeros(2, 1, 28, 28))
    with pytest.raises(ValueError, match=r"labels are float32 \(3,\), expected int64 \(2,\)"):
        Images(torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.zeros(3))
    empty = Images(torch.zeros(0, 1, 4, 4, dtype=torch.uint8))
    with pytest.raises(ValueError, match="3 images of 0"):
        empty.batch(3, torch.Generator())
    with pytest.raises(ValueError, match="Images.batch: n is int 0"):
        Images(torch.zeros(2, 1, 4, 4, dtype=torch.uint8)).batch(0, torch.Generator())
    two = Images(torch.zeros(2, 1, 4, 4, dtype=torch.uint8))
    for call, says in [
        (lambda: Images([[1]]), r"pixels are list \[\[1\]\], expected uint8"),
        (lambda: two.floats("a"), "Images: str 'a' chooses none of 2 images"),
        (lambda: two.floats([7]), r"Images: list \[7\] chooses none of 2"),
        (lambda: two.batch(1, 3), "Images.batch: generator is int 3, expected a torch.Generator"),
        (lambda: binarise([0.5], torch.Generator()), r"binarise: images are list \[0.5\], expected floats"),
        (
            lambda: binarise(two.pixels, torch.Generator()),
            r"binarise: images are uint8 \(2, 1, 4, 4\), expected floats",
        ),
        (lambda: binarise(two.floats(), None), "binarise: generator is NoneType None"),
        (lambda: read_idx("text"), "read_idx: content is str 'text', not bytes"),
        (lambda: load_mnist(root=3), "load_mnist: root is int 3, expected a folder"),
        (lambda: load_digits(None), "load_digits: source None is unknown"),
        (lambda: load_digits(n=True), "load_digits: n is bool True"),
    ]:
        with pytest.raises(ValueError, match=says):
            call()


# -- coins -------------------------------------------------------------------------------------------------------------


def test_coins_follow_the_grey(device):
    x = torch.rand(1, 40, generator=torch.Generator().manual_seed(0)).to(device)
    x[0, 0], x[0, 1] = 0.0, 1.0
    coins = binarise(x.expand(20_000, 40), torch.Generator().manual_seed(1))
    assert coins.dtype == x.dtype and coins.device == x.device
    assert set(coins.unique().tolist()) == {0.0, 1.0}
    error = (coins.mean(0) - x[0]).abs()
    assert (error <= 5 * (x[0] * (1 - x[0]) / 20_000).sqrt() + 1e-9).all()
    again = binarise(x.expand(20_000, 40), torch.Generator().manual_seed(1))
    assert torch.equal(coins, again)
    assert abs(np.corrcoef(coins[:, 3].cpu(), coins[:, 4].cpu())[0, 1]) < 5 / 20_000**0.5  # one coin each


@pytest.mark.parametrize("bad", [1.5, -0.1, math.nan])
def test_binarise_refuses_what_is_no_probability(bad):
    with pytest.raises(ValueError, match="expected 0 to 1"):
        binarise(torch.tensor([0.5, bad]), torch.Generator())


def test_binarise_of_nothing_is_nothing():
    assert binarise(torch.zeros(0, 1, 28, 28), torch.Generator()).shape == (0, 1, 28, 28)


# -- clutter -----------------------------------------------------------------------------------------------------------


def some_pictures(n=7, side=5, device="cpu"):
    pixels = torch.randint(256, (n, 1, side, side), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return Images(pixels.to(device), torch.arange(n, device=device) % 3)


def clutter_loop(images, n, seed, size, distractors, crop, digits):
    """The recipe canvas by canvas, scrap by scrap, pixel by pixel, ink cut after the scraps and after each digit."""
    generator, pictures = torch.Generator().manual_seed(seed), images.pixels[:, 0].cpu().numpy() / 255.0
    (N, S, _), draws = pictures.shape, []
    for side, count in ((crop, distractors), (S, digits)):
        which = torch.randint(N, (n, count), generator=generator).tolist()
        cut = torch.randint(S - side + 1, (n, count, 2), generator=generator).tolist()
        corner = torch.randint(size - side + 1, (n, count, 2), generator=generator).tolist()
        draws.append((side, which, cut, corner))
    canvases = np.zeros((n, size, size))
    for b in range(n):
        for part, (side, which, cut, corner) in enumerate(draws):
            for d in range(len(which[b])):
                for y in range(side):
                    for x in range(side):
                        ink = pictures[which[b][d]][cut[b][d][1] + y, cut[b][d][0] + x]
                        canvases[b, corner[b][d][1] + y, corner[b][d][0] + x] += ink
                if part == 1:
                    canvases[b] = np.minimum(canvases[b], 1)
            canvases[b] = np.minimum(canvases[b], 1)
    return canvases, draws[1][1], draws[1][3]


@pytest.mark.parametrize(
    ("size", "distractors", "crop", "digits"), [(11, 4, 3, 1), (5, 6, 2, 2), (9, 0, 5, 3), (16, 5, 5, 1)]
)
def test_clutter_equals_loops(device, size, distractors, crop, digits):
    pictures = some_pictures(device=device)
    got = cluttered(pictures, 6, torch.Generator().manual_seed(3), size, distractors, crop, digits)
    want, which, corners = clutter_loop(pictures, 6, 3, size, distractors, crop, digits)
    assert got.canvases.shape == (6, 1, size, size) and got.canvases.dtype == torch.float32
    np.testing.assert_allclose(got.canvases[:, 0].cpu().numpy(), want, atol=1e-6)
    assert got.labels.tolist() == [[k % 3 for k in row] for row in which] and got.corners.tolist() == corners
    assert got.canvases.device == got.labels.device == got.corners.device == pictures.pixels.device


def test_clutter_is_seeded_and_the_papers_sizes_are_the_defaults():
    pictures = embedded_digits(30)
    one, two = (cluttered(pictures, 3, torch.Generator().manual_seed(5)) for _ in range(2))
    same = cluttered(pictures, 3, torch.Generator().manual_seed(5), 100, 8, 8, 1)
    for a, b, c in zip(one, two, same, strict=True):
        assert torch.equal(a, b) and torch.equal(a, c)
    assert one.canvases.shape == (3, 1, 100, 100) and one.labels.shape == (3, 1) and one.corners.shape == (3, 1, 2)
    other = cluttered(pictures, 3, torch.Generator().manual_seed(6))
    assert not torch.equal(one.canvases, other.canvases)


def test_every_place_is_as_likely():
    """Chi-square over the corners: a place that is off by one would leave cells empty."""
    ones = Images(torch.full((1, 1, 2, 2), 255, dtype=torch.uint8), torch.zeros(1, dtype=torch.int64))
    n = 20_000
    got = cluttered(ones, n, torch.Generator().manual_seed(0), size=5, distractors=0)
    counts = torch.bincount((got.corners[:, 0, 1] * 4 + got.corners[:, 0, 0]), minlength=16).double()
    chi = ((counts - n / 16).square() / (n / 16)).sum().item()
    assert len(counts) == 16 and chi < 45  # 15 degrees of freedom: one seed in ten thousand
    ink = got.canvases.sum((0, 1))
    assert ink[0, 0] < ink[2, 2] and (ink > 0).all()  # to the very edges


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (dict(images=torch.zeros(2, 1, 5, 5)), "expected Images with labels"),
        (dict(images=Images(torch.zeros(2, 1, 5, 5, dtype=torch.uint8))), "expected Images with labels"),
        (dict(images=Images(torch.zeros(2, 3, 5, 5, dtype=torch.uint8), torch.zeros(2).long())), "grey squares"),
        (dict(images=Images(torch.zeros(2, 1, 5, 4, dtype=torch.uint8), torch.zeros(2).long())), "grey squares"),
        (dict(images=Images(torch.zeros(0, 1, 5, 5, dtype=torch.uint8), torch.zeros(0).long())), "one at least"),
        (dict(size=4), "crop <= 5 <= size"),
        (dict(crop=6), "crop <= 5 <= size"),
        (dict(crop=0), "crop is int 0"),
        (dict(n=0), "n is int 0"),
        (dict(digits=0), "digits is int 0"),
        (dict(digits=True), "digits is bool True"),
        (dict(distractors=-1), "distractors is int -1"),
        (dict(distractors=2.5), "distractors is float 2.5"),
        (dict(size=100_000, n=10), "ask for fewer at a time"),
        (dict(generator=None), "expected a torch.Generator"),
    ],
)
def test_cluttered_refuses(change, says):
    usual = dict(images=some_pictures(), n=2, generator=torch.Generator(), size=9, distractors=2, crop=3, digits=1)
    with pytest.raises(ValueError, match=says):
        cluttered(**{**usual, **change})


# -- idx ---------------------------------------------------------------------------------------------------------------


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.mark.parametrize("shape", [(5,), (2, 3, 4), (0, 28, 28), (300, 2)])
def test_read_idx_reads_what_was_written(shape):
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    assert np.array_equal(read_idx(idx(array)), array) and read_idx(idx(array)).shape == shape


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "begins with nothing"),
        (b"PK\x03\x04", "begins with 50 4b 03 04, expected 00 00 08"),
        (b"\x00\x00\x0d\x01\x00\x00\x00\x00", "no idx file of bytes"),
        (b"\x00\x00\x08\x03\x00\x00", "ends inside its head"),
        (idx(np.zeros((3, 4), np.uint8))[:-1], "has 23 bytes, not the 24 of its head"),
        (idx(np.zeros((3, 4), np.uint8)) + b"x", "has 25 bytes, not the 24 of its head"),
        (bytes([0, 0, 8, 2]) + b"\xff" * 8, "of its head"),
    ],
)
def test_read_idx_refuses(content, says):
    with pytest.raises(ValueError, match=says):
        read_idx(content, "it")


# -- mirrors -----------------------------------------------------------------------------------------------------------

CONTENT = b"the right content" * 50
MD5 = hashlib.md5(CONTENT).hexdigest()
GOOD = gzip.compress(CONTENT)


def server(answers):
    """A fetch that answers by mirror: bytes, or an exception to raise. It keeps the addresses that were asked."""

    def fetch(url, path):
        fetch.asked.append(url)
        answer = answers[url.rpartition("/")[0]]
        if isinstance(answer, Exception):
            with open(path, "wb") as file:
                file.write(b"half")  # what a broken connection leaves
            raise answer
        with open(path, "wb") as file:
            file.write(answer)

    fetch.asked = []
    return fetch


def test_a_bad_mirror_is_named_and_the_next_one_asked(tmp_path, capsys):
    fetch = server(
        {
            "http://cut": GOOD[:-9],
            "http://wrong": gzip.compress(CONTENT[::-1]),
            "http://html": b"<html>Not found</html>",
            "http://down": OSError("unreachable"),
            "http://good": gzip.compress(CONTENT, mtime=1),
        }
    )
    mirrors = ["http://cut", "http://wrong/", "http://html", "http://down", "http://good"]
    assert fetch_checked("f.gz", MD5, mirrors, tmp_path / "new", fetch) == CONTENT
    assert fetch.asked == [f"{m.rstrip('/')}/f.gz" for m in mirrors]
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["f.gz"]
    said = capsys.readouterr().out
    assert "http://cut/f.gz: damaged or cut short" in said
    assert "http://wrong/f.gz: not the expected file: md5" in said and MD5 in said
    assert fetch_checked("f.gz", MD5, ["http://never"], tmp_path / "new", fetch) == CONTENT  # from the folder
    assert len(fetch.asked) == 5


def test_where_no_mirror_is_good_nothing_is_left(tmp_path):
    fetch = server({"http://a": GOOD[:40], "http://b": OSError("no route")})
    with pytest.raises(
        ConnectionError, match=r"f.gz: no mirror gave it \(http://a/f.gz: damaged .*; http://b/f.gz: OSError\)"
    ):
        fetch_checked("f.gz", MD5, ["http://a", "http://b"], tmp_path, fetch)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_folder_that_went_bad_is_replaced(tmp_path, capsys):
    (tmp_path / "f.gz").write_bytes(GOOD[:-1])
    assert fetch_checked("f.gz", MD5, ["http://a"], tmp_path, server({"http://a": GOOD})) == CONTENT
    assert (tmp_path / "f.gz").read_bytes() == GOOD
    said = capsys.readouterr().out
    assert f"{tmp_path / 'f.gz'}: damaged or cut short" in said and said.endswith("; replaced\n")


def test_an_own_file_is_kept_until_something_whole_can_take_its_place(tmp_path):
    own = GOOD[:-1]
    (tmp_path / "f.gz").write_bytes(own)
    fetch = server({"http://a": OSError("down"), "http://b": GOOD[:20]})
    with pytest.raises(ConnectionError, match="f.gz: damaged or cut short after .* http://a/f.gz: OSError"):
        fetch_checked("f.gz", MD5, ["http://a", "http://b"], tmp_path, fetch)
    assert (tmp_path / "f.gz").read_bytes() == own and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("name", ["f-idx3-ubyte", "f.idx3-ubyte", "f-idx3-ubyte.gz"])
@pytest.mark.parametrize("packed", [True, False])
def test_own_files_are_read_packed_or_not_by_one_digest(tmp_path, name, packed):
    fetch = server({})
    (tmp_path / name).write_bytes(GOOD if packed else CONTENT)
    assert fetch_checked("f-idx3-ubyte.gz", MD5, [], tmp_path, fetch) == CONTENT
    (tmp_path / name).write_bytes(CONTENT[::-1])
    with pytest.raises(ConnectionError, match="not the expected file: md5"):
        fetch_checked("f-idx3-ubyte.gz", MD5, [], tmp_path, fetch)
    assert (tmp_path / name).read_bytes() == CONTENT[::-1]


def test_a_good_unpacked_file_stands_in_for_a_bad_packed_one(tmp_path):
    (tmp_path / "f-idx3-ubyte.gz").write_bytes(GOOD[:9])
    (tmp_path / "f-idx3-ubyte").write_bytes(CONTENT)
    assert fetch_checked("f-idx3-ubyte.gz", MD5, [], tmp_path, server({})) == CONTENT


def test_a_bomb_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "MOST", 10_000)
    bomb = gzip.compress(bytes(5_000_000))
    fetch = server({"http://bomb": bomb, "http://good": GOOD})
    assert fetch_checked("f.gz", MD5, ["http://bomb", "http://good"], tmp_path, fetch) == CONTENT
    (tmp_path / "f.gz").write_bytes(bomb)
    with pytest.raises(ConnectionError, match="holds more than 10000 bytes; it is not read on"):
        fetch_checked("f.gz", MD5, [], tmp_path, fetch)


@pytest.mark.parametrize("kind", ["pipe", "zero", "folder"])
@pytest.mark.parametrize("download", [True, False])
def test_what_is_no_file_is_refused_and_never_waited_for(tmp_path, kind, download, capsys):
    for name in images._MNIST["test"][::2]:
        place = tmp_path / name
        if kind == "pipe":
            os.mkfifo(place)
        elif kind == "zero":
            place.symlink_to("/dev/zero")
        else:
            place.mkdir()
    with pytest.raises(FileNotFoundError, match="no regular file; it is not read"):
        load_mnist("test", tmp_path, download, fetch=lambda url, path: pytest.fail("it was asked for"))
    assert len(load_digits("mnist", "test", 2, tmp_path, fetch=lambda url, path: None)) == 2
    assert "no regular file" in capsys.readouterr().out
    with pytest.raises(FileNotFoundError, match="holds neither"):
        (tmp_path / "binarized_mnist.npz").symlink_to("/dev/zero")
        load_binarised("test", tmp_path)


def test_without_a_home_folder_the_pen_stands_in(monkeypatch, capsys):
    def nobody():
        raise RuntimeError("Could not determine home directory.")

    for name in ("SOFTATTN_CACHE", "SOFTATTN_DATA", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(images, "_cache_folder", nobody)
    assert torch.equal(load_digits("mnist", n=3).pixels, embedded_digits(3).pixels)
    assert "no home folder" in capsys.readouterr().out
    with pytest.raises(FileNotFoundError, match="load_binarised: no home folder .* set SOFTATTN_DATA or SOFTATTN_C"):
        load_binarised()


def test_pooch_is_what_fetches(monkeypatch):
    pooch = pytest.importorskip("pooch")
    seen = {}

    class Fake:
        def __init__(self, **options):
            seen.update(options)

        def __call__(self, url, path, manager):
            seen["asked"] = (url, path, manager)

    monkeypatch.setattr(pooch, "HTTPDownloader", Fake)
    images._pooch_fetch(True)("http://a/f", "/tmp/f")
    assert seen["progressbar"] is True and seen["timeout"] > 0 and seen["asked"] == ("http://a/f", "/tmp/f", None)


# -- MNIST -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_mnist(monkeypatch, tmp_path):
    """Files of MNIST's format and names, with fingerprints of their own: 60,000 and 10,000 of one byte each."""
    rng, files, table = np.random.default_rng(0), {}, {}
    for split, n in (("train", 60_000), ("test", 10_000)):
        x, y = rng.integers(0, 256, (n, 1, 1), dtype=np.uint8), rng.integers(0, 10, n, dtype=np.uint8)
        row = []
        for name, array in zip(images._MNIST[split][::2], (x, y), strict=True):
            files[name] = gzip.compress(idx(array), 1)
            row += [name, hashlib.md5(idx(array)).hexdigest()]
        table[split] = (*row, x, y)
    monkeypatch.setattr(images, "_MNIST", {k: v[:4] for k, v in table.items()})
    return files, table


def test_mnist_is_split_and_comes_from_the_first_good_mirror(small_mnist, tmp_path):
    files, table = small_mnist
    asked = []

    def fetch(url, path):
        asked.append(url)
        with open(path, "wb") as file:
            file.write(files[url.rpartition("/")[2]])

    train = load_mnist("train", tmp_path, fetch=fetch)
    valid = load_mnist("valid", tmp_path, fetch=fetch)
    test = load_mnist("test", tmp_path, fetch=fetch)
    assert [len(part) for part in (train, valid, test)] == [50_000, 10_000, 10_000]
    assert len(asked) == 4 and all(url.startswith(images.MNIST_MIRRORS[0]) for url in asked)
    x, y = table["train"][4:]
    assert np.array_equal(train.pixels[:, 0].numpy(), x[:50_000]) and np.array_equal(valid.labels.numpy(), y[50_000:])
    assert np.array_equal(test.pixels[:, 0].numpy(), table["test"][4])
    assert test.labels.dtype == torch.int64 and "test" in test.source


def test_mnist_lies_under_softattn_data_or_in_the_cache(small_mnist, tmp_path, monkeypatch):
    files, _ = small_mnist

    def fetch(url, path):
        with open(path, "wb") as file:
            file.write(files[url.rpartition("/")[2]])

    load_mnist("test", fetch=fetch)
    assert (tmp_path / "cache" / "mnist" / "t10k-images-idx3-ubyte.gz").is_file()
    monkeypatch.setenv("SOFTATTN_DATA", str(tmp_path / "data"))
    load_mnist("test", fetch=fetch)
    assert (tmp_path / "data" / "mnist" / "t10k-images-idx3-ubyte.gz").is_file()


def test_mnist_without_download_asks_no_server(small_mnist, tmp_path):
    files, _ = small_mnist
    with pytest.raises(FileNotFoundError, match="is not there; allow download=True, or set SOFTATTN_DATA"):
        load_mnist("test", tmp_path, download=False)
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(files["t10k-images-idx3-ubyte.gz"][:99])
    with pytest.raises(FileNotFoundError, match="damaged or cut short"):
        load_mnist("test", tmp_path, download=False)
    with pytest.raises(ValueError, match="load_mnist: split 'val1' is unknown"):
        load_mnist("val1")


@pytest.mark.parametrize("before", ["-", "."])
def test_mnist_is_read_where_it_lies_unpacked(small_mnist, tmp_path, before):
    files, table = small_mnist
    for name, packed in files.items():
        plain = name.removesuffix(".gz").replace("-idx", f"{before}idx")
        (tmp_path / plain).write_bytes(gzip.decompress(packed))
    test = load_mnist("test", tmp_path, download=False)
    assert np.array_equal(test.pixels[:, 0].numpy(), table["test"][4])


def test_no_network_means_the_pen_and_one_line(tmp_path, capsys):
    def fetch(url, path):
        raise OSError("unreachable")

    got = load_digits("mnist", "test", 5, tmp_path, fetch=fetch)
    assert torch.equal(got.pixels, embedded_digits(5, "test").pixels) and "embedded" in got.source
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and "using digits of the embedded pen writer instead" in said
    assert list(tmp_path.iterdir()) == []


def test_load_digits_chooses(small_mnist, tmp_path, capsys):
    files, table = small_mnist
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    got = load_digits("mnist", n=3, root=tmp_path)
    assert got.source == "MNIST, train" and np.array_equal(got.pixels[:, 0].numpy(), table["train"][4][:3])
    assert load_digits(n=4).source == embedded_digits(4).source and len(load_digits(n=4)) == 4
    assert capsys.readouterr().out == ""
    with pytest.raises(ValueError, match="source 'cifar' is unknown"):
        load_digits("cifar")
    with pytest.raises(ValueError, match="load_digits: n is int 0"):
        load_digits(n=0)
    with pytest.raises(FileNotFoundError, match="Nothing|holds neither"):
        load_digits("binarised", root=tmp_path)


# -- the fixed binarisation --------------------------------------------------------------------------------------------


@pytest.fixture
def bits(monkeypatch):
    """30 rows of 784 bits, taken for Larochelle's set."""
    rows = np.random.default_rng(0).integers(0, 2, (30, 784), dtype=np.uint8)
    packed = np.packbits(rows, axis=1)
    monkeypatch.setattr(images, "_BINARISED", {"valid": (30, hashlib.md5(packed.tobytes()).hexdigest())})
    return rows, packed


def amat(rows, end="\n"):
    return end.join(" ".join(map(str, row)) for row in rows) + end


@pytest.mark.parametrize("end", ["\n", "\r\n", " \n"])
def test_amat_and_packed_are_one_set(bits, tmp_path, end):
    rows, packed = bits
    want = torch.from_numpy(rows.reshape(-1, 1, 28, 28) * np.uint8(255))
    (tmp_path / "binarized_mnist_valid.amat").write_text(amat(rows, end), newline="")
    text = load_binarised("valid", tmp_path)
    np.savez(tmp_path / "binarized_mnist.npz", valid=packed)
    both = load_binarised("valid", tmp_path)
    assert torch.equal(text.pixels, want) and torch.equal(both.pixels, want)
    assert text.labels is None and "fixed" in text.source
    assert set(text.floats().unique().tolist()) == {0.0, 1.0}


def test_amat_without_a_last_line_break(bits, tmp_path):
    rows, _ = bits
    (tmp_path / "a.amat").write_text(amat(rows)[:-1])
    assert np.array_equal(read_amat(tmp_path / "a.amat"), rows)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t[:-200], "line 30 has 684 numbers, expected 784: cut short"),
        (lambda t: t.replace("1", "2", 1), "holds '2', expected zeros and ones"),
        (lambda t: "", "line 1 has 0 numbers"),
        (lambda t: "\n" + t, "line 1 has 0 numbers"),
        (lambda t: t[: len(t) // 30 * 12], "not Larochelle's valid set"),
    ],
)
def test_a_damaged_amat_is_refused(bits, tmp_path, change, says):
    (tmp_path / "binarized_mnist_valid.amat").write_text(change(amat(bits[0])))
    with pytest.raises(ValueError, match=says):
        load_binarised("valid", tmp_path)


def test_other_bits_are_refused(bits, tmp_path):
    packed = bits[1].copy()
    packed[3, 5] ^= 4
    np.savez(tmp_path / "binarized_mnist.npz", valid=packed)
    with pytest.raises(ValueError, match="is not Larochelle's valid set"):
        load_binarised("valid", tmp_path)
    (tmp_path / "binarized_mnist.npz").write_bytes(b"PK\x03\x04 and then nothing")
    with pytest.raises(ValueError, match="is damaged"):
        load_binarised("valid", tmp_path)
    with pytest.raises(FileNotFoundError, match="holds neither binarized_mnist.npz nor binarized_mnist_valid.amat"):
        load_binarised("valid", tmp_path / "empty")
    with pytest.raises(ValueError, match="split 'dev' is unknown"):
        load_binarised("dev", tmp_path)


@pytest.mark.data
def test_the_real_files_are_what_the_fingerprints_say(monkeypatch):
    sizes = {"train": 50_000, "valid": 10_000, "test": 10_000}
    monkeypatch.setattr(images, "_pooch_fetch", lambda progress: pytest.fail("the data folder lacks a file"))
    for split, n in sizes.items():
        fixed, grey = load_binarised(split), load_mnist(split, download=False)
        assert len(fixed) == len(grey) == n
        assert abs(fixed.floats().mean() - grey.floats().mean()) < 0.0025  # other draws of the 60,000
    grey = load_mnist("train", download=False)
    whole = np.concatenate([grey.pixels.numpy(), load_mnist("valid", download=False).pixels.numpy()]) / 255
    assert abs(whole.mean() - 0.1307) < 5e-5 and abs(whole.std() - 0.3081) < 5e-5  # the two numbers of the chapter
    assert grey.labels[:5].tolist() == [5, 0, 4, 1, 9]


# -- the demo ----------------------------------------------------------------------------------------------------------


@pytest.mark.browser
def test_demo_computes_what_python_does():
    from playwright.sync_api import sync_playwright

    from softattn.pictures import demo_html

    paths = [
        [(line / 400).round(3).tolist() for line in EmbeddedWriter(d, slant=0).write(str(d)).polylines()]
        for d in range(10)
    ]
    with sync_playwright() as play:
        flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=flags.split())
        page = browser.new_page(viewport={"width": 390, "height": 800})
        page.set_content(demo_html("images", paths=paths, digit=3, thickness=2.5, slant=0.0, size=28))
        demo = page.locator(".softattn-demo[data-demo=images]").first
        page.wait_for_function("document.querySelector('.softattn-demo').dataset.numbers")
        moves = [None, ("digit", 8), ("slant", 0.4), ("thickness of the pen", 4.2), ("cells", 17)]
        for move in moves:
            if move:
                demo.locator("label", has_text=move[0]).locator("input").fill(str(move[1]))
            n = json.loads(demo.get_attribute("data-numbers"))
            lean = [np.array(line) * (1, 1) for line in paths[n["digit"]]]
            lean = [np.stack([line[:, 0] - n["slant"] * line[:, 1], line[:, 1]], 1) for line in lean]
            want = rasterise(lean, n["thickness"] * n["size"] / 28, n["size"])
            assert np.abs(np.reshape(n["pixels"], want.shape) - want).max() < 1e-4
            assert n["mean"] == pytest.approx(want.mean(), abs=1e-5)
        assert (n["digit"], n["slant"], n["thickness"], n["size"]) == (8, 0.4, 4.2, 17)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        browser.close()


def test_nothing_is_downloaded_at_import():
    """The module names mirrors; nothing but a call of load_mnist or load_digits("mnist") asks them."""
    import subprocess
    import sys

    code = (
        "import socket, sys\nsocket.socket.connect = None\nimport softattn.images\n"
        "assert 'pooch' not in sys.modules and 'scipy' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout == "" and done.stderr == "", done.stderr


def test_numpy_savez_of_the_packed_file_is_read_by_name(bits, tmp_path):
    """A packed file without the split asked for is damaged, not silently another split."""
    file = io.BytesIO()
    np.savez(file, train=bits[1])
    (tmp_path / "binarized_mnist.npz").write_bytes(file.getvalue())
    with pytest.raises(ValueError, match="is damaged"):
        load_binarised("valid", tmp_path)

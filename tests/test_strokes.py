"""The chapter `strokes`: the class, its files, the batch, the statistics."""

import json
import xml.etree.ElementTree as ET
from dataclasses import replace

import matplotlib
import matplotlib.image
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from softattn.strokes import Strokes, pad, stroke_statistics

matplotlib.use("agg")

PLUS = torch.tensor([[0.0, 0, 0], [0, 40, 0], [0, 40, 1], [-30, -45, 0], [60, 0, 1]])


def rows(*points):
    return torch.tensor(points, dtype=torch.float32)


# ---- Strokes


def test_fields():
    line = Strokes(PLUS, "+", "here", torch.zeros(5))
    assert line.offsets.dtype == torch.float32 and line.char_index.dtype == torch.int64
    assert (line.text, line.source, len(line)) == ("+", "here", 5)
    assert repr(line) == "Strokes('+', 5 points, 2 strokes, source='here')"


@pytest.mark.parametrize(
    ("offsets", "message"),
    [
        (torch.zeros(5, 2), r"shape \(5, 2\), expected \(T, 3\)"),
        (torch.zeros(5), r"shape \(5,\), expected \(T, 3\)"),
        (torch.zeros(0, 3), "no points"),
        (rows((0, 0, 0), (float("nan"), 0, 1)), "row 1 is .*nan.*finite"),
        (rows((0, 0, 0), (0, float("inf"), 1)), "row 1 is .*inf.*finite"),
        (rows((0, 0, 0.5), (1, 1, 1)), "end of stroke in row 0 is 0.5, expected 0 or 1"),
        (rows((0, 0, 0), (1, 1, 0)), "last row must have end = 1"),
        (rows((3, 4, 0), (1, 1, 1)), "row 0 is .*from_absolute"),
    ],
)
def test_bad_offsets(offsets, message):
    with pytest.raises(ValueError, match=message):
        Strokes(offsets)


def test_bad_char_index():
    with pytest.raises(ValueError, match=r"char_index has shape \(4,\), expected one per point: \(5,\)"):
        Strokes(PLUS, "+", char_index=torch.zeros(4))
    with pytest.raises(ValueError, match="char_index runs from 0 to 1, but the text '\\+'"):
        Strokes(PLUS, "+", char_index=torch.tensor([0, 0, 0, 1, 1]))
    with pytest.raises(ValueError, match="char_index runs from -1"):
        Strokes(PLUS, "+", char_index=torch.tensor([0, 0, 0, -1, 0]))


points_and_ends = st.lists(
    st.tuples(st.integers(-10_000, 10_000), st.integers(-10_000, 10_000), st.integers(0, 1)), min_size=1, max_size=60
)


@given(points_and_ends)
@settings(max_examples=60, deadline=None)
def test_absolute_and_back_is_exact(points):
    points = torch.tensor(points)
    line = Strokes.from_absolute(points[:, :2], points[:, 2], "x")
    assert line == Strokes.from_absolute(points, text="x") == Strokes(line.offsets.numpy(), "x")
    back = line.to_absolute()
    assert back.shape == (len(points), 3)
    assert torch.equal(back[:, :2].long(), points[:, :2] - points[0, :2])
    assert torch.equal(back[:-1, 2].long(), points[:-1, 2]) and back[-1, 2] == 1
    pieces = line.polylines()
    assert len(pieces) == int(line.offsets[:, 2].sum())
    assert np.array_equal(np.concatenate(pieces), back[:, :2].numpy())


@pytest.mark.parametrize(
    ("points", "ends", "message"),
    [
        (torch.zeros(3, 4), torch.zeros(3), r"points have shape \(3, 4\)"),
        (torch.zeros(3, 2), None, "expected \\(T, 2\\) and `ends`"),
        (torch.zeros(3, 2), torch.zeros(2), r"ends have shape \(2,\), expected \(3,\)"),
        (torch.zeros(0, 2), torch.zeros(0), "no points"),
    ],
)
def test_bad_points(points, ends, message):
    with pytest.raises(ValueError, match=message):
        Strokes.from_absolute(points, ends)


def test_equality():
    line = Strokes(PLUS, "+", "here", torch.zeros(5))
    assert line == Strokes(PLUS.clone(), "+", "here", torch.zeros(5))
    others = [
        replace(line, text="++"),
        replace(line, source="there"),
        replace(line, char_index=None),
        Strokes(PLUS * torch.tensor([2.0, 1, 1]), "+", "here", torch.zeros(5)),
        Strokes(PLUS, "++", "here", torch.tensor([0, 0, 0, 1, 1])),
        "+",
    ]
    assert all(line != other for other in others)
    assert replace(line, char_index=None) == replace(line, char_index=None)
    with pytest.raises(TypeError, match="unhashable"):
        hash(line)


def test_nothing_is_shared_with_the_caller():
    tensor, array, index = PLUS.clone(), PLUS.numpy().copy(), torch.zeros(5, dtype=torch.int64)
    lines = [Strokes(tensor, "+", char_index=index), Strokes(array), Strokes.from_absolute(tensor)]
    kept = [line.offsets.clone() for line in lines]
    tensor[:], array[:], index[:] = 7, 7, 7
    assert all(torch.equal(line.offsets, before) for line, before in zip(lines, kept, strict=True))
    assert lines[0].char_index.tolist() == [0] * 5


@pytest.mark.parametrize(
    "offsets",
    [None, "abc", b"abc", 3j, {}, {"a": 1}, object(), [[0, 0, 0], [1]], [["0", "0", "1"]], [[0, 0, 10**400]], [["a"]],
     torch.zeros(2, 3, dtype=torch.complex64), np.zeros((2, 3), complex), np.array([[None, 0, 1]])],
)  # fmt: skip
def test_what_is_no_numbers_gets_a_sentence(offsets):
    for make in (Strokes, Strokes.from_absolute):
        with pytest.raises((TypeError, ValueError), match="^Strokes") as error:
            make(offsets)
        assert len(str(error.value)) > 30


@pytest.mark.parametrize("array", [np.zeros((1, 3), ">f4"), np.zeros((3, 3), "f2")[::-2], np.zeros((1, 3), "u2")])
def test_any_kind_of_array(array):
    array = array.copy() if len(array) == 1 else array
    array[-1, 2] = 1
    assert Strokes(array).offsets[-1].tolist() == [0, 0, 1]


def test_text_and_char_index_are_what_they_say():
    for wrong in ({"text": None}, {"text": 3}, {"source": b"x"}):
        with pytest.raises(TypeError, match="^Strokes: (text|source) is .*, not a str"):
            Strokes(PLUS, **wrong)
    for index in ([0, 0, 0, 0.5, 0], [0, 0, 0, float("nan"), 0]):
        with pytest.raises(ValueError, match="char_index holds fractions or NaN"):
            Strokes(PLUS, "++", char_index=index)
    with pytest.raises(TypeError, match="char_index came as str"):
        Strokes(PLUS, "+", char_index="00000")


def test_plot_is_upright():
    line = Strokes.from_absolute([[0, 0], [0, 100], [50, 0]], [0, 1, 1])  # down, then a dot high up
    ax = line.plot()
    line.plot(ax)  # twice: still upright
    assert ax.yaxis_inverted() and ax.get_aspect() == 1
    drawn = [np.asarray(artist.get_xydata()) for artist in ax.lines]
    assert len(drawn) == 4 and np.array_equal(drawn[0], [[0, 0], [0, 100]]) and drawn[1].shape == (1, 2)
    low, high = ax.transData.transform([[0, 100], [0, 0]])
    assert low[1] < high[1]
    matplotlib.pyplot.close(ax.figure)


def test_svg():
    line = Strokes.from_absolute([[10, 10], [10, 110], [60, 10]], [0, 1, 1], text='<a href="x">&')
    root = ET.fromstring(line.svg(width=300, color="#123456", pen=4))
    assert root.get("aria-label") == '<a href="x">&' and root.get("role") == "img"
    assert root.get("viewBox") == "-4 -4 58 108" and root.get("width") == "300" and root.get("height") == "559"
    path = root[0]
    assert path.get("d") == "M0 0 0 100M49.5 0h1"  # y grows downwards in SVG too; the dot has a length
    assert path.get("stroke") == "#123456" and path.get("stroke-linecap") == "round"
    ET.fromstring(Strokes(rows((0, 0, 1))).svg())


def test_svg_keeps_every_dot_and_no_stroke_collapses():
    """A stroke of several points at one place is a dot too, also far out where few digits are left."""
    line = Strokes(rows((0, 0, 0), (0, 0, 1), (123456, 0, 0), (0.001, 0, 1), (0.5, 0, 0), (0.25, 0, 1)), "...")
    d = ET.fromstring(line.svg())[0].get("d")
    assert d == "M-0.5 0h1M123455.5 0h1M123456.5 0 123456.75 0"


@pytest.mark.parametrize("text", ["a\0", "\x1b[31m", "\ud800", "\ufffe", "ok\ttab", "\U0001f600", "'\"<>&"])
def test_svg_is_xml_whatever_the_text(text):
    label = ET.fromstring(Strokes(PLUS, text).svg(color="a\0<'"))
    assert label[0].get("stroke") == "a\ufffd<'"
    wanted = text if text in ("\U0001f600", "'\"<>&") else None
    assert label.get("aria-label") == wanted or wanted is None


def test_letters_keep_their_size():
    short = Strokes(rows((0, 0, 0), (0, 300, 1)), "l")
    for line in (short, Strokes(torch.cat([short.offsets, rows((3000, -300, 0), (0, 300, 1))]), "l l")):
        root = ET.fromstring(line.svg())
        assert int(root.get("height")) == 32
        assert abs(float(root.get("viewBox").split()[2]) / int(root.get("width")) - 10) < 2.5


@pytest.mark.parametrize(
    ("options", "message"),
    [({"width": 0}, "width is 0"), ({"width": 1.5}, "width is 1.5"), ({"width": True}, "width is True"),
     ({"pen": float("nan")}, "pen is nan"), ({"pen": 0}, "pen is 0"), ({"pen": "8"}, "pen is '8'")],
)  # fmt: skip
def test_bad_pictures(options, message, tmp_path):
    for path in ("a.svg", "a.png"):
        with pytest.raises((ValueError, TypeError), match=f"^Strokes.*{message}"):
            Strokes(PLUS).save(tmp_path / path, **options)
    assert not list(tmp_path.iterdir())


def test_save(tmp_path):
    line = Strokes(PLUS, "+", "here", torch.zeros(5))
    for name in ("a.json", "a.SVG", "a.png"):
        line.save(tmp_path / name)
        line.save(str(tmp_path / name), width=30)
    assert Strokes.from_json((tmp_path / "a.json").read_bytes()) == line
    assert ET.fromstring((tmp_path / "a.SVG").read_text()).get("width") == "30"
    pixels = matplotlib.image.imread(tmp_path / "a.png")
    assert pixels.shape[:2] == (round(30 * 96 / 76), 30) and pixels[0, 0].min() == 1 and pixels[..., 0].min() < 0.5
    with pytest.raises(ValueError, match="'.*a.gif' ends in .gif, expected .json, .svg or .png"):
        line.save(tmp_path / "a.gif")
    with pytest.raises(ValueError, match="ends in nothing"):
        line.save(tmp_path / "a")
    with pytest.raises(TypeError, match="^Strokes.save: path is 3"):
        line.save(3)
    with pytest.raises(FileNotFoundError, match="the folder .*nowhere does not exist"):
        line.save(tmp_path / "nowhere" / "a.svg")
    with pytest.raises(ValueError, match="'mauvish' is no colour"):
        line.save(tmp_path / "b.png", color="mauvish")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.SVG", "a.json", "a.png"]


def test_save_keeps_links_and_modes(tmp_path):
    (tmp_path / "real.svg").write_text("old")
    (tmp_path / "real.svg").chmod(0o600)
    (tmp_path / "link.svg").symlink_to("real.svg")
    Strokes(PLUS).save(tmp_path / "link.svg")
    assert (tmp_path / "link.svg").is_symlink() and (tmp_path / "real.svg").read_text().startswith("<svg")
    assert (tmp_path / "real.svg").stat().st_mode & 0o777 == 0o600


def test_pixels_are_counted_before_they_are_made(tmp_path):
    tall = Strokes(rows((0, 0, 0), (0, 300, 1)), "l")
    for width in (8000, 65_536):
        with pytest.raises(ValueError, match=f"^Strokes.save: {width} x .*give a smaller width"):
            tall.save(tmp_path / "l.png", width=width)
    assert not list(tmp_path.iterdir())


def test_a_picture_has_two_to_the_twenty_fifth_pixels_at_most(tmp_path):
    square = Strokes(rows((0, 0, 0), (100, 100, 1)), "l")  # 5792 x 5792 is just under the 33,554,432
    with pytest.raises(ValueError, match="^Strokes.save: 5793 x 5793 pixels; at most 33,554,432 in all"):
        square.save(tmp_path / "l.png", width=5793)


def test_png_without_matplotlib(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"^Strokes.save: a .png needs Matplotlib"):
        Strokes(PLUS).save(tmp_path / "a.png")


numbers = st.floats(-1e5, 1e5, width=32)


@given(st.lists(st.tuples(numbers, numbers, st.integers(0, 1)), max_size=20), st.text(max_size=8), st.booleans())
@settings(max_examples=60, deadline=None)
def test_json_and_back_is_exact(points, text, letters):
    offsets = torch.tensor([(0, 0, 0), *points], dtype=torch.float32)
    offsets[-1, 2] = 1
    index = torch.zeros(len(offsets)) if letters and text else None
    line = Strokes(offsets, text, "here", index)
    stored = line.to_json()
    assert Strokes.from_json(stored) == Strokes.from_json(json.loads(stored)) == line
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32-be"):
        assert Strokes.from_json(stored.encode(encoding)) == line
    assert Strokes.from_json("\ufeff" + stored) == line


def test_json_is_short_and_takes_notes():
    stored = json.loads(Strokes(PLUS, "+").to_json(seed=3))
    assert stored == {"text": "+", "source": "", "seed": 3, "offsets": PLUS.int().tolist()}
    assert Strokes(rows((0, 0, 0), (0.1, 1, 1))).to_json().endswith("[0.1, 1, 1]]}")
    assert Strokes.from_json({"offsets": PLUS}) == Strokes.from_json({"offsets": PLUS.numpy()}) == Strokes(PLUS)


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ("{", "not JSON"), (b"\xff\xfe{", "not JSON"), (b"\xff", "not JSON"), ("[" * 100_000, "not JSON"),
        ("1" * 5000, "not JSON"), ("[]", "this is a list"), (None, "this is a NoneType"), (3, "this is a int"),
        ('{"text": "a"}', "it has no 'offsets'"), ('{"offsets": 3}', "row 0 is 3"),
        ('{"offsets": [[0, 0]]}', r"row 0 is \[0, 0\]"), ('{"offsets": [[0, 0, true]]}', "row 0 is"),
        ('{"offsets": [[0, 0, "1"]]}', "row 0 is"), ('{"offsets": []}', "no points"),
        ('{"offsets": [[0, 0, 0], [%s, 0, 1]]}' % ("9" * 400), "row 1 moves over 1,000,000 units"),
        ('{"offsets": [[0, 0, 0], [1e300, 0, 1]]}', "row 1 moves over"),
        ('{"offsets": [[0, 0, 0], [NaN, 0, 1]]}', "every number must be finite"),
        ('{"offsets": [[0, 0, 1]], "text": 3}', "text is 3, not a str"),
        ('{"offsets": [[0, 0, 1]], "text": "a", "char_index": ["x"]}', "char_index came as list"),
    ],
)  # fmt: skip
def test_json_from_strangers(stored, message):
    with pytest.raises(ValueError, match=message) as error:
        Strokes.from_json(stored)
    assert str(error.value).startswith("Strokes") and len(str(error.value)) < 500


def test_pad():
    dot = Strokes(rows((0, 0, 1)))
    x, lengths = pad([Strokes(PLUS), dot, Strokes(PLUS[3:] * torch.tensor([[0.0, 0, 0], [1, 1, 1]]))])
    assert x.shape == (5, 3, 3) and x.dtype == torch.float32 and lengths.dtype == torch.int64
    assert lengths.tolist() == [5, 1, 2]
    assert torch.equal(x[:, 0], PLUS) and torch.equal(x[:1, 1], dot.offsets)
    assert not x[1:, 1].any() and not x[2:, 2].any()
    for wrong, message in (([], "^pad: no lines"), (dot, "^pad: got one line"), ("ab", "^pad: entry 0 is str"),
                           (3, "^pad: entry 0 is int"), ([dot, None], "^pad: entry 1 is NoneType")):  # fmt: skip
        with pytest.raises((ValueError, TypeError), match=message):
            pad(wrong)


def test_statistics_by_hand():
    line = Strokes(torch.cat([PLUS, rows((100, -200, 1))]), "+.")
    found = stroke_statistics([line])
    assert found["points"] == 6 and found["points_per_character"] == 3 and found["strokes_per_character"] == 1.5
    assert found["end_rate"] == 0.5 and found["dot_share"] == round(1 / 3, 4)
    assert np.allclose(found["mean"], [130 / 6, -165 / 6], atol=0.01)
    assert np.allclose(
        found["std"], np.array([[0, 0], [0, 40], [0, 40], [-30, -45], [60, 0], [100, -200]]).std(0), atol=0.01
    )
    down = {k: {i - 20: v for i, v in enumerate(found["pen_down"][k]) if v} for k in ("dx", "dy")}
    assert down["dx"] == {0: round(2 / 3, 5), 15: round(1 / 3, 5)} and down["dy"] == {
        0: round(1 / 3, 5),
        10: round(2 / 3, 5),
    }
    up = {i - 20: v for i, v in enumerate(found["pen_up"]["dy"]) if v}
    assert up == {-2: 0.5, -5: 0.5}
    for wrong, message in (([], "no lines"), ([Strokes(PLUS)], "every line with its text"), ("a", "entry 0 is str")):
        with pytest.raises((ValueError, TypeError), match=f"^stroke_statistics: .*{message}"):
            stroke_statistics(wrong)


def test_the_outer_bins_take_what_is_beyond():
    """Two jumps, (40, -1000) and (3, 4), and two steps on the paper, (-1000, 4) and (1000, -4)."""
    line = Strokes(rows((0, 0, 1), (40, -1000, 1), (3, 4, 0), (-1000, 4, 0), (1000, -4, 1)), "il")
    found = stroke_statistics([line])
    bins = {(pen, a): np.flatnonzero(found[pen][a]).tolist() for pen in ("pen_up", "pen_down") for a in ("dx", "dy")}
    assert bins == {
        ("pen_up", "dx"): [20, 21],
        ("pen_up", "dy"): [0, 20],
        ("pen_down", "dx"): [0, 39],
        ("pen_down", "dy"): [19, 21],
    }
    assert all(len(found[pen][a]) == 40 and sum(found[pen][a]) == 1 for pen, a in bins)

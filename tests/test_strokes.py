"""The chapter `strokes`: the class, its files, the batch, the statistics."""

import xml.etree.ElementTree as ET
from dataclasses import replace

import matplotlib
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
    assert line == Strokes.from_absolute(points, text="x") == Strokes.from_numpy(line.numpy(), "x")
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


def test_numpy_is_a_copy():
    line = Strokes(PLUS)
    line.numpy()[:] = 7
    assert torch.equal(line.offsets, PLUS)
    array = PLUS.numpy().copy()
    line = Strokes.from_numpy(array)
    array[:] = 7
    assert torch.equal(line.offsets, PLUS)


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
    assert path.get("d") == "M0 0 0 100M50 0h0"  # y grows downwards in SVG too; the dot is a dot
    assert path.get("stroke") == "#123456" and path.get("stroke-linecap") == "round"
    ET.fromstring(Strokes(rows((0, 0, 1))).svg())


def test_pad():
    dot = Strokes(rows((0, 0, 1)))
    x, lengths = pad([Strokes(PLUS), dot, Strokes(PLUS[3:] * torch.tensor([[0.0, 0, 0], [1, 1, 1]]))])
    assert x.shape == (5, 3, 3) and x.dtype == torch.float32 and lengths.dtype == torch.int64
    assert lengths.tolist() == [5, 1, 2]
    assert torch.equal(x[:, 0], PLUS) and torch.equal(x[:1, 1], dot.offsets)
    assert not x[1:, 1].any() and not x[2:, 2].any()
    with pytest.raises(ValueError, match="pad: no lines"):
        pad([])


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
    for bad in ([], [Strokes(PLUS)]):
        with pytest.raises(ValueError, match="every line with its text"):
            stroke_statistics(bad)

"""The chapter `strokes`: the class, the batch, the pen, the embedded writers. IAM-OnDB has a file of its own."""

import json
import string
import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import groupby

import matplotlib
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from softattn.strokes import (
    PRINTABLE,
    EmbeddedWriter,
    Hand,
    Strokes,
    embedded_text,
    load_strokes,
    minimum_jerk,
    pad,
    pen_path,
    stroke_statistics,
)

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


# ---- The pen


def test_minimum_jerk_is_the_minimum():
    """Among the polynomials of degree 9 that go from rest to rest, the least squared jerk belongs to the quintic."""
    powers = np.arange(10)

    def derivative(order, t):
        factor = np.array([np.prod(np.arange(p, p - order, -1)) if p >= order else 0 for p in powers], dtype=float)
        return factor * np.where(powers >= order, t ** np.maximum(powers - order, 0.0), 0.0)

    nodes, weights = np.polynomial.legendre.leggauss(20)
    jerk = np.array([derivative(3, (t + 1) / 2) for t in nodes])
    quadratic = jerk.T @ (weights[:, None] / 2 * jerk)
    constraints = np.array([derivative(order, t) for t in (0.0, 1.0) for order in range(3)])
    goals = np.array([0, 0, 0, 1.0, 0, 0])
    system = np.block([[2 * quadratic, constraints.T], [constraints, np.zeros((6, 6))]])
    best = np.linalg.lstsq(system, np.concatenate([np.zeros(10), goals]), rcond=None)[0][:10]
    u = np.linspace(0, 1, 33)
    assert np.allclose(minimum_jerk(u), np.polynomial.polynomial.polyval(u, best), atol=1e-9)
    assert minimum_jerk(np.array([-3.0, 0, 1, 8])).tolist() == [0, 0, 1, 1]


def pen_by_loops(via, first, time, overlap):
    """Equation strokes-sum, point by point, written anew."""
    xy, end, near = [], [], []
    starts = [i for i in range(len(via)) if first[i]]
    for a, b in zip(starts, [*starts[1:], len(via)], strict=True):
        due = [sum(time[a + 1 : i + 1]) for i in range(a, b)]
        lead = 0.42 * overlap
        count = 1 if b - a == 1 else max(2, int(due[-1] + 2 * lead) + 1)
        begin = -lead + (due[-1] + 2 * lead - (count - 1)) / 2
        for k in range(count):
            t = begin + k
            p = np.array(via[a], dtype=float)
            for i in range(a + 1, b):
                u = (t - (due[i - a] - time[i]) + overlap / 2) / max(time[i] + overlap, 1e-6)
                u = min(1.0, max(0.0, u))
                p += (10 * u**3 - 15 * u**4 + 6 * u**5) * (np.array(via[i]) - np.array(via[i - 1]))
            xy.append(p)
            end.append(float(k == count - 1))
            ahead = [i for i in range(a, b) if due[i - a] >= min(max(t, 0), due[-1]) - 1e-7]
            near.append(ahead[0])
    return np.array(xy), np.array(end), np.array(near)


@pytest.mark.parametrize("overlap", [0.0, 0.7, 3.0, 9.0, 40.0])
def test_pen_path_against_loops(overlap):
    rng = np.random.default_rng(int(overlap))
    via = rng.normal(0, 40, (40, 2))
    first = rng.random(40) < 0.25
    first[[0, 7, 8, 9, 39]] = True  # lone points in the middle and at the end
    time = rng.uniform(0.3, 6, 40)
    xy, end, near = pen_path(via, first, time, overlap)
    want_xy, want_end, want_near = pen_by_loops(via, first, time, overlap)
    assert np.allclose(xy, want_xy, atol=1e-10) and np.array_equal(end, want_end)
    assert (near != want_near).mean() < 0.01  # a sample exactly between two movements may go to either


def test_pen_path_of_one_point():
    xy, end, near = pen_path(np.array([[3.0, 4.0]]), np.array([True]), np.array([0.0]), 3.0)
    assert xy.tolist() == [[3, 4]] and end.tolist() == [1] and near.tolist() == [0]


# ---- The writers


@pytest.mark.parametrize("font", ["scripts", "cursive", "futural", "rowmans"])
def test_every_character(font):
    assert len(PRINTABLE) == len(set(PRINTABLE)) == 95
    for seed in range(3):
        writer = EmbeddedWriter(seed, font=font, blend=0)
        for char in PRINTABLE.strip():
            line = writer.write(char)
            low, high = line.to_absolute()[:, :2].aminmax(dim=0)
            assert (high - low).max() < 3 * writer.hand.size, char
            assert line.char_index.tolist() == [0] * len(line)


@given(st.text(alphabet=PRINTABLE, min_size=1, max_size=40).filter(str.strip), st.integers(0, 2**32))
@settings(max_examples=80, deadline=None)
def test_any_text(text, seed):
    line = EmbeddedWriter(seed).write(text)  # Strokes checks its own conventions
    assert line.text == text
    assert set(line.char_index.tolist()) == {u for u, char in enumerate(text) if char != " "}
    assert torch.equal(line.offsets, line.offsets.round())
    assert line.offsets.abs().max() < 20_000


def test_char_index_says_where_a_letter_is():
    """Each letter of a printed line stands where its neighbours in the text make one expect it."""
    text = "abcdefg hijklm nopqrs"
    for seed in range(20):
        line = EmbeddedWriter(seed, slant=0).write(text)
        x = line.to_absolute()[:, 0]
        centre = [x[line.char_index == u].mean().item() for u, c in enumerate(text) if c != " "]
        assert centre == sorted(centre)


def test_seed():
    text = "The same seed, the same line."
    a, b = EmbeddedWriter(5), EmbeddedWriter(5)
    assert a.hand == b.hand and a.write(text) == b.write(text)
    assert a.write(text) == b.write(text)
    first = EmbeddedWriter(5).write(text)
    assert first != a.write(text) and first != EmbeddedWriter(6).write(text)
    torch_seeded = [EmbeddedWriter(torch.Generator().manual_seed(3)) for _ in range(2)]
    assert torch_seeded[0].write(text) == torch_seeded[1].write(text)
    assert EmbeddedWriter(np.random.default_rng(5)).hand == a.hand
    generator = torch.Generator().manual_seed(3)
    assert EmbeddedWriter(generator).hand != EmbeddedWriter(generator).hand


def test_given_fields_change_only_themselves():
    free, set_ = EmbeddedWriter(5), EmbeddedWriter(5, slant=0.5)
    assert set_.hand == replace(free.hand, slant=0.5)


def test_slant_goes_to_the_right():
    def lean(slant):
        line = EmbeddedWriter(1, font="futural", blend=0, slant=slant, wobble=0, unsteady=0, style=0, slope=0, drift=0)
        xy = line.write("l").to_absolute()
        top, bottom = xy[xy[:, 1].argmin()], xy[xy[:, 1].argmax()]
        return ((top[0] - bottom[0]) / (bottom[1] - top[1])).item()

    assert abs(lean(0.0)) < 0.02
    assert abs(lean(0.4) - 0.4 * EmbeddedWriter(1).hand.width) < 0.02


def test_size_and_slope():
    def height(**hand):
        line = EmbeddedWriter(2, wobble=0, drift=0, **({"slope": 0} | hand)).write("HHHHHHHHHH")
        y = line.to_absolute()[:, 1]
        return (y.max() - y.min()).item(), line

    small, large = height(size=200)[0], height(size=400)[0]
    assert abs(large / small - 2) < 0.05 and 180 < small < 230
    rising = height(size=200, slope=0.2)[1].to_absolute()
    first, last = (rising[rising[:, 0] < 100], rising[rising[:, 0] > rising[:, 0].max() - 100])
    assert last[:, 1].mean() < first[:, 1].mean() - 50  # up is smaller


def test_dots():
    for text, dots in (("i", 1), ("j", 1), (".", 1), (":", 2), ("!", 1), ("?", 1), (";", 1), ("a", 0)):
        tapped = [len(stroke) for stroke in EmbeddedWriter(3, tap=1).write(text).polylines()]
        dashed = [len(stroke) for stroke in EmbeddedWriter(3, tap=0).write(text).polylines()]
        assert tapped.count(1) == dots and dashed.count(1) == 0, text


def test_late_strokes_wait_for_the_end_of_the_word():
    late = EmbeddedWriter(3, late=1, connect=1, font="scripts", blend=0).write("it is")
    early = EmbeddedWriter(3, late=0, connect=1, font="scripts", blend=0).write("it is")

    def order(line):
        return [u for u, _ in groupby(line.char_index.tolist())]

    assert order(late) == [0, 1, 0, 1, 3, 4, 3]
    assert order(early) == [0, 1, 3, 4]  # a bar or dot comes right after its letter


def test_connect():
    def lifts(connect):
        return (
            EmbeddedWriter(4, connect=connect, late=1, font="scripts", blend=0).write("aluminous").offsets[:, 2].sum()
        )

    assert lifts(1) == 2 and lifts(0) == 10  # the word and its dot; nine letters and the dot


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "nothing to write"),
        ("   ", "nothing to write"),
        ("na\u00efve", "character 2 is '\u00ef'"),
        ("two\nlines", r"character 3 is '\\n'"),
    ],
)
def test_bad_text(text, message):
    with pytest.raises(ValueError, match=message):
        EmbeddedWriter(0).write(text)


@pytest.mark.parametrize(
    ("hand", "message"),
    [
        ({"font": "gothic"}, "font 'gothic' is unknown, expected scripts"),
        ({"connect": 1.5}, "connect is 1.5, expected a probability"),
        ({"size": -1}, "size is -1, expected a number from 20 to 5000"),
        ({"wobble": float("nan")}, "wobble is nan, expected a number"),
        ({"colour": "red"}, r"unknown \['colour'\], expected fields of Hand: font"),
    ],
)
def test_bad_hand(hand, message):
    with pytest.raises(ValueError, match=message):
        EmbeddedWriter(0, **hand)


def test_hands_differ():
    rng = np.random.default_rng(0)
    hands = [Hand.draw(rng) for _ in range(400)]
    assert {hand.font for hand in hands} == {"scripts", "cursive", "futural", "rowmans"}
    assert 0.15 < np.std([np.log(hand.size) for hand in hands]) < 0.25
    assert len(set(hands)) == 400


def test_statistics_are_like_the_corpus():
    """Bounds around IAM-OnDB's training lines (20.9 points a character, 0.0417 ends, std 42.7 and 36.5)."""
    lines = load_strokes(lines=400)
    found = stroke_statistics(lines)
    assert found["lines"] == 400 and found["points"] == sum(map(len, lines))
    assert 18.5 < found["points_per_character"] < 23.5
    assert 0.034 < found["end_rate"] < 0.046
    assert 36 < found["std"][0] < 49 and 31 < found["std"][1] < 41
    assert 7 < found["mean"][0] < 9.5 and abs(found["mean"][1]) < 0.8
    assert found["dot_share"] < 0.02


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


def test_embedded_text():
    rng = np.random.default_rng(0)
    texts = [embedded_text(rng) for _ in range(4000)]
    assert all(16 <= len(text) <= 44 and text == text.strip() and "  " not in text for text in texts)
    assert set("".join(texts)) == set(PRINTABLE)
    assert len(set(texts)) > 3950
    short = [embedded_text(rng, 1, 21) for _ in range(200)]
    assert all(1 <= len(text) <= 21 for text in short)
    for low, high in ((0, 44), (30, 44)):
        with pytest.raises(ValueError, match=f"low={low}, high={high}; expected"):
            embedded_text(rng, low, high)


def test_load_strokes():
    lines = load_strokes("embedded", "val1", lines=20)
    assert lines == load_strokes("embedded", "val1", lines=40)[:20]
    assert [line.source for line in lines] == [f"embedded/val1/{i // 8}" for i in range(20)]
    assert all(line.char_index is not None for line in lines)
    splits = [
        {line.text for line in load_strokes(split=split, lines=20)} for split in ("train", "val1", "val2", "test")
    ]
    assert len(set.union(*splits)) == 80


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "dev"}, "split 'dev' is unknown, expected one of train, val1, val2, test"),
        ({"source": "unipen"}, "source 'unipen' is unknown"),
        ({"lines": 0}, "lines=0, expected at least 1"),
        ({"clean": True}, "root and clean are for"),
        ({"root": "/tmp"}, "root and clean are for"),
    ],
)
def test_load_strokes_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        load_strokes(**arguments)


def test_recipes_table_ships(root):
    table = json.loads((root / "softattn" / "data" / "strokes-iam.json").read_text())
    assert table["lines"] == 5364 and 20 < table["points_per_character"] < 22 and table["end_rate"] == 0.0417
    for kind in ("pen_down", "pen_up"):
        for shares in table[kind].values():
            assert len(shares) == 40 and abs(sum(shares) - 1) < 1e-3


# ---- The demo


@pytest.mark.browser
def test_demo_computes_what_python_does():
    from playwright.sync_api import sync_playwright

    from softattn.pictures import demo_html

    via, first, time, _ = EmbeddedWriter(21, slant=0).plan("it & me")
    state = {"text": "it & me", "via": via.round(1), "first": first, "time": time.round(2), "overlap": 3.0}
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=flags.split())
        page = browser.new_page(viewport={"width": 390, "height": 800})
        page.set_content(demo_html("strokes", **state))
        demo = page.locator(".softattn-demo[data-demo=strokes]").first
        page.wait_for_function("document.querySelector('.softattn-demo').dataset.numbers")
        for name, value in (
            ("overlap", None),
            ("overlap of movements", 7.5),
            ("time for each movement", 1.4),
            ("slant", 0.35),
        ):
            if value is not None:
                demo.locator("label", has_text=name).locator("input").fill(str(value))
            numbers = json.loads(demo.get_attribute("data-numbers"))
            moved = state["via"].copy()
            moved[:, 0] -= numbers["slant"] * moved[:, 1]
            xy, end, _ = pen_path(moved, first, state["time"] * numbers["pace"], numbers["overlap"])
            assert numbers["points"] == len(xy) and numbers["ends"] == end.sum()
            assert np.allclose(np.stack([numbers["x"], numbers["y"]], 1), xy, atol=1e-8)
        assert (numbers["overlap"], numbers["pace"], numbers["slant"]) == (7.5, 1.4, 0.35)
        demo.locator("label", has_text="written").locator("input").fill("50")
        half = json.loads(demo.get_attribute("data-numbers"))
        assert abs(half["written"] - half["points"] / 2) <= 0.5
        page.emulate_media(reduced_motion="reduce")
        demo.get_by_role("button", name="Write it").click()
        assert json.loads(demo.get_attribute("data-numbers"))["written"] == half["points"]
        browser.close()


def test_punctuation_is_not_lost():
    """A mark of one stroke in each font, once traced twice by the fonts, is written once."""
    for char, strokes in {
        "[": 1,
        "]": 1,
        "0": 1,
        "8": 1,
        "'": 1,
        "@": 1,
        "{": 1,
        "|": 1,
        "#": 4,
        "%": 3,
        "=": 2,
    }.items():
        for font in ("scripts", "futural"):
            assert len(EmbeddedWriter(1, font=font).write(char).polylines()) == strokes, char
    assert set(string.punctuation) < set(PRINTABLE)

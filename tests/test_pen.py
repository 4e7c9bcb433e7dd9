"""The chapter `pen`: minimum-jerk movements, and the embedded writers."""

import json
import string
from dataclasses import replace
from itertools import groupby

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from softattn.pen import (
    PRINTABLE,
    EmbeddedWriter,
    Hand,
    _glyph,
    _same_height,
    embedded_text,
    minimum_jerk,
    pen_path,
)

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
    """Equation pen-sum, point by point, written anew."""
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


def test_dots_stand_above_each_other_and_above_their_commas():
    """In the font's grid: 11 units from dot to dot; a comma begins where the dot of a colon would lie."""
    for font in ("futural", "scripts"):
        (low,), (high,) = (points for points, _ in _glyph(font, ":")[0])
        comma, (above,) = (points for points, _ in _glyph(font, ";")[0])
        assert low[0] == high[0] and low[1] - high[1] == 11
        assert above[0] == comma[0, 0] and comma[0, 1] - above[1] == 11
        for char in "!?":
            *_, (points, kind) = _glyph(font, char)[0]
            assert kind == "dot" and points.tolist() == [[0, 8]]


def test_the_heights_of_a_small_letter():
    """An x of 10 that becomes one of 12: below the line nothing changes, above the x 11 units become 9."""
    heights = np.array([-6, 0, 0.5, 5, 10, 15.5, 21])
    assert np.allclose(_same_height(heights, 10, 12), [-6, 0, 0.6, 6, 12, 16.5, 21])


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
        ({"connect": 1.5}, "connect is 1.5, expected a finite number from 0 to 1"),
        ({"size": -1}, "size is -1, expected a finite number from 20 to 5,000"),
        ({"wobble": float("nan")}, "wobble is nan, expected a finite number"),
        ({"colour": "red"}, r"unknown \['colour'\], expected fields of Hand: font"),
    ],
)
def test_bad_hand(hand, message):
    with pytest.raises(ValueError, match=message):
        EmbeddedWriter(0, **hand)


@pytest.mark.parametrize(
    ("fields", "low", "high"),
    [
        ("blend connect late tap", 0, 1), ("slant", -2, 2), ("size", 20, 5000), ("width", 0.2, 5),
        ("spacing", 0.1, 10), ("xheight", 5, 20), ("style unsteady", 0, 3), ("wobble", 0, 100),
        ("drift", 0, 500), ("slope", -0.5, 0.5), ("pace", 0.05, 20), ("overlap", 0, 50),
    ],
)  # fmt: skip
def test_how_far_a_hand_may_go(fields, low, high):
    for field in fields.split():
        assert [getattr(Hand(**{field: value}), field) for value in (low, high)] == [low, high]
        for beyond in (low - 0.01, high + 0.01):
            with pytest.raises(ValueError, match=f"{field} is .* from {low} to {high:,}"):
                Hand(**{field: beyond})


def test_hands_are_drawn_as_often_joined_as_a_beta_says():
    """Its mean is a / (a + b): joined hands connect 4 letters of 8, printed ones 1 of 5; late 2 of 7, and 1 of 5."""
    rng = np.random.default_rng(1)
    hands = [Hand.draw(rng) for _ in range(800)]
    joined, printed = ([h for h in hands if (h.font in ("scripts", "cursive")) is script] for script in (True, False))
    assert abs(len(joined) / 800 - 0.5) < 0.07
    for some, field, a, b in (
        (joined, "connect", 4, 4), (printed, "connect", 1, 4), (joined, "late", 1, 2.5), (printed, "late", 1, 4),
    ):  # fmt: skip
        deviation = (a * b / (a + b + 1) / len(some)) ** 0.5 / (a + b)  # of the mean
        assert abs(np.mean([getattr(h, field) for h in some]) - a / (a + b)) < 4 * deviation, field


def test_hands_differ():
    rng = np.random.default_rng(0)
    hands = [Hand.draw(rng) for _ in range(400)]
    assert {hand.font for hand in hands} == {"scripts", "cursive", "futural", "rowmans"}
    assert 0.15 < np.std([np.log(hand.size) for hand in hands]) < 0.25
    assert len(set(hands)) == 400


def test_embedded_text():
    rng = np.random.default_rng(0)
    texts = [embedded_text(rng) for _ in range(4000)]
    assert all(16 <= len(text) <= 44 and text == text.strip() and "  " not in text for text in texts)
    assert set("".join(texts)) == set(PRINTABLE)
    assert len(set(texts)) > 3950
    short = [embedded_text(rng, 1, 21) for _ in range(200)]
    assert all(1 <= len(text) <= 21 for text in short)
    for low, high in ((0, 44), (30, 44)):
        with pytest.raises(ValueError, match="embedded_text: (low|high) is"):
            embedded_text(rng, low, high)


# ---- Wrong types


@pytest.mark.parametrize("seed", [None, True, 1.0, "1", [1], -1, float("nan")])
def test_bad_seed(seed):
    with pytest.raises((TypeError, ValueError), match="^EmbeddedWriter: seed is"):
        EmbeddedWriter(seed)


def test_numpy_seed():
    assert EmbeddedWriter(np.int64(5)).write("a") == EmbeddedWriter(5).write("a")
    assert EmbeddedWriter(10**30).write("a").source == f"embedded/{10**30}"


@pytest.mark.parametrize("text", [None, 3, b"ink", ["i"], np.array("a")])
def test_text_of_another_type(text):
    with pytest.raises(TypeError, match="^EmbeddedWriter.write: text is a"):
        EmbeddedWriter(0).write(text)


@pytest.mark.parametrize("field", [name for name in Hand.__dataclass_fields__ if name != "font"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), True, None, "1", 1e9, [0.5]])
def test_no_field_of_a_hand_takes_nonsense(field, value):
    with pytest.raises((TypeError, ValueError), match=f"^Hand: {field} is"):
        EmbeddedWriter(0, **{field: value})
    with pytest.raises((TypeError, ValueError), match="^Hand"):
        Hand.draw(value)


def test_font_of_another_type():
    for font in (None, 3, ["scripts"]):
        with pytest.raises(ValueError, match="^Hand: font .* is unknown"):
            Hand(font=font)


@pytest.mark.parametrize(
    "arguments",
    [{"rng": None}, {"rng": 3}, {"low": True}, {"low": 1.5}, {"low": -1}, {"low": None}, {"high": float("nan")},
     {"high": "44"}, {"high": 10**30}],
)  # fmt: skip
def test_embedded_text_wrong_types(arguments):
    with pytest.raises((TypeError, ValueError), match="^embedded_text: "):
        embedded_text(**{"rng": np.random.default_rng(0)} | arguments)


def test_a_long_line_of_embedded_text():
    assert 900 <= len(embedded_text(np.random.default_rng(0), 900, 920)) <= 920


VIA, FIRST, TIME = np.zeros((3, 2)), np.array([True, False, False]), np.ones(3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"via": "abc"}, "via came as"), ({"via": np.zeros((0, 2))}, "via has shape"),
     ({"via": np.zeros((3, 3))}, "via has shape"), ({"via": np.full((3, 2), np.nan)}, "must be finite"),
     ({"first": FIRST[:2]}, "first has shape"), ({"first": ~FIRST}, "first.0. is false"),
     ({"time": TIME[:1]}, "time"), ({"time": -TIME}, "0 to 10,000,000"), ({"time": TIME * 1e9}, "0 to 10,000,000"),
     ({"time": None}, "time came as"), ({"overlap": -1}, "overlap is -1"),
     ({"overlap": float("nan")}, "overlap is nan"), ({"overlap": None}, "overlap is None"),
     ({"overlap": True}, "overlap is True")],
)  # fmt: skip
def test_bad_path(arguments, message):
    with pytest.raises((TypeError, ValueError), match=f"^pen_path: .*{message}"):
        pen_path(**{"via": VIA, "first": FIRST, "time": TIME, "overlap": 1.0} | arguments)


@pytest.mark.parametrize("u", ["abc", None, [None], 3j])
def test_minimum_jerk_of_no_number(u):
    with pytest.raises(TypeError, match="^minimum_jerk: u came as"):
        minimum_jerk(u)
    assert minimum_jerk([0, 1, 0.5]).tolist() == [0, 1, 0.5]


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
        page.set_content(demo_html("pen", **state))
        demo = page.locator(".softattn-demo[data-demo=pen]").first
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

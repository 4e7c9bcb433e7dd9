"""Pages: wrapping, what is kept of a text, measures of a line, styles, and what a pad recorded."""

import math
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from softattn import page
from softattn.page import from_pad, wrap
from softattn.pen import PRINTABLE, EmbeddedWriter
from softattn.strokes import Strokes


def line(*steps: tuple[float, float, float], text: str = "") -> Strokes:
    return Strokes(torch.tensor(steps), text)


def refusal(call) -> str:
    with pytest.raises((ValueError, TypeError)) as error:
        call()
    return str(error.value)


@given(st.text(alphabet=PRINTABLE + "\n", max_size=200), st.integers(8, 60))
@settings(max_examples=80, deadline=None)
def test_wrap_keeps_every_sign_and_its_order(text, columns):
    lines = wrap(text, columns)
    assert all(len(one) <= columns and one == one.rstrip() for one in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all("  " not in one.strip() for one in lines)
    assert sum(not one for one in lines) == sum(not one.strip() for one in text.split("\n")), "blank lines stay"


def test_wrap_breaks_as_late_as_it_can():
    assert wrap("one two three", 8) == ["one two", "three"] and wrap("one two", 7) == ["one two"]
    assert wrap("abcdefghijk l", 5) == ["abcde", "fghij", "k l"]
    assert wrap("one\ntwo", 20) == ["one", "two"] and wrap(" \n ", 8) == ["", ""]
    assert wrap("a\r\n\r\n\tb\rc", 9) == ["a", "", "    b", "c"]
    assert wrap("                 deep indent", 8) == ["    deep", "indent"], "half the columns at most"
    assert wrap("    abcdefghi", 6) == ["   abc", "defghi"]


@pytest.mark.parametrize("columns", [0, -3, True, 2.5, "8", None])
def test_wrap_refuses_what_is_no_number_of_columns(columns):
    assert refusal(lambda: wrap("hello", columns)).startswith("wrap: columns is ")


def test_slant_and_height_of_lines_that_are_known():
    zigzag = [(0, 0, 0)] + [(-3, 10, 0), (13, -10, 0)] * 20 + [(0, 0, 1)]
    assert page.ink_slant(line(*zigzag)) == pytest.approx(0.3)
    assert page.ink_height(line(*zigzag)) == pytest.approx(10)
    jump = [(0, 0, 1), (-40, 50, 0), (0, 10, 0), (0, -60, 1)]
    assert page.ink_slant(line(*jump)) == 0, "a jump is no stroke"
    assert page.ink_slant(line((0, 0, 0), (5, 0, 1))) == 0
    hands = [EmbeddedWriter(1, slant=lean).write("a tall pen will help") for lean in (-0.2, 0.1, 0.4)]
    assert np.diff([page.ink_slant(one) for one in hands]).min() > 0.1


# -- a page ------------------------------------------------------------------------------------------------------------


def written(text: str, x: float, y: float, back: float = 4.0) -> Strokes:
    """A hook of ink, 10 wide and 8 high, that begins anywhere, and first goes back."""
    points = [[x, y, 0], [x - back, y, 0], [x - back + 10, y + 8, 1]]
    return Strokes.from_absolute(torch.tensor(points), None, text)


def test_a_page_keeps_blank_lines_and_indents():
    """Two lines of 10 units for four characters: 5 units each; the pitch is 1.3 of the height."""
    lines = [written("ab", 40, -9), written("cd", -70, 300, back=1.0)]
    set_ = page.set_page(["ab", "", "   cd"], lines).to_absolute()
    pitch = 1.3 * page.ink_height(lines[0])
    first = set_[0, :2].clone()  # a page begins where its first point is
    want = torch.tensor([[0, 0], [-4, 0], [6, 8], [12, 2 * pitch], [11, 2 * pitch], [21, 2 * pitch + 8]])
    assert torch.allclose(set_[:, :2] - first, want, atol=1e-4)


def test_a_page_is_read_line_by_line_and_as_sure_as_its_worst_line():
    class Line(NamedTuple):
        strokes: Strokes
        phi: torch.Tensor
        reading: SimpleNamespace | None

    inks = [written("ab", 0, 0), written("cd", 0, 0), written("e", 0, 0)]
    found = [SimpleNamespace(read="ob", confidence=0.9), None, SimpleNamespace(read="e", confidence=0.4)]
    lines = [Line(ink, torch.full((3, 4), 0.5), one) for ink, one in zip(inks, found, strict=True)]
    bound = page.bind_page("ab\ncd\ne", 8, lines, 7, 2)
    assert (bound.reading, bound.confidence, bound.seed, bound.redraws) == ("ob\ne", 0.4, 7, 2)
    assert [(phi.shape, place.tolist()) for phi, place in bound.windows] == [
        ((3, 2), [0, 1]), ((3, 2), [3, 4]), ((3, 1), [6]),
    ]  # fmt: skip
    assert [one.text for one in bound.lines] == ["ab", "cd", "e"]
    alone = page.bind_page("ab", 8, [lines[0]._replace(reading=None)], 7, 2)
    assert alone.reading is None and alone.confidence is None


# -- the pad -----------------------------------------------------------------------------------------------------------


def traced(hand: Strokes, scale=1 / 7, rate=60.0) -> torch.Tensor:
    xy = hand.to_absolute().double()
    clock = torch.arange(len(xy)) / rate
    return torch.cat([xy[:, :2] * scale, clock[:, None], xy[:, 2:]], 1)


def test_a_pad_at_the_corpus_rate_gives_the_line_itself():
    hand = EmbeddedWriter(4).write("some other hand")
    width = np.ptp(hand.to_absolute()[:, 0].numpy())
    back = from_pad(traced(hand, 1 / 7, 100.0), hand.text)
    assert len(back) == len(hand) and torch.equal(back.offsets[:, 2], hand.offsets[:, 2])
    torch.testing.assert_close(
        back.offsets[:, :2], hand.offsets[:, :2] * (page.WIDTH * len(hand.text) / width), rtol=1e-3, atol=0.1
    )
    assert (back.text, back.source) == (hand.text, "a pad")


@pytest.mark.parametrize("rate", [30.0, 60.0, 240.0])
def test_a_pad_is_resampled(rate):
    hand = EmbeddedWriter(4).write("some other hand")
    pens = int(hand.offsets[:, 2].sum())
    back = from_pad(traced(hand, 2.0, rate), hand.text)
    assert int(back.offsets[:, 2].sum()) == pens
    seconds = (len(hand) - pens) / rate
    low, high = (bound * len(hand.text) for bound in page.PACE)
    assert len(back) == pytest.approx(min(max(100 * seconds, low), high) + pens / 2, abs=pens)
    width = np.ptp(back.to_absolute()[:, 0].numpy())
    assert width / len(hand.text) == pytest.approx(page.WIDTH, rel=0.05)


def test_where_the_clock_stood_still_points_come_at_equal_times():
    xy = np.cumsum(np.random.default_rng(0).normal(2, 1, (60, 2)), 0)
    ends = np.zeros(60)
    ends[[29, 59]] = 1
    still = np.c_[xy, np.full(60, 7.0), ends]
    ticked = still.copy()
    ticked[:30, 2], ticked[30:, 2] = np.arange(30) / 100, 1 + np.arange(30) / 100
    assert from_pad(still, "ink") == from_pad(ticked, "ink")
    assert len(from_pad(still, "ink")) > 40, "more than a dot for each stroke"


def test_a_line_of_a_pad_is_as_wide_as_the_corpus_writes_it():
    """8.25 units a point and 20.92 points a character, 172.59 units; three characters."""
    back = from_pad([[7, 0, 0.0, 0], [9, 0, 0.5, 1]], "pen").to_absolute()[:, 0]
    assert (back.max() - back.min()).item() == pytest.approx(3 * 172.59, abs=0.01)


def test_dots_survive_the_pad():
    back = from_pad([[0, 0, 0.0, 0], [50, 0, 0.5, 1], [20, -20, 0.9, 1], [25, -20, 1.2, 1]], "i")
    assert int(back.offsets[:, 2].sum()) == 3 and back.offsets[-2:, 2].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("trace", "text", "words"),
    [
        ([[0, 0, 0, 0], [1, 0, 1, 1]], " ", "no text; say what was written"),
        ([[0, 0, 0, 1]], "a", "shape (1, 4), expected (N, 4)"),
        ([[0, 0, 0], [1, 0, 1]], "a", "shape (2, 3), expected (N, 4)"),
        ([[0, 0, 0, 0], [1, math.nan, 1, 1]], "a", "must be finite"),
        ([[0, 0, 1, 0], [1, 0, 0, 1]], "a", "time must not run backwards"),
        ([[0, 0, 0, 0], [0, 9, 1, 1]], "a", "write from left to right"),
    ],
)
def test_the_pad_refuses(trace, text, words):
    assert words in refusal(lambda: from_pad(trace, text))


def test_the_pad_is_a_widget_that_gives_strokes():
    pytest.importorskip("anywidget")
    pad = page.writing_pad("a pen")
    assert pad.strokes is None and pad.text == "a pen" and "export default" in pad._esm
    hand = EmbeddedWriter(4).write("a pen")
    pad.trace = traced(hand).tolist()
    assert pad.strokes == from_pad(traced(hand), "a pen")
    pad.trace = [[0, 0, 0.0, 0], [50, 9, 0.5, 1]]  # two points are a stroke
    assert pad.strokes == from_pad(pad.trace, "a pen")
    pad.trace = pad.trace[:1]
    assert pad.strokes is None


def test_a_page_or_another_unit_is_no_prime():
    hand = EmbeddedWriter(3).write("some hand")
    page.check_prime(hand)
    for scale, text in ((0.05, "wide a character"), (20.0, "wide a character")):
        other = Strokes(hand.offsets * torch.tensor([scale, scale, 1.0]), hand.text)
        assert text in refusal(lambda other=other: page.check_prime(other))
    two = Strokes(hand.offsets, "some\nhand")
    assert "prime holds 2 lines" in refusal(lambda: page.check_prime(two))

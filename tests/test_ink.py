"""The chapter `ink`: files of other programs, written anew here, come back as one line; strangers get a sentence."""

import io
import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from softattn import ink
from softattn.ink import downness, load_ink, save_ink
from softattn.page import WIDTH, Handwriting, styles
from softattn.paper import lay_out
from softattn.pen import EmbeddedWriter
from softattn.strokes import Strokes
from softattn.trace import ink_of, upright

HAND = styles()["leaning"]
XY, OWNER = ink_of(HAND)
ENDS = np.append(OWNER[1:] != OWNER[:-1], True)
LETTERS = len(HAND.text)


def shape_of(line: Strokes, places: int = 600) -> np.ndarray:
    """Places along a line's ink, in units of its width, from its corner: what no clock and no unit changes."""
    xy, owner = ink_of(line)
    at = np.concatenate([[0], (np.hypot(*np.diff(xy, axis=0).T) * (owner[1:] == owner[:-1])).cumsum()])
    at = at + 1e-9 * np.arange(len(at))
    found = np.stack([np.interp(np.linspace(0, at[-1], places), at, column) for column in xy.T], 1)
    return (found - xy.min(0)) / np.ptp(xy[:, 0])


def same_shape(line: Strokes, other: Strokes = HAND, within: float = 0.012) -> bool:
    """Whether each place of either line has one of the other nearby, and the whole was written in the same order."""
    a, b = shape_of(line), shape_of(other)
    apart = np.hypot(*(a[:, None] - b[None]).transpose(2, 0, 1))
    return bool(max(apart.min(0).max(), apart.min(1).max()) < within and np.diag(apart).mean() < 0.1)


def strokes_of(line: Strokes) -> int:
    return int(line.offsets[:, 2].sum())


def inkml(traces: str, before: str = "", text: str = "") -> bytes:
    said = f'<annotation type="truth">{text}</annotation>' if text else ""
    return f'<ink xmlns="http://www.w3.org/2003/InkML">{before}{said}{traces}</ink>'.encode()


def traces_of(xy: np.ndarray, more: np.ndarray | None = None) -> str:
    rows = xy if more is None else np.c_[xy, more]
    pieces = np.split(rows, np.flatnonzero(ENDS[:-1]) + 1)
    return "".join("<trace>" + ",".join(" ".join(f"{v:.8g}" for v in row) for row in s) + "</trace>" for s in pieces)


def read(tmp_path, name: str, data: bytes | str, text: str | None = HAND.text, **how) -> tuple[Strokes, str]:
    (tmp_path / name).write_bytes(data.encode() if isinstance(data, str) else data)
    lines, told = load_ink(tmp_path / name, text, **how)
    assert "\n" not in told and len(lines) == 1
    return lines[0], told


# -- which way is down -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(styles()))
def test_ink_tells_which_way_is_down(name):
    xy, owner = ink_of(styles()[name])
    z = downness(xy, owner)
    assert z > ink.SURE
    assert downness(xy * (1, -1), owner) == pytest.approx(-z)
    assert downness(37 * xy + 1e5, owner) == pytest.approx(z, abs=1e-4), "neither unit nor place matter"


def test_an_empty_gesture_tells_nothing():
    dots = np.array([[0.0, 0], [5, 0]])
    assert ink.fall_and_turn(dots, np.array([0, 1])) == (0.0, 0.0)


def test_fall_and_turn_of_strokes_that_are_known():
    down = np.array([[0.0, 0], [0, 1], [0, 2]])
    fall, turn = ink.fall_and_turn(down, np.zeros(3, int))
    assert fall > 0 and turn == 0
    around = np.linspace(0, 2 * np.pi, 200)
    left = np.stack([np.cos(around), -np.sin(around)], 1)  # y down: this goes counter-clockwise on paper
    fall, turn = ink.fall_and_turn(left, np.zeros(200, int))
    height = ink.height_of(left, np.zeros(200, int))
    assert turn == pytest.approx(-(2 * np.pi) / (2 * np.pi / height), rel=0.02)


# -- InkML -------------------------------------------------------------------------------------------------------------


def test_the_numbers_of_a_trace():
    values = ink.trace_values
    assert values("1 2, 3 4", 2).tolist() == [[1, 2], [3, 4]]
    assert values("10 0,'5'1,5 1,!7!9,1 1", 2).tolist() == [[10, 0], [15, 1], [20, 2], [7, 9], [1, 1]]
    assert values("0 0,'2'0,\"1\"0,1 0", 2)[:, 0].tolist() == [0, 2, 5, 9], "differences of differences"
    assert values("5-3,-2-.5,1e1 #1F", 2).tolist() == [[5, -3], [-2, -0.5], [10, 31]]
    assert values("1 2,* 5", 2).tolist() == [[1, 2], [1, 5]]
    assert np.isnan(values("1 2 ?", 3)[0, 2]) and values("1 2 T", 3)[0, 2] == 1
    assert values(" ", 2).shape == (0, 2)
    for wrong in ("1", "1 a", "1 2,3", "1 2 | 3"):
        with pytest.raises(ValueError, match="a trace holds the point"):
            values(wrong, 2)


def test_inkml_with_times_another_unit_and_y_up(tmp_path):
    context = (
        '<context xml:id="c"><inkSource><traceFormat><channel name="F"/><channel name="X"/>'
        '<channel name="Y" orientation="-ve"/><channel name="T" units="ms"/></traceFormat></inkSource></context>'
    )
    times = np.arange(len(XY)) * 10.0
    rows = np.c_[np.full(len(XY), 512), XY * (0.01, -0.01)]
    line, told = read(tmp_path, "a.inkml", inkml(traces_of(rows, times), context))
    assert "y up (by the format)" in told and "100 points a second" in told and "size times" in told
    assert same_shape(line) and strokes_of(line) == strokes_of(HAND) and len(line) == len(HAND)
    assert np.ptp(ink_of(line)[0][:, 0]) / LETTERS == pytest.approx(WIDTH, rel=0.01)


def test_inkml_groups_are_lines_with_their_texts(tmp_path):
    one, two = EmbeddedWriter(1).write("over here"), EmbeddedWriter(2).write("and there")

    def group(line, down):
        rows = line.to_absolute().numpy() + np.array([0, down, 0])
        pieces = np.split(rows[:, :2], np.flatnonzero(rows[:-1, 2]) + 1)
        traces = "".join("<trace>" + ",".join(f"{x:.2f} {y:.2f}" for x, y in s) + "</trace>" for s in pieces)
        return f'<traceGroup><annotation type="truth">{line.text}</annotation>{traces}</traceGroup>'

    away = '<trace type="penUp">1 1,2 2</trace>'
    data = inkml(group(one, 0) + away + group(two, 700))
    (tmp_path / "p.inkml").write_bytes(data)
    lines, told = load_ink(tmp_path / "p.inkml")
    assert [line.text for line in lines] == ["over here", "and there"] and "2 lines" in told
    assert same_shape(lines[0], one) and same_shape(lines[1], two)
    assert [strokes_of(line) for line in lines] == [strokes_of(one), strokes_of(two)]


def test_inkml_of_utf_16(tmp_path):
    said = HAND.text.replace("h", "\u00e9")
    text = inkml(traces_of(XY), text=said).decode()
    line, _ = read(tmp_path, "u.inkml", ('<?xml version="1.0" encoding="UTF-16"?>' + text).encode("utf-16"), None)
    assert line.text == said and same_shape(line)


# -- UNIPEN ------------------------------------------------------------------------------------------------------------


def test_unipen(tmp_path):
    xy = (XY * (0.1, -0.1) + (500, 900)).round(2)
    pieces = np.split(np.c_[xy, np.arange(len(xy)) * 10], np.flatnonzero(ENDS[:-1]) + 1)
    body = "".join(
        ".PEN_DOWN\n" + "\n".join(f"{x} {y} {t:.0f}" for x, y, t in s) + "\n.PEN_UP\n" + f"{s[-1, 0]} 0 0\n"
        for s in pieces
    )
    head = ".VERSION 1.0\n.COMMENT x .PEN\n.COORD X Y T\n.POINTS_PER_SECOND 100\n.HIERARCHY LINE WORD\n"
    segments = f'.SEGMENT WORD 0-1 ? "no"\n.SEGMENT LINE 0-9 OK "{HAND.text}"\n'
    for ends in ("\n", "\r\n"):
        line, told = read(tmp_path, "a.dat", (head + segments + body).replace("\n", ends), None)
        assert line.text == HAND.text and same_shape(line) and strokes_of(line) == len(pieces)
        assert "UNIPEN" in told and "y up (by the format)" in told and "100 points a second" in told
    with pytest.raises(ValueError, match="is no ink: a pen-down holds '1 2 b', expected rows of X Y T"):
        read(tmp_path, "b.dat", head + ".PEN_DOWN\n1 2 b\n.PEN_UP\n")


# -- SVG ---------------------------------------------------------------------------------------------------------------


def test_svg_curves_transforms_and_groups(tmp_path):
    data = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><defs><path id="u" d="M0 0H4"/></defs>
    <g transform="translate(10 20) scale(2)" fill="none" stroke="black"><path d="M0 0 L10 0"/>
    <path transform="rotate(90)" d="M0 0c0 10 10 10 10 0"/></g>
    <path d="M0 0A5 5 0 0 1 10 0M3 3l0 1z" stroke="red" fill="none"/><circle r="3" fill="blue"/>
    <use href="#u" x="100" stroke="green"/></svg>"""
    raw = ink.svg_strokes(ink.xml_root(data.encode()))
    assert raw.note == "1 filled shapes left out" and len(raw.strokes) == 5 and not raw.y_up
    first, bend, arc, _, copy = (s[:, :2] for s in raw.strokes)
    assert first.tolist() == [[10, 20], [30, 20]]
    assert np.allclose(bend[[0, -1]], [[10, 20], [10, 40]])
    u = np.linspace(0, 1, len(bend))
    want = np.stack([10 - 60 * u * (1 - u), 20 + 20 * (3 * u**2 * (1 - u) + u**3)], 1)  # by hand: y = 10 (3u^2 v + u^3)
    assert np.allclose(bend[:, 1], want[:, 1], atol=0.01) and np.allclose(bend[:, 0], want[:, 0], atol=0.01)
    assert np.allclose(np.hypot(*(arc - (5, 0)).T), 5) and np.allclose(copy, [[100, 0], [104, 0]])


@pytest.mark.parametrize("smooth", [True, False])
def test_our_own_picture_comes_back(tmp_path, smooth):
    save_ink(tmp_path / "a.svg", HAND, smooth=smooth)
    lines, told = load_ink(tmp_path / "a.svg")
    assert len(lines) == 1 and lines[0].text == HAND.text and ("curves" in told) == smooth
    assert same_shape(lines[0]) and strokes_of(lines[0]) == strokes_of(HAND)
    dots = EmbeddedWriter(1, tap=1.0).write("...")
    save_ink(tmp_path / "d.svg", dots)
    assert len(load_ink(tmp_path / "d.svg").lines[0]) == 3, "a dot is a dot again"


# -- arrays, tables, JSON ----------------------------------------------------------------------------------------------


def offsets_y_up(lifts_first: bool = False) -> np.ndarray:
    xy = XY * (1, -1) / np.median(np.hypot(*np.diff(XY, axis=0).T))
    rows = np.c_[np.diff(xy, axis=0, prepend=xy[:1]), ENDS].astype(np.float32)
    rows[0] = 0, 0, 1
    return rows[:, [2, 0, 1]] if lifts_first else rows


@pytest.mark.parametrize("chars", ["bytes", "letters", "text", "codes"])
def test_the_two_files_of_a_style(tmp_path, chars):
    np.save(tmp_path / "style-3-strokes.npy", offsets_y_up())
    stored = {
        "bytes": np.array(HAND.text.encode()),
        "letters": np.array(list(HAND.text)),
        "codes": np.frombuffer(HAND.text.encode(), np.uint8),
    }
    if chars == "text":
        (tmp_path / "style-3-strokes.txt").write_text(HAND.text, "utf-8-sig")
    else:
        np.save(tmp_path / "style-3-chars.npy", stored[chars])
    (line,), told = load_ink(tmp_path / "style-3-strokes.npy")
    assert line.text == HAND.text and "y up (by the ink)" in told and "size times" in told
    assert same_shape(line) and strokes_of(line) == strokes_of(HAND) and len(line) == len(HAND)
    assert np.ptp(ink_of(line)[0][:, 0]) / LETTERS == pytest.approx(WIDTH, rel=0.01)


def test_lifts_in_the_first_column(tmp_path):
    np.save(tmp_path / "a.npy", offsets_y_up(True))
    (line,), told = load_ink(tmp_path / "a.npy", HAND.text)
    assert "first column" in told and same_shape(line)


def table_of(columns: str, mark: str = ",", comma: bool = False) -> str:
    have = {
        "x": XY[:, 0] / 40, "y": XY[:, 1] / 40, "t": np.arange(len(XY)) / 100, "ms": np.arange(len(XY)) * 10.0,
        "pen": np.ones(len(XY)), "end": ENDS.astype(float), "stroke": OWNER.astype(float),
    }  # fmt: skip
    rows = np.stack([have[name] for name in columns.split()], 1).round(4)
    words = [[f"{v:g}".replace(".", "," if comma else ".") for v in row] for row in rows]
    return "\n".join(mark.join(row) for row in words)


@pytest.mark.parametrize(
    ("head", "columns", "mark", "comma"),
    [
        ("x,y,t,end\n", "x y t end", ",", False),
        ("X;Y;ms;end\n", "x y ms end", ";", True),
        ("stroke\tx\ty\tt\n", "stroke x y t", "\t", True),
        ("", "x y t end", ",", False),
        ("# a comment\n", "x y ms end", " ", False),
        ("", "x y end", ";", False),
    ],
)
def test_tables(tmp_path, head, columns, mark, comma):
    line, told = read(tmp_path, "a.csv", head + table_of(columns, mark, comma))
    assert same_shape(line) and strokes_of(line) == strokes_of(HAND) and "y down (by the ink)" in told
    assert len(line) == pytest.approx(len(HAND), rel=0.05)


def test_a_pen_that_is_mostly_down(tmp_path):
    rows = []
    for k, (x, y) in enumerate(XY):
        rows.append(f"{x},{y},{k / 100},1")
        if ENDS[k]:
            rows.append(f"{x + 5},{y - 30},{k / 100 + 0.004},0")  # in the air: no ink
    line, _ = read(tmp_path, "a.csv", "x,y,t,pen\n" + "\n".join(rows))
    assert strokes_of(line) == strokes_of(HAND) and same_shape(line)


def test_blank_lines_part_strokes(tmp_path):
    rows = table_of("x y").split("\n")
    text = "\n".join(row + "\n" * int(end) for row, end in zip(rows, ENDS, strict=True))
    line, _ = read(tmp_path, "a.csv", text)
    assert strokes_of(line) == strokes_of(HAND) and same_shape(line)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_marks_of_encodings(tmp_path, encoding):
    data = ("\ufeff" if encoding == "utf-16-le" else "") + "x,y,t,end\n" + table_of("x y t end")
    line, _ = read(tmp_path, "a.csv", data.encode(encoding))
    assert same_shape(line)
    line, _ = read(tmp_path, "a.json", HAND.to_json().encode(encoding), None)
    assert line.offsets.equal(HAND.offsets)


def test_json_of_this_book_is_left_as_it_is(tmp_path):
    line, told = read(tmp_path, "a.json", HAND.to_json(), None)
    assert line.offsets.equal(HAND.offsets) and line.text == HAND.text
    assert "size kept" in told and "no times, equal times" in told
    # as the pad on the page saves it
    rows = [[x, y, k / 100, int(e)] for k, ((x, y), e) in enumerate(zip(XY.tolist(), ENDS, strict=True))]
    for stored in ({"text": HAND.text, "trace": rows}, {"text": HAND.text, "points": rows}):
        line, _ = read(tmp_path, "p.json", json.dumps(stored), None)
        assert same_shape(line) and line.text == HAND.text


def page_of(*texts: str, whole: str = "") -> Handwriting:
    inks = [EmbeddedWriter(k + 1).write(t) for k, t in enumerate(texts)]
    text = whole or "\n".join(texts)
    points = [ink.to_absolute() + torch.tensor([0.0, 800.0 * k, 0.0]) for k, ink in enumerate(inks)]
    parts = zip(inks, texts, map(text.index, texts), strict=True)
    windows = tuple((torch.zeros(len(i), len(t)), torch.arange(len(t)) + a) for i, t, a in parts)
    page = Strokes.from_absolute(torch.cat(points))
    return Handwriting(page.offsets, text, "here", None, 7, 0, windows)


def test_a_page_comes_back_line_by_line(tmp_path):
    page = page_of("the first line", "a second", "third of them")
    for name in ("p.json", "p.inkml"):
        save_ink(tmp_path / name, page)
        lines, told = load_ink(tmp_path / name)
        assert [line.text for line in lines] == page.text.split("\n") and "3 lines" in told
        for line, want in zip(lines, page.lines, strict=True):
            assert torch.allclose(line.offsets, want.offsets, atol=0.01)
    # a page of an older version, without its lines
    stored = json.loads(page.to_json())
    del stored["lines"]
    (tmp_path / "old.json").write_text(json.dumps(stored))
    assert [len(line) for line in load_ink(tmp_path / "old.json").lines] == [len(line) for line in page.lines]
    with pytest.raises(ValueError, match="3 lines of ink and 2 lines of text; give each line its own"):
        load_ink(tmp_path / "old.json", "two\nlines")


def test_blank_lines_and_indents_of_a_page_arrive_on_paper(tmp_path):
    """The page that was written and the one that was read back are laid out alike, and stored alike once more."""
    whole = "Dear Anna,\n\n\nthe ink came\n\n      Bob"
    page = page_of("Dear Anna,", "the ink came", "Bob", whole=whole)
    (tmp_path / "p.json").write_text(page.to_json())
    lines, _ = load_ink(tmp_path / "p.json")
    (want,), (got,) = lay_out(page), lay_out(lines)
    assert got.height == pytest.approx(want.height, abs=0.01)
    assert got.height == pytest.approx(lay_out(list(lines))[0].height + 3 * 14), "three blank lines of 14 mm"
    assert max(abs(a - b).max() for a, b in zip(want.strokes, got.strokes, strict=True)) < 0.01
    save_ink(tmp_path / "q.json", lines)
    again, _ = load_ink(tmp_path / "q.json")
    assert again.text == page.text and lay_out(again)[0].height == pytest.approx(want.height, abs=0.01)
    stored = Strokes.from_json((tmp_path / "q.json").read_bytes()).to_absolute()[:, 1]
    first, second, third = (y.median().item() for y in stored.split([len(line) for line in again]))
    assert (third - first) / (second - first) == pytest.approx(5 / 3, abs=0.01), "rows 0, 3 and 5 of the page"


# -- the clock, the tilt, the unit -------------------------------------------------------------------------------------


def thinned(every: int) -> np.ndarray:
    rows = np.c_[XY, np.arange(len(XY)) / 100, ENDS]
    first = np.append(True, OWNER[1:] != OWNER[:-1])
    inner = np.arange(len(XY)) - np.maximum.accumulate(np.where(first, np.arange(len(XY)), 0))
    return rows[(inner % every == 0) | ENDS]


def test_three_times_too_sparse_and_four_times_too_dense(tmp_path):
    sparse = Strokes.from_absolute(thinned(3)[:, :2], thinned(3)[:, 3], HAND.text)
    line, told = read(tmp_path, "s.json", sparse.to_json(), None)
    assert len(line) > 1.4 * len(sparse) and "points made" in told and same_shape(line, within=0.02)
    assert 12 <= len(line) / LETTERS <= 35
    at = np.concatenate([np.arange(np.flatnonzero(OWNER == s)[0], np.flatnonzero(OWNER == s)[-1] + 1e-9, 0.25)
                         for s in range(OWNER[-1] + 1)])  # fmt: skip
    dense_xy = np.stack([np.interp(at, np.arange(len(XY)), c) for c in XY.T], 1)
    owner = OWNER[np.floor(at + 1e-9).astype(int)]
    dense = Strokes.from_absolute(dense_xy, np.append(owner[1:] != owner[:-1], True), HAND.text)
    line, told = read(tmp_path, "d.json", dense.to_json(), None)
    assert len(line) < 0.6 * len(dense) and "points made" in told and same_shape(line, within=0.02)


@pytest.mark.parametrize("times", ["none", "zero", "backwards"])
def test_without_a_clock_strokes_do_not_collapse(tmp_path, times):
    rows = XY / 40
    t = {"none": None, "zero": np.zeros(len(XY)), "backwards": -np.arange(len(XY))}[times]
    timed = '<traceFormat><channel name="X"/><channel name="Y"/><channel name="T"/></traceFormat>'
    head = timed if t is not None else ""
    line, told = read(tmp_path, "a.inkml", inkml(traces_of(rows, t), head))
    assert same_shape(line) and strokes_of(line) == strokes_of(HAND) and 12 <= len(line) / LETTERS <= 35
    assert {"none": "no times", "zero": "stand still", "backwards": "run backwards"}[times] in told


def test_a_made_up_clock_slows_in_bends_and_keeps_the_way():
    u = np.linspace(0, 2 * np.pi, 400)
    oval = np.stack([40 * np.cos(u), 10 * np.sin(u)], 1)  # bends sharply at its two ends
    made = ink.made_up_times(oval, 10.0)
    speed = np.hypot(*np.diff(made[:, :2], axis=0).T) / np.diff(made[:, 2])
    middle = slice(len(speed) // 5, -len(speed) // 5)
    sharp = np.abs(made[:-1, 0]) > 36
    flat = np.abs(made[:-1, 0]) < 10
    inside = np.zeros(len(speed), bool)
    inside[middle] = True
    assert speed[inside & flat].mean() > 1.5 * speed[inside & sharp].mean()
    assert speed[:3].mean() < 0.7 * speed.mean() and (np.diff(made[:, 2]) > 0).all()
    assert np.abs(made[[0, -1], :2] - oval[[0, -1]]).max() < 1e-6


def test_a_made_up_clock_draws_a_straight_line_at_twice_the_mean():
    """Nothing bends: the cube root of 8 is 2, of a quarter of a height in each hundredth of a second; ends are slow."""
    made = ink.made_up_times(np.array([[0, 0], [30, 40.0]]), 5.0)  # ten heights of ink
    speed = np.hypot(*np.diff(made[:, :2], axis=0).T) / np.diff(made[:, 2]) / 5.0
    assert np.allclose(speed[20:-20], 2 * 0.25 / 0.01) and speed[0] == pytest.approx(0.3 * 50) == speed[-1]
    assert len(made) == 201 and np.allclose(made[:, 0] * 4, made[:, 1] * 3)


@pytest.mark.parametrize("unit", [1.0, 1e-3, 1e-6, 1e-9])
def test_the_unit_of_a_clock_is_the_largest_that_a_pen_can_have(unit):
    for seconds in (0.01, 0.19 if unit == 1 else 0.011):  # from point to point
        assert ink._second(np.arange(9) * (seconds / unit)) == unit
    assert ink._second(np.zeros(3)) == 1.0 and ink._second(np.arange(3) * 1e12) == 1e-9


def test_a_height_of_hardly_any_ink():
    """One place has none; else it is the unit in which `upright` measures, whatever that of the ink."""
    assert ink.height_of(np.array([[3.0, 4.0]]), np.array([0])) == 0
    assert ink.height_of(np.array([[3.0, 4.0], [3.0, 4.0]]), np.array([0, 0])) == 0
    xy, stroke = XY[: 3 * len(XY) // 4], OWNER[: 3 * len(XY) // 4]
    ratio = np.ptp(xy[:, 0]) / np.ptp(upright(xy, stroke)[:, 0])
    assert ink.height_of(xy, stroke) == pytest.approx(ratio) == ink.height_of(7 * xy, stroke) / 7


@pytest.mark.parametrize("degrees", [-25, -10, 10, 25])
def test_a_line_that_climbs_is_levelled(tmp_path, degrees):
    a = math.radians(degrees)
    turned = XY @ np.array([[math.cos(a), math.sin(a)], [-math.sin(a), math.cos(a)]])
    line, told = read(tmp_path, "a.inkml", inkml(traces_of(turned)))
    assert ("sinks" if degrees > 0 else "climbs") in told and "levelled" in told
    assert same_shape(line, within=0.02)
    kept, told = read(tmp_path, "a.inkml", inkml(traces_of(turned)), level=False)
    assert "levelled" not in told and not same_shape(kept, within=0.02)


def test_arguments_win(tmp_path):
    np.save(tmp_path / "a.npy", offsets_y_up())
    (line,), told = load_ink(tmp_path / "a.npy", HAND.text, y_up=False, scale=2.0, rate=50.0)
    assert "as you say" in told and "size times 2" in told and "50 points a second" in told
    assert downness(*ink_of(line)) < 0
    for wrong in ({"y_up": "yes"}, {"rate": 0}, {"scale": -1}, {"level": 3}, {"text": 7}):
        with pytest.raises((TypeError, ValueError), match="^load_ink: "):
            load_ink(tmp_path / "a.npy", **{"text": "a", **wrong})


# -- round trips -------------------------------------------------------------------------------------------------------

places = st.floats(-2000, 2000, width=32).map(lambda v: round(v, 2))
inks = st.lists(st.lists(st.tuples(places, places), min_size=1, max_size=9), min_size=1, max_size=6)
words = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), max_size=9).map(str.strip)


@given(inks, words)
@settings(max_examples=40, deadline=None)
def test_what_is_written_is_what_is_read(tmp_path_factory, strokes, text):
    rows = [(x, y, k == len(s) - 1) for s in strokes for k, (x, y) in enumerate(s)]
    line = Strokes.from_absolute(np.array(rows, dtype=float), text=text)
    folder = tmp_path_factory.mktemp("ink")
    for kind in ("json", "inkml", "csv"):
        save_ink(folder / f"a.{kind}", line)
        raw = ink.kind_of((folder / f"a.{kind}").read_bytes())
        got = np.concatenate(raw.strokes)[:, :2]
        want = line.to_absolute()[:, :2].numpy()
        assert [len(s) for s in raw.strokes] == [len(s) for s in strokes]
        assert np.allclose(got - got[0], want - want[0], atol=1e-3)
        if kind == "inkml":
            assert (raw.texts or [""])[0].strip() == text.strip()


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
@settings(max_examples=80, deadline=None)
def test_any_bytes_are_ink_or_a_sentence(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("any") / "a.dat"
    path.write_bytes(data)
    try:
        load_ink(path)
    except ValueError as error:
        assert "is no ink" in str(error) and "\n" not in str(error) and len(str(error)) < 700


# -- strangers ---------------------------------------------------------------------------------------------------------

LAUGHS = '<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]><svg>&b;</svg>'
USES = "<svg xmlns='http://www.w3.org/2000/svg'><path id='n0' d='M0 0H1'/>" + "".join(
    f"<g id='n{k + 1}'>" + f"<use href='#n{k}'/>" * 10 + "</g>" for k in range(12)
) + "</svg>"  # fmt: skip


def npy_with(header: str, body: bytes = b"") -> bytes:
    padded = header + " " * (63 - (10 + len(header)) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded.encode() + body


def pickled() -> bytes:
    file = io.BytesIO()
    np.save(file, np.array([{}], dtype=object), allow_pickle=True)
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "it is empty"),
        (b"\x89PNG\r\n\x1a\n....", "this is a picture or an archive"),
        (b"\x1f\x8b\x08....", "this is a picture or an archive"),
        (LAUGHS.encode(), "defines entities"),
        (USES.encode(), "copies counted"),
        (b"<svg><g id='a'><use href='#a'/></g></svg>", "uses itself"),
        (b"<svg>" + b"<g>" * 200 + b"</g>" * 200 + b"</svg>", "nest over 100 deep"),
        (b"<svg/>", "it holds no ink"),
        (b"<ink></ink>", "it holds no ink"),
        (b"<html/>", "XML of <html>, expected ink or svg"),
        (b'<?xml version="1.0" encoding="nope"?><ink/>', "not well-formed XML"),
        (b"<ink><trace>1 2,3 a</trace></ink>", "a trace holds the point '3 a'"),
        (b"<ink><trace>1 2,1e300 0</trace></ink>", "is not finite"),
        (b"<svg><path stroke='red' d='M0 0L1e999 0'/></svg>", "is no ink"),
        (b"{", "not JSON"),
        (b'{"offsets": [[0,0,0],[NaN,0,1]]}', "every number must be finite"),
        (b'{"trace": [[0,0]]}', "rows of x, y, seconds, end"),
        (b'{"offsets": [[0,0,1]], "lines": [[7, "a"]]}', "do not add up"),
        (pickled(), "pickled objects"),
        (npy_with("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 3), }"), "its header promises"),
        (npy_with("{'descr': '<f8', 'fortran_order': False, 'shape': (1, 2), }", bytes(16)), "numbers, (T, 3)"),
        (b"\x93NUMPY\x07\x00", "header is none"),
        (b"1,2\n3,nan\n", "is not finite"),
        (b"1,2\n3\n", "no table of numbers"),
        (b"hello\nworld\n", "no table"),
        (b"x,t\n1,2\n", "expected x and y"),
        (b"1,2\n" * 500_001, "at most 500,000"),
    ],
)
def test_strangers_get_one_sentence(tmp_path, data, why):
    path = tmp_path / "a.any"
    path.write_bytes(data)
    with pytest.raises(ValueError, match="is no ink: ") as error:
        load_ink(path)
    assert why in str(error.value) and "\n" not in str(error.value)


def test_numbers_beside_a_nan_in_an_array(tmp_path):
    rows = offsets_y_up()
    rows[3, 0] = np.nan
    np.save(tmp_path / "a.npy", rows)
    with pytest.raises(ValueError, match="a number in it is not finite"):
        load_ink(tmp_path / "a.npy")
    np.save(tmp_path / "b.npy", np.full((4, 3), 0.5))
    with pytest.raises(ValueError, match="neither its first nor its last column"):
        load_ink(tmp_path / "b.npy")


def test_missing_libraries_are_named(tmp_path, monkeypatch):
    import sys

    (tmp_path / "a.svg").write_text("<svg/>")
    monkeypatch.setitem(sys.modules, "svgelements", None)
    with pytest.raises(ImportError, match="svgelements, which is missing"):
        load_ink(tmp_path / "a.svg")
    monkeypatch.setitem(sys.modules, "defusedxml", None)
    with pytest.raises(ImportError, match="defusedxml, which is missing"):
        load_ink(tmp_path / "a.svg")


def test_writing_says_what_is_wrong_before_it_writes(tmp_path):
    for path, ink_, how, why in [
        ("a.gif", HAND, {}, "expected .json, .inkml, .csv"),
        ("nowhere/a.json", HAND, {}, "the folder"),
        ("a.json", [], {}, "no lines"),
        ("a.json", [3], {}, "a line is 3"),
        ("a.csv", HAND, {"pen": 1}, "numbers have no look"),
        ("a.svg", HAND, {"paper": "A11"}, "expected one of A3"),
    ]:
        with pytest.raises((ValueError, TypeError, OSError), match=why):
            save_ink(tmp_path / path, ink_, **how)
    assert not list(tmp_path.iterdir())

"""The chapter `paper`: lengths, baselines, sheets, curves, and what a printer or a plotter gets."""

import re
import warnings
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from softattn import paper
from softattn.page import wrap
from softattn.paper import Sheet, lay_out, save_sheets, sheet_gcode, sheet_svg, smooth_stroke
from softattn.pen import EmbeddedWriter
from softattn.strokes import Strokes

PEN = EmbeddedWriter(3)
SVG = "{http://www.w3.org/2000/svg}"


def line(*points, text="a") -> Strokes:
    rows = torch.tensor(points, dtype=torch.float64)
    return Strokes.from_absolute(rows[:, :2], rows[:, 2], text)


def sheet(*strokes, width=50.0, height=40.0, text="a") -> Sheet:
    return Sheet(width, height, tuple(np.array(s, dtype=float) for s in strokes), text)


# -- lengths and papers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "mm"), [(7, 7), (0.5, 0.5), ("7mm", 7), (" 1.5 CM", 15), ("1in", 25.4), ("72pt", 25.4), (".5", 0.5)]
)
def test_lengths(said, mm):
    assert paper.millimetres("try", "size", said, 0, 100) == pytest.approx(mm)


@pytest.mark.parametrize("said", ["", "mm", "7 ells", "1e3mm", "nan", "7px", "--7", "101mm", "-1", None, True])
def test_what_is_no_length(said):
    with pytest.raises((ValueError, TypeError), match="^try: size"):
        paper.millimetres("try", "size", said, 0, 100)


def test_papers():
    assert paper.paper_size("try", "a4") == (210, 297) and paper.paper_size("try", "Letter") == (215.9, 279.4)
    assert paper.paper_size("try", "10cmx15cm") == (100, 150) == paper.paper_size("try", (100, "15cm"))
    for wrong in ("A11", "10", 3, ("1mm", 50), "axb"):
        with pytest.raises(ValueError, match="^try: (paper is|the paper's)"):
            paper.paper_size("try", wrong)


# -- lines on sheets ---------------------------------------------------------------------------------------------------


def test_a_baseline_is_where_letters_turn():
    down_up = [np.array([[0, 0], [1, 10], [2, 0], [3, 10], [4, 0], [5, 25], [6, 0.0]])]
    assert paper.bottoms(down_up).tolist() == [10, 10, 25] and paper.baseline(down_up) == 10
    flat = [np.array([[0, 0], [1, 10], [2, 10], [3, 0.0]])]
    assert paper.bottoms(flat).tolist() == [10], "a flat bottom counts once"
    assert paper.baseline([np.array([[0, 7.0]])]) == 7, "a dot"


@given(st.text("ab \n", max_size=60).filter(str.strip), st.integers(4, 20))
@settings(max_examples=60, deadline=None)
def test_rows_and_indents_are_those_of_the_wrapped_text(text, columns):
    layout = wrap(text, columns)
    lines = [each.strip() for each in layout if each.strip()]
    rows = paper.rows_of(text, lines)
    assert [row for row, _ in rows] == [k for k, each in enumerate(layout) if each.strip()]
    for (_, indent), each in zip(rows, [each for each in layout if each.strip()], strict=True):
        lead = len(each) - len(each.lstrip())
        assert (indent > 0) == (lead > 0) and indent >= lead


def test_lines_of_another_text_stand_below_each_other():
    assert paper.rows_of("other", ["ab", "cd"]) == [(0, 0), (1, 0)]
    assert paper.rows_of("", [""]) == [(0, 0)]


def test_letters_keep_their_size_whatever_the_text():
    letter = line((0, 0, 0), (0, 360, 1), text="l")
    for ink in (letter, [letter, PEN.write("and a much longer line of ink")]):
        found = lay_out(ink, size="7mm")[0]
        assert np.ptp(found.strokes[0][:, 1]) == pytest.approx(7)
    assert np.ptp(lay_out(letter, size="1cm")[0].strokes[0][:, 1]) == pytest.approx(10)


def test_a_sheet_is_as_large_as_its_ink_and_margins():
    found = lay_out(line((0, 0, 0), (720, 360, 1)), size=7, margin=3)[0]
    assert (found.width, found.height) == pytest.approx((14 + 6, 7 + 6))
    assert found.strokes[0].min(0) == pytest.approx([3, 3])
    dot = lay_out(line((5, 5, 1)), margin=0)[0]
    assert dot.width > 0 and dot.height > 0


def test_pages_fill_and_go_on():
    ink = [line((0, 0, 0), (0, 360, 0), (300, 0, 1), text=f"l{k}") for k in range(30)]
    sheets = lay_out(ink, paper="A6", size=7, margin=10, line_height=12)
    per = 1 + int((148 - 20 - 10.5) // 12)
    assert [len(each.strokes) for each in sheets] == [per, per, per, 30 - 3 * per][: len(sheets)]
    assert "\n".join(each.text for each in sheets).split("\n") == [each.text for each in ink]
    for each in sheets:
        places = np.concatenate(each.strokes)
        assert (each.width, each.height) == (105, 148)
        assert places.min() >= 10 - 1e-6 and places[:, 1].max() <= 138
    feet = [stroke[:, 1].max() for stroke in sheets[0].strokes]
    assert np.allclose(np.diff(feet), 12)


def test_alignment():
    ink = [line((0, 0, 0), (360, 360, 1)), line((0, 0, 0), (720, 360, 1))]
    for align, lefts in [("left", (10, 10)), ("right", (88, 81)), ("centre", (49, 45.5)), ("center", (49, 45.5))]:
        found = lay_out(ink, paper="A6", align=align)[0]
        assert [s[:, 0].min() for s in found.strokes] == pytest.approx(lefts)
    found = lay_out(ink, align="right")[0]
    assert [s[:, 0].max() for s in found.strokes] == pytest.approx([24, 24])


def test_what_is_too_wide_is_squeezed_and_told():
    wide = line((0, 0, 0), (36_000, 360, 1), text="wide")
    with pytest.warns(UserWarning, match="the line 'wide' is 700 mm wide, the paper leaves 85: squeezed to 12%"):
        found = lay_out(wide, paper="A6")[0]
    assert np.ptp(found.strokes[0], axis=0) == pytest.approx([85, 7])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lay_out(wide)


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"size": 0}, "size"), ({"margin": "x"}, "margin is 'x'"), ({"align": "up"}, "align is 'up'"),
        ({"paper": "A6", "size": 60}, "letters of 60 mm do not fit on 105 x 148 mm"),
        ({"line_height": 0}, "line_height"),
    ],
)  # fmt: skip
def test_wrong_layouts(how, why):
    with pytest.raises(ValueError, match=f"^lay_out: .*{why}"):
        lay_out(PEN.write("a"), **how)
    for ink in (3, [3], None):
        with pytest.raises(TypeError, match="^lay_out: a line is"):
            lay_out(ink)


def test_how_near_lines_may_stand():
    ink = [line((0, 0, 0), (360, 360, 1)), line((0, 0, 0), (360, 360, 1))]
    for near in (0.5, 2000):
        first, second = lay_out(ink, line_height=near)[0].strokes
        assert second[0, 1] - first[0, 1] == pytest.approx(near)
    for wrong in (0.49, 2001):
        with pytest.raises(ValueError, match="^lay_out: line_height"):
            lay_out(ink, line_height=wrong)


# -- curves ------------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.floats(-99, 99), st.floats(-99, 99)), min_size=1, max_size=12), st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_a_curve_goes_through_its_points(points, pieces):
    stroke = np.array(points, dtype=float)
    curve = smooth_stroke(stroke, pieces)
    assert len(curve) == pieces * (len(stroke) - 1) + 1 and np.allclose(curve[::pieces], stroke)
    chord = np.hypot(*np.diff(stroke, axis=0).T) if len(stroke) > 1 else np.zeros(0)
    for k, long in enumerate(chord):  # no loops: a piece stays near its chord
        away = np.abs(curve[k * pieces : (k + 1) * pieces + 1] - stroke[k]).max()
        assert away <= 1.4 * long + 1e-9


def test_a_curve_is_smooth_where_pieces_meet():
    turns = np.linspace(0, 3, 8)
    curve = smooth_stroke(np.stack([np.cos(turns), np.sin(turns)], 1), 64)
    heading = np.unwrap(np.arctan2(*np.diff(curve, axis=0).T[::-1]))
    assert np.abs(np.diff(heading)).max() < 0.02
    straight = smooth_stroke(np.array([[0, 0], [1, 2], [2, 4], [3, 6.0]]), 5)
    assert np.allclose(straight[:, 1], 2 * straight[:, 0])


def test_slow_ink_is_wide():
    steps = np.array([5.0] * 20 + [1.0] * 20).cumsum()
    stroke = np.stack([steps, 0 * steps], 1)
    wide = paper.WIDTHS[paper.widths_of(stroke, 1.0, 3.0)]
    assert wide[2] == pytest.approx(2 ** (round(4 * np.log2(3 / 5)) / 4)) and wide[-3] == 2
    assert (paper.WIDTHS[paper.widths_of(stroke, 0.0, 3.0)] == 1).all()
    runs = paper.runs_of(sheet(stroke), 1.0)
    assert runs[0][2] == 0 and runs[-1][3] == len(stroke) - 1
    assert all(a[3] == b[2] for a, b in zip(runs, runs[1:], strict=False)), "the pieces hang together"
    assert (runs[0][0], runs[-1][0]) == (1, 8), "3 / 5 of the pen, to a fourth of an octave; twice the pen at most"
    still = [[3, 4], [3, 4], [3, 4]]
    for ink, swell in ((stroke, 0.0), (still, 1.0), ([[3, 4]], 1.0)):  # nothing that swells
        assert [(wide, a, b) for wide, _, a, b in paper.runs_of(sheet(ink), swell)] == [(4, 0, len(ink) - 1)]


# -- SVG ---------------------------------------------------------------------------------------------------------------


def test_svg_in_millimetres_and_in_pixels():
    root = ET.fromstring(sheet_svg(sheet([[1, 2], [3, 4]], text='<a> & "b"\nc'), pen="0.4mm", color="blue"))
    assert (root.get("width"), root.get("height"), root.get("viewBox")) == ("50mm", "40mm", "0 0 50 40")
    assert root.get("aria-label") == '<a> & "b"\nc'
    group = root.find(f"{SVG}g")
    assert group.get("stroke") == "blue" and group[0].get("stroke-width") == "0.4"
    root = ET.fromstring(sheet_svg(sheet([[1, 2], [3, 4]]), width=500, background="white"))
    assert (root.get("width"), root.get("height")) == ("500", "400") and root.find(f"{SVG}rect") is not None


def test_svg_straight_and_smooth():
    three = sheet([[1, 1], [4, 1], [4, 4]])
    straight = ET.fromstring(sheet_svg(three, smooth=False)).find(f".//{SVG}path").get("d")
    assert straight == "M1 1 4 1 4 4"
    smooth = ET.fromstring(sheet_svg(three)).find(f".//{SVG}path").get("d")
    numbers = [float(v) for v in re.findall(r"-?[\d.]+", smooth)]
    assert smooth.count("C") == 1 and len(numbers) == 2 + 2 * 6
    assert numbers[:4] == [1, 1, 1.5, 1] and numbers[4:8] == pytest.approx([3.5, 0.5, 4, 1])  # by equation


@pytest.mark.parametrize("swell", [0.0, 0.7])
def test_every_dot_has_a_length(swell):
    dots = sheet([[1, 1]], [[5, 5], [5, 5]], [[9, 9], [9.0001, 9]], [[2, 2], [3, 3]])
    paths = "".join(p.get("d") for p in ET.fromstring(sheet_svg(dots, swell=swell)).iter(f"{SVG}path"))
    assert paths.count("h0.0625") == 3 and paths.count("M") == 4


within = st.floats(0, 40)


@given(st.lists(st.lists(st.tuples(within, within), min_size=1, max_size=8), min_size=1, max_size=5),
       st.booleans(), st.sampled_from([0.0, 1.0]), st.text(max_size=9))  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_svg_holds_every_stroke(strokes, smooth, swell, text):
    root = ET.fromstring(sheet_svg(sheet(*strokes, text=text), smooth=smooth, swell=swell))
    paths = [p.get("d") for p in root.iter(f"{SVG}path")]
    starts = sum(d.count("M") for d in paths)
    assert starts == len(strokes) if swell == 0 else starts >= len(strokes)
    assert not re.search("nan|inf", "".join(paths))


@pytest.mark.parametrize("color", ["", "red;", "url(#a)", "#12345", "<", 3, "a" * 99])
def test_what_is_no_colour(color):
    with pytest.raises((ValueError, TypeError), match="^sheet_svg: "):
        sheet_svg(sheet([[1, 1]]), color=color)


@pytest.mark.parametrize("dot", [[[5, 7]], [[5, 7], [5, 7], [5, 7]]])
def test_a_dot_is_a_short_line_about_its_place(dot):
    places, codes = paper.curve_of(np.array(dot, dtype=float), 0, len(dot) - 1, True, 0.5)
    assert places.tolist() == [[4.75, 7], [5.25, 7]] and codes == [1, 2]


def test_curves_of_matplotlib_are_those_of_smooth_strokes():
    """Points 1 to 3 of five: at the middle of a cubic curve is an eighth of its ends and three of its handles."""
    stroke = np.array([[0, 0], [4, 1], [5, 6], [9, 7], [9, 2.0]])
    places, codes = paper.curve_of(stroke, 1, 3, True, 0.1)
    assert codes == [1, 4, 4, 4, 4, 4, 4] and np.allclose(places[::3], stroke[1:4])
    middles = [(places[k : k + 4] * np.array([[1], [3], [3], [1]])).sum(0) / 8 for k in (0, 3)]
    assert np.allclose(middles, smooth_stroke(stroke, 2)[3:6:2])
    places, codes = paper.curve_of(stroke, 1, 3, False, 0.1)
    assert codes == [1, 2, 2] and np.array_equal(places, stroke[1:4])


# -- G-code ------------------------------------------------------------------------------------------------------------


def test_gcode_by_hand():
    ink = sheet([[1, 2], [3, 2]], [[5, 39]], text="a(b);\nc")
    code = sheet_gcode(ink, up="M5", down="M3 S90", feed=900, smooth=False)
    assert code.split("\n") == [
        "(a?b?? / c)", "G21", "G90", "M5", "G0 X1.000 Y38.000", "M3 S90", "G1 X3.000 Y38.000 F900", "M5",
        "G0 X5.000 Y1.000", "M3 S90", "M5", "G0 X0 Y0", "M2", "",
    ]  # fmt: skip


def test_gcode_draws_what_the_sheet_holds():
    found = lay_out(PEN.write("plot me"))[0]
    code = sheet_gcode(found, smooth=False).split("\n")
    drawn, at = [], None
    for row in code:
        place = re.match(r"G([01]) X(\S+) Y(\S+)", row)
        if place and place[1] == "0":
            drawn.append([])
        if place:
            at = float(place[2]), found.height - float(place[3])
            drawn[-1].append(at)
    assert len(drawn) == len(found.strokes) + 1 and code.count("G0 Z5") == len(found.strokes) + 1
    for got, want in zip(drawn, found.strokes, strict=False):
        assert np.allclose(got[0], want[0], atol=6e-4) and np.allclose(got[-1], want[-1], atol=6e-4)


def test_gcode_keeps_to_the_bed():
    ink = sheet([[1, 2], [30, 2]])
    sheet_gcode(ink, bed=(40, 40))
    with pytest.raises(ValueError, match="the ink reaches from 1.0, 38.0 to 30.0, 38.0 mm, the bed is 20 x 40"):
        sheet_gcode(ink, bed="20x40")
    for wrong in ({"up": ""}, {"down": "\u2193"}, {"feed": 0}):
        with pytest.raises(ValueError, match="^sheet_gcode: "):
            sheet_gcode(ink, **wrong)


# -- files -------------------------------------------------------------------------------------------------------------


def test_png_has_its_dots_and_its_paper(tmp_path):
    import matplotlib.image

    ink = sheet([[10, 20], [40, 20]])
    for transparent in (False, True):
        save_sheets(tmp_path / "a.png", ink, dpi=127, pen=2, transparent=transparent)
        pixels = matplotlib.image.imread(tmp_path / "a.png")
        assert pixels.shape[:2] == (200, 250)
        assert pixels[5, 5, 3] == (0 if transparent else 1)
        assert pixels[100, 125].tolist() == [0, 0, 0, 1]
        dark = (pixels[..., 3] > 0.5) & (pixels[..., 0] < 0.5)
        assert dark.any(1).sum() == pytest.approx(10, abs=1)  # 2 mm
    save_sheets(tmp_path / "w.png", ink, width=100)
    assert matplotlib.image.imread(tmp_path / "w.png").shape[:2] == (80, 100)


@pytest.mark.parametrize("name", ["a.png", "a.pdf"])
def test_the_callers_own_style_changes_no_sheet(tmp_path, name):
    import matplotlib

    ink = sheet([[10, 20], [40, 20]])
    save_sheets(tmp_path / name, ink)
    plain = (tmp_path / name).read_bytes()
    style = {"savefig.facecolor": "red", "savefig.bbox": "tight", "savefig.dpi": 33, "savefig.transparent": True}
    with matplotlib.rc_context(style):
        save_sheets(tmp_path / name, ink)
    assert (tmp_path / name).read_bytes() == plain


def test_pixels_are_counted_before_they_are_made(tmp_path):
    for how in ({"dpi": 10_000}, {"width": 65_000}):
        with pytest.raises(ValueError, match=r"^save_sheets: \d+ x \d+ pixels; at most"):
            save_sheets(tmp_path / "a.png", sheet([[1, 1]], width=500, height=5000), **how)
    assert not list(tmp_path.iterdir())


def test_pdf_pages(tmp_path):
    sheets = [sheet([[1, 1], [5, 5]], width=210, height=297), sheet([[2, 2]], width=210, height=297)]
    assert save_sheets(tmp_path / "a.pdf", sheets) == [tmp_path / "a.pdf"]
    data = (tmp_path / "a.pdf").read_bytes()
    assert data.startswith(b"%PDF") and len(re.findall(rb"/Type /Page\b", data)) == 2
    box = re.search(rb"/MediaBox \[ 0 0 (\S+) (\S+) \]", data)
    assert [float(v) for v in box.groups()] == pytest.approx([595.276, 841.89], abs=0.01)
    save_sheets(tmp_path / "b.pdf", sheets)
    assert (tmp_path / "b.pdf").read_bytes() == data, "the same bytes each time"


def test_several_sheets_are_several_files(tmp_path):
    two = [sheet([[1, 1]]), sheet([[2, 2]])]
    assert [p.name for p in save_sheets(tmp_path / "a.svg", two)] == ["a-1.svg", "a-2.svg"]
    assert [p.name for p in save_sheets(tmp_path / "a.nc", two, up="M5", bed="A4")] == ["a-1.nc", "a-2.nc"]
    assert save_sheets(tmp_path / "b.svg", two[0]) == [tmp_path / "b.svg"]


@pytest.mark.parametrize(
    ("name", "how", "why"),
    [
        ("a.gif", {}, "ends in .gif, expected .svg, .png, .pdf, .gcode or .nc"),
        ("a", {}, "ends in nothing"),
        ("no/a.svg", {}, "the folder"),
        ("a.png", {"color": "mauvish"}, "'mauvish' is no colour"),
        ("a.pdf", {"feed": 3}, "feed is for .gcode alone"),
        ("a.svg", {"swell": 3}, "swell is 3"),
    ],
)
def test_what_cannot_be_written(tmp_path, name, how, why):
    with pytest.raises((ValueError, TypeError, OSError), match=why):
        save_sheets(tmp_path / name, sheet([[1, 1]]), **how)
    with pytest.raises(ValueError, match="no sheets"):
        save_sheets(tmp_path / "a.svg", [])
    assert not list(tmp_path.iterdir())


def test_without_matplotlib(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib.colors", None)
    with pytest.raises(ImportError, match="need Matplotlib: pip install matplotlib"):
        save_sheets(tmp_path / "a.pdf", sheet([[1, 1]]))
    save_sheets(tmp_path / "a.svg", sheet([[1, 1]]))


def test_sheets_are_judged():
    for wrong in (3, (np.zeros((2, 3)),), (np.zeros((0, 2)),), (np.array([[0, np.nan]]),), ([[0, 0]],)):
        with pytest.raises((TypeError, ValueError), match="^Sheet: "):
            Sheet(10, 10, wrong)
    with pytest.raises(ValueError, match="^Sheet: width"):
        Sheet(0, 10, ())

"""The scoreboard: what it reads and says of it, units against torch.distributions, the summary that may not drift."""

import json
import math
import re
import shutil

import pytest
import torch

from softattn import hub, scoreboard
from softattn.scoreboard import (
    Score,
    at,
    first_at,
    headlines,
    lattice_bits,
    not_reached,
    rescaled_nats,
    said,
    summary_svg,
    summary_words,
    table_html,
)

ROWS = scoreboard.scoreboard()
BY_KEY = {row.key: row for row in ROWS}


def test_rows_are_what_cards_and_tables_hold(root):
    cards = hub.weights()
    pen, writer, draw = cards["handwriting"], cards["synthesis"], cards["draw-mnist"]
    assert BY_KEY["points-noise"].ours == pen["metric"]["value"] and BY_KEY["writing"].ours == writer["metric"]["value"]
    assert BY_KEY["points-noise"].error == pen["val1"]["nats_per_line_standard_error"]
    assert BY_KEY["draw"].ours == draw["metric"]["value"] and BY_KEY["draw"].minutes == draw["minutes"]
    assert BY_KEY["draw"].command == draw["command"] and BY_KEY["draw"].machine == draw["machine"]
    assert BY_KEY["reader-8"].ours == cards["glimpse"]["metric"]["value"]
    assert BY_KEY["reader-8"].paper == cards["glimpse"]["paper_table"]["reader, 8 looks"]
    reader = cards["reading"].get("test", cards["reading"]["val1"])
    assert BY_KEY["read-graves"].ours == pytest.approx(100 * reader["error"])  # % from a share
    assert BY_KEY["read-graves"].split.startswith("that part of the test" if "test" in cards["reading"] else "val1")
    assert BY_KEY["read-graves"].compare == ("about" if "test" in cards["reading"] else "no")
    both = writer["metric"]["value"] - pen["metric"]["value"]
    assert BY_KEY["worth"].ours == both  # a difference of two cards
    ratio = writer["val1"]["squared_error_per_point"] / pen["val1"]["squared_error_per_point"]
    assert BY_KEY["worth-error"].ours == ratio
    table = json.loads((root / "softattn" / "data" / "glimpse-baselines.json").read_text(encoding="utf-8"))
    row, own = BY_KEY["convolution"], table["convolutional"]
    assert (row.ours, row.minutes, row.command) == (own["test"]["error"][0], own["minutes"], own["command"])
    layers = json.loads((root / "softattn" / "data" / "handwriting-layers.json").read_text(encoding="utf-8"))["runs"]
    assert BY_KEY["depth"].ours == layers[1]["nats_per_line"] - layers[0]["nats_per_line"]
    assert BY_KEY["depth"].minutes == layers[1]["minutes"]


def test_the_papers_differences_are_those_of_their_rows():
    paper = {key: row.paper for key, row in BY_KEY.items()}
    assert paper["depth"] == pytest.approx(paper["points-3-layers"] - paper["points-1-layer"])
    assert paper["noise"] == pytest.approx(paper["points-noise"] - paper["points-3-layers"])
    assert paper["worth"] == pytest.approx(paper["writing"] - paper["points-3-layers"])
    assert paper["worth-error"] == pytest.approx(paper["writing-error"] / paper["points-error-3"], abs=0.005)


def test_every_row_says_where_its_figures_stand(root):
    bib = (root / "book" / "references.bib").read_text(encoding="utf-8")
    papers = scoreboard.stored("data/papers")["figures"]
    assert len({row["id"] for row in papers}) == len(papers)
    for row, score in zip(papers, ROWS, strict=True):
        cite, value = row["paper"]["cite"], row["paper"]["value"]
        assert row["paper"]["status"] in ("found", "recalled") and row["compare"] in ("yes", "about", "no"), row["id"]
        assert row["why"], row["id"]
        assert bool(cite) or value is None, f"{row['id']}: a figure without a paper"
        if cite:
            assert f"{{{cite}," in bib and row["paper"]["status"] in score.source
        if score.ours is not None:
            assert math.isfinite(score.ours) and score.command and score.split, row["id"]
            assert score.error is None or score.error > 0
        if score.verdict.startswith("not reached"):
            assert score.closes, f"{row['id']}: say what would close the gap"
    assert {h for h, _ in headlines()} == {row["headline"] for row in papers if row["headline"]}


def test_no_figure_of_ours_is_typed(root):
    """The data file holds papers' values and pointers; the chapter's code holds neither a paper's figure nor ours."""
    text = (root / "book" / "scoreboard.md").read_text(encoding="utf-8")
    for row in ROWS:
        for value in (row.paper, row.ours):
            if value is not None and abs(value) > 2:
                shown = {f"{abs(value):.1f}", f"{abs(value):.2f}", f"{abs(value):,.1f}"}
                typed = [s for s in shown if re.search(rf"(?<![\d.]){re.escape(s)}(?![\d.])", text)]
                assert typed == [], f"{row.key}: {typed} is typed in the chapter"
    for row in scoreboard.stored("data/papers")["figures"]:
        for pointer in row["ours"] if isinstance(row["ours"], list) else [row["ours"]]:
            if pointer:
                numbers = [v for k, v in pointer.items() if k != "curve" and isinstance(v, int | float)]
                assert numbers in ([], [100]), row["id"]


def score(**more) -> Score:
    plain = dict(key="k", group="g", what="w", unit="u", paper=2.0, source="s", ours=1.0, error=None, split="",
                 compare="yes", why="", minutes=None, machine="", command="", closes="")  # fmt: skip
    return Score(**plain | more)


@pytest.mark.parametrize(
    ("more", "verdict"),
    [
        ({}, "reached"),
        ({"ours": 2.0}, "reached"),
        ({"ours": 2.1}, "not reached"),
        ({"compare": "about"}, "reached, nominally"),
        ({"compare": "about", "ours": 3.0}, "not reached, nominally"),
        ({"compare": "no"}, "not comparable"),
        ({"paper": None}, "not comparable"),
        ({"ours": None}, "not built here"),
    ],
)
def test_the_verdict(more, verdict):
    assert score(**more).verdict == verdict


def test_what_is_not_reached():
    short = not_reached()
    assert {row.key for row in short} == {row.key for row in ROWS if row.verdict.startswith("not reached")}
    assert all(row.ours > row.paper for row in short)


def test_paths_and_the_first_that_is_there():
    record = {"a": [{"b": 1}, {"b": 2}], "c": 3}
    assert at(record, "a.1.b") == 2 and first_at(record, ["x.y", "a.0.b"]) == 1 and first_at(record, "") is None
    with pytest.raises(KeyError, match="none of x, a.7 is stored"):
        first_at(record, ["x", "a.7"])


# -- units -------------------------------------------------------------------------------------------------------------


def test_another_unit_is_a_change_of_variables():
    """Gaussians over raw steps, scored after each division by torch.distributions itself."""
    g = torch.Generator().manual_seed(1)
    steps = torch.randn(50, 2, generator=g, dtype=torch.float64) * torch.tensor([30.0, 20.0]) + 4
    mean, width = torch.tensor([5.0, 3.0]).double(), torch.tensor([33.0, 18.0]).double()

    def nats(std):
        s = torch.tensor(std, dtype=torch.float64)
        normal = torch.distributions.Normal(mean / s, width / s)
        return -normal.log_prob(steps / s).sum().item()

    one, two = (40.0, 37.0), (12.5, 3.0)
    assert rescaled_nats(nats(one), 50, one, two) == pytest.approx(nats(two), rel=1e-12)
    assert rescaled_nats(nats(one), 50, one, one) == pytest.approx(nats(one), rel=1e-12)
    bits = nats((1.0, 1.0)) / 50 / math.log(2)
    assert lattice_bits(nats(one), 50, one) == pytest.approx(bits) == pytest.approx(lattice_bits(nats(two), 50, two))


@pytest.mark.parametrize("name", ["handwriting", "synthesis"])
def test_bits_are_those_that_the_recipe_stored(name):
    card = hub.weights()[name]
    for key in ("val1", "val1_cleaned"):
        part = card[key]
        bits = lattice_bits(part["nats_per_line"], part["points_per_line"], card["config"]["std"])
        assert bits == pytest.approx(part["bits_per_point_raw_lattice"], abs=1e-6)  # the recipe's std are float32


def test_the_table_of_limits_gives_what_was_told():
    """Steps over 1,000, 750 or 500 raw units left out: -1041 becomes about -1068, -1097, -1232."""
    card = hub.weights()["handwriting"]
    rows = {row["limit"]: row for row in scoreboard.stored("data/strokes-limits")["rows"]}
    for limit, nats in ((1000, -1068), (750, -1097), (500, -1232)):
        found = rescaled_nats(-1041.0, card["val1"]["points_per_line"], rows[limit]["std"], card["config"]["std"])
        assert found == pytest.approx(nats, abs=6), limit
    ordered = [rows[limit]["std"] for limit in sorted(rows, key=lambda k: k or 1e9)]
    assert all(a[k] <= b[k] for a, b in zip(ordered, ordered[1:], strict=False) for k in (0, 1))
    assert rows[None]["left_out"] == 0 and rows[500]["left_out"] > rows[1000]["left_out"] > 0


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: lattice_bits("1", 2.0, (1.0, 1.0)), TypeError, "nats is '1'.*, expected a number"),
        (lambda: lattice_bits(1.0, 0.0, (1.0, 1.0)), ValueError, "points is 0.0"),
        (lambda: lattice_bits(1.0, 2.0, (1.0,)), ValueError, r"std is \(1.0,\), expected \(s_x, s_y\)"),
        (lambda: lattice_bits(1.0, 2.0, (1.0, -1.0)), ValueError, "std is -1.0"),
        (lambda: lattice_bits(math.nan, 2.0, (1.0, 1.0)), ValueError, "nats is nan"),
        (lambda: rescaled_nats(1.0, 2.0, (1.0, 1.0), 3.0), ValueError, "rescaled_nats: std is 3.0"),
        (lambda: rescaled_nats(1.0, 2.0, (1.0, 1.0), (0.0, 1.0)), ValueError, "rescaled_nats: std is 0.0"),
    ],
)
def test_errors_say_what_came(call, error, words):
    with pytest.raises(error, match=words):
        call()


# -- what people see ---------------------------------------------------------------------------------------------------


def test_numbers_as_people_read_them():
    assert said(None) == "—" and said(-1041.0) == "−1,041.0" and said(3.357, 0.0621) == "3.36 ± 0.06"
    assert said(0.56) == "0.560" and said(-1073.54, 15.99) == "−1,073.5 ± 16.0"


def test_the_table_holds_every_row_and_escapes():
    html = table_html(ROWS)
    assert html.count("<tr>") == 1 + len(ROWS) + len({row.group for row in ROWS})
    for row in ROWS:
        assert said(row.paper) in html and said(row.ours, row.error) in html
    assert "<b>" not in table_html([score(what="<b>", why="<b>", command="<b>")])


def test_the_summary_is_one_picture_with_its_words():
    svg, words = summary_svg(), summary_words()
    assert svg.count("<rect") == 3 * len(headlines()) and words.split(".")[0] in svg
    for word, row in headlines():
        assert word in svg and said(row.ours) in svg and said(row.paper) in words and row.verdict in words
        assert len(word) <= 27, "it must fit into its part of the badge"


def test_readme_and_picture_have_not_drifted(root):
    from tools import scores

    assert scores.main(["--check"]) == 0, "run `make scores`"
    with pytest.raises(ValueError, match="the comments"):
        scores.wanted("no place")


# -- the demo ----------------------------------------------------------------------------------------------------------


@pytest.mark.browser
def test_the_converter_computes_what_python_does():
    from playwright.sync_api import sync_playwright

    from softattn.pictures import demo_html

    card = hub.weights()["handwriting"]
    std, points = card["config"]["std"], card["val1"]["points_per_line"]
    limits = scoreboard.stored("data/strokes-limits")["rows"]
    ours = {"handwriting": {"value": card["val1"]["nats_per_line"], "error": 16.0}}
    state = dict(
        figures=[{"what": str(v), "value": v, "ours": "handwriting"} for v in (-1041.0, -1057.7)],
        limits=limits, std=std, points=points, ours=ours, which=0, place=2,
    )  # fmt: skip
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 390, "height": 844})
        page.set_content(demo_html("converter", alt="A number.", **state))
        page.wait_for_selector(".softattn-demo[data-state=live]")

        def agrees(value, place, factor=1.0):
            found = json.loads(page.locator(".softattn-demo").get_attribute("data-numbers"))
            to, his = [s * factor for s in std], limits[place]["std"]
            assert found["limit"] == limits[place]["limit"]
            assert found["nats"] == pytest.approx(rescaled_nats(value, points, his, to), rel=1e-9)
            assert found["own"] == pytest.approx(rescaled_nats(ours["handwriting"]["value"], points, std, to), rel=1e-9)
            assert found["bits"] == pytest.approx(lattice_bits(value, points, his), rel=1e-9)
            assert found["ownBits"] == pytest.approx(card["val1"]["bits_per_point_raw_lattice"], abs=1e-6)

        agrees(-1041.0, 2)
        page.locator("select").select_option("1")
        agrees(-1057.7, 2)
        page.locator("input[type=range]").first.focus()
        page.keyboard.press("ArrowRight")
        agrees(-1057.7, 3)
        page.locator("input[type=range]").nth(1).focus()
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowLeft")
        agrees(-1057.7, 3, 10**-0.2)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        browser.close()


def test_every_figure_of_the_papers_tables_has_its_row():
    """How many figures each table prints: squared error beside nats, and what a difference is made of not again."""
    papers = scoreboard.stored("data/papers")["figures"]
    tables = {}
    for row in papers:
        if row["paper"]["value"] is not None and "difference" not in row["unit"] and row["unit"] != "ratio":
            place = row["paper"]["cite"], row["paper"]["where"]
            tables[place] = tables.get(place, 0) + 1
    assert tables["graves2013", "table 1"] == 10  # bits a character; the perplexities say the same
    assert tables["graves2013", "table 2"] == 3
    assert tables["graves2013", "table 3"] == 6
    assert tables["graves2013", "table 4"] == 4
    assert tables["gregor2015", "table 1"] == 5
    assert tables["gregor2015", "table 2"] == 13  # two of its models give an estimate and a bound
    assert tables["mnih2014", "table 2"] == 9


def test_a_curve_of_a_difference_is_of_two_stored_trainings():
    """The stretch with noise begins where the training without ended; both curves are long enough to be seen."""
    papers = {row["id"]: row for row in scoreboard.stored("data/papers")["figures"]}
    with_noise, without = papers["noise"]["ours"]
    rows = at(scoreboard.stored(with_noise["curve_in"]), with_noise["curve"][0])
    end = at(scoreboard.stored(with_noise["file"]), with_noise["curve_from"])
    assert end == at(scoreboard.stored(without["file"]), without["curve_to"])
    before, after = ([r for r in rows if (r[0] <= end) is side] for side in (True, False))
    assert len(before) > 10 and len(after) > 10
    gap = after[-1][2] - before[-1][2]  # on a part of the lines
    assert gap == pytest.approx(BY_KEY["noise"].ours, abs=2)

"""Slides: what a page marks becomes a slide, in its order, with notes; the decks of the built site in a browser."""

import re
import shutil
from pathlib import Path

import pytest

from tools import slides, toc

ROOT = Path(__file__).resolve().parent.parent
HTML = ROOT / "_build" / "html"

bs4 = pytest.importorskip("bs4")

PAGE = r"""<html><head><script>var x = 'MathJax'</script></head><body><article class="bd-article"><section id="one">
<h1>One<a class="headerlink" href="#one">#</a></h1>
<ul class="chapter-links"><li>x</li></ul><p class="chapter-part">The part</p>
<div class="cell"><div class="cell_output"><div class="output text_html"><style>a {}</style>
<div class="softattn-demo" id="demo-1" data-demo="pen"><img src="../_images/still.svg" alt="Still."></div>
</div></div></div>
<p>Drag it. Then let go.</p><p><strong>Time</strong> long.</p>
<section id="first"><h2>First<a class="headerlink" href="#first">#</a></h2>
<p>Here is why. See <a href="two.html#x">two</a> and <a href="#first">this</a>.</p>
<div class="admonition"><p class="admonition-title">Predict</p>
<p>What comes? (a) one; (b) f(a) and two; (c) three.</p></div>
<div class="cell"><div class="cell_input"><pre>code</pre></div><div class="cell_output">
<img class="softattn-figure" alt="A curve." src="../_images/a.png" loading="lazy" width="600"></div></div>
<p>(b). It falls. And more is said here, at length.</p>
<section id="sub"><h3>Sub</h3><p>The rule is</p>
<div class="math" id="eq">\[x = 1\]</div>
<p>and also</p><div class="math">\[y = 2\]</div>
<table><tr><th>a</th></tr><tr><td>1</td></tr></table>
<div class="admonition note"><p class="admonition-title">What did not work here</p>
<p>It was slow.</p></div></section></section>
<section id="summary"><h2><span class="section-number">1.2. </span>Summary</h2>
<ul><li>One.</li><li>Two.</li></ul></section>
<section id="exercises"><h2><span class="section-number">1.3. </span>Exercises</h2>
<p>None.</p><ul><li>x</li></ul></section>
</section></article></body></html>"""


def test_each_marked_place_becomes_a_slide_in_the_pages_order():
    found = slides.chapter(PAGE, "one")
    assert [s.kind for s in found] == ["chapter", "demo", "predict", "figure", "formula", "table", "note", "points"]
    assert [s.title for s in found] == [
        "One",
        "One",
        "First",
        "First",
        "Sub",
        "Sub",
        "What did not work here",
        "Summary",
    ]
    assert all("#" not in s.title and "headerlink" not in s.body for s in found)
    assert found[-1].source == "../book/one.html#summary" and "Two." in found[-1].body
    with pytest.raises(slides.SlideError, match="nothing.html has no article"):
        slides.chapter("<p>", "nothing")


def test_the_opening_is_said_once_and_is_no_label_of_the_part():
    first, demo = slides.chapter(PAGE, "one")[:2]
    assert first.body == "<p>Drag it. Then let go.</p>" and "The part" not in first.body + first.notes
    assert demo.kind == "demo" and "Drag it" not in demo.body


def test_a_slide_of_the_talk_is_not_taken_for_one_of_the_deck():
    text = PAGE.replace("What did not work here", "Slide 22")
    assert "Sub: slide 22 of the talk" in [slide.title for slide in slides.chapter(text, "one")]


def test_choices_stand_one_below_the_other_and_the_answer_in_the_notes():
    predict = next(s for s in slides.chapter(PAGE, "one") if s.kind == "predict")
    assert re.findall(r"<li>(.*?)</li>", predict.body) == ["one", "f(a) and two", "three."]
    assert predict.body.startswith("<p>What comes?</p>") and "Answer: (b). It falls." in predict.notes
    assert "Here is why." in predict.notes


def test_a_figure_has_its_sentence_and_its_words():
    figure = next(s for s in slides.chapter(PAGE, "one") if s.kind == "figure")
    assert '<p class="caption">(b). It falls. And more' in figure.body and "<i>A curve.</i>" in figure.notes
    assert "loading" not in figure.body and 'src="../_images/a.png"' in figure.body


def test_formulas_that_follow_each_other_share_a_slide_and_links_lead_to_the_book():
    found = slides.chapter(PAGE, "one")
    formula = next(s for s in found if s.kind == "formula")
    assert formula.body.count('class="math"') == 2 and "The rule is" in formula.body and 'id="eq"' not in formula.body
    notes = found[2].notes
    assert 'href="../book/two.html#x"' in notes and 'href="../book/one.html#first"' in notes


def test_a_demo_is_live_where_one_is_given_and_a_picture_elsewhere():
    live = {"pen": '<div class="softattn-demo" id="demo-1-gallery" data-demo="pen" data-script="s.js"></div>'}
    with_it = next(s for s in slides.chapter(PAGE, "one", live) if s.kind == "demo")
    without = next(s for s in slides.chapter(PAGE, "one") if s.kind == "demo")
    assert 'data-script="s.js"' in with_it.body and "still.svg" in without.body


def paragraph(inner: str):
    return bs4.BeautifulSoup(f"<p>{inner}</p>", "html.parser").p


@pytest.mark.parametrize(
    ("inner", "longest", "expected"),
    [
        ("One. Two. Three.", 9, "One. Two."),
        ("One. Two.", 100, "One. Two."),
        ("A long sentence without an end that is over", 5, "A long sentence without an end that is over"),
        ("<b>Bold</b> one. Then two.", 12, "<b>Bold</b> one."),
        ("(b). It falls. More.", 14, "(b). It falls."),
    ],
)
def test_a_paragraph_opens_with_whole_sentences(inner, longest, expected):
    assert slides.opening(paragraph(inner), longest) == expected


def test_there_is_a_deck_for_each_part_with_cells():
    decks = slides.decks()
    assert [deck.title for deck in decks][:4] == ["I Attend", "II Predict", "III Write", "IV Draw"]
    assert [deck.name for deck in decks][:4] == ["attend", "predict", "write", "draw"]
    assert "Teach" not in {deck.title for deck in decks}
    listed = {name for deck in decks for name in deck.chapters}
    assert listed >= {page.name for page in toc.chapters() if page.part.startswith(("I ", "II ", "III ", "IV "))}


def test_a_deck_is_one_page_that_loads_the_sites_own_files_only(tmp_path):
    deck = slides.Deck("x", "A < B", ["one"])
    text = slides.document(deck, slides.chapter(PAGE, "one"), "Title", slides.mathjax(PAGE))
    page = bs4.BeautifulSoup(text, "html.parser")
    assert len(page.select("section.slide")) == 9 and page.h1.get_text() == "A < B"
    assert [s["aria-label"] for s in page.select("section.slide")][:2] == ["1 of 9", "2 of 9"]
    assert "MathJax" in text and not re.search(r'(?:src|href)="https?:', text)
    assert all(note.find("a")["href"].startswith("../book/") for note in page.select("aside.notes"))


def test_without_a_site_it_says_what_to_do(tmp_path, capsys):
    assert slides.main(["--html", str(tmp_path)]) == 1
    assert "build the site first (make book)" in capsys.readouterr().err


# -- the decks of the built site


@pytest.fixture(scope="module")
def chromium():
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = playwright.chromium.launch(executable_path=path, args=["--headless", "--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.mark.site
@pytest.mark.parametrize("deck", slides.decks(), ids=lambda deck: deck.name)
def test_every_deck_is_built_and_whole(deck):
    path = HTML / "slides" / f"{deck.name}.html"
    assert path.exists(), f"no slides of {deck.title}"
    page = bs4.BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
    kinds = [slide["class"][1] for slide in page.select("section.slide")]
    assert kinds.count("chapter") == len(deck.chapters)
    seen = kinds.count("figure") + kinds.count("demo")
    code = deck.name in ("engine_room", "toolbox")  # these show code, mostly
    assert seen >= (1 if code else len(deck.chapters))
    for image in page.select("img"):
        assert image.get("alt") and (path.parent / image["src"]).resolve().exists(), image
    for link in page.select("a[href]"):
        target = link["href"].split("#")[0]
        assert target.startswith("http") or (path.parent / target).resolve().exists(), link
    assert "Traceback" not in page.get_text() and "headerlink" not in str(page)


@pytest.fixture
def tab(chromium):
    page = chromium.new_page(viewport={"width": 1280, "height": 720})
    yield page
    page.close()


CUT = """() => [...document.querySelectorAll('.slide:not([hidden]) :is(.body, .face)')]
    .map((box) => Math.max(box.scrollHeight - box.clientHeight, box.scrollWidth - box.clientWidth))"""


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["cover", "table", "points"])
def test_what_is_too_long_for_a_slide_gets_smaller_letters_and_is_not_cut(tab, tmp_path, kind):
    names = [slides.Slide("chapter", f"A chapter with a name, {n}", "", "", "#") for n in range(16)]
    rows = "".join(f"<tr><td>{'words of a row ' * 9}</td><td>{n}</td></tr>" for n in range(9))
    points = "".join(f"<li>{'A point that is made at length. ' * 6}</li>" for _ in range(7))
    bodies = {"table": f"<table>{rows}</table>", "points": f"<ul>{points}</ul>", "cover": ""}
    shown = [] if kind == "cover" else [slides.Slide(kind, "Long", bodies[kind], "", "#")]
    for name in ("slides.css", "slides.js"):
        (tmp_path / "_static").mkdir(exist_ok=True)
        shutil.copy(ROOT / "book" / "_static" / name, tmp_path / "_static" / name)
    (tmp_path / "slides").mkdir()
    text = slides.document(slides.Deck("x", "A part", []), [*shown, *names], "The book", "")
    (tmp_path / "slides" / "x.html").write_text(text, encoding="utf-8")
    tab.goto((tmp_path / "slides" / "x.html").as_uri() + ("" if kind == "cover" else "#2"))
    tab.wait_for_timeout(200)
    assert max(tab.evaluate(CUT)) <= 2


@pytest.mark.site
@pytest.mark.browser
@pytest.mark.slow
def test_a_deck_is_shown_from_a_disk_by_keyboard(chromium):
    tab = chromium.new_page(viewport={"width": 1280, "height": 720}, color_scheme="dark")
    faults = []
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.goto((HTML / "slides" / "attend.html").as_uri())
    visible = lambda: tab.locator("section.slide:visible").get_attribute("id")
    assert visible() == "1" and tab.evaluate("document.documentElement.dataset.theme") == "dark"
    for key, at in (("ArrowRight", "2"), ("PageDown", "3"), ("ArrowLeft", "2"), ("End", None), ("Home", "1")):
        tab.keyboard.press(key)
        assert at is None or visible() == at, key
    tab.keyboard.press("n")
    assert tab.locator("aside.notes:visible").count() == 1
    tab.keyboard.press("o")
    count = tab.locator("section.slide").count()
    assert tab.locator("section.slide:visible").count() == count
    tab.locator("section.slide").nth(2).click()
    assert visible() == "3"
    tab.keyboard.press("d")
    assert tab.evaluate("document.documentElement.dataset.theme") == "light"
    demo = tab.locator("section.slide.demo").first.get_attribute("id")
    tab.goto((HTML / "slides" / "attend.html").as_uri() + f"#{demo}")
    tab.reload()
    tab.wait_for_function("document.querySelector('.slide.demo:not([hidden]) .softattn-demo').dataset.state === 'live'")
    assert faults == []
    tab.close()

"""Every page in headless Chromium, light and dark, wide and on a phone; every demo on every page, by keyboard.

The numbers of each demo are compared with Python in the tests of its chapter.
"""

import functools
import http.server
import json
import shutil
import threading
from pathlib import Path

import pytest

from tools import toc

ROOT = Path(__file__).resolve().parent.parent
HTML = ROOT / "_build" / "html"

PAGES = [f"{chapter.path.parent.name}/{chapter.name}" for chapter in toc.chapters(ROOT)]
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
SIZES = {1280: 900, 390: 844}
STANDING = (  # those of the gallery sleep until they are reached
    "[...document.querySelectorAll('.softattn-demo:not([data-script])')]"
    ".every((d) => !['', 'loading'].includes(d.dataset.state ?? ''))"
)
AXE = {"resultTypes": ["violations"], "preload": False}

pytestmark = [pytest.mark.browser, pytest.mark.site, pytest.mark.slow]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(HTML)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="module")
def chromium():
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


def visit(chromium, site, name, width=1280, scheme="light"):
    """Open a page and wait until its equations and demos stand; what went wrong on the way is listed."""
    context = chromium.new_context(viewport={"width": width, "height": SIZES[width]}, color_scheme=scheme)
    page, faults = context.new_page(), []
    page.on("console", lambda m: faults.append(f"console: {m.text}") if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: faults.append(f"error: {error}"))
    page.on("requestfailed", lambda r: faults.append(f"failed: {r.url}"))
    page.on("response", lambda r: faults.append(f"{r.status}: {r.url}") if r.status >= 400 else None)
    local = (site, "data:", "blob:")
    page.on("request", lambda r: None if r.url.startswith(local) else faults.append(f"external: {r.url}"))
    page.goto(f"{site}/{name}.html")
    page.wait_for_function("!window.MathJax || (MathJax.startup && MathJax.startup.promise)")
    page.evaluate("window.MathJax ? MathJax.startup.promise.then(() => true) : true")
    page.wait_for_function(STANDING)
    return page, faults


@pytest.mark.parametrize("width", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_page_is_quiet_and_fits(chromium, site, name, scheme, width):
    page, faults = visit(chromium, site, name, width, scheme)
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    too_wide = page.evaluate(
        """() => {
          const scroller = document.scrollingElement;
          if (scroller.scrollWidth <= innerWidth) return [];
          return [...document.querySelectorAll("main *")].filter((e) => e.getBoundingClientRect().right > innerWidth)
            .slice(0, 5).map((e) => `${e.tagName}.${e.className}: ${e.textContent.slice(0, 60)}`).concat(["wide"]);
        }"""
    )
    assert too_wide == []
    # nothing sticks out of the column of text either, unless it scrolls in a box of its own
    sticking = page.evaluate(
        """() => {
          const column = document.querySelector("article.bd-article").getBoundingClientRect();
          const boxed = (e) => {
            for (let p = e.parentElement; p && !p.matches("article"); p = p.parentElement)
              if (["auto", "scroll", "hidden"].includes(getComputedStyle(p).overflowX)) return true;
            return false;
          };
          return [...document.querySelectorAll("article :is(img, pre, table, svg, div, p, mjx-container, dt)")]
            .filter((e) => e.checkVisibility() && e.getBoundingClientRect().right > column.right + 2 && !boxed(e))
            .slice(0, 5).map((e) => `${e.tagName}.${e.className}: ${(e.textContent || "").slice(0, 60)}`);
        }"""
    )
    assert sticking == []
    assert page.locator("mjx-merror").count() == 0, "an equation that MathJax cannot read"
    assert faults == []
    if (scheme, width) in (("light", 1280), ("dark", 390)):
        assert unfit(page) == []
    page.context.close()


def unfit(page) -> list[str]:
    """What axe-core finds on a page, of whatever weight."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    page.add_style_tag(content="* { animation: none !important; transition: none !important; }")
    # thousands of coloured words take axe a minute: five blocks of code keep their colours, the others their text only;
    # what MathJax draws inside an equation is its own, the equation itself is looked at
    page.evaluate(
        """() => {
          const blocks = [...document.querySelectorAll(".highlight pre")].slice(5);
          for (const block of blocks) block.textContent = block.textContent;
          for (const equation of document.querySelectorAll("mjx-container")) {
            equation.replaceChildren("x");
            equation.style.overflow = "visible";   // that wide ones take the focus is judged elsewhere
          }
        }"""
    )
    report = axe.Axe().run(page, options=AXE).response
    return [
        f"{fault['id']}: {node['html'][:200]} ({node['failureSummary'][:200]})"
        for fault in report["violations"]
        for node in fault["nodes"]
    ]


@pytest.mark.parametrize("name", PAGES)
def test_every_demo_lives_and_answers_the_keyboard(chromium, site, name):
    page, faults = visit(chromium, site, name, 390)
    demos = page.locator(".softattn-demo")
    for k in range(demos.count()):
        demo = demos.nth(k)
        which = demo.get_attribute("data-demo")
        demo.evaluate("(d) => d.scrollIntoView()")  # the gallery wakes it then
        page.wait_for_function("(d) => ['live', 'idle'].includes(d.dataset.state)", arg=demo.element_handle())
        assert json.loads(demo.get_attribute("data-numbers")), f"{which} says no numbers"
        controls = demo.locator("input:visible, button:visible, select:visible, textarea:visible")
        assert controls.count() > 0, f"{which} has nothing to move"
        for j in range(controls.count()):
            control = controls.nth(j)
            label = control.evaluate(
                "(c) => (c.getAttribute('aria-label') || [...(c.labels || [])].map((l) => l.textContent).join(' ')"
                " || (c.tagName === 'BUTTON' ? c.textContent : '')).trim()"
            )
            assert label, f"{which}: a control without a label: {control.evaluate('(c) => c.outerHTML')}"
            control.focus()
            assert control.evaluate("(c) => c === document.activeElement || c.disabled"), (
                f"{which}: {label} takes no focus"
            )
        sliders = demo.locator("input[type=range]:visible:enabled")
        for j in range(sliders.count()):
            slider = sliders.nth(j)
            before = demo.get_attribute("data-numbers")
            key = "ArrowLeft" if slider.evaluate("(s) => Number(s.value) >= Number(s.max || 100)") else "ArrowRight"
            slider.focus()
            for _ in range(3):
                page.keyboard.press(key)
            changed = page.evaluate("([d, before]) => d.dataset.numbers !== before", [demo.element_handle(), before])
            assert changed, f"{which}: {slider.evaluate('(s) => s.labels[0]?.textContent')} changes nothing"
    assert faults == []
    page.context.close()


def test_the_pages_can_be_read_from_a_disk(chromium):
    """Without any server, from file://, demos live too."""
    page = chromium.new_page()
    faults = []
    page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
    page.goto((HTML / "book" / "pictures.html").as_uri())
    page.wait_for_selector(".softattn-demo[data-state=live]")
    assert faults == []
    page.close()


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ("LSTM", "lstm"),
        ("DRAW", "draw"),
        ("VAE", "vae"),
        ("peephole", "lstm"),
        ("SVHN", "housenumbers"),
        ("mixture density", "mixture"),
        ("handwriting synthesis", "synthesis"),
        ("Bahdanau", "alignment"),
        ("REINFORCE", "attention"),
        ("filterbank", "filterbank"),
        ("MNIST", "images"),
        ("gradient clipping", "training"),
    ],
)
def test_search_finds_the_chapter_first_and_fetches_no_page(chromium, site, asked, first):
    if f"book/{first}" not in PAGES:
        pytest.skip(f"{first} is not in the book")
    page = chromium.new_page()
    fetched = []
    page.on("request", lambda r: fetched.append(r.url) if r.resource_type in ("fetch", "xhr") else None)
    page.goto(f"{site}/search.html?q={asked}")
    page.wait_for_selector("ul.search li a")
    page.wait_for_function("document.querySelector('.search-summary').textContent.includes('finished')")
    links = page.locator("ul.search li a").evaluate_all("(all) => all.map((a) => a.getAttribute('href').split('#')[0])")
    assert links[0] == f"book/{first}.html"
    links = [link for link in links if link != "book/glossary.html"]  # its entries stand below all, terms of their own
    chapters = [k for k, link in enumerate(links) if link != "book/api.html"]
    assert chapters == list(range(len(chapters))), "entries of the reference stand before chapters"
    assert page.locator("ul.search li").first.inner_text().count(" ") > 4, "a result without a sentence"
    assert fetched == []
    page.close()


# What a visitor meets. Each of these was once complained of; each is judged on every page.


PHONE = {"width": 390, "height": 844}
LEAST_LABEL = 10  # pixels; figures are drawn with labels of 12 points, 16 pixels
WITH_DEMOS = [page for page in PAGES if toc.demos(Path(page).name)]


@pytest.mark.parametrize("name", WITH_DEMOS)
def test_a_demo_fits_a_phone_and_says_first_what_to_do(chromium, site, name):
    page, _ = visit(chromium, site, name, 390)
    for which, height, words, small in page.evaluate(
        """() => [...document.querySelectorAll(".softattn-demo")].map((demo) => {
          const seen = (what) => [...demo.querySelectorAll(what)].filter((e) => e.checkVisibility());
          const [drawn] = seen("canvas, svg, input, button, select");
          const first = (e) => e.compareDocumentPosition(drawn) & Node.DOCUMENT_POSITION_FOLLOWING;
          const plain = (e) => !e.querySelector("canvas, svg, input, button");
          const words = seen("p, div, span").filter((e) => plain(e) && first(e)).map((e) => e.textContent).join(" ");
          const zoom = ({ a, b }) => Math.hypot(a, b);
          const size = (e) => parseFloat(getComputedStyle(e).fontSize) * zoom(e.getScreenCTM());
          const labels = seen("svg text").filter((e) => e.textContent).map(size);
          return [demo.dataset.demo, demo.getBoundingClientRect().height, words.trim(), Math.min(99, ...labels)];
        })"""
    ):
        assert height <= PHONE["height"], f"{which} is {height:.0f} pixels high, a phone {PHONE['height']}"
        assert len(words.split()) > 3, f"{which}: before its chart no words say what to do"
        assert small >= LEAST_LABEL, f"{which}: a label of {small:.1f} pixels"
    page.context.close()


@pytest.mark.parametrize("name", WITH_DEMOS)
def test_a_swipe_over_a_demo_scrolls_the_page_and_moves_nothing(chromium, site, name):
    still = "reduce"  # a demo that plays by itself moves its numbers, too
    context = chromium.new_context(viewport=PHONE, has_touch=True, is_mobile=True, reduced_motion=still)
    page = context.new_page()
    page.goto(f"{site}/{name}.html")
    page.wait_for_function(STANDING)
    room = "html { scroll-behavior: auto !important; } article::after { content: ''; display: block; height: 99rem; }"
    page.add_style_tag(content=room)
    touch = context.new_cdp_session(page)
    for demo in page.locator(".softattn-demo").all():
        which = demo.get_attribute("data-demo")
        targets = demo.locator("canvas:visible, svg[role=img]:visible, input[type=range]:visible:enabled").all()
        for k, target in enumerate(targets):
            told = target.evaluate("(e) => e.getAttribute('aria-label') ?? e.labels?.[0]?.textContent ?? e.tagName")
            if target.evaluate("(e) => getComputedStyle(e).touchAction") == "none":
                assert "pad" in told.lower(), f"{which}: only a pad to write on may take every touch, not {told}"
                continue
            target.evaluate("(e) => e.scrollIntoView({ block: 'center' })")
            before = demo.get_attribute("data-numbers")
            top = page.evaluate("scrollY")
            box = target.bounding_box()
            x, y = box["x"] + 0.3 * box["width"], box["y"] + box["height"] / 2
            send = functools.partial(touch.send, "Input.dispatchTouchEvent")
            send({"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
            for step in range(1, 9):
                send({"type": "touchMove", "touchPoints": [{"x": x, "y": y - 20 * step}]})
                page.wait_for_timeout(16)
            send({"type": "touchEnd", "touchPoints": []})
            page.wait_for_function("(top) => scrollY > top + 60", arg=top, timeout=3000)
            assert demo.get_attribute("data-numbers") == before, f"{which}: a swipe over {told} ({k}) moved it"
    context.close()


@pytest.mark.parametrize("name", WITH_DEMOS)
def test_what_is_painted_follows_the_theme(chromium, site, name):
    """A canvas after a switch to dark is the canvas of a page that was dark from the start."""
    paint = """() => [...document.querySelectorAll(".softattn-demo canvas")]
      .map((c) => (c.width && c.height ? c.toDataURL() : ""))"""
    page, _ = visit(chromium, site, name)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.wait_for_timeout(100)
    switched = page.evaluate(paint)
    page.context.close()
    page, _ = visit(chromium, site, name, scheme="dark")
    dark = page.evaluate(paint)
    page.context.close()
    assert [k for k, (a, b) in enumerate(zip(switched, dark, strict=True)) if a != b] == []


@pytest.mark.parametrize("name", PAGES)
def test_no_line_is_lost_on_a_screen_or_on_paper(chromium, site, name):
    page, _ = visit(chromium, site, name, 390)
    lost = """(paper) => [...document.querySelectorAll("article :is(pre, table, mjx-container[display=true], dt)")]
      .filter((e) => e.checkVisibility() && e.scrollWidth > e.clientWidth + 2)
      .filter((e) => {
        if (paper) return e.matches("pre");
        for (let p = e; p && !p.matches("article"); p = p.parentElement)
          if (["auto", "scroll"].includes(getComputedStyle(p).overflowX)) return false;
        return true;
      }).map((e) => e.textContent.slice(0, 80))"""
    assert page.evaluate(lost, False) == []
    unreached = page.evaluate(
        """() => [...document.querySelectorAll("article :is(pre, mjx-container[display=true])")]
          .filter((e) => e.checkVisibility() && e.scrollWidth > e.clientWidth + 2 && e.tabIndex < 0)
          .map((e) => e.textContent.slice(0, 80))"""
    )
    assert unreached == [], "it scrolls, and the keyboard does not reach it"
    page.set_viewport_size({"width": 673, "height": 900})  # A4 less its margins
    page.emulate_media(media="print")
    assert page.evaluate(lost, True) == []
    shut = page.evaluate(
        """() => [...document.querySelectorAll("article details:not([open]) > :not(summary)")]
          .filter((e) => e.getBoundingClientRect().height === 0).length"""
    )
    assert shut == 0, "a fold stays shut on paper"
    page.context.close()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_reads_well_in_the_dark_on_a_phone(chromium, site, name):
    """No white panels, no table that breaks word by word, no label below 10 pixels, nothing fixed over the text."""
    page, _ = visit(chromium, site, name, 390, "dark")
    white = page.evaluate(
        """() => [...document.querySelectorAll("article *")].filter((e) => {
          const [r, g, b, a] = getComputedStyle(e).backgroundColor.match(/[\\d.]+/g).map(Number);
          const light = Math.min(r, g, b) > 200 && (a ?? 1) > 0.5;
          return light && e.checkVisibility() && !e.closest(".softattn-demo, img, svg");
        }).map((e) => `${e.tagName}.${e.className}`)"""
    )
    assert white == []
    narrow = page.evaluate(
        """() => [...document.querySelectorAll("article td, article th")]
          .filter((c) => c.checkVisibility() && c.clientWidth < 72 && c.textContent.trim().split(/\\s+/).length > 3)
          .map((c) => c.textContent.slice(0, 60))"""
    )
    assert narrow == []
    small = page.evaluate(
        """(least) => [...document.querySelectorAll("article .figure-box > img")]
          .filter((i) => i.checkVisibility() && 16 * i.clientWidth / i.getAttribute("width") < least)
          .map((i) => i.alt.slice(0, 60))""",
        LEAST_LABEL,
    )
    assert small == []
    fixed = page.evaluate(
        """() => [...document.querySelectorAll("main *, #pst-back-to-top")]
          .filter((e) => getComputedStyle(e).position === "fixed" && e.checkVisibility({ visibilityProperty: true }))
          .map((e) => e.id || e.className)"""
    )
    assert fixed == []
    page.context.close()


# Pages to look things up in: their links are what they are made of.
LISTS = {"book/api", "book/course", "book/glossary", "book/index"}


@pytest.mark.parametrize("name", PAGES)
def test_the_keyboard_needs_few_steps(chromium, site, name):
    """Formulas and the links to headings are no stops; wide formulas are, since they scroll; a choice is one."""
    page, _ = visit(chromium, site, name)
    stops = page.evaluate(
        """() => [...document.querySelectorAll("article :is(a[href], button, input, select, textarea, [tabindex])")]
          .filter((e) => e.tabIndex >= 0 && e.checkVisibility())
          .filter((e, k, all) => e.type !== "radio" || all.findIndex((other) => other.name === e.name) === k)
          .map((e) => e.tagName)"""
    )
    if name in LISTS:
        stops = [tag for tag in stops if tag != "A"]
    wide = page.evaluate(
        """() => [...document.querySelectorAll("mjx-container")]
          .filter((e) => e.tabIndex >= 0 && e.scrollWidth <= e.clientWidth + 1).length"""
    )
    assert wide == 0
    code = page.locator("article div.highlight").count()  # each has a button that copies it
    assert len(stops) <= 120 + code, sorted({(tag, stops.count(tag)) for tag in stops})
    page.context.close()


def test_the_gallery_wakes_each_demo_as_it_is_reached(chromium, site):
    page, faults = visit(chromium, site, "book/moves", 390)
    shown = page.locator(".softattn-demo").evaluate_all("(all) => all.map((d) => d.dataset.demo)")
    assert sorted(set(shown)) == sorted({demo for name in WITH_DEMOS for demo in toc.demos(Path(name).name)})
    assert page.locator(".softattn-demo[data-script]").count() > len(shown) / 2, "asleep, all but the first"
    for demo in page.locator(".softattn-demo").all():
        demo.scroll_into_view_if_needed()
        demo.evaluate(
            "(d) => new Promise((go) => { const wait = () => ['', 'loading'].includes(d.dataset.state ?? '')"
            " ? setTimeout(wait, 50) : go(); wait(); })"
        )
        assert demo.get_attribute("data-state") != "failed", demo.get_attribute("data-demo")
    assert faults == []
    page.context.close()

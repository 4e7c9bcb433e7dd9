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
    page.wait_for_function(
        "[...document.querySelectorAll('.softattn-demo')].every((d) => ['live', 'failed'].includes(d.dataset.state))"
    )
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
        assert serious(page) == []
    page.context.close()


def serious(page) -> list[str]:
    """What axe-core finds serious or critical on a page."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    page.add_style_tag(content="* { animation: none !important; transition: none !important; }")
    # thousands of coloured words take axe a minute: five blocks of code keep their colours, the others their text only;
    # what MathJax draws inside an equation is its own, the equation itself is looked at
    page.evaluate(
        """() => {
          const blocks = [...document.querySelectorAll(".highlight pre")].slice(5);
          for (const block of blocks) block.textContent = block.textContent;
          for (const equation of document.querySelectorAll("mjx-container")) equation.replaceChildren("x");
        }"""
    )
    report = axe.Axe().run(page, options=AXE).response
    return [
        f"{fault['id']}: {node['html'][:200]} ({node['failureSummary'][:200]})"
        for fault in report["violations"]
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]


@pytest.mark.parametrize("name", PAGES)
def test_every_demo_lives_and_answers_the_keyboard(chromium, site, name):
    page, faults = visit(chromium, site, name, 390)
    demos = page.locator(".softattn-demo")
    for k in range(demos.count()):
        demo = demos.nth(k)
        which = demo.get_attribute("data-demo")
        assert demo.get_attribute("data-state") == "live", which
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


def test_search_finds_a_chapter(chromium, site):
    page = chromium.new_page()
    page.goto(f"{site}/search.html?q=gradient")
    page.wait_for_selector("ul.search li a")
    assert page.locator("ul.search li").count() >= 1
    page.close()

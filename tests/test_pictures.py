"""The toolbox chapter `pictures`: its colours, its figures, and the HTML of demos."""

import base64
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch

from softattn import pictures
from softattn.hub import results, results_elsewhere
from softattn.pictures import COLORS, demo_html, demo_source, figure, figure_html, show, show_figure

plt = pytest.importorskip("matplotlib.pyplot")
DEUTAN = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
STATE = {"palettes": {"this book": COLORS}, "palette": "this book", "matrix": DEUTAN, "severity": 0.0}


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


class Page(HTMLParser):
    """Collects elements, and the text of scripts, as a browser would split them."""

    def __init__(self, html: str):
        super().__init__()
        self.elements, self.scripts, self._inside = [], [], False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if self._inside:
            raise AssertionError("an element inside a script")
        if tag == "script":
            self._inside = True
            self.scripts.append("")

    def handle_endtag(self, tag):
        if tag == "script":
            self._inside = False

    def handle_data(self, data):
        if self._inside:
            self.scripts[-1] += data


def light(colour: str) -> list[float]:
    stored = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in stored]


def luminance(colour: str) -> float:
    r, g, b = light(colour if len(colour) == 7 else "#" + "".join(2 * c for c in colour[1:]))
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def lab(c) -> np.ndarray:
    """One colour of light to CIELAB, written out by hand."""
    r, g, b = c
    x = (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505
    y = 0.2126 * r + 0.7152 * g + 0.0722 * b
    z = (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089
    fx, fy, fz = (t ** (1 / 3) if t > 216 / 24389 else (24389 / 27 * t + 16) / 116 for t in (x, y, z))
    return np.array([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)])


def closest(palette: dict, severity: float) -> float:
    through = (1 - severity) * np.eye(3) + severity * np.array(DEUTAN)
    points = [lab(np.clip(through @ light(colour), 0, 1)) for colour in palette.values()]
    return min(float(np.linalg.norm(p - q)) for k, p in enumerate(points) for q in points[:k])


def test_the_palette_is_okabe_and_itos_and_survives_deuteranopia():
    rgb = {name: tuple(int(c[k : k + 2], 16) for k in (1, 3, 5)) for name, c in COLORS.items()}
    assert rgb == {
        "black": (0, 0, 0),
        "orange": (230, 159, 0),
        "sky": (86, 180, 233),
        "green": (0, 158, 115),
        "yellow": (240, 228, 66),
        "blue": (0, 114, 178),
        "vermillion": (213, 94, 0),
        "purple": (204, 121, 167),
    }
    assert closest(COLORS, 0.0) > 15 and closest(COLORS, 1.0) > 15


def test_importing_is_light():
    heavy = ("matplotlib", "IPython", "torch", "numpy")
    code = f"import sys, softattn.pictures; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_figure_has_one_style():
    fig, axes = figure(width=6, height=2, rows=1, columns=2, sharey=True)
    assert axes.shape == (2,) and tuple(fig.get_size_inches()) == (6, 2)
    assert fig.get_facecolor() == axes[0].get_facecolor() == (1, 1, 1, 1)
    (line,) = axes[0].plot([1, 2])
    (second,) = axes[0].plot([2, 1])
    assert line.get_color() == COLORS["blue"] and second.get_color() == COLORS["vermillion"]
    fig, ax = figure()
    assert ax.get_title() == "" and fig.get_layout_engine() is not None
    assert min(text.get_fontsize() for text in ax.get_xticklabels()) >= 12  # a phone shows it at about half its size


@pytest.mark.parametrize("bad", [{"width": 0}, {"height": -1}, {"rows": 0}, {"columns": 0}])
def test_figure_refuses_sizes_that_are_not_positive(bad):
    with pytest.raises(ValueError, match="^figure: (width|height|rows|columns) is"):
        figure(**bad)


def test_a_small_figure_is_an_svg_with_its_words_and_the_same_twice():
    def make():
        fig, ax = figure()
        ax.plot([1, 3, 2])
        return figure_html(fig, 'It "rises" & falls < 3.')

    html = make()
    assert html == make()
    ((tag, attributes),) = Page(html).elements
    assert tag == "img" and attributes["alt"] == 'It "rises" & falls < 3.'
    assert (attributes["width"], attributes["height"]) == ("672", "288")
    kind, data = re.match(r"data:image/([a-z+]+);base64,(.*)", attributes["src"]).groups()
    assert kind == "svg+xml" and b"<svg" in base64.b64decode(data)


def test_a_heavy_figure_is_a_sharp_png():
    fig, ax = figure()
    ax.scatter(*np.random.default_rng(0).random((2, 3000)))
    html = figure_html(fig, "Dots everywhere.")
    data = base64.b64decode(re.search(r"data:image/png;base64,([^\"]+)", html)[1])
    width = int.from_bytes(data[16:20], "big")
    assert width == 2 * 672  # twice the CSS width


@pytest.mark.parametrize("alt", ["", "  \n"])
def test_a_figure_without_words_is_refused(alt):
    fig, _ = figure()
    with pytest.raises(ValueError, match="^figure_html: alt is empty: say in a full sentence"):
        show_figure(fig, alt)
    with pytest.raises(ValueError, match="alt is empty"):
        demo_html("pictures", picture=fig, alt=alt, **STATE)


def test_showing_displays_and_closes(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    fig, _ = figure()
    show_figure(fig, "Empty axes.")
    assert not plt.fignum_exists(fig.number)
    fig, _ = figure()
    assert show("pictures", picture=fig, alt="Empty axes, again.", **STATE) is None
    assert not plt.fignum_exists(fig.number)
    show("pictures", **STATE)
    assert [data["text/plain"] for data in shown] == [
        "Empty axes.",
        "Empty axes, again.",
        "the interactive figure pictures",
    ]
    assert "<img" in shown[0]["text/html"] and "<img" in shown[1]["text/html"] and "<img" not in shown[2]["text/html"]


def test_equal_demos_have_ids_of_their_own():
    pages = [demo_html("pictures", **STATE) for _ in range(3)]
    ids = [next(a["id"] for t, a in Page(page).elements if t == "div") for page in pages]
    assert len(set(ids)) == 3
    assert len({uid.rsplit("-", 1)[0] for uid in ids}) == 1  # the same hash, another occurrence
    for page, uid in zip(pages, ids, strict=True):
        assert f'querySelectorAll("#{uid}")' in page
    other = demo_html("pictures", **{**STATE, "severity": 0.5})
    assert ids[0].rsplit("-", 1)[0] not in other


@pytest.mark.parametrize(
    "text", ["</script><img src=x onerror=alert(1)>", "<!--<script>", "]]>", "\u2028 \\u003c $state `${x}`"]
)
def test_no_state_can_end_the_script(text):
    html = demo_html("pictures", **STATE, remark=text)
    page = Page(html)
    assert len(page.scripts) == 1 and sum(tag == "script" for tag, _ in page.elements) == 1
    body = page.scripts[0]
    assert "<" not in body
    found = re.search(r'"remark": ("(?:[^"\\]|\\.)*")', body)[1]
    assert json.loads(found) == text


@pytest.mark.parametrize("key", ["</script><script>alert(1)//", "<!--<script>", 'a"b', "__proto__", "\u2028"])
def test_no_name_of_a_state_can_end_the_script(key):
    html = demo_html("pictures", **STATE, **{key: "kept"})
    page = Page(html)
    assert len(page.scripts) == 1 and "<" not in page.scripts[0]
    assert f'{json.dumps(key)}: "kept"'.replace("<", "\\u003c") in page.scripts[0]


@pytest.mark.parametrize("field", ["width", "height", "rows", "columns"])
@pytest.mark.parametrize("value", [None, True, "3", float("nan"), float("inf"), [1], 10**30])
def test_figure_takes_no_nonsense(field, value):
    with pytest.raises((TypeError, ValueError), match=f"^figure: {field} is"):
        figure(**{field: value})


@pytest.mark.parametrize("alt", [None, 3, b"x", ["A line."]])
def test_words_of_another_type(alt):
    fig, _ = figure()
    with pytest.raises(TypeError, match="^figure_html: alt is a"):
        show_figure(fig, alt)


@pytest.mark.parametrize("fig", [None, 3, "fig", np.zeros((2, 2))])
def test_a_figure_of_another_type(fig):
    with pytest.raises(TypeError, match="^figure_html: fig is a"):
        figure_html(fig, "A line.")


@pytest.mark.parametrize("name", [None, 3, ["pictures"], b"pictures"])
def test_a_demo_of_another_type(name):
    with pytest.raises(ValueError, match="^show: there is no demo"):
        demo_html(name)


# ---- One text from several modules

DEMOS = sorted(path.stem for path in (Path(pictures.__file__).parent / "demos").glob("*.js"))


def test_helpers_are_no_demos():
    for name in ("kit", "ink", "net", "../kit", "kit.js", ""):
        with pytest.raises(ValueError, match="^show: there is no demo"):
            demo_source(name)


@pytest.mark.parametrize("name", [name for name in DEMOS if name not in pictures.HELPERS])
def test_a_demo_imports_the_kit_and_makes_no_elements_of_its_own(name):
    own = (Path(pictures.__file__).parent / "demos" / f"{name}.js").read_text("utf-8")
    imports = re.findall(r'^import \{ (.*) \} from "\./(\w+)\.js";$', own, re.M)
    assert imports and {other for _, other in imports} <= set(pictures.HELPERS)
    for names, _ in imports:
        assert names.split(", ") == sorted(names.split(", ")), "imports in the order of the alphabet"
        for used in names.split(", "):
            assert len(re.findall(rf"\b{used}\b", own)) > 1, f"{name}.js imports {used} and does not use it"
    for theirs in (
        "createElement",
        "MutationObserver",
        "setPointerCapture",
        "matchMedia",
        "dataset.numbers",
        "innerHTML",
    ):
        assert theirs not in own, f"{name}.js: {theirs} is the kit's"
    whole = demo_source(name)
    assert not re.search(r"^\s*import\b", whole, re.M) and whole.count("export default") == 1
    assert whole.count("function make(") == 1


def test_modules_that_import_each_other_are_packed_once(tmp_path, monkeypatch):
    folder = tmp_path / "demos"
    folder.mkdir()
    (folder / "kit.js").write_text(
        "export const two = 2;\nexport function half(v) { return v / two; }\nconst own = 1;\n"
    )
    (folder / "net.js").write_text('import { two } from "./kit.js";\n\nexport const four = two * two;\n')
    (folder / "spin.js").write_text(
        'import { half } from "./kit.js";\nimport { four } from "./net.js";\n'
        "const own = half(four);\nexport default { own };\n"
    )
    (folder / "odd.js").write_text('import all from "./kit.js";\n')
    monkeypatch.setattr(pictures, "files", lambda package: tmp_path)
    whole = demo_source("spin")
    assert whole.index("$kit = ") < whole.index("$net = ") < whole.index("const own = half")
    assert whole.count("$kit = ") == 1 and "const { half } = $kit;" in whole
    with pytest.raises(ValueError, match="^odd.js: only {names} of ./NAME.js"):
        demo_source("odd")


@pytest.mark.browser
def test_the_text_of_a_demo_is_a_module_of_its_own(chromium):
    """As an anywidget's _esm is: a text without neighbours."""
    page = chromium.new_page()
    for name in (name for name in DEMOS if name not in pictures.HELPERS):
        kind = page.evaluate(
            """async (text) => {
              const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
              return typeof (await import(url)).default.render;
            }""",
            demo_source(name),
        )
        assert kind == "function", name
    page.close()


def test_arrays_and_tensors_become_lists():
    html = demo_html("pictures", a=np.arange(3), b=torch.tensor([[0.5]], requires_grad=True), c=np.float64(2.5))
    assert '"a": [0, 1, 2]' in html and '"b": [[0.5]]' in html and '"c": 2.5' in html


@pytest.mark.parametrize("bad", [float("nan"), [1.0, float("inf")], torch.tensor([float("nan")]), object(), {1, 2}])
def test_a_state_that_is_not_finite_json_is_refused(bad):
    with pytest.raises(ValueError, match=r"show\('pictures'\): 'bad' cannot be sent to the page .*give finite numbers"):
        demo_html("pictures", bad=bad)


@pytest.mark.parametrize("name", ["no-such-demo", "../pictures", ""])
def test_an_unknown_demo_is_named_with_those_there_are(name):
    with pytest.raises(ValueError, match=r"show: there is no demo .*; there are .*pictures"):
        demo_html(name)


def test_the_words_stand_where_scripts_do_not_run():
    page = demo_html("pictures", alt="Six curves & more.", **STATE)
    assert '<p class="sa-note">Six curves &amp; more.</p>' in page


def test_letters_on_demos_have_contrast_in_light_and_dark():
    modes = re.findall(r"\{([^}]*--sa-text: #[^}]*)\}", pictures._DEMO_STYLE)
    assert len(modes) == 2
    for mode in modes:
        colour = dict(re.findall(r"--sa-(\w+): (#[0-9a-f]{3,6})", mode))
        for ground in ("background", "panel", "lit"):
            assert contrast(colour["text"], colour[ground]) >= 7
            assert contrast(colour["muted"], colour[ground]) >= 4.5
        for line in ("blue", "green", "vermillion"):  # lines that carry meaning
            assert contrast(colour[line], colour["background"]) >= 3


def browser(playwright):
    import shutil

    path = shutil.which("chromium") or shutil.which("chromium-browser")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    return playwright.chromium.launch(executable_path=path, args=[*flags, "--disable-background-networking"])


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = browser(playwright)
        yield found
        found.close()


@pytest.mark.browser
def test_two_equal_demos_live_and_compute_what_python_computes(chromium):
    page = chromium.new_page()
    page.set_content(demo_html("pictures", **STATE) + demo_html("pictures", **STATE))
    page.wait_for_function("document.querySelectorAll('[data-state=live]').length == 2")
    first, second = (page.locator(".softattn-demo").nth(k) for k in (0, 1))
    for severity in (0.0, 0.37, 1.0):
        first.locator("input").evaluate(
            "(s, v) => { s.value = v; s.dispatchEvent(new Event('input', { bubbles: true })); }", severity
        )
        numbers = json.loads(first.get_attribute("data-numbers"))
        assert numbers["severity"] == severity
        assert abs(numbers["distance"] - closest(COLORS, severity)) < 1e-3
    assert json.loads(second.get_attribute("data-numbers"))["severity"] == 0.0
    page.close()


@pytest.mark.browser
def test_the_same_html_twice_gives_two_live_demos(chromium):
    """A kernel restarted and a cell run again write the id that an older output on the page already has."""
    html = demo_html("pictures", **STATE)
    page = chromium.new_page()
    page.set_content(html + html)
    page.wait_for_function("document.querySelectorAll('[data-state=live]').length == 2")
    assert page.locator("svg").count() == 2
    page.close()


@pytest.mark.browser
def test_the_demo_measures_dark_colours_as_python_does(chromium):
    night = {"coal": "#0a0a0a", "ink": "#00001e", "moss": "#051205"}  # in the straight part of CIELAB's curve
    page = chromium.new_page()
    page.set_content(demo_html("pictures", **{**STATE, "palettes": {"night": night}, "palette": "night"}))
    page.wait_for_selector("[data-state=live]")
    numbers = json.loads(page.locator(".softattn-demo").get_attribute("data-numbers"))
    assert abs(numbers["distance"] - closest(night, 0.0)) < 1e-3
    page.close()


@pytest.mark.browser
def test_a_demo_whose_script_throws_leaves_its_picture_and_says_so(chromium):
    fig, ax = figure()
    ax.plot([1, 2])
    page = chromium.new_page()
    page.set_content(demo_html("pictures", picture=fig, alt="A line."))  # no palettes: the script throws
    page.wait_for_selector("[data-state=failed]")
    assert page.locator(".softattn-demo img[alt='A line.']").is_visible()
    assert "its script stopped" in page.locator(".softattn-demo [role=status]").inner_text()
    assert page.locator(".softattn-demo input").count() == 0
    page.close()


@pytest.mark.browser
def test_without_scripts_the_picture_stands_and_with_them_it_goes(chromium):
    fig, ax = figure()
    ax.plot([1, 2])
    html = demo_html("pictures", picture=fig, alt="A line.", **STATE)
    for scripts in (False, True):
        context = chromium.new_context(java_script_enabled=scripts)
        page = context.new_page()
        page.set_content(html)
        if scripts:
            page.wait_for_selector("[data-state=live]")
        assert page.locator("img").count() == (0 if scripts else 1)
        context.close()


@pytest.mark.browser
def test_what_a_reader_could_type_reaches_the_page_as_text(chromium):
    text = "</script><img src=x onerror=\"document.title='broken'\">\u2028'\"`${1}"
    state = {**STATE, "palettes": {text: COLORS}, "palette": text}
    page = chromium.new_page()
    page.set_content(demo_html("pictures", **state))
    page.wait_for_selector("[data-state=live]")
    assert page.locator("option").first.evaluate("o => o.value") == text
    assert page.locator("img").count() == 0 and page.title() == ""
    page.close()


def test_a_stored_result_becomes_a_table(capsys):
    words = pictures.measured("filterbank")
    records = [results(name) for name in ("filterbank", *results_elsewhere("filterbank"))]
    assert words.count("**") == 2 * sum(len(record["tables"]) for record in records)
    for record in records:
        assert record["command"] in words and record["commit"] in words
        for table in record["tables"]:
            assert all("| " + " | ".join(row) + " |" in words for row in table["rows"])
    with pytest.raises(ValueError, match="no benchmark 'nothing' has stored a result"):
        pictures.measured("nothing")

"""Demos that compute, in Chromium on a phone's screen: by mouse, keyboard and finger, each number against Python."""

import datetime
import functools
import json
import math
from importlib.resources import files

import numpy as np
import pytest
import torch

import softattn
from softattn.alignment import DATE_FORMS, MONTHS, WEEKDAYS, calendar_days, written_date
from softattn.in_the_page import page_card, page_uniform, weights_script
from softattn.lstm import LSTMCell
from softattn.mixture import StrokeMixture
from softattn.pictures import demo_html
from softattn.prediction import one_hot, shift
from softattn.text import ALPHABET, encode
from softattn.vae import VAE
from softattn.window import SoftWindow

WEIGHTS = files("softattn") / "weights"
FLAGS = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
HEAD = '<!doctype html><html lang="en"><head><link rel="icon" href="data:,"></head><body>'

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def page(browser, alone):
    """A phone's page at an address of its own, with the weights beside it and nothing else in the world."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    page = alone(context.new_page())
    yield page
    assert page.faults == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()


def opened(page, name: str, **state):
    page.text = HEAD + demo_html(name, **state) + "</body></html>"
    page.goto("http://book.test/page.html")
    page.wait_for_function("['live', 'idle'].includes(document.querySelector('.softattn-demo').dataset.state)")
    demo = page.locator(".softattn-demo")
    assert demo.bounding_box()["height"] <= 844, "it does not fit a phone"
    return demo


def said(demo) -> dict:
    return json.loads(demo.get_attribute("data-numbers"))


def double(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def dragged(page, node, start, end, finger=False):
    """From one place of a node to another, in shares of its width and height."""
    box = node.bounding_box()
    a, b = ([box["x"] + u * box["width"], box["y"] + v * box["height"]] for u, v in (start, end))
    path = [[a[k] + (b[k] - a[k]) * t / 6 for k in (0, 1)] for t in range(7)]
    if not finger:
        page.mouse.move(*path[0])
        page.mouse.down()
        for at in path[1:]:
            page.mouse.move(*at)
        page.mouse.up()
        return
    send = functools.partial(page.context.new_cdp_session(page).send, "Input.dispatchTouchEvent")
    send({"type": "touchStart", "touchPoints": [{"x": path[0][0], "y": path[0][1]}]})
    for x, y in path[1:]:
        send({"type": "touchMove", "touchPoints": [{"x": x, "y": y}]})
        page.wait_for_timeout(20)
    send({"type": "touchEnd", "touchPoints": []})


# -- prediction: the reader's own text ---------------------------------------------------------------------------------


@functools.cache
def reader():
    return softattn.load("prediction-book")


def expected(text: str) -> torch.Tensor:
    """What the network expects after each beginning of a text: logits (len(text) + 1, 96)."""
    seen = shift(encode(text + " "))[:, None]
    with torch.no_grad():
        return reader()(one_hot(seen, len(ALPHABET)))[0][:, 0].double()


def bits(text: str) -> list[float]:
    rows = torch.log_softmax(expected(text)[:-1], -1) / -math.log(2)
    return [rows[k, ALPHABET.index(c)].item() for k, c in enumerate(text)]


def written(text: str, count: int, temperature: float, seed: int) -> str:
    """The same dice, the same rule: softattn.prediction.sample with the page's uniform numbers."""
    for u in page_uniform(seed, count).tolist():
        stairs = torch.softmax(expected(text)[-1] / temperature, -1).cumsum(0)
        text += ALPHABET[int((stairs <= u).sum())]
    return text[-count:]


def predicting(page, text="A pen", **more):
    logits = [[round(v, 2) for v in row] for row in expected(text).tolist()]
    return opened(page, "prediction", text=text, logits=logits, net=page_card("prediction-book"), bits=1.73, **more)


def test_the_network_reads_what_is_typed_and_goes_on(page):
    demo = predicting(page, seed=4, temperature=0.7)
    seen = said(demo)
    assert seen["mark"] == 5 and seen["bits"] == pytest.approx(bits("A pen"), abs=0.05) and seen["written"] == ""
    place, heat = (demo.get_by_role("slider", name=name) for name in ("mark after letter", "temperature"))
    place.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    heat.focus()
    page.keyboard.press("ArrowRight")
    seen = said(demo)
    want = torch.softmax(expected("A p")[-1] / 0.8, -1)
    assert seen["mark"] == 3 and np.allclose(seen["probabilities"], want.numpy(), atol=5e-3)
    entropy = torch.distributions.Categorical(probs=double(seen["probabilities"])).entropy().item() / math.log(2)
    assert seen["entropy"] == pytest.approx(entropy, abs=1e-6)
    assert page.asked == ["page.html"], "nothing is fetched before it is asked for"
    assert "3.1 MB" in demo.inner_text()
    page.keyboard.press("ArrowLeft")
    demo.get_by_role("button", name="Go on").tap()
    page.wait_for_selector("[data-state=done]")
    assert page.asked == ["page.html", "prediction-book.safetensors"] and float(demo.get_attribute("data-rate")) > 0
    seen = said(demo)
    assert seen["bits"][:5] == pytest.approx(bits("A pen"), abs=2e-3) and len(seen["written"]) == 90
    assert seen["written"][:12] == written("A pen", 12, 0.7, 4)
    box = demo.get_by_label("your text")
    box.fill("A pen<b> writes é")
    page.wait_for_function("document.querySelector('.softattn-demo').dataset.state === 'done'")
    page.wait_for_function("JSON.parse(document.querySelector('.softattn-demo').dataset.numbers).written.length === 90")
    seen, text = said(demo), "A pen<b> writes "
    assert seen["text"] == text and "no sign for é" in demo.get_by_role("status").inner_text()
    assert seen["bits"][: len(text)] == pytest.approx(bits(text), abs=2e-3)
    assert seen["mean"] == pytest.approx(sum(bits(text)) / len(text), abs=2e-3)
    assert seen["written"][:12] == written(text, 12, 0.7, 4) and demo.locator("b", has_text="writes").count() == 0
    letter = demo.locator("p span").nth(2)
    assert letter.inner_text() == "p"
    letter.tap()
    assert said(demo)["mark"] == 2
    demo.get_by_role("button", name="Other dice").click()
    page.wait_for_function("JSON.parse(document.querySelector('.softattn-demo').dataset.numbers).seed === 5")
    page.wait_for_selector("[data-state=done]")
    assert said(demo)["written"][:8] == written(text, 8, 0.7, 5)
    box.fill("")
    page.wait_for_function("JSON.parse(document.querySelector('.softattn-demo').dataset.numbers).text === ''")
    page.wait_for_selector("[data-state=done]")
    assert said(demo)["written"][:8] == written("", 8, 0.7, 5)


def test_what_was_read_is_not_read_again(page):
    """A letter more costs steps for the new text only; the numbers are those of a network that reads all of it."""
    demo = predicting(page)
    box = demo.get_by_label("your text")
    for text in ("The loss", "The loss of", "The lass of", "Th"):
        box.fill(text)
        page.wait_for_function(
            "(text) => { const d = document.querySelector('.softattn-demo'), n = JSON.parse(d.dataset.numbers);"
            " return d.dataset.state === 'done' && n.text === text && n.written.length === 90; }",
            arg=text,
        )
        assert said(demo)["bits"][: len(text)] == pytest.approx(bits(text), abs=2e-3)


def test_a_text_network_from_a_disk(browser, tmp_path):
    folder = tmp_path / "_static" / "weights"
    folder.mkdir(parents=True)
    for name in ("prediction-book", "dates"):
        data = (WEIGHTS / f"{name}.safetensors").read_bytes()
        (folder / f"{name}.js").write_text(weights_script(name, data), "utf-8")
    state = dict(text="Ink", logits=expected("Ink").tolist(), net=page_card("prediction-book"), bits=1.73)
    dates = demo_html("alignment", net=page_card("dates"), **DATES)
    (tmp_path / "page.html").write_text(HEAD + demo_html("prediction", **state) + dates + "</body></html>", "utf-8")
    page, faults = browser.new_page(), []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto((tmp_path / "page.html").as_uri())
    for button in ("Go on", "Translate"):
        page.get_by_role("button", name=button).click()
    page.wait_for_selector("[data-demo=prediction][data-state=done]", timeout=120_000)
    page.wait_for_selector("[data-demo=alignment][data-state=done]", timeout=120_000)
    assert said(page.locator("[data-demo=prediction]"))["written"][:8] == written("Ink", 8, 0.8, 1) and faults == []
    page.close()


def test_a_network_that_is_not_there_is_named(page):
    demo = opened(
        page, "prediction", text="a", logits=expected("a").tolist(), bits=1.7, net=page_card("dates") | {"name": "no"}
    )
    demo.get_by_role("button", name="Go on").click()
    page.wait_for_selector("[data-state=failed]")
    assert "It cannot read" in demo.inner_text()
    page.faults.clear()  # the missing file itself


# -- alignment: the reader's own date ----------------------------------------------------------------------------------

DATES = dict(
    opening={"source": "3 May", "output": "x<", "weights": [[0.2] * 5, [0, 0, 0, 0.75, 0.25]]},
    examples=["4 June 1987", "a <b>"], forms=DATE_FORMS, months=MONTHS, weekdays=WEEKDAYS, years=[1900, 2099],
)  # fmt: skip


def test_the_readers_own_date_is_translated(page):
    model, demo = softattn.load("dates"), opened(page, "alignment", net=page_card("dates"), sign=1, **DATES)
    assert said(demo)["best"] == 3 and page.asked == ["page.html"] and "0.4 MB" in demo.inner_text()
    place, text = demo.get_by_role("slider", name="sign"), demo.locator("input[type=text]")
    place.focus()
    page.keyboard.press("ArrowLeft")
    assert said(demo)["sign"] == 0 and said(demo)["row"] == pytest.approx([0.2] * 5)
    for typed, verdict in (
        ("Wednesday the 23rd of May 2012", "right"),
        ("May 3, 2009; in 1969 on the 20th of Jul", "right"),
        ("31 June 1999", "outside"),
    ):
        text.fill(typed)
        demo.get_by_role("button", name="Translate").click()
        page.wait_for_function(
            "(text) => { const d = document.querySelector('.softattn-demo');"
            " return d.dataset.state === 'done' && JSON.parse(d.dataset.numbers).source === text; }",
            arg=typed,
        )
        (mine,), weights = model.translate([typed])
        seen = said(demo)
        assert seen["output"] == mine and demo.get_attribute("data-verdict") == verdict
        assert torch.allclose(double(seen["weights"]), weights[0, : len(mine)].double(), atol=1e-4)
        assert float(demo.get_attribute("data-rate")) > 0 and demo.bounding_box()["height"] <= 844
    assert "no 31 June 1999" in demo.inner_text() and page.asked == ["page.html", "dates.safetensors"]
    canvas, rows = demo.locator("canvas"), len(said(demo)["output"])
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 9, box["y"] + (4 + 0.5) / rows * box["height"])
    assert said(demo)["sign"] == 4
    page.touchscreen.tap(box["x"] + 9, box["y"] + 2.5 / rows * box["height"])
    assert said(demo)["sign"] == 2
    for typed, told in (("3.5.2009", "no sign for “.”"), ("", "nothing to read")):
        text.fill(typed)
        text.press("Enter")
        assert told in demo.inner_text() and demo.get_attribute("data-state") == "done"
    demo.locator("select").select_option("4 June 1987")
    page.wait_for_function("JSON.parse(document.querySelector('.softattn-demo').dataset.numbers).source[0] === '4'")
    page.wait_for_selector("[data-state=done]")
    assert said(demo)["output"] == "1987-06-04" and page.locator("b", has_text="x").count() == 0


def test_it_knows_what_it_was_taught(page):
    """The page's reading of a date against Python's writing of it, in all forms, and of what no lesson had."""
    opened(page, "alignment", net=page_card("dates"), **DATES)
    page.evaluate(
        """async (text) => {
          const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
          globalThis.understood = (await import(url)).understood;
        }""",
        __import__("softattn.pictures", fromlist=["demo_source"]).demo_source("alignment"),
    )
    taught = {key: DATES[key] for key in ("forms", "months", "weekdays", "years")}
    ask = lambda text: page.evaluate("([text, taught]) => understood(text, taught)", [text, taught])
    days = [datetime.date.fromordinal(n) for n in calendar_days(True)[:60].tolist()]
    days += [datetime.date(2000, 2, 29), datetime.date(1900, 1, 1), datetime.date(2099, 12, 31)]
    days += [datetime.date(2011, 3, day) for day in range(1, 32)]
    for k, day in enumerate(days):
        for form in range(k % 3, len(DATE_FORMS), 3):
            assert ask(written_date(day, form)[0]) == {"dates": [day.isoformat()], "strange": []}
    three = "; ".join(written_date(day, 2)[0] for day in days[:3])
    assert ask(three) == {"dates": [day.isoformat() for day in days[:3]], "strange": []}
    for text, told in {
        "3 May 1815": "1900 to 2099, not 1815", "29 February 1900": "no 29 February 1900", "3th May 2009": "3rd",
        "Monday, 3 May 2009": "a Sunday", "tomorrow": "none of the 12 forms", "3 may 2009": "none of the 12 forms",
        three + "; 3 May 2009": "has 4", "03 May 2009": "none of the 12 forms",
    }.items():  # fmt: skip
        assert told in "; ".join(ask(text)["strange"]), text


# -- window, mixture: bells and hills are dragged ----------------------------------------------------------------------


@pytest.mark.parametrize("finger", [False, True])
def test_a_bell_is_dragged(page, finger):
    state = dict(text="soft attention", alpha=[1.0, 0.7, 0.4], beta=[1.0, 0.4, 0.16], kappa=[3.0, 8.0, 12.0])
    demo = opened(page, "window", **state)
    svg = demo.locator("svg")

    def grip(k, part):
        return svg.evaluate(
            """(svg, [k, part]) => {
              const node = svg.querySelectorAll(part === "crown" ? "circle" : "path[d$=Z]")[2 - k];
              const a = node.getBoundingClientRect(), b = svg.getBoundingClientRect();
              return [(a.left + a.width / 2 - b.left) / b.width, (a.top + a.height / 2 - b.top) / b.height];
            }""",
            [k, part],
        )

    start, pitch = grip(0, "crown"), 620 / 14.5 / 640  # of a letter, as a share of the width
    dragged(page, svg, start, [start[0] + 2 * pitch, start[1] + 0.2], finger)
    seen = said(demo)
    assert seen["kappa"][0] == pytest.approx(5, abs=0.1) and seen["kappa"][1:] == [8, 12]
    assert 0.5 < seen["alpha"][0] < 0.9 and seen["beta"] == state["beta"]
    start = grip(1, "shoulder")
    dragged(page, svg, start, [start[0] + 1 * pitch, start[1]], finger)
    seen = said(demo)
    assert seen["beta"][1] == pytest.approx(0.5 / (math.sqrt(0.5 / 0.4) + 1) ** 2, rel=0.06)
    values = [double([seen[name]]) for name in ("alpha", "beta", "kappa")]
    phi = SoftWindow(1, 3).phi(*values, torch.arange(1, 15, dtype=torch.float64))
    assert seen["phi"] == pytest.approx(phi[0].tolist(), rel=1e-9, abs=1e-12)
    dragged(page, svg, [0.02, 0.1], [0.3, 0.1], finger)  # nothing is held there
    assert said(demo)["kappa"] == seen["kappa"]
    slider = demo.get_by_role("slider", name="κ of A")
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert 0.04 < said(demo)["kappa"][0] - seen["kappa"][0] < 0.16


def mixture_of(seen) -> StrokeMixture:
    mu, sigma = double(seen["mu"]), double(seen["sigma"])
    parts = [double([20.0]), double(seen["pi"]).log(), mu.T.flatten(), sigma.log().T.flatten()]
    return StrokeMixture(torch.cat([*parts, double(seen["rho"]).atanh()]))


@pytest.mark.parametrize("finger", [False, True])
def test_hills_are_dragged_and_dots_added(page, finger):
    points = torch.randn(20, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 0.3
    state = dict(pi=0.4, mu=[[1.0, 0.5], [-1.0, 0.5]], sigma=[[0.4, 0.2], [0.3, 0.3]], rho=[0.5, 0.0])
    demo = opened(page, "mixture", points=points, bias=0.0, unit="mm", **state)
    canvas = demo.locator("canvas")
    at = lambda x, y: [(x + 2.2) / 4.4, (1.6 - y) / 2.2]

    def agree():
        seen = said(demo)
        dots, mix = double(seen["points"]), mixture_of(seen)
        assert seen["nats"] == pytest.approx(mix.log_prob_offset(dots).sum().item(), abs=1e-6)
        each = []
        for j in range(2):
            hill = {"pi": [1.0], "mu": [seen["mu"][j]], "sigma": [seen["sigma"][j]], "rho": [seen["rho"][j]]}
            each.append(mixture_of(hill).log_prob_offset(dots) + math.log(seen["pi"][j]))
        assert seen["shares"] == pytest.approx(torch.softmax(torch.stack(each), 0)[0].tolist(), abs=1e-9)
        normal = torch.distributions.MultivariateNormal(dots.mean(0), torch.cov(dots.T, correction=0))
        assert seen["nats_one"] == pytest.approx(normal.log_prob(dots).sum().item(), abs=1e-6)
        return seen

    agree()
    dragged(page, canvas, at(1, 0.5), at(0.4, 0.9), finger)
    seen = agree()
    assert seen["mu"][0] == pytest.approx([0.4, 0.9], abs=0.03) and seen["mu"][1] == [-1, 0.5]
    dragged(page, canvas, at(-0.7, 0.5), at(-0.4, 0.7), finger)  # the round hill: one axis out and up
    seen = agree()
    assert max(seen["sigma"][1]) < 0.65 and seen["rho"][1] > 0.2 and seen["mu"][1] == [-1, 0.5]
    axis = torch.linalg.eigh(
        double([[seen["sigma"][1][0] ** 2, 0], [0, seen["sigma"][1][1] ** 2]])
        + seen["rho"][1] * math.prod(seen["sigma"][1]) * double([[0, 1], [1, 0]])
    )
    assert axis.eigenvalues[1].sqrt().item() == pytest.approx(math.hypot(0.6, 0.2), abs=0.03)
    assert axis.eigenvalues[0].sqrt().item() == pytest.approx(0.3, abs=0.02)
    box, (u, v) = canvas.bounding_box(), at(1.6, -0.3)
    place = box["x"] + u * box["width"], box["y"] + v * box["height"]
    page.touchscreen.tap(*place) if finger else page.mouse.click(*place)
    seen = agree()
    assert len(seen["points"]) == 21 and seen["points"][-1] == pytest.approx([1.6, -0.3], abs=0.03)
    demo.get_by_role("button", name="Add a dot").click()
    assert agree()["points"][-1] == pytest.approx(seen["mu"][1], abs=1e-3)
    demo.get_by_role("button", name="Take dots back").click()
    assert len(agree()["points"]) == 20


# -- vae: a coloured map -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("finger", [False, True])
def test_the_map_decodes_under_the_finger(page, finger):
    torch.manual_seed(0)
    model = VAE((1, 28, 28), latent=2, hidden=12, layers=1).double()
    one, two = model.decoder[0], model.decoder[3]
    state = {"w1": one.weight, "b1": one.bias, "w2": two.weight, "b2": two.bias}
    places = [[-1.5, 1.5], [1.5, -1.5], [1.6, -1.4]]
    demo = opened(page, "vae", places=places, labels=[7, 2, 2], z=[0, 0], **{k: v.detach() for k, v in state.items()})
    chart = demo.locator("canvas").first

    def agree():
        seen = said(demo)
        with torch.no_grad():
            want = torch.sigmoid(model.decode(double([seen["z"]]))).flatten()
        assert np.abs(np.array(seen["pixels"]) - want.numpy()).max() < 1e-9
        return seen

    agree()
    dragged(page, chart, [0.5, 0.5], [0.75, 0.74], finger)
    seen = agree()
    assert seen["z"] == pytest.approx([1.5, -1.45], abs=0.06) and seen["country"] == 2
    painted = chart.evaluate(
        """(c) => [[0.23, 0.27], [0.77, 0.73], [0.03, 0.03]].map(([u, v]) =>
          [...c.getContext("2d").getImageData(u * c.width, v * c.height, 1, 1).data])"""
    )
    assert len({tuple(p) for p in painted}) == 3, "two countries and the open sea have three colours"
    if not finger:  # a mouse that passes over shows, and takes nothing with it
        box = chart.bounding_box()
        page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 0.25 * box["height"])
        assert agree()["z"] == pytest.approx([-1.5, 1.5], abs=0.06) and said(demo)["country"] == 7
        page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + box["height"] + 40)
        assert agree()["z"] == seen["z"]
    before = chart.evaluate("(c) => c.toDataURL()")
    demo.get_by_role("button", name="Write everywhere").click()
    assert chart.evaluate("(c) => c.toDataURL()") != before and agree()["everywhere"]
    slider = demo.locator("input[type=range]").first
    slider.focus()
    page.keyboard.press("ArrowLeft")
    assert agree()["z"][0] == pytest.approx(seen["z"][0] - 0.05)


# -- lstm: four lives of a cell ----------------------------------------------------------------------------------------


def test_a_cell_keeps_leaks_forgets_counts(page):
    demo = opened(page, "lstm", c=1.0, z_i=-4.0, z_f=3.0, z_g=1.0, z_o=1.0, p_i=0.5, p_f=0.5, p_o=0.5)
    assert said(demo)["life"] is None
    lives = {"keeps": (-6, 6, 1, 2.0), "leaks": (-6, 2, 1, 2.0), "forgets": (-6, -3, 1, 2.0), "counts": (6, 6, 0.1, 0)}
    for name, (z_i, z_f, z_g, c) in lives.items():
        button = demo.get_by_role("button", name=name, exact=True)
        button.tap() if name == "leaks" else button.press("Enter")
        seen, cell = said(demo), LSTMCell(4, 1).double()
        with torch.no_grad():
            cell.weight_x.copy_(torch.eye(4))
            for part in (cell.weight_h, cell.bias, cell.peephole):
                part.zero_()
            trace, state = [c], double([[c]])
            for _ in range(40):
                _, state = cell(double([[z_i, z_f, z_g, 1]]), (torch.zeros_like(state), state))
                trace.append(state.item())
        assert seen["trace"] == pytest.approx(trace, abs=1e-9) and seen["life"] == name
        assert button.get_attribute("aria-pressed") == "true"
        share = seen["trace"][1] / 2, seen["trace"][20] / 2, seen["trace"][40] / 2
        told = demo.get_by_role("status").inner_text()
        if name == "keeps":
            assert 0.0015 < 1 - share[0] < 0.0035 and "a quarter of a percent" in told
        if name == "leaks":
            assert 0.875 < seen["f"] < 0.885 and "88 %" in told and 0.07 < share[1] < 0.13 and "a tenth" in told
        if name == "forgets":
            assert share[0] < 0.06 and "next to nothing" in told
        if name == "counts":
            steps = np.diff(seen["trace"])
            assert (steps > 0.9 * math.tanh(0.1) * seen["i"]).mean() > 0.8 and "each step adds" in told
    demo.get_by_role("slider", name="z_f").focus()
    page.keyboard.press("ArrowLeft")
    assert said(demo)["life"] is None


# -- training: a surface to roll on ------------------------------------------------------------------------------------

LOSSES = {
    "ravine": lambda x, y: 0.5 * (x * x + 20 * y * y),
    "wall": lambda x, y: 0.5 * (x**8 - 0.5) ** 2 + 2 * y * y,
    "valleys": lambda x, y: 0.5 * (x * x - 1) ** 2 + 0.2 * x + (y - 0.3 * x) ** 2,
}


def rolled(kind, seen) -> tuple[list, list]:
    """The same walk by PyTorch: places, losses."""
    place = torch.nn.Parameter(double(seen["start"]))
    how = {"momentum": seen["momentum"]} if kind is torch.optim.SGD else {}
    optimizer, path, losses = kind([place], lr=seen["rate"], **how), [], []
    for _ in range(101):
        loss = LOSSES[seen["surface"]](*place)
        path.append(place.tolist())
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        if seen["clip"] is not None:
            torch.nn.utils.clip_grad_norm_([place], seen["clip"])
        optimizer.step()
    return path, losses


def test_two_balls_roll_as_pytorch_rolls_them(page):
    demo = opened(page, "training", surface="wall", start=[1.4, 0.2], rate=0.02, momentum=0.0, clip=1.0)

    def agree():
        seen = said(demo)
        for k, (kind, name) in enumerate(((torch.optim.SGD, "sgd"), (torch.optim.Adam, "adam"))):
            path, losses = rolled(kind, seen)
            there = len(seen[name])
            assert seen[name] == [pytest.approx(p, rel=1e-7, abs=1e-9) for p in path[:there]]
            assert seen["losses"][k] == pytest.approx(losses[:there], rel=1e-6, abs=1e-9)
            lost = [v for v in path[there] if not abs(v) < 1e6] if there < 101 else []
            assert there == 101 or lost or not math.isfinite(losses[there])
        return seen

    first = agree()
    assert len(first["sgd"]) == 101 and first["losses"][0][-1] < 1e-3
    bound = demo.get_by_role("slider", name="longest gradient")
    bound.focus()
    page.keyboard.press("End")
    assert agree()["clip"] is None and len(agree()["sgd"]) < 5 and len(agree()["adam"]) == 101
    assert "SGD is lost" in demo.get_by_role("status").inner_text()
    demo.locator("select").select_option("ravine")
    for name, keys in (("learning rate", 4), ("SGD momentum", 9), ("start, across", 5), ("start, up", 5)):
        demo.get_by_role("slider", name=name).focus()
        for _ in range(keys):
            page.keyboard.press("ArrowRight")
        seen = agree()
    assert seen["momentum"] == pytest.approx(0.45) and seen["surface"] == "ravine"
    demo.locator("select").select_option("valleys")
    canvas = demo.locator("canvas")
    for finger in (False, True):
        dragged(page, canvas, [0.6, 0.6], [0.85, 0.2 + 0.1 * finger], finger)
        seen = agree()
        assert seen["start"] == pytest.approx([1.26, 0.51 - 0.17 * finger], abs=0.04)
    page.emulate_media(reduced_motion="reduce")
    slider = demo.get_by_role("slider", name="step")
    slider.focus()
    page.keyboard.press("Home")
    assert said(demo)["step"] == 0
    demo.get_by_role("button", name="Roll").click()
    assert said(demo)["step"] == 100

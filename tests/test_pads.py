"""The demos that take the reader's own hand: a pad's record against Python; mouse, keys and touch in Chromium."""

import json
import math
import shutil
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch

import softattn
from softattn.__main__ import main as command
from softattn.decoding import edit_distance
from softattn.images import rasterise
from softattn.in_the_page import in_node, page_card, page_hands, page_noise
from softattn.mixture import StrokeMixture
from softattn.page import from_pad, resample, styles
from softattn.pen import EmbeddedWriter
from softattn.pictures import demo_html
from softattn.strokes import Strokes
from softattn.synthesis import sample_lines
from softattn.vae import bernoulli_nats

NODE = shutil.which("node")
WEIGHTS = files("softattn") / "weights"


# -- what a pad records, in two languages ------------------------------------------------------------------------------


def trace(strokes: list) -> list[list[float]]:
    """Strokes of a pad as softattn.page wants them: x, y, seconds, end."""
    return [[*point[:3], float(k == len(stroke) - 1)] for stroke in strokes for k, point in enumerate(stroke)]


def scrawl(seed: int, strokes: int = 5, points: int = 40) -> list:
    """Strokes as a pad may record them: uneven times, points at one moment, dots."""
    rng, clock, out = np.random.default_rng(seed), 0.0, []
    for n in range(strokes):
        count = 1 if n == 2 else points
        steps = rng.choice([0.0, 0.004, 0.0083, 0.0167, 0.05], count)
        times = clock + np.cumsum(steps)
        clock = times[-1] + 0.2
        places = np.cumsum(rng.normal(0, 3, (count, 2)), 0) + [40 * n + 20, 100]
        out.append(np.round(np.concatenate([places, times[:, None]], 1), 4).tolist())
    return out


def in_page(script: str, name: str, *args):
    """What a function of a demo's helper answers, in Node."""
    call = f"\nconsole.log(JSON.stringify({name}(...{json.dumps(args)})));\n"
    return json.loads(in_node(NODE, script + call))


@pytest.mark.skipif(NODE is None, reason="no Node on this machine; the browser tests compare the same numbers")
@pytest.mark.parametrize(("seed", "text"), [(0, "some hand"), (1, "a"), (2, "a very long text that was soon written")])
def test_the_page_makes_the_strokes_of_python(seed, text):
    strokes = scrawl(seed)
    theirs = in_page('import { fromPad } from "./ink.js";', "fromPad", strokes, text)
    mine = from_pad(trace(strokes), text).offsets
    theirs = torch.tensor(theirs)
    assert theirs.shape == mine.shape and torch.equal(theirs[:, 2], mine[:, 2])
    assert (theirs - mine).abs().max() < 1e-3


@pytest.mark.skipif(NODE is None, reason="no Node on this machine; the browser tests compare the same numbers")
@pytest.mark.parametrize("seed", range(5))
def test_the_page_makes_the_pixels_of_python(seed):
    strokes = scrawl(seed, strokes=1 + seed)
    if seed > 2:  # all weight at one end: the picture's edge holds the other one back
        turn = -1 if seed == 4 else 1
        block = [[[0, y, 0], [60, y, 1]] for y in range(0, 201, 8)]
        strokes = [[[turn * x, turn * y, t] for x, y, t in one] for one in [[[0, 100, 0], [200, 100, 1]], *block]]
    script = 'import { rasterise } from "./ink.js";\nconst pixels = (strokes) => Array.from(rasterise(strokes).ink);\n'
    theirs = np.array(in_page(script, "pixels", strokes)).reshape(28, 28)
    mine = rasterise([np.array(stroke)[:, :2] for stroke in strokes])
    assert np.abs(theirs - mine).max() < 1e-4 and mine.sum() > 10


@pytest.mark.skipif(NODE is None, reason="no Node on this machine")
def test_a_line_laid_on_a_pad_comes_back():
    """onPad, then fromPad: the same line, at the corpus' width of a character."""
    hand = EmbeddedWriter(4).write("some other hand")
    script = (
        'import { fromPad, onPad } from "./ink.js";\n'
        "const again = (offsets, text) => fromPad(onPad(offsets, 640, 200).strokes, text);\n"
    )
    offsets = hand.offsets.tolist()
    theirs, wide = torch.tensor(in_page(script, "again", offsets, hand.text)), np.ptp(hand.to_absolute()[:, 0].numpy())
    scale = 8.25 * 20.92 * len(hand.text) / wide
    assert len(theirs) == len(hand) and torch.equal(theirs[:, 2], hand.offsets[:, 2])
    assert (theirs[:, :2] - scale * hand.offsets[:, :2]).abs().max() < 3  # a tenth of the pad's unit


# -- Chromium ----------------------------------------------------------------------------------------------------------

HEAD = '<!doctype html><html lang="en"><head><link rel="icon" href="data:,"></head><body>'
ROOM = "<div style='height:3000px'></div></body></html>"
PHONE = {"width": 390, "height": 844}


@pytest.fixture
def page(browser, alone):
    """A phone at an address of its own, with the weights beside it and nothing else in the world."""
    context = browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True, accept_downloads=True)
    page = alone(context.new_page())
    yield page
    context.close()


def opened(page, demo: str):
    head = HEAD.replace("<head>", '<head><meta name="viewport" content="width=device-width">')
    page.text = head + demo + ROOM
    page.goto("http://book.test/page.html")
    page.wait_for_selector("[data-state=idle]")
    return page.locator(".softattn-demo")


def said(demo) -> dict:
    return json.loads(demo.get_attribute("data-numbers"))


def tensor(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def pad_of(demo):
    return demo.get_by_role("application")


def by_mouse(page, pad, strokes, wide: float):
    """Write strokes, in units of a pad that is `wide` of them across, with the mouse."""
    box = pad.bounding_box()
    zoom = box["width"] / wide
    for stroke in strokes:
        places = [(box["x"] + zoom * x, box["y"] + zoom * y) for x, y, *_ in stroke]
        page.mouse.move(*places[0])
        page.mouse.down()
        for place in places[1:]:
            page.mouse.move(*place)
        page.mouse.up()


def by_finger(page, pad, places):
    """One stroke by touch, places in pixels of the pad."""
    box, touch = pad.bounding_box(), page.context.new_cdp_session(page)
    for k, (x, y) in enumerate(places):
        point = {"x": box["x"] + x, "y": box["y"] + y}
        touch.send("Input.dispatchTouchEvent", {"type": "touchMove" if k else "touchStart", "touchPoints": [point]})
        page.wait_for_timeout(16)
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def laid(line: Strokes, wide: float, high: float) -> list:
    """The strokes of a line, as large as fits on a pad, some points of each."""
    paper = line.to_absolute().numpy()
    low, size = paper[:, :2].min(0), np.ptp(paper[:, :2], axis=0)
    zoom = min(0.9 * wide / size[0], 0.8 * high / size[1])
    place = (paper[:, :2] - low - size / 2) * zoom + [wide / 2, high / 2]
    cuts = np.flatnonzero(paper[:-1, 2]) + 1
    return [np.concatenate([piece[::2], piece[-1:]]).tolist() for piece in np.split(place, cuts)]


# -- your hand ---------------------------------------------------------------------------------------------------------


def hand_demo(**state) -> str:
    examples = {"synthesis-free": "script", "synthesis": "hasty"}
    nets = [page_card(name) | {"example": page_hands(name)[hand]} for name, hand in examples.items()]
    how = {"text": "some hand", "next": "a pen", "seed": 3, "bias": 1.0} | state
    return demo_html("hand", nets=nets, **how)


@pytest.mark.browser
def test_a_network_goes_on_in_the_hand_of_the_pad(page, tmp_path):
    """By mouse: what the pad recorded, what Python makes of it, what both write, and the file that Python takes."""
    demo = opened(page, hand_demo())
    assert page.asked == ["page.html"], "nothing is fetched before it is asked for"
    assert demo.bounding_box()["height"] <= 844 and page.evaluate("document.documentElement.scrollWidth") <= 390
    page.emulate_media(reduced_motion="reduce")
    demo.get_by_role("button", name="Go on").click()
    assert "The pad is empty" in demo.get_by_role("status").inner_text() and page.asked == ["page.html"]
    by_mouse(page, pad_of(demo), laid(EmbeddedWriter(3).write("some hand"), 640, 300), 640)
    strokes = said(demo)["strokes"]
    assert len(strokes) == int(EmbeddedWriter(3).write("some hand").offsets[:, 2].sum())
    demo.get_by_role("button", name="Go on").click()
    page.wait_for_selector("[data-state=done]")
    seen = said(demo)
    mine = from_pad(trace(strokes), "some hand")
    assert (tensor(seen["prime"]) - mine.offsets).abs().max() < 1e-3
    scribe = softattn.load("synthesis-free")
    prime = Strokes(torch.tensor(seen["prime"]), "some hand")
    (draft,) = sample_lines(scribe, ["a pen"], [3], 1.0, [prime], noise=page_noise)
    there = tensor(seen["places"])[:, 1:]
    assert len(there) == len(draft.strokes)
    same = slice(0, 200)  # further on, rounding may have grown
    assert (there - draft.strokes.to_absolute())[same].abs().max() < 3
    assert float(demo.get_attribute("data-rate")) > 0
    with page.expect_download() as file:
        demo.get_by_role("button", name="Save my hand").click()
    kept = Strokes.from_json(Path(file.value.path()).read_bytes())
    assert file.value.suggested_filename == "some hand.json" and kept.text == "some hand"
    assert (kept.offsets - mine.offsets).abs().max() < 1e-3
    for kind, head in (("SVG", b"<svg"), ("PNG", b"\x89PNG")):
        with page.expect_download() as file:
            demo.get_by_role("button", name=kind).click()
        assert Path(file.value.path()).read_bytes()[:4] == head
    assert page.faults == []


@pytest.mark.browser
def test_the_file_of_the_pad_primes_the_command_line(page, tmp_path):
    demo = opened(page, hand_demo())
    page.emulate_media(reduced_motion="reduce")
    demo.get_by_role("button", name="Example").click()
    with page.expect_download() as file:
        demo.get_by_role("button", name="Save my hand").click()
    hand, out = tmp_path / "hand.json", tmp_path / "line.json"
    hand.write_bytes(Path(file.value.path()).read_bytes())
    arguments = ["write", "a pen", "--prime", str(hand), "--model", "synthesis-free", "--seed", "3", "-o", str(out)]
    assert not command(arguments)
    assert Strokes.from_json(out.read_bytes()).text == "a pen"


@pytest.mark.browser
def test_a_pad_by_keys_and_by_touch(page):
    demo = opened(page, hand_demo())
    pad = pad_of(demo)
    pad.focus()
    page.keyboard.press("ArrowRight")  # in the air
    assert said(demo)["strokes"] == []
    page.keyboard.press(" ")
    for key in ["ArrowRight"] * 5 + ["ArrowDown"] * 3 + ["Shift+ArrowRight"]:
        page.keyboard.press(key)
    page.keyboard.press(" ")
    (stroke,) = said(demo)["strokes"]
    steps = np.diff(np.array(stroke), axis=0)
    assert np.allclose(steps[:, :2], [[4, 0]] * 5 + [[0, 4]] * 3 + [[16, 0]])
    assert np.allclose(steps[:, 2], [0.01] * 8 + [0.04]), "a hundred points a second"
    page.keyboard.press("Backspace")
    assert said(demo)["strokes"] == []
    top = page.evaluate("scrollY")
    by_finger(page, pad, [(60, 30 + 12 * k) for k in range(9)])
    by_finger(page, pad, [(120 + 5 * k, 60) for k in range(9)])
    assert page.evaluate("scrollY") == top, "what is written on does not scroll"
    down, across = (np.array(stroke) for stroke in said(demo)["strokes"])
    assert np.ptp(down[:, 1]) > 100 and np.ptp(down[:, 0]) < 1 and np.ptp(across[:, 0]) > 40
    assert down[-1, 2] > 0.05 and across[0, 2] >= down[-1, 2], "one clock for the pad"
    assert "2 strokes" in pad.get_attribute("aria-label")
    demo.get_by_role("button", name="Undo").click()
    assert len(said(demo)["strokes"]) == 1
    pad.focus()
    page.keyboard.press("Control+z")
    assert said(demo)["strokes"] == [] and "empty" in pad.get_attribute("aria-label")
    by_finger(page, pad, [(60, 40)])
    assert [len(stroke) for stroke in said(demo)["strokes"]] == [1], "a dot"
    demo.get_by_role("button", name="Clear").click()
    assert said(demo)["strokes"] == []
    words = demo.locator("input[type=text]").first
    words.fill("\u2603")
    by_finger(page, pad, [(60 + 5 * k, 40) for k in range(9)])
    demo.get_by_role("button", name="Go on").click()
    assert "printable ASCII, not \u2603" in demo.get_by_role("status").inner_text()
    assert page.faults == [] and page.asked == ["page.html"]


@pytest.mark.browser
def test_strokes_that_say_something_else_are_doubted(page):
    """Only the first letters of a long text are on the pad: the window cannot have come to its end."""
    demo = opened(page, hand_demo(text="something quite different"))
    page.emulate_media(reduced_motion="reduce")
    by_mouse(page, pad_of(demo), [[(40 + 5 * k, 150 + 9 * (k % 2)) for k in range(90)]], 640)
    demo.get_by_role("button", name="Go on").click()
    page.wait_for_selector("[data-state=done]")
    seen = said(demo)
    from softattn.synthesis import encode_texts, first_points

    scribe = softattn.load("synthesis-free")
    prime = Strokes(torch.tensor(seen["prime"]), seen["text"])
    with torch.no_grad():
        phi = scribe(first_points(scribe, prime)[:, None], encode_texts([prime.text])).phi[-1, 0]
    assert seen["seen"] == int(phi.argmax()) + 1
    doubted = "do your strokes write" in demo.get_by_role("status").inner_text()
    assert doubted == (seen["seen"] < 0.6 * len(prime.text))


@pytest.mark.browser
def test_an_example_is_written_before_the_readers_eyes(page):
    demo = opened(page, hand_demo())
    demo.get_by_role("button", name="Example").click()
    page.wait_for_function("JSON.parse(document.querySelector('.softattn-demo').dataset.numbers).strokes.length > 0")
    some = len(said(demo)["strokes"])
    example = page_hands("synthesis-free")["script"]
    ends = sum(row[2] for row in example["offsets"])
    page.wait_for_function(
        f"JSON.parse(document.querySelector('.softattn-demo').dataset.numbers).strokes.length === {ends}"
    )
    assert some < ends
    page.wait_for_timeout(300)
    assert said(demo)["text"] == example["text"]
    points = sum(len(stroke) for stroke in said(demo)["strokes"])
    assert points == len(example["offsets"])


# -- where the pen may go ----------------------------------------------------------------------------------------------


def awake(page, line: Strokes):
    demo = opened(page, demo_html("handwriting", net=page_card("handwriting"), offsets=line.offsets.tolist()))
    assert page.asked == ["page.html"] and said(demo) == {"awake": False, "bytes": page_card("handwriting")["bytes"]}
    page.emulate_media(reduced_motion="reduce")
    demo.get_by_role("button", name="Wake").click()
    page.wait_for_selector("[data-state=done]")
    return demo


def settled(page, count: int | None = None):
    """Wait until all that is on the pad has been read, and the ways on are drawn."""
    wanted = "true" if count is None else f"n.points === {count}"
    page.wait_for_function(
        "() => { const d = document.querySelector('.softattn-demo'), n = JSON.parse(d.dataset.numbers);"
        f" return d.dataset.state === 'done' && (n.ahead === 0 || n.ways === 12) && {wanted}; }}"
    )


@pytest.mark.browser
def test_the_glow_is_the_density_of_python(page):
    line = EmbeddedWriter(4).write("in a thin line")
    demo = awake(page, line)
    settled(page)
    assert demo.bounding_box()["height"] <= 844 and page.evaluate("document.documentElement.scrollWidth") <= 390
    seen = said(demo)
    model = softattn.load("handwriting")
    ink = Strokes(torch.tensor(seen["offsets"]))
    assert len(ink) == seen["points"] == len(line) and float(demo.get_attribute("data-rate")) > 0
    unit = 172 / seen["size"]
    assert (ink.offsets - line.offsets).abs().max() < 0.11 * unit + 0.02 * line.offsets.abs().max()
    floor = tuple(1 / math.sqrt(12) / s for s in model.std[:2].tolist())
    with torch.no_grad():
        x = model.normalise(ink.offsets)
        raw = model(x[:, None])[0][:, 0].double()
        nats = -StrokeMixture(raw[:-1], floor=floor).log_prob(x[1:].double())
    assert torch.allclose(tensor(seen["nats"][1:]), nats, atol=2e-2)
    assert abs(sum(seen["nats"]) - model.nats([ink]).item()) < 0.5
    slider = demo.get_by_role("slider", name="point")
    for at in (seen["points"] - 1, 40, 7):
        slider.fill(str(at))
        settled(page)
        found = said(demo)
        assert found["point"] == at
        assert found["end"] == pytest.approx(StrokeMixture(raw[at]).end.item(), abs=1e-3)
        field = glow(model, raw[at], found["place"][:2], unit)
        peak, column, row = found["peak"]
        assert field[row, column].item() == pytest.approx(peak, rel=2e-2) and peak > 0.97 * field.max().item()
        visible = field[field > 3e-6].sum().item()
        assert 0.97 * visible < found["mass"] < field.sum().item() * 1.01
    demo.get_by_role("combobox").select_option("all")
    page.wait_for_function(
        f"JSON.parse(document.querySelector('.softattn-demo').dataset.numbers).summed === {len(line)}"
    )
    assert said(demo)["whole"] > found["mass"]
    assert page.faults == []


def glow(model, raw, place, unit, cell=2, wide=640, high=300) -> torch.Tensor:
    """The density of the next point, per square raw unit, in the cells of the pad."""
    side = cell * unit
    x, y = ((torch.arange(size // cell, dtype=torch.float64) + 0.5) * side for size in (wide, high))
    there = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1) - unit * torch.tensor(place)
    mean, std = model.mean[:2].double(), model.std[:2].double()
    floor = (side / math.sqrt(12) / std).tolist()
    return StrokeMixture(raw, floor=floor).density((there - mean) / std) / std.prod()


@pytest.mark.browser
def test_the_readers_own_pen_is_read_as_it_writes(page):
    demo = awake(page, EmbeddedWriter(4).write("in a thin line"))
    settled(page)
    demo.get_by_role("button", name="Clear").click()
    assert said(demo)["points"] == 0
    pad = pad_of(demo)
    by_mouse(page, pad, laid(EmbeddedWriter(3).write("pen"), 640, 300), 640)
    settled(page)
    by_finger(page, pad, [(60 + 6 * k, 90 - 3 * (k % 5)) for k in range(20)])
    settled(page)
    seen = said(demo)
    unit, pieces = 172 / seen["size"], [np.array(stroke) for stroke in seen["strokes"]]
    points = np.concatenate([resample(piece, 1 / seen["pace"]) for piece in pieces])
    mine = Strokes.from_absolute(points[:, :2] * unit, points[:, 2])
    assert len(mine) == seen["points"] and (tensor(seen["offsets"]) - mine.offsets).abs().max() < 1e-2
    pace = demo.get_by_role("slider", name="clock")
    pace.focus()
    page.keyboard.press("Home")
    settled(page)
    slow = said(demo)
    assert slow["pace"] == 0.5 and slow["points"] > 1.5 * seen["points"]
    pad.focus()
    page.keyboard.press(" ")
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    page.keyboard.press(" ")
    page.wait_for_function(
        f"JSON.parse(document.querySelector('.softattn-demo').dataset.numbers).points > {slow['points']}"
    )
    settled(page)
    strip = demo.locator("canvas").last.bounding_box()
    page.mouse.click(strip["x"] + 2, strip["y"] + 10)
    settled(page)
    assert said(demo)["point"] < 0.02 * said(demo)["points"]
    ahead = demo.get_by_role("slider", name="ways on")
    ahead.focus()
    page.keyboard.press("Home")
    settled(page)
    assert said(demo)["ways"] == 0
    demo.get_by_role("combobox").select_option("surprise")
    demo.get_by_role("button", name="Undo").click()
    settled(page)
    assert len(said(demo)["strokes"]) == len(pieces) and page.faults == []


# -- the reader's own digit --------------------------------------------------------------------------------------------


def digit_demo() -> str:
    film = {"title": "one", "frames": [[0] * 784], "write": None, "read": None, "kl": None}
    example = EmbeddedWriter(3).write("5").offsets.tolist()
    return demo_html("draw", films=[film], rows=28, columns=28, net=page_card("draw-mnist"), seed=3, example=example)


@pytest.mark.browser
def test_the_readers_digit_is_read_and_painted_as_in_python(page):
    demo = opened(page, digit_demo())
    assert demo.bounding_box()["height"] <= 844 and page.evaluate("document.documentElement.scrollWidth") <= 390
    page.emulate_media(reduced_motion="reduce")
    demo.get_by_role("button", name="Paint mine").click()
    assert "The pad is empty" in demo.get_by_role("status").first.inner_text() and page.asked == ["page.html"]
    by_mouse(page, pad_of(demo), [[(110, 60), (220, 60), (150, 150), (220, 200), (180, 270), (100, 250)]], 320)
    demo.get_by_role("button", name="Paint mine").click()
    page.wait_for_selector("[data-state=done]")
    check_digit(demo)
    by_finger(page, pad_of(demo), [(40 + 5 * k, 60) for k in range(12)])  # awake: it paints by itself
    page.wait_for_function(
        "JSON.parse(document.querySelector('.softattn-demo').dataset.numbers).strokes?.length === 2"
        " && document.querySelector('.softattn-demo').dataset.state === 'done'"
    )
    check_digit(demo)
    pad = pad_of(demo)
    pad.focus()
    page.keyboard.press("Backspace")
    page.keyboard.press(" ")
    for key in ["ArrowRight"] * 9 + ["ArrowDown"] * 9:
        page.keyboard.press(key)
    page.keyboard.press(" ")
    page.wait_for_timeout(200)
    page.wait_for_selector("[data-state=done]")
    check_digit(demo)
    assert demo.locator("option").count() == 2, "one film is the reader's"
    demo.get_by_role("button", name="Another digit").click()
    page.wait_for_function("document.querySelector('.softattn-demo').dataset.numbers.includes('seed 3')")
    assert page.faults == [] and float(demo.get_attribute("data-rate")) > 0


def check_digit(demo) -> None:
    seen = said(demo)
    assert seen["title"] == "yours, painted again" and (seen["step"], seen["steps"]) == (64, 64)
    grey = rasterise([np.array(stroke)[:, :2] for stroke in seen["strokes"]])
    given = torch.tensor(seen["given"]).view(1, 1, 28, 28).float()
    doubtful = np.abs(grey - 0.5) < 1e-4
    assert ((grey > 0.5) == (given[0, 0].numpy() > 0.5))[~doubtful].all()
    painter = softattn.load("draw-mnist")
    noise = page_noise(1, 64 * 50)[:, 2:].reshape(64, 1, 100).float()
    painter.noise = lambda *_: noise
    with torch.no_grad():
        out = painter(given, keep=True, fused=False)
        bits = bernoulli_nats(out.logits, given)
    assert seen["kl_total"] == pytest.approx(out.kl.sum().item(), abs=0.5)
    assert seen["kl"] == pytest.approx(out.kl[-1, 0].item(), abs=5e-2)
    assert seen["bits"] == pytest.approx(bits.item(), abs=0.5)
    assert seen["ink"] == pytest.approx(out.logits.sigmoid().sum().item(), abs=1)
    for name, boxes in (("read", out.read_boxes), ("write", out.write_boxes)):
        assert torch.allclose(tensor(seen[name]), boxes[-1, 0].double(), atol=5e-2)


# -- reading -----------------------------------------------------------------------------------------------------------


@pytest.mark.browser
def test_the_page_reads_the_ink_on_the_pad_as_python_does(page):
    """The example, played stroke by stroke, and a stroke taken back: what stands below is what Python reads."""
    line = styles()["joined"]
    state = {
        "card": page_card("reading"),
        "opening": [[round(x), round(y), int(end)] for x, y, end in line.offsets.tolist()],
        "letters": [{"letter": "a", "place": 3, "sure": 0.9}],
    }
    demo = opened(page, demo_html("reading", **state))
    demo.get_by_role("button", name="Clear").click()
    page.wait_for_selector("[data-state=idle]")
    demo.get_by_role("button", name="Example").click()
    expected = softattn.read(line).text
    page.wait_for_function(  # it is played at the pen's pace, and read after each stroke
        """n => {
          const demo = document.querySelector(".softattn-demo");
          return demo.dataset.state === "done" && JSON.parse(demo.dataset.numbers).text.length >= n;
        }""",
        arg=len(expected) - 1,
    )
    told = said(demo)
    assert edit_distance(told["text"], expected) <= 1, (told["text"], expected)
    assert page.asked.count("reading.safetensors") == 1
    demo.get_by_role("button", name="Take back a stroke").click()
    page.wait_for_timeout(500)
    page.wait_for_selector("[data-state=done]")
    assert said(demo)["text"] not in ("", told["text"]) and page.faults == []

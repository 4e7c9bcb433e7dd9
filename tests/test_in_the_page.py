"""The networks in the page: the dice, the bytes, and JavaScript against Python, in Node and in Chromium."""

import base64
import json
import re
import shutil
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch

import softattn
from softattn import hub
from softattn.filterbank import Filterbank
from softattn.in_the_page import (
    in_node,
    page_card,
    page_hands,
    page_line,
    page_noise,
    page_uniform,
    weights_script,
)
from softattn.page import ink_slant, styles
from softattn.pen import EmbeddedWriter
from softattn.pictures import demo_html, packed
from softattn.strokes import Strokes
from softattn.synthesis import Draft, faults, sample_lines

ROOT = Path(__file__).resolve().parent.parent
NODE = shutil.which("node")
WEIGHTS = files("softattn") / "weights"


# -- the dice ----------------------------------------------------------------------------------------------------------


def mulberry(seed: int, count: int) -> list[float]:
    """One number after the other, in whole numbers of Python."""
    word, state, out = 2**32, seed % 2**32, []
    for _ in range(count):
        state = (state + 0x6D2B79F5) % word
        t = (state ^ state >> 15) * (1 | state) % word
        t = (t + (t ^ t >> 7) * (61 | t)) % word ^ t
        out.append((t ^ t >> 14) / word)
    return out


@pytest.mark.parametrize("seed", [0, 1, 7, 2**31, 2**32 - 1, 2**40 + 3, -5])
def test_uniform_numbers_are_those_of_a_loop(seed):
    assert page_uniform(seed, 500).tolist() == mulberry(seed, 500)


def test_noise_is_made_of_the_uniform_numbers():
    u, noise = page_uniform(3, 80).view(20, 4), page_noise(3, 20)
    assert torch.equal(noise[:, :2], u[:, :2])
    square = noise[:, 2:].square().sum(1)
    assert torch.allclose(torch.exp(-square / 2), 1 - u[:, 2], atol=1e-12)
    angle = torch.atan2(noise[:, 3], noise[:, 2]) / (2 * torch.pi) % 1
    assert torch.allclose(angle, u[:, 3], atol=1e-9)


def test_noise_is_prolonged_and_differs_by_seed():
    assert torch.equal(page_noise(4, 100)[:30], page_noise(4, 30)) and page_noise(4, 0).shape == (0, 4)
    assert not torch.equal(page_noise(4, 30), page_noise(5, 30))
    numbers = page_noise(11, 100_000)
    assert (numbers[:, 2:].mean(0).abs() < 5 / 100_000**0.5).all() and (numbers[:, 2:].std(0) - 1).abs().max() < 0.012
    assert torch.corrcoef(numbers.T).fill_diagonal_(0).abs().max() < 5 / 100_000**0.5


@pytest.mark.parametrize("call", [lambda: page_noise(1.5, 3), lambda: page_noise(1, -1), lambda: page_uniform("a", 3)])
def test_what_is_no_seed_is_refused(call):
    with pytest.raises((TypeError, ValueError), match="page_(noise|uniform): "):
        call()


# -- cards, scripts ----------------------------------------------------------------------------------------------------


def test_a_card_says_what_a_page_must_know():
    card, whole = page_card("synthesis"), hub.weights()["synthesis"]
    assert card["name"] == "synthesis" and card["bytes"] == (WEIGHTS / "synthesis.safetensors").stat().st_size
    assert card["non_commercial"] and all(card[key] == whole[key] for key in card.keys() - {"name"})
    assert page_card("synthesis-free")["judged_by"] == "shares"
    with pytest.raises(ValueError, match="page_card: no weights 'x'; there are: .*synthesis"):
        page_card("x")


@pytest.mark.parametrize("size", [0, 1, 49_151, 49_152, 49_153, 150_000])
def test_a_script_holds_all_bytes(size):
    data = bytes(range(256)) * (size // 256 + 1)
    script = weights_script("some-net", data[:size])
    head, pieces = re.fullmatch(r'(.*)\["some-net"\] = (\[.*\]);\n', script).groups()
    assert head == "(globalThis.softattnWeights ??= {})"
    assert b"".join(base64.b64decode(piece, validate=True) for piece in json.loads(pieces)) == data[:size]


def test_a_line_is_handed_over():
    phi = torch.tensor([[0.0, 2.0], [0.5, 0.02]])
    line = page_line(torch.tensor([[0.0, 0, 0], [1.26, -3, 1]]), phi, "ab")
    assert line["text"] == "ab" and line["offsets"] == [[0, 0, 0], [1.3, -3, 1]] and line["peak"] == 2
    again = torch.tensor([[(int(sign, 36) / 35) ** 2 * 2 for sign in row] for row in line["phi"]])
    assert (again - phi).abs().max() < 0.06
    for wrong in ((torch.zeros(3, 2), phi), (torch.zeros(3, 3), phi), (torch.zeros(2, 3), phi * 0)):
        with pytest.raises(ValueError, match="page_line: "):
            page_line(*wrong, "ab")


def test_hands_belong_to_their_weights():
    free, large = page_hands("synthesis-free"), page_hands("synthesis")
    assert set(large) == set(styles()) and not set(free) & set(large)
    for hand in (*free.values(), *large.values()):
        points = torch.tensor(hand["offsets"])
        assert points[0].tolist() == [0, 0, 0] and points[-1, 2] == 1 and 4 < len(points) / len(hand["text"]) < 100


def test_the_upright_hand_is_the_one_of_four_that_leans_least():
    hands = page_hands("synthesis-free")
    lines = {name: Strokes(torch.tensor(hand["offsets"]).float()) for name, hand in hands.items()}
    lean = {name: abs(ink_slant(line)) for name, line in lines.items()}
    assert set(lines) == {"printed", "upright", "slim", "script"}
    assert min(lean, key=lean.get) == "upright" and lean["upright"] < 0.03
    assert len({line.offsets.numpy().tobytes() for line in lines.values()}) == 4


# -- the chapter shows what runs ---------------------------------------------------------------------------------------


def test_javascript_in_the_chapter_is_that_of_the_demos():
    sources = [path.read_text("utf-8") for path in (ROOT / "softattn" / "demos").glob("*.js")]
    blocks = re.findall(r"^```js\n(.*?)^```", (ROOT / "book" / "in_the_page.md").read_text("utf-8"), re.M | re.S)
    assert len(blocks) >= 5
    for block in blocks:
        assert any(block in source for source in sources), block


def test_the_kernel_that_is_shown_is_the_one_that_runs(tmp_path):
    """The text of the chapter, assembled here by hand, is the bytes in net.js."""
    page = (ROOT / "book" / "in_the_page.md").read_text("utf-8")
    text = re.search(r"^```text\n(.*?)^```", page, re.M | re.S).group(1)
    assert assembled(text) == kernel()


def kernel() -> bytes:
    letters = re.search(r"KERNEL =\n(.*?);", (ROOT / "softattn/demos/net.js").read_text("utf-8"), re.S).group(1)
    return base64.b64decode("".join(re.findall(r'"(.*?)"', letters)))


CODES = {
    "i32.add": "6a", "i32.lt_u": "49", "f32.add": "92", "f32.load": "2a0200", "f32.store": "380200",
    "v128.load": "fd000400", "f32x4.add": "fde401", "f32x4.mul": "fde601",
}  # fmt: skip


def assembled(text: str) -> bytes:
    """An assembler of what this one kernel needs, from the specification of WebAssembly."""
    tokens = re.findall(r'[()]|"[^"]*"|[^\s()]+', re.sub(r";;.*", "", text))

    def tree(at):
        node = []
        while tokens[at] != ")":
            if tokens[at] == "(":
                one, at = tree(at + 1)
                node.append(one)
            else:
                node.append(tokens[at])
                at += 1
        return node, at + 1

    module, _ = tree(1)
    body = next(part for part in module if part[0] == "func")
    variables = [part[1] for part in body if part[0] in ("param", "local")]
    labels: list[str] = []

    def code(node) -> bytes:
        name, *rest = node
        if name == "loop":
            labels.append(rest[0])
            inside = b"".join(map(code, rest[1:]))
            labels.pop()
            return b"\x03\x40" + inside + b"\x0b"
        if name == "br_if":
            depth = len(labels) - 1 - labels.index(rest[0])
            return code(rest[1]) + bytes([0x0D, depth])
        if name.startswith("local."):
            kind = {"get": 0x20, "set": 0x21, "tee": 0x22}[name[6:]]
            return b"".join(map(code, rest[1:])) + bytes([kind, variables.index(rest[0])])
        if name == "i32.const":
            return bytes([0x41, int(rest[0])])
        if name == "v128.const":
            return b"\xfd\x0c" + bytes(16)
        if name == "f32x4.extract_lane":
            return code(rest[1]) + bytes([0xFD, 0x1F, int(rest[0])])
        raw = bytes.fromhex(CODES[name])
        if rest and isinstance(rest[0], str):  # offset=16
            raw = raw[:-1] + bytes([int(rest.pop(0)[7:])])
        return b"".join(map(code, rest)) + raw

    def leb(n):
        return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + leb(n >> 7)

    def section(number, content):
        return bytes([number]) + leb(len(content)) + content

    locals_ = b"\x02\x02\x7f\x02\x7b"  # two i32, two v128
    inside = locals_ + b"".join(code(p) for p in body[1:] if p[0] not in ("param", "local", "export")) + b"\x0b"
    exports = b"\x02\x06memory\x02\x00\x08multiply\x00\x00"
    sections = [(1, b"\x01\x60\x05" + b"\x7f" * 5 + b"\x00"), (3, b"\x01\x00"), (5, b"\x01\x00\x01"), (7, exports)]
    sections.append((10, b"\x01" + leb(len(inside)) + inside))
    return b"\0asm\1\0\0\0" + b"".join(section(*one) for one in sections)


# -- JavaScript against Python -----------------------------------------------------------------------------------------

PROBE = """
import { Filterbank, Matrix, bounded, density, mixture, readSafetensors, useSimd, writeLine } from "./net.js";
import { CLASSES, penTokens, spelled } from "./readers.js";
import { missed } from "./ink.js";

const build = (given) => new CLASSES[given.card.class](readSafetensors(given.bytes), given.card);
const list = (values) => Array.from(values);

const PROBES = {
  product({ rows, columns, W, x, b }) {
    const fill = (put) => W.forEach((v, k) => put(Math.floor(k / columns), k % columns, v));
    const matrix = new Matrix(rows, columns, Float32Array.from(b), fill);
    matrix.times(x.slice(0, 3), x.slice(3));
    return list(matrix.times(x.slice(0, 1), x.slice(1)));
  },
  tensor(given) { return list(readSafetensors(given.bytes)[given.key].data); },
  write({ lines, ...given }) {
    const net = build(given);
    return lines.map((line) => [...writeLine(net, line)].filter(Boolean).map((p) => [...p.offset, ...p.phi]));
  },
  grid({ height, width, n, raw, image, patch }) {
    const bank = new Filterbank(height, width, n);
    const written = bank.write(patch, raw, new Float32Array(height * width));
    return [list(bank.read(image, raw)), list(written), bank.box(raw), list(bounded(raw))];
  },
  mixture({ raw, bias, at }) {
    const found = mixture(Float32Array.from(raw), bias);
    return [found.end, list(found.pi), found.sigma.map(list), list(found.rho), density(found, ...at)];
  },
  paint({ z, ...given }) {
    const net = build(given);
    net.begin();
    const boxes = z.map((one) => net.paint(Float32Array.from(one)));
    return [list(net.canvas), boxes];
  },
  copy({ image, noise, ...given }) {
    const net = build(given), picture = Float32Array.from(image);
    net.begin();
    const boxes = noise.map((e) => {
      const { z, box } = net.look(picture, Float32Array.from(e));
      net.paint(z);
      return box;
    });
    return [list(net.canvas), boxes];
  },
  dates({ text, ...given }) {
    return [...build(given).translate({ text })].map(({ sign, weights }) => [sign, weights && list(weights)]);
  },
  read({ strokes, ...given }) {
    const net = build(given), { rows, at } = penTokens(strokes, net.group, net.spacing), work = net.read(rows);
    let step = work.next();
    while (!step.done) step = work.next();
    const letters = spelled(step.value, net.alphabet).map(({ letter, token }) => [letter, token]);
    return [rows.map(list), at, step.value.map(list), letters];
  },
  missed({ phi, text, shares }) {
    return missed(phi.map((row) => ({ phi: row })), text, shares);
  },
  pen({ x, ...given }) {
    const net = build(given);
    net.begin();
    return x.map((one) => list(net.step(Float32Array.from(one))));
  },
};
"""


def stored(name: str) -> dict:
    return {"card": page_card(name), "bytes": base64.b64encode((WEIGHTS / f"{name}.safetensors").read_bytes()).decode()}


DECODED = """
const ask = (name, given, simd) => {
  useSimd(simd);
  if (given.bytes) given.bytes = Uint8Array.from(atob(given.bytes), (c) => c.charCodeAt(0)).buffer;
  return PROBES[name](given);
};
"""


@pytest.fixture(scope="module")
def in_chromium(browser):
    page = browser.new_page()
    page.goto("about:blank")
    page.evaluate(
        """async (text) => {
          const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
          globalThis.ask = (await import(url)).ask;
        }""",
        packed(PROBE + DECODED) + "\nexport { ask };\n",
    )
    yield lambda name, given, simd: page.evaluate("([n, g, s]) => ask(n, g, s)", [name, given, simd])
    page.close()


def by_node(name, given, simd):
    with_given = f"\nconsole.log(JSON.stringify(ask({json.dumps(name)}, {json.dumps(given)}, {json.dumps(simd)})));\n"
    return json.loads(in_node(NODE, PROBE + DECODED + with_given))


WAYS = [
    pytest.param("node", marks=pytest.mark.skipif(NODE is None, reason="no Node on this machine")),
    pytest.param("chromium", marks=pytest.mark.browser),
]


@pytest.fixture(params=WAYS)
def ask(request):
    return by_node if request.param == "node" else request.getfixturevalue("in_chromium")


def tensor(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("simd", [True, False])
@pytest.mark.parametrize("shape", [(1, 4), (5, 8), (6, 13), (33, 100)])
def test_products(ask, shape, simd):
    g = torch.Generator().manual_seed(sum(shape))
    W, x, b = (torch.randn(size, generator=g) for size in (shape, shape[1:], shape[:1]))
    given = {"rows": shape[0], "columns": shape[1], "W": W.flatten().tolist(), "x": x.tolist(), "b": b.tolist()}
    assert torch.allclose(tensor(ask("product", given, simd)), (W.double() @ x.double() + b), atol=1e-5)


@pytest.mark.parametrize("by", ["weights", "shares"])
def test_the_page_misses_the_letters_that_python_misses(ask, by):
    phi, text = torch.rand(6, 9, generator=torch.Generator().manual_seed(3)) ** 4, "a p en is"
    phi[:, [1, 4, 7]] *= 0.05  # a space and two letters
    draft = Draft(Strokes(torch.tensor([[0.0, 0.0, 1.0]] * 6), text), phi, True)
    want = [sign for _, sign in faults(draft, by).missed]
    assert ("e" in want) and (" " in want) == (by == "weights")
    assert ask("missed", {"phi": phi.tolist(), "text": text, "shares": by == "shares"}, True) == want


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float32])
def test_each_type_of_number_is_read_exactly(ask, kind):
    from safetensors.torch import save

    x = torch.cat([torch.randn(50), torch.tensor([0.0, -0.0, 6e-8, -1e-6, 1.5, 3e4])]).to(kind)
    bytes_ = base64.b64encode(save({"odd": torch.ones(3), "x": x.view(7, 8)})).decode()
    assert ask("tensor", {"bytes": bytes_, "key": "x"}, True) == x.double().tolist()


@pytest.mark.parametrize("simd", [True, False])
def test_page_and_python_write_the_same_lines(ask, simd):
    scribe, text = softattn.load("synthesis-free"), "a thin line of ink"
    prime = sample_lines(scribe, ["paper"], [9], 0.75, noise=page_noise)[0].strokes
    jobs = [(text, 1, 0.75, None), ("oak 7", 2, 0.0, None), ("pen", 2**32 + 5, 1.5, prime)]
    jobs.append(("garden", 0, 0.75, None))  # does not lift behind its text: ended where the window left it
    lines = [
        {"text": t, "seed": s, "bias": b}
        | ({} if p is None else {"prime": {"text": p.text, "offsets": p.offsets.tolist()}})
        for t, s, b, p in jobs
    ]
    theirs = ask("write", stored("synthesis-free") | {"lines": lines}, simd)
    for (t, s, b, p), rows in zip(jobs, theirs, strict=True):
        (mine,) = sample_lines(scribe, [t], [s], b, None if p is None else [p], noise=page_noise)
        rows, unit = tensor(rows), scribe.std
        assert len(rows) == len(mine.strokes) and mine.ended
        same = slice(0, 300)  # further on, rounding may have grown
        assert ((rows[same, :3] - mine.strokes.offsets[same]) / unit).abs().max() < 1e-3
        assert (rows[same, 3:] - mine.phi[same]).abs().max() < 2e-3
    assert max(map(len, theirs)) > 300


def test_a_grid_reads_and_writes(ask):
    g = torch.Generator().manual_seed(5)
    image, patch = torch.rand(12, 9, generator=g), torch.randn(4, 4, generator=g)
    for raw in ([0.1, -0.2, 0.3, -0.4, 0.5], [1.5, -1.4, -6.0, 0.2, 0.0], [0.0, 0.0, 3.0, 1.0, -0.5]):
        given = {"height": 12, "width": 9, "n": 4, "raw": raw}
        given |= {"image": image.flatten().tolist(), "patch": patch.flatten().tolist()}
        read, written, box, _ = ask("grid", given, True)
        bank, r = Filterbank(12, 9, 4), tensor([raw])
        assert torch.allclose(tensor(read), bank.read(image.double()[None, None], r).flatten(), atol=1e-5)
        assert torch.allclose(tensor(written), bank.write(patch.double()[None, None], r).flatten(), atol=1e-5)
        assert torch.allclose(tensor(box), bank.box(r)[0], atol=1e-9)


def test_a_mixture_has_the_density_of_python(ask):
    from softattn.mixture import StrokeMixture

    raw = torch.randn(25, generator=torch.Generator().manual_seed(2))
    end, pi, sigma, rho, found = ask("mixture", {"raw": raw.tolist(), "bias": 0, "at": [0.3, -0.4]}, True)
    mine = StrokeMixture(raw.double())
    assert end == pytest.approx(mine.end.item()) and torch.allclose(tensor(pi), mine.pi)
    assert torch.allclose(tensor(sigma).T, mine.sigma) and torch.allclose(tensor(rho), mine.rho)
    assert found == pytest.approx(mine.density(tensor([0.3, -0.4])).item(), rel=1e-6)
    _, biased, narrow, _, _ = ask("mixture", {"raw": raw.tolist(), "bias": 1, "at": [0, 0]}, True)
    assert torch.allclose(tensor(narrow), tensor(sigma) / torch.e)
    assert torch.allclose(tensor(biased), torch.softmax(2 * mine.pi.log(), 0))


@pytest.mark.parametrize("simd", [True, False])
def test_draw_paints_and_copies(ask, simd):
    painter = softattn.load("draw-mnist")
    noise = page_noise(3, 64 * 50)[:, 2:].reshape(64, 1, 100)
    canvas, boxes = ask("paint", stored("draw-mnist") | {"z": noise[:, 0].tolist()}, simd)
    with torch.no_grad():
        film = painter.decode(noise.float())
    assert torch.allclose(tensor(canvas), film.canvases[-1].flatten().double(), atol=2e-2)
    assert torch.allclose(tensor(boxes), film.write_boxes[:, 0].double(), atol=2e-2)
    image = (film.canvases[-1] > 0).float()
    canvas, boxes = ask(
        "copy", stored("draw-mnist") | {"image": image.flatten().tolist(), "noise": noise[:, 0].tolist()}, simd
    )
    painter.noise = lambda *_: noise.float()  # these numbers, not the generator's
    with torch.no_grad():
        out = painter(image, keep=True, fused=False)
    assert torch.allclose(tensor(canvas), out.logits.flatten().double(), atol=5e-2)
    assert torch.allclose(tensor(boxes), out.read_boxes[:, 0].double(), atol=5e-2)


@pytest.mark.parametrize(
    "line",
    [
        EmbeddedWriter(3).write("read me. it tilts"),
        EmbeddedWriter(5, font="scripts", blend=0.0).write("iii"),
        Strokes([[0, 0, 1]]),
        Strokes([[0, 0, 1], [50, 9, 1]]),
        Strokes([[0, 0, 0], [0, 0, 0], [70, 5, 1]]),
    ],
)
def test_ink_is_read_alike(ask, line):
    reader = softattn.load("reading")
    xy, ends = line.to_absolute()[:, :2].double(), (line.offsets[:-1, 2] > 0).nonzero()[:, 0] + 1
    strokes = [piece.tolist() for piece in xy.tensor_split(ends)]
    rows, at, scores, letters = ask("read", stored("reading") | {"strokes": strokes}, True)
    tokens = reader.tokens(line)
    assert torch.allclose(tensor(rows), tokens.x.double(), atol=1e-4)
    begins = np.cumsum([0, *(len(s) for s in strokes)])
    assert [int(begins[s] + point) for s, point in at] == tokens.point.tolist()
    with torch.no_grad():
        log_p = reader(tokens.x[:, None], torch.tensor([len(tokens.x)]))[:, 0]
    assert torch.allclose(torch.log_softmax(tensor(scores), 1), log_p.double(), atol=2e-3)
    got = reader.read([line])[0]
    assert "".join(letter for letter, _ in letters) == got.text
    assert [int(tokens.point[token]) for _, token in letters] == list(got.place)


@pytest.mark.parametrize("name", ["dates", "dates-fixed"])
def test_dates_are_translated(ask, name):
    reader, text = softattn.load(name), "the 3rd of May, 2009; 4 June 1987"
    said, weights = reader.translate([text])
    found = ask("dates", stored(name) | {"text": text}, True)
    assert "".join(sign for sign, _ in found).rstrip(".") == said[0].rstrip(".")
    if weights is not None:
        mine = weights[0, : len(found)].double()
        assert torch.allclose(tensor([row for _, row in found]), mine, atol=1e-4)


def test_the_predictors_expect_the_same(ask):
    pen = softattn.load("handwriting")
    x = torch.randn(12, 3, generator=torch.Generator().manual_seed(4))
    x[:, 2] = (x[:, 2] > 1).float()
    with torch.no_grad():
        raw = pen(x[:, None])[0][:, 0]
    assert torch.allclose(tensor(ask("pen", stored("handwriting") | {"x": x.tolist()}, True)), raw.double(), atol=1e-4)
    prose = softattn.load("prediction-book")
    rows = torch.eye(96)[torch.tensor([5, 40, 0, 95, 1, 1])]
    with torch.no_grad():
        logits = prose(rows[:, None])[0][:, 0]
    found = ask("pen", stored("prediction-book") | {"x": rows.tolist()}, True)
    assert torch.allclose(tensor(found), logits.double(), atol=1e-4)


# -- the demo that writes ----------------------------------------------------------------------------------------------

HEAD = '<!doctype html><html lang="en"><head><link rel="icon" href="data:,"></head><body>'


def writing_demo(**state) -> str:
    nets = [page_card(name) | {"hands": page_hands(name)} for name in ("synthesis-free", "synthesis")]
    return HEAD + demo_html("synthesis", nets=nets, **state) + "</body></html>"


@pytest.fixture
def page(browser, alone):
    """A page at an address of its own, with the weights beside it and nothing else in the world."""
    page = alone(browser.new_page(viewport={"width": 390, "height": 844}))
    yield page
    page.close()


def opened(page, text: str):
    page.text = text
    page.goto("http://book.test/page.html")
    page.wait_for_selector("[data-state=idle]")
    return page.locator(".softattn-demo")


def said(demo) -> dict:
    return json.loads(demo.get_attribute("data-numbers"))


def places(strokes) -> torch.Tensor:
    return strokes.to_absolute().double()


def prime(name: str, hand: str) -> Strokes:
    line = page_hands(name)[hand]
    return Strokes(torch.tensor(line["offsets"]).float(), line["text"])


@pytest.mark.browser
def test_the_demo_writes_what_is_typed(page):
    scribe = softattn.load("synthesis-free")
    (first,) = sample_lines(scribe, ["pen"], [5], 1.0, noise=page_noise)
    line = page_line(first.strokes.offsets, first.phi, "pen")
    demo = opened(page, writing_demo(opening=line, seed=3, bias=1.0, map=True))
    assert page.asked == ["page.html"], "nothing is fetched before it is asked for"
    assert demo.bounding_box()["height"] <= 844 and page.evaluate("document.documentElement.scrollWidth") <= 390
    assert (tensor(said(demo)["places"])[:, 1:] - places(first.strokes)).abs().max() < 0.06 * len(first.strokes)
    text = demo.locator("input[type=text]").first
    text.fill("an oak, a fir")
    demo.locator("button").first.click()
    page.wait_for_selector("[data-state=done]")
    assert page.asked == ["page.html", "synthesis-free.safetensors"]
    (mine,) = sample_lines(scribe, ["an oak, a fir"], [3], 1.0, [prime("synthesis-free", "printed")], noise=page_noise)
    theirs = said(demo)
    assert theirs["text"] == "an oak, a fir" and theirs["net"] == "synthesis-free"
    assert len(theirs["places"]) == len(mine.strokes)
    assert (tensor(theirs["places"])[:, 1:] - places(mine.strokes)).abs().max() < 1
    assert (tensor(theirs["phi"]) - mine.phi[-1]).abs().max() < 2e-3
    assert float(demo.get_attribute("data-rate")) > 0
    slider = demo.locator("input[type=range]").first
    slider.focus()
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    assert said(demo)["point"] == len(mine.strokes) - 5
    assert (tensor(said(demo)["phi"]) - mine.phi[-5]).abs().max() < 2e-3
    box = demo.locator("svg").bounding_box()
    page.mouse.click(box["x"] + 1, box["y"] + box["height"] / 2)
    assert said(demo)["point"] < 40, "the point of the ink that is nearest to the pointer"
    assert page.faults == []


@pytest.mark.browser
def test_hands_on(page):
    """Several lines, another seed, a pause, a mouse over the ink, and what cannot be written."""
    demo = opened(page, writing_demo(seed=3, bias=1.0, text="a thin line of ink on paper"))
    speed = demo.get_by_role("slider", name="speed")
    speed.focus()
    page.keyboard.press("End")
    demo.get_by_role("button", name="Write").click()
    page.wait_for_selector("[data-state=done]")
    lines = said(demo)["text"].split("\n")
    assert lines == ["a thin line of ink", "on paper"]
    scribe, hand = softattn.load("synthesis-free"), prime("synthesis-free", "printed")
    drafts = sample_lines(scribe, lines, [3, 3 + 7919], 1.0, [hand] * 2, noise=page_noise)
    rows = tensor(said(demo)["places"])
    for n, draft in enumerate(drafts):
        there = rows[rows[:, 0] == n][:, 1:]
        there[:, 1] -= there[0, 1].clone()
        assert there.shape == draft.strokes.offsets.shape
        assert (there - places(draft.strokes)).abs().max() < 2
    speed.focus()
    page.keyboard.press("Home")
    demo.get_by_role("button", name="New seed").click()
    page.wait_for_selector("[data-state=running]")
    box = demo.locator("svg").bounding_box()
    for step in range(8):
        page.mouse.move(box["x"] + 20 * step, box["y"] + 30)
    page.wait_for_function("document.querySelector('.softattn-demo').dataset.rate")
    before = demo.get_by_role("slider", name="point").input_value()
    page.wait_for_function("(b) => document.querySelector('input[type=range]').value !== b", arg=before)
    assert demo.get_attribute("data-state") == "running", "a mouse over the ink does not stop it"
    pressed = """() => {
      const button = [...document.querySelectorAll("button")].find((b) => b.textContent === "Pause");
      button.click();
      return button.textContent;
    }"""
    assert page.evaluate(pressed) == "Go on" and demo.get_attribute("data-state") == "done"
    stood = demo.get_by_role("slider", name="point").input_value()
    demo.get_by_role("button", name="Go on").click()
    page.wait_for_function("(b) => document.querySelector('input[type=range]').value !== b", arg=stood)
    assert said(demo)["seed"] == 4
    text = demo.locator("input[type=text]").first
    for typed, told in (("\u2603", "printable ASCII, not \u2603"), (" ", "nothing to write")):
        text.fill(typed)
        demo.get_by_role("button", name="Write").click()
        assert told in demo.get_by_role("status").inner_text()
    page.emulate_media(reduced_motion="reduce")
    text.fill("<b id=oh>caf\u00e9")
    text.press("Enter")
    page.wait_for_selector("[data-state=done]")
    assert said(demo)["text"] == "<b id=oh>cafe" and page.locator("#oh").count() == 0
    assert said(demo)["point"] == len(said(demo)["places"]) - 1
    with page.expect_download() as file:
        demo.get_by_role("button", name="SVG").click()
    assert "<path" in Path(file.value.path()).read_text("utf-8") and file.value.suggested_filename.endswith(".svg")
    with page.expect_download() as file:
        demo.get_by_role("button", name="PNG").click()
    assert Path(file.value.path()).read_bytes()[:4] == b"\x89PNG"
    assert page.faults == []


@pytest.mark.browser
def test_a_page_on_a_disk_reads_its_weights_from_a_script(browser, tmp_path):
    folder = tmp_path / "_static" / "weights"
    folder.mkdir(parents=True)
    script = weights_script("synthesis-free", (WEIGHTS / "synthesis-free.safetensors").read_bytes())
    (folder / "synthesis-free.js").write_text(script, "utf-8")
    (tmp_path / "page.html").write_text(writing_demo(seed=3, bias=1.0, text="ink"), "utf-8")
    page, faults = browser.new_page(), []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_selector("[data-state=idle]")
    page.locator("button").first.click()
    page.wait_for_selector("[data-state=done]", timeout=120_000)
    theirs = said(page.locator(".softattn-demo"))
    hand = prime("synthesis-free", "printed")
    (mine,) = sample_lines(softattn.load("synthesis-free"), ["ink"], [3], 1.0, [hand], noise=page_noise)
    assert len(theirs["places"]) == len(mine.strokes) and faults == []
    page.close()


@pytest.mark.browser
def test_weights_that_are_not_there_are_named(page):
    nets = [page_card("synthesis-free") | {"name": "no-net"}]
    demo = opened(page, HEAD + demo_html("synthesis", nets=nets, text="ink"))
    demo.locator("button").first.click()
    page.wait_for_selector("[data-state=failed]")
    assert "no-net" in demo.get_by_role("status").inner_text()


@pytest.mark.browser
def test_without_a_worker_it_works_in_slices(page):
    page.add_init_script("globalThis.Worker = undefined")
    demo = opened(page, writing_demo(seed=3, bias=1.0, text="ink"))
    demo.locator("button").first.click()
    page.wait_for_selector("[data-state=done]")
    hand = prime("synthesis-free", "printed")
    (mine,) = sample_lines(softattn.load("synthesis-free"), ["ink"], [3], 1.0, [hand], noise=page_noise)
    assert len(said(demo)["places"]) == len(mine.strokes)


@pytest.mark.browser
def test_another_digit_is_painted_as_in_python(page):
    film = {"title": "one", "frames": [[0] * 784], "write": None, "read": None, "kl": None}
    card = page_card("draw-mnist")
    demo = opened(page, HEAD + demo_html("draw", films=[film], rows=28, columns=28, net=card, seed=3))
    page.emulate_media(reduced_motion="reduce")
    assert page.asked == ["page.html"] and page.evaluate("document.documentElement.scrollWidth") <= 390
    demo.get_by_role("button", name="Another digit").click()
    page.wait_for_selector("[data-state=done]")
    z = page_noise(3, 64 * 50)[:, 2:].reshape(64, 1, 100).float()
    with torch.no_grad():
        mine = softattn.load("draw-mnist").decode(z)
    seen = said(demo)
    assert (seen["step"], seen["steps"], seen["title"]) == (64, 64, "painted here, seed 3")
    assert seen["ink"] == pytest.approx(mine.canvases[-1].sigmoid().sum().item(), abs=1)
    assert torch.allclose(tensor(seen["write"]), mine.write_boxes[-1, 0].double(), atol=2e-2)
    demo.get_by_role("button", name="Another digit").click()
    page.wait_for_function("document.querySelector('.softattn-demo').dataset.numbers.includes('seed 4')")
    assert page.faults == [] and float(demo.get_attribute("data-rate")) > 0

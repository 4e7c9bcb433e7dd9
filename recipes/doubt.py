"""How sure is the reader of ink that says nothing? Scribble, lines turned about, other scripts, beside people's lines.

    SOFTATTN_DATA=... python -m recipes.reading --doubt     puts the figures, and the bar, into the card of `reading`

The bar is the confidence that all but REFUSED of val1's lines reach. Everything else is made from the same lines, or
drawn with a seed: scribble by the predictor of `handwriting`, as long as the lines are; the lines mirrored, turned,
backwards in time, their strokes in another order; steps without any order; random words in Hershey's alphabets, which
the pen of the book moves through (Latin ones among them, to see what these fonts do by themselves). Ink that falls into
several lines is refused by the reader, and counted. A second bar weighs in how unlike English the answer is: nats a
character of the ink, and SPELLING times those that the book's character model gives it.
"""

import math
from typing import Any

import numpy as np
import torch

import softattn
from softattn.handwriting import HandwritingPredictor, evaluating
from softattn.mixture import StrokeMixture
from softattn.pen import _font, pen_path
from softattn.prediction import PredictionNetwork, one_hot
from softattn.reading import HandwritingReader, read_lines
from softattn.strokes import Strokes
from softattn.text import ALPHABET
from softattn.trace import first_points, ink_of, split_lines

REFUSED = 0.05  # share of people's lines below the bar
SPELLING = 0.3  # weight of the character model, as in softattn.decoding.Spelling
COUNT = 200  # lines of each kind
LETTERS = "abcdefghijklmnopqrstuvwxyz"
SCRIPTS = {
    "Latin letters of a font": ("futural", LETTERS),
    "digits of a font": ("futural", "0123456789"),
    "Greek": ("greeks", LETTERS),
    "Cyrillic": ("cyrillic", LETTERS),
    "Japanese": ("japanese", LETTERS),
}


@torch.no_grad()
def scribbled(model: HandwritingPredictor, sizes: list[int], seed: int) -> list[Strokes]:
    """Scribble of so many points each, all lines side by side."""
    generator = torch.Generator().manual_seed(seed)
    seen, state, drawn = model.normalise(torch.zeros(1, len(sizes), 3).to(model.mean)), None, []
    with evaluating(model):
        for _ in range(max(sizes)):
            raw, state = model(seen, state)
            seen = StrokeMixture(raw[-1:]).sample(generator=generator)
            drawn.append(seen[0])
            seen = seen.to(raw)
    steps = torch.stack(drawn) * model.std + model.mean
    found = []
    for k, size in enumerate(sizes):
        offsets = torch.cat([torch.zeros(1, 3), steps[:size, k].float().cpu()])
        offsets[-1, 2] = 1
        found.append(Strokes(offsets))
    return found


def strokes_of(line: Strokes) -> list[np.ndarray]:
    """The places of each stroke."""
    xy, stroke = ink_of(line)
    return np.split(xy, first_points(stroke)[1:])


def line_of(strokes: list[np.ndarray]) -> Strokes:
    ends = [np.arange(len(places)) == len(places) - 1 for places in strokes]
    return Strokes.from_absolute(np.concatenate(strokes), np.concatenate(ends).astype(float))


def turned(line: Strokes, across: float, down: float) -> Strokes:
    return Strokes(line.offsets * torch.tensor([across, down, 1.0]))


def backwards(line: Strokes) -> Strokes:
    """The same ink from the last point to the first."""
    return line_of([places[::-1] for places in strokes_of(line)][::-1])


def shuffled(line: Strokes, rng: np.random.Generator) -> Strokes:
    """Each stroke in the place of another one."""
    strokes = strokes_of(line)
    starts = [places[0] for places in strokes]
    order = rng.permutation(len(strokes))
    return line_of([strokes[k] - strokes[k][0] + start for k, start in zip(order, starts, strict=True)])


def wandering(line: Strokes, rng: np.random.Generator) -> Strokes:
    """Steps as large as the line's, in any direction; the pen lifts where it did."""
    offsets, steps = line.offsets.clone(), line.offsets[:, :2].double()
    noise = torch.from_numpy(rng.normal(size=(len(line), 2)))
    offsets[1:, :2] = (steps.mean(0) + noise * steps.std(0, correction=0))[1:].to(offsets)
    return Strokes(offsets)


def in_script(font: str, signs: str, rng: np.random.Generator) -> Strokes:
    """Five words of random signs of a one-stroke font, moved through as the book's pen moves."""
    glyphs, via, first, x = _font(font), [], [], 0.0
    for size in rng.integers(2, 8, 5):
        for sign in rng.choice(list(signs), size):
            strokes, left, width = glyphs[str(sign)]
            for places in strokes:
                via.append(places + (x - left, 0.0))
                first += [True] + [False] * (len(places) - 1)
            x += width
        x += 16
    points = np.concatenate(via)
    points += rng.normal(0, 0.3, points.shape)
    way = np.hypot(*np.diff(points, axis=0, prepend=points[:1]).T)
    xy, end, _ = pen_path(points * 300 / 21, np.array(first), 0.7 * way**0.6, 3.0)
    return Strokes.from_absolute(xy, end)


def strange_ink(lines: list[Strokes], seed: int = 1) -> dict[str, list[Strokes]]:
    """Ink of many kinds that says nothing, or nothing that the reader has letters for, from lines of people."""
    model: Any = softattn.load("handwriting")
    rng = np.random.default_rng(seed)
    kinds = {"scribble": scribbled(model, [len(line) for line in lines], seed)}
    kinds["mirrored"] = [turned(line, -1, 1) for line in lines]
    kinds["upside down"] = [turned(line, 1, -1) for line in lines]
    kinds["turned by half"] = [turned(line, -1, -1) for line in lines]
    kinds["backwards in time"] = [backwards(line) for line in lines]
    kinds["strokes shuffled"] = [shuffled(line, rng) for line in lines]
    kinds["steps at random"] = [wandering(line, rng) for line in lines]
    return kinds | {name: [in_script(*how, rng) for _ in lines] for name, how in SCRIPTS.items()}


@torch.no_grad()
def spelling_nats(network: PredictionNetwork, text: str) -> float:
    """Nats a character, the end among them, that a text costs the character model."""
    codes = torch.tensor([ALPHABET.index(c) for c in f"\n{text}\n"])[:, None]
    with evaluating(network):
        logits, _ = network(one_hot(codes[:-1], len(ALPHABET)))
    log_p = torch.log_softmax(logits[:, 0].double(), -1)
    return -log_p.gather(1, codes[1:]).mean().item()


def doubts_of(model: HandwritingReader, network: PredictionNetwork, lines: list[Strokes]) -> np.ndarray:
    """Confidence, and doubt with the spelling weighed in, (N, 2); 0 and infinity where nothing was read."""
    rows = []
    for found in read_lines(model, lines):
        if not found.text:
            rows.append((0.0, math.inf))
            continue
        ink = -math.log(max(found.confidence, 1e-300))
        rows.append((found.confidence, ink + SPELLING * spelling_nats(network, found.text)))
    return np.array(rows).reshape(-1, 2)


def doubt_figures(model: HandwritingReader, people: list[Strokes], kinds: dict[str, list[Strokes]]) -> dict[str, Any]:
    """The bar by people's lines, and of each kind of ink how much is refused, and how sure the reader is of the rest.

    Shares are of all lines of a kind, refused ones among them.
    """
    network: Any = softattn.load("prediction")
    sure, doubt = doubts_of(model, network, people).T
    bar = float(np.quantile(sure, REFUSED, method="lower"))
    bar = math.floor(1000 * bar) / 1000
    spelled = math.ceil(1000 * float(np.quantile(doubt, 1 - REFUSED, method="higher"))) / 1000
    most, half = (float(np.quantile(sure, 1 - share)) for share in (0.9, 0.5))
    rows = []
    for name, lines in {"people": people, **kinds}.items():
        one = [line for line in lines if len(split_lines(line)) == 1]
        got, weighed = doubts_of(model, network, one).T if one else (np.zeros(1), np.ones(1) * math.inf)
        shares = [(got > 0.5).sum(), (got >= most).sum(), (got >= half).sum(), (got >= bar).sum()]
        shares.append((weighed <= spelled).sum())
        levels = [np.median(got), np.quantile(got, 0.95), got.max()]
        refused = (len(lines) - len(one)) / len(lines)
        row = [refused, *levels, *(share / len(lines) for share in shares)]
        rows.append([name, len(lines), *(round(float(value), 4) for value in row)])
        print(rows[-1], flush=True)
    return {
        "bar": bar,
        "bar_with_spelling": spelled,
        "refused": REFUSED,
        "columns": [
            "ink", "lines", "share refused as several lines", "median confidence", "95 % are below", "highest",
            "share above 0.5", "share that reaches what 90 % of people's lines do", "and what 50 % do",
            "share above the bar", "share above the bar with spelling",
        ],
        "rows": rows,
    }  # fmt: skip

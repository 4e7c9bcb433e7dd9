"""Train the reader: bidirectional LSTMs with CTC on IAM-OnDB, and the small readers that the chapter sets side by side.

    python -m recipes.reading --minutes 90        train; the state is saved on the way, and taken up when called again
    python -m recipes.reading --cool 3000         from that state: so many updates in which the rate falls to 0
    python -m recipes.reading --land              score val1 with the average so far, write weights and card
    python -m recipes.reading --finish            the same, and score the test lines: once, at the very end
    python -m recipes.reading --score             score the weights that ship on val1; into their card goes what a beam
                                                  and the character model change on every tenth line
    python -m recipes.reading --proof             set the proofreader's limit anew in the card of the weights that ship
    python -m recipes.reading --doubt             measure how sure they are of ink that says nothing (recipes/doubt.py)
    python -m recipes.reading --free ...          on the embedded writer alone: `reading-free`
    python -m recipes.reading --words             train the chapter's small readers: `words-content`, ...

Protocol: trained on train and val2, chosen on val1, tested once on what is there of the test forms, on which the reader
never trains (the writers of this book do, as their paper's did). It begins on short texts of the embedded writer until
a character costs ENOUGH nats; whole lines from the start stay at 100 % for long. Then each epoch holds all lines of the
corpus and EMBEDDED new ones of the embedded writer: some with rare signs, some with runs of one letter and rows of
dots, some in hands whose dots and bars wait for the word's end. Every line gets another slant, size, width and tilt
each time, and some of its points are dropped. The state lies outside the repository (--state).

Who has read English alone reads "Mr" where "Nr" stands. So with `--spliced` an epoch holds lines of people's own
letters in chance order, cut and put together where the pen is lifted within words, and with `--traps` lines of the
embedded writer with one letter exchanged for another of its shape: there the ink alone can tell.

Each landing also sets the limit of softattn.proofreading: of val1's lines, and of the words and pairs of words that
they can be cut into, at most REFUSED may be sent back as not saying their own text. What the limit catches is measured
on the same ink with one letter of the text changed.
"""

import collections
import itertools
import json
import math
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm

import softattn
from recipes import doubt
from recipes._run import WEIGHTS, Run, add_keep, blend, commit, machine, options, train
from recipes.texts import embedded_line, trap_line
from softattn.decoding import edit_distance
from softattn.handwriting import evaluating
from softattn.hub import atomic_write, save_weights
from softattn.iam import load_iam
from softattn.pen import PRINTABLE
from softattn.proofreading import laid_beside, proof_of, same_sign
from softattn.reading import (
    HandwritingReader,
    WordReader,
    batches,
    codes_of,
    ctc_batch,
    ctc_posterior,
    made_words,
    read_lines,
    word_batch,
    word_loss,
)
from softattn.strokes import Strokes
from softattn.trace import pen_tokens

SHORT, ENOUGH = 4000, 1.2  # short texts to begin with, until a character costs so many nats
FREE = 200  # lines of the embedded writer that score `reading-free`
EMBEDDED = 1200  # lines of the embedded writer per epoch beside the corpus
ROWS = 24
RATE, WARMUP = 2e-3, 100
PARTED, DOUBTED = 3000, 5.0  # lines cut into parts; nats that a letter of a part may cost


def changed(line, rng):
    """The line in another slant, width and tilt, some points dropped; and how many times its size it is read."""
    offsets = line.offsets.double().numpy()
    ends, xy = offsets[:, 2], offsets[:, :2].cumsum(0)
    if rng.random() < 0.5:
        keep = rng.random(len(xy)) > rng.uniform(0, 0.4)
        keep |= ends > 0
        keep[0] = True
        keep[1:] |= ends[:-1] > 0
        xy, ends = xy[keep], ends[keep]
    turn, slant = rng.normal(0, 0.03), rng.normal(0, 0.15)
    wide, high = np.exp(rng.normal(0, 0.12, 2))
    tilt = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    xy = xy @ np.array([[wide, 0], [slant * high, high]]) @ tilt
    steps = np.diff(xy, axis=0, prepend=xy[:1])
    offsets = torch.from_numpy(np.concatenate([steps, ends[:, None]], 1))
    return Strokes(offsets, line.text), float(np.exp(rng.normal(0, 0.08)))


def usable(lines):
    """Lines whose text the reader can write, and in which nothing is crossed out (#)."""
    return [line for line in lines if line.text and not set(line.text) - set(PRINTABLE) and "#" not in line.text]


# -- Proofreading: the limit, on people's own lines --------------------------------------------------------------------

REFUSED = 0.05  # share of people's lines that the proofreader may send back, at each length


def damaged(text, rng):
    """The text with one letter replaced, left out or put in, such that it can be told from the true one."""
    while True:
        k, kind = int(rng.integers(len(text))), int(rng.integers(3))
        letter = chr(ord("a") + int(rng.integers(26)))
        other = text[:k] + (letter if kind != 1 else "") + text[k + (kind != 2) :]
        if other.strip() == other and other and same_sign(other) != same_sign(text) and text[k] != " ":
            return other


def cut(model, line, most=2):
    """A line's words, and pairs of words, cut where the pen is in the air between the letters beside a space."""
    tokens, found = model.tokens(line), []
    (log_p,) = (y[:n, 0] for _, y, (n,), _ in batches(model, [line]))
    at = ctc_posterior(log_p.double(), codes_of(line.text, model.alphabet))[:, 1::2].argmax(0).tolist()
    words, begin = line.text.split(" "), 0
    cuts: list[int | None] = [0]
    for word in words[:-1]:
        begin += len(word) + 1
        a, b = at[begin - 2], at[begin]
        flights = [t for t in range(a, b + 1) if tokens.x[t, 2 * model.group + 1] == 1]
        far = max(flights, key=lambda t: tokens.x[t, 2 * model.group + 2].item(), default=None)
        cuts.append(None if far is None else int(tokens.point[far]))
    cuts.append(len(line))
    for i in range(len(words)):
        for j in range(i + 1, min(i + most, len(words)) + 1):
            a, b, text = cuts[i], cuts[j], " ".join(words[i:j])
            if a is None or b is None or a >= b or not text.strip() or (i, j) == (0, len(words)):
                continue
            offsets = line.offsets[a:b].clone()
            offsets[0, :2], offsets[-1, 2] = 0, 1
            found.append(Strokes(offsets, text))
    return found


class Part(NamedTuple):
    """A few letters that lie between two lifts of the pen, or a lift and the word's end.

    Args:
        xy: places of the pen where the line has them, (P, 2).
        ends: 1 where the pen is lifted, (P,).
        text: the letters.
        gap: white before it, from the right edge of the part before; NaN for a line's first.
        first: whether a word begins with it.
    """

    xy: np.ndarray
    ends: np.ndarray
    text: str
    gap: float
    first: bool

    def alone(self):
        """It as a line of its own."""
        steps = np.diff(self.xy, axis=0, prepend=self.xy[:1])
        return Strokes(torch.from_numpy(np.concatenate([steps, self.ends[:, None]], 1)).float(), self.text)


def parts_of(model, line):
    """A line cut wherever its pen is lifted between two letters, as far as the reader can tell: list of `Part`.

    A cut must move the pen on: the strokes before it end left of those behind it, but for an overlap of a letter's
    quarter. What belongs to a letter before (a dot put on later) so keeps its place or joins two letters.
    """
    tokens = model.tokens(line)
    (log_p,) = (y[:n, 0] for _, y, (n,), _ in batches(model, [line]))
    at = ctc_posterior(log_p.double(), codes_of(line.text, model.alphabet))[:, 1::2].argmax(0).tolist()
    xy = line.offsets[:, :2].double().numpy().cumsum(0)
    ends = line.offsets[:, 2].double().numpy()
    lifts = np.flatnonzero(ends[:-1] > 0) + 1  # where a stroke begins
    slack = 0.25 * float(np.ptp(xy[:, 0])) / len(line.text)
    kept, letters = [], [k for k, c in enumerate(line.text) if c != " "]
    for a, b in itertools.pairwise(letters):
        low, high = int(tokens.point[at[a]]), int(tokens.point[at[b]])
        good = [(xy[k:, 0].min() - xy[:k, 0].max(), int(k)) for k in lifts if low < k <= high]
        if good and max(good)[0] > -slack:
            kept.append((max(good)[1], b))
    parts, begin, text_from, edge = [], 0, 0, math.nan
    for k, b in [*kept, (len(xy), len(line.text))]:
        word = line.text[text_from:b]
        stroke_ends = ends[begin:k].copy()
        stroke_ends[-1] = 1
        first = text_from == 0 or line.text[text_from - 1] == " "
        parts.append(Part(xy[begin:k], stroke_ends, word.strip(), float(xy[begin:k, 0].min()) - edge, first))
        begin, text_from, edge = k, b, float(xy[:k, 0].max())
    return parts


def believed(model, parts):
    """Of each part whether the reader can take it for its text.

    Alone a letter has lost its size: it may cost DOUBTED nats, as "o" does where "O" or "0" is more likely.
    """
    costs = model.nats([part.alone() for part in parts], [part.text for part in parts]).tolist()
    return [cost <= DOUBTED * len(part.text) for cost, part in zip(costs, parts, strict=True)]


def kept_parts(model, lines):
    """Of each line its `Part`s, but those that the reader takes for something quite different; few lines have none."""
    found = []
    with evaluating(model):
        for line in tqdm(lines):
            with suppress(ValueError):  # it looks like two lines
                parts = parts_of(model, line)
                found.append(list(itertools.compress(parts, believed(model, parts))))
    return [parts for parts in found if len(parts) > 3]


def spliced(parts, rng):
    """A line of one hand's parts in chance order, its words as long as chance will have it."""
    order, count = rng.permutation(len(parts)), int(rng.integers(3, 31))
    inner = [p.gap for p in parts[1:] if not p.first] or [0.0]
    outer = [p.gap for p in parts[1:] if p.first] or [2 * max(inner)]
    edge, rows, ends, text = 0.0, [], [], ""
    for n, k in enumerate(order):
        part = parts[k]
        if n and len(text) + len(part.text) > count:
            break
        space = n > 0 and rng.random() < 0.3
        gap = 0.0 if n == 0 else (outer if space else inner)[rng.integers(len(outer if space else inner))]
        xy = part.xy + [edge + gap - part.xy[:, 0].min(), 0.0]
        edge, text = max(edge, float(xy[:, 0].max())), text + " " * space + part.text
        rows.append(xy)
        ends.append(part.ends)
    xy = np.concatenate(rows)
    steps = np.diff(xy, axis=0, prepend=xy[:1])
    return Strokes(torch.from_numpy(np.concatenate([steps, np.concatenate(ends)[:, None]], 1)).float(), text)


def unguessed(lines, count=200):
    """Lines spliced from parts of others, one of each, as the weights that ship cut them: list of `Strokes`."""
    parts = kept_parts(softattn.load("reading"), lines[:: max(1, len(lines) // (2 * count))])
    return [spliced(some, np.random.default_rng([k, 20])) for k, some in enumerate(parts[:count])]


def proof_rows(model, lines, seed=1):
    """Lines, then words: length, nats of what was read; errors and excess of the true text, and of a changed one."""
    rng, rows = np.random.default_rng(seed), []
    with evaluating(model):
        pieces = [piece for line in lines for piece in cut(model, line)]
        some = [pieces[i] for i in rng.permutation(len(pieces))[: len(lines)]]
        for line in [*lines, *some]:
            true = proof_of(model, line)
            wrong = proof_of(model, Strokes(line.offsets, damaged(line.text, rng)))
            sure = true.nats - true.excess  # nats of what was read
            rows.append((len(line.text), sure, true.errors, true.excess, wrong.errors, wrong.excess))
    return np.array(rows, float).T, np.arange(len(rows)) < len(lines)


def proof_figures(rows, whole):
    """The limit of the proofreader, and what it and other rules catch of one changed letter."""
    size, sure, errors, excess, more, higher = rows
    base, letter, nat, most = limit(size, sure, excess, higher, whole)
    allowed = base + letter * size + nat * np.minimum(sure, most * size)
    told = {"errors": (errors, more), "share": (errors / size, more / size), "excess": (excess, higher)}
    told["weighed"] = excess - allowed, higher - allowed
    rules, caught = {}, {}
    for rule, (good, bad) in told.items():
        good, bad = good[whole], bad[whole]
        levels = np.unique(np.quantile(good, np.linspace(0.7, 1, 61)))
        rules[rule] = [[round(float((good > x).mean()), 4), round(float((bad > x).mean()), 4)] for x in levels]
        caught[rule] = max(row[1] for row in rules[rule] if row[0] <= REFUSED)
    refused, found = (errors > 0) & (excess > allowed), (more > 0) & (higher > allowed)
    groups = {"lines": whole, "words": ~whole}
    return {
        "limit": [base, letter, nat, most],
        **{name: int(group.sum()) for name, group in groups.items()},
        "allowed": {name: round(float((allowed / size)[group].mean()), 4) for name, group in groups.items()},  # a sign
        "refused": {name: round(float(refused[group].mean()), 4) for name, group in groups.items()},
        "caught_at_limit": {name: round(float(found[group].mean()), 4) for name, group in groups.items()},
        "caught": caught,
        "rules": rules,
    }


def limit(size, sure, excess, higher, whole):
    """Of the limits that send back REFUSED of the lines and of the words at most, the one that catches most."""
    best = (-1.0, 0.0, 0.0, 0.0, 0.0)
    letters, mosts = (0.0, 0.1, 0.2, 0.3, 0.4), (0.1, 0.15, 0.2, 0.3)
    for letter, nat, most in itertools.product(letters, np.arange(0, 4.1, 0.5), mosts):
        slack = letter * size + nat * np.minimum(sure, most * size)
        base = max(float(np.quantile((excess - slack)[g], 1 - REFUSED, method="higher")) for g in (whole, ~whole))
        base = max(0.0, math.ceil(100 * base) / 100)
        found = higher > base + slack
        best = max(best, (round(found[whole].mean() + found[~whole].mean(), 4), base, letter, float(nat), most))
    return best[1:]


class ReaderRun(Run):
    """CTC on lines that look a little different each time."""

    SETTINGS = {"lr": RATE, "betas": (0.9, 0.99), "weight_decay": 0.0}
    KEEP, CLIP = 0.998, 1.0

    def __init__(self, config, args, corpus=(), val1=()):
        super().__init__(HandwritingReader, config, args, dropout=args.dropout)
        self.corpus, self.val1, self.top = corpus, val1, args.rate
        self.embedded = args.embedded
        self.parts = []
        self.facts |= dict(short=True, lately=99.0)
        self.short_texts, self.until = [], math.inf

    def start_from(self, name):
        """Begin with weights that ship; what was spent on them stays in the books."""
        super().start_from(name)
        card: Any = softattn.load(name).card
        kept = {key: card[key] for key in ("steps", "points", "minutes")}
        self.facts |= {"before": {**kept, "rows": card["curve"]["rows"]}, "short": False}

    def plan(self, cool):
        """With `cool`: so many updates from now on, in which the rate falls to 0."""
        self.cool = cool
        if cool:
            self.until = self.facts.setdefault("cooling_since", self.facts["updates"]) + cool

    def over(self):
        return self.facts["updates"] >= self.until

    def rate(self):
        left = 1.0 if self.until == math.inf else max(0.005, (self.until - self.facts["updates"]) / self.cool)
        return self.top * min(1, (self.facts["updates"] + 1) / WARMUP) * left

    def prepare(self):
        """The epoch's lines, and batches of lines of about one length, which only seed and epoch decide."""
        seed, facts = self.seeded().initial_seed(), self.facts
        rng, begin = np.random.default_rng(seed), time.monotonic()
        short = facts["short"] = facts["short"] and facts["lately"] > ENOUGH
        if short and not self.short_texts:
            count, first = min(SHORT, 4 * self.embedded), facts["seed"]
            self.short_texts = [embedded_line(np.random.default_rng([first, i]), True) for i in range(count)]
        count = self.embedded if self.corpus else 4 * self.embedded
        fresh = [] if short else [embedded_line(np.random.default_rng([seed, i]), False) for i in range(count)]
        fresh += [] if short else self.unguessable(seed)
        self.lines = self.short_texts if short else fresh + list(self.corpus)
        size = [len(line.text) * math.exp(rng.normal(0, 0.1)) for line in self.lines]
        order, rows = np.argsort(size), 32 if short else ROWS
        self.batches = [order[i : i + rows] for i in range(0, len(order), rows)]
        rng.shuffle(self.batches)
        took = time.monotonic() - begin
        print(
            f"epoch {facts['epoch']}: {len(self.lines)} lines in {len(self.batches)} batches, {took:.0f} s", flush=True
        )
        return len(self.batches)

    def unguessable(self, seed):
        """Lines in which no letter can be guessed from those beside it: of people's parts, of the embedded writer."""
        if self.args.spliced and not self.parts:
            self.parts = self.parts_of_corpus(self.args.state / "parts.pt")
        rngs = [np.random.default_rng([seed, 9, i]) for i in range(self.args.spliced)]
        lines = [spliced(self.parts[rng.integers(len(self.parts))], rng) for rng in rngs]
        return lines + [trap_line(np.random.default_rng([seed, 10, i])) for i in range(self.args.traps)]

    def parts_of_corpus(self, path):
        """What `kept_parts` finds in PARTED of its lines, cut once for a run: it takes minutes."""
        if not path.exists():
            order = np.random.default_rng([self.facts["seed"], 8]).permutation(len(self.corpus))[:PARTED]
            parts = kept_parts(softattn.load("reading"), [self.corpus[i] for i in order])
            rows = [[(torch.tensor(p.xy), torch.tensor(p.ends), *p[2:]) for p in some] for some in parts]
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(path) as beside:
                torch.save(rows, beside)
        rows = torch.load(path, weights_only=True)
        return [[Part(xy.numpy(), ends.numpy(), *told) for xy, ends, *told in some] for some in rows]

    def batch(self, k):
        """Tokens (T, B, I), lengths (B,), codes: of lines whose ink is long enough for their text."""
        rng = np.random.default_rng([self.generator.initial_seed(), 7, k])
        xs, texts = [], []
        for i in self.batches[k]:
            line, scale = changed(self.lines[i], rng)
            x = pen_tokens(line, self.model.group, self.model.spacing, scale).x
            codes = codes_of(line.text, self.model.alphabet)
            if len(x) >= len(codes) + int((codes[1:] == codes[:-1]).sum()):
                xs.append(x)
                texts.append(codes)
        return nn.utils.rnn.pad_sequence(xs), torch.tensor([len(x) for x in xs]), texts

    def step(self, k):
        """One update on one batch; nats a character."""
        x, lengths, texts = self.batch(k)
        self.shake(self.args.noise, self.args.adaptive, 1.0)
        with self.low_products():
            log_p = self.model(x.to(self.device), lengths.to(self.device))
        sizes = torch.tensor([len(codes) for codes in texts])
        loss = F.ctc_loss(log_p, torch.cat(texts), lengths, sizes, reduction="sum") / sizes.sum()
        self.update(loss, self.rate(), int(lengths.sum()))
        facts, value = self.facts, min(loss.item(), 10.0)
        facts["lately"] = value if facts["lately"] > 50 else 0.98 * facts["lately"] + 0.02 * value
        return loss.item()

    def look(self, mean):
        """Error and nats on a part of val1."""
        facts, found = self.facts, figures(self.averaged(), self.val1)
        facts["curve"].append([facts["updates"], mean, found["error"], found["nats"], facts["seconds"] / 60])
        return (
            f"update {facts['updates']}  epoch {facts['epoch']}  {mean:.3f} nats/character  val1 part: error "
            f"{100 * found['error']:.1f} %, {found['nats']:.3f} nats/character  rate {self.rate():.1e}  "
            f"{facts['seconds'] / 60:.1f} min"
        )


def wrong_letters(model, lines, **how):
    """Wrong characters of each line (N,), read in a way of `read_lines`, and how many the line has (N,)."""
    read = read_lines(model, lines, **how)
    wrong = [edit_distance(got.text, line.text) for got, line in zip(read, lines, strict=True)]
    return torch.tensor(wrong).double(), torch.tensor([len(line.text) for line in lines]).double()


def rate_of(wrong, sizes):
    """Wrong characters for each character, and the standard error of this over lines."""
    rate = (wrong.sum() / sizes.sum()).item()
    return rate, ((wrong - rate * sizes).std() * math.sqrt(len(sizes)) / sizes.sum()).item()


def figures(model, lines, **how):
    """Error rate of characters, with its standard error over lines, and nats a character."""
    wrong, sizes = wrong_letters(model, lines, **how)
    (rate, spread), nats = rate_of(wrong, sizes), 0.0
    for rows, log_p, lengths, _ in batches(model, lines):
        cost = ctc_batch(log_p, lengths, [codes_of(lines[i].text, model.alphabet) for i in rows])
        nats += cost[cost.isfinite()].sum().item()
    exact = (wrong == 0).double().mean().item()
    return dict(lines=len(lines), error=rate, standard_error=spread, nats=nats / sizes.sum().item(), exact=exact)


def searched(model, lines, beam=8):
    """What a search changes, and the character model in it: errors of each way, on the same lines.

    `change` is the error less that of the best path, with a standard error of its own: the lines are the same.
    """
    spelling: Any = softattn.load("prediction")
    ways = {"best path": {}, f"beam {beam}": {"beam": beam}}
    ways[f"beam {beam} and the character model"] = {"beam": beam, "language": spelling}
    rows, first = [], None
    for name, how in ways.items():
        wrong, sizes = wrong_letters(model, lines, **how)
        first = wrong if first is None else first
        rows.append([name, *rate_of(wrong, sizes), *rate_of(wrong - first, sizes), (wrong == 0).double().mean().item()])
        print(f"{name}: {100 * rows[-1][1]:.2f} % of {len(lines)} lines' characters", flush=True)
    columns = ["way", "error", "standard error", "change", "standard error of the change", "lines without an error"]
    return {"lines": len(lines), "columns": columns, "rows": rows}


def mistakes(model, lines):
    """The pairs most often confused (true, read, how often), and what kind of lines the ten worst are."""
    pairs, rates = collections.Counter(), []
    for got, line in zip(read_lines(model, lines), lines, strict=True):
        pairs.update(pair for pair in aligned(line.text, got.text) if pair[0] != pair[1])
        rates.append(edit_distance(got.text, line.text) / len(line.text))
    worst = sorted(range(len(lines)), key=lambda i: -rates[i])[:10]
    shown = [[a or "(nothing)", b or "(nothing)", n] for (a, b), n in pairs.most_common(40)]
    return shown, [{"error": round(rates[i], 2), "kind": kind_of(lines[i])} for i in worst]


def aligned(true, read):
    """Pairs of characters, "" where one has none, of a cheapest alignment."""
    return [(true[i] if i >= 0 else "", read[j] if j >= 0 else "") for i, j in laid_beside(true, read)]


def kind_of(line):
    """What sort of line it is, in words, without its text."""
    letters = [c for c in line.text if c.isalpha()]
    strokes = float(line.offsets[:, 2].sum()) / len(line.text)
    tokens = len(pen_tokens(line).x) / len(line.text)
    words = ["capitals" if letters and sum(c.isupper() for c in letters) > 0.6 * len(letters) else "small letters"]
    words.append("joined" if strokes < 0.6 else "print" if strokes > 1.1 else "half joined")
    if len(letters) < 0.6 * len(line.text.replace(" ", "")):
        words.append("many figures and marks")
    if tokens < 2.5:
        words.append("little ink for its text")
    elif tokens > 6:
        words.append("much ink for its text")
    return ", ".join([*words, f"{len(line.text)} characters"])


def commands(args, tested):
    """What was called, behind what was called for the weights that it went on from."""
    calls = "python -m recipes.reading" + " --resume" * args.resume + " --free" * args.free
    calls += f" --rate {args.rate:g}" * (args.rate != RATE)
    calls += f" --spliced {args.spliced} --traps {args.traps}" * bool(args.spliced or args.traps)
    last = ("--finish" if tested else "--land") + f" --keep {args.keep:g}" * bool(args.keep)
    calls += f" (in as many calls as liked), then --cool and {last}"
    before: Any = softattn.load(args.out.stem).card["command"] if args.resume else ""
    return f"{before}; then {calls}" if before else calls


def land(run, args, val1, test=None):
    """Score the averaged weights as they are stored, and write them with their card."""
    model, facts = run.averaged(), run.facts
    if args.keep:
        blend(model, softattn.load(args.out.stem), args.keep)
    half = {k: v.to(torch.bfloat16).float() for k, v in model.state_dict().items()}
    model.load_state_dict(half)
    found = figures(model, val1)
    pairs, worst = mistakes(model, val1)
    split = f"{FREE} lines in hands that it was not trained on" if args.free else "val1, all lines"
    before = facts.get("before", {"steps": 0, "points": 0, "minutes": 0.0, "rows": []})
    rows = [[row[0] + before["steps"], *row[1:-1], row[-1] + before["minutes"]] for row in facts["curve"]]
    told: dict[str, Any] = {"val1": found}
    if not args.free:
        told["spliced"] = figures(model, unguessed(val1))
    if test is not None:
        told["test"] = figures(model, test)
    card = {
        "class": "softattn.reading.HandwritingReader",
        "config": run.config,
        "summary": f"reads lines of handwriting: {args.layers} bidirectional LSTM layers of {args.hidden}, CTC",
        "data": "the embedded writer alone" if args.free else "IAM-OnDB, train and val2, and new lines of the embedded "
        "writer in each epoch, in the last ones spliced and misspelt ones; val1 gives the figures; the test lines "
        "were never trained on"
        + ("" if test is not None else ", and are not scored yet: the training is not finished"),
        "licence": "MIT" if args.free else "trained on IAM-OnDB, for non-commercial research",
        "non_commercial": not args.free,
        "command": commands(args, test is not None),
        "commit": commit(),
        **run.begun(),
        "steps": before["steps"] + facts["updates"],
        "points": before["points"] + facts["points"],
        "minutes": round(before["minutes"] + facts["seconds"] / 60, 1),
        "machine": machine(args, run) + ", beside other work; minutes of processor time",
        "seed": args.seed,
        "finished": test is not None,
        "metric": {"name": "wrong characters, %", "value": round(100 * found["error"], 2), "split": split},
        "paper": "11.5 % on the test set, LSTMs and CTC (Graves et al. 2009, recalled); 5.9 % (Carbune et al. 2020)",
        **told,
        "proof": proof_figures(*proof_rows(model, val1)),
        **({} if args.free else {"doubt": doubted(model, val1), "val1_part": searched(model, val1[::10])}),
        "confusions": pairs,
        "worst": worst,
        "curve": {
            "columns": ["updates", "train nats per character", "part of val1, error", "nats per character", "minutes"],
            "rows": before["rows"] + rows,
        },
    }  # fmt: skip
    save_weights(args.out, model.state_dict(), card, dtype=torch.bfloat16)
    print(json.dumps(told, indent=2))


def score(args, val1):
    """The weights that ship, on val1; into their card: what a beam and the character model change on a tenth of it."""
    model: Any = softattn.load(args.out.stem)
    print(json.dumps(figures(model, val1), indent=2), flush=True)
    set_in_card(args, "val1_part", lambda model: searched(model, val1[::10]))


def doubted(model, val1):
    """How sure the reader is of ink that says nothing, beside all lines of val1 and words cut from some of them."""
    order = np.random.default_rng(3).permutation(len(val1))
    some = [val1[i] for i in order[: doubt.COUNT]]
    with evaluating(model):
        words = [word for line in some for word in cut(model, line, most=1)][: doubt.COUNT]
    return doubt.doubt_figures(model, val1, {"people's words": words, **doubt.strange_ink(some)})


def set_in_card(args, key, measure):
    """Figures of the weights that ship, put into their card."""
    model: Any = softattn.load(args.out.stem)
    model.card.pop(key, None)  # what it holds is to be set
    filled = ("format", "sha256", "bytes", "dtype", "parameters")
    card = {name: value for name, value in model.card.items() if name not in filled}
    card[key] = measure(model)
    print(json.dumps({name: value for name, value in card[key].items() if name != "rules"}, indent=2))
    save_weights(args.out, model.state_dict(), card, dtype=torch.bfloat16)


WORDS = {"content": ("content", False), "location": ("location", False), "joint": ("location", True)}


def train_words(args, steps=1600):
    """The small readers of the chapter: the same lessons for each."""
    lessons = [word_batch([line]) for line in made_words(2000, 3, 6, 1)]
    pad = nn.utils.rnn.pad_sequence
    for name, (attention, ctc) in WORDS.items():
        torch.manual_seed(args.seed)
        model, draw, begin = WordReader(attention, ctc), torch.Generator().manual_seed(args.seed), time.process_time()
        optimizer = torch.optim.Adam(model.parameters(), 3e-3)
        for k in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = 3e-3 * min(1, (k + 1) / 50) * min(1, 3 * (steps - k) / steps)
            rows = [lessons[i] for i in torch.randint(len(lessons), (32,), generator=draw).tolist()]
            xs, lengths, codes, sizes = zip(*rows, strict=True)
            batch = (
                pad([x[:, 0] for x in xs]), torch.cat(lengths), pad([c[0] for c in codes], True), torch.cat(sizes)
            )  # fmt: skip
            loss = word_loss(model, batch)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        print(f"{name}: {loss.item():.3f} nats a letter", flush=True)
        land_words(args, name, model, steps, time.process_time() - begin)


def land_words(args, name, model, steps, seconds):
    """Score one of the small readers on words that it has not seen, and write it."""
    attention, ctc = WORDS[name]
    with torch.no_grad():
        unseen = word_loss(model, word_batch(made_words(200, 3, 6, 2))).item()
    how = {"content": "additive attention", "location": "attention that knows its place"}[attention or ""]
    card = {
        "class": "softattn.reading.WordReader",
        "config": {"attention": attention, "ctc": ctc},
        "summary": f"reads short words of the embedded writer by {how}{' and CTC' if ctc else ''}",
        "data": "2000 words of 3 to 6 letters by the embedded writer",
        "licence": "MIT",
        "command": "python -m recipes.reading --words",
        "commit": commit(),
        "steps": steps,
        "minutes": round(seconds / 60, 1),
        "machine": machine(args),
        "seed": args.seed,
        "metric": {"name": "loss in nats a letter", "value": round(unseen, 4), "split": "200 other words"},
        "paper": "none; the task is a toy of the chapter",
    }
    save_weights(WEIGHTS / f"words-{name}.safetensors", model.state_dict(), card, dtype=torch.bfloat16)


def main():
    parser = options(__doc__, "reading")
    parser.add_argument("--cool", type=int, help="updates in which the rate falls to 0")
    parser.add_argument("--land", action="store_true", help="write weights and card of the average so far")
    parser.add_argument("--finish", action="store_true", help="the same, and score the test lines, once")
    parser.add_argument("--score", action="store_true", help="score the weights that ship on val1")
    parser.add_argument("--every", type=int, default=1, help="with --score, --proof, --doubt: every so manieth line")
    parser.add_argument("--proof", action="store_true", help="set the proofreader's limit of the weights that ship")
    parser.add_argument("--doubt", action="store_true", help="measure how sure they are of ink that says nothing")
    parser.add_argument("--free", action="store_true", help="train on the embedded writer alone")
    parser.add_argument("--words", action="store_true", help="train the chapter's small readers")
    parser.add_argument("--hidden", type=int, default=160)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--rate", type=float, default=RATE)
    parser.add_argument("--embedded", type=int, default=EMBEDDED, help="lines of the embedded writer per epoch")
    parser.add_argument("--spliced", type=int, default=0, help="lines per epoch, spliced from parts of the corpus'")
    parser.add_argument("--traps", type=int, default=0, help="lines per epoch of the embedded writer, misspelt")
    add_keep(parser)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.out = args.out or WEIGHTS / f"reading{'-free' if args.free else ''}.safetensors"
    if args.words:
        return train_words(args)
    val1 = [embedded_line(np.random.default_rng([999, i]), False) for i in range(FREE)]
    if not args.free:
        val1 = usable(load_iam(split="val1")[0])
    val1_part = val1[:: args.every]
    if args.score:
        return score(args, val1_part)
    if args.proof:
        return set_in_card(args, "proof", lambda model: proof_figures(*proof_rows(model, val1_part)))
    if args.doubt:
        return set_in_card(args, "doubt", lambda model: doubted(model, val1_part))
    corpus = []
    for split in () if args.free or args.land or args.finish else ("train", "val2"):
        part, told = load_iam(split=split, clean=True)
        print(str(told).splitlines()[0], flush=True)
        corpus += usable(part)
    name = f"{'free-' if args.free else ''}layers{args.layers}-hidden{args.hidden}-seed{args.seed}"
    stable, cooled = args.state / f"{name}.pt", args.state / f"{name}-cooled.pt"
    path = cooled if args.cool or (args.land or args.finish) and cooled.exists() else stable
    config = dict(hidden_size=args.hidden, num_layers=args.layers)
    run = ReaderRun(config, args, corpus, val1 if args.free else val1[::10])
    run.take_up(path if path.exists() else stable, args.out.stem)
    if args.land or args.finish:
        return land(run, args, val1, usable(load_iam(split="test")[0]) if args.finish and not args.free else None)
    run.plan(args.cool)
    train(run, path, args.minutes, run.over, save_seconds=args.save_seconds, clock=time.process_time)


if __name__ == "__main__":
    main()

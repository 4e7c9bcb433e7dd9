# Generated from book/proofreading.md by tools/export.py. Edit the chapter, not this file.
"""Proofreading: the pen reads what it wrote.

A pen that reads what it wrote, and writes it again.

The chapter book/proofreading.md builds this module and explains each line.
"""

import math
import warnings
from collections.abc import Iterable
from typing import NamedTuple, overload

import numpy as np
import torch
from torch import Tensor

from softattn.decoding import spikes
from softattn.handwriting import evaluating, lines_of
from softattn.hub import instance
from softattn.page import Handwriting
from softattn.reading import HandwritingReader, Reading, codes_of, ctc_batch
from softattn.strokes import Strokes
from softattn.synthesis import (
    BATCH,
    TRIES,
    Draft,
    Faults,
    Model,
    _give_up,
    faults,
    judged_by,
    sample_lines,
    write_checked,
)
from softattn.trace import first_points, ink_of

__all__ = ["LEGIBLE", "Proof", "Reader", "legible", "proofread", "write"]


# -- Signs that look alike --
ALIKE = (
    "0Oo",
    "1Il|",
    "cC",
    "kK",
    "pP",
    "sS",
    "uU",
    "vV",
    "wW",
    "xX",
    "yY",
    "zZ",
    "'`",
)  # of each, people's hands make one shape


def same_sign(text: str) -> str:
    """A text with one sign, the first, for all that look alike."""
    first = {c: group[0] for group in ALIKE for c in group}
    return "".join(first.get(c, c) for c in text)


def folded(log_p: Tensor, alphabet: str) -> tuple[Tensor, Tensor]:
    """Add up the votes of signs that look alike.

    Args: log_p: log probabilities, (T, O), of the blank and `alphabet`.
    Returns: log probabilities (T, fewer), float64, and for each of the O
        outputs the one that it was added to, (O,).
    """
    signs = same_sign(alphabet)
    kept = dict.fromkeys(signs)  # each once, in order
    number = {c: n for n, c in enumerate(kept, 1)}
    to = torch.tensor([0, *(number[c] for c in signs)])
    votes = torch.zeros(len(log_p), 1 + len(kept), dtype=torch.float64)
    votes.index_add_(1, to, log_p.double().exp())
    return votes.clamp(min=1e-300).log(), to


# -- What was asked against what was read --
class Proof(NamedTuple):
    """What a reader makes of a line of which one knows what it should say.

    Args:
        text: what it should say.
        read: what was read; of signs that look alike, the one asked for.
        errors: edits from one to the other.
        nats: -log p(text | ink), alike signs counted as one.
        excess: the same less that of what was read; the text is in doubt
            where it is above `limit`.
        limit: the excess that is allowed.
        confidence: 0 to 1, in what was read, as that of a `Reading`; of a
            row of dots, whose strokes are counted, 0 or 1.
        doubts: for each edit the place in the text, the characters that
            should be there and those that were read.
    """

    text: str
    read: str
    errors: int
    nats: float
    excess: float
    limit: float
    confidence: float
    doubts: tuple[tuple[int, str, str], ...]

    @property
    def ok(self) -> bool:
        """Whether the line may pass for its text."""
        return self.errors == 0 or self.excess <= self.limit

    def __str__(self) -> str:
        if not self.doubts:
            return "nothing is in doubt"
        named = []
        for place, asked, seen in self.doubts:
            now = f"reads as {seen!r}" if seen else "is missing"
            what = f"{asked!r} (character {place}) {now}"
            named.append(what if asked else f"{seen!r} stands before character {place}")
        return ", ".join(named[:5]) + ", ..." * (len(named) > 5)


# -- What was asked against what was read --
def laid_beside(asked: str, read: str) -> list[tuple[int, int]]:
    """Places (in asked, in read) of a cheapest alignment, -1 for none."""
    cost = np.zeros((len(asked) + 1, len(read) + 1), int)
    cost[:, 0], cost[0] = range(len(asked) + 1), range(len(read) + 1)
    for i, a in enumerate(asked, 1):
        for j, b in enumerate(read, 1):
            step = cost[i - 1, j - 1] + (a != b)
            cost[i, j] = min(step, cost[i - 1, j] + 1, cost[i, j - 1] + 1)
    i, j, pairs = len(asked), len(read), []
    while i or j:
        wrong = i and j and asked[i - 1] != read[j - 1]
        if i and j and cost[i, j] == cost[i - 1, j - 1] + wrong:
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif i and cost[i, j] == cost[i - 1, j] + 1:
            i -= 1
            pairs.append((i, -1))
        else:
            j -= 1
            pairs.append((-1, j))
    return pairs[::-1]


# -- What was asked against what was read --
def compared(text: str, read: str) -> tuple[str, tuple]:
    """What was read, in the text's own signs; and the doubts of a `Proof`."""
    one, two = same_sign(text), same_sign(read)
    shown, doubts, place = "", [], 0
    for i, j in laid_beside(one, two):
        match = i >= 0 and j >= 0 and one[i] == two[j]
        asked, seen = text[i] if i >= 0 else "", read[j] if j >= 0 else ""
        shown += asked if match else seen
        if not match:
            doubts.append((place, asked, seen))
        place += i >= 0
    return shown, tuple(doubts)


# -- Dots have no height --
DOT = 0.8, 0.4  # a dot is smaller, by the way to the next; with spaces
LEVEL = 0.65  # a step's rise or fall is less, by its way along


def only_dots(text: str) -> bool:
    """Whether a text is a row of dots, two at least, spaces left out."""
    return set(text) <= set(". ") and text.count(".") > 1


def are_dots(line: Strokes) -> list[bool]:
    """Whether each stroke is a dot, and lies along the row."""
    xy, stroke = ink_of(line)
    starts = first_points(stroke)
    low, high = (f.reduceat(xy, starts) for f in (np.minimum, np.maximum))
    step = np.diff((low + high) / 2, axis=0)  # (S - 1, 2)
    apart = np.median(np.hypot(*step.T)) if len(step) else 0.0
    spaced = line.text.count(" ") + 1 >= line.text.count(".")
    small = np.hypot(*(high - low).T) < DOT[spaced] * apart
    along = np.append(True, LEVEL * step[:, 0] > np.abs(step[:, 1]))
    return (small & along).tolist()


def row_of_dots(line: Strokes, letters: dict[int, str]) -> str:
    """A row as a text; `letters`: what was read in each stroke."""
    dots = are_dots(line)
    signs = "".join("." if dot else letters.get(s, "").strip(". ") or "?" for s, dot in enumerate(dots))
    return line.text if signs == line.text.replace(" ", "") else signs


# -- Dots have no height --
LIMIT = 3.0, 0.2, 4.0, 0.15  # where a card tells no other


def limit_of(reader: HandwritingReader, text: str, seen: float) -> float:
    """The excess that is allowed, as the reader's card says.

    So many nats, and more for each character, and for each nat of doubt
    (`seen`) that the reader has in what it reads, up to a most a character.
    """
    card: dict = getattr(reader, "card", {})
    base, letter, nat, most = card.get("proof", {}).get("limit", LIMIT)
    return base + letter * len(text) + nat * min(seen, most * len(text))


# -- Dots have no height --
@torch.no_grad()
def proof_of(reader: HandwritingReader, line: Strokes) -> Proof:
    """Read one line and hold it against its text."""
    x, point = reader.tokens(line)
    x, length = x.to(reader.output.weight.device), torch.tensor([len(x)])
    log_p = reader(x[:, None], length.to(x.device))[:, 0].cpu()
    votes, to = folded(log_p, reader.alphabet)
    rows, signs = spikes(votes.argmax(-1)), torch.arange(len(to))
    best = [max(signs[to == k].tolist(), key=log_p[t].tolist().__getitem__) for k, t in rows]
    read = "".join(reader.alphabet[k - 1] for k in best)
    codes = [to[codes_of(text, reader.alphabet)] for text in (line.text, read)]
    nats = ctc_batch(votes[:, None].expand(-1, 2, -1), length.expand(2), codes)
    asked, seen = nats.tolist()
    if only_dots(line.text):
        return proof_of_dots(line, read, [int(point[t]) for _, t in rows], asked)
    shown, doubts = compared(line.text, read)
    sure = math.exp(-seen / (len(read) + 1))
    limit = limit_of(reader, line.text, seen)
    return Proof(line.text, shown, len(doubts), asked, asked - seen, limit, sure, doubts)


# -- Dots have no height --
def proof_of_dots(line: Strokes, read: str, places, nats: float) -> Proof:
    """Count a row of dots; one wrong stroke is too many."""
    stroke, letters = ink_of(line)[1], {}
    for letter, place in zip(read, places, strict=True):
        s = int(stroke[place])
        letters[s] = letters.get(s, "") + letter
    shown, doubts = compared(line.text, row_of_dots(line, letters))
    excess = math.inf if doubts else 0.0
    return Proof(line.text, shown, len(doubts), nats, excess, 0.0, float(not doubts), doubts)


# -- Dots have no height --
def proofread(lines: Iterable[Strokes], reader: HandwritingReader | str = "reading") -> list[Proof]:
    """Read lines, and hold each against the text that it should say.

    Args:
        lines: strokes with their texts, one line each, of any unit or rate.
        reader: who reads; or the name of weights.

    Returns:
        A Proof for each line.

    Raises:
        TypeError, ValueError: for no lines, for lines that have no text, or
            one that the reader does not know.
    """
    lines = lines_of(lines, "proofread")
    if not lines:
        raise ValueError("proofread: no line came; give one at least")
    reader = choose_reader("proofread", reader)
    for n, line in enumerate(lines):
        if not line.text:
            raise ValueError(f"proofread: line {n} has no text; give each the text that it should say")
        codes_of(line.text, reader.alphabet)
    with evaluating(reader):
        return [proof_of(reader, line) for line in lines]


# -- Dots have no height --
def choose_reader(who: str, reader, writer=None) -> HandwritingReader:
    """Load a reader by name; None: one under terms like the writer's."""
    from softattn.hub import load, weights

    if reader is None:
        terms = getattr(writer, "card", {"non_commercial": True})
        free = not terms.get("non_commercial", False)
        free = free and "reading-free" in weights()
        reader = "reading-free" if free else "reading"
    if isinstance(reader, str):
        reader = load(reader)
    return instance(who, "reader", reader, HandwritingReader)


# -- How strict? --
LEGIBLE = 0.8  # a confidence, where a card tells no other


def legible(found: Reading, reader: HandwritingReader) -> bool:
    """Whether a reader is as sure of a line as it mostly is of people's.

    It tells ink with letters from ink without, not sense from nonsense.

    Args: found: what was read; reader: who read it.

    Returns: whether there is text, as sure as all but one in twenty of
    people's lines are read; the bar is in the reader's card.

    Raises: TypeError for other types.
    """
    found = instance("legible", "found", found, Reading)
    reader = instance("legible", "reader", reader, HandwritingReader)
    card: dict = getattr(reader, "card", {})
    bar = card.get("doubt", {}).get("bar", LEGIBLE)
    return bool(found.text) and found.confidence >= bar


# -- Draw again --
SURE, SHORT, LONGER = 0.02, 16, 0.02  # nats; for each sign beyond 16


def sure_of(text: str) -> float:
    """The nats that a text may cost, and leave its reader hardly a doubt."""
    return SURE + LONGER * max(0, len(text) - SHORT)


class Verdict(NamedTuple):
    """What the window and the reader say of a draft; best by `key`."""

    window: Faults
    ink: Proof

    @property
    def ok(self) -> bool:
        return self.window.ok and self.ink.ok

    @property
    def key(self) -> tuple[bool, int, float]:
        return not self.ok, self.ink.errors, self.ink.nats

    @property
    def sure(self) -> bool:
        """Whether no other draft need be drawn beside it."""
        text, nats = self.ink.text, self.ink.nats
        clear = nats <= sure_of(text) or only_dots(text)
        return self.ok and not self.ink.errors and clear

    def __str__(self) -> str:
        found = [str(self.ink)] if self.ink.doubts else []
        return "; ".join(found + [str(self.window)] * bool(self.window))


# -- Draw again --
PATIENCE = 4  # attempts, before the best that passes is good enough
FEW, ABREAST = 8, 3  # where so few lines wait, so many attempts at once


def next_attempts(waiting, tried) -> tuple[list, list]:
    """(line, attempt) for at most BATCH drafts, and who goes on waiting."""
    now, later = waiting[:BATCH], waiting[BATCH:]
    abreast = ABREAST if len(waiting) <= FEW else 1
    ends = [min(TRIES, tried[i] + (abreast if tried[i] else 1)) for i in now]
    pairs = zip(now, ends, strict=True)
    return [(i, a) for i, end in pairs for a in range(tried[i], end)], later


def drawn(model, jobs, now, bias) -> dict[int, list[Draft]]:
    """Draw these attempts side by side; the drafts of each line."""
    texts, seeds, primes = zip(*(jobs[i] for i, _ in now), strict=True)
    seeds = [s + 1_000_003 * a for s, (_, a) in zip(seeds, now, strict=True)]
    hands = None if primes[0] is None else primes
    found: dict = {i: [] for i, _ in now}
    lines = sample_lines(model, texts, seeds, bias, hands)
    for (i, _), draft in zip(now, lines, strict=True):
        found[i].append(draft)
    return found


# -- Draw again --
class Proofreader:
    """What accepts lines for `write`, as `accepted_lines` of synthesis does.

    `doubts` holds the verdict on each line that never passed; `drawn` counts
    the drafts, those that nobody looked at as well.
    """

    def __init__(self, reader: HandwritingReader | str | None, strict: bool):
        self.reader, self.strict = reader, strict
        self.doubts: list[Verdict] = []
        self.drawn = 0

    def __call__(self, model, jobs, bias, tell) -> tuple[list, list[int]]:
        """Write (text, seed, prime) until each line is accepted."""
        self.reader = reader = choose_reader("write", self.reader, model)
        lines: list = [None] * len(jobs)
        seen: list[list] = [[] for _ in jobs]
        waiting = sorted(range(len(jobs)), key=lambda i: len(jobs[i][0]))
        while waiting:
            now, waiting = next_attempts(waiting, [*map(len, seen)])
            self.drawn += len(now)
            for i, drafts in drawn(model, jobs, now, bias).items():
                lines[i] = self.judge(model, reader, drafts, seen[i])
                if lines[i] is None:
                    waiting.append(i)
                else:
                    tell(1)
        return lines, [len(pairs) - 1 for pairs in seen]

    def judge(self, model, reader, drafts, seen: list) -> Draft | None:
        """Add (verdict, draft) to `seen`, up to one that ends the search."""
        for draft in drafts:
            with evaluating(reader):
                proof = proof_of(reader, draft.strokes)
            verdict = Verdict(faults(draft, judged_by(model)), proof)
            seen.append((verdict, draft._replace(reading=proof)))
            if verdict.sure:
                return seen[-1][1]
            best = min(seen, key=lambda pair: pair[0].key)
            if best[0].ok and len(seen) >= PATIENCE:
                return best[1]
            if len(seen) == TRIES:
                return self.give_up(*best)
        return None

    def give_up(self, verdict: Verdict, draft: Draft) -> Draft:
        """The best of all attempts, with a doubt; or the error."""
        if self.strict:
            raise _give_up(TRIES, verdict, draft)
        self.doubts.append(verdict)
        return draft

    def warning(self) -> str:
        """What is in doubt, in one sentence; "" if nothing is."""
        rows = [f"{v.ink.text!r}: {v}" for v in self.doubts]
        more = f"; and {len(rows) - 3} more" if len(rows) > 3 else ""
        return (
            (
                f"write: after {TRIES} attempts there are doubts in "
                f"{'; '.join(rows[:3])}{more}; look, or try another seed, "
                "more bias or another style"
            )
            if rows
            else ""
        )


# -- Draw again --
Reader = HandwritingReader | str | None


@overload
def write(
    text: str,
    bias: float = 0.75,
    style: str | None = None,
    prime: Strokes | None = None,
    seed: int | None = None,
    *,
    model: Model = None,
    columns: int = 48,
    progress: bool = False,
    check: bool = True,
    strict: bool = False,
    reader: Reader = None,
) -> Handwriting: ...
@overload
def write(
    text: Iterable[str],
    bias: float = 0.75,
    style: str | None = None,
    prime: Strokes | None = None,
    seed: int | None = None,
    *,
    model: Model = None,
    columns: int = 48,
    progress: bool = False,
    check: bool = True,
    strict: bool = False,
    reader: Reader = None,
) -> list[Handwriting]: ...


# -- Draw again --
def write(
    text: str | Iterable[str],
    bias: float = 0.75,
    style: str | None = None,
    prime: Strokes | None = None,
    seed: int | None = None,
    *,
    model: Model = None,
    columns: int = 48,
    progress: bool = False,
    check: bool = True,
    strict: bool = False,
    reader: Reader = None,
) -> Handwriting | list[Handwriting]:
    """Write a text by hand, read what was written, and mend it.

    A line of which the reader is not sure is drawn again; ten attempts at
    most.

    Args:
        text, bias, style, prime, seed, model, columns, progress: as for
            `softattn.synthesis.write`.
        check: whether a reader looks; False asks the window alone.
        strict: whether a line that never passed is an error; else the best
            is kept, and a warning names the letters in doubt.
        reader: who reads; None takes `reading`, or a free one for a free
            model.

    Returns:
        The handwriting, with `.reading`, `.confidence` and `.redraws`.

    Raises:
        TypeError, ValueError: for what cannot be written.
        WritingError: if all attempts at a line failed, and `strict` or not
            `check`.
    """
    how = bias, style, prime, seed, model, columns, progress
    return write_and_read(text, how, check, strict, reader)


# -- Draw again --
def write_and_read(text, how: tuple, check, strict, reader):
    """What `write` does: judge what is new here, write, warn."""
    if not isinstance(check, bool) or not isinstance(strict, bool):
        raise TypeError(f"write: check is {check!r:.40}, strict {strict!r:.40}; expected True or False")
    if not check:
        if strict or reader is not None:
            raise ValueError("write: strict and reader need check=True")
        return write_checked(text, *how)
    desk = Proofreader(reader, strict)
    pages = write_checked(text, *how, accept=desk)
    if words := desk.warning():
        warnings.warn(words, stacklevel=3)
    return pages

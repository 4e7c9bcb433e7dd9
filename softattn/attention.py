# Generated from book/attention.md by tools/export.py. Edit the chapter, not this file.
"""Attention.

Look at one place, or weigh them all; find the marked digit, align two texts.

The chapter book/attention.md builds this module and explains each line.
"""

import datetime
import math
import string
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = [
    "AdditiveAttention",
    "CellReader",
    "DATE_FORMS",
    "DATE_LETTERS",
    "DATE_SIGNS",
    "DatePairs",
    "DateTranslator",
    "GLYPHS",
    "MONTHS",
    "WAYS",
    "WEEKDAYS",
    "calendar_days",
    "clutter_line",
    "date_batch",
    "date_codes",
    "date_loss",
    "date_pairs",
    "draw_cells",
    "enumerated_loss",
    "exact_share",
    "learn_to_look",
    "read_losses",
    "reinforce_loss",
    "soft_loss",
    "straight_through_loss",
    "written_date",
]


# -- One line of clutter --
GLYPHS = [  # the ten digits, 5 rows of 3 pixels
    "111101101101111",
    "010110010010111",
    "111001111100111",
    "111001111001111",
    "101101111001001",
    "111100111001111",
    "111100111101111",
    "111001001010010",
    "111101111101111",
    "111101111001111",
]


def clutter_line(
    examples: int, cells: int, generator: torch.Generator, noise: float = 0.2
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw lines of cells with one digit each, of which one is marked by a bar.

    Args:
        examples: lines to draw, B.
        cells: cells on each, U.
        generator: everything is drawn from it, on its device.
        noise: standard deviation of what is added to every pixel; ink is 1, paper 0.

    Returns:
        pixels (B, U, 18), a cell's 5 rows of 3 and its bar of 3 below; the place of the mark (B,), int64; the digit
        that is marked (B,), int64.

    Raises:
        ValueError: if there is no example or no cell.
    """
    if examples < 1 or cells < 1:
        raise ValueError(f"clutter_line: examples={examples}, cells={cells}; expected at least 1 of each")
    where = generator.device
    glyphs = torch.tensor([[float(pixel) for pixel in glyph] for glyph in GLYPHS], device=where)  # (10, 15)
    digits = torch.randint(10, (examples, cells), generator=generator, device=where)
    place = torch.randint(cells, (examples,), generator=generator, device=where)
    scrap = torch.randint(6, (examples, cells, 1), generator=generator, device=where)  # 3, 4, 5: no pixel
    bars = (scrap == torch.arange(3, device=where)).float()
    row = torch.arange(examples, device=where)
    bars[row, place] = 1.0
    pixels = torch.cat([glyphs[digits], bars], dim=-1)  # (B, U, 18)
    pixels = pixels + noise * torch.randn(pixels.shape, generator=generator, device=where)
    return pixels, place, digits[row, place]


def draw_cells(pixels: Tensor, columns: int) -> Tensor:
    """Lay the cells of one line out as a picture, row by row, with two blank pixels around each.

    Args:
        pixels: one line, shape (U, 18).
        columns: cells in a row of the picture; U is a multiple of it.

    Returns:
        The picture, shape (8 U / columns, 6 columns): a cell is 6 pixels wide and 8 high.

    Raises:
        ValueError: if the cells do not fill the rows.
    """
    if pixels.dim() != 2 or pixels.shape[1] != 18 or columns < 1 or len(pixels) % columns:
        raise ValueError(
            f"draw_cells: pixels {tuple(pixels.shape)} in {columns} columns; "
            "expected (U, 18), U a multiple of the columns"
        )
    cells = torch.nn.functional.pad(pixels.view(-1, 6, 3), (1, 2, 1, 1))  # (U, 8, 6)
    return cells.view(-1, columns, 8, 6).transpose(1, 2).reshape(-1, columns * 6)


# -- One line of clutter --
class CellReader(nn.Module):
    """Two linear maps: one weighs the cells of a line, the other reads a digit from one cell's pixels.

    Args:
        pixels: numbers in a cell, D.
        classes: digits to tell apart.

    Source: a toy of this chapter; slides 4-6.
    """

    def __init__(self, pixels: int = 18, classes: int = 10):
        super().__init__()
        self.where = nn.Linear(pixels, 1, bias=False)
        self.what = nn.Linear(pixels, classes)
        nn.init.zeros_(self.where.weight)  # all cells alike at the start

    def forward(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        """Weigh the cells, and read their weighted sum.

        Args:
            cells: shape (B, U, D).

        Returns:
            log of the weights, shape (B, U); scores of the digits read from the sum, shape (B, classes).

        Raises:
            ValueError: if the shape does not fit.
        """
        if cells.dim() != 3 or cells.shape[2] != self.where.in_features:
            raise ValueError(
                f"CellReader: cells have shape {tuple(cells.shape)}, expected (B, U, {self.where.in_features})"
            )
        log_p = torch.log_softmax(self.where(cells).squeeze(-1), dim=1)  # (B, U)
        return log_p, self.what((log_p.exp()[..., None] * cells).sum(1))  # soft: one blended cell


def read_losses(reader: CellReader, values: Tensor, digit: Tensor) -> Tensor:
    """The loss of reading the digit from each of several values.

    Args:
        reader: its `what` is used.
        values: what is read, shape (B, K, D): cells, or blends of them.
        digit: the right answers, shape (B,), int64.

    Returns:
        Cross-entropy in nats, shape (B, K).

    Source: the toy of this chapter; slides 4-6.
    """
    log_q = torch.log_softmax(reader.what(values), dim=-1)  # (B, K, 10)
    return -log_q.gather(-1, digit[:, None, None].expand(-1, values.shape[1], 1)).squeeze(-1)


# -- Pick one, or weigh all --
def enumerated_loss(reader: CellReader, cells: Tensor, digit: Tensor) -> Tensor:
    """Hard attention without luck: the mean loss over all cells that might be picked; reads every one.

    Args:
        reader: the network.
        cells: shape (B, U, D).
        digit: shape (B,), int64.

    Returns:
        The mean over the batch in nats, a scalar.

    Source: the mean that Williams (1992) estimates; slides 4-6.
    """
    log_p, _ = reader(cells)
    return (log_p.exp() * read_losses(reader, cells, digit)).sum(1).mean()


def soft_loss(reader: CellReader, cells: Tensor, digit: Tensor) -> Tensor:
    """Soft attention: the loss of reading the weighted sum of the cells, once.

    Args:
        reader: the network.
        cells: shape (B, U, D).
        digit: shape (B,), int64.

    Returns:
        The mean over the batch in nats, a scalar.

    Source: Xu et al. (2015), section 4.2: the expected value is read; slides 4-6.
    """
    _, logits = reader(cells)
    return F.cross_entropy(logits, digit)


# -- The gradient of a gamble --
def _draw(reader: CellReader, cells: Tensor, draws: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Log weights (B, U), and K = `draws` places (B, K) drawn from them on the generator's device."""
    log_p, _ = reader(cells)
    p = log_p.detach().exp().to(generator.device)
    return log_p, torch.multinomial(p, draws, replacement=True, generator=generator).to(cells.device)


def reinforce_loss(
    reader: CellReader,
    cells: Tensor,
    digit: Tensor,
    generator: torch.Generator,
    draws: int = 1,
    baseline: float | str = 0.0,
) -> tuple[Tensor, float]:
    """A scalar whose gradient is REINFORCE's estimate of that of `enumerated_loss`; its value means nothing.

    Args:
        reader: the network.
        cells: shape (B, U, D).
        digit: shape (B,), int64.
        generator: draws the places.
        draws: cells read on each line, K.
        baseline: a number, in nats, or "others": each draw is judged by the mean of the other draws of its line.

    Returns:
        The scalar, and the mean loss of the cells that were read, in nats.

    Raises:
        ValueError: if the baseline is another word, or there are no others to judge by.

    Source: Williams (1992); "others": Kool, van Hoof and Welling (2019).
    """
    if isinstance(baseline, str) and (baseline != "others" or draws < 2):
        raise ValueError(
            f"reinforce_loss: baseline={baseline!r} with draws={draws}; "
            'expected a number, or "others" with at least 2 draws'
        )
    log_p, place = _draw(reader, cells, draws, generator)
    losses = read_losses(reader, torch.take_along_dim(cells, place[..., None], dim=1), digit)  # (B, K)
    if baseline == "others":
        baseline = (losses.sum(1, keepdim=True) - losses) / (draws - 1)
    credit = (losses - baseline).detach()  # a number, not a path for gradients
    return (credit * log_p.gather(1, place) + losses).mean(), losses.mean().item()  # where, and what


def straight_through_loss(
    reader: CellReader, cells: Tensor, digit: Tensor, generator: torch.Generator, draws: int = 1
) -> Tensor:
    """The loss of picked cells, with a gradient that takes the pick for a blend; biased.

    Args:
        reader: the network.
        cells: shape (B, U, D).
        digit: shape (B,), int64.
        generator: draws the places.
        draws: cells read on each line, K.

    Returns:
        The mean loss in nats, a scalar.

    Source: Bengio, Leonard and Courville (2013).
    """
    log_p, place = _draw(reader, cells, draws, generator)
    p = log_p.exp()[:, None]  # (B, 1, U)
    weights = F.one_hot(place, cells.shape[1]).to(p.dtype) + p - p.detach()  # the value of a pick, the slope of p
    return read_losses(reader, weights @ cells, digit).mean()


# -- What each pays --
WAYS = ("enumerated", "soft", "no baseline", "running mean", "the others", "straight-through")


def learn_to_look(
    way: str,
    generator: torch.Generator,
    steps: int = 1500,
    rate: float = 0.03,
    policy_rate: float = 0.003,
    entropy: float = 0.01,
    every: int = 25,
    watch: Callable[[int, CellReader], None] | None = None,
) -> tuple[CellReader, list[tuple[int, float, float, float]]]:
    """Train a CellReader on lines of 16 cells; whatever picks cells picks 64 a step, so that all pay the same.

    Args:
        way: one of WAYS.
        generator: draws the start, the lines and the picks, on the CPU.
        steps: of Adam, on 64 fresh lines each; "the others" takes 16 lines and 4 draws on each.
        rate: of what reads.
        policy_rate: of what looks; slower, because it learns from the other's losses.
        entropy: nats of loss given back for each nat of entropy of the weights.
        every: steps between two rows of the curve.
        watch: called as watch(step, reader) before each step and at the end.

    Returns:
        The reader, and the curve, measured on 500 other lines: rows of the step, the mean weight of the marked cell,
        the share of digits right when one cell is picked by its weight, and when the weighted sum is read.

    Raises:
        ValueError: if the way is unknown.
    """
    if way not in WAYS:
        raise ValueError(f"learn_to_look: way {way!r} is unknown, expected one of {', '.join(WAYS)}")
    reader = CellReader()
    with torch.no_grad():
        reader.what.weight.normal_(0, 0.1, generator=generator)
        reader.what.bias.zero_()
    parts = [(reader.what, rate), (reader.where, policy_rate)]
    optimizer = torch.optim.Adam([{"params": part.parameters(), "lr": lr} for part, lr in parts])
    other, place, answer = clutter_line(500, 16, torch.Generator().manual_seed(1_000_000))
    mean, curve = math.log(10), []
    for step in range(steps + 1):
        if watch is not None:
            watch(step, reader)
        if step % every == 0:
            with torch.no_grad():
                log_p, blend = reader(other)
                right = (reader.what(other).argmax(-1) == answer[:, None]).float()  # (500, U)
                found = log_p.exp().gather(1, place[:, None]).mean().item()
                picked = (log_p.exp() * right).sum(1).mean().item()
                curve.append((step, found, picked, (blend.argmax(-1) == answer).float().mean().item()))
        if step == steps:
            return reader, curve
        cells, _, digit = clutter_line(16 if way == "the others" else 64, 16, generator)  # the place stays secret
        if way == "enumerated":
            loss = enumerated_loss(reader, cells, digit)
        elif way == "soft":
            loss = soft_loss(reader, cells, digit)
        elif way == "straight-through":
            loss = straight_through_loss(reader, cells, digit, generator)
        elif way == "the others":
            loss, _ = reinforce_loss(reader, cells, digit, generator, draws=4, baseline="others")
        else:
            loss, now = reinforce_loss(reader, cells, digit, generator, 1, mean if way == "running mean" else 0.0)
            mean += 0.05 * (now - mean)
        log_p, _ = reader(cells)
        loss = loss + entropy * (log_p.exp() * log_p).sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


# -- Alignment without a dictionary --
MONTHS = "January February March April May June July August September October November December".split()
WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
DATE_FORMS = (  # a month is always a word and a year has four digits: nobody can take one for the other
    "{day} {month} {year}",
    "{day} {mon} {year}",
    "{nth} {month} {year}",
    "the {nth} of {month}, {year}",
    "{weekday}, {day} {month} {year}",
    "{weekday} the {nth} of {month} {year}",
    "{month} {day}, {year}",
    "{mon} {day} {year}",
    "{month} the {nth}, {year}",
    "{year} {month} {day}",
    "{year}, {month} the {nth}",
    "in {year} on the {nth} of {mon}",
)


def written_date(day: datetime.date, form: int) -> tuple[str, dict[str, tuple[int, int]]]:
    """Write a date in words and figures.

    Args:
        day: the calendar day.
        form: the index of one of DATE_FORMS.

    Returns:
        The text, and the characters [start, end) of it that hold the "day", "month", "year" and, where there is one,
        "weekday".

    Raises:
        ValueError: if there is no such form.
    """
    if not 0 <= form < len(DATE_FORMS):
        raise ValueError(f"written_date: form {form} does not exist, expected 0 to {len(DATE_FORMS) - 1}")
    ending = {1: "st", 2: "nd", 3: "rd"}.get(day.day % 10 if day.day // 10 != 1 else 0, "th")
    words = {
        "day": f"{day.day}",
        "nth": f"{day.day}{ending}",
        "month": MONTHS[day.month - 1],
        "mon": MONTHS[day.month - 1][:3],
        "year": f"{day.year}",
        "weekday": WEEKDAYS[day.weekday()],
    }
    text, spans = "", {}
    for before, name, _, _ in string.Formatter().parse(DATE_FORMS[form]):
        text += before
        if name:
            part = {"nth": "day", "mon": "month"}.get(name, name)
            spans[part] = (len(text), len(text) + len(words[name]))
            text += words[name]
    return text, spans


def calendar_days(held_out: bool) -> Tensor:
    """The days of 1900 to 2099, of which one in five is held out and written in no form in training.

    Args:
        held_out: which part.

    Returns:
        Ordinals as of datetime.date.toordinal, int64, in an order mixed once and for all: 14,609 held out, 58,440 not.
    """
    first, last = datetime.date(1900, 1, 1).toordinal(), datetime.date(2099, 12, 31).toordinal()
    order = torch.randperm(last - first + 1, generator=torch.Generator().manual_seed(20))
    cut = len(order) // 5
    return (order[:cut] if held_out else order[cut:]) + first


# -- Alignment without a dictionary --
DATE_LETTERS = "_ ,;" + string.digits + string.ascii_letters  # code 0 is padding
DATE_SIGNS = ".-;" + string.digits  # code 0 ends a translation, and stands before its first sign


def date_codes(texts: Sequence[str], letters: str = DATE_LETTERS) -> Tensor:
    """Codes of some texts, zeros behind the shorter ones.

    Args:
        texts: B texts, none of them empty.
        letters: the alphabet; a code is an index into it.

    Returns:
        shape (B, U), int64, U the length of the longest.

    Raises:
        ValueError: if there is no text, or one is empty or holds another character.
    """
    if isinstance(texts, str):
        raise ValueError(f"date_codes: {texts!r} is one text; expected a list of texts: [{texts!r}]")
    code = {letter: k for k, letter in enumerate(letters)}
    for text in texts:
        strange = sorted(set(text) - set(letters))
        if strange or not text:
            wrong = f"{text!r} holds {strange}" if text else f"text {text!r} is empty"
            raise ValueError(f"date_codes: {wrong}, expected letters of {letters!r}")
    if not texts:
        raise ValueError("date_codes: no texts; expected at least one")
    return nn.utils.rnn.pad_sequence([torch.tensor([code[c] for c in text]) for text in texts], batch_first=True)


class DatePairs(NamedTuple):
    """Lists of dates and their translations.

    Args:
        texts: N lists in words.
        dates: their ISO dates.
        source: codes of the texts, shape (N, U), int64.
        target: codes of the dates with their end, shape (N, T), int64.
        signs: in each translation, its end included, shape (N,), int64.
    """

    texts: list[str]
    dates: list[str]
    source: Tensor
    target: Tensor
    signs: Tensor


def date_pairs(days: Tensor, count: int, length: int, generator: torch.Generator) -> DatePairs:
    """Write lists of dates, each in a form of its own, and translate them.

    Args:
        days: ordinals to choose from.
        count: lists to write, N.
        length: dates in each list.
        generator: chooses days and forms, on the CPU.

    Returns:
        The pairs; dates in a list are joined by "; ", their translations by ";".

    Raises:
        ValueError: if there is nothing to write.
    """
    if count < 1 or length < 1 or len(days) == 0:
        raise ValueError(f"date_pairs: count={count}, length={length}, {len(days)} days; expected at least 1 of each")
    chosen = days[torch.randint(len(days), (count, length), generator=generator)].tolist()
    forms = torch.randint(len(DATE_FORMS), (count, length), generator=generator).tolist()
    texts, dates = [], []
    for row, shapes in zip(chosen, forms, strict=True):
        row = [datetime.date.fromordinal(day) for day in row]
        texts.append("; ".join(written_date(day, form)[0] for day, form in zip(row, shapes, strict=True)))
        dates.append(";".join(day.isoformat() for day in row))
    target = date_codes([date + "." for date in dates], DATE_SIGNS)
    return DatePairs(texts, dates, date_codes(texts), target, torch.tensor([len(date) + 1 for date in dates]))


def date_batch(pairs: DatePairs, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Draw some of the pairs, and cut off the padding that none of them needs.

    Args:
        pairs: to draw from.
        size: how many, B.
        generator: draws them, on the CPU.

    Returns:
        source (B, U), target (B, T), int64, and which signs of the target count (B, T), bool.
    """
    some = torch.randint(len(pairs.signs), (size,), generator=generator)
    source, target, signs = pairs.source[some], pairs.target[some], pairs.signs[some]
    source, target = source[:, : int((source != 0).sum(1).max())], target[:, : int(signs.max())]
    return source, target, torch.arange(target.shape[1]) < signs[:, None]


# -- Attention that compares --
class AdditiveAttention(nn.Module):
    """Compare a query with the keys by a small network, and read the keys' weighted sum.

    Args:
        query_size: numbers in a query, Q.
        key_size: numbers in a key, D.
        hidden_size: hidden units of the comparison.

    Source: Bahdanau, Cho and Bengio (2015), section 3.1 and appendix A.1.2; slide 3.
    """

    def __init__(self, query_size: int, key_size: int, hidden_size: int):
        super().__init__()
        self.query = nn.Linear(query_size, hidden_size)
        self.key = nn.Linear(key_size, hidden_size, bias=False)
        self.score = nn.Linear(hidden_size, 1, bias=False)

    def forward(
        self, query: Tensor, keys: Tensor, mask: Tensor | None = None, projected: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Look once.

        Args:
            query: shape (B, Q).
            keys: shape (B, U, D); finite also where the mask is False, for 0 times infinity is no number.
            mask: shape (B, U), bool, True where there is something to look at; all of it if None.
            projected: `self.key(keys)`, shape (B, U, hidden_size), if the same keys are asked many times.

        Returns:
            context (B, D); weights (B, U), which sum to 1 and are exactly 0 where the mask is False.

        Raises:
            ValueError: if the shapes do not fit, the mask is not bool, or a row of it is False everywhere (the last is
                checked except on the meta device and while compiling).

        Source: Bahdanau, Cho and Bengio (2015), equations 5 and 6.
        """
        Q, D = self.query.in_features, self.key.in_features
        if query.dim() != 2 or query.shape[1] != Q:
            raise ValueError(f"AdditiveAttention: query has shape {tuple(query.shape)}, expected (B, Q) = (B, {Q})")
        if keys.dim() != 3 or keys.shape[0] != len(query) or keys.shape[1] == 0 or keys.shape[2] != D:
            raise ValueError(
                f"AdditiveAttention: keys have shape {tuple(keys.shape)}, "
                f"expected (B, U, D) = ({len(query)}, U, {D}), U > 0"
            )
        if projected is None:
            projected = self.key(keys)  # V h, (B, U, H)
        elif projected.shape != (*keys.shape[:2], self.key.out_features):
            raise ValueError(
                f"AdditiveAttention: projected has shape {tuple(projected.shape)}, "
                f"expected {(*keys.shape[:2], self.key.out_features)}: give key(keys), or leave it out"
            )
        score = self.score(torch.tanh(self.query(query)[:, None] + projected)).squeeze(-1)  # (B, U)
        if mask is not None:
            if mask.shape != score.shape or mask.dtype != torch.bool:
                raise ValueError(
                    f"AdditiveAttention: mask is {tuple(mask.shape)} of {mask.dtype}, "
                    f"expected {tuple(score.shape)} of torch.bool"
                )
            if not (mask.is_meta or torch.compiler.is_compiling()) and not mask.any(1).all():
                row = int((~mask.any(1)).nonzero()[0])
                raise ValueError(f"AdditiveAttention: row {row} of the mask is False everywhere; leave such rows out")
            score = score.masked_fill(~mask, -torch.inf)  # e^-inf is 0, exactly
        weights = torch.softmax(score, dim=1)  # (B, U)
        return torch.bmm(weights[:, None], keys).squeeze(1), weights


# -- A net that reads, a net that writes --
class DateTranslator(nn.Module):
    """Read a text character by character from both ends, and write its ISO dates sign by sign.

    Args:
        attention: look back at every step; without it the writer gets one summary of the text, the same at every step.
        embedding_size: numbers for a character.
        encoder_size: hidden units of each of the two readers.
        decoder_size: hidden units of the writer.
        attention_size: hidden units of the comparison.

    Source: Bahdanau, Cho and Bengio (2015), section 3, with a linear output; without attention Cho et al. (2014).
    """

    def __init__(
        self,
        attention: bool = True,
        embedding_size: int = 32,
        encoder_size: int = 64,
        decoder_size: int = 128,
        attention_size: int = 32,
    ):
        super().__init__()
        D = 2 * encoder_size
        self.embed = nn.Embedding(len(DATE_LETTERS), embedding_size, padding_idx=0)
        self.ahead = nn.GRU(embedding_size, encoder_size, batch_first=True)
        self.back = nn.GRU(embedding_size, encoder_size, batch_first=True)
        self.start = nn.Linear(D, decoder_size)
        self.attend = AdditiveAttention(decoder_size, D, attention_size) if attention else None
        self.signs = nn.Embedding(len(DATE_SIGNS), embedding_size)
        self.cell = nn.GRUCell(embedding_size + D, decoder_size)
        self.out = nn.Linear(decoder_size + D, len(DATE_SIGNS))

    def encode(self, source: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Read a text from both ends; padding changes nothing of what comes out.

        Args:
            source: codes of the texts, shape (B, U), int64; 0 is padding, behind the text only.

        Returns:
            keys (B, U, D); mask (B, U), True where there is a character; summary (B, D), both readers' last states.

        Raises:
            ValueError: if a row is padding throughout (checked except on the meta device and while compiling).

        Source: Bahdanau, Cho and Bengio (2015), section 3.2.
        """
        mask = source != 0
        if not (mask.is_meta or torch.compiler.is_compiling()) and not mask.any(1).all():
            row = int((~mask.any(1)).nonzero()[0])
            raise ValueError(f"DateTranslator: row {row} of the source is padding throughout; leave such rows out")
        length = mask.sum(1, keepdim=True)  # (B, 1)
        u = torch.arange(source.shape[1], device=source.device)
        turn = torch.where(u < length, length - 1 - u, u)[..., None]  # (B, U, 1): the text backwards, padding stays
        x = self.embed(source)
        ahead = self.ahead(x)[0]
        back = torch.take_along_dim(self.back(torch.take_along_dim(x, turn, 1))[0], turn, 1)
        last = torch.take_along_dim(ahead, (length - 1)[..., None], 1)[:, 0]
        return torch.cat([ahead, back], -1), mask, torch.cat([last, back[:, 0]], -1)

    def _step(self, previous, state, keys, mask, projected, summary) -> tuple[Tensor, Tensor, Tensor | None]:
        """One sign: its scores (B, O), the new state, the weights (B, U) or None."""
        context, weights = summary, None
        if self.attend is not None:
            context, weights = self.attend(state, keys, mask, projected)
        state = self.cell(torch.cat([self.signs(previous), context], -1), state)
        return self.out(torch.cat([state, context], -1)), state, weights

    def _begin(self, source: Tensor) -> tuple[Tensor, tuple]:
        """The first state (B, S), and what every step reads of the text."""
        keys, mask, summary = self.encode(source)
        projected = None if self.attend is None else self.attend.key(keys)  # once, not once a step
        return torch.tanh(self.start(summary)), (keys, mask, projected, summary)

    def forward(self, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor | None]:
        """Predict each sign of a translation from the text and the signs before it.

        Args:
            source: codes of the text, shape (B, U), int64; 0 is padding, behind the text only.
            target: codes of the translation, shape (B, T), int64.

        Returns:
            scores of the signs (B, T, O); weights (B, T, U), or None without attention.

        Raises:
            ValueError: if the shapes do not fit, or a row of the source is padding throughout.

        Source: Bahdanau, Cho and Bengio (2015), section 3.1.
        """
        if source.dim() != 2 or target.dim() != 2 or len(source) != len(target) or 0 in (*source.shape, *target.shape):
            raise ValueError(
                f"DateTranslator: source {tuple(source.shape)} and target {tuple(target.shape)}, "
                "expected (B, U) and (B, T)"
            )
        state, text = self._begin(source)
        scores, weights = [], []
        for previous in torch.cat([torch.zeros_like(target[:, :1]), target[:, :-1]], 1).unbind(1):
            score, state, weight = self._step(previous, state, *text)
            scores.append(score)
            weights.append(weight)
        return torch.stack(scores, 1), None if self.attend is None else torch.stack(weights, 1)

    @torch.no_grad()
    def translate(self, texts: Sequence[str], longest: int = 80) -> tuple[list[str], Tensor | None]:
        """Write the likeliest sign at each step, from the network's own signs.

        Args:
            texts: dates in words, such as "the 3rd of May, 2009; 4 June 1987".
            longest: signs after which it stops, finished or not.

        Returns:
            The translations; weights (B, T, U), one row a sign, the end included, or None without attention.

        Raises:
            ValueError: if a text is empty or holds a character that the network does not know, `texts` is one text and
                not a list, or `longest` is below 1.
        """
        if longest < 1:
            raise ValueError(f"DateTranslator: longest is {longest}, expected at least 1 sign")
        source = date_codes(texts).to(self.out.weight.device)
        state, text = self._begin(source)
        sign = source.new_zeros(len(source))
        done, signs, weights = torch.zeros_like(sign, dtype=torch.bool), [], []
        while len(signs) < longest and not done.all():
            score, state, weight = self._step(sign, state, *text)
            sign = score.argmax(-1)
            done = done | (sign == 0)
            signs.append(sign)
            weights.append(weight)
        rows = ["".join(DATE_SIGNS[k] for k in row) for row in torch.stack(signs, 1).tolist()]
        return [row.split(".")[0] for row in rows], None if self.attend is None else torch.stack(weights, 1)


def date_loss(model: DateTranslator, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Mean surprise at the signs of a translation.

    Args:
        model: the network.
        batch: source (B, U), target (B, T), counts (B, T), as `date_batch` draws them.

    Returns:
        Nats per sign, a scalar.

    Source: Bahdanau, Cho and Bengio (2015), section 2.1: minus the log probability, divided by the signs.
    """
    source, target, counts = (part.to(model.out.weight.device) for part in batch)
    return F.cross_entropy(model(source, target)[0][counts], target[counts])


def exact_share(model: DateTranslator, pairs: DatePairs) -> float:
    """The share of lists that are translated without a single wrong sign.

    Args:
        model: the network.
        pairs: texts and their right translations.

    Returns:
        A number from 0 to 1.
    """
    right = 0
    for k in range(0, len(pairs.texts), 250):
        written, _ = model.translate(pairs.texts[k : k + 250], longest=int(pairs.signs.max()) + 2)
        right += sum(a == b for a, b in zip(written, pairs.dates[k : k + 250], strict=True))
    return right / len(pairs.texts)

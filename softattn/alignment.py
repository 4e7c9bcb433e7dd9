# Generated from book/alignment.md by tools/export.py. Edit the chapter, not this file.
"""Alignment: translation with additive attention.

A date in words becomes a date in figures, and the network shows where it looked for each.

The chapter book/alignment.md builds this module and explains each line.
"""

import datetime
import string
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from softattn.hub import instance
from softattn.images import from_chance, told, whole

__all__ = ["AdditiveAttention", "DateTranslator"]


# -- Dates, whose alignment is known --
MONTHS = ("January February March April May June July August September October November December").split()
WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
DATE_FORMS = (  # a month is a word, a year has four digits: no confusion
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


# -- Dates, whose alignment is known --
def _words(day: datetime.date) -> dict[str, str]:
    """What may fill the gaps of DATE_FORMS."""
    teen = day.day // 10 == 1
    end = {1: "st", 2: "nd", 3: "rd"}.get(0 if teen else day.day % 10, "th")
    month = MONTHS[day.month - 1]
    return {
        "day": f"{day.day}",
        "nth": f"{day.day}{end}",
        "month": month,
        "mon": month[:3],
        "year": f"{day.year}",
        "weekday": WEEKDAYS[day.weekday()],
    }


def written_date(day: datetime.date, form: int) -> tuple[str, dict[str, tuple[int, int]]]:
    """Write a date; the text, and [start, end) of "day", "month" ... in it."""
    known = len(DATE_FORMS)
    if not isinstance(day, datetime.date) or form not in range(known):
        raise ValueError(f"written_date: day {told(day)}, form {form!r}; expected a date and 0 to {known - 1}")
    text, spans, words = "", {}, _words(day)
    for before, name, _, _ in string.Formatter().parse(DATE_FORMS[form]):
        text += before
        if name:
            part = {"nth": "day", "mon": "month"}.get(name, name)
            spans[part] = (len(text), len(text) + len(words[name]))
            text += words[name]
    return text, spans


# -- Dates, whose alignment is known --
def calendar_days(held_out: bool) -> Tensor:
    """The days of 1900 to 2099; one in five is held out of every lesson.

    Args:
        held_out: which part.

    Returns:
        Ordinals as of datetime.date.toordinal, int64, in an order mixed
        once and for all: 14,609 held out, 58,440 not.
    """
    first = datetime.date(1900, 1, 1).toordinal()
    count = datetime.date(2100, 1, 1).toordinal() - first
    mix = torch.Generator().manual_seed(20)
    order = torch.randperm(count, generator=mix) + first
    return order[: count // 5] if held_out else order[count // 5 :]


# -- Dates, whose alignment is known --
DATE_LETTERS = "_ ,;" + string.digits + string.ascii_letters  # 0 is padding
DATE_SIGNS = ".-;" + string.digits  # 0 ends a translation, and begins one


def date_codes(texts: Sequence[str], letters: str = DATE_LETTERS) -> Tensor:
    """Codes of B texts, indices into `letters`, zeros behind: (B, U)."""
    if isinstance(texts, str) or not isinstance(texts, Sequence):
        raise ValueError(
            f'date_codes: {told(texts)} is no list of texts; expected such as ["3 May 2009", "4 June 1987"]'
        )
    for text in texts:
        strange = not isinstance(text, str) or sorted(set(text) - set(letters))
        if strange or not text:
            raise ValueError(
                f"date_codes: text {text!r:.60} is empty or holds what cannot be read, expected letters of {letters!r}"
            )
    if not texts:
        raise ValueError("date_codes: no texts; expected at least one")
    rows = [torch.tensor([letters.index(c) for c in text]) for text in texts]
    return nn.utils.rnn.pad_sequence(rows, batch_first=True)


# -- Dates, whose alignment is known --
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


# -- Dates, whose alignment is known --
def date_pairs(days: Tensor, count: int, length: int, generator: torch.Generator) -> DatePairs:
    """Write lists of dates, each in a form of its own, and translate them.

    Args:
        days: ordinals to choose from, int64.
        count: lists to write, N. length: dates in each list.
        generator: chooses days and forms, on the CPU.

    Returns:
        The pairs: dates joined by "; ", their translations by ";".

    Raises:
        ValueError: if there is nothing to write, or a day is no ordinal.
    """
    _check_days(days, count, length)
    from_chance("date_pairs", generator)
    shape, known = (count, length), len(DATE_FORMS)
    index = torch.randint(len(days), shape, generator=generator)
    forms = torch.randint(known, shape, generator=generator).tolist()
    texts, dates = [], []
    for ordinals, shapes in zip(days[index].tolist(), forms, strict=True):
        row = [datetime.date.fromordinal(day) for day in ordinals]
        words = [written_date(*p)[0] for p in zip(row, shapes, strict=True)]
        texts.append("; ".join(words))
        dates.append(";".join(day.isoformat() for day in row))
    target = date_codes([date + "." for date in dates], DATE_SIGNS)
    signs = torch.tensor([len(date) + 1 for date in dates])
    return DatePairs(texts, dates, date_codes(texts), target, signs)


# -- Dates, whose alignment is known --
def _check_days(days: Tensor, count: int, length: int) -> None:
    whole("date_pairs", count=count, length=length)
    good = isinstance(days, Tensor) and days.dtype == torch.int64
    if not good or days.dim() != 1 or len(days) == 0:
        raise ValueError(
            f"date_pairs: days are {told(days)}, expected int64 ordinals, at least one: calendar_days gives them"
        )
    if days.amin() < 1 or days.amax() > datetime.date.max.toordinal():
        raise ValueError("date_pairs: days hold what is no ordinal of a date")


def date_batch(pairs: DatePairs, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Draw pairs, and cut off the padding that none of them needs.

    Args:
        pairs: to draw from. size: how many, B.
        generator: draws them, on the CPU.

    Returns:
        source (B, U), target (B, T), int64; signs that count (B, T), bool.
    """
    whole("date_batch", size=size)
    instance("date_batch", "pairs", pairs, DatePairs)
    from_chance("date_batch", generator)
    some = torch.randint(len(pairs.signs), (size,), generator=generator)
    source, target, signs = (part[some] for part in pairs[2:])
    source = source[:, : int((source != 0).sum(1).max())]
    target = target[:, : int(signs.max())]
    return source, target, torch.arange(target.shape[1]) < signs[:, None]


# -- Attention that compares --
class AdditiveAttention(nn.Module):
    """Compare a query with keys by a small network; read their weighted sum.

    Args:
        query_size: numbers in a query, Q.
        key_size: numbers in a key, D.
        hidden_size: hidden units of the comparison, H.

    Raises:
        ValueError: if a size is no whole number of at least 1.

    Source: Bahdanau, Cho and Bengio (2015), section 3.1 and appendix A.1.2.
    """

    def __init__(self, query_size: int, key_size: int, hidden_size: int):
        super().__init__()
        whole("AdditiveAttention", query_size=query_size, key_size=key_size, hidden_size=hidden_size)
        self.query = nn.Linear(query_size, hidden_size)
        self.key = nn.Linear(key_size, hidden_size, bias=False)
        self.score = nn.Linear(hidden_size, 1, bias=False)

    def forward(
        self,
        query: Tensor,
        keys: Tensor,
        mask: Tensor | None = None,
        projected: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Look once.

        Args:
            query: shape (B, Q); any type, taken to that of the weights.
            keys: shape (B, U, D), finite also where the mask is False.
            mask: shape (B, U), bool, True where there is something to look
                at; all of it if None.
            projected: `self.key(keys)`, shape (B, U, H), if the same keys
                are asked many times.

        Returns:
            context (B, D); weights (B, U), which sum to 1 and are exactly
            0 where the mask is False.

        Raises:
            ValueError: if shapes do not fit, or a row of the mask is False
                everywhere (looked at except on meta and while compiling).

        Source: Bahdanau, Cho and Bengio (2015), equations 5 and 6.
        """
        _check_look(self, query, keys, mask, projected)
        dtype = self.key.weight.dtype
        query, keys = query.to(dtype), keys.to(dtype)
        if projected is None:
            projected = self.key(keys)  # V h, (B, U, H)
        hidden = torch.tanh(self.query(query)[:, None] + projected)
        score = self.score(hidden).squeeze(-1)  # (B, U)
        if mask is not None:
            score = score.masked_fill(~mask, -torch.inf)  # e^-inf is 0
        weights = torch.softmax(score, dim=1)  # (B, U)
        return torch.bmm(weights[:, None].to(dtype), keys).squeeze(1), weights


# -- Attention that compares --
def _fits(name, x, shape, told_as) -> None:
    """Raise ValueError unless x has the shape; None is any length."""
    right = isinstance(x, Tensor) and not x.is_complex()
    sizes = tuple(x.shape) if right else ()
    fits = [k in (None, n) for k, n in zip(shape, sizes, strict=False)]
    if len(sizes) != len(shape) or not all(fits) or 0 in sizes[1:]:
        raise ValueError(f"AdditiveAttention: {name} is {told(x)}, expected {told_as}")


def _check_look(net, query, keys, mask, projected) -> None:
    Q, (H, D) = net.query.in_features, net.key.weight.shape
    _fits("query", query, (None, Q), f"(B, {Q})")
    B = len(query)
    _fits("keys", keys, (B, None, D), f"({B}, U, {D}), U > 0")
    U = keys.shape[1]
    if projected is not None:
        _fits("projected", projected, (B, U, H), f"key(keys), {(B, U, H)}")
    if mask is None:
        return
    _fits("mask", mask, (B, U), f"bool {(B, U)}")
    if mask.dtype != torch.bool:
        raise ValueError(f"AdditiveAttention: mask is {told(mask)}, expected bool {(B, U)}: True is looked at")
    if not (mask.is_meta or torch.compiler.is_compiling()) and B:
        if (blank := ~mask.any(1)).any():
            raise ValueError(
                f"AdditiveAttention: row {int(blank.nonzero()[0])} of the mask is False everywhere; leave such rows out"
            )


# -- A net that reads, a net that writes --
class DateReader(nn.Module):
    """Read texts from both ends; padding changes nothing of what comes out."""

    def __init__(self, embedding_size: int = 32, encoder_size: int = 64):
        super().__init__()
        whole("DateTranslator", embedding_size=embedding_size)
        whole("DateTranslator", encoder_size=encoder_size)
        sizes = (int(embedding_size), int(encoder_size))
        letters = len(DATE_LETTERS)
        self.embed = nn.Embedding(letters, embedding_size, padding_idx=0)
        self.ahead = nn.GRU(*sizes, batch_first=True)
        self.back = nn.GRU(*sizes, batch_first=True)

    def encode(self, source: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Codes (B, U) in; keys (B, U, D), mask (B, U), summary (B, D) out."""
        mask = source != 0
        length = mask.sum(1, keepdim=True)  # (B, 1)
        u = torch.arange(source.shape[1], device=source.device)
        turn = torch.where(u < length, length - 1 - u, u)[..., None]
        x = self.embed(source)  # (B, U, E)
        turned = torch.take_along_dim(x, turn, 1)  # padding stays
        ahead, back = self.ahead(x)[0], self.back(turned)[0]
        back = torch.take_along_dim(back, turn, 1)  # turned again
        end = (length - 1)[..., None]
        last = torch.take_along_dim(ahead, end, 1)[:, 0]  # (B, D / 2)
        keys = torch.cat([ahead, back], -1)
        return keys, mask, torch.cat([last, back[:, 0]], -1)


# -- A net that reads, a net that writes --
class DateTranslator(DateReader):
    """Read a text from both ends, and write its ISO dates sign by sign.

    Args:
        attention: look back at every step; without it read one summary.
        embedding_size: numbers for a character.
        encoder_size: hidden units of each of the two readers.
        decoder_size: hidden units of the writer.
        attention_size: hidden units of the comparison.

    Source: Bahdanau et al. (2015), section 3; without: Cho et al. (2014).
    """

    def __init__(
        self,
        attention: bool = True,
        embedding_size: int = 32,
        encoder_size: int = 64,
        decoder_size: int = 128,
        attention_size: int = 32,
    ):
        super().__init__(embedding_size, encoder_size)
        whole("DateTranslator", decoder_size=decoder_size)
        D, S, O = 2 * encoder_size, decoder_size, len(DATE_SIGNS)
        self.start = nn.Linear(D, S)
        self.attend = None
        if attention:
            self.attend = AdditiveAttention(S, D, attention_size)
        self.signs = nn.Embedding(O, embedding_size)
        self.cell = nn.GRUCell(embedding_size + D, S)
        self.out = nn.Linear(S + D, O)

    def _begin(self, source: Tensor) -> tuple[Tensor, tuple]:
        """The first state (B, S), and what every step reads of the text."""
        keys, mask, c = self.encode(source)
        projected = self.attend.key(keys) if self.attend else None  # once
        return torch.tanh(self.start(c)), (keys, mask, projected, c)

    def _step(self, y: Tensor, state: Tensor, text: tuple) -> tuple:
        """One sign (B,): its scores (B, O), the new state, the weights."""
        keys, mask, projected, c = text
        weights = None
        if self.attend is not None:
            c, weights = self.attend(state, keys, mask, projected)
        state = self.cell(torch.cat([self.signs(y), c], -1), state)
        return self.out(torch.cat([state, c], -1)), state, weights

    def forward(self, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor | None]:
        """Predict each sign from the text and the signs before it.

        Args:
            source: codes of texts, shape (B, U); 0 is padding, behind.
            target: codes of the translations, shape (B, T).

        Returns:
            scores of the signs (B, T, O); weights (B, T, U), or None
            without attention.

        Raises:
            ValueError: if shapes, types or codes do not fit.

        Source: Bahdanau, Cho and Bengio (2015), section 3.1.
        """
        source, target = _check_codes(source, target)
        state, text = self._begin(source)
        begin, scores, weights = torch.zeros_like(target[:, :1]), [], []
        for y in torch.cat([begin, target[:, :-1]], 1).unbind(1):
            score, state, weight = self._step(y, state, text)
            scores.append(score)
            weights.append(weight)
        seen = torch.stack(weights, 1) if self.attend is not None else None
        return torch.stack(scores, 1), seen

    @torch.no_grad()
    def translate(self, texts: Sequence[str], longest: int = 80) -> tuple[list[str], Tensor | None]:
        """Write the likeliest sign at each step, from the net's own signs.

        Args:
            texts: dates in words: ["the 3rd of May, 2009; 4 June 1987"].
            longest: signs after which it stops, finished or not.

        Returns:
            The translations; weights (B, T, U), one row a sign, the end
            included, or None without attention.

        Raises:
            ValueError: if a text or `longest` does not fit.
        """
        return _write_dates(self, texts, longest)


# -- A net that reads, a net that writes --
def _check_codes(source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Both as int64, or a ValueError that says what does not fit."""
    for name, x, letters in [("source", source, DATE_LETTERS), ("target", target, DATE_SIGNS)]:
        kind = x.dtype if isinstance(x, Tensor) else torch.float32
        real = kind.is_floating_point or kind.is_complex
        if real or kind == torch.bool or x.dim() != 2:
            raise ValueError(f"DateTranslator: {name} is {told(x)}, expected two dimensions of whole numbers: codes")
        if 0 in x.shape or (x is target and len(source) != len(target)):
            raise ValueError(
                f"DateTranslator: source {told(source)}, target {told(target)}, expected (B, U) and (B, T)"
            )
        if x.is_meta or torch.compiler.is_compiling():
            continue
        if x.amin() < 0 or x.amax() >= len(letters):
            raise ValueError(f"DateTranslator: {name} holds {x.amin()} to {x.amax()}, expected 0 to {len(letters) - 1}")
        if name == "source" and (blank := ~(x != 0).any(1)).any():
            row = int(blank.nonzero()[0])
            raise ValueError(f"DateTranslator: row {row} of the source is padding throughout; leave such rows out")
        if name == "source" and ((x[:, 1:] != 0) & (x[:, :-1] == 0)).any():
            raise ValueError("DateTranslator: source has padding before a letter; it belongs behind the text")
    return source.long(), target.long()


# -- A net that reads, a net that writes --
def _write_dates(model, texts, longest) -> tuple[list[str], Tensor | None]:
    """The greedy loop of `DateTranslator.translate`."""
    whole("DateTranslator.translate", longest=longest)
    source = date_codes(texts).to(model.out.weight.device)
    state, text = model._begin(source)
    y = source.new_zeros(len(source))
    done, signs, weights = torch.zeros_like(y, dtype=torch.bool), [], []
    while len(signs) < longest and not done.all():
        score, state, weight = model._step(y, state, text)
        y = score.argmax(-1)
        done = done | (y == 0)
        signs.append(y)
        weights.append(weight)
    codes = torch.stack(signs, 1).tolist()
    rows = ["".join(DATE_SIGNS[k] for k in row) for row in codes]
    seen = torch.stack(weights, 1) if model.attend is not None else None
    return [row.split(".")[0] for row in rows], seen


# -- A net that reads, a net that writes --
def date_loss(model: DateTranslator, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Mean surprise at the signs of a translation that count.

    Args:
        model: the network.
        batch: source (B, U), target (B, T), counts (B, T): date_batch's.

    Returns:
        Nats per sign, a scalar.

    Source: Bahdanau, Cho and Bengio (2015), section 2.1.
    """
    instance("date_loss", "model", model, DateTranslator)
    three = isinstance(batch, tuple) and [*map(type, batch)] == [Tensor] * 3
    if not three:
        raise TypeError(f"date_loss: batch is {told(batch)}, expected three tensors, as date_batch gives them")
    there = model.out.weight.device
    source, target, counts = (part.to(there) for part in batch)
    return F.cross_entropy(model(source, target)[0][counts], target[counts])


# -- A net that reads, a net that writes --
def exact_share(model: DateTranslator, pairs: DatePairs) -> float:
    """The share of lists that are translated without a single wrong sign.

    Args:
        model: the network.
        pairs: texts and their right translations.

    Returns:
        A number from 0 to 1.
    """
    text = isinstance(model, (str, bytes))
    if text or not hasattr(model, "translate"):
        raise TypeError(f"exact_share: model is {told(model)}, no translator")
    instance("exact_share", "pairs", pairs, DatePairs)
    right, longest = 0, int(pairs.signs.max()) + 2
    for k in range(0, len(pairs.texts), 250):
        some, dates = (part[k : k + 250] for part in pairs[:2])
        written, _ = model.translate(some, longest=longest)
        right += sum(a == b for a, b in zip(written, dates, strict=True))
    return right / len(pairs.texts)

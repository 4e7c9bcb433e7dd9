# Generated from book/reading.md by tools/export.py. Edit the chapter, not this file.
"""Reading: CTC and attention, from handwriting to text.

Ink becomes text, by a sum over all alignments or by a look that moves.

The chapter book/reading.md builds this module and explains each line.
"""

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple, overload

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from softattn.alignment import AdditiveAttention
from softattn.decoding import Spelling, beam_search, spikes
from softattn.handwriting import evaluating, lines_of
from softattn.hub import instance, many, real, shaped, whole
from softattn.pen import PRINTABLE, EmbeddedWriter
from softattn.prediction import PredictionNetwork
from softattn.strokes import Strokes
from softattn.trace import PenTokens, pen_tokens, split_lines

__all__ = [
    "HandwritingReader",
    "LocationAttention",
    "Reading",
    "WordReader",
    "ctc_alphas",
    "ctc_nats",
    "ctc_posterior",
    "read",
]


# -- A task whose alignment is known --
LETTERS = "acehinot"  # of the small task; some have dots and bars


def made_words(count: int, low: int, high: int, seed: int) -> list[Strokes]:
    """Words of low to high random letters, each in a hand of its own."""
    rng, lines = np.random.default_rng(seed), []
    for _ in range(count):
        size = int(rng.integers(low, high + 1))
        text = "".join(rng.choice(list(LETTERS), size))
        pen = EmbeddedWriter(rng, font="scripts", blend=0.0)
        lines.append(pen.write(text))
    return lines


def word_tokens(line: Strokes) -> PenTokens:
    """Longer tokens than those of real lines: a small task."""
    return pen_tokens(line, group=8, spacing=0.4)


# -- CTC: a sum over all alignments --
def ctc_alphas(log_p: Tensor, codes: Tensor) -> Tensor:
    """Add up all beginnings of paths: the forward variables of CTC.

    Args:
        log_p: log probabilities, shape (T, O); output 0 is the blank.
        codes: the text, shape (U,), int64, from 1 to O - 1.

    Returns:
        log alpha, shape (T, 2 U + 1): of blank, letter, blank, ...

    Raises: TypeError, ValueError for other types, shapes or codes.
    Source: Graves et al. (2006), equations 5 to 8.
    """
    z = _with_blanks(log_p, codes)  # (2U + 1,)
    skip = (z != 0) & (z != F.pad(z, (2, 0))[: len(z)])
    start = torch.arange(len(z), device=z.device) < 2
    y = log_p[:, z]  # (T, 2U + 1)
    alpha = torch.where(start, y[0], -torch.inf)
    rows = [alpha]
    for y_t in y[1:].unbind():
        one = F.pad(alpha, (1, 0), value=-torch.inf)[: len(z)]
        two = F.pad(alpha, (2, 0), value=-torch.inf)[: len(z)]
        two = torch.where(skip, two, -torch.inf)
        alpha = y_t + torch.logsumexp(torch.stack([alpha, one, two]), 0)
        rows.append(alpha)
    return torch.stack(rows)


# -- CTC: a sum over all alignments --
def _with_blanks(log_p: Tensor, codes: Tensor) -> Tensor:
    """A text with blanks around its letters, (2U + 1,), once both fit."""
    shaped("ctc", "log_p", log_p, "T", "O")
    shaped("ctc", "codes", codes, "U", dtype=torch.int64)
    if not log_p.is_floating_point() or 0 in log_p.shape:
        raise ValueError(
            f"ctc: log_p is {log_p.dtype} of {tuple(log_p.shape)}; expected "
            "log probabilities of one token and one output at least"
        )
    if codes.numel() and not log_p.is_meta:
        low, high = int(codes.min()), int(codes.max())
        if low < 1 or high >= log_p.shape[1]:
            raise ValueError(f"ctc: codes from {low} to {high}; expected 1 to {log_p.shape[1] - 1}, 0 is the blank")
    z = codes.new_zeros(2 * len(codes) + 1)
    z[1::2] = codes
    return z.to(log_p.device)


# -- The gradient is an alignment --
def ctc_posterior(log_p: Tensor, codes: Tensor) -> Tensor:
    """Where a text stands in the ink: CTC's own alignment.

    Args: log_p: shape (T, O); codes: shape (U,), as in `ctc_alphas`.

    Returns:
        gamma, shape (T, 2 U + 1): the probability that token t is at
        blank, letter 1, blank, ...; rows sum to 1. NaN where the ink is
        too short for the text.

    Raises: TypeError, ValueError for other types, shapes or codes.
    Source: Graves et al. (2006), equations 9 to 15.
    """
    alpha = ctc_alphas(log_p, codes)
    beta = ctc_alphas(log_p.flip(0), codes.flip(0)).flip(0, 1)
    path = alpha + beta - log_p[:, _with_blanks(log_p, codes)]
    return torch.softmax(path, 1)


def ctc_nats(log_p: Tensor, codes: Tensor) -> Tensor:
    """Nats that a text costs: -log p(text | ink), a scalar.

    Args: log_p: shape (T, O); codes: shape (U,), as in `ctc_alphas`.
    Returns: the nats; infinite where the ink is too short for the text.
    Raises: TypeError, ValueError for other types, shapes or codes.
    Source: Graves et al. (2006), equation 8.
    """
    return -torch.logsumexp(ctc_alphas(log_p, codes)[-1, -2:], 0)


# -- Attention: look where you need to --
class LocationAttention(AdditiveAttention):
    """Additive attention that knows where it looked before.

    Args:
        query_size, key_size, hidden_size: as in AdditiveAttention.
        filters: how many filters go over the old weights.
        width: of each, in places; an odd number.

    Raises: TypeError, ValueError for sizes that are none.
    Source: Chorowski et al. (2015), equation 9.
    """

    def __init__(
        self,
        query_size: int,
        key_size: int,
        hidden_size: int,
        filters: int = 8,
        width: int = 11,
    ):
        super().__init__(query_size, key_size, hidden_size)
        filters = whole("LocationAttention", "filters", filters, 1)
        width = whole("LocationAttention", "width", width, 1, 999)
        if width % 2 == 0:
            raise ValueError(f"LocationAttention: width is {width}, expected an odd number: as far to either side")
        half = width // 2
        self.where = nn.Conv1d(1, filters, width, padding=half, bias=False)
        self.place = nn.Linear(filters, hidden_size, bias=False)

    def forward(
        self,
        query: Tensor,
        keys: Tensor,
        mask: Tensor | None = None,
        projected: Tensor | None = None,
        seen: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Look once.

        Args:
            query: (B, Q); keys: (B, T, D); mask: (B, T), bool, or None.
            projected: `self.key(keys)`, if the same keys are asked often.
            seen: the weights of the look before, (B, T); None: nowhere.

        Returns: context (B, D); weights (B, T), which sum to 1.
        Raises: ValueError for shapes that do not fit.
        """
        if projected is None:
            shaped("LocationAttention", "keys", keys, "B", "T", self.key.in_features)
            projected = self.key(keys)
        if seen is not None:
            shaped("LocationAttention", "seen", seen, *keys.shape[:2])
            f = self.where(seen[:, None]).transpose(1, 2)  # (B, T, filters)
            projected = projected + self.place(f)  # new
        return super().forward(query, keys, mask, projected)


# -- Attention: look where you need to --
def read_both_ways(ahead, back, x, lengths, dropout: float = 0.0) -> Tensor:
    """Layers of nn.LSTM over x (T, B, I), one from each end of a line.

    `lengths` (B,) keep the padding behind: a line is read alike in any batch.
    """
    if lengths.device.type == "cpu" and lengths.numel():
        low, high = int(lengths.min()), int(lengths.max())
        if low < 1 or high > len(x):
            raise ValueError(f"lengths go from {low} to {high}, expected 1 to {len(x)}, as many tokens as there are")
    steps = torch.arange(len(x), device=x.device)[:, None]
    turn = torch.where(steps < lengths, lengths - 1 - steps, steps)[..., None]
    for right, left in zip(ahead, back, strict=True):
        a = right(x)[0]
        b = left(x.gather(0, turn.expand(x.shape)))[0]  # from the end
        x = torch.cat([a, b.gather(0, turn.expand(b.shape))], -1)
        x = F.dropout(x, dropout, dropout > 0)
    return x  # (T, B, 2H)


# -- Attention: look where you need to --
class WordReader(nn.Module):
    """Read short words by CTC, by attention, or by both at once.

    Args:
        attention: None, "content" or "location": how the writer looks.
        ctc: whether each token votes for a letter.
        hidden_size: H, of each of the two readers.

    Raises: TypeError, ValueError for other arguments.
    Source: Graves et al. (2006), Chorowski, Watanabe et al. (2015, 2017).
    """

    def __init__(
        self,
        attention: str | None = None,
        ctc: bool = True,
        hidden_size: int = 48,
    ):
        super().__init__()
        H = whole("WordReader", "hidden_size", hidden_size, 1)
        if attention not in (None, "content", "location"):
            raise ValueError(f'WordReader: attention is {attention!r:.60}, expected None, "content" or "location"')
        if attention is None and not ctc:
            raise ValueError("WordReader: without CTC and attention nothing is read; choose one of them, or both")
        D, S, A, O = 2 * H, 64, 32, 1 + len(LETTERS)
        self.ahead = nn.ModuleList([nn.LSTM(20, H)])
        self.back = nn.ModuleList([nn.LSTM(20, H)])
        self.votes = nn.Linear(D, O) if ctc else None
        kinds = {"content": AdditiveAttention, "location": LocationAttention}
        self.attend = kinds[attention](S, D, A) if attention else None
        if attention:
            self.embed = nn.Embedding(O, 16)
            self.cell = nn.GRUCell(16 + D, S)
            self.out = nn.Linear(S + D, O)  # 0 is the end

    def encode(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Keys (T, B, D) of tokens x (T, B, 20), of `lengths` (B,)."""
        return read_both_ways(self.ahead, self.back, x, lengths)

    def forward(
        self, h: Tensor, lengths: Tensor, target: Tensor | None = None, longest: int = 60
    ) -> tuple[Tensor, Tensor]:
        """Write letter by letter, looking at what was read.

        Args:
            h: keys, (T, B, D); lengths: (B,).
            target: the true codes, (B, U), told after each guess; None
                writes from its own, until all have ended.
            longest: letters after which it stops.

        Returns: scores (B, U, O); weights of the looks (B, U, T).
        Raises: ValueError for a reader without attention.
        """
        if self.attend is None:
            raise ValueError("WordReader: made without attention, so there is nothing to look with; use votes")
        keys = h.transpose(0, 1)
        mask = torch.arange(len(h), device=h.device) < lengths[:, None]
        state = keys.new_zeros(len(keys), self.cell.hidden_size)
        seen = F.one_hot(lengths * 0, len(h)).to(h.dtype)  # at the start
        y, done, out = lengths * 0, lengths < 0, []
        projected, places = self.attend.key(keys), isinstance(self.attend, LocationAttention)
        for u in range(longest if target is None else target.shape[1]):
            where = (seen,) if places else ()
            c, seen = self.attend(state, keys, mask, projected, *where)
            state = self.cell(torch.cat([self.embed(y), c], -1), state)
            out.append((self.out(torch.cat([state, c], -1)), seen))
            y = out[-1][0].argmax(-1) if target is None else target[:, u]
            done = done | (y == 0)
            if target is None and done.all():
                break
        scores, weights = zip(*out, strict=True)
        return torch.stack(scores, 1), torch.stack(weights, 1)


# -- Attention: look where you need to --
def word_batch(lines) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Tokens (T, B, 20), lengths (B,), codes (B, U), sizes (B,)."""
    tokens = [word_tokens(line).x for line in lines]
    rows = [torch.tensor([1 + LETTERS.index(c) for c in line.text]) for line in lines]
    pad = nn.utils.rnn.pad_sequence
    lengths, sizes = (torch.tensor([*map(len, a)]) for a in (tokens, rows))
    return pad(tokens), lengths, pad(rows, batch_first=True), sizes


def word_loss(model: WordReader, batch) -> Tensor:
    """Nats a letter: CTC's, the writer's, or the mean of the two."""
    x, lengths, codes, sizes = batch
    h, parts = model.encode(x, lengths), []
    if model.votes is not None:
        log_p = torch.log_softmax(model.votes(h), -1)
        loss = F.ctc_loss(log_p, codes, lengths, sizes, reduction="sum")
        parts.append(loss / sizes.sum())
    if model.attend is not None:
        target = F.pad(codes, (0, 1))  # and the end
        counts = torch.arange(target.shape[1]) <= sizes[:, None]
        scores, _ = model(h, lengths, target)
        parts.append(F.cross_entropy(scores[counts], target[counts]))
    return torch.stack(parts).mean()


# -- Real pens --
class Reading(NamedTuple):
    """What was read of one line.

    Args:
        text: the characters.
        confidence: 0 to 1: the probability of the text given the ink, as
            its geometric mean over the characters and the end.
        place: for each character, the point of the ink where it was read.
    """

    text: str
    confidence: float
    place: tuple[int, ...]


def _check_line(line: Strokes, x: Tensor) -> None:
    """Raise ValueError unless ink is one line of a length that can be."""
    if len(x) > 4000:
        raise ValueError(f"read: {len(x)} tokens of ink in one line; at most 4,000 are read, about a thousand letters")
    if (found := len(split_lines(line))) > 1:
        raise ValueError(
            f"read: this ink looks like {found} lines, expected one; "
            "softattn.trace.split_lines(ink) gives them one by one"
        )


# -- Real pens --
class HandwritingReader(nn.Module):
    """Read lines of online handwriting: LSTMs from both ends, and CTC.

    Args:
        hidden_size: H, cells of each layer and direction.
        num_layers: layers, each over both directions of the one below.
        alphabet: the characters that can be read; output 0 is the blank.
        group, spacing: of the tokens, as in `pen_tokens`.
        dropout: probability of losing a value between the layers, in
            training only.

    Raises: TypeError, ValueError for other arguments.
    Source: Graves et al. (2006, 2009).
    """

    def __init__(
        self,
        hidden_size: int = 160,
        num_layers: int = 3,
        alphabet: str = PRINTABLE,
        group: int = 5,
        spacing: float = 0.33,
        dropout: float = 0.0,
    ):
        super().__init__()
        name = "HandwritingReader"
        H = whole(name, "hidden_size", hidden_size, 1)
        N = whole(name, "num_layers", num_layers, 1, 100)
        instance(name, "alphabet", alphabet, str)
        if not alphabet or len(set(alphabet)) < len(alphabet):
            raise ValueError(f"{name}: alphabet {alphabet!r:.60} is empty or repeats a character; give each once")
        self.alphabet = alphabet
        self.group = whole(name, "group", group, 1, 64)
        self.spacing = real(name, "spacing", spacing, 0.01, 100)
        self.dropout = real(name, "dropout", dropout, 0, 1 - 2**-53)
        sizes = [2 * self.group + 4] + [2 * H] * (N - 1)
        self.ahead = nn.ModuleList(nn.LSTM(size, H) for size in sizes)
        self.back = nn.ModuleList(nn.LSTM(size, H) for size in sizes)
        self.output = nn.Linear(2 * H, 1 + len(alphabet))

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Say at each token how probable each character is.

        Args:
            x: tokens, shape (T, B, 2 group + 4), padded behind.
            lengths: tokens of each line, (B,), int64.

        Returns: log probabilities, (T, B, 1 + characters); 0 is the blank.
        Raises: TypeError, ValueError for other types or shapes.
        """
        name = "HandwritingReader"
        shaped(name, "x", x, "T", "B", 2 * self.group + 4)
        shaped(name, "lengths", lengths, x.shape[1], dtype=torch.int64)
        if x.numel() == 0:
            raise ValueError(f"{name}: x has shape {tuple(x.shape)}, expected one token of one line at least")
        drop = self.dropout if self.training else 0.0
        x = x.to(self.output.weight.dtype)
        h = read_both_ways(self.ahead, self.back, x, lengths, drop)
        return torch.log_softmax(self.output(h).float(), -1)

    def tokens(self, line: Strokes) -> PenTokens:
        """The tokens of a line, as this network reads them."""
        return pen_tokens(line, self.group, self.spacing)

    def read(
        self,
        lines: list[Strokes],
        beam: int = 1,
        language: PredictionNetwork | None = None,
        y_up: bool | None = False,
    ) -> list[Reading]:
        """Read lines.

        Args:
            lines: strokes, one line each, of any unit and any rate.
            beam: prefixes kept in the search; 1 takes the best path.
            language: a `PredictionNetwork` over characters that weighs in
                as the search goes; None lets the ink speak alone.
            y_up: whether y points up in the ink; None tries both.

        Returns: a Reading for each.
        Raises: TypeError, ValueError for ink that is not one line.
        """
        return read_lines(self, lines, beam, language, y_up)

    def nats(self, lines: list[Strokes], texts: list[str]) -> Tensor:
        """Score texts: -log p(text | ink), summed over all alignments.

        Args: lines: strokes, one line each; texts: as many.

        Returns: nats, (N,), float64; infinite if ink is too short for it.
        Raises: TypeError, ValueError for lines or texts that do not fit.
        """
        return score_texts(self, lines, texts)


# -- Real pens --
@torch.no_grad()
def batches(model: HandwritingReader, lines: list, size: int = 64) -> Iterator:
    """Which lines, their log probabilities (T, B, O), lengths, points."""
    tokens = [model.tokens(line) for line in lines]
    for line, (x, _) in zip(lines, tokens, strict=True):
        _check_line(line, x)
    order = sorted(range(len(lines)), key=lambda i: len(tokens[i].x))
    there = model.output.weight.device
    for k in range(0, len(order), size):
        rows = order[k : k + size]
        x = nn.utils.rnn.pad_sequence([tokens[i].x for i in rows])
        lengths = torch.tensor([len(tokens[i].x) for i in rows])
        with evaluating(model):
            log_p = model(x.to(there), lengths.to(there)).cpu()
        yield rows, log_p, lengths, [tokens[i].point for i in rows]


# -- Real pens --
def codes_of(text: str, alphabet: str) -> Tensor:
    """A text as codes from 1, (U,), or a sentence."""
    instance("nats", "text", text, str)
    if strange := sorted(set(text) - set(alphabet)):
        raise ValueError(f"nats: text {text[:40]!r} holds {strange[:5]}, not in the reader's alphabet; leave them out")
    return torch.tensor([1 + alphabet.index(c) for c in text]).long()


def ctc_batch(log_p: Tensor, lengths: Tensor, codes: list) -> Tensor:
    """Nats (B,), float64, of a text each: `ctc_nats`, many at once."""
    sizes = torch.tensor([len(c) for c in codes])
    box = nn.utils.rnn.pad_sequence([F.pad(c, (0, 1)) for c in codes], True)
    return F.ctc_loss(log_p.double(), box, lengths, sizes, reduction="none")


def score_texts(model: HandwritingReader, lines, texts) -> Tensor:
    """What HandwritingReader.nats returns."""
    lines = lines_of(lines, "nats")
    texts = many("nats", "texts", texts, "a list of texts")
    if len(lines) != len(texts) or not lines:
        raise ValueError(
            f"nats: {len(lines)} lines and {len(texts)} texts; give one text for each line, one line at least"
        )
    codes = [codes_of(text, model.alphabet) for text in texts]
    nats = torch.zeros(len(lines), dtype=torch.float64)
    for rows, log_p, lengths, _ in batches(model, lines):
        nats[rows] = ctc_batch(log_p, lengths, [codes[i] for i in rows])
    return nats


# -- Real pens --
def read_lines(model: HandwritingReader, lines, beam=1, language=None, y_up: bool | None = False) -> list[Reading]:
    """What HandwritingReader.read returns."""
    lines = lines_of(lines, "read")
    beam = whole("read", "beam", beam, 1, 1000)
    instance("read", "language", language, PredictionNetwork, type(None))
    if not lines or not (y_up is None or isinstance(y_up, bool)):
        raise ValueError(
            f"read: {len(lines)} lines, y_up {y_up!r}; expected one line at least, and True, False or None"
        )
    if y_up is None:
        ways = [read_lines(model, lines, beam, language, up) for up in (False, True)]
        return [max(pair, key=lambda r: r.confidence) for pair in zip(*ways, strict=True)]
    turn = torch.tensor([1.0, -1.0, 1.0])
    if y_up:
        lines = [Strokes(line.offsets.cpu() * turn) for line in lines]
    found: list = [None] * len(lines)
    for rows, log_p, lengths, points in batches(model, lines):
        paths = [search(model, log_p[:n, b], beam, language) for b, n in enumerate(lengths.tolist())]
        codes = [torch.tensor([k for k, _ in path]).long() for path in paths]
        nats = ctc_batch(log_p, lengths, codes).tolist()
        for k, row in enumerate(rows):
            path, cost, point = paths[k], nats[k], points[k]
            text = "".join(model.alphabet[k - 1] for k, _ in path)
            sure = math.exp(-cost / (len(path) + 1))
            place = tuple(int(point[t]) for _, t in path)
            found[row] = Reading(text, sure, place)
    return found


# -- Real pens --
@overload
def read(
    ink: Strokes,
    *,
    model: HandwritingReader | str = "reading",
    beam: int = 1,
    language: bool = False,
    y_up: bool | None = False,
) -> Reading: ...
@overload
def read(
    ink: Iterable[Strokes],
    *,
    model: HandwritingReader | str = "reading",
    beam: int = 1,
    language: bool = False,
    y_up: bool | None = False,
) -> list[Reading]: ...
def read(
    ink: Strokes | Iterable[Strokes],
    *,
    model: HandwritingReader | str = "reading",
    beam: int = 1,
    language: bool = False,
    y_up: bool | None = False,
) -> Reading | list[Reading]:
    """Read handwriting.

    Args:
        ink: the strokes of a line; or several lines.
        model: the reader, or the name of weights.
        beam: beginnings kept in the search; 1 takes the best path.
        language: whether the book's character model weighs in.
        y_up: whether y points up in the ink; None tries both.

    Returns: a Reading; a list for several lines.
    Raises: TypeError, ValueError for what cannot be read, and says why.
    """
    return read_checked(ink, model, beam, language, y_up)


# -- Real pens --
def search(model, log_p: Tensor, beam: int, language) -> list:
    """Letters of a line (T, O) and their tokens, by path or by beam."""
    if beam == 1 and language is None:
        return spikes(log_p.argmax(-1))
    spelling = language and Spelling(language, model.alphabet)
    text = beam_search(log_p, model.alphabet, beam, spelling)
    codes = codes_of(text, model.alphabet)
    at = ctc_posterior(log_p.double(), codes)[:, 1::2].argmax(0)
    return list(zip(codes.tolist(), at.tolist(), strict=True))


def read_checked(ink, model, beam, language, y_up):
    """What `read` does: judge the arguments, load, read."""
    from softattn.hub import load

    single = isinstance(ink, Strokes)
    lines = lines_of([ink] if single else ink, "read")
    if not isinstance(language, bool):
        raise TypeError(
            f"read: language is {language!r}, expected True or False; a network of your own goes to reader.read"
        )
    model = load(model) if isinstance(model, str) else model
    model = instance("read", "model", model, HandwritingReader)
    network = load("prediction") if language else None
    found = read_lines(model, lines, beam, network, y_up)
    return found[0] if single else found

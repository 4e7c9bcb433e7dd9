# Generated from book/lineage.md by tools/export.py. Edit the chapter, not this file.
"""Lineage: six looks at one memory.

Six ways to look at one memory, on one task whose alignment is known; and a memory to write on.

The chapter book/lineage.md builds this module and explains each line.
"""

import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from softattn.alignment import AdditiveAttention
from softattn.filterbank import BOUND, filter_rows
from softattn.hub import shaped, whole
from softattn.reading import LocationAttention
from softattn.window import SoftWindow

__all__ = ["Memory", "NTMCell", "dot_product_attention", "dot_product_weights", "ntm_address"]


# -- A toy with a known answer --
SYMBOLS, KEYS = 8, 32
TASKS = ("repeat", "copy", "sort")


class ToyLines(NamedTuple):
    """symbols, keys (B, U); what to say (B, T); where it stands (B, T)."""

    symbols: Tensor
    keys: Tensor
    target: Tensor
    place: Tensor


# -- A toy with a known answer --
def toy_lines(task: str, batch: int, length: int, generator) -> ToyLines:
    """Draw lines of `length` symbols with keys, and what is to be said."""
    size = (batch, length)
    symbols = torch.randint(SYMBOLS, size, generator=generator)
    draws = torch.rand(batch, KEYS, generator=generator)
    keys = draws.argsort(1)[:, :length]  # each at most once
    place = torch.arange(length).expand(batch, -1)
    if task == "repeat":
        place = place.repeat_interleave(2, 1)
    elif task == "sort":
        place = keys.argsort(1)
    return ToyLines(symbols, keys, symbols.gather(1, place), place)


# -- A toy with a known answer --
class ToyWriter(nn.Module):
    """Read a line from both ends, then look, step, say; six ways to look."""

    def __init__(self, look: str, size: int = 32):
        super().__init__()
        self.symbol = nn.Embedding(SYMBOLS, size // 2)
        self.key = nn.Embedding(KEYS, size // 2)
        self.reader = nn.GRU(size, size // 2, batch_first=True, bidirectional=True)
        self.look = LOOKS[look](size, size)
        self.cell = nn.GRUCell(size, size)
        self.out = nn.Linear(2 * size, SYMBOLS)

    def forward(self, line: ToyLines) -> tuple[Tensor, Tensor]:
        """Scores (B, T, SYMBOLS) and weights (B, T, U)."""
        x = [self.symbol(line.symbols), self.key(line.keys)]
        h, last = self.reader(torch.cat(x, -1))  # (B, U, D)
        state = last.transpose(0, 1).flatten(1)  # (B, H)
        before, scores, weights = self.look.first(h), [], []
        for _ in range(line.target.shape[1]):  # T steps
            c, w, before = self.look(state, h, before)
            state = self.cell(c, state)
            scores.append(self.out(torch.cat([state, c], -1)))
            weights.append(w)
        return torch.stack(scores, 1), torch.stack(weights, 1)


# -- Looking by place, looking by content --
class Look(nn.Module):
    """Weights over keys (B, U, D) for a query (B, H), and a note."""

    def first(self, keys: Tensor) -> Any:
        """The note before the first look: most mechanisms keep none."""


class WindowLook(Look):
    """Graves (2013): three bells that move forward."""

    def __init__(self, H: int, D: int):
        super().__init__()
        self.window = SoftWindow(H, 3, pace=0.7)

    def first(self, keys: Tensor) -> Tensor:
        return keys.new_zeros(len(keys), 3)  # kappa

    def forward(self, query, keys, kappa):
        return self.window(query, kappa, keys)


class AdditiveLook(Look):
    """Bahdanau et al. (2015): a small network compares."""

    def __init__(self, H: int, D: int):
        super().__init__()
        self.attend = AdditiveAttention(H, D, H)

    def forward(self, query, keys, note):
        return *self.attend(query, keys), note


# -- The dot product --
def dot_product_weights(query: Tensor, key: Tensor, mask: Tensor | None = None) -> Tensor:
    """Weigh keys by their scaled dot products with queries.

    Args:
        query: shape (..., T, D). key: shape (..., U, D).
        mask: bool, (..., T, U), True where a query may look; all if None.

    Returns:
        Weights (..., T, U): rows sum to 1, or to 0 where a query may look
        nowhere.

    Raises: TypeError, ValueError for types and shapes that do not fit.
    Source: Vaswani et al. (2017), equation 1.
    """
    mask, some = _check_dot(query, key, key, mask)
    score = query @ key.mT / math.sqrt(query.shape[-1])
    if mask is None:
        return torch.softmax(score, -1)
    return torch.softmax(score.masked_fill(~mask, -torch.inf), -1) * some


# -- The dot product --
def dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    fused: bool = True,
) -> Tensor:
    """Read values by the scaled dot product of queries and keys.

    Args:
        query: shape (..., T, D). key: shape (..., U, D).
        value: shape (..., U, E).
        mask: bool, (..., T, U), True where a query may look; all if None.
        fused: let PyTorch do it in one piece; False: the plain way.

    Returns: contexts, (..., T, E); zeros where a query may look nowhere.
    Raises: TypeError, ValueError for types and shapes that do not fit.
    Source: Vaswani et al. (2017), equation 1.
    """
    opened, some = _check_dot(query, key, value, mask)
    if not fused:
        return dot_product_weights(query, key, mask) @ value
    read = F.scaled_dot_product_attention(query, key, value, opened)
    return read if some is None else read * some


# -- The dot product --
def _check_dot(query, key, value, mask) -> tuple[Any, Any]:
    """The mask with empty rows opened, and which rows are not empty."""
    name = "dot_product_attention"
    shaped(name, "query", query, "...", "T", "D")
    shaped(name, "key", key, "...", "U", query.shape[-1])
    shaped(name, "value", value, "...", key.shape[-2], "E")
    given = (query, key, value)
    if len(kinds := {x.dtype for x in given}) > 1:
        raise TypeError(f"{name}: query, key and value are of {len(kinds)} number types; bring them to one")
    if mask is not None:
        shaped(name, "mask", mask, "...", "T", "U", dtype=torch.bool)
    try:
        lead = torch.broadcast_shapes(*(x.shape[:-2] for x in given))
        size = (*lead, query.shape[-2], key.shape[-2])
        fits = 0 not in (query.shape[-1], key.shape[-2]) and (
            mask is None or torch.broadcast_shapes(mask.shape, size) == size
        )
    except RuntimeError:  # they do not broadcast
        fits = False
    if not fits:
        told = ", ".join(str(tuple(x.shape)) for x in (*given, *([] if mask is None else [mask])))
        raise ValueError(
            f"{name}: query, key, value (and mask) are {told}; "
            "expected (..., T, D), (..., U, D), (..., U, E), "
            "(..., T, U), no D and U of 0"
        )
    if mask is None:
        return None, None
    some = mask.any(-1, keepdim=True)
    return mask | ~some, some


# -- The dot product --
def first_place(keys: Tensor) -> Tensor:
    """All weight on the first place: (B, U) for keys (B, U, D)."""
    before = torch.arange(keys.shape[1], device=keys.device) < 1
    return before.to(keys.dtype).expand(len(keys), -1)


class DotLook(Look):
    """Luong et al., Vaswani et al.: multiply, and divide by a root."""

    def __init__(self, H: int, D: int):
        super().__init__()
        self.query = nn.Linear(H, D)

    def forward(self, query, keys, note):
        w = dot_product_weights(self.query(query)[:, None], keys)
        return (w @ keys)[:, 0], w[:, 0], note


class LocationLook(Look):
    """Chorowski et al. (2015): compare, knowing where you looked."""

    def __init__(self, H: int, D: int):
        super().__init__()
        self.attend = LocationAttention(H, D, H, width=5)

    def first(self, keys: Tensor) -> Tensor:
        return first_place(keys)

    def forward(self, query, keys, seen):
        c, w = self.attend(query, keys, seen=seen)
        return c, w, w


# -- The Turing machine's head --
def ntm_address(
    memory: Tensor,
    before: Tensor,
    key: Tensor,
    beta: Tensor,
    g: Tensor,
    shift: Tensor,
    gamma: Tensor,
) -> Tensor:
    """Aim the head of a Neural Turing Machine: by content, then by place.

    Args:
        memory: shape (B, U, D). before: its last weights, (B, U).
        key: what to look for, (B, D).
        beta: how sharply, (B, 1), from 0.
        g: 1 looks by content, 0 stays; (B, 1).
        shift: shares of going -S .. S on, (B, 2 S + 1), sum 1; the last
            place is followed by the first.
        gamma: (B, 1), 1 or more: sharpens.

    Returns: weights, (B, U); they sum to 1.
    Raises: TypeError, ValueError for types and shapes that do not fit.
    Source: Graves, Wayne and Danihelka (2014), equations 5 to 9.
    """
    half = _check_head(memory, before, key, beta, g, shift, gamma)
    like = F.cosine_similarity(memory, key[:, None], -1)  # eq. 6
    content = torch.softmax(beta * like, 1)  # eq. 5
    gated = g * content + (1 - g) * before  # eq. 7
    u = torch.arange(memory.shape[1], device=memory.device)
    j = torch.arange(-half, half + 1, device=memory.device)
    came_from = (u[:, None] - j) % len(u)  # (U, 2 S + 1)
    moved = (gated[:, came_from] @ shift[..., None])[..., 0]  # eq. 8
    return torch.softmax(gamma * moved.clamp(min=1e-20).log(), 1)  # eq. 9


# -- The Turing machine's head --
def head_params(raw: Tensor, D: int) -> tuple[Tensor, ...]:
    """key, beta, g, shift, gamma from a network's outputs (B, D + 6)."""
    key, beta, g, gamma, shift = raw.split([D, 1, 1, 1, 3], -1)
    return (key.tanh(), F.softplus(beta), g.sigmoid(), shift.softmax(-1), 1 + F.softplus(gamma))


# -- The Turing machine's head --
def _check_head(memory, before, key, beta, g, shift, gamma) -> int:
    """Raise unless all fits; how far a shift goes."""
    name = "ntm_address"
    shaped(name, "memory", memory, "B", "U", "D")
    B, U, D = memory.shape
    shaped(name, "before", before, B, U)
    shaped(name, "key", key, B, D)
    for words, x in (("beta", beta), ("g", g), ("gamma", gamma)):
        shaped(name, words, x, B, 1)
    shaped(name, "shift", shift, B, "S")
    if shift.shape[1] % 2 == 0 or 0 in memory.shape:
        raise ValueError(
            f"{name}: memory {tuple(memory.shape)}, "
            f"{shift.shape[1]} shifts; expected places and "
            "numbers in them, and an odd count: -S .. S"
        )
    return shift.shape[1] // 2


# -- The Turing machine's head --
class MachineLook(Look):
    """Graves et al. (2014): content, gate, shift, sharpen."""

    def __init__(self, H: int, D: int):
        super().__init__()
        self.D, self.aim = D, nn.Linear(H, D + 6)

    def first(self, keys: Tensor) -> Tensor:
        return first_place(keys)

    def forward(self, query, keys, before):
        w = ntm_address(keys, before, *head_params(self.aim(query), self.D))
        return (w[:, None] @ keys)[:, 0], w, w


class GridLook(Look):
    """Gregor et al. (2015), in one dimension: three points of a grid."""

    def __init__(self, H: int, D: int):
        super().__init__()
        self.aim = nn.Linear(H, 4)
        self.blend = nn.Linear(3 * D, D)  # three places make one

    def forward(self, query, keys, note):
        U, raw = keys.shape[1], self.aim(query)
        g = (raw[:, :1] + 1) * ((U + 1) / 2)  # (B, 1)
        logs = BOUND * torch.tanh(raw[:, 1:] / BOUND)
        sigma2, delta, gamma = logs.exp().split(1, 1)
        i = torch.arange(-1, 2, device=keys.device)
        mu = g + i * delta * ((U - 1) / 2)  # (B, 3)
        rows = filter_rows(mu, -0.5 / sigma2[..., None], U)  # (B, 3, U)
        read = gamma[..., None] * (rows @ keys)  # (B, 3, D)
        return self.blend(read.flatten(1)), rows.mean(1), note


LOOKS = {
    "window": WindowLook,
    "additive": AdditiveLook,
    "dot": DotLook,
    "location": LocationLook,
    "machine": MachineLook,
    "grid": GridLook,
}


def toy_loss(model: ToyWriter, line: ToyLines) -> Tensor:
    """Mean nats a symbol."""
    return F.cross_entropy(model(line)[0].transpose(1, 2), line.target)


def toy_batch(task: str, generator, batch: int = 32) -> ToyLines:
    """Lessons: lines of four to six symbols, one length in a batch."""
    length = int(torch.randint(4, 7, (), generator=generator))
    return toy_lines(task, batch, length, generator)


# -- A memory to write on --
class Memory(NamedTuple):
    """What a Neural Turing Machine keeps from one step to the next.

    Args:
        cells: the memory, shape (B, U, D).
        read: weights of the head that reads, (B, U); they sum to 1.
        write: weights of the head that writes, (B, U).
    """

    cells: Tensor
    read: Tensor
    write: Tensor


class NTMCell(nn.Module):
    """A Neural Turing Machine: one layer steers a head that reads and one
    that writes.

    Args:
        input_size: I, numbers per input step.
        output_size: O, numbers per output step.
        hidden_size: H, units of the layer.
        places: U, of the memory. No weight belongs to a place: change
            `cell.places` for another memory.
        place_size: D, numbers in a place.

    Raises: TypeError, ValueError for sizes that are none.
    Source: Graves, Wayne and Danihelka (2014), section 3.
    """

    def __init__(
        self, input_size: int, output_size: int, hidden_size: int = 100, places: int = 128, place_size: int = 20
    ):
        super().__init__()
        name = "NTMCell"
        self.input_size = I = whole(name, "input_size", input_size, 1)
        O = whole(name, "output_size", output_size, 1)
        H = whole(name, "hidden_size", hidden_size, 1)
        self.places = whole(name, "places", places, 1)
        self.place_size = D = whole(name, "place_size", place_size, 1)
        self.control = nn.Linear(I + D, H)
        self.heads = nn.Linear(H, 2 * (D + 6) + 2 * D)
        self.output = nn.Linear(H + D, O)
        self.blank = nn.Parameter(0.1 * torch.randn(D))  # of every place

    def start(self, batch: int) -> Memory:
        """Blank cells; both heads of `batch` (B) rows on the first place."""
        B = whole("NTMCell.start", "batch", batch, 0, None)
        cells = self.blank.expand(B, self.places, -1)
        head = torch.arange(self.places, device=cells.device) < 1
        head = head.to(cells.dtype).expand(B, -1)
        return Memory(cells, head, head)

    def forward(self, x: Tensor, memory: Memory | None = None) -> tuple[Tensor, Memory]:
        """Take one step: steer, write, read, answer.

        Args:
            x: input, shape (B, I).
            memory: what the last step returned; None starts anew.

        Returns: output (B, O), and the memory after the step.
        Raises: TypeError, ValueError for types and shapes that do not fit.
        """
        shaped("NTMCell", "x", x, "B", self.input_size)
        cells, read, write = self._memory(memory, len(x))
        seen = (read[:, None] @ cells)[:, 0]  # eq. 2
        h = torch.tanh(self.control(torch.cat([x, seen], -1)))
        D = self.place_size
        for_read, for_write, e, a = self.heads(h).split([D + 6] * 2 + [D] * 2, -1)
        write = ntm_address(cells, write, *head_params(for_write, D))
        w = write[..., None]  # (B, U, 1)
        cells = cells * (1 - w * e.sigmoid()[:, None])  # eq. 3
        cells = cells + w * a.tanh()[:, None]  # eq. 4
        read = ntm_address(cells, read, *head_params(for_read, D))
        seen = (read[:, None] @ cells)[:, 0]
        y = self.output(torch.cat([h, seen], -1))
        return y, Memory(cells, read, write)

    def _memory(self, memory: Any, batch: int) -> Memory:
        """A memory of `batch` rows that fits, or a sentence."""
        if memory is None:
            return self.start(batch)
        if not isinstance(memory, (tuple, list)) or len(memory) != 3:
            raise TypeError(
                f"NTMCell: memory is {type(memory).__name__}, expected a Memory, as the last step returned it"
            )
        U, D = self.places, self.place_size
        for name, part, size in zip(Memory._fields, memory, ((U, D), (U,), (U,)), strict=True):
            shaped("NTMCell", f"memory {name}", part, batch, *size)
        return Memory(*memory)


# -- Copy what you heard --
BITS = 8


def copy_lines(batch: int, length: int, generator) -> tuple[Tensor, Tensor]:
    """Bytes, a mark, silence (2 L + 1, B, BITS + 1); bytes (L, B, BITS)."""
    size = (length, batch, BITS)
    said = torch.randint(2, size, generator=generator).float()
    x = torch.zeros(2 * length + 1, batch, BITS + 1)
    x[:length, :, :BITS], x[length, :, BITS] = said, 1
    return x, said


def run_ntm(cell: NTMCell, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Outputs (T, B, O) for x (T, B, I), and both heads' ways (T, B, U)."""
    memory, kept = None, []
    for x_t in x.unbind():
        y, memory = cell(x_t, memory)
        kept.append((y, memory.read, memory.write))
    y, read, write = map(torch.stack, zip(*kept, strict=True))
    return y, read, write


def copy_bits(y: Tensor, said: Tensor) -> Tensor:
    """What a copy costs: bits a line, mean of lines; y (2 L + 1, B, BITS)."""
    nats = F.binary_cross_entropy_with_logits(y[-len(said) :], said, reduction="none")
    return nats.sum((0, 2)).mean() / math.log(2)

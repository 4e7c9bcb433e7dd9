# Generated from book/decoding.md by tools/export.py. Edit the chapter, not this file.
"""Decoding: which text is it?.

From what CTC says at each token to a text, by best path, beam search and spelling.

The chapter book/decoding.md builds this module and explains each line.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from softattn.hub import instance, shaped, whole
from softattn.text import ALPHABET
from softattn.training import in_mode

__all__ = ["beam_search", "best_path", "edit_distance"]


# -- The best path --
def spikes(best: Tensor) -> list[tuple[int, int]]:
    """Letters of a path and the token where each begins."""
    row, found = best.tolist(), []
    for t, k in enumerate(row):
        if k and (t == 0 or row[t - 1] != k):
            found.append((k, t))
    return found


# -- The best path --
def best_path(log_p: Tensor, lengths: Tensor, alphabet: str) -> list[str]:
    """Read the best output at each token, repeats merged, blanks dropped.

    Args: log_p: scores, shape (T, B, 1 + characters); lengths: (B,);
        alphabet: the characters.

    Returns: B texts.
    Raises: TypeError, ValueError for other types or shapes.
    Source: Graves et al. (2006), section 3.2.
    """
    instance("best_path", "alphabet", alphabet, str)
    shaped("best_path", "log_p", log_p, "T", "B", 1 + len(alphabet))
    shaped("best_path", "lengths", lengths, log_p.shape[1], dtype=torch.int64)
    best = log_p.argmax(-1)  # (T, B)
    return [
        "".join(alphabet[k - 1] for k, _ in spikes(row[:n])) for row, n in zip(best.t(), lengths.tolist(), strict=True)
    ]


# -- Two sums for each beginning --
UNLIKELY = -9.0  # nats; a letter below is not tried


def grown(kept: dict, y: list[float], spelling, beam: int) -> dict:
    """The beginnings after one more token."""
    new: dict = {}

    def add(prefix, blank=-math.inf, letter=-math.inf):
        b, n = new.get(prefix, (-math.inf, -math.inf))
        new[prefix] = np.logaddexp(b, blank), np.logaddexp(n, letter)

    likely = [k for k in range(1, len(y)) if y[k] > UNLIKELY]
    bonus = spelling(list(kept)) if spelling and likely else None
    for prefix, (b, n) in kept.items():
        both = np.logaddexp(b, n)
        add(prefix, blank=both + y[0])
        if prefix:
            add(prefix, letter=n + y[prefix[-1]])
        for k in likely:
            gain = 0.0 if bonus is None else bonus[prefix][k - 1]
            twice = prefix[-1:] == (k,)  # needs a blank
            add((*prefix, k), letter=(b if twice else both) + y[k] + gain)
    order = sorted(new, key=lambda p: -np.logaddexp(*new[p]))
    return {prefix: new[prefix] for prefix in order[:beam]}


# -- Two sums for each beginning --
def beam_search(
    log_p: Tensor,
    alphabet: str,
    beam: int = 8,
    spelling: Callable[[list], dict] | None = None,
) -> str:
    """Find a likely text, adding up the paths of each of its beginnings.

    Args:
        log_p: log probabilities, shape (T, 1 + characters).
        alphabet: the characters.
        beam: how many beginnings are kept at each token.
        spelling: a function of beginnings (tuples of codes) that gives for
            each what the next letter adds, (characters,); None adds nothing.

    Returns: the text.
    Raises: TypeError, ValueError for other types or shapes.
    Source: Graves (2012), "Sequence transduction", prefix search.
    """
    instance("beam_search", "alphabet", alphabet, str)
    shaped("beam_search", "log_p", log_p, "T", 1 + len(alphabet))
    beam = whole("beam_search", "beam", beam, 1, 10_000)
    kept = {(): (0.0, -math.inf)}
    for y in log_p.tolist():
        kept = grown(kept, y, spelling, beam)
    best = max(kept, key=lambda p: np.logaddexp(kept[p][0], kept[p][1]))
    return "".join(alphabet[k - 1] for k in best)


# -- Spelling --
NULL = -1  # what stands before the first character, as in `prediction`


class Spelling:
    """What a network over characters thinks of the next letter.

    Args:
        network: over ALPHABET, as the weights `prediction`.
        alphabet: the reader's. weight, bonus: a letter adds
            weight * log p(letter | beginning) + bonus.
    """

    def __init__(self, network, alphabet: str, weight=0.3, bonus=0.6):
        instance("read", "language", network, nn.Module)
        size = getattr(network, "input_size", 0)
        strange = set(alphabet) - set(ALPHABET)
        if size != len(ALPHABET) or strange:
            raise ValueError(f"read: language reads {size} codes, expected the {len(ALPHABET)} of softattn.text")
        self.network, self.weight, self.bonus = network, weight, bonus
        self.index = torch.tensor([ALPHABET.index(c) for c in alphabet])
        self.known: dict = {}
        start = torch.tensor([[NULL], [ALPHABET.index("\n")]])
        self._keep([()], start, None)

    def _keep(self, prefixes, codes, state) -> None:
        weight = self.network.output.weight
        letters = torch.arange(len(ALPHABET), device=weight.device)
        rows = (codes.to(letters)[..., None] == letters).to(weight.dtype)
        with torch.no_grad(), in_mode(self.network, False):
            logits, after = self.network(rows, state)
        log_p = torch.log_softmax(logits[-1, :, self.index].float(), -1)
        gains = (self.weight * log_p + self.bonus).tolist()
        for i, prefix in enumerate(prefixes):
            own = [(h[i : i + 1], c[i : i + 1]) for h, c in after]
            self.known[prefix] = gains[i], own

    def __call__(self, prefixes: list) -> dict:
        new = [p for p in prefixes if p not in self.known]
        if new:
            codes = self.index[[p[-1] - 1 for p in new]][None]
            old = [self.known[p[:-1]][1] for p in new]
            state = []
            for layer in zip(*old, strict=True):  # h, c of each
                h, c = zip(*layer, strict=True)
                state.append((torch.cat(h), torch.cat(c)))
            self._keep(new, codes, state)
        return {p: self.known[p][0] for p in prefixes}


# -- How far is one text from another? --
def edit_distance(a: str, b: str) -> int:
    """The fewest insertions, deletions and replacements from a to b.

    Args: a, b: two texts.
    Returns: a whole number.
    Raises: TypeError for what is no text.
    Source: Levenshtein (1966); over the true length: the error rate.
    """
    for text in (a, b):
        if not isinstance(text, str):
            raise TypeError(f"edit_distance: {text!r:.50} came, expected text")
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            new = min(row[j] + 1, row[j - 1] + 1, last + (x != y))
            last, row[j] = row[j], new
    return row[-1]

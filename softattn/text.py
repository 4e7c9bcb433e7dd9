# Generated from book/text.md by tools/export.py. Edit the chapter, not this file.
"""Text.

Characters as numbers, the book as a corpus, and a table of counts to be measured against.

The chapter book/text.md builds this module and explains each line.
"""

import hashlib
import importlib
import json
import string
import unicodedata
from collections import defaultdict
from importlib import resources

import torch
from torch import Tensor

from softattn.hub import shaped, whole

__all__ = ["ALPHABET", "decode", "encode"]


# -- Text as numbers --

# 96 characters
ALPHABET = "\n " + string.digits + string.ascii_letters + string.punctuation


def _numbers(name: str, alphabet: str) -> dict[str, int]:
    """The code of each character of an alphabet."""
    if not isinstance(alphabet, str):
        what = type(alphabet).__name__
        raise TypeError(f"{name}: alphabet is {what}, expected a str")
    if not alphabet or len(set(alphabet)) < len(alphabet):
        raise ValueError(f"{name}: alphabet is empty or repeats a character")
    return {character: code for code, character in enumerate(alphabet)}


# -- Text as numbers --
def encode(text: str, alphabet: str = ALPHABET) -> Tensor:
    """Turn a text into its codes.

    Args:
        text: at least one character.
        alphabet: the characters; the place of each is its code.

    Returns: int64, shape (T,).
    Raises: ValueError if it is empty or holds characters without a code.
    """
    number = _numbers("encode", alphabet)
    if not isinstance(text, str):
        what = type(text).__name__
        raise TypeError(f"encode: the text is {what}, expected a str")
    if not text:
        raise ValueError("encode: the text has no characters; give at least one")
    if unknown := sorted(set(text) - set(number)):
        first = min(text.index(character) for character in unknown)
        names = ", ".join(map(ascii, unknown[:20]))
        raise ValueError(
            f"encode: not among the {len(alphabet)} characters of the "
            f"alphabet: {names} (first at position {first}); replace them, "
            "or pass an alphabet that holds them"
        )
    return torch.tensor([number[character] for character in text])


# -- Text as numbers --
def decode(codes: Tensor, alphabet: str = ALPHABET) -> str:
    """Turn codes back into text: the inverse of `encode`.

    Args:
        codes: int64, shape (T,).
        alphabet: the characters; the place of each is its code.

    Returns: the text.
    Raises: TypeError, ValueError for other shapes or codes without character.
    """
    _numbers("decode", alphabet)
    shaped("decode", "codes", codes, "T", dtype=torch.int64)
    numbers, size = codes.tolist(), len(alphabet)
    if wrong := [code for code in numbers if not 0 <= code < size]:
        raise ValueError(f"decode: code {wrong[0]} has no character; codes go from 0 to {size - 1}")
    return "".join(alphabet[code] for code in numbers)


# -- Text as numbers --
PLAIN = {
    **{"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "--"},
    **{"…": "...", "°": " degrees", "ß": "ss", "→": "->", "←": "<-"},
    **{"≤": "<=", "≥": ">=", "≈": "~", "±": "+-", "−": "-", "×": "x"},
    **{"·": ".", "\t": "    "},
}


# -- Text as numbers --
def plain_text(text: str) -> str:
    """Write typographic characters in plain ones: curly quotes straight,
    dashes as hyphens, accents left off.

    Args:
        text: any text.

    Returns:
        The text, possibly of another length. Characters that have no plain
        spelling stay: `encode` will name them.
    """
    text = "".join(PLAIN.get(character, character) for character in text)
    apart = unicodedata.normalize("NFKD", text)
    return "".join(c for c in apart if not unicodedata.combining(c))


def library_prose() -> str:
    """The prose that Python brings along: what `help()` knows about the
    language, topic after topic.

    Returns:
        About 460 thousand characters, in the plain alphabet. Which exactly
        depends on the version of Python.
    """
    topics = importlib.import_module("pydoc_data.topics").topics
    return plain_text("\n\n".join(topics[name].strip("\n") for name in sorted(topics)) + "\n")


# -- The corpus: this book --
def book_corpus() -> tuple[str, str]:
    """The book's own text as it stood when `make corpus` last froze it.

    Returns:
        The training part and the held-out part: whole sections of the book,
        chosen by the rule in book.json.

    Raises:
        ValueError: if the text is not the one that its card describes.
    """
    folder = resources.files("softattn") / "data"
    data = (folder / "book.txt").read_bytes()
    card = json.loads((folder / "book.json").read_text("utf-8"))
    if (found := hashlib.sha256(data).hexdigest()) != card["sha256"]:
        raise ValueError(
            f"book_corpus: softattn/data/book.txt has sha256 {found[:12]}, "
            f"its card says {card['sha256'][:12]}; the text was edited or "
            "damaged: install the package again, or freeze it anew with "
            "`make corpus`"
        )
    text = data.decode("utf-8")
    return text[: card["train_characters"]], text[card["train_characters"] :]


# -- A table of counts --
class ContextCounts:
    """Predict a character from how often it followed the same last few
    characters before (Witten-Bell smoothing).

    Args:
        order: the longest context, in characters; 0 looks at none.
        alphabet: the characters that can come.

    Raises:
        ValueError: if the order is negative.

    Source: Witten and Bell (1991), method C, interpolated.
    """

    def __init__(self, order: int, alphabet: str = ALPHABET) -> None:
        self.order = whole("ContextCounts", "order", order, 0)
        self.alphabet = alphabet
        # [k][context of k][character] -> count; [k][context] -> their sum
        self.counts = [defaultdict(dict) for _ in range(order + 1)]
        self.totals = [defaultdict(int) for _ in range(order + 1)]

    def learn(self, text: str, start: int = 0) -> None:
        """Count the characters text[start:], each after the contexts that
        stand before it."""
        for k, (counts, totals) in enumerate(zip(self.counts, self.totals, strict=True)):
            for t in range(max(start, k), len(text)):
                context = text[t - k : t]
                followers = counts[context]
                followers[text[t]] = followers.get(text[t], 0) + 1
                totals[context] += 1

    def probabilities(self, context: str, character: str) -> list[float]:
        """P(character | the last k characters of `context`) for k = 0 ..
        order."""
        p, out = 1 / len(self.alphabet), []
        for k in range(self.order + 1):
            suffix = context[len(context) - k :]
            if k <= len(context) and (total := self.totals[k].get(suffix, 0)):
                followers = self.counts[k][suffix]
                p = (followers.get(character, 0) + len(followers) * p) / (total + len(followers))
            out.append(p)
        return out

    def surprise(self, text: str, past: str = "", adapt: bool = False) -> Tensor:
        """Nats that each character of a text costs, for every order at once.

        Args:
            text: what is read.
            past: what stands before it: context only.
            adapt: learn each character after it was predicted, as a compressor
                does.

        Returns:
            -log P, shape (T, order + 1), float64.

        Raises:
            ValueError: if the text has no characters.
        """
        if not text:
            raise ValueError("ContextCounts.surprise: the text is empty")
        joined, start = text, min(len(past), self.order)
        if start:
            joined = past[-start:] + text
        rows = []
        for t in range(start, len(joined)):
            first = max(0, t - self.order)
            rows.append(self.probabilities(joined[first:t], joined[t]))
            if adapt:
                seen = joined[first : t + 1]
                self.learn(seen, start=min(t, self.order))
        return -torch.tensor(rows, dtype=torch.float64).log()


# -- Windows --
def text_windows(codes: Tensor, length: int, batch: int, generator: torch.Generator) -> Tensor:
    """Cut `batch` random windows out of a long text.

    Args:
        codes: the text, shape (N,), int64, on any device.
        length: T, characters per window.
        batch: B, windows.
        generator: source of the draws, on its own device.

    Returns:
        Codes, shape (T, B), on the device of `codes`.
    """
    shaped("text_windows", "codes", codes, "N", dtype=torch.int64)
    length = whole("text_windows", "length", length, 1, None)
    batch, where = whole("text_windows", "batch", batch, 1), codes.device
    if (places := len(codes) - length + 1) < 1:
        raise ValueError(f"text_windows: the text has {len(codes)} characters, a window {length}; take shorter windows")
    device = generator.device
    starts = torch.randint(places, (batch,), generator=generator, device=device)
    rows = torch.arange(length, device=where)[:, None]
    return codes[rows + starts.to(where)]

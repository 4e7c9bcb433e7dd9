# Generated from book/in_the_page.md by tools/export.py. Edit the chapter, not this file.
"""The networks in the page.

The networks of this book in JavaScript, and a noise that page and Python share.

The chapter book/in_the_page.md builds this module and explains each line.
"""

import base64
import json
import math
import subprocess
from typing import Any

import torch
from torch import Tensor

from softattn.hub import real, shaped, weights, whole
from softattn.page import styles
from softattn.pen import EmbeddedWriter
from softattn.pictures import packed

__all__ = ["page_noise"]


# -- The same dice --
WORD = 2**32 - 1  # the lower 32 bits


def page_uniform(seed: int, count: int) -> Tensor:
    """Uniform numbers in [0, 1) that the page draws too: mulberry32.

    Args:
        seed: a whole number; its lower 32 bits count.
        count: how many.

    Returns: float64, (count,); multiples of 2^-32.
    Raises: TypeError, ValueError for a seed or a count that is none.
    Source: Tommy Ettinger's mulberry32, public domain.
    """
    seed = whole("page_uniform", "seed", seed, -(2**62), 2**62)
    count = whole("page_uniform", "count", count, 0, 2**31)
    steps = torch.arange(1, count + 1) * 0x6D2B79F5
    a = (steps + (seed & WORD)) & WORD
    t = ((a ^ (a >> 15)) * (a | 1)) & WORD
    t = ((t + (t ^ (t >> 7)) * (t | 61)) & WORD) ^ t
    return (t ^ (t >> 14)).double() / 2**32


# -- The same dice --
def page_noise(seed: int, steps: int) -> Tensor:
    """Two uniform and two normal numbers for each step, as the page's.

    Hand it to `softattn.synthesis.sample_lines` as `noise`, and Python
    writes the lines that the demos write.

    Args:
        seed: a whole number; its lower 32 bits count.
        steps: points to draw.

    Returns: float64, (steps, 4).
    Raises: TypeError, ValueError for a seed or steps that are none.
    """
    steps = whole("page_noise", "steps", steps, 0, 2**29)
    n = page_uniform(seed, 4 * steps).view(-1, 4)
    radius = torch.sqrt(-2 * torch.log1p(-n[:, 2]))
    angle = 2 * math.pi * n[:, 3]
    one, other = radius * torch.cos(angle), radius * torch.sin(angle)
    return torch.stack([n[:, 0], n[:, 1], one, other], 1)


# -- The same dice --
def in_node(node: str, script: str) -> str:
    """What a script prints in Node; it may import the demos' modules."""
    text = packed(script)
    done = subprocess.run(
        [node, "--input-type=module", "-"],
        input=text.encode(),
        capture_output=True,
        timeout=300,
    )
    if done.returncode:
        raise RuntimeError(f"in_node: {done.stderr.decode()[-1000:]}")
    return done.stdout.decode()


# -- How the weights come --
def page_card(name: str) -> dict[str, Any]:
    """What a page must know of weights before it asks for them.

    Args:
        name: of weights that come with the package.

    Returns: its name, class, config, bytes, sha256, licence and terms.
    Raises: ValueError if there are no such weights.
    """
    cards = weights()
    if name not in cards:
        there = ", ".join(cards)
        raise ValueError(f"page_card: no weights {name!r}; there are: {there}")
    card, kept = cards[name], "class config bytes sha256 licence".split()
    kept += ["non_commercial", "judged_by"]
    return {"name": name} | {key: card[key] for key in kept if key in card}


# -- How the weights come --
FREE_HANDS = {"printed": 1, "upright": 0, "slim": 7, "script": 3}


def page_hands(name: str) -> dict[str, dict[str, Any]]:
    """Lines to go on from, for weights that write.

    Args:
        name: of the weights.

    Returns: name of the hand -> text, offsets: the line it wrote, raw.
    Raises: ValueError if there are no such weights.
    """
    lines = styles()
    if not page_card(name)["non_commercial"]:
        pens = {k: EmbeddedWriter(seed) for k, seed in FREE_HANDS.items()}
        lines = {k: pen.write("a thin line") for k, pen in pens.items()}
    rounded = {k: line.offsets.round().int() for k, line in lines.items()}
    return {k: {"text": line.text, "offsets": rounded[k].tolist()} for k, line in lines.items()}


# -- How the weights come --
SIGNS = "0123456789abcdefghijklmnopqrstuvwxyz"


def page_line(offsets: Tensor, phi: Tensor, text: str) -> dict[str, Any]:
    """A written line as a demo opens with it.

    Args:
        offsets: raw, (T, 3).
        phi: the window's weights at each point, (T, U).
        text: what was written.

    Returns: text, offsets, peak, phi.
    Raises: TypeError, ValueError for other shapes, or no weight above 0.
    """
    shaped("page_line", "offsets", offsets, "T", 3)
    shaped("page_line", "phi", phi, len(offsets), "U")
    peak = real("page_line", "the peak of phi", phi.amax().item(), 1e-9)
    steps = ((phi / peak).clamp(0, 1).sqrt() * 35).round().int().tolist()
    points = [[round(v, 1) for v in row] for row in offsets.tolist()]
    rows = ["".join(SIGNS[v] for v in row) for row in steps]
    return {"text": text, "offsets": points, "peak": peak, "phi": rows}


# -- How the weights come --
PIECE = 49_152  # bytes; a multiple of 3, so that no piece needs padding


def weights_script(name: str, data: bytes) -> str:
    """A classic script that holds a file of weights, for pages on a disk.

    Args:
        name: of the weights.
        data: the bytes of their file.

    Returns: JavaScript: pieces in base64 in `globalThis.softattnWeights`.
    """
    parts = [data[at : at + PIECE] for at in range(0, len(data), PIECE)]
    pieces = json.dumps([base64.b64encode(p).decode() for p in parts])
    variable = "globalThis.softattnWeights"
    return f"({variable} ??= {{}})[{json.dumps(name)}] = {pieces};\n"

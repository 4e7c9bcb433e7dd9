"""Pick the priming lines that ship as styles: lines that the synthesizer wrote itself, legible and unlike each other.

    python -m recipes.styles                   draws 384 lines and writes softattn/data/styles.json
    python -m recipes.styles --count 8 --out F [--state FILE.pt]

Of the lines that are accepted, the quarter is kept that the recogniser of bench/legibility.py reads best, where it is
installed, the line itself and a text written after it, and among equals those that the model finds least surprising.
Of these one is taken that is far from the middle, then always the one that is furthest from all taken so far, in five
measures: slant, height, width and points per character, pen lifts per character. A style is named after the measure by
which it stands out.
"""

import argparse
import json
import math
from pathlib import Path

import torch

from bench.legibility import NotHere, Reader, error_rates, load_model
from softattn.hub import atomic_write
from softattn.page import ink_height, ink_slant
from softattn.synthesis import faults, judged_by, sample_lines

ROOT = Path(__file__).resolve().parent.parent

TEXTS = ("the quick hand jumps", "five grey boxes move", "a thin black pen line")
COPY = "in a hand of its own"  # written after each line: a style must be readable in what it leads to
NAMES = {
    "slant": ("backward", "leaning"),
    "height": ("small", "tall"),
    "width": ("narrow", "wide"),
    "points": ("hasty", "patient"),
    "lifts": ("joined", "printed"),
}


def measures(line):
    """Five numbers that say how a line is written."""
    x, characters = line.to_absolute()[:, 0], len(line.text)
    return [
        ink_slant(line),
        math.log(ink_height(line)),
        math.log((x.amax() - x.amin()).item() / characters),
        math.log(len(line) / characters),
        line.offsets[:, 2].sum().item() / characters,
    ]


def misread(lines):
    """Character error rate of each line as bench/legibility.py reads it; zeros where there is no recogniser."""
    try:
        return error_rates(Reader(1)(lines), [line.text for line in lines]).tolist()
    except NotHere as err:
        print(f"not read by a recogniser: {err}")
        return [0.0] * len(lines)


def stored(line):
    """A line as JSON, its points on whole raw units, as in the corpus."""
    paper = line.to_absolute()[:, :2].round()
    steps = torch.diff(paper, dim=0, prepend=paper[:1])
    return {"text": line.text, "offsets": torch.cat([steps, line.offsets[:, 2:]], 1).int().tolist()}


def pick(points, count):
    """Rows of `points` that are far from each other, the outermost first."""
    taken = [int(points.norm(dim=1).argmax())]
    while len(taken) < count:
        taken.append(int(torch.cdist(points, points[taken]).amin(1).argmax()))
    return taken


def names(points):
    """One name per row: that of the measure by which it stands out most, each name once."""
    given = {}
    for _, row, column in sorted(((-abs(v), i, j) for i, r in enumerate(points.tolist()) for j, v in enumerate(r))):
        name = list(NAMES.values())[column][int(points[row, column] > 0)]
        if row not in given.values() and name not in given:
            given[name] = row
    return given


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=8, help="styles, at most 10")
    parser.add_argument("--lines", type=int, default=384, help="lines to draw")
    parser.add_argument("--bias", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=ROOT / "softattn" / "data" / "styles.json")
    parser.add_argument("--weights", default="synthesis")
    parser.add_argument("--state", type=Path, help="a training state of recipes/synthesis.py instead of weights")
    args = parser.parse_args()
    model, lines = load_model(args), []
    for start in range(0, args.lines, 64):
        seeds = range(args.seed * 1000 + start, args.seed * 1000 + min(start + 64, args.lines))
        drafts = sample_lines(model, [TEXTS[seed % len(TEXTS)] for seed in seeds], seeds, args.bias)
        lines += [draft.strokes for draft in drafts if not faults(draft, judged_by(model))]
    if len(lines) < 2 * args.count:
        raise SystemExit(
            f"{len(lines)} of {args.lines} lines were accepted: too few to choose {args.count} styles from"
        )
    copies = []
    for start in range(0, len(lines), 64):
        part = lines[start : start + 64]
        copies += sample_lines(model, [COPY] * len(part), range(start, start + len(part)), 0.75, primes=part)
    scores = model.scores(lines)
    wrong = [a + b for a, b in zip(misread(lines), misread([copy.strokes for copy in copies]), strict=True)]
    surprise = (scores["nats"] / scores["points"]).tolist()
    usual = sorted(range(len(lines)), key=lambda i: (round(wrong[i], 1), surprise[i]))[: len(lines) // 4]
    lines, wrong = [lines[i] for i in usual], [wrong[i] for i in usual]
    points = torch.tensor([measures(line) for line in lines])
    points = ((points - points.mean(0)) / points.std(0)).clamp(-2.5, 2.5)
    taken = pick(points, args.count)
    given = names(points[taken])
    for name, row in sorted(given.items()):
        measured = ", ".join(
            f"{key} {value:+.1f}" for key, value in zip(NAMES, points[taken[row]].tolist(), strict=True)
        )
        print(f"{name:10s} error rates, added {wrong[taken[row]]:.2f}; in standard deviations: {measured}")
    styles = {name: stored(lines[taken[row]]) for name, row in sorted(given.items())}
    about = f"written by the weights synthesis, recipes/styles.py --lines {args.lines} --seed {args.seed}"
    with atomic_write(args.out) as beside:
        beside.write_text(json.dumps({"source": about, "styles": styles}, separators=(",", ":")) + "\n", "utf-8")
    print(
        f"{len(lines)} of {args.lines} lines stood for choice; {', '.join(styles)}; {args.out.stat().st_size:,} bytes"
    )


if __name__ == "__main__":
    main()

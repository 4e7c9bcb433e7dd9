"""Measure what twenty lines of a new hand are worth: base, priming, last layer, adapters, all weights.

    SOFTATTN_DATA=... python -m recipes.own_hand             the 12 new writers, into softattn/data/own-hand.json
    SOFTATTN_DATA=... python -m recipes.own_hand --choose    writers of val1, to choose settings by; stores nothing

For each writer, 20 lines are at hand (of which `fine_tune` holds out four) and up to 10 others are scored. With each of
base, priming, adapters, and primed adapters six texts are written and proofread, and a judge says which of the writers
wrote each line: the nearest mean of stroke statistics, in the metric of how much these vary within a writer, learned
from the 20 real lines of each.
The twelve writers chose nothing: settings, statistics and judge were chosen on writers of val1. What is stored are
figures by writer, under letters; no line, and no number of a writer. Figures are written after each piece, and a second
call goes on where the first one stopped. One thread; some two minutes of it for a writer.
"""

import argparse
import json
import math
import os
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

import softattn
from recipes._run import commit
from softattn.decoding import edit_distance
from softattn.hub import atomic_write
from softattn.iam import load_iam
from softattn.own_hand import fine_tune, name_of, primed_nats
from softattn.page import ink_height, ink_slant
from softattn.strokes import Strokes

OUT = Path(__file__).resolve().parent.parent / "softattn" / "data" / "own-hand.json"
LINES, OTHERS, STEPS, BIAS = 20, 10, 30, 0.75
TEXTS = (
    "the letter came on Friday",
    "nobody asked for a lamp",
    "we walked as far as the mill",
    "bring bread, salt and honey",
    "a quiet night by the water",
    "He sold both of his boats",
)


def new_writers(root: Path) -> list[list[Strokes]]:
    """The lines of each of the twelve writers."""
    with np.load(root / "iam-ondb" / "new_writers.npz") as stored:
        table = {name: stored[name] for name in stored.files}
    ends = table["length"].cumsum()
    found: dict[int, list[Strokes]] = {}
    for k, (end, count) in enumerate(zip(ends, table["length"], strict=True)):
        part = slice(end - count, end)
        rows = np.column_stack([table["dxdy"][part], table["eos"][part]]).astype(np.float32)
        line = Strokes(torch.from_numpy(rows), str(table["text"][k]), "a new writer")
        found.setdefault(int(table["writer"][k]), []).append(line)
    return [found[writer] for writer in sorted(found)]


def val1_writers(root: Path) -> list[list[Strokes]]:
    """Writers of val1: the list names eight forms of each, one after the other, from a01-023z on."""
    lines, _ = load_iam(split="val1", progress=False)
    forms = (root / "iam-ondb" / "testset_v.txt").read_text().split()
    forms = [form for form in forms[forms.index("a01-023z") :] if form.endswith("z")]
    of = {form: [line for line in lines if f"/{form}-" in line.source] for form in forms}
    return [[line for form in forms[i : i + 8] for line in of[form]] for i in range(0, len(forms), 8)]


# -- who wrote it ------------------------------------------------------------------------------------------------------


def features(line: Strokes) -> np.ndarray:
    """Numbers that say how a line is written, whatever it says."""
    rows, letters = line.offsets.double().numpy(), max(1, len(line.text.replace(" ", "")))
    down = rows[:-1, 2] == 0
    steps, jumps = rows[1:, :2][down], np.abs(rows[1:, :2][~down])
    size = np.hypot(*steps.T)
    moved = steps[size > 0]
    way = np.histogram(np.arctan2(moved[:, 1], moved[:, 0]), 8, (-math.pi, math.pi), weights=size[size > 0])[0]
    both = down[:-1] & down[1:]
    a, b = rows[1:-1, :2][both], rows[2:, :2][both]
    turn = np.arctan2(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0], (a * b).sum(1))
    bend = np.histogram(np.abs(turn), 4, (0, math.pi))[0]
    ends = np.flatnonzero(rows[:, 2] > 0)
    points = np.diff(ends, prepend=-1)
    return np.array(
        [
            ink_slant(line),
            math.log(ink_height(line)),
            math.log(np.ptp(rows[:, 0].cumsum()) / letters),
            math.log(len(rows) / letters),
            len(ends) / letters,
            math.log(size.mean()),
            size.std() / size.mean(),
            math.log(np.abs(steps[:, 1]).mean()),
            math.log(points.mean()),
            (points == 1).mean(),
            (turn > 0).mean(),
            *(3 * np.sqrt(way / way.sum())),
            *(3 * np.sqrt(bend / bend.sum())),
            *np.log1p(jumps.mean(0) if len(jumps) else np.zeros(2)),
            (rows[1:, 0][~down] < 0).mean() if len(jumps) else 0.0,
        ]
    )


class Judge:
    """Says which of the writers wrote a line: the nearest mean, in units of what varies within writers."""

    def __init__(self, known: list[np.ndarray]):
        self.means = np.array([rows.mean(0) for rows in known])
        within = np.concatenate([rows - rows.mean(0) for rows in known])
        spread = within.T @ within / (len(within) - len(known))
        spread = 0.8 * spread + 0.2 * np.diag(np.diag(spread)) + 1e-6 * np.eye(len(spread))
        self.metric = np.linalg.inv(spread)

    def __call__(self, line: Strokes) -> int:
        away = features(line) - self.means
        return int(np.einsum("ij,jk,ik->i", away, self.metric, away).argmin())


# -- how surprising it is ----------------------------------------------------------------------------------------------


def error_rate(lines: list[Strokes]) -> float:
    """Characters misread by the book's own reader, of those that the lines should say."""
    read = softattn.read(lines)
    wrong = sum(edit_distance(line.text, one.text) for line, one in zip(lines, read, strict=True))
    return wrong / sum(len(line.text) for line in lines)


# -- one writer --------------------------------------------------------------------------------------------------------


class Bench:
    """The twelve writers: their lines, the judge, and what was measured so far."""

    def __init__(self, writers: list[list[Strokes]], out: Path | None, steps: int):
        self.out, self.steps, self.base = out, steps, softattn.load("synthesis")
        self.mine, self.others = [], []
        for n, lines in enumerate(writers):
            order = np.random.default_rng(n).permutation(len(lines))
            self.mine.append([lines[i] for i in order[:LINES]])
            self.others.append([lines[i] for i in order[LINES : LINES + OTHERS]])
        self.judge = Judge([np.array([features(line) for line in lines]) for lines in self.mine])
        self.table: dict[str, Any] = {"writers": {}}
        if out is not None and out.exists():
            self.table = json.loads(out.read_text("utf-8"))

    def row(self, n: int) -> dict[str, Any]:
        return self.table["writers"].setdefault("ABCDEFGHIJKLMNOPQRSTUVWXYZ"[n], {})

    def written(self, n: int, model: Any, prime: Strokes | None = None) -> dict[str, Any]:
        """How many of the lines that a model writes are taken for this writer's, and how they read.

        Written as softattn.write does: a line that does not read as its text is drawn again.
        """
        with warnings.catch_warnings(action="ignore"):  # doubts: they count as misread
            pages = softattn.write(TEXTS, bias=BIAS, prime=prime, seed=n, model=model)
        lines = [line for page in pages for line in page.lines]
        right = [self.judge(line) == n for line in lines if len(line) > 10]
        return {"recognised": sum(right), "written": len(lines), "error_rate": error_rate(lines)}

    def tuned(self, n: int, layers: str) -> dict[str, Any]:
        """Fine-tune on the writer's lines, score the others; lines that it writes, for adapters."""
        begin = time.process_time()
        model = fine_tune(self.base, self.mine[n], layers=layers, steps=self.steps)
        seconds = time.process_time() - begin
        card: Any = model.card
        row = {"nats": model.nats(self.others[n]).mean().item(), "cpu_seconds": round(seconds, 1)}
        row |= {"steps": card["steps"], "looks": [round(v, 1) for v in card["curve"]["rows"]]}
        if layers == "adapters":
            row |= self.written(n, model) | {"primed": self.written(n, model, self.mine[n][0])}
        return row

    def before(self, n: int) -> dict[str, Any]:
        """Base and priming."""
        prime, others = self.mine[n][0], self.others[n]
        known = [self.judge(line) == n for line in others]
        return {
            "lines": len(others),
            "real": {"recognised": sum(known), "written": len(known), "error_rate": error_rate(others)},
            "base": {"nats": self.base.nats(others).mean().item(), **self.written(n, self.base)},
            "priming": {
                "nats": primed_nats(self.base, prime, others).mean().item(),
                **self.written(n, self.base, prime),
            },
        }

    def save(self) -> None:
        if self.out is not None:
            with atomic_write(self.out) as beside:
                beside.write_text(json.dumps(self.table, indent=1) + "\n", "utf-8")

    def go(self, only: list[int]) -> None:
        """Adapters of all writers first, then what they are compared with."""
        for n in only:
            if not self.row(n):
                self.row(n).update(self.before(n))
                self.told(n, "base", "priming")
            if "adapters" not in self.row(n):
                self.row(n)["adapters"] = self.tuned(n, "adapters")
                self.told(n, "adapters")
        for layers in ("last", "all"):
            for n in only:
                if layers not in self.row(n):
                    self.row(n)[layers] = self.tuned(n, layers)
                    self.told(n, layers)

    def told(self, n: int, *names: str) -> None:
        self.save()
        base = self.row(n)["base"]["nats"]
        for name in names:
            row = dict(self.row(n)[name])
            print(f"{n} {name:9} {row.pop('nats') - base:+8.1f} nats a line  {row}", flush=True)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--choose", action="store_true", help="writers of val1 instead; nothing is stored")
    parser.add_argument("--writers", type=int, nargs="*", help="numbers of the writers, from 0 on; all if not said")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    root = Path(os.environ["SOFTATTN_DATA"])
    writers = val1_writers(root)[:12] if options.choose else new_writers(root)
    bench = Bench(writers, None if options.choose else options.out, options.steps)
    bench.table |= {
        "source": "IAM-OnDB's 12 withheld writers, figures by writer alone, by recipes/own_hand.py",
        "command": f"python -m recipes.own_hand --steps {options.steps}",
        "commit": commit(),
        "weights": name_of(bench.base)[1],
        "settings": {"lines": LINES, "steps": options.steps, "bias": BIAS, "texts": len(TEXTS)},
    }
    bench.go(list(range(len(writers))) if options.writers is None else options.writers)


if __name__ == "__main__":
    main()

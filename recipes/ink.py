"""Measure which way ink tells that it points, and the bounds of its size and pace, for the chapter `ink`.

    SOFTATTN_DATA=... python -m recipes.ink

It fits the two factors of the chapter's z on IAM-OnDB's training lines (a logistic regression without a constant, for
a line upside down has the opposite z), judges them on the split `val2`, and writes softattn/data/ink-iam.json:
aggregates, and nothing that a line or a writer could be recognised by. A minute on one core.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from softattn.hub import atomic_write
from softattn.iam import load_iam
from softattn.ink import downness, fall_and_turn, height_of
from softattn.strokes import Strokes
from softattn.trace import ink_of

OUT = Path(__file__).resolve().parent.parent / "softattn" / "data" / "ink-iam.json"


def fit(features: np.ndarray, steps: int = 50) -> np.ndarray:
    """Factors w (2,) that maximise the mean of log sigma(w x), x (N, 2), by Newton's method."""
    scale = features.std(0)
    x, w = features / scale, np.zeros(features.shape[1])
    for _ in range(steps):
        p = 1 / (1 + np.exp(-x @ w))
        slope = x.T @ (1 - p) - 1e-3 * len(x) * w
        bend = (x * (p * (1 - p))[:, None]).T @ x + 1e-3 * len(x) * np.eye(len(w))
        w = w + np.linalg.solve(bend, slope)
    return w / scale


def bounds(lines: list[Strokes]) -> dict[str, list[float]]:
    """Half a percent, half and 99.5 percent of the lines lie below these."""
    rows = []
    for line in lines:
        xy, stroke = ink_of(line)
        height, way = height_of(xy, stroke), line.offsets[1:, :2][line.offsets[:-1, 2] == 0]
        step = float(np.hypot(*way.numpy().T).mean()) / height
        rows.append((height, np.ptp(xy[:, 0]) / len(line.text), step))
    cuts = np.quantile(np.array(rows), [0.005, 0.5, 0.995], axis=0).T
    return dict(zip(("height", "width", "step"), cuts.round(3).tolist(), strict=True))


def measure() -> dict:
    """The table of the chapter."""
    train, _ = load_iam(split="train")
    held, _ = load_iam(split="val2")
    features = np.array([fall_and_turn(*ink_of(line)) for line in train])
    z = np.array([downness(*ink_of(line)) for line in held])
    return {
        "source": "IAM-OnDB, fitted on train, judged on val2: aggregates only, by recipes/ink.py",
        "factors": fit(features).round(2).tolist(),
        "held_out": {"lines": len(z), "wrong": int((z < 0).sum()), "below_1": round(float((z < 1).mean()), 4)},
        "bounds": bounds(train),
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args(arguments)
    table = measure()
    with atomic_write(options.out) as temporary:
        temporary.write_text(json.dumps(table, indent=1) + "\n")
    print(f"{options.out}: {table}")


if __name__ == "__main__":
    main()

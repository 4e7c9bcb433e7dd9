"""Measure IAM-OnDB's training lines for the figure of the chapter `iam`.

    SOFTATTN_DATA=... python -m recipes.strokes

It writes softattn/data/strokes-iam.json: means and histograms over all 5,364 lines of the split `train`, and nothing
that a line or a writer could be recognised by. Half a minute on one core the first time, a few seconds after that.

    SOFTATTN_DATA=... python -m recipes.strokes --limits

writes softattn/data/strokes-limits.json: the standard deviation of a step over the training lines (train, val2, test)
where steps longer than a limit are left out, for the chapter `scoreboard`.
"""

import argparse
import json
from pathlib import Path

import torch

from softattn.hub import atomic_write
from softattn.iam import load_iam
from softattn.strokes import stroke_statistics

OUT = Path(__file__).resolve().parent.parent / "softattn" / "data" / "strokes-iam.json"


def measure(split: str = "train") -> dict:
    """The statistics of one split, with where they come from."""
    lines, _ = load_iam(split=split)
    return {
        "source": f"IAM-OnDB, split {split}: aggregates only, by recipes/strokes.py",
        **stroke_statistics(lines),
    }


LIMITS = Path(OUT).with_name("strokes-limits.json")
LONGEST = [None, 2000, 1500, 1250, 1000, 900, 800, 750, 700, 600, 500, 400]  # raw units


def measure_limits() -> dict:
    """Standard deviations of dx and dy, and the share of steps left out, for each limit on a step's length."""
    lines = [line for split in ("train", "val2", "test") for line in load_iam(split=split)[0]]
    steps = torch.cat([line.offsets[1:, :2].double() for line in lines])
    length, rows = steps.norm(dim=1), []
    for limit in LONGEST:
        kept = steps if limit is None else steps[length <= limit]
        std = [round(s, 3) for s in kept.std(0).tolist()]
        rows.append({"limit": limit, "std": std, "left_out": round(1 - len(kept) / len(steps), 6)})
    return {
        "source": "IAM-OnDB, train, val2, what is here of test: aggregates only, by recipes/strokes.py --limits",
        "lines": len(lines),
        "steps": len(steps),
        "unit": "raw units",
        "rows": rows,
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--split", default="train", choices=["train", "val1", "val2", "test"])
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--limits", action="store_true", help="standard deviations without steps over a limit")
    options = parser.parse_args(arguments)
    if options.limits:
        limits = measure_limits()
        with atomic_write(LIMITS) as temporary:
            temporary.write_text(json.dumps(limits, indent=1) + "\n")
        print(f"{LIMITS}: {limits['lines']} lines, {limits['steps']} steps")
        return
    statistics = measure(options.split)
    with atomic_write(options.out) as temporary:
        temporary.write_text(json.dumps(statistics, indent=1) + "\n")
    print(f"{options.out}: {statistics['lines']} lines, {statistics['points']} points")


if __name__ == "__main__":
    main()

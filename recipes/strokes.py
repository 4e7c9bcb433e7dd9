"""Measure IAM-OnDB's training lines for the figure of the chapter `iam`.

    SOFTATTN_DATA=... python -m recipes.strokes

It writes softattn/data/strokes-iam.json: means and histograms over all 5,364 lines of the split `train`, and nothing
that a line or a writer could be recognised by. Half a minute on one core the first time, a few seconds after that.
"""

import argparse
import json
from pathlib import Path

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


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--split", default="train", choices=["train", "val1", "val2", "test"])
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args(arguments)
    statistics = measure(options.split)
    with atomic_write(options.out) as temporary:
        temporary.write_text(json.dumps(statistics, indent=1) + "\n")
    print(f"{options.out}: {statistics['lines']} lines, {statistics['points']} points")


if __name__ == "__main__":
    main()

"""Make what `attention` and `alignment` load: learning curves of ten seeds, two networks that translate dates.

    python -m recipes.attention seeds      writes softattn/data/attention-seeds.json
    python -m recipes.attention dates      writes softattn/weights/dates.safetensors
    python -m recipes.attention fixed      the same network without attention: softattn/weights/dates-fixed.safetensors

`seeds` trains each way of looking from ten seeds, once with the policy's rate ten times below the reader's ("slow") and
once with one ten times above it ("hasty"); every run is written, whatever became of it. `dates` and `fixed` learn lists
of one to three dates, each batch of one length, for the same number of steps. Each takes
a few minutes on one idle core. All data is made by the chapter itself.
"""

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any, cast

import torch

from recipes._processes import alone
from recipes._run import ROOT, WEIGHTS, commit
from softattn.alignment import DateTranslator, calendar_days, date_batch, date_loss, date_pairs, exact_share
from softattn.attention import ESTIMATORS, clutter_line, learn_to_look
from softattn.hub import atomic_write, save_weights
from softattn.training import cosine, device, fit

TABLE = ROOT / "softattn" / "data" / "attention-seeds.json"
PACES: dict[str, dict[str, Any]] = {  # steps, policy rate; the reader's rate is 0.03 in both
    "slow": dict(steps=1000, policy_rate=0.003, every=25),
    "hasty": dict(steps=400, policy_rate=0.3, every=25),
}


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("what", choices=["seeds", "dates", "fixed"])
    parser.add_argument("--seeds", type=int, default=10, help="seeds: how many runs of each way")
    parser.add_argument("--steps", type=int, help="seeds: shortens every run; dates, fixed: training steps (600)")
    parser.add_argument("--batch", type=int, default=64, help="dates, fixed: lists in a batch")
    parser.add_argument("--rate", type=float, default=4e-3, help="dates, fixed: highest learning rate")
    parser.add_argument("--pool", type=int, default=8000, help="dates, fixed: lists of each length to learn from")
    parser.add_argument("--seed", type=int, default=0, help="dates, fixed: of everything that is drawn")
    parser.add_argument("--device", default=None, help="dates, fixed: cpu, cuda ...")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="the file to write")
    return parser.parse_args(arguments)


def seeds(options: argparse.Namespace) -> None:
    """Train each way from each seed and write the curves."""
    runs, steps = [], {}
    cells, place, digit = clutter_line(2000, 16, torch.Generator().manual_seed(1_000_001))
    for pace, settings in PACES.items():
        settings = {**settings, "steps": min(settings["steps"], options.steps or settings["steps"])}
        for name in ESTIMATORS:
            for seed in range(options.seeds):
                reader, curve = learn_to_look(name, torch.Generator().manual_seed(seed), **settings)
                with torch.no_grad():
                    marked = reader(cells)[0].exp().gather(1, place[:, None])[:, 0]
                by_digit = [round(marked[digit == k].mean().item(), 2) for k in range(10)]
                steps[pace] = [row[0] for row in curve]
                columns = {"found": 1, "picked": 2, "blend": 3}
                rows = {key: [round(row[k], 3) for row in curve] for key, k in columns.items()}
                runs.append({"pace": pace, "estimator": name, "seed": seed, **rows, "by_digit": by_digit})
            ends = " ".join(f"{run['found'][-1]:.2f}" for run in runs[-options.seeds :])
            print(f"{pace} {name}: weight on the mark at the end {ends}", flush=True)
    head = {
        "source": "made by recipes/attention.py seeds",
        "columns": "found: mean weight of the marked cell; picked, blend: share of digits right when one cell is "
        "picked, when the weighted sum is read; on 500 other lines. by_digit: found at the end, by the digit marked",
        "paces": PACES,
        "steps": steps,
    }
    out = options.out or TABLE
    with atomic_write(out) as temporary:
        text = json.dumps(head, indent=1)[:-2] + ',\n "runs": [\n  '
        temporary.write_text(text + ",\n  ".join(json.dumps(run) for run in runs) + "\n ]\n}\n")
    print(f"wrote {out.name}: {len(runs)} runs")


def dates(options: argparse.Namespace, attention: bool, arguments: list[str]) -> None:
    """Train a translator on lists of one to three dates and write it with its card."""
    where = torch.device(options.device) if options.device else device()
    torch.manual_seed(options.seed)
    generator = torch.Generator().manual_seed(options.seed)
    steps = options.steps or 600
    seen, held = calendar_days(False), calendar_days(True)
    lessons = [date_pairs(seen, options.pool, length, generator) for length in (1, 2, 3)]
    config = {"attention": attention}
    model = DateTranslator(**config).to(where)
    optimizer = torch.optim.Adam(model.parameters(), lr=options.rate)

    def batches(g: torch.Generator):
        return date_batch(lessons[int(torch.randint(3, (1,), generator=g))], options.batch, g)

    started = time.monotonic()
    history = fit(
        model,
        batches,
        cast(Any, date_loss),
        optimizer,
        steps=steps,
        schedule=cosine(steps, warmup=min(50, steps)),
        generator=generator,
        progress=False,
    )
    minutes = (time.monotonic() - started) / 60
    dtype = torch.float16
    rounded = DateTranslator(**config).to(where).eval()
    rounded.load_state_dict({name: value.to(dtype).to(value.dtype) for name, value in model.state_dict().items()})
    test = torch.Generator().manual_seed(1_000_000)
    exact = [exact_share(rounded, date_pairs(held, 1000 if k == 1 else 200, k, test)) for k in range(1, 7)]
    name = "dates" if attention else "dates-fixed"
    words = "with additive attention" if attention else "from one summary vector, without attention"
    check = date_pairs(held, 50, 2, torch.Generator().manual_seed(1_000_001))
    with torch.no_grad():
        nats = date_loss(rounded, date_batch(check, 50, torch.Generator().manual_seed(0))).item()
    card = {
        "class": "softattn.alignment.DateTranslator",
        "config": config,
        "summary": f"Translates written dates into ISO dates, {words}.",
        "data": f"made by the chapter: {options.pool} lists each of 1, 2 and 3 dates; four in five days of 1900-2099",
        "licence": "MIT; trained on data that the chapter makes",
        "non_commercial": False,
        "command": "python -m recipes.attention " + " ".join(arguments),
        "commit": commit(),
        "steps": len(history),
        "minutes": round(minutes, 1),
        "machine": f"{where.type}, {platform.machine()}, {options.threads} of {os.cpu_count()} threads, "
        f"torch {torch.__version__.split('+')[0]}",
        "seed": options.seed,
        "metric": {"name": "exact share", "value": round(exact[0], 4), "split": "1,000 single dates of held-out days"},
        "paper": "none; the task is a toy of the chapter",
        "exact_by_length": [round(share, 4) for share in exact],
        "check": {"seed": 1_000_001, "lists": 50, "dates": 2, "nats_per_sign": round(nats, 6)},
    }
    out = options.out or WEIGHTS / f"{name}.safetensors"
    save_weights(out, model.state_dict(), card, dtype=dtype)
    print(f"wrote {out.name}: exact on lists of 1 to 6 dates {card['exact_by_length']}, {minutes:.1f} min")


def main(arguments: list[str] | None = None) -> int:
    alone("recipes.attention")
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    if options.what == "seeds":
        seeds(options)
    else:
        dates(options, options.what == "dates", sys.argv[1:] if arguments is None else arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())

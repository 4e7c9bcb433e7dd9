"""How long the translator of the chapter `attention` takes to learn single dates: three seeds, exact share and seconds.

    python -m bench.attention              two threads, about a minute of an idle machine
    python -m bench.attention --quick      one seed, few steps
    python -m bench.attention --threads 1

The aim is 99.5 % exact on held-out calendar days after less than 60 s of training on two cores, as medians over the
seeds. Run it while nothing else runs; seconds of the processor stand beside those of the clock, and where the two part,
something else ran. It judges nothing.
"""

import statistics
import sys
import time
from typing import Any, cast

import torch

from bench._result import Result, parser
from softattn.alignment import DateTranslator, calendar_days, date_batch, date_loss, date_pairs, exact_share
from softattn.training import cosine, fit


def train(seed: int, steps: int, batch: int, attention: bool) -> tuple[float, float, float]:
    """Train on single dates; exact share on 2,000 of held-out days, seconds by the clock, seconds of the processor."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    clock, cpu = time.monotonic(), time.process_time()
    lesson = date_pairs(calendar_days(False), 20_000, 1, generator)
    model = DateTranslator(attention)
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    fit(
        model,
        lambda g: date_batch(lesson, batch, g),
        cast(Any, date_loss),
        optimizer,
        steps=steps,
        schedule=cosine(steps, warmup=min(40, steps)),
        generator=generator,
        progress=False,
    )
    clock, cpu = time.monotonic() - clock, time.process_time() - cpu
    exam = date_pairs(calendar_days(True), 2_000, 1, torch.Generator().manual_seed(1_000_002))
    return exact_share(model.eval(), exam), clock, cpu


def main() -> int:
    parse = parser(__doc__)
    parse.add_argument("--seeds", type=int, default=3, help="trainings, whose median counts")
    parse.add_argument("--steps", type=int, default=300)
    parse.add_argument("--batch", type=int, default=128)
    parse.add_argument("--threads", type=int, default=2)
    parse.add_argument("--fixed", action="store_true", help="the rival without attention too")
    options = parse.parse_args()
    if options.quick:
        options.seeds, options.steps = 1, 60
    torch.set_num_threads(options.threads)
    result = Result("attention", options.threads, options.seeds, speed=False)
    print(f"threads {options.threads}, {options.steps} steps of {options.batch} dates")
    for attention in [True] + [False] * options.fixed:
        runs = [train(seed, options.steps, options.batch, attention) for seed in range(options.seeds)]
        name = "attention" if attention else "one summary"
        for seed, (exact, clock, cpu) in enumerate(runs):
            print(f"  {name}, seed {seed}: {exact:.2%} exact, {clock:.1f} s by the clock, {cpu:.1f} s of the processor")
        exact, clock, cpu = (statistics.median(column) for column in zip(*runs, strict=True))
        print(f"{name}: median {exact:.2%} exact, {clock:.1f} s by the clock, {cpu:.1f} s of the processor")
        what = f"{name}: median of {options.seeds} seeds, {options.steps} steps of {options.batch} single dates"
        key = name.replace(" ", "_")
        result.figure(f"{key}_exact", exact, "share", f"{what}; exact on 2,000 of held-out days")
        result.figure(f"{key}_seconds", clock, "s", f"{what}; seconds of training by the clock")
        result.figure(f"{key}_processor_seconds", cpu, "s", f"{what}; seconds of the processor")
    result.finish(options)
    return 0


if __name__ == "__main__":
    sys.exit(main())

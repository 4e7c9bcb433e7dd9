"""What every benchmark shares: how it times, what it prints, and the record that pages read.

A benchmark compares side by side in one process; each figure is a median of at least three calls, and what is compared
takes turns, so that a slow minute hits all of it. With `--write` the figures go to bench/results/NAME.json, which
`softattn.hub.results(NAME)` reads, in the repository and from the installed package:

    {"figures": {KEY: {"value": 1.43, "unit": "ratio", "what": "..."}}, "tables": [{"title", "head", "rows"}],
     "command", "processor", "kind", "threads", "rounds", "load", "torch", "date", "commit"}

What was measured on another kind of processor than the record that stands there is stored beside it, as NAME@KIND.json,
so that a page can show both: times and their ratios hold on one kind only.

`load` is what else ran in the second before the benchmark began, in busy processors: above 0.7 do not trust a figure.
"""

import argparse
import datetime
import json
import math
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from softattn.fused_lstm import product_seconds
from softattn.hub import atomic_write

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results"
FEWEST = 3  # calls behind a median
HOPELESS = 4  # times as long as in float32: formats slower than that are not timed


def parser(doc: str | None, raw: bool = False) -> argparse.ArgumentParser:
    """The options that all benchmarks know; `raw` prints the whole docstring as help."""
    text = doc or ""
    kind = argparse.RawDescriptionHelpFormatter if raw else argparse.HelpFormatter
    made = argparse.ArgumentParser(description=text if raw else text.splitlines()[0], formatter_class=kind)
    made.add_argument("--quick", action="store_true", help="small sizes, few rounds; nothing of it is stored")
    made.add_argument("--rounds", type=_rounds, help=f"how often each is timed, {FEWEST} times at least")
    made.add_argument("--write", action="store_true", help="store the figures in bench/results/")
    return made


def _rounds(text: str) -> int:
    if (number := int(text)) < FEWEST:
        raise argparse.ArgumentTypeError(f"{number} is too few: each figure is a median of at least {FEWEST} calls")
    return number


def processor() -> str:
    """The processor's name, as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def kind(name: str, flags: str | None = None) -> str:
    """A short word for a processor, of its features `flags`: its maker; "-amx" where it has tiles for products, "-avx2"
    where its vectors are no longer than that. One name, "AMD EPYC", stands for processors with and without AVX-512.
    """
    if flags is None:
        try:
            flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        except OSError:
            flags = ""
    maker = re.sub(r"[^a-z0-9]+", "", (re.split(r"[\s(]", name.strip()) or [""])[0].lower()) or "unknown"
    amx, long, short = (bool(re.search(rf"\b{name}\b", flags)) for name in ("amx_tile", "avx512f", "avx2"))
    return maker + ("-amx" if amx else "-avx2" * (short and not long))


def worth_timing(rows: Sequence[tuple]) -> list[tuple]:
    """Rows, whose first word names a number format: without bfloat16 where the processor is far too slow for it."""
    seconds = {dtype: product_seconds(dtype, "cpu") for dtype in (torch.float32, torch.bfloat16)}
    times = seconds[torch.bfloat16] / seconds[torch.float32]
    if times <= HOPELESS:
        return list(rows)
    print(f"bfloat16 is left out: a product takes {times:.0f} times as long as in float32\n")
    return [row for row in rows if not row[0].startswith("bfloat16")]


def busy_processors(seconds: float = 1.0) -> float:
    """How many processors work at present; the average of the last minute would count the benchmark before this one."""
    try:
        before = [int(n) for n in Path("/proc/stat").read_text(encoding="utf-8").split("\n")[0].split()[1:9]]
        time.sleep(seconds)
        after = [int(n) for n in Path("/proc/stat").read_text(encoding="utf-8").split("\n")[0].split()[1:9]]
    except OSError:
        return round(os.getloadavg()[0], 2)
    spent = [b - a for a, b in zip(before, after, strict=True)]
    idle = spent[3] + spent[4]  # idle, and waiting for a disk
    return round((os.cpu_count() or 1) * (1 - idle / max(1, sum(spent))), 2)


def commit() -> str:
    """The commit that is measured; a "+" says that the tree differs from it."""
    head, changed = (
        subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True).stdout.strip()
        for words in (["rev-parse", "--short", "HEAD"], ["status", "--porcelain", "-uno"])
    )
    return (head or "unknown") + "+" * bool(head and changed)


class Result:
    """Figures of one run of a benchmark: printed as they come, stored at the end when `--write` is given."""

    def __init__(
        self, name: str, threads: int | Sequence[int], rounds: int | None, by: str | None = None, speed: bool = True
    ):
        """Of the benchmark of this name; `by` names the module where it is another one.

        speed: the figures depend on the kind of processor, so that one record is kept of each.
        """
        self.name, self.speed = name, speed
        self.figures: dict[str, dict[str, Any]] = {}
        self.tables: list[dict[str, Any]] = []
        self.facts = {
            "command": " ".join(["python -m", f"bench.{by or name}", *sys.argv[1:]]).replace(str(Path.home()), "~"),
            "processor": processor(),
            "kind": kind(processor()),
            "threads": threads if isinstance(threads, int) else list(threads),
            "rounds": rounds,
            "load": busy_processors(),
            "torch": torch.__version__.split("+")[0],
            "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
            "commit": commit(),
        }
        capability = torch.backends.cpu.get_cpu_capability()
        busy = ": something else runs, do not trust this" if self.facts["load"] > 0.7 else ""
        print(
            f"{self.facts['processor']}, {capability}, torch {self.facts['torch']}; load {self.facts['load']}{busy}\n"
        )

    def figure(self, key: str, value: float, unit: str, what: str) -> float:
        """Note one number under a key that pages use; `what` says in words what it is."""
        if key in self.figures:
            raise ValueError(f"figure: {key!r} is noted twice; give each figure a key of its own")
        if not math.isfinite(value):
            return value  # this machine could not measure it
        self.figures[key] = {"value": float(f"{value:.4g}"), "unit": unit, "what": what}
        return value

    def table(self, title: str, head: Sequence[Any], rows: Sequence[Sequence[Any]]) -> None:
        """Print a table, right-aligned, and keep it for the page."""
        cells = [[str(cell) for cell in row] for row in rows]
        self.tables.append({"title": title, "head": [str(cell) for cell in head], "rows": cells})
        print(title)
        table(head, rows)

    def finish(self, args: argparse.Namespace) -> None:
        """Store the record if `--write` is given."""
        if not args.write:
            return
        if args.quick:
            raise SystemExit("--quick measures other sizes than the pages speak of: nothing was stored")
        RESULTS.mkdir(exist_ok=True)
        record = {"name": self.name, "figures": self.figures, "tables": self.tables, **self.facts}
        path = self._path()
        with atomic_write(path) as beside:
            beside.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"bench/results/{path.name}: {len(self.figures)} figures")

    def _path(self) -> Path:
        """Where the record goes: beside that of another kind of processor, over that of the same."""
        first = RESULTS / f"{self.name}.json"
        if self.speed and first.exists():
            there = json.loads(first.read_text(encoding="utf-8"))
            if (there.get("kind") or kind(there["processor"], "")) != self.facts["kind"]:
                return RESULTS / f"{self.name}@{self.facts['kind']}.json"
        return first


def milliseconds(
    step: Callable[..., Any], runs: Mapping[Any, tuple], threads: int, rounds: int, calls: int = 1
) -> dict[Any, float]:
    """Median milliseconds of step(*run) for each run. The runs take turns, so that a slow minute hits all of them.

    Timed by hand: torch.utils.benchmark warms each call up with two more, and these take a second each.

    NaN for what PyTorch cannot run on this processor, as nn.LSTM in bfloat16 without a gradient on some.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    times: dict[Any, list[float]] = {name: [] for name in runs}
    try:
        for turn in range(1 + max(FEWEST, rounds)):
            for name, run in runs.items():
                seconds = _seconds(step, run, calls)
                if turn or math.isnan(seconds):  # the first warms up
                    times[name].append(1000 * seconds)
    finally:
        torch.set_num_threads(before)
    return {name: statistics.median(values) for name, values in times.items()}


def _seconds(step: Callable[..., Any], run: tuple, calls: int) -> float:
    start = time.perf_counter()
    try:
        for _ in range(calls):
            step(*run)
    except RuntimeError as error:
        if "could not create a primitive" not in str(error):
            raise
        return math.nan
    return (time.perf_counter() - start) / calls


def table(head: Sequence[Any], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows under a head, right-aligned."""
    widths = [max(len(str(row[k])) for row in [head, *rows]) for k in range(len(head))]
    for row in [head, ["-" * w for w in widths], *rows]:
        print("  ".join(str(cell).rjust(w) for cell, w in zip(row, widths, strict=True)))
    print()

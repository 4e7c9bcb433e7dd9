"""Run the stages of `make test`, the cheap ones first and side by side, and stop where one is red.

python -m tools.stages test   everything
python -m tools.stages quick  the checks of style and generated files, and the fast tests

At the end: the seconds of each stage, then the closing lines of pytest. Exit status: that of the red stage, else 0.
"""

import argparse
import itertools
import os
import re
import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
# Two workers where there are two processors; each has one thread (the Makefile sets OMP_NUM_THREADS).
WORKERS = max(1, min(4, os.cpu_count() or 1))
CLOSING = re.compile(r"=* ?\d+ (passed|failed|errors?|skipped|xfailed|deselected)\b.* in [\d.:]+s.*")


class Stage(NamedTuple):
    """One command: what it is called, what runs (after the interpreter), whether it may see the licensed data.

    Stages with the same `beside`, one after the other, run side by side, as many at once as there are workers; what
    each prints comes in one piece when it ends.
    """

    name: str
    command: str
    data: bool = False
    beside: str = ""


STYLE = [
    Stage("types", "-m basedpyright --level error", beside="style"),
    Stage("exports", "-m tools.export --check", beside="style"),
    Stage("notebooks", "-m tools.notebooks --check", beside="style"),
    Stage("order of imports", "-m tools.toc --check", beside="style"),
    Stage("claims", "-m tools.claims --check", beside="style"),
    Stage("scores", "-m tools.scores --check", beside="style"),
    Stage("address", "-m tools.address --check", beside="style"),
    Stage("ruff check", "-m ruff check .", beside="style"),
    Stage("ruff format", "-m ruff format --check .", beside="style"),
]
STAGES = {
    "quick": [
        *STYLE,
        Stage("fast tests", f'-m pytest -q -x -n {WORKERS} -m "not slow and not site and not browser and not data"'),
    ],
    "test": [
        *STYLE,
        Stage("tests", f'-m pytest -n {WORKERS} -m "not site and not browser"', data=True),
        Stage("notebooks alone", "-m tools.run_notebooks"),
        Stage("strict build", "-m tools.build_site build"),
        Stage("pages and demos", f'-m pytest -n {WORKERS} -m "site or browser"'),
    ],
}


class Done(NamedTuple):
    """How a stage ended: its name, seconds, exit status, pytest's closing line ("" if none)."""

    name: str
    seconds: float
    status: int
    closing: str


def run(stage: Stage, whole: bool = False) -> Done:
    """Run one stage, passing on what it prints: at once, or in one piece at the end."""
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    if not stage.data:
        env.pop("SOFTATTN_DATA", None)
    command = [sys.executable, *shlex.split(stage.command)]
    head, kept, start = f"\n== {time.strftime('%H:%M:%S')} {stage.name}: python {stage.command}", [], time.monotonic()
    if not whole:
        print(head, flush=True)
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            kept.append(line)
            if not whole:
                print(line, end="", flush=True)
    if whole:
        print("\n".join([head, "".join(kept)]).rstrip(), flush=True)
    closings = [line.strip() for line in kept if CLOSING.fullmatch(line.strip())]
    return Done(stage.name, time.monotonic() - start, process.returncode, closings[-1] if closings else "")


def together(stages: list[Stage]) -> list[Done]:
    """Run stages side by side; all of them end, also beside a red one."""
    if len(stages) == 1:
        return [run(stages[0])]
    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(lambda stage: run(stage, whole=True), stages))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("which", choices=sorted(STAGES))
    which = parser.parse_args(argv).which
    done: list[Done] = []
    start = time.monotonic()
    numbered = enumerate(STAGES[which])
    for _, group in itertools.groupby(numbered, key=lambda pair: pair[1].beside or pair[0]):
        done += together([stage for _, stage in group])
        if any(stage.status for stage in done):
            break
    red = [stage for stage in done if stage.status]
    print("\nseconds  stage")
    for stage in done:
        print(f"{stage.seconds:7.1f}  {stage.name}")
    told = "".join(f"; stopped: `{stage.name}` is red (status {stage.status})" for stage in red)
    print(f"{time.monotonic() - start:7.1f}  in all{told}")
    print("\n".join(stage.closing for stage in done if stage.closing), flush=True)
    return red[0].status if red else 0


if __name__ == "__main__":
    sys.exit(main())

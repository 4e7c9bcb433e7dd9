"""Run the stages of `make test` in order, the cheap ones first, and stop at the first that is red.

python -m tools.stages test   everything
python -m tools.stages quick  the checks of style and generated files, and the fast tests

At the end: the seconds of each stage, then the closing lines of pytest. Exit status: that of the red stage, else 0.
"""

import argparse
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
# Two workers where there are two processors; each has one thread (the Makefile sets OMP_NUM_THREADS).
WORKERS = max(1, min(4, os.cpu_count() or 1))
CLOSING = re.compile(r"=* ?\d+ (passed|failed|errors?|skipped|xfailed|deselected)\b.* in [\d.:]+s.*")


class Stage(NamedTuple):
    """One command: what it is called, what runs (after the interpreter), whether it may see the licensed data."""

    name: str
    command: str
    data: bool = False


STYLE = [
    Stage("ruff check", "-m ruff check ."),
    Stage("ruff format", "-m ruff format --check ."),
    Stage("order of imports", "-m tools.toc --check"),
    Stage("address", "-m tools.address --check"),
    Stage("exports", "-m tools.export --check"),
    Stage("notebooks", "-m tools.notebooks --check"),
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


def run(stage: Stage) -> tuple[int, str]:
    """Run one stage, passing on what it prints; return its exit status and pytest's closing line ("" if none)."""
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    if not stage.data:
        env.pop("SOFTATTN_DATA", None)
    command = [sys.executable, *shlex.split(stage.command)]
    closing = ""
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
            print(line, end="", flush=True)
            if CLOSING.fullmatch(line.strip()):
                closing = line.strip()
    return process.returncode, closing


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("which", choices=sorted(STAGES))
    which = parser.parse_args(argv).which
    rows, closings, status = [], [], 0
    for stage in STAGES[which]:
        print(f"\n== {stage.name}: python {stage.command}", flush=True)
        start = time.monotonic()
        status, closing = run(stage)
        rows.append((time.monotonic() - start, stage.name))
        closings += [closing] if closing else []
        if status:
            break
    print("\nseconds  stage")
    for seconds, name in rows:
        print(f"{seconds:7.1f}  {name}")
    total = sum(seconds for seconds, _ in rows)
    print(f"{total:7.1f}  in all" + (f"; stopped: `{rows[-1][1]}` is red (status {status})" if status else ""))
    print("\n".join(closings), flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())

"""What several processes cost and give on one machine, how a step's time depends on its batch, and reading in shards.

    python -m bench.scale --write                            everything: ten minutes, most of them for the corpus
    python -m bench.scale --write --folder F                 with the corpus in F, which is made where it is not there
    python -m bench.scale --quick                            small sizes

Run it while nothing else runs. It starts one and two processes by torchrun, each with one thread.
"""

import json
import math
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from bench._result import ROOT, Result, milliseconds, parser
from recipes import _run, handwriting, shards, synthesis
from softattn.lstm import PeepholeLSTM

T = handwriting.CHUNK


def options(hidden: int, folder: Path, rest: list[str]):
    """The options of a run of the small predictor."""
    made = _run.options(__doc__, "scale", dropout=0.0, jitter=0.0, rate=2e-3, products="float32")
    return made.parse_args(["--state", str(folder), *rest]), dict(hidden_size=hidden, num_layers=3, mixtures=20)


def worker(hidden: int, updates: int, folder: Path) -> None:
    """One of the processes: so many updates of the predictor; the first writes what they took, in milliseconds."""
    torch.set_num_threads(1)
    args, sizes = options(hidden, folder, [])
    lines = synthesis.embedded_lines(64, 7)
    run = handwriting.PredictorRun(
        handwriting.HandwritingPredictor, {**sizes, "mean": [8.0, 0.0], "std": [40.0, 30.0]}, args, lines, lines[:1]
    )
    run.plan(math.inf, None)
    (folder / f"pid-{run.processes.index}").write_text(str(os.getpid()))
    times, advance = [], run.advance

    def timed(k):
        start = time.perf_counter()
        shown = advance(k)
        times.append(1000 * (time.perf_counter() - start))
        return shown

    run.advance = timed
    _run.train(run, folder / "state.pt", over=lambda: run.facts["updates"] >= updates, save_seconds=2)
    told = {"ms": statistics.median(times[1:]), "bytes": 4 * sum(p.numel() for p in run.model.parameters())}
    (folder / "told.json").write_text(json.dumps(told))


def start(number: int, hidden: int, updates: int, folder: Path) -> subprocess.Popen:
    """So many processes, under torchrun."""
    command = ["torch.distributed.run", "--standalone", "--nproc_per_node", str(number), "-m", "bench.scale"]
    given = ["--worker", str(hidden), str(updates), str(folder)]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", *command, *given], cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def several(result: Result, hidden: int, updates: int) -> None:
    """One update of the same batch by one process and by two."""
    rows, first = [], None
    for number in (1, 2):
        with tempfile.TemporaryDirectory() as name:
            launched = start(number, hidden, updates, Path(name))
            _, told = launched.communicate()
            if launched.returncode:
                raise SystemExit(told.decode()[-2000:])
            seen = json.loads((Path(name) / "told.json").read_text())
        first = first or seen["ms"]
        result.figure(f"update_{number}", seen["ms"], "ms", f"an update of 64 rows of {T} points, processes: {number}")
        rows.append([number, f"{seen['ms']:.0f}", f"{first / seen['ms']:.2f}"])
    result.figure("speedup_2", first / seen["ms"], "ratio", "updates a second of two processes by those of one")
    result.figure("bytes", seen["bytes"], "bytes", "of one sum of gradients, float32")
    result.table(f"an update of 64 rows of {T} points, one thread a process", ["processes", "ms", "times faster"], rows)


def rows_of_a_batch(result: Result, hidden: int, rounds: int) -> None:
    """Forward and backward through one layer, for batches of several sizes: a time that no row is to blame for."""
    net, runs = PeepholeLSTM(hidden, hidden), {}
    for B in (1, 4, 16, 64):
        runs[B] = (torch.randn(T, B, hidden),)
    times = milliseconds(lambda x: net(x)[0].sum().backward(), runs, 1, rounds)
    row, alone = np.polyfit(list(times), [1000 * ms / T for ms in times.values()], 1)
    result.figure("step_alone", alone, "us", "of one step of time in one layer, whatever the batch")
    result.figure("step_row", row, "us", "of one step of time in one layer, for each row of the batch")
    table = [[B, f"{ms:.1f}", f"{1000 * ms / T / B:.1f}"] for B, ms in times.items()]
    result.table(f"a layer of {hidden}, {T} steps, there and back", ["rows", "ms", "us a step and row"], table)


def killed(result: Result, hidden: int) -> None:
    """From kill -9 of one process to the end of the other."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        launched = start(2, hidden, 10**6, folder)
        while not (folder / "state.pt").exists() and launched.poll() is None:
            time.sleep(0.1)
        os.kill(int((folder / "pid-1").read_text()), signal.SIGKILL)
        begin = time.monotonic()
        _, told = launched.communicate()
        assert "another one has stopped" in told.decode()
    result.figure("stops", time.monotonic() - begin, "s", "from kill -9 of one of two processes until both have ended")


def corpus(result: Result, folder: Path, megabytes: float) -> None:
    """Make a corpus in shards where it is not there, and read it once, in a process of its own."""
    index = shards.make(folder, megabytes)
    read = subprocess.run(
        [sys.executable, "-m", "recipes.shards", "read", str(folder)], cwd=ROOT, capture_output=True, text=True
    )
    if read.returncode:
        raise SystemExit(read.stderr[-2000:])
    rows = [line.split() for line in read.stdout.splitlines()]
    rows = [[row[0], row[3], row[5]] for row in rows]
    result.figure("corpus", index["bytes"] / 1e6, "MB", "of embedded lines in shards, read once")
    result.figure("corpus_lines", index["lines"], "lines", "in these shards")
    result.figure("read", float(rows[-1][1]), "lines/s", "read from shards by one process, one thread")
    result.figure("held_first", float(rows[0][2]), "MB", "of memory held when a tenth was read")
    result.figure("held_last", float(rows[-1][2]), "MB", "of memory held when all was read")
    result.table("reading a corpus in shards", ["MB read", "lines/s", "MB held at most"], rows)


def main(argv: list[str] | None = None) -> None:
    made = parser(__doc__, raw=True)
    made.add_argument("--worker", nargs=3, metavar=("HIDDEN", "UPDATES", "FOLDER"), help="be one of the processes")
    made.add_argument("--folder", type=Path, default=_run.STATES / "shards", help="where the corpus is, or is made")
    made.add_argument("--megabytes", type=float, default=200, help="size of the corpus")
    args = made.parse_args(argv)
    if args.worker:
        worker(int(args.worker[0]), int(args.worker[1]), Path(args.worker[2]))
        return
    hidden, updates = (32, 6) if args.quick else (400, 12)
    result = Result("scale", 1, args.rounds or 5)
    rows_of_a_batch(result, hidden, args.rounds or 5)
    several(result, hidden, updates)
    killed(result, 32)
    if args.quick:
        with tempfile.TemporaryDirectory() as name:
            corpus(result, Path(name), 1)
    else:
        corpus(result, args.folder, args.megabytes)
    result.finish(args)


if __name__ == "__main__":
    main()

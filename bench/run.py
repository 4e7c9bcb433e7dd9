"""Time PeepholeLSTM beside nn.LSTM and beside the loop written out, in one process; ratios first.

python bench/run.py           T from 50 to 800 at B = 64, I = 480, H = 400 (minutes; let nothing else run)
python bench/run.py --small   a tenth of the size, to see that it works (seconds)

One round times every candidate once, one after the other, so that a machine that slows down slows down all of them; a
ratio is the median of the rounds' ratios. Each time is forward and backward through one sequence.
"""

import argparse
import math
import os
import platform
import statistics
import sys
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.benchmark import Timer

from softattn.lstm import LSTMCell, PeepholeLSTM


class NaiveLSTM(nn.Module):
    """The loop as one would write it first: LSTMCell, and an index into the long tensor at every step."""

    def __init__(self, input_size: int, hidden_size: int):
        super().__init__()
        self.cell = LSTMCell(input_size, hidden_size)

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        h = c = x.new_zeros(x.shape[1], self.cell.hidden_size)
        hs = []
        for t in range(len(x)):
            h, c = self.cell(x[t], (h, c))
            hs.append(h)
        return torch.stack(hs), None


def train_step(model: nn.Module, x: Tensor, dtype: torch.dtype = torch.float32) -> None:
    """Forward and backward through one batch of sequences."""
    model.zero_grad(set_to_none=True)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
        hs, _ = model(x)
    hs.float().sum().backward()


def side_by_side(candidates: dict[str, Callable[[], None]], rounds: int, threads: int) -> dict[str, list[float]]:
    """Seconds of each candidate in each round, after one run to warm up."""
    timers = {
        name: Timer("run()", globals={"run": run}, num_threads=threads, label=name) for name, run in candidates.items()
    }
    for timer in timers.values():
        timer.timeit(1)
    seconds: dict[str, list[float]] = {name: [] for name in timers}
    for _ in range(rounds):
        for name, timer in timers.items():
            seconds[name].append(timer.timeit(1).median)
    return seconds


def ratio(ours: list[float], theirs: list[float]) -> float:
    """The median over the rounds of one's time over the other's."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def slope(lengths: list[int], seconds: list[float]) -> float:
    """Exponent of T in the time, by least squares on the logarithms: 1 is linear, 2 quadratic."""
    x, y = [math.log(length) for length in lengths], [math.log(second) for second in seconds]
    mx, my = statistics.fmean(x), statistics.fmean(y)
    return sum((a - mx) * (b - my) for a, b in zip(x, y, strict=True)) / sum((a - mx) ** 2 for a in x)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="a tenth of the size, to see that it works")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(argv)
    B, I, H = (8, 48, 40) if options.small else (64, 480, 400)
    lengths = [50, 100, 200] if options.small else [50, 100, 200, 300, 400, 800]
    torch.manual_seed(0)
    reference = nn.LSTM(I, H)
    models = {"PeepholeLSTM": PeepholeLSTM(I, H), "nn.LSTM": reference, "naive loop": NaiveLSTM(I, H)}

    print(
        f"torch {torch.__version__}, {platform.machine()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}"
    )
    if os.getloadavg()[0] > 0.5:
        print(
            "something else runs on this machine: two busy threads beside another process make these figures worthless"
        )
    print(f"B = {B}, I = {I}, H = {H}, {options.threads} threads, forward and backward, {options.rounds} rounds\n")
    print("                 time over nn.LSTM's                    milliseconds")
    print("    T   PeepholeLSTM  naive loop  in bfloat16   PeepholeLSTM  nn.LSTM  naive loop")
    medians: dict[str, list[float]] = {name: [] for name in models}
    for T in lengths:
        x = torch.randn(T, B, I)
        candidates = {name: partial(train_step, model, x) for name, model in models.items()}
        candidates["bfloat16"] = partial(train_step, models["PeepholeLSTM"], x, torch.bfloat16)
        seconds = side_by_side(candidates, options.rounds, options.threads)
        for name in models:
            medians[name].append(statistics.median(seconds[name]))
        ours, naive, half = (
            ratio(seconds[name], seconds["nn.LSTM"]) for name in ("PeepholeLSTM", "naive loop", "bfloat16")
        )
        times = (1000 * statistics.median(seconds[name]) for name in models)
        print(
            f"{T:5d}   {ours:12.2f}  {naive:10.2f}  {half:11.2f}   " + "{:12.1f}  {:7.1f}  {:10.1f}".format(*times),
            flush=True,
        )
    print(
        "\nexponent of T (1: the cost grows in a line): "
        + ", ".join(f"{n} {slope(lengths, s):.2f}" for n, s in medians.items())
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Time PeepholeLSTM beside nn.LSTM and a plain loop of cells, forward and backward, in one run. Ratios first.

    python -m bench.lstm             everything, a few minutes
    python -m bench.lstm --quick     small sizes, a few seconds
    python -m bench.lstm --threads 1

Run it while nothing else runs: on two cores one busy neighbour makes the numbers worthless. It judges nothing.
"""

import argparse
import statistics

import torch
from torch import nn
from torch.utils.benchmark import Timer

from softattn.lstm import LSTMCell, PeepholeLSTM


class Loop(nn.Module):
    """What one writes first: a cell in a loop, and autograd behind it."""

    def __init__(self, input_size: int, hidden_size: int):
        super().__init__()
        self.cell = LSTMCell(input_size, hidden_size)

    def forward(self, x):
        state, hs = None, []
        for x_t in x.unbind():
            state = self.cell(x_t, state)
            hs.append(state[0])
        return torch.stack(hs), state


def step(model, x, low, backward=True):
    model.zero_grad(set_to_none=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=low), torch.set_grad_enabled(backward):
        hs = model(x)[0]
    if backward:
        hs.sum().backward()


def milliseconds(step, runs, threads, rounds, calls=1):
    """Median milliseconds of step(*run) for each run. The runs take turns, so that a slow minute hits all of them."""
    timers = {
        name: Timer("step(*run)", globals={"step": step, "run": run}, num_threads=threads) for name, run in runs.items()
    }
    times = {name: [] for name in runs}
    for timer in timers.values():
        timer.timeit(calls)  # warm up
    for _ in range(rounds):
        for name, timer in timers.items():
            times[name].append(1000 * timer.timeit(calls).median)
    return {name: statistics.median(values) for name, values in times.items()}


def table(head, rows):
    widths = [max(len(str(row[k])) for row in [head, *rows]) for k in range(len(head))]
    for row in [head, ["-" * w for w in widths], *rows]:
        print("  ".join(str(cell).rjust(w) for cell, w in zip(row, widths, strict=True)))
    print()


def main():
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, few rounds")
    parser.add_argument("--threads", type=int, nargs="+", help="thread counts to try (default: 2 and 1; quick: 1)")
    parser.add_argument("--rounds", type=int, help="how often each is timed (default: 5; quick: 3)")
    args = parser.parse_args()
    T, B, I, H = (60, 16, 48, 40) if args.quick else (300, 64, 480, 400)
    lengths = (25, 50, 100) if args.quick else (50, 100, 200, 400, 800)
    rounds = args.rounds or (3 if args.quick else 5)
    torch.manual_seed(0)
    torch_lstm = nn.LSTM(I, H)
    models = {"nn.LSTM": torch_lstm, "PeepholeLSTM": PeepholeLSTM.from_torch(torch_lstm), "loop": Loop(I, H)}
    x = torch.randn(T, B, I)
    x_grad = torch.randn(T, B, I, requires_grad=True)

    print(
        f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}; T={T} B={B} I={I} H={H}, peepholes on\n"
    )
    for threads in args.threads or ([1] if args.quick else [2, 1]):
        rows = []
        for words, low, data, backward in (
            ("float32, first layer", False, x, True),
            ("float32, input has a gradient", False, x_grad, True),
            ("float32, forward only", False, x, False),
            ("bfloat16, first layer", True, x, True),
            ("bfloat16, input has a gradient", True, x_grad, True),
            ("bfloat16, forward only", True, x, False),
        ):
            ms = milliseconds(
                step, {name: (model, data, low, backward) for name, model in models.items()}, threads, rounds
            )
            rows.append(
                [words, f"{ms['PeepholeLSTM'] / ms['nn.LSTM']:.2f}", f"{ms['loop'] / ms['PeepholeLSTM']:.1f}"]
                + [f"{ms[name]:.0f}" for name in models]
            )
        print(f"threads: {threads}")
        table(["", "ours / nn.LSTM", "loop / ours", *(f"{name}, ms" for name in models)], rows)

    print("ms a step as T grows, 1 thread, float32, forward and backward, input has a gradient; flat = linear in T")
    rows = []
    for length in lengths:  # a long sequence is its own average: fewer rounds, and without the loop of cells
        data = torch.randn(length, B, I, requires_grad=True)
        turns = max(1, min(max(2, rounds - 2), 400 // length))
        timed = {name: model for name, model in models.items() if name != "loop" or length <= 200}
        ms = milliseconds(step, {name: (model, data, False, True) for name, model in timed.items()}, 1, turns)
        rows.append([length, *(f"{ms[name] / length:.3f}" if name in ms else "" for name in models)])
    table(["T", *models], rows)


if __name__ == "__main__":
    main()

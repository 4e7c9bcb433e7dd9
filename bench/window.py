"""Time WindowLSTM beside PeepholeLSTM, nn.LSTM and a loop with autograd, in one run; then what subnormal numbers cost.

    python -m bench.window             everything, some minutes
    python -m bench.window --quick     small sizes, a few seconds

Run it while nothing else runs: on two cores one busy neighbour makes the numbers worthless. It judges nothing.
"""

import time

import torch
from torch import nn
from torch.utils.benchmark import Timer

from bench._result import Result, milliseconds, parser, worth_timing
from bench.lstm import step
from softattn.lstm import LSTMCell, PeepholeLSTM
from softattn.window import SoftWindow, WindowLSTM


class Loop(nn.Module):
    """What one writes first: cell and window in a loop, and autograd behind them."""

    def __init__(self, input_size: int, hidden_size: int, alphabet: int, components: int):
        super().__init__()
        self.cell, self.alphabet = LSTMCell(input_size + alphabet, hidden_size), alphabet
        self.window = SoftWindow(hidden_size, components)

    def forward(self, x, chars):
        B = x.shape[1]
        state, kappa, w = None, x.new_zeros(B, self.window.components), x.new_zeros(B, self.alphabet)
        hs = []
        for x_t in x.unbind():
            state = self.cell(torch.cat([x_t, w], 1), state)
            w, _, kappa = self.window(state[0], kappa, chars)
            hs += [torch.cat([state[0], w], 1)]
        return torch.stack(hs), state


class Beside(nn.Module):
    """A recurrent network that takes x alone, or x and the text."""

    def __init__(self, network: nn.Module, chars: torch.Tensor | None = None):
        super().__init__()
        self.network, self.chars = network, chars

    def forward(self, x):
        if self.chars is None:
            return self.network(x)
        out = self.network(x, self.chars)
        return (torch.cat([out.h, out.w], 2),) if isinstance(self.network, WindowLSTM) else out


def networks(B, I, H, A, K, U):
    torch.manual_seed(0)
    chars = nn.functional.one_hot(torch.randint(A, (B, U)), A).float()
    return {
        "nn.LSTM": Beside(nn.LSTM(I, H)),
        "PeepholeLSTM": Beside(PeepholeLSTM(I, H)),
        "WindowLSTM": Beside(WindowLSTM(I, H, A, K), chars),
        "loop": Beside(Loop(I, H, A, K), chars),
    }


def subnormal(result: Result, n: int) -> None:
    """Time exp where the result is an ordinary number, subnormal, or zero."""
    title = f"exp of {n:,} float32 numbers, nanoseconds each, and times as long as the first row"
    rows, first = [], None
    for key, words, low, high in (
        ("ordinary", "-60 to 0: ordinary", -60, 0),
        ("subnormal", "-103 to -88: subnormal", -103, -88),
        ("zero", "-300 to -110: zero", -300, -110),
    ):
        x = torch.empty(n).uniform_(low, high)
        out = torch.empty_like(x)
        code, names = "torch.exp(x, out=out)", dict(torch=torch, x=x, out=out)
        timer = Timer(code, globals=names, num_threads=1, timer=time.process_time)
        nano = 1e9 * timer.blocked_autorange(min_run_time=0.3).median / n
        first = first or nano
        result.figure(
            f"exp_{key}", nano / first, "ratio", f"time of an exp whose argument is {words}, by that of the first"
        )
        rows.append([words, f"{nano:.2f}", f"{nano / first:.1f}"])
    result.table(title, ["exponent", "ns", "ratio"], rows)


def main():
    options = parser(__doc__)
    options.add_argument("--threads", type=int, nargs="+", help="thread counts to try (default: 2 and 1; quick: 1)")
    args = options.parse_args()
    T, B, I, H, A, K, U = (60, 16, 3, 40, 30, 4, 12) if args.quick else (300, 64, 3, 400, 96, 10, 30)
    lengths = (25, 50, 100) if args.quick else (100, 200, 400, 800, 1600)
    rounds = args.rounds or (3 if args.quick else 5)
    models = networks(B, I, H, A, K, U)
    counts = args.threads or ([1] if args.quick else [2, 1])
    result = Result("window", counts, rounds)
    sizes = f"T={T} B={B} I={I} H={H} A={A} K={K} U={U}"
    print(sizes + "\n")
    x = torch.randn(T, B, I)
    for threads in counts:
        rows = []
        for key, words, low, backward in worth_timing(
            [
                ("float32", "float32", False, True),
                ("float32_forward", "float32, forward only", False, False),
                ("bfloat16", "bfloat16", True, True),
                ("bfloat16_forward", "bfloat16, forward only", True, False),
            ]
        ):
            runs = {name: (model, x, low, backward) for name, model in models.items()}
            ms = milliseconds(step, runs, threads, rounds)
            for short, other in (("torch", "nn.LSTM"), ("peephole", "PeepholeLSTM"), ("loop", "loop")):
                what = f"time of WindowLSTM by that of {other}, {words}, threads: {threads}; {sizes}"
                result.figure(f"{short}_{key}_{threads}", ms["WindowLSTM"] / ms[other], "ratio", what)
            ratios = [f"{ms['WindowLSTM'] / ms[other]:.2f}" for other in ("nn.LSTM", "PeepholeLSTM", "loop")]
            rows.append([words, *ratios, *(f"{ms[name]:.0f}" for name in models)])
        title = f"threads: {threads}; WindowLSTM's time over that of"
        result.table(title, ["", "nn.LSTM", "PeepholeLSTM", "loop", *(f"{name}, ms" for name in models)], rows)

    title = "cost per step as T grows, float32, forward and backward; flat = linear in T"
    rows, some, ms, first = [], {}, {}, {}
    for length in lengths:
        data = torch.randn(length, B, I)
        some = {name: (model, data, False, True) for name, model in models.items() if name != "loop"}
        ms = milliseconds(step, some, 1, rounds - 2)
        first = first or {name: ms[name] / length for name in some}
        rows.append([length, *(f"{ms[name] / length:.3f}" for name in some)])
    result.table(title, ["T", *(f"{name}, ms a step" for name in some)], rows)
    growth = ms["WindowLSTM"] / lengths[-1] / first["WindowLSTM"]
    what = f"WindowLSTM: cost of a step at T = {lengths[-1]} by that at T = {lengths[0]}"
    result.figure("growth", growth, "ratio", what)
    subnormal(result, 20_000 if args.quick else 200_000)
    result.finish(args)


if __name__ == "__main__":
    main()

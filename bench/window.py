"""Time WindowLSTM beside PeepholeLSTM, nn.LSTM and a loop with autograd, in one run; then what subnormal numbers cost.

    python -m bench.window             everything, some minutes
    python -m bench.window --quick     small sizes, a few seconds

Run it while nothing else runs: on two cores one busy neighbour makes the numbers worthless. It judges nothing.
"""

import argparse
import time

import torch
from torch import nn
from torch.utils.benchmark import Timer

from bench.lstm import milliseconds, step, table
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


def subnormal(n: int) -> None:
    """Time exp where the result is an ordinary number, subnormal, or zero."""
    print(f"exp of {n:,} float32 numbers, nanoseconds each, and times as long as the first row")
    rows, first = [], None
    for words, low, high in (
        ("-60 to 0: ordinary", -60, 0),
        ("-103 to -88: subnormal", -103, -88),
        ("-300 to -110: zero", -300, -110),
    ):
        x = torch.empty(n).uniform_(low, high)
        out = torch.empty_like(x)
        code, names = "torch.exp(x, out=out)", dict(torch=torch, x=x, out=out)
        timer = Timer(code, globals=names, num_threads=1, timer=time.process_time)
        nano = 1e9 * timer.blocked_autorange(min_run_time=0.3).median / n
        first = first or nano
        rows.append([words, f"{nano:.2f}", f"{nano / first:.1f}"])
    table(["exponent", "ns", "ratio"], rows)


def main():
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, few rounds")
    parser.add_argument("--threads", type=int, nargs="+", help="thread counts to try (default: 2 and 1; quick: 1)")
    parser.add_argument("--rounds", type=int, help="how often each is timed (default: 5; quick: 3)")
    args = parser.parse_args()
    T, B, I, H, A, K, U = (60, 16, 3, 40, 30, 4, 12) if args.quick else (300, 64, 3, 400, 96, 10, 30)
    lengths = (25, 50, 100) if args.quick else (100, 200, 400, 800, 1600)
    rounds = args.rounds or (3 if args.quick else 5)
    models = networks(B, I, H, A, K, U)
    capability = torch.backends.cpu.get_cpu_capability()
    print(f"torch {torch.__version__}, {capability}; T={T} B={B} I={I} H={H} A={A} K={K} U={U}\n")
    x = torch.randn(T, B, I)
    for threads in args.threads or ([1] if args.quick else [2, 1]):
        rows = []
        for words, low, backward in (
            ("float32", False, True),
            ("float32, forward only", False, False),
            ("bfloat16", True, True),
            ("bfloat16, forward only", True, False),
        ):
            runs = {name: (model, x, low, backward) for name, model in models.items()}
            ms = milliseconds(step, runs, threads, rounds)
            ratios = [f"{ms['WindowLSTM'] / ms[other]:.2f}" for other in ("nn.LSTM", "PeepholeLSTM", "loop")]
            rows.append([words, *ratios, *(f"{ms[name]:.0f}" for name in models)])
        print(f"threads: {threads}; WindowLSTM's time over that of")
        table(["", "nn.LSTM", "PeepholeLSTM", "loop", *(f"{name}, ms" for name in models)], rows)

    print("cost per step as T grows, float32, forward and backward; flat = linear in T")
    rows = []
    for length in lengths:
        data = torch.randn(length, B, I)
        some = {name: (model, data, False, True) for name, model in models.items() if name != "loop"}
        ms = milliseconds(step, some, 1, max(2, rounds - 3))
        rows.append([length, *(f"{ms[name] / length:.3f}" for name in some)])
    table(["T", *(f"{name}, ms a step" for name in some)], rows)
    subnormal(20_000 if args.quick else 200_000)


if __name__ == "__main__":
    main()

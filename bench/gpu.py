"""The one prepared script for a machine with a GPU: the tests there, steps beside cuDNN's, writing with CUDA graphs.

    python -m bench.gpu --write          at most ten minutes, on the first CUDA device
    python -m bench.gpu --quick          small sizes

Where there is no CUDA device it says so and measures nothing. Three parts: the tests of the exported modules with
`--device cuda`, cut off after four minutes; a training step of the peephole LSTM, plain, in the engine and with its
cell compiled, beside nn.LSTM, which cuDNN runs; one step of writing, launched piece by piece and as one CUDA graph.
"""

import subprocess
import sys

import torch
from torch import nn

from bench._result import ROOT, Result, milliseconds, parser
from softattn.lstm import LSTMCell, PeepholeLSTM

TESTS = ["lstm", "window", "mixture", "filterbank", "prediction", "handwriting", "synthesis", "draw", "vae"]


def tests(result: Result, seconds: float) -> None:
    """Run the tests of the modules on the device; how many passed."""
    files = [f"tests/test_{name}.py" for name in TESTS]
    command = [sys.executable, "-m", "pytest", "-q", "-m", "not slow and not data", "--device", "cuda", *files]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds)
        closing = done.stdout.strip().splitlines()[-1]
    except subprocess.TimeoutExpired:
        closing = f"cut off after {seconds:.0f} s"
    result.table("tests of the modules with --device cuda", ["files", "how it ended"], [[len(files), closing]])


def waited(call):
    """The call, and a wait for the device."""

    def timed(*given):
        call(*given)
        torch.cuda.synchronize()

    return timed


class Loop(nn.Module):
    """The plain loop of the chapter `lstm`, its cell compiled where wanted."""

    def __init__(self, size: int, compiled: bool):
        super().__init__()
        self.cell = LSTMCell(size, size)
        self.call = torch.compile(self.cell) if compiled else self.cell

    def forward(self, x):
        state, hs = None, []
        for x_t in x.unbind():
            state = self.call(x_t, state)
            hs.append(state[0])
        return torch.stack(hs), state


def steps(result: Result, T: int, B: int, H: int, rounds: int) -> None:
    """Forward and backward through one layer, milliseconds."""
    nets = {
        "nn.LSTM (cuDNN)": nn.LSTM(H, H),
        "PeepholeLSTM": PeepholeLSTM(H, H),
        "loop": Loop(H, False),
        "loop, cell compiled": Loop(H, True),
    }
    x = torch.randn(T, B, H, device="cuda")
    runs = {name: (net.cuda(), x) for name, net in nets.items()}
    times = milliseconds(waited(lambda net, x: net(x)[0].sum().backward()), runs, 1, rounds)
    first, table = times["nn.LSTM (cuDNN)"], []
    for name, ms in times.items():
        key = name.split(" (")[0].replace("nn.", "").replace(", ", "_").replace(" ", "_").lower()
        result.figure(f"step_{key}", ms / first, "ratio", f"{name}: training step by nn.LSTM's; T={T} B={B} H={H}")
        table.append([name, f"{ms:.2f}", f"{ms / first:.2f}"])
    result.table(f"a training step, T={T} B={B} H={H}", ["network", "ms", "by cuDNN's"], table)


@torch.no_grad()
def writing(result: Result, B: int, H: int, rounds: int) -> None:
    """Steps of an LSTM cell a second, each operation launched from Python, and all of a step in one CUDA graph."""
    cell = LSTMCell(H, H).cuda()
    x, h, c = (torch.zeros(B, H, device="cuda") for _ in range(3))

    def one():
        new = cell(x, (h, c))
        h.copy_(new[0]), c.copy_(new[1])

    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            one()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        one()
    runs = {"launched one by one": (one,), "one CUDA graph": (graph.replay,)}
    times = milliseconds(waited(lambda call: [call() for _ in range(100)]), runs, 1, rounds)
    rows = [[name, f"{100_000 * B / ms:,.0f}"] for name, ms in times.items()]
    gain = times["launched one by one"] / times["one CUDA graph"]
    result.figure("graph", gain, "ratio", f"steps a second of a cell as one CUDA graph by those launched; B={B} H={H}")
    result.table(f"steps of a cell, B={B} H={H}", ["how", "points a second"], rows)


def main(argv: list[str] | None = None) -> None:
    args = parser(__doc__, raw=True).parse_args(argv)
    if not torch.cuda.is_available():
        print("no CUDA device here: nothing was measured")
        return
    result = Result("gpu", 1, args.rounds or 5)
    result.facts["processor"] = f"{torch.cuda.get_device_name()} beside {result.facts['processor']}"
    T, B, H = (16, 8, 64) if args.quick else (128, 64, 400)
    steps(result, T, B, H, args.rounds or 5)
    writing(result, B, H, args.rounds or 5)
    tests(result, 30 if args.quick else 240)
    result.finish(args)


if __name__ == "__main__":
    main()

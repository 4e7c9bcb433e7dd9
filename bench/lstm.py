"""Time PeepholeLSTM beside nn.LSTM and a plain loop of cells, forward and backward, in one run. Ratios first.

    python -m bench.lstm             everything, a few minutes
    python -m bench.lstm --quick     small sizes, a few seconds
    python -m bench.lstm --threads 1

Run it while nothing else runs: on two cores one busy neighbour makes the numbers worthless. It judges nothing.
"""

import torch
from torch import nn

from bench._result import Result, milliseconds, parser, worth_timing
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


def main():
    options = parser(__doc__)
    options.add_argument("--threads", type=int, nargs="+", help="thread counts to try (default: 2 and 1; quick: 1)")
    args = options.parse_args()
    T, B, I, H = (60, 16, 48, 40) if args.quick else (300, 64, 480, 400)
    lengths = (25, 50, 100) if args.quick else (50, 100, 200, 400, 800)
    rounds = args.rounds or (3 if args.quick else 5)
    torch.manual_seed(0)
    torch_lstm = nn.LSTM(I, H)
    models = {"nn.LSTM": torch_lstm, "PeepholeLSTM": PeepholeLSTM.from_torch(torch_lstm), "loop": Loop(I, H)}
    x = torch.randn(T, B, I)
    x_grad = torch.randn(T, B, I, requires_grad=True)

    counts = args.threads or ([1] if args.quick else [2, 1])
    result = Result("lstm", counts, rounds)
    print(f"T={T} B={B} I={I} H={H}, peepholes on\n")
    for threads in counts:
        rows = []
        for key, words, low, data, backward in worth_timing(
            [
                ("float32_first", "float32, first layer", False, x, True),
                ("float32", "float32, input has a gradient", False, x_grad, True),
                ("float32_forward", "float32, forward only", False, x, False),
                ("bfloat16_first", "bfloat16, first layer", True, x, True),
                ("bfloat16", "bfloat16, input has a gradient", True, x_grad, True),
                ("bfloat16_forward", "bfloat16, forward only", True, x, False),
            ]
        ):
            ms = milliseconds(
                step, {name: (model, data, low, backward) for name, model in models.items()}, threads, rounds
            )
            for other, first, second in (("torch", "PeepholeLSTM", "nn.LSTM"), ("loop", "loop", "PeepholeLSTM")):
                what = f"time of {first} by that of {second}, {words}, threads: {threads}; T={T} B={B} I={I} H={H}"
                result.figure(f"{other}_{key}_{threads}", ms[first] / ms[second], "ratio", what)
            rows.append(
                [words, f"{ms['PeepholeLSTM'] / ms['nn.LSTM']:.2f}", f"{ms['loop'] / ms['PeepholeLSTM']:.1f}"]
                + [f"{ms[name]:.0f}" for name in models]
            )
        result.table(
            f"threads: {threads}", ["", "ours / nn.LSTM", "loop / ours", *(f"{name}, ms" for name in models)], rows
        )

    title = "ms a step as T grows, 1 thread, float32, forward and backward, input has a gradient; flat = linear in T"
    rows, first = [], {}
    for length in lengths:  # a long sequence is its own average: fewer rounds, and without the loop of cells
        data = torch.randn(length, B, I, requires_grad=True)
        turns = max(3, min(rounds - 2, 400 // length))
        timed = {name: model for name, model in models.items() if name != "loop" or length <= 200}
        ms = milliseconds(step, {name: (model, data, False, True) for name, model in timed.items()}, 1, turns)
        first = first or {name: ms[name] / length for name in ms}
        rows.append([length, *(f"{ms[name] / length:.3f}" if name in ms else "" for name in models)])
    result.table(title, ["T", *models], rows)
    growth = ms["PeepholeLSTM"] / lengths[-1] / first["PeepholeLSTM"]
    what = f"PeepholeLSTM: cost of a step at T = {lengths[-1]} by that at T = {lengths[0]}"
    result.figure("growth", growth, "ratio", what)
    result.finish(args)


if __name__ == "__main__":
    main()

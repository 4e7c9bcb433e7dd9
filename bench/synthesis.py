"""Time the synthesizer: a training step beside a plain stack of nn.LSTM, its growth with T, and how fast it writes.

    python -m bench.synthesis             everything, about ten minutes
    python -m bench.synthesis --quick     small sizes, some seconds
    python -m bench.synthesis train length write     one part or more; --threads 2, --rounds 5, --weights NAME

Training step: forward, loss and backward of HandwritingSynthesizer (3 layers of 400, K = 10, M = 20; B = 64, T = 300,
U = 30) by the same of three layers of nn.LSTM, 480 numbers in and 400 out, with the same output layer and loss. Its
inputs stand where the pen, the window's view and the layer below would; it has no window, no peepholes, no skips.

Writing goes through softattn.synthesis.sample_lines, one thread, with weights that ship or else random ones: points
drawn by seconds, its preparations included. No line ends before its limit of points, so that none is left alone.

Run it while nothing else runs. Ratios first; it judges nothing.
"""

import statistics
import time

import torch
from torch import nn

import softattn
from bench._result import Result, milliseconds, parser, worth_timing
from softattn import synthesis
from softattn.mixture import StrokeMixture
from softattn.pen import PRINTABLE
from softattn.synthesis import HandwritingSynthesizer, encode_texts


class Plain(nn.Module):
    """Three layers of nn.LSTM and the synthesizer's head."""

    def __init__(self, input_size: int, hidden_size: int, mixtures: int):
        super().__init__()
        self.layers = nn.LSTM(input_size, hidden_size, num_layers=3)
        self.output = nn.Linear(hidden_size, 6 * mixtures + 1)

    def forward(self, x):
        return self.output(self.layers(x)[0])


def step(model, data, target, low, backward=True):
    """One training step without the optimiser; or, without backward, a forward pass with its loss."""
    model.zero_grad(set_to_none=True)
    with torch.set_grad_enabled(backward):
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            raw = model(*data)
        raw = raw.raw if hasattr(raw, "raw") else raw
        loss = -StrokeMixture(raw.float(), floor=0.01).log_prob(target).mean()
    if backward:
        loss.backward()


def batch(T, B, U, generator):
    """Random points, targets and texts."""
    points = torch.randn(2, T, B, 3, generator=generator)
    points[..., 2] = (points[..., 2] > 1.6).float()
    codes = torch.randint(len(PRINTABLE), (B, U), generator=generator)
    text = encode_texts(["".join(PRINTABLE[c] for c in row) for row in codes.tolist()])
    return points[0], points[1], text


def train(args, size, result):
    """Ours beside the plain stack, in float32 and bfloat16."""
    T, B, U, H = size["T"], size["B"], size["U"], size["H"]
    generator = torch.Generator().manual_seed(0)
    x, target, text = batch(T, B, U, generator)
    wide = torch.randn(T, B, size["I"], generator=generator)
    ours, plain = HandwritingSynthesizer(H, 3), Plain(size["I"], H, 20)
    print(f"training step: T={T} B={B} U={U} H={H}, K=10, M=20")
    for threads in args.threads:
        rows = []
        for key, words, low, backward in worth_timing(
            [
                ("float32", "float32", False, True),
                ("bfloat16", "bfloat16 products", True, True),
                ("float32_forward", "float32, no backward", False, False),
            ]
        ):
            runs = {"ours": (ours, (x, text), target, low, backward), "plain": (plain, (wide,), target, low, backward)}
            ms = milliseconds(step, runs, threads, args.rounds)
            what = f"training step by that of 3 nn.LSTM layers, {words}, threads: {threads}; T={T} B={B} U={U} H={H}"
            result.figure(f"train_{key}_{threads}", ms["ours"] / ms["plain"], "ratio", what)
            rows.append([words, f"{ms['ours'] / ms['plain']:.2f}", f"{ms['ours']:.0f}", f"{ms['plain']:.0f}"])
        result.table(f"training step, threads: {threads}", ["", "ours / plain", "ours, ms", "plain, ms"], rows)


def length(args, size, result):
    """The cost of a step of the recurrence as lines grow."""
    title = "cost per step as T grows, float32, forward, loss and backward; flat = linear in T"
    generator, rows = torch.Generator().manual_seed(0), []
    ours = HandwritingSynthesizer(size["H"], 3)
    lengths = (25, 50, 100) if args.quick else (100, 200, 400, 800, 1600)
    runs = {}
    for T in lengths:
        x, target, text = batch(T, size["B"] if args.quick else 16, size["U"], generator)
        runs[T] = (ours, (x, text), target, False, True)
    ms = milliseconds(step, runs, args.threads[-1], args.rounds - 2)
    for T in lengths:
        rows.append([T, f"{ms[T] / T:.3f}", f"{ms[T] / T / (ms[lengths[0]] / lengths[0]):.2f}"])
    result.table(title, ["T", "ms a step", "by that of the first"], rows)
    growth = ms[lengths[-1]] / lengths[-1] / (ms[lengths[0]] / lengths[0])
    result.figure("growth", growth, "ratio", f"cost of a step at T = {lengths[-1]} by that at T = {lengths[0]}")


def write(args, size, result):
    """Points per second through softattn.synthesis.sample_lines, on one thread."""
    torch.set_num_threads(1)
    try:
        model, whose = softattn.load(args.weights), f"the weights {args.weights}"
    except (ValueError, FileNotFoundError):
        torch.manual_seed(0)
        model, whose = HandwritingSynthesizer(size["H"], 3).eval(), "random weights"
    with torch.no_grad():
        model.first.window.bias[-model.first.window.components :] = -30.0  # the window stands still: no line ends
    text = "i" if args.quick else "a pen in"  # so that each takes its limit: 60 points a character, and 200 more
    print(f"writing with {whose}, one thread, bias 0.75, {200 + 60 * len(text)} points a line")
    ways, rows = [(1, False), (1, True), (12, True), (64, True)], []
    times = {way: [] for way in ways}
    for turn in range(args.rounds + 1):
        for n, fused in ways:
            start, busy = time.perf_counter(), time.thread_time()
            drafts = synthesis.sample_lines(model, [text] * n, range(turn, turn + n), 0.75, fused=fused)
            points = sum(len(draft.strokes) - 1 for draft in drafts)
            if turn:  # the first is a warm-up
                times[n, fused].append((points / (time.perf_counter() - start), points / (time.thread_time() - busy)))
    for (n, fused), rates in times.items():
        wall, busy = (statistics.median(rate) for rate in zip(*rates, strict=True))
        way = "fast" if fused else "plain"
        what = f"points a second, lines at once: {n}, {way}, {whose}, one thread"
        result.figure(f"write_{n}_{way}", wall, "points a second", what)
        rows.append([f"{n} at once, {way}", f"{wall:,.0f}", f"{busy:,.0f}"])
    result.table("writing", ["", "points a second", "of processor time"], rows)


def main():
    options = parser(__doc__, raw=True)
    options.add_argument("parts", nargs="*", help="train, length, write; all of them when none is named")
    options.add_argument(
        "--threads", type=int, nargs="+", help="thread counts of the training step (default: 2; quick: 1)"
    )
    options.add_argument("--weights", default="synthesis")
    args = options.parse_args()
    parts = {"train": train, "length": length, "write": write}
    if unknown := set(args.parts) - set(parts):
        options.error(f"no part {', '.join(sorted(unknown))}; there are: {', '.join(parts)}")
    args.threads = args.threads or ([1] if args.quick else [2])
    args.rounds = args.rounds or (3 if args.quick else 5)
    size = dict(T=40, B=8, U=10, H=40, I=120) if args.quick else dict(T=300, B=64, U=30, H=400, I=480)
    if args.write and args.parts:
        options.error("--write stores a whole run: name no parts")
    result = Result("synthesis", args.threads, args.rounds)
    for name, part in parts.items():
        if not args.parts or name in args.parts:
            part(args, size, result)
    result.finish(args)


if __name__ == "__main__":
    main()

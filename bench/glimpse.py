"""Time a training step of the glimpse reader beside a plain port of it, and against looks and filters, in one run.

    python -m bench.glimpse             batch 128 on 100 x 100, T = 8, N = 12; T from 1 to 16, N from 6 to 24
    python -m bench.glimpse --quick     small sizes, few rounds
    python -m bench.glimpse --threads 1

A step is forward, backward and Adam. "port" is what one writes first: the same weights, filters as their equations
stand, one axis after the other, nn.LSTMCell, the loss look by look. "whole" is the convolutional network of the paper's
table, which reads the whole canvas once. "canvases" is what making the batch costs. Run it alone.
"""

import torch
import torch.nn.functional as F
from torch import nn

from bench._result import Result, milliseconds, parser
from bench.filterbank import port_read
from softattn.filterbank import bounded
from softattn.glimpse import GlimpseClassifier, glimpse_nats, whole_reader
from softattn.images import cluttered, embedded_digits


class Port(nn.Module):
    """The same network out of PyTorch's parts, one look after the other."""

    def __init__(self, model):
        super().__init__()
        self.bank, self.glimpses, hidden = model.bank, model.glimpses, model.aim.in_features
        self.features, self.aim, self.head = model.features, model.aim, model.head
        self.cell, self.start = nn.LSTMCell(hidden, hidden), model.start
        theirs = model.cell
        with torch.no_grad():
            self.cell.weight_ih.copy_(theirs.weight_x.mT)
            self.cell.weight_hh.copy_(theirs.weight_h.mT)
            self.cell.bias_ih.copy_(theirs.bias)
            self.cell.bias_hh.zero_()

    def forward(self, x):
        h, c = (state.expand(len(x), -1).contiguous() for state in self.start)
        logits = []
        for _ in range(self.glimpses):
            patch = port_read(self.bank, x, bounded(self.aim(h)))
            h, c = self.cell(F.relu(self.features(patch.flatten(1))), (h, c))
            logits.append(self.head(h))
        return torch.stack(logits)


def step(model, adam, x, labels):
    """One step of training."""
    told = model(x)
    told = getattr(told, "logits_by_glimpse", told)
    loss = glimpse_nats(told if told.ndim == 3 else told[None], labels).mean()
    adam.zero_grad(set_to_none=True)
    loss.backward()
    adam.step()


def call(function, *arguments):
    return function(*arguments)


def reader(T, N, size, hidden):
    torch.manual_seed(0)
    return GlimpseClassifier((1, size, size), T, N, hidden)


def main():
    options = parser(__doc__)
    options.add_argument("--threads", type=int, nargs="+", help="thread counts to try (default: 2 and 1; quick: 1)")
    args = options.parse_args()
    B, size, hidden, T, N = (16, 40, 32, 3, 6) if args.quick else (128, 100, 256, 8, 12)
    rounds, counts = args.rounds or (3 if args.quick else 7), args.threads or ([1] if args.quick else [2, 1])
    digits = embedded_digits(100)
    made = digits, B, torch.Generator().manual_seed(0), size
    some = cluttered(*made)
    x, labels = some.canvases, some.labels[:, 0]
    result = Result("glimpse", counts, rounds)

    def run(model):
        return step, model, torch.optim.Adam(model.parameters(), lr=1e-4, fused=True), x, labels

    ours = reader(T, N, size, hidden)
    assert torch.allclose(Port(ours)(x), ours(x).logits_by_glimpse, atol=1e-3)
    for threads in counts:
        setting = f"batch {B}, {size} x {size}, T = {T}, N = {N}, hidden {hidden}, threads: {threads}"
        runs = {"ours": run(ours), "port": run(Port(reader(T, N, size, hidden)))}
        runs["whole"] = run(whole_reader("convolutional", size))
        ms = milliseconds(call, {**runs, "canvases": (cluttered, *made)}, threads, rounds)
        result.figure(
            f"port_by_ours_{threads}", ms["port"] / ms["ours"], "ratio", f"a plain port's step by ours, {setting}"
        )
        result.figure(f"step_{threads}", ms["ours"], "ms", f"a step of training, {setting}")
        result.figure(
            f"canvases_{threads}", ms["canvases"] / ms["ours"], "ratio", f"making the canvases by a step, {setting}"
        )
        rows = [[name, f"{value:.2f}", f"{value / ms['ours']:.2f}"] for name, value in ms.items()]
        result.table(f"a step of training; {setting}; medians", ["what", "ms", "by ours"], rows)
        looks = [1, 2, 3] if args.quick else [1, 2, 4, 8, 16]
        filters = [4, 6] if args.quick else [6, 12, 24]
        for letter, kinds in (("T", [(t, t, N) for t in looks]), ("N", [(n, T, n) for n in filters])):
            ms = milliseconds(call, {key: run(reader(t, n, size, hidden)) for key, t, n in kinds}, threads, rounds)
            for key, value in ms.items():
                result.figure(f"step_{letter}{key}_{threads}", value, "ms", f"{letter} = {key}, else {setting}")
            result.table(
                f"a step against {letter}; {setting}", [letter, "ms"], [[k, f"{v:.2f}"] for k, v in ms.items()]
            )
    result.finish(args)


if __name__ == "__main__":
    main()

"""Time a training step of DRAW beside a plain port, in one run; its memory; how long 64 digits take. Ratios first.

    python -m bench.draw             T = 64, read 2, write 5, LSTMs of 256, 100 numbers a step, 128 digits; some minutes
    python -m bench.draw --quick     small sizes, some seconds
    python -m bench.draw train colour memory write     one part or more; --threads 2, --rounds 5

The port is what one writes first, with the same parameters: nn.LSTMCell and torch.bmm in a Python loop, filters from
pixels counted from 1, and autograd behind it. Both start from the same noise; in float32 bound and gradients have to
agree to 1e-4, else nothing is timed. A step is forward, loss and backward, without the optimiser. "colour" is the same
for the machine of house numbers: three channels of 54 x 54, 12 x 12 filters, LSTMs of 400, 32 pictures, T = 16; then
its step for other T and other grids.

Memory is how far the resident memory of a fresh process grows in its first step of this size, one thread; a step of
one image goes before it, so that what PyTorch itself takes is not counted.

Run it while nothing else runs. It judges nothing.
"""

import copy
import statistics
import subprocess
import sys
import time
from argparse import SUPPRESS
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from bench._result import FEWEST, ROOT, Result, milliseconds, parser, worth_timing
from softattn.draw import BOUND, DRAW
from softattn.images import binarise, embedded_digits
from softattn.svhn import embedded_house_numbers, windows

SIDE = 54  # of a house number


class Port(nn.Module):
    """DRAW as a loop over its equations, parameters of a softattn.draw.DRAW."""

    def __init__(self, model: DRAW):
        super().__init__()
        self.steps, self.latent = model.steps, model.latent
        self.channels, self.height, self.width = model.image_shape
        assert model.reader is not None and model.writer is not None, "the port reads and writes through filters"
        self.n_read, self.n_write = model.reader.n, model.writer.n
        hidden = model.hidden
        self.encoder = nn.LSTMCell(len(model.state_dict()["encoder.weight_x"]), hidden)
        self.decoder = nn.LSTMCell(model.latent, hidden)
        self.mu, self.log_sigma = nn.Linear(hidden, model.latent), nn.Linear(hidden, model.latent)
        self.read_aim, self.write_aim = nn.Linear(hidden, 5), nn.Linear(hidden, 5)
        self.patch = nn.Linear(hidden, self.channels * self.n_write**2)
        self.canvas, self.start = (nn.Parameter(torch.empty_like(p)) for p in (model.canvas.flatten(), model.start))
        with torch.no_grad():
            for mine, its in self.pairs(model):
                mine.copy_(its)
            for cell in (self.encoder, self.decoder):
                cell.bias_hh.zero_()

    def pairs(self, model: DRAW) -> Iterator[tuple[torch.Tensor, Any]]:
        """Each parameter and where its numbers come from."""
        yield from ((self.canvas, model.canvas.flatten()), (self.start, model.start))
        for mine, its in ((self.encoder, model.encoder), (self.decoder, model.decoder)):
            yield from ((mine.weight_ih, its.weight_x.T), (mine.weight_hh, its.weight_h.T), (mine.bias_ih, its.bias))
        for whole, parts in (
            (model.posterior, (self.mu, self.log_sigma)),
            (model.write_head, (self.read_aim, self.write_aim, self.patch)),
        ):
            sizes = [len(part.bias) for part in parts]
            for part, weight, bias in zip(parts, whole.weight.split(sizes), whole.bias.split(sizes), strict=True):
                yield from ((part.weight, weight), (part.bias, bias))

    def filters(self, aim, n):
        """Filters down and across, and the strength; equations 19 to 26."""
        aim = aim.float()
        log_sigma2, log_delta, log_gamma = (BOUND * torch.tanh(aim[:, 2:] / BOUND)).unbind(1)
        g_x, g_y = (self.width + 1) / 2 * (aim[:, 0] + 1), (self.height + 1) / 2 * (aim[:, 1] + 1)
        delta = (max(self.width, self.height) - 1) / (n - 1) * log_delta.exp()
        steps = torch.arange(1, n + 1) - n / 2 - 0.5
        both = []
        for g, length in ((g_y, self.height), (g_x, self.width)):
            mu = g[:, None] + delta[:, None] * steps
            a = torch.arange(1, length + 1)
            F = torch.exp(-((a - mu[:, :, None]) ** 2) / (2 * log_sigma2.exp()[:, None, None]))
            both.append(F / F.sum(2, keepdim=True).clamp(min=1e-8))
        return *both, log_gamma.exp()[:, None, None]

    def forward(self, x, noise):
        """Bound of images (B, C, H, W), (B,)."""
        B = len(x)
        c = self.canvas.expand(B, -1)
        h_enc, c_enc, h_dec, c_dec = (s.expand(B, -1) for s in self.start)
        kl = 0
        for t in range(self.steps):
            error = x - torch.sigmoid(c).view_as(x)
            F_y, F_x, gamma = self.filters(self.read_aim(h_dec), self.n_read)
            both = torch.cat([x, error], 1)
            r = (gamma[:, None] * (F_y[:, None] @ both @ F_x.mT[:, None])).flatten(1)
            h_enc, c_enc = self.encoder(torch.cat([r, h_dec], 1), (h_enc, c_enc))
            mu, log_sigma = self.mu(h_enc).float(), self.log_sigma(h_enc).float()
            z = mu + torch.exp(log_sigma) * noise[t]
            kl = kl + 0.5 * (mu**2 + torch.exp(2 * log_sigma) - 2 * log_sigma - 1).sum(1)
            h_dec, c_dec = self.decoder(z, (h_dec, c_dec))
            F_y, F_x, gamma = self.filters(self.write_aim(h_dec), self.n_write)
            patch = self.patch(h_dec).view(B, self.channels, self.n_write, self.n_write)
            c = c + (F_y.mT[:, None] @ patch @ F_x[:, None] / gamma[:, None]).flatten(1)
        nats = binary_cross_entropy_with_logits(c.float(), x.flatten(1), reduction="none").sum(1)
        return nats + kl


def bound(model, x, noise):
    """The bound of either, from the same noise."""
    if isinstance(model, Port):
        return model(x, noise)
    DRAW.noise = lambda self, n, generator: noise  # both from the same
    return model(x).nll_bound


def step(model, x, noise, low):
    """One training step without the optimiser; returns the bound."""
    model.zero_grad(set_to_none=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=low):
        nats = bound(model, x, noise)
    nats.mean().backward()
    return nats.detach()


def prepared(quick):
    """Both models with the same weights, digits and noise."""
    T, B, hidden, latent = (6, 16, 32, 10) if quick else (64, 128, 256, 100)
    torch.manual_seed(0)
    ours = DRAW(steps=T, hidden=hidden, latent=latent)
    generator = torch.Generator().manual_seed(0)
    x = binarise(embedded_digits(B).floats(), generator)
    return {"ours": ours, "port": Port(ours)}, x, torch.randn(T, B, latent, generator=generator)


def in_colour(quick, T=16, grid=12):
    """The same for house numbers that the book paints, of so many steps and filters."""
    T, B, hidden, latent = (min(T, 4), 4, 32, 10) if quick else (T, 32, 400, 100)
    torch.manual_seed(0)
    ours = DRAW((3, SIDE, SIDE), T, hidden, latent, grid, grid)
    x = windows(embedded_house_numbers(B).pixels, SIDE).float() / 255
    noise = torch.randn(T, B, latent, generator=torch.Generator().manual_seed(0))
    return {"ours": ours, "port": Port(ours)}, x, noise


def compare(models, x, noise):
    """How far bounds and gradients of the two are apart, relative to the largest."""
    ours, port = models["ours"], models["port"]
    nats = [step(model, x, noise, False) for model in (ours, port)]
    twin = copy.deepcopy(ours)  # gradients in the places of parameters: `pairs` pairs them too
    for p, q in zip(twin.parameters(), ours.parameters(), strict=True):
        p.data = q.grad
    pairs = [(nats[1], nats[0]), *((mine.grad, its) for mine, its in port.pairs(twin))]
    return max(((mine - its).abs().max() / its.abs().max()).item() for mine, its in pairs)


def resident(which="VmRSS"):
    """Resident memory of this process now, or at its peak ("VmHWM"; getrusage's would be a parent's), MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(which))) / 1024


def growth(which, quick, low):
    """Peak growth of the resident memory in one step, MiB."""
    torch.set_num_threads(1)
    models, x, noise = prepared(quick)
    model = models[which]
    step(model, x[:1], noise[:, :1], low)
    before = resident()
    step(model, x, noise, low)
    return resident("VmHWM") - before


def train(args, result):
    against_port(args, result, "train", "a training step", *prepared(args.quick))


def colour(args, result):
    against_port(args, result, "colour", "a training step in colour", *in_colour(args.quick))
    rows, threads = [], args.threads[0]
    for T, grid in ((8, 12), (16, 12), (32, 12), (16, 6), (16, 24)):
        models, x, noise = in_colour(args.quick, T, grid)
        ms = milliseconds(step, {"ours": (models["ours"], x, noise, False)}, threads, args.rounds)["ours"]
        what = f"training step in colour, T = {T}, grids of {grid} x {grid}, float32, threads: {threads}"
        result.figure(f"colour_T{T}_N{grid}_{threads}", ms, "ms", what)
        rows.append([T, grid, f"{ms:.0f}"])
    result.table("a training step in colour, other sizes", ["T", "filters a side", "step, ms"], rows)


def against_port(args, result, name, title, models, x, noise):
    """Time both, where they agree."""
    apart = compare(models, x, noise)
    print(f"float32: bound and gradients agree to {apart:.1e}, relative\n")
    assert apart < 1e-4
    rows = []
    for threads in args.threads:
        for words, low in worth_timing([("float32", False), ("bfloat16", True)]):
            runs: dict[str, tuple] = {kind: (model, x, noise, low) for kind, model in models.items()}
            ms = milliseconds(step, runs, threads, args.rounds)
            what = f"{title} by that of a plain port, {words}, threads: {threads}; noise {list(noise.shape)}"
            result.figure(f"{name}_{words}_{threads}", ms["ours"] / ms["port"], "ratio", what)
            rows.append([threads, words, f"{ms['ours'] / ms['port']:.2f}", *(f"{ms[kind]:.0f}" for kind in runs)])
    result.table(title, ["threads", "training step", "ours / port", *(f"{kind}, ms" for kind in models)], rows)


def memory(args, result):
    rows = []
    for words, low in worth_timing([("float32", False), ("bfloat16", True)]):
        sizes = []
        for name in ("ours", "port"):
            command = [sys.executable, "-m", "bench.draw", "--grow", name, *(["--quick"] if args.quick else [])]
            command += ["--low"] if low else []
            grown = [
                float(subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout)
                for _ in range(1 if args.quick else FEWEST)
            ]
            sizes.append(statistics.median(grown))
            result.figure(
                f"memory_{words}_{name}",
                sizes[-1],
                "MiB",
                f"growth of the memory in one training step, {name}, {words}",
            )
        rows.append([words, f"{sizes[0] / max(sizes[1], 1e-9):.2f}", *(f"{size:.0f}" for size in sizes)])
    result.table("memory of a training step", ["memory of a step", "ours / port", "ours, MiB", "port, MiB"], rows)


def write(args, result):
    models, *_ = prepared(args.quick)
    rows = []
    for threads in args.threads:
        torch.set_num_threads(threads)
        seconds = []
        for seed in range(args.rounds + 1):
            start = time.perf_counter()
            models["ours"].generate(64, torch.Generator().manual_seed(seed))
            seconds.append(time.perf_counter() - start)
        what = f"seconds to generate 64 digits in {models['ours'].steps} steps, threads: {threads}"
        result.figure(f"write_64_{threads}", statistics.median(seconds[1:]), "s", what)
        rows.append([threads, models["ours"].steps, f"{statistics.median(seconds[1:]):.3f}"])
    result.table("writing", ["threads", "T", "64 digits generated, s"], rows)


def main():
    options = parser(__doc__)
    parts = {"train": train, "colour": colour, "memory": memory, "write": write}
    options.add_argument("parts", nargs="*", help=f"of {', '.join(parts)}; all if none is named")
    options.add_argument("--threads", type=int, nargs="+", help="thread counts to try (default: 2 and 1; quick: 1)")
    options.add_argument("--grow", choices=["ours", "port"], help=SUPPRESS)
    options.add_argument("--low", action="store_true", help=SUPPRESS)
    args = options.parse_args()
    if args.grow:
        print(growth(args.grow, args.quick, args.low))
        return
    args.threads = args.threads or ([1] if args.quick else [2, 1])
    args.rounds = args.rounds or (3 if args.quick else 7)
    if unknown := set(args.parts) - set(parts):
        options.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(parts)}")
    if args.write and args.parts:
        options.error("--write stores a whole run: name no parts")
    result = Result("draw", args.threads, args.rounds)
    for name in args.parts or parts:
        parts[name](args, result)
    result.finish(args)


if __name__ == "__main__":
    main()

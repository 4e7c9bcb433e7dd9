"""Time Filterbank beside grid_sample reading the same N x N places, and beside a plain port, in one run. Ratios first.

    python -m bench.filterbank             DRAW's two settings (N = 2 and 5, 28 x 28), cluttered MNIST's and SVHN's
    python -m bench.filterbank --quick     one setting, few rounds
    python -m bench.filterbank --threads 1

All start from the same five numbers a grid: filters or sampling points are made anew at each call, as in a model.
"read" and "write" are forward and backward, the gradient going to the parameters and the image or patch; "fwd" is
without. grid_sample reads bilinearly (four pixels a point, whatever sigma says) and cannot write; its read stands for
both. "port" is what one writes first: a Gaussian, divided by its sum, for each axis, and torch.matmul. Run it alone.
"""

import torch
from torch.nn.functional import grid_sample

from bench._result import Result, milliseconds, parser
from softattn.filterbank import Filterbank


def port_filters(bank, raw):
    """Filters by equations 19 to 26 as they stand, one axis after the other."""
    g_x, g_y, delta, sigma2, gamma = bank.params(raw)
    steps = torch.arange(1, bank.n + 1, device=raw.device) - bank.n / 2 - 0.5
    both = []
    for g, length in ((g_y, bank.height), (g_x, bank.width)):
        mu = g[:, None] + delta[:, None] * steps
        a = torch.arange(1, length + 1, device=raw.device)
        F = torch.exp(-((a - mu[:, :, None]) ** 2) / (2 * sigma2[:, None, None]))
        both.append(F / F.sum(2, keepdim=True).clamp(min=1e-8))
    return *both, gamma


def port_read(bank, images, raw):
    """The channels one after the other, as two calls of a reader."""
    F_y, F_x, gamma = port_filters(bank, raw)
    parts = [F_y @ images[:, c] @ F_x.mT for c in range(images.shape[1])]
    return torch.stack(parts, 1) * gamma[:, None, None, None]


def port_write(bank, patch, raw):
    F_y, F_x, gamma = port_filters(bank, raw)
    return torch.stack([F_y.mT @ patch[:, c] @ F_x for c in range(patch.shape[1])], 1) / gamma[:, None, None, None]


def sampled_read(bank, images, raw):
    """The same N x N places by bilinear sampling."""
    g_x, g_y, delta, _, gamma = bank.params(raw)
    steps = torch.arange(1, bank.n + 1, device=raw.device) - bank.n / 2 - 0.5
    x, y = ((g[:, None] + delta[:, None] * steps) for g in (g_x, g_y))
    x, y = 2 * (x - 1) / (bank.width - 1) - 1, 2 * (y - 1) / (bank.height - 1) - 1
    grid = torch.stack([x[:, None, :].expand(-1, bank.n, -1), y[:, :, None].expand(-1, -1, bank.n)], 3)
    patch = grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=True)
    return patch * gamma[:, None, None, None]


def step(call, bank, value, raw, backward):
    value.grad = raw.grad = None
    with torch.set_grad_enabled(backward):
        out = call(bank, value, raw)
    if backward:
        out.backward(out.detach())


def main():
    options = parser(__doc__)
    options.add_argument("--threads", type=int, nargs="+", help="thread counts to try (default: 2 and 1; quick: 1)")
    args = options.parse_args()
    settings = [(128, 2, 28, 2), (128, 1, 28, 5), (128, 1, 100, 12), (128, 3, 54, 12)][: 1 if args.quick else None]
    rounds = args.rounds or (3 if args.quick else 9)
    counts = args.threads or ([1] if args.quick else [2, 1])
    result = Result("filterbank", counts, rounds)
    for threads in counts:
        rows = []
        head = ["threads", "B", "C", "image", "N", "read+write / sampled x 2", "read / sampled", "port / ours, both"]
        head += ["read", "write", "sampled", "port read", "port write", "read fwd", "sampled fwd"]
        for B, C, size, n in settings:
            torch.manual_seed(0)
            bank = Filterbank(size, size, n)
            x = torch.rand(B, C, size, size).requires_grad_()
            w = torch.rand(B, C, n, n).requires_grad_()
            raw = 0.15 * torch.randn(B, 5) - torch.tensor([0, 0, 0, 1.0, 0])  # grids inside the image
            raw.requires_grad_()
            assert torch.allclose(port_read(bank, x, raw), bank.read(x, raw), atol=1e-4)
            assert torch.allclose(port_write(bank, w, raw), bank.write(w, raw), atol=1e-4)
            ms = milliseconds(
                step,
                {
                    "read": (Filterbank.read, bank, x, raw, True),
                    "write": (Filterbank.write, bank, w, raw, True),
                    "sampled": (sampled_read, bank, x, raw, True),
                    "port read": (port_read, bank, x, raw, True),
                    "port write": (port_write, bank, w, raw, True),
                    "read fwd": (Filterbank.read, bank, x, raw, False),
                    "sampled fwd": (sampled_read, bank, x, raw, False),
                },
                threads,
                rounds,
                calls=50,
            )
            both = ms["read"] + ms["write"]
            ratios = [
                both / (2 * ms["sampled"]),
                ms["read"] / ms["sampled"],
                (ms["port read"] + ms["port write"]) / both,
            ]
            setting = f"{B} images of {size} x {size}, channels: {C}, N = {n}, threads: {threads}"
            for key, value, words in zip(
                ("both_by_sampled", "read_by_sampled", "port_by_ours"),
                ratios,
                ("read and write by twice grid_sample", "read by grid_sample", "a plain port's read and write by ours"),
                strict=True,
            ):
                result.figure(f"{key}_{C}x{size}_{n}_{threads}", value, "ratio", f"{words}, {setting}")
            cells = [threads, B, C, f"{size} x {size}", n, *(f"{r:.2f}" for r in ratios)]
            rows.append(cells + [f"{v:.3f}" for v in ms.values()])
        result.table(f"threads: {threads}; milliseconds, medians", head, rows)
    result.finish(args)


if __name__ == "__main__":
    main()

"""Time this tree against another checkout, its parent commit say: the same work in two processes that take turns.

    python -m bench.against PATH               every part, one thread
    python -m bench.against PATH draw window   some of them: lstm, window, draw, mixture, synthesis, write1, write64
    python -m bench.against PATH --quick       small sizes; --rounds 9, --threads 2

Each checkout gets a process of its own that waits until it is asked; the rounds are interleaved, and a part's figure is
the ratio of the medians of the processor time: below 1 this tree is faster. What a checkout lacks is left out.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("lstm", "window", "draw", "mixture", "synthesis", "write1", "write64")


def work(part: str, quick: bool) -> Callable[[], object]:
    """The piece of work of one part, with the softattn of this process; moved names in both places."""
    torch.manual_seed(0)
    T, B, H = (20, 8, 32) if quick else (200, 64, 400)
    if part == "lstm":
        from softattn.lstm import PeepholeLSTM

        model, x = PeepholeLSTM(H + 80, H), torch.randn(T, B, H + 80, requires_grad=True)
        return lambda: model(x)[0].sum().backward()
    if part == "window":
        from softattn.window import WindowLSTM

        model, x = WindowLSTM(3, H, 96, 10), torch.randn(T, B, 3)
        chars = torch.nn.functional.one_hot(torch.randint(96, (B, 30)), 96).float()

        def look():
            out = model(x, chars)
            (out.h.sum() + out.w.sum()).backward()

        return look
    if part == "draw":
        from softattn.draw import DRAW
        from softattn.images import binarise, embedded_digits

        model = DRAW(steps=6 if quick else 32, hidden=32 if quick else 256, latent=10 if quick else 100)
        images = binarise(embedded_digits(16 if quick else 128).floats(), torch.Generator().manual_seed(0))
        return lambda: model(images, torch.Generator().manual_seed(1)).nll_bound.mean().backward()
    if part == "mixture":
        from softattn.mixture import StrokeMixture

        raw, y = torch.randn(T, B, 121, requires_grad=True), torch.randn(T, B, 3)
        y[..., 2] = (y[..., 2] > 1.6).float()
        return lambda: (-StrokeMixture(raw, floor=0.01).log_prob(y).mean()).backward()
    from softattn import synthesis

    if part == "synthesis":
        from softattn.mixture import StrokeMixture

        model, x = synthesis.HandwritingSynthesizer(H, 3), torch.randn(T, B, 3)
        y, text = (
            torch.randn(T, B, 3).sign().clamp(min=0),
            synthesis.encode_texts(["a line of thirty letters here."] * B),
        )

        def learn():
            out = model(x, text)
            (-StrokeMixture(out.raw.float(), floor=0.01).log_prob(y).mean()).backward()

        return learn
    import softattn

    lines, model = int(part.removeprefix("write")), softattn.load("synthesis")
    sample = getattr(synthesis, "sample_lines", None) or getattr(synthesis, "draw", None)  # its name before and after
    assert sample is not None
    text = "hand" if quick else "A line of thirty letters here."
    return lambda: sample(model, [text] * lines, list(range(lines)), 0.75)


def serve(options: argparse.Namespace) -> None:
    """Answer each line of the standard input, the name of a part, with the seconds that it took."""
    made: dict[str, Callable[[], object]] = {}
    answers, sys.stdout = sys.stdout, sys.stderr  # what the package prints is no answer
    for line in sys.stdin:
        part = line.strip()
        try:
            if part not in made:
                made[part] = work(part, options.quick)
                made[part]()  # warm up
            before = time.process_time()
            made[part]()
            answer: dict[str, object] = {"seconds": time.process_time() - before}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


def started(root: Path, options: argparse.Namespace) -> subprocess.Popen[str]:
    """A process whose softattn is that of `root`; the work itself is this file's."""
    env = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": str(options.threads), "TQDM_DISABLE": "1"}
    command = [
        sys.executable,
        "-P",
        str(Path(__file__).resolve()),
        str(root),
        "--serve",
        "--threads",
        str(options.threads),
    ]
    command += ["--quick"] if options.quick else []
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=root, env=env, **pipes)


def ask(process: subprocess.Popen[str], part: str) -> float | str:
    """Seconds of one call, or why there are none."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(part + "\n")
    process.stdin.flush()
    answer = json.loads(process.stdout.readline() or '{"error": "the process has ended"}')
    return answer["seconds"] if "seconds" in answer else answer["error"]


def main(argv: list[str] | None = None) -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("other", type=Path, help="another checkout of this repository")
    options.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all if none is named")
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--quick", action="store_true", help="small sizes")
    options.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    args = options.parse_args(argv)
    torch.set_num_threads(args.threads)
    if args.serve:
        serve(args)
        return 0
    if not (args.other / "softattn" / "__init__.py").exists():
        options.error(f"{args.other} is no checkout: there is no softattn in it")
    if unknown := sorted(set(args.parts) - set(PARTS)):
        options.error(f"no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    if args.rounds < 3:
        options.error(f"--rounds {args.rounds}: each figure is a median of at least 3")
    sides = [started(root, args) for root in (ROOT, args.other.resolve())]
    try:
        print(f"{'':10s}  this / other  this, ms  other, ms   ({args.rounds} rounds, processor time, load", end=" ")
        print(f"{os.getloadavg()[0]:.1f})", flush=True)
        for part in args.parts or PARTS:
            rounds = [[ask(side, part) for side in sides] for _ in range(args.rounds)]
            said = [value for pair in rounds for value in pair if isinstance(value, str)]
            if said:
                print(f"{part:10s}  not compared: {said[0]}", flush=True)
                continue
            ours, theirs = (1000 * statistics.median(float(pair[k]) for pair in rounds) for k in (0, 1))
            print(f"{part:10s}  {ours / theirs:12.3f}  {ours:8.1f}  {theirs:9.1f}", flush=True)
    finally:
        for side in sides:
            assert side.stdin is not None
            side.stdin.close()
            side.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Pretrain the text model of the chapter `prediction` on the prose of Python's standard library.

    python recipes/prediction.py --minutes 60              the run that made softattn/weights/prediction.safetensors
    python recipes/prediction.py --minutes 60 --resume     go on from the saved state
    python recipes/prediction.py --minutes 0 --resume      write the weights from the saved state

The text is `pydoc_data.topics`, what help() knows about the language; its last part is held out. Every batch is 32
random windows of 200 characters. The learning rate falls along a cosine of the characters seen, to zero at
--characters, so that a run cut into pieces is the same run. The state is kept outside the repository and saved every
--save-every steps. Two layers of 320 were chosen over two of 256 (faster by little) and two of 400 (half as fast).
"""

import argparse
import hashlib
import math
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import torch

from softattn._files import save_weights
from softattn.prediction import (
    ALPHABET,
    PredictionNetwork,
    encode,
    library_prose,
    text_loss,
    text_surprise,
    text_windows,
)
from softattn.training import cosine, device, fit

ROOT = Path(__file__).resolve().parent.parent
LENGTH, BATCH, WARMUP = 200, 32, 100
CHECK = (
    "Every statement has a value; every value has a type.\n"
    "A type is itself an object, and so the question what an object is has an answer that can be printed:\n\n"
    "   >>> type(type)\n   <class 'type'>\n"
)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=60, help="stop after so many minutes of training")
    parser.add_argument("--characters", type=float, default=16e6, help="length of the whole schedule")
    parser.add_argument("--resume", action="store_true", help="go on from the state under --state")
    parser.add_argument(
        "--device", default=None, help="cpu, cuda ...; what softattn.training.device() says if left out"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=ROOT / "softattn" / "weights" / "prediction.safetensors")
    parser.add_argument("--state", type=Path, default=Path.home() / "softattn-runs" / "prediction" / "state.ckpt")
    parser.add_argument("--save-every", type=int, default=200, help="steps between two savings of the state")
    parser.add_argument("--hidden", type=int, default=320)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--dropout", type=float, default=0.25)
    parser.add_argument("--rate", type=float, default=4e-3)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


def split(text: str) -> tuple[str, str]:
    """Hold out the last twentieth of the text, from the start of a paragraph on."""
    cut = text.index("\n\n", len(text) * 19 // 20) + 2
    return text[:cut], text[cut:]


def commit() -> str:
    """The repository's commit, or "unknown" outside one."""
    found = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return found.stdout.strip() if found.returncode == 0 else "unknown"


def bits(model: PredictionNetwork, text: str, where: torch.device) -> float:
    """Bits per character of a text that the frozen model reads from the null state."""
    return text_surprise(model, encode(text).to(where)).double().mean().item() / math.log(2)


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    if options.state.exists() and not options.resume:
        raise SystemExit(f"{options.state} holds a run: go on with --resume, or delete it to start anew")
    if options.resume and not options.state.exists():
        raise SystemExit(f"{options.state} is not there: nothing to resume")
    out = options.out.resolve()
    if out.suffix != ".safetensors" or not out.parent.is_dir():
        raise SystemExit(f"--out {out}: give the name of a .safetensors file in a folder that exists")
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    where = torch.device(options.device) if options.device else device()
    text = library_prose()
    train, held_out = split(text)
    codes = encode(train).to(where)

    size = len(ALPHABET)
    config = dict(
        input_size=size,
        hidden_size=options.hidden,
        num_layers=options.layers,
        output_size=size,
        dropout=options.dropout,
    )
    model = PredictionNetwork(**config).to(where)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.rate, betas=(0.9, 0.99), weight_decay=0)
    generator = torch.Generator().manual_seed(options.seed)
    total = int(options.characters / (LENGTH * BATCH))
    log = options.state.with_suffix(".minutes")  # minutes of all pieces so far
    before = float(log.read_text()) if options.resume and log.exists() else 0.0
    started, steps = time.monotonic(), 0
    if options.resume:
        steps = len(torch.load(options.state, map_location="cpu", weights_only=True)["history"])
    spent = lambda: (time.monotonic() - started) / 60

    history: list[float] = []
    target = steps
    while True:
        history = fit(
            model,
            lambda g: text_windows(codes, LENGTH, BATCH, g),
            text_loss,
            optimizer,
            steps=target,
            clip=1.0,
            schedule=cosine(total, warmup=min(WARMUP, total // 10)),
            generator=generator,
            checkpoint=options.state,
            save_every=options.save_every,
            progress=False,
        )
        if history:
            recent = sum(history[-100:]) / len(history[-100:]) / math.log(2)
            print(
                f"step {len(history)} of {total}, {before + spent():.1f} min, "
                f"training {recent:.3f} bits/character, held out {bits(model, held_out[:8000], where):.3f}",
                flush=True,
            )
            log.write_text(f"{before + spent():.2f}")
        if target >= total or spent() >= options.minutes:
            break
        target = min(total, (target // options.save_every + 1) * options.save_every)
    if not history:
        raise SystemExit("no step was made: nothing to write; give more --minutes")

    dtype = torch.float16
    rounded = PredictionNetwork(**config).to(where)
    rounded.load_state_dict({name: value.to(dtype).to(value.dtype) for name, value in model.state_dict().items()})
    found, check = bits(rounded, held_out, where), bits(rounded, CHECK, where)
    card = {
        "class": "softattn.prediction.PredictionNetwork",
        "config": config,
        "summary": "Predicts the next character of English prose about Python; reads and writes 96 plain characters.",
        "data": "pydoc_data.topics of Python "
        f"{platform.python_version()} ({len(text)} characters, sha256 {hashlib.sha256(text.encode()).hexdigest()})",
        "licence": "weights: MIT; text they were trained on: Python documentation, PSF License Version 2",
        "non_commercial": False,
        "command": "python recipes/prediction.py " + " ".join(sys.argv[1:] if arguments is None else arguments),
        "commit": commit(),
        "steps": len(history),
        "minutes": round(before + spent(), 1),
        "machine": f"{where.type}, {platform.machine()}, {options.threads} of {os.cpu_count()} threads, "
        f"torch {torch.__version__.split('+')[0]}",
        "seed": options.seed,
        "metric": {
            "name": "bits per character",
            "value": round(found, 4),
            "split": "last twentieth of the text, frozen",
        },
        "paper": "none on this text",
        "alphabet": ALPHABET,
        "characters_seen": len(history) * LENGTH * BATCH,
        "training_bits": round(sum(history[-100:]) / len(history[-100:]) / math.log(2), 4),
        "check": {"text": CHECK, "bits_per_character": round(check, 5)},
    }
    save_weights(out, model.state_dict(), card, dtype=dtype)
    print(f"wrote {out.name}: held out {found:.4f} bits/character after {card['minutes']} min")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Train the text models of the chapter `prediction`: first on the prose of Python's standard library, then on the book.

    python -m recipes.prediction library                       writes softattn/weights/prediction.safetensors
    python -m recipes.prediction book                          from there, softattn/weights/prediction-book.safetensors
    python -m recipes.prediction library --resume --minutes 60      go on from the saved state
    python -m recipes.prediction library --resume --minutes 0       write the weights from the saved state

`library` learns `pydoc_data.topics`, what help() knows about the language; the last twentieth is held out. `book`
starts from those weights and learns the training part of the frozen corpus; after `make corpus` it has to run again,
because the parts have moved: its card names the corpus by its SHA-256.

Every batch is a handful of random windows. The learning rate falls along a cosine of the characters seen, to zero at
--characters, so that a run cut into pieces is the same run. The state is kept outside the repository and saved every
--save-every steps. Two layers of 320 cells were chosen over two of 256 (little faster) and of 400 (half as fast on one
thread).
"""

import argparse
import hashlib
import math
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any, cast

import torch

from recipes._processes import alone
from recipes._run import WEIGHTS, commit
from softattn.hub import load, save_weights
from softattn.prediction import PredictionNetwork, text_loss, text_surprise
from softattn.text import ALPHABET, book_corpus, encode, library_prose, text_windows
from softattn.training import cosine, device, fit

WARMUP = 100
STAGES = {  # what each stage learns with; every value can be set on the command line
    "library": dict(characters=10.24e6, rate=4e-3, dropout=0.25, length=200, batch=32),
    "book": dict(characters=4e6, rate=3e-3, dropout=0.25, length=150, batch=32),
}
CHECK = (
    "Every statement has a value; every value has a type.\n"
    "A type is itself an object, and so the question what an object is has an answer that can be printed:\n\n"
    "   >>> type(type)\n   <class 'type'>\n"
)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("stage", choices=sorted(STAGES), help="which text to learn")
    parser.add_argument("--minutes", type=float, default=60, help="stop after so many minutes of training")
    parser.add_argument("--characters", type=float, help="length of the whole schedule")
    parser.add_argument("--rate", type=float, help="highest learning rate")
    parser.add_argument("--dropout", type=float)
    parser.add_argument("--length", type=int, help="characters in a window")
    parser.add_argument("--batch", type=int, help="windows in a batch")
    parser.add_argument("--hidden", type=int, default=320, help="cells in a layer (library only)")
    parser.add_argument("--layers", type=int, default=2, help="library only")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", action="store_true", help="go on from the state under --state")
    parser.add_argument(
        "--device", default=None, help="cpu, cuda ...; what softattn.training.device() says if left out"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--bfloat16", action="store_true", help="matrix products in bfloat16, where it is faster")
    parser.add_argument("--start", type=Path, default=WEIGHTS, help="folder of the weights that `book` starts from")
    parser.add_argument("--out", type=Path, help="the .safetensors file to write; its card goes beside it")
    parser.add_argument("--state", type=Path, help="the checkpoint; ~/softattn-runs/prediction/STAGE.ckpt if left out")
    parser.add_argument("--save-every", type=int, default=100, help="steps between two savings of the state")
    options = parser.parse_args(arguments)
    for name, value in STAGES[options.stage].items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    name = {"library": "prediction", "book": "prediction-book"}[options.stage]
    options.out = (options.out or WEIGHTS / f"{name}.safetensors").resolve()
    options.state = options.state or Path.home() / "softattn-runs" / "prediction" / f"{options.stage}.ckpt"
    return options


def split(text: str) -> tuple[str, str]:
    """Hold out the last twentieth of the text, from the start of a paragraph on."""
    cut = text.index("\n\n", len(text) * 19 // 20) + 2
    return text[:cut], text[cut:]


def bits(model: PredictionNetwork, text: str, where: torch.device) -> float:
    """Bits per character of a text that the frozen model reads from the null state."""
    return text_surprise(model, encode(text).to(where)).double().mean().item() / math.log(2)


def prepare(options: argparse.Namespace) -> tuple[PredictionNetwork, str, str, dict]:
    """Make the model, the text to learn, the text held out and what the card says about them."""
    if options.stage == "library":
        text = library_prose()
        train, held_out = split(text)
        size = len(ALPHABET)
        config = dict(input_size=size, hidden_size=options.hidden, num_layers=options.layers, output_size=size)
        facts = {
            "config": {**config, "dropout": options.dropout},
            "summary": "Predicts the next character of English prose about Python; 96 plain characters.",
            "data": f"pydoc_data.topics of Python {platform.python_version()}, {len(text)} characters, "
            f"sha256 {hashlib.sha256(text.encode()).hexdigest()}",
            "licence": "MIT; trained on the Python documentation (PSF License Version 2)",
            "split": "last twentieth of the text",
        }
        return PredictionNetwork(**facts["config"]), train, held_out, facts
    train, held_out = book_corpus()
    model: Any = load(options.start / "prediction.safetensors")
    model.dropout = options.dropout
    corpus = hashlib.sha256((train + held_out).encode()).hexdigest()
    facts = {
        "config": {**model.card["config"], "dropout": options.dropout},
        "summary": "Predicts the next character of this book; learned the library's prose first.",
        "data": f"training part of softattn/data/book.txt, {len(train)} characters; before: {model.card['data']}",
        "licence": "MIT; trained on this book (CC BY 4.0, MIT) and on the Python documentation (PSF License Version 2)",
        "split": "held-out part of the corpus",
        "corpus": corpus,
        "started_from": model.card["sha256"],
    }
    return model, train, held_out, facts


def main(arguments: list[str] | None = None) -> int:
    alone("recipes.prediction")
    options = parse(arguments)
    if options.state.exists() and not options.resume:
        raise SystemExit(f"{options.state} holds a run: go on with --resume, or delete it to start anew")
    if options.resume and not options.state.exists():
        raise SystemExit(f"{options.state} is not there: nothing to resume")
    if options.out.suffix != ".safetensors" or not options.out.parent.is_dir():
        raise SystemExit(f"--out {options.out}: give the name of a .safetensors file in a folder that exists")
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    where = torch.device(options.device) if options.device else device()
    model, train, held_out, facts = prepare(options)
    model, codes = model.to(where), encode(train).to(where)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.rate, betas=(0.9, 0.99), weight_decay=0)
    generator = torch.Generator().manual_seed(options.seed)
    total = int(options.characters / (options.length * options.batch))
    log = options.state.with_suffix(".minutes")  # minutes of all pieces so far
    before = float(log.read_text()) if options.resume and log.exists() else 0.0
    started, target = time.monotonic(), 0
    if options.resume:
        target = len(torch.load(options.state, map_location="cpu", weights_only=True)["history"])
    spent = lambda: (time.monotonic() - started) / 60

    def loss(model: PredictionNetwork, batch: torch.Tensor) -> torch.Tensor:
        with torch.autocast(where.type, torch.bfloat16, enabled=options.bfloat16):
            return text_loss(model, batch)

    while True:
        history = fit(
            model,
            lambda g: text_windows(codes, options.length, options.batch, g),
            cast(Any, loss),
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
    rounded = PredictionNetwork(**facts["config"]).to(where)
    rounded.load_state_dict({name: value.to(dtype).to(value.dtype) for name, value in model.state_dict().items()})
    found, check = bits(rounded, held_out, where), bits(rounded, CHECK, where)
    split_name = facts.pop("split")
    card = {
        "class": "softattn.prediction.PredictionNetwork",
        **facts,
        "non_commercial": False,
        "command": "python -m recipes.prediction " + " ".join(sys.argv[1:] if arguments is None else arguments),
        "commit": commit(),
        "steps": len(history),
        "minutes": round(before + spent(), 1),
        "machine": f"{where.type}, {platform.machine()}, {options.threads} of {os.cpu_count()} threads, "
        f"torch {torch.__version__.split('+')[0]}",
        "seed": options.seed,
        "metric": {"name": "bits per character", "value": round(found, 4), "split": split_name},
        "paper": "none on this text",
        "alphabet": ALPHABET,
        "characters_seen": len(history) * options.length * options.batch,
        "training_bits": round(recent, 4),
        "check": {"text": CHECK, "bits_per_character": round(check, 5)},
    }
    save_weights(options.out, model.state_dict(), card, dtype=dtype)
    print(f"wrote {options.out.name}: held out {found:.4f} bits/character after {card['minutes']} min")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Make what `lineage` and `transformer` load: the toy's table, a machine that copies, text and pen at equal minutes.

    python -m recipes.lineage toy        softattn/data/lineage-toy.json: six looks, three tasks, errors by length
    python -m recipes.lineage copy       softattn/data/lineage-copy.json and softattn/weights/ntm-copy.safetensors
    python -m recipes.lineage text       softattn/data/transformer-text.json, softattn/weights/transformer-text
    python -m recipes.lineage pen        softattn/data/transformer-pen.json; needs IAM-OnDB, in SOFTATTN_DATA

Two networks that are compared have equally many parameters, or nearly, and equally many minutes of the PROCESSOR
(--budget, for each; wall time is another thing where other work runs beside). The rate rises for the first fiftieth of
the budget and falls to zero at its end, so a budget must be named before a run begins: another one is
another run, with a state of its own. Stopped (--minutes, of wall time) and called again, a run goes on.
"""

import json
import math
import time
from pathlib import Path
from typing import Any, cast

import torch

from recipes._run import ROOT, WEIGHTS, Run, commit, machine, options, train
from recipes.handwriting import constants, report, training_lines
from softattn.handwriting import ROUNDING, HandwritingPredictor, line_stream
from softattn.hub import atomic_write, save_weights
from softattn.iam import load_iam
from softattn.lineage import (
    BITS,
    LOOKS,
    TASKS,
    NTMCell,
    ToyWriter,
    copy_bits,
    copy_lines,
    run_ntm,
    toy_batch,
    toy_lines,
    toy_loss,
)
from softattn.mixture import StrokeMixture
from softattn.prediction import PredictionNetwork, text_loss, text_surprise
from softattn.strokes import pad
from softattn.text import ALPHABET, book_corpus, encode, text_windows
from softattn.training import cosine, fit
from softattn.transformer import CausalTransformer, PenTransformer, text_surprise_in_windows

DATA = ROOT / "softattn" / "data"
LENGTHS = (6, 12, 24)  # of the toy: once, twice, four times the longest lesson
PLACES = 128  # of the memory, after it has learned
COPIES = (5, 10, 20, 30, 40, 60, 80, 100, 120)
TEXT = {  # kind, arguments, steps in a window, windows, highest rate
    "LSTM": (PredictionNetwork, dict(input_size=96, hidden_size=160, num_layers=2, output_size=96), 128, 32, 4e-3),
    "transformer": (CausalTransformer, dict(input_size=96, width=112, num_layers=3, output_size=96), 256, 16, 2e-3),
}
PEN = {
    "LSTM": (HandwritingPredictor, dict(hidden_size=160, num_layers=2, mixtures=20), 3e-3),
    "transformer": (PenTransformer, dict(width=96, num_layers=3, mixtures=20), 2e-3),
}


def store(name: str, figures: dict, folder: Path) -> None:
    """Write a table for a page."""
    with atomic_write(folder / f"{name}.json") as beside:
        beside.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {name}.json", flush=True)


# -- the toy -----------------------------------------------------------------------------------------------------------


def toy_run(look: str, task: str, seed: int, steps: int) -> dict[str, Any]:
    """Train one writer; its errors on lines of each length."""
    torch.manual_seed(seed)
    model, start = ToyWriter(look), time.process_time()
    fit(
        model,
        lambda g: toy_batch(task, g),
        cast(Any, toy_loss),
        torch.optim.Adam(model.parameters(), lr=1e-2),
        steps=steps,
        schedule=cosine(steps),
        generator=torch.Generator().manual_seed(seed),
        progress=False,
    )
    seconds, errors, near = time.process_time() - start, [], []
    for length in LENGTHS:
        exam = toy_lines(task, 500, length, torch.Generator().manual_seed(1_000_000 + length))
        with torch.no_grad():
            scores, weights = model(exam)
        errors.append(round((scores.argmax(-1) != exam.target).float().mean().item(), 4))
        near.append(round(((weights.argmax(-1) - exam.place).abs() <= 1).float().mean().item(), 4))
    return {"look": look, "task": task, "seed": seed, "steps": steps, "seconds": round(seconds, 1),
            "errors": errors, "near": near}  # fmt: skip


def toy(args: Any) -> None:
    """All looks, tasks and seeds; a table that was begun is gone on with."""
    path, begun = args.data / "lineage-toy.json", time.monotonic()
    runs = json.loads(path.read_text("utf-8"))["runs"] if path.exists() else []
    steps = {task: args.steps * (5 if task == "sort" else 1) for task in TASKS}  # sorting takes longer to learn
    runs = [r for r in runs if r["steps"] == steps[r["task"]]]
    done = {(r["look"], r["task"], r["seed"]) for r in runs}
    for seed in range(args.seeds):
        for task in TASKS:
            for look in LOOKS:
                if (look, task, seed) in done:
                    continue
                if time.monotonic() - begun > 60 * args.minutes:
                    return
                runs.append(toy_run(look, task, seed, steps[task]))
                print({k: runs[-1][k] for k in ("look", "task", "seed", "seconds", "errors")}, flush=True)
                head = {"source": "recipes/lineage.py toy", "lengths": LENGTHS, "lessons": [4, 6], "batch": 32}
                store("lineage-toy", {**head, "steps": steps, "runs": runs}, args.data)


# -- runs of a budget --------------------------------------------------------------------------------------------------


class BudgetRun(Run):
    """A run over so many seconds of the processor; the rate follows them."""

    KEEP, CLIP, TOP = 0.99, 1.0, 2e-3

    def prepare(self) -> int:
        self.seeded()
        return 1_000_000

    def share(self) -> float:
        return self.facts["seconds"] / self.args.budget / 60

    def over(self) -> bool:
        return self.share() >= 1

    def rate(self) -> float:
        """Up in a line for a fiftieth of the budget, then down to zero."""
        done = min(self.share(), 1)
        return self.TOP * min(1, 0.02 + done / 0.02) * max(0.005, 0.5 * (1 + math.cos(math.pi * done)))

    def look(self, mean: float) -> str:
        self.facts["curve"].append([self.facts["seconds"] / 60, self.facts["updates"], mean])
        return f"{self.facts['seconds'] / 60:6.1f} min of the processor  update {self.facts['updates']}  {mean:.4f}"

    def fact(self) -> dict[str, Any]:
        """What a table says of a run."""
        return {
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "processor_minutes": round(self.facts["seconds"] / 60, 2),
            "updates": self.facts["updates"],
            "points": self.facts["points"],
            "rate": self.TOP,
            "curve": [[round(v, 4) for v in row] for row in self.facts["curve"]],
        }


def go(run: BudgetRun, args: Any, name: str) -> bool:
    """Train a run to the end of its budget, or of this call's minutes."""
    path = args.state / f"{name}-{args.budget:g}-seed{args.seed}.pt"
    if path.exists():
        run.load(path)
    print(f"{name}: {sum(p.numel() for p in run.model.parameters()):,} parameters", flush=True)
    done = train(run, path, args.minutes, run.over, save_seconds=args.save_seconds, clock=time.process_time)
    return done


# -- copying -----------------------------------------------------------------------------------------------------------


class CopyRun(BudgetRun):
    """Lines of 1 to 20 bytes, said again."""

    CLIP = 10.0

    def rate(self) -> float:
        """Flat, and down to zero in the last third: what is not found yet is not found at a low rate."""
        done = min(self.share(), 1)
        return self.TOP * min(1, 0.02 + done / 0.02) * max(0.005, min(1, 3 * (1 - done)))

    def outputs(self, model: Any, x: torch.Tensor) -> torch.Tensor:
        return run_ntm(model, x)[0] if isinstance(model, NTMCell) else model(x)[0]

    def step(self, k: int) -> float:
        length = int(torch.randint(1, 21, (), generator=self.generator))
        x, said = copy_lines(16, length, self.generator)
        loss = copy_bits(self.outputs(self.model, x), said) / (BITS * length)
        self.update(loss, self.rate(), length * 16)
        return loss.item()


@torch.no_grad()
def copy_errors(run: CopyRun, model: Any) -> list[list[float]]:
    """Length, bits a line, share of wrong bits."""
    rows = []
    for length in COPIES:
        x, said = copy_lines(20, length, torch.Generator().manual_seed(1_000_000 + length))
        y = run.outputs(model, x)
        wrong = ((y[-length:] > 0) != (said > 0.5)).float().mean().item()
        rows.append([length, round(copy_bits(y, said).item(), 3), round(wrong, 4)])
    return rows


def copy(args: Any) -> None:
    """A Turing machine and an LSTM learn to copy."""
    kinds = {
        "machine": (NTMCell, dict(input_size=BITS + 1, output_size=BITS, places=40), 3e-3),
        "LSTM": (PredictionNetwork, dict(input_size=BITS + 1, hidden_size=128, num_layers=1, output_size=BITS), 3e-3),
    }
    table = {}
    for name, (kind, config, rate) in kinds.items():
        run = CopyRun(kind, config, args)
        run.TOP = rate
        if not go(run, args, f"copy-{name}"):
            return
        model = run.averaged()
        if name == "machine":
            model.places = PLACES  # no weight belongs to a place
        table[name] = {**run.fact(), "lengths": copy_errors(run, model)}
        print(name, table[name]["lengths"], flush=True)
        if name == "machine":
            at = {row[0]: row for row in table[name]["lengths"]}
            card = {
                "class": "softattn.lineage.NTMCell",
                "config": {**config, "places": PLACES},
                "summary": "a Neural Turing Machine that says again up to 20 bytes, and more",
                "data": "lines of 1 to 20 random bytes, made by the chapter; learned with 40 places of memory",
                "licence": "MIT",
                "metric": {"name": "share of wrong bits", "value": at[60][2], "split": "20 lines of 60 bytes"},
                "paper": "Graves et al. (2014), section 4.1: curves, no figure",
                "lengths": table[name]["lengths"],
                **about(args, run, "copy"),
            }
            save_weights(args.out / "ntm-copy.safetensors", model.state_dict(), card)
    head = {"source": "recipes/lineage.py copy", "budget_minutes": args.budget, "seed": args.seed,
            "columns": "lengths: bytes, bits a line, share of wrong bits; curve: minutes of the processor, updates, "
            "bits a bit"}  # fmt: skip
    store("lineage-copy", {**head, "machine_used": machine(args), "runs": table}, args.data)


def about(args: Any, run: BudgetRun, what: str) -> dict[str, Any]:
    """What every card says."""
    return {
        "non_commercial": False,
        "command": f"python -m recipes.lineage {what} --budget {args.budget:g} --seed {args.seed}",
        "commit": commit(),
        "steps": run.facts["updates"],
        "minutes": round(run.facts["seconds"] / 60, 1),
        "machine": machine(args) + ", minutes of the processor, beside other work",
        "seed": args.seed,
    }


# -- text --------------------------------------------------------------------------------------------------------------


class TextRun(BudgetRun):
    """Windows of the book's training part."""

    def __init__(self, kind: Any, config: dict, args: Any, codes: torch.Tensor, length: int, batch: int):
        super().__init__(kind, config, args, dropout=0.1)
        self.codes, self.size = codes, (length, batch)

    def step(self, k: int) -> float:
        batch = text_windows(self.codes, *self.size, self.generator)
        loss = text_loss(cast(Any, self.model), batch)
        self.update(loss, self.rate(), batch.numel())
        return loss.item() / math.log(2)


def text(args: Any) -> None:
    """The book's text, by an LSTM and by a transformer."""
    learn, held = (encode(part) for part in book_corpus())
    table = {}
    for name, (kind, config, length, batch, rate) in TEXT.items():
        run = TextRun(kind, config, args, learn, length, batch)
        run.TOP = rate
        if not go(run, args, f"text-{name}"):
            return
        model = run.averaged()
        half = {k: v.to(torch.float16).float() for k, v in model.state_dict().items()}
        model.load_state_dict(half)
        bits = text_surprise_in_windows(model, held).double().mean().item() / math.log(2)
        table[name] = {**run.fact(), "window": [length, batch], "bits": round(bits, 4)}
        if name == "LSTM":
            through = text_surprise(model, held).double().mean().item() / math.log(2)
            table[name]["bits_read_through"] = round(through, 4)
        print(name, bits, flush=True)
        if name == "transformer":
            check = "The window moves forward, and the pen follows it."
            nats = text_surprise(cast(Any, model), encode(check)).double().mean().item()
            card = {
                "class": "softattn.transformer.CausalTransformer",
                "config": config,
                "summary": "a small causal transformer that goes on with this book's text",
                "data": f"training part of softattn/data/book.txt, {len(learn)} characters",
                "licence": "MIT; trained on this book (CC BY 4.0, MIT)",
                "metric": {
                    "name": "bits per character",
                    "value": round(bits, 4),
                    "split": "held-out part of the corpus",
                },
                "paper": "none on this text",
                "alphabet": ALPHABET,
                "check": {"text": check, "bits_per_character": round(nats / math.log(2), 5)},
                **about(args, run, "text"),
            }
            save_weights(args.out / "transformer-text.safetensors", model.state_dict(), card, dtype=torch.float16)
    head = {"source": "recipes/lineage.py text", "budget_minutes": args.budget, "seed": args.seed,
            "columns": "bits: per character of the held-out part, each from the 128 to 255 before it; curve: minutes "
            "of the processor, updates, training bits"}  # fmt: skip
    store("transformer-text", {**head, "machine_used": machine(args), "runs": table}, args.data)


# -- the pen -----------------------------------------------------------------------------------------------------------


class PenRun(BudgetRun):
    """Lines of the pen: in a strip with the state carried on, or whole lines side by side."""

    def __init__(self, kind: Any, config: dict, args: Any, lines: list):
        super().__init__(kind, config, args)
        self.lines, self.stream = lines, kind is HandwritingPredictor

    def prepare(self) -> int:
        g = self.seeded()
        if self.stream:
            x, y, self.reset, _ = line_stream(self.lines, 32, g)
            self.x, self.y = self.model.normalise(x), self.model.normalise(y)
            return len(x) // 128
        order = torch.randperm(len(self.lines), generator=g).tolist()
        heaps = [sorted(order[i : i + 512], key=lambda k: len(self.lines[k])) for i in range(0, len(order), 512)]
        batches = [heap[i : i + 8] for heap in heaps for i in range(0, len(heap), 8)]
        mixed = torch.randperm(len(batches), generator=g).tolist()
        self.batches = [[k for k in batches[i] if len(self.lines[k]) > 1] for i in mixed]
        return len(self.batches)

    def step(self, k: int) -> float:
        if self.stream:
            part = slice(128 * k, 128 * (k + 1))
            begins = self.reset[part]
            if self.carried is None:
                begins = begins.clone()
                begins[0] = True
            raw, state = self.model(self.x[part], self.carried, begins)
            self.carried = [(h.detach(), c.detach()) for h, c in state]
            y, real = self.y[part], torch.ones_like(begins)
        else:
            offsets, lengths = pad([self.lines[i] for i in self.batches[k]])
            x = self.model.normalise(offsets)
            raw, y = self.model.network(x[:-1])[0], x[1:]
            real = torch.arange(1, len(x))[:, None] < lengths
        log_p = StrokeMixture(raw, floor=self.model.floors(ROUNDING)).log_prob(y)
        loss = -log_p[real].mean()
        self.update(loss, self.rate(), int(real.sum()))
        return loss.item()


def pen(args: Any) -> None:
    """The predictor of handwriting, by an LSTM and by a transformer."""
    val1, val1_report = load_iam(split="val1")
    lines, table = training_lines(), {}
    mean, std = constants(lines)
    for name, (kind, config, rate) in PEN.items():
        run = PenRun(kind, {**config, "mean": mean, "std": std}, args, lines)
        run.TOP = rate
        if not go(run, args, f"pen-{name}"):
            return
        figures = report(run.averaged(), val1, val1_report.faulty)["val1"]
        table[name] = {**run.fact(), **figures}
        print(name, figures["nats_per_line"], flush=True)
    head = {"source": "recipes/lineage.py pen", "budget_minutes": args.budget, "seed": args.seed, "split": "val1",
            "lines": len(lines)}  # fmt: skip
    store("transformer-pen", {**head, "machine_used": machine(args), "runs": table}, args.data)


def main(arguments: list[str] | None = None) -> None:
    parser = options(__doc__, "lineage")
    parser.add_argument("what", choices=["toy", "copy", "text", "pen"])
    parser.add_argument("--budget", type=float, default=20.0, help="minutes of the processor for each network")
    parser.add_argument("--steps", type=int, default=300, help="toy: batches of lessons; five times as many to sort")
    parser.add_argument("--seeds", type=int, default=3, help="toy: runs of each look and task")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the tables")
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="folder of the weights")
    args = parser.parse_args(arguments)
    torch.set_num_threads(args.threads)
    {"toy": toy, "copy": copy, "text": text, "pen": pen}[args.what](args)


if __name__ == "__main__":
    main()

# Generated from book/own_hand.md by tools/export.py. Edit the chapter, not this file.
"""Your own hand: fine-tuning on a few lines.

A few lines of a hand, and the network that writes in it.

The chapter book/own_hand.md builds this module and explains each line.
"""

import copy
import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from softattn.handwriting import ROUNDING, evaluating, lines_of
from softattn.hub import instance, load, path_of, read_file, real, save_weights, weights, whole, writable_target
from softattn.ink import load_ink
from softattn.mixture import StrokeMixture
from softattn.strokes import Strokes, pad
from softattn.synthesis import HandwritingSynthesizer, choose_model, encode_texts
from softattn.training import in_mode, load_checkpoint, save_checkpoint
from softattn.window import WindowState

__all__ = ["Adapters", "INK", "Look", "fine_tune", "read_hand"]


# -- Two ways to copy a hand --
@torch.no_grad()
def primed_nats(model, prime: Strokes, lines) -> Tensor:
    """Nats of each line after a priming line, (N,).

    The jump between them, level and a space wide, is not counted.
    """
    found = []
    for line in lines:
        ink, begin = prime.to_absolute()[:, :2], line.offsets[:1].clone()
        level = ink[:, 1].median() - line.to_absolute()[:, 1].median()
        begin[0, 0], begin[0, 1] = 100.0, level - ink[-1, 1]
        rows = torch.cat([prime.offsets, begin, line.offsets[1:]])
        x = model.normalise(rows.to(model.mean))[:, None]
        text = encode_texts([f"{prime.text} {line.text}"]).to(x.device)
        with evaluating(model):
            raw = model(x[:-1], text).raw
        mixture = StrokeMixture(raw, floor=model.floors(ROUNDING))
        cost = -mixture.log_prob(x[1:])[len(prime) :]
        found.append(cost.double().sum().cpu())
    return torch.stack(found)


# -- What is learned: a small difference --
LAYERS = "adapters", "last", "all"  # what fine-tuning may change


def trained_shapes(shapes: Mapping, layers: str, rank: int) -> dict[str, list]:
    """Which tensors are learned for each weight, by name: their shapes.

    "adapters": B (m, r) and A (r, n) for each matrix that is larger than
    they, all of any other weight; "last": all of the output layer; "all".
    """
    found = {}
    for name, shape in shapes.items():
        low = len(shape) == 2 and rank * sum(shape) < math.prod(shape)
        key = name.replace(".", "/")
        if layers == "adapters" and low:
            found[f"{key} B"] = [shape[0], rank]
            found[f"{key} A"] = [rank, shape[1]]
        elif layers != "last" or name.startswith("output."):
            found[key] = list(shape)
    return found


# -- What is learned: a small difference --
class Adapters(nn.Module):
    """What a hand adds to the weights of a synthesizer.

    The factors A start normal, drawn from PyTorch's global generator; all
    else starts at zero, so that the base is what it was.

    Args:
        shapes: of the base's weights, by name.
        layers: "adapters" (low rank), "last" (the output layer) or "all".
        rank: r, of adapters.
        base: the name of the base weights; "" if they have none.
        sha256: the digest of their file; "" if they have none.

    Raises:
        TypeError, ValueError: for other layers, no shapes, a rank below 1.

    Source: Hu et al. (2022), equation 3.
    """

    def __init__(
        self, shapes: Mapping[str, Sequence[int]], layers: str = "adapters",
        rank: int = 8, base: str = "", sha256: str = "",
    ) -> None:  # fmt: skip
        super().__init__()
        instance("Adapters", "shapes", shapes, Mapping)
        if layers not in LAYERS:
            s = f"Adapters: layers is {layers!r:.40}"
            raise ValueError(f"{s}, expected one of {', '.join(LAYERS)}")
        whole("Adapters", "rank", rank, 1)
        self.shapes = {name: list(shape) for name, shape in shapes.items()}
        self.layers, self.rank = layers, rank
        self.base, self.sha256 = base, sha256
        learned = trained_shapes(self.shapes, layers, rank)
        if not learned:
            raise ValueError("Adapters: no shape is of a synthesizer's weight")
        for key, shape in learned.items():
            start = torch.zeros(shape)
            if key.endswith(" A"):
                start = torch.randn(shape) / math.sqrt(shape[1])
            self.register_parameter(key, nn.Parameter(start))

    def weights(self, base: nn.Module) -> dict[str, Tensor]:
        """The base's weights, and what was learned added to them.
        Raises: ValueError where the base has weights of other shapes."""
        found, mine = {}, dict(self.named_parameters())
        for name, W in base.named_parameters():
            key, found[name] = name.replace(".", "/"), W.detach()
            if list(W.shape) != self.shapes.get(name):
                s = f"the base's {name} has shape {list(W.shape)}"
                raise ValueError(f"Adapters: {s}, expected {self.shapes.get(name)}; take its own base")
            if f"{key} B" in mine:
                found[name] = W.detach() + mine[f"{key} B"] @ mine[f"{key} A"]
            elif key in mine:
                found[name] = W.detach() + mine[key]
        return found

    def merged(self, base: HandwritingSynthesizer | None = None) -> HandwritingSynthesizer:
        """A synthesizer of its own, of the sums; the base stays as it is.
        `base` None: the weights of that name, if they are still the same."""
        model = base_of(self) if base is None else copy.deepcopy(base)
        model.load_state_dict({name: weight.detach() for name, weight in self.weights(model).items()})
        return model


# -- What is learned: a small difference --
def base_of(adapters: Adapters) -> HandwritingSynthesizer:
    """Load the weights that adapters were learned on; refuse any others."""
    name, known = adapters.base, weights()
    if name not in known:
        raise ValueError(
            f"these adapters belong to base weights {name!r}, which do not ship; there are: {', '.join(known)}"
        )
    if known[name]["sha256"] != adapters.sha256:
        raise ValueError(
            f"these adapters were learned on other weights {name!r} than come "
            "with this version; train them again: softattn train"
        )
    model = load(name)
    return instance("Adapters", "the base", model, HandwritingSynthesizer)


def shapes_of(model: nn.Module) -> dict[str, list[int]]:
    """The shapes of a model's weights, by name."""
    return {name: list(w.shape) for name, w in model.named_parameters()}


# -- A step --
CHUNK = 200  # points between two updates


def chunk_losses(base, adapters, lines) -> Iterator[Tensor]:
    """Read lines side by side; nats a point of each chunk, with a slope."""
    offsets, lengths = pad(lines)
    x = base.normalise(offsets.to(base.mean))  # (T, B, 3)
    text = encode_texts([line.text for line in lines]).to(x.device)
    state, floors = None, base.floors(ROUNDING)
    for t in range(0, len(x) - 1, CHUNK):
        end = min(t + CHUNK, len(x) - 1)
        given = x[t:end], text, state
        out = functional_call(base, adapters.weights(base), given)
        mixture = StrokeMixture(out.raw, floor=floors)
        places = torch.arange(t + 1, end + 1)[:, None]
        real = (places < lengths.cpu()).to(x)  # (t, B)
        cost = -mixture.log_prob(x[t + 1 : end + 1])
        yield (cost * real).sum() / real.sum().clamp(min=1)
        first, above = out.state
        state = (WindowState(*(a.detach() for a in first)), [(h.detach(), c.detach()) for h, c in above])


# -- A step --
ROWS, EVERY, PATIENCE = 8, 2, 5  # lines a step, steps a look, looks in vain
KEEP = 0.9  # of the running mean, at an update
RATES = {"adapters": 2e-3, "last": 1e-3, "all": 2e-4}


class Tuning(nn.Module):
    """What is learned now, its running mean, the best mean, the looks."""

    curve: Tensor  # (looks,) nats a line on held-out lines, NaN: to come
    updates: Tensor

    def __init__(self, adapters: Adapters, looks: int) -> None:
        super().__init__()
        self.now = adapters
        self.mean, self.best = copy.deepcopy(adapters), copy.deepcopy(adapters)
        nan = torch.full((looks,), torch.nan, dtype=torch.float64)
        self.register_buffer("curve", nan)
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def follow(self) -> None:
        """Move the mean towards what is learned now."""
        self.updates += 1
        n = self.updates.item()
        keep = min(KEEP, n / (n + 9))
        for a, b in zip(self.mean.parameters(), self.now.parameters(), strict=True):
            a.lerp_(b, 1 - keep)

    def looks(self) -> list[float]:
        """Nats a line of the looks so far."""
        return self.curve[~self.curve.isnan()].tolist()


# -- When to stop --
class Look(NamedTuple):
    """What fine-tuning tells at a look, its numbers in nats a line.

    Args:
        step, steps: how many are done, and at most.
        nats: of the held-out lines, now.
        base: of the same lines with the base's weights.
        best: the fewest at any look.
        model: the synthesizer as it is now, to write with.
    """

    step: int
    steps: int
    nats: float
    base: float
    best: float
    model: HandwritingSynthesizer


# -- When to stop --
def hold_out(lines: Sequence[Strokes], seed: int = 0) -> tuple[list, list]:
    """Set lines aside: one in five, 20 at most.

    Args:
        lines: of one hand.
        seed: says which.

    Returns: the lines to learn from, and those that choose.
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(lines), generator=generator).tolist()
    held = max(1, min(20, len(lines) // 5))
    shuffled = [lines[i] for i in order]
    return shuffled[held:], shuffled[:held]


# -- When to stop --
@dataclass
class TuningRun:
    """One fine-tuning: what `fine_tune` was given, and how far it is."""

    base: HandwritingSynthesizer
    tuning: Tuning
    optimizer: torch.optim.Optimizer
    generator: torch.Generator
    train: list[Strokes]
    held: list[Strokes]
    steps: int
    out: Path | None
    deadline: float
    progress: Callable[[Look], object] | None
    history: list[float] = field(default_factory=list)

    @property
    def state(self) -> Path | None:
        """Where its state stands until it is done."""
        return self.out and self.out.with_suffix(".state")

    def finite(self, loss: float) -> float:
        """The loss; raise FloatingPointError if it is no number."""
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"fine_tune: the loss is {loss} after {len(self.history)} "
                "steps; give a lower rate, or look for a line whose strokes "
                "are not its text's"
            )
        return loss

    def step(self) -> float:
        """Read some lines, learn; nats a point before each update."""
        order = torch.randperm(len(self.train), generator=self.generator)
        lines = [self.train[i] for i in order[:ROWS].tolist()]
        learned, losses = list(self.tuning.now.parameters()), []
        for loss in chunk_losses(self.base, self.tuning.now, lines):
            losses.append(self.finite(loss.item()))
            self.optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(learned, 1.0)
            self.optimizer.step()
            self.tuning.follow()
        return sum(losses) / len(losses)

    def look(self, k: int) -> None:
        """Score the held-out lines, keep the mean if it is the best, tell."""
        tuning, done = self.tuning, len(self.history)
        model = tuning.mean.merged(self.base)
        nats = self.finite(model.nats(self.held).mean().item())
        best = min([nats, *tuning.looks()])
        if nats == best:
            tuning.best.load_state_dict(tuning.mean.state_dict())
        tuning.curve[k] = nats
        if self.state is not None:
            save_checkpoint(self.state, self.history, tuning, self.optimizer, self.generator)
        if self.progress is not None:
            base = tuning.curve[0].item()
            told = done, self.steps, nats, base, best
            self.progress(Look(*told, model))

    def over(self) -> bool:
        """Whether it is done, or in vain, or out of time."""
        nats = self.tuning.looks()
        late = len(nats) - 1 - nats.index(min(nats)) >= PATIENCE
        done = len(self.history) >= self.steps
        return done or late or time.monotonic() > self.deadline

    def go(self) -> None:
        """Take all steps that are not done yet."""
        while True:
            k, rest = divmod(len(self.history), EVERY)
            if rest == 0:
                if self.tuning.curve[k].isnan():
                    self.look(k)
                if self.over():
                    return
            self.history.append(self.step())


# -- When to stop --
def digest_of(base: nn.Module, lines: Sequence[Strokes], *more) -> str:
    """Some letters that stand for base weights, lines and settings."""
    found = hashlib.sha256(repr(more).encode())
    for weight in base.state_dict().values():
        found.update(weight.detach().cpu().numpy().tobytes())
    for line in lines:
        found.update(line.text.encode() + b"\0")
        found.update(line.offsets.cpu().numpy().tobytes())
    return found.hexdigest()[:12]


def name_of(model: nn.Module) -> tuple[str, str]:
    """Name and digest of the weights that ship and that a model has."""
    card: dict = getattr(model, "card", None) or {}
    for name, known in weights().items():
        if known["sha256"] == card.get("sha256"):
            return name, known["sha256"]
    return "", ""


# -- When to stop --
def checked_lines(lines, least: int, what: str) -> list[Strokes]:
    """Raise unless there are lines enough, each with ink and a text."""
    lines = lines_of(lines, "fine_tune")
    if len(lines) < least:
        raise ValueError(f"fine_tune: {len(lines)} {what} came, expected at least {least}; write some more")
    for n, line in enumerate(lines):
        if not line.text.strip() or len(line) < 2:
            lacks = "no text" if len(line) > 1 else "no ink but one point"
            raise ValueError(f"fine_tune: line {n} ({line.source or 'unnamed'}) has {lacks}; mend it or leave it out")
    return lines


# -- When to stop --
def hand_card(run: TuningRun, base: dict, seed: int) -> dict:
    """What is known of adapters, for the file beside them."""
    adapters, looks = run.tuning.best, run.tuning.looks()
    points = sum(len(line) for line in [*run.train, *run.held])
    count, terms = len(run.train) + len(run.held), base.get("licence", "")
    card = {
        "class": "softattn.own_hand.Adapters",
        "config": {name: getattr(adapters, name) for name in ("shapes", "layers", "rank", "base", "sha256")},
        "summary": f"one hand, of {count} lines, on {adapters.base!r}",
        "data": f"{count} lines of one hand, {points} points; the base: {base.get('data', 'unknown')}",
        "licence": f"trained on your own lines from base weights {adapters.base!r}: {terms or 'terms unknown'}",
        "non_commercial": bool(base.get("non_commercial", True)),
        "steps": EVERY * looks.index(min(looks)),
        "seed": seed,
        "metric": {
            "name": "nats per line, floor 1/sqrt(12) raw unit",
            "value": min(looks),
            "split": f"{len(run.held)} lines of the same hand, which chose the number of steps",
        },
        "curve": {"what": f"metric every {EVERY} steps", "rows": looks},
    }
    kept = {key: base[key] for key in ("judged_by",) if key in base}
    return card | kept


# -- When to stop --
def start_run(model, lines, held_out, layers, rank, rate, seed) -> TuningRun:
    """A fine-tuning before its first step."""
    if held_out is None:
        train, held = hold_out(lines, seed)
    else:
        train, held = lines, checked_lines(held_out, 1, "lines to hold out")
    torch.manual_seed(seed)  # the caller's generator is put back
    name, sha256 = name_of(model)
    adapters = Adapters(shapes_of(model), layers, rank, name, sha256)
    tuning = Tuning(adapters.to(model.mean.device), 1)
    optimizer = torch.optim.Adam(tuning.now.parameters(), rate, betas=(0.9, 0.99))
    given = digest_of(model, [*train, *held], layers, rank, seed)
    optimizer.param_groups[0]["digest of base, lines and settings"] = given
    generator = torch.Generator().manual_seed(seed)
    return TuningRun(model, tuning, optimizer, generator, train, held, 0, None, math.inf, None)


# -- When to stop --
def finish_run(run: TuningRun, seed: int) -> HandwritingSynthesizer:
    """The synthesizer of the best look; written, if a file is named."""
    base: dict = getattr(run.base, "card", None) or {}
    model = run.tuning.best.merged(run.base)
    card = hand_card(run, base, seed)
    if run.out is not None and run.state is not None:
        card = save_weights(run.out, run.tuning.best.state_dict(), card)
        run.state.unlink(missing_ok=True)
    model.card = card  # pyright: ignore[reportArgumentType]
    return model.eval()


def target_of(out, base: HandwritingSynthesizer) -> Path | None:
    """Judge the file to be, before anything is learned."""
    if out is None:
        return None
    path = writable_target(path_of("fine_tune", out))
    if path.suffix != ".safetensors":
        raise ValueError(f"fine_tune: a hand goes to NAME.safetensors, got {path.name!r}")
    if not name_of(base)[0]:
        raise ValueError(
            "fine_tune: only what was learned on weights that ship can be stored; give their name as model"
        )
    return path


# -- When to stop --
def fine_tune(
    model: HandwritingSynthesizer | str | None, lines: Sequence[Strokes],
    out: str | Path | None = None, *, layers: str = "adapters", rank: int = 8,
    rate: float | None = None, steps: int = 60, minutes: float | None = None,
    held_out: Sequence[Strokes] | None = None, seed: int = 0,
    progress: Callable[[Look], object] | None = None,
) -> HandwritingSynthesizer:  # fmt: skip
    """Teach a synthesizer one hand, from a few lines of it.

    Args:
        model: the base, or the name of weights; it stays as it is.
        lines: five or more, with texts, in raw units.
        out: NAME.safetensors, a card beside it. While it learns, its state
            stands in NAME.state, and the same call goes on from there.
        layers, rank, rate: what is learned, see `Adapters`, and how fast.
        steps: at most; each reads eight lines.
        minutes: after so many the best so far is taken; None: no limit.
        held_out: lines that choose the steps; None: one in five of `lines`.
        seed, progress: of starts and order; called with a Look.

    Returns: the synthesizer, for `softattn.write(model=...)`; its `card`.
    Raises: TypeError, ValueError for what cannot be learned; OSError.
    """
    how = layers, rank, rate, steps, minutes, held_out, seed, progress
    with torch.random.fork_rng(devices=[]):
        run = set_up(model, lines, out, *how)
        with in_mode(run.base, False):
            run.go()
        return finish_run(run, run.generator.initial_seed())


# -- When to stop --
def set_up(model, lines, out, layers, rank, rate, steps, minutes, held_out, seed, progress) -> TuningRun:
    """Judge all arguments of `fine_tune`; a run, taken up if it was begun."""
    base, who = choose_model(model), "fine_tune"
    lines = checked_lines(lines, 5 if held_out is None else 1, "lines")
    if layers not in LAYERS:
        raise ValueError(f"{who}: layers is {layers!r:.40}, expected one of {', '.join(LAYERS)}")
    rank, steps = whole(who, "rank", rank, 1), whole(who, "steps", steps, 0)
    seed = whole(who, "seed", seed, 0, 2**31)
    rate = RATES[layers] if rate is None else real(who, "rate", rate, 0, 1)
    if minutes is not None:
        minutes = real(who, "minutes", minutes, 0)
    if not (progress is None or callable(progress)):
        what = f"{who}: progress is {progress!r:.40}, expected a function"
        raise TypeError(what)
    path = target_of(out, base)
    run = start_run(base, lines, held_out, layers, rank, rate, seed)
    run.steps, run.progress, run.out = steps, progress, path
    looks = (steps // EVERY + 1,)
    run.tuning.curve = run.tuning.curve.new_full(looks, torch.nan)
    if minutes is not None:
        run.deadline = time.monotonic() + 60 * minutes
    if run.state is not None and run.state.exists():
        told = run.tuning, run.optimizer, run.generator
        run.history = load_checkpoint(run.state, *told, steps)
    return run


# -- From a folder to a file --
INK = ".inkml", ".json", ".svg", ".csv", ".npy"  # the first of a name counts


def read_hand(folder: str | Path) -> list[Strokes]:
    """Read a folder of lines, as `softattn collect` leaves it; or a file.

    Args:
        folder: with a file of ink for each line (or page); files of one name
            are one line, and a .json among them may say its text.

    Returns: the lines, in the order of the files' names.
    Raises: ValueError, OSError for what is no hand; they name the file.
    """
    folder = path_of("read_hand", folder)
    if folder.is_file():
        return lines_in([folder])
    if not folder.is_dir():
        raise ValueError(f"read_hand: {folder} is no folder; name the one where softattn collect put your lines")
    named: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in INK and not path.name.startswith("."):
            named.setdefault(path.stem, []).append(path)
    if not named:
        s = f"read_hand: {folder} holds no ink ({', '.join(INK)})"
        raise ValueError(f"{s}; write some lines: softattn collect")
    return [line for paths in named.values() for line in lines_in(paths)]


# -- From a folder to a file --
def lines_in(paths: list[Path]) -> list[Strokes]:
    """The ink of files of one name, each line with its text."""
    order = {kind: n for n, kind in enumerate(INK)}
    paths = sorted(paths, key=lambda path: order.get(path.suffix.lower(), 9))
    text = said_beside(paths[1:])
    found = load_ink(paths[0], text).lines
    for line in found:
        if not line.text.strip():
            raise ValueError(
                f"read_hand: {paths[0]} does not say what is written; put its text into a .txt of that name"
            )
    return found


def said_beside(paths: list[Path]) -> str | None:
    """The text that a .json among files says, if there is one."""
    for path in paths:
        if path.suffix.lower() == ".json":
            try:
                stored = json.loads(read_file(path, 2**26))
            except (ValueError, RecursionError) as err:
                raise ValueError(f"read_hand: {path} is no JSON: {err!s:.100}") from err
            said = stored.get("text") if isinstance(stored, dict) else None
            return said if isinstance(said, str) else None
    return None

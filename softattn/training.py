# Generated from book/training.md by tools/export.py. Edit the chapter, not this file.
"""Training.

One explicit loop that clips, checks, saves, and goes on where it was cut off.

The chapter book/training.md builds this module and explains each line.
"""

import copy
import inspect
import io
import math
import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from softattn.hub import atomic_write, real, whole

__all__ = ["cosine", "device", "fit", "load_checkpoint", "save_checkpoint", "warmup_stable_decay"]


# -- A pace that changes --
def cosine(steps: int, warmup: int = 0, floor: float = 0.0) -> Callable[[int], float]:
    """Make a factor that rises in a line, then falls along half a cosine.

    Args:
        steps: the length of the whole training; at least 1.
        warmup: steps of the rise, at most `steps`.
        floor: the factor once all is done, from 0 to 1.

    Returns:
        `factor(step)`, steps counted from 0; from step `steps` on the floor.
    """
    steps = whole("cosine", "steps", steps, 1, 2**53)
    warmup = whole("cosine", "warmup", warmup, 0, steps)
    floor = real("cosine", "floor", floor, 0, 1)

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        done = min(1.0, (step - warmup) / max(1, steps - warmup))
        return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done))

    return factor


# -- A pace that changes --
def warmup_stable_decay(steps: int, warmup: int, decay: int) -> Callable[[int], float]:
    """Make a factor that rises in a line, stays at 1, and falls in a line.

    The flat part does not know where the end is: a run can be stopped, looked
    at and prolonged there.

    Args:
        steps: the length of the whole training.
        warmup: steps of the rise.
        decay: steps of the fall, at the end; with the rise at most `steps`.

    Returns:
        `factor(step)`, steps counted from 0; from step `steps` on it is 0.
    """
    name = "warmup_stable_decay"
    steps = whole(name, "steps", steps, 1, 2**53)
    warmup = whole(name, "warmup", warmup, 0, steps)
    decay = whole(name, "decay", decay, 0, steps - warmup)

    def factor(step: int) -> float:
        rise = 1.0 if step >= warmup else (step + 1) / warmup
        late = step >= steps - decay
        return min(rise, max(0, steps - step) / (decay + 1) if late else 1.0)

    return factor


# -- What is the state of a training? --
Generator = torch.Generator
Optimizer = torch.optim.Optimizer


# -- What is the state of a training? --
def _snapshot(model: nn.Module, optimizer: Optimizer, generator: Generator) -> dict:
    """Everything the next step depends on, but for the step itself."""
    cuda = torch.cuda.is_available()
    return {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "kind": type(optimizer).__name__,
        "generator": generator.get_state(),
        "global": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if cuda else [],
    }


def _restore(state: dict, model: nn.Module, optimizer: Optimizer, generator: Generator) -> None:
    """Put a model, an optimizer and the generators where they were."""
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    generator.set_state(state["generator"])
    torch.set_rng_state(state["global"])
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])


# -- What is the state of a training? --
def save_checkpoint(
    path: str | Path,
    history: list[float],
    model: nn.Module,
    optimizer: Optimizer,
    generator: Generator,
) -> None:
    """Write everything the next step depends on, in one move.

    Args:
        path: the file; its folder is made where it is missing.
        history: the loss of each step so far, in the loss's own unit.
        model, optimizer: their state_dicts are kept.
        generator: the one that draws the batches; torch's global one is kept
            too, for dropout draws from it.

    Raises:
        OSError: if the file cannot be written; the old one is as it was.
    """
    memory = io.BytesIO()
    state = _snapshot(model, optimizer, generator)
    torch.save({"history": history, **state}, memory)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as beside:
        beside.write_bytes(memory.getbuffer())


# -- What is the state of a training? --
def _settings(state: dict) -> dict:
    """What two runs must share, so that one can go on where one stopped."""
    shapes = {f"the shape of {name}": tuple(weight.shape) for name, weight in state["model"].items()}
    numbers = {
        f"{key} of parameter group {i}": value
        for i, group in enumerate(state["optimizer"]["param_groups"])
        for key, value in group.items()
    }
    return {**shapes, "the optimizer": state["kind"], **numbers}


# -- What is the state of a training? --
_DAMAGE = (
    pickle.UnpicklingError,
    RuntimeError,
    OSError,
    EOFError,
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    IndexError,
)


def _read(path: str | Path) -> dict:
    """Read a checkpoint; raise ValueError if it is none."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        _settings(state)
        if not all(isinstance(value, float) for value in state["history"]):
            raise TypeError("its history is no list of losses")
        Generator().set_state(state["global"])
        return state
    except _DAMAGE as err:
        what = (str(err).splitlines() or ["nothing more is known"])[0]
        raise ValueError(
            f"{path} is no checkpoint of `fit`, or it is damaged; delete it "
            f"to start again ({type(err).__name__}: {what})"
        ) from err


# -- What is the state of a training? --
def _compare(path, ours: dict, theirs: dict, steps: int | None) -> None:
    """Raise ValueError if the file cannot be taken up by this run."""
    done = len(theirs["history"])
    if steps is not None and done > steps:
        raise ValueError(
            f"{path} has {done} steps behind it, more than the {steps} asked for; ask for more or delete it"
        )
    here, there = _settings(ours), _settings(theirs)
    for what in [*here, *there]:
        if here.get(what) != there.get(what):
            raise ValueError(
                f"{path} belongs to another run: {what} is {there.get(what)} "
                f"there and {here.get(what)} here; delete it to start again, "
                "or name another file"
            )


# -- What is the state of a training? --
def load_checkpoint(
    path: str | Path,
    model: nn.Module,
    optimizer: Optimizer,
    generator: Generator,
    steps: int | None = None,
) -> list[float]:
    """Put a training back where `save_checkpoint` found it.

    Args:
        path: a file that `save_checkpoint` wrote.
        model, optimizer, generator: of the saved shapes, class, settings and
            kind of device; overwritten.
        steps: how many the file may have behind it; None for any number.

    Returns:
        The loss of each step so far: its length is the number of steps done.

    Raises:
        ValueError: if the file is damaged, of another run, or too far on;
            then nothing is overwritten.
    """
    if steps is not None:
        steps = whole("load_checkpoint", "steps", steps, 0, None)
    saved = _read(path)
    before = copy.deepcopy(_snapshot(model, optimizer, generator))
    _compare(path, before, saved, steps)
    try:
        _restore(saved, model, optimizer, generator)
    except _DAMAGE as err:
        _restore(before, model, optimizer, generator)
        raise ValueError(f"{path} is damaged; delete it ({err})") from err
    return saved["history"]


# -- The loop --
@contextmanager
def in_mode(model: nn.Module, training: bool) -> Iterator[None]:
    """Train or evaluate in this block; every module gets its mode back."""
    before = [(module, module.training) for module in model.modules()]
    model.train(training)
    try:
        yield
    finally:
        for module, mode in before:
            module.training = mode


# -- The loop --
Batches = Callable[[Generator], Any]
Loss = Callable[[nn.Module, Any], Tensor]
Schedule = Callable[[int], float]


def _check(kind: type, **values: Any) -> None:
    """Raise TypeError unless each value is of this kind."""
    for name, value in values.items():
        if not isinstance(value, kind):
            what = f"{type(value).__name__}, expected {kind.__name__}"
            raise TypeError(f"fit: {name} is {what}; see help(fit)")


def _check_call(**values: Any) -> None:
    """Raise TypeError unless each value can be called."""
    for name, value in values.items():
        if not callable(value):
            what = type(value).__name__
            raise TypeError(f"fit: {name} is {what}, expected a function")


# -- The loop --
def _finite(what: str, value: Tensor, step: int) -> float:
    """The number in a tensor; raise FloatingPointError if it is not finite."""
    if not math.isfinite(number := value.item()):
        raise FloatingPointError(f"fit: the {what} is {number} at step {step}; the weights are those before it")
    return number


def _check_loss(value: Any) -> None:
    """Raise TypeError or ValueError unless a loss can be descended."""
    if not isinstance(value, Tensor):
        what = type(value).__name__
        raise TypeError(f"fit: the loss is {what}, expected a scalar tensor")
    if value.numel() != 1:
        shape = tuple(value.shape)
        raise ValueError(f"fit: the loss has shape {shape}, not one number; take its mean or its sum")
    if not value.requires_grad:
        raise ValueError("fit: the loss has no gradient: it uses no weight")


# -- The loop --
@dataclass
class _Run:
    """One training: what `fit` was given."""

    model: nn.Module
    batches: Batches
    loss: Loss
    optimizer: Optimizer
    steps: int
    clip: float
    schedule: Schedule
    generator: Generator
    checkpoint: str | Path | None
    save_every: int

    def update(self, step: int) -> float:
        """Take one step; return the loss before it."""
        value = self.loss(self.model, self.batches(self.generator))
        _check_loss(value)
        number = _finite("loss", value, step)
        self.optimizer.zero_grad()
        value.backward()
        groups = self.optimizer.param_groups
        weights = [weight for group in groups for weight in group["params"]]
        norm = nn.utils.clip_grad_norm_(weights, self.clip)
        _finite("gradient's norm", norm, step)
        factor = real("fit", f"schedule({step})", self.schedule(step), 0)
        rates = [group["lr"] for group in groups]
        try:
            for group in groups:
                group["lr"] = group["lr"] * factor
            self.optimizer.step()
        finally:
            for group, rate in zip(groups, rates, strict=True):
                group["lr"] = rate
        return number

    def go(self, progress: bool) -> list[float]:
        """Take all steps that are not done yet."""
        history: list[float] = []
        run = self.model, self.optimizer, self.generator
        file, steps = self.checkpoint, self.steps
        if file is not None and Path(file).exists():
            history = load_checkpoint(file, *run, steps)
        done = len(history)
        bars = tqdm if progress else partial(tqdm, disable=True)
        bar = bars(initial=done, total=steps, desc="fit")
        with in_mode(self.model, True), bar:
            while len(history) < steps:
                history.append(self.update(len(history)))
                bar.set_postfix(loss=f"{history[-1]:.4g}", refresh=False)
                bar.update()
                done = len(history)
                due = done % self.save_every == 0 or done == steps
                if file is not None and due:
                    save_checkpoint(file, history, *run)
        return history


# -- The loop --
def _plan(model, batches, loss, optimizer, steps, clip, schedule, generator,
          checkpoint, save_every) -> _Run:  # fmt: skip
    """Judge the arguments of `fit`, and fill in what was left away."""
    _check(nn.Module, model=model)
    _check(Optimizer, optimizer=optimizer)
    _check_call(batches=batches, loss=loss)
    steps = whole("fit", "steps", steps, 0, None)
    save_every = whole("fit", "save_every", save_every, 1, None)
    if clip is not None and real("fit", "clip", clip) <= 0:
        raise ValueError(f"fit: clip is {clip}, expected above 0, or None")
    if schedule is not None:
        _check_call(schedule=schedule)
    if generator is not None:
        _check(Generator, generator=generator)
    if not isinstance(checkpoint, (str, os.PathLike, type(None))):
        what = type(checkpoint).__name__
        raise TypeError(f"fit: checkpoint is {what}, expected a path or None")
    file = None if checkpoint is None else Path(checkpoint)
    return _Run(
        model,
        batches,
        loss,
        optimizer,
        steps,
        math.inf if clip is None else float(clip),
        schedule or (lambda step: 1.0),
        generator or Generator().manual_seed(0),
        file,
        save_every,
    )


# -- The loop --
def fit(
    model: nn.Module,
    batches: Batches,
    loss: Loss,
    optimizer: Optimizer,
    *,
    steps: int,
    clip: float | None = 1.0,
    schedule: Schedule | None = None,
    generator: Generator | None = None,
    checkpoint: str | Path | None = None,
    save_every: int = 100,
    progress: bool = True,
) -> list[float]:
    """Train by gradient descent, one batch a step, exactly resumable.

    Args:
        model: what learns, in training mode; its own modes come back after.
        batches: `batches(generator)` draws one batch, and remembers nothing.
        loss: `loss(model, batch)`, a scalar tensor.
        optimizer: any of torch's, made from the model's parameters.
        steps: how many in all, those of a checkpoint included.
        clip: longer gradients are shortened to this norm; None: none are.
        schedule: `schedule(step)` is a factor on the learning rate, from 0.
        generator: draws the batches; a new one of seed 0 where none is given.
        checkpoint, save_every: a file, written every so many steps and at
            the end, and taken up where it already stands.
        progress: whether to show a bar with the loss.

    Returns:
        The loss of each step, those before a resume included.

    Raises FloatingPointError, naming the step, if loss or gradient is not
    finite; TypeError or ValueError if an argument or the file does not fit.
    """
    return _plan(model, batches, loss, optimizer, steps, clip, schedule,
                 generator, checkpoint, save_every).go(progress)  # fmt: skip


# -- Two ways to one answer --
_HOOKS = tuple(f"_{way}_{moment}hooks" for way in ("forward", "backward") for moment in ("", "pre_"))


def _overridden(part: object, kind: type, but: str = "") -> str:
    """Name a method of `kind` that `part` has replaced; "" for none."""
    last = nn.Module if issubclass(kind, nn.Module) else object
    ours = kind.__mro__[: kind.__mro__.index(last)]
    for name in {name: None for base in ours for name in vars(base)}:
        own = inspect.getattr_static(type(part), name)
        kinds = property | staticmethod | classmethod
        code = callable(own) or isinstance(own, kinds)
        if not code or name.startswith("__") or name == but:
            continue
        written = inspect.getattr_static(kind, name)
        if own is not written or name in vars(part):
            return name
    return ""


# -- Two ways to one answer --
def _changed(name: str, part: object, kind: type) -> str:
    """Say how `part` differs from what was written; "" if it does not."""
    what = f"its part {name}" if name else "it"
    if not isinstance(part, kind):
        return f"{what} is a {type(part).__name__}, not a {kind.__name__}"
    if method := _overridden(part, kind, but="" if name else "forward"):
        return f"{what} has a {method} of its own"
    if name and any(getattr(part, hooks, None) for hooks in _HOOKS):
        return f"{what} carries a hook"
    return ""


def _foreign(inputs: tuple[Tensor, ...]) -> str:
    """Say why the fused way does not take these inputs; "" if it does."""
    kinds = {(x.dtype, x.device.type) for x in inputs}
    for dtype, device in kinds:
        known = device in ("cpu", "cuda", "meta")
        if not dtype.is_floating_point or not known:
            return f"the inputs are {dtype} on {device}"
    transformed = torch._C._are_functorch_transforms_active()
    if torch.compiler.is_compiling() or transformed:
        return "a transform (export, compile, vmap, grad) looks inside"
    return ""


# -- Two ways to one answer --
def use_fused(
    fused: bool | None,
    module: nn.Module,
    kind: type[nn.Module],
    *inputs: Tensor,
    **parts: type,
) -> bool:
    """Decide between the plain way through a module and the fused one.

    Args:
        fused: None: wherever it holds; True insists on it; False: never.
        module: the module in whose `forward` we are.
        kind: the class that the fused way was written for.
        inputs: tensors that it would read.
        parts: for each attribute that holds a part, its class.

    Returns:
        Whether to take the fused way.

    Raises:
        ValueError: if `fused` is True and the fused way does not hold.
    """
    if fused is False:
        return False
    reason = _foreign(inputs) or _changed("", module, kind)
    for name, part in parts.items():
        reason = reason or _changed(name, getattr(module, name), part)
    if fused and reason:
        raise ValueError(f"{kind.__name__}: fused=True, but {reason}; leave `fused` away and the plain way is taken")
    return not reason


# -- A place to train --
def device() -> torch.device:
    """Name the device that the notebooks train on.

    Returns:
        What the environment variable SOFTATTN_DEVICE says; without it cuda
        where there is one, else cpu.

    Raises:
        ValueError: if SOFTATTN_DEVICE names a device that is not here.
    """
    here = "cuda" if torch.cuda.is_available() else "cpu"
    name = os.environ.get("SOFTATTN_DEVICE") or here
    try:
        torch.empty(1, device=name).item()
    except (RuntimeError, AssertionError, NotImplementedError) as err:
        raise ValueError(
            f"SOFTATTN_DEVICE={name}: torch cannot keep a number there; unset it or try cpu ({err})"
        ) from err
    return torch.device(name)

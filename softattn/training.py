# Generated from book/training.md by tools/export.py. Edit the chapter, not this file.
"""Training.

One explicit loop that clips, checks, saves, and goes on where it was cut off.

The chapter book/training.md builds this module and explains each line.
"""

import inspect
import math
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

__all__ = ["cosine", "device", "fit", "load_checkpoint", "save_checkpoint", "warmup_stable_decay"]


# -- A pace that changes --
def cosine(steps: int, warmup: int = 0, floor: float = 0.0) -> Callable[[int], float]:
    """Make a learning-rate factor that rises in a line, then falls along half a cosine.

    Args:
        steps: the length of the whole training.
        warmup: steps of the rise.
        floor: the factor once all steps are done; the last step's is a little above it.

    Returns:
        `factor(step)`, from just above 0 to 1 and down towards `floor`; steps count from 0, and from step `steps` on
        it is `floor`.

    Raises:
        ValueError: if `warmup` does not lie between 0 and `steps`.
    """
    if not 0 <= warmup <= steps:
        raise ValueError(f"cosine: warmup={warmup} does not lie between 0 and steps={steps}")

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        done = min(1.0, (step - warmup) / max(1, steps - warmup))
        return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done))

    return factor


# -- A pace that changes --
def warmup_stable_decay(steps: int, warmup: int, decay: int) -> Callable[[int], float]:
    """Make a learning-rate factor that rises in a line, stays at 1, and falls in a line towards 0.

    The flat part does not know where the end is: a run can be stopped, looked at and prolonged there.

    Args:
        steps: the length of the whole training.
        warmup: steps of the rise.
        decay: steps of the fall, at the end: the first is already below 1, the last still above 0.

    Returns:
        `factor(step)`; steps count from 0, and from step `steps` on it is 0.

    Raises:
        ValueError: if the rise and the fall do not fit into `steps`.
    """
    if warmup < 0 or decay < 0 or warmup + decay > steps:
        raise ValueError(f"warmup_stable_decay: warmup={warmup} and decay={decay} do not fit into steps={steps}")

    def factor(step: int) -> float:
        rise = 1.0 if step >= warmup else (step + 1) / warmup
        fall = 1.0 if step < steps - decay else max(0, steps - step) / (decay + 1)
        return min(rise, fall)

    return factor


# -- What is the state of a training? --
def save_checkpoint(
    path: str | Path,
    history: list[float],
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
) -> None:
    """Write everything the next step depends on, beside the old file first, then over it in one move.

    Args:
        path: the file; its folder is made where it is missing.
        history: the loss of each step so far, in the loss's own unit.
        model: its state_dict is kept.
        optimizer: its state_dict is kept: moments, step counts, learning rates.
        generator: the generator that draws the batches; torch's global one is kept too (dropout draws from it).
    """
    path = Path(path)
    state = {
        "history": history,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "kind": type(optimizer).__name__,
        "generator": generator.get_state(),
        "global": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    try:
        with open(beside, "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())  # on the disk before the name points to it
        os.replace(beside, path)  # one move: a reader finds the old file or the new one, never half of one
    finally:
        beside.unlink(missing_ok=True)


# -- What is the state of a training? --
def _settings(weights: dict, optimizer: dict, kind: str) -> dict:
    """List what two runs must share, so that one can go on where the other stopped."""
    shapes = {f"the shape of {name}": tuple(weight.shape) for name, weight in weights.items()}
    numbers = {
        f"{key} of parameter group {i}": value
        for i, group in enumerate(optimizer["param_groups"])
        for key, value in group.items()
    }
    return {**shapes, "the optimizer": kind, **numbers}


# -- What is the state of a training? --
def load_checkpoint(
    path: str | Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
    steps: int | None = None,
) -> list[float]:
    """Put a model, its optimizer and the generators back where `save_checkpoint` found them.

    Args:
        path: a file that `save_checkpoint` wrote.
        model: of the same shapes as the saved one; overwritten.
        optimizer: of the same class and settings as the saved one; overwritten.
        generator: on the same kind of device as the saved one; overwritten.
        steps: how many steps the file may have behind it; None for any number.

    Returns:
        The loss of each step so far: its length is the number of steps done.

    Raises:
        ValueError: if the file is damaged, of another model or optimizer, or too far on; nothing is overwritten then.
    """
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        history, weights, moments = saved["history"], saved["model"], saved["optimizer"]
        kind, states = saved["kind"], (saved["generator"], saved["global"], saved["cuda"])
    except (pickle.UnpicklingError, RuntimeError, OSError, EOFError, KeyError, TypeError) as err:
        raise ValueError(
            f"{path} is no checkpoint of `fit`, or it is damaged; delete it to start again ({err})"
        ) from err
    if steps is not None and len(history) > steps:
        raise ValueError(
            f"{path} has {len(history)} steps behind it, more than the {steps} asked for; ask for more or delete it"
        )
    ours = _settings(model.state_dict(), optimizer.state_dict(), type(optimizer).__name__)
    theirs = _settings(weights, moments, kind)
    for what in [*ours, *theirs]:
        if ours.get(what) != theirs.get(what):
            raise ValueError(
                f"{path} belongs to another run: {what} is {theirs.get(what)} there and {ours.get(what)} here; "
                "delete it to start again, or name another file"
            )
    model.load_state_dict(weights)
    optimizer.load_state_dict(moments)
    generator.set_state(states[0])
    torch.set_rng_state(states[1])
    if states[2] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(states[2])
    return history


# -- The loop --
def fit(
    model: nn.Module,
    batches: Callable[[torch.Generator], Any],
    loss: Callable[[Any, Any], Tensor],
    optimizer: torch.optim.Optimizer,
    *,
    steps: int,
    clip: float | None = 1.0,
    schedule: Callable[[int], float] | None = None,
    generator: torch.Generator | None = None,
    checkpoint: str | Path | None = None,
    save_every: int = 100,
    progress: bool = True,
) -> list[float]:
    """Train a model by gradient descent, one batch a step, exactly resumable.

    Args:
        model: what learns; it is put in training mode.
        batches: draws one batch from the generator it is given, and remembers nothing between two calls.
        loss: `loss(model, batch)`, a scalar tensor.
        optimizer: any of torch's, made from the model's parameters.
        steps: how many steps in all, those of a checkpoint included.
        clip: gradients longer than this are shortened to it; None leaves all as they are.
        schedule: `schedule(step)`, a factor on the optimizer's learning rate at that step, from 0.
        generator: all batches come from it; a new one of seed 0 where none is given.
        checkpoint: a file; saved to every `save_every` steps and at the end, and taken up where it already stands.
        save_every: steps between two saves.
        progress: whether to show a bar with the loss.

    Returns:
        The loss of each step, those before a resume included.

    Raises:
        FloatingPointError: if the loss or its gradient is not finite; it names the step, whose update was not made.
        ValueError: if an argument is out of range, the loss is no scalar, or the checkpoint belongs to another run.
    """
    longest = math.inf if clip is None else clip
    if steps < 0 or save_every < 1 or not longest > 0:
        raise ValueError(f"fit: steps={steps}, save_every={save_every}, clip={clip}; expected >= 0, >= 1, > 0 or None")
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    rates = [group["lr"] for group in optimizer.param_groups]
    history: list[float] = []
    if checkpoint is not None and Path(checkpoint).exists():
        history = load_checkpoint(checkpoint, model, optimizer, generator, steps)
    todo = range(len(history), steps)
    bar = tqdm(todo, initial=len(history), total=steps, desc="fit") if progress else todo
    model.train()
    for step in bar:
        value = loss(model, batches(generator))
        if value.numel() != 1:
            raise ValueError(f"fit: the loss has shape {tuple(value.shape)}, not one number; take its mean or its sum")
        if not math.isfinite(value.item()):
            raise FloatingPointError(f"fit: the loss is {value.item()} at step {step}; the weights are those before it")
        optimizer.zero_grad()
        value.backward()
        norm = nn.utils.clip_grad_norm_(weights, longest)
        if not math.isfinite(norm):
            raise FloatingPointError(
                f"fit: the gradient's norm is {norm.item()} at step {step}; the weights are those before it"
            )
        factor = 1.0 if schedule is None else schedule(step)
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * factor
        optimizer.step()
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        history.append(value.item())
        if progress:
            bar.set_postfix(loss=f"{history[-1]:.4g}", refresh=False)
        if checkpoint is not None and (len(history) % save_every == 0 or len(history) == steps):
            save_checkpoint(checkpoint, history, model, optimizer, generator)
    return history


# -- Two ways to one answer --
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def _overridden(part: nn.Module, kind: type[nn.Module], but: str = "") -> str:
    """Name a method of `kind` that `part` has replaced, in its class or on itself; "" if there is none."""
    for base in kind.__mro__[: kind.__mro__.index(nn.Module)]:
        for name in vars(base):
            own = inspect.getattr_static(type(part), name)
            code = callable(own) or isinstance(own, property | staticmethod | classmethod)
            if not code or name.startswith("__") or name == but:
                continue
            if own is not inspect.getattr_static(kind, name) or name in vars(part):
                return name
    return ""


# -- Two ways to one answer --
def _why_plain(module: nn.Module, kind: type[nn.Module], inputs: tuple[Tensor, ...], parts: dict) -> str:
    """Say why the fused way does not hold for this module and these inputs; "" if it does."""
    if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
        return "a transform of PyTorch (export, compile, vmap, grad) looks inside"
    for name, (part, wanted) in {"": (module, kind), **parts}.items():
        what = f"its part {name}" if name else "it"
        if not isinstance(part, wanted):
            return f"{what} is a {type(part).__name__}, not a {wanted.__name__}"
        if method := _overridden(part, wanted, but="" if name else "forward"):
            return f"{what} has a {method} of its own"
        if name and any(getattr(part, hooks) for hooks in _HOOKS):
            return f"{what} carries a hook"
    kinds = {(x.dtype, x.device.type) for x in inputs}
    if any(not dtype.is_floating_point or device not in ("cpu", "cuda", "meta") for dtype, device in kinds):
        return f"the inputs are {sorted(f'{dtype} on {device}' for dtype, device in kinds)}"
    return ""


def use_fused(
    fused: bool | None, module: nn.Module, kind: type[nn.Module], *inputs: Tensor, **parts: type[nn.Module]
) -> bool:
    """Decide between the plain way through a module and the fused one, which knows the module as it was written only.

    Args:
        fused: None takes the fused way wherever it holds, True insists on it, False never takes it.
        module: the module in whose `forward` we are.
        kind: the class that the fused way was written for.
        inputs: tensors that it would read.
        parts: for each attribute that holds a submodule, the class that the fused way was written for.

    Returns:
        Whether to take the fused way.

    Raises:
        ValueError: if `fused` is True and the module, a part or the inputs are not what the fused way was written for.
    """
    if fused is False:
        return False
    reason = _why_plain(module, kind, inputs, {name: (getattr(module, name), part) for name, part in parts.items()})
    if fused and reason:
        raise ValueError(f"{kind.__name__}: fused=True, but {reason}; leave `fused` away and the plain way is taken")
    return not reason


# -- A place to train --
def device() -> torch.device:
    """Name the device that the notebooks train on.

    Returns:
        What the environment variable SOFTATTN_DEVICE says; without it cuda where there is one, else cpu.

    Raises:
        ValueError: if SOFTATTN_DEVICE names a device that torch does not know or that is not here.
    """
    name = os.environ.get("SOFTATTN_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(1, device=name).item()
    except (RuntimeError, AssertionError, NotImplementedError) as err:
        raise ValueError(
            f"SOFTATTN_DEVICE={name}: torch cannot keep a number there; unset it or try cpu ({err})"
        ) from err
    return torch.device(name)

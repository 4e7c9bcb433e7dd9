"""Several processes on one training run: who this one is, and the sums that they make together.

    torchrun --standalone --nproc_per_node 2 -m recipes.handwriting ...
    accelerate launch --multi_gpu --num_processes 8 -m recipes.handwriting --device cuda ...

The launcher says in WORLD_SIZE how many there are. Where it says nothing there is one process, and neither `accelerate`
nor torch.distributed is touched. (`accelerate launch --cpu --num_processes 2` quietly starts one: use torchrun there.)
"""

import datetime
import functools
import os
import signal
import sys
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

PATIENCE = 600  # seconds to wait for a process that is silent; one that died is noticed at once


class Alone:
    """One process: every sum is its own part, and nobody is waited for."""

    number, index = 1, 0

    def __init__(self, device: str = "cpu"):
        self.device = device

    @property
    def main(self) -> bool:
        """Whether this is the process that speaks, decides and saves."""
        return self.index == 0

    def total(self, tensor: Tensor) -> Tensor:
        """The sum over all processes, on each of them."""
        return tensor

    def agree(self, decision: bool) -> bool:
        """What the first process has decided."""
        return decision

    def collect(self, part: dict) -> dict:
        """The entries of all processes, on each of them."""
        return part

    def dismiss(self) -> None:
        """End all processes but the first."""

    def add_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Put into each gradient the sum over all processes, one message for all of them."""
        if self.number == 1:
            return
        held = [p for p in parameters if p.requires_grad]
        flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in held])
        parts = self.total(flat).split([p.numel() for p in held])
        for p, part in zip(held, parts, strict=True):
            p.grad = part.view_as(p)

    def must_agree(self, what: str, value: float) -> None:
        """Stop where a process begins from something else than the others."""
        mine = torch.tensor([value], dtype=torch.float64, device=self.device)
        if (self.total(mine) / self.number - mine).abs().item() > 1e-9 * max(1.0, abs(value)):
            raise SystemExit(
                f"process {self.index} of {self.number} begins with {what} {value:g}, another one with something else: "
                "give all of them the same options, and one --state that each can read"
            )


class Together(Alone):
    """Several processes, through `accelerate`."""

    def __init__(self, device: str = "cpu"):
        try:
            from accelerate import Accelerator, InitProcessGroupKwargs
            from accelerate.utils import gather_object
        except ImportError:
            raise SystemExit("several processes need `accelerate`: pip install 'softattn[scale]'") from None
        wait = InitProcessGroupKwargs(timeout=datetime.timedelta(seconds=PATIENCE))
        on_cpu = torch.device(device).type == "cpu"
        threads = torch.get_num_threads()
        self.accelerator = Accelerator(cpu=on_cpu, kwargs_handlers=[wait])
        torch.set_num_threads(threads)
        self._gather = gather_object
        self.number, self.index = self.accelerator.num_processes, self.accelerator.process_index
        self.device = str(self.accelerator.device)
        signal.signal(signal.SIGTERM, self._told_to_end)
        if not self.main:  # one voice is enough
            sys.stdout = open(os.devnull, "w")

    def _lost(self) -> SystemExit:
        return SystemExit(
            f"process {self.index} of {self.number} stops, because another one has stopped or is silent: call again "
            "with the same options, and the run goes on from the state that was saved last"
        )

    def _told_to_end(self, *_: Any) -> None:
        raise self._lost()

    def _ask(self, question: Callable[..., Any], *given: Any) -> Any:
        try:
            return question(*given)
        except RuntimeError as fault:
            raise self._lost() from fault

    def total(self, tensor: Tensor) -> Tensor:
        return self._ask(self.accelerator.reduce, tensor, "sum")

    def agree(self, decision: bool) -> bool:
        said = torch.tensor([float(decision and self.main)], device=self.device)
        return bool(self.total(said).item())

    def collect(self, part: dict) -> dict:
        return dict(item for items in self._ask(self._gather, [list(part.items())]) for item in items)

    def dismiss(self) -> None:
        self._ask(self.accelerator.wait_for_everyone)
        self.accelerator.end_training()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if not self.main:
            raise SystemExit(0)


def share_gradients(model: nn.Module, who: Alone) -> None:
    """Let each gradient become the mean over all processes as soon as it is there.

    For `softattn.training.fit`, which clips and steps afterwards: each process draws the same batch and reads its own
    rows of it. The weights keep their names, so that a checkpoint goes on with any number of processes.
    """

    def mean(p: Tensor) -> None:
        if p.grad is not None:
            p.grad = who.total(p.grad) / who.number

    for p in model.parameters() if who.number > 1 else ():
        p.register_post_accumulate_grad_hook(mean)


@functools.cache
def processes(device: str = "cpu") -> Alone:
    """This process among those that its launcher started: `Alone`, or `Together` with others."""
    return Together(device) if int(os.environ.get("WORLD_SIZE", "1")) > 1 else Alone(device)


def alone(who: str) -> None:
    """Refuse to run in several processes, each of which would do the whole work."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise SystemExit(f"{who} does not share its work among processes: start one, without torchrun")

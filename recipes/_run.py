"""The one training run of all recipes: state, average of the weights, noise, curve, options, what a card says of it.

A recipe is data, model, loss and its figures: a subclass of `Run` that says what an epoch holds (`prepare`), what one
update on its k-th batch does (`step`), at which rate (`rate`), and which row the learning curve gets (`look`). `train`
does the rest. The state lies outside the repository and is saved whole every few minutes; stopped at any update and
called again, a run goes on to the bit: optimizer, average, place in the epoch, states carried from batch to batch, and
every generator are part of it. (Which library multiplies is measured anew by each process; where a later one chooses
otherwise it says so, and sums are rounded otherwise from there on.)

A batch can be cut into `--shares`, fixed for the whole run: gradients of the shares are added up before the optimizer
moves, in one process one share after the other (gradient accumulation), in several each its own (`recipes._processes`).
Noise in a share is decided by seed, update and share alone, so that how many processes there are changes nothing.
"""

import argparse
import math
import os
import platform
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from recipes._processes import processes
from softattn.fused_lstm import faster_library, faster_products
from softattn.hub import atomic_write, load

ROOT = Path(__file__).resolve().parent.parent
WEIGHTS = ROOT / "softattn" / "weights"
STATES = Path.home() / "softattn-runs"
SAVE_SECONDS = 180


def options(doc: str | None, state: str, **defaults: Any) -> argparse.ArgumentParser:
    """The options of every recipe.

    Args:
        doc: the recipe's docstring.
        state: the folder of its states under ~/softattn-runs.
        defaults: other values than these.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after so many minutes of wall time")
    parser.add_argument("--resume", action="store_true", help="where no state is, start from the weights that ship")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--shares", type=int, help="parts that each batch is cut into; left out: one per process")
    products = parser.add_mutually_exclusive_group()
    for name in ("float32", "bfloat16"):
        told = f"products in {name}; left out: as the state says, in a new run what is faster here"
        products.add_argument(f"--{name}", dest="products", action="store_const", const=name, help=told)
    parser.add_argument("--adaptive", type=float, default=0.0, help="share of the posterior's noise on the weights")
    parser.add_argument("--noise", type=float, default=0.0, help="standard deviation of noise on all weights")
    parser.add_argument("--save-seconds", type=float, default=SAVE_SECONDS, help="seconds between savings of the state")
    parser.add_argument("--state", type=Path, default=STATES / state, help="folder of the states")
    parser.set_defaults(**defaults)
    return parser


def commit() -> str:
    """The commit that the command ran at, or "unknown" outside a repository."""
    out = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return out.stdout.strip() or "unknown"


def machine(args: argparse.Namespace, run: "Run | None" = None) -> str:
    """Processor, threads, device and, of a run, the format of its products, for a card."""
    kind = run.products_told() if run else ""
    number = processes(args.device).number
    several = f"{number} processes" if number > 1 else ""
    words = [platform.machine(), several, f"{args.threads} of {os.cpu_count()} threads", str(args.device), kind]
    return ", ".join(word for word in [*words, f"torch {torch.__version__.split('+')[0]}"] if word)


class Run:
    """A training run that can be saved at any update and taken up again, to the bit."""

    KEEP, CLIP = 0.999, 5.0  # of the average of the weights; of the gradient's norm
    OPTIMIZER: Callable[..., torch.optim.Optimizer] = torch.optim.AdamW
    SETTINGS: dict[str, Any] = {"lr": 1e-3, "betas": (0.9, 0.99), "weight_decay": 0.0}
    CUTS = False  # whether `step` takes `rows` of a batch, and so can be shared

    def __init__(self, kind: Callable[..., nn.Module], config: dict, args: Any, **training: Any):
        """Args:
        kind: the model's class.
        config: its arguments, as the card keeps them.
        args: the options; seed, device, noise, adaptive.
        training: more arguments of the class while it trains (dropout).
        """
        torch.manual_seed(args.seed)
        self.processes = processes(args.device)
        args.device = self.processes.device
        self.kind, self.config, self.args = kind, config, args
        self.model: Any = kind(**{**config, **training}).to(args.device)
        self.optimizer = self.OPTIMIZER(self.model.parameters(), **self.SETTINGS)
        self.facts: dict[str, Any] = dict(updates=0, points=0, seconds=0.0, epoch=0, place=0, curve=[], sums=[0.0, 0])
        self.facts["seed"] = args.seed
        self.facts["products"] = []  # formats of products, each with the update from which on it is used
        self.cut(getattr(args, "shares", None) or self.processes.number)
        self.average: dict[str, Tensor] = {}
        self.average_anew()
        self.generator = torch.Generator()
        self.carried: Any = None  # what one batch hands to the next: tensors in tuples and lists
        self.kept: dict[int, Any] = {}  # the same for each share, where there are several
        self.still: list[Tensor] | None = None  # the weights without noise, from `shake` to `update`
        self.points_read = 0.0  # points since the last update
        self._taken_up: Tensor | None = None

    # -- what a recipe says --------------------------------------------------------------------------------------------

    def prepare(self) -> int:
        """Make the epoch `facts["epoch"]`, which only seed and epoch decide; return the number of its batches."""
        raise NotImplementedError

    def step(self, k: int) -> float:
        """One update on batch k of the epoch; return what the learning curve shows of it."""
        raise NotImplementedError

    def look(self, mean: float) -> str:
        """Append a row to the learning curve, of the mean of `step` since the last one; return it in words."""
        raise NotImplementedError

    def updated(self, norm: float) -> None:
        """Told after each update: the gradient's norm."""

    # -- shares --------------------------------------------------------------------------------------------------------

    def cut(self, shares: int) -> None:
        """Let each batch be so many shares; this process has those of `turns`."""
        who, name = self.processes, type(self).__name__
        if shares > 1 and not self.CUTS:
            raise SystemExit(f"{name} does not cut its batches: start one process, without --shares")
        if shares < 1 or shares % who.number:
            raise SystemExit(
                f"{name}: its batches are cut into {shares}, which {who.number} processes cannot divide among them; "
                "start as many as divide it, or begin a run with other --shares and another --state"
            )
        each = shares // who.number
        self.turns, self.facts["shares"] = range(who.index * each, (who.index + 1) * each), shares
        self.turn = self.turns[0]  # the share that is computed now

    def rows(self, batch: int) -> slice:
        """Which rows of a batch the present share is."""
        shares = self.facts["shares"]
        if batch % shares:
            raise SystemExit(f"{batch} rows of a batch are not {shares} equal shares: give --shares a divisor")
        size = batch // shares
        return slice(self.turn * size, (self.turn + 1) * size)

    def advance(self, k: int) -> float:
        """One update on batch k: `step` on each share of this process; the mean of what all shares show."""
        if self.facts["shares"] == 1:
            return self.step(k)
        shown, place = 0.0, 4_000_037 * self.facts["seed"] + 1009 * self.facts["updates"]
        for turn in self.turns:
            self.turn = turn
            torch.manual_seed(place + self.turn)
            self.generator.manual_seed(place + self.turn + 500)
            self.carried = self.kept.get(self.turn)
            shown += self.step(k) / self.facts["shares"]
            self.kept[self.turn] = self.carried
        return self.processes.total(torch.tensor([shown], dtype=torch.float64, device=self.device)).item()

    # -- number format -------------------------------------------------------------------------------------------------

    def products(self) -> str:
        """The format of products: as told, else as the state says, else what is faster here, measured at first use."""
        kept, told = self.facts["products"], getattr(self.args, "products", None)
        if told is None and kept:
            return kept[-1][1]
        if told is None:
            dtype, why = faster_products(str(self.device))
            told = "bfloat16" if self.processes.agree(dtype == torch.bfloat16) else "float32"
            print(f"products in {told}: measured here, {why}", flush=True)
        if not kept or kept[-1][1] != told:
            kept.append([self.facts["updates"], told])
        return told

    def products_told(self) -> str:
        """The formats so far, in words for a card."""
        self.products()
        told = [(f"from update {n} on " * (n > 0)) + f"{name} products" for n, name in self.facts["products"]]
        return ", ".join(told)

    def low_products(self) -> torch.autocast:
        """Within this, products are in the format of the run; what is no product stays float32."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.products() == "bfloat16")

    # -- the average, and where a run starts ---------------------------------------------------------------------------

    def average_anew(self) -> None:
        """Let the average begin at the weights as they are."""
        self.average = {k: v.detach().clone() for k, v in self.model.state_dict().items()}

    def start_from(self, name: str) -> None:
        """Begin with weights that ship."""
        theirs = load(name)
        self.model.load_state_dict(theirs.state_dict())
        self.average_anew()
        card = getattr(theirs, "card", {})
        before = f", {card['minutes']} minutes of training before" if "minutes" in card else ""
        self.facts["start"] = f"the weights {name} as of commit {card.get('commit', 'unknown')}{before}"

    def begun(self) -> dict[str, str]:
        """What a card says of the beginning: the weights that the run started from, or nothing."""
        return {"start": self.facts["start"]} if "start" in self.facts else {}

    def averaged(self) -> Any:
        """The model with the averaged weights, for scoring."""
        model: Any = self.kind(**self.config).to(self.device)
        model.load_state_dict(self.average)
        return model.eval()

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    # -- noise ---------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def shake(self, noise: float = 0.0, adaptive: float = 0.0, evidence: float = 0.0) -> None:
        """Add Gaussian noise to all weights for one update: of one size, or adaptive, or both.

        Adaptive as in Graves (2011, 2013): a weight that the data pin down is shaken little, one that they hardly feel
        up to its tensor's root mean square. How much they pin it down is read off Adam's mean of squared gradients v
        (Khan et al. 2018): std = adaptive / sqrt(evidence v + 1 / mean(w^2)), `evidence` the points of an epoch times
        the points of an update; at adaptive = 1 this is the posterior of independent Gaussians.
        """
        if not (noise or adaptive) or self.turn > self.turns[0]:  # one noise for all shares of an update
            return
        self.still = [p.clone() for p in self.model.parameters()]
        draw = self.noise_of_weights()
        for p in self.model.parameters():
            std = torch.full_like(p, noise)
            felt = self.optimizer.state.get(p, {}).get("exp_avg_sq")
            if adaptive and felt is not None:
                std += adaptive * (evidence * felt + 1 / p.square().mean().clamp(min=1e-12)).rsqrt()
            p.addcmul_(draw(p), std)

    def noise_of_weights(self) -> Callable[[Tensor], Tensor]:
        """What draws standard normal numbers like a tensor: for shared batches the same on each process."""
        if self.facts["shares"] == 1:
            return torch.randn_like
        g = torch.Generator().manual_seed(7_000_003 * self.facts["seed"] + self.facts["updates"])
        return lambda p: torch.randn(p.shape, generator=g, dtype=p.dtype).to(p.device)

    @torch.no_grad()
    def hold_still(self) -> None:
        """Take the noise away again."""
        if self.still is not None:
            for p, q in zip(self.model.parameters(), self.still, strict=True):
                p.copy_(q)
            self.still = None

    # -- updates -------------------------------------------------------------------------------------------------------

    def update(self, loss: Tensor, rate: float, points: int) -> float:
        """Go one step down the gradient of a loss over so many points, and move the average; the gradient's norm.

        Where a batch has several shares, their gradients are gathered until the last one, and added up over all
        processes: what goes down is the mean of the shares' losses. Before the last share the norm is not known: 0.
        """
        if not loss.isfinite():
            told = f"the loss is {loss.item()} at update {self.facts['updates']}"
            raise SystemExit(f"{told}: call again, from the saved state")
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        if self.turn == self.turns[0]:
            self.optimizer.zero_grad(set_to_none=True)
            self.points_read = 0.0
        (loss / self.facts["shares"]).backward()
        self.points_read += points
        if self.turn < self.turns[-1]:
            return 0.0
        self.hold_still()
        self.processes.add_gradients(self.model.parameters())
        read = self.processes.total(torch.tensor([self.points_read], dtype=torch.float64, device=self.device))
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.CLIP)
        self.optimizer.step()
        self.facts["updates"] += 1
        self.facts["points"] += int(read.item())
        keep = min(self.KEEP, (1 + self.facts["updates"]) / (10 + self.facts["updates"]))
        with torch.no_grad():
            for name, value in self.model.state_dict().items():
                self.average[name].lerp_(value, 1 - keep)
        self.updated(norm.item())
        return norm.item()

    def seeded(self) -> torch.Generator:
        """The generator of this epoch, which only seed and epoch decide; taken up, it goes on where it stopped."""
        return self.generator.manual_seed(1_000_003 * self.facts["seed"] + self.facts["epoch"])

    # -- the state -----------------------------------------------------------------------------------------------------

    def save(self, path: Path) -> None:
        """Write the state, whole or not at all; of several processes the first writes it, with what each carries."""
        carried = self.carried if self.facts["shares"] == 1 else self.processes.collect(on(self.kept, "cpu"))
        if not self.processes.main:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        self.facts["library"] = library()
        state = dict(
            model=self.model.state_dict(), average=self.average, optimizer=self.optimizer.state_dict(),
            facts=self.facts, config=self.config, random=torch.get_rng_state(), generator=self.generator.get_state(),
            carried=carried,
        )  # fmt: skip
        with atomic_write(path) as beside:
            torch.save(state, beside)

    def load(self, path: Path) -> None:
        """Take up a saved run."""
        saved = torch.load(path, map_location=self.device, weights_only=True)
        if saved["config"] != self.config:
            raise SystemExit(f"{path} is of another run: {saved['config']}, not {self.config}; name another --state")
        theirs, asked = saved["facts"].get("shares", 1), getattr(self.args, "shares", None)
        if asked and asked != theirs:
            raise SystemExit(
                f"{path} is of a run of {theirs} shares, not {asked}; leave --shares out, or name another --state"
            )
        self.cut(theirs)
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.average, self.facts = saved["average"], {**self.facts, **saved["facts"]}
        self.facts.setdefault("updates", self.facts.get("steps", 0))
        if theirs == 1:
            self.carried = saved.get("carried")
        else:
            self.kept = {k: v for k, v in saved["carried"].items() if k in self.turns}
        self._taken_up = saved.get("generator")
        if "random" in saved:
            torch.set_rng_state(saved["random"].cpu())

    def take_up(self, path: Path, ships: str | None = None) -> None:
        """Go on from a state; where there is none, and `--resume` was given, from the weights that ship."""
        if path.exists():
            self.load(path)
            facts = self.facts
            kept = f", products in {self.products()}" if facts["products"] else ""
            before, now = facts.get("library", library()), library()
            kept += f"; by {now} here, by {before} before: not the same to the bit" * (before != now)
            print(f"taken up in epoch {facts['epoch']}, {facts['seconds'] / 60:.1f} min{kept}", flush=True)
        elif getattr(self.args, "resume", False):
            if ships is None:
                raise SystemExit(f"{path} is not there: nothing to resume")
            self.start_from(ships)
            print(f"started from the weights {ships}", flush=True)


def library() -> str:
    """What multiplies in float32 on this processor: measured once in a process."""
    return "oneDNN" if faster_library()[0] else "MKL"


def add_keep(parser: argparse.ArgumentParser) -> None:
    """The option --keep, for `blend`."""
    told = "share of the weights that ship in those that land, from 0 to below 1"
    parser.add_argument("--keep", type=share, default=0.0, help=told)


def share(word: str) -> float:
    """A share from 0 to below 1, for an option."""
    value = float(word)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{word} is no share from 0 to below 1")
    return value


@torch.no_grad()
def blend(model: nn.Module, other: nn.Module, keep: float) -> None:
    """The weights' mean: `keep` of the other model's, the rest of this one's."""
    theirs = other.state_dict()
    model.load_state_dict({k: (1 - keep) * v + keep * theirs[k] for k, v in model.state_dict().items()})


def on(carried: Any, device: torch.device | str) -> Any:
    """Tensors in tuples, lists and dicts, on a device."""
    if isinstance(carried, dict):
        return {k: on(v, device) for k, v in carried.items()}
    if isinstance(carried, (tuple, list)):
        return type(carried)(on(v, device) for v in carried)
    return carried.to(device) if isinstance(carried, Tensor) else carried


def train(
    run: Run,
    path: Path,
    minutes: float = math.inf,
    over: Callable[[], bool] = lambda: False,
    by_epoch: bool = False,
    save_seconds: float = SAVE_SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> bool:
    """Train until `over()`, or until the minutes are gone; the state is saved on the way and at the end.

    Args:
        run: what is trained.
        path: its state.
        minutes: of wall time; at least one update is made.
        over: asked before each update, with `by_epoch` before each epoch.
        by_epoch: look at the end of each epoch, not at each saving.
        save_seconds: between two savings.
        clock: what `facts["seconds"]` counts: time.process_time where other work runs beside it.

    Of several processes only the first comes back; the others have done their work.

    Returns:
        Whether the training is over.
    """
    who = run.processes
    who.must_agree("updates", run.facts["updates"])
    who.must_agree("weights of sum", sum(p.double().sum().item() for p in run.model.parameters()))
    done = _train(run, path, minutes, over, by_epoch, save_seconds, clock)
    who.dismiss()
    return done


def _train(
    run: Run,
    path: Path,
    minutes: float,
    over: Callable[[], bool],
    by_epoch: bool,
    save_seconds: float,
    clock: Callable[[], float],
) -> bool:
    facts, agree = run.facts, run.processes.agree
    begin = saved = time.monotonic()

    def look() -> None:
        if facts["sums"][1]:
            print(run.look(facts["sums"][0] / facts["sums"][1]), flush=True)
        facts["sums"] = [0.0, 0]

    while not over():
        batches = run.prepare()
        if facts["place"] and run._taken_up is not None:
            run.generator.set_state(run._taken_up.cpu())
        run._taken_up = None
        while facts["place"] < batches:
            if not by_epoch and over():
                run.save(path)
                return True
            start = clock()
            value = run.advance(facts["place"])
            facts["seconds"] += clock() - start
            facts["place"] += 1
            facts["sums"] = [facts["sums"][0] + value, facts["sums"][1] + 1]
            if agree(time.monotonic() - saved > save_seconds):
                if not by_epoch:
                    look()
                run.save(path)
                saved = time.monotonic()
            if agree(time.monotonic() - begin >= 60 * minutes):
                run.save(path)
                return False
        facts["epoch"] += 1
        facts["place"], run.carried, run.kept = 0, None, {}
        if by_epoch:
            look()
            run.save(path)
    run.save(path)
    return True

"""Train the handwriting predictor of Graves (2013), section 4, on IAM-OnDB.

    python -m recipes.handwriting --minutes 90                   train with a constant rate; state saved, resumable
    python -m recipes.handwriting --points 38                    the same, until 38 million points have been read
    python -m recipes.handwriting --cool 12                      from that state: 12 million points in which the
                                                                 rate falls to 0; score val1, write weights and card
    python -m recipes.handwriting --layers 1 --out F ...         the control of one layer, its weights to a file F
    python -m recipes.handwriting --compare CARD CARD ...        set cards of equal budgets side by side, for the page
    python -m recipes.handwriting --jitter 0.12 --dropout 0.05 --adaptive 1.5 --rate 1.5e-3 ...
                                                                 go on with noise that fits each weight
    python -m recipes.handwriting --score                        score the weights that ship: the card's figures again

Data: the lines of train, val2 and what is there of test (Graves' protocol); val1 is for early stopping and for every
reported number, as in the paper. Differs from the paper: AdamW instead of RMSProp, a constant rate that falls to 0 at
the end instead of a fixed one, an average of the weights (EMA), bfloat16 products, chunks of lines with the state
carried over. The state lies outside the repository (--state) and is saved every three minutes; killed and called again,
the run goes on from there.
"""

import argparse
import dataclasses
import json
import math
import platform
import subprocess
import time
from pathlib import Path

import torch

from softattn.handwriting import ROUNDING, HandwritingPredictor, line_stream
from softattn.hub import atomic_write, save_weights
from softattn.iam import load_iam
from softattn.mixture import StrokeMixture

ROOT = Path(__file__).resolve().parent.parent
CHUNK, ROWS, RATE, CLIP, WARMUP, SAVE_SECONDS = 128, 64, 2e-3, 5.0, 300, 180


def training_lines():
    """Graves' training data: train, val2 and what is there of test."""
    lines = []
    for split in ("train", "val2", "test"):
        part, report = load_iam(split=split)
        print(str(report).splitlines()[0])
        lines += part
    return lines


def constants(lines):
    """Mean and std of dx, dy over all rows of all lines, in raw units."""
    rows = torch.cat([line.offsets[:, :2] for line in lines]).double()
    return rows.mean(0).tolist(), rows.std(0).tolist()


def jittered(lines, amount, seed):
    """The lines, each a little more or less slanted, wider and higher: up to `amount` of its size."""
    if not amount:
        return lines
    changes = amount * (2 * torch.rand(len(lines), 3, generator=torch.Generator().manual_seed(seed)) - 1)
    moved = []
    for line, (slant, wider, higher) in zip(lines, changes, strict=True):
        offsets = line.offsets.clone()
        offsets[:, 1] *= higher.exp()
        offsets[:, 0] = offsets[:, 0] * wider.exp() + slant * offsets[:, 1]
        moved.append(dataclasses.replace(line, offsets=offsets))
    return moved


class Run:
    """A training run that can be saved at any chunk and taken up again; recipes/synthesis.py builds on it."""

    def __init__(self, kind, config, args):
        torch.manual_seed(args.seed)
        self.kind, self.config = kind, config
        self.model = kind(**config, dropout=args.dropout).to(args.device)
        self.average = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=RATE, betas=(0.9, 0.99), weight_decay=0.0)
        self.facts = dict(updates=0, points=0, seconds=0.0, epoch=0, place=0, curve=[], noise=[], seed=args.seed)
        self.jitter, self.adaptive, self.rate, self.epoch_points = args.jitter, args.adaptive, args.rate, 0
        self.still = None  # the weights without noise, from `shake` to `update`

    @torch.no_grad()
    def shake(self, noise=0.0, adaptive=0.0, evidence=0.0):
        """Add Gaussian noise to all weights for one update: of one size, or adaptive, or both.

        Adaptive as in Graves (2011, 2013): a weight that the data pin down is shaken little, one that they hardly feel
        up to its tensor's root mean square. How much they pin it down is read off Adam's mean of squared gradients v
        (Khan et al. 2018): std = adaptive / sqrt(evidence v + 1 / mean(w^2)), `evidence` the points of an epoch times
        the points of an update; at adaptive = 1 this is the posterior of independent Gaussians.
        """
        if not (noise or adaptive):
            return
        self.still = [p.clone() for p in self.model.parameters()]
        for p in self.model.parameters():
            std = torch.full_like(p, noise)
            felt = self.optimizer.state.get(p, {}).get("exp_avg_sq")
            if adaptive and felt is not None:
                std += adaptive * (evidence * felt + 1 / p.square().mean().clamp(min=1e-12)).rsqrt()
            p.addcmul_(torch.randn_like(p), std)

    @torch.no_grad()
    def hold_still(self):
        """Take the noise away again."""
        if self.still is not None:
            for p, q in zip(self.model.parameters(), self.still, strict=True):
                p.copy_(q)
            self.still = None

    @property
    def device(self):
        return self.model.mean.device

    def save(self, path):
        with atomic_write(path) as beside:
            torch.save(
                dict(model=self.model.state_dict(), average=self.average, optimizer=self.optimizer.state_dict(),
                     facts=self.facts, config=self.config), beside,
            )  # fmt: skip

    def load(self, path):
        saved = torch.load(path, map_location=self.device, weights_only=True)
        if saved["config"] != self.config:
            raise SystemExit(f"{path} is of another run: {saved['config']}, not {self.config}; name another --state")
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.average, self.facts = saved["average"], {**self.facts, **saved["facts"]}

    def update(self, loss, rate, points):
        """Go one step down the gradient of a loss over so many points, and move the average."""
        if not loss.isfinite():
            raise SystemExit(
                f"the loss is {loss.item()} at update {self.facts['updates']}: call again, from the saved state"
            )
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.hold_still()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        self.optimizer.step()
        self.facts["updates"] += 1
        self.facts["points"] += points
        keep = min(0.999, (1 + self.facts["updates"]) / (10 + self.facts["updates"]))
        with torch.no_grad():
            for name, value in self.model.state_dict().items():
                self.average[name].lerp_(value, 1 - keep)

    def averaged(self):
        """The model with the averaged weights, for scoring."""
        model = self.kind(**self.config).to(self.device)
        model.load_state_dict(self.average)
        return model.eval()


def step(run, x, y, reset, state, rate, bf16):
    """One update on one chunk; returns nats per point and the state after it."""
    run.shake(adaptive=run.adaptive, evidence=run.epoch_points * x.shape[0] * x.shape[1])
    with torch.autocast(x.device.type, torch.bfloat16, enabled=bf16):
        raw, state = run.model(x, state, reset)
    loss = -StrokeMixture(raw.float(), floor=run.model.floors(ROUNDING)).log_prob(y).mean()
    run.update(loss, rate, x.shape[0] * x.shape[1])
    return loss.item(), [(h.detach(), c.detach()) for h, c in state]


def probe(run, lines, bf16):
    """Nats per line of the averaged weights on a fixed part of val1, for the learning curve."""
    with torch.autocast(run.device.type, torch.bfloat16, enabled=bf16):
        return run.averaged().nats(lines).mean().item()


def train(run, lines, curve_lines, path, seconds, points, cool, bf16):
    """Go through the data until the seconds are over or so many points are read; with `cool`, the rate falls to 0."""
    facts, start, saved, losses = run.facts, time.time(), time.time(), []
    first = facts["points"]
    while True:
        seed = facts["seed"] * 1_000_003 + facts["epoch"]
        generator = torch.Generator().manual_seed(seed)
        x, y, reset, which = line_stream(jittered(lines, run.jitter, seed), ROWS, generator)
        run.epoch_points = which.numel()
        x, y, reset = (a.to(run.device) for a in (x, y, reset))
        x, y = run.model.normalise(x), run.model.normalise(y)
        chunks = len(x) // CHUNK
        state = None
        while facts["place"] < chunks:
            if time.time() - start >= seconds or facts["points"] >= points:
                return
            left = (points - facts["points"]) / (points - first) if cool else 1
            rate = run.rate * min(1, (facts["updates"] + 1) / WARMUP) * max(0.005, left)
            part = slice(facts["place"] * CHUNK, (facts["place"] + 1) * CHUNK)
            begins = reset[part]
            if state is None:  # after a resume the rows go on in the middle of a line, without its past
                begins = begins.clone()
                begins[0] = True
            before = time.time()
            loss, state = step(run, x[part], y[part], begins, state, rate, bf16)
            facts["seconds"] += time.time() - before
            facts["place"] += 1
            losses.append(loss)
            if time.time() - saved > SAVE_SECONDS:
                facts["curve"].append(
                    [facts["points"], sum(losses) / len(losses), probe(run, curve_lines, bf16), facts["seconds"] / 60]
                )
                print(
                    f"{facts['points'] / 1e6:7.2f} M points  epoch {facts['epoch']}  update {facts['updates']}  "
                    f"{facts['curve'][-1][1]:.4f} nats/point  val1 part {facts['curve'][-1][2]:.1f} nats/line  "
                    f"rate {rate:.1e}  {facts['seconds'] / 60:.1f} min",
                    flush=True,
                )
                losses = []
                run.save(path)
                saved = time.time()
        facts["epoch"] += 1
        facts["place"] = 0


def report(model, lines, faulty):
    """Figures of the card, of all lines and of those without faults: nats, bits on the raw lattice, squared error."""
    floored, bare = model.scores(lines), model.scores(lines, floor=0.0)
    cell = math.log(model.std[0].item() * model.std[1].item())  # nats that the unit of length is worth, per point
    sound = torch.tensor([line.source.rpartition("/")[2] not in faulty for line in lines])
    figures = {}
    for name, kept in (("val1", torch.ones_like(sound)), ("val1_cleaned", sound)):
        nats, points = floored["nats"][kept], floored["points"][kept].sum().item()
        figures[name] = {
            "lines": len(nats),
            "nats_per_line": nats.mean().item(),
            "nats_per_line_standard_error": (nats.std() / math.sqrt(len(nats))).item(),
            "nats_per_line_floor_0": bare["nats"][kept].mean().item(),
            "bits_per_point_raw_lattice": (nats.sum().item() / points + cell) / math.log(2),
            "squared_error_per_point": floored["squared_error"][kept].sum().item() / points,
            "squared_error_share_of_jumps": (
                floored["squared_error_jumps"][kept].sum() / floored["squared_error"][kept].sum()
            ).item(),
            "points_per_line": points / len(nats),
        }
    return figures


def compare(paths, name):
    """Write the figures of several cards to softattn/data/NAME.json, for a table on a page."""
    rows = []
    for path in paths:
        card = json.loads(Path(path).read_text("utf-8"))
        rows.append(
            {"layers": card["config"]["num_layers"], "parameters": card["parameters"], "points": card["points"],
             "updates": card["steps"], "minutes": card["minutes"], "machine": card["machine"],
             "noise": card.get("noise", {}).get("rows", []), **card["val1"]}
        )  # fmt: skip
    with atomic_write(ROOT / "softattn" / "data" / f"{name}.json") as beside:
        beside.write_text(json.dumps({"source": "recipes/handwriting.py --compare", "runs": rows}, indent=1) + "\n")
    print(json.dumps(rows, indent=1))


def commit():
    """The commit that the command ran at."""
    out = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return out.stdout.strip() or "unknown"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=math.inf, help="wall time to train at the constant rate")
    parser.add_argument("--points", type=float, default=math.inf, help="millions of points to stop at")
    parser.add_argument("--cool", type=float, help="millions of points in which the rate falls to 0")
    parser.add_argument("--score", action="store_true", help="score the weights that ship and print the figures")
    parser.add_argument("--compare", nargs="+", metavar="CARD", help="cards (.json) to set side by side")
    parser.add_argument("--name", default="handwriting-layers", help="what --compare calls its table")
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--hidden", type=int, default=400)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--jitter", type=float, default=0.0, help="how far slant, width and height of lines vary")
    parser.add_argument("--adaptive", type=float, default=0.0, help="share of the posterior's noise on the weights")
    parser.add_argument("--rate", type=float, default=RATE)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--float32", action="store_true", help="no bfloat16 products")
    parser.add_argument("--state", type=Path, default=Path.home() / "softattn-runs" / "handwriting")
    parser.add_argument("--out", type=Path, default=ROOT / "softattn" / "weights" / "handwriting.safetensors")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.compare:
        compare(args.compare, args.name)
        return
    val1, val1_report = load_iam(split="val1")
    print(str(val1_report).splitlines()[0])
    if args.score:
        import softattn

        model = softattn.load(args.out.stem)
        print(json.dumps(report(model, val1, val1_report.faulty), indent=2))
        return
    lines = training_lines()
    mean, std = constants(lines)
    print(f"{len(lines)} lines, mean {mean}, std {std}")
    args.state.mkdir(parents=True, exist_ok=True)
    name = f"layers{args.layers}-hidden{args.hidden}-seed{args.seed}"
    stable, cooled = args.state / f"{name}.pt", args.state / f"{name}-cooled.pt"
    config = dict(hidden_size=args.hidden, num_layers=args.layers, mixtures=20, mean=mean, std=std)
    run = Run(HandwritingPredictor, config, args)
    if stable.exists():
        run.load(stable)
        print(f"taken up at {run.facts['points'] / 1e6:.2f} M points, {run.facts['seconds'] / 60:.1f} min")
    curve_lines = val1[::12]
    path = cooled if args.cool else stable
    until = run.facts["points"] + 1e6 * args.cool if args.cool else 1e6 * args.points
    noise = [args.dropout, args.jitter, args.adaptive]
    if any(noise) and (not run.facts["noise"] or run.facts["noise"][-1][1:] != noise):
        run.facts["noise"].append([run.facts["points"], *noise])
    train(run, lines, curve_lines, path, 60 * args.minutes, until, bool(args.cool), not args.float32)
    run.save(path)
    if not args.cool:
        return
    model = run.averaged()
    exact = model.nats(val1).mean().item()
    facts = run.facts
    half = {k: v.to(torch.bfloat16).float() for k, v in model.state_dict().items()}
    model.load_state_dict(half)
    figures = report(model, val1, val1_report.faulty)  # of the weights as they are stored
    card = {
        "class": "softattn.handwriting.HandwritingPredictor",
        "config": run.config,
        "summary": f"next pen point, {args.layers} LSTM layers of {args.hidden}, 20 Gaussians, trained on IAM-OnDB",
        "data": "IAM-OnDB: train, val2 and the part of test that was at hand, "
        f"{len(lines)} lines; val1 chose the moment to stop and gives the figures, as in the paper",
        "licence": "trained on IAM-OnDB, for non-commercial research",
        "non_commercial": True,
        "command": f"python -m recipes.handwriting --points {facts['points'] / 1e6 - args.cool:.1f} (in as many calls "
        f"as liked), then --cool {args.cool:g}; --layers {args.layers} --hidden {args.hidden} --seed {args.seed}",
        "noise": {
            "what": "from so many points on: dropout, the share by which slant, width and height of lines vary, and "
            "the share of the posterior's standard deviation that is added to the weights",
            "rows": facts["noise"],
        },
        "commit": commit(),
        "steps": facts["updates"],
        "points": facts["points"],
        "epochs": facts["points"] / sum(len(line) - 1 for line in lines),
        "minutes": round(facts["seconds"] / 60, 1),
        "machine": f"{platform.machine()}, {args.threads} thread, {args.device}, "
        + ("float32" if args.float32 else "bfloat16 products")
        + ", beside other work",
        "seed": args.seed,
        "metric": {
            "name": "nats per line, floor 1/sqrt(12) raw unit",
            "value": figures["val1"]["nats_per_line"],
            "split": "val1, all lines",
        },
        "paper": "-1041.0 nats per line (Graves 2013, Table 3, 3 layers); his scale is known to about 100 nats",
        **figures,
        "lost_to_bfloat16_nats_per_line": figures["val1"]["nats_per_line"] - exact,
        "curve": {
            "columns": ["points", "train nats per point", "val1 part nats per line", "minutes"],
            "rows": facts["curve"],
        },
    }
    save_weights(args.out, model.state_dict(), card, dtype=torch.bfloat16)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()

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
    python -m recipes.handwriting --floors                       what three floors are worth on val1, for the page

Data: the lines of train, val2 and what is there of test (Graves' protocol); val1 is for early stopping and for every
reported number, as in the paper. Differs from the paper: AdamW instead of RMSProp, a constant rate that falls to 0 at
the end instead of a fixed one, an average of the weights (EMA), bfloat16 products where they are faster, chunks of
lines with the state carried over. The state lies outside the repository (--state) and is saved every three minutes;
killed and called again, the run goes on from there.
"""

import dataclasses
import json
import math
from pathlib import Path

import torch
from tqdm import tqdm

from recipes._run import ROOT, WEIGHTS, Run, commit, machine, options, train
from softattn.handwriting import ROUNDING, HandwritingPredictor, line_stream
from softattn.hub import atomic_write, save_weights
from softattn.iam import load_iam
from softattn.mixture import StrokeMixture
from softattn.strokes import pad

CHUNK, ROWS, RATE, WARMUP = 128, 64, 2e-3, 300


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


class StrokeRun(Run):
    """A run over streams of points, in chunks that hand their state on; recipes/synthesis.py builds on it."""

    SETTINGS = {"lr": RATE, "betas": (0.9, 0.99), "weight_decay": 0.0}

    def __init__(self, kind, config, args, lines=(), part=()):
        super().__init__(kind, config, args, dropout=args.dropout)
        self.jitter, self.adaptive, self.noise, self.top = args.jitter, args.adaptive, args.noise, args.rate
        self.lines, self.part, self.epoch_points = lines, part, 0
        self.facts |= dict(noise=[])
        self.first, self.until, self.cool, self.warmup = 0, math.inf, False, WARMUP

    def plan(self, points, cool):
        """Until so many millions of points are read; with `cool`, so many from now on, the rate falling to 0."""
        self.first, self.cool = self.facts.setdefault("cooling_since", self.facts["points"]) if cool else 0, bool(cool)
        self.until = self.first + 1e6 * cool if cool else 1e6 * points

    def take_up_either(self, stable, cooled, ships, cool):
        """Go on from the cooled state if one was begun here, else from the stable one."""
        if cool and cooled.exists():
            self.load(cooled)
            if "cooling_since" in self.facts:
                return
        self.take_up(stable, ships)

    def over(self):
        return self.facts["points"] >= self.until

    def rate(self):
        """A short warm-up; when cooling, down to a two-hundredth."""
        left = (self.until - self.facts["points"]) / (self.until - self.first) if self.cool else 1
        return self.top * min(1, (self.facts["updates"] + 1) / self.warmup) * max(0.005, left)

    def chunk(self, k, length=CHUNK):
        return slice(k * length, (k + 1) * length)


class PredictorRun(StrokeRun):
    """Points alone."""

    CUTS = True

    def prepare(self):
        generator = self.seeded()
        lines = jittered(self.lines, self.jitter, generator.initial_seed())
        x, y, reset, which = line_stream(lines, ROWS, generator)
        self.epoch_points = which.numel()
        x, y, self.reset = (a.to(self.device) for a in (x, y, reset))
        self.x, self.y = self.model.normalise(x), self.model.normalise(y)
        return len(x) // CHUNK

    def points(self, k):
        """Points, targets and where lines begin, of this share of chunk k."""
        part = self.chunk(k), self.rows(ROWS)
        return self.x[part], self.y[part], self.reset[part]

    def step(self, k):
        """One update on one chunk; nats per point."""
        x, y, begins = self.points(k)
        if self.carried is None:  # rows may begin in the middle of a line, without its past
            begins = begins.clone()
            begins[0] = True
        self.shake(self.noise, self.adaptive, self.epoch_points * len(x) * ROWS)
        with self.low_products():
            raw, state = self.model(x, self.carried, begins)
        loss = -StrokeMixture(raw.float(), floor=self.model.floors(ROUNDING)).log_prob(y).mean()
        self.update(loss, self.rate(), x.shape[0] * x.shape[1])
        self.carried = [(h.detach(), c.detach()) for h, c in state]
        return loss.item()

    def look(self, mean):
        facts = self.facts
        with self.low_products():
            nats = self.averaged().nats(self.part).mean().item()
        facts["curve"].append([facts["points"], mean, nats, facts["seconds"] / 60])
        return (
            f"{facts['points'] / 1e6:7.2f} M points  epoch {facts['epoch']}  update {facts['updates']}  "
            f"{mean:.4f} nats/point  val1 part {nats:.1f} nats/line  rate {self.rate():.1e}  "
            f"{facts['seconds'] / 60:.1f} min"
        )


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
    store(f"{name}.json", {"source": "recipes/handwriting.py --compare", "runs": rows})


@torch.no_grad()
def floors(model, lines):
    """What lines cost with three floors under sigma, mean nats a line; the network reads each line once."""
    tried = {"0": 0.0, "1/sqrt(12)": ROUNDING, "1/sqrt(6)": math.sqrt(2) * ROUNDING}
    nats = dict.fromkeys(tried, 0.0)
    lines = sorted(lines, key=len)
    for start in tqdm(range(0, len(lines), 64)):
        offsets, lengths = pad(lines[start : start + 64])
        x = model.normalise(offsets)
        raw = model(x[:-1])[0]
        real = torch.arange(1, len(x))[:, None] < lengths
        for words, floor in tried.items():
            log_prob = StrokeMixture(raw, floor=model.floors(floor)).log_prob(x[1:]).double()
            nats[words] -= torch.where(real, log_prob, 0).sum().item()
    return [{"floor": w, "raw_units": f, "nats_per_line": nats[w] / len(lines)} for w, f in tried.items()]


def store(path, figures):
    """Write figures to softattn/data for a page."""
    with atomic_write(ROOT / "softattn" / "data" / path) as beside:
        beside.write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures, indent=1))


def main():
    parser = options(__doc__, "handwriting")
    parser.add_argument("--points", type=float, default=math.inf, help="millions of points to stop at")
    parser.add_argument("--cool", type=float, help="millions of points in which the rate falls to 0")
    parser.add_argument("--score", action="store_true", help="score the weights that ship and print the figures")
    parser.add_argument("--floors", action="store_true", help="score them with three floors, and store the figures")
    parser.add_argument("--compare", nargs="+", metavar="CARD", help="cards (.json) to set side by side")
    parser.add_argument("--name", default="handwriting-layers", help="what --compare calls its table")
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--hidden", type=int, default=400)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--jitter", type=float, default=0.0, help="how far slant, width and height of lines vary")
    parser.add_argument("--rate", type=float, default=RATE)
    parser.add_argument("--out", type=Path, default=WEIGHTS / "handwriting.safetensors")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.compare:
        compare(args.compare, args.name)
        return
    val1, val1_report = load_iam(split="val1")
    print(str(val1_report).splitlines()[0])
    if args.score or args.floors:
        import softattn

        model = softattn.load(args.out.stem)
        if args.floors:
            source = {"source": "recipes/handwriting.py --floors", "split": "val1", "lines": len(val1)}
            store("handwriting-floors.json", {**source, "rows": floors(model, val1)})
            return
        print(json.dumps(report(model, val1, val1_report.faulty), indent=2))
        return
    lines = training_lines()
    mean, std = constants(lines)
    print(f"{len(lines)} lines, mean {mean}, std {std}")
    name = f"layers{args.layers}-hidden{args.hidden}-seed{args.seed}"
    stable, cooled = args.state / f"{name}.pt", args.state / f"{name}-cooled.pt"
    config = dict(hidden_size=args.hidden, num_layers=args.layers, mixtures=20, mean=mean, std=std)
    run = PredictorRun(HandwritingPredictor, config, args, lines, val1[::12])
    run.take_up_either(stable, cooled, "handwriting", args.cool)
    run.plan(args.points, args.cool)
    noise = [args.dropout, args.jitter, args.adaptive]
    if any(noise) and (not run.facts["noise"] or run.facts["noise"][-1][1:] != noise):
        run.facts["noise"].append([run.facts["points"], *noise])
    done = train(run, cooled if args.cool else stable, args.minutes, run.over, save_seconds=args.save_seconds)
    if args.cool and not done:
        return
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
        **run.begun(),
        "steps": facts["updates"],
        "points": facts["points"],
        "epochs": facts["points"] / sum(len(line) - 1 for line in lines),
        "minutes": round(facts["seconds"] / 60, 1),
        "machine": machine(args, run) + ", beside other work",
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

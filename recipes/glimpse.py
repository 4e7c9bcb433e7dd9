"""Train the reader of cluttered MNIST: softattn/weights/glimpse; and its rivals: softattn/data/glimpse-*.json.

    python -m recipes.glimpse                        train at a constant rate, look at the withheld digits every 1,000
                                                     updates; called again it goes on
    python -m recipes.glimpse --cool 20000           from that state, 20,000 updates with a rate that falls along half a
                                                     cosine; called again it goes on
    python -m recipes.glimpse --finish               choose on the withheld digits, score the test canvases once, write
                                                     weights and card
    python -m recipes.glimpse --score                score the weights that ship: the card's figures again
    python -m recipes.glimpse --baseline fully-connected --minutes 60    one of the paper's networks that read the whole
                                                     canvas (or convolutional), on the same canvases
    python -m recipes.glimpse --reinforce --minutes 3 --seeds 5          the small task of the page, with places that
                                                     are weighed and with places that are drawn, from each seed

    --bend 4                                         each training digit also in so many bent forms: turned, scaled,
                                                     sheared a little; what is withheld stays as it is

Data: SOFTATTN_DATA/mnist. Canvases are made on the way, without end, of the first 55,000 training digits; the other
5,000 are withheld to choose on; the test canvases, 100,000 of them from one seed, hold test digits among test scraps.
--reinforce needs no files: its digits are the embedded pen's. --minutes count wall time, --budget and the times in the
results that of the processor.
"""

import json
import math
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from recipes._run import ROOT, WEIGHTS, Run, commit, machine, options, train
from softattn.glimpse import GlimpseClassifier, calm, glimpse_nats, hard_nats, whole_reader
from softattn.hub import atomic_write, load, save_weights
from softattn.images import Images, cluttered, embedded_digits, load_mnist

CONFIG: dict[str, Any] = dict(image_shape=[1, 100, 100], glimpses=8, grid=12, hidden=256, classes=10)
WITHHELD, TEST = 20_000, 100_000  # canvases to choose on, and to score once
ELSEWHERE, LOOK = 10_000, 4_000  # canvases of other kinds; to look at on the way
LOOKS = 12  # that are scored: more than were trained
SMALL: dict[str, Any] = dict(image_shape=[1, 48, 48], glimpses=4, grid=8, hidden=64, classes=10)  # the page trains it
SCRAPS = 3
DATA = ROOT / "softattn" / "data"


class CanvasRun(Run):
    """A run over canvases that are made on the way; an epoch is so many updates."""

    OPTIMIZER = torch.optim.Adam
    KEEP, CLIP, BATCH, EPOCH, WARMUP = 0.9995, 5.0, 64, 1000, 500
    SETTINGS = {"lr": 1e-3, "betas": (0.9, 0.999), "fused": True}

    def __init__(self, kind, config, args, images, valid):
        super().__init__(kind, config, args)
        self.images, self.valid = images, valid

    def prepare(self):
        self.seeded()
        self.model.train()
        return self.EPOCH

    def falls(self):
        """What the rate has fallen to, as a share."""
        raise NotImplementedError

    def rate(self):
        warm = min(1.0, (self.facts["updates"] + 1) / self.WARMUP)
        return self.args.rate * warm * (0.01 + 0.99 * self.falls())

    def canvases(self):
        some = cluttered(self.images, self.BATCH, self.generator, CONFIG["image_shape"][-1])
        return some.canvases.to(self.device), some.labels[:, 0].to(self.device)

    def told(self, model, x):
        """Logits after each look, (T, B, K); one that looks once has T = 1."""
        raise NotImplementedError

    def step(self, k):
        x, labels = self.canvases()
        self.shake(self.args.noise, self.args.adaptive, self.EPOCH * self.BATCH**2)
        with self.low_products():
            told = self.told(self.model, x)
        self.update(glimpse_nats(told, labels).mean(), self.rate(), len(x))
        return F.cross_entropy(told[-1].float().detach(), labels).item()

    def look(self, mean):
        facts, model = self.facts, self.averaged()
        errors = score(lambda x: self.told(model, x), self.valid, LOOK, 1)["error"]
        facts["curve"].append([facts["updates"], mean, errors, facts["seconds"] / 60])
        shown = " ".join(f"{error:.2f}" for error in errors)
        return f"{facts['updates']:7d}  nats {mean:.4f}  error % {shown}  {facts['seconds'] / 60:.1f} min"


class GlimpseRun(CanvasRun):
    """The reader. The rate is constant until the run is cooled."""

    def __init__(self, config, args, images, valid):
        super().__init__(GlimpseClassifier, config, args, images, valid)
        self.model.aim.register_full_backward_pre_hook(calm)
        self.facts |= dict(cool_from=0, cool=0, bent=[])

    def start_from(self, name):
        """Begin with weights that ship, and keep what their card says of the training so far."""
        super().start_from(name)
        card: Any = load(name).card
        told = {key: card[key] for key in ("steps", "canvases", "minutes", "command")}
        self.facts["past"] = {**told, "rows": card["curve"]["rows"]}

    def bend(self, copies):
        """From here on show so many bent copies of each digit as well; as the state says if left out."""
        before = self.facts["bent"][-1][1] if self.facts["bent"] else 0
        copies = before if copies is None else copies
        if copies != before:
            self.facts["bent"] = [*self.facts["bent"], [self.facts["updates"], copies]]
        if copies:
            self.images = bent(self.images, copies)

    def falls(self):
        updates, begin, cool = (self.facts[name] for name in ("updates", "cool_from", "cool"))
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (updates - begin) / cool))) if cool else 1.0

    def told(self, model, x):
        return model(x).logits_by_glimpse

    def cool(self, updates):
        """From here on let the rate fall for so many updates, unless it falls already."""
        if updates and not self.facts["cool"]:
            self.facts |= dict(cool_from=self.facts["updates"], cool=updates)

    def over(self):
        facts = self.facts  # stopped at an epoch's last update, the epoch is still to be looked at
        return bool(facts["cool"]) and facts["updates"] >= facts["cool_from"] + facts["cool"] and not facts["place"]


class WholeRun(CanvasRun):
    """A network that reads the whole canvas; its rate falls over the minutes that it was given."""

    def __init__(self, kind, args, images, valid):
        super().__init__(whole_reader, dict(kind=kind, size=CONFIG["image_shape"][-1]), args, images, valid)
        self.facts |= dict(budget=args.budget)

    def falls(self):
        done = self.facts["seconds"] / (60 * self.facts["budget"])
        return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))

    def told(self, model, x):
        return model(x)[None]

    def over(self):
        return self.facts["seconds"] >= 60 * self.facts["budget"]


@torch.no_grad()
def score(told, images, n, seed, chunk=500, **how):
    """Errors in per cent after each look on n canvases, with their standard error.

    With two digits an answer is right when it names one of them.
    """
    generator, wrong, done = torch.Generator().manual_seed(seed), torch.zeros(()), 0
    how = {"size": CONFIG["image_shape"][-1], **how}
    while done < n:
        some = cluttered(images, min(chunk, n - done), generator, **how)
        answers = told(some.canvases).argmax(-1)  # (T, B)
        wrong = wrong + (answers[..., None] != some.labels).all(-1).sum(1)
        done += len(some.labels)
    shares = (wrong / n).tolist()
    return {
        "error": [round(100 * share, 3) for share in shares],
        "standard_error": [round(100 * math.sqrt(share * (1 - share) / n), 3) for share in shares],
        "canvases": n,
        "seed": seed,
    }


def reads(model, looks):
    """What `score` wants of a reader that looks so many times."""
    model.glimpses = looks
    return lambda x: model(x).logits_by_glimpse


@torch.no_grad()
def gaze(model, images, n=2000, seed=4):
    """Look by look, in pixels: the median box, and the median distance of its middle from the digit's."""
    some = cluttered(images, n, torch.Generator().manual_seed(seed), CONFIG["image_shape"][-1])
    boxes = torch.cat([model(x).boxes for x in some.canvases.split(500)], 1)  # (T, n, 4)
    off = (boxes[..., :2] - some.corners[:, 0] - 13.5).square().sum(-1).sqrt()
    side, off = (part.median(1).values.tolist() for part in (boxes[..., 2], off))
    return {"first": [round(v, 2) for v in boxes[0, 0].tolist()], "side": [round(v, 2) for v in side],
            "off": [round(v, 2) for v in off]}  # fmt: skip


def placed(model, small):
    """A reader whose parameters are another's, for canvases of 60 x 60; and one that sees them in the middle of 100."""
    other = GlimpseClassifier(**{**CONFIG, "image_shape": [1, small, small]})
    other.load_state_dict(model.state_dict())
    other.eval()
    edge = (CONFIG["image_shape"][-1] - small) // 2
    return other, lambda x: reads(model, CONFIG["glimpses"])(F.pad(x, [edge] * 4))


def elsewhere(model, images):
    """The same reader where it was not trained: smaller canvases, more scraps, two digits."""
    looks, n = CONFIG["glimpses"], ELSEWHERE
    other, padded = placed(model, 60)
    return {
        "60 x 60, the grid scaled with it": score(reads(other, looks), images, n, 11, size=60),
        "60 x 60, in the middle of 100 x 100": score(padded, images, n, 11, size=60),
        "the same with 3 distractors": score(padded, images, n, 11, size=60, distractors=3),
        "16 distractors": score(reads(model, looks), images, n, 12, distractors=16),
        "no distractors": score(reads(model, looks), images, n, 13, distractors=0),
        "two digits, one of them named": score(reads(model, looks), images, n, 14, digits=2),
    }


@torch.no_grad()
def stored_check(model):
    """A figure that a test computes again without any files: nats on canvases of the embedded digits."""
    size, generator = CONFIG["image_shape"][-1], torch.Generator().manual_seed(1_000_001)
    some = cluttered(embedded_digits(200, "test"), 100, generator, size)
    model.glimpses = CONFIG["glimpses"]
    nats = glimpse_nats(model(some.canvases).logits_by_glimpse, some.labels[:, 0]).mean().item()
    return {"digits": 200, "canvases": 100, "seed": 1_000_001, "nats": round(nats, 5)}


def mnist():
    """Training digits, withheld digits, test digits."""
    parts = [load_mnist(split) for split in ("train", "valid")]
    pixels, labels = (torch.cat([getattr(part, name) for part in parts]) for name in ("pixels", "labels"))
    both = Images(pixels, labels, "MNIST, training digits")
    return both[:55_000], both[55_000:], load_mnist("test")


def bent(images, copies, seed=7, turn=0.2, stretch=0.12, shear=0.2, chunk=5000):
    """The digits, and so many copies of each: turned (radians), stretched along each axis, sheared, at random."""
    generator, pixels = torch.Generator().manual_seed(seed), [images.pixels]
    for _ in range(copies):
        for part in images.pixels.split(chunk):
            chance = 2 * torch.rand(4, len(part), generator=generator) - 1
            angle, (sx, sy), lean = turn * chance[0], 1 + stretch * chance[1:3], shear * chance[3]
            cos, sin, none = angle.cos(), angle.sin(), torch.zeros(len(part))
            rows = [[cos / sx, (lean * cos - sin) / sx, none], [sin / sy, (lean * sin + cos) / sy, none]]
            theta = torch.stack([torch.stack(row, 1) for row in rows], 1)  # (n, 2, 3)
            grid = F.affine_grid(theta, list(part.shape), align_corners=False)
            pixels.append((F.grid_sample(part.float(), grid, align_corners=False) + 0.5).to(torch.uint8))
    return Images(torch.cat(pixels), images.labels.repeat(1 + copies), f"{images.source}, and bent")


def chosen(run):
    """Averaged or last weights, whichever read the withheld digits better; in bfloat16 if that costs nothing."""
    looks, rows = CONFIG["glimpses"], {}
    for name, weights in (("average", run.average), ("last", run.model.state_dict())):
        for dtype in (torch.float32, torch.bfloat16):
            model = run.averaged()
            model.load_state_dict({key: value.to(dtype).float() for key, value in weights.items()})
            found = score(reads(model, looks), run.valid, WITHHELD, 2)
            rows[name, dtype] = found["error"][-1], found, model
    name = min(("average", "last"), key=lambda one: rows[one, torch.float32][0])
    wide, half = rows[name, torch.float32], rows[name, torch.bfloat16]
    dtype = torch.bfloat16 if half[0] <= wide[0] + 0.02 else torch.float32
    return name, dtype, rows[name, dtype][2], rows[name, dtype][1], {
        f"{one}, {str(kind).removeprefix('torch.')}": row[0] for (one, kind), row in rows.items()
    }  # fmt: skip


def history(facts):
    """What a card says of the training: of this run, behind that of the weights it began with."""
    past = facts.get("past", dict(steps=0, canvases=0, minutes=0.0, command="", rows=[]))
    steps, minutes = past["steps"], past["minutes"]
    how = f" --rate {facts['rate']:g}" if "rate" in facts else ""
    how += f" --bend {facts['bent'][-1][1]}" if facts["bent"] else ""
    command = f"python -m recipes.glimpse{' --resume' * bool(past['command'])}{how}, --cool {facts['cool']}"
    first = past["command"].removesuffix(", then --finish")
    rows = [[a + steps, round(b, 4), [round(e, 2) for e in c], round(d + minutes, 2)] for a, b, c, d in facts["curve"]]
    return {
        "command": (f"{first}; then {command}" if first else command) + ", then --finish",
        "steps": steps + facts["updates"],
        "canvases": past["canvases"] + facts["points"],
        "minutes": round(minutes + facts["seconds"] / 60, 1),
        "cooled_from": steps + facts["cool_from"],
        "bent": {"columns": ["from update", "bent copies of each digit"],
                 "rows": [[steps + at, copies] for at, copies in facts["bent"]]},
        "curve": {
            "columns": ["updates", "nats", "error in per cent by look, 4,000 withheld canvases", "minutes"],
            "rows": past["rows"] + rows,
        },
    }  # fmt: skip


def finish(run, args, test_set):
    """Choose, score the test canvases once, write weights and card."""
    facts = run.facts
    name, dtype, model, valid, tried = chosen(run)
    test = score(reads(model, LOOKS), test_set, TEST, 3)
    looks = CONFIG["glimpses"]
    card = {
        "class": "softattn.glimpse.GlimpseClassifier",
        "config": run.config,
        "summary": f"reads a digit among scraps on 100 x 100 pixels in {looks} looks of 12 x 12",
        "data": "MNIST: canvases of the first 55,000 training digits, 5,000 withheld to choose on, 10,000 to test",
        "licence": "MIT",
        "non_commercial": False,
        "commit": commit(),
        **run.begun(),
        "machine": machine(args, run) + ", processor time, other work beside it",
        "seed": facts["seed"],
        "metric": {
            "name": f"error in per cent after {looks} looks",
            "value": test["error"][looks - 1],
            "split": f"test, {TEST:,} canvases of test digits among test scraps, scored once",
        },
        "paper": "differentiable RAM (DRAW's reader), 12 x 12: 8 looks 3.36 %, found; 4 looks 4.18 %, RAM with 8 looks "
        "8.11 %, two convolutional layers 14.35 %, recalled (Gregor et al. 2015, table 1)",
        "paper_table": {"reader, 8 looks": 3.36, "reader, 4 looks": 4.18, "RAM, 8 looks": 8.11, "convolutional": 14.35},
        "weights": {"kind": name, "withheld error by kind": tried},
        "valid": valid,
        "test": test,
        "elsewhere": elsewhere(model, test_set),
        "gaze": gaze(model, test_set),
        "check": stored_check(model),
        **history(facts),
    }  # fmt: skip
    written = save_weights(args.out, model.state_dict(), card, dtype=dtype)
    print(json.dumps({key: written[key] for key in ("metric", "test", "elsewhere", "bytes")}, indent=1))


def baseline(args, kind, images, valid, test_set):
    """Train a network that reads the whole canvas, score it once, write its row; whether it was over."""
    run = WholeRun(kind, args, images, valid)
    path = args.state / f"{kind.replace(' ', '-')}.pt"
    run.take_up(path)
    if not train(
        run, path, args.minutes, run.over, by_epoch=False, save_seconds=args.save_seconds, clock=time.process_time
    ):
        return False
    model = run.averaged()
    entry = {
        "parameters": sum(p.numel() for p in model.parameters()),
        "updates": run.facts["updates"],
        "minutes": round(run.facts["seconds"] / 60, 1),
        "test": score(lambda x: model(x)[None], test_set, TEST, 3),
        "curve": [[round(row[3], 2), round(row[2][0], 2)] for row in run.facts["curve"]],
        "command": f"python -m recipes.glimpse --baseline {kind.replace(' ', '-')} --budget {args.budget:g}",
        "commit": commit(),
        "machine": machine(args, run),
    }
    store("glimpse-baselines", kind, entry, "networks of the paper's table that read the whole canvas; "
          "curve: minutes of processor time, error in per cent on 4,000 withheld canvases")  # fmt: skip
    return True


def store(name, key, entry, what):
    """Put one entry into softattn/data/NAME.json."""
    path = DATA / f"{name}.json"
    table = json.loads(path.read_text("utf-8")) if path.exists() else {"what": what}
    table[key] = entry
    with atomic_write(path) as beside:
        beside.write_text(json.dumps(table, indent=1) + "\n", "utf-8")


def race(way, seed, minutes, digits, exam, every=100, batch=32, rate=4e-3):
    """Train the page's small reader one way; [minutes, error in per cent, width of the last box] every so often."""
    torch.manual_seed(seed)
    model = GlimpseClassifier(**SMALL)
    adam = torch.optim.Adam(model.parameters(), lr=rate)
    generator, usual, rows = torch.Generator().manual_seed(seed), math.log(10), []
    spent, step = 0.0, 0
    while True:
        if step % every == 0:
            with torch.no_grad():
                out = model(exam.canvases)
            error = (out.logits.argmax(1) != exam.labels[:, 0]).float().mean().item()
            rows.append([round(spent / 60, 3), round(100 * error, 2), round(out.boxes[-1, :, 2].median().item(), 2)])
            if spent >= 60 * minutes:
                return rows, step
        begin = time.process_time()
        some = cluttered(digits, batch, generator, exam.canvases.shape[-1], SCRAPS)
        x, labels = some.canvases, some.labels[:, 0]
        if way == "hard":
            loss, nats = hard_nats(model, x, labels, generator, usual)
            usual += 0.05 * (nats.mean().item() - usual)
        else:
            loss = glimpse_nats(model(x).logits_by_glimpse, labels).mean()
        adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        spent += time.process_time() - begin
        step += 1


def reinforce(args):
    """Race the two ways from each seed, and write the curves."""
    digits, unseen, runs = embedded_digits(1200), embedded_digits(400, "test"), []
    exam = cluttered(unseen, 500, torch.Generator().manual_seed(9), SMALL["image_shape"][-1], SCRAPS)
    for seed in range(args.seeds):
        for way in ("soft", "hard"):
            rows, steps = race(way, seed, args.minutes, digits, exam)
            runs.append({"way": way, "seed": seed, "steps": steps, "rows": rows})
            print(f"{way} seed {seed}: {steps} steps, error {rows[-1][1]:.1f} %", flush=True)
    table = {
        "what": "the page's small reader of embedded digits, with places weighed (soft) and drawn (hard), "
        "at equal minutes of processor time; every run is kept",
        "columns": ["minutes", "error in per cent, 500 canvases of other digits", "median side of the last box"],
        "config": SMALL,
        "minutes": args.minutes,
        "command": f"python -m recipes.glimpse --reinforce --minutes {args.minutes:g} --seeds {args.seeds}",
        "commit": commit(),
        "machine": machine(args),
        "runs": runs,
    }
    with atomic_write(DATA / "glimpse-reinforce.json") as beside:
        head = json.dumps({key: value for key, value in table.items() if key != "runs"}, indent=1)[:-2]
        body = ",\n  ".join(json.dumps(run) for run in runs)
        beside.write_text(f'{head},\n "runs": [\n  {body}\n ]\n}}\n', "utf-8")


def parse(argv=None):
    parser = options(__doc__, "glimpse/state")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--cool", type=int, default=0, help="updates with a falling rate, from the saved state")
    parser.add_argument(
        "--bend", type=int, help="bent copies of each training digit, as many as the state says if left out"
    )
    parser.add_argument("--glimpses", type=int, default=CONFIG["glimpses"])
    parser.add_argument("--name", help="of the state; g8 for eight glimpses")
    parser.add_argument(
        "--finish", action="store_true", help="choose, score the test canvases once, write weights, card"
    )
    parser.add_argument("--score", action="store_true", help="score the weights that ship on the test canvases")
    parser.add_argument("--baseline", choices=["fully-connected", "convolutional"], help="train one of these instead")
    parser.add_argument("--budget", type=float, help="--baseline: minutes of processor time in all; default: --minutes")
    parser.add_argument("--reinforce", action="store_true", help="race drawn places against weighed ones")
    parser.add_argument("--seeds", type=int, default=5, help="--reinforce: how many")
    parser.add_argument("--out", type=Path, default=WEIGHTS / "glimpse.safetensors")
    args = parser.parse_args(argv)
    args.name = args.name or f"g{args.glimpses}"
    args.budget = args.budget or args.minutes
    if (args.baseline or args.reinforce) and not math.isfinite(args.budget):
        parser.error("--baseline and --reinforce need --minutes")
    return args


def main(argv=None):
    args = parse(argv)
    torch.set_num_threads(args.threads)
    if args.reinforce:
        return reinforce(args)
    if args.score:
        return print(json.dumps(score(reads(load(args.out.stem), LOOKS), load_mnist("test"), TEST, 3), indent=1))
    images, valid, test_set = mnist()
    if args.baseline:
        return baseline(args, args.baseline.replace("-", " "), images, valid, test_set)
    run = GlimpseRun({**CONFIG, "glimpses": args.glimpses}, args, images, valid)
    path = args.state / f"{args.name}.pt"
    run.take_up(path, args.out.stem)
    if args.finish:
        return finish(run, args, test_set)
    run.cool(args.cool)
    run.bend(args.bend)
    run.facts["rate"] = args.rate
    return train(run, path, args.minutes, run.over, True, args.save_seconds, clock=time.process_time)


if __name__ == "__main__":
    main()

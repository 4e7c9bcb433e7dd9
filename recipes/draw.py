"""Train DRAW on the fixed binarisation of MNIST, with more and more steps, and write softattn/weights/draw-mnist.

    python -m recipes.draw                 train through the stages, save after each epoch; called again it goes on
    python -m recipes.draw --cool 20       from that state, 20 epochs with a learning rate that falls along half a
                                           cosine; called again it goes on
    python -m recipes.draw --finish        score the cooled run on valid and, once, on the test set; write weights, card
    python -m recipes.draw --score         score the weights that ship: the card's figures again
    python -m recipes.draw --no-attention  the control that reads and writes whole pictures, in the same stages; writes
                                           softattn/data/draw-whole.json

Data: SOFTATTN_DATA/binarized-mnist, 50,000 images to train on, 10,000 to choose on, the test set once, at the end.
No parameter belongs to a step, so a model trained with 16 steps goes on with 32: most of the learning is done where a
step of the optimizer is cheap. Choices that the paper does not name: the first canvas is learned and starts at the log
odds of the mean image (the bound then starts near 206 nats, not near 543), the first states are learned; the logarithms
of the attention are held between -5 and 5; the KL's weight rises from 0 to 1 over the first 500 steps; the weights are
averaged (EMA); products of the LSTMs in bfloat16 where that is faster (measured at the start).
"""

import json
import math
import time
from pathlib import Path
from typing import Any

import torch

from recipes import vae
from recipes._run import ROOT, WEIGHTS, commit, machine, options, train
from softattn.draw import DRAW
from softattn.hub import atomic_write, load, save_weights
from softattn.images import load_binarised
from softattn.vae import bernoulli_nats

BATCH, WARMUP, KL_STEPS, KEEP, CLIP = 128, 150, 500, 0.999, 10.0
RATES = {16: 1e-3, 32: 7e-4, 64: 5e-4}


class DrawRun(vae.ImageRun):
    """A run in stages: no weight belongs to a step, so that the number of steps may change on the way."""

    KIND, KEEP, CLIP, BATCH, KL_STEPS = DRAW, KEEP, CLIP, BATCH, KL_STEPS
    SETTINGS = {"lr": 1e-3, "betas": (0.9, 0.99), "fused": True}

    def __init__(self, config, args, images, valid):
        super().__init__(self.KIND, config, args, images)
        self.valid, self.plan, self.cool = valid, args.stages, 0
        with torch.no_grad():
            self.model.canvas.copy_(torch.logit((images.pixels.float().mean(0) / 255).clamp(0.01, 0.99)))
        self.average_anew()
        self.facts |= dict(stages=args.stages, since=0, first=0, cooled=0, by_steps=[])

    def start_from(self, name):
        """Begin with weights that ship, and keep what their card says of the training so far."""
        super().start_from(name)
        card: Any = load(name).card
        told = {key: card[key] for key in ("steps", "epochs", "minutes", "command")}
        self.facts["past"] = {**told, "T": card["config"]["steps"], "rows": card["curve"]["rows"]}
        self.facts["by_steps"] = card.get("by_steps", [])[:-1]

    def done(self):
        """Epochs since the plan began."""
        return self.facts["epoch"] - self.facts["first"]

    def over(self):
        return stage_of(self.plan, self.done())[0] is None

    def prepare(self):
        """Set the steps of this epoch's stage, and warm up anew where one begins."""
        steps, first = stage_of(self.plan, self.done())
        if self.done() == first and not self.facts["place"]:
            self.facts["since"] = 0
        self.model.steps = steps
        return super().prepare()

    def rate(self):
        """A short warm-up at each switch; when cooling, half a cosine down to a hundredth."""
        warm = min(1.0, (self.facts["since"] + 1) / WARMUP)
        done = (self.done() + self.facts["place"] / self.batches()) / max(1, self.cool)
        falls = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)) if self.cool else 1.0
        return RATES.get(self.model.steps, 1e-3) * warm * falls

    def updated(self, norm):
        super().updated(norm)
        self.facts["since"] += 1

    def look(self, mean):
        facts, steps = self.facts, self.model.steps
        model = self.averaged()
        model.steps = steps
        seen = vae.score(model, self.valid[:2000], 1)
        facts["curve"].append([facts["epoch"], steps, mean, seen["nats_per_image"], seen["kl"], facts["seconds"] / 60])
        if stage_of(self.plan, self.done())[0] != steps:  # the stage is over
            others = [row for row in facts["by_steps"] if row[0] != steps]
            facts["by_steps"] = [*others, [steps, vae.score(model, self.valid, 1)["nats_per_image"]]]
        norm, self.norms = sum(self.norms) / max(1, len(self.norms)), []
        return (
            f"epoch {facts['epoch']:3d}  T {steps}  train {mean:7.2f}  valid {seen['nats_per_image']:7.2f}  "
            f"KL {seen['kl']:6.2f}  norm {norm:.1f}  {facts['seconds'] / 60:.1f} min of processor time"
        )


def history(facts):
    """Epochs, updates, minutes and the curve of a run and of those before it; and the past without its curve."""
    past = facts.get("past", dict(steps=0, epochs=0, minutes=0.0, rows=[]))
    epochs, minutes = past["epochs"], past["minutes"]
    rows = [[row[0] + epochs, *row[1:5], row[5] + minutes] for row in facts["curve"]]
    before = {key: value for key, value in past.items() if key != "rows"} if past["rows"] else None
    return {
        "steps": facts["updates"] + past["steps"],
        "epochs": facts["epoch"] + epochs,
        "minutes": round(facts["seconds"] / 60 + minutes, 1),
        **({"before": before} if before else {}),
    }, past["rows"] + rows  # fmt: skip


def take_up(run, path, ships):
    """Take up a run or, where it is to be cooled or finished, its cooling; where its state goes from here on."""
    args, cooled = run.args, path.with_name(path.stem + "-cooled.pt")
    if (args.cool or args.finish) and cooled.exists():
        run.load(cooled)
        print(f"cooling taken up after epoch {run.facts['epoch']}", flush=True)
    else:
        run.take_up(path, ships)
        if args.cool:
            run.facts.update(cooled=args.cool, since=0, first=run.facts["epoch"])
    return cooled if args.cool else path


def plan(run, steps):
    """What is trained now: the stages or, with so many steps, the cooling."""
    if run.args.cool:
        run.cool, run.plan = run.args.cool, [[steps, run.args.cool]]
    else:
        run.facts["stages"] = run.args.stages


def config_of(args):
    """The model's arguments as the card keeps them."""
    sizes = dict(image_shape=[1, 28, 28], steps=64, hidden=256, latent=100, read_size=2, write_size=5)
    return {**sizes, "attention": args.attention}


def stages(text):
    """16:60,32:25 as [[16, 60], [32, 25]]: steps and epochs of each stage."""
    return [[int(n) for n in part.split(":")] for part in text.split(",")]


def stage_of(plan, epoch):
    """Steps of the stage that this epoch belongs to, and its first epoch."""
    first = 0
    for steps, epochs in plan:
        if epoch < first + epochs:
            return steps, first
        first += epochs
    return None, first


@torch.no_grad()
def by_step(model, images):
    """What each step adds: the bound if the model stops after t steps, and the KL of step t; one draw, nats."""
    generator = torch.Generator().manual_seed(5)
    stopped = kls = torch.zeros(())
    for i in range(0, len(images), 200):
        x = images.floats(slice(i, i + 200))
        out = model(x, generator, keep=True)
        nll = torch.stack([bernoulli_nats(canvas, x) for canvas in out.canvases])
        stopped = stopped + (nll + out.kl.cumsum(0)).sum(1)
        kls = kls + out.kl.sum(1)
    return [[round(v, 3) for v in (total / len(images)).tolist()] for total in (stopped, kls)]


@torch.no_grad()
def nearest(model, train, test, n=64):
    """Hamming distances in pixels to the nearest training digit: of samples, coins tossed, and of test digits."""
    generator = torch.Generator().manual_seed(6)
    samples = torch.bernoulli(model.generate(n, generator), generator=generator)
    rows = train.floats().flatten(1)

    def distances(x):
        x = x.flatten(1)
        return [int(d) for d in (x.sum(1)[:, None] + rows.sum(1) - 2 * x @ rows.T).min(1).values.tolist()]

    return {"samples": distances(samples), "test": distances(test[:n].floats())}


def finish(run, args):
    """Score, on the test set only when the run was cooled, and write weights and card."""
    facts, steps = run.facts, run.facts["curve"][-1][1]
    model = run.averaged()
    model.load_state_dict(
        {k: v.to(torch.bfloat16).float() for k, v in model.state_dict().items()}
    )  # as they are stored
    model.steps = steps
    valid_set = load_binarised("valid")
    valid, test = vae.score(model, valid_set, 1), None
    if facts["cooled"]:
        test = vae.score(model, load_binarised("test"))
        test["importance"] = {
            "draws": 25,
            "nats_per_image": vae.importance(model, load_binarised("test"), 25).mean().item(),
        }
    stopped, kl_by_step = by_step(model, valid_set[:2000])
    shown, (told_past, rows) = test or valid, history(facts)
    card = {
        "class": "softattn.draw.DRAW",
        "config": {**run.config, "steps": steps},
        "summary": f"digits in {steps} steps, {'with' if args.attention else 'without'} attention, "
        "trained on the fixed binarisation of MNIST",
        "data": "MNIST, fixed binarisation (Larochelle): 50,000 to train, 10,000 to choose, 10,000 to test",
        "licence": "MIT",
        "non_commercial": False,
        "command": (facts["past"]["command"] + "; then " if "past" in facts else "")
        + "python -m recipes.draw"
        + " --resume" * ("past" in facts)
        + " --stages "
        + ",".join(f"{t}:{n}" for t, n in facts["stages"])
        + (f", --cool {facts['cooled']}" if facts["cooled"] else "")
        + ", then --finish"
        + ("" if args.attention else ", all with --no-attention")
        + (f", --adaptive {args.adaptive:g}" if args.adaptive else ""),
        "commit": commit(),
        **run.begun(),
        **told_past,
        "machine": machine(args, run) + ", processor time, other work beside it",
        "seed": facts["seed"],
        "metric": {
            "name": "bound in nats per image, " + ("mean of 10 noise draws" if test else "one noise draw"),
            "value": shown["nats_per_image"],
            "split": "test, all 10,000, scored once" + ", as were the weights before" * ("past" in facts)
            if test
            else "valid, all 10,000",
        },
        "paper": "DRAW <= 80.97 nats, without attention <= 87.40, recalled (Gregor et al. 2015)",
        "valid": valid,
        **({"test": test} if test else {}),
        "stopped": stopped,
        "kl_by_step": kl_by_step,
        "by_steps": [[t, nats] for t, nats in facts["by_steps"] if t != steps] + [[steps, valid["nats_per_image"]]],
        "nearest": nearest(model, load_binarised("train"), load_binarised("test")),
        "curve": {
            "columns": ["epoch", "T", "train, nats", "valid (2,000), nats", "valid, KL", "minutes"],
            "rows": rows,
        },
    }
    written = save_weights(args.out, model.state_dict(), card, dtype=torch.bfloat16)
    print(json.dumps({"valid": valid, "test": test, "bytes": written["bytes"]}, indent=2))


def compare(run):
    """Write the curve of a run without attention beside that of the weights that ship, as far as both went alike."""
    card = json.loads((WEIGHTS / "draw-mnist.json").read_text())
    ours, rows = {row[0]: row for row in card["curve"]["rows"]}, []
    for epoch, steps, _, nats, *_ in run.facts["curve"]:
        if ours[epoch][1] != steps:
            break
        rows.append([epoch, steps, round(ours[epoch][3], 3), round(nats, 3)])
    entry = {
        "what": "DRAW with and without attention after the same epochs, rates and seed, T steps; no cooling",
        "columns": ["epoch", "T", "with attention", "without"],
        "unit": "bound in nats per image, 2,000 images of valid, one noise draw, averaged weights",
        "command": "python -m recipes.draw --no-attention --stages "
        + ",".join(f"{t}:{n}" for t, n in run.facts["stages"]),
        "rows": rows,
    }
    with atomic_write(ROOT / "softattn" / "data" / "draw-whole.json") as beside:
        beside.write_text(json.dumps(entry, indent=1) + "\n")


def main():
    parser = options(__doc__, "draw")
    parser.add_argument("--stages", type=stages, default=stages("16:60,32:25,64:40"), help="steps:epochs of each stage")
    parser.add_argument("--no-attention", dest="attention", action="store_false")
    parser.add_argument("--cool-steps", type=int, default=64, help="T while cooling")
    parser.add_argument("--cool", type=int, default=0, help="epochs with a falling learning rate, from the saved state")
    parser.add_argument("--finish", action="store_true", help="score, write weights and card from the saved state")
    parser.add_argument("--score", action="store_true", help="score the weights that ship on the test set")
    parser.add_argument("--out", type=Path, default=WEIGHTS / "draw-mnist.safetensors")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.score:
        import softattn

        print(json.dumps(vae.score(softattn.load(args.out.stem), load_binarised("test")), indent=2))
        return
    train_set, valid = load_binarised("train"), load_binarised("valid")
    path = args.state / f"{'attention' if args.attention else 'whole'}-seed{args.seed}.pt"
    run = DrawRun(config_of(args), args, train_set, valid)
    path = take_up(run, path, args.out.stem)
    if args.finish:
        finish(run, args)
        return
    plan(run, args.cool_steps)
    train(run, path, args.minutes, run.over, by_epoch=True, save_seconds=args.save_seconds, clock=time.process_time)
    if not args.attention:
        compare(run)


if __name__ == "__main__":
    main()

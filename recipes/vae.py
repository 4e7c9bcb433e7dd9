"""Train the one-shot VAE on the fixed binarisation of MNIST: the baseline that DRAW has to beat.

    python -m recipes.vae                  20 epochs, state saved after each; killed and called again it goes on
    python -m recipes.vae --finish         from the state: choose on valid, score the test set, write weights and card
    python -m recipes.vae --map            train the small map of two latent numbers on the embedded pen's digits
    python -m recipes.vae --score          score the weights that ship: the card's figures again

Data: SOFTATTN_DATA/binarized-mnist, 50,000 images to train on, 10,000 to choose on, the test set once, at the end.
Choices that a plain VAE does not name: the decoder's last bias starts at the log odds of the mean image (the bound then
starts near 206 nats, not near 543); the KL's weight rises from 0 to 1 over the first two epochs; the learning rate
falls along half a cosine; the weights are averaged (EMA); products in bfloat16.
"""

import argparse
import json
import math
import platform
import subprocess
import time
from pathlib import Path

import torch

from softattn.hub import atomic_write, save_weights
from softattn.images import binarise, embedded_digits, load_binarised
from softattn.training import fit
from softattn.vae import VAE

ROOT = Path(__file__).resolve().parent.parent
RATE, BATCH, WARMUP, KL_STEPS, KEEP = 2e-3, 200, 150, 500, 0.997


class Run:
    """A training run, saved after each epoch and taken up again exactly."""

    def __init__(self, args, mean_image):
        torch.manual_seed(args.seed)
        self.config = dict(latent=args.latent, hidden=args.hidden, layers=2, dropout=args.dropout)
        self.model = VAE(**self.config).to(args.device)
        with torch.no_grad():
            self.model.decoder[-1].bias.copy_(torch.logit(mean_image.clamp(0.01, 0.99)).flatten())
        self.average = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=RATE, betas=(0.9, 0.99), fused=True)
        self.facts = dict(epochs=args.epochs, epoch=0, steps=0, seconds=0.0, curve=[], seed=args.seed)

    def save(self, path):
        with atomic_write(path) as beside:
            torch.save(
                dict(model=self.model.state_dict(), average=self.average, optimizer=self.optimizer.state_dict(),
                     facts=self.facts, config=self.config, random=torch.get_rng_state()), beside,
            )  # fmt: skip

    def load(self, path):
        saved = torch.load(path, weights_only=True)
        if saved["config"] != self.config or saved["facts"].get("epochs") != self.facts.get("epochs"):
            raise SystemExit(f"{path} is of another run, {saved['config']}; name another --state")
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.average, self.facts = saved["average"], saved["facts"]
        torch.set_rng_state(saved["random"])

    def averaged(self):
        """The model with the averaged weights, for scoring."""
        model = type(self.model)(**self.config)
        model.load_state_dict(self.average)
        return model.eval()

    def epoch(self, images, bf16):
        """One pass over the images, in an order that only seed and epoch decide; the mean bound on the way."""
        facts, total = self.facts, 0.0
        generator = torch.Generator().manual_seed(1_000_003 * facts["seed"] + facts["epoch"])
        order = torch.randperm(len(images), generator=generator)
        per_epoch = len(images) // BATCH
        self.model.train()
        for k in range(per_epoch):
            x = images.floats(order[k * BATCH : (k + 1) * BATCH]).to(self.average["encoder.0.weight"].device)
            done = facts["steps"] / (facts["epochs"] * per_epoch)
            rate = RATE * min(1, (facts["steps"] + 1) / WARMUP) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            with torch.autocast(x.device.type, torch.bfloat16, enabled=bf16):
                out = self.model(x, generator)
            weight = min(1.0, (facts["steps"] + 1) / KL_STEPS)
            loss = (out.nll_bound - (1 - weight) * out.kl).mean()
            if not loss.isfinite():
                raise SystemExit(f"the loss is {loss.item()} at step {facts['steps']}")
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 100.0)
            self.optimizer.step()
            facts["steps"] += 1
            total += out.nll_bound.mean().item()
            keep = min(KEEP, (1 + facts["steps"]) / (10 + facts["steps"]))
            with torch.no_grad():
                for name, value in self.model.state_dict().items():
                    self.average[name].lerp_(value, 1 - keep)
        facts["epoch"] += 1
        return total / per_epoch


@torch.no_grad()
def bounds(model, images, seeds, chunk=1000):
    """The bound of each image for each seed of the noise: nats (seeds, N), and its KL part."""
    rows = []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        outs = [model(images.floats(slice(i, i + chunk)), generator) for i in range(0, len(images), chunk)]
        rows.append(
            torch.stack(
                [
                    torch.cat([o.nll_bound for o in outs]),
                    torch.cat([o.kl.reshape(-1, len(o.nll_bound)).sum(0) for o in outs]),
                ]
            )
        )
    return torch.stack(rows).unbind(1)


def score(model, images, draws=10):
    """The bound of the set: the mean over noise draws with its standard error, and the parts."""
    nats, kl = bounds(model, images, range(100, 100 + draws))
    means = nats.mean(1)
    return {
        "nats_per_image": means.mean().item(),
        "standard_error_of_the_noise": (means.std() / math.sqrt(draws)).item() if draws > 1 else 0.0,
        "standard_error_of_the_images": (nats.mean(0).std() / math.sqrt(nats.shape[1])).item(),
        "kl": kl.mean().item(),
        "draws": draws,
        "images": nats.shape[1],
    }


def importance(model, images, k, chunk=500):
    """The tighter estimate from k draws an image, reported beside the bound and never instead of it."""
    generator = torch.Generator().manual_seed(7)
    parts = [
        model.importance_nats(images.floats(slice(i, i + chunk)), k, generator) for i in range(0, len(images), chunk)
    ]
    return torch.cat(parts).mean().item()


def commit():
    """The commit that the command ran at."""
    out = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return out.stdout.strip() or "unknown"


def finish(run, args):
    """Score once and write weights and card."""
    model = run.averaged()
    half = {k: v.to(torch.bfloat16).float() for k, v in model.state_dict().items()}
    model.load_state_dict(half)  # the weights as they are stored
    valid = score(model, load_binarised("valid"), 1)
    test_set = load_binarised("test")
    test = score(model, test_set)
    test["importance"] = {"draws": 25, "nats_per_image": importance(model, test_set, 25)}
    facts = run.facts
    card = {
        "class": "softattn.vae.VAE",
        "config": run.config,
        "summary": f"digits in one shot, {args.latent} latent numbers, trained on the fixed binarisation of MNIST",
        "data": "MNIST, fixed binarisation (Larochelle): 50,000 to train, 10,000 to choose, 10,000 to test",
        "licence": "MIT",
        "non_commercial": False,
        "command": f"python -m recipes.vae --epochs {facts['epochs']} --latent {args.latent} --hidden {args.hidden} "
        f"--dropout {args.dropout:g} --seed {facts['seed']}, then --finish",
        "commit": commit(),
        "steps": facts["steps"],
        "epochs": facts["epoch"],
        "minutes": round(facts["seconds"] / 60, 1),
        "machine": f"{platform.machine()}, {args.threads} thread, {args.device}, "
        + ("float32" if args.float32 else "bfloat16 products")
        + ", processor seconds",
        "seed": facts["seed"],
        "metric": {
            "name": "bound in nats per image, mean of 10 noise draws",
            "value": test["nats_per_image"],
            "split": "test, all 10,000, scored once",
        },
        "paper": "none for this net; DRAW <= 80.97 nats, without attention <= 87.40, recalled (Gregor et al. 2015)",
        "valid": valid,
        "test": test,
        "curve": {"columns": ["epoch", "train, nats", "valid, nats", "valid, KL", "minutes"], "rows": facts["curve"]},
    }
    written = save_weights(args.out, model.state_dict(), card, dtype=torch.bfloat16)
    print(json.dumps({"valid": valid, "test": test, "bytes": written["bytes"]}, indent=2))


def train_map(args):
    """Two latent numbers, one small hidden layer: small enough to run in a page. Digits are drawn, so is every coin."""
    start = time.process_time()
    torch.manual_seed(args.seed)
    digits, held_out = embedded_digits(4000), embedded_digits(1000, "test")
    config = dict(latent=2, hidden=48, layers=1)
    model = VAE(**config)

    def batches(generator):
        return binarise(digits.batch(100, generator), generator)

    steps = 4000
    fit(
        model,
        batches,
        lambda net, x: net(x).nll_bound.mean(),
        torch.optim.Adam(model.parameters(), lr=4e-3),
        steps=steps,
        clip=None,
        schedule=lambda step: 0.5 * (1 + math.cos(math.pi * step / steps)),
        generator=torch.Generator().manual_seed(args.seed),
    )
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        nats = model.eval()(binarise(held_out.floats(), generator), generator).nll_bound.mean().item()
    card = {
        "class": "softattn.vae.VAE",
        "config": config,
        "summary": "a map of digits: two latent numbers, trained on the embedded pen",
        "data": "4,000 digits drawn by the embedded pen writer, coins tossed anew for each batch",
        "licence": "MIT",
        "non_commercial": False,
        "command": f"python -m recipes.vae --map --seed {args.seed}",
        "commit": commit(),
        "steps": steps,
        "minutes": round((time.process_time() - start) / 60, 2),
        "machine": f"{platform.machine()}, {args.threads} thread, cpu, float32, processor time",
        "seed": args.seed,
        "metric": {
            "name": "bound in nats per image, one draw",
            "value": nats,
            "split": "1,000 drawn digits of other hands",
        },
        "paper": "none: these digits are ours",
    }
    written = save_weights(args.out.with_name("vae-map.safetensors"), model.state_dict(), card, dtype=torch.bfloat16)
    print(f"vae-map: {nats:.1f} nats, {written['bytes']} bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after the epoch that passes this wall time")
    parser.add_argument("--finish", action="store_true", help="score, write weights and card from the saved state")
    parser.add_argument("--map", action="store_true", help="train the small map instead")
    parser.add_argument("--score", action="store_true", help="score the weights that ship on the test set")
    parser.add_argument("--latent", type=int, default=50)
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--float32", action="store_true", help="no bfloat16 products")
    parser.add_argument("--state", type=Path, default=Path.home() / "softattn-runs" / "vae")
    parser.add_argument("--out", type=Path, default=ROOT / "softattn" / "weights" / "vae-mnist.safetensors")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.score:
        import softattn

        print(json.dumps(score(softattn.load(args.out.stem), load_binarised("test")), indent=2))
        return
    if args.map:
        train_map(args)
        return
    train, valid = load_binarised("train"), load_binarised("valid")
    args.state.mkdir(parents=True, exist_ok=True)
    path = (
        args.state
        / f"latent{args.latent}-hidden{args.hidden}-dropout{args.dropout:g}-epochs{args.epochs}-seed{args.seed}.pt"
    )
    run = Run(args, train.pixels.float().mean(0) / 255)
    if path.exists():
        run.load(path)
        print(f"taken up after epoch {run.facts['epoch']}")
    if args.finish:
        finish(run, args)
        return
    begin = time.monotonic()
    while run.facts["epoch"] < args.epochs and time.monotonic() - begin < 60 * args.minutes:
        start = time.process_time()
        nats = run.epoch(train, not args.float32)
        run.facts["seconds"] += time.process_time() - start
        seen = score(run.averaged(), valid, 1)
        facts = run.facts
        facts["curve"].append([facts["epoch"], nats, seen["nats_per_image"], seen["kl"], facts["seconds"] / 60])
        run.save(path)
        print(
            f"epoch {facts['epoch']:3d}  train {nats:7.2f}  valid {seen['nats_per_image']:7.2f}  KL {seen['kl']:6.2f}  "
            f"{facts['seconds'] / 60:.1f} min of processor time",
            flush=True,
        )


if __name__ == "__main__":
    main()

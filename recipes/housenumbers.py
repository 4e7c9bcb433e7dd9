"""Train DRAW in colour on house numbers (SVHN), with more and more steps, and write softattn/weights/draw-svhn.

    python -m recipes.housenumbers                 train through the stages, state saved on the way; it goes on
    python -m recipes.housenumbers --cool 40       from that state, 40 epochs with a rate that falls along half a cosine
    python -m recipes.housenumbers --finish        write weights and card; a cooled run is scored, once, on the held-out
    python -m recipes.housenumbers --score         score the weights that ship: the card's figures again
    python -m recipes.housenumbers --no-attention  the control that reads and writes whole pictures
    python -m recipes.housenumbers --vae           the control that paints in one shot
    python -m recipes.housenumbers --embedded      a small one on numbers that the book paints: draw-house-free, MIT
    python -m recipes.housenumbers --bytes --cool 20    cool the saved state under a discretised logistic in place of
                                                   coins, for as long; --finish keeps its figures, no weights
    python -m recipes.housenumbers --prior         ask whether a recurrent prior tells the codes of numbers better
    python -m recipes.housenumbers --look          samples of the state as PICTURE.png beside it, for the eye
    options: --spend MINUTES of processor time, then stop: what controls are compared at

Data: SOFTATTN_DATA/svhn/svhn64.npz, house numbers cut out as 64 x 64: 2,000 of SVHN's train and 4,176 of its test
beyond the first 1,000; every tenth of the latter is kept to choose on, and 500 of test, the first, are held out: scored
once, at the end. Training sees windows of 54 x 54 at random places, brighter and darker; what is scored is the middle.

The bound of pixels between 0 and 1 has a floor, their entropy, that belongs to the pictures and not to the model: all
nats here are the EXCESS over it. Choices that the paper does not name: as in recipes/draw.py; 12 x 12 filters, LSTMs of
400 (800 there); the first canvas starts at the log odds of the mean picture.
"""

import io
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recipes import draw, vae
from recipes._run import ROOT, WEIGHTS, commit, machine, options, train
from softattn.draw import DRAW
from softattn.housenumbers import bits_per_dimension, fitted_log_scale, logistic_nats, pixel_entropy
from softattn.hub import atomic_write, load, save_weights
from softattn.images import Images
from softattn.svhn import embedded_house_numbers, windows
from softattn.vae import VAE

SIDE, CHUNK = 54, 100
SHAPE = (3, SIDE, SIDE)


# -- Data --------------------------------------------------------------------------------------------------------------


def read_crops() -> tuple[Tensor, Tensor, list[str]]:
    """Pixels (N, 3, 64, 64), uint8; parts (N,): 0 train, 1 held out, 2 more; and what the numbers say."""
    from PIL import Image

    with np.load(Path(os.environ["SOFTATTN_DATA"]) / "svhn" / "svhn64.npz") as packed:
        part, png, at, said = packed["split"], packed["png"].tobytes(), packed["png_off"], packed["digits"]
    crops = [np.asarray(Image.open(io.BytesIO(png[a:b])).convert("RGB")) for a, b in zip(at[:-1], at[1:], strict=True)]
    pixels = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).contiguous()
    return pixels, torch.from_numpy(part.astype(np.int64)), [str(text) for text in said]


class Street(Images):
    """House numbers to train on: windows at random places, brighter and darker. `pixels` are the middles."""

    whole: Tensor

    @classmethod
    def of(cls, pixels: Tensor, source: str) -> "Street":
        street = cls(windows(pixels, SIDE), None, source)
        object.__setattr__(street, "whole", pixels)
        return street

    def jittered(self, index: Tensor, generator: torch.Generator) -> Tensor:
        """Some of them as training sees them, floats (n, 3, SIDE, SIDE)."""
        cut = windows(self.whole[index], SIDE, generator).float() / 255
        contrast, shift = torch.rand(2, len(cut), 1, 1, 1, generator=generator)
        mean = cut.mean((1, 2, 3), keepdim=True)
        return ((cut - mean) * (0.8 + 0.4 * contrast) + mean + 0.2 * shift - 0.1).clamp(0, 1)


def read_street(embedded: bool) -> tuple[Street, Images, Images]:
    """What to train on, to choose on, and what is held out."""
    if embedded:
        pairs = ((4000, "train"), (400, "valid"), (500, "test"))
        parts = [embedded_house_numbers(*pair) for pair in pairs]
        valid, held_out = (Images(windows(part.pixels, SIDE), None, part.source) for part in parts[1:])
        return Street.of(parts[0].pixels, parts[0].source), valid, held_out
    pixels, part, _ = read_crops()
    choose = torch.zeros(len(part), dtype=torch.bool)
    choose[torch.arange(len(part))[part == 2][::10]] = True
    train_set = Street.of(pixels[(part != 1) & ~choose], "SVHN, to train on")
    valid, held_out = (windows(pixels[chosen], SIDE) for chosen in (choose, part == 1))
    return train_set, Images(valid, None, "SVHN, to choose on"), Images(held_out, None, "SVHN, held out")


# -- Runs --------------------------------------------------------------------------------------------------------------


class OnTheStreet:
    """What both kinds of run do with house numbers; nats are the excess over the pixels' entropy."""

    def batch(self, index):
        x = self.images.jittered(index, self.generator)  # pyright: ignore[reportAttributeAccessIssue]
        self.floor_of_batch = pixel_entropy(x).mean().item()
        return x

    def step(self, k):
        return super().step(k) - self.floor_of_batch  # pyright: ignore[reportAttributeAccessIssue]

    def look(self, mean):
        facts, model = self.facts, self.averaged()  # pyright: ignore[reportAttributeAccessIssue]
        steps = getattr(self.model, "steps", 1)  # pyright: ignore[reportAttributeAccessIssue]
        if isinstance(model, DRAW):
            model.steps = steps
        seen = scored(model, self.valid, 1)  # pyright: ignore[reportAttributeAccessIssue]
        minutes = facts["seconds"] / 60
        facts["curve"].append([facts["epoch"], steps, mean, seen["excess"], seen["kl"], minutes])
        norm, self.norms = sum(self.norms) / max(1, len(self.norms)), []
        return (
            f"{time.strftime('%H:%M')} epoch {facts['epoch']:3d}  T {steps}  excess: train {mean:7.2f}  "
            f"chosen {seen['excess']:7.2f}  KL {seen['kl']:6.2f}  norm {norm:.1f}  {minutes:.1f} min of processor time"
        )


BEFORE = {"chosen, excess": "chosen", "held out, excess": "held_out"}  # what a card keeps of the weights it began with


class HouseRun(OnTheStreet, draw.DrawRun):
    """DRAW in colour, in stages."""

    KEEP, KL_STEPS, BATCH = 0.998, 500, 32

    def start_from(self, name):
        """Begin with weights that ship, and keep what their card says of the training so far and of where it led."""
        super().start_from(name)
        card: Any = load(name).card
        self.facts["past"] |= {key: card[part]["excess"] for key, part in BEFORE.items() if part in card}

    def rate(self):
        return self.args.rate * super().rate()


class PricedDRAW(DRAW):
    """A DRAW whose pixels are bytes: logistics around its means, with one width for each channel."""

    def __init__(self, **config):
        super().__init__(**config)
        self.log_scale = torch.nn.Parameter(torch.full((self.image_shape[0], 1, 1), -2.5))

    def nats(self, out, x):
        """The bound (B,) for bytes divided by 255."""
        return logistic_nats(torch.sigmoid(out.logits.float()), self.log_scale, x) + out.kl.sum(0)


class ByteRun(HouseRun):
    """DRAW in colour that pays for bytes, begun from a state that paid for coins; what is shown are bits a number."""

    KIND = PricedDRAW

    def load(self, path):
        """Take up a state of this kind, or one of coins: then averages and moments begin anew."""
        saved = torch.load(path, map_location=self.device, weights_only=True)
        if "log_scale" in saved["model"]:
            super().load(path)
            return
        coins = HouseRun(self.config, self.args, self.images, self.valid)
        coins.load(path)
        self.model.load_state_dict({**coins.average, "log_scale": self.model.log_scale.detach()})
        self.average_anew()
        self.facts = {**coins.facts, "curve": [], "products": []}

    def step(self, k):
        index = self.order[k * self.BATCH : (k + 1) * self.BATCH]
        x = (255 * self.images.jittered(index[self.rows(self.BATCH)], self.generator)).round() / 255
        self.shake(self.args.noise, self.args.adaptive, self.batches() * self.BATCH**2)
        with self.low_products():
            out = self.model(x, self.generator)
        nats = self.model.nats(out, x)
        self.update(nats.mean(), self.rate(), len(x))
        return bits_per_dimension(nats.mean().detach(), SHAPE).item()

    def look(self, mean):
        facts, model = self.facts, self.averaged()
        model.steps = self.model.steps
        seen, minutes = priced(model, self.valid), facts["seconds"] / 60
        facts["curve"].append([facts["epoch"], model.steps, mean, seen["bits_per_dimension"], seen["kl"], minutes])
        self.norms = []
        return (
            f"{time.strftime('%H:%M')} epoch {facts['epoch']:3d}  bits: train {mean:.3f}  "
            f"chosen {seen['bits_per_dimension']:.3f}  KL {seen['kl']:.1f}  {minutes:.1f} min of processor time"
        )


class OneShotRun(OnTheStreet, vae.ImageRun):
    """The VAE, at one rate."""

    KEEP, KL_STEPS, BATCH, CLIP = 0.998, 500, 32, 100.0

    def __init__(self, config, args, images, valid):
        super().__init__(VAE, config, args, images)
        self.valid = valid
        with torch.no_grad():
            mean = images.pixels.float().mean(0) / 255
            self.model.decoder[-1].bias.copy_(torch.logit(mean.clamp(0.01, 0.99)).flatten())
        self.average_anew()

    def rate(self):
        return 1e-3 * min(1, (self.facts["updates"] + 1) / vae.WARMUP)


def configs(args):
    """The class and its arguments as the card keeps them."""
    if args.vae:
        return OneShotRun, dict(image_shape=list(SHAPE), latent=100, hidden=512, layers=2)
    small = dict(steps=16, hidden=256, latent=50) if args.embedded else dict(steps=32, hidden=400, latent=100)
    config = {"image_shape": list(SHAPE), **small, "read_size": 12, "write_size": 12, "attention": args.attention}
    return ByteRun if args.bytes else HouseRun, config


# -- Figures -----------------------------------------------------------------------------------------------------------


def scored(model, images, draws=10):
    """The bound's excess over the pixels' entropy, nats an image: mean over noise draws, and standard errors."""
    floor = pixel_entropy(images.floats())
    nats, kl = vae.bounds(model, images, range(100, 100 + draws), CHUNK)
    excess = nats - floor
    return {
        "excess": excess.mean().item(),
        "standard_error_of_the_images": (excess.mean(0).std() / len(images) ** 0.5).item(),
        "standard_error_of_the_noise": (excess.mean(1).std() / draws**0.5).item() if draws > 1 else 0.0,
        "floor": floor.mean().item(),
        "kl": kl.mean().item(),
        "draws": draws,
        "images": len(images),
    }


@torch.no_grad()
def told(model, images, seed=11):
    """Means (N, 3, H, W) that the decoder tells, and the KL (N,); one noise draw."""
    generator, means, kls = torch.Generator().manual_seed(seed), [], []
    for i in range(0, len(images), CHUNK):
        out = model(images.floats(slice(i, i + CHUNK)), generator)
        means.append(torch.sigmoid(out.logits))
        kls.append(out.kl.reshape(-1, len(out.nll_bound)).sum(0))
    return torch.cat(means), torch.cat(kls)


def bits(model, train_set, images):
    """Bits per number with one logistic width a channel, fitted to 500 numbers of the training set."""
    log_scale = fitted_log_scale(told(model, train_set[:500])[0], train_set[:500].floats())
    means, kl = told(model, images)
    with torch.no_grad():
        nats = logistic_nats(means, log_scale, images.floats()) + kl
        blind = model.canvas if isinstance(model, DRAW) else model.decoder[-1].bias.unflatten(0, model.image_shape)
        mean = torch.sigmoid(blind).expand_as(means)
    alone = logistic_nats(mean, fitted_log_scale(mean[:500], train_set[:500].floats()[: len(mean)]), images.floats())
    return {
        "bits_per_dimension": bits_per_dimension(nats, model.image_shape).mean().item(),
        "of_the_mean_picture": bits_per_dimension(alone.detach(), model.image_shape).mean().item(),
        "widths_of_255": (255 * log_scale.exp()).flatten().tolist(),
    }


@torch.no_grad()
def priced(model, images, seed=11):
    """Bits per number of a DRAW that was trained to pay for bytes; one noise draw."""
    generator, nats, kl = torch.Generator().manual_seed(seed), [], []
    for i in range(0, len(images), CHUNK):
        x = images.floats(slice(i, i + CHUNK))
        out = model(x, generator)
        nats.append(model.nats(out, x))
        kl.append(out.kl.sum(0))
    return {
        "bits_per_dimension": bits_per_dimension(torch.cat(nats), SHAPE).mean().item(),
        "kl": torch.cat(kl).mean().item(),
        "widths_of_255": (255 * model.log_scale.exp()).flatten().tolist(),
    }


class Remembers(torch.nn.Module):
    """A prior over DRAW's codes in place of independent normal numbers: each step is told from those before it."""

    def __init__(self, latent, hidden=256):
        super().__init__()
        self.first = torch.nn.Parameter(torch.zeros(1, 1, latent))
        self.lstm, self.said = torch.nn.LSTM(latent, hidden), torch.nn.Linear(hidden, 2 * latent)
        torch.nn.init.zeros_(self.said.weight)  # it begins as the prior that DRAW was trained with
        torch.nn.init.zeros_(self.said.bias)

    def kl(self, mu, log_sigma, z):
        """What the posteriors cost under it, all (T, B, Z): nats (B,)."""
        before = torch.cat([self.first.expand(1, z.shape[1], -1), z[:-1]])
        mean, log_width = self.said(self.lstm(before)[0]).chunk(2, 2)
        off = ((mu - mean).square() + (2 * log_sigma).exp()) * torch.exp(-2 * log_width)
        return (log_width - log_sigma + off / 2 - 0.5).sum((0, 2))


@torch.no_grad()
def codes(model, pictures, generator):
    """Posteriors of pictures (N, C, H, W) and one draw from each: mu, log sigma, z, all (T, N, Z)."""
    outs = [model(part, generator) for part in pictures.split(CHUNK)]
    return [torch.cat([getattr(out, name) for out in outs], 1) for name in ("mu", "log_sigma", "z")]


def ask_prior(model, train_set, valid, seed=0, passes=3, updates=1200, batch=128):
    """Train a recurrent prior on the codes of the training numbers; curves of what codes cost under it, in nats."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    every = torch.arange(len(train_set))
    parts = [codes(model, train_set.jittered(every, generator), generator) for _ in range(passes)]
    bank = [torch.cat(kind, 1) for kind in zip(*parts, strict=True)]
    sample = [kind[:, :: passes * 4] for kind in bank]
    unseen = codes(model, valid.floats(), generator)
    prior, rows = Remembers(model.latent), []
    adam = torch.optim.Adam(prior.parameters(), lr=1e-3)
    for update in range(updates + 1):
        if update % 100 == 0:
            with torch.no_grad():
                rows.append([update, *(round(prior.kl(*part).mean().item(), 2) for part in (sample, unseen))])
        chosen = torch.randint(bank[0].shape[1], (batch,), generator=generator)
        loss = prior.kl(*(kind[:, chosen] for kind in bank)).mean()
        adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(prior.parameters(), 5.0)
        adam.step()
    return rows


@torch.no_grad()
def nearest(model, train_set, images, n=64):
    """Root mean square distance, in grey levels, to the nearest training crop.

    Of samples; of numbers that training did not see; and of these as the model repaints them, as blurred as samples.
    """
    samples, others = model.generate(n, torch.Generator().manual_seed(6)), images.floats(slice(n))
    rows = train_set.pixels.flatten(1)
    found, where = {}, None
    for name, x in (("samples", samples), ("others", others), ("repainted", told(model, images[:n])[0])):
        x = x.flatten(1)
        exact: Any = dict(compute_mode="donot_use_mm_for_euclid_dist")
        far = [torch.cdist(x, part.float() / 255, **exact) for part in rows.split(500)]
        least, place = torch.cat(far, 1).min(1)
        found[name] = [round(255 * d / rows.shape[1] ** 0.5, 2) for d in least.tolist()]
        where = place if where is None else where
    return found, samples, where


def picture(path, rows):
    """Pictures (n, 3, H, W) in rows of 16, as a PNG file."""
    from PIL import Image

    rows = torch.nn.functional.pad(rows, (1, 1, 1, 1), value=1.0)
    n, C, H, W = rows.shape
    sheet = rows.view(n // 16, 16, C, H, W).permute(0, 3, 1, 4, 2).reshape(n // 16 * H, 16 * W, C)
    Image.fromarray((255 * sheet.clamp(0, 1)).byte().numpy()).resize((16 * W * 2, n // 16 * H * 2), 0).save(path)


@torch.no_grad()
def look(run, path):
    """Samples, and numbers to choose on with what the model makes of them."""
    model = run.averaged()
    if isinstance(model, DRAW):
        model.steps = run.facts["curve"][-1][1] if run.facts["curve"] else run.model.steps
    some = run.valid[:16].floats()
    made = torch.sigmoid(model(some, torch.Generator().manual_seed(1)).logits)
    picture(path.with_suffix(".png"), torch.cat([model.generate(64, torch.Generator().manual_seed(2)), some, made]))
    print(path.with_suffix(".png"))


def finish(run, args, train_set, held_out, path):
    """Score, on the held-out numbers only when the run was cooled, and write weights and card."""
    facts = run.facts
    model = run.averaged()
    model.load_state_dict({k: v.to(torch.bfloat16).float() for k, v in model.state_dict().items()})
    steps = model.steps = facts["curve"][-1][1]
    valid = {**scored(model, run.valid, 1), **bits(model, train_set, run.valid)}
    last = {**scored(model, held_out), **bits(model, train_set, held_out)} if facts["cooled"] else None
    near, samples, where = nearest(model, train_set, held_out if facts["cooled"] else run.valid)
    shown, (told_past, rows) = last or valid, draw.history(facts)
    ours = "house numbers that the book paints: 4,000 to train, 400 to choose, 500 held out"
    theirs = "SVHN (Netzer et al. 2011), whole numbers: 5,758 to train, 418 to choose, 500 held out"
    card = {
        "class": "softattn.draw.DRAW",
        "config": {**run.config, "steps": steps},
        "summary": f"house numbers in colour in {steps} steps, {'painted by the book' if args.embedded else 'SVHN'}",
        "data": ours if args.embedded else theirs,
        "licence": "MIT" if args.embedded else "trained on SVHN, for non-commercial research",
        "non_commercial": not args.embedded,
        "command": "python -m recipes.housenumbers" + " --embedded" * args.embedded + " --resume" * ("past" in facts)
        + f" --rate {args.rate:g}" * (args.rate != 1) + " --stages "
        + ",".join(f"{t}:{n}" for t, n in facts["stages"])
        + (f", --cool {facts['cooled']}" if facts["cooled"] else "") + ", then --finish",
        "commit": commit(),
        **run.begun(),
        **told_past,
        "machine": machine(args, run) + ", processor time, other work beside it",
        "seed": facts["seed"],
        "metric": {
            "name": "bound less the pixels' entropy, nats per image, "
            + ("mean of 10 noise draws" if last else "one noise draw"),
            "value": shown["excess"],
            "split": "500 held out, scored once" if last else f"{len(run.valid)} to choose on; held-out not scored yet",
        },
        "paper": "Gregor et al. 2015, section 4.4: no figure is given, only samples",
        "chosen": valid,
        **({"held_out": last} if last else {}),
        "missing": [] if last else ["cooling", "the held-out numbers"],
        "nearest": near,
        "curve": {
            "columns": ["epoch", "T", "train, excess", "chosen, excess", "chosen, KL", "minutes"],
            "rows": rows,
        },
    }  # fmt: skip
    written = save_weights(args.out, model.state_dict(), card, dtype=torch.bfloat16)
    both = torch.stack([samples[:16], train_set.floats(where[:16])]).flatten(0, 1)
    picture(path.with_name(path.stem + "-nearest.png"), both)
    print(json.dumps({"chosen": valid, "held_out": last, "bytes": written["bytes"]}, indent=2))


def keep(name, entry):
    """Write a table for the page."""
    with atomic_write(ROOT / "softattn" / "data" / f"{name}.json") as beside:
        beside.write_text(json.dumps(entry, indent=1) + "\n")


def keep_bytes(run, args, held_out):
    """Keep the figures of a run that paid for bytes beside those of the card of coins."""
    facts, model = run.facts, run.averaged()
    model.steps = facts["curve"][-1][1]
    keep("house-bytes", {
        "what": "DRAW trained on the bytes of house numbers under discretised logistics, from the state and for the "
        "epochs that the weights of coins were cooled",
        "weights": args.out.stem,
        "held_out": priced(model, held_out),
        "columns": ["epoch", "T", "train, bits a number", "chosen, bits a number", "chosen, KL in nats", "minutes"],
        "rows": [[round(v, 3) for v in row] for row in facts["curve"]],
        "command": f"python -m recipes.housenumbers{' --embedded' * args.embedded} --bytes --cool {facts['cooled']}, "
        "then --finish",
        "commit": commit(),
        "machine": machine(args, run),
    })  # fmt: skip


def compare(run, args, held_out):
    """Keep a control's curve, and its excess on the held-out numbers, for the page."""
    path = ROOT / "softattn" / "data" / "house-controls.json"
    table = json.loads(path.read_text("utf-8")) if path.exists() else {}
    name = "one shot" if args.vae else "whole pictures"
    facts = run.facts
    staged = "" if args.vae else "--stages " + ",".join(f"{t}:{n}" for t, n in facts["stages"]) + " "
    table[name] = {
        "what": f"{name}, the same pictures; excess over the pixels' entropy, nats an image",
        "columns": ["epoch", "T", "train", "chosen", "chosen, KL", "minutes of processor time"],
        "rows": [[round(v, 2) for v in row] for row in facts["curve"]],
        "parameters": sum(p.numel() for p in run.model.parameters()),
        "command": f"python -m recipes.housenumbers {'--vae' if args.vae else '--no-attention'} {staged}"
        f"--spend {facts['seconds'] / 60:.0f}, then --finish",
        "minutes": round(facts["seconds"] / 60, 1),
    }
    keep(path.stem, table)


def main():
    parser = options(__doc__, "housenumbers")
    parser.add_argument("--stages", type=draw.stages, default=None, help="steps:epochs of each stage")
    parser.add_argument("--no-attention", dest="attention", action="store_false")
    parser.add_argument("--vae", action="store_true", help="the control in one shot")
    parser.add_argument("--embedded", action="store_true", help="numbers that the book paints, a smaller net")
    parser.add_argument("--bytes", action="store_true", help="pay for bytes, by discretised logistics, not for coins")
    parser.add_argument("--prior", action="store_true", help="train a recurrent prior on the codes that ship say")
    parser.add_argument("--rate", type=float, default=1.0, help="times the rates of recipes/draw.py")
    parser.add_argument("--spend", type=float, default=float("inf"), help="minutes of processor time in all")
    parser.add_argument("--cool-steps", type=int, default=None, help="T while cooling; the last stage's if left away")
    parser.add_argument("--cool", type=int, default=0, help="epochs with a falling rate, from the saved state")
    parser.add_argument("--finish", action="store_true", help="score, write weights and card from the saved state")
    parser.add_argument("--score", action="store_true", help="score the weights that ship")
    parser.add_argument("--look", action="store_true", help="samples of the state as a picture")
    parser.add_argument("--out", type=Path, default=None)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.stages = args.stages or draw.stages("8:60,16:60" if args.embedded else "8:60,16:60,32:400")
    args.out = args.out or WEIGHTS / f"{'draw-house-free' if args.embedded else 'draw-svhn'}.safetensors"
    train_set, valid, held_out = read_street(args.embedded)
    if args.score:
        import softattn

        model = softattn.load(args.out.stem)
        print(json.dumps({"chosen": scored(model, valid, 1), "held_out": scored(model, held_out)}, indent=2))
        return
    if args.prior:
        import softattn

        model = softattn.load(args.out.stem)
        keep("house-prior", {
            "what": "cost of DRAW's codes under a recurrent prior that is trained on those of the training numbers",
            "weights": args.out.stem,
            "columns": ["update", "training numbers, nats", "numbers to choose on, nats"],
            "rows": ask_prior(model, train_set, valid),
            "command": "python -m recipes.housenumbers --prior" + " --embedded" * args.embedded,
            "commit": commit(),
            "machine": machine(args),
        })  # fmt: skip
        return
    kind, config = configs(args)
    name = "vae" if args.vae else "attention" if args.attention else "whole"
    path = args.state / f"{'embedded-' * args.embedded}{name}-seed{args.seed}.pt"
    cooled = path.with_name(path.stem + "-bytes" * args.bytes + "-cooled.pt")
    run: Any = kind(config, args, train_set, valid)
    if (args.cool or args.finish or args.look) and cooled.exists():
        run.load(cooled)
        print(f"cooling taken up after epoch {run.facts['epoch']}", flush=True)
    else:
        run.take_up(path, None if args.vae or not args.attention else args.out.stem)
        if args.cool:
            run.facts.update(cooled=args.cool, since=0, first=run.facts["epoch"])
    if args.look:
        look(run, path)
        return
    if args.bytes and not args.cool and not (args.finish and cooled.exists()):
        raise SystemExit("--bytes goes on from the state of coins: with --cool EPOCHS; --finish after it")
    if args.finish and args.bytes:
        keep_bytes(run, args, held_out)
        return
    if args.finish:
        if args.vae or not args.attention:
            compare(run, args, held_out)
        else:
            finish(run, args, train_set, held_out, path)
        return
    if args.cool:
        curve, stages = run.facts["curve"], run.facts["stages"]  # one that changed its price has no curve yet
        steps = args.cool_steps or (curve[-1][1] if curve else stages[-1][0])
        path, run.cool, run.plan = cooled, args.cool, [[steps, args.cool]]
    elif not args.vae:
        run.facts["stages"] = args.stages
    print(f"{len(train_set)} to train on, {len(valid)} to choose on", flush=True)

    def over():
        return run.facts["seconds"] >= 60 * args.spend or (not args.vae and run.over())

    train(run, path, args.minutes, over, by_epoch=True, save_seconds=args.save_seconds, clock=time.process_time)


if __name__ == "__main__":
    main()

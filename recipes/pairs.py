"""Train DRAW on pictures of two digits, 60 x 60, and ask in which order it draws them: softattn/weights/draw-pairs.

    python -m recipes.pairs                train through the stages, state saved on the way; called again it goes on
    python -m recipes.pairs --cool 10      from that state, 10 epochs with a rate that falls along half a cosine
    python -m recipes.pairs --finish       score the cooled run, once, on pairs of test digits; write weights and card
    python -m recipes.pairs --score        score the weights that ship: the card's figures again

Data: SOFTATTN_DATA/mnist. Pictures are made on the way, without end, of the first 55,000 training digits: two at
random places, which may overlap, and a coin for each pixel. Pairs of the other 5,000 are to choose on, pairs of test
digits are held out. Choices that the paper (section 4.3) does not name: as in recipes/draw.py; grids of 5 x 5, LSTMs of
256, 50 latent numbers, an epoch of 250 updates.
"""

import json
import time
from pathlib import Path

import torch

from recipes import draw, vae
from recipes._run import WEIGHTS, commit, machine, options, train
from recipes.glimpse import mnist
from softattn.housenumbers import one_then_other
from softattn.hub import load, save_weights
from softattn.images import Images, binarise, cluttered

SIDE, APART = 60, 28  # of a picture; how far apart digits are whose order is asked
CONFIG = dict(image_shape=[1, SIDE, SIDE], steps=32, hidden=256, latent=50, read_size=5, write_size=5)


def pairs(images, n, generator):
    """Pictures with two digits each, 0 or 1, and the digits' middles (n, 2, 2), x before y."""
    some = cluttered(images, n, generator, SIDE, distractors=0, digits=2)
    return binarise(some.canvases, generator), some.corners + (images.pixels.shape[-1] - 1) / 2


class PairRun(draw.DrawRun):
    """DRAW in stages on pictures that are made on the way."""

    BATCH, EPOCH, KL_STEPS = 64, 250, 500

    def __init__(self, args, source, valid):
        super().__init__(CONFIG, args, fixed(source, 2000, 20)[0], valid)
        self.source = source

    def batches(self):
        return self.EPOCH

    def prepare(self):
        super().prepare()
        self.order = torch.arange(self.EPOCH * self.BATCH)  # so many; which ones, `batch` leaves to chance
        return self.EPOCH

    def batch(self, index):
        return pairs(self.source, len(index), self.generator)[0]


def fixed(images, n, seed):
    """So many pictures of one seed as a set, and the middles of their digits."""
    pictures, middles = pairs(images, n, torch.Generator().manual_seed(seed))
    return Images((255 * pictures).to(torch.uint8), None, f"{images.source}, in pairs"), middles


@torch.no_grad()
def order(model, images, middles, chunk=250):
    """Whether one digit is drawn, then the other: the purest split in time of what is written, and of its looks.

    Pairs whose middles lie near each other are left out; chance is the same steps in a shuffled order.
    """
    apart = ((middles[:, 0] - middles[:, 1]).norm(dim=-1) >= APART).nonzero()[:, 0]
    generator, rows = torch.Generator().manual_seed(9), []
    for chosen in apart.split(chunk):
        out = model(images.floats(chosen), generator, keep=True)
        ink = torch.sigmoid(torch.cat([model.canvas.expand(1, len(chosen), -1, -1, -1), out.canvases]))
        moved, same = ink.diff(dim=0).abs().flatten(2).sum(2), torch.ones(len(out.canvases), len(chosen))
        mixed = torch.rand(moved.shape, generator=generator).argsort(0)
        found = []
        for boxes, weight in ((out.write_boxes, moved), (out.read_boxes, same)):
            places = boxes[..., :2]
            shuffled = places.gather(0, mixed[..., None].expand_as(places)), weight.gather(0, mixed)
            found += [one_then_other(places, weight, middles[chosen]), one_then_other(*shuffled, middles[chosen])]
        rows.append(torch.stack(found, 1))
    table = torch.cat(rows)
    names = ("written", "written, shuffled", "looked", "looked, shuffled")
    return {
        "pairs": len(table), "apart": APART,
        **{name: round(value, 4) for name, value in zip(names, table.mean(0).tolist(), strict=True)},
        "standard_error": round((table[:, 0].std() / len(table) ** 0.5).item(), 4),
    }  # fmt: skip


def finish(run, args, test_set):
    """Score the held-out pairs, and write weights and card."""
    facts = run.facts
    if not facts["cooled"]:
        raise SystemExit("the run was not cooled yet: --cool 10 first")
    model = run.averaged()
    model.load_state_dict({k: v.to(torch.bfloat16).float() for k, v in model.state_dict().items()})
    model.steps = facts["curve"][-1][1]
    images, middles = fixed(test_set, 2000, 22)
    test = vae.score(model, images)
    card = {
        "class": "softattn.draw.DRAW",
        "config": {**run.config, "steps": model.steps},
        "summary": f"two digits on 60 x 60 in {model.steps} steps, with attention",
        "data": "MNIST: pairs of the first 55,000 training digits at random places, 5,000 to choose on, pairs of test "
        "digits held out; a coin for each pixel",
        "licence": "MIT",
        "non_commercial": False,
        "command": "python -m recipes.pairs --stages " + ",".join(f"{t}:{n}" for t, n in facts["stages"])
        + f", --cool {facts['cooled']}, then --finish",
        "commit": commit(),
        **run.begun(),
        "steps": facts["updates"],
        "minutes": round(facts["seconds"] / 60, 1),
        "machine": machine(args, run) + ", processor time, other work beside it",
        "seed": facts["seed"],
        "metric": {
            "name": "bound in nats per image, mean of 10 noise draws",
            "value": test["nats_per_image"],
            "split": "2,000 pairs of test digits, scored once",
        },
        "paper": "Gregor et al. 2015, section 4.3: no figure is given; mostly one digit is drawn, then the other",
        "test": test,
        "order": order(model, images, middles),
        "curve": {
            "columns": ["epoch of 250 updates", "T", "train, nats", "chosen (2,000), nats", "chosen, KL", "minutes"],
            "rows": facts["curve"],
        },
    }  # fmt: skip
    written = save_weights(args.out, model.state_dict(), card, dtype=torch.bfloat16)
    print(json.dumps({key: written[key] for key in ("test", "order", "bytes")}, indent=1))


def main():
    parser = options(__doc__, "pairs")
    parser.add_argument("--stages", type=draw.stages, default=draw.stages("16:12,32:12"), help="steps:epochs of each")
    parser.add_argument("--cool", type=int, default=0, help="epochs with a falling rate, from the saved state")
    parser.add_argument("--finish", action="store_true", help="score, write weights and card from the saved state")
    parser.add_argument("--score", action="store_true", help="score the weights that ship")
    parser.add_argument("--out", type=Path, default=WEIGHTS / "draw-pairs.safetensors")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    train_set, valid, test_set = mnist()
    if args.score:
        images, middles = fixed(test_set, 2000, 22)
        model = load(args.out.stem)
        print(json.dumps({"test": vae.score(model, images), "order": order(model, images, middles)}, indent=1))
        return
    run = PairRun(args, train_set, fixed(valid, 2000, 21)[0])
    path = draw.take_up(run, args.state / f"seed{args.seed}.pt", args.out.stem)
    if args.finish:
        finish(run, args, test_set)
        return
    draw.plan(run, run.facts["curve"][-1][1] if args.cool else None)
    train(run, path, args.minutes, run.over, by_epoch=True, save_seconds=args.save_seconds, clock=time.process_time)


if __name__ == "__main__":
    main()

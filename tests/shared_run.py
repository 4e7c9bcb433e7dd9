"""A small training run for tests/test_processes.py: alone, or in several processes under torchrun.

    PYTHONPATH=. torchrun --standalone --nproc_per_node 2 tests/shared_run.py FOLDER jobs.json

`jobs.json` lists jobs {name, kind, updates, state, options...}; each process writes FOLDER/NAME-INDEX.json with what it
saw: the losses, the state's checksum, the random numbers that the weights were shaken by.
"""

import argparse
import json
import math
import os
import sys
import time
from pathlib import Path

import torch

from recipes import _run, handwriting, synthesis, vae
from recipes._processes import share_gradients
from softattn.images import embedded_digits
from softattn.training import fit

OPTIONS = dict(
    seed=1, device="cpu", products="float32", noise=0.0, adaptive=0.0, dropout=0.0, jitter=0.0, rate=2e-3, resume=False,
    hint=0.0, height=0.0, sharp=0.0, embedded=2, epochs=99, shares=None, threads=1,
    pieces=0, drafts=0, runs=0, whole=0, stop=0.0, misses=0, away=1.0, lines=None, letters=0, warmup=300,
)  # fmt: skip
SCALE = dict(mean=[8.0, 0.0], std=[40.0, 30.0])


def options(**more):
    return argparse.Namespace(**{**OPTIONS, **more})


def predictor(args):
    handwriting.ROWS = 4
    lines = synthesis.embedded_lines(12, 5)
    config = dict(hidden_size=6, num_layers=2, mixtures=2, **SCALE)
    run = handwriting.PredictorRun(handwriting.HandwritingPredictor, config, args, lines, lines[:1])
    run.plan(math.inf, None)
    return run


def synthesizer(args):
    synthesis.ROWS, synthesis.CHUNK = 4, 40
    lines = synthesis.embedded_lines(12, 5)
    config = dict(hidden_size=6, num_layers=2, components=2, mixtures=2, **SCALE)
    run = synthesis.SynthesisRun(config, args, lines, lines[:1], lines[:1])
    run.plan(math.inf, None)
    return run


def auto_encoder(args):
    vae.ImageRun.BATCH, vae.ImageRun.KL_STEPS = 8, 3
    images = embedded_digits(40)
    return vae.VAERun(dict(latent=2, hidden=8, layers=1, dropout=args.dropout), args, images, images)


KINDS = {"predictor": predictor, "synthesizer": synthesizer, "auto_encoder": auto_encoder}


def checksum(tensors):
    """Bits of all of them: equal on two processes if, and (in practice) only if, they are."""
    return [hash(tuple(t.detach().flatten().tolist())) for t in tensors]


def work(name, kind, updates, state, pause=0.0, save_seconds=1e9, **more):
    """Train until so many updates; what this process saw of it."""
    run = KINDS[kind](options(**more))
    run.take_up(Path(state))
    losses, noises, advance, shake = [], [], run.advance, run.shake

    def advanced(k):
        time.sleep(pause)
        losses.append(advance(k))
        return losses[-1]

    def shaken(*given):
        before = [p.clone() for p in run.model.parameters()]
        shake(*given)
        noises.append(checksum(p - q for p, q in zip(run.model.parameters(), before, strict=True)))

    run.advance, run.shake, run.processes.dismiss = advanced, shaken, lambda: None
    over = lambda: run.facts["updates"] >= updates
    assert _run.train(run, Path(state), over=over, save_seconds=save_seconds)
    return {
        "losses": losses,
        "noises": noises,
        "weights": [p.flatten().tolist() for p in run.model.parameters()],
        "bits": checksum([*run.model.parameters(), *run.average.values()]),
        "facts": {k: run.facts[k] for k in ("updates", "points", "epoch", "place", "shares", "sums", "curve")},
    }


def fitted(updates, state=None):
    """`softattn.training.fit` on the rows of this process; its losses and the weights."""
    who = _run.processes()
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Tanh(), torch.nn.Linear(7, 3))
    share_gradients(model, who)

    def rows(generator):
        x = torch.randn(8, 5, generator=generator)
        return x[who.index :: who.number]

    def loss(model, x):
        return (model(x) - x[:, :3].sin()).square().mean()

    adam = torch.optim.Adam(model.parameters(), 0.02)
    losses = fit(model, rows, loss, adam, steps=updates, clip=0.5, progress=False)
    return {"losses": losses, "weights": [p.flatten().tolist() for p in model.parameters()]}


def main():
    folder, jobs = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())
    index = os.environ["RANK"]
    (folder / f"pid-{index}").write_text(str(os.getpid()))
    for job in jobs:
        (folder / f"{job['name']}-{index}.json").write_text(json.dumps(work(**job)))
    (folder / f"fit-{index}.json").write_text(json.dumps(fitted(20)))
    done = _run.processes()
    type(done).dismiss(done)


if __name__ == "__main__":
    main()

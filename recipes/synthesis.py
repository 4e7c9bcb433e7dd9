"""Train the handwriting synthesizer of Graves (2013), section 5, on IAM-OnDB and the embedded writer.

    python -m recipes.synthesis --minutes 90                  train with a constant rate; state saved, resumable
    python -m recipes.synthesis --cool 12                     from that state: 12 million points in which the rate
                                                              falls to 0; score val1, write weights and card
    python -m recipes.synthesis --free --hidden 160 ...       on the embedded writer alone: `synthesis-free`
    python -m recipes.synthesis --score                       score the weights that ship: the card's figures again

Data: Graves' protocol as in recipes/handwriting.py (train, val2 and what is there of test; val1 for every number), less
the lines whose strokes or text are faulty, and in each epoch new lines of the embedded writer, for letters that
the corpus lacks. It starts from the weights `handwriting`: the same network, without a window; `--scratch` starts from
chance. Hints for the window: `--hint` tells it its place in lines of the embedded writer, who knows it; `--height`
holds the sum of phi near 1; `--sharp` asks it to look at one character at a time. Against learning by heart:
`--dropout` between the layers, `--jitter` of the hands, `--noise` on the weights, `--adaptive` noise on each weight as
far as the data allow. Otherwise as recipes/handwriting.py, with which it shares the rate, the average and the chunks.
"""

import argparse
import json
import math
import platform
import string
import time
from pathlib import Path

import numpy as np
import torch

import softattn
from recipes.handwriting import RATE, ROOT, ROWS, SAVE_SECONDS, WARMUP, Run, commit, jittered, report
from softattn.handwriting import ROUNDING, line_stream
from softattn.hub import save_weights
from softattn.iam import load_iam
from softattn.mixture import StrokeMixture
from softattn.pen import PRINTABLE, EmbeddedWriter, embedded_text
from softattn.synthesis import HandwritingSynthesizer, encode_texts
from softattn.window import alignment_share

CHUNK = 160
EMBEDDED = 1400  # lines of the embedded writer per epoch beside IAM-OnDB: one point in seven
CLASSES = (string.ascii_uppercase, string.digits, string.punctuation, PRINTABLE.strip(), string.ascii_letters)


def corpus_lines():
    """Graves' training data: train, val2 and what is there of test; without faulty lines and illegible words (#)."""
    lines = []
    for split in ("train", "val2", "test"):
        part, told = load_iam(split=split, clean=True)
        print(str(told).splitlines()[0])
        lines += [line for line in part if "#" not in line.text]
    return lines


def rare_text(rng):
    """Words of characters that English seldom uses, among a few of English."""
    words = []
    while sum(map(len, words)) + len(words) < 26:
        kind = CLASSES[rng.integers(len(CLASSES))]
        words.append("".join(rng.choice(list(kind), rng.integers(1, 7))))
    rng.shuffle(words)
    return " ".join(words)[: int(rng.integers(8, 32))].strip() or "Q"


def embedded_lines(count, seed):
    """Lines of the embedded writer, each in a hand of its own; two in five hold rare characters."""
    lines = []
    for i in range(count):
        rng = np.random.default_rng([seed, i])
        text = rare_text(rng) if i % 5 < 2 else embedded_text(rng)
        lines.append(EmbeddedWriter(rng).write(text))
    return lines


def true_places(which, lines):
    """The character that each target of a stream belongs to, shape (T, B); -1 where only the corpus' writer knew."""
    steps, rows = which.shape
    order = which.t().reshape(-1).unique_consecutive().tolist()
    unknown = torch.full((max(map(len, lines)),), -1)
    known = [unknown[: len(lines[i])] if lines[i].char_index is None else lines[i].char_index for i in order]
    return torch.cat([index[1:] for index in known])[: steps * rows].view(rows, steps).t()


class SynthesisRun(Run):
    """The run of recipes/handwriting.py, with a text beside the points and hints for the window."""

    def __init__(self, config, args):
        super().__init__(HandwritingSynthesizer, config, args)
        self.hint, self.height, self.sharp, self.dropout = args.hint, args.height, args.sharp, args.dropout
        self.noise = args.noise
        self.facts |= dict(start="chance", hints=[])
        self.model.first.register_forward_hook(lambda layer, given, look: setattr(self, "look", look))

    def start_from_predictor(self):
        """Copy the predictor's weights; what the window says starts small, so that it disturbs little."""
        theirs = softattn.load("handwriting").network
        with torch.no_grad():
            for n, layer in enumerate([self.model.first, *self.model.layers]):
                old = theirs.layers[n]
                for name in ("weight_h", "bias", "peephole"):
                    getattr(layer, name).copy_(getattr(old, name))
                layer.weight_x[:3] = old.weight_x[:3]
                if n:
                    layer.weight_x[3 : -old.hidden_size] *= 0.1
                    layer.weight_x[-old.hidden_size :] = old.weight_x[3:]
            self.model.first.weight_w *= 0.1
            self.model.output.weight.copy_(theirs.output.weight)
            self.model.output.bias.copy_(theirs.output.bias)
        self.average = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self.facts["start"] = "the weights handwriting"

    def step(self, chunk, state, rate, bf16):
        """One update on one chunk; returns nats per point, the state after it, and how many steps saw no text."""
        x, y, reset, text, rows, counts, truth = chunk
        self.shake(self.noise, self.adaptive, self.epoch_points * x.shape[0] * x.shape[1])
        with torch.autocast(x.device.type, torch.bfloat16, enabled=bf16):
            out = self.model(x, text, state, reset, rows)
        log_prob = StrokeMixture(out.raw.float(), floor=self.model.floors(ROUNDING)).log_prob(y)
        loss = -(log_prob * counts).sum() / counts.sum().clamp(min=1)
        total = loss + self.off_place(text, rows, truth) if self.hint or self.height or self.sharp else loss
        self.update(total, rate, x.shape[0] * x.shape[1])
        first, above = out.state
        state = (type(first)(*(a.detach() for a in first)), [(h.detach(), c.detach()) for h, c in above])
        return loss.item(), state, (out.phi.sum(-1) < 0.1).float().mean().item()

    def off_place(self, text, rows, truth):
        """Three hints for the window, in nats per point.

        Everywhere: how far the sum s of its weights is from 1, s - 1 - log s and, above 1, (s - 1)^2 beside it, and
        how little of it lies on one character. Where the pen's true character is known: by how much the window, its
        weights brought to sum 1, misses it. Looked at in every fourth step only: phi of a whole
        chunk costs much.
        """
        pick = slice(self.facts["updates"] % 4, None, 4)
        rows, truth, h, kappa = rows[pick], truth[pick], self.look.h[pick], self.look.kappa[pick].flatten(0, 1)
        window = self.model.first.window
        alpha, beta, _ = window.params(h.float().flatten(0, 1), kappa)
        u = torch.arange(1.0, text.shape[1] + 1, device=text.device)
        phi = window.phi(alpha, beta, kappa, u).unflatten(0, truth.shape)
        phi = phi.masked_fill(text[rows] < 0, 0) + 1e-6
        total, known = phi.sum(-1), truth >= 0
        share = phi[known].gather(1, truth[known][:, None])[:, 0] / total[known]
        height = (total - 1 - total.log() + (total - 1).relu().square()).sum()
        top = (phi.amax(-1) / total).log().sum()
        return (self.height * height - self.sharp * top - self.hint * share.log().sum()) / truth.numel()


@torch.no_grad()
def probe(run, val1, embedded, bf16):
    """For the learning curve: nats per line on a part of val1, and how often the window is near the pen."""
    model = run.averaged()
    with torch.autocast(run.device.type, torch.bfloat16, enabled=bf16):
        nats = model.nats(val1).mean().item()
        near = []
        for line in embedded:
            x = model.normalise(line.offsets.to(model.mean))[:-1, None]
            phi = model(x, encode_texts([line.text]).to(x.device)).phi.cpu()
            near.append(alignment_share(phi, line.char_index[1:, None]))
    return nats, sum(near) / len(near)


def train(run, corpus, val1, embedded, path, args):
    """Go through the data until the time is over or the points are read; with --cool, the rate falls to 0."""
    facts, start, saved, losses, blind = run.facts, time.time(), time.time(), [], []
    first, device = facts["points"], run.device
    until = first + 1e6 * args.cool if args.cool else 1e6 * args.points
    while True:
        seed = facts["seed"] * 1_000_003 + facts["epoch"]
        generator = torch.Generator().manual_seed(seed)
        fresh = args.embedded if corpus else 4 * EMBEDDED
        lines = jittered(corpus, run.jitter, seed) + embedded_lines(fresh, seed)
        x, y, reset, which = line_stream(lines, ROWS, generator)
        x, y = run.model.normalise(x.to(device)), run.model.normalise(y.to(device))
        truth = true_places(which, lines)
        run.epoch_points = which.numel()
        told = [run.hint, run.height, run.sharp, run.dropout, run.jitter, run.noise, run.adaptive]
        if any(told) and (not facts["hints"] or facts["hints"][-1][1:] != told):
            facts["hints"].append([facts["points"], *told])
        state, whole = None, torch.zeros(ROWS, dtype=torch.bool)  # whole: rows whose line was read from its start
        while facts["place"] < len(x) // CHUNK:
            if time.time() - start >= 60 * args.minutes or facts["points"] >= until:
                return
            left = (until - facts["points"]) / (until - first) if args.cool else 1
            rate = run.rate * min(1, (facts["updates"] + 1) / WARMUP) * max(0.005, left)
            part = slice(facts["place"] * CHUNK, (facts["place"] + 1) * CHUNK)
            begins = reset[part].clone()
            counts = whole | (begins.cumsum(0) - (begins[0].long() if state is None else 0) > 0)
            whole = counts[-1]
            if state is None:  # rows start in the middle of a line, without its past: read, not learned from
                begins[0] = True
            numbers, rows = which[part].unique(return_inverse=True)
            text = encode_texts([lines[i].text for i in numbers.tolist()])
            chunk = (x[part], y[part], *(a.to(device) for a in (begins, text, rows, counts.float(), truth[part])))
            before = time.time()
            loss, state, sees_nothing = run.step(chunk, state, rate, not args.float32)
            facts["seconds"] += time.time() - before
            facts["place"] += 1
            losses.append(loss)
            blind.append(sees_nothing)
            if time.time() - saved > SAVE_SECONDS:
                nats, near = probe(run, val1, embedded, not args.float32)
                mean = sum(losses) / len(losses)
                facts["curve"].append([facts["points"], mean, nats, near, facts["seconds"] / 60])
                print(
                    f"{facts['points'] / 1e6:7.2f} M points  epoch {facts['epoch']}  update {facts['updates']}  "
                    f"{mean:.4f} nats/point  val1 part {nats:.1f} nats/line  window near pen {near:.3f}  sees nothing "
                    f"{sum(blind) / len(blind):.3f}  rate {rate:.1e}  {facts['seconds'] / 60:.1f} min",
                    flush=True,
                )
                losses, blind = [], []
                run.save(path)
                saved = time.time()
        facts["epoch"] += 1
        facts["place"] = 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=math.inf, help="wall time to train at the constant rate")
    parser.add_argument("--points", type=float, default=math.inf, help="millions of points to stop at")
    parser.add_argument("--cool", type=float, help="millions of points in which the rate falls to 0")
    parser.add_argument("--score", action="store_true", help="score the weights that ship and print the figures")
    parser.add_argument("--free", action="store_true", help="train on the embedded writer alone")
    parser.add_argument("--scratch", action="store_true", help="do not start from the weights handwriting")
    parser.add_argument("--embedded", type=int, default=EMBEDDED, help="lines of the embedded writer per epoch")
    parser.add_argument("--hint", type=float, default=0.0, help="weight of being told the place in embedded lines")
    parser.add_argument("--height", type=float, default=0.0, help="weight of holding the sum of phi near 1")
    parser.add_argument("--sharp", type=float, default=0.0, help="weight of looking at one character at a time")
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--hidden", type=int, default=400)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--jitter", type=float, default=0.0, help="how far slant, width and height of lines vary")
    parser.add_argument("--noise", type=float, default=0.0, help="standard deviation of noise on the weights")
    parser.add_argument("--adaptive", type=float, default=0.0, help="share of the posterior's noise on the weights")
    parser.add_argument("--rate", type=float, default=RATE)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--float32", action="store_true", help="no bfloat16 products")
    parser.add_argument("--state", type=Path, default=Path.home() / "softattn-runs" / "synthesis")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.out = args.out or ROOT / "softattn" / "weights" / f"synthesis{'-free' if args.free else ''}.safetensors"
    held_out = embedded_lines(48, 999)  # hands and texts that no epoch draws
    val1, faulty = held_out, {}
    if not args.free:
        val1, told = load_iam(split="val1")
        faulty = told.faulty
        print(str(told).splitlines()[0])
    corpus = [] if args.free else corpus_lines()
    if args.score:
        model = softattn.load(args.out.stem)
        print(json.dumps(report(model, val1, faulty) | by_heart(model, corpus, val1), indent=2))
        return
    constants = softattn.load("handwriting").card["config"]
    if args.free:
        rows = torch.cat([line.offsets[:, :2] for line in embedded_lines(400, 998)]).double()
        constants = dict(mean=rows.mean(0).tolist(), std=rows.std(0).tolist())
    print(f"{len(corpus)} lines of the corpus, mean {constants['mean']}, std {constants['std']}")
    args.state.mkdir(parents=True, exist_ok=True)
    name = f"{'free-' if args.free else ''}layers{args.layers}-hidden{args.hidden}-seed{args.seed}"
    stable, cooled = args.state / f"{name}.pt", args.state / f"{name}-cooled.pt"
    sizes = dict(hidden_size=args.hidden, num_layers=args.layers, components=10, mixtures=20)
    run = SynthesisRun(sizes | dict(mean=constants["mean"], std=constants["std"]), args)
    if stable.exists():
        run.load(stable)
        print(f"taken up at {run.facts['points'] / 1e6:.2f} M points, {run.facts['seconds'] / 60:.1f} min", flush=True)
    elif not (args.free or args.scratch):
        run.start_from_predictor()
    path = cooled if args.cool else stable
    train(run, corpus, val1 if args.free else val1[::12], held_out[:24], path, args)
    run.save(path)
    if args.cool:
        land(run, val1, faulty, held_out, corpus, args)


def by_heart(model, corpus, val1):
    """Nats per point of every fortieth training line and of val1, for what was learned by heart."""
    told = {}
    for name, lines in (("training", corpus[::40]), ("val1", val1)):
        if lines:
            scores = model.scores(lines)
            told[name] = (scores["nats"].sum() / scores["points"].sum()).item()
    return {"nats_per_point": told}


def land(run, val1, faulty, held_out, corpus, args):
    """Score the averaged weights as they are stored, and write them with their card."""
    lines = len(corpus)
    model, facts = run.averaged(), run.facts
    exact = model.nats(val1).mean().item()
    model.load_state_dict({k: v.to(torch.bfloat16).float() for k, v in model.state_dict().items()})
    figures = report(model, val1, faulty)
    if args.free:
        figures = {"held_out": figures["val1"]}
    split = "held_out" if args.free else "val1"
    flags = "--free " * args.free + f"--layers {args.layers} --hidden {args.hidden} --seed {args.seed}"
    embedded = f"{args.embedded if lines else 4 * EMBEDDED} new lines of the embedded writer in each epoch"
    card = {
        "class": "softattn.synthesis.HandwritingSynthesizer",
        "config": run.config,
        "summary": f"writes any printable ASCII text: a soft window, {args.layers} LSTM layers of {args.hidden}, "
        "20 Gaussians, trained on " + ("the embedded writer" if args.free else "IAM-OnDB and the embedded writer"),
        "data": embedded
        if args.free
        else f"IAM-OnDB: train, val2 and the part of test that was at hand, {lines} lines without faults; beside them "
        f"{embedded}; val1, IAM-OnDB alone, gives the figures",
        "alphabet": "the 95 printable characters of ASCII, and one code for all others",
        "licence": "MIT" if args.free else "trained on IAM-OnDB, for non-commercial research",
        "non_commercial": not args.free,
        "start": facts["start"],
        **({"judged_by": "shares"} if args.free else {}),
        "hints": {
            "what": "from so many points on: weight of telling the window its place in lines of the embedded writer "
            "(not in the corpus, where nobody knows it), weights of holding the sum of phi near 1 and of "
            "looking at one character at a time, dropout, the share by which slant, width and height of the corpus' "
            "lines vary, the standard deviation of the noise on the weights, and the share of the posterior's "
            "standard deviation that is added to it",
            "rows": facts["hints"],
        },
        "command": f"python -m recipes.synthesis {flags} --points {facts['points'] / 1e6 - args.cool:.1f} (in as many "
        f"calls as liked), then --cool {args.cool:g}",
        "commit": commit(),
        "steps": facts["updates"],
        "points": facts["points"],
        "minutes": round(facts["seconds"] / 60, 1),
        "machine": f"{platform.machine()}, {args.threads} thread, {args.device}, "
        + ("float32" if args.float32 else "bfloat16 products")
        + ", beside other work",
        "seed": args.seed,
        "metric": {
            "name": "nats per line, floor 1/sqrt(12) raw unit",
            "value": figures[split]["nats_per_line"],
            "split": "48 lines in hands that it was not trained on" if args.free else "val1, all lines",
        },
        "paper": "-1096.9 nats per line (Graves 2013, Table 4); his scale is known to about 100 nats",
        **figures,
        **by_heart(model, corpus, val1),
        "lost_to_bfloat16_nats_per_line": figures[split]["nats_per_line"] - exact,
        "curve": {
            "columns": ["points", "train nats per point", "part of val1, nats per line", "window near pen", "minutes"],
            "rows": facts["curve"],
        },
    }
    save_weights(args.out, model.state_dict(), card, dtype=torch.bfloat16)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()

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
holds the sum of phi near 1; `--sharp` asks it to look at one character at a time; `--stop` to look behind the text at
a line's last points, where the rule that ends a line looks for it. Against learning by heart:
`--dropout` between the layers, `--jitter` of the hands, `--noise` on the weights, `--adaptive` noise on each weight as
far as the data allow. Otherwise as recipes/handwriting.py, with which it shares the rate, the average and the chunks.

Of its own drafts (recipes/pieces.py) it goes on with those that are read as their text, and with `--away` it goes away
from the rest: the points where a draft says something else shall be less likely than they were to the weights that
wrote it. What is asked of them is bounded, as where preferences are learned (Rafailov et al. 2023; Ethayarajh et al.
2024): softplus(MARGIN + gain) for each such place, its gain the sum over its points beyond that of such drafts' other
points; a place that has become MARGIN nats less likely pushes half as hard, one that is far below that not at all.
`--keep` lands the mean of the new weights and of those that ship, so much of the latter (Wortsman et al. 2022): what a
late stage takes from val1 and from the spread of hands, it gives back in part.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

import softattn
from recipes._run import WEIGHTS, add_keep, blend, commit, machine, options, train
from recipes.handwriting import RATE, ROWS, WARMUP, StrokeRun, jittered, report
from recipes.pieces import corpus_lines, stored, stored_misses
from recipes.texts import embedded_line, rare_text
from softattn.handwriting import ROUNDING, line_stream
from softattn.hub import save_weights
from softattn.iam import load_iam
from softattn.mixture import StrokeMixture
from softattn.pen import EmbeddedWriter, embedded_text
from softattn.synthesis import HandwritingSynthesizer, encode_texts
from softattn.window import WindowState, alignment_share

CHUNK = 160
OTHER = -1  # a point of a draft that is not where it went wrong
END = -2  # the place behind the text, among true places of which -1 is unknown
MARGIN = 3.0  # nats by which a place where a draft went wrong shall be less likely
EMBEDDED = 1400  # lines of the embedded writer per epoch beside IAM-OnDB: one point in seven


def embedded_lines(count, seed):
    """Lines of the embedded writer, each in a hand of its own; two in five hold rare characters."""
    lines = []
    for i in range(count):
        rng = np.random.default_rng([seed, i])
        text = rare_text(rng) if i % 5 < 2 else embedded_text(rng)
        lines.append(EmbeddedWriter(rng).write(text))
    return lines


def along(which, values):
    """What is known of each target of each line (values[i], of line i), as the targets of a stream lie, (T, B)."""
    steps, rows = which.shape
    order = which.t().reshape(-1).unique_consecutive().tolist()
    return torch.cat([values[i] for i in order])[: steps * rows].view(rows, steps).t()


def true_places(which, lines):
    """The character that each target of a stream belongs to, shape (T, B); -1 where only the corpus' writer knew."""
    unknown = torch.full((max(map(len, lines)),), -1)
    known = [unknown[: len(line)] if line.char_index is None else line.char_index for line in lines]
    return along(which, [index[1:] for index in known])


def missed_places(which, lines, missed):
    """Which place of which miss each target is, and what it cost the weights that wrote it; both (T, B).

    The misses are the last of the lines. A place is OTHER in their other points, and below in those of other lines.
    """
    longest, first = max(map(len, lines)), 0
    right = lines[: len(lines) - len(missed)]
    places = [torch.full((longest,), OTHER - 1)[: len(line) - 1] for line in right]
    costs = [torch.zeros(longest)[: len(line) - 1] for line in right] + [miss.log_prob for miss in missed]
    for where in (miss.where.int() for miss in missed):
        number = where.diff(prepend=where.new_zeros(1)).clamp(min=0).cumsum(0)  # 1 in the first place, 2 in the second
        places.append(torch.where(where.bool(), first + number - 1, OTHER)[1:])
        first += int(number[-1])
    return along(which, places), along(which, costs)


def too_likely(log_prob, before, place):
    """What the places where drafts went wrong cost: for each, softplus(MARGIN + gain in log probability), summed.

    The gain is counted beyond that of the drafts' other points: noise on the weights makes all ink less likely.
    """
    kept, gain = place >= 0, log_prob - before
    gain = gain - gain.detach()[place == OTHER].mean().nan_to_num()
    numbers, at = place[kept].unique(return_inverse=True)
    gain = log_prob.new_zeros(len(numbers)).index_add(0, at, gain[kept])
    return F.softplus(MARGIN + gain).sum(), gain.detach()


def last_points(which, count=3):
    """Where a line of the stream has at most so many points left, bool, (T, B); a row's own end is none."""
    near = torch.zeros_like(which, dtype=torch.bool)
    near[:-1] = which[1:] != which[:-1]
    for _ in range(count - 1):
        near[:-1] = near[:-1] | near[1:]
    return near


class SynthesisRun(StrokeRun):
    """The run of recipes/handwriting.py, with a text beside the points and hints for the window."""

    CUTS = True
    look_at: Any  # what the first layer saw in the last forward pass

    def __init__(self, config, args, corpus=(), val1=(), embedded=()):
        super().__init__(HandwritingSynthesizer, config, args, corpus, val1)
        self.hint, self.height, self.sharp, self.dropout = args.hint, args.height, args.sharp, args.dropout
        self.stop, self.warmup = args.stop, args.warmup
        self.embedded, self.blind = embedded, []
        self.pieces = stored(args.state, "pieces") if args.pieces else []
        self.letters = stored(args.state, "letters") if args.letters else []
        self.drafts = stored(args.state, "drafts") if args.drafts else []
        self.whole = stored(args.state, "whole") if args.whole else []
        self.misses = stored_misses(args.state) if args.misses else []
        self.gains = []
        self.facts |= dict(start="chance", hints=[])
        self.model.first.register_forward_hook(lambda layer, given, seen: setattr(self, "look_at", seen))

    def start_from_predictor(self):
        """Copy the predictor's weights; what the window says starts small, so that it disturbs little."""
        shipped: Any = softattn.load("handwriting")
        theirs = shipped.network
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
        self.average_anew()
        self.facts["start"] = "the weights handwriting"

    def prepare(self):
        """Lines in other hands and new ones of the embedded writer, which only seed and epoch decide."""
        generator, facts = self.seeded(), self.facts
        seed = generator.initial_seed()
        fresh = self.args.embedded if self.lines else 4 * EMBEDDED
        rng = np.random.default_rng([seed, 16])
        some = [self.lines[i] for i in rng.permutation(len(self.lines))[: self.args.lines]]
        self.epoch_lines = lines = jittered(some, self.jitter, seed) + embedded_lines(fresh, seed)
        lines += jittered(self.beside(seed), self.jitter, seed + 1)
        missed = [self.misses[i] for i in rng.permutation(len(self.misses))[: self.args.misses]]
        self.learned = len(lines)  # what comes behind is read, not learned from
        lines += [miss.line for miss in missed]
        x, y, self.reset, self.which = line_stream(lines, ROWS, generator)
        self.x, self.y = self.model.normalise(x.to(self.device)), self.model.normalise(y.to(self.device))
        self.truth, self.last = true_places(self.which, lines), last_points(self.which)
        self.place, self.before = missed_places(self.which, lines, missed)
        self.epoch_points = self.which.numel()
        told = [self.hint, self.height, self.sharp, self.dropout, self.jitter, self.noise, self.adaptive]
        told += [self.args.pieces, self.args.drafts, self.args.runs, self.args.whole, self.stop]
        told += [self.args.misses, self.args.away, self.args.lines, self.args.letters]
        if any(told) and (not facts["hints"] or facts["hints"][-1][1:] != told):
            facts["hints"].append([facts["points"], *told])
        return len(x) // CHUNK

    def beside(self, seed):
        """Other lines of an epoch: pieces of the corpus, own drafts, short texts and runs of the embedded writer."""
        rng = np.random.default_rng([seed, 13])
        names = ("pieces", "drafts", "whole", "letters")
        kinds = [(getattr(self, name), getattr(self.args, name)) for name in names]
        lines = [kind[i] for kind, count in kinds for i in rng.permutation(len(kind))[:count]]
        return lines + [embedded_line(np.random.default_rng([seed, 14, i]), True) for i in range(self.args.runs)]

    def chunk_of(self, k):
        """Points, targets, resets, text, its rows, which targets count, true places, misses; the state before it."""
        part = self.chunk(k, CHUNK), self.rows(ROWS)
        begins = self.reset[part].clone()
        # whole: rows whose line was read from its start
        state, whole = (None, torch.zeros(begins.shape[1], dtype=torch.bool)) if self.carried is None else self.carried
        known = whole | (begins.cumsum(0) - (begins[0].long() if state is None else 0) > 0)
        if state is None:  # rows start in the middle of a line, without its past: read, not learned from
            begins[0] = True
        else:
            state = (WindowState(*state[0]), state[1])
        numbers, rows = self.which[part].unique(return_inverse=True)
        text = encode_texts([self.epoch_lines[i].text for i in numbers.tolist()])
        truth = torch.where(self.last[part], END, self.truth[part])
        counts, place = known & (self.which[part] < self.learned), self.place[part].masked_fill(~known, OTHER - 1)
        rest = (a.to(self.device) for a in (begins, text, rows, counts.float(), truth, place, self.before[part]))
        return (self.x[part], self.y[part], *rest), state, known[-1]

    def step(self, k):
        """One update on one chunk; nats per point."""
        (x, y, reset, text, rows, counts, truth, place, before), state, whole = self.chunk_of(k)
        self.shake(self.noise, self.adaptive, self.epoch_points * len(x) * ROWS)
        with self.low_products():
            out = self.model(x, text, state, reset, rows)
        log_prob = StrokeMixture(out.raw.float(), floor=self.model.floors(ROUNDING)).log_prob(y)
        loss = -(log_prob * counts).sum() / counts.sum().clamp(min=1)
        hints = self.hint or self.height or self.sharp or self.stop
        total = loss + self.off_place(text, rows, truth) if hints else loss
        if self.args.misses:
            cost, gains = too_likely(log_prob, before, place)
            total = total + self.args.away * cost / counts.sum().clamp(min=1)
            self.gains += gains.tolist()
        self.update(total, self.rate(), x.shape[0] * x.shape[1])
        first, above = out.state
        self.carried = ((tuple(a.detach() for a in first), [(h.detach(), c.detach()) for h, c in above]), whole)
        self.blind.append((out.phi.sum(-1) < 0.1).float().mean().item())
        return loss.item()

    def look(self, mean):
        facts = self.facts
        nats, near = probe(self, self.part, self.embedded)
        facts["curve"].append([facts["points"], mean, nats, near, facts["seconds"] / 60])
        blind, self.blind = sum(self.blind) / max(1, len(self.blind)), []
        gains, self.gains = np.median(self.gains) if self.gains else 0.0, []
        return (
            f"{facts['points'] / 1e6:7.2f} M points  epoch {facts['epoch']}  update {facts['updates']}  "
            f"{mean:.4f} nats/point  val1 part {nats:.1f} nats/line  window near pen {near:.3f}  sees nothing "
            f"{blind:.3f}  misses {gains:.1f} nats  rate {self.rate():.1e}  {facts['seconds'] / 60:.1f} min"
        )

    def off_place(self, text, rows, truth):
        """Four hints for the window, in nats per point.

        Everywhere: how far the sum s of its weights is from 1, s - 1 - log s and, above 1, (s - 1)^2 beside it, and
        how little of it lies on one character. Where the pen's true character is known: by how much the window, its
        weights brought to sum 1, misses it. At the last points of a line: by how much it misses the empty place behind
        the text, for it is there that `sample_lines` ends a line. Looked at in every fourth step only: phi of a whole
        chunk costs much.
        """
        pick = slice(self.facts["updates"] % 4, None, 4)
        rows, truth, h, kappa = rows[pick], truth[pick], self.look_at.h[pick], self.look_at.kappa[pick].flatten(0, 1)
        window = self.model.first.window
        alpha, beta, _ = window.params(h.float().flatten(0, 1), kappa)
        u = torch.arange(1.0, text.shape[1] + 2, device=text.device)
        lengths, last = (text >= 0).sum(1)[rows], truth == END
        places = lengths + last  # the place behind the text counts where the line ends
        phi = window.phi(alpha, beta, kappa, u).unflatten(0, truth.shape)
        phi = phi.masked_fill(u > places[..., None], 0) + 1e-6
        truth = torch.where(last, lengths, truth)
        total, known = phi.sum(-1), truth >= 0
        share = (phi.gather(-1, truth.clamp(min=0)[..., None])[..., 0] / total).log()
        height = (total - 1 - total.log() + (total - 1).relu().square()).sum()
        top = (phi.amax(-1) / total).log().sum()
        missed = self.hint * share[known & ~last].sum() + self.stop * share[last].sum()
        return (self.height * height - self.sharp * top - missed) / truth.numel()


@torch.no_grad()
def probe(run, val1, embedded):
    """For the learning curve: nats per line on a part of val1, and how often the window is near the pen."""
    model = run.averaged()
    with run.low_products():
        nats = model.nats(val1).mean().item()
        near = []
        for line in embedded:
            x = model.normalise(line.offsets.to(model.mean))[:-1, None]
            phi = model(x, encode_texts([line.text]).to(x.device)).phi.cpu()
            near.append(alignment_share(phi, line.char_index[1:, None]))
    return nats, sum(near) / len(near)


def main():
    parser = options(__doc__, "synthesis")
    parser.add_argument("--points", type=float, default=math.inf, help="millions of points to stop at")
    parser.add_argument("--cool", type=float, help="millions of points in which the rate falls to 0")
    parser.add_argument("--score", action="store_true", help="score the weights that ship and print the figures")
    parser.add_argument("--free", action="store_true", help="train on the embedded writer alone")
    parser.add_argument("--scratch", action="store_true", help="do not start from the weights handwriting")
    parser.add_argument("--embedded", type=int, default=EMBEDDED, help="lines of the embedded writer per epoch")
    parser.add_argument("--hint", type=float, default=0.0, help="weight of being told the place in embedded lines")
    parser.add_argument("--height", type=float, default=0.0, help="weight of holding the sum of phi near 1")
    parser.add_argument("--stop", type=float, default=0.0, help="weight of looking behind the text at a line's end")
    parser.add_argument("--sharp", type=float, default=0.0, help="weight of looking at one character at a time")
    parser.add_argument("--pieces", type=int, default=0, help="words cut out of the corpus, per epoch (recipes.pieces)")
    parser.add_argument(
        "--letters", type=int, default=0, help="letters cut out of the corpus, per epoch (recipes.pieces)"
    )
    parser.add_argument("--drafts", type=int, default=0, help="own drafts of odd texts, per epoch (recipes.pieces)")
    parser.add_argument("--whole", type=int, default=0, help="own drafts of whole lines, per epoch (recipes.pieces)")
    parser.add_argument("--misses", type=int, default=0, help="own drafts that read otherwise, per epoch")
    parser.add_argument("--away", type=float, default=1.0, help="weight of going away from where they do")
    parser.add_argument("--lines", type=int, help="lines of the corpus per epoch; left out: all")
    parser.add_argument("--runs", type=int, default=0, help="short texts of the embedded writer, per epoch")
    add_keep(parser)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--hidden", type=int, default=400)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--jitter", type=float, default=0.0, help="how far slant, width and height of lines vary")
    parser.add_argument("--rate", type=float, default=RATE)
    parser.add_argument("--warmup", type=int, default=WARMUP, help="updates in which the rate rises at first")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.out = args.out or WEIGHTS / f"synthesis{'-free' if args.free else ''}.safetensors"
    held_out = embedded_lines(48, 999)  # hands and texts that no epoch draws
    val1, faulty = held_out, {}
    if not args.free:
        val1, told = load_iam(split="val1")
        faulty = told.faulty
        print(str(told).splitlines()[0])
    corpus = [] if args.free else corpus_lines()
    if args.score:
        model: Any = softattn.load(args.out.stem)
        print(json.dumps(report(model, val1, faulty) | by_heart(model, corpus, val1), indent=2))
        return
    shipped: Any = softattn.load("handwriting")
    constants = shipped.card["config"]
    if args.free:
        rows = torch.cat([line.offsets[:, :2] for line in embedded_lines(400, 998)]).double()
        constants = dict(mean=rows.mean(0).tolist(), std=rows.std(0).tolist())
    print(f"{len(corpus)} lines of the corpus, mean {constants['mean']}, std {constants['std']}")
    name = f"{'free-' if args.free else ''}layers{args.layers}-hidden{args.hidden}-seed{args.seed}"
    stable, cooled = args.state / f"{name}.pt", args.state / f"{name}-cooled.pt"
    sizes = dict(hidden_size=args.hidden, num_layers=args.layers, components=10, mixtures=20)
    config = sizes | dict(mean=constants["mean"], std=constants["std"])
    run = SynthesisRun(config, args, corpus, val1 if args.free else val1[::12], held_out[:24])
    run.take_up_either(stable, cooled, args.out.stem, args.cool)
    if args.resume and not run.facts["updates"]:
        run.facts |= past(softattn.load(args.out.stem).card)
    if not (stable.exists() or args.resume or args.free or args.scratch):
        run.start_from_predictor()
    run.plan(args.points, args.cool)
    path = cooled if args.cool else stable
    if train(run, path, args.minutes, run.over, save_seconds=args.save_seconds) and args.cool:
        land(run, val1, faulty, held_out, corpus, args)


def past(card):
    """What a card says of the training so far, for a run that goes on from its weights."""
    told = {name: card[name] for name in ("points", "steps", "minutes", "command")}
    return {"start": card["start"], "past": {**told, "curve": card["curve"]["rows"], "hints": card["hints"]["rows"]}}


def history(facts, command):
    """Command, steps, points and minutes, rows of the curve and of the hints: of this run, behind those of its past."""
    old = facts.get("past", dict(points=0, steps=0, minutes=0.0, command="", curve=[], hints=[]))
    points, minutes = old["points"], old["minutes"]
    return {
        "command": f"{old['command']}; then {command}" if old["command"] else command,
        "steps": old["steps"] + facts["updates"],
        "points": points + facts["points"],
        "minutes": round(minutes + facts["seconds"] / 60, 1),
        "curve": old["curve"] + [[points + n, *row, minutes + spent] for n, *row, spent in facts["curve"]],
        "hints": old["hints"] + [[points + n, *row] for n, *row in facts["hints"]],
    }


def by_heart(model, corpus, val1):
    """Nats per point of every fortieth training line and of val1, for what was learned by heart."""
    told = {}
    for name, lines in (("training", corpus[::40]), ("val1" if corpus else "held_out", val1)):
        if lines:
            scores = model.scores(lines)
            told[name] = (scores["nats"].sum() / scores["points"].sum()).item()
    return {"nats_per_point": told}


def also_read(args):
    """What else an epoch held, in words."""
    kinds = {
        "pieces": "words cut out of these lines",
        "letters": "one to three letters cut out of them",
        "drafts": "own drafts of odd texts",
        "whole": "own whole lines",
    }
    words = [
        f"{what} that the weights reading read as their text" for name, what in kinds.items() if getattr(args, name)
    ]
    words += ["own drafts that they read otherwise, to go away from"] * bool(args.misses)
    return "".join(f", {what}" for what in words)


def land(run, val1, faulty, held_out, corpus, args):
    """Score the averaged weights as they are stored, and write them with their card."""
    lines = len(corpus)
    model, facts = run.averaged(), run.facts
    if args.keep:
        blend(model, softattn.load(args.out.stem), args.keep)
    exact = model.nats(val1).mean().item()
    model.load_state_dict({k: v.to(torch.bfloat16).float() for k, v in model.state_dict().items()})
    figures = report(model, val1, faulty)
    if args.free:
        figures = {"held_out": figures["val1"]}
    split = "held_out" if args.free else "val1"
    flags = "--free " * args.free + "--resume " * args.resume
    flags += "with the hints below, "
    flags += f"--layers {args.layers} --hidden {args.hidden} --rate {args.rate:g} --seed {args.seed}"
    flags += f" --warmup {args.warmup}" * (args.warmup != WARMUP)
    command = f"python -m recipes.synthesis {flags} --points {facts['points'] / 1e6 - args.cool:.1f} (in as many calls "
    keep = f" --keep {args.keep:g}" if args.keep else ""
    told = history(facts, f"{command}as liked), then --cool {args.cool:g}{keep}")
    embedded = f"{args.embedded if lines else 4 * EMBEDDED} new lines of the embedded writer in each epoch"
    embedded += f", {args.runs} short texts of its own beside them" * bool(args.runs)
    card = {
        "class": "softattn.synthesis.HandwritingSynthesizer",
        "config": run.config,
        "summary": f"writes any printable ASCII text: a soft window, {args.layers} LSTM layers of {args.hidden}, "
        "20 Gaussians, trained on " + ("the embedded writer" if args.free else "IAM-OnDB and the embedded writer"),
        "data": embedded
        if args.free
        else f"IAM-OnDB: train, val2 and the part of test that was at hand, {lines} lines without faults; beside them "
        f"{embedded}{also_read(args)}; val1, IAM-OnDB alone, gives the figures",
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
            "standard deviation that is added to it; pieces cut out of the corpus, own short drafts, short texts of "
            "the embedded writer and own drafts of whole lines in an epoch (recipes/pieces.py); weight of looking "
            "behind the text at a line's end; own drafts that read otherwise in an epoch, weight of going away from "
            "where they do, lines of the corpus in an epoch (none: all), groups of letters cut out of them",
            "rows": told["hints"],
        },
        "command": told["command"],
        "commit": commit(),
        "steps": told["steps"],
        "points": told["points"],
        "minutes": told["minutes"],
        "machine": machine(args, run) + ", beside other work",
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
            "rows": told["curve"],
        },
    }
    save_weights(args.out, model.state_dict(), card, dtype=torch.bfloat16)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()

# Generated from book/synthesis.md by tools/export.py. Edit the chapter, not this file.
"""Handwriting synthesis: a text, written.

Type a text, and a network writes it by hand.

The chapter book/synthesis.md builds this module and explains each line.
"""

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, overload

import torch
from torch import Tensor, nn
from tqdm import tqdm

from softattn.fast_writer import GRACE, MOST_NARROW, NOTHING, WriterWeights, pen_noise, soften, write_rows
from softattn.handwriting import PenModel, stroke_start_
from softattn.hub import instance, many, real, shaped, whole
from softattn.lstm import PeepholeLSTM
from softattn.mixture import StrokeMixture
from softattn.page import MOST_BIAS, SEEDS, Handwriting, bind_page, check_texts, choose_hand, evaluated, line_jobs, wrap
from softattn.pen import PRINTABLE
from softattn.strokes import Strokes
from softattn.text import plain_text
from softattn.training import use_fused
from softattn.window import SoftWindow, WindowLSTM, WindowState

__all__ = [
    "Draft",
    "Faults",
    "HandwritingSynthesizer",
    "JUDGED_BY",
    "SynthesizerOutput",
    "UNKNOWN",
    "VOCAB_SIZE",
    "WritingError",
    "attended_characters",
    "encode_texts",
    "faults",
    "sample_lines",
]


# -- The network --
UNKNOWN = len(PRINTABLE)  # what is not printable ASCII: read, never written
VOCAB_SIZE = UNKNOWN + 1  # A


def encode_texts(texts: Sequence[str]) -> Tensor:
    """Turn texts into codes, one row each, -1 behind the shorter ones.

    Args:
        texts: N texts; what is not printable ASCII gets the code UNKNOWN.

    Returns:
        int64, shape (N, U), U the longest text's length.

    Raises:
        ValueError: if there is no text, or an empty one.
    """
    single = isinstance(texts, str)
    texts = [texts] if single else many("encode_texts", "texts", texts)
    if not texts or not all(isinstance(t, str) and t for t in texts):
        s = f"encode_texts: {texts!r:.60} holds no text or an empty one"
        raise ValueError(f"{s}; give at least one character each")
    code = {char: n for n, char in enumerate(PRINTABLE)}
    rows = [torch.tensor([code.get(c, UNKNOWN) for c in t]) for t in texts]
    return torch.nn.utils.rnn.pad_sequence(rows, True, -1)


# -- The network --
_State = tuple[WindowState, list[tuple[Tensor, Tensor]]]


class SynthesizerOutput(NamedTuple):
    """What a HandwritingSynthesizer predicts, step by step.

    Args:
        raw: raw outputs for StrokeMixture, (T, B, 6M + 1).
        phi: the window's weights, (T, B, U).
        kappa: the window's places, (T, B, K).
        state: of the layer with the window, and (h, c) of each layer above.
    """

    raw: Tensor
    phi: Tensor
    kappa: Tensor
    state: _State


class Draft(NamedTuple):
    """One attempt at a line, before anyone has judged it.

    Args:
        strokes: the ink, in raw units.
        phi: the window's weights after each point, one place beyond the
            text, (T, U + 1).
        ended: whether the stop rule ended it, not the limit of points.
        reading: what a reader made of the ink, where one was asked; it has
            `read` and `confidence`.
    """

    strokes: Strokes
    phi: Tensor
    ended: bool
    reading: Any = None


def _check_text(text: Tensor, state: _State | None, layers: int) -> None:
    """Raise ValueError unless codes are (N, U), and a state of L layers."""
    who = "HandwritingSynthesizer"
    instance(who, "text", text, Tensor)
    was = f"text has shape {tuple(text.shape)} and is {text.dtype}"
    if text.dim() != 2 or text.is_floating_point() or text.is_complex():
        raise ValueError(f"{who}: {was}, expected (N, U) of encode_texts")
    seen = text.device.type == "cpu" and not torch.compiler.is_compiling()
    if seen and ((text > VOCAB_SIZE) | (text < -1)).any():
        raise ValueError(f"{who}: text holds no code: -1 to {VOCAB_SIZE}")
    if state is None:
        return
    kinds = [*map(type, instance(who, "state", state, tuple))]
    if kinds != [WindowState, list]:
        raise TypeError(f"{who}: state is none that a call returned")
    words = f"the state is of {len(state[1]) + 1} layers, expected {layers}"
    if len(state[1]) + 1 != layers:
        raise ValueError(f"{who}: {words}")


# -- The network --
class HandwritingSynthesizer(PenModel):
    """Predict the next point of a pen from all before it and its text.

    Args:
        hidden_size: H, cells per layer.
        num_layers: LSTM layers. The first looks at the text; all see the pen
            and what the window sees.
        components: K, bells of the window.
        mixtures: M, bivariate Gaussians in the predictive density.
        mean: mean of dx and dy over the training strokes, in raw units.
        std: their standard deviation, in raw units.
        dropout: probability of losing a hidden value on its way up, in
            training only.

    Raises:
        TypeError, ValueError: for sizes below 1, fewer than two mixtures, a
            dropout that is no probability, or constants that are no pair.

    Source: Graves (2013), section 5; slide 16.
    """

    def __init__(
        self,
        hidden_size: int = 400,
        num_layers: int = 3,
        components: int = 10,
        mixtures: int = 20,
        mean: Sequence[float] = (0.0, 0.0),
        std: Sequence[float] = (1.0, 1.0),
        dropout: float = 0.0,
    ) -> None:
        who, A = "HandwritingSynthesizer", VOCAB_SIZE
        super().__init__(mixtures, mean, std)
        H = whole(who, "hidden_size", hidden_size, 1)
        above = whole(who, "num_layers", num_layers, 1) - 1
        self.dropout = real(who, "dropout", dropout, 0, 1 - 1e-6)
        self.first = WindowLSTM(3, H, A, components)
        upper = [PeepholeLSTM(3 + A + H, H) for _ in range(above)]
        self.layers = nn.ModuleList(upper)
        self.output = nn.Linear(num_layers * H, 6 * mixtures + 1)
        stroke_start_(self.output.bias, mixtures)

    def forward(
        self,
        x: Tensor,
        text: Tensor,
        state: _State | None = None,
        reset: Tensor | None = None,
        rows: Tensor | None = None,
        fused: bool | None = None,
    ) -> SynthesizerOutput:
        """Read points and their texts, and predict what follows each point.

        Args:
            x: normalised points, (T, B, 3): dx, dy, end of stroke.
            text: codes from `encode_texts`, (N, U); N = B but for `rows`. The
                code VOCAB_SIZE is a place that holds no character.
            state: what the last call returned; None begins anew.
            reset: where True, a new line begins; bool, (T, B).
            rows: which text each row writes, int64, (T, B); None: its own.
            fused: handed to the layers; None decides for each.
        Returns: what is expected after each point, and the state.
        """
        _check_text(text, state, len(self.layers) + 1)
        below, above = state or (None, [None] * len(self.layers))
        codes = torch.arange(VOCAB_SIZE, device=text.device)
        chars = text[..., None] == codes  # (N, U, A)
        chars = chars.to(self.output.weight.dtype)
        look = self.first(x, chars, text >= 0, below, reset, rows, fused=fused)
        drop = self.dropout, self.training
        outputs, states = [nn.functional.dropout(look.h, *drop)], []
        for layer, last in zip(self.layers, above, strict=True):
            read = torch.cat([x.to(look.w.dtype), look.w, outputs[-1]], -1)
            h, last = layer(read, last, reset, fused=fused)
            outputs.append(nn.functional.dropout(h, *drop))
            states.append(last)
        raw = self.output(torch.cat(outputs, -1))
        state = look.state, states
        return SynthesizerOutput(raw, look.phi, look.kappa, state)

    def outputs(self, x: Tensor, lines: Sequence) -> Tensor:
        """Raw outputs (T, B, 6M + 1) at points x (T, B, 3) of these lines.
        Raises: ValueError where a line has no text."""
        for i, line in enumerate(lines):
            if not line.text:
                raise ValueError(f"HandwritingSynthesizer: line {i} has no text to look at")
        text = encode_texts([line.text for line in lines])
        return self(x, text.to(x.device)).raw


# -- When has it finished? --
def sample_line(model, text, seed, bias, prime=None, fused=None, noise=pen_noise) -> Draft:
    """Write one line, as plainly as it can be said; see `sample_lines`."""
    before = "" if prime is None else prime.text + " "
    codes = encode_texts([before + text]).to(model.mean.device)
    codes = nn.functional.pad(codes, (0, 1), value=VOCAB_SIZE)  # no letter
    x, state = first_points(model, prime)[:, None], None
    bias = min(bias, MOST_NARROW)
    over, last, b = None, None, model.mean.new_tensor([[bias]])
    points, looks = [x[-1, 0]], []
    for t, numbers in enumerate(noise(seed, point_limit(text) + 1)):
        out = model(x, codes, state, fused=fused)  # read
        phi, state = out.phi[-1, 0], out.state
        looks.append(phi)  # (U + 1,)
        over, last = line_end(phi, bool(x[-1, 0, 2] > 0), t, over)
        if last is not None:
            break
        mixture = StrokeMixture(soften(out.raw[-1].clone(), b))
        x = mixture.sample(bias, noise=numbers[None].to(x))[None]  # draw
        points.append(x[0, 0])
    ended, n = last is not None, (t if last is None else last) + 1
    points, phi = torch.stack(points[:n]), torch.stack(looks[:n])
    return as_draft(model, points, phi, ended, text, before)


# -- When has it finished? --
def first_points(model, prime: Strokes | None) -> Tensor:
    """What is read before a point is drawn, normalised, (n, 3)."""
    start = model.mean.new_zeros(1, 3) if prime is None else prime.offsets
    return model.normalise(start.to(model.mean)).to(model.output.weight)


def line_end(phi, lifted: bool, t: int, over: int | None) -> tuple:
    """Where the sign was seen, and which point is the last; else None."""
    if over is None and t > 0 and 2 * phi[-1] > phi.sum():
        over = t
    if over is not None and (lifted or phi.sum() < NOTHING):
        return over, t
    late = over is not None and t - over == GRACE  # no lift came
    return over, over if late else None


def as_draft(model, points, phi, ended: bool, text: str, before: str) -> Draft:
    """Make ink of normalised points; after a prime the pen jumps first."""
    first = 1 if before else 0
    ink = (points * model.std + model.mean)[first:].float().cpu()
    ink[0, :2], ink[-1, 2] = 0, 1
    strokes = Strokes(ink, text, "written by HandwritingSynthesizer")
    return Draft(strokes, phi[first:, len(before) :].cpu().clone(), ended)


def judged_by(model: nn.Module) -> str:
    """How lines of these weights are judged: as their card says."""
    card: dict = getattr(model, "card", {})
    return card.get("judged_by", JUDGED_BY)


# -- When has it finished? --
def as_written(model: HandwritingSynthesizer, fused: bool | None) -> bool:
    """Whether nothing of a model was changed, so that the fast writer may."""
    parts = {"model": model, "first": model.first, "output": model.output}
    kinds: dict = {"model": HandwritingSynthesizer, "first": WindowLSTM}
    parts["window"] = model.first.window
    kinds |= {"window": SoftWindow, "output": nn.Linear}
    for n, layer in enumerate(model.layers, 2):
        parts[f"layer_{n}"], kinds[f"layer_{n}"] = layer, PeepholeLSTM
    exact = model.output.weight.dtype in (torch.float32, torch.float64)
    try:
        holder, weight = nn.ModuleDict(parts), model.output.weight
        use = use_fused(fused, holder, nn.ModuleDict, weight, **kinds)
        return exact and use
    except ValueError as err:
        words = str(err).replace("ModuleDict: ", "")
        raise ValueError(f"sample_lines: {words}") from None


# -- When has it finished? --
def pack_weights(model: HandwritingSynthesizer) -> WriterWeights:
    """Hand the weights to the fast writer, in the order in which it reads."""
    one, H = model.first, model.first.hidden_size
    weight = torch.cat([one.weight_h, one.weight_x, one.weight_w])
    layers: list = [(weight.t(), one.bias, one.peephole)]
    above: list = list(model.layers)
    for n, layer in enumerate(above):
        seen, below = layer.weight_x.split([3 + VOCAB_SIZE, H])
        order = [seen, below] if n else [below, seen]
        if n > 1:  # it does not read the layers that lie between
            order.insert(1, below.new_zeros((n - 1) * H, 4 * H))
        weight = torch.cat([*order, layer.weight_h])
        layers.append((weight.t(), layer.bias, layer.peephole))
    first, *above = model.output.weight.split(H, 1)
    none = first.new_zeros(len(first), 3 + VOCAB_SIZE)  # no skip from there
    output = torch.cat([first, none, *above], 1), model.output.bias
    window = one.window.weight.t(), one.window.bias
    return WriterWeights(layers, window, output, VOCAB_SIZE)


# -- When has it finished? --
Noise = Callable[[int, int], Tensor]  # numbers for a seed and steps


def point_limit(text: str) -> int:
    """How many points a line may take: 60 a character, and 200 more."""
    return 200 + 60 * len(text)


def write_fast(model: HandwritingSynthesizer, jobs: list[tuple], noise: Noise) -> list[Draft]:
    """Write the lines side by side, in the engine room."""
    texts, seeds, biases, primes = zip(*jobs, strict=True)
    before = ["" if p is None else p.text + " " for p in primes]
    whole_texts = [b + t for b, t in zip(before, texts, strict=True)]
    like, limits = model.output.weight, [point_limit(t) for t in texts]
    numbers = torch.stack([noise(s, max(limits) + 1) for s in seeds])
    lines = write_rows(
        pack_weights(model),
        encode_texts(whole_texts).to(like.device),
        [first_points(model, prime) for prime in primes],
        numbers.to(like),
        torch.tensor(biases).clamp(max=MOST_NARROW).to(like),
        torch.tensor(limits).to(like.device),
    )
    rows = zip(lines, texts, before, strict=True)
    return [as_draft(model, *line, t, b) for line, t, b in rows]


# -- When has it finished? --
@torch.no_grad()
def sample_lines(
    model: HandwritingSynthesizer,
    texts: Sequence[str],
    seeds: Sequence[int],
    bias: float | Sequence[float] = 0.0,
    primes: Sequence[Strokes] | None = None,
    fused: bool | None = None,
    noise: Noise = pen_noise,
) -> list[Draft]:
    """Write one line for each text; none depends on its neighbours.

    Args:
        model: the synthesizer; it is evaluated, and its mode restored.
        texts, seeds: printable ASCII, one line each, and a seed for each.
        bias: Graves' b, from 0, felt up to 3; a number, or one for each.
        primes: lines, with their texts, to go on from; one for each text.
        fused: True writes side by side, False plainly; None decides.
        noise: makes the numbers; `in_the_page.page_noise` those of demos.

    Returns: one draft for each text.
    Raises: TypeError, ValueError for other numbers of each, a changed model.
    """
    jobs = line_jobs(texts, seeds, bias, primes)
    with evaluated(model):
        if as_written(model, fused):
            return write_fast(model, jobs, noise)
        more = {"fused": fused, "noise": noise}
        return [sample_line(model, *job, **more) for job in jobs]


# -- And is it complete? --
JUDGED_BY = "weights"  # phi as it is; "shares": over its sum at each moment


def attended_characters(phi: Tensor, by: str = JUDGED_BY) -> Tensor:
    """Find the characters that the window was loud at, half as loud as ever.

    Args:
        phi: the window's weights over time, shape (T, U).
        by: "weights", phi itself; "shares", phi divided by its sum at that
            moment, where the sum is 0.1 at least.

    Returns:
        bool, shape (U,).

    Raises:
        ValueError: for other values.
    """
    if by not in ("weights", "shares"):
        raise ValueError(f"attended_characters: by is {by!r}, expected 'weights' or 'shares'")
    shaped("attended_characters", "phi", phi, "T", "U")
    if 0 in phi.shape:
        raise ValueError("attended_characters: phi is empty")
    if by == "shares":
        phi = phi / phi.sum(1, keepdim=True).clamp(min=0.1)
    peak = phi.amax(0)
    return peak >= 0.5 * peak.amax()


# -- And is it complete? --
@dataclass(frozen=True)
class Faults:
    """What the window's weights say is wrong with a line; falsy if nothing.

    Args:
        ended: whether the stop rule ended it; else the pen ran on.
        missed: place and character of all that was passed over too lightly.
        in_order: whether the characters were loudest in their order.
    """

    ended: bool = True
    missed: tuple[tuple[int, str], ...] = ()
    in_order: bool = True

    @property
    def ok(self) -> bool:
        """Whether the line is accepted."""
        return self.ended and self.in_order and not self.missed

    @property
    def key(self) -> tuple[int, int, int]:
        """What sorts lines: smaller is better, and to have ended is most."""
        return int(not self.ended), len(self.missed), int(not self.in_order)

    def __bool__(self) -> bool:
        return not self.ok

    def __str__(self) -> str:
        words = [] if self.ended else ["the pen ran on behind the text"]
        if self.missed:
            named = ", ".join(f"{c!r} (character {u})" for u, c in self.missed)
            words.append(f"the window passed over {named} too lightly")
        if not self.in_order:
            words.append("the window saw characters out of their order")
        return "; ".join(words)


class WritingError(RuntimeError):
    """No attempt at a line was accepted.

    Args:
        message: what was tried and what was wrong.
        best: the attempt that came nearest; its text is `.text`.
    """

    def __init__(self, message: str, best: Draft) -> None:
        super().__init__(message)
        self.best, self.text = best, best.strokes.text

    def __reduce__(self):
        return type(self), (str(self), self.best)


def _give_up(tries: int, wrong: object, draft: Draft) -> WritingError:
    """The error that says what the best attempt lacked."""
    return WritingError(
        f"write: {tries} attempts at {draft.strokes.text!r} failed, in the "
        f"best of them {wrong}; try another seed, more bias or another style "
        "(the attempt is the error's `best`)",
        draft,
    )


# -- And is it complete? --
def faults(draft: Draft, by: str = JUDGED_BY) -> Faults:
    """Judge a line by its window: its end, and whether letters were attended.

    The window is asked, not the ink: a letter that was attended may still be
    drawn wrong.

    Args:
        draft: one attempt at a line.
        by: the values that `attended_characters` compares.

    Returns:
        What is wrong; falsy if the line is accepted.
    """
    text = instance("faults", "draft", draft, Draft).strokes.text
    phi = draft.phi[:, : len(text)]
    heard = attended_characters(phi, by)
    if by == "shares":  # one step may lead over a space, which has no ink
        heard |= torch.tensor([sign == " " for sign in text])
    silent = (~heard).nonzero()[:, 0].tolist()
    in_order = bool((phi.argmax(0).diff() >= 0).all())
    return Faults(draft.ended, tuple((u, text[u]) for u in silent), in_order)


# -- The call to remember --
def choose_model(model) -> HandwritingSynthesizer:
    """Load the weights by name; a synthesizer is taken as it is."""
    if model is None or isinstance(model, str):
        from softattn import load

        model = load(model or "synthesis")
    if not isinstance(model, HandwritingSynthesizer):
        kind = type(model).__name__
        raise TypeError(f"write: model is a {kind}, expected a HandwritingSynthesizer")
    return model


@torch.no_grad()
def check_followed(model: HandwritingSynthesizer, prime: Strokes) -> None:
    """Raise unless the window reaches the end of a priming line's text."""
    codes = encode_texts([prime.text]).to(model.mean.device)
    phi = model(first_points(model, prime)[:, None], codes).phi[:, 0]
    seen = int(phi[-1].argmax()) + 1
    if seen < 0.6 * len(prime.text):
        raise ValueError(
            f"write: when the priming line ended, the window was at character "
            f"{seen} of {len(prime.text)}; do its strokes write "
            f"{prime.text!r}?"
        )


# -- The call to remember --
BATCH, TRIES = 64, 10  # lines at once; attempts before write gives up


def accepted_lines(model, jobs, bias, tell) -> tuple[list[Draft], list[int]]:
    """Write (text, seed, prime) until each line is accepted.

    Returns the drafts, and how often each was drawn again.
    """
    by = judged_by(model)
    drafts: list = [None] * len(jobs)
    best, again = list(drafts), [0] * len(jobs)
    waiting = sorted(range(len(jobs)), key=lambda i: len(jobs[i][0]))
    while waiting:
        now, waiting = waiting[:BATCH], waiting[BATCH:]
        texts, seeds, primes = zip(*(jobs[i] for i in now), strict=True)
        seeds = [seeds[n] + 1_000_003 * again[i] for n, i in enumerate(now)]
        hands = None if primes[0] is None else primes
        lines = sample_lines(model, texts, seeds, bias, hands)
        for i, draft in zip(now, lines, strict=True):
            drafts[i], wrong = draft, faults(draft, by)
            if not wrong:
                tell(1)
                continue
            if best[i] is None or wrong.key < best[i][0].key:
                best[i] = wrong, draft
            again[i] += 1
            if again[i] == TRIES:
                raise _give_up(TRIES, *best[i])
            waiting.append(i)
    return drafts, again


# -- The call to remember --
def write_pages(model, texts, bias, prime, seed, columns, tell, accept) -> list[Handwriting]:
    """Write each text; the first line sets the hand of those below it.

    `accept(model, jobs, bias, tell)` draws lines: drafts, and their redraws.
    """
    pages = [[s.strip() for s in wrap(t, columns) if s.strip()] for t in texts]
    jobs = [(page[0], seed + n, prime) for n, page in enumerate(pages)]
    firsts, again = accept(model, jobs, bias, tell)
    places = [(n, range(1, len(page))) for n, page in enumerate(pages)]
    rest = [(n, i) for n, lines in places for i in lines]
    seeds = [seed + n + 7919 * i for n, i in rest]
    jobs = [(pages[n][i], s, prime or firsts[n].strokes) for (n, i), s in zip(rest, seeds, strict=True)]
    below, more = accept(model, jobs, bias, tell)
    lines, redraws = [[first] for first in firsts], list(again)
    for (n, _), draft, count in zip(rest, below, more, strict=True):
        lines[n].append(draft)
        redraws[n] += count
    return [bind_page(t, columns, lines[n], seed + n, redraws[n]) for n, t in enumerate(texts)]


# -- The call to remember --
def write_checked(
    text,
    bias,
    style,
    prime,
    seed,
    model,
    columns,
    progress,
    accept=accepted_lines,
) -> Any:
    """What `write` does: judge all arguments, write, set on pages."""
    who, single = "write", isinstance(text, str)
    texts = check_texts([text] if single else text, plain_text)
    bias = real(who, "bias", bias, 0, MOST_BIAS)
    columns = whole(who, "columns", columns, 8, 1000)
    if seed is None:
        seed = secrets.randbelow(2**31)  # the global generator is not touched
    seed = whole(who, "seed", seed, -SEEDS, SEEDS)
    prime, model = choose_hand(style, prime, plain_text), choose_model(model)
    total = sum(bool(s.strip()) for t in texts for s in wrap(t, columns))
    bar = tqdm(total=total, unit="line", disable=not progress)
    with evaluated(model), bar:
        if prime is not None:
            check_followed(model, prime)
        how = bias, prime, seed, columns, bar.update, accept
        pages = write_pages(model, texts, *how)
    return pages[0] if single else pages


# -- The call to remember --
Model = HandwritingSynthesizer | str | None


@overload
def write(
    text: str,
    bias: float = 0.75,
    style: str | None = None,
    prime: Strokes | None = None,
    seed: int | None = None,
    *,
    model: Model = None,
    columns: int = 48,
    progress: bool = False,
) -> Handwriting: ...
@overload
def write(
    text: Iterable[str],
    bias: float = 0.75,
    style: str | None = None,
    prime: Strokes | None = None,
    seed: int | None = None,
    *,
    model: Model = None,
    columns: int = 48,
    progress: bool = False,
) -> list[Handwriting]: ...


# -- The call to remember --
def write(
    text: str | Iterable[str],
    bias: float = 0.75,
    style: str | None = None,
    prime: Strokes | None = None,
    seed: int | None = None,
    *,
    model: Model = None,
    columns: int = 48,
    progress: bool = False,
) -> Handwriting | list[Handwriting]:
    """Write a text by hand, and let nobody read it: see `softattn.write`.

    Lines whose window shows a fault are drawn again; ten attempts at most.

    Args:
        text: printable ASCII and line breaks; or several texts.
        bias: 0 is as varied as the training data; more is neater; up to 100.
        style: name of a hand that comes with the weights, see `styles()`.
        prime: a line to go on from, with its text, in raw units.
        seed: the same writes the same, alone and in any list; None draws one,
            told as `.seed`. Text n of several has seed + n.
        model: the synthesizer, or the name of weights.
        columns: characters per line, 8 to 1,000; longer texts are wrapped.
        progress: whether to show a progress bar.

    Returns:
        The handwriting; a list for several texts.

    Raises:
        TypeError, ValueError: for what cannot be written, and says why.
        WritingError: if ten attempts at a line were not accepted.
    """
    how = bias, style, prime, seed, model, columns, progress
    return write_checked(text, *how)

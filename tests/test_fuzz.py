"""Wrong arguments everywhere: the public surface gives a result that is right, or an error of its own with a sentence.

For each call below, one argument after the other is replaced by values that somebody might pass by mistake. Beside
each argument stands what it may be: where a value is allowed, the call must return; where it is not, softattn itself
must raise a ValueError, TypeError or OSError that says what came and what was expected. A few arguments (tensors
above all) may be either; an error from inside torch or numpy, a hang or a crash is red all the same.
"""

import atexit
import io
import math
import shutil
import signal
import sys
import tarfile
import tempfile
import traceback
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

import softattn

HOUSE = str(Path(softattn.__file__).resolve().parent)
SECONDS = 20  # no call here takes one second; what takes twenty hangs

# -- what people pass --------------------------------------------------------------------------------------------------

SCALARS: dict[str, Any] = {
    "None": None,
    "True": True,
    "0": 0,
    "-1": -1,
    "3": 3,
    "np.int64(2)": np.int64(2),
    "2.5": 2.5,
    "np.float32(0.5)": np.float32(0.5),
    "nan": math.nan,
    "inf": math.inf,
    "10**30": 10**30,
    "''": "",
    "'abc'": "abc",
    "b'ab'": b"ab",
    "[]": [],
    "[1, 2]": [1, 2],
    "{}": {},
    "object()": object(),
    "tensor(2.)": torch.tensor(2.0),
}


def tensors(right: torch.Tensor) -> dict[str, Any]:
    """Values instead of a tensor: other types, shapes, numbers, and what is no tensor at all."""
    flat = right.reshape(-1)
    return {
        "None": None,
        "2": 2,
        "'abc'": "abc",
        "[1.0]": [1.0],
        "object()": object(),
        "int64": right.long() if right.is_floating_point() else right.float(),
        "uint8": right.to(torch.uint8),
        "bool": right.bool(),
        "complex": right.to(torch.complex64),
        "numpy": right.numpy(),
        "a dimension more": right[None],
        "a dimension less": right[0] if right.ndim else right,
        "one row short": right[:-1] if right.ndim else right,
        "one column short": right[..., :-1] if right.ndim else right,
        "empty": right[:0] if right.ndim else right,
        "scalar": flat[0] if flat.numel() else right,
        **({"nan": torch.full_like(right, math.nan)} if right.is_floating_point() else {"negative": -right.long() - 1}),
    }


class Kind(NamedTuple):
    """What an argument may be: the values to try, and whether each is allowed (None: either way)."""

    values: Callable[[Any], dict[str, Any]]
    allows: Callable[[Any], bool | None]


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _is_real(value: Any) -> bool:
    return (_is_whole(value) or isinstance(value, float | np.floating)) and bool(abs(value) < 1e29)


def whole(least: int, most: int = 60_000, none: bool = False) -> Kind:
    """A whole number within bounds."""
    return Kind(lambda _: SCALARS, lambda v: (none and v is None) or (_is_whole(v) and least <= v <= most))


def real(least: float = -1e29, most: float = 1e29, none: bool = False, above: bool = False) -> Kind:
    """A number within bounds; `above`: larger than the lower one."""
    return Kind(
        lambda _: SCALARS,
        lambda v: True if none and v is None else _within(v, least, most, above),
    )


def _within(value: Any, least: float, most: float, above: bool) -> bool | None:
    """Whether a number is within bounds; where there is no upper one, an absurd number may be either."""
    if _is_whole(value) and abs(value) > 1e29:
        return None if most >= 1e29 else False
    return _is_real(value) and bool(value > least if above else value >= least) and bool(value <= most)


def without(kind: Kind, *labels: str) -> Kind:
    """The same, but for values that are right and slow."""
    return Kind(lambda right: {k: v for k, v in kind.values(right).items() if k not in labels}, kind.allows)


def flag() -> Kind:
    """True or False; what is merely true or false in Python may pass."""
    return Kind(lambda _: SCALARS, lambda v: True if isinstance(v, bool) else None)


def one_of(*names: Any) -> Kind:
    """One of a few values."""
    return Kind(lambda _: SCALARS, lambda v: any(v is n or (isinstance(v, str) and v == n) for n in names))


def tensor() -> Kind:
    """A tensor: whether another type or shape is taken is not judged here, only that it is a result or a sentence."""
    return Kind(tensors, lambda _: None)


def anything() -> Kind:
    """No scalar is judged, only that the answer is a result or a sentence."""
    return Kind(lambda _: SCALARS, lambda _: None)


def wrong() -> Kind:
    """None of the values is allowed: the argument is a thing of its own (a model, a list of lines, a generator)."""
    return Kind(lambda _: SCALARS, lambda _: False)


class Call(NamedTuple):
    """A call that works, and the kinds of its arguments."""

    function: Callable[..., Any]
    arguments: dict[str, Any]  # name -> value, or a function that makes one
    kinds: dict[str, Kind]


def made(value: Any) -> Any:
    """Arguments that a call uses up or changes are given as functions that make them."""
    return value() if type(value) is type(made) else value


@contextmanager
def limited(seconds: int):
    """Raise TimeoutError in a call that hangs: after seconds of the processor, or six times as many of waiting."""

    def ring(*_):
        raise TimeoutError(f"still running after {seconds} s")

    before = {kind: signal.signal(kind, ring) for kind in (signal.SIGPROF, signal.SIGALRM)}
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.alarm(6 * seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        for kind, handler in before.items():
            signal.signal(kind, handler)


def judge(call: Call, argument: str, value: Any, allowed: bool | None) -> str:
    """Make a call with one argument replaced; say what is wrong with its answer, "" if nothing."""
    arguments = {name: made(v) for name, v in call.arguments.items()} | {argument: value}
    try:
        with limited(SECONDS), torch.random.fork_rng(devices=[]):
            call.function(**arguments)
    except Exception as err:
        frames = traceback.extract_tb(err.__traceback__)
        last = frames[-1]  # ours is what softattn raises itself, not what Python does at a line of its
        ours = last.filename.startswith(HOUSE) and (last.line or "").startswith("raise ")
        words = str(err)
        if not isinstance(err, ValueError | TypeError | OSError | NotImplementedError) or not ours:
            place = f"{Path(last.filename).name}:{last.lineno}"
            return f"{type(err).__name__} from {place}: {words.splitlines()[0][:90] if words else ''}"
        if len(words) < 25 or "\n" in words.strip():
            return f"no sentence: {words!r}"
        return f"refused, though it is allowed: {words}" if allowed else ""
    return "accepted, though it is not allowed" if allowed is False else ""


# Modules whose wrong arguments still get errors from inside torch: to be emptied.
PENDING: set[str] = set()


# -- the table ---------------------------------------------------------------------------------------------------------

CALLS: dict[str, Call] = {}


def call(name: str, function: Callable[..., Any], /, **arguments: tuple[Any, Kind] | Any) -> None:
    """Add a call: each argument is a value, or a pair (value, kind) where it is to be replaced."""
    pairs = {k: v for k, v in arguments.items() if isinstance(v, tuple) and len(v) == 2 and isinstance(v[1], Kind)}
    CALLS[name] = Call(
        function,
        {k: v[0] if k in pairs else v for k, v in arguments.items()},
        {k: v[1] for k, v in pairs.items()},
    )


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _table() -> None:
    """All calls; called below, so that an import that fails names its test."""
    from softattn import draw, filterbank, fused_draw, glimpse, lstm, mixture, prediction, training, vae, window

    x = torch.rand(4, 2, 3)
    state = (torch.zeros(2, 5), torch.zeros(2, 5))
    sizes = dict(
        input_size=(3, whole(1)), hidden_size=(5, whole(1)), peephole=(True, flag()), forget_bias=(1.0, real())
    )
    for kind in (lstm.LSTMCell, lstm.PeepholeLSTM):
        call(f"lstm.{kind.__name__}", kind, **sizes)
    cell, net = lstm.LSTMCell(3, 5), lstm.PeepholeLSTM(3, 5)
    call("lstm.LSTMCell.forward", cell, x=(x[0], tensor()), state=(state, anything()))
    call("lstm.PeepholeLSTM.forward", net, x=(x, tensor()), state=(state, anything()))
    call("lstm.PeepholeLSTM.reset", net, x=x, reset=(torch.zeros(4, 2, dtype=torch.bool), tensor()))
    call("lstm.PeepholeLSTM.from_torch", lstm.PeepholeLSTM.from_torch, lstm=(torch.nn.LSTM(3, 5), wrong()))
    call("lstm.chrono_", lstm.chrono_, bias=(lambda: torch.zeros(8), tensor()), longest=(9, whole(3)))

    call("window.SoftWindow", window.SoftWindow, hidden_size=(5, whole(1)), components=(2, whole(1)),
         pace=(0.1, real(0, above=True)))  # fmt: skip
    call("window.WindowLSTM", window.WindowLSTM, input_size=(3, whole(1)), hidden_size=(5, whole(1)),
         alphabet=(4, whole(1)), components=(2, whole(1)), pace=(0.1, real(0, above=True)))  # fmt: skip
    looker, chars = window.WindowLSTM(3, 5, 4, 2), torch.eye(4)[None, :, :].repeat(2, 1, 1)
    mask, rows = torch.ones(2, 4, dtype=torch.bool), torch.zeros(4, 2, dtype=torch.int64)
    call("window.WindowLSTM.forward", looker, x=(x, tensor()), chars=(chars, tensor()), mask=(mask, tensor()))
    call("window.WindowLSTM.rows", looker, x=x, chars=chars, rows=(rows, tensor()), state=(None, anything()))
    phi, truth = torch.rand(6, 2, 4), torch.randint(4, (6, 2))
    call("window.alignment_curve", window.alignment_curve, phi=(phi, tensor()), truth=(truth, tensor()),
         lags=([0, 1], anything()))  # fmt: skip
    call("window.alignment_share", window.alignment_share, phi=(phi, tensor()), truth=(truth, tensor()),
         lag=(0, whole(-5, 5)))  # fmt: skip
    call("window.window_place", window.window_place, phi=(phi, tensor()))

    raw, stroke = torch.randn(3, 13), torch.rand(3, 3).round()
    call("mixture.StrokeMixture", mixture.StrokeMixture, raw=(raw, tensor()), floor=(0.1, anything()))
    density = mixture.StrokeMixture(raw)
    call("mixture.log_prob", density.log_prob, stroke=(stroke, tensor()))
    call("mixture.log_prob_offset", density.log_prob_offset, xy=(stroke[:, :2], tensor()))
    call("mixture.density", density.density, xy=(stroke[:, :2], tensor()))
    call("mixture.sample", density.sample, bias=(0.5, anything()), generator=(seeded, anything()))

    call("filterbank.Filterbank", filterbank.Filterbank, height=(8, whole(3)), width=(8, whole(3)), n=(3, whole(2, 8)))
    bank, images, aim = filterbank.Filterbank(8, 9, 3), torch.rand(2, 1, 8, 9), torch.zeros(2, 5)
    call("filterbank.read", bank.read, images=(images, tensor()), raw=(aim, tensor()))
    call("filterbank.write", bank.write, patch=(torch.rand(2, 1, 3, 3), tensor()), raw=(aim, tensor()))
    call("filterbank.box", bank.box, raw=(aim, tensor()))
    call("filterbank.filters", bank.filters, raw=(aim, tensor()))
    call("filterbank.params", bank.params, raw=(aim, tensor()))

    call("glimpse.GlimpseClassifier", glimpse.GlimpseClassifier, image_shape=((1, 8, 9), anything()),
         glimpses=(2, whole(1)), grid=(3, whole(2, 8)), hidden=(4, whole(1)), classes=(3, whole(1)))  # fmt: skip
    reader = glimpse.GlimpseClassifier((1, 8, 9), 2, 3, 4, 3)
    call("glimpse.forward", reader, x=(images, tensor()))
    logits, answers = torch.zeros(2, 2, 3), torch.tensor([0, 2])
    call("glimpse.glimpse_nats", glimpse.glimpse_nats, logits_by_glimpse=(logits, tensor()),
         labels=(answers, tensor()))  # fmt: skip

    call("vae.VAE", vae.VAE, image_shape=((1, 4, 4), anything()), latent=(2, whole(1)), hidden=(4, whole(1)),
         layers=(1, whole(1, 9)), dropout=(0.0, real(0, 0.999)))  # fmt: skip
    coder, digits = vae.VAE((1, 4, 4), 2, 4), torch.rand(2, 1, 4, 4).round()
    call("vae.forward", coder, x=(digits, tensor()), generator=(seeded, anything()))
    call("vae.encode", coder.encode, x=(digits, tensor()))
    call("vae.decode", coder.decode, z=(torch.zeros(2, 2), tensor()))
    call("vae.importance_nats", coder.importance_nats, x=(digits, tensor()), k=(2, whole(1)),
         generator=(seeded, anything()))  # fmt: skip
    call("vae.reparametrise", vae.reparametrise, mu=(torch.zeros(2, 3), tensor()),
         log_sigma=(torch.zeros(2, 3), tensor()), generator=(seeded, anything()))  # fmt: skip
    call("vae.generate", coder.generate, n=(2, whole(0)), generator=(seeded, anything()))
    call("vae.bernoulli_nats", vae.bernoulli_nats, logits=(digits, tensor()), x=(digits, tensor()))
    call("vae.kl_from_standard", vae.kl_from_standard, mu=(torch.zeros(2, 3), tensor()),
         log_sigma=(torch.zeros(2, 3), tensor()))  # fmt: skip

    call("draw.DRAW", draw.DRAW, image_shape=((1, 8, 8), anything()), steps=(2, whole(1)), hidden=(4, whole(1)),
         latent=(2, whole(1)), read_size=(2, whole(2, 8)), write_size=(5, whole(2, 8)),
         attention=(True, flag()))  # fmt: skip
    painter, pictures = draw.DRAW((1, 8, 8), 2, 4, 2, 2, 3), torch.rand(2, 1, 8, 8).round()
    call("draw.forward", painter, x=(pictures, tensor()), generator=(seeded, anything()), keep=(False, flag()),
         fused=(True, flag()))  # fmt: skip
    call("draw.importance_nats", painter.importance_nats, x=(pictures, tensor()), k=(2, whole(1)),
         generator=(seeded, anything()))  # fmt: skip
    call("draw.generate", painter.generate, n=(2, whole(0)), generator=(seeded, anything()))
    call("draw.trajectory", painter.trajectory, n=(2, whole(0)), generator=(seeded, anything()))
    codes, said = torch.zeros(2, 2, painter.latent), torch.zeros(2, 10 + 3 * 3)
    call("draw.decode", painter.decode, z=(codes, tensor()))
    call("draw.read", painter.read, x=(pictures, tensor()), error=(pictures, tensor()), decoder_out=(said, tensor()))
    call("draw.write", painter.write, decoder_out=(said, tensor()))
    e, d, q, y = painter.encoder, painter.decoder, painter.posterior, painter.write_head
    call("fused_draw.fused_draw", fused_draw.fused_draw, x=(pictures, tensor()), noise=(codes, tensor()),
         canvas=(painter.canvas.detach(), tensor()), start=(painter.start.detach(), tensor()),
         encoder=(e.weight_x, e.weight_h, e.bias), decoder=(d.weight_x, d.weight_h, d.bias),
         posterior=(q.weight, q.bias), head=(y.weight, y.bias), sizes=(2, 3), bound=5.0)  # fmt: skip
    blind = draw.DRAW((1, 3, 3), 2, 4, 2, attention=False)
    call("draw.write, whole", blind.write, decoder_out=(torch.zeros(2, 9), tensor()))

    call("prediction.PredictionNetwork", prediction.PredictionNetwork, input_size=(3, whole(1)),
         hidden_size=(4, whole(1)), num_layers=(2, whole(1, 99)), output_size=(3, whole(1)),
         dropout=(0.0, real(0, 0.999)))  # fmt: skip
    predictor = prediction.PredictionNetwork(3, 4, 2, 3)
    call("prediction.forward", predictor, x=(x, tensor()), state=(None, anything()))

    call("training.cosine", training.cosine, steps=(9, whole(1)), warmup=(2, whole(0, 9)), floor=(0.0, real(0, 1)))
    call("training.warmup_stable_decay", training.warmup_stable_decay, steps=(9, whole(4)), warmup=(2, whole(0, 7)),
         decay=(2, whole(0, 7)))  # fmt: skip


def _pens() -> None:
    """Calls of the pen's modules."""
    from softattn import handwriting, iam, pen, strokes

    line = pen.EmbeddedWriter(1).write("abc")
    call("strokes.Strokes", strokes.Strokes, offsets=(line.offsets, tensor()), text=("abc", anything()))
    call("strokes.Strokes.from_absolute", strokes.Strokes.from_absolute, points=(line.to_absolute(), tensor()))
    call("strokes.Strokes.from_json", strokes.Strokes.from_json, stored=(line.to_json(), anything()))
    call("strokes.Strokes.svg", line.svg, width=(640, whole(1, none=True)), pen=(8.0, real(0, above=True)))
    call("strokes.pad", strokes.pad, lines=([line], wrong()))
    call("strokes.stroke_statistics", strokes.stroke_statistics, lines=([line], wrong()))
    call("pen.EmbeddedWriter", pen.EmbeddedWriter, seed=(1, anything()))
    call("pen.EmbeddedWriter.write", pen.EmbeddedWriter(1).write, text=("abc", one_of("abc")))
    call("pen.embedded_text", pen.embedded_text, rng=(lambda: np.random.default_rng(0), wrong()),
         low=(3, whole(1, 44)), high=(44, whole(16)))  # fmt: skip
    call("iam.load_strokes", iam.load_strokes, source=("embedded", one_of("embedded")),
         lines=(3, without(whole(1), "None")))  # fmt: skip

    sizes = dict(hidden_size=(4, whole(1)), num_layers=(1, whole(1, 99)), mixtures=(2, whole(2)))
    call("handwriting.HandwritingPredictor", handwriting.HandwritingPredictor, **sizes,
         mean=((0.0, 0.0), anything()), std=((1.0, 1.0), anything()), dropout=(0.0, real(0, 0.999)))  # fmt: skip
    net, lines = handwriting.HandwritingPredictor(4, 1, 2, std=(40.0, 40.0)), [line, line]
    call("handwriting.forward", net, x=(torch.zeros(3, 2, 3), tensor()), state=(None, anything()))
    call("handwriting.scores", net.scores, lines=(lines, wrong()), floor=(0.3, real(0)), batch=(2, whole(1)))
    call("handwriting.nats", net.nats, lines=(lines, wrong()), floor=(0.3, real(0)))
    call("handwriting.scribble", net.scribble, points=(3, whole(1)), bias=(0.5, real(0)), prime=(None, anything()),
         generator=(seeded, anything()))  # fmt: skip
    call("handwriting.expected_ink", handwriting.expected_ink, model=(net, wrong()), line=(line, wrong()),
         cell=(8.0, real(1)))  # fmt: skip


def _pictures() -> None:
    """Calls of digits, attention and figures."""
    from softattn import alignment, attention, housenumbers, images, pictures, svhn

    grey = torch.rand(3, 1, 4, 4)
    call("images.Images", images.Images, pixels=((grey * 255).to(torch.uint8), tensor()))
    call("images.binarise", images.binarise, images=(grey, tensor()), generator=(seeded, wrong()))
    call("images.embedded_digits", images.embedded_digits, n=(3, whole(1)), split=("train", one_of("train")))
    call("images.load_digits", images.load_digits, source=("embedded", one_of("embedded")),
         n=(3, without(whole(1), "None")))  # fmt: skip
    some = (grey.expand(3, 3, 4, 4) * 255).to(torch.uint8)
    call("svhn.HouseNumbers", svhn.HouseNumbers, pixels=(some, tensor()), numbers=(("1", "2", "3"), wrong()))
    call("svhn.embedded_house_numbers", svhn.embedded_house_numbers, n=(1, whole(1, 3)),
         split=("train", one_of("train")))  # fmt: skip
    call("svhn.windows", svhn.windows, pixels=(grey, tensor()), side=(2, whole(1, 4)), generator=(seeded, anything()))
    call("housenumbers.pixel_entropy", housenumbers.pixel_entropy, x=(grey, tensor()))
    call("housenumbers.logistic_nats", housenumbers.logistic_nats, mean=(grey, tensor()),
         log_scale=(torch.zeros(1, 1, 1), tensor()), x=(grey, tensor()))  # fmt: skip
    call("housenumbers.bits_per_dimension", housenumbers.bits_per_dimension, nats=(torch.ones(3), tensor()),
         shape=((1, 4, 4), without(wrong(), "[1, 2]")))  # fmt: skip
    call("images.read_idx", images.read_idx, content=(bytes([0, 0, 8, 1, 0, 0, 0, 1, 7]), wrong()))

    call("attention.CellReader", attention.CellReader, pixels=(18, whole(1)), classes=(10, whole(1)))
    reader, cells = attention.CellReader(), torch.rand(2, 4, 18)
    call("attention.CellReader.forward", reader, cells=(cells, tensor()))
    digit = torch.tensor([1, 2])
    call("attention.soft_loss", attention.soft_loss, reader=(reader, wrong()), cells=(cells, tensor()),
         digit=(digit, tensor()))  # fmt: skip

    sizes = dict(query_size=(3, whole(1)), key_size=(4, whole(1)), hidden_size=(5, whole(1)))
    call("alignment.AdditiveAttention", alignment.AdditiveAttention, **sizes)
    look = alignment.AdditiveAttention(3, 4, 5)
    call("alignment.AdditiveAttention.forward", look, query=(torch.rand(2, 3), tensor()),
         keys=(torch.rand(2, 6, 4), tensor()), mask=(torch.ones(2, 6, dtype=torch.bool), tensor()))  # fmt: skip
    sizes = dict(embedding_size=(3, whole(1)), encoder_size=(4, whole(1)), decoder_size=(5, whole(1)))
    call("alignment.DateTranslator", alignment.DateTranslator, attention=(True, flag()), **sizes)
    small = alignment.DateTranslator(True, 3, 4, 5, 4)
    call("alignment.translate", small.translate, texts=(["3 May 1999"], wrong()), longest=(10, whole(1)))

    call("pictures.figure", pictures.figure, width=(7.0, real(0, 60, above=True)),
         height=(3.0, real(0, 60, above=True)), rows=(1, whole(1, 40)), columns=(1, whole(1, 40)))  # fmt: skip
    call("pictures.demo_html", pictures.demo_html, name=("vae", wrong()), alt=("a picture", anything()))
    call("pictures.figure_html", pictures.figure_html, fig=(lambda: pictures.figure()[0], wrong()),
         alt=("a picture", anything()))  # fmt: skip


def _writing() -> None:
    """Calls of the synthesizer and of pages."""
    from softattn import page, synthesis

    sizes = dict(hidden_size=(4, whole(1)), num_layers=(1, whole(1, 9)), components=(2, whole(1)),
                 mixtures=(2, whole(2)))  # fmt: skip
    call("synthesis.HandwritingSynthesizer", synthesis.HandwritingSynthesizer, **sizes,
         mean=((0.0, 0.0), anything()), std=((1.0, 1.0), anything()), dropout=(0.0, real(0, 0.999)))  # fmt: skip
    net = synthesis.HandwritingSynthesizer(4, 1, 2, 2, std=(40.0, 40.0))
    codes, stops = synthesis.encode_texts(["ab", "c"]), torch.zeros(3, 2, dtype=torch.bool)
    call("synthesis.forward", net, x=(torch.zeros(3, 2, 3), tensor()), text=(codes, tensor()),
         state=(None, anything()), reset=(stops, tensor()), fused=(None, flag()))  # fmt: skip
    call("synthesis.nats", net.nats, lines=([_line()], wrong()), floor=(0.3, real(0)))
    call("synthesis.encode_texts", synthesis.encode_texts, texts=(["ab", "c"], one_of("abc")))
    call("synthesis.attended_characters", synthesis.attended_characters, phi=(torch.rand(5, 3), tensor()),
         by=("weights", wrong()))  # fmt: skip
    draft = synthesis.Draft(_line(), torch.rand(len(_line()), 4), True)
    call("synthesis.faults", synthesis.faults, draft=(draft, wrong()), by=("weights", wrong()))
    call("synthesis.sample_lines", _short(synthesis.sample_lines), model=(net, wrong()), texts=(["a"], one_of()),
         seeds=([1], wrong()), bias=(0.5, anything()), primes=(None, one_of(None)),
         fused=(None, flag()))  # fmt: skip
    call("synthesis.write", _short(synthesis.write), text=("a", one_of("abc")), bias=(0.75, real(0, 100)),
         style=(None, one_of(None)), prime=(None, one_of(None)), seed=(1, whole(-(2**62), 2**62, none=True)),
         model=(net, without(wrong(), "None", "''")), columns=(48, whole(8, 1000)),
         progress=(False, flag()))  # fmt: skip

    call("page.wrap", page.wrap, text=("one two", one_of("", "abc")), columns=(9, whole(1)))
    call("page.ink_height", page.ink_height, line=(_line(), wrong()))
    call("page.ink_slant", page.ink_slant, line=(_line(), wrong()))
    call("page.Handwriting", page.Handwriting, offsets=(_line().offsets, tensor()), text=("abc", one_of("", "abc")))
    trace = [[0.0, 0, 0, 0], [9.0, 3, 0.1, 0], [19.0, 3, 0.2, 1]]
    call("page.from_pad", page.from_pad, trace=(trace, wrong()), text=("ab", one_of("abc")))
    call("page.writing_pad", page.writing_pad, text=("ab", one_of("", "abc")))


def _paper(here: Path) -> None:
    """Calls that set ink on paper and read it from files."""
    from softattn import collect, ink, paper

    line, length = _line(), anything()  # a length may be a number or a text
    call("paper.lay_out", paper.lay_out, ink=(line, wrong()), size=(7.0, length), paper=("A5", length),
         margin=(5.0, length), line_height=(None, length), align=("left", one_of()))  # fmt: skip
    sheet = paper.lay_out(line)[0]
    call("paper.Sheet", paper.Sheet, width=(9.0, real(0.1, 1e5)), height=(9.0, real(0.1, 1e5)),
         strokes=((np.zeros((1, 2)),), wrong()), text=("a", one_of("", "abc")))  # fmt: skip
    call("paper.smooth_stroke", paper.smooth_stroke, stroke=(np.zeros((3, 2)), wrong()), pieces=(4, whole(1, 64)))
    look = dict(pen=(0.5, length), color=("black", anything()), smooth=(True, flag()), swell=(0.0, real(0, 2)))
    call("paper.sheet_svg", paper.sheet_svg, sheet=(sheet, wrong()), **look, width=(64, whole(1, none=True)),
         background=(None, anything()))  # fmt: skip
    call("paper.sheet_gcode", paper.sheet_gcode, sheet=(sheet, wrong()), feed=(1500.0, real(1, 1e6)),
         up=("M5", anything()), down=("M3", anything()), bed=(None, anything()), smooth=(True, flag()))  # fmt: skip
    call("paper.save_sheets", paper.save_sheets, path=(here / "s.svg", wrong()), sheets=([sheet], wrong()), **look)
    inks = here / "inks"  # not beside cards of weights
    inks.mkdir(exist_ok=True)
    call("ink.save_ink", ink.save_ink, path=(inks / "i.json", wrong()), ink=(line, wrong()))
    call("ink.load_ink", ink.load_ink, path=(inks / "i.json", wrong()), text=(None, one_of(None, "", "abc")),
         y_up=(None, one_of(None, True)), rate=(None, real(1, 1e5, none=True)),
         scale=(None, real(1e-6, 1e6, none=True)), level=(None, one_of(None, True)))  # fmt: skip
    line.save(inks / "i.json")
    call("collect.prompts", collect.prompts, count=(20, whole(1, 60)))


def _line() -> Any:
    from softattn.pen import EmbeddedWriter

    return EmbeddedWriter(1).write("abc")


def _short(function: Callable[..., Any]) -> Callable[..., Any]:
    """Write lines of few points, all accepted: only the arguments are judged here."""

    def shortened(**arguments):
        from softattn import synthesis

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(synthesis, "point_limit", lambda text: 9)
            patch.setattr(synthesis, "faults", lambda *_: synthesis.Faults())
            return function(**arguments)

    return shortened


def _files() -> None:
    """Calls that read and write files; each has a folder of its own."""
    from softattn import hub, iam, images, pen, pictures, svhn

    here = Path(tempfile.mkdtemp(prefix="softattn-fuzz-"))
    atexit.register(shutil.rmtree, here, ignore_errors=True)
    card = {"class": "softattn.lstm.LSTMCell", "config": {"input_size": 1, "hidden_size": 1}, "data": "", "licence": ""}
    from softattn.lstm import LSTMCell

    path, cell = here / "own.safetensors", LSTMCell(1, 1)
    hub.save_weights(path, cell.state_dict(), card)
    call("hub.save_weights", hub.save_weights, path=(path, wrong()), state_dict=(cell.state_dict(), wrong()),
         card=(card, wrong()), dtype=(None, one_of(None)))  # fmt: skip
    call("hub.load", hub.load, name_or_path=(path, wrong()), device=(None, one_of(None)), cls=(None, one_of(None)))
    call("hub.weights", hub.weights, folder=(here, anything()))
    (here / "results").mkdir()
    (here / "results" / "lstm.json").write_text("{}")
    call("hub.results", _beside(here, hub.results), name=("lstm", wrong()))
    call("hub.atomic_write", _written, path=(here / "a.txt", without(one_of("abc"), "'abc'")))
    call("hub.safe_members", lambda archive: list(hub.safe_members(archive)), archive=(_archive, wrong()))

    _paper(here)
    line, elsewhere = _line(), dict(root=(here, anything()))
    call("strokes.save", line.save, path=(here / "a.svg", wrong()), width=(64, whole(1, none=True)),
         color=("black", anything()), pen=(8.0, real(0, above=True)))  # fmt: skip
    call("strokes.save a picture", line.save, path=here / "a.png", width=(64, whole(1, 9999, none=True)),
         color=("black", wrong()), pen=(8.0, real(0, 1000, above=True)))  # fmt: skip
    call("strokes.plot", line.plot, ax=(None, one_of(None)), linewidth=(1.2, anything()))
    call("pen.Hand", pen.Hand, font=("cursive", wrong()), slant=(0.1, anything()), pace=(0.7, anything()))
    via, first = np.array([[0.0, 0], [9, 9]]), np.array([True, False])
    call("pen.pen_path", pen.pen_path, via=(via, wrong()), first=(first, anything()),
         time=(np.array([0.0, 9]), anything()), overlap=(2.0, real(0, 10_000)))  # fmt: skip
    bad = one_of()
    call("iam.load_strokes elsewhere", _absent(iam.load_strokes), source=("iam", wrong()), split=("train", bad),
         **elsewhere, clean=(False, flag()))  # fmt: skip
    call("iam.load_iam", _absent(iam.load_iam), split=("train", bad), **elsewhere, cache=(here, anything()))
    call("images.load_mnist", _absent(images.load_mnist), split=("train", bad), **elsewhere, download=False)
    call("images.load_binarised", _absent(images.load_binarised), split=("train", bad), **elsewhere)
    call("svhn.load_svhn", _absent(svhn.load_svhn), split=("train", bad), **elsewhere, format=(2, whole(1, 2)),
         n=(None, whole(1, none=True)))  # fmt: skip
    call("pictures.show", pictures.show, name=("vae", bad), alt=("a picture", one_of("", "abc")))
    call("pictures.show_figure", pictures.show_figure, fig=(lambda: pictures.figure()[0], bad),
         alt=("a picture", one_of("abc")))  # fmt: skip


def _beside(folder: Path, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of softattn.hub, as if the package stood in this folder."""

    def moved(**arguments):
        from softattn import hub

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(hub, "__file__", str(folder / "hub.py"))
            return function(**arguments)

    return moved


def _written(path) -> None:
    from softattn.hub import atomic_write

    with atomic_write(path) as beside:
        beside.write_text("a")


def _archive() -> tarfile.TarFile:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a"))
    file.seek(0)
    return tarfile.open(fileobj=file)


def _absent(function: Callable[..., Any]) -> Callable[..., Any]:
    """What reads files that are not here: the right answer is to say so."""

    def asked(**arguments):
        try:
            function(**arguments)
        except FileNotFoundError as err:
            if (
                "is not there" not in str(err)
                and "lacks" not in str(err)
                and "holds neither" not in str(err)
                and "http" not in str(err)
            ):
                raise

    return asked


def _teaching() -> None:
    """The rest of attention, alignment and images."""
    import datetime

    from softattn import alignment, attention, images

    lines = dict(examples=(2, whole(1)), cells=(3, whole(1)), noise=(0.2, real(0)))
    call("attention.clutter_line", attention.clutter_line, **lines, generator=(seeded, wrong()))
    reader, cells, digit = attention.CellReader(), torch.rand(2, 4, 18), torch.tensor([1, 2])
    read = dict(reader=(reader, wrong()), cells=(cells, tensor()), digit=(digit, tensor()))
    call("attention.enumerated_loss", attention.enumerated_loss, **read)
    call("attention.reinforce_loss", attention.reinforce_loss, **read, generator=(seeded, wrong()),
         draws=(2, whole(1)), baseline=(0.0, real()))  # fmt: skip
    call("attention.straight_through_loss", attention.straight_through_loss, **read, generator=(seeded, wrong()),
         draws=(2, whole(1)))  # fmt: skip
    call("attention.learn_to_look", attention.learn_to_look, estimator=("soft", wrong()), generator=(seeded, wrong()),
         steps=(1, without(whole(0), "3")), policy_rate=(0.003, real(0)), every=(1, whole(1)),
         watch=(None, one_of(None)))  # fmt: skip

    today = torch.tensor([datetime.date(2017, 5, 4).toordinal()])
    call("alignment.calendar_days", alignment.calendar_days, held_out=(True, flag()))
    call("alignment.date_pairs", alignment.date_pairs, days=(today, tensor()), count=(2, whole(1)),
         length=(1, whole(1)), generator=(seeded, wrong()))  # fmt: skip
    pairs = alignment.date_pairs(today, 2, 1, seeded())
    call("alignment.date_batch", alignment.date_batch, pairs=(pairs, wrong()), size=(2, whole(1)),
         generator=(seeded, wrong()))  # fmt: skip
    model = alignment.DateTranslator(True, 3, 4, 5, 4)
    call("alignment.DateTranslator.forward", model, source=(pairs.source, tensor()), target=(pairs.target, tensor()))
    call("alignment.date_loss", alignment.date_loss, model=(model, wrong()),
         batch=(lambda: alignment.date_batch(pairs, 2, seeded()), wrong()))  # fmt: skip
    call("alignment.exact_share", alignment.exact_share, model=(model, wrong()), pairs=(pairs, wrong()))

    _reading()
    stroke = np.array([[0.0, 0], [9, 9]])
    call("images.rasterise", images.rasterise, polylines=([stroke], wrong()), thickness=(2.5, real(0, 20, above=True)),
         size=(28, whole(4, 4096)), box=(20.0, real(2.5, 28, none=True, above=True)))  # fmt: skip
    some = images.Images(torch.zeros(3, 1, 4, 4, dtype=torch.uint8))
    call("images.floats", some.floats, index=(slice(2), anything()))
    call("images.batch", some.batch, n=(2, whole(1)), generator=(seeded, wrong()))
    call("images.Images[...]", some.__getitem__, index=(slice(2), anything()))
    told = images.Images(torch.zeros(3, 1, 4, 4, dtype=torch.uint8), torch.arange(3))
    call("images.cluttered", images.cluttered, images=(told, wrong()), n=(2, whole(1)), generator=(seeded, wrong()),
         size=(6, whole(4, 9999)), distractors=(2, whole(0)), crop=(2, whole(1, 4)), digits=(1, whole(1)))  # fmt: skip


def _looking_back() -> None:
    """Calls of lineage and transformer."""
    from softattn import lineage, transformer

    q, k, v = (torch.rand(2, n, 4) for n in (3, 5, 5))
    mask = torch.ones(2, 3, 5, dtype=torch.bool)
    for function in (lineage.dot_product_weights, lineage.dot_product_attention):
        value = {} if function is lineage.dot_product_weights else {"value": (v, tensor()), "fused": (True, flag())}
        call(f"lineage.{function.__name__}", function, query=(q, tensor()), key=(k, tensor()),
             mask=(mask, tensor()), **value)  # fmt: skip
    one = torch.ones(2, 1)
    call("lineage.ntm_address", lineage.ntm_address, memory=(k, tensor()), before=(torch.rand(2, 5), tensor()),
         key=(torch.rand(2, 4), tensor()), beta=(one, tensor()), g=(one, tensor()),
         shift=(torch.rand(2, 3), tensor()), gamma=(one, tensor()))  # fmt: skip
    call("lineage.NTMCell", lineage.NTMCell, input_size=(3, whole(1)), output_size=(2, whole(1)),
         hidden_size=(4, whole(1)), places=(5, whole(1)), place_size=(3, whole(1)))  # fmt: skip
    cell = lineage.NTMCell(3, 2, 4, 5, 3)
    call("lineage.NTMCell.forward", cell, x=(torch.rand(2, 3), tensor()), memory=(lambda: cell.start(2), anything()))
    call("lineage.NTMCell.start", cell.start, batch=(2, without(whole(0), "10**30")))
    call("transformer.CausalTransformer", transformer.CausalTransformer, input_size=(3, whole(1)),
         width=(8, anything()), num_layers=(1, whole(1, 1000)), output_size=(2, whole(1)), heads=(2, anything()),
         positions=("none", one_of(*transformer.POSITIONS)), dropout=(0.0, real(0, 0.999)))  # fmt: skip
    net = transformer.CausalTransformer(3, 8, 1, 2, 2)
    call("transformer.CausalTransformer.forward", net, x=(torch.rand(4, 2, 3), tensor()),
         state=(lambda: net(torch.rand(4, 2, 3))[1], anything()))  # fmt: skip


def _inked(line: Any) -> Path:
    """A folder with one line of ink, which is gone at the end."""
    from softattn.ink import save_ink
    from softattn.strokes import Strokes

    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    save_ink(folder / "a.json", Strokes(line.offsets, "abc"))
    return folder


def _reading() -> None:
    """What reads."""
    from softattn import decoding, proofreading, reading, synthesis, trace
    from softattn.strokes import Strokes

    log_p, codes = torch.rand(6, 4).log_softmax(1), torch.tensor([1, 2])
    for name in ("ctc_alphas", "ctc_nats", "ctc_posterior"):
        call(f"reading.{name}", getattr(reading, name), log_p=(log_p, tensor()), codes=(codes, tensor()))
    call("reading.LocationAttention", reading.LocationAttention, query_size=(3, whole(1)), key_size=(4, whole(1)),
         hidden_size=(5, whole(1)), filters=(2, whole(1)), width=(3, anything()))  # fmt: skip
    look = reading.LocationAttention(3, 4, 5)
    call("reading.LocationAttention.forward", look, query=(torch.rand(2, 3), tensor()),
         keys=(torch.rand(2, 6, 4), tensor()), mask=(torch.ones(2, 6, dtype=torch.bool), tensor()),
         seen=(torch.rand(2, 6), tensor()))  # fmt: skip
    call("reading.WordReader", reading.WordReader, attention=("content", anything()), hidden_size=(3, whole(1)))
    call("reading.HandwritingReader", reading.HandwritingReader, hidden_size=(4, whole(1)), num_layers=(1, whole(1, 9)),
         alphabet=("abc", one_of("abc")), group=(2, whole(1, 64)), spacing=(0.3, real(0.01, 100)),
         dropout=(0.0, real(0, 0.999)))  # fmt: skip
    net, line = reading.HandwritingReader(4, 1, "abc"), _line()
    call("reading.forward", net, x=(torch.rand(3, 2, 14), tensor()), lengths=(torch.tensor([3, 2]), tensor()))
    call("reading.HandwritingReader.read", net.read, lines=([line], wrong()), beam=(1, whole(1, 1000)),
         language=(None, one_of(None)), y_up=(False, anything()))  # fmt: skip
    call("reading.HandwritingReader.nats", net.nats, lines=([line], wrong()), texts=(["abc"], wrong()))
    call("reading.read", reading.read, ink=(line, wrong()), model=(net, wrong()), beam=(1, whole(1, 1000)),
         language=(False, without(anything(), "True")), y_up=(False, anything()))  # fmt: skip
    wide = reading.HandwritingReader(4, 1)
    named = Strokes(line.offsets, "abc")
    call("proofreading.proofread", proofreading.proofread, lines=([named], wrong()),
         reader=(wide, without(wrong(), "None")))  # fmt: skip
    call("proofreading.write", _short(proofreading.write), text=("a", one_of("abc")), bias=(0.75, real(0, 100)),
         seed=(1, whole(-(2**62), 2**62, none=True)), check=(False, flag()), strict=(False, anything()),
         model=(synthesis.HandwritingSynthesizer(4, 1, 2, 2, std=(40.0, 40.0)), without(wrong(), "None", "''")),
         reader=(None, without(wrong(), "None")))  # fmt: skip
    from softattn import own_hand

    small = synthesis.HandwritingSynthesizer(4, 1, 2, 2, std=(40.0, 40.0))
    five = [Strokes(torch.cat([line.offsets[:1], line.offsets[1:3], line.offsets[-1:]]), "abc")] * 5
    call("own_hand.fine_tune", own_hand.fine_tune, model=(small, without(wrong(), "None", "''")), lines=(five, wrong()),
         out=(None, one_of(None)), layers=("last", one_of(*own_hand.LAYERS)), rank=(2, whole(1)),
         rate=(1e-3, real(0, 1, none=True)), steps=(0, whole(0)), minutes=(0.0, real(0, none=True)),
         held_out=(five, without(wrong(), "None")), seed=(0, whole(0, 2**31)), progress=(None, anything()))  # fmt: skip
    call("own_hand.Adapters", own_hand.Adapters, shapes=({"output.weight": [3, 4]}, wrong()),
         layers=("all", one_of(*own_hand.LAYERS)), rank=(1, whole(1)), base=("", anything()),
         sha256=("", anything()))  # fmt: skip
    call("own_hand.read_hand", own_hand.read_hand, folder=(_inked(line), wrong()))
    call("trace.pen_tokens", trace.pen_tokens, line=(line, wrong()), group=(5, whole(1, 64)),
         spacing=(0.33, real(0.01, 100)), scale=(1.0, real(0.01, 100)))  # fmt: skip
    call("trace.split_lines", trace.split_lines, ink=(line, wrong()))
    call("decoding.best_path", decoding.best_path, log_p=(log_p[:, None], tensor()),
         lengths=(torch.tensor([6]), tensor()), alphabet=("abc", one_of("abc")))  # fmt: skip
    call("decoding.beam_search", decoding.beam_search, log_p=(log_p, tensor()), alphabet=("abc", one_of("abc")),
         beam=(2, whole(1, 10_000)))  # fmt: skip
    call("decoding.edit_distance", decoding.edit_distance, a=("abc", one_of("", "abc")), b=("ab", one_of("", "abc")))


def _looking_back() -> None:
    """The scoreboard and the museum."""
    from softattn import museum, scoreboard

    pair = Kind(lambda _: {**SCALARS, "(1, 2)": (1.0, 2.0), "(1,)": (1.0,), "(0, 1)": (0.0, 1.0)},
                lambda v: isinstance(v, list | tuple) and list(v) == [1, 2])  # fmt: skip
    call("scoreboard.lattice_bits", scoreboard.lattice_bits, nats=(-600.0, real()), points=(300.0, real(1e-9)),
         std=((40.0, 37.0), pair))  # fmt: skip
    call("scoreboard.rescaled_nats", scoreboard.rescaled_nats, nats=(-600.0, real()), points=(300.0, real(1e-9)),
         std=((40.0, 37.0), pair), new_std=((4.0, 3.0), pair))  # fmt: skip
    call("museum.broken", museum.broken, name=("mean", one_of("mean")))


_table()
_looking_back()
_pens()
_pictures()
_writing()
_files()
_teaching()
_looking_back()
CASES = [(name, argument) for name, each in CALLS.items() for argument in each.kinds]


@pytest.fixture(autouse=True)
def no_figure_stays():
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.mark.parametrize(("name", "argument"), CASES, ids=[f"{n}-{a}" for n, a in CASES])
def test_a_wrong_argument_gets_a_sentence(name, argument, monkeypatch):
    monkeypatch.delenv("SOFTATTN_DATA", raising=False)  # a whole corpus takes its time
    if name.split(".")[0] in PENDING:
        pytest.skip("pending")
    each = CALLS[name]
    kind = each.kinds[argument]
    answers = {
        label: judge(each, argument, value, kind.allows(value))
        for label, value in kind.values(made(each.arguments[argument])).items()
    }
    assert {label: answer for label, answer in answers.items() if answer} == {}


@pytest.mark.parametrize("name", CALLS)
def test_the_call_itself_works(name):
    CALLS[name].function(**{k: made(v) for k, v in CALLS[name].arguments.items()})


def test_there_are_enough_calls():
    total = sum(len(kind.values(made(e.arguments[a]))) for e in CALLS.values() for a, kind in e.kinds.items())
    assert total >= 400


def test_the_judge_can_say_no():
    def careless(x, n):
        return x[n]

    bad = Call(careless, {"x": torch.zeros(3), "n": 0}, {})
    assert judge(bad, "n", 7, None).startswith("IndexError from test_fuzz.py")
    assert judge(bad, "n", 1, False) == "accepted, though it is not allowed"
    assert judge(bad, "n", 1, True) == ""
    from softattn.lstm import LSTMCell

    good = Call(LSTMCell, {"input_size": 3, "hidden_size": 2}, {})
    assert judge(good, "hidden_size", 0, False) == "" and "though it is allowed" in judge(good, "hidden_size", 0, True)

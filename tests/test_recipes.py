"""The one training run: stopped and called again it is the run in one piece, to the bit; noise, options, states."""

import argparse
import json
import math
import re
import types

import numpy as np
import pytest
import torch

from recipes import (
    _run,
    doubt,
    draw,
    glimpse,
    handwriting,
    lineage,
    pieces,
    reading,
    synthesis,
    texts,
    vae,
)
from softattn import load
from softattn.decoding import edit_distance
from softattn.handwriting import HandwritingPredictor, evaluating, line_stream
from softattn.images import binarise, embedded_digits
from softattn.pen import EmbeddedWriter
from softattn.proofreading import proofread, same_sign
from softattn.reading import Reading
from softattn.strokes import Strokes
from softattn.synthesis import HandwritingSynthesizer

MEAN, STD = (8.0, 0.0), (40.0, 30.0)
OPTIONS = dict(
    seed=1, device="cpu", products="float32", noise=0.0, adaptive=0.5, dropout=0.1, jitter=0.1, rate=2e-3, resume=False,
    hint=0.5, height=0.1, sharp=0.1, embedded=2, epochs=2, stages=[[2, 1], [3, 1]], save_seconds=1e9,
    pieces=0, drafts=0, runs=0, whole=0, stop=0.0, misses=0, away=1.0, lines=None,
    letters=0, warmup=300, spliced=0, traps=0,
)  # fmt: skip


def options(**more) -> argparse.Namespace:
    return argparse.Namespace(**{**OPTIONS, **more})


class Coins:
    """Images of ones and zeros, as load_binarised returns them."""

    def __init__(self, n: int):
        self.tossed = binarise(embedded_digits(n).floats(), torch.Generator().manual_seed(0))
        self.pixels = (255 * self.tossed).byte()

    def __len__(self):
        return len(self.tossed)

    def __getitem__(self, key):
        part = Coins.__new__(Coins)
        part.tossed, part.pixels = self.tossed[key], self.pixels[key]
        return part

    def floats(self, key=slice(None)):
        return self.tossed[key]


def predictor():
    lines = synthesis.embedded_lines(8, 5)
    config = dict(hidden_size=6, num_layers=2, mixtures=2, mean=list(MEAN), std=list(STD))
    run = handwriting.PredictorRun(handwriting.HandwritingPredictor, config, options(), lines, lines[:1])
    run.plan(math.inf, None)
    return run, lambda: run.facts["updates"] >= 5, {}


def synthesizer():
    lines = synthesis.embedded_lines(6, 5)
    config = dict(hidden_size=6, num_layers=2, components=2, mixtures=2, mean=list(MEAN), std=list(STD))
    run = synthesis.SynthesisRun(config, options(), lines, lines[:1], lines[:1])
    run.plan(math.inf, None)
    return run, lambda: run.facts["updates"] >= 5, {}


def line_reader():
    lines = synthesis.embedded_lines(6, 5)
    run = reading.ReaderRun(dict(hidden_size=6, num_layers=2), options(), lines, lines[:1])
    run.facts["short"] = False
    run.plan(None)
    return run, lambda: run.facts["updates"] >= 5, {}


def auto_encoder():
    images = Coins(12)
    run = vae.VAERun(dict(latent=2, hidden=8, layers=1, dropout=0.1), options(), images, images)
    return run, lambda: run.facts["epoch"] >= 2, {"by_epoch": True}


def writer():
    images = Coins(8)
    config = {**draw.config_of(options(attention=True)), "steps": 3, "hidden": 8, "latent": 3}
    run = draw.DrawRun(config, options(), images, images)
    return run, run.over, {"by_epoch": True}


READER = dict(image_shape=[1, 40, 40], glimpses=2, grid=4, hidden=6, classes=10)


def reader(cool=6):
    images = embedded_digits(12)
    run = glimpse.GlimpseRun(READER, options(rate=1e-3, adaptive=0.0), images[:8], images[8:])
    run.cool(cool)
    return run, run.over, {"by_epoch": True}


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(glimpse, "CONFIG", READER)
    monkeypatch.setattr(glimpse.CanvasRun, "BATCH", 4)
    monkeypatch.setattr(glimpse.CanvasRun, "EPOCH", 3)
    for name, few in (("WITHHELD", 40), ("TEST", 60), ("ELSEWHERE", 20), ("LOOK", 20)):
        monkeypatch.setattr(glimpse, name, few)
    monkeypatch.setattr(handwriting, "ROWS", 2)
    monkeypatch.setattr(synthesis, "ROWS", 2)
    monkeypatch.setattr(synthesis, "CHUNK", 40)
    monkeypatch.setattr(reading, "ROWS", 3)
    monkeypatch.setattr(vae.ImageRun, "BATCH", 4)
    monkeypatch.setattr(draw.DrawRun, "BATCH", 4)
    monkeypatch.setattr(vae.ImageRun, "KL_STEPS", 3)


@pytest.mark.parametrize(
    "make", [predictor, synthesizer, line_reader, auto_encoder, writer, reader], ids=lambda make: make.__name__
)
def test_stopped_and_called_again_is_the_run_in_one_piece(make, tmp_path):
    whole, over, how = make()
    assert _run.train(whole, tmp_path / "whole.pt", over=over, **how)
    calls = 0
    while True:
        torch.rand(3)  # what happens between two calls must not matter
        piece, over, how = make()
        piece.take_up(tmp_path / "piece.pt")
        calls += 1
        if _run.train(piece, tmp_path / "piece.pt", minutes=0.0, over=over, **how):
            break
    assert calls > 3 and whole.facts["updates"] == piece.facts["updates"] >= 4
    for ours, theirs in ((whole.model.state_dict(), piece.model.state_dict()), (whole.average, piece.average)):
        assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    same = ("epoch", "place", "points", "updates", "sums")
    assert [whole.facts[name] for name in same] == [piece.facts[name] for name in same]
    if how:
        assert [row[:-1] for row in whole.facts["curve"]] == [row[:-1] for row in piece.facts["curve"]] != []


def test_draw_goes_through_its_stages(tmp_path):
    run, over, how = writer()
    _run.train(run, tmp_path / "a.pt", over=over, **how)
    assert [row[1] for row in run.facts["curve"]] == [2, 3]
    assert [steps for steps, _ in run.facts["by_steps"]] == [2, 3] and run.facts["since"] == 2


def test_states_of_other_runs_are_refused_and_resume_needs_something(tmp_path):
    run, over, how = auto_encoder()
    run.save(tmp_path / "a.pt")
    other = vae.VAERun(dict(latent=3, hidden=8, layers=1, dropout=0.1), options(), Coins(12), Coins(12))
    with pytest.raises(SystemExit, match="is of another run"):
        other.load(tmp_path / "a.pt")
    more = vae.VAERun(run.config, options(epochs=3), Coins(12), Coins(12))
    with pytest.raises(SystemExit, match="of a run of 2 epochs"):
        more.load(tmp_path / "a.pt")
    run.args.resume = True
    with pytest.raises(SystemExit, match="nothing to resume"):
        run.take_up(tmp_path / "none.pt")


def test_without_a_state_resume_starts_from_the_weights_that_ship(tmp_path, monkeypatch, capsys):
    run, *_ = auto_encoder()
    theirs = vae.VAE(**run.config)
    theirs.card = {"commit": "abc", "minutes": 3.5}
    monkeypatch.setattr(_run, "load", lambda name: {"vae-mnist": theirs}[name])
    run.args.resume = True
    assert run.begun() == {}
    run.take_up(tmp_path / "none.pt", "vae-mnist")
    assert run.begun() == {"start": "the weights vae-mnist as of commit abc, 3.5 minutes of training before"}
    assert all(torch.equal(value, run.average[name]) for name, value in theirs.state_dict().items())
    assert "started from the weights vae-mnist" in capsys.readouterr().out


def test_a_loss_that_is_no_number_stops_before_the_weights_move():
    run, *_ = auto_encoder()
    before = [p.detach().clone() for p in run.model.parameters()]
    with pytest.raises(SystemExit, match="the loss is nan at update 0"):
        run.update(next(iter(run.model.parameters())).sum() * math.nan, 0.1, 1)
    assert all(torch.equal(p, q) for p, q in zip(run.model.parameters(), before, strict=True))


def test_the_options_are_those_of_every_recipe():
    parsed = _run.options("A recipe.", "none").parse_args(["--minutes", "3", "--adaptive", "1.5", "--resume"])
    assert (parsed.minutes, parsed.adaptive, parsed.resume, parsed.device, parsed.threads) == (3.0, 1.5, True, "cpu", 1)
    assert parsed.products is None and _run.machine(types.SimpleNamespace(threads=1, device="cpu")).count(",") == 3
    for name in ("float32", "bfloat16"):
        assert _run.options("A recipe.", "none").parse_args([f"--{name}"]).products == name
    with pytest.raises(SystemExit):
        _run.options("A recipe.", "none").parse_args(["--float32", "--bfloat16"])


# -- the format of products ------------------------------------------------------------------------------------------


def measured(monkeypatch, dtype):
    """As on a machine whose products are faster in this format."""
    monkeypatch.setattr(_run, "faster_products", lambda device: (dtype, f"on the {device}"))


def unsaid():
    """A predictor that is not told which format to take."""
    run, over, how = predictor()
    run.args.products = None
    return run, over, how


def test_a_new_run_measures_the_format_of_its_products_and_says_so(monkeypatch, capsys):
    for dtype, name in ((torch.bfloat16, "bfloat16"), (torch.float32, "float32")):
        measured(monkeypatch, dtype)
        run, *_ = unsaid()
        with run.low_products():
            product = torch.ones(2, 2) @ torch.ones(2, 2)
        assert product.dtype == dtype and run.facts["products"] == [[0, name]]
        assert f"{name} products" in _run.machine(argparse.Namespace(threads=1, device="cpu"), run)
        assert f"products in {name}: measured here, on the cpu" in capsys.readouterr().out


def test_a_run_taken_up_elsewhere_keeps_its_format_to_the_bit(monkeypatch, tmp_path):
    measured(monkeypatch, torch.bfloat16)
    whole, over, how = unsaid()
    _run.train(whole, tmp_path / "whole.pt", over=over, **how)
    first, over, how = unsaid()
    assert not _run.train(first, tmp_path / "piece.pt", minutes=0.0, over=over, **how)
    measured(monkeypatch, torch.float32)  # the next machine is another
    piece, over, how = unsaid()
    piece.take_up(tmp_path / "piece.pt")
    _run.train(piece, tmp_path / "piece.pt", over=over, **how)
    assert piece.facts["products"] == [[0, "bfloat16"]] and piece.facts["updates"] == whole.facts["updates"]
    assert all(torch.equal(value, piece.average[name]) for name, value in whole.average.items())
    plain, over, how = predictor()
    _run.train(plain, tmp_path / "plain.pt", over=over, **how)
    assert not all(torch.equal(value, plain.average[name]) for name, value in whole.average.items())


def test_a_run_that_is_told_changes_its_format_and_its_card_says_when(monkeypatch, tmp_path, capsys):
    measured(monkeypatch, torch.bfloat16)
    run, _, how = unsaid()
    _run.train(run, tmp_path / "a.pt", minutes=0.0, **how)
    again, *_ = predictor()  # told: float32
    again.take_up(tmp_path / "a.pt")
    assert "products in float32" in capsys.readouterr().out
    assert again.products_told() == "bfloat16 products, from update 1 on float32 products"
    again.facts["products"] = []  # as in a state from before formats were kept
    assert again.products_told() == "from update 1 on float32 products"


def test_a_run_taken_up_where_another_library_multiplies_says_so(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(_run, "library", lambda: "oneDNN")
    run, over, how = predictor()
    _run.train(run, tmp_path / "a.pt", minutes=0.0, over=over, **how)
    for here, told in (("oneDNN", False), ("MKL", True)):
        monkeypatch.setattr(_run, "library", lambda here=here: here)
        predictor()[0].take_up(tmp_path / "a.pt")
        assert ("by MKL here, by oneDNN before: not the same to the bit" in capsys.readouterr().out) is told


def test_a_mean_of_weights_is_what_its_share_says_and_a_share_is_below_one():
    new, old = torch.nn.Linear(2, 3), torch.nn.Linear(2, 3)
    was = {name: value.clone() for name, value in new.state_dict().items()}
    _run.blend(new, old, 0.25)
    for name, value in new.state_dict().items():
        assert torch.allclose(value, 0.75 * was[name] + 0.25 * old.state_dict()[name])
    parser = argparse.ArgumentParser()
    _run.add_keep(parser)
    assert parser.parse_args([]).keep == 0 and parser.parse_args(["--keep", "0.3"]).keep == 0.3
    for word in ("1", "-0.1"):
        with pytest.raises(argparse.ArgumentTypeError, match=f"{word} is no share from 0 to below 1"):
            _run.share(word)


def test_the_card_of_a_reader_that_went_on_tells_all_calls(monkeypatch):
    before = types.SimpleNamespace(card={"command": "python -m recipes.reading, then --finish"})
    monkeypatch.setattr(reading.softattn, "load", lambda name: before)
    args = options(free=False, keep=0.5, spliced=9, traps=4, rate=1e-3, resume=True, out=_run.WEIGHTS / "reading")
    told = reading.commands(args, True)
    assert told.startswith("python -m recipes.reading, then --finish; then python -m recipes.reading --resume")
    assert "--rate 0.001 --spliced 9 --traps 4 (in as many calls" in told and told.endswith("--finish --keep 0.5")
    args.resume, args.keep, args.spliced, args.traps, args.rate = False, 0.0, 0, 0, reading.RATE
    assert reading.commands(args, False) == (
        "python -m recipes.reading (in as many calls as liked), then --cool and --land"
    )


# -- the reader of cluttered digits ------------------------------------------------------------------------------------


def test_the_reader_cools_from_where_it_stands(tmp_path):
    run, over, how = reader(cool=0)
    assert not over() and run.falls() == 1.0
    assert not _run.train(run, tmp_path / "a.pt", minutes=0.0, over=over, **how)
    again, over, how = reader(cool=0)
    again.take_up(tmp_path / "a.pt")
    again.cool(4)
    again.cool(9)  # it falls already
    assert (again.facts["cool_from"], again.facts["cool"]) == (1, 4)
    falls = []
    again.args.save_seconds = 0
    for _ in range(4):
        falls.append(again.falls())
        again.prepare()
        again.step(0)
    assert not over()  # in the middle of an epoch
    again.facts["place"] = 0
    assert over()
    assert falls == pytest.approx([0.5 * (1 + math.cos(math.pi * k / 4)) for k in range(4)])
    assert again.facts["updates"] == 5 and again.falls() == pytest.approx(0.0, abs=1e-9)


def test_the_reader_starts_from_weights_that_ship(tmp_path, monkeypatch):
    theirs = glimpse.GlimpseClassifier(**READER)
    monkeypatch.setattr(_run, "load", lambda name: {"glimpse": theirs}[name])
    run, *_ = reader()
    run.args.resume = True
    run.take_up(tmp_path / "none.pt", "glimpse")
    assert all(torch.equal(value, run.average[name]) for name, value in theirs.state_dict().items())


def test_the_reader_is_scored_and_its_card_is_written(tmp_path, monkeypatch, capsys):
    from softattn import hub

    run, over, how = reader()
    _run.train(run, tmp_path / "a.pt", over=over, **how)
    args = options(out=tmp_path / "glimpse.safetensors", threads=1)
    glimpse.finish(run, args, embedded_digits(15, "test"))
    assert "error" in capsys.readouterr().out
    model = hub.load(args.out)
    card = model.card
    assert len(card["test"]["error"]) == glimpse.LOOKS and card["test"]["canvases"] == 60
    assert card["metric"]["value"] == card["test"]["error"][1]
    assert len(card["elsewhere"]) == 6 and all(row["canvases"] == 20 for row in card["elsewhere"].values())
    assert len(card["gaze"]["side"]) == len(card["gaze"]["off"]) == 2
    assert len(card["weights"]["withheld error by kind"]) == 4
    assert glimpse.stored_check(model) == card["check"]
    json.dumps(card)


def test_errors_are_counted_digit_by_digit():
    images = embedded_digits(20, "test")
    wrong = torch.full((3, 1, 10), -1.0)
    wrong[:, :, 7] = 1.0  # says 7, three times
    said = glimpse.score(lambda x: wrong.expand(-1, len(x), -1), images, 50, 1, chunk=20, size=30)
    generator = torch.Generator().manual_seed(1)
    labels = torch.cat([glimpse.cluttered(images, n, generator, 30).labels for n in (20, 20, 10)])
    share = (labels != 7).float().mean().item()
    assert said["error"] == pytest.approx([100 * share] * 3, abs=1e-3)
    assert said["standard_error"][0] == pytest.approx(100 * math.sqrt(share * (1 - share) / 50), abs=1e-3)
    two = glimpse.score(lambda x: wrong.expand(-1, len(x), -1), images, 50, 1, digits=2)
    assert two["error"][0] < said["error"][0]


def test_a_rival_trains_for_its_budget_and_leaves_its_row(tmp_path, monkeypatch):
    monkeypatch.setattr(glimpse, "DATA", tmp_path)
    images = embedded_digits(12)
    for kind in ("fully connected", "convolutional"):
        args = options(rate=1e-3, adaptive=0.0, state=tmp_path, budget=0.001, minutes=math.inf, threads=1)
        assert glimpse.baseline(args, kind, images[:8], images[8:], embedded_digits(15, "test"))
    table = json.loads((tmp_path / "glimpse-baselines.json").read_text())
    assert set(table) == {"what", "fully connected", "convolutional"}
    assert table["convolutional"]["test"]["canvases"] == 60


def test_soft_and_hard_race(tmp_path, monkeypatch):
    monkeypatch.setattr(glimpse, "DATA", tmp_path)
    monkeypatch.setattr(glimpse, "SMALL", READER)
    monkeypatch.setattr(glimpse, "embedded_digits", lambda n, split="train": embedded_digits(10, split))
    glimpse.main(["--reinforce", "--minutes", "0.001", "--seeds", "2"])
    table = json.loads((tmp_path / "glimpse-reinforce.json").read_text())
    assert [(run["way"], run["seed"]) for run in table["runs"]] == [("soft", 0), ("hard", 0), ("soft", 1), ("hard", 1)]
    assert all(run["rows"][0][0] == 0 and run["rows"][-1][0] >= 0.001 for run in table["runs"])


def test_what_the_recipe_is_asked_for():
    args = glimpse.parse(["--minutes", "60", "--baseline", "convolutional"])
    assert args.budget == 60 and args.name == "g2"
    with pytest.raises(SystemExit):
        glimpse.parse(["--reinforce"])


def test_the_reader_begins_on_short_texts_until_it_has_the_idea():
    run, *_ = line_reader()
    run.facts["short"] = True
    assert run.prepare() == 1 and len(run.lines) == 8
    assert max(len(line.text.split()) for line in run.lines) <= 3
    run.facts["lately"] = reading.ENOUGH - 0.1
    run.prepare()
    assert len(run.lines) == 8 and run.lines[-6:] == list(run.corpus) and not run.facts["short"]
    run.facts["lately"] = 5.0  # it does not go back
    run.prepare()
    assert not run.facts["short"]


def test_a_changed_line_keeps_its_strokes_and_its_text():
    import numpy as np

    for seed in range(20):
        line = texts.embedded_line(np.random.default_rng([3, seed]), seed % 2 == 0)
        other, scale = reading.changed(line, np.random.default_rng(seed))
        assert other.text == line.text and 0.5 < scale < 2 and len(other) <= len(line)
        assert other.offsets[:, 2].sum() == line.offsets[:, 2].sum()


def test_pieces_are_ink_of_their_line_and_words_of_its_text():
    """A piece is a run of the line's points, but that it starts where it starts, and reads as the words cut out."""
    lines = [EmbeddedWriter(np.random.default_rng(k)).write("stone bridge over water") for k in range(4)]
    found = pieces.pieces_of(lines, load("reading").eval(), 3, seed=1)
    assert len(found) >= 6
    for line in found:
        assert f" {line.text} " in " stone bridge over water " and len(line.text.split()) <= 3
        ink = line.offsets[1:]
        runs = (one.offsets[k : k + len(ink)] for one in lines for k in range(1 + len(one) - len(ink)))
        assert any(torch.equal(run, ink) for run in runs)
        assert line.offsets[0, :2].tolist() == [0, 0] and line.offsets[-1, 2] == 1
    assert [p.text for p in pieces.pieces_of(lines, load("reading").eval(), 3, seed=1)] == [p.text for p in found]


def test_short_lines_join_an_epoch_and_what_is_missing_is_told(tmp_path):
    with pytest.raises(SystemExit, match=r"pieces.pt is not there: python -m recipes.pieces --cut writes it"):
        pieces.stored(tmp_path, "pieces")
    pen = EmbeddedWriter(np.random.default_rng(1))
    pieces.store(tmp_path / "pieces.pt", [pen.write(word) for word in ("one", "two", "three")])
    pieces.store(tmp_path / "drafts.pt", [pen.write(word) for word in ("A4", "x@y.org")])
    config = dict(hidden_size=6, num_layers=2, components=2, mixtures=2, mean=list(MEAN), std=list(STD))
    pieces.store(tmp_path / "letters.pt", [pen.write("qz")])
    more = options(pieces=2, drafts=9, runs=3, letters=1, state=tmp_path)
    run = synthesis.SynthesisRun(config, more, synthesis.embedded_lines(6, 5))
    run.prepare()
    short = [line.text for line in run.epoch_lines[8:]]
    assert len(set(short[:2]) & {"one", "two", "three"}) == 2 and set(short[2:4]) == {"A4", "x@y.org"}
    assert len(short) == 8 and short[4] == "qz" and run.facts["hints"][-1][-9:] == [2, 9, 3, 0, 0, 0, 1.0, None, 1]
    again = synthesis.SynthesisRun(config, more, synthesis.embedded_lines(6, 5))
    again.prepare()
    assert [line.text for line in again.epoch_lines] == [line.text for line in run.epoch_lines]


@pytest.fixture(scope="module")
def parted():
    """Lines in print, whose letters are known point by point, and the parts that the reader cuts them into."""
    lines = [EmbeddedWriter(np.random.default_rng(k), late=0.0).write("Mary had no lamb") for k in range(3)]
    with evaluating(reader := load("reading")):
        return reader, lines, [reading.parts_of(reader, line) for line in lines]


def test_parts_lie_between_lifts_of_the_pen_and_hold_their_letters_points(parted):
    _, lines, found = parted
    for line, parts in zip(lines, found, strict=True):
        assert "".join(part.text for part in parts) == line.text.replace(" ", "")
        xy = line.offsets[:, :2].double().numpy().cumsum(0)
        assert np.allclose(np.concatenate([part.xy for part in parts]), xy), "all ink, each point once"
        words = [k for k, part in enumerate(parts) if part.first]
        assert len(words) == 4 and all(part.ends[-1] == 1 for part in parts)
        letter, own = 0, line.char_index.tolist()
        for part in parts:
            letter += part.first and letter > 0  # the space
            known = range(letter, letter := letter + len(part.text))
            assert sum(c in known for c in own[: len(part.xy)]) > 0.9 * len(part.xy), part.text
            own = own[len(part.xy) :]
        gaps = [part.gap for part in parts[1:]]
        inner = [gap for gap, part in zip(gaps, parts[1:], strict=True) if not part.first]
        assert np.mean([gap for gap in gaps if gap not in inner]) > max(0.0, np.mean(inner))
        assert np.isnan(parts[0].gap)


def test_a_part_alone_is_its_ink_and_one_that_says_something_else_is_not_believed(parted):
    reader, _, (parts, *_) = parted
    alone = parts[0].alone()
    assert alone.text == parts[0].text and alone.offsets[0].tolist() == [0, 0, parts[0].ends[0]]
    assert np.allclose(alone.offsets[:, :2].double().numpy().cumsum(0), parts[0].xy - parts[0].xy[0], atol=1e-3)
    true = [part for part in parts if len(part.text) > 1 or part.text in "Mdhb"]
    wrong = [part._replace(text="#" * len(part.text)) for part in true]
    assert all(reading.believed(reader, true)) and not any(reading.believed(reader, wrong))


def test_kept_parts_leave_out_what_is_not_believed_and_lines_that_look_like_two(parted, monkeypatch):
    reader, (line, *_), (parts, *_) = parted
    two = line.offsets.clone()
    two[len(two) // 2, :2] += torch.tensor([-9.0, 9.0]) * two[:, :2].abs().sum(0).max()
    monkeypatch.setattr(reading, "believed", lambda reader, some: [part.text != "M" for part in some])
    (found,) = reading.kept_parts(reader, [line, Strokes(two, line.text)])
    assert [part.text for part in found] == [part.text for part in parts if part.text != "M"]


def test_spliced_lines_are_parts_side_by_side_in_another_order(parted):
    _, _, (parts, *_) = parted
    for seed in range(30):
        line = reading.spliced(parts, np.random.default_rng(seed))
        left = line.text.replace(" ", "")
        xy = line.offsets[:, :2].double().numpy().cumsum(0)
        ends, row, edge, used = line.offsets[:, 2].numpy(), 0, -np.inf, set()
        while left:
            part = next(
                p for k, p in enumerate(parts) if k not in used and left.startswith(p.text) and same_ink(p, xy[row:])
            )
            used.add(next(k for k, p in enumerate(parts) if p is part))
            placed = xy[row : row + len(part.xy)]
            assert ends[row + len(part.xy) - 1] == 1 and np.array_equal(ends[row : row + len(part.xy)], part.ends)
            known = [p.gap for p in parts[1:]] + [0.0]
            if row:
                assert min(abs(placed[:, 0].min() - edge - gap) for gap in known) < 1e-3, "a gap of this hand"
            row, edge, left = row + len(part.xy), max(edge, placed[:, 0].max()), left[len(part.text) :]
        assert row == len(line) and line.text == " ".join(line.text.split())


def same_ink(part, xy):
    """Whether the places begin with the part's, but for where it stands in the line."""
    xy = xy[: len(part.xy)]
    return len(xy) == len(part.xy) and np.allclose(xy - xy[0], part.xy - part.xy[0], atol=1e-3)


def test_letters_are_one_to_three_of_a_word_side_by_side(parted):
    reader, lines, (parts, *_) = parted
    for joined in (groups := pieces.joined_parts(parts)):
        assert joined.text in "Mary had no lamb" and 1 <= len(joined.text) <= 3 and len(joined.xy) == len(joined.ends)
    singles = [part.text for part in parts if len(part.text) <= 3]
    assert len(groups) > len(singles) and set(singles) <= {group.text for group in groups}
    with evaluating(reader):
        found = pieces.letters_of(lines, reader, 2, seed=1)
        again = pieces.letters_of(lines, reader, 2, seed=1)
    assert 3 <= len(found) <= 6 and [line.text for line in found] == [line.text for line in again]
    assert all(line.offsets[0, :2].tolist() == [0, 0] and line.offsets[-1, 2] == 1 for line in found)


def test_misspelt_words_keep_their_length_and_about_their_shape():
    rng, changed = np.random.default_rng(4), 0
    near = {(a, b) for group in texts.SIMILAR for a in group.lower() for b in group.lower()}
    near |= {(a, c) for a, b in near for d, c in near if b == d}  # a letter can be exchanged twice
    for _ in range(200):
        text = texts.misspelt(rng, "Mary came home again")
        assert [len(word) for word in text.split()] == [4, 4, 4, 5]
        pairs = [pair for pair in zip("mary came home again", text.lower(), strict=True) if pair[0] != pair[1]]
        assert set(pairs) <= near
        changed += len(pairs)
    assert 300 < changed < 1500


def test_traps_are_lines_that_no_dictionary_helps_with():
    lines = [texts.trap_line(np.random.default_rng([2, k])) for k in range(40)]
    assert 4 <= sum("@" in line.text and ".x@" not in line.text for line in lines) <= 20
    assert lines[3].text == texts.trap_line(np.random.default_rng([2, 3])).text


def test_an_epoch_of_the_reader_holds_spliced_lines_and_traps(parted, monkeypatch, tmp_path):
    _, lines, found = parted
    cut = iter([found])
    monkeypatch.setattr(reading, "kept_parts", lambda model, some: next(cut))
    more = options(embedded=2, spliced=3, traps=2, dropout=0.0, state=tmp_path / "new")
    run = reading.ReaderRun(dict(hidden_size=6, num_layers=2), more, lines, lines[:1])
    run.facts["short"] = False
    run.prepare()
    assert len(run.lines) == 2 + 3 + 2 + 3
    told = [line.text for line in run.lines]
    run.prepare()
    assert [line.text for line in run.lines] == told, "seed and epoch decide"
    again = reading.ReaderRun(dict(hidden_size=6, num_layers=2), more, lines, lines[:1])
    again.facts["short"] = False
    again.prepare()
    assert all(torch.equal(a.offsets, b.offsets) for a, b in zip(again.lines, run.lines, strict=True)), "cut but once"


def test_addresses_can_be_written_and_are_some_of_the_short_lines():
    many = [texts.address(np.random.default_rng([7, k])) for k in range(60)]
    assert all(re.fullmatch(r"[a-z]+(\.x|_1|42)?@[a-z]+\.[a-z]{2,3}", text) for text in many) and len(set(many)) > 50
    short = [texts.embedded_line(np.random.default_rng([8, k]), True).text for k in range(60)]
    assert 3 <= sum("@" in text and "." in text for text in short) <= 20


def test_mixed_lines_begin_their_words_with_every_letter_alike_often():
    words = ["the", "then", "this", "that", "two", "exit", "xylem", "(and"]
    mixed = [pieces.mixed_line(np.random.default_rng([6, k]), words) for k in range(400)]
    assert all(23 <= len(line) <= 28 for line in mixed)
    begun = "".join(word[0] for line in mixed for word in line.split()).lower()
    shares = [begun.count(sign) / len(begun) for sign in "tex("]
    assert shares == pytest.approx([0.25] * 4, abs=0.03)
    assert 0.2 < sum(word[0].isupper() for line in mixed for word in line.split()) / len(begun) < 0.6


def a_line(points, text):
    return Strokes(torch.tensor([[0.0, 0.0, 0.0]] * (points - 1) + [[0.0, 0.0, 1.0]]), text)


def test_a_miss_is_named_from_the_right_letter_before_to_the_right_one_behind():
    line = a_line(50, "cat")
    place = (10, 20, 30)
    for read, points in (
        (Reading("cut", 1.0, place), range(10, 31)),  # another letter
        (Reading("ct", 1.0, (10, 30)), range(10, 31)),  # one is missing
        (Reading("caut", 1.0, (10, 20, 25, 30)), range(20, 31)),  # one too many
        (Reading("cas", 1.0, place), range(20, 50)),  # the last one
        (Reading("bat", 1.0, place), range(21)),  # the first one
        (Reading("Cat", 1.0, place), range(0)),  # people's C and c look alike
    ):
        assert pieces.missed_points(line, read).nonzero()[:, 0].tolist() == list(points), read.text


def test_what_a_draft_cost_the_weights_that_wrote_it_is_what_nats_sums():
    """Scored in a batch or alone, the sum over a line's points is what `nats` says."""
    torch.manual_seed(0)
    config = dict(hidden_size=8, num_layers=2, components=2, mixtures=2, mean=MEAN, std=STD)
    model = HandwritingSynthesizer(**config)
    lines = synthesis.embedded_lines(3, 5)
    for line, log_prob in zip(lines, pieces.log_probs(model, lines), strict=True):
        assert log_prob.shape == (len(line) - 1,)
        assert -log_prob.sum().item() == pytest.approx(model.nats([line]).item(), rel=1e-4)


def missed(line, where, log_prob):
    mask = torch.zeros(len(line), dtype=torch.bool)
    for part in where:
        mask[part] = True
    return pieces.Miss(line, mask, log_prob)


def test_misses_lie_beside_the_points_of_the_stream():
    lines = [a_line(n, "ab") for n in (5, 9, 7)]
    some = [
        missed(lines[1], [slice(2, 4), slice(6, 9)], torch.arange(8.0)),
        missed(lines[2], [slice(0, 3)], -torch.arange(6.0)),
    ]
    *_, which = line_stream(lines, 1, torch.Generator().manual_seed(3))
    place, before = synthesis.missed_places(which, lines, some)
    place, before, which = place[:, 0].tolist(), before[:, 0].tolist(), which[:, 0].tolist()
    assert [place[t] for t in range(len(which)) if which[t] == 0] == [-2] * 4
    assert [place[t] for t in range(len(which)) if which[t] == 1] == [-1, 0, 0, -1, -1, 1, 1, 1]
    assert [place[t] for t in range(len(which)) if which[t] == 2] == [2, 2, -1, -1, -1, -1]
    assert [before[t] for t in range(len(which)) if which[t] == 1] == [*range(8)]
    assert [-before[t] for t in range(len(which)) if which[t] == 2] == [*range(6)]


def test_going_away_is_bounded_and_counts_beyond_what_all_ink_lost():
    """The pull on a place falls from nearly 1 at no gain over 1/2 at -MARGIN to nearly 0; other points feel nothing."""
    place, before = torch.tensor([[0, 1, -1], [0, 2, -2], [-1, 2, -2]]), torch.zeros(3, 3)
    moved = torch.tensor([[0.0, -synthesis.MARGIN, 1.0], [0.0, -10.0, 50.0], [-1.0, -10.0, 50.0]])
    first = 1 / (1 + math.exp(-synthesis.MARGIN))
    for lost in (0.0, 0.25):
        now = (moved - lost).requires_grad_()
        cost, gain = synthesis.too_likely(now, before, place)
        assert gain.tolist() == [0.0, -synthesis.MARGIN, -20.0]
        pull = torch.autograd.grad(cost, now)[0]
        want = torch.tensor([[first, 0.5, 0.0], [first, 0.0, 0.0], [0.0, 0.0, 0.0]])
        assert torch.allclose(pull, want, atol=1e-6)
    cost, gain = synthesis.too_likely(moved, before, place.clamp(max=-2))
    assert cost == 0 and gain.numel() == 0


def test_an_epoch_reads_its_misses_and_learns_from_the_rest(tmp_path):
    """Where nothing is learned but to go away, a place where a draft went wrong becomes less likely, and only there."""
    torch.manual_seed(0)
    config = dict(hidden_size=6, num_layers=2, components=2, mixtures=2, mean=list(MEAN), std=list(STD))
    lines = synthesis.embedded_lines(6, 5)
    with pytest.raises(SystemExit, match=r"drafts.pt is not there: python -m recipes.pieces --draft writes it"):
        pieces.stored_misses(tmp_path)
    none = dict(hint=0.0, height=0.0, sharp=0.0, adaptive=0.0, jitter=0.0, dropout=0.0, embedded=1)
    run = synthesis.SynthesisRun(config, options(**none, state=tmp_path), lines)
    wrong = [line for line in synthesis.embedded_lines(60, 7) if len(line) > 60][:40]
    some = [
        missed(line, [slice(20, 40)], cost)
        for line, cost in zip(wrong, pieces.log_probs(run.model, wrong), strict=True)
    ]
    pieces.store_misses(tmp_path / "drafts-missed.pt", some[:30])
    pieces.store_misses(tmp_path / "whole-missed.pt", some[30:])
    pieces.store(tmp_path / "drafts.pt", wrong[2:30])
    pieces.store(tmp_path / "whole.pt", wrong[30:])
    good = {line.text for line in wrong[2:]}  # without a good draft of its text no miss is taken
    assert {miss.line.text for miss in pieces.stored_misses(tmp_path)} == good and wrong[0].text not in good
    more = options(**none, misses=35, away=1e3, lines=4, state=tmp_path)
    run = synthesis.SynthesisRun(config, more, lines)
    steps = run.prepare()
    assert len(run.epoch_lines) == 4 + 1 + 35 and run.learned == 5
    assert {line.text for line in run.epoch_lines[5:]} <= {line.text for line in wrong}
    assert int(run.place.max()) <= 34 and (run.place >= 0).sum() <= 35 * 20
    for k in 3 * list(range(steps)):
        run.step(k)
    held = [miss for miss in some if miss.line.text in {line.text for line in run.epoch_lines[5:]}]
    after = pieces.log_probs(run.model, [miss.line for miss in held])
    gains = [(new - miss.log_prob)[miss.where[1:]].sum().item() for new, miss in zip(after, held, strict=True)]
    assert np.mean(gains) < -0.5


def test_the_last_points_of_a_line_ask_for_the_place_behind_its_text():
    which = torch.tensor([[0, 2], [0, 2], [0, 2], [1, 2], [1, 3], [1, 3]])
    assert synthesis.last_points(which).t().int().tolist() == [[1, 1, 1, 0, 0, 0], [0, 1, 1, 1, 0, 0]]
    config = dict(hidden_size=6, num_layers=2, components=2, mixtures=2, mean=list(MEAN), std=list(STD))
    none = dict(hint=0.0, height=0.0, sharp=0.0, adaptive=0.0, jitter=0.0, dropout=0.0, state=None)
    run = synthesis.SynthesisRun(config, options(**none, stop=1.0), synthesis.embedded_lines(6, 5))
    text, rows = torch.tensor([[3, 4, -1], [5, 6, 7]]), torch.tensor([[0, 1]])
    truth = torch.tensor([[synthesis.END, -1]])
    for places, better in (((2.0, 3.0), False), ((3.0, 3.0), True), ((3.0, 1.0), True)):
        kappa = torch.tensor(places)[None, :, None].expand(1, 2, 2)
        run.look_at = types.SimpleNamespace(h=torch.zeros(1, 2, 6), kappa=kappa)
        cost = run.off_place(text, rows, truth).item()
        assert (cost < 0.4) == better
    run.stop = 0.0
    assert run.off_place(text, rows, truth).item() == 0


def test_a_card_keeps_the_past_of_its_weights():
    card = dict(points=1000, steps=9, minutes=2.5, command="first", start="chance")
    card |= {"curve": {"rows": [[600, -1.0, 1.5], [1000, -2.0, 2.5]]}, "hints": {"rows": [[0, 1.0]]}}
    facts = dict(updates=4, points=300, seconds=90.0, curve=[[200, -3.0, 1.0]], hints=[[50, 7.0]])
    told = synthesis.history(facts | synthesis.past(card), "second")
    assert (told["command"], told["steps"], told["points"], told["minutes"]) == ("first; then second", 13, 1300, 4.0)
    assert told["curve"] == [[600, -1.0, 1.5], [1000, -2.0, 2.5], [1200, -3.0, 3.5]]
    assert told["hints"] == [[0, 1.0], [1050, 7.0]]
    alone = synthesis.history(facts, "second")
    assert (alone["command"], alone["curve"], alone["points"]) == ("second", facts["curve"], 300)


def test_a_card_of_draw_goes_on_where_the_last_one_ended():
    facts = dict(updates=4, epoch=2, seconds=90.0, curve=[[1, 32, 5.0, 6.0, 2.0, 0.5], [2, 32, 4.0, 5.0, 2.0, 1.5]])
    past = dict(steps=9, epochs=3, minutes=2.5, command="first", T=16, rows=[[3, 16, 7.0, 8.0, 1.0, 2.5]])
    told, rows = draw.history(facts | {"past": past})
    assert (told["steps"], told["epochs"], told["minutes"]) == (13, 5, 4.0)
    assert [(row[0], row[5]) for row in rows] == [(3, 2.5), (4, 3.0), (5, 4.0)]
    assert told["before"] == {key: value for key, value in past.items() if key != "rows"}
    told, rows = draw.history(facts)
    assert "before" not in told and rows == facts["curve"] and told["epochs"] == 2


def test_odd_texts_are_short_and_can_be_written():
    odd = [pieces.odd_text(np.random.default_rng([5, k])) for k in range(300)]
    assert all(1 <= len(text) <= 40 and text == text.strip() and text.isprintable() for text in odd)
    assert min(map(len, odd)) == 1 and any(t.isupper() for t in odd) and any("@" in t for t in odd)


def test_mistakes_are_paired():
    assert reading.aligned("cat", "cut") == [("c", "c"), ("a", "u"), ("t", "t")]
    assert reading.aligned("ab", "b") == [("a", ""), ("b", "b")]
    assert reading.aligned("", "x") == [("", "x")]


# -- budgets of the processor ------------------------------------------------------------------------------------------


def copier(budget=10.0):
    config = dict(input_size=9, output_size=8, hidden_size=6, places=6, place_size=3)
    return lineage.CopyRun(lineage.NTMCell, config, options(budget=budget))


def test_a_budget_ends_a_run_and_steers_its_rate(tmp_path):
    run = copier()
    rates, plain = [], []
    for done in (0.0, 0.01, 0.5, 0.9, 1.0):
        run.facts["seconds"] = 600 * done
        rates.append(run.rate() / run.TOP)
        plain.append(lineage.BudgetRun.rate(run) / run.TOP)
    assert rates == pytest.approx([0.02, 0.52, 1.0, 0.3, 0.005], abs=1e-3)
    assert plain == pytest.approx([0.02, 0.52, 0.5, 0.0245, 0.005], abs=1e-3)
    assert run.over()
    run.facts["seconds"] = 599.0
    assert not run.over()
    assert not _run.train(run, tmp_path / "a.pt", minutes=0.0, over=run.over)
    again = copier()
    again.take_up(tmp_path / "a.pt")
    assert again.facts["updates"] == run.facts["updates"] == 1 and again.facts["seconds"] > 599


def test_errors_of_a_copy_are_counted_by_length(monkeypatch):
    monkeypatch.setattr(lineage, "COPIES", (2, 3))
    run = copier()
    rows = lineage.copy_errors(run, run.model)
    assert [row[0] for row in rows] == [2, 3]
    assert all(0.2 < share < 0.8 and 8 < bits < 100 for _, bits, share in rows)  # it knows nothing


def test_one_writer_of_the_toy():
    found = lineage.toy_run("dot", "copy", 0, 2)
    assert found["steps"] == 2 and len(found["errors"]) == len(lineage.LENGTHS)
    assert all(0.3 < e < 1 for e in found["errors"])


# -- The proofreader's limit -------------------------------------------------------------------------------------------


def test_a_damaged_text_is_one_edit_away_and_can_be_told():
    rng, kinds = np.random.default_rng(0), set()
    for text in ("a", "It is so", "O 0 l1 xX", "two words"):
        for _ in range(50):
            wrong = reading.damaged(text, rng)
            kinds.add(len(wrong) - len(text))
            assert edit_distance(text, wrong) == 1 and same_sign(wrong) != same_sign(text)
            assert wrong and wrong == wrong.strip() and wrong.count(" ") == text.count(" ")
    assert kinds == {-1, 0, 1}, "left out, replaced, put in"


@pytest.fixture(scope="module")
def cut_lines():
    """Lines whose letters are known point by point, and the pieces that the reader cuts them into."""
    model = load("reading")
    lines = [EmbeddedWriter(k).write(text) for k, text in enumerate(("one two three", "hello", "in the sea"))]
    lines.append(Strokes(lines[1].offsets, "hallo"))  # a text that the ink does not say
    return model, lines, [reading.cut(model, line) for line in lines]


def test_lines_are_cut_into_words_and_pairs_where_the_words_end(cut_lines):
    _, lines, pieces = cut_lines
    texts = [[piece.text for piece in some] for some in pieces]
    assert texts == [["one", "one two", "two", "two three", "three"], [], ["in", "in the", "the", "the sea", "sea"], []]
    for line, some in zip(lines, pieces, strict=True):
        for piece in some:
            first = line.text.index(piece.text)
            own = [first <= c < first + len(piece.text) for c in line.char_index.tolist()]
            assert len(piece) == sum(own), "all of its letters' points and no others"
            begin = own.index(True)
            assert torch.equal(piece.offsets[1:-1], line.offsets[begin + 1 : begin + len(piece) - 1])
            assert piece.offsets[0, :2].tolist() == [0, 0] and piece.offsets[-1, 2] == 1


def test_only_single_words_where_no_pairs_are_asked_for(cut_lines):
    model, lines, _ = cut_lines
    assert [piece.text for piece in reading.cut(model, lines[0], most=1)] == ["one", "two", "three"]


def test_rows_of_the_proof_are_what_the_reader_says_of_the_true_and_of_a_changed_text(cut_lines, monkeypatch):
    model, lines, pieces = cut_lines
    monkeypatch.setattr(reading, "damaged", lambda text, rng: text[:-1] + "#")
    rows, whole = reading.proof_rows(model, lines, seed=4)
    assert rows.shape == (6, 8) and whole.tolist() == [True] * 4 + [False] * 4
    known = {line.text: line for line in [*lines, *(piece for some in pieces for piece in some)]}
    found = []
    for size, sure, errors, excess, more, higher in rows.T:
        for text, line in known.items():
            true, wrong = proofread([line, Strokes(line.offsets, text[:-1] + "#")], model)
            told = (len(text), true.nats - true.excess, true.errors, true.excess, wrong.errors, wrong.excess)
            if told == (size, sure, errors, excess, more, higher):
                found.append(text)
    assert found[:4] == [line.text for line in lines] and len(set(found)) == 8, "lines, then pieces, none twice"
    assert rows[3, 3] > 1, "the ink speaks against its text"
    again = reading.proof_rows(model, lines, seed=4)[0]
    assert (again == rows).all() and (reading.proof_rows(model, lines, seed=5)[0] != rows).any()


def judged(seed=0, n=41):
    """Rows as proof_rows gives them, of two groups of n: good ink, and the same with a letter changed."""
    rng = np.random.default_rng(seed)
    size = np.concatenate([rng.integers(15, 50, n), rng.integers(1, 12, n)]).astype(float)
    sure = rng.gamma(1.0, 0.1 * size)
    excess = rng.gamma(0.5, 1.0 + sure) * (rng.random(2 * n) < 0.7)
    higher = excess + rng.gamma(2.0, 2.0, 2 * n)
    return np.array([size, sure, np.ceil(excess / 3), excess, np.ceil(higher / 3), higher]), np.arange(2 * n) < n


@pytest.mark.parametrize("seed", range(3))
def test_of_the_limits_that_send_back_few_enough_it_is_one_that_catches_most(seed):
    rows, whole = judged(seed)
    size, sure, _, excess, _, higher = rows
    groups = [np.flatnonzero(whole), np.flatnonzero(~whole)]

    def share(values, allowed, group):
        return sum(values[i] > allowed[i] for i in group) / len(group)

    def caught(base, letter, nat, most):
        allowed = [base + letter * s + nat * min(n, most * s) for s, n in zip(size, sure, strict=True)]
        back = max(share(excess, allowed, group) for group in groups)
        return back, sum(share(higher, allowed, group) for group in groups)

    chosen = reading.limit(size, sure, excess, higher, whole)
    back, most_caught = caught(*chosen)
    assert back <= reading.REFUSED
    assert chosen[0] == 0 or caught(chosen[0] - 0.01, *chosen[1:])[0] > reading.REFUSED, "no lower in the first place"
    for letter in (0.0, 0.2, 0.4):
        for nat in (0.0, 1.0, 2.5, 4.0):
            for most in (0.1, 0.3):
                base = next(k / 100 for k in range(10_000) if caught(k / 100, letter, nat, most)[0] <= reading.REFUSED)
                assert caught(base, letter, nat, most)[1] <= most_caught + 1e-4


def test_the_proofs_figures_are_counts_by_its_limit():
    rows, whole = judged(7)
    size, sure, errors, excess, more, higher = rows
    told = reading.proof_figures(rows, whole)
    base, letter, nat, most = told["limit"]
    allowed = base + letter * size + nat * np.minimum(sure, most * size)
    assert told["lines"] == told["words"] == 41
    for name, group in (("lines", whole), ("words", ~whole)):
        assert told["refused"][name] == pytest.approx((excess > allowed)[group & (errors > 0)].sum() / 41, abs=1e-4)
        assert told["refused"][name] <= reading.REFUSED
        assert told["caught_at_limit"][name] == pytest.approx((higher > allowed)[group].sum() / 41, abs=1e-4)
    for rule, points in told["rules"].items():
        refused, found = np.array(points).T
        assert (np.diff(refused) <= 0).all() and (np.diff(found) <= 0).all() and (found >= refused).all(), rule
        assert told["caught"][rule] == max(f for r, f in points if r <= reading.REFUSED)


# -- Ink that says nothing ---------------------------------------------------------------------------------------------


def test_turned_about_lines_have_the_lines_ink():
    line = EmbeddedWriter(5).write("a line of ink")
    rng = np.random.default_rng(1)
    there = {tuple(row) for row in line.to_absolute()[:, :2].round().tolist()}

    def places(other):
        return other.to_absolute()[:, :2].round().tolist()

    other = doubt.backwards(line)
    shift = line.to_absolute()[-1, :2]  # ink begins at its own first point
    assert {tuple(row) for row in (other.to_absolute()[:, :2] + shift).round().tolist()} == there
    assert torch.allclose(doubt.backwards(other).offsets, line.offsets, atol=0.01)
    mirrored = doubt.turned(line, -1, 1)
    assert places(doubt.turned(mirrored, -1, 1)) == places(line) and places(mirrored) != places(line)
    mixed = doubt.shuffled(line, rng)
    strokes, others = doubt.strokes_of(line), doubt.strokes_of(mixed)
    assert sorted(map(len, strokes)) == sorted(map(len, others)) and len(mixed) == len(line)
    assert [s[0].tolist() for s in strokes] == [s[0].tolist() for s in others], "each in the place of another"
    assert [*map(len, strokes)] != [*map(len, others)]
    wild = doubt.wandering(line, rng)
    assert torch.equal(wild.offsets[:, 2], line.offsets[:, 2]) and not torch.allclose(wild.offsets, line.offsets)


def test_words_of_other_alphabets_are_one_line_each():
    for name, (font, signs) in doubt.SCRIPTS.items():
        one, same, other = (doubt.in_script(font, signs, np.random.default_rng(k)) for k in (1, 1, 2))
        assert torch.equal(one.offsets, same.offsets) and len(one) != len(other), name
        width, height = np.ptp(one.to_absolute()[:, :2].numpy(), axis=0)
        assert width > 5 * height > 0, name


def test_scribble_side_by_side_is_as_long_as_told_and_comes_again():
    torch.manual_seed(0)
    model = HandwritingPredictor(6, 1, 2, std=(40.0, 40.0))
    lines = doubt.scribbled(model, [4, 9, 6], seed=3)
    assert [len(line) for line in lines] == [5, 10, 7] and all(line.offsets[-1, 2] == 1 for line in lines)
    again = doubt.scribbled(model, [4, 9, 6], seed=3)
    assert all(torch.equal(a.offsets, b.offsets) for a, b in zip(lines, again, strict=True))
    assert not torch.equal(lines[0].offsets, doubt.scribbled(model, [4, 9, 6], seed=4)[0].offsets)


def test_the_figures_of_doubt_are_counts(monkeypatch):
    sure = {"people": np.linspace(0.5, 0.995, 100), "odd": np.array([0.2, 0.45, 0.6, 0.99]), "none": np.zeros(2)}
    lines = {name: [Strokes([[0, 0, 1]])] * len(values) for name, values in sure.items()}
    lines["none"][:1] = [Strokes([[0, 0, 1]])]
    values = iter(sure.values())
    monkeypatch.setattr(doubt.softattn, "load", lambda name: None)
    monkeypatch.setattr(doubt, "doubts_of", lambda model, network, lines: np.stack([(v := next(values)), 1 - v], 1))
    values = iter([sure["people"], *sure.values()])
    told = doubt.doubt_figures(None, lines["people"], {"odd": lines["odd"], "none": lines["none"]})
    rows = {row[0]: row[1:] for row in told["rows"]}
    assert (
        told["bar"] <= np.sort(sure["people"])[4] < told["bar"] + 0.01 and len(told["columns"]) == len(rows["odd"]) + 1
    )
    assert rows["people"] == [100, 0.0, 0.7475, 0.9702, 0.995, 0.99, 0.9, 0.5, 0.96, 0.96]
    assert rows["odd"] == [4, 0.0, 0.525, 0.9315, 0.99, 0.5, 0.5, 0.25, 0.5, 0.5]
    assert rows["none"][5:] == [0.0] * 5


def test_what_a_search_changes_is_counted_on_the_same_lines(monkeypatch):
    texts = ["one two", "three", "of", "a longer line"]
    lines = [types.SimpleNamespace(text=text) for text in texts]
    tail = {(1, False): ["##", "#", "", "###"], (8, False): ["##", "#", "", "##"], (8, True): ["", "#", "#", "#"]}

    def read_lines(model, lines, beam=1, language=None):
        assert language in (None, "prediction") and model == "a reader"
        return [
            types.SimpleNamespace(text=line.text + more)
            for line, more in zip(lines, tail[beam, language is not None], strict=True)
        ]

    monkeypatch.setattr(reading, "read_lines", read_lines)
    monkeypatch.setattr(reading.softattn, "load", lambda name: name)
    told = reading.searched("a reader", lines)
    sizes = np.array([7, 5, 2, 13])
    assert told["lines"] == 4 and [row[0] for row in told["rows"]] == [
        "best path", "beam 8", "beam 8 and the character model"
    ]  # fmt: skip
    first = np.array([2, 1, 0, 3])
    for row, wrong in zip(told["rows"], ([2, 1, 0, 3], [2, 1, 0, 2], [0, 1, 1, 1]), strict=True):
        values = dict(zip(told["columns"], row, strict=True))
        for kind, counts in (("error", np.array(wrong)), ("change", wrong - first)):
            rate = counts.sum() / 27
            off = counts - rate * sizes
            spread = np.sqrt(4 * (off - off.mean()) @ (off - off.mean()) / 3) / 27
            assert values[kind] == pytest.approx(rate)
            assert values["standard error" + " of the change" * (kind == "change")] == pytest.approx(spread)
        assert values["lines without an error"] == wrong.count(0) / 4


def test_a_score_goes_into_the_card_and_moves_no_weight(tmp_path, monkeypatch):
    from softattn import hub

    kept = load("reading-free")
    card = {k: v for k, v in kept.card.items() if k not in ("format", "sha256", "bytes", "dtype", "parameters")}
    out = tmp_path / "mine.safetensors"
    hub.save_weights(out, kept.state_dict(), card, dtype=torch.bfloat16)
    before = out.read_bytes()
    monkeypatch.setattr(reading.softattn, "load", lambda name: hub.load(out))
    monkeypatch.setattr(reading, "searched", lambda model, lines: {"lines": len(lines)})
    lines = [EmbeddedWriter(k).write("the pen") for k in range(11)]
    reading.score(argparse.Namespace(out=out), lines)
    now = hub.load(out).card
    assert now.pop("val1_part") == {"lines": 2} and out.read_bytes() == before
    assert {k: v for k, v in now.items() if k in card} == card


def test_the_card_of_the_reader_says_how_sure_it_is_of_what_says_nothing():
    told = load("reading").card["doubt"]
    rows = {row[0]: dict(zip(told["columns"][1:], row[1:], strict=True)) for row in told["rows"]}
    above = "share above the bar"
    assert rows["people"][above] >= 1 - told["refused"] and rows["scribble"]["lines"] == 200
    assert all(0 <= value <= 1 for row in rows.values() for key, value in row.items() if key != "lines")
    network = load("prediction")
    assert doubt.spelling_nats(network, "that it was the") < doubt.spelling_nats(network, "xqvj zzkp wq")

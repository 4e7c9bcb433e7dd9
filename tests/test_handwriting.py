"""The handwriting predictor: oracles by loop, the stream of lines, scribbling, and the weights that ship."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

import softattn
from softattn.handwriting import ROUNDING, HandwritingPredictor, PenModel, expected_ink, line_stream, stroke_start_
from softattn.iam import load_iam
from softattn.mixture import StrokeMixture
from softattn.pen import EmbeddedWriter
from softattn.strokes import Strokes

MEAN, STD = (8.25, 0.12), (42.5, 37.3)
STORED = -71.726  # nats a line on embedded_lines()


def made_up(*lengths: int, seed: int = 0) -> list[Strokes]:
    """Lines of random steps; every step of every line is another number."""
    rng = np.random.default_rng(seed)
    lines = []
    for length in lengths:
        offsets = np.concatenate([rng.normal(8, 40, (length, 2)), rng.random((length, 1)) < 0.1], 1)
        offsets[0, :2], offsets[-1, 2] = 0, 1
        lines.append(Strokes(offsets))
    return lines


def network(device="cpu", hidden=12, layers=2, mixtures=5, dtype=torch.float64, **more) -> HandwritingPredictor:
    torch.manual_seed(5)
    model = HandwritingPredictor(hidden, layers, mixtures, MEAN, STD, **more)
    with torch.no_grad():
        model.network.output.weight.normal_(0, 0.4)  # outputs that depend on what was read
    return model.to(device, dtype)


# -- scores ------------------------------------------------------------------------------------------------------------


def by_loop(model: HandwritingPredictor, line: Strokes, floor: float) -> tuple[float, float, float]:
    """One line, one point at a time, normalised by hand: nats, squared error, and that behind a lifted pen."""
    nats = error = jumps = 0.0
    state = None
    with torch.no_grad():
        for t in range(len(line) - 1):
            row, coming = (
                torch.tensor([(dx - MEAN[0]) / STD[0], (dy - MEAN[1]) / STD[1], end], dtype=torch.float64)
                for dx, dy, end in line.offsets[t : t + 2].double().tolist()
            )
            raw, state = model(row[None, None], state)
            mixture = StrokeMixture(raw[0, 0], floor=(floor / STD[0], floor / STD[1]))
            nats -= mixture.log_prob(coming).item()
            weighted = (mixture.pi[:, None] * mixture.mu).sum(0)
            miss = (coming[:2] - weighted).square().sum().item()
            error += miss
            jumps += miss if line.offsets[t, 2] == 1 else 0
    return nats, error, jumps


@pytest.mark.parametrize("floor", [0.0, ROUNDING, 3.0])
def test_scores_equal_a_loop_over_points(floor):
    """Padding, order, one-point lines, the first row: in whatever company, a line has its own score."""
    model, lines = network(), made_up(9, 1, 30, 2, 17, 30)
    wanted = [by_loop(model, line, floor) for line in lines]
    for batch in (1, 2, 64):
        scores = model.scores(lines, floor=floor, batch=batch)
        for i, name in enumerate(("nats", "squared_error", "squared_error_jumps")):
            values = torch.tensor([row[i] for row in wanted], dtype=torch.float64)
            torch.testing.assert_close(scores[name], values, rtol=1e-5, atol=1e-5)
        assert (scores["squared_error_jumps"] > 0).any()
        assert scores["points"].tolist() == [8, 0, 29, 1, 16, 29]
        assert scores["nats"][1] == 0 and scores["nats"].dtype == torch.float64
    assert torch.equal(model.nats(lines, floor), model.scores(lines, floor)["nats"])


def test_the_end_bit_of_the_first_row_is_read_and_not_scored():
    """Row 0 changes what is expected, and never costs anything itself: a line of two rows has one term."""
    model = network()
    (line,) = made_up(2)
    x = model.normalise(line.offsets.double())
    one = -StrokeMixture(model(x[:1, None])[0][0, 0], floor=model.floors(ROUNDING)).log_prob(x[1])
    torch.testing.assert_close(model.nats([line])[0], one.detach(), rtol=1e-6, atol=1e-6)


def test_scoring_leaves_the_model_as_it_was():
    model = network(dropout=0.5).train()
    lines = made_up(20, 12)
    first = model.nats(lines)
    assert model.training and torch.equal(first, model.nats(lines)), "dropout is off while scoring"
    assert all(p.grad is None for p in model.parameters())


def test_normalise_and_floors():
    model = network()
    rows = torch.tensor([[MEAN[0], MEAN[1], 1.0], [MEAN[0] + STD[0], MEAN[1] - 2 * STD[1], 0.0]], dtype=torch.float64)
    wanted = torch.tensor([[0.0, 0, 1], [1, -2, 0]], dtype=torch.float64)
    torch.testing.assert_close(model.normalise(rows), wanted, rtol=0, atol=1e-6)
    assert model.floors(1.0) == pytest.approx((1 / STD[0], 1 / STD[1]), rel=1e-6)
    assert ROUNDING == pytest.approx(np.random.default_rng(0).uniform(-0.5, 0.5, 200_000).std(), rel=0.01)
    assert "mean" not in model.state_dict(), "constants of the card, not weights"


def test_runs_on_the_device(device):
    lines = made_up(12, 7)
    here, there = network(dtype=torch.float32), network(device, dtype=torch.float32)
    torch.testing.assert_close(there.nats(lines), here.nats(lines), rtol=1e-3, atol=1e-3)
    assert there.nats(lines).device.type == "cpu"


# -- the network -------------------------------------------------------------------------------------------------------


def test_a_step_at_a_time_equals_the_whole_and_resets_forget():
    model, x = network(), torch.randn(11, 3, 3, dtype=torch.float64)
    whole, _ = model(x)
    assert whole.shape == (11, 3, 31)
    state, steps = None, []
    for row in x:
        raw, state = model(row[None], state)
        steps.append(raw[0])
    torch.testing.assert_close(torch.stack(steps), whole)
    reset = torch.zeros(11, 3, dtype=torch.bool)
    reset[4, 1] = True
    again, _ = model(x, None, reset)
    torch.testing.assert_close(again[4:, 1], model(x[4:, 1:2])[0][:, 0])
    torch.testing.assert_close(again[:, 0], whole[:, 0])


@pytest.mark.parametrize("mixtures", [2, 8, 20])
def test_the_start_expects_what_pens_do(mixtures):
    bias = torch.full((6 * mixtures + 1,), 9.0)
    assert stroke_start_(bias, mixtures, torch.Generator().manual_seed(0)) is bias
    mixture = StrokeMixture(bias)
    assert mixture.end.item() == pytest.approx(0.04, rel=1e-4)
    wide = mixture.sigma[:, 0] > 1
    assert wide.sum() == max(1, mixtures // 5)
    assert mixture.pi[wide].sum().item() == pytest.approx(0.04, rel=1e-4)
    assert mixture.mu.std() > 0.05 and (mixture.rho == 0).all()
    other = stroke_start_(torch.zeros_like(bias), mixtures, torch.Generator().manual_seed(0))
    assert torch.equal(bias, other)


# -- the stream --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 3, 7])
def test_the_stream_equals_a_loop(rows):
    """Every point of every line once, in order, its reset where a line or a row begins; at most B - 1 are lost."""
    lines = made_up(9, 1, 30, 2, 17, 5)
    x, y, reset, line = line_stream(lines, rows, torch.Generator().manual_seed(3))
    usable = [i for i, made in enumerate(lines) if len(made) > 1]
    kept = [lines[i].offsets for i in usable]
    order = torch.randperm(len(kept), generator=torch.Generator().manual_seed(3)).tolist()
    strip = [(kept[i][t], kept[i][t + 1], t == 0, usable[i]) for i in order for t in range(len(kept[i]) - 1)]
    steps = len(strip) // rows
    assert x.shape == y.shape == (steps, rows, 3) and reset.shape == (steps, rows) and reset.dtype == torch.bool
    for row in range(rows):
        for t in range(steps):
            seen, coming, begins, number = strip[row * steps + t]
            assert line[t, row] == number
            assert torch.equal(x[t, row], seen) and torch.equal(y[t, row], coming)
            assert reset[t, row] == (begins or t == 0)
    assert len(strip) - steps * rows < rows
    assert not torch.equal(x, line_stream(lines, rows, torch.Generator().manual_seed(4))[0]), "the order is drawn"


def test_training_on_the_stream_is_the_score_of_the_lines():
    """One row: the stream's sum of surprises is the sum of the lines' nats. Resets, targets, normalisation at once."""
    model, lines = network(), made_up(9, 1, 30, 2, 17)
    x, y, reset, _ = (t.double() if t.is_floating_point() else t for t in line_stream(lines, 1, torch.Generator()))
    mixture = StrokeMixture(model(model.normalise(x), None, reset)[0], floor=model.floors(ROUNDING))
    cost = -mixture.log_prob(model.normalise(y)).sum()
    torch.testing.assert_close(cost.detach(), model.nats(lines).sum(), rtol=1e-6, atol=1e-6)


# -- writing -----------------------------------------------------------------------------------------------------------


def test_scribbles_are_seeded_and_follow_what_was_read():
    model = network(dtype=torch.float32)
    prime = EmbeddedWriter(1).write("ink")

    def write(seed=0, **how):
        return model.scribble(40, generator=torch.Generator().manual_seed(seed), **how)

    line = write()
    assert len(line) == 41 and line.offsets[-1, 2] == 1 and (line.offsets[0, :2] == 0).all()
    assert line == write() and line != write(seed=1)
    assert line != write(prime=prime) and line != write(bias=2.0)
    assert len(write(prime=prime)) == 41


@pytest.mark.parametrize("primed", [False, True])
def test_a_scribble_is_drawn_from_what_the_whole_line_predicts(primed):
    """Each draw, repeated from the outputs for the finished line: the past is remembered, each point is fed back."""
    model = network(dtype=torch.float32)
    prime = EmbeddedWriter(1).write("ink") if primed else Strokes(torch.tensor([[0.0, 0, 1]]))
    how = {"prime": prime} if primed else {}
    line = model.scribble(25, bias=0.5, generator=torch.Generator().manual_seed(7), **how)
    start = prime.offsets if primed else torch.zeros(1, 3)
    drawn = line.offsets[1:].clone()
    with torch.no_grad():
        raw, _ = model(model.normalise(torch.cat([start, drawn]))[:-1, None])
    generator = torch.Generator().manual_seed(7)
    for t in range(25):
        again = StrokeMixture(raw[len(start) - 1 + t][None]).sample(bias=0.5, generator=generator)[0, 0]
        wanted = again * model.std + model.mean
        torch.testing.assert_close(drawn[t, :2], wanted[:2], rtol=1e-3, atol=0.05)
        assert t == 24 or drawn[t, 2] == wanted[2]


def test_bias_writes_what_is_more_probable():
    model = network(dtype=torch.float32)
    cost = [
        model.nats([model.scribble(150, bias=b, generator=torch.Generator().manual_seed(s)) for s in range(4)]).sum()
        for b in (0.0, 3.0)
    ]
    assert cost[1] < cost[0] - 100


def test_expected_ink_is_a_density_along_the_line():
    """Every prediction has a volume of 1, so the whole picture has one per point; the peak follows the means."""
    model = network(dtype=torch.float64)
    with torch.no_grad():
        model.network.output.weight.zero_()
        bias = model.network.output.bias.zero_()
        bias[16:26] = -1.2  # widths of 0.3: all of it lies within the reach, and is wider than a pixel
    line = made_up(6)[0]
    density, (left, right, bottom, top), end, raw = expected_ink(model, line, cell=4.0, reach=(120.0, 120.0))
    assert (right - left) / 4 == density.shape[1] and (bottom - top) / 4 == density.shape[0]
    assert density.sum().item() * 16 == pytest.approx(5, rel=0.01)
    assert end.shape == (5,) and raw.shape == (5, 31) and end.mean().item() == pytest.approx(0.5)
    ys = top + 4 * (torch.arange(density.shape[0]) + 0.5)
    xs = left + 4 * (torch.arange(density.shape[1]) + 0.5)
    centre = line.to_absolute()[:-1, :2].double().mean(0) + torch.tensor(MEAN)
    assert (density.sum(0) @ xs.double() / density.sum()).item() == pytest.approx(centre[0].item(), abs=1.0)
    assert (density.sum(1) @ ys.double() / density.sum()).item() == pytest.approx(centre[1].item(), abs=1.0)


# -- errors ------------------------------------------------------------------------------------------------------------


GENERATOR = torch.Generator()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: HandwritingPredictor(4, 1, 1), "HandwritingPredictor: mixtures is 1, expected a whole number from 2"),
        (lambda: HandwritingPredictor(4, 1, 2, std=(1.0, 0.0)), "std above 0"),
        (lambda: HandwritingPredictor(4, 1, 2, std=(1.0, -2.0)), "std above 0"),
        (lambda: HandwritingPredictor(4, 1, 2, std=(1.0, math.inf)), "finite numbers each"),
        (lambda: HandwritingPredictor(4, 1, 2, mean=(1.0,)), "give a pair of finite"),
        (lambda: HandwritingPredictor(4, 1, 2, mean=(math.nan, 0)), r"mean \(nan, 0\), std .* give a pair of finite"),
        (lambda: HandwritingPredictor(4, 1, 2, mean="ab"), "mean ab, std"),
        (lambda: HandwritingPredictor(4, 1, 2, mean=None), "mean None, std"),
        (lambda: HandwritingPredictor(4, 1, 2, std=3.0), "std 3.0; give a pair"),
        (lambda: network().scores([]), "HandwritingPredictor.scores: no lines; give at least one"),
        (lambda: network().scores(made_up(3), batch=-1), "scores: batch is -1, expected a whole number from 1"),
        (lambda: network().scores(made_up(3), batch=0), "scores: batch is 0"),
        (lambda: network().nats(made_up(3), floor=-1.0), "floor is -1.0, expected a finite number from 0"),
        (lambda: network().nats(made_up(3), floor=math.nan), "floor is nan"),
        (lambda: network().nats(made_up(3), floor=math.inf), "floor is inf"),
        (lambda: network().scribble(0), "scribble: points is 0, expected a whole number from 1"),
        (lambda: network().scribble(-3), "points is -3"),
        (lambda: network().scribble(2, bias=math.nan), "scribble: bias is nan, expected a finite number from 0"),
        (lambda: network().scribble(2, bias=1e300), "bias is 1e.300"),
        (lambda: network().scribble(2, bias=-1.0), "bias is -1.0, expected a finite number from 0 to 100"),
        (lambda: network().scribble(10**9), "points is 1000000000, expected a whole number from 1 to 100,000"),
        (lambda: expected_ink(network(), made_up(3)[0], cell=1, reach=(500, 9)), "two, at most 400 cells"),
        (lambda: expected_ink(network(), made_up(1)[0]), r"the line has 1 points \(at least two\)"),
        (lambda: expected_ink(network(), made_up(3)[0], cell=0), "cell is 0, expected a finite number from 1"),
        (lambda: expected_ink(network(), made_up(3)[0], cell=-1.0), "cell is -1.0"),
        (lambda: expected_ink(network(), made_up(3)[0], cell=1e-9), "cell is 1e-09"),
        (lambda: expected_ink(network(), made_up(3)[0], reach=(1.0,)), "reach"),
        (lambda: line_stream(made_up(3, 1), 3, GENERATOR), "2 points to predict do not fill 3 rows"),
        (lambda: line_stream([], 3, GENERATOR), "0 points to predict"),
        (lambda: line_stream(made_up(9), 0, GENERATOR), "line_stream: rows is 0, expected a whole number"),
    ],
)
def test_errors_say_what_to_do(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: HandwritingPredictor(4, 1, 2.5), "mixtures is 2.5, expected a whole number"),
        (lambda: HandwritingPredictor(4, 1, True), "mixtures is True, expected a whole number"),
        (lambda: network().scores(made_up(3), batch=1.5), "scores: batch is 1.5"),
        (lambda: network().nats(made_up(3), floor="1"), "floor is '1'"),
        (lambda: network().scribble(2.0), "points is 2.0"),
        (lambda: network().scribble(True), "points is True"),
        (lambda: network().scores("ab"), "HandwritingPredictor.scores: lines hold a str; give a list of Strokes"),
        (lambda: network().scores(made_up(3)[0]), "scores: lines = Strokes; give a list"),
        (lambda: network().nats(7), "scores: lines = int; give a list"),
        (lambda: network().nats([None]), "lines hold a NoneType"),
        (lambda: network().nats([torch.zeros(4, 3)]), "lines hold a Tensor"),
        (lambda: network().scribble(2, prime="ink"), "lines hold a str"),
        (lambda: network().scribble(2, generator=3), "generator = 3; give torch.Generator"),
        (lambda: network().scribble(2, bias="1"), "scribble: bias is '1' .str., expected a number"),
        (lambda: expected_ink(network(), torch.zeros(4, 3)), "expected_ink: lines hold a Tensor"),
        (lambda: network().scores(torch.tensor(2.0)), "lines = Tensor; give a list of Strokes"),
        (lambda: network().nats(made_up(3), floor=(1, 1)), r"floor is \(1, 1\)"),
        (lambda: network().nats(made_up(3), floor=True), "floor is True, expected a number"),
        (lambda: expected_ink(torch.nn.Linear(3, 3), made_up(3)[0]), "model is a Linear; give a PenModel"),
        (lambda: line_stream(["ab"], 1, GENERATOR), "line_stream: lines hold a str"),
    ],
)
def test_wrong_types_say_what_came(call, words):
    with pytest.raises(TypeError, match=words):
        call()


def test_numbers_of_numpy_and_generators_of_lines_are_taken():
    model, lines = network(), made_up(9, 1, 4)
    want = model.nats(lines)
    assert torch.equal(model.nats(line for line in lines), want)
    assert torch.equal(model.scores(tuple(lines), np.float32(ROUNDING), np.int64(2))["points"], torch.tensor([8, 0, 3]))
    assert len(model.scribble(np.int64(3), bias=np.float32(0.5))) == 4


def test_each_part_has_its_own_mode_again_also_after_an_error():
    class Broken(HandwritingPredictor):
        def outputs(self, x, lines):
            assert not any(part.training for part in self.modules())
            raise RuntimeError("broken")

    torch.manual_seed(0)
    model = Broken(4, 1, 2, MEAN, STD).train()
    model.network.layers.eval()  # somebody froze a part
    before = [part.training for part in model.modules()]
    for call in (lambda: model.nats(made_up(5)), lambda: expected_ink(model, made_up(5)[0])):
        with pytest.raises(RuntimeError, match="broken"):
            call()
        assert [part.training for part in model.modules()] == before
    with pytest.raises(ValueError, match="bias is nan"):
        model.scribble(3, bias=math.nan)
    assert [part.training for part in model.modules()] == before
    model.scribble(3)
    assert [part.training for part in model.modules()] == before


def test_hooks_and_overridden_pieces_are_honoured():
    model, lines, calls = network(dtype=torch.float32), made_up(9, 4), []
    want = model.nats(lines)
    handle = model.network.output.register_forward_hook(lambda module, inputs, output: calls.append(1) or output + 1)
    assert not torch.allclose(model.nats(lines), want) and len(calls) == 1
    model.scribble(5)
    assert len(calls) == 6
    handle.remove()

    class Shifted(HandwritingPredictor):
        def normalise(self, offsets):
            return super().normalise(offsets) + 1

    other = Shifted(12, 2, 5, MEAN, STD)
    other.load_state_dict(model.state_dict())
    assert not torch.allclose(other.nats(lines), want)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_every_floating_type_scores_and_scribbles(dtype):
    lines = made_up(20, 9)
    want = network(dtype=torch.float32).nats(lines)
    model = network(dtype=dtype)
    torch.testing.assert_close(model.nats(lines), want, rtol=0.05, atol=2.0)
    assert len(model.scribble(5, prime=lines[1])) == 6
    density, *_ = expected_ink(model, lines[1])
    assert density.dtype == torch.promote_types(dtype, torch.float32) and density.isfinite().all()


def test_the_model_without_outputs_says_so():
    class Silent(PenModel):
        pass

    with pytest.raises(NotImplementedError, match="Silent must say in `outputs` how it reads"):
        Silent(2, MEAN, STD).nats(made_up(3))


# -- the weights that ship ---------------------------------------------------------------------------------------------


def embedded_lines() -> list[Strokes]:
    return [EmbeddedWriter(hand).write("a thin line of ink") for hand in range(4)]


def test_the_card_says_what_the_chapter_reads():
    card = softattn.load("handwriting").card
    assert (card["config"]["hidden_size"], card["config"]["num_layers"], card["config"]["mixtures"]) == (400, 3, 20)
    assert card["bytes"] <= 8e6 and card["non_commercial"] and "IAM-OnDB" in card["data"]
    for name, lines in (("val1", 1438), ("val1_cleaned", 1413)):
        figures = card[name]
        assert figures["lines"] == lines
        cell = math.log(card["config"]["std"][0] * card["config"]["std"][1])
        bits = (figures["nats_per_line"] / figures["points_per_line"] + cell) / math.log(2)
        assert figures["bits_per_point_raw_lattice"] == pytest.approx(bits, abs=1e-6)
    assert card["metric"]["value"] == card["val1"]["nats_per_line"]
    assert abs(card["lost_to_bfloat16_nats_per_line"]) < 2


def test_the_weights_give_the_figure_that_was_stored():
    """Four embedded lines: the network, the mixture, the normalisation and the file, all in one number."""
    nats = softattn.load("handwriting").nats(embedded_lines())
    assert nats.mean().item() == pytest.approx(STORED, rel=1e-3)


def static(points: torch.Tensor, fitted: torch.Tensor) -> float:
    """Nats of points (P, 2) under one Gaussian with the moments of `fitted`."""
    gaussian = torch.distributions.MultivariateNormal(fitted.mean(0), torch.cov(fitted.T))
    return -gaussian.log_prob(points).sum().item()


@pytest.mark.data
def test_real_lines_and_the_simple_models_of_the_table():
    model = softattn.load("handwriting")
    lines, _ = load_iam(split="val1", progress=False)
    first = model.nats(lines[:32])
    assert -2500 < first.mean() < -500 and first.isfinite().all()
    x = [model.normalise(line.offsets).double() for line in lines if len(line) > 3]
    here, before = torch.cat([r[1:] for r in x]), torch.cat([r[:-1, 2] for r in x])

    def coin(bits):
        p = bits.mean()
        return -(bits * p.log() + (1 - bits) * (1 - p).log()).sum().item()

    one = static(here[:, :2], here[:, :2]) + coin(here[:, 2])
    two = sum(static(here[at, :2], here[at, :2]) + coin(here[at, 2]) for at in (before == 1, before == 0))
    path = Path(softattn.__file__).parent / "data" / "handwriting-simple.json"
    table = [row["nats"] for row in json.loads(path.read_text("utf-8"))["rows"]]
    assert one / len(lines) == pytest.approx(table[0], abs=6)
    assert two / len(lines) == pytest.approx(table[1], abs=6)
    past, coming = [], []  # steps on paper after two steps on paper, from those two
    for r in x:
        paper = (r[:-3, 2] == 0) & (r[1:-2, 2] == 0) & (r[2:-1, 2] == 0)
        past.append(torch.cat([r[2:-1, :2], r[1:-2, :2], torch.ones(len(paper), 1)], 1)[paper])
        coming.append(r[3:, :2][paper])
    past, coming = torch.cat(past), torch.cat(coming)
    left = coming - past @ torch.linalg.lstsq(past, coming).solution
    assert static(left, left) / len(left) == pytest.approx(table[2], abs=0.02)


def test_the_table_of_floors_is_what_scoring_gives():
    """What the recipe stores, reading each line once: here on lines of its own, there on val1, as the card has it."""
    from recipes.handwriting import floors

    model, lines = network(dtype=torch.float32).eval(), made_up(9, 4, 30)
    rows = floors(model, lines)
    assert [row["floor"] for row in rows] == ["0", "1/sqrt(12)", "1/sqrt(6)"]
    for row in rows:
        want = model.nats(lines, floor=row["raw_units"]).mean().item()
        assert row["nats_per_line"] == pytest.approx(want, rel=1e-5)
    stored = json.loads((Path(softattn.__file__).parent / "data" / "handwriting-floors.json").read_text("utf-8"))
    figures = softattn.load("handwriting").card["val1"]
    assert [row["raw_units"] for row in stored["rows"]] == [row["raw_units"] for row in rows]
    assert stored["lines"] == figures["lines"]
    bare, rounded, _ = (row["nats_per_line"] for row in stored["rows"])
    assert bare == pytest.approx(figures["nats_per_line_floor_0"], abs=0.05)
    assert rounded == pytest.approx(figures["nats_per_line"], abs=0.05)


def test_noise_on_the_weights_helps_the_predictor():
    """The table behind the pages: before and after the noise, all lines of val1; the second is what ships."""
    stored = json.loads((Path(softattn.__file__).parent / "data" / "handwriting-noise.json").read_text("utf-8"))
    bare, noisy = stored["runs"]
    card = softattn.load("handwriting").card
    assert bare["noise"] == [] and noisy["noise"] == card["noise"]["rows"] and noisy["points"] == card["points"]
    assert bare["points"] == noisy["noise"][0][0], "the noise began where the first run ended"
    assert noisy["nats_per_line"] == card["val1"]["nats_per_line"] and bare["lines"] == noisy["lines"] == 1438
    assert noisy["nats_per_line"] < bare["nats_per_line"] - 10


def test_three_layers_beat_one_at_an_equal_budget():
    """The table on the page: the same recipe, the same number of points and updates, all lines of val1."""
    stored = json.loads((Path(softattn.__file__).parent / "data" / "handwriting-layers.json").read_text("utf-8"))
    one, three = stored["runs"]
    assert (one["layers"], three["layers"]) == (1, 3) and one["lines"] == three["lines"] == 1438
    assert one["points"] == three["points"] and one["updates"] == three["updates"]
    assert one["nats_per_line"] - three["nats_per_line"] > 15.3  # Graves' own difference, table 3

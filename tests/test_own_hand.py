"""softattn.own_hand: low rank against dense sums, resumed against uninterrupted, held-out lines that teach nothing."""

import copy
import json
import math

import pytest
import torch

import softattn
from softattn import own_hand
from softattn.hub import weights
from softattn.ink import save_ink
from softattn.own_hand import (
    CHUNK,
    Adapters,
    Look,
    chunk_losses,
    fine_tune,
    hold_out,
    read_hand,
    shapes_of,
    trained_shapes,
)
from softattn.pen import EmbeddedWriter
from softattn.strokes import Strokes
from softattn.synthesis import HandwritingSynthesizer, encode_texts, sample_lines

TEXTS = "ink on", "a line", "my hand", "so it is", "a pen", "old sea", "no one"


def network(seed=5, hidden=12) -> HandwritingSynthesizer:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return HandwritingSynthesizer(hidden, 2, 3, 4, (8.25, 0.12), (42.5, 37.3)).eval()


def hand(count=6, seed=3) -> list[Strokes]:
    writer = EmbeddedWriter(seed, slant=0.4)
    return [writer.write(TEXTS[n % len(TEXTS)]) for n in range(count)]


def adapters_of(model, layers="adapters", rank=2, seed=1, scale=0.05) -> Adapters:
    """Adapters whose every number is away from zero."""
    generator = torch.Generator().manual_seed(seed)
    found = Adapters(shapes_of(model), layers, rank)
    with torch.no_grad():
        for value in found.parameters():
            value.copy_(scale * torch.randn(value.shape, generator=generator))
    return found


# -- what is added -----------------------------------------------------------------------------------------------------


def test_adapters_of_rank_r_are_the_dense_sum_of_r_outer_products():
    model = network()
    adapters = adapters_of(model)
    mine = dict(adapters.named_parameters())
    for name, got in adapters.weights(model).items():
        W = model.get_parameter(name).detach().double()
        key = name.replace(".", "/")
        if f"{key} B" in mine:
            B, A = mine[f"{key} B"].double(), mine[f"{key} A"].double()
            added = sum(torch.outer(B[:, k], A[k]) for k in range(2))
            assert torch.linalg.matrix_rank(added) == 2
        else:
            added = mine[key].double()
        assert torch.allclose(got.double(), W + added, atol=1e-6), name
    assert {"first/weight_h B", "output/weight A", "first/bias"} <= mine.keys()


def test_merged_and_unmerged_write_the_same_ink():
    model = network()
    adapters = adapters_of(model)
    merged = adapters.merged(model)
    lines = hand(3)
    loose = torch.stack([*chunk_losses(model, adapters, lines)])
    nothing = Adapters(shapes_of(merged))
    assert torch.equal(loose, torch.stack([*chunk_losses(merged, nothing, lines)]))
    plain = copy.deepcopy(model)
    with torch.no_grad():
        for name, value in adapters.weights(model).items():
            plain.get_parameter(name).copy_(value)
    drafts = [sample_lines(one, ["ink"], [4])[0] for one in (merged, plain)]
    assert drafts[0].strokes == drafts[1].strokes
    assert drafts[0].strokes != sample_lines(model, ["ink"], [4])[0].strokes


@pytest.mark.parametrize("layers", own_hand.LAYERS)
def test_new_adapters_leave_the_base_as_it_is(layers):
    model = network()
    merged = Adapters(shapes_of(model), layers).merged(model)
    for name, value in model.state_dict().items():
        assert torch.equal(merged.state_dict()[name], value)
    assert merged is not model and merged.get_parameter("output.bias") is not model.output.bias


def test_what_each_choice_of_layers_learns():
    shapes = {"first.weight_h": [40, 160], "first.weight_x": [3, 160], "output.weight": [25, 80], "output.bias": [25]}
    every = trained_shapes(shapes, "all", 8)
    assert list(every.values()) == list(shapes.values())
    assert trained_shapes(shapes, "last", 8) == {"output/weight": [25, 80], "output/bias": [25]}
    low = trained_shapes(shapes, "adapters", 4)
    assert low["first/weight_h B"] == [40, 4] and low["first/weight_h A"] == [4, 160]
    assert low["first/weight_x"] == [3, 160], "factors that are no smaller are not worth it"
    assert low["output/bias"] == [25]


def test_the_shipped_pen_takes_less_than_a_megabyte():
    config = weights()["synthesis"]["config"]
    with torch.device("meta"):
        model = HandwritingSynthesizer(**config)
        count = sum(p.numel() for p in Adapters(shapes_of(model)).parameters())
    assert 4 * count < 1_000_000


# -- learning ----------------------------------------------------------------------------------------------------------


def test_the_loss_of_chunks_is_the_nats_of_the_lines():
    model, lines = network(), hand(3)
    nothing, points = Adapters(shapes_of(model)), max(map(len, lines)) - 1
    total = torch.zeros((), dtype=torch.float64)
    longest = math.ceil(points / CHUNK)
    losses = [loss.item() for loss in chunk_losses(model, nothing, lines)]
    assert len(losses) == longest
    for k, loss in enumerate(losses):
        real = sum(max(0, min(len(line) - 1, (k + 1) * CHUNK) - k * CHUNK) for line in lines)
        total += loss * real
    assert total.item() == pytest.approx(model.nats(lines).sum().item(), rel=1e-5)


@pytest.mark.parametrize("layers", own_hand.LAYERS)
def test_the_slope_is_that_of_a_finite_difference(layers):
    model, lines = network().double(), hand(2)
    adapters = adapters_of(model, layers).double()
    (first, *_) = chunk_losses(model, adapters, lines)
    slopes = torch.autograd.grad(first, list(adapters.parameters()))
    generator = torch.Generator().manual_seed(2)
    ways = [torch.randn(p.shape, generator=generator, dtype=p.dtype) for p in adapters.parameters()]
    expected = sum((a * b).sum() for a, b in zip(slopes, ways, strict=True))
    values = []
    for sign in (1, -1):
        moved = copy.deepcopy(adapters)
        with torch.no_grad():
            for p, way in zip(moved.parameters(), ways, strict=True):
                p += sign * 1e-5 * way
            values.append(next(chunk_losses(model, moved, lines)).item())
    assert (values[0] - values[1]) / 2e-5 == pytest.approx(float(expected), rel=1e-4)


def test_it_learns_and_leaves_base_and_generator_alone():
    model, lines, looks = network(), hand(7), []
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    model.train()
    tuned = fine_tune(model, lines, steps=8, rate=0.02, progress=looks.append)
    assert model.training and torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [look.step for look in looks] == [0, 2, 4, 6, 8] and isinstance(looks[0], Look)
    assert looks[0].nats == looks[0].base == pytest.approx(model.nats(hold_out(lines)[1]).mean().item())
    best = min(look.nats for look in looks)
    assert best < looks[0].base - 10
    assert tuned.nats(hold_out(lines)[1]).mean().item() == pytest.approx(best)
    assert tuned.card["metric"]["value"] == best and not tuned.training
    assert type(tuned) is HandwritingSynthesizer


def test_held_out_lines_are_never_learned_from(monkeypatch):
    lines, seen = hand(10), []
    train, held = hold_out(lines)
    assert len(held) == 2 and len(train) == 8 and {id(x) for x in train + held} == {id(x) for x in lines}

    def spy(base, adapters, batch):
        seen.extend(batch)
        return chunk_losses(base, adapters, batch)

    monkeypatch.setattr(own_hand, "chunk_losses", spy)
    fine_tune(network(), lines, steps=4)
    assert {id(line) for line in seen} == {id(line) for line in train}
    other = fine_tune(network(), train, held_out=held, steps=4)
    assert other.card["metric"]["split"].startswith("2 lines")


@pytest.mark.parametrize(("count", "read"), [(12, 8), (6, 5)])
def test_a_step_reads_eight_lines_side_by_side_or_all(monkeypatch, count, read):
    """Of 12 lines 2 are held out and 10 are left; of 6 lines 5."""
    sizes = []

    def spy(base, adapters, batch):
        sizes.append(len({id(line) for line in batch}))
        return chunk_losses(base, adapters, batch)

    monkeypatch.setattr(own_hand, "chunk_losses", spy)
    fine_tune(network(), hand(count), steps=2)
    assert sizes == [read, read]


def test_what_is_held_out_changes_no_update():
    lines, other = hand(6), hand(9, seed=8)[7:]
    ends = [fine_tune(network(), lines, held_out=held, steps=2, rate=0.01) for held in (lines[:1], other)]
    for a, b in zip(*(end.parameters() for end in ends), strict=True):
        assert torch.equal(a, b), "both took two steps, chosen by other lines"


def test_resumed_is_as_if_it_had_never_stopped(tmp_path, monkeypatch):
    lines, whole, parts = hand(7), [], []
    monkeypatch.setattr(own_hand, "name_of", lambda model: ("tiny", "0" * 64))
    once = fine_tune(network(), lines, steps=8, progress=lambda look: whole.append(look.nats))
    out = tmp_path / "me.safetensors"
    for stop in (3, 1, 9):  # looks before it is killed

        def tell(look, left=[stop]):  # noqa: B006
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
            parts.append(look.nats)

        try:
            twice = fine_tune(network(), lines, out, steps=8, progress=tell)
        except KeyboardInterrupt:
            assert (tmp_path / "me.state").exists() and not out.exists()
    assert parts[-1] == whole[-1] and len(set(parts)) == len(whole) == 5
    for a, b in zip(once.parameters(), twice.parameters(), strict=True):
        assert torch.equal(a, b)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["me.json", "me.safetensors"]


def test_a_state_of_other_lines_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(own_hand, "name_of", lambda model: ("tiny", "0" * 64))

    def stop(look):
        if look.step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fine_tune(network(), hand(6), tmp_path / "me.safetensors", steps=4, progress=stop)
    with pytest.raises(ValueError, match="me.state belongs to another run.*delete it"):
        fine_tune(network(), hand(7), tmp_path / "me.safetensors", steps=4)


def test_it_stops_by_itself():
    looks = []
    fine_tune(network(), hand(6), steps=400, rate=1.0, progress=looks.append)  # too fast: nothing gets better for long
    assert len(looks) < 100
    nats = [look.nats for look in looks]
    assert len(nats) - 1 - nats.index(min(nats)) == own_hand.PATIENCE
    timed = []
    fine_tune(network(), hand(6), steps=400, minutes=0, progress=timed.append)
    assert len(timed) == 1


def test_no_gain_gives_the_base_back():
    model, lines = network(), hand(6)
    tuned = fine_tune(model, lines, steps=0)
    assert tuned.card["steps"] == 0
    assert torch.equal(tuned.nats(lines), model.nats(lines))


def test_another_seed_holds_out_other_lines():
    lines = hand(20)
    assert [len(part) for part in hold_out(lines)] == [16, 4]
    assert len(hold_out(lines * 10)[1]) == 20
    assert {id(x) for x in hold_out(lines, 1)[1]} != {id(x) for x in hold_out(lines, 2)[1]}


# -- files -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A hand on the free weights, after one step."""
    out = tmp_path_factory.mktemp("hand") / "me.safetensors"
    return out, fine_tune("synthesis-free", hand(5), out, steps=2, rank=2)


def test_what_is_stored_is_what_was_returned(stored):
    out, tuned = stored
    again = softattn.load(out)
    assert type(again) is HandwritingSynthesizer
    for a, b in zip(again.parameters(), tuned.parameters(), strict=True):
        assert torch.equal(a, b)
    card = json.loads(out.with_suffix(".json").read_text())
    assert card["class"] == "softattn.own_hand.Adapters" and card == tuned.card
    assert card["judged_by"] == weights()["synthesis-free"]["judged_by"]
    assert "your own lines" in card["licence"] and "'synthesis-free'" in card["licence"]
    page = softattn.write("ink", seed=1, model=str(out), check=False)
    assert page == softattn.write("ink", seed=1, model=tuned, check=False)


def test_the_terms_of_the_base_stay_with_the_hand():
    for name, told in (("synthesis", True), ("synthesis-free", False)):
        run = own_hand.start_run(network(), hand(5), None, "adapters", 2, 1e-3, 0)
        run.tuning.curve[0] = 1.0
        card = own_hand.hand_card(run, weights()[name], 0)
        assert card["non_commercial"] is told and weights()[name]["licence"] in card["licence"]


def test_other_base_weights_are_refused(stored, monkeypatch):
    out, _ = stored
    known = weights()
    changed = {name: {**card, "sha256": "1" * 64} for name, card in known.items()}
    monkeypatch.setattr(own_hand, "weights", lambda: changed)
    with pytest.raises(ValueError, match="other weights 'synthesis-free' than come.*train them again"):
        softattn.load(out)
    monkeypatch.setattr(own_hand, "weights", lambda: {"synthesis": known["synthesis"]})
    with pytest.raises(ValueError, match="'synthesis-free', which do not ship; there are: synthesis"):
        softattn.load(out)


def test_a_folder_as_collect_leaves_it(tmp_path):
    lines = hand(3)
    for n, line in enumerate(lines, 1):
        save_ink(tmp_path / f"line-{n:03}.inkml", line)
        (tmp_path / f"line-{n:03}.json").write_text(json.dumps({"text": line.text + "!", "seconds": 3}))
    (tmp_path / "notes.md").write_text("no ink")
    found = read_hand(tmp_path)
    assert [line.text for line in found] == [line.text + "!" for line in lines], "the .json says what was asked for"
    for line, other in zip(lines, found, strict=True):
        assert other.offsets[:, 2].sum() == line.offsets[:, 2].sum()
    save_ink(tmp_path / "line-004.json", lines[0])
    assert read_hand(tmp_path)[3].text == lines[0].text
    assert [line.text for line in read_hand(tmp_path / "line-004.json")] == [lines[0].text], "one file will do"


# -- errors ------------------------------------------------------------------------------------------------------------


def test_errors_of_a_folder(tmp_path):
    with pytest.raises(ValueError, match="nowhere is no folder; name the one"):
        read_hand(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="holds no ink.*softattn collect"):
        read_hand(tmp_path)
    save_ink(tmp_path / "a.inkml", hand(1)[0])
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(ValueError, match=r"a\.json is no JSON"):
        read_hand(tmp_path)
    (tmp_path / "a.json").unlink()
    save_ink(tmp_path / "a.inkml", Strokes(hand(1)[0].offsets, ""))
    with pytest.raises(ValueError, match=r"a\.inkml does not say what is written.*\.txt"):
        read_hand(tmp_path)


@pytest.mark.parametrize(
    ("given", "kind", "words"),
    [
        ({"lines": hand(4)}, ValueError, "4 lines came, expected at least 5; write some more"),
        ({"lines": [*hand(5), Strokes(hand(1)[0].offsets, "")]}, ValueError, "line 5 .* has no text"),
        ({"lines": [*hand(5), Strokes([[0, 0, 1]], ".")]}, ValueError, "no ink but one point"),
        ({"lines": "abc"}, TypeError, "give a list of Strokes"),
        ({"layers": "some"}, ValueError, "layers is 'some', expected one of adapters, last, all"),
        ({"rank": 0}, ValueError, "rank is 0, expected a whole number from 1"),
        ({"steps": -1}, ValueError, "steps is -1"),
        ({"rate": math.nan}, ValueError, "rate is nan"),
        ({"minutes": -1}, ValueError, "minutes is -1"),
        ({"held_out": []}, ValueError, "0 lines to hold out came, expected at least 1"),
        ({"progress": 3}, TypeError, "progress is 3, expected a function"),
        ({"model": torch.nn.Linear(1, 1)}, TypeError, "model is a Linear"),
        ({"out": "me.pt"}, ValueError, "goes to NAME.safetensors, got 'me.pt'"),
        ({"out": "me.safetensors"}, ValueError, "weights that ship can be stored"),
        ({"rate": 1e6}, ValueError, "rate is 1000000.0, expected a finite number from 0 to 1"),
    ],
)
def test_errors_are_told_before_anything_is_learned(given, kind, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call = {"model": network(), "lines": hand(5), "steps": 1} | given
    with pytest.raises(kind, match=words):
        fine_tune(**call)
    assert list(tmp_path.iterdir()) == []


def test_a_loss_that_is_no_number_is_told():
    model = network()
    with torch.no_grad():
        model.output.bias[0] = torch.nan
    with pytest.raises(FloatingPointError, match="the loss is nan after 0 steps"):
        fine_tune(model, hand(5), steps=2)


def test_errors_of_adapters():
    shapes = shapes_of(network())
    with pytest.raises(ValueError, match="layers is 'few'"):
        Adapters(shapes, "few")
    with pytest.raises(TypeError, match="shapes is 3"):
        Adapters(3)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="no shape is of a synthesizer"):
        Adapters({"w": [3, 3]}, "last")
    with pytest.raises(ValueError, match="first.weight_x has shape .* expected .* its own base"):
        Adapters(shapes_of(network(hidden=8))).merged(network())


# -- the recipe --------------------------------------------------------------------------------------------------------


def test_the_judge_tells_hands_apart_and_primed_nats_are_those_of_the_joined_line():
    from recipes.own_hand import Judge, features

    hands = [EmbeddedWriter(seed, slant=slant) for seed, slant in ((1, -0.2), (2, 0.1), (3, 0.5))]
    lines = [[writer.write(text) for text in TEXTS] for writer in hands]
    judge = Judge([torch.tensor([features(line).tolist() for line in rows[:5]]).numpy() for rows in lines])
    assert [judge(line) for rows in lines for line in rows[5:]] == [0, 0, 1, 1, 2, 2]
    model, (prime, line) = network(), hand(2)
    (got,) = own_hand.primed_nats(model, prime, [line])
    ink, other = prime.to_absolute(), line.to_absolute()
    jump = torch.tensor([100.0, 0.0]) + ink[-1, :2]
    jump[1] = ink[:, 1].median() + other[0, 1] - other[:, 1].median()
    other[:, :2] += jump - other[0, :2]
    joined = Strokes.from_absolute(torch.cat([ink, other]), text=f"{prime.text} {line.text}")
    x = model.normalise(joined.offsets)[:, None]
    raw = model.outputs(x[:-1], [joined])
    cost = -own_hand.StrokeMixture(raw, floor=model.floors(own_hand.ROUNDING)).log_prob(x[1:])[:, 0]
    assert got.item() == pytest.approx(cost[len(prime) :].sum().item(), rel=1e-4)
    assert cost[len(prime) :].shape[0] == len(line) - 1


@pytest.mark.parametrize("drop", [-400.0, 700.0])
def test_a_primed_line_stands_on_the_level_of_its_prime(drop):
    """A line that begins far above or below all its other ink: the pen jumps there, and the rest is level."""
    model, (prime, line) = network().double(), hand(2)
    offsets = line.offsets.clone()
    offsets[1, 1] += drop
    line = Strokes(offsets, line.text)
    ink, other = prime.to_absolute()[:, :2].double(), line.to_absolute()[:, :2].double()
    # level: their medians are one; the jump goes from the prime's last point to the line's first
    jump = ink[:, 1].median() - other[:, 1].median() + other[0, 1] - ink[-1, 1]
    begin = torch.tensor([[100.0, jump, line.offsets[0, 2]]])
    x = model.normalise(torch.cat([prime.offsets, begin, line.offsets[1:]]).double())[:, None]
    raw = model(x[:-1], encode_texts([f"{prime.text} {line.text}"])).raw
    cost = -own_hand.StrokeMixture(raw, floor=model.floors(own_hand.ROUNDING)).log_prob(x[1:])[:, 0]
    (got,) = own_hand.primed_nats(model, prime, [line])
    assert got.item() == pytest.approx(cost[len(prime) :].sum().item(), rel=1e-7)


def test_new_writers_are_read_line_by_line(tmp_path):
    import numpy as np

    from recipes.own_hand import new_writers

    (tmp_path / "iam-ondb").mkdir()
    dxdy = np.array([[0, 0], [3, 4], [0, 0], [5, 6], [7, 8]], dtype=np.int16)
    table = {"eos": np.array([0, 1, 0, 0, 1]), "length": np.array([2, 3]), "text": np.array(["a", "bc"])}
    np.savez(tmp_path / "iam-ondb" / "new_writers.npz", dxdy=dxdy, writer=np.array([9, 4], dtype=np.int16), **table)
    (four,), (nine,) = new_writers(tmp_path)
    assert (four.text, nine.text) == ("bc", "a")
    assert four.offsets.tolist() == [[0, 0, 0], [5, 6, 0], [7, 8, 1]]

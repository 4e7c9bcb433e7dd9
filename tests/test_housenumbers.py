"""House numbers: floors, logistics and bits against independent ways; the recipe on pictures made here."""

import math
import types

import numpy as np
import pytest
import torch

import softattn
from softattn.draw import DRAW
from softattn.housenumbers import (
    bits_per_dimension,
    fitted_log_scale,
    logistic_nats,
    one_then_other,
    pixel_entropy,
)
from softattn.images import Images
from softattn.svhn import embedded_house_numbers, windows
from softattn.vae import VAE, bernoulli_nats


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


# -- the floor ---------------------------------------------------------------------------------------------------------


def test_the_floor_is_the_entropy_of_coins_and_the_least_loss(device):
    x = torch.rand(4, 3, 5, 6, generator=seeded(), dtype=torch.float64).to(device)
    x[0, 0, 0, 0], x[1, 0, 0, 0] = 0.0, 1.0
    want = torch.distributions.Bernoulli(x).entropy().flatten(1).sum(1)
    assert torch.allclose(pixel_entropy(x), want, atol=1e-5)
    exact = bernoulli_nats(torch.logit(x, eps=1e-12), x)
    assert torch.allclose(pixel_entropy(x), exact, atol=1e-9)
    for seed in range(5):
        logits = torch.logit(x, eps=1e-6) + 0.1 * torch.randn(x.shape, generator=seeded(seed)).to(x)
        assert (bernoulli_nats(logits, x) > pixel_entropy(x)).all()


def test_black_and_white_has_no_floor():
    x = torch.rand(3, 1, 4, 4, generator=seeded()).round()
    assert torch.equal(pixel_entropy(x), torch.zeros(3))
    assert pixel_entropy(torch.full((1, 7), 0.5)).item() == pytest.approx(7 * math.log(2))
    assert pixel_entropy(torch.zeros(0, 3)).shape == (0,)


def test_the_excess_is_a_divergence():
    x, p = torch.rand(2, 6, 40, generator=seeded(1), dtype=torch.float64).unbind(0)
    kl = torch.distributions.kl_divergence(torch.distributions.Bernoulli(x), torch.distributions.Bernoulli(p))
    assert torch.allclose(bernoulli_nats(torch.logit(p), x) - pixel_entropy(x), kl.sum(1), atol=1e-9)


@pytest.mark.parametrize("wrong", [None, 3, "abc", [0.5], torch.tensor(0.5), torch.rand(3), torch.ones(2, 2).long()])
def test_the_floor_refuses(wrong):
    with pytest.raises(ValueError, match="pixel_entropy: x is .*, expected floats from 0 to 1"):
        pixel_entropy(wrong)


# -- logistics ---------------------------------------------------------------------------------------------------------


def by_the_formula(mean, width, x):
    """The formula as it stands, in float64 and by loops."""
    total = 0.0
    for m, s, v in zip(mean.tolist(), width.tolist(), x.tolist(), strict=True):
        above = 1.0 if v > 1 - 1e-6 else 1 / (1 + math.exp(-(v - m + 1 / 510) / s))
        below = 0.0 if v < 1e-6 else 1 / (1 + math.exp(-(v - m - 1 / 510) / s))
        total -= math.log(above - below)
    return total


def test_a_logistic_equals_the_formula(device):
    g = seeded(2)
    mean = torch.rand(5, 40, generator=g, dtype=torch.float64)
    width = 0.02 + torch.rand(5, 40, generator=g, dtype=torch.float64)
    x = torch.randint(0, 256, (5, 40), generator=g) / 255.0
    x[0, :5], x[1, :5] = 0.0, 1.0
    x = x.double()
    ours = logistic_nats(mean.to(device), width.log().to(device), x.to(device)).cpu()
    for row in range(5):
        assert ours[row].item() == pytest.approx(by_the_formula(mean[row], width[row], x[row]), rel=1e-9)


@pytest.mark.parametrize("mu", [-3.0, 0.0, 0.31, 1.0, 2.5])
@pytest.mark.parametrize("log_width", [-9.0, -4.0, -1.0, 2.0])
def test_256_values_have_all_the_mass(mu, log_width):
    values = torch.arange(256, dtype=torch.float64)[:, None] / 255
    mean, log_scale = torch.full_like(values, mu), torch.tensor(log_width, dtype=torch.float64)
    assert torch.exp(-logistic_nats(mean, log_scale, values)).sum().item() == pytest.approx(1, abs=1e-9)


def test_far_from_the_mean_it_stays_finite_and_has_a_gradient():
    mean, log_scale = torch.zeros(1, 3, 2, 2, requires_grad=True), torch.full((3, 1, 1), -8.0, requires_grad=True)
    for value in (0.0, 200 / 255, 1.0):
        nats = logistic_nats(mean, log_scale, torch.full((1, 3, 2, 2), value))
        assert nats.isfinite().all()
        for gradient in torch.autograd.grad(nats.sum(), [mean, log_scale]):
            assert gradient.isfinite().all()


def test_gradients_of_the_logistic():
    g = seeded(3)
    mean = torch.rand(2, 3, 2, 2, generator=g, dtype=torch.float64, requires_grad=True)
    log_scale = torch.full((3, 1, 1), -2.0, dtype=torch.float64, requires_grad=True)
    x = (torch.randint(0, 256, (2, 3, 2, 2), generator=g) / 255.0).double()
    x[0, 0], x[1, 1] = 0.0, 1.0
    assert torch.autograd.gradcheck(lambda m, s: logistic_nats(m, s, x), (mean, log_scale))


@pytest.mark.parametrize(
    ("mean", "log_scale", "x"),
    [
        (torch.rand(2, 3), torch.zeros(()), torch.rand(2, 4)),
        (torch.rand(2, 3), torch.zeros(4), torch.rand(2, 3)),
        (torch.rand(2, 3), torch.zeros(5, 2, 3), torch.rand(2, 3)),
        (torch.rand(3), torch.zeros(()), torch.rand(3)),
        (torch.rand(2, 3), 0.5, torch.rand(2, 3)),
        (torch.rand(2, 3), torch.zeros(()), torch.ones(2, 3).byte()),
        (None, torch.zeros(()), torch.rand(2, 3)),
    ],
)
def test_the_logistic_refuses(mean, log_scale, x):
    with pytest.raises(ValueError, match="logistic_nats: .*expected"):
        logistic_nats(mean, log_scale, x)


def test_fitted_widths_are_the_least_and_those_that_drew():
    g = seeded(4)
    mean = 0.2 + 0.6 * torch.rand(20, 3, 16, 16, generator=g)
    widths = torch.tensor([0.01, 0.03, 0.08]).view(3, 1, 1)
    u = torch.rand(mean.shape, generator=g).clamp(1e-6, 1 - 1e-6)
    x = (255 * (mean + widths * torch.logit(u)).clamp(0, 1)).round() / 255
    found = fitted_log_scale(mean, x)
    assert found.shape == (3, 1, 1) and not found.requires_grad
    assert torch.allclose(found.exp(), widths, rtol=0.05)
    least = logistic_nats(mean, found, x).mean()
    for step in (-0.05, 0.05):
        assert logistic_nats(mean, found + step, x).mean() > least
    with torch.no_grad():
        assert torch.allclose(fitted_log_scale(mean, x), found, atol=1e-4)


# -- bits --------------------------------------------------------------------------------------------------------------


def test_bits_are_nats_over_log_2_and_all_numbers():
    nats = torch.tensor([0.0, 3 * 4 * 5 * math.log(256)])
    assert torch.allclose(bits_per_dimension(nats, (3, 4, 5)), torch.tensor([0.0, 8.0]))
    for wrong in (7, None, (), (3, 0), (3, 2.0), "345"):
        with pytest.raises(ValueError, match="bits_per_dimension: shape is .*expected that of one image"):
            bits_per_dimension(nats, wrong)
    with pytest.raises(ValueError, match="bits_per_dimension: nats are float 3.0"):
        bits_per_dimension(3.0, (3, 4, 5))


# -- DRAW in colour ----------------------------------------------------------------------------------------------------


def test_one_grid_reads_and_writes_each_channel_alone():
    torch.manual_seed(0)
    colour = DRAW((3, 12, 14), 2, 8, 3, 4, 5)
    grey = DRAW((1, 12, 14), 2, 8, 3, 4, 5)
    said, pictures = torch.randn(2, 10 + 3 * 25), torch.rand(2, 2, 3, 12, 14)
    read = colour.read(*pictures, said).view(2, 6, 16)
    written = colour.write(said)
    for k in range(3):
        its = torch.cat([said[:, :10], said[:, 10:].view(2, 3, 25)[:, k]], 1)
        alone = grey.read(*pictures[:, :, k : k + 1], its).view(2, 2, 16)
        assert torch.allclose(read[:, [k, 3 + k]], alone, atol=1e-6)
        assert torch.allclose(written[:, k : k + 1], grey.write(its), atol=1e-6)


def test_both_ways_agree_in_colour():
    torch.manual_seed(0)
    model, x = DRAW((3, 10, 9), 3, 8, 4, 4, 3).double(), torch.rand(2, 3, 10, 9, dtype=torch.float64)
    plain, fused = (model(x, seeded(1), fused=way) for way in (False, True))
    assert torch.allclose(plain.nll_bound, fused.nll_bound, atol=1e-9)


# -- the weights -------------------------------------------------------------------------------------------------------


def test_the_weights_reproduce_a_stored_figure():
    """In float64, so that the order of sums does not matter; the number is of painted houses, which they never saw."""
    model = softattn.load("draw-svhn").double()
    x = windows(embedded_house_numbers(10, "test").pixels).double() / 255
    with torch.no_grad():
        excess = (model(x, seeded(1)).nll_bound - pixel_entropy(x)).mean().item()
    assert excess == pytest.approx(292.59973, abs=1e-3)


def test_the_weights_say_what_they_are():
    card = softattn.load("draw-svhn").card
    assert card["non_commercial"] and card["bytes"] <= 10_000_000
    shown = card.get("held_out", card["chosen"])
    assert card["metric"]["value"] == shown["excess"] and bool(card["missing"]) == ("held_out" not in card)


# -- one digit, then the other -----------------------------------------------------------------------------------------


def purest_by_hand(places, weight, middles):
    """The same share for one drawing, by trying every split and both orders."""
    T, best = len(places), 0.0
    for first in (0, 1):
        for cut in range(T + 1):
            right = 0.0
            for t in range(T):
                far = [math.dist(places[t], middle) for middle in middles]
                wanted = first if t < cut else 1 - first
                right += weight[t] * (far.index(min(far)) == wanted)
            best = max(best, right / sum(weight))
    return best


def test_the_purest_split_is_that_of_all_splits():
    places = 60 * torch.rand(7, 40, 2, generator=seeded(), dtype=torch.float64)
    weight = torch.rand(7, 40, generator=seeded(1), dtype=torch.float64)
    middles = 60 * torch.rand(40, 2, 2, generator=seeded(2), dtype=torch.float64)
    found = one_then_other(places, weight, middles)
    for k in range(40):
        want = purest_by_hand(places[:, k].tolist(), weight[:, k].tolist(), middles[k].tolist())
        assert found[k].item() == pytest.approx(want, abs=1e-12)
    assert found.min() >= 0.5
    there, back = torch.tensor([[10.0, 0]]), torch.tensor([[50.0, 0]])
    middles = torch.cat([there, back])[None]
    in_turn = torch.stack([there, there, back, back])
    assert one_then_other(in_turn, torch.ones(4, 1), middles).item() == 1
    assert one_then_other(in_turn[[0, 2, 1, 3]], torch.ones(4, 1), middles).item() == 0.75


def test_the_pairs_card_agrees_with_the_weights():
    """Both figures of the card are of MNIST; pairs of the embedded pen's digits are drawn in turn as well."""
    from softattn.images import binarise, cluttered, embedded_digits

    model = softattn.load("draw-pairs")
    card = model.card
    assert card["order"]["written"] > card["order"]["written, shuffled"] + 0.1
    assert card["metric"]["value"] == card["test"]["nats_per_image"] and not card["non_commercial"]
    two = cluttered(embedded_digits(100, "test"), 60, seeded(5), 60, distractors=0, digits=2)
    with torch.no_grad():
        out = model(binarise(two.canvases, seeded(6)), seeded(7))
    blank = bernoulli_nats(model.canvas.detach().expand(60, -1, -1, -1), two.canvases).mean()
    assert out.nll_bound.mean() < 0.75 * blank


# -- the recipe --------------------------------------------------------------------------------------------------------


@pytest.fixture
def street():
    recipe = pytest.importorskip("recipes.housenumbers")
    pixels = torch.randint(0, 256, (12, 3, 64, 64), generator=seeded(), dtype=torch.uint8)
    return recipe, recipe.Street.of(pixels, "made")


def test_training_sees_windows_darker_and_brighter(street):
    recipe, made = street
    assert made.shape == (3, 54, 54) and torch.equal(made.pixels, made.whole[:, :, 5:59, 5:59])
    a, b = (made.jittered(torch.arange(12), seeded(2)) for _ in range(2))
    assert torch.equal(a, b) and 0 <= a.min() and a.max() <= 1
    plain = recipe.windows(made.whole, 54, seeded(2)).float() / 255
    for one, other in zip(a, plain, strict=True):
        inside = (one > 0) & (one < 1)
        slope, shift = np.polyfit(other[inside], one[inside], 1)
        assert 0.8 <= slope <= 1.2 and np.allclose(slope * other[inside] + shift, one[inside], atol=1e-4)


def options(**more):
    known = dict(seed=1, device="cpu", float32=True, noise=0.0, adaptive=0.0, stages=[[2, 1], [3, 1]], rate=1.0,
                 embedded=True, attention=True, vae=False, resume=False)  # fmt: skip
    return types.SimpleNamespace(**(known | more))


def small(recipe, made, vae=False):
    valid = Images(made.pixels[:4], None, "made")
    if vae:
        run = recipe.OneShotRun(dict(image_shape=[3, 54, 54], latent=3, hidden=8), options(vae=True), made, valid)
    else:
        config = dict(image_shape=[3, 54, 54], steps=3, hidden=8, latent=3, read_size=4, write_size=4)
        run = recipe.HouseRun(config, options(), made, valid)
    run.BATCH = 4
    return run


@pytest.mark.parametrize("vae", [False, True])
def test_a_run_goes_on_to_the_bit_and_its_curve_is_the_excess(street, tmp_path, vae):
    recipe, made = street
    from recipes._run import train

    whole = small(recipe, made, vae)
    over = lambda run: lambda: run.facts["epoch"] >= 2
    train(whole, tmp_path / "whole.pt", over=over(whole), by_epoch=True)
    first = small(recipe, made, vae)
    train(first, tmp_path / "parts.pt", over=lambda: first.facts["epoch"] >= 1, by_epoch=True)
    second = small(recipe, made, vae)
    second.load(tmp_path / "parts.pt")
    train(second, tmp_path / "parts.pt", over=over(second), by_epoch=True)
    for name, value in whole.average.items():
        assert torch.equal(value, second.average[name]), name
    row = whole.facts["curve"][-1]
    model = whole.averaged()
    model.steps = row[1]
    seen = recipe.scored(model, whole.valid, 1)
    assert row[3] == pytest.approx(seen["excess"]) and seen["excess"] > 0
    x = whole.valid.floats()
    nats = model(x, seeded(100)).nll_bound - pixel_entropy(x)
    assert seen["excess"] == pytest.approx(nats.mean().item(), rel=1e-4)
    assert seen["standard_error_of_the_images"] == pytest.approx(nats.std().item() / len(x) ** 0.5, rel=1e-3)


def test_bits_and_nearest_are_what_they_say(street):
    recipe, made = street
    torch.manual_seed(0)
    for model in (DRAW((3, 54, 54), 2, 8, 3, 4, 4), VAE((3, 54, 54), 3, 8)):
        found = recipe.bits(model, made, made[:4])
        assert 7 < found["of_the_mean_picture"] < 9 and found["bits_per_dimension"] > 7  # noise has no structure
    near, samples, where = recipe.nearest(DRAW((3, 54, 54), 2, 8, 3, 4, 4), made, made[:4], 4)
    assert near["others"] == [0.0] * 4 and len(near["repainted"]) == 4 and samples.shape == (4, 3, 54, 54)
    rows = made.floats().flatten(1)
    for k in range(4):
        far = (255 * (samples[k].flatten() - rows).square().mean(1).sqrt()).min()
        assert near["samples"][k] == pytest.approx(far.item(), abs=0.01)
        assert (samples[k].flatten() - rows[where[k]]).square().mean().sqrt().item() * 255 == pytest.approx(far.item())


def byte_run(recipe, made):
    run = recipe.ByteRun(small(recipe, made).config, options(), made, Images(made.pixels[:4], None, "made"))
    run.BATCH = 4
    return run


def test_a_run_of_bytes_begins_with_the_coins_and_pays_by_logistics(street, tmp_path):
    recipe, made = street
    from recipes._run import train

    coins = small(recipe, made)
    train(coins, tmp_path / "coins.pt", over=lambda: coins.facts["epoch"] >= 1, by_epoch=True)
    run = byte_run(recipe, made)
    run.load(tmp_path / "coins.pt")
    for name, value in coins.average.items():
        assert torch.equal(run.model.state_dict()[name], value) and torch.equal(run.average[name], value)
    assert run.facts["epoch"] == 1 and run.facts["curve"] == [] and not run.optimizer.state
    x = made.floats(slice(4))
    out = run.model(x, seeded(3))
    want = logistic_nats(torch.sigmoid(out.logits), torch.full((3, 1, 1), -2.5), x) + out.kl.sum(0)
    assert torch.allclose(run.model.nats(out, x), want)
    before = recipe.priced(run.averaged(), run.valid)["bits_per_dimension"]
    run.plan, run.KEEP = [[3, 9]], 0.5
    train(run, tmp_path / "bytes.pt", over=lambda: run.facts["epoch"] >= 5, by_epoch=True)
    row = run.facts["curve"][-1]
    model = run.averaged()
    model.steps = 3
    assert row[3] == recipe.priced(model, run.valid)["bits_per_dimension"] < before
    assert (run.model.log_scale != -2.5).all()
    again = byte_run(recipe, made)
    again.load(tmp_path / "bytes.pt")  # a state of its own kind is taken up whole
    assert again.facts["curve"] == run.facts["curve"] and again.optimizer.state


def test_a_recurrent_prior_begins_as_the_plain_one_and_its_kl_is_that_of_gaussians(street):
    recipe, _ = street
    torch.manual_seed(0)
    prior = recipe.Remembers(3, 5).double()
    mu, log_sigma, noise = torch.randn(3, 4, 6, 3, generator=seeded(), dtype=torch.float64)
    z = mu + log_sigma.exp() * noise
    normal = torch.distributions.Normal
    plain = torch.distributions.kl_divergence(normal(mu, log_sigma.exp()), normal(0.0, 1.0)).sum((0, 2))
    assert torch.allclose(prior.kl(mu, log_sigma, z), plain)
    torch.nn.init.normal_(prior.said.weight)
    want, state = torch.zeros(6, dtype=torch.float64), None
    for t in range(4):  # step by step, told only what came before
        told = prior.first.expand(1, 6, -1) if t == 0 else z[t - 1 : t]
        out, state = prior.lstm(told, state)
        mean, log_width = prior.said(out)[0].chunk(2, 1)
        theirs = normal(mean, log_width.exp())
        want = want + torch.distributions.kl_divergence(normal(mu[t], log_sigma[t].exp()), theirs).sum(1)
    assert torch.allclose(prior.kl(mu, log_sigma, z), want)


def test_asking_the_prior_gives_a_curve_of_both_sets(street):
    recipe, made = street
    torch.manual_seed(0)
    model = DRAW((3, 54, 54), 2, 8, 3, 4, 4)
    rows = recipe.ask_prior(model, made, made[:4], passes=1, updates=100, batch=4)
    assert [row[0] for row in rows] == [0, 100] and rows[1][1] < rows[0][1]


@pytest.fixture
def in_pairs():
    recipe = pytest.importorskip("recipes.pairs")
    from softattn.images import embedded_digits

    return recipe, embedded_digits(40)


def test_pairs_are_two_digits_and_their_middles(in_pairs):
    recipe, digits = in_pairs
    pictures, middles = recipe.pairs(digits, 30, seeded(1))
    assert pictures.shape == (30, 1, 60, 60) and set(pictures.unique().tolist()) == {0.0, 1.0}
    again, same = recipe.fixed(digits, 30, 1)
    assert torch.equal(again.floats(), pictures) and torch.equal(same, middles)
    y, x = torch.meshgrid(torch.arange(60.0), torch.arange(60.0), indexing="ij")
    for picture, two in zip(pictures[:, 0], middles, strict=True):
        inside = [((x - m[0]).abs() <= 13.5) & ((y - m[1]).abs() <= 13.5) for m in two]
        assert not picture[~(inside[0] | inside[1])].any() and all(picture[box].any() for box in inside)


def test_the_order_is_measured_where_digits_lie_apart(in_pairs, monkeypatch, tmp_path):
    recipe, digits = in_pairs
    torch.manual_seed(0)
    images, middles = recipe.fixed(digits, 60, 2)
    found = recipe.order(DRAW((1, 60, 60), 4, 8, 3, 3, 3), images, middles, chunk=7)
    far = (middles[:, 0] - middles[:, 1]).norm(dim=-1)
    assert found["pairs"] == (far >= 28).sum() and 0.5 <= found["written, shuffled"] <= 1
    monkeypatch.setattr(recipe, "CONFIG", dict(image_shape=[1, 60, 60], steps=3, hidden=8, latent=3, read_size=3,
                                               write_size=3))  # fmt: skip
    monkeypatch.setattr(recipe.PairRun, "EPOCH", 2)
    from recipes._run import train

    run = recipe.PairRun(options(stages=[[2, 1], [3, 1]]), digits, images)
    train(run, tmp_path / "pairs.pt", over=run.over, by_epoch=True)
    assert [row[:2] for row in run.facts["curve"]] == [[1, 2], [2, 3]] and run.facts["updates"] == 4
    with pytest.raises(SystemExit, match="not cooled"):
        recipe.finish(run, types.SimpleNamespace(out=tmp_path / "w.safetensors"), digits)


@pytest.mark.data
def test_the_parts_of_the_compact_cut():
    recipe = pytest.importorskip("recipes.housenumbers")
    train_set, valid, held_out = recipe.read_street(embedded=False)
    assert (len(train_set), len(valid), len(held_out)) == (5758, 418, 500)
    assert train_set.shape == valid.shape == held_out.shape == (3, 54, 54)
    _, part, said = recipe.read_crops()
    assert len(said) == len(part) == 6676 and all(text.isdigit() for text in said)

"""Oracle tests of softattn.vae: torch.distributions, quadrature of one latent number, gradcheck, shipped weights."""

import json
import math

import numpy as np
import pytest
import torch
from torch import distributions as D

import softattn
from softattn.images import binarise, embedded_digits
from softattn.vae import VAE, bernoulli_nats, kl_from_standard, reparametrise


def tiny(device="cpu", latent=3, shape=(1, 4, 5), dtype=torch.float64, **options):
    torch.manual_seed(1)
    return VAE(shape, latent=latent, hidden=7, layers=2, **options).to(device, dtype)


def pictures(n=6, shape=(1, 4, 5), device="cpu", dtype=torch.float64):
    return (torch.rand(n, *shape, generator=torch.Generator().manual_seed(2)) < 0.4).to(device, dtype)


# -- the parts ---------------------------------------------------------------------------------------------------------


def test_kl_equals_torch_distributions(device):
    mu, ls = torch.randn(2, 50, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(device)
    want = D.kl_divergence(D.Normal(mu, ls.exp()), D.Normal(torch.zeros_like(mu), torch.ones_like(mu))).sum(1)
    torch.testing.assert_close(kl_from_standard(mu, ls), want, rtol=1e-10, atol=1e-10)
    assert kl_from_standard(torch.zeros(2, 9), torch.zeros(2, 9)).tolist() == [0, 0]
    mu, ls = mu[:3].requires_grad_(), ls[:3].requires_grad_()
    assert torch.autograd.gradcheck(kl_from_standard, (mu, ls))


def test_bernoulli_nats_equals_torch_distributions_and_sums_over_pixels(device):
    logits = 4 * torch.randn(5, 2, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(device)
    x = pictures(5, (2, 3, 4), device)
    want = -D.Bernoulli(logits=logits).log_prob(x).sum((1, 2, 3))
    torch.testing.assert_close(bernoulli_nats(logits, x), want, rtol=1e-10, atol=1e-10)
    assert bernoulli_nats(torch.zeros(1, 1, 28, 28), torch.ones(1, 1, 28, 28)).item() == pytest.approx(
        784 * math.log(2)
    )
    extreme = bernoulli_nats(torch.tensor([[[[300.0, -300.0]]]]), torch.tensor([[[[0.0, 0.0]]]]))
    assert extreme.item() == pytest.approx(300.0)  # not inf: log space


def test_reparametrised_draws_have_the_mean_the_width_and_the_gradient(device):
    mu = torch.tensor([0.5, -2.0], dtype=torch.float64, device=device, requires_grad=True)
    ls = torch.tensor([-1.0, 0.7], dtype=torch.float64, device=device, requires_grad=True)
    n = 40_000
    z = reparametrise(mu.expand(n, 2), ls.expand(n, 2), torch.Generator().manual_seed(0))
    sigma = ls.exp()
    assert ((z.mean(0) - mu).abs() < 5 * sigma / n**0.5).all()
    assert ((z.std(0) / sigma - 1).abs() < 5 / (2 * n) ** 0.5).all()
    z.square().mean(0).sum().backward()  # E z^2 = mu^2 + sigma^2
    assert ((mu.grad - 2 * mu).abs() < 5 * 2 * sigma / n**0.5).all()
    assert ((ls.grad - 2 * sigma**2).abs() < 0.1 * (1 + sigma**2)).all()
    one, two = (reparametrise(mu, ls, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one, two) and one.device == mu.device


# -- the bound ---------------------------------------------------------------------------------------------------------


def test_what_is_drawn_is_mu_plus_sigma_times_the_noise_of_the_generator():
    mu, log_sigma = torch.tensor([[0.5, -1.0]]), torch.tensor([[0.3, -0.7]])
    noise = torch.randn(1, 2, generator=torch.Generator().manual_seed(4))
    z = reparametrise(mu, log_sigma, torch.Generator().manual_seed(4))
    torch.testing.assert_close(z, mu + log_sigma.exp() * noise)


def test_forward_is_its_parts(device):
    model, x = tiny(device), pictures(device=device)
    out = model(x, torch.Generator().manual_seed(4))
    mu, ls = model.encode(x)
    z = reparametrise(mu, ls, torch.Generator().manual_seed(4))
    logits = model.decode(z)
    torch.testing.assert_close(out.logits, logits)
    torch.testing.assert_close(out.reconstruction, torch.sigmoid(logits))
    torch.testing.assert_close(out.kl, kl_from_standard(mu, ls))
    torch.testing.assert_close(out.nll_bound, bernoulli_nats(logits, x) + out.kl)
    assert out.nll_bound.shape == out.kl.shape == (6,) and out.logits.shape == x.shape


def test_encoder_and_decoder_are_the_plain_network(device):
    """Two hidden layers of SiLU by hand; pixels go in as -1 and 1; means before log widths."""
    model, x = tiny(device), pictures(device=device)
    h = 2 * x.flatten(1) - 1
    for k in (0, 3):
        h = torch.nn.functional.silu(h @ model.encoder[k].weight.T + model.encoder[k].bias)
    both = h @ model.encoder[6].weight.T + model.encoder[6].bias
    mu, ls = model.encode(x)
    torch.testing.assert_close(torch.cat([mu, ls], 1), both)
    assert model.decode(mu).shape == x.shape


def quadrature(model, x):
    """-log p(x) of a model with one latent number, by a fine sum."""
    z = torch.linspace(-12, 12, 24_001, dtype=torch.float64, device=x.device)[:, None]
    with torch.no_grad():
        logits = model.decode(z)
    log_joint = torch.stack([-bernoulli_nats(logits, one.expand(len(z), *one.shape)) for one in x], 1)
    log_joint = log_joint - 0.5 * z.square() - 0.5 * math.log(2 * math.pi)
    return -(torch.logsumexp(log_joint, 0) + math.log(0.001)), log_joint, z


def test_the_bound_is_a_bound_and_the_gap_is_a_kl(device):
    model, x = tiny(device, latent=1), pictures(device=device)
    exact, log_joint, z = quadrature(model, x)
    mu, ls = (t.detach() for t in model.encode(x))
    log_q = D.Normal(mu[:, 0], ls[:, 0].exp()).log_prob(z)  # (grid, B)
    gap = (log_q.exp() * (log_q - log_joint - exact)).sum(0) * 0.001
    draws = 4000
    with torch.no_grad():
        out = model(x.repeat(draws, 1, 1, 1), torch.Generator().manual_seed(5))
    nats = out.nll_bound.view(draws, -1)
    error = nats.std(0) / draws**0.5
    assert (gap > 0).all()
    assert ((nats.mean(0) - exact - gap).abs() < 5 * error + 1e-4).all()


def test_many_draws_come_near_the_truth_and_one_is_the_elbo(device):
    model, x = tiny(device, latent=1), pictures(device=device)
    exact, _, _ = quadrature(model, x)
    close = model.importance_nats(x, 4000, torch.Generator().manual_seed(6))
    assert (close - exact).abs().max() < 0.05
    singles = torch.stack([model.importance_nats(x, 1, torch.Generator().manual_seed(s)) for s in range(400)])
    with torch.no_grad():
        plain = torch.stack([model(x, torch.Generator().manual_seed(s)).nll_bound for s in range(400)])
    error = (singles.var(0) / 400 + plain.var(0) / 400).sqrt()
    assert ((singles.mean(0) - plain.mean(0)).abs() < 5 * error).all()
    few = torch.stack([model.importance_nats(x, 5, torch.Generator().manual_seed(s)) for s in range(400)]).mean(0)
    assert (few.mean() < singles.mean()) and (few.mean() > exact.mean() - 0.02)


def test_gradient_by_finite_differences():
    model, x = tiny(), pictures(3)
    parameters = [model.encoder[0].weight, model.encoder[6].bias, model.decoder[3].weight]

    def bound(*_):
        return model(x, torch.Generator().manual_seed(7)).nll_bound

    assert torch.autograd.gradcheck(bound, parameters)


def test_a_short_training_lowers_the_bound():
    x = binarise(embedded_digits(200).floats(), torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    model = VAE(latent=5, hidden=64, layers=1)
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    generator = torch.Generator().manual_seed(1)
    losses = []
    for _ in range(60):
        loss = model(x, generator).nll_bound.mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(784 * math.log(2), rel=0.05) and losses[-1] < 230


# -- sampling, devices, types ------------------------------------------------------------------------------------------


def test_generate_draws_from_the_prior(device):
    model = tiny(device)
    one, two = (model.generate(5, torch.Generator().manual_seed(8)) for _ in range(2))
    assert torch.equal(one, two) and one.shape == (5, 1, 4, 5) and not one.requires_grad
    z = torch.randn(5, 3, generator=torch.Generator().manual_seed(8)).to(device, torch.float64)
    torch.testing.assert_close(one, torch.sigmoid(model.decode(z)).detach())
    assert model.generate(0).shape == (0, 1, 4, 5)


def test_an_empty_batch(device):
    out = tiny(device)(torch.zeros(0, 1, 4, 5, dtype=torch.float64, device=device))
    assert out.nll_bound.shape == (0,) and out.logits.shape == (0, 1, 4, 5)


def test_nats_stay_float32_under_autocast():
    model, x = tiny(dtype=torch.float32), pictures(dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        out = model(x, torch.Generator().manual_seed(9))
    assert out.kl.dtype == out.logits.dtype == out.nll_bound.dtype == torch.float32
    want = model(x, torch.Generator().manual_seed(9)).nll_bound
    assert ((out.nll_bound - want) / want).abs().max() < 0.02


def test_dropout_is_for_training_only():
    model, x = tiny(dropout=0.5), pictures()
    model.eval()
    outs = [model(x, torch.Generator().manual_seed(1)).nll_bound for _ in range(2)]
    assert torch.equal(*outs)
    model.train()
    assert not torch.equal(model(x, torch.Generator().manual_seed(1)).nll_bound, outs[0])


@pytest.mark.parametrize(
    "options",
    [
        {"latent": 0},
        {"hidden": 0},
        {"layers": 0},
        {"latent": 2.5},
        {"hidden": True},
        {"layers": "2"},
        {"latent": 10**30},
        {"image_shape": (28, 28)},
        {"image_shape": (1, 0, 28)},
        {"image_shape": 28},
        {"image_shape": (1, 28.0, 28)},
    ],
)
def test_sizes_that_are_not_positive_raise(options):
    with pytest.raises(
        ValueError, match=r"VAE: (image_shape is .* expected \(C, H, W\)|\w+ is .* expected a whole number)"
    ):
        VAE(**options)


def test_wrong_inputs_raise():
    model = tiny()
    with pytest.raises(ValueError, match=r"images are float32 \(2, 1, 5, 4\), expected \(B, 1, 4, 5\)"):
        model(torch.zeros(2, 1, 5, 4))
    with pytest.raises(ValueError, match=r"images are float32 \(1, 4, 5\)"):
        model.encode(torch.zeros(1, 4, 5))
    with pytest.raises(ValueError, match=r"z is float32 \(2, 4\), expected \(B, 3\)"):
        model.decode(torch.zeros(2, 4))
    for bad in (255.0, -0.1, math.nan):
        x = torch.zeros(2, 1, 4, 5)
        x[1, 0, 2, 3] = bad
        for call in (model, model.encode, lambda x: model.importance_nats(x, 2)):
            with pytest.raises(ValueError, match="pixels from .* expected 0 to 1, without NaN; divide bytes by 255"):
                call(x)
    with pytest.raises(ValueError, match="VAE.importance_nats: k is int 0, expected a whole number from 1"):
        model.importance_nats(pictures(), 0)
    with pytest.raises(ValueError, match="VAE.generate: n is int -1, expected a whole number from 0"):
        model.generate(-1)
    for call, message in [
        (lambda: VAE(dropout=1.5), "VAE: dropout is float 1.5, expected a number from 0 to 1"),
        (lambda: model([[0.5]]), r"VAE: images are list \[\[0.5\]\], expected"),
        (lambda: model(pictures(), 3), "reparametrise: generator is int 3, expected a torch.Generator"),
        (lambda: model.generate(1, "seed"), "VAE.generate: generator is str 'seed'"),
        (lambda: model.decode(None), "VAE: z is NoneType None"),
        (lambda: model.decode(torch.zeros(2, 3, dtype=torch.complex64)), r"VAE: z is complex64 \(2, 3\)"),
        (
            lambda: bernoulli_nats(torch.zeros(2, 3).long(), torch.zeros(2, 3)),
            r"bernoulli_nats: logits are int64 \(2, 3\)",
        ),
        (lambda: bernoulli_nats(torch.zeros(2, 3), torch.zeros(2, 4)), r"x is float32 \(2, 4\); expected .* one shape"),
        (lambda: kl_from_standard(torch.zeros(2, 3), torch.zeros(2)), "expected one shape for both"),
        (lambda: kl_from_standard(torch.zeros(2).long(), torch.zeros(2)), r"mu is int64 \(2,\), expected floats"),
        (lambda: reparametrise(0.0, 1.0), "reparametrise: mu is float 0.0, expected floats"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("weights", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64, torch.uint8, torch.bool])
def test_images_of_any_type_are_taken_to_that_of_the_weights(weights, kind):
    model, x = tiny(dtype=weights), pictures(dtype=weights)
    ours, theirs = (model(one, torch.Generator().manual_seed(3)) for one in (x, x.to(kind)))
    for a, b in zip(ours, theirs, strict=True):
        assert a.dtype == b.dtype == weights and torch.equal(a, b)
    nats = [model.importance_nats(one, 2, torch.Generator().manual_seed(3)) for one in (x, x.to(kind))]
    assert torch.equal(*nats)


def test_half_precision_weights_give_float32_nats():
    model, x = tiny(dtype=torch.float32), pictures(dtype=torch.float32)
    want = model(x, torch.Generator().manual_seed(3))
    half = model.half()(x, torch.Generator().manual_seed(3))
    assert half.kl.dtype == half.logits.dtype == torch.float32
    torch.testing.assert_close(half.nll_bound, want.nll_bound, rtol=0.01, atol=0.01)
    assert model.generate(2, torch.Generator().manual_seed(1)).dtype == torch.float32


# -- the weights -------------------------------------------------------------------------------------------------------


def test_the_small_map_reproduces_its_figure():
    model = softattn.load("vae-map")
    x = binarise(embedded_digits(1000, "test").floats(), g := torch.Generator().manual_seed(7))
    with torch.no_grad():
        nats = model(x, g).nll_bound.mean().item()
    assert nats == pytest.approx(model.card["metric"]["value"], abs=0.5)  # stored in half precision
    assert model.latent == 2 and not model.card["non_commercial"]


def test_the_weights_know_their_card():
    model = softattn.load("vae-mnist")
    card = model.card
    assert card["metric"]["value"] == card["test"]["nats_per_image"] <= 95
    assert card["test"]["draws"] == 10 and card["test"]["images"] == 10_000
    few, many = (card["test"][key] for key in ("importance", "importance_many"))
    assert many["nats_per_image"] < few["nats_per_image"] < card["test"]["nats_per_image"]
    assert (few["draws"], many["draws"], many["images"]) == (25, 5000, 2000)
    assert not card["non_commercial"]


@pytest.mark.data
def test_the_weights_reproduce_the_valid_figure_of_their_card():
    """The card's figure on valid, one noise draw; the test set is not looked at again."""
    from softattn.images import load_binarised

    model, images = softattn.load("vae-mnist"), load_binarised("valid")
    generator, parts = torch.Generator().manual_seed(100), []
    with torch.no_grad():
        for i in range(0, len(images), 1000):
            parts.append(model(images.floats(slice(i, i + 1000)), generator).nll_bound)
    assert torch.cat(parts).mean().item() == pytest.approx(model.card["valid"]["nats_per_image"], abs=1e-3)


# -- the demo ----------------------------------------------------------------------------------------------------------


@pytest.mark.browser
def test_demo_computes_what_python_does():
    from playwright.sync_api import sync_playwright

    from softattn.pictures import demo_html

    torch.manual_seed(0)
    model = VAE((1, 28, 28), latent=2, hidden=12, layers=1).double()
    one, two = model.decoder[0], model.decoder[3]
    state = dict(w1=one.weight, b1=one.bias, w2=two.weight, b2=two.bias)
    state = {key: value.detach() for key, value in state.items()}
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=flags.split())
        page = browser.new_page(viewport={"width": 390, "height": 1200})
        page.set_content(demo_html("vae", places=[[0.5, -1.0]], labels=[7], z=[0.3, -0.7], **state))
        demo = page.locator(".softattn-demo[data-demo=vae]").first
        page.wait_for_function("document.querySelector('.softattn-demo').dataset.numbers")

        def check():
            n = json.loads(demo.get_attribute("data-numbers"))
            with torch.no_grad():
                want = torch.sigmoid(model.decode(torch.tensor([n["z"]], dtype=torch.float64))).flatten()
            assert np.abs(np.array(n["pixels"]) - want.numpy()).max() < 1e-9
            return n["z"]

        assert check() == [0.3, -0.7]
        demo.locator("input[type=range]").nth(0).fill("2.5")
        demo.locator("input[type=range]").nth(1).fill("1.05")
        assert check() == [2.5, 1.05]
        box = demo.locator("canvas").first.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 4)
        page.mouse.down()
        page.mouse.up()
        assert check() == pytest.approx([-1.5, 1.5], abs=0.06)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        browser.close()

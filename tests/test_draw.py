"""Oracle tests of softattn.draw: autograd, double loops in NumPy, torch.distributions, quadrature, shipped weights."""

import copy
import json
import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import distributions as D

import softattn
from softattn.draw import BOUND, DRAW, draw_sizes
from softattn.filterbank import Filterbank
from softattn.images import binarise, embedded_digits
from softattn.lstm import LSTMCell
from softattn.vae import bernoulli_nats, kl_from_standard

# the bound in nats of softattn.load("draw-mnist") on 40 embedded digits, see test_the_weights_reproduce_a_stored_figure
STORED = 76.47287

SHAPES = [((1, 8, 8), 2, 3), ((1, 6, 9), 3, 2), ((2, 9, 5), 2, 5), ((2, 5, 5), 4, 2), ((3, 4, 7), 2, 2)]
PLACES = [name for name, _ in DRAW((1, 5, 5), 1, 2, 1, 2, 2).named_parameters()]


def tiny(shape=(1, 8, 8), steps=3, hidden=6, latent=4, read=2, write=3, dtype=torch.float64, device="cpu", **options):
    """A small model whose weights are all far from where they start: no gradient is zero by chance."""
    model = DRAW(shape, steps, hidden, latent, read, write, **options)  # read_size, write_size
    g = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in model.parameters():
            p += 0.3 * torch.randn(p.shape, generator=g)
    return model.to(device, dtype)


def pictures(n=5, shape=(1, 8, 8), device="cpu", dtype=torch.float64):
    return (torch.rand(n, *shape, generator=torch.Generator().manual_seed(2)) < 0.4).to(device, dtype)


def seeded(seed=3):
    return torch.Generator().manual_seed(seed)


def both_ways(model, x, keep=False):
    """The same pass by the hand-written backward, and by the plain loop and autograd."""
    return model(x, seeded(), keep=keep, fused=True), model(x, seeded(), keep=keep, fused=False)


def mixed(out, seed=4):
    """A loss that weighs every number of the bound, of the KL and of the last canvas by itself."""
    g = seeded(seed)
    parts = (out.nll_bound, out.kl, out.logits)
    return sum((torch.randn(p.shape, generator=g, dtype=torch.float64).to(p) * p).sum() for p in parts)


def gradients(model, loss):
    model.zero_grad(set_to_none=True)
    loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters()}


def apart(got, want):
    """The largest difference, by the largest number."""
    return ((got - want).abs().max() / want.abs().max()).item()


# -- the fast way against autograd -------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize(("shape", "read", "write"), SHAPES)
def test_the_hand_written_backward_equals_autograd(device, shape, read, write, steps):
    model = tiny(shape, steps, read=read, write=write, device=device)
    x = pictures(shape=shape, device=device)
    fast, slow = both_ways(model, x, keep=True)
    assert type(fast.logits.grad_fn).__name__ == "_DRAWFunctionBackward"  # and not autograd twice
    assert "_DRAWFunction" not in type(slow.logits.grad_fn).__name__
    for key in ("nll_bound", "kl", "logits", "canvases", "read_boxes", "write_boxes"):
        assert getattr(fast, key).shape == getattr(slow, key).shape
        assert apart(getattr(fast, key), getattr(slow, key)) < 1e-10, key
    got, want = gradients(model, mixed(fast)), gradients(model, mixed(slow))
    for name in got:
        assert want[name].abs().max() > 1e-6, f"{name} has no gradient: this proves nothing"
        assert apart(got[name], want[name]) < 1e-10, name


@pytest.mark.parametrize("steps", [8, 19])
def test_many_steps_equal_autograd(device, steps):
    model, x = tiny(steps=steps, device=device), pictures(3, device=device)
    fast, slow = both_ways(model, x)
    torch.testing.assert_close(fast.nll_bound, slow.nll_bound, rtol=1e-10, atol=0)
    got, want = gradients(model, mixed(fast)), gradients(model, mixed(slow))
    for name in got:
        assert apart(got[name], want[name]) < 1e-9, name


@pytest.mark.parametrize("part", ["nll_bound", "kl", "logits"])
def test_each_part_of_the_output_has_its_own_gradient(part):
    model, x = tiny(), pictures()
    fast, slow = both_ways(model, x)
    got, want = (gradients(model, getattr(out, part).square().sum()) for out in (fast, slow))
    for name in got:
        assert (got[name] - want[name]).abs().max() < 1e-10 * max(want[name].abs().max(), 1), name


def test_far_aims_and_saturated_logarithms_keep_the_gradient_right():
    """Grids far outside, tiny and huge: the logarithms are held between -BOUND and BOUND."""
    model, x = tiny((1, 6, 9), 4), pictures(shape=(1, 6, 9))
    with torch.no_grad():
        model.write_head.bias[:10] = torch.tensor([3.0, -2.0, 9.0, 2.0, -3.0, -1.5, 2.0, -4.0, -8.0, 1.0])
    fast, slow = both_ways(model, x)
    torch.testing.assert_close(fast.nll_bound, slow.nll_bound, rtol=1e-10, atol=0)
    got, want = gradients(model, mixed(fast)), gradients(model, mixed(slow))
    for name in got:
        assert apart(got[name], want[name]) < 1e-9, name


def test_gradient_by_finite_differences():
    model = tiny((1, 4, 5), 2, hidden=3, latent=2, read=2, write=2)
    x = pictures(2, (1, 4, 5))

    def bound(*_):
        out = model(x, seeded())
        return out.nll_bound, out.kl

    assert torch.autograd.gradcheck(bound, tuple(model.parameters()), atol=1e-6, fast_mode=True)


def test_gradient_of_the_images_by_finite_differences():
    model = tiny((1, 4, 4), 2, hidden=3, latent=2, read=2, write=2)
    x = torch.rand(2, 1, 4, 4, generator=seeded(), dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: model(x, seeded()).nll_bound, (x,))


@pytest.mark.parametrize("attention", [True, False])
def test_the_steps_are_used(attention):
    """More than one step: the first aims, the states and the canvas all reach the end."""
    model, x = tiny(steps=4, attention=attention), pictures()
    out = model(x, seeded(), keep=True)
    assert out.kl.shape == (4, 5) and (out.kl.diff(dim=0).abs() > 1e-6).all()
    assert (out.canvases.diff(dim=0).abs().amax((1, 2, 3, 4)) > 1e-6).all()


def test_float32_is_close_to_float64(device):
    shape = (1, 28, 28)
    model, x = tiny(shape, 8, 32, 10, 2, 5, device=device), pictures(16, shape, device)
    want, want_grads = (out := model(x, seeded())), gradients(model, out.nll_bound.mean())
    model = model.float()
    got = model(x.float(), seeded())
    assert got.nll_bound.dtype == got.logits.dtype == torch.float32
    assert apart(got.nll_bound.double(), want.nll_bound) < 1e-4 and apart(got.kl.double(), want.kl) < 1e-4
    got_grads = gradients(model, got.nll_bound.mean())
    for name in got_grads:
        assert apart(got_grads[name].double(), want_grads[name]) < 1e-4, name


def test_bfloat16_products_are_close_and_nats_stay_float32(device):
    shape = (1, 28, 28)
    torch.manual_seed(0)
    model, x = DRAW(shape, 8, 32, 10).to(device), pictures(16, shape, device, torch.float32)
    want = model(x, seeded())
    want_grads = gradients(model, want.nll_bound.mean())
    with torch.autocast(device.type, torch.bfloat16):
        out, slow = both_ways(model, x, keep=True)
        film = model.trajectory(3, seeded())
    for got in (out, slow):
        for part in (got.nll_bound, got.kl, got.logits, got.canvases, got.read_boxes, got.write_boxes):
            assert part.dtype == torch.float32
        assert apart(got.nll_bound, want.nll_bound) < 0.01 and apart(got.kl, want.kl) < 0.05
        for name, grad in gradients(model, got.nll_bound.mean()).items():
            assert grad.dtype == torch.float32
            assert (grad - want_grads[name]).norm() < 0.05 * want_grads[name].norm(), name
    assert film.canvases.dtype == torch.float32


def test_kept_canvases_change_nothing(device):
    model, x = tiny(device=device), pictures(device=device)
    lean, full = model(x, seeded()), model(x, seeded(), keep=True)
    assert lean.canvases is None and full.canvases.shape == (3, *x.shape)
    assert torch.equal(full.canvases[-1], full.logits)
    for key in ("nll_bound", "kl", "logits", "read_boxes", "write_boxes"):
        assert torch.equal(getattr(lean, key), getattr(full, key))
    first, second = gradients(model, lean.nll_bound.sum()), gradients(model, full.nll_bound.sum())
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not any(t.requires_grad for t in (full.canvases, full.read_boxes, full.write_boxes))


def test_two_backwards_of_one_model_do_not_mix():
    """What one pass keeps belongs to it: two graphs at once, taken back in either order."""
    model, x = tiny(), pictures()
    alone = [gradients(model, model(part, seeded()).nll_bound.sum()) for part in (x[:3], x[3:])]
    losses = [model(part, seeded()).nll_bound.sum() for part in (x[:3], x[3:])]
    for k in (1, 0):
        got = gradients(model, losses[k])
        assert all(torch.equal(got[name], alone[k][name]) for name in got)


# -- against double loops ----------------------------------------------------------------------------------------------


def sigmoid(v):
    return 1 / (1 + np.exp(-v))


def loop_filters(told, rows, columns, N):
    """Five numbers of the hand -> F_y, F_x, gamma; the paper's eq. 19 to 26 for one image, pixels counted from 1."""
    gt_x, gt_y = told[0], told[1]
    log_sigma2, log_delta, log_gamma = (BOUND * math.tanh(v / BOUND) for v in told[2:5])
    g_x, g_y = (columns + 1) / 2 * (gt_x + 1), (rows + 1) / 2 * (gt_y + 1)
    delta = (max(columns, rows) - 1) / (N - 1) * math.exp(log_delta)
    matrices = []
    for g, length in ((g_y, rows), (g_x, columns)):
        F = np.zeros((N, length))
        for i in range(1, N + 1):
            mu = g + (i - N / 2 - 0.5) * delta
            scores = [-((a - mu) ** 2) / (2 * math.exp(log_sigma2)) for a in range(1, length + 1)]
            F[i - 1] = [math.exp(v - max(scores)) for v in scores]
            F[i - 1] /= F[i - 1].sum()
        matrices.append(F)
    return *matrices, math.exp(log_gamma), [g_x - 1, g_y - 1, delta * (N - 1), delta * (N - 1)]


def loop_cell(w, name, inputs, h, c):
    """An LSTM without peepholes; gates in the order i, f, g, o."""
    z = inputs @ w[f"{name}.weight_x"] + h @ w[f"{name}.weight_h"] + w[f"{name}.bias"]
    i, f, g, o = np.split(z, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def loop_write(w, told, shape, N, attention):
    """eq. 8, 18 and 29: what is added to the canvas, and the box."""
    C, rows, columns = shape
    if not attention:
        return told.reshape(shape), None
    F_y, F_x, gamma, box = loop_filters(told[5:10], rows, columns, N)
    patch, image = told[10:].reshape(C, N, N), np.zeros(shape)
    for k in range(C):
        for j in range(N):
            for i in range(N):
                image[k] += patch[k, j, i] * np.outer(F_y[j], F_x[i]) / gamma
    return image, box


def loop_draw(model, x, noise):
    """One image through eq. 1 to 12 -> bound, kl (T,), canvases, read and write boxes."""
    w = {name: p.detach().cpu().numpy() for name, p in model.named_parameters()}
    C, rows, columns = shape = model.image_shape
    c, (h_enc, c_enc, h_dec, c_dec) = w["canvas"], w["start"]
    kls, canvases, reads, writes = [], [], [], []
    for z_noise in noise:
        told = w["write_head.weight"] @ h_dec + w["write_head.bias"]
        error = x - sigmoid(c)  # eq. 3
        if model.attention:  # eq. 4 and 27
            N = model.reader.n
            F_y, F_x, gamma, box = loop_filters(told[:5], rows, columns, N)
            seen = [
                gamma * (F_y[j][:, None] * image[k] * F_x[i]).sum()
                for image in (x, error)
                for k in range(C)
                for j in range(N)
                for i in range(N)
            ]
            reads.append(box)
        else:
            seen = [*x.ravel(), *error.ravel()]
        h_enc, c_enc = loop_cell(w, "encoder", np.array([*seen, *h_dec]), h_enc, c_enc)  # eq. 5
        mu, log_sigma = np.split(w["posterior.weight"] @ h_enc + w["posterior.bias"], 2)  # eq. 1, 2
        kls.append(sum(0.5 * (m**2 + math.exp(s) ** 2 - 2 * s - 1) for m, s in zip(mu, log_sigma, strict=True)))
        z = mu + np.exp(log_sigma) * z_noise  # eq. 6
        h_dec, c_dec = loop_cell(w, "decoder", z, h_dec, c_dec)  # eq. 7
        told = w["write_head.weight"] @ h_dec + w["write_head.bias"]
        added, box = loop_write(w, told, shape, model.attention and model.writer.n, model.attention)
        c = c + added  # eq. 8
        canvases.append(c)
        writes.append(box)
    ink = sigmoid(c)
    reconstruction = -(x * np.log(ink) + (1 - x) * np.log(1 - ink)).sum()  # eq. 9
    return reconstruction + sum(kls), kls, canvases, reads, writes


@pytest.mark.parametrize("attention", [True, False])
@pytest.mark.parametrize(("shape", "read", "write"), SHAPES)
def test_everything_equals_loops_over_the_paper_s_equations(device, shape, read, write, attention):
    model = tiny(shape, 3, read=read, write=write, device=device, attention=attention)
    x = pictures(3, shape, device)
    noise = torch.randn(3, 3, 4, generator=seeded()).double().numpy()  # as the model draws it: (T, B, Z)
    out = model(x, seeded(), keep=True)

    def close(got, want):  # no closer: a filter's least weight is e^-30 of its largest
        want = np.array(want)
        assert np.abs(got.detach().cpu().numpy() - want).max() < 1e-9 * max(1, np.abs(want).max())

    for b in range(3):
        nll, kl, canvases, reads, writes = loop_draw(model, x[b].cpu().numpy(), noise[:, b])
        close(out.nll_bound[b], nll)
        close(out.kl[:, b], kl)
        close(out.canvases[:, b], canvases)
        close(out.reconstruction[b], sigmoid(canvases[-1]))
        if attention:
            close(out.read_boxes[:, b], reads)
            close(out.write_boxes[:, b], writes)
    if not attention:
        assert out.read_boxes is None and out.write_boxes is None


@pytest.mark.parametrize("attention", [True, False])
def test_generation_equals_loops_over_equations_13_to_16(device, attention):
    shape = (2, 6, 9)
    model = tiny(shape, 3, device=device, attention=attention)
    w = {name: p.detach().cpu().numpy() for name, p in model.named_parameters()}
    film = model.trajectory(2, seeded())
    noise = torch.randn(3, 2, 4, generator=seeded()).double().numpy()
    for n in range(2):
        c, h, cell = w["canvas"], w["start"][2], w["start"][3]
        for t in range(3):
            h, cell = loop_cell(w, "decoder", noise[t, n], h, cell)
            added, box = loop_write(w, w["write_head.weight"] @ h + w["write_head.bias"], shape, 3, attention)
            c = c + added
            assert np.abs(film.canvases[t, n].cpu().numpy() - c).max() < 1e-10
            if attention:
                assert film.write_boxes[t, n].tolist() == pytest.approx(box, rel=1e-10)
    torch.testing.assert_close(model.generate(2, seeded()), torch.sigmoid(film.canvases[-1]))


# -- laws --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attention", [True, False])
def test_the_bound_is_its_parts(device, attention):
    model, x = tiny(device=device, attention=attention), pictures(device=device)
    out = model(x, seeded(), keep=True)
    noise = torch.randn(3, 5, 4, generator=seeded()).to(x)
    mu, log_sigma, c = out.mu, out.log_sigma, out.logits
    assert torch.equal(out.noise, noise) and torch.equal(out.canvases[-1], c)
    torch.testing.assert_close(out.z, mu + log_sigma.exp() * noise)
    normal = D.Normal(torch.zeros_like(mu), torch.ones_like(mu))
    kl = D.kl_divergence(D.Normal(mu, log_sigma.exp()), normal).sum(2)
    torch.testing.assert_close(out.kl, kl, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(out.kl, kl_from_standard(mu, log_sigma))
    nll = -D.Bernoulli(logits=c).log_prob(x).sum((1, 2, 3))
    torch.testing.assert_close(out.nll_bound, nll + kl.sum(0), rtol=1e-10, atol=0)
    torch.testing.assert_close(out.reconstruction, torch.sigmoid(out.logits))


def test_the_last_canvas_is_the_first_and_all_that_was_written():
    model, x = tiny(steps=4), pictures()
    written = []
    model.write = lambda said: written.append(DRAW.write(model, said)) or written[-1]
    out = model(x, seeded(), keep=True)
    assert len(written) == 4
    torch.testing.assert_close(out.logits, model.canvas + torch.stack(written).sum(0), rtol=1e-12, atol=1e-12)
    canvases = model.canvas + torch.stack(written).cumsum(0)
    torch.testing.assert_close(out.canvases, canvases.detach(), rtol=1e-12, atol=1e-12)
    del model.write
    torch.testing.assert_close(model(x, seeded(), fused=True).logits, out.logits)


def test_read_and_write_are_the_filterbank_s():
    model, x = tiny((2, 8, 6), read=3, write=4), pictures(shape=(2, 8, 6))
    told = torch.randn(5, 10 + 2 * 16, generator=seeded(), dtype=torch.float64)
    ink = torch.rand(x.shape, generator=seeded(), dtype=torch.float64)
    limit = torch.cat([told[:, :2], BOUND * torch.tanh(told[:, 2:5] / BOUND)], 1)
    want = [model.reader.read(image, limit).flatten(1) for image in (x, x - ink)]
    torch.testing.assert_close(model.read(x, x - ink, told), torch.cat(want, 1))
    limit = torch.cat([told[:, 5:7], BOUND * torch.tanh(told[:, 7:10] / BOUND)], 1)
    torch.testing.assert_close(model.write(told), model.writer.write(told[:, 10:].view(5, 2, 4, 4), limit))


def test_a_fresh_model_starts_wide_centred_and_soft():
    model = DRAW((1, 28, 28), steps=2)
    with torch.no_grad():
        model.write_head.weight.zero_()
    x = pictures(3, (1, 28, 28), dtype=torch.float32)
    out = model(x, seeded())
    wide = torch.tensor([13.5, 13.5, 27.0, 27.0])
    torch.testing.assert_close(out.write_boxes, wide.expand(2, 3, 4), rtol=1e-4, atol=1e-4)
    half = torch.tensor([13.5, 13.5, 13.5, 13.5])
    torch.testing.assert_close(out.read_boxes, half.expand(2, 3, 4), rtol=1e-4, atol=1e-4)
    for bank, part in ((model.reader, slice(5)), (model.writer, slice(5, 10))):
        raw = model.write_head.bias[None, part].detach()
        raw = torch.cat([raw[:, :2], BOUND * torch.tanh(raw[:, 2:] / BOUND)], 1)
        _, _, delta, sigma2, _ = bank.params(raw)
        assert sigma2.sqrt().item() == pytest.approx(delta.item() / 2, rel=1e-4)
    one = model.writer.write(torch.ones(1, 1, 5, 5), raw)[0, 0, 8:20, 8:20]
    assert ((one - 1).abs() < 0.15).all()  # a patch of ones is a square of ones
    assert model(x * 0, seeded()).nll_bound.mean().item() < 900


def prior_canvas(model, z):
    """The last canvas for given z (T, n, Z)."""
    h, c = (s.expand(z.shape[1], -1) for s in model.start[2:])
    canvas = model.canvas.expand(z.shape[1], -1, -1, -1)
    for z_t in z:
        h, c = model.decoder(z_t, (h, c))
        canvas = canvas + model.write(model.write_head(h))
    return canvas.detach()


def quadrature(model, x, nodes):
    """-log p(x) of a model with one latent number in each step, by Gauss and Hermite's points in every step."""
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    grids = torch.tensor(np.stack(np.meshgrid(*[points] * model.steps, indexing="ij")).reshape(model.steps, -1))
    log_w = torch.tensor(np.log(weights / weights.sum()))
    log_w = sum(torch.meshgrid(*[log_w] * model.steps, indexing="ij")).reshape(-1)
    canvas = prior_canvas(model, grids[:, :, None])
    return torch.stack([-torch.logsumexp(log_w - bernoulli_nats(canvas, one.expand_as(canvas)), 0) for one in x])


@pytest.mark.parametrize(("steps", "nodes"), [(1, 200), (2, 60)])
def test_the_importance_estimate_comes_near_the_truth_from_above(steps, nodes):
    shape = (1, 4, 5)
    model, x = tiny(shape, steps, 4, latent=1, read=2, write=2), pictures(4, shape)
    with torch.no_grad():
        model.posterior.weight *= 0.5
    exact = quadrature(model, x, nodes)
    assert (exact - quadrature(model, x, nodes - 9)).abs().max() < 1e-3  # the quadrature is fine enough
    many = x.repeat(100, 1, 1, 1)
    means, error = [], None
    for k in (1, 4, 16):
        draws = model.importance_nats(many, k, seeded(k)).view(100, -1)
        means.append(draws.mean(0))
        error = draws.std(0) / 100**0.5
        assert ((draws.mean(0) - exact) > -5 * error).all()  # a bound, in the mean
    assert means[0].mean() > means[1].mean() > means[2].mean()
    close = model.importance_nats(x, 1500, seeded(9))
    assert (close - exact).abs().max() < 0.1


def test_one_draw_of_the_importance_estimate_has_the_mean_of_the_bound(device):
    model, x = tiny(device=device), pictures(4, device=device)
    many = x.repeat(1500, 1, 1, 1)
    with torch.no_grad():
        plain = model(many, seeded(5)).nll_bound.view(1500, -1)
    single = model.importance_nats(many, 1, seeded(6)).view(1500, -1)
    error = (plain.var(0) / 1500 + single.var(0) / 1500).sqrt()
    assert ((plain.mean(0) - single.mean(0)).abs() < 5 * error).all()
    assert not torch.allclose(plain, single)  # sampled ratios, not the closed form


def test_the_importance_weight_is_p_over_q(device):
    """One draw, weighed by torch.distributions."""
    model, x = tiny(device=device), pictures(device=device)
    got = model.importance_nats(x, 1, seeded())
    noise = torch.randn(3, 5, 4, generator=seeded()).to(x)
    out = model(x, seeded())
    c, mu, log_sigma = out.logits, out.mu, out.log_sigma
    q = D.Normal(mu, log_sigma.exp())
    z = mu + log_sigma.exp() * noise
    ratio = (D.Normal(torch.zeros_like(mu), torch.ones_like(mu)).log_prob(z) - q.log_prob(z)).sum((0, 2))
    want = -(ratio + D.Bernoulli(logits=c).log_prob(x).sum((1, 2, 3)))
    torch.testing.assert_close(got, want.detach(), rtol=1e-10, atol=1e-10)
    assert not got.requires_grad


# -- sampling ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attention", [True, False])
def test_films_and_pictures_come_from_the_seed(device, attention):
    shape = (2, 6, 9)
    model = tiny(shape, 4, device=device, attention=attention)
    one, two, other = (model.trajectory(5, seeded(s)) for s in (8, 8, 9))
    assert torch.equal(one.canvases, two.canvases) and not torch.equal(one.canvases, other.canvases)
    assert one.canvases.shape == (4, 5, *shape) and not one.canvases.requires_grad
    if attention:
        assert torch.equal(one.write_boxes, two.write_boxes) and one.write_boxes.shape == (4, 5, 4)
    else:
        assert one.write_boxes is None
    picture = model.generate(5, seeded(8))
    assert torch.equal(picture, torch.sigmoid(one.canvases[-1])) and picture.shape == (5, *shape)
    assert picture.min() > 0 and picture.max() < 1 and not picture.requires_grad
    z = torch.randn(4, 5, 4, generator=seeded(8)).to(picture)
    torch.testing.assert_close(picture, torch.sigmoid(prior_canvas(model, z)))
    assert model.generate(0).shape == (0, *shape) and model.trajectory(0).canvases.shape == (4, 0, *shape)
    torch.manual_seed(1)
    assert not torch.equal(model.generate(1), model.generate(1))  # without a generator: the global one


def test_a_box_covers_what_was_written():
    """A hand that always writes one small patch: the ink lies inside its box, pixels counted from 0."""
    model = tiny((1, 20, 30), 1)
    with torch.no_grad():
        model.write_head.weight.zero_()
        aim = torch.tensor(
            [2 * 21.0 / 31 - 1, 2 * 6.0 / 21 - 1, -2.0, math.log(4 / 29), 0.0]
        )  # column 20, row 5, from 0
        model.write_head.bias[5:10] = torch.cat([aim[:2], BOUND * torch.atanh(aim[2:] / BOUND)])
        model.write_head.bias[10:] = 1.0
        model.canvas.zero_()
    film = model.trajectory(1)
    assert film.write_boxes[0, 0].tolist() == pytest.approx([20, 5, 4, 4], rel=1e-5)
    ink = film.canvases[0, 0, 0]
    rows, columns = torch.arange(20.0).double(), torch.arange(30.0).double()
    assert ((ink.sum(1) * rows).sum() / ink.sum()).item() == pytest.approx(5, abs=1e-6)
    assert ((ink.sum(0) * columns).sum() / ink.sum()).item() == pytest.approx(20, abs=1e-6)
    assert ink[2:9, 17:24].sum() > 0.99 * ink.sum()


# -- steps, types, devices ---------------------------------------------------------------------------------------------


def test_no_weight_belongs_to_a_step(device):
    short, long = DRAW((1, 8, 8), 2, 6, 4, 2, 3), DRAW((1, 8, 8), 9, 6, 4, 2, 3)
    shapes = [{k: v.shape for k, v in m.state_dict().items()} for m in (short, long)]
    assert shapes[0] == shapes[1]
    model, x = tiny(steps=2, device=device), pictures(device=device)
    model.steps = 7
    out = model(x, seeded(), keep=True)
    assert out.kl.shape == (7, 5) and out.canvases.shape[0] == 7 and out.write_boxes.shape == (7, 5, 4)
    assert model.trajectory(2, seeded()).canvases.shape[0] == 7
    assert set(gradients(model, out.nll_bound.sum())) == set(shapes[0]) == set(PLACES)


def test_a_model_stopped_early_is_the_same_model_with_fewer_steps(monkeypatch):
    """The first steps do not know how many follow: what `stopped` of the card rests on."""
    model, x = tiny(steps=5), pictures()
    noise = torch.randn(5, 5, 4, generator=seeded(), dtype=torch.float64)
    monkeypatch.setattr(DRAW, "noise", lambda self, n, generator: noise[: self.steps])
    for fused in (True, False):
        model.steps = 5
        whole = model(x, seeded(), keep=True, fused=fused)
        model.steps = 2
        part = model(x, seeded(), keep=True, fused=fused)
        assert torch.equal(part.logits, whole.canvases[1])
        for key in ("kl", "mu", "log_sigma", "read_boxes", "write_boxes", "canvases"):
            assert torch.equal(getattr(part, key), getattr(whole, key)[:2]), key


@pytest.mark.parametrize("attention", [True, False])
def test_one_generator_makes_one_bound(device, attention):
    model, x = tiny(device=device, attention=attention), pictures(device=device)
    one, two, other = (model(x, seeded(s)).nll_bound for s in (1, 1, 2))
    assert torch.equal(one, two) and not torch.equal(one, other)
    torch.testing.assert_close(model(x[:2], seeded(1)).nll_bound.shape, torch.Size([2]))


def test_images_do_not_see_each_other(device):
    model, x = tiny(device=device), pictures(device=device)
    same = x[:1].expand(5, -1, -1, -1)
    mixed_up = torch.cat([x[:1], x[1:].flip(3)])
    whole, other = model(mixed_up, seeded(), keep=True), model(same, seeded(), keep=True)
    torch.testing.assert_close(whole.canvases[:, 0], other.canvases[:, 0])
    assert not torch.allclose(whole.canvases[:, 1], other.canvases[:, 1])


def test_it_runs_on_meta():
    for attention in (True, False):
        model = DRAW((2, 6, 8), 3, 5, 4, 2, 3, attention).to("meta")
        out = model(torch.empty(2, 2, 6, 8, device="meta"), keep=True)
        assert out.nll_bound.device.type == "meta" and out.canvases.shape == (3, 2, 2, 6, 8)
        out.nll_bound.sum().backward()
        assert all(p.grad.device.type == "meta" for p in model.parameters())
        assert model.generate(3).shape == (3, 2, 6, 8)


def test_pictures_that_are_not_contiguous(device):
    model, x = tiny((2, 6, 8), device=device), pictures(4, (2, 6, 8), device)
    turned = x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)  # channels last
    assert not turned.is_contiguous()
    got, want = model(turned, seeded()), model(x, seeded())
    torch.testing.assert_close(got.nll_bound, want.nll_bound)
    got, want = gradients(model, mixed(got)), gradients(model, mixed(want))
    for name in got:
        torch.testing.assert_close(got[name], want[name])


@pytest.mark.slow
@pytest.mark.parametrize("attention", [True, False])
def test_a_short_training_lowers_the_bound(attention):
    x = binarise(embedded_digits(100).floats(), seeded(0))
    torch.manual_seed(0)
    model = DRAW(steps=4, hidden=48, latent=8, attention=attention)
    adam, generator, losses = torch.optim.Adam(model.parameters(), lr=5e-3), seeded(1), []
    for _ in range(60):
        loss = model(x, generator).nll_bound.mean()
        adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        adam.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(784 * math.log(2), rel=0.1) and losses[-1] < 260


# -- what may come in --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attention", [True, False])
def test_an_empty_batch(device, attention):
    model = tiny(device=device, attention=attention)
    x = torch.zeros(0, 1, 8, 8, dtype=torch.float64, device=device)
    out = model(x, keep=True)
    assert out.nll_bound.shape == (0,) and out.kl.shape == (3, 0) and out.logits.shape == (0, 1, 8, 8)
    assert out.canvases.shape == (3, 0, 1, 8, 8) and model.importance_nats(x, 2).shape == (0,)
    if attention:
        assert out.read_boxes.shape == out.write_boxes.shape == (3, 0, 4)
    assert all(not grad.any() for grad in gradients(model, out.nll_bound.sum()).values())


@pytest.mark.parametrize("attention", [True, False])
@pytest.mark.parametrize("fault, told", [(math.nan, "nan"), (-0.5, "-0.5"), (255.0, "255"), (math.inf, "inf")])
def test_pixels_that_are_no_probability_raise(device, attention, fault, told):
    model, x = tiny(device=device, attention=attention), pictures(device=device)
    x[2, 0, 3, 3] = fault
    for use in (model, lambda x: model.importance_nats(x, 2)):
        with pytest.raises(ValueError, match=rf"DRAW: pixels from .*{told}.*, expected 0 to 1"):
            use(x)


def test_grey_is_a_likelihood_all_the_same(device):
    model = tiny(device=device)
    assert model(torch.full_like(pictures(device=device), 0.5), seeded()).nll_bound.isfinite().all()


WRONG = (0, -3, True, 2.0, math.nan, "8", None, 10**12)


@pytest.mark.parametrize("name", ["steps", "hidden", "latent", "read_size", "write_size", "C", "H", "W"])
@pytest.mark.parametrize("value", WRONG)
def test_sizes_that_are_no_whole_number_raise(name, value):
    options = {name: value}
    if name in "CHW":
        options = {"image_shape": [value if key == name else 28 for key in "CHW"]}
    with pytest.raises((TypeError, ValueError), match=rf"^DRAW: {name} is .*, expected a whole number from 1 to"):
        DRAW(**options)


def test_shapes_and_sizes_that_cannot_be_raise():
    for shape in ((28, 28), 28, "128", None, (1, 28, 28, 1)):
        with pytest.raises(ValueError, match=r"^DRAW: image_shape is .*, expected \(C, H, W\)"):
            DRAW(shape)
    with pytest.raises(ValueError, match=r"^DRAW: .* make more than 2\^31 weights"):
        DRAW(hidden=60_000)
    with pytest.raises(ValueError, match=r"^DRAW: .* make more than 2\^31 weights"):
        DRAW((3, 9_000, 9_000), attention=False)
    small = DRAW([np.int64(1), 8, 8], np.int32(2), np.int64(3), 2, 2, 2)  # NumPy's whole numbers are whole numbers
    assert small.image_shape == (1, 8, 8) and type(small.steps) is int


def test_the_largest_draw_has_two_to_the_31st_weights():
    """Two LSTMs of 4 times 4,096 gates that hear two pictures of 128 x 128, two states and z: 65,536 numbers."""
    sizes = {"steps": 1, "hidden": 4096, "latent": 65_536 - 2 * 128 * 128 - 2 * 4096, "read_size": 2, "write_size": 128}
    assert draw_sizes((1, 128, 128), **sizes) == (1, 128, 128, *sizes.values())
    for more in ({"latent": sizes["latent"] + 1}, {"write_size": 129}, {"read_size": 129}):
        with pytest.raises(ValueError, match=r"make more than 2\^31 weights"):
            draw_sizes((1, 128, 128), **(sizes | more))


def test_a_grid_that_does_not_fit_raises():
    with pytest.raises(ValueError, match=r"n=5 on 4 x 9 pixels; expected"):
        DRAW((1, 4, 9))
    with pytest.raises(ValueError, match=r"n=6 on 9 x 5 pixels; expected"):
        DRAW((1, 9, 5), read_size=6)
    with pytest.raises(ValueError, match=r"n=1 on 28 x 28 pixels; expected"):
        DRAW(read_size=1)
    with pytest.raises(ValueError, match=r"DRAW: write_size is 0, expected a whole number from 1 to"):
        DRAW(write_size=0)
    assert DRAW((1, 1, 1), read_size=9, write_size=9, attention=False).reader is None  # no grid, nothing to fit


@pytest.mark.parametrize("attention", [True, False])
def test_wrong_inputs_raise(attention):
    model = tiny((1, 4, 5), read=2, write=2, attention=attention)
    for shape in ((2, 1, 5, 4), (1, 4, 5), (2, 2, 4, 5), (2, 1, 4, 5, 1)):
        x = torch.zeros(shape, dtype=torch.float64)
        for call in (model, lambda x: model.importance_nats(x, 1)):
            with pytest.raises(ValueError) as caught:
                call(x)
            assert f"{shape}, expected (B, 1, 4, 5)" in str(caught.value)
    x = torch.zeros(2, 1, 4, 5, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"^DRAW.importance_nats: k is 0, expected a whole number from 1"):
        model.importance_nats(x, 0)
    with pytest.raises(ValueError, match=r"^DRAW.generate: n is -1, expected a whole number from 0"):
        model.generate(-1)
    for n in (-1, True, 1.0, math.nan, "2", None, 10**9):
        for name in ("generate", "trajectory"):
            with pytest.raises((TypeError, ValueError), match=rf"^DRAW.{name}: n is .*, expected a whole number"):
                getattr(model, name)(n)
    for steps in (0, -1, True, 2.5, math.nan, "64", None, 10**9):
        model.steps = steps
        for call in (model, lambda x: model.importance_nats(x, 1), lambda x: model.generate(2)):
            with pytest.raises((TypeError, ValueError), match=r"^DRAW: steps is .*, expected a whole number from 1"):
                call(x)


@pytest.mark.parametrize("what", [None, 3, "digits", [[1.0]], np.zeros((2, 1, 8, 8))])
def test_what_is_no_tensor_raises(what):
    with pytest.raises(ValueError, match=r"^DRAW: images are .*, expected \(B, 1, 8, 8\)"):
        tiny()(what)
    with pytest.raises(ValueError, match=r"^DRAW.decode: z is .*, expected \(T, n, 4\)"):
        tiny().decode(what)


def test_wrong_codes_and_generators_raise():
    model = tiny()
    for shape in ((0, 2, 4), (3, 2, 5), (2, 4)):
        with pytest.raises(ValueError, match=rf"^DRAW.decode: z is \({shape[0]}, .*expected \(T, n, 4\)"):
            model.decode(torch.zeros(shape, dtype=torch.float64))
    with pytest.raises(ValueError, match=r"^DRAW.decode: z is "):
        model.decode(torch.zeros(3, 2, 4, dtype=torch.int64))
    for generator in (3, "seed", np.random.default_rng(0)):
        for call in (lambda g: model(pictures(), g), lambda g: model.generate(1, g)):
            with pytest.raises(TypeError, match=r"^DRAW: generator is .*, expected a torch.Generator"):
                call(generator)


@pytest.mark.parametrize("attention", [True, False])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool, torch.float16, torch.float32, torch.float64])
def test_images_of_any_real_type_give_the_same(attention, dtype):
    """Zeros and ones are the same numbers in all types; the weights are never cast to them."""
    for model in (tiny(attention=attention), tiny(attention=attention).float()):
        want = model(pictures(), seeded())
        got = model(pictures(dtype=dtype), seeded())
        assert got.nll_bound.dtype == want.nll_bound.dtype == model.canvas.dtype
        assert torch.equal(got.nll_bound, want.nll_bound)
    with pytest.raises(ValueError, match=r"DRAW: pixels from 0 to 255"):
        model(255 * pictures(dtype=torch.uint8), seeded())
    with pytest.raises(ValueError, match=r"^DRAW: images are complex64"):
        model(pictures(dtype=torch.complex64), seeded())


@pytest.mark.parametrize("attention", [True, False])
def test_half_precision_weights_count_in_float32(attention):
    model, x = tiny((1, 8, 8), 4, attention=attention).float(), pictures()
    want, half = model(x, seeded()), copy.deepcopy(model).half()
    for fused in (None, False):
        got = half(x, seeded(), fused=fused)
        assert got.nll_bound.dtype == got.logits.dtype == got.kl.dtype == torch.float32
        assert apart(got.nll_bound, want.nll_bound) < 0.01
        got.nll_bound.sum().backward()
        assert all(p.grad.dtype == torch.float16 and p.grad.isfinite().all() for p in half.parameters())
    assert half.generate(2, seeded()).dtype == torch.float32


def test_the_mode_is_kept_and_nothing_global_is_touched():
    model, x = tiny(), pictures()
    before = torch.get_rng_state()
    for mode in (True, False):
        model.train(mode)
        model(x, seeded()), model.generate(2, seeded()), model.importance_nats(x, 2, seeded())
        assert model.training is mode and all(part.training is mode for part in model.modules())
    assert torch.equal(torch.get_rng_state(), before) and torch.is_grad_enabled()


# -- two storeys: whatever was changed is honoured ---------------------------------------------------------------------


def outcomes(model, x):
    """What each public way through the model says."""
    out = model(x, seeded())
    return {
        "forward": out.nll_bound, "importance": model.importance_nats(x, 2, seeded()),
        "generate": model.generate(3, seeded()), "trajectory": model.trajectory(3, seeded()).canvases,
    }  # fmt: skip


def differ(got, want):
    return {key for key in got if not torch.allclose(got[key], want[key])}


PAINTING = {"forward", "importance", "generate", "trajectory"}
LOOKING = {"forward", "importance"}


class OwnRead(DRAW):
    def read(self, x, error, decoder_out):
        return super().read(x, 2 * error, decoder_out)


class OwnWrite(DRAW):
    def write(self, decoder_out):
        return 2 * super().write(decoder_out)


@pytest.mark.parametrize("attention", [True, False])
@pytest.mark.parametrize(("kind", "where"), [(OwnRead, LOOKING), (OwnWrite, PAINTING)])
def test_an_own_read_or_write_is_honoured(kind, where, attention):
    model, x = tiny(attention=attention), pictures()
    own = kind((1, 8, 8), 3, 6, 4, 2, 3, attention).double()
    own.load_state_dict(model.state_dict())
    assert differ(outcomes(own, x), outcomes(model, x)) == where
    with pytest.raises(ValueError, match=r"DRAW: fused=True, but "):
        own(x, fused=True)


@pytest.mark.parametrize(("name", "where"), [("read", LOOKING), ("write", PAINTING)])
def test_a_method_put_on_one_model_is_honoured(name, where):
    model, x = tiny(), pictures()
    want, old = outcomes(model, x), getattr(model, name)
    setattr(model, name, lambda *inputs: 2 * old(*inputs))
    assert differ(outcomes(model, x), want) == where
    delattr(model, name)
    assert not differ(outcomes(model, x), want)


class Forgetful(LSTMCell):
    def gates(self, z, c):
        return super().gates(z, 0.5 * c)


@pytest.mark.parametrize(("name", "where"), [("encoder", LOOKING), ("decoder", PAINTING)])
def test_an_own_cell_is_honoured(name, where):
    model, x = tiny(), pictures()
    want, old = outcomes(model, x), getattr(model, name)
    own = Forgetful(old.input_size, old.hidden_size, peephole=False).double()
    own.load_state_dict(old.state_dict())
    setattr(model, name, own)
    assert differ(outcomes(model, x), want) == where
    peeping = LSTMCell(old.input_size, old.hidden_size).double()  # the class that is known, with peepholes
    peeping.load_state_dict(old.state_dict(), strict=False)
    setattr(model, name, peeping)
    assert not differ(outcomes(model, x), want)
    with torch.no_grad():
        peeping.peephole += 0.5
    assert differ(outcomes(model, x), want) == where
    with pytest.raises(ValueError, match=r"DRAW: fused=True, but a cell has peepholes"):
        model(x, fused=True)


def test_an_own_layer_without_a_bias_is_honoured():
    model, x = tiny(), pictures()
    want = outcomes(model, x)
    model.posterior = torch.nn.Linear(6, 8, bias=False, dtype=torch.float64)
    assert differ(outcomes(model, x), want) == LOOKING


class Sharp(Filterbank):
    def params(self, raw):
        g_x, g_y, delta, sigma2, gamma = super().params(raw)
        return g_x, g_y, delta, sigma2, 2 * gamma


@pytest.mark.parametrize(("name", "where"), [("reader", LOOKING), ("writer", PAINTING)])
def test_an_own_filterbank_is_honoured(name, where):
    model, x = tiny(), pictures()
    want, old = outcomes(model, x), getattr(model, name)
    setattr(model, name, Sharp(old.height, old.width, old.n))
    assert differ(outcomes(model, x), want) == where


@pytest.mark.parametrize("part", ["encoder", "decoder", "posterior", "write_head"])
def test_hooks_are_called_and_may_change_what_comes_out(part):
    model, x, calls = tiny(), pictures(), []
    want = outcomes(model, x)
    hook = getattr(model, part).register_forward_pre_hook(lambda *_: calls.append(1))
    model(x, seeded())
    assert len(calls) == (4 if part == "write_head" else 3)  # the write head speaks once before the first step
    hook.remove()
    change = lambda _, __, out: (2 * out[0], out[1]) if isinstance(out, tuple) else 2 * out
    hook = getattr(model, part).register_forward_hook(change)
    assert differ(outcomes(model, x), want) == (PAINTING if part in ("decoder", "write_head") else LOOKING)
    hook.remove()
    assert not differ(outcomes(model, x), want)
    calls.clear()
    hook = getattr(model, part).register_full_backward_hook(lambda *_: calls.append(1))
    model(x, seeded()).nll_bound.sum().backward()
    assert calls
    hook.remove()
    assert type(model(x).logits.grad_fn).__name__ == "_DRAWFunctionBackward"


def test_the_plain_way_can_be_differentiated_twice():
    model, x = tiny((1, 4, 5), 2, hidden=3, latent=2, read=2, write=2), pictures(2, (1, 4, 5))
    loss = model(x, seeded(), fused=False).nll_bound.sum()
    (grad,) = torch.autograd.grad(loss, model.canvas, create_graph=True)
    (second,) = torch.autograd.grad(grad.square().sum(), model.posterior.weight)
    assert second.abs().max() > 0 and second.isfinite().all()


def test_functional_transforms_take_the_plain_way():
    model, x = tiny(), pictures()

    def loss(parameters):
        return torch.func.functional_call(model, parameters, (x, seeded())).nll_bound.sum()

    got = torch.func.grad(loss)({name: p.detach() for name, p in model.named_parameters()})
    want = gradients(model, model(x, seeded()).nll_bound.sum())
    for name in want:
        assert apart(got[name], want[name]) < 1e-10, name


@pytest.mark.slow
@pytest.mark.parametrize("attention", [True, False])
def test_it_exports_outside_no_grad(attention):
    model, x = tiny(steps=2, attention=attention), pictures()
    program = torch.export.export(model, (x,))
    out = program.module()(x)
    assert out[0].shape == (5,) and out[0].isfinite().all() and out[0].requires_grad


# -- the weights -------------------------------------------------------------------------------------------------------


def test_the_weights_reproduce_a_stored_figure():
    """In float64, so that the order of sums does not matter."""
    model = softattn.load("draw-mnist").double()
    x = binarise(embedded_digits(40, "test").floats(), g := seeded(7))
    with torch.no_grad():
        nats = model(x.double(), g).nll_bound.mean().item()
    assert nats == pytest.approx(STORED, abs=1e-3)


def test_the_weights_know_their_card():
    model = softattn.load("draw-mnist")
    card, steps = model.card, model.steps
    assert not card["non_commercial"] and card["config"]["steps"] == steps
    assert card["metric"]["value"] == card.get("test", card["valid"])["nats_per_image"] < 95
    assert len(card["stopped"]) == len(card["kl_by_step"]) == steps
    assert sum(card["kl_by_step"]) == pytest.approx(card["valid"]["kl"], rel=0.02)  # of 2,000 and of 10,000 images
    assert card["stopped"][-1] == pytest.approx(card["valid"]["nats_per_image"], rel=0.02)
    assert card["by_steps"][-1] == [steps, card["valid"]["nats_per_image"]]
    assert len(card["nearest"]["samples"]) == len(card["nearest"]["test"]) == 64
    if "test" in card:
        assert card["test"]["importance"]["nats_per_image"] < card["test"]["nats_per_image"]


@pytest.mark.data
def test_the_weights_reproduce_the_valid_figure_of_their_card():
    """Part of valid, the recipe's own draws; the test set is not looked at again."""
    from softattn.images import load_binarised

    model, images = softattn.load("draw-mnist"), load_binarised("valid")[:1000]
    generator, nats, kl = seeded(5), [], []
    with torch.no_grad():
        for i in range(0, 1000, 200):
            out = model(images.floats(slice(i, i + 200)), generator)
            nats.append(out.nll_bound)
            kl.append(out.kl.sum(0))
    nats, kl, card = torch.cat(nats), torch.cat(kl), model.card["valid"]
    assert nats.mean().item() == pytest.approx(card["nats_per_image"], abs=4 * nats.std().item() / 1000**0.5)
    assert kl.mean().item() == pytest.approx(card["kl"], abs=4 * kl.std().item() / 1000**0.5)


# -- the bench, and the demo -------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_bench_runs(root):
    """It compares bound and gradients with a plain port by itself, before it times anything."""
    command = [sys.executable, "-m", "bench.draw", "--quick", "--rounds", "3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, cwd=root)
    assert done.returncode == 0, done.stderr
    for words in ("bound and gradients agree", "training step", "memory of a step", "64 digits generated"):
        assert words in done.stdout


@pytest.mark.browser
def test_demo_steps_through_films():
    from playwright.sync_api import sync_playwright

    from softattn.pictures import demo_html

    g = torch.Generator().manual_seed(0)
    T, rows, columns = 6, 9, 7
    ink = torch.randint(256, (2, T, rows * columns), generator=g)
    boxes = 4 * torch.rand(2, T, 4, generator=g, dtype=torch.float64) + 1
    kl = 3 * torch.rand(T, generator=g, dtype=torch.float64)
    films = [
        dict(
            title="<b>one</b>", frames=ink[0].tolist(), write=boxes[0].tolist(), read=boxes[1].tolist(), kl=kl.tolist()
        ),
        dict(title="two", frames=ink[1, :3].tolist(), write=None, read=None, kl=None),
    ]
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=flags.split())
        page = browser.new_page(viewport={"width": 390, "height": 1200})
        page.set_content(demo_html("draw", films=films, rows=rows, columns=columns))
        demo = page.locator(".softattn-demo[data-demo=draw]").first
        page.wait_for_function("document.querySelector('.softattn-demo').dataset.numbers")

        def numbers():
            return json.loads(demo.get_attribute("data-numbers"))

        def check(step, film=0):
            n = numbers()
            assert (n["film"], n["step"], n["title"]) == (film, step, films[film]["title"])
            assert n["ink"] == pytest.approx(ink[film, step - 1].sum().item() / 255, abs=1e-9)
            if film == 0:
                assert n["kl"] == pytest.approx(kl[step - 1].item()) and n["kl_total"] == pytest.approx(kl.sum().item())
                assert n["kl_so_far"] == pytest.approx(kl[:step].sum().item())
                assert n["write"] == boxes[0, step - 1].tolist() and n["read"] == boxes[1, step - 1].tolist()
            else:
                assert [n[key] for key in ("kl", "kl_so_far", "kl_total", "write", "read")] == [None] * 5
            assert not n["playing"]

        check(T)  # it starts finished, and at rest
        assert demo.locator("b", has_text="one").count() == 0  # a title is text, not HTML
        slider = demo.locator("input[type=range]")
        slider.fill("2")
        check(2)
        slider.press("ArrowRight")
        check(3)
        back, on = (demo.locator(f"button[aria-label='{name} step']") for name in ("previous", "next"))
        back.focus()
        page.keyboard.press("Enter")
        check(2)
        on.focus()
        for step in (3, 4, 5, 6, 6):  # the last press does nothing, and the button keeps the focus
            page.keyboard.press("Enter")
            check(step)
        bars = demo.locator("svg")
        box = bars.bounding_box()
        page.mouse.click(box["x"] + box["width"] * 1.5 / T, box["y"] + box["height"] / 2)
        check(2)
        demo.locator("select").select_option("1")
        check(2, 1)
        levels = page.evaluate(  # the middles of the pixels, from the canvas itself
            """([rows, columns]) => {
              const c = document.querySelector(".softattn-demo canvas"), g = c.getContext("2d");
              const zoom = c.width / (columns + 4);
              const level = (y, x) => g.getImageData((x + 2.5) * zoom, (y + 2.5) * zoom, 1, 1).data[1];
              return Array.from({ length: rows * columns }, (_, p) => level(Math.floor(p / columns), p % columns));
            }""",
            [rows, columns],
        )
        assert levels == ink[1, 1].tolist()
        assert not bars.is_visible() and demo.get_by_text("writes here").is_hidden()
        demo.locator("select").select_option("0")
        check(2)

        demo.get_by_role("button", name="Play").click()
        assert numbers()["playing"] and demo.get_by_role("button", name="Stop").count() == 1
        page.wait_for_function("!JSON.parse(document.querySelector('.softattn-demo').dataset.numbers).playing")
        check(T)
        demo.get_by_role("button", name="Play").click()  # at the end: from the start
        assert numbers()["step"] < T
        demo.get_by_role("button", name="Stop").click()
        step = numbers()["step"]
        page.wait_for_timeout(500)
        check(step)
        slider.fill("1")
        page.emulate_media(reduced_motion="reduce")
        demo.get_by_role("button", name="Play").click()  # nothing moves: straight to the end
        check(T)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        browser.close()

"""Oracle tests of softattn.mixture: torch.distributions, quadrature, finite differences, Graves' closed forms."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import distributions as D

from softattn.mixture import LIMIT_FLOAT32, LIMIT_FLOAT64, StrokeMixture


def draw(n, M, seed=0, dtype=torch.float64, device="cpu", scale=1.0):
    """Random raw outputs (n, 6M + 1) and strokes (n, 3), drawn on the CPU."""
    g = torch.Generator().manual_seed(seed)
    raw = scale * torch.randn(n, 6 * M + 1, generator=g, dtype=torch.float64)
    stroke = 1.5 * torch.randn(n, 3, generator=g, dtype=torch.float64)
    stroke[:, 2] = (stroke[:, 2] > 0).double()
    return raw.to(device, dtype), stroke.to(device, dtype)


def oracle(raw, floor=(0.0, 0.0)):
    """The same mixture from torch.distributions: offsets, and the end bit."""
    M = (raw.shape[-1] - 1) // 6
    e_hat, pi_hat, mu_x, mu_y, sx, sy, rho_hat = raw.split([1] + 6 * [M], -1)
    sx, sy, rho = sx.exp(), sy.exp(), rho_hat.tanh()
    xx, yy, xy = sx**2 + floor[0] ** 2, sy**2 + floor[1] ** 2, rho * sx * sy
    covariance = torch.stack([torch.stack([xx, xy], -1), torch.stack([xy, yy], -1)], -2)
    normal = D.MultivariateNormal(torch.stack([mu_x, mu_y], -1), covariance_matrix=covariance, validate_args=False)
    offset = D.MixtureSameFamily(D.Categorical(logits=pi_hat), normal, validate_args=False)
    return offset, D.Bernoulli(logits=-e_hat[..., 0])


# -- against torch.distributions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("floor", [(0.0, 0.0), (0.0068, 0.0077), (0.5, 2.0)])
@pytest.mark.parametrize("M", [1, 4])
def test_equals_torch_distributions_in_float64(device, M, floor):
    raw, stroke = draw(10_000, M, device=device)
    offset, end = oracle(raw, floor)
    mixture = StrokeMixture(raw, floor)
    want_offset, want_end = offset.log_prob(stroke[:, :2]), end.log_prob(stroke[:, 2])
    close = dict(rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(mixture.log_prob_offset(stroke[:, :2]), want_offset, **close)
    torch.testing.assert_close(mixture.log_prob_end(stroke[:, 2]), want_end, **close)
    torch.testing.assert_close(mixture.log_prob(stroke), want_offset + want_end, **close)
    torch.testing.assert_close(mixture.density(stroke[:, :2]), want_offset.exp(), rtol=1e-9, atol=0)
    torch.testing.assert_close(mixture.mean(), torch.cat([offset.mean, end.mean[:, None]], 1), **close)
    torch.testing.assert_close(mixture.end, end.mean, **close)


@pytest.mark.parametrize("floor", [0.0, 0.0068])
def test_float32_within_1e_4_of_float64(device, floor):
    raw, stroke = draw(10_000, 20, device=device)
    want = StrokeMixture(raw, floor).log_prob(stroke)
    got = StrokeMixture(raw.float(), floor).log_prob(stroke.float())
    assert got.dtype == torch.float32
    assert ((got.double() - want).abs() / want.abs().clamp_min(1)).max() < 1e-4


@pytest.mark.parametrize("floor", [0.0, 0.3])
def test_gradient_equals_autograd_through_torch_distributions(device, floor):
    raw, stroke = draw(2_000, 3, seed=1, device=device)
    raw.requires_grad_()
    offset, end = oracle(raw, (floor, floor))
    (want,) = torch.autograd.grad((offset.log_prob(stroke[:, :2]) + 2 * end.log_prob(stroke[:, 2])).sum(), raw)
    mixture = StrokeMixture(raw, floor)
    got_loss = (mixture.log_prob(stroke) + mixture.log_prob_end(stroke[:, 2])).sum()
    (got,) = torch.autograd.grad(got_loss, raw)
    torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-9)
    single = raw.detach().float().requires_grad_()
    StrokeMixture(single, floor).log_prob(stroke.float()).sum().backward()
    plain = raw.detach().requires_grad_()
    StrokeMixture(plain, floor).log_prob(stroke).sum().backward()
    assert ((single.grad - plain.grad).abs() / plain.grad.abs().amax(1, keepdim=True)).max() < 1e-4


def test_each_row_has_its_own_gradient(device):
    raw, stroke = draw(7_001, 2, seed=2, device=device)
    raw.requires_grad_()
    whole = StrokeMixture(raw).log_prob(stroke)
    (gradient,) = torch.autograd.grad((whole * torch.arange(7_001, device=device)).sum(), raw)
    for i in (0, 3_499, 7_000):
        one = raw[i].detach().requires_grad_()
        value = StrokeMixture(one).log_prob(stroke[i])
        torch.testing.assert_close(whole[i], value)
        torch.testing.assert_close(gradient[i], torch.autograd.grad(i * value, one)[0])


# -- Graves' closed forms ----------------------------------------------------------------------------------------------


def test_order_of_the_raw_outputs_and_constraints():
    raw = torch.arange(13, dtype=torch.float64) / 10  # e^, 2 pi^, 2 mu_x, 2 mu_y, 2 sigma^_x, 2 sigma^_y, 2 rho^
    mixture = StrokeMixture(raw)
    assert mixture.components == 2
    assert mixture.mu.tolist() == [[0.3, 0.5], [0.4, 0.6]]
    torch.testing.assert_close(mixture.sigma, torch.tensor([[0.7, 0.9], [0.8, 1.0]], dtype=torch.float64).exp())
    torch.testing.assert_close(mixture.rho, torch.tensor([1.1, 1.2], dtype=torch.float64).tanh())
    torch.testing.assert_close(mixture.pi, torch.softmax(torch.tensor([0.1, 0.2], dtype=torch.float64), 0))


def test_a_large_e_hat_keeps_the_pen_down():
    raw = torch.zeros(7, dtype=torch.float64)
    raw[0] = 5
    assert StrokeMixture(raw).end.item() == pytest.approx(0.0066928509, abs=1e-10)  # eq. 18: sigmoid(-e^)


def test_gradient_of_the_loss_by_e_hat_is_x3_minus_e():
    raw, stroke = draw(50, 2, seed=3)
    raw.requires_grad_()
    mixture = StrokeMixture(raw)
    (-mixture.log_prob(stroke)).sum().backward()
    torch.testing.assert_close(raw.grad[:, 0], stroke[:, 2] - mixture.end.detach())  # eq. 27


def test_responsibilities_are_the_gradient():
    raw, stroke = draw(50, 3, seed=4)
    raw.requires_grad_()
    mixture = StrokeMixture(raw)
    mixture.log_prob(stroke).sum().backward()
    offset, _ = oracle(raw.detach())
    scores = offset.mixture_distribution.logits + offset.component_distribution.log_prob(stroke[:, None, :2])
    gamma = torch.softmax(scores, 1)
    torch.testing.assert_close(raw.grad[:, 1:4], gamma - mixture.pi.detach())  # eq. 30


@pytest.mark.parametrize("floor", [0.0, (0.2, 0.7), torch.tensor(0.5), torch.tensor([0.5, 1.5])])
def test_gradcheck(floor):
    raw, stroke = draw(6, 2, seed=5)
    raw.requires_grad_()
    stroke.requires_grad_()
    assert torch.autograd.gradcheck(lambda r: StrokeMixture(r, floor).log_prob(stroke.detach()), raw)
    assert torch.autograd.gradcheck(lambda r, s: StrokeMixture(r, floor).log_prob_offset(s[:, :2]), (raw, stroke))
    assert torch.autograd.gradcheck(lambda r: StrokeMixture(r, floor).density(stroke[:, :2].detach()), raw)
    assert torch.autograd.gradcheck(lambda r: StrokeMixture(r, floor).mean(), raw)


# -- a density ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("floor", [0.0, (0.1, 0.3)])
def test_integrates_to_one_on_a_grid_finer_than_sigma(device, floor):
    raw, _ = draw(5, 3, seed=6, device=device)
    raw[:, 7:] = raw[:, 7:].clamp(-1.2, 0.7)  # sigma from 0.30, |rho| to 0.83
    axis = torch.arange(-14, 14, 0.08, dtype=torch.float64, device=device)
    x, y = torch.meshgrid(axis, axis, indexing="xy")
    for row in raw:
        density = StrokeMixture(row, floor).density(torch.stack([x, y], -1))
        assert density.shape == x.shape
        assert abs(density.sum().item() * 0.08**2 - 1) < 1e-6


def test_floor_is_added_to_the_covariance_of_each_axis():
    raw = torch.zeros(7, dtype=torch.float64)
    wide = D.MultivariateNormal(torch.zeros(2).double(), torch.diag(torch.tensor([1 + 4.0, 1 + 9.0]).double()))
    xy = torch.tensor([0.7, -0.4], dtype=torch.float64)
    for floor in ((2, 3), (2.0, 3.0), [2.0, 3.0], torch.tensor([2.0, 3.0])):
        torch.testing.assert_close(StrokeMixture(raw, floor).log_prob_offset(xy), wide.log_prob(xy))


def test_floor_keeps_its_precision_in_float64():
    raw = torch.full((7,), -50.0, dtype=torch.float64)
    raw[2:4] = 0
    raw[6] = 0
    peak = StrokeMixture(raw, 0.1).density(torch.zeros(2, dtype=torch.float64)).item()
    assert peak == pytest.approx(1 / (2 * math.pi * 0.01), rel=1e-12)


def test_unit_shifts_every_model_alike():
    raw, stroke = draw(100, 2, seed=7)
    inch = raw.clone()
    inch[:, 3:7] /= 25.4
    inch[:, 7:11] -= math.log(25.4)
    small = stroke / torch.tensor([25.4, 25.4, 1.0], dtype=torch.float64)
    shift = StrokeMixture(inch).log_prob(small) - StrokeMixture(raw).log_prob(stroke)
    torch.testing.assert_close(shift, torch.full_like(shift, 2 * math.log(25.4)))


# -- extremes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "reach"), [(torch.float64, 50.0), (torch.float32, 12.0)])
def test_finite_at_the_promised_extremes(device, dtype, reach):
    g = torch.Generator().manual_seed(8)
    raw = (torch.randint(-1, 2, (60_000, 13), generator=g) * reach).to(device, dtype).requires_grad_()
    stroke = (torch.randint(-1, 2, (60_000, 3), generator=g) * 1000.0).to(device, dtype)
    stroke[:, 2] = (stroke[:, 2] > 0).to(dtype)
    for floor in (1e-3, (1e-3, 1.0), 100.0):
        mixture = StrokeMixture(raw, floor)
        value = mixture.log_prob(stroke)
        (gradient,) = torch.autograd.grad(value.sum(), raw)
        assert value.isfinite().all()
        assert gradient.isfinite().all()
        assert mixture.sample(bias=1.0, generator=g).isfinite().all()


@settings(max_examples=100, deadline=None)
@given(
    raw=st.lists(st.floats(-50, 50), min_size=7, max_size=7),
    xy=st.tuples(st.floats(-1000, 1000), st.floats(-1000, 1000)),
    end=st.sampled_from([0.0, 1.0]),
    floor=st.floats(1e-3, 10),
)
def test_any_promised_setting_is_finite_and_right(raw, xy, end, floor):
    import mpmath

    raw = torch.tensor(raw, dtype=torch.float64, requires_grad=True)
    value = StrokeMixture(raw, floor).log_prob(torch.tensor([*xy, end], dtype=torch.float64))
    (gradient,) = torch.autograd.grad(value, raw)
    assert value.isfinite() and gradient.isfinite().all()
    with mpmath.workdps(120):  # one component, with 120 digits
        e_hat, _, mx, my, sx, sy, rh = (mpmath.mpf(v) for v in raw.tolist())
        sx, sy, rho, f2 = mpmath.exp(sx), mpmath.exp(sy), mpmath.tanh(rh), mpmath.mpf(floor) ** 2
        xx, yy, cross = sx**2 + f2, sy**2 + f2, rho * sx * sy
        det = xx * yy - cross**2
        dx, dy = mpmath.mpf(xy[0]) - mx, mpmath.mpf(xy[1]) - my
        quad = (yy * dx**2 - 2 * cross * dx * dy + xx * dy**2) / det
        bit = mpmath.log(1 / (1 + mpmath.exp(e_hat if end else -e_hat)))
        want = -mpmath.log(2 * mpmath.pi) - mpmath.log(det) / 2 - quad / 2 + bit
    assert value.item() == pytest.approx(float(want), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(("dtype", "limit"), [(torch.float32, LIMIT_FLOAT32), (torch.float64, LIMIT_FLOAT64)])
def test_beyond_the_limit_the_edge_holds_and_calls_back(dtype, limit):
    edge = torch.zeros(7, dtype=dtype)
    edge[4] = limit
    beyond = edge.clone()
    beyond[4] = 5 * limit
    stroke = torch.tensor([1.0, 1.0, 0.0], dtype=dtype)
    a, b = edge.requires_grad_(), beyond.requires_grad_()
    va, vb = StrokeMixture(a, 0.1).log_prob(stroke), StrokeMixture(b, 0.1).log_prob(stroke)
    va.backward()
    vb.backward()
    assert va == vb
    torch.testing.assert_close(a.grad, b.grad, rtol=0, atol=0)
    assert b.grad[4] < -0.9  # ascent on the log density makes the runaway sigma smaller
    assert StrokeMixture(b).sigma.isfinite().all()


def test_a_correlation_of_one_in_float32_keeps_its_precision():
    raw = torch.zeros(7)
    raw[6] = 10.0  # tanh(10) is 1 in float32
    xy = torch.tensor([0.5, 0.5])
    want = StrokeMixture(raw.double()).log_prob_offset(xy.double())
    assert StrokeMixture(raw).log_prob_offset(xy).item() == pytest.approx(want.item(), rel=1e-5)


def test_a_surprise_of_many_nats_still_pulls():
    raw = torch.zeros(7, requires_grad=True)
    value = StrokeMixture(raw).log_prob_offset(torch.tensor([40.0, 0.0]))
    value.backward()
    assert value < -800 and raw.grad[2] == 40.0


def test_end_bit_keeps_its_precision_at_both_ends():
    e_hat = torch.tensor([50.0, -50.0], dtype=torch.float64)
    mixture = StrokeMixture(torch.cat([e_hat[:, None], torch.zeros(2, 6).double()], 1))
    likely = mixture.log_prob_end(torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(likely, torch.full((2,), -math.exp(-50), dtype=torch.float64), rtol=1e-10, atol=0)
    torch.testing.assert_close(mixture.log_prob_end(torch.tensor([1.0, 0.0])), torch.full((2,), -50.0).double())


# -- samples -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bias", [0.0, 1.0])
@pytest.mark.parametrize("floor", [0.0, (0.4, 0.8)])
def test_sample_moments_within_five_standard_errors(device, floor, bias):
    n = 40_000
    row = torch.tensor([0.5, 0.3, -0.4, 1.0, -1.5, 0.5, -0.7, -0.5, 0.1, 0.2, -0.6, 1.2, -0.5], dtype=torch.float64)
    shown = StrokeMixture(row.to(device).expand(n, 13), floor).sample(bias, torch.Generator().manual_seed(9)).cpu()
    used = row.clone()
    used[1:3] *= 1 + bias  # eq. 62
    used[7:11] -= bias  # eq. 61
    offset, end = oracle(used, (floor, floor) if isinstance(floor, float) else floor)
    pi, part = offset.mixture_distribution.probs, offset.component_distribution
    mean = (pi[:, None] * part.mean).sum(0)
    second = (pi[:, None, None] * (part.covariance_matrix + part.mean[:, :, None] * part.mean[:, None, :])).sum(0)
    for got, want in [
        (shown[:, 0], mean[0]),
        (shown[:, 1], mean[1]),
        (shown[:, 0] ** 2, second[0, 0]),
        (shown[:, 1] ** 2, second[1, 1]),
        (shown[:, 0] * shown[:, 1], second[0, 1]),
        (shown[:, 2], end.mean),
    ]:
        assert abs(got.mean() - want) < 5 * got.std() / math.sqrt(n)


def test_samples_fill_the_density_by_one_chi_square(device):
    n, row = 40_000, draw(1, 3, seed=10)[0][0].clamp(-1, 1)
    shown = StrokeMixture(row.to(device).expand(n, 19)).sample(generator=torch.Generator().manual_seed(11)).cpu()
    edges, fine = torch.linspace(-3, 3, 13, dtype=torch.float64), 20
    centres = (torch.arange(12 * fine) + 0.5) / (2 * fine) - 3
    x, y = torch.meshgrid(centres.double(), centres.double(), indexing="ij")
    mass = torch.exp(oracle(row)[0].log_prob(torch.stack([x, y], -1))) / (2 * fine) ** 2
    mass = mass.unflatten(0, (12, fine)).unflatten(2, (12, fine)).sum((1, 3)).flatten()
    cell = torch.bucketize(shown[:, 0].contiguous(), edges) - 1, torch.bucketize(shown[:, 1].contiguous(), edges) - 1
    inside = (shown[:, :2].abs() < 3).all(1)
    counts = torch.bincount((cell[0] * 12 + cell[1])[inside], minlength=144).double()
    keep = mass * n > 10
    rest = torch.stack([n - counts[keep].sum(), n * (1 - mass[keep].sum())])
    chi = ((counts[keep] - n * mass[keep]) ** 2 / (n * mass[keep])).sum() + (rest[0] - rest[1]) ** 2 / rest[1]
    freedom = int(keep.sum())
    assert freedom > 30
    assert abs(chi - freedom) < 5 * math.sqrt(2 * freedom)


def test_bias_is_sharp_in_the_limit_and_may_differ_by_row():
    raw, _ = draw(2, 2, seed=12)
    raw[:, 1:3] = torch.tensor([0.0, 1.0])
    rows = raw.repeat(200, 1, 1)
    bias = torch.tensor([0.0, 50.0])
    shown = StrokeMixture(rows).sample(bias=bias, generator=torch.Generator().manual_seed(13))
    torch.testing.assert_close(shown[:, 1, :2], rows[:, 1, [4, 6]], rtol=0, atol=1e-12)
    assert shown[:, 0, 0].std() > 0.1


def test_same_seed_same_points_and_the_generator_moves_on(device):
    raw, _ = draw(20, 4, seed=14, dtype=torch.float32)
    g = torch.Generator().manual_seed(15)
    here, then = StrokeMixture(raw).sample(generator=g), StrokeMixture(raw).sample(generator=g)
    there = StrokeMixture(raw.to(device)).sample(generator=torch.Generator().manual_seed(15))
    torch.testing.assert_close(there.cpu(), here, rtol=1e-5, atol=1e-5)
    assert there.device.type == device.type and not torch.equal(here, then)
    torch.manual_seed(16)
    a = StrokeMixture(raw).sample()
    torch.manual_seed(16)
    assert torch.equal(a, StrokeMixture(raw).sample())


def test_a_component_of_no_weight_is_never_drawn():
    raw = torch.zeros(5_000, 13)
    raw[:, 1], raw[:, 3], raw[:, 4] = -200.0, 1000.0, -1000.0
    assert (StrokeMixture(raw).sample(generator=torch.Generator().manual_seed(17))[:, 0] < 0).all()


# -- shapes, types, devices, errors ------------------------------------------------------------------------------------


def test_a_uniform_number_of_zero_passes_over_a_component_of_no_weight():
    raw = torch.zeros(1, 13)
    raw[0, 1], raw[0, 3], raw[0, 4] = -1e4, -5.0, 5.0  # all of the weight on the second, at x = 5
    assert StrokeMixture(raw).sample(noise=torch.zeros(1, 4))[0, 0] == 5.0


@pytest.mark.parametrize("lead", [(), (1,), (0,), (4, 3), (2, 1, 3)])
@pytest.mark.parametrize("M", [1, 20])
def test_shapes(device, lead, M):
    raw = torch.randn(*lead, 6 * M + 1, device=device, requires_grad=True)
    stroke = torch.zeros(*lead, 3, device=device)
    mixture = StrokeMixture(raw, 0.1)
    assert mixture.log_prob(stroke).shape == mixture.end.shape == mixture.density(stroke[..., :2]).shape == lead
    assert mixture.sample().shape == mixture.mean().shape == (*lead, 3)
    assert mixture.pi.shape == mixture.rho.shape == (*lead, M)
    assert mixture.mu.shape == mixture.sigma.shape == (*lead, M, 2)
    mixture.log_prob(stroke).sum().backward()
    assert raw.grad.shape == raw.shape


def test_broadcasting_sums_the_gradient():
    raw, stroke = draw(4, 2, seed=18)
    raw.requires_grad_()
    grid = stroke[:3, None, :2]
    assert StrokeMixture(raw).log_prob_offset(grid).shape == (3, 4)
    (together,) = torch.autograd.grad(StrokeMixture(raw).log_prob_offset(grid).sum(), raw)
    apart = sum(torch.autograd.grad(StrokeMixture(raw).log_prob_offset(xy.expand(4, 2)).sum(), raw)[0] for xy in grid)
    torch.testing.assert_close(together, apart)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_worked_on_as_float32(dtype):
    raw, stroke = draw(30, 2, seed=19, dtype=dtype)
    raw.requires_grad_()
    value = StrokeMixture(raw, 0.01).log_prob(stroke)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, StrokeMixture(raw.float(), 0.01).log_prob(stroke.float()))
    value.sum().backward()
    assert raw.grad.dtype == dtype and raw.grad.isfinite().all()


def test_under_autocast_like_outside():
    raw, stroke = draw(30, 2, seed=20, dtype=torch.float32)
    want = StrokeMixture(raw).log_prob(stroke)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(StrokeMixture(raw).log_prob(stroke), want)


@pytest.mark.parametrize("floor", [0.0, (0.1, 0.2), torch.tensor(0.1)])
def test_runs_on_the_meta_device(floor):
    raw = torch.empty(4, 5, 121, device="meta", requires_grad=True)
    mixture = StrokeMixture(raw, floor)
    stroke = torch.empty(4, 5, 3, device="meta")
    (
        mixture.log_prob(stroke) + mixture.log_prob_end(stroke[..., 2]) + mixture.density(stroke[..., :2])
    ).sum().backward()
    assert raw.grad.device.type == mixture.sample(bias=0.5).device.type == mixture.mean().device.type == "meta"


def test_inputs_are_left_as_they_are():
    raw, stroke = draw(10, 2, seed=21, scale=40.0)
    before = raw.clone(), stroke.clone()
    StrokeMixture(raw, 0.1).log_prob(stroke)
    StrokeMixture(raw, 0.1).sample()
    assert torch.equal(raw, before[0]) and torch.equal(stroke, before[1])


def test_backward_twice_gives_the_same():
    raw, stroke = draw(10, 2, seed=22)
    raw.requires_grad_()
    value = StrokeMixture(raw, 0.1).log_prob(stroke).sum()
    first = torch.autograd.grad(value, raw, retain_graph=True)[0]
    assert torch.equal(first, torch.autograd.grad(value, raw)[0])


@pytest.mark.parametrize("shape", [(), (1,), (6,), (4, 120), (122,), (3, 0)])
def test_last_dimension_must_be_6m_plus_1(shape):
    with pytest.raises(ValueError, match=r"must be 6M \+ 1 .*, got \d+ in shape .*give the network's last layer"):
        StrokeMixture(torch.zeros(shape))


def test_raw_must_be_floating_point():
    with pytest.raises(ValueError, match=r"floating point tensor, got torch.int64; call .float"):
        StrokeMixture(torch.zeros(7, dtype=torch.int64))


@pytest.mark.parametrize("raw", [None, 1.0, [0.0] * 7, np.zeros(7)])
def test_raw_must_be_a_tensor(raw):
    with pytest.raises(ValueError, match=r"StrokeMixture: raw must be a floating point tensor, got \w+; call .float"):
        StrokeMixture(raw)


WRONG_FLOORS = [-0.1, (0.1, -0.2), (0.1,), (), (0.1, 0.2, 0.3), math.nan, math.inf, 1e300, True, "0.1", None, 1j]
WRONG_FLOORS += [[0.1, [0.2]], np.zeros(3), np.array([0.1, -0.1]), torch.tensor(-1.0), torch.tensor([0.1, math.nan])]
WRONG_FLOORS += [torch.zeros(3), torch.zeros(1), torch.tensor([[0.1, 0.2]]), torch.tensor(True), {"x": 1}]


@pytest.mark.parametrize("floor", WRONG_FLOORS, ids=str)
def test_floor_must_be_one_or_two_numbers_from_zero(floor):
    with pytest.raises(ValueError, match=r"^StrokeMixture: floor must be a number from 0 to 1e15 or a pair of them"):
        StrokeMixture(torch.zeros(7), floor)


@pytest.mark.parametrize("floor", [0.25, np.float32(0.25), np.float64(0.25), np.array(0.25), torch.tensor(0.25)])
def test_numbers_of_every_kind_are_floors(floor):
    want = StrokeMixture(torch.zeros(7), 0.25).floor
    assert torch.equal(StrokeMixture(torch.zeros(7), floor).floor, want)
    for one, two in ((1, 2), (np.int64(1), np.float32(2))):
        for pair in ((one, two), [one, two], np.array([one, two]), torch.tensor([1, 2])):
            assert StrokeMixture(torch.zeros(7), pair).floor.tolist() == [1, 2]


def test_strokes_and_offsets_must_fit():
    mixture = StrokeMixture(torch.zeros(5, 7))
    for call, points, words in (
        (mixture.log_prob, torch.zeros(5, 2), r"strokes \(dx, dy, end\) of shape \(5, 2\) .* and the last 3"),
        (mixture.log_prob, torch.zeros(4, 3), r"of shape \(4, 3\) do not fit raw outputs of shape \(5, 7\)"),
        (mixture.log_prob, torch.zeros(()), "strokes"),
        (mixture.density, torch.zeros(5, 3), r"offsets \(dx, dy\) of shape \(5, 3\) .* and the last 2"),
        (mixture.log_prob_offset, torch.zeros(()), "offsets"),
        (mixture.log_prob_end, torch.zeros(4), r"end bits of shape \(4,\) do not fit"),
    ):
        with pytest.raises(ValueError, match=f"^StrokeMixture: .*{words}"):
            call(points)
    for call in (mixture.log_prob, mixture.log_prob_offset, mixture.density, mixture.log_prob_end):
        with pytest.raises(TypeError, match=r"StrokeMixture: .* must be a tensor.*, got list"):
            call([[0.0, 0.0, 0.0]])
    assert mixture.log_prob_end(1).shape == (5,), "a number is a tensor without dimensions"


def test_integer_strokes_are_promoted():
    raw, _ = draw(5, 2, seed=24)
    whole = torch.tensor([[1, -2, 1]] * 5)
    want = StrokeMixture(raw).log_prob(whole.double())
    assert torch.equal(StrokeMixture(raw).log_prob(whole), want)
    assert torch.equal(StrokeMixture(raw).log_prob_end(whole[:, 2]), StrokeMixture(raw).log_prob_end(whole[:, 2] * 1.0))


@pytest.mark.parametrize("column", range(7))
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_nothing_is_drawn_from_nan_or_infinity(column, value):
    raw = torch.zeros(3, 7)
    raw[1, column] = value
    if (column, value) == (0, math.inf):  # e = sigmoid(-inf) = 0: a pen that never lifts
        assert (StrokeMixture(raw).sample()[1, 2] == 0).all()
        return
    with pytest.raises(ValueError, match=r"^StrokeMixture.sample: raw, bias or noise hold NaN or infinite numbers"):
        StrokeMixture(raw).sample()


def test_bias_noise_and_generator_must_fit():
    mixture = StrokeMixture(torch.zeros(5, 7))
    for bias in (math.nan, math.inf, 1e300, torch.tensor(math.nan)):
        with pytest.raises(ValueError, match=r"^StrokeMixture.sample: raw, bias or noise hold NaN"):
            mixture.sample(bias)
    for bias in (torch.zeros(4), torch.zeros(2, 5)):
        with pytest.raises(ValueError, match=r"^StrokeMixture: bias of shape"):
            mixture.sample(bias)
    for noise in (torch.zeros(5, 3), torch.zeros(4, 4), torch.zeros(2, 5, 4)):
        with pytest.raises(ValueError, match=r"^StrokeMixture: noise of shape"):
            mixture.sample(noise=noise)
    for bias in ("1", None, [0.0]):
        with pytest.raises(TypeError, match=r"^StrokeMixture: bias must be a tensor or a number, got \w+"):
            mixture.sample(bias)
    with pytest.raises(TypeError, match=r"^StrokeMixture.sample: generator = 7; give torch.Generator"):
        mixture.sample(generator=7)
    assert torch.equal(
        mixture.sample(np.float32(0.5), noise=torch.full((5, 4), 0.5))[0],
        mixture.sample(torch.full((5,), 0.5), noise=torch.full((5, 4), 0.5))[0],
    )


# -- transforms of PyTorch ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("floor", [0.0, (0.2, 0.7), torch.tensor([0.2, 0.7])])
def test_under_grad_vmap_and_jacobians(floor):
    raw, stroke = draw(6, 2, seed=25)
    raw[0] = 0.0  # where a formula with |rho^| has a kink

    def nats(r, s):
        return StrokeMixture(r, floor).log_prob(s)

    leaf = raw.clone().requires_grad_()
    want_value = nats(leaf, stroke)
    (want,) = torch.autograd.grad(want_value.sum(), leaf)
    close = dict(rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(torch.func.grad(lambda r: nats(r, stroke).sum())(raw), want, **close)
    torch.testing.assert_close(torch.func.vmap(nats)(raw, stroke), want_value, **close)
    torch.testing.assert_close(torch.func.vmap(torch.func.grad(nats))(raw, stroke), want, **close)
    for jacobian in (torch.func.jacrev, torch.func.jacfwd):
        torch.testing.assert_close(torch.func.vmap(jacobian(nats))(raw, stroke), want, **close)
    ahead = [torch.func.jacrev(torch.func.grad(nats)), torch.func.hessian(nats)]
    by_hand = torch.stack(
        [torch.autograd.functional.hessian(lambda r, s=s: nats(r, s), r) for r, s in zip(raw, stroke, strict=True)]
    )
    for second in ahead:
        torch.testing.assert_close(torch.func.vmap(second)(raw, stroke), by_hand, **close)
    noise = torch.rand(6, 4, dtype=torch.float64)
    drawn = torch.func.vmap(lambda r, n: StrokeMixture(r, floor).sample(0.5, noise=n))(raw, noise)
    torch.testing.assert_close(drawn, StrokeMixture(raw, floor).sample(0.5, noise=noise), **close)


@pytest.mark.parametrize("floor", [0.0, (0.2, 0.7)])
def test_twice_backward_equals_finite_differences(floor):
    raw, stroke = draw(4, 2, seed=26)
    raw[0] = 0.0
    raw.requires_grad_()
    stroke.requires_grad_()
    assert torch.autograd.gradgradcheck(lambda r: StrokeMixture(r, floor).log_prob(stroke.detach()), raw)
    assert torch.autograd.gradgradcheck(lambda r, s: StrokeMixture(r, floor).log_prob_offset(s[:, :2]), (raw, stroke))


def test_a_subclass_with_another_formula_is_honoured():
    class Wider(StrokeMixture):
        @property
        def sigma(self):
            return 2 * super().sigma

    raw, stroke = draw(5, 2, seed=27)
    wide = raw.clone()
    wide[:, 7:11] += math.log(2)
    torch.testing.assert_close(Wider(raw).log_prob(stroke), StrokeMixture(wide).log_prob(stroke))


@pytest.mark.skipif(torch.__version__.startswith("2.6."), reason="PyTorch 2.6: its torch.export cannot read this")
def test_exports_and_compiles_in_principle():
    class Score(torch.nn.Module):
        def forward(self, raw, stroke):
            return StrokeMixture(raw, 0.1).log_prob(stroke)

    raw, stroke = draw(5, 2, seed=28)
    program = torch.export.export(Score(), (raw, stroke))
    torch.testing.assert_close(program.module()(raw, stroke), StrokeMixture(raw, 0.1).log_prob(stroke))


# -- the demo computes the same ----------------------------------------------------------------------------------------


@pytest.mark.browser
def test_demo_computes_the_same_numbers():
    sync_api = pytest.importorskip("playwright.sync_api")
    import shutil

    from softattn.pictures import demo_html

    g = torch.Generator().manual_seed(23)
    points = torch.randn(20, 2, generator=g, dtype=torch.float64)
    state = dict(pi=0.35, mu=[[0.6, 0.5], [-0.7, 0.4]], sigma=[[0.4, 0.2], [0.3, 0.5]], rho=[0.5, -0.3])
    html = demo_html("mixture", points=points, bias=0.0, unit="mm", **state)

    def numbers(page):
        return json.loads(page.locator(".softattn-demo").first.get_attribute("data-numbers"))

    def raw_of(pi, mu, sigma, rho):
        mu, sigma = torch.tensor(mu).double().reshape(-1, 2), torch.tensor(sigma).double().reshape(-1, 2)
        parts = [torch.tensor([20.0]), torch.tensor(pi).log(), mu.T.flatten(), sigma.log().T.flatten()]
        return torch.cat([p.double() for p in parts] + [torch.tensor(rho).double().atanh().reshape(-1)])

    def agree(seen, bias):
        used = raw_of(seen["pi"], seen["mu"], seen["sigma"], seen["rho"])
        scale = torch.tensor(seen["scale"], dtype=torch.float64)
        want = StrokeMixture(used).log_prob_offset(points) + scale.log().sum()
        torch.testing.assert_close(torch.tensor(seen["log_density"]).double(), want, rtol=1e-5, atol=1e-5)
        assert seen["nats"] == pytest.approx(want.sum().item(), abs=1e-4)
        best = torch.distributions.MultivariateNormal(points.mean(0), torch.cov(points.T, correction=0))
        assert seen["nats_one"] == pytest.approx((best.log_prob(points) + scale.log().sum()).sum().item(), abs=1e-4)
        ladder = [1 if u >= seen["pi"][0] else 0 for u, _, _ in seen["noise"]]
        for j, (_, n1, n2), (x, y) in zip(ladder, seen["noise"], seen["samples"], strict=True):
            (mx, my), (sx, sy), rho = seen["mu"][j], seen["sigma"][j], seen["rho"][j]
            assert x == pytest.approx(mx + sx * n1) and y == pytest.approx(
                my + sy * (rho * n1 + math.sqrt(1 - rho**2) * n2)
            )
        return want.sum().item()

    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    with sync_api.sync_playwright() as p:
        path = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = p.chromium.launch(executable_path=path, args=flags.split())
        page = browser.new_page(viewport={"width": 390, "height": 900})
        page.set_content(html)
        page.wait_for_selector(".softattn-demo[data-state=live]")
        first = numbers(page)
        assert first["pi"] == pytest.approx([0.35, 0.65]) and first["mu"] == state["mu"]
        agree(first, 0.0)
        gap = first["nats"] - first["nats_one"]
        page.locator("select").first.select_option("inch")
        inch = numbers(page)
        agree(inch, 0.0)
        assert inch["nats"] - first["nats"] == pytest.approx(20 * 2 * math.log(25.4))
        assert inch["nats"] - inch["nats_one"] == pytest.approx(gap)
        page.locator("select").nth(1).select_option("B")
        for k in range(7):
            page.locator("input[type=range]").nth(k).focus()
            page.keyboard.press("ArrowRight")
        moved = numbers(page)
        agree(moved, 0.1)
        assert moved["mu"][0] == state["mu"][0] and moved["mu"][1] == pytest.approx([-0.65, 0.45])
        assert moved["bias"] == pytest.approx(0.1)
        assert moved["sigma"][1] == pytest.approx([0.31 * math.exp(-0.1), 0.51 * math.exp(-0.1)])  # eq. 61
        assert moved["pi"][0] == pytest.approx(0.36**1.1 / (0.36**1.1 + 0.64**1.1))  # eq. 62
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        browser.close()


def test_complex_points_are_refused():
    """Their imaginary part would be dropped without a word."""
    with pytest.raises(TypeError, match="must be a tensor, got torch.complex64"):
        StrokeMixture(torch.zeros(7)).log_prob(torch.zeros(3, dtype=torch.complex64))


def test_a_floor_may_be_large_and_not_larger():
    raw = torch.zeros(1, 7, dtype=torch.float64)
    assert StrokeMixture(raw, 1e15).floor.tolist() == [1e15, 1e15]
    with pytest.raises(ValueError, match="from 0 to 1e15"):
        StrokeMixture(raw, 1.5e15)

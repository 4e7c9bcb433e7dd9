"""The soft window: oracles first, then the recurrence, properties, errors, number formats, the demo."""

import json
import math
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from softattn import window as chapter
from softattn.lstm import PeepholeLSTM
from softattn.window import (
    BLIND,
    LIMIT,
    SoftWindow,
    WindowLSTM,
    WindowOutput,
    WindowState,
    alignment_curve,
    alignment_share,
    delayed,
    symbol_copies,
    window_place,
)

T, B, I, H, A, K, U, N = 9, 3, 4, 7, 5, 3, 6, 5


def randn(*shape, dtype=torch.float64, device="cpu", grad=False):
    return torch.randn(*shape).to(device, dtype).requires_grad_(grad)


def random_window(hidden=H, components=K, dtype=torch.float64, device="cpu"):
    window = SoftWindow(hidden, components, pace=0.7)
    with torch.no_grad():
        window.weight.add_(0.3 * torch.randn_like(window.weight))
        window.bias.add_(0.3 * torch.randn_like(window.bias))
    return window.to(device, dtype)


def random_lstm(dtype=torch.float64, device="cpu", peephole=True):
    lstm = WindowLSTM(I, H, A, K, peephole=peephole, pace=0.7)
    with torch.no_grad():
        for weight in lstm.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    return lstm.to(device, dtype)


both_ways = pytest.mark.parametrize("fused", [False, True])


def some_mask(device="cpu"):
    return (torch.arange(U) < torch.tensor([6, 4, 3, 5, 1])[:, None]).to(device)


def double_loop(window, h, kappa, chars, mask=None):
    """Graves' eq. 46-51 in NumPy, number by number; shares no line with the module."""
    weight, bias = window.weight.detach().cpu().numpy(), window.bias.detach().cpu().numpy()
    h, kappa, chars = (x.detach().cpu().numpy() for x in (h, kappa, chars))
    rows, components = kappa.shape
    w, phi, moved = np.zeros((rows, chars.shape[2])), np.zeros(chars.shape[:2]), np.zeros_like(kappa)
    for b in range(rows):
        for k in range(components):
            hats = [bias[part * components + k] for part in range(3)]
            for part in range(3):
                for j in range(h.shape[1]):
                    hats[part] += h[b, j] * weight[j, part * components + k]
            alpha, beta, step = (math.exp(min(hat, LIMIT)) for hat in hats)
            moved[b, k] = kappa[b, k] + step
            for u in range(1, chars.shape[1] + 1):
                if mask is None or mask[b, u - 1]:
                    phi[b, u - 1] += alpha * math.exp(-beta * (moved[b, k] - u) ** 2)
        for u in range(chars.shape[1]):
            for a in range(chars.shape[2]):
                w[b, a] += phi[b, u] * chars[b, u, a]
    return w, phi, moved


def plain_recurrence(lstm, x, chars, mask=None, state=None, reset=None, rows=None):
    """The LSTM's equations and the window's, step by step, with autograd."""
    window, batch = lstm.window, x.shape[1]
    h, c, kappa, w = lstm.start(batch) if state is None else state
    p = lstm.peephole if lstm.peephole is not None else x.new_zeros(3, lstm.hidden_size)
    kept = []
    for t, x_t in enumerate(x.unbind()):
        if reset is not None:
            h, c, kappa, w = (torch.where(reset[t, :, None], torch.zeros_like(v), v) for v in (h, c, kappa, w))
        text = chars if rows is None else chars[rows[t]]
        here = None if mask is None else (mask if rows is None else mask[rows[t]])
        z = x_t @ lstm.weight_x + h @ lstm.weight_h + w @ lstm.weight_w + lstm.bias
        i, f, g, o = z.split(lstm.hidden_size, 1)
        i, f = torch.sigmoid(i + p[0] * c), torch.sigmoid(f + p[1] * c)
        c = f * c + i * torch.tanh(g)
        h = torch.sigmoid(o + p[2] * c) * torch.tanh(c)
        hats = h @ window.weight + window.bias
        alpha, beta, step = hats.exp().split(window.components, 1)
        kappa = kappa + step
        phi = torch.zeros_like(text[..., 0])
        for k in range(window.components):
            places = torch.arange(1, text.shape[1] + 1, dtype=x.dtype, device=x.device)
            phi = phi + alpha[:, k, None] * torch.exp(-beta[:, k, None] * (kappa[:, k, None] - places) ** 2)
        if here is not None:
            phi = phi * here
        w = (phi[..., None] * text).sum(1)
        kept.append((h, w, phi, kappa))
    return *(torch.stack(values) for values in zip(*kept, strict=True)), h, c, kappa, w


def flat(read):
    return read.h, read.w, read.phi, read.kappa, *read.state


def gradients(outputs, inputs, seed=3):
    generator = torch.Generator().manual_seed(seed)
    total = sum((o * torch.randn(o.shape, generator=generator).to(o)).sum() for o in outputs)
    return torch.autograd.grad(total, inputs, allow_unused=True)


def assert_close(mine, theirs, share):
    for k, (a, b) in enumerate(zip(mine, theirs, strict=True)):
        assert a.shape == b.shape
        assert (a - b).abs().max() <= share * max(1e-30, b.abs().max()), k


# -- the window: oracles --


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-10), (torch.float32, 1e-6)])
def test_equals_the_double_loop(device, dtype, close, masked):
    window = random_window(dtype=dtype, device=device)
    h, kappa, chars = (randn(*s, dtype=dtype, device=device) for s in ((4, H), (4, K), (4, U, A)))
    mask = some_mask(device)[:4] if masked else None
    got = window(h, kappa.abs(), chars, mask)
    for mine, theirs in zip(got, double_loop(window, h, kappa.abs(), chars, mask), strict=True):
        assert np.abs(mine.detach().cpu().numpy() - theirs).max() <= close * max(1, np.abs(theirs).max())


def test_places_are_counted_from_one_and_the_place_starts_before_the_text():
    window = SoftWindow(1, 1, pace=1.0).double()
    chars = torch.eye(4, dtype=torch.float64)[None]
    w, phi, kappa = window(torch.zeros(1, 1).double(), torch.zeros(1, 1).double(), chars)
    assert torch.allclose(kappa, torch.ones(1, 1).double()) and phi.argmax() == 0
    assert torch.allclose(w, phi)  # one-hot letters: w is phi


def test_starts_at_its_pace_with_importance_shared():
    window = SoftWindow(6, 4, pace=0.25).double()
    alpha, beta, kappa = window.params(torch.zeros(2, 6).double(), torch.zeros(2, 4).double())
    assert torch.allclose(alpha.sum(1), torch.ones(2).double()) and torch.allclose(beta, torch.full_like(beta, 0.3))
    assert torch.allclose(kappa.log().mean(1).exp(), torch.full((2,), 0.25).double())
    assert len(set(kappa[0].tolist())) == 4  # no two bells are equal
    assert SoftWindow(6, 1).bias[2].exp().item() == pytest.approx(1 / 21.7)
    assert window.weight[:, 8:].std() < 0.2 * window.weight[:, :8].std()


def test_gradient_of_the_window():
    window = random_window(3, 2)
    names = [name for name, _ in window.named_parameters()]
    mask = some_mask()[:2]

    def run(h, kappa, chars, *weights):
        return torch.func.functional_call(window, dict(zip(names, weights, strict=True)), (h, kappa, chars, mask))

    inputs = randn(2, 3, grad=True), randn(2, 2, grad=True), randn(2, U, A, grad=True), *window.parameters()
    assert torch.autograd.gradcheck(run, inputs)


def test_phi_at_any_place_and_for_each_row_its_own(device):
    window = random_window(device=device)
    h, kappa, chars = randn(3, H, device=device), randn(3, K, device=device).abs(), randn(3, U, A, device=device)
    _, phi, _ = window(h, kappa, chars)
    values = window.params(h, kappa)
    u = torch.arange(1, U + 1, dtype=torch.float64, device=device)
    assert torch.allclose(window.phi(*values, u), phi)
    lengths = torch.tensor([2, 5, 6], device=device)
    beyond = window.phi(*values, (lengths + 1)[:, None])
    assert beyond.shape == (3, 1)
    for b in range(3):
        alone = window.phi(*(v[b : b + 1] for v in values), lengths[b : b + 1] + 1)
        assert torch.allclose(beyond[b], alone[0])
    assert torch.allclose(beyond[:2, 0], phi[[0, 1], [2, 5]])  # where the place is a letter of the batch, it is phi
    between = window.phi(*values, torch.tensor([1.5, 100.25], device=device))
    assert between.shape == (3, 2) and torch.isfinite(between).all()


def test_held_outputs_stay_finite_and_are_called_back():
    window = SoftWindow(1, 2).double()
    with torch.no_grad():
        window.bias.fill_(LIMIT + 5)
    alpha, beta, kappa = window.params(torch.zeros(1, 1).double(), torch.zeros(1, 2).double())
    for value in (alpha, beta, kappa):
        assert torch.allclose(value, torch.full_like(value, math.exp(LIMIT)))
    (grad,) = torch.autograd.grad(alpha.sum(), window.bias)
    assert torch.allclose(grad[:2], torch.full((2,), math.exp(LIMIT)).double()) and (grad[2:] == 0).all()


@pytest.mark.parametrize("raw", [1e3, 1e9, 1e30])
def test_outputs_far_beyond_the_limit_are_held_in_float32(raw):
    window, zero = SoftWindow(1, 1), torch.zeros(1, 1)
    with torch.no_grad():
        window.bias.fill_(raw)
    values = window.params(zero, zero)
    assert all(value.item() == pytest.approx(math.exp(LIMIT), rel=1e-5) for value in values)
    (grad,) = torch.autograd.grad(values[2].sum(), window.bias)
    assert grad[2].item() == pytest.approx(math.exp(LIMIT), rel=1e-5)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(1, 8),
    st.sampled_from([0.0, 1.0, 30.0]),
    st.sampled_from([0, 1e4]),
)
def test_properties_of_phi(rows, components, length, scale, away):
    torch.manual_seed(rows + 10 * components + 100 * length)
    window = random_window(5, components)
    kappa = torch.full((rows, components), float(away), dtype=torch.float64)
    w, phi, moved = window(scale * randn(rows, 5), kappa, randn(rows, length, 2))
    alpha, _, _ = window.params(torch.zeros(rows, 5).double(), kappa)
    assert phi.shape == (rows, length) and w.shape == (rows, 2) and moved.shape == kappa.shape
    assert all(torch.isfinite(v).all() for v in (w, phi, moved))
    assert (phi >= 0).all() and (moved >= kappa).all()
    if not away:
        assert (moved > kappa).all()
    assert (alpha > 0).all()


def test_a_bells_weights_add_up_to_its_area():
    window = SoftWindow(1, 1)
    for alpha, beta in ((1.0, 0.5), (3.0, 0.1), (0.2, 2.0)):
        values = (torch.tensor([[v]], dtype=torch.float64) for v in (alpha, beta, 50.3))
        total = window.phi(*values, torch.arange(1, 101, dtype=torch.float64)).sum().item()
        assert total == pytest.approx(alpha * math.sqrt(math.pi / beta), rel=0.02)


@settings(max_examples=40, deadline=None)
@given(st.floats(0.02, 0.7), st.floats(0.05, 4.0), st.integers(1, 12))
def test_a_bell_wider_than_its_steps_passes_over_every_letter_in_order(step, beta, length):
    window = SoftWindow(1, 1)
    kappa = step * torch.arange(1, math.ceil((length + 1) / step) + 1, dtype=torch.float64)[:, None]
    ones, u = torch.ones_like(kappa), torch.arange(1, length + 1, dtype=torch.float64)
    phi = window.phi(ones, beta * ones, kappa, u)  # (T, U)
    passed = phi.max(0)
    assert (passed.values >= math.exp(-beta * (step / 2 + 1e-9) ** 2)).all()
    assert (passed.indices[1:] > passed.indices[:-1]).all()


def test_padding_is_not_seen():
    window = random_window()
    h, kappa, chars = randn(2, H), randn(2, K).abs(), randn(2, U, A)
    mask = torch.arange(U) < torch.tensor([[3], [U]])
    w, phi, _ = window(h, kappa, chars, mask)
    alone = window(h[:1], kappa[:1], chars[:1, :3])
    assert torch.allclose(w[0], alone[0][0]) and torch.allclose(phi[0, :3], alone[1][0]) and (phi[0, 3:] == 0).all()


# -- inside the recurrence: oracles --


@pytest.mark.parametrize("peephole", [True, False])
@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("packed", [False, True])
@both_ways
def test_equals_the_plain_recurrence(device, peephole, reset, packed, fused):
    lstm = random_lstm(device=device, peephole=peephole)
    x = randn(T, B, I, device=device, grad=True)
    chars = randn(N if packed else B, U, A, device=device, grad=True)
    mask = some_mask(device)[: len(chars)]
    rows = torch.randint(N, (T, B)).to(device) if packed else None
    if packed:
        rows[1] = rows[0]  # steps at which no text changes share one copy
    flags = (torch.rand(T, B) < 0.2).to(device) if reset else None
    state = WindowState(*(randn(B, n, device=device).abs().requires_grad_() for n in (H, H, K, A)))
    mine = flat(lstm(x, chars, mask, state, flags, rows, fused))
    theirs = plain_recurrence(lstm, x, chars, mask, state, flags, rows)
    assert_close(mine, theirs, 1e-10)
    inputs = [x, chars, *state, *lstm.parameters()]
    assert_close(gradients(mine, inputs), gradients(theirs, inputs), 1e-10)


@pytest.mark.parametrize("pick", range(8))
@both_ways
def test_gradient_when_one_output_alone_is_used(pick, fused):
    lstm, x, chars = random_lstm(), randn(T, B, I, grad=True), randn(B, U, A, grad=True)
    inputs = [x, chars, *lstm.parameters()]
    outputs = flat(lstm(x, chars, fused=fused)), plain_recurrence(lstm, x, chars)
    for one, other, weight in zip(*(gradients([out[pick]], inputs) for out in outputs), inputs, strict=True):
        a, b = (torch.zeros_like(weight) if v is None else v for v in (one, other))
        assert (a - b).abs().max() <= 1e-10 * max(1.0, b.abs().max())


@both_ways
def test_equals_the_window_layer_step_by_step(device, fused):
    lstm = random_lstm(device=device)
    x, chars = randn(T, B, I, device=device), randn(B, U, A, device=device)
    read, kappa = lstm(x, chars, fused=fused), x.new_zeros(B, K)
    for t in range(T):
        w, phi, kappa = lstm.window(read.h[t], kappa, chars)
        for mine, theirs in ((read.w[t], w), (read.phi[t], phi), (read.kappa[t], kappa)):
            assert torch.allclose(mine, theirs, atol=1e-12)


@both_ways
def test_float32_against_float64(device, fused):
    lstm = random_lstm(device=device)
    x, chars = randn(T, B, I, device=device, grad=True), randn(B, U, A, device=device, grad=True)
    exact = flat(lstm(x, chars, fused=fused))
    exact_grad = gradients(exact, [x, chars, *lstm.parameters()])
    lstm = lstm.float()
    x, chars = (v.detach().float().requires_grad_() for v in (x, chars))
    single = flat(lstm(x, chars, fused=fused))
    single_grad = gradients(single, [x, chars, *lstm.parameters()])
    assert_close([v.double() for v in single], exact, 3e-6)
    assert_close([v.double() for v in single_grad], exact_grad, 1e-4)


@both_ways
def test_gradcheck_with_state_reset_rows_and_mask(fused):
    lstm = WindowLSTM(2, 3, 2, 2, pace=0.7).double()
    with torch.no_grad():
        for weight in lstm.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    names = [name for name, _ in lstm.named_parameters()]
    reset = torch.tensor([[0, 1], [0, 0], [1, 0], [0, 0]], dtype=torch.bool)
    rows = torch.tensor([[0, 1], [0, 1], [2, 1], [2, 1]])
    mask = torch.tensor([[1, 1, 0], [1, 1, 1], [1, 0, 0]], dtype=torch.bool)

    def run(x, chars, h, c, kappa, w, *weights):
        values = dict(zip(names, weights, strict=True))
        read = torch.func.functional_call(lstm, values, (x, chars, mask, (h, c, kappa, w), reset, rows, fused))
        return read.h, read.w, read.phi, read.kappa, *read.state

    inputs = [randn(*s, grad=True) for s in ((4, 2, 2), (3, 3, 2), (2, 3), (2, 3), (2, 2), (2, 2))]
    assert torch.autograd.gradcheck(run, (*inputs, *lstm.parameters()))


@both_ways
def test_weights_of_the_window_at_zero_leave_a_peephole_lstm(device, fused):
    lstm = random_lstm(device=device)
    with torch.no_grad():
        lstm.weight_w.zero_()
    plain = PeepholeLSTM(I, H).to(device, torch.float64)
    plain.load_state_dict({name: value for name, value in lstm.state_dict().items() if name in plain.state_dict()})
    x, chars = randn(T, B, I, device=device, grad=True), randn(B, U, A, device=device)
    read, (hs, (h, c)) = lstm(x, chars, fused=fused), plain(x)
    assert_close((read.h, read.state.h, read.state.c), (hs, h, c), 1e-12)
    weights = ("weight_x", "weight_h", "bias", "peephole")
    mine = gradients([read.h], [x, *(getattr(lstm, name) for name in weights)])
    assert_close(mine, gradients([hs], [x, *(getattr(plain, name) for name in weights)]), 1e-10)


@both_ways
def test_chunks_give_the_whole(fused):
    lstm, x, chars = random_lstm(), randn(T, B, I), randn(B, U, A)
    whole, state, parts = lstm(x, chars, fused=fused), None, []
    for piece in x.split([1, 3, 5]):
        read = lstm(piece, chars, state=state, fused=fused)
        state = read.state
        parts.append(read)
    for name in ("h", "w", "phi", "kappa"):
        assert torch.allclose(torch.cat([getattr(p, name) for p in parts]), getattr(whole, name), atol=1e-12)
    for one, other in zip(state, whole.state, strict=True):
        assert torch.allclose(one, other, atol=1e-12)


@both_ways
def test_lines_in_one_row_are_lines_by_themselves(fused):
    lstm, x, chars = random_lstm(), randn(T, 1, I, grad=True), randn(2, U, A, grad=True)
    rows = torch.tensor([0] * 4 + [1] * 5)[:, None]
    reset = torch.zeros(T, 1, dtype=torch.bool)
    reset[4] = True
    packed = lstm(x, chars, reset=reset, rows=rows, fused=fused)
    first, second = lstm(x[:4], chars[:1]), lstm(x[4:], chars[1:])
    for name in ("h", "w", "phi", "kappa"):
        assert torch.allclose(getattr(packed, name), torch.cat([getattr(first, name), getattr(second, name)]))
    inputs = [x, chars, *lstm.parameters()]
    mine = torch.autograd.grad(packed.w.square().sum(), inputs)
    theirs = torch.autograd.grad(first.w.square().sum() + second.w.square().sum(), inputs)
    assert_close(mine, theirs, 1e-10)


@both_ways
def test_reset_at_the_first_step_ignores_a_state_of_nan(fused):
    lstm, x, chars = random_lstm(), randn(T, B, I), randn(B, U, A)
    reset = torch.zeros(T, B, dtype=torch.bool)
    reset[0] = True
    bad = WindowState(*(torch.full((B, n), math.nan, dtype=torch.float64) for n in (H, H, K, A)))
    assert torch.equal(lstm(x, chars, state=bad, reset=reset, fused=fused).w, lstm(x, chars, fused=fused).w)


@both_ways
@pytest.mark.parametrize("hidden", [7.0, math.nan])
def test_what_is_masked_has_no_influence_and_no_gradient(fused, hidden):
    lstm, x = random_lstm(), randn(T, B, I)
    mask = some_mask()[:B]
    chars = randn(B, U, A, grad=True)
    other = torch.where(mask[..., None], chars.detach(), torch.full_like(chars, hidden))
    read = lstm(x, chars, mask, fused=fused)
    assert torch.equal(read.w, lstm(x, other, mask, fused=fused).w)
    assert (read.phi[:, ~mask] == 0).all() and (read.phi[:, mask] > 0).any()
    (grad,) = torch.autograd.grad(read.w.sum() + read.phi.sum(), chars)
    assert (grad[~mask] == 0).all() and (grad[mask] != 0).all()


def test_places_only_grow_and_weights_stay_bounded():
    lstm = random_lstm(dtype=torch.float32)
    read = lstm(10 * randn(200, B, I, dtype=torch.float32), randn(B, U, A, dtype=torch.float32))
    assert (read.kappa[1:] >= read.kappa[:-1]).all() and (read.kappa[0] > 0).all()
    assert all(torch.isfinite(v).all() for v in flat(read)) and (read.phi >= 0).all()


@both_ways
def test_a_window_that_ran_off_has_finite_gradients(fused):
    lstm = WindowLSTM(I, H, A, K, pace=50.0)
    x, chars = randn(40, B, I, dtype=torch.float32, grad=True), randn(B, U, A, dtype=torch.float32, grad=True)
    read = lstm(x, chars, fused=fused)
    assert read.phi[5:].max() < 1e-20 and read.w[5:].abs().max() < 1e-20
    grads = torch.autograd.grad(read.w.sum() + read.h.sum(), [x, chars, *lstm.parameters()])
    assert all(torch.isfinite(g).all() for g in grads)


@both_ways
def test_inputs_that_are_not_contiguous(fused):
    lstm, x, chars = random_lstm(), randn(B, T, I).transpose(0, 1), randn(A, U, B).permute(2, 1, 0)
    got = lstm(x, chars, fused=fused)
    want = lstm(x.contiguous(), chars.contiguous(), fused=not fused)
    assert torch.allclose(got.w, want.w) and torch.allclose(got.h, want.h)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.integers(1, 4))
def test_small_shapes(steps, batch, inputs, hidden, components, length):
    torch.manual_seed(steps + 7 * batch + 31 * inputs + 101 * hidden + 1009 * components)
    lstm = WindowLSTM(inputs, hidden, 2, components, pace=0.7).double()
    x, chars = randn(steps, batch, inputs, grad=True), randn(batch, length, 2, grad=True)
    read, want = lstm(x, chars, fused=True), plain_recurrence(lstm, x, chars)
    assert_close(flat(lstm(x, chars, fused=False)), want, 1e-10)
    assert read.h.shape == (steps, batch, hidden) and read.phi.shape == (steps, batch, length)
    assert_close(flat(read), want, 1e-10)
    mine, theirs = gradients([read.h, read.w], [x, chars]), gradients(want[:2], [x, chars])
    for a, b in zip(mine, theirs, strict=True):
        assert (a - b).abs().max() <= 1e-9 * max(1.0, b.abs().max())


# -- number formats --


@both_ways
def test_autocast_keeps_place_and_weights_in_float32(device, fused):
    lstm = random_lstm(dtype=torch.float32, device=device)
    x, chars = (randn(*s, dtype=torch.float32, device=device, grad=True) for s in ((T, B, I), (B, U, A)))
    want = lstm(x, chars)
    want_grad = torch.autograd.grad(want.w.square().mean() + want.h.square().mean(), [x, chars, *lstm.parameters()])
    with torch.autocast(device.type, torch.bfloat16):
        read = lstm(x, chars, fused=fused)
    if fused:
        assert read.h.dtype == read.w.dtype == torch.bfloat16
    assert read.kappa.dtype == read.phi.dtype == read.state.c.dtype == torch.float32
    for mine, theirs in zip(flat(read), flat(want), strict=True):
        assert (mine.float() - theirs).abs().max() <= 0.05 * max(1.0, theirs.abs().max())
    loss = read.w.float().square().mean() + read.h.float().square().mean()
    grads = torch.autograd.grad(loss, [x, chars, *lstm.parameters()])
    for mine, theirs in zip(grads, want_grad, strict=True):
        assert mine.dtype == torch.float32
        assert (mine - theirs).norm() <= 0.1 * theirs.norm()


@both_ways
def test_the_place_passes_sixteen_under_autocast(fused):
    lstm = WindowLSTM(1, 2, 2, 1, pace=1 / 21.7)
    with torch.no_grad():
        lstm.window.weight.zero_()
    with torch.autocast("cpu", torch.bfloat16):
        read = lstm(torch.zeros(1000, 1, 1), torch.ones(1, 3, 2), fused=fused)
        state = lstm(torch.zeros(1, 1, 1), torch.ones(1, 3, 2), state=read.state, fused=fused).state
    assert read.kappa[-1].item() == pytest.approx(1000 / 21.7, abs=0.01)
    assert state.kappa.dtype == torch.float32 and state.kappa.item() == pytest.approx(1001 / 21.7, abs=0.01)


def test_state_can_be_handed_on_under_autocast():
    lstm, x, chars = (
        random_lstm(torch.float32),
        randn(T, B, I, dtype=torch.float32),
        randn(B, U, A, dtype=torch.float32),
    )
    with torch.autocast("cpu", torch.bfloat16):
        first = lstm(x[:4], chars)
        second = lstm(x[4:], chars, state=first.state)
        whole = lstm(x, chars)
    assert (torch.cat([first.kappa, second.kappa]) - whole.kappa).abs().max() < 1e-5


# -- the copying task --


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 6), st.integers(1, 7), st.integers(0, 100))
def test_symbol_copies(batch, symbols, length, longest, seed):
    text, beat, target, place = symbol_copies(batch, torch.Generator().manual_seed(seed), symbols, length, longest)
    steps = length * (1 + longest) // 2
    assert text.shape == (batch, length) and beat.shape == (steps, batch, 1) and target.shape == place.shape
    assert place.shape == (steps, batch) and text.max() < symbols
    for b in range(batch):
        at, run = 0, 0
        for t in range(steps):
            if t and beat[t, b, 0] == 1:
                at, run = at + 1, 0
            run += 1
            assert place[t, b] == at and target[t, b] == text[b, at]
            assert run <= longest or at == length - 1
    assert (beat[0] == 0).all() and ((beat == 0) | (beat == 1)).all()


def test_symbol_copies_uses_every_number_of_copies_and_is_seeded():
    draw = lambda seed: symbol_copies(300, torch.Generator().manual_seed(seed), longest=4)
    assert torch.equal(draw(1)[0], draw(1)[0]) and not torch.equal(draw(1)[0], draw(2)[0])
    place = draw(1)[3]
    runs = [(place[:, b] == 0).sum().item() for b in range(300)]
    counts = np.bincount(runs, minlength=5)[1:]
    assert ((counts - 75) ** 2 / 75).sum() < 27  # chi-square with 3 degrees of freedom: one in 200,000


# -- alignment --


def brute_curve(phi, truth, which, lags):
    shares = []
    for lag in lags:
        right = total = 0
        for t in range(len(truth)):
            for b in range(truth.shape[1]):
                s = t + lag
                if not 0 <= s < len(truth) or truth[s, b] < 0 or (which is not None and not which[s, b]):
                    continue
                total += 1
                weights = phi[t, b].tolist()
                right += sum(weights) > BLIND and weights.index(max(weights)) == truth[s, b]
        shares.append(float(right) / total if total else math.nan)
    return shares


def brute_share(phi, truth, which, lag):
    right = total = 0
    for t in range(len(truth)):
        for b in range(truth.shape[1]):
            s = t + lag
            if 0 <= s < len(truth) and truth[s, b] >= 0 and (which is None or which[s, b]):
                weights = phi[t, b].tolist()
                total += 1
                if sum(weights) > BLIND:
                    place = sum(w * u for u, w in enumerate(weights, start=1)) / sum(weights)
                    right += abs(place - (int(truth[s, b]) + 1)) <= 1
    return float(right) / total


def test_alignment_equals_a_count_by_hand():
    truth = torch.randint(-1, U, (20, B))
    phi = torch.rand(20, B, U, dtype=torch.float64) ** 8
    phi[3:6] = 0
    lags = (-10, -3, -1, 0, 1, 4, 10)
    for which in (None, delayed(truth), ~delayed(truth)):
        assert alignment_curve(phi, truth, which, lags).tolist() == pytest.approx(brute_curve(phi, truth, which, lags))
        for lag in lags:
            assert alignment_share(phi, truth, which, lag) == pytest.approx(brute_share(phi, truth, which, lag))


@pytest.mark.parametrize("lead", [-4, 0, 3])
def test_the_curve_peaks_where_the_window_leads(lead):
    truth = torch.arange(U).repeat_interleave(6)[:, None]
    where = torch.arange(len(truth)) + lead
    phi = nn.functional.one_hot(truth[where.clamp(0, len(truth) - 1)], U).double()
    curve = alignment_curve(phi, truth)
    assert curve.shape == (21,) and curve.argmax() == 10 + lead and curve.max() == 1
    assert alignment_share(phi, truth, lag=lead) == 1


def test_delayed_points():
    truth = torch.tensor([[0, 2], [1, 2], [0, 1], [2, 2], [-1, 3], [1, -1]])
    assert delayed(truth).tolist() == [[False] * 2, [False] * 2, [True, True], [False] * 2, [False] * 2, [True, False]]


def test_place_of_the_window():
    phi = torch.tensor([[0.0, 2.0, 2.0], [0.0, 0.0, 0.0], [1e-14, 1e-14, 1e-14], [0.0, 0.0, 0.5]])
    assert torch.equal(window_place(phi).nan_to_num(-1), torch.tensor([2.5, -1.0, -1.0, 3.0]))
    truth = torch.tensor([[0]])
    assert alignment_curve(torch.zeros(1, 1, 3), truth, lags=[0]).item() == 0  # blind: argmax is 0, but it is wrong
    assert alignment_share(torch.zeros(1, 1, 3), truth) == 0


def test_no_point_counts():
    assert math.isnan(alignment_share(torch.ones(4, 1, 2), torch.full((4, 1), -1)))
    assert alignment_curve(torch.ones(4, 1, 2), torch.full((4, 1), -1), lags=[0]).isnan().all()


# -- a piece of one's own is honoured --


class Peaked(SoftWindow):
    def phi(self, alpha, beta, kappa, u):
        return (alpha[..., None] * torch.exp(-beta[..., None] * (kappa[..., None] - u[..., None, :]).abs())).sum(-2)


def with_window(lstm, kind):
    new = kind(lstm.hidden_size, lstm.window.components).to(lstm.bias.dtype)
    new.load_state_dict(lstm.window.state_dict())
    lstm.window = new
    return lstm


def test_an_overridden_phi_is_honoured():
    lstm, x, chars = random_lstm(), randn(T, B, I), randn(B, U, A)
    before = lstm(x, chars)
    with_window(lstm, Peaked)
    after = lstm(x, chars)
    assert (after.phi - before.phi).abs().max() > 0.01
    kappa = x.new_zeros(B, K)
    for t in range(T):
        w, phi, kappa = lstm.window(after.h[t], kappa, chars)
        assert torch.allclose(after.w[t], w) and torch.allclose(after.phi[t], phi)
    with pytest.raises(ValueError, match="fused=True, but its part window has a phi of its own"):
        lstm(x, chars, fused=True)


@pytest.mark.parametrize("name", ["phi", "params"])
def test_a_method_that_is_replaced_on_the_window_itself_is_honoured(name):
    lstm, x, chars = random_lstm(), randn(T, B, I), randn(B, U, A)
    before, plain = lstm(x, chars).phi, getattr(lstm.window, name)
    calls = []
    setattr(lstm.window, name, lambda *args: calls.append(1) or plain(*args))
    assert torch.allclose(lstm(x, chars).phi, before) and len(calls) == T


def test_a_hook_on_the_window_is_called_and_may_change_what_is_seen():
    lstm, x, chars = random_lstm(), randn(T, B, I), randn(B, U, A)
    before = lstm(x, chars)
    hook = lstm.window.register_forward_hook(lambda window, given, out: (0 * out[0], *out[1:]))
    blind = lstm(x, chars)
    assert (blind.w == 0).all() and (blind.h[2] != before.h[2]).any()
    torch.testing.assert_close(blind.phi[0], before.phi[0], rtol=1e-12, atol=0)  # plain now, fused before
    hook.remove()
    assert torch.equal(lstm(x, chars).h, before.h)


def test_a_hook_on_the_layer_leaves_it_fused_and_is_called():
    lstm, x, chars = random_lstm(), randn(T, B, I), randn(B, U, A)
    seen = []
    lstm.register_forward_hook(lambda module, given, out: seen.append(out.h))
    assert torch.equal(lstm(x, chars, fused=True).h, seen[0])


def test_a_subclass_with_a_forward_of_its_own_or_other_gates_is_honoured():
    class Twice(SoftWindow):
        def forward(self, h, kappa, chars, mask=None):
            w, phi, kappa = super().forward(h, kappa, chars, mask)
            return 2 * w, phi, kappa

    class Leaky(WindowLSTM):
        def gates(self, z, c):
            h, c = super().gates(z, c)
            return 0.5 * h, c

    lstm, x, chars = random_lstm(), randn(T, B, I), randn(B, U, A)
    before = lstm(x, chars)
    leaky = Leaky(I, H, A, K).double()
    leaky.load_state_dict(lstm.state_dict())
    assert torch.allclose(leaky(x, chars).h[0], 0.5 * before.h[0])
    after = with_window(lstm, Twice)(x, chars)
    assert torch.allclose(after.w[0], 2 * before.w[0])


def test_a_subclass_that_changes_nothing_stays_fused():
    class Named(SoftWindow):
        note = "mine"

    lstm, x, chars = random_lstm(), randn(T, B, I), randn(B, U, A)
    want = lstm(x, chars).w
    assert torch.equal(with_window(lstm, Named)(x, chars, fused=True).w, want)


# -- number formats, transforms --


@both_ways
@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool, torch.float16, torch.float64])
def test_inputs_are_promoted_to_the_weights(fused, dtype):
    lstm = random_lstm(dtype=torch.float32)
    x, chars = torch.randint(2, (T, B, I)).to(dtype), torch.randint(2, (B, U, A)).to(dtype)
    read = lstm(x, chars, fused=fused)
    assert torch.equal(read.w, lstm(x.float(), chars.float(), fused=fused).w) and read.w.dtype == torch.float32
    window, zeros = lstm.window, torch.zeros(B, K, dtype=dtype)
    w, phi, kappa = window(torch.ones(B, H, dtype=dtype), zeros, chars)
    want = window(torch.ones(B, H), torch.zeros(B, K), chars.float())
    assert all(torch.allclose(a.float(), b) for a, b in zip((w, phi, kappa), want, strict=True))
    assert window.weight.dtype == torch.float32 and kappa.dtype == torch.promote_types(dtype, torch.float32)


@both_ways
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_model_in_half_precision_keeps_its_place_in_float32(fused, dtype):
    lstm = random_lstm(dtype=torch.float32)
    x, chars = randn(T, B, I, dtype=torch.float32), randn(B, U, A, dtype=torch.float32)
    want = lstm(x, chars)
    read = lstm.to(dtype)(x.to(dtype), chars.to(dtype), fused=fused)
    assert read.h.dtype == read.w.dtype == dtype
    assert read.kappa.dtype == read.phi.dtype == read.state.kappa.dtype == read.state.c.dtype == torch.float32
    assert (read.kappa - want.kappa).abs().max() < 0.05 * want.kappa.max()
    again = lstm(x, chars, state=read.state, fused=fused)
    assert again.kappa.dtype == torch.float32


def test_bfloat16_cannot_stop_a_window():
    window, kappa = SoftWindow(1, 1), torch.full((1, 1), 16.0, dtype=torch.bfloat16)
    moved = window(torch.zeros(1, 1), kappa, torch.ones(1, 3, 2))[2]
    assert moved.dtype == torch.float32 and moved.item() == pytest.approx(16 + 1 / 21.7)


@pytest.mark.skipif(torch.__version__.startswith("2.6."), reason="PyTorch 2.6: its torch.export cannot read this")
def test_exported_outside_no_grad():
    lstm = random_lstm(dtype=torch.float32)
    x, chars = randn(4, B, I, dtype=torch.float32), randn(B, U, A, dtype=torch.float32)
    program = torch.export.export(lstm, (x, chars, some_mask()[:B]))
    out = program.module()(x, chars, some_mask()[:B])
    for mine, want in zip(flat(WindowOutput(*out)), flat(lstm(x, chars, some_mask()[:B])), strict=True):
        assert torch.allclose(mine, want, atol=1e-6)


def test_transforms_look_inside():
    lstm, x, chars = random_lstm(), randn(4, B, I), randn(B, U, A)
    (want,) = torch.autograd.grad(lstm(x.requires_grad_(), chars).phi.sum(), x)
    assert torch.allclose(torch.func.grad(lambda x: lstm(x, chars).phi.sum())(x.detach()), want)
    many = torch.func.vmap(lambda x: lstm(x, chars).w)(torch.stack([x.detach(), 2 * x.detach()]))
    assert torch.allclose(many[1], lstm(2 * x, chars).w)


def test_public_names():
    assert set(chapter.__all__) == {"SoftWindow", "WindowLSTM", "WindowOutput", "WindowState"}


# -- errors --


@pytest.mark.parametrize("size", [0, -2, True, 2.0, "3", None, math.nan])
def test_sizes_must_be_whole_and_positive(size):
    words, wrong = "expected a whole number from 1 to 65,536", (TypeError, ValueError)
    with pytest.raises(wrong, match=rf"SoftWindow: hidden_size is .*, {words}"):
        SoftWindow(size, 1)
    with pytest.raises(wrong, match=rf"SoftWindow: components is .*, {words}"):
        SoftWindow(1, size)
    with pytest.raises(wrong, match=rf"WindowLSTM: alphabet is .*, {words}"):
        WindowLSTM(2, 3, size, 1)
    assert SoftWindow(np.int64(3), np.int32(2)).weight.shape == (3, 6)


@pytest.mark.parametrize("pace", [0.0, -1.0, math.nan, math.inf, "0.1", True, None])
def test_pace_must_be_positive(pace):
    for build in (lambda: SoftWindow(3, 2, pace), lambda: WindowLSTM(1, 3, 2, 2, pace=pace)):
        with pytest.raises((TypeError, ValueError), match=r"(SoftWindow|WindowLSTM): pace is .*, expected a?"):
            build()
    assert SoftWindow(3, 2, np.float32(0.5)).bias.isfinite().all()


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        (((2, 4), (2, K), (2, U, A)), r"h is torch.float32 of shape \(2, 4\), expected real numbers .*\(B, H = 7\)"),
        (((H,), (2, K), (2, U, A)), r"h is torch.float32 of shape \(7,\), expected"),
        (((0, H), (0, K), (0, U, A)), r"h is torch.float32 of shape \(0, 7\), expected .*none 0"),
        (((2, H), (2, K + 1), (2, U, A)), r"kappa is torch.float32 of shape \(2, 4\), expected .*\(B = 2, K = 3\)"),
        (((2, H), (1, K), (2, U, A)), r"kappa is torch.float32 of shape \(1, 3\)"),
        (((2, H), (2, K), (3, U, A)), r"chars is torch.float32 of shape \(3, 6, 5\), expected .*\(B = 2, U, A\)"),
        (((2, H), (2, K), (2, 0, A)), r"chars is torch.float32 of shape \(2, 0, 5\)"),
        (((2, H), (2, K), (2, U)), r"chars is torch.float32 of shape \(2, 6\)"),
    ],
)  # fmt: skip
def test_shapes_of_the_window(shapes, words):
    with pytest.raises(ValueError, match=f"SoftWindow: {words}"):
        SoftWindow(H, K)(*(torch.zeros(shape) for shape in shapes))


@pytest.mark.parametrize(
    "value", [None, [[0.0]], np.zeros((2, H)), "text", 3, torch.zeros(2, H, dtype=torch.complex64)]
)
def test_wrong_types_say_what_came(value):
    with pytest.raises(ValueError, match=r"SoftWindow: h is .*, expected real numbers of shape \(B, H = 7\)"):
        SoftWindow(H, K)(value, torch.zeros(2, K), torch.zeros(2, U, A))
    with pytest.raises(ValueError, match=r"WindowLSTM: x is .*, expected real numbers of shape \(T, B, I = 4\)"):
        WindowLSTM(I, H, A, K)(value, torch.zeros(2, U, A))
    if value is not None:
        for name in ("mask", "state", "reset", "rows"):
            with pytest.raises(ValueError, match=f"WindowLSTM: {name} .*, expected"):
                WindowLSTM(I, H, A, K)(torch.zeros(T, 2, I), torch.zeros(2, U, A), **{name: value})


@pytest.mark.parametrize("mask", [torch.ones(2, U), torch.ones(2, U - 1).bool(), torch.ones(U).bool()])
def test_the_mask_must_fit(mask):
    words = rf"mask is torch\.\w+ of shape \([\d, ]+\), expected torch.bool of shape \(\w = 2, U = {U}\)"
    with pytest.raises(ValueError, match=f"SoftWindow: {words}"):
        SoftWindow(H, K)(torch.zeros(2, H), torch.zeros(2, K), torch.zeros(2, U, A), mask)
    with pytest.raises(ValueError, match=f"WindowLSTM: {words}"):
        WindowLSTM(I, H, A, K)(torch.zeros(T, 2, I), torch.zeros(2, U, A), mask)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (dict(x=torch.zeros(T, B)), r"x is torch.float32 of shape \(9, 3\), expected .*\(T, B, I = 4\)"),
        (dict(x=torch.zeros(T, B, I + 1)), r"x is torch.float32 of shape \(9, 3, 5\)"),
        (dict(x=torch.zeros(0, B, I)), r"x is torch.float32 of shape \(0, 3, 4\), .*none 0"),
        (dict(chars=torch.zeros(B + 1, U, A)), r"chars is torch.float32 of shape \(4, 6, 5\), expected .*\(N = 3, U, "),
        (dict(chars=torch.zeros(B, U, A + 1)), r"chars is .* \(3, 6, 6\), expected .*A = 5\)"),
        (dict(reset=torch.zeros(T, B)), r"reset is torch.float32 of shape \(9, 3\), expected torch.bool of"),
        (dict(reset=torch.zeros(T, 1).bool()), r"reset is torch.bool of shape \(9, 1\)"),
        (dict(rows=torch.zeros(T, B)), r"rows is torch.float32 of shape \(9, 3\), expected torch.int64 of shape \(T"),
        (dict(rows=torch.full((T, B), -1)), r"rows holds -1 to -1, expected texts 0 to 2"),
        (dict(rows=torch.full((T, B), 3)), r"rows holds 3 to 3, expected texts 0 to 2"),
        (dict(state=tuple(torch.zeros(1, n) for n in (H, H, K, A))), r"state h is torch.float32 of shape \(1, 7\)"),
        (dict(state=(torch.zeros(B, H),) * 2), r"state is tuple, expected four, \(h, c, kappa, w\)"),
        (dict(state=7), r"state is int, expected four, \(h, c, kappa, w\)"),
    ],
)
@both_ways
def test_shapes_of_the_recurrence(changes, words, fused):
    given = dict(x=torch.zeros(T, B, I), chars=torch.zeros(B, U, A)) | changes
    with pytest.raises(ValueError, match=f"WindowLSTM: {words}"):
        WindowLSTM(I, H, A, K)(**given, fused=fused)


def test_a_state_with_a_wrong_place_or_view():
    lstm = WindowLSTM(I, H, A, K)
    for name, n in (("kappa", K), ("w", A)):
        state = lstm.start(B)._replace(**{name: torch.zeros(B, n + 1)})
        with pytest.raises(
            ValueError, match=rf"WindowLSTM: state {name} is .*\(3, {n + 1}\), expected .*{name} = {n}\)"
        ):
            lstm(torch.zeros(T, B, I), torch.zeros(B, U, A), state=state)


@pytest.mark.parametrize("sizes", [(0, 1, 1, 1), (1, 0, 1, 1), (1, 1, 0, 1), (1, 1, 1, 0)])
def test_symbol_copies_needs_sizes(sizes):
    with pytest.raises(ValueError, match=r"symbol_copies: sizes \d, \d, \d, \d, expected 1 or more"):
        symbol_copies(sizes[0], torch.Generator(), *sizes[1:])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (dict(phi=[[0.5]]), r"phi is a list, expected real numbers of shape \(T, B, U\)"),
        (dict(phi=torch.ones(T, B, 0)), r"phi is .*\(9, 3, 0\), expected"),
        (dict(phi=torch.ones(T, B)), r"phi is .*\(9, 3\), expected"),
        (dict(phi=torch.full((T, B, U), math.nan)), "phi holds NaN, inf or a number below 0"),
        (dict(phi=torch.full((T, B, U), math.inf)), "phi holds NaN, inf"),
        (dict(phi=-torch.ones(T, B, U)), "phi holds .*below 0"),
        (dict(truth=torch.zeros(T - 1, B).long()), r"truth is torch.int64 of shape \(8, 3\), expected .*B = 3\)"),
        (dict(truth=torch.zeros(T, B)), r"truth is torch.float32 .*, expected torch.int64"),
        (dict(truth=torch.full((T, B), U)), r"truth names 6, phi has U = 6, counted from 0"),
        (dict(which=torch.ones(3).bool()), r"which is torch.bool of shape \(3,\), expected torch.bool"),
        (dict(which=torch.ones(T, B)), r"which is torch.float32"),
        (dict(lag=-9), r"lag is -9, expected a whole number of points, below T = 9"),
        (dict(lag=10**30), r"lag is 10+, expected a whole number"),
        (dict(lag=1.0), r"lag is 1.0, expected a whole number"),
        (dict(lag=True), r"lag is True, expected a whole number"),
        (dict(lag="1"), r"lag is '1', expected a whole number"),
    ],
)  # fmt: skip
def test_alignment_says_what_came(changes, words):
    given = dict(phi=torch.ones(T, B, U), truth=torch.zeros(T, B).long()) | changes
    with pytest.raises(ValueError, match=f"alignment_share: {words}"):
        alignment_share(**given)
    lag = given.pop("lag", 0)
    with pytest.raises(ValueError, match=f"alignment_curve: {words}"):
        alignment_curve(**given, lags=[lag])


def test_alignment_takes_what_is_right():
    phi, truth = torch.ones(T, B, U).cumsum(2), torch.full((T, B), U - 1)
    assert alignment_curve(phi, truth, lags=3).tolist() == [1.0] and alignment_curve(phi, truth, lags=[]).shape == (0,)
    assert alignment_curve(phi.int(), truth, lags=[np.int64(1)]).tolist() == [1.0]
    assert alignment_share(phi.requires_grad_(), truth) == 0


@pytest.mark.parametrize("phi", [None, [1.0], torch.tensor(1.0), torch.ones(2, 0), torch.ones(2, 3) * 1j])
def test_a_place_needs_weights(phi):
    with pytest.raises(ValueError, match=r"window_place: phi is .*, expected \(..., U\)"):
        window_place(phi)
    assert window_place(torch.tensor([0, 2, 2])).item() == 2.5


# -- the bench, and the demo --


@pytest.mark.slow
def test_the_bench_runs(root):
    command = [sys.executable, "-m", "bench.window", "--quick", "--rounds", "3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=root)
    assert done.returncode == 0, done.stderr
    for table in ("WindowLSTM's time over that of", "cost per step as T grows", "-103 to -88: subnormal"):
        assert table in done.stdout


@pytest.mark.browser
def test_demo_computes_the_same_numbers():
    api = pytest.importorskip("playwright.sync_api")
    from softattn.pictures import demo_html

    state = dict(text="noon <b>", alpha=[1.0, 0.7, 0.4], beta=[1.0, 0.4, 0.16], kappa=[2.0, 3.5, 6.0])
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    with api.sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = playwright.chromium.launch(executable_path=path, args=flags.split())
        page = browser.new_page(viewport={"width": 390, "height": 900})
        page.set_content(demo_html("window", **state))
        demo = page.locator(".softattn-demo[data-state=live]")
        demo.wait_for()

        def numbers():
            return json.loads(demo.get_attribute("data-numbers"))

        def agree(seen):
            letters = list(dict.fromkeys(seen["text"]))
            if not letters:
                assert seen["phi"] == [] and seen["w"] == {} and seen["place"] is None
                return
            chars = torch.zeros(1, len(seen["text"]), len(letters), dtype=torch.float64)
            for u, letter in enumerate(seen["text"]):
                chars[0, u, letters.index(letter)] = 1
            values = [torch.tensor([seen[name]], dtype=torch.float64) for name in ("alpha", "beta", "kappa")]
            phi = SoftWindow(1, 3).phi(*values, torch.arange(1, len(seen["text"]) + 1, dtype=torch.float64))
            assert seen["phi"] == pytest.approx(phi[0].tolist(), rel=1e-9, abs=1e-12)
            w = (phi[:, None] @ chars)[0, 0]
            assert seen["w"] == pytest.approx(dict(zip(letters, w.tolist(), strict=True)), rel=1e-9, abs=1e-12)
            assert seen["sum"] == pytest.approx(phi.sum().item())
            assert seen["place"] == pytest.approx(window_place(phi).item())

        first = numbers()
        assert {name: first[name] for name in state} == state
        agree(first)
        sliders = page.locator("input[type=range]")
        assert sliders.count() == 9
        for k in range(9):
            sliders.nth(k).focus()
            page.keyboard.press("ArrowRight")
        moved = numbers()
        agree(moved)
        assert moved["kappa"] == pytest.approx([2.1, 3.6, 6.1]) and moved["alpha"] == pytest.approx([1.05, 0.75, 0.45])
        assert moved["beta"] == pytest.approx([1.02, 0.42, 0.18])
        page.locator("button").click()
        assert numbers()["kappa"] == pytest.approx([2.6, 4.1, 6.6])
        for text in ("<img src=x onerror=alert(1)>", "", "constructor", "Zoë 👋"):
            page.locator("input[type=text]").fill(text)
            seen = numbers()
            agree(seen) if text != "Zoë 👋" else None
            assert seen["text"] == text[:24] and max(seen["kappa"]) <= len(text[:24]) + 1
            if text == "constructor":  # the empty text before it has not gathered the bells at its one place
                assert seen["kappa"] == pytest.approx([2.6, 4.1, 6.6])
        assert page.locator(".softattn-demo img").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        browser.close()


@pytest.mark.browser
def test_the_staircase_computes_the_same_gradients():
    api = pytest.importorskip("playwright.sync_api")
    from softattn.pictures import demo_html

    truth = [0, 0, 0, 1, 1, 2, 0, 3, 3, 4, 4, 1]
    state = dict(text="i<t w", truth=truth, beta=0.3, bias=-1.0)
    letters = list(dict.fromkeys(state["text"]))
    chars = torch.zeros(1, 5, len(letters), dtype=torch.float64)
    for u, letter in enumerate(state["text"]):
        chars[0, u, letters.index(letter)] = 1

    def known(bias):
        one, kappa, loss = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64), 0.0
        hats = torch.full((len(truth),), bias, dtype=torch.float64, requires_grad=True)
        for hat, at in zip(hats, truth, strict=True):
            kappa = kappa + hat.exp()
            phi = SoftWindow(1, 1).phi(one, 0.3 * one, kappa, torch.arange(1, 6))
            loss = loss + ((phi[:, None] @ chars)[:, 0] - chars[:, at]).square().sum()
        return loss.item(), kappa.item(), (-torch.autograd.grad(loss, hats)[0]).tolist(), phi[0].tolist()

    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    with api.sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = playwright.chromium.launch(executable_path=path, args=flags.split())
        page = browser.new_page(viewport={"width": 390, "height": 900})
        page.set_content(demo_html("staircase", **state))
        demo = page.locator(".softattn-demo[data-state=live]")
        demo.wait_for()

        def agree():
            seen = json.loads(demo.get_attribute("data-numbers"))
            loss, kappa, pull, last = known(seen["bias"])
            assert seen["loss"] == pytest.approx(loss) and seen["kappa"] == pytest.approx(kappa)
            assert seen["pull"] == pytest.approx(pull, rel=1e-9, abs=1e-12) and seen["last"] == pytest.approx(last)
            assert seen["total"] == pytest.approx(sum(pull)) and seen["deaf"] == sum(abs(v) < 1e-6 for v in pull)
            return seen

        first = agree()
        page.locator("input[type=range]").focus()
        page.keyboard.press("ArrowRight")
        assert agree()["bias"] == pytest.approx(-0.9)
        page.locator("button").click()
        assert agree()["bias"] == pytest.approx(-0.9 + max(-0.3, min(0.3, 0.02 * sum(known(-0.9)[2]))))
        page.keyboard.press("Tab")
        page.locator("input[type=range]").fill("1")
        assert agree()["deaf"] > 0 and first["deaf"] == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        browser.close()


# -- where it starts ---------------------------------------------------------------------------------------------------


def test_bells_start_apart_and_a_single_one_at_the_pace():
    for K, off in ((1, [0.0]), (2, [-0.3, 0.3]), (3, [-0.3, 0.0, 0.3])):
        steps = SoftWindow(4, K, pace=0.05).bias.detach().view(3, K)[2]
        assert steps.tolist() == pytest.approx([math.log(0.05) + d for d in off], abs=1e-6)


def test_weights_of_the_window_fill_their_bounds():
    weight = WindowLSTM(3, 100, 50, 1).weight_w.detach()  # of 20,000 uniform draws the largest is near the bound
    assert 0.099 < weight.abs().max() <= 0.1


def test_a_tensor_of_no_dimension_is_one_lag_and_refused_as_such():
    truth, phi = torch.tensor([[0], [1], [2]]), torch.eye(3)[:, None]
    with pytest.raises(ValueError, match="lag is tensor"):
        alignment_curve(phi, truth, lags=torch.tensor(0))
    assert alignment_curve(phi, truth, lags=[0, 1]).tolist() == [1.0, 0.0]

"""The peephole LSTM: oracles first, then properties, errors, number formats, the demo."""

import json
import math
import shutil

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from softattn.lstm import LSTMCell, PeepholeLSTM, chrono_


def random_lstm(I, H, dtype=torch.float64, device="cpu", peephole=True):
    lstm = PeepholeLSTM(I, H, peephole=peephole)
    if peephole:
        nn.init.normal_(lstm.peephole)
    nn.init.normal_(lstm.bias)
    return lstm.to(device, dtype)


def randn(*shape, dtype=torch.float64, device="cpu", grad=False):
    return torch.randn(*shape).to(device, dtype).requires_grad_(grad)


def plain_loop(lstm, x, state=None, reset=None):
    """The five equations, one gate at a time, with autograd: shares no line with the module."""
    H = lstm.hidden_size
    w_x, w_h, b = (part.split(H, dim=-1) for part in (lstm.weight_x, lstm.weight_h, lstm.bias))
    p = lstm.peephole if lstm.peephole is not None else x.new_zeros(3, H)
    h, c = state if state is not None else (x.new_zeros(x.shape[1], H),) * 2
    hs = []
    for t, x_t in enumerate(x.unbind()):
        if reset is not None:
            keep = (~reset[t]).to(x.dtype)[:, None]
            h, c = h * keep, c * keep
        say = [x_t @ w_x[k] + h @ w_h[k] + b[k] for k in range(4)]
        i = 1 / (1 + torch.exp(-(say[0] + p[0] * c)))
        f = 1 / (1 + torch.exp(-(say[1] + p[1] * c)))
        c = f * c + i * torch.tanh(say[2])
        o = 1 / (1 + torch.exp(-(say[3] + p[2] * c)))
        h = o * torch.tanh(c)
        hs.append(h)
    return torch.stack(hs), (h, c)


def gradients(outputs, inputs, seed=3):
    """Gradients of a random weighting of all outputs (so that no entry of any output is left out)."""
    generator = torch.Generator().manual_seed(seed)
    total = sum((o * torch.randn(o.shape, generator=generator).to(o)).sum() for o in outputs)
    return torch.autograd.grad(total, inputs)


def assert_close(mine, theirs, share):
    for a, b in zip(mine, theirs, strict=True):
        assert a.shape == b.shape
        assert (a - b).abs().max() <= share * b.abs().max()


# -- oracles --


@pytest.mark.parametrize(("dtype", "value", "slope"), [(torch.float64, 1e-10, 1e-10), (torch.float32, 1e-6, 1e-4)])
def test_zero_peepholes_equal_nn_lstm(device, dtype, value, slope):
    theirs = nn.LSTM(7, 5).to(device, dtype)
    ours = PeepholeLSTM.from_torch(theirs)
    x, h0, c0 = (randn(*s, dtype=dtype, device=device, grad=True) for s in ((40, 3, 7), (3, 5), (3, 5)))
    a, (h_a, c_a) = theirs(x, (h0[None], c0[None]))
    b, (h_b, c_b) = ours(x, (h0, c0))
    for mine, his in ((b, a), (h_b, h_a[0]), (c_b, c_a[0])):
        assert (mine - his).abs().max() <= value
    g_a = gradients((a, h_a[0], c_a[0]), (x, h0, c0, theirs.weight_ih_l0, theirs.weight_hh_l0, theirs.bias_ih_l0))
    g_b = gradients((b, h_b, c_b), (x, h0, c0, ours.weight_x, ours.weight_h, ours.bias))
    assert_close(g_b, (*g_a[:3], g_a[3].t(), g_a[4].t(), g_a[5]), slope)


@pytest.mark.parametrize("peephole", [True, False])
@pytest.mark.parametrize("with_reset", [True, False])
def test_equals_the_plain_loop(device, peephole, with_reset):
    lstm = random_lstm(4, 6, device=device, peephole=peephole)
    x, h0, c0 = (randn(*s, device=device, grad=True) for s in ((11, 3, 4), (3, 6), (3, 6)))
    reset = (torch.rand(11, 3) < 0.3).to(device) if with_reset else None
    inputs = (x, h0, c0, *lstm.parameters())
    hs, state = lstm(x, (h0, c0), reset)
    want, last = plain_loop(lstm, x, (h0, c0), reset)
    assert_close((hs, *state), (want, *last), 1e-10)
    assert_close(gradients((hs, *state), inputs), gradients((want, *last), inputs), 1e-10)


@pytest.mark.parametrize("which", ["hs", "h", "c"])
def test_gradient_when_only_one_output_is_used(which):
    lstm = random_lstm(2, 3)
    x = randn(5, 2, 2, grad=True)
    pick = lambda hs, state: {"hs": hs, "h": state[0], "c": state[1]}[which]
    inputs = (x, *lstm.parameters())
    assert_close(gradients([pick(*lstm(x))], inputs), gradients([pick(*plain_loop(lstm, x))], inputs), 1e-10)


def test_gradcheck_with_state_and_reset():
    lstm = random_lstm(2, 3)
    names = [name for name, _ in lstm.named_parameters()]
    reset = torch.tensor([[0, 1], [0, 0], [1, 0], [0, 0]], dtype=torch.bool)

    def run(x, h, c, *weights):
        hs, (h, c) = torch.func.functional_call(lstm, dict(zip(names, weights, strict=True)), (x, (h, c), reset))
        return hs, h, c

    inputs = (randn(4, 2, 2, grad=True), randn(2, 3, grad=True), randn(2, 3, grad=True), *lstm.parameters())
    assert torch.autograd.gradcheck(run, inputs)


def test_reset_equals_running_the_pieces_apart(device):
    lstm = random_lstm(3, 5, device=device)
    x = randn(12, 2, 3, device=device)
    reset = torch.zeros(12, 2, dtype=torch.bool, device=device)
    reset[[4, 9], 0] = reset[7, 1] = True
    hs, (h, c) = lstm(x, reset=reset)
    for row, cuts in ((0, [0, 4, 9, 12]), (1, [0, 7, 12])):
        for a, b in zip(cuts, cuts[1:], strict=False):
            alone, (h_alone, c_alone) = lstm(x[a:b, row : row + 1])
            assert torch.allclose(hs[a:b, row], alone[:, 0], atol=1e-12)
        assert torch.allclose(c[row], c_alone[0], atol=1e-12) and torch.allclose(h[row], h_alone[0], atol=1e-12)


def test_reset_at_the_first_step_ignores_the_state_even_if_it_is_nan():
    lstm = random_lstm(3, 4)
    x, bad = randn(6, 2, 3), torch.full((2, 4), math.nan, dtype=torch.float64)
    reset = torch.zeros(6, 2, dtype=torch.bool)
    reset[0] = True
    assert torch.equal(lstm(x, (bad, bad), reset)[0], lstm(x)[0])


def test_cell_equals_a_step_and_shares_the_weights(device):
    lstm = random_lstm(3, 5, device=device)
    cell = LSTMCell(3, 5).to(device, torch.float64)
    cell.load_state_dict(lstm.state_dict())
    x = randn(8, 2, 3, device=device)
    hs, (h, c) = lstm(x)
    state = None
    for t in range(8):
        state = cell(x[t], state)
        assert torch.allclose(state[0], hs[t], atol=1e-12)
    assert torch.allclose(state[1], c, atol=1e-12) and torch.equal(h, hs[-1])


def test_steps_and_chunks_give_the_whole():
    lstm = random_lstm(3, 5)
    x = randn(9, 2, 3)
    whole, last = lstm(x)
    state, parts = None, []
    for piece in x.split([1, 3, 5]):
        part, state = lstm(piece, state)
        parts.append(part)
    assert torch.allclose(torch.cat(parts), whole, atol=1e-12)
    assert torch.allclose(state[1], last[1], atol=1e-12)


def test_the_scalar_cell_of_the_demo_by_hand():
    cell = LSTMCell(4, 1).double()
    with torch.no_grad():
        cell.weight_x.copy_(torch.eye(4))
        cell.weight_h.zero_()
        cell.bias.zero_()
        cell.peephole.copy_(torch.tensor([[0.3], [-0.7], [1.1]], dtype=torch.float64))
    z, old, s = [0.2, -0.4, 0.9, 0.5], -1.5, lambda v: 1 / (1 + math.exp(-v))
    c = s(z[1] - 0.7 * old) * old + s(z[0] + 0.3 * old) * math.tanh(z[2])
    h = s(z[3] + 1.1 * c) * math.tanh(c)
    got = cell(torch.tensor([z], dtype=torch.float64), (torch.zeros(1, 1).double(), torch.tensor([[old]]).double()))
    assert abs(got[1].item() - c) < 1e-12 and abs(got[0].item() - h) < 1e-12


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 4), st.integers(1, 5), st.sampled_from([0.0, 1.0, 50.0]))
def test_small_shapes_and_extreme_inputs(T, B, I, H, scale):
    torch.manual_seed(T + 10 * B + 100 * I + 1000 * H)
    lstm = random_lstm(I, H)
    x = (scale * randn(T, B, I)).requires_grad_()
    hs, (h, c) = lstm(x)
    assert hs.shape == (T, B, H) and h.shape == c.shape == (B, H)
    want, _ = plain_loop(lstm, x)
    assert torch.allclose(hs, want, atol=1e-10)
    for mine, theirs in zip(gradients([hs, c], (x,)), gradients([want, _[1]], (x,)), strict=True):
        assert torch.isfinite(mine).all() and torch.allclose(mine, theirs, atol=1e-9)


def test_a_long_sequence_stays_finite():
    hs, _ = random_lstm(1, 2, dtype=torch.float32)(torch.full((2000, 1, 1), 1e4))
    assert torch.isfinite(hs).all()


def test_inputs_that_are_not_contiguous():
    lstm = random_lstm(3, 4)
    x = randn(2, 6, 3)
    assert torch.allclose(lstm(x.transpose(0, 1))[0], lstm(x.transpose(0, 1).contiguous())[0])
    h0 = randn(4, 2).t()
    assert torch.allclose(lstm(x.transpose(0, 1), (h0, h0))[0], lstm(x.transpose(0, 1), (h0.contiguous(),) * 2)[0])


def test_two_backward_passes_give_the_same():
    lstm = random_lstm(3, 4)
    hs, _ = lstm(randn(5, 2, 3))
    first = torch.autograd.grad(hs.square().sum(), list(lstm.parameters()), retain_graph=True)
    second = torch.autograd.grad(hs.square().sum(), list(lstm.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_changing_the_output_in_place_is_noticed():
    lstm = random_lstm(3, 4)
    hs, _ = lstm(randn(5, 2, 3))
    with pytest.raises(RuntimeError, match="in-?place"):
        hs.mul_(2)
        hs.sum().backward()


# -- where it starts --


def test_starting_values():
    lstm = PeepholeLSTM(6, 16)
    assert torch.equal(lstm.bias.view(4, 16).sum(1), torch.tensor([0.0, 16.0, 0.0, 0.0]))
    assert not lstm.peephole.any()
    for weight in (lstm.weight_x, lstm.weight_h):
        assert weight.abs().max() <= 0.25 and weight.abs().max() > 0.23
    assert PeepholeLSTM(6, 16, forget_bias=3.0).bias[16:32].eq(3).all()
    assert PeepholeLSTM(6, 16, peephole=False).peephole is None
    assert {name for name, _ in lstm.named_parameters()} == {"weight_x", "weight_h", "bias", "peephole"}


def test_chrono():
    bias = torch.full((4 * 4000,), 7.0)
    assert chrono_(bias, 200, torch.Generator().manual_seed(0)) is bias
    i, f, g, o = bias.view(4, -1)
    assert torch.equal(i, -f) and g.eq(7).all() and o.eq(7).all()
    u = f.double().exp()  # uniform on [1, 199]: mean 100, std 198 / sqrt(12)
    assert u.min() >= 1 - 1e-5 and u.max() <= 199 + 1e-3
    assert abs(u.mean() - 100) < 5 * 198 / math.sqrt(12 * 4000)
    short = chrono_(torch.zeros(16000), 4, torch.Generator().manual_seed(0))[4000:8000].double().exp()
    assert 2.9 < short.max() <= 3 + 1e-5  # uniform on [1, 3]: the range's end, to one step
    again = chrono_(torch.zeros(16000), 200, torch.Generator().manual_seed(0))
    assert torch.equal(again[4000:8000], f)
    lstm = PeepholeLSTM(2, 3)
    chrono_(lstm.bias, 10)  # a parameter, in place, no gradient
    assert lstm.bias.requires_grad and lstm.bias.is_leaf


def test_from_torch_without_bias_and_dtype():
    theirs = nn.LSTM(3, 4, bias=False).double()
    ours = PeepholeLSTM.from_torch(theirs)
    x = randn(5, 2, 3)
    assert ours.weight_h.dtype == torch.float64 and not ours.bias.any()
    assert torch.allclose(ours(x)[0], theirs(x)[0], atol=1e-12)


# -- number formats, devices --


@pytest.mark.parametrize("with_reset", [True, False])
def test_autocast_to_bfloat16(device, with_reset):
    lstm = random_lstm(24, 32, dtype=torch.float32, device=device)
    x = randn(20, 4, 24, dtype=torch.float32, device=device, grad=True)
    reset = (torch.rand(20, 4) < 0.1).to(device) if with_reset else None
    inputs = (x, *lstm.parameters())
    full, _ = lstm(x, reset=reset)
    with torch.autocast(device.type, torch.bfloat16):
        low, (h, c) = lstm(x, reset=reset)
        inside = gradients([low.float()], inputs)  # backward inside autocast, too
    assert low.dtype == h.dtype == torch.bfloat16 and c.dtype == torch.float32
    assert (low - full).abs().max() < 0.03
    with torch.autocast(device.type, torch.bfloat16):
        low, _ = lstm(x, reset=reset)
    outside = gradients([low.float()], inputs)
    assert all(torch.equal(a, b) for a, b in zip(inside, outside, strict=True))
    for mine, theirs in zip(outside, gradients([full], inputs), strict=True):
        assert mine.dtype == torch.float32
        assert (mine - theirs).norm() < 0.05 * theirs.norm()


def test_autocast_keeps_a_forget_gate_of_0999():
    """In bfloat16 the gate would round to 1, or to 255/256."""
    lstm = PeepholeLSTM(1, 1)
    with torch.no_grad():
        for weight in (lstm.weight_x, lstm.weight_h):
            weight.zero_()
        lstm.bias.copy_(torch.tensor([-30.0, 6.90625, 0.0, 0.0]))
    keep = torch.sigmoid(torch.tensor(6.90625)).item()
    start = torch.ones(1, 1)
    with torch.autocast("cpu", torch.bfloat16):
        _, (_, c) = lstm(torch.zeros(500, 1, 1), (torch.zeros(1, 1), start.requires_grad_()))
    (slope,) = torch.autograd.grad(c.sum(), start)
    assert abs(c.item() - keep**500) < 1e-4 and abs(slope.item() - keep**500) < 1e-4
    cell, state = LSTMCell(1, 1), (torch.zeros(1, 1), torch.ones(1, 1))
    cell.load_state_dict(lstm.state_dict())
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        for _ in range(500):
            state = cell(torch.zeros(1, 1), state)
    assert abs(state[1].item() - keep**500) < 1e-4


def test_backward_inside_autocast_of_a_float32_forward_stays_float32(device):
    lstm = random_lstm(24, 32, dtype=torch.float32, device=device)
    x = randn(20, 4, 24, dtype=torch.float32, device=device, grad=True)
    inputs = (x, *lstm.parameters())
    want = gradients([lstm(x)[0]], inputs)
    hs, _ = lstm(x)
    with torch.autocast(device.type, torch.bfloat16):
        got = gradients([hs], inputs)
    assert all(torch.equal(a, b) for a, b in zip(got, want, strict=True))


def test_gradients_that_come_in_are_not_overwritten():
    lstm = random_lstm(3, 4)
    hs, (h, c) = lstm(randn(5, 2, 3))
    coming = [torch.ones_like(output) for output in (hs, h, c)]
    torch.autograd.grad((hs, h, c), list(lstm.parameters()), coming)
    assert all(gradient.eq(1).all() for gradient in coming)


def test_float64_stays_float64_under_autocast():
    lstm = random_lstm(2, 3)
    with torch.autocast("cpu", torch.bfloat16):
        assert lstm(randn(4, 2, 2))[0].dtype == torch.float64


def test_a_module_cast_to_bfloat16():
    lstm = random_lstm(3, 4, dtype=torch.bfloat16)
    hs, (_, c) = lstm(randn(5, 2, 3, dtype=torch.bfloat16))
    hs.float().sum().backward()
    assert hs.dtype == torch.bfloat16 and c.dtype == torch.float32 and lstm.peephole.grad.dtype == torch.bfloat16


@pytest.mark.parametrize("peephole", [True, False])
def test_meta_device(peephole):
    with torch.device("meta"):
        lstm, cell = PeepholeLSTM(3, 4, peephole), LSTMCell(3, 4, peephole)
        x, reset = torch.empty(5, 2, 3, requires_grad=True), torch.empty(5, 2, dtype=torch.bool)
    hs, (h, c) = lstm(x, reset=reset)
    (hs.sum() + h.sum() + c.sum()).backward()
    assert hs.device.type == x.grad.device.type == lstm.weight_h.grad.device.type == "meta"
    assert cell(x[0])[0].shape == (2, 4)


def test_nothing_is_kept_without_gradients():
    lstm = random_lstm(3, 4)
    x = randn(5, 2, 3)
    with torch.no_grad():
        hs, _ = lstm(x)
    assert hs.grad_fn is None and not hs.requires_grad
    with torch.inference_mode():
        assert torch.equal(lstm(x)[0], hs)
    assert torch.allclose(lstm(x)[0], hs)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_inputs_take_the_format_of_the_weights(dtype):
    lstm, cell, x = random_lstm(3, 4, torch.float32), LSTMCell(3, 4), randn(5, 2, 3, dtype=torch.float32)
    x = x.bfloat16().to(torch.float16).float() if dtype != torch.float64 else x
    for fused in (False, True):
        want, got = (lstm(v, (h, h), fused=fused) for v, h in ((x, torch.ones(2, 4)), (x.to(dtype), torch.ones(2, 4))))
        assert got[0].dtype == got[1][1].dtype == torch.float32
        assert torch.allclose(got[0], want[0], atol=0.01 if dtype == torch.bfloat16 else 2e-3)
    h, c = cell(x[0].to(dtype), (torch.ones(2, 4, dtype=dtype),) * 2)
    assert h.dtype == c.dtype == torch.float32


# -- two ways --


class Open(PeepholeLSTM):
    """Its output gate never closes."""

    def gates(self, z, c):
        _, c = super().gates(z, c)
        return torch.tanh(c), c


def test_a_changed_piece_changes_the_output():
    plain, changed, x = random_lstm(3, 4), Open(3, 4).double(), randn(5, 2, 3)
    changed.load_state_dict(plain.state_dict())
    hs, (_, c) = changed(x)
    assert (hs[0].abs() > plain(x)[0][0].abs()).all()
    assert torch.allclose(hs[-1], torch.tanh(c))
    assert "gates of its own" in message(lambda: changed(x, fused=True))
    plain.gates = lambda z, c: (torch.zeros_like(c), c)
    assert not plain(x)[0].any()
    assert "gates of its own" in message(lambda: plain(x, fused=True))


def test_hooks_are_called():
    lstm, cell, x, seen = random_lstm(3, 4), LSTMCell(3, 4).double(), randn(5, 2, 3), []
    lstm.register_forward_hook(lambda *_: seen.append("lstm"))
    cell.register_forward_hook(lambda *_: seen.append("cell"))
    lstm(x)
    cell(x[0])
    assert seen == ["lstm", "cell"]


def test_the_plain_way_is_exported_outside_no_grad():
    lstm, x = random_lstm(3, 4), randn(5, 2, 3)
    program = torch.export.export(lstm, (x,))
    assert torch.allclose(program.module()(x)[0], lstm(x)[0], atol=1e-12)
    cell = LSTMCell(3, 4).double()
    program = torch.export.export(cell, (x[0],))
    assert torch.allclose(program.module()(x[0])[0], cell(x[0])[0], atol=1e-12)


def test_under_transforms_and_twice_backward():
    lstm, x = random_lstm(3, 4), randn(5, 2, 3)
    weights = dict(lstm.named_parameters())

    def total(weights, x):
        return torch.func.functional_call(lstm, weights, (x,))[0].square().sum()

    got = torch.func.grad(total)(weights, x)
    want = torch.autograd.grad(total(weights, x), list(weights.values()))
    assert_close([got[name] for name in weights], want, 1e-10)
    rows = torch.func.vmap(lambda row: lstm(row[:, None])[0][:, 0], in_dims=1, out_dims=1)(x)
    assert torch.allclose(rows, lstm(x)[0], atol=1e-12)
    x.requires_grad_()
    (slope,) = torch.autograd.grad(lstm(x, fused=False)[0].square().sum(), x, create_graph=True)
    slope.square().sum().backward()
    assert torch.isfinite(x.grad).all() and x.grad.any()


def test_the_module_pickles_and_copies():
    import copy
    import pickle

    lstm, x = random_lstm(3, 4), randn(5, 2, 3)
    for other in (copy.deepcopy(lstm), pickle.loads(pickle.dumps(lstm))):
        assert torch.equal(other(x)[0], lstm(x)[0])


# -- errors --


def message(call, kind=ValueError):
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value)


def test_wrong_inputs():
    lstm, cell = PeepholeLSTM(3, 4), LSTMCell(3, 4)
    assert "(5, 2, 9)" in message(lambda: lstm(torch.zeros(5, 2, 9)))
    assert "(T, B, 3)" in message(lambda: lstm(torch.zeros(5, 3)))
    assert "no step" in message(lambda: lstm(torch.zeros(0, 2, 3)))
    assert "no step" in message(lambda: lstm(torch.zeros(5, 0, 3)))
    assert "(2, 9)" in message(lambda: cell(torch.zeros(2, 9)))


def test_wrong_states():
    lstm, cell, x = PeepholeLSTM(3, 4), LSTMCell(3, 4), torch.zeros(5, 2, 3)
    good, bad = torch.zeros(2, 4), torch.zeros(1, 2, 4)
    assert "h of the state has shape (1, 2, 4), expected" in message(lambda: lstm(x, (bad, bad)))
    assert "c of the state" in message(lambda: lstm(x, (good, bad)))
    assert "c of the state" in message(lambda: cell(x[0], (good, bad)))
    assert "not a pair (h, c)" in message(lambda: lstm(x, good))
    assert "not a pair (h, c)" in message(lambda: lstm(x, (good,)))


def test_wrong_resets():
    lstm, x = PeepholeLSTM(3, 4), torch.zeros(5, 2, 3)
    assert "torch.float32" in message(lambda: lstm(x, reset=torch.zeros(5, 2)), TypeError)
    assert "(2, 5)" in message(lambda: lstm(x, reset=torch.zeros(2, 5, dtype=torch.bool)))


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool, torch.complex64])
@pytest.mark.parametrize("fused", [None, False, True])
def test_numbers_that_are_not_real_are_refused(dtype, fused):
    lstm, cell, x = PeepholeLSTM(3, 4), LSTMCell(3, 4), torch.ones(5, 2, 3, dtype=dtype)
    assert str(dtype) in message(lambda: lstm(x, fused=fused), TypeError)
    assert str(dtype) in message(lambda: cell(x[0]), TypeError)
    assert str(dtype) in message(lambda: cell(torch.ones(2, 3), (torch.ones(2, 4, dtype=dtype),) * 2), TypeError)


@pytest.mark.parametrize("size", [(0, 4), (3, 0), (-1, 4)])
@pytest.mark.parametrize("module", [LSTMCell, PeepholeLSTM])
def test_wrong_sizes(module, size):
    assert "number from 1" in message(lambda: module(*size)) and module.__name__ in message(lambda: module(*size))


@pytest.mark.parametrize("extra", [{"num_layers": 2}, {"bidirectional": True}, {"proj_size": 2}, {"batch_first": True}])
def test_from_torch_refuses_what_it_is_not(extra):
    (name, value), lstm = *extra.items(), nn.LSTM(3, 4, **extra)
    assert f"{name}={value}" in message(lambda: PeepholeLSTM.from_torch(lstm))


def test_chrono_refuses():
    assert "longest is 2" in message(lambda: chrono_(torch.zeros(8), 2))
    assert "(4H,)" in message(lambda: chrono_(torch.zeros(7), 10)) and "(2, 4)" in message(
        lambda: chrono_(torch.zeros(2, 4), 10)
    )
    assert "(0,)" in message(lambda: chrono_(torch.zeros(0), 10))


# -- the demo --


@pytest.mark.browser
def test_demo_computes_what_the_cell_computes():
    from playwright.sync_api import sync_playwright

    from softattn.pictures import demo_html

    names = ("z_i", "z_f", "z_g", "z_o", "p_i", "p_f", "p_o")
    state = dict(c=1.0, z_i=-4.0, z_f=3.0, z_g=1.0, z_o=1.0, p_i=0.5, p_f=0.5, p_o=0.5)

    def by_cell(values):
        cell = LSTMCell(4, 1).double()
        with torch.no_grad():
            cell.weight_x.copy_(torch.eye(4))
            cell.weight_h.zero_()
            cell.bias.zero_()
            cell.peephole.copy_(torch.tensor([[values[p]] for p in names[4:]], dtype=torch.float64))
            x = torch.tensor([[values[z] for z in names[:4]]], dtype=torch.float64)
            c = torch.tensor([[values["c"]]], dtype=torch.float64)
            trace, hs = [c.item()], []
            for _ in range(40):
                h, c = cell(x, (torch.zeros_like(c), c))
                hs.append(h.item())
                trace.append(c.item())
        return hs[0], trace[1], trace

    def same(page, values):
        numbers = json.loads(page.locator(".softattn-demo[data-demo=lstm]").first.get_attribute("data-numbers"))
        h, c, trace = by_cell(values)
        assert abs(numbers["h"] - h) < 1e-9 and abs(numbers["c"] - c) < 1e-9
        assert max(abs(a - b) for a, b in zip(numbers["trace"], trace, strict=True)) < 1e-6

    path = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
        )
        page = browser.new_page(viewport={"width": 390, "height": 900})
        errors = []
        page.on("pageerror", lambda e: errors.append(str(e)))
        page.set_content(demo_html("lstm", **state))
        page.wait_for_selector(".softattn-demo[data-numbers]")
        same(page, state)
        sliders = page.locator(".softattn-demo input[type=range]")
        assert sliders.count() == 8
        sliders.nth(2).focus()
        for _ in range(3):
            page.keyboard.press("ArrowRight")
        lit = page.locator(".softattn-demo .sa-equations .sa-on").all_inner_texts()
        assert [row.strip()[0] for row in lit] == ["f", "c", "o", "h"]  # what the forget gate reaches, nothing else
        same(page, state | {"z_f": 3.3})
        page.get_by_role("button", name="Take the step").click()
        numbers = json.loads(page.locator(".softattn-demo").first.get_attribute("data-numbers"))
        assert abs(numbers["old_c"] - by_cell(state | {"z_f": 3.3})[1]) < 1e-9
        page.get_by_role("button", name="Start again").click()
        same(page, state)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert not errors
        browser.close()

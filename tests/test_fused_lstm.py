"""The fused LSTM against the plain loop of cells."""

import types

import pytest
import torch
from torch import nn

from softattn import fused_lstm
from softattn.lstm import PeepholeLSTM


@pytest.mark.parametrize("peephole", [True, False])
@pytest.mark.parametrize("with_reset", [True, False])
def test_plain_and_fused_agree(device, peephole, with_reset):
    net = PeepholeLSTM(4, 6, peephole=peephole).to(device, torch.float64)
    for parameter in net.parameters():
        nn.init.normal_(parameter)
    x, h, c = (torch.randn(*s).to(device, torch.float64).requires_grad_() for s in ((11, 3, 4), (3, 6), (3, 6)))
    reset = (torch.rand(11, 3) < 0.3).to(device) if with_reset else None
    runs = []
    for fused in (False, True):
        hs, (h_last, c_last) = net(x, (h, c), reset, fused=fused)
        loss = hs.square().sum() + h_last.sum() + c_last.square().sum()
        runs.append((hs, h_last, c_last, *torch.autograd.grad(loss, (x, h, c, *net.parameters()))))
    for plain, fast in zip(*runs, strict=True):
        assert (plain - fast).abs().max() <= 1e-10 * plain.abs().max()


@pytest.mark.parametrize("peephole", [True, False])
def test_products_in_bfloat16_stay_near_the_plain_loop_in_float64(device, peephole):
    """Weights, inputs and state that bfloat16 holds exactly: only what is rounded on the way may differ."""
    net = PeepholeLSTM(4, 6, peephole=peephole).to(device, torch.float64)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn_like(parameter).mul(0.5).bfloat16())
    given = [torch.randn(*s).bfloat16().to(device, torch.float64).requires_grad_() for s in ((9, 3, 4), (3, 6), (3, 6))]
    reset = (torch.rand(9, 3) < 0.2).to(device)
    weights, pull = list(net.parameters()), torch.randn(9, 3, 6).to(device, torch.float64)
    first = net.weight_x, net.weight_h, net.bias, net.peephole if peephole else None
    hs, (h, c) = net(given[0], (given[1], given[2]), reset, fused=False)
    low = fused_lstm.lstm_sequence(*given, *first, reset, dtype=torch.bfloat16)
    runs = []
    for out in ((hs, h, c), low):
        loss = (out[0].double() * pull).sum() + out[1].double().sum() - 2 * out[2].double().sum()
        runs.append((*out, *torch.autograd.grad(loss, [*given, *weights])))
    assert low[0].dtype == torch.bfloat16 and low[2].dtype == torch.float32  # the cells stay exact
    for plain, fast in zip(*runs, strict=True):
        assert (plain - fast.double()).abs().max() <= 0.04 * plain.abs().max()


@pytest.mark.parametrize(
    ("low", "chosen"),
    [
        (1.0, torch.bfloat16),
        (1.59, torch.bfloat16),
        (1.61, torch.float32),
        (50.0, torch.float32),
        (float("inf"), torch.float32),
    ],
)
def test_bfloat16_is_chosen_where_it_is_clearly_faster(monkeypatch, low, chosen):
    seconds = {torch.float32: 2.0, torch.bfloat16: low}
    monkeypatch.setattr(fused_lstm, "product_seconds", lambda dtype, device: seconds[dtype])
    monkeypatch.setattr(fused_lstm, "faster_library", lambda: (False, 2.0, 9.0))
    fused_lstm.faster_products.cache_clear()
    dtype, told = fused_lstm.faster_products()
    assert dtype == chosen and told == f"2000.00 ms in float32, {1000 * low:.2f} ms in bfloat16"
    monkeypatch.setattr(fused_lstm, "product_seconds", None)  # asked again, nothing is measured
    assert fused_lstm.faster_products() == (dtype, told)
    fused_lstm.faster_products.cache_clear()


def test_bfloat16_has_to_beat_the_faster_library(monkeypatch):
    monkeypatch.setattr(fused_lstm, "product_seconds", lambda dtype, _: 2.0 if dtype == torch.float32 else 1.0)
    monkeypatch.setattr(fused_lstm, "faster_library", lambda: (True, 2.0, 1.2))
    fused_lstm.faster_products.cache_clear()
    assert fused_lstm.faster_products()[0] == torch.float32
    fused_lstm.faster_products.cache_clear()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("count", [3, 5000])
def test_a_tanh_is_two_sigmas_less_one(dtype, count):
    a = torch.linspace(-30, 30, count, dtype=dtype)
    close = {"rtol": 0, "atol": 4 * torch.finfo(dtype).eps}
    torch.testing.assert_close(fused_lstm.tanh_of(a, torch.empty_like(a)), torch.tanh(a), **close)
    wide = torch.stack([a, a], 1)
    fused_lstm.tanh_of(wide[:, 1], out=wide[:, 1])
    torch.testing.assert_close(wide, torch.stack([a, torch.tanh(a)], 1), **close)


@pytest.fixture(params=[True, False], ids=["oneDNN", "MKL"])
def library(request, monkeypatch):
    """Let the products of float32 go through one library, whatever is faster here."""
    if request.param and not torch.backends.mkldnn.is_available():
        pytest.skip("this PyTorch has no oneDNN")
    monkeypatch.setattr(fused_lstm, "faster_library", lambda: (request.param, 1.0, 1.0))
    monkeypatch.setattr(fused_lstm, "SIZE", 100)
    return request.param


@pytest.mark.parametrize("rows", [1, 15, 16, 700])
def test_each_library_multiplies_the_same(library, rows):
    """All four products against float64: a step's, added or not, and those of whole sequences."""
    generator = torch.Generator().manual_seed(rows)
    x, weight, bias, dz, old = (
        torch.randn(*shape, generator=generator) for shape in ((rows, 20), (20, 24), (24,), (rows, 24), (rows, 24))
    )
    exact = x.double() @ weight.double()
    times = fused_lstm.Times(weight, 8)
    assert (times.packed is not None) == library
    assert fused_lstm.Times(weight, 7).packed is None and fused_lstm.Times(weight[:4], 8).packed is None
    close = {"rtol": 0, "atol": 2e-5}
    torch.testing.assert_close(times.into(torch.empty(rows, 24), x).double(), exact, **close)
    torch.testing.assert_close(times.onto(old.clone(), x).double(), exact + old, **close)
    wide = torch.empty(rows, 30)  # what is filled may be a part of a row
    times.into(wide[:, 3:27], x)
    torch.testing.assert_close(wide[:, 3:27].double(), exact, **close)
    for many in (x, x.repeat(2048 // rows + 1, 1)):
        want = many.double() @ weight.double()
        torch.testing.assert_close(fused_lstm.all_rows(many, weight).double(), want, **close)
        torch.testing.assert_close(fused_lstm.all_rows(many, weight, bias).double(), want + bias, **close)
    gradient = fused_lstm.over_rows(x, dz).double()
    torch.testing.assert_close(gradient, x.double().t() @ dz.double(), rtol=0, atol=2e-4)


@pytest.mark.parametrize("steps", [2, 12])
def test_the_sequence_is_that_of_the_plain_layer_by_either_library(library, steps):
    """States and all gradients against the plain layer in float64, with 300 rows of 3 inputs."""
    torch.manual_seed(steps)
    net = PeepholeLSTM(3, 5).double()
    x, h, c = torch.randn(steps, 300, 3), torch.randn(300, 5), torch.randn(300, 5)
    pull = torch.randn(steps, 300, 5).double()
    weights = [net.weight_x, net.weight_h, net.bias, net.peephole]
    low = [w.detach().float().requires_grad_() for w in weights]
    given = [a.double().requires_grad_() for a in (x, h, c)]
    flat = [a.clone().requires_grad_() for a in (x, h, c)]
    hs, _ = net(given[0], (given[1], given[2]), fused=False)
    ours, *_ = fused_lstm.lstm_sequence(*flat, *low)
    torch.testing.assert_close(ours.double(), hs, rtol=0, atol=1e-5)
    (hs * pull).sum().backward()
    (ours.double() * pull).sum().backward()
    for plain, fast in zip([*given, *weights], [*flat, *low], strict=True):
        torch.testing.assert_close(fast.grad.double(), plain.grad, rtol=1e-4, atol=1e-4)


def test_a_product_is_timed_by_its_fastest_call_but_the_first(monkeypatch):
    ticks = iter([0.0, 1.0, 10.0, 15.0, 20.0, 23.0, 30.0, 39.0])  # 1 to warm up, then 5, 3 and 9 seconds
    monkeypatch.setattr(fused_lstm, "time", types.SimpleNamespace(perf_counter=lambda: next(ticks)))
    assert fused_lstm.product_seconds(torch.float32, "cpu", calls=3) == 3.0


def test_a_format_that_the_device_does_not_multiply_is_endlessly_slow():
    assert fused_lstm.product_seconds(torch.bool, "cpu") == float("inf")


def test_no_step_is_refused_as_by_the_plain_layer():
    state, words = torch.zeros(2, 4), r"x has shape \(0, 2, 3\): no step"
    with pytest.raises(ValueError, match=f"^lstm_sequence: {words}"):
        weights = torch.zeros(3, 16), torch.zeros(4, 16), torch.zeros(16), torch.zeros(3, 4)
        fused_lstm.lstm_sequence(torch.zeros(0, 2, 3), state, state, *weights)
    with pytest.raises(ValueError, match=words):
        PeepholeLSTM(3, 4)(torch.zeros(0, 2, 3))

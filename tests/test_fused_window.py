"""The window's engine room: against the plain way, memory, subnormal numbers, what is saved and what is handed back."""

import ast
import math

import pytest
import torch

import softattn.fused_window as engine
from softattn.fused_window import FAR, LIMIT, look, look_back, texts_by_step, window_sequence
from softattn.window import SoftWindow, WindowLSTM, WindowState

T, B, I, H, A, K, U, N = 9, 3, 4, 7, 5, 3, 6, 5


def randn(*shape, dtype=torch.float64, grad=False):
    return torch.randn(*shape, dtype=dtype).requires_grad_(grad)


def random_lstm(dtype=torch.float64, peephole=True):
    lstm = WindowLSTM(I, H, A, K, peephole=peephole, pace=0.7)
    with torch.no_grad():
        for weight in lstm.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    return lstm.to(dtype)


def everything(lstm):
    """All that a batch may bring."""
    rows = torch.randint(N, (T, B))
    rows[1] = rows[0]
    state = WindowState(*(randn(B, n).abs().requires_grad_() for n in (H, H, K, A)))
    mask = torch.arange(U) < torch.tensor([6, 4, 3, 5, 1])[:, None]
    return dict(mask=mask, reset=torch.rand(T, B) < 0.2, rows=rows, state=state)


# -- against the plain way --


@pytest.mark.parametrize("peephole", [True, False])
@pytest.mark.parametrize("pick", [None, *range(8)])
def test_plain_and_fused_agree(peephole, pick):
    lstm, x, chars = random_lstm(peephole=peephole), randn(T, B, I, grad=True), randn(N, U, A, grad=True)
    more = everything(lstm)
    inputs, both = [x, chars, *more["state"], *lstm.parameters()], []
    for fused in (False, True):
        *out, state = lstm(x, chars, **more, fused=fused)
        out = [*out, *state]
        used = out if pick is None else [out[pick]]
        loss = sum((v * torch.linspace(-1, 1, v.numel(), dtype=v.dtype).view(v.shape)).sum() for v in used)
        grads = torch.autograd.grad(loss, inputs, allow_unused=True)
        both.append(out + [torch.zeros_like(w) if g is None else g for g, w in zip(grads, inputs, strict=True)])
    for plain, fast in zip(*both, strict=True):
        assert (plain - fast).abs().max() <= 1e-10 * max(1.0, plain.abs().max())


@pytest.mark.parametrize("peephole", [True, False])
def test_products_in_bfloat16_stay_near_the_plain_way_in_float64(peephole):
    """Weights, inputs and state that bfloat16 holds exactly: only what is rounded on the way may differ."""
    lstm = random_lstm(peephole=peephole)
    more = everything(lstm)
    state = [s.detach().bfloat16().double() for s in more["state"]]
    given = [randn(T, B, I).bfloat16().double(), randn(N, U, A).bfloat16().double(), *state]
    low = random_lstm(torch.float32, peephole)
    with torch.no_grad():
        for mine, theirs in zip(lstm.parameters(), low.parameters(), strict=True):
            theirs.copy_(mine.copy_(mine.bfloat16()))
    both = []
    for layer, dtype, fused in ((lstm, torch.float64, False), (low, torch.float32, True)):
        x, chars, *state = inputs = [a.to(dtype).requires_grad_() for a in given]
        with torch.autocast("cpu", torch.bfloat16, enabled=fused):
            read = layer(x, chars, mask=more["mask"], reset=more["reset"], rows=more["rows"],
                         state=WindowState(*state), fused=fused)  # fmt: skip
        out = [*read[:4], *read.state]
        assert not fused or [a.dtype for a in out[:4:3]] == [torch.bfloat16, torch.float32]  # h; the places stay exact
        loss = sum((v.to(dtype) * torch.linspace(-1, 1, v.numel(), dtype=dtype).view(v.shape)).sum() for v in out)
        both.append(out + list(torch.autograd.grad(loss, [*inputs, *layer.parameters()])))
    for plain, fast in zip(*both, strict=True):
        assert (plain - fast).abs().max() <= 0.03 * plain.abs().max()


def test_one_step_of_the_window_against_autograd():
    window = SoftWindow(H, K).double()
    hats, before = randn(B, 3, K, grad=True), randn(B, K).abs().requires_grad_()
    text, u = randn(B, U, A), torch.arange(1, U + 1, dtype=torch.float64)
    alpha, beta, step = hats.exp().unbind(1)
    kappa = before + step
    phi = window.phi(alpha, beta, kappa, u)
    w = (phi[:, None] @ text)[:, 0]
    dw, dphi = randn(B, A), randn(B, U)
    wanted = torch.autograd.grad((w * dw).sum() + (phi * dphi).sum(), [hats, before])
    with torch.no_grad():
        mine = torch.empty_like(phi)
        assert torch.allclose(look(kappa, hats.exp(), u, text, mine), w) and torch.allclose(mine, phi)
        dkappa, dhats = torch.zeros(B, K).double(), torch.empty(B, 3, K).double()
        look_back(kappa, hats.exp(), u, text, dw, dphi, dkappa, dhats)
    assert torch.allclose(dhats, wanted[0], rtol=1e-10, atol=1e-12)
    assert torch.allclose(dkappa, wanted[1], rtol=1e-10, atol=1e-12)


def test_the_function_of_tensors_is_the_layer():
    lstm, x, chars = random_lstm(), randn(T, B, I), randn(B, U, A)
    window, first = lstm.window, (lstm.weight_x, lstm.weight_h, lstm.weight_w, lstm.bias, lstm.peephole)
    *out, state = window_sequence(x, chars, lstm.start(B), (*first, window.weight, window.bias))
    want = lstm(x, chars)
    for mine, theirs in zip((*out, *state), (*want[:4], *want.state), strict=True):
        assert torch.equal(mine, theirs)


def test_the_engine_knows_tensors_only():
    tree = ast.parse(open(engine.__file__, encoding="utf-8").read())
    names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name for name in names if name.startswith("softattn")} == {"softattn.fused_lstm"}
    assert engine.__all__ == ["window_sequence"]


@pytest.mark.skipif(torch.__version__.startswith("2.6."), reason="PyTorch 2.6: its functions show no graph")
def test_what_nobody_asks_for_is_not_computed():
    lstm, x, chars = random_lstm(), randn(T, B, I), randn(B, U, A)
    function = lstm(x, chars, fused=True).h.grad_fn
    assert [kind is not None for kind, _ in function.next_functions[:2]] == [False, False]


# -- texts --


def test_equal_neighbours_share_memory():
    chars, rows = randn(N, U, A), torch.tensor([[0, 1], [0, 1], [2, 1], [2, 1], [0, 1]])
    texts = texts_by_step(chars, rows, 5)
    assert texts[0] is texts[1] and texts[2] is texts[3] and texts[0] is not texts[4]
    assert all(torch.equal(text, chars[row]) for text, row in zip(texts, rows, strict=True))
    assert texts_by_step(None, rows, 2) == [None, None] and texts_by_step(chars, None, 2)[1] is chars


# -- memory and numbers --


def test_no_result_is_subnormal():
    lstm = WindowLSTM(I, H, A, K, pace=1.0)
    with torch.no_grad():
        lstm.window.bias[K : 2 * K] = math.log(0.9)  # distances of some ten letters: exponents of about 90
    read = lstm(randn(20, 1, I, dtype=torch.float32), torch.ones(1, 20, A), fused=True)
    assert read.phi.min() > 0.01 * math.exp(-FAR)


@pytest.mark.parametrize("raw", [LIMIT + 5, 1e9])
def test_outputs_that_ran_away_are_held_and_called_back(raw):
    lstm = WindowLSTM(1, 2, 2, 1)
    with torch.no_grad():
        lstm.window.weight.zero_()
        lstm.window.bias.fill_(raw)
    x, chars, both = torch.zeros(2, 1, 1), torch.ones(1, 3, 2), []
    for fused in (False, True):
        read = lstm(x, chars, fused=fused)
        assert read.kappa[0].item() == pytest.approx(math.exp(LIMIT), rel=1e-5)
        both.append(torch.autograd.grad(read.kappa.sum(), lstm.window.bias)[0])
    assert torch.allclose(*both) and both[0][2] > 0


@pytest.mark.parametrize("low", [False, True])
def test_no_memory_is_read_before_it_is_written(low):
    # sizes at which a processor with AMX reads beyond a slice of bfloat16 rows: more than 32 rows, H no multiple of 32
    lstm = WindowLSTM(8, 33, 7, 3)
    x, chars = (randn(*s, dtype=torch.float32, grad=True) for s in ((6, 40, 8), (40, 10, 7)))
    rows = torch.arange(40).repeat(6, 1)
    reset = torch.zeros(6, 40, dtype=torch.bool)
    reset[3, ::2] = True
    torch.use_deterministic_algorithms(True)  # fills new memory with NaN
    try:
        assert torch.empty(3).isnan().all() and x.new_empty(3).isnan().all()
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            read = lstm(x, chars, reset=reset, rows=rows, fused=True)
        loss = sum(v.float().sum() for v in (read.h, read.w, read.kappa, *read.state))
        grads = torch.autograd.grad(loss, [x, chars, *lstm.parameters()])
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(torch.isfinite(v).all() for v in (*read[:4], *read.state, *grads))

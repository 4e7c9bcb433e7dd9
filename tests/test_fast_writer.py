"""The fast writer: its step against forward, its points against the mixture's, rows that do not know each other."""

import math

import pytest
import torch
from test_synthesis import network

from softattn import fast_writer
from softattn.fast_writer import Product, StepNetwork, draw_points, pen_noise, steady_widths
from softattn.mixture import StrokeMixture
from softattn.synthesis import encode_texts, pack_weights, sample_lines


def test_noise_is_uniform_and_normal_and_can_be_prolonged():
    numbers = pen_noise(7, 20_000)
    assert torch.equal(numbers[:50], pen_noise(7, 50)) and not torch.equal(numbers[:50], pen_noise(8, 50))
    uniform, normal = numbers[:, :2], numbers[:, 2:]
    assert uniform.min() >= 0 and uniform.max() < 1
    assert (uniform.mean(0) - 0.5).abs().max() < 5 * math.sqrt(1 / 12 / 20_000)
    assert normal.mean(0).abs().max() < 5 / math.sqrt(20_000)
    assert (normal.var(0) - 1).abs().max() < 5 * math.sqrt(2 / 20_000)
    assert torch.corrcoef(numbers.t()).fill_diagonal_(0).abs().max() < 5 / math.sqrt(20_000)


@pytest.mark.parametrize(("layers", "dtype"), [(1, torch.float64), (4, torch.float64), (3, torch.float32)])
def test_a_step_equals_forward(layers, dtype):
    model, x = network(layers=layers, dtype=dtype), torch.randn(12, 3, 3, dtype=dtype)
    text, exact = encode_texts(["Hello World", "a" * 17, "xy"]), 1e-10 if dtype == torch.float64 else 1e-5
    with torch.no_grad():
        whole, step = model(x, text), StepNetwork(pack_weights(model))
        rows = step.start(text.masked_fill(text < 0, step.A))
        for t in range(12):
            raw, phi = step.step(x[t], rows)
            torch.testing.assert_close(raw, whole.raw[t], rtol=exact, atol=exact)
            torch.testing.assert_close(phi[:, :17] * (text >= 0), whole.phi[t], rtol=exact, atol=exact)
            torch.testing.assert_close(rows.kappa, whole.kappa[t], rtol=exact, atol=exact)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_point_is_drawn_as_the_mixture_draws_it(dtype):
    raw, noise, bias = 3 * torch.randn(200, 25), torch.rand(200, 4), 4 * torch.rand(200)
    raw, noise, bias = raw.to(dtype), noise.to(dtype), bias.to(dtype)
    raw[:20, 13:21] += 200.0  # wider than any pen: held
    wanted = StrokeMixture(raw).sample(bias, noise=noise)
    torch.testing.assert_close(draw_points(raw.clone(), bias[:, None], noise), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("loses", [False, True])
def test_a_product_is_a_linear_layer_and_its_widths_agree(loses):
    """Weights that half precision holds, and weights that it does not: then float32 multiplies."""
    weight, bias, x = torch.randn(70, 33), torch.randn(70), torch.randn(60, 33)
    weight = weight if loses else weight.bfloat16().float()
    product = Product(weight, bias)
    assert product.packed is None or not loses
    torch.testing.assert_close(product(x), torch.nn.functional.linear(x, weight, bias), rtol=1e-5, atol=1e-5)
    widths = steady_widths([product])
    alone = torch.cat([product(row.expand(widths[0], -1))[:1] for row in x])
    for width in widths:
        assert torch.equal(product(x[:width]), alone[:width]), "wherever a row stands, and beside whom"


@pytest.mark.parametrize("widths", [[1], [4], [4, 12]])
def test_where_fewer_widths_agree_fewer_lines_stand_side_by_side(monkeypatch, widths):
    model, texts = network(dtype=torch.float64), ["ink", "a pencil", "paper", "x", "oak", "pens"]
    wanted, seen, times = sample_lines(model, texts, range(6)), [], Product.__call__
    monkeypatch.setattr(fast_writer, "_LAST", [])  # nothing is packed yet
    monkeypatch.setattr(fast_writer, "steady_widths", lambda products: widths)
    monkeypatch.setattr(Product, "__call__", lambda self, x: (seen.append(len(x)), times(self, x))[1])
    for one, other in zip(wanted, sample_lines(model, texts, range(6)), strict=True):
        torch.testing.assert_close(one.strokes.offsets, other.strokes.offsets, rtol=1e-5, atol=1e-3)
    assert seen and set(seen) <= set(widths)


def test_a_packed_network_is_packed_anew_when_a_weight_changes(monkeypatch):
    model, text = network(hidden=20), ["ink"]
    first = sample_lines(model, text, [1])[0]
    packed = fast_writer._LAST[0]
    assert sample_lines(model, text, [1])[0].strokes == first.strokes and fast_writer._LAST[0] is packed
    with torch.no_grad():
        model.output.bias.data[1:] += 0.5  # not even autograd's counter sees it
    changed = sample_lines(model, text, [1])[0]
    assert fast_writer._LAST[0] is not packed
    monkeypatch.setattr(fast_writer, "_LAST", [])
    assert sample_lines(model, text, [1])[0].strokes == changed.strokes != first.strokes


def test_no_room_is_read_that_was_not_filled(monkeypatch):
    """Where fresh memory holds NaN, no output is NaN."""
    fresh, model = torch.Tensor.new_empty, network(hidden=20)
    monkeypatch.setattr(torch.Tensor, "new_empty", lambda s, *a, **k: fresh(s, *a, **k).fill_(math.nan))
    for draft in sample_lines(model, ["ink and paper", "pen"], [1, 2]):
        assert draft.strokes.offsets.isfinite().all() and draft.phi.isfinite().all()


@torch.no_grad()
def test_points_to_go_on_from_are_read_as_each_line_reads_its_own():
    """Lines of 2, 5, 1 and 4 points beside each other, and each alone, point by point."""
    step = StepNetwork(pack_weights(network(dtype=torch.float64)))
    codes, primes = encode_texts(["ink", "oak", "pen", "ash"]), [torch.randn(n, 3).double() for n in (2, 5, 1, 4)]
    rows = step.start(codes)
    last = fast_writer.read_primes(step, rows, primes)
    for b, prime in enumerate(primes):
        alone = step.start(codes[b : b + 1])
        for point in prime[:-1]:
            step.step(point[None], alone)
        assert torch.equal(last[b], prime[-1])
        for part in ("row", "cells", "kappa"):
            torch.testing.assert_close(getattr(rows, part)[b], getattr(alone, part)[0], rtol=1e-10, atol=1e-10)


# -- when a line ends --------------------------------------------------------------------------------------------------


def test_a_line_ends_at_a_lift_behind_the_sign_or_eight_points_later():
    """Text of two characters, a look at each of 24 points; the sign from point 5 on; blocks of eight."""
    phi = torch.tensor([0.5, 0.4, 0.1]).repeat(3, 24, 1)
    phi[:, 5:] = torch.tensor([0.1, 0.1, 0.7])
    phi[2] = 0.0  # a window that sees nothing has no sign
    lifts = torch.zeros(3, 24, dtype=torch.bool)
    lifts[:, 3], lifts[0, 9] = True, True
    over, ends, late = torch.full((3,), fast_writer.NEVER), [], []
    for start in range(0, 24, 8):
        block = slice(start, start + 8)
        end, back, over = fast_writer.signs(phi[:, block], lifts[:, block], torch.tensor([2, 2, 2]), over, start)
        ends.append(end)
        late.append(back)
    ends, late = torch.cat(ends, 1), torch.cat(late, 1)
    assert over[:2].tolist() == [5, 5] and over[2] == fast_writer.NEVER
    assert ends[0].nonzero()[:, 0].tolist() == [9] and not ends[1:].any()
    assert late[1].nonzero()[:, 0].tolist() == [5 + fast_writer.GRACE] and not late[2].any()


def test_what_is_drawn_after_the_sign_is_dropped():
    """Pages keep the points up to the sign where no lift comes, and all up to the lift where one does."""
    points = torch.zeros(2, 25, 3)
    points[:, 3, 2], points[0, 9, 2] = 1.0, 1.0
    phi = torch.tensor([0.5, 0.4, 0.1]).repeat(2, 24, 1)
    phi[:, 5:] = torch.tensor([0.1, 0.1, 0.7])
    off, never = torch.zeros(2, dtype=torch.bool), torch.full((2,), fast_writer.NEVER)
    pages = fast_writer.Pages(points, phi, torch.tensor([24, 24]), off, never)
    live, lengths = torch.tensor([0, 1]), torch.tensor([2, 2])
    for start in (0, 8):
        stop = pages.note(start, live, lengths)
        live = live[~stop]
    assert pages.took.tolist() == [9, 5] and pages.ended.all() and not len(live)


def test_a_look_before_any_ink_is_no_sign():
    """The first line sees the sign from the start, the second from its first point, the third from its second."""
    phi = torch.tensor([0.5, 0.4, 0.1]).repeat(3, 8, 1)
    for b, first in enumerate((0, 1, 2)):
        phi[b, first:] = torch.tensor([0.1, 0.1, 0.7])
    lifts, never = torch.zeros(3, 8, dtype=torch.bool), torch.full((3,), fast_writer.NEVER)
    _, _, over = fast_writer.signs(phi, lifts, torch.tensor([2, 2, 2]), never, 0)
    assert over.tolist() == [1, 1, 2]


def test_a_line_that_reaches_its_limit_keeps_all_and_a_late_lift_is_an_end():
    """No sign until the limit of 6; a sign at look 5 and a lift eight points later; neither, and room left."""
    points, phi = torch.zeros(3, 25, 3), torch.tensor([0.5, 0.4, 0.1]).repeat(3, 24, 1)
    phi[1, 5:] = torch.tensor([0.1, 0.1, 0.7])
    points[1, 5 + fast_writer.GRACE, 2] = 1.0
    never = torch.full((3,), fast_writer.NEVER)
    pages = fast_writer.Pages(points, phi, torch.tensor([6, 24, 24]), torch.zeros(3, dtype=torch.bool), never)
    live, lengths = torch.arange(3), torch.tensor([2, 2, 2])
    for start in (0, 8):
        live = live[~pages.note(start, live, lengths)]
    assert pages.took.tolist() == [6, 5 + fast_writer.GRACE, 24] and live.tolist() == [2]
    assert pages.ended.tolist() == [False, True, False]
    assert [(len(xy), len(looks), ended) for xy, looks, ended in pages.lines(torch.tensor([3, 3, 3]))] == [
        (7, 7, False), (14, 14, True), (25, 24, False),
    ]  # fmt: skip

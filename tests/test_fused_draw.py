"""Oracle tests of softattn.fused_draw: each function against autograd or a loop; all steps against a plain loop."""

import math

import numpy as np
import pytest
import torch

from softattn.fused_draw import (
    Row,
    aim_slopes,
    filter_rows,
    filters_backward,
    fused_draw,
    pack_weights,
    plan_grids,
)
from softattn.fused_draw import _DRAWFunction as Function

BOUND = 5.0


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def randn(*shape, seed=0, scale=1.0):
    return scale * torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


@pytest.mark.parametrize("sigma", [0.3, 1.0, 4.0])
def test_a_row_is_a_normalised_gaussian(sigma):
    mu = torch.tensor([[3.2, 6.9, 0.4], [1.0, 8.0, 4.5]], dtype=torch.float64)
    scale = torch.full((2, 1, 1), -0.5 / sigma**2, dtype=torch.float64)
    a = np.arange(1, 9)
    for b, i in np.ndindex(2, 3):
        want = np.exp(-((a - mu[b, i].item()) ** 2) / (2 * sigma**2))
        got = filter_rows(mu, scale, 8)[b, i].numpy()
        assert np.abs(got - want / want.sum()).max() < 1e-12
    far = filter_rows(torch.tensor([[-1e9, 1e9]]), torch.tensor([[[-0.5]]]), 8)
    assert far[0, 0, 0] > 0.999 and far[0, 1, -1] > 0.999  # the edge pixel at full weight


def laid(aims, x, sizes):
    """Filters (B C, 2, R, L) and log gamma of both grids, from raw aims (B, 2, 5): eq. 19 to 26, by autograd."""
    C, height, width = x.shape[1:]
    length, rows = max(height, width), []
    for k, n in enumerate(sizes):
        logs = BOUND * torch.tanh(aims[:, k, 2:])
        delta = (length - 1) / (n - 1) * logs[:, 1].exp()
        axes = []
        for axis, side in enumerate((width, height)):
            centre = (side + 1) / 2 * (aims[:, k, axis] + 1)
            mu = centre[:, None] + (torch.arange(1, n + 1) - n / 2 - 0.5) * delta[:, None]
            a = torch.arange(1, side + 1)
            score = -((a - mu[..., None]) ** 2) / (2 * logs[:, 0].exp()[:, None, None])
            F = torch.softmax(score, -1)
            axes.append(torch.nn.functional.pad(F, (0, length - side)))
        rows.append(torch.stack(axes, 1))
    return torch.cat(rows, 2).repeat_interleave(C, 0), BOUND * torch.tanh(aims[..., 4])


@pytest.mark.parametrize("shape", [(4, 1, 8, 8), (3, 2, 6, 9), (2, 3, 9, 5)])
def test_filters_and_their_gradient_from_three_sums(shape):
    x, sizes = torch.zeros(shape, dtype=torch.float64), (3, 4)
    aims = randn(shape[0], 2, 5, scale=0.3)
    aims[..., 2] = aims[..., 2].abs() + 0.3  # wide: no weight is at its floor of e^-30
    aims.requires_grad_()
    F, log_gamma = laid(aims, x, sizes)
    dF, dgamma = randn(*F.shape, seed=1), randn(*log_gamma.shape, seed=2)
    (want,) = torch.autograd.grad((F * dF).sum() + (log_gamma * dgamma).sum(), aims)

    grids = plan_grids(x, sizes, BOUND)

    class Place:  # what lay_filters fills
        aim = aims.detach().clone()
        numbers = torch.empty_like(aim)
        centres = x.new_empty(*F.shape[:3])
        filters = torch.zeros_like(F)

    from softattn.fused_draw import lay_filters

    lay_filters(grids, Place)
    assert (Place.filters - F).abs().max() < 1e-10
    about = (Place.filters.flatten(0, -2) @ grids.powers[:, 1:]).view(*Place.centres.shape, 2)
    slopes = aim_slopes(grids, Place.aim, Place.numbers)
    got = filters_backward(grids, Place.filters, dF, about, Place.centres, dgamma, slopes)
    assert (got - want).abs().max() < 1e-10 * want.abs().max()


def parameters(shape, Z, hidden, sizes):
    """Parameters of all layers, none of them zero."""
    C, height, width = shape
    N, M = sizes
    seen, said = 2 * C * N * N, 10 + C * M * M
    shapes = [
        (C, height, width), (4, hidden), (seen + hidden, 4 * hidden), (hidden, 4 * hidden), (4 * hidden,),
        (Z, 4 * hidden), (hidden, 4 * hidden), (4 * hidden,), (2 * Z, hidden), (2 * Z,), (said, hidden), (said,),
    ]  # fmt: skip
    made = [randn(*s, seed=k, scale=0.3) for k, s in enumerate(shapes)]
    made[-1][[2, 7]] = 2.5  # wide filters: no weight is at its floor of e^-30
    return [a.requires_grad_() for a in made]


def as_arguments(p):
    return p[0], p[1], tuple(p[2:5]), tuple(p[5:8]), tuple(p[8:10]), tuple(p[10:12])


def cell(inputs, h, c, weights):
    i, f, g, o = (inputs @ weights[0] + h @ weights[1] + weights[2]).chunk(4, 1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def plain(x, noise, canvas, start, encoder, decoder, posterior, head, sizes):
    """Equations 1 to 8, nothing rearranged."""
    B, C, height, width = x.shape

    def say(h):
        out = h @ head[0].t() + head[1]
        aims = out[:, :10].unflatten(1, (2, 5))
        aims = torch.cat([aims[..., :2], aims[..., 2:] / BOUND], 2)
        F, log_gamma = laid(aims, x, sizes)
        F = F.unflatten(0, (B, C))
        return out, F[..., 0, :, :width], F[..., 1, :, :height], log_gamma.exp()[..., None, None, None]

    c, (h_e, s_e, h_d, s_d) = canvas.expand(B, -1, -1, -1), (s.expand(B, -1) for s in start)
    out, F_x, F_y, gamma = say(h_d)
    mus, logs, canvases, N = [], [], [], sizes[0]
    for epsilon in noise:
        pictures = (x, x - c.sigmoid())
        look = [gamma[:, 0] * (F_y[:, :, :N] @ image @ F_x[:, :, :N].mT) for image in pictures]
        r = torch.cat(look, 1).flatten(1)
        h_e, s_e = cell(torch.cat([r, h_d], 1), h_e, s_e, encoder)
        mu, log_sigma = (h_e @ posterior[0].t() + posterior[1]).chunk(2, 1)
        h_d, s_d = cell(mu + log_sigma.exp() * epsilon, h_d, s_d, decoder)
        out, F_x, F_y, gamma = say(h_d)
        patch = out[:, 10:].unflatten(1, (C, sizes[1], sizes[1]))
        c = c + F_y[:, :, N:].mT @ patch @ F_x[:, :, N:] / gamma[:, 1]
        for kept, new in ((mus, mu), (logs, log_sigma), (canvases, c)):
            kept.append(new)
    return c, torch.stack(mus), torch.stack(logs), torch.stack(canvases)


CASES = [((1, 6, 6), 1, (2, 3)), ((2, 5, 7), 3, (3, 2)), ((3, 8, 5), 9, (2, 4)), ((1, 6, 6), 17, (2, 2))]


@pytest.mark.parametrize(("shape", "T", "sizes"), CASES)
def test_all_steps_equal_the_plain_loop_in_values_and_gradients(shape, T, sizes):
    p, B, Z = parameters(shape, 3, 5, sizes), 4, 3
    x = torch.rand(B, *shape, generator=seeded(1), dtype=torch.float64).requires_grad_()
    noise = randn(T, B, Z, seed=50)
    got = fused_draw(x, noise, *as_arguments(p), sizes, BOUND, keep=True)
    want = plain(x, noise, *as_arguments(p), sizes)
    losses = []
    for parts in ((got.canvas, got.mu, got.log_sigma), want[:3]):
        losses.append(sum((randn(*part.shape, seed=9) * part).sum() for part in parts))
    for a, b in zip((got.canvas, got.mu, got.log_sigma, got.canvases), want, strict=True):
        assert (a - b).abs().max() < 1e-10 * max(1, b.abs().max())
    grads = [torch.autograd.grad(loss, [x, *p]) for loss in losses]
    for a, b in zip(*grads, strict=True):
        assert b.abs().max() > 1e-8 and (a - b).abs().max() < 1e-10 * max(1, b.abs().max())


@pytest.mark.parametrize(("shape", "T", "sizes"), CASES[:3])
def test_products_in_bfloat16_stay_near_the_plain_loop_in_float64(shape, T, sizes):
    """Weights that bfloat16 holds exactly: only what is rounded on the way may differ, by some thousandths."""
    p, B, Z = parameters(shape, 3, 5, sizes), 4, 3
    with torch.no_grad():
        for a in p:
            a.copy_(a.bfloat16())
    x = torch.rand(B, *shape, generator=seeded(1), dtype=torch.float64).bfloat16().double().requires_grad_()
    noise = randn(T, B, Z, seed=50).bfloat16().double()
    small = [a.detach().float().requires_grad_() for a in (x, *p)]
    with torch.autocast("cpu", torch.bfloat16):
        got = fused_draw(small[0], noise.float(), *as_arguments(small[1:]), sizes, BOUND, keep=True)
    want = plain(x, noise, *as_arguments(p), sizes)
    kept = got.canvas, got.mu, got.log_sigma, got.canvases
    assert all(a.dtype == torch.float32 for a in kept)
    pull = [randn(*part.shape, seed=9) for part in want[:3]]
    mine = torch.autograd.grad(sum((a * b.float()).sum() for a, b in zip(kept, pull, strict=False)), small)
    theirs = torch.autograd.grad(sum((a * b).sum() for a, b in zip(want, pull, strict=False)), [x, *p])
    for a, b in zip((*kept, *mine), (*want, *theirs), strict=True):
        assert (a - b).abs().max() < 0.04 * b.abs().max()


def test_without_a_step_the_canvas_is_the_first_of_every_picture():
    p, sizes = parameters((1, 6, 6), 3, 5, (2, 3)), (2, 3)
    out = fused_draw(torch.rand(4, 1, 6, 6, dtype=torch.float64), randn(0, 4, 3), *as_arguments(p), sizes, BOUND)
    assert torch.equal(out.canvas, p[0].expand(4, 1, 6, 6)) and out.mu.shape == out.log_sigma.shape == (0, 4, 3)
    (grad,) = torch.autograd.grad(out.canvas.sum(), p[0])
    assert (grad == 4).all()  # one of each picture


def test_what_is_not_differentiated_says_so():
    shape, sizes = (1, 6, 6), (2, 3)
    p, x, noise = parameters(shape, 3, 5, sizes), torch.rand(2, 1, 6, 6, dtype=torch.float64), randn(2, 2, 3)
    out = fused_draw(x, noise, *as_arguments(p), sizes, BOUND, keep=True)
    assert not out.aims.requires_grad and not out.canvases.requires_grad and out.canvas.requires_grad
    assert fused_draw(x, noise, *as_arguments(p), sizes, BOUND).canvases.shape[0] == 0
    (grad,) = torch.autograd.grad(out.canvas.square().sum(), p[0], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.sum().backward()
    assert issubclass(Function, torch.autograd.Function)


def test_the_encoder_hears_the_error_through_rearranged_weights():
    """W [x; x - ink] with the weights of the plain way is W' [x; ink] with the packed ones, row by row."""
    p, N, C = parameters((2, 5, 5), 3, 4, (2, 2)), 2, 2
    packed = pack_weights(as_arguments(p)[2:], (2, 2), BOUND, C)
    of_x, of_ink, h_dec, h_enc = randn(3, C, N, N), randn(3, C, N, N, seed=1), randn(3, 4), randn(3, 4, seed=2)
    r = torch.stack([of_x, of_ink], 3).flatten(1)  # as two pictures side by side are read: (C, N, 2, N)
    heard = torch.cat([torch.ones(3, 1), h_dec, r, h_enc], 1)
    r = torch.cat([of_x, of_x - of_ink], 1).flatten(1)
    want = torch.cat([r, h_dec], 1) @ p[2] + h_enc @ p[3] + p[4]
    assert (heard @ packed[0] - want).abs().max() < 1e-12


def test_neighbours_of_a_row_cover_it_once():
    row = Row(latent=3, hidden=4, seen=8)
    order = [row.z, slice(3, 4), row.h_dec, row.r, row.h_enc, slice(row.ones[1], row.ones[1] + 1)]
    assert [part.start for part in order[1:]] == [part.stop for part in order[:-1]]
    assert row.width >= order[-1].stop and row.width % 32 == 0
    assert (row.decoder, row.head) == (slice(0, 8), slice(3, 8))
    assert (row.encoder, row.posterior) == (slice(3, 20), slice(16, 21))
    assert math.prod((row.fresh.start, row.fresh.stop)) == 8 * 20


def test_a_row_is_the_least_multiple_of_32_that_holds_it():
    for seen in range(1, 80):
        assert Row(latent=3, hidden=4, seen=seen).width == 32 * math.ceil((3 + 1 + 4 + seen + 4 + 1) / 32)

"""Oracle tests of softattn.filterbank: double loops in NumPy, the adjoint law, flips, far outside, gradcheck."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from softattn.filterbank import Filterbank, read_patch, write_patch

META = torch.device("meta")
SIZES = [(28, 28, 5), (28, 28, 12), (7, 11, 3), (20, 9, 4), (6, 6, 2), (5, 5, 5)]


def make(bank, B=3, C=2, seed=0, dtype=torch.float64, device="cpu", spread=0.5):
    """Raw parameters, images and patches, drawn on the CPU."""
    g = torch.Generator().manual_seed(seed)
    raw = spread * torch.randn(B, 5, generator=g, dtype=torch.float64)
    x = torch.randn(B, C, bank.height, bank.width, generator=g, dtype=torch.float64)
    w = torch.randn(B, C, bank.n, bank.n, generator=g, dtype=torch.float64)
    return [t.to(device, dtype) for t in (raw, x, w)]


def loops(bank, raw):
    """One row of raw -> F_y, F_x, gamma by plain loops, equations 19 to 26 of the paper, i and a from 1."""
    gt_x, gt_y, log_s2, log_d, log_gamma = (float(v) for v in raw)
    A, B, N = bank.width, bank.height, bank.n
    g_x, g_y = (A + 1) / 2 * (gt_x + 1), (B + 1) / 2 * (gt_y + 1)
    delta = (max(A, B) - 1) / (N - 1) * math.exp(log_d)
    matrices = []
    for g, length in ((g_y, B), (g_x, A)):
        F = np.zeros((N, length))
        for i in range(1, N + 1):
            mu = g + (i - N / 2 - 0.5) * delta
            for a in range(1, length + 1):
                F[i - 1, a - 1] = math.exp(-((a - mu) ** 2) / (2 * math.exp(log_s2)))
            F[i - 1] /= F[i - 1].sum()
        matrices.append(F)
    return *matrices, math.exp(log_gamma)


# -- against loops -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width", "n"), SIZES)
def test_filters_read_and_write_equal_double_loops(device, height, width, n):
    bank = Filterbank(height, width, n)
    raw, x, w = make(bank, device=device)
    F_y, F_x, gamma = bank.filters(raw)
    read, written = bank.read(x, raw), bank.write(w, raw)
    for b in range(3):
        want_y, want_x, want_gamma = loops(bank, raw[b])
        assert np.abs(F_y[b].cpu().numpy() - want_y).max() < 1e-10
        assert np.abs(F_x[b].cpu().numpy() - want_x).max() < 1e-10
        assert abs(gamma[b].item() - want_gamma) < 1e-10
        for c in range(2):
            image, patch = x[b, c].cpu().numpy(), w[b, c].cpu().numpy()
            got_patch, got_image = read[b, c].cpu().numpy(), written[b, c].cpu().numpy()
            for j in range(n):
                for i in range(n):
                    want = want_gamma * (want_y[j][:, None] * image * want_x[i]).sum()
                    assert abs(got_patch[j, i] - want) < 1e-10
            want = np.zeros((height, width))
            for j in range(n):
                for i in range(n):
                    want += patch[j, i] * np.outer(want_y[j], want_x[i]) / want_gamma
            assert np.abs(got_image - want).max() < 1e-10


def test_params_are_the_paper_s(device):
    bank = Filterbank(20, 30, 4)
    raw = torch.tensor([[0.2, -0.4, math.log(2.0), math.log(0.5), math.log(3.0)]], dtype=torch.float64, device=device)
    g_x, g_y, delta, sigma2, gamma = bank.params(raw)
    assert g_x.item() == pytest.approx(31 / 2 * 1.2) and g_y.item() == pytest.approx(21 / 2 * 0.6)
    assert delta.item() == pytest.approx(29 / 3 * 0.5)  # max(A, B) - 1
    assert sigma2.item() == pytest.approx(2.0) and gamma.item() == pytest.approx(3.0)
    side = 29 * 0.5
    assert bank.box(raw)[0].tolist() == pytest.approx([31 / 2 * 1.2 - 1, 21 / 2 * 0.6 - 1, side, side])


def test_zeros_place_the_centres_from_edge_to_edge():
    bank = Filterbank(28, 28, 5)
    zeros = torch.zeros(1, 5, dtype=torch.float64)
    F_y, F_x, _ = bank.filters(zeros)
    means = (F_x[0] * torch.arange(1, 29)).sum(1)  # a filter's mean place is its centre, but at the edges
    assert means[1:4].tolist() == pytest.approx([7.75, 14.5, 21.25], abs=1e-3)
    assert bank.box(zeros)[0].tolist() == [13.5, 13.5, 27, 27]
    assert torch.allclose(F_x, F_x.flip(1).flip(2), atol=1e-14) and torch.equal(F_x, bank.filters(zeros)[0])
    assert F_x[0, 0].argmax() == 0 and F_x[0, 4].argmax() == 27


def test_float32_is_close_to_float64(device):
    bank = Filterbank(28, 28, 12)
    raw, x, w = make(bank, B=16, device=device)
    for got, want in (
        (bank.read(x.float(), raw.float()), bank.read(x, raw)),
        (bank.write(w.float(), raw.float()), bank.write(w, raw)),
    ):
        assert got.dtype == torch.float32
        assert (got - want).abs().max() < 2e-5 * want.abs().max()


# -- laws --------------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-4, 4), min_size=5, max_size=5),
    st.sampled_from(SIZES),
)
def test_rows_sum_to_one_and_reading_is_adjoint_to_writing(numbers, size):
    bank = Filterbank(*size)
    raw = torch.tensor([numbers], dtype=torch.float64)
    _, x, w = make(bank, B=1)
    F_y, F_x, gamma = bank.filters(raw)
    for F, length in ((F_y, bank.height), (F_x, bank.width)):
        assert F.shape == (1, bank.n, length) and F.min() >= 0
        assert (F.sum(2) - 1).abs().max() < 1e-12
    left, right = (bank.read(x, raw) * w).sum(), gamma.square().sum() * (x * bank.write(w, raw)).sum()
    assert abs(left - right) <= 1e-10 * max(1, abs(left))
    assert (bank.write(w, raw).sum() - w.sum() / gamma[0]).abs() < 1e-9 * max(1, 1 / gamma[0].item())  # no ink is lost


@pytest.mark.parametrize(("height", "width", "n"), SIZES)
def test_a_flip_turns_everything_over(device, height, width, n):
    bank = Filterbank(height, width, n)
    raw, x, w = make(bank, device=device)
    across, down = raw.clone(), raw.clone()
    across[:, 0] *= -1
    down[:, 1] *= -1
    close = dict(rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(bank.read(x.flip(3), across), bank.read(x, raw).flip(3), **close)
    torch.testing.assert_close(bank.read(x.flip(2), down), bank.read(x, raw).flip(2), **close)
    torch.testing.assert_close(bank.write(w.flip(3), across), bank.write(w, raw).flip(3), **close)
    torch.testing.assert_close(bank.write(w.flip(2), down), bank.write(w, raw).flip(2), **close)


def test_x_and_y_are_not_mixed_up():
    bank = Filterbank(28, 28, 5)
    x = torch.zeros(1, 1, 28, 28, dtype=torch.float64)
    x[0, 0, 4, 20] = 1.0  # row 4, column 20
    raw = torch.tensor([[2 * 21 / 29 - 1, 2 * 5 / 29 - 1, -2.0, math.log(1 / 27 * 4), 0.0]], dtype=torch.float64)
    patch = bank.read(x, raw)[0, 0]
    assert patch.argmax() == 12  # in the middle of the patch
    raw[0, 0] += 2 / 29  # look one pixel further right: the spot moves left in the patch
    assert bank.read(x, raw)[0, 0].argmax() == 11
    raw[0, 1] += 2 / 29  # and one further down: up
    assert bank.read(x, raw)[0, 0].argmax() == 6


def test_batches_and_channels_are_independent(device):
    bank = Filterbank(9, 12, 3)
    raw, x, w = make(bank, B=5, C=3, device=device)
    read, written = bank.read(x, raw), bank.write(w, raw)
    for b in range(5):
        for c in range(3):
            torch.testing.assert_close(read[b, c], bank.read(x[b : b + 1, c : c + 1], raw[b : b + 1])[0, 0])
            torch.testing.assert_close(written[b, c], bank.write(w[b : b + 1, c : c + 1], raw[b : b + 1])[0, 0])
    F_y, F_x, gamma = bank.filters(raw)
    torch.testing.assert_close(read_patch(x.transpose(2, 3).contiguous().transpose(2, 3), F_y, F_x, gamma), read)
    torch.testing.assert_close(write_patch(w, F_y, F_x, gamma), written)


def test_an_empty_batch_and_no_channels(device):
    bank = Filterbank(8, 8, 3)
    raw = torch.zeros(0, 5, device=device)
    assert bank.read(torch.zeros(0, 1, 8, 8, device=device), raw).shape == (0, 1, 3, 3)
    assert bank.write(torch.zeros(0, 2, 3, 3, device=device), raw).shape == (0, 2, 8, 8)


# -- far outside -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("place", [40.0, 1e3, 1e6, 1e9, -12.0, -1e9])
def test_far_outside_reads_the_edge_pixel_with_finite_gradients(device, dtype, place):
    bank = Filterbank(8, 8, 3)
    x = torch.zeros(1, 1, 8, 8, dtype=dtype, device=device)
    edge = -1 if place > 0 else 0
    x[..., edge] = 5.0
    raw = torch.tensor([[2 * place / 9 - 1, 0.0, -1.0, -2.0, 0.0]], dtype=dtype, device=device, requires_grad=True)
    out = bank.read(x, raw)
    assert torch.allclose(out, torch.full_like(out, 5.0))
    out.square().sum().backward()
    assert torch.isfinite(raw.grad).all() and raw.grad[0, 0].abs() < 1e-3


@pytest.mark.parametrize("log_sigma2", [-6.0, -20.0, -60.0])
def test_filters_narrower_than_a_pixel_read_the_nearest_pixel(device, log_sigma2):
    """The place between two pixels where every score is far below zero: the nearest one still has the weight 1."""
    bank = Filterbank(12, 12, 3)
    raw = torch.tensor([[2 * 5.3 / 13 - 1, 2 * 8.4 / 13 - 1, log_sigma2, -1.4, 0.0]], device=device, requires_grad=True)
    F_y, F_x, _ = bank.filters(raw)
    stride = bank.params(raw)[2].item()
    for F, g in ((F_y, 8.4), (F_x, 5.3)):
        nearest = [round(g + k * stride) - 1 for k in (-1, 0, 1)]
        assert F[0].argmax(1).tolist() == nearest and (F[0].amax(1) > 0.99).all()
    (F_x.sum() + F_y.square().sum()).backward()
    assert torch.isfinite(raw.grad).all()


def test_just_outside_equals_loops_in_both_types(device):
    bank = Filterbank(10, 10, 4)
    for g in (-1.4, -1.1, 1.05, 1.3):
        raw = torch.tensor([[g, -g, 0.3, -1.0, 0.0]], dtype=torch.float64, device=device)
        want_y, want_x, _ = loops(bank, raw[0])
        for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
            F_y, F_x, _ = bank.filters(raw.to(dtype))
            assert np.abs(F_y[0].double().cpu().numpy() - want_y).max() < tolerance
            assert np.abs(F_x[0].double().cpu().numpy() - want_x).max() < tolerance


@pytest.mark.parametrize("size", [(28, 28, 2), (28, 28, 12), (100, 100, 12)])
@pytest.mark.parametrize("log_sigma2", [-5.0, 0.0, 2.0, 5.0])
def test_weights_never_become_subnormal_nor_does_the_product_of_two(device, size, log_sigma2):
    """A subnormal number takes the slow path of most processors: none is below e^-30 of the largest."""
    bank = Filterbank(*size)
    raw = torch.tensor([[0.3, -0.8, log_sigma2, -0.5, 0.0], [5.0, 0.0, log_sigma2, 1.0, 0.0]], device=device)
    for F in bank.filters(raw)[:2]:
        assert (F.amin(2) >= 0.99 * math.exp(-30) * F.amax(2)).all()
        assert F.min().item() ** 2 * 1e-8 > torch.finfo(torch.float32).tiny


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-30, 30), min_size=5, max_size=5))
def test_extreme_parameters_stay_finite(numbers):
    bank = Filterbank(8, 8, 3)
    raw = torch.tensor([numbers], dtype=torch.float64, requires_grad=True)
    F_y, F_x, _ = bank.filters(raw)
    assert torch.isfinite(F_y).all() and torch.isfinite(F_x).all()
    (F_y * torch.arange(8) + F_x * torch.arange(8) ** 2).sum().backward()
    assert torch.isfinite(raw.grad).all()


# -- gradients ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width", "n"), [(7, 7, 3), (5, 8, 4)])
def test_gradcheck(height, width, n):
    bank = Filterbank(height, width, n)
    raw, x, w = make(bank, B=2, seed=3)
    raw[1, 0] = 1.3  # one grid beyond the edge
    for t in (raw, x, w):
        t.requires_grad_()
    assert torch.autograd.gradcheck(bank.read, (x, raw))
    assert torch.autograd.gradcheck(bank.write, (w, raw))
    assert torch.autograd.gradcheck(lambda r: bank.filters(r)[:2], (raw,))
    assert torch.autograd.gradcheck(bank.params, (raw,))


def test_the_gradient_of_a_read_by_its_image_is_a_write():
    bank = Filterbank(9, 9, 4)
    raw, x, w = make(bank)
    x.requires_grad_()
    (bank.read(x, raw) * w).sum().backward()
    gamma = bank.params(raw)[4][:, None, None, None]
    torch.testing.assert_close(x.grad, gamma**2 * bank.write(w, raw))


def test_descent_on_place_and_stride_finds_a_blob():
    """The toy of the chapter on another picture: a blob on a canvas of 40 x 40."""
    bank = Filterbank(40, 40, 8)
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(40.0), indexing="ij")
    canvas = torch.exp(-((x - 27) ** 2 + (y - 13) ** 2) / 18)[None, None].double()
    goal = torch.tensor(
        [[2 * 28 / 41 - 1, 2 * 14 / 41 - 1, 2 * math.log(1.2), math.log(0.4), 0.0]], dtype=torch.float64
    )
    target = bank.read(canvas, goal)
    free = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([free], lr=0.05)
    for _ in range(150):
        sigma = 2 * (free[:, 2] + math.log(39 / 7 / 2))
        raw = torch.stack([free[:, 0], free[:, 1], sigma, free[:, 2], 0 * sigma], 1)
        loss = (bank.read(canvas, raw) - target).square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    x, y, width, _ = bank.box(raw.detach())[0].tolist()
    assert abs(x - 27) < 0.5 and abs(y - 13) < 0.5 and abs(width - 0.4 * 39) < 2


# -- the house ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(28, 28), (9, 14)])
def test_runs_on_meta(height, width):
    bank = Filterbank(height, width, 5)
    raw = torch.zeros(4, 5, device=META, requires_grad=True)
    patch = bank.read(torch.zeros(4, 2, height, width, device=META), raw)
    image = bank.write(patch, raw)
    assert patch.shape == (4, 2, 5, 5) and image.shape == (4, 2, height, width)
    assert patch.device == image.device == META == bank.box(raw).device
    image.sum().backward()
    assert raw.grad.device == META


@pytest.mark.parametrize(
    "arguments",
    [(28, 28, 1), (28, 28, 0), (28, 28, -3), (28, 4, 5), (3, 28, 5), (8, 8, 2.5), (8.0, 8, 3), (8, "8", 3)]
    + [(8, 8, None), (True, True, True), (8, 8, torch.tensor(3)), (8, 8, [3]), (0, 0, 2), (8, 8, 10**30)],
)
def test_sizes_that_do_not_fit_raise(arguments):
    words = r"^Filterbank: n=.* on .* pixels; expected whole numbers and 2 <= n <= the shorter side"
    with pytest.raises(ValueError, match=words):
        Filterbank(*arguments)


def test_whole_numbers_of_numpy_are_whole_numbers():
    bank = Filterbank(np.int64(8), np.int32(9), np.uint8(3))
    assert repr(bank) == "Filterbank(8, 9, n=3)" and type(bank.n) is int


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool])
def test_whole_pixels_are_promoted_and_whole_parameters_refused(dtype):
    bank = Filterbank(8, 9, 3)
    raw, x, w = make(bank, B=2)
    x, w = (x > 0).to(dtype), (w > 0).to(dtype)
    assert bank.read(x, raw).abs().sum() > 0
    assert torch.equal(bank.read(x, raw), bank.read(x.double(), raw))
    assert torch.equal(bank.write(w, raw), bank.write(w.double(), raw))
    for call in (lambda r: bank.read(x, r), lambda r: bank.write(w, r), bank.filters, bank.params, bank.box):
        with pytest.raises(ValueError, match=r"^Filterbank: raw is .* expected floating point \(B, 5\)"):
            call(torch.ones(2, 5, dtype=dtype))


def test_floating_types_behave_alike():
    bank = Filterbank(28, 28, 4)
    raw, x, w = make(bank, B=3)
    raw[0, 0] = 300.0  # far outside, where half precision would overflow
    for kinds in ((torch.float16, torch.float32), (torch.bfloat16, torch.bfloat16), (torch.float64, torch.float32)):
        image, numbers = x.to(kinds[0]), raw.to(kinds[1])
        read = bank.read(image, numbers)
        assert read.dtype == torch.promote_types(torch.promote_types(*kinds), torch.float32)
        assert (read - bank.read(image.double(), numbers.double())).abs().max() < 1e-3
        written = bank.write(w.to(kinds[0]), numbers)
        assert (written - bank.write(w.to(kinds[0]).double(), numbers.double())).abs().max() < 1e-3


def test_wrong_shapes_raise():
    bank = Filterbank(8, 9, 3)
    raw = torch.zeros(2, 5)
    for bad in (torch.zeros(5), torch.zeros(2, 4), torch.zeros(2, 1, 5), [[0.0] * 5], None):
        for call in (bank.params, bank.filters, bank.box):
            with pytest.raises(
                ValueError, match=r"^Filterbank: raw is .* expected floating point \(B, 5\): g~_x, g~_y"
            ):
                call(bad)
    for bad in (None, [[0.0]], np.zeros((2, 1, 8, 9))):
        with pytest.raises(TypeError, match=r"^Filterbank: images is a \w+, not a tensor"):
            bank.read(bad, raw)
        with pytest.raises(TypeError, match=r"^Filterbank: raw is a \w+, not a tensor"):
            bank.write(torch.zeros(2, 1, 3, 3), bad)
    with pytest.raises(ValueError, match=r"^Filterbank: images has shape .* expected \(0, C, 8, 9\)"):
        bank.read(torch.zeros(2, 1, 8, 9), torch.tensor(1.0))
    for bad in (torch.zeros(2, 8, 9), torch.zeros(2, 1, 9, 8), torch.zeros(3, 1, 8, 9)):
        with pytest.raises(ValueError, match=r"images has shape .* expected \(2, C, 8, 9\), one for each row of raw"):
            bank.read(bad, raw)
    for bad in (torch.zeros(2, 3, 3), torch.zeros(2, 1, 3, 4), torch.zeros(1, 1, 3, 3)):
        with pytest.raises(ValueError, match=r"patch has shape .* expected \(2, C, 3, 3\)"):
            bank.write(bad, raw)


# -- the demo ----------------------------------------------------------------------------------------------------------


@pytest.mark.browser
def test_demo_computes_what_python_does():
    from playwright.sync_api import sync_playwright

    from softattn.pictures import demo_html

    bank = Filterbank(28, 28, 12)
    image = torch.rand(28, 28, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    start = dict(gx=14.5, gy=14.5, delta=2.0, sigma=1.0, gamma=1.0)

    def check(numbers):
        raw = [2 * numbers["gx"] / 29 - 1, 2 * numbers["gy"] / 29 - 1, 2 * math.log(numbers["sigma"])]
        raw += [math.log(numbers["delta"] * 11 / 27), math.log(numbers["gamma"])]
        raw = torch.tensor([raw], dtype=torch.float64)
        patch = bank.read(image[None, None], raw)
        assert np.abs(np.array(numbers["patch"]) - patch[0, 0].numpy()).max() < 1e-9
        assert np.abs(np.array(numbers["written"]) - bank.write(patch, raw)[0, 0].numpy()).max() < 1e-9
        assert np.abs(np.array(numbers["columns"]) - bank.filters(raw)[1][0].sum(0).numpy()).max() < 1e-9

    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=flags.split())
        page = browser.new_page(viewport={"width": 390, "height": 1400})
        page.set_content(demo_html("filterbank", image=image, n=12, **start))
        demo = page.locator(".softattn-demo[data-demo=filterbank]").first
        page.wait_for_function("document.querySelector('.softattn-demo').dataset.numbers")

        def numbers():
            return json.loads(demo.get_attribute("data-numbers"))

        check(numbers())
        for name, value in (("across", 33), ("down", -4), ("stride", 0.7), ("width", 0.15), ("strength", 2.5)):
            demo.locator("label", has_text=name).locator("input").fill(str(value))
            check(numbers())
        assert [numbers()[k] for k in ("gx", "gy", "delta", "sigma", "gamma")] == [33, -4, 0.7, 0.15, 2.5]
        box = demo.locator("canvas").first.bounding_box()
        middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.move(*middle)
        page.mouse.down()
        page.mouse.move(middle[0] - box["width"] / 4, middle[1] + box["height"] / 4, steps=4)
        page.mouse.up()
        assert numbers()["gx"] == pytest.approx(26, abs=0.5) and numbers()["gy"] == pytest.approx(3, abs=0.5)
        check(numbers())
        assert page.evaluate("document.documentElement.scrollWidth") <= 390

        column = torch.arange(1, 57, dtype=torch.float64)
        stripes = (0.5 + 0.5 * torch.cos(2 * math.pi * column / 5)).expand(56, 56)
        goal = dict(gx=28.5, gy=28.5, delta=4.5, sigma=0.3, gamma=1.0)
        page.set_content(demo_html("filterbank", image=stripes, n=12, frequency=0.2, **goal))
        page.wait_for_function("document.querySelector('.softattn-demo').dataset.numbers")
        for sigma in (0.3, 1.0, 2.25):
            demo.locator("label", has_text="width").locator("input").fill(str(sigma))
            seen = numbers()
            assert seen["passes"] == pytest.approx(math.exp(-2 * (math.pi * 0.2 * sigma) ** 2))
            assert seen["seen"] == pytest.approx(seen["passes"], abs=0.07)
            assert f"{seen['passes']:.2f} of them pass" in demo.inner_text()
        browser.close()

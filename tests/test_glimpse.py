"""Oracle tests of softattn.glimpse: loops over the equations, finite differences, hooks, errors, the weights."""

import json
import math

import numpy as np
import pytest
import torch

import softattn
from softattn import hub
from softattn.glimpse import CALM, SPREAD, GlimpseClassifier, calm, glimpse_nats, hard_nats, whole_reader
from softattn.images import cluttered, embedded_digits

SHAPES = [((1, 9, 9), 4), ((2, 8, 11), 3), ((1, 13, 7), 2)]
LANDED = "glimpse" in hub.weights()


def tiny(shape=(1, 9, 9), grid=4, glimpses=3, hidden=6, classes=5, dtype=torch.float64, device="cpu"):
    """A small reader with weights large enough that its looks differ from canvas to canvas."""
    torch.manual_seed(1)
    model = GlimpseClassifier(shape, glimpses, grid, hidden, classes)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if not name.startswith("aim.bias"):
                p.normal_(0, 0.5)
    return model.to(device, dtype)


def pictures(n=4, shape=(1, 9, 9), device="cpu", dtype=torch.float64):
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64).to(device, dtype)


# -- forward against loops ---------------------------------------------------------------------------------------------


def sigmoid(v):
    return 1 / (1 + np.exp(-v))


def loop_read(x, raw, N):
    """Equations 19 to 27 for one image (C, H, W), pixel by pixel."""
    C, H, W = x.shape
    g_x, g_y = (W + 1) / 2 * (raw[0] + 1), (H + 1) / 2 * (raw[1] + 1)
    sigma2, delta, gamma = math.exp(raw[2]), (max(H, W) - 1) / (N - 1) * math.exp(raw[3]), math.exp(raw[4])
    F = []
    for g, length in ((g_y, H), (g_x, W)):
        rows = np.zeros((N, length))
        for i in range(N):
            mu = g + (i + 1 - N / 2 - 0.5) * delta
            scores = np.array([-((a - mu) ** 2) / (2 * sigma2) for a in range(1, length + 1)])
            weights = np.exp(scores - scores.max())
            rows[i] = weights / weights.sum()
        F.append(rows)
    patch = np.stack([gamma * F[0] @ x[k] @ F[1].T for k in range(C)])
    side = delta * (N - 1)
    return patch, np.array([g_x - 1, g_y - 1, side, side])


def loop_reader(model, x):
    """Every look at every image, gate by gate; float64."""
    p = {k: v.detach().cpu().double().numpy() for k, v in model.state_dict().items()}
    logits, boxes, patches = [], [], []
    for image in x.cpu().double().numpy():
        h, c = p["start"]
        rows = []
        for _ in range(model.glimpses):
            raw = p["aim.weight"] @ h + p["aim.bias"]
            raw[2:] = 5 * np.tanh(raw[2:] / 5)
            patch, box = loop_read(image, raw, model.bank.n)
            v = np.maximum(p["features.weight"] @ patch.ravel() + p["features.bias"], 0)
            z = v @ p["cell.weight_x"] + h @ p["cell.weight_h"] + p["cell.bias"]
            i, f, g, o = np.split(z, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            rows.append((p["head.weight"] @ h + p["head.bias"], box, patch))
        for part, seen in zip((logits, boxes, patches), zip(*rows, strict=True), strict=True):
            part.append(np.stack(seen))
    return [np.stack(part, 1) for part in (logits, boxes, patches)]


@pytest.mark.parametrize(("shape", "grid"), SHAPES)
def test_everything_equals_loops(device, shape, grid):
    model, x = tiny(shape, grid, device=device), pictures(4, shape, device)
    out = model(x)
    want = loop_reader(model, x)
    for got, expected in zip((out.logits_by_glimpse, out.boxes, out.patches), want, strict=True):
        np.testing.assert_allclose(got.detach().cpu().numpy(), expected, atol=1e-10, rtol=1e-10)
    assert torch.equal(out.logits, out.logits_by_glimpse[-1])
    assert out.logits.shape == (4, 5) and out.boxes.shape == (3, 4, 4)
    assert out.patches.shape == (3, 4, shape[0], grid, grid)


def test_float32_is_close_to_float64(device):
    model, x = tiny(device=device), pictures(device=device)
    want = model(x)
    got = model.float()(x.float())
    for a, b in zip(got, want, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=1e-4)


def test_the_first_look_is_one_for_all_images_and_the_next_ones_are_not(device):
    out = tiny(device=device)(pictures(device=device))
    assert (out.boxes[0] == out.boxes[0, :1]).all()
    assert (out.boxes[1] != out.boxes[1, :1])[1:, :2].all()
    assert not out.boxes.requires_grad and out.patches.requires_grad


def test_a_fresh_reader_starts_wide_centred_and_soft():
    for shape, grid in [((1, 100, 100), 12), ((1, 60, 40), 8)]:
        model = GlimpseClassifier(shape, grid=grid)
        h = model.first(1)[0]  # zeros: what is aimed is the bias
        _, _, delta, sigma2, gamma = model.bank.params(model.where(h))
        longest = max(shape[1:])
        box = model.bank.box(model.where(h))[0].tolist()
        middle = [(shape[2] - 1) / 2, (shape[1] - 1) / 2]
        assert box == pytest.approx([*middle, longest - 1, longest - 1], abs=1e-3)
        assert (sigma2.sqrt() / delta).item() == pytest.approx(0.5, rel=1e-4)
        assert gamma.item() == pytest.approx(math.exp(5 * math.tanh(0.3)), rel=1e-5)
        spread = model.features.weight.std().item() * grid  # as Kaiming has it: sqrt(2 / inputs)
        assert spread == pytest.approx(2**0.5, rel=0.05)


def test_no_weight_belongs_to_a_look(device):
    model, x = tiny(device=device, glimpses=5), pictures(device=device)
    with torch.no_grad():
        whole = model(x).logits_by_glimpse
        model.glimpses = 2
        torch.testing.assert_close(model(x).logits_by_glimpse, whole[:2])
    assert sum(p.numel() for p in tiny(glimpses=1).parameters()) == sum(p.numel() for p in model.parameters())


def test_images_do_not_see_each_other(device):
    model, x = tiny(device=device), pictures(device=device)
    for b in range(len(x)):
        torch.testing.assert_close(model(x[b : b + 1]).logits[0], model(x).logits[b])


# -- gradients ---------------------------------------------------------------------------------------------------------


def test_gradient_by_finite_differences():
    model, x = tiny(glimpses=2), pictures(2)
    labels = torch.tensor([1, 3])
    names = [name for name, _ in model.named_parameters()]

    def loss(image, *values):
        out = torch.func.functional_call(model, dict(zip(names, values, strict=True)), (image,))
        return glimpse_nats(out.logits_by_glimpse, labels)

    inputs = [x.requires_grad_(), *(p.detach().clone().requires_grad_() for p in model.parameters())]
    assert torch.autograd.gradcheck(loss, inputs, atol=1e-5, fast_mode=True)


def test_every_part_learns_and_the_aim_learns_through_the_read(device):
    model, x = tiny(device=device), pictures(device=device)
    labels = torch.tensor([0, 1, 2, 3], device=device)
    glimpse_nats(model(x).logits_by_glimpse, labels).mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
    blind = tiny(device=device)
    read = blind.bank.read

    def without(x, raw):
        return read(x, raw.detach())

    blind.bank.read = without
    glimpse_nats(blind(x).logits_by_glimpse, labels).mean().backward()
    assert blind.aim.weight.grad is None and blind.aim.bias.grad is None
    assert blind.start.grad.abs().sum() > 0 and blind.features.weight.grad.abs().sum() > 0


def test_no_gradient_comes_from_empty_paper():
    """A small soft box on paper far from the ink: the place has no slope. Over the ink it has one."""
    model = tiny((1, 40, 40), 4)
    x = torch.zeros(1, 1, 40, 40, dtype=torch.float64)
    x[0, 0, 5:12, 5:12] = torch.rand(7, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    slopes = []
    for place in (-0.6, 0.6):  # columns 8 and 33
        raw = torch.tensor([[place, place, -1.0, -2.5, 0.0]], dtype=torch.float64, requires_grad=True)
        _, (h, _) = model.look(x, raw, model.first(1))
        model.head(h).logsumexp(1).sum().backward()
        slopes.append(raw.grad[0, :2].abs().max().item())
    assert slopes[0] > 1e-3 and slopes[1] < 1e-12


def test_calm_shortens_only_gradients_that_are_too_long():
    grad = torch.tensor([[3.0, 4.0, 0.0, 0.0, 0.0], [0.3, 0.4, 0.0, 0.0, 0.0]])
    (got,) = calm(torch.nn.Identity(), (grad,))
    torch.testing.assert_close(got[0], grad[0] * CALM / 10)
    assert torch.equal(got[1], grad[1])
    model, x = tiny(dtype=torch.float32), pictures(dtype=torch.float32)
    told = []
    model.aim.register_full_backward_pre_hook(lambda module, grads: told.append(calm(module, (1e6 * grads[0],))[0]))
    glimpse_nats(model(x).logits_by_glimpse, torch.tensor([0, 1, 2, 3])).mean().backward()
    longest = max(grad.norm(dim=1).max().item() * len(grad) for grad in told)
    assert len(told) == model.glimpses and longest <= CALM * (1 + 1e-5)


# -- the loss ----------------------------------------------------------------------------------------------------------


def test_glimpse_nats_equal_loops(device):
    generator = torch.Generator().manual_seed(3)
    logits = 3 * torch.randn(4, 5, 7, generator=generator, dtype=torch.float64).to(device)
    labels = torch.randint(7, (5,), generator=generator).to(device)
    want = np.zeros(5)
    for b in range(5):
        for t in range(4):
            scores = logits[t, b].cpu().numpy()
            want[b] += (t + 1) / 10 * (np.log(np.exp(scores).sum()) - scores[labels[b]])
    np.testing.assert_allclose(glimpse_nats(logits, labels).cpu().numpy(), want, atol=1e-10)
    one = glimpse_nats(logits[:1], labels)
    torch.testing.assert_close(one, torch.nn.functional.cross_entropy(logits[0], labels, reduction="none"))
    assert glimpse_nats(logits.half(), labels).dtype == torch.float32
    huge = torch.tensor([[[1e4, -1e4]]])
    assert glimpse_nats(huge, torch.tensor([1])).item() == pytest.approx(2e4)  # not inf: log space


def test_glimpse_nats_refuses():
    logits, labels = torch.zeros(2, 3, 4), torch.zeros(3, dtype=torch.int64)
    with pytest.raises(ValueError, match="labels from 0 to 4, expected 0 to 3"):
        glimpse_nats(logits, torch.tensor([0, 1, 4]))
    with pytest.raises(ValueError, match="labels from -1 to 2"):
        glimpse_nats(logits, torch.tensor([0, -1, 2]))
    with pytest.raises(ValueError, match=r"labels has shape \(2,\)"):
        glimpse_nats(logits, labels[:2])
    with pytest.raises(ValueError, match=r"logits_by_glimpse has shape \(3, 4\)"):
        glimpse_nats(logits[0], labels)
    with pytest.raises(TypeError, match="labels is torch.float32"):
        glimpse_nats(logits, labels.float())


# -- places that are drawn ---------------------------------------------------------------------------------------------


def test_with_hardly_any_spread_a_drawn_gaze_is_the_soft_one(monkeypatch):
    model, x = tiny(), pictures()
    labels = torch.tensor([0, 1, 2, 3])
    monkeypatch.setattr("softattn.glimpse.SPREAD", 1e-9)
    _, nats = hard_nats(model, x, labels, torch.Generator().manual_seed(0), 0.0)
    torch.testing.assert_close(nats, glimpse_nats(model(x).logits_by_glimpse, labels).detach())


def test_reinforce_is_the_gradient_of_the_mean_over_draws():
    """Against the slope of the expected loss by the place's bias, enumerated on a fine grid of places; one look."""
    model, x = tiny(glimpses=1, hidden=3), pictures(1)
    labels, s = torch.tensor([2]), SPREAD
    with torch.no_grad():
        raw = model.where(model.first(1)[0])
        step = torch.linspace(-6, 6, 241, dtype=torch.float64) * s
        places = torch.cartesian_prod(step, step)  # offsets from where the reader aims
        log_w = -places.square().sum(1) / (2 * s * s)
        weights = torch.softmax(log_w, 0)
        many = raw.expand(len(places), -1).clone()
        many[:, :2] += places
        state = tuple(part.expand(len(places), -1) for part in model.first(1))
        h = model.look(x.expand(len(places), -1, -1, -1), many, state)[1][0]
        nats = glimpse_nats(model.head(h)[None], labels.expand(len(places)))
        exact = (weights[:, None] * nats[:, None] * places / s**2).sum(0)  # d E[nats] / d place
    n = 20_000
    draws, generator = [], torch.Generator().manual_seed(0)
    for _ in range(8):
        model.zero_grad()
        images = x.expand(n, -1, -1, -1)
        scalar, _ = hard_nats(model, images, labels.expand(n), generator, nats.mean().item())
        scalar.backward()
        draws.append(model.aim.bias.grad[:2].clone())
    found = torch.stack(draws)
    error = found.std(0) / len(draws) ** 0.5
    assert exact.abs().max() > 3 * error.max()
    assert ((found.mean(0) - exact).abs() < 5 * error + 1e-4).all()


# -- those that read the whole canvas ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "weights"),
    [
        ("fully connected", 10_000 * 256 + 256 + 256 * 256 + 256 + 2570),
        ("convolutional", 808 + 19 * 19 * 8 * 256 + 256 + 2570),
    ],
)
def test_the_rivals_are_those_of_the_paper(kind, weights):
    model = whole_reader(kind)
    assert sum(p.numel() for p in model.parameters()) == weights
    assert model(torch.zeros(3, 1, 100, 100)).shape == (3, 10)
    assert whole_reader(kind, 60, 4)(torch.zeros(2, 1, 60, 60)).shape == (2, 4)


# -- number formats, devices, hooks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_weights_give_finite_answers_near_the_others(dtype):
    model, x = tiny(dtype=torch.float32), pictures(dtype=torch.float32)
    want = model(x)
    out = model.to(dtype)(x.to(dtype))
    assert out.logits.isfinite().all() and out.boxes.dtype == torch.float32
    assert (out.logits_by_glimpse[0].float() - want.logits_by_glimpse[0]).abs().max() < 0.1
    torch.testing.assert_close(out.boxes[0], want.boxes[0], atol=0.2, rtol=0.02)


def test_places_stay_float32_under_autocast():
    model, x = tiny(dtype=torch.float32), pictures(dtype=torch.float32)
    want = model(x)
    with torch.autocast("cpu", torch.bfloat16):
        out = model(x)
    assert torch.equal(out.boxes[0], want.boxes[0]) and torch.equal(out.patches[0], want.patches[0])
    torch.testing.assert_close(out.logits_by_glimpse[0].float(), want.logits_by_glimpse[0], atol=0.2, rtol=0.05)
    out.logits.float().sum().backward()
    assert all(p.grad.dtype == torch.float32 for p in model.parameters())


def test_an_empty_batch(device):
    out = tiny(device=device)(pictures(0, device=device))
    assert out.logits.shape == (0, 5) and out.boxes.shape == (3, 0, 4) and out.patches.shape == (3, 0, 1, 4, 4)


def test_runs_on_meta():
    model = tiny().to("meta")
    out = model(torch.empty(2, 1, 9, 9, dtype=torch.float64, device="meta"))
    assert all(part.is_meta for part in out)
    glimpse_nats(out.logits_by_glimpse, torch.zeros(2, dtype=torch.int64, device="meta")).sum().backward()


@pytest.mark.parametrize("part", ["features", "cell", "aim", "head"])
def test_hooks_are_called_at_each_look_and_may_change_what_comes_out(part):
    model, x = tiny(), pictures()
    want, calls = model(x).logits, []
    handle = getattr(model, part).register_forward_hook(lambda *_: calls.append(1))
    torch.testing.assert_close(model(x).logits, want)
    assert len(calls) == model.glimpses
    handle.remove()
    double = lambda _, __, out: tuple(2 * o for o in out) if isinstance(out, tuple) else 2 * out
    getattr(model, part).register_forward_hook(double)
    assert (model(x).logits - want).abs().max() > 1e-3


def test_an_own_gaze_is_honoured():
    class Still(GlimpseClassifier):
        def where(self, h):
            return super().where(0 * h)

    out = Still((1, 9, 9), 3, 4, 6, 5).double()(pictures())
    assert (out.boxes == out.boxes[0, 0]).all()


def test_the_mode_is_kept_and_nothing_global_is_touched():
    model, before = tiny(dtype=torch.float32), torch.get_rng_state()
    model.train()
    model(pictures(dtype=torch.float32))
    assert model.training and torch.equal(torch.get_rng_state(), before)


@pytest.mark.skipif(torch.__version__.startswith("2.6."), reason="PyTorch 2.6: its torch.export cannot read this")
def test_it_exports():
    model, x = tiny(dtype=torch.float32), pictures(dtype=torch.float32)
    program = torch.export.export(model, (x,))
    torch.testing.assert_close(program.module()(x).logits, model(x).logits)


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "kind", "says"),
    [
        (dict(image_shape=(9, 9)), ValueError, r"image_shape is \(9, 9\), expected \(C, H, W\)"),
        (dict(image_shape=9), ValueError, "image_shape is 9"),
        (dict(image_shape=(1, 9.5, 9)), TypeError, "H is 9.5"),
        (dict(glimpses=0), ValueError, "glimpses is 0, expected a whole number from 1"),
        (dict(grid=1), ValueError, "n=1 on 9 x 9 pixels"),
        (dict(grid=10), ValueError, "n=10 on 9 x 9 pixels"),
        (dict(hidden=True), TypeError, "hidden is True"),
        (dict(classes=-1), ValueError, "classes is -1"),
        (dict(hidden=60_000), ValueError, r"more than 2\^31 weights"),
    ],
)
def test_sizes_that_do_not_fit_raise(change, kind, says):
    with pytest.raises(kind, match=says):
        GlimpseClassifier(**{**dict(image_shape=(1, 9, 9), glimpses=2, grid=4, hidden=6, classes=5), **change})


def test_wrong_images_raise():
    model = tiny(dtype=torch.float32)
    for wrong in (torch.zeros(2, 9, 9), torch.zeros(2, 1, 9, 8), torch.zeros(1, 9, 9), torch.zeros(2, 2, 9, 9)):
        with pytest.raises(ValueError, match=r"GlimpseClassifier: x has shape .* \(B, 1, 9, 9\)"):
            model(wrong)
    with pytest.raises(TypeError, match="x is torch.uint8, expected floating point"):
        model(torch.zeros(2, 1, 9, 9, dtype=torch.uint8))
    with pytest.raises(TypeError, match="expected a tensor"):
        model(np.zeros((2, 1, 9, 9)))
    model.glimpses = 0
    with pytest.raises(ValueError, match="glimpses is 0"):
        model(torch.zeros(2, 1, 9, 9))


# -- it learns ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_short_training_lowers_the_surprise():
    torch.manual_seed(0)
    model, digits = GlimpseClassifier((1, 28, 28), 2, 8, 32), embedded_digits(200)
    adam, generator = torch.optim.Adam(model.parameters(), lr=3e-3), torch.Generator().manual_seed(0)
    nats = []
    for _ in range(150):
        some = cluttered(digits, 32, generator, 28, distractors=0)
        loss = glimpse_nats(model(some.canvases).logits_by_glimpse, some.labels[:, 0]).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        nats.append(loss.item())
    assert nats[0] > 2 and sum(nats[-10:]) / 10 < 1


# -- the weights -------------------------------------------------------------------------------------------------------


def test_the_weights_reproduce_a_figure_of_their_card():
    if not LANDED:
        return
    model = softattn.load("glimpse")
    check = model.card["check"]
    some = cluttered(
        embedded_digits(check["digits"], "test"), check["canvases"], torch.Generator().manual_seed(check["seed"])
    )
    with torch.no_grad():
        nats = glimpse_nats(model(some.canvases).logits_by_glimpse, some.labels[:, 0]).mean().item()
    assert nats == pytest.approx(check["nats"], abs=1e-3)


def test_the_weights_know_their_card():
    if not LANDED:
        return
    model = softattn.load("glimpse")
    card, T = model.card, model.glimpses
    assert not card["non_commercial"] and card["config"]["glimpses"] == T == 8
    test = card["test"]
    assert card["metric"]["value"] == test["error"][T - 1] and test["canvases"] >= 100_000
    assert len(test["error"]) == len(test["standard_error"]) > T
    for error, spread in zip(test["error"], test["standard_error"], strict=True):
        p = error / 100
        assert spread == pytest.approx(100 * math.sqrt(p * (1 - p) / test["canvases"]), abs=2e-3)
    assert card["valid"]["error"][T - 1] == pytest.approx(test["error"][T - 1], abs=1)


@pytest.mark.data
def test_the_weights_reproduce_the_valid_figure_of_their_card():
    """Withheld training digits; the test canvases are not looked at again."""
    if not LANDED:
        return
    from recipes.glimpse import mnist, reads, score

    model = softattn.load("glimpse")
    card = model.card["valid"]
    found = score(reads(model, 8), mnist()[1], 2000, 77)
    p = card["error"][-1] / 100
    assert found["error"][-1] == pytest.approx(card["error"][-1], abs=500 * math.sqrt(p * (1 - p) / 2000))


def test_bent_digits_are_the_digits_and_others_like_them():
    recipe = pytest.importorskip("recipes.glimpse")
    digits = embedded_digits(30)
    still = recipe.bent(digits, 1, turn=0.0, stretch=0.0, shear=0.0, chunk=7)
    assert torch.equal(still.pixels[:30], digits.pixels) and torch.equal(still.pixels[30:], digits.pixels)
    many = recipe.bent(digits, 3)
    assert torch.equal(many.pixels, recipe.bent(digits, 3, chunk=5000).pixels) and len(many) == 120
    assert torch.equal(many.labels, digits.labels.repeat(4)) and torch.equal(many.pixels[:30], digits.pixels)
    ink = many.pixels.float().mean((1, 2, 3)).view(4, 30)
    assert (ink[1:] / ink[0]).sub(1).abs().max() < 0.4 and not torch.equal(many.pixels[30:60], many.pixels[60:90])
    # a shear leaves each row's ink, and moves the upper rows against the lower ones
    lean = recipe.bent(digits, 1, turn=0.0, stretch=0.0).pixels[30:].float()
    assert torch.allclose(lean.sum(3), digits.pixels.float().sum(3), atol=400)


def test_a_run_keeps_from_where_on_digits_are_bent(tmp_path):
    recipe = pytest.importorskip("recipes.glimpse")
    args = recipe.parse(["--float32", "--bend", "2"])
    run = recipe.GlimpseRun(recipe.CONFIG, args, embedded_digits(20), embedded_digits(20, "test"))
    run.bend(None)
    assert len(run.images) == 20 and run.facts["bent"] == []
    run.facts["updates"] = 7
    run.bend(2)
    assert len(run.images) == 60 and run.facts["bent"] == [[7, 2]]
    run.images = embedded_digits(20)
    run.bend(None)  # taken up without the option: as the state says
    assert len(run.images) == 60 and run.facts["bent"] == [[7, 2]]


def test_a_card_tells_of_a_run_behind_that_of_the_weights_it_began_with():
    recipe = pytest.importorskip("recipes.glimpse")
    facts = dict(updates=30, points=300, seconds=90.0, cool_from=10, cool=20, bent=[[5, 4]], rate=5e-4,
                 curve=[[30, 0.12345, [9.123], 1.5]])  # fmt: skip
    told = recipe.history(facts)
    assert told["command"] == "python -m recipes.glimpse --rate 0.0005 --bend 4, --cool 20, then --finish"
    assert told["curve"]["rows"] == [[30, 0.1235, [9.12], 1.5]] and told["bent"]["rows"] == [[5, 4]]
    keys = ("steps", "canvases", "minutes", "command")
    facts["past"] = {**{key: told[key] for key in keys}, "rows": told["curve"]["rows"]}
    more = recipe.history(facts)
    assert [more[key] for key in ("steps", "canvases", "minutes", "cooled_from")] == [60, 600, 3.0, 40]
    assert [row[0] for row in more["curve"]["rows"]] == [30, 60] and more["curve"]["rows"][1][3] == 3.0
    assert more["command"].count("python -m recipes.glimpse") == 2 and more["bent"]["rows"] == [[35, 4]]
    assert more["command"].count("--finish") == 1


def test_json_tables_say_how_they_were_made(root):
    for name in ("glimpse-reinforce", "glimpse-baselines"):
        path = root / "softattn" / "data" / f"{name}.json"
        if path.exists():
            assert json.loads(path.read_text("utf-8"))["what"]


# -- the demo ----------------------------------------------------------------------------------------------------------


@pytest.mark.browser
def test_demo_computes_what_python_does():
    import base64

    from playwright.sync_api import sync_playwright
    from safetensors.torch import save

    from softattn.filterbank import Filterbank
    from softattn.pictures import demo_html

    model = tiny((1, 100, 100), 6, 3, 16, 10, dtype=torch.float32)
    with torch.no_grad():
        model.aim.weight.mul_(0.3)
    digits = embedded_digits(4).pixels[:, 0]
    scraps = torch.randint(256, (3, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    labels = embedded_digits(4).labels.tolist()
    pieces = [dict(kind="digit", index=2, x=20, y=31), dict(kind="scrap", index=1, x=25, y=40)]
    pieces.append(dict(kind="scrap", index=0, x=92, y=92))
    text = lambda data: base64.b64encode(data).decode()
    state = dict(
        config=dict(image_shape=[1, 100, 100], glimpses=3, grid=6), weights=text(save(model.state_dict())),
        digits=text(digits.numpy().tobytes()), scraps=text(scraps.numpy().tobytes()), labels=labels, pieces=pieces,
        distractors=2, seed=3,
    )  # fmt: skip
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=flags.split())
        page = browser.new_page(viewport={"width": 390, "height": 1600})
        page.set_content(demo_html("glimpse", **state))
        demo = page.locator(".softattn-demo[data-demo=glimpse]").first
        page.wait_for_function("document.querySelector('.softattn-demo').dataset.numbers")

        def numbers():
            return json.loads(demo.get_attribute("data-numbers"))

        def canvas(found):
            ink = torch.zeros(100, 100)
            for piece in found["pieces"]:
                picture = (digits if piece["kind"] == "digit" else scraps)[piece["index"]].float() / 255
                side = len(picture)
                ink[piece["y"] : piece["y"] + side, piece["x"] : piece["x"] + side] += picture
            return ink.clamp(max=1)[None, None]

        def check():
            found = numbers()
            with torch.no_grad():
                out = model(canvas(found))
            np.testing.assert_allclose(found["boxes"], out.boxes[:, 0].numpy(), atol=1e-2)
            np.testing.assert_allclose(found["chances"], out.logits_by_glimpse[:, 0].softmax(1).numpy(), atol=1e-3)
            assert found["label"] == labels[found["pieces"][0]["index"]]
            return found

        assert check()["pieces"] == pieces
        across = demo.get_by_role("slider", name="across")
        across.fill("64")
        assert check()["pieces"][0]["x"] == 64
        demo.get_by_role("combobox").select_option("2")
        across.fill("7")
        assert check()["pieces"][2]["x"] == 7
        demo.get_by_role("slider", name="look").fill("1")
        assert numbers()["look"] == 1
        box = demo.locator("canvas").first.bounding_box()
        at = lambda x, y: (box["x"] + (x + 0.5) / 100 * box["width"], box["y"] + (y + 0.5) / 100 * box["height"])
        page.mouse.move(*at(75, 45))
        page.mouse.down()
        page.mouse.move(*at(55, 35))
        page.mouse.up()
        moved = check()["pieces"][0]
        assert moved["x"] == pytest.approx(44, abs=1) and moved["y"] == pytest.approx(21, abs=1)

        demo.get_by_role("button", name="Play against it").click()
        assert numbers()["dark"] and numbers()["mine"] == []
        page.mouse.click(*at(40, 60))
        demo.get_by_role("slider", name="size").fill("30")
        demo.get_by_role("button", name="Look").click()
        found = check()
        aim, bank = found["aim"], Filterbank(100, 100, 6)
        raw = torch.tensor([[2 * (aim["x"] + 1) / 101 - 1, 2 * (aim["y"] + 1) / 101 - 1, 2 * math.log(3), 0.0, 0.0]])
        raw[0, 3] = math.log(30 / 99)
        np.testing.assert_allclose(found["mine"][0]["patch"], bank.read(canvas(found), raw).flatten(), atol=1e-4)
        np.testing.assert_allclose(found["mine"][0]["box"], bank.box(raw)[0], atol=1e-3)
        assert aim["x"] == pytest.approx(40, abs=1) and aim["y"] == pytest.approx(60, abs=1)
        for _ in range(2):
            demo.get_by_role("button", name="Look").click()
        assert demo.get_by_role("button", name="Look").is_disabled() and len(numbers()["mine"]) == 3
        demo.get_by_role("button", name=str(found["label"]), exact=True).click()
        done = numbers()
        says = int(np.argmax(done["chances"][-1]))
        assert (done["rounds"], done["you"], done["it"]) == (1, 1, int(says == done["label"])) and not done["dark"]
        demo.get_by_role("button", name="New canvas").click()
        assert numbers()["dark"] and numbers()["mine"] == [] and check()["rounds"] == 1
        demo.get_by_role("button", name="Stop playing").click()
        assert not check()["playing"]
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        browser.close()

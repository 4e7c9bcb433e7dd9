"""Six looks at one memory: loops, torch and NumPy as oracles; the Turing machine; the toy; errors; the demo."""

import json
import math
import shutil

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from softattn import lineage as chapter
from softattn.alignment import AdditiveAttention
from softattn.filterbank import filter_rows
from softattn.lineage import Memory, NTMCell, dot_product_attention, dot_product_weights, ntm_address
from softattn.reading import LocationAttention
from softattn.window import SoftWindow

B, T, U, D, E, H = 3, 4, 7, 5, 6, 8


def randn(*shape, dtype=torch.float64, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def triple(dtype=torch.float64):
    return randn(B, T, D, dtype=dtype), randn(B, U, D, dtype=dtype, seed=1), randn(B, U, E, dtype=dtype, seed=2)


def some_mask():
    return torch.rand(B, T, U, generator=torch.Generator().manual_seed(3)) < 0.5


# -- the dot product -----------------------------------------------------------------------------------------------


def by_loops(query, key, value, mask=None):
    """In NumPy, one number after the other."""
    q, k, v = (a.numpy() for a in (query, key, value))
    out, weights = np.zeros((B, T, E)), np.zeros((B, T, U))
    for b in range(B):
        for t in range(T):
            allowed = [u for u in range(U) if mask is None or mask[b, t, u]]
            score = {u: sum(q[b, t, d] * k[b, u, d] for d in range(D)) / math.sqrt(D) for u in allowed}
            total = sum(math.exp(s) for s in score.values())
            for u, s in score.items():
                weights[b, t, u] = math.exp(s) / total
                out[b, t] += weights[b, t, u] * v[b, u]
    return out, weights


@pytest.mark.parametrize("masked", [False, True])
def test_softmax_attention_against_loops(masked):
    q, k, v = triple()
    mask = some_mask() if masked else None
    out, weights = by_loops(q, k, v, mask)
    assert dot_product_weights(q, k, mask).numpy() == pytest.approx(weights, abs=1e-12)
    for fused in (False, True):
        assert dot_product_attention(q, k, v, mask, fused).numpy() == pytest.approx(out, abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("masked", [False, True])
def test_the_fast_way_is_the_plain_one_in_values_and_gradients(dtype, masked):
    inputs = [x.requires_grad_() for x in triple(dtype)]
    mask = some_mask() if masked else None
    grow, found, slopes = randn(B, T, E, dtype=dtype, seed=9), [], []
    for fused in (False, True):
        out = dot_product_attention(*inputs, mask, fused)
        found.append(out.detach())
        slopes.append(torch.autograd.grad((out * grow).sum(), inputs))
    tight = 1e-6 if dtype == torch.float32 else 1e-12
    assert torch.allclose(*found, atol=tight)
    for a, b in zip(*slopes, strict=True):
        assert torch.allclose(a, b, atol=1e-4 * a.abs().max().item() if dtype == torch.float32 else 1e-10)


@pytest.mark.parametrize("fused", [False, True])
def test_a_row_that_may_look_nowhere_reads_zeros_and_its_gradient_is_none(fused):
    inputs = [x.requires_grad_() for x in triple()]
    mask = some_mask()
    mask[1, 2], mask[0, 0, 0] = False, True
    out = dot_product_attention(*inputs, mask, fused)
    assert (out[1, 2] == 0).all() and (out[0, 0] != 0).any()
    grads = torch.autograd.grad(out.sum(), inputs)
    assert all(g.isfinite().all() for g in grads) and (grads[0][1, 2] == 0).all()


def test_heads_and_masks_broadcast():
    q, k, v = randn(B, 2, T, D), randn(B, 2, U, D, seed=1), randn(B, 2, U, E, seed=2)
    mask = torch.ones(T, U, dtype=torch.bool).tril(U - T)
    for fused in (False, True):
        out = dot_product_attention(q, k, v, mask, fused)
        one = dot_product_attention(q[:, 1], k[:, 1], v[:, 1], mask, fused)
        assert torch.allclose(out[:, 1], one, atol=1e-12)


@given(scale=st.floats(-1e4, 1e4), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_weights_are_shares_whatever_the_scores(scale, seed):
    w = dot_product_weights(scale * randn(1, 3, 4, seed=seed), randn(1, 6, 4, seed=seed + 1))
    assert torch.allclose(w.sum(-1), torch.ones(1, 3, dtype=w.dtype)) and (w >= 0).all()


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (dict(query=2), TypeError, "query is 2"),
        (dict(query=randn(B, T, D + 1)), ValueError, "key has shape"),
        (dict(value=randn(B, U + 1, E)), ValueError, "value has shape"),
        (dict(key=randn(B + 1, U, D)), ValueError, "query, key, value"),
        (dict(query=randn(B, T, D, dtype=torch.float32)), TypeError, "2 number types"),
        (dict(mask=torch.ones(B, T, U)), TypeError, "mask is torch.float32"),
        (dict(mask=torch.ones(B, T, U + 1, dtype=torch.bool)), ValueError, r"\(3, 4, 8\); expected"),
        (dict(key=randn(B, 0, D), value=randn(B, 0, E)), ValueError, "query, key, value"),
    ],
)
def test_what_does_not_fit_is_told(change, error, words):
    given_ = dict(zip(("query", "key", "value"), triple(), strict=True)) | change
    for fused in (False, True):
        with pytest.raises(error, match=words):
            dot_product_attention(**given_, fused=fused)


# -- the head ------------------------------------------------------------------------------------------------------


def head(seed=0, shifts=3):
    memory, before = randn(B, U, D, seed=seed), randn(B, U, seed=seed + 1).softmax(1)
    key, shift = randn(B, D, seed=seed + 2), randn(B, shifts, seed=seed + 3).softmax(1)
    beta, gamma = 3 * randn(B, 1, seed=seed + 4).exp(), 1 + randn(B, 1, seed=seed + 5).exp()
    return dict(memory=memory, before=before, key=key, beta=beta, g=randn(B, 1, seed=seed + 6).sigmoid(), shift=shift,
                gamma=gamma)  # fmt: skip


def head_in_numpy(memory, before, key, beta, g, shift, gamma):
    """Equations 5 to 9, with the sums of the paper: s is indexed by (i - j) modulo N."""
    out = np.zeros((B, U))
    half = shift.shape[1] // 2
    for b in range(B):
        like = np.array([m @ key[b] / (np.linalg.norm(m) * np.linalg.norm(key[b])) for m in memory[b]])
        content = np.exp(beta[b, 0] * like)
        gated = g[b, 0] * content / content.sum() + (1 - g[b, 0]) * before[b]
        ring = np.zeros(U)
        for j, s in enumerate(shift[b]):
            ring[(j - half) % U] += s
        moved = [sum(gated[j] * ring[(i - j) % U] for j in range(U)) for i in range(U)]
        circle = np.fft.ifft(np.fft.fft(gated) * np.fft.fft(ring)).real
        assert moved == pytest.approx(circle, abs=1e-12)  # the sum is a circular convolution
        out[b] = np.array(moved) ** gamma[b, 0]
        out[b] /= out[b].sum()
    return out


@pytest.mark.parametrize("shifts", [1, 3, 5])
def test_the_head_against_numpy(shifts):
    given_ = head(7, shifts)
    expected = head_in_numpy(**{k: v.numpy() for k, v in given_.items()})
    assert ntm_address(**given_).numpy() == pytest.approx(expected, abs=1e-10)


def test_a_shift_of_one_moves_on_by_one_round_the_end():
    one = torch.ones(1, 1)
    w, seen = torch.eye(4)[:1], []
    for _ in range(5):
        w = ntm_address(torch.zeros(1, 4, 2), w, torch.zeros(1, 2), one, 0 * one, torch.tensor([[0.0, 0, 1]]), one)
        seen.append(w.argmax().item())
    assert seen == [1, 2, 3, 0, 1]


def test_the_head_has_a_gradient_everywhere():
    given_ = {k: v.requires_grad_() for k, v in head(3).items()}
    assert torch.autograd.gradcheck(lambda *a: ntm_address(*a), tuple(given_.values()))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (dict(memory=randn(B, U)), ValueError, "memory has shape"),
        (dict(before=randn(B, U + 1)), ValueError, "before has shape"),
        (dict(key=randn(B, D + 1)), ValueError, "key has shape"),
        (dict(beta=randn(B, 2)), ValueError, "beta has shape"),
        (dict(g=3.0), TypeError, "g is 3.0"),
        (dict(gamma=randn(B)), ValueError, "gamma has shape"),
        (dict(shift=randn(B, 4)), ValueError, "4 shifts; expected .* an odd count"),
    ],
)
def test_a_head_says_what_does_not_fit(change, error, words):
    with pytest.raises(error, match=f"ntm_address: .*{words}|ntm_address: {words}"):
        ntm_address(**head() | change)


# -- the machine ---------------------------------------------------------------------------------------------------


def machine(places=U):
    torch.manual_seed(0)
    return NTMCell(4, 3, H, places, D).double()


def test_a_step_by_hand():
    """Steer, erase, add, read: equations 2 to 4 with loops over places."""
    cell, x = machine(), randn(B, 4)
    memory = Memory(randn(B, U, D, seed=4), *(randn(B, U, seed=s).softmax(1) for s in (5, 6)))
    with torch.no_grad():
        y, after = cell(x, memory)
        for b in range(B):
            seen = sum(memory.read[b, u] * memory.cells[b, u] for u in range(U))
            h = torch.tanh(cell.control.weight @ torch.cat([x[b], seen]) + cell.control.bias)
            for_read, for_write, e, a = (cell.heads.weight @ h + cell.heads.bias).split([D + 6, D + 6, D, D])
            look = lambda cells, w, raw: ntm_address(cells[None], w[None], *chapter.head_params(raw[None], D))[0]  # noqa: E731
            w = look(memory.cells[b], memory.write[b], for_write)
            e, a = torch.sigmoid(e), torch.tanh(a)
            cells = torch.stack([memory.cells[b, u] * (1 - w[u] * e) + w[u] * a for u in range(U)])
            r = look(cells, memory.read[b], for_read)
            seen = sum(r[u] * cells[u] for u in range(U))
            assert torch.allclose(after.cells[b], cells, atol=1e-12)
            assert torch.allclose(after.write[b], w, atol=1e-12) and torch.allclose(after.read[b], r, atol=1e-12)
            out = cell.output.weight @ torch.cat([h, seen]) + cell.output.bias
            assert torch.allclose(y[b], out, atol=1e-12)


def test_a_machine_starts_blank_and_rows_do_not_meet():
    cell = machine()
    memory = cell.start(2)
    assert torch.equal(memory.read, memory.write) and memory.read[:, 0].tolist() == [1, 1]
    assert torch.equal(memory.cells[1, 3], cell.blank)
    x = randn(6, B, 4)
    together = chapter.run_ntm(cell, x)
    for b in range(B):
        alone = chapter.run_ntm(cell, x[:, b : b + 1])
        assert all(torch.allclose(a[:, b], c[:, 0], atol=1e-12) for a, c in zip(together, alone, strict=True))
    assert together[1].shape == (6, B, U)
    torch.testing.assert_close(together[2].sum(-1), torch.ones(6, B).double())


def test_a_machine_says_what_does_not_fit():
    cell = machine()
    for wrong, error, words in [
        (randn(B, 5), ValueError, "x has shape"),
        (2, TypeError, "x is 2"),
    ]:
        with pytest.raises(error, match=words):
            cell(wrong)
    with pytest.raises(TypeError, match="memory is int, expected a Memory"):
        cell(randn(B, 4), 3)
    with pytest.raises(ValueError, match="memory write has shape"):
        cell(randn(B, 4), cell.start(B)._replace(write=randn(B, U + 1)))
    for sizes in ((0, 3), (4, 0), (4, 3, 0), (4, 3, 8, 0), (4, 3, 8, 7, 0)):
        with pytest.raises(ValueError, match="NTMCell: .* expected a whole number"):
            NTMCell(*sizes)
    with pytest.raises(TypeError, match="NTMCell.start: batch"):
        cell.start(1.5)


# -- the toy -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", chapter.TASKS)
def test_lessons_say_what_stands_at_the_place(task):
    line = chapter.toy_lines(task, 50, 6, torch.Generator().manual_seed(0))
    assert torch.equal(line.target, line.symbols.gather(1, line.place))
    assert all(len(set(row)) == 6 for row in line.keys.tolist())
    if task == "repeat":
        assert line.place[0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    if task == "sort":
        ordered = line.keys.gather(1, line.place)
        assert (ordered.diff(dim=1) > 0).all()


@pytest.mark.parametrize("name", chapter.LOOKS)
def test_every_look_weighs_and_reads(name):
    torch.manual_seed(0)
    model = chapter.ToyWriter(name, 16)
    line = chapter.toy_lines("copy", 3, 5, torch.Generator().manual_seed(0))
    scores, weights = model(line)
    assert scores.shape == (3, 5, chapter.SYMBOLS) and weights.shape == (3, 5, 5)
    assert (weights >= 0).all()
    if name != "window":
        assert torch.allclose(weights.sum(-1), torch.ones(3, 5), atol=1e-5)
    chapter.toy_loss(model, line).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.look.parameters()), name


def test_what_a_look_reads_is_the_sum_it_says():
    keys, query = randn(B, U, D), randn(B, H, seed=1)
    for name, kind in chapter.LOOKS.items():
        torch.manual_seed(0)
        look = kind(H, D).double()
        c, w, _ = look(query, keys, look.first(keys))
        if name != "grid":  # it reads three points, and blends them
            assert torch.allclose(c, (w[:, None] @ keys)[:, 0], atol=1e-10), name


def test_a_copy_costs_its_bits():
    x, said = chapter.copy_lines(2, 3, torch.Generator().manual_seed(0))
    assert x.shape == (7, 2, 9) and torch.equal(x[:3, :, :8], said) and x[3, :, 8].tolist() == [1, 1]
    assert x[4:].abs().sum() == 0 and x[:3, :, 8].abs().sum() == 0
    assert chapter.copy_bits(torch.zeros(7, 2, 8), said).item() == pytest.approx(24)  # a coin for each
    sure = torch.cat([torch.zeros(4, 2, 8), 200 * said - 100])
    assert chapter.copy_bits(sure, said).item() < 1e-6


def test_the_machine_that_ships_copies_three_times_what_it_learned():
    from softattn.hub import load

    cell = load("ntm-copy")
    rows = {row[0]: row for row in cell.card["lengths"]}
    x, said = chapter.copy_lines(20, 60, torch.Generator().manual_seed(1_000_060))
    with torch.no_grad():
        y, _, _ = chapter.run_ntm(cell, x)
    wrong = ((y[-60:] > 0) != (said > 0.5)).float().mean().item()
    assert wrong == pytest.approx(rows[60][2], abs=1e-3)
    assert chapter.copy_bits(y, said).item() == pytest.approx(rows[60][1], rel=1e-2, abs=0.05)


# -- the demo ------------------------------------------------------------------------------------------------------


def python_weights(state, seen):
    """What the modules of the book give for the numbers of the demo."""
    f64 = lambda a: torch.tensor(a, dtype=torch.float64)  # noqa: E731
    keys, query, before = f64(state["keys"])[None], f64(seen["query"])[None], f64(seen["before"])[None]
    set_, look, U = seen["set"], seen["look"], len(state["keys"])
    one = torch.ones(1, 1, dtype=torch.float64)
    if look == "window":
        u = torch.arange(1, U + 1, dtype=torch.float64)
        return SoftWindow(1, 1).phi(one, set_["beta"] * one, set_["kappa"] * one, u)[0]
    if look == "dot":
        return dot_product_weights(query[:, None], keys)[0, 0]
    if look == "grid":
        mu = f64([[set_["g"] + i * set_["delta"] for i in (-1, 0, 1)]])
        return filter_rows(mu, f64([[[-0.5 / set_["sigma"] ** 2]]]), U).mean(1)[0]
    if look == "machine":
        on = set_["on"]
        shift = f64([[max(-on, 0), 1 - abs(on), max(on, 0)]])
        return ntm_address(keys, before, query, set_["beta"] * one, set_["g"] * one, shift, set_["gamma"] * one)[0]
    net = state["net"]
    kind = AdditiveAttention(2, 2, 4) if look == "additive" else LocationAttention(2, 2, 4, 1, 3)
    kind.double()
    with torch.no_grad():
        kind.query.weight.copy_(f64(net["W"]))
        kind.query.bias.zero_()
        kind.key.weight.copy_(f64(net["V"]))
        kind.score.weight.copy_(f64([net["v"]]))
        if look == "additive":
            return kind(query, keys)[1][0]
        kind.where.weight.copy_(f64([[[set_["pull"], 0, 0]]]))
        kind.place.weight.copy_(f64(net["M"])[:, None])
        return kind(query, keys, seen=before)[1][0]


STATE = dict(
    letters="abab", keys=[[1.0, 0.5], [-1.0, 0.3], [0.2, -1.2], [1.0, 0.5]], query=[0.6, 0.4], look="dot",
    net=dict(W=[[0.8, 0], [0.8, 0], [0, 0.8], [0, 0.8]], V=[[0.8, 0], [-0.8, 0], [0, 0.8], [0, -0.8]],
             M=[0.5, -0.5, 0.5, -0.5], v=[2.0, -2, 2, -2]),
)  # fmt: skip


@pytest.mark.browser
def test_demo_computes_the_same_numbers():
    api = pytest.importorskip("playwright.sync_api")
    from softattn.pictures import demo_html

    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    with api.sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = playwright.chromium.launch(executable_path=path, args=flags.split())
        page = browser.new_page(viewport={"width": 390, "height": 900})
        page.set_content(demo_html("lineage", **STATE))
        demo = page.locator(".softattn-demo[data-state=live]")
        demo.wait_for()

        def numbers():
            return json.loads(demo.get_attribute("data-numbers"))

        def agree():
            seen = numbers()
            assert seen["weights"] == pytest.approx(python_weights(STATE, seen).tolist(), rel=1e-9, abs=1e-12), seen

        assert numbers()["look"] == "dot"
        agree()
        looks = page.locator("select option").evaluate_all("(all) => all.map((o) => o.value)")
        assert looks == list(chapter.LOOKS)
        for look in looks:
            page.locator("select").select_option(look)
            agree()
            for _ in range(2):
                sliders = page.locator("input[type=range]")
                for k in range(sliders.count()):
                    sliders.nth(k).focus()
                    page.keyboard.press("ArrowLeft")
                agree()
                page.locator("button").first.click()
                agree()
        page.locator("select").select_option("dot")
        box = page.locator("svg").bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 40)
        page.mouse.down()
        page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 25, steps=3)
        page.mouse.up()
        assert numbers()["query"][0] > 0.5 and numbers()["query"][1] > 0.3
        agree()
        assert demo.bounding_box()["height"] <= 844
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        browser.close()


def test_the_oracles_can_fail():
    """A shift to the other side, and a missing root, are seen."""
    given_ = head(7)
    wrong = ntm_address(**given_ | dict(shift=given_["shift"].flip(1)))
    expected = head_in_numpy(**{k: v.numpy() for k, v in given_.items()})
    assert not np.allclose(wrong.numpy(), expected, atol=1e-3)
    q, k, v = triple()
    assert not np.allclose(F.softmax(q @ k.mT, -1).numpy(), by_loops(q, k, v)[1], atol=1e-3)


def test_a_head_turns_any_numbers_into_what_an_address_is_made_of():
    from scipy.special import expit, softmax

    raw = randn(5, 3 + 6, seed=3)
    key, beta, g, shift, gamma = (part.numpy() for part in chapter.head_params(raw, 3))
    x = raw.numpy()
    soft = lambda v: np.log1p(np.exp(v))
    for found, want in (
        (key, np.tanh(x[:, :3])),
        (beta, soft(x[:, 3:4])),
        (g, expit(x[:, 4:5])),
        (gamma, 1 + soft(x[:, 5:6])),  # sharpens, never blurs
        (shift, softmax(x[:, 6:], 1)),
    ):
        assert found == pytest.approx(want, abs=1e-12)


def test_the_grid_in_one_dimension_is_bells_over_the_places():
    """Three rows of normal densities, each divided by its sum, times the intensity: by loops in NumPy."""
    torch.manual_seed(0)
    look, D, U = chapter.GridLook(4, 3).double(), 3, 7
    query, keys = randn(2, 4, seed=5), randn(2, U, D, seed=6)
    found, seen, _ = look(query, keys, None)
    for b in range(2):
        raw = look.aim(query[b]).detach().numpy()
        g = (raw[0] + 1) * (U + 1) / 2
        sigma2, delta, gamma = np.exp(chapter.BOUND * np.tanh(raw[1:] / chapter.BOUND))
        rows = np.zeros((3, U))
        for i in range(3):
            for u in range(1, U + 1):
                rows[i, u - 1] = math.exp(-((u - g - (i - 1) * delta * (U - 1) / 2) ** 2) / (2 * sigma2))
            rows[i] /= rows[i].sum()
        read = torch.from_numpy(gamma * rows @ keys[b].numpy()).flatten()
        assert torch.allclose(found[b], look.blend(read), atol=1e-10)
        assert seen[b].detach().numpy() == pytest.approx(rows.mean(0), abs=1e-10)

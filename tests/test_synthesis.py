"""Synthesis: the writer against its own forward pass, loops and rules by hand; what it refuses; its demos."""

import importlib
import json
import math
import multiprocessing
import pickle
import shutil
import types

import numpy as np
import pytest
import torch

import softattn
import softattn.page
import softattn.synthesis as synthesis
from softattn.fast_writer import pen_noise
from softattn.handwriting import ROUNDING
from softattn.mixture import StrokeMixture
from softattn.page import from_pad, ink_slant, styles, wrap
from softattn.pen import PRINTABLE, EmbeddedWriter
from softattn.strokes import Strokes
from softattn.synthesis import (
    UNKNOWN,
    VOCAB_SIZE,
    Draft,
    Faults,
    HandwritingSynthesizer,
    WritingError,
    attended_characters,
    encode_texts,
    faults,
    sample_lines,
    write,
)
from softattn.window import SoftWindow

MEAN, STD = (8.25, 0.12), (42.5, 37.3)


def network(seed=5, hidden=16, layers=3, dtype=torch.float32, **more) -> HandwritingSynthesizer:
    """A small writer that has learned nothing, whose outputs depend on what it reads and whose window is quick."""
    torch.manual_seed(seed)
    model = HandwritingSynthesizer(hidden, layers, 3, 4, MEAN, STD, **more)
    with torch.no_grad():
        for one in [model.first, *model.layers]:
            one.peephole.normal_(0, 0.3)
        model.output.weight.normal_(0, 0.3)
        model.first.window.bias[6:] += 1.5  # about five points a character
    return model.eval().to(dtype)


def line(*steps: tuple[float, float, float], text: str = "") -> Strokes:
    return Strokes(torch.tensor(steps), text)


# -- texts -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [-2, VOCAB_SIZE + 1, 200])
def test_a_code_that_is_no_character_is_not_weighed(code):
    model, x = HandwritingSynthesizer(4, 1, 2, 2), torch.zeros(3, 1, 3)
    assert model(x, torch.tensor([[0, VOCAB_SIZE, -1]])).phi.shape == (3, 1, 3)
    with pytest.raises(ValueError, match=f"text holds no code: -1 to {VOCAB_SIZE}"):
        model(x, torch.tensor([[0, code, 1]]))


def test_codes_are_places_in_the_printable_characters():
    codes = encode_texts(["ab", "~ A!", "é"])
    assert codes.tolist() == [
        [PRINTABLE.index("a"), PRINTABLE.index("b"), -1, -1],
        [PRINTABLE.index(c) for c in "~ A!"],
        [UNKNOWN, -1, -1, -1],
    ]
    assert encode_texts([PRINTABLE]).unique().numel() == 95 and VOCAB_SIZE == 96


# -- the network -------------------------------------------------------------------------------------------------------


class Loop:
    """The network's equations, one step, one row, one character at a time, in float64."""

    def __init__(self, model, text, u):
        self.model, self.layers, self.text, self.u = model, [model.first, *model.layers], text, u
        H, K = model.first.hidden_size, model.first.window.components
        self.c, self.h = ([torch.zeros(H).double() for _ in self.layers] for _ in "ch")
        self.kappa, self.w = torch.zeros(K).double(), torch.zeros(VOCAB_SIZE).double()

    def step(self, point):
        """Raw outputs (6M + 1,) and phi (u,) after one more point (3,)."""
        first, h, c, K = self.model.first, self.h, self.c, len(self.kappa)
        for n, layer in enumerate(self.layers):
            z = point @ layer.weight_x[:3] + h[n] @ layer.weight_h + layer.bias
            # layer 1 has the window of the step before, the others that of this one
            z = z + self.w @ (layer.weight_w if n == 0 else layer.weight_x[3 : 3 + VOCAB_SIZE])
            if n:
                z = z + h[n - 1] @ layer.weight_x[3 + VOCAB_SIZE :]
            i, f, g, o = z.view(4, -1)
            p = layer.peephole
            i, f = torch.sigmoid(i + p[0] * c[n]), torch.sigmoid(f + p[1] * c[n])
            c[n] = f * c[n] + i * torch.tanh(g)
            h[n] = torch.sigmoid(o + p[2] * c[n]) * torch.tanh(c[n])
            if n == 0:
                alpha, beta, pace = torch.exp(h[0] @ first.window.weight + first.window.bias).view(3, K)
                self.kappa = self.kappa + pace
                phi = torch.stack(
                    [(alpha * torch.exp(-beta * (self.kappa - k) ** 2)).sum() for k in range(1, self.u + 1)]
                )
                self.w = torch.zeros(VOCAB_SIZE).double()
                for place, char in enumerate(self.text):
                    self.w[PRINTABLE.index(char)] += phi[place]
        return self.model.output.weight @ torch.cat(h) + self.model.output.bias, phi


def by_loop(model, x, text, u):
    """Raw (T, 6M + 1) and phi (T, u) for points (T, 3)."""
    loop = Loop(model, text, u)
    return tuple(torch.stack(rows) for rows in zip(*(loop.step(point) for point in x), strict=True))


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_network_is_its_equations(layers):
    model, x = network(layers=layers, dtype=torch.float64), torch.randn(9, 2, 3, dtype=torch.float64)
    texts = ["ink and", "pen"]
    with torch.no_grad():
        out = model(x, encode_texts(texts))
        for b, text in enumerate(texts):
            raw, phi = by_loop(model, x[:, b], text, len(text))
            torch.testing.assert_close(out.raw[:, b], raw, rtol=1e-10, atol=1e-10)
            torch.testing.assert_close(out.phi[:, b, : len(text)], phi, rtol=1e-10, atol=1e-10)
    assert (out.phi[:, 1, 3:] == 0).all()
    assert (out.kappa.diff(dim=0) > 0).all() and (out.kappa[0] > 0).all(), "the window only moves forward"


def test_going_on_from_a_state_equals_the_whole_and_resets_forget():
    model, x, text = (
        network(dtype=torch.float64),
        torch.randn(10, 2, 3, dtype=torch.float64),
        encode_texts(["ink", "pens"]),
    )
    with torch.no_grad():
        whole = model(x, text)
        first = model(x[:4], text)
        torch.testing.assert_close(model(x[4:], text, first.state).raw, whole.raw[4:])
        reset = torch.zeros(10, 2, dtype=torch.bool)
        reset[6, 1] = True
        rows = torch.tensor([0, 1]).repeat(10, 1)
        rows[6:, 1] = 0  # from there on row 1 writes the other text
        again = model(x, text, None, reset, rows)
        torch.testing.assert_close(again.raw[6:, 1], model(x[6:, 1:2], text[:1]).raw[:, 0])
        torch.testing.assert_close(again.raw[:, 0], whole.raw[:, 0])


def test_nats_are_the_sum_of_a_loop():
    model = network()
    lines = [EmbeddedWriter(1).write("ink"), EmbeddedWriter(2).write("a pen")]
    for one, nats in zip(lines, model.nats(lines), strict=True):
        x = model.normalise(one.offsets).double()
        raw, _ = by_loop(network(dtype=torch.float64), x[:-1], one.text, len(one.text))
        wanted = sum(
            -StrokeMixture(raw[t], floor=model.floors(ROUNDING)).log_prob(x[t + 1]).item() for t in range(len(x) - 1)
        )
        assert nats.item() == pytest.approx(wanted, rel=1e-5)
    other = Strokes(lines[0].offsets, "oak")
    assert model.nats([other]) != model.nats(lines[:1]), "the text matters"


# -- drawing -----------------------------------------------------------------------------------------------------------


def unroll(model, text, seed, bias, prime=None):
    """A line by the plainest loop, in float64: offsets in raw units (T, 3), phi (T, U + 1), whether it ended."""
    before = f"{prime.text} " if prime else ""
    whole, n = before + text, len(before)
    start = torch.zeros(1, 3) if prime is None else prime.offsets
    x = list(model.normalise(start.double()))
    told, noise, over = len(x), pen_noise(seed, 200 + 60 * len(text)), None
    loop, phis = Loop(model, whole, len(whole) + 1), []
    for point in x[:-1]:
        loop.step(point)
    for numbers in noise:
        raw, phi = loop.step(x[-1])
        phis.append(phi[n:])
        if len(x) > told and over is None and phi[-1] > phi[:-1].sum():
            over = len(phis)
        if over is not None:
            if x[-1][2] > 0 or phi.sum() < 1e-3:
                break
            if len(phis) == over + 8:  # no lift came: the line ended at the sign
                x, phis = x[: told - 1 + over], phis[:over]
                break
        raw[1 : 1 + len(raw) // 6] *= (1 + min(bias, 1.0)) / (1 + bias)  # the weights feel no more than 1
        x.append(StrokeMixture(raw).sample(bias, noise=numbers))
    points = torch.stack(x)[told - 1 :] * model.std + model.mean
    first = 0 if prime is None else 1  # the jump from the prime's last point is no ink of the new line
    points, phis = points[first:], torch.stack(phis)[first:]
    points[0, :2], points[-1, 2] = 0, 1
    return points, phis, over is not None


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize(("primed", "bias"), [(False, 0.5), (True, 0.5), (False, 3.0)])
def test_sample_lines_is_a_loop(fused, primed, bias):
    model, texts = network(dtype=torch.float64), ["ink", "pencils"]
    primes = [line((0, 0, 0), (30, 4, 0), (9, -20, 1), (12, 30, 1), text="q"), line((0, 0, 1), (8, 3, 1), text="ab")]
    primes = primes if primed else None
    with torch.no_grad():
        drafts = sample_lines(model, texts, [3, 4], bias, primes, fused)
        for b, draft in enumerate(drafts):
            points, phi, ended = unroll(model, texts[b], 3 + b, bias, primes and primes[b])
            assert draft.ended and ended and len(draft.strokes) == len(points) and draft.strokes.text == texts[b]
            torch.testing.assert_close(draft.strokes.offsets, points.float(), rtol=1e-5, atol=1e-3)
            torch.testing.assert_close(draft.phi.double(), phi, rtol=1e-6, atol=1e-8)


def test_neither_end_nor_limit_depend_on_a_longer_neighbour():
    """The window leaves a short text while the neighbour's places are still heard; each has its own limit."""
    model, long = network(dtype=torch.float64), "ink and paper and much more"
    for text, seed in (("i", 1), ("in", 2)):
        (alone,), beside = sample_lines(model, [text], [seed]), sample_lines(model, [text, long], [seed, 1])[0]
        assert len(alone.strokes) == len(beside.strokes) and alone.ended == beside.ended
        torch.testing.assert_close(alone.strokes.offsets, beside.strokes.offsets, rtol=1e-6, atol=1e-4)
        torch.testing.assert_close(alone.phi, beside.phi, rtol=1e-9, atol=1e-12)
    with torch.no_grad():
        model.first.window.bias[6:] = -30.0  # nothing ends
    short, other = sample_lines(model, ["ab", "abcd"], [1, 2])
    assert (len(short.strokes), len(other.strokes)) == (200 + 120 + 1, 200 + 240 + 1)
    assert not short.ended and not other.ended


def same(one: Draft, other: Draft) -> bool:
    """Bit for bit."""
    return one.strokes == other.strokes and torch.equal(one.phi, other.phi) and one.ended == other.ended


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_line_does_not_depend_on_its_neighbours(dtype):
    """Bit for bit, whoever stands beside it and wherever: other texts, longer ones, primes, a list of seventy."""
    model, texts = network(dtype=dtype), ["ink", "a pencil", "paper and pens", "x", "QXZ 0123 {}", "a" * 40]
    primes = [EmbeddedWriter(n).write("hand") if n % 2 else None for n in range(6)]
    alone = [sample_lines(model, [t], [n], 0.5 * n, [primes[n]])[0] for n, t in enumerate(texts)]
    for order in ([5, 4, 3, 2, 1, 0], [0, 3], [n % 6 for n in range(70)]):
        many = sample_lines(
            model, [texts[n] for n in order], order, [0.5 * n for n in order], [primes[n] for n in order]
        )
        assert all(same(alone[n], draft) for n, draft in zip(order, many, strict=True))


def test_primes_of_different_lengths_equal_single_ones():
    model = network(dtype=torch.float64)
    primes = [EmbeddedWriter(1).write("a long line"), EmbeddedWriter(2).write("i"), line((0, 0, 1), text=".")]
    together = sample_lines(model, ["ink", "pen", "oak"], [1, 2, 3], primes=primes)
    for b, (text, prime) in enumerate(zip(["ink", "pen", "oak"], primes, strict=True)):
        (alone,) = sample_lines(model, [text], [b + 1], primes=[prime])
        torch.testing.assert_close(alone.strokes.offsets, together[b].strokes.offsets, rtol=1e-5, atol=1e-3)
    (plain,) = sample_lines(model, ["ink"], [1])
    assert plain.strokes != together[0].strokes, "a prime changes the line"
    assert together[0].phi.shape[1] == 4, "phi is that of the text alone"


def test_seeds_and_biases():
    model = network()
    a, b, c = sample_lines(model, ["ink"] * 3, [1, 1, 2])
    assert a.strokes == b.strokes and a.strokes != c.strokes
    texts = ["i", "ink", "ink and paper"]
    for order in ([0, 1, 2], [2, 1, 0]):  # whichever ends first, each keeps its own bias
        mixed = sample_lines(model, [texts[k] for k in order], [1, 1, 1], bias=[(0.0, 1.0, 4.0)[k] for k in order])
        for k, draft in zip(order, mixed, strict=True):
            (single,) = sample_lines(model, [texts[k]], [1], bias=(0.0, 1.0, 4.0)[k])
            assert len(single.strokes) == len(draft.strokes)
            torch.testing.assert_close(single.strokes.offsets, draft.strokes.offsets, rtol=1e-3, atol=0.1)


def test_a_line_that_does_not_end_is_cut_and_said_to_be():
    model = network()
    with torch.no_grad():
        model.first.window.bias[6:] = -30.0  # the window stands still
    (draft,) = sample_lines(model, ["ab"], [1])
    assert not draft.ended and len(draft.strokes) == 200 + 60 * 2 + 1
    assert "the pen ran on behind the text" in str(faults(draft)) and not faults(draft).ended
    assert draft.strokes.offsets[-1, 2] == 1


def test_a_window_that_has_left_ends_the_line():
    """Far behind the text all weights are 0: a pen that never lifts is stopped all the same."""
    model = network()
    with torch.no_grad():
        model.first.window.bias[6:] = 0.0
        model.first.window.bias[3:6] = 1.0
        model.output.bias[0] = 60.0  # never lifts
        model.output.weight[0] = 0.0
    (draft,) = sample_lines(model, ["ab"], [1])
    assert draft.ended and len(draft.strokes) < 40 and draft.phi[-1].sum() < 1e-3


@pytest.mark.parametrize(
    ("phi", "lifted", "t", "over", "found"),
    [
        ([0.1, 0.1, 0.7], True, 0, None, (None, None)),  # before any ink
        ([0.1, 0.1, 0.7], False, 1, None, (1, None)),
        ([0.1, 0.1, 0.7], True, 1, None, (1, 1)),
        ([0.25, 0.25, 0.5], True, 5, None, (None, None)),  # just half is no sign
        ([0.5, 0.4, 0.1], True, 9, 5, (5, 9)),
        ([0.5, 0.4, 0.1], False, 12, 5, (5, None)),
        ([0.5, 0.4, 0.1], False, 13, 5, (5, 5)),  # eight points later: back to the sign
        ([0.0, 0.0, 0.0009], False, 9, 5, (5, 9)),  # it sees nothing any more
    ],
)
def test_where_a_line_ends(phi, lifted, t, over, found):
    assert synthesis.line_end(torch.tensor(phi), lifted, t, over) == found


def test_the_attention_is_that_of_forward_and_the_place_only_grows():
    model = network()
    (draft,) = sample_lines(model, ["ink and pens"], [2])
    x = model.normalise(draft.strokes.offsets)
    x[0] = model.normalise(torch.zeros(3))
    with torch.no_grad():
        out = model(x[:, None], encode_texts(["ink and pens"]))
    # the last look may have come without a lift, which the ink shows all the same
    torch.testing.assert_close(draft.phi[:-1, :-1], out.phi[:-1, 0], rtol=1e-3, atol=1e-4)
    assert (out.kappa.diff(dim=0) > 0).all()
    assert (draft.phi >= 0).all() and draft.phi.isfinite().all()


# -- has it finished, is it complete -----------------------------------------------------------------------------------


def test_passed_is_half_of_the_largest():
    phi = torch.tensor([[1.9, 0.0, 0.1, 0.0, 0.8], [0.2, 0.39, 0.0, 0.1, 0.0], [0.0, 0.2, 0.41, 0.9, 0.0]])
    assert attended_characters(phi, "weights").tolist() == [True, False, False, False, False]  # half of 1.9
    assert attended_characters(phi, "shares").tolist() == [
        True,
        True,
        False,
        True,
        False,
    ]  # of 0.68, 0.66, 0.27, 0.60, 0.29
    assert attended_characters(torch.tensor([[1.0, 0.5, 0.49]]), "weights").tolist() == [True, True, False]
    loud, faint = torch.tensor([[9.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 0.0], [0.0, 1e-3]])
    assert attended_characters(loud, "shares").tolist() == [True, True], "loud once is no matter"
    assert attended_characters(loud).tolist() == [True, False], "by weights it is"
    assert attended_characters(faint, "shares").tolist() == [True, False], "all of next to nothing is little"
    for by in ("shares", "weights"):
        assert attended_characters(torch.zeros(3, 2), by).tolist() == [True, True], (
            "where nothing is heard, nothing is louder"
        )


def draft(phi, text="pen", ended=True):
    offsets = torch.zeros(len(phi), 3)
    offsets[-1, 2] = 1
    return Draft(Strokes(offsets, text), torch.as_tensor(phi, dtype=torch.float32), ended)


def test_faults_say_what_is_wrong():
    good = [[1, 0.1, 0, 0], [0, 0.9, 0.2, 0], [0, 0, 0.8, 0.3]]
    assert faults(draft(good)) == Faults() and not faults(draft(good)) and faults(draft(good)).ok
    assert str(faults(draft(good))) == ""
    assert faults(draft(good, ended=False)) == Faults(ended=False)
    skipped = faults(draft([[1, 0.1, 0, 0], [0, 0.3, 0.9, 0]]))
    assert skipped and str(skipped) == "the window passed over 'e' (character 1) too lightly"
    assert faults(draft([[1, 0, 0, 0], [0, 0, 0, 1.0]])).missed == ((1, "e"), (2, "n"))
    back = faults(draft([[1, 0, 0, 0], [0, 0, 0.9, 0], [0, 0.8, 0, 0]]))
    assert back == Faults(in_order=False) and "out of their order" in str(back)
    uneven = draft([[1, 0, 0, 0], [0, 0.45, 0, 0], [0, 0, 0.5, 1.0]])
    assert faults(uneven, "shares").ok and faults(uneven, "weights").missed == ((1, "e"),)
    hop = draft([[1, 0, 0, 0], [0.6, 0.3, 0.1, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]], text="a p")
    assert faults(hop, "shares").ok and faults(hop, "weights").missed == ((1, " "),)
    behind = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 9]]
    assert faults(draft(behind)).ok, "the place behind the text is no character"


def test_faults_are_sorted_by_what_they_cost_a_reader():
    """To have run on is worse than any letter missed, however long the sentence."""
    ran, one, two, order = (
        Faults(False),
        Faults(True, ((0, "a"),)),
        Faults(True, ((0, "a"), (1, "b"))),
        Faults(True, (), False),
    )
    assert sorted([ran, two, order, Faults(), one], key=lambda f: f.key) == [Faults(), order, one, two, ran]
    assert len(str(ran)) < len(str(one)), "the length of the words says nothing"


# -- write -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def scribe(monkeypatch):
    """A model whose lines are accepted, whatever it draws: what is tested is all the rest of write."""
    monkeypatch.setattr(synthesis, "faults", lambda draft, by="weights": Faults())
    monkeypatch.setattr(synthesis, "check_followed", lambda model, prime: None)
    return network()


def test_write_is_seeded_and_says_its_seed(scribe):
    one = write("a pen", seed=3, model=scribe)
    assert one == write("a pen", seed=3, model=scribe) and one != write("a pen", seed=4, model=scribe)
    drawn = write("a pen", model=scribe)
    assert drawn.seed is not None and drawn == write("a pen", seed=drawn.seed, model=scribe)
    assert drawn != write("a pen", model=scribe), "without a seed each line is new"
    assert (one.text, one.seed, one.redraws) == ("a pen", 3, 0)
    assert one.attention.shape == (len(one), 5)


def test_a_seed_that_nobody_gave_has_31_bits(scribe, monkeypatch):
    monkeypatch.setattr(synthesis.secrets, "randbelow", lambda below: below - 1)
    assert write("x", model=scribe).seed == 2_147_483_647


def test_a_list_is_written_in_one_batch_and_equals_single_texts(scribe):
    texts = ["a pen", "ink and paper, and what is written with both", "x"]
    many = write(texts, seed=10, model=scribe, columns=16)
    assert [one.text for one in many] == texts and [one.seed for one in many] == [10, 11, 12]
    for n, one in enumerate(many):
        alone = write(texts[n], seed=10 + n, model=scribe, columns=16)
        assert alone == one and torch.equal(alone.attention, one.attention)
    assert isinstance(write(["x"], seed=1, model=scribe), list)


def test_a_page_is_its_lines_one_below_the_other(scribe):
    text = "ink and paper,\n  and what is written with both"
    page = write(text, seed=5, model=scribe, columns=16)
    lines = [each.strip() for each in wrap(text, 16)]
    assert page.text == text and len(page.windows) == len(lines) == 4
    rows = [len(phi) for phi, _ in page.windows]
    assert sum(rows) == len(page)
    places = [place.tolist() for _, place in page.windows]
    assert ["".join(text[u] for u in place) for place in places] == lines
    assert sorted(sum(places, [])) == sum(places, []), "in order"
    paper = page.to_absolute().split(rows)
    middles = [piece[:, 1].median().item() for piece in paper]
    assert np.diff(middles).min() > 0 and np.ptp(np.diff(middles)) < 1e-2 * np.diff(middles)[0]
    left = [piece[:, 0].amin().item() for piece in paper]
    assert np.ptp([left[0], *left[2:]]) < 0.1 and left[1] > left[0] + 50, "the second line is indented"
    attention, row = page.attention, 0
    assert attention.shape == (len(page), len(text))
    for phi, place in page.windows:
        torch.testing.assert_close(attention[row : row + len(phi), place], phi)
        row += len(phi)
    assert attention.sum().item() == pytest.approx(sum(phi.sum().item() for phi, _ in page.windows), rel=1e-4)


def test_all_lines_of_a_page_are_primed_with_the_first(scribe, monkeypatch):
    seen, whole = [], synthesis.sample_lines

    def spy(model, texts, seeds, bias, primes):
        seen.append((texts, primes))
        return whole(model, texts, seeds, bias, primes)

    monkeypatch.setattr(synthesis, "sample_lines", spy)
    page = write("one two three four", seed=1, model=scribe, columns=8)
    assert seen[0] == (("one two",), None)
    assert all(prime.text == "one two" for prime in seen[1][1]) and sorted(seen[1][0]) == ["four", "three"]
    first = page.windows[0][0]
    assert (
        torch.equal(seen[1][1][0].offsets, whole(scribe, ["one two"], [1], 0.75)[0].strokes.offsets) and len(first) > 1
    )
    seen.clear()
    mine = EmbeddedWriter(3).write("my hand")
    write("one two three", seed=1, model=scribe, columns=8, prime=mine)
    assert all(prime is mine for _, primes in seen for prime in primes)


def test_a_long_text_is_written(scribe):
    """10,000 characters: every one of them has its place, and nothing of the size T x U is made."""
    text = ("ink and paper " * 800)[:10_000].strip()
    scribe.first.window.bias.data[6:] += 2.0  # a quick pen: the test is of the page
    page = write(text, seed=1, model=scribe, columns=100)
    assert "".join(text[u] for _, place in page.windows for u in place.tolist()) == " ".join(wrap(text, 100)).replace(
        " ", ""
    ) or len(page.windows) == len(wrap(text, 100))
    assert len(page.windows) == len(wrap(text, 100)) and page.offsets.isfinite().all()


def test_what_is_refused_is_drawn_again_and_counted(monkeypatch):
    model, tried = network(), []

    def judge(draft, by):
        tried.append(draft.strokes)
        return Faults(ended=len(tried) > 3)

    monkeypatch.setattr(synthesis, "faults", judge)
    one = write("ink", seed=2, model=model)
    wanted = sample_lines(model, ["ink"], [2 + 1_000_003 * one.redraws], 0.75)[0].strokes
    assert one.redraws >= 1 and torch.equal(
        one.offsets[1:, :2], Strokes.from_absolute(one.to_absolute()).offsets[1:, :2]
    )
    assert len(one) == len(wanted)
    torch.testing.assert_close(one.offsets[1:], wanted.offsets[1:], rtol=1e-4, atol=0.01)


def test_ten_attempts_and_the_best_is_attached(monkeypatch):
    """The best is the one with the smallest key, not the one with the shortest words."""
    wrong = [Faults(False)] * 4 + [Faults(True, ((0, "i"), (1, "n"))), Faults(True, ((2, "k"),))] + [Faults(False)] * 4
    tried = []

    def judge(draft, by):
        tried.append(draft)
        return wrong[len(tried) - 1]

    monkeypatch.setattr(synthesis, "faults", judge)
    words = r"10 attempts at 'ink' failed, in the best of them the window passed over 'k'.*another seed"
    with pytest.raises(WritingError, match=words) as error:
        write("ink", seed=2, model=network())
    assert error.value.text == "ink" and error.value.best is tried[5] and isinstance(error.value, RuntimeError)


def failing(_):
    raise WritingError("no line", draft([[1.0, 0, 0, 0]]))


def test_the_error_comes_through_a_process_pool():
    back = pickle.loads(pickle.dumps(WritingError("no line", draft([[1.0, 0, 0, 0]]))))
    assert str(back) == "no line" and back.text == "pen" and torch.equal(back.best.phi, torch.tensor([[1.0, 0, 0, 0]]))
    with multiprocessing.get_context("fork").Pool(1) as pool, pytest.raises(WritingError, match="no line") as error:
        pool.map_async(failing, [1]).get(timeout=60)
    assert error.value.best.strokes.text == "pen"


def test_styles_are_lines_by_name(scribe, monkeypatch):
    hand = EmbeddedWriter(3).write("my hand")
    monkeypatch.setattr(softattn.page, "styles", lambda: {"round": hand})
    assert write("ink", seed=1, style="round", model=scribe) == write("ink", seed=1, prime=hand, model=scribe)
    assert "no style 'square', expected one of round" in refusal(lambda: write("ink", style="square", model=scribe))


def test_a_progress_bar_counts_lines(scribe, capsys):
    write("one two three", seed=1, model=scribe, columns=8, progress=True)
    assert "2/2" in capsys.readouterr().err
    write("one two three", seed=1, model=scribe, columns=8)
    assert capsys.readouterr().err == ""


class Narrow(SoftWindow):
    """A window that is twice as loud."""

    def phi(self, alpha, beta, kappa, u):
        return 2 * super().phi(alpha, beta, kappa, u)


def test_what_is_changed_in_the_model_is_honoured(scribe):
    """An own phi, a hook, a layer of one's own: `write` takes the plain way, and what is told of the model is done."""
    as_it_was = write("ink", seed=1, model=scribe)
    scribe.first.window.__class__ = Narrow
    (loud,) = sample_lines(scribe, ["ink"], [1], 0.75)
    (plain,) = sample_lines(scribe, ["ink"], [1], 0.75, fused=False)
    torch.testing.assert_close(loud.phi, plain.phi, rtol=1e-3, atol=1e-4)
    assert write("ink", seed=1, model=scribe) != as_it_was
    with pytest.raises(ValueError, match="sample_lines: fused=True, but its part window has a phi of its own"):
        sample_lines(scribe, ["ink"], [1], fused=True)
    scribe.first.window.__class__ = SoftWindow
    for part in (scribe, scribe.output, scribe.layers[0], scribe.first):
        seen = []
        hook = part.register_forward_hook(lambda *_, seen=seen: seen.append(1))
        again = write("ink", seed=1, model=scribe)
        hook.remove()
        assert len(seen) >= len(again) - 1 and len(again) == len(as_it_was)
        torch.testing.assert_close(again.offsets, as_it_was.offsets, rtol=1e-3, atol=0.5)


def test_an_own_forward_is_honoured(scribe):
    class Lifting(HandwritingSynthesizer):
        def forward(self, *args, **how):
            out = super().forward(*args, **how)
            raw = out.raw.clone()
            raw[..., 0] = -50.0  # lifts after each point
            return out._replace(raw=raw)

    scribe.__class__ = Lifting
    assert (write("ink", seed=1, model=scribe).offsets[1:, 2] == 1).all()


def test_nothing_global_is_touched_and_the_mode_is_restored(scribe, monkeypatch):
    torch.manual_seed(3)
    state = torch.get_rng_state()
    write("ink", model=scribe)
    assert torch.equal(state, torch.get_rng_state())
    model = network(dropout=0.5)
    model.train()
    model.layers[1].eval()
    modes = [part.training for part in model.modules()]
    hand = EmbeddedWriter(3).write("my hand")
    assert write("ink", seed=1, prime=hand, model=model) == write("ink", seed=1, prime=hand, model=model)
    assert [part.training for part in model.modules()] == modes

    def fail(draft, by):
        raise MemoryError

    monkeypatch.setattr(synthesis, "faults", fail)
    with pytest.raises(MemoryError):
        write("ink", seed=1, model=model)
    assert [part.training for part in model.modules()] == modes


def test_what_people_pass(scribe, monkeypatch):
    one = write("ink", seed=7, model=scribe)
    assert one == write("ink", seed=np.int64(7), model=scribe) == write(np.str_("ink"), seed=7, model=scribe)
    assert one == write("ink", bias=np.float32(0.75), seed=7, model=scribe)
    for texts in (("pen", "ink"), np.array(["pen", "ink"]), (text for text in ("pen", "ink"))):
        assert write(texts, seed=6, model=scribe)[1] == one
    monkeypatch.setattr(softattn, "load", lambda name: {"mine": scribe}[name], raising=False)
    assert write("ink", seed=7, model="mine") == one
    assert "model is a Linear, expected a HandwritingSynthesizer" in refusal(
        lambda: write("ink", model=torch.nn.Linear(1, 1))
    )
    assert (
        sample_lines(scribe, ["ink"], [np.int64(7)], np.float32(0.75))[0].strokes
        == sample_lines(scribe, ("ink",), range(7, 8), torch.tensor(0.75))[0].strokes
    )


def test_line_ends_tabs_blank_lines_and_indents(scribe):
    letter = write("Dear Anna,\r\n\r\nthanks.\n\n\tBob", seed=1, model=scribe)
    assert letter.text == "Dear Anna,\n\nthanks.\n\n    Bob"
    rows = [len(phi) for phi, _ in letter.windows]
    first, second, third = letter.to_absolute().split(rows)
    middles = [piece[:, 1].median().item() for piece in (first, second, third)]
    assert middles[1] - middles[0] == pytest.approx(middles[2] - middles[1], rel=1e-2)
    dense = write("Dear Anna,\nthanks.\n    Bob", seed=1, model=scribe).to_absolute().split(rows)
    assert middles[1] - middles[0] == pytest.approx(
        2 * (dense[1][:, 1].median() - dense[0][:, 1].median()).item(), rel=1e-2
    ), "a blank line is as high as a written one"
    assert third[:, 0].amin() > first[:, 0].amin() + 50


# -- errors ------------------------------------------------------------------------------------------------------------


def refusal(call) -> str:
    with pytest.raises((ValueError, TypeError)) as error:
        call()
    return str(error.value)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (dict(text=""), "'' holds nothing to write"),
        (dict(text=" \n "), "holds nothing to write; give one character at least that is not a space"),
        (dict(text=["ink", ""]), "holds nothing to write"),
        (dict(text=[]), "the list holds no text"),
        (dict(text=7), "text is 7, expected a string or a list of strings"),
        (dict(text=b"ink"), "text is b'ink' (bytes)"),
        (dict(text={"ink": 1}), "text is {'ink': 1} (dict)"),
        (dict(text="ink", bias=1e300), "expected a finite number from 0 to 100"),
        (dict(text="ink", bias=True), "bias is True"),
        (dict(text="ink", seed=True), "seed is True"),
        (dict(text="ink", seed=1.5), "seed is 1.5"),
        (dict(text="ink", columns=True), "columns is True"),
        (dict(text="ink", columns=10**9), "from 8 to 1,000"),
        (dict(text="ink", style=3), "no style 3"),
        (dict(text=["ink", 7]), "text is int"),
        (dict(text="tab\there\x00"), r"not '\x00' (U+0000)"),
        (dict(text="“ink”"), """'“' (U+201C: write '"')"""),
        (dict(text="caf\xe9"), "'é' (U+00E9: write 'e')"),
        (dict(text="ink \U0001f58b☃"), "'☃' (U+2603), '\U0001f58b' (U+1F58B)"),
        (dict(text="ink", bias=-0.1), "write: bias is -0.1, expected a finite number from 0 to 100"),
        (dict(text="ink", bias=math.nan), "bias is nan"),
        (dict(text="ink", bias=math.inf), "bias is inf"),
        (dict(text="ink", columns=7), "columns is 7, expected a whole number from 8 to 1,000"),
        (dict(text="ink", style="round", prime=line((0, 0, 1), text="a")), "both style 'round' and a prime"),
        (dict(text="ink", prime="a line"), "prime is 'a line', expected Strokes"),
        (dict(text="ink", prime=line((0, 0, 1))), "expected Strokes with the text that they write"),
        (dict(text="ink", prime=line((0, 0, 1), text="a whole line")), "1 points for 12 characters, 0.1 each"),
        (dict(text="ink", prime=line(*[(0, 0, 0)] * 300, (1, 1, 1), text="a")), "301 points for 1 characters"),
        (dict(text="ink", prime=line(*[(0, 0, 0)] * 20, (1, 1, 1), text="é")), "the pen knows printable ASCII"),
    ],
)
def test_write_refuses(how, words):
    assert words in refusal(lambda: write(**how, model=network()))


def test_what_can_be_refused_without_the_model_is(monkeypatch):
    """No weights are loaded for a text that cannot be written."""
    monkeypatch.setattr("softattn.hub.load", lambda *_: pytest.fail("loaded"))
    refusal(lambda: write("☃"))
    refusal(lambda: write("ink", bias=-1))


def test_a_prime_that_does_not_fit_its_text_is_refused():
    model = network()
    with torch.no_grad():
        model.first.window.bias[6:] = -6.0  # a window that hardly moves: at the end it is still near the beginning
        model.first.window.weight[:, 6:] = 0.0
    hand = EmbeddedWriter(3).write("this is my hand")
    words = refusal(lambda: write("ink", prime=hand, model=model))
    assert "the window was at character 1 of 15" in words and "do its strokes write 'this is my hand'?" in words


def test_a_prime_with_nan_cannot_be_made():
    assert "every number must be finite" in refusal(lambda: line((0, 0, 0), (math.nan, 0, 1), text="a"))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: encode_texts([]), "no text or an empty one"),
        (lambda: encode_texts(["a", ""]), "give at least one character each"),
        (lambda: HandwritingSynthesizer(4, 0), "num_layers is 0, expected a whole number"),
        (lambda: HandwritingSynthesizer(4, 1, dropout=1.0), "dropout is 1.0, expected a finite number from 0"),
        (lambda: HandwritingSynthesizer(4, 1, mixtures=1), "mixtures is 1, expected a whole number from 2"),
        (lambda: HandwritingSynthesizer(4, 1, std=(1.0, 0.0)), "std above 0"),
        (lambda: HandwritingSynthesizer(0, 1), "hidden_size"),
        (
            lambda: network()(torch.zeros(1, 1, 3), torch.zeros(3)),
            "text has shape (3,) and is torch.float32, expected",
        ),
        (
            lambda: network()(
                torch.zeros(1, 1, 3),
                encode_texts(["a"]),
                network(layers=2)(torch.zeros(1, 1, 3), encode_texts(["a"])).state,
            ),
            "the state is of 2 layers, expected 3",
        ),
        (lambda: network().nats([line((0, 0, 0), (1, 1, 1))]), "line 0 has no text"),
        (lambda: attended_characters(torch.zeros(1, 1), "mean"), "by is 'mean', expected 'weights' or 'shares'"),
        (lambda: sample_lines(network(), ["a"], [1, 2]), "1 texts, 2 seeds"),
        (lambda: sample_lines(network(), ["a"], [1], primes=[]), "1 texts, 1 seeds, 1 biases, 0 primes"),
        (
            lambda: sample_lines(network(), ["a"], [1], bias=[1.0, 2.0]),
            "1 texts, 1 seeds, 2 biases",
        ),
    ],
)
def test_errors_say_what_to_do(call, words):
    assert words in refusal(call)


# -- the demos ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page():
    api = pytest.importorskip("playwright.sync_api")
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    with api.sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
        )
        page = browser.new_page(viewport={"width": 390, "height": 900})
        page.faults = []
        page.on("pageerror", lambda e: page.faults.append(str(e)))
        yield page
        browser.close()


def numbers(page, name):
    return json.loads(page.locator(f".softattn-demo[data-demo={name}]").first.get_attribute("data-numbers"))


@pytest.mark.browser
def test_the_pad_records_what_python_reads(page):
    from softattn.pictures import demo_html

    page.set_content(demo_html("pad", text="ink"))
    page.wait_for_selector(".softattn-demo[data-numbers]")
    box = page.locator(".softattn-demo svg").bounding_box()
    for start in (40, 160):
        page.mouse.move(box["x"] + start, box["y"] + 60)
        page.mouse.down()
        for step in range(12):
            page.mouse.move(box["x"] + start + 6 * step, box["y"] + 60 + 20 * (step % 2))
        page.mouse.up()
    seen = numbers(page, "pad")
    assert seen["strokes"] == 2 and seen["text"] == "ink"
    rows = torch.tensor(seen["trace"])
    assert rows[:, 3].sum() == 2 and (rows[:, 2].diff() >= 0).all() and rows[0, 2] == 0
    if rows[-1, 2] > 0:
        assert int(from_pad(rows, "ink").offsets[:, 2].sum()) == 2
    page.get_by_role("button", name="Show as Python").click()
    code = page.locator("textarea").input_value()
    space = {}
    exec("\n".join(one for one in code.splitlines() if not one.startswith("write(")), space)
    assert space["mine"].text == "ink"
    page.get_by_role("button", name="Take back").click()
    assert numbers(page, "pad")["strokes"] == 1
    page.get_by_role("button", name="Clear").click()
    assert numbers(page, "pad")["trace"] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390 and page.faults == []


# -- the weights that ship ---------------------------------------------------------------------------------------------

STORED = -702.64  # nats a line on embedded_lines(), by the weights that ship
STORED_FREE = -766.46  # the same, by the weights trained on the embedded writer alone


def embedded_lines() -> list[Strokes]:
    return [EmbeddedWriter(hand).write("a thin line of ink") for hand in range(4)]


@pytest.fixture(scope="module")
def writer():
    return softattn.load("synthesis")


def test_the_card_says_what_the_chapter_reads(writer):
    card = writer.card
    assert card["class"] == "softattn.synthesis.HandwritingSynthesizer"
    sizes = [card["config"][key] for key in ("hidden_size", "num_layers", "components", "mixtures")]
    assert sizes == [400, 3, 10, 20] and 3.5e6 < card["parameters"] < 3.9e6
    assert (
        card["bytes"] <= 10e6 and card["non_commercial"] and "IAM-OnDB" in card["data"] and "embedded" in card["data"]
    )
    assert card["val1"]["nats_per_line"] < softattn.load("handwriting").card["val1"]["nats_per_line"]
    assert card["val1"]["squared_error_per_point"] > 0 and card["points"] > 1e7


def test_the_weights_give_the_figure_that_was_stored(writer):
    """Four embedded lines: window, layers, mixture, normalisation and file, all in one number."""
    assert writer.nats(embedded_lines()).mean().item() == pytest.approx(STORED, rel=1e-3)


def test_who_knows_the_text_is_surprised_less(writer):
    lines = embedded_lines()
    wrong = [Strokes(one.offsets, "so much other text") for one in lines]
    assert (writer.nats(lines) < writer.nats(wrong)).all()


def test_it_writes_what_is_typed(writer):
    """Accepted lines: ended by the rule, every character loud once, in order; the place never goes back."""
    pages = write(["Hello World", "a pen and ink", "1987, why?"], seed=1, model=writer)
    for page in pages:
        phi = page.attention
        assert attended_characters(phi).all() and (phi.argmax(0).diff() >= 0).all() and phi.isfinite().all()
        assert 5 < len(page) / len(page.text) < 60
        x = writer.normalise(page.offsets)[:, None]
        with torch.no_grad():
            assert (writer(x, encode_texts([page.text])).kappa.diff(dim=0) > 0).all()


def test_the_styles_are_lines_of_their_texts(writer):
    hands = styles()
    assert len(hands) >= 6 and all(hand.text and hand.source == f"style {name}" for name, hand in hands.items())
    assert all(4 <= len(hand) / len(hand.text) <= 60 for hand in hands.values())
    synthesis.check_followed(writer, next(iter(hands.values())))
    slants = [ink_slant(hand) for hand in hands.values()]
    assert max(slants) - min(slants) > 0.15, "unlike each other"


def test_weights_say_how_they_are_judged(monkeypatch):
    """Each character is heard alone, one of them loudly: enough by shares, too light by weights."""
    free, plain = softattn.load("synthesis-free"), network()
    assert synthesis.judged_by(free) == "shares" and synthesis.judged_by(plain) == synthesis.JUDGED_BY == "weights"
    line = Strokes(torch.tensor([[0.0, 0, 0], [1, 0, 0], [1, 0, 0], [1, 0, 1]]), "pen")
    even = torch.eye(4)
    uneven = even * torch.tensor([2.0, 0.7, 0.8, 0.1])[:, None]
    for model, redraws in ((free, 0), (plain, 1)):
        tries = iter((uneven, even))
        monkeypatch.setattr(synthesis, "sample_lines", lambda *args, tries=tries: [Draft(line, next(tries), True)])
        assert synthesis.accepted_lines(model, [("pen", 1, None)], 0.75, lambda count: None)[1] == [redraws]


def test_the_free_weights_write_without_terms():
    free = softattn.load("synthesis-free")
    assert not free.card["non_commercial"] and "IAM" not in free.card["data"]
    assert free.nats(embedded_lines()).mean().item() == pytest.approx(STORED_FREE, rel=1e-3)
    line = synthesis.write("free ink", seed=1, model=free)
    assert line.text == "free ink" and line.attention.shape[1] == 8


# -- the recipe --


@pytest.fixture
def recipe():
    return importlib.import_module("recipes.synthesis")


def test_jitter_changes_the_hand_and_not_the_line(recipe):
    lines = embedded_lines()
    assert recipe.jittered(lines, 0.0, seed=3) is lines
    for line, moved in zip(lines, recipe.jittered(lines, 0.1, seed=3), strict=True):
        assert moved.text == line.text and torch.equal(moved.char_index, line.char_index)
        assert torch.equal(moved.offsets[:, 2], line.offsets[:, 2]), "the pen lifts where it lifted"
        (dx, dy), (mx, my) = line.offsets[:, :2].T, moved.offsets[:, :2].T
        fit = torch.linalg.lstsq(torch.stack([dx, dy], 1), torch.stack([mx, my], 1)).solution
        assert fit[0, 1].abs() < 1e-5, "a slant moves points sideways only"
        assert (fit.diagonal().log().abs() < 0.1 + 1e-5).all() and fit[1, 0].abs() < 0.1
        assert not torch.equal(moved.offsets, line.offsets)


def small_run(recipe):
    args = types.SimpleNamespace(
        hint=0.0, height=0.0, sharp=0.0, dropout=0.0, jitter=0.0, noise=0.1, adaptive=0.0, rate=0.0, seed=1,
        device="cpu", float32=True, embedded=4, pieces=0, drafts=0, whole=0, runs=0, stop=0.0,
        misses=0, lines=None, letters=0, warmup=300,
    )  # fmt: skip
    sizes = dict(hidden_size=8, num_layers=1, components=2, mixtures=2, mean=list(MEAN), std=list(STD))
    return recipe.SynthesisRun(sizes, args)


def test_noise_on_the_weights_is_taken_away_before_the_update(recipe, tmp_path):
    run = small_run(recipe)
    before = [p.detach().clone() for p in run.model.parameters()]
    run.shake(0.1)
    shaken = torch.cat([(p - q).flatten() for p, q in zip(run.model.parameters(), before, strict=True)])
    assert shaken.std().item() == pytest.approx(0.1, rel=0.1)
    run.optimizer = torch.optim.SGD(run.model.parameters(), lr=0.0)
    run.update(sum(p.square().sum() for p in run.model.parameters()), rate=0.0, points=1)
    assert all(torch.equal(p, q) for p, q in zip(run.model.parameters(), before, strict=True))
    run.shake(0.0)
    assert run.still is None, "no noise, no copies"


def test_adaptive_noise_is_the_posterior_of_a_line_through_points(recipe):
    """y = w x + unit noise: the posterior of w under a prior N(0, w^2) has variance 1 / (sum x^2 + 1 / w^2)."""
    run, w, draws = small_run(recipe), 0.7, 4000
    x = torch.linspace(0.1, 1.5, 12)
    run.model = torch.nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        run.model.weight.fill_(w)
    run.optimizer = torch.optim.AdamW(run.model.parameters(), lr=0.0, betas=(0.0, 0.0), weight_decay=0.0)
    shaken = []
    for _ in range(draws):
        # squared gradient of the mean loss of a batch of one point, in the mean over noise and points: E x^2
        run.optimizer.state[run.model.weight]["exp_avg_sq"] = x.square().mean()[None, None]
        run.shake(adaptive=1.0, evidence=len(x) * 1)
        shaken.append(run.model.weight.item())
        run.hold_still()
        assert run.model.weight.item() == pytest.approx(w), "taken away"
    expected = (x.square().sum() + 1 / w**2).rsqrt().item()
    assert torch.tensor(shaken).std().item() == pytest.approx(expected, rel=0.06)


def test_adaptive_noise_before_the_first_update_is_none(recipe):
    run = small_run(recipe)
    before = [p.detach().clone() for p in run.model.parameters()]
    run.shake(adaptive=1.0, evidence=1e6)
    assert all(torch.equal(p, q) for p, q in zip(run.model.parameters(), before, strict=True))

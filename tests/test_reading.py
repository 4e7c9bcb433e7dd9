"""softattn.reading, trace and decoding: CTC against PyTorch's and all paths; ink that knows no clock and no unit."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import softattn
from softattn import reading
from softattn.decoding import Spelling, beam_search, best_path, edit_distance, spikes
from softattn.pen import PRINTABLE, EmbeddedWriter
from softattn.prediction import PredictionNetwork
from softattn.reading import (
    HandwritingReader,
    LocationAttention,
    WordReader,
    ctc_alphas,
    ctc_nats,
    ctc_posterior,
    read,
)
from softattn.strokes import Strokes
from softattn.text import ALPHABET
from softattn.trace import ink_of, pen_tokens, resample, split_lines, spread, upright


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def collapse(path):
    return [k for k, _ in itertools.groupby(path) if k]


def all_paths(log_p, text):
    """The log of the sum over all paths of a text, and the share of each output at each token, by enumeration."""
    T, O = log_p.shape
    total, gamma = 0.0, np.zeros((T, O))
    for path in itertools.product(range(O), repeat=T):
        if collapse(path) == text:
            p = math.exp(sum(log_p[t, k].item() for t, k in enumerate(path)))
            total += p
            gamma[range(T), path] += p
    return math.log(total) if total else -math.inf, gamma / (total or 1)


TEXTS = [[], [1], [1, 1], [1, 2], [2, 1, 2], [2, 2, 2]]


# -- CTC ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", TEXTS)
def test_ctc_is_the_sum_over_all_paths(text):
    log_p = torch.log_softmax(noise(5, 3, seed=len(text)), 1)
    expected, share = all_paths(log_p, text)
    codes = torch.tensor(text).long()
    assert abs(ctc_nats(log_p, codes).item() + expected) < 1e-10
    gamma = ctc_posterior(log_p, codes)
    assert torch.allclose(gamma.sum(1), torch.ones(5, dtype=torch.float64), atol=1e-10)
    mine = torch.zeros(5, 3, dtype=torch.float64)
    z = torch.zeros(2 * len(text) + 1).long()
    z[1::2] = codes
    mine.index_add_(1, z, gamma)
    assert np.abs(mine.numpy() - share).max() < 1e-10


def test_the_texts_of_all_paths_share_one():
    log_p = torch.log_softmax(noise(4, 3, seed=9), 1)
    texts = {tuple(collapse(p)) for p in itertools.product(range(3), repeat=4)}
    total = sum(math.exp(-ctc_nats(log_p, torch.tensor(t).long()).item()) for t in texts)
    assert abs(total - 1) < 1e-10


@pytest.mark.parametrize(("T", "U"), [(1, 1), (30, 0), (30, 8), (120, 40), (400, 3)])
def test_ctc_agrees_with_pytorch(T, U):
    scores = noise(T, 12, seed=T + U).mul(2).requires_grad_()
    codes = torch.randint(1, 12, (U,), generator=torch.Generator().manual_seed(U))
    log_p = torch.log_softmax(scores, 1)
    theirs = F.ctc_loss(log_p, codes[None], torch.tensor([T]), torch.tensor([U]), reduction="sum")
    ours = ctc_nats(log_p.detach(), codes)
    assert abs(ours - theirs.detach()) < 1e-10 * max(1, abs(ours.item()))
    (gradient,) = torch.autograd.grad(theirs, scores)
    z = torch.zeros(2 * U + 1).long()
    z[1::2] = codes
    told = torch.zeros(T, 12, dtype=torch.float64).index_add_(1, z, ctc_posterior(log_p.detach(), codes))
    assert torch.allclose(log_p.detach().exp() - told, gradient, atol=1e-10)


def test_ink_that_is_too_short_costs_infinitely_much():
    log_p = torch.log_softmax(noise(3, 3), 1)
    assert ctc_nats(log_p, torch.tensor([1, 1, 2])) == math.inf
    assert ctc_nats(log_p, torch.tensor([1, 2, 1])) < math.inf


def test_probabilities_that_no_number_holds():
    log_p = torch.full((3000, 3), -50.0, dtype=torch.float64)
    nats = ctc_nats(log_p, torch.tensor([1, 2]))
    assert math.isfinite(nats) and nats > 140_000


@pytest.mark.parametrize(
    ("log_p", "codes", "words"),
    [
        (torch.zeros(4, 3), torch.tensor([3]), "codes from 3 to 3; expected 1 to 2"),
        (torch.zeros(4, 3), torch.tensor([0]), "0 is the blank"),
        (torch.zeros(0, 3), torch.tensor([1]), "one token and one output at least"),
        (torch.zeros(4, 3).long(), torch.tensor([1]), "log_p is torch.int64"),
        (torch.zeros(4, 3), torch.tensor([1.0]), "codes is torch.float32"),
    ],
)
def test_ctc_refuses(log_p, codes, words):
    with pytest.raises((ValueError, TypeError), match=words):
        ctc_alphas(log_p, codes)


# -- attention ---------------------------------------------------------------------------------------------------------


def test_location_attention_against_loops():
    torch.manual_seed(1)
    look = LocationAttention(3, 4, 5, filters=2, width=3).double()
    query, keys, seen = noise(1, 3), noise(1, 6, 4, seed=1), torch.softmax(noise(1, 6, seed=2), 1)
    W, b, V = look.query.weight, look.query.bias, look.key.weight
    v, Q, M = look.score.weight[0], look.where.weight[:, 0], look.place.weight
    e = []
    for t in range(6):
        f = torch.stack(
            [sum(Q[k, j] * (seen[0, t + j - 1] if 0 <= t + j - 1 < 6 else 0.0) for j in range(3)) for k in range(2)]
        )
        e.append(v @ torch.tanh(W @ query[0] + V @ keys[0, t] + M @ f + b))
    alpha = torch.softmax(torch.stack(e), 0)
    context, weights = look(query, keys, seen=seen)
    assert torch.allclose(weights[0], alpha, atol=1e-12)
    assert torch.allclose(context[0], alpha @ keys[0], atol=1e-12)
    without, _ = look(query, keys)
    assert not torch.allclose(without, context)


def test_attentions_refuse():
    with pytest.raises(ValueError, match="width is 4, expected an odd number"):
        LocationAttention(3, 4, 5, width=4)
    with pytest.raises(ValueError, match='expected None, "content" or "location"'):
        WordReader("both")
    with pytest.raises(ValueError, match="nothing is read"):
        WordReader(None, ctc=False)
    plain = WordReader()
    with pytest.raises(ValueError, match="made without attention"):
        plain(torch.zeros(4, 1, 96), torch.tensor([4]))


@pytest.mark.parametrize("attention", ["content", "location"])
def test_words_are_read_alike_in_any_batch(attention):
    torch.manual_seed(2)
    model = WordReader(attention).eval()
    lines = reading.made_words(3, 2, 6, 4)
    x, lengths, codes, _ = reading.word_batch(lines)
    with torch.no_grad():
        scores, weights = model(model.encode(x, lengths), lengths, codes)
        for b, line in enumerate(lines):
            x1, n1, c1, size = reading.word_batch([line])
            alone, looks = model(model.encode(x1, n1), n1, c1)
            assert torch.allclose(scores[b, : int(size)], alone[0], atol=1e-5)
            assert torch.allclose(weights[b, : int(size), : int(n1)], looks[0], atol=1e-5)
            assert (weights[b, :, int(n1) :] == 0).all()


def test_the_small_loss_is_the_mean_of_its_parts():
    torch.manual_seed(3)
    both = WordReader("location", True)
    batch = reading.word_batch(reading.made_words(4, 3, 5, 1))
    whole = reading.word_loss(both, batch)
    votes, both.votes = both.votes, None
    writer = reading.word_loss(both, batch)
    both.votes, both.attend = votes, None
    ctc = reading.word_loss(both, batch)
    assert torch.allclose(whole, (writer + ctc) / 2)
    x, lengths, codes, sizes = batch
    log_p = torch.log_softmax(votes(both.encode(x, lengths)), -1)
    nats = [ctc_nats(log_p[:n, b].double(), codes[b, :u]) for b, (n, u) in enumerate(zip(lengths, sizes, strict=True))]
    assert torch.allclose(ctc.double(), sum(nats) / sizes.sum(), atol=1e-5)


# -- ink ---------------------------------------------------------------------------------------------------------------


def line_of(text="any unit, any rate", seed=1, **hand):
    return EmbeddedWriter(seed, **hand).write(text)


def at_rate(line, rate):
    """The line as a pen of another rate would have told it."""
    xy, stroke = ink_of(line)
    places, ends = [], []
    for s in range(stroke[-1] + 1):
        part = xy[stroke == s]
        n = 1 if len(part) == 1 else max(2, round(rate * len(part)))
        t = np.linspace(0, len(part) - 1, n)
        places.append(np.stack([np.interp(t, np.arange(len(part)), c) for c in part.T], 1))
        ends.append(np.arange(n) == n - 1)
    return Strokes.from_absolute(np.concatenate(places), np.concatenate(ends).astype(float), line.text)


@pytest.mark.parametrize("unit", [1e-4, 0.01, 7.0, 1e6])
def test_tokens_know_no_unit(unit):
    line = line_of()
    other = dataclasses.replace(line, offsets=line.offsets * torch.tensor([unit, unit, 1.0]))
    assert torch.allclose(pen_tokens(other).x, pen_tokens(line).x, atol=1e-3)


@pytest.mark.parametrize("rate", [1.0, 1.5, 2.0, 4.0])
def test_tokens_know_no_rate(rate):
    for seed in range(4):
        line = line_of(seed=seed)
        x, other = pen_tokens(line).x, pen_tokens(at_rate(line, rate)).x
        assert abs(len(x) - len(other)) <= 2  # a stroke's steps are rounded
        assert len(x) != len(other) or (x - other).abs().mean() < 0.05


def test_a_third_of_the_rate_cuts_corners_and_little_else():
    for seed in range(4):
        line = line_of(seed=seed)
        x, other = pen_tokens(line).x, pen_tokens(at_rate(line, 0.3)).x
        assert abs(len(x) - len(other)) <= 0.12 * len(x)
        assert x[:, 11].sum() == other[:, 11].sum()


def test_the_centre_of_ink_against_many_points():
    xy, stroke = ink_of(line_of())
    fine = ink_of(at_rate(line_of(), 200.0))
    centre, about = spread(xy, stroke)
    # by points of equal arc length: the same integrals, summed
    d = np.hypot(*np.diff(fine[0], axis=0).T) * (fine[1][1:] == fine[1][:-1])
    middle = (fine[0][1:] + fine[0][:-1]) / 2
    mean = d @ middle / d.sum()
    cov = ((middle - mean) * d[:, None]).T @ (middle - mean) / d.sum()
    assert np.allclose(centre, mean, rtol=0.01, atol=3) and np.allclose(about, cov, rtol=0.02, atol=200)


def test_upright_is_centred_level_and_one_high():
    line = line_of("a longer line that climbs", slope=0.1)
    xy, stroke = ink_of(line)
    centre, about = spread(upright(xy, stroke), stroke)
    before = spread(xy, stroke)[1]
    assert abs(before[0, 1] / before[0, 0]) > 0.08
    assert np.abs(centre).max() < 0.1 and abs(about[1, 1] - 1) < 0.1 and abs(about[0, 1] / about[0, 0]) < 0.02


@pytest.mark.parametrize(
    ("line", "tokens"),
    [
        (Strokes([[0, 0, 1]]), 1),
        (Strokes([[0, 0, 1], [50, 0, 1], [50, 0, 1]]), 5),  # ... and the flights between
        (Strokes([[0, 0, 0], [0, 0, 1]]), 1),
        (Strokes([[0, 0, 0], [100, 0, 1]]), 6),  # a dash is ten heights long
        (Strokes([[0, 0, 0], [1e-30, 0, 1]]), None),
        (Strokes([[0, 0, 0], [1e30, 1e30, 1]]), None),
    ],
)
def test_ink_of_hardly_anything(line, tokens):
    x, point = pen_tokens(line)
    assert x.isfinite().all() and len(x) == len(point) and (tokens is None or len(x) == tokens)


def test_places_are_in_order_and_in_the_letters():
    line = line_of("in order", late=0.0)
    x, point = pen_tokens(line)
    assert (point.diff() >= 0).all() and point.min() >= 0 and point.max() < len(line)
    assert set(line.char_index[point].tolist()) == set(range(8)) - {2}


def test_flights_carry_the_way_of_the_pen():
    line = Strokes([[0, 0, 0], [0, 10, 1], [30, -5, 0], [0, 10, 1]])
    x, _ = pen_tokens(line)
    (row,) = torch.nonzero(x[:, 11])[:, 0].tolist()
    xy, stroke = ink_of(line)
    way = np.diff(upright(xy, stroke)[1:3], axis=0)[0]
    assert torch.allclose(x[row, 12:14].double().sinh(), torch.from_numpy(way), atol=1e-5)
    assert (x[row, :10] == 0).all()


@pytest.mark.parametrize("group", [1, 4, 5])
def test_tokens_against_a_loop(group):
    """Stroke by stroke: the way to it through the air, then its steps, `group` at a time."""
    line, d = line_of("i loop it"), 0.33
    xy, stroke = ink_of(line)
    walk, rows, points, last = resample(upright(xy, stroke), stroke, d), [], [], None
    for s in range(stroke[-1] + 1):
        place, near = walk.place[walk.stroke == s], walk.near[walk.stroke == s]
        if last is not None:
            rows.append([0.0] * 2 * group + [place[0, 1], 1, *np.arcsinh(place[0] - last)])
            points.append(near[0])
        for k in range(0, len(place) - 1, group):
            steps = (np.diff(place[k : k + group + 1], axis=0) / d).tolist()
            rows.append([*sum(steps, []), *[0.0] * 2 * (group - len(steps)), place[k, 1], 0, 0, 0])
            points.append(near[k + len(steps) // 2])
        last = place[-1]
    want = np.array(rows)
    want[:, 2 * group] = want[:, 2 * group].clip(-6, 6) / 2
    x, point = pen_tokens(line, group, d)
    assert point.tolist() == points and np.allclose(x.numpy(), want, atol=1e-5)


def stack(lines, pitch=900.0):
    rows = [line.to_absolute() + torch.tensor([0.0, k * pitch, 0.0]) for k, line in enumerate(lines)]
    return Strokes.from_absolute(torch.cat(rows))


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_lines_are_told_apart(count):
    texts = ["a first line", "under", "it is a third", "a fourth", "and five"]
    lines = [line_of(text, seed=k) for k, text in enumerate(texts)]
    parts = split_lines(stack(lines[:count]))
    assert [len(p) for p in parts] == [len(p) for p in lines[:count]]
    for part, line in zip(parts, lines, strict=False):
        assert torch.allclose(part.offsets[1:], line.offsets[1:], atol=1e-2)


def test_a_mark_above_the_first_word_is_no_line():
    quote = [[0, 0, 0], [-4, 30, 1], [20, -30, 0], [-4, 30, 1]]
    word = line_of("marked").offsets.tolist()
    assert len(split_lines(Strokes([*quote, [10, 150, 0], *word[1:]]))) == 1


def test_one_line_stays_one():
    for seed in range(40):
        line = line_of("it is not to be cut into two, though it tilts", seed=seed, late=1.0)
        assert len(split_lines(line)) == 1


# -- decoding ----------------------------------------------------------------------------------------------------------


def test_best_path_and_where():
    log_p = torch.full((6, 2, 3), -9.0)
    for t, k in enumerate([1, 1, 0, 1, 2, 2]):
        log_p[t, 0, k] = 0
    log_p[:, 1, 0] = 0
    assert best_path(log_p, torch.tensor([6, 6]), "ab") == ["aab", ""]
    assert best_path(log_p, torch.tensor([2, 0]), "ab") == ["a", ""]
    assert spikes(torch.tensor([0, 1, 1, 0, 1, 2])) == [(1, 1), (1, 4), (2, 5)]


@pytest.mark.parametrize("seed", range(8))
def test_a_wide_beam_finds_the_likeliest_text(seed):
    log_p = torch.log_softmax(2 * noise(5, 3, seed=seed), 1)
    texts = {tuple(collapse(p)) for p in itertools.product(range(3), repeat=5)}
    best = min(texts, key=lambda text: ctc_nats(log_p, torch.tensor(text).long()).item())
    assert beam_search(log_p, "ab", beam=1000) == "".join("ab"[k - 1] for k in best)


def test_spelling_is_the_network_step_by_step():
    torch.manual_seed(4)
    network = PredictionNetwork(len(ALPHABET), 6, 2, len(ALPHABET)).eval()
    spell = Spelling(network, "abc", weight=0.5, bonus=0.25)
    spell([(1,), (2,)])
    spell([(1, 3), (2, 2)])
    gains = spell([(1, 3, 1)])[(1, 3, 1)]
    from softattn.prediction import NULL, one_hot

    codes = torch.tensor([NULL, *(ALPHABET.index(c) for c in "\naca")])[:, None]
    with torch.no_grad():
        logits, _ = network(one_hot(codes, len(ALPHABET)))
    log_p = torch.log_softmax(logits[-1, 0, [ALPHABET.index(c) for c in "abc"]], 0)
    assert torch.allclose(torch.tensor(gains), 0.5 * log_p + 0.25, atol=1e-5)
    with pytest.raises(ValueError, match="language reads 5 codes"):
        Spelling(PredictionNetwork(5, 3, 1, 5), "abc")


def test_spelling_can_turn_the_balance():
    log_p = torch.log(torch.tensor([[0.02, 0.5, 0.48]]))
    assert beam_search(log_p, "ab") == "a"
    assert beam_search(log_p, "ab", spelling=lambda known: {p: [-1.0, 0.0] for p in known}) == "b"


@pytest.mark.parametrize(("a", "b", "far"), [("", "", 0), ("abc", "", 3), ("kitten", "sitting", 3), ("ab", "ba", 2)])
def test_edit_distance(a, b, far):
    assert edit_distance(a, b) == edit_distance(b, a) == far


# -- the reader --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(5)
    return HandwritingReader(12, 2).eval()


def test_a_line_is_read_alike_in_any_batch(small):
    lines = [line_of(text, seed=k) for k, text in enumerate(["one", "another, longer one", "x"])]
    tokens = [small.tokens(line).x for line in lines]
    lengths = torch.tensor([len(x) for x in tokens])
    with torch.no_grad():
        log_p = small(nn.utils.rnn.pad_sequence(tokens), lengths)
        for b, x in enumerate(tokens):
            assert torch.allclose(log_p[: len(x), b], small(x[:, None], lengths[b : b + 1])[:, 0], atol=1e-5)
    assert torch.allclose(log_p.exp().sum(-1), torch.ones(log_p.shape[:2]), atol=1e-5)
    texts = [line.text for line in lines]
    nats = small.nats(lines, texts)
    for b, text in enumerate(texts):
        codes = torch.tensor([1 + PRINTABLE.index(c) for c in text])
        assert abs(nats[b] - ctc_nats(log_p[: lengths[b], b].double(), codes)) < 1e-4
    found = small.read(lines)
    assert [r.text for r in found] == best_path(log_p, lengths, PRINTABLE)
    assert all(len(r.place) == len(r.text) and 0 <= r.confidence <= 1 for r in found)
    assert small.read(lines[1:2])[0].text == found[1].text


def test_both_directions_matter(small):
    x = small.tokens(line_of("both")).x[:, None].requires_grad_()
    n = torch.tensor([len(x)])
    for t in (0, len(x) - 1):
        (gradient,) = torch.autograd.grad(small(x, n)[t].sum(), x)
        small.zero_grad()
        (gradient,) = torch.autograd.grad(small(x, n)[t, 0, 1], x)
        assert gradient[0].abs().sum() > 0 and gradient[-1].abs().sum() > 0


def test_upside_down_is_told_or_found(small):
    line = line_of("up or down")
    flipped = dataclasses.replace(line, offsets=line.offsets * torch.tensor([1.0, -1.0, 1.0]))
    (here,), (there,) = small.read([line]), small.read([flipped], y_up=True)
    assert here.text == there.text and abs(here.confidence - there.confidence) < 1e-4
    (either,) = small.read([flipped], y_up=None)
    assert either.confidence >= max(here.confidence, small.read([flipped])[0].confidence) - 1e-6


def test_confidence_is_the_mean_probability(small):
    line = line_of("sure")
    (got,) = small.read([line])
    nats = small.nats([line], [got.text])[0].item()
    assert abs(got.confidence - math.exp(-nats / (len(got.text) + 1))) < 1e-6


def test_beam_and_path_give_readings(small):
    line = line_of("beams")
    (path,), (beam,) = small.read([line]), small.read([line], beam=4)
    assert small.nats([line], [beam.text])[0] <= small.nats([line], [path.text])[0] + 1e-6
    assert len(beam.place) == len(beam.text)


def test_dropout_only_in_training_and_modes_stay():
    model = HandwritingReader(6, 2, dropout=0.5)
    assert model.training
    line = line_of("mode")
    first = model.nats([line], ["mode"])
    assert model.training and torch.equal(first, model.nats([line], ["mode"]))
    x = model.tokens(line).x[:, None]
    n = torch.tensor([len(x)])
    assert not torch.equal(model(x, n), model(x, n))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m: m.read([]), "one line at least"),
        (lambda m: m.read("text"), "Strokes"),
        (lambda m: m.read([stack([line_of("one", 1), line_of("two", 2)])]), "looks like 2 lines, expected one"),
        (lambda m: m.read([line_of()], beam=0), "beam"),
        (lambda m: m.read([line_of()], y_up="up"), "True, False or None"),
        (lambda m: m.nats([line_of()], []), "1 lines and 0 texts"),
        (lambda m: m.nats([line_of()], ["né"]), "not in the reader's alphabet"),
        (lambda m: m(torch.zeros(3, 1, 14), torch.tensor([3.0])), "lengths"),
        (lambda m: m(torch.zeros(0, 1, 14), torch.tensor([0])), "one token of one line at least"),
        (lambda m: HandwritingReader(alphabet="aab"), "repeats a character"),
        (lambda m: read(line_of(), model=3), "model"),
        (lambda m: read(line_of(), model=m, language="en"), "expected True or False"),
    ],
)
def test_the_reader_refuses(small, call, words):
    with pytest.raises((ValueError, TypeError), match=words):
        call(small)


def test_more_ink_than_a_line_has(small):
    rng = np.random.default_rng(0)
    scrawl = Strokes.from_absolute(rng.uniform(0, 100, (10_000, 2)), np.arange(10_000) == 9_999)
    with pytest.raises(ValueError, match="at most 4,000 are read"):
        small.read([scrawl])
    line = at_rate(line_of("ten thousand points"), 30)
    assert len(line) > 9_000 and small.read([line])[0].confidence < 1


def test_a_text_longer_than_its_ink_is_impossible(small):
    assert small.nats([Strokes([[0, 0, 1]])], ["far too long"])[0] == math.inf
    assert small.read([Strokes([[0, 0, 1]])])[0].text in ("", *PRINTABLE)


def test_gradients_reach_every_weight():
    model = HandwritingReader(6, 2)
    x = model.tokens(line_of("all")).x[:, None]
    log_p = model(x, torch.tensor([len(x)]))
    F.ctc_loss(log_p, torch.tensor([[11, 22, 22]]), torch.tensor([len(x)]), torch.tensor([3])).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


# -- the weights that ship ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped():
    return softattn.load("reading")


def test_the_card_holds_what_the_page_reads(shipped):
    card = shipped.card
    assert card["non_commercial"] and card["bytes"] <= 6_000_000
    assert abs(card["metric"]["value"] - 100 * card["val1"]["error"]) < 0.01
    assert card["finished"] == ("test" in card)
    assert len(card["worst"]) == 10 and all(set(row) == {"error", "kind"} for row in card["worst"])


def test_a_free_reader_reads_the_free_pen():
    free = softattn.load("reading-free")
    assert free.card["licence"] == "MIT" and not free.card["non_commercial"] and "limit" in free.card["proof"]
    lines = [EmbeddedWriter(900 + k).write("a quick hand, 7 pens") for k in range(12)]
    wrong = sum(edit_distance(got.text, line.text) for got, line in zip(free.read(lines), lines, strict=True))
    assert wrong <= 0.1 * sum(len(line.text) for line in lines)


@pytest.mark.parametrize("rate", [0.3, 0.5, 1.0, 4.0])
def test_the_reader_does_not_mind_the_rate_and_the_unit(shipped, rate):
    lines = [EmbeddedWriter(k).write(f"the {w} writes") for k, w in enumerate(["pen", "hand", "finger", "mouse"] * 3)]
    unit = torch.tensor([0.01, 0.01, 1.0])
    told = [dataclasses.replace(at_rate(line, rate), offsets=at_rate(line, rate).offsets * unit) for line in lines]
    wrong = [
        sum(edit_distance(got.text, line.text) for got, line in zip(shipped.read(each), lines, strict=True))
        for each in (lines, told)
    ]
    total = sum(len(line.text) for line in lines)
    assert wrong[0] <= 0.15 * total
    assert wrong[1] <= wrong[0] + (0.12 if rate < 0.5 else 0.03) * total


@pytest.mark.data
def test_the_cards_figure_again(shipped):
    from recipes.reading import figures, usable
    from softattn.iam import load_iam

    lines = usable(load_iam(split="val1")[0])
    part = lines[::16]
    found = figures(shipped, part)
    assert abs(found["error"] - shipped.card["val1"]["error"]) < 5 * found["standard_error"]
    assert len(lines) == shipped.card["val1"]["lines"]


@pytest.mark.data
def test_the_part_that_was_searched_again(shipped):
    from recipes.reading import rate_of, usable, wrong_letters
    from softattn.iam import load_iam

    told = shipped.card["val1_part"]
    part = usable(load_iam(split="val1")[0])[::10]
    assert len(part) == told["lines"]
    best, *others = told["rows"]
    rate, spread = rate_of(*wrong_letters(shipped, part))
    assert (rate, spread) == pytest.approx(best[1:3], abs=2e-3)
    assert best[3:5] == [0, 0] and all(row[1] == pytest.approx(best[1] + row[3]) for row in others)

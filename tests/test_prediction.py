"""Prediction: the network, its loss, sampling, counts and the text tools, each against an independent way."""

import copy
import hashlib
import itertools
import json
import math
from importlib import resources

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from softattn import text
from softattn.lstm import PeepholeLSTM
from softattn.prediction import (
    NULL,
    PredictionNetwork,
    dynamic_surprise,
    generate,
    one_hot,
    sample,
    sequence_nll,
    shift,
    text_loss,
    text_surprise,
)
from softattn.text import (
    ALPHABET,
    ContextCounts,
    book_corpus,
    decode,
    encode,
    library_prose,
    plain_text,
    text_windows,
)

plain = st.text(alphabet=ALPHABET, min_size=1, max_size=60)


@pytest.fixture
def text_model():
    return PredictionNetwork(len(ALPHABET), 12, 2, len(ALPHABET)).double()


# -- the network --


def test_the_network_is_a_stack_of_torch_lstms_with_shortcuts(device):
    I, H, O, N, T, B = 3, 5, 4, 3, 11, 2
    network = PredictionNetwork(I, H, N, O).double()
    stack = [nn.LSTM(I + (H if n else 0), H).double() for n in range(N)]
    network.layers = nn.ModuleList(PeepholeLSTM.from_torch(lstm) for lstm in stack)
    network.to(device)
    x = torch.randn(T, B, I, dtype=torch.float64)
    y = network.output.bias.detach().cpu().expand(T, B, O)
    h = None
    for n, lstm in enumerate(stack):
        h, _ = lstm(x if h is None else torch.cat([x, h], -1))
        y = y + h @ network.output.weight[:, n * H : (n + 1) * H].detach().cpu().t()  # W_{h^n y}, its own product
    assert torch.allclose(network(x.to(device))[0].cpu(), y, atol=1e-10)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_a_step_at_a_time_is_the_whole_sequence(device, dtype, tolerance):
    network = PredictionNetwork(3, 8, 3, 5).to(device, dtype)
    for layer in network.layers:
        nn.init.normal_(layer.peephole)
    x = torch.randn(30, 4, 3, dtype=dtype).to(device)
    whole, last = network(x)
    state, steps = None, []
    for x_t in x.unbind():
        y, state = network(x_t[None], state)
        steps.append(y)
    assert torch.allclose(torch.cat(steps), whole, atol=tolerance)
    assert len(state) == len(last) == 3
    for one, two in zip(state, last, strict=True):
        assert all(torch.allclose(a, b, atol=tolerance) for a, b in zip(one, two, strict=True))


def test_reset_starts_a_new_sequence_in_the_middle_of_a_row(device):
    network = PredictionNetwork(2, 6, 2, 3).double().to(device)
    x = torch.randn(12, 3, 2, dtype=torch.float64).to(device)
    reset = torch.zeros(12, 3, dtype=torch.bool, device=device)
    reset[5, 1] = True
    y, _ = network(x, None, reset)
    assert torch.allclose(y[5:, 1:2], network(x[5:, 1:2])[0], atol=1e-12)
    assert torch.allclose(y[:, 0], network(x)[0][:, 0], atol=1e-12)
    assert not torch.allclose(y[5:, 1], network(x)[0][5:, 1], atol=1e-3)


def test_without_peepholes_and_with_one_layer():
    network = PredictionNetwork(2, 4, 1, 3, peephole=False)
    assert network.layers[0].peephole is None
    assert network(torch.randn(5, 1, 2))[0].shape == (5, 1, 3)


def test_dropout_acts_in_training_only():
    network = PredictionNetwork(3, 16, 2, 4, dropout=0.5)
    x = torch.randn(6, 2, 3)
    assert not torch.equal(network(x)[0], network(x)[0])
    network.eval()
    assert torch.equal(network(x)[0], network(x)[0])


def test_every_tensor_follows_its_input_to_meta():
    network = PredictionNetwork(len(ALPHABET), 4, 2, len(ALPHABET)).to("meta")
    codes = torch.zeros(7, 2, dtype=torch.long, device="meta")
    reset = torch.zeros(7, 2, dtype=torch.bool, device="meta")
    logits, state = network(one_hot(shift(codes), len(ALPHABET)), None, reset)
    assert logits.is_meta and logits.shape == (7, 2, 96)
    assert all(t.is_meta for pair in state for t in pair)
    assert sequence_nll(logits, codes, reset).is_meta and text_loss(network, codes).is_meta


def test_gradients_of_the_whole_network():
    network = PredictionNetwork(2, 3, 2, 3).double()
    codes = torch.tensor([[0, 2], [1, 1], [2, 0]])
    x = torch.randn(3, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: sequence_nll(network(x)[0], codes), (x,))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda n: n(torch.zeros(3, 2)), "expected floating point, shape (T, B, 4)"),
        (lambda n: n(torch.zeros(3, 2, 5)), "(3, 2, 5), expected floating point, shape (T, B, 4)"),
        (lambda n: n(torch.zeros(0, 2, 4)), "no step"),
        (lambda n: n(torch.zeros(3, 2, 4), [None]), "state is no list of 2 pairs (h, c)"),
        (lambda n: n(torch.zeros(3, 2, 4), None, torch.zeros(3, dtype=torch.bool)), "reset has shape (3,)"),
        (lambda n: PredictionNetwork(4, 0, 2, 3), "hidden_size is 0"),
        (lambda n: PredictionNetwork(4, 3, 2, 3, dropout=1.0), "dropout is 1.0"),
    ],
)
def test_the_network_says_what_does_not_fit(call, words):
    with pytest.raises(ValueError) as err:
        call(PredictionNetwork(4, 3, 2, 3))
    assert words in str(err.value)


# -- the loss --


def test_nll_against_torch_distributions(device):
    logits, targets = torch.randn(9, 4, 6, dtype=torch.float64) * 3, torch.randint(6, (9, 4))
    expected = -torch.distributions.Categorical(logits=logits).log_prob(targets).sum(0)
    found = sequence_nll(logits.to(device), targets.to(device)).cpu()
    assert found.shape == (4,) and torch.allclose(found, expected, atol=1e-10)


def test_nll_counts_only_what_the_mask_names():
    logits, targets = torch.randn(5, 3, 4, dtype=torch.float64), torch.randint(4, (5, 3))
    mask = torch.ones(5, 3, dtype=torch.bool)
    mask[3:, 1] = False
    targets[3:, 1] = NULL
    found = sequence_nll(logits, targets, mask)
    assert torch.allclose(found[1], sequence_nll(logits[:3, 1:2], targets[:3, 1:2])[0], atol=1e-12)
    assert torch.allclose(found[::2], sequence_nll(logits[:, ::2], targets[:, ::2]), atol=1e-12)


def test_nll_stays_finite_where_a_softmax_rounds_to_zero():
    logits = torch.tensor([[[0.0, 5000.0]]], requires_grad=True)
    nats = sequence_nll(logits, torch.tensor([[0]]))
    nats.sum().backward()
    assert nats.item() == 5000 and torch.allclose(logits.grad, torch.tensor([[[-1.0, 1.0]]]))


def test_nll_gradient_is_prediction_minus_truth():
    logits, targets = torch.randn(4, 2, 3, dtype=torch.float64, requires_grad=True), torch.randint(3, (4, 2))
    sequence_nll(logits, targets).sum().backward()
    expected = torch.softmax(logits, -1) - nn.functional.one_hot(targets, 3)
    assert torch.allclose(logits.grad, expected, atol=1e-12)


def test_all_texts_of_three_letters_have_probability_one():
    network = PredictionNetwork(3, 5, 2, 3).double()
    texts = torch.tensor(list(itertools.product(range(3), repeat=4))).t()  # (4, 81)
    nats = sequence_nll(network(one_hot(shift(texts), 3, torch.float64))[0], texts)
    assert abs(torch.exp(-nats).sum().item() - 1) < 1e-10


@pytest.mark.parametrize(
    ("logits", "targets", "mask", "words"),
    [
        (
            torch.zeros(3, 4),
            torch.zeros(3, dtype=torch.long),
            None,
            "logits has shape (3, 4)",
        ),
        (
            torch.zeros(3, 2, 4),
            torch.zeros(2, 3, dtype=torch.long),
            None,
            "targets has shape (2, 3)",
        ),
        (torch.zeros(0, 2, 4), torch.zeros(0, 2, dtype=torch.long), None, "hold no step"),
        (
            torch.zeros(3, 2, 4),
            torch.zeros(3, 2, dtype=torch.long),
            torch.ones(3, dtype=torch.bool),
            "mask has shape (3,)",
        ),
    ],
)
def test_nll_says_what_does_not_fit(logits, targets, mask, words):
    with pytest.raises(ValueError) as err:
        sequence_nll(logits, targets, mask)
    assert words in str(err.value)


# -- text as numbers --


def test_the_alphabet_is_what_the_pages_say():
    assert len(ALPHABET) == len(set(ALPHABET)) == 96
    assert set(ALPHABET) == {"\n", *map(chr, range(32, 127))}


@given(plain)
@settings(max_examples=50, deadline=None)
def test_encode_and_decode_are_inverses(text):
    codes = encode(text)
    assert codes.dtype == torch.int64 and codes.shape == (len(text),) and decode(codes) == text


def test_unknown_characters_are_named():
    with pytest.raises(ValueError, match=r"'\\xe9', '\\u2192' \(first at position 3\)"):
        encode("caf\u00e9 \u2192 home")
    with pytest.raises(ValueError, match="of the alphabet: 'c'"):
        encode("abc", alphabet="ab")


def test_a_text_without_characters_is_an_error(text_model):
    none = torch.zeros(0, dtype=torch.long)
    for call in (
        lambda: encode(""),
        lambda: text_surprise(text_model, none),
        lambda: dynamic_surprise(text_model, none),
        lambda: ContextCounts(2).surprise(""),
    ):
        with pytest.raises(ValueError, match="no characters|is empty"):
            call()


def test_decode_refuses_the_null_input():
    with pytest.raises(ValueError, match="code -1 has no character; codes go from 0 to 95"):
        decode(torch.tensor([3, NULL]))


def test_plain_text():
    assert plain_text("\u201cna\u00efve\u201d \u2014 \u00fcber\u2026 a \u2192 b\t.") == '"naive" -- uber... a -> b    .'
    assert plain_text("\u6f22") == "\u6f22"  # has no plain spelling: left for encode to name


def test_the_library_brings_its_prose():
    text = library_prose()
    assert len(text) > 300_000 and len(encode(text)) == len(text)


def test_shift_and_one_hot(device):
    codes = torch.tensor([[2, 0], [1, 1], [0, 2]], device=device)
    assert shift(codes).tolist() == [[NULL, NULL], [2, 0], [1, 1]]
    rows = one_hot(shift(codes), 3, torch.float64)
    assert rows.dtype == torch.float64 and rows.shape == (3, 2, 3)
    assert rows[0].eq(0).all() and rows[1:].argmax(-1).tolist() == [[2, 0], [1, 1]] and rows[1:].sum(-1).eq(1).all()


def test_windows_are_pieces_of_the_text():
    codes = torch.arange(50)
    batch = text_windows(codes, 7, 400, torch.Generator().manual_seed(0))
    assert batch.shape == (7, 400) and (batch[1:] - batch[:-1]).eq(1).all()
    assert batch[0].min() == 0 and batch[-1].max() == 49  # both ends are reached
    with pytest.raises(ValueError, match="50 characters, a window 51"):
        text_windows(codes, 51, 1, torch.Generator())


# -- surprise, frozen and adapting --


def test_surprise_of_each_character_adds_up_to_the_loss(text_model):
    codes = encode("The cell remembers.")
    nats = text_surprise(text_model, codes)
    whole = sequence_nll(text_model(one_hot(shift(codes)[:, None], 96, torch.float64))[0], codes[:, None])
    assert nats.shape == (19,) and torch.allclose(nats.sum(), whole[0], atol=1e-10)
    assert torch.allclose(text_loss(text_model, codes[:, None]), whole[0] / 19, atol=1e-10)
    assert text_model.training  # left as it was found


def test_dynamic_evaluation_pays_before_it_learns(text_model):
    codes = encode("abcabcabcabcabcabcabcabcabcabc")
    weights = {name: value.clone() for name, value in text_model.state_dict().items()}
    frozen = text_surprise(text_model, codes)
    costs = dynamic_surprise(text_model, codes, segment=10, rate=1.0)
    assert torch.allclose(costs[:10], frozen[:10], atol=1e-12)  # nothing learned yet
    assert costs[20:].mean() < frozen[20:].mean()  # it has learned
    other = torch.cat([codes[:20], encode("xyzxyzxyzx")])
    assert torch.allclose(dynamic_surprise(text_model, other, 10, 1.0)[:20], costs[:20], atol=1e-12)  # never peeks
    assert torch.allclose(dynamic_surprise(text_model, codes, 10, 0.0), frozen, atol=1e-12)
    assert all(torch.equal(value, weights[name]) for name, value in text_model.state_dict().items())


# -- counts --


def brute_force(past, text, order, size):
    """Witten-Bell from its definition, counting the past anew for each character."""
    rows = []
    for t, character in enumerate(text):
        before, p, row = past + text[:t], 1 / size, []
        for k in range(order + 1):
            context = before[len(before) - k :]
            if k <= len(before):
                followers = [past[i + k] for i in range(len(past) - k) if past[i : i + k] == context]
                if followers:
                    n, u = len(followers), len(set(followers))
                    p = (followers.count(character) + u * p) / (n + u)
            row.append(p)
        rows.append(row)
    return -np.log(np.array(rows))


@pytest.mark.parametrize("past", ["abracadabra", "a", "mississippi river"])
def test_counts_against_their_definition(past):
    counts = ContextCounts(3)
    counts.learn(past)
    found = counts.surprise("abra ssi", past=past)
    assert found.shape == (8, 4)
    assert np.allclose(found.numpy(), brute_force(past, "abra ssi", 3, 96), atol=1e-12)


def test_adapting_counts_are_counts_learned_anew_before_each_character():
    past, text = "abracadabra", "cadabracab"
    counts = ContextCounts(3)
    counts.learn(past)
    found = counts.surprise(text, past=past, adapt=True)
    for t, character in enumerate(text):
        fresh = ContextCounts(3)
        fresh.learn(past + text[:t])
        expected = -torch.tensor(fresh.probabilities(past + text[:t], character), dtype=torch.float64).log()
        assert torch.allclose(found[t], expected, atol=1e-12)


def test_counts_that_have_read_nothing_guess():
    assert torch.allclose(ContextCounts(2).surprise("ab"), torch.full((2, 3), math.log(96), dtype=torch.float64))


@given(plain, st.text(alphabet=ALPHABET, max_size=6))
@settings(max_examples=25, deadline=None)
def test_counts_are_a_distribution_after_any_context(past, context):
    counts = ContextCounts(3)
    counts.learn(past)
    total = np.sum([counts.probabilities(context, character) for character in ALPHABET], axis=0)
    assert np.allclose(total, 1, atol=1e-9)


def test_counts_refuse_a_negative_order():
    with pytest.raises(ValueError, match="order is -1"):
        ContextCounts(-1)


# -- sampling --


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_samples_follow_the_tempered_softmax(device, temperature):
    logits = torch.tensor([1.5, 0.0, -1.0, 0.7])
    draws = sample(logits.to(device).expand(40000, 4), temperature, torch.Generator().manual_seed(1))
    assert draws.device.type == device.type and draws.dtype == torch.int64
    expected = 40000 * torch.softmax(logits.double() / temperature, -1)
    chi_square = ((draws.cpu().bincount(minlength=4) - expected).square() / expected).sum().item()
    assert chi_square < 27.9  # 3 degrees of freedom: passed by all but 4 in a million


def test_samples_keep_the_shape_and_the_seed():
    logits = torch.randn(3, 2, 5)
    draws = sample(logits, 1.0, torch.Generator().manual_seed(4))
    assert draws.shape == (3, 2) and torch.equal(draws, sample(logits, 1.0, torch.Generator().manual_seed(4)))


def test_what_is_impossible_is_never_drawn():
    logits = torch.tensor([-torch.inf, 0.0, -torch.inf, 0.0, -torch.inf]).expand(5000, 5)
    assert set(sample(logits, 1.0, torch.Generator().manual_seed(0)).tolist()) == {1, 3}


BAD = [math.nan, math.inf, -math.inf]


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("temperature", [0, 1.0])
def test_rows_that_are_no_distribution_are_not_sampled(value, temperature):
    rows = torch.zeros(2, 3)
    rows[1] = value
    with pytest.raises(ValueError, match="sample: a row of logits is NaN, or infinite"):
        sample(rows, temperature)


def test_a_tiny_temperature_is_the_likeliest():
    rows = torch.tensor([[1.0, 3.0, 2.0], [90.0, -80.0, 0.0]])
    for temperature in (1e-300, 5e-324, 1e-30):
        assert sample(rows, temperature).tolist() == [1, 0]


@pytest.mark.parametrize("code", [200, 8, -1, -2, 2**40])
def test_a_code_beyond_the_alphabet_is_refused_everywhere(code):
    net, codes = PredictionNetwork(8, 4, 1, 8), torch.tensor([1, code, 2])
    for call in (
        lambda: text_surprise(net, codes),
        lambda: sequence_nll(torch.zeros(3, 1, 8), codes[:, None]),
        lambda: decode(codes, "abcdefgh"),
        lambda: one_hot(codes[:, None], 8) if code != -1 else decode(codes),
        lambda: text_loss(net, codes[:, None]),
    ):
        with pytest.raises(ValueError, match="code"):
            call()


@pytest.mark.parametrize("codes", [[1, 2], "ab", None, torch.tensor([1.0]), torch.tensor([True])])
def test_codes_of_another_type_are_refused(codes):
    net = PredictionNetwork(8, 4, 1, 8)
    for call in (
        lambda: text_surprise(net, codes),
        lambda: decode(codes),
        lambda: shift(codes),
        lambda: one_hot(codes, 8),
        lambda: dynamic_surprise(net, codes),
    ):
        with pytest.raises(TypeError, match="expected"):
            call()


@pytest.mark.parametrize(
    "wrong",
    [{"prompt": 3}, {"prompt": None}, {"length": True}, {"length": 2.5}, {"length": -1}, {"temperature": "hot"},
     {"temperature": True}, {"alphabet": 3}, {"alphabet": "aa"}, {"alphabet": ""}],
)  # fmt: skip
def test_generate_says_what_is_wrong(wrong):
    net = PredictionNetwork(96, 4, 1, 96)
    with pytest.raises((TypeError, ValueError), match="expected|alphabet"):
        generate(net, **{"prompt": "a", "length": 2, **wrong})


def test_modes_come_back_also_after_an_error(text_model):
    text_model.train()
    with pytest.raises((TypeError, ValueError)):
        generate(text_model, "a", 2, temperature=math.nan)
    assert text_model.training


def test_a_draw_of_exactly_zero_takes_nothing_impossible(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "uniform_", lambda numbers, generator=None: numbers.zero_())
    assert sample(torch.tensor([[-torch.inf, 0.0, 1.0]])).tolist() == [1]


def test_temperature_zero_takes_the_likeliest_and_tiny_ones_do_not_overflow():
    logits = torch.tensor([[1.0, 3.0, 2.0], [90.0, -80.0, 0.0]])
    assert sample(logits, 0).tolist() == [1, 0]
    assert sample(logits, 1e-6, torch.Generator().manual_seed(0)).tolist() == [1, 0]


@pytest.mark.parametrize("temperature", [-0.1, math.nan])
def test_a_negative_temperature_is_refused(text_model, temperature):
    with pytest.raises(ValueError, match="temperature is .*at least 0"):
        sample(torch.zeros(3), temperature)
    with pytest.raises(ValueError, match="temperature is .*at least 0"):
        generate(text_model, "a", 2, temperature)


def test_writing_is_drawing_and_reading_in_turn(text_model):
    written = generate(text_model, "ab", 6, 1.0, torch.Generator().manual_seed(2))
    generator, codes = torch.Generator().manual_seed(2), encode("ab")
    for character in written:  # without a carried state: the whole past is read again for each character
        seen = torch.cat([torch.tensor([NULL]), codes])[:, None]
        drawn = sample(text_model(one_hot(seen, 96, torch.float64))[0][-1, 0], 1.0, generator)
        assert decode(drawn[None]) == character
        codes = torch.cat([codes, drawn[None]])
    assert len(written) == 6 and text_model.training
    assert generate(text_model, "", 3, 0) == generate(text_model, "", 3, 0)


def test_writing_says_what_it_cannot_do(text_model):
    with pytest.raises(ValueError, match="length is 0"):
        generate(text_model, "a", 0)
    with pytest.raises(ValueError, match="of the alphabet"):
        generate(text_model, "\u00e9", 3)


# -- the corpus and the weights --


def test_the_corpus_is_the_one_that_its_card_describes():
    train, held_out = book_corpus()
    assert len(train) > 50_000 and len(held_out) > 5_000
    assert len(encode(train + held_out)) == len(train) + len(held_out)


def test_a_damaged_corpus_is_refused(tmp_path, monkeypatch):
    source = resources.files("softattn") / "data"
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "book.json").write_bytes((source / "book.json").read_bytes())
    (tmp_path / "data" / "book.txt").write_bytes((source / "book.txt").read_bytes().replace(b"e", b"a", 1))
    monkeypatch.setattr(text.resources, "files", lambda package: tmp_path)
    with pytest.raises(ValueError, match="book.txt has sha256 .*make corpus"):
        book_corpus()


@pytest.mark.parametrize("name", ["prediction", "prediction-book"])
def test_weights_reproduce_a_figure_of_their_card(name, device):
    from softattn import load

    model = load(name, device)
    check = model.card["check"]
    found = text_surprise(model, encode(check["text"]).to(device)).double().mean().item() / math.log(2)
    assert abs(found - check["bits_per_character"]) < 1e-3
    assert model.card["bytes"] < 5_000_000 and model.card["alphabet"] == ALPHABET


def test_the_weights_that_read_the_book_read_this_corpus():
    folder = resources.files("softattn")
    card = json.loads((folder / "weights" / "prediction-book.json").read_text("utf-8"))
    found = hashlib.sha256((folder / "data" / "book.txt").read_bytes()).hexdigest()
    assert card["corpus"] == found, "the corpus was frozen anew: run `python -m recipes.prediction book` again"
    start = json.loads((folder / "weights" / "prediction.json").read_text("utf-8"))
    assert card["started_from"] == start["sha256"]


# -- the recipe --


@pytest.mark.slow
def test_the_recipe_in_pieces_is_the_recipe_in_one(tmp_path, monkeypatch, root):
    from safetensors.torch import load_file

    monkeypatch.setenv("SOFTATTN_DEVICE", "cpu")
    from recipes import prediction as recipe

    size = ["--characters", "3200", "--length", "20", "--batch", "16", "--hidden", "16", "--save-every", "3"]

    def run(folder, *more):
        (tmp_path / folder).mkdir(exist_ok=True)
        out, state = tmp_path / folder / "prediction.safetensors", tmp_path / folder / "state.ckpt"
        assert recipe.main(["library", *size, "--out", str(out), "--state", str(state), *more]) == 0
        return out

    whole = load_file(run("whole"))
    run("pieces", "--minutes", "0.0001")
    with pytest.raises(SystemExit, match="holds a run: go on with --resume"):
        run("pieces")
    pieces = load_file(run("pieces", "--resume"))
    assert all(torch.equal(value, pieces[name]) for name, value in whole.items())
    card = json.loads((tmp_path / "pieces" / "prediction.json").read_text())
    assert card["steps"] == 10 and card["characters_seen"] == 3200
    with pytest.raises(SystemExit, match="nothing to resume"):
        recipe.main(["library", "--resume", "--state", str(tmp_path / "no.ckpt")])


def test_what_is_masked_need_be_no_code_even_where_there_is_one_symbol():
    targets, mask = torch.tensor([[0, 7], [-3, 0]]), torch.tensor([[True, False], [False, True]])
    assert sequence_nll(torch.randn(2, 2, 1), targets, mask).tolist() == [0.0, 0.0]


def test_a_lesson_of_dynamic_evaluation_is_a_step_of_a_gradient_no_longer_than_one(text_model):
    codes = encode("zzzzzzzzzzabcabcabca")
    with torch.no_grad():
        text_model.output.weight.mul_(20)  # so sure of itself that a lesson is long
    learner = copy.deepcopy(text_model)
    rows = one_hot(shift(codes)[:, None], 96, torch.float64)
    logits, state = learner(rows[:10])
    grads = torch.autograd.grad(sequence_nll(logits, codes[:10, None])[0] / 10, list(learner.parameters()))
    length = torch.stack([g.norm() for g in grads]).norm()
    assert length > 1.5
    with torch.no_grad():
        for p, g in zip(learner.parameters(), grads, strict=True):
            p -= 0.3 * g / length
        logits, _ = learner(rows[10:], state)
    want = torch.nn.functional.cross_entropy(logits[:, 0], codes[10:], reduction="none")
    found = dynamic_surprise(text_model, codes, segment=10, rate=0.3)[10:]
    assert torch.allclose(found, want, atol=1e-5)

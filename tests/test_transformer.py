"""The transformer: loops and torch's own layers as oracles; masks, positions, the cache; errors; what ships."""

import json
import math

import pytest
import torch
from torch import nn

from softattn import transformer as chapter
from softattn.lineage import dot_product_weights
from softattn.prediction import generate, one_hot, shift, text_surprise
from softattn.strokes import Strokes
from softattn.text import ALPHABET, encode
from softattn.transformer import CausalTransformer

T, B, I, E, O = 7, 2, 3, 16, 5


def made(positions="rotations", seed=0, **more):
    torch.manual_seed(seed)
    return CausalTransformer(I, E, 2, O, heads=2, positions=positions, **more).double()


def steps(T=T, seed=1):
    return torch.randn(T, B, I, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def every_position():
    return pytest.mark.parametrize("positions", chapter.POSITIONS)


# -- oracles -------------------------------------------------------------------------------------------------------


def test_a_layer_is_torchs_own():
    """Without positions a layer is nn.TransformerEncoderLayer with the norm first."""
    model = made("none")
    theirs = nn.TransformerEncoderLayer(E, 2, 4 * E, 0.0, "gelu", batch_first=True, norm_first=True).double()
    layer = model.layers[0]
    with torch.no_grad():
        q, k, v = layer.ask.weight.chunk(3)
        theirs.self_attn.in_proj_weight.copy_(torch.cat([q, k, v]))
        theirs.self_attn.in_proj_bias.zero_()
        theirs.self_attn.out_proj.weight.copy_(layer.join.weight)
        theirs.self_attn.out_proj.bias.zero_()
        for ours, its in ((layer.grow, theirs.linear1), (layer.shrink, theirs.linear2)):
            its.load_state_dict(ours.state_dict())
        theirs.norm1.load_state_dict(layer.before.state_dict())
        theirs.norm2.load_state_dict(layer.between.state_dict())
        x = torch.randn(B, T, E, dtype=torch.float64)
        mask = nn.Transformer.generate_square_subsequent_mask(T, dtype=torch.float64)
        assert torch.allclose(layer(x, None, True)[0], theirs(x, mask), atol=1e-10)


@every_position()
@pytest.mark.parametrize("pieces", [[1] * T, [3, 4], [1, 5, 1]])
def test_the_cache_against_the_full_pass(positions, pieces):
    model, x = made(positions), steps()
    with torch.no_grad():
        full, kept = model(x)
        state, rows = None, []
        for part in x.split(pieces):
            y, state = model(part, state)
            rows.append(y)
    assert torch.allclose(torch.cat(rows), full, atol=1e-12)
    for ours, theirs in zip(state, kept, strict=True):
        assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(ours, theirs, strict=True))
    assert kept[0][0].shape == (B, 2, T, E // 2)


@every_position()
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_fast_way_is_the_plain_one(positions, dtype):
    model, x = made(positions).to(dtype), steps().to(dtype)
    found = []
    for model.fused in (True, False):
        y, _ = model(x)
        model.zero_grad()
        y.square().sum().backward()
        found.append((y.detach(), [p.grad.clone() for p in model.parameters()]))
    tight = 1e-6 if dtype == torch.float32 else 1e-12
    assert torch.allclose(found[0][0], found[1][0], atol=tight)
    for a, b in zip(found[0][1], found[1][1], strict=True):
        assert (a - b).abs().max() <= (1e-4 if dtype == torch.float32 else 1e-10) * (1 + a.abs().max())


@every_position()
def test_the_future_changes_nothing_and_the_past_does(positions):
    model, x = made(positions), steps()
    other = x.clone()
    other[4] += 1
    with torch.no_grad():
        a, b = model(x)[0], model(other)[0]
    assert torch.equal(a[:4], b[:4])
    assert ((a[4:] - b[4:]).abs().amax((1, 2)) > 1e-6).all()


def test_without_positions_a_text_is_a_bag():
    x = steps()
    mixed = torch.cat([x[[3, 0, 5, 1, 4, 2]], x[6:]])
    same = {}
    for positions in chapter.POSITIONS:
        torch.manual_seed(0)
        model = CausalTransformer(I, E, 1, O, heads=2, positions=positions).double()
        with torch.no_grad():
            same[positions] = torch.allclose(model(x)[0][-1], model(mixed)[0][-1], atol=1e-9)
    assert same == {"none": True, "sinusoids": False, "rotations": False}
    torch.manual_seed(0)
    deep = CausalTransformer(I, E, 2, O, heads=2, positions="none").double()
    with torch.no_grad():  # the mask gave each step another past: a second layer hears that
        assert not torch.allclose(deep(x)[0][-1], deep(mixed)[0][-1], atol=1e-4)


def test_rotations_hear_differences_alone():
    q, k = torch.randn(2, 1, 8, dtype=torch.float64)
    place = lambda t: torch.tensor([t])  # noqa: E731
    score = lambda t, u: (chapter.rotate(q, place(t)) * chapter.rotate(k, place(u))).sum().item()  # noqa: E731
    assert score(0, 4) == pytest.approx(score(9, 13), abs=1e-6)  # the angles are float32's
    assert score(0, 4) != pytest.approx(score(4, 0), abs=1e-3)
    assert score(3, 3) == pytest.approx((q * k).sum().item())
    length = chapter.rotate(q, place(11)).norm().item()
    assert length == pytest.approx(q.norm().item())


def test_sinusoids_by_the_formula_of_the_paper():
    code = chapter.sinusoids(torch.arange(9.0, dtype=torch.float64), 6)
    for u in range(9):
        for i in range(3):
            turn = u / 10_000 ** (2 * i / 6)
            assert code[u, i].item() == pytest.approx(math.sin(turn), abs=1e-6)
            assert code[u, 3 + i].item() == pytest.approx(math.cos(turn), abs=1e-6)


def test_dropout_is_of_training_alone():
    model, x = made(dropout=0.5), steps()
    a, b = model(x)[0], model(x)[0]
    assert not torch.equal(a, b)
    model.eval()
    assert torch.equal(model(x)[0], model(x)[0])


def test_the_gradient():
    model, x = made(), steps(3).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: model(x)[0], (x,))


# -- it takes the place of the LSTM --------------------------------------------------------------------------------


def tiny():
    torch.manual_seed(0)
    return CausalTransformer(len(ALPHABET), E, 1, len(ALPHABET), heads=2).eval()


def test_generate_and_text_surprise_take_it():
    model = tiny()
    text = generate(model, "pen", 9, generator=torch.Generator().manual_seed(0))
    assert len(text) == 9
    codes = encode("a pen")
    rows = one_hot(shift(codes)[:, None], len(ALPHABET))
    with torch.no_grad():
        by_hand = -torch.log_softmax(model(rows)[0][:, 0], -1)[torch.arange(5), codes]
    assert torch.allclose(text_surprise(model, codes), by_hand, atol=1e-6)


@pytest.mark.parametrize("length", [3, 8, 9, 16, 17, 40])
def test_surprise_in_windows_counts_each_character_once(length):
    model, codes = tiny(), encode("the window moves forward"[:length] * 2)[:length]
    found = chapter.text_surprise_in_windows(model, codes, 8)
    assert len(found) == len(codes)
    assert torch.allclose(found[:8], text_surprise(model, codes[:8]), atol=1e-6)
    if length > 8:
        assert torch.allclose(found[8:12], text_surprise(model, codes[4:12])[4:], atol=1e-5)
    with pytest.raises(ValueError, match="length"):
        chapter.text_surprise_in_windows(model, codes, 1)


def test_a_pen_without_recurrence_scores_lines():
    torch.manual_seed(0)
    pen = chapter.PenTransformer(16, 1, 2, (8.0, 0.0), (40.0, 30.0))
    line = Strokes(torch.tensor([[0.0, 0, 0], [5, 3, 0], [9, -2, 0], [4, 4, 1]]))
    longer = Strokes(torch.cat([line.offsets[:3], torch.tensor([[3.0, 1, 0], [2, 2, 1]])]))
    alone, padded = pen.nats([line]), pen.nats([line, longer])
    assert alone[0].item() == pytest.approx(padded[0].item(), rel=1e-5)


# -- errors --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((0, E, 2, O), ValueError, "input_size is 0"),
        ((I, 1, 2, O), ValueError, "width is 1"),
        ((I, E, 0, O), ValueError, "num_layers is 0"),
        ((I, E, 2, 0), ValueError, "output_size is 0"),
        ((I, E, 2, O, 0), ValueError, "heads is 0"),
        ((I, E, 2, O, 3), ValueError, "width 16, 3 heads: expected a multiple of twice"),
        ((I, E, 2, O, 2, "learned"), ValueError, "positions is 'learned', expected one of none, sinusoids, rotations"),
        ((I, E, 2, O, 2, "none", 1.0), ValueError, "dropout is 1.0"),
        ((I, 16.0, 2, O), TypeError, "width is 16.0"),
    ],
)
def test_sizes_that_are_none(arguments, error, words):
    with pytest.raises(error, match=f"CausalTransformer: {words}"):
        CausalTransformer(*arguments)


def test_inputs_and_states_that_do_not_fit():
    model, x = made(), steps()
    _, state = model(x)
    for wrong, error, words in [
        ((x[..., :2],), ValueError, "x has shape"),
        ((3,), TypeError, "x is 3"),
        ((x, 3), ValueError, "state is no list of 2 pairs"),
        ((x, state[:1]), ValueError, "state is no list of 2 pairs"),
        ((x, [1, 2]), ValueError, "state holds what is no pair"),
        ((x[:, :1], state), ValueError, "state has shape"),
        ((x, [(k, v[:, :, 1:]) for k, v in state]), ValueError, "state has shape"),
    ]:
        with pytest.raises(error, match=f"CausalTransformer: {words}"):
            model(*wrong)


# -- what ships ----------------------------------------------------------------------------------------------------


def test_the_text_model_that_ships_gives_its_cards_figure():
    from softattn.hub import load

    model = load("transformer-text")
    check = model.card["check"]
    bits = text_surprise(model, encode(check["text"])).double().mean().item() / math.log(2)
    assert bits == pytest.approx(check["bits_per_character"], abs=1e-3)


@pytest.mark.parametrize("name", ["transformer-text", "transformer-pen"])
def test_tables_compare_equals(name):
    from importlib import resources

    runs = json.loads((resources.files("softattn") / "data" / f"{name}.json").read_text("utf-8"))["runs"]
    ours, theirs = runs["transformer"], runs["LSTM"]
    assert abs(ours["parameters"] / theirs["parameters"] - 1) < 0.05
    assert abs(ours["processor_minutes"] / theirs["processor_minutes"] - 1) < 0.05


def test_the_root_is_what_keeps_it_soft():
    q, k = torch.randn(2, 1, 200, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    soft, hard = dot_product_weights(q, k), dot_product_weights(8 * q, k)
    assert torch.allclose(hard, torch.softmax(q @ k.mT, -1), atol=1e-12)
    assert soft.amax(-1).mean() < 0.2 < 0.7 < hard.amax(-1).mean()

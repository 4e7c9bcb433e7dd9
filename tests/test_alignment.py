"""Alignment: additive attention against loops, dates against an independent reader of them, the shipped translators."""

import datetime
import math
import re

import pytest
import torch
from torch import nn

from softattn import load
from softattn.alignment import (
    DATE_FORMS,
    DATE_LETTERS,
    DATE_SIGNS,
    MONTHS,
    WEEKDAYS,
    AdditiveAttention,
    DateTranslator,
    calendar_days,
    date_batch,
    date_codes,
    date_loss,
    date_pairs,
    exact_share,
    written_date,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


# -- additive attention ------------------------------------------------------------------------------------------------


@pytest.fixture
def attention(device):
    return AdditiveAttention(5, 4, 3).double().to(device)


def by_loop(module, query, keys, mask):
    """Equation by equation, in Python's own arithmetic."""
    W, b, V, v = (
        p.tolist() for p in (module.query.weight, module.query.bias, module.key.weight, module.score.weight[0])
    )
    contexts, weights = [], []
    for s, h, m in zip(query.tolist(), keys.tolist(), mask.tolist(), strict=True):
        e = []
        for row in h:
            hidden = [
                math.tanh(
                    sum(w * x for w, x in zip(W[k], s, strict=True))
                    + b[k]
                    + sum(a * x for a, x in zip(V[k], row, strict=True))
                )
                for k in range(len(b))
            ]
            e.append(sum(a * x for a, x in zip(v, hidden, strict=True)))
        raw = [math.exp(x) if live else 0.0 for x, live in zip(e, m, strict=True)]
        alpha = [x / sum(raw) for x in raw]
        weights.append(alpha)
        contexts.append([sum(a * row[d] for a, row in zip(alpha, h, strict=True)) for d in range(len(h[0]))])
    return torch.tensor(contexts, dtype=torch.float64), torch.tensor(weights, dtype=torch.float64)


@pytest.fixture
def look(device):
    query, keys = torch.randn(3, 5, dtype=torch.float64), torch.randn(3, 6, 4, dtype=torch.float64)
    mask = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 0, 0, 0, 0], [0, 1, 0, 1, 1, 0]]).bool()
    return query.to(device), keys.to(device), mask.to(device)


def test_attention_is_its_loop(attention, look):
    context, weights = attention(*look)
    expected = by_loop(attention, *look)
    torch.testing.assert_close(context.cpu(), expected[0], rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(weights.cpu(), expected[1], rtol=1e-10, atol=1e-12)
    query, keys, _ = look
    everywhere = by_loop(attention, query, keys, torch.ones(3, 6, dtype=torch.bool))
    torch.testing.assert_close(attention(query, keys)[1].cpu(), everywhere[1], rtol=1e-10, atol=1e-12)


def test_masked_places_get_exactly_zero_and_no_gradient(attention, look):
    query, keys, mask = look
    keys = (keys + 1e3 * ~mask[..., None]).requires_grad_()
    context, weights = attention(query, keys, mask)
    assert (weights[~mask] == 0).all()
    assert (weights[mask] > 0).all()
    torch.testing.assert_close(weights.sum(1), torch.ones_like(weights[:, 0]))
    context.square().sum().backward()
    assert (keys.grad[~mask] == 0).all() and (keys.grad[mask] != 0).any()


def test_order_of_the_places_does_not_matter(attention, look):
    query, keys, mask = look
    order = torch.tensor([3, 0, 5, 1, 4, 2], device=keys.device)
    context, weights = attention(query, keys, mask)
    moved, moved_weights = attention(query, keys[:, order], mask[:, order])
    torch.testing.assert_close(moved, context)
    torch.testing.assert_close(moved_weights, weights[:, order])


def test_keys_can_be_projected_once(attention, look):
    query, keys, mask = look
    for a, b in zip(attention(query, keys, mask, attention.key(keys)), attention(*look), strict=True):
        assert torch.equal(a, b)


def test_a_large_score_does_not_overflow(attention, look):
    with torch.no_grad():
        attention.score.weight.mul_(1e6)
    context, weights = attention(*look)
    assert context.isfinite().all() and weights.isfinite().all()


def test_gradients_of_attention(look, device):
    attention = AdditiveAttention(5, 4, 3).double().to(device)
    query, keys, mask = look
    assert torch.autograd.gradcheck(
        lambda q, k: attention(q, k, mask), (query.requires_grad_(), keys.requires_grad_()), eps=1e-6, atol=1e-7
    )


def test_a_row_masked_everywhere_is_an_error_where_it_can_be_seen(attention, look):
    query, keys, mask = look
    mask = mask.clone()
    mask[1] = False
    with pytest.raises(ValueError, match="row 1 of the mask is False everywhere; leave such rows out"):
        attention(query, keys, mask)
    meta = AdditiveAttention(5, 4, 3).to("meta")
    context, weights = meta(
        *(t.to("meta", t.dtype if t.dtype == torch.bool else torch.float32) for t in (query, keys, mask))
    )
    assert context.shape == (3, 4) and weights.shape == (3, 6)


def test_compiling_skips_the_check(attention, look, monkeypatch):
    query, keys, mask = look
    mask = torch.zeros_like(mask)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert attention(query, keys, mask)[1].isnan().all()


def test_attention_traces_into_one_graph(attention, look):
    """No data-dependent branch is left while compiling: one full graph, the same numbers."""
    compiled = torch.compile(attention, backend="eager", fullgraph=True)
    for a, b in zip(compiled(*look), attention(*look), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(query=torch.zeros(3, 6)), r"query is float32 \(3, 6\), expected \(B, 5\)"),
        (dict(query=torch.zeros(5)), r"query is float32 \(5,\), expected"),
        (dict(query=None), "query is NoneType None, expected"),
        (dict(keys=torch.zeros(2, 6, 4)), r"keys is float32 \(2, 6, 4\), expected \(3, U, 4\), U > 0"),
        (dict(keys=torch.zeros(3, 0, 4)), r"keys is float32 \(3, 0, 4\), expected"),
        (dict(keys=torch.zeros(3, 6, 5)), r"keys is float32 \(3, 6, 5\), expected"),
        (dict(keys=torch.zeros(3, 6)), r"keys is float32 \(3, 6\), expected"),
        (dict(keys="keys"), "keys is str 'keys', expected"),
        (dict(mask=torch.ones(3, 5).bool()), r"mask is bool \(3, 5\), expected bool \(3, 6\)"),
        (dict(mask=torch.ones(3, 6)), r"mask is float32 \(3, 6\), expected bool \(3, 6\)"),
        (dict(projected=torch.zeros(3, 6, 2)), r"projected is float32 \(3, 6, 2\), expected key\(keys\), \(3, 6, 3\)"),
    ],
)
def test_attention_says_what_does_not_fit(change, message):
    arguments = dict(query=torch.zeros(3, 5), keys=torch.zeros(3, 6, 4), mask=torch.ones(3, 6).bool()) | change
    with pytest.raises(ValueError, match=message):
        AdditiveAttention(5, 4, 3)(**arguments)


# -- dates -------------------------------------------------------------------------------------------------------------


def understood(text):
    """An independent reader: words to numbers by regular expression."""
    month = next(k for k, name in enumerate(MONTHS, 1) if re.search(rf"\b({name}|{name[:3]})\b", text))
    year = int(re.search(r"\b\d{4}\b", text)[0])
    day = int(re.search(r"\b(\d{1,2})(?:st|nd|rd|th)?\b", text)[1])
    return datetime.date(year, month, day)


DAYS = [datetime.date(2009, 5, 3), datetime.date(1911, 11, 11), datetime.date(2000, 2, 29), datetime.date(1999, 12, 22)]


@pytest.mark.parametrize("form", range(len(DATE_FORMS)))
def test_a_date_is_understood_and_its_parts_are_where_it_says(form):
    for day in DAYS + [datetime.date.fromordinal(int(k)) for k in calendar_days(True)[:200]]:
        text, spans = written_date(day, form)
        assert understood(text) == day and set(text) <= set(DATE_LETTERS[1:])
        part = {name: text[start:end] for name, (start, end) in spans.items()}
        assert part["year"] == str(day.year)
        assert part["month"] in (MONTHS[day.month - 1], MONTHS[day.month - 1][:3])
        assert re.fullmatch(rf"{day.day}(st|nd|rd|th)?", part["day"])
        assert part.get("weekday", day.strftime("%A")) == day.strftime("%A") == WEEKDAYS[day.weekday()]


def test_ordinals_are_english():
    words = [written_date(datetime.date(2001, 1, k), 2)[0].split()[0] for k in range(1, 32)]
    assert words[:4] == ["1st", "2nd", "3rd", "4th"] and words[10:13] == ["11th", "12th", "13th"]
    assert words[20:24] == ["21st", "22nd", "23rd", "24th"] and words[30] == "31st"


def test_no_two_days_share_a_text():
    texts = {}
    for day in calendar_days(True)[:400].tolist():
        for form in range(len(DATE_FORMS)):
            text = written_date(datetime.date.fromordinal(day), form)[0]
            assert texts.setdefault(text, day) == day


def test_a_fifth_of_the_days_is_held_out():
    held, seen = set(calendar_days(True).tolist()), set(calendar_days(False).tolist())
    assert not held & seen and len(held) == 14_609 and len(seen) == 58_440
    assert min(held | seen) == datetime.date(1900, 1, 1).toordinal()
    assert max(held | seen) == datetime.date(2099, 12, 31).toordinal()


def test_lists_and_their_codes():
    pairs = date_pairs(calendar_days(False), 20, 3, seeded())
    for text, dates, source, target, signs in zip(*pairs, strict=True):
        assert [understood(part).isoformat() for part in text.split("; ")] == dates.split(";")
        assert "".join(DATE_LETTERS[k] for k in source).rstrip("_") == text
        assert "".join(DATE_SIGNS[k] for k in target[:signs]) == dates + "." and signs == 33
    source, target, counts = date_batch(pairs, 5, seeded())
    assert source.shape[1] == (source != 0).sum(1).max() and target.shape == counts.shape == (5, 33) and counts.all()


def test_a_batch_of_unlike_lengths_counts_each_sign_once():
    one, two = (date_pairs(calendar_days(False), 4, k, seeded(k)) for k in (1, 2))
    mixed = type(one)(
        one.texts + two.texts,
        one.dates + two.dates,
        date_codes(one.texts + two.texts),
        date_codes([d + "." for d in one.dates + two.dates], DATE_SIGNS),
        torch.cat([one.signs, two.signs]),
    )
    source, target, counts = date_batch(mixed, 64, seeded(3))
    assert set(counts.sum(1).tolist()) == {11, 22}
    assert (target[~counts] == 0).all() and target.shape[1] == 22 and source.shape[0] == 64


ONE, TEXT = torch.ones(2, 4).long(), ["3 May 2009"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: written_date(DAYS[0], 12), "written_date: .* form 12; expected a date and 0 to 11"),
        (lambda: written_date(DAYS[0], -1), "written_date: .* form -1; expected"),
        (lambda: written_date("today", 0), "written_date: day str 'today'"),
        (lambda: date_codes([]), "date_codes: no texts; expected at least one"),
        (lambda: date_codes(["3 May 2009", ""]), "date_codes: text '' is empty"),
        (lambda: date_codes(["3/5"]), "date_codes: text '3/5' is empty or holds what cannot be read"),
        (lambda: date_codes([7]), "date_codes: text 7 is empty or holds"),
        (lambda: date_codes("3 May 2009"), "date_codes: str '3 May 2009' is no list of texts; expected such as"),
        (lambda: date_codes(None), "date_codes: NoneType None is no list of texts"),
        (
            lambda: date_pairs(calendar_days(True), 0, 1, seeded()),
            "date_pairs: count is int 0, expected a whole number from 1",
        ),
        (
            lambda: date_pairs(calendar_days(True), 1, 1.0, seeded()),
            "date_pairs: length is float 1.0, expected a whole number",
        ),
        (lambda: date_pairs(torch.zeros(0), 1, 1, seeded()), r"date_pairs: days are float32 \(0,\), expected int64"),
        (lambda: date_pairs([7], 1, 1, seeded()), r"date_pairs: days are list \[7\], expected int64"),
        (lambda: date_pairs(torch.tensor([0]), 1, 1, seeded()), "date_pairs: days hold what is no ordinal"),
        (lambda: date_pairs(torch.tensor([10**9]), 1, 1, seeded()), "date_pairs: days hold what is no ordinal"),
        (lambda: date_batch(date_pairs(calendar_days(True), 2, 1, seeded()), 0, seeded()), "date_batch: size is int 0"),
        (lambda: DateTranslator(encoder_size=0), "DateTranslator: encoder_size is int 0"),
        (lambda: DateTranslator(decoder_size=2.0), "DateTranslator: decoder_size is float 2.0"),
        (lambda: AdditiveAttention(0, 3, 2), "AdditiveAttention: query_size is int 0"),
        (
            lambda: DateTranslator()(torch.ones(2, 5).long(), torch.ones(3, 4).long()),
            r"DateTranslator: source int64 \(2, 5\), target int64 \(3, 4\), expected \(B, U\) and \(B, T\)",
        ),
        (lambda: DateTranslator()(torch.ones(2, 0).long(), ONE), r"source int64 \(2, 0\), target"),
        (
            lambda: DateTranslator()(torch.ones(2, 5), ONE),
            r"source is float32 \(2, 5\), expected two dimensions of whole",
        ),
        (lambda: DateTranslator()(ONE, torch.ones(2, 4) > 0), r"target is bool \(2, 4\), expected two dimensions"),
        (lambda: DateTranslator()([[1]], ONE), r"source is list \[\[1\]\], expected"),
        (lambda: DateTranslator()(200 * ONE, ONE), "source holds 200 to 200, expected 0 to 65"),
        (lambda: DateTranslator()(ONE, -ONE), "target holds -1 to -1, expected 0 to 12"),
        (lambda: DateTranslator()(torch.tensor([[5, 0, 6]]), ONE[:1]), "source has padding before a letter"),
        (lambda: DateTranslator().translate(["?"]), r"date_codes: text '\?' is empty or holds"),
        (lambda: DateTranslator().translate("3 May 2009"), "is no list of texts; expected"),
        (lambda: DateTranslator().translate(TEXT, longest=0), "DateTranslator.translate: longest is int 0, expected"),
        (
            lambda: DateTranslator(attention=False)(torch.tensor([[5, 6], [0, 0]]), ONE),
            "DateTranslator: row 1 of the source is padding throughout; leave",
        ),
    ],
)
def test_dates_say_what_does_not_fit(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.bfloat16, torch.int32])
def test_any_type_of_query_and_keys_is_taken_to_that_of_the_weights(dtype):
    attention = AdditiveAttention(5, 4, 3)
    query, keys = torch.randint(-2, 3, (2, 5), generator=seeded()), torch.randint(-2, 3, (2, 6, 4), generator=seeded(1))
    for ours, theirs in zip(
        attention(query.float(), keys.float()), attention(query.to(dtype), keys.to(dtype)), strict=True
    ):
        assert ours.dtype == theirs.dtype == torch.float32
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("kind", [torch.int32, torch.uint8, torch.int64])
def test_a_translator_of_any_type_reads_codes_of_any_type(dtype, kind):
    model = load("dates").to(dtype)
    pairs = date_pairs(calendar_days(True), 3, 2, seeded())
    scores, weights = model(pairs.source.to(kind), pairs.target.to(kind))
    assert scores.dtype == dtype and torch.equal(scores.argmax(-1), pairs.target)
    assert model.translate(pairs.texts)[0] == pairs.dates


def test_a_hook_on_the_attention_is_called_and_its_answer_used():
    model = load("dates")
    source, target, _ = date_batch(date_pairs(calendar_days(True), 4, 1, seeded()), 4, seeded())
    plain, calls = model(source, target)[0], []
    hook = model.attend.register_forward_hook(
        lambda module, inputs, outputs: calls.append(1) or (0 * outputs[0], outputs[1])
    )
    changed = model(source, target)[0]
    hook.remove()
    assert len(calls) == target.shape[1] and (changed - plain).abs().max() > 0.1


# -- the translator ----------------------------------------------------------------------------------------------------


@pytest.fixture(params=[True, False], ids=["attention", "fixed"])
def translator(request, device):
    torch.manual_seed(3)
    return DateTranslator(request.param, 6, 5, 7, 4).to(device).eval()


def test_padding_changes_nothing(translator, device):
    texts = ["3 May 2009", "Thursday, 4 June 1987; 1 Jan 2000"]
    target = date_codes(["2009-05-03.", "1987-06-04."], DATE_SIGNS).to(device)
    together, weights = translator(date_codes(texts).to(device), target)
    for k, text in enumerate(texts):
        alone, own = translator(date_codes([text]).to(device), target[k : k + 1])
        torch.testing.assert_close(together[k : k + 1], alone, rtol=1e-4, atol=1e-6)
        if weights is not None:
            torch.testing.assert_close(weights[k, :, : len(text)], own[0], rtol=1e-4, atol=1e-6)
            assert (weights[k, :, len(text) :] == 0).all()
    torch.testing.assert_close(
        together[0:1],
        translator(torch.nn.functional.pad(date_codes(texts[:1]), (0, 9)).to(device), target[:1])[0],
        rtol=1e-4,
        atol=1e-6,
    )


def test_the_reader_is_torchs_own_bidirectional_gru(translator, device):
    text = "the 3rd of May, 2009"
    both = nn.GRU(6, 5, batch_first=True, bidirectional=True).to(device)
    with torch.no_grad():
        for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
            getattr(both, name).copy_(getattr(translator.ahead, name))
            getattr(both, name + "_reverse").copy_(getattr(translator.back, name))
    source = date_codes([text, "1 May 2000"]).to(device)
    keys, mask, summary = translator.encode(source)
    expected, last = both(translator.embed(source[:1]))
    torch.testing.assert_close(keys[:1], expected)
    torch.testing.assert_close(summary[0], last.flatten())
    assert mask.sum(1).tolist() == [len(text), 10]


def test_what_it_writes_is_what_it_scores_highest(translator, device):
    texts = ["3 May 2009", "Thursday, 4 June 1987"]
    written, weights = translator.translate(texts, longest=12)
    if any(not row for row in written):
        pytest.skip("an untrained net that writes nothing")
    n = min(map(len, written))
    target = date_codes([row[:n] for row in written], DATE_SIGNS).to(device)
    scores, again = translator(date_codes(texts).to(device), target)
    assert torch.equal(scores.argmax(-1), target)
    if weights is not None:
        torch.testing.assert_close(weights[:, :n], again, rtol=1e-4, atol=1e-6)


def test_the_loss_is_the_mean_over_signs_that_count(translator, device):
    source, target, counts = (
        t.to(device) for t in date_batch(date_pairs(calendar_days(False), 6, 1, seeded()), 4, seeded())
    )
    counts = counts.clone()
    counts[1, 5:] = False
    log_q = torch.log_softmax(translator(source, target)[0], -1)
    nats = [-log_q[b, t, target[b, t]] for b in range(4) for t in range(11) if counts[b, t]]
    torch.testing.assert_close(date_loss(translator, (source, target, counts)), torch.stack(nats).mean())


def test_a_sign_does_not_see_the_signs_behind_it(translator, device):
    source = date_codes(["3 May 2009"]).to(device)
    target = date_codes(["2009-05-03."], DATE_SIGNS).to(device)
    other = target.clone()
    other[0, 6:] = 4
    a, b = (translator(source, t)[0] for t in (target, other))
    assert torch.equal(a[:, :7], b[:, :7]) and not torch.equal(a[:, 7], b[:, 7])


def test_exact_means_every_sign():
    class Parrot:
        def translate(self, texts, longest):
            return [understood(t).isoformat() if k % 4 else "2009-05-0" for k, t in enumerate(texts)], None

    pairs = date_pairs(calendar_days(True), 300, 1, seeded())
    assert exact_share(Parrot(), pairs) == pytest.approx(1 - (63 + 13) / 300)


@pytest.mark.parametrize("name", ["dates", "dates-fixed"])
def test_weights_reproduce_their_card(name, device):
    model = load(name, device)
    check = model.card["check"]
    pairs = date_pairs(calendar_days(True), check["lists"], check["dates"], seeded(check["seed"]))
    with torch.no_grad():
        nats = date_loss(model, date_batch(pairs, check["lists"], seeded())).item()
    assert nats == pytest.approx(check["nats_per_sign"], abs=1e-3)
    assert not model.card["non_commercial"] and model.card["bytes"] < 1_000_000
    share = exact_share(model, date_pairs(calendar_days(True), 300, 1, seeded(77)))
    assert share == pytest.approx(model.card["metric"]["value"], abs=0.06)


def test_trained_attention_crosses_over(device):
    """Each part of the output takes most of its weight from its own token, wherever it stands (within two letters).

    But for the zero before a small day: no letter of the text says it.
    """
    model = load("dates", device)
    signs = {"year": range(0, 4), "month": range(5, 7), "day": range(8, 10)}
    for form in range(len(DATE_FORMS)):
        days = [datetime.date.fromordinal(int(k)) for k in calendar_days(True)[:10]]
        rows = [written_date(day, form) for day in days]
        _, weights = model.translate([text for text, _ in rows])
        for day, (text, spans), w in zip(days, rows, weights.cpu(), strict=True):
            for part, which in signs.items():
                which = range(9, 10) if part == "day" and day.day < 10 else which
                start, end = spans[part]
                share = w[list(which), max(0, start - 2) : min(len(text), end + 2)].sum(1).mean()
                assert share > 0.6, (text, part, share)


# -- the recipe --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_recipe_runs(tmp_path):
    from recipes import attention as recipe

    out = tmp_path / "dates.safetensors"
    assert recipe.main(["fixed", "--steps", "2", "--pool", "20", "--batch", "4", "--out", str(out)]) == 0
    model = load(out)
    assert model.attend is None and model.card["steps"] == 2 and len(model.card["exact_by_length"]) == 6

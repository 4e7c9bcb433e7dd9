"""softattn.proofreading: verdicts against loops and against the reader's own nats; write with a reader that is told."""

import itertools
import math
import pickle
import random
import warnings

import pytest
import torch

import softattn
from softattn import proofreading, synthesis
from softattn.decoding import edit_distance
from softattn.pen import PRINTABLE, EmbeddedWriter
from softattn.proofreading import (
    ALIKE,
    Proof,
    Proofreader,
    Verdict,
    compared,
    folded,
    laid_beside,
    proofread,
    same_sign,
)
from softattn.reading import HandwritingReader, Reading, ctc_nats
from softattn.strokes import Strokes
from softattn.synthesis import Draft, Faults, HandwritingSynthesizer, WritingError, sample_lines

MEAN, STD = (8.25, 0.12), (42.5, 37.3)


def network(seed=5, hidden=16) -> HandwritingSynthesizer:
    """A small writer that has learned nothing, with a quick window."""
    torch.manual_seed(seed)
    model = HandwritingSynthesizer(hidden, 2, 3, 4, MEAN, STD)
    with torch.no_grad():
        model.output.weight.normal_(0, 0.3)
        model.first.window.bias[6:] += 1.5
    return model.eval()


def small_reader(alphabet=PRINTABLE, seed=3) -> HandwritingReader:
    torch.manual_seed(seed)
    return HandwritingReader(6, 1, alphabet).eval()


# -- signs that look alike ---------------------------------------------------------------------------------------------


def test_groups_are_apart_and_their_signs_become_one():
    signs = "".join(ALIKE)
    assert len(set(signs)) == len(signs) and set(signs) <= set(PRINTABLE)
    assert same_sign("OlI 0x1") == same_sign("0Il OXl") and same_sign("mnad e") == "mnad e"
    for group in ALIKE:
        assert len({same_sign(c) for c in group}) == 1


def test_votes_are_added_sign_by_sign():
    log_p = torch.log_softmax(3 * torch.randn(7, 96, generator=torch.Generator().manual_seed(1)), 1)
    votes, to = folded(log_p, PRINTABLE)
    assert to[0] == 0 and votes.dtype == torch.float64
    for t, k in itertools.product(range(7), range(votes.shape[1])):
        total = sum(math.exp(log_p[t, o].item()) for o in range(96) if to[o] == k)
        assert math.exp(votes[t, k].item()) == pytest.approx(total, rel=1e-5)
    one = {same_sign(c): to[1 + n].item() for n, c in enumerate(PRINTABLE)}
    assert len(set(one.values())) == len(one) == votes.shape[1] - 1
    impossible = folded(torch.tensor([[0.0, -math.inf, -math.inf]]), "0O")[0]
    assert impossible[0, 0] == 0 and impossible[0, 1].isfinite(), "a probability of 0 has a logarithm all the same"


# -- two texts side by side --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_the_alignment_is_one_of_fewest_edits(seed):
    rng = random.Random(seed)
    for _ in range(40):
        a, b = ("".join(rng.choices("abc ", k=rng.randrange(8))) for _ in "ab")
        pairs = laid_beside(a, b)
        assert [i for i, _ in pairs if i >= 0] == list(range(len(a)))
        assert [j for _, j in pairs if j >= 0] == list(range(len(b)))
        wrong = sum(i < 0 or j < 0 or a[i] != b[j] for i, j in pairs)
        assert wrong == edit_distance(a, b)


def test_what_was_read_is_told_in_the_texts_own_signs():
    assert compared("O hello", "0 hcllo") == ("O hcllo", ((3, "e", "c"),))
    assert compared("Ill", "lIl") == ("Ill", ())
    assert compared("cat", "catl") == ("catl", ((3, "", "l"),))
    assert compared("cat", "") == ("", ((0, "c", ""), (1, "a", ""), (2, "t", "")))
    assert compared("", "x") == ("x", ((0, "", "x"),))


def proof(text="hello", read="hello", excess=0.0, limit=10.0, nats=1.0) -> Proof:
    shown, doubts = compared(text, read)
    return Proof(text, shown, len(doubts), nats, excess, limit, 0.9, doubts)


def test_a_proof_in_words():
    assert str(proof()) == "nothing is in doubt" and proof().ok
    assert str(proof(read="hellc")) == "'o' (character 4) reads as 'c'"
    assert str(proof(read="hell")) == "'o' (character 4) is missing"
    assert str(proof(read="hellox")) == "'x' stands before character 5"
    assert str(proof(read="", text="abcdefg")).endswith("'e' (character 4) is missing, ...")
    assert proof(read="hellc", excess=9.9).ok and not proof(read="hellc", excess=10.1).ok
    assert proof(excess=99.0).ok, "what reads as its text may pass"
    assert not proof(read="hell", excess=math.inf).ok


# -- a line and its text -----------------------------------------------------------------------------------------------


def test_nats_and_excess_are_those_of_the_added_votes():
    reader = small_reader()
    for text in ("Oil 0x", "mind", "i"):
        line = EmbeddedWriter(2).write(text)
        (got,) = proofread([line], reader)
        x = reader.tokens(line).x
        with torch.no_grad():
            log_p = reader(x[:, None], torch.tensor([len(x)]))[:, 0]
        votes, to = folded(log_p, PRINTABLE)
        asked, seen = (
            ctc_nats(votes, to[torch.tensor([1 + PRINTABLE.index(c) for c in s]).long()]) for s in (text, got.read)
        )
        assert got.nats == pytest.approx(asked.item(), abs=1e-9)
        assert got.excess == pytest.approx((asked - seen).item(), abs=1e-9)
        assert got.confidence == pytest.approx(math.exp(-seen.item() / (len(got.read) + 1)))
        assert got.errors == edit_distance(same_sign(text), same_sign(got.read)) == len(got.doubts)


def test_without_signs_alike_they_are_the_readers_own():
    reader = small_reader("abmn ")
    lines = [EmbeddedWriter(k).write("man nab") for k in range(3)]
    wanted = reader.nats(lines, ["man nab"] * 3)
    assert torch.allclose(torch.tensor([p.nats for p in proofread(lines, reader)]).double(), wanted, atol=1e-5)


def test_a_verdict_does_not_depend_on_the_company_to_the_last_bit():
    reader = small_reader()
    lines = [EmbeddedWriter(k).write("one line" * (1 + k % 3)) for k in range(5)]
    alone = [proofread([line], reader)[0] for line in lines]
    assert proofread(lines[::-1], reader)[::-1] == alone


def test_the_limit_is_the_cards():
    reader, line = small_reader(), EmbeddedWriter(1).write("four")
    (got,) = proofread([line], reader)
    sure, (base, letter, nat, most) = got.nats - got.excess, proofreading.LIMIT
    assert got.limit == pytest.approx(base + 4 * letter + nat * min(sure, most * 4))
    reader.card = {"proof": {"limit": [3.0, 0.5, 0.0, 1.0]}}
    assert proofread([line], reader)[0].limit == 5.0
    reader.card = {"proof": {"limit": [0.0, 0.0, 1.0, 1e6]}}
    assert proofread([line], reader)[0].limit == pytest.approx(sure)
    reader.card = {"proof": {"limit": [0.0, 0.0, 2.0, 0.01]}}
    assert proofread([line], reader)[0].limit == pytest.approx(0.08), "no more than that for what is scribble"


def test_a_reader_keeps_its_mode():
    reader = small_reader().train()
    reader.dropout = 0.5
    line = EmbeddedWriter(1).write("mode")
    assert proofread([line], reader) == proofread([line], reader) and reader.training


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (lambda: Strokes([[0, 0, 1]], "a"), "give a list of Strokes"),
        (lambda: [Strokes([[0, 0, 1]])], "line 0 has no text"),
        (lambda: [Strokes([[0, 0, 1]], "a"), Strokes([[0, 0, 1]], "é")], "not in the reader's alphabet"),
        (lambda: [3], "lines hold a int"),
        (lambda: [], "no line came"),
    ],
)
def test_proofread_refuses(lines, words):
    with pytest.raises((TypeError, ValueError), match=words):
        proofread(lines(), small_reader())
    with pytest.raises(TypeError, match="reader is .*expected a HandwritingReader"):
        proofread([Strokes([[0, 0, 1]], "a")], 3)


def test_ink_of_hardly_anything_gets_a_verdict():
    for offsets in ([[0, 0, 1]], [[0, 0, 0], [0, 0, 1]], [[0, 0, 1]] * 3, [[0, 0, 0], [1e30, 1, 1]]):
        (got,) = proofread([Strokes(offsets, "a whole line")], small_reader())
        assert not got.ok and 0 <= got.confidence <= 1


# -- rows of dots: strokes are looked at and counted ----------------------------------------------------------------


def row(text, asked=None, seed=0, **hand) -> Strokes:
    """Made ink of a text, held to be another one."""
    return Strokes(EmbeddedWriter(1000 + seed, **hand).write(text).offsets, asked or text)


@pytest.mark.parametrize("text", ["..", "....", "........", ". . .", "... ... ..", ". .."])
def test_a_row_of_dots_passes_though_the_reader_reads_no_dots(text):
    proofs = proofread([row(text, seed=k) for k in range(20)], small_reader())
    good = [p for p in proofs if p.ok]
    assert len(good) >= 18
    assert all((p.read, p.errors, p.excess, p.confidence) == (text, 0, 0.0, 1.0) for p in good)


@pytest.mark.parametrize("wrong", list("arcelnow1W,-:i!"))
@pytest.mark.parametrize("text", ["...", ".....", ". . . ."])
def test_one_sign_for_a_dot_is_told(text, wrong):
    if wrong == "," and " " in text:
        return  # beside so wide a way a comma is as small as a dot
    lines, dots = [], [k for k, c in enumerate(text) if c == "."]
    for k in range(12):
        place = dots[k % len(dots)]
        lines.append(row(text[:place] + wrong + text[place + 1 :], text, k))
    if wrong not in ",-":  # short strokes in a row are dots to whoever has nothing else to measure by
        lines += [row(text.replace(".", wrong), text, k) for k in range(4)]
    for p in proofread(lines, small_reader()):
        assert not p.ok and p.errors > 0 and p.doubts and p.confidence == 0.0


def test_dots_are_counted_in_any_unit_and_on_a_slope():
    good = 0
    for seed in range(8):
        line = row("....", seed=seed, slope=0.1)
        big = Strokes(line.offsets * torch.tensor([1e3, 1e3, 1.0]), line.text)
        assert proofreading.are_dots(line) == proofreading.are_dots(big)
        if not all(proofreading.are_dots(line)):
            continue
        good += 1
        for text, shown in (("...", "...."), (".....", "....")):
            told = proofreading.row_of_dots(Strokes(line.offsets, text), {})
            assert told == shown and compared(text, told)[1], "one too many, one too few"
    assert good >= 6


@pytest.mark.parametrize(("rise", "fits"), [(0.0, True), (0.6, True), (-0.6, True), (0.7, False), (-0.7, False)])
def test_dots_stand_on_one_level(rise, fits):
    """The second of three dots, 100 apart, stands so much of the way higher or lower than the first."""
    spots = [(0.0, 0.0), (100.0, 100 * rise), (200.0, 100 * rise)]
    ink = [[x + d, y, end] for x, y in spots for d, end in ((0, 0), (4, 1))]
    (got,) = proofread([Strokes.from_absolute(ink, None, "...")], small_reader())
    assert got.ok == fits and (got.read == "...") == fits


def test_what_is_no_dot_bears_the_readers_letter_or_a_question_mark():
    line = row("..o.", "....", 3)
    assert proofreading.row_of_dots(line, {2: "o"}) == "..o." and proofreading.row_of_dots(line, {}) == "..?."
    assert proofreading.row_of_dots(line, {2: ". "}) == "..?.", "the reader may not call it a dot"
    (got,) = proofread([line], softattn.load("reading"))
    assert got.doubts[0][:2] == (2, ".") and not got.ok


def test_what_else_is_asked_for_is_read():
    for text in (".", "a.", "...b", ". ,", "  "):
        assert not proofreading.only_dots(text)
    assert proofreading.only_dots("..") and proofreading.only_dots(". . .")
    (got,) = proofread([row(".")], small_reader())
    assert got.limit > 0, "a dot alone has a limit, as any text"


def test_ink_of_hardly_anything_is_no_row_of_dots():
    for offsets in ([[0, 0, 1]], [[0, 0, 1]] * 3, [[0, 0, 0], [1e30, 1, 1]], [[0, 0, 1], [-9, 0, 1], [-9, 0, 1]]):
        (got,) = proofread([Strokes(offsets, "...")], small_reader())
        assert not got.ok and str(got)
    apart = Strokes([[0, 0, 1], [9, 0, 1], [9, 1, 1]], "...")
    assert proofread([apart], small_reader())[0].ok, "points without any extent"


# -- a line without a text ---------------------------------------------------------------------------------------------


def test_legible_is_what_reaches_the_bar_of_the_card():
    model = HandwritingReader(4, 1)
    assert proofreading.legible(Reading("a", proofreading.LEGIBLE, (0,)), model)
    model.card = {"doubt": {"bar": 0.6}}
    for text, sure, good in (("a", 0.6, True), ("a", 0.59, False), ("", 1.0, False)):
        assert proofreading.legible(Reading(text, sure, (0,) * len(text)), model) is good
    with pytest.raises(TypeError, match="legible: found"):
        proofreading.legible("a", model)
    with pytest.raises(TypeError, match="legible: reader"):
        proofreading.legible(Reading("a", 1.0, (0,)), "reading")


def test_ink_without_letters_stays_below_the_bar():
    model = softattn.load("reading")
    lines = [EmbeddedWriter(40 + k).write("an ordinary line of ink") for k in range(12)]
    over = [Strokes(line.offsets * torch.tensor([1.0, -1.0, 1.0])) for line in lines]
    good, bad = (sum(proofreading.legible(got, model) for got in model.read(some)) for some in (lines, over))
    assert good > 6 and bad <= 1


# -- draw again --------------------------------------------------------------------------------------------------------


def test_a_record_sorts_drafts():
    fine, late = Verdict(Faults(), proof()), Verdict(Faults(ended=False), proof())
    wrong = [Verdict(Faults(), proof(read="hellc", excess=20, nats=n)) for n in (5.0, 9.0)]
    worse = Verdict(Faults(), proof(read="hell", text="hxllo", excess=20, nats=1.0))
    assert fine.ok and not late.ok and not wrong[0].ok
    assert sorted([worse, wrong[1], wrong[0], fine], key=lambda v: v.key) == [fine, *wrong, worse]
    assert str(late) == "the pen ran on behind the text" and "reads as 'c'" in str(wrong[0])


def test_attempts_of_one_round_fit_a_batch():
    tried = [0] * 75 + [1] * 75
    waiting, seen = list(range(1, 149)), []
    while waiting:
        now, waiting = proofreading.next_attempts(waiting, tried)
        assert 0 < len(now) <= synthesis.BATCH
        seen += now
    assert seen == [(i, tried[i]) for i in range(1, 149)], "one draft each, where many wait"


def test_where_few_lines_wait_their_attempts_stand_side_by_side():
    few = list(range(proofreading.FEW))
    now, waiting = proofreading.next_attempts(few, [0] + [2] * len(few))
    assert now == [(0, 0)] + [(i, a) for i in few[1:] for a in (2, 3, 4)] and not waiting
    assert proofreading.next_attempts([3], [9] * 9)[0] == [(3, 9)], "no more than ten in all"


@pytest.fixture
def judged(monkeypatch):
    """write with a small writer, and a reader whose verdict on each attempt is told: verdicts[text][attempt]."""
    verdicts: dict[str, list[str]] = {}
    model, reader, memory = network(), small_reader(), {}

    def draws(model, texts, seeds, bias=0.0, primes=None, **how):
        drafts = sample_lines(model, texts, seeds, bias, primes, **how)
        for draft, seed in zip(drafts, seeds, strict=True):
            memory[draft.strokes.offsets.numpy().tobytes()] = seed // 1_000_003
        return drafts

    def read(reader, line):
        said = verdicts.get(line.text, [line.text])
        attempt = memory[line.offsets.numpy().tobytes()]
        seen = said[min(attempt, len(said) - 1)]  # with a question mark behind it, it may pass; ~: hardly legible
        excess = 5.0 if seen.endswith("?") else 99.0 * (seen.rstrip("~") != line.text)
        nats = 0.001 if seen == line.text else 10.0 - attempt
        return proof(line.text, seen.rstrip("?~"), excess, nats=nats)

    monkeypatch.setattr(proofreading, "sample_lines", draws)
    monkeypatch.setattr(proofreading, "proof_of", read)
    monkeypatch.setattr(proofreading, "faults", lambda draft, by="weights": Faults())
    monkeypatch.setattr(synthesis, "faults", lambda draft, by="weights": Faults())
    monkeypatch.setattr(synthesis, "check_followed", lambda model, prime: None)

    def write(text, seed=3, **how):
        return proofreading.write(text, seed=seed, model=model, reader=reader, **how)

    write.verdicts, write.model = verdicts, model
    return write


def same_ink(one, other):
    return len(one) == len(other) and torch.allclose(one.offsets, other.offsets, atol=0.01)


def attempt_at(model, text, seed, attempt):
    return sample_lines(model, [text], [seed + 1_000_003 * attempt], 0.75)[0].strokes


def test_what_passes_at_once_is_the_ink_that_nobody_read(judged):
    page = judged("ink")
    assert page == softattn.write("ink", seed=3, model=judged.model, check=False)
    assert page == synthesis.write("ink", seed=3, model=judged.model)
    assert (page.reading, page.confidence, page.redraws) == ("ink", 0.9, 0)
    assert '"reading": "ink"' in page.to_json()
    unread = proofreading.write("ink", seed=3, model=judged.model, check=False)
    assert unread.reading is None and "reading" not in unread.to_json()


@pytest.mark.parametrize("attempt", [1, 2, 3, 4, 9])
def test_the_first_that_passes_is_taken(judged, attempt):
    judged.verdicts["ink"] = ["imk"] * attempt + ["ink"]
    page = judged("ink")
    assert same_ink(page, attempt_at(judged.model, "ink", 3, attempt))
    assert page.redraws == attempt and page.reading == "ink"


@pytest.mark.parametrize(
    ("said", "taken", "redraws"),
    [
        (["imk?"], 3, 3),  # the last costs the fewest nats
        (["imk?", "ink"], 1, 1),  # it reads as its text
        (["imk?", "xxx", "ink"], 2, 2),
        (["imk?", "imk", "xxx?"], 0, 3),  # fewer errors than the others that pass
        (["imk", "imk", "xxx?", "imk"], 2, 3),  # one that passes, though others have fewer errors
        (["imk?", "imk", "imk", "imk", "ink"], 0, 3),  # a fifth is not waited for
        (["imk", "imk", "imk", "imk", "imk?", "ink"], 4, 4),  # behind the fourth, the first that passes
        (["ink~"], 3, 3),  # read as its text, but the reader is not sure
        (["ink~", "ink"], 1, 1),
        (["ink~", "imk?", "imk"], 0, 3),
    ],
)
def test_what_merely_passes_stands_up_to_the_next_three(judged, said, taken, redraws):
    judged.verdicts["ink"] = said
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        page = judged("ink")
    assert same_ink(page, attempt_at(judged.model, "ink", 3, taken)) and page.redraws == redraws


def test_a_doubtful_draft_is_drawn_again_unless_it_is_a_row_of_dots(judged):
    for text in ("s", "s" * 40, "....", ". ."):
        judged.verdicts[text] = [text + "~", text]
        assert judged(text).redraws == ("s" in text), text


@pytest.mark.parametrize(("length", "nats"), [(1, 0.02), (16, 0.02), (17, 0.04), (46, 0.62)])
def test_a_long_text_may_cost_more_nats(length, nats):
    for cost, sure in ((nats - 1e-6, True), (nats + 1e-6, False)):
        text = "s" * length
        assert Verdict(Faults(), proof(text, text, 0.0, nats=cost)).sure is sure


def test_who_waits_beside_a_line_does_not_change_it(judged):
    """Alone its attempts are drawn three abreast, among many one by one; the same are looked at."""
    judged.verdicts["ink"] = ["imk", "imk?", "imk", "imk"]
    crowd = [f"ink{chr(97 + k)}" for k in range(12)]
    judged.verdicts |= {text: ["no"] * 3 + [text] for text in crowd}
    alone = judged("ink")
    page = judged(["ink", *crowd])[0]
    assert page == alone and page.redraws == 3
    judged.verdicts["ink"] = ["imk"] * 4 + ["ink?", "ink"]
    assert judged("ink") == judged(["ink", *crowd])[0]


def test_of_ten_that_fail_the_best_is_kept_and_the_letters_in_doubt_are_named(judged):
    judged.verdicts["ink"] = ["xxx", "imk", "iik", "xxx"]  # two with one error; the later costs fewer nats
    with pytest.warns(UserWarning, match=r"^write: after 10 attempts there are doubts in 'ink': 'n' \(character 1\)"):
        page = judged("ink")
    assert same_ink(page, attempt_at(judged.model, "ink", 3, 2))
    assert page.reading == "iik" and page.redraws == 9
    words = r"10 attempts at 'ink' failed, in the best of them 'n' \(character 1\)"
    with pytest.raises(WritingError, match=words) as error:
        judged("ink", strict=True)
    assert same_ink(page, error.value.best.strokes)
    assert pickle.loads(pickle.dumps(error.value)).text == "ink"


def test_many_doubts_take_one_sentence(judged):
    judged.verdicts |= {text: ["no"] for text in ("ink", "pen", "oak", "ash", "elm")}
    with pytest.warns(UserWarning) as found:
        judged(["ink", "pen", "oak", "ash", "elm", "fir"])
    (one,) = found
    assert "; and 2 more" in str(one.message) and one.filename == __file__


@pytest.mark.parametrize("count", [0, 1, 3, 5])
def test_three_doubts_are_told_and_the_others_counted(count):
    many = Proofreader(None, False)
    many.doubts += [Verdict(Faults(), proof(f"pen {n}", f"pan {n}", 99.0)) for n in range(count)]
    told = many.warning()
    assert [f"'pen {n}': 'e' (character 1) reads as 'a'" in told for n in range(count)] == [n < 3 for n in range(count)]
    assert ("; and" in told, bool(told)) == (count == 5, count > 0)


def test_the_window_still_has_a_say(judged, monkeypatch):
    seen = []

    def fussy(draft, by="weights"):
        seen.append(draft)
        return Faults(ended=len(seen) > 2)

    monkeypatch.setattr(proofreading, "faults", fussy)
    page = judged("ink")
    assert page.redraws == 2 and len(seen) == 3


def test_who_stands_beside_a_line_does_not_matter(judged):
    texts = ["ink", "a pen", "paper and pens", "oak"] * 3
    judged.verdicts |= {"ink": ["x", "ink"], "oak": ["x"] * 5 + ["oak"], "a pen": ["x"] * 2 + ["a pen"]}
    many = judged(texts, seed=50)
    for n, page in enumerate(many):
        alone = judged(texts[n], seed=50 + n)
        assert alone == page and alone.redraws == page.redraws and alone.reading == page.reading


def test_each_line_of_a_page_is_read(judged):
    judged.verdicts["and ink"] = ["and ink"]
    page = judged("a pen\n\nand ink", columns=8)
    assert page.reading == "a pen\nand ink" and len(page.windows) == 2


def test_nothing_global_is_touched(judged):
    torch.manual_seed(1)
    before, modes = torch.get_rng_state(), judged.model.train()
    filters = list(warnings.filters)
    judged("ink")
    assert torch.equal(before, torch.get_rng_state()) and modes.training and warnings.filters == filters


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"check": 1}, "check is 1, strict False; expected True or False"),
        ({"strict": None}, "expected True or False"),
        ({"check": False, "strict": True}, "strict and reader need check=True"),
        ({"check": False, "reader": "reading"}, "strict and reader need check=True"),
        ({"reader": 3}, "write: reader is 3, expected a HandwritingReader"),
        ({"reader": "none"}, "there are no weights 'none'"),
    ],
)
def test_write_refuses(how, words):
    with pytest.raises((TypeError, ValueError), match=words):
        proofreading.write("ink", seed=1, model=network(), **how)


def test_the_reader_has_terms_like_the_writers(monkeypatch):
    asked = []
    monkeypatch.setattr("softattn.hub.load", lambda name: asked.append(name) or small_reader())
    monkeypatch.setattr("softattn.hub.weights", lambda: {"reading": {}, "reading-free": {}})
    model = network()
    proofreading.choose_reader("write", None, model)
    for terms in (True, False):
        model.card = {"non_commercial": terms}
        proofreading.choose_reader("write", None, model)
    monkeypatch.setattr("softattn.hub.weights", lambda: {"reading": {}})
    proofreading.choose_reader("write", None, model)
    assert asked == ["reading", "reading", "reading-free", "reading"], "the last: no free one is there"
    assert isinstance(Proofreader(None, False).doubts, list) and Draft(*[None] * 3).reading is None

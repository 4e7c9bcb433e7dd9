"""The questions of the inventory and of the prerequisites: held by the book, not to be guessed, marked right."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
import torch

from tools import questions, toc

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(params=questions.BANKS)
def bank(request):
    return questions.load(request.param)


@pytest.fixture
def inventory():
    return questions.load("inventory")


# -- the questions themselves


def test_every_question_stands(bank):
    assert questions.faults(bank) == []


def test_the_inventory_has_five_questions_a_part_in_two_forms_and_three_named_ideas_each(inventory):
    assert Counter(question.part for question in inventory.questions) == dict.fromkeys(inventory.parts, 5)
    assert len(inventory.parts) == 8 and inventory.forms == "AB"
    page = (ROOT / "book" / "inventory.md").read_text(encoding="utf-8")
    assert "\n\nForty questions on" in page and len(inventory.questions) == 40
    for question in inventory.questions:
        for stem, options in question.forms.values():
            assert len({option.misconception for option in options[1:]}) == 3, f"{question.id}: one idea twice"
            assert 30 < len(stem) < 330 and question.note, question.id
    assert all(3 <= len(idea.split()) <= 16 and idea.endswith(".") for idea in inventory.misconceptions.values())


def test_the_forms_are_parallel_and_not_the_same_items_shuffled(inventory):
    """Other words everywhere; in most questions the same ideas tempt, in the others the section is asked otherwise."""
    ideas = lambda form: {option.misconception for option in form.options[1:]}
    shared = 0
    for question in inventory.questions:
        a, b = question.forms["A"], question.forms["B"]
        assert a.stem != b.stem and {o.text for o in a.options} != {o.text for o in b.options}, question.id
        shared += bool(ideas(a) & ideas(b))
    assert shared >= 36


def test_the_parts_of_the_book_that_have_chapters_are_asked_about(inventory):
    asked = {place.split(" / ")[0] for question in inventory.questions for place in (question.cites, *question.also)}
    main = {page.name for page in toc.chapters() if page.part in ("I Attend", "II Predict", "III Write", "IV Draw")}
    assert main <= asked, f"no question is about {sorted(main - asked)}"
    assert asked >= {"lineage", "transformer", "scoreboard", "museum", "errata"}


def test_nobody_gets_far_by_the_wording(inventory):
    """Each way of guessing stays near chance: within 2 standard errors of it, and below 40 % wherever it speaks."""
    for cue in questions.cues(inventory):
        assert not questions.loudest(cue) and (cue.right < 0.4 or cue.spoken < 10), cue
    spoken = [cue for cue in questions.cues(inventory) if cue.spoken >= 20]
    assert sum(cue.right for cue in spoken) / len(spoken) < 0.3


def test_a_guesser_who_has_learned_on_the_other_questions_is_near_chance(inventory):
    """All cues at once, weighed as the answers of the other questions ask for; each question is then guessed."""
    rows, names = [], []
    for question in inventory.questions:
        for stem, options in question.forms.values():
            scores = [[float(x) for x in cue(stem, [o.text for o in options])] for cue in questions.CUES.values()]
            x = torch.tensor(scores).nan_to_num(0.0)  # (cues, 4), the right answer first
            rows.append(((x - x.mean(1, keepdim=True)) / (x.std(1, keepdim=True) + 1e-6)).T)
            names.append(question.id)
    x, right = torch.stack(rows), []
    for name in dict.fromkeys(names):
        mine = torch.tensor([other == name for other in names])
        weight = torch.zeros(x.shape[2])
        for _ in range(40):  # descent on a convex loss
            share = (x[~mine] @ weight).softmax(1)
            weight += 0.3 * ((x[~mine][:, 0] - (share[..., None] * x[~mine]).sum(1)).mean(0) - 0.1 * weight)
        told = x[mine] @ weight
        best = told > told.max(1, keepdim=True).values - 1e-6  # where several are alike, a toss
        right += (best[:, 0] / best.sum(1)).tolist()
    assert not questions.loudest(questions.Cue("all", len(right), sum(right) / len(right))), sum(right)


def test_no_answer_falls_out_by_its_grammar(bank):
    """All four of a form begin alike and end alike, and no article of the stem speaks for one of them."""
    for question in bank.questions:
        for form, (stem, options) in question.forms.items():
            where = f"{question.id}, form {form}"
            texts = [option.text for option in options]
            assert not any(text.endswith((".", ",", ";")) for text in texts), where
            words = [text for text in texts if re.match(r"[A-Za-z][a-z]+ ", text)]
            assert len({text[0].isupper() for text in words}) <= 1, f"{where}: some begin small, some large"
            assert not re.search(r"\b(a|an|the)$", stem), f"{where}: the stem ends in an article"
            assert stem.endswith(("?", "that")) or words == [] or words[0][0].islower() or stem[-1] in ".,", where


def test_a_bank_that_can_be_guessed_is_found_out():
    def question(k):
        options = [
            questions.Option("mostly, and only where the long answer says so"),
            *(questions.Option("no", f"m{n}") for n in "abc"),
        ]
        return questions.Question(
            f"q{k}", "P", "lstm", (), (), (), "b", "", {"A": questions.Form("Why?", tuple(options))}
        )

    bank = questions.Bank("x", "X", {}, tuple(map(question, range(30))))
    loud = {cue.name for cue in questions.cues(bank) if questions.loudest(cue)}
    assert {"the longest", "the most hedged", "least like the others", "the only one of two parts"} <= loud


@pytest.mark.parametrize(
    ("cue", "texts", "best"),
    [
        ("the only one with a number", ["at 3", "early", "late", "in between"], {0}),
        ("the only one with a number", ["early", "at 3", "at 4", "at 5"], {0}),
        ("the only one with a number", ["early", "late", "at 4", "at 5"], {0, 1, 2, 3}),
        ("the only one of two parts", ["up", "down, and faster", "left", "right"], {1}),
        ("the least round number", ["300 nats", "208 nats", "150 nats", "0 nats"], {1}),
        ("the length in the middle", ["a", "abcd", "abcdefg", "abcdefghijk"], {2}),
        ("a number between", ["0.18", "0.90", "0.50", "0.81"], {2, 3}),
        ("a number between", ["4", "1.1", "0", "not a number"], set()),
    ],
)
def test_a_way_of_guessing_finds_what_it_names(cue, texts, best):
    values = questions.CUES[cue]("How?", texts)
    silent = any(value != value for value in values)
    assert (set() if silent else {k for k in range(4) if values[k] == max(values)}) == best


def test_the_right_answers_fall_on_each_letter(bank):
    for form in bank.forms:
        places = [order.index(0) for order in questions.order(bank, form).values()]
        assert max(Counter(places).values()) <= 0.4 * len(places) + 1 and len(set(places)) == 4
        assert all(sorted(order) == [0, 1, 2, 3] for order in questions.order(bank, form).values())


def test_numbers_stand_by_size(inventory):
    for form in "AB":
        for question in inventory.questions:
            texts = [question.forms[form].options[k].text for k in questions.order(inventory, form)[question.id]]
            values = [questions._leading(text) for text in texts]
            if None not in values:
                assert values == sorted(values), question.id
    assert questions._leading("About 1,024") == 1024 and questions._leading("1/16") == 1 / 16
    assert questions._leading("−0.80, and it rises") is None


# -- the tool's judgement on faulty banks


def write(tmp_path, **changes):
    row = {
        "id": "one", "part": "P", "cites": "lstm / Head", "says": ["it holds"], "because": "Why.",
        "A": ["Stem?", "right", ["idea", "x"], ["idea", "y"], ["idea", "z"]],
    } | changes  # fmt: skip
    (tmp_path / "book").mkdir(exist_ok=True)
    (tmp_path / "book/lstm.md").write_text("# L\n\n## Head\n\nSo it holds\nthere.\n\n## Other\n\nElse.\n")
    data = {"title": "T", "misconceptions": {"idea": "An idea."}, "questions": [row]}
    (tmp_path / "book/inventory.yml").write_text(json.dumps(data), encoding="utf-8")
    return questions.load("inventory", tmp_path)


def test_a_good_bank_has_no_faults(tmp_path):
    assert questions.faults(write(tmp_path), tmp_path) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cites": "lstm / Nowhere"}, "no such heading"),
        ({"cites": "nochapter"}, "there is no chapter nochapter"),
        ({"cites": "lstm / Other"}, "does not say 'it holds'"),
        ({"check": ["1 + 1 == 3"]}, "this is not true: 1 + 1 == 3"),
        ({"check": ["nobody(2)"]}, "NameError"),
        ({"says": []}, "neither words of the book nor a sum"),
        ({"A": ["S?", "right", ["idea", "right"], ["idea", "y"], ["idea", "z"]]}, "two answers are the same"),
        ({"A": ["S?", "right", ["other", "x"], ["idea", "y"], ["idea", "z"]]}, "no misconception is named 'other'"),
    ],
)
def test_a_fault_is_found_and_told(tmp_path, changes, message):
    found = questions.faults(write(tmp_path, **changes), tmp_path)
    assert any(message in fault for fault in found), found


def test_an_incomplete_question_is_an_error(tmp_path):
    with pytest.raises(questions.QuestionError, match="'one', form A: three wrong answers are expected"):
        write(tmp_path, A=["S?", "right", ["idea", "x"]])
    with pytest.raises(questions.QuestionError, match="has no because"):
        write(tmp_path, because="")
    with pytest.raises(questions.QuestionError, match="there is no bank book/prerequisites.yml"):
        questions.load("prerequisites", tmp_path)


# -- what a student sees


def test_paper_and_page_do_not_tell(inventory):
    for form in "AB":
        text = questions.paper(inventory, form)
        assert text.count('<ol class="choices">') == 40 and 'class="right"' not in text
        for question in inventory.questions:
            assert question.because not in text and question.note not in text and question.cites not in text
            assert questions.inline(question.forms[form].stem) in text
        for idea, words in inventory.misconceptions.items():
            assert idea not in text and words not in text
    page = questions.page(inventory)
    for question in inventory.questions:
        assert question.because not in page and question.note not in page
        assert (
            questions.inline(question.forms["B"].stem) not in page
            or question.forms["A"].stem == question.forms["B"].stem
        )


def test_the_page_can_tell_after_an_answer(inventory):
    told = questions.told(inventory)
    assert [one["id"] for one in told] == [question.id for question in inventory.questions]
    for one, question in zip(told, inventory.questions, strict=True):
        assert one["ideas"][one["right"]] == "" and sum(not idea for idea in one["ideas"]) == 1
        assert one["because"] == questions.inline(question.because)


def test_the_key_has_all(inventory):
    text = questions.key(inventory)
    for question in inventory.questions:
        assert questions.inline(question.note) in text and questions.inline(question.because) in text
    assert text.count('<li class="right">') == 80


def test_words_of_a_bank_are_text_and_never_markup():
    assert questions.inline("a < b & `c<d`") == "a &lt; b &amp; <code>c&lt;d</code>"


# -- marking


def answers(bank, form, right: bool = True):
    places = questions.order(bank, form)
    place = (lambda q: places[q.id].index(0)) if right else (lambda q: places[q.id].index(1))
    return {str(n): questions.LETTERS[place(q)] for n, q in enumerate(bank.questions, 1)}


def test_all_right_all_wrong_and_empty(inventory):
    for form in "AB":
        rows = [
            {"name": "a"} | answers(inventory, form),
            {"name": "b"} | answers(inventory, form, False),
            {"name": "c", "1": ""},
        ]
        marked = questions.mark(inventory, form, rows)
        assert marked.marks == {"a": 40, "b": 0, "c": 0} and marked.parts["a"] == dict.fromkeys(inventory.parts, 5)
        assert sum(marked.ideas.values()) == 40 and set(marked.right.values()) == {1}
        assert "mean 13.3 of 40; chance alone gives 10.0" in questions.table(inventory, marked)


def test_the_gain_is_what_was_won_of_what_could_be(inventory):
    before = questions.Marked({"a": 10, "b": 20, "gone": 0}, {}, Counter(), {})
    after = questions.Marked({"a": 20, "b": 25, "new": 30}, {}, Counter(), {})
    assert questions.gain(before, after, 30) == pytest.approx((22.5 - 15) / (30 - 15))
    assert questions.gain(before, questions.Marked({}, {}, Counter(), {}), 30) is None


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"name": "a", "41": "a"}, "column '41' names no question"),
        ({"name": "a", "1": "e"}, "question 1: 'e' is none of a, b, c, d"),
        ({"name": "a", "1": "ab"}, "question 1: 'ab' is none of"),
        ({"name": " "}, "empty or stands twice"),
    ],
)
def test_a_wrong_row_is_told(inventory, row, message):
    with pytest.raises(questions.QuestionError, match=re.escape(message)):
        questions.mark(inventory, "A", [row])


def test_the_command_marks_two_files(tmp_path, capsys, inventory):
    for form, name in (("A", "before.csv"), ("B", "after.csv")):
        row = answers(inventory, form, right=form == "B")
        text = ",".join(["name", *row]) + "\r\n" + ",".join(["Q7", *row.values()]) + "\r\n"
        (tmp_path / name).write_text(text, encoding="utf-8-sig")
    assert questions.main(["mark", str(tmp_path / "before.csv"), str(tmp_path / "after.csv")]) == 0
    out = capsys.readouterr().out
    assert "before.csv, form A" in out and "after.csv, form B" in out and "normalised gain: 1.00" in out
    assert questions.main(["mark", str(tmp_path / "none.csv")]) == 1
    assert "cannot be read" in capsys.readouterr().err
    (tmp_path / "bad.csv").write_text("who,1\nx,a\n")
    assert questions.main(["mark", str(tmp_path / "bad.csv")]) == 1
    assert "a first line with the column `name` is expected" in capsys.readouterr().err


def test_forms_and_key_are_written_apart(tmp_path, capsys):
    assert questions.main(["paper", "--html", "--out", str(tmp_path)]) == 0
    assert questions.main(["key", "--html", "--out", str(tmp_path)]) == 0
    found = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.html"))
    assert found == ["inventory-A.html", "inventory-B.html", "inventory-answers.html", "teacher/inventory-key.html"]
    assert "40" in (tmp_path / "inventory-answers.html").read_text() and len(capsys.readouterr().out.splitlines()) == 4


# -- in a browser


@pytest.fixture(scope="module")
def chromium():
    import shutil

    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = playwright.chromium.launch(executable_path=path, args=["--headless", "--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def alone(tmp_path, inventory):
    """The questions on a page of their own, with the site's script and style."""
    (tmp_path / "book").mkdir()
    (tmp_path / "_static").mkdir()
    for name in ("questions.js", "custom.css"):
        (tmp_path / "_static" / name).write_text(
            (ROOT / "book/_static" / name).read_text(encoding="utf-8"), encoding="utf-8"
        )
    body = re.sub(r"(?m)^## (.*)$", r"<h2>\1</h2>", questions.page(inventory))
    page = tmp_path / "book" / "q.html"
    head = '<!DOCTYPE html><html lang="en" data-theme="light"><head><meta charset="utf-8"><title>Q</title>'
    body = f'<body><main class="bd-article"><h1>Q</h1>{body}</main></body></html>'
    page.write_text(f'{head}<link rel="stylesheet" href="../_static/custom.css"></head>{body}', encoding="utf-8")
    return page


@pytest.mark.browser
@pytest.mark.slow
def test_a_student_answers_by_keyboard_and_is_told_why(chromium, alone, inventory):
    tab = chromium.new_page(viewport={"width": 390, "height": 844})
    tab.goto(alone.as_uri())
    first = tab.locator("fieldset.question").first
    assert "0 right of 0 answered; 40 in all" in tab.locator(".score").text_content()
    assert first.get_by_role("button", name="Tell me").is_disabled()
    told = questions.told(inventory)[0]
    first.locator("input").first.focus()
    for _ in range((told["right"] + 1) % 4):
        tab.keyboard.press("ArrowDown")
    if (told["right"] + 1) % 4 == 0:
        tab.keyboard.press("Space")
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    text = first.locator(".told").text_content()
    assert text.startswith(f"No, ({'abcd'[told['right']]}).") and inventory.questions[0].because in text
    assert "The idea behind" in text and first.locator(".where a").is_visible()
    assert first.locator("label.right").count() == first.locator("label.wrong").count() == 1
    assert first.locator("input").first.is_disabled(), "the first answer counts"
    second = tab.locator("fieldset.question").nth(1)
    second.locator("label").nth(questions.told(inventory)[1]["right"]).click()
    second.get_by_role("button", name="Tell me").click()
    assert second.locator(".told").text_content().startswith("Yes.")
    assert "1 right of 2 answered" in tab.locator(".score").text_content()
    tab.reload()
    assert "1 right of 2 answered" in tab.locator(".score").text_content(), "this browser keeps it"
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Save as CSV").click()
    rows = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert rows[0] == '"question","part","answer","right","idea"' and len(rows) == 41
    assert rows[1].split(",")[3] == '"0"' and rows[2].split(",")[3] == '"1"'
    tab.get_by_role("button", name="Forget all answers").click()
    assert "0 right of 0 answered" in tab.locator(".score").text_content()
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    tab.close()


@pytest.mark.browser
@pytest.mark.slow
def test_axe_finds_nothing_and_without_scripts_the_sections_are_named(chromium, alone):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    tab = chromium.new_page()
    tab.goto(alone.as_uri())
    tab.locator("fieldset.question label").first.click()
    tab.get_by_role("button", name="Tell me").first.click()
    found = [v for v in axe.run(tab).response["violations"] if v["impact"] in ("serious", "critical")]
    assert found == [], [(v["id"], v["nodes"][0]["html"][:200]) for v in found]
    tab.close()
    context = chromium.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(alone.as_uri())
    assert tab.locator(".where").first.is_visible()
    context.close()

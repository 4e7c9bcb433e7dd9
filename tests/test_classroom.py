"""Notebooks for a class and its marking: what is written, what hides below a check, what comes back; and nbgrader."""

import ast
import contextlib
import csv
import io
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest

from tools import classroom, exercises, fence, otter, rehearse, run_notebooks, toc
from tools.files import write_text

ROOT = Path(__file__).resolve().parent.parent
HEAD = """---
jupytext: {text_representation: {extension: .md, format_name: myst}}
kernelspec: {display_name: Python 3, language: python, name: python3}
---
# Doubling: a chapter

**Time** 20 minutes.

"""


def code(source: str, tags: str = "", more: str = "") -> str:
    head = f"---\ntags: [{tags}]\n{more}---\n" if tags else ""
    return f"```{{code-cell}} python\n{head}{source}\n```\n\n"


def exercise(label: str, title: str, words: str, cells: str, solution: str) -> str:
    return (
        f"````{{exercise-start}} {title}\n:label: {label}\n````\n{words}\n\n{cells}````{{exercise-end}}\n````\n\n"
        f"````{{solution-start}} {label}\n:class: dropdown\n````\n{solution}\n````{{solution-end}}\n````\n\n"
    )


VALUE = code("twice = None   # a number", "exercise", 'wrong: ["twice = 5", "twice = 20"]\nsays: [even, "twice ten"]\n')
VALUE_CHECK = code(
    'if twice is None:\n    print("not tried yet: write a number")\nelse:\n'
    '    assert twice % 2 == 0, f"{twice} is not even, and a double is"\n'
    '    assert twice == 4, f"{twice} is twice ten, not twice two"\n    print("yes")',
    "check",
)
FUNCTION = code(
    "def double(x):\n    return None   # your code",
    "exercise",
    "wrong:\n  - |\n    def double(x):\n        return x\n  - |\n    def double(x):\n        return x**2\n"
    "says: [given, square]\n",
)
FUNCTION_CHECK = code(
    "import random\n\nrandom.seed(1)\nlist_of = numbers(manual_seed(5))\n"
    'if double(list_of[0]) is None:\n    print("not tried yet: return a number")\nelse:\n    for x in list_of:\n'
    '        assert double(x) != x or x == 0, f"{x} comes back as it was given"\n'
    '        assert double(x) == 2 * x, f"not twice {x}: is it the square?"\n    print("yes")',
    "check",
)
BEFORE = code(
    "def manual_seed(n):\n    return n\n\n\ndef numbers(seed):\n    return [seed + 1, seed + 4, 3 * seed]\n"
) + code("def unused():\n    return 1\n")
CHAPTER = (
    HEAD
    + BEFORE
    + exercise("one-predict", "Predict: twice two", "*Easy, 5 minutes.* What is it?", VALUE + VALUE_CHECK,
               "Four.\n\n" + code("twice = 4", "solution"))
    + exercise("one-implement", "Implement: a double", "*Moderate, 15 minutes.* Write it.", FUNCTION + FUNCTION_CHECK,
               "Add it to itself.\n\n" + code("def double(x):\n    return x + x", "solution"))
    + exercise("one-extend", "Extend: thrice", "*Hard, 30 minutes.* What of three?", "", "Add it once more.\n")
    + "## Further reading\n\nNone.\n"
)  # fmt: skip


@pytest.fixture
def one(tmp_path) -> classroom.Chapter:
    """A small chapter with three exercises."""
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "one.md").write_text(CHAPTER, encoding="utf-8")
    (tmp_path / "book" / "index.md").write_text("# Index\n", encoding="utf-8")
    (tmp_path / "book" / "references.bib").write_text("", encoding="utf-8")
    (tmp_path / "_toc.yml").write_text(
        "format: jb-book\nroot: book/index\nparts:\n  - {caption: I, numbered: true, chapters: [{file: book/one}]}\n",
        encoding="utf-8",
    )
    (tmp_path / "_config.yml").write_text(
        "title: The book\nrepository: {url: https://github.com/ada/softattn, branch: v1}\n"
        "parse: {myst_enable_extensions: [amsmath, colon_fence, deflist, dollarmath, substitution, tasklist]}\n"
        "sphinx: {extra_extensions: [sphinx_exercise]}\n",
        encoding="utf-8",
    )
    (found,) = classroom.chapters(["one"], tmp_path)
    return found


def cells(text: str | None) -> list:
    assert text is not None
    book = nbformat.reads(text, as_version=4)
    nbformat.validate(book)
    return book.cells


def named(text: str | None) -> dict[str, object]:
    return {classroom._id(cell): cell for cell in cells(text) if classroom._id(cell)}


# -- the three notebooks ---------------------------------------------------------------------------------------------


def test_student_notebooks_have_no_solutions_and_names_to_mark_by(one):
    text = classroom.student(one)
    book = cells(text)
    assert "Add it to itself" not in text and "x + x" not in text and "HIDDEN" not in text and "Four." not in text
    assert book[1].source.startswith("#@title Install") and all(not cell.get("outputs") for cell in book)
    assert "def unused" in text  # the whole chapter
    found = named(text)
    assert list(found) == ["one-predict", "one-predict-check", "one-implement", "one-implement-check", "one-extend"]
    assert found["one-predict"].source == "twice = None   # a number"
    assert found["one-extend"].cell_type == "markdown" and found["one-extend"].source == classroom.ANSWER
    assert found["one-implement-check"].metadata.nbgrader.points == 3 == classroom.POINTS["implement"]
    assert not any("wrong" in cell.metadata or "says" in cell.metadata for cell in book)


def test_teacher_notebooks_show_solutions_minutes_and_mistakes_with_what_they_are_told(one):
    told = classroom.messages(one)
    text = classroom.teacher(one, told)
    book = cells(text)
    joined = "\n\n".join(cell.source for cell in book)
    assert "<details>" not in "".join(c.source for c in book if "Solution to" in c.source)
    assert "def double(x):\n    return x + x" in joined and "Four." in joined and "Add it once more." in joined
    assert "Reading takes a new student 20 minutes." in joined and "50 minutes and give 6 points" in joined
    assert "> 20 is twice ten, not twice two" in joined and "> 5 is not even, and a double is" in joined
    assert re.search(r"\| Extend: thrice \| Hard \| 30 \| 2 \| hand \|", joined)
    after = [k for k, cell in enumerate(book) if "Mistakes that come up" in cell.source]
    assert len(after) == 2 and "Solution to" in book[after[0] + 1].source
    assert [c.metadata.get("cellView") for c in book if c.source.startswith("#@title Solution")] == [None, None]
    assert "... even ..." in classroom.teacher(one)  # untold: the chapter's own piece of the message


def test_a_sheet_has_the_exercises_and_only_the_cells_that_they_need(one):
    text = classroom.sheet(one)
    found = named(text)
    assert list(found) == [
        "one-needs-0", "one-needs-1", "one-predict", "one-predict-check", "one-implement", "one-implement-check",
        "one-extend",
    ]  # fmt: skip
    assert "def unused" not in text
    assert found["one-needs-1"].metadata.nbgrader.locked and not found["one-needs-1"].metadata.nbgrader.grade
    assert found["one-predict"].source == ("twice = None   # a number\n### BEGIN SOLUTION\ntwice = 4\n### END SOLUTION")
    check = found["one-implement-check"].source
    visible, _, hidden = check.partition("### BEGIN HIDDEN TESTS")
    assert visible.strip() == "\n\n".join(one.checked["one-implement"].checks)  # as given
    assert hidden.rstrip().endswith("### END HIDDEN TESTS")
    assert found["one-extend"].source == "### BEGIN SOLUTION\nAdd it once more.\n### END SOLUTION"
    assert "6 points in all" in cells(text)[0].source and "*3 points.*" in text and "*1 point.*" in text


# -- hidden tests ----------------------------------------------------------------------------------------------------


def mark(text: str, answers: dict[str, str]) -> dict[str, str]:
    """Run a sheet as a grader does, an answer in place of each named: what each check raises, "" if nothing."""
    space: dict = {"__name__": "__main__"}
    raised = {}
    for cell in cells(text):
        name = classroom._id(cell)
        source = answers.get(name, cell.source)
        if cell.cell_type == "code" and not name.endswith("-needs-0"):
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    exec(source, space)
                raised[name] = ""
            except Exception as err:
                raised[name] = f"{type(err).__name__}: {err}"
    return raised


def test_the_solution_gets_all_marks_and_an_empty_sheet_none(one):
    text = classroom.sheet(one)
    assert set(mark(text, {}).values()) == {""}  # the source holds the solutions
    empty = {label: checked.exercise for label, checked in one.checked.items()}
    raised = mark(text, empty)
    assert (
        raised["one-predict-check"]
        == raised["one-implement-check"]
        == ("AssertionError: not tried yet: no answer, no mark")
    )


def test_each_wrong_answer_loses_its_marks_with_its_message(one):
    text = classroom.sheet(one)
    for label, checked in one.checked.items():
        for wrong, says in zip(checked.wrong, checked.says, strict=True):
            assert says in mark(text, {label: wrong})[f"{label}-check"]


@pytest.mark.parametrize(
    ("label", "answer", "says"),
    [
        # An answer made for the numbers that the check shows.
        ("one-implement", "def double(x):\n    return {6: 12, 9: 18, 15: 30}.get(x, 0)", "with other numbers: "),
        # A check that is made blind.
        ("one-predict", "class Yes(int):\n    __mod__ = lambda s, o: 0\n    __eq__ = lambda s, o: True\n"
         "twice = Yes()", "your answer is a Yes, no plain value"),
        ("one-predict", "twice = float('nan')", "is not even"),
        ("one-implement", "numbers = lambda seed: []\ndef numbers(seed):\n    return [0, 0]\n"
         "def double(x):\n    return 0", "the check lets a wrong answer pass"),
    ],
)  # fmt: skip
def test_an_answer_that_games_the_check_is_noticed(one, label, answer, says):
    assert says in mark(classroom.sheet(one), {label: answer})[f"{label}-check"]


def test_other_numbers_are_the_authors_or_other_seeds(one):
    asked = one.checked["one-implement"]
    assert "manual_seed(1005)" in classroom.other_numbers(asked)
    assert classroom.other_numbers(asked._replace(seeds=False)) == ""
    assert classroom.other_numbers(asked._replace(again="assert double(7) == 14")) == "assert double(7) == 14"
    assert classroom.other_numbers(one.checked["one-predict"]) == ""  # a number is a number
    without = asked._replace(checks=["print('no condition')"])
    with pytest.raises(classroom.ClassroomError, match=r"book/one\.md:\d+: the check of 'one-implement' prints"):
        classroom.untried(without)


CHAPTERS = [page for page in toc.chapters() if page.path.suffix == ".md" and page.path.exists()]
ASKING = [page for page in CHAPTERS if exercises.survey(page.path)]


@pytest.mark.parametrize("page", ASKING, ids=lambda page: page.name)
def test_every_exercise_of_the_book_can_be_marked(page):
    for checked in exercises.find(page.path):
        ast.parse(classroom.hidden(checked))
        ast.parse(classroom.untried(checked))
        if classroom.asks_function(checked) and checked.label.rsplit("-", 1)[-1] in exercises.KINDS:
            assert classroom.other_numbers(checked) or not checked.seeds, (
                f"{checked.place}: a function is asked for and only one set of numbers is tried; give `again:`"
            )
        own = frozenset(classroom._values(checked))
        assert fence.faults("\n".join([checked.exercise, *checked.solutions]), own) == []  # a solution stays inside


def test_a_hidden_test_that_fails_its_author_is_told(one):
    room = exercises.Room(list(one.checked.values()))
    asked = one.checked["one-implement"]
    assert classroom.mark_faults(asked, room) == []
    (told,) = classroom.mark_faults(asked._replace(again="assert double(7) == 15, 'no'"), room)
    assert "'one-implement', solution, is marked 'with other numbers: no'" in told
    told = classroom.mark_faults(asked._replace(again="assert double(0) == 0"), room)
    assert len(told) == 2 and "with other numbers 'def double(x):" in told[0]


# -- what comes back -------------------------------------------------------------------------------------------------


def given(one) -> dict[str, nbformat.NotebookNode]:
    """The sheet as nbgrader hands it out."""
    book = nbformat.reads(classroom.sheet(one), as_version=4)
    for cell in book.cells:
        cell.source = re.sub(r"### BEGIN SOLUTION.*### END SOLUTION", "# your answer", cell.source, flags=re.S)
        cell.source = re.sub(r"### BEGIN HIDDEN TESTS.*### END HIDDEN TESTS", "", cell.source, flags=re.S).strip()
    return {"one": book}


def known(one) -> dict[str, set[str]]:
    return {"one": {c.source for c in cells(classroom.student(one)) if not classroom._told(c).get("solution")}}


def answered(text: str) -> nbformat.NotebookNode:
    """A whole chapter with an answer to each exercise and a helper of the student's own."""
    book = nbformat.reads(text, as_version=4)
    for cell in book.cells:
        if classroom._id(cell) == "one-predict":
            cell.source = "twice = 4"
        if classroom._id(cell) == "one-implement":
            cell.source = "def double(x):\n    return help_me(x)"
        if classroom._id(cell) == "one-extend":
            cell.source = "Three is *two* and one."
    at = next(k for k, cell in enumerate(book.cells) if classroom._id(cell) == "one-implement")
    book.cells.insert(at, nbformat.v4.new_code_cell("def help_me(x):\n    return 2 * x"))
    return book


def colab(book: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """A notebook as Colab saves it: version 4.0, ids and outputs among the metadata."""
    made = json.loads(nbformat.writes(book))
    made["nbformat_minor"] = 0
    made["metadata"]["colab"] = {"provenance": [], "toc_visible": True}
    made["metadata"]["accelerator"] = "GPU"
    for k, cell in enumerate(made["cells"]):
        cell.pop("id", None)
        cell["metadata"]["id"] = f"aB{k}"
        if cell["cell_type"] == "code":
            cell["metadata"]["outputId"] = "x"
            cell["metadata"]["colab"] = {"base_uri": "https://localhost:8080/"}
            cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["yes\n"]}]
            cell["execution_count"] = k
    return nbformat.reads(json.dumps(made), as_version=4)


def old(book: nbformat.NotebookNode) -> str:
    """A notebook of version 3."""
    from nbformat import v3

    return v3.writes_json(nbformat.convert(nbformat.reads(nbformat.writes(book), as_version=4), 3))


def bare(book: nbformat.NotebookNode) -> nbformat.NotebookNode:
    for cell in book.cells:
        cell.metadata = nbformat.NotebookNode()
    return book


@pytest.mark.parametrize("form", ["whole", "colab", "version 3", "without metadata"])
def test_answers_are_found_in_what_comes_back(one, tmp_path, form):
    book = answered(classroom.student(one))
    file = tmp_path / "x.ipynb"
    if form == "version 3":
        file.write_text(old(book), encoding="utf-8")
    else:
        book = {"whole": lambda b: b, "colab": colab, "without metadata": bare}[form](book)
        file.write_text(json.dumps(json.loads(nbformat.writes(book))), encoding="utf-8")
    got = classroom.handed_in(classroom.read_any(file), given(one), known(one))
    assert got.chapter == "one"
    assert got.answers["one-predict"] == "twice = 4"
    assert "def help_me" in got.answers["one-implement"] and "def double" in got.answers["one-implement"]
    if form != "without metadata":
        assert got.answers["one-extend"] == "Three is *two* and one."
    made = classroom.submission(got, given(one)["one"])
    nbformat.validate(made)
    by = {classroom._id(c): c.source for c in made.cells if classroom._id(c)}
    assert by["one-predict"] == "twice = 4" and "def unused" not in "".join(c.source for c in made.cells)
    assert by["one-predict-check"] == {classroom._id(c): c for c in given(one)["one"].cells}["one-predict-check"].source


def test_what_is_missing_or_changed_is_told(one):
    book = answered(classroom.student(one))
    book.cells = [cell for cell in book.cells if classroom._id(cell) not in ("one-predict-check", "one-predict")]
    for cell in book.cells:
        if classroom._id(cell) == "one-implement-check":
            cell.source = "print('yes')"
    got = classroom.handed_in(book, given(one), known(one))
    told = "\n".join(got.notes)
    assert "no answer to `one-predict`" in told and "the check of `one-predict` was missing" in told
    assert "the check of `one-implement` was changed; the book's was used" in told
    made = classroom.submission(got, given(one)["one"])
    assert "was changed" in made.cells[1].source
    assert "print('yes')" not in [c.source for c in made.cells]


@pytest.mark.parametrize(
    ("text", "says"),
    [("{", "is no notebook"), ('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}', "no exercise")],
)
def test_files_that_are_nothing_of_the_kind_are_told(one, tmp_path, text, says):
    file = tmp_path / "ada.ipynb"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(classroom.ClassroomError, match=says):
        classroom.handed_in(classroom.read_any(file), given(one), known(one))


def test_collect_names_students_by_folder_or_file(one, tmp_path, capsys):
    out, came = tmp_path / "class", tmp_path / "came"
    release = out / "course" / "release" / "one"
    release.mkdir(parents=True)
    write_text(release / "one.ipynb", nbformat.writes(given(one)["one"]) + "\n")
    (came / "Ada B").mkdir(parents=True)
    text = nbformat.writes(answered(classroom.student(one)))
    (came / "Ada B" / "copy (2).ipynb").write_text(text, encoding="utf-8")
    (came / "ben-one.ipynb").write_text(text, encoding="utf-8")
    (came / "cy.ipynb").write_text("no", encoding="utf-8")
    taken, refused = classroom.collect(came, out)
    assert len(taken) == 2 and len(refused) == 1 and refused[0].startswith("cy.ipynb: ")
    there = sorted(str(p.relative_to(out / "course" / "submitted")) for p in out.rglob("submitted/*/*/*.ipynb"))
    assert there == ["Ada-B/one/one.ipynb", "ben/one/one.ipynb"]
    assert classroom.main(["collect", str(came), "--out", str(out)]) == 1  # one was refused
    said = capsys.readouterr()
    assert "NOT taken: cy.ipynb" in said.err and "ben, one, 3 of 3 exercises answered" in said.out
    (came / "di-one.ipynb").write_text(classroom.student(one), encoding="utf-8")
    lines = classroom.collect(came, out)[0]
    assert any("di, one, 0 of 3 exercises answered" in line for line in lines), lines
    with pytest.raises(classroom.ClassroomError, match="make classroom"):
        classroom.collect(came, tmp_path / "nothing")


def test_a_folder_that_is_not_there_or_empty_stops_the_marking(tmp_path, capsys):
    release = tmp_path / "class" / "course" / "release" / "one"
    release.mkdir(parents=True)
    write_text(release / "one.ipynb", nbformat.writes(nbformat.v4.new_notebook()) + "\n")
    (tmp_path / "empty").mkdir()
    for folder, says in ((tmp_path / "typo", "no such folder"), (tmp_path / "empty", "no notebook in it")):
        assert classroom.main(["collect", str(folder), "--out", str(tmp_path / "class")]) == 2
        assert says in capsys.readouterr().err


def test_the_package_is_packed_anew_only_when_it_has_changed(tmp_path):
    for name in run_notebooks.SOURCES:
        (tmp_path / name).write_text("", encoding="utf-8")
    (tmp_path / "bench" / "results").mkdir(parents=True)
    module = tmp_path / "softattn" / "one.py"
    module.parent.mkdir()
    module.write_text("x = 1\n", encoding="utf-8")
    first = run_notebooks.digest(tmp_path)
    (tmp_path / "softattn" / "__pycache__").mkdir()
    (tmp_path / "softattn" / "__pycache__" / "one.pyc").write_bytes(b"1")
    assert run_notebooks.digest(tmp_path) == first
    module.write_text("x = 2\n", encoding="utf-8")
    assert run_notebooks.digest(tmp_path) != first


# -- the fence -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import os", "line 1: it imports os"),
        ("x = 1\nfrom pathlib import Path", "line 2: it imports pathlib"),
        ("import torch.multiprocessing", "imports torch.multiprocessing"),
        ("from torch import hub", "imports torch"),
        ("open('source/lstm.ipynb').read()", "it uses open"),
        ("eval('1')", "it uses eval"),
        ("__import__('os')", "it uses __import__"),
        ("globals()['x'] = 1", "it uses globals"),
        ("().__class__.__base__", "it uses __base__"),
        ("print(__builtins__)", "it uses __builtins__"),
        ("torch.load('x')", "reads and writes no files"),
        ("x.tofile('y')", "reads and writes no files"),
        ("torch.allclose = lambda *a, **k: True", "it changes torch.allclose, which the checks stand on"),
        ("torch.nn.functional.relu = None", "it changes torch.nn.functional.relu"),
        ("abs = lambda x: 0", "Python's own name 'abs'"),
        ("def print(*a): pass", "Python's own name 'print'"),
        ("for max in [1]: pass", "Python's own name 'max'"),
        ("import math as sum", "Python's own name 'sum'"),
        ("!cat ../source/lstm.ipynb", "a command to the notebook or the machine"),
        ("%load answers.py", "a command to the notebook or the machine"),
    ],
)
def test_what_an_answer_may_not_do(source, says):
    assert says in "\n".join(fence.faults(source))


@pytest.mark.parametrize(
    "source",
    [
        "import numpy as np\nfrom torch import nn\nimport torch.nn.functional as F",
        "%matplotlib inline\nx = 1",
        "model.read = read\ndel model.read",
        "class Own(nn.Module):\n    def __init__(self):\n        super().__init__()",
        "def f(x):\n    sum = 0\n    return [max for max in x]",
        "reader = softattn.load('reading')",
        "torch.manual_seed(1); model.load_state_dict({})",
        "def broken(:",
    ],
)
def test_what_an_answer_may_do(source):
    assert fence.faults(source) == []


def test_an_exercise_may_ask_for_a_name_of_pythons_own():
    assert fence.faults("input = 3", frozenset({"input"})) == []


# -- a rehearsal ----------------------------------------------------------------------------------------------------


def rehearsed(one, out: Path, says: dict[str, str], raised: dict[str, str]) -> list[dict]:
    """Feedback, marked sheets and marks of a made-up class, as if nbgrader had written them."""
    rows = []
    for who, answers in rehearse.submissions(one).items():
        for label, checked in one.checked.items():
            full = answers.get(label) == "\n".join([checked.exercise, *checked.solutions])
            rows.append({"student": who, "exercise": label, "points": 3 if full else 0, "of": 3})
        page = out / "course" / "feedback" / who / one.name / f"{one.name}.html"
        page.parent.mkdir(parents=True)
        page.write_text(f"<pre>{says.get(who, '')}</pre>", encoding="utf-8")
        marked = out / "course" / "autograded" / who / one.name / f"{one.name}.ipynb"
        marked.parent.mkdir(parents=True)
        cell = nbformat.v4.new_code_cell("x", metadata=classroom._named("one-predict-check", grade=True))
        if who in raised:
            cell.outputs = [nbformat.v4.new_output("error", ename="E", evalue=raised[who], traceback=[])]
        nbformat.write(nbformat.v4.new_notebook(cells=[cell]), marked)
    return rows


def test_a_rehearsal_hands_in_the_solutions_nothing_and_each_wrong_answer(one):
    handed = rehearse.submissions(one)
    assert list(handed) == ["right", "empty", "wrong-1", "wrong-2"] and handed["empty"] == {}
    assert handed["wrong-2"]["one-predict"] == "twice = 20" and handed["right"]["one-predict"].endswith("twice = 4")


def test_five_made_up_students_hand_in_for_a_first_try(one, tmp_path):
    out, came = tmp_path / "class", tmp_path / "came"
    with pytest.raises(classroom.ClassroomError, match="make classroom"):
        rehearse.hand_in_made_up(one, out, came)
    release = out / "course" / "release" / "one"
    release.mkdir(parents=True)
    write_text(release / "one.ipynb", nbformat.writes(given(one)["one"]) + "\n")
    written = rehearse.hand_in_made_up(one, out, came)
    assert [path.parent.name for path in written] == ["right", "empty", "wrong", "cheat", "endless"]
    taken, refused = classroom.collect(came, out)
    assert not refused and len(taken) == 5
    (cheat,) = [line for line in taken if line.startswith("cheat")]
    assert "the check of `one-predict` was missing" in cheat
    assert any("0 of 3 exercises answered" in line for line in taken if line.startswith("empty"))
    sources = {
        who: {classroom._id(c): c.source for c in nbformat.read(came / who / "one.ipynb", as_version=4).cells}
        for who in ("right", "wrong", "cheat", "endless")
    }
    assert sources["wrong"]["one-predict"] == "twice = 5" and sources["right"]["one-predict"].endswith("twice = 4")
    assert "it uses open" in "\n".join(fence.faults(sources["cheat"]["one-implement"]))
    assert "while True" in sources["endless"]["one-implement"]


WORDS = {
    "wrong-1": "5 is not even, and comes <b>back</b> as it was given",
    "wrong-2": "twice ten, is it the\n square?",
}


@pytest.mark.parametrize(
    ("says", "raised", "wrong_points", "found"),
    [
        (WORDS, {"empty": "not tried yet: no answer"}, None, []),
        (WORDS | {"wrong-1": "5 is not even"}, {}, None, ["does not say 'given'"]),
        (WORDS, {"empty": "name 'x' is not defined"}, None, ["empty: one-predict-check raises E: name 'x'"]),
        (WORDS, {"right": "not tried yet"}, None, ["right: one-predict-check raises"]),
        (WORDS, {}, ("right", "one-implement", 2), ["right: one-implement has 2 of 3 points"]),
        (WORDS, {}, ("wrong-2", "one-predict", 3), ["wrong-2: one-predict has 3 of 3 points"]),
    ],
)
def test_a_rehearsal_tells_what_is_not_as_it_should_be(one, tmp_path, says, raised, wrong_points, found):
    rows = rehearsed(one, tmp_path, says, raised)
    for row in rows:
        if wrong_points and (row["student"], row["exercise"]) == wrong_points[:2]:
            row["points"] = wrong_points[2]
    told = rehearse.judge(one, rows, tmp_path)
    assert len(told) == len(found) and all(piece in line for piece, line in zip(found, told, strict=True)), told


# -- Otter -----------------------------------------------------------------------------------------------------------


def judged(one, label: str, answer: str) -> list[str]:
    """What the shown and the hidden test of Otter raise, once the other cells of the master and an answer have run."""
    space: dict = {"__name__": "__main__"}
    raised, current = [], ""
    for cell in cells(otter.master(one)):
        if cell.cell_type == "raw" and cell.source.startswith("# BEGIN QUESTION"):
            current = re.search(r"name: (\w+)", cell.source)[1]
        if cell.cell_type != "code" or cell.source.startswith("#@title Install"):
            continue
        mine, test = current == otter.question(label), re.search(r"def (test_\w+)", cell.source)
        if test and mine:
            exec(cell.source, known := {})  # a test file knows nothing of the notebook
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    known[test[1]](dict(space))
                raised.append("")
            except Exception as err:
                raised.append(str(err))
        elif not test:
            exec(answer if mine and "BEGIN PROMPT" in cell.source else cell.source, space)
    return raised


def test_otter_marks_as_nbgrader_does(one):
    for label, checked in one.checked.items():
        assert judged(one, label, "\n".join(checked.solutions)) == ["", ""]
        shown, hidden = judged(one, label, checked.exercise)
        assert shown.startswith("not tried yet: ") and hidden == "not tried yet: no answer, no mark"
        for wrong, says in zip(checked.wrong, checked.says, strict=True):
            shown, hidden = judged(one, label, wrong)
            assert says in shown and says in hidden
    memory = "def double(x):\n    return {6: 12, 9: 18, 15: 30}.get(x, 0)"
    assert judged(one, "one-implement", memory)[1].startswith("with other numbers")


def test_otters_master_has_its_marks_in_pairs_and_hides_the_solution(one, tmp_path, capsys):
    book = cells(otter.master(one))
    raw = [cell.source for cell in book if cell.cell_type == "raw"]
    for word in ("QUESTION", "SOLUTION", "TESTS"):
        assert sum(f"BEGIN {word}" in text for text in raw) == sum(f"END {word}" in text for text in raw) > 1
    assert "name: one_extend\npoints: 2\nmanual: true" in "".join(raw) and "ok_format: false" in raw[0]
    asks = next(cell.source for cell in book if "BEGIN PROMPT" in cell.source and "double" in cell.source)
    prompt, _, rest = asks.partition("# BEGIN SOLUTION NO PROMPT")
    assert one.checked["one-implement"].exercise in prompt and "x + x" not in prompt and "x + x" in rest
    assert sum("hidden: true" in cell.source for cell in book) == 2
    assert not any("nbgrader" in cell.metadata for cell in book)
    assert otter.main(["nowhere", "--out", str(tmp_path)]) == 1 and "nowhere" in capsys.readouterr().err


# -- Otter itself ----------------------------------------------------------------------------------------------------


def _otter() -> Path | None:
    """The program: $OTTER, or the one on the path; None if there is none."""
    found = os.environ.get("OTTER") or shutil.which("otter")
    return Path(found) if found else None


OTTER = _otter()


@pytest.mark.slow
@pytest.mark.skipif(
    OTTER is None, reason="Otter is not installed: put otter-grader into an environment, name it by OTTER"
)
def test_a_sheet_is_marked_by_otter(one, tmp_path):
    """Right, empty, one wrong answer, numbers by heart: what Otter itself makes of each."""
    write_text(tmp_path / "one.ipynb", otter.master(one))

    def call(*words: str) -> None:
        done = subprocess.run([str(OTTER), *words], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]

    call("assign", "--no-pdfs", "one.ipynb", "dist")  # it marks the solutions once: all tests must pass
    (archive,) = (tmp_path / "dist" / "autograder").glob("*.zip")
    given = (tmp_path / "dist" / "student" / "one.ipynb").read_text(encoding="utf-8")
    assert "x + x" not in given and "not tried yet: no answer, no mark" not in given
    right = {label: "\n".join(checked.solutions) for label, checked in one.checked.items()}
    wrong = right | {"one-implement": one.checked["one-implement"].wrong[0]}
    memory = right | {"one-implement": "def double(x):\n    return {6: 12, 9: 18, 15: 30}.get(x, 0)"}
    for who, answers, marks, told in (
        ("right", right, (1, 3), ""),
        ("empty", {}, (0, 0), "not tried yet: "),
        ("wrong", wrong, (1, 0), "comes back as it was given"),
        ("memory", memory, (1, 0), "with other numbers"),
    ):
        book = nbformat.reads(given, as_version=4)
        for label, answer in answers.items():
            (cell,) = [cell for cell in book.cells if cell.source == one.checked[label].exercise]
            cell.source = answer
        nbformat.write(book, tmp_path / f"{who}.ipynb")
        (tmp_path / who).mkdir()
        call("run", "-a", str(archive), "-o", who, f"{who}.ipynb")
        rows = json.loads((tmp_path / who / "results.json").read_text(encoding="utf-8"))["tests"]
        found = {row["name"]: row for row in rows}
        assert (found["one_predict"]["score"], found["one_implement"]["score"]) == marks, who
        assert told in found["one_implement"]["output"] and found["one_implement"]["visibility"] == "hidden", who
        shown = found["Public Tests"]["output"]  # what its author is shown
        assert "with other numbers" not in shown and (told in shown or who == "memory"), who


# -- nbgrader itself -------------------------------------------------------------------------------------------------

NBGRADER = classroom.grader()
needs_nbgrader = pytest.mark.skipif(
    NBGRADER is None, reason="nbgrader is not installed: `make classroom` makes .venv-classroom, where these run"
)


BY_HAND = """
from nbgrader.api import Gradebook
with Gradebook("sqlite:///gradebook.db") as book:
    grade = book.find_grade("one-extend", "one", "one", "right")
    grade.manual_score, grade.needs_manual_grade = 2, False
    book.db.commit()
"""


@pytest.mark.slow
@needs_nbgrader
def test_a_class_is_marked_by_nbgrader(one, tmp_path):
    """Right, empty, each wrong answer, deleted check, forbidden import, endless print: marks and words of each."""
    out = tmp_path / "class"
    course = out / "course"
    (course / "source" / "one").mkdir(parents=True)
    for name in ("nbgrader_config.py", "fence.py"):
        (course / name).write_text((ROOT / "tools" / name).read_text(encoding="utf-8"), encoding="utf-8")
    write_text(course / "source" / "one" / "one.ipynb", classroom.sheet(one))
    assert classroom.release([], out, NBGRADER) == ["one"]
    handed = nbformat.read(course / "release" / "one" / "one.ipynb", as_version=4)
    joined = "\n".join(cell.source for cell in handed.cells)
    assert "x + x" not in joined and "HIDDEN" not in joined and "_trial" not in joined and "Add it once" not in joined

    answers = {
        "right": {"one-predict": "twice = 4", "one-implement": "def double(x):\n    return 2 * x"},
        "empty": {},
        "cheat": {"one-implement": "import os\ndef double(x):\n    return 2 * x", "one-predict": "twice = 4"},
        "prints": {
            "one-predict": "while True:\n    print('on and on')",
            "one-implement": "double = lambda x: 2 * x",
        },
    }
    for label, checked in one.checked.items():
        answers |= {f"wrong-{label}-{k}": {label: wrong} for k, wrong in enumerate(checked.wrong)}
    for who, mine in answers.items():
        book = nbformat.reads(nbformat.writes(handed), as_version=4)
        for cell in book.cells:
            cell.source = mine.get(classroom._id(cell), cell.source)
        place = course / "submitted" / who / "one"
        place.mkdir(parents=True)
        nbformat.write(book, place / "one.ipynb")
    # One deletes a check and the exercise's other cell, straight into nbgrader's folder.
    book = nbformat.reads(nbformat.writes(handed), as_version=4)
    book.cells = [cell for cell in book.cells if classroom._id(cell) != "one-implement-check"]
    (course / "submitted" / "deletes" / "one").mkdir(parents=True)
    nbformat.write(book, course / "submitted" / "deletes" / "one" / "one.ipynb")

    rows = classroom.marks([], out, NBGRADER)
    got = {(row["student"], row["exercise"]): row["points"] for row in rows}
    assert (got["right", "one-predict"], got["right", "one-implement"]) == (1, 3)
    assert not any(points for (who, _), points in got.items() if who in ("empty", "deletes") or "wrong" in who)
    assert (got["cheat", "one-predict"], got["cheat", "one-implement"]) == (1, 0)
    assert (got["prints", "one-predict"], got["prints", "one-implement"]) == (0, 3)
    said = {path.parts[-3]: path.read_text(encoding="utf-8") for path in course.glob("feedback/*/*/*.html")}
    assert set(said) == set(answers) | {"deletes"}
    assert "it imports os" in said["cheat"] and "printed more than" in said["prints"]
    assert "was missing from the submission" in said["deletes"]
    for label, checked in one.checked.items():
        for k, says in enumerate(checked.says):
            assert says in said[f"wrong-{label}-{k}"]
    with (out / "totals.csv").open(encoding="utf-8") as file:
        totals = {row["student"]: row for row in csv.DictReader(file)}
    assert float(totals["right"]["points"]) == 4 and float(totals["right"]["of"]) == 6
    run_notebooks.call([NBGRADER, "-c", BY_HAND], cwd=course)  # as the pages of nbgrader do it
    rows = classroom.tally([], out, NBGRADER)
    got = {(row["student"], row["exercise"]): (row["points"], row["marked"]) for row in rows}
    assert got["right", "one-extend"] == (2, "yes") and got["right", "one-implement"] == (3, "yes")

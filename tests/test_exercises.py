"""Every exercise of the book with every answer its author gives; and the test's own judgement on faulty exercises."""

import re
from pathlib import Path

import pytest

from tools import classroom, exercises, toc
from tools.count import MAIN

ROOT = Path(__file__).resolve().parent.parent

HEAD = """---
jupytext: {text_representation: {extension: .md, format_name: myst}}
kernelspec: {display_name: Python 3, language: python, name: python3}
---
# Title

"""
CHAPTERS = [page for page in toc.chapters() if page.path.suffix == ".md" and page.path.exists()]


@pytest.mark.slow
@pytest.mark.parametrize("page", CHAPTERS, ids=lambda page: page.name)
def test_solutions_pass_and_wrong_answers_get_their_message(page, monkeypatch):
    monkeypatch.delenv("SOFTATTN_DATA", raising=False)
    asked = exercises.find(page.path)
    room = exercises.Room(asked)
    found = [fault for one in asked for fault in [*exercises.faults(one, room), *classroom.mark_faults(one, room)]]
    assert found == [], "\n".join(found)


@pytest.mark.parametrize("page", CHAPTERS, ids=lambda page: page.name)
def test_a_main_chapter_has_an_exercise_of_each_kind(page):
    text = page.path.read_text(encoding="utf-8")
    if not any("export" in cell.tags for cell in toc.read(page.path).cells):
        pytest.skip("the page exports nothing")
    starts = re.findall(r"\{exercise-start\}[^\n]*\n:label: ([\w-]+)", text)
    kinds = sorted(label.rsplit("-", 1)[-1] for label in starts)
    if page.part.startswith((*MAIN, "V ")):
        assert kinds == sorted(exercises.KINDS)
    else:  # the engine room and the toolbox ask where there is something to ask
        assert len(set(kinds)) == len(kinds) and set(kinds) <= set(exercises.KINDS)
    labels = {exercise.label for exercise in exercises.find(page.path)}
    spared = not page.part.startswith(MAIN) and "implement" not in kinds
    assert spared or any(label.endswith("-implement") for label in labels), "the implement exercise checks itself"
    for label in starts:
        assert f"{{solution-start}} {label}\n" in text, f"exercise {label} has no solution"


@pytest.mark.parametrize("page", CHAPTERS, ids=lambda page: page.name)
def test_each_exercise_says_its_level_and_minutes_and_hints_twice(page):
    for task in exercises.survey(page.path):
        assert task.level and 5 <= task.minutes <= 120, f"{task.place}: begin with *Moderate, 15 minutes.*"
        assert tuple(task.hints) == exercises.HINTS, f"{task.place}: hints {task.hints}"
        least = 9 if page.part.startswith((*MAIN, "V ")) else 3
        assert task.words >= least, f"{task.place}: the solution does not explain its code"


@pytest.mark.parametrize("page", CHAPTERS, ids=lambda page: page.name)
def test_a_chapter_of_the_five_parts_has_an_exercise_that_draws(page):
    tasks = exercises.survey(page.path)
    if not page.part.startswith((*MAIN, "V ")) or not tasks:
        pytest.skip("nothing of parts I to V, or no exercises")
    assert any(task.draws for task in tasks)
    assert 45 <= sum(task.minutes for task in tasks) <= 240


def test_the_table_has_a_row_for_each_exercise(capsys):
    assert exercises.main(["--table"]) == 0
    rows = capsys.readouterr().out.splitlines()
    labels = [task.label for page in CHAPTERS for task in exercises.survey(page.path)]
    assert [row.split()[0] for row in rows[1:] if not row.startswith("  ")] == labels
    assert rows[0].split() == ["exercise", "level", "minutes", "hints", "check", "draws", "title"]


def test_what_a_task_says_of_itself(tmp_path):
    path = chapter(tmp_path)
    (task,) = exercises.survey(path)
    assert (task.level, task.minutes, task.hints, task.checked, task.draws, task.words) == ("", 0, [], True, False, 0)
    hint = "```{admonition} First hint\n:class: dropdown\nLook.\n```\n\n"
    text = path.read_text(encoding="utf-8").replace(
        ":label: try\n````\n", f":label: try\n````\n*Hard, 40 minutes.* Do.\n\n{hint}"
    )
    path.write_text(text.replace("answer = 4\n```", "answer = 4\nfigure()\n```\nBecause."), encoding="utf-8")
    (task,) = exercises.survey(path)
    assert (task.level, task.minutes, task.hints, task.checked) == ("Hard", 40, ["First hint"], True)
    assert (task.draws, task.words, task.kind, task.title) == (True, 1, "try", "Try")


def test_what_one_answer_changes_no_other_sees_and_the_cells_run_once(tmp_path):
    ran = tmp_path / "ran.txt"
    before = cell(f"box = [2]\nopen({str(ran)!r}, 'a').write('x')\n\ndef double(x):\n    return box[0] * x")
    path = chapter(tmp_path, before=before, wrong='["box[0] = 9; answer = 5", "answer = 18"]', says="twice")
    ran.write_text("")
    assert exercises.chapter_faults(path) == []
    assert ran.read_text() == ("x" if exercises._copies() else "xxxx")


def cell(source: str, *tags: str, **more: str) -> str:
    head = "".join(f"{key}: {value}\n" for key, value in more.items())
    return f"```{{code-cell}} python\n---\ntags: [{', '.join(tags)}]\n{head}---\n{source}\n```\n\n"


CHECK = """if answer is None:
    print("not tried yet")
else:
    assert answer == double(2), f"you said {answer}: what is twice two?"
"""


def chapter(
    tmp_path: Path,
    before: str = cell("def double(x):\n    return 2 * x"),
    exercise: str = "answer = None",
    check: str = CHECK,
    solution: str = "answer = 4",
    **more: str,
) -> Path:
    path = tmp_path / "book" / "one.md"
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        HEAD
        + before
        + "````{exercise-start} Try\n:label: try\n````\n"
        + cell(exercise, "exercise", **({"wrong": "answer = 5", "says": "twice TWO"} | more))
        + cell(check, "check")
        + "````{exercise-end}\n````\n\n````{solution-start} try\n````\n"
        + cell(solution, "solution")
        + "````{solution-end}\n````\n",
        encoding="utf-8",
    )
    return path


def judged(path: Path) -> list[str]:
    return [fault for exercise in exercises.find(path) for fault in exercises.faults(exercise)]


def test_a_good_exercise_has_no_fault(tmp_path):
    path = chapter(tmp_path)
    assert judged(path) == []
    (one,) = exercises.find(path)
    assert one.place == "book/one.md:15" and one.label == "try" and one.wrong == ["answer = 5"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"solution": "answer = 5"}, "the check refuses the solution: AssertionError: you said 5"),
        ({"solution": "answer = None"}, "takes the solution for no answer"),
        ({"wrong": "answer = 4"}, "lets the wrong answer 'answer = 4' pass"),
        ({"wrong": "[answer = 5, answer = 4]"}, "lets the wrong answer 'answer = 4' pass"),
        ({"wrong": "answer = missing"}, "the answer 'answer = missing' raised NameError"),
        ({"wrong": "pass"}, "ends in NameError"),
        ({"says": "thrice"}, "does not say 'thrice'"),
        ({"check": CHECK.replace('f"you said {answer}: what is twice two?"', '"no"')}, "helps nobody"),
        ({"check": CHECK.replace("not tried yet", "hm")}, "prints 'hm' and not 'not tried yet'"),
        ({"check": "assert answer == double(2), 'you said something else'"}, "unanswered, the check raises"),
        ({"exercise": "answer = 1 / 0"}, "raised ZeroDivisionError"),
        ({"before": cell("double = 1 / 0")}, "the cell at line 11 raised ZeroDivisionError"),
    ],
)
def test_a_faulty_exercise_is_told(tmp_path, change, says):
    found = judged(chapter(tmp_path, **change))
    assert found and all(fault.startswith("book/one.md:") for fault in found)
    assert any(says in fault for fault in found), found


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("wrong: answer = 5\n", "", "no wrong answer"),
        ("tags: [solution]", "tags: []", "no cell tagged solution"),
        ("tags: [exercise]", "tags: []", "has 0 cells tagged exercise"),
        ("says: twice TWO", "says: [a, b]", "more messages than it has wrong answers"),
    ],
)
def test_an_incomplete_exercise_is_an_error_with_file_and_line(tmp_path, old, new, says):
    path = chapter(tmp_path)
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(exercises.ExerciseError, match=rf"^book/one\.md:15: exercise 'try'(.|\n)*{re.escape(says)}"):
        exercises.find(path)


@pytest.mark.parametrize(
    ("cells", "uses", "taken"),
    [
        (["a = 1", "b = 2", "c = a"], ["c"], [0, 2]),
        (["a = 1", "a = 2"], ["a"], [1]),  # the last one counts
        (["a = 1", "a = a + 1"], ["a"], [0, 1]),
        (["a = 1", "a += 1"], ["a"], [0, 1]),
        (["a = [1]", "a[0] = 2", "b = 1"], ["a"], [0, 1]),
        (["a = X()", "a.b.c[1] = 2"], ["a"], [0, 1]),
        (["a = 1", "if b:\n    a = 2"], ["a"], [0, 1]),  # perhaps not bound: the one before counts too
        (["b = 1", "def f():\n    return b", "f()"], ["f"], [0, 1]),
        (
            ["def f():\n    return g()", "def g():\n    return h", "h = 1"],
            ["f"],
            [0, 1, 2],
        ),
        (["x = 1", "def f(x):\n    y = x\n    return y", "y = 1"], ["f"], [1]),  # locals are no globals
        (["import torch as t\nfrom a import b", "c = t"], ["b"], [0]),
        (["a = 1", "for a in [2]:\n    pass"], ["a"], [0, 1]),
        (["%matplotlib inline\na = 1", "!ls"], ["a"], [0]),
        (["a = 1", "print(a)"], ["len(a)"], [0]),
        (["a = 1"], ["a = 2\na"], []),  # the exercise binds it itself
        (["a = 1"], ["a = 2", "a"], []),
        (["a = 1"], ["def f(): return a", "a = 3"], [0]),
        (["a, (b, *c) = 1, (2, 3)", "d = 1"], ["c"], [0]),
        (["with open('x') as f: a = 1", "b = 1"], ["a"], [0]),
        (["class A:\n    x = z", "z = 0", "z = 1"], ["A"], [0]),
    ],
)
def test_which_cells_an_exercise_needs(cells, uses, taken):
    rows = [(k, source, False) for k, source in enumerate(cells)]
    assert [line for line, _ in exercises.needed([uses], rows)] == taken


def test_a_cell_tagged_needed_runs_with_what_it_needs(tmp_path):
    before = cell("box = [1]") + cell("factor = 2") + cell("box.append(factor)", "needed") + cell("never = 1 / 0")
    check = CHECK.replace("double(2)", "sum(box) + 1")
    assert judged(chapter(tmp_path, before=before, check=check)) == []
    without = before.replace("tags: [needed]", "tags: []")
    assert any("refuses the solution" in fault for fault in judged(chapter(tmp_path, before=without, check=check)))


def test_pictures_are_not_drawn_and_what_was_swapped_comes_back(tmp_path):
    import IPython.display

    display = IPython.display.display
    before = cell("from IPython.display import display\ndisplay(1 / 2)\n\ndef double(x):\n    return 2 * x")
    assert judged(chapter(tmp_path, before=before)) == []
    assert IPython.display.display is display

"""A chapter's exercises as a master notebook for Otter, which hands out and marks as nbgrader does.

python -m tools.otter [NAME ...]    write _build/classroom/otter/NAME/NAME.ipynb, for all chapters or those named

Otter is not among the book's packages. In an environment that has it, `otter assign --no-pdfs NAME.ipynb dist` makes
what students get and what marks, and `otter run -a dist/autograder/*.zip ANSWER.ipynb` marks one file. The hidden test
of an exercise is nbgrader's (tools/classroom.py). Nothing reads an answer before it is run: mark in Otter's container.
"""

import argparse
import sys
from pathlib import Path

from tools import classroom, exercises, notebooks, toc
from tools.classroom import Chapter
from tools.exercises import Exercise, Task
from tools.files import write_text
from tools.notebooks import Piece

CONFIG = """# ASSIGNMENT CONFIG
name: {name}
init_cell: true
export_cell: false
check_all_cell: false
tests:
    ok_format: false
generate: true"""
CHECK = '''""" # BEGIN TEST CONFIG
points: 0
""" # END TEST CONFIG
def test_check(env):
    import contextlib
    import io

    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec({check}, dict(env))
    words = said.getvalue().strip()
    assert not words.startswith("not tried yet"), words'''
MARKS = '''""" # BEGIN TEST CONFIG
points: {points}
hidden: true
""" # END TEST CONFIG
def test_marks(env):
    space = dict(env)
    for source in ({check}, {hidden}):
        exec(source, space)'''


def question(label: str) -> str:
    """A label as Otter takes it for a name."""
    return label.replace("-", "_")


def _raw(text: str) -> Piece:
    return Piece("raw", text, {}, text)


def _prompt(source: str) -> str:
    """A cell that its student sees in place of the solution."""
    quote = '"""' if '"""' not in source else "'''"
    return f"{quote} # BEGIN PROMPT\n{source}\n{quote}; # END PROMPT"


def tests(exercise: Exercise, points: int) -> list[Piece]:
    """The check, which gives no points, and the hidden test, which gives all.

    Otter shows a student what a test raises, and not what it prints; so the check raises that nothing was tried.
    """
    check = "\n\n".join(exercise.checks)
    hidden = "\n".join(line for line in classroom.hidden(exercise).split("\n") if not line.startswith("### "))
    shown = CHECK.format(check=repr(check))
    marks = MARKS.format(points=points, check=repr(check), hidden=repr(hidden))
    return [Piece("code", shown, {}, shown), Piece("code", marks, {}, marks)]


def asked(chapter: Chapter, task: Task, words: list[Piece]) -> list[Piece]:
    """An exercise between its marks: words, solution, tests; one without a check is answered in words."""
    points, exercise = classroom.points(task.kind), chapter.checked.get(task.label)
    head = f"# BEGIN QUESTION\nname: {question(task.label)}\npoints: {points}"
    if exercise is None:
        answer, ends = Piece("markdown", classroom.solution(chapter, task), {}, f"answer {task.label}"), []
        head += "\nmanual: true"
    else:
        solved = "\n".join([exercise.exercise, *exercise.solutions])
        source = f"{_prompt(exercise.exercise)}\n# BEGIN SOLUTION NO PROMPT\n{solved}\n# END SOLUTION"
        answer = Piece("code", source, {}, source)
        ends = [_raw("# BEGIN TESTS"), *tests(exercise, points), _raw("# END TESTS")]
    body = [_raw("# BEGIN SOLUTION"), answer, _raw("# END SOLUTION")]
    return [_raw(head), *words, *body, *ends, _raw("# END QUESTION")]


def master(chapter: Chapter) -> str:
    """A chapter's exercises in Otter's format."""
    made = [_raw(CONFIG.format(name=chapter.name))]
    for task, cells in classroom.parts(chapter):
        if task is not None:
            made += asked(chapter, task, cells)
            continue
        for cell in cells:
            plain = {key: value for key, value in cell.metadata.items() if key != "nbgrader"}
            made.append(cell._replace(metadata=plain))
    return notebooks.assemble(made)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="chapters; all with exercises if none is named")
    parser.add_argument("--out", type=Path, default=toc.ROOT / "_build" / "classroom" / "otter", help="where to")
    options = parser.parse_args(argv)
    try:
        for chapter in classroom.chapters(options.names):
            if chapter.tasks:
                folder = options.out / chapter.name
                folder.mkdir(parents=True, exist_ok=True)
                write_text(folder / f"{chapter.name}.ipynb", master(chapter))
                print(folder / f"{chapter.name}.ipynb")
    except (classroom.ClassroomError, notebooks.NotebookError, exercises.ExerciseError) as err:
        print(err, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

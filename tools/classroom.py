"""A class from the chapters: notebooks for students and for their teacher, and a course that nbgrader marks.

python -m tools.classroom write [NAME ...]   student/, teacher/ and course/source/ of _build/classroom
python -m tools.classroom release [NAME ...] what nbgrader hands out, course/release/, made by nbgrader itself
python -m tools.classroom collect FOLDER     take what students handed in, chapters or sheets, into course/submitted/
python -m tools.classroom marks [NAME ...]   let nbgrader mark what was collected; feedback/, marks.csv, totals.csv
python -m tools.classroom tally [NAME ...]   read the gradebook again, once marks were given by hand: the same files
python -m tools.classroom all [NAME ...]     write and release (`make classroom`)

A chapter's sheet holds its exercises and, before them, only those of its cells that they need. Each check stands there
as in the book; the part that nbgrader hides raises where nothing was answered, lets the check refuse what it must (the
exercise's first `wrong:` answer), so that a check that was made blind is noticed, and asks a function again with other
numbers: those of `again:` in the exercise's metadata, or else the check with its seeds changed (`seeds: false` forbids
it). Exercises without a check are answered in words and marked by hand.
"""

import argparse
import ast
import csv
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbformat import NotebookNode

from tools import exercises, notebooks, outputs, run_notebooks, toc
from tools.exercises import Exercise, Task
from tools.files import write_text
from tools.notebooks import Piece

ROOT = toc.ROOT
POINTS = {"predict": 1, "implement": 3, "break": 2, "measure": 2, "extend": 2}
OTHER_SEEDS = 1000  # is added to every seed of a check
PINS = "requirements-classroom.txt"
ANSWER = "*Your answer here.*"

_SEED = re.compile(r"(?<=manual_seed\()(\d+)(?=\))")
_HEADING = re.compile(r"^### Exercise\b.*$", re.M)
_SAFE = re.compile(r"[^\w.-]+")

MARKS = '''\
### BEGIN HIDDEN TESTS
# What the mark hangs on besides the check above.
if {untried}:
    raise AssertionError("not tried yet: no answer, no mark")


def _trial(*sources):
    """What becomes of sources in a copy of the names: the exception they raise, or None."""
    import contextlib
    import io

    space = dict(globals())
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            for source in sources:
                exec(source, space)
        except Exception as err:
            return err
    return None

{plain}
_check = {check}
if _trial({wrong}, _check) is None:
    raise AssertionError("the check lets a wrong answer pass: something above has changed what it stands on")
{again}### END HIDDEN TESTS'''
PLAIN = """
for _given in ({names},):
    if type(_given).__module__ == "__main__" or (isinstance(_given, float) and _given != _given):
        raise AssertionError(f"your answer is a {{type(_given).__name__}}, no plain value")
"""
AGAIN = """_err = _trial({again})
if _err is not None:
    raise AssertionError(f"with other numbers: {{_err}}")
"""


class ClassroomError(Exception):
    """A class that cannot be made or marked; the message says what to do."""


# -- what the notebooks are made of ----------------------------------------------------------------------------------


class Chapter(NamedTuple):
    """A chapter with its exercises: all of them as tasks, those with a check as exercises, by label."""

    name: str
    path: Path
    minutes: int | None
    pieces: list[Piece]
    tasks: list[Task]
    checked: dict[str, Exercise]


def chapters(names: list[str], root: Path = ROOT) -> list[Chapter]:
    """Read the named chapters, or all that have code.

    Raises:
        NotebookError, ExerciseError: if a chapter is not as it should be.
    """
    from tools.count import minutes

    pages = {page.name: page.path for page in toc.chapters(root) if page.path.suffix == ".md"}
    made = []
    for name, found in notebooks.collect_pieces(names, root).items():
        path = pages[name]
        checked = {one.label: one for one in exercises.find(path)}
        told = minutes(path.read_text(encoding="utf-8"))
        made.append(Chapter(name, path, told, found, exercises.survey(path), checked))
    return made


def points(kind: str) -> int:
    """How many points an exercise of a kind gives."""
    return POINTS.get(kind, 2)


def _named(name: str, **flags) -> dict:
    """nbgrader's metadata of a cell."""
    told = {"schema_version": 3, "grade_id": name, "grade": False, "solution": False, "locked": False, "task": False}
    return {"nbgrader": told | flags}


def _marked(task: Task) -> dict:
    return _named(f"{task.label}-check", grade=True, locked=True, points=points(task.kind))


def _answer(task: Task) -> dict:
    if task.checked:
        return _named(task.label, solution=True)
    return _named(task.label, grade=True, solution=True, points=points(task.kind))


def _sourced(piece: Piece, **more) -> Piece:
    return piece._replace(metadata={**piece.metadata, **more})


def student(chapter: Chapter) -> str:
    """A chapter's notebook without solutions; what is to be answered carries the names by which it is marked."""
    tasks, made = {one.label: one for one in chapter.tasks}, []
    for piece in chapter.pieces:
        task = tasks.get(piece.region.label)
        if piece.region.kind == "solution" or "solution" in piece.metadata.get("tags", []):
            continue
        made.append(piece)
        if task is None or piece.region.kind != "exercise":
            continue
        if piece.kind == "code" and "exercise" in piece.metadata.get("tags", []):
            made[-1] = _sourced(piece, **_answer(task))
        elif piece.kind == "code" and "check" in piece.metadata.get("tags", []) and task.checked:
            first = not any(p.region == piece.region and "check" in p.metadata.get("tags", []) for p in made[:-1])
            made[-1] = _sourced(piece, **(_marked(task) if first else {}))
        elif piece.kind == "markdown" and not task.checked:
            made.append(Piece("markdown", ANSWER, _answer(task), f"answer {task.label}"))
    return notebooks.assemble(made)


def sheet(chapter: Chapter) -> str | None:
    """A chapter's exercises as nbgrader's source: solutions and hidden tests inside; None for one without exercises."""
    if not chapter.tasks:
        return None
    made = []
    for task, cells in parts(chapter):
        made += cells if task is None else [*cells, *_asked(chapter, task, chapter.checked.get(task.label))]
    return notebooks.assemble(made)


def parts(chapter: Chapter) -> Iterator[tuple[Task | None, list[Piece]]]:
    """A sheet's cells, in order: (None, what the exercises need of the chapter), (exercise, its words)."""
    title = chapter.pieces[0].source.partition("\n")[0].removeprefix("# ")
    total = sum(points(one.kind) for one in chapter.tasks)
    head = (
        f"# Exercises: {title}\n\n"
        f"The exercises of the chapter `{chapter.name}`, {total} points in all. Read the chapter first: the cells "
        "below are those of it that the exercises need, in its order, and no substitute for it. Answer in the cells "
        "that ask, and run the check under each: it says what is wrong. An answer computes; it opens no files."
    )
    install = _sourced(chapter.pieces[1], **_named(f"{chapter.name}-needs-0", locked=True))
    yield None, [Piece("markdown", head, {}, "head"), install]
    cells = sorted({cell for one in chapter.checked.values() for cell in one.before})
    done = 0
    for task in chapter.tasks:
        line = int(task.place.rpartition(":")[2])
        while done < len(cells) and cells[done][0] < line:
            folded = {"cellView": "form", "jupyter": {"source_hidden": True}}
            metadata = folded | _named(f"{chapter.name}-needs-{done + 1}", locked=True)
            yield None, [Piece("code", f"#@title From the chapter\n{cells[done][1]}", metadata, cells[done][1])]
            done += 1
        yield task, _words(chapter, task)


def _words(chapter: Chapter, task: Task) -> list[Piece]:
    made = []
    for piece in chapter.pieces:
        if piece.region.label != task.label:
            continue
        if piece.region.kind == "exercise" and piece.kind == "markdown":
            worth = f"*{points(task.kind)} point{'s' * (points(task.kind) > 1)}.*"
            text = piece.source
            if _HEADING.match(text):
                heading, _, rest = text.partition("\n")
                text = f"{heading}\n\n{worth}\n{rest}"
            made.append(piece._replace(source=text, metadata={}))
    return made


def solution(chapter: Chapter, task: Task) -> str:
    """The words of a solution, unfolded."""
    here = [p.source for p in chapter.pieces if p.region == ("solution", task.label) and p.kind == "markdown"]
    return _unfolded("\n\n".join(here))


def _asked(chapter: Chapter, task: Task, exercise: Exercise | None) -> list[Piece]:
    if exercise is None:
        text = f"### BEGIN SOLUTION\n{solution(chapter, task)}\n### END SOLUTION"
        return [Piece("markdown", text, _answer(task), f"answer {task.label}")]
    answer = "\n".join([exercise.exercise, "### BEGIN SOLUTION", *exercise.solutions, "### END SOLUTION"])
    check = "\n\n".join(exercise.checks)
    return [
        Piece("code", answer, _answer(task), exercise.exercise),
        Piece("code", f"{check}\n\n{hidden(exercise)}", _marked(task), check),
    ]


def _unfolded(text: str) -> str:
    text = re.sub(r"^#### .*\n+", "", text)
    return re.sub(r"</?details>|<summary>.*?</summary>", "", text).strip()


# -- hidden tests ----------------------------------------------------------------------------------------------------


def untried(exercise: Exercise) -> str:
    """The condition under which a check says "not tried yet".

    Raises:
        ClassroomError: if the check does not say it in an `if` of its own.
    """
    for source in exercise.checks:
        for node in ast.walk(ast.parse(toc.plain(source))):
            if isinstance(node, ast.If) and any(_says_untried(statement) for statement in node.body):
                return ast.unparse(node.test)
    raise ClassroomError(
        f"{exercise.place}: the check of {exercise.label!r} prints {exercises.NOT_TRIED!r} under no `if` of its own"
    )


def _says_untried(statement: ast.stmt) -> bool:
    return any(
        isinstance(node, ast.Constant) and str(node.value).startswith(exercises.NOT_TRIED)
        for node in ast.walk(statement)
    )


def asks_function(exercise: Exercise) -> bool:
    """Whether an exercise's cell defines a function, or a name that is to become one."""
    body = ast.parse(toc.plain(exercise.exercise)).body
    defined = any(isinstance(node, ast.FunctionDef) for node in body)
    return defined or any(re.search(r"\b(def |lambda)", answer) for answer in exercise.solutions[-1:])


def other_numbers(exercise: Exercise) -> str:
    """The check of a function with other numbers: its author's, or its own with other seeds; "" if there is neither."""
    if exercise.again:
        return exercise.again
    check = "\n\n".join(exercise.checks)
    if not exercise.seeds or not asks_function(exercise) or not _SEED.search(check):
        return ""
    return _SEED.sub(lambda match: str(int(match[0]) + OTHER_SEEDS), check)


def hidden(exercise: Exercise) -> str:
    """What nbgrader hides below a check."""
    again = other_numbers(exercise)
    names = [] if asks_function(exercise) else _values(exercise)
    return MARKS.format(
        untried=untried(exercise),
        plain=PLAIN.format(names=", ".join(names)) if names else "",
        check=_quoted("\n\n".join(exercise.checks)),
        wrong=_quoted(exercise.wrong[0]),
        again=AGAIN.format(again=_quoted(again)) if again else "",
    )


def mark_faults(exercise: Exercise, room: exercises.Room) -> list[str]:
    """What the hidden part of a check does not do as it should: no answer, the solution, wrong ones by other numbers.

    Args:
        exercise: the exercise.
        room: of its chapter, where its check has been tried.
    """
    found, full = [], exercise._replace(checks=[*exercise.checks, hidden(exercise)])
    for (name, sources), wanted in zip(exercises.answers(exercise)[:2], ("not tried yet", ""), strict=True):
        got = room.answered(full, sources)
        if got.broke or not got.message.startswith(wanted) or bool(got.message) != bool(wanted):
            found.append(
                f"{exercise.place}: {exercise.label!r}, {name or 'empty'}, is marked {got.broke or got.message!r}"
            )
    other = other_numbers(exercise)
    for wrong in exercise.wrong if other else []:
        if not room.answered(exercise._replace(checks=[other]), [wrong]).raised:
            found.append(f"{exercise.place}: {exercise.label!r}: with other numbers {wrong.strip()[:60]!r} passes")
    return found


def _quoted(source: str) -> str:
    """A piece of code as a string that can still be read."""
    if '"""' in source or "\\" in source or source.endswith('"'):
        return repr(source)
    return f'"""{source}\n"""'


def _values(exercise: Exercise) -> list[str]:
    """The names that an exercise's cell sets to None."""
    found = []
    for node in ast.parse(toc.plain(exercise.exercise)).body:
        if isinstance(node, ast.Assign) and None in [getattr(n, "value", 0) for n in ast.walk(node.value)]:
            found += [n.id for target in node.targets for n in ast.walk(target) if isinstance(n, ast.Name)]
    return found


# -- the teacher's notebook ------------------------------------------------------------------------------------------


def messages(chapter: Chapter) -> dict[str, list[str]]:
    """What each wrong answer of a chapter's exercises is told; the chapter's cells that they need run once."""
    room = exercises.Room(list(chapter.checked.values()))
    told = {}
    for label, exercise in chapter.checked.items():
        got = [room.answered(exercise, [wrong]) for wrong in exercise.wrong]
        told[label] = [one.message or one.broke or "(nothing: the check lets it pass)" for one in got]
    return told


def teacher(chapter: Chapter, told: dict[str, list[str]] | None = None) -> str:
    """A chapter's notebook with solutions in the open, and what a teacher wants to know beside each exercise.

    Args:
        chapter: the chapter.
        told: by label, the message that each wrong answer draws; None: the pieces of it that the chapter promises.
    """
    tasks, made, seen = {one.label: one for one in chapter.tasks}, [], set()
    for k, piece in enumerate(chapter.pieces):
        if piece.region.kind == "solution":
            source, metadata = piece.source, {k: v for k, v in piece.metadata.items() if k == "tags"}
            if piece.kind == "markdown":
                heading = re.match(r"#### .*", source)
                source = f"{heading[0]}\n\n{_unfolded(source)}" if heading else _unfolded(source)
            piece = piece._replace(source=source, metadata=metadata)
        made.append(piece)
        after = chapter.pieces[k + 1].region if k + 1 < len(chapter.pieces) else notebooks.Region()
        label = piece.region.label
        if piece.region.kind == "exercise" and after != piece.region and label in tasks and label not in seen:
            seen.add(label)
            made.append(Piece("markdown", note(tasks[label], chapter.checked.get(label), told), {}, f"note {label}"))
    made.insert(1, Piece("markdown", _overview(chapter), {}, "overview"))
    return notebooks.assemble([made[0], made[2], made[1], *made[3:]])


def _overview(chapter: Chapter) -> str:
    rows = [
        "## For the teacher",
        "",
        f"Reading takes a new student {chapter.minutes} minutes." if chapter.minutes else "",
        f"The exercises take {sum(t.minutes for t in chapter.tasks)} minutes and give "
        f"{sum(points(t.kind) for t in chapter.tasks)} points."
        if chapter.tasks
        else "There are no exercises.",
        "",
    ]
    if chapter.tasks:
        rows += ["| exercise | level | minutes | points | marked by |", "|---|---|---|---|---|"]
        for t in chapter.tasks:
            by = "its check" if t.checked else "hand"
            rows.append(f"| {t.title} | {t.level or '-'} | {t.minutes or '-'} | {points(t.kind)} | {by} |")
    return "\n".join(rows).strip()


def note(task: Task, exercise: Exercise | None, told: dict[str, list[str]] | None) -> str:
    """What a teacher reads below an exercise: its worth, and the mistakes that come up with what they are told."""
    worth = f"{points(task.kind)} point{'s' * (points(task.kind) > 1)}"
    facts = ", ".join(filter(None, [task.level.lower(), f"{task.minutes} minutes" if task.minutes else "", worth]))
    rows = [f"**For the teacher:** {facts}."]
    if exercise is None:
        return rows[0] + " Answered in words, marked by hand: the solution below is what to look for."
    rows.append("Mistakes that come up, and what the check says to each:")
    for k, wrong in enumerate(exercise.wrong):
        says = told[exercise.label][k] if told else (exercise.says[k] if k < len(exercise.says) else "")
        rows.append(f"```python\n{wrong.strip()}\n```")
        if says:
            rows.append("\n".join(f"> {line}" for line in (says if told else f"... {says} ...").split("\n")))
    return "\n\n".join(rows)


def known_messages(chapter: Chapter, store: dict, root: Path = ROOT) -> dict[str, list[str]]:
    """The messages, from the store if neither the chapter nor what it imports has changed since."""
    parts = [chapter.path.read_bytes()]
    for module in ["hub", *toc.dependencies(chapter.name, root)]:
        file = root / "softattn" / f"{module}.py"
        parts += [file.read_bytes()] if file.exists() else []
    key = hashlib.sha256(b"\0".join(parts)).hexdigest()
    if store.get(chapter.name, {}).get("key") != key:
        store[chapter.name] = {"key": key, "told": messages(chapter)}
    return store[chapter.name]["told"]


def figures(text: str, chapter: Chapter, root: Path = ROOT) -> str:
    """A notebook with the outputs of its chapter, where `make book` has executed it as it stands; else as it is."""
    from jupyter_cache import get_cache

    from tools import execute

    if not (root / "_build" / ".jupyter_cache").exists():
        return text
    cache = get_cache(root / "_build" / ".jupyter_cache")
    try:
        with outputs.for_everyone():
            record = cache.match_cache_notebook(execute.notebook(chapter.path, root))
    except KeyError:
        return text
    return outputs.filled(text, cache.get_cache_bundle(int(str(record.pk))).nb, chapter.name)


# -- writing ---------------------------------------------------------------------------------------------------------


def write(names: list[str], out: Path, root: Path = ROOT, told: bool = True) -> list[str]:
    """Write student/, teacher/ and course/ of a class.

    Args:
        names: chapters; empty for all.
        out: where.
        root: the repository.
        told: try the wrong answers, for the messages in the teacher's notebooks; else the chapters' own words serve.

    Returns:
        A line for each chapter that says what was made.
    """
    course = out / "course"
    for folder in ("student", "teacher", "course/source"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    shutil.copy(root / "tools" / "nbgrader_config.py", course / "nbgrader_config.py")
    shutil.copy(root / "tools" / "fence.py", course / "fence.py")
    kept = out / "messages.json"
    store = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    lines = []
    for chapter in chapters(names, root):
        says = known_messages(chapter, store, root) if told and chapter.checked else None
        kept.write_text(json.dumps(store, indent=1), encoding="utf-8")
        plain = teacher(chapter, says)
        full = figures(plain, chapter, root)
        write_text(out / "teacher" / f"{chapter.name}.ipynb", full)
        write_text(out / "student" / f"{chapter.name}.ipynb", student(chapter))
        text = sheet(chapter)
        if text is not None:
            folder = course / "source" / chapter.name
            folder.mkdir(parents=True, exist_ok=True)
            write_text(folder / f"{chapter.name}.ipynb", text)
        drawn = "with its figures" if full != plain else "without figures (make book draws them)"
        many = sum(points(t.kind) for t in chapter.tasks)
        lines.append(f"{chapter.name:14} {len(chapter.tasks)} exercises, {many:2} points; teacher's {drawn}")
    return lines


# -- nbgrader --------------------------------------------------------------------------------------------------------


def grader(root: Path = ROOT) -> Path | None:
    """An interpreter that has nbgrader: $NBGRADER_PYTHON, .venv-classroom, or this one; None if there is none."""
    for python in (os.environ.get("NBGRADER_PYTHON"), root / ".venv-classroom" / "bin" / "python", sys.executable):
        if python and Path(python).exists():
            done = subprocess.run([str(python), "-c", "import nbgrader"], capture_output=True, cwd=root / "book")
            if done.returncode == 0:
                return Path(python)
    return None


def classroom_venv(root: Path = ROOT) -> Path:
    """.venv-classroom: the packages of this interpreter, nbgrader and the package as a student would install it."""
    venv, pins = root / ".venv-classroom", root / PINS
    python, stamp, packed = venv / "bin" / "python", venv / "installed.txt", venv / "package.txt"
    wanted, version = pins.read_text(encoding="utf-8") + sys.version, run_notebooks.digest(root)
    pip = [Path(sys.executable), "-m", "pip", "--python", python, "install", "-q", "--disable-pip-version-check"]
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        print("making .venv-classroom: nbgrader and what it brings, once", flush=True)
        shutil.rmtree(venv, ignore_errors=True)
        run_notebooks.borrowing_venv(Path(sys.executable), venv)
        run_notebooks.call([*pip, "-r", pins, "-c", root / "requirements.lock"], cwd=root)
        stamp.write_text(wanted, encoding="utf-8")
    if packed.exists() and packed.read_text(encoding="utf-8") == version:
        return python
    with tempfile.TemporaryDirectory(prefix="softattn-classroom-") as name:
        wheel = run_notebooks.build_wheel(Path(sys.executable), Path(name), root)
        run_notebooks.call([*pip, "--no-deps", "--force-reinstall", wheel], cwd=Path(name))
    packed.write_text(version, encoding="utf-8")
    return python


def nbgrader(python: Path, course: Path, *command: str) -> str:
    """Run nbgrader in the course's folder; what it says.

    Raises:
        ClassroomError: with its last lines, if it fails.
    """
    env = run_notebooks.environment() | {"JUPYTER_CONFIG_DIR": str(course / ".jupyter")}
    env["PATH"] = f"{python.parent}{os.pathsep}{env.get('PATH', '')}"  # it calls alembic by name
    done = subprocess.run(
        [str(python), "-m", "nbgrader", *command], cwd=course, env=env, capture_output=True, text=True
    )
    told = done.stdout + done.stderr
    if done.returncode:
        tail = "\n".join(told.splitlines()[-15:])
        raise ClassroomError(f"nbgrader {' '.join(command)} ended with {done.returncode}:\n{tail}")
    return told


def release(names: list[str], out: Path, python: Path) -> list[str]:
    """Let nbgrader make release/ and its gradebook from source/; the names of the assignments."""
    course = out / "course"
    there = sorted(path.name for path in (course / "source").iterdir() if path.is_dir())
    for name in names or there:
        if name not in there:
            raise ClassroomError(f"no sheet of {name!r} in {course / 'source'}; there are {', '.join(there)}")
        nbgrader(python, course, "generate_assignment", name, "--create", "--force")
    return names or there


# -- what students hand in -------------------------------------------------------------------------------------------


class Handed(NamedTuple):
    """What a file holds: of which chapter, answers by label, and notes for the student and the teacher."""

    chapter: str
    answers: dict[str, str]
    notes: list[str]


def read_any(path: Path) -> NotebookNode:
    """A notebook of any version, as version 4.

    Raises:
        ClassroomError: if the file is none.
    """
    try:
        return nbformat.reads(path.read_text(encoding="utf-8-sig"), as_version=4)
    except Exception as err:
        raise ClassroomError(f"{path.name} is no notebook: {type(err).__name__}: {err}") from err


def handed_in(book: NotebookNode, release_of: dict[str, NotebookNode], known: dict[str, set[str]]) -> Handed:
    """Find the answers in a notebook: a sheet, or a whole chapter; by their names, or by the headings above them.

    Args:
        book: what came.
        release_of: chapter -> its sheet as handed out.
        known: chapter -> sources of cells that are the book's, not the student's.

    Raises:
        ClassroomError: if no exercise of the book is in it.
    """
    titles = {}
    for name, sheet_ in release_of.items():
        for label, heading in _headings(sheet_).items():
            titles.setdefault(heading, []).append((name, label))
    ids = [_id(cell) for cell in book.cells]
    votes = [name for name, sheet_ in release_of.items() for cell in sheet_.cells if _id(cell) and _id(cell) in ids]
    if not votes:
        votes = [
            name
            for cell in book.cells
            if cell.cell_type == "markdown"
            for heading in _HEADING.findall(cell.source)
            for name, _ in titles.get(heading.strip(), [])
        ]
    if not votes:
        raise ClassroomError("no exercise of the book is in it: neither the cells' names nor the headings are there")
    chapter = max(set(votes), key=votes.count)
    return _answers(book, chapter, release_of[chapter], known.get(chapter, set()))


def _answers(book: NotebookNode, chapter: str, given: NotebookNode, known: set[str]) -> Handed:
    by_heading = {heading: label for label, heading in _headings(given).items()}
    labels = {_id(cell): cell for cell in given.cells if _told(cell).get("solution")}
    checks = {_id(cell): cell for cell in given.cells if _told(cell).get("grade") and not _told(cell).get("solution")}
    bare = {_bare(cell.source) for cell in checks.values()} | {_bare(source) for source in known}
    found: dict[str, list[str]] = {}
    notes, current, seen, joined = [], "", set(), 0
    for cell in book.cells:
        name, source = _id(cell), cell.source
        for heading in _HEADING.findall(source) if cell.cell_type == "markdown" else []:
            current = by_heading.get(heading.strip(), current)
        if name in labels:
            current = name
            found.setdefault(name, []).append(source)
        elif name in checks:
            seen.add(name)
            if not _bare(source).startswith(_bare(_visible(checks[name].source))):
                notes.append(f"the check of `{name.removesuffix('-check')}` was changed; the book's was used")
            current = ""
        elif current and source.strip() and ANSWER not in source:
            same = cell.cell_type == labels[current].cell_type
            if same and (_bare(source) not in bare or _bare(source) == _bare(labels[current].source)):
                if cell.cell_type == "code":
                    joined += current in found or bool(_id(cell))
                    found.setdefault(current, []).append(source)
    for label, cell in labels.items():
        if label not in found:
            notes.append(f"no answer to `{label}` is in what came; it counts as not tried")
        if cell.cell_type == "code" and f"{label}-check" in checks and f"{label}-check" not in seen:
            notes.append(f"the check of `{label}` was missing; the book's was used")
    if joined:
        notes.append(f"{joined} more cells beside the answers were taken with them")
    return Handed(chapter, {label: "\n".join(parts) for label, parts in found.items()}, notes)


def _visible(source: str) -> str:
    return source.partition("### BEGIN HIDDEN TESTS")[0]


def _bare(source: str) -> str:
    """A cell's source without blanks at line ends and without a form's title."""
    lines = [line.rstrip() for line in source.strip().split("\n") if not line.startswith("#@title")]
    return "\n".join(lines).strip()


def _told(cell: NotebookNode) -> dict:
    return cell.metadata.get("nbgrader", {})


def _id(cell: NotebookNode) -> str:
    return _told(cell).get("grade_id", "")


def _headings(sheet_: NotebookNode) -> dict[str, str]:
    """The heading above each answer of a sheet, by label."""
    found, heading = {}, ""
    for cell in sheet_.cells:
        if cell.cell_type == "markdown" and (match := _HEADING.search(cell.source)):
            heading = match[0].strip()
        if _told(cell).get("solution"):
            found[_id(cell)] = heading
    return found


def submission(handed: Handed, given: NotebookNode) -> NotebookNode:
    """The sheet as handed out, with a student's answers in it and the notes on top."""
    made = nbformat.reads(nbformat.writes(given), as_version=4)
    for cell in made.cells:
        if _id(cell) in handed.answers and _told(cell).get("solution"):
            cell.source = handed.answers[_id(cell)]
    if handed.notes:
        rows = "\n".join(f"- {one}" for one in handed.notes)
        made.cells.insert(1, nbformat.v4.new_markdown_cell(f"**Taken from what was handed in:**\n\n{rows}"))
    return made


def collect(folder: Path, out: Path) -> tuple[list[str], list[str]]:
    """Take what students handed in: FOLDER/STUDENT/ANY.ipynb, or FOLDER/STUDENT-CHAPTER.ipynb.

    Args:
        folder: where the files lie.
        out: the class, with its release.

    Returns:
        A line for each file taken, and one for each that could not be.

    Raises:
        ClassroomError: if there is no such folder, no notebook in it, or nothing was handed out.
    """
    course = out / "course"
    if not folder.is_dir():
        raise ClassroomError(f"{folder}: no such folder; put in it what came back, as STUDENT/CHAPTER.ipynb")
    release_of = {
        path.parent.name: nbformat.read(path, as_version=4) for path in sorted((course / "release").glob("*/*.ipynb"))
    }
    if not release_of:
        raise ClassroomError(f"nothing is handed out yet in {course / 'release'}: run `make classroom` first")
    known = {}
    for name, given in release_of.items():
        whole = out / "student" / f"{name}.ipynb"
        books = [given, *([nbformat.read(whole, as_version=4)] if whole.exists() else [])]
        known[name] = {c.source for book in books for c in book.cells if not _told(c).get("solution")}
    taken, refused = [], []
    found = [path for path in sorted(folder.rglob("*.ipynb")) if ".ipynb_checkpoints" not in path.parts]
    if not found:
        raise ClassroomError(f"{folder}: no notebook in it; students' files end in .ipynb")
    for path in found:
        where = path.relative_to(folder)
        try:
            handed = handed_in(read_any(path), release_of, known)
        except ClassroomError as err:
            refused.append(f"{where}: {err}")
            continue
        who = where.parts[0] if len(where.parts) > 1 else re.sub(rf"[-_ ]*\b{handed.chapter}\b[-_ ]*", "", path.stem)
        who = _SAFE.sub("-", who).strip("-.") or "nobody"
        place = course / "submitted" / who / handed.chapter
        place.mkdir(parents=True, exist_ok=True)
        made = submission(handed, release_of[handed.chapter])
        write_text(place / f"{handed.chapter}.ipynb", nbformat.writes(made) + "\n")
        taken.append(
            f"{where}: {who}, {handed.chapter}, {_tried(handed, release_of[handed.chapter])}"
            + "".join(f"; {one}" for one in handed.notes)
        )
    return taken, refused


def _tried(handed: Handed, given: NotebookNode) -> str:
    """How many exercises have another answer than the one that was handed out."""
    stub = {_id(cell): cell.source for cell in given.cells if _told(cell).get("solution")}
    blank = lambda label, answer: ANSWER in answer or stub[label].startswith(_bare(answer))
    changed = sum(not blank(label, answer) for label, answer in handed.answers.items())
    return f"{changed} of {len(stub)} exercises answered"


READ_GRADES = """
import json, sys
from nbgrader.api import Gradebook
rows = []
with Gradebook("sqlite:///gradebook.db") as book:
    for a in book.assignments:
        for s in a.submissions:
            for n in s.notebooks:
                for g in n.grades:
                    by_hand = bool(g.needs_manual_grade)
                    rows.append([s.student_id, a.name, g.name, g.score, g.max_score, by_hand])
print("GRADES" + json.dumps(rows))
"""


def marks(names: list[str], out: Path, python: Path) -> list[dict]:
    """Let nbgrader mark what was collected and write its feedback; marks.csv and totals.csv.

    Args:
        names: chapters; empty for all that were handed in.
        out: the class.
        python: an interpreter that has nbgrader.

    Returns:
        A row for each exercise of each student: student, chapter, exercise, kind, points, of, marked.
    """
    course = out / "course"
    for name in names or _handed_in(course):
        said = nbgrader(python, course, "autograde", name, "--force")
        for line in said.splitlines():
            if "ERROR" in line or "was not run" in line or "missing" in line:
                print(line)
    return tally(names, out, python)


def _handed_in(course: Path) -> list[str]:
    return sorted({path.parent.name for path in (course / "submitted").glob("*/*/*.ipynb")})


def tally(names: list[str], out: Path, python: Path) -> list[dict]:
    """Write feedback and the tables of marks from nbgrader's gradebook; arguments and rows as those of `marks`."""
    course = out / "course"
    for name in names or _handed_in(course):
        nbgrader(python, course, "generate_feedback", name, "--force")
    told = run_notebooks.call([python, "-c", READ_GRADES], cwd=course, env=run_notebooks.environment())
    rows = []
    for who, name, cell, score, most, by_hand in json.loads(told.rpartition("GRADES")[2]):
        label = cell.removesuffix("-check")
        rows.append(
            {
                "student": who,
                "chapter": name,
                "exercise": label,
                "kind": label.rsplit("-", 1)[-1],
                "points": score,
                "of": most,
                "marked": "wants a hand" if by_hand else "yes",
            }  # fmt: skip
        )
    kinds = [*POINTS, *sorted({row["kind"] for row in rows} - {*POINTS})]
    rows.sort(key=lambda row: (row["student"], row["chapter"], kinds.index(row["kind"])))
    _csv(out / "marks.csv", rows)
    totals = []
    for who, name in sorted({(row["student"], row["chapter"]) for row in rows}):
        mine = [row for row in rows if (row["student"], row["chapter"]) == (who, name)]
        by_kind = {kind: sum(r["points"] for r in mine if r["kind"] == kind) for kind in kinds}
        open_ = sum(r["marked"] != "yes" for r in mine)
        total = {"points": sum(r["points"] for r in mine), "of": sum(r["of"] for r in mine), "want a hand": open_}
        totals.append({"student": who, "chapter": name, **by_kind, **total})
    _csv(out / "totals.csv", totals)
    return rows


def _csv(path: Path, rows: Iterable[dict]) -> None:
    rows = list(rows)
    with path.open("w", newline="", encoding="utf-8") as file:
        if rows:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").split("\n")[0],
        epilog=textwrap.dedent((__doc__ or "").partition("\n")[2]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=["write", "release", "collect", "marks", "tally", "all"])
    parser.add_argument("names", nargs="*", metavar="NAME", help="chapters; all if none is named (collect: a folder)")
    parser.add_argument("--out", type=Path, default=ROOT / "_build" / "classroom", help="where the class stands")
    parser.add_argument("--untold", action="store_true", help="do not try the wrong answers for their messages")
    options = parser.parse_args(argv)
    out, status = options.out, 0
    try:
        if options.what in ("write", "all"):
            print("\n".join(write(options.names, out, told=not options.untold)))
        if options.what in ("release", "all"):
            made = release(options.names if options.what == "release" else _sheets(options.names), out, _python())
            print(f"handed out by nbgrader: {', '.join(made)}: {out / 'course' / 'release'}")
        if options.what == "collect":
            if len(options.names) != 1:
                raise ClassroomError("collect: name the folder that holds what students handed in")
            taken, refused = collect(Path(options.names[0]), out)
            for line in taken:
                print(line)
            for line in refused:
                print(f"NOT taken: {line}", file=sys.stderr)
            status = 1 if refused else 0
        if options.what in ("marks", "tally"):
            rows = {"marks": marks, "tally": tally}[options.what](options.names, out, _python())
            print(f"{len(rows)} marks: {out / 'marks.csv'}, {out / 'totals.csv'}; {out / 'course' / 'feedback'}")
    except (ClassroomError, run_notebooks.RunError, notebooks.NotebookError, exercises.ExerciseError) as err:
        print(err, file=sys.stderr)
        return 2
    return status


def _sheets(names: list[str]) -> list[str]:
    return [chapter.name for chapter in chapters(names) if chapter.tasks]


def _python() -> Path:
    given = os.environ.get("NBGRADER_PYTHON")
    return Path(given) if given else classroom_venv()


if __name__ == "__main__":
    sys.exit(main())

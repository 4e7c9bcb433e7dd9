"""Try every exercise of the chapters with the answers that its author gives: none, the solution, wrong ones.

python -m tools.exercises [NAME ...]   all chapters, or those named; exit 1 if a check does not do what it should
python -m tools.exercises --table      every exercise: kind, level, minutes, hints, check, whether it draws

An exercise begins with its level and the minutes that it takes, and ends with two hints that fold:

    *Moderate, 15 minutes.* Write ...

    ```{admonition} First hint
    :class: dropdown
    Where to look.
    ```

A wrong answer stands in the metadata of the exercise's cell, where no reader sees it:

    ---
    tags: [exercise]
    wrong: expected = 3.0
    says: equal weights      # a piece of the message that the check must raise
    ---
    expected = None

Before the exercises of a chapter those of its cells run, once, that define, directly or through others, a name that
one of them uses, and cells with the tag `needed`. Each answer is then tried in a copy of the process, so that none sees
what another has changed. Pictures are not drawn.
"""

import argparse
import ast
import builtins
import contextlib
import io
import linecache
import os
import pickle
import re
import symtable
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from jupytext.myst import myst_to_notebook

from tools import toc
from tools.markdown import blocks

SHORTEST = 15  # characters of a message that can help
NOT_TRIED = "not tried yet"
KINDS = ("predict", "implement", "break", "measure", "extend")
LEVELS = ("Easy", "Moderate", "Hard")
HINTS = ("First hint", "Second hint")
SKIPPED = {"exercise", "check", "solution", "remove-cell", "book-only"}
_LEVEL = re.compile(rf"^\*({'|'.join(LEVELS)}), (\d+) minutes\.\*\s")
_DRAWS = re.compile(r"\b(figure|subplots|show_figure|plot|imshow|bar|scatter|hist)\(")


class ExerciseError(Exception):
    """An exercise that is not as it should be; the message names file, line and label."""


class Exercise(NamedTuple):
    """An exercise with its answers, and what comes before it.

    place: "book/lstm.md:12", of its {exercise-start}. wrong, says: wrong answers, and pieces of the messages they earn.
    before: (line, source) of the cells of the chapter that it needs. again: a check with other numbers, that a class's
    marks are given by ("" if its author gives none); seeds: whether its check may be run with other seeds.
    """

    chapter: str
    label: str
    place: str
    exercise: str
    checks: list[str]
    solutions: list[str]
    wrong: list[str]
    says: list[str]
    before: list[tuple[int, str]]
    again: str = ""
    seeds: bool = True


class Task(NamedTuple):
    """An exercise as its reader meets it, with a check or without one.

    hints: titles of those that fold; words: how many its solution's text has; level is "" and minutes 0 where not told.
    """

    chapter: str
    label: str
    place: str
    kind: str
    title: str
    level: str
    minutes: int
    hints: list[str]
    checked: bool
    draws: bool
    words: int


def find(path: Path) -> list[Exercise]:
    """The exercises of a chapter that have a check.

    Args:
        path: the chapter.

    Returns:
        One `Exercise` for each {exercise-start} with cells tagged `check` in it.

    Raises:
        ExerciseError: if a check has no exercise cell, no solution cell or no wrong answer.
    """
    return [_exercise(path, label, kept) for label, kept in _gathered(path).items() if "check" in kept]


def survey(path: Path) -> list[Task]:
    """All exercises of a chapter, those without a check too."""
    return [_task(path, label, kept) for label, kept in _gathered(path).items()]


def _gathered(path: Path) -> dict[str, dict[str, list]]:
    """What stands between {exercise-start} and {solution-end}, by label."""
    text = path.read_text(encoding="utf-8")
    read = myst_to_notebook(text, add_source_map=True)
    lines = text.splitlines()
    source = toc.read(path)
    region = label = ""
    number = 0
    earlier: list[tuple[int, str, bool]] = []
    cells: dict[str, dict[str, list]] = {}
    for cell, start in zip(read.cells, read.metadata["source_map"], strict=True):
        if cell.cell_type == "markdown":
            body = cell.source.split("\n")
            first = next(k for k in range(start - 1, len(lines)) if lines[k : k + len(body)] == body) + 1
            for block in blocks(body, first):
                kind, _, edge = block.name.partition("-")
                if block.kind != "directive" or kind not in ("exercise", "solution"):
                    if region and label in cells:
                        cells[label].setdefault(f"{region} text", []).append(block)
                elif edge == "start":
                    region = kind
                    label = block.options.get("label", "") if kind == "exercise" else block.arg
                    if kind == "exercise":
                        label = label or f"line {block.line}"
                        cells[label] = {"line": [block.line], "title": [block.arg], "before": list(earlier)}
                elif edge == "end":
                    region = ""
        elif cell.cell_type == "code":
            this = source.cells[number]
            number += 1
            if region and label in cells:
                kept = cells[label]
                for tag in {"exercise", "check", "solution"} & set(this.tags):
                    kept.setdefault(tag, []).append(this.source)
                if "exercise" in this.tags:
                    kept["wrong"] = _list(cell.metadata.get("wrong"))
                    kept["says"] = _list(cell.metadata.get("says"))
                    kept["again"] = _list(cell.metadata.get("again"))
                    kept["seeds"] = [cell.metadata.get("seeds", True)]
            if not SKIPPED & set(this.tags):
                earlier.append((this.line, this.source, "needed" in this.tags))
    return cells


def _task(path: Path, label: str, kept: dict[str, list]) -> Task:
    asked = kept.get("exercise text", [])
    words = next((text for block in asked if (text := "\n".join(block.body).strip())), "")
    level = _LEVEL.match(words)
    hints = [
        block.arg for block in asked if block.name == "admonition" and "dropdown" in block.options.get("class", "")
    ]
    code = [source for tag in ("exercise", "check", "solution") for source in kept.get(tag, [])]
    told = " ".join(line for block in kept.get("solution text", []) for line in block.body)
    return Task(
        path.stem,
        label,
        f"{path.parent.name}/{path.name}:{kept['line'][0]}",
        label.rsplit("-", 1)[-1],
        kept["title"][0],
        level[1] if level else "",
        int(level[2]) if level else 0,
        hints,
        "check" in kept,
        any(_DRAWS.search(source) for source in code),
        len(told.split()),
    )


def _list(value) -> list[str]:
    return [] if value is None else [str(item) for item in value] if isinstance(value, list) else [str(value)]


def _exercise(path: Path, label: str, kept: dict[str, list]) -> Exercise:
    place = f"{path.parent.name}/{path.name}:{kept['line'][0]}"
    faults = []
    if len(kept.get("exercise", [])) != 1:
        faults.append(f"has {len(kept.get('exercise', []))} cells tagged exercise; one is expected")
    if not kept.get("solution"):
        faults.append("has a check and no cell tagged solution")
    if not kept.get("wrong"):
        faults.append("has a check and no wrong answer: give one as `wrong:` in the metadata of its exercise cell")
    if len(kept.get("says", [])) > len(kept.get("wrong", [])):
        faults.append("says more messages than it has wrong answers")
    if faults:
        raise ExerciseError("\n".join(f"{place}: exercise {label!r} {fault}" for fault in faults))
    answers = ["\n".join(kept["exercise"]), "\n".join(kept["solution"]), *kept["wrong"]]
    before = needed([[answer, *kept["check"], *kept["again"]] for answer in answers], kept["before"])
    (own,) = kept["exercise"]
    rest = ("\n".join(kept["again"]), kept["seeds"][0] is not False)
    return Exercise(
        path.stem, label, place, own, kept["check"], kept["solution"], kept["wrong"], kept["says"], before, *rest
    )


# -- which cells an exercise needs -----------------------------------------------------------------------------------


def needed(uses: list[list[str]], cells: list[tuple[int, str, bool]]) -> list[tuple[int, str]]:
    """The cells that define what pieces of code use, in order.

    Args:
        uses: the pieces, each a sequence of cells that run one after the other.
        cells: (line, source, whether it runs in any case) of the cells before them.

    Returns:
        (line, source) of each that is needed. Names are followed backwards, statement by statement: the last cell that
        binds a name counts, and those before it that only change the object the name stands for.
    """
    wanted: set[str] = set()
    for piece in uses:
        alive: set[str] = set()
        for statement in reversed([one for source in piece for one in _statements(source)]):
            alive = statement.above(alive)
        wanted |= alive
    parsed = [_statements(source) for _, source, _ in cells]
    bound = {name for cell in parsed for statement in cell for name in statement.binds}
    while True:
        alive, taken = set(wanted), set()
        late: set[str] = set()
        for k in range(len(cells) - 1, -1, -1):
            if cells[k][2] or any((one.binds | one.touches) & alive for one in parsed[k]):
                taken.add(k)
                for statement in reversed(parsed[k]):
                    alive = statement.above(alive)
                    late |= statement.inner
        # What the body of a function looks up when it is called may be bound below the function.
        more = (late & bound) - wanted
        if not more:
            return [cells[k][:2] for k in sorted(taken)]
        wanted |= more


class Statement(NamedTuple):
    """Names that a statement looks up, binds, whose object it changes, and that functions in it look up when called."""

    loads: set[str]
    binds: set[str]
    touches: set[str]
    inner: set[str]
    surely: bool

    def above(self, alive: set[str]) -> set[str]:
        """The names wanted before the statement, given those wanted after it."""
        return (alive - self.binds if self.surely else alive) | {n for n in self.loads if not hasattr(builtins, n)}


def _statements(source: str) -> list[Statement]:
    return [_statement(node) for node in ast.parse(toc.plain(source)).body]


def _statement(node: ast.stmt) -> Statement:
    loads, binds, inner = _names(ast.unparse(node))
    touches = set()
    for child in ast.walk(node):
        if isinstance(child, (ast.Subscript, ast.Attribute)) and isinstance(child.ctx, (ast.Store, ast.Del)):
            base: ast.expr = child
            while isinstance(base, (ast.Subscript, ast.Attribute)):
                base = base.value
            if isinstance(base, ast.Name):
                touches.add(base.id)
    kinds = (ast.Assign, ast.AnnAssign, ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
    return Statement(loads, binds, touches, inner, isinstance(node, kinds))


def _names(source: str) -> tuple[set[str], set[str], set[str]]:
    """(global names looked up, global names bound, those of the first that functions look up when they are called)."""
    top = symtable.symtable(toc.plain(source), "<cell>", "exec")
    loads = {s.get_name() for s in top.get_symbols() if s.is_referenced()}
    binds = {s.get_name() for s in top.get_symbols() if s.is_assigned() or s.is_imported() or s.is_namespace()}
    inner: set[str] = set()
    tables = list(top.get_children())
    while tables:
        table = tables.pop()
        found = {s.get_name() for s in table.get_symbols() if s.is_global() and s.is_referenced()}
        loads |= found
        if table.get_type() != "class":  # a class body runs at once
            inner |= found
        binds |= {s.get_name() for s in table.get_symbols() if s.is_declared_global() and s.is_assigned()}
        tables += table.get_children()
    return loads, binds, inner


# -- trying the answers ----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No picture is drawn or shown while an exercise is tried."""
    import IPython.display
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    swapped = [(IPython.display, "display"), (plt, "show")]
    try:
        import softattn.pictures as pictures
    except ImportError:
        pass
    else:
        swapped += [(pictures, name) for name in ("show", "show_figure") if hasattr(pictures, name)]
    kept = [(module, name, getattr(module, name)) for module, name in swapped]
    for module, name, _ in kept:
        setattr(module, name, lambda *args, **kwargs: None)
    try:
        yield
    finally:
        for module, name, old in kept:
            setattr(module, name, old)
        plt.close("all")


def run(source: str, space: dict, name: str) -> None:
    """Execute a cell in a namespace; its lines can be looked up, as `inspect.getsource` does."""
    plain = toc.plain(source)
    linecache.cache[name] = (len(plain), None, plain.splitlines(keepends=True), name)
    exec(compile(plain, name, "exec"), space)


class Outcome(NamedTuple):
    """What became of an answer: what its checks printed, the exception they raised ("" if none) and its message.

    helps: it is one by which a check says what is wrong; broke: what went wrong before a check could judge.
    """

    printed: str
    raised: str = ""
    message: str = ""
    helps: bool = False
    broke: str = ""


class Room:
    """The namespace in which a chapter's exercises are tried: its cells run once, the answers in copies of it."""

    def __init__(self, found: list[Exercise]):
        cells = {cell for exercise in found for cell in exercise.before}
        self._cells, self._done, self._space = sorted(cells), 0, {"__name__": "__main__"}

    def answered(self, exercise: Exercise, answer: list[str]) -> Outcome:
        """Run the cells that stand before an exercise, an answer and the checks.

        Args:
            exercise: one of those given, not one before the last that was tried.
            answer: sources that stand in place of its cell.

        Returns:
            What became of it. What was run here for the answer is forgotten.
        """
        if self._prepared(exercise):
            return _copied(lambda: self._tried(exercise, answer))
        return Room([exercise])._tried(exercise, answer, whole=True)

    def _prepared(self, exercise: Exercise) -> bool:
        """Run what stands before the exercise; False where a process cannot be copied."""
        if not _copies():
            return False
        _, _, line = exercise.place.rpartition(":")
        while self._done < len(self._cells) and self._cells[self._done][0] < int(line):
            at, source = self._cells[self._done]
            self._step(exercise, at, source, self._done)
            self._done += 1
        return True

    def _step(self, exercise: Exercise, line: int, source: str, k: int) -> None:
        with quiet(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            try:
                run(source, self._space, f"<{exercise.chapter}: cell at line {line}, step {k}>")
            except Exception as err:
                what = f"the cell at line {line}" if line else f"the answer {source.strip()[:60]!r}"
                raise ExerciseError(
                    f"{exercise.place}: exercise {exercise.label!r}: {what} raised {type(err).__name__}: {err}"
                ) from err

    def _tried(self, exercise: Exercise, answer: list[str], whole: bool = False) -> Outcome:
        try:
            for k, (line, source) in enumerate(self._cells if whole else []):
                self._step(exercise, line, source, k)
            for k, source in enumerate(answer):
                self._step(exercise, 0, source, len(self._cells) + k)
        except ExerciseError as err:
            return Outcome("", broke=str(err))
        printed = io.StringIO()
        with quiet(), contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
            try:
                for k, source in enumerate(exercise.checks):
                    run(source, self._space, f"<{exercise.chapter}: check {k} of {exercise.label}>")
            except Exception as err:
                helps = isinstance(err, (AssertionError, ValueError))
                return Outcome(printed.getvalue(), type(err).__name__, str(err), helps)
        return Outcome(printed.getvalue())


def _copies() -> bool:
    """Whether this process may be copied: on Linux, without a GPU's threads in it."""
    if sys.platform != "linux":
        return False
    import torch

    return not torch.cuda.is_available()


def _copied(work) -> Outcome:
    """Do work in a copy of this process and hand back what became of it."""
    give, take = os.pipe()[::-1]
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        try:
            os.close(take)
            _alone()
            data = pickle.dumps(tuple(work()))
            with os.fdopen(give, "wb") as pipe:
                pipe.write(data)
        finally:
            os._exit(0)
    os.close(give)
    with os.fdopen(take, "rb") as pipe:
        data = pipe.read()
    os.waitpid(child, 0)
    return Outcome(*pickle.loads(data)) if data else Outcome("", broke="the process that tried the answer died")


def _alone() -> None:
    """Let PyTorch use the one thread that a copy of a process has: it would wait forever for the others."""
    import torch

    torch.set_num_threads(1)


def answers(exercise: Exercise) -> list[tuple[str, list[str]]]:
    """(name, sources) of what is tried: nothing, the solution, each wrong answer."""
    # The solution follows the exercise's cell, as in the notebook; a wrong answer stands in its place.
    tried = [("", [exercise.exercise]), ("solution", [exercise.exercise, *exercise.solutions])]
    return tried + [(f"wrong {k}", [wrong]) for k, wrong in enumerate(exercise.wrong)]


def faults(exercise: Exercise, room: Room | None = None) -> list[str]:
    """What an exercise's checks do not do as they should: unanswered, with the solution, with each wrong answer."""
    room, found = room or Room([exercise]), []

    def fault(text: str) -> None:
        found.append(f"{exercise.place}: exercise {exercise.label!r}: {text}")

    try:
        for name, sources in answers(exercise):
            got = room.answered(exercise, sources)
            if got.broke:
                found.append(got.broke)
            elif name == "":
                if got.raised:
                    fault(f"unanswered, the check raises {got.raised}: {got.message}")
                elif NOT_TRIED not in got.printed:
                    fault(f"unanswered, the check prints {got.printed.strip()!r} and not {NOT_TRIED!r}")
            elif name == "solution":
                if got.raised:
                    fault(f"the check refuses the solution: {got.raised}: {got.message}")
                elif NOT_TRIED in got.printed:
                    fault(f"the check takes the solution for no answer: {got.printed.strip()!r}")
            else:
                which = f"the wrong answer {sources[0].strip()[:60]!r}"
                says = [*exercise.says, *[""] * len(exercise.wrong)][int(name.split()[1])]
                if not got.raised:
                    fault(f"the check lets {which} pass")
                elif not got.helps:
                    fault(f"{which} ends in {got.raised}: {got.message}; a check raises a message that helps")
                elif len(got.message) < SHORTEST:
                    fault(f"{which} gets the message {got.message!r}, which helps nobody")
                elif says.lower() not in got.message.lower():
                    fault(f"{which} gets the message {got.message!r}, which does not say {says!r}")
    except ExerciseError as err:
        found.append(str(err))
    return found


def chapter_faults(path: Path) -> list[str]:
    """The faults of all exercises of a chapter; its cells run once."""
    found = find(path)
    room = Room(found)
    return [fault for exercise in found for fault in faults(exercise, room)]


# -- the table -------------------------------------------------------------------------------------------------------


def table() -> str:
    """Every exercise of the book, one a line, and how many minutes each chapter's take."""
    rows = [("exercise", "level", "minutes", "hints", "check", "draws", "title")]
    for page in toc.chapters():
        if page.path.suffix != ".md" or not page.path.exists():
            continue
        tasks = survey(page.path)
        for one in tasks:
            marks = (str(len(one.hints)), "yes" if one.checked else "-", "yes" if one.draws else "-")
            rows.append((one.label, one.level or "?", str(one.minutes or "?"), *marks, one.title))
        if tasks:
            rows.append((f"  {page.name}, in all", "", str(sum(one.minutes for one in tasks)), "", "", "", ""))
    wide = [max(len(row[k]) for row in rows) for k in range(6)]
    return "\n".join("  ".join(f"{v:{w}}" for v, w in zip(row, [*wide, 0], strict=True)).rstrip() for row in rows)


def _spent() -> float:
    """Seconds of processor time, of this process and of its copies."""
    now = os.times()
    return now.user + now.system + now.children_user + now.children_system


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--table", action="store_true", help="try nothing; list the exercises")
    options = parser.parse_args(argv)
    if options.table:
        print(table())
        return 0
    status = 0
    os.environ.pop("SOFTATTN_DATA", None)
    for page in toc.chapters():
        if page.path.suffix != ".md" or not page.path.exists() or (options.names and page.name not in options.names):
            continue
        try:
            found = find(page.path)
        except (ExerciseError, toc.ChapterError) as err:
            print(err, file=sys.stderr)
            status = 1
            continue
        room = Room(found)
        for exercise in found:
            start = _spent()
            wrong = faults(exercise, room)
            print(f"{_spent() - start:5.1f} s  {len(exercise.before):3} cells  {exercise.place} {exercise.label}")
            for text in wrong:
                print(text, file=sys.stderr)
                status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())

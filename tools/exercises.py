"""Try every exercise of the chapters with the answers that its author gives: none, the solution, wrong ones.

python -m tools.exercises [NAME ...]   all chapters, or those named; exit 1 if a check does not do what it should

A wrong answer stands in the metadata of the exercise's cell, where no reader sees it:

    ---
    tags: [exercise]
    wrong: expected = 3.0
    says: equal weights      # a piece of the message that the check must raise
    ---
    expected = None

Before an exercise only those cells of the chapter run that define, directly or through others, a name it uses, and
cells with the tag `needed`. Pictures are not drawn.
"""

import argparse
import ast
import builtins
import contextlib
import io
import linecache
import os
import symtable
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from jupytext.myst import myst_to_notebook

from tools import toc
from tools.markdown import blocks

SHORTEST = 15  # characters of a message that can help
NOT_TRIED = "not tried yet"
SKIPPED = {"exercise", "check", "solution", "remove-cell", "book-only"}


class ExerciseError(Exception):
    """An exercise that is not as it should be; the message names file, line and label."""


class Exercise(NamedTuple):
    """An exercise with its answers, and what comes before it.

    place: "book/lstm.md:12", of its {exercise-start}. wrong, says: wrong answers, and pieces of the messages they earn.
    before: (line, source) of the cells of the chapter that it needs.
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


def find(path: Path) -> list[Exercise]:
    """The exercises of a chapter that have a check.

    Args:
        path: the chapter.

    Returns:
        One `Exercise` for each {exercise-start} with cells tagged `check` in it.

    Raises:
        ExerciseError: if a check has no exercise cell, no solution cell or no wrong answer.
    """
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
                    continue
                if edge == "start":
                    region = kind
                    label = block.options.get("label", "") if kind == "exercise" else block.arg
                    if kind == "exercise":
                        label = label or f"line {block.line}"
                        cells[label] = {"line": [block.line], "before": list(earlier)}
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
            if not SKIPPED & set(this.tags):
                earlier.append((this.line, this.source, "needed" in this.tags))
    return [_exercise(path, label, kept) for label, kept in cells.items() if "check" in kept]


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
    before = needed([[answer, *kept["check"]] for answer in answers], kept["before"])
    (own,) = kept["exercise"]
    return Exercise(path.stem, label, place, own, kept["check"], kept["solution"], kept["wrong"], kept["says"], before)


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


def answered(exercise: Exercise, answer: list[str]) -> tuple[str, Exception | None]:
    """Run what an exercise needs, an answer and the checks.

    Args:
        exercise: the exercise.
        answer: sources that stand in place of its cell.

    Returns:
        What the checks printed, and the exception that they raised, or None.

    Raises:
        ExerciseError: if anything but a check raises.
    """
    space = {"__name__": "__main__"}
    printed = io.StringIO()
    steps = [*exercise.before, *((0, source) for source in answer)]
    with quiet(), contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
        for k, (line, source) in enumerate(steps):
            try:
                run(source, space, f"<{exercise.chapter}: cell at line {line}, step {k}>")
            except Exception as err:
                what = f"the cell at line {line}" if line else f"the answer {source.strip()[:60]!r}"
                raise ExerciseError(
                    f"{exercise.place}: exercise {exercise.label!r}: {what} raised {type(err).__name__}: {err}"
                ) from err
        printed.seek(0)
        printed.truncate()
        try:
            for k, source in enumerate(exercise.checks):
                run(source, space, f"<{exercise.chapter}: check {k} of {exercise.label}>")
        except Exception as err:
            return printed.getvalue(), err
    return printed.getvalue(), None


def faults(exercise: Exercise) -> list[str]:
    """What an exercise's checks do not do as they should: unanswered, with the solution, with each wrong answer."""
    found = []

    def fault(text: str) -> None:
        found.append(f"{exercise.place}: exercise {exercise.label!r}: {text}")

    try:
        printed, raised = answered(exercise, [exercise.exercise])
        if raised:
            fault(f"unanswered, the check raises {type(raised).__name__}: {raised}")
        elif NOT_TRIED not in printed:
            fault(f"unanswered, the check prints {printed.strip()!r} and not {NOT_TRIED!r}")
        # The solution follows the exercise's cell, as in the notebook; a wrong answer stands in its place.
        printed, raised = answered(exercise, [exercise.exercise, *exercise.solutions])
        if raised:
            fault(f"the check refuses the solution: {type(raised).__name__}: {raised}")
        elif NOT_TRIED in printed:
            fault(f"the check takes the solution for no answer: {printed.strip()!r}")
        for k, wrong in enumerate(exercise.wrong):
            printed, raised = answered(exercise, [wrong])
            which = f"the wrong answer {wrong.strip()[:60]!r}"
            if raised is None:
                fault(f"the check lets {which} pass")
            elif not isinstance(raised, (AssertionError, ValueError)):
                fault(f"{which} ends in {type(raised).__name__}: {raised}; a check raises a message that helps")
            elif len(str(raised)) < SHORTEST:
                fault(f"{which} gets the message {str(raised)!r}, which helps nobody")
            elif k < len(exercise.says) and exercise.says[k].lower() not in str(raised).lower():
                fault(f"{which} gets the message {str(raised)!r}, which does not say {exercise.says[k]!r}")
    except ExerciseError as err:
        found.append(str(err))
    return found


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_args(argv)
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
        for exercise in found:
            start = time.monotonic()
            wrong = faults(exercise)
            print(
                f"{time.monotonic() - start:5.1f} s  {len(exercise.before):3} cells  {exercise.place} {exercise.label}"
            )
            for text in wrong:
                print(text, file=sys.stderr)
                status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())

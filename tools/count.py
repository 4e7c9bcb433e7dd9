"""Count what a chapter asks of its reader: words, cells, the longest cell and class, the widest line, the minutes.

python -m tools.count                 a table of this book, chapter by chapter; what is over its limit is marked
python -m tools.count --before PATH   beside the chapters of the same name in another checkout

Words are those of the Markdown, code cells, front matter and what exercises say of their level and in hints that fold,
left out. Lines of a cell are those between its fences, options and whole classes left out: a class is one cell, with a
limit of its own. Visible lines are those of cells whose input the page shows.
"""

import argparse
import ast
import re
import sys
from pathlib import Path
from typing import NamedTuple

from tools import toc
from tools.markdown import body_start

MAIN = ("I ", "II ", "III ", "IV ")  # how the captions of the parts begin whose chapters carry the ideas
HIDDEN = {"remove-input", "remove-cell"}
LIMITS = {"words": 3000, "cells": 45, "lines": 30, "class_lines": 90, "columns": 79, "hidden_columns": 120}
EVERYWHERE = ("lines", "class_lines", "columns", "hidden_columns")  # words and cells are not

_CELL = re.compile(r"^(`{3,})\{code-cell\}.*?^\1`*[ \t]*$", re.M | re.S)
_HINT = re.compile(r"^(`{3,}|:{3,})\{admonition\} (?:First|Second) hint\n.*?^\1[ \t]*$\n?", re.M | re.S)
_LEVEL = re.compile(r"^\*(?:Easy|Moderate|Hard), \d+ minutes\.\* ", re.M)
_TIME = re.compile(r"\*\*Time\*\*\s+([^.;(]*)")
_NUMBERS = {"quarter": 15, "half": 30, "three quarters": 45}
_WORDS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5}


class Count(NamedTuple):
    """The figures of one chapter; `where` names the line of the chapter in which each extreme stands."""

    part: str
    name: str
    words: int
    cells: int
    lines: int
    class_lines: int
    columns: int
    hidden_columns: int
    minutes: int | None
    where: dict[str, int]

    @property
    def main(self) -> bool:
        """Whether words and cells are limited: in the parts that carry the ideas, and in the one that looks back."""
        return self.part.startswith((*MAIN, "V "))

    def over(self) -> dict[str, int]:
        """What is over its limit: figure -> value."""
        names = LIMITS if self.main else EVERYWHERE
        return {name: getattr(self, name) for name in names if getattr(self, name) > LIMITS[name]}


def prose(text: str) -> str:
    """A chapter's Markdown without its front matter, code cells, folded hints and the levels of exercises."""
    lines = text.splitlines()
    return _LEVEL.sub("", _HINT.sub("", _CELL.sub("", "\n".join(lines[body_start(lines) :]))))


def minutes(text: str) -> int | None:
    """The minutes that a chapter names after **Time**, or None."""
    found = _TIME.search(text)
    if not found:
        return None
    words, total = " ".join(found[1].lower().split()), 0.0
    if match := re.search(r"(\d+) minutes", words):
        return int(match[1])
    if match := re.search(r"\b(\d+|an|a|one|two|three|four|five)(?: and a (half|quarter))? hours?", words):
        total = 60 * int(_WORDS.get(match[1], 0) or match[1]) + {"half": 30, "quarter": 15, None: 0}[match[2]]
    if match := re.search(r"hours? and (?:a (half|quarter)|(\d+|three quarters))", words):
        total += {"half": 30, "quarter": 15}.get(match[1], 0)
        total += 45 if match[2] == "three quarters" else int(match[2] or 0)
    return int(total) or None


def count(page: toc.Chapter) -> Count:
    """Count one chapter."""
    text = page.path.read_text(encoding="utf-8")
    most = {"lines": 0, "class_lines": 0, "columns": 0, "hidden_columns": 0}
    where: dict[str, int] = {}

    def note(figure: str, value: int, line: int) -> None:
        if value > most[figure]:
            most[figure], where[figure] = value, line

    cells = toc.read(page.path).cells
    for cell in cells:
        rows, inside = cell.source.split("\n"), 0
        for number, row in enumerate(rows):
            note("hidden_columns" if HIDDEN & set(cell.tags) else "columns", len(row), cell.line + number)
        for node in toc.tree(cell, page.path).body:
            if isinstance(node, ast.ClassDef):
                first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
                length = (node.end_lineno or first) - first + 1
                note("class_lines", length, cell.line + first - 1)
                inside += length
        note("lines", len(rows) - inside, cell.line)
    return Count(page.part, page.name, len(prose(text).split()), len(cells), **most, minutes=minutes(text), where=where)


def counts(root: Path = toc.ROOT) -> list[Count]:
    """Count every chapter of _toc.yml that has code cells or prose of its own."""
    pages = [page for page in toc.chapters(root) if page.path.suffix == ".md" and page.path.exists()]
    return [count(page) for page in pages]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--before", type=Path, metavar="PATH", help="an older checkout to set beside")
    options = parser.parse_args(argv)
    try:
        now = counts()
        before = {c.name: c for c in counts(options.before.resolve())} if options.before else {}
    except (toc.ChapterError, OSError) as err:
        print(err, file=sys.stderr)
        return 1
    figures = ("words", "cells", "lines", "class_lines", "columns", "minutes")
    print(f"{'part':12s} {'chapter':14s}" + "".join(f"{name.replace('_', ' '):>15s}" for name in figures))
    for found in now:
        cells = []
        for name in figures:
            value, old = getattr(found, name), getattr(before.get(found.name), name, None)
            mark = "!" if name in found.over() else ""
            shown = "-" if value is None else f"{value}{mark}"
            cells.append(f"{old if old is not None else '-'} > {shown}" if options.before else shown)
        print(f"{found.part[:12]:12s} {found.name:14s}" + "".join(f"{cell:>15s}" for cell in cells))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The letters that each chapter declares, in its paragraph "Letters: `T` steps, `B` images ...".

python -m tools.letters     print them: letter, what it stands for, chapters
"""

import re
import sys
from pathlib import Path
from typing import NamedTuple

from tools import toc

_PARAGRAPH = re.compile(r"^Letters(?: in this chapter)?: (.+?)(?:\n\s*\n|\Z)", re.M | re.S)
_ONE = r"`(?:[A-Za-z])`"
_ITEM = re.compile(rf"(?P<letters>{_ONE}(?:(?:, | and |, and ){_ONE})*)\s+(?P<words>[^`;.,]+)")
_SYMBOL = re.compile(r"\$([^$]+)\$")


class Letter(NamedTuple):
    """A letter, what it stands for in a chapter, and the chapter."""

    letter: str
    words: str
    chapter: str


def paragraph(text: str) -> str:
    """The paragraph of a chapter that declares its letters, or ""."""
    found = _PARAGRAPH.search(text)
    return " ".join(found[1].split()) if found else ""


def declared(name: str, text: str) -> list[Letter]:
    """The letters of one chapter."""
    found = []
    for item in _ITEM.finditer(paragraph(text)):
        words = re.sub(r"\([^()]*\)?", "", item["words"])
        words = re.sub(r"[\s,]+(?:and|then)?[\s,]*$", "", words.strip()).strip(" ,")
        words = re.split(r" \$[^$]*\$$", words)[0] if words.count("$") % 2 else words
        for letter in re.findall(r"`(\w)`", item["letters"]):
            found.append(Letter(letter, words, name))
    return found


def symbols(text: str) -> list[str]:
    """The formulas in the paragraph that declares a chapter's letters, as they stand between dollars."""
    return _SYMBOL.findall(paragraph(text))


def letters(root: Path = toc.ROOT) -> list[Letter]:
    """The letters of the book, in the order of its chapters."""
    pages = [page for page in toc.chapters(root) if page.path.suffix == ".md" and page.path.exists()]
    return [letter for page in pages for letter in declared(page.name, page.path.read_text(encoding="utf-8"))]


def table(found: list[Letter]) -> str:
    """MyST: a row for each letter, what it stands for and where, the commonest meaning first."""
    rows = ["| letter | stands for |", "|---|---|"]
    for letter in sorted({one.letter for one in found}, key=lambda c: (c.lower(), c)):
        meanings: dict[str, list[str]] = {}
        for one in found:
            if one.letter == letter and one.chapter not in meanings.setdefault(one.words, []):
                meanings[one.words].append(one.chapter)
        ordered = sorted(meanings.items(), key=lambda pair: -len(pair[1]))
        told = [
            f"{words}: " + ", ".join(f"{{doc}}`{name.replace('_', ' ')} <{name}>`" for name in names)
            for words, names in ordered
        ]
        rows.append(f"| `{letter}` | {' <br> '.join(told)} |")
    return "\n".join(rows)


if __name__ == "__main__":
    for letter in letters():
        print(f"{letter.letter}  {letter.words:60} {letter.chapter}", file=sys.stdout)

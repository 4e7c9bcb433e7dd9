"""The table of everything that carries a number or a label, in book order."""

import sys
from pathlib import Path
from typing import NamedTuple

import yaml

from tools import toc
from tools.markdown import Block, blocks, body_start


class Label(NamedTuple):
    """What a label names (equation, exercise, solution, figure, table or section), and where."""

    kind: str
    page: str
    number: str
    title: str
    line: int


class Labels:
    """Labels of the whole book, numbered as Sphinx numbers them with numfig and one level of section numbers.

    In a numbered part, chapter 3's second equation is 3.2; on the pages of other parts one count runs through, from
    page to page: 1, 2, 3 ... Figures, tables and exercises are counted likewise, each kind by itself.

    Attributes:
        found: label -> `Label`.
        titles: page -> its H1.
        notebook: pages that have code cells, hence a notebook.
        faults: "file:line: message" for labels that stand twice.
    """

    def __init__(self, root: Path = toc.ROOT):
        self.root = root
        self.found: dict[str, Label] = {}
        self.titles: dict[str, str] = {}
        self.notebook: set[str] = set()
        self.unnamed: dict[
            tuple[str, int], str
        ] = {}  # (page, line) -> number of a captioned figure or table, an exercise
        self.faults: list[str] = []
        self._counts: dict[tuple[str, str], int] = {}
        numbers = chapter_numbers(root)
        for page in toc.chapters(root):
            if page.path.suffix == ".md" and page.path.exists():
                self._page(page.name, page.path, numbers.get(page.name, ""))

    def _page(self, name: str, path: Path, number: str) -> None:
        lines = path.read_text(encoding="utf-8").splitlines()
        start = body_start(lines)
        self._waiting: list[tuple[str, int]] = []
        self._walk(name, path, number, blocks(lines[start:], start + 1))

    def _walk(self, page: str, path: Path, chapter: str, content: list[Block]) -> None:
        for block in content:
            if block.kind == "target":
                self._waiting.append((block.name, block.line))
                continue
            if block.kind == "heading":
                if len(block.name) == 1:
                    self.titles.setdefault(page, block.arg)
                for label, line in self._waiting:
                    self._add(path, label, Label("section", page, "", block.arg, line))
            elif block.kind == "math" and block.name:
                self._add(path, block.name, Label("equation", page, self._next("equation", chapter), "", block.line))
            elif block.kind == "directive":
                self._directive(page, path, chapter, block)
            if block.kind != "prose" or any(row.strip() for row in block.body):
                self._waiting = []

    def _directive(self, page: str, path: Path, chapter: str, block: Block) -> None:
        name, options = block.name, block.options
        label = options.get("label") or options.get("name") or ""
        labels = [(label, block.line)] if label else []
        if name == "code-cell":
            self.notebook.add(page)
            return
        if name in ("code-block", "code", "sourcecode", "raw", "literalinclude", "bibliography"):
            return
        if name == "math":
            if label:
                self._add(path, label, Label("equation", page, self._next("equation", chapter), "", block.line))
            return
        if name in ("exercise", "exercise-start"):
            number = "" if "nonumber" in options else self._next("exercise", chapter)
            self.unnamed[page, block.line] = number
            for text, line in labels:
                self._add(path, text, Label("exercise", page, number, block.arg, line))
        elif name in ("solution", "solution-start"):
            for text, line in labels:
                self._add(path, text, Label("solution", page, "", block.arg, line))
        elif name in ("figure", "table", "list-table"):
            kind = "figure" if name == "figure" else "table"
            caption = " ".join(" ".join(block.body).split()) if kind == "figure" else block.arg
            if caption:
                number = self.unnamed[page, block.line] = self._next(kind, chapter)
                for text, line in [*labels, *self._waiting]:
                    self._add(path, text, Label(kind, page, number, caption, line))
        self._walk(page, path, chapter, blocks(block.body, block.body_line))

    def _next(self, kind: str, chapter: str) -> str:
        self._counts[kind, chapter] = count = self._counts.get((kind, chapter), 0) + 1
        return f"{chapter}.{count}" if chapter else str(count)

    def _add(self, path: Path, label: str, entry: Label) -> None:
        if other := self.found.get(label):
            self.faults.append(
                f"{path.parent.name}/{path.name}:{entry.line}: label {label!r} stands already in "
                f"{other.page}.md:{other.line}; give one of them another name"
            )
        self.found[label] = entry


def chapter_numbers(root: Path = toc.ROOT) -> dict[str, str]:
    """Numbers of the chapters of numbered parts: name -> "3". They run on from part to part, as Jupyter Book counts."""
    tree = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    defaults = tree.get("defaults") or {}
    numbers: dict[str, str] = {}

    def numbered(node: dict) -> bool:
        return bool((node.get("options") or {}).get("numbered", node.get("numbered", defaults.get("numbered", False))))

    def below(entry: dict, number: str) -> None:
        if "file" in entry:
            numbers[Path(entry["file"]).stem] = number
        for child in entry.get("sections", []):
            below(child, number)

    for part in [tree, *tree.get("parts", [])]:
        if numbered(part):
            for entry in part.get("chapters", []):
                below(entry, str(len({*numbers.values()}) + 1))
    return numbers


if __name__ == "__main__":
    for label, entry in Labels().found.items():
        print(f"{entry.page:12} {entry.kind:9} {entry.number or '-':5} {label}", file=sys.stdout)

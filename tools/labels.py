"""The blocks of a chapter's Markdown, and the table of everything that carries a number or a label, in book order."""

import re
import sys
from pathlib import Path
from typing import NamedTuple

import yaml

from tools import toc

_FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,}|:{3,})(?P<info>[^\n]*)$")
_DIRECTIVE = re.compile(r"^\{(?P<name>[\w:.+-]+)\}\s*(?P<arg>.*)$")
_HEADING = re.compile(r"^ {0,3}(#{1,6})[ \t]+(.+?)[ \t]*#*[ \t]*$")
_TARGET = re.compile(r"^\(([^()\s`]+)\)=\s*$")
_LABELLED = re.compile(r"^\s*\$\$\s*\(([\w:.-]+)\)\s*$")


class Block(NamedTuple):
    """A piece of Markdown.

    kind: prose, code (a plain fence), directive, math (between $$), target, heading.
    line: its first line in the file; name: the directive, label or fence; body: its lines; body_line: where they begin.
    """

    kind: str
    line: int
    name: str = ""
    arg: str = ""
    options: dict = {}
    body: tuple[str, ...] = ()
    body_line: int = 0
    indent: str = ""
    closed: bool = True


def blocks(lines: list[str] | tuple[str, ...], line: int = 1) -> list[Block]:
    """Cut lines of MyST Markdown into blocks; `line` is the number of the first one in its file."""
    found: list[Block] = []
    prose: list[str] = []
    start = 0

    def flush() -> None:
        nonlocal prose
        if prose:
            found.append(Block("prose", line + start, body=tuple(prose), body_line=line + start))
        prose = []

    at = 0
    while at < len(lines):
        text = lines[at]
        fence = _FENCE.match(text)
        here = line + at
        if fence and not (fence["fence"][0] == "`" and "`" in fence["info"]):
            flush()
            end = _closing(lines, at, fence)
            indent = fence["indent"]
            inside = [
                row.removeprefix(indent) if row.startswith(indent) else row.lstrip(" ") for row in lines[at + 1 : end]
            ]
            directive = _DIRECTIVE.match(fence["info"].strip())
            closed = end < len(lines)
            if directive:
                options, skipped = _options(inside)
                found.append(
                    Block(
                        "directive",
                        here,
                        directive["name"],
                        directive["arg"].strip(),
                        options,
                        tuple(inside[skipped:]),
                        here + 1 + skipped,
                        indent,
                        closed,
                    )
                )
            else:
                found.append(Block("code", here, fence["info"].strip(), body=tuple(lines[at : end + 1]), closed=closed))
            at = end + 1
            continue
        after = bool(prose and prose[-1].strip())  # within a paragraph $$ is inline maths and takes no label
        if text.strip().startswith("$$") and not after and not prose_continues(text):
            flush()
            block, at = _display(lines, at, line)
            found.append(block)
            continue
        if target := _TARGET.match(text):
            flush()
            found.append(Block("target", here, target[1]))
        elif heading := _HEADING.match(text):
            flush()
            found.append(Block("heading", here, heading[1], heading[2]))
        elif text.startswith("%"):
            flush()  # a comment: no reader sees it
        else:
            if not prose:
                start = at
            prose.append(text)
        at += 1
    flush()
    return found


def prose_continues(text: str) -> bool:
    """Whether a line that begins with $$ is a sentence with display maths in it: `$$x$$ is`."""
    rest = text.strip()[2:]
    return "$$" in rest and not re.fullmatch(r".*\$\$\s*(\([\w:.-]+\))?\s*", rest)


def _closing(lines: list[str] | tuple[str, ...], at: int, fence: re.Match) -> int:
    mark = fence["fence"]
    for end in range(at + 1, len(lines)):
        row = lines[end].strip()
        deep = len(lines[end]) - len(lines[end].lstrip(" ")) - len(fence["indent"])
        if deep <= 3 and row.startswith(mark) and not row.strip(mark[0]):
            return end
    return len(lines)


def _display(lines: list[str] | tuple[str, ...], at: int, line: int) -> tuple[Block, int]:
    """Read a $$ block that begins at lines[at]; returns it and the index after it."""
    first = lines[at]
    indent = first[: len(first) - len(first.lstrip(" "))]
    rest = first.strip()[2:]
    body: list[str] = []
    end = at
    while True:
        row = rest if end == at else lines[end].strip()
        if "$$" in row:
            content, _, tail = row.partition("$$")
            if content.strip():
                body.append(content.strip())
            label = re.fullmatch(r"\s*\(([\w:.-]+)\)\s*", tail)
            return Block("math", line + at, label[1] if label else "", body=tuple(body), indent=indent), end + 1
        if row.strip():
            body.append(row)
        end += 1
        if end == len(lines):
            return Block("math", line + at, body=tuple(body), indent=indent, closed=False), end


def _options(inside: list[str]) -> tuple[dict, int]:
    """The options of a directive, and how many of its lines they and the blank lines after them take."""
    options: dict = {}
    used = 0
    if inside and inside[0].strip() == "---":
        end = next((k for k in range(1, len(inside)) if inside[k].strip() == "---"), 0)
        if end:
            options = yaml.safe_load("\n".join(inside[1:end])) or {}
            used = end + 1
    else:
        while used < len(inside) and (match := re.match(r"^:([\w-]+):\s*(.*)$", inside[used])):
            options[match[1]] = match[2].strip()
            used += 1
    while used < len(inside) and not inside[used].strip():
        used += 1
    return {key: str(value) if value is not None else "" for key, value in options.items()}, used


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
        start = 0
        if lines and lines[0].strip() == "---":
            start = next((k for k in range(1, len(lines)) if lines[k].strip() in ("---", "...")), 0) + 1
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

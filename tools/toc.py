"""The book in reading order: its chapters, their cells, and which part of the package each chapter leans on.

python -m tools.toc          print the chapters and what each imports
python -m tools.toc --check  exit 1 if an import runs against the order of _toc.yml
"""

import argparse
import ast
import json
import re
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import yaml
from jupytext.myst import MystMetadataParsingError, myst_to_notebook

from tools import markdown

ROOT = Path(__file__).resolve().parent.parent
TOOLBOX = "Toolbox"  # the part whose modules every chapter may use
ENGINE = "Engine room"  # so may those of this part: fast ways through what the chapters show; they know tensors only
TEACH = "Teach"  # the part for teachers: a guide, questions, projects
HAND_WRITTEN = ("__init__", "__main__", "hub")  # the modules of softattn that no chapter exports

_NESTED = re.compile(r"^\s*(?:`{3,}|~{3,}|:{3,})\{code-cell\}")
_MAGIC = re.compile(r"^\s*[%!?]")


class ChapterError(Exception):
    """A chapter cannot be read; the message names the file and the line."""


class Chapter(NamedTuple):
    """A page of the book: the caption of its part ("" before the first), its name and its file."""

    part: str
    name: str
    path: Path


class Cell(NamedTuple):
    """A code cell: number counts code cells from 1, line is that of its first line of code in the .md file."""

    number: int
    line: int
    heading: str
    source: str
    tags: tuple[str, ...]


class Source(NamedTuple):
    """A chapter as read: front matter, the text of its H1, its code cells, lines of cells that are not run."""

    metadata: dict
    title: str
    cells: list[Cell]
    nested: list[int]


def chapters(root: Path = ROOT) -> list[Chapter]:
    """List the pages of `_toc.yml` in reading order.

    Args:
        root: the repository.

    Returns:
        One `Chapter(part, name, path)` for each file entry, the root page first.
    """
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    found: list[Chapter] = []

    def add(part: str, file: str) -> None:
        path = root / file
        if path.suffix not in (".md", ".rst", ".ipynb"):
            endings = [end for end in (".md", ".rst", ".ipynb") if path.with_name(path.name + end).exists()]
            path = path.with_name(path.name + (endings or [".md"])[0])
        found.append(Chapter(part, path.stem, path))

    def walk(part: str, node: dict) -> None:
        for entry in [*node.get("chapters", []), *node.get("sections", [])]:
            if "file" in entry:
                add(part, entry["file"])
            walk(part, entry)

    add("", toc["root"])
    walk("", toc)
    for node in toc.get("parts", []):
        walk(node.get("caption", ""), node)
    return found


def read(path: Path) -> Source:
    """Read a chapter: its front matter and its code cells, with their lines in the file.

    Args:
        path: a MyST Markdown notebook.

    Returns:
        The chapter's `Source`.

    Raises:
        ChapterError: if jupytext cannot read the file.
    """
    return _read(path, path.read_text(encoding="utf-8"))


@lru_cache(maxsize=256)
def _read(path: Path, text: str) -> Source:
    try:
        notebook = myst_to_notebook(text, add_source_map=True)
    except (MystMetadataParsingError, yaml.YAMLError) as err:
        raise ChapterError(f"{path.name}: cannot be read as a MyST notebook: {err}") from err
    lines = text.splitlines()
    headings = markdown.headings(lines)
    starts = notebook.metadata.pop("source_map")
    title = next((words for _, depth, words in headings if depth == 1), "")
    cells: list[Cell] = []
    fences = set()
    for cell, start in zip(notebook.cells, starts, strict=True):
        if cell.cell_type != "code":
            continue
        fences.add(start)  # counted from 1, this is the line of the fence itself
        source, body = cell.source, cell.source.split("\n")
        first = next((k for k in range(start, len(lines) + 1) if lines[k : k + len(body)] == body), start)
        above = [words for line, _, words in headings if line <= start]
        tags = cell.metadata.get("tags", [])
        tags = tuple(tags.replace(",", " ").split() if isinstance(tags, str) else tags)
        cells.append(Cell(len(cells) + 1, first + 1, above[-1] if above else "", source, tags))
    nested = [n for n, line in enumerate(lines, 1) if _NESTED.match(line) and n not in fences]
    return Source(dict(notebook.metadata), title, cells, nested)


def plain(source: str) -> str:
    """Blank out the lines of a cell that are IPython's own (%, !, ?), keeping the line numbers."""
    return "\n".join("" if _MAGIC.match(line) else line for line in source.split("\n"))


def tree(cell: Cell, path: Path) -> ast.Module:
    """Parse a cell.

    Raises:
        ChapterError: if it is not Python; the message names file, line, cell and heading.
    """
    try:
        return ast.parse(plain(cell.source))
    except SyntaxError as err:
        raise ChapterError(f"{where(cell, path, err.lineno or 1)}: syntax error: {err.msg}") from err


def exported(cell: Cell) -> bool:
    """Whether a cell goes to the chapter's module, with public names or private ones."""
    return bool({"export", "export-private"} & {*cell.tags})


def where(cell: Cell, path: Path, line: int = 1) -> str:
    """Name a place in a chapter: file:line (cell number, under its heading); `line` counts within the cell."""
    under = f" under {cell.heading!r}" if cell.heading else ""
    return f"{path.parent.name}/{path.name}:{cell.line + line - 1} (code cell {cell.number}{under})"


def imports(node: ast.AST, root: Path = ROOT) -> Iterator[tuple[str, int]]:
    """Yield (module of softattn, line) for each import in a piece of code, functions' insides included."""
    for child in ast.walk(node):
        if isinstance(child, ast.Import):
            names = [alias.name for alias in child.names]
        elif isinstance(child, ast.ImportFrom) and child.level == 0:
            base = child.module or ""
            names = [f"softattn.{a.name}" for a in child.names] if base == "softattn" else [base]
        elif isinstance(child, ast.ImportFrom) and child.level == 1:  # only the hand-written modules do this
            names = [f"softattn.{child.module or child.names[0].name}"]
        else:
            names = []
        if isinstance(child, ast.Attribute) and isinstance(child.value, ast.Name) and child.value.id == "softattn":
            names = [f"softattn.{child.attr}"]  # import softattn; softattn.load(...)
        for name in names:
            if name.startswith("softattn."):
                module = name.split(".")[1]
                lazy = _lazy(root)
                if module in lazy:
                    module = lazy[module].removeprefix("softattn.")
                if module not in ("__version__", "demos", "weights", "data"):
                    yield module, getattr(child, "lineno", 1)


def _lazy(root: Path) -> dict[str, str]:
    """The lazy names of softattn/__init__.py: name -> module."""
    path = root / "softattn" / "__init__.py"
    for node in ast.parse(path.read_text(encoding="utf-8")).body if path.exists() else []:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(target, ast.Name) and target.id == "_LAZY":
            assert node.value is not None
            return ast.literal_eval(node.value)
    return {}


def _called(name: str, root: Path, *functions: str) -> set[str]:
    """The constant first arguments with which a chapter calls one of `functions`."""
    found = set()
    path = _path(name, root)
    for cell in read(path).cells:
        for node in ast.walk(tree(cell, path)):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if called in functions and isinstance(node.args[0].value, str):
                    found.add(node.args[0].value)
    return found


def _path(name: str, root: Path) -> Path:
    path = root / "book" / f"{name}.md"
    if not path.exists():
        raise ChapterError(f"there is no chapter book/{name}.md")
    return path


def demos(name: str, root: Path = ROOT) -> list[str]:
    """Names of the demos that a chapter shows: `softattn/demos/NAME.js`."""
    return sorted(d for d in _called(name, root, "show") if (root / "softattn" / "demos" / f"{d}.js").exists())


def weights(name: str, root: Path = ROOT) -> list[str]:
    """Names of the weights that a chapter loads: `softattn/weights/NAME.safetensors` and its card."""
    return sorted(w for w in _called(name, root, "load") if (root / "softattn" / "weights" / f"{w}.json").exists())


def results(name: str, root: Path = ROOT) -> list[str]:
    """Names of the benchmarks whose stored figures a chapter reads: `bench/results/NAME.json`."""
    called = _called(name, root, "results", "show_measured")
    return sorted(r for r in called if (root / "bench" / "results" / f"{r}.json").exists())


def dependencies(name: str, root: Path = ROOT) -> list[str]:
    """Modules of softattn that a chapter imports, directly or through another module.

    Args:
        name: the chapter, `lstm` for book/lstm.md.
        root: the repository.

    Returns:
        Names of modules, sorted: `["pictures", "training"]`. The classes of the weights it loads count as imported.
    """
    path = _path(name, root)
    todo = {module for cell in read(path).cells for module, _ in imports(tree(cell, path), root)}
    for weight in weights(name, root):
        card = json.loads((root / "softattn" / "weights" / f"{weight}.json").read_text(encoding="utf-8"))
        todo.add(card.get("class", "").removeprefix("softattn.").split(".")[0])
    done: set[str] = set()
    while todo - done:
        module = (todo - done).pop()
        done.add(module)
        file = root / "softattn" / f"{module}.py"
        if file.exists():
            todo |= {found for found, _ in imports(ast.parse(file.read_text(encoding="utf-8")), root)}
    return sorted(done - {""})


def import_order(root: Path = ROOT) -> list[str]:
    """Say which imports run against the order of the book.

    A chapter may import modules of chapters before it in `_toc.yml`, of the engine room, of the toolbox, and the
    hand-written ones; what a toolbox chapter exports may import only the toolbox, what one of the engine room exports
    only these two; no module may, through others, import itself. A chapter runs
    its own definitions; only a cell whose input the page does not show may import them.

    Args:
        root: the repository.

    Returns:
        One line for each fault, empty when there is none.
    """
    pages = [c for c in chapters(root) if c.path.suffix == ".md" and c.path.exists()]
    place = {c.name: n for n, c in enumerate(pages)}
    toolbox = {c.name for c in pages if c.part == TOOLBOX}
    engine = {c.name for c in pages if c.part == ENGINE}
    faults = []
    graph: dict[str, set[str]] = {}
    for page in pages:
        for cell in read(page.path).cells:
            to_module = exported(cell)
            for module, line in imports(tree(cell, page.path), root):
                here = where(cell, page.path, line)
                if to_module:
                    graph.setdefault(page.name, set()).add(module)
                if module in HAND_WRITTEN:
                    continue
                if "remove-input" in cell.tags and page.name in (module, pages[0].name):
                    continue  # a chapter's first picture may be drawn by what it builds, the title page's by any
                if module == page.name:
                    faults.append(f"{here}: imports softattn.{module}, which is this chapter: run its definitions")
                elif module not in place:
                    faults.append(f"{here}: imports softattn.{module}, which no chapter in _toc.yml exports")
                elif page.name in toolbox and to_module and module not in toolbox:
                    faults.append(f"{here}: the toolbox exports nothing that needs softattn.{module}, a chapter")
                elif page.name in engine and to_module and module not in toolbox | engine:
                    faults.append(f"{here}: the engine room knows tensors only; softattn.{module} is a chapter")
                elif module not in toolbox | engine and place[module] > place[page.name]:
                    faults.append(f"{here}: imports softattn.{module}, a chapter that comes later in _toc.yml")
    for start in sorted(graph):
        trail = _cycle(graph, start)
        if trail and min(trail) == start:
            faults.append("modules import each other in a circle: " + " -> ".join([*trail, start]))
    return faults


def _cycle(graph: dict[str, set[str]], start: str) -> list[str]:
    """The shortest way from `start` back to itself, or []."""
    trails = [[start]]
    seen = set()
    while trails:
        trail = trails.pop(0)
        for step in sorted(graph.get(trail[-1], ())):
            if step == start:
                return trail
            if step not in seen:
                seen.add(step)
                trails.append([*trail, step])
    return []


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--check", action="store_true", help="exit 1 if an import runs against the order")
    options = parser.parse_args(argv)
    try:
        faults = import_order()
        if not options.check:
            for page in chapters():
                needs = ", ".join(dependencies(page.name)) if page.path.exists() and page.path.suffix == ".md" else "-"
                print(f"{page.part or 'front':12} {page.name:14} {needs}")
    except ChapterError as err:
        faults = [str(err)]
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

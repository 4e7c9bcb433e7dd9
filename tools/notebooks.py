"""Write notebooks/*.ipynb, plain Markdown and no outputs, from book/*.md.

python -m tools.notebooks [NAME ...]            write the notebooks that differ, all of them or those named
python -m tools.notebooks --check               write nothing; exit 1 if a notebook differs from its chapter
python -m tools.notebooks --out DIR --address URL@REF    as a fork or a commit publishes them
"""

import argparse
import hashlib
import re
import sys
from pathlib import Path
from typing import NamedTuple

import nbformat
import yaml
from jupytext.myst import myst_to_notebook

from tools import repository, toc
from tools.files import write_text
from tools.labels import Labels
from tools.markdown import Block, blocks
from tools.plain import Bibliography, Plain, PlainError, leftovers, references_of
from tools.repository import Address, AddressError

ROOT = toc.ROOT
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
DROPPED = {"remove-cell", "book-only"}
FOLDED = {"solution": "Solution", "remove-input": "Figure", "hide-input": "Code", "hide-cell": "Code"}
_PLACE = "\N{SECTION SIGN}references\N{SECTION SIGN}"

INSTALL = """\
#@title Install the book's package where it is missing
import importlib.util

if importlib.util.find_spec("softattn") is None:
    %pip install -q "{line}"
"""
INSTALL_NOT_SET = """\
#@title Find the book's package
import importlib.util
import sys
from pathlib import Path

if importlib.util.find_spec("softattn") is None:
    beside = Path("..").resolve()
    if (beside / "softattn" / "__init__.py").exists():
        sys.path.insert(0, str(beside))
    else:
        print(
            "softattn is not installed. `pip install .` in the repository installs it; once the repository is "
            "published, `make address URL=https://github.com/OWNER/REPO` lets these notebooks do it themselves."
        )
"""


class NotebookError(Exception):
    """Chapters that cannot become notebooks; each line of the message names a file and a line in it."""


class Region(NamedTuple):
    """Where a cell stands: kind is "", "exercise" or "solution", label that of the exercise."""

    kind: str = ""
    label: str = ""


class Segment(NamedTuple):
    """Lines of a Markdown cell that become one cell."""

    region: Region
    content: list[Block]
    raw: str


class Piece(NamedTuple):
    """A cell to be: "code" or "markdown", its source and metadata, what its id is made from, where it stands."""

    kind: str
    source: str
    metadata: dict
    raw: str
    region: Region = Region()


def segments(lines: list[str], line: int, region: Region, plain: Plain) -> tuple[list[Segment], Region]:
    """Cut a Markdown cell where an exercise or a solution begins or ends.

    Args:
        lines: the cell's lines.
        line: number of the first in the chapter.
        region: where the cell begins.
        plain: is told of a beginning without an end and of an end without a beginning.

    Returns:
        Its segments, and the region in which it ends.
    """
    found: list[Segment] = []
    pending: list[Block] = []
    start = line
    content = blocks(lines, line)

    def flush(until: int) -> None:
        nonlocal pending
        if any(b.kind != "prose" or "".join(b.body).strip() for b in pending):
            found.append(Segment(region, pending, "\n".join(lines[start - line : until - line])))
        pending = []

    for block in content:
        name = block.name if block.kind == "directive" else ""
        if name in ("exercise-start", "solution-start"):
            flush(block.line)
            if region.kind:
                plain.fail(block.line, f"{{{name}}} before the {region.kind} above it has its {{{region.kind}-end}}")
            kind = name.split("-")[0]
            region = Region(kind, block.options.get("label", "") if kind == "exercise" else block.arg)
            start, pending = block.line, [block]
        elif name in ("exercise-end", "solution-end"):
            flush(block.line)
            if name != f"{region.kind}-end":
                plain.fail(block.line, f"{{{name}}} without {{{name.replace('end', 'start')}}}")
            region, start = Region(), block.line
        else:
            pending.append(block)
    flush(line + len(lines))
    return found, region


def install_cell(where: Address) -> str:
    """The first code cell: pip where the package is missing; while no address is set, the repository's own copy."""
    if where.placeholder:
        return INSTALL_NOT_SET.rstrip("\n")
    return INSTALL.format(line=repository.install_line(where)).rstrip("\n")


def pieces(
    name: str,
    path: Path,
    labels: Labels,
    where: Address,
    references: Bibliography | None = None,
    book: str = "",
) -> list[Piece]:
    """The cells of a chapter's notebook, title and installing cell first.

    Args:
        name: of the chapter.
        path: its MyST Markdown file.
        labels: the book's table of labels.
        where: the repository's address.
        references: the book's bibliography.
        book: the book's title, for the line under the chapter's.

    Returns:
        Its cells; none for a chapter without code cells.

    Raises:
        NotebookError: for markup without a plain form, one line for each.
    """
    text = path.read_text(encoding="utf-8")
    source = toc.read(path)  # a ChapterError names the file
    if not source.cells:
        return []
    read = myst_to_notebook(text, add_source_map=True)
    lines = text.splitlines()
    plain = Plain(name, path, labels, where, references)
    plain.faults += [fault for fault in labels.faults if fault.startswith(f"{plain.file}:")]
    for line in source.nested:
        plain.fail(line, "a code-cell inside another directive, list or quote is not run; put it at the margin")
    cells: list[Piece] = []
    number, region = 0, Region()
    for cell, start in zip(read.cells, read.metadata["source_map"], strict=True):
        if cell.cell_type == "code":
            this = source.cells[number]
            number += 1
            _compiles(this, path, plain)
            if set(this.tags) & DROPPED:
                continue
            if "raises-exception" in this.tags:
                plain.fail(this.line, "tag raises-exception: catch the error and print its message instead")
            if "solution" in this.tags and region.kind != "solution":
                plain.fail(this.line, "a cell tagged solution stands outside {solution-start} .. {solution-end}")
            code, metadata = _code(this)
            cells.append(Piece("code", code, metadata, cell.source, region))
        elif cell.cell_type == "markdown":
            body = cell.source.split("\n")
            first = next(k for k in range(start - 1, len(lines)) if lines[k : k + len(body)] == body) + 1
            found, region = segments(body, first, region, plain)
            for segment in found:
                shown = _markdown(plain, segment)
                if shown.strip():
                    cells.append(Piece("markdown", shown, {}, segment.raw, segment.region))
        else:
            plain.fail(start, "a raw cell has no place in a notebook")
    if region.kind:
        begin = max(n for n, row in enumerate(lines, 1) if f"{{{region.kind}-start}}" in row)
        plain.fail(begin, f"{{{region.kind}-start}} without {{{region.kind}-end}}")
    if not cells or cells[0].kind != "markdown" or not cells[0].source.startswith("# "):
        plain.fail(1, "the chapter does not begin with its title, `# Title`")
    if plain.faults:
        raise NotebookError("\n".join(sorted(dict.fromkeys(plain.faults), key=_by_line)))
    _references(cells, plain)
    head, _, rest = cells[0].source.partition("\n")
    of = book or "the book"
    if not where.placeholder:
        of = f"[{of}]({repository.site_url(where)}/book/{name}.html)"
    origin = f"*A chapter of {of}. Run its cells in order.*"
    cells[0] = cells[0]._replace(source=f"{head}\n\n{origin}\n\n{rest.strip()}".strip())
    cells.insert(1, Piece("code", install_cell(where), {"cellView": "form"}, "install"))
    for one in cells:
        for line, what in leftovers(one.source) if one.kind == "markdown" else []:
            near = one.source.split("\n")[line - 1].strip()
            place = next((k for k, row in enumerate(lines, 1) if near[:40] and near[:40] in row), 1)
            raise NotebookError(f"{plain.file}:{place}: a raw {what} is left in the notebook: {near[:80]!r}")
    return cells


def _by_line(fault: str) -> tuple[str, int]:
    match = re.match(r"([^:]*):(\d+):", fault)
    return (match[1], int(match[2])) if match else (fault, 0)


def _compiles(cell: toc.Cell, path: Path, plain: Plain) -> None:
    if cell.source.startswith("%%"):
        return
    try:
        toc.tree(cell, path)
    except toc.ChapterError as err:
        plain.faults.append(str(err))


def _code(cell: toc.Cell) -> tuple[str, dict]:
    """A code cell's source and metadata: its tags, and whether Colab and Jupyter fold it."""
    metadata: dict = {"tags": list(cell.tags)} if cell.tags else {}
    title = next((FOLDED[tag] for tag in cell.tags if tag in FOLDED), "")
    source = cell.source
    if title:
        metadata |= {"cellView": "form", "jupyter": {"source_hidden": True}}
        if not source.startswith(("%%", "#@title", "# @title")):
            source = f"#@title {title}\n{source}"
    return source, metadata


def _markdown(plain: Plain, segment: Segment) -> str:
    if segment.region.kind != "solution":
        return plain.render(segment.content)
    head, content = "", list(segment.content)
    if content and content[0].name == "solution-start":
        head = f"#### {plain.solution(content[0])}"
        words = plain.text(content[0].body, content[0].body_line)
        content = content[1:]
    else:
        words = ""
    body = "\n\n".join(part for part in (words, plain.render(content)) if part)
    return "\n\n".join(part for part in (head, plain.folded("Show the solution", body) if body else "") if part)


def _references(cells: list[Piece], plain: Plain) -> None:
    """Put the list of what the chapter cites where {bibliography} stands, else at its end."""
    listed = "\n".join(f"- {plain.references.line(key)}" for key in sorted(plain.cited)) if plain.references else ""
    for k, one in enumerate(cells):
        if one.kind == "markdown" and _PLACE in one.source:
            cells[k] = one._replace(source=one.source.replace(_PLACE, listed))
            return
    if listed:
        cells.append(Piece("markdown", f"## References\n\n{listed}", {}, "references"))


def assemble(cells: list[Piece]) -> str:
    """The notebook's JSON; a cell's id comes from its kind, its text in the chapter and its occurrence."""
    seen: dict[str, int] = {}
    made = []
    for kind, source, metadata, raw, _ in cells:
        key = f"{kind}\0{raw}"
        seen[key] = seen.get(key, 0) + 1
        identity = hashlib.sha256(f"{key}\0{seen[key]}".encode()).hexdigest()[:12]
        cell = {"cell_type": kind, "id": identity, "metadata": metadata, "source": source}
        if kind == "code":
            cell |= {"execution_count": None, "outputs": []}
        made.append(nbformat.from_dict(cell))
    book = nbformat.v4.new_notebook(
        cells=made,
        metadata={"colab": {"provenance": []}, "kernelspec": KERNEL, "language_info": {"name": "python"}},
    )
    book.nbformat_minor = 5
    nbformat.validate(book)
    return nbformat.writes(book).rstrip("\n") + "\n"


def collect(names: list[str], root: Path = ROOT, where: Address | None = None) -> dict[str, str]:
    """The texts of the notebooks of the named chapters, or of all.

    Args:
        names: chapters; empty for all of _toc.yml.
        root: the repository.
        where: the address to write into them; the configured one if None.

    Returns:
        "lstm.ipynb" -> its text, in reading order; chapters without code cells have none.

    Raises:
        NotebookError: with one line for each fault of each chapter; nothing is written.
    """
    return {f"{name}.ipynb": assemble(found) for name, found in collect_pieces(names, root, where).items()}


def collect_pieces(names: list[str], root: Path = ROOT, where: Address | None = None) -> dict[str, list[Piece]]:
    """The cells of the notebooks of the named chapters, or of all: "lstm" -> its pieces.

    Args:
        names: chapters; empty for all of _toc.yml.
        root: the repository.
        where: the address to write into them; the configured one if None.

    Returns:
        The pieces by chapter, in reading order; chapters without code cells have none.

    Raises:
        NotebookError: with one line for each fault of each chapter; nothing is written.
    """
    pages = [page for page in toc.chapters(root) if page.path.suffix == ".md"]
    known = {page.name: page for page in pages}
    faults = [
        f"{name}: no such chapter in _toc.yml; there are {', '.join(known)}" for name in names if name not in known
    ]
    wanted = [page for page in pages if not names or page.name in names]
    faults += [f"book/{page.name}.md:1: named in _toc.yml and not there" for page in wanted if not page.path.exists()]
    if faults:
        raise NotebookError("\n".join(faults))
    where = where or repository.address(root)
    labels = Labels(root)
    try:
        references = references_of(root)
    except PlainError as err:
        raise NotebookError(str(err)) from err
    config = root / "_config.yml"
    title = (yaml.safe_load(config.read_text(encoding="utf-8")) or {}).get("title", "") if config.exists() else ""
    made: dict[str, list[Piece]] = {}
    for page in wanted:
        try:
            found = pieces(page.name, page.path, labels, where, references, title)
        except (NotebookError, toc.ChapterError) as err:
            faults.append(str(err))
        else:
            if found:
                made[page.name] = found
    if faults:
        raise NotebookError("\n".join(faults))
    return made


def save(made: dict[str, str], folder: Path, complete: bool, check: bool = False) -> list[str]:
    """Write what differs, each file whole or not at all.

    Args:
        made: file name -> text.
        folder: where the notebooks stand.
        complete: `made` is all there should be, so that others there are left from chapters that are gone.
        check: write nothing, only say what differs.

    Returns:
        Names of the files that differed.
    """
    differing = []
    for name, text in made.items():
        path = folder / name
        if not path.exists() or path.read_bytes() != text.encode():
            differing.append(name)
            if not check:
                folder.mkdir(parents=True, exist_ok=True)
                write_text(path, text)
    for path in sorted(folder.glob("*.ipynb")) if complete else []:
        if path.name not in made:
            differing.append(f"{path.name} (no such chapter)")
            if not check:
                path.unlink()
    return differing


def regenerate(root: Path = ROOT) -> list[str]:
    """Bring notebooks/ up to date; returns the paths that changed."""
    return [f"notebooks/{name}" for name in save(collect([], root), root / "notebooks", complete=True)]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="chapters; all if none is named")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a notebook differs")
    parser.add_argument("--out", type=Path, help="folder to write to")
    parser.add_argument("--address", metavar="URL@REF", help="write this address instead of the configured one")
    options = parser.parse_args(argv)
    folder = options.out or ROOT / "notebooks"
    try:
        where = None
        if options.address:
            url, at, ref = options.address.rpartition("@")
            where = repository.parse(url, ref) if at else repository.parse(ref)
        made = collect(options.names, where=where)
        differing = save(made, folder, complete=not options.names and folder == ROOT / "notebooks", check=options.check)
    except (NotebookError, AddressError, toc.ChapterError) as err:
        print(err, file=sys.stderr)
        return 1
    print(("differ from their chapters: " if options.check else "wrote: ") + (", ".join(differing) or "nothing"))
    return 1 if options.check and differing else 0


if __name__ == "__main__":
    sys.exit(main())

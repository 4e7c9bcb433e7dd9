"""Notebooks with the outputs of their chapters, as the published branch carries them: viewers run no script.

A figure becomes a picture of its own kind, which every viewer shows; a demo, its static picture and its words.
"""

import base64
import contextlib
import os
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from tools import execute, toc

_PICTURE = re.compile(r'<img class="softattn-figure" alt="([^"]*)"[^>]*src="data:image/(svg\+xml|png);base64,([^"]+)"')
_DEMO = re.compile(r'<div class="softattn-demo"[^>]*>(.*?)</div>', re.S)
RUN = "(It moves when this cell is run.)"


class OutputError(Exception):
    """The outputs of a chapter are not there; the message says which and why."""


def plain(output: NotebookNode) -> NotebookNode | None:
    """An output as any viewer shows it, or None for what only the building machine needed to see."""
    if output.output_type == "stream":
        return None if output.name == "stderr" else output
    if output.output_type not in ("display_data", "execute_result"):
        return output
    html = output.data.get("text/html", "")
    if "softattn-figure" not in html and "softattn-demo" not in html:
        return output
    demo = _DEMO.search(html)
    found = _PICTURE.search(demo[1] if demo else html)
    words = unescape(found[1]) if found else output.data.get("text/plain", "")
    data = {"text/plain": f"{words} {RUN}" if demo else words}
    if found and found[2] == "png":
        data["image/png"] = found[3]
    elif found:
        data["image/svg+xml"] = base64.b64decode(found[3]).decode()
    return nbformat.v4.new_output("display_data", data=data)


def filled(text: str, executed: NotebookNode, name: str) -> str:
    """A notebook's text with the outputs of its chapter.

    Args:
        text: of the generated notebook; its cells are some of the chapter's, in order, a title above the code of some.
        executed: the chapter as it ran.
        name: of the chapter, for errors.

    Returns:
        The text.

    Raises:
        OutputError: if a cell of the notebook is none of the chapter's.
    """
    book = nbformat.reads(text, as_version=4)
    ran = iter([cell for cell in executed.cells if cell.cell_type == "code"])
    for cell in [cell for cell in book.cells if cell.cell_type == "code"][1:]:  # the first installs
        same = next((one for one in ran if cell.source in (one.source, _below(cell.source, one.source))), None)
        if same is None:
            raise OutputError(f"{name}: the chapter that ran has no cell {cell.source[:60]!r}")
        cell.execution_count = same.execution_count
        cell.outputs = [shown for output in same.outputs if (shown := plain(output)) is not None]
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = cell.execution_count
    nbformat.validate(book)
    return nbformat.writes(book).rstrip("\n") + "\n"


def _below(source: str, code: str) -> str:
    """The code under the title that the notebook gave its cell, or nothing that could be equal."""
    return source if source.startswith("#@title") and source.partition("\n")[2] == code else "\0"


@contextlib.contextmanager
def for_everyone() -> Iterator[None]:
    """The environment in which notebooks come out the same for everyone; the caller's comes back."""
    before = dict(os.environ)
    os.environ.pop("SOFTATTN_DATA", None)
    os.environ |= {"SOFTATTN_DEVICE": "cpu", "MPLBACKEND": "agg", "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def with_outputs(made: dict[str, str], root: Path) -> dict[str, str]:
    """The notebooks with the outputs of their chapters, which are executed where they have changed.

    Args:
        made: "lstm.ipynb" -> its text.
        root: the repository.

    Returns:
        The same notebooks, with outputs.

    Raises:
        OutputError: if a chapter does not run, or a notebook is not its chapter's.
    """
    from jupyter_cache import get_cache

    with for_everyone():
        if execute.execute(root):
            raise OutputError("a chapter does not run; what it said is above")
    cache = get_cache(root / "_build" / ".jupyter_cache")
    found = dict(made)
    for page in toc.chapters(root):
        name = f"{page.name}.ipynb"
        if name in made:
            record = cache.match_cache_notebook(execute.notebook(page.path, root))
            found[name] = filled(made[name], cache.get_cache_bundle(int(str(record.pk))).nb, page.name)
    return found

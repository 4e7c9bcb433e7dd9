"""Draw the README's picture: the first picture of a chapter, as its own cells draw it.

python -m tools.cover lstm book/_static/cover.svg
"""

import argparse
import base64
import os
import re
import sys
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

from tools.files import write_text

ROOT = Path(__file__).resolve().parent.parent
IMAGE = re.compile(r'src="data:image/svg\+xml;base64,([^"]+)"')


def first_picture(chapter: Path) -> bytes:
    """Run the cells of a chapter until one of them shows a figure.

    Args:
        chapter: the Markdown file.

    Returns:
        The figure's SVG.

    Raises:
        ValueError: if no cell shows a figure that is an SVG.
    """
    notebook = nbformat.NotebookNode(nbformat.from_dict(jupytext.read(chapter)))
    client = NotebookClient(notebook, timeout=None, kernel_name="python3")
    with client.setup_kernel():
        for index, cell in enumerate(notebook.cells):
            if cell.cell_type != "code":
                continue
            client.execute_cell(cell, index)
            for output in cell.outputs:
                found = IMAGE.search(output.get("data", {}).get("text/html", ""))
                if found:
                    return base64.b64decode(found[1])
    raise ValueError(f"{chapter.name}: no cell shows a figure as SVG; name another chapter")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("chapter", help="name of a chapter: lstm")
    parser.add_argument("out", type=Path, help="the SVG file to write")
    options = parser.parse_args(argv)
    os.environ.pop("SOFTATTN_DATA", None)
    text = first_picture(ROOT / "book" / f"{options.chapter}.md").decode("utf-8")
    text = "\n".join(line.rstrip() for line in text.splitlines()) + "\n"
    write_text(options.out, text)
    print(f"{options.out}: {len(text):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())

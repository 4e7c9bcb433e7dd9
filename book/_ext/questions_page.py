"""Questions in the page: in place of the comment `% questions NAME ##`, those of book/NAME.yml (tools/questions.py)."""

import re
from pathlib import Path

from tools import questions

_PLACE = re.compile(r"(?m)^% questions (\w+)(?: (#+))?$")


def _questions(found: re.Match, root: Path) -> str:
    return questions.page(questions.load(found[1], root), level=found[2] or "##")


def _read(app, docname, source):
    source[0] = _PLACE.sub(lambda found: _questions(found, Path(app.srcdir)), source[0])


def setup(app):
    app.connect("source-read", _read)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

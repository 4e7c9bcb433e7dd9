"""When all pages are written, the slides: a deck for each part (tools/slides.py)."""

from pathlib import Path

import moves

from tools import slides


def _finish(app, exception):
    if exception is None and app.builder.format == "html":
        slides.build(Path(app.outdir), moves.asleep, Path(app.srcdir))


def setup(app):
    app.connect("build-finished", _finish, priority=950)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

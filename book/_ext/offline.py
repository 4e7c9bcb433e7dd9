"""Serve what a page loads from the site itself: MathJax, from an installed package, without what no page uses."""

import importlib.util
import shutil
from pathlib import Path

KEPT = ("tex-chtml.js", "output/chtml/fonts/woff-v2/*.woff", "input/tex/extensions/*.js")


def _copy_mathjax(app, exception):
    if exception is not None or app.builder.format != "html":
        return
    found = importlib.util.find_spec("sphinx-mathjax-offline")
    if found is None:
        raise RuntimeError("MathJax is not installed: pip install -r requirements.txt brings sphinx-mathjax-offline")
    source = Path(found.origin).parent / "static" / "mathjax"
    target = Path(app.outdir) / "_static" / "vendor" / "mathjax"
    for pattern in KEPT:
        for file in source.glob(pattern):
            path = target / file.relative_to(source)
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, path)


def setup(app):
    app.connect("build-finished", _copy_mathjax)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

"""Let the execution cache see the package: a chapter runs again when something that it reads has changed.

jupyter-cache recognises a notebook by its code cells and by `metadata.kernelspec`. This extension writes into that
entry, as the page is read, a digest of what else the chapter reads: the modules of softattn that it imports (through
others too), the demos it shows, the weights it loads, the lock of the environment. The file on disk stays as it is.
"""

import hashlib
import re
from pathlib import Path

from tools import toc

_KERNEL = re.compile(r"\A(---\n(?:.*\n)*?kernelspec:[ \t]*)(\{|\n(?P<indent>[ \t]+))")


def inputs(name: str, root: Path) -> list[Path]:
    """Files, beside its own cells, that the outputs of a chapter depend on, sorted.

    Args:
        name: the chapter, `lstm` for book/lstm.md.
        root: the repository.
    """
    package = root / "softattn"
    files = {package / "__init__.py", root / "requirements.lock"}
    files |= {package / f"{module}.py" for module in [*toc.dependencies(name, root), name]}
    shown = toc.demos(name, root)
    files |= {package / "demos" / f"{demo}.js" for demo in [*shown, *(("kit", "net") if shown else ())]}
    files |= {package / "weights" / f"{w}{end}" for w in toc.weights(name, root) for end in (".safetensors", ".json")}
    files |= {root / "bench" / "results" / f"{result}.json" for result in toc.results(name, root)}
    if (package / "data").is_dir() and package / "hub.py" in files | {package / "prediction.py"}:
        files |= {path for path in (package / "data").iterdir() if path.is_file()}
    return sorted(path for path in files if path.is_file())


def digest(name: str, root: Path) -> str:
    """One short hash of everything in `inputs`, names included."""
    total = hashlib.sha256()
    for path in inputs(name, root):
        total.update(path.relative_to(root).as_posix().encode() + b"\0")
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:16]


def with_digest(text: str, value: str) -> str:
    """The chapter's text with the digest in its kernelspec; lines keep their numbers if that is written in braces."""

    def add(found: re.Match) -> str:
        indent = found["indent"]
        if indent is None:
            return f"{found[1]}{{softattn_digest: d{value}, "
        return f"{found[1]}\n{indent}softattn_digest: d{value}\n{indent}"

    return _KERNEL.sub(add, text, count=1)


def _on_source_read(app, docname, source):
    path = Path(app.env.doc2path(docname))
    if path.suffix == ".md" and _KERNEL.match(source[0]):
        root = Path(app.srcdir)
        source[0] = with_digest(source[0], digest(path.stem, root))


def setup(app):
    app.connect("source-read", _on_source_read)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

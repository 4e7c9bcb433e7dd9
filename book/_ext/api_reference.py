"""Write the API reference: one section on book/api.md for each module of softattn, in the order of the book.

The page itself holds only its introduction. As it is read, this extension appends a section for each module, with an
entry for each name in its `__all__`, so that a new module appears by itself.
"""

import importlib
import inspect
from pathlib import Path

from tools import toc

PAGE = "book/api"


def modules(root: Path) -> list[str]:
    """Public modules of softattn, those of chapters first, in reading order."""
    present = {path.stem for path in (root / "softattn").glob("*.py") if not path.stem.startswith("_")}
    taught = [chapter.name for chapter in toc.chapters(root) if chapter.name in present]
    return taught + sorted(present - set(taught))


def entry(module: str, name: str) -> list[str]:
    """The directive, in reStructuredText, that documents one exported name."""
    found = getattr(importlib.import_module(f"softattn.{module}"), name)
    full = f"softattn.{module}.{name}"
    if inspect.isclass(found):
        fields = getattr(found, "_fields", ())  # of a NamedTuple: its Args say what they are
        left_out = [f"   :exclude-members: {', '.join(fields)}"] if fields else []
        return [f".. autoclass:: {full}", "   :members:", *left_out, ""]
    if callable(found):
        return [f".. autofunction:: {full}", ""]
    kind = type(found).__name__
    keys = f" with the keys {', '.join(map(str, found))}" if isinstance(found, dict) and len(found) <= 12 else ""
    value = f" {found!r}" if isinstance(found, (int, float, str)) and len(repr(found)) < 60 else ""
    return [f".. py:data:: {full}", "", f"   A constant: {kind}{keys}{value}.".replace("*", "\\*"), ""]


def section(module: str, has_page: bool) -> str:
    """The section of one module, in MyST."""
    loaded = importlib.import_module(f"softattn.{module}")
    summary = (loaded.__doc__ or "").strip().split("\n\n")
    lines = [f"(api-{module})=", f"## softattn.{module}", ""]
    if has_page:
        lines += [f"Built in the chapter {{doc}}`{module}`.", ""]
    elif summary[0]:
        lines += [summary[0], ""]
    lines += ["```{eval-rst}"]
    for name in loaded.__all__:
        lines += entry(module, name)
    return "\n".join([*lines, "```", ""])


def _on_source_read(app, docname, source):
    if docname == PAGE:
        root = Path(app.srcdir)
        pages = {chapter.name for chapter in toc.chapters(root)}
        source[0] += "\n" + "\n".join(section(module, module in pages) for module in modules(root))


def _returns_are_sentences(app, what, name, found, options, lines):
    """Keep napoleon from taking the words before a colon under "Returns:" for a type: types stand in the signature."""
    for k, line in enumerate(lines[:-1]):
        if line.strip() == "Returns:" and (words := lines[k + 1].lstrip()):
            lines[k + 1] = lines[k + 1].removesuffix(words) + ": " + words


def setup(app):
    app.connect("source-read", _on_source_read)
    app.connect("autodoc-process-docstring", _returns_are_sentences, priority=400)  # before napoleon
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

"""The page "What moves": each demo of the book once, in the chapters' order, asleep until a reader reaches it.

In place of the comment `% moves`, a section for each chapter that shows demos. When all pages are written, each demo is
cut out of its chapter's page: its picture into the gallery, its script into a file, which page.js loads in time.
"""

import hashlib
import re
from html import escape
from pathlib import Path

from tools import toc

PAGE = "book/moves"
SCRIPTS = "_static/demos"
_DEMO = re.compile(
    r'<style>(?P<style>[^<]*)</style>\s*<div class="softattn-demo" id="(?P<id>demo-[^"]+)" data-demo="(?P<name>\w+)">'
    r'(?P<still>.*?)</div>\s*<script type="module">(?P<script>.*?)</script>',
    re.S,
)
_PLACE = re.compile(r'<div class="moves" data-chapter="([\w/]+)"></div>')


def sections(root: Path) -> str:
    """MyST of the gallery: a heading, the chapter's sentence and an empty place for its demos."""
    parts = []
    for chapter in toc.chapters(root):
        if not toc.demos(chapter.name, root):
            continue
        source = toc.read(chapter.path)
        subtitle = source.metadata.get("softattn", {}).get("subtitle", "")
        place = f'<div class="moves" data-chapter="{chapter.path.parent.name}/{chapter.name}"></div>'
        parts += [f"## {{doc}}`{source.title if chapter.part else 'The title page'} <{chapter.name}>`"]
        parts += [subtitle if chapter.part else "", place]
    return "\n\n".join(part for part in parts if part)


def asleep(page: str, folder: Path, prefix: str) -> list[str]:
    """The demos of a page as HTML that loads nothing by itself; a script for each goes to `folder`.

    Args:
        page: the text of a chapter's page.
        folder: for the scripts.
        prefix: of that folder, as seen from the gallery.

    Returns:
        One piece of HTML for each kind of demo, in the order of the page.
    """
    pieces, seen = [], set()
    for found in _DEMO.finditer(page):
        if found["name"] in seen:
            continue
        seen.add(found["name"])
        uid = f"{found['id']}-gallery"
        # a classic script: from a disk, a browser loads no module
        script = f"(async () => {{{found['script'].replace(found['id'], uid)}}})();\n"
        name = f"{found['name']}-{hashlib.sha256(script.encode()).hexdigest()[:10]}.js"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(script, encoding="utf-8")
        pieces.append(
            f'<style>{found["style"]}</style>\n<div class="softattn-demo" id="{uid}" data-demo="{found["name"]}" '
            f'data-script="{escape(prefix + name)}">{found["still"]}</div>'
        )
    return pieces


def _read(app, docname, source):
    if docname == PAGE:
        source[0] = re.sub(r"(?m)^% moves$", lambda _: sections(Path(app.srcdir)), source[0])


def _fill(app, exception):
    out = Path(app.outdir)
    page = out / f"{PAGE}.html"
    if exception is not None or app.builder.format != "html" or not page.exists():
        return

    def demos(found: re.Match) -> str:
        text = (out / f"{found[1]}.html").read_text(encoding="utf-8")
        return "\n".join(asleep(text, out / SCRIPTS, f"../{SCRIPTS}/"))

    page.write_text(_PLACE.sub(demos, page.read_text(encoding="utf-8")), encoding="utf-8")


def setup(app):
    app.connect("source-read", _read)
    app.connect("build-finished", _fill, priority=600)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

"""Give each chapter its links: open in Colab, download the notebook, the chapter's source, the API reference.

The theme would send Colab to the Markdown file, which Colab cannot open, and offer for download a notebook in raw MyST.
Both get the generated notebook instead; a page that has none gets no such button. While the repository has no address
yet, there is no link to it. The title page gets its table of chapters here too, in place of the comment `% chapters`.
"""

import re
import shutil
from html import escape
from pathlib import Path

from tools import toc
from tools.repository import address, colab_url


def _has_notebook(app, pagename: str) -> bool:
    return (Path(app.srcdir) / "notebooks" / f"{Path(pagename).name}.ipynb").exists()


def _notebook(pagename: str, context) -> str:
    """Address of the notebook's copy in the site, as seen from a page."""
    return context["pathto"](f"notebooks/{Path(pagename).name}.ipynb", 1)


def _buttons(app, pagename, templatename, context, doctree):
    runs, here = _has_notebook(app, pagename), address()
    for group in list(context.get("header_buttons", [])):
        if here.placeholder and group.get("label") in ("source-buttons", "repository-buttons"):
            context["header_buttons"].remove(group)  # of the search page and the index too
            continue
        if pagename not in app.env.found_docs:
            continue
        if group.get("label") == "launch-buttons":
            if not runs or here.placeholder:
                context["header_buttons"].remove(group)
                continue
            group["buttons"] = [button for button in group["buttons"] if button.get("text") == "Colab"]
            for button in group["buttons"]:
                button["url"] = colab_url(here, Path(pagename).name)
        if group.get("label") == "download-buttons":
            kept = []
            for button in group["buttons"]:
                if str(button.get("url", "")).endswith(".ipynb"):
                    if not runs:
                        continue
                    button["url"] = _notebook(pagename, context)
                kept.append(button)
            group["buttons"] = kept


def _line(app, pagename, templatename, context, doctree):
    """A quiet line below the title of a chapter."""
    if pagename not in app.env.found_docs or "</h1>" not in context.get("body", "") or not _has_notebook(app, pagename):
        return
    name = Path(pagename).name
    here = address()
    links = [] if here.placeholder else [("Open in Colab", colab_url(here, name), "")]
    links += [
        ("Download notebook", _notebook(pagename, context), " download"),
        ("Source", context["pathto"](f"_sources/{pagename}.md", 1), ""),
    ]
    if (Path(app.srcdir) / "softattn" / f"{name}.py").exists():
        links.append((f"softattn.{name}", context["pathto"]("book/api") + f"#api-{name.replace('_', '-')}", ""))
    items = "".join(f'<li><a href="{escape(url)}"{extra}>{escape(text)}</a></li>' for text, url, extra in links)
    line = f'</h1>\n<ul class="chapter-links" aria-label="This chapter elsewhere">{items}</ul>'
    context["body"] = context["body"].replace("</h1>", line, 1)


def _bibliography(app, pagename, templatename, context, doctree):
    """Leave out the list's ARIA roles: its children are not what a list's must be, which confuses screen readers."""
    if "citation-list" in (body := context.get("body") or ""):
        body = body.replace('<div role="list" class="citation-list">', '<div class="citation-list">')
        context["body"] = body.replace(' role="doc-biblioentry"', "")


def _scripts(app, pagename, templatename, context, doctree):
    """Leave out sphinx-thebe, which lands twice and logs an error: nothing on the site is run live."""
    kept = []
    for script in context.get("script_files", []):
        text = f"{getattr(script, 'filename', '') or ''} {getattr(script, 'attributes', {}).get('body') or ''}".lower()
        if "thebe" not in text:
            kept.append(script)
    context["script_files"] = kept
    context["css_files"] = [
        css for css in context.get("css_files", []) if "thebe" not in str(getattr(css, "filename", css))
    ]


MINUTES = {"half an hour": 30, "an hour": 60, "an hour and a quarter": 75, "an hour and a half": 90, "two hours": 120}
_TIME = re.compile(
    r"\*\*Time\*\*\s+(?:about\s+)?(?:(\d+)\s+(minutes|hours)|([a-z]+(?: [a-z]+)*?)(?= to read| with|[,;.]))"
)


def minutes(text: str) -> int | None:
    """The minutes that a chapter's line **Time** says it takes; None if it says nothing that can be understood."""
    found = _TIME.search(text)
    if found is None:
        return None
    if found[1]:
        return int(found[1]) * (60 if found[2] == "hours" else 1)
    return MINUTES.get(found[3])


def table(root: Path) -> str:
    """Chapters with a notebook, part by part, as a table in MyST: a sentence, the minutes, module and notebook."""
    here = address(root)
    rows, part = ["| Chapter | Minutes | Module, notebook |", "|---|---:|---|"], ""
    for chapter in toc.chapters(root):
        name = chapter.name
        if not (root / "notebooks" / f"{name}.ipynb").exists() or name == "index":
            continue
        if chapter.part != part:
            part = chapter.part
            rows.append(f"| **{part}** | | |")
        subtitle = toc.read(chapter.path).metadata.get("softattn", {}).get("subtitle", "")
        time = minutes(chapter.path.read_text(encoding="utf-8")) or ""
        # no link: the chapter's first line leads to its API, and a keyboard has enough stops here
        module = f"`softattn.{name}` <br> " if (root / "softattn" / f"{name}.py").exists() else ""
        # no address yet: the notebook of this site; the links of the build are written from the folder book/
        notebook = f'<a href="../notebooks/{name}.ipynb" download>{name}.ipynb</a>'
        if not here.placeholder:
            notebook = f"[{name}.ipynb]({colab_url(here, name)})"
        rows.append(f"| {{doc}}`{name}` <br> {subtitle} | {time} | {module}{notebook} |")
    return "\n".join(rows)


def _chapters(app, docname, source):
    source[0] = re.sub(r"(?m)^% chapters$", lambda _: table(Path(app.srcdir)), source[0])


def _copy_notebooks(app, exception):
    """Put the generated notebooks into the site, for download."""
    if exception is None and app.builder.format == "html":
        target = Path(app.outdir) / "notebooks"
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for notebook in sorted((Path(app.srcdir) / "notebooks").glob("*.ipynb")):
            shutil.copyfile(notebook, target / notebook.name)


def setup(app):
    address()  # fails early, and says so, if _config.yml holds no address
    app.connect("source-read", _chapters)
    app.connect("html-page-context", _buttons, priority=900)
    app.connect("html-page-context", _line, priority=910)
    app.connect("html-page-context", _bibliography, priority=920)
    app.connect("html-page-context", _scripts, priority=950)
    app.connect("build-finished", _copy_notebooks)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

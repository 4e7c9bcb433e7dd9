"""Make the pages light: pictures as files that load as they are reached, a few icons and no script for them.

The theme brings all of an icon font, twice, and a script of 1.5 MB that draws it: pages keep the font, cut down to the
signs that they show. A picture that a cell wrote into its page becomes a file beside it.
"""

import base64
import hashlib
import io
import re
from pathlib import Path

_INSIDE = re.compile(r'(<img class="softattn-figure"[^>]*?) src="data:image/(svg\+xml|png);base64,([A-Za-z0-9+/=]+)"')
_WIDTH = re.compile(r' width="(\d+)"')
_FONTS = "_static/vendor/fontawesome/webfonts"
_STYLE = "_static/styles/pydata-sphinx-theme.css"
_RULE = re.compile(r'((?:\.fa-[\w-]+:before,?)+)\{content:"(\\[0-9a-f]+)"\}')
_DROPPED = (  # what the theme puts into every page and no page here needs
    re.compile(r'\s*<!-- So that users can add custom icons -->\s*<script src="[^"]*fontawesome\.js[^"]*"></script>'),
    re.compile(r'\s*<meta name="viewport" content="width=device-width, initial-scale=1" ?/>'),  # two of three
)

# the book's title stands in there too, beside the list of chapters: all of it is one landmark
_SIDEBAR = (
    '<div id="pst-primary-sidebar" class',
    '<div id="pst-primary-sidebar" role="navigation" aria-label="Book" class',
)


def line_art(content: bytes) -> bool:
    """Whether a picture is ink on white and no photograph: in the dark, it turns round (custom.css)."""
    if not content.startswith(b"\x89PNG"):
        return b"<image" not in content
    from PIL import Image

    grey = Image.open(io.BytesIO(content)).convert("L").histogram()
    return sum(grey[250:]) > 0.8 * sum(grey)


def outside(html: str, folder: Path, prefix: str) -> str:
    """The text of a page with its pictures as files.

    Args:
        html: of the page, or of a piece of one.
        folder: where the pictures go.
        prefix: of that folder, as seen from the page, with a slash at its end.

    Returns:
        The text; each picture that stood in it as data is now named by its digest, and loaded as it is reached.
    """

    def file(found: re.Match) -> str:
        content = base64.b64decode(found[3])
        name = f"figure-{hashlib.sha256(content).hexdigest()[:16]}.{found[2].removesuffix('+xml')}"
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / name).exists():
            (folder / name).write_bytes(content)
        head = found[1].replace('"softattn-figure"', '"softattn-figure line-art"') if line_art(content) else found[1]
        return f'{head} src="{prefix}{name}" loading="lazy" decoding="async"'

    return _INSIDE.sub(file, html)


def boxed(html: str) -> str:
    """Each picture in a box that scrolls where the picture would be too small to read, as on a phone.

    A picture that stands for a demo stays as it is: its demo takes its place.
    """
    figure = re.compile(r'(<div class="output text_html">)\s*(<img class="softattn-figure[^>]*>)')

    def wrap(found: re.Match) -> str:
        width = _WIDTH.search(found[2])
        size = f' style="--width: {width[1]}px"' if width else ""
        return f'{found[1]}<div class="figure-box"{size}>{found[2]}</div>'

    return figure.sub(wrap, html)


def used(pages: list[str], style: str) -> tuple[set[str], set[int]]:
    """Classes of icons that pages name, and the code points that a font must keep for them and for the style sheet."""
    names = {name for page in pages for name in re.findall(r"\bfa-[\w-]+", page)}
    points = {ord(sign) for sign in style if 0xE000 <= ord(sign) <= 0xF8FF}
    points.add(0xF107)  # of the book theme's own sheet
    for selectors, sign in _RULE.findall(style):
        if names & set(re.findall(r"\.(fa-[\w-]+):before", selectors)):
            points.add(int(sign[1:], 16))
    return names, points


def _shrink_icons(out: Path, pages: list[str]) -> None:
    from fontTools import subset

    sheet = out / _STYLE
    style = sheet.read_text(encoding="utf-8")
    names, points = used(pages, style)

    def kept(found: re.Match) -> str:
        classes = re.findall(r"\.(fa-[\w-]+):before", found[1])
        return found[0] if names & set(classes) else ""

    style = _RULE.sub(kept, style)
    style = re.sub(r'url\([^)]*\.woff2\) format\("woff2"\),(?=url\([^)]*webfonts)', "", style)
    sheet.write_text(style, encoding="utf-8")
    for font in sorted((out / _FONTS).iterdir()):
        if font.suffix != ".ttf":
            font.unlink()
            continue
        options = subset.Options(notdef_outline=True, layout_features=[], name_IDs=[1, 2], drop_tables=["FFTM"])
        opened = subset.load_font(str(font), options)
        cutter = subset.Subsetter(options)
        cutter.populate(unicodes=points)
        cutter.subset(opened)
        opened["head"].modified = opened["head"].created  # the same page on every day
        opened.recalcTimestamp = False
        subset.save_font(opened, str(font), options)


def _pictures(app, pagename, templatename, context, doctree):
    if context.get("body") and app.builder.format == "html":
        prefix = context["pathto"]("_images/figure", 1).removesuffix("figure")
        context["body"] = boxed(outside(context["body"], Path(app.outdir) / "_images", prefix))


def _finish(app, exception):
    if exception is not None or app.builder.format != "html":
        return
    out = Path(app.outdir)
    pages = {path: path.read_text(encoding="utf-8") for path in sorted(out.rglob("*.html"))}
    for path, text in pages.items():
        new = text
        for pattern in _DROPPED:
            new = pattern.sub("", new)
        new = new.replace(*_SIDEBAR)
        if new != text:
            path.write_text(new, encoding="utf-8")
    if (out / _FONTS / "fa-solid-900.woff2").exists():  # else it was done before
        _shrink_icons(out, list(pages.values()))
    for path in [*(out / "_static" / "scripts").glob("fontawesome.js*"), *(out / "_static").rglob("*.map")]:
        path.unlink(missing_ok=True)


def setup(app):
    app.connect("html-page-context", _pictures, priority=940)
    app.connect("build-finished", _finish, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

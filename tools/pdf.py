"""The book as one PDF, printed by Chromium from the built site, as one document: links, bookmarks and numbers hold.

python -m tools.pdf [NAME ...] [--out FILE]    needs `make book` and Chromium; without names, the whole book

Each page's article is taken out of the site and its anchors renamed, so that they are one document's. Demos stand as
their static picture. The style is the site's own for print (book/_static/custom.css, print.css).
"""

import argparse
import base64
import re
import shutil
import sys
import zlib
from html import escape
from pathlib import Path
from urllib.parse import unquote, urlsplit

import bs4
import yaml

from tools import toc

ROOT = toc.ROOT
LEFT_OUT = {"moves", "api"}  # every demo stands in its chapter; the reference is the package's help()
GONE = "script, style, noscript, .headerlink, .copybtn, ul.chapter-links, button, iframe"
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
FOOTER = (
    '<div style="width: 100%; font: 8pt Georgia, serif; color: #57606a; text-align: center">'
    '<span class="pageNumber"></span></div>'
)
UNSET = "[...document.querySelectorAll('.math')].filter((e) => !e.querySelector('mjx-container')).length"
READY = "window.MathJax ? MathJax.startup.promise.then(() => true) : true"
STATES = (
    "[...document.querySelectorAll('.softattn-demo')].every((d) => !['', 'loading'].includes(d.dataset.state ?? ''))"
)


class PdfError(Exception):
    """No PDF can be made; the message says what is missing."""


def anchor(page: str, name: str = "") -> str:
    """The name, in the one document, of an anchor of a page."""
    return f"{page}--{name}" if name else page


def article(page: Path, pictures: list[str], known: set[str]) -> bs4.Tag:
    """The article of a built page, ready to stand among others.

    Args:
        page: the HTML file.
        pictures: addresses of a picture for each demo that has none of its own, in order.
        known: stems of the pages that the document holds; links to others stay out.

    Returns:
        The element, its anchors and its links to other pages renamed, its demos replaced by their pictures.
    """
    soup = bs4.BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
    found = soup.select_one("article.bd-article")
    if found is None:
        raise PdfError(f"{page.name} has no article: build the site again (make book)")
    for demo in found.select(".softattn-demo"):
        if demo.find("img") is None and pictures:
            words = demo.get_text().strip()
            demo.clear()
            demo.append(soup.new_tag("img", src=pictures.pop(0), alt=words))
        for img in demo.find_all("img"):
            del img["style"]
    for node in found.select(GONE):
        node.decompose()
    for img in found.find_all("img"):
        img.attrs.pop("loading", None)
    for fold in found.find_all("details"):
        fold["open"] = ""
    for node in found.find_all(id=True):
        node["id"] = anchor(page.stem, str(node["id"]))
    for node in found.find_all(["h5", "h4", "h3", "h2", "h1"]):  # a part stands above its chapters
        node.name = f"h{int(node.name[1]) + 1}"
    for link in found.find_all("a", href=True):
        parts = urlsplit(str(link["href"]))
        if parts.scheme or parts.netloc:
            continue
        stem = Path(unquote(parts.path)).stem if parts.path else page.stem
        if stem in known and parts.path.endswith((".html", "")):
            link["href"] = "#" + anchor(stem, unquote(parts.fragment))
        else:
            link.unwrap()
    found["id"] = anchor(page.stem)
    found.name = "section"
    found["class"] = "bd-article chapter"
    return found


def document(articles: dict[str, bs4.Tag], parts: dict[str, str], title: str, head: str) -> str:
    """The one document: a title page, the contents, the chapters under their parts."""
    rows, body, part = [], [], ""
    for name, found in articles.items():
        if parts[name] and parts[name] != part:
            part = parts[name]
            rows.append(f'<li class="part">{escape(part)}</li>')
            body.append(f'<h1 class="part">{escape(part)}</h1>')
        heading = found.find("h2")
        words = " ".join(heading.get_text().split()) if heading else name
        rows.append(f'<li><a href="#{anchor(name)}">{escape(words)}</a><span data-page="{anchor(name)}"></span></li>')
        body.append(str(found))
    main, _, second = title.partition(", ")
    cover = (
        f'<section class="cover"><h1>{escape(main)}</h1><p>{escape(second)}</p>'
        '<img src="../_static/cover.svg" alt="The words soft attention, written dot by dot.">'
        "<p>Text CC BY 4.0, code MIT. The demos and the runnable notebooks are on the book's pages.</p></section>"
    )
    contents = f'<nav class="chapters" aria-label="Contents"><h2>Contents</h2><ol>{"".join(rows)}</ol></nav>'
    return (
        f'<!DOCTYPE html><html lang="en" data-theme="light" data-mode="light" data-content_root="../"><head>'
        f'<meta charset="utf-8"><title>{escape(title)}</title>{head}'
        '<link rel="stylesheet" href="../_static/print.css"></head>'
        f'<body><main class="bd-main book">{cover}{contents}{"".join(body)}</main></body></html>'
    )


def head_of(pages: list[Path]) -> str:
    """Style sheets and MathJax as the built pages load them; only those with formulas load MathJax."""
    found: dict[str, None] = {}
    for page in pages:
        soup = bs4.BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
        sheets = soup.select('head link[rel~="stylesheet"]')
        maths = [one for one in soup.select("head script") if "mathjax" in str(one).lower()]
        found |= dict.fromkeys(str(one) for one in [*sheets, *maths])
    return "".join(found)


def numbers(pdf: bytes) -> dict[str, int]:
    """The page on which each named place of a PDF stands, from 1."""
    text = _objects(pdf)
    kids = {int(n): [int(k) for k in re.findall(r"(\d+) 0 R", found)] for n, found in _kids(text)}
    order: list[int] = []

    def walk(n: int) -> None:
        for kid in kids.get(n, []):
            walk(kid)
        if n not in kids:
            order.append(n)

    roots = set(kids) - {kid for found in kids.values() for kid in found}
    for root in sorted(roots):
        walk(root)
    place = {n: k for k, n in enumerate(order, 1)}
    named = re.findall(r"\(([^()]+)\)\s*\[(\d+) 0 R /XYZ|/([^\s/\[(]+)\s*\[(\d+) 0 R /XYZ", text)
    return {a or _name(b): place[int(p or q)] for a, p, b, q in named if int(p or q) in place}


def _name(text: str) -> str:
    return re.sub(r"#([0-9A-Fa-f]{2})", lambda found: chr(int(found[1], 16)), text)


def _kids(text: str) -> list[tuple[str, str]]:
    return [
        (number, found[1])
        for number, body in re.findall(r"(?m)^(\d+) 0 obj\s*(.*?)endobj", text, re.S)
        if "/Type /Pages" in body and (found := re.search(r"/Kids\s*\[(.*?)\]", body, re.S))
    ]


def _objects(pdf: bytes) -> str:
    """The PDF's text without its streams, those that hold objects unpacked."""
    text = re.sub(rb"stream\r?\n.*?endstream", b"", pdf, flags=re.S).decode("latin-1")
    for found in re.finditer(rb"/Type /ObjStm.*?stream\r?\n(.*?)endstream", pdf, re.S):
        text += zlib.decompress(found[1]).decode("latin-1")
    return text


def _browser(playwright):
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        raise PdfError("Chromium is not here: apt-get install chromium")
    return playwright.chromium.launch(executable_path=path, args=FLAGS)


def _drawn(browser, page: Path) -> list[str]:
    """A picture of each demo of a page that brings no static one."""
    soup = bs4.BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
    bare = [k for k, demo in enumerate(soup.select(".softattn-demo")) if demo.find("img") is None]
    if not bare:
        return []
    tab = browser.new_page(viewport={"width": 1000, "height": 1200}, device_scale_factor=2, color_scheme="light")
    tab.goto(page.as_uri())
    tab.wait_for_function(STATES)
    tab.emulate_media(media="print", color_scheme="light")
    shots = [tab.locator(".softattn-demo").nth(k).screenshot() for k in bare]
    tab.close()
    return [f"data:image/png;base64,{base64.b64encode(shot).decode()}" for shot in shots]


def cut(tab) -> list[str]:
    """What is wider than the page that it is printed on."""
    return tab.evaluate(
        """() => {
          const edge = document.querySelector("main").getBoundingClientRect().right + 2;
          const clips = (e) => e.clientWidth && getComputedStyle(e).overflowX !== "visible";
          const hidden = (e) => clips(e) && e.scrollWidth > e.clientWidth + 2;
          const where = (e) => `${e.tagName} in ${e.closest("section.chapter")?.id}`;
          return [...document.querySelectorAll("main :is(pre, img, table, svg, mjx-container[display=true], p, dt)")]
            .filter((e) => hidden(e) || e.getBoundingClientRect().right > edge)
            .map((e) => `${where(e)}: ${(e.textContent || e.alt || "").slice(0, 60)}`);
        }"""
    )


def build(names: list[str], out: Path, root: Path = ROOT) -> int:
    """Print the book.

    Args:
        names: of the chapters; empty for all.
        out: the PDF.
        root: the repository.

    Returns:
        The number of pages.

    Raises:
        PdfError: if there is no site, no Chromium or no such chapter, or if a line would be cut.
    """
    from playwright.sync_api import sync_playwright

    html = root / "_build" / "html" / "book"
    chapters = [one for one in toc.chapters(root) if one.name not in LEFT_OUT and (not names or one.name in names)]
    missing = set(names) - {one.name for one in chapters} or {
        c.name for c in chapters if not (html / f"{c.name}.html").exists()
    }
    if missing or not chapters:
        raise PdfError(
            f"there is no page of {', '.join(sorted(missing)) or 'the book'}: build the site first (make book)"
        )
    known = {one.name for one in chapters}
    title = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))["title"]
    with sync_playwright() as playwright:
        browser = _browser(playwright)
        articles, pages = {}, [html / f"{one.name}.html" for one in chapters]
        for page in pages:
            articles[page.stem] = article(page, _drawn(browser, page), known)
        whole = html / "book-as-one.html"
        whole.write_text(
            document(articles, {c.name: c.part for c in chapters}, title, head_of(pages)), encoding="utf-8"
        )
        try:
            tab = browser.new_page(viewport={"width": 673, "height": 1000}, color_scheme="light")  # A4 less its margins
            tab.set_default_timeout(600_000)
            tab.emulate_media(media="print", color_scheme="light")
            tab.goto(whole.as_uri())
            tab.evaluate(READY)
            if raw := tab.evaluate(UNSET):
                raise PdfError(f"{raw} formulas are not set: MathJax did not run")
            if wide := cut(tab):
                raise PdfError("these would be cut in print:\n" + "\n".join(wide[:20]))
            how = {
                "format": "A4",
                "print_background": True,
                "display_header_footer": True,
                "header_template": "<span></span>",
            }
            how |= {"footer_template": FOOTER, "outline": True, "tagged": True}
            how["margin"] = {"top": "18mm", "bottom": "20mm", "left": "16mm", "right": "16mm"}
            where = numbers(tab.pdf(**how))
            write = "(w) => document.querySelectorAll('[data-page]').forEach((e) => e.append(w[e.dataset.page] ?? ''))"
            tab.evaluate(write, where)
            out.parent.mkdir(parents=True, exist_ok=True)
            pdf = tab.pdf(**how)
            out.write_bytes(pdf)
        finally:
            whole.unlink(missing_ok=True)
            browser.close()
    return len(re.findall(r"/Type /Page\b(?!s)", _objects(pdf)))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="chapters; all if none is named")
    parser.add_argument("--out", type=Path, default=ROOT / "_build" / "soft-attention.pdf")
    options = parser.parse_args(argv)
    try:
        pages = build(options.names, options.out)
    except PdfError as err:
        print(f"pdf: {err}", file=sys.stderr)
        return 1
    print(f"{options.out}: {pages} pages, {options.out.stat().st_size / 2**20:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())

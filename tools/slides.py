"""Slides from the built pages: one deck for each part, out of its chapters' figures, formulas, demos and questions.

python -m tools.slides [--html _build/html]    the build does the same (book/_ext/decks.py)

Nothing is copied by hand. A slide comes from each place that a chapter marks by what it is: the opening, a Predict box,
a formula with a label, a figure, a demo, a table, a short list, what did not work, the summary. Exercises and further
reading are left out. The prose of the section goes into the speaker's notes, and so does the answer to a Predict box.
"""

import argparse
import copy
import html
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import bs4
from bs4.element import NavigableString, Tag

from tools import toc

ROOT = toc.ROOT
LEFT_OUT = ("Exercises", "Further reading")
LONGEST = 260  # signs of a sentence on a slide; more becomes a note
ROWS = 9  # of a table
POINTS = 7  # of a list
MOST = 2  # formulas on one slide
_DEMO = re.compile(r"^demo-")


class SlideError(Exception):
    """A page has no such slides; the message says what is missing."""


class Deck(NamedTuple):
    """A part of the book: the name of its file, its caption, its chapters."""

    name: str
    title: str
    chapters: list[str]


class Slide(NamedTuple):
    """One slide: its kind, what stands above it, its HTML, the notes as HTML, where it comes from."""

    kind: str
    title: str
    body: str
    notes: str
    source: str


def decks(root: Path = ROOT) -> list[Deck]:
    """A deck for each part whose pages have cells."""
    found: dict[str, list[str]] = {}
    for page in toc.chapters(root):
        if page.part and page.path.suffix == ".md" and page.path.exists() and toc.read(page.path).cells:
            found.setdefault(page.part, []).append(page.name)
    found.pop(toc.TEACH, None)
    return [Deck(_name(part), part, names) for part, names in found.items()]


def _name(part: str) -> str:
    return re.sub(r"\W+", "_", re.sub(r"^[IVX]+ ", "", part)).strip("_").lower()


# -- pieces of a page ----------------------------------------------------------------------------------------------


def _plain(node: Tag) -> str:
    """The words of a heading; a chapter keeps its number, a section's is left out."""
    words = " ".join(node.get_text().replace("#", "").split())
    return words if node.name == "h1" else re.sub(r"^\d+(\.\d+)+\.? ", "", words)


def _inner(node: Tag) -> str:
    return "".join(str(child) for child in node.children).strip()


def opening(paragraph: Tag, longest: int = LONGEST) -> str:
    """The first sentences of a paragraph, as HTML, at most so many signs of them and at least one."""
    out, length = copy.copy(paragraph), 0
    cut = False
    for child in list(out.children):
        if cut:
            child.extract()
            continue
        text = child if isinstance(child, NavigableString) else child.get_text()
        if isinstance(child, NavigableString):
            ends = [
                m.end()
                for m in re.finditer(r"[.!?](?=\s|$)", text)
                if not re.match(r"\s*\(?[a-c]\)?\.$", text[: m.end()])
            ]
            later = [end for end in ends if length + end > longest]
            before = [end for end in ends if length + end <= longest]
            if later and (before or length > 0 or longest < length + later[0]):
                end = before[-1] if before else later[0]
                child.replace_with(NavigableString(text[:end]))
                cut = True
                continue
        length += len(text)
    return _inner(out)


def predicted(box: Tag) -> str:
    """A Predict box with its choices one below the other."""
    rows = []
    for paragraph in box.find_all("p", recursive=False):
        if "admonition-title" in (paragraph.get("class") or []):
            continue
        pieces = re.split(r"(?:(?<=[\s>,;.?:])|^)\(([a-e])\)\s", _inner(paragraph))
        rows.append(f"<p>{pieces[0].strip()}</p>")
        choices = [f"<li>{text.strip().rstrip(';,')}</li>" for _, text in zip(pieces[1::2], pieces[2::2], strict=True)]
        if choices:
            rows.append(f'<ol class="choices">{"".join(choices)}</ol>')
    return "".join(rows)


def walk(section: Tag) -> Iterator[tuple[str, Tag]]:
    """The blocks of a section in the order of the page, with the heading above each; sections in it are entered."""
    head = ""
    for child in section.children:
        if not isinstance(child, Tag):
            continue
        if child.name in ("h1", "h2", "h3", "h4"):
            head = _plain(child)
        elif child.name == "section":
            yield from walk(child)
        else:
            yield head, child


def clean(node: Tag, page: str) -> Tag:
    """A copy that may stand in a deck: no anchors, links as seen from the decks' folder, no controls of the page."""
    out = copy.copy(node)
    for extra in out.select(".headerlink, .copybtn, .toggle-button, script"):
        extra.decompose()
    for inside in [out, *out.find_all(True)]:
        if not _DEMO.match(str(inside.get("id", ""))):
            inside.attrs.pop("id", None)
        inside.attrs.pop("tabindex", None)
    for image in [*([out] if out.name == "img" else []), *out.find_all("img")]:
        image.attrs.pop("loading", None)
        image["decoding"] = "async"
    for link in out.find_all("a", href=True):
        parts = urlsplit(str(link["href"]))
        if parts.scheme or parts.netloc:
            continue
        if not parts.path:
            link["href"] = f"../book/{page}.html#{parts.fragment}"
        elif not parts.path.startswith("../"):
            link["href"] = "../book/" + str(link["href"])
    return out


def _classes(node: Tag) -> list[str]:
    return [str(one) for one in node.get("class") or []]


def _answer(paragraph: Tag | None) -> bool:
    return paragraph is not None and bool(re.match(r"\s*(?:Between )?\(([a-e])\)", paragraph.get_text()))


class _Maker:
    """Slides of one chapter, gathered while its page is read."""

    def __init__(self, page: str, demos: dict[str, str]):
        self.page, self.demos = page, demos
        self.slides: list[Slide] = []
        self.notes: list[str] = []
        self.title = self.anchor = ""
        self.said: Tag | None = None  # the paragraph before, which leads to what comes
        self.opened: Tag | None = None  # that of the chapter's own slide: its demo, next, need not say it again

    def add(self, kind: str, body: str, title: str = "", more: str = "") -> None:
        source = f"../book/{self.page}.html" + (f"#{self.anchor}" if self.anchor else "")
        self.slides.append(Slide(kind, title or self.title, body, "".join(self.notes) + more, source))
        self.notes = []

    def spill(self) -> None:
        """What nobody showed becomes the note of the last slide."""
        if self.notes and self.slides:
            last = self.slides[-1]
            self.slides[-1] = last._replace(notes=last.notes + "".join(self.notes))
        self.notes = []

    def caption(self, following: Tag | None) -> str:
        if following is None or following.name != "p":
            return ""
        return f'<p class="caption">{opening(clean(following, self.page))}</p>'

    def block(self, head: str, block: Tag, following: Tag | None) -> None:
        classes = _classes(block)
        here = clean(block, self.page)
        if block.name == "p":
            self.notes.append(str(here))
            self.said = here
            return
        if "admonition" in classes and block.name == "div":
            self._admonition(head, here, classes)
        elif "math" in classes or (block.name == "div" and block.find("div", class_="math", recursive=False)):
            self._formula(head, here)
        elif block.name in ("ul", "ol") and len(block.find_all("li", recursive=False)) <= POINTS:
            if "chapter-links" not in classes:
                lead = f"<p>{opening(self.said)}</p>" if self.said is not None else ""
                self.add("points", lead + str(here), head)
        elif (table := block if block.name == "table" else block.find("table")) is not None and "cell" not in classes:
            if len(table.find_all("tr")) <= ROWS + 1:
                self.add("table", str(clean(table, self.page)), head)
        elif "cell" in classes or block.select_one(".cell_output"):
            self._outputs(head, block, following)
        self.said = None

    def _admonition(self, head: str, here: Tag, classes: list[str]) -> None:
        title = here.find("p", class_="admonition-title")
        words = _plain(title) if title else ""
        if words == "Predict":
            self.add("predict", predicted(here), head)
        elif not {"exercise", "solution", "dropdown"} & set(classes):
            if title:
                title.decompose()
            if len(here.get_text()) <= 3 * LONGEST:
                if re.match(r"Slides? \d", words):  # of the talk, not of this deck
                    words = f"{head}: {words[0].lower()}{words[1:]} of the talk"
                self.add("note", _inner(here), words if words not in ("Note", "Warning") else head)
            else:
                self.notes.append(_inner(here))

    def _formula(self, head: str, here: Tag) -> None:
        lead = f"<p>{opening(self.said)}</p>" if self.said is not None else ""
        last = self.slides[-1] if self.slides else None
        # formulas that follow each other within a few lines stand on one slide
        if (
            last
            and last.kind == "formula"
            and last.title == (head or self.title)
            and last.body.count('<div class="math') < MOST
        ):
            if sum(len(note) for note in self.notes) < 700:
                self.slides[-1] = last._replace(
                    body=last.body + lead + str(here), notes=last.notes + "".join(self.notes)
                )
                self.notes = []
                return
        self.add("formula", lead + str(here), head)

    def _outputs(self, head: str, block: Tag, following: Tag | None) -> None:
        for found in block.select("img.softattn-figure, .softattn-demo"):
            if found.find_parent(class_="softattn-demo") is not None:
                continue
            if "softattn-demo" in (found.get("class") or []):
                name = str(found.get("data-demo"))
                body = self.demos.get(name) or str(clean(found, self.page))
                said = "" if following is self.opened else self.caption(following)
                self.add("demo", f'<div class="stage-demo">{body}</div>{said}', head)
            else:
                image = clean(found, self.page)
                image.attrs.pop("style", None)
                alt = f"<p><i>{html.escape(str(found.get('alt', '')))}</i></p>"
                self.add("figure", str(image) + self.caption(following), head, alt)


def chapter(text: str, page: str, demos: dict[str, str] | None = None) -> list[Slide]:
    """The slides of a chapter.

    Args:
        text: of its built page.
        page: its name.
        demos: live ones, by name, as HTML; without one its picture stands.

    Returns:
        The slides in the page's order, the title first.

    Raises:
        SlideError: if the page has no article.
    """
    article = bs4.BeautifulSoup(text, "html.parser").select_one("article.bd-article")
    section = article.find("section") if article else None
    if section is None:
        raise SlideError(f"{page}.html has no article: build the site again (make book)")
    maker = _Maker(page, demos or {})
    head = section.find("h1")
    maker.title = _plain(head) if head else page
    before = [
        node
        for node in section.children
        if isinstance(node, Tag)
        and node.name != "section"
        and node is not head
        and "chapter-part" not in _classes(node)
    ]
    first = next(
        (node.select_one(".softattn-demo, img.softattn-figure") for node in before if node.select_one(".cell_output")),
        None,
    )
    words = next((node for node in before if node.name == "p"), None)
    maker.opened = words
    maker.add("chapter", f"<p>{opening(clean(words, page))}</p>" if words is not None else "")
    for k, node in enumerate(before):
        following = next((later for later in before[k + 1 :]), None)
        if node.name == "p":
            maker.notes.append(str(clean(node, page)))
        elif first is not None and first in node.find_all(True):
            maker.block("", node, following)
    maker.spill()
    for part in section.find_all("section", recursive=False):
        title = part.find(["h2", "h3"])
        maker.title = _plain(title) if title else ""
        maker.anchor = str(part.get("id", ""))
        if maker.title in LEFT_OUT:
            continue
        blocks = list(walk(part))
        for k, (words, block) in enumerate(blocks):
            following = blocks[k + 1][1] if k + 1 < len(blocks) else None
            maker.block(words or maker.title, block, following)
        maker.spill()
        maker.said = None
    return _with_answers(maker.slides)


def _with_answers(slides: list[Slide]) -> list[Slide]:
    """The sentence that answers a Predict box, as a note of its slide too."""
    found = []
    for k, slide in enumerate(slides):
        if slide.kind == "predict":
            for later in slides[k : k + 8]:
                if later.kind == "predict" and later is not slide:
                    break
                pieces = bs4.BeautifulSoup(later.notes, "html.parser").find_all("p")
                answer = next((piece for piece in pieces if _answer(piece)), None)
                if answer is not None:
                    slide = slide._replace(notes=f'<p class="answer">Answer: {_inner(answer)}</p>' + slide.notes)
                    break
        found.append(slide)
    return found


# -- a deck ----------------------------------------------------------------------------------------------------


def document(deck: Deck, slides: list[Slide], title: str, head: str) -> str:
    """A deck as a page: the first slide, the chapters' slides, the bar below."""
    names = [slide for slide in slides if slide.kind == "chapter"]
    links = "".join(f"<li>{html.escape(slide.title)}</li>" for slide in names)
    cover = Slide(
        "cover", deck.title, f'<p>{html.escape(title)}</p><ol class="chapters">{links}</ol>', "", "../book/index.html"
    )
    rows = []
    everything = [cover, *slides]
    for number, slide in enumerate(everything, 1):
        level = "h1" if slide.kind == "cover" else "h2"
        label = html.escape(f"{number} of {len(everything)}")
        rows.append(
            f'<section class="slide {slide.kind}" id="{number}" aria-roledescription="slide" aria-label="{label}">'
            f'<div class="face"><{level}>{html.escape(slide.title)}</{level}><div class="body">{slide.body}</div></div>'
            f'<aside class="notes" aria-label="Notes">{slide.notes}<p class="from">'
            f'<a href="{slide.source}">In the book</a></p></aside></section>'
        )
    bar = (
        '<nav class="bar" aria-label="Slides"><button type="button" data-go="-1" aria-label="back">&#8592;</button>'
        f'<span class="at" role="status">1 / {len(everything)}</span>'
        '<button type="button" data-go="1" aria-label="on">&#8594;</button>'
        '<button type="button" data-do="notes">notes</button><button type="button" data-do="all">all</button>'
        '<button type="button" data-do="dark">dark</button></nav>'
    )
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(deck.title)}: slides</title>"
        f'<link rel="stylesheet" href="../_static/slides.css">{head}'
        '<script src="../_static/slides.js" defer></script></head>'
        f'<body><main class="bd-article">{"".join(rows)}</main>{bar}</body></html>\n'
    )


def mathjax(text: str) -> str:
    """The scripts of a page that set formulas, as seen from the decks."""
    soup = bs4.BeautifulSoup(text, "html.parser")
    return "".join(str(one) for one in soup.select("head script") if "mathjax" in str(one).lower())


def build(site: Path, asleep: Callable[[str, Path, str], list[str]], root: Path = ROOT) -> dict[str, int]:
    """Write the decks of a built site to its folder slides/.

    Args:
        site: the built site.
        asleep: cuts the demos out of a page (`moves.asleep` of book/_ext), as HTML that sleeps until it is reached.
        root: the repository.

    Returns:
        The number of slides of each deck.

    Raises:
        SlideError: if a chapter's page is not there.
    """
    import yaml

    title = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))["title"]
    made = {}
    for deck in decks(root):
        slides, head = [], ""
        for name in deck.chapters:
            path = site / "book" / f"{name}.html"
            if not path.exists():
                raise SlideError(f"there is no page of {name}: build the site first (make book)")
            text = path.read_text(encoding="utf-8")
            demos = {}
            for piece in asleep(text, site / "_static" / "demos", "../_static/demos/"):
                if found := re.search(r'data-demo="(\w+)"', piece):
                    demos[found[1]] = piece
            slides += chapter(text, name, demos)
            head = head or mathjax(text)
        out = site / "slides" / f"{deck.name}.html"
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(document(deck, slides, title, head), encoding="utf-8")
        made[deck.name] = len(slides) + 1
    return made


def main(argv: list[str] | None = None) -> int:
    import importlib.util

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--html", type=Path, default=ROOT / "_build" / "html")
    options = parser.parse_args(argv)
    spec = importlib.util.spec_from_file_location("moves", ROOT / "book" / "_ext" / "moves.py")
    assert spec is not None and spec.loader is not None
    moves = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(moves)
    try:
        made = build(options.html, moves.asleep)
    except SlideError as err:
        print(f"slides: {err}", file=sys.stderr)
        return 1
    for name, count in made.items():
        print(f"{options.html / 'slides' / name}.html: {count} slides")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The glossary: every letter that a chapter declares stands there, every symbol too; each word leads to a chapter."""

import re

import pytest

from tools import letters, toc

bs4 = pytest.importorskip("bs4")
PAGES = [page for page in toc.chapters() if page.path.suffix == ".md" and page.path.exists()]
PAGES_BY_NAME = {page.name: page for page in PAGES}


@pytest.fixture(scope="module")
def text(root):
    return (root / "book" / "glossary.md").read_text(encoding="utf-8")


def test_letters_are_read_from_a_paragraph():
    text = "A line.\n\nLetters: `T` steps, `B` images (many), `N` and `M` filters along\na side; `H` rows."
    text += " $c_t$ is the canvas.\n\n`Q` no."
    found = [(one.letter, one.words) for one in letters.declared("draw", text)]
    assert found == [
        ("T", "steps"),
        ("B", "images"),
        ("N", "filters along a side"),
        ("M", "filters along a side"),
        ("H", "rows"),
    ]
    assert letters.symbols(text) == ["c_t"]
    assert letters.declared("draw", "No letters.") == []
    table = letters.table(
        [letters.Letter("T", "steps", "draw"), letters.Letter("T", "time", "a"), letters.Letter("T", "time", "b")]
    )
    assert table.splitlines()[-1] == "| `T` | time: {doc}`a <a>`, {doc}`b <b>` <br> steps: {doc}`draw <draw>` |"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_chapter_declares_is_read(page):
    """A letter between backticks in that paragraph, whatever words stand around it."""
    text = page.path.read_text(encoding="utf-8")
    said = set(re.findall(r"`([A-Za-z])`", letters.paragraph(text)))
    assert {one.letter for one in letters.declared(page.name, text)} == said
    assert all(2 < len(one.words) < 90 for one in letters.declared(page.name, text))


def test_a_main_chapter_declares_its_letters():
    for page in PAGES:
        if re.match(r"(I|II|III|IV) ", page.part):
            assert letters.declared(page.name, page.path.read_text(encoding="utf-8")), page.name


def test_every_symbol_of_those_paragraphs_stands_in_the_table(text):
    rows = text.split("## Symbols of the formulas")[1]
    known = set(re.findall(r"\\?[A-Za-z]+", " ".join(re.findall(r"^\| ([^|]+)\|", rows, re.M))))
    known |= {one.letter for one in letters.letters()} | {"\\cdot", "\\hat", "\\tilde"}
    for page in PAGES:
        for formula in letters.symbols(page.path.read_text(encoding="utf-8")):
            used = re.findall(r"\\?[A-Za-z]+", re.sub(r"\\text\{[^}]*\}", "", formula))
            missing = [symbol for symbol in used if symbol not in known]
            assert not missing, f"{page.name}: {missing} of ${formula}$ are not in the glossary's table of symbols"


def test_every_word_has_an_entry_that_leads_to_a_chapter(text):
    block = re.search(r"```\{glossary\}\n(.*?)```", text, re.S)[1]
    entries = re.findall(r"^(\S.*)\n((?:  .*\n)+)", block, re.M)
    names = {page.name for page in PAGES}
    words = [word for word, _ in entries]
    assert len(words) > 35 and words == sorted(words, key=str.lower) and len(set(words)) == len(words)
    for word, definition in entries:
        chapters = re.findall(r"\{doc\}`(\w+)`", definition)
        assert chapters and set(chapters) <= names, f"{word}: name its chapter"
        assert len(definition) < 300


def test_every_word_is_used_in_one_of_its_chapters(text):
    """Else no page would link to it."""
    import glossary

    block = re.search(r"```\{glossary\}\n(.*?)```", text, re.S)[1]
    for word, definition in re.findall(r"^(\S.*)\n((?:  .*\n)+)", block, re.M):
        also = [other for other, term in glossary.ALSO.items() if term == word]
        pattern = glossary._pattern(dict.fromkeys([word, *also], ("", "")))
        chapters = re.findall(r"\{doc\}`(\w+)`", definition)
        only = glossary.ONLY.get(word)
        assert only is None or only & set(chapters), word
        used = [name for name in chapters if pattern.search(_running((PAGES_BY_NAME[name]).path))]
        assert used, f"{word}: not in the running text of {chapters}"


def _running(path) -> str:
    """A chapter's prose: no cells, no formulas, no headings, no code."""
    words = re.sub(r"^---\n.*?\n---\n", "", path.read_text(encoding="utf-8"), flags=re.S)
    words = re.sub(r"^(`{3,})\{(?:code-cell|math)\}.*?^\1$", "", words, flags=re.S | re.M)
    return re.sub(r"^#.*$|`[^`]*`|\$[^$]*\$", "", words, flags=re.M)


def test_the_family_of_attention_is_in_it(text):
    """The relatives of the chapters `lineage` and `transformer`: what a reader looks up there."""
    block = re.search(r"```\{glossary\}\n(.*?)```", text, re.S)[1]
    words = set(re.findall(r"^(\S.*)$", block, re.M))
    assert words >= {
        "causal mask", "content-based addressing", "context vector", "dot-product attention", "KV cache",
        "location-aware attention", "multi-head attention", "Neural Turing Machine", "positional encoding",
        "rotary positions", "self-attention", "transformer", "mutant", "oracle",
    }  # fmt: skip


def test_no_chapter_marks_its_terms():
    """They are found when the pages are built; a role would have to be resolved in the notebooks."""
    for page in PAGES:
        assert "{term}" not in page.path.read_text(encoding="utf-8"), page.name


def test_the_first_mention_becomes_a_link():
    import glossary

    entries = {
        "forget gate": ("term-forget-gate", "The gate."),
        "CTC": ("term-CTC", "A loss."),
        "gate": ("term-gate", "A number."),
    }
    pattern, done = glossary._pattern(entries), set()
    pieces = glossary._pieces(
        "Forget gates are gates; a forget-gate, ctc and CTC.", pattern, entries, done, "../g.html"
    )
    links = [(piece.astext(), piece["refuri"], piece["reftitle"]) for piece in pieces if hasattr(piece, "attributes")]
    assert links == [
        ("Forget gates", "../g.html#term-forget-gate", "The gate."),
        ("gates", "../g.html#term-gate", "A number."),
        ("CTC", "../g.html#term-CTC", "A loss."),
    ]
    assert "".join(piece.astext() for piece in pieces) == "Forget gates are gates; a forget-gate, ctc and CTC."
    assert glossary._pieces("Another gate.", pattern, entries, done, "") == []


def test_another_word_for_a_term_leads_to_it_once():
    import glossary

    entries = {"teacher forcing": ("term-t", "The true past."), "teacher forced": ("term-t", "The true past.")}
    pattern, done = glossary._pattern(entries), set()
    found = glossary._pieces("It is teacher-forced; teacher forcing.", pattern, entries, done, "g.html")
    links = [piece.astext() for piece in found if hasattr(piece, "attributes")]
    assert links == ["teacher-forced"] and done == {"teacher forcing"}
    words = (toc.ROOT / "book" / "glossary.md").read_text(encoding="utf-8")
    assert all(f"\n{term}\n  " in words for term in {*glossary.ALSO.values(), *glossary.ONLY})


@pytest.mark.site
def test_pages_lead_to_the_glossary(root):
    html = root / "_build" / "html" / "book"
    glossary = bs4.BeautifulSoup((html / "glossary.html").read_text(encoding="utf-8"), "html.parser")
    anchors = {dt["id"] for dt in glossary.select("dt[id]")}
    for name in ("lstm", "window", "draw", "reading", "lineage", "transformer", "museum"):
        page = bs4.BeautifulSoup((html / f"{name}.html").read_text(encoding="utf-8"), "html.parser")
        links = [a["href"].split("#")[1] for a in page.select("a.term-link")]
        assert len(links) >= 3 and set(links) <= anchors and len(set(links)) == len(links), name
        assert all(a.get("title") for a in page.select("a.term-link"))
    rows = [[cell.get_text(" ", strip=True) for cell in row.select("td")] for row in glossary.select("table tr")]
    found = {row[0] for row in rows if row}
    assert {one.letter for one in letters.letters(root)} <= found

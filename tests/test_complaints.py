"""The complaints: each kind is a row, each row names where it was said, and a row that nothing was tried for is red."""

import re

import pytest

from tools import toc

# What people complained of, by the names of the rows: none may get lost.
KINDS = [
    {"runs", "tail", "dots", "digits", "lines", "words", "loops", "signs", "letters", "best"},
    {"page", "style", "svg", "inkml", "unp", "no times", "still", "sparse", "dense", "ends", "blank", "marks", "pipe",
     "dash", "mnist"},
    {"size", "wide", "dots out", "jagged", "png", "machine", "pen", "own"},
]  # fmt: skip


@pytest.fixture(scope="module")
def sources(root):
    return [toc.plain(cell.source) for cell in toc.read(root / "book" / "complaints.md").cells]


@pytest.fixture
def tables(sources):
    """The rows of each table, as the cells give them."""
    found, names = [], {"complaints": lambda about, rows: found.append(rows)}
    for source in sources:
        if "complaints(" in source and "def complaints" not in source:
            exec(source, names)
    return found


def test_each_kind_of_complaint_is_a_row(tables):
    assert [{row[0] for row in rows} for rows in tables] == KINDS
    assert [len(rows) for rows in tables] == [len(kinds) for kinds in KINDS], "no row twice"


def test_each_row_says_where_and_what_was_seen(tables):
    threads = []
    for name, says, of, then in (row for rows in tables for row in rows):
        assert says and then, name
        places = of.split(", ")
        assert places == ["our own trial"] or all(re.fullmatch(r"[\w.-]+/[\w.-]+#\d+", p) for p in places), name
        threads += places if places != ["our own trial"] else []
    assert len(set(threads)) == len(threads) >= 25


@pytest.fixture
def shown(sources, monkeypatch):
    """The function that makes a table, what came so far, and what it puts on the page."""
    import IPython.display

    pages: list = []
    monkeypatch.setattr(IPython.display, "display", lambda data, raw: pages.append(data))
    names: dict = {}
    for source in sources:
        if "def thread" in source or "def complaints" in source:
            exec(source, names)
    return names["complaints"], names["now"], pages


def test_a_row_that_nothing_was_tried_for_is_no_table(shown):
    complaints, now, pages = shown
    now["a"] = "it works"
    with pytest.raises(AssertionError, match="nothing was tried for .'b'"):
        complaints("x", [("a", "says", "own/er#1", "then"), ("b", "says", "own/er#1", "then")])
    now["b"] = ""
    with pytest.raises(AssertionError, match="nothing was tried"):
        complaints("x", [("b", "says", "own/er#1", "then")])
    assert not pages


def test_a_table_shows_what_came_and_links_where_it_was_said(shown):
    complaints, now, pages = shown
    now["a"] = "`<b>` & more"
    complaints("x", [("a", "says `this`", "ada/pen#12, bob/ink#3", "then"), ("a", "so", "our own trial", "then")])
    html = pages[0]["text/html"]
    assert html.count("<tr>") == 3 and html.count("<td>") == 8
    assert '<a href="https://github.com/ada/pen/issues/12">pen</a>' in html
    assert '<a href="https://github.com/bob/ink/issues/3">ink</a>' in html and "<td>our own trial</td>" in html
    assert "<td><code>&lt;b&gt;</code> &amp; more</td>" in html and "<code>this</code>" in html
    assert pages[0]["text/plain"].splitlines()[0].endswith("now: `<b>` & more")

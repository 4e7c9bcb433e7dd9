"""The PDF of the book: articles as parts of one document, page numbers read from a PDF, and one that is printed."""

import re
from pathlib import Path

import pytest

from tools import pdf, toc

ROOT = Path(__file__).resolve().parent.parent

bs4 = pytest.importorskip("bs4")

PAGE = """<html><head><link rel="stylesheet" href="a.css"></head><body><article class="bd-article"><h1 id="one">One
<a class="headerlink" href="#one">#</a></h1><p>See <a href="two.html#x">two</a>, <a href="three.html">three</a>,
<a href="#one">above</a> and <a href="https://example.org/">elsewhere</a>.</p><script>1</script>
<div class="softattn-demo" id="d"><p>Words.</p></div><details><summary>S</summary><p>folded</p></details>
<img src="i.png" loading="lazy" alt="A"></article></body></html>"""


def test_an_article_becomes_part_of_one_document(tmp_path):
    page = tmp_path / "one.html"
    page.write_text(PAGE, encoding="utf-8")
    found = pdf.article(page, ["data:image/png;base64,AA=="], {"one", "two"})
    assert found["id"] == "one" and found.h2["id"] == "one--one" and found.find("h1") is None
    links = {a.get_text(): a["href"] for a in found.find_all("a")}
    assert links == {"two": "#two--x", "above": "#one--one", "elsewhere": "https://example.org/"}
    assert "three" in found.get_text() and not found.find("script") and "open" in found.details.attrs
    assert found.select_one(".softattn-demo img")["alt"] == "Words."
    assert all("loading" not in img.attrs for img in found.find_all("img"))
    whole = pdf.document({"one": found}, {"one": "I Part"}, "A, b", pdf.head_of([page]))
    assert whole.count('<h1 class="part">I Part</h1>') == 1 and 'href="#one"' in whole and "a.css" in whole


def test_a_page_without_article_is_an_error(tmp_path):
    page = tmp_path / "one.html"
    page.write_text("<p>x</p>", encoding="utf-8")
    with pytest.raises(pdf.PdfError, match=r"one\.html has no article: build the site again"):
        pdf.article(page, [], set())


def test_page_numbers_are_read_from_a_pdf():
    text = (
        b"1 0 obj\n<</Type /Pages /Kids [2 0 R 5 0 R]>>\nendobj\n"
        b"2 0 obj\n<</Type /Pages /Kids [3 0 R 4 0 R]>>\nendobj\n"
        b"3 0 obj\n<</Type /Page>>\nendobj\n4 0 obj\n<</Type /Page>>\nendobj\n5 0 obj\n<</Type /Page>>\nendobj\n"
        b"6 0 obj\n<</one [3 0 R /XYZ 0 9 0]\n/two--a#20b [5 0 R /XYZ 0 9 0]>>\nendobj\n"
    )
    assert pdf.numbers(text) == {"one": 1, "two--a b": 3}


def test_without_a_site_it_says_what_to_do(tmp_path, capsys):
    assert pdf.main(["nochapter", "--out", str(tmp_path / "a.pdf")]) == 1
    assert "there is no page of nochapter: build the site first (make book)" in capsys.readouterr().err
    assert not (tmp_path / "a.pdf").exists()


@pytest.mark.slow
@pytest.mark.site
@pytest.mark.browser
def test_two_chapters_print_whole(tmp_path, capsys):
    """No cut line and no formula left raw (tools.pdf raises for either), bookmarks, links, a number on each page."""
    pytest.importorskip("playwright.sync_api")
    names = [one.name for one in toc.chapters(ROOT) if one.name in ("lstm", "bibliography")]
    out = tmp_path / "book.pdf"
    assert pdf.main([*names, "--out", str(out)]) == 0, capsys.readouterr().err
    text = pdf._objects(out.read_bytes())
    pages = int(re.search(r"(\d+) pages", capsys.readouterr().out)[1])
    assert pages > 15 and len(re.findall(r"/Type /Page\b(?!s)", text)) == pages
    assert "/Outlines" in text and "/URI" in text
    where = pdf.numbers(out.read_bytes())
    assert 2 < where["lstm"] < where["bibliography"] <= pages
    assert not (ROOT / "_build" / "html" / "book" / "book-as-one.html").exists()

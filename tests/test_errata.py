"""The errata: each slide once, each with a chapter that exists, and each correction with a section of its own."""

import re

from tools import toc

SLIDES = 33
# The slides that say something that a reader has to be told.
CORRECTED = {1, 7, 8, 9, 10, 12, 13, 16, 17, 22, 25, 27, 29, 30}


def rows(root) -> list[tuple[list[int], str, list[str]]]:
    """The table's rows: slides, what is added, chapters."""
    text = (root / "book" / "errata.md").read_text(encoding="utf-8")
    found = []
    for slides, more, chapters in re.findall(r"^\| slides? ([\d, ]+)\|[^|]*\|([^|]*)\|([^|]*)\|$", text, re.M):
        numbers = [int(n) for n in re.findall(r"\d+", slides)]
        found.append((numbers, more.strip(), re.findall(r"\{doc\}`[^<`]*<(\w+)>`", chapters)))
    return found


def test_every_slide_stands_once_with_its_chapter(root):
    table = rows(root)
    assert [n for numbers, _, _ in table for n in numbers] == list(range(1, SLIDES + 1))
    names = {page.name for page in toc.chapters(root)} | {"index"}
    for numbers, _, chapters in table:
        assert chapters and set(chapters) <= names, numbers


def test_a_correction_has_a_section_and_the_rest_says_that_nothing_is_added(root):
    text = (root / "book" / "errata.md").read_text(encoding="utf-8")
    anchors = set(re.findall(r"^\((errata-\d+)\)=\n## Slides? ", text, re.M))
    asked = set()
    for numbers, more, _ in rows(root):
        found = re.findall(r"<(errata-\d+)>", more)
        assert bool(found) is bool(CORRECTED & set(numbers)), numbers
        assert found or more == "nothing to add", numbers
        asked |= set(found)
    assert asked == anchors


def test_what_belongs_to_the_relatives_leads_to_them(root):
    table = {n: chapters for numbers, _, chapters in rows(root) for n in numbers}
    assert "lineage" in table[7] and "lineage" in table[27]
    words = (root / "book" / "lineage.md").read_text(encoding="utf-8")
    assert "**Captions.**" in words and "**Speech.**" in words

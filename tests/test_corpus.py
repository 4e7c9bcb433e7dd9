"""The frozen corpus: deterministic, whole sections held out, nothing held out that stands in the training part."""

import hashlib
import json

import pytest

from softattn.text import ALPHABET  # noqa: E402
from tools import corpus as tool

FILLER = "Words that fill a section up. " * 40 + "\n"


def make_book(root, sections=12, extra=""):
    """A book of one chapter, with the named number of long sections."""
    (root / "book").mkdir()
    (root / "softattn").mkdir()
    (root / "_toc.yml").write_text("format: jb-book\nroot: book/index\n")
    body = "".join(f"## Section {n}\n\n{FILLER}\n" for n in range(1, sections + 1))
    (root / "book" / "index.md").write_text(f"---\njupytext: {{}}\n---\n\n# Title\n\nOpening.\n\n{extra}{body}")
    (root / "softattn" / "hub.py").write_text('"""Hand-written."""\n')
    (root / "softattn" / "made.py").write_text('"""Generated: repeats a chapter."""\n')


def test_whole_sections_are_held_out_by_their_number(tmp_path):
    make_book(tmp_path, sections=26)
    text, card = tool.corpus(tmp_path)
    assert [s["heading"] for s in card["held_out"]] == ["Section 5", "Section 20"]
    train, held_out = text[: card["train_characters"]], text[card["train_characters"] :]
    assert "## Section 5\n" in held_out and "## Section 5\n" not in train and "## Section 6\n" in train
    assert held_out.startswith("## Section 5\n\nWords") and held_out.count("## Section") == 2
    assert len(held_out) == sum(s["characters"] for s in card["held_out"])


def test_front_matter_and_generated_modules_stay_out(tmp_path):
    make_book(tmp_path)
    text, card = tool.corpus(tmp_path)
    assert "jupytext" not in text and "Generated" not in text and "Hand-written" in text
    assert list(card["files"]) == ["book/index.md", "softattn/hub.py"]
    source = (tmp_path / "book" / "index.md").read_bytes()
    assert card["files"]["book/index.md"] == hashlib.sha256(source).hexdigest()


def test_short_sections_do_not_count(tmp_path):
    make_book(tmp_path, extra="## Short\n\nNothing.\n\n")
    assert [s["heading"] for s in tool.corpus(tmp_path)[1]["held_out"]] == ["Section 5"]


def test_a_heading_inside_a_fence_is_no_heading(tmp_path):
    make_book(tmp_path, extra="```python\n## not a heading\n```\n\n````md\n```\n## nor this\n```\n````\n\n")
    found = tool.sections(tmp_path / "book" / "index.md", tmp_path)
    assert [s.heading for s in found[:2]] == ["", "Section 1"]
    assert "## nor this" in found[0].text


def test_the_same_sources_give_the_same_bytes(tmp_path):
    make_book(tmp_path)
    tool.write(tmp_path)
    folder = tmp_path / "softattn" / "data"
    once = [(folder / name).read_bytes() for name in ("book.txt", "book.json")]
    tool.write(tmp_path)
    assert once == [(folder / name).read_bytes() for name in ("book.txt", "book.json")]
    assert json.loads(once[1])["sha256"] == hashlib.sha256(once[0]).hexdigest()


def test_a_character_without_plain_spelling_is_named_with_its_line(tmp_path):
    make_book(tmp_path, extra="A \u2018quoted\u2019 caf\u00e9.\n\nAnd \u6f22.\n\n")
    with pytest.raises(tool.CorpusError, match=r"book/index.md:11: '\\u6f22' has no plain spelling"):
        tool.corpus(tmp_path)
    assert not (tmp_path / "softattn" / "data").exists()


def test_a_book_too_short_to_hold_out_is_refused(tmp_path):
    make_book(tmp_path, sections=3)
    with pytest.raises(tool.CorpusError, match="too few sections"):
        tool.corpus(tmp_path)


def test_the_command_prints_the_fault_and_writes_nothing(tmp_path, monkeypatch, capsys):
    make_book(tmp_path, sections=3)
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    monkeypatch.setattr(tool.write, "__defaults__", (tmp_path,))
    assert tool.main([]) == 1
    assert "error: the book has too few sections" in capsys.readouterr().err
    assert not (tmp_path / "softattn" / "data").exists()


def test_the_shipped_corpus(root):
    folder = root / "softattn" / "data"
    text, card = (folder / "book.txt").read_text("utf-8"), json.loads((folder / "book.json").read_text("utf-8"))
    train, held_out = text[: card["train_characters"]], text[card["train_characters"] :]
    assert card["rule"] == tool.RULE and card["alphabet"] == ALPHABET and card["characters"] == len(text)
    assert len(held_out) == sum(s["characters"] for s in card["held_out"])
    pieces = {train[i : i + 200] for i in range(len(train) - 199)}
    copied = sum(held_out[i : i + 200] in pieces for i in range(len(held_out) - 199)) / len(held_out)
    assert copied < 0.02, "a page of the held-out part stands in the training part as well"
    assert not any(name.startswith("softattn/") and not name.split("/")[1].startswith("_") for name in card["files"])

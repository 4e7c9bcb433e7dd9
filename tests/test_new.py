"""`make new`: the skeleton of a chapter passes what every chapter has to pass."""

import shutil
import subprocess
import sys

import pytest

from tools import count, exercises, export, new, notebooks, toc


@pytest.fixture
def house(root, tmp_path):
    """A small repository with one part."""
    (tmp_path / "book").mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / "softattn").mkdir()
    for name in ("_config.yml", "pyproject.toml", "softattn/__init__.py", "book/references.bib", "book/pictures.md"):
        shutil.copy(root / name, tmp_path / name)
    head = "format: jb-book\nroot: book/first\nparts:\n"
    parts = '  - caption: "IV Draw"\n    chapters:\n      - file: book/first\n  - caption: "Toolbox"\n    chapters:\n'
    (tmp_path / "_toc.yml").write_text(head + parts + "      - file: book/pictures\n")
    (tmp_path / "book" / "first.md").write_text("# First\n")
    return tmp_path


def test_a_skeleton_exports_becomes_a_notebook_and_is_formatted(house, root):
    made = new.begin("glimpse", "IV Draw", "Glimpse: reading in clutter", house)
    assert [path.name for path in made] == ["glimpse.md", "test_glimpse.py"]
    page = next(page for page in toc.chapters(house) if page.name == "glimpse")
    assert page.part == "IV Draw" and (house / "_toc.yml").read_text().count("file:") == 3
    module = export.collect(house)["glimpse"]
    assert "def glimpse_square(" in module.text
    assert "glimpse.ipynb" in notebooks.collect(["glimpse"], house)
    assert count.count(page).over() == {} and count.count(page).minutes == 45
    (house / "softattn" / "glimpse.py").write_text(module.text)
    for words in ("check", "format --check"):
        command = [sys.executable, "-m", "ruff", *words.split(), "softattn/glimpse.py", "tests/test_glimpse.py"]
        done = subprocess.run(command, cwd=house, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    found = exercises.find(page.path)
    assert [one.label for one in found] == [f"glimpse-{kind}" for kind in new.KINDS]
    assert [fault for one in found for fault in exercises.faults(one)] == []


@pytest.mark.parametrize(
    ("name", "part", "words"),
    [
        ("Glimpse", "IV Draw", "a Python name in lower case"),
        ("site", "IV Draw", "the standard library does not have"),
        ("class", "IV Draw", "a Python name"),
        ("first", "IV Draw", "first.md is there already"),
        ("glimpse", "IX Sing", "there are: IV Draw, Toolbox"),
    ],
)
def test_what_cannot_be_begun(house, name, part, words):
    before = sorted(path for path in house.rglob("*"))
    with pytest.raises(new.NewError, match=words):
        new.begin(name, part, "Title", house)
    assert sorted(path for path in house.rglob("*")) == before

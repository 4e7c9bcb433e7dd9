"""Freeze the book's own text as the corpus that the chapter `prediction` learns from.

python -m tools.corpus          write softattn/data/book.txt and its card book.json
python -m tools.corpus --list   print the sections and which are held out; write nothing

The text is what stands in the chapters of _toc.yml, in reading order and without their front matter, and in the
hand-written modules of the package. The generated modules are left out: they repeat the chapters' export cells, and a
held-out section must not stand in the training part a second time. Typography is made plain by
`softattn.prediction.plain_text`.

A section goes from one heading of level 2 to the next; what stands before the first one is a section too. Of the
sections with at least 1000 characters, counted from 1, the fifth and every fifteenth after it is held out. book.txt
holds the training part, then the held-out part. Nothing here depends on the date: the same sources give the same bytes.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import NamedTuple

from softattn.hub import atomic_write
from softattn.text import ALPHABET, plain_text
from tools import toc
from tools.markdown import body_start, headings

ROOT = Path(__file__).resolve().parent.parent
LEAST, FIRST, EVERY = 1000, 5, 15
RULE = (
    f"of the chapters' sections with at least {LEAST} characters, in reading order and counted from 1, "
    f"number {FIRST} and every {EVERY}th after it"
)


class CorpusError(Exception):
    """The corpus cannot be made; the message names the file and the line."""


class Section(NamedTuple):
    """A part of a chapter: its file, its heading ("" before the first) and its plain text."""

    file: str
    heading: str
    text: str


def body(text: str) -> str:
    """Leave out the front matter, if there is one."""
    lines = text.splitlines(keepends=True)
    if lines and lines[0].strip() == "---":
        for i, line in enumerate(lines[1:], start=1):
            if line.strip() == "---":
                return "".join(lines[i + 1 :])
    return text


def plain(path: Path, root: Path) -> str:
    """Read a file in the alphabet of the corpus, or say which character stands in the way, and where."""
    source = path.read_text(encoding="utf-8")
    for number, line in enumerate(source.splitlines(), start=1):
        if unknown := sorted(set(plain_text(line)) - set(ALPHABET)):
            name = path.relative_to(root).as_posix()
            raise CorpusError(
                f"{name}:{number}: {', '.join(map(ascii, unknown))} has no plain spelling; "
                "add one to PLAIN in book/prediction.md, or write it differently"
            )
    return plain_text(source)


def sections(path: Path, root: Path = ROOT) -> list[Section]:
    """Cut a chapter at its headings of level 2, those inside code fences left alone."""
    name, parts, heading = path.relative_to(root).as_posix(), [[]], [""]
    lines = plain(path, root).splitlines(keepends=True)
    starts = {line: words for line, depth, words in headings([line.rstrip("\n") for line in lines]) if depth == 2}
    for number, line in enumerate(lines[body_start(lines) :], body_start(lines) + 1):
        if number in starts:
            parts.append([])
            heading.append(starts[number])
        parts[-1].append(line)
    texts = ["".join(part).strip("\n") + "\n\n" for part in parts]
    return [Section(name, h, t) for h, t in zip(heading, texts, strict=True) if t.strip()]


def chosen(found: list[Section]) -> list[Section]:
    """The sections that the rule holds out."""
    return [section for section in found if len(section.text) >= LEAST][FIRST - 1 :: EVERY]


def corpus(root: Path = ROOT) -> tuple[str, dict]:
    """Make the text and its card.

    Returns:
        The text, training part first, and the card: sha256, lengths, alphabet, rule, files, held-out sections.
    """
    chapters = [chapter.path for chapter in toc.chapters(root)]
    modules = [root / "softattn" / f"{name}.py" for name in toc.HAND_WRITTEN]
    found = [section for path in chapters for section in sections(path, root)]
    held_out = chosen(found)
    if not held_out:
        raise CorpusError(
            f"the book has too few sections of {LEAST} characters or more to hold one out; expected at least {FIRST}"
        )
    train = [section.text for section in found if section not in held_out]
    train += [plain(path, root).strip("\n") + "\n\n" for path in modules if path.exists()]
    text = "".join(train) + "".join(section.text for section in held_out)
    files = [*chapters, *(path for path in modules if path.exists())]
    card = {
        "sha256": hashlib.sha256(text.encode("utf-8")).hexdigest(),
        "characters": len(text),
        "train_characters": sum(map(len, train)),
        "alphabet": ALPHABET,
        "rule": RULE,
        "held_out": [{"file": s.file, "heading": s.heading, "characters": len(s.text)} for s in held_out],
        "files": {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
    }
    return text, card


def write(root: Path = ROOT) -> dict:
    """Write book.txt and book.json, both or neither; return the card."""
    text, card = corpus(root)
    folder = root / "softattn" / "data"
    folder.mkdir(exist_ok=True)
    with atomic_write(folder / "book.json") as described, atomic_write(folder / "book.txt") as kept:
        kept.write_bytes(text.encode("utf-8"))
        described.write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")
    return card


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--list", action="store_true", help="print the sections and write nothing")
    options = parser.parse_args(argv)
    try:
        if options.list:
            found = [section for chapter in toc.chapters(ROOT) for section in sections(chapter.path)]
            for section in found:
                mark = "held out" if section in chosen(found) else ""
                print(f"{len(section.text):7d} {mark:8s} {section.file}: {section.heading or '(opening)'}")
            return 0
        card = write()
    except (CorpusError, toc.ChapterError, OSError) as err:
        print(f"error: {err}", file=sys.stderr)
        return 1
    held_out = card["characters"] - card["train_characters"]
    print(f"softattn/data/book.txt: {card['train_characters']} characters to learn from, {held_out} held out")
    print("The figures of book/prediction.md move with it: execute the chapter again and read what its prose says.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

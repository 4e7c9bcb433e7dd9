"""List the numbers in the chapters' prose that no cell beside them asserts, computes or reads from a stored result.

python -m tools.claims             every such number: file, line, number, sentence; accepted ones marked
python -m tools.claims lstm draw   those of some chapters
python -m tools.claims --check     exit 1 if there is one that tools/claims.txt does not accept, or if that file accepts
                                   what no chapter says any more
python -m tools.claims --prune     take from tools/claims.txt what no chapter says any more
python -m tools.claims --seed      write tools/claims.txt, which must not be there, with all that is found

A number is held by its section, from one heading of level 2 to the next, if it or its rounding is a constant in the
code there (an assertion, a comparison, a size), lies between the bounds of a comparison there, or stands in a result
(`results(NAME)`) or a card (`load(NAME)`) that the section reads. Percentages count as shares, "twice" as 2, "a third"
as 1/3. Left alone are the minutes after **Time** and of exercises, formulas, code, citations, references to sections,
equations, slides and tables, years, numbers below 2, and the part Teach, whose numbers are plans. The file of accepted
numbers may only shrink: a new number needs a cell.
"""

import argparse
import ast
import json
import math
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from markdown_it.token import Token

from tools import toc
from tools.markdown import Block, blocks, body_start, parser

ACCEPTED = Path(__file__).resolve().with_name("claims.txt")
UNREAD = {"solution", "solution-start", "bibliography", "raw", "math", "code-block", "figure", "toctree", "glossary"}

_NUMBER = re.compile(
    r"(?<![\w.,/^_=:])(?<![\w.)]-)(?P<digits>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
    r"(?P<percent>\s?(?:%|per cent\b))?(?![\w^_]|\.\d|:\d)"
    r"|\b(?P<word>twice|thrice|(?:a |one )?half (?:of|the|as|its)|a third|two thirds|a quarter of|three quarters"
    r"|(?:two|three|four|five|six|seven|eight|nine|ten|twenty|fifty|a hundred|a thousand) times)\b",
    re.I,
)
_POINTS_TO = re.compile(
    r"(?:sections?|chapters?|equations?|eqs?\.|slides?|tables?|figures?|fig\.|pages?|pp?\.|parts?|exercises?|version|"
    r"Python|PyTorch|torch|CC BY|seeds?|steps?|issue|no\.|lines?|rows?|cells?)\s+"
    r"(?:\d[\d.,]*(?:\s*(?:to|and|-|,)\s*)?)*$",
    re.I,
)
_WORDS = {
    "twice": 2, "thrice": 3, "a third": 1 / 3, "two thirds": 2 / 3, "a quarter of": 0.25, "three quarters": 0.75,
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "twenty": 20,
    "fifty": 50, "a hundred": 100, "a thousand": 1000,
}  # fmt: skip


class Claim(NamedTuple):
    """A number in prose that nothing beside it holds; line is that of its paragraph in the chapter."""

    chapter: str
    line: int
    number: str
    sentence: str

    @property
    def key(self) -> str:
        """How the file of accepted numbers names it."""
        return f"{self.chapter}\t{self.number}\t{self.sentence[:100]}"


class Held(NamedTuple):
    """What the code of a section holds: numbers as they stand, and bounds of comparisons."""

    numbers: set[float]
    bounds: list[tuple[float, float]]

    def holds(self, value: float, digits: int) -> bool:
        """Whether a number with so many decimals is one of these, or the rounding of one."""
        step = 0.5 * 10.0**-digits * (1 + 1e-9)
        near = any(abs(value - number) <= step or _same(value, number) for number in self.numbers)
        return near or any(low <= value <= high for low, high in self.bounds)


def _same(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=1e-9)


def code(sources: Iterable[str], root: Path = toc.ROOT) -> Held:
    """What the cells of a section hold."""
    numbers: set[float] = set()
    bounds: list[tuple[float, float]] = []
    for source in sources:
        for node in ast.walk(ast.parse(toc.plain(source))):
            if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
                numbers.add(abs(float(node.value)))
            elif isinstance(node, ast.BinOp | ast.UnaryOp) and (value := _value(node)) is not None:
                numbers.add(abs(value))
            elif isinstance(node, ast.Compare):
                ends = [_value(part) for part in (node.left, *node.comparators)]
                known = sorted(abs(end) for end in ends if end is not None)
                if len(known) >= 2 and known[-1] <= 2 * known[0]:
                    bounds.append((known[0], known[-1]))
            elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                folder = {"load": "softattn/weights", "results": "bench/results"}.get(called)
                path = root / (folder or "") / f"{node.args[0].value}.json"
                if folder and path.is_file():
                    numbers |= set(_stored(json.loads(path.read_text(encoding="utf-8"))))
    return Held(numbers, bounds)


def _value(node: ast.expr) -> float | None:
    """What an expression of constants alone comes to, or None."""
    allowed = (ast.Constant, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop)
    if not all(isinstance(child, allowed) for child in ast.walk(node)):
        return None
    if any(isinstance(child, ast.Pow) for child in ast.walk(node)) and len(ast.unparse(node)) > 12:
        return None
    try:
        found = eval(compile(ast.Expression(node), "constant", "eval"), {"__builtins__": {}})
        return float(found)
    except (ArithmeticError, TypeError, ValueError):
        return None


def _stored(value: object) -> Iterator[float]:
    """The numbers of a card or a result; those of long lists, curves, are left out."""
    if isinstance(value, bool):
        return
    if isinstance(value, int | float):
        yield abs(float(value))
    elif isinstance(value, dict):
        for part in value.values():
            yield from _stored(part)
    elif isinstance(value, list) and len(value) <= 12:
        for part in value:
            yield from _stored(part)


def words(tokens: Iterable[Token]) -> str:
    """The text of inline tokens; formulas, code, roles and links' targets are left out."""
    kept = []
    for token in tokens:
        if token.type == "text":
            kept.append(token.content)
        elif token.type in ("softbreak", "hardbreak"):
            kept.append(" ")
        elif token.type in ("code_inline", "math_inline", "math_single", "math_inline_double", "myst_role", "image"):
            kept.append("\u25a1")  # a place holder: "2 □" is not "2"
    return "".join(kept)


def paragraphs(lines: tuple[str, ...] | list[str], line: int) -> Iterator[tuple[int, str]]:
    """(line, text) of each paragraph, list item and table cell, directives' bodies included."""
    skipped = False
    for block in blocks(lines, line):
        if block.kind == "directive":
            kind, _, edge = block.name.partition("-")
            skipped = edge == "start" if kind == "solution" else skipped
            if block.name not in UNREAD and block.name != "code-cell" and not skipped:
                yield from paragraphs(block.body, block.body_line)
        elif block.kind == "prose" and not skipped:
            yield from _sentences(block)


def _sentences(block: Block) -> Iterator[tuple[int, str]]:
    for token in parser().parse("\n".join(block.body)):
        if token.type == "inline" and token.children is not None:
            text = words(token.children)
            place = block.body_line + (token.map[0] if token.map else 0)
            for sentence in re.split(r"(?<=[.!?])\s+(?=[A-Z*\u25a1(])", text):
                yield place, " ".join(sentence.split())


def _spoken(match: re.Match[str]) -> tuple[float, int]:
    """The value of a number in prose, and how many decimals it has."""
    if word := match["word"]:
        lower = " ".join(word.lower().split())
        if "half" in lower:
            return 0.5, 1
        return float(_WORDS.get(lower, _WORDS.get(lower.removesuffix(" times"), 0))), 2
    text = match["digits"].replace(",", "")
    return float(text), len(text.partition(".")[2])


def claims(page: toc.Chapter, root: Path = toc.ROOT) -> list[Claim]:
    """The numbers of one chapter that no cell of their section holds."""
    if page.part == toc.TEACH:  # plans for a class; what these pages say of the book is read from it
        return []
    lines = page.path.read_text(encoding="utf-8").splitlines()
    start = body_start(lines)
    heads = [b.line for b in blocks(lines[start:], start + 1) if b.kind == "heading" and len(b.name) <= 2]
    edges = [start + 1, *heads, len(lines) + 1]
    cells = toc.read(page.path).cells
    found = []
    for first, end in zip(edges, edges[1:], strict=False):
        held = code((cell.source for cell in cells if first <= cell.line < end), root)
        for line, sentence in paragraphs(lines[first - 1 : end - 1], first):
            for match in _NUMBER.finditer(sentence):
                if not _fine(match, sentence, held):
                    found.append(Claim(page.name, line, match[0].strip(), sentence))
    return found


def _fine(match: re.Match[str], sentence: str, held: Held) -> bool:
    """Whether a number needs no cell, or has one."""
    value, digits = _spoken(match)
    _, opened, inside = sentence[: match.start()].rpartition("(")
    inside += "0" + sentence[match.end() :].partition(")")[0]
    equations = opened and re.fullmatch(r"(?:[\d,.;\s-]|to|and|or|eqs?\.)*", inside)
    level = re.search(r"\b(?:Easy|Moderate|Hard), $", sentence[: match.start()])
    if equations or level or "Time " in sentence[: match.start()][-90:]:
        return True  # the minutes of a chapter, of an exercise; equations of a paper: (7, 8), (10 and 11)
    whole = match["digits"] and not match["percent"] and digits == 0
    if (whole and (value < 2 or 1900 <= value < 2100)) or _POINTS_TO.search(sentence[: match.start()]):
        return True
    if match["percent"]:
        return held.holds(value / 100, digits + 2) or held.holds(value, digits)
    if match["word"]:
        return any(held.holds(v, digits) for v in (value, 1 / value))
    return held.holds(value, digits)


def accepted(path: Path = ACCEPTED) -> list[str]:
    """The keys that the file accepts."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [line for line in lines if line and not line.startswith("#")]


def write(keys: Iterable[str], path: Path = ACCEPTED) -> None:
    """Write the file of accepted numbers."""
    head = (
        "# Numbers in prose without a cell, accepted when the check began; the list may only shrink. See tools.claims\n"
    )
    path.write_text(head + "".join(f"{key}\n" for key in sorted(set(keys))), encoding="utf-8", newline="\n")


def main(argv: list[str] | None = None) -> int:
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    options.add_argument("names", nargs="*", metavar="NAME", help="chapters; all if none is named")
    for name in ("check", "prune", "seed"):
        options.add_argument(f"--{name}", action="store_true")
    args = options.parse_args(argv)
    pages = [page for page in toc.chapters() if page.path.suffix == ".md" and page.path.exists()]
    if unknown := sorted(set(args.names) - {page.name for page in pages}):
        options.error(f"no chapter {', '.join(unknown)}")
    found = [claim for page in pages if not args.names or page.name in args.names for claim in claims(page)]
    known, said = set(accepted()), {claim.key for claim in found}
    if args.seed:
        if ACCEPTED.exists():
            options.error(f"{ACCEPTED.name} is there: what it accepts may only shrink")
        write(said)
        print(f"{ACCEPTED.name}: {len(said)} numbers")
        return 0
    if args.prune:
        write(known & said)
        print(f"{ACCEPTED.name}: {len(known & said)} numbers, {len(known - said)} less")
        return 0
    for claim in found:
        if claim.key not in known or not args.check:
            mark = "accepted  " if claim.key in known else ""
            print(f"{mark}book/{claim.chapter}.md:{claim.line}: {claim.number}: {claim.sentence[:140]}")
    new = [claim for claim in found if claim.key not in known]
    gone = [] if args.names else sorted(known - said)
    print(f"{len(found)} numbers without a cell beside them, {len(new)} of them new")
    if args.check and new:
        print("Assert each in a cell of its section, read it from a card or a stored result there, or take it out.")
    if args.check and gone:
        print(f"{len(gone)} accepted ones are said no more: python -m tools.claims --prune")
    return int(args.check and bool(new or gone))


if __name__ == "__main__":
    sys.exit(main())

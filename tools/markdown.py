"""The one reader of the chapters' Markdown, on the tokens of the parser that builds the pages (myst-parser)."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import yaml
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser

# As `parse: myst_enable_extensions` of _config.yml; a test compares.
EXTENSIONS = {"amsmath", "colon_fence", "deflist", "dollarmath", "substitution", "tasklist"}

_DIRECTIVE = re.compile(r"^\{(?P<name>[\w:.+-]+)\}\s*(?P<arg>.*)$")


class Block(NamedTuple):
    """A piece of Markdown.

    kind: prose, code (a plain fence), directive, math (between $$), target, heading.
    line: its first line in the file; name: the directive, label or fence; body: its lines; body_line: where they begin.
    """

    kind: str
    line: int
    name: str = ""
    arg: str = ""
    options: dict = {}
    body: tuple[str, ...] = ()
    body_line: int = 0
    indent: str = ""
    closed: bool = True


@lru_cache(maxsize=1)
def parser() -> MarkdownIt:
    """The parser of the pages."""
    return create_md_parser(MdParserConfig(enable_extensions=EXTENSIONS), RendererHTML)


def tokens(text: str) -> list[Token]:
    """The tokens of a piece of Markdown, directives not entered."""
    return parser().parse(text)


def blocks(lines: Sequence[str], line: int = 1) -> list[Block]:
    """Cut lines of MyST Markdown into blocks; `line` is the number of the first one in its file."""
    found: list[Block] = []
    done = 0

    def prose(until: int) -> None:
        nonlocal done
        if until > done:
            found.append(Block("prose", line + done, body=tuple(lines[done:until]), body_line=line + done))
        done = max(done, until)

    for token in _walked("\n".join(lines)):
        start, end = token.map or (0, 0)
        if start < done:  # inside a block that is there already
            continue
        block = _block(token, lines, start, end, line)
        if block is not None:
            prose(start)
            found.extend(block)
            done = end
    prose(len(lines))
    return found


def _walked(text: str) -> Iterator[Token]:
    """Block tokens with a place, in order; what stands in a quote stays a part of it."""
    quotes = 0
    for token in tokens(text):
        quotes += {"blockquote_open": 1, "blockquote_close": -1}.get(token.type, 0)
        if token.map is not None and not quotes:
            yield token


def _block(token: Token, lines: Sequence[str], start: int, end: int, line: int) -> list[Block] | None:
    """What a token becomes, or None if its lines are prose."""
    here = line + start
    indent = lines[start][: len(lines[start]) - len(lines[start].lstrip(" "))]
    match token.type:
        case "fence" | "colon_fence":
            closed = end - 1 > start and not lines[end - 1].strip().strip(token.markup[0])
            inside = token.content.split("\n")[:-1] if token.content else []
            if directive := _DIRECTIVE.match(token.info.strip()):
                options, skipped = _options(inside)
                name, arg = directive["name"], directive["arg"].strip()
                body = tuple(inside[skipped:])
                return [Block("directive", here, name, arg, options, body, here + 1 + skipped, indent, closed)]
            return [Block("code", here, token.info.strip(), body=tuple(lines[start:end]), closed=closed)]
        case "math_block" | "math_block_label" | "amsmath":
            label = token.info if token.type == "math_block_label" else ""
            body = tuple(row.strip() for row in token.content.split("\n") if row.strip())
            return [Block("math", here, label, body=body, indent=indent)]
        case "heading_open" if token.level == 0:
            words = lines[start].strip().lstrip("#").strip().rstrip("#").strip()
            return [Block("heading", here, "#" * int(token.tag[1]), words)]
        case "paragraph_open" if lines[start].strip().startswith("$$") and "".join(lines[start:end]).count("$$") == 1:
            return [Block("math", here, body=tuple(lines[start + 1 : end]), indent=indent, closed=False)]
        case "myst_target":
            return [Block("target", here, token.content)]
        case "myst_line_comment":
            return []
    return None


def _options(inside: list[str]) -> tuple[dict, int]:
    """The options of a directive, and how many of its lines they and the blank lines after them take."""
    options: dict = {}
    used = 0
    if inside and inside[0].strip() == "---":
        end = next((k for k in range(1, len(inside)) if inside[k].strip() == "---"), 0)
        if end:
            options = yaml.safe_load("\n".join(inside[1:end])) or {}
            used = end + 1
    else:
        while used < len(inside) and (match := re.match(r"^:([\w-]+):\s*(.*)$", inside[used])):
            options[match[1]] = match[2].strip()
            used += 1
    while used < len(inside) and not inside[used].strip():
        used += 1
    return {key: str(value) if value is not None else "" for key, value in options.items()}, used


def body_start(lines: Sequence[str]) -> int:
    """How many lines the front matter takes."""
    if lines and lines[0].strip() == "---":
        return next((n for n, text in enumerate(lines[1:], 1) if text.strip() in ("---", "...")), 0) + 1
    return 0


def headings(lines: Sequence[str]) -> list[tuple[int, int, str]]:
    """(line counted from 1, depth, text) of every heading outside fences and front matter."""
    start = body_start(lines)
    found = blocks(lines[start:], start + 1)
    return [(block.line, len(block.name), block.arg) for block in found if block.kind == "heading"]

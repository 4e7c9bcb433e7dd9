"""MyST Markdown turned into the plain Markdown that Colab and Jupyter show: numbers, citations, notes, exercises."""

import html
import os
import re
from functools import cache
from pathlib import Path

from tools import toc
from tools.labels import Label, Labels
from tools.markdown import Block, blocks
from tools.repository import Address, file_url, site_url

_QUOTES = {
    "note": "Note",
    "tip": "Tip",
    "warning": "Warning",
    "important": "Important",
    "hint": "Hint",
    "caution": "Caution",
    "attention": "Attention",
    "danger": "Danger",
    "error": "Error",
    "seealso": "See also",
    "margin": "",
    "sidebar": "",
    "epigraph": "",
    "admonition": "",
    "topic": "",
}
_NAMED = {"code", "file", "kbd", "func", "class", "meth", "mod", "attr", "data", "obj", "exc", "command", "program"}
_ASIDE = {"term": "*{}*", "sub": "<sub>{}</sub>", "sup": "<sup>{}</sup>", "emphasis": "*{}*", "strong": "**{}**"}
_ROLES = "eq, ref, numref, doc, math, cite, cite:p, cite:t, sub, sup, abbr, download, term, kbd, code, py:..."

# What has a meaning of its own inside a line, first come first served; nothing reaches over a blank line.
_INLINE = re.compile(
    r"""(?P<escape>\\[\\`$\[\]{}(]) |
        \{(?P<role>[A-Za-z][\w:+.-]*)\}(?P<tick>`+)(?P<text>(?:(?!\n[ \t]*\n).)+?)(?<!`)(?P=tick)(?!`) |
        (?P<code>(?P<ticks>`+)(?!`)(?:(?!\n[ \t]*\n).)+?(?<!`)(?P=ticks)(?!`)) |
        (?P<display>\$\$(?:(?!\n[ \t]*\n).)+?\$\$) |
        (?P<math>(?<!\$)\$(?![\s$])(?:\\.|(?!\n[ \t]*\n)[^$\\])+?(?<!\s)\$(?![\d$])) |
        \[\^(?P<note>[\w-]+)\](?!:) |
        (?P<empty>!?\[\])\((?P<bare>[^()\s]+)\) |
        (?P<close>\]\()(?P<link>[^()\s]+)(?P<title>\s+"[^"]*")?\) |
        (?P<auto><(?:project|path|inv):[^>]*>) |
        (?P<brace>\{\{[^}]*\}\})""",
    re.X | re.S,
)
_LEFT = (
    (re.compile(r"\{[A-Za-z][\w:+.-]*\}`"), "role"),
    (re.compile(r"^[> ]*(?:`{3,}|:{3,})\s*\{[\w:+.-]+\}", re.M), "directive"),
    (re.compile(r"^ *\([^()\s`]+\)= *$", re.M), "target"),
    (re.compile(r"^ *:{3,} *$", re.M), "colon fence"),
    (re.compile(r"\$\$ *\([\w:.-]+\) *$", re.M), "equation label"),
    (re.compile(r"\{\{[^}]*\}\}"), "substitution"),
    (re.compile(r"\[\^[\w-]+\]"), "footnote"),
)


class PlainError(Exception):
    """The bibliography cannot be read; the message names the file."""


def leftovers(text: str) -> list[tuple[int, str]]:
    """MyST markup that stands raw in a piece of Markdown, code and maths apart.

    Args:
        text: the Markdown.

    Returns:
        (line counted from 1, what it is) of each.
    """
    kept = []
    for block in blocks(text.split("\n")):
        if block.kind == "code":
            kept += [(block.line, ":::")] if block.body[0].lstrip().startswith(":") else []
        elif block.kind == "directive":
            kept.append((block.line, f"```{{{block.name}}}"))
        elif block.kind == "target":
            kept.append((block.line, f"({block.name})="))
        elif block.kind == "math":
            kept.append((block.line, f"$$ ({block.name})" if block.name else ""))
        elif block.kind == "heading":
            kept.append((block.line, block.arg))
        else:
            body = _INLINE.sub(_blank, "\n".join(block.body)).split("\n")
            for k, row in enumerate(block.body):  # a fence in a quote looks like code, so ask the line as it stands
                kept.append((block.line + k, row if _LEFT[1][0].search(row) else body[k]))
    return [(line, what) for line, row in kept for pattern, what in _LEFT if pattern.search(row)]


def _blank(match: re.Match) -> str:
    """Code, maths and escapes blanked out, lines kept; anything else as it stands."""
    if match["code"] or match["display"] or match["math"] or match["escape"]:
        return re.sub(r"[^\n]", " ", match[0]) + ("$$" if match["display"] else "")  # a label may follow
    return match[0]


class Plain:
    """Rewrites the Markdown of one chapter, cell by cell.

    Args:
        page: name of the chapter.
        path: its file, for messages and for links relative to it.
        labels: the book's table of labels.
        where: the repository's address, for links out of the notebooks.
        references: the book's `Bibliography`, or None where there is none.
    """

    def __init__(self, page: str, path: Path, labels: Labels, where: Address, references=None):
        self.page, self.path, self.labels, self.where, self.references = page, path, labels, where, references
        self.file = f"{path.parent.name}/{path.name}"
        self.faults: list[str] = []
        self.cited: list[str] = []
        self.notes: list[str] = []
        self.place = False  # whether a {bibliography} directive says where the references go

    def fail(self, line: int, message: str) -> str:
        self.faults.append(f"{self.file}:{line}: {message}")
        return ""

    # -- blocks ------------------------------------------------------------------------------------------------------

    def text(self, lines: list[str] | tuple[str, ...], line: int, quoted: bool = False) -> str:
        """Lines of MyST Markdown as plain Markdown.

        Args:
            lines: the lines.
            line: number of the first one in the chapter.
            quoted: inside a block quote, where display maths must stand on one line.

        Returns:
            Plain Markdown without blank lines at its ends.
        """
        return self.render(blocks(lines, line), quoted)

    def render(self, content: list[Block], quoted: bool = False) -> str:
        parts = []
        for block in content:
            if not block.closed:
                self.fail(block.line, f"{block.name or block.kind} is not closed")
            if block.kind == "prose":
                parts.append(self.prose(block))
            elif block.kind == "code":
                if block.body[0].lstrip().startswith(":"):
                    self.fail(block.line, "a ::: fence that names no directive")
                parts.append("\n".join(block.body))
            elif block.kind == "heading":
                parts.append(f"{block.name} {self.inline(block.arg, block.line)}")
            elif block.kind == "math":
                parts.append(self.math(block, block.name, quoted))
            elif block.kind == "directive":
                out = self.directive(block, quoted)
                parts.append("\n".join(block.indent + row if row else row for row in out.split("\n")))
        return re.sub(r"\n{3,}", "\n\n", _join(parts)).strip("\n")

    def prose(self, block: Block) -> str:
        rows = list(block.body)
        text = self.inline("\n".join(rows), block.line)
        out: list[str] = []
        for row in text.split("\n"):
            if match := re.match(r"^\[\^([\w-]+)\]:\s*(.*)$", row):
                out.append(f"<sup>{self._note(match[1])}</sup> {match[2]}")
            elif (match := re.match(r"^: +(.*)$", row)) and out and out[-1].strip():
                if not out[-1].startswith(": "):
                    out[-1] = f"**{out[-1].strip()}**"
                out.append(f": {match[1]}")
            else:
                out.append(row)
        return "\n".join(row.replace(": ", "<br>", 1) if row.startswith(": ") else row for row in out)

    def math(self, block: Block, label: str, quoted: bool) -> str:
        body = "\n".join(block.body).strip("\n")
        if not body.strip():
            return self.fail(block.line, "an equation with nothing in it")
        tag = ""
        if label:
            found = self.labels.found.get(label)
            if not found:
                return self.fail(block.line, f"equation label {label!r} is not in the table of labels")
            tag = rf"\tag{{{found.number}}}"
        if "nowrap" in block.options:
            if tag:
                head, end, tail = body.rpartition(r"\end{")
                body = f"{head}{tag}\n{end}{tail}" if end else f"{body} {tag}"
        else:
            if re.search(r"\\begin\{(align|equation|gather|multline|eqnarray|flalign)\*?\}", body):
                return self.fail(
                    block.line, r"\begin{align} inside display maths: write \begin{aligned}, or only the lines with \\"
                )
            pieces = [_wrapped(piece.strip("\n")) for piece in re.split(r"\n[ \t]*\n", body) if piece.strip()]
            body = pieces[0]
            if len(pieces) > 1:
                body = "\\begin{aligned}\n" + " \\\\\n".join(pieces) + "\n\\end{aligned}"
            body = f"{body} {tag}" if tag else body
        body = _safe(body)
        if quoted:
            return "$$ " + " ".join(row.strip() for row in body.split("\n")) + " $$"
        return "\n".join(block.indent + row if block.kind == "math" else row for row in f"$$\n{body}\n$$".split("\n"))

    def directive(self, block: Block, quoted: bool) -> str:
        name, arg, line = block.name, block.arg, block.line
        label = block.options.get("label") or block.options.get("name") or ""
        if name == "code-cell":
            return self.fail(
                line, "a code-cell inside another directive, list or quote is not run; put it at the margin"
            )
        if name == "math":
            if arg:
                block = block._replace(body=(arg, "", *block.body))
            return self.math(block, label, quoted)
        if name in _QUOTES:
            title = self.inline(arg, line) if arg and name != "epigraph" else _QUOTES[name]
            if name not in ("admonition", "margin", "sidebar", "topic", "epigraph") and arg:
                block = block._replace(
                    body=(arg, *block.body)
                )  # {note} takes its first words from the line of the fence
                title, block = _QUOTES[name], block._replace(body_line=line)
            return self.boxed(block, title)
        if name == "dropdown":
            return self.folded(self.inline(arg, line) or "More", self.text(block.body, block.body_line))
        if name in ("exercise", "exercise-start"):
            return _join([self.exercise(block), self.text(block.body, block.body_line, quoted)])
        if name in ("solution", "solution-start"):
            title = self.solution(block)
            body = self.text(block.body, block.body_line)
            return _join([f"#### {title}", self.folded("Show the solution", body) if body else ""])
        if name in ("exercise-end", "solution-end"):
            return ""
        if name in ("figure", "image"):
            return self.figure(block)
        if name == "table":
            number = self.labels.unnamed.get((self.page, line), "")
            title = f"**Table {number}.** {self.inline(arg, line)}" if arg else ""
            return _join([title, self.text(block.body, block.body_line, quoted)])
        if name == "list-table":
            return self.list_table(block)
        if name in ("code-block", "code", "sourcecode"):
            fence = "`" * max(3, 1 + max((len(m) for m in re.findall(r"`+", "\n".join(block.body))), default=0))
            return f"{fence}{arg}\n" + "\n".join(block.body) + f"\n{fence}"
        if name == "bibliography":
            self.place = True
            return "\N{SECTION SIGN}references\N{SECTION SIGN}"
        if name == "index":
            return ""
        return self.fail(
            line, f"directive {{{name}}} has no plain form; use one that tools/plain.py knows, or add it there"
        )

    def exercise(self, block: Block) -> str:
        number = self.labels.unnamed.get((self.page, block.line), "")
        title = f"Exercise {number}".strip()
        return f"### {title} ({self.inline(block.arg, block.line)})" if block.arg else f"### {title}"

    def solution(self, block: Block) -> str:
        found = self.labels.found.get(block.arg)
        if not found or found.kind != "exercise":
            return self.fail(block.line, f"solution to {block.arg!r}, which is no exercise's label")
        title = f"Solution to Exercise {found.number}".strip()
        return f"{title} ({self.inline(found.title, block.line)})" if found.title else title

    def boxed(self, block: Block, title: str) -> str:
        if "dropdown" in block.options.get("class", "").split():
            return self.folded(title or block.name.capitalize(), self.text(block.body, block.body_line))
        body = self.text(block.body, block.body_line, quoted=True)
        rows = ([f"**{title}**", ""] if title else []) + (body.split("\n") if body else [])
        return "\n".join(f"> {row}".rstrip() for row in rows)

    def folded(self, title: str, body: str) -> str:
        return f"<details>\n<summary><b>{title}</b></summary>\n\n{body}\n\n</details>"

    def figure(self, block: Block) -> str:
        alt = " ".join(block.options.get("alt", "").split())
        if not alt:
            self.fail(block.line, f"{{{block.name}}} has no :alt:; say in a sentence what is seen")
        picture = f"![{alt}]({self.target(block.arg, block.line, picture=True)})"
        number = self.labels.unnamed.get((self.page, block.line))
        caption = self.text(block.body, block.body_line)
        return _join([picture, f"**Fig. {number}.** {caption}" if number else caption])

    def list_table(self, block: Block) -> str:
        rows: list[list[str]] = []
        for row in block.body:
            if match := re.match(r"^\s*[*-]\s+-\s?(.*)$", row):
                rows.append([match[1]])
            elif (match := re.match(r"^\s+-\s?(.*)$", row)) and rows:
                rows[-1].append(match[1])
            elif row.strip() and rows:
                rows[-1][-1] += " " + row.strip()
            elif row.strip():
                return self.fail(block.line, "a list-table that does not begin with `* -`")
        if not rows or len({len(row) for row in rows}) != 1:
            return self.fail(block.line, "a list-table whose rows are not equally long")
        cells = [[self.inline(cell.strip(), block.line) for cell in row] for row in rows]
        heads = cells.pop(0) if int(block.options.get("header-rows", "0")) else [""] * len(cells[0])
        table = [heads, ["---"] * len(heads), *cells]
        number = self.labels.unnamed.get((self.page, block.line), "")
        title = f"**Table {number}.** {self.inline(block.arg, block.line)}" if block.arg else ""
        return _join([title, "\n".join("| " + " | ".join(row) + " |" for row in table)])

    # -- lines -------------------------------------------------------------------------------------------------------

    def inline(self, text: str, line: int) -> str:
        """Roles, links, citations and maths within running text; code is left alone."""

        def one(match: re.Match) -> str:
            here = line + text.count("\n", 0, match.start())
            if match["escape"] or match["code"]:
                return match[0]
            if match["role"]:
                return self.role(match["role"], " ".join(match["text"].split()), here)
            if match["display"] or match["math"]:
                return _safe(match[0])
            if match["note"]:
                return f"<sup>{self._note(match['note'])}</sup>"
            if match["empty"]:
                if match["empty"].startswith("!"):
                    return f"![]({self.target(match['bare'], here, picture=True)})"
                return self.named(match["bare"], here)
            if match["auto"]:
                return self.named(re.sub(r"^<\w+:|>$", "", match["auto"]), here)
            if match["brace"]:
                return self.fail(here, f"substitution {match['brace']} is not resolved in notebooks")
            picture = bool(re.search(r"!\[[^\[\]]*$", text[: match.start()]))
            return f"]({self.target(match['link'], here, picture)}{match['title'] or ''})"

        return _INLINE.sub(one, text)

    def _note(self, name: str) -> int:
        if name not in self.notes:
            self.notes.append(name)
        return self.notes.index(name) + 1

    def role(self, name: str, text: str, line: int) -> str:
        words, target = text, text
        explicit = re.fullmatch(r"(.*?)\s*<([^<>]+)>", text)
        if explicit and name not in ("math", "code"):
            words, target = explicit[1], explicit[2]
        if name == "eq":
            found = self.known(target, ("equation",), line)
            return self.linked(f"({found.number})", found) if found else ""
        if name == "ref":
            found = self.known(target, ("exercise", "solution", "section", "figure", "table"), line)
            return self.linked(words if explicit else self.shown(found, line), found) if found else ""
        if name == "numref":
            found = self.known(target, ("exercise", "figure", "table"), line)
            if not found:
                return ""
            shown = self.numbered(found)
            if explicit:
                shown = (
                    words.replace("{number}", found.number).replace("%s", found.number).replace("{name}", found.title)
                )
            return self.linked(shown, found)
        if name == "doc":
            page = Path(target.removesuffix(".md")).name
            if page not in self.labels.titles:
                return self.fail(line, f"{{doc}}`{target}` names no page of _toc.yml")
            return f"[{words if explicit else self.inline(self.labels.titles[page], line)}]({self.page_link(page)})"
        if name == "math":
            return f"${_safe(text)}$"
        if name.split(":")[0] == "cite":
            return self.cite(name, target, line)
        if name == "download":
            return f"[{words if explicit else Path(target).name}]({self.target(target, line)})"
        if name == "abbr":
            return html.escape(re.sub(r"\s*\([^()]*\)$", "", text), quote=False)
        if name in _ASIDE:
            return _ASIDE[name].format(html.escape(words, quote=False))
        if name.split(":")[0] == "py" or name in _NAMED:
            shown = words.split(".")[-1] if words.startswith("~") else words.lstrip("!")
            return f"`{shown}`"
        return self.fail(line, f"role {{{name}}} has no plain form; there are {_ROLES}")

    def known(self, label: str, kinds: tuple[str, ...], line: int) -> Label | None:
        found = self.labels.found.get(label)
        if not found:
            self.fail(line, f"no label {label!r} in the book")
        elif found.kind not in kinds:
            self.fail(line, f"label {label!r} is of the kind {found.kind}, not {' or '.join(kinds)}")
            return None
        return found

    def numbered(self, found: Label) -> str:
        word = {"figure": "Fig.", "table": "Table", "exercise": "Exercise", "equation": "Equation"}[found.kind]
        return f"{word} {found.number}".strip()

    def shown(self, found: Label, line: int) -> str:
        if found.kind == "exercise":
            return self.numbered(found)
        if found.kind == "solution":
            target = self.labels.found.get(found.title)
            return f"Solution to {self.numbered(target)}" if target else "Solution"
        return self.inline(found.title, line)

    def linked(self, shown: str, found: Label) -> str:
        """Text that names a place: plain on its own page but for sections, a link from another page."""
        if found.page != self.page:
            return f"[{shown}]({self.page_link(found.page)})"
        return f"[{shown}](#{_anchor(found.title)})" if found.kind == "section" else shown

    def page_link(self, page: str) -> str:
        if page in self.labels.notebook:
            return f"{page}.ipynb"
        # no address yet: the notebooks stand beside the sources
        return f"../book/{page}.md" if self.where.placeholder else f"{site_url(self.where)}/book/{page}.html"

    def named(self, target: str, line: int) -> str:
        """A link that says no words of its own: [](prediction.md), [](#label)."""
        label = target.removeprefix("#")
        if found := self.labels.found.get(label):
            shown = f"({found.number})" if found.kind == "equation" else self.shown(found, line)
            return self.linked(shown, found)
        page, _, fragment = target.partition("#")
        name = Path(page).name.removesuffix(".md")
        if fragment in self.labels.found:
            return self.named("#" + fragment, line)
        if name in self.labels.titles:
            return f"[{self.inline(self.labels.titles[name], line)}]({self.page_link(name)})"
        return self.fail(line, f"link to {target!r}: neither a label nor a page of the book")

    def target(self, link: str, line: int, picture: bool = False) -> str:
        """Where a link of the chapter leads when it stands in a notebook."""
        if re.match(r"^(https?:|mailto:|data:)", link):
            return link
        page, _, fragment = link.partition("#")
        found = self.labels.found.get(fragment) if fragment else self.labels.found.get(link)
        if fragment and page:
            self.fail(line, f"link to {link!r}: the site resolves a label without its page; write #{fragment}")
        elif fragment and not found:
            self.fail(line, f"link to {link!r}: no label {fragment!r} in the book")
        if found and (not page or page == link):
            if found.page != self.page:
                return self.page_link(found.page)
            return "#" + _anchor(found.title)
        path = Path(os.path.normpath(self.path.parent / page))
        name = path.name.removesuffix(".md")
        if path.suffix in (".md", "") and path.parent == self.path.parent and name in self.labels.titles:
            return self.page_link(name)
        if not path.exists() or not path.is_relative_to(self.labels.root):
            self.fail(line, f"link to {link!r}: there is no such page, label or file")
            return link
        kind = "raw" if picture else "tree" if path.is_dir() else "blob"
        inside = path.relative_to(self.labels.root).as_posix()
        return f"../{inside}" if self.where.placeholder else file_url(self.where, inside, kind)

    def cite(self, role: str, keys: str, line: int) -> str:
        if role not in ("cite", "cite:p", "cite:t", "cite:ps", "cite:ts"):
            return self.fail(line, f"role {{{role}}}: cite with {{cite}}, {{cite:p}} or {{cite:t}}")
        names = [key.strip() for key in keys.split(",")]
        shown = []
        for key in names:
            if self.references is None or key not in self.references:
                return self.fail(line, f"citation {key!r} is not in book/references.bib")
            if key not in self.cited:
                self.cited.append(key)
            shown.append(self.references.label(key))
        if role in ("cite:t", "cite:ts"):
            return ", ".join(f"{who} ({year})" for who, year in shown)
        return "(" + "; ".join(f"{who}, {year}" for who, year in shown) + ")"


def _join(parts: list[str]) -> str:
    """Blocks set apart by a blank line; prose keeps the line ends it has."""
    return "\n\n".join(part.strip("\n") for part in parts if part.strip())


def _wrapped(piece: str) -> str:
    r"""A formula of several lines in `aligned`, as Sphinx does, unless each \\ stands within an environment."""
    depth, outer = 0, False
    for token in re.findall(r"\\begin\{|\\end\{|\\\\", piece):
        depth += {r"\begin{": 1, r"\end{": -1}.get(token, 0)
        outer |= token == "\\\\" and depth == 0
    return f"\\begin{{aligned}}\n{piece}\n\\end{{aligned}}" if outer else piece


def _safe(maths: str) -> str:
    """Maths in which no `<` can be taken for the beginning of an HTML tag."""
    return re.sub(r"<(?=[A-Za-z/!?])", r"\\lt ", maths)


def _anchor(title: str) -> str:
    """The anchor that Jupyter gives a heading."""
    return re.sub(r"\s", "-", re.sub(r"[`*]", "", title))


class Bibliography:
    """book/references.bib: labels for citations, lines for the list of references."""

    def __init__(self, path: Path):
        from pybtex.database import parse_file
        from pybtex.exceptions import PybtexError

        try:
            self.entries = parse_file(str(path), bib_format="bibtex").entries
        except PybtexError as err:
            line = getattr(err, "lineno", None) or 1
            raise PlainError(f"{path.parent.name}/{path.name}:{line}: {err}") from err

    def __contains__(self, key: str) -> bool:
        return key in self.entries

    def label(self, key: str) -> tuple[str, str]:
        """("Graves and others", "2013"): the authors as running text names them, and the year."""
        entry = self.entries[key]
        people = entry.persons.get("author") or entry.persons.get("editor") or []
        last = [_words(" ".join([*p.prelast_names, *p.last_names])) for p in people]
        if not last:
            last = [_words(entry.fields.get("title", key))]
        who = last[0] if len(last) == 1 else f"{last[0]} and {last[1]}" if len(last) == 2 else f"{last[0]} *et al.*"
        return who, _words(entry.fields.get("year", "n.d."))

    def line(self, key: str) -> str:
        """One item of the list of references."""
        entry = self.entries[key]
        people = entry.persons.get("author") or entry.persons.get("editor") or []
        names = []
        for p in people:
            initials = " ".join(f"{name[0]}." for name in [*p.first_names, *p.middle_names] if name[:1].isalpha())
            names.append(f"{_words(' '.join([*p.prelast_names, *p.last_names]))}, {initials}".rstrip(", "))
        who = names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1] if names else ""
        fields = entry.fields
        kinds = ("journal", "booktitle", "institution", "school", "publisher", "howpublished")
        venue = next((fields[kind] for kind in kinds if kind in fields), "")
        number = fields.get("eprint", "")
        if number and number not in venue:
            venue = f"{venue}, arXiv:{number}" if venue else f"arXiv:{number}"
        link = f"https://doi.org/{fields['doi']}" if "doi" in fields else fields.get("url", "")
        if not link and number:
            link = f"https://arxiv.org/abs/{number}"
        end = f" [{link.removeprefix('https://')}]({link})." if link else ""
        year = f" ({_words(fields['year'])})." if "year" in fields else ""
        return f"{who}{year} *{_words(fields.get('title', key))}*." + (f" {_words(venue)}." if venue else "") + end


@cache
def _words(text: str) -> str:
    """LaTeX of a bibliography as Markdown text. Kept: pybtex looks through all installed packages at each call."""
    from pybtex.backends.plaintext import Backend
    from pybtex.richtext import Text

    words = Text.from_latex(text).render(Backend())
    return html.escape(re.sub(r"([*_`\[\]])", r"\\\1", words), quote=False)


def references_of(root: Path = toc.ROOT) -> Bibliography | None:
    path = root / "book" / "references.bib"
    return Bibliography(path) if path.exists() else None

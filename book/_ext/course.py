"""What the teacher's guide reads from the chapters: minutes, exercises, an overview of its meetings, the decks.

{minutes}`NAME ...`   the minutes that chapters state, added up
{task}`LABEL`         an exercise, with the minutes that it states, if it states any
% sessions, % decks   a table of the guide's meetings; the links to the slides
"""

import re
from pathlib import Path

from tools import count, slides

MEETING = re.compile(r"(?m)^### Meeting (\d+): (.+)$")
_MINUTES = re.compile(r"\{minutes\}`([\w ]+)`")
_TASK = re.compile(r"\{task\}`([\w-]+)`")
_STATED = re.compile(r"\*(?:Easy|Moderate|Hard), (\d+) minutes\.\*")


def minutes(names: str, root: Path) -> int:
    """The minutes of some chapters together; a name that states none is an error."""
    total = 0
    for name in names.split():
        found = count.minutes((root / "book" / f"{name}.md").read_text(encoding="utf-8"))
        if not found:
            raise ValueError(f"book/{name}.md states no minutes after **Time**")
        total += found
    return total


def task(label: str, root: Path) -> str:
    """An exercise as a link, with its minutes."""
    name = label.rpartition("-")[0]
    text = (root / "book" / f"{name}.md").read_text(encoding="utf-8")
    found = re.search(rf"(?m)^:label: {re.escape(label)}\n(?:````\n|:{{3,}}\n)?\n?(.*)$", text)
    if found is None:
        raise ValueError(f"book/{name}.md has no exercise {label}")
    stated = _STATED.match(found[1])
    return f"{{ref}}`{label}`" + (f" ({stated[1]} minutes)" if stated else "")


def meetings(text: str) -> list[tuple[int, str, dict[str, str]]]:
    """The guide's meetings: number, title, what stands below each of its words."""
    parts = MEETING.split(text)[1:]
    found = []
    for number, title, body in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        body = body.split("\n## ")[0]
        rows = re.findall(r"(?m)^(\w[\w ]*)\n: (.*)$", body)
        found.append((int(number), title, dict(rows)))
    return found


def chapters(before: str) -> list[str]:
    """The chapters that a meeting's reading names and whose minutes it counts."""
    return [name for found in _MINUTES.findall(before) for name in found.split()]


def sessions(text: str, root: Path) -> str:
    """The meetings as a table."""
    rows = ["| meeting | read before | minutes of reading |", "|---|---|---:|"]
    for number, title, said in meetings(text):
        names = chapters(said["Before"])
        links = ", ".join(f"{{doc}}`{name}`" for name in names)
        rows.append(f"| {number}. {title} | {links} | {minutes(' '.join(names), root)} |")
    return "\n".join(rows)


def decks(root: Path) -> str:
    """The decks, as a list of links into the site."""
    rows = []
    for deck in slides.decks(root):
        names = ", ".join(f"{{doc}}`{name}`" for name in deck.chapters)
        rows.append(f'- <a href="../slides/{deck.name}.html">{deck.title}</a>: {names}')
    return "\n".join(rows)


def _beside(found: re.Match) -> str:
    """Two questions one below the other, minutes in a row: what a bar divides in the guide's source."""
    return f"{found[1]}\n: " + found[2].replace(" | ", " <br> " if found[1] == "Ask" else " · ")


def _read(app, docname, source):
    root, text = Path(app.srcdir), source[0]
    if docname == "book/course":
        text = re.sub(r"(?m)^% sessions$", lambda _: sessions(source[0], root), text)
        text = re.sub(r"(?m)^% decks$", lambda _: decks(root), text)
        text = re.sub(r"(?m)^(Ask|Minutes)\n: (.*)$", _beside, text)
        text = _MINUTES.sub(lambda found: str(minutes(found[1], root)), text)
        source[0] = _TASK.sub(lambda found: task(found[1], root), text)


def setup(app):
    app.connect("source-read", _read)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

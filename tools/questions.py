"""Questions with four answers: the page's, two paper forms, the teacher's key, and what the forms measured.

python -m tools.questions check            hold each question against the chapters; exit 1 where one does not stand
python -m tools.questions cues             how far one gets without the book, by the wording alone
python -m tools.questions paper [--html]   print form A, form B and the answer sheet to _build/inventory
python -m tools.questions key [--html]     print the teacher's key and notes to _build/inventory/teacher
python -m tools.questions mark A.csv [B.csv]   marks, shares and misconceptions of a class; with two files, the gain

A bank is a file of `book/`, inventory.yml or prerequisites.yml. Its form A is the page's too, where a reason follows
each answer; form B stands on no page. A CSV of answers has a column `name` and one for each question, by its number on
the paper (1, 2, ...) or its id; an answer is a letter, or empty.
"""

import argparse
import csv
import html
import json
import math
import random
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import yaml

from tools import toc
from tools.markdown import headings

ROOT = toc.ROOT
BANKS = ("inventory", "prerequisites")
LETTERS = "abcd"
CHANCE = 1 / len(LETTERS)


class QuestionError(Exception):
    """A bank or a file of answers cannot be used; the message says where and why."""


class Option(NamedTuple):
    """An answer as it stands; misconception names the idea behind a wrong one, "" is the right one's."""

    text: str
    misconception: str = ""


class Form(NamedTuple):
    """One wording: the stem, and the answers, the right one first."""

    stem: str
    options: tuple[Option, ...]


class Question(NamedTuple):
    """A question: where its answer stands in the book, what holds it, and its forms.

    cites, also: "chapter / heading"; says: words of that section; check: expressions that Python finds true.
    """

    id: str
    part: str
    cites: str
    also: tuple[str, ...]
    says: tuple[str, ...]
    check: tuple[str, ...]
    because: str
    note: str
    forms: dict[str, Form]


class Bank(NamedTuple):
    """All questions of one file."""

    name: str
    title: str
    misconceptions: dict[str, str]
    questions: tuple[Question, ...]

    @property
    def forms(self) -> str:
        return "".join(self.questions[0].forms)

    @property
    def parts(self) -> list[str]:
        return list(dict.fromkeys(question.part for question in self.questions))


# -- reading -------------------------------------------------------------------------------------------------------


def load(name: str, root: Path = ROOT) -> Bank:
    """Read a bank.

    Args:
        name: of the file in book/, without its ending.
        root: the repository.

    Returns:
        The `Bank`; that its questions are true is for `faults` to say.

    Raises:
        QuestionError: if there is no such file, or a question in it is incomplete.
    """
    path = root / "book" / f"{name}.yml"
    if not path.is_file():
        raise QuestionError(f"there is no bank book/{name}.yml; there are {', '.join(BANKS)}")
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    found = tuple(_question(name, row) for row in data["questions"])
    return Bank(name, data["title"], data.get("misconceptions", {}), found)


def _question(bank: str, row: dict) -> Question:
    where = f"book/{bank}.yml: question {row.get('id', '?')!r}"
    missing = [key for key in ("id", "part", "cites", "because", "A") if not row.get(key)]
    if missing:
        raise QuestionError(f"{where} has no {', no '.join(missing)}")
    forms = {}
    for form in ("A", "B"):
        if form not in row:
            continue
        stem, right, *wrong = row[form]
        if len(wrong) != len(LETTERS) - 1 or any(not isinstance(one, list) or len(one) != 2 for one in wrong):
            raise QuestionError(f"{where}, form {form}: three wrong answers are expected, each [misconception, answer]")
        options = [Option(str(right)), *(Option(str(text), idea) for idea, text in wrong)]
        forms[form] = Form(" ".join(stem.split()), tuple(options))
    several = {key: tuple(row.get(key, ())) for key in ("also", "says", "check")}
    return Question(
        row["id"], row["part"], row["cites"], because=row["because"], note=row.get("note", ""), forms=forms, **several
    )


def order(bank: Bank, form: str) -> dict[str, list[int]]:
    """The order in which each question shows its answers: places of `Form.options`.

    Args:
        bank: the bank.
        form: "A" or "B".

    Returns:
        id -> four places. Numbers stand by size; else chance decides, and the right answers fall on each letter about
        equally often. The same bank has the same order on every machine.
    """
    chance = random.Random(f"{bank.name} {form}")
    left = [k % len(LETTERS) for k in range(len(bank.questions))]
    chance.shuffle(left)
    found, free = {}, []
    for question in bank.questions:
        options = question.forms[form].options
        values = [value for option in options if (value := _leading(option.text)) is not None]
        if len(values) == len(options):
            found[question.id] = sorted(range(len(options)), key=values.__getitem__)
            place = found[question.id].index(0)
            if place in left:
                left.remove(place)
        else:
            free.append(question)
    for question in free:
        wrong = [1, 2, 3]
        chance.shuffle(wrong)
        place = left.pop()
        found[question.id] = [*wrong[:place], 0, *wrong[place:]]
    return found


def _leading(text: str) -> float | None:
    """The number with which an answer begins, or None if it is more than numbers and a unit."""
    plain = text.replace("−", "-").replace(",", "")
    found = re.fullmatch(r"(?:At |About )?(-?\d+(?:\.\d+)?)(?:/(\d+))?(?: \w+)?", plain)
    return float(found[1]) / float(found[2] or 1) if found else None


# -- held against the book -----------------------------------------------------------------------------------------


def section(place: str, root: Path = ROOT) -> str:
    """The text of a section of a chapter, up to the next heading of its depth or less.

    Args:
        place: "chapter / heading", as many headings as lead to it; the chapter alone is the whole of it.
        root: the repository.

    Returns:
        Its Markdown, cells included.

    Raises:
        QuestionError: if there is no such chapter or heading.
    """
    name, *trail = [part.strip() for part in place.split(" / ")]
    path = root / "book" / f"{name}.md"
    if not path.is_file():
        raise QuestionError(f"{place!r}: there is no chapter {name}")
    lines = path.read_text(encoding="utf-8").splitlines()
    first, last = 1, len(lines)
    found = headings(lines)
    for words in trail:
        at = next((row for row in found if first <= row[0] <= last and row[2] == words), None)
        if at is None:
            raise QuestionError(f"{place!r}: book/{name}.md has no such heading there: {words!r}")
        first = at[0]
        last = min([line - 1 for line, depth, _ in found if line > first and depth <= at[1]] + [last])
    return "\n".join(lines[first - 1 : last])


def anchor(place: str) -> str:
    """Where a section stands in the site, as seen from a page of book/."""
    from docutils import nodes

    name, *trail = [part.strip() for part in place.split(" / ")]
    words = re.sub(r"[$*`\\]", "", trail[-1]) if trail else ""
    return f"{name}.html" + (f"#{nodes.make_id(words)}" if words else "")


def _pull(surprise: float) -> float:
    """How hard -log(1e-5 + p) pulls a Gaussian of width 1 towards a point of that surprise."""
    p, r = math.exp(-surprise), math.sqrt(2 * (surprise - math.log(2 * math.pi)))
    return r * p / (1e-5 + p)


def _sticks(step: float) -> float:
    """Where a sum of 1,000 steps in bfloat16 ends."""
    import torch

    place = torch.tensor(0.0, dtype=torch.bfloat16)
    for _ in range(1000):
        place = place + step
    return place.item()


def _bag(order: list[int], masked: bool) -> bool:
    """Whether the last step of a self-attention reads and weighs the same when the steps before it are shuffled."""
    import torch

    steps = torch.randn(5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(5, 5, dtype=torch.bool).tril() if masked else torch.ones(5, 5, dtype=torch.bool)
    order = [*order, 4]
    weights = [(x @ x.T).masked_fill(~mask, -torch.inf).softmax(1)[-1] for x in (steps, steps[order])]
    read = [w @ x for w, x in zip(weights, (steps, steps[order]), strict=True)]
    return torch.allclose(weights[0][order], weights[1]) and torch.allclose(read[0], read[1])


def _mean(values) -> float:
    values = list(values)
    return sum(values) / len(values)


KNOWN = {name: getattr(math, name) for name in ("log", "log2", "exp", "sqrt", "pi", "tanh")} | {
    "bag": _bag,
    "close": lambda a, b, gap=1e-9: abs(a - b) <= gap,
    "pull": _pull,
    "sticks": _sticks,
    "mean": _mean,
    "max": max,
    "range": range,
    "sum": sum,
}


def faults(bank: Bank, root: Path = ROOT) -> list[str]:
    """What does not stand: sections, words, sums, names, answers that are there twice."""
    import torch

    found, seen, known = [], set(), {**KNOWN, "torch": torch}
    for question in bank.questions:
        where = f"book/{bank.name}.yml: {question.id}"
        if question.id in seen:
            found.append(f"{where}: stands there twice")
        seen.add(question.id)
        try:
            text = " ".join(section(question.cites, root).split())
            found += [
                f"{where}: {question.cites!r} does not say {words!r}" for words in question.says if words not in text
            ]
            for place in question.also:
                section(place, root)
        except QuestionError as err:
            found.append(f"{where}: {err}")
        for sum_ in question.check:
            try:
                if not eval(sum_, {"__builtins__": {}, **known}):
                    found.append(f"{where}: this is not true: {sum_}")
            except Exception as err:
                found.append(f"{where}: {sum_}: {type(err).__name__}: {err}")
        if not question.says and not question.check:
            found.append(f"{where}: neither words of the book nor a sum hold the right answer")
        for form, (_, options) in question.forms.items():
            if len({option.text for option in options}) != len(options):
                found.append(f"{where}, form {form}: two answers are the same")
            for option in options[1:]:
                if bank.misconceptions and option.misconception not in bank.misconceptions:
                    found.append(f"{where}, form {form}: no misconception is named {option.misconception!r}")
        if "B" in question.forms and question.forms["A"] == question.forms["B"]:
            found.append(f"{where}: both forms are the same")
    used = {option.misconception for q in bank.questions for form in q.forms.values() for option in form.options}
    found += [f"book/{bank.name}.yml: nothing leads to {name!r}" for name in bank.misconceptions if name not in used]
    return found


# -- without the book ----------------------------------------------------------------------------------------------

HEDGES = set("mostly about nearly hardly may more most some close often usually while though".split())
ABSOLUTE = set("all none no each every always never any nothing only same just alone".split())


def _words(text: str) -> list[str]:
    return re.findall(r"[\w.^/]+", text.lower())


def _shared(text: str, other: str) -> float:
    a, b = set(_words(text)), set(_words(other))
    return len(a & b) / max(1, len(a))


def _likeness(k: int, texts: list[str]) -> float:
    return sum(_shared(texts[k], other) for n, other in enumerate(texts) if n != k)


def _crossing(k: int, texts: list[str]) -> float:
    """How common the parts of an answer are among the four; nothing where they are not all of as many parts."""
    parts = [re.split(r"[,;] ", text) for text in texts]
    if len({len(one) for one in parts}) > 1 or len(parts[0]) == 1:
        return math.nan
    return sum(other[n] == part for other in parts for n, part in enumerate(parts[k]))


def _number(text: str) -> float:
    found = _leading(text)
    return math.nan if found is None else found


def _roundness(text: str) -> float:
    """Minus the digits that a number needs; 300 needs one, 0.32 two."""
    return math.nan if _leading(text) is None else -len(re.sub(r"\D", "", text).strip("0"))


def _between(values: list[float]) -> list[float]:
    """How near the middle a number stands among the four; nothing where one of them is no number."""
    if any(math.isnan(value) for value in values):
        return values
    return [-abs(sorted(values).index(value) - 1.5) for value in values]


def _alone(has: list[bool]) -> list[float]:
    """1 for the only answer that has something, or for the only one that lacks it."""
    return [float(has.count(one) == 1) for one in has]


def _middling(texts: list[str]) -> list[float]:
    """How near an answer's length is to the mean of all four."""
    mean = _mean(len(text) for text in texts)
    return [-abs(len(text) - mean) for text in texts]


CUES: dict[str, Callable[[str, list[str]], list[float]]] = {
    "the longest": lambda stem, texts: [len(text) for text in texts],
    "the shortest": lambda stem, texts: [-len(text) for text in texts],
    "most words of the question": lambda stem, texts: [len(set(_words(t)) & set(_words(stem))) for t in texts],
    "fewest words of the question": lambda stem, texts: [-_shared(text, stem) for text in texts],
    "most like the others": lambda stem, texts: [_likeness(k, texts) for k in range(len(texts))],
    "the parts that come most often": lambda stem, texts: [_crossing(k, texts) for k in range(len(texts))],
    "least like the others": lambda stem, texts: [-_likeness(k, texts) for k in range(len(texts))],
    "the most hedged": lambda stem, texts: [len(HEDGES & set(_words(text))) for text in texts],
    "the least absolute": lambda stem, texts: [-len(ABSOLUTE & set(_words(text))) for text in texts],
    "the most absolute": lambda stem, texts: [len(ABSOLUTE & set(_words(text))) for text in texts],
    "the most figures": lambda stem, texts: [len(re.findall(r"\d", text)) for text in texts],
    "the largest number": lambda stem, texts: [_number(text) for text in texts],
    "the smallest number": lambda stem, texts: [-_number(text) for text in texts],
    "the least round number": lambda stem, texts: [-_roundness(text) for text in texts],
    "the only one with a number": lambda stem, texts: _alone([bool(re.search(r"\d", text)) for text in texts]),
    "the only one without absolutes": lambda stem, texts: _alone([bool(ABSOLUTE & set(_words(t))) for t in texts]),
    "the only one of two parts": lambda stem, texts: _alone([bool(re.search(r"[,;] | and ", t)) for t in texts]),
    "the length in the middle": lambda stem, texts: _middling(texts),
    "a number between": lambda stem, texts: _between([_number(text) for text in texts]),
}


class Cue(NamedTuple):
    """A way to guess: its name, how often it has something to say, and its share of right answers there.

    Where it finds several answers alike, it tosses for them, and the mean of that counts.
    """

    name: str
    spoken: int
    right: float


def cues(bank: Bank, forms: str = "AB") -> list[Cue]:
    """How far each way of guessing gets, over the questions of some forms."""
    found = []
    for name, score in CUES.items():
        hits = []
        for question in bank.questions:
            for form in forms:
                if form not in question.forms:
                    continue
                stem, options = question.forms[form]
                values = score(stem, [option.text for option in options])
                if any(math.isnan(value) for value in values) or len(set(values)) == 1:
                    continue
                best = [k for k, value in enumerate(values) if value == max(values)]
                hits.append((0 in best) / len(best))
        found.append(Cue(name, len(hits), sum(hits) / len(hits) if hits else CHANCE))
    return found


def loudest(cue: Cue, errors: float = 2.0) -> bool:
    """Whether a way of guessing beats chance by more than so many standard errors."""
    return cue.right > CHANCE + errors * math.sqrt(CHANCE * (1 - CHANCE) / max(1, cue.spoken))


# -- as HTML -------------------------------------------------------------------------------------------------------


def inline(text: str) -> str:
    """A line of a bank as HTML: its only mark is `code`."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text, quote=False))


def told(bank: Bank, form: str = "A") -> list[dict]:
    """What the page tells after an answer: per question the place of the right one, the reason, the ideas, the link."""
    found = []
    for question in bank.questions:
        places = order(bank, form)[question.id]
        ideas = [question.forms[form].options[k].misconception for k in places]
        found.append(
            {
                "id": question.id,
                "part": question.part,
                "right": places.index(0),
                "because": inline(question.because),
                "ideas": [inline(bank.misconceptions.get(idea, "")) for idea in ideas],
            }
        )
    return found


def fieldset(bank: Bank, question: Question, number: int, form: str = "A") -> str:
    """One question as the page has it, without a blank line."""
    stem, options = question.forms[form]
    rows = []
    for letter, place in zip(LETTERS, order(bank, form)[question.id], strict=True):
        value = LETTERS.index(letter)
        rows.append(
            f'<label><input type="radio" name="{bank.name}-{question.id}" value="{value}"> '
            f"<span>({letter}) {inline(options[place].text)}</span></label>"
        )
    link = f'<a href="{anchor(question.cites)}">{_title(question.cites)}</a>'
    return "\n".join(
        [
            f'<fieldset class="question" id="{bank.name}-{question.id}" data-question="{question.id}">',
            f"<legend><b>{number}</b> {inline(stem)}</legend>",
            *rows,
            '<p class="told" role="status"></p>',
            f'<p class="where">In the book: {link}.</p>',
            "</fieldset>",
        ]
    )


def _title(place: str) -> str:
    name, *trail = [part.strip() for part in place.split(" / ")]
    words = re.sub(r"[$*`\\]", "", trail[-1]) if trail else "the chapter"
    return f"<code>{name}</code>, {html.escape(words)}"


def page(bank: Bank, form: str = "A", level: str = "##") -> str:
    """The questions as MyST: a heading for each part, a block of HTML below it, and what the page's script needs."""
    import base64

    pieces, number = [], 0
    for part in bank.parts:
        rows = []
        for question in bank.questions:
            if question.part == part:
                number += 1
                rows.append(fieldset(bank, question, number, form))
        head = f"{level} {part}\n\n" if len(bank.parts) > 1 else ""
        pieces.append(f'{head}<div class="questions" data-bank="{bank.name}">\n' + "\n".join(rows) + "\n</div>")
    # not for secrecy: who answers is told anyway. It keeps the reasons out of a glance at the page's text.
    sealed = base64.b64encode(json.dumps(told(bank, form), ensure_ascii=False).encode()).decode()
    pieces.append(
        f'<div class="questions-end" data-bank="{bank.name}" data-told="{sealed}"></div>\n'
        '<script src="../_static/questions.js" defer></script>'
    )
    return "\n\n".join(pieces)


STYLE = """
@page { size: A4; margin: 18mm 16mm 18mm 20mm; }
body { font: 10.5pt/1.42 Charter, Georgia, "Liberation Serif", serif; color: #111; max-width: 46rem; margin: 0 auto; }
h1 { font-size: 17pt; margin: 0 0 2mm; } h2 { font-size: 12.5pt; margin: 6mm 0 2mm; break-after: avoid; }
.who { display: flex; gap: 8mm; margin: 3mm 0 4mm; }
.who span { flex: 1; border-bottom: 0.3mm solid #555; padding-bottom: 6mm; }
ol.items { padding-left: 7mm; margin: 0; } ol.items > li { margin: 0 0 4mm; break-inside: avoid; }
ol.items > li > p { margin: 0 0 1mm; } ol.choices { list-style: none; padding: 0; margin: 0; }
ol.choices li { padding-left: 7mm; text-indent: -7mm; } ol.choices li.right { font-weight: 700; }
.small { font-size: 9pt; color: #444; } code { font-size: 0.9em; }
table { border-collapse: collapse; width: 100%; }
td, th { border: 0.25mm solid #777; padding: 1mm 2mm; text-align: center; }
"""


def _document(title: str, body: str) -> str:
    head = f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
    return f"{head}<style>{STYLE}</style></head><body>{body}</body></html>"


def paper(bank: Bank, form: str) -> str:
    """A form for a class, as an HTML document: no answers, nothing that tells them."""
    title = f"{bank.title}, form {form}"
    body = [
        f"<h1>{html.escape(title)}</h1>",
        '<div class="who"><span>Name or number</span><span>Date</span></div>',
        f"<p>{len(bank.questions)} questions, one right answer each. Mark what you think; leave out what you would "
        "have to toss a coin for. The questions are about what this book's experiments found. No book, no machine.</p>",
    ]
    start = 1
    for part in bank.parts:
        rows = [question for question in bank.questions if question.part == part]
        body.append(f'<h2>{html.escape(part)}</h2><ol class="items" start="{start}">')
        start += len(rows)
        for question in rows:
            stem, options = question.forms[form]
            choices = "".join(
                f"<li>({letter}) &nbsp; {inline(options[place].text)}</li>"
                for letter, place in zip(LETTERS, order(bank, form)[question.id], strict=True)
            )
            body.append(f'<li><p>{inline(stem)}</p><ol class="choices">{choices}</ol></li>')
        body.append("</ol>")
    return _document(title, "\n".join(body))


def sheet(bank: Bank) -> str:
    """A sheet to mark answers on, the same for both forms."""
    count = len(bank.questions)
    half = math.ceil(count / 2)
    rows = []
    for k in range(half):
        cells = []
        for n in (k, k + half):
            boxes = "".join(f"<td>{letter}</td>" for letter in LETTERS) if n < count else "<td></td>" * 4
            cells.append(f"<th>{n + 1 if n < count else ''}</th>{boxes}")
        rows.append(f"<tr>{'<td></td>'.join(cells)}</tr>")
    title = f"{bank.title}, answers"
    who = '<div class="who"><span>Name or number</span><span>Form</span><span>Date</span></div>'
    return _document(
        title, f"<h1>{html.escape(title)}</h1>{who}<p>Ring one letter a row.</p><table>{''.join(rows)}</table>"
    )


def key(bank: Bank) -> str:
    """The teacher's key: both forms' answers, the idea behind each wrong one, where the answer stands, the notes."""
    body = [f"<h1>{html.escape(bank.title)}: key and notes</h1>"]
    body.append(
        "<p>For the teacher. The right answers of both forms; behind each wrong one the idea that leads to it. Form A "
        "is the page's, whose answers everybody may have; form B is on none. Who reads the repository finds both.</p>"
    )
    for form in bank.forms:
        places = order(bank, form)
        letters = " ".join(f"{n}{LETTERS[places[q.id].index(0)]}" for n, q in enumerate(bank.questions, 1))
        body.append(f"<p><b>Form {form}</b> &nbsp; {letters}</p>")
    body.append('<ol class="items">')
    for question in bank.questions:
        rows = [f"<p><b>{html.escape(question.part)}: {question.id}</b></p>"]
        for form, (stem, options) in question.forms.items():
            choices = ""
            for letter, place in zip(LETTERS, order(bank, form)[question.id], strict=True):
                idea = options[place].misconception
                mark = ' class="right"' if not idea else ""
                why = f' <span class="small">{inline(bank.misconceptions.get(idea, ""))}</span>' if idea else ""
                choices += f"<li{mark}>({letter}) &nbsp; {inline(options[place].text)}{why}</li>"
            body_form = f'<p>{form}. {inline(stem)}</p><ol class="choices">{choices}</ol>'
            rows.append(body_form)
        places = ", ".join([question.cites, *question.also])
        rows.append(f"<p><i>{inline(question.because)}</i> {inline(question.note)}</p>")
        rows.append(f'<p class="small">{html.escape(places)}</p>')
        body.append(f"<li>{''.join(rows)}</li>")
    body.append("</ol>")
    return _document(f"{bank.title}: key", "\n".join(body))


# -- marking -------------------------------------------------------------------------------------------------------


class Marked(NamedTuple):
    """What a class answered: marks by name, marks by name and part, how many have the idea behind each wrong answer."""

    marks: dict[str, int]
    parts: dict[str, dict[str, int]]
    ideas: Counter
    right: dict[str, int]


def mark(bank: Bank, form: str, rows: list[dict[str, str]]) -> Marked:
    """Mark a class.

    Args:
        bank: the bank.
        form: which was answered.
        rows: one a person: name, and letters by number or id; empty is not answered.

    Returns:
        A `Marked`.

    Raises:
        QuestionError: if an answer is no letter of the form, a column names no question, or a name stands twice.
    """
    columns = {str(n): question for n, question in enumerate(bank.questions, 1)} | {q.id: q for q in bank.questions}
    places = order(bank, form)
    marks: dict[str, int] = {}
    parts: dict[str, dict[str, int]] = {}
    ideas, right = Counter(), Counter({question.id: 0 for question in bank.questions})
    for row in rows:
        name = (row.get("name") or "").strip()
        if not name or name in marks:
            raise QuestionError(f"the name {name!r} is empty or stands twice: each row needs one of its own")
        marks[name], parts[name] = 0, dict.fromkeys(bank.parts, 0)
        for column, answer in row.items():
            if column in ("name", "form") or column is None:
                continue
            if column not in columns:
                raise QuestionError(f"column {column!r} names no question: use 1 to {len(bank.questions)}, or the ids")
            answer = (answer or "").strip().lower()
            if not answer:
                continue
            if answer not in LETTERS or len(answer) != 1:
                raise QuestionError(f"{name}, question {column}: {answer!r} is none of {', '.join(LETTERS)}")
            question = columns[column]
            option = question.forms[form].options[places[question.id][LETTERS.index(answer)]]
            if option.misconception:
                ideas[option.misconception] += 1
            else:
                marks[name] += 1
                parts[name][question.part] += 1
                right[question.id] += 1
    return Marked(marks, parts, ideas, dict(right))


def gain(before: Marked, after: Marked, most: int) -> float | None:
    """The normalised gain of those who were there twice: what was won, of what could be won.

    Args:
        before, after: the same people, on two forms.
        most: the full mark.

    Returns:
        (after - before) / (most - before) of the means; None if nobody was there twice or nothing could be won.
    """
    both = [name for name in before.marks if name in after.marks]
    if not both:
        return None
    first, second = (_mean(marked.marks[name] for name in both) for marked in (before, after))
    return (second - first) / (most - first) if first < most else None


def table(bank: Bank, marked: Marked) -> str:
    """A class as text: marks, the mean of each part, the questions from hard to easy, the commonest ideas."""
    people, most = len(marked.marks), len(bank.questions)
    wide = max([6, *map(len, marked.marks)])
    lines = [f"{'name':{wide}} {'marks':>5}  " + "  ".join(part[:14] for part in bank.parts)]
    for name, value in marked.marks.items():
        each = "  ".join(f"{marked.parts[name][part]:>{min(14, len(part))}}" for part in bank.parts)
        lines.append(f"{name:{wide}} {value:>5}  {each}")
    lines.append(f"\nmean {_mean(marked.marks.values()):.1f} of {most}; chance alone gives {most * CHANCE:.1f}")
    lines.append("right answers, from the hardest question:")
    for id_, value in sorted(marked.right.items(), key=lambda pair: pair[1])[:8]:
        lines.append(f"  {value / people:4.0%}  {id_}")
    lines.append("ideas behind wrong answers, the commonest first:")
    for idea, value in marked.ideas.most_common(8):
        lines.append(f"  {value:3}  {bank.misconceptions.get(idea, idea)}")
    return "\n".join(lines)


# -- the command ---------------------------------------------------------------------------------------------------


def printed(documents: dict[Path, str], as_html: bool) -> list[Path]:
    """Write documents, as PDF where Chromium is here and HTML is not asked for.

    Args:
        documents: by the path of their PDF.
        as_html: write HTML, to be printed from a browser.

    Returns:
        What was written.

    Raises:
        QuestionError: if a PDF is wanted and Chromium is not here.
    """
    for path in documents:
        path.parent.mkdir(parents=True, exist_ok=True)
    if as_html:
        written = [path.with_suffix(".html") for path in documents]
        for path, text in zip(written, documents.values(), strict=True):
            path.write_text(text, encoding="utf-8")
        return written
    from playwright.sync_api import sync_playwright

    from tools import pdf

    with sync_playwright() as playwright:
        try:
            browser = pdf._browser(playwright)
        except pdf.PdfError as err:
            raise QuestionError(f"{err}; or write HTML with --html and print it from any browser") from err
        for path, text in documents.items():
            tab = browser.new_page(color_scheme="light")
            tab.set_content(text)
            where = {"display_header_footer": True, "header_template": "<span></span>", "footer_template": pdf.FOOTER}
            path.write_bytes(tab.pdf(prefer_css_page_size=True, print_background=True, tagged=True, **where))
            tab.close()
        browser.close()
    return list(documents)


def read_answers(path: Path) -> tuple[str | None, list[dict[str, str]]]:
    """A CSV of answers, and the form that its column `form` names, if it has one."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [dict(row) for row in csv.DictReader(file)]
    except (OSError, UnicodeDecodeError) as err:
        raise QuestionError(f"{path}: cannot be read: {err}") from err
    if not rows or "name" not in rows[0]:
        raise QuestionError(f"{path}: a first line with the column `name` is expected, and a row for each person")
    named = {(row.get("form") or "").strip().upper() for row in rows}
    return (named.pop() if len(named) == 1 and named != {""} else None), rows


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("what", choices=["check", "cues", "paper", "key", "mark"])
    parser.add_argument("answers", nargs="*", type=Path, metavar="CSV")
    parser.add_argument("--bank", choices=BANKS, default="inventory")
    parser.add_argument("--out", type=Path, default=ROOT / "_build" / "inventory")
    parser.add_argument("--html", action="store_true", help="write HTML instead of PDF")
    options = parser.parse_args(argv)
    try:
        return _run(options)
    except QuestionError as err:
        print(f"questions: {err}", file=sys.stderr)
        return 1


def _run(options: argparse.Namespace) -> int:
    if options.what == "check":
        found = [fault for name in BANKS for fault in faults(load(name))]
        print("\n".join(found) or f"{sum(len(load(name).questions) for name in BANKS)} questions stand")
        return 1 if found else 0
    bank = load(options.bank)
    if options.what == "cues":
        print("guessing by        spoken  right (chance 25 %)")
        for cue in sorted(cues(bank), key=lambda cue: -cue.right):
            print(f"{cue.name:30} {cue.spoken:3} {cue.right:6.0%}{'  too loud' if loudest(cue) else ''}")
        return 0
    if options.what == "mark":
        if len(options.answers) not in (1, 2):
            raise QuestionError("mark needs one file of answers, or two: before and after")
        marked = []
        for path, usual in zip(options.answers, "AB", strict=False):
            named, rows = read_answers(path)
            marked.append(mark(bank, named or usual, rows))
            print(f"{path.name}, form {named or usual}\n{table(bank, marked[-1])}\n")
        if len(marked) == 2:
            value = gain(marked[0], marked[1], len(bank.questions))
            print("normalised gain: " + ("nobody was there twice" if value is None else f"{value:.2f}"))
        return 0
    out: Path = options.out
    if options.what == "paper":
        documents = {out / f"{bank.name}-{form}.pdf": paper(bank, form) for form in bank.forms}
        documents[out / f"{bank.name}-answers.pdf"] = sheet(bank)
    else:
        documents = {out / "teacher" / f"{bank.name}-key.pdf": key(bank)}
    for path in printed(documents, options.html):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())

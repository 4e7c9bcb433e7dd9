# Generated from book/scoreboard.md by tools/export.py. Edit the chapter, not this file.
"""The scoreboard: every figure, beside the papers'.

Every figure of the papers beside ours, and what may be compared.

The chapter book/scoreboard.md builds this module and explains each line.
"""

import json
import math
from html import escape
from importlib import resources
from typing import Any, NamedTuple

from softattn.hub import real

__all__ = ["Score", "lattice_bits", "not_reached", "rescaled_nats", "scoreboard"]


# -- What a row knows --
def stored(file: str) -> Any:
    """A card or a table of the package: "weights/glimpse", "data/papers"."""
    path = resources.files("softattn") / f"{file}.json"
    return json.loads(path.read_text("utf-8"))


def at(record: Any, path: str) -> Any:
    """What stands at "test.error.7" in nested dicts and lists."""
    for key in path.split("."):
        record = record[int(key) if isinstance(record, list) else key]
    return record


# -- What a row knows --
def is_at(record: Any, path: str) -> bool:
    """Whether something stands there."""
    try:
        return at(record, path) is not None
    except (KeyError, IndexError, ValueError, TypeError):
        return False


def first_at(record: Any, paths: str | list[str]) -> Any:
    """What stands at the first of some paths that is there; "": None."""
    paths = [paths] if isinstance(paths, str) else paths
    for path in filter(None, paths):
        if is_at(record, path):
            return at(record, path)
    if any(paths):
        raise KeyError(f"none of {', '.join(paths)} is stored")
    return None


# -- What a row knows --
class Score(NamedTuple):
    """A figure of a paper, and ours; where both compare, smaller is better.

    Args:
        key: a name for the row.
        group, what, unit: the paper's experiment, the model, what is counted.
        paper: its value; None where it gives none.
        source: where it stands, and whether that was read or recalled.
        ours: our value; None where it was not tried.
        error: its standard error; None where it is not stored.
        split: the data of ours.
        compare: "yes", "about" (up to what `why` says) or "no".
        why: what limits the comparison.
        minutes: of training, None if not stored. machine: that took them.
        command: what trains and measures it again.
        closes: what is missing, where ours falls short.
    """

    key: str
    group: str
    what: str
    unit: str
    paper: float | None
    source: str
    ours: float | None
    error: float | None
    split: str
    compare: str
    why: str
    minutes: float | None
    machine: str
    command: str
    closes: str

    @property
    def verdict(self) -> str:
        """What the two values say, as far as they may be compared."""
        if self.ours is None:
            return "not built here"
        if self.paper is None or self.compare == "no":
            return "not comparable"
        word = "reached" if self.ours <= self.paper else "not reached"
        return word + (", nominally" if self.compare == "about" else "")


# -- What a row knows --
def our_value(given: dict[str, Any]) -> tuple[float, float | None, dict]:
    """What a pointer names: a value, its standard error, its record."""
    record, times = stored(given["file"]), given.get("times", 1)
    value = first_at(record, given["value"])
    error = first_at(record, given.get("error", ""))
    if over := given.get("over"):  # a ratio of two cards
        value /= first_at(stored(over), given["value"])
    return times * value, None if error is None else times * error, record


def once_stored(change: dict | None, record: dict) -> dict[str, Any]:
    """What a row says instead once something is stored in its record."""
    if change is None or not is_at(record, change["stored"]):
        return {}
    return {key: change[key] for key in ("compare", "why")}


# -- What a row knows --
def our_facts(pair: list[dict[str, Any]]) -> dict[str, Any]:
    """What a Score says of ours: of one pointer, or of two, less."""
    (value, error, record), *rest = map(our_value, pair)
    value -= sum(other for other, _, _ in rest)  # a difference
    given, found = pair[0], dict[str, Any](ours=value)
    found["error"] = None if rest else error  # of the same lines
    for key, none in (("minutes", None), ("machine", ""), ("command", "")):
        told: Any = given.get(key)
        stands = isinstance(told, str) and is_at(record, told)
        found[key] = at(record, told) if stands else told
        found[key] = found[key] or record.get(key, none)
    split = given.get("split") or record["metric"]["split"]
    if isinstance(split, list):  # one for each place
        places = zip(split, given["value"], strict=True)
        split = next(words for words, path in places if is_at(record, path))
    return found | {"split": split, "record": record}


# -- What a row knows --
def one_score(row: dict[str, Any]) -> Score:
    """A row of data/papers.json as a Score."""
    paper, ours = row["paper"], row["ours"]
    facts: dict[str, Any] = {"ours": None, "error": None, "split": "", "minutes": None, "machine": "", "command": ""}
    if ours:
        facts = our_facts(ours if isinstance(ours, list) else [ours])
        row = row | once_stored(row.get("once"), facts.pop("record"))
    where = [paper["cite"], paper["where"], paper["split"], paper["note"], paper["status"]]
    source = ", ".join(filter(None, where)) if paper["cite"] else ""
    same = {key: row[key] for key in ("group", "what", "unit", "compare", "why", "closes")}
    return Score(key=row["id"], paper=paper["value"], source=source, **same, **facts)


# -- What a row knows --
def scoreboard() -> list[Score]:
    """Every figure of the papers with ours, from what is stored alone.

    Returns:
        The rows, paper by paper.
    """
    return [one_score(row) for row in stored("data/papers")["figures"]]


def not_reached() -> list[Score]:
    """The rows that may be compared and in which ours falls short."""
    return [s for s in scoreboard() if s.verdict.startswith("not reached")]


# -- What a row knows --
def said(value: float | None, error: float | None = None) -> str:
    """A value as people read it, with its standard error if there is one."""
    if value is None:
        return "\N{EM DASH}"
    size = abs(value)
    places = 1 if size >= 100 else 2 if size >= 0.995 else 3
    text = f"{value:,.{places}f}".replace("-", "\N{MINUS SIGN}")
    if error is None:
        return text
    return f"{text} \N{PLUS-MINUS SIGN} {error:.{places}f}"


# -- What a row knows --
def table_html(scores: list[Score]) -> str:
    """Rows as an HTML table: one for each figure, notes folded beneath."""
    cells = ["<thead><tr><th>what</th><th>paper</th><th>ours</th><th>verdict</th></tr></thead><tbody>"]
    group = ""
    for s in scores:
        if s.group != group:
            group = s.group
            cells.append(f'<tr><th colspan="4">{escape(group)}</th></tr>')
        took = "" if s.minutes is None else f"{s.minutes:,.0f} minutes, "
        notes = [
            s.why,
            s.source and f"Paper: {s.source}.",
            s.split and f"Ours: {s.split}.",
            s.machine and f"Trained in {took}{s.machine}.",
        ]
        again = f"<code>{escape(s.command)}</code>" if s.command else ""
        more = " ".join(escape(n) for n in notes if n)
        cells.append(
            f"<tr><td>{escape(s.what)}<br><small>{escape(s.unit)}</small>"
            f"<details><summary>more</summary>{more} {again}</details></td>"
            f"<td>{said(s.paper)}</td><td>{said(s.ours, s.error)}</td>"
            f"<td>{s.verdict}</td></tr>"
        )
    return f'<table class="scoreboard">{"".join(cells)}</tbody></table>'


# -- The unit --
def rescaled_nats(
    nats: float,
    points: float,
    std: tuple[float, float],
    new_std: tuple[float, float],
) -> float:
    """Say the same densities in another unit.

    Args:
        nats: of a line, negative log density, coordinates divided by `std`.
        points: predicted points of the line, T.
        std: what dx and dy were divided by, in raw units.
        new_std: what they are divided by now.

    Returns:
        Nats of the line in the new unit.

    Raises:
        TypeError, ValueError: if a number is none, or a scale not above 0.

    Source: a change of variables; Graves (2013), section 4, for the unit.
    """
    own = lattice_bits(nats, points, std)
    return points * (own * math.log(2) - log_area("rescaled_nats", new_std))


# -- The unit --
def lattice_bits(nats: float, points: float, std: tuple[float, float]) -> float:
    """Bits for a point on the lattice of raw units, unit cells.

    Args:
        nats, points, std: as in `rescaled_nats`.

    Returns:
        Bits a point: no unit is left in them.

    Raises:
        TypeError, ValueError: if a number is none, or a scale not above 0.

    Source: Shannon (1948).
    """
    nats = real("lattice_bits", "nats", nats)
    points = real("lattice_bits", "points", points, 1e-9)
    area = log_area("lattice_bits", std)
    return (nats / points + area) / math.log(2)


# -- The unit --
def log_area(who: str, std: Any) -> float:
    """log s_x + log s_y of two scales, or a sentence."""
    pair = tuple(std) if isinstance(std, (tuple, list)) else ()
    if len(pair) != 2:
        raise ValueError(f"{who}: std is {std!r:.60}, expected (s_x, s_y)")
    return sum(math.log(real(who, "std", s, 1e-9, 1e9)) for s in pair)


# -- A summary that cannot drift --
INKS = {"reached": "#00664b", "not reached": "#a03c00", "not": "#57606a"}


def headlines() -> list[tuple[str, Score]]:
    """The rows for a summary, each with its short words."""
    rows = stored("data/papers")["figures"]
    return [(r["headline"], one_score(r)) for r in rows if r["headline"]]


def badge(words: str, score: Score, y: int) -> str:
    """One row of the summary as SVG, its top at y: two lines."""
    kind = next(k for k in INKS if score.verdict.startswith(k))
    value = f"{said(score.ours)} here, {said(score.paper)} in the paper"
    parts = (
        (words, 0, y, 190, "#24292f"),
        (score.verdict, 190, y, 150, INKS[kind]),
        (value, 0, y + 24, 340, "#3d444d"),
    )
    return "".join(
        f'<rect x="{x}" y="{top}" width="{w}" height="24" fill="{ink}"/>'
        f'<text x="{x + w / 2:g}" y="{top + 17}">{escape(text)}</text>'
        for text, x, top, w, ink in parts
    )


# -- A summary that cannot drift --
def summary_svg() -> str:
    """The summary as one SVG picture with its words."""
    rows = headlines()
    body = "".join(badge(w, s, 54 * k) for k, (w, s) in enumerate(rows))
    size = f'width="340" height="{54 * len(rows) - 6}"'
    font = 'font-family="Verdana, DejaVu Sans, sans-serif" font-size="12"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" '
        f'viewBox="0 0 340 {54 * len(rows) - 6}" '
        f'aria-label="{escape(summary_words())}">'
        f'<g {font} fill="#fff" text-anchor="middle">{body}</g></svg>\n'
    )


def summary_words() -> str:
    """The summary in words, for those who cannot see it."""
    return " ".join(
        f"{w[0].upper() + w[1:]}: {said(s.ours)} {s.unit} here, {said(s.paper)} in the paper, {s.verdict}."
        for w, s in headlines()
    )

"""The glossary: its table of letters from the chapters, and a link to it where a chapter first uses one of its terms.

In place of the comment `% letters` stands the table of tools.letters. In every other page the first mention of a term
in running text becomes a quiet link to its entry, with the entry's first sentence as its title. The chapters' sources
hold no marks for that, so the notebooks need none.
"""

import re
from pathlib import Path

from docutils import nodes

from tools import letters

PAGE = "book/glossary"
SPARED = ("index", "glossary", "bibliography", "moves", "api", "search", "genindex")
# Words that mean something else in other chapters link in these alone.
ONLY = {
    "bound": {"vae", "draw", "housenumbers"},
    "canvas": {"draw", "housenumbers"},
    "floor": {"handwriting", "mixture", "synthesis"},
    "gate": {"lstm", "prediction", "fused_lstm"},
    "prior": {"vae", "draw", "housenumbers"},
    "alignment": {"alignment", "window", "reading", "lineage"},
    "context vector": {"alignment", "lineage"},
    "filterbank": {"filterbank", "glimpse", "draw", "housenumbers", "lineage", "museum"},
    "gradient clipping": {"training"},
    "latent code": {"vae", "draw", "housenumbers"},
    "multi-head attention": {"transformer"},
    "oracle": {"museum"},
    "rotary positions": {"transformer"},
}
# Other words for a term, as the chapters put it.
ALSO = {
    "beam": "beam search",
    "clipped": "gradient clipping",
    "context": "context vector",
    "dot product": "dot-product attention",
    "evidence lower bound": "ELBO",
    "Graves' bias": "bias of the pen",
    "grid": "filterbank",
    "head": "multi-head attention",
    "Kullback-Leibler divergence": "KL divergence",
    "latent number": "latent code",
    "noise on the weights": "weight noise",
    "pen lift": "end of stroke",
    "rotation": "rotary positions",
    "sinusoid": "positional encoding",
    "teacher forced": "teacher forcing",
    "Turing machine": "Neural Turing Machine",
}
_QUIET = (nodes.reference, nodes.literal, nodes.math, nodes.title, nodes.term, nodes.caption, nodes.raw)


def _read(app, docname, source):
    if docname == PAGE:
        source[0] = re.sub(r"(?m)^% letters$", lambda _: letters.table(letters.letters(Path(app.srcdir))), source[0])
    elif Path(docname).name not in SPARED:
        app.env.note_dependency(str(Path(app.srcdir) / f"{PAGE}.md"))  # another glossary: other links here


def _entries(app) -> dict[str, tuple[str, str]]:
    """Term -> its anchor and the first sentence of what it says."""
    kept = getattr(app, "_glossary_entries", None)
    if kept is None:
        kept = {}
        for item in app.env.get_doctree(PAGE).findall(nodes.definition_list_item):
            definition = next(iter(item.findall(nodes.definition)), None)
            words = " ".join(definition.astext().split()) if definition is not None else ""
            first = re.split(r"(?<=[.]) ", words)[0]
            for term in item.findall(nodes.term):
                if term["ids"]:
                    kept[term.astext().strip()] = (term["ids"][0], first)
        kept |= {word: kept[term] for word, term in ALSO.items() if term in kept}
        app._glossary_entries = kept
    return kept


def _pattern(entries) -> re.Pattern:
    """Any of the terms as a whole word, a plural's s allowed; longer ones first."""
    words = "|".join(re.escape(term).replace(r"\ ", r"[\s-]") for term in sorted(entries, key=len, reverse=True))
    return re.compile(rf"(?<![\w-])(?:{words})(?:s|es)?(?![\w-])", re.I)


def _name(found: str, entries) -> str:
    plain = re.sub(r"[\s-]+", " ", found).lower()
    known = {re.sub(r"[\s-]+", " ", term).lower(): term for term in entries}
    return known.get(plain) or known.get(plain.removesuffix("s")) or known.get(plain.removesuffix("es")) or ""


def _link(app, doctree, docname):
    if Path(docname).name in SPARED or PAGE not in app.env.found_docs:
        return
    entries = _entries(app)
    if not entries:
        return
    here = Path(docname).name
    pattern, done = _pattern(entries), {term for term, pages in ONLY.items() if here not in pages}
    where = app.builder.get_relative_uri(docname, PAGE)
    for paragraph in list(doctree.findall(nodes.paragraph)):
        for text in list(paragraph.findall(nodes.Text)):
            if _inside(text, paragraph):
                continue
            pieces = _pieces(text.astext(), pattern, entries, done, where)
            if pieces:
                text.parent.replace(text, pieces)


def _inside(text, paragraph) -> bool:
    """Whether a text stands within something that is a link, code or a title already."""
    node = text.parent
    while node is not None and node is not paragraph:
        if isinstance(node, _QUIET):
            return True
        node = node.parent
    while node is not None:  # a table of figures, an admonition's title
        if isinstance(node, nodes.table | nodes.footnote | nodes.citation):
            return True
        node = node.parent
    return False


def _pieces(words: str, pattern, entries, done: set, where: str) -> list:
    """A text cut where a term is mentioned for the first time; [] if there is none."""
    pieces, at = [], 0
    for found in pattern.finditer(words):
        term = _name(found[0], entries)
        term = ALSO.get(term, term)
        if not term or term in done or (term.isupper() and not found[0].isupper()):
            continue
        done.add(term)
        anchor, title = entries[term]
        link = nodes.reference("", found[0], internal=True, refuri=f"{where}#{anchor}", classes=["term-link"])
        link["reftitle"] = title
        pieces += [nodes.Text(words[at : found.start()]), link]
        at = found.end()
    return [*pieces, nodes.Text(words[at:])] if pieces else []


def setup(app):
    app.connect("source-read", _read)
    app.connect("doctree-resolved", _link)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

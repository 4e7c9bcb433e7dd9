# Generated from book/pictures.md by tools/export.py. Edit the chapter, not this file.
"""Pictures.

One style for every figure, and demos that live on a page without a kernel.

The chapter book/pictures.md builds this module and explains each line.
"""

import base64
import hashlib
import io
import json
import re
from collections import Counter
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from softattn.hub import real, whole

__all__ = ["COLORS", "figure", "show", "show_figure"]


# -- Colours that survive the eye --
COLORS = {
    "black": "#000000",
    "orange": "#E69F00",
    "sky": "#56B4E9",
    "green": "#009E73",
    "yellow": "#F0E442",
    "blue": "#0072B2",
    "vermillion": "#D55E00",
    "purple": "#CC79A7",
}


# -- One style --
_STYLE = {
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
    "font.size": 13,
    "axes.titlesize": 13,
    "axes.labelsize": 13,
    "legend.fontsize": 12,
    "xtick.labelsize": 12,
    "ytick.labelsize": 12,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#6e7781",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e7eb",
    "image.cmap": "cividis",
    "legend.frameon": False,
    "lines.linewidth": 2.2,
    "svg.hashsalt": "softattn",  # the same figure twice is the same file
}


# -- One style --
_CYCLE = "blue vermillion green purple orange sky black yellow"


def _use_style(defaults: Any) -> None:
    from cycler import cycler

    colours = [COLORS[name] for name in _CYCLE.split()]
    defaults.update({**_STYLE, "axes.prop_cycle": cycler(color=colours)})


# -- One style --
def figure(
    width: float = 7.0,
    height: float = 3.0,
    rows: int = 1,
    columns: int = 1,
    **subplots_kw: Any,
) -> tuple[Any, Any]:
    """Start a figure; sets the book's style for the whole process.

    Args:
        width, height: of the whole figure, in inches; 7 fills the page.
        rows, columns: of axes.
        subplots_kw: what else `plt.subplots` should know (`sharex=True`).

    Returns:
        The figure, and its axes: one, or an array of them.

    Raises:
        ValueError: if a size or a count is not positive.
    """
    width = real("figure", "width", width, 0.01, 1000)
    height = real("figure", "height", height, 0.01, 1000)
    rows = whole("figure", "rows", rows, 1, 1000)
    columns = whole("figure", "columns", columns, 1, 1000)
    import matplotlib.pyplot as plt

    _use_style(plt.rcParams)
    more = {"layout": "constrained", **subplots_kw}
    return plt.subplots(rows, columns, figsize=(width, height), **more)


# -- A picture also has words --
def _words(alt: Any) -> str:
    """The words beside a picture, or a TypeError."""
    if not isinstance(alt, str):
        kind = type(alt).__name__
        raise TypeError(f"figure_html: alt is a {kind}, expected a sentence")
    return alt


def _check_picture(fig: Any, alt: Any) -> None:
    """Raise unless this is a figure with words."""
    if not _words(alt).strip():
        raise ValueError(
            "figure_html: alt is empty: say in a full sentence what is seen in this figure, for those who cannot see it"
        )
    if not hasattr(fig, "savefig") or not hasattr(fig, "get_size_inches"):
        kind = type(fig).__name__
        raise TypeError(f"figure_html: fig is a {kind}, no Matplotlib figure")


# -- A picture also has words --
def figure_html(fig: Any, alt: str) -> str:
    """A Matplotlib figure as one `<img>` element with the file inside.

    Args:
        fig: a Matplotlib figure.
        alt: one or two full sentences that say what is seen.

    Returns:
        HTML. The image is SVG up to 60 kB, and PNG at 192 dots per inch
        beyond.

    Raises:
        ValueError: if `alt` is empty.
        TypeError: if it is no text, or the figure none.
    """
    _check_picture(fig, alt)
    file, kind = io.BytesIO(), "svg+xml"
    fig.savefig(file, format="svg", metadata={"Date": None})
    if file.tell() > 60_000:
        file, kind = io.BytesIO(), "png"
        fig.savefig(file, format="png", dpi=192)
    width, height = (round(96 * inches) for inches in fig.get_size_inches())
    data = base64.b64encode(file.getvalue()).decode()
    return (
        f'<img class="softattn-figure" alt="{escape(alt)}" '
        f'width="{width}" height="{height}" '
        'style="max-width: 100%; height: auto; border-radius: 6px" '
        f'src="data:image/{kind};base64,{data}">'
    )


# -- A picture also has words --
def show_figure(fig: Any, alt: str) -> None:
    """Display a figure with its alternative text, and close it.

    Args:
        fig: a Matplotlib figure.
        alt: one or two full sentences that say what is seen.

    Raises:
        ValueError: if `alt` is empty.
    """
    import matplotlib.pyplot as plt
    from IPython.display import display

    html = figure_html(fig, alt)
    plt.close(fig)
    display({"text/html": html, "text/plain": alt}, raw=True)


# -- A demo without a kernel --
_PAGE = """<style>$style</style>
<div class="softattn-demo" id="$uid" data-demo="$name">$still</div>
<script type="module">
const all = [...document.querySelectorAll("#$uid")];
const el = all.find((one) => !one.dataset.state);
const still = [...el.childNodes];
const state = $state, heard = {};
const model = {
  get: (key) => state[key],
  set: (key, value) => {
    if (state[key] === value) return;
    state[key] = value;
    (heard["change:" + key] ?? []).forEach((f) => f());
  },
  on: (event, f) => (heard[event] ??= []).push(f),
  off: (event, f) => {
    heard[event] = (heard[event] ?? []).filter((g) => f && g !== f);
  },
  save_changes() {},
  send() {},
};
el.dataset.state = "loading";
"""


# -- A demo without a kernel --
_RUN = """\
try {
  const text = new Blob([$source], { type: "text/javascript" });
  const url = URL.createObjectURL(text);
  const demo = (await import(url)).default;  // a worker may read it again
  await demo.render({ model, el });
  still.forEach((node) => node.remove());
  if (el.dataset.state === "loading") el.dataset.state = "live";
} catch (error) {
  const note = document.createElement("p");
  note.className = "sa-note";
  note.setAttribute("role", "status");
  note.textContent =
    "This figure should move, but its script stopped: " + error.message;
  el.replaceChildren(...still, note);
  el.dataset.state = "failed";
  console.error(error);
}
</script>"""


# -- One text, whatever it imports --
_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./(\w+)\.js";$', re.M)
_EXPORT = re.compile(r"^export (?:async )?(?:function\*?|const|class) (\w+)", re.M)


def _script(name: str) -> str:
    """The text of a module of softattn/demos."""
    path = files("softattn") / "demos" / f"{name}.js"
    return path.read_text(encoding="utf-8")


# -- One text, whatever it imports --
def _inlined(name: str, text: str, done: dict[str, str]) -> str:
    """A module's text with its imports read from `done`, filled first."""
    for _, other in _IMPORT.findall(text):
        if other not in done:
            inner = _inlined(other, _script(other), done)
            names = ", ".join(_EXPORT.findall(inner))
            inner = re.sub(r"^export ", "", inner, flags=re.M)
            done[other] = f"const ${other} = (() => {{\n{inner}\nreturn {{ {names} }};\n}})();\n"
    text = _IMPORT.sub(r"const {\1} = $\2;", text)
    if re.search(r"^import\b", text, re.M):
        raise ValueError(f"{name}.js: only {{names}} of ./NAME.js are imported")
    return text


# -- One text, whatever it imports --

# What demos import, no demos.
HELPERS = ("kit", "ink", "net", "readers", "machine")


def packed(text: str, name: str = "script") -> str:
    """A module's text, named in errors, with all that it imports before it."""
    done: dict[str, str] = {}
    text = _inlined(name, text, done)
    return "".join(done.values()) + text


def demo_source(name: str) -> str:
    """A demo as the text of one ES module that imports nothing.

    Args:
        name: of the demo, `softattn/demos/NAME.js`.

    Raises:
        ValueError: if there is no such demo.
    """
    folder = files("softattn") / "demos"
    found = {p.name[:-3] for p in folder.iterdir() if p.name.endswith(".js")}
    known = sorted(found - {*HELPERS})
    if not isinstance(name, str) or name not in known:
        there = ", ".join(known)
        raise ValueError(f"show: there is no demo {name!r}; there are {there}")
    return packed(_script(name), name)


# -- The state, as JSON --
_shown: Counter[str] = Counter()  # how often each demo was shown here


def _json(name: str, key: str, value: Any) -> str:
    """JSON of one value, with every `<` written as an escape."""
    try:
        text = json.dumps(value, allow_nan=False, default=lambda array: array.tolist())
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"show({name!r}): {key!r} cannot be sent to the page ({error}); "
            "give finite numbers, texts, lists, dicts, arrays or tensors"
        ) from None
    return text.replace("<", "\\u003c")


# -- The state, as JSON --
def demo_html(name: str, picture: Any = None, alt: str = "", **state: Any) -> str:
    """The demo `softattn/demos/NAME.js` as HTML without kernel or network.

    Args:
        name: of the demo, without `.js`.
        picture: a Matplotlib figure, what stands where scripts do not run;
            None for a line of text.
        alt: what is seen in the picture; needed with a picture.
        state: what the demo starts with; what JSON can hold, arrays,
            tensors.

    Returns: HTML, with a static picture where scripts do not run.
    Raises: ValueError, TypeError for no such demo, no `alt`, no finite JSON.
    """
    source = _json(name, "source", demo_source(name))
    pairs = (f"{_json(name, k, k)}: {_json(name, k, state[k])}" for k in state)
    values = "{" + ", ".join(sorted(pairs)) + "}"
    digest = hashlib.sha256((name + source + values).encode()).hexdigest()
    _shown[digest] += 1
    words = escape(_words(alt) or "An interactive figure: it needs scripts.")
    still = f'<p class="sa-note">{words}</p>'
    if picture is not None:
        still = figure_html(picture, alt)
    uid = f"demo-{digest[:10]}-{_shown[digest]}"
    parts = {"name": name, "still": still, "state": values, "source": source}
    style = _DEMO_STYLE + _DEMO_RULES + _DEMO_BOXES
    return Template(_PAGE + _RUN).substitute(style=style, uid=uid, **parts)


# -- The state, as JSON --
_DEMO_STYLE = """
.softattn-demo { --sa-text: #1f2328; --sa-muted: #57606a; --sa-line: #d0d7de;
  --sa-panel: #f3f5f7;
  --sa-background: #fff;
  --sa-blue: #0072b2; --sa-orange: #e69f00; --sa-green: #009e73;
  --sa-vermillion: #d55e00; --sa-purple: #cc79a7;
  --sa-sky: #56b4e9; --sa-yellow: #e0d11c; --sa-lit: #fdf0d0;
  box-sizing: border-box; max-width: 46rem; margin: 0 0 1rem;
  padding: 1rem; border: 1px solid var(--sa-line); border-radius: 10px;
  background: var(--sa-background);
  color: var(--sa-text); font-size: 1rem; line-height: 1.45;
  overflow-wrap: anywhere; }
html[data-theme="dark"] .softattn-demo, html[theme="dark"] .softattn-demo,
body[data-jp-theme-light="false"] .softattn-demo,
  body.vscode-dark .softattn-demo {
  --sa-text: #e6e8eb; --sa-muted: #a9b1ba;
  --sa-line: #444c56; --sa-panel: #22272e; --sa-background: #191d22;
  --sa-blue: #4aa3e0; --sa-orange: #f0b429;
  --sa-green: #2fc096; --sa-vermillion: #f2823a; --sa-purple: #dd93bd;
  --sa-sky: #7cc7f2; --sa-yellow: #f0e442;
  --sa-lit: #4a3c14; }
"""


# -- The state, as JSON --
_DEMO_RULES = """
.softattn-demo *, .softattn-demo *::before { box-sizing: border-box; }
.softattn-demo svg, .softattn-demo canvas { display: block; width: 100%;
  height: auto; }
.softattn-demo svg text { fill: var(--sa-text); font-size: 18px; }
.softattn-demo p { margin: 0.5rem 0; }
.softattn-demo label { display: block; margin: 0; font-size: 0.95rem; }
.softattn-demo input[type="range"] { display: block; width: 100%;
  height: 1.75rem; margin: 0;
  accent-color: var(--sa-blue); }
.softattn-demo output,
  .softattn-demo label b { font-variant-numeric: tabular-nums;
  font-weight: 600; }
.softattn-demo button, .softattn-demo select,
  .softattn-demo input[type="text"] { min-height: 2.25rem; max-width: 100%;
  padding: 0.3rem 0.8rem; border: 1px solid var(--sa-muted);
  border-radius: 6px; background: var(--sa-panel);
  color: var(--sa-text); font: inherit; }
.softattn-demo button, .softattn-demo select { cursor: pointer; }
.softattn-demo button:disabled { opacity: 0.45; cursor: default; }
.softattn-demo button[aria-pressed="true"] { border-color: var(--sa-blue);
  box-shadow: inset 0 0 0 2px var(--sa-blue); }
.softattn-demo :focus-visible { outline: 3px solid var(--sa-blue);
  outline-offset: 2px; }
"""


# -- The state, as JSON --
_DEMO_BOXES = """
.softattn-demo .sa-controls { display: grid;
  grid-template-columns: repeat(auto-fit, minmax(min(13rem, 100%), 1fr));
  gap: 0.5rem 1.25rem; margin: 0.5rem 0; }
.softattn-demo .sa-row { display: flex; flex-wrap: wrap; align-items: center;
  gap: 0.5rem 1rem; margin: 0.5rem 0; }
.softattn-demo .sa-note { color: var(--sa-muted); font-size: 0.9rem; }
.softattn-demo .sa-equations, .softattn-demo .sa-scroll { max-width: 100%;
  overflow-x: auto; overflow-wrap: normal;
  font-variant-numeric: tabular-nums; }
.softattn-demo .sa-on { background: var(--sa-lit); border-radius: 4px; }
@media (prefers-reduced-motion: reduce) {
  .softattn-demo * { animation: none !important; transition: none !important;
  } }
"""


# -- The state, as JSON --
def show(name: str, picture: Any = None, alt: str = "", **state) -> None:
    """Put the demo `softattn/demos/NAME.js` on the page, close its picture.

    Args:
        name: of the demo, without `.js`.
        picture, alt: what stands where scripts do not run, and its words.
        state: what the demo starts with, as in `demo_html`.

    Raises:
        ValueError, TypeError: as `demo_html` does.
    """
    from IPython.display import display

    html = demo_html(name, picture, alt, **state)
    if picture is not None:
        import matplotlib.pyplot as plt

        plt.close(picture)
    words = alt or f"the interactive figure {name}"
    display({"text/html": html, "text/plain": words}, raw=True)


# -- What a benchmark measured --
def measured(name: str) -> str:
    """The tables of a benchmark's stored results, as Markdown.

    Args:
        name: the benchmark, as `softattn.hub.results` knows it.

    Raises: ValueError if it has stored none.
    """
    from softattn.hub import results, results_elsewhere

    lines = []
    for one in (name, *results_elsewhere(name)):
        record = results(one)
        facts = (record[fact] for fact in ("processor", "date", "commit"))
        for table in record["tables"]:
            lines += _rows(table)
        lines += [f"`{record['command']}`: " + ", ".join(facts), ""]
    return "\n".join(lines)


def _rows(table: dict) -> list[str]:
    row = lambda cells: "| " + " | ".join(cells) + " |"
    title, rule = f"**{table['title']}**", ["---"]
    rule += ["--:"] * (len(table["head"]) - 1)
    rows = [row(cells) for cells in (table["head"], rule, *table["rows"])]
    return [title, "", *rows, ""]


# -- What a benchmark measured --
def show_measured(name: str) -> None:
    """Put the tables of a benchmark's stored result on the page.

    Args:
        name: the benchmark, as `softattn.hub.results` knows it.

    Raises: ValueError if it has stored none.
    """
    from IPython.display import display

    words = measured(name)
    display({"text/markdown": words, "text/plain": words}, raw=True)

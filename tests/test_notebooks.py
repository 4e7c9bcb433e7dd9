"""Chapters become plain notebooks: each rule of rewriting, numbers against Sphinx, exercises with every answer."""

import itertools
import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tools import notebooks, repository, run_notebooks
from tools.labels import Labels, chapter_numbers
from tools.markdown import blocks
from tools.plain import leftovers, references_of

ROOT = Path(__file__).resolve().parent.parent

HERE = repository.parse("https://github.com/ada/softattn", "v1")
HEAD = """---
jupytext: {text_representation: {extension: .md, format_name: myst}}
kernelspec: {display_name: Python 3, language: python, name: python3}
---
"""
CELL = "\n```{code-cell} python\n1\n```\n"
BIB = r"""
@article{graves2013, author={Graves, Alex}, title={Generating sequences with {RNN}s}, journal={arXiv}, year={2013},
 eprint={1308.0850}}
@inproceedings{gers2000, author={Gers, Felix A. and Schmidhuber, J{\"u}rgen}, title={Nets that time_and count},
 booktitle={IJCNN}, year={2000}, doi={10.1109/x}}
@article{oord2016, author={van den Oord, A{\"a}ron and B, C. and D, E.}, title={P < Q}, year={2016}}
"""
TOC = """format: jb-book
root: book/index
parts:
  - {caption: I, numbered: true, chapters: [{file: book/a}]}
  - {caption: II, numbered: true, chapters: [{file: book/b}]}
  - {caption: Toolbox, chapters: [{file: book/c}, {file: book/d}]}
"""
# One page with everything that is numbered; P is the page's name.
PAGE = """# Page P

(sec-P)=
## Section $s$ of P

```{math}
:label: P-one
x = 1
```

```{math}
y = no number
```

```{note}
Within:

$$ z = 3 $$ (P-two)
```

:::{figure} pic.png
:alt: A picture.
:name: fig-P
A caption.
:::

```{table} Cap
:name: tab-P
| a | b |
|---|---|
| 1 | 2 |
```

- item

  ```{math}
  :label: P-three
  q
  ```

````{exercise-start} Break it
:label: ex-P
````
Text

$$
w
$$ (P-four)

```{code-cell} python
1
```
````{exercise-end}
````

````{solution-start} ex-P
:class: dropdown
````
Yes.
````{solution-end}
````

````{exercise-start} Second
:label: ex2-P
````
````{exercise-end}
````

REFS {eq}`a-two` / {eq}`d-four` / {ref}`ex-a` / {ref}`ex2-d` / {numref}`fig-b` / {numref}`tab-d` / {doc}`d` SFER
"""


def make(root: Path, pages: dict[str, str], table: str = TOC) -> Path:
    (root / "book").mkdir(parents=True)
    (root / "_toc.yml").write_text(table, encoding="utf-8")
    (root / "_config.yml").write_text(
        "title: A book\nonly_build_toc_files: true\nexecute: {execute_notebooks: 'off'}\n"
        "parse: {myst_enable_extensions: [amsmath, colon_fence, deflist, dollarmath, substitution, tasklist]}\n"
        "repository: {url: https://github.com/ada/softattn, branch: v1}\n"
        "sphinx: {extra_extensions: [sphinx_exercise]}\n",
        encoding="utf-8",
    )
    (root / "book" / "references.bib").write_text(BIB, encoding="utf-8")
    (root / "book" / "pic.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    for name in ("index", *{*pages} - {"index"}):
        text = pages.get(name, "# Index\n")
        (root / "book" / f"{name}.md").write_text(HEAD + text, encoding="utf-8")
    return root


@pytest.fixture
def plain(tmp_path):
    """Rewrite the Markdown of a small chapter: plain("text") is the text between its title and its one code cell."""
    count = itertools.count()

    def rewrite(text: str, other: str = "# Other\n" + CELL, **options) -> str:
        cells = book(text, other, **options)
        return "\n\n".join(c["source"] for c in cells[2:] if c["cell_type"] == "markdown")

    def book(text: str, other: str = "# Other\n" + CELL, **options) -> list[dict]:
        table = (
            "format: jb-book\nroot: book/index\nchapters: [{file: book/one}, {file: book/other}, {file: book/bare}]\n"
        )
        root = tmp_path / str(next(count))
        pages = {"one": f"# Title\n{CELL}\n{text}\n", "other": other, "bare": "# Bare *page*\n"}
        made = notebooks.collect(["one"], make(root, pages, table), HERE, **options)
        return json_cells(made["one.ipynb"])

    rewrite.cells = book
    return rewrite


def json_cells(text: str) -> list[dict]:
    cells = json.loads(text)["cells"]
    return [{**cell, "source": "".join(cell["source"])} for cell in cells]


# -- rules of rewriting ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("```{math}\n:label: e\nx = 1\n```", "$$\nx = 1 \\tag{1}\n$$"),
        ("```{math}\nx = 1\n```", "$$\nx = 1\n$$"),
        ("```{math} x = 1\n```", "$$\nx = 1\n$$"),
        ("$$\nx\n$$ (e)", "$$\nx \\tag{1}\n$$"),
        ("$$ x $$ (e)", "$$\nx \\tag{1}\n$$"),
        (
            "```{math}\n:label: e\na &= b \\\\\nc &= d\n```",
            "$$\n\\begin{aligned}\na &= b \\\\\nc &= d\n\\end{aligned} \\tag{1}\n$$",
        ),
        (
            "```{math}\n\\begin{aligned}\na \\\\ b\n\\end{aligned}\n```",
            "$$\n\\begin{aligned}\na \\\\ b\n\\end{aligned}\n$$",
        ),
        ("```{math}\na\n\nb\n```", "$$\n\\begin{aligned}\na \\\\\nb\n\\end{aligned}\n$$"),
        (
            "```{math}\n:nowrap:\n:label: e\n\\begin{align}a\\end{align}\n```",
            "$$\n\\begin{align}a\\tag{1}\n\\end{align}\n$$",
        ),
        ("$a<b$ and $$a<b$$", "$a\\lt b$ and $$a\\lt b$$"),
        ("$a < b$", "$a < b$"),
        ("{math}`a<b`", "$a\\lt b$"),
    ],
)
def test_maths(plain, source, shown):
    assert plain(source) == shown


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("{eq}`e`", "(1)"),
        ("{cite}`graves2013`", "(Graves, 2013)"),
        ("{cite:p}`gers2000,graves2013`", "(Gers and Schmidhuber, 2000; Graves, 2013)"),
        ("{cite:t}`oord2016`", "van den Oord *et al.* (2016)"),
        ("{cite:t}`gers2000`", "Gers and Schmidhuber (2000)"),
        ("{doc}`other`", "[Other](other.ipynb)"),
        ("{doc}`words <other>`", "[words](other.ipynb)"),
        ("{doc}`bare`", "[Bare *page*](https://ada.github.io/softattn/book/bare.html)"),
        ("{ref}`here`", "[A place](#A-place)"),
        ("{ref}`there <here>`", "[there](#A-place)"),
        ("{ref}`x`", "Exercise 1"),
        ("{numref}`x`", "Exercise 1"),
        ("{numref}`no. {number} <x>`", "no. 1"),
        ("[text](other.md)", "[text](other.ipynb)"),
        ("[](other.md)", "[Other](other.ipynb)"),
        ("[](#here)", "[A place](#A-place)"),
        ("[`code`](#here)", "[`code`](#A-place)"),
        ("[text](pic.png)", "[text](https://github.com/ada/softattn/blob/v1/book/pic.png)"),
        ("![alt](pic.png)", "![alt](https://raw.githubusercontent.com/ada/softattn/v1/book/pic.png)"),
        ("[out](https://x.invalid/a_b)", "[out](https://x.invalid/a_b)"),
        ("[folder](../book)", "[folder](https://github.com/ada/softattn/tree/v1/book)"),
        ("{py:class}`~softattn.lstm.LSTMCell` {func}`a.b`", "`LSTMCell` `a.b`"),
        ("{abbr}`MDN (mixture density network)`", "MDN"),
        ("{sub}`a<b` {kbd}`Ctrl`", "<sub>a&lt;b</sub> `Ctrl`"),
        ("over\ntwo {eq}`e`\nlines", "over\ntwo (1)\nlines"),
    ],
)
def test_roles_and_links(plain, source, shown):
    after = (
        "\n\n(here)=\n## A place\n\n$$ y $$ (e)\n\n````{exercise-start} X\n:label: x\n````\n````{exercise-end}\n````"
    )
    assert plain(source + after).split("\n\n## A place")[0] == shown


@pytest.mark.parametrize(
    "source",
    [
        "`` {eq}`e` `` and `{cite}` and `$a<b$`",
        "```python\n{eq}`e`\n(label)=\n```",
        "````text\n```{note}\nx\n```\n````",
        "~~~\n:::{note}\n:::\n~~~",
        "- a list\n\n  ```text\n  {ref}`x`\n  ```",
        r"\$5 and \$6, {not a role}, a {set} of `x`",
        "| a | b |\n|---|---|\n| $x$ | 2 |",
        "costs $5 and $6",
        "```text\n       ```\n{eq}`e`\n```\n\nText",  # a fence that deep in is no end
        "a: b\n\nc",
        '<div align="center">html</div>',
    ],
)
def test_code_and_ordinary_text_are_left_alone(plain, source):
    assert plain(source) == source


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        (
            "```{note}\nText {eq}`e`.\n\nMore.\n```\n\n$$ y $$ (e)",
            "> **Note**\n>\n> Text (1).\n>\n> More.\n\n$$\ny \\tag{1}\n$$",
        ),
        (":::{admonition} What *you* need\nText\n:::", "> **What *you* need**\n>\n> Text"),
        ("```{tip}\n:class: dropdown\nText\n```", "<details>\n<summary><b>Tip</b></summary>\n\nText\n\n</details>"),
        ("```{dropdown} Why\nText\n```", "<details>\n<summary><b>Why</b></summary>\n\nText\n\n</details>"),
        ("```{warning}\n$$\na\nb\n$$ (e)\n```", "> **Warning**\n>\n> $$ a b \\tag{1} $$"),
        ("````{note}\n```python\nx = 1\n```\n````", "> **Note**\n>\n> ```python\n> x = 1\n> ```"),
        ("````{note}\n```{tip}\nIn.\n```\n````", "> **Note**\n>\n> > **Tip**\n> >\n> > In."),
        (
            "```{figure} pic.png\n:alt: A dot.\nA $c$ caption.\n```",
            "![A dot.](https://raw.githubusercontent.com/ada/softattn/v1/book/pic.png)\n\n**Fig. 1.** A $c$ caption.",
        ),
        (
            "```{image} pic.png\n:alt: A dot.\n```",
            "![A dot.](https://raw.githubusercontent.com/ada/softattn/v1/book/pic.png)",
        ),
        ("```{table} Cap\n| a |\n|---|\n| 1 |\n```", "**Table 1.** Cap\n\n| a |\n|---|\n| 1 |"),
        (
            "```{list-table} Cap\n:header-rows: 1\n* - a\n  - b\n* - 1\n  - $x$\n```",
            "**Table 1.** Cap\n\n| a | b |\n| --- | --- |\n| 1 | $x$ |",
        ),
        ("```{code-block} python\n:linenos:\nx = 1\n```", "```python\nx = 1\n```"),
        ("% a comment\nText", "Text"),
        ("(here)=\n## A place", "## A place"),
        ("A note[^a].\n\n[^a]: Its text.", "A note<sup>1</sup>.\n\n<sup>1</sup> Its text."),
        ("Term\n: What it is", "**Term**\n<br>What it is"),
        ("```{exercise} Try\n:label: x\nText\n```", "### Exercise 1 (Try)\n\nText"),
    ],
)
def test_blocks(plain, source, shown):
    assert plain(source) == shown


EXERCISE = """````{exercise-start} Try $x$
:label: x
````
Question.

```{code-cell} python
---
tags: [exercise]
wrong: expected = 2
---
expected = None
```

```{code-cell} python
:tags: [check]
assert expected
```
````{exercise-end}
````

````{solution-start} x
:class: dropdown
````
Because.

```{code-cell} python
:tags: [solution]
expected = 1
```

And so.
````{solution-end}
````

After."""


def test_exercises_become_headings_and_solutions_fold(plain):
    cells = plain.cells(EXERCISE)[3:]
    folded = "<details>\n<summary><b>Show the solution</b></summary>\n\n{}\n\n</details>"
    assert [cell["source"] for cell in cells] == [
        "### Exercise 1 (Try $x$)\n\nQuestion.",
        "expected = None",
        "assert expected",
        "#### Solution to Exercise 1 (Try $x$)\n\n" + folded.format("Because."),
        "#@title Solution\nexpected = 1",
        folded.format("And so."),
        "After.",
    ]
    assert cells[1]["metadata"] == {"tags": ["exercise"]}  # the wrong answer is not for readers
    assert cells[4]["metadata"] == {"tags": ["solution"], "cellView": "form", "jupyter": {"source_hidden": True}}


def test_cells_that_the_page_hides_are_folded_and_cells_for_the_page_alone_are_dropped(plain):
    text = "".join(
        f"```{{code-cell}} python\n:tags: [{tag}]\n{source}\n```\n\n"
        for tag, source in [
            ("remove-input", "a = 1"),
            ("hide-input", "b = 1"),
            ("remove-cell", "c = 1"),
            ("book-only", "d = 1"),
            ("remove-input", "%%time\ne = 1"),
            ("export", "f = 1"),
        ]
    )
    cells = plain.cells(text)[3:]
    assert [cell["source"] for cell in cells] == [
        "#@title Figure\na = 1",
        "#@title Code\nb = 1",
        "%%time\ne = 1",
        "f = 1",
    ]
    assert [cell["metadata"].get("cellView") for cell in cells] == ["form", "form", "form", None]


def test_references_are_listed_at_the_end_once(plain):
    last = plain.cells("{cite}`graves2013` {cite}`gers2000` {cite}`graves2013` {cite}`oord2016`")[-1]["source"]
    assert last == (
        "## References\n\n"
        "- Gers, F. A. and Schmidhuber, J. (2000). *Nets that time\\_and count*. IJCNN. "
        "[doi.org/10.1109/x](https://doi.org/10.1109/x).\n"
        "- Graves, A. (2013). *Generating sequences with RNNs*. arXiv, arXiv:1308.0850. "
        "[arxiv.org/abs/1308.0850](https://arxiv.org/abs/1308.0850).\n"
        "- van den Oord, A., B, C. and D, E. (2016). *P &lt; Q*."
    )
    placed = plain("{cite}`oord2016`\n\n## Sources\n\n```{bibliography}\n```\n\nEnd.")
    assert placed.count("*P &lt; Q*") == 1 and placed.endswith(
        "## Sources\n\n- van den Oord, A., B, C. and D, E. (2016). *P &lt; Q*.\n\nEnd."
    )


def test_the_title_comes_first_then_the_installation(plain):
    title, install, first = plain.cells("Text")[:3]
    assert title["source"].startswith(
        "# Title\n\n*A chapter of [A book](https://ada.github.io/softattn/book/one.html)."
    )
    assert '%pip install -q "softattn[book] @ git+https://github.com/ada/softattn@v1"' in install["source"]
    assert first["source"] == "1"


def test_while_there_is_no_address_the_first_cell_finds_the_repository_and_never_raises(monkeypatch, tmp_path, capsys):
    cell = notebooks.install_cell(repository.parse("https://github.com/__OWNER__/softattn"))
    assert "pip install -q" not in cell and "__OWNER__" not in cell
    exec(cell, {})  # softattn is here: nothing happens
    assert capsys.readouterr().out == ""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("sys.path", list(sys.path))
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    exec(cell, {})
    assert "make address URL=https://github.com/OWNER/REPO" in capsys.readouterr().out
    (tmp_path / "softattn").mkdir()
    (tmp_path / "softattn" / "__init__.py").write_text("")
    exec(cell, {})
    assert capsys.readouterr().out == "" and sys.path[0] == str(tmp_path)


def test_no_committed_notebook_names_the_placeholder():
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        text = path.read_text(encoding="utf-8")
        assert repository.address(ROOT).placeholder is False or "__OWNER__" not in text, path.name


# -- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "line", "says"),
    [
        ("{eq}`nowhere`", 1, "no label 'nowhere' in the book"),
        ("text\nand {ref}`nowhere`", 2, "no label 'nowhere'"),
        ("{cite}`nobody`", 1, "'nobody' is not in book/references.bib"),
        ("{cite:year}`graves2013`", 1, "cite with {cite}"),
        ("{doc}`nopage`", 1, "names no page of _toc.yml"),
        ("{glue}`x`", 1, "role {glue} has no plain form"),
        ("```{tableofcontents}\n```", 1, "directive {tableofcontents} has no plain form"),
        ("````{note}\n\n{glue}`x`\n````", 3, "role {glue}"),
        ("````{note}\n```{tabs}\n```\n````", 2, "directive {tabs}"),
        ("```{note}\ntext", 1, "note is not closed"),
        ("$$\ntext", 1, "math is not closed"),
        ("```{math}\n:label: e\n```", 1, "an equation with nothing in it"),
        ("```{math}\n\\begin{align}a\\end{align}\n```", 1, "write \\begin{aligned}"),
        ("```{figure} pic.png\nCaption\n```", 1, "has no :alt:"),
        ("```{figure} gone.png\n:alt: x\n```", 1, "link to 'gone.png'"),
        ("[x](gone.md)", 1, "link to 'gone.md'"),
        ("[x](other.md#here)", 1, "write #here"),
        ("[x](#gone)", 1, "no label 'gone'"),
        ("[](gone.md)", 1, "neither a label nor a page"),
        (":::\ntext\n:::", 1, "names no directive"),
        ("{{ key }}", 1, "substitution {{ key }}"),
        ("````{solution-start} nothing\n````\n````{solution-end}\n````", 1, "no exercise's label"),
        ("````{exercise-start} X\n:label: x\n````\n", 1, "{exercise-start} without {exercise-end}"),
        ("x\n\n```{solution-end}\n```", 3, "{solution-end} without {solution-start}"),
        (
            "```{exercise-start} X\n```\n```{exercise-start} Y\n```\n```{exercise-end}\n```",
            3,
            "before the exercise above",
        ),
        ("Text right before\n$$ x $$ (label)", 2, "a raw equation label"),
        ("> ```{note}\n> x\n> ```", 1, "a raw directive"),
        ("````{note}\n```{code-cell} python\n1\n```\n````", 2, "is not run"),
        ("```{code-cell} python\n:tags: [raises-exception]\n1/0\n```", 3, "raises-exception"),
        ("```{code-cell} python\n:tags: [solution]\n1\n```", 3, "stands outside"),
        ("```{code-cell} python\nx = = 1\n```", 2, "syntax error"),
        ("$$ x $$ (e)\n\n$$ y $$ (e)", 3, "label 'e' stands already in one.md:"),
        ("```{list-table}\n* - a\n  - b\n* - c\n```", 1, "not equally long"),
        ("{numref}`e`\n\n$$ x $$ (e)", 1, "of the kind equation"),
    ],
)
def test_what_has_no_plain_form_is_an_error_with_file_and_line(plain, source, line, says):
    with pytest.raises(notebooks.NotebookError) as caught:
        plain(source)
    start = (HEAD + f"# Title\n{CELL}\n").count("\n")
    assert re.search(rf"^book/one\.md:{start + line}\b.*{re.escape(says)}", str(caught.value), re.M), str(caught.value)


def test_all_faults_are_told_at_once_and_nothing_is_written(tmp_path, monkeypatch, capsys):
    root = make(
        tmp_path / "r",
        {"a": "# A\n\n{eq}`x`\n\n{eq}`y`\n" + CELL, "b": "no title\n" + CELL, "c": "# C\n" + CELL, "d": "# D\n" + CELL},
    )
    with pytest.raises(notebooks.NotebookError) as caught:
        notebooks.collect([], root)
    assert [line.split(": ")[0] for line in str(caught.value).splitlines()] == [
        "book/a.md:7",
        "book/a.md:9",
        "book/b.md:1",
    ]
    monkeypatch.setattr(notebooks, "ROOT", root)
    monkeypatch.setattr(notebooks.collect, "__defaults__", (root, None))
    assert notebooks.main([]) == 1
    assert "book/a.md:7" in capsys.readouterr().err
    assert not (root / "notebooks").exists()


def test_unknown_chapters_and_missing_files_are_named(tmp_path):
    root = make(tmp_path / "r", {"a": "# A\n" + CELL})
    with pytest.raises(notebooks.NotebookError, match="nothing: no such chapter in _toc.yml; there are index, a, b"):
        notebooks.collect(["nothing"], root)
    with pytest.raises(notebooks.NotebookError, match="book/b.md:1: named in _toc.yml and not there"):
        notebooks.collect([], root)
    assert list(notebooks.collect(["a"], root)) == ["a.ipynb"]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a {eq}`x`", "role"),
        ("```{note}\nx\n```", "directive"),
        ("> :::{note}", "directive"),
        ("(label)=", "target"),
        ("$$\nx\n$$ (e)", "equation label"),
        ("a\n\n:::", "colon fence"),
        ("{{ x }}", "substitution"),
        ("# A {ref}`x`", "role"),
    ],
)
def test_leftovers_sees_raw_markup(text, what):
    found = leftovers(text)
    assert [kind for _, kind in found] == [what]


@pytest.mark.parametrize(
    "text", ["`{eq}`", "```python\n(x)=\n```", "$\\{x\\}`$ and `` {a}`b` ``", "f(x)= 1", r"$$ {{x}} $$"]
)
def test_leftovers_passes_over_code_and_maths(text):
    assert leftovers(text) == []


# -- numbers ---------------------------------------------------------------------------------------------------------


def test_chapter_numbers_run_on_through_numbered_parts(tmp_path):
    (tmp_path / "_toc.yml").write_text(TOC, encoding="utf-8")
    assert chapter_numbers(tmp_path) == {"a": "1", "b": "2"}


@pytest.fixture(scope="module")
def sample(tmp_path_factory) -> Path:
    pages = {name: PAGE.replace("P", name).replace("$s$ of", "of") for name in "abcd"}
    return make(tmp_path_factory.mktemp("sample") / "book", pages | {"index": "# Index\n\n$$a$$ (zero)\n"})


def test_numbers_by_hand(sample):
    found = Labels(sample).found
    numbers = {label: entry.number for label, entry in found.items() if entry.number}
    assert [numbers[f"a-{n}"] for n in ("one", "two", "three", "four")] == ["1.1", "1.2", "1.3", "1.4"]
    assert [numbers[f"c-{n}"] for n in ("one", "two", "three", "four")] == ["2", "3", "4", "5"]  # 1 is the index's
    assert (numbers["zero"], numbers["d-one"], numbers["b-four"]) == ("1", "6", "2.4")
    assert (numbers["ex-a"], numbers["ex2-b"], numbers["ex2-d"]) == ("1.1", "2.2", "4")
    assert (numbers["fig-b"], numbers["tab-d"]) == ("2.1", "2")


@pytest.mark.slow
def test_numbers_are_those_of_a_page_that_sphinx_builds(sample):
    """The oracle: Jupyter Book numbers the sample; the notebooks of the same pages must say the same."""
    tool = str(Path(sys.executable).with_name("jupyter-book"))
    done = subprocess.run([tool, "build", str(sample)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    made = notebooks.collect([], sample)
    for page in "abcd":
        compare(
            (sample / "_build" / "html" / "book" / f"{page}.html").read_text(encoding="utf-8"), made[f"{page}.ipynb"]
        )


def compare(html: str, notebook: str) -> int:
    """Hold equation, figure, table and exercise numbers of a page against its notebook; returns how many there were."""
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", html))
    cells = [cell["source"] for cell in json_cells(notebook) if cell["cell_type"] == "markdown"]
    text = re.sub(r"\s+", " ", re.sub(r"\]\([^)]*\)", "", "\n".join(cells)).replace("[", "").replace("*", ""))
    equations = re.findall(r'class="eqno">\(([\d.]+)\)', html)
    assert re.findall(r"\\tag\{([\d.]+)\}", "\n".join(cells)) == equations
    captions = re.findall(r'class="caption-number">((?:Fig\.|Table|Exercise) [\d.]*\d)', html)
    for caption in captions:
        assert caption in text, caption
    if match := re.search(r"REFS(.*?)SFER", words):
        assert match[1] == re.search(r"REFS(.*?)SFER", text)[1]
    return len(equations) + len(captions)


@pytest.mark.site
def test_numbers_are_those_of_the_books_pages():
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        page = ROOT / "_build" / "html" / "book" / f"{notebook.stem}.html"
        assert page.exists(), f"{page} was not built"
        count = compare(page.read_text(encoding="utf-8"), notebook.read_text(encoding="utf-8"))
        assert count > 0 or notebook.stem in ("index", "your_hand"), notebook.name  # pages without a numbered thing


# -- files -----------------------------------------------------------------------------------------------------------


def test_ids_change_only_where_text_is_inserted(plain):
    before = plain.cells("A\n\n```{code-cell} python\nx = 1\n```\n\n$$ e $$ (e)\n\n{eq}`e`\n" + CELL + CELL)
    after = plain.cells(
        "$$ new $$ (n)\n\n```{code-cell} python\ny = 1\n```\n\nA\n\n```{code-cell} python\nx = 1\n```\n\n"
        "$$ e $$ (e)\n\n{eq}`e`\n" + CELL + CELL
    )
    old, new = [c["id"] for c in before], [c["id"] for c in after]
    assert len(set(new)) == len(new) and len(set(old)) == len(old)
    assert [i for i in new if i in old] == old  # the numbers in the text moved, the ids did not
    assert len(new) == len(old) + 2


def test_notebooks_hold_no_outputs_and_little_metadata(sample):
    for name, text in notebooks.collect([], sample).items():
        book = nbformat.reads(text, as_version=4)
        nbformat.validate(book)
        assert set(book.metadata) == {"kernelspec", "language_info", "colab"}, name
        for cell in book.cells:
            if cell.cell_type == "code":
                assert cell.outputs == [] and cell.execution_count is None
            assert set(cell.metadata) <= {"tags", "cellView", "jupyter"}


def test_twice_the_same_bytes_and_a_second_write_is_none(sample, tmp_path):
    one, two = notebooks.collect([], sample), notebooks.collect([], sample)
    assert one == two
    folder = tmp_path / "out"
    assert notebooks.save(one, folder, complete=True) == list(one)
    stamps = {p.name: p.stat().st_mtime_ns for p in folder.iterdir()}
    assert notebooks.save(two, folder, complete=True) == []
    assert stamps == {p.name: p.stat().st_mtime_ns for p in folder.iterdir()}
    (folder / "gone.ipynb").write_text("{}", encoding="utf-8")
    (folder / "a.ipynb").write_text("{}", encoding="utf-8")
    assert notebooks.save(one, folder, complete=True, check=True) == ["a.ipynb", "gone.ipynb (no such chapter)"]
    assert (folder / "gone.ipynb").exists()
    notebooks.save(one, folder, complete=True)
    assert sorted(p.name for p in folder.iterdir()) == sorted(one)


def test_committed_notebooks_are_what_the_chapters_say():
    differing = notebooks.save(notebooks.collect([]), ROOT / "notebooks", complete=True, check=True)
    assert differing == [], "run `make notebooks`"


def test_committed_notebooks_hold_no_raw_markup():
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for cell in json_cells(path.read_text(encoding="utf-8")):
            if cell["cell_type"] == "markdown":
                assert leftovers(cell["source"]) == [], path.name
            else:
                assert cell["outputs"] == [] and cell["execution_count"] is None


def test_references_of_the_book_can_be_read():
    references = references_of(ROOT)
    for key in references.entries if references else []:
        assert references.line(key) and all(references.label(key))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (BIB + "@article{graves2013, year={2}}\n", "repeated bibliography entry: graves2013"),
        ("@article{a, b\n", "syntax error"),
    ],
)
def test_a_bibliography_that_cannot_be_read_is_an_error_with_its_name(tmp_path, text, says):
    root = make(tmp_path / "r", {"a": "# A\n" + CELL})
    (root / "book" / "references.bib").write_text(text, encoding="utf-8")
    with pytest.raises(notebooks.NotebookError, match=rf"^book/references\.bib:\d+: (.|\n)*{says}"):
        notebooks.collect(["a"], root)


def test_blocks_know_their_lines():
    text = ["Text", "", "````{note} A", ":class: x", "", "Inside", "````", "", "$$ x $$ (l)", "(t)=", "# H"]
    found = [(b.kind, b.line, b.name) for b in blocks(text, 10)]
    assert found == [
        ("prose", 10, ""),
        ("directive", 12, "note"),
        ("prose", 17, ""),
        ("math", 18, "l"),
        ("target", 19, "t"),
        ("heading", 20, "#"),
    ]
    assert blocks(text, 10)[1].body_line == 15 and blocks(text, 10)[1].options == {"class": "x"}


# -- how they are run ------------------------------------------------------------------------------------------------


def test_times_are_judged():
    warnings, faults = run_notebooks.judge(
        {"quick": 3.0, "slow": 92.0, "lazy": 900.0}, ["quick", "slow", "lazy", "lost"], unit=2.0
    )
    assert [line.split(",")[0] for line in warnings] == ["lazy: 900 s", "slow: 92 s"]
    assert "as long as 46 pieces of work, over 45" in warnings[1]
    assert faults == ["lost: no cell of it was run"], "no clock makes a run red"


def test_the_piece_of_work_takes_some_time(tmp_path):
    assert 0.01 < run_notebooks.piece(Path(sys.executable), tmp_path) < 600


def test_seconds_are_summed_by_notebook(tmp_path):
    report = tmp_path / "report.xml"
    report.write_text(
        '<testsuites><testsuite><testcase file="a/lstm.ipynb" time="1.5"/><testcase file="a/lstm.ipynb" time="2"/>'
        '<testcase file="b/pictures.ipynb" time="1"/></testsuite></testsuites>',
        encoding="utf-8",
    )
    assert run_notebooks.seconds(report) == {"lstm": 3.5, "pictures": 1.0}


def test_a_failing_command_says_what_it_printed(tmp_path):
    with pytest.raises(run_notebooks.RunError, match="exit status 3(.|\n)*the reason"):
        run_notebooks.call([sys.executable, "-c", "import sys; print('the reason'); sys.exit(3)"], tmp_path)


def test_the_readers_environment_hides_data_and_repository(monkeypatch):
    for name in ("SOFTATTN_DATA", "PYTHONPATH", "MPLBACKEND"):
        monkeypatch.setenv(name, "x")
    env = run_notebooks.environment()
    assert not {"SOFTATTN_DATA", "PYTHONPATH", "MPLBACKEND"} & set(env) and env["OMP_NUM_THREADS"] == "1"


def test_a_package_from_the_repository_is_not_taken_for_the_wheels(tmp_path):
    with pytest.raises(run_notebooks.RunError, match="not from the wheel|is on the path"):
        run_notebooks.guard(Path(sys.executable), tmp_path)


@pytest.mark.slow
def test_a_red_cell_and_a_stray_import_make_the_run_red(tmp_path):
    """Run three notebooks for real: one passes, one asserts what is false, one asks for the repository."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    for name, source in {
        "good": "import softattn, os\nassert 'SOFTATTN_DATA' not in os.environ and len(os.listdir()) == 1",
        "bad": "assert 1 + 1 == 3",
        "lost": "import tools",
    }.items():
        made = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(source)], metadata={"kernelspec": notebooks.KERNEL}
        )
        nbformat.write(made, folder / f"{name}.ipynb")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tools.run_notebooks",
            "--notebooks",
            str(folder),
            "--times",
            str(tmp_path / "t.json"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("2 failed, 1 passed")
    assert set(json.loads((tmp_path / "t.json").read_text(encoding="utf-8"))) == {"good", "bad", "lost"}

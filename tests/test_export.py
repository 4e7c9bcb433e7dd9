"""The exporter (tools/export.py) and the order of the book (tools/toc.py)."""

import ast
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tools import export, toc

ROOT = Path(__file__).resolve().parent.parent

HEAD = """\
---
jupytext:
  text_representation: {{extension: .md, format_name: myst}}
kernelspec: {{display_name: Python 3, language: python, name: python3}}
softattn:
  module: {module}
  subtitle: {subtitle}
---

# {title}

"""


def cell(code: str, *tags: str) -> str:
    options = f":tags: [{', '.join(tags)}]\n\n" if tags else ""
    return f"```{{code-cell}} python\n{options}{textwrap.dedent(code).strip(chr(10))}\n```\n\n"


def exported(code: str) -> str:
    return cell(code, "export")


class Book:
    """A small repository in a temporary folder."""

    def __init__(self, root: Path):
        self.root = root
        (root / "book").mkdir()
        (root / "softattn").mkdir()

    def chapter(self, name, *parts, module=None, subtitle="One line.", title="A title"):
        text = HEAD.format(module=module or name, subtitle=subtitle, title=title) + "".join(parts)
        (self.root / "book" / f"{name}.md").write_text(text, encoding="utf-8")
        return text

    def module(self, name="one"):
        return export.collect(self.root, [name])[name].text

    def run(self, *arguments):
        return export.main(list(arguments), self.root)

    def files(self):
        return {p.name: p.read_bytes() for p in (self.root / "softattn").iterdir()}

    def faults(self, *names):
        with pytest.raises(export.Faults) as caught:
            export.collect(self.root, list(names))
        return caught.value.faults


@pytest.fixture
def book(tmp_path):
    return Book(tmp_path)


# -- what a module looks like ------------------------------------------------------------------------------------------


def test_a_module_in_full(book):
    book.chapter(
        "one",
        cell("import os\nprint('not exported')"),
        "## Adding\n\n",
        exported(
            '''
            from __future__ import annotations
            import math, json
            from torch import nn
            import torch  # the library


            # Kept: why the function is so.
            def add(x,
                    y):
                """Add."""
                return math.fsum([x, y])   # (B, U)
            '''
        ),
        "### Deeper\n\n```python\n# not a heading\n```\n\n",
        exported("import math\nfrom torch import Tensor\n\nHALF = 0.5\n\n\nclass Net(nn.Module):\n    half: Tensor"),
        title="The first {math}`x` of `many`",
        subtitle="What it does.",
    )
    assert (
        book.module()
        == '''\
# Generated from book/one.md by tools/export.py. Edit the chapter, not this file.
"""The first x of `many`.

What it does.

The chapter book/one.md builds this module and explains each line.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

__all__ = ["HALF", "Net", "add"]


# -- Adding --


# Kept: why the function is so.
def add(x, y):
    """Add."""
    return math.fsum([x, y])  # (B, U)


# -- Deeper --
HALF = 0.5


class Net(nn.Module):
    half: Tensor
'''
    )


def test_a_comment_on_an_import_goes_with_it(book):
    book.chapter("one", exported("# the numbers\nimport math  # fast\n\nTURN = 2 * math.pi"))
    assert "# the numbers\nimport math  # fast\n" in book.module()


def test_private_names_are_exported_but_not_public(book):
    book.chapter("one", exported("_SCALE = 2\n\n\ndef twice(x):\n    return _SCALE * x"))
    text = book.module()
    assert "_SCALE = 2" in text and '__all__ = ["twice"]' in text


def test_private_cells_stay_out_of_all(book):
    book.chapter("one", exported("A = 1"), cell("B = 2\n\n\ndef helper():\n    return B", "export-private"))
    text = book.module("one")
    assert '__all__ = ["A"]' in text and "def helper()" in text
    book.chapter("two", cell("A = 2", "export-private"))  # another's private name takes nobody's place
    book.module("two")
    book.chapter("one", cell("A = 1", "export", "export-private"))
    assert "tagged both export and export-private" in book.faults()[0]


def test_a_backslash_in_the_title_makes_the_docstring_raw(book):
    book.chapter("one", exported("A = 1"), title=r"The gate $\alpha$")
    assert ast.get_docstring(ast.parse(book.module())).startswith(r"The gate $\alpha$.")


def test_type_checking_imports_and_overloads(book):
    book.chapter(
        "one",
        exported(
            """
            from typing import TYPE_CHECKING, overload
            if TYPE_CHECKING:
                import torch

            @overload
            def f(x: int) -> int: ...
            @overload
            def f(x: str) -> str: ...
            def f(x): return x
            """
        ),
    )
    compile(book.module(), "one", "exec")


HARMLESS = [
    "import torch\n\nKINDS = (torch.float16, torch.bfloat16)",
    "import logging\n\nlog = logging.getLogger(__name__)",
    "from typing import TypeVar\n\nT = TypeVar('T')",
    "from typing import NamedTuple\n\n\nclass P(NamedTuple):\n    x: float = 0.0\n\n\nORIGIN = P(1.0)",
    "from dataclasses import dataclass, field\n\n\n@dataclass(frozen=True)\n"
    "class C:\n    xs: list = field(default_factory=list)",
    "import math as m\n\nLOG = m.log(2) + 1",
    "LETTERS = {c: n for n, c in enumerate('abc')}",
    "WORDS = 'a b c'.split()",
    "from enum import Enum, auto\n\n\nclass E(Enum):\n    A = auto()",
    "import torch\nfrom torch.autograd.function import once_differentiable\n\n\n"
    "class F(torch.autograd.Function):\n    @staticmethod\n    @once_differentiable\n"
    "    def backward(ctx, g):\n        return g",
    "square = lambda x: x * x",
    "Pair = tuple[int, int]",
    "A, (B, *C) = 1, (2, 3)",
    "x: int",
    "import torch\n\n\n@torch.no_grad()\ndef f(x, *, scale: float = 1e-3):\n    return scale * x",
]


@pytest.mark.parametrize("code", HARMLESS)
def test_harmless_definitions_pass(book, code):
    book.chapter("one", exported(code))
    compile(book.module(), "one", "exec")


# -- what is refused, and where the error points -----------------------------------------------------------------------

REFUSED = [
    # code, line within the cell, words of the message
    ("%matplotlib inline", 1, "no magics"),
    ("A = 1\n!ls", 2, "no magics"),
    ("%%time\nA = 1", 1, "no magics"),
    ("A = 1\nA?", 2, "no magics"),
    ("print('hello')", 1, "`print('hello')` runs when the module is imported"),
    ("A = 1\nA", 2, "`A` runs when"),
    ("A = 1\nassert A == 1", 2, "`assert A == 1` runs when"),
    ("for i in range(3):\n    pass", 1, "`for i in range(3):` runs when"),
    ("if True:\n    A = 1", 1, "runs when"),
    ("try:\n    import torch\nexcept ImportError:\n    pass", 1, "runs when"),
    ("A = 1\nA += 1", 2, "`A += 1` runs when"),
    ("A = 1\ndel A", 2, "runs when"),
    ("with open('x') as f:\n    A = 1", 1, "runs when"),
    ("A = open('x')", 1, "`open('x')` runs when"),
    ("A = [1,\n     print(2)]", 2, "`print(2)` runs when"),
    ("A = {1: print(2)}", 1, "`print(2)`"),
    ("A = [print(x) for x in range(2)]", 1, "`print(x)`"),
    ("A = [x for x in range(2) if print(x)]", 1, "`print(x)`"),
    ("A = dict(a=print(2))", 1, "`print(2)`"),
    ("A: int = print(2)", 1, "`print(2)`"),
    ("A = f'{print(2)}'", 1, "`print(2)`"),
    ("A = lambda x=print(2): x", 1, "`print(2)`"),
    ("A = (B := 2)", 1, "`(B := 2)` runs when"),
    ("import torch\nA = torch.zeros(3)", 2, "`torch.zeros(3)` runs when"),
    ("import torch\ntorch.manual_seed(0)", 2, "runs when"),
    ("import os\nos.environ['A'] = '1'", 2, "an export cell changes nothing that exists"),
    ("import torch\ntorch.pi = 3", 2, "an export cell changes nothing that exists"),
    ("def f(x):\n    return x\nA = f(1)", 3, "`f(1)` runs when"),
    ("def list(x):\n    return x\nA = list(1)", 3, "`list(1)` runs when"),
    ("class C:\n    pass\nA = C()", 3, "`C()` runs when"),
    ("def f(x=print(1)):\n    pass", 1, "`print(1)`"),
    ("def f(*, x=print(1)):\n    pass", 1, "`print(1)`"),
    ("def wrap(f):\n    return f\n@wrap\ndef g():\n    pass", 3, "decorator `@wrap`"),
    ("class C(print(1)):\n    pass", 1, "`print(1)`"),
    ("class C:\n    print(1)", 2, "`print(1)` in class C"),
    ("class C:\n    x = print(1)", 2, "`print(1)`"),
    ("class C:\n    def f(self, x=print(1)):\n        pass", 2, "`print(1)`"),
    ("def f(:\n    pass", 1, "syntax error"),
    ("A = 1\nreturn A", 2, "syntax error: 'return' outside function"),
    ("A = 1\n  B = 2", 2, "syntax error: unexpected indent"),
    ("from . import mixture", 1, "relative import"),
    ("from .mixture import x", 1, "relative import"),
    ("from math import *", 1, "name what is imported"),
    ("from softattn.one import x", 1, "the module would import itself"),
    ("import math\nmath = 1", 2, "`math` is the import of math at book/one.md"),
    ("from torch import nn\n\n\ndef nn():\n    pass", 4, "`nn` is the import of torch.nn"),
    ("A = 1\nfrom math import e as A", 2, "imports `A`, which is defined at book/one.md"),
    ("import json as x\nimport math as x", 2, "imports math as `x`, which is json since book/one.md"),
    ("A = 1\nA = 2", 2, "`A` is defined twice; first at book/one.md"),
    ("def f():\n    pass\n\n\nclass f:\n    pass", 5, "`f` is defined twice"),
    ("__all__ = ['f']", 1, "assigns __all__"),
    ("def f():\n    return undefined_thing", 2, "undefined name `undefined_thing`"),
    ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    A = 1", 3, "holds imports only"),
]


@pytest.mark.parametrize(("code", "line", "words"), REFUSED)
def test_refused_with_file_cell_heading_and_line(book, code, line, words):
    before = [cell("import math"), "## A section\n\n", exported("OTHER = 1"), "Some text.\n\n"]
    text = book.chapter("one", *before, exported(code))
    first = len((HEAD.format(module="one", subtitle="One line.", title="A title") + "".join(before)).splitlines()) + 4
    assert text.splitlines()[first - 1] == code.splitlines()[0]  # the test's own count is right
    (fault,) = book.faults()
    assert fault.startswith(f"book/one.md:{first + line - 1} (code cell 3 under 'A section'): ")
    assert words in fault


def test_a_string_that_looks_like_a_magic_is_none(book):
    book.chapter("one", exported("HELP = '''\n%matplotlib inline\n!ls\nwhat?\n'''"))
    assert "%matplotlib" in book.module()


def test_names_of_another_cell_count(book):
    book.chapter("one", exported("A = 1"), exported("def A():\n    pass"))
    (fault,) = book.faults()
    assert "(code cell 2 under 'A title'): `A` is defined twice; first at book/one.md:15 (code cell 1" in fault


def test_every_fault_of_every_chapter_is_named(book):
    book.chapter("one", exported("print(1)\nprint(2)"))
    book.chapter("two", exported("print(3)"))
    assert len(book.faults()) == 3


@pytest.mark.parametrize("tag", ["exercise", "solution", "check"])
def test_exercises_are_not_exported(book, tag):
    book.chapter("one", cell("A = 1", "export", tag))
    assert f"tagged both export and {tag}" in book.faults()[0]


def test_two_chapters_export_one_public_name(book):
    book.chapter("one", exported("A = 1\n_b = 1"))
    book.chapter("two", exported("_b = 2\n\n\ndef A():\n    pass"))
    (fault,) = book.faults()
    assert (
        fault.startswith("book/two.md:18 ")
        and "`A` is exported by two chapters; the other is at book/one.md:15" in fault
    )
    assert book.faults("one") and book.faults("two")  # also when only one is asked for


def test_two_chapters_export_one_module(book):
    book.chapter("one", exported("A = 1"))
    book.chapter("two", exported("B = 1"), module="one")
    (fault,) = book.faults()
    assert (
        "book/two.md:5 (front matter): module is 'one', but a chapter exports the module of its own name, 'two'"
        in fault
    )


def test_front_matter_is_needed(book):
    text = book.chapter("one", exported("A = 1"))
    path = book.root / "book" / "one.md"
    path.write_text(text.replace("  module: one\n", ""))
    assert "book/one.md:5 (front matter): has export cells but no `softattn: {module: one" in book.faults()[0]
    path.write_text(text.replace("  subtitle: One line.\n", ""))
    assert "`subtitle` must be one line" in book.faults()[0]
    path.write_text(text.replace("# A title\n", ""))
    assert "book/one.md:1: has no `# Title`" in book.faults()[0]
    path.write_text(text.replace("jupytext:", "jupytext: ["))
    assert "book/one.md: cannot be read as a MyST notebook" in book.faults()[0]


@pytest.mark.parametrize("name", ["hub", "class", "__init__"])
def test_names_no_chapter_can_export(book, name):
    book.chapter(name, exported("A = 1"))
    assert "is not a name that a chapter can export" in book.faults()[0]


def test_an_export_cell_inside_another_block_is_an_error(book):
    book.chapter("one", exported("A = 1"), "````{solution} x\n", exported("B = 2"), "````\n")
    (fault,) = book.faults()
    assert fault.startswith("book/one.md:19: an export cell inside another block is never run")


# -- writing -----------------------------------------------------------------------------------------------------------


def test_writes_then_nothing_then_check(book, capsys):
    book.chapter("one", exported("A = 1"))
    book.chapter("prose", "No code.\n")
    assert book.run() == 0
    assert "wrote: softattn/one.py" in capsys.readouterr().out
    before = book.files()
    assert list(before) == ["one.py"]
    stamp = (book.root / "softattn" / "one.py").stat().st_mtime_ns
    assert book.run() == 0 and "wrote: nothing" in capsys.readouterr().out
    assert book.files() == before and (book.root / "softattn" / "one.py").stat().st_mtime_ns == stamp
    assert book.run("--check") == 0


def test_check_lists_what_is_stale_and_how(book, capsys):
    book.chapter("one", exported("A = 1"))
    book.chapter("two", exported("B = 1"))
    book.run()
    book.chapter("one", exported("A = 2"))
    before = book.files()
    capsys.readouterr()
    assert book.run("--check") == 1
    out = capsys.readouterr().out
    assert "stale: softattn/one.py" in out and "-A = 1" in out and "+A = 2" in out and "two.py" not in out
    assert book.run("--check", "two") == 0
    assert book.files() == before
    (book.root / "softattn" / "two.py").unlink()
    assert book.run("--check") == 1 and "the file is not there" in capsys.readouterr().out


def test_check_sees_line_ends(book, capsys):
    book.chapter("one", exported("A = 1"))
    book.run()
    path = book.root / "softattn" / "one.py"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert book.run("--check") == 1


def test_modules_without_a_chapter_are_reported(book, capsys):
    book.chapter("one", exported("A = 1"))
    book.run()
    (book.root / "softattn" / "hub.py").write_text("")
    (book.root / "softattn" / "__init__.py").write_text("")
    assert book.run("--check") == 0
    (book.root / "book" / "one.md").unlink()
    (book.root / "softattn" / "helper.py").write_text("")
    capsys.readouterr()
    assert book.run("--check") == 1
    out = capsys.readouterr().out
    assert "softattn/one.py: its chapter book/one.md exports nothing or is gone" in out
    assert "softattn/helper.py: no chapter exports it" in out
    assert book.run() == 1 and "one.py" in book.files()  # reported, not deleted


def test_one_faulty_chapter_and_nothing_is_written(book, capsys):
    book.chapter("one", exported("A = 1"))
    book.chapter("two", exported("B = 1"))
    book.run()
    before = book.files()
    book.chapter("one", exported("A = 2"))
    book.chapter("two", exported("B = print(2)"))
    assert book.run() == 2
    err = capsys.readouterr().err
    assert "error: book/two.md:15" in err and "nothing was written" in err
    assert book.files() == before
    assert book.run("two") == 2 and book.files() == before
    assert book.run("one") == 0  # a chapter in preparation does not stop another
    assert b"A = 2" in book.files()["one.py"]
    (book.root / "book" / "two.md").write_text("---\njupytext: [\n---\n")  # not even readable
    assert book.run() == 2 and book.run("one") == 0


def test_a_write_that_fails_leaves_the_old_files_and_no_other(book, monkeypatch):
    book.chapter("one", exported("A = 1"))
    book.chapter("two", exported("B = 1"))
    book.run()
    before = book.files()
    book.chapter("one", exported("A = 2"))
    book.chapter("two", exported("B = 2"))
    real = Path.write_text

    def full(self, text, *rest, **more):
        if "B = 2" in text:  # the second file of two
            real(self, text[:10])
            raise OSError("no space left")
        return real(self, text, *rest, **more)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="no space"):
        book.run()
    assert book.files() == before


def test_a_file_is_replaced_never_rewritten(book):
    """Whoever has the old file open reads the old file to its end."""
    book.chapter("one", exported("A = 1"))
    book.run()
    path = book.root / "softattn" / "one.py"
    with path.open() as reader:
        book.chapter("one", exported("A = 2"))
        book.run()
        assert "A = 1" in reader.read()
    assert "A = 2" in path.read_text()


def test_unknown_chapter(book, capsys):
    book.chapter("one", exported("A = 1"))
    assert book.run("three") == 2
    assert "there is no chapter book/three.md; there are: one" in capsys.readouterr().err
    assert book.run("book/one.md") == 0


def test_the_same_in_every_process(book):
    book.chapter(
        "one", exported("import math\nimport json\nS = {1, 2}\nZ = math.pi\nA = json"), exported("B = 1\nC = 2")
    )
    code = (
        "import sys, pathlib; from tools import export; "
        "sys.stdout.write(export.collect(pathlib.Path(sys.argv[1]))['one'].text)"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", code, str(book.root)],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            check=True,
            cwd="/",
        ).stdout
        for seed in ("1", "2")
    }
    assert texts == {book.module().encode()}


# -- this repository ---------------------------------------------------------------------------------------------------


def test_modules_are_their_chapters(capsys):
    assert export.main(["--check"]) == 0, capsys.readouterr().out


def test_every_chapter_is_in_the_table_of_contents():
    listed = {page.path for page in toc.chapters()}
    loose = [path.name for path in sorted((ROOT / "book").glob("*.md")) if path not in listed]
    assert not loose, f"not in _toc.yml: {loose}"
    missing = [page.path.name for page in toc.chapters() if not page.path.exists()]
    assert not missing, f"in _toc.yml, not in book/: {missing}"


def test_imports_follow_the_order_of_the_book():
    assert toc.import_order() == []


# -- tools/toc.py ------------------------------------------------------------------------------------------------------


@pytest.fixture
def ordered(book):
    """index, then lstm and prediction in part II, then training and pictures in the toolbox."""
    (book.root / "_toc.yml").write_text(
        "format: jb-book\nroot: book/index\nparts:\n"
        "  - caption: II Predict\n    chapters:\n      - file: book/lstm\n        sections:\n"
        "          - file: book/prediction\n"
        "  - caption: Engine room\n    chapters:\n      - file: book/fused_lstm\n"
        "  - caption: Toolbox\n    chapters:\n      - file: book/training\n      - file: book/pictures\n"
    )
    (book.root / "softattn" / "__init__.py").write_text('_LAZY = {"load": "softattn.hub"}\n')
    (book.root / "softattn" / "hub.py").write_text("")
    for name in ("index", "lstm", "prediction", "fused_lstm", "training", "pictures"):
        book.chapter(name, "Text.\n")
    return book


def test_chapters_in_reading_order(ordered):
    assert [(c.part, c.name) for c in toc.chapters(ordered.root)] == [
        ("", "index"),
        ("II Predict", "lstm"),
        ("II Predict", "prediction"),
        ("Engine room", "fused_lstm"),
        ("Toolbox", "training"),
        ("Toolbox", "pictures"),
    ]
    assert all(c.path.exists() for c in toc.chapters(ordered.root))


ORDER = [
    # chapter, cell, its tags, words of the fault or None
    ("prediction", "from softattn.lstm import A", "export", None),
    ("prediction", "import softattn.training", "", None),
    ("lstm", "from softattn import pictures", "export", None),
    ("lstm", "from softattn.fused_lstm import A", "export", None),
    ("fused_lstm", "from softattn.training import A", "export", None),
    ("fused_lstm", "from softattn.lstm import A", "", None),
    ("fused_lstm", "from softattn.lstm import A", "export-private", "the engine room knows tensors only"),
    ("training", "from softattn.fused_lstm import A", "export", "the toolbox exports nothing that needs"),
    ("lstm", "import softattn\nsoftattn.load('x')", "", None),
    ("lstm", "from softattn import load, __version__", "", None),
    ("training", "from softattn.prediction import A", "", None),
    ("training", "from softattn.pictures import A", "export", None),
    ("lstm", "from softattn.lstm import A", "remove-input", None),
    ("lstm", "%time\n!ls\nimport torch", "", None),
    ("lstm", "from softattn.prediction import A", "export", "comes later"),
    ("lstm", "from softattn.prediction import A", "", "comes later"),
    ("lstm", "def f():\n    from softattn import prediction", "", "comes later"),
    ("lstm", "import softattn\nsoftattn.prediction.A", "", "comes later"),
    ("lstm", "from softattn.lstm import A", "", "which is this chapter"),
    ("lstm", "from softattn.nowhere import A", "", "which no chapter in _toc.yml exports"),
    ("training", "from softattn.lstm import A", "export", "the toolbox exports nothing that needs softattn.lstm"),
]


@pytest.mark.parametrize(("name", "code", "tags", "words"), ORDER)
def test_import_order(ordered, name, code, tags, words):
    ordered.chapter(name, cell("import math"), cell(code, *tags.split()))
    faults = toc.import_order(ordered.root)
    if words is None:
        assert faults == []
    else:
        (fault,) = faults
        assert fault.startswith(f"book/{name}.md:") and "(code cell 2 under 'A title')" in fault and words in fault


def test_circle_in_the_toolbox(ordered):
    ordered.chapter("training", exported("from softattn.pictures import A"))
    ordered.chapter("pictures", exported("from softattn.training import B"))
    assert toc.import_order(ordered.root) == ["modules import each other in a circle: pictures -> training -> pictures"]


def test_order_points_at_the_line(ordered):
    text = ordered.chapter("lstm", cell("import math\n\nfrom softattn.prediction import A"))
    line = text.splitlines().index("from softattn.prediction import A") + 1
    assert toc.import_order(ordered.root)[0].startswith(f"book/lstm.md:{line} ")


def test_dependencies_demos_and_weights(ordered):
    package = ordered.root / "softattn"
    for folder in ("demos", "weights"):
        (package / folder).mkdir()
    (package / "demos" / "gate.js").write_text("")
    (package / "weights" / "writer.json").write_text('{"class": "softattn.handwriting.Writer"}')
    (package / "lstm.py").write_text("def f():\n    from softattn.training import fit\n")
    (package / "training.py").write_text("import torch\nfrom softattn.lstm import A\n")  # a circle must not hang
    (package / "handwriting.py").write_text("import softattn.mixture\n")
    ordered.chapter("prediction", cell("from softattn.lstm import A\nimport torch\nshow('gate')\nshow('none')"))
    assert toc.dependencies("prediction", ordered.root) == ["lstm", "training"]
    assert toc.demos("prediction", ordered.root) == ["gate"]
    assert toc.weights("prediction", ordered.root) == []
    ordered.chapter("prediction", cell("import softattn\nnet = softattn.load('writer')\nos.load('other')"))
    assert toc.dependencies("prediction", ordered.root) == ["handwriting", "hub", "mixture"]
    assert toc.weights("prediction", ordered.root) == ["writer"]
    with pytest.raises(toc.ChapterError, match="there is no chapter book/nothing.md"):
        toc.dependencies("nothing", ordered.root)


def test_a_cell_that_is_not_python_is_named(ordered):
    line = ordered.chapter("lstm", cell("import math\nx = = 1")).splitlines().index("x = = 1") + 1
    with pytest.raises(toc.ChapterError, match=rf"book/lstm.md:{line} \(code cell 1 under 'A title'\): syntax error"):
        toc.dependencies("lstm", ordered.root)


def test_lines_and_headings_of_cells(ordered):
    text = ordered.chapter(
        "lstm",
        "```{code-cell} python\n---\ntags: [a, b]\n---\nx = 1\n```\n\n",
        "~~~text\n# fenced\n```{code-cell}\n~~~\n\n## Second ##\n\n```text\n```python\n# fenced\n```\n\n",
        "````{code-cell} python\n:tags: [c]\n\n\ny = '''\n```\n'''\n````\n",
    )
    first, second = toc.read(ordered.root / "book" / "lstm.md").cells
    assert (first.number, first.heading, first.tags) == (1, "A title", ("a", "b"))
    assert (second.number, second.heading, second.tags) == (2, "Second", ("c",))
    lines = text.splitlines()
    assert lines[first.line - 1] == "x = 1" and second.source.splitlines()[0] == lines[second.line - 1]

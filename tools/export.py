"""Write softattn/NAME.py from the cells tagged `export` or `export-private` of book/NAME.md.

python -m tools.export               write the modules of every chapter
python -m tools.export lstm          only those of the chapters named
python -m tools.export --check       write nothing; exit 1 and say what differs if a module is not its chapter's

Names of `export-private` cells stay out of `__all__`: other modules of the house use them, its users need not.
An export cell imports and defines: nothing in it runs anything when the module is imported. All chapters are read and
found sound before the first file is written. Exit status: 0 done, 1 stale (--check), 2 a chapter is at fault.
"""

import argparse
import ast
import difflib
import json
import keyword
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tools import toc
from tools.files import write_texts

ROOT = toc.ROOT
PYPROJECT = ROOT / "pyproject.toml"  # ruff's settings are this repository's, wherever the chapters lie
HEADER = "# Generated from book/{name}.md by tools/export.py. Edit the chapter, not this file.\n"
GENERATED = re.compile(r"# Generated from book/(\w+)\.md by tools/export\.py\.")

# What a constant may call: these build a value and touch nothing else.
HARMLESS = {
    *"abs bool bytes complex dict divmod enumerate float frozenset int len list max min object pow".split(),
    *"property range reversed round set slice sorted staticmethod classmethod str sum super tuple type zip".split(),
    *"collections.Counter collections.OrderedDict collections.defaultdict collections.deque".split(),
    *"collections.namedtuple contextvars.ContextVar dataclasses.field decimal.Decimal enum.auto".split(),
    *"fractions.Fraction functools.cache functools.cached_property functools.lru_cache functools.partial".split(),
    *"functools.wraps itertools.chain itertools.product logging.getLogger operator.attrgetter".split(),
    *"operator.itemgetter pathlib.Path pathlib.PurePath re.compile threading.Lock threading.local".split(),
    *"types.MappingProxyType types.SimpleNamespace typing.NamedTuple typing.NewType typing.ParamSpec".split(),
    *"typing.TypeVar typing.TypeVarTuple typing.cast numpy.arange numpy.array numpy.dtype numpy.float32".split(),
    *"numpy.float64 numpy.finfo numpy.iinfo numpy.linspace torch.device torch.finfo torch.iinfo torch.Size".split(),
}
HARMLESS_IN = ("math.", "string.")  # every function of these modules
# Decorators run when the module is imported; these only wrap what they are given.
DECORATORS = {
    *"property staticmethod classmethod dataclasses.dataclass typing.overload typing.final typing.override".split(),
    *"typing.runtime_checkable typing.no_type_check abc.abstractmethod contextlib.contextmanager enum.unique".split(),
    *"functools.cache functools.lru_cache functools.cached_property functools.wraps functools.total_ordering".split(),
    *"functools.singledispatch torch.no_grad torch.enable_grad torch.inference_mode torch.jit.ignore".split(),
    *"torch.autograd.function.once_differentiable torch.amp.custom_fwd torch.amp.custom_bwd".split(),
    *"torch.compiler.disable".split(),
}


class Module(NamedTuple):
    """A chapter's module: its name, the text of its file, its public names with the place that defines each."""

    name: str
    text: str
    names: dict[str, str]


class Faults(Exception):
    """What is wrong with the chapters, one line each."""

    def __init__(self, faults: list[str]):
        super().__init__("\n".join(faults))
        self.faults = faults


class Chapter:
    """The export cells of one chapter, judged and put together."""

    def __init__(self, path: Path):
        self.path = path
        self.faults: list[str] = []
        self.imports: dict[str, tuple[str, str]] = {}  # bound name -> (what it stands for, where)
        self.import_lines: dict[str, str] = {}  # an import, one name each -> the same with its comments
        self.futures: dict[str, None] = {}
        self.defined: dict[str, str] = {}  # name -> where
        self.private: set[str] = set()  # names of cells tagged `export-private`: in the module, not in its __all__
        self.overloads: set[str] = set()
        self.records: set[str] = set()  # dataclasses, tuples and enums of this chapter: harmless to build
        self.bodies: list[
            list[tuple[str, int]]
        ] = []  # per cell: lines of the module, each with its line in the .md file
        try:
            self.source = toc.read(path)
        except toc.ChapterError as err:
            raise Faults([f"book/{err}"]) from err
        self.cells = [cell for cell in self.source.cells if toc.exported(cell)]
        for cell in self.cells:
            self.add(cell)

    @property
    def public(self) -> set[str]:
        """Names for __all__: without an underscore, from cells tagged `export`."""
        return {name for name in self.defined if not name.startswith("_")} - self.private

    def fault(self, cell: toc.Cell, node: ast.stmt | ast.expr | int, words: str) -> None:
        """Note what is wrong, where; `node` is a node or a line within the cell."""
        line = node if isinstance(node, int) else node.lineno
        self.faults.append(f"{toc.where(cell, self.path, line)}: {words}")

    # -- one cell ------------------------------------------------------------------------------------------------------

    def add(self, cell: toc.Cell) -> None:
        """Judge a cell and take its imports and its definitions."""
        for tag in ("exercise", "solution", "check", "raises-exception"):
            if tag in cell.tags:
                self.fault(cell, 1, f"tagged both export and {tag}: the package holds no exercises")
        if "export" in cell.tags and "export-private" in cell.tags:
            self.fault(cell, 1, "tagged both export and export-private: one says that its names are public, one not")
        tree = self.parse(cell)
        if tree is None:
            return
        for node in tree.body:
            self.statement(cell, node)
        lines = cell.source.split("\n")
        taken: set[int] = set()
        for node in tree.body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                taken |= self.hoist(node, lines)
        body = [(line, cell.line + n) for n, line in enumerate(lines) if n + 1 not in taken]
        while body and not body[0][0].strip():
            del body[0]
        while body and not body[-1][0].strip():
            del body[-1]
        if body:
            heading = textwrap.shorten(cell.heading, 110, placeholder=" ...")
            gap = [("", body[0][1])] if body[0][0].startswith("#") else []
            self.bodies.append([(f"# -- {heading} --", body[0][1]), *gap, *body])

    def parse(self, cell: toc.Cell) -> ast.Module | None:
        for number, line in enumerate(cell.source.split("\n"), 1):
            if re.match(r"\s*(%%?\w|![\w./~]|\?{1,2}\w)", line) or re.match(r"\s*[\w.]+\?{1,2}\s*$", line):
                try:
                    ast.parse(cell.source)  # a line of a string may look like a magic
                except SyntaxError:
                    self.fault(
                        cell, number, f"{line.strip()!r} is IPython's, not Python's: an export cell holds no magics"
                    )
                    return None
        try:
            tree = ast.parse(cell.source)
            compile(cell.source, "cell", "exec", dont_inherit=True)  # finds a `return` outside a function, too
            return tree
        except SyntaxError as err:
            self.fault(cell, err.lineno or 1, f"syntax error: {err.msg}")
        except ValueError as err:  # a null byte
            self.fault(cell, 1, f"not Python: {err}")
        return None

    def statement(self, cell: toc.Cell, node: ast.stmt) -> None:
        """Judge one statement at the top of a cell."""
        match node:
            case ast.Import() | ast.ImportFrom():
                self.importing(cell, node)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                self.define(cell, node, node.name, overload=self.overloaded(node))
                self.definition(cell, node)
            case ast.Assign():
                for target in node.targets:
                    for name in self.targets(cell, target):
                        self.define(cell, node, name)
                self.harmless(cell, node.value)
            case ast.AnnAssign():
                for name in self.targets(cell, node.target):
                    self.define(cell, node, name)
                if node.value is not None:
                    self.harmless(cell, node.value)
            case ast.If() if ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING") and not node.orelse:
                for child in node.body:
                    if isinstance(child, ast.Import | ast.ImportFrom):
                        self.importing(cell, child)
                    else:
                        self.fault(cell, child, "`if TYPE_CHECKING:` in an export cell holds imports only")
            case ast.Expr(value=ast.Constant(value=str())):
                pass  # a note to the reader, no effect
            case _ if type(node).__name__ == "TypeAlias" and isinstance(name := getattr(node, "name", None), ast.Name):
                self.define(cell, node, name.id)  # `type X = ...`, Python 3.12
            case _:
                words = "an export cell only imports and defines; move this to a cell without the tag"
                self.fault(cell, node, f"{quote(node)} runs when the module is imported: {words}")

    def importing(self, cell: toc.Cell, node: ast.Import | ast.ImportFrom) -> None:
        if isinstance(node, ast.ImportFrom) and node.level:
            self.fault(
                cell, node, f"relative import `{ast.unparse(node)}`: a notebook has no package; write softattn.NAME"
            )
            return
        for alias in node.names:
            if alias.name == "*":
                self.fault(cell, node, f"`{ast.unparse(node)}`: name what is imported")
                continue
            base = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            if base == "__future__.":
                continue
            if f"{base}{alias.name}.".startswith(f"softattn.{self.path.stem}."):
                self.fault(cell, node, f"`{ast.unparse(node)}`: the module would import itself")
            bound = alias.asname or (alias.name if base else alias.name.split(".")[0])
            stands = base + (alias.name if base or alias.asname else bound)
            before, place = self.imports.setdefault(bound, (stands, toc.where(cell, self.path, node.lineno)))
            if before != stands:
                self.fault(cell, node, f"imports {stands} as `{bound}`, which is {before} since {place}")
            if bound in self.defined:
                self.fault(cell, node, f"imports `{bound}`, which is defined at {self.defined[bound]}")

    def hoist(self, node: ast.Import | ast.ImportFrom, lines: list[str]) -> set[int]:
        """Note the import, one line for each name; return the lines of the cell that it leaves, counted from 1."""
        first, last = node.lineno, node.end_lineno or node.lineno
        rest = lines[last - 1].encode()[node.end_col_offset or 0 :].decode()
        comment = "  " + rest.strip() if rest.strip().startswith("#") else ""
        above = []
        while first > 1 and lines[first - 2].startswith("#"):
            first -= 1
            above.insert(0, lines[first - 1] + "\n")
        for alias in node.names:
            name = f"{alias.name} as {alias.asname}" if alias.asname else alias.name
            line = f"from {node.module} import {name}" if isinstance(node, ast.ImportFrom) else f"import {name}"
            if line.startswith("from __future__"):
                self.futures[line] = None
            else:
                self.import_lines.setdefault(line, "".join(above) + line + comment)
                above = []
        return set(range(first, last + 1))

    def targets(self, cell: toc.Cell, target: ast.expr) -> Iterator[str]:
        match target:
            case ast.Name():
                yield target.id
            case ast.Tuple() | ast.List():
                for part in target.elts:
                    yield from self.targets(cell, part)
            case ast.Starred():
                yield from self.targets(cell, target.value)
            case _:
                self.fault(
                    cell, target, f"assigns to `{ast.unparse(target)}`: an export cell changes nothing that exists"
                )

    def overloaded(self, node: ast.AST) -> bool:
        return any(self.dotted(d) == "typing.overload" for d in getattr(node, "decorator_list", []))

    def define(self, cell: toc.Cell, node: ast.stmt, name: str, overload: bool = False) -> None:
        if name in ("__all__", "__doc__", "__file__", "__name__"):
            self.fault(cell, node, f"assigns {name}: the exporter writes the head of the module")
            return
        if name in self.imports:
            what, place = self.imports[name]
            self.fault(cell, node, f"`{name}` is the import of {what} at {place}: choose another name")
        if name in self.defined and name not in self.overloads:
            self.fault(cell, node, f"`{name}` is defined twice; first at {self.defined[name]}")
        self.defined.setdefault(name, toc.where(cell, self.path, node.lineno))
        if "export-private" in cell.tags:
            self.private.add(name)
        if overload:
            self.overloads.add(name)
        else:
            self.overloads.discard(name)
        if isinstance(node, ast.ClassDef):
            bases = {self.dotted(base) for base in node.bases}
            decorators = {self.dotted(d.func if isinstance(d, ast.Call) else d) for d in node.decorator_list}
            if "dataclasses.dataclass" in decorators or bases & {"typing.NamedTuple", "enum.Enum", "enum.IntEnum"}:
                self.records.add(name)

    # -- what runs when the module is imported -------------------------------------------------------------------------

    def dotted(self, node: ast.expr) -> str:
        """The full name of what an expression names, through the chapter's imports: np.array -> numpy.array."""
        match node:
            case ast.Name():
                return self.imports[node.id][0] if node.id in self.imports else node.id
            case ast.Attribute():
                inner = self.dotted(node.value)
                return f"{inner}.{node.attr}" if inner else ""
        return ""

    def definition(self, cell: toc.Cell, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        """Judge what a def or class runs at once: decorators, defaults, base classes, a class's own statements."""
        for decorator in node.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            name = self.dotted(called)
            setter = name.split(".")[-1] in ("setter", "getter", "deleter", "register")
            if name not in DECORATORS and not setter:
                self.fault(
                    cell,
                    decorator,
                    f"decorator `@{ast.unparse(decorator)}` is not one the exporter knows to be harmless",
                )
            if isinstance(decorator, ast.Call):
                for value in [*decorator.args, *(k.value for k in decorator.keywords)]:
                    self.harmless(cell, value)
        if not isinstance(node, ast.ClassDef):
            for default in [*node.args.defaults, *(d for d in node.args.kw_defaults if d is not None)]:
                self.harmless(cell, default)
            return
        for base in [*node.bases, *(k.value for k in node.keywords)]:
            self.harmless(cell, base)
        for child in node.body:
            match child:
                case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                    self.definition(cell, child)
                case ast.Assign() | ast.AnnAssign():
                    if child.value is not None:
                        self.harmless(cell, child.value)
                case ast.Pass() | ast.Expr(value=ast.Constant()):
                    pass
                case _ if type(child).__name__ == "TypeAlias":
                    pass
                case _:
                    self.fault(cell, child, f"{quote(child)} in class {node.name} runs when the module is imported")

    def harmless(self, cell: toc.Cell, node: ast.expr) -> None:
        """Fault the calls in an expression that may do more than build a value."""
        match node:
            case ast.Lambda():
                for default in [*node.args.defaults, *(d for d in node.args.kw_defaults if d is not None)]:
                    self.harmless(cell, default)
                return
            case ast.NamedExpr() | ast.Await() | ast.Yield() | ast.YieldFrom():
                self.fault(cell, node, f"{quote(node)} runs when the module is imported")
                return
            case ast.Call():
                name = self.dotted(node.func)
                method_of_constant = isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Constant)
                known = name in HARMLESS or name.startswith(HARMLESS_IN) or name in self.records or method_of_constant
                if name in self.defined and name not in self.records:
                    known = False  # the chapter's own function, whatever it is called
                if not known:
                    words = "a constant may call only what is known to be harmless; compute it inside a function"
                    self.fault(cell, node, f"{quote(node)} runs when the module is imported: {words}")
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.harmless(cell, child)
            elif isinstance(child, ast.keyword):
                self.harmless(cell, child.value)
            elif isinstance(child, ast.comprehension):
                for part in (child.iter, *child.ifs):
                    self.harmless(cell, part)

    # -- the module ----------------------------------------------------------------------------------------------------

    def front_matter(self) -> dict:
        """The chapter's `softattn` front matter, judged."""
        lines = self.path.read_text(encoding="utf-8").splitlines()
        line = next((n for n, text in enumerate(lines, 1) if text.startswith("softattn:")), 1)
        here = f"{self.path.parent.name}/{self.path.name}:{line} (front matter)"
        settings = self.source.metadata.get("softattn")
        if not isinstance(settings, dict) or not settings.get("module"):
            self.faults.append(
                f"{here}: has export cells but no `softattn: {{module: {self.path.stem}, subtitle: ...}}`"
            )
            return {}
        module, subtitle = settings["module"], settings.get("subtitle")
        if module != self.path.stem:
            self.faults.append(
                f"{here}: module is {module!r}, but a chapter exports the module of its own name, {self.path.stem!r}"
            )
        elif not str(module).isidentifier() or keyword.iskeyword(module) or module in toc.HAND_WRITTEN:
            self.faults.append(f"{here}: module {module!r} is not a name that a chapter can export")
        if not isinstance(subtitle, str) or not subtitle.strip() or "\n" in subtitle.strip():
            self.faults.append(
                f"{here}: `subtitle` must be one line that says what the module does, it is {subtitle!r}"
            )
        if not self.source.title:
            self.faults.append(f"{self.path.parent.name}/{self.path.name}:1: has no `# Title`, the module's docstring")
        return settings

    def module(self) -> Module | None:
        """The module of this chapter, None where it exports nothing.

        Raises:
            Faults: what is wrong with the chapter, all of it.
        """
        lines = self.path.read_text(encoding="utf-8").splitlines()
        for line in self.source.nested:
            options = lines[line : line + 6]
            if any(re.match(r"\s*(:tags:|tags:|- export\b).*", text) and "export" in text for text in options):
                self.faults.append(
                    f"{self.path.parent.name}/{self.path.name}:{line}: an export cell inside another block "
                    "is never run: use the gated {solution-start} and {solution-end}"
                )
        if not self.cells:
            if self.faults:
                raise Faults(self.faults)
            return None
        settings = self.front_matter()
        if self.faults:
            raise Faults(self.faults)
        head = HEADER.format(name=self.path.stem) + docstring(self.source.title, settings["subtitle"], self.path.stem)
        public = sorted(self.public)
        parts = [head, *self.futures, *self.import_lines.values(), f"__all__ = {public!r}"]
        text = "\n".join(parts) + "\n"
        where = dict.fromkeys(range(1, text.count("\n") + 1), 1)  # line of the module -> line of the chapter
        for body in self.bodies:
            text += "\n\n"
            for line, source in body:
                text += line + "\n"
                where[text.count("\n")] = source
        self.undefined(text, where)
        return Module(self.path.stem, tidy(text, self.path.stem), {name: self.defined[name] for name in public})

    def undefined(self, text: str, where: dict[int, int]) -> None:
        """Fault names that the module uses and neither imports nor defines: the notebook has them."""
        out = ruff(
            text, self.path.stem, "check", "--quiet", "--select", "F821,F822", "--output-format", "json", "--no-fix"
        )
        for finding in json.loads(out):
            line = where.get(finding["location"]["row"], 1)
            cell = next((c for c in reversed(self.cells) if c.line <= line), self.cells[0])
            words = finding["message"].replace("Undefined name", "undefined name")
            self.fault(
                cell, line - cell.line + 1, f"{words}: only export cells reach the module; define or import it in one"
            )
        if self.faults:
            raise Faults(self.faults)


def quote(node: ast.AST) -> str:
    """The first line of a piece of code, shortened."""
    return f"`{textwrap.shorten(ast.unparse(node).split(chr(10))[0], 60, placeholder=' ...')}`"


def docstring(title: str, subtitle: str, name: str) -> str:
    """The module's docstring: the chapter's title, its subtitle, the page."""
    title = re.sub(r"\{[\w:-]+\}`([^`]*)`", r"\1", title).rstrip(".")
    page = f"The chapter book/{name}.md builds this module and explains each line."
    text = f"{title}.\n\n{textwrap.fill(subtitle.strip(), 116)}\n\n{page}"
    text = text.replace('"""', "'''")
    return f'{"r" if chr(92) in text else ""}"""{text}\n"""'


def ruff(text: str, name: str, *command: str) -> str:
    """Run ruff over a text.

    Raises:
        Faults: if ruff itself fails.
    """
    known = ["--config", str(PYPROJECT)]
    if command[0] == "check":
        known += ["--config", 'lint.isort.known-first-party=["softattn"]', "--exit-zero"]
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command, *known, "--no-cache", "--stdin-filename", f"softattn/{name}.py", "-"],
        input=text,
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=ROOT,
    )
    if done.returncode:
        raise Faults(
            [f"book/{name}.md: ruff {command[0]} fails on the module: {done.stderr.strip() or done.stdout.strip()}"]
        )
    return done.stdout


def tidy(text: str, name: str) -> str:
    """Sort the imports, drop those that only the chapter's other cells use, format."""
    text = ruff(text, name, "check", "--quiet", "--fix-only", "--select", "I,F401")
    return ruff(text, name, "format", "--quiet")


def collect(root: Path, names: list[str] | None = None) -> dict[str, Module]:
    """Read the chapters and make their modules, in memory.

    Args:
        root: the repository: chapters are `book/*.md`.
        names: the chapters wanted; all when None.

    Returns:
        The modules by name, in the order of the names.

    Raises:
        Faults: everything that is wrong in any of them.
    """
    paths = sorted((root / "book").glob("*.md"))
    missing = sorted(set(names or []) - {path.stem for path in paths})
    if missing:
        known = ", ".join(path.stem for path in paths) or "none"
        raise Faults([f"there is no chapter book/{name}.md; there are: {known}" for name in missing])
    faults: list[str] = []
    modules: dict[str, Module] = {}
    owner: dict[str, str] = {}
    for path in paths:
        wanted = not names or path.stem in names
        try:
            chapter = Chapter(path)
            if wanted:
                module = chapter.module()
            else:  # only its names count, to see that no other chapter has them
                module = Module(path.stem, "", {n: chapter.defined[n] for n in chapter.public})
        except Faults as err:
            faults += err.faults if wanted else []
            continue
        if module is None:
            continue
        for name, place in module.names.items():
            if name in owner and (
                wanted or owner[name].split(":")[0].split("/")[-1].removesuffix(".md") in (names or [])
            ):
                faults.append(f"{place}: `{name}` is exported by two chapters; the other is at {owner[name]}")
            owner.setdefault(name, place)
        if wanted:
            modules[module.name] = module
    if faults:
        raise Faults(faults)
    return modules


def strangers(root: Path, modules: dict[str, Module]) -> list[str]:
    """Say which files of softattn/ no chapter accounts for."""
    found = []
    for path in sorted((root / "softattn").glob("*.py")):
        if path.stem in toc.HAND_WRITTEN or path.stem in modules:
            continue
        match = GENERATED.match(path.read_text(encoding="utf-8"))
        why = f"its chapter book/{match[1]}.md exports nothing or is gone" if match else "no chapter exports it"
        found.append(f"softattn/{path.name}: {why}; delete the file")
    return found


def write(root: Path, modules: dict[str, Module]) -> list[str]:
    """Write what differs: all files under temporary names first, then each renamed into place.

    Returns:
        Names of the files written, relative to the root.
    """
    folder = root / "softattn"
    folder.mkdir(exist_ok=True)
    texts = {folder / f"{module.name}.py": module.text for module in modules.values()}
    texts = {path: text for path, text in texts.items() if current(path) != text}
    write_texts(texts)
    return [path.relative_to(root).as_posix() for path in texts]


def current(path: Path) -> str | None:
    """The text of a file byte for byte, None where it is not there."""
    return path.read_bytes().decode("utf-8", "replace") if path.exists() else None


def difference(path: Path, module: Module, lines: int = 24) -> str:
    """The first lines of the difference between a file and its chapter."""
    text = current(path)
    if text is None:
        return "  (the file is not there)\n"
    diff = list(
        difflib.unified_diff(text.splitlines(), module.text.splitlines(), "on disk", "from the chapter", "", "", 1, "")
    )
    more = [f"  ... {len(diff) - lines} more lines\n"] if len(diff) > lines else []
    return "".join([f"  {line.rstrip()}\n" for line in diff[:lines]] + more) or "  (only the line ends differ)\n"


def main(argv: list[str] | None = None, root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.export", description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "chapters", nargs="*", metavar="NAME", help="chapters, `lstm` for book/lstm.md; all when none is named"
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 if a module differs from its chapter"
    )
    options = parser.parse_args(argv)
    names = [name.removeprefix("book/").removesuffix(".md") for name in options.chapters]
    try:
        modules = collect(root, names)
    except Faults as err:
        print(*(f"error: {fault}" for fault in err.faults), sep="\n", file=sys.stderr)
        print("nothing was written", file=sys.stderr)
        return 2
    stray = [] if names else strangers(root, modules)
    if options.check:
        stale = [m for m in modules.values() if current(root / "softattn" / f"{m.name}.py") != m.text]
        for module in stale:
            path = root / "softattn" / f"{module.name}.py"
            print(f"stale: softattn/{module.name}.py differs from book/{module.name}.md; run: make export")
            print(difference(path, module), end="")
        print(*stray, sep="\n", end="\n" if stray else "")
        if not stale and not stray:
            print(f"{len(modules)} modules are their chapters'")
        return 1 if stale or stray else 0
    written = write(root, modules)
    print("wrote: " + (", ".join(written) or "nothing, all modules are their chapters'"))
    print(*stray, sep="\n", end="\n" if stray else "")
    return 1 if stray else 0


if __name__ == "__main__":
    sys.exit(main())

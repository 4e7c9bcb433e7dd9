"""Test the tests: change one place of a formula that the package exports, and see whether some test goes red.

python -m tools.mutants filterbank window     judge the mutants of these modules; goes on where it stopped
python -m tools.mutants --minutes 60          of all modules, the least judged first, for so long
python -m tools.mutants --sample 30           so many of each module: they come mixed, so that a part stands for all
python -m tools.mutants --list filterbank     every mutant of a module, and what is known of it
python -m tools.mutants --survivors           those that no test noticed
python -m tools.mutants --write               what is known so far, as counts, to softattn/data/mutants.json
python -m tools.mutants --check               exit 1 if that file says that less than 95 in 100 were noticed; says of
                                              which modules hardly any was judged
python -m tools.mutants --museum              the faults of the chapter `museum`, each against its oracle test

A mutant differs from softattn/NAME.py in one sign, index, constant or operator. Left alone is what is no formula:
docstrings, annotations, defaults, messages, guards (an `if` that only raises) and the house's checks of arguments. What
is known stands in _build/mutants/, by the text of each mutant, so that a change of one function leaves the others'.

Fast because nothing is imported twice: pytest collects the module's tests once; each mutant is a fork of that process
in which the code of one function is exchanged, and only tests run that pass through the changed lines, the quickest
first, until one is red. Mutants that change nothing that can be seen are listed in tools/mutants.txt, with the reason.
Needs a system that can fork.
"""

import argparse
import ast
import contextlib
import copy
import hashlib
import importlib
import inspect
import io
import json
import os
import re
import resource
import signal
import sys
import time
import types
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tools import toc
from tools.files import write_text

ROOT = toc.ROOT
STATE = ROOT / "_build" / "mutants"
RESULT = ROOT / "softattn" / "data" / "mutants.json"
SAME = Path(__file__).resolve().with_name("mutants.txt")
GOAL = 0.95
SAMPLE = 10  # mutants of a module that say something of it, if it has so many
MEMORY = 6 << 30  # more than a mutant may take beyond what its parent has
# Modules whose code is drawing, files or text, with hardly a formula; named on the command line they are judged too.
NO_FORMULAS = {"hub", "pictures", "museum", "scoreboard"}

# What checks arguments; what it is called with is judged by the tests of errors, not here.
CHECKS = {"whole", "real", "shaped", "sizes", "instance", "told", "finite", "whole_numbers", "from_chance", "use_fused"}
_CHECKING = re.compile(r"_?(check|fits?|told|pair$|ready$)")
_EXCHANGED: dict[type, type] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.FloorDiv, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip


class Mutant(NamedTuple):
    """One change: of which module, in which function, of which kind; `key` is made of its text alone."""

    module: str
    function: str  # "Filterbank.box"; "" for a constant of the module
    line: int  # in softattn/NAME.py, where the changed expression begins
    last: int  # where its statement ends
    kind: str  # sign, index, constant, operator
    before: str
    after: str
    place: int  # which of the tree's places, and which of its changes
    change: int
    key: str

    def __str__(self) -> str:
        return f"{self.module}.py:{self.line} {self.function or '(module)'}: {self.before}  ->  {self.after}"


# -- Where something can be changed ------------------------------------------------------------------------------------


def _raises_only(body: list[ast.stmt]) -> bool:
    """Whether a branch does nothing but prepare a message and raise."""
    return isinstance(body[-1], ast.Raise) and all(isinstance(s, ast.Assign | ast.Raise) for s in body)


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def places(tree: ast.Module) -> Iterator[tuple[ast.AST, ast.stmt, str, bool]]:
    """Every node that can be changed, in a fixed order: (node, its statement, its function, whether in an index)."""

    def walk(node: ast.AST, statement: ast.stmt, function: str, index: bool) -> Iterator:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if function and not function.endswith("."):  # inside another function
                name = function
            else:
                name = f"{function}{node.name}"
            if _CHECKING.match(node.name) or node.name in CHECKS | {"__repr__", "__str__"}:
                return
            for child in node.body:
                yield from walk(child, child, name, False)
            return
        if isinstance(node, ast.ClassDef):
            for child in node.body:
                if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield from walk(child, child, f"{node.name}.", False)
            return
        if isinstance(node, ast.Raise | ast.Assert | ast.JoinedStr | ast.Import | ast.ImportFrom):
            return
        if isinstance(node, ast.If) and _raises_only(node.body) and not node.orelse:
            return
        if isinstance(node, ast.Call) and (_called(node) in CHECKS or _CHECKING.match(_called(node))):
            return
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return  # a docstring
        if _changes(node, index):
            yield node, statement, function, index
        if isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Constant):
            return  # a negative number is one constant
        for field, value in ast.iter_fields(node):
            if field in ("annotation", "returns", "args") and not isinstance(node, ast.Call):
                continue  # types; defaults of a lambda
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    inside = index or (isinstance(node, ast.Subscript) and field == "slice")
                    inner = child if isinstance(child, ast.stmt) else statement
                    yield from walk(child, inner, function, inside)

    for top in tree.body:
        if isinstance(top, ast.If) and "TYPE_CHECKING" in ast.unparse(top.test):
            continue
        simple = isinstance(top, ast.Assign | ast.AnnAssign) and top.value is not None
        if isinstance(top, ast.FunctionDef | ast.ClassDef) or (simple and "__all__" not in ast.unparse(top)):
            yield from walk(top, top, "", False)


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _more(value: int | float) -> int | float:
    """The number next to a constant: one more if whole, else twice as large."""
    return value + 1 if isinstance(value, int) else 2 * value or 1.0


def _changes(node: ast.AST, index: bool) -> list[tuple[str, Callable[[Any], None]]]:
    """What can be done to a node in place: (kind, change)."""

    def swap(field: str) -> Callable[[Any], None]:
        def change(n: Any) -> None:
            setattr(n, field, _EXCHANGED[type(getattr(n, field))]())

        return change

    word = "index" if index else "constant"
    match node:
        case ast.BinOp(op=op) | ast.AugAssign(op=op) if type(op) in _EXCHANGED:
            if isinstance(node, ast.BinOp) and any(
                isinstance(side, ast.JoinedStr) or (isinstance(side, ast.Constant) and isinstance(side.value, str))
                for side in (node.left, node.right)
            ):
                return []  # text
            return [("sign" if isinstance(op, ast.Add | ast.Sub) else "operator", swap("op"))]
        case ast.BoolOp():
            return [("operator", swap("op"))]
        case ast.Compare(ops=[op]) if type(op) in _EXCHANGED:

            def compare(n: Any) -> None:
                n.ops = [_EXCHANGED[type(n.ops[0])]()]

            return [("operator", compare)]
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=value)) if _number(value):

            def larger(n: Any) -> None:
                n.operand.value = _more(n.operand.value)

            def positive(n: Any) -> None:
                n.op = ast.UAdd()

            return [("sign", positive), (word, larger)]
        case ast.UnaryOp(op=ast.USub()):

            def plus(n: Any) -> None:
                n.op = ast.UAdd()

            return [("sign", plus)]
        case ast.UnaryOp(op=ast.Not() | ast.Invert()):

            def twice(n: Any) -> None:  # not not x, ~~mask
                n.operand = ast.UnaryOp(type(n.op)(), n.operand)

            return [("operator", twice)]
        case ast.Constant(value=bool()):

            def other(n: Any) -> None:
                n.value = not n.value

            return [("constant", other)]
        case ast.Constant(value=value) if _number(value) and value != float("inf"):

            def next_one(n: Any) -> None:
                n.value = _more(n.value)

            return [(word, next_one)]
    return []


def _shown(statement: ast.stmt) -> str:
    """A statement's own text: of a compound one its first line."""
    return ast.unparse(statement).split("\n")[0]


def mutants(module: str, root: Path = ROOT) -> list[Mutant]:
    """All mutants of a module, in the order of its text."""
    text = (root / "softattn" / f"{module}.py").read_text(encoding="utf-8")
    tree = ast.parse(text)
    found: list[Mutant] = []
    seen: dict[str, int] = {}
    for place, (node, statement, function, index) in enumerate(places(tree)):
        for change, (kind, alter) in enumerate(_changes(node, index)):
            before = _shown(statement)
            saved = copy.copy(node.__dict__)
            operand = copy.copy(getattr(node, "operand", None))
            alter(node)
            after = _shown(statement)
            node.__dict__.clear()
            node.__dict__.update(saved)
            if operand is not None:
                node.operand = operand  # pyright: ignore[reportAttributeAccessIssue]
            if before == after:  # in the body of a compound statement's header, or cut away
                after = f"{after} [{kind} at column {getattr(node, 'col_offset', 0)}]"
            told = f"{function}: {before} -> {after}"
            seen[told] = seen.get(told, 0) + 1
            key = hashlib.sha256(f"{told} #{seen[told]}".encode()).hexdigest()[:12]
            line = getattr(node, "lineno", statement.lineno)
            last = getattr(node, "end_lineno", None) or line
            found.append(Mutant(module, function, line, last, kind, before, after, place, change, key))
    return found


def mutated(mutant: Mutant, root: Path = ROOT) -> ast.Module:
    """The module's tree with one change."""
    text = (root / "softattn" / f"{mutant.module}.py").read_text(encoding="utf-8")
    tree = ast.parse(text)
    for place, (node, _, _, index) in enumerate(places(tree)):
        if place == mutant.place:
            _changes(node, index)[mutant.change][1](node)
            return ast.fix_missing_locations(tree)
    raise ValueError(f"{mutant}: {mutant.module}.py has no such place any more")


# -- Exchanging code in a module that is loaded ------------------------------------------------------------------------


def _functions(code: types.CodeType, prefix: str = "") -> Iterator[tuple[str, int, types.CodeType]]:
    """(qualified name, first line, code) of the functions at the top of a module and of its classes."""
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType) and "<" not in inner.co_name:
            name = f"{prefix}{inner.co_name}"
            if inner.co_flags & inspect.CO_NEWLOCALS:
                yield name, inner.co_firstlineno, inner
            elif not prefix:  # the body of a class
                yield from _functions(inner, f"{name}.")


def _inner(value: Any) -> Any:
    """The function itself, under its decorators."""
    for _ in range(20):
        if isinstance(value, staticmethod | classmethod):
            value = value.__func__
        elif isinstance(value, property):
            value = value.fget
        elif not isinstance(value, types.FunctionType) or hasattr(value, "__wrapped__"):
            inner = getattr(value, "__wrapped__", None) or getattr(value, "func", None)
            if inner is None:
                return value
            value = inner
        else:
            return value
    return value


def _held(module: types.ModuleType, name: str) -> list[Any]:
    """Where a function of this qualified name may stand, a property's setter and deleter included."""
    owner, _, method = name.rpartition(".")
    holder = getattr(module, owner, None) if owner else module
    value = vars(holder).get(method) if holder is not None else None
    values = [value, value.fset, value.fdel] if isinstance(value, property) else [value]
    return [_inner(v) for v in values if v is not None]


def exchange(module: types.ModuleType, tree: ast.Module) -> int:
    """Give the functions of a loaded module the code of another text of it; returns how many were changed.

    Constants of the module are computed anew where their text differs.
    """
    file = module.__file__ or ""
    code = compile(tree, file, "exec", dont_inherit=True)
    changed = 0
    for name, line, new in _functions(code):
        for function in _held(module, name):
            old = getattr(function, "__code__", None)
            if old is not None and old.co_firstlineno == line and old != new and old.co_freevars == new.co_freevars:
                function.__code__ = new
                changed += 1
    before = {
        ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target): ast.unparse(node)
        for node in ast.parse(Path(file).read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign | ast.AnnAssign)
    }
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            name = ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target)
            if before.get(name) != ast.unparse(node):
                exec(compile(ast.Module([node], []), file, "exec"), vars(module))
                changed += 1
    return changed


# -- Inside pytest -----------------------------------------------------------------------------------------------------


class Lines:
    """Notes through which lines of one file each test runs; the lines run at import belong to none."""

    def __init__(self, file: str):
        self.file, self.now = file, set()

    def trace(self, frame, event, _):
        if frame.f_code.co_filename != self.file:
            return None
        lines = self.now
        lines.add(frame.f_lineno)

        def local(inner, event, _):
            if event == "line":
                lines.add(inner.f_lineno)
            return local

        return local


class Judge:
    """A pytest plugin: collects once, then forks for whatever `work` asks of it."""

    def __init__(self, work: Callable[["Judge"], None]):
        self.work, self.items, self.failed, self.passed = work, {}, [], False

    def pytest_runtestloop(self, session):
        if session.testsfailed:
            return True
        self.items = {item.nodeid: item for item in session.items}
        self.work(self)
        return True

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.failed.append(report.nodeid)
        elif report.when == "call" and report.passed:
            self.passed = True

    def run_one(self, nodeid: str) -> bool:
        """Whether a test is green; what it prints goes nowhere."""
        item, before = self.items[nodeid], len(self.failed)
        self.passed = False
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        return len(self.failed) == before and self.passed

    def in_a_fork(self, work: Callable[[Callable[[Any], None]], None], seconds: float) -> tuple[list[Any], str]:
        """Run `work(tell)` in a fork; what it tells, and "" or why the fork did not end by itself."""
        reader, writer = os.pipe()
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            os.close(reader)
            os.setpgid(0, 0)  # what a test starts ends with it
            _quiet()
            with os.fdopen(writer, "w") as pipe:

                def tell(value: Any) -> None:
                    pipe.write(json.dumps(value) + "\n")
                    pipe.flush()

                status = 0
                try:
                    work(tell)
                except BaseException as err:  # the fork must never return into its parent's work
                    status = 0 if isinstance(err, SystemExit) else 3
                    with contextlib.suppress(BaseException):
                        tell({"error": f"{type(err).__name__}: {err}"[:300]})
                finally:
                    with contextlib.suppress(BaseException):
                        pipe.flush()
                    os._exit(status)
        os.close(writer)
        return _listen(child, reader, seconds)


def _quiet() -> None:
    """Send what a fork prints nowhere, and bound its memory."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    sys.stdout, sys.stderr = io.StringIO(), io.StringIO()
    with contextlib.suppress(OSError, ValueError):
        now = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, now + MEMORY))


def _listen(child: int, reader: int, seconds: float) -> tuple[list[Any], str]:
    """What a fork tells until it ends, or until its time is over."""
    import select

    told, rest, end, why = [], b"", time.monotonic() + seconds, ""
    while True:
        left = end - time.monotonic()
        ready = select.select([reader], [], [], max(0.0, min(left, 1.0)))[0]
        if ready:
            piece = os.read(reader, 65536)
            if not piece:
                break
            *lines, rest = (rest + piece).split(b"\n")
            told += [json.loads(line) for line in lines if line]
        elif left <= 0:
            why = "timeout"
            break
    os.close(reader)
    if why:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if not why and status:
        why = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"status {os.WEXITSTATUS(status)}"
    return told, why


def pytest_session(files: Sequence[str], work: Callable[[Judge], None], slow: bool = False) -> int:
    """Collect tests and hand them to `work`."""
    import pytest

    os.environ.pop("SOFTATTN_DATA", None)
    marks = "not site and not browser and not data" + ("" if slow else " and not slow")
    options = [
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "-p",
        "no:terminalreporter",
        "--no-header",
        "-m",
        marks,
    ]
    with contextlib.redirect_stdout(io.StringIO()) as said:
        status = pytest.main([*options, "--rootdir", str(ROOT), *files], plugins=[Judge(work)])
    if status not in (0, 5):
        print(said.getvalue()[-2000:])
    return int(status)


# -- What is known -----------------------------------------------------------------------------------------------------


def test_files(module: str, root: Path = ROOT) -> list[str]:
    """The module's own tests, then others that import it; those of the house and of nonsense are no oracles."""
    own = root / "tests" / f"test_{module}.py"
    found = [own] if own.exists() else []
    pattern = re.compile(rf"^\s*(?:from softattn\.{module} import|import softattn\.{module}\b)"
                         rf"|^\s*from softattn import [^\n]*\b{module}\b", re.M)  # fmt: skip
    spared = {"test_fuzz.py", "test_package.py", "test_types.py", "test_house.py", "test_recipes.py", "test_museum.py"}
    for path in sorted((root / "tests").glob("test_*.py")):
        if path not in found and path.name not in spared and pattern.search(path.read_text(encoding="utf-8")):
            found.append(path)
    return [str(path.relative_to(root)) for path in found]


def known(module: str) -> dict[str, Any]:
    """What was found out about a module's mutants: {"verdicts": {key: {...}}, "cover": {...}}."""
    path = STATE / f"{module}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"verdicts": {}}


def _keep(module: str, state: dict[str, Any]) -> None:
    STATE.mkdir(parents=True, exist_ok=True)
    write_text(STATE / f"{module}.json", json.dumps(state, indent=1))


def the_same(path: Path = SAME) -> dict[str, str]:
    """Mutants that change nothing that can be seen: key -> why."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    pairs = [line.split(None, 1) for line in lines if line.strip() and not line.startswith("#")]
    return {key: why for key, why in pairs}


def _digest(paths: Sequence[str]) -> str:
    text = b"".join((ROOT / path).read_bytes() for path in paths)
    return hashlib.sha256(text).hexdigest()[:16]


def cover(judge: Judge, module: str, files: list[str], state: dict[str, Any]) -> dict[str, Any]:
    """Seconds and lines of each green test; kept until the module or its tests change."""
    digest = _digest([f"softattn/{module}.py", *files])
    if state.get("cover", {}).get("digest") == digest:
        return state["cover"]["tests"]
    file = importlib.import_module(f"softattn.{module}").__file__ or ""

    def work(tell: Callable[[Any], None]) -> None:
        for nodeid in judge.items:
            lines = Lines(file)
            start = time.process_time()  # what else runs on the machine does not count
            sys.settrace(lines.trace)
            green = judge.run_one(nodeid)
            sys.settrace(None)
            if lines.now and green:
                tell([nodeid, round(time.process_time() - start, 4), sorted(lines.now)])

    told, why = judge.in_a_fork(work, 3600)
    tests = {nodeid: [seconds, lines] for nodeid, seconds, lines in (t for t in told if isinstance(t, list))}
    if why or not tests:
        raise SystemExit(f"{module}: the tests as they are do not run through: {why or told}")
    # the tests are others now: what survived may be noticed
    state["verdicts"] = {k: v for k, v in state["verdicts"].items() if v["verdict"] != "survived"}
    state["cover"] = {"digest": digest, "tests": tests}
    _keep(module, state)
    return tests


def judge_one(judge: Judge, mutant: Mutant, tests: dict[str, Any], cap: float) -> dict[str, Any]:
    """Run the tests that pass through a mutant, the quickest first, until one is red."""
    touched = set(range(mutant.line, mutant.last + 1))
    own = f"tests/test_{mutant.module}.py"
    chosen = [
        (not nodeid.startswith(own), seconds, nodeid)
        for nodeid, (seconds, lines) in tests.items()
        if not mutant.function or touched & set(lines)
    ]
    order, total = [], 0.0
    for _, seconds, nodeid in sorted(chosen):
        if order and total + seconds > cap:
            continue
        order.append(nodeid)
        total += seconds
    if not order:
        return {"verdict": "survived", "by": "no test passes through it"}
    tree = mutated(mutant)
    module = importlib.import_module(f"softattn.{mutant.module}")

    def work(tell: Callable[[Any], None]) -> None:
        try:
            changed = exchange(module, tree)
        except Exception as err:  # a constant that cannot be computed any more: whoever imports it notices
            tell({"red": f"import: {type(err).__name__}"})
            return
        if not changed:
            tell({"error": "the code did not change"})
            return
        for nodeid in order:
            if not judge.run_one(nodeid):
                tell({"red": nodeid})
                return

    told, why = judge.in_a_fork(work, 60 + 30 * total)  # seconds of a machine that may be busy
    last = told[-1] if told else {}
    if "red" in last:
        return {"verdict": "killed", "by": last["red"]}
    if why:
        return {"verdict": "killed", "by": why}
    if "error" in last:
        return {"verdict": "same" if "did not change" in last["error"] else "killed", "by": last["error"]}
    return {"verdict": "survived", "by": f"{len(order)} tests"}


def judge_module(module: str, until: float, slow: bool, cap: float, again: bool, sample: int) -> None:
    """Judge what is not yet known of a module, until a moment or until so many of it are judged."""
    files, state = test_files(module), known(module)
    if not files:
        print(f"{module}: no tests")
        return
    same = the_same()

    def work(judge: Judge) -> None:
        out = sys.__stdout__ or sys.stdout
        tests = cover(judge, module, files, state)
        verdicts = state["verdicts"]
        todo = [m for m in mutants(module) if m.key not in verdicts and m.key not in same]
        if again:
            todo = [m for m in mutants(module) if verdicts.get(m.key, {}).get("verdict") == "survived"]
        todo.sort(key=lambda m: m.key)  # mixed: a part of them stands for all
        if not again:
            todo = todo[: max(0, sample - counts(module)["judged"])]
        for number, mutant in enumerate(todo):
            if time.monotonic() > until:
                break
            verdicts[mutant.key] = judge_one(judge, mutant, tests, cap)
            if verdicts[mutant.key]["verdict"] == "survived":
                print(f"  {mutant.key} {mutant}", file=out, flush=True)
            if number % 10 == 9:
                _keep(module, state)
        _keep(module, state)

    pytest_session(files, work, slow)


# -- What comes of it --------------------------------------------------------------------------------------------------


def modules(root: Path = ROOT) -> list[str]:
    """The modules that chapters export and that hold formulas, in the order of the book."""
    names = [page.name for page in toc.chapters(root) if (root / "softattn" / f"{page.name}.py").exists()]
    return [name for name in names if name not in NO_FORMULAS]


def counts(module: str) -> dict[str, int]:
    """How many mutants a module has, and of how many what is known."""
    verdicts, same, all_of = known(module)["verdicts"], the_same(), mutants(module)
    real = [m for m in all_of if m.key not in same and verdicts.get(m.key, {}).get("verdict") != "same"]
    judged = [m for m in real if m.key in verdicts]
    killed = [m for m in judged if verdicts[m.key]["verdict"] == "killed"]
    return {"mutants": len(real), "judged": len(judged), "killed": len(killed), "same": len(all_of) - len(real)}


def report(names: Sequence[str]) -> dict[str, dict[str, int]]:
    """Print a table of what is known."""
    table = {name: counts(name) for name in names}
    print(f"{'module':16}{'mutants':>9}{'judged':>9}{'noticed':>9}{'share':>8}{'same':>7}")
    whole = {key: sum(row[key] for row in table.values()) for key in ("mutants", "judged", "killed", "same")}
    for name, row in [*table.items(), ("all", whole)]:
        share = f"{100 * row['killed'] / row['judged']:.1f} %" if row["judged"] else "-"
        print(f"{name:16}{row['mutants']:9}{row['judged']:9}{row['killed']:9}{share:>8}{row['same']:7}")
    return table


def in_turn(names: Sequence[str], week: int) -> list[str]:
    """The least judged first; among equals another leads each week, so that a machine that starts anew goes round."""
    start = 7 * week % len(names)
    turned = [*names[start:], *names[:start]]
    return sorted(turned, key=lambda n: (row := counts(n))["judged"] / max(1, row["mutants"]))


def still_true(name: str, row: dict[str, int]) -> bool:
    """Whether a stored row is of as many mutants as the module has now."""
    return row["mutants"] + row["same"] == len(mutants(name))


def write(path: Path = RESULT) -> None:
    """Store the counts of modules of which something is known; rows of others stay while their mutants are as many."""
    from bench._result import commit

    old = json.loads(path.read_text(encoding="utf-8"))["modules"] if path.exists() else {}
    table = {}
    for name in modules():
        row = counts(name)
        kept = old.get(name)
        if kept and kept["judged"] > row["judged"] and still_true(name, kept):
            row = kept
        if row["judged"]:
            table[name] = row
    record = {
        "what": "mutants of the exported formulas: in all, judged so far, noticed by a test; same: seen by nobody",
        "command": "make mutants",
        "commit": commit(),
        "modules": table,
    }
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8", newline="\n")
    print(f"{path.relative_to(ROOT)}: {len(table)} modules")


def enough(record: dict[str, Any]) -> list[str]:
    """What falls short of the goal in a stored result."""
    rows = record["modules"]
    killed, judged = (sum(row[key] for row in rows.values()) for key in ("killed", "judged"))
    return [] if killed >= GOAL * judged else [f"{killed} of {judged} mutants were noticed, under {GOAL:.0%}"]


def unasked(record: dict[str, Any], names: Sequence[str]) -> list[str]:
    """Modules of which too few mutants were judged for their share to say something."""
    rows, nothing = record["modules"], {"judged": 0, "mutants": SAMPLE}
    return [name for name in names if (row := rows.get(name, nothing))["judged"] < min(SAMPLE, row["mutants"])]


# -- The museum --------------------------------------------------------------------------------------------------------


def museum() -> int:
    """Put each fault of the museum into its module: its oracle test must go red, and be green without it."""
    from softattn.museum import faults, faulty_text

    files = sorted({fault.test.split("::")[0] for fault in faults().values()})
    wrong: list[str] = []

    def work(judge: Judge) -> None:
        out = sys.__stdout__ or sys.stdout
        for name, fault in faults().items():
            asked = [n for n in judge.items if n == fault.test or n.startswith(fault.test + "[")]
            if not asked:
                wrong.append(f"{name}: there is no test {fault.test}")
                continue
            tree = ast.parse(faulty_text(name))
            module = importlib.import_module(f"softattn.{fault.module}")

            def look(tell: Callable[[Any], None], faulty: bool) -> None:
                changed = exchange(module, tree) if faulty else 1  # noqa: B023
                tell([changed, [n for n in asked if not judge.run_one(n)]])  # noqa: B023

            for faulty in (False, True):
                told, why = judge.in_a_fork(lambda tell, faulty=faulty: look(tell, faulty), 900)
                changed, red = told[-1] if told and isinstance(told[-1], list) else (0, [why or str(told)])
                if not changed:
                    wrong.append(f"{name}: the code did not change")
                if bool(red) is not faulty:
                    wrong.append(f"{name}: {fault.test} is {'green with' if faulty else 'red without'} the fault")
                if faulty:
                    print(f"{'red  ' if red else 'GREEN'} {name}: {fault.test}", file=out, flush=True)

    status = pytest_session(files, work, slow=True)
    for line in wrong:
        print(line)
    return 1 if wrong or status not in (0, 5) else 0


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="modules; all if none is named")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after so long")
    parser.add_argument("--cap", type=float, default=60, help="seconds of tests for one mutant, at most")
    parser.add_argument("--sample", type=int, default=10**9, help="judge no more of a module than so many")
    parser.add_argument("--slow", action="store_true", help="with the tests that are marked slow")
    parser.add_argument("--again", action="store_true", help="only those that survived")
    for word in ("list", "survivors", "write", "check", "museum"):
        parser.add_argument(f"--{word}", action="store_true")
    options = parser.parse_args(argv)
    if options.museum:
        return museum()
    if options.check:
        record = json.loads(RESULT.read_text(encoding="utf-8"))
        short, open_ones = enough(record), unasked(record, modules())
        print("\n".join(short) or "enough")
        if open_ones:
            print(f"fewer than {SAMPLE} were judged of: {', '.join(open_ones)}")
        return int(bool(short))
    if unknown := [n for n in options.names if not (ROOT / "softattn" / f"{n}.py").exists()]:
        parser.error(f"there is no module softattn.{unknown[0]}")
    names = options.names or modules()
    if options.list or options.survivors:
        for name in names:
            verdicts, same = known(name)["verdicts"], the_same()
            for mutant in mutants(name):
                verdict = "same" if mutant.key in same else verdicts.get(mutant.key, {}).get("verdict", "-")
                if options.list or verdict == "survived":
                    by = verdicts.get(mutant.key, {}).get("by", "")
                    print(f"{verdict:9} {mutant.key} {mutant.kind:9} {mutant}" + (f"  [{by}]" if by else ""))
        return 0
    if options.write:
        write()
        return 0
    until = time.monotonic() + 60 * options.minutes
    if not options.names:
        names = in_turn(names, int(time.time() // (7 * 24 * 3600)))
    for name in names:
        if time.monotonic() > until:
            break
        print(f"{name}: {counts(name)['mutants']} mutants", flush=True)
        child = os.fork()  # each module in a process of its own: nothing of one is left in the next
        if child == 0:
            try:
                judge_module(name, until, options.slow, options.cap, options.again, options.sample)
                status = 0
            except BaseException as err:
                print(f"{name}: {type(err).__name__}: {err}")
                status = 1
            sys.stdout.flush()
            os._exit(status)
        os.waitpid(child, 0)
    report(names)
    return 0


if __name__ == "__main__":
    sys.exit(main())

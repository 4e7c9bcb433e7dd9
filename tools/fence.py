"""What an answer to an exercise may do: compute. A fence for a class, not a prison; `make classroom` copies it there.

    faults("import os")  ->  ["line 1: it imports os; an answer needs torch, numpy, Python's mathematics and the book"]

It reads the answer and does not run it. Who means harm gets over it: run the grader where harm costs nothing.
"""

import ast
import builtins

MODULES = {
    "collections", "copy", "dataclasses", "functools", "IPython", "itertools", "math", "matplotlib", "numpy",
    "operator", "random", "softattn", "statistics", "time", "torch", "tqdm", "typing",
}  # fmt: skip
FUNCTIONS = {
    "__import__", "breakpoint", "compile", "delattr", "eval", "exec", "exit", "get_ipython", "globals", "input",
    "locals", "open", "quit", "setattr", "vars",
}  # fmt: skip
FILES = {"fromfile", "loadtxt", "memmap", "savetxt", "savefig", "tofile", "genfromtxt", "savez", "imsave", "imread"}
INNER = {"hub", "os", "sys", "subprocess", "importlib", "inspect", "multiprocessing", "distributed", "cpp_extension"}
DUNDERS = {"__init__", "__call__", "__name__", "__doc__", "__len__", "__iter__", "__getitem__", "__enter__", "__exit__"}
SHARED = {"torch", "np", "numpy", "math", "F", "nn", "plt", "softattn", "itertools", "builtins"}
OWN = {name for name in dir(builtins) if not name.startswith("_")}


def faults(source: str, own: frozenset[str] = frozenset()) -> list[str]:
    """What an answer does that it may not.

    Args:
        source: the answer's code.
        own: names that the exercise itself binds, which the answer is to bind.

    Returns:
        A sentence for each fault, in the order of lines; none for code that does not parse, which fails by itself.
    """
    found: list[tuple[int, str]] = []
    lines = source.split("\n")
    for k, line in enumerate(lines, 1):
        told = line.strip()
        if told.startswith(("%", "!")) and not told.startswith("%matplotlib"):
            found.append((k, f"{told[:30]!r} is a command to the notebook or the machine, no Python"))
    plain = "\n".join("" if line.lstrip().startswith(("%", "!", "?")) else line for line in lines)
    try:
        tree = ast.parse(plain)
    except (SyntaxError, ValueError):
        return [f"line {k}: {text}" for k, text in found]
    for node in ast.walk(tree):
        text = _fault(node)
        if text:
            found.append((getattr(node, "lineno", 1), text))
    for statement in tree.body:
        for name in _bound(statement):
            if name in OWN - own:
                found.append((statement.lineno, f"it gives Python's own name {name!r} away; take another name"))
    return [f"line {k}: {text}" for k, text in sorted(found)]


def _fault(node: ast.AST) -> str:
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or "."]
        for name in names:
            root, *inner = name.split(".")
            if root not in MODULES or INNER & {*inner, *_from(node)}:
                return f"it imports {name}; an answer needs torch, numpy, Python's mathematics and the book"
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        if node.id in FUNCTIONS:
            return f"it uses {node.id}, which an answer has no need of"
        if node.id.startswith("__") and node.id.endswith("__") and node.id not in DUNDERS | {"__import__"}:
            return f"it uses {node.id}, which an answer has no need of"
    if isinstance(node, ast.Attribute):
        base = node.value
        while isinstance(base, ast.Attribute):
            base = base.value
        root = base.id if isinstance(base, ast.Name) else ""
        if node.attr.startswith("__") and node.attr not in DUNDERS:
            return f"it uses {node.attr}, which an answer has no need of"
        if isinstance(node.ctx, (ast.Store, ast.Del)) and root in SHARED:
            return f"it changes {ast.unparse(node)}, which the checks stand on"
        if node.attr in FILES or (node.attr in INNER | {"load", "save"} and root in SHARED - {"softattn"}):
            return f"it uses {ast.unparse(node)}: an answer reads and writes no files"
    return ""


def _from(node: ast.Import | ast.ImportFrom) -> list[str]:
    return [alias.name for alias in node.names] if isinstance(node, ast.ImportFrom) else []


def _bound(statement: ast.stmt) -> list[str]:
    """Names that a statement at the top of the answer binds."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [statement.name]
    inner = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.comprehension)
    names: list[str] = []
    todo: list[ast.AST] = [statement]
    while todo:
        node = todo.pop()
        if isinstance(node, inner) or isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            names += [node.name] if isinstance(node, inner[:3]) else []
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.append(node.id)
        if isinstance(node, ast.alias):
            names.append((node.asname or node.name).split(".")[0])
        todo += ast.iter_child_nodes(node)
    return names

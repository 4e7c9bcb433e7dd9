"""The types that the package shows to its users: an importer's program, and the lazy names of softattn itself."""

import ast
import json
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

import softattn
from softattn import hub

HERE = Path(__file__).resolve().parent
STUB = ast.parse((Path(softattn.__file__).parent / "__init__.pyi").read_text("utf-8"))

needs_checker = pytest.mark.skipif(find_spec("basedpyright") is None, reason="basedpyright is not installed")


def check(path: Path) -> list[str]:
    """What the type checker finds wrong with a file."""
    command = [sys.executable, "-m", "basedpyright", "--level", "error", "--outputjson", str(path)]
    done = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True)
    found = json.loads(done.stdout)["generalDiagnostics"]
    return [f"{row['range']['start']['line'] + 1}: {row['message']}" for row in found]


@pytest.mark.slow
@needs_checker
def test_an_importers_program_has_the_types_that_it_expects():
    assert check(HERE / "importer.py") == []


@pytest.mark.slow
@needs_checker
def test_the_checker_can_say_no(tmp_path):
    (tmp_path / "wrong.py").write_text("import softattn\n\nsoftattn.write(3)\nsoftattn.load(3)\n")
    found = check(tmp_path / "wrong.py")
    assert {line.split(":")[0] for line in found} == {"3", "4"}


def test_the_stub_knows_every_lazy_name():
    defined = {node.name for node in STUB.body if isinstance(node, ast.FunctionDef)}
    imported = {
        alias.asname for node in STUB.body if isinstance(node, ast.ImportFrom) for alias in node.names if alias.asname
    }
    assert defined | imported == set(softattn.__all__) - {"__version__"}


def test_the_stub_knows_the_class_of_all_weights():
    said = {}
    for node in STUB.body:
        if isinstance(node, ast.FunctionDef) and node.name == "load":
            kind = node.args.args[0].annotation
            if isinstance(kind, ast.Subscript):
                names = [n.value for n in ast.walk(kind.slice) if isinstance(n, ast.Constant)]
                said |= dict.fromkeys(names, ast.unparse(node.returns))
    assert said == {name: card["class"].rpartition(".")[2] for name, card in hub.weights().items()}
    for node in STUB.body:
        if isinstance(node, ast.ImportFrom) and node.module.startswith("softattn"):
            for alias in node.names:
                assert hasattr(import_module(node.module), alias.name)

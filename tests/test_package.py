"""The package as an importer meets it: imports, docstrings, distributions, every network on the `meta` device."""

import ast
import importlib
import importlib.util
import inspect
import re
import shutil
import subprocess
import sys
import tarfile
import textwrap
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
import torch
from torch import nn

import softattn

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "softattn"
MODULES = sorted(path.stem for path in PACKAGE.glob("*.py") if not path.stem.startswith("__"))
CHAPTERS = [name for name in MODULES if name != "hub"]


def clean(code: str) -> subprocess.CompletedProcess:
    """Run code in a new interpreter, outside the repository."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/", timeout=120)


# -- imports -----------------------------------------------------------------------------------------------------------

HEAVY = "torch numpy matplotlib safetensors tqdm typer HersheyFonts IPython ipywidgets anywidget pooch".split()


def test_importing_the_package_loads_nothing_heavy():
    done = clean(
        "import sys, softattn\n"
        "assert softattn.__version__ and 'load' in dir(softattn) and 'load' in softattn.__all__\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_lazy_names_and_names_that_are_not_there():
    from softattn.hub import load

    assert softattn.load is load
    assert set(softattn.__all__) <= set(dir(softattn))
    assert all(getattr(softattn, name) is not None for name in softattn.__all__)
    with pytest.raises(AttributeError, match="softattn has no attribute 'paint'; its modules are imported by name"):
        _ = softattn.paint


@pytest.mark.slow
@pytest.mark.parametrize("name", MODULES)
def test_each_module_imports_alone_quietly_and_without_matplotlib(name):
    done = clean(
        f"import torch\nbefore = torch.get_rng_state()\nimport sys, softattn.{name} as module\n"
        "assert not [n for n in ('matplotlib', 'IPython', 'ipywidgets', 'typer') if n in sys.modules]\n"
        "assert torch.equal(torch.get_rng_state(), before), 'importing draws random numbers'\n"
        "assert torch.get_default_dtype() is torch.float32 and torch.is_grad_enabled()\n"
        "missing = [n for n in getattr(module, '__all__', []) if not hasattr(module, n)]\n"
        "assert not missing, missing"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_no_extra_is_needed_to_import():
    """Modules import at their top only the standard library and the packages that pyproject.toml asks for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    core = {re.split(r"[<>=~! \[]", text)[0] for text in project["dependencies"]}
    allowed = {name.replace("Hershey-Fonts", "HersheyFonts") for name in core} | {"softattn"} | sys.stdlib_module_names
    for name in MODULES:
        for node in ast.parse((PACKAGE / f"{name}.py").read_text()).body:
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
            for found in names:
                assert found.split(".")[0] in allowed, f"softattn/{name}.py:{node.lineno} imports {found}"


def test_names_are_public_once():
    owner: dict[str, str] = {}
    for name in CHAPTERS:
        for public in importlib.import_module(f"softattn.{name}").__all__:
            assert public not in owner, f"{public} is in softattn.{owner[public]} and in softattn.{name}"
            owner[public] = name
    assert len(owner) <= 151, "tuning constants, toys and helpers of one chapter are private: tag them export-private"


# -- docstrings --------------------------------------------------------------------------------------------------------

# A function that calls one of these computes a formula of the book, and says whose it is. So does every network.
FORMULA = set("logsumexp log_softmax softmax sigmoid logsigmoid tanh softplus erf cross_entropy".split())


def public(name: str):
    """(qualified name, object, the class it belongs to or None) for everything that a module shows."""
    module = importlib.import_module(f"softattn.{name}")
    names = module.__all__ if name != "hub" else [n for n in vars(module) if not n.startswith("_")]
    for key in names:
        found = vars(module)[key]
        if getattr(found, "__module__", None) != module.__name__ or not (
            inspect.isfunction(found) or inspect.isclass(found)
        ):
            continue
        yield f"{name}.{key}", found, None
        if not inspect.isclass(found):
            continue
        for method, value in vars(found).items():
            value = getattr(value, "__func__", value)  # static and class methods
            value = value.fget if isinstance(value, property) else value
            if not inspect.isfunction(value) or method.startswith("_"):
                continue
            if value.__code__.co_filename != "<string>":  # nobody wrote that one
                yield f"{name}.{key}.{method}", value, found


def own_nodes(function):
    """The nodes of a function's code, functions inside it left out."""
    todo = list(ast.parse(textwrap.dedent(inspect.getsource(function))).body[0].body)
    while todo:
        node = todo.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            todo += ast.iter_child_nodes(node)


def section(doc: str, title: str) -> str:
    """The indented text under `title:`, or on its line."""
    match = re.search(rf"^{title}:[ \t]*(.*(?:\n(?:[ \t]+.*|[ \t]*$))*)", doc, re.MULTILINE)
    return match[1].strip() if match else ""


def judge(label, found, owner) -> list[str]:
    """What is missing from a docstring."""
    doc = inspect.getdoc(found) if "__doc__" in vars(found) or inspect.isfunction(found) else None
    if not doc:
        return [f"{label}: no docstring"]
    faults = []
    summary = doc.split("\n\n")[0]
    if not summary.rstrip().endswith((".", ":")) or not summary[0].isupper() and summary[0] not in "<`":
        faults.append(f"{label}: the docstring must open with a sentence, it opens with {summary!r}")
    if re.search(r":math:|:param|:return|``|\\\w|\$", doc):
        faults.append(f"{label}: the docstring holds RST or LaTeX; help() shows it raw")
    if inspect.isclass(found):
        function = found.__init__ if inspect.isfunction(found.__init__) else None
        if issubclass(found, tuple):
            function = found.__new__
    else:
        function = found
    parameters = list(inspect.signature(function).parameters.values()) if function else []
    plain = not inspect.isclass(found) and (owner is None or isinstance(vars(owner).get(found.__name__), staticmethod))
    parameters = parameters if plain else parameters[1:]
    generated = function is not None and function.__code__.co_filename.startswith("<")  # a dataclass, a tuple
    arguments = section(doc, "Args") or section(doc, "Attributes")
    small = owner is not None and found.__name__ != "forward"  # a method may say it in its sentence, or its class may
    said = doc + (owner.__doc__ or "") if small else ""
    for parameter in parameters:
        if not re.search(rf"(^|[\s,*`]){parameter.name}\b.*:", arguments, re.MULTILINE):
            if not re.search(rf"\b{parameter.name}\b", said):
                faults.append(f"{label}: Args does not explain `{parameter.name}`")
        if parameter.annotation is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD:
            faults.append(f"{label}: `{parameter.name}` has no type")
    if inspect.isfunction(found):
        returns = inspect.signature(found).return_annotation
        if returns is inspect.Signature.empty:
            faults.append(f"{label}: the result has no type")
        elif returns not in (None, "None") and parameters and not small:
            if not (section(doc, "Returns") or section(doc, "Yields")):
                faults.append(f"{label}: has no Returns")
    if function is not None and not generated:
        nodes = list(own_nodes(function))
        if any(isinstance(node, ast.Raise) and node.exc for node in nodes) and not section(doc, "Raises"):
            faults.append(f"{label}: raises, and has no Raises")
    sourced = inspect.isclass(found) and issubclass(found, nn.Module | torch.autograd.Function)
    if inspect.isfunction(found):
        called = {
            node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            for node in own_nodes(found)
            if isinstance(node, ast.Call)
        }
        sourced = bool(called & FORMULA) and "Source:" not in (owner.__doc__ or "" if owner else "")
    if sourced and not section(doc, "Source"):
        faults.append(f"{label}: computes a formula and does not say whose: `Source:` (paper, equation, slide)")
    return faults


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name):
    faults = [fault for label, found, owner in public(name) for fault in judge(label, found, owner)]
    assert not faults, "\n".join(faults)


def test_the_judge_of_docstrings_can_say_no(tmp_path):
    good = '''
    def f(x: int, *, y: int = 0) -> int:
        """Add.

        Args:
            x: a number.
            y: another.

        Returns:
            Their sum.

        Raises:
            ValueError: always.

        Source: a book, p. 1.
        """
        if x:
            raise ValueError
        return softmax(x)
    '''
    changes = {
        "opens with": ("Add.", "add"),
        "RST or LaTeX": ("a number.", ":math:`x`."),
        "Args does not explain `y`": ("            y: another.\n", ""),
        "`y` has no type": ("y: int = 0", "y=0"),
        "the result has no type": (" -> int:", ":"),
        "has no Returns": ("Returns:\n            Their sum.", ""),
        "has no Raises": ("Raises:\n            ValueError: always.", ""),
        "does not say whose": ("Source: a book, p. 1.", ""),
    }

    def judged(text, folder):
        path = folder / f"m{len(list(folder.iterdir()))}.py"
        path.write_text(textwrap.dedent(text))
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return judge("f", module.f, None)

    assert judged(good, tmp_path) == []
    for words, (old, new) in changes.items():
        assert old in good
        (fault,) = judged(good.replace(old, new, 1), tmp_path)
        assert words in fault


# -- wheel and sdist ---------------------------------------------------------------------------------------------------

CORE = {"torch", "numpy", "safetensors", "tqdm", "Hershey-Fonts", "typer"}


@pytest.mark.slow
def test_who_asks_for_no_extra_can_write(tmp_path):
    """`pipx run softattn write` names none: the command finds all it needs among what the package itself asks for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {re.split(r"[>=]", text)[0] for texts in project["optional-dependencies"].values() for text in texts}
    absent = sorted({"Pillow": "PIL"}.get(name, name) for name in extras - CORE)
    assert {"matplotlib", "ipywidgets", "svgelements", "PIL"} <= set(absent)
    done = clean(
        f"import sys\nfor name in {absent}:\n    sys.modules[name] = None\n"
        "from softattn.__main__ import main\n"
        f"sys.exit(main(['write', 'ink', '-o', {str(tmp_path / 'a.svg')!r}, '--seed', '1']))"
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.svg").read_text("utf-8").lstrip().startswith(("<svg", "<?xml"))


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> tuple[Path, Path]:
    """A copy of the files that git would commit, and the folder with its sdist and, built from that, its wheel."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True
    )
    if listed.returncode:
        pytest.skip("not a git checkout: the files of the repository cannot be told from others")
    source = tmp_path_factory.mktemp("checkout")
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, source / name)
    out = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)],
        capture_output=True,
        text=True,
        cwd=source,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return source, out


def expected(root: Path) -> set[str]:
    """What an importer needs, by the look of the folders."""
    package = root / "softattn"
    found = {f"softattn/{path.name}" for path in package.iterdir() if path.suffix in (".py", ".pyi", ".typed")}
    for pattern in ("demos/*.js", "weights/*.safetensors", "weights/*.json", "data/*.txt", "data/*.json"):
        found |= {path.relative_to(root).as_posix() for path in package.glob(pattern)}
    found |= {f"softattn/results/{path.name}" for path in (root / "bench" / "results").iterdir()}
    return found | {"softattn/weights/LICENSE"}


def source_of(name: str, root: Path) -> Path:
    """Where a file of the package lies in the repository: the benchmarks' results lie beside the benchmarks."""
    return root / name.replace("softattn/results/", "bench/results/")


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(built):
    checkout, dist = built
    (path,) = dist.glob("*.whl")
    assert path.name == f"softattn-{softattn.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(path) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
        info = {name.split(".dist-info/")[1]: wheel.read(name) for name in wheel.namelist() if ".dist-info/" in name}
        assert names == expected(checkout)
        assert not [name for name in names if wheel.read(name) != source_of(name, checkout).read_bytes()]
    assert {"METADATA", "RECORD", "WHEEL", "entry_points.txt"} <= set(info)
    assert {"licenses/LICENSE", "licenses/THIRD_PARTY.md"} <= set(info)
    assert b"softattn = softattn.__main__:main" in info["entry_points.txt"]
    head = Parser().parsestr(info["METADATA"].decode())
    assert (head["Name"], head["Version"], head["Requires-Python"]) == ("softattn", softattn.__version__, ">=3.11")
    core = [text for text in head.get_all("Requires-Dist") if "extra ==" not in text]
    assert not [text for text in core if "==" in text or "<" in text], "the package asks for loose lower bounds only"
    assert {re.split(r"[>=]", text)[0] for text in core} == CORE
    assert {"book", "data", "cli"} <= set(head.get_all("Provides-Extra"))


@pytest.mark.slow
def test_the_sdist_builds_and_holds_no_more_than_it_needs(built):
    checkout, dist = built
    (path,) = dist.glob("*.tar.gz")  # the wheel beside it was built from it: it holds what is needed
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
        sizes = sum(member.size for member in archive if not member.name.endswith(".safetensors"))
    needed = {source_of(name, checkout).relative_to(checkout).as_posix() for name in expected(checkout)}
    told = {"README.md", "LICENSE", "THIRD_PARTY.md", "CHANGELOG.md", "CITATION.cff"}
    assert needed | told | {"pyproject.toml"} <= names
    names -= {name for name in names if name.startswith("bench/results/")} | {"bench", "bench/", "bench/results"}
    for folder in ("book/", "notebooks/", "recipes/", "bench/", "tests/", "_build/", ".venv/"):
        assert not [name for name in names if name.startswith(folder)], folder
    assert sizes < 6e6, "beside the weights, which have a bound of their own"


@pytest.mark.slow
def test_the_wheel_works_by_itself(built, tmp_path):
    checkout, dist = built
    package = checkout / "softattn"
    with zipfile.ZipFile(next(dist.glob("*.whl"))) as wheel:
        wheel.extractall(tmp_path)
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import softattn
from importlib.resources import files
from softattn.hub import weights
assert softattn.__file__.startswith({str(tmp_path)!r}), softattn.__file__
assert len(list((files("softattn") / "demos").iterdir())) == {len(list(package.glob("demos/*.js")))}
assert len(weights()) == {len(list(package.glob("weights/*.json")))}
for name in weights():
    softattn.load(name)
"""
    done = clean(code)
    assert done.returncode == 0, done.stderr


# -- every network on the meta device ----------------------------------------------------------------------------------

T, B, I, H = 4, 2, 3, 5
META = torch.device("meta")


def empty(*shape: int) -> torch.Tensor:
    return torch.empty(shape, device=META)


def flags(*shape: int) -> torch.Tensor:
    return torch.zeros(shape, dtype=torch.bool, device=META)


# class -> [(arguments of the constructor, inputs of forward)]: a new network joins this table
NETWORKS = {
    "alignment.AdditiveAttention": [
        ((I, H, 4), lambda: (empty(B, I), empty(B, 6, H))),
        ((I, H, 4), lambda: (empty(B, I), empty(B, 6, H), flags(B, 6))),
    ],
    "attention.CellReader": [
        ((), lambda: (empty(B, 6, 18),)),
    ],
    "alignment.DateTranslator": [
        ((True, I, H, 4, 3), lambda: (empty(B, 6).long(), empty(B, T).long())),
        ((False, I, H, 4), lambda: (empty(B, 6).long(), empty(B, T).long())),
    ],
    "lstm.LSTMCell": [
        ((I, H), lambda: (empty(B, I), (empty(B, H), empty(B, H)))),
        ((I, H, False), lambda: (empty(B, I),)),
    ],
    "lstm.PeepholeLSTM": [
        ((I, H), lambda: (empty(T, B, I),)),
        ((I, H, False), lambda: (empty(T, B, I), (empty(B, H), empty(B, H)))),
        ((I, H), lambda: (empty(T, B, I), None, flags(T, B))),
    ],
    "prediction.PredictionNetwork": [
        ((I, H, 2, 7), lambda: (empty(T, B, I),)),
        ((I, H, 1, 7, False), lambda: (empty(T, B, I), None, flags(T, B))),
    ],
    "handwriting.HandwritingPredictor": [
        ((H, 2, 4), lambda: (empty(T, B, 3),)),
    ],
    "window.SoftWindow": [
        ((H, 2), lambda: (empty(B, H), empty(B, 2), empty(B, 6, 7))),
        ((H, 2), lambda: (empty(B, H), empty(B, 2), empty(B, 6, 7), flags(B, 6))),
    ],
    "window.WindowLSTM": [
        ((I, H, 7, 2), lambda: (empty(T, B, I), empty(B, 6, 7))),
        ((I, H, 7, 2, False), lambda: (empty(T, B, I), empty(B, 6, 7), flags(B, 6), None, flags(T, B))),
        ((I, H, 7, 2), lambda: (empty(T, B, I), empty(3, 6, 7), None, None, None, empty(T, B).long())),
    ],
    "synthesis.HandwritingSynthesizer": [
        ((H, 2, 2, 4), lambda: (empty(T, B, 3), empty(B, 6).long())),
        ((H, 1, 2, 4), lambda: (empty(T, B, 3), empty(3, 6).long(), None, flags(T, B), empty(T, B).long())),
    ],
    "glimpse.GlimpseClassifier": [
        (((1, 6, 5), T, 3, H, 4), lambda: (empty(B, 1, 6, 5),)),
    ],
    "reading.LocationAttention": [
        ((I, H, 4), lambda: (empty(B, I), empty(B, 6, H), None, None, empty(B, 6))),
    ],
    "reading.WordReader": [
        (("location", False, H), lambda: (empty(T, B, 2 * H), empty(B).long(), empty(B, 3).long())),
        (("content", True, H), lambda: (empty(T, B, 2 * H), empty(B).long(), empty(B, 3).long())),
    ],
    "reading.HandwritingReader": [
        ((H, 2, "abc", 2), lambda: (empty(T, B, 8), empty(B).long())),
    ],
    "lineage.NTMCell": [
        ((I, 3, H, 6, 4), lambda: (empty(B, I),)),
        ((I, 3, H, 6, 4), lambda: (empty(B, I), (empty(B, 6, 4), empty(B, 6), empty(B, 6)))),
    ],
    "transformer.CausalTransformer": [
        ((I, 8, 2, 7, 2), lambda: (empty(T, B, I),)),
        ((I, 8, 1, 7, 2, "sinusoids"), lambda: (empty(T, B, I), [(empty(B, 2, 3, 4), empty(B, 2, 3, 4))])),
    ],
    "draw.DRAW": [
        (((1, 6, 5), T, H, 2, 2, 3), lambda: (empty(B, 1, 6, 5),)),
        (((2, 6, 5), T, H, 2, 2, 2, False), lambda: (empty(B, 2, 6, 5), None, True)),
    ],
    "vae.VAE": [
        (((1, 6, 5), 3, H, 2), lambda: (empty(B, 1, 6, 5),)),
    ],
}


def networks() -> dict[str, type[nn.Module]]:
    found = {}
    for name in CHAPTERS:
        module = importlib.import_module(f"softattn.{name}")
        for key in module.__all__:
            value = getattr(module, key)
            mine = inspect.isclass(value) and issubclass(value, nn.Module) and value.__module__ == module.__name__
            if mine and value.forward is not nn.Module.forward:  # without a forward it is a base of networks
                found[f"{name}.{key}"] = value
    return found


def test_every_network_is_in_the_table():
    missing, gone = networks().keys() - NETWORKS.keys(), NETWORKS.keys() - networks().keys()
    assert not missing, f"add to NETWORKS in tests/test_package.py: {sorted(missing)}"
    assert not gone, f"no longer exported: {sorted(gone)}"


def tensors(value):
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from tensors(part)


@pytest.mark.parametrize(
    ("name", "case"), [(name, case) for name, cases in NETWORKS.items() for case in range(len(cases))]
)
def test_runs_on_meta(name, case):
    """A tensor made on the CPU inside a network meets the others here, and fails."""
    arguments, inputs = NETWORKS[name][case]
    model = networks()[name](*arguments).to(META)
    outputs = list(tensors(model(*inputs())))
    assert outputs and all(out.device == META for out in outputs)
    outputs[0].sum().backward()
    grown = [p for p in model.parameters() if p.requires_grad and p.grad is not None]
    assert grown and all(p.grad.device == META for p in grown)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_can_be_made_on_meta(name):
    with META:
        model = networks()[name](*NETWORKS[name][0][0])
    assert all(p.device == META for p in [*model.parameters(), *model.buffers()])


def test_a_stray_tensor_fails_on_meta():
    """The test above can fail."""

    class Stray(nn.Linear):
        def forward(self, x):
            return super().forward(x) + torch.zeros(B, H)

    with pytest.raises(RuntimeError):
        Stray(I, H).to(META)(empty(B, I))

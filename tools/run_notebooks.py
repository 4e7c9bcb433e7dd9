"""Run notebooks/*.ipynb with nbval as a Colab reader would: alone, with the built wheel, without the repository.

python -m tools.run_notebooks [--only NAME ...]     all notebooks, or those named
python -m tools.run_notebooks --colab               in .venv-colab, with the versions of requirements-colab.txt
python -m tools.run_notebooks --python PATH         on another interpreter that has the pinned packages

Each notebook's seconds go to _build/notebook-times.json, beside those of a fixed piece of work that is timed before and
after in the same run. A notebook that takes more than 45 such pieces is named in a warning; no clock makes a run red.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WARN = 45.0  # pieces of work of one notebook on one thread; a piece is a second of a good machine
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "THIRD_PARTY.md")

# Asked in the empty folder before anything runs: is the package the wheel's, and does nothing lead to the repository?
GUARD = """
import sys, softattn
print(softattn.__file__)
print([p for p in sys.path if p], [str(f) for f in sys.meta_path if "editable" in str(f).lower()])
"""


# The piece of work: 5,000 steps of a small LSTM, forward and backward.
PIECE = """
import time, torch
torch.set_num_threads(1)
torch.manual_seed(0)
net, x = torch.nn.LSTM(32, 64), torch.randn(250, 16, 32)
net(x)[0].sum().backward()
start = time.perf_counter()
for _ in range(20):
    net(x)[0].sum().backward()
print(time.perf_counter() - start)
"""


class RunError(Exception):
    """The notebooks could not be run as a reader would run them."""


def call(command: list, cwd: Path, env: dict | None = None) -> str:
    """Run a command and return what it prints; a RunError carries its last lines."""
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True)
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise RunError(f"exit status {done.returncode} from {' '.join(map(str, command))}:\n{tail}")
    return done.stdout.strip()


def environment() -> dict:
    """A reader's environment: no data, one thread, nothing that points at the repository."""
    env = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME", "MPLBACKEND")}
    env.pop("SOFTATTN_DATA", None)
    return env | {"OMP_NUM_THREADS": "1", "SOFTATTN_DEVICE": "cpu", "PYTHONDONTWRITEBYTECODE": "1"}


def digest(root: Path = ROOT) -> str:
    """A digest of all that `build_wheel` packs: the same as long as none of these files has changed."""
    told = hashlib.sha256()
    places = [root / name for name in SOURCES]
    for folder in (root / "softattn", root / "bench" / "results"):
        places += sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    for path in places:
        told.update(f"{path.relative_to(root)}\n{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return told.hexdigest()


def build_wheel(python: Path, work: Path, root: Path = ROOT) -> Path:
    """Build the wheel from a copy of the sources, so that the repository gets no build folder.

    Args:
        python: an interpreter that has pip and setuptools.
        work: an empty folder.
        root: the repository.

    Returns:
        The wheel.
    """
    source = work / "source"
    source.mkdir()
    for name in SOURCES:
        shutil.copy(root / name, source / name)
    shutil.copytree(root / "softattn", source / "softattn", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(root / "bench" / "results", source / "bench" / "results")
    pip = [python, "-m", "pip", "wheel", "-q", "--disable-pip-version-check", "--no-deps", "--no-build-isolation"]
    call([*pip, "-w", work / "wheel", source], cwd=work)
    (wheel,) = (work / "wheel").glob("softattn-*.whl")
    return wheel


def reader_venv(python: Path, wheel: Path, work: Path) -> Path:
    """A venv that has the wheel, and sees the packages of `python` but not its editable softattn.

    Args:
        python: the interpreter whose packages serve.
        wheel: of softattn.
        work: where the venv goes.

    Returns:
        The venv's interpreter.
    """
    mine, home = borrowing_venv(python, work / "venv")
    install(python, wheel, home)
    return mine


def borrowing_venv(python: Path, venv: Path) -> tuple[Path, Path]:
    """Make a venv without packages of its own that sees those of `python`, but nothing that is installed editable.

    A path named in a .pth file joins sys.path, but .pth files in that path are not read: what an editable install hangs
    on is left behind.

    Returns:
        The venv's interpreter, and the folder of its own packages.
    """
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = call([python, "-c", where], cwd=venv.parent)
    call([python, "-m", "venv", "--without-pip", venv], cwd=venv.parent)
    mine = venv / "bin" / "python"
    home = Path(call([mine, "-c", where], cwd=venv.parent))
    (home / "pins.pth").write_text(packages + "\n", encoding="utf-8")
    return mine, home


def install(python: Path, wheel: Path, target: Path) -> None:
    pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", "--upgrade"]
    call([*pip, "--target", target, wheel], cwd=target)


def pinned_venv(venv: Path, pins: str, base: Path = Path(sys.executable)) -> Path:
    """A venv with the versions of a requirements file's text, made where it is missing or the text has changed.

    Returns:
        Its interpreter.
    """
    python, stamp = venv / "bin" / "python", venv / "installed.txt"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != pins:
        shutil.rmtree(venv, ignore_errors=True)
        print(f"making {venv.name} ...", flush=True)
        call([base, "-m", "venv", venv], cwd=venv.parent)
        pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        torch = next(line for line in pins.splitlines() if line.startswith("torch=="))
        call([*pip, torch], cwd=venv.parent)
        asked = venv / "asked.txt"
        asked.write_text(pins, encoding="utf-8")
        call([*pip, "-r", asked], cwd=venv.parent)
        stamp.write_text(pins, encoding="utf-8")
    return python


def colab_venv(root: Path = ROOT) -> Path:
    """.venv-colab with the versions of requirements-colab.txt."""
    return pinned_venv(root / ".venv-colab", (root / "requirements-colab.txt").read_text(encoding="utf-8"))


def guard(python: Path, folder: Path, root: Path = ROOT) -> None:
    """Make sure that `import softattn` in the empty folder finds the wheel and no way leads to the repository.

    Raises:
        RunError: with the path that it found.
    """
    where, ways = call([python, "-c", GUARD], cwd=folder, env=environment()).splitlines()[-2:]
    venv = python.parent.parent
    if not Path(where).is_relative_to(venv):
        raise RunError(f"softattn comes from {where}, not from the wheel in {venv}")
    if "editable" in ways.lower() or repr(str(root)) in ways:
        raise RunError(f"the repository is on the path of {python}: {ways}")


def seconds(report: Path) -> dict[str, float]:
    """Seconds of each notebook, from pytest's XML report.

    Args:
        report: JUnit XML of the family xunit1.

    Returns:
        "lstm" -> seconds; a notebook's first cell includes the start of its kernel.
    """
    times: dict[str, float] = {}
    for case in ET.parse(report).getroot().iter("testcase"):
        name = Path(case.get("file") or case.get("classname", "")).stem
        times[name] = times.get(name, 0.0) + float(case.get("time", 0))
    return times


def piece(python: Path, folder: Path) -> float:
    """Seconds of the fixed piece of work, now and here."""
    return float(call([python, "-c", PIECE], cwd=folder, env=environment()).split()[-1])


def judge(times: dict[str, float], wanted: list[str], unit: float) -> tuple[list[str], list[str]]:
    """(warnings, faults) of the notebooks' seconds, with those of a piece of work; without a time it did not run."""
    over = {name: seconds / unit for name, seconds in sorted(times.items()) if seconds > WARN * unit}
    warnings = [
        f"{name}: {times[name]:.0f} s, as long as {pieces:.0f} pieces of work, over {WARN:.0f}: a reader waits"
        for name, pieces in over.items()
    ]
    return warnings, [f"{name}: no cell of it was run" for name in wanted if name not in times]


def run(python: Path, notebooks: list[Path], work: Path) -> tuple[int, str, dict[str, float], list[str]]:
    """Run each notebook in a folder of its own.

    Args:
        python: interpreter of the reader's venv.
        notebooks: their paths.
        work: a temporary folder.

    Returns:
        pytest's exit status, its closing line, seconds by notebook, files that notebooks left beside themselves.
    """
    folders = []
    for path in notebooks:
        folder = work / "reader" / path.stem
        folder.mkdir(parents=True)
        shutil.copy(path, folder)
        folders.append(folder)
    report = work / "report.xml"
    options = ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=120", "-n", "2", "--dist", "loadfile"]
    quiet = ["-q", "-p", "no:cacheprovider", "-o", "junit_family=xunit1", f"--junitxml={report}", f"--rootdir={work}"]
    # A cell has 120 seconds; a worker that hangs outside of one says where it stands, and is red.
    hung = ["-o", "faulthandler_timeout=900", "-o", "faulthandler_exit_on_timeout=true"]
    command = [str(python), "-m", "pytest", *options, *quiet, *hung, *map(str, folders)]
    closing = ""
    with subprocess.Popen(
        command, cwd=work / "reader", env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            closing = line.strip() or closing
    left = [
        f"{folder.name}/{path.relative_to(folder)}"
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".ipynb"
    ]
    return process.returncode, closing, seconds(report) if report.exists() else {}, left


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", help="notebooks to run (default: all)")
    parser.add_argument("--colab", action="store_true", help="with the versions of requirements-colab.txt")
    parser.add_argument(
        "--python", type=Path, default=Path(sys.executable), help="interpreter with the pinned packages"
    )
    parser.add_argument("--notebooks", type=Path, default=ROOT / "notebooks", help="folder of the notebooks")
    parser.add_argument("--times", type=Path, help="where the seconds go (default: _build/notebook-times.json)")
    options = parser.parse_args(argv)
    found = {path.stem: path for path in sorted(options.notebooks.glob("*.ipynb"))}
    missing = [name for name in options.only or [] if name not in found]
    if missing or not found:
        print(f"no such notebook: {', '.join(missing) or 'none at all'}; there are {', '.join(found)}", file=sys.stderr)
        return 2
    wanted = options.only or list(found)
    with tempfile.TemporaryDirectory(prefix="softattn-reader-") as name:
        work = Path(name)
        try:
            if options.colab:
                python = colab_venv()
                home = Path(call([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], cwd=work))
                install(python, build_wheel(python, work), home)
            else:
                base = Path(os.path.abspath(options.python))  # not resolved: a venv's python is a link out of it
                python = reader_venv(base, build_wheel(base, work), work)
            empty = work / "empty"
            empty.mkdir()
            guard(python, empty)
            before = piece(python, empty)
            status, closing, times, left = run(python, [found[name] for name in wanted], work)
            unit = max(before, piece(python, empty))  # what ran beside them slowed both
        except RunError as err:
            print(f"run_notebooks: {err}", file=sys.stderr)
            return 1
    warnings, faults = judge(times, wanted, unit)
    name = "notebook-times-colab.json" if options.colab else "notebook-times.json"
    record = options.times or ROOT / "_build" / name
    record.parent.mkdir(exist_ok=True)
    known = json.loads(record.read_text(encoding="utf-8")) if options.only and record.exists() else {}
    known |= {name: round(value, 1) for name, value in times.items()}
    record.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(f"\na piece of work: {unit:.2f} s\nseconds  notebook")
    for name, value in sorted(times.items()):
        print(f"{value:7.1f}  {name}")
    for name in left:
        print(f"warning: {name} was left in the reader's folder")
    for warning in warnings:
        print(f"warning: {warning}")
    for fault in faults:
        print(f"fault: {fault}", file=sys.stderr)
    print(closing, flush=True)
    return status or (1 if faults else 0)


if __name__ == "__main__":
    sys.exit(main())

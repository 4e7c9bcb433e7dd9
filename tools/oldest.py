"""Run the fast tests with the oldest versions that pyproject.toml allows, or with the newest that there are.

python -m tools.oldest                     in .venv-oldest, with requirements-oldest.txt over requirements.txt
python -m tools.oldest --newest            in .venv-newest, what the package needs without a pin
python -m tools.oldest --base python3.12   on another Python, in a venv that is named after it: .venv-oldest-3.12

It says what it fetches: an old PyTorch for Linux is 180 MB from PyTorch's own index of CPU builds (named in
PIP_EXTRA_INDEX_URL), and some 3 GB of CUDA without it.
"""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

from tools.run_notebooks import ROOT, RunError, call, pinned_venv
from tools.stages import WORKERS

FAST = "not slow and not site and not browser and not data"


def named(lines: str) -> dict[str, str]:
    """The lines of a requirements file by the name of their package, comments left out."""
    found = {}
    for line in lines.splitlines():
        line = line.split("#")[0].strip()
        if line:
            found[re.sub(r"[-_.]+", "-", re.split(r"[<>=\[ ]", line)[0]).lower()] = line
    return found


def wanted(newest: bool = False, root: Path = ROOT) -> str:
    """What the venv holds: the pins, those of requirements-oldest.txt replaced by its lines, or by the bare names."""
    pins = named((root / "requirements.txt").read_text(encoding="utf-8"))
    old = named((root / "requirements-oldest.txt").read_text(encoding="utf-8"))
    if newest:
        old = {name: line.split("==")[0] for name, line in old.items() if name != "torch"}
    return "\n".join({**pins, **old}.values()) + "\n"


def fetched(pins: str, index: str) -> str:
    """One line on what the PyTorch of these pins costs."""
    torch = named(pins)["torch"]
    if "/whl/cpu" in index:
        return f"{torch}: from PyTorch's index of CPU builds, about 180 MB"
    return f"{torch}: PIP_EXTRA_INDEX_URL names no index of CPU builds, so Linux fetches CUDA with it, about 3 GB"


def venv_for(newest: bool, base: Path) -> Path:
    """Where the venv lies: each Python has its own, or the second one would silently run on the first one's."""
    name = ".venv-newest" if newest else ".venv-oldest"
    if base != Path(sys.executable):
        name += "-" + call([base, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], cwd=ROOT)
    return ROOT / name


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--newest", action="store_true", help="the newest versions instead; PyTorch stays at its pin")
    parser.add_argument("--base", type=Path, default=Path(sys.executable), help="the Python that makes the venv")
    parser.add_argument("tests", nargs="*", default=[], help="files of tests (default: all)")
    options = parser.parse_args(argv)
    pins = wanted(options.newest)
    print(fetched(pins, os.environ.get("PIP_EXTRA_INDEX_URL", "")), flush=True)
    try:
        python = pinned_venv(venv_for(options.newest, options.base), pins, options.base)
        call([python, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "-e", "."], cwd=ROOT)
    except RunError as err:
        print(f"oldest: {err}", file=sys.stderr)
        return 1
    shown = "import sys, torch, numpy, matplotlib, ipywidgets as i; print(sys.version.split()[0], *(m.__name__ + ' ' +"
    subprocess.run([python, "-c", shown + " m.__version__ for m in (torch, numpy, matplotlib, i)))"], check=True)
    command = [python, "-m", "pytest", "-q", "-n", str(WORKERS), "-m", FAST, *options.tests]
    env = {k: v for k, v in os.environ.items() if k != "SOFTATTN_DATA"}
    return subprocess.run(command, cwd=ROOT, env=env).returncode


if __name__ == "__main__":
    sys.exit(main())

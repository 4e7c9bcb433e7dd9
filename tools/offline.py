"""For a room without a network, one zip: the built site, the notebooks, the wheels, a program that installs.

python -m tools.offline [--out _build/softattn-offline.zip]    needs `make book`, and a network, once

The zip holds wheels for the kind of machine and the Python that made it, and says so. On the other side,
`python3 install.py` makes a virtual environment from them and fetches nothing.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

from softattn.hub import atomic_write
from tools import classroom

ROOT = Path(__file__).resolve().parent.parent
NAME = "softattn-offline"
FRONT = [
    "notebook>=7"
]  # what opens a notebook; the book's own environment has none, so the lock holds no version of it
STORED = {".whl", ".png", ".safetensors", ".woff", ".woff2", ".pdf", ".gz"}  # packed already

INSTALL = '''"""Make a virtual environment from the wheels beside this file. Nothing is fetched.

python3 install.py [--into FOLDER]
"""

import argparse
import json
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--into", type=Path, default=HERE / "venv")
    into = parser.parse_args().into
    made = json.loads((HERE / "made-for.json").read_text())
    here = {"python": "%d.%d" % sys.version_info[:2], "platform": sysconfig.get_platform()}
    wrong = [f"{key} {here[key]}, and the wheels are for {made[key]}" for key in here if here[key] != made[key]]
    if list(sys.version_info[:3]) < made["least"]:
        wrong.append("Python %d.%d.%d" % sys.version_info[:3] + " is older than " + ".".join(map(str, made["least"])))
    if wrong:
        sys.exit("These wheels do not fit here: " + "; ".join(wrong) + ". Make the zip on a machine of this kind.")
    print(f"making {into} ...", flush=True)
    venv.create(into, with_pip=True, clear=into.exists())
    python = into / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    command = [str(python), "-m", "pip", "--isolated", "--disable-pip-version-check", "install", "-q", "--no-index"]
    done = subprocess.run([*command, "--find-links", str(HERE / "wheels"), *made["install"]])
    if done.returncode:
        sys.exit("pip could not install the wheels; what it said stands above")
    print(f"done. The book: {HERE / 'site' / 'index.html'}")
    print(f"The notebooks: {python} -m {made['front']} {HERE / 'notebooks'}")


if __name__ == "__main__":
    main()
'''

README = """Soft Attention, from the pen to the picture: the book, offline.

site/index.html       the book; open it in a browser, its demos run
notebooks/            one notebook for each chapter, without solutions
install.py            python3 install.py makes a virtual environment from wheels/ and fetches nothing
made-for.json         for which Python and machine the wheels are

Text CC BY 4.0, code MIT; weights have terms of their own, in their cards. Each wheel carries its licence.
"""


class OfflineError(Exception):
    """The zip cannot be made; the message says what is missing."""


def wheels(folder: Path, root: Path = ROOT) -> list[str]:
    """Fetch the wheels of the package, of what it needs and of a program that opens notebooks.

    Args:
        folder: for the wheels.
        root: the repository.

    Returns:
        What a user has to ask pip for.

    Raises:
        OfflineError: if pip fails.
    """
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / "source"  # a build leaves folders behind
        kept = shutil.ignore_patterns(".git", ".venv*", "_build", "build", "dist", "*.egg-info", "__pycache__")
        shutil.copytree(root, copy, ignore=kept)
        _run([*pip, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(copy)])
    (own,) = folder.glob("softattn-*.whl")
    asked = [f"{own}[book]", *FRONT, "ipykernel"]
    lock = ["--constraint", str(root / "requirements.lock")]
    _run([*pip, "download", "--quiet", "--only-binary", ":all:", "--dest", str(folder), *lock, *asked])
    return ["softattn[book]", *FRONT, "ipykernel"]


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise OfflineError(f"{' '.join(command[1:5])} ... failed:\n{done.stderr[-2000:]}")


def least_python(folder: Path) -> list[int]:
    """The oldest Python that all wheels of a folder run on, by the lower bounds that they state."""
    least = [3, 11, 0]
    for path in sorted(folder.glob("*.whl")):
        with zipfile.ZipFile(path) as file:
            name = next(name for name in file.namelist() if name.endswith(".dist-info/METADATA"))
            head = file.read(name).decode("utf-8", "replace").split("\n\n")[0]
        for bound in re.findall(r"(?m)^Requires-Python:.*?>=\s*([\d.]+)", head):
            least = max(least, ([int(part) for part in bound.split(".") if part] + [0, 0])[:3])
    return least


def pack(folder: Path, out: Path) -> Path:
    """Zip a folder under the name of the zip's own folder; what is packed already is only stored."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(out) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                how = zipfile.ZIP_STORED if path.suffix in STORED else zipfile.ZIP_DEFLATED
                file.write(path, Path(NAME) / path.relative_to(folder), compress_type=how)
    return out


def fill(folder: Path, install: list[str], root: Path = ROOT) -> None:
    """Put everything but the wheels into a folder.

    Args:
        folder: that becomes the zip; its wheels/ may be there.
        install: what pip is asked for.
        root: the repository, its site built.

    Raises:
        OfflineError: if there is no site.
    """
    site = root / "_build" / "html"
    if not (site / "index.html").exists():
        raise OfflineError(f"there is no site at {site}: build it first (make book)")
    shutil.copytree(site, folder / "site")
    student(folder / "notebooks", root)
    made = {"python": "{}.{}".format(*sys.version_info), "platform": sysconfig.get_platform(), "install": install}
    made["least"] = least_python(folder / "wheels")
    made["front"] = FRONT[0].split(">")[0].split("=")[0]
    (folder / "made-for.json").write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    (folder / "install.py").write_text(INSTALL, encoding="utf-8")
    (folder / "README.txt").write_text(README, encoding="utf-8")


def student(folder: Path, root: Path = ROOT) -> None:
    """The notebooks without solutions, as `make classroom` gives them to a class."""
    folder.mkdir(parents=True)
    for chapter in classroom.chapters([], root):
        (folder / f"{chapter.name}.ipynb").write_text(classroom.student(chapter), encoding="utf-8")


def make(out: Path, root: Path = ROOT) -> Path:
    """Fetch, gather and zip; see the module's head."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / NAME
        (folder / "wheels").mkdir(parents=True)
        fill(folder, wheels(folder / "wheels", root), root)
        return pack(folder, out)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "_build" / f"{NAME}.zip")
    try:
        out = make(parser.parse_args(argv).out)
    except OfflineError as err:
        print(f"offline: {err}", file=sys.stderr)
        return 1
    with zipfile.ZipFile(out) as file:
        count = sum(name.endswith(".whl") for name in file.namelist())
    print(f"{out}: {out.stat().st_size / 2**20:.0f} MB, {count} wheels")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Put the weights that demos ask for beside the pages: each file, and its twin as a script for pages on a disk.

python -m tools.site_weights [--html _build/html]
"""

import argparse
import re
import shutil
import sys
from importlib.resources import files
from pathlib import Path

from softattn.hub import WEIGHTS, weights
from softattn.in_the_page import weights_script

ROOT = Path(__file__).resolve().parent.parent


def page_weights() -> list[str]:
    """The names of all weights whose class the page's JavaScript knows."""
    program = (files("softattn") / "demos" / "readers.js").read_text("utf-8")
    known = re.findall(r'"(softattn\.\w+\.\w+)":', program)
    return [name for name, card in weights().items() if card["class"] in known]


def copy_weights(html: Path) -> list[Path]:
    """Copy them into a built site.

    Args:
        html: its folder.

    Returns:
        The files that were written.
    """
    folder, written = html / "_static" / "weights", []
    folder.mkdir(parents=True, exist_ok=True)
    for name in page_weights():
        path, twin = folder / f"{name}.safetensors", folder / f"{name}.js"
        shutil.copyfile(WEIGHTS / path.name, path)
        twin.write_text(weights_script(name, path.read_bytes()), "utf-8", newline="\n")
        written += [path, twin]
    return written


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--html", type=Path, default=ROOT / "_build" / "html")
    written = copy_weights(parser.parse_args(argv).html)
    print(f"{len(written)} files of weights, {sum(path.stat().st_size for path in written) / 1e6:.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Write the summary of the scoreboard for the README and its picture, from the cards alone.

python -m tools.scores            write book/_static/scores.svg and the README's block
python -m tools.scores --check    write nothing; exit 1 if they are not what the cards say
"""

import argparse
import re
import sys
from pathlib import Path

from softattn.scoreboard import summary_svg, summary_words
from tools.files import write_text

ROOT = Path(__file__).resolve().parent.parent
PICTURE = Path("book") / "_static" / "scores.svg"
_BLOCK = re.compile(r"(<!-- scores:[^>]*-->\n)(.*?)(<!-- /scores -->)", re.S)


def wanted(readme: str) -> dict[str, str]:
    """Path -> the text that should stand there.

    Raises:
        ValueError: if the README has no place for the summary.
    """
    if not _BLOCK.search(readme):
        raise ValueError("README.md: the comments <!-- scores: --> and <!-- /scores --> are not there")
    words = summary_words().replace("[", "(").replace("]", ")")
    picture = f"[![{words}]({PICTURE.as_posix()})](book/scoreboard.md)\n"
    text = _BLOCK.sub(lambda found: found[1] + picture + found[3], readme)
    return {PICTURE.as_posix(): summary_svg(), "README.md": text}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if something differs")
    options = parser.parse_args(argv)
    differ = []
    for name, text in wanted((ROOT / "README.md").read_text(encoding="utf-8")).items():
        path = ROOT / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            differ.append(name)
            if not options.check:
                write_text(path, text)
    print(("differ from the cards: " if options.check else "wrote: ") + (", ".join(differ) or "nothing"))
    return int(options.check and bool(differ))


if __name__ == "__main__":
    sys.exit(main())

"""Let nbgrader mark a made-up class in which everything is known: the solutions, nothing, and each wrong answer.

python -m tools.rehearse [NAME ...]   the named chapters, or all with exercises; exit 1 where a mark is not as it should

A chapter's sheet is handed out by nbgrader and comes back from `right` with the solutions, from `empty` as it was, and
from `wrong-1`, `wrong-2`, ... with the first, the second, ... wrong answer of every exercise. Solutions must get all
marks that a check gives, the others none; each wrong answer must find its words in the page of feedback; and beside
the checks no cell of `right` and `empty` may raise. What was made stays in _build/rehearsal/NAME.

python -m tools.rehearse --hand-in FOLDER NAME ...   five made-up students, for a teacher's first try of `make marks`

They hand in the sheets of `make classroom`: all right; nothing; one wrong answer; a check deleted and the solutions
opened; and an answer that prints for ever.
"""

import argparse
import html
import re
import shutil
import sys
import time
from pathlib import Path

import nbformat

from tools import classroom, exercises, notebooks, run_notebooks, toc
from tools.classroom import Chapter
from tools.files import write_text

_TAG = re.compile(r"<[^>]+>")
OPENS = 'answers = open("../../../../teacher/{}.ipynb").read()'
ENDLESS = 'while True:\n    print("on and on")'


def submissions(chapter: Chapter) -> dict[str, dict[str, str]]:
    """Who hands in what: an answer for each exercise with a check, by label."""
    right = {label: "\n".join([one.exercise, *one.solutions]) for label, one in chapter.checked.items()}
    found = {"right": right, "empty": {}}
    for k in range(max((len(one.wrong) for one in chapter.checked.values()), default=0)):
        wrong = {label: one.wrong[k] for label, one in chapter.checked.items() if k < len(one.wrong)}
        found[f"wrong-{k + 1}"] = right | wrong
    return found


def hand_in(chapter: Chapter, out: Path) -> None:
    """Put the made-up class's sheets where nbgrader takes them from."""
    course = out / "course"
    given = nbformat.read(course / "release" / chapter.name / f"{chapter.name}.ipynb", as_version=4)
    for who, answers in submissions(chapter).items():
        book = nbformat.reads(nbformat.writes(given), as_version=4)
        for cell in book.cells:
            cell.source = answers.get(classroom._id(cell), cell.source)
        place = course / "submitted" / who / chapter.name
        place.mkdir(parents=True, exist_ok=True)
        write_text(place / f"{chapter.name}.ipynb", nbformat.writes(book) + "\n")


def made_up(chapter: Chapter) -> dict[str, tuple[dict[str, str], set[str]]]:
    """Five students: the answers of each by label, and the names of the cells that each deletes."""
    right, labels = submissions(chapter)["right"], list(chapter.checked)
    wrong = {labels[0]: chapter.checked[labels[0]].wrong[0]}
    return {
        "right": (right, set()),
        "empty": ({}, set()),
        "wrong": (right | wrong, set()),
        "cheat": (right | wrong | {labels[-1]: OPENS.format(chapter.name)}, {f"{labels[0]}-check"}),
        "endless": (right | {labels[-1]: ENDLESS}, set()),
    }


def hand_in_made_up(chapter: Chapter, out: Path, folder: Path) -> list[Path]:
    """Write the sheets of five made-up students to a folder, as if they had come back.

    Args:
        chapter: the chapter.
        out: the class, with its release.
        folder: where the sheets go, STUDENT/CHAPTER.ipynb.

    Raises:
        ClassroomError: if the chapter was not handed out or has no exercise with a check.
    """
    sheet = out / "course" / "release" / chapter.name / f"{chapter.name}.ipynb"
    if not sheet.exists() or not chapter.checked:
        raise classroom.ClassroomError(f'{chapter.name} has no sheet yet: make classroom NAMES="{chapter.name}" first')
    written = []
    for who, (answers, deleted) in made_up(chapter).items():
        book = nbformat.read(sheet, as_version=4)
        book.cells = [cell for cell in book.cells if classroom._id(cell) not in deleted]
        for cell in book.cells:
            cell.source = answers.get(classroom._id(cell), cell.source)
        path = folder / who / f"{chapter.name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, nbformat.writes(book) + "\n")
        written.append(path)
    return written


def plain(page: str) -> str:
    """The words of a page of feedback on one line, without markup and colours."""
    return " ".join(html.unescape(_TAG.sub("", page)).split())


def judge(chapter: Chapter, rows: list[dict], out: Path) -> list[str]:
    """What is not as it should be in the marks and the feedback of a rehearsal.

    Args:
        chapter: the chapter.
        rows: of `classroom.marks`.
        out: the class.
    """
    got = {(row["student"], row["exercise"]): (row["points"], row["of"]) for row in rows}
    found = []
    for who in submissions(chapter):
        path = out / "course" / "feedback" / who / chapter.name / f"{chapter.name}.html"
        if not path.exists():
            found.append(f"{chapter.name}, {who}: there is no feedback")
            continue
        page = plain(path.read_text(encoding="utf-8"))
        for label, one in chapter.checked.items():
            k = int(who.removeprefix("wrong-")) - 1 if who.startswith("wrong-") else None
            full = who == "right" or (k is not None and k >= len(one.wrong))
            points, most = got.get((who, label), (None, None))
            if points != (most if full else 0) or most is None:
                found.append(f"{chapter.name}, {who}: {label} has {points} of {most} points")
            says = one.says[k] if k is not None and k < len(one.says) else ""
            if says and " ".join(says.split()) not in page:
                found.append(f"{chapter.name}, {who}: the feedback on {label} does not say {says!r}")
        if who in ("right", "empty"):
            found += _raised(chapter, who, out)
    return found


def _raised(chapter: Chapter, who: str, out: Path) -> list[str]:
    path = out / "course" / "autograded" / who / chapter.name / f"{chapter.name}.ipynb"
    found = []
    for cell in nbformat.read(path, as_version=4).cells:
        for output in cell.get("outputs", []):
            if output.output_type != "error":
                continue
            expected = who == "empty" and str(output.evalue).startswith(exercises.NOT_TRIED)
            if not (expected and classroom._told(cell).get("grade")):
                where = classroom._id(cell) or cell.source[:40]
                found.append(f"{chapter.name}, {who}: {where} raises {output.ename}: {output.evalue[:200]}")
    return found


def rehearse(name: str, out: Path, python: Path) -> list[str]:
    """Write, hand out, hand in, mark and judge one chapter.

    Args:
        name: of the chapter.
        out: a folder, which is made anew.
        python: an interpreter that has nbgrader.

    Returns:
        What is not as it should be.
    """
    shutil.rmtree(out, ignore_errors=True)
    (chapter,) = classroom.chapters([name])
    classroom.write([name], out, told=False)
    classroom.release([name], out, python)
    hand_in(chapter, out)
    return judge(chapter, classroom.marks([name], out, python), out)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="chapters; all with exercises if none is named")
    parser.add_argument("--hand-in", type=Path, metavar="FOLDER", help="write five made-up submissions, mark nothing")
    options = parser.parse_args(argv)
    names = options.names or [one.name for one in classroom.chapters([]) if one.tasks]
    faults = []
    try:
        if options.hand_in:
            for chapter in classroom.chapters(options.names):
                written = hand_in_made_up(chapter, toc.ROOT / "_build" / "classroom", options.hand_in)
                print(*written, sep="\n")
            return 0
        python = classroom._python()
        for name in names:
            start = time.monotonic()
            new = rehearse(name, toc.ROOT / "_build" / "rehearsal" / name, python)
            verdict = f"{len(new)} faults" if new else "as it should be"
            print(f"{name:14} {verdict}, {time.monotonic() - start:.0f} s", *new, sep="\n  ", flush=True)
            faults += new
    except (classroom.ClassroomError, run_notebooks.RunError, notebooks.NotebookError, exercises.ExerciseError) as err:
        print(err, file=sys.stderr)
        return 1
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

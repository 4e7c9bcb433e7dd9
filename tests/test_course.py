"""The teacher's guide: twelve meetings of ninety minutes, whose minutes and exercises are the chapters' own."""

import re
from pathlib import Path

import course
import pytest

from tools import count, exercises, toc

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "book" / "course.md").read_text(encoding="utf-8")
MEETINGS = course.meetings(TEXT)
WORDS = ["Aim", "Before", "Board", "Demo", "Ask", "In class", "At home", "Traps", "Minutes"]
MAIN = [page.name for page in toc.chapters() if page.part.startswith(("I ", "II ", "III ", "IV "))]


def test_there_are_twelve_meetings_with_all_their_words():
    assert [number for number, _, _ in MEETINGS] == list(range(1, 13))
    for number, title, said in MEETINGS:
        assert list(said) == WORDS, f"meeting {number}: {list(said)}"
        assert title and all(len(said[word]) > 20 for word in WORDS if word != "At home")


@pytest.mark.parametrize(("number", "title", "said"), MEETINGS, ids=lambda value: str(value)[:12])
def test_a_meeting_has_ninety_minutes_and_two_questions(number, title, said):
    minutes = [int(part.split()[0]) for part in said["Minutes"].split(" | ")]
    assert sum(minutes) == 90, f"meeting {number}: {minutes}"
    questions = said["Ask"].split(" | ")
    assert len(questions) == 2 and all(question.rstrip().endswith("?") for question in questions)


@pytest.mark.parametrize(("number", "title", "said"), MEETINGS, ids=lambda value: str(value)[:12])
def test_the_exercises_of_a_meeting_fit_into_it(number, title, said):
    """What the exercises themselves state is no more than the guide plans for them."""
    planned = sum(int(part.split()[0]) for part in said["Minutes"].split(" | ") if "exercises" in part)
    tasks = [course.task(label, ROOT) for label in re.findall(r"\{task\}`([\w-]+)`", said["In class"])]
    stated = [int(found[1]) for task in tasks if (found := re.search(r"\((\d+) minutes\)", task))]
    assert len(stated) == len(tasks) and sum(stated) <= planned, f"meeting {number}: {stated} in {planned} minutes"


def test_the_meetings_go_through_the_book_in_its_order():
    read = [name for _, _, said in MEETINGS for name in course.chapters(said["Before"])]
    assert [name for name in dict.fromkeys(read) if name in MAIN] == [name for name in MAIN if name in read]
    assert set(MAIN) - set(read) <= {"own_hand"}, "a main chapter that no meeting reads"


def test_exercises_are_those_of_the_chapters():
    labels = re.findall(r"\{task\}`([\w-]+)`", TEXT)
    assert len(labels) > 40 and len(set(labels)) == len(labels)
    for label in labels:
        name = label.rpartition("-")[0]
        path = ROOT / "book" / f"{name}.md"
        assert f":label: {label}\n" in path.read_text(encoding="utf-8"), label
        assert course.task(label, ROOT).startswith(f"{{ref}}`{label}`")
    in_class = " ".join(said["In class"] for _, _, said in MEETINGS)
    for label in re.findall(r"\{task\}`([\w-]+-(?:implement|break))`", in_class):
        name = label.rpartition("-")[0]
        checked = {one.label for one in exercises.find(ROOT / "book" / f"{name}.md")}
        assert label in checked, f"{label} is worked on in class and does not check itself"


def test_minutes_are_read_and_added_and_never_typed(tmp_path):
    (tmp_path / "book").mkdir()
    for name, minutes in (("one", 40), ("two", 25)):
        (tmp_path / "book" / f"{name}.md").write_text(f"**Time** {minutes} minutes of reading.\n")
    (tmp_path / "book" / "bare.md").write_text("no time\n")
    assert course.minutes("one two", tmp_path) == 65
    with pytest.raises(ValueError, match="bare.md states no minutes"):
        course.minutes("bare", tmp_path)
    for number, _, said in MEETINGS:
        assert course.chapters(said["Before"]), f"meeting {number} reads nothing whose minutes are known"
        assert not re.search(r"\b\d+ minutes", said["Before"]), f"meeting {number}: minutes of reading are typed"


def test_an_exercise_says_its_minutes_where_it_states_them(tmp_path):
    (tmp_path / "book").mkdir()
    text = "````{exercise-start} A\n:label: one-break\n````\n*Moderate, 15 minutes.* Do.\n````{exercise-end}\n````\n"
    (tmp_path / "book" / "one.md").write_text(
        text + text.replace("break", "extend").replace("*Moderate, 15 minutes.* ", "")
    )
    assert course.task("one-break", tmp_path) == "{ref}`one-break` (15 minutes)"
    assert course.task("one-extend", tmp_path) == "{ref}`one-extend`"
    with pytest.raises(ValueError, match="has no exercise one-none"):
        course.task("one-none", tmp_path)


def test_the_overview_adds_up_the_reading():
    table = course.sessions(TEXT, ROOT).splitlines()
    assert len(table) == 2 + len(MEETINGS)
    first = count.minutes((ROOT / "book" / "attention.md").read_text(encoding="utf-8"))
    assert table[2] == f"| 1. {MEETINGS[0][1]} | {{doc}}`attention` | {first} |"


def test_the_short_course_and_the_commands_are_there():
    assert len(re.findall(r"(?m)^\| (?:Looking|Writing|Painting) \|", TEXT)) == 3
    rules = set(re.findall(r"(?m)^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8")))
    for name in re.findall(r"`make ([a-z]+)`", TEXT):
        assert name in rules | {"classroom"}, f"make {name} is named and not there"


@pytest.mark.site
def test_the_page_shows_what_was_read():
    bs4 = pytest.importorskip("bs4")
    page = bs4.BeautifulSoup((ROOT / "_build/html/book/course.html").read_text(encoding="utf-8"), "html.parser")
    text = page.select_one("article").get_text()
    assert "{minutes}" not in text and "{task}" not in text and "% sessions" not in text and "% decks" not in text
    assert len(page.select("fieldset.question")) == 10 and len(page.select('a[href^="../slides/"]')) >= 6

"""What a chapter may ask of its reader: words, cells, lines, columns, minutes. Counted here, listed by tools.count."""

import re
import textwrap

import pytest

from tools import count, toc

PAGES = [page for page in toc.chapters() if page.path.suffix == ".md" and page.path.exists()]

# What is over a limit today, chapter -> {figure: value}. It may only shrink: a smaller figure, or none, goes in here at
# once; a larger one, or a new chapter, is a fault. Empty when all chapters keep the limits.
EXCUSED: dict[str, dict[str, int]] = {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_chapter_keeps_the_limits(page):
    found = count.count(page)
    excused = EXCUSED.get(page.name, {})
    for figure, value in found.over().items():
        line = found.where.get(figure)
        place = f"book/{page.name}.md" + (f":{line}" if line else "")
        limit = max(count.LIMITS[figure], excused.get(figure, 0))
        assert value <= limit, (
            f"{place}: {figure.replace('_', ' ')} {value}, over {count.LIMITS[figure]}; make it shorter"
        )


def test_the_excuses_only_shrink():
    pages = {page.name: page for page in PAGES}
    for name, figures in EXCUSED.items():
        assert name in pages, f"{name} is no chapter: take its excuses out"
        found = count.count(pages[name]).over()
        slack = {figure: (value, found.get(figure)) for figure, value in figures.items() if value != found.get(figure)}
        assert not slack, f"{name}: excused and found differ (None: within the limit), write what was found: {slack}"


def test_a_main_chapter_names_its_minutes():
    for page in PAGES:
        if page.part.startswith(count.MAIN):
            found = count.count(page)
            assert found.minutes, f"book/{page.name}.md: say after **Time** how many minutes a new student needs"
            assert found.minutes >= 15, f"book/{page.name}.md: {found.minutes} minutes for {found.words} words"


@pytest.mark.parametrize(
    ("words", "minutes"),
    [
        ("**Time** 35 minutes of reading; the cells take 2 minutes.", 35),
        ("**Time** an hour to read", 60),
        ("**Time** an hour and a quarter", 75),
        ("**Time** an hour\nand a half with paper", 90),
        ("**Time** two hours; the cells", 120),
        ("**Time** one and a half hours", 90),
        ("no time", None),
        ("**Time** plenty", None),
    ],
)
def test_minutes_are_read_as_they_are_written(words, minutes):
    assert count.minutes(words) == minutes


def test_what_is_counted(tmp_path):
    text = textwrap.dedent(
        """\
        ---
        kernelspec: {display_name: Python 3, name: python3}
        ---
        # A title of five words

        Three more words.

        ```{code-cell} python
        ---
        tags: [remove-input]
        ---
        long = "hidden lines may be wide"
        ```

        ```{code-cell} python
        x = 1
        class A:
            def f(self):
                return 1
        y = 2
        ```
        """
    )
    path = tmp_path / "one.md"
    path.write_text(text, encoding="utf-8")
    found = count.count(toc.Chapter("I Attend", "one", path))
    assert (found.words, found.cells, found.lines, found.class_lines) == (9, 2, 2, 3)
    assert (found.columns, found.hidden_columns) == (16, 33)
    assert found.over() == {} and found.main
    path.write_text(text.replace("Three", "w " * 3000), encoding="utf-8")
    assert count.count(toc.Chapter("IV Draw", "one", path)).over() == {"words": 3008}
    assert count.count(toc.Chapter("Toolbox", "one", path)).over() == {}


def test_the_table_sets_another_checkout_beside(root, capsys):
    assert count.main(["--before", str(root)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.search(r"words +cells +lines +class lines +columns +minutes", lines[0])
    assert len(lines) == 1 + len(PAGES)
    for line in lines[1:]:
        for before, after in re.findall(r"([\d-]+) > ([\d-]+)!?", line):
            assert before == after

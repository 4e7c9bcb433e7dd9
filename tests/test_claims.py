"""Numbers in prose need a cell beside them: what the tool finds, what it lets pass, and its list of accepted ones."""

import pytest

from tools import claims, toc

HEAD = "---\nkernelspec: {display_name: Python 3, name: python3}\n---\n# Title\n\n"


@pytest.fixture
def found(tmp_path):
    def find(prose: str, *cells: str) -> list[str]:
        path = tmp_path / "one.md"
        code = "".join(f"\n```{{code-cell}} python\n{cell}\n```\n" for cell in cells)
        path.write_text(f"{HEAD}## A section\n\n{prose}\n{code}\n## Another\n\nNo numbers.\n", encoding="utf-8")
        return [claim.number for claim in claims.claims(toc.Chapter("I Attend", "one", path))]

    return find


@pytest.mark.parametrize(
    ("prose", "cell"),
    [
        ("It took 37 steps.", "assert steps == 37"),
        ("It is 0.61 at the end.", "assert abs(found - 0.613) < 0.001"),
        ("It lies near 0.61.", "assert 0.55 < found < 0.65"),
        ("It falls by 35 %.", "assert round(share, 2) == 0.35"),
        ("It falls by 35 per cent.", "assert round(100 * share) == 35"),
        ("It is twice as fast.", "assert old / new > 2"),
        ("It takes half of the time.", "assert new / old < 0.5"),
        ("A third of the lines.", "assert n == total * 1 / 3"),
        ("There are 10,000 images.", "assert len(images) == 10_000"),
        ("It has 784 pixels.", "pixels = 28 * 28"),
        ("It is ten times as long.", "assert long > 10 * short"),
        ("Down to -11 nats.", "assert nats < -11"),
    ],
)
def test_a_number_that_a_cell_holds_passes_and_alone_it_does_not(found, prose, cell):
    assert found(prose, cell) == []
    assert len(found(prose, "x = 1")) == 1


@pytest.mark.parametrize(
    "prose",
    [
        "As in section 4.2 of the paper, equations 46 to 51, slide 17, Table 4.",
        "In 2013 Graves wrote {cite:p}`graves2013`.",
        "The price is $0.61 x^{17}$ and `n = 64`.",
        "$$\nx = 64\n$$",
        "**Time** 45 minutes of reading; the cells take 20 seconds.",
        "The decoder writes (7, 8) and looks (10 and 11).",
        "1 is 1, float32 is float32, the LSTM2 and the 4th.",
        "[a link](https://example.org/64)",
    ],
)
def test_what_needs_no_cell(found, prose):
    assert found(prose, "x = 1") == []


def test_notes_and_exercises_are_read_and_solutions_are_not(found):
    note = "```{note}\nIt took 37 steps.\n```\n"
    assert found(note) == ["37"]
    assert found("```{solution-start} a\n```\n\nIt took 37 steps.\n\n```{solution-end}\n```\n") == []
    assert found("- a list, 37 long\n\n| a table | 38 |\n|---|---|\n| of | 39 |") == ["37", "38", "39"]


def test_a_cell_of_another_section_does_not_count(tmp_path):
    path = tmp_path / "one.md"
    cell = "```{code-cell} python\nassert steps == 37\n```\n"
    path.write_text(f"{HEAD}## One\n\nIt took 37 steps.\n\n## Two\n\n{cell}", encoding="utf-8")
    assert [claim.line for claim in claims.claims(toc.Chapter("I Attend", "one", path))] == [8]


def test_cards_and_results_are_read(tmp_path):
    (tmp_path / "bench" / "results").mkdir(parents=True)
    (tmp_path / "bench" / "results" / "lstm.json").write_text('{"figures": {"a": {"value": 1.434}}, "c": [1, 2]}')
    held = claims.code(['print(results("lstm")["figures"])'], tmp_path)
    assert held.holds(1.43, 2) and not held.holds(1.44, 2)


def test_the_check_is_red_on_new_ones_and_on_accepted_ones_that_are_gone(tmp_path, monkeypatch, capsys):
    path = tmp_path / "one.md"
    path.write_text(HEAD + "It took 37 steps.\n", encoding="utf-8")
    monkeypatch.setattr(claims.toc, "chapters", lambda: [toc.Chapter("I Attend", "one", path)])
    monkeypatch.setattr(claims, "ACCEPTED", tmp_path / "claims.txt")
    monkeypatch.setattr(claims.accepted, "__defaults__", (tmp_path / "claims.txt",))
    monkeypatch.setattr(claims.write, "__defaults__", (tmp_path / "claims.txt",))
    assert claims.main(["--check"]) == 1
    assert "book/one.md:6: 37: It took 37 steps." in capsys.readouterr().out
    assert claims.main(["--seed"]) == 0 and claims.main(["--check"]) == 0
    with pytest.raises(SystemExit):
        claims.main(["--seed"])
    path.write_text(HEAD + "It took some steps.\n", encoding="utf-8")
    assert claims.main(["--check"]) == 1
    assert "said no more" in capsys.readouterr().out
    assert claims.main(["--prune"]) == 0 and claims.main(["--check"]) == 0

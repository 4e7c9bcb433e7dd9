"""The projects: each has three later milestones, tried in the page, that refuse what a comparison may not be."""

import ast
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tools import exercises, toc

PAGE = Path(__file__).resolve().parent.parent / "book" / "projects.md"
CELLS = [cell.source for cell in toc.read(PAGE).cells if not set(cell.tags) & {"exercise", "check", "solution"}]
PROJECTS = ("hand", "alphabet", "reader", "draw", "clutter", "mechanism")
NAMES = [f"{project}_{step}" for project in PROJECTS for step in ("half_way", "measured", "attacked")]


@pytest.fixture(scope="module")
def page():
    """What the page imports and defines; nothing is loaded or trained."""
    kept = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
    space = {"__name__": "__main__", "exams": {}}
    for source in CELLS:
        for node in ast.parse(source).body:
            constant = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in ("RUNES", "MEASURES")
            if isinstance(node, kept) or constant:
                exercises.run(ast.unparse(node), space, "<projects>")
    return SimpleNamespace(**space)


@pytest.mark.parametrize("name", NAMES)
def test_each_milestone_is_tried_with_a_stand_in_and_with_a_mistake(name):
    calls = [node for source in CELLS for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    printed = [c for c in calls if ast.unparse(c.func) == "print" and c.args and isinstance(c.args[0], ast.Call)]
    assert any(ast.unparse(c.args[0].func) == name for c in printed), f"no stand-in for {name}"
    wrong = [ast.unparse(c.args[1]) for c in calls if ast.unparse(c.func) == "refused"]
    assert name in wrong, f"no mistake for {name}"


def test_a_mistake_that_passes_is_red(page, capsys):
    def strict(x):
        if x <= 2:
            raise AssertionError("too small")
        return "met"

    page.refused("small", strict, 1)
    assert capsys.readouterr().out == "not met: too small\n"
    with pytest.raises(AssertionError, match="a mistake passes strict: met"):
        page.refused("small", strict, 3)
    with pytest.raises(AssertionError, match="another message: too small"):
        page.refused("large", strict, 1)


def test_spread_is_the_mean_and_its_standard_error(page):
    assert page.spread([1, 2, 3]) == pytest.approx((2, 1 / 3**0.5))


def refuses(says, milestone, *given):
    with pytest.raises(AssertionError, match=says):
        milestone(*given)


def test_hand(page):
    rows = [({k}, -1.0, -1.5, 0.5) for k in range(3)]
    assert "0.50 nats a point less, +- 0.00; 50% taken" in page.hand_measured(rows)
    refuses("2 choices", page.hand_measured, rows[:2])
    refuses("same lines", page.hand_measured, [*rows, ({1}, -1.1, -1.2, 0.5)])
    refuses("from 0 to 1", page.hand_measured, [*rows, ({4}, -1.1, -1.2, 60)])
    line = SimpleNamespace(offsets=torch.ones(4, 3))
    other = SimpleNamespace(offsets=torch.zeros(4, 3))
    refuses("below ten", page.hand_attacked, None, line, [other, other], 5, 5)
    refuses("priming line", page.hand_attacked, None, line, [other, line], 8, 12)
    refuses("at least two", page.hand_attacked, None, line, [other], 8, 12)
    refuses("13 right of 12", page.hand_attacked, None, line, [other, other], 13, 12)
    refuses("at least two", page.hand_half_way, None, [line], [other])
    page.hand_half_way.__globals__["free"] = same = SimpleNamespace(nats=lambda lines: torch.ones(2))
    held = [page.Strokes(torch.tensor([[0.0, 0, 0], [k, 1, 1]])) for k in (1, 2)]
    refuses("nothing learned: 1.00", page.hand_half_way, same, [], held)


def test_alphabet(page):
    judge = lambda line: page.by_template(line, page.RUNES)
    plain = page.share_read(judge, "abcd", page.RUNES, 5)
    swapped = page.RUNES | {"a": page.RUNES["b"], "b": page.RUNES["a"]}
    assert plain == {char: 1 for char in "abcd"}
    assert page.share_read(judge, "abcd", swapped, 5) == {"a": 0, "b": 0, "c": 1, "d": 1}
    refuses("three seeds", page.alphabet_measured, judge, page.RUNES, (), (1, 1, 2))
    line = page.write_runes("abab", page.RUNES, np.random.default_rng(0))
    bare = page.Strokes(line.offsets, "abab", "network")
    refuses("which letter", page.alphabet_half_way, bare, page.RUNES)
    known = page.Strokes(line.offsets, "abab", "network", line.char_index)
    refuses("three letters", page.alphabet_half_way, known, page.RUNES)
    gap, a, b = page.nearest_two(page.RUNES)
    ink = {char: page.picture(strokes) for char, strokes in page.RUNES.items()}
    assert all(page.ink_gap(ink[x], ink[y]) >= gap for x in "abcd" for y in "abcd" if x < y) and a < b


def test_reader(page):
    models = [torch.nn.Linear(3, 2) for _ in range(3)]
    larger = [torch.nn.Linear(6, 2) for _ in range(3)]
    assert page.new_weights(models) and not page.new_weights([*models, models[0]])
    assert page.new_weights([page.twin(models[0], k) for k in range(3)])
    refuses("not equal", page.reader_measured, models, larger, {12: []})
    refuses("three seeds", page.reader_measured, models[:2], larger, {12: []})
    others = [page.twin(one, 9) for one in models]
    refuses("beyond 6", page.reader_measured, models, others, {5: []})
    refuses("try each of length, rate, hand", page.reader_attacked, None, [], {"length": []})
    line = page.write_runes("abcd", page.RUNES, np.random.default_rng(0))
    fewer = page.slower(line)
    assert len(fewer) < 0.7 * len(line) and fewer.offsets[:, 2].sum() == line.offsets[:, 2].sum()


def test_draw(page):
    chance = torch.Generator().manual_seed(0)
    learn, held = torch.rand(60, 1, 28, 28, generator=chance).round().split(30)
    page.fair(learn, held, (5, 5.2))
    refuses("not equal", page.fair, learn, held, (6, 5))
    refuses("learned from", page.fair, learn, torch.cat([held, learn[:1]]), (5, 5))
    models = [torch.nn.Linear(3, 2) for _ in range(3)]
    refuses("three seeds", page.draw_measured, models[:2], models, learn, held, (5, 5))
    refuses("same weights", page.draw_measured, models, 3 * models[:1], learn, held, (5, 5))
    poor = lambda x, coin: SimpleNamespace(nll_bound=torch.full((len(x),), 3000.0))
    refuses("3000 nats, .*nothing is gained", page.draw_half_way, poor, poor, learn, held, (5, 5))
    refuses("0 or 1", page.draw_attacked, held * 0.5, learn, held)
    refuses("16 samples", page.draw_attacked, held[:15], learn, held)
    blurred = learn[:20].clone()
    blurred[..., 0] = 1 - blurred[..., 0]  # a copy with a changed edge
    refuses("copies", page.draw_attacked, blurred, learn, held)


def test_clutter(page):
    exam = lambda: SimpleNamespace(canvases=torch.ones(2))
    marks = np.arange(200) % 5 == 0
    table = dict.fromkeys([(r, k) for r in "ab" for k in "xy"], marks)
    assert "20% +- 3%" in page.clutter_measured(exam, table)
    refuses("two readers on two kinds", page.clutter_measured, exam, {("a", "x"): marks})
    refuses("no shares", page.clutter_measured, exam, table | {("b", "y"): [0.2] * 200})
    logits = torch.eye(3)[torch.tensor([[0, 1], [0, 2]])]
    reader = lambda canvases: SimpleNamespace(logits_by_glimpse=logits)
    labels = torch.tensor([0, 2])
    assert "50% wrong first, 0% last" in page.clutter_half_way([0.5, 0.0], reader, None, labels)
    refuses("off by 0.50", page.clutter_half_way, [0.0, 0.5], reader, None, labels)  # backwards
    refuses("1 shares", page.clutter_half_way, [0.0], reader, None, labels)


def test_mechanism(page):
    curve = {6: [1, 1, 1], 12: [1, 1, 1], 24: [0.5, 0.6, 0.7]}
    curves = dict.fromkeys("abc", curve)
    assert "at 24 symbols a 60% +- 6%" in page.mechanism_measured(curves)
    refuses("yours and two", page.mechanism_measured, dict.fromkeys("ab", curve))
    refuses("same lengths", page.mechanism_measured, curves | {"c": {6: [1, 1, 1]}})
    refuses("1 seeds", page.mechanism_measured, curves | {"c": {n: [1] for n in curve}})
    refuses("2 seeds", page.mechanism_attacked, [1] * 3, [0.2] * 2, [0.9] * 3)
    refuses("loses everywhere", page.mechanism_attacked, [0.2] * 3, [0.2] * 3, [0.9] * 3)
    refuses("not lose surely", page.mechanism_attacked, [1] * 3, [0.9, 0.5, 0.9], [0.9, 0.8, 0.9])

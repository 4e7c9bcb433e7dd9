"""The tool that tests the tests: what it changes, what it leaves alone, and how code is exchanged."""

import ast
import importlib
import json
import sys
import textwrap

import pytest

from tools import mutants

TEXT = '''
"""A module."""

import functools

SCALE = 2.0


def whole(x):
    return x + 1


def formula(x: int = 3, *, more=[1]):
    """Return a number: 1 + 1."""
    if x < 0:
        words = f"{x + 1}"
        raise ValueError(words)
    a = x[1:-1] if isinstance(x, list) else -x
    return SCALE * a + whole(x + 7) ** 2


class Thing:
    size: int = 4

    def __init__(self, x):
        self.x = x

    @property
    def twice(self):
        return 2 * self.x

    @staticmethod
    def half(x):
        return x / 2

    @classmethod
    def one(cls):
        return cls(1)

    @functools.lru_cache
    def kept(self):
        return self.x - 1

    def __repr__(self):
        return f"{1 + 1}" + str(1 + 1)
'''


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package `softattn` of one module, `tiny`, under another root."""
    (tmp_path / "softattn").mkdir()
    (tmp_path / "softattn" / "tiny.py").write_text(textwrap.dedent(TEXT))
    return tmp_path


def test_what_is_changed_and_what_is_left_alone(package):
    found = mutants.mutants("tiny", package)
    told = [(m.function, m.kind, m.after) for m in found]
    assert ("", "constant", "SCALE = 4.0") in told
    assert ("formula", "sign", "a = x[1:-1] if isinstance(x, list) else +x") in told
    assert ("formula", "index", "a = x[2:-1] if isinstance(x, list) else -x") in told
    assert ("formula", "index", "a = x[1:-2] if isinstance(x, list) else -x") in told
    assert ("formula", "sign", "a = x[1:+1] if isinstance(x, list) else -x") in told
    assert ("formula", "sign", "return SCALE * a - whole(x + 7) ** 2") in told
    assert ("formula", "operator", "return SCALE / a + whole(x + 7) ** 2") in told
    assert ("formula", "operator", "return SCALE * a + whole(x + 7) * 2") in told
    assert ("formula", "constant", "return SCALE * a + whole(x + 7) ** 3") in told
    assert ("Thing.twice", "constant", "return 3 * self.x") in told
    assert ("Thing.half", "operator", "return x * 2") in told
    functions = {m.function for m in found}
    assert "whole" not in functions and "Thing.__repr__" not in functions  # checks, and what is only read
    lines = "\n".join(m.before + m.after for m in found)
    for spared in ("words", "x < 0", "x + 8", "x - 7", "size", "more", '"""'):
        assert spared not in lines.replace("whole(x + 7)", "")
    assert len({m.key for m in found}) == len(found)


def test_keys_do_not_depend_on_where_a_function_stands(package):
    before = {m.key: (m.function, m.after) for m in mutants.mutants("tiny", package)}
    path = package / "softattn" / "tiny.py"
    path.write_text("# one more line\n" + path.read_text().replace("a = x[1:-1]", "b = 5 - 3\n    a = x[1:-1]"))
    after = {m.key: (m.function, m.after) for m in mutants.mutants("tiny", package)}
    assert before.items() <= after.items() and len(after) == len(before) + 3


def test_every_mutant_is_another_program(package):
    plain = ast.dump(ast.parse((package / "softattn" / "tiny.py").read_text()))
    for mutant in mutants.mutants("tiny", package):
        changed = mutants.mutated(mutant, package)
        assert ast.dump(changed) != plain, str(mutant)
        compile(changed, "tiny", "exec")


def test_code_is_exchanged_under_decorators(package, monkeypatch):
    monkeypatch.syspath_prepend(str(package / "softattn"))
    tiny = importlib.import_module("tiny")
    try:
        thing, half, twice = tiny.Thing(5), tiny.Thing.half, tiny.Thing.twice
        by_text = {(m.function, m.after): m for m in mutants.mutants("tiny", package)}
        for function, after, see in [
            ("Thing.twice", "return 3 * self.x", lambda: thing.twice == 15),
            ("Thing.half", "return x * 2", lambda: half(3) == 6),
            ("Thing.one", "return cls(2)", lambda: tiny.Thing.one().x == 2),
            ("Thing.kept", "return self.x + 1", lambda: tiny.Thing(7).kept() == 8),
            ("formula", "return SCALE * a - whole(x + 7) ** 2", lambda: tiny.formula(1) < 0),
            ("", "SCALE = 4.0", lambda: tiny.SCALE == 4.0),
        ]:
            assert not see(), function
            assert mutants.exchange(tiny, mutants.mutated(by_text[function, after], package)) == 1
            assert see(), f"{function}: {after}"
            back = ast.parse((package / "softattn" / "tiny.py").read_text())
            mutants.exchange(tiny, back)
            tiny.SCALE = 2.0
        assert tiny.Thing.twice is twice
    finally:
        del sys.modules["tiny"]


def test_a_fork_that_hangs_or_dies_is_told():
    judge = mutants.Judge(lambda judge: None)
    assert judge.in_a_fork(lambda tell: tell([1, "a"]), 20) == ([[1, "a"]], "")

    def hang(tell):
        while True:
            pass

    assert judge.in_a_fork(hang, 0.5)[1] == "timeout"

    def fail(tell):
        raise KeyError("x")

    told, why = judge.in_a_fork(fail, 20)
    assert told == [{"error": "KeyError: 'x'"}] and why == "status 3"


def test_the_stored_counts_reach_the_goal(root):
    record = json.loads(mutants.RESULT.read_text(encoding="utf-8"))
    assert mutants.enough(record) == []
    for name, row in record["modules"].items():
        assert 0 < row["killed"] <= row["judged"] <= row["mutants"], name
        assert (root / "softattn" / f"{name}.py").exists()
    worse = {"modules": {"a": {"judged": 100, "killed": 94, "mutants": 200}}}
    assert mutants.enough(worse) == ["94 of 100 mutants were noticed, under 95%"]
    worse["modules"] |= {"b": {"judged": 9, "killed": 9, "mutants": 9}, "c": {"judged": 9, "killed": 9, "mutants": 90}}
    assert mutants.unasked(worse, ["a", "b", "c", "d"]) == ["c", "d"]  # of b there are no more


def test_the_list_of_equal_mutants_names_mutants_that_exist():
    keys = {m.key for name in mutants.modules() for m in mutants.mutants(name)}
    same = mutants.the_same()
    assert sorted(set(same) - keys) == [], "tools/mutants.txt: these lines are gone; take them out"
    assert all(len(why.split()) > 2 for why in same.values())


def test_a_machine_that_starts_anew_goes_round(monkeypatch):
    names = mutants.modules()
    monkeypatch.setattr(mutants, "counts", lambda name: {"judged": 0, "mutants": 9})
    first = [mutants.in_turn(names, week)[0] for week in range(len(names))]
    assert sorted(first) == sorted(names)  # each leads in one of so many weeks
    known = {names[0]: 9, names[1]: 3}
    monkeypatch.setattr(mutants, "counts", lambda name: {"judged": known.get(name, 0), "mutants": 9})
    for week in (0, 5):
        found = mutants.in_turn(names, week)
        assert found[-2:] == [names[1], names[0]] and sorted(found) == sorted(names)


def test_what_was_stored_stays_while_it_is_true(tmp_path, monkeypatch):
    path = tmp_path / "mutants.json"
    row = {"mutants": 3, "judged": 3, "killed": 3, "same": 1}
    path.write_text(json.dumps({"modules": {"a": row, "b": row, "c": row}}), encoding="utf-8")
    monkeypatch.setattr(mutants, "ROOT", tmp_path)
    monkeypatch.setattr(mutants, "modules", lambda: ["a", "b", "c", "d"])
    monkeypatch.setattr(mutants, "mutants", lambda name: [None] * {"a": 4, "b": 5, "c": 4, "d": 2}[name])
    nothing = {"mutants": 4, "judged": 0, "killed": 0, "same": 0}
    more = {"mutants": 4, "judged": 4, "killed": 2, "same": 0}
    fresh = {"a": nothing, "b": nothing, "c": more, "d": {**nothing, "judged": 2}}
    monkeypatch.setattr(mutants, "counts", fresh.get)
    mutants.write(path)
    stored = json.loads(path.read_text(encoding="utf-8"))["modules"]
    assert stored == {"a": row, "c": more, "d": fresh["d"]}  # b has another count of mutants: forgotten

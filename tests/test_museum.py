"""The museum of bugs: each fault is one line, stays in its own module, and turns its oracle test red."""

import ast
import importlib
import re
import subprocess
import sys

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from softattn import museum
from softattn.lstm import PeepholeLSTM
from softattn.museum import Fault, broken, faults, faulty_text


class Counter(TorchDispatchMode):
    """Counts the numbers that operations return."""

    def __init__(self):
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self.total += out.numel() if isinstance(out, torch.Tensor) else 0
        return out


def touched(kind, steps):
    lstm, x = kind(2, 3), torch.randn(steps, 4, 2, requires_grad=True)
    loss = lstm(x, fused=False)[0].sum()
    with Counter() as counter:
        loss.backward()
    return counter.total / steps


def test_a_loop_over_time_touches_each_number_a_few_times():
    """The gradient of x[t] is an array as long as x: once for each step, that is the square of their number."""
    short, long = (touched(PeepholeLSTM, steps) for steps in (40, 400))
    assert long < 1.2 * short


def test_every_fault_changes_one_line():
    for name, fault in faults().items():
        module = importlib.import_module(f"softattn.{fault.module}")
        with open(module.__file__, encoding="utf-8") as file:
            right = file.read()
        pairs = zip(right.splitlines(), faulty_text(name).splitlines(), strict=True)
        assert sum(a != b for a, b in pairs) == 1, name
        assert ast.dump(ast.parse(right)) != ast.dump(ast.parse(faulty_text(name))), name
        assert fault.where and "::test_" in fault.test


def test_every_test_that_is_named_exists(root):
    for name, fault in faults().items():
        file, test = fault.test.split("::")
        assert re.search(rf"^def {test}\(", (root / file).read_text(encoding="utf-8"), re.M), name


def test_a_broken_module_is_a_copy():
    from softattn import filterbank

    wrong = broken("stride")
    raw = torch.zeros(1, 5)
    before = filterbank.Filterbank(28, 28, 5).filters(raw)[1]
    assert not torch.allclose(wrong.Filterbank(28, 28, 5).filters(raw)[1], before)
    assert torch.equal(filterbank.Filterbank(28, 28, 5).filters(raw)[1], before)
    assert wrong is not filterbank and sys.modules["softattn.filterbank"] is filterbank
    assert broken("stride") is not wrong


@pytest.mark.parametrize("name", ["nothing", "", None, 3, "stride "])
def test_an_unknown_fault_is_named(name):
    with pytest.raises(ValueError, match="broken: no fault .*; there are square, stride"):
        broken(name)


def test_a_line_that_is_gone_is_said(monkeypatch):
    monkeypatch.setitem(museum.faults(), "gone", Fault("h", "vae", "no such line", "x", "t", "w"))
    with pytest.raises(ValueError, match="vae.py holds the line of 'gone' 0 times, expected once"):
        broken("gone")


@pytest.mark.slow
def test_each_fault_turns_its_oracle_red(root):
    """The test of the tests: green without the fault, red with it, each in a fork of one collected session."""
    command = [sys.executable, "-m", "tools.mutants", "--museum"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    red = re.findall(r"^red +(\w+): ", done.stdout, re.M)
    assert sorted(red) == sorted(faults())

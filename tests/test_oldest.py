"""`make oldest`: its pins are the lower bounds that the package names, and it says what it fetches."""

import re
import sys
import tomllib
from pathlib import Path

from tools import oldest, run_notebooks

ROOT = Path(__file__).resolve().parent.parent


def test_each_bound_of_the_package_is_tried():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {k: v for k, v in project["optional-dependencies"].items() if k != "classroom"}
    old = oldest.named((ROOT / "requirements-oldest.txt").read_text())
    for bound in {*project["dependencies"], *(b for extra in extras.values() for b in extra)}:
        name, low = re.fullmatch(r"([\w-]+)>=([\d.]+)(?:,<[\d.]+)?", bound).groups()
        pinned = old.pop(name.lower()).split("==")[1]
        assert (pinned + ".").startswith(low + "."), f"{bound}, but {pinned} is what is tried"
    assert old == {}


def test_old_pins_replace_ours_and_newest_names_are_bare():
    ours, old = (oldest.named((ROOT / f"requirements{n}.txt").read_text()) for n in ("", "-oldest"))
    tried, newest = oldest.named(oldest.wanted()), oldest.named(oldest.wanted(newest=True))
    assert set(tried) == set(newest) == set(ours) | set(old)
    assert tried["numpy"] == old["numpy"] != ours["numpy"] and tried["pytest"] == ours["pytest"]
    assert newest["numpy"] == "numpy" and newest["torch"] == ours["torch"]


def test_it_says_what_it_fetches():
    pins = oldest.wanted()
    assert re.fullmatch(r"torch==[\d.]+: from PyTorch's index .* 180 MB", oldest.fetched(pins, "https://a/whl/cpu"))
    assert "fetches CUDA with it, about 3 GB" in oldest.fetched(pins, "")


def test_the_tests_run_on_what_was_made(monkeypatch, capfd, tmp_path):
    made = []
    monkeypatch.setattr(oldest, "ROOT", tmp_path)
    monkeypatch.setattr(oldest, "wanted", lambda newest: "torch==2.6.0\n")
    monkeypatch.setattr(oldest, "call", lambda command, cwd: made.append(command[-2:]))
    monkeypatch.setattr(oldest, "pinned_venv", lambda *given: made.append(given) or Path(sys.executable))
    (tmp_path / "test_it.py").write_text(
        "import pytest\ndef test_a(): pass\n@pytest.mark.slow\ndef test_b(): assert 0\n"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n  slow\n  site\n  browser\n  data\n")
    assert oldest.main(["test_it.py"]) == 0
    told = capfd.readouterr().out
    assert "torch==2.6.0" in told and "torch 2." in told and "1 passed" in told
    assert made == [(tmp_path / ".venv-oldest", "torch==2.6.0\n", Path(sys.executable)), ["-e", "."]]

    def fails(*given):
        raise run_notebooks.RunError("no such version")

    monkeypatch.setattr(oldest, "pinned_venv", fails)
    assert oldest.main([]) == 1 and "oldest: no such version" in capfd.readouterr().err


def test_each_python_has_a_venv_of_its_own(tmp_path):
    """The list of pins alone would not tell them apart: the second Python's tests would run on the first one."""
    assert oldest.venv_for(True, Path(sys.executable)) == ROOT / ".venv-newest"
    other = tmp_path / "python9.9"
    other.write_text("#!/bin/sh\necho 9.9\n")
    other.chmod(0o755)
    assert oldest.venv_for(True, other) == ROOT / ".venv-newest-9.9"
    assert oldest.venv_for(False, other) == ROOT / ".venv-oldest-9.9"


def test_a_venv_is_made_once_for_each_list(monkeypatch, tmp_path):
    calls = []
    venv = tmp_path / "v"
    monkeypatch.setattr(run_notebooks, "call", lambda command, cwd: calls.append(command) or venv.mkdir(exist_ok=True))
    for _ in range(2):
        python = run_notebooks.pinned_venv(venv, "numpy==2\ntorch==1\n")
    assert python == venv / "bin" / "python" and len(calls) == 3
    assert calls[1][-1] == "torch==1" and (venv / "asked.txt").read_text() == "numpy==2\ntorch==1\n"
    run_notebooks.pinned_venv(venv, "torch==3\n")
    assert len(calls) == 6

"""The zip for a room without a network: what is in it, and that its program installs from it alone."""

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from tools import offline

WHEEL = "tinypart-1.0-py3-none-any.whl"


def tiny(folder: Path) -> None:
    """A wheel of two lines, made by hand."""
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / WHEEL, "w") as file:
        file.writestr("tinypart.py", "answer = 42\n")
        info = "tinypart-1.0.dist-info"
        file.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tinypart\nVersion: 1.0\n")
        file.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{info}/RECORD", f"tinypart.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")


@pytest.fixture
def packed(tmp_path, monkeypatch):
    """A zip of a site of one page, one notebook and that wheel."""
    root = tmp_path / "root"
    (root / "_build/html").mkdir(parents=True)
    (root / "_build/html/index.html").write_text("<p>book</p>" * 500)
    monkeypatch.setattr(offline.classroom, "chapters", lambda names, root: [SimpleNamespace(name="one")])
    monkeypatch.setattr(offline.classroom, "student", lambda chapter: "{}\n")
    folder = tmp_path / offline.NAME
    tiny(folder / "wheels")
    offline.fill(folder, ["tinypart"], root)
    return offline.pack(folder, tmp_path / "out" / "all.zip")


def test_the_zip_has_one_folder_with_all_and_stores_what_is_packed(packed):
    with zipfile.ZipFile(packed) as file:
        names = {info.filename: info for info in file.infolist()}
    expected = [
        "README.txt",
        "install.py",
        "made-for.json",
        "notebooks/one.ipynb",
        "site/index.html",
        f"wheels/{WHEEL}",
    ]
    assert sorted(names) == sorted(f"{offline.NAME}/{name}" for name in expected)
    assert names[f"{offline.NAME}/wheels/{WHEEL}"].compress_type == zipfile.ZIP_STORED
    page = names[f"{offline.NAME}/site/index.html"]
    assert page.compress_size < page.file_size / 5 and not list(packed.parent.glob("*.part"))


@pytest.mark.slow
def test_it_installs_in_an_empty_folder_without_a_network(packed, tmp_path):
    with zipfile.ZipFile(packed) as file:
        file.extractall(tmp_path / "there")
    here = tmp_path / "there" / offline.NAME
    dead = {name: "http://127.0.0.1:9" for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")}
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "PYTHON"))} | dead
    command = [sys.executable, str(here / "install.py"), "--into", str(tmp_path / "venv")]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "site/index.html" in done.stdout and "-m notebook" in done.stdout
    python = tmp_path / "venv" / "bin" / "python"
    run = subprocess.run(
        [python, "-c", "import tinypart; print(tinypart.answer)"], capture_output=True, text=True, env=env
    )
    assert run.stdout == "42\n"


def test_another_machine_is_told_so(packed, tmp_path):
    with zipfile.ZipFile(packed) as file:
        file.extractall(tmp_path / "there")
    here = tmp_path / "there" / offline.NAME
    made = json.loads((here / "made-for.json").read_text())
    assert (
        made["python"] == f"{sys.version_info[0]}.{sys.version_info[1]}"
        and made["platform"] == sysconfig.get_platform()
    )
    (here / "made-for.json").write_text(json.dumps(made | {"python": "2.7"}))
    done = subprocess.run([sys.executable, str(here / "install.py")], capture_output=True, text=True)
    assert done.returncode == 1 and "the wheels are for 2.7" in done.stderr and not (here / "venv").exists()
    (here / "made-for.json").write_text(json.dumps(made | {"least": [9, 9, 9]}))
    done = subprocess.run([sys.executable, str(here / "install.py")], capture_output=True, text=True)
    assert done.returncode == 1 and "is older than 9.9.9" in done.stderr


def test_the_oldest_python_is_read_from_the_wheels(tmp_path):
    folder = tmp_path / "wheels"
    tiny(folder)
    assert offline.least_python(folder) == [3, 11, 0]
    with zipfile.ZipFile(folder / "other-1-py3-none-any.whl", "w") as file:
        file.writestr(
            "other-1.dist-info/METADATA", "Name: other\nRequires-Python: !=3.12.*,>=3.11.5\n\nRequires-Python: >=4\n"
        )
    assert offline.least_python(folder) == [3, 11, 5]


def test_without_a_site_it_says_what_to_do(tmp_path):
    with pytest.raises(offline.OfflineError, match=r"build it first \(make book\)"):
        offline.fill(tmp_path, [], tmp_path)


def test_what_pip_says_is_passed_on():
    with pytest.raises(offline.OfflineError, match="failed:\nno luck"):
        offline._run([sys.executable, "-c", "import sys; sys.exit('no luck')"])

"""What a release holds: its tag, its weight, its checksums."""

import hashlib
import subprocess
import zipfile
import zlib

import pytest
import yaml

import softattn
from tools import release
from tools.release import ROOT, ReleaseError, checksums, light_enough, parts, right_tag


@pytest.fixture
def wheel(tmp_path):
    path = tmp_path / "softattn-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("softattn/a.py", "a" * 10)
        archive.writestr("softattn/b.py", "b" * 20)
        archive.writestr("softattn/weights/big.safetensors", "w" * 300)
    return path


def test_the_tag_names_the_version():
    right_tag(f"v{softattn.__version__}")
    for tag in (softattn.__version__, "v9.9.9", ""):
        with pytest.raises(ReleaseError, match=f"tag v{softattn.__version__}"):
            right_tag(tag)


def test_parts_are_the_members_by_folder_the_heaviest_first(wheel):
    assert parts(wheel) == {"softattn/weights/big.safetensors": 300, "softattn": 30}


def test_a_heavy_wheel_is_refused_with_its_heaviest_part(wheel):
    size = wheel.stat().st_size
    light_enough(wheel, size)
    with pytest.raises(ReleaseError, match=r"softattn-1.*at most 0 are allowed: softattn/weights/big"):
        light_enough(wheel, size - 1)


def test_checksums_are_what_sha256sum_reads(wheel, tmp_path):
    (tmp_path / "SHA256SUMS").write_text(checksums(tmp_path))
    assert hashlib.sha256(wheel.read_bytes()).hexdigest() in checksums(tmp_path)
    run = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    assert subprocess.run(run, cwd=tmp_path, capture_output=True).returncode == 0
    wheel.write_bytes(b"another")
    assert subprocess.run(run, cwd=tmp_path, capture_output=True).returncode != 0


def test_a_wrong_tag_ends_in_one_sentence(capsys):
    assert release.main(["--tag", "v0"]) == 1
    assert capsys.readouterr().err.startswith("no release: the tag is v0")


@pytest.mark.slow
def test_the_weights_leave_room_in_a_wheel():
    folder = ROOT / "softattn" / "weights"
    packed = [len(zlib.compress(path.read_bytes())) for path in folder.glob("*.safetensors")]
    assert sum(packed) < release.MOST - 2_000_000


def test_the_books_text_is_light_and_somebody_reads_it_where_only_the_wheel_is():
    """Notebooks run with the wheel alone: without `softattn/data/book.txt` these stop, and `softattn collect` does.

    If nobody read it there any more, it could leave the wheel: that is why its readers are asked for here.
    """
    text = {path.stem: path.read_text("utf-8") for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert {name for name, cells in text.items() if "book_corpus()" in cells} >= {"prediction", "text", "transformer"}
    assert "import prompts" in text["your_hand"] and "book_corpus()" in (ROOT / "softattn" / "collect.py").read_text()
    packed = len(zlib.compress((ROOT / "softattn" / "data" / "book.txt").read_bytes()))
    assert packed < release.MOST / 50


def test_a_class_with_conda_gets_the_locked_versions():
    told = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    pip = next(part["pip"] for part in told["dependencies"] if isinstance(part, dict))
    assert "-r requirements.lock" in pip and "-e ." in pip
    assert "python=3.11" in told["dependencies"]

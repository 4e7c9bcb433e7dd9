"""softattn.__main__: `softattn write` and `softattn styles`, with a small network of random weights."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest
import torch

import softattn
import softattn.hub
import softattn.page
from softattn import synthesis
from softattn.__main__ import main
from softattn.strokes import Strokes
from softattn.synthesis import HandwritingSynthesizer


def tiny(name="synthesis"):
    """A network that knows nothing, but prints its terms as `softattn.load` does."""
    if name != "synthesis":
        raise ValueError(f"there are no weights\n{name!r}")
    torch.manual_seed(5)
    print("The weights are for tests alone.")
    return HandwritingSynthesizer(hidden_size=8, num_layers=2, components=2, mixtures=3, std=(40.0, 40.0)).eval()


@pytest.fixture(autouse=True)
def random_weights(monkeypatch):
    monkeypatch.setattr(softattn, "load", tiny, raising=False)
    monkeypatch.setattr(synthesis, "faults", lambda draft, by="weights": synthesis.Faults())


def run(capsys, *arguments):
    status = main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    return status, out, err


def test_json_to_standard_output_and_the_seed_beside_it(capsys):
    status, out, err = run(capsys, "write", "Ink", "--seed", 7)
    page = json.loads(out)  # nothing else on standard output: not the terms, not the seed
    assert status == 0 and page["text"] == "Ink" and page["seed"] == 7 and page["redraws"] == 0
    assert "seed 7\n" in err and "for tests alone" in err
    offsets = torch.tensor(page["offsets"])
    expected = softattn.write("Ink", seed=7, model=tiny()).offsets
    assert torch.allclose(offsets, expected, atol=0.0051)
    capsys.readouterr()
    assert run(capsys, "write", "Ink", "--seed", 7)[1] == out


def test_a_seed_that_was_drawn_is_told_and_writes_the_same_again(capsys):
    _, out, err = run(capsys, "write", "Ink")
    seed = err.rpartition("seed ")[2].split()[0]
    assert json.loads(out)["seed"] == int(seed)
    assert run(capsys, "write", "Ink", "--seed", seed)[1] == out


def test_svg_has_the_width_and_the_text(capsys, tmp_path):
    path = tmp_path / "a.SVG"
    status, out, err = run(capsys, "write", "Ink & <pen>", "-o", path, "--seed", 1, "--width", 300)
    root = ET.fromstring(path.read_text())
    assert status == 0 and out == "" and "seed 1" in err
    assert root.attrib["width"] == "300" and root.attrib["aria-label"] == "Ink & <pen>"
    assert list(tmp_path.iterdir()) == [path]


def test_png_has_the_width_and_ink_on_white(capsys, tmp_path):
    import matplotlib.image

    path = tmp_path / "a.png"
    assert run(capsys, "write", "Ink", "-o", path, "--seed", 1, "--width", 301)[0] == 0
    pixels = matplotlib.image.imread(path)[..., :3]
    drawn = softattn.write("Ink", seed=1, model=tiny()).to_absolute()[:, :2]
    size = drawn.amax(0) - drawn.amin(0) + 16
    assert pixels.shape[1] == 301 and abs(pixels.shape[0] - 301 * (size[1] / size[0]).item()) <= 2
    assert pixels[0, 0].min() > 0.9 and pixels.min() < 0.1
    dark = pixels.mean(2) < 0.5  # the ink reaches all four sides but for the margin of one pen
    margin = 16 * 301 / size[0].item() + 2
    for side in (dark.any(0).argmax(), dark.any(0)[::-1].argmax(), dark.any(1).argmax(), dark.any(1)[::-1].argmax()):
        assert side <= margin


def test_the_options_reach_write(capsys, monkeypatch, tmp_path):
    seen = {}

    def write(text, **how):
        seen.update(how, text=text)
        raise synthesis.WritingError("too\nbad", synthesis.Draft(Strokes([[0, 0, 1]], "a"), torch.zeros(1, 2), True))

    monkeypatch.setattr(synthesis, "write", write)
    prime = tmp_path / "p.json"
    prime.write_text('{"text": "a", "offsets": [[0, 0, 0], [1, 2, 1]]}')
    status, out, err = run(
        capsys, "write", "a b", "--bias", 2, "--style", "s", "--prime", prime, "--columns", 9, "--seed", 3
    )
    assert status == 1 and out == "" and err.splitlines()[-1] == "softattn: too bad"
    assert (seen["text"], seen["bias"], seen["style"], seen["columns"], seen["seed"]) == ("a b", 2.0, "s", 9, 3)
    assert seen["prime"].text == "a" and seen["prime"].offsets.tolist() == [[0, 0, 0], [1, 2, 1]]
    assert seen["progress"] is False


def test_long_texts_show_a_progress_bar(capsys):
    assert "line/s" not in run(capsys, "write", "one two", "--columns", 8, "--seed", 1)[2]
    err = run(capsys, "write", "one two six ten odd ink pen", "--columns", 8, "--seed", 1)[2]
    assert "4/4" in err and "line/s" in err.replace("s/line", "line/s")


def test_what_was_written_can_prime(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(synthesis, "check_followed", lambda model, prime: None)
    path = tmp_path / "hand.json"
    assert run(capsys, "write", "Ink", "-o", path, "--seed", 1)[0] == 0
    one, two = (run(capsys, "write", "pen", "--seed", 1, *prime)[1] for prime in ((), ("--prime", path)))
    assert json.loads(one)["offsets"] != json.loads(two)["offsets"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["   "], "nothing to write"),
        (["na\u00efve \U0001f600"], "U+00EF"),
        (["Ink", "--bias", "-1"], "bias is -1.0"),
        (["Ink", "--bias", "nan"], "bias is nan"),
        (["Ink", "--columns", "3"], "columns is 3"),
        (["Ink", "-o", "a.gif"], "expected .svg, .png or .json"),
        (["Ink", "-o", "nowhere/a.svg"], "the folder nowhere does not exist"),
        (["Ink", "--prime", "nowhere.json"], "nowhere.json"),
        (["Ink", "--model", "other"], "there are no weights 'other'"),
        (["Ink", "--prime", "broken.json"], "broken.json is not a line to prime with"),
        (["Ink", "--prime", "empty.json"], "it has no 'offsets'"),
        (["Ink", "--prime", "nan.json"], "every number must be finite"),
        (["Ink", "--prime", "short.json"], "between 4 and 100"),
    ],
)
def test_errors_take_one_line_and_leave_nothing(capsys, tmp_path, monkeypatch, arguments, why):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "empty.json").write_text('{"text": "a"}')
    (tmp_path / "nan.json").write_text('{"text": "a", "offsets": [[0, 0, 0], [NaN, 0, 1]]}')
    (tmp_path / "short.json").write_text('{"text": "a long text", "offsets": [[0, 0, 0], [1, 0, 1]]}')
    before = sorted(tmp_path.iterdir())
    status, out, err = run(capsys, "write", *arguments)
    lines = [line for line in err.splitlines() if "for tests alone" not in line]
    assert status == 1 and out == "" and len(lines) == 1
    assert lines[0].startswith("softattn: ") and why in lines[0]
    assert sorted(tmp_path.iterdir()) == before


def test_a_line_that_fails_is_an_error_of_one_line(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(synthesis, "faults", lambda draft, by="weights": synthesis.Faults(ended=False))
    monkeypatch.setattr(synthesis, "TRIES", 2)
    status, _, err = run(capsys, "write", "Ink", "-o", tmp_path / "a.svg", "--seed", 1)
    assert status == 1 and "2 attempts at 'Ink' failed" in err.splitlines()[-1] and not list(tmp_path.iterdir())


def test_a_picture_that_fails_leaves_the_old_one(capsys, monkeypatch, tmp_path):
    path = tmp_path / "a.svg"
    path.write_text("old")

    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr(synthesis.Handwriting, "svg", full)
    status, _, err = run(capsys, "write", "Ink", "-o", path, "--seed", 1)
    assert status == 1 and "no space left" in err and path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_wrong_arguments_are_2(capsys):
    assert run(capsys, "write")[0] == 2
    assert run(capsys, "write", "Ink", "--width", "0")[0] == 2
    assert run(capsys, "write", "Ink", "--bias", "much")[0] == 2


def test_styles_are_listed(capsys, monkeypatch):
    line = Strokes([[0, 0, 0], [3, 4, 1]], "a")
    monkeypatch.setattr(softattn.page, "styles", lambda: {"round": line, "slanted": line})
    status, out, _ = run(capsys, "styles")
    assert status == 0 and out.splitlines()[0] == "round    'a', 2 points per character" and len(out.splitlines()) == 2


def test_unknown_styles_name_the_known_ones(capsys, monkeypatch):
    monkeypatch.setattr(softattn.page, "styles", lambda: {"round": None, "slanted": None})
    status, _, err = run(capsys, "write", "Ink", "--style", "square")
    assert status == 1 and "expected one of round, slanted" in err.splitlines()[-1]


def test_styles_that_are_not_there_are_an_error(capsys, monkeypatch):
    def none():
        raise FileNotFoundError("no styles.json")

    monkeypatch.setattr(softattn.page, "styles", none)
    assert run(capsys, "styles")[0] == 1


def test_help_needs_no_torch():
    code = (
        "import sys\nfrom softattn.__main__ import main\nassert main(['write', '--help']) == 0\n"
        "assert 'torch' not in sys.modules and 'matplotlib' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "--bias" in done.stdout and "--prime" in done.stdout


def test_a_folder_that_takes_no_file_is_found_before_anything_is_written(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(synthesis, "write", lambda *_, **__: pytest.fail("written"))
    (tmp_path / "b.svg").mkdir()
    assert "it is a folder" in run(capsys, "write", "Ink", "-o", tmp_path / "b.svg")[2]
    monkeypatch.setattr("softattn.hub.os.access", lambda *_: False)
    with pytest.raises(PermissionError, match="takes no files from this user"):
        softattn.hub.writable_target(tmp_path / "a.svg")
    status, _, err = run(capsys, "write", "Ink", "-o", tmp_path / "a.svg")
    assert status == 1 and "takes no files from this user" in err.splitlines()[-1]


def test_a_link_stays_a_link(capsys, tmp_path):
    target, link = tmp_path / "far.svg", tmp_path / "a.svg"
    target.write_text("old")
    target.chmod(0o600)
    link.symlink_to(target)
    assert run(capsys, "write", "Ink", "-o", link, "--seed", 1)[0] == 0
    assert link.is_symlink() and "<svg" in target.read_text() and target.stat().st_mode & 0o777 == 0o600


def test_sigterm_leaves_no_temporary_file(tmp_path):
    code = (
        "import os, signal, sys\nfrom softattn import synthesis\nfrom softattn.__main__ import main\nimport softattn\n"
        "from softattn.page import Handwriting\nfrom softattn.strokes import Strokes\n"
        "class Page(Handwriting):\n"
        "    def svg(self, *a, **k):\n        os.kill(os.getpid(), signal.SIGTERM)\n        return 'x'\n"
        "import torch\n"
        "synthesis.write = lambda *a, **k: Page(torch.tensor([[0., 0, 0], [1, 1, 1]]), 'a', seed=1)\n"
        "softattn.load = lambda name: None\n"
        "sys.exit(main(['write', 'a', '-o', sys.argv[1]]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.svg")], capture_output=True, text=True)
    assert done.returncode == 143, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_weights_of_another_kind_are_an_error_of_one_line(capsys, monkeypatch):
    monkeypatch.setattr(softattn, "load", lambda name: torch.nn.Linear(1, 1))
    status, out, err = run(capsys, "write", "Ink", "--model", "handwriting")
    assert status == 1 and out == ""
    assert err.splitlines() == ["softattn: write: model is a Linear, expected a HandwritingSynthesizer"]


# -- softattn read -----------------------------------------------------------------------------------------------------


@pytest.fixture
def small_reader(monkeypatch):
    from softattn import hub
    from softattn.reading import HandwritingReader

    torch.manual_seed(3)
    reader = HandwritingReader(6, 1).eval()
    monkeypatch.setattr(hub, "load", lambda name, *_, **__: print("The weights are for tests alone.") or reader)
    return reader


def test_reading_gives_a_line_of_text_for_each_line_of_ink(capsys, tmp_path, small_reader):
    from softattn.pen import EmbeddedWriter

    lines = [EmbeddedWriter(k).write("some ink") for k in range(2)]
    places = [line.to_absolute() + torch.tensor([0.0, 900.0 * k, 0.0]) for k, line in enumerate(lines)]
    Strokes.from_absolute(torch.cat(places)).save(tmp_path / "me.json")
    status, out, err = run(capsys, "read", tmp_path / "me.json")
    assert status == 0 and out.count("\n") == 2 and "for tests alone" in err
    status, out, _ = run(capsys, "read", tmp_path / "me.json", "--details")
    told = [json.loads(row) for row in out.splitlines()]
    assert status == 0 and [set(row) for row in told] == [{"text", "confidence", "place"}] * 2


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("me.txt", "{}", "its name ends in .txt, expected .json"),
        ("me.json", "[]", "is no ink"),
        ("me.json", '{"offsets": []}', "no points"),
        ("me.json", '{"offsets": [[0, 0, NaN]]}', "is no ink"),
    ],
)
def test_what_is_no_ink_takes_one_line(capsys, tmp_path, small_reader, name, text, words):
    (tmp_path / name).write_text(text)
    status, out, err = run(capsys, "read", tmp_path / name)
    assert status == 1 and out == "" and words in err and err.count("\n") == 1
    assert run(capsys, "read", tmp_path / "none.json")[0] == 1

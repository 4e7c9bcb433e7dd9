"""softattn.__main__: `softattn write` and `softattn styles`, with a small network of random weights."""

import io
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from typing import NamedTuple

import pytest
import torch

import softattn
import softattn.hub
import softattn.page
from softattn import proofreading, synthesis
from softattn.__main__ import main
from softattn.proofreading import Proof
from softattn.reading import HandwritingReader
from softattn.strokes import Strokes
from softattn.synthesis import HandwritingSynthesizer

WRITES = "softattn.proofreading"  # the module whose `write` the command calls


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
    for module in (synthesis, proofreading):
        monkeypatch.setattr(module, "faults", lambda draft, by="weights": synthesis.Faults())
    reader = HandwritingReader(2, 1)
    monkeypatch.setattr(proofreading, "choose_reader", lambda who, given, writer=None: reader)
    monkeypatch.setattr(proofreading, "proof_of", lambda reader, line: told(line.text, line.text))


def told(text, read):
    """A reader's verdict; what is not the text is in doubt."""
    shown, doubts = proofreading.compared(text, read)
    return Proof(text, shown, len(doubts), 1.0, 99.0 * len(doubts), 9.0, 0.9, doubts)


def run(capsys, *arguments):
    status = main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    return status, out, err


def test_json_to_standard_output_and_the_seed_beside_it(capsys):
    status, out, err = run(capsys, "write", "Ink", "--seed", 7)
    page = json.loads(out)  # nothing else on standard output: not the terms, not the seed
    assert status == 0 and page["text"] == "Ink" and page["seed"] == 7
    assert page["redraws"] == 3, "a short text, and the reader of these tests is sure of nothing"
    assert "seed 7, 3 other drafts read\n" in err and "for tests alone" in err
    offsets = torch.tensor(page["offsets"])
    expected = softattn.write("Ink", seed=7, model=tiny()).offsets
    assert torch.allclose(offsets, expected, atol=0.0051)
    capsys.readouterr()
    assert run(capsys, "write", "Ink", "--seed", 7)[1] == out


def test_a_seed_that_was_drawn_is_told_and_writes_the_same_again(capsys):
    _, out, err = run(capsys, "write", "Ink")
    seed = re.search(r"seed (\d+)", err)[1]
    assert json.loads(out)["seed"] == int(seed)
    assert run(capsys, "write", "Ink", "--seed", seed)[1] == out


def test_svg_is_in_millimetres_or_has_the_width(capsys, tmp_path):
    path = tmp_path / "a.SVG"
    status, out, err = run(capsys, "write", "Ink & <pen>", "-o", path, "--seed", 1)
    root = ET.fromstring(path.read_text())
    assert status == 0 and out == "" and "seed 1" in err and root.attrib["width"].endswith("mm")
    assert root.attrib["aria-label"] == "Ink & <pen>" and list(tmp_path.iterdir()) == [path]
    assert run(capsys, "write", "Ink", "-o", path, "--seed", 1, "--width", 300, "--ink", "blue")[0] == 0
    root = ET.fromstring(path.read_text())
    assert root.attrib["width"] == "300" and root.find("{*}g").get("stroke") == "blue"


@pytest.fixture
def by_the_pen(monkeypatch):
    """Lines of the embedded writer instead of a network's: letters of a known size."""
    from softattn.page import bind_page, wrap
    from softattn.pen import EmbeddedWriter

    seen = {}

    class Line(NamedTuple):
        strokes: Strokes
        phi: torch.Tensor
        reading: None = None

    def write(text, columns=48, seed=None, **how):
        seen.update(how, text=text, columns=columns)
        inks = [EmbeddedWriter(k).write(line.strip()) for k, line in enumerate(wrap(text, columns)) if line.strip()]
        return bind_page(text, columns, [Line(ink, torch.zeros(len(ink), len(ink.text))) for ink in inks], 7, 0)

    monkeypatch.setattr(f"{WRITES}.write", write)
    return seen


def height_of_l(path) -> float:
    """Height in mm of the first stroke of a picture."""
    numbers = ET.parse(path).getroot().find(".//{*}path").get("d").partition("M")[2].partition("M")[0]
    places = [float(v) for v in re.findall(r"-?[\d.]+", numbers)]
    return max(places[1::2]) - min(places[1::2])


def test_letters_have_one_size_whatever_the_text(capsys, tmp_path, by_the_pen):
    for name, text in (("a.svg", "l"), ("b.svg", "l and a longer text")):
        assert run(capsys, "write", text, "-o", tmp_path / name, "--straight", "--size", "9mm")[0] == 0
    one, two = (height_of_l(tmp_path / name) for name in ("a.svg", "b.svg"))
    assert one == pytest.approx(two, rel=0.1) and 5 < one < 10  # a hand's two letters differ
    assert run(capsys, "write", "l", "-o", tmp_path / "c.svg", "--straight", "--size", "18mm")[0] == 0
    assert height_of_l(tmp_path / "c.svg") == pytest.approx(2 * one, rel=0.01)


def test_paper_keeps_blank_lines_and_chooses_its_columns(capsys, tmp_path, by_the_pen):
    text = "Dear Anna,\r\n\r\nthanks a lot for all the ink that came here yesterday.\n\n   Bob"
    path = tmp_path / "a.pdf"
    assert run(capsys, "write", text, "-o", path, "--paper", "A6", "--margin", "1cm", "--align", "right")[0] == 0
    assert 15 <= by_the_pen["columns"] <= 30 and b"/Type /Page" in path.read_bytes()
    status, _, err = run(capsys, "write", "line\n" * 40, "-o", tmp_path / "b.svg", "--paper", "A6")
    assert status == 0 and "5 sheets: b-1.svg to b-5.svg" in err and (tmp_path / "b-5.svg").exists()


def test_png_is_transparent_on_request_and_its_pixels_are_bounded(capsys, tmp_path, by_the_pen, monkeypatch):
    import matplotlib.image

    path = tmp_path / "a.png"
    assert run(capsys, "write", "Ink", "-o", path, "--width", 301, "--transparent")[0] == 0
    pixels = matplotlib.image.imread(path)
    assert pixels.shape[1] == 301 and pixels[0, 0, 3] == 0 and pixels[..., 3].max() == 1
    before = path.read_bytes()
    monkeypatch.setattr(f"{WRITES}.write", lambda *_, **__: pytest.fail("written"))
    status, _, err = run(capsys, "write", "Ink", "-o", path, "--paper", "A4", "--dpi", "5000")
    assert status == 1 and "pixels; at most" in err and path.read_bytes() == before


def test_gcode_for_a_plotter(capsys, tmp_path, by_the_pen):
    path = tmp_path / "a.gcode"
    how = ("--pen-up", "M5", "--pen-down", "M3 S90", "--bed", "300x200", "--feed", "800")
    assert run(capsys, "write", "plot", "-o", path, *how)[0] == 0
    assert "M3 S90\nG1 X" in path.read_text() and "F800" in path.read_text()
    status, _, err = run(capsys, "write", "plot " * 20, "-o", path, "--bed", "50x50")
    assert status == 1 and "the bed is 50 x 50" in err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--size", "7 ells"], "size is '7 ells', expected a length"),
        (["--paper", "A11"], "paper is 'A11', expected one of A3"),
        (["--paper", "A6", "--size", "60mm"], "do not fit on 105 x 148 mm"),
        (["--align", "middle"], "expected left, centre or right"),
        (["--ink", "mauvish"], "'mauvish' is no colour"),
        (["--pen", "none"], "pen is 'none'"),
        (["--line", "2"], "--prime-text and --line belong to --prime FILE"),
        (["-f", "a.txt"], "both a text and a file"),
    ],
)
def test_wrong_looks_are_found_before_anything_is_written(capsys, tmp_path, monkeypatch, arguments, why):
    monkeypatch.setattr(f"{WRITES}.write", lambda *_, **__: pytest.fail("written"))
    status, out, err = run(capsys, "write", "Ink", "-o", tmp_path / "a.png", *arguments)
    assert status == 1 and out == "" and why in err and err.count("\n") == 1 and not list(tmp_path.iterdir())


def test_the_text_comes_from_a_file_or_a_pipe(capsys, tmp_path, by_the_pen, monkeypatch):
    for data in ("caf\u00e9\tink\r\n",):
        for encoding in ("utf-8", "utf-8-sig", "utf-16", "cp1252"):
            (tmp_path / "t.txt").write_bytes(data.encode(encoding))
            by_the_pen.clear()
            run(capsys, "write", "-f", tmp_path / "t.txt")
            assert by_the_pen["text"] == "caf\u00e9\tink"
    monkeypatch.setattr(sys, "stdin", type("In", (), {"buffer": io.BytesIO(b"from a pipe\n")}))
    assert run(capsys, "write", "-")[0] == 0 and by_the_pen["text"] == "from a pipe"
    status, _, err = run(capsys, "write", "-f", tmp_path / "none.txt")
    assert status == 1 and "there is no file" in err
    status, _, err = run(capsys, "write")
    assert status == 1 and "no text: give a text, or -f FILE, or - to read standard input" in err


def test_a_text_that_begins_with_a_dash_is_explained(capsys, by_the_pen):
    status, _, err = run(capsys, "write", "-5 degrees")
    assert status == 2 and 'stands after "--"' in err.splitlines()[-1]
    assert run(capsys, "write", "--", "-5 degrees")[0] == 0 and by_the_pen["text"] == "-5 degrees"
    assert "stands after" not in run(capsys, "write", "a", "--sise", "3")[2]


def test_the_options_reach_write(capsys, monkeypatch, tmp_path):
    seen = {}

    def write(text, **how):
        seen.update(how, text=text)
        raise synthesis.WritingError("too\nbad", synthesis.Draft(Strokes([[0, 0, 1]], "a"), torch.zeros(1, 2), True))

    monkeypatch.setattr(f"{WRITES}.write", write)
    hand = softattn.page.styles()["round"] if "round" in softattn.page.styles() else softattn.page.styles()["leaning"]
    hand.save(tmp_path / "p.json")
    status, out, err = run(
        capsys, "write", "a b", "--bias", 2, "--style", "s", "--prime", tmp_path / "p.json", "--columns", 9, "--seed", 3
    )
    assert status == 1 and out == "" and err.splitlines()[-1] == "softattn: too bad"
    assert (seen["text"], seen["bias"], seen["style"], seen["columns"], seen["seed"]) == ("a b", 2.0, "s", 9, 3)
    assert seen["prime"].text == hand.text and torch.equal(seen["prime"].offsets, hand.offsets)
    assert seen["progress"] is False and seen["check"] is True and seen["strict"] is False
    run(capsys, "write", "a b", "--no-check")
    assert seen["check"] is False
    run(capsys, "write", "a b", "--strict")
    assert seen["check"] is True and seen["strict"] is True


def test_a_page_primes_with_one_of_its_lines(capsys, tmp_path, by_the_pen):
    path = tmp_path / "page.json"
    assert run(capsys, "write", "one line\nand another longer line", "-o", path)[0] == 0
    for more, text, told in [((), "and another longer line", "line 2 of 2 is taken"), (("--line", 1), "one line", "")]:
        status, _, err = run(capsys, "write", "on", "--prime", path, *more)
        assert status == 0 and by_the_pen["prime"].text == text and told in err and "prime: JSON; 2 lines" in err
    status, _, err = run(capsys, "write", "on", "--prime", path, "--line", 3)
    assert status == 1 and "holds 2 lines, there is no line 3" in err


@pytest.mark.parametrize("kind", ["inkml", "svg", "csv"])
def test_ink_of_other_programs_primes(capsys, tmp_path, by_the_pen, kind):
    from softattn.ink import save_ink

    hand = softattn.page.styles()["leaning"]
    save_ink(tmp_path / f"h.{kind}", hand)
    if kind == "csv":
        status, _, err = run(capsys, "write", "on", "--prime", tmp_path / "h.csv")
        assert status == 1 and "its text is missing; give it with --prime-text" in err
    said = ("--prime-text", hand.text) if kind == "csv" else ()
    assert run(capsys, "write", "on", "--prime", tmp_path / f"h.{kind}", *said)[0] == 0
    assert by_the_pen["prime"].text == hand.text


def test_a_progress_bar_at_a_terminal_alone(capsys, monkeypatch, by_the_pen):
    text = "one two six ten odd ink pen"
    run(capsys, "write", text, "--columns", 8)
    assert by_the_pen["progress"] is False, "quiet under a pipe"
    monkeypatch.setattr("softattn.__main__.at_terminal", lambda: True)
    run(capsys, "write", text, "--columns", 8)
    assert by_the_pen["progress"] is True
    run(capsys, "write", "one two", "--columns", 8)
    assert by_the_pen["progress"] is False


def test_weights_by_their_path(capsys, tmp_path, monkeypatch):
    net = tiny()
    sizes = dict(hidden_size=8, num_layers=2, components=2, mixtures=3, std=[40.0, 40.0])
    card = {"class": "softattn.synthesis.HandwritingSynthesizer", "config": sizes, "data": "none", "licence": "MIT"}
    softattn.hub.save_weights(tmp_path / "me.safetensors", net.state_dict(), card)
    monkeypatch.setattr(softattn, "load", softattn.hub.load)
    capsys.readouterr()
    status, out, err = run(capsys, "write", "Ink", "--seed", 7, "--model", tmp_path / "me.safetensors")
    assert status == 0, err
    assert out.startswith("{"), out[:300]
    assert json.loads(out)["text"] == "Ink"


# -- softattn ink ------------------------------------------------------------------------------------------------------


def test_ink_tells_and_converts(capsys, tmp_path):
    hand = softattn.page.styles()["leaning"]
    hand.save(tmp_path / "a.json")
    for arguments in ((), ("--check",), (tmp_path / "no.svg", "--check")):
        status, out, err = run(capsys, "ink", tmp_path / "a.json", *arguments)
        assert status == 0 and out.splitlines()[0].startswith("JSON; 1 line, ")
        assert err == (f"{arguments[0]} is not written: --check only tells\n" if len(arguments) == 2 else "")
        assert out.splitlines()[1].startswith(f"line 1: {hand.text!r}, {len(hand)} points")
    status, out, err = run(capsys, "ink", tmp_path / "a.json", tmp_path / "a.inkml")
    assert status == 0 and out == "" and err.startswith("JSON; 1 line")
    status, out, _ = run(capsys, "ink", tmp_path / "a.inkml", "--y-up")
    assert status == 0 and "y up (as you say)" in out
    assert run(capsys, "ink", tmp_path / "a.inkml", tmp_path / "a.pdf", "--paper", "A5", "--ink", "blue")[0] == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.inkml", "a.json", "a.pdf"]
    status, out, err = run(capsys, "ink", tmp_path / "a.json", tmp_path / "a.gif")
    assert status == 1 and out == "" and "expected .json, .inkml, .csv" in err
    (tmp_path / "b.txt").write_text("no ink")
    assert "is no ink: no table" in run(capsys, "ink", tmp_path / "b.txt")[2]
    assert "there is no file" in run(capsys, "ink", tmp_path / "c.txt")[2]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["   "], "nothing to write"),
        (["na\u00efve \U0001f600"], "U+00EF"),
        (["Ink", "--bias", "-1"], "bias is -1.0"),
        (["Ink", "--bias", "nan"], "bias is nan"),
        (["Ink", "--columns", "3"], "columns is 3"),
        (["Ink", "-o", "a.gif"], "expected .json, .inkml, .csv, .svg, .png, .pdf, .gcode or .nc"),
        (["Ink", "-o", "nowhere/a.svg"], "the folder nowhere does not exist"),
        (["Ink", "--prime", "nowhere.json"], "nowhere.json"),
        (["Ink", "--model", "other"], "there are no weights 'other'"),
        (["Ink", "--prime", "broken.json"], "broken.json is not a line to prime with"),
        (["Ink", "--prime", "empty.json"], "it has no 'offsets'"),
        (["Ink", "--prime", "wordless.json"], "its text is missing"),
        (["Ink", "--prime", "nan.json"], "every number must be finite"),
    ],
)
def test_errors_take_one_line_and_leave_nothing(capsys, tmp_path, monkeypatch, arguments, why):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "empty.json").write_text('{"text": "a"}')
    (tmp_path / "nan.json").write_text('{"text": "a", "offsets": [[0, 0, 0], [NaN, 0, 1]]}')
    (tmp_path / "wordless.json").write_text('{"offsets": [[0, 0, 0], [1, 0, 1]]}')
    before = sorted(tmp_path.iterdir())
    status, out, err = run(capsys, "write", *arguments)
    lines = [line for line in err.splitlines() if "for tests alone" not in line]
    assert status == 1 and out == "" and len(lines) == 1
    assert lines[0].startswith("softattn: ") and why in lines[0]
    assert sorted(tmp_path.iterdir()) == before


def test_a_line_that_fails_is_an_error_of_one_line(capsys, monkeypatch, tmp_path):
    for module in (synthesis, proofreading):
        monkeypatch.setattr(module, "faults", lambda draft, by="weights": synthesis.Faults(ended=False))
        monkeypatch.setattr(module, "TRIES", 2)
    status, _, err = run(capsys, "write", "Ink", "-o", tmp_path / "a.svg", "--seed", 1, "--strict")
    assert status == 1 and "2 attempts at 'Ink' failed" in err.splitlines()[-1] and not list(tmp_path.iterdir())


def test_a_picture_that_fails_leaves_the_old_one(capsys, monkeypatch, tmp_path):
    path = tmp_path / "a.svg"
    path.write_text("old")

    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr("softattn.paper.atomic_write", full)
    status, _, err = run(capsys, "write", "Ink", "-o", path, "--seed", 1)
    assert status == 1 and "no space left" in err and path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_wrong_arguments_are_2(capsys):
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
    monkeypatch.setattr(f"{WRITES}.write", lambda *_, **__: pytest.fail("written"))
    (tmp_path / "b.svg").mkdir()
    assert "it is a folder" in run(capsys, "write", "Ink", "-o", tmp_path / "b.svg")[2]

    def no(self, **_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("softattn.hub.Path.touch", no)  # os.access says yes to root, even on a disk that takes nothing
    with pytest.raises(PermissionError, match="takes no files from this user"):
        softattn.hub.writable_target(tmp_path / "a.svg")
    status, _, err = run(capsys, "write", "Ink", "-o", tmp_path / "a.svg")
    assert status == 1 and "takes no files from this user" in err.splitlines()[-1]
    monkeypatch.undo()
    assert softattn.hub.writable_target(tmp_path / "a.svg") == tmp_path / "a.svg"
    assert [path.name for path in tmp_path.iterdir()] == ["b.svg"]  # the probe left nothing


def test_a_link_stays_a_link(capsys, tmp_path):
    target, link = tmp_path / "far.svg", tmp_path / "a.svg"
    target.write_text("old")
    target.chmod(0o600)
    link.symlink_to(target)
    assert run(capsys, "write", "Ink", "-o", link, "--seed", 1)[0] == 0
    assert link.is_symlink() and "<svg" in target.read_text() and target.stat().st_mode & 0o777 == 0o600


def test_sigterm_leaves_no_temporary_file(tmp_path):
    code = (
        "import os, pathlib, signal, sys\nfrom softattn.__main__ import main\nimport softattn\n"
        f"import {WRITES} as synthesis\n"
        "from softattn.page import Handwriting as Page\n"
        "whole = pathlib.Path.write_bytes\n"
        "def write_bytes(self, data):\n    whole(self, data)\n    os.kill(os.getpid(), signal.SIGTERM)\n"
        "pathlib.Path.write_bytes = write_bytes\n"
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


def test_doubts_take_one_line_and_strict_is_an_error(capsys, monkeypatch):
    monkeypatch.setattr(proofreading, "proof_of", lambda reader, line: told(line.text, "Imk"))
    status, out, err = run(capsys, "write", "Ink", "--seed", 7)
    assert status == 0 and json.loads(out)["reading"] == "Imk" and json.loads(out)["redraws"] == 9
    assert "softattn: write: after 10 attempts there are doubts in 'Ink': 'n' (character 1) reads as 'm'" in err
    status, out, err = run(capsys, "write", "Ink", "--seed", 7, "--strict")
    assert status == 1 and out == "" and "10 attempts at 'Ink' failed" in err.splitlines()[-1]
    status, out, err = run(capsys, "write", "Ink", "--seed", 7, "--no-check")
    assert status == 0 and "reading" not in json.loads(out) and "doubt" not in err


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


def test_a_line_that_may_be_no_writing_is_told_of(capsys, tmp_path, small_reader):
    from softattn.pen import EmbeddedWriter

    EmbeddedWriter(1).write("some ink").save(tmp_path / "me.json")
    words = "softattn: line 1 may not be writing: "
    for bar, told in ((1.0, True), (0.0, False)):
        small_reader.card = {"doubt": {"bar": bar}}
        with torch.no_grad():
            small_reader.output.bias[0] = -9.0  # letters everywhere
        status, out, err = run(capsys, "read", tmp_path / "me.json")
        assert status == 0 and out.count("\n") == 1 and words not in out and (words in err) == told
    with torch.no_grad():
        small_reader.output.bias[0] = 99.0  # the blank alone
    status, out, err = run(capsys, "read", tmp_path / "me.json")
    assert status == 0 and out == "\n" and words + "no letter was found" in err


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("me.txt", "{}", "is no ink: Strokes.from_json: it has no 'offsets'"),
        ("me.json", "[]", "is no ink"),
        ("me.png", "\x89", "is no ink"),
        ("me.json", '{"offsets": []}', "no points"),
        ("me.json", '{"offsets": [[0, 0, NaN]]}', "is no ink"),
    ],
)
def test_what_is_no_ink_takes_one_line(capsys, tmp_path, small_reader, name, text, words):
    (tmp_path / name).write_text(text)
    status, out, err = run(capsys, "read", tmp_path / name)
    assert status == 1 and out == "" and words in err and err.count("\n") == 1
    assert run(capsys, "read", tmp_path / "none.json")[0] == 1


# -- softattn train ----------------------------------------------------------------------------------------------------


@pytest.fixture
def folder_of_lines(tmp_path, monkeypatch):
    """A folder as `softattn collect` leaves it, and a small base that has a name."""
    from softattn import own_hand
    from softattn.ink import save_ink
    from softattn.pen import EmbeddedWriter

    writer, folder = EmbeddedWriter(3), tmp_path / "mine"
    folder.mkdir()
    for n, text in enumerate(("ink on", "a line", "my hand", "a pen", "old sea"), 1):
        save_ink(folder / f"line-{n:03}.inkml", writer.write(text))
    monkeypatch.setattr(softattn.hub, "load", lambda name, device=None: tiny(name))
    monkeypatch.setattr(own_hand, "name_of", lambda model: ("synthesis", "0" * 64))
    return folder


def test_training_writes_a_hand_and_says_so(capsys, tmp_path, monkeypatch, folder_of_lines):
    out, sample = tmp_path / "me.safetensors", tmp_path / "so-far.svg"
    monkeypatch.setattr("softattn.__main__.SAMPLE_SECONDS", 0.0)
    how = ("-o", out, "--steps", 2, "--rank", 2, "--sample", sample)
    status, said, err = run(capsys, "train", folder_of_lines, *how)
    assert status == 0 and said.count("\n") == 1 and "step" not in err, "no progress under a pipe"
    assert said.startswith(f"{out}: 5 lines, 1 of them held out") and "nats a line better than synthesis" in said
    card = json.loads(out.with_suffix(".json").read_text())
    assert card["class"] == "softattn.own_hand.Adapters" and sample.read_text().startswith("<svg")
    assert not out.with_suffix(".state").exists()
    monkeypatch.setattr("softattn.__main__.at_terminal", lambda: True)
    _, _, err = run(capsys, "train", folder_of_lines, *how)
    assert "step 2 of at most 2: " in err and "on 1 held-out lines" in err


def test_training_stopped_says_how_it_goes_on(capsys, tmp_path, monkeypatch, folder_of_lines):
    from softattn import own_hand

    def stopped(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(own_hand.TuningRun, "step", stopped)
    status, _, err = run(capsys, "train", folder_of_lines, "-o", tmp_path / "me.safetensors")
    assert status == 130 and err.splitlines()[-1].endswith("me.state")
    assert (tmp_path / "me.state").exists() and not (tmp_path / "me.safetensors").exists()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["nowhere", "-o", "me.safetensors"], "nowhere is no folder"),
        ([".", "-o", "me.safetensors"], "holds no ink"),
        (["mine", "-o", "me.pt"], "goes to NAME.safetensors"),
        (["mine", "-o", "far/me.safetensors"], "does not exist"),
        (["mine", "-o", "me.safetensors", "--model", "other"], "there are no weights 'other'"),
        (["mine", "-o", "me.safetensors", "--layers", "some"], "layers is 'some'"),
        (["mine", "-o", "me.safetensors", "--sample", "a.gif"], "expected .json"),
        (["few", "-o", "me.safetensors"], "1 lines came, expected at least 5"),
    ],
)
def test_errors_of_training_take_one_line(capsys, tmp_path, monkeypatch, folder_of_lines, arguments, why):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "few").mkdir()
    (tmp_path / "few" / "a.inkml").write_bytes((folder_of_lines / "line-001.inkml").read_bytes())
    before = sorted(tmp_path.rglob("*"))
    status, out, err = run(capsys, "train", *arguments)
    lines = [line for line in err.splitlines() if "for tests alone" not in line]
    assert status == 1 and out == "" and len(lines) == 1 and why in lines[0]
    assert sorted(tmp_path.rglob("*")) == before

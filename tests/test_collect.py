"""softattn.collect: what prompts cover, who is refused, lines kept whole; the page in Chromium, served and alone."""

import http.client
import io
import itertools
import json
import math
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import types
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from softattn import collect as module
from softattn.__main__ import main
from softattn.collect import BODY, Asked, Desk, collect, cover, keep_line, kept_lines, line_of, prompts, refusal
from softattn.decoding import edit_distance
from softattn.in_the_page import in_node, page_card
from softattn.ink import load_ink
from softattn.page import from_pad
from softattn.pen import PRINTABLE, EmbeddedWriter
from softattn.pictures import demo_html
from softattn.reading import Reading
from softattn.strokes import Strokes

NODE = shutil.which("node")
DEMO = (Path(module.__file__).parent / "demos" / "collect.js").read_text("utf-8")


def strokes_of(text: str, seed: int = 3) -> list:
    """A line as a pad records it: x, y, seconds of each point."""
    rows, found, now = EmbeddedWriter(seed).write(text).to_absolute().tolist(), [[]], 0.0
    for x, y, end in rows:
        found[-1].append([round(x, 1), round(y, 1), round(now, 4)])
        now += 0.01
        if end:
            found.append([])
    return found[:-1]


# -- prompts -----------------------------------------------------------------------------------------------------------


def test_twenty_lines_cover_what_is_said():
    """Counted anew, letter by letter and pair by pair, from the file of the book's text."""
    file = Path(module.__file__).parent / "data" / "book.txt"
    prose, inside = [], False
    for line in file.read_text("utf-8").split("\n"):
        if line[:3] == "```":
            inside = not inside
        elif not inside:
            prose.append(line)
    counts = Counter()
    for word in re.findall(r"\b[a-z]+\b", "\n".join(prose)):
        counts.update(a + b for a, b in itertools.pairwise(word))
    written = "\n".join(prompts())
    common = [pair for pair, _ in counts.most_common(95)]  # those near the hundredth are a matter of ties
    assert [pair for pair in common if pair not in written] == []
    alone = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,;:!?'\"()-/&+=%#@*$"
    assert [sign for sign in alone if sign not in written] == []
    assert len(prompts()) == 20 and len(alone) == 82


def test_prompts_can_be_written_and_come_once():
    lines = prompts(60)
    assert len(set(lines)) == 60 and lines[:20] == prompts()
    for line in lines:
        assert set(line) <= set(PRINTABLE) and 16 <= len(line) <= 36 and line == " ".join(line.split())
    own = (Path(module.__file__).parent / "data" / "sentences.txt").read_text("ascii").splitlines()
    assert len(own) == len(set(own)) and all(own)
    for count in (0, 61, "20", 2.5, None, True):
        with pytest.raises((TypeError, ValueError), match=r"^prompts: count is .*expected"):
            prompts(count)


def test_the_greedy_choice_is_near_the_smallest():
    rng = np.random.default_rng(0)
    for _ in range(20):
        lines = ["".join(rng.choice(list("abcdefghij"), 4)) for _ in range(9)]
        want = {sign for line in lines for sign in line}
        least = next(
            n for n in range(1, 10) if any(want <= set("".join(some)) for some in itertools.combinations(lines, n))
        )
        for rare in (True, False):
            chosen = cover(lines, want, 60, rare)
            took = next(n for n in range(1, 10) if want <= set("".join(chosen[:n])))
            assert took <= least * (math.log(len(want)) + 1)


def test_the_choice_goes_round_again_and_ends():
    chosen = cover(["ab", "a", "b", "zz"], set("ab"), 60)
    assert chosen == ["ab", "b", "a"], "what shows nothing is not chosen; both letters come twice"
    assert cover(["ab"], set("ab"), 0) == [] and cover([], set("ab"), 5) == []


def test_a_sentence_with_a_name_is_no_prompt():
    known = set("we met in the park then a".split())
    assert module.plain_sentence("We met in the park then.", known)
    for line in (
        "We met Nell in the park.",
        "Nell in the park then.",
        "We met in the park",
        "We met.",
        "We met in 1999 then.",
    ):
        assert not module.plain_sentence(line, known), line


# -- who is answered ---------------------------------------------------------------------------------------------------

RIGHT = Asked("POST", "/key/line", "127.0.0.1:80", "http://127.0.0.1:80", "application/json; charset=utf-8", "9")


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"host": ""}, 403, "this is 127.0.0.1:80, not ''"),
        ({"host": "127.0.0.1"}, 403, "this is 127.0.0.1:80"),
        ({"host": "127.0.0.1:81"}, 403, "this is 127.0.0.1:80"),
        ({"host": "127.0.0.1:80.evil.example"}, 403, "this is 127.0.0.1:80"),
        ({"origin": "null"}, 403, "the page 'null' asks"),
        ({"origin": "https://127.0.0.1:80"}, 403, "asks, not that of"),
        ({"origin": "http://localhost:80"}, 403, "asks, not that of"),
        ({"origin": ""}, 403, "asks, not that of"),
        ({"path": "/"}, 403, "lacks its token"),
        ({"path": "/ke/line"}, 403, "lacks its token"),
        ({"path": "/key1/line"}, 403, "lacks its token"),
        ({"path": "/\u20ac\udc80/line"}, 403, "lacks its token"),
        ({"path": "/key/../line"}, 404, "there is no '../line' here"),
        ({"path": "/key/line", "method": "GET"}, 404, "there is no 'line' here"),
        ({"kind": ""}, 415, "not application/json"),
        ({"kind": "text/plain; application/json"}, 415, "not application/json"),
        ({"size": None}, 411, "does not say how long"),
        ({"size": "-1"}, 400, "'-1', no number"),
        ({"size": "\u0662"}, 400, "no number"),
        ({"size": str(BODY + 1)}, 413, "larger than 4,194,304 bytes"),
        ({"size": "9" * 5000}, 413, "larger than"),
    ],
)
def test_a_stranger_is_refused_with_a_sentence(change, status, words):
    assert refusal(RIGHT, "key", 80) is None
    assert refusal(RIGHT._replace(host="localhost:80", origin="http://localhost:80"), "key", 80) is None
    found = refusal(RIGHT._replace(**change), "key", 80)
    assert found[0] == status and words in found[1]


def test_the_token_is_compared_in_constant_time(monkeypatch):
    asked = []
    monkeypatch.setattr(module.hmac, "compare_digest", lambda a, b: asked.append((a, b)) or False)
    assert refusal(RIGHT, "key", 80)[0] == 403 and asked == [(b"key", b"key")]


class FakeReader:
    """Reads what it is told."""

    def __init__(self):
        self.says, self.seen = "", []

    def __call__(self, line):
        self.seen.append(line)
        if isinstance(self.says, Exception):
            raise self.says
        return Reading(self.says or line.text, 0.9, [0])


@pytest.fixture
def desk(tmp_path):
    with Desk(tmp_path, read=FakeReader()) as desk:
        thread = threading.Thread(target=desk.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        desk.thread = thread
        yield desk
        desk.shutdown()
        thread.join(5)


def ask(desk, door="line", said=None, method="POST", path=None, **head):
    """Status, headers and text of an answer."""
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    line = http.client.HTTPConnection("127.0.0.1", desk.server_port, timeout=20)
    head = {"Content-Type": "application/json"} | {k.replace("_", "-"): v for k, v in head.items()}
    line.request(method, path or f"/{desk.token}/{door}", None if method == "GET" else body, head)
    answer = line.getresponse()
    text = answer.read().decode()
    line.close()
    return answer.status, answer.headers, text


def test_a_line_is_handed_in(desk, tmp_path):
    text = prompts()[4]
    desk.read.says = "Predict it"
    status, head, said = ask(
        desk, said={"number": 5, "strokes": strokes_of(text)}, Origin=f"http://127.0.0.1:{desk.server_port}"
    )
    assert status == 200 and head["Content-Type"] == "application/json"
    assert json.loads(said) == {"kept": [5], "number": 5, "read": "Predict it", "confidence": 0.9}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["line-005.inkml", "line-005.json"]
    rows = [[*point, float(k == len(s) - 1)] for s in strokes_of(text) for k, point in enumerate(s)]
    want = from_pad(rows, text)
    for name in ("line-005.json", "line-005.inkml"):
        (line,), _ = load_ink(tmp_path / name)
        assert line.text == text and torch.allclose(line.offsets, want.offsets, atol=0.05)
    assert torch.equal(desk.read.seen[0].offsets, want.offsets)
    status, _, said = ask(desk, "done", {})
    assert status == 200 and json.loads(said) == {"kept": [5]}
    desk.thread.join(5)
    assert not desk.thread.is_alive(), "the button ends it"


def test_the_page_has_the_lines_and_talks_to_nobody(desk):
    status, head, page = ask(desk, "", method="GET")
    policy = head["Content-Security-Policy"]
    assert status == 200 and "connect-src 'self'" in policy and "default-src 'none'" in policy
    nonce = re.search(r"'nonce-([\w-]+)'", policy)[1]
    assert page.count(f'nonce="{nonce}"') == 2 == page.count("<script")
    assert head["Cache-Control"] == "no-store" and "Access-Control-Allow-Origin" not in head
    assert head["Referrer-Policy"] == "same-origin" and desk.token not in page
    assert json.dumps(prompts()[2])[1:-1] in page and 'data-demo="collect"' in page
    assert ask(desk, "", method="GET")[2] != page, "a nonce is used once"
    assert len(desk.token) == 32


@pytest.mark.parametrize(
    ("how", "status", "words"),
    [
        ({"path": "/"}, 403, "lacks its token"),
        ({"path": "/line"}, 403, "lacks its token"),
        ({"Host": "evil.example"}, 403, "not 'evil.example'"),
        ({"Origin": "http://evil.example"}, 403, "'http://evil.example' asks"),
        ({"Content_Type": "text/plain"}, 415, "not application/json"),
        ({"said": b" " * (BODY + 1)}, 413, "larger than"),
        ({"said": b"{"}, 400, "not kept: "),
        ({"said": b"\xff"}, 400, "not kept: "),
        ({"said": b"[" * 100_000}, 400, "not kept: "),
        ({"said": [1]}, 400, "the request is no JSON object"),
        ({"said": {}}, 400, "number is None, expected a whole number"),
        ({"said": {"number": 21}}, 400, "number is 21, expected"),
        ({"said": {"number": 1}}, 400, "the strokes are no rows of x, y, seconds"),
        ({"said": {"number": 1, "strokes": [[[1, 2]]]}}, 400, "the strokes are no rows"),
        ({"said": {"number": 1, "strokes": [[["a", 2, 3], [1, 2, 3]]]}}, 400, "the trace is no table of numbers"),
        ({"said": b'{"number": 1, "strokes": [[[NaN, 2, 3], [1, 2, 3]]]}'}, 400, "must be finite"),
        ({"said": b'{"number": 1, "strokes": [[[1e400, 2, 3], [1, 2, 3]]]}'}, 400, "must be finite"),
        ({"said": {"number": 1, "strokes": [[[10**400, 2, 3], [1, 2, 3]]]}}, 400, "not kept: "),
        ({"said": {"number": 1, "strokes": [[[0, 0, 9], [5, 5, 1]]]}}, 400, "time must not run backwards"),
        ({"said": {"number": 1, "strokes": [[[0, 0, 0]], [[5, 5, 1]]]}}, 400, "2 points for 36 characters"),
        ({"said": {"number": 1, "strokes": [[[k, 0, k] for k in range(50_001)]]}}, 400, "50,001 points"),
        ({"said": {"number": 1, "strokes": []}}, 400, "from_pad: the trace has shape"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_kept(desk, tmp_path, how, status, words):
    found, _, text = ask(desk, **how)
    assert (found, words in json.loads(text)["fault"]) == (status, True), text
    assert list(tmp_path.iterdir()) == [] and desk.kept == set()
    assert ask(desk, "", method="GET")[0] == 200, "it goes on"


def test_other_methods_and_noise_do_not_stop_it(desk):
    assert ask(desk, method="PUT", said={})[0] == 501
    for noise in (b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: 99\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", desk.server_port), timeout=5) as line:
            line.sendall(noise)
    assert ask(desk, "", method="GET")[0] == 200


def test_no_reader_is_no_reason_to_lose_a_line(desk, tmp_path):
    desk.read.says = ValueError("there are no weights 'reading'")
    status, _, said = ask(desk, said={"number": 1, "strokes": strokes_of(prompts()[0])})
    assert status == 200 and json.loads(said)["read"] is None and "no weights" in json.loads(said)["why"]
    assert set(kept_lines(tmp_path)) == {1}


def test_a_disk_that_is_full_is_told(desk, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "save_ink", full)
    status, _, said = ask(desk, said={"number": 1, "strokes": strokes_of(prompts()[0])})
    assert status == 500 and "No space left" in json.loads(said)["fault"] and desk.kept == set()


def test_the_pen_is_lifted_behind_each_stroke():
    """A tenth of a second, then a twentieth: 11 points and 6."""
    line = line_of([[[0, 0, 0.0], [2, 4, 0.03], [5, 9, 0.1]], [[3, -2, 0.5], [6, -2, 0.55]]], "i")
    assert np.flatnonzero(line.offsets[:, 2].numpy()).tolist() == [10, 16] and len(line) == 17 and line.text == "i"
    one, two = (stroke - line.polylines()[0][0] for stroke in line.polylines())
    unit = one[-1][0] / 5
    assert np.allclose(one[-1], [5 * unit, 9 * unit], rtol=1e-4) and np.allclose(
        two[0], [3 * unit, -2 * unit], rtol=1e-4
    )


def test_a_body_that_nobody_wants_is_thrown_away_as_far_as_four_times_the_most():
    handler = object.__new__(module.Handler)
    for size, wanted, body, far in (
        ("9", True, 9, 9),
        ("9", False, 0, 9),
        ("200000", False, 0, 200_000),  # in several pieces
        (str(9 * BODY), False, 0, 4 * BODY),
        (None, True, 0, 0),
        ("-5", False, 0, 0),
    ):
        handler.rfile = io.BytesIO(bytes(4 * BODY + 7))
        assert len(handler.body_of(RIGHT._replace(size=size), wanted)) == body and handler.rfile.tell() == far


def test_a_request_that_breaks_off_is_one_line(capsys):
    try:
        raise ConnectionResetError("the page is gone")
    except ConnectionResetError:
        Desk.handle_error(None, None, None)
    assert capsys.readouterr().err == "collect: a request broke off: ConnectionResetError('the page is gone')\n"


def test_the_trained_reader_is_fetched_once_and_only_where_none_is_given(monkeypatch):
    line, fetched = EmbeddedWriter(3).write("a pen"), []
    monkeypatch.setattr(module, "trained_reader", lambda: fetched.append(1) or (lambda line: Reading("kept", 0.5, [0])))
    given, none = types.SimpleNamespace(read=FakeReader()), types.SimpleNamespace(read=None)
    assert Desk.reading(given, line) == {"read": "a pen", "confidence": 0.9} and fetched == []
    assert [Desk.reading(none, line) for _ in range(2)] == [{"read": "kept", "confidence": 0.5}] * 2 and fetched == [1]


# -- kept, and gone on with --------------------------------------------------------------------------------------------


def test_it_goes_on_where_it_stopped(tmp_path):
    keep_line(tmp_path, 2, line_of(strokes_of(prompts()[1]), prompts()[1]))
    keep_line(tmp_path, 3, line_of(strokes_of("an older prompt"), "an older prompt"))
    (tmp_path / "line-004.json").write_text("{")
    (tmp_path / "line-abc.json").write_text("{")
    with pytest.warns(UserWarning, match=r"line-004\.json is no line"), Desk(tmp_path, 5) as desk:
        assert desk.kept == {2, 3} and desk.lines[2] == "an older prompt" and desk.lines[3] == prompts()[3]
        assert '"kept": [2, 3]' in desk.page()[0]


def test_a_line_that_stops_between_its_files_is_whole_again(tmp_path, monkeypatch):
    text = prompts()[0]
    old, new = (line_of(strokes_of(text, seed), text) for seed in (3, 4))
    keep_line(tmp_path, 1, old)
    save = module.save_ink

    def stops(path, line):
        if path.suffix == ".inkml":
            raise KeyboardInterrupt
        save(path, line)

    monkeypatch.setattr(module, "save_ink", stops)
    with pytest.raises(KeyboardInterrupt):
        keep_line(tmp_path, 1, new)
    monkeypatch.undo()
    assert torch.equal(kept_lines(tmp_path)[1].offsets, new.offsets)
    (twin,), _ = load_ink(tmp_path / "line-001.inkml")
    assert len(twin) == len(new) != len(old)


@pytest.mark.slow
def test_a_kill_leaves_whole_lines(tmp_path):
    program = (
        "import sys, itertools\nfrom pathlib import Path\nfrom softattn.collect import keep_line\n"
        "from softattn.pen import EmbeddedWriter\nline = EmbeddedWriter(3).write('a pen'); print('on', flush=True)\n"
        f"for n in itertools.count(): keep_line(Path({str(tmp_path)!r}), 1 + n % 5, line)\n"
    )
    for wait in (0.11, 0.23, 0.37):
        process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(wait)
        process.kill()
        process.communicate()
        kept = kept_lines(tmp_path)
        assert kept and all(line.text == "a pen" for line in kept.values())
        for number in kept:
            assert len(load_ink(tmp_path / f"line-{number:03d}.inkml").lines[0]) > 50


def test_where_lines_cannot_go_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="is a file, expected a folder for the lines"):
        collect(tmp_path / "file")
    with pytest.raises(FileNotFoundError, match="there is no folder .*nowhere to make mine in"):
        collect(tmp_path / "nowhere" / "mine")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(OSError, match=f"port {port} of 127.0.0.1 cannot be had"):
            collect(tmp_path / "mine", port=port, browser=False)
    (tmp_path / "odd" / "line-001.inkml").mkdir(parents=True)
    (tmp_path / "odd" / "line-001.json").write_text(Strokes([[0, 0, 0], [9, 1, 1]], "a pen").to_json())
    with pytest.raises(OSError, match=r"line-001.inkml cannot be read \("):
        collect(tmp_path / "odd", browser=False)
    for how in ({"count": 0}, {"port": -1}, {"browser": 1}):
        with pytest.raises((TypeError, ValueError), match="^collect: "):
            collect(tmp_path / "mine", **how)


def started(*arguments):
    """`softattn collect` in a process of its own, and the address that it prints."""
    env = os.environ | {"PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "softattn", "collect", *map(str, arguments), "--no-browser"]
    # What a shell starts in the background ignores Ctrl-C, and so do its children, unless told.
    heard = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.default_int_handler)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, text=True, env=env, **pipes, **heard)
    address = re.search(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", process.stdout.readline())[0]
    process.stdout.readline()
    return process, address


@pytest.mark.slow
def test_the_command_ends_by_ctrl_c_by_its_button_and_by_the_system(tmp_path):
    for end, code in ((signal.SIGINT, 0), (signal.SIGTERM, 143), (None, 0)):
        process, address = started("-o", tmp_path / "mine", "--lines", 7)
        if end is None:
            port, token = re.search(r":(\d+)/(.+)/", address).groups()
            line = http.client.HTTPConnection("127.0.0.1", int(port), timeout=20)
            line.request("POST", f"/{token}/done", b"{}", {"Content-Type": "application/json"})
            assert line.getresponse().status == 200
        else:
            process.send_signal(end)
        out, err = process.communicate(timeout=60)
        assert process.returncode == code and "Traceback" not in err, err
        assert ("0 of 7 lines are kept in" in out) == (code == 0)
    assert (tmp_path / "mine").stat().st_mode & 0o777 == 0o700


def test_the_command_tells_what_is_wrong(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["collect", "-o", str(tmp_path / "file"), "--no-browser"]) == 1
    assert "softattn: collect: " in capsys.readouterr().err
    assert main(["collect"]) == 2


# -- the page's own steps ----------------------------------------------------------------------------------------------


def in_page(name: str, calls: list):
    """What a function of the demo answers in Node, for each list of arguments."""
    text = json.dumps(calls)
    show = "(_, v) => (v instanceof Set ? [...v] : v)"
    return json.loads(
        in_node(NODE, f"{DEMO}\nconsole.log(JSON.stringify({text}.map((some) => {name}(...some)), {show}));\n")
    )


no_node = pytest.mark.skipif(NODE is None, reason="no Node on this machine; the browser tests run the same functions")


@no_node
def test_rows_of_a_pad_become_one_line():
    """Three rows, one behind the other, with a space between; a dot that comes last stays on its row."""
    pieces = ["ab", "cd", "e"]
    square = [[[x, y, 0], [x + 10, y + 10, 1]] for x, y in ((5, 20), (30, 20), (8, 120), (33, 125), (2, 220))]
    late = [*square, [[9, 60, 2], [12, 61, 3]]]
    line, again = in_page("joined", [(square, pieces, 100), (late, pieces, 100)])
    assert [[p[1] for p in s] for s in line] == [[20, 30], [20, 30], [20, 30], [25, 35], [20, 30]]
    space = (35 + 35 + 10) / 5
    assert [s[0][0] for s in line] == pytest.approx([5, 30, 40 + space, 65 + space, 75 + 2 * space])
    assert again[-1][0][:2] == [9, 60] and again[:-1] == line


@no_node
def test_an_empty_row_is_told():
    calls = json.dumps([([[[1, 2, 0]]], ["a", "b c"]), ([], ["a"])])
    script = f"\nfor (const some of {calls}) try {{ joined(...some, 100); }} catch (e) {{ console.log(e.message); }}\n"
    out = in_node(NODE, DEMO + script)
    assert out.splitlines() == [
        "Row 2 is empty: write \u201cb c\u201d on it.",
        "The pad is empty: write on it first.",
    ]


@no_node
def test_every_prompt_fits_two_rows_and_three():
    calls = [(text, rows) for text in prompts(60) for rows in (2, 3)]
    for (text, most), rows in zip(calls, in_page("evenly", calls), strict=True):
        assert len(rows) <= most and " ".join(rows) == text and max(map(len, rows)) <= 8 + 36 / most


@no_node
def test_what_was_not_read_is_found():
    rng = np.random.default_rng(1)
    calls = [("a pen", "a pen"), ("abc", ""), ("abc", "xabcx"), ("ab", "ba")]
    calls += [tuple("".join(rng.choice(list("abc"), rng.integers(1, 9))) for _ in range(2)) for _ in range(60)]
    for (text, read), found in zip(calls, in_page("unread", calls), strict=True):
        assert found["distance"] == edit_distance(text, read)
        left = iter(read)
        assert all(c in left for k, c in enumerate(text) if k not in found["lost"]), "what was read stands in order"
        assert len(found["lost"]) <= found["distance"]


@no_node
def test_the_file_of_the_page_is_ink_of_this_book(tmp_path):
    texts = [*prompts(3), "a last one"]
    lines = [Strokes(line_of(strokes_of(t, 3 + k), t).offsets.round(decimals=2), t) for k, t in enumerate(texts)]
    stored = [{"text": line.text, "offsets": line.offsets.double().tolist()} for line in lines]
    (page,) = in_page("pageOf", [[stored]])
    path = tmp_path / "my hand.json"
    path.write_text(json.dumps(page))
    found, told = load_ink(path)
    assert "4 lines" in told and [line.text for line in found] == texts
    for got, want in zip(found, lines, strict=True):
        assert torch.allclose(got.offsets, want.offsets, atol=0.02)
    assert main(["ink", str(path), str(tmp_path / "a.pdf"), "--paper", "A4"]) == 0
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")


# -- Chromium ----------------------------------------------------------------------------------------------------------


def said(demo) -> dict:
    return json.loads(demo.get_attribute("data-numbers"))


def status(demo) -> str:
    return demo.get_by_role("status").inner_text()


def press(demo, name: str):
    demo.get_by_role("button", name=name, exact=True).click()


def write_prompt(page, demo, every: int = 2) -> int:
    """Write what the pad asks for with the mouse, row by row; how many strokes that were."""
    pad, count = demo.get_by_role("application"), 0
    pad.scroll_into_view_if_needed()
    box, view = pad.bounding_box(), [float(v) for v in pad.get_attribute("viewBox").split()]
    rows = pad.locator("text").all_text_contents() or [said(demo)["text"]]
    zoom, pitch = box["width"] / view[2], view[3] / len(rows)
    for k, text in enumerate(rows):
        line = EmbeddedWriter(3).write(text)
        xy = line.to_absolute().numpy()[:, :2]
        size = min(0.55 * pitch / np.ptp(xy[:, 1]), 560 / np.ptp(xy[:, 0]))
        place = zoom * (size * (xy - xy.min(0)) + [30, (k + 0.25) * pitch]) + [box["x"], box["y"]]
        for stroke in np.split(place, np.flatnonzero(line.offsets[:-1, 2].numpy()) + 1):
            page.mouse.move(*map(float, stroke[0]))
            page.mouse.down()
            for x, y in [*stroke[1::every], stroke[-1]]:
                page.mouse.move(float(x), float(y))
            page.mouse.up()
            count += 1
    return count


@pytest.mark.browser
def test_a_line_is_written_with_the_mouse_and_kept_in_the_folder(browser, desk, tmp_path):
    context = browser.new_context(viewport={"width": 1000, "height": 900})
    page, faults, asked = context.new_page(), [], []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
    page.on("request", lambda request: asked.append(request.url))
    page.goto(desk.address)
    page.wait_for_selector(".softattn-demo[data-demo=collect][data-state=idle]")
    demo = page.locator(".softattn-demo")
    strokes = write_prompt(page, demo)
    assert len(said(demo)["strokes"]) == strokes > 15
    press(demo, "Undo")
    assert len(said(demo)["strokes"]) == strokes - 1
    press(demo, "Redo")
    assert len(said(demo)["strokes"]) == strokes and demo.get_by_role("button", name="Redo").is_disabled()
    press(demo, "Keep")
    page.wait_for_selector("[data-state=done]")
    told, text = said(demo), prompts()[0]
    assert told["kept"] == [1] and told["number"] == 2 and told["strokes"] == []
    assert f"Line 1 is kept, and read as \u201c{text}\u201d" in status(demo)
    (line,), _ = load_ink(tmp_path / "line-001.inkml")
    assert line.text == text and int(line.offsets[:, 2].sum()) == strokes
    # in doubt: the line stays, what was not read is marked, and may be written again
    desk.read.says = "something else"
    write_prompt(page, demo, every=4)
    press(demo, "Keep")
    page.wait_for_selector("[data-state=done] mark")
    told = said(demo)
    assert told["number"] == 2 and told["kept"] == [1, 2] and told["read"] == "something else"
    assert "press Clear and write the line again" in status(demo)
    press(demo, "Clear")
    assert said(demo)["strokes"] == [] and page.locator("mark").count() == 0
    press(demo, "Line before")
    assert "takes its place" in status(demo)
    page.reload()  # it goes on where it stopped
    page.wait_for_selector("[data-state=idle]")
    assert said(demo)["number"] == 3 and "2 of 20 lines are kept" in status(demo)
    assert all(url.startswith((desk.address, "blob:", "data:")) for url in asked), asked
    press(demo, "Done")
    page.wait_for_selector("[data-state=done]")
    assert "softattn train" in status(demo)
    desk.thread.join(5)
    assert not desk.thread.is_alive() and faults == []
    context.close()


@pytest.mark.browser
def test_a_server_that_is_gone_loses_nothing_that_was_written(browser, desk):
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(desk.address)
    page.wait_for_selector("[data-state=idle]")
    demo = page.locator(".softattn-demo")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    press(demo, "Next line")
    strokes = write_prompt(page, demo, every=5)
    desk.shutdown()
    desk.server_close()
    press(demo, "Keep")
    page.wait_for_selector("[data-state=failed]")
    assert "is softattn collect still running?" in status(demo)
    assert len(said(demo)["strokes"]) == strokes and said(demo)["kept"] == []
    context.close()


@pytest.mark.browser
def test_alone_the_page_reads_keeps_and_saves_a_file(browser, alone, tmp_path):
    """On the site: the reader is fetched with the first line; what is kept survives a reload; the file is ink."""
    context = browser.new_context(viewport={"width": 1000, "height": 900}, accept_downloads=True)
    page = alone(context.new_page())
    demo = demo_html("collect", lines=["a pen", "the old hand"], card=page_card("reading"))
    page.text = f'<!doctype html><html lang="en"><link rel="icon" href="data:,"><body>{demo}</body></html>'
    page.goto("http://book.test/page.html")
    page.wait_for_selector("[data-state=idle]")
    demo = page.locator(".softattn-demo")
    assert demo.get_by_role("button", name="Save the file").is_disabled() and page.asked == ["page.html"]
    for number, text in enumerate(("a pen", "the old hand")):
        assert said(demo)["text"] == text
        write_prompt(page, demo)
        press(demo, "Keep")
        page.wait_for_function(
            "n => ((d) => d.state === 'done' && JSON.parse(d.numbers).kept.length === n)"
            "(document.querySelector('.softattn-demo').dataset)",
            arg=number + 1,
        )
        assert "read as" in status(demo)
    assert page.asked.count("reading.safetensors") == 1 and "These were all lines" in status(demo)
    page.reload()
    page.wait_for_selector("[data-state=idle]")
    assert said(demo)["kept"] == [1, 2]
    with page.expect_download() as file:
        press(demo, "Save the file")
    assert file.value.suggested_filename == "my hand.json"
    path = tmp_path / "my hand.json"
    path.write_bytes(Path(file.value.path()).read_bytes())
    lines, told = load_ink(path)
    assert [line.text for line in lines] == ["a pen", "the old hand"] and "2 lines" in told
    press(demo, "Forget my lines")
    assert said(demo)["kept"] == []
    page.reload()
    page.wait_for_selector("[data-state=idle]")
    assert said(demo)["kept"] == [] and page.faults == []
    context.close()

# Generated from book/collect.md by tools/export.py. Edit the chapter, not this file.
"""Collecting a hand: set cover, and a page that nobody else can reach.

The sentences that show a hand, and a page on this machine to write them on.

The chapter book/collect.md builds this module and explains each line.
"""

import hmac
import json
import os
import re
import secrets
import string
import sys
import threading
import warnings
import webbrowser
from collections import Counter
from collections.abc import Callable
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

from softattn.hub import instance, load, path_of, read_file, whole
from softattn.ink import inkml_text, save_ink
from softattn.page import PACES, from_pad
from softattn.pictures import demo_html
from softattn.strokes import Strokes
from softattn.text import book_corpus

__all__ = ["MOST", "collect", "prompts"]


# -- What a hand must show --
SIGNS = ".,;:!?'\"()-/&+=%#@*$"
PAIRS = 100  # of letters, the most common ones
LONGEST = 36  # characters that fit on a pad


@cache
def book_prose() -> str:
    """The prose of this book, without its code."""
    fence, kept = False, []
    for line in "".join(book_corpus()).split("\n"):
        fence ^= line.startswith("```")
        if not fence:
            kept.append(line.lstrip("`"))
    return "\n".join(kept)


# -- What a hand must show --
def pair_counts() -> Counter:
    """How often two letters stand side by side in the book's words."""
    words = re.findall(r"\b[a-z]{2,}\b", book_prose())
    return Counter(w[i : i + 2] for w in words for i in range(len(w) - 1))


@cache
def wanted() -> frozenset[str]:
    """Letters, digits, signs and pairs that a sample must show."""
    pairs = [pair for pair, _ in pair_counts().most_common(PAIRS)]
    alone = string.ascii_letters + string.digits + SIGNS
    return frozenset([*alone, *pairs])


def signs_of(line: str) -> set[str]:
    """The characters of a line, and its pairs of characters."""
    return {*line, *(line[i : i + 2] for i in range(len(line) - 1))}


# -- What a hand must show --
def plain_sentence(line: str, known: set[str]) -> bool:
    """Whether a line fits a pad, and each of its words is no name."""
    words = re.findall(r"[A-Za-z]+", line)
    return (
        16 <= len(line) <= LONGEST
        and re.fullmatch(r"[A-Z][A-Za-z ,;:']+[.?!]", line) is not None
        and all(word.lower() in known for word in words)
        and all(word.islower() for word in words[1:])
    )


@cache
def candidates() -> list[str]:
    """Lines to choose from: written by hand, then from the book."""
    file = resources.files("softattn") / "data" / "sentences.txt"
    own = [s for s in file.read_text("utf-8").splitlines() if s and len(s) <= LONGEST]
    prose = book_prose()
    known = set(re.findall(r"\b[a-z]+\b", prose))
    there = re.split(r"(?<=[.?!:]) ", " ".join(prose.split()))
    return own + sorted({s for s in there if plain_sentence(s, known)})


# -- Set cover, greedily --
def cover(lines, want, count: int, rare: bool = True) -> list[str]:
    """Lines that show `want` soon; when all is shown, once more.

    Args:
        lines: to choose from. want: what they shall show.
        count: lines that are chosen; want is shown several times if it can.
        rare: whether a sign that few lines have counts more.
    """
    shown = {line: signs_of(line) & want for line in lines}
    having = Counter(sign for signs in shown.values() for sign in signs)
    worth = {sign: 1 / n if rare else 1.0 for sign, n in having.items()}
    left, chosen = set(having), []
    while shown and len(chosen) < count:
        gain = {s: sum(worth[i] for i in sorted(signs & left)) for s, signs in shown.items()}
        best = max(gain, key=lambda line: (gain[line], line))
        if gain[best] == 0:
            if left == set(having):  # what is left to choose shows nothing
                break
            left = set(having)
            continue
        chosen.append(best)
        left -= shown.pop(best)
    return chosen


# -- Set cover, greedily --
MOST = 60  # lines


def prompts(count: int = 20) -> list[str]:
    """Lines to write, so that a hand is seen whole.

    Args:
        count: how many; 20 show all letters, digits, common signs and the
            100 most common pairs of letters.

    Returns: the lines.
    Raises: TypeError, ValueError for a count that is not 1 to 60.
    """
    count = whole("prompts", "count", count, 1, MOST)
    return cover(candidates(), wanted(), count)


# -- A server for one reader --
BODY = 4 * 2**20  # bytes of a request
TOKEN = 24  # random bytes
DOORS = {("GET", ""), ("POST", "line"), ("POST", "done")}


class Asked(NamedTuple):
    """What a request says of itself; size is its Content-Length."""

    method: str
    path: str
    host: str
    origin: str | None = None
    kind: str = ""
    size: str | None = None

    @property
    def door(self) -> tuple[str, str]:
        """Its method, and what the path names behind the token."""
        return self.method, self.path.lstrip("/").partition("/")[2]


# -- A server for one reader --
def refusal(asked: Asked, token: str, port: int) -> tuple[int, str] | None:
    """Why a request is refused: a status and a sentence; None: it is not."""
    own = f"127.0.0.1:{port}"
    if asked.host not in (own, f"localhost:{port}"):
        return 403, f"this is {own}, not {asked.host[:60]!r}"
    if asked.origin not in (None, f"http://{asked.host}"):
        return 403, f"the page {asked.origin[:60]!r} asks, not that of {own}"
    given = asked.path.lstrip("/").partition("/")[0].encode("utf-8", "replace")
    if not hmac.compare_digest(given, token.encode()):
        return 403, ("the address lacks its token: open the one that `softattn collect` printed, or start it again")
    if asked.door not in DOORS:
        return 404, f"there is no {asked.door[1][:60]!r} here"
    return body_refusal(asked) if asked.method == "POST" else None


# -- A server for one reader --
def body_refusal(asked: Asked) -> tuple[int, str] | None:
    """Why the body of a request is not even read."""
    if asked.kind.partition(";")[0].strip() != "application/json":
        return 415, f"the request is {asked.kind[:60]!r}, not application/json"
    if asked.size is None:
        return 411, "the request does not say how long it is"
    if not asked.size.isascii() or not asked.size.isdigit():
        return 400, f"the request's length is {asked.size[:60]!r}, no number"
    if int(asked.size[:20]) > BODY:
        return 413, f"the request is larger than {BODY:,} bytes"
    return None


# -- A line is kept whole, or not at all --
POINTS = 50_000  # of a line


def line_of(strokes, text: str) -> Strokes:
    """The strokes of a pad, [[[x, y, seconds], ...], ...], as a line."""
    try:
        rows = [[x, y, t, float(k == len(stroke) - 1)] for stroke in strokes for k, (x, y, t) in enumerate(stroke)]
    except (TypeError, ValueError):
        raise ValueError("the strokes are no rows of x, y, seconds") from None
    if len(rows) > POINTS:
        raise ValueError(f"{len(rows):,} points, more than a line has")
    line = from_pad(rows, text)
    pace = len(line) / len(text)
    if not PACES[0] <= pace <= PACES[1]:
        raise ValueError(f"{len(line)} points for {len(text)} characters: do your strokes write {text!r}?")
    return line


# -- A line is kept whole, or not at all --
def keep_line(folder: Path, number: int, line: Strokes) -> None:
    """Write line-NNN.json, then line-NNN.inkml, each whole or not at all."""
    for kind in (".json", ".inkml"):
        save_ink(folder / f"line-{number:03d}{kind}", line)


def kept_lines(folder: Path) -> dict[int, Strokes]:
    """The lines of a folder by their numbers; InkML is mended."""
    found = {}
    for path in sorted(folder.glob("line-[0-9][0-9][0-9].json")):
        try:
            line = Strokes.from_json(read_file(path, BODY))
            found[int(path.stem[5:])] = line
        except ValueError as err:
            warnings.warn(f"collect: {path} is no line: {err}", stacklevel=2)
            continue
        twin = path.with_suffix(".inkml")
        if not twin.exists() or twin.read_text("utf-8") != inkml_text(line):
            save_ink(twin, line)
    return found


# -- The page, served --
_SHELL = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Your hand</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,"><style>
body { margin: 0; padding: 1rem; font-family: system-ui, sans-serif;
  background: #fff; color: #1f2328; }
[data-theme="dark"] body { background: #14181d; color: #e6e8eb; }
main { max-width: 48rem; margin: auto; }
main .softattn-demo { max-width: none; }
h1 { font-size: 1.4rem; margin: 0 0 0.75rem; }
</style><script nonce="$nonce">
const dark = matchMedia("(prefers-color-scheme: dark)");
const turn = () => {
  document.documentElement.dataset.theme = dark.matches ? "dark" : "light";
};
dark.addEventListener("change", turn);
turn();
</script></head><body><main><h1>Your hand</h1>
$demo</main></body></html>
""")


# -- The page, served --
def served_page(lines: list[str], kept: list[int], folder: str) -> tuple:
    """The page, and the policy that its head shall say."""
    nonce = secrets.token_urlsafe(12)
    demo = demo_html("collect", lines=lines, kept=kept, folder=folder)
    script = '<script type="module"'
    demo = demo.replace(script, f'{script} nonce="{nonce}"', 1)
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}' blob: "
        "'wasm-unsafe-eval'; style-src 'unsafe-inline'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    return _SHELL.substitute(nonce=nonce, demo=demo), policy


# -- The page, served --
class Handler(BaseHTTPRequestHandler):
    """One request: refused with a sentence, or answered."""

    server: "Desk"  # type: ignore[assignment]
    server_version, sys_version = "softattn", ""
    timeout = 30  # seconds that a request may take to arrive

    def do_GET(self) -> None:
        head = self.headers
        asked = Asked(
            self.command,
            self.path,
            head.get("Host", ""),
            head.get("Origin"),
            head.get("Content-Type", ""),
            head.get("Content-Length"),
        )
        no = refusal(asked, self.server.token, self.server.server_port)
        body = self.body_of(asked, no is None)
        if no is not None:
            self.send(no[0], {"fault": no[1]})
        elif asked.method == "GET":
            self.send_page(*self.server.page())
        else:
            self.send(*self.server.answer(asked.door[1], body))
            if asked.door[1] == "done":
                threading.Thread(target=self.server.shutdown).start()

    do_POST = do_GET

    def body_of(self, asked: Asked, wanted: bool) -> bytes:
        """The body; one that nobody wants is thrown away, if not too long."""
        size = asked.size if (asked.size or "").isdecimal() else "0"
        left = min(int(str(size)[:12]), 4 * BODY)
        if wanted:
            return self.rfile.read(left)
        while left > 0 and (got := len(self.rfile.read(min(left, 2**16)))):
            left -= got
        return b""

    def send(self, status: int, said: dict) -> None:
        data = json.dumps(said, allow_nan=False).encode()
        self.send_data(status, "application/json", data, "default-src 'none'")

    def send_page(self, page: str, policy: str) -> None:
        self.send_data(200, "text/html; charset=utf-8", page.encode(), policy)

    def send_data(self, status: int, kind: str, data: bytes, policy: str):
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(data)),
            "Content-Security-Policy": policy,
            "Cache-Control": "no-store",
            "Referrer-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args) -> None:
        """Nothing: the address holds the token."""


# -- The page, served --
def trained_reader() -> Callable[[Strokes], Any]:
    """A function that reads one line, by the weights `reading`."""
    reader: Any = load("reading")
    return lambda line: reader.read([line])[0]


class Desk(ThreadingHTTPServer):
    """Where lines are handed in: a server at 127.0.0.1 with a token.

    Args:
        folder: where lines are kept; it exists.
        count: lines that are asked for. port: 0 takes a free one.
        read: what reads a line, Strokes -> Reading; None: the weights.
    """

    daemon_threads = True

    def __init__(self, folder: Path, count=20, port: int = 0, read=None):
        self.folder, self.read = folder, read
        self.token = secrets.token_urlsafe(TOKEN)
        self.lock = threading.Lock()
        kept = kept_lines(folder)
        self.lines = prompts(count)
        for number, line in kept.items():  # of another version, perhaps
            if number <= count and line.text.strip():
                self.lines[number - 1] = line.text
        self.kept = {number for number in kept if number <= count}
        super().__init__(("127.0.0.1", port), Handler)

    @property
    def address(self) -> str:
        """What to open in a browser of this machine."""
        return f"http://127.0.0.1:{self.server_port}/{self.token}/"

    def page(self) -> tuple[str, str]:
        """The page, as things stand, and its policy."""
        return served_page(self.lines, sorted(self.kept), str(self.folder))

    def answer(self, door: str, body: bytes) -> tuple[int, dict]:
        """What a request gets: a status, and what its page shall know."""
        try:
            said = json.loads(body)
            if not isinstance(said, dict):
                raise ValueError("the request is no JSON object")
            more = self.take(said) if door == "line" else {}
        except (TypeError, ValueError, ArithmeticError, RuntimeError) as err:
            return 400, {"fault": f"not kept: {err!s:.300}"}
        except OSError as err:
            return 500, {"fault": f"not kept: {err!s:.300}"}
        return 200, {"kept": sorted(self.kept), **more}

    def take(self, said: dict) -> dict:
        """Keep a line, then read it."""
        number, most = said.get("number"), len(self.lines)
        number = whole("collect", "number", number, 1, most)
        line = line_of(said.get("strokes"), self.lines[number - 1])
        with self.lock:
            keep_line(self.folder, number, line)
            self.kept.add(number)
            return {"number": number, **self.reading(line)}

    def handle_error(self, request, client_address) -> None:
        """A line for a request that broke off; the others go on."""
        err = sys.exc_info()[1]
        print(f"collect: a request broke off: {err!r:.200}", file=sys.stderr)

    def reading(self, line: Strokes) -> dict:
        """What the reader makes of a line, if there is a reader."""
        try:
            self.read = self.read or trained_reader()
            found = self.read(line)
        except (ValueError, OSError, RuntimeError) as err:
            return {"read": None, "why": f"{err!s:.200}"}
        return {"read": found.text, "confidence": found.confidence}


# -- The page, served --
def desk_at(folder: Path, count: int, port: int) -> Desk:
    """A desk over a folder that is made, for its owner alone."""
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"collect: {folder} is a file, expected a folder for the lines")
    if not folder.exists() and not folder.absolute().parent.is_dir():
        raise FileNotFoundError(f"collect: there is no folder {folder.absolute().parent} to make {folder.name} in")
    folder.mkdir(mode=0o700, exist_ok=True)
    try:
        return Desk(folder, count, port)
    except OSError as err:
        if err.filename is not None:  # a line that is kept, not the port
            raise OSError(f"collect: {err.filename} cannot be read ({err.strerror})") from err
        raise OSError(
            f"collect: port {port} of 127.0.0.1 cannot be had ({err.strerror}); port 0 takes a free one"
        ) from err


# -- The page, served --
def served(desk: Desk, browser: bool) -> None:
    """Serve until the page says that it is done, or Ctrl-C."""
    try:
        print(f"The page, for this machine alone: {desk.address}")
        print("Done ends it, or Ctrl-C; who starts again goes on.", flush=True)
        if browser:
            webbrowser.open(desk.address)
        desk.serve_forever(poll_interval=0.1)
    except KeyboardInterrupt:
        print()


# -- The page, served --
def collect(
    folder: str | os.PathLike,
    count: int = 20,
    *,
    port: int = 0,
    browser: bool = True,
) -> list[Path]:
    """Collect a hand: serve a page to write lines on, until it is done.

    Args:
        folder: where the lines go, line-001.json and line-001.inkml on;
            made if it is not there. Lines that it holds are not asked for.
        count: lines to write, 1 to 60.
        port: of 127.0.0.1; 0 takes a free one.
        browser: whether to open the page.

    It ends by the page's button "Done" or by Ctrl-C.

    Returns: the files of the lines, .json.
    Raises: TypeError, ValueError, OSError for what cannot be served.
    """
    folder = path_of("collect", folder)
    count = whole("collect", "count", count, 1, MOST)
    port = whole("collect", "port", port, 0, 65_535)
    instance("collect", "browser", browser, bool)
    with desk_at(folder, count, port) as desk:
        served(desk, browser)
    print(f"{len(desk.kept)} of {count} lines are kept in {folder}")
    return sorted(folder.glob("line-[0-9][0-9][0-9].json"))

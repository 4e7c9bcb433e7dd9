"""Build the site from the chapters, and serve it.

python -m tools.build_site build [--fresh]       write _build/html; --fresh forgets pages and outputs first
python -m tools.build_site serve [--port 8000]   serve _build/html to this machine
python -m tools.build_site links                 follow the links that leave the site
"""

import argparse
import functools
import hashlib
import http.server
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Jupyter Book has no __main__; called like this it finds `tools`, which book/_ext imports, in the folder it runs in.
JUPYTER_BOOK = ["-c", "from jupyter_book.cli.main import main; main()"]


def built_from(root: Path) -> str:
    """A digest of everything that the site is built from."""
    total = hashlib.sha256()
    names = ("_config.yml", "_toc.yml", "requirements.lock", "book", "softattn", "bench/results", "tools", "notebooks")
    for name in names:
        paths = sorted((root / name).rglob("*")) if (root / name).is_dir() else [root / name]
        for path in paths:
            if path.is_file() and "__pycache__" not in path.parts:
                total.update(path.relative_to(root).as_posix().encode() + b"\0")
                total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def build(root: Path = ROOT, fresh: bool = False) -> int:
    """Build the site; every warning is an error.

    The outputs of the chapters are kept in _build/.jupyter_cache and used again while neither the chapter nor what it
    imports has changed; those that have are executed first, two at a time. Pages are written anew whenever anything
    has changed: a second run over kept ones would not repeat their warnings. What the tools print goes to
    _build/build.log.

    Args:
        root: the repository.
        fresh: forget the stored outputs too, so that every chapter is executed.

    Returns:
        The exit code of the build. Where it is not 0, the pages stand in _build/html-failed.
    """
    out, html = root / "_build", root / "_build" / "html"
    state, stamp = built_from(root), root / "_build" / "built-from.txt"
    if not fresh and (html / "index.html").exists() and stamp.exists() and stamp.read_text() == state:
        print(f"nothing has changed: {html / 'index.html'}")
        return 0
    for old in [out] if fresh else [out / ".doctrees", html, out / "html-failed", out / "jupyter_execute"]:
        shutil.rmtree(old, ignore_errors=True)
    stamp.unlink(missing_ok=True)
    out.mkdir(exist_ok=True)
    env = {**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg", "PYTHONHASHSEED": "0"}
    env.pop("SOFTATTN_DATA", None)  # the pages are the same for everyone
    env["SOFTATTN_DEVICE"] = "cpu"
    steps = {
        "executing chapters": ["-m", "tools.execute"],
        "writing pages": [*JUPYTER_BOOK, "build", ".", "-W", "-n", "--keep-going"],
        "copying weights": ["-m", "tools.site_weights"],
    }
    start = time.monotonic()
    with (out / "build.log").open("w+", encoding="utf-8") as log:
        for words, command in steps.items():
            print(f"{words} ...", flush=True)
            here = log.seek(0, os.SEEK_END)
            began = time.monotonic()
            code = subprocess.run([sys.executable, *command], cwd=root, env=env, stdout=log, stderr=log).returncode
            if code:
                log.flush()
                log.seek(here)
                lines = log.read().splitlines()
                told = [line for line in lines if "WARNING" in line or "ERROR" in line][:20]
                print("\n".join([*lines[-25:], *told]), file=sys.stderr)
                if html.exists():
                    html.rename(out / "html-failed")
                print(f"the site was not built: {words} failed; all that was said is in {log.name}", file=sys.stderr)
                return code
            print(f"{words}: {time.monotonic() - began:.0f} s", flush=True)
    stamp.write_text(state)
    print(f"built in {time.monotonic() - start:.0f} s: {html / 'index.html'} (log: {out / 'build.log'})")
    return 0


def serve(root: Path = ROOT, port: int = 8000) -> int:
    """Serve the built site on 127.0.0.1 until interrupted.

    Args:
        root: the repository.
        port: of the server; 0 lets the system choose.

    Returns:
        1 if there is no site or the port is taken, else 0.
    """
    html = root / "_build" / "html"
    if not (html / "index.html").exists():
        print(f"there is no site at {html}: build it first (make book)", file=sys.stderr)
        return 1
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(html))
    try:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError as error:
        print(f"port {port} cannot be used ({error.strerror}); choose another with --port", file=sys.stderr)
        return 1
    with server:
        print(f"http://127.0.0.1:{server.server_port}/  (Ctrl-C ends it)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
    return 0


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build").add_argument("--fresh", action="store_true", help="execute every chapter again")
    commands.add_parser("serve").add_argument("--port", type=int, default=8000)
    commands.add_parser("links")
    options = parser.parse_args(argv)
    if options.command == "links":
        return subprocess.run(
            [sys.executable, *JUPYTER_BOOK, "build", ".", "--builder", "linkcheck"], cwd=ROOT
        ).returncode
    if options.command == "build":
        return build(fresh=options.fresh)
    return serve(port=options.port)


if __name__ == "__main__":
    sys.exit(main())

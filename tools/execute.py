"""Execute the chapters whose stored outputs are stale, two at a time, into the cache that the pages are built from.

python -m tools.execute          called by `python -m tools.build_site build`; prints a line for each chapter

A chapter is stale when its cells, or anything that book/_ext/cache_key.py knows it reads, have changed. Each runs in a
process of its own with one thread, in the folder book/; the build then finds all outputs in the cache.
"""

import argparse
import importlib.util
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import nbformat

from tools import toc
from tools.markdown import EXTENSIONS

ROOT = toc.ROOT
TIMEOUT = 120  # seconds of one cell, as `timeout` in _config.yml
MEMORY = 3.0  # GiB that a chapter may take; with less than twice as much at hand they run one by one


def _digest() -> tuple[Callable[[str, Path], str], Callable[[str, str], str]]:
    """`digest` and `with_digest` of book/_ext/cache_key.py, which Sphinx loads from that folder."""
    path = Path(__file__).resolve().parent.parent / "book" / "_ext" / "cache_key.py"
    spec = importlib.util.spec_from_file_location("cache_key", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.digest, module.with_digest


def notebook(path: Path, root: Path) -> nbformat.NotebookNode:
    """The chapter as the build reads it: the cache knows it by its cells and its kernelspec."""
    from myst_nb.core.read import read_myst_markdown_notebook
    from myst_parser.config.main import MdParserConfig

    digest, with_digest = _digest()
    text = with_digest(path.read_text(encoding="utf-8"), digest(path.stem, root))
    config = MdParserConfig(enable_extensions=EXTENSIONS)
    return read_myst_markdown_notebook(text, config=config, add_source_map=True, path=path)


def run(text: str, folder: str) -> tuple[str, float, str]:
    """Execute a notebook; its text with outputs, the seconds, and what went wrong ("" if nothing)."""
    from jupyter_cache.executors.utils import single_nb_execution

    book = nbformat.reads(text, as_version=4)
    start = time.monotonic()
    done = single_nb_execution(book, cwd=folder, allow_errors=False, timeout=TIMEOUT, meta_override=True)
    return nbformat.writes(book), time.monotonic() - start, done.exc_string or "" if done.err is not None else ""


def workers() -> int:
    """Two, where there are two processors and the memory for it."""
    try:
        rows = dict(line.split(":") for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines())
        free = int(rows["MemAvailable"].split()[0]) / 2**20
    except (OSError, KeyError, ValueError):
        free = 2 * MEMORY
    return 2 if (os.cpu_count() or 1) > 1 and free >= 2 * MEMORY else 1


def stale(root: Path = ROOT) -> tuple[dict[Path, nbformat.NotebookNode], int]:
    """The chapters to execute, longest first as far as is known from last time, and how many need nothing."""
    from jupyter_cache import get_cache

    cache = get_cache(root / "_build" / ".jupyter_cache")
    seconds: dict[str, float] = {}
    for record in cache.list_cache_records():
        seconds[str(record.uri)] = record.data.get("execution_seconds", 0.0)
    found, fresh = {}, 0
    for page in toc.chapters(root):
        if page.path.suffix != ".md" or not toc.read(page.path).cells:
            continue
        book = notebook(page.path, root)
        try:
            cache.match_cache_notebook(book)
            fresh += 1
        except KeyError:
            found[page.path] = book
    return dict(sorted(found.items(), key=lambda pair: -seconds.get(str(pair[0]), 60.0))), fresh


def execute(root: Path = ROOT) -> int:
    """Execute what is stale and store the outputs; 1 if a chapter fails."""
    from jupyter_cache import get_cache
    from jupyter_cache.base import CacheBundleIn

    cache = get_cache(root / "_build" / ".jupyter_cache")
    todo, fresh = stale(root)
    many = min(workers(), max(1, len(todo)))
    print(f"chapters to execute: {len(todo)}, {many} at a time; outputs known: {fresh}", flush=True)
    status = 0
    with ProcessPoolExecutor(many, mp_context=get_context("spawn")) as pool:
        jobs = {pool.submit(run, nbformat.writes(book), str(path.parent)): path for path, book in todo.items()}
        for job in as_completed(jobs):
            path = jobs[job]
            text, seconds, fault = job.result()
            print(f"{seconds:6.1f} s  {path.stem}" + (f"  FAILED\n{fault}" if fault else ""), flush=True)
            if fault:
                status = 1
                continue
            made = nbformat.reads(text, as_version=4)
            bundle = CacheBundleIn(made, str(path), data={"execution_seconds": seconds})
            cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
    return status


def main(argv: list[str] | None = None) -> int:
    argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0]).parse_args(argv)
    return execute()


if __name__ == "__main__":
    sys.exit(main())

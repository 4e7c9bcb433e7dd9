"""Options, markers and fixtures that every test file shares."""

import os
import re
import shutil
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent


def pytest_addoption(parser):
    parser.addoption("--device", default="cpu", help="device for the tests of the exported modules: cpu, cuda, mps")


@pytest.fixture(scope="session")
def device(request) -> torch.device:
    return torch.device(request.config.getoption("--device"))


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def browser():
    """Chromium without a window, for pages that a test makes itself."""
    api = pytest.importorskip("playwright.sync_api")
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
    with api.sync_playwright() as play:
        found = play.chromium.launch(executable_path=path, args=flags)
        yield found
        found.close()


@pytest.fixture(scope="session")
def alone():
    """Puts a browser's page at http://book.test, with the weights beside it and nothing else in the world.

    The page gets `text`, what stands there; `asked`, the files that it fetched; `faults`, what its console told.
    """
    weights = ROOT / "softattn" / "weights"

    def put(page):
        page.faults, page.asked = [], []
        page.on("pageerror", lambda error: page.faults.append(str(error)))
        page.on("console", lambda m: page.faults.append(m.text) if m.type == "error" else None)

        def answer(route):
            name = route.request.url.split("?")[0].rsplit("/", 1)[1]
            page.asked.append(name)
            if name == "page.html":
                route.fulfill(body=page.text, content_type="text/html")
            elif (weights / name).is_file():
                route.fulfill(body=(weights / name).read_bytes())
            else:
                route.fulfill(status=404)

        page.route(re.compile("^http://book.test/"), answer)
        page.set_default_timeout(120_000)
        return page

    return put


def pytest_collection_modifyitems(items):
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    for item in items:
        if item.get_closest_marker("data") and not os.environ.get("SOFTATTN_DATA"):
            item.add_marker(pytest.mark.skip(reason="SOFTATTN_DATA is not set: the licensed data is not here"))
        if item.get_closest_marker("browser") and not chromium:
            item.add_marker(pytest.mark.skip(reason="no Chromium on this machine: apt-get install chromium"))
        if item.get_closest_marker("site") and not (ROOT / "_build" / "html" / "index.html").exists():
            item.add_marker(pytest.mark.skip(reason="the site is not built: run `make book` first"))

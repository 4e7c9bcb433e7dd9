"""Options, markers and fixtures that every test file shares."""

import os
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


def pytest_collection_modifyitems(items):
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    for item in items:
        if item.get_closest_marker("data") and not os.environ.get("SOFTATTN_DATA"):
            item.add_marker(pytest.mark.skip(reason="SOFTATTN_DATA is not set: the licensed data is not here"))
        if item.get_closest_marker("browser") and not chromium:
            item.add_marker(pytest.mark.skip(reason="no Chromium on this machine: apt-get install chromium"))
        if item.get_closest_marker("site") and not (ROOT / "_build" / "html" / "index.html").exists():
            item.add_marker(pytest.mark.skip(reason="the site is not built: run `make book` first"))

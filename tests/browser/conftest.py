"""A running demo server and real Chromium, in a network that holds nothing but ``lo``."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from loadtest.browser import chromium
from loadtest.network import MARK
from loadtest.server_process import ServerProcess


@pytest.fixture(scope="session", autouse=True)
def _own_network() -> None:
    if not os.environ.get(MARK):
        pytest.fail(
            "browser tests need a network of their own: make test, or .ci/in_own_network .venv/bin/pytest"
        )


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo county as its first start leaves it. A start on a copy takes half the time of a first one."""
    data = tmp_path_factory.mktemp("seeded") / "demo"
    process = ServerProcess(data, ["--no-devices"])
    assert process.stop() == 0, process.log_text()[-4000:]
    process.log_path.unlink()
    return data


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory, seeded: Path) -> Path:
    """A copy of it that is this module's own."""
    return shutil.copytree(seeded, tmp_path_factory.mktemp("county") / "demo")


@pytest.fixture(scope="module")
def server(county: Path) -> Iterator[ServerProcess]:
    """`huizhen demo` with its two simulated devices."""
    process = ServerProcess(county)
    yield process
    assert process.stop() == 0, process.log_text()[-4000:]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """For one module: while it is open, Playwright's event loop runs in this thread, and no other can."""
    with chromium() as one:
        yield one

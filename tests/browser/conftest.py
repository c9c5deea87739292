"""A running demo server and real Chromium, in a network that holds nothing but ``lo``."""

from __future__ import annotations

import os
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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """`huizhen demo` with its two simulated devices, on data of this module's own."""
    process = ServerProcess(Path(tmp_path_factory.mktemp("demo")))
    yield process
    assert process.stop() == 0, process.log_text()[-4000:]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """For one module: while it is open, Playwright's event loop runs in this thread, and no other can."""
    with chromium() as one:
        yield one

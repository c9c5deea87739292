"""The county on a counted clock, and a running server, for the tests here that ask for one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.server.consults.world import World
from tests.server.running import caller, server

__all__ = ["caller", "server", "world"]


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    county = await World.begin(tmp_path)
    yield county
    await county.end()

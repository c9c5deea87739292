"""Swaps and leave as they are listed: what waits is never pushed out, what is long over is gone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from server.oncall import asking
from server.oncall.limits import ASKS_SHOWN_S
from server.oncall.models import AskRow
from signaling.personal import Personal
from tests.server.consults.world import World

DAY = 86_400.0


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    county = await World.begin(tmp_path)
    yield county
    await county.end()


def leave(
    world: World, name: str, stage: str, *, asked_at: float, ends: float, by: str = "cardio1"
) -> AskRow:
    return AskRow(
        id=name, ask="leave", stage=stage, version=1, asker_id=f"prc-{by}", starts=ends - DAY, ends=ends,
        reason=Personal(""), asked_at=asked_at, expires_at=ends,
    )  # fmt: skip


async def listed(world: World, username: str) -> list[str]:
    async with world.services.database.read() as session:
        return [one.id for one in await asking.asks_for(session, world.actor(username), world.now)]


async def test_what_waits_stands_first_and_what_is_over_goes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = world.now
    async with world.services.database.write() as session:
        session.add_all([
            leave(world, "waits", "proposed", asked_at=now - 9 * DAY, ends=now + DAY),
            leave(world, "holds", "approved", asked_at=now - DAY, ends=now + DAY, by="neuro1"),
            leave(world, "lately", "refused", asked_at=now - 2 * DAY, ends=now - ASKS_SHOWN_S + 60),
            leave(world, "long-ago", "approved", asked_at=now - 3 * DAY, ends=now - ASKS_SHOWN_S - 60),
        ])  # fmt: skip
    assert await listed(world, "desk") == ["waits", "holds", "lately"]
    assert await listed(world, "cardio1") == ["waits", "lately"]
    assert await listed(world, "village") == []
    monkeypatch.setattr(asking, "NOTICES_KEPT", 1)
    assert await listed(world, "regulator") == ["waits"]

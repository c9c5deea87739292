"""A service that hangs holds neither rings nor notices that go elsewhere; too many that wait are given up."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import select

from media.errors import LocalProtocolError
from server.config import ReachConfig
from server.errors import BUSY
from server.reach import outbox
from server.reach.lanes import Rank
from server.reach.limits import AT_ONCE, CLAIM_S, NOTICES_AT_ONCE
from server.reach.messages import trial_body
from server.reach.models import DeliveryRow
from server.reach.service import Reach
from tests.server.consults.world import World
from tests.server.reach.fake_push import Browser, FakeServices

SECRET = "a-secret-of-24-letters-or-more"
LONG_S = 3600.0
HANGS_S = 600.0
"""So long that what waited for a service that hangs would never come."""


@dataclass
class Town:
    """A server with two gateways: one answers, one takes requests and says nothing."""

    world: World
    reach: Reach
    good: FakeServices
    slow: FakeServices

    async def put(self, at: FakeServices, rank: Rank, count: int) -> None:
        path = outbox.Path(outbox.WEBHOOK, f"{at.origin}/hook", f"{at.origin}/hook")
        whom, now = self.world.actor("cardio1").id, self.world.now
        rows = [
            outbox.delivery(whom, path, f"{rank.name}-{number}", trial_body(), now, now + LONG_S, rank)
            for number in range(count)
        ]
        async with self.world.services.database.write() as session:
            await outbox.put(session, rows)
        self.reach.changed()

    async def states(self) -> Counter[tuple[int, str]]:
        async with self.world.services.database.read() as session:
            return Counter((row.rank, row.state) for row in await session.scalars(select(DeliveryRow)))


@pytest_asyncio.fixture
async def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Town]:
    monkeypatch.setattr("server.reach.sending.REQUEST_S", HANGS_S)
    good, slow = FakeServices(Browser()), FakeServices(Browser())
    await good.start()
    await slow.start()
    slow.hold()
    world = await World.begin(tmp_path)
    hooks = (f"{slow.origin}/hook", f"{good.origin}/hook")
    world.services.config = replace(
        world.services.config, reach=ReachConfig(webhooks=hooks, webhook_secret=SECRET)
    )
    reach = Reach(world.services)
    yield Town(world, reach, good, slow)
    slow.let_go()
    await reach.stop()
    await world.end()
    await good.stop()
    await slow.stop()


async def test_a_service_that_hangs_holds_nobody_else(town: Town) -> None:
    await town.put(town.slow, Rank.NOTICE, 3 * NOTICES_AT_ONCE)
    await town.put(town.slow, Rank.RING, 3 * AT_ONCE)
    await town.reach.start()
    held = AT_ONCE + NOTICES_AT_ONCE
    async with asyncio.timeout(HANGS_S / 10):
        await town.slow.wait_for(hooks=held)
        await town.put(town.good, Rank.NOTICE, NOTICES_AT_ONCE + 1)
        await town.put(town.good, Rank.RING, AT_ONCE + 1)
        await town.good.wait_for(hooks=AT_ONCE + 1 + NOTICES_AT_ONCE + 1)
    assert len(town.slow.hooks) == held
    town.slow.let_go()
    await asyncio.wait_for(town.slow.wait_for(hooks=3 * held), HANGS_S / 10)
    await town.reach.stop()  # what is under way is written down
    assert set((await town.states()).keys()) == {(Rank.RING, "sent"), (Rank.NOTICE, "sent")}


async def test_a_server_that_stops_waits_for_no_service_that_hangs(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.reach.courier.LEAVING_S", 0.01)
    await town.put(town.slow, Rank.RING, 2)
    await town.reach.start()
    async with asyncio.timeout(HANGS_S / 10):
        await town.slow.wait_for(hooks=2)
        await town.reach.stop()
    assert await town.states() == {(Rank.RING, "waiting"): 2}
    # What was given up is due again, for this server or another, and arrives under the same name.
    town.slow.let_go()
    town.world.clock.advance(CLAIM_S)
    assert await town.reach.courier.run_due(town.world.now) == 2
    assert len({headers["webhook-id"] for _, headers in town.slow.hooks}) == 2
    assert await town.states() == {(Rank.RING, "sent"): 2}


async def test_a_try_that_the_database_failed_is_due_again(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise LocalProtocolError(BUSY, "locked")

    await town.put(town.good, Rank.RING, AT_ONCE + 1)
    with monkeypatch.context() as locked:
        locked.setattr(town.reach.courier, "_webhook", fail)
        # A lane that would stay full would keep the last one back.
        assert await town.reach.courier.run_due(town.world.now) == AT_ONCE + 1
    assert await town.states() == {(Rank.RING, "waiting"): AT_ONCE + 1}
    town.world.clock.advance(CLAIM_S)
    assert await town.reach.courier.run_due(town.world.now) == AT_ONCE + 1
    assert await town.states() == {(Rank.RING, "sent"): AT_ONCE + 1}


async def test_notices_of_a_service_that_is_down_give_way_and_leave_its_rings(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.reach.lanes.NOTICES_WAITING", 3)
    await town.put(town.slow, Rank.RING, 5)
    await town.put(town.good, Rank.NOTICE, 3)
    await town.put(town.slow, Rank.NOTICE, 7)
    assert await town.states() == {
        (Rank.RING, "waiting"): 5,
        (Rank.NOTICE, "waiting"): 3 + 3,
        (Rank.NOTICE, "dead"): 4,
    }

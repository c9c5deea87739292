"""Two nodes on one PostgreSQL: every delivery leaves once, and none is lost with the node that had it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest_asyncio
from sqlalchemy import delete, select, update

from server.archive.models import Practitioner
from server.config import ReachConfig
from server.oncall.models import LayerRow
from server.oncall.watch import RotaWatch
from server.reach import outbox
from server.reach.lanes import Lane, Rank
from server.reach.limits import AT_ONCE, CLAIM_S
from server.reach.messages import trial_body
from server.reach.models import DeliveryRow
from server.reach.service import Reach
from signaling.personal import Personal
from tests.server.consults.world import DESK, World
from tests.server.postgres import postgres, postgres_url
from tests.server.reach.fake_push import Browser, FakeServices, check_signature

__all__ = ["postgres", "postgres_url"]

SECRET = "a-secret-of-24-letters-or-more"
LONG_S = 3600.0


@dataclass
class Nodes:
    """Two server processes' worth of reaching on one database and one clock, and the gateway they send to."""

    world: World
    one: Reach
    two: Reach
    gateway: FakeServices

    async def put(self, count: int) -> None:
        """So many deliveries, due now."""
        address, now = f"{self.gateway.origin}/hook", self.world.now
        path = outbox.Path(outbox.WEBHOOK, address, address)
        whom = self.world.actor("cardio1").id
        rows = [
            outbox.delivery(whom, path, f"tst-{number}", trial_body(), now, now + LONG_S)
            for number in range(count)
        ]
        async with self.world.services.database.write() as session:
            await outbox.put(session, rows)

    async def rows(self) -> Counter[tuple[str, int]]:
        """How many are in each state, with so many tries."""
        async with self.world.services.database.read() as session:
            return Counter((row.state, row.tries) for row in await session.scalars(select(DeliveryRow)))

    def arrived(self) -> Counter[str]:
        return Counter(headers["webhook-id"] for _, headers in self.gateway.hooks)


def reach(world: World, gateway: FakeServices) -> Reach:
    config = ReachConfig(webhooks=(f"{gateway.origin}/hook",), webhook_secret=SECRET)
    world.services.config = replace(world.services.config, reach=config)
    return Reach(world.services)


@pytest_asyncio.fixture
async def nodes(postgres_url: str, tmp_path: Path) -> AsyncIterator[Nodes]:
    gateway = FakeServices(Browser())
    await gateway.start()
    first = await World.begin(tmp_path, postgres_url)
    second = World.on(tmp_path, first.clock, postgres_url)
    one, two = reach(first, gateway), reach(second, gateway)
    yield Nodes(first, one, two, gateway)
    for each in (one, two):
        await each.stop()
    for world in (first, second):
        await world.end()
    await gateway.stop()


async def test_a_delivery_leaves_once(nodes: Nodes) -> None:
    count = 3 * AT_ONCE + 1
    await nodes.put(count)
    now = nodes.world.now
    tried = await asyncio.gather(nodes.one.courier.run_due(now), nodes.two.courier.run_due(now))
    assert sum(tried) == count
    assert set(nodes.arrived().values()) == {1}
    assert await nodes.rows() == {("sent", 1): count}


async def test_what_one_is_claiming_the_other_neither_waits_for_nor_takes(nodes: Nodes) -> None:
    await nodes.put(AT_ONCE + 3)
    now = nodes.world.now
    async with nodes.world.services.database.write() as session:
        lane = Lane(Rank.RING, f"{nodes.gateway.origin}/hook")
        mine = await outbox.claim(session, [(lane, AT_ONCE)], now, now + CLAIM_S)
        assert len(mine) == AT_ONCE
        assert await asyncio.wait_for(nodes.two.courier.run_due(now), 30) == 3
    assert not nodes.arrived().keys() & {row.id for row in mine}
    assert await nodes.rows() == {("waiting", 1): AT_ONCE, ("sent", 1): 3}


async def test_a_try_that_failed_is_anybodys_next(nodes: Nodes) -> None:
    await nodes.put(4)
    nodes.gateway.answers = [503, 503, 503, 503]
    assert await nodes.one.courier.run_due(nodes.world.now) == 4
    assert await nodes.rows() == {("waiting", 1): 4}
    nodes.world.clock.advance(1)
    now = nodes.world.now
    assert sum(await asyncio.gather(nodes.two.courier.run_due(now), nodes.one.courier.run_due(now))) == 4
    assert set(nodes.arrived().values()) == {2}
    assert await nodes.rows() == {("sent", 2): 4}


async def test_a_node_that_dies_before_it_sent_leaves_them_to_the_other(nodes: Nodes) -> None:
    await nodes.put(2)
    taken = await nodes.one.courier._claim(nodes.world.now)
    assert len(taken) == 2
    assert await nodes.two.courier.run_due(nodes.world.now) == 0
    nodes.world.clock.advance(CLAIM_S)
    assert await nodes.two.courier.run_due(nodes.world.now) == 2
    assert await nodes.rows() == {("sent", 2): 2}


async def test_what_is_over_when_a_node_comes_back_is_not_sent(nodes: Nodes) -> None:
    await nodes.put(2)
    nodes.world.clock.advance(LONG_S)
    await nodes.one.courier.run_due(nodes.world.now)
    assert not nodes.arrived()
    assert await nodes.rows() == {("dead", 1): 2}


async def test_an_answer_counts_for_its_own_try_only(nodes: Nodes) -> None:
    """A node that slept through its claim finds that somebody else tries by now."""
    await nodes.put(1)
    late = await nodes.one.courier._claim(nodes.world.now)
    nodes.world.clock.advance(CLAIM_S)
    await nodes.two.courier._claim(nodes.world.now)
    await nodes.one.courier._keep(late, {late[0].id: 400}, nodes.world.now)
    assert await nodes.rows() == {("waiting", 2): 1}


async def test_a_notice_that_two_nodes_find_is_made_and_sent_once(nodes: Nodes) -> None:
    """A gap of the neurologists' rota: the desk's one telephone is told once, whoever finds it first."""
    services = nodes.world.services
    async with services.database.write() as session:
        await session.execute(delete(LayerRow).where(LayerRow.schedule_id == "sch-neurology"))
        phone = update(Practitioner).where(Practitioner.id == DESK).values(phone=Personal("13800000000"))
        await session.execute(phone)
    services.reach = nodes.one
    watches = [RotaWatch(one._services) for one in (nodes.one, nodes.two)]
    nodes.two._services.reach = nodes.two
    told = await asyncio.gather(*(watch.look(nodes.world.now) for watch in watches))
    assert sorted(map(bool, told)) == [False, True]
    await asyncio.gather(*(one.courier.run_due(nodes.world.now) for one in (nodes.one, nodes.two)))
    (hook,) = nodes.gateway.hooks
    assert check_signature(*hook, SECRET)["type"] == "gap"
    assert await nodes.rows() == {("sent", 1): 1}

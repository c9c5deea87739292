"""Two whole servers on one PostgreSQL and one Redis: what one decides reaches the other's browsers."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest_asyncio

from clients.sdk.api import ApiClient
from clients.sdk.events import EventStream
from clients.sdk.room import RoomSession
from media.clock import SystemClock
from server.app import Server
from server.config import ClusterConfig, StorageConfig
from server.demo import seed
from server.demo_county import PASSWORD
from tests.server.postgres import postgres, postgres_url
from tests.server.processes import until
from tests.server.redis_server import RedisServer, redis_server
from tests.server.running import config_in

__all__ = ["postgres", "postgres_url", "redis_server"]

PATIENCE_S = 15.0
"""On two busy cores. While the bus is there no node looks into the database: what arrives came by the bus."""

REQUEST = {
    "kind": "urgent",
    "specialty": "cardiology",
    "patientId": "pat-demo-1",
    "purpose": "胸痛两小时",
    "summary": "冷汗，血压偏低",
    "consent": {"consult": True, "recording": False, "by": "patient"},
    "submit": True,
}


@dataclass
class Nodes:
    """``a``, where the expert's page is, and ``b``, where the village doctor asks."""

    a: Server
    b: Server
    redis: RedisServer
    closing: AsyncExitStack

    async def account(self, server: Server, name: str) -> ApiClient:
        api = ApiClient(server.url)
        self.closing.push_async_callback(api.close)
        await api.login(name, PASSWORD)
        return api

    async def page(self, server: Server, api: ApiClient) -> EventStream:
        stream = await EventStream.connect(server.url, api.access_token)
        self.closing.push_async_callback(stream.close)
        return stream


@pytest_asyncio.fixture
async def nodes(postgres_url: str, redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[Nodes]:
    async with AsyncExitStack() as closing:
        running: list[Server] = []
        for name in ("a", "b"):
            directory = tmp_path / name
            directory.mkdir()
            if running:
                shutil.copy(tmp_path / "a" / "secret.key", directory)
            config = replace(
                config_in(directory),
                storage=StorageConfig(directory=str(directory), database_url=postgres_url),
                cluster=ClusterConfig(redis_url=redis_server.url),
            )
            server = await Server.start(config, SystemClock())
            closing.push_async_callback(server.stop)
            running.append(server)
        await seed(running[0].services)
        await until(lambda: all(_goes_by_the_bus(one) for one in running))
        yield Nodes(running[0], running[1], redis_server, closing)


def _goes_by_the_bus(server: Server) -> bool:
    node = server.services.node
    return node is not None and len(node.fan_out.nodes) == 1 and not node.looking


async def ready(api: ApiClient) -> str:
    """What the node says of its bus."""
    return str(json.loads(await api.fetch("GET", "/readyz") or b"{}")["nodes"])


async def becomes(api: ApiClient, wanted: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while await ready(api) != wanted:  # noqa: ASYNC110 - another process sets no event of ours
            await asyncio.sleep(0.05)


async def asks(village: ApiClient) -> str:
    made = await village.create_consultation(REQUEST)
    return str(made["id"])


async def test_a_ring_reaches_the_other_nodes_page_and_the_room_is_one(nodes: Nodes) -> None:
    expert, village = await nodes.account(nodes.a, "cardio1"), await nodes.account(nodes.b, "village")
    screen = await nodes.page(nodes.a, expert)
    requester = await nodes.page(nodes.b, village)
    await until(lambda: nodes.b.services.gateway.online("prc-cardio1"))
    consult = await asks(village)
    ring = await screen.wait_for("ring", lambda told: told["consultationId"] == consult, PATIENCE_S)

    # Accepted on a phone that is connected to the other node: the page here stops ringing and says so.
    phone = await nodes.account(nodes.b, "cardio1")
    await phone.act(consult, "accept")
    ended = await screen.wait_for("ringEnded", lambda told: told["offerId"] == ring["offerId"], PATIENCE_S)
    assert ended["reason"] == "taken"
    await requester.wait_for("consultation", lambda told: told["state"] == "ACCEPTED", PATIENCE_S)

    await _one_room(nodes, expert, village, consult)


async def _one_room(nodes: Nodes, expert: ApiClient, village: ApiClient, consult: str) -> None:
    first, second = await expert.room_token(consult), await village.room_token(consult)
    assert (first["url"], second["url"]) == (None, nodes.a.url)
    inside = await RoomSession.join(nodes.a.url, first["token"])
    nodes.closing.push_async_callback(inside.close)
    # To the wrong door with a good token: it says where the right one is, and the sdk goes there.
    other = await RoomSession.join(nodes.b.url, second["token"])
    nodes.closing.push_async_callback(other.close)
    assert {peer.role for peer in other.peers.values()} == {"expert"}
    async with asyncio.timeout(PATIENCE_S):
        while (await village.consultation(consult))["state"] != "IN_SESSION":  # noqa: ASYNC110 - the server's
            await asyncio.sleep(0.05)

    # A room that another node has is closed by whoever ends the consult.
    phone = await nodes.account(nodes.b, "cardio1")
    await phone.act(consult, "end")
    await until(lambda: not nodes.a.services.rooms.open_rooms)
    await until(lambda: not nodes.b.services.rooms.open_rooms)


async def test_while_redis_is_dead_rings_are_found_in_the_database(nodes: Nodes) -> None:
    expert, village = await nodes.account(nodes.a, "cardio1"), await nodes.account(nodes.b, "village")
    screen = await nodes.page(nodes.a, expert)
    assert [await ready(one) for one in (expert, village)] == ["ok", "ok"]
    nodes.redis.kill()
    await becomes(expert, "bus_away")
    await becomes(village, "bus_away")
    first = await asks(village)
    ring = await screen.wait_for("ring", lambda told: told["consultationId"] == first, PATIENCE_S)
    await village.act(first, "cancel", reason="病情变化")
    ended = await screen.wait_for("ringEnded", lambda told: told["offerId"] == ring["offerId"], PATIENCE_S)
    assert ended["reason"] == "cancelled"

    nodes.redis.start()
    await becomes(expert, "ok")
    await becomes(village, "ok")
    await until(lambda: all(_goes_by_the_bus(one) for one in (nodes.a, nodes.b)))
    second = await asks(village)
    await screen.wait_for("ring", lambda told: told["consultationId"] == second, PATIENCE_S)

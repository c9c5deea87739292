"""The bus on a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from media.clock import SystemClock
from signaling.bus import BUS_AWAY, BUS_FOREIGN
from signaling.redis_bus import RedisBus
from tests.server.processes import until
from tests.server.redis_server import RedisServer, redis_server

__all__ = ["redis_server"]

KEY, OTHER_KEY = b"k" * 32, b"o" * 32


class Ear:
    def __init__(self) -> None:
        self.heard: asyncio.Queue[Any] = asyncio.Queue()

    async def next(self) -> Any:
        return await asyncio.wait_for(self.heard.get(), 10)


@asynccontextmanager
async def listening(server: RedisServer, key: bytes = KEY) -> AsyncIterator[tuple[RedisBus, Ear]]:
    bus, ear = RedisBus(server.url, key, SystemClock()), Ear()
    await bus.start(ear.heard.put_nowait, lambda _up: None)
    await until(lambda: bus.trouble is None)
    yield bus, ear
    await bus.close()
    await bus.close()


async def test_messages_arrive_in_order_everywhere_and_sealed(redis_server: RedisServer) -> None:
    async with listening(redis_server) as (one, own), listening(redis_server) as (_, other):
        for number in range(20):
            one.publish({"k": "push", "n": "one", "data": "胸痛", "number": number})
        for ear in (own, other):
            assert [(await ear.next())["number"] for _ in range(20)] == list(range(20))


async def test_a_node_with_another_secret_is_told_of_and_not_heard(redis_server: RedisServer) -> None:
    async with (
        listening(redis_server) as (one, ear),
        listening(redis_server, OTHER_KEY) as (stranger, _),
    ):
        stranger.publish({"k": "push", "n": "x"})
        await until(lambda: one.trouble is BUS_FOREIGN)
        one.publish({"k": "beat", "n": "one"})
        assert (await ear.next())["n"] == "one"


async def test_it_comes_back_after_redis_has_died(redis_server: RedisServer) -> None:
    async with listening(redis_server) as (one, ear):
        redis_server.kill()
        await until(lambda: one.trouble is BUS_AWAY)
        one.publish({"k": "lost", "n": "one"})
        redis_server.start()
        await until(lambda: one.trouble is None)
        one.publish({"k": "found", "n": "one"})
        assert (await ear.next())["k"] == "found"

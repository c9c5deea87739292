"""Names lead to public addresses or nowhere, and one that is not answered holds no other."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from server.reach.lanes import Rank
from server.reach.sending import PublicResolver

ADDRESSES: dict[str, tuple[Any, ...]] = {
    "push.example": ("203.0.114.7", 443),
    "inside.example": ("10.0.0.5", 443),
    "local.example": ("fe80::1", 443, 0, 1),
    "six.example": ("2001:4860::1", 443, 0, 0),
}


@pytest_asyncio.fixture
async def resolver(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[PublicResolver, threading.Event]]:
    answered = threading.Event()

    def look_up(host: str, port: int, *_: Any) -> list[Any]:
        if host.startswith("hangs"):
            answered.wait(60)
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        family = socket.AF_INET6 if ":" in ADDRESSES[host][0] else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", ADDRESSES[host])]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    resolver = PublicResolver(frozenset({"inside.example"}))
    yield resolver, answered
    answered.set()
    await resolver.close()
    await resolver.close()


async def test_the_addresses_that_are_connected_to_are_looked_at(
    resolver: tuple[PublicResolver, threading.Event],
) -> None:
    looking, _ = resolver
    (found,) = await looking.resolve("push.example", 443)
    assert (found["host"], found["port"], found["family"]) == ("203.0.114.7", 443, socket.AF_INET)
    (six,) = await looking.resolve("six.example", 443)
    assert (six["host"], six["family"]) == ("2001:4860::1", socket.AF_INET6)
    (vouched,) = await looking.resolve("inside.example", 443)
    assert vouched["host"] == "10.0.0.5"
    with pytest.raises(OSError, match="leads to a private address"):
        await looking.resolve("local.example", 443)


async def test_names_that_are_not_answered_hold_neither_others_nor_the_rest_of_the_application(
    resolver: tuple[PublicResolver, threading.Event],
) -> None:
    looking, answered = resolver
    lanes = sum(rank.at_once for rank in Rank)
    hanging = [asyncio.create_task(looking.resolve(f"hangs-{number}")) for number in range(3 * lanes)]
    async with asyncio.timeout(20):
        (found,) = await looking.resolve("push.example", 443)
        assert await asyncio.to_thread(len, found) == 6
    assert not any(one.done() for one in hanging)
    answered.set()
    ended = await asyncio.gather(*hanging, return_exceptions=True)
    assert all(isinstance(one, OSError) for one in ended)

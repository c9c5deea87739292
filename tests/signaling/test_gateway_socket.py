"""A Socket.IO connection costs few turns of the loop, gives others theirs, and ends when nobody answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import WSMessage, WSMsgType
from engineio import AsyncServer, async_socket

from signaling.gateway_socket import GatewaySocket, end_the_silent
from signaling.limits import SOCKET_TURN_MESSAGES
from tests.signaling.web import Web, running_web


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[Web]:
    async with running_web(tmp_path) as running:
        yield running


async def test_requests_are_answered_in_order_and_start_no_task(web: Web) -> None:
    """Nor did reading them: with hundreds of rooms each turn of the loop is waited for."""
    started: list[str] = []

    def note(loop: asyncio.AbstractEventLoop, work: Any, **rest: Any) -> Any:
        started.append(work.__qualname__)
        return asyncio.Task(work, loop=loop, **rest)

    ws = await web.http.ws_connect(f"{web.url}/socket.io/?EIO=4&transport=websocket")
    await ws.receive_str()
    await ws.send_str("40/room," + json.dumps({"token": web.signaling.token("a")}))
    assert (await ws.receive_str()).startswith("40/room,")
    asyncio.get_running_loop().set_task_factory(note)
    try:
        for number in range(40):
            await ws.send_str(f'42/room,{number}["stats",{{}}]')
        answers = [await ws.receive_str() for _ in range(40)]
    finally:
        asyncio.get_running_loop().set_task_factory(None)
    assert [int(answer.removeprefix("43/room,").partition("[")[0]) for answer in answers] == list(range(40))
    assert started == []
    await ws.close()


class _Endless:
    """A peer that always has one more message; one more would be too many."""

    def __init__(self, count: int) -> None:
        self.left = count

    async def receive(self) -> WSMessage:
        self.left -= 1
        if self.left < 0:
            return WSMessage(WSMsgType.CLOSED, None, None)
        return WSMessage(WSMsgType.TEXT, "3", None)


async def test_others_have_their_turn_while_somebody_floods() -> None:
    server = AsyncServer(async_mode="aiohttp", monitor_clients=False)
    library = async_socket.AsyncSocket(server, "sid")
    socket = GatewaySocket(library._websocket_handler, server)
    peer = _Endless(3 * SOCKET_TURN_MESSAGES)
    socket.__dict__["_sock"] = peer
    turns: list[int] = []

    async def another() -> None:
        while peer.left > 0:
            turns.append(peer.left)
            await asyncio.sleep(0)

    await asyncio.gather(socket._read(), another())
    assert turns == [2 * SOCKET_TURN_MESSAGES, SOCKET_TURN_MESSAGES]


class _Looked:
    def __init__(self, closed: bool = False, closing: bool = False) -> None:
        self.closed = closed
        self.closing = closing
        self.looked = 0

    async def check_ping_timeout(self) -> None:
        self.looked += 1


async def test_those_that_may_be_silent_are_looked_at_and_closed_ones_forgotten() -> None:
    open_, closing, closed = _Looked(), _Looked(closing=True), _Looked(closed=True)
    sockets = {"open": open_, "closing": closing, "closed": closed}
    await end_the_silent(sockets)
    assert sockets == {"open": open_, "closing": closing}
    assert (open_.looked, closing.looked) == (1, 0)

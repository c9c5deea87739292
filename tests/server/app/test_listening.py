"""Who comes while the event loop is busy does not wait a turn of it for each who came before."""

from __future__ import annotations

import asyncio
import itertools
import socket
from contextlib import AsyncExitStack

import pytest
import uvloop
from aiohttp import ClientSession, web

from server.limits import ACCEPTED_PER_TURN
from server.listening import listen


async def _turns(runner: web.AppRunner, count: int) -> list[int]:
    """How many more were accepted in each turn of the loop that took any."""
    assert runner.server is not None
    accepted = [0]
    async with asyncio.timeout(20):
        while accepted[-1] < count:
            await asyncio.sleep(0)
            now = len(runner.server.connections)
            if now != accepted[-1]:
                accepted.append(now)
    return [after - before for before, after in itertools.pairwise(accepted)]


async def _many_come_at_once() -> None:
    app = web.Application()
    runner = web.AppRunner(app)
    await runner.setup()
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    address = bound.getsockname()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(runner.cleanup)
        await listen(runner, bound, None, stack)
        people = []
        for _ in range(2 * ACCEPTED_PER_TURN):
            people.append(stack.enter_context(socket.socket()))
            people[-1].connect(address)
        assert await _turns(runner, len(people)) == [ACCEPTED_PER_TURN] * 2
        for one in people:
            one.close()
        async with ClientSession() as http, http.get(f"http://127.0.0.1:{address[1]}/") as reply:
            assert reply.status == 404
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)


def test_many_are_taken_in_one_turn_and_none_after_the_end() -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_many_come_at_once())

"""Listens so that a busy event loop takes many connections in one turn."""

from __future__ import annotations

import socket
import ssl
from contextlib import AsyncExitStack

from aiohttp import web

from server.limits import ACCEPTED_PER_TURN


async def listen(
    runner: web.AppRunner, bound: socket.socket, context: ssl.SSLContext | None, stack: AsyncExitStack
) -> None:
    """Serve what comes to ``bound`` until ``stack`` closes it.

    libuv, on which uvloop stands, accepts one connection of a listening socket in a turn of the loop. With
    hundreds of rooms a turn takes 40 ms and more, and people who came faster waited for seconds. So the same
    socket is listened to under several descriptors, each of which accepts one.

    :param context: for TLS, None without.
    """
    for number in range(ACCEPTED_PER_TURN):
        site = web.SockSite(runner, bound if number == 0 else bound.dup(), ssl_context=context)
        await site.start()
        stack.push_async_callback(site.stop)

"""A Socket.IO connection that began as a WebSocket, read and written in few turns of the event loop.

Part of the gateway; with `signaling.gateway` and `signaling.gateway_packets` the only importer of
``socketio`` and ``engineio``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import WSMsgType, web
from engineio import exceptions, packet
from engineio.async_drivers.aiohttp import WebSocket

from signaling.limits import SOCKET_TURN_MESSAGES

NOT_A_PACKET = (ValueError, RecursionError, IndexError)
"""What the library raises for text that is not even an Engine.IO packet."""


class GatewaySocket(WebSocket):  # type: ignore[misc]
    """In place of the library's WebSocket, under its `AsyncSocket`.

    The library starts a task for each message that it reads, waits for that, and waits for its queue through
    another: a request and its answer take six turns of the loop, here they take two. A join is ten requests,
    and with hundreds of rooms a turn takes tens of milliseconds. What begins by polling and becomes a
    WebSocket later is left to the library.

    :param handler: the library's ``AsyncSocket._websocket_handler`` of this connection.
    :param server: the library's ``AsyncServer``.
    """

    def __init__(self, handler: Callable[[Any], Awaitable[Any]], server: Any) -> None:
        super().__init__(handler, server)
        self._longest: float = server.ping_interval + server.ping_timeout
        self._socket: Any = handler.__self__  # type: ignore[attr-defined]

    async def __call__(self, environ: dict[str, Any]) -> web.WebSocketResponse:
        """Serve it to its end."""
        request: web.Request = environ["aiohttp.request"]
        self._sock = web.WebSocketResponse(max_msg_size=self.server.max_http_buffer_size)
        await self._sock.prepare(request)
        if self._socket.connected:
            await self.handler(self)
        else:
            await self._serve(request)
        return self._sock

    async def _serve(self, request: web.Request) -> None:
        socket = self._socket
        socket.connected = socket.upgraded = True
        writing = asyncio.ensure_future(self._write())
        try:
            await self._read()
        except NOT_A_PACKET:
            if request.transport is not None:
                request.transport.abort()  # no goodbye is waited for
            raise
        finally:
            socket.queue.put_nowait(None)
            await writing
            await socket.close(wait=False, abort=True, reason=self.server.reason.TRANSPORT_CLOSE)

    async def _read(self) -> None:
        """Until the other end closes, or is silent for longer than its answers to pings may take.

        :raises ValueError: not an Engine.IO packet, or any other of `NOT_A_PACKET`.
        """
        handled = 0
        while True:
            try:
                async with asyncio.timeout(self._longest):
                    message = await self._sock.receive()
            except TimeoutError:
                return
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                return
            try:
                await self._socket.receive(packet.Packet(encoded_packet=message.data))
            except exceptions.UnknownPacketError:
                pass  # as the library does
            except exceptions.SocketIsClosedError:
                return
            handled += 1
            if handled % SOCKET_TURN_MESSAGES == 0:
                await asyncio.sleep(0)

    async def _write(self) -> None:
        """Until None is queued, not even a ping was for too long, or the line is gone."""
        queue = self._socket.queue
        try:
            while True:
                async with asyncio.timeout(self._longest):
                    item = await queue.get()
                queue.task_done()
                if item is None:
                    return
                await self.send(item.encode())
        except (TimeoutError, ConnectionError):
            return
        finally:
            await self._sock.close()


async def end_the_silent(sockets: dict[str, Any]) -> None:
    """Forget connections that are closed and close those that do not answer pings.

    In place of the library's own task, which wakes for each connection in turn, a hundred times a second.

    :param sockets: the library's, by their ids.
    """
    for sid, socket in list(sockets.items()):
        if socket.closed:
            sockets.pop(sid, None)
        elif not socket.closing:
            await socket.check_ping_timeout()

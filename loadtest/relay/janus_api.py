"""Janus's JSON over one WebSocket: requests with transactions, events by handle."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import Any

import aiohttp

REQUEST_S = 20.0


class JanusRefusedError(Exception):
    """Janus said no, or nothing."""


class JanusSession:
    """One session; made by `connect`. Handles are attached plugins, one for each publisher or subscriber."""

    def __init__(self, http: aiohttp.ClientSession, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._http = http
        self._socket = socket
        self._numbers = itertools.count(1)
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._session = 0
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def connect(cls, port: int) -> JanusSession:
        http = aiohttp.ClientSession()
        socket = await http.ws_connect(
            f"ws://127.0.0.1:{port}/", protocols=("janus-protocol",), max_msg_size=1 << 20
        )
        session = cls(http, socket)
        session._tasks.append(asyncio.create_task(session._read(), name="janus"))
        session._session = int((await session._call({"janus": "create"}))["data"]["id"])
        session._tasks.append(asyncio.create_task(session._keep_alive(), name="janus keepalive"))
        return session

    async def attach(self) -> int:
        """A new handle of the VideoRoom."""
        reply = await self._call({"janus": "attach", "plugin": "janus.plugin.videoroom"})
        return int(reply["data"]["id"])

    async def detach(self, handle: int) -> None:
        await self._call({"janus": "detach", "handle_id": handle})

    async def message(
        self, handle: int, body: dict[str, Any], jsep: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Ask the plugin; the event that answers, or the reply itself where it answers at once."""
        request: dict[str, Any] = {"janus": "message", "handle_id": handle, "body": body}
        if jsep is not None:
            request["jsep"] = jsep
        reply = await self._call(request)
        data = reply.get("plugindata", {}).get("data", {})
        if "error" in data:
            raise JanusRefusedError(f"{body.get('request')}: {data['error']}")
        return reply

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._socket.close()
        await self._http.close()

    async def _call(self, request: dict[str, Any]) -> dict[str, Any]:
        transaction = f"t{next(self._numbers)}"
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[transaction] = future
        if self._session:
            request["session_id"] = self._session
        await self._socket.send_str(json.dumps({**request, "transaction": transaction}))
        try:
            async with asyncio.timeout(REQUEST_S):
                reply = await future
        except TimeoutError:
            raise JanusRefusedError(f"no answer to {request['janus']}") from None
        finally:
            self._waiting.pop(transaction, None)
        if reply["janus"] == "error":
            raise JanusRefusedError(str(reply["error"].get("reason")))
        return reply

    async def _read(self) -> None:
        async for message in self._socket:
            reply = json.loads(message.data)
            # An ack only says that the event will follow under the same transaction.
            future = self._waiting.get(reply.get("transaction", ""))
            if future is not None and not future.done() and reply["janus"] != "ack":
                future.set_result(reply)

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(25)
            self._numbers.__next__()
            await self._socket.send_str(
                json.dumps({"janus": "keepalive", "session_id": self._session, "transaction": "k"})
            )

"""The gateway on a real web server, and real clients of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import socketio
from aiohttp import ClientSession, web

from media.errors import RemoteProtocolError
from signaling.errors import TOKEN_INVALID
from signaling.gateway import Gateway
from signaling.service import SignalingConfig
from tests.signaling.support import Signaling, running_signaling

TIMEOUT_S = 10.0


async def account(token: str) -> str:
    """Accounts of the tests: the token ``account:NAME`` belongs to NAME."""
    if not token.startswith("account:"):
        raise RemoteProtocolError(TOKEN_INVALID)
    return token.removeprefix("account:")


@dataclass
class Web:
    """A running gateway; ``url`` is its http address."""

    gateway: Gateway
    signaling: Signaling
    url: str
    http: ClientSession
    clients: list[RoomClient] = field(default_factory=list)

    async def client(self, auth: dict[str, Any], namespace: str = "/room") -> RoomClient:
        """A connected Socket.IO client; it is closed with the server."""
        client = RoomClient(namespace)
        self.clients.append(client)
        await client.sio.connect(
            self.url, auth=auth, namespaces=[namespace], transports=["websocket"], wait_timeout=5
        )
        return client


class RoomClient:
    """A python-socketio client that keeps all events in order."""

    def __init__(self, namespace: str) -> None:
        self.sio = socketio.AsyncClient(reconnection=False)
        self.events: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self.refusal: Any = None
        self.gone = asyncio.Event()
        self._namespace = namespace

        async def keep(event: str, payload: Any) -> None:
            self.events.put_nowait((event, payload))

        async def refused(data: Any) -> None:
            self.refusal = data

        async def disconnected(_reason: Any) -> None:
            self.gone.set()

        self.sio.on("*", keep, namespace=namespace)
        self.sio.on("connect_error", refused, namespace=namespace)
        self.sio.on("disconnect", disconnected, namespace=namespace)

    async def ask(self, event: str, data: Any = None) -> Any:
        """One request and its acknowledgement."""
        return await self.sio.call(event, data, namespace=self._namespace, timeout=TIMEOUT_S)

    async def good(self, event: str, data: Any = None) -> Any:
        """One request that must succeed: its data."""
        answer = await self.ask(event, data)
        assert answer["ok"], answer
        return answer["data"]

    async def refused(self, event: str, data: Any = None) -> str:
        """One request that must be refused: the code."""
        answer = await self.ask(event, data)
        assert not answer["ok"], answer
        return str(answer["error"]["code"])

    async def next(self, event: str) -> Any:
        """The payload of the next event of this name; others are passed over."""
        while True:
            name, payload = await asyncio.wait_for(self.events.get(), TIMEOUT_S)
            if name == event:
                return payload

    async def send_raw(self, text: str | bytes) -> None:
        """Bypass the library."""
        ws = self.sio.eio.ws
        await (ws.send_str(text) if isinstance(text, str) else ws.send_bytes(text))

    async def wait_gone(self) -> None:
        """Until the server has closed this socket."""
        await asyncio.wait_for(self.gone.wait(), TIMEOUT_S)

    async def close(self) -> None:
        await self.sio.disconnect()
        await self.sio.shutdown()


@asynccontextmanager
async def running_web(directory: Path, config: SignalingConfig | None = None) -> AsyncIterator[Web]:
    """A gateway on 127.0.0.1 and any port."""
    async with running_signaling(directory, config) as signaling:
        gateway = Gateway(signaling.service, account)
        app = web.Application()
        gateway.attach(app)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0]
        async with ClientSession() as http:
            running = Web(gateway, signaling, f"http://{host}:{port}", http)
            try:
                yield running
            finally:
                await runner.cleanup()
                for client in running.clients:
                    await client.close()

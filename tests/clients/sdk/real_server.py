"""The real gateway, rooms, relay and media socket in this process, and tokens for them."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from media.clock import SystemClock
from media.errors import RemoteProtocolError
from media.signals import SignalStore
from media.transport import MediaSocket, MediaSocketConfig
from signaling.access import Identity, RoomGrant, mint_room_token
from signaling.errors import TOKEN_INVALID
from signaling.events import RoomEvent
from signaling.gateway import Gateway
from signaling.personal import Personal
from signaling.rooms import RoomSettings
from signaling.service import RoomService, SignalingConfig

SECRET = "a secret of the tests, long enough for HS256"
ROOM = "c-1"


class _Listener:
    async def room_event(self, event: RoomEvent) -> None: ...


async def _account(token: str) -> str:
    if not token.startswith("account:"):
        raise RemoteProtocolError(TOKEN_INVALID)
    return token.removeprefix("account:")


@dataclass
class RealServer:
    """What a test needs of the running server."""

    url: str
    rooms: RoomService
    gateway: Gateway
    socket: MediaSocket

    def token(
        self,
        user: str,
        role: str = "requester",
        *,
        publish: tuple[str, ...] = ("microphone", "camera"),
        chair: bool = False,
        record: bool = False,
        signals: tuple[str, ...] = (),
    ) -> str:
        """A room token for an hour."""
        grant = RoomGrant(ROOM, frozenset(publish), chair=chair, record=record, signals=frozenset(signals))
        identity = Identity(user, Personal(f"{user} 医生"), role)
        return mint_room_token(SECRET, identity, grant, SystemClock().wall(), 3600, None)


@asynccontextmanager
async def running_server(directory: Path, tls: ssl.SSLContext | None = None) -> AsyncIterator[RealServer]:
    """Everything below the clinical application, on 127.0.0.1; by HTTPS alone when ``tls`` is given."""
    clock = SystemClock()
    socket = await MediaSocket.open(MediaSocketConfig(listen_ip="127.0.0.1"), clock)
    store = SignalStore(directory / "signals", clock)
    rooms = RoomService(
        SignalingConfig(), socket, clock, [SECRET], _Listener(), store, directory / "recordings"
    )
    gateway = Gateway(rooms, _account)
    app = web.Application()
    gateway.attach(app)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    rooms.open_room(ROOM, RoomSettings(record_allowed=True))
    host, port = runner.addresses[0][:2]
    try:
        yield RealServer(f"{'https' if tls else 'http'}://{host}:{port}", rooms, gateway, socket)
    finally:
        await runner.cleanup()
        await rooms.close()
        await socket.close()
        await store.close()

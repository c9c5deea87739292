"""Rooms on a real media socket behind a real web server, in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from media.clock import Clock, SystemClock
from media.errors import RemoteProtocolError
from media.signals import SignalStore
from media.transport import MediaSocket, MediaSocketConfig
from signaling.access import Identity, RoomGrant, mint_room_token
from signaling.errors import TOKEN_INVALID
from signaling.events import RoomEvent
from signaling.gateway import Gateway
from signaling.ice_servers import TurnServer
from signaling.personal import Personal
from signaling.rooms import RoomSettings
from signaling.service import RoomService, SignalingConfig

SECRET = "a-secret-of-at-least-thirty-two-bytes"  # not a secret: tests only
ROOM = "c-interop"
LOOPBACK = MediaSocketConfig("127.0.0.1", 0, ("127.0.0.1",))
EVERYTHING = RoomGrant(
    ROOM,
    publish=frozenset({"microphone", "camera", "screen", "ultrasound"}),
    chair=True,
    record=True,
    signals=frozenset({"watch", "publish"}),
)


@dataclass
class Server:
    """A running server; ``url`` is its http address."""

    service: RoomService
    url: str
    recordings: Path
    media: MediaSocket
    events: list[RoomEvent] = field(default_factory=list)

    async def room_event(self, event: RoomEvent) -> None:
        self.events.append(event)

    def token(self, user_id: str, grant: RoomGrant = EVERYTHING, role: str = "requester") -> str:
        identity = Identity(user_id, Personal(user_id), role)
        return mint_room_token(SECRET, identity, grant, SystemClock().wall(), 600)


async def _no_accounts(_token: str) -> str:
    raise RemoteProtocolError(TOKEN_INVALID)


@asynccontextmanager
async def running_server(
    directory: Path,
    pages: Path | None = None,
    media: MediaSocketConfig = LOOPBACK,
    turn: TurnServer | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[Server]:
    """A server on 127.0.0.1 and any ports; ``pages`` is served below ``/pages/``."""
    clock = clock or SystemClock()
    socket = await MediaSocket.open(media, clock)
    store = SignalStore(directory / "signals", clock)
    server = Server(None, "", directory / "recordings", socket)  # type: ignore[arg-type]
    config = SignalingConfig(turn=turn)
    server.service = RoomService(config, socket, clock, [SECRET], server, store, server.recordings)
    server.service.open_room(ROOM, RoomSettings(record_allowed=True))
    app = web.Application()
    Gateway(server.service, _no_accounts).attach(app)
    if pages is not None:
        app.router.add_static("/pages/", pages)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]
    server.url = f"http://{host}:{port}"
    try:
        yield server
    finally:
        await runner.cleanup()
        await socket.close()
        await store.close()

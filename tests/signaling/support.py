"""A signaling server on a counted clock with a counting media plane, and the people in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from media.clock import CountedClock
from media.signals import SignalStore
from signaling.access import Identity, RoomClaims, RoomGrant, mint_room_token
from signaling.events import RoomEvent
from signaling.personal import Personal
from signaling.rooms import RoomSettings
from signaling.service import RoomService, SignalingConfig
from tests.signaling.fake_plane import FakePlane

SECRET = "a-secret-of-at-least-thirty-two-bytes"  # not a secret: tests only
ROOM = "c-room-1"
EVERYTHING = RoomGrant(
    ROOM,
    publish=frozenset({"microphone", "camera", "screen", "ultrasound"}),
    chair=True,
    record=True,
    signals=frozenset({"watch", "publish"}),
)
DOCTOR = RoomGrant(ROOM, publish=frozenset({"microphone", "camera"}), signals=frozenset({"watch"}))


def claims(
    user_id: str, grant: RoomGrant = DOCTOR, token_id: str = "", role: str = "requester"
) -> RoomClaims:
    """Verified claims, without a token."""
    return RoomClaims(
        Identity(user_id, Personal(f"Name {user_id}"), role), grant, token_id or f"t-{user_id}", 1e12
    )


@dataclass
class Listener:
    """Keeps what the application would be told."""

    events: list[RoomEvent] = field(default_factory=list)

    async def room_event(self, event: RoomEvent) -> None:
        self.events.append(event)

    def names(self) -> list[str]:
        return [type(event).__name__ for event in self.events]


@dataclass
class FakeChannel:
    """A socket that keeps what it is sent."""

    sent: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    closed: bool = False

    def send(self, event: str, payload: dict[str, Any]) -> None:
        self.sent.append((event, payload))

    def close(self) -> None:
        self.closed = True

    def take(self) -> list[tuple[str, dict[str, Any]]]:
        """What came since the last time."""
        taken, self.sent = self.sent, []
        return taken

    def names(self) -> list[str]:
        return [event for event, _ in self.sent]


@dataclass
class Signaling:
    """A running `RoomService`."""

    service: RoomService
    plane: FakePlane
    clock: CountedClock
    listener: Listener
    store: SignalStore

    def token(
        self,
        user_id: str,
        grant: RoomGrant = DOCTOR,
        role: str = "requester",
        token_id: str | None = None,
        ttl_s: int = 3600,
    ) -> str:
        identity = Identity(user_id, Personal(f"Name {user_id}"), role)
        return mint_room_token(SECRET, identity, grant, self.clock.wall(), ttl_s, token_id or f"t-{user_id}")


@asynccontextmanager
async def running_signaling(
    directory: Path, config: SignalingConfig | None = None
) -> AsyncIterator[Signaling]:
    """A service that is closed at the end."""
    clock, plane, listener = CountedClock(), FakePlane(), Listener()
    store = SignalStore(directory / "signals", clock)
    service = RoomService(
        config or SignalingConfig(),
        None,
        clock,
        [SECRET],
        listener,
        store,
        directory / "recordings",
        plane=plane,
    )
    await service.start()
    try:
        yield Signaling(service, plane, clock, listener, store)
    finally:
        await service.close()
        await store.close()


def kept_room(signaling: Signaling, record_allowed: bool = True, max_peers: int = 250) -> None:
    """Open the room as the application does."""
    signaling.service.open_room(ROOM, RoomSettings(record_allowed, max_peers))

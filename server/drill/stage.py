"""The people of a drill: who sits at a screen, who is in which room, and every message that went out.

Stands where the gateway and the rooms stand in a server (`consults.ports`): nobody has a browser here.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from server.oncall.dispatch import Way
from signaling.rooms import RoomSettings


@dataclass(slots=True)
class Told:
    """What one command led to.

    :param began: when the command came, `time.perf_counter`.
    :param rings: (consult, who, number of the ring).
    :param changed: consults that changed.
    :param ring_ms: milliseconds from the command to the first ring.
    """

    began: float
    rings: list[tuple[str, str, int]] = field(default_factory=list)
    changed: set[str] = field(default_factory=set)
    ring_ms: float | None = None


_told: ContextVar[Told | None] = ContextVar("told", default=None)


@contextmanager
def telling() -> Iterator[Told]:
    """Collect what is told inside, by this task alone."""
    told = Told(time.perf_counter())
    token = _told.set(told)
    try:
        yield told
    finally:
        _told.reset(token)


class Screens:
    """Implements `ports.Pushes`, and what the dispatcher asks of `Reach`."""

    def __init__(self) -> None:
        self.signed_in: set[str] = set()

    def online(self, user_id: str) -> bool:
        return user_id in self.signed_in

    async def reachable(self, _session: AsyncSession, people: Collection[str]) -> dict[str, Way]:
        """As `Reach.reachable`: nobody here has a telephone."""
        return {one: Way.SCREEN if one in self.signed_in else Way.NONE for one in people}

    async def notify(self, user_id: str, event: str, payload: dict[str, Any]) -> None:
        told = _told.get()
        if told is None:
            return
        if event == "ring":
            told.rings.append((payload["consultationId"], user_id, payload["ring"]))
            told.changed.add(payload["consultationId"])
            if told.ring_ms is None:
                told.ring_ms = (time.perf_counter() - told.began) * 1000.0
        elif event == "ringEnded":
            told.changed.add(payload["consultationId"])
        elif event == "consultation":
            told.changed.add(payload["id"])


@dataclass(frozen=True, slots=True)
class Inside:
    """Implements `ports.Snapshot`."""

    users: frozenset[str]
    recording_id: str | None = None

    def has_user(self, user_id: str) -> bool:
        return user_id in self.users


class Floor:
    """Implements `ports.Rooms` without media: who is inside, and nothing else."""

    def __init__(self) -> None:
        self._rooms: dict[str, set[str]] = {}

    @property
    def router_rtp_capabilities(self) -> dict[str, Any]:
        return {"codecs": []}

    def enter(self, room_id: str, user_id: str) -> None:
        self._rooms.setdefault(room_id, set()).add(user_id)

    def leave(self, room_id: str, user_id: str) -> None:
        self._rooms.get(room_id, set()).discard(user_id)

    def open_room(self, room_id: str, settings: RoomSettings) -> None:
        self._rooms.setdefault(room_id, set())

    async def close_room(self, room_id: str, reason: str) -> None:
        self._rooms.pop(room_id, None)

    async def start_recording(self, room_id: str) -> str:
        return "none"

    async def stop_recording(self, room_id: str) -> None:
        return

    async def remove_peers(
        self, room_id: str, *, user_id: str | None = None, token_id: str | None = None, reason: str
    ) -> None:
        if user_id is not None:
            self.leave(room_id, user_id)

    def snapshot(self, room_id: str) -> Inside | None:
        users = self._rooms.get(room_id)
        return None if users is None else Inside(frozenset(users))

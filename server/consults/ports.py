"""What consults need of the layer below, as small interfaces: tests bring their own rooms and gateway."""

from __future__ import annotations

from typing import Any, Protocol

from signaling.rooms import RoomSettings


class Snapshot(Protocol):
    """A room as it is now (signaling's RoomSnapshot)."""

    @property
    def recording_id(self) -> str | None: ...

    def has_user(self, user_id: str) -> bool:
        """In any tab, on any phone."""
        ...


class Rooms(Protocol):
    """The rooms of this process (signaling's RoomService)."""

    @property
    def router_rtp_capabilities(self) -> dict[str, Any]:
        """What a client's device loads before it joins."""
        ...

    def open_room(self, room_id: str, settings: RoomSettings) -> None:
        """Open a room or change its settings."""
        ...

    async def close_room(self, room_id: str, reason: str) -> None:
        """End a room for everybody; harmless when there is none."""
        ...

    async def start_recording(self, room_id: str) -> str: ...

    async def stop_recording(self, room_id: str) -> None: ...

    async def remove_peers(
        self, room_id: str, *, user_id: str | None = None, token_id: str | None = None, reason: str
    ) -> None:
        """Send people out and end their tokens."""
        ...

    def snapshot(self, room_id: str) -> Snapshot | None:
        """None when the room is not open."""
        ...


class Pushes(Protocol):
    """Messages to people's browsers and to devices (signaling's Gateway)."""

    async def notify(self, user_id: str, event: str, payload: dict[str, Any]) -> None:
        """Tell somebody, on every screen they have; lost when they have none."""
        ...

    def online(self, user_id: str) -> bool: ...

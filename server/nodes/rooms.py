"""The consults' door to rooms shared by several nodes: this node's are acted on, others' by the bus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from server.consults.ports import Rooms, Snapshot
from signaling.fan_out import FanOut
from signaling.rooms import RoomSettings

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class RoomElsewhere:
    """Stands for a room of another node, or of none: what is asked of it goes to whoever has it."""

    recording_id: str | None = None

    def has_user(self, user_id: str) -> bool:
        """Only the node that has the room knows; it keeps the consult's presence itself."""
        del user_id
        return False


class NodeRooms:
    """`server.consults.ports.Rooms` over this node's rooms and the bus."""

    def __init__(self, here: Rooms, fan_out: FanOut) -> None:
        self._here = here
        self._fan_out = fan_out

    @property
    def router_rtp_capabilities(self) -> dict[str, Any]:
        """The same at every node."""
        return self._here.router_rtp_capabilities

    def open_room(self, room_id: str, settings: RoomSettings) -> None:
        """Give an open room its settings, wherever it is. It is opened when somebody comes in."""
        if self._here.snapshot(room_id) is not None:
            self._here.open_room(room_id, settings)
        else:
            self._fan_out.command(do="configure", room=room_id, record=settings.record_allowed)

    async def close_room(self, room_id: str, reason: str) -> None:
        """At every node: tokens of a closed room open it nowhere."""
        self._fan_out.command(do="close", room=room_id, reason=reason)
        await self._here.close_room(room_id, reason)

    async def start_recording(self, room_id: str) -> str:
        if self._here.snapshot(room_id) is not None:
            return await self._here.start_recording(room_id)
        self._fan_out.command(do="record", room=room_id)
        return ""

    async def stop_recording(self, room_id: str) -> None:
        self._fan_out.command(do="stop", room=room_id)
        await self._here.stop_recording(room_id)

    async def remove_peers(
        self, room_id: str, *, user_id: str | None = None, token_id: str | None = None, reason: str
    ) -> None:
        self._fan_out.command(do="remove", room=room_id, user=user_id, token=token_id, reason=reason)
        await self._here.remove_peers(room_id, user_id=user_id, token_id=token_id, reason=reason)

    def snapshot(self, room_id: str) -> Snapshot | None:
        """Never None: another node may have the room."""
        return self._here.snapshot(room_id) or RoomElsewhere()


async def carry_out(here: Rooms, command: Mapping[str, Any]) -> None:
    """What another node asked for; a room that is not here is none of our business."""
    room_id, what = str(command["room"]), command["do"]
    if what == "close":
        await here.close_room(room_id, str(command["reason"]))
    snapshot = here.snapshot(room_id)
    if snapshot is None:
        return
    if what == "configure":
        here.open_room(room_id, RoomSettings(record_allowed=bool(command["record"])))
    elif what == "record" and snapshot.recording_id is None:
        await here.start_recording(room_id)
    elif what == "stop":
        await here.stop_recording(room_id)
    elif what == "remove":
        await here.remove_peers(
            room_id, user_id=command["user"], token_id=command["token"], reason=str(command["reason"])
        )

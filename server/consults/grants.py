"""What each part in a consult may do in its room. Pure."""

from __future__ import annotations

from signaling.access import RoomGrant

PEOPLE_SOURCES = frozenset({"microphone", "camera", "screen"})
WATCH = frozenset({"watch"})
DOCTOR = WATCH | {"acknowledge"}
"""Alarms of the signals' analysis are acknowledged by who treats or advises, never by who looks on."""


def grant_for(role: str, room_id: str) -> RoomGrant:
    """The grant of a room role.

    :param role: ``requester``, ``expert``, ``member`` (of a multidisciplinary consult), ``desk`` (looks on),
        ``guest`` or ``device``.
    """
    if role == "requester":
        return RoomGrant(room_id, PEOPLE_SOURCES, signals=DOCTOR)
    if role == "expert":
        return RoomGrant(room_id, PEOPLE_SOURCES, chair=True, record=True, signals=DOCTOR)
    if role == "member":
        return RoomGrant(room_id, PEOPLE_SOURCES, signals=DOCTOR)
    if role == "guest":
        return RoomGrant(room_id, frozenset({"microphone", "camera"}), signals=frozenset())
    if role == "device":
        return RoomGrant(
            room_id,
            frozenset({"ultrasound"}),
            subscribe=False,
            chat=False,
            signals=frozenset({"publish"}),
        )
    return RoomGrant(room_id, frozenset(), chat=True, signals=WATCH)

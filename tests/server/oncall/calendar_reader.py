"""Calendar files read by a library that did not write them (vobject)."""

from __future__ import annotations

from dataclasses import dataclass

import vobject


@dataclass(frozen=True, slots=True)
class Entry:
    """One event; times in Unix seconds."""

    uid: str
    summary: str
    starts: float
    ends: float


def read_calendar(file: bytes) -> list[Entry]:
    """The events in the order of the file."""
    calendar = vobject.readOne(file.decode("utf-8"))
    return [
        Entry(
            one.uid.value,
            one.summary.value,
            one.dtstart.value.timestamp(),
            one.dtend.value.timestamp(),
        )
        for one in calendar.contents.get("vevent", [])
    ]

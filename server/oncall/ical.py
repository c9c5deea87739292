"""A rota as an iCalendar file (RFC 5545), for the calendars on people's phones. No I/O.

Each duty is an event of its own with its instants in UTC: a rule of recurrence could not tell overrides,
holidays and the overlap on a change of clocks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from icalendar import Calendar, Event

from server.oncall.rota import Schedule, Shift

_REFRESH = timedelta(hours=1)


def calendar_file(
    name: str,
    duties: Sequence[tuple[Schedule, int, Shift]],
    summary: Callable[[Schedule, int, Shift], str],
    now: float,
) -> bytes:
    """The file.

    :param name: what the calendar is called.
    :param duties: (rota, line, shift).
    :param summary: what an event is called.
    :param now: Unix seconds at which the file was made.
    """
    file = Calendar()
    file.add("prodid", "-//Huizhen//On-call//EN")
    file.add("version", "2.0")
    file.add("method", "PUBLISH")
    file.add("x-wr-calname", name)
    # RFC 7986 section 5.7, and what programs knew before it.
    file.add("refresh-interval", _REFRESH, parameters={"VALUE": "DURATION"})
    file.add("x-published-ttl", "PT1H")
    for schedule, level, shift in duties:
        file.add_component(_event(schedule, level, shift, summary(schedule, level, shift), now))
    return bytes(file.to_ical())


def _event(schedule: Schedule, level: int, shift: Shift, summary: str, now: float) -> Event:
    event = Event()
    event.add("uid", _uid(schedule, level, shift))
    event.add("dtstamp", _utc(now))
    event.add("dtstart", _utc(shift.starts))
    event.add("dtend", _utc(shift.ends))
    event.add("summary", summary)
    event.add("transp", "TRANSPARENT")  # on call is not busy
    return event


def _uid(schedule: Schedule, level: int, shift: Shift) -> str:
    # The same duty keeps its name from file to file, so that a program changes it rather than adds another.
    named = f"{schedule.id} {level} {shift.member} {shift.starts:.0f}"
    return hashlib.sha256(named.encode()).hexdigest()[:32] + "@huizhen"


def _utc(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)

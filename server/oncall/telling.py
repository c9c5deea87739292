"""What the rota tells whom, and for how long it is worth telling. Sans-I/O.

=========  ==============================================  =================================================
hand-over  to those who come and those who go              until 15 minutes after it
swap       to the other, then the desk, then both          while it waits; decided, until the shift begins
leave      to the desk, then whoever asked                 as a swap
gap        to the desk, once a rota; again 24 h before it  until it begins
=========  ==============================================  =================================================
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from server.oncall.limits import (
    DECISION_LONGEST_S,
    DECISION_TOLD_S,
    GAP_RUNS_S,
    GAP_SOON_S,
    HANDOVER_LATE_S,
)
from server.oncall.models import AskRow, NoticeRow
from server.oncall.rota_ask import OPEN, Ask, Part, Stage
from server.oncall.rota_time import wall_at
from server.reach.messages import ask_body, gap_body, handover_body
from server.reach.notices import Notice
from server.times import iso_from_unix

GAP, HANDOVER = "gap", "handover"

_ELEVEN_DAYS_S = 1e6  # tells the hand-overs of a rota apart

FOR_THE_DESK = frozenset({(Ask.SWAP, Stage.AGREED), (Ask.LEAVE, Stage.PROPOSED)})
"""What waits for the desk."""


@dataclass(frozen=True, slots=True)
class Rota:
    """What a lock screen may show of a rota. ``specialty`` and ``place``: ``zh`` and ``en``."""

    id: str
    zone: str
    handover: time
    specialty: Mapping[str, str]
    place: Mapping[str, str]

    def shown(self, at: float) -> dict[str, Any]:
        """:param at: what it is about begins then, Unix seconds."""
        return {
            "schedule": self.id,
            "specialty": dict(self.specialty),
            "place": dict(self.place),
            "timeZone": self.zone,
            "day": self.duty_day(at),
        }

    def duty_day(self, at: float) -> str:
        """The day on which the calendar shows ``at``: what is before the hand-over is the day before's."""
        since = timedelta(hours=self.handover.hour, minutes=self.handover.minute)
        return (wall_at(at, ZoneInfo(self.zone)) - since).date().isoformat()


def is_soon(starts: float, now: float) -> bool:
    return starts - now <= GAP_SOON_S


def gap_until(starts: float, ends: float, now: float) -> float:
    return starts if starts > now else min(ends, now + GAP_RUNS_S)


def ask_until(stage: Stage, expires_at: float, starts: float, now: float) -> float:
    if stage in OPEN:
        return expires_at
    return min(max(starts, now + DECISION_TOLD_S), now + DECISION_LONGEST_S)


def of_handovers(
    rota: Rota, rows: Sequence[NoticeRow], changed: Sequence[NoticeRow], now: float
) -> list[Notice]:
    """One for each person and instant, whatever number of lines change.

    :param rows: the hand-overs that stand,
    :param changed: those among them that are new, and those that are no more: their people are told how it
        stands with them now, and whoever neither comes nor goes any longer, that it changed.
    """
    found: list[Notice] = []
    for at in sorted({row.starts for row in changed}):
        lines = sorted((row for row in rows if row.starts == at), key=lambda row: row.level)
        touched = [row for row in changed if row.starts == at]
        takes, hands = _lines(lines, "coming"), _lines(lines, "leaving")
        whom: dict[tuple[tuple[int, ...], tuple[int, ...]], list[str]] = defaultdict(list)
        for one in dict.fromkeys(one for row in touched for one in row.detail["people"]):
            whom[tuple(takes[one]), tuple(hands[one])].append(one)
        about = f"{rota.id}@{at % _ELEVEN_DAYS_S:.0f}"
        for (comes, goes), people in whom.items():
            body = handover_body(rota.shown(at), iso_from_unix(at), list(comes), list(goes))
            page = {**_page((lines or touched)[0]), "at": body["at"], "takes": body["takes"]}
            page |= {"hands": body["hands"], "specialty": body["specialty"], "day": body["day"]}
            page["closed"] = False  # it is news also when the row is closed
            told = Notice(tuple(people), about, f"{now:.0f}", page, body, at + HANDOVER_LATE_S, alone=True)
            found.append(told)
    return found


def _lines(rows: Sequence[NoticeRow], side: str) -> dict[str, list[int]]:
    """On which lines each person comes, or leaves."""
    found: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        for one in row.detail[side]:
            found[one].append(row.level)
    return found


def of_gaps(
    rota: Rota, rows: Sequence[NoticeRow], count: int, desks: Sequence[str], now: float, *, again: bool
) -> list[Notice]:
    """One for all gaps of a rota that were found together: the first of them, and how many there are.

    It takes the place of an older one, whose gaps are counted, so that a telephone that was off shows one.

    :param count: gaps of the rota that are open.
    :param again: it was announced before, and is close by now.
    """
    if not rows:
        return []
    first = min(rows, key=lambda row: (row.starts, row.level))
    span = iso_from_unix(first.starts), iso_from_unix(first.ends)
    soon = is_soon(first.starts, now)
    body = gap_body(rota.shown(max(first.starts, now)), *span, count, soon=soon)
    page = {**_page(first), "soon": soon, "day": body["day"], "specialty": body["specialty"]}
    state = f"{'s' if again else 'g'}{now:.0f}"
    return [Notice(tuple(desks), rota.id, state, page, body, gap_until(first.starts, first.ends, now))]


def of_closed(rota_id: str, rows: Sequence[NoticeRow], desks: Sequence[str], *, last: bool) -> list[Notice]:
    """For the pages; ``last``: no gap of the rota is open any more, so that what waits is called off."""
    about = rota_id if last else ""
    return [Notice(tuple(desks), about, "", _page(row)) for row in rows[:1]]


def of_ask(row: AskRow, rota: Rota | None, people: Mapping[Part, Sequence[str]], now: float) -> list[Notice]:
    """:param rota: None for a leave. :param people: who is to be told, by their part in it."""
    page = {"kind": "ask", "id": row.id, "scheduleId": row.schedule_id, "ask": row.ask, "stage": row.stage}
    shown = {} if rota is None else rota.shown(row.starts)
    span = iso_from_unix(row.starts), iso_from_unix(row.ends)
    until = ask_until(Stage(row.stage), row.expires_at, row.starts, now)
    found: list[Notice] = []
    for part, some in people.items():
        named = {"ask": row.ask, "id": row.id, "stage": row.stage, "part": part.value}
        body = ask_body(shown, named, *span)
        told = {**page, "part": part.value, "day": shown.get("day")}
        found.append(Notice(tuple(some), row.id, str(row.version), told, body, until))
    return found


def _page(row: NoticeRow) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "id": row.id,
        "scheduleId": row.schedule_id,
        "level": row.level,
        "starts": iso_from_unix(row.starts),
        "ends": iso_from_unix(row.ends),
        "closed": row.closed_at is not None,
    }

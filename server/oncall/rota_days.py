"""Which days a layer stands on: weekdays, days off, holidays and make-up workdays. Sans-I/O.

A duty day belongs to the date on which it begins: a Saturday's night ends on Sunday morning.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from server.oncall.rota_time import LARGEST_JUMP, first_occurrence, last_occurrence, wall_at

_SATURDAY = 5
_DAY = timedelta(days=1)


class DayKind(StrEnum):
    """``DAY_OFF``: weekends and holidays without make-up workdays; ``WORKDAY``: all others."""

    ANY = "any"
    WORKDAY = "workday"
    DAY_OFF = "day_off"


@dataclass(frozen=True, slots=True)
class DayCalendar:
    """What a country's yearly notice changes: holidays, and weekend days on which people work instead."""

    holidays: frozenset[date] = frozenset()
    workdays: frozenset[date] = frozenset()

    def kind(self, day: date) -> DayKind:
        """WORKDAY or DAY_OFF."""
        if day in self.workdays:
            return DayKind.WORKDAY
        off = day in self.holidays or day.weekday() >= _SATURDAY
        return DayKind.DAY_OFF if off else DayKind.WORKDAY


@dataclass(frozen=True, slots=True)
class DayRule:
    """The days and hours on which a layer stands: a day must be of ``kind`` *and* one of ``weekdays``.

    :param weekdays: 0 is Monday.
    :param starts: wall time at which each day's duty begins; None = with the rotation's handover.
    :param ends: wall time at which it ends, on the next day when not after ``starts``.
    """

    kind: DayKind = DayKind.ANY
    weekdays: frozenset[int] = field(default=frozenset(range(7)))
    starts: time | None = None
    ends: time | None = None

    @property
    def always(self) -> bool:
        return self.kind is DayKind.ANY and len(self.weekdays) == 7 and self.starts == self.ends

    def matches(self, day: date, calendar: DayCalendar) -> bool:
        return day.weekday() in self.weekdays and self.kind in (DayKind.ANY, calendar.kind(day))


EVERY_DAY = DayRule()
NO_HOLIDAYS = DayCalendar()


def windows(
    rule: DayRule, handover: time, calendar: DayCalendar, zone: ZoneInfo, start: float, end: float
) -> list[tuple[float, float]]:
    """When the rule holds within ``start``..``end`` and around: (from, to) in Unix seconds, in order.

    Days that follow one another are one window.
    """
    begins, ceases = rule.starts or handover, rule.ends or handover
    day = (wall_at(start, zone) - LARGEST_JUMP - _DAY).date()
    last = (wall_at(end, zone) + LARGEST_JUMP).date()
    found: list[tuple[float, float]] = []
    while day <= last:
        if rule.matches(day, calendar):
            window = _window(day, begins, ceases, zone)
            if found and window[0] <= found[-1][1]:
                window = (found.pop()[0], window[1])
            found.append(window)
        day += _DAY
    return found


def _window(day: date, begins: time, ceases: time, zone: ZoneInfo) -> tuple[float, float]:
    over = day if ceases > begins else day + _DAY
    return (
        first_occurrence(datetime.combine(day, begins), zone),
        last_occurrence(datetime.combine(over, ceases), zone),
    )

"""Public holidays and make-up workdays of China, of the years the `holidays` package knows.

The State Council announces each year's arrangement in the November before. Until the package has it, a coming
year's holidays are known but its make-up workdays are not: `announced` says so, and the desk can enter them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import holidays

from server.oncall.rota_days import DayCalendar


@dataclass(frozen=True, slots=True)
class Year:
    """One year's arrangement. ``names``: what each holiday is called, Chinese and English."""

    year: int
    calendar: DayCalendar
    names: dict[date, tuple[str, str]]

    @property
    def announced(self) -> bool:
        """Whether the make-up workdays are known: since 2008 every year has had some."""
        return bool(self.calendar.workdays)


@lru_cache(maxsize=32)  # a calendar of 30 days asks for one or two years
def year_of(year: int) -> Year:
    """The arrangement of one year."""
    zh = holidays.country_holidays("CN", years=year, expand=False, language="zh_CN")
    en = holidays.country_holidays("CN", years=year, expand=False, language="en_US")
    workdays = frozenset(day for day in zh.weekend_workdays if day.year == year)
    names = {day: (zh[day], en[day]) for day in sorted(zh)}
    return Year(year, DayCalendar(frozenset(names) - workdays, workdays), names)


def calendar_of(years: Iterable[int], off: Iterable[date] = (), worked: Iterable[date] = ()) -> DayCalendar:
    """The calendar of ``years``, with what the desk entered on top: days ``off`` and days ``worked``."""
    known = [year_of(year).calendar for year in sorted(set(years))]
    mine_off, mine_worked = frozenset(off), frozenset(worked)
    free = frozenset().union(*(one.holidays for one in known)) | mine_off
    work = frozenset().union(*(one.workdays for one in known)) | mine_worked
    return DayCalendar(free - mine_worked, work - mine_off)

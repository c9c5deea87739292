"""Layers that cover, days of the week and of the calendar, months, lists, overrides, leave: one by one."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, time, timedelta

import pytest

from server.oncall.holiday_table import calendar_of, year_of
from server.oncall.rota import Change, Leave, Override, Rotation, Schedule, Slot, Unit
from server.oncall.rota_cover import Difference, Gap, Handover, Why, differences, gaps, handovers
from server.oncall.rota_days import DayKind, DayRule
from server.oncall.rota_line import duties, on_call, timeline
from server.oncall.rota_shifts import wall_start
from tests.server.oncall.rotas import DAY, HOUR, daily, instant, layer, rota, told

MORNING = instant("2026-03-02T08:00:00+08:00")  # a Monday
WEEK = 7 * DAY


def with_override(schedule: Schedule, *overrides: Override) -> Schedule:
    return replace(schedule, overrides=overrides)


def test_the_higher_layer_covers_the_lower_on_its_days() -> None:
    weekend = layer(daily("x"), rank=1, days=DayRule(weekdays=frozenset({5, 6})))
    lines = told(timeline(rota(layer(daily("a")), weekend), MORNING, MORNING + WEEK))
    saturday = MORNING + 5 * DAY
    assert lines == [(MORNING, saturday, ("a",)), (saturday, MORNING + WEEK, ("x",))]


def test_hours_of_the_day_may_pass_midnight() -> None:
    night = DayRule(starts=time(20), ends=time(6))
    lines = told(
        timeline(rota(layer(daily("a")), layer(daily("n"), rank=1, days=night)), MORNING, MORNING + DAY)
    )
    evening = instant("2026-03-02T20:00:00+08:00")
    assert lines == [
        (MORNING, evening, ("a",)),
        (evening, evening + 10 * HOUR, ("n",)),
        (evening + 10 * HOUR, MORNING + DAY, ("a",)),
    ]


def test_chinese_holidays_and_make_up_workdays() -> None:
    """2026: Spring Festival 15-23 February, Saturdays 14 and 28 February are worked."""
    calendar = calendar_of([2026])
    assert calendar.kind(date(2026, 2, 14)) is DayKind.WORKDAY
    assert calendar.kind(date(2026, 2, 28)) is DayKind.WORKDAY
    assert {calendar.kind(date(2026, 2, day)) for day in range(15, 24)} == {DayKind.DAY_OFF}
    assert calendar.kind(date(2026, 2, 24)) is DayKind.WORKDAY
    off = layer(daily("off"), rank=1, days=DayRule(DayKind.DAY_OFF))
    schedule = replace(rota(layer(daily("work")), off), calendar=calendar)
    noon = {day: instant(f"2026-02-{day}T12:00:00+08:00") for day in (13, 14, 15, 23, 24, 28)}
    first = {day: on_call(schedule, at).practitioners[0] for day, at in noon.items()}
    assert first == {13: "work", 14: "work", 15: "off", 23: "off", 24: "work", 28: "work"}


def test_the_desk_corrects_the_calendar() -> None:
    calendar = calendar_of([2026], off=[date(2026, 2, 14), date(2026, 3, 3)], worked=[date(2026, 2, 17)])
    kinds = [calendar.kind(date(2026, month, day)) for month, day in ((2, 14), (3, 3), (2, 17))]
    assert kinds == [DayKind.DAY_OFF, DayKind.DAY_OFF, DayKind.WORKDAY]


def test_a_year_says_whether_it_was_announced() -> None:
    assert year_of(2026).announced
    assert not year_of(2040).announced
    assert year_of(2026).names[date(2026, 5, 1)] == ("劳动节", "Labor Day")


def test_a_month_s_last_day_stands_for_the_31st() -> None:
    monthly = Rotation(("a", "b"), date(2026, 1, 31), time(8), Unit.MONTH)
    starts = [wall_start(monthly, turn).date().isoformat() for turn in range(-2, 4)]
    assert starts == ["2025-11-30", "2025-12-31", "2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30"]
    schedule = rota(layer(monthly))
    assert on_call(schedule, instant("2026-02-28T07:59:59+08:00")).practitioners == ("a",)
    assert on_call(schedule, instant("2026-02-28T08:00:00+08:00")).practitioners == ("b",)


def test_a_list_of_shifts_comes_again_and_may_leave_hours_out() -> None:
    slots = (Slot("d", 0, time(8), 9 * 60), Slot("e", 0, time(17), 5 * 60), Slot("n", 1, time(22), 10 * 60))
    listed = Rotation((), date(2026, 3, 2), time(8), Unit.CUSTOM, 2, slots)
    lines = told(timeline(rota(layer(listed)), MORNING, MORNING + 2 * DAY))
    assert lines == [
        (MORNING, MORNING + 9 * HOUR, ("d",)),
        (MORNING + 9 * HOUR, MORNING + 14 * HOUR, ("e",)),
        (MORNING + 14 * HOUR, MORNING + 38 * HOUR, ()),
        (MORNING + 38 * HOUR, MORNING + 2 * DAY, ("n",)),
    ]


@pytest.mark.parametrize(
    ("override", "people"),
    [
        (Override("o", 1, Change.ADD, MORNING, MORNING + DAY, by="x"), ("a", "x")),
        (Override("o", 1, Change.REMOVE, MORNING, MORNING + DAY, who="a"), ()),
        (Override("o", 1, Change.REPLACE, MORNING, MORNING + DAY, "a", "x"), ("x",)),
        (Override("o", 1, Change.REPLACE, MORNING, MORNING + DAY, "b", "x"), ("a",)),
        (Override("o", 1, Change.REPLACE, MORNING, MORNING + DAY, None, "x"), ("x",)),
        (Override("o", 2, Change.REPLACE, MORNING, MORNING + DAY, None, "x"), ("a",)),
    ],
)
def test_what_an_override_does_for_its_time(override: Override, people: tuple[str, ...]) -> None:
    schedule = with_override(rota(layer(daily("a"))), override)
    assert on_call(schedule, MORNING).practitioners == people
    assert on_call(schedule, MORNING + DAY - 1).practitioners == people
    for outside in (MORNING - 1, MORNING + DAY):
        assert on_call(schedule, outside).practitioners == ("a",)


def test_a_later_override_changes_what_the_earlier_left() -> None:
    first = Override("1", 1, Change.REPLACE, MORNING, MORNING + DAY, "a", "x")
    second = Override("2", 1, Change.REPLACE, MORNING, MORNING + HOUR, "x", "y")
    schedule = with_override(rota(layer(daily("a"))), first, second)
    assert on_call(schedule, MORNING).practitioners == ("y",)
    assert on_call(schedule, MORNING + HOUR).practitioners == ("x",)


def test_leave_shows_the_layer_below_or_leaves_a_gap() -> None:
    away = Leave("a", MORNING, MORNING + DAY)
    covered = replace(rota(layer(daily("a"), rank=1), layer(daily("b"))), leave=(away,))
    assert on_call(covered, MORNING).practitioners == ("b",)
    assert gaps(covered, MORNING - DAY, MORNING + WEEK) == []
    alone = replace(rota(layer(daily("a"))), leave=(away,))
    assert gaps(alone, MORNING - DAY, MORNING + WEEK) == [
        Gap(1, MORNING, MORNING + DAY, Why.AWAY, ("a",), nobody=True)
    ]


def test_a_backup_line_keeps_a_gap_from_being_nobody() -> None:
    away = Leave("a", MORNING, MORNING + DAY)
    backed = replace(rota(layer(daily("a")), layer(daily("b"), level=2)), leave=(away,))
    (gap,) = gaps(backed, MORNING, MORNING + WEEK)
    assert (gap.level, gap.nobody) == (1, False)


def test_an_empty_pool_is_a_gap() -> None:
    for schedule in (rota(layer(daily())), rota(), replace(rota(layer(daily("a"))), gone=frozenset("a"))):
        (gap,) = gaps(schedule, MORNING, MORNING + 30 * DAY)
        assert (gap.starts, gap.ends, gap.nobody) == (MORNING, MORNING + 30 * DAY, True)


def test_hand_overs_say_who_hands_over_to_whom() -> None:
    schedule = rota(layer(daily("a", "b")))
    assert handovers(schedule, MORNING - HOUR, MORNING + DAY) == [Handover(1, MORNING, ("b",), ("a",))]


def test_a_hand_over_on_a_change_of_clocks_is_told_once() -> None:
    berlin = rota(layer(daily("a", "b", start="2026-10-24", at="02:30")), zone="Europe/Berlin")
    start = instant("2026-10-24T12:00:00Z")
    assert handovers(berlin, start, start + DAY) == [
        Handover(1, instant("2026-10-25T00:30:00Z"), ("a",), ("b",))
    ]


def test_the_end_of_an_addition_is_told_too() -> None:
    more = Override("o", 1, Change.ADD, MORNING + HOUR, MORNING + 2 * HOUR, by="x")
    schedule = with_override(rota(layer(daily("a"))), more)
    assert handovers(schedule, MORNING, MORNING + DAY) == [
        Handover(1, MORNING + HOUR, (), ("x",)),
        Handover(1, MORNING + 2 * HOUR, ("x",), ()),
    ]


def test_what_a_change_changes() -> None:
    old = rota(layer(daily("a", "b")))
    new = with_override(old, Override("o", 1, Change.REPLACE, MORNING, MORNING + 3 * DAY, "b", "x"))
    assert differences(old, new, MORNING, MORNING + WEEK) == [
        Difference(1, MORNING + DAY, MORNING + 2 * DAY, ("b",), ("x",))
    ]


def test_neighbouring_shifts_of_one_person_are_one_duty() -> None:
    schedule = rota(layer(daily("a", "b")), layer(daily("b", "c"), level=2))
    mine = [(level, one.starts, one.ends) for level, one in duties(schedule, MORNING, MORNING + 2 * DAY)]
    assert mine[0] == (1, MORNING, MORNING + DAY)
    alone = duties(rota(layer(daily("a"))), MORNING, MORNING + WEEK)
    assert [(one.starts, one.ends) for _, one in alone] == [(MORNING, MORNING + WEEK)]


def test_a_layer_of_few_days_says_how_long_its_emptiness_holds() -> None:
    sunday = layer(daily("a"), days=DayRule(weekdays=frozenset({6})))
    now = on_call(rota(sunday), MORNING)
    assert now.practitioners == ()
    assert now.until is not None
    assert timedelta(hours=1).total_seconds() < now.until - MORNING <= 6 * DAY

"""Never a gap, never a ghost: every zone of the tz database, ten years, every change of clocks in them.

`test_every_change_of_clocks...` is complete: each zone, each change, hand-overs before, in and after it. The
drawn ones are a hundred examples each here; a longer run: ``ROTA_EXAMPLES=20000 pytest this file``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import given, settings
from hypothesis import strategies as st

from server.oncall.ical import calendar_file
from server.oncall.rota import Change, Layer, Leave, Override, Rotation, Schedule, Slot, Unit
from server.oncall.rota_ask import Piece, Swap, check_swap, overrides_of
from server.oncall.rota_cover import gaps
from server.oncall.rota_days import DayCalendar, DayKind, DayRule
from server.oncall.rota_line import duties, on_call, timeline
from server.oncall.rota_shifts import shifts_between
from server.oncall.rota_time import first_occurrence, last_occurrence
from tests.server.oncall.calendar_reader import read_calendar
from tests.server.oncall.rotas import DAY, HOUR

EXAMPLES = int(os.environ.get("ROTA_EXAMPLES", "100"))
ZONES = tuple(sorted(available_timezones() - {"localtime", "Factory"}))
FROM, TO = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (2020, 2030))
PEOPLE = ("a", "b", "c", "d", "e")
WEEK = 7 * DAY


@cache
def changes_of(zone: str) -> tuple[int, ...]:
    """The instants in ten years at which a zone's offset changes: halving steps of three days."""
    tz = ZoneInfo(zone)

    def offset(at: int) -> timedelta | None:
        return datetime.fromtimestamp(at, UTC).astimezone(tz).utcoffset()

    def within(low: int, high: int) -> Iterator[int]:
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if offset(middle) == offset(low) else (low, middle)
        yield high

    steps = [(at, offset(at)) for at in range(FROM, TO, int(3 * DAY))]
    return tuple(one for (a, x), (b, y) in pairwise(steps) if x != y for one in within(a, b))


def alike() -> dict[tuple[object, ...], str]:
    """One zone of each behaviour: many names are links to one another."""
    found: dict[tuple[object, ...], str] = {}
    for name in ZONES:
        tz = ZoneInfo(name)
        times = changes_of(name)
        offsets = (datetime.fromtimestamp(at, UTC).astimezone(tz).utcoffset() for at in (FROM, *times))
        found.setdefault((times, *offsets), name)
    return found


def assert_whole(rotation: Rotation, zone: str, start: float, end: float) -> None:
    """The shifts cover the span, each begins and ends at its wall time, and overlap by a change at most."""
    tz = ZoneInfo(zone)
    shifts = shifts_between(rotation, tz, start, end)
    assert shifts[0].starts <= start
    reached = shifts[0].ends
    for one in shifts[1:]:
        assert one.starts <= reached, (zone, one)
        assert one.starts < one.ends
        reached = max(reached, one.ends)
    assert reached >= end
    assert {one.member for one in shifts} <= set(rotation.people)


def test_every_change_of_clocks_in_every_zone_leaves_no_gap() -> None:
    seen = 0
    for zone in alike().values():
        tz = ZoneInfo(zone)
        for change in changes_of(zone):
            wall = datetime.fromtimestamp(change, UTC).astimezone(tz)
            for minutes in (-60, -30, -15, 0, 15):
                at = (wall + timedelta(minutes=minutes)).replace(second=0, tzinfo=None)
                rotation = Rotation(PEOPLE[:2], at.date() - timedelta(days=1), at.time())
                assert_whole(rotation, zone, change - 2 * DAY, change + 2 * DAY)
            hourly = Rotation(PEOPLE, date(2020, 1, 1), time(0, 30), Unit.HOUR)
            assert_whole(hourly, zone, change - 6 * HOUR, change + 6 * HOUR)
            seen += 1
    assert seen > 500


def test_ten_years_of_lord_howe_s_half_hour() -> None:
    """Its clocks go from 02:00 to 01:30 and from 02:00 to 02:30: overlaps of 30 minutes, twice a year."""
    zone = "Australia/Lord_Howe"
    tz = ZoneInfo(zone)
    assert len(changes_of(zone)) == 20
    rotation = Rotation(("a", "b"), date(2020, 1, 1), time(1, 45))
    assert_whole(rotation, zone, FROM, TO)
    shifts = shifts_between(rotation, tz, FROM, TO)
    overlaps = [one.ends - two.starts for one, two in pairwise(shifts) if one.ends > two.starts]
    assert overlaps == [1800.0] * 10  # 01:45 occurs twice each April
    skipped = Rotation(("a", "b"), date(2020, 1, 1), time(2, 15))
    again = shifts_between(skipped, tz, FROM, TO)
    assert [one.ends - two.starts for one, two in pairwise(again) if one.ends > two.starts] == [1800.0] * 10


def test_half_past_two_that_does_not_occur() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    never = datetime(2026, 3, 29, 2, 30)  # noqa: DTZ001 - a wall time
    assert last_occurrence(never, berlin) - first_occurrence(never, berlin) == HOUR


members = st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=4, unique=True).map(tuple)
days = st.builds(
    DayRule,
    kind=st.sampled_from(DayKind),
    weekdays=st.frozensets(st.integers(0, 6), min_size=1),
)
calendars = st.builds(
    DayCalendar,
    holidays=st.frozensets(st.dates(date(2024, 1, 1), date(2024, 12, 31)), max_size=20),
    workdays=st.frozensets(st.dates(date(2024, 1, 1), date(2024, 12, 31)), max_size=8),
)
handovers = st.times().map(lambda one: one.replace(second=0, microsecond=0))
turning = st.builds(
    Rotation,
    members=members,
    start=st.dates(date(2020, 1, 1), date(2029, 12, 31)),
    handover=handovers,
    unit=st.sampled_from([Unit.HOUR, Unit.DAY, Unit.WEEK, Unit.MONTH]),
    every=st.integers(1, 5),
)
zones = st.sampled_from(ZONES)


@st.composite
def listed(draw: st.DrawFn) -> Rotation:
    """A custom list whose shifts follow one another around the whole cycle."""
    cycle = draw(st.integers(1, 7))
    cuts = sorted(draw(st.sets(st.integers(0, cycle * 1440 - 1), min_size=1, max_size=6)))
    slots = []
    for start, end in pairwise([*cuts, cuts[0] + cycle * 1440]):
        at = time(start % 1440 // 60, start % 60)
        slots.append(Slot(draw(st.sampled_from(PEOPLE)), start // 1440, at, end - start))
    begun = draw(st.dates(date(2020, 1, 1), date(2029, 12, 31)))
    return Rotation((), begun, time(8), Unit.CUSTOM, cycle, tuple(slots))


@st.composite
def schedules(draw: st.DrawFn) -> tuple[Schedule, float]:
    """A rota whose lowest layer always stands, with a moment to look from: often just before a change."""
    zone = draw(zones)
    layers = [
        Layer(level, draw(st.one_of(turning, listed())), rank, draw(days) if rank else DayRule())
        for level in (1, 2)[: draw(st.integers(1, 2))]
        for rank in range(draw(st.integers(1, 3)))
    ]
    changes = changes_of(zone) or (FROM,)
    at = draw(
        st.one_of(
            st.sampled_from(changes).map(lambda one: one - 2 * DAY),
            st.integers(FROM, int(TO - 2 * WEEK)),
        )
    )
    return Schedule("sch", "cardiology", zone, tuple(layers), draw(calendars)), float(at)


@st.composite
def changed(draw: st.DrawFn) -> tuple[Schedule, float]:
    """The same with overrides and leave here and there."""
    schedule, at = draw(schedules())
    spans = st.tuples(st.integers(-24, 200), st.integers(1, 100))
    overrides, leave = [], []
    for number in range(draw(st.integers(0, 4))):
        after, hours = draw(spans)
        change = draw(st.sampled_from(Change))
        who = None if change is Change.ADD else draw(st.sampled_from(PEOPLE))
        by = None if change is Change.REMOVE else draw(st.sampled_from((*PEOPLE, "x", "y")))
        start = at + after * HOUR
        overrides.append(
            Override(str(number), draw(st.integers(1, 2)), change, start, start + hours * HOUR, who, by)
        )
    for _ in range(draw(st.integers(0, 3))):
        after, hours = draw(spans)
        leave.append(
            Leave(draw(st.sampled_from((*PEOPLE, "x"))), at + after * HOUR, at + (after + hours) * HOUR)
        )
    gone = frozenset(draw(st.sets(st.sampled_from(PEOPLE), max_size=1)))
    return (
        Schedule(
            "sch",
            "cardiology",
            schedule.zone,
            schedule.layers,
            schedule.calendar,
            tuple(overrides),
            tuple(leave),
            gone,
        ),
        at,
    )


@settings(max_examples=EXAMPLES)
@given(schedules())
def test_never_a_gap_while_every_layer_has_members(drawn: tuple[Schedule, float]) -> None:
    schedule, at = drawn
    lines = timeline(schedule, at, at + WEEK)
    for level in schedule.levels:
        line = [one for one in lines if one.level == level]
        assert (line[0].starts, line[-1].ends) == (at, at + WEEK)
        assert all(before.ends == after.starts for before, after in pairwise(line))
        assert all(one.people for one in line)
    assert gaps(schedule, at, at + WEEK) == []


@settings(max_examples=EXAMPLES)
@given(changed())
def test_never_a_ghost_and_a_gap_only_where_all_are_away(drawn: tuple[Schedule, float]) -> None:
    schedule, at = drawn
    named = {one for layer in schedule.layers for one in layer.rotation.people}
    for one in timeline(schedule, at, at + WEEK):
        for moment in (one.starts, (one.starts + one.ends) / 2):
            running = [each for each in schedule.overrides if each.level == one.level and each.runs(moment)]
            away = {each.member for each in schedule.leave if each.runs(moment)} | schedule.gone
            brought = {each.by for each in running}
            assert not set(one.people) & away
            assert set(one.people) <= named | brought
            assert len(set(one.people)) == len(one.people)
            for last in running[-1:]:
                if last.change is not Change.ADD:
                    assert last.who not in one.people or last.who == last.by
            if not one.people:
                took = {each.who for each in running if each.change is not Change.ADD}
                assert away | took
                assert one.missing


@settings(max_examples=EXAMPLES)
@given(changed())
def test_the_instant_and_the_timeline_agree(drawn: tuple[Schedule, float]) -> None:
    schedule, at = drawn
    lines = timeline(schedule, at, at + 2 * DAY)
    for one in lines[:6]:
        now = on_call(schedule, one.starts)
        standing = [each.people for each in lines if each.starts <= one.starts < each.ends]
        assert now.practitioners == tuple(dict.fromkeys(person for line in standing for person in line))
        assert now.until is not None
        assert now.until > one.starts
        assert on_call(schedule, (one.starts + now.until) / 2).practitioners == now.practitioners


@settings(max_examples=EXAMPLES)
@given(schedules(), st.integers(0, 5), st.integers(0, 5))
def test_an_approved_swap_moves_just_its_pieces(drawn: tuple[Schedule, float], mine: int, yours: int) -> None:
    schedule, at = drawn
    held = [(level, one) for level, one in duties(schedule, at, at + 2 * WEEK) if one.starts > at]
    if not held:
        return
    level, given = held[mine % len(held)]
    back_level, back = held[yours % len(held)]
    if given.member == back.member:
        return
    swap = Swap(
        "swp",
        given.member,
        back.member,
        Piece(level, given.starts, given.ends),
        Piece(back_level, back.starts, back.ends),
    )
    check_swap(schedule, swap, at)
    after = Schedule("sch", "x", schedule.zone, schedule.layers, schedule.calendar, overrides_of(swap))
    assert gaps(after, at, at + 2 * WEEK) == []
    for who, by, piece in swap.pieces:
        for one in timeline(after, piece.starts, piece.ends):
            if one.level == piece.level:
                both = (given.starts, given.ends, level), (back.starts, back.ends, back_level)
                crossed = level == back_level and both[0][0] < both[1][1] and both[1][0] < both[0][1]
                assert crossed or (by in one.people and who not in one.people)


@settings(max_examples=EXAMPLES // 2)
@given(changed())
def test_the_calendar_file_read_by_another_library_has_the_same_shifts(drawn: tuple[Schedule, float]) -> None:
    schedule, at = drawn
    wanted = [(schedule, level, one) for level, one in duties(schedule, at, at + WEEK)]
    names = {
        (schedule.id, n): f"值班, {one.member}; line {level}" for n, (_, level, one) in enumerate(wanted)
    }
    file = calendar_file(
        "云岭县 on call", wanted, lambda _, level, one: f"值班, {one.member}; line {level}", at
    )
    read = read_calendar(file)
    assert [(one.starts, one.ends, one.summary) for one in read] == [
        (one.starts, one.ends, names[schedule.id, n]) for n, (_, _, one) in enumerate(wanted)
    ]
    assert len({one.uid for one in read}) == len(read)

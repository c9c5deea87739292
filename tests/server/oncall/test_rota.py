"""Rotas: never a gap, never a ghost, on every change of clocks."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.oncall.rota import Layer, OnCall, Rotation, Schedule, Shift, Unit
from server.oncall.rota_line import on_call
from server.oncall.rota_shifts import shift, shifts_between

ZONES = (
    "Asia/Shanghai",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Casablanca",
    "America/Sao_Paulo",
    "Asia/Kathmandu",
    "Antarctica/Troll",
)

rotations = st.builds(
    Rotation,
    members=st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, max_size=4, unique=True).map(tuple),
    start=st.dates(date(2010, 1, 1), date(2026, 1, 1)),
    handover=st.times().map(lambda t: t.replace(microsecond=0)),
    unit=st.sampled_from([Unit.HOUR, Unit.DAY, Unit.WEEK, Unit.MONTH]),
    every=st.integers(1, 13),
)
instants = st.floats(
    datetime(2010, 1, 1, tzinfo=UTC).timestamp(), datetime(2030, 1, 1, tzinfo=UTC).timestamp()
)


def shifts_at(rotation: Rotation, zone: ZoneInfo, at: float) -> list[Shift]:
    """The newest first."""
    return shifts_between(rotation, zone, at, at + 0.001)[::-1]


def instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@settings(max_examples=400)
@given(rotations, st.sampled_from(ZONES), instants)
def test_never_a_gap_and_never_a_ghost(rotation: Rotation, zone: str, at: float) -> None:
    running = shifts_at(rotation, ZoneInfo(zone), at)
    assert running
    assert all(each.member in rotation.members for each in running)
    assert all(each.starts <= at < each.ends for each in running)


@settings(max_examples=300)
@given(rotations, st.sampled_from(ZONES), st.integers(-150, 150))
def test_each_shift_ends_no_earlier_than_the_next_starts(rotation: Rotation, zone: str, turn: int) -> None:
    this, following = (shift(rotation, turn + step, ZoneInfo(zone)) for step in (0, 1))
    assert this.starts < this.ends
    assert following.starts <= this.ends


@settings(max_examples=200)
@given(st.lists(rotations, min_size=1, max_size=3), st.sampled_from(ZONES), instants)
def test_on_call_holds_until_it_says(layers: list[Rotation], zone: str, at: float) -> None:
    schedule = Schedule("s", "cardiology", zone, tuple(Layer(n, r) for n, r in enumerate(layers)))
    now = on_call(schedule, at)
    assert now.practitioners
    assert len(set(now.practitioners)) == len(now.practitioners)
    assert now.until is not None
    assert now.until > at
    middle = on_call(schedule, (at + now.until) / 2)
    assert middle.practitioners == now.practitioners


@pytest.mark.parametrize("zone", ZONES)
def test_hour_by_hour_through_the_changes_of_one_zone(zone: str) -> None:
    rotation = Rotation(("a", "b"), date(2011, 1, 1), time(2, 30))
    start = datetime(2011, 1, 1, tzinfo=UTC)
    for hour in range(0, 370 * 24, 3):
        at = (start + timedelta(hours=hour)).timestamp()
        assert 1 <= len(shifts_at(rotation, ZoneInfo(zone), at)) <= 2


def test_a_handover_that_occurs_twice_overlaps() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    rotation = Rotation(("a", "b"), date(2026, 10, 24), time(2, 30))
    first, second = instant("2026-10-25T00:30:00Z"), instant("2026-10-25T01:30:00Z")
    assert [s.member for s in shifts_at(rotation, berlin, first - 1)] == ["a"]
    assert [s.member for s in shifts_at(rotation, berlin, first)] == ["b", "a"]
    assert [s.member for s in shifts_at(rotation, berlin, second - 1)] == ["b", "a"]
    assert [s.member for s in shifts_at(rotation, berlin, second)] == ["b"]


def test_a_handover_that_does_not_occur_overlaps_by_the_jump() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    rotation = Rotation(("a", "b"), date(2026, 3, 28), time(2, 30))
    assert [s.member for s in shifts_at(rotation, berlin, instant("2026-03-29T00:29:59Z"))] == ["a"]
    assert [s.member for s in shifts_at(rotation, berlin, instant("2026-03-29T00:30:00Z"))] == ["b", "a"]
    assert [s.member for s in shifts_at(rotation, berlin, instant("2026-03-29T01:29:59Z"))] == ["b", "a"]
    assert [s.member for s in shifts_at(rotation, berlin, instant("2026-03-29T01:30:00Z"))] == ["b"]


def test_the_backup_layer_follows_the_first() -> None:
    handover, start = time(8), date(2026, 1, 1)
    schedule = Schedule(
        "s",
        "cardiology",
        "Asia/Shanghai",
        (
            Layer(2, Rotation(("chen", "wang"), start, handover)),
            Layer(1, Rotation(("wang", "chen"), start, handover)),
        ),
    )
    morning = instant("2026-01-01T08:00:00+08:00")
    assert on_call(schedule, morning) == OnCall(("wang", "chen"), morning + 86400)
    assert on_call(schedule, morning + 86400).practitioners == ("chen", "wang")
    assert on_call(schedule, morning - 1).practitioners == ("chen", "wang")


def test_a_rota_without_members_has_nobody_and_says_so() -> None:
    schedule = Schedule("s", "x", "Asia/Shanghai", (Layer(1, Rotation((), date(2026, 1, 1), time(8))),))
    assert on_call(schedule, 0.0) == OnCall((), None)


def test_a_shift_lasts_at_least_one_unit() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Rotation(("a",), date(2026, 1, 1), time(8), Unit.DAY, 0)

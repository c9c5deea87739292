"""What a change would do to people, before anybody decides it."""

from __future__ import annotations

from dataclasses import replace
from datetime import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.oncall.rota import Change, Leave, Override, Rotation, Schedule, Slot, Unit
from server.oncall.rota_cover import Difference, Gap
from server.oncall.rota_line import lines_at
from server.oncall.rota_whatif import Twice, Unbroken, beside, joined, unseen, what_if
from tests.server.oncall.rotas import DAY, HOUR, daily, instant, layer, rota

MORNING = instant("2026-03-02T08:00:00+08:00")
TWO_LINES = rota(layer(daily("a", "b", "c")), layer(daily("b", "c", "a"), level=2))
"""a, b, c on the first line day by day from 1 January; the next one stands behind."""


def on_first(schedule: Schedule, day: int) -> str:
    (first,) = what_if(schedule, taken(schedule, "zz", day), [(at(day), at(day + 1))]).differences[0].before
    return first


def at(day: float) -> float:
    return MORNING + day * DAY


def taken(schedule: Schedule, by: str, day: int, level: int = 1, days: float = 1) -> Schedule:
    change = Override(f"{by}{day}", level, Change.REPLACE, at(day), at(day + days), None, by)
    return replace(schedule, overrides=(*schedule.overrides, change))


def turns(day: int) -> tuple[str, str, str]:
    """Who stands first on that day, who behind, and who neither."""
    first = on_first(TWO_LINES, day)
    order = "abc" * 2
    place = order.index(first)
    return order[place], order[place + 1], order[place + 2]


def test_who_stands_on_two_lines_is_named_and_who_does_not_is_not() -> None:
    first, behind, free = turns(0)
    span = [(at(0), at(1))]
    assert what_if(TWO_LINES, taken(TWO_LINES, free, 0), span).twice == ()
    found = what_if(TWO_LINES, taken(TWO_LINES, behind, 0), span)
    assert found.differences == (Difference(1, at(0), at(1), (first,), (behind,)),)
    assert found.twice == (Twice(behind, at(0), at(1)),)
    assert found.new_gaps == ()


def test_another_rota_counts_as_a_line_and_what_stood_before_does_not() -> None:
    *_, free = turns(0)
    night = replace(rota(layer(daily(free))), id="other")
    changed = taken(TWO_LINES, free, 0)
    day = [(at(0), at(1))]
    found = what_if(TWO_LINES, changed, day)
    assert found.twice == ()
    assert beside(found, TWO_LINES, changed, day, [night]).twice == (Twice(free, at(0), at(1)),)
    # On two lines already: one of them passes to another line, and nothing is worse.
    before = taken(TWO_LINES, free, 0)
    after = taken(TWO_LINES, free, 0, level=2)
    assert beside(what_if(before, after, day), before, after, day, [night]).twice == ()


def test_a_gap_that_the_change_makes_is_new_and_one_that_was_there_is_not() -> None:
    alone = rota(layer(daily("a")), layer(daily("b"), level=2))
    gone = replace(alone, leave=(Leave("b", at(0), at(1)),))
    both = replace(gone, leave=(*gone.leave, Leave("a", at(0.5), at(2))))
    found = what_if(gone, both, [(at(0), at(3))])
    assert [(one.level, one.starts, one.ends, one.nobody) for one in found.new_gaps] == [
        (1, at(0.5), at(2), True)
    ]
    assert len(found.gaps) == 2
    assert what_if(gone, gone, [(at(0), at(3))]).new_gaps == ()


def test_a_turn_that_grows_beyond_a_day_is_named_and_a_week_where_weeks_are_turns_is_not() -> None:
    first, behind, free = turns(0)
    day_after = taken(TWO_LINES, free, 1)
    assert what_if(TWO_LINES, day_after, [(at(1), at(2))]).unbroken == (Unbroken(free, 1, at(1), at(3)),)
    assert what_if(TWO_LINES, taken(TWO_LINES, first, 2), [(at(2), at(3))]).unbroken == (
        Unbroken(first, 1, at(2), at(4)),
    )
    weekly = rota(layer(Rotation(("a", "b"), TWO_LINES.layers[0].rotation.start, time(8), Unit.WEEK)))
    assert what_if(weekly, taken(weekly, "c", 0, days=7), [(at(0), at(7))]).unbroken == ()
    slots = tuple(Slot(who, 0, time(8 + 12 * n), 720) for n, who in enumerate("ab"))
    lists = Rotation((), TWO_LINES.layers[0].rotation.start, time(8), Unit.CUSTOM, 1, slots)
    halves = rota(layer(lists))
    assert what_if(halves, taken(halves, "a", 0), [(at(0), at(1))]).unbroken == (
        Unbroken("a", 1, at(0), at(1.5)),
    )
    assert behind != free


def test_spans_that_touch_are_one_and_empty_ones_none() -> None:
    assert joined([(5.0, 9.0), (1.0, 3.0), (3.0, 4.0), (7.0, 7.0), (6.0, 8.0), (9.0, 2.0)]) == [
        (1.0, 4.0),
        (5.0, 9.0),
    ]
    assert what_if(TWO_LINES, taken(TWO_LINES, "x", 0), [(at(1), at(0))]).differences == ()


@pytest.mark.parametrize(
    ("made", "seen", "new"),
    [
        ([], [], False),
        ([(1, 0.0, 10.0)], [], True),
        ([(1, 0.0, 10.0)], [(1, 0.0, 10.0)], False),
        ([(1, 5.0, 9.0)], [(1, 0.0, 10.0)], False),
        ([(1, 0.0, 10.0)], [(1, 0.0, 5.0), (1, 5.0, 10.0)], False),
        ([(1, 0.0, 10.0)], [(1, 0.0, 3.0), (1, 7.0, 10.0)], True),
        ([(2, 0.0, 10.0)], [(1, 0.0, 10.0)], True),
        ([(1, 0.0, 12.0)], [(1, 0.0, 10.0)], True),
        ([(1, 0.0, 10.5)], [(1, 0.0, 10.0)], False),
    ],
)
def test_only_what_was_shown_was_seen(
    made: list[tuple[int, float, float]], seen: list[tuple[int, float, float]], *, new: bool
) -> None:
    assert unseen(made, seen) is new


def test_the_hours_around_the_change_are_not_told_as_changed() -> None:
    first, *_ = turns(0)
    half = Override("half", 1, Change.REPLACE, at(0), at(0) + 2 * HOUR, first, "z")
    found = what_if(TWO_LINES, replace(TWO_LINES, overrides=(half,)), [(at(0), at(1))])
    assert [(one.starts, one.ends) for one in found.differences] == [(at(0), at(0) + 2 * HOUR)]


PEOPLE = ("a", "b", "c", "d")
DAYS = 5
WHEN = st.tuples(st.integers(0, 4 * DAYS), st.integers(1, 8)).map(
    lambda t: (at(t[0] / 4), at((t[0] + t[1]) / 4))
)
AWAY = st.builds(lambda who, when: Leave(who, *when), st.sampled_from(PEOPLE), WHEN)
CHANGED = st.builds(
    lambda name, level, who, by, when: Override(name, level, Change.REPLACE, when[0], when[1], who, by),
    st.integers(0, 99).map(str),
    st.sampled_from((1, 2)),
    st.sampled_from((None, *PEOPLE)),
    st.sampled_from(PEOPLE),
    WHEN,
)
ROTAS = st.builds(
    lambda leave, overrides: replace(TWO_LINES, leave=tuple(leave), overrides=tuple(overrides)),
    st.lists(AWAY, max_size=3),
    st.lists(CHANGED, max_size=3, unique_by=lambda one: one.id),
)


@given(ROTAS, ROTAS)
@settings(max_examples=40)
def test_at_every_moment_it_tells_what_the_two_rotas_tell(old: Schedule, new: Schedule) -> None:
    """On each edge that there can be, by the lines as they are asked for in a ring."""
    found = what_if(old, new, [(at(0), at(DAYS))])
    for moment in (at(quarter / 4) for quarter in range(4 * DAYS)):
        before, after = dict(lines_at(old, moment)), dict(lines_at(new, moment))
        changes = {one.level: (one.before, one.after) for one in found.differences if runs(one, moment)}
        assert changes == {
            level: (before[level], after[level]) for level in (1, 2) if before[level] != after[level]
        }
        emptied = {level for level in (1, 2) if before[level] and not after[level]}
        empty = {level for level in (1, 2) if not after[level]}
        assert emptied <= {one.level for one in found.new_gaps if runs(one, moment)} <= empty
        then, now = (set(lines[1]) & set(lines[2]) for lines in (before, after))
        assert {one.person for one in found.twice if runs(one, moment)} == now - then


def runs(one: Difference | Gap | Twice, moment: float) -> bool:
    return one.starts <= moment < one.ends

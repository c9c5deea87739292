"""What the rota tells whom, and until when it is worth telling."""

from __future__ import annotations

from datetime import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.oncall.limits import DECISION_LONGEST_S, DECISION_TOLD_S, GAP_RUNS_S, GAP_SOON_S, HANDOVER_LATE_S
from server.oncall.models import AskRow, NoticeRow
from server.oncall.rota_ask import OPEN, Part, Stage
from server.oncall.telling import (
    Rota,
    ask_until,
    gap_until,
    is_soon,
    of_ask,
    of_closed,
    of_gaps,
    of_handovers,
)
from signaling.personal import Personal
from tests.server.oncall.rotas import DAY, HOUR, instant

NOW = instant("2026-03-02T12:00:00+08:00")
MORNING = instant("2026-03-03T08:00:00+08:00")
ROTA = Rota(
    "sch-1",
    "Asia/Shanghai",
    time(8),
    {"zh": "心血管内科", "en": "Cardiology"},
    {"zh": "云岭县人民医院", "en": "Yunling County Hospital"},
)
SHOWN = {
    "schedule": "sch-1",
    "specialty": ROTA.specialty,
    "place": ROTA.place,
    "timeZone": "Asia/Shanghai",
    "day": "2026-03-03",
}


def row(kind: str, level: int, starts: float, ends: float, **detail: Any) -> NoticeRow:
    if kind == "handover":
        detail["people"] = [*detail["coming"], *detail["leaving"]]
    return NoticeRow(
        id=f"ntc-{level}",
        schedule_id="sch-1",
        kind=kind,
        level=level,
        starts=starts,
        ends=ends,
        detail=detail,
    )


def test_each_person_gets_one_notice_of_a_hand_over_whatever_number_of_lines_change() -> None:
    """a and b change places on two lines; c only leaves the third, d only comes there."""
    rows = [
        row("handover", 3, MORNING, MORNING, coming=["d"], leaving=["c"]),
        row("handover", 1, MORNING, MORNING, coming=["b"], leaving=["a"]),
        row("handover", 2, MORNING, MORNING, coming=["a"], leaving=["b"]),
    ]
    found = {one.people[0]: one for one in of_handovers(ROTA, rows, rows, NOW)}
    assert {who: one.people for who, one in found.items()} == {who: (who,) for who in "abcd"}
    said = {who: ((one.body or {})["takes"], (one.body or {})["hands"]) for who, one in found.items()}
    assert said == {"a": ([2], [1]), "b": ([1], [2]), "c": ([], [3]), "d": ([3], [])}
    assert found["a"].body == {
        "type": "handover",
        **SHOWN,
        "at": "2026-03-03T00:00:00.000Z",
        "takes": [2],
        "hands": [1],
    }
    assert {one.until for one in found.values()} == {MORNING + HANDOVER_LATE_S}
    (subject,) = {one.subject for one in found.values()}
    assert len(subject) <= 40
    later = of_handovers(ROTA, rows, rows, NOW + 1)
    assert {one.about for one in later} == {one.about for one in found.values()}
    assert {one.subject for one in later}.isdisjoint({subject})


def test_when_a_hand_over_changes_those_concerned_are_told_how_it_stands_with_them() -> None:
    """b was to take over from a; now d does. On the second line, where c follows e, nothing changed."""
    void = row("handover", 1, MORNING, MORNING, coming=["b"], leaving=["a"])
    fresh = row("handover", 1, MORNING, MORNING, coming=["d"], leaving=["a"])
    second = row("handover", 2, MORNING, MORNING, coming=["c", "a"], leaving=["e"])
    found = of_handovers(ROTA, [fresh, second], [fresh, void], NOW)
    said = {one.people: ((one.body or {})["takes"], (one.body or {})["hands"]) for one in found}
    assert said == {("a",): ([2], [1]), ("d",): ([1], []), ("b",): ([], [])}
    assert all(one.alone for one in found)
    (gone,) = of_handovers(ROTA, [], [void], NOW)
    assert (gone.people, gone.page["id"]) == (("b", "a"), void.id)


def test_gaps_that_are_found_together_are_one_notice_about_the_first() -> None:
    rows = [row("gap", 2, NOW + 3 * DAY, NOW + 4 * DAY), row("gap", 1, MORNING - HOUR, MORNING)]
    assert of_gaps(ROTA, [], 3, ["desk"], NOW, again=True) == []
    (one,) = of_gaps(ROTA, rows, 3, ["desk", "desk2"], NOW, again=False)
    assert (one.people, one.until, one.about) == (("desk", "desk2"), MORNING - HOUR, "sch-1")
    # An hour before the hand-over is the day before's duty.
    assert one.body == {
        "type": "gap",
        **SHOWN,
        "day": "2026-03-02",
        "starts": "2026-03-02T23:00:00.000Z",
        "ends": "2026-03-03T00:00:00.000Z",
        "count": 3,
        "soon": True,
    }
    (again,) = of_gaps(ROTA, rows, 3, ["desk"], NOW, again=True)
    assert again.subject != one.subject
    (far,) = of_gaps(ROTA, rows[:1], 1, ["desk"], NOW, again=False)
    assert far.body is not None
    assert (far.body["soon"], far.page["soon"], far.until) == (False, False, NOW + 3 * DAY)


@pytest.mark.parametrize("last", [True, False])
def test_a_gap_that_is_covered_is_told_to_pages_and_calls_off_what_waits(last: bool) -> None:
    gap = row("gap", 1, MORNING, MORNING + DAY)
    gap.closed_at = NOW
    (one,) = of_closed("sch-1", [gap, gap], ["desk"], last=last)
    assert (one.body, one.about, one.page["closed"]) == (None, "sch-1" if last else "", True)


def ask(kind: str, stage: Stage, **given: Any) -> AskRow:
    return AskRow(
        id="swp-1",
        ask=kind,
        stage=stage.value,
        version=2,
        asker_id="a",
        starts=MORNING,
        ends=MORNING + DAY,
        reason=Personal("看病"),
        asked_at=NOW,
        expires_at=NOW + HOUR,
        **given,
    )


def test_a_swap_says_to_each_what_it_is_to_them_and_nobodys_name() -> None:
    people = {Part.ASKER: ["person-a"], Part.DESK: ["desk", "desk2"]}
    found = of_ask(ask("swap", Stage.AGREED, schedule_id="sch-1", other_id="b"), ROTA, people, NOW)
    assert [one.people for one in found] == [("person-a",), ("desk", "desk2")]
    assert [(one.subject, one.until) for one in found] == [("swp-1.2", NOW + HOUR)] * 2
    assert found[1].body == {
        "type": "ask",
        "ask": "swap",
        "askId": "swp-1",
        "stage": "agreed",
        "part": "desk",
        **SHOWN,
        "starts": "2026-03-03T00:00:00.000Z",
        "ends": "2026-03-04T00:00:00.000Z",
    }
    assert "person-a" not in str([one.body for one in found])


def test_a_leave_is_from_all_rotas() -> None:
    (one,) = of_ask(ask("leave", Stage.PROPOSED), None, {Part.DESK: ["desk"]}, NOW)
    assert one.body is not None
    assert set(one.body) == {"type", "ask", "askId", "stage", "part", "starts", "ends"}
    assert one.page["scheduleId"] is None


@given(
    st.sampled_from(Stage),
    st.floats(NOW - 30 * DAY, NOW + 300 * DAY),
    st.floats(NOW - 3 * DAY, NOW + 3 * DAY),
)
def test_a_decision_is_told_until_the_shift_within_bounds(
    stage: Stage, starts: float, expires_at: float
) -> None:
    until = ask_until(stage, expires_at, starts, NOW)
    if stage in OPEN:
        assert until == expires_at
    else:
        assert NOW + DECISION_TOLD_S <= until <= NOW + DECISION_LONGEST_S
        assert until == starts or until in (NOW + DECISION_TOLD_S, NOW + DECISION_LONGEST_S)


@given(st.floats(NOW - DAY, NOW + 30 * DAY), st.floats(1.0, 30 * DAY))
def test_a_gap_is_told_until_it_begins_or_for_a_while_of_its_time(starts: float, lasts: float) -> None:
    until = gap_until(starts, starts + lasts, NOW)
    assert until == starts if starts > NOW else until <= min(starts + lasts, NOW + GAP_RUNS_S)
    assert is_soon(starts, NOW) == (starts <= NOW + GAP_SOON_S)

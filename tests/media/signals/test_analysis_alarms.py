"""When an alarm of the analysis is raised, when it is over, and who says so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.errors import RemoteProtocolError
from media.signals.analysis.alarms import (
    END_S,
    LEAD_OFF_S,
    NO_DATA_S,
    POOR_S,
    PRESETS,
    RAISE_S,
    AlarmBook,
    AlarmLimits,
    AlarmRules,
    Condition,
    Measured,
)
from media.signals.analysis.findings import KINDS, Alarm

CALM = Measured(0.0, "good", True, True, 75.0, 0.5, 0.8, (), ())


def kinds(rules: AlarmRules, now: Measured) -> set[str]:
    return {condition.kind for condition in rules.push(now)}


def raised_after(rules: AlarmRules, kind: str, now: Measured) -> float | None:
    """Seconds until ``kind`` holds, while the same goes on, looking twice a second."""
    for half in range(60):
        if kind in kinds(rules, replace(now, time=now.time + half / 2)):
            return half / 2
    return None


@pytest.mark.parametrize(
    ("kind", "now", "after"),
    [
        ("tachycardia", replace(CALM, rate=121.0), RAISE_S),
        ("tachycardia", replace(CALM, rate=120.4), None),
        ("bradycardia", replace(CALM, rate=49.0), RAISE_S),
        ("bradycardia", replace(CALM, rate=50.0), None),
        ("tachycardia", replace(CALM, rate=200.0, trusted=False), None),
        ("asystole", replace(CALM, gap_s=4.0), 0),
        ("asystole", replace(CALM, gap_s=9.0, trusted=False), None),
        ("asystole", replace(CALM, gap_s=9.0, quiet=False), None),
        ("pause", replace(CALM, gap_s=2.1), 0),
        ("pause", replace(CALM, ended_gaps=(0.8, 2.1)), 0),
        ("pause", replace(CALM, gap_s=2.1, usual_s=2.0), None),
        ("lead_off", replace(CALM, off=("V1",)), LEAD_OFF_S),
        ("poor_signal", replace(CALM, quality="poor", trusted=False), POOR_S),
    ],
)
def test_what_is_raised_and_when(kind: str, now: Measured, after: float | None) -> None:
    assert raised_after(AlarmRules(AlarmLimits()), kind, now) == after


def test_a_rate_alarm_ends_clearly_inside_the_limit_and_not_at_once() -> None:
    rules = AlarmRules(AlarmLimits())
    assert raised_after(rules, "tachycardia", replace(CALM, rate=130.0)) == RAISE_S
    for time in range(10, 40):
        assert kinds(rules, replace(CALM, rate=118.0, time=time)) == {"tachycardia"}
    assert kinds(rules, replace(CALM, rate=117.0, time=40.0)) == {"tachycardia"}
    assert kinds(rules, replace(CALM, rate=117.0, time=40.0 + END_S)) == set()


def test_a_rate_alarm_waits_while_the_signal_cannot_be_relied_on() -> None:
    rules = AlarmRules(AlarmLimits())
    raised_after(rules, "tachycardia", replace(CALM, rate=130.0))
    unknown = replace(CALM, rate=60.0, trusted=False, time=100.0)
    assert kinds(rules, unknown) == {"tachycardia"}


def test_a_long_pause_is_graver_and_a_standstill_is_no_pause() -> None:
    rules = AlarmRules(AlarmLimits())
    short, long, still = (rules.push(replace(CALM, gap_s=gap)) for gap in (2.5, 3.5, 4.5))
    assert [(one.kind, one.severity) for one in (*short, *long, *still)] == [
        ("pause", "medium"),
        ("pause", "high"),
        ("asystole", "high"),
    ]
    assert rules.push(replace(CALM, ended_gaps=(5.5,))) == []


def test_all_leads_off_are_graver_than_one() -> None:
    rules = AlarmRules(AlarmLimits())
    one = [rules.push(replace(CALM, off=("V1",), time=time)) for time in (0.0, 5.0)][-1]
    both = rules.push(replace(CALM, off=("V1", "V2"), quality="off", time=6.0))
    assert [(condition.severity, condition.evidence["leads"]) for condition in (*one, *both)] == [
        ("low", ["V1"]),
        ("medium", ["V1", "V2"]),
    ]


def test_presets_differ_in_rate() -> None:
    assert {name: (preset.low, preset.high) for name, preset in PRESETS.items()} == {
        "adult": (50, 120),
        "child": (75, 160),
        "neonate": (100, 200),
    }
    assert NO_DATA_S <= 10


def book() -> AlarmBook:
    numbers = count()
    return AlarmBook("s", lambda: f"a-{next(numbers)}")


FAST = Condition("tachycardia", "medium", {"heartRate": 150, "limit": 120})
OFF = Condition("lead_off", "low", {"leads": ["V1"]})


def test_an_alarm_is_told_once_and_stays_until_it_passed_and_was_seen() -> None:
    alarms = book()
    (raised,) = alarms.update([FAST], 1.0, 0.5)
    assert (raised.state, raised.since, raised.device_time) == ("raised", 1.0, 0.5)
    grown = Condition("tachycardia", "medium", {"heartRate": 160, "limit": 120})
    assert alarms.update([grown], 2.0, 1.5) == []
    (ended,) = alarms.update([], 3.0, 2.5)
    assert (ended.state, ended.over) == ("ended", False)
    seen = alarms.acknowledge(raised.id, "wang", "expert", 4.0)
    assert seen is not None
    assert (seen.over, seen.acknowledged_by, seen.acknowledged_role) == (True, "wang", "expert")
    assert alarms.standing == []


def test_what_comes_back_unseen_goes_on_and_what_was_seen_begins_anew() -> None:
    alarms = book()
    (first,) = alarms.update([FAST], 1.0, 1.0)
    alarms.update([], 2.0, 2.0)
    (again,) = alarms.update([FAST], 3.0, 3.0)
    assert (again.id, again.state, again.since) == (first.id, "raised", 1.0)
    alarms.acknowledge(first.id, "wang", "expert", 4.0)
    assert alarms.update([FAST], 5.0, 5.0) == []
    (over,) = alarms.update([], 6.0, 6.0)
    assert over.over
    (new,) = alarms.update([FAST], 7.0, 7.0)
    assert new.id != first.id


def test_a_technical_alarm_goes_with_its_condition_and_tells_other_leads() -> None:
    alarms = book()
    alarms.update([OFF], 1.0, 1.0)
    (more,) = alarms.update([Condition("lead_off", "low", {"leads": ["V1", "V2"]})], 2.0, 2.0)
    assert more.evidence == {"leads": ["V1", "V2"]}
    (gone,) = alarms.update([], 3.0, 3.0)
    assert gone.over
    assert alarms.standing == []


def test_acknowledging_twice_changes_nothing_and_a_stranger_is_not_found() -> None:
    alarms = book()
    (raised,) = alarms.update([FAST], 1.0, 1.0)
    assert alarms.acknowledge(raised.id, "wang", "expert", 2.0) is not None
    assert alarms.acknowledge(raised.id, "li", "requester", 3.0) is None
    assert alarms.standing[0].acknowledged_by == "wang"
    with pytest.raises(RemoteProtocolError, match="not_found"):
        alarms.acknowledge("a-none", "wang", "expert", 4.0)


def _conditions() -> Iterator[Condition]:
    for kind in sorted(KINDS):
        yield Condition(kind, "medium", {"leads": ["V1"]} if kind == "lead_off" else {})  # type: ignore[arg-type]


STEPS = st.lists(
    st.one_of(
        st.sets(st.sampled_from(list(range(len(KINDS))))).map(lambda held: ("update", held)),
        st.sampled_from(list(range(8))).map(lambda which: ("acknowledge", which)),
    ),
    max_size=30,
)


@given(STEPS)
def test_whatever_happens_no_alarm_of_the_heart_goes_unseen(steps: list[tuple[str, object]]) -> None:
    alarms, every = book(), list(_conditions())
    told: dict[str, Alarm] = {}
    for at, (step, what) in enumerate(steps):
        if step == "update":
            assert isinstance(what, set)
            changed = alarms.update([every[index] for index in sorted(what)], at, at)
        else:
            standing = alarms.standing
            assert isinstance(what, int)
            one = alarms.acknowledge(standing[what].id, "u", "expert", at) if what < len(standing) else None
            changed = [one] if one else []
        told |= {alarm.id: alarm for alarm in changed}
        assert {alarm.id for alarm in alarms.standing} == {
            alarm.id for alarm in told.values() if not alarm.over
        }
        assert len({alarm.kind for alarm in alarms.standing}) == len(alarms.standing)
    for alarm in told.values():
        assert not alarm.over or alarm.technical or alarm.acknowledged_by

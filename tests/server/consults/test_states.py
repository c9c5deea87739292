"""The state table: every state with every action, timers and owners, and the diagram."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.consults import diagram
from server.consults.errors import ActionRefused
from server.consults.machine import allowed, apply, follow_up, presence, roles_of, state_timer, timer_for
from server.consults.states import DURATIONS, OWNERS, TABLE, TIMERS
from server.consults.texts import LIMIT_TEXTS, REMINDER_TEXTS, TIMER_TEXTS, next_text
from server.consults.vocabulary import FINAL, Action, Consult, Data, Effect, Kind, Role, State

NOW = 1_767_225_600.0

consults = st.builds(
    Consult,
    id=st.just("con-1"),
    kind=st.sampled_from(Kind),
    state=st.sampled_from(State),
    version=st.integers(1, 50),
    requester_id=st.just("requester"),
    expert_id=st.sampled_from([None, "expert"]),
    ringing=st.frozensets(st.sampled_from(["a", "b"])),
    ring=st.integers(0, 4),
    since=st.just(NOW),
    submitted_at=st.sampled_from([None, NOW - 500]),
    scheduled_for=st.sampled_from([None, NOW + 3600]),
    reminders=st.integers(0, 3),
    missing=st.frozensets(st.sampled_from(["purpose", "consent"])),
    opinion_missing=st.frozensets(st.sampled_from(["findings", "conclusion"])),
    recording_consented=st.booleans(),
    critical=st.booleans(),
    requester_in=st.booleans(),
    expert_in=st.booleans(),
    absent_since=st.sampled_from([None, NOW - 3]),
    critical_acknowledged=st.booleans(),
    rated=st.booleans(),
    green=st.booleans(),
    members=st.frozensets(st.sampled_from(["m"])),
    invited=st.frozensets(st.sampled_from(["i", "a"])),
    seats_empty=st.booleans(),
    seat_due=st.sampled_from([None, NOW + 60, NOW + 90_000]),
)
data = st.builds(
    Data,
    actor_id=st.sampled_from(["a", "b", "expert", "requester"]),
    reason=st.sampled_from(["", "no time"]),
    text=st.sampled_from(["", "as advised"]),
    at=st.sampled_from([None, NOW + 7200]),
    rung=st.sampled_from([(), ("a",), ("a", "b")]),
)


@settings(max_examples=2000)
@given(consults, st.sampled_from(Action), st.frozensets(st.sampled_from(Role)), data)
def test_every_action_is_a_transition_or_the_one_error(
    consult: Consult, action: Action, roles: frozenset[Role], given_data: Data
) -> None:
    try:
        step = apply(consult, action, roles, NOW + 10, given_data)
    except ActionRefused:
        return
    assert consult.state not in FINAL
    assert step.after.version == consult.version + step.recorded
    if step.moved:
        assert step.after.since == NOW + 10
        assert step.after.reminders == 0
    assert step.timer == state_timer(step.after)


@given(consults)
def test_a_state_that_is_not_final_has_a_timer_or_an_owner(consult: Consult) -> None:
    timer = timer_for(consult)
    if consult.state in FINAL:
        assert timer is None
        assert follow_up(consult) is None
    else:
        assert timer is not None or consult.state in OWNERS


@given(consults, data)
def test_the_system_can_always_take_its_timers_action(consult: Consult, given_data: Data) -> None:
    timer = timer_for(consult)
    if timer is None:
        return
    action = timer.action
    rung = replace(given_data, rung=("a",))
    step = apply(consult, action, {Role.SYSTEM}, timer.due, rung)
    again = step.timer
    assert step.moved or (again is not None and again.due > timer.due)


@given(consults, st.frozensets(st.sampled_from(Role)))
def test_what_is_allowed_is_never_forbidden_nor_in_the_wrong_state(
    consult: Consult, roles: frozenset[Role]
) -> None:
    everything = Data(reason="r", text="t", at=NOW + 7200, rung=("a",))
    can = allowed(consult, roles)
    assert len(can) == len(set(can))
    for action in can:
        apply(consult, action, roles, NOW, everything)


@given(consults)
def test_a_stranger_can_do_nothing(consult: Consult) -> None:
    assert allowed(consult, roles_of(consult, "stranger", desk=False)) == []


def test_every_state_can_be_reached_and_left() -> None:
    reached = {State.DRAFT} | {rule.to for rule in TABLE if rule.to}
    left = {state for rule in TABLE if rule.to for state in rule.states}
    assert reached == set(State)
    assert left == set(State) - FINAL


def test_every_action_stands_in_the_table_and_every_duration_is_used() -> None:
    assert {rule.action for rule in TABLE} == set(Action)
    assert {rule.duration for rule in TIMERS} == set(DURATIONS)


def test_an_urgent_request_is_never_returned_for_information() -> None:
    consult = Consult("c", Kind.URGENT, State.SUBMITTED)
    with pytest.raises(ActionRefused, match="wrong_state"):
        apply(consult, Action.RETURN_INFO, {Role.DESK}, NOW, Data(reason="age?"))


def test_submit_without_consent_names_what_is_missing() -> None:
    consult = Consult("c", Kind.URGENT, State.DRAFT, missing=frozenset({"consent", "purpose"}))
    with pytest.raises(ActionRefused) as refused:
        apply(consult, Action.SUBMIT, {Role.REQUESTER}, NOW)
    assert refused.value.code.code == "incomplete"
    assert refused.value.detail == "consent, purpose"


def test_a_decline_goes_on_to_the_next_only_when_nobody_else_rings() -> None:
    consult = Consult("c", Kind.URGENT, State.OFFERED, ringing=frozenset({"a", "b"}), since=NOW)
    first = apply(consult, Action.DECLINE, {Role.RINGING}, NOW + 5, Data("a", "in theatre")).after
    assert (first.state, first.ringing, first.since) == (State.OFFERED, frozenset({"b"}), NOW)
    second = apply(first, Action.DECLINE, {Role.RINGING}, NOW + 9, Data("b", "off duty")).after
    assert (second.state, second.ringing) == (State.ESCALATED, frozenset())


@pytest.mark.parametrize(
    ("kind", "state", "facts", "due", "action"),
    [
        (Kind.URGENT, State.OFFERED, {}, 60, Action.RING_TIMEOUT),
        (Kind.ROUTINE, State.OFFERED, {}, 4 * 3600, Action.RING_TIMEOUT),
        (Kind.URGENT, State.ACCEPTED, {"submitted_at": NOW - 100}, 500, Action.NO_SHOW),
        (Kind.URGENT, State.ACCEPTED, {"submitted_at": NOW - 590}, 120, Action.NO_SHOW),
        (Kind.URGENT, State.READY, {}, 120, Action.NO_SHOW),
        (Kind.URGENT, State.READY, {"reminders": 1}, 240, Action.NO_SHOW),
        (Kind.ROUTINE, State.SCHEDULED, {"scheduled_for": NOW + 3600}, 2700, Action.OPEN_WAITING_ROOM),
        (Kind.ROUTINE, State.SCHEDULED, {"scheduled_for": NOW + 60}, 0, Action.OPEN_WAITING_ROOM),
        (Kind.ROUTINE, State.READY, {"scheduled_for": NOW + 900}, 1500, Action.NO_SHOW),
        (Kind.URGENT, State.IN_SESSION, {"absent_since": NOW + 100}, 130, Action.LINK_LOST),
        (Kind.URGENT, State.SUSPENDED, {}, 60, Action.TELEPHONE),
        (Kind.URGENT, State.SUSPENDED, {"reminders": 1}, 300, Action.GIVE_UP),
        (Kind.DIAGNOSTIC, State.SUSPENDED, {}, 300, Action.GIVE_UP),
        (Kind.DIAGNOSTIC, State.OPINION_PENDING, {"submitted_at": NOW - 240}, 360, Action.OVERDUE),
        (Kind.URGENT, State.RETURNED, {"critical": True}, 300, Action.CALL),
        (Kind.URGENT, State.RETURNED, {}, 86400, Action.OVERDUE),
        (Kind.URGENT, State.ACKNOWLEDGED, {}, 72 * 3600, Action.ARCHIVE),
        (Kind.URGENT, State.UNFILLED, {"reminders": 2}, 180, Action.ALARM),
    ],
)
def test_timers(kind: Kind, state: State, facts: dict[str, float], due: float, action: Action) -> None:
    consult = replace(Consult("c", kind, state, since=NOW), **facts)  # type: ignore[arg-type]
    timer = timer_for(consult)
    assert timer is not None
    assert (timer.due - NOW, timer.action) == (due, action)


def test_a_session_starts_when_both_are_in_and_is_lost_30_s_after_one_left() -> None:
    consult = Consult("c", Kind.URGENT, State.ACCEPTED, since=NOW, expert_id="e")
    consult = presence(consult, Role.REQUESTER, True, NOW)
    assert follow_up(consult) is Action.ARRIVE
    consult = apply(consult, Action.ARRIVE, {Role.SYSTEM}, NOW).after
    assert follow_up(consult) is None
    consult = presence(consult, Role.EXPERT, True, NOW + 5)
    step = apply(consult, Action.START, {Role.SYSTEM}, NOW + 5)
    assert follow_up(consult) is Action.START
    assert Effect.RECORD in step.effects
    assert step.timer is None
    consult = presence(step.after, Role.EXPERT, False, NOW + 50)
    timer = timer_for(consult)
    assert timer is not None
    assert timer.due == NOW + 80
    consult = presence(consult, Role.EXPERT, True, NOW + 60)
    assert timer_for(consult) is None


def test_the_diagram_in_design_md_is_current() -> None:
    text = diagram.DESIGN.read_text("utf-8")
    assert diagram.renewed(text) == text, "run: python -m server.consults.diagram"


def test_the_diagram_shows_every_state() -> None:
    drawn = diagram.mermaid()
    assert all(state in drawn for state in State)


def test_a_timer_that_reminds_says_afterwards_what_the_next_reminder_does() -> None:
    reminding = {(state, row.action) for row in TABLE if row.reminds for state in row.states}
    late = Consult("c", Kind.URGENT, State.RETURNED, reminders=1, critical=True)
    again = {one.duration for one in TIMERS if (one.state, one.action) in reminding and one.when(late)}
    assert again == set(REMINDER_TEXTS)
    assert set(LIMIT_TEXTS) == set(TIMER_TEXTS)
    assert next_text("opinion", 0) == TIMER_TEXTS["opinion"]
    assert next_text("opinion", 2) == REMINDER_TEXTS["opinion"]
    # Who is telephoned once is not telephoned again: the next step is another.
    assert next_text("suspended", 1) == TIMER_TEXTS["suspended"]

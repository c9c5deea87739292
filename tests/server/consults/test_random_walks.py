"""Any sequence of actions and timers from the draft on: what must hold after every one of them."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from server.consults.errors import ActionRefused
from server.consults.machine import allowed, apply, follow_up, presence, roles_of, timer_for
from server.consults.states import OWNERS, WITH_ROOM
from server.consults.vocabulary import FINAL, Action, Consult, Data, Kind, Role, State

NOW = 1_767_225_600.0
PEOPLE = ("requester", "a", "b", "desk")
WITH_EXPERT = {*WITH_ROOM, State.OPINION_PENDING, State.SIGNED, State.RETURNED, State.ACKNOWLEDGED}


def begin(kind: Kind) -> Consult:
    return Consult("con-1", kind, State.DRAFT, requester_id="requester", since=NOW, recording_consented=True)


def settle(consult: Consult, now: float, rung: tuple[str, ...]) -> Consult:
    """The system's own steps, as `steps` takes them: an offer without people is UNFILLED."""
    for _ in range(8):
        action = follow_up(consult)
        if action is None:
            return consult
        if action is Action.OFFER and not rung:
            action = Action.UNFILLED
        consult = apply(consult, action, {Role.SYSTEM}, now, Data(rung=rung)).after
    raise AssertionError("the system never comes to rest")


def one_move(consult: Consult, random: Random, now: float, rung: tuple[str, ...]) -> Consult:
    """Mostly something that may be done; sometimes anything at all."""
    dice = random.random()
    timer = timer_for(consult)
    if dice < 0.25 and consult.state in WITH_ROOM:
        return presence(consult, random.choice((Role.REQUESTER, Role.EXPERT)), random.random() < 0.7, now)
    if dice < 0.4 and timer is not None and timer.due <= now:
        return apply(consult, timer.action, {Role.SYSTEM}, now, Data(rung=rung or ("a",))).after
    who = random.choice(PEOPLE)
    roles = roles_of(consult, who, desk=who == "desk")
    # What leads back or to an early end is done among "anything at all": else few walks come far.
    back = who == "desk" or consult.state is State.OPINION_PENDING
    cuts = {Action.CANCEL, Action.RELEASE} if back else {Action.CANCEL}
    can = [one for one in allowed(consult, roles) if one not in cuts]
    action = random.choice(can if can and dice < 0.97 else list(Action))
    data = Data(who, reason="r", text="t", at=now + 3600, rung=rung)
    try:
        return apply(consult, action, roles, now, data).after
    except ActionRefused:
        return consult


def check(before: Consult, after: Consult) -> None:
    assert bool(after.ringing) == (after.state is State.OFFERED)
    if after.state in WITH_EXPERT:
        assert after.expert_id in ("a", "b")
    if after.state is State.IN_SESSION:
        assert (after.absent_since is None) == after.both_in
    if after.state not in FINAL:
        assert timer_for(after) is not None or after.state in OWNERS
    else:
        assert before.state not in FINAL or after == before
    assert after.version >= before.version
    if before.expert_id != after.expert_id and after.expert_id is not None:
        assert before.expert_id is None, "an expert is released before another one is assigned"


def walk(kind: Kind, random: Random) -> set[State]:
    """Sixty moves; the states in which the consult came to rest."""
    consult, now = begin(kind), NOW
    seen = {consult.state}
    for _ in range(60):
        now += random.choice((1, 20, 70, 400, 100_000))
        rung = random.choice((("a",), ("b",), ("a", "b"), ()))
        after = settle(one_move(consult, random, now, rung), now, rung)
        check(consult, after)
        consult = after
        seen.add(consult.state)
    return seen


@settings(max_examples=150)
@given(st.sampled_from(Kind), st.randoms(use_true_random=False))
def test_what_holds_after_every_step(kind: Kind, random: Random) -> None:
    walk(kind, random)


def test_the_walks_come_through_every_state() -> None:
    seen = set().union(*(walk(tuple(Kind)[seed % 3], Random(seed)) for seed in range(150)))
    # These are passed within one step; nothing rests in them.
    assert set(State) - seen == {State.TRIAGED, State.ESCALATED, State.SIGNED}

"""Whom to ring: in order, nobody twice, nobody forgotten."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.errors import RemoteProtocolError
from server.consults.vocabulary import Kind
from server.oncall.dispatch import (
    MUCH,
    Candidate,
    Decision,
    Standing,
    Way,
    decide,
    decide_green,
    in_order,
)
from server.oncall.limits import RINGING_AT_ONCE
from server.oncall.nearness import Place, tiers
from server.oncall.policy import Policy, Step, as_json, policies_of

POLICY = Policy()


def people(*ids: str, offline: str = "") -> list[Candidate]:
    return [Candidate(each, each not in offline) for each in ids]


def test_the_first_layer_then_the_backup_then_the_desk() -> None:
    line = people("a", "b")
    assert decide(line, (), Kind.URGENT, 0, 60, POLICY) == Decision(("a",), False)
    assert decide(line, {"a"}, Kind.URGENT, 60, 60, POLICY) == Decision(("b",), False)
    assert decide(line, {"a", "b"}, Kind.URGENT, 120, 60, POLICY) == Decision((), True)


def test_an_offline_expert_costs_no_time() -> None:
    line = people("a", "b", "c", offline="a")
    assert decide(line, (), Kind.URGENT, 0, 60, POLICY).ring == ("a", "b")
    assert decide(people("a", "b", offline="ab"), (), Kind.URGENT, 0, 60, POLICY).ring == ("a",)


def test_an_urgent_request_rings_everyone_and_the_desk_by_five_minutes() -> None:
    line = people("a", "b", "c", "d", "e", "f")
    assert decide(line, {"a", "b", "c"}, Kind.URGENT, 180, 60, POLICY) == Decision(("d",), False)
    assert decide(line, {"a", "b", "c"}, Kind.URGENT, 240, 60, POLICY) == Decision(("d", "e", "f"), True)
    assert decide(line, {"a", "b", "c"}, Kind.ROUTINE, 40_000, 14_400, POLICY).ring == ("d",)


@given(
    st.lists(st.sampled_from("abcdefgh"), unique=True),
    st.frozensets(st.sampled_from("abcdefgh")),
    st.sampled_from(Kind),
    st.floats(0, 1000),
)
def test_every_ring_makes_progress_and_the_last_word_is_the_desks(
    ids: list[str], offline: frozenset[str], kind: Kind, elapsed: float
) -> None:
    line = people(*ids, offline="".join(offline))
    tried: set[str] = set()
    while ring := decide(line, tried, kind, elapsed, 60, POLICY).ring:
        assert not tried & set(ring)
        tried |= set(ring)
        elapsed += 60
    assert tried == set(ids)
    assert decide(line, tried, kind, elapsed, 60, POLICY).alarm_desk


def test_rings_of_one_then_two_then_everyone_and_the_desk() -> None:
    line = people(*"abcdefgh")
    tried: set[str] = set()
    rings = []
    for number in range(5):
        decision = decide(line, tried, Kind.URGENT, number * 60, 60, None, number)
        tried |= set(decision.ring)
        rings.append((decision.ring, decision.alarm_desk))
    assert rings == [
        (("a",), False),
        (("b",), False),
        (("c", "d"), False),
        (("e", "f"), False),
        (("g", "h"), True),
    ]


def test_a_step_of_two_passes_over_those_who_cannot_answer() -> None:
    line = people(*"abcdef", offline="bde")
    two = Policy(steps=(Step(together=2),))
    assert decide(line, (), Kind.ROUTINE, 0, 60, two).ring == ("a", "b", "c")
    assert decide(line, {"a", "c"}, Kind.ROUTINE, 0, 60, two).ring == ("b", "d", "e", "f")
    assert decide(line, {"a", "c", "f"}, Kind.ROUTINE, 0, 60, two).ring == ("b", "d")


def test_a_policys_own_seconds() -> None:
    quick = Policy(everyone_by_s=60, steps=(Step(seconds=25), Step(seconds=40, together=2)))
    line = people(*"abcde")
    assert decide(line, (), Kind.URGENT, 0, 60, quick) == Decision(("a",), False, 25)
    assert decide(line, {"a"}, Kind.URGENT, 25, 60, quick, 1) == Decision(tuple("bcde"), True, 40)


def test_the_nearest_level_first_then_line_by_line_then_who_has_least_to_do() -> None:
    line = [
        Standing("city", tier=3),
        Standing("backup", tier=2, line=2),
        Standing("away", tier=2, way=Way.NONE),
        Standing("in session", tier=2, engaged=True),
        Standing("other tongue", tier=2, speaks=False),
        Standing("at work", tier=2, load=1, taken=2),
        Standing("has taken more", tier=2, taken=3),
        Standing("overwhelmed", tier=2, load=6, taken=1),
        Standing("rung at nine", tier=2, taken=2, last_rung=9.0),
        Standing("rung at eight", tier=2, taken=2, last_rung=8.0),
        Standing("no skill", tier=0, skilled=False),
        Standing("me", tier=0),
    ]
    assert [one.practitioner_id for one in in_order(line, "me")] == [
        "rung at eight",
        "rung at nine",
        "at work",
        "has taken more",
        "overwhelmed",
        "other tongue",
        "in session",
        "away",
        "backup",
        "city",
        "no skill",
    ]


def test_a_green_channel_rings_all_specialties_at_once_and_tells_the_desk() -> None:
    lines = {"neurology": people("n", "o"), "emergency": people("e"), "cardiology": people("n", "c")}
    first = decide_green(lines, (), 0, 60)
    assert first == Decision(("n", "e"), True)
    assert decide_green(lines, first.ring, 60, 60, None, 1).ring == ("c", "o")
    assert decide_green(lines, (), 240, 60, None, 4).ring == ("n", "c", "e", "o")
    assert decide_green({}, (), 0, 60) == Decision((), True)


STANDINGS = st.builds(
    Standing,
    st.sampled_from("abcdefghijkl"),
    st.integers(0, 4),
    st.integers(1, 3),
    st.booleans(),
    st.booleans(),
    st.sampled_from(Way),
    st.booleans(),
    st.integers(0, 8),
    st.integers(0, 9),
    st.floats(0, 1e9),
)
POLICIES = st.builds(
    Policy,
    st.floats(60, 300),
    st.lists(
        st.builds(Step, st.none() | st.floats(10, 300), st.none() | st.integers(1, 5), st.booleans()),
        min_size=1,
        max_size=6,
    ).map(tuple),
)


@given(st.lists(STANDINGS, max_size=20), st.sampled_from("abcdefghijkl"), POLICIES, st.randoms())
def test_everyone_is_reached_by_five_minutes_once_and_never_the_requester(
    standings: list[Standing], requester: str, policy: Policy, shuffler: Random
) -> None:
    line = in_order(standings, requester)
    mixed = list(standings)
    shuffler.shuffle(mixed)
    assert in_order(mixed, requester) == line
    rung: list[str] = []
    elapsed, rings = 0.0, 0
    while (decision := decide(line, rung, Kind.URGENT, elapsed, 60, policy, rings)).ring:
        assert elapsed <= 300
        rung += decision.ring
        elapsed += 60 if decision.seconds is None else decision.seconds
        rings += 1
    assert sorted(rung) == sorted({one.practitioner_id for one in standings} - {requester})
    assert len(rung) == len(set(rung))


@given(st.integers(2, 6), st.integers(1, 60))
def test_equals_are_rung_in_turn(equals: int, requests: int) -> None:
    """With everyone there and each request answered at once, no two differ by more than one."""
    last = {f"e{number}": 0.0 for number in range(equals)}
    count = dict.fromkeys(last, 0)
    for now in range(1, requests + 1):
        line = in_order([Standing(one, last_rung=rung) for one, rung in last.items()], "village")
        [one] = decide(line, (), Kind.URGENT, 0, 60).ring
        last[one] = float(now)
        count[one] += 1
        assert max(count.values()) - min(count.values()) <= 1


@given(st.integers(2, 6), st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=80))
def test_equals_who_are_there_share_the_work_however_long_it_lasts(
    equals: int, happens: list[tuple[bool, int]]
) -> None:
    """One more or less, while nobody is overwhelmed: whoever works quickly is not punished for it."""
    taken = dict.fromkeys(range(equals), 0)
    work = dict.fromkeys(range(equals), 0)
    for asked, who in happens:
        if asked:
            line = in_order([Standing(str(one), load=work[one], taken=taken[one]) for one in taken], "")
            one = int(line[0].practitioner_id)
            taken[one] += 1
            work[one] += 1
        elif work.get(who):
            work[who] -= 1
        if max(work.values()) <= MUCH:
            assert max(taken.values()) - min(taken.values()) <= 1
        else:
            break


@given(st.integers(1, 3), st.integers(0, 30), st.integers(0, 30))
def test_whoever_was_away_makes_up_for_it(others: int, before: int, missed: int) -> None:
    """Some were there alone for ``missed`` requests; when they have come back in the shift, all is even."""
    names = [str(one) for one in range(others + 1)]
    taken = dict.fromkeys(names, 0)
    needed = before + missed + missed // others + others
    for number in range(needed + 1):
        away = before <= number < before + missed
        ways = {one: Way.NONE if away and one == names[0] else Way.SCREEN for one in names}
        line = in_order([Standing(one, way=ways[one], taken=taken[one]) for one in names], "")
        assert line[0].online
        taken[line[0].practitioner_id] += 1
    assert max(taken.values()) - min(taken.values()) <= 1


def test_rotas_of_the_own_group_first_and_no_other_countys() -> None:
    places = [
        Place("s-province", "province", ["province"]),
        Place("s-city", "city", ["city"]),
        Place("s-county", "county", ["county", "city"]),
        Place("s-second", "county", ["second", "county", "city"]),
        Place("s-township", "township", ["township", "county", "city"]),
        Place("s-other-township", "township", ["other", "county", "city"]),
        Place("s-next-county", "county", ["next", "city"]),
        Place("s-far-county", "county", ["far"]),
    ]
    levels = {"village": "village", "township": "township", "county": "county", "city": "city"}
    found = [schedule for _, schedule in tiers(places, list(levels), levels, 9)]
    assert found == ["s-township", "s-county", "s-second", "s-city", "s-province"]
    assert len(tiers(places, list(levels), levels, 2)) == 2


def test_allied_houses_come_after_their_own_level_and_before_the_next() -> None:
    levels = {"village": "village", "county": "county", "city": "city"}
    places = [
        Place("s-county", "county", ["county", "city"]),
        Place("s-city", "city", ["city"]),
        Place("s-ally", "county", ["ally", "far"], {"county"}),
        Place("s-neighbour", "county", ["neighbour", "city"], {"county"}),
        Place("s-allies-of-others", "county", ["other", "far"], {"ally"}),
        Place("s-clinic", "village", ["clinic", "far"], {"county"}),
    ]
    found = [schedule for _, schedule in tiers(places, list(levels), levels, 9)]
    assert found == ["s-clinic", "s-county", "s-ally", "s-neighbour", "s-city"]
    assert [schedule for _, schedule in tiers(places, ["county", "city"], levels, 9)] == found[1:]


def test_a_push_is_waited_for_and_comes_after_a_screen() -> None:
    line = [Standing("a", way=Way.NONE), Standing("b", way=Way.ELSEWHERE), Standing("c")]
    assert in_order(line, "") == [Candidate("c"), Candidate("b"), Candidate("a", online=False)]
    pushed = in_order(line[:2], "")
    assert decide(pushed, (), Kind.URGENT, 0, 60, POLICY).ring == ("b",)
    backup = in_order([line[0], Standing("d", line=2, way=Way.ELSEWHERE)], "")
    assert decide(backup, (), Kind.URGENT, 0, 60, POLICY).ring == ("a", "d")


@pytest.mark.parametrize(
    "document",
    [
        {"soon": {"steps": [{}]}},
        {"urgent": {"steps": []}},
        {"urgent": {"everyoneByS": 301, "steps": [{}]}},
        {"urgent": {"steps": [{"seconds": 5}]}},
        {"urgent": {"steps": [{"together": 0}]}},
        {"urgent": {"steps": [{"together": RINGING_AT_ONCE + 1}]}},
    ],
)
def test_a_policy_that_cannot_work_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(RemoteProtocolError, match="policy_invalid"):
        policies_of(document)


@given(st.dictionaries(st.sampled_from(Kind), POLICIES))
def test_policies_come_out_of_the_database_as_they_went_in(policies: dict[Kind, Policy]) -> None:
    assert policies_of(json.loads(json.dumps(as_json(policies)))) == policies

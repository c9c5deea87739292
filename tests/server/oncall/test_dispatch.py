"""Whom to ring: in order, nobody twice, nobody forgotten."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from server.consults.vocabulary import Kind
from server.oncall.dispatch import Candidate, Decision, Policy, decide

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

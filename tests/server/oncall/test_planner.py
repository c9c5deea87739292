"""Planned consults into slots: nobody twice at a time, as many as can be, at the least cost."""

from __future__ import annotations

from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from server.oncall.planner import LOAD_HOURS, Assigned, Slot, Wish, assign, free_starts, merged

CARDIOLOGY = frozenset({"cardiology"})


def slot(expert: str, hour: float, load: int = 0) -> Slot:
    return Slot(expert, CARDIOLOGY, hour * 3600.0, load)


def test_the_dearer_waits_less() -> None:
    wishes = [Wish("a", "cardiology", None, 0.0), Wish("b", "cardiology", None, 0.0, weight=3.0)]
    assert assign(wishes, [slot("x", 1), slot("x", 5)]) == [
        Assigned("b", "x", 3600.0),
        Assigned("a", "x", 18000.0),
    ]


def test_whoever_accepted_keeps_it_and_nobody_is_planned_before_they_may() -> None:
    wishes = [Wish("a", "cardiology", "y", 0.0), Wish("b", "cardiology", None, 7200.0)]
    plan = assign(wishes, [slot("x", 1), slot("y", 2), slot("x", 3)])
    assert plan == [Assigned("a", "y", 7200.0), Assigned("b", "x", 10800.0)]


def test_a_full_day_gives_way_to_an_empty_one() -> None:
    wishes = [Wish("a", "cardiology", None, 0.0)]
    assert assign(wishes, [slot("x", 1, load=3), slot("y", 2)]) == [Assigned("a", "y", 7200.0)]


def test_without_slots_or_skills_nothing_is_planned() -> None:
    assert assign([Wish("a", "cardiology", None, 0.0)], []) == []
    assert assign([], [slot("x", 1)]) == []
    assert assign([Wish("a", "neurology", None, 0.0)], [slot("x", 1)]) == []


def shared(name: str, expert: str, *people: str, weight: float = 1.0, starts: tuple[float, ...] = ()) -> Wish:
    times = frozenset(hour * 3600.0 for hour in starts) if starts else None
    return Wish(name, "cardiology", expert, 0.0, weight, frozenset(people), times)


def test_nobody_is_in_two_consults_at_once() -> None:
    wishes = [shared("a", "x", "village"), shared("b", "y", "village", weight=2.0), shared("c", "z", "other")]
    plan = assign(wishes, [slot(expert, hour) for expert in "xyz" for hour in (1, 2)])
    assert plan == [Assigned("b", "y", 3600.0), Assigned("c", "z", 3600.0), Assigned("a", "x", 7200.0)]


def test_a_time_suits_all_of_its_own_consult() -> None:
    """Both are x's; the hour at which b's member is free is none of a's, and the other way round."""
    wishes = [shared("a", "x", starts=(2.0,)), shared("b", "x", starts=(1.0, 2.0))]
    assert assign(wishes, [slot("x", 1), slot("x", 2)]) == [
        Assigned("b", "x", 3600.0),
        Assigned("a", "x", 7200.0),
    ]
    assert assign(wishes[:1], [slot("x", 1)]) == []


def test_many_of_one_requester_take_turns() -> None:
    wishes = [shared(f"c{number:02}", f"e{number}", "village") for number in range(30)]
    plan = assign(wishes, [slot(one.expert_id or "", hour) for one in wishes for hour in range(30)])
    assert [one.starts for one in plan] == [hour * 3600.0 for hour in range(30)]


WISHES = st.lists(
    st.builds(
        Wish,
        st.sampled_from("abcd"),
        st.just("cardiology"),
        st.none() | st.sampled_from("xy"),
        st.integers(0, 4).map(lambda hour: hour * 3600.0),
        st.integers(1, 3).map(float),
    ),
    max_size=4,
    unique_by=lambda one: one.consultation_id,
)
SLOTS = st.lists(
    st.builds(slot, st.sampled_from("xy"), st.integers(0, 6), st.integers(0, 2)),
    max_size=5,
    unique_by=lambda one: (one.expert_id, one.starts),
)


def cost(wishes: list[Wish], slots: list[Slot], plan: list[Assigned]) -> tuple[int, float]:
    """(how many are left out, what the others cost)."""
    by_id = {one.consultation_id: one for one in wishes}
    loads = {(one.expert_id, one.starts): one.load for one in slots}
    each = [
        by_id[one.consultation_id].weight * (one.starts - by_id[one.consultation_id].earliest) / 3600.0
        + LOAD_HOURS * loads[one.expert_id, one.starts]
        for one in plan
    ]
    return len(wishes) - len(plan), round(sum(each), 6)


@settings(max_examples=50)
@given(WISHES, SLOTS)
def test_no_other_plan_is_better(wishes: list[Wish], slots: list[Slot]) -> None:
    plan = assign(wishes, slots)
    assert len({(one.expert_id, one.starts) for one in plan}) == len(plan)
    assert len({one.consultation_id for one in plan}) == len(plan)
    assert assign(wishes[::-1], slots[::-1]) == plan
    ours = cost(wishes, slots, plan)
    places: list[Slot | None] = [*slots, *[None] * len(wishes)]
    for chosen in permutations(places, len(wishes)):
        pairs = [(wish, one) for wish, one in zip(wishes, chosen, strict=True) if one is not None]
        fits = all(
            one.starts >= wish.earliest and wish.expert_id in (None, one.expert_id) for wish, one in pairs
        )
        if fits:
            other = [Assigned(wish.consultation_id, one.expert_id, one.starts) for wish, one in pairs]
            assert ours <= cost(wishes, slots, other)


WITH_PEOPLE = st.lists(
    st.builds(
        shared,
        st.sampled_from("abcdef"),
        st.sampled_from("xyz"),
        st.sampled_from("pqx"),
        st.sampled_from("pqr"),
        weight=st.integers(1, 3).map(float),
        starts=st.sets(st.integers(0, 3).map(float)).map(tuple),
    ),
    max_size=6,
    unique_by=lambda one: one.consultation_id,
)
GRID = [slot(expert, hour) for expert in "xyz" for hour in range(4)]


@settings(max_examples=50)
@given(WITH_PEOPLE)
def test_a_plan_can_be_kept_and_leaves_out_nobody_who_has_a_time(wishes: list[Wish]) -> None:
    plan = assign(wishes, GRID)
    by_id = {one.consultation_id: one for one in wishes}
    there: dict[float, list[str]] = {}
    for one in plan:
        wish = by_id[one.consultation_id]
        assert wish.starts is None or one.starts in wish.starts
        there.setdefault(one.starts, []).extend(wish.people | {one.expert_id})
    assert all(len(people) == len(set(people)) for people in there.values())
    for left in by_id.keys() - {one.consultation_id for one in plan}:
        wish = by_id[left]
        wanted = wish.people | {wish.expert_id}
        for each in GRID:
            suits = wish.expert_id == each.expert_id and (wish.starts is None or each.starts in wish.starts)
            assert not suits or not wanted.isdisjoint(there.get(each.starts, []))


SPANS = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 200)).map(sorted).map(tuple), max_size=6)


@given(st.dictionaries(st.sampled_from("abc"), SPANS), SPANS, st.integers(1, 40), st.integers(1, 30))
def test_a_proposed_time_suits_everybody(
    busy: dict[str, list[tuple[int, int]]], hours: list[tuple[int, int]], lasts: int, every: int
) -> None:
    found = free_starts(busy, hours, lasts, every, 1000)
    assert found == sorted(set(found))
    taken = [one for spans in busy.values() for one in spans if one[0] < one[1]]
    possible = []
    for opens, closes in merged(hours):
        start = opens
        while start + lasts <= closes:
            if all(end <= start or begin >= start + lasts for begin, end in taken):
                possible.append(start)
            start += every
    assert found == possible
    assert free_starts(busy, hours, lasts, every, 2) == possible[:2]

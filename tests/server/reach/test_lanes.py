"""Rings before notices, and nobody behind a service that hangs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from server.reach.lanes import Lane, Lanes, Rank
from server.reach.limits import AT_ONCE, NOTICES_AT_ONCE

NOW = 1000.0
LANES = st.builds(Lane, st.sampled_from(Rank), st.sampled_from(["a", "b", "c"]))


def test_rings_come_first_and_what_is_not_due_does_not_come() -> None:
    fronts = {
        Lane(Rank.NOTICE, "a"): 0.0,
        Lane(Rank.RING, "b"): NOW,
        Lane(Rank.RING, "a"): NOW + 1,
    }
    assert Lanes().open(fronts, NOW) == [
        (Lane(Rank.RING, "b"), AT_ONCE),
        (Lane(Rank.NOTICE, "a"), NOTICES_AT_ONCE),
    ]


def test_a_full_lane_is_not_waited_for_until_one_of_it_is_over() -> None:
    lanes, full, other = Lanes(), Lane(Rank.NOTICE, "a"), Lane(Rank.NOTICE, "b")
    for _ in range(NOTICES_AT_ONCE):
        lanes.enter(full)
    assert lanes.open({full: 0.0}, NOW) == []
    # Nothing to wake up for: the end of a try does.
    assert lanes.next_at({full: 0.0}) is None
    assert lanes.next_at({full: 0.0, other: NOW + 5}) == NOW + 5
    lanes.leave(full)
    assert lanes.open({full: 0.0}, NOW) == [(full, 1)]
    assert lanes.next_at({full: 0.0}) == 0.0


@given(st.dictionaries(LANES, st.floats(0, 2 * NOW)), st.lists(LANES, max_size=200))
def test_what_is_under_way_elsewhere_changes_no_lane(fronts: dict[Lane, float], begun: list[Lane]) -> None:
    lanes = Lanes()
    for lane in begun:
        if lanes.room(lane) > 0:
            lanes.enter(lane)
    opened = dict(lanes.open(fronts, NOW))
    for lane, at in fronts.items():
        mine = min(begun.count(lane), lane.rank.at_once)
        room = lane.rank.at_once - mine
        assert opened.get(lane, 0) == (room if at <= NOW else 0)
    ranks = [lane.rank for lane in opened]
    assert ranks == sorted(ranks)
    for lane in list(lanes.under_way.elements()):
        lanes.leave(lane)
    assert not lanes.under_way

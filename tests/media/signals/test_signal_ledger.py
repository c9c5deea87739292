"""The ledger against a plain set."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.errors import RemoteProtocolError
from media.limits import SIGNAL_MAX_AHEAD_FRAMES, SIGNAL_MAX_GAPS
from media.signals.ledger import StreamLedger


@given(numbers=st.lists(st.integers(0, 60), max_size=120))
def test_agrees_with_a_set(numbers: list[int]) -> None:
    ledger, model = StreamLedger(), set[int]()
    for number in numbers:
        assert ledger.add(number) is (number not in model)
        model.add(number)
    held = {n for first, last in ledger.ranges() for n in range(first, last + 1)}
    absent = {n for first, last in ledger.missing() for n in range(first, last + 1)}
    assert held == model
    assert len(ledger) == len(model)
    assert absent == set(range(max(model, default=-1) + 1)) - model
    assert ledger.contiguous == next((n for n in range(99) if n not in model), 99) - 1
    assert ledger.highest == max(model, default=-1)
    ranges = list(ledger.ranges())
    assert all(before[1] + 1 < after[0] for before, after in itertools.pairwise(ranges))


def test_too_many_gaps_are_refused() -> None:
    ledger = StreamLedger()
    for number in range(0, 2 * SIGNAL_MAX_GAPS + 2, 2):
        ledger.check(number)
        ledger.add(number)
    with pytest.raises(RemoteProtocolError, match="signal_gap_too_large"):
        ledger.check(ledger.highest + 2)
    ledger.check(ledger.highest + 1)
    ledger.check(1)


def test_too_far_ahead_is_refused() -> None:
    ledger = StreamLedger()
    ledger.add(0)
    ledger.check(SIGNAL_MAX_AHEAD_FRAMES)
    with pytest.raises(RemoteProtocolError, match="signal_gap_too_large"):
        ledger.check(SIGNAL_MAX_AHEAD_FRAMES + 1)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 12), st.booleans()), max_size=30))
def test_ranges_agree_with_a_set(steps: list[tuple[int, int, bool]]) -> None:
    ledger, held = StreamLedger(), set[int]()
    for first, more, as_range in steps:
        if as_range:
            ledger.add_range(first, first + more)
            held |= set(range(first, first + more + 1))
        else:
            ledger.add(first)
            held.add(first)
        ranges = list(ledger.ranges())
        assert {n for low, high in ranges for n in range(low, high + 1)} == held
        assert all(one[1] + 1 < other[0] for one, other in itertools.pairwise(ranges))
        assert len(ledger) == len(held)

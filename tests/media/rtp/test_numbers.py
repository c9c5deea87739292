"""Wrapping numbers and clocks."""

from hypothesis import given
from hypothesis import strategies as st

from media.rtp.clocks import (
    ClockMap,
    ntp_add,
    ntp_from_unix,
    ntp_middle,
    ntp_seconds_between,
    short_from_seconds,
    short_seconds,
    unix_from_ntp,
)
from media.rtp.numbers import Unwrapper, seq_add, seq_diff, seq_newer, ts_add, ts_diff, ts_newer

U16 = st.integers(0, 0xFFFF)
U32 = st.integers(0, 0xFFFFFFFF)


def test_comparison_across_the_wrap() -> None:
    assert seq_newer(0, 0xFFFF)
    assert not seq_newer(0xFFFF, 0)
    assert not seq_newer(5, 5)
    assert seq_diff(2, 0xFFFE) == 4
    assert ts_newer(10, 0xFFFFFFF0)
    assert ts_diff(0xFFFFFFF0, 10) == -26


@given(U16, st.integers(-0x7FFF, 0x7FFF))
def test_sequence_difference_undoes_addition(start: int, delta: int) -> None:
    assert seq_diff(seq_add(start, delta), start) == delta
    assert seq_newer(seq_add(start, delta), start) == (delta > 0)


@given(U32, st.integers(-0x7FFFFFFF, 0x7FFFFFFF))
def test_timestamp_difference_undoes_addition(start: int, delta: int) -> None:
    assert ts_diff(ts_add(start, delta), start) == delta


@given(U16, st.lists(st.integers(-3000, 3000), max_size=60))
def test_unwrapper_follows_a_walk(start: int, steps: list[int]) -> None:
    unwrapper = Unwrapper(16)
    assert unwrapper.unwrap(start) == start
    newest = position = start
    for step in steps:
        position = newest + step
        assert unwrapper.unwrap(position & 0xFFFF) == position
        newest = max(newest, position)


def test_ntp_round_trip() -> None:
    ntp = ntp_from_unix(1_767_225_600.5)
    assert ntp >> 32 == 1_767_225_600 + 2_208_988_800
    assert ntp & 0xFFFFFFFF == 1 << 31
    assert unix_from_ntp(ntp) == 1_767_225_600.5
    assert ntp_middle(0x11112222_33334444) == 0x22223333


def test_ntp_difference_across_2036() -> None:
    before = 0xFFFFFFFF_80000000
    after = ntp_add(before, 1.0)
    assert after < before
    assert ntp_seconds_between(after, before) == 1.0
    assert ntp_seconds_between(before, after) == -1.0


def test_short_durations_are_held_within_the_field() -> None:
    assert short_seconds(short_from_seconds(1.5)) == 1.5
    assert short_from_seconds(-1) == 0
    assert short_from_seconds(1e9) == 0xFFFFFFFF


def test_clock_map_goes_both_ways_across_the_timestamp_wrap() -> None:
    assert not ClockMap(90_000).known
    line = ClockMap(90_000)
    line.update(ntp_from_unix(1000.0), 0xFFFFFF00, now=5.0)
    assert line.known
    later = (0xFFFFFF00 + 90_000) & 0xFFFFFFFF
    assert unix_from_ntp(line.ntp_of(later)) == 1001.0
    assert line.rtp_of(ntp_from_unix(1001.0)) == later
    assert line.rtp_of(ntp_from_unix(999.0)) == 0xFFFFFF00 - 90_000

"""Transport-wide feedback: what is packed is what is read, and what a receiver remembers for it.

Golden feedback packets, good and broken, stand with the other compounds in ``rtcp_compounds.json``.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media import limits
from media.errors import RemoteProtocolError
from media.rtp import rtcp
from media.rtp.arrivals import Arrivals
from media.rtp.twcc import REFERENCE_S, TICK_S, TransportFeedback

U16 = st.integers(0, 0xFFFF)


@st.composite
def feedbacks(draw: st.DrawFn) -> TransportFeedback:
    steps = draw(st.lists(st.tuples(st.integers(1, 40), st.integers(-0x8000, 0x7FFF)), max_size=60))
    arrivals, offset, time = [], -1, 0
    for step, delta in steps:
        offset += step
        time += delta
        arrivals.append((offset, time))
    count = max(offset + 1, 1) + draw(st.integers(0, 9000))
    reference = draw(st.integers(0, 0xFFFFFF))
    return TransportFeedback(1, 2, draw(U16), count, reference, draw(st.integers(0, 255)), tuple(arrivals))


@given(feedbacks())
def test_what_is_packed_is_what_is_read(feedback: TransportFeedback) -> None:
    data = rtcp.pack(feedback)
    assert len(data) % 4 == 0
    assert rtcp.parse_compound(data) == [feedback]


def test_dense_feedback_is_small() -> None:
    every = tuple((offset, 4 * offset) for offset in range(100))
    assert len(rtcp.pack(TransportFeedback(1, 2, 0, 100, 0, 0, every))) == 20 + 2 + 100 + 2
    every_third = tuple((offset, 4 * offset) for offset in range(0, 100, 3))
    assert len(rtcp.pack(TransportFeedback(1, 2, 0, 100, 0, 0, every_third))) == 20 + 2 * 8 + 34 + 2


@pytest.mark.parametrize("arrivals", [((0, 0x8000),), ((1, 0), (1, 0)), ((5, 0),), ((0, 0), (1, -40_000))])
def test_what_cannot_be_told_is_not_packed(arrivals: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(ValueError, match="cannot be told"):
        rtcp.pack(TransportFeedback(1, 2, 0, 3, 0, 0, arrivals))


@given(st.binary(min_size=16, max_size=80))
def test_any_feedback_parses_or_blames_the_peer(body: bytes) -> None:
    body = body[: len(body) // 4 * 4]
    data = bytes((0x8F, 205)) + (len(body) // 4).to_bytes(2, "big") + body
    try:
        (feedback,) = rtcp.parse_compound(data)
    except RemoteProtocolError:
        return
    assert isinstance(feedback, TransportFeedback)
    assert len(feedback.arrivals) <= len(body)
    assert all(offset < feedback.status_count for offset, _ in feedback.arrivals)


def times(feedbacks: list[TransportFeedback]) -> dict[int, float]:
    """16-bit number to arrival in seconds."""
    return {
        (one.base_sequence + offset) & 0xFFFF: one.reference_time * REFERENCE_S + ticks * TICK_S
        for one in feedbacks
        for offset, ticks in one.arrivals
    }


def test_arrivals_are_told_once_over_the_wrap() -> None:
    arrivals = Arrivals()
    for index, sequence in enumerate((65_534, 65_535, 1, 0)):
        arrivals.add(sequence, 1000 + 0.01 * index)
    (feedback,) = arrivals.take(1, 2, 1000.1)
    assert feedback.base_sequence == 65_534
    assert feedback.status_count == 4
    assert times([feedback]) == pytest.approx(
        {65_534: 1000, 65_535: 1000.01, 1: 1000.02, 0: 1000.03}, abs=3e-4
    )
    assert arrivals.take(1, 2, 1000.2) == []
    arrivals.add(4, 1000.2)
    (following,) = arrivals.take(1, 2, 1000.2)
    assert (following.base_sequence, following.status_count, following.feedback_count) == (2, 3, 1)


def test_a_late_packet_is_told_and_what_followed_it_again() -> None:
    arrivals = Arrivals()
    for sequence in (5, 7, 8):
        arrivals.add(sequence, 1.0)
    arrivals.take(1, 2, 1.05)
    arrivals.add(6, 1.1)
    arrivals.add(6, 1.1)  # a duplicate is no news
    assert arrivals.pending == 1
    (again,) = arrivals.take(1, 2, 1.1)
    assert sorted(times([again])) == [6, 7, 8]
    arrivals.add(9, 9.0)
    assert sorted(times(arrivals.take(1, 2, 9.0))) == [9]


@given(st.lists(st.tuples(st.integers(-3, 3000), st.floats(0, 12)), max_size=120))
def test_all_that_came_is_told_in_packets_that_fit(steps: list[tuple[int, float]]) -> None:
    arrivals = Arrivals()
    came: dict[int, float] = {}
    number, now = 0, 0.0
    for step, wait in steps:
        number += step
        now += wait
        arrivals.add(number & 0xFFFF, now)
        came.setdefault(number & 0xFFFF, now)
    told = arrivals.take(1, 2, now)
    packets = [rtcp.pack(one) for one in told]
    assert all(len(packet) <= limits.RTCP_PACKET_BYTES for packet in packets)
    assert [rtcp.parse_compound(packet) for packet in packets] == [[one] for one in told]
    if number < 0x8000:
        assert set(times(told)) == set(came)


def test_a_flood_of_numbers_is_bounded() -> None:
    arrivals = Arrivals()
    for index in range(3 * limits.TWCC_ARRIVALS):
        arrivals.add(index * 7 & 0xFFFF, 1.0)
    told = arrivals.take(1, 2, 1.0)
    assert sum(len(one.arrivals) for one in told) <= limits.TWCC_ARRIVALS

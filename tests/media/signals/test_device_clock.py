"""A device's clock against ours: the error bound that is promised, and clocks that are set."""

from __future__ import annotations

import json
import random
import uuid

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.signals.clock import JUMP_NS, WINDOW_NS, DeviceClock, FollowedClock
from media.signals.descriptor import Lead, StreamDescriptor
from media.signals.fanout import SignalFanout
from media.signals.frames import FLAG_BACKFILL, FLAG_SEAM, Frame, FrameHeader, encode, inspect

BEGIN_NS = 1_767_225_600 * 10**9
STEP_NS = 500_000_000  # half a second a frame
MS = 1_000_000
HOUR_NS = 3600 * 10**9


class Line:
    """A device whose clock is wrong, on a line with a shortest delay and jitter."""

    def __init__(self, offset_ns: int, drift: float, seed: int, jitter_ns: int, quick_ns: int) -> None:
        self.clock = DeviceClock()
        self._offset_ns = offset_ns
        self._drift = drift
        self._random = random.Random(seed)
        self._jitter_ns = jitter_ns
        self._quick_ns = quick_ns

    def ours(self, device_ns: int) -> int:
        return device_ns + self._offset_ns + round(self._drift * (device_ns - BEGIN_NS))

    def run(self, frames: int, first: int = 0) -> int:
        """So many frames; the first of each window comes quickly. Returns how often the clock "was set"."""
        jumps = 0
        for number in range(first, first + frames):
            end = BEGIN_NS + number * STEP_NS
            quick = number % (WINDOW_NS // STEP_NS // 2) == 0
            delay = self._random.randint(0, self._quick_ns if quick else self._jitter_ns)
            jumps += self.clock.observe(end, self.ours(end) + delay)
        return jumps


@settings(deadline=None, max_examples=40)
@given(
    offset_ns=st.integers(-HOUR_NS, HOUR_NS),
    ppm=st.floats(-200, 200),
    seed=st.integers(0, 2**32),
    jitter_ms=st.integers(0, 800),
    quick_ms=st.integers(0, 20),
)
def test_the_error_keeps_the_bound(
    offset_ns: int, ppm: float, seed: int, jitter_ms: int, quick_ms: int
) -> None:
    line = Line(offset_ns, ppm * 1e-6, seed, jitter_ms * MS, quick_ms * MS)
    assert line.run(720) == 0  # six minutes
    found = line.clock.line
    assert found is not None
    span_s = 720 * STEP_NS / 1e9 - 2 * WINDOW_NS / 1e9
    bound_ns = 3 * quick_ms * MS + 1000  # rounding
    for number in range(0, 700, 50):
        at = BEGIN_NS + number * STEP_NS
        assert abs(found.to_ours(at) - line.ours(at)) <= bound_ns
    assert abs(found.drift - ppm * 1e-6) <= 2 * quick_ms / 1000 / span_s + 1e-9


@pytest.mark.parametrize("set_by_ns", [HOUR_NS, -HOUR_NS, 2 * JUMP_NS, -2 * JUMP_NS])
def test_a_clock_that_is_set_is_noticed_once_and_estimated_anew(set_by_ns: int) -> None:
    line = Line(0, 0.0, 1, 50 * MS, 5 * MS)
    assert line.run(120) == 0
    line._offset_ns = set_by_ns
    assert line.run(120, first=120) == 1
    assert line.clock.line is not None
    at = BEGIN_NS + 230 * STEP_NS
    assert abs(line.clock.line.to_ours(at) - line.ours(at)) <= 15 * MS


def test_a_line_that_stalls_is_no_clock_that_is_set() -> None:
    line = Line(0, 0.0, 1, 0, 0)
    assert line.run(60) == 0
    for number in range(60, 90):  # fifteen seconds come at once
        end = BEGIN_NS + number * STEP_NS
        assert not line.clock.observe(end, BEGIN_NS + 90 * STEP_NS)
    assert line.run(60, first=90) == 0


STREAM = StreamDescriptor(str(uuid.UUID(int=1)), "ecg", "", 500.0, (Lead("I"),))


def header_at(sequence: int, begin_ns: int, flags: int = 0) -> tuple[FrameHeader, bytes]:
    samples = np.zeros((50, 1), dtype=np.int16)
    data = encode(Frame.of(STREAM, sequence, begin_ns, samples, flags))
    return inspect(data, STREAM)[0], data


def test_a_step_inside_a_stream_is_a_clock_that_is_set_and_a_seam_is_not() -> None:
    followed = FollowedClock(DeviceClock())
    begin = BEGIN_NS
    for sequence, (step_ns, flags, jumped) in enumerate(
        [(0, 0, False), (0, 0, False), (5 * JUMP_NS, FLAG_SEAM, False), (0, 0, False), (2 * JUMP_NS, 0, True)]
    ):
        begin += step_ns
        header, _ = header_at(sequence, begin, flags)
        assert followed.observe(header, header.end_ns + 10 * JUMP_NS) is jumped
        begin = header.end_ns


def test_backfill_says_nothing_of_the_clock() -> None:
    followed = FollowedClock(DeviceClock())
    header, _ = header_at(0, BEGIN_NS, FLAG_BACKFILL)
    assert not followed.observe(header, header.end_ns + HOUR_NS)
    assert followed.line is None


def test_viewers_are_told_a_clock_that_differs_and_see_on_after_it_was_set() -> None:
    fanout = SignalFanout()
    fanout.start_stream(STREAM)
    queue = fanout.add_viewer(lambda: None)
    queue.pop()
    begins = [BEGIN_NS, BEGIN_NS + 100 * MS, BEGIN_NS - HOUR_NS]  # set back by an hour
    arrivals = [BEGIN_NS + 100 * MS, BEGIN_NS + 200 * MS, BEGIN_NS + 300 * MS]
    for sequence, (begin, arrival) in enumerate(zip(begins, arrivals, strict=True)):
        header, data = header_at(sequence, begin)
        assert fanout.publish(header, data, arrival) is (sequence == 2)
    seen = [queue.pop() for _ in range(4)]
    assert [type(one) for one in seen] == [bytes, bytes, str, bytes]
    told = json.loads(str(seen[2]))
    assert (told["type"], told["jumps"]) == ("clock", 1)
    assert told["offset"] == pytest.approx(3600.2)
    late = fanout.add_viewer(lambda: None)
    assert [type(late.pop()) for _ in range(4)] == [str, str, bytes, type(None)]


def test_streams_of_one_group_share_the_clock() -> None:
    group = "monitor-1"
    streams = [StreamDescriptor(str(uuid.UUID(int=n)), "ecg", "", 500.0, (Lead("I"),), group) for n in (1, 2)]
    fanout = SignalFanout()
    for stream in streams:
        fanout.start_stream(stream)
    queue = fanout.add_viewer(lambda: None)
    queue.pop()
    samples = np.zeros((50, 1), dtype=np.int16)
    # The first stream's frame is slow on its way, the second's is not: the first profits.
    for stream, arrival in ((streams[0], 1.0), (streams[1], 0.5), (streams[0], 2.0)):
        data = encode(Frame.of(stream, 0, BEGIN_NS, samples))
        header, _ = inspect(data, stream)
        fanout.publish(header, data, header.end_ns + round(arrival * 1e9))
    texts = [one for one in iter(queue.pop, None) if isinstance(one, str)]
    assert [json.loads(one)["offset"] for one in texts] == [1.0, 0.5, 0.5]

"""The time line: jitter, wraps, jumps, and video led to the sound."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.recording.timeline import PeerClock, TrackTimeline
from media.rtp.clocks import ntp_add, ntp_from_unix

NTP = ntp_from_unix(1_767_225_600)


def audio(peer: PeerClock | None = None) -> TrackTimeline:
    return TrackTimeline(48_000, True, peer or PeerClock())


@given(start=st.integers(0, 2**32 - 1), jitter=st.lists(st.floats(0, 0.4), min_size=2, max_size=50))
def test_only_the_first_arrival_counts(start: int, jitter: list[float]) -> None:
    line = audio()
    placed = [
        line.place((start + n * 960) % 2**32, 1.0 + n * 0.02 + (late if n else 0))
        for n, late in enumerate(jitter)
    ]
    assert placed == [48_000 + n * 960 for n in range(len(jitter))]


def test_a_jump_of_the_senders_clock_is_anchored_again() -> None:
    line = audio()
    line.place(1000, 0.0)
    assert line.place(1000 + 10 * 48_000, 0.02) == 960
    assert line.jumps == 1
    assert line.place(1000 + 10 * 48_000 + 960, 0.04) == 1920


def test_time_never_goes_back() -> None:
    line = audio()
    line.place(90_000, 1.0)
    assert line.place(90_000 - 960, 1.02) == 48_001


def test_video_is_led_to_the_sound() -> None:
    """Video came 100 ms later than the sound of the same moment; reports tell, the lead comes slowly."""
    peer = PeerClock()
    sound, video = audio(peer), TrackTimeline(90_000, False, peer)
    sound.place(0, 1.0)
    video.place(0, 1.1)
    video.sender_report(NTP, 0)
    sound.sender_report(NTP, 0)
    video.sender_report(ntp_add(NTP, 1.0), 90_000)
    placed = [video.place(n * 3000, 1.1 + n / 30) for n in range(1, 300)]
    steps = [after - before for before, after in itertools.pairwise(placed)]
    assert placed[-1] / 90_000 == pytest.approx(1.0 + 299 / 30, abs=0.001)
    assert min(steps) >= 3000 * 0.95
    assert max(steps) <= 3000 * 1.01


def test_an_absurd_report_changes_nothing() -> None:
    peer = PeerClock()
    sound, video = audio(peer), TrackTimeline(90_000, False, peer)
    sound.place(0, 1.0)
    video.place(0, 1.0)
    sound.sender_report(NTP, 0)
    video.sender_report(ntp_add(NTP, 3600), 0)
    assert video.place(3000, 1.03) == 93_000

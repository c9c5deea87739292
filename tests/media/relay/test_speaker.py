"""Who speaks: by levels alone, and through a router."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.relay.speaker import LOUDEST, SpeakerWatch, activity
from media.rtp.packet import RtpPacket
from tests.media.relay.helpers import OPUS, VP8_SIMULCAST, House

Levels = Callable[[float], int]
QUIET = 30


def speech(now: float) -> int:
    """Syllables: 300 ms of voice, 60 ms between."""
    return 95 if now % 0.36 < 0.3 else 60


def noise(now: float) -> int:
    return 55 + int(now * 50) % 3


class Meeting:
    def __init__(self) -> None:
        self.watch = SpeakerWatch()
        self.now = 10.0
        self.changes: list[tuple[float, str | None]] = []

    def run(self, seconds: float, **voices: Levels | None) -> str | None:
        for _ in range(round(seconds / 0.02)):
            for key, levels in voices.items():
                if levels is not None:
                    self.watch.heard(key, bytes((levels(self.now),)), self.now, self.now)
            self.now += 0.02
            if self.now >= self.watch.due and self.watch.tick(self.now):
                self.changes.append((self.now, self.watch.dominant))
        return self.watch.dominant


def quiet(now: float) -> int:
    return QUIET


def test_nobody_speaks_at_first_and_then_one() -> None:
    meeting = Meeting()
    assert meeting.run(2, a=quiet, b=noise) is None
    assert meeting.run(1, a=speech, b=noise) == "a"


def test_the_other_takes_over_within_a_second_and_a_half() -> None:
    meeting = Meeting()
    meeting.run(3, a=speech, b=quiet)
    assert meeting.run(1.5, a=quiet, b=speech) == "b"
    assert [who for _, who in meeting.changes] == ["a", "b"]


def test_a_cough_does_not_take_over() -> None:
    meeting = Meeting()
    meeting.run(3, a=speech, b=quiet)
    meeting.run(0.2, a=speech, b=lambda now: 110)
    assert meeting.run(2, a=speech, b=quiet) == "a"
    assert len(meeting.changes) == 1


def test_both_at_once_do_not_flap() -> None:
    meeting = Meeting()
    meeting.run(2, a=speech, b=quiet)
    meeting.run(20, a=speech, b=speech)
    assert len(meeting.changes) == 1


def test_the_last_speaker_stays_through_silence_and_dtx() -> None:
    meeting = Meeting()
    meeting.run(2, a=speech, b=quiet)
    assert meeting.run(5, a=None, b=quiet) == "a"
    assert meeting.run(1.5, a=None, b=speech) == "b"


def test_constant_noise_is_no_speech() -> None:
    meeting = Meeting()
    meeting.run(2, a=quiet, fan=lambda now: 85)
    assert meeting.watch.dominant is None
    assert meeting.run(1.5, a=speech, fan=lambda now: 85) == "a"


def test_it_rests_when_nobody_is_heard() -> None:
    meeting = Meeting()
    meeting.run(1, a=speech)
    meeting.run(1)
    assert meeting.watch.due == float("inf")


def test_who_is_gone_is_not_the_speaker() -> None:
    meeting = Meeting()
    meeting.run(2, a=speech)
    assert meeting.watch.gone("a")
    assert not meeting.watch.gone("a")
    assert meeting.watch.dominant is None


@pytest.mark.parametrize(("most", "weight"), [(13, 0.78), (5, 24.0), (10, 47.0)])
def test_more_activity_scores_higher(most: int, weight: float) -> None:
    scores = [activity(active, most, weight) for active in range(most + 1)]
    assert all(score > 0 for score in scores)
    assert max(scores[: most // 3]) < min(scores[most // 2 + 1 :])


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, LOUDEST), st.floats(0, 2)), max_size=80))
def test_whatever_is_heard_somebody_known_or_nobody_is_dominant(heard: list[tuple[str, int, float]]) -> None:
    watch, now = SpeakerWatch(), 0.0
    for key, level, pause in heard:
        watch.heard(key, bytes((level,)), now, now)
        now += pause
        if now >= watch.due:
            watch.tick(now)
        assert watch.dominant in {None, *(k for k, _, _ in heard)}


def test_through_a_router_and_for_the_allocator() -> None:
    house = House()
    people = [house.peer() for _ in range(2)]
    voices = [transport.produce("audio", OPUS, "microphone") for transport, _ in people]
    cameras = [transport.produce("video", VP8_SIMULCAST, "camera") for transport, _ in people]
    ssrc = OPUS["encodings"][0]["ssrc"]
    assert not house.router.is_speaker(cameras[0])

    def talk(speaker: int, seconds: float) -> None:
        for count in range(round(seconds / 0.02)):
            for index, (_, wire) in enumerate(people):
                level = speech(house.now) if index == speaker else QUIET
                said = bytes((0x80 | LOUDEST - level,))
                packet = RtpPacket(111, count, count * 960, ssrc, b"opus", extensions=((1, said),))
                wire.handlers.rtp_received(packet.serialize(), house.now)
            house.run(0.02)

    talk(0, 2.0)
    assert house.listener.named("active_speaker") == [("active_speaker", voices[0].id)]
    assert (house.router.is_speaker(cameras[0]), house.router.is_speaker(cameras[1])) == (True, False)
    talk(1, 2.0)
    assert house.listener.named("active_speaker")[-1] == ("active_speaker", voices[1].id)
    voices[1].pause()
    assert house.listener.named("active_speaker")[-1] == ("active_speaker", None)
    talk(1, 1.0)  # nothing that a muted microphone sends counts
    assert house.listener.named("active_speaker")[-1] == ("active_speaker", None)
    voices[0].close()
    assert len(house.listener.named("active_speaker")) == 3

"""What a room tells of the lines of those in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from clients.sdk.room_events import (
    ActiveSpeaker,
    ConsumerReduced,
    PeerQuality,
    QualityChanged,
    read_event,
)
from media.relay.allocation import Decision, Step
from media.relay.layers import KEY_FRAMES
from media.relay.quality import Quality
from media.relay.samples import LineSample, TrackIn, TrackOut
from media.signals import Lead, StreamDescriptor
from signaling.limits import SIGNALS_KEPT_FREE_MAX_BPS
from signaling.room_quality import is_noticeable
from tests.signaling.support import ROOM, Signaling, claims, running_signaling
from tests.signaling.test_room_service import Person


@pytest.fixture
async def lines(tmp_path: Path) -> AsyncIterator[Signaling]:
    async with running_signaling(tmp_path) as running:
        yield running


async def test_what_is_reduced_is_told_to_its_receiver_alone(lines: Signaling) -> None:
    first, second, third = (Person(lines, name).join() for name in "abc")
    first.produce()
    router = lines.plane.routers[ROOM]
    for person in (first, second, third):
        person.channel.take()
    consumer = next(one for one in router.consumers.values())
    for decision in (
        Decision(consumer.id, "reduced", Step(1, 2, 400_000)),
        Decision(consumer.id, "reduced", Step(0, KEY_FRAMES, 40_000)),
        Decision(consumer.id, "paused", None),
        Decision(consumer.id, "full", Step(2, 2, 1_200_000)),
    ):
        router.events.consumer_reduced(consumer, decision)
    assert first.channel.sent == third.channel.sent == []
    told = second.channel.take()
    assert {event for event, _ in told} == {"consumerReduced"}
    common = {"consumerId": consumer.id, "reason": "bandwidth"}
    states = ("reduced", "reduced", "paused", "full")
    layers = ((1, 2, False), (0, 0, True), (None, None, False), (2, 2, False))
    assert [payload for _, payload in told] == [
        {**common, "state": state, "spatialLayer": s, "temporalLayer": t, "keyFramesOnly": k}
        for state, (s, t, k) in zip(states, layers, strict=True)
    ]
    assert read_event(*told[1]) == ConsumerReduced(consumer.id, "bandwidth", "reduced", 0, 0, True)


async def test_running_signals_are_kept_free_on_every_line(lines: Signaling) -> None:
    Person(lines, "a").join()
    room = lines.service.room_for(claims("a"))
    router = lines.plane.routers[ROOM]
    leads = tuple(Lead(str(n)) for n in range(12))
    ecg = StreamDescriptor("s1", "ecg", "ECG", 1000.0, leads)
    room.signal_started(ecg, 0.0)
    assert router.kept_free == 12 * 1000 * 8 + 9600
    for number in range(9):
        room.signal_started(StreamDescriptor(f"t{number}", "ecg", "ECG", 1000.0, leads), 0.0)
    assert router.kept_free == SIGNALS_KEPT_FREE_MAX_BPS
    for stream_id in ("s1", *(f"t{number}" for number in range(9))):
        room.signal_ended(stream_id)
    assert router.kept_free == 0


async def test_who_speaks_is_told_to_everyone_once(lines: Signaling) -> None:
    first, second = Person(lines, "a").join(), Person(lines, "b").join()
    producer_id = first.produce("microphone", "audio")
    router = lines.plane.routers[ROOM]
    first.channel.take(), second.channel.take()
    voice = router.producers[producer_id]
    router.events.active_speaker(voice)
    router.events.active_speaker(voice)
    told = [("activeSpeaker", {"peerId": first.id})]
    assert first.channel.take() == second.channel.take() == told
    assert read_event(*told[0]) == ActiveSpeaker(first.id)
    assert Person(lines, "c").join().reply["activeSpeaker"] == first.id
    second.channel.take()
    router.events.active_speaker(None)
    assert second.channel.take() == [("activeSpeaker", {"peerId": None})]


async def test_quality_is_told_when_it_changes(lines: Signaling) -> None:
    first, second = Person(lines, "a").join(), Person(lines, "b").join()
    router = lines.plane.routers[ROOM]
    first.channel.take(), second.channel.take()
    up, down = first.reply["sendTransport"]["id"], second.reply["recvTransport"]["id"]
    good = {up: LineSample((TrackIn("audio", "microphone"),)), down: LineSample((), (TrackOut("audio"),))}
    router.events.lines_sampled(good, 0.0)
    told = second.channel.take()
    assert told == first.channel.take()
    cause = {"code": "good", "values": {}}
    assert told == [
        (
            "quality",
            {
                "peers": [
                    {"peerId": peer.id, "audio": {"mos": 4.4}, "video": None, "cause": cause}
                    for peer in (first, second)
                ]
            },
        )
    ]
    router.events.lines_sampled(good, 0.0)
    assert second.channel.take() == []
    lost = TrackIn("audio", "microphone", loss=0.08, lost_for_good=0.08)
    lossy = {**good, up: LineSample((lost,)), "gone": LineSample()}
    router.events.lines_sampled(lossy, 0.0)
    [(name, payload)] = second.channel.take()
    event = read_event(name, payload)
    assert event == QualityChanged((PeerQuality(first.id, 3.4, None, "uplink_loss", {"percent": 8}),))
    late = Person(lines, "c").join()
    assert [one["cause"]["code"] for one in late.reply["quality"]] == ["uplink_loss", "good"]
    first.ask("leave")
    router.events.lines_sampled(good, 0.0)
    assert [one["peerId"] for one in Person(lines, "d").join().reply["quality"]] == [second.id]


@pytest.mark.parametrize(
    ("after", "told"),
    [
        (Quality(4.0, 3.0, "uplink_loss", {"percent": 10}), False),
        (Quality(4.1, 3.2, "uplink_loss", {"percent": 12}), False),
        (Quality(4.2, 3.0, "uplink_loss", {"percent": 10}), True),
        (Quality(4.0, 3.3, "uplink_loss", {"percent": 10}), True),
        (Quality(4.0, None, "uplink_loss", {"percent": 10}), True),
        (Quality(4.0, 3.0, "uplink_loss", {"percent": 20}), True),
        (Quality(4.0, 3.0, "good"), True),
    ],
)
def test_what_is_worth_telling(after: Quality, told: bool) -> None:
    assert is_noticeable(Quality(4.0, 3.0, "uplink_loss", {"percent": 10}), after) is told

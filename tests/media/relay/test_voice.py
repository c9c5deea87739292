"""Voices that lose packets: asked for again at once coming in, sent again byte for byte going out."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from media import limits
from media.ortc import router_rtp_capabilities
from media.relay import Consumer, Producer
from media.relay.hearing import Heard
from media.relay.testing import FakeWire
from media.rtp import rtcp
from media.rtp.packet import RtpPacket, find_extension, parse_header
from tests.media.relay.bottleneck import Line, Receiver, random_loss
from tests.media.relay.helpers import CHROMIUM, OPUS, House, feedback, nacked, plis, received
from tests.media.relay.test_downstream import Village

SSRC = OPUS["encodings"][0]["ssrc"]
NACK = {"type": "nack", "parameter": ""}
ASKED = {**OPUS, "codecs": [{**OPUS["codecs"][0], "rtcpFeedback": [NACK]}]}
NUMBER_ID = 5


@pytest.fixture
def house() -> House:
    return House()


class Call:
    """A microphone, and somebody who hears it and can ask again."""

    def __init__(self, house: House, parameters: dict[str, Any] = ASKED) -> None:
        self.house = house
        sender, self.up = house.peer()
        receiver, self.down = house.peer()
        self.receiver = receiver
        self.producer: Producer = sender.produce("audio", parameters, "microphone")
        self.consumer: Consumer = receiver.consume(self.producer.id, router_rtp_capabilities(), paused=False)
        self.said = 0

    def say(self, count: int = 1, lose: frozenset[int] = frozenset()) -> None:
        """Packets of 20 ms; those whose count is in ``lose`` do not come."""
        for _ in range(count):
            if self.said not in lose:
                self.packet(self.said)
            self.said += 1
            self.house.run(0.02)

    def packet(self, number: int) -> None:
        packet = RtpPacket(111, 65_530 + number & 0xFFFF, 960 * number, SSRC, bytes((number & 0xFF,)) * 60)
        self.up.handlers.rtp_received(packet.serialize(), self.house.now)

    def ask(self, wire: FakeWire, *sequences: int) -> list[bytes]:
        """What comes in answer to a NACK."""
        before = len(wire.rtp)
        nack = rtcp.Nack(1, self.consumer.ssrc, sequences)
        wire.handlers.rtcp_received(rtcp.pack(nack), self.house.now)
        return wire.rtp[before:]


# -- in --------------------------------------------------------------------------------------------------


def test_a_missing_packet_is_asked_for_at_once_and_forwarded_late(house: House) -> None:
    call = Call(house)
    call.say(5, lose=frozenset({3}))
    assert nacked(call.up) == [65_533]
    call.packet(3)
    out = received(call.down)
    assert [packet.payload[0] for packet in out] == [0, 1, 2, 4, 3]
    assert out[-1].sequence == (out[-2].sequence - 1) & 0xFFFF
    assert out[-1].timestamp == (out[-2].timestamp - 960) & 0xFFFFFFFF
    house.run(1.0)
    assert nacked(call.up) == [65_533]
    assert plis(call.up) == []


def test_what_came_when_asked_for_stays_lost_in_the_reports(house: House) -> None:
    call = Call(house)
    call.say(5, lose=frozenset({3}))
    call.packet(3)
    layer = call.producer.stats()["layers"][0]
    assert (layer["lost"], layer["recovered"]) == (1, 1)
    house.run(1.0)
    blocks = [b for part in feedback(call.up) if isinstance(part, rtcp.ReceiverReport) for b in part.reports]
    assert [block.cumulative_lost for block in blocks][-1:] == [1]


def test_what_is_merely_late_is_not_lost(house: House) -> None:
    call = Call(house, OPUS)  # who does not offer to send again is not asked
    call.say(5, lose=frozenset({3}))
    call.packet(3)
    assert nacked(call.up) == []
    assert call.producer.stats()["layers"][0]["lost"] == 0


def test_what_nobody_waits_for_any_more_is_not_asked_for(house: House) -> None:
    call = Call(house)
    call.say(4, lose=frozenset({2}))
    asked_at = [house.now]
    before = len(nacked(call.up))
    while house.now < asked_at[0] + 2:
        call.say()
        if len(nacked(call.up)) > before:
            before = len(nacked(call.up))
            asked_at.append(house.now)
    assert len(asked_at) >= 3
    assert asked_at[-1] - asked_at[0] <= limits.VOICE_NACK_MAX_AGE_S
    assert plis(call.up) == []


def test_nothing_is_asked_while_nobody_listens(house: House) -> None:
    call = Call(house)
    call.consumer.pause()
    call.say(6, lose=frozenset({3}))
    assert nacked(call.up) == []


# -- out -------------------------------------------------------------------------------------------------


def test_a_voice_is_sent_again_byte_for_byte(house: House) -> None:
    call = Call(house)
    call.say(8)
    assert NACK in call.consumer.rtp_parameters["codecs"][0]["rtcpFeedback"]
    assert "rtx" not in call.consumer.rtp_parameters["encodings"][0]
    third = call.down.rtp[2]
    sequence = RtpPacket.parse(third).sequence
    assert call.ask(call.down, sequence) == [third]
    assert call.ask(call.down, sequence) == []  # two requests may cross
    house.run(2 * limits.RTX_REPEAT_S)
    assert call.ask(call.down, sequence, sequence + 1 & 0xFFFF) == call.down.rtp[2:4]
    assert call.consumer.stats()["retransmitted"] == 3


def test_only_the_newest_packets_are_kept(house: House) -> None:
    call = Call(house)
    call.say(limits.VOICE_SENT_PACKETS + 1)
    first = RtpPacket.parse(call.down.rtp[0]).sequence
    assert call.ask(call.down, first) == []
    assert call.ask(call.down, first + 1 & 0xFFFF) == [call.down.rtp[1]]
    assert call.ask(call.down, first + call.said & 0xFFFF) == []


def test_a_repeat_keeps_its_transport_wide_number_and_is_no_news_of_the_line(house: House) -> None:
    call = Call(house)
    far = Receiver(Line(lambda _: 50e6))
    call.say(3)
    kept = call.down.rtp[1]
    assert find_extension(kept, parse_header(kept), NUMBER_ID, 2) > 0
    assert call.ask(call.down, RtpPacket.parse(kept).sequence) == [kept]
    for data in [call.down.rtp[0], call.down.rtp[2], kept]:
        far.packet(data, house.now)
        house.run(0.05)
    hearing = call.receiver.outlet.path.hearing
    heard: list[Heard] = []

    def overhear(wanted_bps: float, beside_bps: float = 0) -> None:
        heard.extend(hearing.take())

    call.receiver.outlet.heard = overhear  # type: ignore[method-assign]
    for later in (1, 2):
        for told in far.feedback(house.now + later):
            call.down.handlers.rtcp_received(rtcp.pack(told), house.now)
    known = [size > 0 for one in heard for *_, size in one.packets]
    assert known == [True, False, True]  # it did arrive, but when it did tells nothing


def test_a_receiver_that_cannot_ask_keeps_nothing(house: House) -> None:
    call = Call(house)
    other, wire = house.peer()
    plain = {
        **CHROMIUM,
        "codecs": [{**codec, "rtcpFeedback": []} for codec in CHROMIUM["codecs"]],
    }
    consumer = other.consume(call.producer.id, plain, paused=False)
    call.say(3)
    nack = rtcp.Nack(1, consumer.ssrc, (RtpPacket.parse(wire.rtp[0]).sequence,))
    wire.handlers.rtcp_received(rtcp.pack(nack), house.now)
    assert len(wire.rtp) == 3
    assert consumer.rtp_parameters["codecs"][0]["rtcpFeedback"] == []
    assert consumer.stats()["retransmitted"] == 0


# -- on lossy lines --------------------------------------------------------------------------------------


def copies(village: Village, voice: Consumer, since: int) -> list[int]:
    """How often each packet of the voice was sent, byte for byte, of those since then that had time to be."""
    sent = [data for data in village.down.rtp[since:] if parse_header(data).ssrc == voice.ssrc]
    edge = limits.VOICE_TWICE_AFTER + 1
    return [sent.count(one) for one in dict.fromkeys(sent)][2 * edge : -edge]


def every(count: int) -> Callable[[float], bool]:
    """One packet of so many is lost."""
    packets = itertools.count()
    return lambda _: next(packets) % count == 0


@pytest.mark.parametrize(("one_of", "times"), [(20, 2), (10, 3)])
def test_voices_go_again_while_the_line_loses_packets(one_of: int, times: int) -> None:
    village = Village(Line(lambda _: 5e6, lose=every(one_of)))
    village.track("camera", 400_000)
    voice = village.voice()
    village.run(4)
    since = len(village.down.rtp)
    village.run(3)
    assert set(copies(village, voice, since)) == {times}
    sent = [data for data in village.down.rtp[since:] if parse_header(data).ssrc == voice.ssrc]
    fresh = [data for number, data in enumerate(sent) if data not in sent[:number]]
    after = sent[sent.index(fresh[5]) + 1 :]
    between = [data for data in after[: after.index(fresh[5])] if data in fresh[6:]]
    assert len(between) == limits.VOICE_TWICE_AFTER

    village.line.lose = lambda _: False
    village.run(limits.VOICE_TWICE_S + 2)
    since = len(village.down.rtp)
    village.run(1)
    assert set(copies(village, voice, since)) == {1}


def test_voices_do_not_go_twice_where_the_line_is_full() -> None:
    village = Village(Line(lambda _: 150_000, queue_s=0.1))
    village.track("camera", 400_000)
    voice = village.voice()
    village.run(8)
    since = len(village.down.rtp)
    village.run(4)
    assert set(copies(village, voice, since)) == {1}


def test_a_third_time_needs_room() -> None:
    village = Village(Line(lambda _: 5e6, lose=every(10)))
    voice = village.voice()
    village.run(4)
    village.receiver.outlet.estimator._set(limits.VOICE_THRICE_LEAST_BPS * 0.8, village.now)
    since = len(village.down.rtp)
    village.run(1)
    assert set(copies(village, voice, since)) == {2}


def test_what_goes_twice_does_not_look_like_a_queue() -> None:
    village = Village(Line(lambda _: 5e6, lose=random_loss(0.08)))
    village.track("camera", 400_000)
    village.voice()
    village.run(20)
    assert (village.receiver.outlet.available_bps(village.now) or 0) > 600_000

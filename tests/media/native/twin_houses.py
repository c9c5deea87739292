"""The two houses of `twins`, one on each plane, with all who stand in them; the encoders that both share."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

from media import native
from media.ortc import router_rtp_capabilities
from media.relay import Consumer, Producer, WebRtcTransport
from media.relay.hearing import Heard, Hearing
from media.relay.lane import PlainTables
from media.relay.native_tables import NativeTables
from media.relay.testing import FakeWire
from media.rtp.packet import RtpPacket
from tests.media.relay.helpers import CHROMIUM, H264, OPUS, VP8_SIMULCAST, House
from tests.media.relay.test_redundancy import REDUNDANT
from tests.media.relay.test_upstream import numbered

RECEIVERS = 3


class PlainHouse(House):
    make_tables = PlainTables


class NativeHouse(House):
    @staticmethod
    def make_tables() -> NativeTables:
        return NativeTables(native.module())


class _Overheard:
    """Writes down what a receiver said, as it is looked at."""

    def __init__(self, hearing: Hearing, heard: list[Heard]) -> None:
        self._hearing = hearing
        self._into = heard

    def take(self) -> Sequence[Heard]:
        heard = self._hearing.take()
        self._into.extend(heard)
        return heard

    def __getattr__(self, name: str) -> Any:
        return getattr(self._hearing, name)


class Side:
    """One of the two houses, with what stands in it."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.sender, self.up = house.peer()
        camera = {**numbered(), "encodings": VP8_SIMULCAST["encodings"], "mid": "1"}
        self.producers: list[Producer] = [
            self.sender.produce("video", camera, "camera"),
            self.sender.produce("video", {**H264, "mid": "7"}, "ultrasound"),
            self.sender.produce("audio", {**REDUNDANT, "mid": "8"}, "microphone"),
        ]
        self.second, self.up2 = house.peer()
        self.producers.append(self.second.produce("audio", {**OPUS, "mid": "0"}, "microphone"))
        self.receivers: list[tuple[WebRtcTransport, FakeWire]] = []
        self.consumers: list[Consumer] = []
        self.tapped: list[tuple[bytes, float]] = []
        self.heard: list[Heard] = []
        for kind in range(RECEIVERS):
            self.join(kind)
        self.tap = house.router.tap(self.producers[0].id, self)

    def join(self, kind: int) -> None:
        receiver, wire = self.house.peer()
        self.receivers.append((receiver, wire))
        hearing = _Overheard(receiver.outlet.path.hearing, self.heard)
        receiver.outlet.path.hearing = hearing  # type: ignore[misc]
        for producer in self.producers:
            self.consumers.append(receiver.consume(producer.id, capabilities(kind), paused=False))

    def packet(self, packet: bytes, now: float) -> None:
        self.tapped.append((packet, now))

    def closed(self) -> None:
        """The tap's end."""

    def state(self) -> dict[str, Any]:
        """Everything that can be seen from outside, but for what was sent."""
        transports = [self.sender, self.second, *(one for one, _ in self.receivers)]
        return {
            "stats": [transport.stats() for transport in transports],
            "number": [one.outlet.path.number for one, _ in self.receivers],
            "waiting": [one.outlet.path.due for one, _ in self.receivers],
            "layers": [
                (layer.ssrc, layer.alive, layer.last_at, layer.reception.counts, layer.missing.due)
                for producer in self.producers
                for layer in producer.layers
            ],
            "prices": [
                (
                    layer.meter.bps,
                    layer.meter.cumulative(3),
                    layer.meter.key_frames_bps(4, -inf, self.house.now),
                )
                for producer in self.producers
                for layer in producer.layers
            ],
        }


def capabilities(kind: int) -> dict[str, Any]:
    """Kind 0 knows everything, 1 no transport-wide numbers, 2 is what Chromium says."""
    if kind == 2:
        return dict(CHROMIUM)
    known = router_rtp_capabilities()
    if kind == 1:
        known["headerExtensions"] = [e for e in known["headerExtensions"] if e["preferredId"] != 5]
    return known


class Stream:
    """An encoder's numbers, shared by both houses."""

    def __init__(self, ssrc: int, rid: str, sequence: int, timestamp: int, picture: int) -> None:
        self.ssrc, self.rid = ssrc, rid
        self.sequence, self.timestamp, self.picture = sequence, timestamp, picture
        self.tl0 = 250
        self.frames = 0
        self.rtx_sequence = 65_530
        self.lost: list[RtpPacket] = []

    def next(
        self, payload_type: int, payload: bytes, marker: bool, extensions: Any, padding: int = 0
    ) -> RtpPacket:
        packet = RtpPacket(
            payload_type, self.sequence, self.timestamp, self.ssrc, payload, marker, (), extensions, padding
        )
        self.sequence = (self.sequence + 1) & 0xFFFF
        return packet

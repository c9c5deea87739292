"""A router on a counted clock, a publisher that sends what Chromium would, and receivers that keep books."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from media.clock import CountedClock
from media.relay import Consumer, DataConsumer, Producer, Router, WebRtcTransport
from media.relay.allocation import Decision
from media.relay.lane import PlainTables, Tables
from media.relay.samples import LineSample
from media.relay.testing import FakeSocket, FakeWire
from media.rtp import rtcp
from media.rtp.clocks import ntp_from_unix
from media.rtp.packet import RtpPacket
from media.rtp.packetize import Vp8Packetizer

VECTORS = Path(__file__).parents[2] / "vectors"


def vector(name: str) -> Any:
    return json.loads((VECTORS / name).read_text())


CHROMIUM = vector("rtp_capabilities_chromium.json")
VP8_SIMULCAST = vector("rtp_parameters_chromium_vp8_simulcast.json")
OPUS = vector("rtp_parameters_chromium_opus.json")
H264 = vector("rtp_parameters_ffmpeg_h264.json")
# the extension ids of the vectors
MID_ID, RID_ID, RRID_ID, SEND_TIME_ID, ORIENTATION_ID = 9, 10, 11, 2, 3


def vp8_single(ssrc: int = 500) -> dict[str, Any]:
    """One VP8 layer named by SSRC, as WHIP clients and screen shares send it."""
    return {**VP8_SIMULCAST, "mid": "5", "encodings": [{"ssrc": ssrc, "rtx": {"ssrc": ssrc + 1}}]}


@dataclass
class Listener:
    """Writes down what the router tells."""

    events: list[tuple[Any, ...]] = field(default_factory=list)

    def consumer_closed(self, consumer: Consumer) -> None:
        self.events.append(("consumer_closed", consumer.id))

    def consumer_paused(self, consumer: Consumer, paused_by_producer: bool) -> None:
        self.events.append(("consumer_paused", consumer.id, paused_by_producer))

    def consumer_layers(self, consumer: Consumer, spatial: int, temporal: int) -> None:
        self.events.append(("consumer_layers", consumer.id, spatial, temporal))

    def consumer_reduced(self, consumer: Consumer, decision: Decision) -> None:
        self.events.append(("consumer_reduced", consumer.id, decision.state, decision.step))

    def active_speaker(self, producer: Producer | None) -> None:
        self.events.append(("active_speaker", producer and producer.id))

    def lines_sampled(self, samples: Mapping[str, LineSample], lateness_s: float) -> None:
        self.events.append(("lines_sampled", samples, lateness_s))

    def producer_closed(self, producer: Producer) -> None:
        self.events.append(("producer_closed", producer.id))

    def data_consumer_closed(self, consumer: DataConsumer) -> None:
        self.events.append(("data_consumer_closed", consumer.id))

    def transport_state(self, transport: WebRtcTransport, state: str) -> None:
        self.events.append(("transport_state", transport.id, state))

    def named(self, name: str) -> list[tuple[Any, ...]]:
        return [event for event in self.events if event[0] == name]


class House:
    """A router, its fake socket, and time that moves when told."""

    make_tables: Callable[[], Tables] = PlainTables
    """The plane of the tests that run (``conftest.py``)."""

    def __init__(self, phase: float = 0.0) -> None:
        self.clock = CountedClock(monotonic=100.0)
        self.listener = Listener()
        self._chance = 0x1234
        self.router = Router(
            "r",
            self.clock,
            self.listener,
            randbits=self._randbits,
            tables=type(self).make_tables(),
            phase=phase,
        )
        self.socket = FakeSocket()

    def _randbits(self, count: int) -> int:
        self._chance = (self._chance * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self._chance >> 11) % (1 << count)

    def peer(self, connected: bool = True) -> tuple[WebRtcTransport, FakeWire]:
        transport = self.router.create_transport(self.socket)
        wire = self.socket.wires[-1]
        if connected:
            wire.become("connected")
        return transport, wire

    @property
    def now(self) -> float:
        return self.clock.monotonic()

    def line_carries(self, receiver: WebRtcTransport, bps: int | None) -> None:
        """As if the receiver had said so; None when nothing is known."""
        self.router.allocator(receiver.id).available = lambda _: bps
        self.router.line_told(receiver)

    def run(self, seconds: float) -> None:
        """Let time pass, ticking when the router wants to be."""
        end = self.now + seconds
        while self.router.due < end:
            self.clock.advance(max(0.0, self.router.due - self.now))
            self.router.tick(self.now)
            self.clock.advance(0.001)
        self.clock.advance(max(0.0, end - self.now))


class Layer:
    """One simulcast layer as an encoder makes it: own numbers, own SSRC, temporal pattern 0 2 1 2."""

    def __init__(self, wire: FakeWire, house: House, ssrc: int, rid: str, first: int, timestamp: int) -> None:
        self.wire = wire
        self.house = house
        self.ssrc = ssrc
        self.rid = rid
        self.sequence = first
        self.timestamp = timestamp
        self.frames = 0
        self.temporal = False
        self._packetizer = Vp8Packetizer(mtu=500, picture_id=first & 0x7FFF)
        self.size = 900
        self.named = True

    def packets(self, key: bool = False, advance: int = 3000) -> list[RtpPacket]:
        """One frame, not yet sent."""
        head = bytes.fromhex("10d0009d012a8002e001") if key else b"\x11"
        body = head + bytes([self.frames & 0xFF]) * self.size
        tid = (0, 2, 1, 2)[self.frames % 4] if self.temporal and not key else 0
        temporal = tid if self.temporal else None
        payloads = self._packetizer.packetize(body, temporal_layer=temporal, layer_sync=tid > 0)
        self.timestamp = (self.timestamp + advance) & 0xFFFFFFFF
        self.frames += 1
        extensions: tuple[tuple[int, bytes], ...] = (
            (SEND_TIME_ID, b"\x01\x02\x03"),
            (ORIENTATION_ID, b"\x01"),
        )
        if self.named:
            extensions = ((MID_ID, b"1"), (RID_ID, self.rid.encode()), *extensions)
        return [
            self._packet(payload, index == len(payloads) - 1, extensions)
            for index, payload in enumerate(payloads)
        ]

    def _packet(self, payload: bytes, marker: bool, extensions: tuple[tuple[int, bytes], ...]) -> RtpPacket:
        packet = RtpPacket(
            96, self.sequence, self.timestamp, self.ssrc, payload, marker, extensions=extensions
        )
        self.sequence = (self.sequence + 1) & 0xFFFF
        return packet

    def send(self, packet: RtpPacket) -> None:
        self.wire.handlers.rtp_received(packet.serialize(), self.house.now)

    def frame(self, key: bool = False, lose: frozenset[int] = frozenset()) -> list[RtpPacket]:
        packets = self.packets(key)
        for index, packet in enumerate(packets):
            if index not in lose:
                self.send(packet)
        return packets

    def rtx(self, packet: RtpPacket, sequence: int) -> None:
        """Send ``packet`` again by RTX, named by the repaired rid."""
        payload = packet.sequence.to_bytes(2, "big") + packet.payload
        again = RtpPacket(
            97,
            sequence,
            packet.timestamp,
            self.ssrc + 1000,
            payload,
            packet.marker,
            extensions=((MID_ID, b"1"), (RRID_ID, self.rid.encode())),
        )
        self.send(again)

    def report(self) -> None:
        """A sender report: this layer's timestamp is now."""
        report = rtcp.SenderReport(self.ssrc, ntp_from_unix(self.house.clock.wall()), self.timestamp, 1, 1)
        self.wire.handlers.rtcp_received(rtcp.pack(report), self.house.now)


def simulcast(house: House, wire: FakeWire) -> list[Layer]:
    starts = ((100, 65_500, 10_000), (200, 40_000, 4_000_000_000), (300, 7, 77_777))
    return [Layer(wire, house, ssrc, f"r{i}", first, ts) for i, (ssrc, first, ts) in enumerate(starts)]


def received(wire: FakeWire, ssrc: int | None = None) -> list[RtpPacket]:
    packets = [RtpPacket.parse(data) for data in wire.rtp]
    return packets if ssrc is None else [packet for packet in packets if packet.ssrc == ssrc]


def feedback(wire: FakeWire) -> list[rtcp.RtcpPacket]:
    return [part for data in wire.rtcp for part in rtcp.parse_compound(data)]


def plis(wire: FakeWire) -> list[int]:
    return [part.media_ssrc for part in feedback(wire) if isinstance(part, rtcp.PictureLoss)]


def nacked(wire: FakeWire) -> list[int]:
    return [s for part in feedback(wire) if isinstance(part, rtcp.Nack) for s in part.sequences]


def steps(numbers: list[int], mask: int) -> Iterator[int]:
    for before, after in pairwise(numbers):
        yield (after - before) & mask

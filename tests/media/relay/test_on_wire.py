"""The relay on a real socket with real DTLS-SRTP: key frames on request, loss repaired on both ways."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from media.clock import SystemClock
from media.relay import Consumer, Producer, RelayTimer, Router, WebRtcTransport
from media.relay.planes import tables_of
from media.rtp import rtcp
from media.rtp.depacketize import Vp8Depacketizer
from media.rtp.packet import RtpPacket
from media.rtp.packetize import Vp8Packetizer
from media.transport import (
    ClientTransport,
    DtlsParameters,
    IceCandidate,
    IceParameters,
    MediaSocket,
    MediaSocketConfig,
)
from tests.media.relay.helpers import CHROMIUM, Listener, vp8_single

pytestmark = pytest.mark.usefixtures("each_plane")


class Peer:
    """A client's end that keeps what it gets and answers as `react` says."""

    def __init__(self) -> None:
        self.rtp: list[RtpPacket] = []
        self.feedback: list[rtcp.RtcpPacket] = []
        self.data: list[str | bytes] = []
        self.changed = asyncio.Event()
        self.transport = ClientTransport(SystemClock(), self)

    def react(self) -> None:
        """Something came."""

    def rtp_received(self, packet: bytearray, now: float) -> None:
        self.rtp.append(RtpPacket.parse(packet))
        self.react()
        self.changed.set()

    def rtcp_received(self, packet: bytes, now: float) -> None:
        self.feedback += rtcp.parse_compound(packet)
        self.react()
        self.changed.set()

    def state_changed(self, state: str) -> None:
        self.changed.set()

    def data_received(self, stream_id: int, payload: str | bytes) -> None:
        self.data.append(payload)
        self.changed.set()

    async def connect(self, server: WebRtcTransport) -> None:
        json: dict[str, Any] = server.as_json()
        server.connect(self.transport.dtls_parameters.as_json())
        await asyncio.wait_for(
            self.transport.connect(
                IceParameters.from_json(json["iceParameters"]),
                [IceCandidate.from_json(item) for item in json["iceCandidates"]],
                DtlsParameters.from_json(json["dtlsParameters"]),
            ),
            10,
        )

    async def until(self, condition: Any) -> None:
        async with asyncio.timeout(10):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


class Publisher(Peer):
    """Sends VP8 frames; loses the packets it is told to lose; answers PLI and NACK."""

    def __init__(self, lose: set[int]) -> None:
        super().__init__()
        self._lose = lose
        self._packets: dict[int, RtpPacket] = {}
        self._packetizer = Vp8Packetizer(mtu=400)
        self._sequence = 65_530
        self._rtx_sequence = 0
        self._handled = 0
        self.frames: list[bytes] = []

    def react(self) -> None:
        for part in self.feedback[self._handled :]:
            if isinstance(part, rtcp.PictureLoss):
                self.send_frame(key=True)
            elif isinstance(part, rtcp.Nack):
                for sequence in part.sequences:
                    self._resend(sequence)
        self._handled = len(self.feedback)

    def send_frame(self, key: bool = False) -> None:
        head = bytes.fromhex("10d0009d012a8002e001") if key else b"\x11"
        frame = head + len(self.frames).to_bytes(2, "big") * 500
        self.frames.append(frame)
        payloads = self._packetizer.packetize(frame)
        for index, payload in enumerate(payloads):
            packet = RtpPacket(
                96, self._sequence, 3000 * len(self.frames), 500, payload, index == len(payloads) - 1
            )
            self._packets[self._sequence] = packet
            self._sequence = (self._sequence + 1) & 0xFFFF
            if len(self._packets) not in self._lose:
                self.transport.send_rtp(packet.serialize())

    def _resend(self, sequence: int) -> None:
        packet = self._packets[sequence]
        payload = sequence.to_bytes(2, "big") + packet.payload
        self._rtx_sequence += 1
        again = RtpPacket(97, self._rtx_sequence, packet.timestamp, 501, payload, packet.marker)
        self.transport.send_rtp(again.serialize())


class Stage:
    """A router with one producer and one consumer of it, both ends connected."""

    def __init__(
        self,
        socket: MediaSocket,
        publisher: Publisher,
        receiver: Peer,
        producer: Producer,
        consumer: Consumer,
    ) -> None:
        self.socket = socket
        self.publisher = publisher
        self.receiver = receiver
        self.producer = producer
        self.consumer = consumer


@asynccontextmanager
async def stage(lose: set[int]) -> AsyncIterator[tuple[Stage, WebRtcTransport, WebRtcTransport]]:
    clock = SystemClock()
    socket = await MediaSocket.open(MediaSocketConfig("127.0.0.1", 0, ("127.0.0.1",)), clock)
    timer = RelayTimer(clock)
    router = Router("r", clock, Listener(), timer, tables=tables_of(socket))
    publisher, receiver = Publisher(lose), Peer()
    try:
        up, down = router.create_transport(socket), router.create_transport(socket)
        producer = up.produce("video", vp8_single(), "camera")
        consumer = down.consume(producer.id, CHROMIUM, paused=False)
        await publisher.connect(up)
        await receiver.connect(down)
        yield Stage(socket, publisher, receiver, producer, consumer), up, down
    finally:
        router.close()
        timer.close()
        await publisher.transport.close()
        await receiver.transport.close()
        await socket.close()


async def test_frames_arrive_whole_over_a_line_that_loses() -> None:
    async with stage(lose={5, 8, 9}) as (room, _, _):
        publisher, receiver = room.publisher, room.receiver
        await publisher.until(lambda: publisher.frames)  # the key frame the relay asked for
        for _ in range(6):
            publisher.send_frame()
        expected = publisher.frames
        depacketizer = Vp8Depacketizer()
        whole: list[bytes] = []
        taken = 0

        def all_there() -> bool:
            nonlocal taken
            for packet in receiver.rtp[taken:]:
                whole.extend(frame.data for frame in depacketizer.push(packet))
            taken = len(receiver.rtp)
            return len(whole) == len(expected)

        await receiver.until(all_there)
        assert whole == expected
        assert room.producer.stats()["layers"][0]["recovered"] == 3
        assert {packet.ssrc for packet in receiver.rtp} == {room.consumer.ssrc}


async def test_the_receivers_loss_is_repaired_by_rtx() -> None:
    async with stage(lose=set()) as (room, _, _):
        publisher, receiver = room.publisher, room.receiver
        await publisher.until(lambda: publisher.frames)
        await receiver.until(lambda: len(receiver.rtp) >= 3)
        missed = receiver.rtp[1]
        receiver.transport.send_rtcp(rtcp.pack(rtcp.Nack(1, room.consumer.ssrc, (missed.sequence,))))
        rtx_ssrc = room.consumer.parameters.encodings[0].rtx_ssrc
        await receiver.until(lambda: any(packet.ssrc == rtx_ssrc for packet in receiver.rtp))
        again = next(packet for packet in receiver.rtp if packet.ssrc == rtx_ssrc)
        assert again.payload[2:] == missed.payload


async def test_reports_come_by_themselves() -> None:
    async with stage(lose=set()) as (room, _, _):
        publisher = room.publisher
        await publisher.until(lambda: any(isinstance(p, rtcp.ReceiverReport) for p in publisher.feedback))


async def test_data_goes_through() -> None:
    async with stage(lose=set()) as (room, up, down):
        producer = up.produce_data({"streamId": 0}, "pointer")
        consumer = down.consume_data(producer.id)
        room.receiver.transport.open_data_stream(consumer.parameters.stream_id)
        room.publisher.transport.open_data_stream(0)
        room.publisher.transport.send_data(0, "hello")
        await room.receiver.until(lambda: room.receiver.data == ["hello"])


async def test_python_may_ask_and_decide_between_any_two_packets() -> None:
    """The compiled plane forwards meanwhile: for `make sanitize-threads` above all."""
    async with stage(lose=set()) as (room, up, down):
        publisher, receiver = room.publisher, room.receiver
        await publisher.until(lambda: publisher.frames)
        for count in range(1, 61):
            publisher.send_frame(key=count % 20 == 0)
            await receiver.until(lambda least=count: len(receiver.rtp) >= least)
            assert room.socket.counters.send_failed == 0
            assert (up.stats()["malformed"], down.stats()["malformed"]) == (0, 0)
            assert room.producer.stats()["packets"] >= count
            assert room.consumer.stats()["packets"] >= count
            room.consumer.set_preferred_layers(0, count % 3)
        room.consumer.close()
        publisher.send_frame()

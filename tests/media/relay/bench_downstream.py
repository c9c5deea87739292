"""What numbering, pacing and estimating cost: CPU time for each packet sent, with feedback and without.

    .venv/bin/python -m tests.media.relay.bench_downstream

One publisher, ten receivers, 1200-byte packets through the plane, AES-GCM-128 and ``sendto`` on loopback;
each receiver's feedback comes every 100 ms of media. The two kinds of receivers take turns, so that what else
the machine does falls on both; only the ratio is worth anything on a shared one.
"""

from __future__ import annotations

import json
import socket
from statistics import median
from time import process_time
from typing import Any

from media.ortc import router_rtp_capabilities
from media.relay import WebRtcTransport
from media.relay.path import PlainPath
from media.relay.testing import FakeSocket, FakeWire
from media.rtp import rtcp
from media.rtp.packet import RtpPacket
from media.rtp.twcc import TransportFeedback
from media.transport.srtp import SRTP_PROFILES, PacketBuffer, SrtpContext
from tests.media.relay.helpers import House, vp8_single
from tests.media.relay.test_upstream import numbered

FAN_OUT = 10
PACKETS = 500  # one round: a second of media
ROUNDS = 30


class SendingWire(FakeWire):
    """Protects and sends, as the real one does; nobody reads."""

    buffer = PacketBuffer()
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.context = SrtpContext(SRTP_PROFILES[0], bytes(28), True, self.buffer)
        self.sent = 0

    def send_rtp(self, packet: bytes | bytearray | memoryview) -> bool:
        protected = self.context.rtp(packet)
        if protected is None:
            return False
        self.out.sendto(protected, self.sink.getsockname())
        self.sent += 1
        return True


class SendingSocket(FakeSocket):
    def create_transport(self, handlers: Any = None) -> FakeWire:
        wire = SendingWire(f"wire-{len(self.wires)}", handlers)
        self.wires.append(wire)
        return wire


class Room:
    """A publisher and its receivers, who all give transport-wide feedback, or none of whom does."""

    def __init__(self, feedback: bool) -> None:
        self.house = House()
        self.house.socket = SendingSocket()
        self.feedback = feedback
        sender, self.up = self.house.peer()
        producer = sender.produce("video", numbered() if feedback else vp8_single(), "camera")
        capabilities = router_rtp_capabilities()
        if not feedback:
            kept = [e for e in capabilities["headerExtensions"] if e["preferredId"] != 5]
            capabilities["headerExtensions"] = kept
        self.downs: list[FakeWire] = []
        self.receivers: list[WebRtcTransport] = []
        for _ in range(FAN_OUT):
            receiver, wire = self.house.peer()
            receiver.consume(producer.id, capabilities, paused=False)
            self.downs.append(wire)
            self.receivers.append(receiver)
        self.sequence = 0
        self.numbers = [1] * FAN_OUT

    def round(self) -> float:
        """CPU microseconds for each packet sent in a second of media."""
        spent = 0.0
        before = sum(wire.sent for wire in self.downs if isinstance(wire, SendingWire))
        for index in range(PACKETS):
            data = self._packet()
            self.house.clock.advance(0.002)
            now = self.house.now
            start = process_time()
            self.up.handlers.rtp_received(data, now)
            if self.house.router.due <= now:
                self.house.router.tick(now)
            spent += process_time() - start
            if self.feedback and index % 50 == 49:
                told = [rtcp.pack(self._told(receiver, now)) for receiver in range(FAN_OUT)]
                start = process_time()
                for wire, packet in zip(self.downs, told, strict=True):
                    wire.handlers.rtcp_received(packet, now)
                spent += process_time() - start
        sent = sum(wire.sent for wire in self.downs if isinstance(wire, SendingWire)) - before
        return 1e6 * spent / sent

    def _packet(self) -> bytearray:
        head = bytes.fromhex("10d0009d012a8002e001") if self.sequence == 0 else b"\x11"
        payload = b"\x10" + head + bytes(1150)
        number = ((12, b"\0\0"),) if self.feedback else ()
        extensions = ((9, b"1"), (2, b"\x01\x02\x03"), *number)
        packet = RtpPacket(
            96, self.sequence & 0xFFFF, 3000 * self.sequence, 500, payload, True, extensions=extensions
        )
        self.sequence += 1
        return packet.serialize()

    def _told(self, receiver: int, now: float) -> TransportFeedback:
        """All of the last 100 ms, each 20 ms under way."""
        path = self.receivers[receiver].outlet.path
        assert isinstance(path, PlainPath)
        base = number = self.numbers[receiver]
        times = []
        while (left_at := path.sent.sent_at(number)) is not None:
            times.append(round((left_at + 0.02) / 0.000_25))
            number += 1
        self.numbers[receiver] = number
        start = times[0] // 256
        arrivals = tuple((offset, time - 256 * start) for offset, time in enumerate(times))
        return TransportFeedback(1, 2, base & 0xFFFF, len(times), start & 0xFFFFFF, 0, arrivals)


def main() -> None:
    SendingWire.sink.bind(("127.0.0.1", 0))
    plain, told = Room(feedback=False), Room(feedback=True)
    plain.round()
    told.round()
    pairs = [(plain.round(), told.round()) for _ in range(ROUNDS)]
    figures = {
        "fan_out": FAN_OUT,
        "us_per_egress_packet_plain": round(median(one for one, _ in pairs), 2),
        "us_per_egress_packet_with_feedback": round(median(two for _, two in pairs), 2),
        "ratio": round(median(two / one for one, two in pairs), 3),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()

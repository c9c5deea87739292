"""What the plain plane costs on real sockets: CPU time for each packet sent, whole way through the server.

    .venv/bin/python -m tests.media.relay.bench_plane --fan-out 40

One publisher of 100 pictures a second of counted time, each of five packets of 1200 bytes; receivers give
transport-wide feedback every 100 ms. Datagrams come and go through a `MediaSocket` on loopback; nobody
reads what is sent. ``--profile tottime`` (or ``cumtime``) prints the functions as cProfile sees them.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import pstats
from statistics import median
from time import process_time
from typing import Any

from media.clock import CountedClock, SystemClock
from media.ortc import router_rtp_capabilities
from media.relay import Router, WebRtcTransport
from media.relay.path import PlainPath
from media.rtp import rtcp
from media.rtp.packet import RtpPacket
from media.rtp.packetize import Vp8Packetizer
from media.rtp.twcc import TransportFeedback
from media.transport import (
    ClientTransport,
    DtlsParameters,
    IceCandidate,
    IceParameters,
    MediaSocket,
    MediaSocketConfig,
)
from tests.media.relay.helpers import Listener
from tests.media.relay.instructions import Instructions
from tests.media.relay.test_upstream import numbered

FRAMES = 100  # one round: a second of media
FRAME_S = 0.01
FRAME_PACKETS = 5
TOLD_EVERY = 10  # frames


class Peer:
    """A client's end, which is never read once it is connected."""

    def __init__(self) -> None:
        self.client = ClientTransport(SystemClock())
        self.number = 1  # first that it has not told of

    async def connect(self, server: WebRtcTransport) -> None:
        told = server.as_json()
        server.connect(self.client.dtls_parameters.as_json())
        candidates = [IceCandidate.from_json(item) for item in told["iceCandidates"]]
        await self.client.connect(
            IceParameters.from_json(told["iceParameters"]),
            [one for one in candidates if one.protocol == "udp"],
            DtlsParameters.from_json(told["dtlsParameters"]),
        )
        assert self.client._udp is not None
        asyncio.get_running_loop().remove_reader(self.client._udp)


class Bench:
    """One room, and its time."""

    def __init__(self, fan_out: int, feedback: bool) -> None:
        self.fan_out, self.feedback = fan_out, feedback
        self.clock = CountedClock(monotonic=100.0)
        self.router = Router("r", self.clock, Listener())
        self.packetizer = Vp8Packetizer(mtu=1172)
        self.sequence = self.frames = 0
        self.down: list[tuple[WebRtcTransport, Peer]] = []
        self.counter = Instructions.count()
        self.instructions = 0  # of the server's part, all rounds

    async def open(self) -> None:
        self.socket = await MediaSocket.open(
            MediaSocketConfig(listen_ip="127.0.0.1", plane="python"), self.clock
        )
        sender, self.up = self.router.create_transport(self.socket), Peer()
        await self.up.connect(sender)
        producer = sender.produce("video", numbered(), "camera")
        for _ in range(self.fan_out):
            receiver, peer = self.router.create_transport(self.socket), Peer()
            await peer.connect(receiver)
            receiver.consume(producer.id, router_rtp_capabilities(), paused=False)
            self.down.append((receiver, peer))
        asyncio.get_running_loop().remove_reader(self.socket._udp)

    async def close(self) -> None:
        self.router.close()
        for peer in (self.up, *(peer for _, peer in self.down)):
            await peer.client.close()
        await self.socket.close()
        if self.counter is not None:
            self.counter.close()

    def sent(self) -> int:
        return sum(one.packets for receiver, _ in self.down for one in _subscriptions(receiver))

    async def round(self, profile: cProfile.Profile | None = None) -> float:
        """CPU microseconds for each packet sent in a second of media."""
        spent, before = 0.0, self.sent()
        for frame in range(FRAMES):
            self.clock.advance(FRAME_S)
            for packet in self._frame():
                self.up.client.send_rtp(packet)
            if self.feedback and frame % TOLD_EVERY == TOLD_EVERY - 1:
                for receiver, peer in self.down:
                    peer.client.send_rtcp(rtcp.pack(self._told(receiver, peer)))
            if profile is not None:
                profile.enable()
            counted = self._counted()
            start = process_time()
            self.socket._readable()
            if self.router.due <= self.clock.monotonic():
                self.router.tick(self.clock.monotonic())
            await asyncio.sleep(0)
            spent += process_time() - start
            self.instructions += self._counted() - counted
            if profile is not None:
                profile.disable()
        sent = self.sent() - before
        assert sent >= FRAMES * FRAME_PACKETS * self.fan_out, "packets were left out"
        return 1e6 * spent / sent

    def _counted(self) -> int:
        return self.counter.read() if self.counter is not None else 0

    def _frame(self) -> list[bytearray]:
        head = bytes.fromhex("10d0009d012a8002e001") if self.frames == 0 else b"\x11"
        payloads = self.packetizer.packetize(head + bytes(FRAME_PACKETS * 1165), temporal_layer=None)
        assert len(payloads) == FRAME_PACKETS
        extensions = ((9, b"1"), (2, b"\x01\x02\x03"), (12, b"\0\0"))
        packets = []
        for payload in payloads:
            last = payload is payloads[-1]
            packet = RtpPacket(
                *(96, self.sequence & 0xFFFF, 900 * self.frames, 500, payload, last), extensions=extensions
            )
            packets.append(packet.serialize())
            self.sequence += 1
        self.frames += 1
        return packets

    def _told(self, receiver: WebRtcTransport, peer: Peer) -> TransportFeedback:
        """All of the last 100 ms, each 20 ms under way."""
        path = receiver.outlet.path
        assert isinstance(path, PlainPath)
        base = number = peer.number
        times = []
        while (left_at := path.sent.sent_at(number)) is not None:
            times.append(round((left_at + 0.02) / 0.000_25))
            number += 1
        peer.number = number
        start = times[0] // 256
        arrivals = tuple((offset, time - 256 * start) for offset, time in enumerate(times))
        return TransportFeedback(1, 2, base & 0xFFFF, len(times), start & 0xFFFFFF, 0, arrivals)


def _subscriptions(receiver: WebRtcTransport) -> list[Any]:
    return [consumer.subscription for consumer in receiver.consumers.values()]


async def run(fan_out: int, rounds: int, feedback: bool, profile: cProfile.Profile | None) -> dict[str, Any]:
    bench = Bench(fan_out, feedback)
    await bench.open()
    for _ in range(3):
        await bench.round()
    bench.instructions, before = 0, bench.sent()
    costs = [await bench.round(profile) for _ in range(rounds)]
    instructions = bench.instructions / (bench.sent() - before)
    await bench.close()
    return {
        "fan_out": fan_out,
        "us_per_egress_packet": round(median(costs), 2),
        "us_per_egress_packet_least": round(min(costs), 2),
        "instructions_per_egress_packet": round(instructions) or None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fan-out", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--no-feedback", action="store_true")
    parser.add_argument("--profile", choices=["tottime", "cumtime"])
    options = parser.parse_args()
    profile = cProfile.Profile() if options.profile else None
    figures = asyncio.run(run(options.fan_out, options.rounds, not options.no_feedback, profile))
    if profile is not None:
        pstats.Stats(profile).sort_stats(options.profile).print_stats(45)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()

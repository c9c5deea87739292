"""Two houses, one on each plane, to which the same happens: what one sends, counts or tells, the other must.

A `Twins` has a publisher with a simulcast VP8 camera, an H.264 ultrasound and a microphone with RED, another
one with a plain microphone, and receivers of several kinds. `Twins.do(name, number)` lets one thing happen to
both, made from the number alone; then every byte sent, every event and every counter is compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from math import inf
from random import Random

from media.limits import ESTIMATE_SENT_PACKETS
from media.relay.native_tables import NativeTables
from media.relay.path import PlainPath
from media.rtp import red, rtcp
from media.rtp.clocks import ntp_from_unix, ntp_middle
from media.rtp.packet import RtpPacket
from media.rtp.twcc import TransportFeedback
from media.rtp.vp8 import pack_descriptor
from tests.media.native.twin_houses import RECEIVERS, NativeHouse, PlainHouse, Side, Stream, capabilities

RTX = (102, 104)  # the router's payload types
SEND_TIME, ORIENTATION, MID, RID, REPAIRED, NUMBER = 2, 3, 9, 10, 11, 12


class Twins:
    """See the module. Everything is decided by the numbers given to `do`."""

    def __init__(self) -> None:
        self.sides = (Side(PlainHouse()), Side(NativeHouse()))
        self.camera = [
            Stream(100, "r0", 65_500, 10_000, 120),
            Stream(200, "r1", 40_000, 4_294_960_000, 32_760),
            Stream(300, "r2", 7, 77_777, 5),
        ]
        self.ultrasound = Stream(
            self.sides[0].producers[1].layers[0].ssrc or 900, "", 65_000, 4_294_000_000, 0
        )
        self.voice = Stream(self.sides[0].producers[2].layers[0].ssrc or 901, "", 65_530, 5, 0)
        self.plain_voice = Stream(self.sides[0].producers[3].layers[0].ssrc or 902, "", 3, 4_294_967_000, 0)
        self.number = 65_400
        self._told = [0] * RECEIVERS
        self._feedback = 0
        self.sent = 0
        self.happened: Counter[str] = Counter()  # events, and what came, left or was decided of note
        self.gathered = 0  # feedbacks that were looked at together
        self.sizes: tuple[int, ...] = (10, 60, 270)  # of a VP8 packet, words
        self.recent: dict[str, list[bytes]] = {}  # sent lately, by wire
        self.reported: dict[str, list[int]] = {}  # middles of the times of reports, by wire
        self.actions: dict[str, Callable[[Random], None]] = {
            "picture": self._picture,
            "ultrasound": self._h264,
            "voice": self._voice,
            "again": self._again,
            "time": self._time,
            "report": self._report,
            "answer": self._answer,
            "nack": self._nack,
            "feedback": self._told_by_receivers,
            "calm": self._calm,
            "pli": self._pli,
            "wish": self._wish,
            "pause": self._pause,
            "target": self._target,
            "odd": self._odd,
            "garbage": self._garbage,
            "jump": self._jump,
            "leave": self._leave,
        }

    def do(self, name: str, number: int) -> None:
        self.actions[name](Random(number))
        self.compare(name, number)

    @property
    def seconds(self) -> float:
        """Of media time that have passed."""
        return self.sides[0].house.now - 100.0

    def rule_stats(self) -> dict[str, int]:
        """The compiled plane's own counters."""
        tables = self.sides[1].house.router.tables
        assert isinstance(tables, NativeTables)
        return tables.rule.stats()

    # -- what comes ----------------------------------------------------------------------------------------

    def arrive(self, number: int) -> None:
        """A packet of no account with this transport-wide number."""
        extensions = ((MID, b"1"), (RID, b"r0"), (NUMBER, number.to_bytes(2, "big")))
        self._send(self.camera[0].next(96, b"\x10\x11", False, extensions))

    def _send(self, packet: RtpPacket | bytes, second: bool = False) -> None:
        if isinstance(packet, RtpPacket):
            self.happened["wrap"] += packet.sequence == 0
        data = packet if isinstance(packet, bytes) else bytes(packet.serialize())
        for side in self.sides:
            wire = side.up2 if second else side.up
            wire.handlers.rtp_received(bytearray(data), side.house.now)

    def _extensions(
        self, stream: Stream, chance: Random, again: bool = False
    ) -> tuple[tuple[int, bytes], ...]:
        self.number = (self.number + 1) & 0xFFFF
        rid = ((REPAIRED if again else RID, stream.rid.encode()),) if stream.rid else ()
        return (
            (MID, b"1"),
            *rid,
            (SEND_TIME, chance.randbytes(3)),
            (ORIENTATION, b"\1"),
            (NUMBER, self.number.to_bytes(2, "big")),
        )

    def _deliver(self, stream: Stream, packets: list[RtpPacket], chance: Random) -> None:
        """With loss, reorder and doubles."""
        if chance.random() < 0.3 and len(packets) > 1:
            at = chance.randrange(len(packets) - 1)
            packets[at : at + 2] = reversed(packets[at : at + 2])
        for packet in packets:
            fate = chance.random()
            if fate < 0.06:
                stream.lost.append(packet)
                del stream.lost[:-40]
                continue
            self._send(packet)
            if fate > 0.97:
                self._send(packet)

    def _picture(self, chance: Random) -> None:
        for layer in (0, 1, 2):
            if chance.random() < 0.85:
                self._frame(self.camera[layer], chance)

    def _frame(self, stream: Stream, chance: Random) -> None:
        key = stream.frames == 0 or chance.random() < 0.08
        temporal = 0 if key else (0, 2, 1, 2)[stream.frames % 4]
        stream.frames += 1
        stream.timestamp = (stream.timestamp + chance.choice((3000, 3003, 90_000))) & 0xFFFFFFFF
        stream.picture = (stream.picture + 1) & 0x7FFF
        stream.tl0 = (stream.tl0 + (temporal == 0)) & 0xFF
        count = chance.choice((1, 1, 2, 3, 9)) * (4 if key else 1)
        packets = []
        for index in range(count):
            first = index == 0
            descriptor = pack_descriptor(
                start_of_partition=first,
                picture_id=stream.picture,
                tl0_picture_index=stream.tl0,
                temporal_layer=temporal,
                layer_sync=temporal > 0 and chance.random() < 0.5,
            )
            head = bytes.fromhex("10d0009d012a8002e001") if key and first else b"\x11"
            body = descriptor + head + chance.randbytes(4) * chance.choice(self.sizes)
            packets.append(stream.next(96, body, index == count - 1, self._extensions(stream, chance)))
        if chance.random() < 0.1:
            packets.append(stream.next(96, b"", False, self._extensions(stream, chance), padding=200))
        self._deliver(stream, packets, chance)

    def _h264(self, chance: Random) -> None:
        stream = self.ultrasound
        key = stream.frames == 0 or chance.random() < 0.15
        stream.frames += 1
        stream.timestamp = (stream.timestamp + 9000) & 0xFFFFFFFF
        units: list[bytes] = []
        if key:
            units.append(bytes.fromhex("7800056742c01f8c000468ce3c80"))
        unit = 0x65 if key else chance.choice((0x61, 0x01))
        units += [bytes((unit & 0x60 | 28, 0x80 | unit & 0x1F)) + chance.randbytes(300)]
        units += [bytes((unit & 0x60 | 28, unit & 0x1F)) + chance.randbytes(chance.choice((200, 1100)))]
        units.append(bytes((unit,)) + chance.randbytes(40))
        packets = [stream.next(96, one, one is units[-1], ()) for one in units]
        payload_type = self.sides[0].producers[1].parameters.media_codec.payload_type
        for packet in packets:
            packet.payload_type = payload_type or 96
        self._deliver(stream, packets, chance)

    def _voice(self, chance: Random) -> None:
        for stream, second in ((self.voice, False), (self.plain_voice, True)):
            stream.timestamp = (stream.timestamp + 960) & 0xFFFFFFFF
            body = chance.randbytes(chance.choice((3, 40, 120)))
            payload_type = 111
            if not second and chance.random() < 0.7:
                earlier = [(960 * (2 - n), chance.randbytes(30)) for n in range(chance.randrange(3))]
                body, payload_type = red.pack(body, 111, earlier), 63
            level = ((1, bytes((chance.randrange(256),))), (4, b"0"), (2, chance.randbytes(3)))
            packet = stream.next(payload_type, body, False, level if chance.random() < 0.9 else ())
            if chance.random() > 0.04:
                self._send(packet, second)

    def _again(self, chance: Random) -> None:
        """The publisher answers what it was asked for, or probes with what was not missing."""
        stream = chance.choice(self.camera)
        fate = chance.random()
        if fate < 0.7 and stream.lost:
            packet = stream.lost.pop(chance.randrange(len(stream.lost)))
            body = packet.sequence.to_bytes(2, "big") + packet.payload
        elif fate < 0.85:
            packet, body = RtpPacket(96, 0, stream.timestamp, stream.ssrc), b""
        else:
            packet = RtpPacket(96, 0, stream.timestamp, stream.ssrc)
            body = chance.randbytes(2) + b"\x10\x11" + chance.randbytes(90)
        stream.rtx_sequence = (stream.rtx_sequence + 1) & 0xFFFF
        extensions = self._extensions(stream, chance, again=True)
        padding = chance.choice((0, 0, 30))
        again = RtpPacket(
            97,
            stream.rtx_sequence,
            packet.timestamp,
            stream.ssrc + 1000,
            body,
            packet.marker,
            (),
            extensions,
            padding,
        )
        self._send(again)

    def _report(self, chance: Random) -> None:
        for stream in (*self.camera, self.ultrasound, self.voice):
            if chance.random() < 0.5:
                continue
            wall = self.sides[0].house.clock.wall() + chance.choice((0, 0.02, 0.3, 9))
            report = rtcp.SenderReport(stream.ssrc, ntp_from_unix(wall), stream.timestamp, 1, 1)
            name = rtcp.SourceDescription(((stream.ssrc, "c" * chance.randrange(6)),))
            data = rtcp.pack_compound((report, name)[: chance.choice((1, 2))])
            for side in self.sides:
                side.up.handlers.rtcp_received(data, side.house.now)

    def _answer(self, chance: Random) -> None:
        """A receiver reports of what it was sent; some is of nobody, or broken, or stands beside more."""
        at = chance.randrange(RECEIVERS)
        ssrcs = [one.ssrc for one in self.sides[0].consumers[at * 4 : at * 4 + 4]]
        named = self.reported.get(self.sides[0].receivers[at][1].id, [])
        blocks = tuple(
            rtcp.ReportBlock(
                chance.choice((*ssrcs, 77)),
                chance.randrange(256),
                chance.choice((0, 3, -2, -0x800000, 0x7FFFFF)),
                chance.getrandbits(32),
                chance.randrange(9000),
                chance.choice((0, 5, *named)),
                chance.choice((0, 0, 700, 90_000)),
            )
            for _ in range(chance.choice((0, 1, 4, 9)))
        )
        report = rtcp.ReceiverReport(1, blocks)
        more: list[rtcp.RtcpPacket] = [
            rtcp.SourceDescription(((1, "d"), (2, ""))),
            rtcp.Bye((3,)),
            rtcp.Nack(1, ssrcs[0], (1,)),
        ]
        data = bytearray(rtcp.pack_compound((report, *more[: chance.choice((0, 0, 1, 2, 3))])))
        if chance.random() < 0.2:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        if chance.random() < 0.05:
            del data[chance.randrange(len(data)) :]
        self._from_receiver(at, bytes(data))

    def _odd(self, chance: Random) -> None:
        """Packets that are right in form and strange in content."""
        stream = chance.choice(self.camera)
        kind = chance.randrange(6)
        if kind == 0:  # a payload type of nobody
            self._send(
                stream.next(chance.randrange(128), b"\x10\x11abc", True, self._extensions(stream, chance))
            )
        elif kind == 1:  # an SSRC of nobody
            self._send(RtpPacket(96, 1, 1, chance.randrange(1 << 32), b"\x10\x11", extensions=((MID, b"9"),)))
        elif kind == 2:  # two-byte extensions, one of them long
            long = ((MID, b"1"), (RID, stream.rid.encode()), (20, bytes(40)), (SEND_TIME, b"abc"))
            self._send(stream.next(96, b"\x90\x80\x05\x11abc", True, long))
        elif kind == 3:  # no descriptor extension; a seven-bit picture id
            body = b"\x10\x11abc" if chance.random() < 0.5 else b"\x90\x80\x07\x11abc"
            self._send(stream.next(96, body, True, self._extensions(stream, chance)))
        elif kind == 4:  # another SSRC for the layer
            stream.ssrc += 5000
            self._send(
                stream.next(
                    96, b"\x10\x10\0\0\x9d\x01\x2a\x10\0\x10\0", True, self._extensions(stream, chance)
                )
            )
        else:  # contributing sources
            packet = stream.next(96, b"\x10\x11abc", True, self._extensions(stream, chance))
            packet.csrcs = (1, 2, 3)
            self._send(packet)

    def _garbage(self, chance: Random) -> None:
        stream = chance.choice((*self.camera, self.voice))
        data = bytearray(
            stream.next(
                96, b"\x90\xe0\x85\x11\x05\x20\x11" + bytes(40), True, self._extensions(stream, chance)
            ).serialize()
        )
        for _ in range(chance.randrange(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        if chance.random() < 0.4:
            del data[chance.randrange(len(data)) :]
        if chance.random() < 0.05:
            data += bytes(1500)
        if len(data) > 1 and not 192 <= data[1] <= 223:
            self._send(bytes(data))

    def _jump(self, chance: Random) -> None:
        """The encoder begins anew, or much is lost at once."""
        stream = chance.choice((*self.camera, self.ultrasound))
        stream.sequence = (stream.sequence + chance.choice((5, 250, 400, 999, 1500, 30_000))) & 0xFFFF
        stream.picture = (stream.picture + chance.choice((1, 40, 20_000))) & 0x7FFF

    # -- what is decided -----------------------------------------------------------------------------------

    def _time(self, chance: Random) -> None:
        seconds = chance.choice((0.001, 0.005, 0.02, 0.02, 0.1, 0.4, 0.8))
        for side in self.sides:
            side.house.run(seconds)
        one, other = (side.house.clock for side in self.sides)
        assert abs(one.monotonic() - other.monotonic()) < 1e-9  # the same, but for the order of additions
        vars(other).update(vars(one))

    def _wish(self, chance: Random) -> None:
        at, spatial, temporal = chance.randrange(99), chance.randrange(3), chance.choice((0, 1, 2, None))
        for side in self.sides:
            consumer = side.consumers[at % len(side.consumers)]
            if not consumer.closed:
                consumer.set_preferred_layers(spatial, temporal)

    def _pause(self, chance: Random) -> None:
        at, what = chance.randrange(99), chance.choice((0, 1, 1, 1, 2, 2, 3, 4, 4))
        before = self._paused()
        for side in self.sides:
            consumer = side.consumers[at % len(side.consumers)]
            producer = side.producers[at % len(side.producers)]
            if not consumer.closed:
                (consumer.pause, consumer.resume, consumer.resume, producer.pause, producer.resume)[what]()
            producer.resume() if what == 2 else None
        self.happened["paused"] += len(self._paused() - before)
        self.happened["resumed"] += len(before - self._paused())

    def _paused(self) -> set[str]:
        """Who of one side is paused: both sides are told the same."""
        side = self.sides[0]
        consumers = {one.id for one in side.consumers if one.paused}
        return consumers | {one.id for one in side.producers if one.paused}

    def _leave(self, chance: Random) -> None:
        """A consumer goes, and one comes in its place."""
        at = chance.randrange(99)
        for side in self.sides:
            index = at % len(side.consumers)
            old = side.consumers[index]
            receiver = side.receivers[index // len(side.producers)][0]
            old.close()
            kind = index // len(side.producers)
            side.consumers[index] = receiver.consume(old.producer.id, capabilities(kind), paused=False)

    def _target(self, chance: Random) -> None:
        at, bps = chance.randrange(RECEIVERS), chance.choice((60_000, 300_000, 1_000_000, 20_000_000))
        queued_s = chance.choice((0.0, 0.1, 0.7))
        for side in self.sides:
            side.receivers[at][0].outlet.path.set_target(bps, queued_s)

    # -- what receivers say --------------------------------------------------------------------------------

    def _from_receiver(self, at: int, data: bytes) -> None:
        for side in self.sides:
            side.receivers[at][1].handlers.rtcp_received(data, side.house.now)

    def _nack(self, chance: Random) -> None:
        at = chance.randrange(RECEIVERS)
        sent = [RtpPacket.parse(data) for data in self.recent.get(self.sides[0].receivers[at][1].id, ())]
        if sent:
            one = chance.choice(sent)
            near = sorted(
                {(one.sequence + chance.randrange(-6, 6)) & 0xFFFF for _ in range(5)} | {one.sequence}
            )
            self._from_receiver(at, rtcp.pack(rtcp.Nack(1, one.ssrc, tuple(near))))

    def _pli(self, chance: Random) -> None:
        at = chance.randrange(RECEIVERS)
        consumer = self.sides[0].consumers[at * 4]
        self._from_receiver(at, rtcp.pack(rtcp.PictureLoss(1, consumer.ssrc)))

    def _told_by_receivers(self, chance: Random) -> None:
        """All that was sent since, some of it lost, some of it late."""
        at = chance.choice((0, 2))
        path = self.sides[0].receivers[at][0].outlet.path
        assert isinstance(path, PlainPath)
        base, end = max(self._told[at], path.number - ESTIMATE_SENT_PACKETS, 1), path.number
        if end <= base:
            return
        count = min(end - base, chance.choice((3, 12, 400)))
        self._told[at] = base + count
        time = round(self.sides[0].house.now / 0.000_25) - 400
        start = time // 256
        arrivals = []
        steady = chance.random() < 0.9
        before = 256 * start
        loss = chance.choice((0, 0, 0, 0.05, 0.5))
        for offset in range(count):
            time += chance.choice((0, 1, 4, 40, -3))
            if steady and (sent_at := path.sent.sent_at(base + offset)) is not None:
                time = round((sent_at + 0.02) / 0.000_25)
            if chance.random() >= loss and abs(time - before) < 0x7FFF:
                before = time
                arrivals.append((offset, time - 256 * start))
        self._feedback = (self._feedback + 1) & 0xFF
        told = TransportFeedback(
            1, 2, base & 0xFFFF, count, start & 0xFFFFFF, self._feedback, tuple(arrivals)
        )
        packet = bytearray(rtcp.pack(told))
        if chance.random() < 0.1:
            packet[chance.randrange(len(packet))] ^= 1 << chance.randrange(8)
        self._from_receiver(at, bytes(packet))

    def _calm(self, chance: Random) -> None:
        """From now on feedback that is no news is gathered, or no longer."""
        at = chance.choice((0, 2))
        until = self.sides[0].house.now + chance.choice((-1, 0.3, 2, 9))
        delay = chance.choice((-0.2, 0.01, 0.5, 9))
        most_bps = chance.choice((3e5, inf, inf, inf, inf))
        for side in self.sides:
            side.receivers[at][0].outlet.path.hearing.be_calm(until, delay, most_bps)

    # -- the same ------------------------------------------------------------------------------------------

    def compare(self, name: str = "", number: int = 0) -> None:
        """Every byte sent since the last time, and everything that can be seen."""
        plain, compiled = self.sides
        where = f"after {name} {number}"
        wires = zip(plain.house.socket.wires, compiled.house.socket.wires, strict=True)
        for index, (one, other) in enumerate(wires):
            assert other.rtp == one.rtp, f"{where}: RTP of wire {index}"
            assert other.rtcp == one.rtcp, f"{where}: RTCP of wire {index}"
            self.sent += len(one.rtp)
            self.happened["rtx"] += sum(packet[1] & 0x7F in RTX for packet in one.rtp)
            self.recent[one.id] = [*self.recent.get(one.id, ()), *one.rtp][-60:]
            for part in (part for data in one.rtcp for part in rtcp.parse_compound(data)):
                if isinstance(part, rtcp.SenderReport):
                    middles = self.reported.setdefault(one.id, [])
                    middles.append(ntp_middle(part.ntp))
                    del middles[:-20]
            for wire in (one, other):
                wire.rtp.clear()
                wire.rtcp.clear()
        assert compiled.tapped == plain.tapped, f"{where}: tap"
        assert compiled.house.listener.events == plain.house.listener.events, f"{where}: events"
        assert compiled.heard == plain.heard, f"{where}: heard"
        self.happened.update(str(event[0]) for event in plain.house.listener.events)
        for side in self.sides:
            self.gathered += sum(len(one.rates) > 1 for one in side.heard)
            side.heard.clear()
            side.tapped.clear()
            side.house.listener.events.clear()
        assert compiled.state() == plain.state(), f"{where}: counters"

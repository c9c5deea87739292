"""Packets that leave together: the same datagrams as one by one, whatever the kernel makes of the batch."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import sys
from collections.abc import Callable, Iterator
from ctypes import set_errno

import pytest

from media.clock import SystemClock
from media.limits import MAX_DATAGRAM, OUTBOX_DATAGRAMS
from media.transport import MediaSocket, MediaSocketConfig, mmsg
from media.transport.media_socket import SocketCounters
from media.transport.outbox import Outbox, Way
from media.transport.secure import TransportCounters
from media.transport.srtp import SRTP_PROFILES, PacketBuffer, SrtpContext
from tests.media.transport.loopback import Ends, connected

GCM = SRTP_PROFILES[0]
KEY = bytes(GCM.key_length + GCM.salt_length)

pytestmark = [
    pytest.mark.skipif(mmsg.calls() is None, reason="no sendmmsg here"),
    pytest.mark.usefixtures("python_plane"),
]


def rtp(sequence: int, size: int, ssrc: int = 7) -> bytes:
    head = b"\x80\x60" + sequence.to_bytes(2, "big") + bytes(4) + ssrc.to_bytes(4, "big")
    return head + os.urandom(size - len(head))


class Bench:
    """An outbox on loopback, receivers, and the system calls that were made."""

    def __init__(self, receivers: int = 2) -> None:
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.sinks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(receivers)]
        for sink in self.sinks:
            sink.bind(("127.0.0.1", 0))
            sink.setblocking(False)
        calls = mmsg.calls()
        assert calls is not None
        self.messages: list[int] = []
        self.errors: list[int] = []  # of the next calls
        self.later: list[Callable[[], None]] = []
        self.counters = SocketCounters()
        self._send = calls[0]
        self.outbox = Outbox(self.udp, self._sendmmsg, self.counters, self.later.append)
        self.counts = [TransportCounters() for _ in self.sinks]
        self.ways = [self.way(index) for index in range(receivers)]
        self.expected: list[list[bytes]] = [[] for _ in self.sinks]
        self._plain = [SrtpContext(GCM, KEY, True, PacketBuffer()) for _ in self.sinks]

    def way(self, index: int) -> Way:
        context = SrtpContext(GCM, KEY, True, PacketBuffer())
        way = self.outbox.way(self.sinks[index].getsockname(), context, self.counts[index])
        assert way is not None
        return way

    def _sendmmsg(self, descriptor: int, at: int, count: int) -> int:
        self.messages.append(count)
        if self.errors and (error := self.errors.pop(0)):
            set_errno(error)
            return -1
        return self._send(descriptor, at, count)

    def send(self, index: int, packet: bytes) -> None:
        protected = self._plain[index].rtp(packet)
        assert protected is not None
        self.expected[index].append(bytes(protected))
        assert self.ways[index].send(packet)

    def came(self, index: int) -> list[bytes]:
        found = []
        while True:
            try:
                found.append(self.sinks[index].recv(4096))
            except BlockingIOError:
                return found

    def close(self) -> None:
        for one in (self.udp, *self.sinks):
            one.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


def test_what_leaves_is_what_libsrtp_makes_of_each_packet(bench: Bench) -> None:
    for sequence in range(20):
        for index in range(2):
            bench.send(index, rtp(sequence, 1200 if sequence % 5 else 300 + sequence))
    bench.outbox.flush()
    assert [bench.came(index) for index in range(2)] == bench.expected
    assert [one.packets_sent for one in bench.counts] == [20, 20]
    assert bench.counts[0].bytes_sent == sum(map(len, bench.expected[0]))


def test_a_run_of_one_size_is_one_message_and_a_shorter_one_ends_it(bench: Bench) -> None:
    for size in (900, 900, 900, 500, 900, 901):
        bench.send(0, rtp(len(bench.expected[0]), size))
    bench.outbox.flush()
    assert bench.messages == [3]  # 900 900 900 500, 900, 901
    assert bench.came(0) == bench.expected[0]


def test_a_long_run_is_cut(bench: Bench) -> None:
    for sequence in range(40):
        bench.send(0, rtp(sequence, 1000))
    bench.outbox.flush()
    assert bench.messages == [3]  # of sixteen at most
    assert bench.came(0) == bench.expected[0]


def test_a_full_batch_leaves_by_itself(bench: Bench) -> None:
    for sequence in range(OUTBOX_DATAGRAMS + 1):
        bench.send(sequence % 2, rtp(sequence, 200 + sequence))
    assert sum(bench.messages) == OUTBOX_DATAGRAMS
    bench.outbox.flush()
    assert [bench.came(index) for index in range(2)] == bench.expected


def test_the_first_of_a_batch_asks_for_the_next_turn_once_and_not_while_it_is_held(bench: Bench) -> None:
    bench.outbox.held = True
    bench.send(0, rtp(0, 100))
    assert not bench.later
    bench.outbox.held = False
    bench.outbox.flush()
    bench.send(0, rtp(1, 100))
    bench.outbox.flush()
    bench.send(0, rtp(2, 100))
    assert len(bench.later) == 1
    bench.later.pop()()
    assert bench.came(0) == bench.expected[0]
    bench.send(0, rtp(3, 100))
    assert len(bench.later) == 1


@pytest.mark.parametrize("error", [errno.EINVAL, errno.EIO, errno.EMSGSIZE])
def test_what_the_kernel_will_not_cut_goes_apart(bench: Bench, error: int) -> None:
    bench.errors = [error]
    for sequence in range(4):
        bench.send(0, rtp(sequence, 700))
    bench.send(1, rtp(4, 700))
    bench.outbox.flush()
    assert [bench.came(index) for index in range(2)] == bench.expected
    bench.messages.clear()
    for sequence in range(5, 8):
        bench.send(0, rtp(sequence, 700))
    bench.outbox.flush()
    # too long for one path says nothing of the others; the rest is for good
    assert bench.messages == [1 if error == errno.EMSGSIZE else 3]


def test_a_full_socket_and_a_refused_address_are_counted_and_nobody_waits(bench: Bench) -> None:
    bench.errors = [errno.EPERM, errno.EINTR, errno.EAGAIN]
    bench.send(0, rtp(0, 100))
    for sequence in range(1, 4):
        bench.send(1, rtp(sequence, 100))
    bench.outbox.flush()
    assert (bench.counters.send_failed, bench.counters.send_blocked) == (1, 3)
    assert bench.came(0) == bench.came(1) == []
    bench.send(0, rtp(9, 100))
    bench.outbox.flush()
    assert bench.came(0) == bench.expected[0][-1:]


def test_what_libsrtp_refuses_takes_no_place(bench: Bench) -> None:
    assert not bench.ways[0].send(bytes(MAX_DATAGRAM + 1))
    assert not bench.ways[0].send(b"no rtp")
    assert bench.counts[0].packets_dropped == 2
    bench.send(0, rtp(1, 300))
    bench.outbox.flush()
    assert bench.messages == [1]
    assert bench.came(0) == bench.expected[0]


def test_a_way_may_go_before_the_batch_does(bench: Bench) -> None:
    bench.send(0, rtp(1, 300))
    bench.ways.clear()
    bench.outbox.flush()
    assert bench.came(0) == bench.expected[0]


def test_an_address_of_another_family_has_no_way(bench: Bench) -> None:
    context = SrtpContext(GCM, KEY, True, PacketBuffer())
    assert bench.outbox.way(("::1", 9), context, TransportCounters()) is None


async def test_packets_sent_between_two_turns_leave_in_order() -> None:
    async with connected() as ends:
        packets = [rtp(sequence, 400) for sequence in range(100)]
        for packet in packets:
            assert ends.server.send_rtp(packet)
        assert ends.server.counters.packets_sent == 100
        assert [await ends.at_client.rtp.get() for _ in packets] == packets


async def test_a_closed_transport_sends_no_more_and_what_waits_goes_before_its_goodbye() -> None:
    async with connected() as ends:
        packet = rtp(1, 400)
        assert ends.server.send_rtp(packet)
        await ends.server.close()
        assert not ends.server.send_rtp(rtp(2, 400))
        await ends.at_client.state("closed")
        assert ends.at_client.rtp.get_nowait() == packet
        assert ends.at_client.rtp.empty()


async def test_media_leaves_over_ipv6_too() -> None:
    media = await MediaSocket.open(MediaSocketConfig(listen_ip="::1"), SystemClock())
    try:
        ends = Ends(media)
        await ends.connect()
        packet = rtp(1, 500)
        assert ends.server.send_rtp(packet)
        assert await asyncio.wait_for(ends.at_client.rtp.get(), 10) == packet
        await ends.client.close()
    finally:
        await media.close()


async def test_without_sendmmsg_packets_leave_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mmsg, "calls", lambda: None)
    async with connected() as ends:
        packet = rtp(1, 500)
        assert ends.server.send_rtp(packet)
        assert await asyncio.wait_for(ends.at_client.rtp.get(), 10) == packet


def test_other_machines_have_no_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "byteorder", "big")
    assert mmsg.calls.__wrapped__() is None

"""The engine under what peers and owners can do: garbage, early closes, floods, forks, ten thousand peers."""

from __future__ import annotations

import gc
import os
import random
import resource
import select
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from media import native
from media.limits import ENGINE_UP_BYTES
from media.transport.srtp import SRTP_PROFILES, new_session

pytestmark = pytest.mark.skipif(not native.available(), reason=f"compiled module: {native.problem()}")

if native.available():
    from media import _native
    from media._native import Engine, EnginePeer

PROFILE = SRTP_PROFILES[0]
KEY = bytes(range(PROFILE.key_length + PROFILE.salt_length))
WAIT_S = 10
MOST_LOOKS = 5_000_000  # some seconds


def udp() -> socket.socket:
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.bind(("127.0.0.1", 0))
    one.setblocking(False)
    return one


class Bench:
    """An engine on a socket, and a far end."""

    def __init__(self, up_bytes: int = ENGINE_UP_BYTES, peers: int = 64) -> None:
        self.socket, self.far = udp(), udp()
        self.address: tuple[str, int] = self.socket.getsockname()
        self.rule = native.new_rule()
        self.engine = Engine(self.socket.fileno(), self.rule, peers, up_bytes)

    def peer(self, handle: object = "peer") -> EnginePeer:
        """The far end as a peer with keys, so that it hears itself."""
        peer = self.engine.peer(handle)
        inbound, outbound = new_session(PROFILE, KEY, False), new_session(PROFILE, KEY, True)
        addresses = native.context_address(outbound), native.context_address(inbound)
        peer.set_keys(*addresses, (outbound, inbound))
        peer.add_address(*self.far.getsockname())
        peer.set_way(_native.WAY_UDP, *self.far.getsockname())
        return peer

    def told(self, count: int) -> list[tuple[object, ...]]:
        """So many things that came up, as soon as they are there."""
        found: list[tuple[object, ...]] = []
        while len(found) < count:
            assert select.select([self.engine.fileno()], [], [], WAIT_S)[0], self.engine.counters
            found += self.engine.take()
        return found

    def settle(self) -> None:
        """Until the engine has read all that was sent: it reads in order, and the last comes up."""
        self.far.sendto(LAST, self.address)
        while not any(one[2] == LAST for one in self.told(1)):
            pass

    def has_read(self, datagrams: int) -> None:
        """Until it has, where nothing comes up that would say so; each look waits for the engine's lock."""
        for _ in range(MOST_LOOKS):
            if self.engine.counters["received"] >= datagrams:
                return
        raise AssertionError(self.engine.counters)

    def close(self) -> None:
        self.engine.close()
        self.socket.close()
        self.far.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    one = Bench()
    yield one
    one.close()


def rtp(sequence: int, size: int = 100) -> bytes:
    return struct.pack("!BBHII", 0x80, 96, sequence & 0xFFFF, sequence, 7) + bytes(size)


def entries(of: str) -> int:
    return sum(1 for _ in Path("/proc/self", of).iterdir())


CHECK = b"\x00\x01\x00\x00" + bytes(16)
LAST = b"\x00\x01\x00\x00" + b"the last of them"


def test_what_is_not_media_comes_up_with_its_sender(bench: Bench) -> None:
    handle = object()
    peer = bench.peer(handle)
    protect = native.srtp(PROFILE, KEY, True)
    report = bytes.fromhex("80c8000600000007") + bytes(20)
    for datagram in (CHECK, b"\x16\xfe\xfd" + bytes(30), protect.rtcp(report), protect.rtp(rtp(1))):
        bench.far.sendto(datagram or b"", bench.address)
    told = bench.told(4)
    ip, port = bench.far.getsockname()
    assert [one[:5] for one in told] == [
        (_native.UP_STUN, handle, CHECK, ip, port),
        (_native.UP_DTLS, handle, b"\x16\xfe\xfd" + bytes(30), "", 0),
        (_native.UP_RTCP, handle, report, "", 0),
        (_native.UP_RTP, handle, rtp(1), "", 0),
    ]
    assert all(isinstance(one[5], float) and abs(one[5] - time.monotonic()) < WAIT_S for one in told)
    assert peer.heard > 0
    assert peer.counters[0] == 3  # checks are counted by nobody


def test_what_follows_a_strangers_check_waits_behind_it(bench: Bench) -> None:
    for datagram in (rtp(1), CHECK, rtp(2), b"\x16\xfe\xfd" + bytes(30)):
        bench.far.sendto(datagram, bench.address)
    told = bench.told(3)
    assert [(one[0], one[1]) for one in told] == [
        (_native.UP_STUN, None),
        (_native.UP_EARLY, None),
        (_native.UP_EARLY, None),
    ]
    assert bench.engine.counters["unknown"] == 1  # before the check


def test_strangers_fill_half_of_what_goes_up_and_known_peers_are_heard_still() -> None:
    bench = Bench(up_bytes=1 << 16)
    check = CHECK + bytes(1000)
    for number in range(400):
        bench.far.sendto(check, bench.address)
        bench.has_read(number + 1)
    peer = bench.peer()
    bench.far.sendto(b"\x16" + bytes(500), bench.address)
    bench.has_read(401)
    told = bench.engine.take()
    assert len([one for one in told if one[1] is None]) == (1 << 15) // (1020 + 4 + 168)
    assert told[-1][2] == b"\x16" + bytes(500)
    assert bench.engine.counters["up_dropped"] == 400 - len(told) + 1
    assert peer.counters[0] == 1
    bench.close()


@pytest.mark.parametrize("seed", range(3))
def test_garbage_harms_nobody(bench: Bench, seed: int) -> None:
    """Random and truncated datagrams, from a known peer and a stranger; a good packet still passes."""
    chance = random.Random(seed)
    peer = bench.peer()
    protect = native.srtp(PROFILE, KEY, True)
    stranger = udp()
    for number in range(1500):
        packet = protect.rtp(rtp(number, chance.randrange(1200))) or b""
        mangled = bytearray(packet[: chance.randrange(len(packet) + 1)])
        for _ in range(chance.randrange(4)):
            if mangled:
                mangled[chance.randrange(len(mangled))] = chance.randrange(256)
        noise = chance.randbytes(chance.randrange(2100))
        for sender in (bench.far, stranger):
            sender.sendto(chance.choice((mangled, noise)), bench.address)
        bench.settle()
    bench.far.sendto(protect.rtp(rtp(5000)) or b"", bench.address)
    while not any(one[2] == rtp(5000) for one in bench.told(1)):
        pass
    assert peer.counters[4] > 0  # refused
    stranger.close()


def test_a_peer_closed_while_its_words_wait_is_forgotten(bench: Bench) -> None:
    peer = bench.peer()
    bench.far.sendto(CHECK, bench.address)
    assert select.select([bench.engine.fileno()], [], [], WAIT_S)[0]
    peer.close()
    peer.close()
    assert bench.engine.take() == []
    with pytest.raises(RuntimeError, match="closed"):
        peer.rtp(rtp(1))
    again = bench.peer("again")  # takes the same number
    assert again.rtp(rtp(1)) is not None


def test_a_moved_address_belongs_to_its_newest_owner(bench: Bench) -> None:
    first, second = bench.peer("first"), bench.peer("second")
    first.remove_address(*bench.far.getsockname())  # no longer its own
    bench.far.sendto(CHECK, bench.address)
    assert bench.told(1)[0][1] == "second"
    second.close()
    bench.far.sendto(CHECK, bench.address)
    assert bench.told(1)[0][1] is None


def test_closing_under_load_ends_at_once(bench: Bench) -> None:
    peer = bench.peer()
    assert peer.counters[0] == 0
    for number in range(2000):
        bench.far.sendto(rtp(number), bench.address)
        if number == 1000:
            bench.engine.close()
    bench.engine.close()
    for call in (bench.engine.take, bench.engine.fileno, lambda: bench.engine.peer(1)):
        with pytest.raises(RuntimeError, match="closed"):
            call()


def test_there_are_no_more_peers_than_allowed() -> None:
    bench = Bench(peers=3)
    kept = [bench.engine.peer(number) for number in range(3)]
    with pytest.raises(OverflowError):
        bench.engine.peer(3)
    kept.pop().close()
    kept.append(bench.engine.peer(4))
    bench.close()


def test_ten_thousand_peers_leave_nothing_behind(bench: Bench) -> None:
    def cycle(count: int) -> None:
        for number in range(count):
            peer = bench.peer(number)
            peer.add_address("10.0.0.1", 1 + number % 60_000)
            peer.close()

    cycle(1000)
    gc.collect()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    descriptors = entries("fd")
    cycle(10_000)
    gc.collect()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 4096  # KiB
    assert entries("fd") == descriptors


def test_an_engine_that_is_dropped_goes_with_its_thread() -> None:
    threads = entries("task")
    gc.freeze()  # all that a whole run has loaded: fifty looks through it take seconds
    try:
        for _ in range(50):
            bench = Bench()
            sockets = bench.socket, bench.far
            peer = bench.peer()
            del bench, peer
            gc.collect()
            for one in sockets:
                one.close()
    finally:
        gc.unfreeze()
    assert entries("task") == threads


def test_a_forked_child_ends_without_the_thread(bench: Bench) -> None:
    peer = bench.peer()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            peer.rtp(rtp(1))
        except RuntimeError:
            peer.close()
            bench.engine.close()
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert peer.rtp(rtp(1)) is not None
    bench.far.sendto(CHECK, bench.address)
    assert bench.told(1)[0][1] == "peer"

"""Runs of one size to one receiver leave as one message that the kernel cuts, and arrive as if alone."""

from __future__ import annotations

import ctypes
import shutil
import socket
import struct
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.media.native.compiled import HERE, SOURCES

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")

UDP_GRO = 104  # linux/udp.h: the kernel hands over what came joined, and says the size of its parts
SO_NO_CHECK = 11  # asm/socket.h: without checksums the kernel refuses to cut (EIO)
ROOM = 70_000


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    built = tmp_path_factory.mktemp("batch") / "batch.so"
    command = ["cc", "-std=c11", "-shared", "-fPIC", f"-I{SOURCES}", str(HERE / "batch_sends.c")]
    subprocess.run([*command, "-o", str(built)], check=True)
    return ctypes.CDLL(str(built))


@dataclass
class Left:
    """What a flush did: system calls, datagrams, and whether runs are joined further on."""

    calls: int
    sent: int
    joins: bool


class Bench:
    """A socket and two places that datagrams go to."""

    def __init__(self) -> None:
        self.out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.places = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        for place in self.places:
            place.bind(("127.0.0.1", 0))
            place.setblocking(False)

    def join(self) -> None:
        """Receivers are told of runs."""
        for place in self.places:
            place.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)

    def send(self, library: ctypes.CDLL, packets: Sequence[tuple[int, int]], segments: bool = True) -> Left:
        """:param packets: (place, bytes) of each."""
        names = b"".join(
            struct.pack("=H", socket.AF_INET)
            + struct.pack("!H", place.getsockname()[1])
            + bytes((127, 0, 0, 1))
            + bytes(8)
            for place in self.places
        )
        calls, sent = ctypes.c_uint64(), ctypes.c_uint64()
        numbers = ctypes.c_int * len(packets)
        joins = library.batch_sends(
            self.out.fileno(),
            ctypes.c_bool(segments),
            names,
            len(self.places),
            numbers(*(place for place, _ in packets)),
            numbers(*(size for _, size in packets)),
            len(packets),
            ctypes.byref(calls),
            ctypes.byref(sent),
        )
        assert joins >= 0
        return Left(calls.value, sent.value, bool(joins))

    def came(self, place: int) -> list[tuple[bytes, int]]:
        """Messages at one place, with the size of the parts they came in (0: one part)."""
        found: list[tuple[bytes, int]] = []
        while True:
            try:
                data, about, _, _ = self.places[place].recvmsg(ROOM, socket.CMSG_SPACE(4))
            except BlockingIOError:
                return found
            sizes = [struct.unpack("=i", told[:4])[0] for _, kind, told in about if kind == UDP_GRO]
            found.append((data, sizes[0] if sizes else 0))

    def close(self) -> None:
        for one in (self.out, *self.places):
            one.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    one = Bench()
    yield one
    one.close()


def datagram(number: int, size: int) -> bytes:
    return bytes((number,)) * size


def test_a_run_of_one_size_leaves_as_one_message_and_a_shorter_one_ends_it(
    library: ctypes.CDLL, bench: Bench
) -> None:
    bench.join()
    sizes = [1200, 1200, 1200, 1200, 700, 700, 160]
    left = bench.send(library, [(0, size) for size in sizes])
    whole = [datagram(number, size) for number, size in enumerate(sizes)]
    assert bench.came(0) == [(b"".join(whole[:5]), 1200), (b"".join(whole[5:]), 700)]
    assert (left.calls, left.sent) == (1, len(sizes))


def test_a_larger_one_begins_another_message(library: ctypes.CDLL, bench: Bench) -> None:
    bench.join()
    bench.send(library, [(0, 160), (0, 1200), (0, 1200)])
    assert [(len(data), part) for data, part in bench.came(0)] == [(160, 0), (2400, 1200)]


def test_what_goes_to_several_is_joined_for_each(library: ctypes.CDLL, bench: Bench) -> None:
    """As the rule makes them: each packet to all receivers, then the next one."""
    bench.join()
    left = bench.send(library, [(number % 2, 1000) for number in range(10)])
    for place in (0, 1):
        expected = b"".join(datagram(number, 1000) for number in range(place, 10, 2))
        assert bench.came(place) == [(expected, 1000)]
    assert (left.calls, left.sent) == (1, 10)


def test_there_are_no_more_parts_than_the_kernel_takes(library: ctypes.CDLL, bench: Bench) -> None:
    bench.join()
    assert bench.send(library, [(0, 100)] * 150).sent == 150
    assert [len(data) // 100 for data, _ in bench.came(0)] == [64, 64, 22]


def test_where_the_kernel_will_not_cut_all_leave_apart_from_then_on(
    library: ctypes.CDLL, bench: Bench
) -> None:
    bench.join()
    bench.out.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)
    left = bench.send(library, [(0, 1200)] * 5)
    assert [(len(data), part) for data, part in bench.came(0)] == [(1200, 0)] * 5
    assert left.sent == 5
    assert not left.joins


@given(
    packets=st.lists(st.tuples(st.integers(0, 1), st.sampled_from((40, 160, 1199, 1200))), max_size=60),
    segments=st.booleans(),
)
def test_receivers_get_what_they_would_get_of_single_sends(
    library: ctypes.CDLL, packets: list[tuple[int, int]], segments: bool
) -> None:
    bench = Bench()
    try:
        left = bench.send(library, packets, segments)
        assert left.sent == len(packets)
        for place in (0, 1):
            expected = [datagram(number, size) for number, (to, size) in enumerate(packets) if to == place]
            assert [data for data, _ in bench.came(place)] == expected
    finally:
        bench.close()

"""Many datagrams in one system call: sendmmsg(2) and recvmmsg(2), by ctypes, so that nothing is compiled.

The kernel's structures lie in memory that is made once. What differs from call to call is written into it as
64-bit words through a `memoryview`, at half of what a ctypes field costs. That is right for Linux on 64-bit
little-endian machines, where glibc and musl agree; elsewhere there are no `calls`, and they go one by one.
"""

from __future__ import annotations

import ctypes
import socket
import sys
from collections.abc import Callable
from functools import cache
from struct import Struct
from typing import Final

from media.limits import MAX_DATAGRAM
from media.transport.srtp import MAX_TRAILER, Memory

STRIDE: Final = (MAX_DATAGRAM + MAX_TRAILER + 63) // 64 * 64
"""Bytes of a slot: a datagram and what SRTP adds to it."""
DONT_WAIT: Final = 0x40  # MSG_DONTWAIT, bits/socket.h
UDP_SEGMENT: Final = 103  # linux/udp.h

NAME, NAME_LENGTH, VECTORS, VECTOR_COUNT, CONTROL, CONTROL_LENGTH, _FLAGS, LENGTH = range(8)
"""struct mmsghdr as words; narrower fields are padded to one."""
MESSAGE_WORDS: Final = 8
MESSAGE_BYTES: Final = 64
VECTOR_WORDS: Final = 2  # struct iovec: address, length

_SOCKADDR_IN, _SOCKADDR_IN6 = Struct("=H2s4s8x"), Struct("=H2sI16sI")
NAME_BYTES: Final = {socket.AF_INET: _SOCKADDR_IN.size, socket.AF_INET6: _SOCKADDR_IN6.size}
"""By family."""

Call = Callable[[int, int, int], int]
"""(descriptor, address of the messages, how many) -> how many were done; below one: `ctypes.get_errno`."""


class Words:
    """Memory for structures of 64-bit words, zero at first.

    :ivar at: its address. :ivar view: the words. :ivar raw: the bytes.
    """

    __slots__ = ("_memory", "at", "raw", "view")

    def __init__(self, count: int) -> None:
        self._memory = (ctypes.c_uint64 * count)()
        self.at = ctypes.addressof(self._memory)
        self.raw = memoryview(self._memory).cast("B")
        self.view = self.raw.cast("Q")


class Slots:
    """Room for datagrams that SRTP works on in place.

    :ivar views: of each slot. :ivar pointers: the same for libsrtp. :ivar addresses: the same for the kernel.
    """

    __slots__ = ("_memory", "addresses", "pointers", "views")

    def __init__(self, count: int) -> None:
        self._memory = Memory(count * STRIDE)
        starts = range(0, count * STRIDE, STRIDE)
        self.views = [self._memory.view[at : at + STRIDE] for at in starts]
        self.pointers = [self._memory.pointer(at) for at in starts]
        self.addresses = [self._memory.address + at for at in starts]


class SocketAddress:
    """A UDP address as the kernel reads it. Raises OSError when the text is no address of the family."""

    __slots__ = ("_memory", "at", "text")

    def __init__(self, family: int, address: tuple[str, int]) -> None:
        ip, port = socket.inet_pton(family, address[0]), address[1].to_bytes(2, "big")
        if family == socket.AF_INET:
            packed = _SOCKADDR_IN.pack(family, port, ip)
        else:
            packed = _SOCKADDR_IN6.pack(family, port, 0, ip, 0)
        self._memory = ctypes.create_string_buffer(packed, len(packed))
        self.at = ctypes.addressof(self._memory)
        self.text = address


@cache
def calls() -> tuple[Call, Call] | None:
    """sendmmsg and recvmmsg, without waiting; None where they cannot be had."""
    if sys.platform != "linux" or sys.byteorder != "little" or ctypes.sizeof(ctypes.c_void_p) != 8:
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        send, receive = libc.sendmmsg, libc.recvmmsg
    except AttributeError:
        return None
    send.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int]
    receive.argtypes = [*send.argtypes, ctypes.c_void_p]

    def send_now(descriptor: int, messages: int, count: int) -> int:
        return int(send(descriptor, messages, count, DONT_WAIT))

    def receive_now(descriptor: int, messages: int, count: int) -> int:
        return int(receive(descriptor, messages, count, DONT_WAIT, None))

    return (send_now, receive_now) if _work(send_now, receive_now) else None


def _work(send: Call, receive: Call) -> bool:
    """Whether the kernel reads the structures as we do: two datagrams through a pair of sockets."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        sent, came = _messages([b"one", b"three"]), _messages([bytes(8), bytes(8)])
        if send(ours.fileno(), sent[0].at, 2) != 2 or receive(theirs.fileno(), came[0].at, 2) != 2:
            return False
        words = came[0].view
        lengths = [words[at + LENGTH] & 0xFFFFFFFF for at in (0, MESSAGE_WORDS)]
        return [came[2][i].raw[: lengths[i]] for i in range(2)] == [b"one", b"three"]


def _messages(contents: list[bytes]) -> tuple[Words, Words, list[ctypes.Array[ctypes.c_char]]]:
    messages, vectors = Words(MESSAGE_WORDS * len(contents)), Words(VECTOR_WORDS * len(contents))
    buffers = [ctypes.create_string_buffer(content, len(content)) for content in contents]
    for index, buffer in enumerate(buffers):
        vectors.view[VECTOR_WORDS * index] = ctypes.addressof(buffer)
        vectors.view[VECTOR_WORDS * index + 1] = len(buffer)
        messages.view[MESSAGE_WORDS * index + VECTORS] = vectors.at + 8 * VECTOR_WORDS * index
        messages.view[MESSAGE_WORDS * index + VECTOR_COUNT] = 1
    return messages, vectors, buffers

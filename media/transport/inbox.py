"""What has come to a socket, by one recvmmsg: each datagram in a slot of its own, where it is decrypted."""

from __future__ import annotations

import socket
from struct import Struct
from typing import Final

from media.limits import MAX_DATAGRAM, MAX_DATAGRAMS_PER_WAKE
from media.transport import mmsg
from media.transport.mmsg import LENGTH, MESSAGE_WORDS, NAME, NAME_LENGTH, VECTOR_COUNT, VECTOR_WORDS, VECTORS

_NAME_WORDS: Final = 4  # of a slot for an address: struct sockaddr_in6 has 28 bytes
_SOURCES: Final = {socket.AF_INET: Struct("!2xH4s"), socket.AF_INET6: Struct("!2xH4x16s")}


class Inbox:
    """The slots of one socket; made by `open`.

    :ivar views: of each slot. :ivar pointers: the same for libsrtp.
    """

    __slots__ = (
        "_descriptor",
        "_family",
        "_messages",
        "_names",
        "_receive",
        "_slots",
        "_source",
        "_vectors",
        "_words",
        "pointers",
        "views",
    )

    def __init__(self, udp: socket.socket, receive: mmsg.Call) -> None:
        self._descriptor = udp.fileno()
        self._family = udp.family
        self._receive = receive
        self._source = _SOURCES[udp.family]
        self._slots = mmsg.Slots(MAX_DATAGRAMS_PER_WAKE)
        self.views, self.pointers = self._slots.views, self._slots.pointers
        self._messages = mmsg.Words(MAX_DATAGRAMS_PER_WAKE * MESSAGE_WORDS)
        self._vectors = mmsg.Words(MAX_DATAGRAMS_PER_WAKE * VECTOR_WORDS)
        self._names = mmsg.Words(MAX_DATAGRAMS_PER_WAKE * _NAME_WORDS)
        self._words = self._messages.view
        for slot in range(MAX_DATAGRAMS_PER_WAKE):
            message, vector = slot * MESSAGE_WORDS, slot * VECTOR_WORDS
            self._words[message + NAME] = self._names.at + 8 * slot * _NAME_WORDS
            self._words[message + NAME_LENGTH] = mmsg.NAME_BYTES[udp.family]
            self._words[message + VECTORS] = self._vectors.at + 8 * vector
            self._words[message + VECTOR_COUNT] = 1
            self._vectors.view[vector] = self._slots.addresses[slot]
            self._vectors.view[vector + 1] = MAX_DATAGRAM

    @classmethod
    def open(cls, udp: socket.socket) -> Inbox | None:
        """None where the machine has no recvmmsg: the caller reads one by one."""
        calls = mmsg.calls()
        return cls(udp, calls[1]) if calls is not None else None

    def read(self) -> int:
        """How many datagrams came, 0 also for an ICMP error about an earlier one."""
        count = self._receive(self._descriptor, self._messages.at, MAX_DATAGRAMS_PER_WAKE)
        return count if count > 0 else 0

    def length(self, slot: int) -> int:
        """Bytes of a datagram; a longer one than `MAX_DATAGRAM` was cut."""
        return self._words[slot * MESSAGE_WORDS + LENGTH]

    def source(self, slot: int) -> tuple[str, int]:
        """Who sent it."""
        port, ip = self._source.unpack_from(self._names.raw, 8 * slot * _NAME_WORDS)
        return socket.inet_ntop(self._family, ip), port

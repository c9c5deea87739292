"""ICE over TCP, passive (RFC 6544): one listening port beside the UDP port, one connection for each path.

A connection says who it is by its first datagram, a check with credentials we gave. Until then it is a
stranger: it has `TCP_STRANGER_S`, there are at most `MAX_TCP_STRANGERS`, and the oldest goes for a newer one.
A connection that carries anything we cannot read or place is closed; nobody else notices.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass

from media.clock import Clock
from media.limits import (
    MAX_TCP_ACCEPTS_PER_WAKE,
    MAX_TCP_CONNECTIONS,
    MAX_TCP_STRANGERS,
    TCP_IDLE_S,
    TCP_STRANGER_S,
)
from media.transport.framed_stream import FramedStream
from media.transport.stun import TcpAddress

logger = logging.getLogger(__name__)

_ACCEPT_AGAIN_S = 1.0
"""How long we do not accept after the kernel had no descriptor for us."""


@dataclass(slots=True)
class TcpCounters:
    """What the port did."""

    accepted: int = 0
    refused: int = 0
    """Connections closed by us for what they sent, or for sending nothing."""
    dropped: int = 0
    """Datagrams left out because a connection's buffer was full."""


@dataclass(slots=True)
class _Connection:
    stream: FramedStream
    heard_at: float
    proved: bool = False


Received = Callable[[bytes, TcpAddress, float], bool]


class TcpListener:
    """Owner of the listening socket and its connections.

    :param received: takes a datagram, where it came from, and now; False when it is of no use: the connection
        is then closed.
    :param lost: told when a connection that was `prove`\\ d has ended by itself.
    """

    def __init__(
        self, listening: socket.socket, clock: Clock, received: Received, lost: Callable[[TcpAddress], None]
    ) -> None:
        self.counters = TcpCounters()
        self.port: int = listening.getsockname()[1]
        self._listening = listening
        self._clock = clock
        self._received = received
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._connections: dict[TcpAddress, _Connection] = {}
        self._strangers: dict[TcpAddress, None] = {}
        self._number = 0
        self._again: asyncio.TimerHandle | None = None
        self._closed = False
        self._loop.add_reader(listening, self._acceptable)

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._connections)

    def send(self, datagram: bytes | memoryview, address: TcpAddress) -> bool:
        """Send on the connection of ``address``; False when it is gone or its buffer is full."""
        connection = self._connections.get(address)
        if connection is None:
            return False
        sent = connection.stream.send(datagram)
        if not sent:
            self.counters.dropped += 1
        return sent

    def prove(self, address: TcpAddress) -> None:
        """The connection belongs to a transport."""
        connection = self._connections.get(address)
        if connection is not None:
            connection.proved = True
            self._strangers.pop(address, None)

    def release(self, address: TcpAddress) -> None:
        """Its transport is gone or has left it: close it when what waits is sent. Tells nobody."""
        connection = self._connections.get(address)
        if connection is not None:
            connection.proved = False
            connection.stream.close_when_sent()
            if not connection.stream.open:
                self._forget(address)

    def sweep(self, now: float) -> None:
        """Close strangers and connections that have been silent for too long. Called about once a second."""
        for address, connection in list(self._connections.items()):
            allowed = TCP_IDLE_S if connection.proved else TCP_STRANGER_S
            if not connection.stream.open or now - connection.heard_at >= allowed:
                self._refuse(address)

    def close(self) -> None:
        """Close the port and every connection; idempotent."""
        if self._closed:
            return
        self._closed = True
        if self._again is not None:
            self._again.cancel()
        self._loop.remove_reader(self._listening)
        self._listening.close()
        for connection in self._connections.values():
            connection.stream.close()
        self._connections.clear()
        self._strangers.clear()

    # accepting

    def _acceptable(self) -> None:
        now = self._clock.monotonic()
        for _ in range(MAX_TCP_ACCEPTS_PER_WAKE):
            try:
                stream, source = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionError):
                return
            except OSError as error:
                self._rest(error)
                return
            self._add(stream, source, now)

    def _rest(self, error: OSError) -> None:
        """The kernel has no descriptor left: asking again at once would only burn time."""
        logger.warning("TCP connections cannot be accepted: %s", error.strerror)
        self._loop.remove_reader(self._listening)
        self._again = self._loop.call_later(_ACCEPT_AGAIN_S, self._accept_again)

    def _accept_again(self) -> None:
        self._again = None
        self._loop.add_reader(self._listening, self._acceptable)

    def _add(self, stream: socket.socket, source: tuple[str, int], now: float) -> None:
        self.counters.accepted += 1
        if len(self._strangers) >= MAX_TCP_STRANGERS:
            self._refuse(next(iter(self._strangers)))
        if len(self._connections) >= MAX_TCP_CONNECTIONS:
            self.counters.refused += 1
            stream.close()
            return
        self._number += 1
        address: TcpAddress = (source[0], source[1], self._number)
        framed = FramedStream(
            stream, self._loop, lambda datagram: self._take(datagram, address), lambda: self._ended(address)
        )
        self._connections[address] = _Connection(framed, now)
        self._strangers[address] = None

    # receiving

    def _take(self, datagram: bytes, address: TcpAddress) -> None:
        connection = self._connections.get(address)
        if connection is None:
            return
        now = self._clock.monotonic()
        connection.heard_at = now
        if not self._received(datagram, address, now):
            self._refuse(address)

    def _ended(self, address: TcpAddress) -> None:
        connection = self._forget(address)
        if connection is not None and connection.proved:
            self._lost(address)

    def _refuse(self, address: TcpAddress) -> None:
        self.counters.refused += 1
        connection = self._connections.get(address)
        if connection is not None:
            connection.stream.close()
            self._ended(address)

    def _forget(self, address: TcpAddress) -> _Connection | None:
        self._strangers.pop(address, None)
        return self._connections.pop(address, None)

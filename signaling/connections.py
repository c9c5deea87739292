"""The way out to one socket: never waits, bounded, and keeps acknowledgements before events."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from signaling.limits import HELD_EVENTS_MAX, OUTGOING_QUEUE_MAX

logger = logging.getLogger(__name__)


class EngineSocket(Protocol):
    """What is used of ``engineio.AsyncSocket``."""

    queue: asyncio.Queue[Any]
    closing: bool


class Connection:
    """One socket on one namespace. Implements `signaling.room.Channel`.

    :param socket: the library's socket; its queue holds the packets that wait to be sent.
    :param encode: an event and its payload to such a packet.
    :param disconnect: closes after what is queued was sent.
    :param abort: drops the TCP connection at once.
    """

    def __init__(
        self,
        socket: EngineSocket,
        encode: Callable[[str, dict[str, Any]], Any],
        disconnect: Callable[[], None],
        abort: Callable[[], None],
    ) -> None:
        self.user_id = ""
        self._socket = socket
        self._encode = encode
        self._disconnect = disconnect
        self._abort = abort
        self._held: deque[Any] = deque()
        self._handling = 0
        self._closing = False
        self._gone = False

    def send(self, event: str, payload: dict[str, Any]) -> None:
        """Queue an event; a socket that does not empty its queue is dropped."""
        if self._gone or self._closing:
            return
        packet = self._encode(event, payload)
        if self._handling:
            self._held.append(packet)
            if len(self._held) > HELD_EVENTS_MAX:
                self.abort()
            return
        self._put(packet)

    def hold(self) -> None:
        """A request is being handled: events wait until its acknowledgement is queued."""
        self._handling += 1

    def release(self) -> None:
        """It is queued: let the events go."""
        self._handling -= 1
        if self._handling:
            return
        while self._held and not self._gone:
            self._put(self._held.popleft())
        if self._closing and not self._gone:
            self._disconnect()

    def close(self) -> None:
        """Send what is queued, then close. Idempotent."""
        if self._closing or self._gone:
            return
        self._closing = True
        if not self._handling:
            self._disconnect()

    def abort(self) -> None:
        """Drop the socket now; what waits for it is lost. Idempotent."""
        if not self._gone:
            self.forget()
            self._abort()

    def forget(self) -> None:
        """The socket is gone. Idempotent."""
        self._gone = True
        self._held.clear()
        if self._socket.closing:
            # Wakes a writer or a long poll, which would wait for one more packet.
            self._socket.queue.put_nowait(None)

    def _put(self, packet: Any) -> None:
        if self._socket.queue.qsize() >= OUTGOING_QUEUE_MAX:
            logger.warning("a socket that does not read was dropped")
            self.abort()
            return
        self._socket.queue.put_nowait(packet)

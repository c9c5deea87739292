"""One TCP connection that carries datagrams (RFC 4571): non-blocking, and bounded in both directions.

Drop rule of sending: what has been begun is finished, and a packet that finds the buffer full is left out
whole. Media may fill `TCP_SEND_BUFFER_BYTES`; STUN and DTLS may fill as much again, so that a line full of
pictures keeps its consent. A line that is too slow shows as loss, as on UDP, not as delay.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from media.errors import RemoteProtocolError
from media.limits import TCP_LINGER_S, TCP_NOTSENT_BYTES, TCP_READ_BYTES, TCP_SEND_BUFFER_BYTES
from media.transport.framing import Deframer, frame_header

_FIRST_MEDIA_BYTE = 128
"""RFC 7983 section 7: RTP and RTCP begin with 128 to 191; STUN and DTLS below."""

FrameReceived = Callable[[bytes], None]


class FramedStream:
    """Owner of a connected, or connecting, socket.

    :param received: takes each datagram; it may close this stream.
    :param closed: told once, when the stream ends for whatever reason but `close`.
    """

    def __init__(
        self,
        stream: socket.socket,
        loop: asyncio.AbstractEventLoop,
        received: FrameReceived,
        closed: Callable[[], None],
        connecting: bool = False,
    ) -> None:
        stream.setblocking(False)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # The kernel's own buffer would hold seconds of media that nobody can take back.
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, TCP_NOTSENT_BYTES)
        self.dropped = 0
        """Datagrams left out because the buffer was full."""
        self._stream: socket.socket | None = stream
        self._loop = loop
        self._received = received
        self._closed = closed
        self._deframer = Deframer()
        self._waiting = bytearray()
        self._writing = False
        self._ending = False
        self._last_word: asyncio.TimerHandle | None = None
        loop.add_reader(stream, self._readable)
        if connecting:
            self._wait_to_write()

    @property
    def open(self) -> bool:
        """Whether it can still carry something."""
        return self._stream is not None

    @property
    def waiting_bytes(self) -> int:
        """What the line has not taken yet."""
        return len(self._waiting)

    def send(self, datagram: bytes | memoryview) -> bool:
        """Send or queue one datagram whole; False when it was dropped."""
        stream = self._stream
        if stream is None or self._ending:
            return False
        header = frame_header(len(datagram))
        if self._writing:
            return self._queue(header, datagram)
        try:
            sent = stream.sendmsg([header, datagram])
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self._lost()
            return False
        if sent < len(header) + len(datagram):
            self._waiting += (header + datagram)[sent:]
            self._wait_to_write()
        return True

    def close_when_sent(self) -> None:
        """Take nothing more, and close when the line has taken what waits, or will not."""
        self._ending = True
        if not self._waiting:
            self.close()
        elif self._last_word is None:
            self._last_word = self._loop.call_later(TCP_LINGER_S, self.close)

    def close(self) -> None:
        """Close at once; idempotent."""
        stream, self._stream = self._stream, None
        if stream is None:
            return
        self._loop.remove_reader(stream)
        if self._writing:
            self._loop.remove_writer(stream)
        if self._last_word is not None:
            self._last_word.cancel()
        stream.close()
        self._waiting.clear()

    def _queue(self, header: bytes, datagram: bytes | memoryview) -> bool:
        bound = TCP_SEND_BUFFER_BYTES if datagram[0] >= _FIRST_MEDIA_BYTE else 2 * TCP_SEND_BUFFER_BYTES
        if len(self._waiting) + len(header) + len(datagram) > bound:
            self.dropped += 1
            return False
        self._waiting += header
        self._waiting += datagram
        return True

    def _wait_to_write(self) -> None:
        if self._stream is not None and not self._writing:
            self._writing = True
            self._loop.add_writer(self._stream, self._writable)

    def _writable(self) -> None:
        stream = self._stream
        if stream is None:
            return
        try:
            sent = stream.send(self._waiting)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._lost()
            return
        del self._waiting[:sent]
        if self._waiting:
            return
        self._loop.remove_writer(stream)
        self._writing = False
        if self._ending:
            self.close()

    def _readable(self) -> None:
        stream = self._stream
        if stream is None:
            return
        try:
            data = stream.recv(TCP_READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        try:
            datagrams = self._deframer.feed(data)
        except RemoteProtocolError:
            data, datagrams = b"", []
        for datagram in datagrams:
            if self._stream is None:
                return
            self._received(datagram)
        if not data:
            self._lost()

    def _lost(self) -> None:
        if self._stream is not None:
            self.close()
            self._closed()

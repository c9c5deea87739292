"""RFC 4571 framing: whole datagrams on a stream, each behind its length in two bytes. No I/O."""

from __future__ import annotations

from media.errors import RemoteProtocolError
from media.limits import MAX_DATAGRAM
from media.transport.errors import FRAME_TOO_LONG

HEADER_LENGTH = 2


def frame_header(length: int) -> bytes:
    """What stands before a datagram of ``length`` bytes."""
    return length.to_bytes(HEADER_LENGTH, "big")


class Deframer:
    """Cuts one stream into datagrams; holds at most one that is not whole yet."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes | memoryview) -> list[bytes]:
        """The datagrams that ``data`` made whole, in order; empty ones (RFC 4571 section 2) are passed over.

        :raises RemoteProtocolError: frame_too_long; the stream cannot be read on.
        """
        stream = self._rest + bytes(data)
        datagrams = []
        position = 0
        while len(stream) - position >= HEADER_LENGTH:
            length = int.from_bytes(stream[position : position + HEADER_LENGTH], "big")
            if length > MAX_DATAGRAM:
                self._rest = b""
                raise RemoteProtocolError(FRAME_TOO_LONG)
            end = position + HEADER_LENGTH + length
            if end > len(stream):
                break
            if length:
                datagrams.append(stream[position + HEADER_LENGTH : end])
            position = end
        self._rest = stream[position:]
        return datagrams

"""Data streams over SCTP over DTLS (RFC 8831, RFC 8841) by aiortc, started when first needed.

aiortc's association speaks to a DTLS transport of its own kind; `_DtlsPort` is as much of one as it uses. Its
coroutines only wait for that transport, which never waits, so they are run to their end in place: data is
handled in the order it came and no task outlives a close.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable, Coroutine
from typing import Any, cast

from aiortc.rtcdatachannel import RTCDataChannel, RTCDataChannelParameters
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcsctptransport import RTCSctpCapabilities, RTCSctpTransport

from media.errors import LIMIT_REACHED, RemoteProtocolError
from media.limits import (
    MAX_DATA_BUFFERED,
    MAX_DATA_DISORDER,
    MAX_DATA_MESSAGE,
    MAX_DATA_STREAMS,
    MAX_DATA_WINDOW_OVERRUN,
)
from media.transport.errors import DATA_STREAM_INVALID

logger = logging.getLogger(__name__)

SCTP_PORT = 5000

# What aiortc's parsing raises on bytes that no honest peer sends; all of it is the peer's fault.
_PEER_FAULTS = (ValueError, LookupError, TypeError, AttributeError, AssertionError, struct.error)


def sctp_parameters() -> dict[str, int]:
    """What a client is told of our SCTP (mediasoup's ``sctpParameters``; sizes in bytes)."""
    return {
        "port": SCTP_PORT,
        "OS": 1024,
        "MIS": 1024,
        "maxMessageSize": MAX_DATA_MESSAGE,
        "maxSendMessageSize": MAX_DATA_MESSAGE,
        "maxReceiveMessageSize": MAX_DATA_MESSAGE,
    }


class _DtlsPort:
    """The part of aiortc's RTCDtlsTransport that its SCTP uses."""

    def __init__(self, role: str, send: Callable[[bytes], None]) -> None:
        self.state = "connected"
        self._role = role
        self._send = send

    async def _send_data(self, data: bytes) -> None:
        self._send(data)

    def _register_data_receiver(self, receiver: object) -> None:
        """Datagrams are handed to the association by `DataEndpoint.receive`."""

    def _unregister_data_receiver(self, receiver: object) -> None:
        """As above."""


class DataEndpoint:
    """All data streams of one transport. Streams are agreed on beforehand by signaling, without DCEP.

    :param send: takes one SCTP packet to be sent over DTLS.
    :param received: takes stream id and message.
    """

    def __init__(self, send: Callable[[bytes], None], received: Callable[[int, str | bytes], None]) -> None:
        self._send = send
        self._received = received
        self._wanted: dict[int, RTCDataChannelParameters] = {}
        self._channels: dict[int, RTCDataChannel] = {}
        self._sctp: RTCSctpTransport | None = None
        self._role: str | None = None
        self.dropped = 0
        """Messages not sent because the buffer was full, the stream unknown, or the message too long."""
        self.malformed = 0
        """SCTP packets of the peer that could not be used."""
        self._given_up = False

    def open(self, stream_id: int, **options: Any) -> None:
        """Agree on a stream; sent and received on it as soon as both ends are there.

        :raises RemoteProtocolError: data_stream_invalid (id outside 0..65534, or used), limit_reached.
        """
        if not 0 <= stream_id <= 65_534 or stream_id in self._wanted:
            raise RemoteProtocolError(DATA_STREAM_INVALID, f"stream id {stream_id}")
        if len(self._wanted) >= MAX_DATA_STREAMS:
            raise RemoteProtocolError(LIMIT_REACHED, "data streams")
        self._wanted[stream_id] = RTCDataChannelParameters(id=stream_id, negotiated=True, **options)
        if self._role is not None:
            self._start()

    def close_stream(self, stream_id: int) -> None:
        """Give a stream up (RFC 8831 section 6.7); one that is not there is no error."""
        self._wanted.pop(stream_id, None)
        channel = self._channels.pop(stream_id, None)
        if channel is not None:
            channel.remove_all_listeners()
            channel.close()

    def connected(self, dtls_role: str) -> None:
        """DTLS is up; SCTP follows if a stream waits for it."""
        self._role = dtls_role
        if self._wanted:
            self._start()

    def receive(self, packet: bytes) -> None:
        """One SCTP packet from the peer. It may come before any stream of ours is open."""
        if self._role is None or self._given_up:
            return
        self._start()
        sctp = cast(RTCSctpTransport, self._sctp)
        try:
            _run(sctp._handle_data(packet))
        except _PEER_FAULTS as error:
            self.malformed += 1
            if self.malformed == 1:  # one line a transport, however many the peer sends
                logger.info("SCTP packet not usable: %s", type(error).__name__)
        if not _within_bounds(sctp):
            self._given_up = True
            logger.warning("SCTP given up: the peer ignores its window")
            _run(sctp.stop())

    def send(self, stream_id: int, payload: str | bytes) -> bool:
        """Queue a message; False (and counted) when it was dropped."""
        channel = self._channels.get(stream_id)
        size = len(payload.encode()) if isinstance(payload, str) else len(payload)
        buffered = sum(other.bufferedAmount for other in self._channels.values())
        if (
            channel is None
            or channel.readyState not in ("open", "connecting")
            or size > MAX_DATA_MESSAGE
            or buffered + size > MAX_DATA_BUFFERED
        ):
            self.dropped += 1
            return False
        # Not channel.send: it refuses while the association is being set up, though the queue waits for it.
        channel.transport._data_channel_send(channel, payload)
        return True

    def close(self) -> None:
        """Abort the association and cancel its timers; waits for nobody."""
        if self._sctp is not None:
            _run(self._sctp.stop())
            self._sctp = None
        self._role = None
        self._channels.clear()
        self._wanted.clear()

    def _start(self) -> None:
        """Have an association that lives, and on it every stream that was agreed on."""
        alive = self._sctp is not None and self._sctp.state != "closed"
        if alive and len(self._channels) == len(self._wanted):
            return
        if self._sctp is None or self._sctp.state == "closed":
            port = cast(RTCDtlsTransport, _DtlsPort(self._role or "server", self._send))
            self._sctp = RTCSctpTransport(port, SCTP_PORT)
            self._channels.clear()
        for stream_id, parameters in self._wanted.items():
            if stream_id not in self._channels:
                self._add_channel(self._sctp, stream_id, parameters)
        if self._sctp.state == "new":
            _run(self._sctp.start(RTCSctpCapabilities(maxMessageSize=MAX_DATA_MESSAGE), SCTP_PORT))

    def _add_channel(
        self, sctp: RTCSctpTransport, stream_id: int, parameters: RTCDataChannelParameters
    ) -> None:
        if stream_id in sctp._data_channels:
            # The peer announced the stream itself (DCEP) although it was to be agreed on by signaling.
            sctp._data_channels.pop(stream_id).remove_all_listeners()
        channel = RTCDataChannel(sctp, parameters)
        channel.on("message", lambda payload: self._received(stream_id, payload))
        self._channels[stream_id] = channel


def _within_bounds(sctp: RTCSctpTransport) -> bool:
    """aiortc announces a window but does not enforce it; what a peer can grow is measured here."""
    return (
        sctp._advertised_rwnd >= -MAX_DATA_WINDOW_OVERRUN
        and len(sctp._sack_misordered) + len(sctp._sack_duplicates) <= MAX_DATA_DISORDER
        and len(sctp._inbound_streams) <= 2 * MAX_DATA_STREAMS
        and len(sctp._data_channels) <= 2 * MAX_DATA_STREAMS
    )


def _run(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that waits for nothing to its end."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    coroutine.close()
    raise RuntimeError("aiortc waited inside an SCTP step")

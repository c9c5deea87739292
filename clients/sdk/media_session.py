"""The two media transports of a room session and the tracks on them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from clients.sdk.media_sink import MediaSink
from clients.sdk.track_sender import TrackSender
from media.clock import Clock
from media.errors import RemoteProtocolError
from media.rtp.arrivals import Arrivals
from media.rtp.packet import RtpPacket
from media.rtp.rtcp import RtcpPacket, SenderReport, pack, pack_compound, parse_compound
from media.transport import (
    ClientTransport,
    DtlsCertificate,
    DtlsParameters,
    IceCandidate,
    IceParameters,
)

FEEDBACK_INTERVAL_S = 0.2
"""Between rounds of reports and requests for lost packets."""
ARRIVALS_INTERVAL_S = 0.1
"""Between two lists of what arrived when, from which the server estimates our line."""
_RECEIVER_SSRC = 1


class SendMedia:
    """The sending transport: hands feedback to its tracks. (Handlers of a `ClientTransport`.)"""

    def __init__(self, json: Mapping[str, Any], clock: Clock, certificate: DtlsCertificate) -> None:
        self.id = str(json["id"])
        self.json = json
        self.transport = ClientTransport(clock, self, certificate=certificate)
        self.tracks: dict[str, TrackSender] = {}
        """By producer id."""

    def rtp_received(self, packet: bytearray, now: float) -> None:
        """A server sends no media on this transport."""

    def rtcp_received(self, packet: bytes, now: float) -> None:
        """Feedback of the router to every track; each takes what is about it."""
        for item in _parse(packet):
            for track in self.tracks.values():
                track.rtcp_received(item)

    def state_changed(self, state: str) -> None:
        """Told by the transport's own log and ``state``."""

    def data_received(self, stream_id: int, payload: str | bytes) -> None:
        """A server sends no data on this transport."""

    async def close(self) -> None:
        """Stop the tracks, then close; idempotent."""
        await asyncio.gather(*(track.stop() for track in self.tracks.values()))
        await self.transport.close()


class ReceiveMedia:
    """The receiving transport: hands packets to its sinks and sends their feedback.

    :param data: takes stream id and message of data streams.
    """

    def __init__(
        self,
        json: Mapping[str, Any],
        clock: Clock,
        certificate: DtlsCertificate,
        data: Callable[[int, str | bytes], None],
    ) -> None:
        self.id = str(json["id"])
        self.json = json
        self.transport = ClientTransport(clock, self, certificate=certificate)
        self.unknown_packets = 0
        """Packets of no sink, as of a consumer that was closed a moment ago."""
        self._clock = clock
        self._data = data
        self._by_ssrc: dict[int, MediaSink] = {}
        self._arrivals = Arrivals()
        self._feedback = asyncio.create_task(self._send_feedback(), name="media feedback")

    def add(self, sink: MediaSink) -> None:
        """Receive this track from now on."""
        self._by_ssrc[sink.ssrc] = sink
        if sink.rtx_ssrc is not None:
            self._by_ssrc[sink.rtx_ssrc] = sink

    def remove(self, sink: MediaSink) -> None:
        """The track is over."""
        self._by_ssrc.pop(sink.ssrc, None)
        if sink.rtx_ssrc is not None:
            self._by_ssrc.pop(sink.rtx_ssrc, None)

    def rtp_received(self, packet: bytearray, now: float) -> None:
        try:
            parsed = RtpPacket.parse(packet)
        except RemoteProtocolError:
            self.unknown_packets += 1
            return
        sink = self._by_ssrc.get(parsed.ssrc)
        if sink is None:
            self.unknown_packets += 1
            return
        if sink.number_id:
            self._note_arrival(parsed, sink.number_id, now)
        before = sink.missing
        sink.rtp_received(parsed, now)
        if sink.missing > before:
            self._tell(sink, now)

    def _note_arrival(self, packet: RtpPacket, number_id: int, now: float) -> None:
        for identifier, value in packet.extensions:
            if identifier == number_id and len(value) == 2:
                self._arrivals.add(int.from_bytes(value, "big"), now)

    def rtcp_received(self, packet: bytes, now: float) -> None:
        for item in _parse(packet):
            if isinstance(item, SenderReport) and item.ssrc in self._by_ssrc:
                self._by_ssrc[item.ssrc].sender_report(item, now)

    def state_changed(self, state: str) -> None:
        """Told by the transport's own log and ``state``."""

    def data_received(self, stream_id: int, payload: str | bytes) -> None:
        self._data(stream_id, payload)

    async def close(self) -> None:
        """Stop the feedback, then close; idempotent."""
        self._feedback.cancel()
        await asyncio.gather(self._feedback, return_exceptions=True)
        await self.transport.close()

    async def _send_feedback(self) -> None:
        due = 0.0
        while True:
            await asyncio.sleep(ARRIVALS_INTERVAL_S)
            now = self._clock.monotonic()
            for told in self._arrivals.take(_RECEIVER_SSRC, next(iter(self._by_ssrc), 0), now):
                self.transport.send_rtcp(pack(told))
            if now < due:
                continue
            due = now + FEEDBACK_INTERVAL_S - ARRIVALS_INTERVAL_S / 2
            for sink in set(self._by_ssrc.values()):
                self._tell(sink, now)

    def _tell(self, sink: MediaSink, now: float) -> None:
        packets = sink.feedback(now)
        if packets:
            self.transport.send_rtcp(pack_compound(packets))


async def connect(media: SendMedia | ReceiveMedia) -> None:
    """Connect a session's transport to the server's end of it.

    :raises RemoteProtocolError: when the server cannot be reached, or is not who it says.
    """
    await media.transport.connect(
        IceParameters.from_json(media.json["iceParameters"]),
        [IceCandidate.from_json(candidate) for candidate in media.json["iceCandidates"]],
        DtlsParameters.from_json(media.json["dtlsParameters"]),
    )


def _parse(packet: bytes) -> list[RtcpPacket]:
    try:
        return parse_compound(packet)
    except RemoteProtocolError:
        return []

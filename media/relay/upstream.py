"""What a publisher is told of its uplink, so that it can choose its bit rate.

Transport-wide feedback where it was agreed on: without it a sender that offered it falls to 84 kbit/s. The
numbers of every packet count, retransmissions and probes too. Who agreed on REMB alone is told a cap, by
`media.relay.remb`. No I/O.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, inf
from typing import Protocol

from media.limits import TRANSPORT_FEEDBACK_PACKETS, TRANSPORT_FEEDBACK_S
from media.ortc import RtpParameters
from media.ortc.capabilities import ABS_SEND_TIME, TRANSPORT_CC
from media.relay.remb import ReceiveEstimate
from media.rtp import rtcp
from media.rtp.arrivals import Arrivals
from media.rtp.packet import RtpHeader, find_extension
from media.rtp.rtcp import Remb
from media.rtp.twcc import TransportFeedback


class Upstream(Protocol):
    """One transport's feedback to its publisher."""

    @property
    def due(self) -> float:
        """When `take` wants to be called; inf while nothing came.

        All transports' times lie on one grid, so that they share their wake-ups.
        """

    def learn(self, parameters: RtpParameters) -> None:
        """A producer was made; all tracks of a transport number their packets under one id (RFC 8843 9.2)."""

    def take(self, now: float) -> Sequence[bytes]:
        """The RTCP packets that are due; none where the plane sends them by itself."""


def agreed(parameters: RtpParameters, before: tuple[int, bool]) -> tuple[int, bool]:
    """Id of the extension to read in each packet, 0 for none; whether it is abs-send-time (for REMB).

    :param before: what an earlier track of the transport agreed on.
    """
    types = {feedback.type for feedback in parameters.media_codec.feedback}
    ids = {extension.uri: extension.id for extension in parameters.header_extensions}
    if "transport-cc" in types and TRANSPORT_CC in ids:
        return ids[TRANSPORT_CC], False
    if "goog-remb" in types and ABS_SEND_TIME in ids and not before[0]:
        return ids[ABS_SEND_TIME], True
    return before


class PlainUpstream:
    """The plain plane's: `received` for every packet, `take` when `due`."""

    __slots__ = ("_arrivals", "_last_ssrc", "_local_ssrc", "_remb", "due", "extension_id")

    def __init__(self, local_ssrc: int) -> None:
        self._local_ssrc = local_ssrc
        self._arrivals = Arrivals()
        self._remb: ReceiveEstimate | None = None
        self._last_ssrc = 0
        self.extension_id = 0  # of what is read in each packet; 0 = nothing was agreed on
        self.due = inf

    def learn(self, parameters: RtpParameters) -> None:
        before = self.extension_id, self._remb is not None
        self.extension_id, stamps = agreed(parameters, before)
        if stamps != before[1]:
            self._remb = ReceiveEstimate() if stamps else None

    def received(self, packet: bytearray, header: RtpHeader, now: float) -> bool:
        """Note one packet's arrival; True when `due` became earlier.

        :raises RemoteProtocolError: ``malformed_rtp``.
        """
        remb = self._remb
        at = find_extension(packet, header, self.extension_id, 2 if remb is None else 3)
        if at < 0:
            return False
        arrivals = self._arrivals
        if remb is None:
            arrivals.add(packet[at] << 8 | packet[at + 1], now)
        else:
            remb.add(int.from_bytes(packet[at : at + 3], "big"), len(packet), header.ssrc, now)
        self._last_ssrc = header.ssrc
        if self.due == inf:
            self.due = (floor(now / TRANSPORT_FEEDBACK_S) + 1) * TRANSPORT_FEEDBACK_S
            return True
        if arrivals.pending == TRANSPORT_FEEDBACK_PACKETS:
            self.due = now
            return True
        return False

    def take(self, now: float) -> Sequence[bytes]:
        if now < self.due:
            return ()
        self.due = inf
        told: Sequence[TransportFeedback | Remb]
        if self._remb is not None:
            told = self._remb.take(self._local_ssrc, now)
        else:
            told = self._arrivals.take(self._local_ssrc, self._last_ssrc, now)
        return [rtcp.pack(packet) for packet in told]

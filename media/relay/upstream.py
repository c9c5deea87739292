"""What a publisher is told of its uplink, so that it can choose its bit rate.

Transport-wide feedback where it was agreed on: without it a sender that offered it falls to 84 kbit/s. The
numbers of every packet count, retransmissions and probes too. No I/O.
"""

from __future__ import annotations

from math import floor, inf

from media.limits import TRANSPORT_FEEDBACK_PACKETS, TRANSPORT_FEEDBACK_S
from media.ortc import RtpParameters
from media.ortc.capabilities import TRANSPORT_CC
from media.rtp.arrivals import Arrivals
from media.rtp.packet import RtpHeader, find_extension
from media.rtp.twcc import TransportFeedback


class UpstreamFeedback:
    """One transport's feedback to its publisher. `received` for every packet, `take` when `due`.

    Costs nothing while nothing comes: `due` is set by the first packet after a feedback. The times lie on one
    grid for all transports, so that they share their wake-ups.
    """

    __slots__ = ("_arrivals", "_last_ssrc", "due", "extension_id", "sent")

    def __init__(self) -> None:
        self._arrivals = Arrivals()
        self._last_ssrc = 0
        self.extension_id = 0  # 0 = the publisher numbers no packets
        self.due = inf
        self.sent = 0

    def learn(self, parameters: RtpParameters) -> None:
        """A producer was made; all tracks of a transport number their packets under one id (RFC 8843 9.2)."""
        agreed = any(f.type == "transport-cc" for f in parameters.media_codec.feedback)
        for extension in parameters.header_extensions:
            if agreed and extension.uri == TRANSPORT_CC:
                self.extension_id = extension.id

    def received(self, packet: bytearray, header: RtpHeader, now: float) -> bool:
        """Note one packet's arrival; True when `due` became earlier.

        :raises RemoteProtocolError: ``malformed_rtp``.
        """
        at = find_extension(packet, header, self.extension_id, 2)
        if at < 0:
            return False
        arrivals = self._arrivals
        arrivals.add(packet[at] << 8 | packet[at + 1], now)
        self._last_ssrc = header.ssrc
        if self.due == inf:
            self.due = (floor(now / TRANSPORT_FEEDBACK_S) + 1) * TRANSPORT_FEEDBACK_S
            return True
        if arrivals.pending == TRANSPORT_FEEDBACK_PACKETS:
            self.due = now
            return True
        return False

    def take(self, local_ssrc: int, now: float) -> list[TransportFeedback]:
        """The feedback that is due."""
        if now < self.due:
            return []
        self.due = inf
        told = self._arrivals.take(local_ssrc, self._last_ssrc, now)
        self.sent += len(told)
        return told

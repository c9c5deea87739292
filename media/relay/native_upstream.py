"""What a publisher is told of its uplink, from arrivals that the compiled plane noted."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING

from media.limits import TWCC_LATE_S
from media.ortc import RtpParameters
from media.relay.remb import ReceiveEstimate
from media.relay.upstream import agreed
from media.rtp.arrivals import FeedbackWriter
from media.rtp.rtcp import Remb
from media.rtp.twcc import TICK_S, TransportFeedback

if TYPE_CHECKING:
    from media._native import RulePeer


class NativeUpstream:
    """See `media.relay.upstream.Upstream`."""

    __slots__ = ("_agreed", "_closed", "_peer", "_remb", "_writer")

    def __init__(self, peer: RulePeer) -> None:
        self._peer = peer
        self._writer = FeedbackWriter()
        self._remb: ReceiveEstimate | None = None
        self._agreed = (0, False)
        self._closed = False

    @property
    def due(self) -> float:
        return inf if self._closed else self._peer.feedback_due()

    def learn(self, parameters: RtpParameters) -> None:
        before = self._agreed
        self._agreed = extension_id, stamps = agreed(parameters, before)
        if stamps != before[1]:
            self._remb = ReceiveEstimate() if stamps else None
        self._peer.set_feedback(extension_id, stamps)

    def take(self, local_ssrc: int, now: float) -> Sequence[TransportFeedback | Remb]:
        if now < self.due:
            return ()
        if self._remb is not None:
            for send_time, size, ssrc, at in self._peer.stamps():
                self._remb.add(send_time, size, ssrc, at)
            return self._remb.take(local_ssrc, now)
        media_ssrc, first, numbers, ticks = self._peer.feedback()
        if not numbers:
            return ()
        told, following = self._writer.write(local_ssrc, media_ssrc, first, numbers, ticks)
        self._peer.feedback_told(following, int((now - TWCC_LATE_S) / TICK_S))
        return told

    def close(self) -> None:
        self._closed = True

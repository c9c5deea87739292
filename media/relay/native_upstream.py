"""What a publisher is told of its uplink, from arrivals that the compiled plane noted."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING

from media.ortc import RtpParameters
from media.relay.remb import ReceiveEstimate
from media.relay.upstream import agreed
from media.rtp import rtcp

if TYPE_CHECKING:
    from media._native import RulePeer


class NativeUpstream:
    """See `media.relay.upstream.Upstream`.

    :param drains: the engine sends transport-wide feedback by itself.
    """

    __slots__ = ("_agreed", "_drains", "_local_ssrc", "_peer", "_remb")

    def __init__(self, peer: RulePeer, local_ssrc: int, drains: bool) -> None:
        self._peer: RulePeer | None = peer
        self._local_ssrc = local_ssrc
        self._drains = drains
        self._remb: ReceiveEstimate | None = None
        self._agreed = (0, False)

    @property
    def due(self) -> float:
        if self._peer is None or (self._drains and self._remb is None):
            return inf
        return self._peer.feedback_due()

    def learn(self, parameters: RtpParameters) -> None:
        if self._peer is None:
            return
        before = self._agreed
        self._agreed = extension_id, stamps = agreed(parameters, before)
        if stamps != before[1]:
            self._remb = ReceiveEstimate() if stamps else None
        self._peer.set_feedback(extension_id, stamps, self._local_ssrc)

    def take(self, now: float) -> Sequence[bytes]:
        if self._peer is None or now < self.due:
            return ()
        if self._remb is None:
            return self._peer.feedback(now)
        for send_time, size, ssrc, at in self._peer.stamps():
            self._remb.add(send_time, size, ssrc, at)
        return [rtcp.pack(packet) for packet in self._remb.take(self._local_ssrc, now)]

    def close(self) -> None:
        self._peer = None

"""The estimate on the receiving side, for publishers without transport-wide feedback.

The same delay gradient and controller as for our own sending, fed with the packets' abs-send-time instead of
feedback; its answer goes to the publisher as REMB, which caps it at once and exactly. So it is sent only to
who agreed on it and on abs-send-time. Loss is left to the publisher, who reads it in our receiver reports.
No I/O.
"""

from __future__ import annotations

from media.limits import REMB_INTERVAL_S, REMB_SSRCS, TWCC_ARRIVALS
from media.relay.estimate import BandwidthEstimator
from media.relay.hearing import Acknowledged, PlainHearing
from media.rtp.numbers import Unwrapper
from media.rtp.rtcp import Remb

_SEND_TIME_S = 1 / (1 << 18)  # unit of the 24-bit abs-send-time
_NEWS = 0.97  # a cap that fell below this share of the last one told is told at once


class ReceiveEstimate:
    """One publisher's uplink. `add` for every packet, `take` about ten times a second while packets come."""

    __slots__ = ("_batch", "_estimator", "_hearing", "_send_times", "_ssrcs", "_told_at", "_told_bps")

    def __init__(self) -> None:
        self._hearing = PlainHearing()
        self._estimator = BandwidthEstimator(self._hearing)
        self._send_times = Unwrapper(24)
        self._batch: list[Acknowledged] = []
        self._ssrcs: dict[int, None] = {}
        self._told_at = 0.0
        self._told_bps = 0

    def add(self, send_time: int, size: int, ssrc: int, now: float) -> None:
        """A packet with this abs-send-time came."""
        if len(self._batch) < TWCC_ARRIVALS:
            sent_at = self._send_times.unwrap(send_time) * _SEND_TIME_S
            self._batch.append((0, sent_at, now, size))
        if ssrc not in self._ssrcs and len(self._ssrcs) < REMB_SSRCS:
            self._ssrcs[ssrc] = None

    def take(self, local_ssrc: int, now: float) -> list[Remb]:
        """Judge what came since the last time; the cap, when it is time to tell it."""
        batch, self._batch = self._batch, []
        if batch:
            self._estimator.heard(self._hearing.arrived(batch, now))
        bps = self._estimator.target_bps(now)
        if not self._estimator.settled(now):
            return []
        if now - self._told_at < REMB_INTERVAL_S and bps >= _NEWS * self._told_bps:
            return []
        self._told_at, self._told_bps = now, bps
        return [Remb(local_ssrc, bps, tuple(self._ssrcs))]

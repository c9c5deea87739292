"""Rates: how often something may happen (a token bucket; time is passed in), and what a signal takes."""

from __future__ import annotations

from media.signals import StreamDescriptor

_BITS_PER_SAMPLE = 8  # of the 16, after the device's differences and zlib: 7 to 8 for a resting ECG
_FRAME_BPS = 10 * 8 * 120  # ten frames a second, each with its header, WebSocket, TCP and IP


def signal_bps(descriptor: StreamDescriptor) -> int:
    """About how many bits per second a signal stream takes on a viewer's line."""
    return round(_BITS_PER_SAMPLE * len(descriptor.leads) * descriptor.sampling_rate_hz) + _FRAME_BPS


class TokenBucket:
    """``burst`` takes at once, then ``rate`` per second.

    :param now: seconds, monotonic; the same clock as later.
    """

    __slots__ = ("_burst", "_filled_at", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._filled_at = now

    def take(self, now: float) -> bool:
        """Take one; False when there is none."""
        elapsed = max(0.0, now - self._filled_at)
        self._tokens = min(self._burst, self._tokens + elapsed * self._rate)
        self._filled_at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

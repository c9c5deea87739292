"""A token bucket: how often something may happen. Time is passed in."""

from __future__ import annotations


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

"""When a key frame is asked for: requests are merged, throttled, deferred, and repeated until one comes."""

from __future__ import annotations

from math import inf

from media.limits import KEYFRAME_BURST, KEYFRAME_REFILL_S, KEYFRAME_RETRY_S, KEYFRAME_SPACING_S


class KeyFrameRequests:
    """Key-frame requests to one layer. Ask with `want`, then call `take` until it is not due any more.

    A burst of `KEYFRAME_BURST` is allowed, after it one every `KEYFRAME_REFILL_S`; a request that comes too
    soon is not forgotten but deferred.
    """

    __slots__ = ("_allowance", "_refilled_at", "_sent_at", "due", "sent", "tries")

    def __init__(self) -> None:
        self._allowance = float(KEYFRAME_BURST)
        self._refilled_at = 0.0
        self._sent_at = -inf
        self.due = inf  # when `take` wants to be called next
        self.tries = 0  # since the last key frame
        self.sent = 0  # in all

    @property
    def asked_at(self) -> float:
        """When one was last asked for; -inf before."""
        return self._sent_at

    @property
    def wanted(self) -> bool:
        return self.due < inf

    def want(self, now: float) -> None:
        """Someone needs a key frame; merged with a request that is already on its way."""
        if not self.wanted:
            self.tries = 0
            self.due = max(now, self._sent_at + KEYFRAME_SPACING_S)

    def take(self, now: float) -> bool:
        """Whether a request is to be sent now; then the next try is already planned."""
        if now < self.due:
            return False
        self._allowance = min(
            float(KEYFRAME_BURST), self._allowance + (now - self._refilled_at) / KEYFRAME_REFILL_S
        )
        self._refilled_at = now
        if self._allowance < 1:
            self.due = now + (1 - self._allowance) * KEYFRAME_REFILL_S
            return False
        self._allowance -= 1
        self._sent_at = now
        self.due = now + KEYFRAME_RETRY_S[min(self.tries, len(KEYFRAME_RETRY_S) - 1)]
        self.tries += 1
        self.sent += 1
        return True

    def satisfied(self) -> None:
        """A key frame came, or nobody needs one any more."""
        self.due = inf

"""The loss-based half of the estimate (draft-ietf-rmcat-gcc-02 section 6), and loss that is no congestion.

Radio loses packets whatever the rate. A controller that takes all loss for congestion gives such a line up.
So up to a fifth is borne where no queue was seen: retransmission repairs it, and a narrow place that keeps no
queue loses more the more is sent again. Beyond that, and where there is a queue, the rate goes down, and what
is lost then is compared with two guesses: the line loses the same share of everything (then that share is its
own and is left out of account), or as much as before goes through.
"""

from __future__ import annotations

from collections import deque

_WINDOW_S = 1.0
_LEAST_PACKETS = 20  # fewer say nothing
_TOO_MUCH = 0.10  # beyond it the rate goes down, where packets queue
_RADIO = 0.20  # the same where none do
_HOLD = 0.05  # beyond it the rate does not go up by itself, where packets queue
_RADIO_HOLD = 0.15
_FORGET = 0.02  # of the line's own loss at each feedback, 10 to 20 a second, while there is less
_LESS_SENT = 0.95  # of the rate before: only when so much less was sent can the two guesses be told apart


class LossControl:
    """Counts what is lost and says when the rate must go down."""

    __slots__ = ("_before", "_counts", "_lowered_at", "_own", "fraction")

    def __init__(self) -> None:
        self._counts: deque[tuple[float, int, int]] = deque()  # (when, expected, lost)
        self._own = 0.0  # the line's own loss
        self._before: tuple[float, float] | None = None  # (rate sent, loss) at the last lowering
        self._lowered_at = 0.0
        self.fraction = 0.0

    def reset(self) -> None:
        """The line was silent: nothing before counts."""
        self._counts.clear()
        self._before = None
        self.fraction = 0.0

    def count(self, expected: int, lost: int, now: float) -> None:
        """One feedback; ``lost`` is negative when packets came late that were counted as lost."""
        counts = self._counts
        counts.append((now, expected, lost))
        while counts[0][0] < now - _WINDOW_S:
            counts.popleft()
        packets = sum(one[1] for one in counts)
        if packets >= _LEAST_PACKETS:
            self.fraction = min(max(sum(one[2] for one in counts) / packets, 0.0), 1.0)
            if self.fraction < self._own:
                self._own += _FORGET * (self.fraction - self._own)

    def holds(self, queued: bool) -> bool:
        """Whether there is too much loss to go up; ``queued`` as for `lower`."""
        return self.fraction - self._own > (_HOLD if queued else _RADIO_HOLD)

    def lower(
        self, target: float, arriving: float | None, rtt_s: float, queued: bool, now: float
    ) -> float | None:
        """The rate to go down to (bits per second), when loss says so.

        :param queued: packets were seen to wait on the line of late.
        """
        enough = sum(one[1] for one in self._counts) >= _LEAST_PACKETS
        if arriving is None or not enough or now - self._lowered_at < 0.3 + rtt_s:
            return None
        loss = self.fraction - self._own
        if loss <= (_TOO_MUCH if queued else _RADIO):
            return None
        sent = min(target, arriving / max(1 - self.fraction, 0.05))
        before = self._before
        self._lowered_at = now
        self._before = (sent, self.fraction)
        if before and sent <= _LESS_SENT * before[0]:
            by_capacity = max(0.0, 1 - before[0] * (1 - before[1]) / sent)
            if abs(self.fraction - before[1]) < abs(self.fraction - by_capacity):
                self._own = self.fraction
                return None
        self._counts.clear()  # what comes now was sent at the lower rate
        return sent * (1 - 0.5 * loss)

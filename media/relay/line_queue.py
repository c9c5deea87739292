"""What stands in a line's queue, by one-way delays: whether the line is full, and then what it carries.

No clock is compared: the least delay seen of late is that of an empty queue. While every packet of a feedback
has waited, the line was never idle, so what arrived is all that it carries (for us: what others send through
it is not seen). A delay that is longer but does not grow is another way, not a queue. No I/O.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from math import inf

_BASE_S = 10.0  # the least delay is that of so long: clocks drift by less than a millisecond meanwhile
_FULL_S = 0.04  # waited by the luckiest packet of a feedback: longer than one packet takes at 300 kbit/s
_LONG_S = 0.08  # voices feel it
_RUN_S = 0.3  # what arrived in the full line is measured over so long at most
_LEAST_RUN_S = (0.15, 0.06)  # and at least; the second where the queue is long
_STANDS_S = 0.005  # change from one feedback to the next; a queue that does not move less is none
_GROWS_S = 0.02  # a fifth more than the line carries; the gradient finds what grows more slowly
_STEP_SHARE = 0.7  # of the delay came with one packet
_LEAST_BYTES = 4000  # a few voices' packets between those of others say nothing of the line
_LEAST_SHARE = 0.6  # of what came: more than the rest does not stand beside us
_NEVER = -inf

Packet = tuple[int, float, float, int]  # number, when sent, when arrived, bytes


class LineQueue:
    """`heard` for each feedback; times in seconds, each on its own side's clock."""

    __slots__ = (
        "_begun_at",
        "_jump_s",
        "_last",
        "_least",
        "_least_before",
        "_run",
        "_sent_at",
        "_was",
        "growth_s",
        "waiting_s",
    )

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """The way may be another one: the next delay is that of an empty queue."""
        self._least = self._least_before = inf  # of the present period and of the one before
        self._begun_at = _NEVER
        # of each feedback of a full line: from, to, bytes, seconds in which they were sent
        self._run: deque[tuple[float, float, int, float]] = deque()
        self._last = _NEVER  # newest arrival
        self._sent_at = _NEVER  # of the newest packet
        self._was: float | None = None  # delay of the newest packet
        self._jump_s = 0.0  # the largest step of the delay since the queue was empty
        self.waiting_s = 0.0  # by the luckiest packet of the newest feedback
        self.growth_s = 0.0  # of the newest packet's delay, from one feedback to the next

    def heard(self, acknowledged: list[Packet]) -> None:
        """Packets that arrived, in the order of sending; at least one."""
        delays = [one[2] - one[1] for one in acknowledged]
        newest = max([one[2] for one in acknowledged])
        least = min(delays)
        if newest - self._begun_at > _BASE_S / 2:
            self._least_before, self._least = self._least, inf
            self._begun_at = newest
        self._least = min(self._least, least)
        was = delays[0] if self._was is None else self._was
        jump = max([b - a for a, b in pairwise([was, *delays])])
        self._jump_s = max(jump, self._jump_s) if self.stands else jump
        self.waiting_s = least - min(self._least, self._least_before)
        self.growth_s = delays[-1] - self._was if self._was is not None else 0.0
        self._was = delays[-1]
        before, self._last = self._last, max(newest, self._last)
        self._note_run(before, newest, acknowledged)
        self._sent_at = acknowledged[-1][1]

    def _note_run(self, before: float, newest: float, acknowledged: list[Packet]) -> None:
        run = self._run
        if self.stepped or not (self.stands or self.fills):
            run.clear()
        elif before > _NEVER and newest > before:
            sent_s = acknowledged[-1][1] - self._sent_at
            run.append((before, newest, sum([one[3] for one in acknowledged]), sent_s))
            while newest - run[0][0] > _RUN_S and len(run) > 1:
                run.popleft()

    def full_bps(self, beside_bps: float) -> float | None:
        """What the full line has room for; None while it is not full, or not yet for long enough.

        What arrives of ours is our share: in the queue we displace what is sent beside us, which is to go
        through whole. If x was sent and r came, the line carries r (x + ``beside_bps``) / x.
        """
        run = self._run
        if not run or run[-1][1] - run[0][0] < _LEAST_RUN_S[self.is_long]:
            return None
        took_s = run[-1][1] - run[0][0]
        octets = sum([one[2] for one in run])
        if octets < _LEAST_BYTES:
            return None
        came = 8 * octets / took_s
        share = sum([one[3] for one in run]) / took_s  # r / x, as the same bytes were sent and came
        return max(_LEAST_SHARE * came, came - beside_bps * (1 - min(max(share, 0.0), 1.0)))

    @property
    def calm_delay_s(self) -> float:
        """Of a packet that found the queue as good as empty, on the two clocks; less than that `fills`."""
        return min(self._least, self._least_before) + _FULL_S / 2

    @property
    def stands(self) -> bool:
        """There is a queue."""
        return self.waiting_s >= _FULL_S

    @property
    def is_gone(self) -> bool:
        """Nothing waits any more, or what there is becomes less. A trend that says otherwise is past:
        at ten packets a second for half a second.
        """
        return self.waiting_s < _FULL_S / 2 or not (self.stands or self.growth_s > 0)

    @property
    def begins(self) -> bool:
        """The newest packet has waited, and much longer than the one a feedback ago: it may be a queue."""
        if self._was is None:
            return False
        waited = self._was - min(self._least, self._least_before)
        return waited > _FULL_S / 2 and self.growth_s > _GROWS_S

    @property
    def fills(self) -> bool:
        """A queue begins, and quickly."""
        return self.waiting_s > _FULL_S / 2 and self.growth_s > _GROWS_S

    @property
    def is_long(self) -> bool:
        return self.waiting_s >= _LONG_S

    @property
    def stepped(self) -> bool:
        """Most of the wait came with one packet: a longer way, or the end of a pause of somebody's."""
        return self.stands and self._jump_s > _STEP_SHARE * self.waiting_s

    @property
    def grows(self) -> bool:
        """The queue is long, and much longer than it was a feedback ago."""
        return self.is_long and self.growth_s > _GROWS_S and not self.stepped

    @property
    def drains(self) -> bool:
        """There is a queue, and it becomes shorter."""
        return self.stands and self.growth_s < -_STANDS_S

    @property
    def moved(self) -> bool:
        """Every delay is longer from one packet to the next, and none grows: it is the way that is longer."""
        return self.stepped and abs(self.growth_s) <= _STANDS_S

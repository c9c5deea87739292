"""Keeps an outgoing number continuous while packets, frames or whole layers are left out."""

from __future__ import annotations

from collections import deque

from media.limits import RELAY_DROPS


class NumberMap:
    """Maps unwrapped incoming numbers (sequence numbers, picture ids) to unwrapped outgoing ones.

    - A number that was merely not seen keeps its place: the receiver is to see the hole.
    - A number that was dropped on purpose leaves no hole.
    - After `restart` the next number continues where the last one ended.

    Late numbers get the place they would have had. Output is not masked; the caller masks to its width.
    """

    __slots__ = ("_delta", "_drops", "_first", "newest", "newest_out")

    def __init__(self, first_out: int) -> None:
        self._drops: deque[int] = deque(maxlen=RELAY_DROPS)
        self._delta = 0
        self._first = 0
        self.newest = -1  # newest number mapped or dropped
        self.newest_out = first_out - 1

    def restart(self, number: int) -> None:
        """``number`` is the first of another layer, or after a pause; it continues the output."""
        self._delta = self.newest_out + 1 - number
        self._first = number
        self.newest = number - 1
        self._drops.clear()

    def drop(self, number: int) -> None:
        """Leave ``number`` out. A late one has its hole already, and keeps it."""
        if number > self.newest:
            self.newest = number
            self._delta -= 1
            self._drops.append(number)

    def map(self, number: int) -> int | None:
        """The outgoing number; None when it was dropped or is older than the last restart."""
        if number > self.newest:
            self.newest = number
            self.newest_out = number + self._delta
            return self.newest_out
        if number < self._first:
            return None
        drops = self._drops
        if not drops or number > drops[-1]:
            return number + self._delta  # nothing was left out since: a picture's second packet, mostly
        return self._map_late(number)

    def _map_late(self, number: int) -> int | None:
        drops = self._drops
        if number in drops or (len(drops) == RELAY_DROPS and number < drops[0]):
            return None
        return number + self._delta + sum(1 for dropped in drops if dropped > number)

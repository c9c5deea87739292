"""What can be sent again: one bounded history per layer, shared by all its consumers."""

from __future__ import annotations

from collections import deque
from math import inf

from media.limits import RELAY_HISTORY_PACKETS, RELAY_HISTORY_S, RTX_PER_SECOND, RTX_QUEUE_S, RTX_REPEAT_S
from media.relay.rewrite import MediaPacket


class History:
    """The newest packets of one layer by unwrapped sequence number, bounded in number and in time."""

    __slots__ = ("_order", "_packets")

    def __init__(self) -> None:
        self._packets: dict[int, MediaPacket] = {}
        self._order: deque[MediaPacket] = deque()

    def __len__(self) -> int:
        return len(self._packets)

    def add(self, packet: MediaPacket) -> None:
        """Keep a packet; the oldest go. Of two with one number the newer is found."""
        order = self._order
        order.append(packet)
        self._packets[packet.sequence] = packet
        oldest = packet.received_at - RELAY_HISTORY_S
        while order[0].received_at < oldest or len(order) > RELAY_HISTORY_PACKETS:
            gone = order.popleft()
            if self._packets.get(gone.sequence) is gone:
                del self._packets[gone.sequence]

    def get(self, sequence: int) -> MediaPacket | None:
        return self._packets.get(sequence)

    def clear(self) -> None:
        self._order.clear()
        self._packets.clear()


class RetransmissionBudget:
    """Bounds what one consumer can have sent again, however often it asks."""

    __slots__ = ("_allowance", "_recent", "_refilled_at", "refused")

    def __init__(self) -> None:
        self._allowance = float(RTX_PER_SECOND)
        self._refilled_at = 0.0
        self._recent: dict[int, float] = {}
        self.refused = 0

    def allows(self, sequence: int, now: float, queued_s: float = 0.0) -> bool:
        """Whether outgoing ``sequence`` may be sent again now; counts it when it may.

        :param queued_s: how long a packet stands in the line's queue, `RTX_QUEUE_S` at most: one that is
            asked for meanwhile is on its way.
        """
        if now - self._refilled_at >= RTX_REPEAT_S:
            self._allowance = min(
                float(RTX_PER_SECOND), self._allowance + (now - self._refilled_at) * RTX_PER_SECOND
            )
            self._refilled_at = now
            oldest = now - RTX_REPEAT_S - RTX_QUEUE_S
            self._recent = {one: at for one, at in self._recent.items() if at > oldest}
        is_recent = self._refilled_at - self._recent.get(sequence, -inf) < RTX_REPEAT_S + queued_s
        if self._allowance < 1 or is_recent:
            self.refused += 1
            return False
        self._allowance -= 1
        self._recent[sequence] = now
        return True

    def left(self, sequence: int, now: float) -> None:
        """It had to wait, and left now."""
        self._recent[sequence] = now

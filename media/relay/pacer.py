"""When a packet may leave, and what waits meanwhile: media is spread, so that a key frame is no burst.

Two virtual schedulers (the generic cell rate algorithm, ITU-T I.371) hold the rate: `PACE_FACTOR` times the
target at any moment, `PACE_LONG_FACTOR` times over half a second and longer. Voices do not wait, and count.

The order. By class, the most important first; the key frame with which a picture begins or changes its layer
goes before them all, once: behind an ultrasound that takes all there is, it would stand for as long as the
line's queue drains. When it comes, what waits of that track is old and is left out. And no class stands for
longer than `PACE_TURN_S`: then one frame of it is sent before those above it.

The drop rule. What waits is bounded by `PACE_QUEUE_S` of the target, though a key frame always has room.
Beyond it, the lowest class that waits gives way: all that waits of the track in it that has waited longest is
left out, and that track goes on with its next key frame, which is asked for. So frames are dropped whole, and
the receiver sees no hole in the numbers: what waits has none yet. No I/O.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from media.limits import (
    PACE_BURST_S,
    PACE_FACTOR,
    PACE_LONG_FACTOR,
    PACE_LONG_S,
    PACE_QUEUE_BYTES,
    PACE_QUEUE_PACKETS,
    PACE_QUEUE_S,
    PACE_TURN_S,
    RTX_QUEUE_S,
)

if TYPE_CHECKING:
    from media.relay.layer import PlainLayer
    from media.relay.rewrite import MediaPacket
    from media.relay.subscription import PlainSubscription

FIRST, ULTRASOUND, SCREEN, SPEAKER, CAMERA = range(5)
"""Classes of what waits, the most important first: the allocator's ranks, with RTX and the key frames that
pictures begin with in the place of audio."""
_SLOWER = PACE_FACTOR / PACE_LONG_FACTOR


class Waiting(NamedTuple):
    """One packet that waits: the one its layer shares, or the outgoing number of one to send again."""

    subscription: PlainSubscription
    layer: PlainLayer | None
    packet: MediaPacket | None
    starts: bool  # the subscription may begin with it
    sequence: int  # to send again; -1 otherwise
    size: int  # bytes


class Pacer:
    """One transport's schedule and queue. While something waits, `open_at` is inf: nothing overtakes."""

    __slots__ = (
        "_bytes",
        "_fast",
        "_most_bytes",
        "_queues",
        "_slow",
        "_turns",
        "count",
        "dropped",
        "open_at",
        "opens_at",
        "pace",
        "queued_s",
        "voice_copies",
    )

    def __init__(self) -> None:
        self._queues: tuple[deque[Waiting], ...] = tuple(deque() for _ in range(CAMERA + 1))
        self._turns = [-inf] * len(self._queues)  # since when a class stands, if anything of it waits
        self._fast = self._slow = -inf  # when what was sent will have left, at each pace
        self._bytes = 0
        self._most_bytes = float(PACE_QUEUE_BYTES)
        self.count = 0
        self.dropped = 0
        self.voice_copies = 0  # of each voice, where the line loses packets: see `media.relay.again`
        self.queued_s = 0.0  # how long what leaves now stands in the line's own queue, `RTX_QUEUE_S` at most
        self.pace = 0.0  # seconds for a byte at the fast pace; 0 = no limit is known
        self.open_at = -inf  # when a packet that comes now may leave
        self.opens_at = -inf  # when the first one that waits may

    def set_target(self, bps: float, queued_s: float = 0.0) -> None:
        """The estimate, bits per second, and what stands in the line's queue; from now on there is a pace."""
        self.queued_s = min(max(queued_s, 0.0), RTX_QUEUE_S)
        self.pace = 8 / (PACE_FACTOR * bps)
        self._most_bytes = max(float(PACE_QUEUE_BYTES), bps * PACE_QUEUE_S / 8)

    def may_send(self, now: float) -> bool:
        """Whether a packet that comes now may leave now."""
        return now >= self.open_at

    def spend(self, size: int, now: float) -> None:
        """A packet of ``size`` bytes left."""
        took = size * self.pace
        fast = self._fast = (self._fast if self._fast > now else now) + took
        slow = self._slow = (self._slow if self._slow > now else now) + took * _SLOWER
        fast -= PACE_BURST_S
        slow -= PACE_LONG_S
        self.opens_at = fast if fast > slow else slow
        if not self.count:
            self.open_at = self.opens_at

    def push(self, item: Waiting, now: float) -> None:
        subscription, packet = item.subscription, item.packet
        goes_first = packet is None or packet.timestamp == subscription.starting
        index = FIRST if goes_first else subscription.priority
        if not self._queues[index]:
            self._turns[index] = now
        self._queues[index].append(item)
        self.count += 1
        self._bytes += item.size
        self.open_at = inf
        subscription.held += 1

    def resends(self, subscription: PlainSubscription, sequence: int) -> bool:
        """Whether a packet that is to be sent again waits already."""
        return any(
            item.sequence == sequence and item.packet is None and item.subscription is subscription
            for item in self._queues[FIRST]
        )

    def pop(self, now: float) -> tuple[int, Waiting]:
        """The first packet of the class whose turn it is, and the class; one must wait."""
        waiting = [index for index, queue in enumerate(self._queues) if queue]
        chosen = waiting[0]
        if chosen != FIRST:
            longest = min(waiting, key=self._turns.__getitem__)
            if now - self._turns[longest] >= PACE_TURN_S:
                chosen = longest
        return chosen, self._taken(self._queues[chosen].popleft())

    def passed(self, index: int, item: Waiting, now: float) -> None:
        """It was sent, not left out by its layer. A turn before more important classes lasts for a frame."""
        queue = self._queues[index]
        following = queue[0] if queue else item
        goes_on = (
            following is not item
            and any(self._queues[:index])
            and item.packet is not None
            and following.packet is not None
            and following.subscription is item.subscription
            and following.packet.timestamp == item.packet.timestamp
        )
        if not goes_on:
            self._turns[index] = now

    def _taken(self, item: Waiting) -> Waiting:
        self.count -= 1
        self._bytes -= item.size
        item.subscription.held -= 1
        if not self.count:
            self.open_at = self.opens_at
        return item

    @property
    def overfull(self) -> bool:
        return self.count > PACE_QUEUE_PACKETS or self._bytes > self._most_bytes

    def shed(self) -> Iterator[PlainSubscription]:
        """Leave out what the drop rule says; the track that must begin again, if it is one."""
        index = max(number for number, queue in enumerate(self._queues) if queue)
        victim = self._queues[index][0].subscription
        before = self.dropped
        self.leave_out(victim)
        if self.dropped > before:
            yield victim
        else:  # retransmissions are all that waits
            self.dropped += self._purge(self._queues[FIRST], victim, media_alone=False)

    def leave_out(self, subscription: PlainSubscription) -> None:
        """All that waits of it goes, but what is sent again."""
        for queue in self._queues:
            self.dropped += self._purge(queue, subscription, media_alone=True)

    def forget(self, subscription: PlainSubscription) -> None:
        """It is closed: what waits of it goes."""
        for queue in self._queues:
            self._purge(queue, subscription, media_alone=False)

    def _purge(self, queue: deque[Waiting], victim: PlainSubscription, media_alone: bool) -> int:
        def goes(item: Waiting) -> bool:
            return item.subscription is victim and not (media_alone and item.packet is None)

        gone = [item for item in queue if goes(item)] if victim.held else ()
        if gone:
            kept = [item for item in queue if not goes(item)]
            queue.clear()
            queue.extend(kept)
            for item in gone:
                self._taken(item)
        return len(gone)

"""What the receiving end of a transport remembers for transport-wide feedback (`media.rtp.twcc`)."""

from __future__ import annotations

from collections.abc import Sequence

from media.limits import TWCC_ARRIVALS, TWCC_LATE_S, TWCC_MAX_STATUSES, TWCC_PACKET_ARRIVALS
from media.rtp.numbers import Unwrapper
from media.rtp.twcc import REFERENCE_BITS, TICK_S, TICKS_PER_REFERENCE, TransportFeedback

_REFERENCE_MASK = (1 << REFERENCE_BITS) - 1
_MAX_DELTA = 0x7FFF  # ticks between two arrivals of one feedback


class FeedbackWriter:
    """Puts arrivals into feedback packets, and counts those."""

    __slots__ = ("_count",)

    def __init__(self) -> None:
        self._count = 0

    def write(
        self, sender_ssrc: int, media_ssrc: int, first: int, numbers: Sequence[int], ticks: Sequence[int]
    ) -> tuple[list[TransportFeedback], int]:
        """Packets that fit a path's MTU, and the first number that is not told of in them.

        :param first: number from which on nothing was told.
        :param numbers: unwrapped, rising, none before ``first``.
        :param ticks: when each came.
        """
        told: list[TransportFeedback] = []
        base, at = first, 0
        while at < len(numbers):
            if numbers[at] - base >= TWCC_MAX_STATUSES:
                base = numbers[at]  # a jump of the sender; nothing can be said of what lies between
            end = _end(numbers, ticks, at, base)
            told.append(self._packet(sender_ssrc, media_ssrc, base, numbers[at:end], ticks[at:end]))
            base, at = numbers[end - 1] + 1, end
        return told, base

    def _packet(
        self, sender: int, media: int, base: int, numbers: Sequence[int], ticks: Sequence[int]
    ) -> TransportFeedback:
        reference = ticks[0] // TICKS_PER_REFERENCE
        start = reference * TICKS_PER_REFERENCE
        arrivals = tuple((n - base, at - start) for n, at in zip(numbers, ticks, strict=True))
        count, self._count = self._count, (self._count + 1) & 0xFF
        return TransportFeedback(
            sender,
            media,
            base & 0xFFFF,
            numbers[-1] - base + 1,
            reference & _REFERENCE_MASK,
            count,
            arrivals,
        )


def _end(numbers: Sequence[int], ticks: Sequence[int], at: int, base: int) -> int:
    """Where one packet's share of the numbers ends."""
    before = ticks[at]
    end = at
    while end < len(numbers) and end - at < TWCC_PACKET_ARRIVALS:
        time = ticks[end]
        if numbers[end] - base >= TWCC_MAX_STATUSES or abs(time - before) > _MAX_DELTA:
            break
        before = time
        end += 1
    return end


class Arrivals:
    """Arrival times by transport-wide number: `add` for every packet, `take` when feedback is due.

    Numbers never seen before a feedback's end are told as not received; when one of them comes late, the next
    feedback begins there and repeats what follows, so that the sender's books come right. Bounded by
    `TWCC_ARRIVALS`; what is older than `TWCC_LATE_S` is not told again.
    """

    __slots__ = ("_next", "_ticks", "_unwrapper", "_writer", "pending")

    def __init__(self) -> None:
        self._unwrapper = Unwrapper(16)
        self._ticks: dict[int, int] = {}
        self._next: int | None = None  # first number not yet told
        self._writer = FeedbackWriter()
        self.pending = 0  # arrivals not yet told

    def add(self, sequence: int, now: float) -> None:
        """The packet with this 16-bit number came."""
        number = self._unwrapper.unwrap(sequence)
        ticks = self._ticks
        if number in ticks:
            return
        if len(ticks) >= TWCC_ARRIVALS:
            del ticks[next(iter(ticks))]
        ticks[number] = int(now / TICK_S)
        self.pending += 1
        if self._next is None or number < self._next:
            self._next = number

    def take(self, sender_ssrc: int, media_ssrc: int, now: float) -> list[TransportFeedback]:
        """Everything not yet told, as packets that fit a path's MTU."""
        if not self.pending or self._next is None:
            return []
        first = self._next
        numbers = sorted(number for number in self._ticks if number >= first)
        ticks = [self._ticks[number] for number in numbers]
        told, self._next = self._writer.write(sender_ssrc, media_ssrc, first, numbers, ticks)
        self.pending = 0
        self._forget(int((now - TWCC_LATE_S) / TICK_S))
        return told

    def _forget(self, before: int) -> None:
        """Arrivals stand in the order in which they came."""
        for number, ticks in list(self._ticks.items()):
            if ticks >= before:
                break
            del self._ticks[number]

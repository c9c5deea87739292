"""What a receiver says of the packets that came: compared with what left, and gathered while it is no news.

Ten feedbacks a second come from every receiver, and on nearly every line none of them changes anything. While
the estimate is at ease (`Hearing.be_calm`), feedback by which nothing is lost and nobody has waited is put
together, and looked at once a second; anything else, more than was expected too, is told of at once. No I/O.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import NamedTuple, Protocol

from media.limits import ESTIMATE_SENT_PACKETS, ESTIMATE_SILENCE_S, HEARD_FEEDBACKS
from media.relay.gradient import DelayGradient, Signal
from media.rtp.numbers import Unwrapper
from media.rtp.twcc import REFERENCE_BITS, REFERENCE_S, TICK_S, TransportFeedback

_SENT_MASK = ESTIMATE_SENT_PACKETS - 1

Acknowledged = tuple[int, float, float, int]
"""One packet that arrived: its number, when it was sent and when it arrived (seconds, each on its own side's
clock), its bytes; 0 of one that was sent twice. A plain tuple, as there is one for every packet."""


class Heard(NamedTuple):
    """One feedback, or several that were no news.

    :param at: when the last of them came.
    :param silent: nothing was heard for so long before that what was known of the line may be untrue.
    :param expected: packets that are spoken of for the first time.
    :param arrived: packets that newly are said to have arrived.
    :param signal: of the delay gradient.
    :param packets: those that arrived; of several feedbacks the luckiest and the last alone.
    :param rates: of each feedback with bytes: when its last packet arrived, and the bytes of all.
    """

    at: float
    silent: bool
    expected: int
    arrived: int
    signal: Signal
    packets: list[Acknowledged]
    rates: list[tuple[float, int]]


class Hearing(Protocol):
    """One receiver's words."""

    def hear(self, feedback: TransportFeedback, now: float) -> bool:
        """Take a feedback; whether there is something to look at (`take`)."""

    def take(self) -> Sequence[Heard]:
        """What was heard since the last time, the newest last."""

    def be_calm(self, until: float, delay: float, most_bps: float = inf) -> None:
        """Until then gather what is no news; what comes after it is put to that, and is to be looked at.

        :param until: -inf = gather nothing.
        :param delay: packets that came so much later than they left (on two clocks) have not waited.
        :param most_bps: more than this, over two feedbacks, is news: the estimate is to follow it.
        """

    def probing(self, numbers: tuple[int, int] | None) -> None:
        """Packets with these numbers (both ends included) fill the line: their delay is our doing."""

    def forget_delays(self) -> None:
        """The way may be another one."""


class SentLog:
    """What left with which transport-wide number, until the receiver tells of it.

    Of one transport; a ring of `ESTIMATE_SENT_PACKETS`.
    """

    __slots__ = ("_ring",)

    def __init__(self) -> None:
        self._ring: list[tuple[int, float, int] | None] = [None] * ESTIMATE_SENT_PACKETS

    def note(self, number: int, size: int, now: float) -> None:
        """A packet of ``size`` bytes left with this unwrapped number."""
        self._ring[number & _SENT_MASK] = (number, now, size)

    def doubt(self, number: int) -> None:
        """It goes again (its low 16 bits count): when it arrives tells nothing. Of no bytes."""
        entry = self._ring[number & _SENT_MASK]
        if entry is not None and (entry[0] - number) & 0xFFFF == 0:
            self._ring[number & _SENT_MASK] = (entry[0], entry[1], 0)

    def sent_at(self, number: int) -> float | None:
        """When it left; None when it is not known any more, or was told of."""
        entry = self._ring[number & _SENT_MASK]
        return entry[1] if entry is not None and entry[0] == number else None

    def acknowledge(
        self, base: int, arrivals: Sequence[tuple[int, int]], reference: float
    ) -> list[Acknowledged]:
        """Take out what arrived.

        :param base: number (its low 16 bits count) that the offsets of ``arrivals`` are added to.
        :param arrivals: (offset, ticks of 250 us after ``reference``, which is in seconds).
        """
        ring = self._ring
        found: list[Acknowledged] = []
        for offset, ticks in arrivals:
            number = base + offset
            entry = ring[number & _SENT_MASK]
            if entry is not None and (entry[0] - number) & 0xFFFF == 0:
                ring[number & _SENT_MASK] = None
                found.append((entry[0], entry[1], reference + ticks * TICK_S, entry[2]))
        return found


class PlainHearing:
    """The plain plane's. Without a log of what was sent it hears arrivals (`arrived`), not feedback."""

    __slots__ = (
        "_calm_bps",
        "_calm_delay",
        "_calm_until",
        "_end",
        "_gathered",
        "_gathered_feedbacks",
        "_gradient",
        "_heard",
        "_heard_at",
        "_newest",
        "_numbers",
        "_probing",
        "_references",
        "_sent",
    )

    def __init__(self, sent: SentLog | None = None) -> None:
        self._sent = sent
        self._gradient = DelayGradient()
        self._numbers = Unwrapper(16)
        self._references = Unwrapper(REFERENCE_BITS)
        self._end: int | None = None  # number after the newest one spoken of
        self._heard_at: float | None = None
        self._heard: list[Heard] = []
        self._gathered: Heard | None = None
        self._gathered_feedbacks = 0
        self._calm_until = -inf
        self._calm_delay = 0.0
        self._calm_bps = inf
        # arrival of the feedback before the newest one, of the newest one; its bytes
        self._newest = (-inf, -inf, 0)
        self._probing: tuple[int, int] | None = None

    def hear(self, feedback: TransportFeedback, now: float) -> bool:
        assert self._sent is not None  # feedback is of what was sent
        silent = self._is_silent(now)
        base = self._numbers.unwrap(feedback.base_sequence)
        reference = self._references.unwrap(feedback.reference_time) * REFERENCE_S
        packets = self._sent.acknowledge(base, feedback.arrivals, reference)
        heard = self._show(packets, silent, self._expect(base + feedback.status_count), now)
        if self._is_calm(heard, self._carried(heard)) and self._gathered_feedbacks < HEARD_FEEDBACKS:
            self._gather(heard)
            return now >= self._calm_until
        self._heard.append(heard)
        return True

    def arrived(self, packets: list[Acknowledged], now: float) -> Heard:
        """What came, where arrivals are seen: nobody has told of it, and what was expected is not known."""
        return self._show(packets, self._is_silent(now), 0, now)._replace(arrived=0)

    def take(self) -> Sequence[Heard]:
        heard, self._heard = self._heard, []
        if self._gathered is not None:
            heard.insert(0, self._gathered)
            self._gathered, self._gathered_feedbacks = None, 0
        return heard

    def be_calm(self, until: float, delay: float, most_bps: float = inf) -> None:
        self._calm_until, self._calm_delay, self._calm_bps = until, delay, most_bps

    def probing(self, numbers: tuple[int, int] | None) -> None:
        self._probing = numbers

    def forget_delays(self) -> None:
        self._gradient.reset()

    def _is_silent(self, now: float) -> bool:
        silent = self._heard_at is not None and now - self._heard_at > ESTIMATE_SILENCE_S
        self._heard_at = now
        if silent:
            self._gradient.reset()
        return silent

    def _expect(self, end: int) -> int:
        before = self._end
        self._end = end if before is None else max(end, before)
        return 0 if before is None else max(0, end - before)

    def _show(self, packets: list[Acknowledged], silent: bool, expected: int, now: float) -> Heard:
        timed = [one for one in packets if one[3]]
        if self._probing is None:
            self._gradient.packets(timed)
        else:
            first, last = self._probing
            self._gradient.packets([one for one in timed if not first <= one[0] <= last])
        rates = [(timed[-1][2], sum([one[3] for one in timed]))] if timed else []
        return Heard(now, silent, expected, len(packets), self._gradient.signal, packets, rates)

    def _carried(self, heard: Heard) -> tuple[int, float]:
        """What came with the newest two feedbacks, in how many seconds; pictures make one alone uneven."""
        if not heard.rates:
            return 0, inf
        since, before, octets = self._newest
        ((at, size),) = heard.rates
        self._newest = before, at, size
        return octets + size, at - since

    def _is_calm(self, heard: Heard, carried: tuple[int, float]) -> bool:
        if self._calm_until == -inf or heard.silent or heard.signal != "normal":
            return False
        if 8 * carried[0] > self._calm_bps * carried[1]:
            return False
        if not 0 < heard.expected == heard.arrived or not heard.rates:
            return False
        _, sent_at, arrived_at, _ = next(one for one in reversed(heard.packets) if one[3])
        return arrived_at - sent_at <= self._calm_delay  # the last one is the first that a queue makes late

    def _gather(self, heard: Heard) -> None:
        timed = [one for one in heard.packets if one[3]]
        before = self._gathered
        if before is not None:
            timed = [before.packets[0], *timed]
        luckiest = min(timed, key=lambda one: one[2] - one[1])
        packets = [timed[-1]] if luckiest[0] == timed[-1][0] else [luckiest, timed[-1]]
        if before is None:
            self._gathered = heard._replace(packets=packets)
        else:
            self._gathered = heard._replace(
                expected=before.expected + heard.expected,
                arrived=before.arrived + heard.arrived,
                packets=packets,
                rates=before.rates + heard.rates,
            )
        self._gathered_feedbacks += 1

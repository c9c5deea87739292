"""How much a receiver's downlink carries: send-side estimation from transport-wide feedback.

Google Congestion Control (draft-ietf-rmcat-gcc-02; Carlucci et al., MMSys 2016): an additive-increase,
multiplicative-decrease controller driven by the delay gradient, and a loss-based one beside it. It meets the
requirements of RFC 8836 and has the place that NADA has in RFC 8698. No I/O; ``now`` is the sender's clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from math import inf
from typing import Literal, Protocol

from media.limits import (
    ESTIMATE_MAX_BPS,
    ESTIMATE_MIN_BPS,
    ESTIMATE_SENT_PACKETS,
    ESTIMATE_SETTLE_S,
    ESTIMATE_SILENCE_S,
    ESTIMATE_START_BPS,
)
from media.relay.gradient import DelayGradient
from media.relay.line_queue import LineQueue
from media.relay.loss import LossControl
from media.rtp.numbers import Unwrapper
from media.rtp.twcc import REFERENCE_BITS, REFERENCE_S, TICK_S, TransportFeedback

_BACKOFF = 0.85  # of what arrived, on overuse
_GROWTH = 1.08  # a second, while the capacity is not known
_AHEAD = 1.5  # a target further ahead of what arrives is a guess: only a probe may make it
_AHEAD_BPS = 10_000
_ARRIVED_SHARE = 0.95  # what arrived without overuse has room
_RATE_WINDOW_S = 0.6
_BUSY_WINDOW_S = 0.15  # the shortest over which a rate is taken
_CAPACITY_WEIGHT = 0.05
_ADDED_PACKET_BITS = 9_600  # a packet more in each response time, near the capacity
_RESPONSE_S = 0.1  # of the receiver's feedback and our detector, beside the round trip
_QUEUE_MEMORY_S = 2.0  # a queue that was seen explains losses for so long: they are told a second late
_REST_S = 1.0  # after a decrease
_EPISODE_S = 2.0  # in which a long queue is ours
_LEAST_BACKOFF = 0.6  # of the target, while the line was not seen to be full: little arrives of little sent
_NARROWER = 1.25  # times what comes now came before: the line has changed, and the past says nothing
_DRAIN_SHARE = 0.4
_DRAIN_S = 1.0  # after a decrease, at most
_SENT_MASK = ESTIMATE_SENT_PACKETS - 1

State = Literal["hold", "increase", "decrease"]


Acknowledged = tuple[int, float, float, int]
"""One packet that arrived: its number, when it was sent and when it arrived (seconds, each on its own side's
clock), its bytes. A plain tuple, as there is one for every packet."""


class Sent(Protocol):
    """What left with which transport-wide number, until the receiver tells of it."""

    def acknowledge(
        self, base: int, arrivals: Sequence[tuple[int, int]], reference: float
    ) -> list[Acknowledged]:
        """Take out what arrived.

        :param base: number (its low 16 bits count) that the offsets of ``arrivals`` are added to.
        :param arrivals: (offset, ticks of 250 us after ``reference``, which is in seconds).
        """


class SentLog:
    """Of one transport; a ring of `ESTIMATE_SENT_PACKETS`."""

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
        ring = self._ring
        found: list[Acknowledged] = []
        for offset, ticks in arrivals:
            number = base + offset
            entry = ring[number & _SENT_MASK]
            if entry is not None and (entry[0] - number) & 0xFFFF == 0:
                ring[number & _SENT_MASK] = None
                found.append((entry[0], entry[1], reference + ticks * TICK_S, entry[2]))
        return found


class BandwidthEstimator:
    """Estimate of one transport's outgoing path.

    `on_feedback` for what the receiver says, `target_bps` at any time.

    :param sent: what left with which number.
    """

    __slots__ = (
        "_at",
        "_before_cut",
        "_capacity",
        "_capacity_spread",
        "_congested_at",
        "_decreased_at",
        "_doubted",
        "_expected",
        "_feedback_at",
        "_first_feedback_at",
        "_gradient",
        "_loss",
        "_numbers",
        "_queue",
        "_queued_at",
        "_rates",
        "_references",
        "_sent",
        "_target",
        "beside_bps",
        "cut_ended_at",
        "probing",
        "rtt_s",
        "state",
    )

    def __init__(self, sent: Sent | None = None, start_bps: int = ESTIMATE_START_BPS) -> None:
        self._sent = SentLog() if sent is None else sent
        self._target = float(start_bps)
        self._gradient = DelayGradient()
        self._loss = LossControl()
        self._queue = LineQueue()
        self._doubted = False  # the gradient saw overuse, and nothing else does yet
        self._numbers = Unwrapper(16)
        self._references = Unwrapper(REFERENCE_BITS)
        self._expected: int | None = None  # number after the newest one spoken of
        self._rates: deque[tuple[float, int]] = deque()  # (last arrival, bytes) of each feedback
        self._feedback_at: float | None = None
        self._first_feedback_at = 0.0
        self._at: float | None = None  # of the last change
        self._decreased_at = 0.0
        self._queued_at = -inf
        self._congested_at = 0.0  # when the line became full, with an empty queue before
        self.cut_ended_at = -inf
        self._before_cut = 0.0
        self._capacity: float | None = None  # of the line, learned on overuse; bits per second
        self._capacity_spread = 0.0
        self.probing: tuple[int, int] | None = None  # numbers of a probe: a bump in delay that we made
        self.beside_bps = 0.0  # what goes to the receiver beside what is estimated here
        self.rtt_s = 0.2
        self.state: State = "hold"

    @property
    def told(self) -> bool:
        """Whether the receiver has ever said anything: before that the target is a guess."""
        return self._feedback_at is not None

    def settled(self, now: float) -> bool:
        """Whether the target is to be kept to: enough was heard, or the line was seen to be full."""
        return self.told and (now - self._first_feedback_at >= ESTIMATE_SETTLE_S or self._decreased_at > 0)

    @property
    def loss_fraction(self) -> float:
        """0..1, over the last second."""
        return self._loss.fraction

    def at_rest(self, now: float) -> bool:
        """Nothing waits in the line, nor did of late: only then a probe shows what there is room for."""
        return not (self.overusing or self._queue.stands) and now - self._decreased_at > _REST_S

    def pace_bps(self, now: float) -> int:
        """How fast what waits may leave: the target, less while the line's own queue is to drain."""
        drains = self._queue.is_long and now - self._decreased_at < _DRAIN_S
        return round(self._target * (_DRAIN_SHARE if drains else 1.0))

    @property
    def overusing(self) -> bool:
        return self._gradient.signal == "overuse"

    def queued(self, now: float) -> bool:
        """Whether packets queued on the line of late: what is lost then is lost for want of room."""
        return now - self._queued_at < _QUEUE_MEMORY_S

    @property
    def arriving_bps(self) -> float | None:
        """What arrives at the receiver; None until two feedbacks have told."""
        rates = self._rates
        if len(rates) < 2 or rates[-1][0] - rates[0][0] < TICK_S:
            return None
        return 8 * (sum(size for _, size in rates) - rates[0][1]) / (rates[-1][0] - rates[0][0])

    def _busy_bps(self) -> float | None:
        """What arrives at the fullest: over the last few feedbacks alone when that is more.

        After a quiet time, the key frame that fills the line says what it carries, and the average does not.
        """
        average = self.arriving_bps
        if average is None:
            return None
        best = average
        newest = self._rates[-1][0]
        size = 0
        for at, octets in reversed(self._rates):
            if newest - at >= _BUSY_WINDOW_S:
                best = max(best, 8 * size / (newest - at))
            size += octets
        return best

    def target_bps(self, now: float) -> int:
        """What may be sent, retransmissions and all; bits per second of UDP payload before protection."""
        return round(self._target)

    def allocatable_bps(self, now: float) -> int:
        """What there is to share out: the target, or for a second after a cut what it was before.

        Most lines come back as they were, and a track that is given up for an instant stands still for a
        second or two; the first sign of a full line ends it.
        """
        if now - self.cut_ended_at < ESTIMATE_SETTLE_S and self._decreased_at < self.cut_ended_at:
            return round(max(self._target, self._before_cut))
        return round(self._target)

    def on_feedback(self, feedback: TransportFeedback, now: float) -> list[Acknowledged]:
        """Learn from one feedback; returns the packets that it newly says arrived."""
        silent = self._hear(now)
        base = self._numbers.unwrap(feedback.base_sequence)
        acknowledged = self._acknowledge(feedback, base)
        end = base + feedback.status_count
        expected = 0 if self._expected is None else max(0, end - self._expected)
        self._expected = end if self._expected is None else max(end, self._expected)
        if silent:
            self._after_silence(expected, len(acknowledged), now)
        else:
            self._loss.count(expected, expected - len(acknowledged) if expected else 0, now)
        if acknowledged:
            self.rtt_s += 0.125 * (max(0.0, now - acknowledged[-1][1]) - self.rtt_s)
            self._measure(acknowledged)
        self._control(now)
        return acknowledged

    def on_arrivals(self, arrived: list[Acknowledged], now: float) -> None:
        """Learn on the receiving side, where arrivals are seen and losses are the sender's business."""
        if self._hear(now):
            self._after_silence(0, 0, now)
        self._measure(arrived)
        self._control(now)

    def _hear(self, now: float) -> bool:
        """Something is known again; True when nothing was for long."""
        if self._feedback_at is None:
            self._first_feedback_at = self._feedback_at = now
        silent = now - self._feedback_at > ESTIMATE_SILENCE_S
        self._feedback_at = now
        return silent

    def probed(self, bps: float, now: float) -> None:
        """A probe showed that so much goes through."""
        if bps > self._target:
            self._capacity = None
            self._set(bps, now)

    def _acknowledge(self, feedback: TransportFeedback, base: int) -> list[Acknowledged]:
        reference = self._references.unwrap(feedback.reference_time) * REFERENCE_S
        return self._sent.acknowledge(base, feedback.arrivals, reference)

    def _measure(self, acknowledged: list[Acknowledged]) -> None:
        gradient = self._gradient
        size = sum([one[3] for one in acknowledged])
        acknowledged = [one for one in acknowledged if one[3]]
        if not acknowledged:
            return
        if self.probing is None:
            gradient.packets(acknowledged)
        else:
            first, last = self.probing
            gradient.packets([one for one in acknowledged if not first <= one[0] <= last])
        if self._queue_counts:
            self._queue.heard(acknowledged)
        newest = acknowledged[-1][2]
        rates = self._rates
        rates.append((newest, size))
        while rates[0][0] < newest - _RATE_WINDOW_S:
            rates.popleft()

    def _after_silence(self, expected: int, arrived: int, now: float) -> None:
        """Nothing was heard for a while. If much was lost meanwhile the line may be another one now."""
        self._gradient.reset()
        self._queue.reset()
        self._loss.reset()
        self._rates.clear()
        self._capacity = None
        if expected > 2 * arrived:
            self._before_cut = self._target
            self.cut_ended_at = now
            self._target = max(self._target / 2, ESTIMATE_MIN_BPS)

    # -- the controller ------------------------------------------------------------------------------------

    def _control(self, now: float) -> None:
        arriving = self.arriving_bps
        lowered = self._loss.lower(self._target, arriving, self.rtt_s, self.queued(now), now)
        if self._gradient.signal == "overuse" or (self._queue.stands and self._queue_counts):
            self._queued_at = now
        if self._queue.drains and self._queue_counts:
            self.state = "hold"  # what was done about it works
            self._at = now
        elif self._gradient.signal == "overuse" or self._is_full(now):
            self._congested(now)
        elif self._gradient.signal == "underuse" or (self._queue.stands and self._queue_counts):
            self.state = "hold"  # the queue drains; let it
            self._at = now
        else:
            self._increase(arriving, now)
        if lowered is not None and lowered < self._target:
            self.state = "decrease"
            self._decreased_at = now
            self._set(lowered, now)

    def _is_full(self, now: float) -> bool:
        """The queue says so: it grows, or what was done about it was not enough.

        Not for ever: a queue that others fill would take everything from us.
        """
        queue = self._queue
        if not self._queue_counts:
            return False
        return queue.grows or (queue.is_long and not queue.stepped and now - self._congested_at < _EPISODE_S)

    @property
    def _queue_counts(self) -> bool:
        return self.probing is None  # which fills it by itself

    def _congested(self, now: float) -> None:
        """The delay grows. What the full line carries is the answer; where that is unknown, wait once for it.

        What the gradient saw may have been a longer way: then nothing is full.
        """
        full = self._queue.full_bps(self.beside_bps)
        if self._queue.moved and not self._loss.holds(queued=True):
            self._queue.reset()
            self._gradient.reset()
            self.state = "hold"
        elif full is None and (self._queue.fills or self._queue.stepped or not self._doubted):
            self._doubted = True
            self.state = "hold"
            self._at = now
            return
        else:
            self._yield(full, self._busy_bps(), now)
        self._doubted = False

    def _yield(self, full: float | None, busy: float | None, now: float) -> None:
        """Down to what the full line carries, or to a part of what arrived at the fullest."""
        if busy is None:
            return
        if full is not None and busy > _NARROWER * full:
            self._decrease(full, _BACKOFF * full, now)
        else:
            least = _LEAST_BACKOFF * self._target if full is None else 0.0
            self._decrease(busy, max(_BACKOFF * busy, least), now)

    def _decrease(self, arriving: float, bps: float, now: float) -> None:
        answered = min(max(self.rtt_s, 0.01), 0.2) + self._queue.waiting_s + _RESPONSE_S
        if now - self._decreased_at < answered:
            return
        if now - self._decreased_at > _EPISODE_S:
            self._congested_at = now
        self._decreased_at = now
        self.state = "decrease"
        if arriving < self._target:
            self._learn_capacity(arriving)
        self._set(min(self._target, bps), now)
        while len(self._rates) > 1:
            self._rates.popleft()  # what came before shows no room any more

    def _increase(self, arriving: float | None, now: float) -> None:
        self.state = "increase"
        elapsed = min(now - self._at, 1.0) if self._at is not None else 0.0
        self._at = now
        if arriving is None or self._loss.holds(self.queued(now)):
            return
        if self._capacity is not None and arriving > self._capacity + 3 * self._capacity_spread:
            self._capacity = None  # the line has become wider
        if self._capacity is None:
            grown = self._target * _GROWTH**elapsed
        else:
            grown = self._target + _ADDED_PACKET_BITS / (self.rtt_s + _RESPONSE_S) * elapsed
        grown = min(grown, max(self._target, _AHEAD * arriving + _AHEAD_BPS))
        self._set(max(grown, _ARRIVED_SHARE * arriving), now)

    def _learn_capacity(self, arriving: float) -> None:
        """Mean and spread of what arrived while the line was full (gcc-02 section 5.5)."""
        if self._capacity is None:
            self._capacity = arriving
            self._capacity_spread = 0.1 * arriving
            return
        error = arriving - self._capacity
        self._capacity += _CAPACITY_WEIGHT * error
        spread = self._capacity_spread + _CAPACITY_WEIGHT * (abs(error) - self._capacity_spread)
        self._capacity_spread = min(max(spread, 0.02 * self._capacity), 0.1 * self._capacity)

    def _set(self, bps: float, now: float) -> None:
        self._target = min(max(bps, ESTIMATE_MIN_BPS), ESTIMATE_MAX_BPS)
        self._at = now

"""How much a receiver's downlink carries: send-side estimation from transport-wide feedback.

Google Congestion Control (draft-ietf-rmcat-gcc-02; Carlucci et al., MMSys 2016): an additive-increase,
multiplicative-decrease controller driven by the delay gradient, and a loss-based one beside it. It meets the
requirements of RFC 8836 and has the place that NADA has in RFC 8698. No I/O; ``now`` is the sender's clock.
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import Literal

from media.limits import (
    ESTIMATE_MAX_BPS,
    ESTIMATE_MIN_BPS,
    ESTIMATE_SETTLE_S,
    ESTIMATE_START_BPS,
)
from media.relay.gradient import Signal
from media.relay.hearing import Heard, Hearing, PlainHearing
from media.relay.line_queue import LineQueue
from media.relay.loss import LossControl
from media.rtp.twcc import TICK_S

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
_BRAKE_SHARE = 0.2  # of what arrives while a queue fills that nothing is known of yet; the pacer adds to it
_BRAKE_LEAST_BPS = 30_000  # what voices send counts: a gate that is slower stays closed after the brake
_BRAKE_S = 0.4  # at most: then it is known, or it was none
_BRAKE_REST_S = (1.0, 8.0)  # after a false alarm, doubled with each: radio makes short queues all day
_NEWEST_S = 0.04  # what arrives just now is taken over so long at least

State = Literal["hold", "increase", "decrease"]


class BandwidthEstimator:
    """Estimate of one transport's outgoing path.

    `heard` for what the receiver says, `target_bps` at any time.

    :param hearing: whose words it is told; asked to forget delays where the way is another one.
    """

    __slots__ = (
        "_at",
        "_before_cut",
        "_brake_bps",
        "_brake_rest_s",
        "_braked_at",
        "_capacity",
        "_capacity_spread",
        "_congested_at",
        "_decreased_at",
        "_doubted",
        "_first_feedback_at",
        "_hearing",
        "_loss",
        "_probing",
        "_queue",
        "_queued_at",
        "_rates",
        "_signal",
        "_target",
        "beside_bps",
        "cut_ended_at",
        "rtt_s",
        "state",
    )

    def __init__(self, hearing: Hearing | None = None, start_bps: int = ESTIMATE_START_BPS) -> None:
        self._hearing = PlainHearing() if hearing is None else hearing
        self._signal: Signal = "normal"  # of the delay gradient
        self._target = float(start_bps)
        self._loss = LossControl()
        self._queue = LineQueue()
        self._doubted = False  # the gradient saw overuse, and nothing else does yet
        self._rates: deque[tuple[float, int]] = deque()  # (last arrival, bytes) of each feedback
        self._first_feedback_at: float | None = None
        self._at: float | None = None  # of the last change
        self._decreased_at = 0.0
        self._queued_at = -inf
        self._congested_at = 0.0  # when the line became full, with an empty queue before
        self._braked_at = -inf
        self._brake_rest_s = 0.0
        self._brake_bps = inf  # while something fills the line and what it carries is not known
        self.cut_ended_at = -inf
        self._before_cut = 0.0
        self._capacity: float | None = None  # of the line, learned on overuse; bits per second
        self._capacity_spread = 0.0
        self._probing = False
        self.beside_bps = 0.0  # what goes to the receiver beside what is estimated here
        self.rtt_s = 0.2
        self.state: State = "hold"

    @property
    def told(self) -> bool:
        """Whether the receiver has ever said anything: before that the target is a guess."""
        return self._first_feedback_at is not None

    def settled(self, now: float) -> bool:
        """Whether the target is to be kept to: enough was heard, or the line was seen to be full."""
        first = self._first_feedback_at
        return first is not None and (now - first >= ESTIMATE_SETTLE_S or self._decreased_at > 0)

    @property
    def loss_fraction(self) -> float:
        """0..1, over the last second."""
        return self._loss.fraction

    def at_rest(self, now: float) -> bool:
        """Nothing waits in the line, nor did of late: only then a probe shows what there is room for."""
        return not (self.overusing or self._queue.stands) and now - self._decreased_at > _REST_S

    def pace_bps(self, now: float) -> int:
        """How fast what waits may leave: the target, less while the line's own queue fills or is to drain."""
        if self._brakes(now):
            return round(min(self._target, self._brake_bps))
        drains = self._queue.is_long and now - self._decreased_at < _DRAIN_S
        return round(self._target * (_DRAIN_SHARE if drains else 1.0))

    def _brakes(self, now: float) -> bool:
        return self._brake_bps < inf and now - self._braked_at < _BRAKE_S

    @property
    def overusing(self) -> bool:
        return self._signal == "overuse"

    def queued(self, now: float) -> bool:
        """Whether packets queued on the line of late: what is lost then is lost for want of room."""
        return now - self._queued_at < _QUEUE_MEMORY_S

    @property
    def queued_s(self) -> float:
        """How long the luckiest packet of the newest feedback stood in the line's queue."""
        return self._queue.waiting_s if self._queue.stands else 0.0

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

    def heard(self, heard: Heard) -> None:
        """Learn from what the receiver says, or from what was seen to arrive."""
        now = heard.at
        if self._first_feedback_at is None:
            self._first_feedback_at = now
        self._signal = heard.signal
        if heard.silent:
            self._after_silence(heard.expected, heard.arrived, now)
        else:
            self._loss.count(heard.expected, heard.expected - heard.arrived if heard.expected else 0, now)
        if heard.arrived and heard.packets:
            self.rtt_s += 0.125 * (max(0.0, now - heard.packets[-1][1]) - self.rtt_s)
        self._measure(heard)
        self._control(now)

    @property
    def calm_delay_s(self) -> float | None:
        """Packets that took no longer have not waited; None while the line is to be watched closely."""
        queue = self._queue
        watched = queue.stands or queue.fills or self._probing or self._doubted or self._loss.fraction > 0
        return None if watched or self._signal != "normal" else queue.calm_delay_s

    def probing(self, numbers: tuple[int, int] | None) -> None:
        """A probe with these numbers is under way: a bump in delay that we made; None: none is any more."""
        if numbers is not None or self._probing:
            self._probing = numbers is not None
            self._hearing.probing(numbers)

    def probed(self, bps: float, now: float) -> None:
        """A probe showed that so much goes through."""
        if bps > self._target:
            self._capacity = None
            self._set(bps, now)

    def _measure(self, heard: Heard) -> None:
        timed = [one for one in heard.packets if one[3]]
        if not timed:
            return
        if self._queue_counts:
            self._queue.heard(timed)
        rates = self._rates
        rates.extend(heard.rates)
        while rates and rates[0][0] < rates[-1][0] - _RATE_WINDOW_S:
            rates.popleft()

    def _after_silence(self, expected: int, arrived: int, now: float) -> None:
        """Nothing was heard for a while. If much was lost meanwhile the line may be another one now."""
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
        self._brake(now)
        lowered = self._loss.lower(self._target, arriving, self.rtt_s, self.queued(now), now)
        if self._signal == "overuse" or (self._queue.stands and self._queue_counts):
            self._queued_at = now
        if self._queue.drains and self._queue_counts and not self._brakes(now):
            self.state = "hold"  # what was done about it works
            self._at = now
        elif (self.overusing and not self._is_over) or self._is_full(now):
            self._congested(now)
        elif self._signal != "normal" or (self._queue.stands and self._queue_counts):
            self.state = "hold"  # the queue drains; let it
            self._at = now
        else:
            self._increase(arriving, now)
        if lowered is not None and lowered < self._target:
            self.state = "decrease"
            self._decreased_at = now
            self._set(lowered, now)

    def _brake(self, now: float) -> None:
        """A queue begins: hold back until it is known what the line carries, or that there was nothing.

        It fills faster than that becomes known, and voices stand in it: 0.3 s of queue instead of 0.1.
        """
        if self._brake_bps < inf:
            if not (self._brakes(now) and (self._queue.stands or self._queue.begins)):
                self._brake_bps = inf
                least, most = _BRAKE_REST_S
                self._brake_rest_s = min(max(least, 2 * self._brake_rest_s), most)
        elif self._queue.begins and self._queue_counts and now - self._braked_at > self._brake_rest_s:
            newest = self._newest_bps()
            if newest is not None:
                self._braked_at = now
                self._brake_bps = max(_BRAKE_SHARE * newest, _BRAKE_LEAST_BPS)

    def _newest_bps(self) -> float | None:
        """What arrives just now; None before there is a feedback to compare with."""
        rates, size = self._rates, 0
        for at, octets in reversed(rates):
            if rates[-1][0] - at >= _NEWEST_S:
                return 8 * size / (rates[-1][0] - at)
            size += octets
        return None

    def _is_full(self, now: float) -> bool:
        """The queue says so: it grows, or what was done about it was not enough.

        Not for ever: a queue that others fill would take everything from us.
        """
        queue = self._queue
        if not self._queue_counts:
            return False
        if self._brakes(now) and self._target > (queue.full_bps(self.beside_bps) or inf):
            return True
        return queue.grows or (queue.is_long and not queue.stepped and now - self._congested_at < _EPISODE_S)

    @property
    def _is_over(self) -> bool:
        """Overuse was seen, and is past: the queue has gone, and nothing was lost."""
        return self._queue.is_gone and not self._loss.fraction

    @property
    def _queue_counts(self) -> bool:
        return not self._probing  # a probe fills it by itself

    def _congested(self, now: float) -> None:
        """The delay grows. What the full line carries is the answer; where that is unknown, wait once for it.

        What the gradient saw may have been a longer way: then nothing is full.
        """
        full = self._queue.full_bps(self.beside_bps)
        if self._queue.moved and not self._loss.holds(queued=True):
            self._queue.reset()
            self._hearing.forget_delays()
            self._signal = "normal"
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
        self._brake_bps, self._brake_rest_s = inf, 0.0
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

"""Feedback counters: what came (RFC 3550 appendix A.1, A.3, A.8), what is missing (RFC 4585), how fast."""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import inf
from typing import NamedTuple

from media.limits import (
    FREEZE_S,
    NACK_MAX_AGE_S,
    NACK_MAX_MISSING,
    NACK_MAX_TRIES,
    NACK_MIN_RETRY_S,
    VOICE_NACK_MAX_AGE_S,
    VOICE_NACK_RETRY_S,
)
from media.rtp.clocks import short_from_seconds
from media.rtp.numbers import ts_diff
from media.rtp.rtcp import ReportBlock

_FIRST_ROUND_TRIP_S = 0.1  # assumed until a retransmission has told
_ROUND_TRIP_WEIGHT = 0.125  # of a new sample, as in RFC 6298


class Reception(ABC):
    """What receiver reports say of one incoming stream. Retransmissions (RTX) are not counted in it.

    The counters are a plane's: `CountedReception` of the plain one.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def counts(self) -> ReceptionCounts:
        """As they are now."""


class ReceptionCounts(NamedTuple):
    """Since the stream began.

    :param expected: packets, by the numbers seen.
    :param highest: the newest number, unwrapped.
    :param jitter: clock ticks.
    :param bursts: holes in the numbers, however long.
    :param frames: timestamps seen.
    :param frozen_s: in gaps between frames of `FREEZE_S` and longer.
    """

    expected: int
    highest: int
    packets: int
    octets: int
    jitter: float
    bursts: int
    frames: int
    frozen_s: float

    @property
    def lost(self) -> int:
        """Negative when there were duplicates."""
        return self.expected - self.packets


class CountedReception(Reception):
    """Counts each packet (RFC 3550 appendix A.1, A.8)."""

    __slots__ = (
        "_clock_rate",
        "_expected_before",
        "_first",
        "_frame_at",
        "_frame_timestamp",
        "_received_before",
        "_transit",
        "bursts",
        "frames",
        "frozen_s",
        "highest",
        "jitter",
        "last_sr",
        "last_sr_at",
        "octets",
        "packets",
    )

    def __init__(self, clock_rate: int) -> None:
        self._expected_before = 0
        self._received_before = 0
        self.last_sr = 0
        self.last_sr_at = 0.0
        self._clock_rate = clock_rate
        self._first: int | None = None
        self._transit: int | None = None
        self.highest = 0
        self.packets = 0
        self.octets = 0
        self.jitter = 0.0
        self.bursts = 0
        self.frames = 0
        self.frozen_s = 0.0
        self._frame_timestamp = -1
        self._frame_at = 0.0

    @property
    def counts(self) -> ReceptionCounts:
        expected = 0 if self._first is None else self.highest - self._first + 1
        return ReceptionCounts(
            expected,
            self.highest,
            self.packets,
            self.octets,
            self.jitter,
            self.bursts,
            self.frames,
            self.frozen_s,
        )

    def sender_report(self, ntp_middle: int, now: float) -> None:
        self.last_sr = ntp_middle
        self.last_sr_at = now

    def report(self, ssrc: int, now: float, counts: ReceptionCounts | None = None) -> ReportBlock:
        """The report block for the time since the last one (RFC 3550 appendix A.3).

        :param counts: as just read.
        """
        counts = self.counts if counts is None else counts
        expected = counts.expected - self._expected_before
        received = counts.packets - self._received_before
        self._expected_before, self._received_before = counts.expected, counts.packets
        lost = expected - received
        fraction = min(255, (lost << 8) // expected) if expected > 0 and lost > 0 else 0
        delay = short_from_seconds(now - self.last_sr_at) if self.last_sr else 0
        cumulative = max(-0x800000, min(0x7FFFFF, counts.lost))
        return ReportBlock(
            ssrc, fraction, cumulative, counts.highest & 0xFFFFFFFF, int(counts.jitter), self.last_sr, delay
        )

    def received(self, sequence: int, timestamp: int, size: int, now: float) -> None:
        """One packet with its unwrapped sequence number; padding-only packets count too, as they have one."""
        if self._first is None:
            self._first = self.highest = sequence
        if sequence > self.highest:
            self.bursts += sequence > self.highest + 1
            self.highest = sequence
        if timestamp != self._frame_timestamp:
            self._count_frame(timestamp, now)
        self.packets += 1
        self.octets += size
        transit = (round(now * self._clock_rate) - timestamp) & 0xFFFFFFFF
        if self._transit is not None:
            self.jitter += (abs(ts_diff(transit, self._transit)) - self.jitter) / 16
        self._transit = transit

    def _count_frame(self, timestamp: int, now: float) -> None:
        if self.frames and now - self._frame_at >= FREEZE_S:
            self.frozen_s += now - self._frame_at
        self._frame_timestamp, self._frame_at = timestamp, now
        self.frames += 1


class Patience(NamedTuple):
    """How what is missing is asked for.

    :param max_age_s: how long it is of use.
    :param retry_s: the least between two requests.
    :param round_trips: the same in round trips.
    """

    max_age_s: float
    retry_s: float
    round_trips: float


PICTURE = Patience(NACK_MAX_AGE_S, NACK_MIN_RETRY_S, 1.5)
VOICE = Patience(VOICE_NACK_MAX_AGE_S, VOICE_NACK_RETRY_S, 0.5)


class Missing:
    """Which packets of one stream are missing, and when each is to be asked for again.

    `arrived` after every packet, `take` when it is due. Gives up by age, by tries, or when too much is
    missing; then `lost_for_good` says so once, and a key frame is what helps a picture.

    :param patience: which rule holds, that of pictures or that of voices.
    """

    __slots__ = (
        "_entries",
        "_newest",
        "_patience",
        "_round_trip_known",
        "due",
        "lost_for_good",
        "requested",
        "round_trip",
    )

    def __init__(self, patience: Patience = PICTURE) -> None:
        self._patience = patience
        self._round_trip_known = False
        self._entries: dict[int, list[float]] = {}  # sequence: [tries, next request, missing since]
        self._newest: int | None = None
        self.due = inf
        self.round_trip = _FIRST_ROUND_TRIP_S
        self.requested = 0
        self.lost_for_good = False

    def __len__(self) -> int:
        return len(self._entries)

    def arrived(self, sequence: int, now: float, retransmitted: bool = False) -> bool:
        """Note a packet; True when it is news: newer than all, or one that was missing."""
        newest = self._newest
        if newest is None or sequence > newest:
            self._newest = sequence
            if newest is not None and sequence > newest + 1:
                self._add(newest + 1, sequence, now)
            return True
        entry = self._entries.pop(sequence, None)
        if entry is None:
            return False
        if retransmitted and entry[0] == 1:  # asked once: the answer is to that one request
            self._measured(now - entry[2])
        if not self._entries:
            self.due = inf
        return True

    def asked(self, sequence: int) -> bool:
        """Whether this one is missing and was asked for: what comes now is an answer."""
        entry = self._entries.get(sequence)
        return entry is not None and entry[0] > 0

    def _measured(self, seconds: float) -> None:
        """The first round trip replaces the guess, later ones are averaged."""
        weight = _ROUND_TRIP_WEIGHT if self._round_trip_known else 1.0
        self._round_trip_known = True
        self.round_trip += weight * (seconds - self.round_trip)

    def _add(self, first: int, end: int, now: float) -> None:
        if len(self._entries) + end - first > NACK_MAX_MISSING:
            self._entries.clear()
            self.due = inf
            self.lost_for_good = True
            return
        for sequence in range(first, end):
            self._entries[sequence] = [0, now, now]
        self.due = min(self.due, now)

    def take(self, now: float) -> list[int]:
        """The unwrapped numbers to ask for now."""
        if now < self.due:
            return []
        asked: list[int] = []
        self.due = inf
        patience = self._patience
        retry = max(patience.retry_s, patience.round_trips * self.round_trip)
        for sequence, entry in list(self._entries.items()):
            if entry[0] >= NACK_MAX_TRIES or now - entry[2] > patience.max_age_s:
                del self._entries[sequence]
                self.lost_for_good = True
                continue
            if now >= entry[1]:
                entry[0] += 1
                entry[1] = now + retry
                asked.append(sequence)
            self.due = min(self.due, entry[1])
        self.requested += len(asked)
        return asked

    def forgive(self) -> bool:
        """Whether anything was lost for good since the last call."""
        lost, self.lost_for_good = self.lost_for_good, False
        return lost


class Rate:
    """Bits per second between two readings."""

    __slots__ = ("_at", "_octets", "bits_per_second")

    def __init__(self) -> None:
        self._at: float | None = None
        self._octets = 0
        self.bits_per_second = 0

    def read(self, octets: int, now: float) -> None:
        """``octets`` counted since the beginning."""
        if self._at is not None and now > self._at:
            self.bits_per_second = round(8 * (octets - self._octets) / (now - self._at))
        self._at, self._octets = now, octets

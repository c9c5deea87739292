"""What every source gives: pieces of signals, each with its time on the device's clock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from clients.device.faults import Text
from media.clock import Clock
from media.limits import SIGNAL_MAX_FRAME_BYTES, SIGNAL_MAX_SAMPLES
from media.signals import wire
from media.signals.descriptor import Lead, StreamDescriptor
from media.signals.frames import Samples

CATCH_UP_S = (
    5.0  # a gateway that slept longer, or heard nothing for longer, goes on from now and marks the seam
)

FOLLOW = 0.06
"""Of the time that passes. So a frame of 200 ms is longer than the one before by 12 ms, the least margin of
who draws it (`clients/web/src/ecg/playout.ts`): a pen goes slower for 2 s, where a jump would let it stand.
"""
FRAME_BYTES = SIGNAL_MAX_FRAME_BYTES - 128
"""Of samples: beside header and CRC there is room for what zlib adds to noise."""

Sleep = Callable[[float], Awaitable[None]]
Tell = Callable[[Text, str], None]
"""Says something to the person beside the gateway; the text behind it is a detail."""


@dataclass(slots=True)
class FrameLength:
    """How much time the next frames hold; whoever runs the gateway leads it to what the server would like.

    :param wished_ms: where `follow` goes; None for nowhere.
    """

    ms: float = wire.FRAME_MS
    wished_ms: int | None = None
    _followed_at: float = 0.0

    def follow(self, now: float) -> None:
        """A frame was made; monotonic seconds. A little nearer to the wish, never in one step."""
        passed_ms, self._followed_at = (now - self._followed_at) * 1000, now
        if self.wished_ms is not None and self.wished_ms != self.ms:
            step = FOLLOW * min(passed_ms, self.ms)
            self.ms = max(self.ms - step, min(self.ms + step, self.wished_ms))

    def samples(self, rate_hz: float, leads: int) -> int:
        """Samples of each lead in a frame, one at least; never more than a frame holds."""
        most = min(SIGNAL_MAX_SAMPLES, FRAME_BYTES // (2 * leads))
        return min(most, max(1, round(rate_hz * self.ms / 1000)))


@dataclass(frozen=True, slots=True)
class Signal:
    """One stream's worth of what a source measures. Equal signals are the same stream."""

    kind: str
    label: str
    sampling_rate_hz: float
    leads: tuple[Lead, ...]

    @property
    def place(self) -> tuple[str, ...]:
        """What stays when rate or scale change: the source's kind, name and leads."""
        return (self.kind, self.label, *(lead.code for lead in self.leads))

    def descriptor(self, stream_id: str, group: str = "") -> StreamDescriptor:
        """The stream that carries it."""
        return StreamDescriptor(stream_id, self.kind, self.label, self.sampling_rate_hz, self.leads, group)


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """The next samples of one signal.

    :param samples: int16, shape (samples, leads); at most what a frame holds.
    :param time_ns: the device's clock at the first sample, ns since the Unix epoch.
    :param seam: it does not continue the piece before it.
    """

    signal: Signal
    samples: Samples
    time_ns: int
    seam: bool


class Source(Protocol):
    """Gives pieces until it is over; a live one never is, and connects again by itself.

    ``signals`` are those that are known before the first piece.
    """

    @property
    def signals(self) -> tuple[Signal, ...]: ...

    def pieces(self) -> AsyncIterator[Piece]:
        """Raises `clients.device.faults.DeviceFault` when it cannot go on."""


class Pacer:
    """Lets a record out at its own pace: waits for each piece's end and tells when it began."""

    def __init__(self, clock: Clock, sleep: Sleep) -> None:
        self._clock = clock
        self._sleep = sleep
        self._origin_s = 0.0
        self._started, self._started_ns = clock.monotonic(), round(clock.wall() * 1e9)

    async def pass_by(self, begin_s: float, end_s: float) -> tuple[int, bool]:
        """Wait until ``end_s`` of the record's time; when ``begin_s`` was, ns, and whether we slept through
        it.
        """
        wait = self._started + end_s - self._origin_s - self._clock.monotonic()
        if wait > 0:
            await self._sleep(wait)
        slept_through = -wait > CATCH_UP_S
        if slept_through:
            self._origin_s = begin_s
            self._started, self._started_ns = self._clock.monotonic(), round(self._clock.wall() * 1e9)
        return self._started_ns + round((begin_s - self._origin_s) * 1e9), slept_through


class Gatherer:
    """Cuts what a live source gives, however it comes, into pieces of a frame's length, and times them.

    Time is counted in samples from the first on: that is the device's own clock, whose drift the server
    estimates. When samples stay away for `CATCH_UP_S` the count begins anew, with a seam.
    """

    def __init__(self, signal: Signal, clock: Clock, length: FrameLength) -> None:
        self.signal = signal
        self._clock = clock
        self._length = length
        self._waiting = np.empty((0, len(signal.leads)), dtype=np.int16)
        self._began_ns = 0
        self._counted = -1
        self._broken = True

    def break_off(self) -> None:
        """Samples were lost before the next ones: they do not continue what came before."""
        self._broken = True

    def add(self, samples: Samples) -> Iterator[Piece]:
        """Samples that were just measured; whole pieces of them."""
        late_s = self._clock.wall() - (self._began_ns / 1e9 + self._seconds(self._counted + len(samples)))
        if self._counted < 0 or self._broken or abs(late_s) > CATCH_UP_S:
            yield from self._rest()
            self._began_ns = round((self._clock.wall() - self._seconds(len(samples))) * 1e9)
            self._counted, self._broken = 0, False
            self._seam = True
        self._counted += len(samples)
        self._waiting = np.concatenate([self._waiting, samples])
        size = self._length.samples(self.signal.sampling_rate_hz, len(self.signal.leads))
        while len(self._waiting) >= size:
            yield self._cut(size)

    def _rest(self) -> Iterator[Piece]:
        """What waits, shorter than a piece."""
        if len(self._waiting):
            yield self._cut(len(self._waiting))

    def _cut(self, size: int) -> Piece:
        before = self._counted - len(self._waiting)
        samples, self._waiting = self._waiting[:size], self._waiting[size:]
        seam, self._seam = self._seam, False
        return Piece(self.signal, samples, self._began_ns + round(self._seconds(before) * 1e9), seam)

    def _seconds(self, samples: int) -> float:
        return samples / self.signal.sampling_rate_hz

"""A device's clock against ours: offset and drift, from when frames were measured and when they came.

A frame cannot arrive before it was measured, so (arrival - end of frame) is the clocks' offset, plus drift,
plus a delay that is never negative. In each window the smallest difference is kept, since some frame had
little delay (the minimum filter of NTP, RFC 5905 section 10). Over the windows kept, drift is the median of
the slopes of all pairs that lie at least half the span apart (Theil-Sen), and the offset line lies below all
points and touches one (the lower envelope of one-way delays: Moon, Skelly, Towsley 1999).

If each window holds a frame whose delay exceeds the shortest by at most e, each of those slopes is wrong by
at most 2 e / span, and the line, anywhere on the span, by at most 3 e. Before there is a minute of windows,
drift counts as 0, which is wrong by 6 ms for a crystal that is wrong by 100 ppm.

A clock that is set shows as frames that arrive "before" the line by more than any jitter, as a step within
the stream, or as two whole windows far above the line. Then everything learned is wrong: a new estimate
begins, and `observe` says so, so that the record is marked.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np

from media.signals.frames import FLAG_BACKFILL, FLAG_SEAM, FrameHeader

WINDOW_NS: Final = 10_000_000_000  # in 10 s of frames one finds a free line, also beside video
WINDOWS: Final = 60  # ten minutes: longer would follow a warming crystal too slowly
MIN_SPAN_NS: Final = 60_000_000_000  # below a minute of baseline jitter weighs more than any crystal's drift
MAX_DRIFT: Final = 500e-6  # crystals keep 100 ppm; what is beyond is jitter, not drift
JUMP_NS: Final = 1_000_000_000  # a clock that is set moves further; the windows follow a step below this
LATE_WINDOWS: Final = 2  # a full line delays frames for seconds, not all frames of 20 s


@dataclass(frozen=True, slots=True)
class ClockLine:
    """``ours = device + offset_ns + drift * (device - anchor_ns)``.

    :param drift: seconds that ours gains a second of the device's; 1e-6 is one ppm.
    """

    anchor_ns: int
    offset_ns: int
    drift: float = 0.0

    def to_ours(self, device_ns: int) -> int:
        """A device's time on our clock, ns since the Unix epoch."""
        return device_ns + self.offset_ns + round(self.drift * (device_ns - self.anchor_ns))

    def to_device(self, ours_ns: int) -> int:
        """The other way round, to a nanosecond or two."""
        near = ours_ns - self.offset_ns
        return near - round(self.drift * (near - self.anchor_ns) / (1 + self.drift))


class DeviceClock:
    """The estimate for one device, fed with its live frames in the order in which they come.

    Frames that were sent late (backfill) say nothing of the clock and are left out by the caller.
    """

    def __init__(self) -> None:
        self.jumps = 0
        self._minima: deque[tuple[int, int]] = deque(maxlen=WINDOWS)  # device ns, smallest difference
        self._drift = 0.0
        self._best: tuple[int, int] | None = None
        self._window_began = 0
        self._late = 0
        self._line: ClockLine | None = None

    @property
    def line(self) -> ClockLine | None:
        """The estimate; None before the first frame."""
        return self._line

    def observe(self, end_ns: int, arrived_ns: int, step_ns: int = 0) -> bool:
        """A live frame: the device's time behind its last sample, and ours when it came.

        :param step_ns: how far its begin lies from the end of the frame that it continues.
        :returns: whether the device's clock was set before it; the line is then a new one.
        """
        difference = arrived_ns - end_ns
        line = self._line
        predicted = 0 if line is None else line.offset_ns + round(line.drift * (end_ns - line.anchor_ns))
        jumped = line is not None and (
            abs(step_ns) > JUMP_NS or self._late >= LATE_WINDOWS or difference - predicted < -JUMP_NS
        )
        if jumped:
            self.jumps += 1
            self._minima.clear()
            self._drift = 0.0
            self._best = self._line = None
        if self._line is None:
            self._window_began, self._late = end_ns, 0
            self._line = ClockLine(end_ns, difference)
            predicted = difference
        if self._best is None or difference < self._best[1]:
            self._best = (end_ns, difference)
            if difference < predicted:
                self._fit()
        if end_ns - self._window_began >= WINDOW_NS:
            self._close_window(end_ns)
        return jumped

    def _predicted(self, device_ns: int) -> int:
        """The difference that the line gives at a device's time."""
        return 0 if self._line is None else self._line.to_ours(device_ns) - device_ns

    def _close_window(self, now_ns: int) -> None:
        if self._best is not None:
            at, difference = self._best
            late = difference > self._predicted(at) + JUMP_NS
            self._late = self._late + 1 if late else 0
            if not late:
                self._minima.append(self._best)
                self._drift = _slope(list(self._minima))
        self._best, self._window_began = None, now_ns
        self._fit()

    def _fit(self) -> None:
        best = [] if self._best is None else [self._best]
        points = [*self._minima, *best]
        if not points:
            return
        anchor = points[0][0]
        drift = self._drift
        offset = min(difference - drift * (at - anchor) for at, difference in points)
        self._line = ClockLine(anchor, round(offset), drift)


class FollowedClock:
    """One stream's frames, fed to the clock of the device that measures it (which other streams may
    share).
    """

    def __init__(self, clock: DeviceClock) -> None:
        self._clock = clock
        self._sequence = -1
        self._end_ns = 0

    @property
    def line(self) -> ClockLine | None:
        return self._clock.line

    @property
    def jumps(self) -> int:
        return self._clock.jumps

    def observe(self, frame: FrameHeader, arrived_ns: int) -> bool:
        """As `DeviceClock.observe`; backfill says nothing of the clock and is passed over."""
        if frame.flags & FLAG_BACKFILL:
            return False
        follows = 0 <= self._sequence == frame.sequence - 1
        step = frame.device_time_ns - self._end_ns if follows else 0
        if frame.flags & FLAG_SEAM:
            step = min(0, step)  # a source may pause before a seam; time never goes back
        end_ns = frame.end_ns
        self._sequence, self._end_ns = frame.sequence, end_ns
        return self._clock.observe(end_ns, arrived_ns, step)


def _slope(points: list[tuple[int, int]]) -> float:
    """Theil-Sen over pairs at least half the span apart; 0 for a span too short to tell."""
    if len(points) < 2:
        return 0.0
    span = points[-1][0] - points[0][0]
    if span < MIN_SPAN_NS:
        return 0.0
    at, lowest = np.array([(one - points[0][0], low - points[0][1]) for one, low in points], dtype=float).T
    apart = at[None, :] - at[:, None]
    far = 2 * apart >= span
    slopes = (lowest[None, :] - lowest[:, None])[far] / apart[far]
    return max(-MAX_DRIFT, min(MAX_DRIFT, float(np.median(slopes))))

"""Frames of one stream on their way to its analyzer: in order, bounded, and what was left out is said.

`put` and `take` belong to the thread that has the sockets, `analyse` to the one that calculates; what passes
between them is a `Batch`, which nobody changes.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from media.limits import ANALYSIS_ROUND_S, ANALYSIS_WAITING_S
from media.signals.analysis.alarms import NO_DATA_S, AlarmLimits, Condition
from media.signals.analysis.analyzer import Block, Findings, StreamAnalyzer
from media.signals.descriptor import StreamDescriptor
from media.signals.frames import FLAG_BACKFILL, FLAG_SEAM, FrameHeader, Payload, samples_of_run

CLOCK_STEP_NS = 500_000_000
"""A device time that is further from the one expected: its clock was set."""


class _Waiting(NamedTuple):
    header: FrameHeader
    payload: Payload
    follows: bool


@dataclass(frozen=True, slots=True)
class Batch:
    """Frames for one round.

    :param skipped_s: of the whole stream, seconds that were left out.
    :param limits: that hold from here on.
    """

    frames: tuple[_Waiting, ...]
    skipped_s: float
    limits: AlarmLimits


class AnalysisFeed:
    """One stream.

    :param descriptor: of a stream that `can_analyse` accepts.
    :param now: monotonic seconds, here and in every call.
    """

    def __init__(self, descriptor: StreamDescriptor, limits: AlarmLimits, now: float) -> None:
        self.descriptor = descriptor
        self.limits = limits
        """Of its alarms; a change holds from the next batch on."""
        self.broken = False
        """It could not be analysed: our mistake; nothing more is taken."""
        self._analyzer = StreamAnalyzer(descriptor, limits)
        self._waiting: deque[_Waiting] = deque()
        self._waiting_samples = 0
        self._skipped_samples = 0
        self._newest: FrameHeader | None = None
        self._hole = True
        self._taken_at = now
        self._heard_at = now

    def put(self, header: FrameHeader, payload: Payload, now: float) -> None:
        """What `inspect` gave of a frame. Backfill and what comes out of order is not analysed."""
        newest = self._newest
        if self.broken or header.flags & FLAG_BACKFILL:
            return
        if newest is not None and header.sequence <= newest.sequence:
            return
        self._heard_at = now
        follows = not self._hole and newest is not None and _follows(newest, header)
        self._newest, self._hole = header, False
        self._waiting.append(_Waiting(header, payload, follows))
        self._waiting_samples += header.samples_per_lead
        if self._waiting_samples > ANALYSIS_WAITING_S * self.descriptor.sampling_rate_hz:
            self._skip()

    def begin_again(self, now: float) -> None:
        """The device came back after a cut."""
        self._hole, self._heard_at = True, now

    def take(self, now: float, round_s: float = ANALYSIS_ROUND_S) -> Batch | None:
        """What waits, when it is ``round_s`` of signal or so long has passed; None otherwise."""
        enough = self._waiting_samples >= round_s * self.descriptor.sampling_rate_hz
        if not self._waiting or not (enough or now - self._taken_at >= round_s):
            return None
        skipped_s = self._skipped_samples / self.descriptor.sampling_rate_hz
        batch = Batch(tuple(self._waiting), skipped_s, self.limits)
        self._waiting.clear()
        self._waiting_samples = 0
        self._taken_at = now
        return batch

    def silent(self, now: float) -> Condition | None:
        """The technical condition of a live stream of which nothing comes."""
        seconds = now - self._heard_at
        return Condition("no_data", "medium", {"seconds": int(seconds)}) if seconds >= NO_DATA_S else None

    def analyse(self, batch: Batch, at: float) -> Findings:
        """Blocks of frames that follow each other, through the analyzer."""
        runs: list[list[_Waiting]] = []
        for frame in batch.frames:
            if runs and frame.follows:
                runs[-1].append(frame)
            else:
                runs.append([frame])
        self._analyzer.limits = batch.limits
        return self._analyzer.push([_joined(run) for run in runs], at, batch.skipped_s)

    def _skip(self) -> None:
        """The server is behind: all that waits is left out, so that the present is seen again soonest."""
        self._skipped_samples += self._waiting_samples
        self._waiting.clear()
        self._waiting_samples = 0
        self._hole = True


def _follows(before: FrameHeader, header: FrameHeader) -> bool:
    in_order = header.sequence == before.sequence + 1 and not header.flags & FLAG_SEAM
    return in_order and abs(header.device_time_ns - before.end_ns) < CLOCK_STEP_NS


def _joined(run: list[_Waiting]) -> Block:
    first = run[0]
    samples = samples_of_run([(frame.payload, frame.header) for frame in run])
    return Block(first.header.device_time_ns / 1e9, samples, first.follows)

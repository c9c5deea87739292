"""A stored ECG looked at afterwards: beats, heart rate and quality over the whole of it.

The same analyzer as live, second by second. It sees more than the live one did: what came late after a cut
is in its place here. Alarms are not made anew; those that were told stand in the record.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from media.errors import RemoteProtocolError
from media.limits import ANALYSIS_REVIEW_S
from media.signals.analysis.alarms import AlarmLimits
from media.signals.analysis.analyzer import can_analyse
from media.signals.analysis.feed import AnalysisFeed
from media.signals.analysis.findings import Quality
from media.signals.errors import SIGNAL_UNSUPPORTED
from media.signals.frames import FLAG_BACKFILL, FrameHeader, payload_of, read_header
from media.signals.replay import StreamIndex


@dataclass(frozen=True, slots=True)
class Point:
    """What about one second shows; ``at``: up to when, Unix seconds on this server's clock."""

    at: float
    heart_rate: int | None
    quality: Quality


@dataclass
class Review:
    """:param beats: R waves, Unix seconds on this server's clock, ascending.

    :param complete: False when the record is longer than `ANALYSIS_REVIEW_S`; the rest was not looked at.
    """

    beats: list[float] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    complete: bool = True


def review(index: StreamIndex, frames: Iterable[bytes]) -> Review:
    """Analyse frames in the order of their numbers. Takes about 0.5 ms a second of 12 leads at 500 Hz.

    :raises RemoteProtocolError: ``signal_unsupported`` for what is no ECG of a known unit.
    """
    descriptor = index.descriptor
    if not can_analyse(descriptor):
        raise RemoteProtocolError(SIGNAL_UNSUPPORTED, "only an ECG is analysed")
    feed = AnalysisFeed(descriptor, AlarmLimits(), 0.0)
    found = Review()
    left = ANALYSIS_REVIEW_S * descriptor.sampling_rate_hz
    for header, body in _headed(frames):
        left -= header.samples_per_lead
        if left < 0:
            found.complete = False
            break
        # Live, what comes late is left out; here everything is in its place.
        feed.put(header._replace(flags=header.flags & ~FLAG_BACKFILL), payload_of(body, header), 0.0)
        batch = feed.take(0.0)
        if batch is None:
            continue
        told = feed.analyse(batch, 0.0).analysis

        def ours(device_s: float, header: FrameHeader = header) -> float:
            return index.to_ours(header, round(device_s * 1e9)) / 1e9

        found.beats += [ours(beat) for beat in told.beats]
        found.points.append(Point(ours(told.device_time), told.heart_rate, told.quality))
    return found


def _headed(frames: Iterable[bytes]) -> Iterator[tuple[FrameHeader, bytes]]:
    for body in frames:
        yield read_header(body), body

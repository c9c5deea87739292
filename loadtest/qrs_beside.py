"""What the analysis of 300 ECGs costs beside an event loop that has frames to move: CPU, and how late the
loop gets.

The loop, the thread and the rounds are those of the server (`signaling.signal_analysis`); sockets, disk and
viewers are not there. The same frames go the same way with the analysis left out, so the difference is the
analysis.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from uuid import UUID

from loadtest import qrs_signals as made
from loadtest.report import Report, percentile
from media.clock import SystemClock
from media.signals import Frame, SignalFanout, SignalStore, StreamDescriptor, encode, read_header
from media.signals.analysis.alarms import AlarmLimits
from media.signals.analysis.board import AnalysisBoard
from media.signals.analysis.feed import AnalysisFeed
from media.signals.frames import payload_of
from signaling.signal_analysis import SignalAnalysis

STREAMS: Final = 300
FRAME_S: Final = 0.1
BEAT_S: Final = 0.005
KINDS: Final = 10
"""Different ECGs; each is sent by thirty streams."""


@dataclass
class _Room:
    """A room of one stream."""

    id: str
    descriptor: StreamDescriptor
    signals: SignalFanout = field(default_factory=SignalFanout)
    analysis: AnalysisBoard = field(default_factory=lambda: AnalysisBoard(lambda: "a-1"))


async def run(report: Report, seconds: float, say: Callable[[str], None]) -> None:
    """Fill in ``cpu_percent_of_300_streams``, ``loop_late_p99_ms`` and the same ``without_analysis``."""
    frames = [_frames(kind, seconds) for kind in range(KINDS)]
    idle_cpu, idle_late, _ = await _played(frames, seconds, analyse=False)
    cpu, late, skipped = await _played(frames, seconds, analyse=True)
    report.conditions["streams"] = f"{STREAMS} of 12 leads at {made.RATE_HZ:.0f} Hz, {seconds:.0f} s"
    report.figures |= {
        "cpu_percent_of_300_streams": cpu - idle_cpu,
        "cpu_us_per_signal_second": (cpu - idle_cpu) * 1e4 / STREAMS,
        "loop_late_p50_ms": percentile(late, 50),
        "loop_late_p99_ms": percentile(late, 99),
        "loop_late_max_ms": max(late),
        "loop_late_p99_ms_without_analysis": percentile(idle_late, 99),
        "loop_late_max_ms_without_analysis": max(idle_late),
        "analysis_skipped_s": skipped,
    }
    p99 = percentile(late, 99)
    say(f"{STREAMS} streams: {cpu - idle_cpu:.1f} % of a core, loop late by {p99:.2f} ms (p99)")
    report.require("analysis_skipped_s", 0)


def _frames(kind: int, seconds: float) -> list[bytes]:
    """100 ms each, of a stream whose id stands for all of its kind."""
    signal = made.ecg(made.beat_times([(50 + 15 * kind, seconds)]), seconds)
    samples = made.digitised(signal + made.white(signal.shape, 20, kind))
    per_frame = round(FRAME_S * made.RATE_HZ)
    stream = made.descriptor()
    return [
        encode(Frame.of(stream, number, 10**18 + number * 10**8, samples[number * per_frame :][:per_frame]))
        for number in range(len(samples) // per_frame)
    ]


async def _played(
    frames: list[list[bytes]], seconds: float, analyse: bool
) -> tuple[float, list[float], float]:
    """CPU in percent of a core, how late the loop was each time (ms), seconds of signal that were skipped."""
    with TemporaryDirectory() as directory:
        clock = SystemClock()
        store = SignalStore(Path(directory), clock)
        skipped: list[float] = []
        analysis = SignalAnalysis(clock, store, lambda _: None, AlarmLimits(low=1, high=400))
        ids = [str(UUID(int=number)) for number in range(STREAMS)]
        rooms = [_Room(f"r-{each}", replace(made.descriptor(), stream_id=each)) for each in ids]
        feeds = [analysis.begin(room, room.descriptor) for room in rooms] if analyse else []
        late: list[float] = []
        watching = asyncio.create_task(_watch(late))
        begun, cpu = time.monotonic(), time.process_time()
        for number in range(len(frames[0])):
            await asyncio.sleep(max(0.0, begun + number * FRAME_S - time.monotonic()))
            _send(feeds, frames, number)
        used = time.process_time() - cpu
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        for room in rooms:
            skipped += [told.skipped_s for told in room.analysis.told()]
        await analysis.close()
        await store.close()
    return used / seconds * 100, late, max(skipped, default=0.0)


def _send(feeds: list[AnalysisFeed | None], frames: list[list[bytes]], number: int) -> None:
    """The next frame of every stream."""
    headers = [read_header(one[number]) for one in frames]
    payloads = [payload_of(one[number], header) for one, header in zip(frames, headers, strict=True)]
    now = time.monotonic()
    for at, feed in enumerate(feeds):
        if feed is not None:
            feed.put(headers[at % KINDS], payloads[at % KINDS], now)


async def _watch(late: list[float]) -> None:
    """Wake every 5 ms and note how late it was."""
    for _ in count():
        due = time.monotonic() + BEAT_S
        await asyncio.sleep(BEAT_S)
        late.append((time.monotonic() - due) * 1000)

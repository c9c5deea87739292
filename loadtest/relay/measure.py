"""One measurement of one forwarder: saturate it, or load it by the clock, and count."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from loadtest.cpu import udp_drops, usage
from loadtest.relay.figures import Sample
from loadtest.relay.forwarder import Forwarder
from loadtest.relay.strangers import Strangers
from loadtest.traffic.engine import Totals, TrafficEngine

SATURATED_S = 0.5
PACED_S = 0.8
BEGIN_S = 0.25
"""From a standing start until rates and batches are what they stay."""
WARM_UP_S = 1.5
SETTLE_TRIES = 4
"""The product takes a line for wider by and by, and leaves out meanwhile what it holds it too narrow for."""
GROWTH = 1.4
"""Of the load from step to step while it settles: what a line is held to carry beyond what comes."""
GROWTH_S = 0.5
GROWN_PERCENT = 90.0
"""Of the server's core: the step that would take more is not made."""
GROWTH_STEPS = 15
"""At most: 160 times what it began with."""
DRAIN_QUIET_S = 0.4
"""What was sent and did not come, and nothing else came for so long either: it was left out."""
DRAIN_MOST_S = 5.0
_LOOK_S = 0.05
WINDOW_LEAST = 512
WINDOW_FRAMES = 2
"""Packets under way at the receivers' side: batches for the server, but no queue that its estimators would
take for a full line; and two pictures at least, where one of them is more than that."""
CHECK_EVERY = 16
"""At saturation the traffic's core has to open and compare less than it receives."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What measures."""

    engine: TrafficEngine
    strangers: Strangers


async def saturated(
    forwarder: Forwarder, bench: Bench, tracks: Sequence[int], frame: int, size: int, run: int
) -> Sample:
    """As much as it takes: a window of packets under way, refilled by half; a ``frame`` is so many."""
    bench.engine.check_every(CHECK_EVERY)
    bench.engine.closed_loop(max(WINDOW_LEAST, WINDOW_FRAMES * frame))
    return await _measure(forwarder, bench, tracks, (size, "saturated", run), SATURATED_S)


async def paced(
    forwarder: Forwarder,
    bench: Bench,
    tracks: Sequence[int],
    frame_s: float,
    size: int,
    load: str,
    run: int,
) -> Sample:
    """Each track one frame in ``frame_s``, spread evenly over the tracks."""
    bench.engine.check_every(1)
    bench.engine.closed_loop(0)
    _pace(bench.engine, tracks, frame_s)
    return await _measure(forwarder, bench, tracks, (size, load, run), PACED_S, frame_s)


async def warm_up(bench: Bench, tracks: Sequence[int], frame_s: float) -> None:
    """Let every sink hear every track, slowly: what a forwarder measures of its lines begins well."""
    bench.engine.check_every(CHECK_EVERY)
    bench.engine.closed_loop(0)
    _pace(bench.engine, tracks, frame_s)
    _start(bench.engine, tracks, frame_s)
    await asyncio.sleep(WARM_UP_S)
    await _stop(bench.engine, tracks)


async def settled(
    forwarder: Forwarder,
    bench: Bench,
    tracks: Sequence[int],
    frame: int,
    size: int,
    frame_s: float,
) -> Sample:
    """Saturate until nothing is left out any more, or `SETTLE_TRIES` times; the last measurement.

    Between the tries the load grows as a camera's does. A window under way does not: what a server leaves out
    never comes back, so the window stands still, and a track that hardly sends asks for no more room.
    """
    for _ in range(SETTLE_TRIES):
        sample = await saturated(forwarder, bench, tracks, frame, size, -1)
        if not sample.lost and not sample.left_out:
            break
        await _grow(forwarder, bench, tracks, frame_s)
    return sample


async def _grow(forwarder: Forwarder, bench: Bench, tracks: Sequence[int], frame_s: float) -> None:
    """By the clock, from a frame in ``frame_s`` on, until the server's core is nearly full."""
    bench.engine.closed_loop(0)
    _pace(bench.engine, tracks, frame_s)
    _start(bench.engine, tracks, frame_s)
    for _ in range(GROWTH_STEPS):
        began, used = time.perf_counter(), usage(forwarder.pids())
        await asyncio.sleep(GROWTH_S)
        used, elapsed = usage(forwarder.pids()) - used, time.perf_counter() - began
        if GROWTH * used.cpu_ns / 1e7 / elapsed > GROWN_PERCENT:
            break
        frame_s /= GROWTH
        _pace(bench.engine, tracks, frame_s)
    await _stop(bench.engine, tracks)


async def _measure(
    forwarder: Forwarder,
    bench: Bench,
    tracks: Sequence[int],
    kind: tuple[int, str, int],
    seconds: float,
    frame_s: float = 0.0,
) -> Sample:
    engine = bench.engine
    engine.reset()
    dropped = udp_drops()
    _start(engine, tracks, frame_s)
    await asyncio.sleep(BEGIN_S)
    pids = forwarder.pids()
    began, used, first, seen = time.perf_counter(), usage(pids), engine.read(), bench.strangers.look()
    await asyncio.sleep(seconds)
    used, last, elapsed = usage(pids) - used, engine.read(), time.perf_counter() - began
    strangers = bench.strangers.look().since(seen)
    await _stop(engine, tracks)
    end, delays = engine.read()
    delays -= first[1]
    dropped = {port: count - dropped.get(port, 0) for port, count in udp_drops().items()}
    ours = dropped.pop(engine.port, 0)
    return Sample(
        forwarder.name,
        *kind,
        used.cpu_ns,
        used.main_ns,
        last[0].arrived - first[0].arrived,
        elapsed,
        end.holes,
        end.lost - end.holes,
        end.corrupt,
        end.stalls,
        _late(first[0], last[0]),
        ours,
        sum(dropped.values()),
        delays.percentile_ms(50),
        delays.percentile_ms(99),
        strangers,
    )


def _late(first: Totals, last: Totals) -> int:
    return last.frames_late - first.frames_late


def _pace(engine: TrafficEngine, tracks: Sequence[int], frame_s: float) -> None:
    for track in tracks:
        engine.set_pace(track, frame_s)


def _start(engine: TrafficEngine, tracks: Sequence[int], frame_s: float) -> None:
    now = time.monotonic_ns() + 2_000_000
    for index, track in enumerate(tracks):
        engine.set_active(track, True, now + round(index / len(tracks) * frame_s * 1e9))


async def _stop(engine: TrafficEngine, tracks: Sequence[int]) -> None:
    """Send no more, and wait until all that was sent has come, or nothing comes any more.

    A fixed time would count as left out what a server still has to send: one that stood still for a moment.
    """
    for track in tracks:
        engine.set_active(track, False)
    began = came_at = time.perf_counter()
    arrived = -1
    while (now := time.perf_counter()) - came_at < DRAIN_QUIET_S and now - began < DRAIN_MOST_S:
        await asyncio.sleep(_LOOK_S)
        totals = engine.read()[0]
        if not totals.lost:
            break
        if totals.arrived != arrived:
            arrived, came_at = totals.arrived, now

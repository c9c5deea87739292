"""Looks once a second at what the engine and the server do."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

from loadtest.cpu import Usage, usage
from loadtest.rooms.figures import Moment
from loadtest.traffic.engine import Delays, Totals, TrafficEngine

INTERVAL_S = 1.0


class Watch:
    """Samples until `stop`; each goes to ``progress`` as a line, too.

    :param pids: the server's processes. :param rooms: how many stand now.
    :param timeline: takes each as JSON.
    """

    def __init__(
        self,
        engine: TrafficEngine,
        pids: Sequence[int],
        rooms: Callable[[], int],
        progress: Callable[[str], None],
        timeline: list[dict[str, Any]],
    ) -> None:
        self._timeline = timeline
        self._engine = engine
        self._pids = pids
        self._rooms = rooms
        self._progress = progress
        self._began = time.monotonic()
        self._last = self._read()
        self._task = asyncio.create_task(self._run(), name="watch")

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def _read(self) -> tuple[float, Totals, Delays, Usage, int]:
        totals, delays = self._engine.read()
        return time.monotonic(), totals, delays, usage(self._pids), usage([os.getpid()]).cpu_ns

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL_S)
            now, before = self._read(), self._last
            self._last = now
            seconds = now[0] - before[0]
            delays = now[2] - before[2]
            moment = Moment(
                round(now[0] - self._began, 1),
                self._rooms(),
                now[1].arrived - before[1].arrived,
                now[1].holes,
                round(delays.percentile_ms(50), 3),
                round(delays.percentile_ms(99), 3),
                round((now[3].cpu_ns - before[3].cpu_ns) / seconds / 1e7, 1),
                round((now[4] - before[4]) / seconds / 1e7, 1),
                round(now[3].memory_bytes / 2**20, 1),
                now[1].frames_late - before[1].frames_late,
            )
            self._timeline.append(moment.as_json())
            self._progress(
                f"{moment.at_s:6.1f} s {moment.rooms:4} rooms {moment.packets:7} packets, lost {moment.lost},"
                f" delay {moment.delay_p50_ms:.2f} / {moment.delay_p99_ms:.2f} ms,"
                f" server {moment.server_cpu_percent:.0f} %, traffic {moment.traffic_cpu_percent:.0f} %"
            )

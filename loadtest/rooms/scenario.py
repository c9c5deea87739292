"""Opens rooms by a scenario, holds them, measures, looks for the knee."""

from __future__ import annotations

import asyncio
import gc
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from loadtest import orderly, plane
from loadtest.course import Course
from loadtest.cpu import Usage, allow_sockets, on_core, two_cores, usage
from loadtest.report import Report, machine
from loadtest.rooms import figures
from loadtest.rooms.figures import Held, Until
from loadtest.rooms.room import LightRoom, Surroundings
from loadtest.rooms.scenario_file import Scenario
from loadtest.rooms.watch import Watch
from loadtest.rooms.witness import witnesses_of
from loadtest.server_process import ServerProcess
from loadtest.traffic.engine import TrafficEngine
from loadtest.traffic.tokens import TokenMaker
from loadtest.traffic.transport import Hub, certificate_for

Progress = Callable[[str], None]
SETTLE_S = 3.0
"""After the last room opened, until bandwidth estimates and caches are what they stay."""
STEP_ROOMS = 25
STEP_SECONDS = 8.0
WARM_ROOMS = 1
BESIDE_S = 4.0
"""About how long it takes until the first room opens."""


@dataclass(slots=True)
class Options:
    """How a run is made.

    :param plane: the configuration's ``media.plane``.
    :param witnesses: two Chromium pages stand beside the rooms.
    :param until: look for the knee: rooms are added by `STEP_ROOMS` until it is reached.
    :param start: rooms of the first step of that.
    """

    plane: str
    witnesses: bool = False
    until: Until | None = None
    start: int = STEP_ROOMS


def run(report: Report, scenario: Scenario, options: Options, progress: Progress) -> None:
    """Fill ``report``, shortfalls of the ordinary thresholds included; in a network namespace of its own."""
    server_core, traffic_core = two_cores()
    report.conditions |= machine() | {
        "scenario_file": scenario.name,
        "rooms_per_second": scenario.rooms_per_second,
        "hold_seconds": scenario.hold_seconds,
        "stay_seconds": scenario.stay_seconds,
        "people_a_room": scenario.people,
        "signal_viewers_a_room": scenario.viewers,
        "ecg_frame_ms": [device.frame_ms or "as the server wishes" for device in scenario.devices],
        "witnesses": "two Chromium pages, on the traffic's core" if options.witnesses else "none",
        "cores": f"server on {server_core}, traffic on {traffic_core}",
        "network": "loopback in a namespace of its own",
        "participants": "full signaling, ICE, DTLS (AES-128-GCM), RTCP with transport-wide feedback; every "
        "packet is opened and compared with what was sent",
        "delay": "from the sender's clock before its system call to the kernel's timestamp at the receiver",
    }
    allow_sockets()
    with (
        on_core(traffic_core),
        tempfile.TemporaryDirectory(prefix="huizhen-rooms-") as directory,
    ):
        data = Path(directory) / "data"
        with on_core(server_core):
            settings = {"HUIZHEN_MEDIA_PLANE": options.plane}
            server = ServerProcess(data, ["--no-devices"], settings=settings)
        try:
            report.conditions |= plane.conditions(server.url, options.plane)
            progress(f"the {report.conditions['plane']} plane runs")
            with witnesses_of(report, server.url) if options.witnesses else nullcontext():
                # With 600 people a look through everything for garbage stops who measures for 0.4 s.
                gc.disable()
                course = Course(report, _parts(scenario, options), progress)
                orderly.run(_Run(report, scenario, options, server, data, progress, course).go())
        finally:
            gc.enable()
            server.kill()


def _parts(scenario: Scenario, options: Options) -> list[tuple[str, float]]:
    """Expected seconds of what `_Run` goes through."""
    if options.until is None:
        opening_s = BESIDE_S + scenario.rooms / scenario.rooms_per_second
        return [("opening", opening_s), ("holding", SETTLE_S + scenario.hold_seconds)]
    steps: list[tuple[str, float]] = []
    rooms = 0
    while rooms < scenario.rooms:
        more = min(STEP_ROOMS if steps else options.start, scenario.rooms - rooms)
        rooms += more
        seconds = more / scenario.rooms_per_second + SETTLE_S + STEP_SECONDS
        steps.append((f"{rooms} rooms (unless the knee is found)", seconds))
    return steps


class _Run:
    """One run against one server."""

    def __init__(
        self,
        report: Report,
        scenario: Scenario,
        options: Options,
        server: ServerProcess,
        data: Path,
        progress: Progress,
        course: Course,
    ) -> None:
        self._course = course
        self._report = report
        self._scenario = scenario
        self._options = options
        self._server = server
        self._data = data
        self._progress = progress
        self._rooms: list[LightRoom] = []
        self._opened = 0

    async def go(self) -> None:
        engine = TrafficEngine()
        hub = Hub(engine)
        async with AsyncExitStack() as stack:
            stack.callback(engine.close)
            stack.callback(hub.close)
            http = await stack.enter_async_context(
                aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
            )
            self._around = Surroundings(
                self._scenario,
                self._server.url,
                TokenMaker(self._data),
                hub,
                certificate_for(None),
                http,
            )
            stack.push_async_callback(self._close_all)
            self._engine = engine
            await self._warm()
            self._empty = self._usage()
            engine.reset()
            timeline: list[dict[str, Any]] = []
            self._report.figures["timeline"] = timeline
            watch = Watch(engine, [self._server.pid], lambda: len(self._rooms), self._progress, timeline)
            stack.push_async_callback(watch.stop)
            try:
                if self._options.until is None:
                    await self._hold_all()
                else:
                    await self._find_knee(self._options.until)
            except BaseException:
                self._report.figures |= self._so_far()  # what is told below all is told of a part, too
                raise

    async def _warm(self) -> None:
        """A first room pays for imports and caches, as yesterday's did."""
        await self._open(WARM_ROOMS)
        await asyncio.sleep(1.0)
        await self._close_all()
        self._around.joins.seconds.clear()
        self._around.signals.begin_anew()

    async def _hold_all(self) -> None:
        scenario = self._scenario
        before, ours = self._usage(), usage([os.getpid()])
        await self._open(scenario.rooms)
        people = scenario.rooms * scenario.people
        opening = self._engine.read()[1]
        opening_ms = (self._usage() - before).cpu_ns / 1e6 / people
        traffic_ms = (usage([os.getpid()]) - ours).cpu_ns / 1e6 / people
        self._report.figures |= self._so_far()
        self._course.done()
        await asyncio.sleep(SETTLE_S)
        async with self._coming_and_going():
            held = await self._hold(scenario.hold_seconds)
        self._figures(held)
        figures_ = self._report.figures
        figures_["opening_delay_p99_ms"] = round(opening.percentile_ms(99), 3)
        figures_["opening_cpu_ms_per_participant"] = round(opening_ms, 2)
        figures_["opening_traffic_cpu_ms_per_participant"] = round(traffic_ms, 2)
        self._course.done()

    async def _find_knee(self, until: Until) -> None:
        self._report.conditions["until"] = f"{until.figure}={until.limit:g}"
        steps: list[dict[str, Any]] = []
        self._report.figures["steps"] = steps
        while len(self._rooms) < self._scenario.rooms:
            self._around.joins.seconds.clear()
            lost_before = self._engine.read()[0].holes
            step_rooms = STEP_ROOMS if steps else self._options.start
            await self._open(min(step_rooms, self._scenario.rooms - len(self._rooms)))
            await asyncio.sleep(SETTLE_S)
            held = await self._hold(STEP_SECONDS)
            step = self._of_now(held)
            step["added_delay_p99_ms"] = step["held_delay_p99_ms"]
            step["lost_packets"] = self._engine.read()[0].holes - lost_before
            steps.append(step)
            self._progress(f"step: {step}")
            self._report.figures |= {
                "knee_rooms": figures.knee(steps, until),
                "knee_is_a_bound": not until.reached(step),
            }
            if until.reached(step):
                self._course.cut_short()
                break
            self._course.done()

    def _figures(self, held: Held) -> None:
        self._report.figures |= self._of_now(held) | self._so_far()
        for reason in [*self._around.joins.failures[:5], *self._around.signals.closed[:5]]:
            self._progress(f"failed: {reason}")

    def _so_far(self) -> dict[str, Any]:
        """What is counted from the first room on, and needs no time in which all of them stand."""
        totals, delays = self._engine.read()
        joins = self._around.joins
        found = figures.of_joins(joins.seconds, len(joins.failures)) | {
            "lost_packets": totals.holes,
            "delivered_percent": figures.share(totals.arrived, totals.expected),
            "corrupt_packets": totals.corrupt,
            "silent_streams": totals.silent_streams,
            "added_delay_p50_ms": round(delays.percentile_ms(50), 3),
            "added_delay_p99_ms": round(delays.percentile_ms(99), 3),
            "packets_checked": totals.checked,
            "retransmissions_asked": totals.nacked,
            "traffic_frames_late": totals.frames_late,
            "signaling_lost": sum(room.gone for room in self._rooms),
        }
        return found | (figures.of_signals(self._around.signals) if self._scenario.devices else {})

    def _of_now(self, held: Held) -> dict[str, Any]:
        joins = self._around.joins
        people = len(self._rooms) * self._scenario.people
        return figures.of_rooms(
            len(self._rooms), people, held, self._empty.memory_bytes, self._usage().memory_bytes
        ) | figures.of_joins(joins.seconds, len(joins.failures))

    async def _hold(self, seconds: float) -> Held:
        began, used, (totals, delays) = time.perf_counter(), self._usage(), self._engine.read()
        await asyncio.sleep(seconds)
        elapsed, now = time.perf_counter() - began, self._usage() - used
        last, last_delays = self._engine.read()
        delays = last_delays - delays
        return Held(
            elapsed,
            now.cpu_ns,
            now.main_ns,
            now.wakeups,
            last.arrived - totals.arrived,
            last.expected - totals.expected,
            delays.percentile_ms(50),
            delays.percentile_ms(99),
        )

    async def _open(self, count: int) -> None:
        """Open rooms at the scenario's pace and wait until the last one stands."""
        opening = []
        began = time.monotonic()
        for place in range(count):
            await asyncio.sleep(max(0.0, began + place / self._scenario.rooms_per_second - time.monotonic()))
            opening.append(asyncio.create_task(self._open_one(), name="room"))
        await asyncio.gather(*opening)

    async def _open_one(self) -> None:
        self._opened += 1
        room = LightRoom(f"load-{self._opened}", self._opened, self._around)
        self._rooms.append(room)
        await room.open()

    @asynccontextmanager
    async def _coming_and_going(self) -> AsyncIterator[None]:
        """Meanwhile rooms end after their time, and others open in their place."""
        if not self._scenario.stay_seconds:
            yield
            return
        enough = asyncio.Event()
        churn = asyncio.create_task(self._replace(enough), name="churn")
        try:
            yield
        finally:
            enough.set()
            await churn  # what it failed by is the run's failure

    async def _replace(self, enough: asyncio.Event) -> None:
        """The oldest room ends, another opens, until it is ``enough``: never one without the other."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._scenario.stay_seconds / self._scenario.rooms):
                    await enough.wait()
                    return
            await self._rooms.pop(0).close()
            await self._open_one()
            self._report.figures["rooms_replaced"] = self._opened - self._scenario.rooms - WARM_ROOMS

    async def _close_all(self) -> None:
        rooms, self._rooms = self._rooms, []
        for group in _groups(rooms, 20):
            await asyncio.gather(*(room.close() for room in group))

    def _usage(self) -> Usage:
        return usage([self._server.pid])


def _groups(rooms: Sequence[LightRoom], size: int) -> list[Sequence[LightRoom]]:
    return [rooms[at : at + size] for at in range(0, len(rooms), size)]

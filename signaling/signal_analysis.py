"""Runs the analysis of all live ECGs beside their way to disk and viewers, never in it.

One thread calculates (`media.signals.analysis`); the event loop hands it, ten times a second, the streams
that have a second of signal waiting (nearly two where there are many), and tells the rooms what was found. A
stream that waits too long has its signal skipped, and says so; frames never wait for any of this.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from media.clock import Clock
from media.errors import Fault, RemoteProtocolError
from media.limits import ANALYSIS_ROUND_S
from media.signals import SignalStore, StreamDescriptor, StreamLog, wire
from media.signals.analysis.alarms import PRESETS, AlarmLimits, Preset
from media.signals.analysis.analyzer import Findings, can_analyse
from media.signals.analysis.board import AnalysisBoard
from media.signals.analysis.feed import AnalysisFeed, Batch
from media.signals.analysis.findings import Alarm, State
from media.signals.analysis.patients import RoomLimits, WantedLimits
from media.signals.fanout import SignalFanout
from signaling.access import RoomClaims, may_use_signals
from signaling.events import RoomEvent, SignalAlarm, SignalLimits
from signaling.limits import (
    ANALYSIS_BUSY_ROUND_S,
    ANALYSIS_BUSY_STREAMS,
    ANALYSIS_LOOK_S,
    ANALYSIS_NICE,
    ANALYSIS_STREAMS_PER_LOOK,
    ANALYSIS_TOLD_PER_TURN,
)

logger = logging.getLogger(__name__)

Write = Callable[[StreamLog], Awaitable[None]]


class AnalysedRoom(Protocol):
    """What is needed of a `Room`."""

    id: str
    signals: SignalFanout
    analysis: AnalysisBoard


@dataclass(frozen=True, slots=True, eq=False)
class _Live:
    """One stream that is analysed, and the room that hears of it."""

    room: AnalysedRoom
    feed: AnalysisFeed


class SignalAnalysis:
    """All rooms of a process.

    :param publish_event: tells the application of alarms.
    :param limits: of the alarms of all streams.
    """

    def __init__(
        self,
        clock: Clock,
        store: SignalStore,
        publish_event: Callable[[RoomEvent], None],
        limits: AlarmLimits,
    ) -> None:
        self._clock = clock
        self._store = store
        self._publish_event = publish_event
        self._limits = limits
        self.patients_of: Callable[[str], Awaitable[Preset | None]] | None = None
        """Asks the application who the patient of a room is; None where nobody knows."""
        self._live: dict[tuple[str, str], _Live] = {}
        self._thread: ThreadPoolExecutor | None = None
        self._task: asyncio.Task[None] | None = None
        self._wanted = asyncio.Event()
        self._keeping: set[asyncio.Task[None]] = set()

    @property
    def streams(self) -> int:
        """How many are analysed now."""
        return len(self._live)

    def begin(self, room: AnalysedRoom, descriptor: StreamDescriptor) -> AnalysisFeed | None:
        """A stream is live, for the first time or again; its frames go to the result until `end`.

        What is no ECG is left alone.
        """
        if not can_analyse(descriptor):
            return None
        now = self._clock.monotonic()
        known = self._live.get((room.id, descriptor.stream_id))
        if known is not None:
            known.feed.begin_again(now)
            return known.feed
        limits = self._limits if room.analysis.limits is None else room.analysis.limits.limits
        feed = AnalysisFeed(descriptor, limits, now)
        self._live[room.id, descriptor.stream_id] = _Live(room, feed)
        self._wanted.set()
        if self._task is None:
            self._thread = ThreadPoolExecutor(1, "signal-analysis", _give_way)
            self._task = asyncio.create_task(self._run(self._thread), name="signal analysis")
        return feed

    async def know_patient(self, room: AnalysedRoom) -> None:
        """Let the patient's age choose the limits, unless something did already."""
        if self.patients_of is None or room.analysis.limits is not None:
            return
        patients = await self.patients_of(room.id)
        if patients is not None and room.analysis.limits is None:
            self._set_limits(room, RoomLimits(PRESETS[patients], patients))

    def choose_limits(self, room: AnalysedRoom, claims: RoomClaims, wanted: WantedLimits) -> None:
        """A person chooses the limits of a room's alarms: everybody in it is told, and the record.

        :raises RemoteProtocolError: not_granted.
        """
        may_use_signals(claims.grant, "acknowledge")
        limits = RoomLimits(wanted.limits, wanted.patients, claims.user_id, claims.role)
        logger.info("room %s: %s", room.id, limits.mark)
        self._set_limits(room, limits)
        self._publish_event(
            SignalLimits(
                room.id, claims.user_id, wanted.patients, wanted.low, wanted.high, self._clock.wall()
            )
        )
        for live in self._live.values():
            if live.room.id == room.id:
                self._keep_soon(room.id, live.feed.descriptor, lambda log: log.mark(limits.mark))

    def _set_limits(self, room: AnalysedRoom, limits: RoomLimits) -> None:
        room.analysis.limits = limits
        for live in self._live.values():
            if live.room.id == room.id:
                live.feed.limits = limits.limits
        room.signals.tell(wire.limits(limits))

    def end(self, room: AnalysedRoom, stream_id: str) -> None:
        """The stream's device is gone. Idempotent."""
        known = self._live.pop((room.id, stream_id), None)
        if known is not None:
            self._told(known, room.analysis.ended(stream_id, self._clock.wall()))

    def acknowledge(self, room: AnalysedRoom, claims: RoomClaims, alarm_id: str) -> None:
        """A person has seen an alarm: everybody in the room is told, and the record.

        :raises RemoteProtocolError: not_granted, not_found.
        """
        may_use_signals(claims.grant, "acknowledge")
        alarm = room.analysis.acknowledge(alarm_id, claims.user_id, claims.role, self._clock.wall())
        if alarm is not None:
            self._tell(room, room.analysis.descriptor(alarm.stream_id), alarm, "acknowledged")

    async def close(self) -> None:
        """Stop, and wait until all that was told is in the record. Idempotent."""
        task, self._task = self._task, None
        thread, self._thread = self._thread, None
        self._live.clear()
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if thread is not None:
            await asyncio.to_thread(thread.shutdown)
        while self._keeping:
            await asyncio.wait(set(self._keeping))

    async def _run(self, thread: ThreadPoolExecutor) -> None:
        while True:
            if not self._live:
                self._wanted.clear()
                await self._wanted.wait()
            await asyncio.sleep(ANALYSIS_LOOK_S)
            await self._round(thread)

    async def _round(self, thread: ThreadPoolExecutor) -> None:
        now = self._clock.monotonic()
        busy = len(self._live) >= ANALYSIS_BUSY_STREAMS
        round_s = ANALYSIS_BUSY_ROUND_S if busy else ANALYSIS_ROUND_S
        due: list[tuple[tuple[str, str], _Live, Batch]] = []
        for key, live in self._live.items():
            if len(due) >= ANALYSIS_STREAMS_PER_LOOK:
                break
            batch = live.feed.take(now, round_s)
            if batch is not None:
                due.append((key, live, batch))
        if due:
            work = [(live.feed, batch) for _, live, batch in due]
            loop = asyncio.get_running_loop()
            found = await loop.run_in_executor(thread, _analyse, work, self._clock.wall())
            for number, ((key, live, _), findings) in enumerate(zip(due, found, strict=True), 1):
                if findings is not None and self._live.get(key) is live:
                    self._found(live, findings)
                if number % ANALYSIS_TOLD_PER_TURN == 0:
                    await asyncio.sleep(0)  # frames that came meanwhile go first
        for live in list(self._live.values()):
            silent = live.feed.silent(self._clock.monotonic())
            if silent is not None:
                stream_id = live.feed.descriptor.stream_id
                self._told(live, live.room.analysis.silent(stream_id, silent, self._clock.wall()))

    def _found(self, live: _Live, findings: Findings) -> None:
        changed = live.room.analysis.found(live.feed.descriptor, findings)
        told = findings.analysis
        if live.room.signals.viewers:
            live.room.signals.tell_latest(told.stream_id, wire.analysis(told))
        self._told(live, changed)

    def _told(self, live: _Live, alarms: Iterable[Alarm]) -> None:
        for alarm in alarms:
            self._tell(live.room, live.feed.descriptor, alarm, "raised" if alarm.active else "ended")

    def _tell(self, room: AnalysedRoom, descriptor: StreamDescriptor, alarm: Alarm, happened: State) -> None:
        """Viewers, the application, the record."""
        logger.info("room %s: stream %s: %s %s", room.id, alarm.stream_id, alarm.kind, happened)
        room.signals.tell(wire.alarm(alarm))
        self._publish_event(
            SignalAlarm(
                room.id,
                alarm.stream_id,
                alarm.id,
                alarm.kind,
                alarm.severity,
                happened,
                alarm.technical,
                self._clock.wall(),
                alarm.acknowledged_by if happened == "acknowledged" else None,
            )
        )
        self._keep_soon(room.id, descriptor, lambda log: log.alarm(alarm))

    def _keep_soon(self, room_id: str, descriptor: StreamDescriptor, write: Write) -> None:
        task = asyncio.create_task(self._keep(room_id, descriptor, write), name="keep in the record")
        self._keeping.add(task)
        task.add_done_callback(self._keeping.discard)

    async def _keep(self, room_id: str, descriptor: StreamDescriptor, write: Write) -> None:
        """In the stream's own record, which may be closed by now."""
        try:
            log = await self._store.open(room_id, descriptor)
            try:
                await write(log)
            finally:
                await log.close()
        except Fault as fault:
            # The room has seen it and the audit trail has it; the disk's fault is told to the device anyway.
            logger.error("stream %s: a note was not stored: %s", descriptor.stream_id, fault.code.code)


def _give_way() -> None:
    """In the thread, once: where the core is full it takes what the event loop leaves, instead of as much."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), ANALYSIS_NICE)


def _analyse(work: Sequence[tuple[AnalysisFeed, Batch]], at: float) -> list[Findings | None]:
    """In the thread: every stream's findings, None for one that could not be analysed."""
    found: list[Findings | None] = []
    for feed, batch in work:
        found.append(_findings(feed, batch, at))
        # Give the interpreter away after each stream: who moves frames waits for one of them at most.
        time.sleep(0)
    return found


def _findings(feed: AnalysisFeed, batch: Batch, at: float) -> Findings | None:
    try:
        return feed.analyse(batch, at)
    except (ArithmeticError, LookupError, TypeError, ValueError, RemoteProtocolError):
        # Our mistake with one stream's samples: it goes on unanalysed, and all others are untouched.
        logger.exception("stream %s cannot be analysed any more", feed.descriptor.stream_id)
        feed.broken = True
        return None

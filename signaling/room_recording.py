"""The recording of one room: at most one at a time runs; those before it may still be finalising."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from media.errors import LocalProtocolError
from media.signals import StreamDescriptor
from signaling.errors import RECORDING_FAILED
from signaling.plane import ProducerPort, RecorderPort

logger = logging.getLogger(__name__)

Finished = Callable[[str, Path], None]


class RoomRecording:
    """Starts and stops recorders.

    :param finished: told the id and the manifest when a recording is closed on the disk.
    """

    def __init__(self, create: Callable[[str], RecorderPort], finished: Finished) -> None:
        self._create = create
        self._finished = finished
        self._running: tuple[str, RecorderPort] | None = None
        self._finishing: set[asyncio.Task[None]] = set()

    @property
    def running(self) -> bool:
        return self._running is not None

    def start(self, recording_id: str, producers: Iterable[tuple[ProducerPort, str]]) -> None:
        """Record these producers (with the peer id of each) from now on. The caller checked `running`.

        :raises LocalProtocolError: recording_failed.
        """
        recorder = self._create(recording_id)
        try:
            recorder.start()
        except OSError as error:
            raise LocalProtocolError(RECORDING_FAILED, error.strerror or "") from error
        self._running = (recording_id, recorder)
        for producer, peer_id in producers:
            recorder.add_producer(producer, peer_id)
        logger.info("recording %s started", recording_id)

    def add(self, producer: ProducerPort, peer_id: str) -> None:
        """A track that came later."""
        if self._running is not None:
            self._running[1].add_producer(producer, peer_id)

    def add_signal(self, descriptor: StreamDescriptor, started_at: float) -> None:
        """A signal stream that belongs to it; ``started_at`` is the time of its first sample, Unix
        seconds."""
        if self._running is not None:
            self._running[1].add_signal(descriptor, started_at)

    def stop(self) -> None:
        """Take no more packets; finalise in a task of its own. Harmless when nothing runs."""
        if self._running is None:
            return
        recording_id, recorder = self._running
        self._running = None
        task = asyncio.create_task(self._finish(recording_id, recorder), name=f"finish {recording_id}")
        self._finishing.add(task)
        task.add_done_callback(self._done)

    async def finished(self) -> None:
        """Wait for all that is finalising."""
        while self._finishing:
            await asyncio.wait(set(self._finishing))

    async def _finish(self, recording_id: str, recorder: RecorderPort) -> None:
        manifest = await recorder.stop()
        logger.info("recording %s closed", recording_id)
        self._finished(recording_id, manifest)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._finishing.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("a recording could not be closed", exc_info=task.exception())

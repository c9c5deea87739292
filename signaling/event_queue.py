"""Room events on their way to the application: in order, one at a time, never waited for by a room."""

from __future__ import annotations

import asyncio
import logging

from signaling.events import RoomEvent, RoomListener
from signaling.limits import EVENTS_QUEUE_MAX

logger = logging.getLogger(__name__)


class EventQueue:
    """Hands events to one listener from a task of its own.

    A listener that fails loses that one event, with its traceback in the log; the next ones still come.
    """

    def __init__(self, listener: RoomListener) -> None:
        self._listener = listener
        self._events: asyncio.Queue[RoomEvent | None] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to deliver; needs a running loop. Idempotent."""
        if self._task is None:
            self._task = asyncio.create_task(self._deliver(), name="room events")

    def put(self, event: RoomEvent) -> None:
        """Queue one; beyond the bound it is dropped, which is logged as an error."""
        if self._events.qsize() >= EVENTS_QUEUE_MAX:
            logger.error("room event dropped: %s", type(event).__name__)
            return
        self._events.put_nowait(event)

    async def close(self) -> None:
        """Deliver what is queued, then stop. Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            self._events.put_nowait(None)
            await task

    async def _deliver(self) -> None:
        while (event := await self._events.get()) is not None:
            call = asyncio.ensure_future(self._listener.room_event(event))
            await asyncio.wait({call})
            error = None if call.cancelled() else call.exception()
            if error is not None:
                logger.error("room event %s failed", type(event).__name__, exc_info=error)

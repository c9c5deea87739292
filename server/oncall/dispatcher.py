"""The dispatcher: wakes when the next timer is due and lets the consult service act.

Timers live in the database (`timers`): after a restart they are due exactly when they would have been; those
that fell due meanwhile are taken at once. Only the injected clock is asked for the time.
"""

from __future__ import annotations

import asyncio
import logging

from sqlalchemy.exc import SQLAlchemyError

from media.errors import Fault
from server.oncall.timers import due_consultations, next_due
from server.services import Services

LONGEST_SLEEP_S = 5.0
"""The wall clock may jump while we sleep (NTP, an operator): a jump delays no timer by more than this."""

RETRY_S = 1.0
"""A timer whose action failed (a locked database) is tried again after so long."""

logger = logging.getLogger(__name__)


class Dispatcher:
    """Drives the timers of consults. Owns one task."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._changed = asyncio.Event()
        self._ending = False
        self._seen = 0.0  # the latest reading of the wall clock
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the consult service and the timers. Idempotent."""
        if self._task is None:
            await self._services.consults.start()
            self._ending = False
            self._task = asyncio.create_task(self._run(), name="dispatcher")
            self._task.add_done_callback(_tell_of_its_end)

    @property
    def running(self) -> bool:
        """Whether timers are looked after: without it every ring would last for ever."""
        return self._task is not None and not self._task.done()

    async def stop(self) -> None:
        """Stop both, after the step under way: a cancelled statement leaks its connection. Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            self._ending = True
            self._changed.set()
            await asyncio.wait({task})
        await self._services.consults.stop()

    def wake(self) -> None:
        """A timer was set: the next one may be earlier than thought."""
        self._changed.set()

    async def run_due(self, now: float) -> int:
        """Take the actions of all timers due at ``now`` (Unix seconds), those set meanwhile included.

        Returns how many. It ends: an action moves its consult on or sets its next time after ``now``.
        """
        taken = 0
        failed: set[str] = set()
        while True:
            async with self._services.database.look() as looking:
                due = await due_consultations(looking, now, without=failed)
            if not due:
                return taken
            for consultation_id in due:
                if not await self._fire(consultation_id, now):
                    failed.add(consultation_id)
                taken += 1

    async def _fire(self, consultation_id: str, now: float) -> bool:
        try:
            return await self._services.consults.fire(consultation_id, now)
        except (Fault, SQLAlchemyError) as error:
            # One consult's trouble must not stop the others' timers; its own stays stored and comes again.
            logger.error("timer of %s failed: %s", consultation_id, type(error).__name__)
            return False

    async def _run(self) -> None:
        while not self._ending:
            self._changed.clear()
            now = self._services.clock.wall()
            try:
                due = await self._round(now)
            except (Fault, SQLAlchemyError) as error:
                # The database is away: timers stand in it, and what fell due is done when it is back.
                logger.error("looking for timers failed: %s", type(error).__name__)
                due = now
            await self._sleep(due, now)

    async def _round(self, now: float) -> float | None:
        """Take what is due; when the next one is."""
        await self._mind_the_clock(now)
        await self.run_due(now)
        async with self._services.database.look() as looking:
            return await next_due(looking)

    async def _mind_the_clock(self, now: float) -> None:
        """A wall clock that was put back would hold every ring for as long as it jumped."""
        seen, self._seen = self._seen, now
        if now < seen:
            logger.warning("the wall clock was put back by %.0f s", seen - now)
            try:
                await self._services.consults.clock_put_back(now)
            except (Fault, SQLAlchemyError) as error:
                self._seen = seen  # look again
                logger.error("timers were not set back: %s", type(error).__name__)

    async def _sleep(self, due: float | None, began: float) -> None:
        wait = LONGEST_SLEEP_S if due is None else min(due - self._services.clock.wall(), LONGEST_SLEEP_S)
        if due is not None and due <= began:
            wait = RETRY_S  # it was due when we last tried, and is still there: it failed
        try:
            await asyncio.wait_for(self._changed.wait(), max(wait, 0.0))
        except TimeoutError:
            return


def _tell_of_its_end(task: asyncio.Task[None]) -> None:
    """An error of ours ended it: said at once, and `/readyz` says so from then on."""
    if not task.cancelled() and task.exception() is not None:
        logger.critical("the dispatcher ended: no ring goes on", exc_info=task.exception())

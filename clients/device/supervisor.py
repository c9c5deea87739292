"""Runs one session at a time: the one of the room the device is assigned to."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from clients.device import faults
from clients.device.assignment import Assignment, Change, Reach, Released, watch_assignments
from clients.device.faults import DeviceFault
from clients.device.policy import IDLE_DELAY_S, LONGEST_DELAY_S
from clients.device.status import StatusLine
from clients.sdk.errors import RequestRefused
from clients.sdk.trust import Trust

logger = logging.getLogger(__name__)

# What may wait while a session ends (10 s at most). The oldest goes: the server says the present assignment
# again on each connection, and only the newest counts.
CHANGES_MAX = 32

_WAITING = {
    Reach.ONLINE: faults.WAITING,
    Reach.OFFLINE: faults.OFFLINE,
    Reach.UNTRUSTED: faults.UNTRUSTED,
}


class Session(Protocol):
    """Sending into one room. Cancelling `run` lets go of everything at once."""

    async def run(self) -> None:
        """Until the source is over or `release` was called. Raises `DeviceFault`."""

    def renew(self, token: str) -> None:
        """A newer token for the same room."""

    def release(self) -> None:
        """Finish what is under way, then end."""


class Supervisor:
    """Starts, renews and ends sessions as assignments come.

    :param trust: which certificates are taken for the server's.
    :param start: makes the session of an assignment.
    """

    def __init__(
        self,
        server: str,
        token: str,
        trust: Trust,
        start: Callable[[Assignment], Session],
        status: StatusLine,
    ) -> None:
        self._server = server
        self._token = token
        self._trust = trust
        self._start = start
        self._status = status
        self._changes: asyncio.Queue[Change] = asyncio.Queue(CHANGES_MAX)
        self._assigned: Assignment | None = None
        self._session: Session | None = None
        self._task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Until cancelled.

        :raises DeviceFault: the server does not take the device's token.
        """
        handling = asyncio.create_task(self._handle())
        try:
            await watch_assignments(
                self._server, self._token, self._trust, self._note, self._reached, self._patience_s
            )
        except RequestRefused as refusal:
            raise refused(refusal.code, refusal.zh, refusal.en) from refusal
        finally:
            handling.cancel()
            await asyncio.gather(handling, return_exceptions=True)
            await self._end()

    def _note(self, change: Change) -> None:
        if self._changes.full():
            self._changes.get_nowait()
        self._changes.put_nowait(change)

    async def _handle(self) -> None:
        while True:
            change = await self._changes.get()
            if isinstance(change, Released):
                if self._assigned is not None and change.consultation_id == self._assigned.consultation_id:
                    await self._release()
            elif self._assigned is not None and change.room_id == self._assigned.room_id:
                if self._session is not None:
                    self._session.renew(change.token)
            else:
                await self._release()
                self._begin(change)

    def _begin(self, assignment: Assignment) -> None:
        logger.info("assigned to room %s", assignment.room_id)
        self._assigned = assignment
        try:
            self._session = self._start(assignment)
        except DeviceFault as fault:
            self._status.fail(fault)
            return
        self._task = asyncio.create_task(self._run_session(self._session))

    async def _run_session(self, session: Session) -> None:
        try:
            await session.run()
        except DeviceFault as fault:
            self._status.fail(fault)

    async def _release(self) -> None:
        if self._session is not None and self._task is not None:
            self._session.release()
            await asyncio.wait({self._task})
            self._status.show(faults.RELEASED)
        self._assigned = self._session = self._task = None

    async def _end(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _patience_s(self) -> float:
        """A session may come to need the new token that only an assignment brings."""
        return IDLE_DELAY_S if self._session is None else LONGEST_DELAY_S

    def _reached(self, reach: Reach) -> None:
        if self._session is None:
            self._status.show(_WAITING[reach])


def refused(code: str, zh: str, en: str) -> DeviceFault:
    """The fault of a server's refusal: its sentence where it gave one, its code always."""
    text = faults.Text(f"{faults.REFUSED.zh}{zh}", f"{faults.REFUSED.en} {en}".rstrip())
    return DeviceFault(faults.EXIT_REFUSED, text, f"({code})")


async def until_stopped(work: Coroutine[Any, Any, None], status: StatusLine) -> int:
    """Run a gateway until it is over, fails, or SIGTERM or SIGINT comes; its exit status."""
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)
    for number in (signal.SIGTERM, signal.SIGINT):
        # Only the main thread may handle signals; elsewhere the caller cancels.
        with contextlib.suppress(ValueError, RuntimeError):
            loop.add_signal_handler(number, task.cancel)
    try:
        await asyncio.wait({task})
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            with contextlib.suppress(ValueError, RuntimeError):
                loop.remove_signal_handler(number)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return _exit_code(task, status)


def _exit_code(task: asyncio.Task[None], status: StatusLine) -> int:
    if task.cancelled():
        return faults.EXIT_DONE
    problem = task.exception()
    if isinstance(problem, DeviceFault):
        status.fail(problem)
        return problem.exit_code
    if problem is not None:
        raise problem
    return faults.EXIT_DONE

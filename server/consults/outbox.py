"""What is told and done outside once a transaction stands.

Messages go out at once and in order. Room commands run one after another in one task, because closing a room
finishes its recording and nobody should wait for that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from server.consults.limits import ROOM_COMMANDS_WAITING
from server.consults.ports import Pushes, Rooms

Command = Callable[[Rooms], Awaitable[None]]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Push:
    """One message for one person or device."""

    user_id: str
    event: str
    payload: dict[str, Any]


@dataclass(slots=True)
class Outbox:
    """Collected during a transaction; thrown away with it when it fails."""

    pushes: list[Push] = field(default_factory=list)
    commands: list[tuple[str, Command]] = field(default_factory=list)
    timers_changed: bool = False

    def push(self, user_id: str, event: str, payload: dict[str, Any]) -> None:
        self.pushes.append(Push(user_id, event, payload))

    def command(self, name: str, command: Command) -> None:
        """``name`` is for the log."""
        self.commands.append((name, command))


class Delivery:
    """Empties outboxes. Owned by the consult service, which starts and stops it."""

    def __init__(self, rooms: Callable[[], Rooms], pushes: Callable[[], Pushes]) -> None:
        self._rooms = rooms
        self.pushes = pushes
        self._queue: asyncio.Queue[tuple[str, Command]] = asyncio.Queue(ROOM_COMMANDS_WAITING)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="room-commands")

    async def stop(self) -> None:
        """Finish what is in line, then end. Twice is harmless."""
        if self._task is None:
            return
        await self._queue.join()
        self._task.cancel()
        await asyncio.wait({self._task})
        self._task = None

    async def settle(self) -> None:
        """Return when every room command so far has been carried out."""
        await self._queue.join()

    async def deliver(self, outbox: Outbox) -> None:
        gateway = self.pushes()
        for push in outbox.pushes:
            await gateway.notify(push.user_id, push.event, push.payload)
        for command in outbox.commands:
            await self._queue.put(command)

    def later(self, name: str, command: Command) -> None:
        """Put one command in line without waiting; with the line full it is dropped and logged."""
        try:
            self._queue.put_nowait((name, command))
        except asyncio.QueueFull:
            logger.error("%s dropped: %d commands wait already", name, self._queue.qsize())

    async def _run(self) -> None:
        while True:
            name, command = await self._queue.get()
            await self._carry_out(name, command)
            self._queue.task_done()

    async def _carry_out(self, name: str, command: Command) -> None:
        """One command; its failure is its own and stops no other."""
        task = asyncio.ensure_future(command(self._rooms()))
        await asyncio.wait({task})
        if not task.cancelled() and task.exception() is not None:
            logger.error("room command %s failed", name, exc_info=task.exception())

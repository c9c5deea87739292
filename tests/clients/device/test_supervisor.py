"""What may wait while a session ends: bounded, and the newest counts."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable

from clients.device import faults
from clients.device.assignment import Assignment, Released
from clients.device.policy import IDLE_DELAY_S, LONGEST_DELAY_S
from clients.device.status import StatusLine
from clients.device.supervisor import CHANGES_MAX, Supervisor


class Ending:
    """A session that ends when it is told to, or, ``slow``, when the test says."""

    def __init__(self, slow: bool) -> None:
        self.may_end = asyncio.Event()
        self._slow = slow

    async def run(self) -> None:
        await self.may_end.wait()

    def renew(self, token: str) -> None:
        """No matter."""

    def release(self) -> None:
        if not self._slow:
            self.may_end.set()


async def until(condition: Callable[[], bool]) -> None:
    """Nothing here waits for anything outside: some turns of the loop are enough."""
    for _ in range(100_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it did not come about")


async def test_changes_that_come_while_a_session_ends_are_bounded_and_the_newest_counts() -> None:
    begun: list[tuple[str, Ending]] = []

    def start(assignment: Assignment) -> Ending:
        begun.append((assignment.room_id, Ending(slow=not begun)))
        return begun[-1][1]

    status = StatusLine(faults.ECG, "en", io.StringIO())
    supervisor = Supervisor("http://127.0.0.1:1", "token", True, start, status)
    assert supervisor._patience_s() == IDLE_DELAY_S
    handling = asyncio.create_task(supervisor._handle())
    supervisor._note(Assignment("c", "first", "t"))
    await until(lambda: bool(begun))
    assert supervisor._patience_s() == LONGEST_DELAY_S
    supervisor._note(Released("c"))
    await until(supervisor._changes.empty)
    for number in range(10 * CHANGES_MAX):
        supervisor._note(Assignment("c", f"room {number}", "t"))
    assert supervisor._changes.qsize() == CHANGES_MAX
    supervisor._note(Assignment("c", "newest", "t"))
    begun[0][1].may_end.set()
    await until(lambda: begun[-1][0] == "newest")
    assert len(begun) == 1 + CHANGES_MAX
    handling.cancel()
    await asyncio.gather(handling, return_exceptions=True)
    await supervisor._end()

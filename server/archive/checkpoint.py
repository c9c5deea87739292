"""SQLite's write-ahead log is brought into the database file beside the writers, not by one of them.

SQLite does it within whichever commit finds a thousand pages in the log (sqlite.org/wal.html, "Automatic
Checkpoint"): one commit in some forty then writes them all and waits for the disk twice more, with everybody
behind it. A passive checkpoint of another connection holds up neither readers nor writers.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3

AFTER_COMMITS = 40
"""A step of a consult writes some 25 pages: about the thousand after which SQLite would do it."""

PASSES = 3
"""What is committed during one is brought in by the next, which is short: the log begins anew only when it is
empty."""

AT_LATEST_PAGES = 16_000
"""64 MB of log: then a commit does it after all, as when one transaction writes a whole register."""

logger = logging.getLogger(__name__)


class Checkpoints:
    """Runs one checkpoint at a time, in a thread. Owned by `Database`, which closes it before its engine."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._commits = 0
        self._connection: sqlite3.Connection | None = None
        self._task: asyncio.Task[None] | None = None
        self.done = 0

    def committed(self) -> None:
        """A transaction that may have written stands."""
        self._commits += 1
        if self._commits >= AFTER_COMMITS and self._task is None:
            self._commits = 0
            self._task = asyncio.create_task(self._run(), name="checkpoint")

    async def _run(self) -> None:
        try:
            await asyncio.to_thread(self._checkpoint)
            self.done += 1
        except sqlite3.Error as error:
            # The log only grows: the next one brings in more, and a commit does it at the latest.
            logger.warning("the checkpoint failed: %s", type(error).__name__)
        finally:
            self._task = None

    def _checkpoint(self) -> None:
        """In a thread; never two at once."""
        if self._connection is None:
            self._connection = sqlite3.connect(self._path, check_same_thread=False)
        for _ in range(PASSES):
            _, logged, brought_in = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if brought_in >= logged:
                return

    async def close(self) -> None:
        """After the one that runs. Twice is harmless."""
        if self._task is not None:
            await asyncio.wait({self._task})
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

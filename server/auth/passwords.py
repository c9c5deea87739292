"""Passwords: Argon2id (RFC 9106) in threads, a few at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from media.errors import LocalProtocolError
from server.config import AuthConfig
from server.errors import BUSY
from server.limits import PASSWORD_CHECKS_AT_ONCE, PASSWORD_CHECKS_WAITING

T = TypeVar("T")


class Passwords:
    """Hashes and checks passwords off the event loop. Closed by its owner, the auth service."""

    def __init__(self, config: AuthConfig) -> None:
        self._hasher = PasswordHasher(
            time_cost=config.argon2_time_cost,
            memory_cost=config.argon2_memory_kib,
            parallelism=config.argon2_parallelism,
        )
        self._threads = ThreadPoolExecutor(PASSWORD_CHECKS_AT_ONCE, thread_name_prefix="argon2")
        self._pending = 0
        # Checked for unknown names, so that their refusal takes as long as a wrong password's.
        self._nobody = self._hasher.hash("nobody")

    async def hash(self, password: str) -> str:
        """The encoded hash of ``password``."""
        return await self._in_thread(lambda: self._hasher.hash(password))

    async def matches(self, stored: str | None, password: str) -> bool:
        """True when ``password`` belongs to the ``stored`` hash; None = no such account, takes as long."""
        matched = await self._in_thread(lambda: self._check(stored or self._nobody, password))
        return matched and stored is not None

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._pending >= PASSWORD_CHECKS_AT_ONCE + PASSWORD_CHECKS_WAITING:
            raise LocalProtocolError(BUSY, "too many password checks at once")
        self._pending += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._pending -= 1

    def _check(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False

"""The event loop that every command runs on."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Coroutine
from typing import Any, TypeVar

import uvloop

T = TypeVar("T")

_COLLECT_AFTER = (100_000, 2, 20)
"""Garbage collection by generations. Nearly all that a server of rooms makes goes by its reference count;
looking for cycles as often as a script does took an eighth of its time with 150 rooms. With 300 ECGs the
frames that wait for the disk are up to 40,000 things, made and gone again within a second: after 20,000 those
were looked through each second in vain, 50 to 120 ms long. Old ones are looked at as seldom as before."""


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run ``work`` on uvloop. What was imported stays, and is not looked through for garbage again."""
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)

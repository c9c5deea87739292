"""What is measured: a forwarder of packets that can be started, given rooms, and asked for its processes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from loadtest.traffic.engine import Track

SMALL, LARGE = 160, 1200
"""Bytes of an RTP packet of sound and of a picture."""
JOINING_AT_ONCE = 8
LEAVING_AT_ONCE = 100
"""Leaving is mostly waiting for a socket to close."""


def picture(packets: int) -> Track:
    """A camera whose every frame, key frames as well, has so many packets of `LARGE` bytes."""
    return Track(0, 0, True, 0.01, [LARGE * packets], LARGE, key_frame_size=LARGE * packets)


SOUND = Track(0, 0, False, 0.02, [SMALL], SMALL)


@dataclass(slots=True)
class Rooms:
    """Rooms that stand: one publisher each, of a picture and a sound, and sinks.

    :param pictures: the engine's tracks of `LARGE` packets. :param sounds: those of `SMALL` ones.
    """

    profile: str
    pictures: list[int] = field(default_factory=list)
    sounds: list[int] = field(default_factory=list)


class Forwarder(Protocol):
    """One plane."""

    @property
    def name(self) -> str: ...

    def pids(self) -> Sequence[int]:
        """The processes whose time counts."""

    async def open_rooms(self, profile: str, rooms: int, fan_out: int, frame_packets: int) -> Rooms:
        """Publishers and sinks, connected; nothing flows yet. Pictures have ``frame_packets`` packets."""

    async def close_rooms(self) -> None:
        """Everybody leaves."""

    def close(self) -> None:
        """End the processes."""


async def in_groups(coroutines: Iterator[Awaitable[object]], at_once: int = JOINING_AT_ONCE) -> None:
    """Run them, so many at a time; none of them runs any more afterwards, whatever happens."""
    running: set[asyncio.Future[object]] = set()
    try:
        for coroutine in coroutines:
            running.add(asyncio.ensure_future(coroutine))
            if len(running) >= at_once:
                await _first_done(running)
        while running:
            await _first_done(running)
    finally:
        for future in running:
            future.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _first_done(running: set[asyncio.Future[object]]) -> None:
    """Wait for one of them at least and take it out; raises what it raised."""
    done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    running -= done
    for future in done:
        future.result()

"""Somebody who watches a room and notes how old live frames are when they come."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import aiohttp

from clients.sdk.signals import VIEW_PATH
from media.signals import wire
from media.signals.frames import FLAG_BACKFILL, read_header

_AGAIN_S = 0.2


@dataclass
class LiveDelays:
    """Arrivals of frames that were sent live: our clock, seconds since the measurement's end, number."""

    seen: list[tuple[float, float, int]] = field(default_factory=list)

    async def watch(self, url: str, token: str) -> None:
        """For ever; connects again when the server is killed."""
        async with aiohttp.ClientSession() as http:
            while True:
                try:
                    async with http.ws_connect(url + VIEW_PATH) as socket:
                        await socket.send_str(wire.watch(token))
                        async for message in socket:
                            if message.type is aiohttp.WSMsgType.BINARY:
                                self._note(message.data)
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(_AGAIN_S)

    def _note(self, data: bytes) -> None:
        frame = read_header(data)
        if not frame.flags & FLAG_BACKFILL:
            now = time.time()
            self.seen.append((now, now - frame.end_ns / 1e9, frame.sequence))

    def between(self, began: float, ended: float) -> list[float]:
        """Delays, ms, of frames that came between two times and were not there before."""
        newest, found = -1, []
        for at, delay, sequence in self.seen:
            if sequence > newest:
                newest = sequence
                if began <= at <= ended:
                    found.append(delay * 1000)
        return found

"""A participant on the sdk in a namespace of its own: ``python -m loadtest.network_peer URL``.

The room token is the first line of stdin: a command line can be read by everybody. Receives everything,
publishes nothing, and prints each half second one JSON line of what came in so far:
``{"at": UNIX_SECONDS, "SOURCE": {CONSUMER: {"packets", "octets", "lost", "frames", "height"}}}``, as two
people have two cameras. Ends when stdin ends.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from clients.sdk.room import RoomSession

PERIOD_SECONDS = 0.5


def _figures(session: RoomSession) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = {}
    for consumer, sink in session.sinks.items():
        found.setdefault(sink.source, {})[consumer] = {
            "packets": sink.stats.packets,
            "octets": sink.stats.octets,
            "lost": sink.stats.lost,
            "frames": sink.stats.frames,
            "height": sink.height,
        }
    return found


async def main(url: str, token: str) -> None:
    """Until stdin ends."""
    session = await RoomSession.join(url, token)
    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    try:
        while not ended.done():
            print(json.dumps({"at": time.time(), **_figures(session)}), flush=True)
            await asyncio.wait([ended], timeout=PERIOD_SECONDS)
    finally:
        await session.leave()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.stdin.readline().strip()))

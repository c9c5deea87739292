"""A real socket, a real client and recording handlers, for tests over 127.0.0.1."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Literal

from media.clock import SystemClock
from media.transport import (
    ClientTransport,
    MediaSocket,
    MediaSocketConfig,
    PeerTransport,
)

WAIT_S = 10.0


async def until(condition: Callable[[], bool]) -> None:
    """Let the event loop turn until ``condition`` holds, for what tells nobody when it happens."""
    async with asyncio.timeout(WAIT_S):
        while True:
            if condition():
                return
            await asyncio.sleep(0)


class Recorder:
    """Keeps what arrives and lets a test wait for it."""

    def __init__(self) -> None:
        self.rtp: asyncio.Queue[bytes] = asyncio.Queue()
        self.rtcp: asyncio.Queue[bytes] = asyncio.Queue()
        self.data: asyncio.Queue[tuple[int, str | bytes]] = asyncio.Queue()
        self.states: list[str] = []
        self._state = asyncio.Event()

    def rtp_received(self, packet: bytearray, now: float) -> None:
        self.rtp.put_nowait(bytes(packet))

    def rtcp_received(self, packet: bytes, now: float) -> None:
        self.rtcp.put_nowait(packet)

    def state_changed(self, state: str) -> None:
        self.states.append(state)
        self._state.set()

    def data_received(self, stream_id: int, payload: str | bytes) -> None:
        self.data.put_nowait((stream_id, payload))

    async def state(self, wanted: str) -> None:
        """Wait until ``wanted`` was told."""
        async with asyncio.timeout(WAIT_S):
            while wanted not in self.states:
                self._state.clear()
                await self._state.wait()


class Ends:
    """A connected pair and what each of them receives."""

    def __init__(self, socket: MediaSocket, role: Literal["client", "server"] = "client") -> None:
        self.socket = socket
        self.at_server = Recorder()
        self.at_client = Recorder()
        self.server: PeerTransport = socket.create_transport(self.at_server)
        self.client = ClientTransport(SystemClock(), self.at_client, role)

    async def connect(self) -> None:
        self.server.connect(self.client.dtls_parameters)
        async with asyncio.timeout(WAIT_S):
            await self.client.connect(
                self.server.ice_parameters, list(self.server.ice_candidates), self.server.dtls_parameters
            )
        await self.at_server.state("connected")


@asynccontextmanager
async def open_socket() -> AsyncIterator[MediaSocket]:
    socket = await MediaSocket.open(MediaSocketConfig(listen_ip="127.0.0.1"), SystemClock())
    try:
        yield socket
    finally:
        await socket.close()


@asynccontextmanager
async def connected(role: Literal["client", "server"] = "client") -> AsyncIterator[Ends]:
    async with open_socket() as socket:
        ends = Ends(socket, role)
        try:
            await ends.connect()
            yield ends
        finally:
            await ends.client.close()

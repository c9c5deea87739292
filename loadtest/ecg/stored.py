"""One case of the record: a gateway behind a line, trouble, and what the server's disk holds in the end."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from clients.device.outbox import Outbox
from loadtest import orderly
from loadtest.ecg.cases import Case
from loadtest.ecg.kept import StoreTail, compare
from loadtest.ecg.live import LiveDelays
from loadtest.ecg.source import samples_of, write_record
from loadtest.impair_line import Conditions
from loadtest.impair_network import HUB, Network
from loadtest.report import percentile
from loadtest.server_process import ServerProcess
from loadtest.traffic.tokens import TokenMaker
from media.clock import SystemClock

PEER = "clinic"
ROOM = "c-ecg"
STEADY_FRAMES = 50  # three seconds on the disk: the stream is under way
STEADY_S = 20.0  # a line that is merely bad is looked at for so long
LAST_S = 1  # of the record, played to its end by the last gateway: it also drains what an ended one left
LOOK_S = 0.02
PATIENCE_S = 90.0
DISK_BYTES = 8 * 1024 * 1024


class StoredRun:
    """A case's server, gateway and viewer, closed by `run` itself."""

    def __init__(self, case: Case, network: Network, directory: Path) -> None:
        self._case = case
        self._network = network
        self._directory = directory
        self._data = directory / "county"
        self._outbox = directory / "outbox"
        leads, self._source = samples_of(case.leads)
        self._last = self._source[: LAST_S * 1000]
        self._record = write_record(directory, "whole", leads, self._source)
        self._last_record = write_record(directory, "last", leads, self._last)
        self._server: ServerProcess | None = None
        self._port = 0
        self._tail = StoreTail(self._data / "signals" / ROOM)
        self._delays = LiveDelays()
        self._gateways = 1

    async def run(self) -> dict[str, Any]:
        """The case's figures."""
        with _small_disk(self._data / "signals", bool(self._case.full_s)):
            watching = None
            try:
                await self._start_server()
                watching = asyncio.create_task(self._delays.watch(self._url, self._token("watch")))
                found = await self._trouble()
                async with self._gateway(self._last_record) as last:
                    async with asyncio.timeout(PATIENCE_S):
                        await last.wait()
                kept = compare(self._tail.directory, self._source, self._last, self._measured, self._gateways)
                return {"case": self._case.name, "leads": self._case.leads, **kept, **found}
            finally:
                if watching is not None:
                    watching.cancel()
                    await asyncio.gather(watching, return_exceptions=True)
                if self._server is not None:
                    self._server.kill()

    async def _trouble(self) -> dict[str, Any]:
        case = self._case
        self._network.set_both(PEER, case.line)
        async with self._gateway(self._record, "--loop") as gateway:
            await self._until(lambda: self._tail.frames >= STEADY_FRAMES)
            if case.kill == "gateway":
                gateway.kill()
                await gateway.wait()
                self._gateways += 1
                async with self._gateway(self._record, "--loop") as second:
                    return await self._settle(second, time.time())
            if case.cut_s:
                self._network.set_both(PEER, Conditions(cut=True))
                await asyncio.sleep(case.cut_s)
                self._network.set_both(PEER, case.line)
            elif case.kill == "server":
                assert self._server is not None
                self._server.kill()
                await self._start_server()
            elif case.full_s:
                await self._fill_disk(case.full_s)
            else:
                await asyncio.sleep(STEADY_S)
            return await self._settle(gateway, time.time())

    async def _settle(self, gateway: asyncio.subprocess.Process, back: float) -> dict[str, Any]:
        """Until nothing is missing; then end the gateway and see what it had measured."""
        self._tail.look()
        highest = self._tail.ledger.highest
        await self._until(lambda: self._tail.ledger.highest > highest)
        first = time.time()
        await self._until(lambda: self._tail.is_whole(highest) and self._is_live())
        whole = time.time()
        live = self._delays.between(back, whole)
        gateway.send_signal(signal.SIGTERM)
        await gateway.wait()
        self._measured = self._outbox_frames()
        p99 = percentile(live, 99) if live else None
        return {
            "reconnect_s": round(first - back, 2),
            "backfill_s": round(whole - back, 2),
            "live_delay_during_backfill_p99_ms": None if p99 is None else round(p99, 1),
            "live_frames_during_backfill": len(live),
        }

    def _is_live(self) -> bool:
        """The newest stored frame is one that a viewer just saw come live."""
        seen = self._delays.seen
        return bool(seen) and self._tail.ledger.highest >= seen[-1][2] - 5 and time.time() - seen[-1][0] < 1

    async def _fill_disk(self, seconds: float) -> None:
        """Until a byte more is refused; then for so long, then there is room again."""
        filler = self._data / "signals" / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(64 * 1024))
            except OSError as problem:
                if problem.errno != errno.ENOSPC:
                    raise
        await asyncio.sleep(seconds)
        filler.unlink()

    async def _start_server(self) -> None:
        extra = ["--no-devices", *(["--port", str(self._port)] if self._port else [])]
        self._server = await asyncio.to_thread(ServerProcess, self._data, extra, HUB)
        self._port = int(self._server.url.rsplit(":", 1)[1])

    @property
    def _url(self) -> str:
        return f"http://{HUB}:{self._port}"

    def _token(self, grant: str) -> str:
        role = "device" if grant == "publish" else "expert"
        return TokenMaker(self._data).make(ROOM, f"load-{grant}", role, signals=frozenset({grant}))

    @asynccontextmanager
    async def _gateway(self, record: Path, *more: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """The installed command in the clinic's namespace; killed at the end if it still runs."""
        command = self._network.inside(
            PEER,
            *(sys.executable, "-m", "server.cli", "device", "ecg", *more, "--lang", "en"),
            *("--server", self._url, "--room-token", self._token("publish")),
            *("--file", str(record), "--outbox", str(self._outbox)),
        )
        with (self._directory / "gateway.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    def _outbox_frames(self) -> int:
        """Frames that the ended gateways had measured: their disk knows; looked at in a copy."""
        copy = self._directory / "copy"
        shutil.copytree(self._outbox / ROOM, copy)
        outbox = Outbox.resume(copy, SystemClock())
        assert outbox is not None
        outbox.close()
        return outbox.last + 1

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                self._tail.look()
                if condition():
                    return
                await asyncio.sleep(LOOK_S)


@contextmanager
def _small_disk(directory: Path, wanted: bool) -> Iterator[None]:
    """A disk of its own, of `DISK_BYTES`, for the server's signals."""
    if not wanted:
        yield
        return
    directory.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(directory)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


def run_stored(case: Case, network: Network, directory: Path) -> dict[str, Any]:
    """One case in a directory of its own."""
    own = directory / case.name
    own.mkdir(parents=True)
    os.sync()  # what earlier cases wrote is not this one's load
    return orderly.run(StoredRun(case, network, own).run())

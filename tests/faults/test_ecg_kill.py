"""SIGKILL while an ECG streams: the gateway's process, the server's process. No sample is lost or doubled.

Both are the installed command, in processes of their own; the tests kill them, start them again and read what
lies on their disks.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import signal
import socket
import sys
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pydicom
import pytest

from clients.device.outbox import Outbox
from loadtest.server_process import ServerProcess
from media.clock import SystemClock
from media.signals import Frame, SignalStore, records
from media.signals.export import runs
from media.signals.formats import read_file, sample_record
from media.signals.frames import read_header
from server.keys import Keys
from signaling.access import Identity, RoomGrant, mint_room_token
from signaling.personal import Personal
from tests.server.processes import until

CHEAP_ARGON2 = {
    "HUIZHEN_AUTH_ARGON2_TIME_COST": "1",
    "HUIZHEN_AUTH_ARGON2_MEMORY_KIB": "8",
    "HUIZHEN_AUTH_ARGON2_PARALLELISM": "1",
}
RECORD_S = 1.5  # of the real record: the last start of a gateway plays it once to its end
FRAME_SAMPLES = 60  # of each lead in a frame, at 1 kHz
STREAMING = 8  # more frames on the server's disk prove that the stream is under way
ENDS_S = 60.0  # a deadline for a busy machine, not a time it needs


class Server:
    """``huizhen demo`` on one port and one directory, however often it is killed."""

    def __init__(self, data: Path) -> None:
        self.data = data
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self._process: ServerProcess | None = None

    async def up(self) -> None:
        """Start it unless it runs."""
        if self._process is None:
            extra = ["--no-devices", "--port", str(self.port)]
            self._process = await asyncio.to_thread(ServerProcess, self.data, extra, settings=CHEAP_ARGON2)

    def kill(self) -> None:
        """SIGKILL; nothing when it does not run."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def room_token(self, room: str) -> str:
        grant = RoomGrant(room, subscribe=False, chat=False, signals=frozenset({"publish"}))
        identity = Identity("dev-ecg-1", Personal("ECG"), "device")
        secret = Keys.load_or_create(self.data).room_secret
        return mint_room_token(secret, identity, grant, SystemClock().wall(), 3600, None)


class Stream:
    """The one ECG of a room, on both disks."""

    def __init__(self, server: Server, room: str, directory: Path) -> None:
        self._server = server
        self._room = room
        self._outbox = directory / "outbox"
        self._record = directory / "record.dcm"
        write_record(self._record)
        self.source = read_file(self._record)[0].samples

    @asynccontextmanager
    async def gateway(self, *more: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """``huizhen device ecg``; killed at the end if it still runs."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "server.cli", "device", "ecg", *more),
            *("--server", f"http://127.0.0.1:{self._server.port}"),
            *("--room-token", self._server.room_token(self._room)),
            *("--file", str(self._record), "--outbox", str(self._outbox), "--lang", "en"),
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def streams_on(self) -> None:
        """Until the server's disk holds some frames more."""
        known = len(self.stored())
        await until(lambda: len(self.stored()) >= known + STREAMING, ENDS_S)

    def measured(self) -> int:
        """Frames that a gateway measured which runs no more: its disk knows; looked at in a copy."""
        copy = self._outbox.with_name("copy")
        shutil.copytree(self._outbox / self._room, copy)
        descriptor = read_file(self._record)[0].descriptor(str(uuid.uuid4()))
        outbox = Outbox.open(copy, descriptor, SystemClock())
        outbox.close()
        return outbox.last + 1

    def stored(self) -> list[Frame]:
        """The frames on the server's disk, in order."""
        store = SignalStore(self._server.data / "signals", SystemClock())
        return [frame for path in self._files() for frame in store.read(self._room, path.stem)]

    def duplicated(self) -> int:
        """Frames that the server wrote more than once."""
        (path,) = self._files()
        with path.open("rb") as file:
            records.read_file_header(file)
            found = list(records.scan(file, file.tell()))
        frames = [record.body for record in found if record.kind == records.KIND_FRAME]
        times = Counter(read_header(frame).sequence for frame in frames)
        return sum(times.values()) - len(times)

    async def finish(self, measured: int) -> None:
        """Play the record once to its end; then the server has that, and the ``measured`` frames before."""
        async with self.gateway() as last:
            assert await asyncio.wait_for(last.wait(), ENDS_S) == os.EX_OK
        sources = [*self._rounds(measured), self.source]
        parts = [run.samples for run in runs(self.stored())]
        lost_samples = sum(map(len, sources)) - sum(map(len, parts))
        assert (lost_samples, self.duplicated()) == (0, 0)
        assert [digest(part) for part in parts] == [digest(source) for source in sources]
        assert not (self._outbox / self._room).exists()

    def _rounds(self, frames: int) -> list[np.ndarray]:
        """What so many frames of a looping gateway hold: one run a round."""
        samples = frames * FRAME_SAMPLES
        starts = range(0, samples, len(self.source))
        return [self.source[: samples - start] for start in starts]

    def _files(self) -> list[Path]:
        return list((self._server.data / "signals" / self._room).glob("*.hzs"))


def write_record(path: Path) -> None:
    """The beginning of the real 12-lead record."""
    dataset = pydicom.dcmread(sample_record())
    group = dataset.WaveformSequence[0]
    group.NumberOfWaveformSamples = round(RECORD_S * group.SamplingFrequency)
    size = group.NumberOfWaveformSamples * group.NumberOfWaveformChannels * 2
    group.WaveformData = group.WaveformData[:size]
    dataset.save_as(path)


def digest(samples: np.ndarray) -> str:
    return hashlib.sha256(samples.astype("<i2").tobytes()).hexdigest()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("county"))
    yield server
    server.kill()


async def test_a_killed_gateway_loses_nothing_that_it_measured(server: Server, tmp_path: Path) -> None:
    stream = Stream(server, "c-gateway", tmp_path)
    async with stream.gateway("--loop") as gateway:
        await server.up()
        await stream.streams_on()
        gateway.kill()
        assert await gateway.wait() == -signal.SIGKILL
    await stream.finish(stream.measured())


async def test_a_killed_server_loses_nothing_that_it_confirmed(server: Server, tmp_path: Path) -> None:
    """The gateway measures on meanwhile; what the server confirmed and what it missed make one whole."""
    stream = Stream(server, "c-server", tmp_path)
    async with stream.gateway("--loop") as gateway:
        await server.up()
        await stream.streams_on()
        server.kill()
        await server.up()
        await stream.streams_on()
        gateway.terminate()
        assert await gateway.wait() == os.EX_OK
    await stream.finish(stream.measured())

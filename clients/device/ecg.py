"""``huizhen device ecg``: brings an ECG into a room and keeps every sample until the server confirms it."""

from __future__ import annotations

import asyncio
import base64
import binascii
import fcntl
import json
import logging
import os
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from clients.device import faults
from clients.device.assignment import Assignment
from clients.device.ecg_stream import EcgStream
from clients.device.faults import DeviceFault
from clients.device.outbox import Outbox
from clients.device.status import StatusLine
from clients.device.supervisor import Supervisor, until_stopped
from clients.device.trust import trust_of
from clients.device.uplink import State
from clients.device.waveform_source import Block, blocks
from clients.sdk.trust import Trust
from media.clock import Clock, SystemClock
from media.errors import LocalProtocolError, RemoteProtocolError
from media.signals.descriptor import StreamDescriptor
from media.signals.errors import STORE_FULL
from media.signals.formats import Waveform, read_file, sample_record
from media.signals.frames import FLAG_DELTA, FLAG_SEAM, Frame, encode

logger = logging.getLogger(__name__)

RELEASE_S = 10.0  # after the consult's end, for what is still unconfirmed; then it stays in the outbox
CATCH_UP_S = 5.0  # a gateway that slept longer goes on from now and marks the seam

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class EcgOptions:
    """What the command line says.

    :param server: base URL, ``http://host:port``.
    :param device_token: the device's own; it then waits to be assigned to a room.
    :param room_token: for one room, without waiting.
    :param file: a DICOM waveform; the real record in pydicom's wheel when None.
    :param loop: begin anew at the end, marking the seam.
    :param outbox: directory for what is not confirmed yet.
    :param lang: ``zh`` or ``en``.
    :param stream_id: UUID for a new stream; a random one when None.
    :param ca: PEM file of the one authority, or self-signed certificate, to trust; the machine's when None.
    :param insecure: take any certificate.
    """

    server: str
    device_token: str | None = field(default=None, repr=False)
    room_token: str | None = field(default=None, repr=False)
    file: Path | None = None
    loop: bool = False
    outbox: Path = Path("outbox")
    lang: str = "zh"
    stream_id: str | None = None
    ca: Path | None = None
    insecure: bool = False


async def run(options: EcgOptions, clock: Clock | None = None, sleep: Sleep = asyncio.sleep) -> int:
    """Run the gateway until its record is over or SIGTERM comes; the exit status of `clients.device.faults`.

    :param clock: for the device's time stamps and pace; the machine's own when None.
    """
    status = StatusLine(faults.ECG, options.lang)
    return await until_stopped(_run(options, clock or SystemClock(), sleep, status), status)


async def _run(options: EcgOptions, clock: Clock, sleep: Sleep, status: StatusLine) -> None:
    waveform = load(options.file)
    trust = trust_of(options.ca, options.insecure)

    def session(assignment: Assignment) -> EcgSession:
        return EcgSession(options, trust, assignment, waveform, status, clock, sleep)

    with _locked(options.outbox):
        if options.room_token is not None:
            await session(room_of_token(options.room_token)).run()
        elif options.device_token is not None:
            await Supervisor(options.server, options.device_token, trust, session, status).run()
        else:
            raise DeviceFault(faults.EXIT_USAGE, faults.NO_TOKEN)


def load(file: Path | None) -> Waveform:
    """The record to send.

    :raises DeviceFault: there is none, or it is no ECG.
    """
    try:
        return read_file(file or sample_record())[0]
    except FileNotFoundError:
        raise DeviceFault(faults.EXIT_USAGE, faults.FILE_MISSING, str(file)) from None
    except OSError as problem:
        detail = f"{file}: {problem.strerror}"
        raise DeviceFault(faults.EXIT_USAGE, faults.FILE_UNREADABLE, detail) from problem
    except RemoteProtocolError as fault:
        raise DeviceFault(faults.EXIT_USAGE, faults.FILE_UNREADABLE, f"{file} ({fault})") from fault


def room_of_token(token: str) -> Assignment:
    """Read which room a token is for; the server checks whether it is good.

    :raises DeviceFault: it is no JWT with a room.
    """
    try:
        body = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return Assignment("", str(claims["room"]), token)
    except (IndexError, KeyError, TypeError, ValueError, binascii.Error):
        raise DeviceFault(faults.EXIT_USAGE, faults.BAD_ROOM_TOKEN) from None


class EcgSession:
    """Measures and sends into one room. Closes its outbox; one that is wholly confirmed is deleted."""

    def __init__(
        self,
        options: EcgOptions,
        trust: Trust,
        assignment: Assignment,
        waveform: Waveform,
        status: StatusLine,
        clock: Clock,
        sleep: Sleep,
    ) -> None:
        self._waveform = waveform
        self._loop = options.loop
        self._status = status
        self._clock = clock
        self._sleep = sleep
        self._stop = asyncio.Event()
        descriptor = waveform.descriptor(options.stream_id or str(uuid.uuid4()), "ECG")
        self._outbox = _outbox(options.outbox / _safe(assignment.room_id), descriptor, clock)
        url = options.server.rstrip("/") + assignment.signals_path
        can_wait = options.room_token is None
        self._stream = EcgStream(url, assignment.token, self._outbox, can_wait, trust, self._show)

    async def run(self) -> None:
        """See `clients.device.supervisor.Session`."""
        self._status.show(faults.CONNECTING)
        measuring = asyncio.create_task(self._measure())
        sending = asyncio.create_task(self._stream.run())
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({measuring, sending, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if measuring.done():
                measuring.result()
                await asyncio.wait({sending, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not sending.done():
                measuring.cancel()
                self._stream.end()
                await asyncio.wait({sending}, timeout=RELEASE_S)
        finally:
            for task in (measuring, sending, stopping):
                task.cancel()
            await asyncio.gather(measuring, sending, stopping, return_exceptions=True)
            self._outbox.close()
            if self._stream.uplink.broken:
                self._outbox.set_aside()
        if not sending.cancelled():
            sending.result()
            if not self._outbox.waiting:
                self._outbox.remove()
            self._status.show(faults.ENDED)

    def renew(self, token: str) -> None:
        self._stream.renew(token)

    def release(self) -> None:
        self._stop.set()

    async def _measure(self) -> None:
        """Put the record into the outbox at its own pace."""
        rate = self._waveform.sampling_rate_hz
        started, started_ns, restart = self._clock.monotonic(), self._wall_ns(), 0
        lost = False
        for block in blocks(self._waveform, self._loop):
            end_s = (block.position - restart + len(block.samples)) / rate
            wait = started + end_s - self._clock.monotonic()
            if wait > 0:
                await self._sleep(wait)
            slept_through = -wait > CATCH_UP_S
            if slept_through:
                started, started_ns, restart = self._clock.monotonic(), self._wall_ns(), block.position
            time_ns = started_ns + round((block.position - restart) / rate * 1e9)
            lost = not self._keep(block, time_ns, seam=block.seam or lost or slept_through)
        self._stream.end()

    def _keep(self, block: Block, time_ns: int, seam: bool) -> bool:
        """Put a block into the outbox; False when that is full, and the samples are lost."""
        flags = FLAG_DELTA | (FLAG_SEAM if seam else 0)
        sequence = self._outbox.last + 1
        frame = Frame.of(self._outbox.descriptor, sequence, time_ns, block.samples, flags)
        try:
            # Blocks the loop for one fsync, on purpose: there is nothing to send before it is safe.
            self._outbox.append(encode(frame))
        except LocalProtocolError as fault:
            text = faults.OUTBOX_FULL if fault.code is STORE_FULL else faults.OUTBOX_FAILED
            self._status.fail(DeviceFault(faults.EXIT_DISK, text))
            return False
        self._stream.wake()
        return True

    def _wall_ns(self) -> int:
        return round(self._clock.wall() * 1e9)

    def _show(self, state: State) -> None:
        texts = {State.STREAMING: faults.SENDING, State.ANNOUNCED: faults.CONNECTING}
        waiting = self._status.count(self._outbox.waiting, faults.UNCONFIRMED)
        confirmed = self._status.count(self._stream.uplink.progress.confirmed + 1, faults.CONFIRMED)
        offline = faults.UNTRUSTED if self._stream.untrusted else faults.OFFLINE
        self._status.show(texts.get(state, offline), f"{confirmed} · {waiting}")


def _outbox(directory: Path, descriptor: StreamDescriptor, clock: Clock) -> Outbox:
    try:
        return Outbox.open(directory, descriptor, clock)
    except LocalProtocolError as fault:
        detail = f"{directory} ({fault.code.code})"
        raise DeviceFault(faults.EXIT_DISK, faults.OUTBOX_FAILED, detail) from fault


def _safe(room_id: str) -> str:
    """A room id as a directory name."""
    return "".join(sign if sign.isalnum() or sign in "-_" else "_" for sign in room_id)[:100] or "_"


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Two gateways in one outbox would mix their frames.

    :raises DeviceFault: another process holds it, or it cannot be made.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as problem:
        detail = f"{directory}: {problem.strerror}"
        raise DeviceFault(faults.EXIT_DISK, faults.OUTBOX_FAILED, detail) from problem
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise DeviceFault(faults.EXIT_DISK, faults.OUTBOX_BUSY, str(directory)) from None
    finally:
        os.close(descriptor)

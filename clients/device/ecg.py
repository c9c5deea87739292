"""``huizhen device ecg``: brings ECG and other signals into a room and keeps every sample until it is
confirmed.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from clients.device import faults
from clients.device.assignment import Assignment
from clients.device.ecg_stream import EcgStream
from clients.device.faults import DeviceFault, Text
from clients.device.outbox import Outbox
from clients.device.outgoing import Outgoing, Way
from clients.device.runner import GatewayOptions, serve_rooms
from clients.device.sources.choose import choose
from clients.device.sources.source import FrameLength, Piece, Sleep, Source
from clients.device.status import StatusLine
from clients.device.supervisor import until_stopped
from clients.device.uplink import State
from clients.sdk.trust import Trust
from media.clock import Clock, SystemClock
from media.errors import LocalProtocolError
from media.signals.errors import STORE_FULL
from media.signals.frames import FLAG_DELTA, FLAG_SEAM, Frame, encode

RELEASE_S = 10.0  # after the consult's end, for what is still unconfirmed; then it stays in the outbox
LEFT_OVER_S = 10.0  # a live source that says nothing for so long does not go on with an earlier run's stream


@dataclass(frozen=True, slots=True)
class EcgOptions(GatewayOptions):
    """Those of every gateway, and:

    :param source: where samples come from (`clients.device.sources.choose`); the record ``file`` when None.
    :param outbox: directory for what is not confirmed yet.
    :param stream_id: UUID for a new stream; a random one when None.
    """

    source: str | None = None
    outbox: Path = Path("outbox")
    stream_id: str | None = None


async def run(options: EcgOptions, clock: Clock | None = None, sleep: Sleep = asyncio.sleep) -> int:
    """Run the gateway until its source is over or SIGTERM comes; the exit status of `clients.device.faults`.

    :param clock: for the device's time stamps and pace; the machine's own when None.
    """
    status = StatusLine(faults.ECG, options.lang)
    return await until_stopped(_run(options, clock or SystemClock(), sleep, status), status)


async def _run(options: EcgOptions, clock: Clock, sleep: Sleep, status: StatusLine) -> None:
    def tell(text: Text, detail: str) -> None:
        status.fail(DeviceFault(faults.EXIT_DONE, text, detail))

    length = FrameLength()
    source = choose(options.source, options.file, options.loop, clock, sleep, tell, length)

    def session(assignment: Assignment, trust: Trust) -> EcgSession:
        return EcgSession(options, trust, assignment, source(), length, status, clock)

    with _locked(options.outbox):
        await serve_rooms(options, session, status)


class EcgSession:
    """Measures and sends into one room. Closes its outboxes; one that is wholly confirmed is deleted.

    :param length: the source's; led from here to what the server would like.
    """

    def __init__(
        self,
        options: EcgOptions,
        trust: Trust,
        assignment: Assignment,
        source: Source,
        length: FrameLength,
        status: StatusLine,
        clock: Clock,
    ) -> None:
        self._source = source
        self._length = length
        self._status = status
        self._token = assignment.token
        self._trust = trust
        self._url = options.server.rstrip("/") + assignment.signals_path
        self._clock = clock
        self._can_wait = options.room_token is None
        self._stop = asyncio.Event()
        self._lost = 0
        directory = options.outbox / _safe(assignment.room_id)
        self._outgoing = Outgoing(directory, self._connect, clock, options.stream_id, self._show, status.fail)

    async def run(self) -> None:
        """See `clients.device.supervisor.Session`."""
        self._status.show(faults.CONNECTING)
        measuring = asyncio.create_task(self._measure())
        sending = asyncio.create_task(self._outgoing.run())
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({measuring, sending, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if measuring.done():
                measuring.result()
                await asyncio.wait({sending, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not sending.done():
                measuring.cancel()
                self._outgoing.end()
                await asyncio.wait({sending}, timeout=RELEASE_S)
        finally:
            for task in (measuring, sending, stopping):
                task.cancel()
            await asyncio.gather(measuring, sending, stopping, return_exceptions=True)
            await self._outgoing.close()
        if not sending.cancelled():
            sending.result()
            self._status.show(faults.ENDED)

    def renew(self, token: str) -> None:
        self._token = token
        self._outgoing.renew(token)

    def release(self) -> None:
        self._stop.set()

    async def _measure(self) -> None:
        """Put what the source gives into the outboxes."""
        for signal in self._source.signals:
            self._outgoing.way_for(signal)
        wait_s = 0.0 if self._source.signals else LEFT_OVER_S
        timer = asyncio.get_running_loop().call_later(wait_s, self._outgoing.send_left_over)
        try:
            async for piece in self._source.pieces():
                way = self._outgoing.way_for(piece.signal)
                way.incomplete = not self._keep(way, piece)
                self._length.follow(self._clock.monotonic())
        finally:
            timer.cancel()
        self._outgoing.send_left_over()
        self._outgoing.end()

    def _keep(self, way: Way, piece: Piece) -> bool:
        """Put a piece into the outbox; False when that is full, and the samples are lost."""
        flags = FLAG_DELTA | (FLAG_SEAM if piece.seam or way.incomplete else 0)
        outbox = way.outbox
        frame = Frame.of(outbox.descriptor, outbox.last + 1, piece.time_ns, piece.samples, flags)
        try:
            # Blocks the loop for one fsync, on purpose: there is nothing to send before it is safe.
            outbox.append(encode(frame))
        except LocalProtocolError as fault:
            text = faults.OUTBOX_FULL if fault.code is STORE_FULL else faults.OUTBOX_FAILED
            self._status.fail(DeviceFault(faults.EXIT_DISK, text))
            return False
        way.stream.wake()
        return True

    def _connect(self, outbox: Outbox, changed: Callable[[State], None]) -> EcgStream:
        return EcgStream(self._url, self._token, outbox, self._can_wait, self._trust, changed)

    def _show(self, state: State) -> None:
        self._length.wished_ms = self._outgoing.frame_ms or self._length.wished_ms
        if self._outgoing.lost > self._lost:
            self._lost = self._outgoing.lost
            self._status.fail(DeviceFault(faults.EXIT_DISK, faults.OUTBOX_DAMAGED, str(self._lost)))
        texts = {State.STREAMING: faults.SENDING, State.ANNOUNCED: faults.CONNECTING}
        waiting = self._status.count(self._outgoing.waiting, faults.UNCONFIRMED)
        confirmed = self._status.count(self._outgoing.confirmed, faults.CONFIRMED)
        offline = faults.UNTRUSTED if self._outgoing.untrusted else faults.OFFLINE
        self._status.show(texts.get(state, offline), f"{confirmed} · {waiting}")


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

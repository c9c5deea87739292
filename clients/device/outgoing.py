"""All streams of one gateway in one room: those it measures, and what an earlier run left behind.

The first stream's outbox is ``outbox/ROOM``, further ones are ``outbox/ROOM.1``, ``ROOM.2`` ... . What lies
there and measures the same goes on as the same stream; anything else is sent to its end beside the live
streams.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from clients.device import faults
from clients.device.ecg_stream import EcgStream
from clients.device.faults import DeviceFault
from clients.device.outbox import SUFFIX, Outbox, stream_in
from clients.device.sources.source import Signal
from clients.device.uplink import State
from media.clock import Clock
from media.errors import LocalProtocolError
from media.limits import SIGNAL_MAX_STREAMS
from media.signals.descriptor import StreamDescriptor

logger = logging.getLogger(__name__)

Connect = Callable[[Outbox, Callable[[State], None]], EcgStream]


@dataclass(eq=False)
class Way:
    """One stream: its outbox, its connection, the task that runs it.

    :param signal: what is measured into it; None for what an earlier run left behind.
    :param incomplete: samples before the next frame were not kept.
    """

    outbox: Outbox
    stream: EcgStream
    task: asyncio.Task[None]
    signal: Signal | None
    ending: bool = False
    incomplete: bool = False

    def end(self) -> None:
        """Nothing more will be measured into it."""
        self.ending = True
        self.stream.end()


class Outgoing:
    """Opens, ends and closes the streams of a room.

    :param directory: of the room.
    :param connect: makes the connection of an outbox.
    :param stream_id: of the first new stream; a random one when None.
    :param changed: told when a state or a count changed.
    :param failed: told what is wrong with a stream of an earlier run; the others go on.
    """

    def __init__(
        self,
        directory: Path,
        connect: Connect,
        clock: Clock,
        stream_id: str | None,
        changed: Callable[[State], None],
        failed: Callable[[DeviceFault], None],
    ) -> None:
        self._directory = directory
        self._connect = connect
        self._clock = clock
        self._stream_id = stream_id
        self._changed = changed
        self._failed = failed
        self._ways: list[Way] = []
        self._free: dict[Path, StreamDescriptor] = {}
        self._group = ""
        self._ended = False
        self._opened = asyncio.Event()
        self._find_left_over()

    @property
    def waiting(self) -> int:
        """Frames that the server has not confirmed."""
        return sum(way.outbox.waiting for way in self._ways)

    @property
    def confirmed(self) -> int:
        """Frames that the server has."""
        return sum(way.stream.uplink.progress.confirmed + 1 for way in self._ways)

    @property
    def lost(self) -> int:
        """Frames that the outbox could not read again; the server was told."""
        return sum(way.stream.uplink.progress.lost for way in self._ways)

    @property
    def frame_ms(self) -> int | None:
        """How long a frame the server would like; of several wishes the longest."""
        return max((way.stream.uplink.frame_ms or 0 for way in self._ways), default=0) or None

    @property
    def untrusted(self) -> bool:
        return any(way.stream.untrusted for way in self._ways)

    def way_for(self, signal: Signal) -> Way:
        """The open stream of a signal, or a new one; one of the same place with other measuring fields ends.

        :raises DeviceFault: the outbox cannot be used, or there are too many signals.
        """
        for way in self._ways:
            if way.signal == signal and not way.ending:
                return way
        for way in self._ways:
            if way.signal is not None and way.signal.place == signal.place:
                way.end()
        if sum(not way.ending for way in self._ways) >= SIGNAL_MAX_STREAMS:
            raise DeviceFault(faults.EXIT_USAGE, faults.TOO_MANY_SIGNALS, str(SIGNAL_MAX_STREAMS))
        return self._open(signal)

    def send_left_over(self) -> None:
        """Send what earlier runs left and nobody measures on. Call it when the source's signals are known."""
        while self._free:
            directory, _ = self._free.popitem()
            try:
                outbox = Outbox.resume(directory, self._clock)
            except LocalProtocolError as fault:
                self._failed(_unusable(directory, fault))
                continue
            if outbox is not None:
                self._run(outbox, None).end()

    def renew(self, token: str) -> None:
        """Use another token from the next connection on."""
        for way in self._ways:
            way.stream.renew(token)

    def end(self) -> None:
        """Nothing more will be measured into any stream."""
        self._ended = True
        for way in self._ways:
            way.end()
        self._opened.set()

    async def run(self) -> None:
        """Until all is confirmed after `end`, or the room is closed.

        :raises DeviceFault: the server refused a live stream in a way that trying again does not mend.
        """
        opened = asyncio.create_task(self._opened.wait())
        try:
            while not self._is_over():
                tasks = {way.task for way in self._ways if not way.task.done()}
                await asyncio.wait({opened, *tasks}, return_when=asyncio.FIRST_COMPLETED)
                if opened.done():
                    self._opened.clear()
                    opened = asyncio.create_task(self._opened.wait())
        finally:
            opened.cancel()

    async def close(self) -> None:
        """Let go of connections and files; delete what is wholly confirmed and ended. Idempotent."""
        for way in self._ways:
            way.task.cancel()
        await asyncio.gather(*(way.task for way in self._ways), return_exceptions=True)
        for way in self._ways:
            _put_away(way)
        self._ways.clear()

    def _find_left_over(self) -> None:
        """A damaged one is said and left for a person; measuring goes on beside it."""
        for directory in _places(self._directory):
            if not directory.is_dir():
                return
            try:
                descriptor = stream_in(directory)
            except LocalProtocolError as fault:
                self._failed(_unusable(directory, fault))
                continue
            if descriptor is not None:
                self._free[directory] = descriptor

    def _open(self, signal: Signal) -> Way:
        outbox = self._take_up(signal)
        if outbox is None:
            stream_id, self._stream_id = self._stream_id or str(uuid.uuid4()), None
            self._group = self._group or stream_id
            outbox = _outbox(self._unused(), signal.descriptor(stream_id, self._group), self._clock)
        self._group = self._group or outbox.descriptor.group
        return self._run(outbox, signal)

    def _take_up(self, signal: Signal) -> Outbox | None:
        """The outbox in which an earlier run kept this very signal."""
        wanted = signal.descriptor("").crc
        for directory, descriptor in self._free.items():
            if descriptor.crc == wanted:
                del self._free[directory]
                return _outbox(directory, descriptor, self._clock)
        return None

    def _unused(self) -> Path:
        taken = {way.outbox.directory for way in self._ways}
        places = (path for path in _places(self._directory) if path not in taken)
        return next(path for path in places if not any(path.glob(f"*{SUFFIX}")))

    def _run(self, outbox: Outbox, signal: Signal | None) -> Way:
        stream = self._connect(outbox, self._changed)
        way = Way(outbox, stream, asyncio.create_task(stream.run()), signal)
        self._ways.append(way)
        self._opened.set()
        return way

    def _is_over(self) -> bool:
        for way in [way for way in self._ways if way.task.done()]:
            problem = way.task.exception()
            if way.signal is not None and problem is not None:
                raise problem
            if isinstance(problem, DeviceFault):
                self._failed(problem)
            elif problem is not None:
                raise problem
            if way.signal is not None and not way.ending:
                return True
            if way.stream.uplink.state is State.ENDED or way.signal is None:
                _put_away(way)
                self._ways.remove(way)
        return self._ended and all(way.task.done() for way in self._ways)


def _put_away(way: Way) -> None:
    way.outbox.close()
    if way.stream.uplink.broken:
        way.outbox.set_aside()
    elif way.stream.uplink.state is State.ENDED and not way.outbox.waiting:
        way.outbox.remove()


def _places(directory: Path) -> Iterator[Path]:
    yield directory
    number = 1
    while True:
        yield directory.with_name(f"{directory.name}.{number}")
        number += 1


def _outbox(directory: Path, descriptor: StreamDescriptor, clock: Clock) -> Outbox:
    try:
        return Outbox.open(directory, descriptor, clock)
    except LocalProtocolError as fault:
        raise _unusable(directory, fault) from fault


def _unusable(directory: Path, fault: LocalProtocolError) -> DeviceFault:
    return DeviceFault(faults.EXIT_DISK, faults.OUTBOX_FAILED, f"{directory} ({fault.code.code})")

"""Any part of a stored stream again, for those who look back: pieces of frames, and an overview of one lead.

A stream that is still growing is read to its last whole record; what was read once is not read again to find
the places of frames, only what came since. One thread reads, so that looking back never takes more than one
core from those who are live; who waits, and how many, is bounded.
"""

from __future__ import annotations

import asyncio
import math
import struct
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from media.errors import LocalProtocolError, RemoteProtocolError
from media.limits import (
    SIGNAL_PAST_FRAMES_KEPT,
    SIGNAL_PAST_OVERVIEW_S,
    SIGNAL_PAST_PART_S,
    SIGNAL_PAST_WAITING,
    SIGNAL_PAST_WAITING_EACH,
)
from media.signals import records
from media.signals.commit import store_fault
from media.signals.errors import SIGNAL_PAST_BUSY, SIGNAL_PAST_RANGE
from media.signals.frames import FrameHeader, read_header, samples_of
from media.signals.replay import Spans, StoredStream, StreamIndex, headed_frames, scan

OVERVIEW_BIN_S: Final = 0.05
"""Of an overview, each with its lowest and highest sample: a QRS of 80 ms is seen in one or two of them."""
NOTHING: Final = (32767, -32768)
"""Lowest and highest of a bin without a sample."""
_PLACE = struct.Struct("<Iq")

T = TypeVar("T")


class Past:
    """Reads the files of a store.

    :param path_of: the file of a stream by owner and stream id; raises ``not_found``.
    """

    def __init__(self, path_of: Callable[[str, str], Path]) -> None:
        self._path_of = path_of
        self._indexes: OrderedDict[Path, StreamIndex] = OrderedDict()
        self._turn = asyncio.Lock()
        self._reading = threading.Lock()
        self._waiting: Counter[str] = Counter()

    async def stored(self, who: str, owner: str, stream_id: str) -> StoredStream:
        """What is stored of a stream now.

        :param who: who asks; one person's requests do not fill the line.
        :raises LocalProtocolError: ``not_found``, ``store_*``, ``signal_past_busy``.
        """
        return await self._in_turn(who, lambda: self._opened(owner, stream_id)[1].stored())

    async def part(
        self, who: str, owner: str, stream_id: str, start: float, end: float, spans: Spans | None = None
    ) -> bytes:
        """The frames that overlap [start, end), Unix seconds on this server's clock, as `placed` writes them.

        :param spans: only frames that lie in one of them as a whole.
        :raises RemoteProtocolError: ``signal_past_range`` beyond `SIGNAL_PAST_PART_S`.
        :raises LocalProtocolError: as `stored`.
        """
        _check(start, end, SIGNAL_PAST_PART_S)

        def read() -> bytes:
            path, index = self._opened(owner, stream_id)
            return placed(index, headed_frames(path, index, start, end, spans))

        return await self._in_turn(who, read)

    async def overview(
        self,
        who: str,
        owner: str,
        stream_id: str,
        start: float,
        end: float,
        lead: int,
        spans: Spans | None = None,
    ) -> bytes:
        """Lowest and highest sample of a lead, int16, in each `OVERVIEW_BIN_S` from ``start`` on; `NOTHING`
        where there is none.

        :raises RemoteProtocolError: ``signal_past_range`` beyond `SIGNAL_PAST_OVERVIEW_S`; no such lead.
        :raises LocalProtocolError: as `stored`.
        """
        _check(start, end, SIGNAL_PAST_OVERVIEW_S)

        def read() -> bytes:
            path, index = self._opened(owner, stream_id)
            if not 0 <= lead < len(index.descriptor.leads):
                raise RemoteProtocolError(SIGNAL_PAST_RANGE, "lead")
            frames = headed_frames(path, index, start, end, spans)
            return overview(index, frames, start, end, lead).astype("<i2").tobytes()

        return await self._in_turn(who, read)

    async def _in_turn(self, who: str, work: Callable[[], T]) -> T:
        full = self._waiting.total() >= SIGNAL_PAST_WAITING
        if full or self._waiting[who] >= SIGNAL_PAST_WAITING_EACH:
            raise LocalProtocolError(SIGNAL_PAST_BUSY)
        self._waiting[who] += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(self._alone, work)
        except OSError as problem:
            raise store_fault(problem) from problem
        finally:
            self._waiting[who] -= 1
            if not self._waiting[who]:
                del self._waiting[who]

    def _alone(self, work: Callable[[], T]) -> T:
        # Whoever gives up waiting lets the next one in while its thread still reads.
        with self._reading:
            return work()

    def _opened(self, owner: str, stream_id: str) -> tuple[Path, StreamIndex]:
        """A stream's file and what it holds now. Blocks; one at a time."""
        path = self._path_of(owner, stream_id)
        index = self._indexes.pop(path, None)
        if index is None or not follow(path, index):
            index = scan(path)
        self._indexes[path] = index
        while len(self._indexes) > 1 and self._frames_kept() > SIGNAL_PAST_FRAMES_KEPT:
            self._indexes.popitem(last=False)
        return path, index

    def _frames_kept(self) -> int:
        return sum(len(index.frames) for index in self._indexes.values())


def follow(path: Path, index: StreamIndex) -> bool:
    """Add to ``index`` what was appended since; False when the file is no longer the one that was read: after
    a failed sync its end is cut off and written anew.
    """
    with path.open("rb") as file:
        if len(index.frames):
            sequence, offset = index.frames.newest()
            found = records.read_record(file, offset)
            if found is None or found.kind != records.KIND_FRAME:
                return False
            if read_header(found.body).sequence != sequence:
                return False
        for record in records.scan(file, index.end):
            index.add(record)
    return True


def extent(stored: StoredStream) -> dict[str, object]:
    """From when to when a stream reaches, and its alarms; times are Unix seconds on this server's clock."""
    return {
        "start": stored.start,
        "end": stored.end,
        "binMs": round(OVERVIEW_BIN_S * 1000),
        "alarms": [alarm.as_json() for alarm in stored.alarms],
    }


def placed(index: StreamIndex, frames: Iterable[tuple[FrameHeader, bytes]]) -> bytes:
    """Each frame after its length (u32) and when its first sample was measured (i64, ns Unix on this server's
    clock); little-endian.
    """
    parts: list[bytes] = []
    for header, body in frames:
        parts += (_PLACE.pack(len(body), index.to_ours(header, header.device_time_ns)), body)
    return b"".join(parts)


def overview(
    index: StreamIndex, frames: Iterable[tuple[FrameHeader, bytes]], start: float, end: float, lead: int
) -> NDArray[np.int16]:
    """Shape (bins, 2): lowest and highest of ``lead`` in each `OVERVIEW_BIN_S` of [start, end)."""
    bins = math.ceil((end - start) / OVERVIEW_BIN_S - 1e-3)
    found = np.empty((bins, 2), dtype=np.int16)
    found[:] = NOTHING
    start_ns, bin_ns = round(start * 1e9), round(OVERVIEW_BIN_S * 1e9)
    for header, body in frames:
        values = samples_of(body, header)[:, lead]
        period = 10**12 / header.sampling_rate_mhz
        begin = index.to_ours(header, header.device_time_ns) - start_ns
        at = np.floor((begin + np.arange(len(values)) * period) / bin_ns).astype(np.int64)
        values, at = values[(at >= 0) & (at < bins)], at[(at >= 0) & (at < bins)]
        if not len(at):
            continue
        edges = np.concatenate(([0], np.flatnonzero(np.diff(at)) + 1))
        touched = at[edges]
        found[touched, 0] = np.minimum(found[touched, 0], np.minimum.reduceat(values, edges))
        found[touched, 1] = np.maximum(found[touched, 1], np.maximum.reduceat(values, edges))
    return found


def _check(start: float, end: float, longest: float) -> None:
    # A float's noise on top: pieces are cut at round seconds.
    if not (math.isfinite(start) and math.isfinite(end) and 0 <= start < end <= 1e11):
        raise RemoteProtocolError(SIGNAL_PAST_RANGE, "from and to")
    if end - start > longest + 1e-3:
        raise RemoteProtocolError(SIGNAL_PAST_RANGE, f"{longest:g} s at most")

"""What the analysis has to say in one room: the last word on each stream, its alarms, who has seen them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from media.errors import NOT_FOUND, RemoteProtocolError
from media.limits import ANALYSIS_STREAMS_KEPT, SIGNAL_LIVE_KEEP_S
from media.signals import wire
from media.signals.analysis.alarms import AlarmBook, Condition
from media.signals.analysis.analyzer import Findings
from media.signals.analysis.findings import Alarm, Analysis
from media.signals.analysis.patients import RoomLimits
from media.signals.descriptor import StreamDescriptor


@dataclass
class _Stream:
    descriptor: StreamDescriptor
    book: AlarmBook
    last: Analysis | None = None
    beats: tuple[float, ...] = ()
    conditions: tuple[Condition, ...] = field(default=())


class AnalysisBoard:
    """One room's. What it gives back is for everybody who watches and, alarms, for the record.

    :param new_id: makes identifiers of alarms that cannot be guessed.
    """

    def __init__(self, new_id: Callable[[], str]) -> None:
        self._new_id = new_id
        self.limits: RoomLimits | None = None
        """What holds for this room's patient; None: what the server was told for all."""
        self._streams: dict[str, _Stream] = {}

    def found(self, descriptor: StreamDescriptor, findings: Findings) -> list[Alarm]:
        """A round's findings: the alarms that changed by them."""
        stream = self._stream(descriptor)
        told = findings.analysis
        horizon = told.device_time - SIGNAL_LIVE_KEEP_S
        kept = [beat for beat in stream.beats if horizon <= beat <= told.device_time]
        stream.last, stream.beats = told, (*kept, *told.beats)
        stream.conditions = findings.conditions
        return stream.book.update(findings.conditions, told.at, told.device_time)

    def silent(self, stream_id: str, condition: Condition, at: float) -> list[Alarm]:
        """Nothing comes: what held goes on, and this is added."""
        stream = self._streams.get(stream_id)
        if stream is None or stream.last is None:
            return []
        return stream.book.update([*stream.conditions, condition], at, stream.last.device_time)

    def descriptor(self, stream_id: str) -> StreamDescriptor:
        """Of a stream that an alarm speaks of."""
        return self._streams[stream_id].descriptor

    def ended(self, stream_id: str, at: float) -> list[Alarm]:
        """The device is gone: nothing holds any more."""
        stream = self._streams.get(stream_id)
        if stream is None or stream.last is None:
            return []
        stream.conditions = ()
        return stream.book.update([], at, stream.last.device_time)

    def acknowledge(self, alarm_id: str, user_id: str, role: str, at: float) -> Alarm | None:
        """A person has seen it; None when that was known.

        :raises RemoteProtocolError: not_found.
        """
        for stream in self._streams.values():
            if any(alarm.id == alarm_id for alarm in stream.book.standing):
                return stream.book.acknowledge(alarm_id, user_id, role, at)
        raise RemoteProtocolError(NOT_FOUND, "alarm")

    def told(self) -> list[Analysis]:
        """The last word on each stream."""
        return [stream.last for stream in self._streams.values() if stream.last is not None]

    def hello(self) -> Iterable[str]:
        """What a new viewer is told: the limits, the last word on each stream, then its alarms."""
        if self.limits is not None:
            yield wire.limits(self.limits)
        for stream in self._streams.values():
            if stream.last is not None:
                yield wire.analysis(replace(stream.last, beats=stream.beats))
            for alarm in stream.book.standing:
                yield wire.alarm(alarm)

    def _stream(self, descriptor: StreamDescriptor) -> _Stream:
        stream_id = descriptor.stream_id
        stream = self._streams.get(stream_id)
        if stream is None:
            while len(self._streams) >= ANALYSIS_STREAMS_KEPT:
                del self._streams[next(iter(self._streams))]
            book = AlarmBook(stream_id, self._new_id)
            stream = self._streams[stream_id] = _Stream(descriptor, book)
        return stream

"""What rooms tell.

Who came is kept, recordings go into the catalogue, removals and alarms into the audit trail, all to consults.
"""

from __future__ import annotations

import logging

from server.archive.participants import keep_participant
from server.archive.recordings import consultation_of
from server.auth.actor import Actor, ActorKind, system_actor
from server.services import Services
from signaling.events import (
    PeerJoined,
    PeerRemoved,
    RecordingStarted,
    RecordingStopped,
    RoomClosed,
    RoomEvent,
    SignalAlarm,
    SignalLimits,
)
from signaling.personal import Personal

logger = logging.getLogger(__name__)

_ALARM_ACTIONS = {"raised": "alarm.raise", "ended": "alarm.end", "acknowledged": "alarm.acknowledge"}


class RoomEvents:
    """The application's ear in the rooms (`RoomListener`). Called one event at a time, in order."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def room_event(self, event: RoomEvent) -> None:
        self._services.metrics.room_events.labels(type(event).__name__).inc()
        match event:
            case PeerJoined():
                async with self._services.database.write() as session:
                    await keep_participant(session, event)
            case RecordingStarted():
                await self._recording_started(event)
            case RecordingStopped():
                await self._recording_stopped(event)
            case PeerRemoved():
                await self._audit(_person(event.by), "room.remove", event.room_id, {"removed": event.user_id})
            case RoomClosed():
                if self._services.node is not None:
                    await self._services.node.release(event.room_id)
            case SignalAlarm():
                await self._alarm(event)
            case SignalLimits():
                detail = {"patients": event.patients, "low": str(event.low), "high": str(event.high)}
                await self._audit(_person(event.user_id), "alarm.limits", event.room_id, detail)
        await self._services.consults.room_event(event)

    async def _recording_started(self, event: RecordingStarted) -> None:
        async with self._services.database.write() as session:
            await self._services.recordings.started(session, event)
        who = _person(event.by) if event.by else system_actor()
        await self._audit(who, "recording.start", event.room_id, {"recordingId": event.recording_id})

    async def _recording_stopped(self, event: RecordingStopped) -> None:
        async with self._services.database.write() as session:
            await self._services.recordings.stopped(session, event)
        detail = {"recordingId": event.recording_id}
        await self._audit(system_actor(), "recording.stop", event.room_id, detail)

    async def _alarm(self, event: SignalAlarm) -> None:
        """Those about the measuring come and go with every electrode: they stand in the stream alone."""
        if event.technical:
            return
        detail = {"alarmId": event.alarm_id, "kind": event.kind, "severity": event.severity}
        who = _person(event.user_id) if event.user_id else system_actor()
        detail |= {"streamId": event.stream_id}
        await self._audit(who, _ALARM_ACTIONS[event.happened], event.room_id, detail)

    async def _audit(self, actor: Actor, action: str, room_id: str, detail: dict[str, str]) -> None:
        consultation = consultation_of(room_id)
        subject = ("room", room_id) if consultation is None else ("consultation", consultation)
        async with self._services.database.write() as session:
            await self._services.audit.record(session, actor, action, *subject, detail)


def _person(user_id: str) -> Actor:
    return Actor(user_id, ActorKind.PRACTITIONER, None, frozenset(), Personal(user_id))

"""What was recorded: the manifest with addresses, the tracks' files, the signals' frames."""

from __future__ import annotations

import asyncio
import struct
from dataclasses import asdict, replace
from typing import Any
from urllib.parse import quote

from aiohttp import web
from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from media.signals import StoredStream
from media.signals.analysis.analyzer import can_analyse
from media.signals.analysis.findings import Alarm, Quality
from media.signals.store import SignalStore
from server.api.context import RequestContext
from server.api.models import ApiModel, Timestamp
from server.api.routing import endpoint
from server.archive.models import RecordingRow
from server.archive.participants import Participant, participants_of
from server.archive.recordings import recorded_spans
from server.auth.tickets import check_ticket, make_ticket
from server.signal_files import Wanted

_CHUNK_FRAMES = 50  # 5 s of ECG: one read from the disk, one write to the socket

_OPEN = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow")


class ParticipantOut(ApiModel):
    """Whose track it is: a person of the consult, a guest under the name they gave, a device."""

    role: str
    name: str
    name_en: str


class TrackOut(ApiModel):
    """One producer's file as the manifest describes it, whose it is, and where to fetch it."""

    model_config = _OPEN

    track_id: str
    peer_id: str
    kind: str
    source: str
    mime_type: str
    start_ms: float
    end_ms: float
    participant: ParticipantOut | None = Field(description="null: from before participants were kept")
    url: str


class SignalLossOut(ApiModel):
    first: int
    last: int
    reason: str


class AlarmOut(ApiModel):
    """An alarm of the automatic analysis: a hint, no diagnosis."""

    model_config = _OPEN

    id: str
    kind: str
    severity: str
    at_ms: float = Field(description="when it was raised, after the recording's start")
    ended_ms: float | None
    acknowledged_ms: float | None
    message: dict[str, str]


class SignalOut(ApiModel):
    """One signal stream with its descriptor, as far as the recording reaches.

    ``start_ms``, ``end_ms``: after the recording's start. ``frames``, ``missing``, ``losses`` and ``marks``
    are of the whole stream.
    """

    model_config = _OPEN

    stream_id: str
    start_ms: float
    end_ms: float
    frames: int
    missing: list[tuple[int, int]] = Field(description="sequence numbers that never came, first and last")
    losses: list[SignalLossOut] = Field(description="those of them that the device said it can never send")
    marks: list[str] = Field(description="codes of what broke the stream off, or of a clock that was set")
    alarms: list[AlarmOut] = Field(description="what its analysis raised, oldest first, as it stood last")
    url: str
    part_url: str = Field(description="frames of a period, timed: `from`, `to`")
    overview_url: str = Field(description="one lead, decimated: `from`, `to`, `lead`")
    analysis_url: str | None = Field(description="null: no ECG that is analysed")


class RecordingOut(ApiModel):
    """A recording. While it runs there are no tracks and ``ended_at`` is None."""

    id: str
    room_id: str
    consultation_id: str | None
    started_at: Timestamp
    ended_at: Timestamp | None
    duration_ms: int | None
    tracks: list[TrackOut]
    signals: list[SignalOut]


class ReviewOut(ApiModel):
    """Times are milliseconds after the recording's start."""

    beats_ms: list[float] = Field(description="R waves")
    points: list[tuple[float, int | None, Quality]] = Field(
        description="of each second: up to when, heart rate per minute, quality"
    )
    complete: bool = Field(description="false: longer than what is analysed at once")


class TicketQuery(ApiModel):
    ticket: str = Field(default="", max_length=128)


class PartQuery(TicketQuery):
    """A period, Unix seconds."""

    start: float = Field(alias="from")
    end: float = Field(alias="to")


class OverviewQuery(PartQuery):
    """``lead``: its place among the stream's leads, from 0."""

    lead: int


@endpoint("GET", "/api/v1/recordings/{recording_id}", summary="One recording, with links", writes=True)
async def get_recording(ctx: RequestContext, recording_id: str) -> RecordingOut:
    """The links work for some hours and need no other permission. The view is kept in the audit trail."""
    row = await _viewable(ctx, recording_id)
    await ctx.services.audit.record(
        ctx.session,
        ctx.actor,
        "recording.view",
        "recording",
        row.id,
        {"consultationId": row.consultation_id},
    )
    ticket = _ticket(ctx, row)
    tracks = (await ctx.services.recordings.manifest(row))["tracks"] if row.manifest_path else []
    people = await participants_of(ctx.session, row.room_id)
    streams = await asyncio.to_thread(_recorded_streams, ctx.services.signals, row)
    return RecordingOut(
        id=row.id,
        room_id=row.room_id,
        consultation_id=row.consultation_id,
        started_at=row.started_at,
        ended_at=row.ended_at,
        duration_ms=row.duration_ms,
        tracks=[_track_out(row, track, people.get(track["peerId"]), ticket) for track in tracks],
        signals=[_signal_out(row, stream, ticket) for stream in streams],
    )


@endpoint(
    "GET",
    "/api/v1/recordings/{recording_id}/files/{name}",
    summary="One track's file",
    public=True,
    media_type="video/webm",
)
async def get_file(
    ctx: RequestContext, recording_id: str, name: str, query: TicketQuery
) -> web.StreamResponse:
    """Needs the ticket that stands in the recording's links. Ranges are served (RFC 9110 section 14)."""
    row = await _by_ticket(ctx, recording_id, query)
    manifest = await ctx.services.recordings.manifest(row)
    response = web.FileResponse(ctx.services.recordings.file(row, manifest, name))
    response.content_type = next(t["mimeType"] for t in manifest["tracks"] if t["file"] == name).split(";")[0]
    response.headers["Cache-Control"] = "private, max-age=3600"
    return response


@endpoint(
    "GET",
    "/api/v1/recordings/{recording_id}/signals/{stream_id}",
    summary="One signal stream's frames",
    public=True,
    media_type="application/octet-stream",
)
async def get_signal(
    ctx: RequestContext, recording_id: str, stream_id: str, query: TicketQuery
) -> web.StreamResponse:
    """Every frame that was stored while the recording ran, by sequence number, each after its length (u32,
    little-endian). Needs the ticket.
    """
    row = await _by_ticket(ctx, recording_id, query)
    frames = ctx.services.signals.read_encoded(row.room_id, stream_id, spans=recorded_spans([row]))
    first = await asyncio.to_thread(_chunk, frames)
    response = web.StreamResponse(headers={"Cache-Control": "private, max-age=60"})
    response.content_type = "application/octet-stream"
    await response.prepare(ctx.request)
    while first:
        await response.write(first)
        first = await asyncio.to_thread(_chunk, frames)
    await response.write_eof()
    return response


@endpoint(
    "GET",
    "/api/v1/recordings/{recording_id}/signals/{stream_id}/analysis",
    summary="Beats, heart rate and quality of a recorded ECG",
    public=True,
)
async def get_analysis(
    ctx: RequestContext, recording_id: str, stream_id: str, query: TicketQuery
) -> ReviewOut:
    """What the automatic analysis sees in the whole recording: a hint, no diagnosis. Needs the ticket."""
    row = await _by_ticket(ctx, recording_id, query)
    wanted = Wanted(row.room_id, stream_id, "", spans=recorded_spans([row]))
    found = await ctx.services.signal_files.review(wanted)

    def after_start(at: float) -> float:
        return round((at - row.started_at) * 1000, 1)

    return ReviewOut(
        beats_ms=[after_start(beat) for beat in found.beats],
        points=[(after_start(point.at), point.heart_rate, point.quality) for point in found.points],
        complete=found.complete,
    )


@endpoint(
    "GET",
    "/api/v1/recordings/{recording_id}/signals/{stream_id}/part",
    summary="A signal stream's frames of some seconds",
    public=True,
    media_type="application/octet-stream",
)
async def get_signal_part(
    ctx: RequestContext, recording_id: str, stream_id: str, query: PartQuery
) -> web.StreamResponse:
    """At most 20 s. Each frame after its length (u32) and when its first sample was measured (i64, ns Unix by
    the server's clock), little-endian. Only what was recorded. Needs the ticket.
    """
    row = await _by_ticket(ctx, recording_id, query)
    past, spans = ctx.services.signals.past, recorded_spans([row])
    return binary(await past.part(query.ticket, row.room_id, stream_id, query.start, query.end, spans))


@endpoint(
    "GET",
    "/api/v1/recordings/{recording_id}/signals/{stream_id}/overview",
    summary="One lead of a signal stream, decimated",
    public=True,
    media_type="application/octet-stream",
)
async def get_signal_overview(
    ctx: RequestContext, recording_id: str, stream_id: str, query: OverviewQuery
) -> web.StreamResponse:
    """At most 10 min: lowest and highest sample (int16, little-endian) of each 50 ms; 32767, -32768 where
    there is none. Only what was recorded. Needs the ticket.
    """
    row = await _by_ticket(ctx, recording_id, query)
    past, spans, period = ctx.services.signals.past, recorded_spans([row]), (query.start, query.end)
    return binary(await past.overview(query.ticket, row.room_id, stream_id, *period, query.lead, spans))


def binary(data: bytes) -> web.Response:
    """Bytes that no cache keeps."""
    headers = {"Cache-Control": "no-store"}
    return web.Response(body=data, content_type="application/octet-stream", headers=headers)


def _recorded_streams(store: SignalStore, row: RecordingRow) -> list[StoredStream]:
    """The streams of which something was measured while the recording ran, bounded by it. Blocks."""
    found: list[StoredStream] = []
    for stream in store.streams(row.room_id):
        if not stream.frames:
            continue
        first = store.first_in(row.room_id, stream.descriptor.stream_id, recorded_spans([row]))
        if first is not None:
            end = stream.end if row.ended_at is None else min(stream.end, row.ended_at)
            found.append(replace(stream, start=first, end=end))
    return found


def _happened(row: RecordingRow, alarm: Alarm) -> bool:
    """Whether an alarm held at some time of the recording."""
    early = alarm.ended_at is not None and alarm.ended_at < row.started_at
    return not early and (row.ended_at is None or alarm.since < row.ended_at)


async def _viewable(ctx: RequestContext, recording_id: str) -> RecordingRow:
    row = await ctx.services.recordings.get(ctx.session, recording_id)
    await ctx.services.consults.check_view(ctx.session, ctx.actor, row.consultation_id or "")
    return row


async def _by_ticket(ctx: RequestContext, recording_id: str, query: TicketQuery) -> RecordingRow:
    check_ticket(ctx.services.keys.ticket_key, recording_id, query.ticket, ctx.now)
    return await ctx.services.recordings.get(ctx.session, recording_id)


def _ticket(ctx: RequestContext, row: RecordingRow) -> str:
    expires_at = int(ctx.now) + ctx.services.config.auth.ticket_minutes * 60
    return make_ticket(ctx.services.keys.ticket_key, row.id, expires_at)


def _track_out(row: RecordingRow, track: dict[str, Any], who: Participant | None, ticket: str) -> TrackOut:
    url = f"/api/v1/recordings/{row.id}/files/{quote(track['file'])}?ticket={ticket}"
    return TrackOut.model_validate({**track, "participant": _participant_out(who), "url": url})


def _participant_out(who: Participant | None) -> ParticipantOut | None:
    if who is None:
        return None
    return ParticipantOut(role=who.role, name=who.name.reveal(), name_en=who.name_en.reveal())


def _signal_out(row: RecordingRow, stream: StoredStream, ticket: str) -> SignalOut:
    descriptor = stream.descriptor
    url = f"/api/v1/recordings/{row.id}/signals/{descriptor.stream_id}"
    extra = {
        **descriptor.as_json(),
        "startMs": (stream.start - row.started_at) * 1000,
        "endMs": (stream.end - row.started_at) * 1000,
        "frames": stream.frames,
        "missing": stream.missing,
        "losses": [asdict(loss) for loss in stream.losses],
        "marks": stream.marks,
        "alarms": [_alarm_out(row, alarm) for alarm in stream.alarms if _happened(row, alarm)],
        "url": f"{url}?ticket={ticket}",
        "partUrl": f"{url}/part?ticket={ticket}",
        "overviewUrl": f"{url}/overview?ticket={ticket}",
        "analysisUrl": f"{url}/analysis?ticket={ticket}" if can_analyse(descriptor) else None,
    }
    return SignalOut.model_validate(extra)


def _alarm_out(row: RecordingRow, alarm: Alarm) -> dict[str, Any]:
    def after_start(at: float | None) -> float | None:
        return None if at is None else (at - row.started_at) * 1000

    return {
        **alarm.as_json(),
        "atMs": after_start(alarm.since),
        "endedMs": after_start(alarm.ended_at),
        "acknowledgedMs": after_start(alarm.acknowledged_at),
    }


def _chunk(frames: Any) -> bytes:
    parts: list[bytes] = []
    for frame in frames:
        parts += (struct.pack("<I", len(frame)), frame)
        if len(parts) >= 2 * _CHUNK_FRAMES:
            break
    return b"".join(parts)

"""Recorded signals in the formats of others: DICOM, EDF+, WFDB, CSV, and FHIR Observation."""

from __future__ import annotations

import asyncio
import re
from contextlib import closing
from typing import BinaryIO, Literal

from aiohttp import web
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from media.errors import NOT_FOUND, RemoteProtocolError
from media.signals.descriptor import stream_uuid
from media.signals.formats import FORMATS, About
from server.api.context import RequestContext
from server.api.models import ApiModel, Timestamp
from server.api.routing import endpoint
from server.archive.models import Patient
from server.archive.recordings import consultation_of
from server.consults.models import Consultation
from server.signal_files import Wanted, about_stream, size_of

_CHUNK = 256 * 1024
_FHIR = FORMATS["fhir"].media_type
# The id of a whole stream, or of whole seconds of it: UUID, or UUID.FROM-TO after its first sample.
_OBSERVATION = re.compile(r"(?P<stream>[0-9a-fA-F-]{36})(?:\.(?P<start>\d{1,7})-(?P<end>\d{1,7}))?")


class ExportQuery(ApiModel):
    """Which format, and which part; without bounds the whole stream. Whole frames (0.1 s) are taken."""

    format: Literal["dicom", "edf", "wfdb", "csv", "fhir"]
    start: Timestamp | None = Field(default=None, alias="from")
    end: Timestamp | None = Field(default=None, alias="to")


@endpoint(
    "GET",
    "/api/v1/recordings/{recording_id}/signals/{stream_id}/export",
    summary="One signal stream as a file",
    media_type=", ".join(form.media_type for form in FORMATS.values()),
)
async def export_signal(
    ctx: RequestContext, recording_id: str, stream_id: str, query: ExportQuery
) -> web.StreamResponse:
    """Samples, rate, codes, scale and times are exact; gaps and seams are marked as the format has it. DICOM
    and EDF+ name the patient. Who exported what stands in the audit trail.
    """
    stream_id = stream_uuid(stream_id)
    async with ctx.services.database.write() as session:
        row = await ctx.services.recordings.get(session, recording_id)
        room_id, consultation_id = row.room_id, row.consultation_id or ""
        about = await _admit(ctx, session, consultation_id, stream_id, query.format)
    wanted = Wanted(room_id, stream_id, query.format, query.start, query.end)
    form = FORMATS[query.format]
    name = f"{stream_id[:8]}{form.suffix}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    with closing(await ctx.services.signal_files.make(wanted, about)) as file:
        return await _send(ctx.request, file, form.media_type, headers)


@endpoint(
    "GET", "/fhir/r4/Observation/{observation_id}", summary="One signal stream (FHIR R4)", media_type=_FHIR
)
async def read_observation(ctx: RequestContext, observation_id: str) -> web.StreamResponse:
    """``STREAM`` is the whole of it, ``STREAM.60-70`` the seconds 60 to 70 after its first sample: an
    Observation holds some minutes of 12 leads. The same right and the same audit entry as an export.
    """
    match = _OBSERVATION.fullmatch(observation_id)
    if match is None:
        raise RemoteProtocolError(NOT_FOUND, "Observation")
    services, stream_id = ctx.services, match["stream"].lower()
    room_id = await asyncio.to_thread(services.signals.owner_of, stream_id)
    if room_id is None:
        raise RemoteProtocolError(NOT_FOUND, "Observation")
    async with services.database.write() as session:
        about = await _admit(ctx, session, consultation_of(room_id) or "", observation_id, "fhir")
    start = end = None
    if match["start"] is not None:
        streams = await asyncio.to_thread(services.signals.streams, room_id)
        begin = next(stream.start for stream in streams if stream.descriptor.stream_id == stream_id)
        start, end = begin + int(match["start"]), begin + int(match["end"])
    wanted = Wanted(room_id, stream_id, "fhir", start, end)
    with closing(await services.signal_files.make(wanted, about)) as file:
        return await _send(ctx.request, file, _FHIR, {"Cache-Control": "no-store"})


async def _admit(
    ctx: RequestContext, session: AsyncSession, consultation_id: str, identifier: str, format_name: str
) -> About:
    """Only who may see the consult; noted before a byte goes out."""
    await ctx.services.consults.check_view(session, ctx.actor, consultation_id)
    detail = {"consultationId": consultation_id, "format": format_name}
    await ctx.services.audit.record(session, ctx.actor, "signal.export", "signal", identifier, detail)
    consultation = await session.get(Consultation, consultation_id)
    patient = await session.get(Patient, consultation.patient_id) if consultation else None
    return about_stream(identifier, patient)


async def _send(
    request: web.Request, file: BinaryIO, media_type: str, headers: dict[str, str]
) -> web.StreamResponse:
    response = web.StreamResponse(headers=headers)
    response.content_type = media_type
    response.content_length = size_of(file)
    await response.prepare(request)
    while chunk := await asyncio.to_thread(file.read, _CHUNK):
        await response.write(chunk)
    await response.write_eof()
    return response

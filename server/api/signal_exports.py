"""Recorded signals in the formats of others: DICOM, EDF+, WFDB, CSV, and FHIR Observation.

What is given out with a recording is what was measured while it ran: the recording is what the patient or
family consented to, and what was measured before it or after a withdrawal is no part of it.
"""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import BinaryIO, Literal

from aiohttp import web
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from media.signals.descriptor import stream_uuid
from media.signals.formats import FORMATS, About
from server.api.context import RequestContext
from server.api.models import ApiModel, Timestamp
from server.api.routing import endpoint
from server.archive.models import Patient
from server.archive.recordings import recorded_spans
from server.consults.models import Consultation
from server.signal_files import Wanted, about_stream, size_of

_CHUNK = 256 * 1024


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
    """Of the time that the recording ran. Samples, rate, codes, scale and times are exact; gaps and seams are
    marked as the format has it. DICOM and EDF+ name the patient. Who exported what stands in the audit trail.
    """
    stream_id = stream_uuid(stream_id)
    async with ctx.services.database.write() as session:
        row = await ctx.services.recordings.get(session, recording_id)
        room_id, consultation_id = row.room_id, row.consultation_id or ""
        spans = recorded_spans([row])
        about = await admit(ctx, session, consultation_id, stream_id, query.format)
    wanted = Wanted(room_id, stream_id, query.format, query.start, query.end, spans)
    form = FORMATS[query.format]
    name = f"{stream_id[:8]}{form.suffix}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    with closing(await ctx.services.signal_files.make(wanted, about)) as file:
        return await send(ctx.request, file, form.media_type, headers)


async def admit(
    ctx: RequestContext, session: AsyncSession, consultation_id: str, identifier: str, format_name: str
) -> About:
    """Only who may see the consult; noted before a byte goes out."""
    await ctx.services.consults.check_view(session, ctx.actor, consultation_id)
    detail = {"consultationId": consultation_id, "format": format_name}
    await ctx.services.audit.record(session, ctx.actor, "signal.export", "signal", identifier, detail)
    consultation = await session.get(Consultation, consultation_id)
    patient = await session.get(Patient, consultation.patient_id) if consultation else None
    return about_stream(identifier, patient)


async def send(
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

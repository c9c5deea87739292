"""Signals as FHIR R4 Observations: read by id, found by the consult (Encounter) they were measured in."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from contextlib import closing
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from pydantic import Field

from media.errors import NOT_FOUND, RemoteProtocolError
from media.signals import StoredStream
from media.signals.formats import FORMATS
from media.signals.formats.fhir import CATEGORY, code_of, instant, lead_code
from media.signals.formats.source import EPOCH
from media.signals.replay import Spans
from media.signals.store import SignalStore
from server.api.context import RequestContext
from server.api.models import ApiModel
from server.api.origin import public_origin
from server.api.routing import endpoint
from server.api.signal_exports import admit, send
from server.archive.models import RecordingRow
from server.archive.recordings import ROOM_PREFIX, consultation_of, recorded_spans
from server.signal_files import Wanted

_FHIR = FORMATS["fhir"].media_type
# The id of a whole stream, or of whole seconds of it: UUID, or UUID.FROM-TO after its first sample.
_OBSERVATION = re.compile(r"(?P<stream>[0-9a-fA-F-]{36})(?:\.(?P<start>\d{1,7})-(?P<end>\d{1,7}))?")
_SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}


class ObservationSearch(ApiModel):
    """Search parameters (FHIR R4, Observation). Tokens are ``code`` or ``system|code``."""

    encounter: str = Field(max_length=80, description="Encounter/ID or ID: the consult")
    patient: str | None = Field(default=None, max_length=80, description="Patient/ID or ID")
    code: str | None = Field(default=None, max_length=120)


@endpoint(
    "GET", "/fhir/r4/Observation/{observation_id}", summary="One signal stream (FHIR R4)", media_type=_FHIR
)
async def read_observation(ctx: RequestContext, observation_id: str) -> web.StreamResponse:
    """``STREAM`` is all that was recorded of it, ``STREAM.60-70`` the seconds 60 to 70 after the first
    sample: an Observation holds some minutes of 12 leads. The same right and audit entry as an export.
    """
    match = _OBSERVATION.fullmatch(observation_id)
    if match is None:
        raise RemoteProtocolError(NOT_FOUND, "Observation")
    services, stream_id = ctx.services, match["stream"].lower()
    room_id = await asyncio.to_thread(services.signals.owner_of, stream_id)
    if room_id is None:
        raise RemoteProtocolError(NOT_FOUND, "Observation")
    consultation_id = consultation_of(room_id) or ""
    async with services.database.write() as session:
        about = await admit(ctx, session, consultation_id, observation_id, "fhir")
        spans = recorded_spans(await services.recordings.of_consultation(session, consultation_id))
    start = end = None
    if match["start"] is not None:
        begin = await asyncio.to_thread(services.signals.first_in, room_id, stream_id, spans)
        if begin is None:
            raise RemoteProtocolError(NOT_FOUND, "Observation")
        start, end = begin + int(match["start"]), begin + int(match["end"])
    wanted = Wanted(room_id, stream_id, "fhir", start, end, spans)
    with closing(await services.signal_files.make(wanted, about)) as file:
        return await send(ctx.request, file, _FHIR, {"Cache-Control": "no-store"})


@endpoint("GET", "/fhir/r4/Observation", summary="Signal streams of a consult (FHIR R4)", media_type=_FHIR)
async def search_observations(ctx: RequestContext, query: ObservationSearch) -> web.Response:
    """A searchset without samples (tagged SUBSETTED): which streams were recorded, their leads and
    times. The samples are read by id, some minutes at a time.
    """
    consultation_id, services = query.encounter.removeprefix("Encounter/"), ctx.services
    async with services.database.write() as session:
        about = await admit(ctx, session, consultation_id, consultation_id, "fhir-search")
        rows = await services.recordings.of_consultation(session, consultation_id)
    streams: list[StoredStream] = []
    if query.patient is None or f"Patient/{query.patient.removeprefix('Patient/')}" == about.subject:
        room_id = ROOM_PREFIX + consultation_id
        streams = await asyncio.to_thread(_recorded, services.signals, room_id, rows)
    base = f"{public_origin(services.config, ctx.request)}/fhir/r4/Observation"
    entries = [_entry(base, stream, consultation_id, about.subject) for stream in streams]
    found = [entry for entry in entries if _has_code(entry["resource"], query.code)]
    asked = {name: value for name, value in query.model_dump().items() if value is not None}
    bundle = {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": len(found),
        "link": [{"relation": "self", "url": f"{base}?{urlencode(asked)}"}],
        "entry": found,
    }
    return web.json_response(bundle, content_type=_FHIR, headers={"Cache-Control": "no-store"})


def _recorded(store: SignalStore, room_id: str, rows: Iterable[RecordingRow]) -> list[StoredStream]:
    """The streams of which something was recorded. Blocks."""
    spans: Spans = recorded_spans(rows)
    return [
        stream
        for stream in store.streams(room_id)
        if stream.frames and store.first_in(room_id, stream.descriptor.stream_id, spans) is not None
    ]


def _entry(base: str, stream: StoredStream, consultation_id: str, subject: str) -> dict[str, Any]:
    descriptor = stream.descriptor
    resource: dict[str, Any] = {
        "resourceType": "Observation",
        "id": descriptor.stream_id,
        "meta": {"tag": [_SUBSETTED]},
        "status": "final",
        "category": [CATEGORY],
        "code": code_of(descriptor.kind, descriptor.label),
        "encounter": {"reference": f"Encounter/{consultation_id}"},
        "effectivePeriod": {"start": _instant(stream.start), "end": _instant(stream.end)},
        "component": [{"code": lead_code(lead)} for lead in descriptor.leads],
    }
    if subject:
        resource["subject"] = {"reference": subject}
    if descriptor.label:
        resource["device"] = {"display": descriptor.label}
    return {"fullUrl": f"{base}/{descriptor.stream_id}", "resource": resource, "search": {"mode": "match"}}


def _has_code(resource: dict[str, Any], token: str | None) -> bool:
    if token is None:
        return True
    system, _, code = token.rpartition("|")
    coding = resource["code"].get("coding", [])
    return any(one["code"] == code and system in ("", one["system"]) for one in coding)


def _instant(seconds: float) -> str:
    return instant(EPOCH + timedelta(seconds=seconds))

"""ECG files and clips among the materials: what one holds before it is laid beside a consult, and afterwards
its pictures, and its signals in the same pieces as a recording's.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web
from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from media.signals import StoredStream
from media.signals.formats import Waveform
from server.api.context import RequestContext
from server.api.entering import CLINICAL
from server.api.materials import MaterialOut, body_of, material_out
from server.api.models import ApiModel, Timestamp
from server.api.recordings import OverviewQuery, PartQuery, binary
from server.api.routing import endpoint
from server.auth.tickets import check_ticket, make_ticket
from server.consults.limits import LINE_LETTERS

_OPEN = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow")
_PATH = "/api/v1/consultations/{consultation_id}/materials"


class SignalLook(ApiModel):
    """One signal of a file. ``missing_s``: seconds inside it without samples."""

    kind: str
    leads: list[str]
    sampling_rate_hz: float
    started_at: Timestamp | None = Field(description="null: the file does not say")
    seconds: float
    missing_s: float


class MaterialLook(ApiModel):
    """What a file is. ``upload``: by which it is kept within ten minutes, without sending it again."""

    media_type: str
    size: int
    signals: list[SignalLook]
    upload: str


class KeepIn(ApiModel):
    """``upload``: from the reply to ``check``."""

    upload: str = Field(max_length=64)
    name: str = Field(default="", max_length=LINE_LETTERS)


class MaterialSignalOut(ApiModel):
    """A signal of a material with its descriptor, as a recording's, beginning at 0 ms."""

    model_config = _OPEN

    stream_id: str
    started_at: Timestamp
    start_ms: float
    end_ms: float
    part_url: str
    overview_url: str


@endpoint(
    "POST",
    f"{_PATH}/check",
    summary="What a file is, before it is laid beside a consult",
    roles=CLINICAL,
    writes=False,
)
async def check_material(ctx: RequestContext, consultation_id: str) -> MaterialLook:
    """The body is the file; it is read as it would be kept, and forgotten after ten minutes."""
    data = await body_of(ctx.request)
    look, upload = await ctx.services.consults.materials.check(ctx.actor, consultation_id, data, ctx.now)
    signals = [_look(waveform) for waveform in look.waveforms]
    return MaterialLook(media_type=look.media_type, size=len(data), signals=signals, upload=upload)


@endpoint(
    "POST",
    f"{_PATH}/keep",
    summary="Lay the file that was checked beside the consult",
    roles=CLINICAL,
    writes=False,
    status=201,
)
async def keep_material(ctx: RequestContext, consultation_id: str, body: KeepIn) -> MaterialOut:
    """``upload_gone`` (410) when it is no longer held: then it is sent as any file."""
    material = await ctx.services.consults.materials.add_held(
        ctx.actor, consultation_id, body.name, body.upload, ctx.now
    )
    return await material_out(ctx, material)


@endpoint(
    "GET",
    f"{_PATH}/{{material_id}}/signals",
    summary="The signals of a material",
    roles=CLINICAL,
    writes=False,
)
async def list_material_signals(
    ctx: RequestContext, consultation_id: str, material_id: str
) -> list[MaterialSignalOut]:
    """None for a picture or a document. The look stands in the audit trail; the links work for some hours."""
    streams = await ctx.services.consults.materials.streams(ctx.actor, consultation_id, material_id)
    expires_at = int(ctx.now) + ctx.services.config.auth.ticket_minutes * 60
    ticket = make_ticket(ctx.services.keys.ticket_key, material_id, expires_at)
    return [_signal(material_id, stream, ticket) for stream in streams]


@endpoint(
    "GET",
    f"{_PATH}/{{material_id}}/pictures",
    summary="What a DICOM object shows",
    roles=CLINICAL,
    writes=False,
    media_type="application/octet-stream",
)
async def get_material_pictures(
    ctx: RequestContext, consultation_id: str, material_id: str
) -> web.StreamResponse:
    """A JSON head (``count``, ``width``, ``height``, ``frameMs``, ``spacingMm``, ``region``) and each
    picture (JPEG or PNG), each after its length (unsigned, 32 bits, big-endian). The look stands in the
    audit trail.
    """
    return binary(await ctx.services.consults.materials.clip(ctx.actor, consultation_id, material_id))


@endpoint(
    "GET",
    "/api/v1/materials/{material_id}/signals/{stream_id}/part",
    summary="A material's frames of some seconds",
    public=True,
    media_type="application/octet-stream",
)
async def get_material_signal_part(
    ctx: RequestContext, material_id: str, stream_id: str, query: PartQuery
) -> web.StreamResponse:
    """As a recording's. Needs the ticket that stands in the link."""
    check_ticket(ctx.services.keys.ticket_key, material_id, query.ticket, ctx.now)
    signals = ctx.services.consults.materials.signals
    return binary(await signals.part(query.ticket, material_id, stream_id, query.start, query.end))


@endpoint(
    "GET",
    "/api/v1/materials/{material_id}/signals/{stream_id}/overview",
    summary="One lead of a material, decimated",
    public=True,
    media_type="application/octet-stream",
)
async def get_material_signal_overview(
    ctx: RequestContext, material_id: str, stream_id: str, query: OverviewQuery
) -> web.StreamResponse:
    """As a recording's. Needs the ticket that stands in the link."""
    check_ticket(ctx.services.keys.ticket_key, material_id, query.ticket, ctx.now)
    signals, period = ctx.services.consults.materials.signals, (query.start, query.end)
    return binary(await signals.overview(query.ticket, material_id, stream_id, *period, query.lead))


def _look(waveform: Waveform) -> SignalLook:
    missing = waveform.periods - len(waveform.samples)
    return SignalLook(
        kind=waveform.kind,
        leads=[lead.name or lead.code for lead in waveform.leads],
        sampling_rate_hz=waveform.sampling_rate_hz,
        started_at=None if waveform.start_ns is None else waveform.start_ns / 1e9,
        seconds=round(waveform.periods / waveform.sampling_rate_hz, 3),
        missing_s=round(missing / waveform.sampling_rate_hz, 3),
    )


def _signal(material_id: str, stream: StoredStream, ticket: str) -> MaterialSignalOut:
    descriptor = stream.descriptor
    url = f"/api/v1/materials/{material_id}/signals/{descriptor.stream_id}"
    fields: dict[str, Any] = {
        **descriptor.as_json(),
        "startedAt": stream.start,
        "startMs": 0,
        "endMs": round((stream.end - stream.start) * 1000, 3),
        "partUrl": f"{url}/part?ticket={ticket}",
        "overviewUrl": f"{url}/overview?ticket={ticket}",
    }
    return MaterialSignalOut.model_validate(fields)

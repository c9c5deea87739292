"""What is laid beside a consult (materials), and the thread of a picture-and-text consult."""

from __future__ import annotations

from aiohttp import web
from pydantic import Field
from sqlalchemy import select

from media.errors import TOO_LARGE, RemoteProtocolError
from server.api.context import RequestContext
from server.api.entering import CLINICAL
from server.api.models import ApiModel, Timestamp
from server.api.routing import endpoint
from server.archive.models import Practitioner
from server.consults.limits import LINE_LETTERS, MATERIAL_BYTES, TEXT_LETTERS
from server.consults.material_signals import DICOM, SIGNAL_TYPES
from server.consults.materials import JPEG, PDF, PNG, suffix_of
from server.consults.models import Material, ThreadMessage
from server.consults.schema import PersonRef
from server.consults.voice import VOICE_TYPES


class MaterialQuery(ApiModel):
    name: str = Field(default="", max_length=LINE_LETTERS)


class MaterialOut(ApiModel):
    """``sha256`` of the bytes as they came, hex."""

    id: str
    name: str
    media_type: str
    size: int
    sha256: str
    added_at: Timestamp
    by: PersonRef


class MessageIn(ApiModel):
    text: str = Field(min_length=1, max_length=TEXT_LETTERS)


class MessageOut(ApiModel):
    """``read_at``: when the other side had it on the screen."""

    id: str
    text: str
    at: Timestamp
    by: PersonRef
    read_at: Timestamp | None


@endpoint(
    "POST",
    "/api/v1/consultations/{consultation_id}/materials",
    summary="Lay a file beside a consult",
    roles=CLINICAL,
    writes=False,
    status=201,
)
async def add_material(ctx: RequestContext, consultation_id: str, query: MaterialQuery) -> MaterialOut:
    """The body is the file: JPEG, PNG, PDF, DICOM, an ECG file (EDF+, BDF+, WFDB as ZIP, HL7 aECG, CSV, FHIR)
    or a voice note (WebM, Ogg or MP4 with Opus or AAC, two minutes), known by its bytes, 20 MB at most.
    """
    data = await body_of(ctx.request)
    material = await ctx.services.consults.materials.add(
        ctx.actor, consultation_id, query.name, data, ctx.now
    )
    return await material_out(ctx, material)


@endpoint("GET", "/api/v1/consultations/{consultation_id}/materials", summary="Materials", roles=CLINICAL)
async def list_materials(ctx: RequestContext, consultation_id: str) -> list[MaterialOut]:
    rows = await ctx.services.consults.materials.listed(ctx.session, ctx.actor, consultation_id)
    people = await _people(ctx, {row.added_by for row in rows})
    return [_material(row, people) for row in rows]


@endpoint(
    "GET",
    "/api/v1/consultations/{consultation_id}/materials/{material_id}",
    summary="One material's bytes",
    roles=CLINICAL,
    writes=False,
    media_type=", ".join((JPEG, PNG, PDF, DICOM, *SIGNAL_TYPES, *VOICE_TYPES)),
)
async def read_material(ctx: RequestContext, consultation_id: str, material_id: str) -> web.StreamResponse:
    """Stands in the audit trail. Handed out as a file: nothing in it runs in our pages."""
    material, path = await ctx.services.consults.materials.read(ctx.actor, consultation_id, material_id)
    name = f"{material.id}.{suffix_of(material.media_type)}"
    headers = {
        "Content-Type": material.media_type,
        "Content-Disposition": f'attachment; filename="{name}"',
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }
    return web.FileResponse(path, headers=headers)


@endpoint("GET", "/api/v1/consultations/{consultation_id}/messages", summary="The thread", roles=CLINICAL)
async def list_messages(ctx: RequestContext, consultation_id: str) -> list[MessageOut]:
    return await _messages(ctx, consultation_id)


@endpoint(
    "POST",
    "/api/v1/consultations/{consultation_id}/messages",
    summary="Write into the thread",
    roles=CLINICAL,
    writes=False,
    status=201,
)
async def post_message(ctx: RequestContext, consultation_id: str, body: MessageIn) -> list[MessageOut]:
    """Requester and expert of a picture-and-text consult. The reply is the whole thread."""
    await ctx.services.consults.threads.post(ctx.actor, consultation_id, body.text, ctx.now)
    async with ctx.services.database.read() as session:
        ctx.session = session
        return await _messages(ctx, consultation_id)


@endpoint(
    "POST",
    "/api/v1/consultations/{consultation_id}/messages/read",
    summary="The thread is on the screen",
    roles=CLINICAL,
    writes=False,
)
async def read_messages(ctx: RequestContext, consultation_id: str) -> None:
    await ctx.services.consults.threads.mark_read(ctx.actor, consultation_id, ctx.now)


async def _messages(ctx: RequestContext, consultation_id: str) -> list[MessageOut]:
    rows = await ctx.services.consults.threads.listed(ctx.session, ctx.actor, consultation_id)
    people = await _people(ctx, {row.author_id for row in rows})
    return [_message(row, people) for row in rows]


async def body_of(request: web.Request) -> bytes:
    """The raw body, read no further than the bound."""
    if (request.content_length or 0) > MATERIAL_BYTES:
        raise RemoteProtocolError(TOO_LARGE)
    data = bytearray()
    async for chunk in request.content.iter_chunked(64 * 1024):
        data += chunk
        if len(data) > MATERIAL_BYTES:
            raise RemoteProtocolError(TOO_LARGE)
    return bytes(data)


async def material_out(ctx: RequestContext, material: Material) -> MaterialOut:
    """With the name of whoever added it."""
    return _material(material, await _people(ctx, {material.added_by}))


async def _people(ctx: RequestContext, ids: set[str]) -> dict[str, PersonRef]:
    async with ctx.services.database.read() as session:
        rows = await session.scalars(select(Practitioner).where(Practitioner.id.in_(ids)))
        return {
            row.id: PersonRef(id=row.id, name=row.name.reveal(), name_en=row.name_en.reveal()) for row in rows
        }


def _material(row: Material, people: dict[str, PersonRef]) -> MaterialOut:
    return MaterialOut(
        id=row.id,
        name=row.name.reveal(),
        media_type=row.media_type,
        size=row.size,
        sha256=row.sha256,
        added_at=row.added_at,
        by=people[row.added_by],
    )


def _message(row: ThreadMessage, people: dict[str, PersonRef]) -> MessageOut:
    return MessageOut(
        id=row.id, text=row.text.reveal(), at=row.at, by=people[row.author_id], read_at=row.read_at
    )

"""The audit trail, newest first."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from media.errors import RemoteProtocolError
from server.api.context import RequestContext
from server.api.models import ApiModel, Page, Timestamp
from server.api.routing import endpoint
from server.archive.models import AuditEntry, Practitioner
from server.auth.actor import Role
from server.errors import FORBIDDEN
from server.limits import DEFAULT_PAGE, MAX_PAGE

_OVERSEERS = frozenset({Role.REGULATOR, Role.ADMIN, Role.DESK})


class AuditActorOut(ApiModel):
    """Who did it. ``name`` is None for devices and for the system."""

    id: str
    kind: str
    name: str | None
    name_en: str | None


class AuditEntryOut(ApiModel):
    id: int
    at: Timestamp
    actor: AuditActorOut
    action: str
    subject_type: str
    subject_id: str
    detail: dict[str, Any]
    hash: str


class AuditQuery(ApiModel):
    consultation_id: str | None = Field(default=None, max_length=64)
    cursor: int | None = Field(default=None, ge=0)
    limit: int = Field(default=DEFAULT_PAGE, ge=1, le=MAX_PAGE)


@endpoint("GET", "/api/v1/audit", summary="The audit trail")
async def list_audit(ctx: RequestContext, query: AuditQuery) -> Page[AuditEntryOut]:
    """Regulator, desk and administrator read all of it; others that of a consult of theirs."""
    if not ctx.actor.has(_OVERSEERS):
        if query.consultation_id is None:
            raise RemoteProtocolError(FORBIDDEN, "name a consultation of yours")
        await ctx.services.consults.check_view(ctx.session, ctx.actor, query.consultation_id)
    statement = select(AuditEntry).order_by(AuditEntry.sequence.desc()).limit(query.limit + 1)
    if query.cursor is not None:
        statement = statement.where(AuditEntry.sequence < query.cursor)
    if query.consultation_id is not None:
        statement = statement.where(
            or_(
                AuditEntry.subject_id == query.consultation_id,
                AuditEntry.detail["consultationId"].as_string() == query.consultation_id,
            )
        )
    rows = list(await ctx.session.scalars(statement))
    shown = rows[: query.limit]
    names = await _names(ctx.session, {row.actor_id for row in shown})
    return Page(
        items=[_entry_out(row, names.get(row.actor_id)) for row in shown],
        next_cursor=str(shown[-1].sequence) if len(rows) > query.limit else None,
    )


async def _names(session: AsyncSession, ids: set[str]) -> dict[str, Practitioner]:
    rows = await session.scalars(select(Practitioner).where(Practitioner.id.in_(ids)))
    return {row.id: row for row in rows}


def _entry_out(row: AuditEntry, person: Practitioner | None) -> AuditEntryOut:
    return AuditEntryOut(
        id=row.sequence,
        at=row.at,
        actor=AuditActorOut(
            id=row.actor_id,
            kind=row.actor_kind,
            name=person.name.reveal() if person else None,
            name_en=person.name_en.reveal() if person else None,
        ),
        action=row.action,
        subject_type=row.subject_type,
        subject_id=row.subject_id,
        detail=row.detail,
        hash=row.hash,
    )

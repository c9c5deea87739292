"""The audit trail, newest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any, Literal

from aiohttp import web
from pydantic import Field
from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from media.errors import LIMIT_REACHED, RemoteProtocolError
from server.api.context import RequestContext
from server.api.models import ApiModel, Bilingual, Page, Timestamp
from server.api.routing import endpoint
from server.api.signal_exports import send
from server.archive.among import among
from server.archive.models import Account, AuditEntry, Device, Organization, Practitioner
from server.archive.trail import Wanted, What, conditions, what_of
from server.archive.trail_file import MEDIA_TYPES, write_trail
from server.auth.actor import Role
from server.consults.models import Consultation
from server.errors import FORBIDDEN
from server.limits import AUDIT_ACTORS, AUDIT_EXPORT_ROWS, DEFAULT_PAGE, MAX_PAGE, SEARCH_LETTERS

OVERSEERS = frozenset({Role.REGULATOR, Role.ADMIN, Role.DESK})


class AuditActorOut(ApiModel):
    """Who did it. ``name`` is None for devices and for the system."""

    id: str
    kind: str
    name: str | None
    name_en: str | None


class AuditEntryOut(ApiModel):
    """``names``: of the people and places whose ids stand in the entry."""

    id: int
    at: Timestamp
    actor: AuditActorOut
    what: What
    action: str
    subject_type: str
    subject_id: str
    detail: dict[str, Any]
    names: dict[str, Bilingual]
    hash: str


class AuditFilter(ApiModel):
    """Everything is narrowed by all that is given.

    :param number: a consult's number, as people know it.
    :param who: letters of a name or a user name, an id, or ``system``.
    :param what: see `server.archive.trail.What`; ``action``: one step exactly.
    :param start: ``from``; entries of ``[from, to)``.
    """

    consultation_id: str | None = Field(default=None, max_length=64)
    number: str = Field(default="", max_length=SEARCH_LETTERS)
    who: str = Field(default="", max_length=SEARCH_LETTERS)
    what: What | None = None
    action: str = Field(default="", max_length=64)
    start: Timestamp | None = Field(default=None, alias="from")
    end: Timestamp | None = Field(default=None, alias="to")


class AuditQuery(AuditFilter):
    cursor: int | None = Field(default=None, ge=0)
    limit: int = Field(default=DEFAULT_PAGE, ge=1, le=MAX_PAGE)


class AuditExportQuery(AuditFilter):
    """``csv``: for a spreadsheet; ``jsonl``: what ``huizhen verify audit FILE`` checks."""

    format: Literal["csv", "jsonl"] = "csv"


@endpoint("GET", "/api/v1/audit", summary="The audit trail")
async def list_audit(ctx: RequestContext, query: AuditQuery) -> Page[AuditEntryOut]:
    """Regulator, desk and administrator read all of it; others that of a consult of theirs; whoever
    broke the glass was let in to see a patient, and reads none of it."""
    if not ctx.actor.has(OVERSEERS):
        if query.consultation_id is None:
            raise RemoteProtocolError(FORBIDDEN, "name a consultation of yours")
        await ctx.services.consults.check_part(ctx.session, ctx.actor, query.consultation_id)
    wanted = conditions(await _wanted(ctx.session, query))
    statement = select(AuditEntry).where(*wanted).order_by(AuditEntry.sequence.desc()).limit(query.limit + 1)
    if query.cursor is not None:
        statement = statement.where(AuditEntry.sequence < query.cursor)
    rows = list(await ctx.session.scalars(statement))
    shown = rows[: query.limit]
    names = await _names(ctx.session, shown)
    return Page(
        items=[_entry_out(row, names) for row in shown],
        next_cursor=str(shown[-1].sequence) if len(rows) > query.limit else None,
    )


@endpoint(
    "GET",
    "/api/v1/audit/export",
    summary="The audit trail as a file",
    roles=OVERSEERS,
    media_type=", ".join(MEDIA_TYPES.values()),
)
async def export_audit(ctx: RequestContext, query: AuditExportQuery) -> web.StreamResponse:
    """The oldest entry first. Names stand in the CSV alone: the lines are what the hashes are over.
    Stands in the audit trail itself, before a byte goes out.
    """
    wanted = conditions(await _wanted(ctx.session, query))
    count = await ctx.session.scalar(select(func.count()).select_from(AuditEntry).where(*wanted)) or 0
    if count > AUDIT_EXPORT_ROWS:
        raise RemoteProtocolError(
            LIMIT_REACHED, f"{count} entries, at most {AUDIT_EXPORT_ROWS}: a shorter time"
        )
    async with ctx.services.database.write() as session:
        detail = {"format": query.format, "rows": count}
        await ctx.services.audit.record(session, ctx.actor, "audit.export", "audit", query.format, detail)
    headers = {
        "Content-Disposition": f'attachment; filename="audit.{query.format}"',
        "Cache-Control": "no-store",
    }
    directory = ctx.services.config.data_directory
    with closing(await write_trail(ctx.session, wanted, query.format, directory)) as file:
        return await send(ctx.request, file, MEDIA_TYPES[query.format], headers)


async def _wanted(session: AsyncSession, query: AuditFilter) -> Wanted:
    consultation_id = query.consultation_id
    if consultation_id is None and query.number.strip():
        by_number = select(Consultation.id).where(Consultation.number == query.number.strip())
        consultation_id = await session.scalar(by_number) or query.number.strip()
    return Wanted(
        consultation_id=consultation_id,
        actors=await _actors(session, query.who.strip()) if query.who.strip() else None,
        what=query.what,
        action=query.action,
        start=query.start,
        end=query.end,
    )


async def _actors(session: AsyncSession, letters: str) -> frozenset[str]:
    """Ids of people and devices whose name has the letters, and the letters themselves as an id."""
    people = select(Practitioner.id).outerjoin(Account, Account.practitioner_id == Practitioner.id)
    people = people.where(
        or_(
            Practitioner.name.contains(letters, autoescape=True),
            Practitioner.name_en.icontains(letters, autoescape=True),
            Account.username.icontains(letters, autoescape=True),
        )
    )
    devices = select(Device.id).where(
        or_(
            Device.name.contains(letters, autoescape=True), Device.name_en.icontains(letters, autoescape=True)
        )
    )
    found = {letters}
    for query in (people, devices):
        found.update(await session.scalars(query.limit(AUDIT_ACTORS)))
    return frozenset(found)


async def _names(session: AsyncSession, rows: Sequence[AuditEntry]) -> dict[str, Bilingual]:
    """Of everybody and every place that the entries speak of, by id; of an account, its person's."""
    ids = {one for row in rows for one in _ids(row)}
    people = await session.scalars(select(Practitioner).where(among(Practitioner.id, ids)))
    names = {one.id: _of_person(one) for one in people}
    accounts = select(Account, Practitioner).outerjoin(
        Practitioner, Practitioner.id == Account.practitioner_id
    )
    for account, person in await session.execute(accounts.where(among(Account.id, ids))):
        known = account.username
        names[account.id] = Bilingual(zh=known, en=known) if person is None else _of_person(person)
    places = await session.scalars(select(Organization).where(among(Organization.id, ids)))
    return names | {one.id: Bilingual(zh=one.name, en=one.name_en) for one in places}


def _of_person(person: Practitioner) -> Bilingual:
    return Bilingual(zh=person.name.reveal(), en=person.name_en.reveal())


def _ids(row: AuditEntry) -> set[str]:
    """What may be an id: of the actor, the subject, and in the detail."""
    told = [one for value in row.detail.values() for one in (value if isinstance(value, list) else [value])]
    return {row.actor_id, row.subject_id, *(one for one in told if isinstance(one, str))}


def _entry_out(row: AuditEntry, names: Mapping[str, Bilingual]) -> AuditEntryOut:
    actor = names.get(row.actor_id)
    return AuditEntryOut(
        id=row.sequence,
        at=row.at,
        actor=AuditActorOut(
            id=row.actor_id,
            kind=row.actor_kind,
            name=actor.zh if actor else None,
            name_en=actor.en if actor else None,
        ),
        what=what_of(row.action),
        action=row.action,
        subject_type=row.subject_type,
        subject_id=row.subject_id,
        detail=row.detail,
        names={one: names[one] for one in sorted(_ids(row) & names.keys())},
        hash=row.hash,
    )

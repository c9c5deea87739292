"""What the desk does to a rota: keep its layers, change it by hand, take a change back; and "take it now".

Each function is one change in the caller's transaction: checked, stored with the rota's next version, noted.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import String, cast, select
from sqlalchemy.ext.asyncio import AsyncSession

from media.errors import NOT_FOUND, WRONG_STATE, RemoteProtocolError
from server.archive.audit import AuditLog
from server.archive.ids import new_id
from server.archive.models import Practitioner
from server.auth.actor import Actor, Role
from server.consults.access import root_of
from server.consults.vocabulary import Kind
from server.errors import FORBIDDEN
from server.oncall import rota_errors as errors
from server.oncall.history import Deed, note
from server.oncall.models import OverrideRow, ScheduleRow
from server.oncall.policy import Policy, as_json, check_policy
from server.oncall.rota import Override, Schedule
from server.oncall.rota_check import check_override, check_people, check_schedule, take_now
from server.oncall.schedules import (
    keep_layers,
    keep_override,
    load_schedule,
    next_version,
    schedule_row,
)


async def may_edit(session: AsyncSession, actor: Actor, organization_id: str) -> bool:
    """The desk of the county to which the rota belongs."""
    if not actor.has({Role.DESK}):
        return False
    return await root_of(session, actor.organization_id) == await root_of(session, organization_id)


async def need_desk(session: AsyncSession, actor: Actor, organization_id: str) -> None:
    """Raises RemoteProtocolError(forbidden)."""
    if not await may_edit(session, actor, organization_id):
        raise RemoteProtocolError(FORBIDDEN, "needs the desk of this county")


async def experts_of(session: AsyncSession, specialty: str) -> list[Practitioner]:
    """Who could stand on a rota of this specialty."""
    query = (
        select(Practitioner)
        .where(
            Practitioner.active,
            cast(Practitioner.roles, String).like(f'%"{Role.EXPERT.value}"%'),
            cast(Practitioner.specialties, String).like(f'%"{specialty}"%'),
        )
        .order_by(Practitioner.id)
    )
    return list(await session.scalars(query))


async def check_able(session: AsyncSession, specialty: str, people: frozenset[str]) -> None:
    """Everybody exists and is of the specialty; RemoteProtocolError names the first who is not."""
    known = set(await session.scalars(select(Practitioner.id).where(Practitioner.id.in_(people))))
    check_people(people, known, {one.id for one in await experts_of(session, specialty)})


async def create_schedule(
    session: AsyncSession, audit: AuditLog, deed: Deed, row: ScheduleRow, schedule: Schedule
) -> None:
    """A new rota with its layers."""
    await need_desk(session, deed.actor, row.organization_id)
    check_schedule(schedule)
    await check_able(session, schedule.specialty, schedule.people)
    same = select(ScheduleRow.id).where(
        ScheduleRow.organization_id == row.organization_id, ScheduleRow.name == row.name
    )
    if await session.scalar(same) is not None:
        raise RemoteProtocolError(errors.SCHEDULE_EXISTS)
    session.add(row)
    await session.flush()
    await keep_layers(session, schedule)
    await note(session, audit, deed, "rota.create", row.id, row.id, {"layers": len(schedule.layers)})


async def edit_schedule(
    session: AsyncSession, audit: AuditLog, deed: Deed, schedule: Schedule, version: int
) -> None:
    """Put ``schedule``'s zone and layers in place of those that stand, if ``version`` still stands."""
    row = await schedule_row(session, schedule.id)
    await need_desk(session, deed.actor, row.organization_id)
    check_schedule(schedule)
    standing = await load_schedule(session, schedule.id, since=deed.now)
    # Whoever stands there already may stay, also with a specialty that has changed since.
    await check_able(session, schedule.specialty, frozenset(schedule.people - standing.people))
    taken = await next_version(session, schedule.id, version)
    row.time_zone = schedule.zone
    await keep_layers(session, schedule)
    detail = {"version": taken, "layers": len(schedule.layers), "zone": schedule.zone}
    await note(session, audit, deed, "rota.edit", schedule.id, schedule.id, detail)


async def edit_policies(
    session: AsyncSession,
    audit: AuditLog,
    deed: Deed,
    schedule_id: str,
    policies: Mapping[Kind, Policy],
    version: int,
) -> None:
    """Put the rota's escalation policies in place of those that stand; a class left out has the default."""
    row = await schedule_row(session, schedule_id)
    await need_desk(session, deed.actor, row.organization_id)
    kept = as_json({kind: check_policy(policy) for kind, policy in policies.items()})
    taken = await next_version(session, schedule_id, version)
    await session.refresh(row)
    row.policy = kept or None
    # The whole of it: an earlier state can be read again, and put back.
    detail = {"version": taken, "classes": sorted(kept), "policies": kept}
    await note(session, audit, deed, "rota.escalation", schedule_id, schedule_id, detail)


async def add_override(
    session: AsyncSession,
    audit: AuditLog,
    deed: Deed,
    schedule_id: str,
    override: Override,
    version: int | None,
) -> None:
    """A change by hand, by the desk. ``version``: the rota that the desk saw, None = whatever stands."""
    row = await schedule_row(session, schedule_id)
    await need_desk(session, deed.actor, row.organization_id)
    schedule = await load_schedule(session, schedule_id, since=min(deed.now, override.starts))
    if override.by is not None:
        await check_able(session, row.specialty, frozenset({override.by}))
    check_override(schedule, override, deed.now)
    await _store(session, audit, deed, schedule_id, override, version, "rota.override")


async def take_line(
    session: AsyncSession, audit: AuditLog, deed: Deed, schedule_id: str, hours: float | None
) -> Override:
    """The actor takes the first line at once, for ``hours`` or until it would change."""
    row = await schedule_row(session, schedule_id)
    await check_able(session, row.specialty, frozenset({deed.actor.id}))
    schedule = await load_schedule(session, schedule_id, since=deed.now)
    override = take_now(schedule, new_id("ovr"), deed.actor.id, deed.now, hours)
    await _store(session, audit, deed, schedule_id, override, None, "rota.take_now")
    return override


async def end_override(
    session: AsyncSession, audit: AuditLog, deed: Deed, schedule_id: str, override_id: str
) -> None:
    """Take a change back. One that has begun ends now; what was, stays."""
    row = await schedule_row(session, schedule_id)
    stored = await session.get(OverrideRow, override_id)
    if stored is None or stored.schedule_id != schedule_id:
        raise RemoteProtocolError(NOT_FOUND, "override")
    if stored.made_by != deed.actor.id:
        await need_desk(session, deed.actor, row.organization_id)
    if stored.ended_at is not None or stored.ends <= deed.now:
        raise RemoteProtocolError(WRONG_STATE, "it is over")
    if stored.starts < deed.now:
        stored.ends = deed.now
    else:
        stored.ended_at = deed.now
    taken = await next_version(session, schedule_id, None)
    await note(session, audit, deed, "rota.undo", override_id, schedule_id, {"version": taken})


async def _store(
    session: AsyncSession,
    audit: AuditLog,
    deed: Deed,
    schedule_id: str,
    override: Override,
    version: int | None,
    action: str,
) -> None:
    taken = await next_version(session, schedule_id, version)
    await keep_override(session, schedule_id, override, (deed.actor.id, deed.now, taken))
    await note(session, audit, deed, action, override.id, schedule_id, told_of(override, taken))


def told_of(override: Override, version: int) -> dict[str, str | int | float | None]:
    """An override as an event tells it: identifiers and instants."""
    return {
        "change": override.change.value,
        "level": override.level,
        "who": override.who,
        "by": override.by,
        "starts": override.starts,
        "ends": override.ends,
        "version": version,
    }

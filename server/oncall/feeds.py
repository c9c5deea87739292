"""Calendar addresses: one of a person's duties, one of a rota. Whoever has the address reads it.

A calendar program cannot sign in, so the address is the secret: 160 random bits, kept as SHA-256, and a new
one ends the old.
"""

from __future__ import annotations

import hashlib
import secrets

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from media.errors import RemoteProtocolError
from server.archive.audit import AuditLog
from server.archive.ids import new_id
from server.archive.models import Practitioner
from server.archive.specialties import specialty
from server.oncall.history import Deed, note
from server.oncall.ical import calendar_file
from server.oncall.limits import FEED_AHEAD_DAYS, FEED_PAST_DAYS
from server.oncall.models import FeedRow, ScheduleRow
from server.oncall.rota import Schedule, Shift
from server.oncall.rota_errors import FEED_UNKNOWN
from server.oncall.rota_line import duties
from server.oncall.schedules import load_schedule, load_schedules, schedule_row

_SECRET_BYTES = 20
_DAY_S = 86_400.0


async def renew(session: AsyncSession, audit: AuditLog, deed: Deed, schedule_id: str | None) -> str:
    """A new address for the actor's own duties or for a rota; its secret, this once."""
    if schedule_id is not None:
        await schedule_row(session, schedule_id)
    ended = update(FeedRow).where(
        FeedRow.practitioner_id == deed.actor.id,
        FeedRow.schedule_id.is_(None) if schedule_id is None else FeedRow.schedule_id == schedule_id,
        FeedRow.ended_at.is_(None),
    )
    await session.execute(ended.values(ended_at=deed.now))
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    row = FeedRow(
        id=new_id("fed"),
        secret_hash=_digest(secret),
        schedule_id=schedule_id,
        practitioner_id=deed.actor.id,
        made_at=deed.now,
        ended_at=None,
    )
    session.add(row)
    await session.flush()
    await note(session, audit, deed, "feed.renew", row.id, schedule_id)
    return secret


async def read_feed(session: AsyncSession, secret: str, now: float) -> bytes:
    """The calendar file behind an address. Raises RemoteProtocolError(feed_unknown)."""
    known = select(FeedRow).where(FeedRow.secret_hash == _digest(secret), FeedRow.ended_at.is_(None))
    row = await session.scalar(known)
    owner = None if row is None else await session.get(Practitioner, row.practitioner_id)
    if row is None or owner is None or not owner.active:
        raise RemoteProtocolError(FEED_UNKNOWN)
    start, end = now - FEED_PAST_DAYS * _DAY_S, now + FEED_AHEAD_DAYS * _DAY_S
    if row.schedule_id is not None:
        schedules = [await load_schedule(session, row.schedule_id, since=start)]
    else:
        schedules = await load_schedules(session, since=start)
        schedules = [one for one in schedules if owner.id in one.people]
    found = [
        (schedule, level, shift)
        for schedule in schedules
        for level, shift in duties(schedule, start, end)
        if row.schedule_id is not None or shift.member == owner.id
    ]
    return await _file(session, found, owner, row, now)


async def _file(
    session: AsyncSession,
    found: list[tuple[Schedule, int, Shift]],
    owner: Practitioner,
    row: FeedRow,
    now: float,
) -> bytes:
    people = {shift.member for _, _, shift in found}
    persons = await session.scalars(select(Practitioner).where(Practitioner.id.in_(people)))
    names = {one.id: one.name.reveal() for one in persons}
    if row.schedule_id is None:
        name = f"{owner.name.reveal()} 值班"
    else:
        name = (await session.get_one(ScheduleRow, row.schedule_id)).name

    def summary(schedule: Schedule, level: int, shift: Shift) -> str:
        wanted = specialty(schedule.specialty)
        what = wanted.zh if wanted else schedule.specialty
        return f"{what} {_LINES.get(level, level)}线 {names[shift.member]}"

    return calendar_file(name, found, summary, now)


_LINES = {1: "一", 2: "二", 3: "三", 4: "四"}


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()

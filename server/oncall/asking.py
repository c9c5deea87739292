"""Swaps and leave in the database: asked for by doctors, agreed, decided by the desk, expired by time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from media.errors import LIMIT_REACHED, NOT_FOUND, WRONG_STATE, RemoteProtocolError
from server.archive.among import among
from server.archive.audit import AuditLog
from server.archive.ids import new_id
from server.archive.models import Practitioner
from server.auth.actor import Actor, Role, system_actor
from server.consults.access import group_of, root_of
from server.errors import VERSION_CONFLICT
from server.oncall import rota_errors as errors
from server.oncall.changing import check_able
from server.oncall.history import Deed, note
from server.oncall.limits import ASKS_OPEN, ASKS_SHOWN_S, NOTICES_KEPT
from server.oncall.models import AskRow
from server.oncall.rota import Leave
from server.oncall.rota_ask import (
    OPEN,
    Ask,
    Part,
    Piece,
    Refusal,
    Stage,
    Step,
    Swap,
    check_refusal,
    check_swap,
    expires_at,
    overrides_of,
    step,
    steps,
)
from server.oncall.rota_check import check_leave
from server.oncall.schedules import keep_override, load_schedule, next_version, schedule_row
from server.oncall.weighing import SeenGap, Weighed, check_seen, weigh_ask
from signaling.personal import Personal


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asks for. A leave has neither schedule nor other; ``given`` is its time."""

    ask: Ask
    given: Piece
    schedule_id: str | None = None
    other_id: str | None = None
    back: Piece | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody does with an ask.

    :param version: of the ask that they saw; None = whatever stands.
    :param why: of a refusal; its words are the deed's reason.
    :param seen: the gaps that they were shown before they approved.
    """

    action: Step
    version: int | None = None
    why: Refusal | None = None
    seen: Sequence[SeenGap] = ()


async def ask_for(session: AsyncSession, audit: AuditLog, deed: Deed, wish: Wish) -> AskRow:
    """Keep a swap or a leave as proposed."""
    await _check_room(session, deed.actor.id)
    row = _row(wish, deed)
    if wish.ask is Ask.LEAVE:
        check_leave(Leave(deed.actor.id, row.starts, row.ends), deed.now)
    else:
        await _check_swap(session, row, deed.now, new=True)
    session.add(row)
    await session.flush()
    await note(session, audit, deed, f"{row.ask}.propose", row.id, row.schedule_id, _told(row))
    return row


async def give_leave(session: AsyncSession, audit: AuditLog, deed: Deed, member: str, time: Piece) -> AskRow:
    """The desk enters somebody's leave; it holds at once."""
    person = await session.get(Practitioner, member)
    if person is None or not await _same_county(session, deed.actor, person):
        raise RemoteProtocolError(errors.UNKNOWN_MEMBER, member)
    check_leave(Leave(member, time.starts, time.ends), deed.now)
    row = _row(Wish(Ask.LEAVE, time), deed)
    row.asker_id, row.stage = member, Stage.APPROVED.value
    session.add(row)
    await session.flush()
    await note(session, audit, deed, "leave.enter", row.id, None, _told(row))
    return row


async def act_on(session: AsyncSession, audit: AuditLog, deed: Deed, ask_id: str, answer: Answer) -> AskRow:
    """One step of a swap or a leave. An approved swap changes the rota in the same transaction.

    What it does is reckoned again then: it makes no gap that the desk was not shown.
    """
    row, parts = await _found(session, deed.actor, ask_id)
    after = step(Ask(row.ask), Stage(row.stage), answer.action, parts)
    told: dict[str, str | int] = {}
    if after is Stage.REFUSED:
        check_refusal(parts, answer.why, deed.reason)
        told = {} if answer.why is None else {"refusal": answer.why.value}
    if after is Stage.APPROVED:
        made = check_seen(await weigh_ask(session, row, swap_of(row), deed.now), answer.seen)
        told = {"gaps": made} if made else {}
    await _move(session, row, after, answer.version)
    if after is Stage.REFUSED:
        row.refused_by = deed.actor.id
        row.refused_why = None if answer.why is None else answer.why.value
        row.refused_words = Personal(deed.reason.strip())
    if after is Stage.APPROVED and row.ask == Ask.SWAP:
        await _carry_out(session, row, deed)
    action = f"{row.ask}.{answer.action.value}"
    await note(session, audit, deed, action, row.id, row.schedule_id, _told(row) | told)
    return row


async def weighed(session: AsyncSession, actor: Actor, ask_id: str, now: float) -> list[Weighed]:
    """What an undecided ask would do, for whoever has a part in it. Raises as its approval would."""
    row, _ = await _found(session, actor, ask_id)
    if Stage(row.stage) not in OPEN:
        raise RemoteProtocolError(WRONG_STATE, row.stage)
    return await weigh_ask(session, row, swap_of(row), now)


async def _found(session: AsyncSession, actor: Actor, ask_id: str) -> tuple[AskRow, frozenset[Part]]:
    """An ask and who the actor is to it; to others there is none."""
    row = await session.get(AskRow, ask_id)
    parts = frozenset[Part]() if row is None else await parts_of(session, actor, row)
    if row is None or not parts:
        raise RemoteProtocolError(NOT_FOUND, "ask")
    return row, parts


async def expire(session: AsyncSession, audit: AuditLog, now: float) -> list[AskRow]:
    """End what nobody decided in time; those rows."""
    late = select(AskRow).where(AskRow.stage.in_([one.value for one in OPEN]), AskRow.expires_at <= now)
    rows = list(await session.scalars(late.order_by(AskRow.expires_at).limit(NOTICES_KEPT)))
    for row in rows:
        after = step(Ask(row.ask), Stage(row.stage), Step.EXPIRE, frozenset({Part.SYSTEM}))
        await _move(session, row, after, None)
        deed = Deed(system_actor(), now)
        await note(session, audit, deed, f"{row.ask}.expire", row.id, row.schedule_id, _told(row))
    return rows


async def asks_for(session: AsyncSession, actor: Actor, now: float) -> list[AskRow]:
    """What the actor may see, the undecided before the others, the newest first: their own; the desk and the
    regulator see their county's. What was over `ASKS_SHOWN_S` ago is history: it stands in the trail."""
    concerns = or_(AskRow.asker_id == actor.id, AskRow.other_id == actor.id)
    if actor.has({Role.DESK, Role.REGULATOR}):
        places = await group_of(session, actor.organization_id)
        people = select(Practitioner.id).where(among(Practitioner.organization_id, places))
        concerns = or_(concerns, AskRow.asker_id.in_(people))
    waiting = AskRow.stage.in_([one.value for one in OPEN])
    lately = or_(waiting, AskRow.ends > now - ASKS_SHOWN_S, AskRow.back_ends > now - ASKS_SHOWN_S)
    query = select(AskRow).where(concerns, lately).order_by(waiting.desc(), AskRow.asked_at.desc(), AskRow.id)
    return list(await session.scalars(query.limit(NOTICES_KEPT)))


async def parts_of(session: AsyncSession, actor: Actor, row: AskRow) -> frozenset[Part]:
    """Who the actor is to this ask; nobody = an empty set."""
    asker = await session.get_one(Practitioner, row.asker_id)
    desk = actor.has({Role.DESK}) and await _same_county(session, actor, asker)
    parts = {Part.ASKER: actor.id == row.asker_id, Part.OTHER: actor.id == row.other_id, Part.DESK: desk}
    return frozenset(part for part, holds in parts.items() if holds)


async def allowed(session: AsyncSession, actor: Actor, row: AskRow) -> list[Step]:
    """What the actor may do with it now."""
    return steps(Ask(row.ask), Stage(row.stage), await parts_of(session, actor, row))


def swap_of(row: AskRow) -> Swap:
    back = (
        Piece(row.back_level, row.back_starts, row.back_ends)
        if row.back_level is not None and row.back_starts is not None and row.back_ends is not None
        else None
    )
    return Swap(row.id, row.asker_id, row.other_id or "", Piece(row.level or 0, row.starts, row.ends), back)


async def _check_swap(session: AsyncSession, row: AskRow, now: float, *, new: bool) -> None:
    schedule_id = row.schedule_id or ""
    schedule = await load_schedule(session, schedule_id, since=now)
    swap = swap_of(row)
    takers = frozenset(by for _, by, _ in swap.pieces)
    await check_able(session, schedule.specialty, takers - schedule.people)
    check_swap(schedule, swap, now)
    if not new:
        return
    same = select(AskRow.id).where(
        AskRow.schedule_id == schedule_id,
        AskRow.asker_id == row.asker_id,
        AskRow.stage.in_([one.value for one in OPEN]),
        AskRow.starts < row.ends,
        AskRow.ends > row.starts,
    )
    if await session.scalar(same.limit(1)) is not None:
        raise RemoteProtocolError(errors.ASKED_ALREADY)


async def _carry_out(session: AsyncSession, row: AskRow, deed: Deed) -> None:
    """Both must still have their shifts: the rota may have changed since they agreed."""
    await _check_swap(session, row, deed.now, new=False)
    schedule = await schedule_row(session, row.schedule_id or "")
    for override in overrides_of(swap_of(row)):
        version = await next_version(session, schedule.id, None)
        await keep_override(session, schedule.id, override, (deed.actor.id, deed.now, version), row.id)


async def _move(session: AsyncSession, row: AskRow, after: Stage, version: int | None) -> None:
    """Of two who act at once, one wins: the other gets version_conflict."""
    seen = row.version if version is None else version
    moved = (
        update(AskRow)
        .where(AskRow.id == row.id, AskRow.version == seen)
        .values(stage=after.value, version=seen + 1)
        .returning(AskRow.id)
    )
    if await session.scalar(moved) is None:
        raise RemoteProtocolError(VERSION_CONFLICT)
    await session.refresh(row)


async def _check_room(session: AsyncSession, asker_id: str) -> None:
    waiting = select(func.count()).where(
        AskRow.asker_id == asker_id, AskRow.stage.in_([one.value for one in OPEN])
    )
    if (await session.scalar(waiting) or 0) >= ASKS_OPEN:
        raise RemoteProtocolError(LIMIT_REACHED, f"open requests: {ASKS_OPEN}")


async def _same_county(session: AsyncSession, actor: Actor, person: Practitioner) -> bool:
    mine = await root_of(session, actor.organization_id)
    return mine is not None and mine == await root_of(session, person.organization_id)


def _row(wish: Wish, deed: Deed) -> AskRow:
    back = wish.back
    starts = [wish.given.starts] + ([] if back is None else [back.starts])
    # A leave may be entered while it runs; it can still be decided until it ends.
    last = [wish.given.ends] if wish.ask is Ask.LEAVE else starts
    return AskRow(
        id=new_id("swp" if wish.ask is Ask.SWAP else "lve"),
        ask=wish.ask.value,
        stage=Stage.PROPOSED.value,
        version=1,
        schedule_id=wish.schedule_id,
        asker_id=deed.actor.id,
        other_id=wish.other_id,
        level=wish.given.level if wish.ask is Ask.SWAP else None,
        starts=wish.given.starts,
        ends=wish.given.ends,
        back_level=None if back is None else back.level,
        back_starts=None if back is None else back.starts,
        back_ends=None if back is None else back.ends,
        reason=Personal(deed.reason),
        asked_at=deed.now,
        expires_at=expires_at(deed.now, last),
    )


def _told(row: AskRow) -> dict[str, str | float | None]:
    return {
        "stage": row.stage,
        "asker": row.asker_id,
        "other": row.other_id,
        "starts": row.starts,
        "ends": row.ends,
    }

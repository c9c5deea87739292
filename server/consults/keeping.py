"""What an action leaves behind besides its step: decision, rating, contribution, stage, acknowledgement."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.archive.ids import new_id
from server.auth.actor import Actor
from server.consults.errors import INCOMPLETE, NO_SUCH_STAGE, NO_TIME_TO_PLAN, ActionRefused
from server.consults.limits import PLANNED_AHEAD_S, PLANNED_LATE_S
from server.consults.models import Decision, Opinion, Rating, Seat, Stage
from server.consults.vocabulary import Action, Data
from signaling.personal import Personal

STAGES = ("onset", "door", "first_call", "accepted", "imaging", "decision")
"""The clocks of the green channel in their order; the consult itself knows first_call and accepted."""

NOTED = frozenset({"onset", "door", "imaging", "decision"})
"""Those that somebody has to note."""


async def keep(
    session: AsyncSession, consultation_id: str, actor: Actor, action: Action, data: Data, now: float
) -> None:
    """Store what came with ``action``, in the transaction of its step.

    :raises ActionRefused: incomplete, no_such_stage, no_time_to_plan.
    """
    if action is Action.ACKNOWLEDGE:
        session.add(
            Decision(
                id=new_id("dec"),
                consultation_id=consultation_id,
                by_id=actor.id,
                outcome=data.outcome or "adopted",
                text=Personal(data.text),
                at=now,
            )
        )
        await _acknowledge_critical(session, consultation_id, actor, now)
    elif action is Action.ACKNOWLEDGE_CRITICAL:
        await _acknowledge_critical(session, consultation_id, actor, now)
    elif action is Action.RATE:
        if data.stars is None:
            raise ActionRefused(INCOMPLETE, "stars")
        text = Personal(data.text)
        session.add(
            Rating(consultation_id=consultation_id, by_id=actor.id, stars=data.stars, text=text, at=now)
        )
    elif action is Action.CONTRIBUTE:
        mine = Seat.practitioner_id == actor.id
        seat = (
            await session.scalars(select(Seat).where(Seat.consultation_id == consultation_id, mine))
        ).one()
        seat.contribution, seat.contributed_at = Personal(data.text), now
    elif action is Action.SCHEDULE:
        if data.at is None or not now - PLANNED_LATE_S <= data.at <= now + PLANNED_AHEAD_S:
            raise ActionRefused(NO_TIME_TO_PLAN)
    elif action is Action.NOTE_STAGE:
        await _note_stage(session, consultation_id, actor, data, now)


async def _acknowledge_critical(
    session: AsyncSession, consultation_id: str, actor: Actor, now: float
) -> None:
    """The first word counts: a decision acknowledges what was not acknowledged before."""
    opinion = await session.get(Opinion, consultation_id)
    if opinion is not None and opinion.critical and opinion.critical_acknowledged_at is None:
        opinion.critical_acknowledged_at, opinion.critical_acknowledged_by = now, actor.id


async def _note_stage(
    session: AsyncSession, consultation_id: str, actor: Actor, data: Data, now: float
) -> None:
    if data.stage not in NOTED:
        raise ActionRefused(NO_SUCH_STAGE)
    if data.at is not None and data.at > now:
        raise ActionRefused(NO_SUCH_STAGE, "a stage of the future")
    row = await session.get(Stage, (consultation_id, data.stage))
    if row is None:
        row = Stage(consultation_id=consultation_id, stage=data.stage)
        session.add(row)
    row.at, row.noted_by, row.noted_at = now if data.at is None else data.at, actor.id, now

"""What a drill must never find: somebody waits in silence, or two experts have one patient."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import bindparam, case, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.archive.database import Looking
from server.consults.models import Consultation, ConsultEvent
from server.consults.states import WITH_ROOM
from server.consults.vocabulary import FINAL, Action, State
from server.oncall.models import TimerRow
from server.oncall.timers import NEXT

_FINAL = [one.value for one in FINAL]
_RESTING = [State.IN_SESSION.value]
"""Without a timer only a session may be, whose chair ends it. Elsewhere an owner is not enough: those who are
rung own a ring, and one that never ends is silence for the patient.
"""


_TIMER = TimerRow.__table__
_CONSULT = Consultation.__table__
_STATES = (
    select(
        _CONSULT.c.id,
        _CONSULT.c.state,
        _CONSULT.c.expert_id,
        _TIMER.c.consultation_id,
        NEXT.scalar_subquery(),
    )
    .select_from(_CONSULT.outerjoin(_TIMER, _TIMER.c.consultation_id == _CONSULT.c.id))
    .where(_CONSULT.c.id.in_(bindparam("consults", expanding=True)))
)


async def standing(
    looking: Looking, consults: Collection[str]
) -> tuple[dict[str, tuple[str, str | None]], list[str], float | None]:
    """(state, expert) of consults, which of them are silent, and when the next timer of all is due."""
    states: dict[str, tuple[str, str | None]] = {}
    quiet: list[str] = []
    due: float | None = None
    for row in await looking.rows(_STATES, {"consults": list(consults)}):
        one, state, expert, timer, due = row
        states[one] = (state, expert)
        if timer is None and state not in (*_FINAL, *_RESTING):
            quiet.append(one)
    return states, quiet, due


async def silent(session: AsyncSession) -> list[str]:
    """Consults in a state that is not final and asks for a timer, without one."""
    query = select(Consultation.id).outerjoin(TimerRow, TimerRow.consultation_id == Consultation.id)
    query = query.where(Consultation.state.not_in([*_FINAL, *_RESTING]), TimerRow.consultation_id.is_(None))
    return list(await session.scalars(query))


async def doubled(session: AsyncSession) -> list[str]:
    """Consults that somebody accepted while another had them: more accepts than times they were free."""
    taken = func.sum(case((ConsultEvent.action == Action.ACCEPT.value, 1), else_=0))
    held = (*WITH_ROOM, State.OPINION_PENDING)
    given_back = func.sum(
        case(
            (
                ConsultEvent.from_state.in_([one.value for one in held])
                & (ConsultEvent.to_state == State.ESCALATED.value),
                1,
            ),
            else_=0,
        )
    )
    query = select(ConsultEvent.consultation_id).group_by(ConsultEvent.consultation_id)
    return list(await session.scalars(query.having(taken > given_back + 1)))


async def overdue(session: AsyncSession, now: float) -> list[str]:
    """Consults whose timer ought to have been taken."""
    return list(await session.scalars(select(TimerRow.consultation_id).where(TimerRow.due < now)))

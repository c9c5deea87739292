"""The first ring after a start is as quick as the others: a request is rung for nobody, and undone.

What makes it slow is that statements are put together and the rotas are read at their first use: some ten
times what a decision takes. A server that was killed has rings to follow at once.
"""

from __future__ import annotations

import logging

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from media.errors import Fault
from server.archive.ids import new_id
from server.auth.actor import system_actor
from server.consults.models import Consultation
from server.consults.steps import Tx
from server.consults.store import claim, nothing_stored
from server.consults.vocabulary import Action, Data, Kind, Role, State
from server.consults.work import Work
from server.oncall.models import TimerRow
from server.oncall.timers import put_timers
from signaling.personal import Personal

logger = logging.getLogger(__name__)


class _UndoneError(Exception):
    """Ends the transaction; nothing of it stands and nothing is told."""


async def rehearse(work: Work, now: float) -> None:
    """Ring as for the newest request's clinic, let it end, and roll back. Without a request: nothing."""
    try:
        async with work.transaction(now) as tx:
            newest = select(Consultation).order_by(Consultation.created_at.desc(), Consultation.id)
            like = await tx.session.scalar(newest.limit(1))
            if like is not None:
                await work.steps.read_book(tx)
                await _ring(work, tx, _made_up(like, now))
                raise _UndoneError
    except _UndoneError:
        return
    except (Fault, SQLAlchemyError) as error:
        # A server that cannot rehearse may be able to serve; what is wrong shows where it is asked for.
        logger.warning("the rehearsal of a ring failed: %s", type(error).__name__)


async def _ring(work: Work, tx: Tx, row: Consultation) -> None:
    tx.session.add(row)
    await tx.session.flush()
    nothing_stored(tx.session, row.id)
    await work.steps.take(tx, row, Action.SUBMIT, system_actor(), frozenset({Role.REQUESTER}), Data())
    await tx.session.flush()
    await put_timers(tx.session, tx.timers)
    if row.state == State.OFFERED and await claim(tx.session, row.id) is not None:
        await tx.session.get(TimerRow, row.id)
        await work.steps.on_timer(tx, row, Action.RING_TIMEOUT)
        await tx.session.flush()


def _made_up(like: Consultation, now: float) -> Consultation:
    """A request of the same clinic, of nobody's words."""
    made_up = new_id("con")
    return Consultation(
        id=made_up,
        number=made_up[:24],
        kind=Kind.URGENT.value,
        state=State.DRAFT.value,
        version=1,
        specialty=like.specialty,
        purpose=Personal("-"),
        summary=Personal("-"),
        patient_id=like.patient_id,
        organization_id=like.organization_id,
        requester_id=like.requester_id,
        consent_consult=True,
        consent_recording=False,
        consent_by=like.consent_by,
        since=now,
        created_at=now,
        ring=0,
        tried_from_ring=1,
        reminders=0,
        requester_in=False,
        expert_in=False,
    )

"""The thread of a picture-and-text consult: messages between requester and expert, and who has read them."""

from __future__ import annotations

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server.archive.ids import new_id
from server.auth.actor import Actor
from server.consults.errors import TOO_MANY_MESSAGES, ActionRefused
from server.consults.limits import MESSAGES_PER_CONSULT
from server.consults.models import ThreadMessage
from server.consults.vocabulary import Action, Data
from server.consults.work import Work
from signaling.personal import Personal


class Threads:
    """Posts and reads messages."""

    def __init__(self, work: Work) -> None:
        self._work = work

    async def post(self, actor: Actor, consultation_id: str, text: str, now: float) -> None:
        """Add a message; the other side is told.

        :raises ActionRefused: incomplete, too_many_messages, forbidden, wrong_state, not_found.
        """
        async with (
            self._work.noting_refusals(actor, consultation_id, "post"),
            self._work.transaction(now) as tx,
        ):
            admitted = await self._work.admit(tx.session, actor, consultation_id)
            count = select(func.count()).where(ThreadMessage.consultation_id == consultation_id)
            if (await tx.session.scalar(count) or 0) >= MESSAGES_PER_CONSULT:
                raise ActionRefused(TOO_MANY_MESSAGES)
            data = Data(actor_id=actor.id, text=text)
            await self._work.steps.take(tx, admitted.row, Action.POST, actor, admitted.roles, data)
            tx.session.add(
                ThreadMessage(
                    id=new_id("msg"),
                    consultation_id=consultation_id,
                    author_id=actor.id,
                    text=Personal(text.strip()),
                    at=now,
                )
            )

    async def listed(self, session: AsyncSession, actor: Actor, consultation_id: str) -> list[ThreadMessage]:
        """In order. Raises ActionRefused: not_found, forbidden."""
        await self._work.admit(session, actor, consultation_id)
        query = select(ThreadMessage).where(ThreadMessage.consultation_id == consultation_id)
        return list(await session.scalars(query.order_by(ThreadMessage.at, ThreadMessage.id)))

    async def mark_read(self, actor: Actor, consultation_id: str, now: float) -> None:
        """What the other side wrote was on the actor's screen; the other side is told, once.

        Somebody who only looks on (the desk) marks nothing.
        """
        async with self._work.transaction(now) as tx:
            admitted = await self._work.admit(tx.session, actor, consultation_id)
            if actor.id not in (admitted.row.requester_id, admitted.row.expert_id):
                return
            unread = (
                update(ThreadMessage)
                .where(
                    ThreadMessage.consultation_id == consultation_id,
                    ThreadMessage.author_id != actor.id,
                    ThreadMessage.read_at.is_(None),
                )
                .values(read_at=now)
                .returning(ThreadMessage.id)
            )
            if (await tx.session.scalars(unread)).all():
                await self._work.steps.tell(tx, admitted.row)

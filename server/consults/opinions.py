"""The expert's opinion: draft, signature, addenda."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.archive.ids import new_id
from server.auth.actor import Actor
from server.consults.codes import new_code
from server.consults.contributions import contributions_json
from server.consults.documents import FORM, addendum_document, opinion_document
from server.consults.errors import (
    INCOMPLETE,
    OPINION_SIGNED,
    PASSWORD_REQUIRED,
    TOO_MANY_ADDENDA,
    WRONG_PASSWORD,
    ActionRefused,
)
from server.consults.limits import ADDENDA_PER_OPINION
from server.consults.machine import allowed, apply
from server.consults.models import Addendum, Opinion, PractitionerKey
from server.consults.schema import OpinionIn
from server.consults.signed import signature_digest
from server.consults.signing import ALGORITHM, Cost, SealedKey, WrongPasswordError, new_key, open_key, sign
from server.consults.store import facts, opinion_of
from server.consults.vocabulary import Action, Consult, Data, Role, State
from server.consults.work import Work
from signaling.personal import Personal


@dataclass(frozen=True, slots=True)
class OpenKey:
    """A signing key that its owner's password has opened. ``fresh``: a row that is still to be stored."""

    key_id: str
    private: Ed25519PrivateKey
    fresh: PractitionerKey | None = None


class Opinions:
    """Writes and signs opinions."""

    def __init__(self, work: Work) -> None:
        self._work = work

    async def write(self, actor: Actor, consultation_id: str, body: OpinionIn, now: float) -> None:
        """Keep a draft.

        :raises ActionRefused: forbidden, wrong_state, opinion_signed, not_found.
        """
        async with (
            self._work.noting_refusals(actor, consultation_id, "write_opinion"),
            self._work.transaction(now) as tx,
        ):
            admitted = await self._work.admit(tx.session, actor, consultation_id)
            opinion = await opinion_of(tx.session, consultation_id)
            if opinion is not None and opinion.signed_at is not None:
                raise ActionRefused(OPINION_SIGNED)
            before = await facts(tx.session, admitted.row)
            apply(before, Action.WRITE_OPINION, admitted.roles, now)
            opinion = opinion or Opinion(consultation_id=consultation_id)
            opinion.author_id = actor.id
            opinion.findings = Personal(body.findings)
            opinion.conclusion = Personal(body.conclusion)
            opinion.advice = Personal(body.advice)
            opinion.follow_up = Personal(body.follow_up)
            opinion.contributions = Personal("[]")
            opinion.form = FORM
            opinion.critical = body.critical
            opinion.written_at = now
            tx.session.add(opinion)
            if (await facts(tx.session, admitted.row)).writing != before.writing:
                await self._work.steps.renew_timer(tx, admitted.row)

    async def sign(self, actor: Actor, consultation_id: str, password: str, now: float) -> None:
        """Sign the draft with the actor's own key; it is returned to the requester at once.

        What may be read without a room ends with that.

        :raises ActionRefused: wrong_password, incomplete, forbidden, wrong_state, not_found.
        """
        key = await self._unlock(actor, consultation_id, password, Action.SIGN, now)
        async with self._work.transaction(now) as tx:
            admitted = await self._work.admit(tx.session, actor, consultation_id)
            opinion = await tx.session.get_one(Opinion, consultation_id)
            if opinion.author_id != actor.id:
                raise ActionRefused(INCOMPLETE, "opinion of the signer")
            await _store_key(tx.session, key)
            if _ends_first(await facts(tx.session, admitted.row), admitted.roles):
                data = Data(actor_id=actor.id)
                await self._work.steps.take(tx, admitted.row, Action.END, actor, admitted.roles, data)
            opinion.contributions = Personal(await contributions_json(tx.session, admitted.row))
            opinion.code = new_code()
            opinion.signed_at = now
            opinion.key_id = key.key_id
            opinion.signature = sign(key.private, opinion_document(admitted.row, opinion, now))
            data = Data(actor_id=actor.id, signature=signature_digest(opinion.signature))
            await self._work.steps.take(tx, admitted.row, Action.SIGN, actor, admitted.roles, data)

    async def amend(self, actor: Actor, consultation_id: str, text: str, password: str, now: float) -> None:
        """Add a signed addendum.

        :raises ActionRefused: password_required, wrong_password, incomplete, too_many_addenda, forbidden,
            wrong_state, not_found.
        """
        if not password:
            raise ActionRefused(PASSWORD_REQUIRED)
        key = await self._unlock(actor, consultation_id, password, Action.AMEND, now, text)
        async with self._work.transaction(now) as tx:
            admitted = await self._work.admit(tx.session, actor, consultation_id)
            row = admitted.row
            opinion = await tx.session.get_one(Opinion, consultation_id)
            await _check_addenda(tx.session, consultation_id)
            await _store_key(tx.session, key)
            signature = sign(key.private, addendum_document(row, opinion, actor.id, text, now))
            tx.session.add(
                Addendum(
                    id=new_id("add"),
                    consultation_id=consultation_id,
                    author_id=actor.id,
                    text=Personal(text),
                    signed_at=now,
                    key_id=key.key_id,
                    signature=signature,
                )
            )
            data = Data(actor_id=actor.id, text=text, signature=signature_digest(signature))
            await self._work.steps.take(tx, row, Action.AMEND, actor, admitted.roles, data)

    async def _unlock(
        self, actor: Actor, consultation_id: str, password: str, action: Action, now: float, text: str = ""
    ) -> OpenKey:
        """Check that the action would be taken, then open the key. No transaction waits meanwhile."""
        data = Data(actor_id=actor.id, text=text)
        async with (
            self._work.noting_refusals(actor, consultation_id, action.value),
            self._work.services.database.read(brief=True) as session,
        ):
            admitted = await self._work.admit(session, actor, consultation_id)
            consult = await facts(session, admitted.row)
            if action is Action.SIGN and _ends_first(consult, admitted.roles):
                consult = apply(consult, Action.END, admitted.roles, now, data).after
            apply(consult, action, admitted.roles, now, data)
            confirmed = await self._work.services.auth.confirm_password(session, actor, password, now)
            newest = await session.scalar(
                select(PractitionerKey)
                .where(PractitionerKey.practitioner_id == actor.id)
                .order_by(PractitionerKey.created_at.desc())
                .limit(1)
            )
        if not confirmed:
            self._work.note_refusal(actor, consultation_id, f"{action.value}: wrong password")
            raise ActionRefused(WRONG_PASSWORD)
        return await asyncio.to_thread(_open_or_make, newest, password, actor.id, self._cost(), now)

    def _cost(self) -> Cost:
        auth = self._work.services.config.auth
        return Cost(auth.argon2_time_cost, auth.argon2_memory_kib, auth.argon2_parallelism)


def _ends_first(consult: Consult, roles: Collection[Role]) -> bool:
    """Nobody is in a session that would have to be ended by itself."""
    return consult.state in (State.ACCEPTED, State.READY) and Action.END in allowed(consult, roles)


def _open_or_make(
    stored: PractitionerKey | None, password: str, actor_id: str, cost: Cost, now: float
) -> OpenKey:
    """The stored key, or a new one: at the first signing, and when the account's password was changed."""
    if stored is not None:
        try:
            return OpenKey(stored.id, open_key(_sealed(stored), password, actor_id))
        except WrongPasswordError:
            pass  # the account's password was confirmed: it is newer than the key
    sealed, private = new_key(password, actor_id, cost)
    row = PractitionerKey(
        id=new_id("key"),
        practitioner_id=actor_id,
        algorithm=ALGORITHM,
        public_key=sealed.public_key,
        salt=sealed.salt,
        time_cost=cost.time_cost,
        memory_kib=cost.memory_kib,
        parallelism=cost.parallelism,
        sealed=sealed.sealed,
        created_at=now,
    )
    return OpenKey(row.id, private, row)


def _sealed(row: PractitionerKey) -> SealedKey:
    cost = Cost(row.time_cost, row.memory_kib, row.parallelism)
    return SealedKey(row.public_key, row.salt, cost, row.sealed)


async def _store_key(session: AsyncSession, key: OpenKey) -> None:
    if key.fresh is not None:
        session.add(key.fresh)
        await session.flush()


async def _check_addenda(session: AsyncSession, consultation_id: str) -> None:
    count = select(func.count()).where(Addendum.consultation_id == consultation_id)
    if (await session.scalar(count) or 0) >= ADDENDA_PER_OPINION:
        raise ActionRefused(TOO_MANY_ADDENDA)

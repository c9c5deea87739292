"""Whether an opinion stands: its signatures, held against the audit trail.

A signature alone says that some key fits. Whoever has the database could put a key of their own beside a
doctor's, sign another opinion with it, or take an addendum away. So each signing's entry in the trail names
the signature that was made (`signature_digest`), and the trail shows whatever was changed in it
(`huizhen verify audit`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.archive.models import AuditEntry
from server.consults.documents import addendum_stands, opinion_stands
from server.consults.models import Addendum, Consultation, Opinion, PractitionerKey
from server.consults.vocabulary import Action

_MAKES = tuple(f"consultation.{one.value}" for one in (Action.SIGN, Action.AMEND))


def signature_digest(signature: str) -> str:
    """How the trail names a signature: SHA-256, hex."""
    return hashlib.sha256(signature.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Told:
    """What the trail tells of a consult's signatures.

    :param signatures: the digests that it names.
    :param unnamed: signings of the time when it named none; what they made is known by its key alone.
    """

    signatures: frozenset[str] = frozenset()
    unnamed: int = 0

    @classmethod
    def by(cls, details: Iterable[Mapping[str, Any]]) -> Told:
        """Of the details of a consult's signings."""
        named = [one.get("signature") for one in details]
        return cls(frozenset(one for one in named if one), named.count(None))

    def knows(self, signature: str | None) -> bool:
        return signature is not None and (
            bool(self.unnamed) or signature_digest(signature) in self.signatures
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """``opinion``, ``addenda`` (by id): letter by letter what was signed, with the signer's own key.

    :param missing: signatures that the trail names and nothing carries any more.
    """

    opinion: bool
    addenda: Mapping[str, bool]
    missing: int

    @property
    def stands(self) -> bool:
        """All of it, and nothing was taken away."""
        return self.opinion and all(self.addenda.values()) and not self.missing


def verdict(
    row: Consultation,
    opinion: Opinion,
    addenda: Sequence[Addendum],
    keys: Mapping[str, PractitionerKey],
    told: Told,
) -> Verdict:
    """Of a signed opinion."""
    carried = {
        signature_digest(one) for one in [opinion.signature, *(each.signature for each in addenda)] if one
    }
    missing = len(told.signatures - carried)
    stands = opinion_stands(row, opinion, keys.get(opinion.key_id or ""))
    return Verdict(
        stands and told.knows(opinion.signature),
        {
            one.id: addendum_stands(row, opinion, one, keys.get(one.key_id)) and told.knows(one.signature)
            for one in addenda
        },
        missing,
    )


async def told_of(session: AsyncSession, consultation_ids: Collection[str]) -> dict[str, Told]:
    """What the trail tells of some consults that have signatures."""
    query = select(AuditEntry.subject_id, AuditEntry.detail).where(
        AuditEntry.subject_type == "consultation",
        AuditEntry.subject_id.in_(consultation_ids),
        AuditEntry.action.in_(_MAKES),
    )
    details: dict[str, list[Mapping[str, Any]]] = {one: [] for one in consultation_ids}
    for consult, detail in await session.execute(query):
        details[consult].append(detail)
    return {consult: Told.by(found) for consult, found in details.items()}


async def verdict_of(
    session: AsyncSession, row: Consultation, opinion: Opinion
) -> tuple[Verdict, list[Addendum]]:
    """Of a stored opinion that was signed, and its addenda in order."""
    query = (
        select(Addendum).where(Addendum.consultation_id == row.id).order_by(Addendum.signed_at, Addendum.id)
    )
    addenda = list(await session.scalars(query))
    wanted = {opinion.key_id, *(one.key_id for one in addenda)}
    keys = await session.scalars(select(PractitionerKey).where(PractitionerKey.id.in_(wanted)))
    told = await told_of(session, [row.id])
    return verdict(row, opinion, addenda, {one.id: one for one in keys}, told[row.id]), addenda


async def opinion_verified(session: AsyncSession, consultation_id: str) -> bool | None:
    """True when the opinion and every addendum stand as signed; None when nothing was signed."""
    opinion = await session.get(Opinion, consultation_id)
    if opinion is None or opinion.signed_at is None:
        return None
    found, _ = await verdict_of(session, await session.get_one(Consultation, consultation_id), opinion)
    return found.stands

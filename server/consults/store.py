"""Between the rows and the table's facts. The only writer of a consult's state, version and timer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Executable, Select, bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.archive.database import WRITES
from server.archive.models import Organization, Patient, Practitioner
from server.consults.errors import NOT_FOUND, VERSION_CONFLICT, ActionRefused
from server.consults.models import Consultation, Offer, Opinion, Rating, Seat
from server.consults.vocabulary import Consult, Kind, State
from server.oncall.book import COUNT_READ
from server.oncall.models import RotaChanges, TimerRow

RINGING = "ringing"

_RATED = frozenset({State.ACKNOWLEDGED.value, State.ARCHIVED.value})
"""States in which a rating may stand."""

PartT = TypeVar("PartT", Offer, Opinion, Rating, Seat)

_SELECTS: Mapping[type[Any], Select[Any]] = {
    one: select(one).where(one.consultation_id == bindparam("consult"))
    for one in (Offer, Opinion, Rating, Seat)
}

_USUAL = (
    select(RotaChanges.count, Offer, Opinion)
    .select_from(RotaChanges)
    .outerjoin(Offer, Offer.consultation_id == bindparam("consult"))
    .outerjoin(Opinion, Opinion.consultation_id == bindparam("consult"))
)
"""What nearly every step looks at, in one query. The book's count is one row, which is always there."""

Parties = tuple[Patient, Organization, Practitioner]

_WHO = ("patient", "organization", "requester")
PARTIES = (
    select(Patient, Organization, Practitioner)
    .select_from(Patient)
    .join(Organization, Organization.id == bindparam(_WHO[1]))
    .join(Practitioner, Practitioner.id == bindparam(_WHO[2]))
    .where(Patient.id == bindparam(_WHO[0]))
)
_KNOWN = "parties"
"""In ``session.info``: those that were read, by their ids."""

_WHOLE = "whole"
"""In ``session.info``: (table, consult) of which the session holds every row, and those that it read."""


async def load(session: AsyncSession, consultation_id: str) -> Consultation:
    """The row, ours alone until the end of a transaction that writes. Raises ActionRefused(not_found)."""
    mine = bool(session.info.get(WRITES))  # SQLite has no such lock, and needs none: its writers take turns
    row = await session.get(Consultation, consultation_id, with_for_update=mine or None)
    if row is None:
        raise ActionRefused(NOT_FOUND)
    return row


async def parties(
    session: AsyncSession, patient_id: str, organization_id: str, requester_id: str
) -> Parties | None:
    """For whom is asked, from where, who asks; read once a transaction. None: one of them is not there."""
    known = session.info.get(_KNOWN, {})
    key = (patient_id, organization_id, requester_id)
    if key not in known:
        await read_parties(session, PARTIES, *key)
    found: Parties | None = session.info[_KNOWN][key]
    return found


async def read_parties(
    session: AsyncSession, query: Executable, patient_id: str, organization_id: str, requester_id: str
) -> Sequence[Any] | None:
    """As `parties`, by `PARTIES` with more columns: the whole row."""
    key = (patient_id, organization_id, requester_id)
    row: Any = (await session.execute(query, dict(zip(_WHO, key, strict=True)))).first()
    found: Sequence[Any] | None = row
    session.info.setdefault(_KNOWN, {})[key] = None if found is None else (found[0], found[1], found[2])
    return found


async def parties_of(session: AsyncSession, row: Consultation) -> Parties:
    """Those of a stored request."""
    found = await parties(session, row.patient_id, row.organization_id, row.requester_id)
    assert found is not None  # foreign keys
    return found


async def seats_of(session: AsyncSession, consultation_id: str) -> list[Seat]:
    """The seats of a multidisciplinary consult, in order."""
    seats = await _parts(session, Seat, consultation_id)
    return sorted(seats, key=lambda one: one.position)


async def offers_of(session: AsyncSession, consultation_id: str) -> list[Offer]:
    """Everybody who was rung for the consult, those of the running transaction included."""
    return await _parts(session, Offer, consultation_id)


async def opinion_of(session: AsyncSession, consultation_id: str) -> Opinion | None:
    """The opinion, draft or signed."""
    found = await _parts(session, Opinion, consultation_id)
    return found[0] if found else None


def nothing_stored(session: AsyncSession, consultation_id: str) -> None:
    """The consult is new: what belongs to it need not be looked for in the database."""
    session.info.setdefault(_WHOLE, {}).update({(one, consultation_id): [] for one in _SELECTS})


async def _parts(session: AsyncSession, kind: type[PartT], consultation_id: str) -> list[PartT]:
    """The rows of a consult in one table: read once a transaction, which has the consult to itself.

    The session holds what it has read and what was added since.
    """
    whole: dict[tuple[type[Any], str], list[Any]] = session.info.setdefault(_WHOLE, {})
    if (kind, consultation_id) not in whole:
        # A session that reads holds nothing itself.
        if kind in (Offer, Opinion):
            found = (await session.execute(_USUAL, {"consult": consultation_id})).all()
            session.info.setdefault(COUNT_READ, found[0][0])
            whole[Offer, consultation_id] = [one for _, one, _ in found]
            whole[Opinion, consultation_id] = [one for _, _, one in found]
        else:
            rows = await session.scalars(_SELECTS[kind], {"consult": consultation_id})
            whole[kind, consultation_id] = list(rows)
    return [one for one in session if isinstance(one, kind) and one.consultation_id == consultation_id]


_CLAIM = (
    select(Consultation, TimerRow)
    .join(TimerRow, TimerRow.consultation_id == Consultation.id)
    .where(Consultation.id == bindparam("consult"))
    .with_for_update(skip_locked=True)
)


async def claim(session: AsyncSession, consultation_id: str) -> tuple[Consultation, TimerRow] | None:
    """The row, ours alone, and its timer; None when somebody else is changing it now, or has ended it.

    Both rows are locked, so both are those of the last commit. Whoever changes a timer holds the consult by
    then; and this one never waits, so that the order of locks cannot matter.
    """
    found = (await session.execute(_CLAIM, {"consult": consultation_id})).first()
    return None if found is None else (found[0], found[1])


async def facts(session: AsyncSession, row: Consultation) -> Consult:
    """What the table looks at. Only what can be there is looked for: an opinion has an expert."""
    offers = await offers_of(session, row.id)
    opinions = [] if row.expert_id is None else await _parts(session, Opinion, row.id)
    rated = row.state in _RATED and bool(await _parts(session, Rating, row.id))
    seats = await seats_of(session, row.id) if row.kind == Kind.MULTIDISCIPLINARY else []
    return facts_of(row, offers, opinions[0] if opinions else None, seats, rated=rated)


def facts_of(
    row: Consultation, offers: Iterable[Offer], opinion: Opinion | None, seats: Sequence[Seat], *, rated: bool
) -> Consult:
    """The facts of rows at hand. A draft that a former expert left is none of this one's."""
    running = [one for one in offers if one.state == RINGING]
    of_seats = [one for one in running if one.seat_id is not None]
    if opinion is not None and opinion.author_id != row.expert_id:
        opinion = None
    return Consult(
        id=row.id,
        kind=Kind(row.kind),
        state=State(row.state),
        version=row.version,
        requester_id=row.requester_id,
        expert_id=row.expert_id,
        chair_id=row.chair_id,
        ringing=frozenset(one.practitioner_id for one in running if one.seat_id is None),
        ring=row.ring,
        ring_s=row.ring_s,
        since=row.since,
        submitted_at=row.submitted_at,
        scheduled_for=row.scheduled_for,
        reminders=row.reminders,
        missing=_missing(row, seats),
        opinion_missing=_opinion_missing(opinion),
        writing=_begun(opinion),
        recording_consented=row.consent_recording and row.recording_withdrawn_at is None,
        critical=opinion is not None and opinion.critical,
        critical_acknowledged=opinion is not None and opinion.critical_acknowledged_at is not None,
        rated=rated,
        green=row.channel is not None,
        members=frozenset(one.practitioner_id for one in seats if one.practitioner_id is not None),
        invited=frozenset(one.practitioner_id for one in of_seats),
        seats_empty=any(one.state == "empty" for one in seats),
        seat_due=min((one.expires_at for one in of_seats), default=None),
        requester_in=row.requester_in,
        expert_in=row.expert_in,
        absent_since=row.absent_since,
    )


def _missing(row: Consultation, seats: Sequence[Seat]) -> frozenset[str]:
    given = {
        "purpose": bool(row.purpose.reveal().strip()),
        "summary": bool(row.summary.reveal().strip()),
        "specialty": bool(row.specialty),
        "consent": row.consent_consult,
        "members": row.kind != Kind.MULTIDISCIPLINARY or bool(seats),
    }
    return frozenset(name for name, there in given.items() if not there)


def _opinion_missing(opinion: Opinion | None) -> frozenset[str]:
    if opinion is None:
        return frozenset({"findings", "conclusion"})
    given = {"findings": opinion.findings, "conclusion": opinion.conclusion}
    return frozenset(name for name, text in given.items() if not text.reveal().strip())


def _begun(opinion: Opinion | None) -> bool:
    if opinion is None or opinion.signed_at is not None:
        return False
    texts = (opinion.findings, opinion.conclusion, opinion.advice, opinion.follow_up)
    return any(text.reveal().strip() for text in texts)


def save(row: Consultation, before: Consult, after: Consult, stamps: Mapping[str, Any]) -> None:
    """Put ``after`` over ``before``, with further columns ``stamps``; written once, when the session flushes.

    Raises ActionRefused(version_conflict) when the row is not the one that was read. That nobody else has
    changed it meanwhile is seen when it is written (`Work.transaction`).
    """
    if row.version != before.version:
        raise ActionRefused(VERSION_CONFLICT)
    for name, value in {**_columns(after), **stamps}.items():
        if getattr(row, name) != value:
            setattr(row, name, value)


def _columns(consult: Consult) -> dict[str, Any]:
    return {
        "state": consult.state.value,
        "version": consult.version,
        "expert_id": consult.expert_id,
        "chair_id": consult.chair_id,
        "ring": consult.ring,
        "ring_s": consult.ring_s,
        "since": consult.since,
        "submitted_at": consult.submitted_at,
        "scheduled_for": consult.scheduled_for,
        "reminders": consult.reminders,
        "requester_in": consult.requester_in,
        "expert_in": consult.expert_in,
        "absent_since": consult.absent_since,
    }

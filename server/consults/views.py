"""Consults as JSON, many at once with a fixed number of queries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from server.api.models import Bilingual
from server.api.references import PractitionerRef, patient_ref, practitioner_ref
from server.archive.database import Base
from server.archive.models import Device, Organization, Patient, Practitioner, RecordingRow
from server.consults.contributions import contributions_of
from server.consults.keeping import STAGES
from server.consults.limits import EVENTS_SHOWN
from server.consults.machine import allowed, limit_of, roles_of, timer_for
from server.consults.models import (
    Addendum,
    Consultation,
    ConsultEvent,
    Decision,
    Offer,
    Opinion,
    PractitionerKey,
    Rating,
    Seat,
    Stage,
    ThreadMessage,
)
from server.consults.schema import (
    AddendumOut,
    ConsentOut,
    ConsultationOut,
    ContributionOut,
    DecisionOut,
    DeviceRef,
    EventOut,
    NextOut,
    OfferOut,
    OpinionOut,
    PersonRef,
    RatingOut,
    RecordingRef,
    SeatOut,
    SignatureOut,
    StageOut,
)
from server.consults.signed import Verdict, told_of, verdict
from server.consults.signing import ALGORITHM
from server.consults.states import Duration
from server.consults.store import facts_of
from server.consults.texts import LIMIT_TEXTS, next_text
from server.consults.vocabulary import Action, Consult, Kind, State
from signaling.personal import Personal

RowT = TypeVar("RowT", bound=Base)


def room_of(consultation_id: str) -> str:
    """The room of a consult."""
    return f"c-{consultation_id}"


@dataclass(slots=True)
class _Loaded:
    """Everything the pages of some consults need."""

    practitioners: Mapping[str, Practitioner] = field(default_factory=dict)
    organizations: Mapping[str, Organization] = field(default_factory=dict)
    patients: Mapping[str, Patient] = field(default_factory=dict)
    devices: Mapping[str, Device] = field(default_factory=dict)
    keys: Mapping[str, PractitionerKey] = field(default_factory=dict)
    opinions: Mapping[str, Opinion] = field(default_factory=dict)
    offers: Mapping[str, list[Offer]] = field(default_factory=dict)
    events: Mapping[str, list[ConsultEvent]] = field(default_factory=dict)
    addenda: Mapping[str, list[Addendum]] = field(default_factory=dict)
    decisions: Mapping[str, list[Decision]] = field(default_factory=dict)
    recordings: Mapping[str, list[RecordingRow]] = field(default_factory=dict)
    seats: Mapping[str, list[Seat]] = field(default_factory=dict)
    stages: Mapping[str, list[Stage]] = field(default_factory=dict)
    ratings: Mapping[str, Rating] = field(default_factory=dict)
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)  # of those that are signed
    unread: Mapping[str, int] = field(default_factory=dict)

    def person(self, practitioner_id: str) -> PersonRef:
        row = self.practitioners[practitioner_id]
        return PersonRef(id=row.id, name=row.name.reveal(), name_en=row.name_en.reveal())

    def practitioner(self, practitioner_id: str) -> PractitionerRef:
        row = self.practitioners[practitioner_id]
        return practitioner_ref(row, self.organizations[row.organization_id])


async def consultation_pages(
    session: AsyncSession,
    rows: Sequence[Consultation],
    reader_id: str,
    *,
    desk: bool,
    now: float,
    durations: Mapping[str, Duration],
) -> list[ConsultationOut]:
    """The consults as ``reader_id`` sees them. Whether they may see them was asked before."""
    loaded = await _load(session, rows)
    loaded.unread = await _unread(session, rows, reader_id)
    pages = []
    for row in rows:
        consult = facts_of(
            row,
            loaded.offers.get(row.id, ()),
            loaded.opinions.get(row.id),
            loaded.seats.get(row.id, ()),
            rated=row.id in loaded.ratings,
        )
        can = allowed(consult, roles_of(consult, reader_id, desk=desk))
        page = _page(row, consult, can, loaded, now, durations)
        pages.append(_for_reader(page, reader_id))
    return pages


def _for_reader(page: ConsultationOut, reader_id: str) -> ConsultationOut:
    """A draft opinion is its author's alone: nobody acts on unsigned advice."""
    if page.opinion is not None and page.opinion.state == "draft" and page.opinion.author.id != reader_id:
        return page.model_copy(update={"opinion": None})
    return page


async def _load(session: AsyncSession, rows: Sequence[Consultation]) -> _Loaded:
    ids = [row.id for row in rows]
    loaded = _Loaded(
        opinions=await _by(session, Opinion.consultation_id, ids),
        offers=await _lists(session, Offer.consultation_id, ids, Offer.ring),
        events=await _lists(session, ConsultEvent.consultation_id, ids, ConsultEvent.version),
        addenda=await _lists(session, Addendum.consultation_id, ids, Addendum.signed_at),
        decisions=await _lists(session, Decision.consultation_id, ids, Decision.at),
        recordings=await _lists(session, RecordingRow.consultation_id, ids, RecordingRow.started_at),
        seats=await _lists(session, Seat.consultation_id, ids, Seat.position),
        stages=await _lists(session, Stage.consultation_id, ids, Stage.at),
        ratings=await _by(session, Rating.consultation_id, ids),
        patients=await _by(session, Patient.id, {row.patient_id for row in rows}),
        devices=await _by(session, Device.id, {one for row in rows for one in row.device_ids}),
    )
    key_ids = {o.key_id for o in loaded.opinions.values() if o.key_id}
    key_ids |= {addendum.key_id for each in loaded.addenda.values() for addendum in each}
    loaded.keys = await _by(session, PractitionerKey.id, key_ids)
    signed = [row for row in rows if row.id in loaded.opinions and loaded.opinions[row.id].signature]
    told = await told_of(session, [row.id for row in signed]) if signed else {}
    loaded.verdicts = {
        row.id: verdict(
            row, loaded.opinions[row.id], loaded.addenda.get(row.id, ()), loaded.keys, told[row.id]
        )
        for row in signed
    }
    loaded.practitioners = await _by(session, Practitioner.id, set(_people(rows, loaded)))
    homes = {one.organization_id for one in loaded.practitioners.values()}
    loaded.organizations = await _by(session, Organization.id, homes)
    return loaded


async def _unread(session: AsyncSession, rows: Sequence[Consultation], reader_id: str) -> dict[str, int]:
    """Messages of the other side that ``reader_id``, as one of the two, has not had on the screen."""
    ids = [
        row.id
        for row in rows
        if row.kind == Kind.PICTURE_TEXT and reader_id in (row.requester_id, row.expert_id)
    ]
    if not ids:
        return {}
    found = await session.execute(
        select(ThreadMessage.consultation_id, func.count())
        .where(
            ThreadMessage.consultation_id.in_(ids),
            ThreadMessage.author_id != reader_id,
            ThreadMessage.read_at.is_(None),
        )
        .group_by(ThreadMessage.consultation_id)
    )
    return {row[0]: row[1] for row in found}


def _people(rows: Sequence[Consultation], loaded: _Loaded) -> Iterable[str]:
    for row in rows:
        yield row.requester_id
        if row.expert_id is not None:
            yield row.expert_id
        yield from (offer.practitioner_id for offer in loaded.offers.get(row.id, ()))
        yield from (event.actor_id for event in loaded.events.get(row.id, ()) if event.actor_id)
        yield from (addendum.author_id for addendum in loaded.addenda.get(row.id, ()))
        yield from (decision.by_id for decision in loaded.decisions.get(row.id, ()))
        yield from (one.practitioner_id for one in loaded.seats.get(row.id, ()) if one.practitioner_id)
        yield from (one.noted_by for one in loaded.stages.get(row.id, ()))
        if row.id in loaded.opinions:
            yield loaded.opinions[row.id].author_id
            yield from (one.practitioner_id for one in contributions_of(loaded.opinions[row.id]))


async def _by(
    session: AsyncSession, column: InstrumentedAttribute[str], ids: Iterable[str]
) -> dict[str, Any]:
    """Rows of the column's table by that column."""
    found = await session.scalars(select(column.class_).where(column.in_(list(ids))))
    return {getattr(row, column.key): row for row in found}


async def _lists(
    session: AsyncSession,
    column: InstrumentedAttribute[str] | InstrumentedAttribute[str | None],
    ids: Iterable[str],
    order: InstrumentedAttribute[Any],
) -> dict[str, list[Any]]:
    """Rows grouped by the column, in order."""
    found = await session.scalars(select(column.class_).where(column.in_(list(ids))).order_by(order))
    groups: dict[str, list[Any]] = {}
    for row in found:
        groups.setdefault(getattr(row, column.key), []).append(row)
    return groups


def _page(
    row: Consultation,
    consult: Consult,
    can: list[Action],
    loaded: _Loaded,
    now: float,
    durations: Mapping[str, Duration],
) -> ConsultationOut:
    return ConsultationOut(
        id=row.id,
        number=row.number,
        kind=consult.kind,
        state=consult.state,
        version=row.version,
        specialty=row.specialty,
        purpose=row.purpose.reveal(),
        summary=row.summary.reveal(),
        patient=patient_ref(loaded.patients[row.patient_id], now),
        requester=loaded.practitioner(row.requester_id),
        expert=None if row.expert_id is None else loaded.practitioner(row.expert_id),
        consent=_consent(row),
        devices=[_device(loaded.devices[one]) for one in row.device_ids],
        offers=[_offer(row, offer, loaded) for offer in loaded.offers.get(row.id, ())],
        seats=[_seat(seat, loaded) for seat in loaded.seats.get(row.id, ())],
        channel=row.channel,
        stages=_stages(row, loaded),
        next=_next(consult, durations),
        allowed=can,
        opinion=_opinion(row, loaded),
        decision=_decision(row, loaded),
        rating=_rating(row, loaded),
        unread=loaded.unread.get(row.id, 0),
        room_id=room_of(row.id),
        recordings=[
            RecordingRef(id=one.id, started_at=one.started_at, duration_ms=one.duration_ms)
            for one in loaded.recordings.get(row.id, ())
        ],
        scheduled_for=row.scheduled_for,
        created_at=row.created_at,
        submitted_at=row.submitted_at,
        accepted_at=row.accepted_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        events=[_event(event, loaded) for event in loaded.events.get(row.id, ())[-EVENTS_SHOWN:]],
    )


def _text(value: Personal[str] | None) -> str | None:
    return None if value is None else value.reveal()


def _consent(row: Consultation) -> ConsentOut:
    return ConsentOut(
        consult=row.consent_consult,
        recording=row.consent_recording,
        by=row.consent_by,
        at=row.consent_at,
        recording_withdrawn_at=row.recording_withdrawn_at,
    )


def _device(device: Device) -> DeviceRef:
    return DeviceRef(id=device.id, kind=device.kind, name=device.name, name_en=device.name_en)


def _seat(seat: Seat, loaded: _Loaded) -> SeatOut:
    return SeatOut(
        specialty=seat.specialty,
        state=seat.state,
        practitioner=None if seat.practitioner_id is None else loaded.practitioner(seat.practitioner_id),
        contribution=seat.contribution.reveal(),
        contributed_at=seat.contributed_at,
    )


def _stages(row: Consultation, loaded: _Loaded) -> list[StageOut]:
    """The clocks of the green channel; the consult itself knows when it was sent and accepted."""
    if row.channel is None:
        return []
    known = {"first_call": row.submitted_at, "accepted": row.accepted_at}
    noted = {one.stage: one for one in loaded.stages.get(row.id, ())}
    return [
        StageOut(stage=name, at=noted[name].at, by=loaded.person(noted[name].noted_by))
        if name in noted
        else StageOut(stage=name, at=known.get(name), by=None)
        for name in STAGES
    ]


def _rating(row: Consultation, loaded: _Loaded) -> RatingOut | None:
    rating = loaded.ratings.get(row.id)
    return None if rating is None else RatingOut(stars=rating.stars, text=rating.text.reveal(), at=rating.at)


def _offer(row: Consultation, offer: Offer, loaded: _Loaded) -> OfferOut:
    seats = {seat.id: seat.specialty for seat in loaded.seats.get(row.id, ())}
    return OfferOut(
        specialty=seats.get(offer.seat_id or "", row.specialty),
        id=offer.id,
        ring=offer.ring,
        practitioner=loaded.practitioner(offer.practitioner_id),
        state=offer.state,
        offered_at=offer.offered_at,
        expires_at=offer.expires_at,
        answered_at=offer.answered_at,
        reason=_text(offer.reason),
    )


def _next(consult: Consult, durations: Mapping[str, Duration]) -> NextOut | None:
    timer, limit = timer_for(consult, durations), limit_of(consult, durations)
    if timer is None or limit is None:
        return None
    (zh, en), (limit_zh, limit_en) = next_text(timer.name, consult.reminders), LIMIT_TEXTS[limit.name]
    return NextOut(
        name=Bilingual(zh=zh, en=en),
        at=timer.due,
        limit_name=Bilingual(zh=limit_zh, en=limit_en),
        limit=limit.due,
        action=timer.action,
    )


def _opinion(row: Consultation, loaded: _Loaded) -> OpinionOut | None:
    opinion = loaded.opinions.get(row.id)
    if opinion is None:
        return None
    return OpinionOut(
        findings=opinion.findings.reveal(),
        conclusion=opinion.conclusion.reveal(),
        advice=opinion.advice.reveal(),
        follow_up=opinion.follow_up.reveal(),
        critical=opinion.critical,
        critical_acknowledged_at=opinion.critical_acknowledged_at,
        contributions=[
            ContributionOut(specialty=one.specialty, by=loaded.person(one.practitioner_id), text=one.text)
            for one in contributions_of(opinion)
        ],
        code=opinion.code,
        state="draft" if opinion.signed_at is None else "signed",
        author=loaded.person(opinion.author_id),
        signature=_signature(row, opinion, loaded),
        addenda=[_addendum(row, each, loaded) for each in loaded.addenda.get(row.id, ())],
    )


def _signature(row: Consultation, opinion: Opinion, loaded: _Loaded) -> SignatureOut | None:
    key = loaded.keys.get(opinion.key_id or "")
    if opinion.signed_at is None or opinion.signature is None:
        return None
    found = loaded.verdicts[row.id]
    return SignatureOut(
        algorithm=ALGORITHM,
        public_key="" if key is None else key.public_key,
        value=opinion.signature,
        signed_at=opinion.signed_at,
        # An addendum that is gone may have taken it back: then nobody is to act on it.
        verified=found.opinion and not found.missing,
    )


def _addendum(row: Consultation, addendum: Addendum, loaded: _Loaded) -> AddendumOut:
    key = loaded.keys.get(addendum.key_id)
    return AddendumOut(
        text=addendum.text.reveal(),
        at=addendum.signed_at,
        by=loaded.person(addendum.author_id),
        signature=SignatureOut(
            algorithm=ALGORITHM,
            public_key="" if key is None else key.public_key,
            value=addendum.signature,
            signed_at=addendum.signed_at,
            verified=row.id in loaded.verdicts and loaded.verdicts[row.id].addenda[addendum.id],
        ),
    )


def _decision(row: Consultation, loaded: _Loaded) -> DecisionOut | None:
    decisions = loaded.decisions.get(row.id, ())
    if not decisions:
        return None
    newest = decisions[-1]
    return DecisionOut(
        outcome=newest.outcome, text=newest.text.reveal(), by=loaded.person(newest.by_id), at=newest.at
    )


def _event(event: ConsultEvent, loaded: _Loaded) -> EventOut:
    return EventOut(
        at=event.at,
        actor=None if event.actor_id is None else loaded.person(event.actor_id),
        action=Action(event.action),
        from_=State(event.from_state),
        to=State(event.to_state),
        reason=_text(event.reason),
    )

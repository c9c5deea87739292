"""Making and changing a request."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from media.errors import LIMIT_REACHED
from server.archive.ids import new_id
from server.archive.models import Device
from server.archive.specialties import specialty
from server.auth.actor import Actor
from server.consults.errors import NO_SUCH_DEVICE, NO_SUCH_PATIENT, NO_SUCH_SPECIALTY, ActionRefused
from server.consults.limits import OPEN_PER_REQUESTER
from server.consults.models import Consultation, ConsultNumber, Seat
from server.consults.schema import ConsentIn, ConsultationIn, ConsultationPatch
from server.consults.seats import new_seats
from server.consults.steps import Tx
from server.consults.store import PARTIES, nothing_stored, parties, read_parties, seats_of
from server.consults.vocabulary import FINAL, Action, Data, Kind, Role, State
from server.consults.work import Work
from signaling.personal import Personal


class Requests:
    """Creates and edits consultations."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._zone = work.services.config.zone

    async def create(self, actor: Actor, body: ConsultationIn, now: float) -> str:
        """A new request, submitted when the body says so; its id.

        :raises ActionRefused: no_such_patient, no_such_device, no_such_specialty, limit_reached; incomplete
            when it is to be submitted and lacks something (then nothing is kept).
        """
        async with self._work.transaction(now) as tx:
            return await self.create_in(tx, actor, body)

    async def create_in(self, tx: Tx, actor: Actor, body: ConsultationIn, number: str | None = None) -> str:
        """As `create`, in a transaction of the caller's. The row is written once, as the steps leave it.

        :param number: None = the next of the day.
        """
        await _check_bound(tx.session, actor, body.patient_id)
        await _check_references(tx.session, actor, body.patient_id, body.specialty, body.device_ids)
        row = _new_row(actor, body, number or await next_number(tx.session, tx.now, self._zone), tx.now)
        with tx.session.no_autoflush:
            tx.session.add(row)
            nothing_stored(tx.session, row.id)
            tx.session.add_all(_seats(row, body.members))
            self._work.services.audit.note(
                tx.session, actor, "consultation.create", "consultation", row.id, {"kind": row.kind}
            )
            await self._work.steps.renew_timer(tx, row)
            if body.submit:
                data, roles = Data(actor_id=actor.id), frozenset({Role.REQUESTER})
                await self._work.steps.take(tx, row, Action.SUBMIT, actor, roles, data)
        return row.id

    async def edit(self, actor: Actor, consultation_id: str, body: ConsultationPatch, now: float) -> None:
        """Change a draft or a request that came back for information.

        :raises ActionRefused: as `create`, and wrong_state, forbidden, not_found.
        """
        async with (
            self._work.noting_refusals(actor, consultation_id, "edit"),
            self._work.transaction(now) as tx,
        ):
            admitted = await self._work.admit(tx.session, actor, consultation_id)
            row = admitted.row
            await self._work.steps.take(tx, row, Action.EDIT, actor, admitted.roles, Data(actor_id=actor.id))
            _change(row, body, now)
            if body.members is not None or body.kind is not None:
                await _change_seats(tx.session, row, body.members)
            await _check_references(tx.session, actor, row.patient_id, row.specialty, row.device_ids)


def _new_row(actor: Actor, body: ConsultationIn, number: str, now: float) -> Consultation:
    assert actor.organization_id is not None
    row = Consultation(
        id=new_id("con"),
        number=number,
        kind=body.kind.value,
        state=State.DRAFT.value,
        version=1,
        specialty=body.specialty,
        purpose=Personal(body.purpose),
        summary=Personal(body.summary),
        patient_id=body.patient_id,
        organization_id=actor.organization_id,
        requester_id=actor.id,
        device_ids=list(dict.fromkeys(body.device_ids)),
        channel=body.channel if body.kind is Kind.URGENT else None,
        since=now,
        created_at=now,
        ring=0,
        tried_from_ring=1,
        reminders=0,
        requester_in=False,
        expert_in=False,
    )
    _set_consent(row, body.consent, now)
    return row


def _change(row: Consultation, body: ConsultationPatch, now: float) -> None:
    given = body.model_fields_set
    for name in ("specialty", "patient_id"):
        if name in given and getattr(body, name) is not None:
            setattr(row, name, getattr(body, name))
    for name in ("purpose", "summary"):
        if name in given and getattr(body, name) is not None:
            setattr(row, name, Personal(getattr(body, name)))
    if body.kind is not None:
        row.kind = body.kind.value
    if body.device_ids is not None:
        row.device_ids = list(dict.fromkeys(body.device_ids))
    if "channel" in given or body.kind is not None:
        row.channel = body.channel if row.kind == Kind.URGENT else None
    if body.consent is not None:
        _set_consent(row, body.consent, now)


def _seats(row: Consultation, specialties: Collection[str]) -> list[Seat]:
    """One for each specialty besides the chair's.

    :raises ActionRefused: no_such_specialty.
    """
    if row.kind != Kind.MULTIDISCIPLINARY:
        return []
    wanted = [one for one in dict.fromkeys(specialties) if one != row.specialty]
    if any(specialty(one) is None for one in wanted):
        raise ActionRefused(NO_SUCH_SPECIALTY)
    return new_seats(row.id, wanted)


async def _change_seats(
    session: AsyncSession, row: Consultation, specialties: Collection[str] | None
) -> None:
    """Seats of a draft: nobody was asked yet."""
    before = await seats_of(session, row.id)
    for seat in before:
        await session.delete(seat)
    await session.flush()
    session.add_all(_seats(row, [one.specialty for one in before] if specialties is None else specialties))


def _set_consent(row: Consultation, consent: ConsentIn, now: float) -> None:
    row.consent_consult = consent.consult
    row.consent_recording = consent.consult and consent.recording
    row.consent_by = consent.by
    row.consent_at = now if consent.consult else None


_OPEN = select(func.count()).where(
    Consultation.requester_id == bindparam("requester"),
    Consultation.state.not_in([one.value for one in FINAL]),
)
_OPEN_AND_PARTIES = PARTIES.add_columns(_OPEN.scalar_subquery())


async def _check_bound(session: AsyncSession, actor: Actor, patient_id: str) -> None:
    """With the same query the parties are read (`parties`)."""
    found = await read_parties(session, _OPEN_AND_PARTIES, patient_id, actor.organization_id or "", actor.id)
    if found is not None and found[-1] >= OPEN_PER_REQUESTER:
        raise ActionRefused(LIMIT_REACHED, "open consults")


async def _check_references(
    session: AsyncSession, actor: Actor, patient_id: str, specialty_code: str, device_ids: Collection[str]
) -> None:
    """The patient and the devices are the actor's own organization's; the specialty exists, if named."""
    found = await parties(session, patient_id, actor.organization_id or "", actor.id)
    if found is None or found[0].organization_id != actor.organization_id:
        raise ActionRefused(NO_SUCH_PATIENT)
    if specialty_code and specialty(specialty_code) is None:
        raise ActionRefused(NO_SUCH_SPECIALTY)
    if not device_ids:
        return
    own = select(Device.id).where(Device.id.in_(device_ids), Device.organization_id == actor.organization_id)
    if set(await session.scalars(own)) != set(device_ids):
        raise ActionRefused(NO_SUCH_DEVICE)


async def next_number(session: AsyncSession, now: float, zone: ZoneInfo) -> str:
    """``HZ20260101-0007``: the day on the clinics' wall and how many there were on it. One statement: no two
    get the same."""
    day = datetime.fromtimestamp(now, zone).strftime("HZ%Y%m%d-")
    given = await session.scalar(_COUNT_ON[session.get_bind().dialect.name], {"day": day})
    return f"{day}{given:04d}"


def _count_on(insert: Callable[[Any], Any]) -> Any:
    first = insert(ConsultNumber.__table__).values(day=bindparam("day"), last=1)
    last = ConsultNumber.__table__.c.last
    return first.on_conflict_do_update(index_elements=["day"], set_={"last": last + 1}).returning(last)


_COUNT_ON = {"sqlite": _count_on(sqlite.insert), "postgresql": _count_on(postgresql.insert)}

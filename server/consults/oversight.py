"""What desk and regulator oversee: what waits against which limit, and how long answers took. No patient.

Everything here is counted from consults of one county; numbers name consults, nobody else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.archive.models import Organization
from server.auth.actor import Actor
from server.consults.limits import OVERSIGHT_ROWS
from server.consults.models import Consultation
from server.consults.reading import county_of
from server.consults.vocabulary import FINAL, State
from server.oncall.models import TimerRow

ZONE = ZoneInfo("Asia/Shanghai")
"""Hours of the day are the clinics'."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """One consult that is not final. ``due``: when the system acts by itself; ``late``: that has passed."""

    number: str
    kind: str
    state: str
    specialty: str
    organization_id: str
    since: float
    due: float | None
    late: bool


@dataclass(frozen=True, slots=True)
class Response:
    """One request that was sent: seconds to the accept and to the session; None = never came."""

    organization_id: str
    specialty: str
    kind: str
    submitted_at: float
    accept_s: float | None
    in_place_s: float | None


@dataclass(frozen=True, slots=True)
class Figures:
    """Response times of one group, seconds; None without any."""

    key: str
    requests: int
    accepted: int
    accept_median_s: float | None
    accept_p95_s: float | None
    in_place_median_s: float | None
    in_place_p95_s: float | None


BY: Mapping[str, Callable[[Response], str]] = {
    "place": lambda one: one.organization_id,
    "specialty": lambda one: one.specialty,
    "kind": lambda one: one.kind,
    "hour": lambda one: f"{datetime.fromtimestamp(one.submitted_at, ZONE):%H}",
}


async def waiting(session: AsyncSession, actor: Actor, now: float) -> list[Waiting]:
    """Consults of the actor's county that are not final, those with the nearest limit first."""
    places = await county_of(session, actor)
    query = (
        select(Consultation, TimerRow.due)
        .outerjoin(TimerRow, TimerRow.consultation_id == Consultation.id)
        .where(
            Consultation.organization_id.in_(places),
            Consultation.state.not_in([State.DRAFT.value, *(one.value for one in FINAL)]),
        )
        .order_by(TimerRow.due.is_(None), TimerRow.due)
        .limit(OVERSIGHT_ROWS)
    )
    return [
        Waiting(
            number=row.number,
            kind=row.kind,
            state=row.state,
            specialty=row.specialty,
            organization_id=row.organization_id,
            since=row.since,
            due=due,
            late=due is not None and due < now,
        )
        for row, due in (await session.execute(query)).all()
    ]


async def responses(session: AsyncSession, actor: Actor, start: float, end: float) -> list[Response]:
    """Requests of the actor's county that were sent in ``[start, end)``, Unix seconds."""
    places = await county_of(session, actor)
    query = select(
        Consultation.organization_id,
        Consultation.specialty,
        Consultation.kind,
        Consultation.submitted_at,
        Consultation.accepted_at,
        Consultation.started_at,
    ).where(
        Consultation.organization_id.in_(places),
        Consultation.submitted_at >= start,
        Consultation.submitted_at < end,
    )
    found = await session.execute(query.limit(OVERSIGHT_ROWS))
    return [
        Response(place, specialty, kind, sent, _after(sent, accepted), _after(sent, started))
        for place, specialty, kind, sent, accepted, started in found
        if sent is not None
    ]


def _after(sent: float, then: float | None) -> float | None:
    return None if then is None else then - sent


def figures(rows: Iterable[Response], by: str) -> list[Figures]:
    """One line a group, in the order of the keys. ``by``: a key of `BY`."""
    groups: dict[str, list[Response]] = {}
    for row in rows:
        groups.setdefault(BY[by](row), []).append(row)
    return [_figures(key, groups[key]) for key in sorted(groups)]


def _figures(key: str, rows: Sequence[Response]) -> Figures:
    accepts = sorted(row.accept_s for row in rows if row.accept_s is not None)
    places = sorted(row.in_place_s for row in rows if row.in_place_s is not None)
    return Figures(
        key=key,
        requests=len(rows),
        accepted=len(accepts),
        accept_median_s=percentile(accepts, 0.5),
        accept_p95_s=percentile(accepts, 0.95),
        in_place_median_s=percentile(places, 0.5),
        in_place_p95_s=percentile(places, 0.95),
    )


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """The nearest-rank percentile: a value that really was; None of none."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


async def names_of(session: AsyncSession, ids: Iterable[str]) -> dict[str, Organization]:
    rows = await session.scalars(select(Organization).where(Organization.id.in_(set(ids))))
    return {row.id: row for row in rows}

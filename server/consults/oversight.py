"""What desk and regulator oversee besides what is open (`watching`): how long answers took. No patient."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from media.errors import LIMIT_REACHED, RemoteProtocolError
from server.archive.among import among
from server.archive.models import Organization
from server.consults.limits import OVERSIGHT_ROWS
from server.consults.models import Consultation


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


BY: Mapping[str, Callable[[Response, ZoneInfo], str]] = {
    "place": lambda one, _: one.organization_id,
    "specialty": lambda one, _: one.specialty,
    "kind": lambda one, _: one.kind,
    "hour": lambda one, zone: f"{datetime.fromtimestamp(one.submitted_at, zone):%H}",
}


async def responses(
    session: AsyncSession, reach: ColumnElement[bool], start: float, end: float
) -> list[Response]:
    """Requests within ``reach``, a condition on `Consultation`, sent in ``[start, end)``, Unix seconds.

    :raises RemoteProtocolError: limit_reached; figures of a part would pass for those of the whole.
    """
    query = select(
        Consultation.organization_id,
        Consultation.specialty,
        Consultation.kind,
        Consultation.submitted_at,
        Consultation.accepted_at,
        Consultation.started_at,
    ).where(
        reach,
        Consultation.submitted_at >= start,
        Consultation.submitted_at < end,
    )
    found = (await session.execute(query.limit(OVERSIGHT_ROWS + 1))).all()
    if len(found) > OVERSIGHT_ROWS:
        raise RemoteProtocolError(LIMIT_REACHED, f"more than {OVERSIGHT_ROWS} requests: a shorter time")
    return [
        Response(place, specialty, kind, sent, _after(sent, accepted), _after(sent, started))
        for place, specialty, kind, sent, accepted, started in found
        if sent is not None
    ]


def _after(sent: float, then: float | None) -> float | None:
    return None if then is None else then - sent


def figures(rows: Iterable[Response], by: str, zone: ZoneInfo) -> list[Figures]:
    """One line a group, in the order of the keys. ``by``: a key of `BY`; hours of the day are ``zone``'s."""
    groups: dict[str, list[Response]] = {}
    for row in rows:
        groups.setdefault(BY[by](row, zone), []).append(row)
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
    rows = await session.scalars(select(Organization).where(among(Organization.id, set(ids))))
    return {row.id: row for row in rows}

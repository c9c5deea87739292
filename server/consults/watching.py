"""What is open in a county: under which heading, against which limit, in which order. For desk and regulator.

Everything is counted, ordered and cut by the database: a screen never takes its part for the whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Label, Select, and_, case, func, or_, outerjoin, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from server.archive.models import Organization
from server.consults.limits import WATCHED_SHOWN
from server.consults.machine import limit_for
from server.consults.models import Consultation, Opinion
from server.consults.states import Duration
from server.consults.store import facts_of
from server.consults.vocabulary import FINAL, PACES, Kind, Pace, State
from server.oncall.models import TimerRow

WATCHED = frozenset(State) - FINAL - {State.DRAFT, State.ACKNOWLEDGED}
"""A draft was not sent yet, and what is acknowledged waits for nobody but its seal."""

_SEEKING = (
    State.SUBMITTED,
    State.RETURNED_INFO,
    State.TRIAGED,
    State.OFFERED,
    State.ESCALATED,
    State.SUSPENDED,
)


class Watch(StrEnum):
    """The heading under which one is seen, the worst first."""

    UNFILLED = "unfilled"
    LATE = "late"
    WAITING = "waiting"
    RUNNING = "running"


class Order(StrEnum):
    WORST = "worst"
    LONGEST = "longest"
    LIMIT = "limit"
    PLACE = "place"


@dataclass(frozen=True, slots=True)
class Asked:
    """Which are meant, and which of them are shown; None and empty ask for nothing.

    :param late: only those past their limit.
    :param grouped: heading by heading, each in the order asked for.
    :param limit: how many are shown.
    """

    kind: Kind | None = None
    specialty: str = ""
    organization_id: str = ""
    late: bool = False
    order: Order = Order.WORST
    grouped: bool = False
    limit: int = WATCHED_SHOWN


@dataclass(frozen=True, slots=True)
class Watched:
    """One open consult. ``limit``: Unix seconds when its time is up, or was; ``late``: that is over."""

    row: Consultation
    watch: Watch
    late: bool
    limit: float | None


@dataclass(frozen=True, slots=True)
class Watching:
    """``counts``, ``late``, ``rooms`` and the choices: of everything open, whatever was asked.

    ``matched``: how many are meant; ``shown``: the first of them.
    """

    counts: Mapping[Watch, int]
    late: int
    rooms: int
    kinds: Sequence[Kind]
    specialties: Sequence[str]
    organizations: Sequence[Organization]
    matched: int
    shown: Sequence[Watched]


async def watching(
    session: AsyncSession,
    reach: ColumnElement[bool],
    asked: Asked,
    now: float,
    durations: Mapping[str, Duration],
) -> Watching:
    """What is open now within ``reach``, a condition on `Consultation`."""
    everything = and_(reach, Consultation.state.in_([one.value for one in WATCHED]))
    counts = select(_watch(now), _late(now), _RUNS, func.count().label("n"))
    lines = (await session.execute(_of(counts, everything).group_by("watch", "late", "runs"))).all()
    matched = await session.scalar(_of(select(func.count()), everything, *_meant(asked, now)))
    homes = _of(select(Consultation.organization_id), everything)
    organizations = select(Organization).where(Organization.id.in_(homes)).order_by(Organization.name)
    return Watching(
        counts={one: sum(line.n for line in lines if line.watch == one) for one in Watch},
        late=sum(line.n for line in lines if line.late),
        rooms=sum(line.n for line in lines if line.runs),
        kinds=[Kind(one) for one in await _values(session, Consultation.kind, everything)],
        specialties=await _values(session, Consultation.specialty, everything),
        organizations=list(await session.scalars(organizations)),
        matched=matched or 0,
        shown=await _shown(session, everything, asked, now, durations),
    )


def _of(statement: Any, *conditions: ColumnElement[bool]) -> Select[Any]:
    """A statement over consults and their timers."""
    timers = outerjoin(Consultation, TimerRow, TimerRow.consultation_id == Consultation.id)
    narrowed: Select[Any] = statement.select_from(timers).where(*conditions)
    return narrowed


_RUNS = (Consultation.state == State.IN_SESSION.value).label("runs")


def _late(now: float) -> Label[bool]:
    """The timer of a state that is past its limit was taken, and stands at its next reminder."""
    return or_(Consultation.reminders > 0, func.coalesce(TimerRow.due, now) < now).label("late")


def _watch(now: float) -> Label[str]:
    return case(
        (Consultation.state == State.UNFILLED.value, Watch.UNFILLED.value),
        (_late(now).element, Watch.LATE.value),
        (Consultation.state.in_([one.value for one in _SEEKING]), Watch.WAITING.value),
        else_=Watch.RUNNING.value,
    ).label("watch")


def _meant(asked: Asked, now: float) -> list[ColumnElement[bool]]:
    found = [_late(now).element] if asked.late else []
    if asked.kind is not None:
        found.append(Consultation.kind == asked.kind.value)
    if asked.specialty:
        found.append(Consultation.specialty == asked.specialty)
    if asked.organization_id:
        found.append(Consultation.organization_id == asked.organization_id)
    return found


async def _values(
    session: AsyncSession, column: InstrumentedAttribute[str], everything: ColumnElement[bool]
) -> list[str]:
    return list(await session.scalars(_of(select(column).distinct(), everything).order_by(column)))


def _ordered(asked: Asked, now: float) -> list[Any]:
    late, sent = _late(now).element, func.coalesce(Consultation.submitted_at, Consultation.created_at)
    paces = {pace: [kind.value for kind, its in PACES.items() if its is pace] for pace in Pace}
    urgency = case(*((Consultation.kind.in_(kinds), at) for at, kinds in enumerate(paces.values())), else_=9)
    due = (late.desc(), TimerRow.due.is_(None), TimerRow.due)
    orders: Mapping[Order, tuple[Any, ...]] = {
        Order.WORST: (late.desc(), urgency, sent),
        Order.LONGEST: (sent,),
        Order.LIMIT: due,
        Order.PLACE: (_PLACE, Consultation.organization_id, *due),
    }
    heading = case({one.value: at for at, one in enumerate(Watch)}, value=_watch(now).element)
    return [*([heading] if asked.grouped else []), *orders[asked.order], Consultation.id]


_PLACE = select(Organization.name).where(Organization.id == Consultation.organization_id).scalar_subquery()


async def _shown(
    session: AsyncSession,
    everything: ColumnElement[bool],
    asked: Asked,
    now: float,
    durations: Mapping[str, Duration],
) -> list[Watched]:
    wanted = _of(select(Consultation, Opinion, _watch(now), _late(now)), everything, *_meant(asked, now))
    wanted = wanted.outerjoin(Opinion, Opinion.consultation_id == Consultation.id)
    found = await session.execute(wanted.order_by(*_ordered(asked, now)).limit(asked.limit))
    return [
        Watched(row, Watch(watch), bool(late), _limit(row, opinion, durations))
        for row, opinion, watch, late in found
    ]


def _limit(row: Consultation, opinion: Opinion | None, durations: Mapping[str, Duration]) -> float | None:
    return limit_for(facts_of(row, (), opinion, (), rated=False), durations)

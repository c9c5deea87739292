"""The JSON of rotas: what comes in, what goes out, and the people inside by their ids."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, time
from typing import Annotated, Any

from pydantic import Field, field_validator
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.api.models import ApiModel, Timestamp
from server.api.references import PractitionerRef, practitioner_ref
from server.archive.among import among
from server.archive.models import Organization, Practitioner
from server.oncall.limits import LAYERS, MEMBERS, REASON_LETTERS, SLOTS, TURN_DAYS
from server.oncall.models import AskRow, LayerRow, NoticeRow, OverrideRow
from server.oncall.rota import Change, Layer, Override, Rotation, Slot, Unit
from server.oncall.rota_ask import Ask, Refusal, Stage, Step
from server.oncall.rota_cover import Difference, Gap, Why
from server.oncall.rota_days import DayKind, DayRule
from server.oncall.rota_line import Stretch

Id = Annotated[str, Field(min_length=1, max_length=40)]
Level = Annotated[int, Field(ge=1, le=LAYERS)]
Clock = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
Instant = Annotated[Timestamp, Field(ge=631_152_000, le=4_102_444_800)]
"""A time between 1990 and 2100: what a rota can be asked about, far from where calendars end."""
Reason = Annotated[str, Field(max_length=REASON_LETTERS)]


class SlotIn(ApiModel):
    """One shift of a custom list: ``day`` of the cycle, wall time, minutes."""

    member: Id
    day: int = Field(ge=0, le=TURN_DAYS)
    starts: Clock
    minutes: int = Field(ge=0, le=TURN_DAYS * 1440)


class LayerShape(ApiModel):
    """``members`` take turns of ``every`` ``unit``s, from ``startDate`` on, at ``handover`` (wall time).

    The layer stands on the days of ``dayKind`` that are one of ``weekdays`` (0 is Monday), and covers those
    of its line with a lower ``rank``.
    """

    level: Level
    rank: int = Field(default=0, ge=0, le=LAYERS)
    unit: Unit
    every: int = Field(default=1, ge=1, le=TURN_DAYS * 24)
    start_date: date
    handover: Clock
    slots: list[SlotIn] = Field(default_factory=list, max_length=SLOTS)
    day_kind: DayKind = DayKind.ANY
    weekdays: list[Annotated[int, Field(ge=0, le=6)]] = Field(
        default_factory=lambda: list(range(7)), max_length=7
    )
    day_starts: Clock | None = None
    day_ends: Clock | None = None

    @field_validator("start_date")
    @classmethod
    def _near(cls, value: date) -> date:
        # Turns are counted from here; dates outside these years serve nobody and overflow calendars.
        if not 1990 <= value.year <= 2100:
            raise ValueError("between 1990 and 2100")
        return value


class LayerIn(LayerShape):
    members: list[Id] = Field(default_factory=list, max_length=MEMBERS)


class LayerOut(LayerShape):
    members: list[PractitionerRef]


class OverrideIn(ApiModel):
    """``who`` goes (REPLACE without: the whole line), ``by`` comes. ``version``: the rota that was seen."""

    level: Level = 1
    change: Change
    starts: Instant
    ends: Instant
    who: Id | None = None
    by: Id | None = None
    reason: Reason = ""
    version: int | None = None


class OverrideOut(ApiModel):
    id: str
    level: int
    change: Change
    starts: Timestamp
    ends: Timestamp
    who: str | None
    by: str | None
    made_by: str
    made_at: Timestamp
    ask_id: str | None


class StretchOut(ApiModel):
    """One line while nothing changes. ``people`` empty = a gap, ``missing``: whose turn it would be."""

    level: int
    starts: Timestamp
    ends: Timestamp
    people: list[str]
    missing: list[str]


class GapOut(ApiModel):
    """``nobody``: no other line has anybody either, at some time of it."""

    level: int
    starts: Timestamp
    ends: Timestamp
    why: Why
    missing: list[str]
    nobody: bool


class DifferenceOut(ApiModel):
    level: int
    starts: Timestamp
    ends: Timestamp
    before: list[str]
    after: list[str]


class PieceShape(ApiModel):
    level: Level
    starts: Instant
    ends: Instant


class RefusalOut(ApiModel):
    """Who said no, and why: a reason of the list, words, or neither."""

    by: PractitionerRef | None
    why: Refusal | None
    words: str


class AskOut(ApiModel):
    """A swap or a leave; ``allowed``: what the reader may do now; ``refusal``: when it was refused."""

    id: str
    ask: Ask
    stage: Stage
    version: int
    schedule_id: str | None
    asker: PractitionerRef
    other: PractitionerRef | None
    level: int | None
    starts: Timestamp
    ends: Timestamp
    back: PieceShape | None
    reason: str
    asked_at: Timestamp
    expires_at: Timestamp
    refusal: RefusalOut | None
    allowed: list[Step]


class NoticeOut(ApiModel):
    """A gap or a hand-over that was announced. ``closedAt``: the gap is covered."""

    id: str
    schedule_id: str
    kind: str
    level: int
    starts: Timestamp
    ends: Timestamp
    detail: dict[str, Any]
    told_at: Timestamp
    closed_at: Timestamp | None


def layer_in(shape: LayerIn) -> Layer:
    slots = tuple(
        Slot(one.member, one.day, time.fromisoformat(one.starts), one.minutes) for one in shape.slots
    )
    rotation = Rotation(
        tuple(shape.members),
        shape.start_date,
        time.fromisoformat(shape.handover),
        shape.unit,
        shape.every,
        slots,
    )
    rule = DayRule(
        shape.day_kind,
        frozenset(shape.weekdays),
        None if shape.day_starts is None else time.fromisoformat(shape.day_starts),
        None if shape.day_ends is None else time.fromisoformat(shape.day_ends),
    )
    return Layer(shape.level, rotation, shape.rank, rule)


def layer_out(row: LayerRow, people: dict[str, PractitionerRef]) -> LayerOut:
    return LayerOut(
        level=row.level,
        rank=row.rank,
        unit=Unit(row.unit),
        every=row.every,
        start_date=date.fromisoformat(row.start_date),
        handover=row.handover,
        slots=[SlotIn(**one) for one in row.slots],
        day_kind=DayKind(row.day_kind),
        weekdays=row.weekdays,
        day_starts=row.day_starts,
        day_ends=row.day_ends,
        members=[people[one] for one in row.members if one in people],
    )


def override_in(shape: OverrideIn, override_id: str) -> Override:
    return Override(override_id, shape.level, shape.change, shape.starts, shape.ends, shape.who, shape.by)


def override_out(row: OverrideRow) -> OverrideOut:
    return OverrideOut.model_validate(row)


def stretch_out(one: Stretch) -> StretchOut:
    return StretchOut(
        level=one.level, starts=one.starts, ends=one.ends, people=list(one.people), missing=list(one.missing)
    )


def gap_out(one: Gap) -> GapOut:
    return GapOut(
        level=one.level,
        starts=one.starts,
        ends=one.ends,
        why=one.why,
        missing=list(one.missing),
        nobody=one.nobody,
    )


def difference_out(one: Difference) -> DifferenceOut:
    return DifferenceOut(
        level=one.level, starts=one.starts, ends=one.ends, before=list(one.before), after=list(one.after)
    )


def notice_out(row: NoticeRow) -> NoticeOut:
    return NoticeOut.model_validate(row)


def ask_out(row: AskRow, people: dict[str, PractitionerRef], allowed: list[Step]) -> AskOut:
    back = None
    if row.back_level is not None and row.back_starts is not None and row.back_ends is not None:
        back = PieceShape(level=row.back_level, starts=row.back_starts, ends=row.back_ends)
    return AskOut(
        id=row.id,
        ask=Ask(row.ask),
        stage=Stage(row.stage),
        version=row.version,
        schedule_id=row.schedule_id,
        asker=people[row.asker_id],
        other=None if row.other_id is None else people[row.other_id],
        level=row.level,
        starts=row.starts,
        ends=row.ends,
        back=back,
        reason=row.reason.reveal(),
        asked_at=row.asked_at,
        expires_at=row.expires_at,
        refusal=_refusal_out(row, people),
        allowed=allowed,
    )


def _refusal_out(row: AskRow, people: dict[str, PractitionerRef]) -> RefusalOut | None:
    if row.refused_by is None:
        return None
    why = None if row.refused_why is None else Refusal(row.refused_why)
    words = "" if row.refused_words is None else row.refused_words.reveal()
    return RefusalOut(by=people.get(row.refused_by), why=why, words=words)


async def people_by_id(session: AsyncSession, ids: Iterable[str | None]) -> dict[str, PractitionerRef]:
    """The people of these ids, whether or not their accounts still run."""
    wanted = {one for one in ids if one is not None}
    query = (
        select(Practitioner, Organization)
        .join(Organization, Organization.id == Practitioner.organization_id)
        .where(among(Practitioner.id, wanted))
    )
    return {row.id: practitioner_ref(row, place) for row, place in await session.execute(query)}

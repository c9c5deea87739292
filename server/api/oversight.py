"""The oversight of a county: what is open, how long answers took. Read-only; no patient but at the desk."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Generic, Literal, TypeVar

from aiohttp import web
from pydantic import Field

from media.errors import LIMIT_REACHED, RemoteProtocolError
from server.api.context import RequestContext
from server.api.looks import note_look
from server.api.models import ApiModel, Bilingual, Timestamp
from server.api.routing import endpoint
from server.archive.models import Organization
from server.archive.specialties import specialty
from server.auth.actor import Role
from server.consults.access import overseen_by
from server.consults.limits import OVERSIGHT_DAYS, OVERSIGHT_ROWS, WATCHED_SHOWN
from server.consults.oversight import Figures, figures, names_of, responses
from server.consults.schema import ConsultationOut
from server.consults.vocabulary import Kind
from server.consults.watching import Asked, Order, Watch, Watching, watching
from server.errors import VALIDATION_FAILED
from server.register.csv_text import write_table
from server.times import iso_from_unix

OVERSEERS = frozenset({Role.REGULATOR, Role.DESK})
_DAY = 86_400.0

T = TypeVar("T")


class WaitingOut(ApiModel):
    """``due``: when its time is up, or was; ``since``: when the present state began."""

    number: str
    kind: str
    state: str
    watch: Watch
    specialty: str
    place: Bilingual
    since: Timestamp
    due: Timestamp | None
    late: bool


class WatchedOut(ApiModel):
    watch: Watch
    consultation: ConsultationOut


class PlaceOut(ApiModel):
    id: str
    name: Bilingual


class Overview(ApiModel, Generic[T]):
    """What is open now. Drafts, and what waits for nothing but its seal, are not.

    ``counts``, ``late``, ``rooms`` (sessions that run) and ``kinds``, ``specialties``, ``places`` are of
    everything open, whatever was asked; ``matched``: how many fit the filters; ``items``: the first of those.
    """

    counts: dict[Watch, int]
    late: int
    rooms: int
    kinds: list[Kind]
    specialties: list[str]
    places: list[PlaceOut]
    matched: int
    items: list[T]


class NarrowQuery(ApiModel):
    """What is open, narrowed by all that is given. ``place``: an organization's id."""

    kind: Kind | None = None
    specialty: str = Field(default="", max_length=64)
    place: str = Field(default="", max_length=64)
    late: bool = False
    order: Order = Order.WORST


class NowQuery(NarrowQuery):
    limit: int = Field(default=50, ge=1, le=WATCHED_SHOWN)


class ResponseQuery(ApiModel):
    """Requests sent in ``[from, to)``; the last 30 days when nothing is said."""

    by: Literal["place", "specialty", "kind", "hour"] = "place"
    start: Timestamp | None = Field(default=None, alias="from")
    end: Timestamp | None = Field(default=None, alias="to")


class ResponseOut(ApiModel):
    """``key`` as it groups; ``name`` for people. Times in seconds from the request."""

    key: str
    name: Bilingual
    requests: int
    accepted: int
    accept_median_s: float | None
    accept_p95_s: float | None
    in_place_median_s: float | None
    in_place_p95_s: float | None


@endpoint("GET", "/api/v1/oversight/now", summary="What is open now", roles=OVERSEERS)
async def overseen_now(ctx: RequestContext, query: NowQuery) -> Overview[WaitingOut]:
    """By number, without a patient. A look stands in the audit trail, once an hour for each choice."""
    found = await _watching(ctx, query, query.limit)
    note_look(ctx, "now", _narrowed(query), found.matched)
    return Overview[WaitingOut](items=_numbers(found), **_about(found))


@endpoint("GET", "/api/v1/oversight/desk", summary="What is open now, for the desk", roles={Role.DESK})
async def watched_by_desk(ctx: RequestContext, query: NowQuery) -> Overview[WatchedOut]:
    """Heading by heading, the worst first; within one as ``order`` says. Noted as `overseen_now` is."""
    found = await _watching(ctx, query, query.limit, grouped=True)
    note_look(ctx, "desk", _narrowed(query), found.matched)
    rows = [one.row for one in found.shown]
    pages = await ctx.services.consults.reading.watched(ctx.session, rows, ctx.actor, ctx.now)
    shown = zip(found.shown, pages, strict=True)
    items = [WatchedOut(watch=one.watch, consultation=page) for one, page in shown]
    return Overview[WatchedOut](items=items, **_about(found))


@endpoint(
    "GET",
    "/api/v1/oversight/now.csv",
    summary="What is open now as a table",
    roles=OVERSEERS,
    media_type="text/csv",
    writes=True,
)
async def waiting_table(ctx: RequestContext, query: NarrowQuery) -> web.Response:
    """Numbers, states and limits of all that is meant, no patient; stands in the audit trail."""
    found = await _watching(ctx, query, OVERSIGHT_ROWS)
    if found.matched > len(found.shown):
        raise RemoteProtocolError(LIMIT_REACHED, f"more than {OVERSIGHT_ROWS} consults: fewer by filters")
    rows = [
        [row.number, row.kind, row.state, row.specialty, row.place.zh, row.place.en,
         iso_from_unix(row.since), "" if row.due is None else iso_from_unix(row.due), str(row.late).lower()]
        for row in _numbers(found)
    ]  # fmt: skip
    await ctx.services.audit.record(
        ctx.session, ctx.actor, "oversight.export", "oversight", "now", {"rows": len(rows)}
    )
    header = ("number", "kind", "state", "specialty", "place", "place_en", "since", "due", "late")
    return _csv(write_table(header, rows), "waiting.csv")


async def _watching(
    ctx: RequestContext, query: NarrowQuery, limit: int, *, grouped: bool = False
) -> Watching:
    asked = Asked(query.kind, query.specialty, query.place, query.late, query.order, grouped, limit)
    reach = await overseen_by(ctx.session, ctx.actor)
    return await watching(ctx.session, reach, asked, ctx.now, ctx.services.consults.durations)


def _narrowed(query: NarrowQuery) -> dict[str, Any]:
    """The filters as the audit trail has them; in which order is nobody's concern there."""
    kind = None if query.kind is None else query.kind.value
    return {"kind": kind, "specialty": query.specialty, "place": query.place, "late": query.late}


def _about(found: Watching) -> dict[str, Any]:
    return {
        "counts": found.counts,
        "late": found.late,
        "rooms": found.rooms,
        "kinds": found.kinds,
        "specialties": found.specialties,
        "places": [PlaceOut(id=one.id, name=_named(one)) for one in found.organizations],
        "matched": found.matched,
    }


def _named(organization: Organization) -> Bilingual:
    return Bilingual(zh=organization.name, en=organization.name_en)


def _numbers(found: Watching) -> list[WaitingOut]:
    places = {one.id: _named(one) for one in found.organizations}
    return [
        WaitingOut(
            number=one.row.number,
            kind=one.row.kind,
            state=one.row.state,
            watch=one.watch,
            specialty=one.row.specialty,
            place=places[one.row.organization_id],
            since=one.row.since,
            due=one.limit,
            late=one.late,
        )
        for one in found.shown
    ]


def _csv(table: bytes, name: str) -> web.Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return web.Response(body=table, content_type="text/csv", charset="utf-8", headers=headers)


@endpoint("GET", "/api/v1/oversight/responses", summary="Response times", roles=OVERSEERS)
async def response_times(ctx: RequestContext, query: ResponseQuery) -> list[ResponseOut]:
    """Median and 95th percentile (nearest rank) of the time to the accept and to the session. Noted as
    `overseen_now` is."""
    rows = await _responses(ctx, query)
    start, end = _span(ctx, query)
    narrowed = {"grouped": query.by, "days": round((end - start) / _DAY), "until": query.end}
    note_look(ctx, "responses", narrowed, sum(one.requests for one in rows))
    return rows


@endpoint(
    "GET",
    "/api/v1/oversight/responses.csv",
    summary="Response times as a table",
    roles=OVERSEERS,
    media_type="text/csv",
    writes=True,
)
async def response_table(ctx: RequestContext, query: ResponseQuery) -> web.Response:
    """UTF-8 with a byte order mark, as spreadsheets want it. Stands in the audit trail."""
    rows = await _responses(ctx, query)
    names = [name for name in ResponseOut.model_fields if name != "name"]
    table = write_table(
        [*names, "name", "name_en"], [[*_cells(row, names), row.name.zh, row.name.en] for row in rows]
    )
    await ctx.services.audit.record(
        ctx.session, ctx.actor, "oversight.export", "oversight", query.by, {"rows": len(rows)}
    )
    return _csv(table, f"responses-{query.by}.csv")


def _cells(row: ApiModel, names: Iterable[str]) -> list[str]:
    values = (getattr(row, name) for name in names)
    return ["" if value is None else str(value) for value in values]


def _span(ctx: RequestContext, query: ResponseQuery) -> tuple[float, float]:
    end = ctx.now if query.end is None else query.end
    return end - 30 * _DAY if query.start is None else query.start, end


async def _responses(ctx: RequestContext, query: ResponseQuery) -> list[ResponseOut]:
    start, end = _span(ctx, query)
    if not 0 < end - start <= OVERSIGHT_DAYS * _DAY:
        raise RemoteProtocolError(VALIDATION_FAILED, f"from, to: at most {OVERSIGHT_DAYS} days")
    reach = await overseen_by(ctx.session, ctx.actor)
    rows = await responses(ctx.session, reach, start, end)
    found = figures(rows, query.by, ctx.services.config.zone)
    places = await names_of(ctx.session, (one.key for one in found)) if query.by == "place" else {}
    names = {key: _named(one) for key, one in places.items()}
    return [_shown(one, names.get(one.key) or _name(query.by, one.key)) for one in found]


def _name(by: str, key: str) -> Bilingual:
    known = specialty(key) if by == "specialty" else None
    if known is not None:
        return Bilingual(zh=known.zh, en=known.en)
    return Bilingual(zh=f"{key} 时", en=f"{key}:00") if by == "hour" else Bilingual(zh=key, en=key)


def _shown(one: Figures, name: Bilingual) -> ResponseOut:
    return ResponseOut(
        key=one.key,
        name=name,
        requests=one.requests,
        accepted=one.accepted,
        accept_median_s=one.accept_median_s,
        accept_p95_s=one.accept_p95_s,
        in_place_median_s=one.in_place_median_s,
        in_place_p95_s=one.in_place_p95_s,
    )

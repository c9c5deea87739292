"""The oversight of a county: what waits, how long answers took. Read-only, and no patient in it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from aiohttp import web
from pydantic import Field

from media.errors import RemoteProtocolError
from server.api.context import RequestContext
from server.api.models import ApiModel, Bilingual, Timestamp
from server.api.routing import endpoint
from server.archive.specialties import specialty
from server.auth.actor import Role
from server.consults.limits import OVERSIGHT_DAYS
from server.consults.oversight import Figures, figures, names_of, responses, waiting
from server.consults.vocabulary import Kind
from server.errors import VALIDATION_FAILED
from server.limits import SEARCH_LETTERS
from server.register.csv_text import write_table
from server.times import iso_from_unix

OVERSEERS = frozenset({Role.REGULATOR, Role.DESK})
_DAY = 86_400.0


class WaitingOut(ApiModel):
    number: str
    kind: str
    state: str
    specialty: str
    place: Bilingual
    since: Timestamp
    due: Timestamp | None
    late: bool


class NowOut(ApiModel):
    """``rooms``: sessions that run now."""

    waiting: list[WaitingOut]
    late: int
    rooms: int


class NowQuery(ApiModel):
    """What waits, narrowed by all that is given. ``place``: an organization's name in either language."""

    kind: Kind | None = None
    specialty: str = Field(default="", max_length=64)
    place: str = Field(default="", max_length=SEARCH_LETTERS)
    late: bool = False


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


@endpoint("GET", "/api/v1/oversight/now", summary="What waits now", roles=OVERSEERS)
async def overseen_now(ctx: RequestContext) -> NowOut:
    """Consults of the county by number, those with the nearest limit first."""
    found = await waiting(ctx.session, ctx.actor, ctx.now)
    places = await names_of(ctx.session, (one.organization_id for one in found))
    shown = [
        WaitingOut(
            number=one.number,
            kind=one.kind,
            state=one.state,
            specialty=one.specialty,
            place=Bilingual(zh=places[one.organization_id].name, en=places[one.organization_id].name_en),
            since=one.since,
            due=one.due,
            late=one.late,
        )
        for one in found
    ]
    rooms = sum(one.state == "IN_SESSION" for one in found)
    return NowOut(waiting=shown, late=sum(one.late for one in found), rooms=rooms)


@endpoint(
    "GET",
    "/api/v1/oversight/now.csv",
    summary="What waits now as a table",
    roles=OVERSEERS,
    media_type="text/csv",
    writes=True,
)
async def waiting_table(ctx: RequestContext, query: NowQuery) -> web.Response:
    """Numbers, states and limits, no patient; stands in the audit trail."""
    now = await overseen_now(ctx)
    rows = [
        [row.number, row.kind, row.state, row.specialty, row.place.zh, row.place.en,
         iso_from_unix(row.since), "" if row.due is None else iso_from_unix(row.due), str(row.late).lower()]
        for row in now.waiting
        if _is_meant(row, query)
    ]  # fmt: skip
    await ctx.services.audit.record(
        ctx.session, ctx.actor, "oversight.export", "oversight", "now", {"rows": len(rows)}
    )
    header = ("number", "kind", "state", "specialty", "place", "place_en", "since", "due", "late")
    return _csv(write_table(header, rows), "waiting.csv")


def _is_meant(row: WaitingOut, query: NowQuery) -> bool:
    return (
        (query.kind is None or row.kind == query.kind)
        and (not query.specialty or row.specialty == query.specialty)
        and (not query.place or query.place in (row.place.zh, row.place.en))
        and (row.late or not query.late)
    )


def _csv(table: bytes, name: str) -> web.Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return web.Response(body=table, content_type="text/csv", charset="utf-8", headers=headers)


@endpoint("GET", "/api/v1/oversight/responses", summary="Response times", roles=OVERSEERS)
async def response_times(ctx: RequestContext, query: ResponseQuery) -> list[ResponseOut]:
    """Median and 95th percentile (nearest rank) of the time to the accept and to the session."""
    return await _responses(ctx, query)


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


async def _responses(ctx: RequestContext, query: ResponseQuery) -> list[ResponseOut]:
    end = ctx.now if query.end is None else query.end
    start = end - 30 * _DAY if query.start is None else query.start
    if not 0 < end - start <= OVERSIGHT_DAYS * _DAY:
        raise RemoteProtocolError(VALIDATION_FAILED, f"from, to: at most {OVERSIGHT_DAYS} days")
    found = figures(await responses(ctx.session, ctx.actor, start, end), query.by)
    places = await names_of(ctx.session, (one.key for one in found)) if query.by == "place" else {}
    names = {key: Bilingual(zh=one.name, en=one.name_en) for key, one in places.items()}
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

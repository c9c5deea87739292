"""Swaps and leave, and the calendar addresses of rotas and people."""

from __future__ import annotations

from aiohttp import web
from pydantic import Field

from server.api.context import RequestContext
from server.api.models import ApiModel
from server.api.rota_shapes import AskOut, Id, Instant, PieceShape, Reason, ask_out, people_by_id
from server.api.routing import endpoint
from server.auth.actor import Role
from server.oncall.addressing import ask_notices
from server.oncall.asking import Answer, Wish, act_on, allowed, ask_for, asks_for, give_leave
from server.oncall.feeds import read_feed, renew
from server.oncall.history import Deed
from server.oncall.limits import GAPS_SEEN
from server.oncall.models import AskRow
from server.oncall.rota_ask import Ask, Piece, Refusal, Step
from server.oncall.weighing import SeenGap

_CALENDAR = "text/calendar"


class SwapIn(ApiModel):
    """I give ``given`` to ``other``, who gives ``back`` in return (or nothing)."""

    schedule_id: Id
    other_id: Id
    given: PieceShape
    back: PieceShape | None = None
    reason: Reason = ""


class LeaveIn(ApiModel):
    """``practitionerId``: the desk enters somebody's leave, which holds at once; without: I ask for mine."""

    starts: Instant
    ends: Instant
    practitioner_id: Id | None = None
    reason: Reason = ""


class SeenGapIn(PieceShape):
    schedule_id: Id


class StepIn(ApiModel):
    """``why``: of a refusal, which the desk owes; ``reason`` has its words. ``seenGaps``: what the preview
    showed to whoever approves; 409 ``gap_not_seen`` when there would be others."""

    action: Step
    version: int | None = None
    reason: Reason = ""
    why: Refusal | None = None
    seen_gaps: list[SeenGapIn] = Field(default_factory=list, max_length=GAPS_SEEN)


class FeedIn(ApiModel):
    """A rota's calendar; without: my own duties."""

    schedule_id: Id | None = None


class FeedOut(ApiModel):
    """``path`` is shown this once. It ends when a new one is made."""

    path: str


@endpoint("GET", "/api/v1/schedules/asks", summary="Swaps and leave")
async def list_asks(ctx: RequestContext) -> list[AskOut]:
    """My own; the desk and the regulator see their county's. The newest first."""
    return [await _shown(ctx, row) for row in await asks_for(ctx.session, ctx.actor, ctx.now)]


@endpoint("POST", "/api/v1/schedules/swaps", summary="Ask for a swap", roles={Role.EXPERT}, status=201)
async def ask_swap(ctx: RequestContext, body: SwapIn) -> AskOut:
    """The other agrees, then the desk approves; both must be on call for what they give."""
    back = None if body.back is None else _piece(body.back)
    wish = Wish(Ask.SWAP, _piece(body.given), body.schedule_id, body.other_id, back)
    row = await ask_for(ctx.session, ctx.services.audit, _deed(ctx, body.reason), wish)
    return await _told(ctx, row)


@endpoint(
    "POST", "/api/v1/schedules/leave", summary="Ask for leave", roles={Role.EXPERT, Role.DESK}, status=201
)
async def ask_leave(ctx: RequestContext, body: LeaveIn) -> AskOut:
    time = Piece(1, body.starts, body.ends)
    deed = _deed(ctx, body.reason)
    if body.practitioner_id is not None and ctx.actor.has({Role.DESK}):
        row = await give_leave(ctx.session, ctx.services.audit, deed, body.practitioner_id, time)
    else:
        row = await ask_for(ctx.session, ctx.services.audit, deed, Wish(Ask.LEAVE, time))
    return await _told(ctx, row)


@endpoint(
    "POST",
    "/api/v1/schedules/asks/{ask_id}/actions",
    summary="Agree, approve, refuse, withdraw",
    roles={Role.EXPERT, Role.DESK},
)
async def act_on_ask(ctx: RequestContext, ask_id: str, body: StepIn) -> AskOut:
    """What may be done now stands in ``allowed``."""
    seen = [SeenGap(one.schedule_id, one.level, one.starts, one.ends) for one in body.seen_gaps]
    answer = Answer(body.action, body.version, body.why, seen)
    row = await act_on(ctx.session, ctx.services.audit, _deed(ctx, body.reason), ask_id, answer)
    return await _told(ctx, row)


@endpoint("POST", "/api/v1/schedules/feeds", summary="A new calendar address", status=201)
async def make_feed(ctx: RequestContext, body: FeedIn) -> FeedOut:
    """Whoever has the address reads the calendar without signing in; a new one ends the old."""
    secret = await renew(ctx.session, ctx.services.audit, _deed(ctx, ""), body.schedule_id)
    return FeedOut(path=f"/api/v1/schedules/feeds/{secret}")


@endpoint(
    "GET",
    "/api/v1/schedules/feeds/{secret}",
    summary="A calendar for other programs",
    public=True,
    media_type=_CALENDAR,
)
async def get_feed(ctx: RequestContext, secret: str) -> web.Response:
    """iCalendar (RFC 5545): two weeks back, sixty days ahead."""
    file = await read_feed(ctx.session, secret, ctx.now)
    headers = {"Cache-Control": "private, no-store"}
    return web.Response(body=file, content_type=_CALENDAR, charset="utf-8", headers=headers)


async def _shown(ctx: RequestContext, row: AskRow) -> AskOut:
    people = await people_by_id(ctx.session, (row.asker_id, row.other_id, row.refused_by))
    return ask_out(row, people, await allowed(ctx.session, ctx.actor, row))


async def _told(ctx: RequestContext, row: AskRow) -> AskOut:
    """Once it stands: tell those whose turn it is, and look at the coverage again."""
    notices = await ask_notices(ctx.session, row, ctx.actor.id, ctx.now)
    await ctx.services.reach.put_down(ctx.session, notices, ctx.now)

    async def tell() -> None:
        ctx.services.rota_watch.changed()
        await ctx.services.reach.tell(notices)

    ctx.after_commit(tell)
    return await _shown(ctx, row)


def _piece(shape: PieceShape) -> Piece:
    return Piece(shape.level, shape.starts, shape.ends)


def _deed(ctx: RequestContext, reason: str) -> Deed:
    return Deed(ctx.actor, ctx.now, reason)

"""Consultations: the request and everything that is done with it.

The service opens its own transactions, so that refusals can be noted and passwords checked outside of one:
hence ``writes=False`` throughout.
"""

from __future__ import annotations

import json

from aiohttp import web
from pydantic import Field

from server.api.context import RequestContext
from server.api.entering import CLINICAL, enter_room
from server.api.looks import note_look
from server.api.models import ApiModel, Page
from server.api.problem import CONTENT_TYPE, problem_of
from server.api.routing import endpoint
from server.auth.actor import REQUESTERS, Role
from server.consults.errors import AlreadyTaken
from server.consults.limits import SEARCH_PAGE
from server.consults.models import GuestLink
from server.consults.reading import Scope, Wanted
from server.consults.schema import (
    ActionIn,
    ConsultationIn,
    ConsultationOut,
    ConsultationPatch,
    GuestLinkIn,
    GuestLinkOut,
    OpinionIn,
    RecordingRef,
    RoomTokenOut,
    SignIn,
)
from server.consults.vocabulary import Data, State


class ConsultationQuery(ApiModel):
    """``state``: one or several, comma between."""

    scope: Scope = "mine"
    state: str | None = Field(default=None, pattern=r"^[A-Z_]+(,[A-Z_]+)*$", max_length=400)
    limit: int = Field(default=50, ge=1, le=SEARCH_PAGE)
    cursor: str | None = Field(default=None, max_length=80)


@endpoint(
    "POST",
    "/api/v1/consultations",
    summary="Request a consult",
    roles=REQUESTERS,
    writes=False,
    status=201,
)
async def create_consultation(ctx: RequestContext, body: ConsultationIn) -> ConsultationOut:
    """With ``submit`` the request is sent at once; an urgent one is ringing when the reply arrives."""
    consultation_id = await ctx.services.consults.requests.create(ctx.actor, body, ctx.now)
    return await _shown(ctx, consultation_id)


@endpoint("GET", "/api/v1/consultations", summary="Consults of mine", roles=CLINICAL)
async def list_consultations(ctx: RequestContext, query: ConsultationQuery) -> Page[ConsultationOut]:
    """``mine``: asked or answered by me; ``ringing``: rings at me now; ``open``: not final and within my
    reach; ``all``: within my reach (the desk's is its county). Newest first. What a desk sees of its county
    stands in the audit trail, once an hour for each scope and states."""
    states = tuple(State(one) for one in (query.state or "").split(",") if one in State.__members__)
    wanted = Wanted(query.scope, states, query.limit, query.cursor)
    items, cursor = await ctx.services.consults.reading.page(ctx.actor, wanted, ctx.now)
    if ctx.actor.has({Role.DESK}) and query.scope in ("open", "all"):
        narrowed = {
            "scope": query.scope,
            "states": [one.value for one in states],
            "more": cursor is not None,
        }
        note_look(ctx, "consultations", narrowed, len(items))
    return Page(items=items, next_cursor=cursor)


@endpoint("GET", "/api/v1/consultations/{consultation_id}", summary="One consult", roles=CLINICAL)
async def get_consultation(ctx: RequestContext, consultation_id: str) -> ConsultationOut:
    return await _shown(ctx, consultation_id)


@endpoint(
    "PATCH",
    "/api/v1/consultations/{consultation_id}",
    summary="Change a draft",
    roles=REQUESTERS,
    writes=False,
)
async def edit_consultation(
    ctx: RequestContext, consultation_id: str, body: ConsultationPatch
) -> ConsultationOut:
    """Possible in DRAFT and RETURNED_INFO."""
    await ctx.services.consults.requests.edit(ctx.actor, consultation_id, body, ctx.now)
    return await _shown(ctx, consultation_id)


@endpoint(
    "POST",
    "/api/v1/consultations/{consultation_id}/actions",
    summary="Act on a consult",
    roles=CLINICAL,
    writes=False,
)
async def act(ctx: RequestContext, consultation_id: str, body: ActionIn) -> ConsultationOut:
    """What may be done now stands in ``allowed``. Of two experts who accept at once, the second gets 409
    ``already_taken`` with ``by``."""
    data = Data(
        actor_id=ctx.actor.id,
        reason=body.reason,
        text=body.data.decision or body.data.text,
        at=body.data.at,
        outcome=body.data.outcome,
        stars=body.data.stars,
        stage=body.data.stage,
    )
    try:
        await ctx.services.consults.act(
            ctx.actor,
            consultation_id,
            body.action,
            ctx.now,
            version=body.version,
            data=data,
            password=body.data.password,
        )
    except AlreadyTaken as taken:
        raise _taken(taken) from None
    return await _shown(ctx, consultation_id)


@endpoint(
    "PUT",
    "/api/v1/consultations/{consultation_id}/opinion",
    summary="Keep a draft of the opinion",
    roles={Role.EXPERT},
    writes=False,
)
async def write_opinion(ctx: RequestContext, consultation_id: str, body: OpinionIn) -> ConsultationOut:
    """The expert's; nobody else sees a draft."""
    await ctx.services.consults.opinions.write(ctx.actor, consultation_id, body, ctx.now)
    return await _shown(ctx, consultation_id)


@endpoint(
    "POST",
    "/api/v1/consultations/{consultation_id}/opinion/sign",
    summary="Sign the opinion",
    roles={Role.EXPERT},
    writes=False,
)
async def sign_opinion(ctx: RequestContext, consultation_id: str, body: SignIn) -> ConsultationOut:
    """With the expert's own key, which their password opens; the opinion is returned at once."""
    await ctx.services.consults.opinions.sign(ctx.actor, consultation_id, body.password, ctx.now)
    return await _shown(ctx, consultation_id)


@endpoint(
    "POST",
    "/api/v1/consultations/{consultation_id}/room-token",
    summary="Enter the room",
    roles=CLINICAL,
    writes=False,
)
async def room_token(ctx: RequestContext, consultation_id: str) -> RoomTokenOut:
    """A token for the reader's own part; the capabilities let the client load its device early."""
    return await enter_room(ctx.services, ctx.actor, consultation_id, ctx.now)


@endpoint(
    "POST",
    "/api/v1/consultations/{consultation_id}/guest-links",
    summary="Invite a guest",
    roles=REQUESTERS,
    writes=False,
    status=201,
)
async def create_guest_link(ctx: RequestContext, consultation_id: str, body: GuestLinkIn) -> GuestLinkOut:
    """``url`` is shown this once."""
    link, secret = await ctx.services.consults.guests.create(ctx.actor, consultation_id, body, ctx.now)
    return _link_out(link, f"/g/{secret}")


@endpoint(
    "GET",
    "/api/v1/consultations/{consultation_id}/guest-links",
    summary="Guest links",
    roles=CLINICAL,
)
async def list_guest_links(ctx: RequestContext, consultation_id: str) -> list[GuestLinkOut]:
    links = await ctx.services.consults.guests.list(ctx.session, ctx.actor, consultation_id)
    return [_link_out(link, None) for link in links]


@endpoint(
    "DELETE",
    "/api/v1/consultations/{consultation_id}/guest-links/{link_id}",
    summary="End a guest link",
    roles=CLINICAL,
    writes=False,
)
async def end_guest_link(ctx: RequestContext, consultation_id: str, link_id: str) -> None:
    """Its guests leave the room at once."""
    await ctx.services.consults.guests.end(ctx.actor, consultation_id, link_id, ctx.now)


@endpoint(
    "GET",
    "/api/v1/consultations/{consultation_id}/recordings",
    summary="Recordings of a consult",
    roles=CLINICAL,
)
async def list_recordings(ctx: RequestContext, consultation_id: str) -> list[RecordingRef]:
    await ctx.services.consults.check_view(ctx.session, ctx.actor, consultation_id)
    rows = await ctx.services.recordings.of_consultation(ctx.session, consultation_id)
    return [RecordingRef.model_validate(row) for row in rows]


async def _shown(ctx: RequestContext, consultation_id: str) -> ConsultationOut:
    return await ctx.services.consults.reading.one(ctx.actor, consultation_id, ctx.now)


def _link_out(link: GuestLink, url: str | None) -> GuestLinkOut:
    return GuestLinkOut(
        id=link.id,
        url=url,
        label=link.label.reveal(),
        created_at=link.created_at,
        expires_at=link.expires_at,
        ended_at=link.ended_at,
    )


def _taken(taken: AlreadyTaken) -> web.HTTPConflict:
    """A problem document with the extension member ``by`` (RFC 9457 section 3.2)."""
    problem = problem_of(taken.code).model_dump(by_alias=True, exclude_none=True)
    text = json.dumps({**problem, **taken.extensions}, ensure_ascii=False)
    return web.HTTPConflict(text=text, content_type=CONTENT_TYPE)

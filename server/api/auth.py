"""Signing in and staying signed in."""

from __future__ import annotations

from http.cookies import SimpleCookie

from pydantic import Field

from media.errors import RemoteProtocolError
from server.api.context import RequestContext
from server.api.entering import CLINICAL, enter_room
from server.api.models import ApiModel
from server.api.people import PractitionerOut, load_practitioner
from server.api.routing import endpoint
from server.archive.models import Practitioner
from server.auth.actor import ActorKind
from server.auth.service import SignedIn, practitioner_actor
from server.consults.schema import RoomTokenOut
from server.errors import FORBIDDEN, UNAUTHENTICATED

REFRESH_COOKIE = "hz_refresh"
_COOKIE_PATH = "/api/v1/auth"
_DAY_S = 86_400


class LoginIn(ApiModel):
    username: str = Field(min_length=1, max_length=64)
    password: str = Field(min_length=1, max_length=256)


class PasswordIn(ApiModel):
    """``password`` is the present one, temporary or one's own."""

    username: str = Field(min_length=1, max_length=64)
    password: str = Field(min_length=1, max_length=256)
    new_password: str = Field(min_length=1, max_length=256)


class RefreshQuery(ApiModel):
    room: str | None = Field(default=None, max_length=80, description="the consult whose room is opened next")


class SessionOut(ApiModel):
    """A fresh access token and whose it is. The refresh token is in the cookie and nowhere else."""

    access_token: str
    expires_in: int = Field(description="seconds")
    practitioner: PractitionerOut
    room: RoomTokenOut | None = Field(
        default=None, description="the entry that was asked for; none when it was refused"
    )


@endpoint("POST", "/api/v1/auth/login", summary="Sign in", public=True, writes=False)
async def login(ctx: RequestContext, body: LoginIn) -> SessionOut:
    """Refused with `invalid_credentials`, or `too_many_attempts` after repeated failures; with
    `password_must_change` when the password is right but temporary.
    """
    address = client_address(ctx)
    signed_in = await ctx.services.auth.login(body.username, body.password, address, ctx.now)
    return await _session(ctx, signed_in)


@endpoint("POST", "/api/v1/auth/password", summary="Choose a new password", public=True, writes=False)
async def change_password(ctx: RequestContext, body: PasswordIn) -> SessionOut:
    """Signs in with it; every other browser of the account is signed out."""
    signed_in = await ctx.services.auth.change_password(
        body.username, body.password, body.new_password, client_address(ctx), ctx.now
    )
    return await _session(ctx, signed_in)


@endpoint("POST", "/api/v1/auth/refresh", summary="Renew the access token", public=True, writes=False)
async def refresh(ctx: RequestContext, query: RefreshQuery) -> SessionOut:
    """Needs the refresh cookie, which is replaced: each works once.

    With ``room`` the reply holds that consult's room token too: a page that is opened there would ask for it
    next, and a round trip is long on a village's line.
    """
    token = ctx.request.cookies.get(REFRESH_COOKIE)
    if not token:
        raise RemoteProtocolError(UNAUTHENTICATED)
    session = await _session(ctx, await ctx.services.auth.refresh(token, ctx.now))
    if query.room is not None:
        session.room = await _entry(ctx, session.practitioner.id, query.room)
    return session


@endpoint("POST", "/api/v1/auth/logout", summary="Sign this browser out", public=True)
async def logout(ctx: RequestContext) -> None:
    """Ends the browser's refresh tokens; the access token ends by itself."""
    await ctx.services.auth.logout(ctx.session, ctx.request.cookies.get(REFRESH_COOKIE, ""))
    _set_cookie(ctx, "", 0)


@endpoint("GET", "/api/v1/auth/me", summary="Who is signed in")
async def me(ctx: RequestContext) -> PractitionerOut:
    if ctx.actor.kind is not ActorKind.PRACTITIONER:
        raise RemoteProtocolError(FORBIDDEN, "a device has no profile")
    return await load_practitioner(ctx.session, ctx.actor.id)


def client_address(ctx: RequestContext) -> str:
    """Where the request comes from, as the configured proxy or the socket says."""
    header = ctx.services.config.http.client_address_header
    return (ctx.request.headers.get(header) if header else None) or ctx.request.remote or ""


async def _session(ctx: RequestContext, signed_in: SignedIn) -> SessionOut:
    _set_cookie(ctx, signed_in.refresh_token, ctx.services.config.auth.refresh_days * _DAY_S)
    return SessionOut(
        access_token=signed_in.access_token,
        expires_in=signed_in.expires_in,
        practitioner=await load_practitioner(ctx.session, signed_in.practitioner_id),
    )


async def _entry(ctx: RequestContext, practitioner_id: str, consultation_id: str) -> RoomTokenOut | None:
    actor = practitioner_actor(await ctx.session.get_one(Practitioner, practitioner_id))
    if not actor.has(CLINICAL):
        return None
    try:
        return await enter_room(ctx.services, actor, consultation_id, ctx.now)
    except RemoteProtocolError:
        # The session stands all the same; who asks for the token alone is told why there is none.
        return None


def _set_cookie(ctx: RequestContext, value: str, max_age_s: int) -> None:
    cookie: SimpleCookie = SimpleCookie({REFRESH_COOKIE: value})
    morsel = cookie[REFRESH_COOKIE]
    morsel.update({"path": _COOKIE_PATH, "max-age": str(max_age_s), "samesite": "Strict"})
    morsel["httponly"] = True
    # A browser drops a Secure cookie that comes over plain HTTP, which is how the demo runs.
    morsel["secure"] = ctx.request.secure or ctx.request.headers.get("X-Forwarded-Proto") == "https"
    ctx.response_headers.append(("Set-Cookie", morsel.OutputString()))

"""Guest links as the guest sees them: no account, no patient data."""

from __future__ import annotations

from server.api.context import RequestContext
from server.api.references import organization_ref
from server.api.routing import endpoint
from server.consults.schema import GuestPageOut, GuestTokenIn, GuestTokenOut


@endpoint("GET", "/api/v1/guest/{secret}", summary="What an invitation is for", public=True)
async def get_invitation(ctx: RequestContext, secret: str) -> GuestPageOut:
    """Which clinic invites, until when, and whether the room is open."""
    invitation = await ctx.services.consults.guests.look(ctx.session, secret, ctx.now)
    return GuestPageOut.model_validate(
        {
            "organization": organization_ref(invitation.organization),
            "expires_at": invitation.expires_at,
            "state": invitation.state,
        }
    )


@endpoint(
    "POST", "/api/v1/guest/{secret}/token", summary="Enter as a guest", public=True, writes=False, status=201
)
async def guest_token(ctx: RequestContext, secret: str, body: GuestTokenIn) -> GuestTokenOut:
    """A room token that ends with the invitation."""
    entry = await ctx.services.consults.guests.enter(secret, body.display_name, ctx.now)
    return GuestTokenOut(
        token=entry.token,
        room_id=entry.room_id,
        expires_at=entry.expires_at,
        router_rtp_capabilities=ctx.services.rooms.router_rtp_capabilities,
        url=entry.url,
    )

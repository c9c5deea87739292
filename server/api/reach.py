"""How I am reached, who can be rung, the test ring, and what could not be delivered."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from sqlalchemy import select

from media.errors import NOT_FOUND, RemoteProtocolError
from server.api.context import RequestContext
from server.api.models import ApiModel, Page, Timestamp
from server.api.references import PractitionerRef
from server.api.rota_shapes import people_by_id
from server.api.routing import endpoint
from server.auth.actor import Role
from server.limits import DEFAULT_PAGE, MAX_PAGE
from server.oncall.rota_line import on_call
from server.oncall.schedules import load_schedules
from server.reach.limits import ENDPOINT_LETTERS
from server.reach.models import DeliveryRow, PushSubscription
from server.reach.notices import Kind
from server.reach.outbox import mute, muted_by
from server.reach.service import Presence, deliveries_of
from server.register.scope import KEEPERS

OVERSEERS = frozenset({Role.DESK, Role.ADMIN, Role.REGULATOR})
Id = Annotated[str, Field(min_length=1, max_length=40)]


class PushKeyOut(ApiModel):
    """``public_key``: the applicationServerKey of a subscription (RFC 8292), base64url."""

    public_key: str


class PresenceOut(ApiModel):
    """``push``: browsers that are pushed to; ``checked_at``: when a ring last arrived for certain."""

    at_screen: bool
    push: int
    phone: bool
    can_be_rung: bool
    checked_at: Timestamp | None


class BrowserOut(ApiModel):
    id: str
    label: str
    made_at: Timestamp
    seen_at: Timestamp | None


class NoticesShape(ApiModel):
    """Which notices also go to browsers that are pushed to and to the telephone; rings always do.

    ``handover``: shifts that begin or end; ``ask``: swaps and leave; ``gap``: shifts that have nobody.
    """

    handover: bool
    ask: bool
    gap: bool


class ReachOut(ApiModel):
    presence: PresenceOut
    browsers: list[BrowserOut]
    notices: NoticesShape


class KeysIn(ApiModel):
    p256dh: str = Field(max_length=100)
    auth: str = Field(max_length=40)


class SubscriptionIn(ApiModel):
    """As ``PushSubscription.toJSON`` gives it, and what the person would call this browser."""

    endpoint: str = Field(max_length=ENDPOINT_LETTERS)
    keys: KeysIn
    label: str = Field(default="", max_length=80)


class WayOut(ApiModel):
    """``state``: waiting, sent (taken by the service), seen (shown for certain), dead (did not work)."""

    id: str
    way: Literal["screen", "push", "webhook"]
    label: str
    state: str
    status: int | None
    tries: int
    seen_at: Timestamp | None


class TestRingOut(ApiModel):
    id: str
    ways: list[WayOut]


class DeliveryOut(ApiModel):
    """``target``: the gateway's address; empty for browsers, whose addresses are secrets of theirs."""

    id: str
    person: PractitionerRef | None
    way: str
    target: str
    kind: str
    state: str
    status: int | None
    tries: int
    made_at: Timestamp
    expires_at: Timestamp


class DeliveryQuery(ApiModel):
    state: Literal["waiting", "sent", "seen", "dead", "over"] = "dead"
    limit: int = Field(default=DEFAULT_PAGE, ge=1, le=MAX_PAGE)


class OnCallPresenceOut(ApiModel):
    """``place``: 0 is rung first."""

    specialty: str
    place: int
    practitioner: PractitionerRef
    presence: PresenceOut


@endpoint("GET", "/api/v1/reach/push-key", summary="The key that browsers subscribe to")
async def push_key(ctx: RequestContext) -> PushKeyOut:
    return PushKeyOut(public_key=ctx.services.reach.public_key)


@endpoint("GET", "/api/v1/reach/me", summary="How I can be rung")
async def my_reach(ctx: RequestContext) -> ReachOut:
    mine = PushSubscription.practitioner_id == ctx.actor.id
    browsers = await ctx.session.scalars(
        select(PushSubscription).where(mine).order_by(PushSubscription.made_at)
    )
    presence = await ctx.services.reach.presence(ctx.session, [ctx.actor.id])
    muted = {kind for _, kind in await muted_by(ctx.session, [ctx.actor.id])}
    return ReachOut(
        presence=presence_out(presence[ctx.actor.id]),
        browsers=[BrowserOut.model_validate(row) for row in browsers],
        notices=NoticesShape.model_validate({kind.value: kind.value not in muted for kind in Kind}),
    )


@endpoint("PUT", "/api/v1/reach/notices", summary="Which notices go to my telephone")
async def choose_notices(ctx: RequestContext, body: NoticesShape) -> NoticesShape:
    """What waits already is still sent."""
    chosen = body.model_dump()
    await mute(ctx.session, ctx.actor.id, [kind for kind in Kind if not chosen[kind.value]])
    await ctx.services.audit.record(ctx.session, ctx.actor, "reach.notices", "practitioner", ctx.actor.id)
    return body


@endpoint("POST", "/api/v1/reach/subscriptions", summary="Push to this browser", status=201)
async def add_subscription(ctx: RequestContext, body: SubscriptionIn) -> BrowserOut:
    """Refused with `push_service_unknown` unless the endpoint is one that the operator allows."""
    keys = (body.keys.p256dh, body.keys.auth)
    row, fresh = await ctx.services.reach.subscribe(
        ctx.session, ctx.actor, body.endpoint, keys, body.label, ctx.now
    )
    if fresh:  # a page says it again each time it is opened
        await ctx.services.audit.record(ctx.session, ctx.actor, "reach.subscribe", "browser", row.id)
    return BrowserOut.model_validate(row)


@endpoint("DELETE", "/api/v1/reach/subscriptions/{subscription_id}", summary="Push to a browser no more")
async def end_subscription(ctx: RequestContext, subscription_id: str) -> None:
    row = await ctx.session.get(PushSubscription, subscription_id)
    if row is None or row.practitioner_id != ctx.actor.id:
        raise RemoteProtocolError(NOT_FOUND, "subscription")
    await ctx.session.delete(row)
    await ctx.services.audit.record(ctx.session, ctx.actor, "reach.unsubscribe", "browser", row.id)


@endpoint("POST", "/api/v1/reach/tests", summary="Ring me, as a test", status=201)
async def start_test(ctx: RequestContext) -> TestRingOut:
    """By every way there is; ask `GET /api/v1/reach/tests/{id}` which ones worked."""
    subject = await ctx.services.reach.test(ctx.session, ctx.actor, ctx.now)

    async def look() -> None:
        ctx.services.reach.changed()

    ctx.after_commit(look)
    return await _test_out(ctx, subject)


@endpoint("GET", "/api/v1/reach/tests/{test_id}", summary="Which ways of a test ring worked")
async def get_test(ctx: RequestContext, test_id: str) -> TestRingOut:
    return await _test_out(ctx, test_id)


@endpoint("POST", "/api/v1/reach/receipts/{delivery_id}", summary="A ring was shown", public=True)
async def add_receipt(ctx: RequestContext, delivery_id: Id) -> None:
    """Sent by the browser's worker, which holds no account: the id is known to the one who was rung."""
    await ctx.services.reach.receipt(ctx.session, delivery_id, ctx.now)


@endpoint("GET", "/api/v1/reach/on-call", summary="Whether those on call can be rung", roles=OVERSEERS)
async def on_call_presence(ctx: RequestContext) -> list[OnCallPresenceOut]:
    lines = [
        (schedule.specialty, place, one)
        for schedule in await load_schedules(ctx.session, since=ctx.now)
        for place, one in enumerate(on_call(schedule, ctx.now).practitioners)
    ]
    people = await people_by_id(ctx.session, {one for _, _, one in lines})
    presence = await ctx.services.reach.presence(ctx.session, list(people))
    return [
        OnCallPresenceOut(
            specialty=specialty,
            place=place,
            practitioner=people[one],
            presence=presence_out(presence[one]),
        )
        for specialty, place, one in lines
        if one in people
    ]


@endpoint("GET", "/api/v1/reach/deliveries", summary="What could not be delivered", roles=KEEPERS)
async def list_deliveries(ctx: RequestContext, query: DeliveryQuery) -> Page[DeliveryOut]:
    """The newest first; ``state`` shows the others too."""
    chosen = select(DeliveryRow).where(DeliveryRow.state == query.state)
    chosen = chosen.order_by(DeliveryRow.made_at.desc(), DeliveryRow.id).limit(query.limit)
    rows = list(await ctx.session.scalars(chosen))
    people = await people_by_id(ctx.session, {row.practitioner_id for row in rows})
    return Page(items=[_delivery_out(row, people.get(row.practitioner_id)) for row in rows])


@endpoint("POST", "/api/v1/reach/deliveries/{delivery_id}/again", summary="Try it again", roles=KEEPERS)
async def send_again(ctx: RequestContext, delivery_id: str) -> DeliveryOut:
    row = await ctx.services.reach.again(ctx.session, delivery_id, ctx.now)
    await ctx.services.audit.record(ctx.session, ctx.actor, "reach.again", "delivery", row.id)

    async def look() -> None:
        ctx.services.reach.changed()

    ctx.after_commit(look)
    people = await people_by_id(ctx.session, {row.practitioner_id})
    return _delivery_out(row, people.get(row.practitioner_id))


def presence_out(one: Presence) -> PresenceOut:
    return PresenceOut.model_validate(one)


def _delivery_out(row: DeliveryRow, person: PractitionerRef | None) -> DeliveryOut:
    return DeliveryOut(
        id=row.id,
        person=person,
        way=row.way,
        target=row.target if row.way == "webhook" else "",
        kind=row.kind,
        state=row.state,
        status=row.status,
        tries=row.tries,
        made_at=row.made_at,
        expires_at=row.expires_at,
    )


async def _test_out(ctx: RequestContext, subject: str) -> TestRingOut:
    rows = await deliveries_of(ctx.session, subject, ctx.actor.id)
    if not rows:
        raise RemoteProtocolError(NOT_FOUND, "test ring")
    browsers = await ctx.session.scalars(
        select(PushSubscription).where(PushSubscription.practitioner_id == ctx.actor.id)
    )
    labels = {row.id: row.label for row in browsers}
    return TestRingOut(
        id=subject,
        ways=[
            WayOut(
                id=row.id,
                way="screen" if row.way == "screen" else "push" if row.way == "push" else "webhook",
                label=labels.get(row.target, ""),
                state=row.state,
                status=row.status,
                tries=row.tries,
                seen_at=row.seen_at,
            )
            for row in rows
        ],
    )

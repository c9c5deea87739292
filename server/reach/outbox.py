"""Deliveries in the database: what is due, what became of a try, what is kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from server.archive.ids import new_id
from server.archive.models import Practitioner
from server.consults.models import Offer
from server.consults.store import RINGING
from server.reach.limits import DELIVERIES_KEPT_S, SUBSCRIPTIONS_EACH, WAITING
from server.reach.models import DeliveryRow, PushSubscription
from server.reach.rules import State

PUSH, WEBHOOK, SCREEN = "push", "webhook", "screen"


async def ways_of(
    session: AsyncSession, practitioner_id: str, webhooks: Sequence[str]
) -> list[tuple[str, str]]:
    """(way, target) by which somebody may be reached away from a screen."""
    query = select(PushSubscription.id).where(PushSubscription.practitioner_id == practitioner_id)
    ways = [(PUSH, one) for one in await session.scalars(query.order_by(PushSubscription.made_at))]
    if webhooks:
        phone = await session.scalar(select(Practitioner.phone).where(Practitioner.id == practitioner_id))
        ways += [(WEBHOOK, one) for one in webhooks if phone is not None]
    return ways


def delivery(
    practitioner_id: str, way: tuple[str, str], subject: str, body: dict[str, Any], now: float, until: float
) -> dict[str, Any]:
    """The columns of a delivery that is due at once."""
    return {
        "id": new_id("dlv"),
        "practitioner_id": practitioner_id,
        "way": way[0],
        "target": way[1],
        "subject": subject,
        "kind": body["type"],
        "body": body,
        "made_at": now,
        "next_at": now,
        "expires_at": until,
        "tries": 0,
        "state": State.WAITING.value,
        "status": None,
        "seen_at": None,
    }


async def put(session: AsyncSession, rows: list[dict[str, Any]]) -> None:
    """Store what is not there yet; with too many waiting, the oldest are given up."""
    if not rows:
        return
    dialect = session.get_bind().dialect.name
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    await session.execute(insert(DeliveryRow).values(rows).on_conflict_do_nothing())
    waiting = DeliveryRow.state == State.WAITING.value
    count = await session.scalar(select(func.count()).select_from(DeliveryRow).where(waiting)) or 0
    if count > WAITING:
        oldest = select(DeliveryRow.id).where(waiting).order_by(DeliveryRow.made_at).limit(count - WAITING)
        given_up = update(DeliveryRow).where(DeliveryRow.id.in_(oldest))
        await session.execute(given_up.values(state=State.DEAD.value))


async def call_off(session: AsyncSession, practitioner_id: str, subject: str) -> set[tuple[str, str]]:
    """A ring is over: what waits is not sent any more. The ways by which it was (or may have been) told."""
    mine = (DeliveryRow.practitioner_id == practitioner_id, DeliveryRow.subject == subject)
    rows = list(await session.scalars(select(DeliveryRow).where(*mine, DeliveryRow.kind == "ring")))
    for row in rows:
        if row.state == State.WAITING.value:
            row.state = State.OVER.value
    return {(row.way, row.target) for row in rows if row.tries}


async def over(session: AsyncSession, now: float) -> list[tuple[str, Offer]]:
    """Who may still hear the ring of an offer that rings no more: its deliveries have not run out."""
    query = select(DeliveryRow.practitioner_id, Offer).join(Offer, Offer.id == DeliveryRow.subject)
    query = query.where(DeliveryRow.kind == "ring", DeliveryRow.expires_at > now, Offer.state != RINGING)
    return [(who, offer) for who, offer in (await session.execute(query.distinct())).all()]


async def claim(session: AsyncSession, now: float, until: float, most: int) -> list[DeliveryRow]:
    """What is due at ``now``, for the caller alone to try before ``until``; the try is counted.

    Another node that claims at the same moment gets other rows. If the caller dies, they are due again then.
    """
    query = select(DeliveryRow).where(DeliveryRow.state == State.WAITING.value, DeliveryRow.next_at <= now)
    query = query.order_by(DeliveryRow.next_at).limit(most).with_for_update(skip_locked=True)
    rows = list(await session.scalars(query))
    for row in rows:
        row.tries, row.next_at = row.tries + 1, until
    return rows


async def claimed(session: AsyncSession, claims: Mapping[str, int]) -> list[DeliveryRow]:
    """The rows among ``claims`` (id: its count of tries when claimed) that still wait for this very try.

    Not those that were seen or called off meanwhile, nor those that somebody else tries by now.
    """
    query = select(DeliveryRow).where(
        DeliveryRow.id.in_(list(claims)), DeliveryRow.state == State.WAITING.value
    )
    rows = await session.scalars(query.order_by(DeliveryRow.id).with_for_update())
    return [row for row in rows if row.tries == claims[row.id]]


async def next_due(session: AsyncSession) -> float | None:
    waiting = DeliveryRow.state == State.WAITING.value
    return await session.scalar(select(func.min(DeliveryRow.next_at)).where(waiting))


async def forget_old(session: AsyncSession, now: float) -> None:
    old = delete(DeliveryRow).where(DeliveryRow.made_at < now - DELIVERIES_KEPT_S)
    await session.execute(old.where(DeliveryRow.state != State.WAITING.value))


async def drop_subscriptions(session: AsyncSession, ids: Iterable[str]) -> None:
    await session.execute(delete(PushSubscription).where(PushSubscription.id.in_(list(ids))))


async def keep_newest(session: AsyncSession, practitioner_id: str) -> None:
    """At most `SUBSCRIPTIONS_EACH` browsers of one person."""
    mine = PushSubscription.practitioner_id == practitioner_id
    newest = select(PushSubscription.id).where(mine).order_by(PushSubscription.made_at.desc())
    kept = list(await session.scalars(newest.limit(SUBSCRIPTIONS_EACH)))
    await session.execute(delete(PushSubscription).where(mine, PushSubscription.id.not_in(kept)))

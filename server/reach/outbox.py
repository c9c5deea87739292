"""Deliveries in the database: what is due, what became of a try, what is kept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from server.archive.ids import new_id
from server.archive.models import Practitioner
from server.config import ReachConfig
from server.consults.models import Offer
from server.consults.store import RINGING
from server.reach.lanes import Lane, Rank
from server.reach.limits import DELIVERIES_KEPT_S, ROWS_AT_ONCE, SUBSCRIPTIONS_EACH
from server.reach.models import DeliveryRow, MutedNotice, PushSubscription
from server.reach.rules import State, service_of

PUSH, WEBHOOK, SCREEN = "push", "webhook", "screen"


@dataclass(frozen=True, slots=True)
class Path:
    """A way, where it leads to, and the service that takes it there ("": one that we know no more)."""

    way: str
    target: str
    service: str


AT_SCREEN = Path(SCREEN, "", SCREEN)


async def paths_of(
    session: AsyncSession, people: Collection[str], config: ReachConfig
) -> dict[str, list[Path]]:
    """How each of ``people`` may be reached away from a screen: browsers (oldest first), gateways."""
    paths: dict[str, list[Path]] = defaultdict(list)
    browsers = select(PushSubscription).where(PushSubscription.practitioner_id.in_(people))
    for one in await session.scalars(browsers.order_by(PushSubscription.made_at)):
        service = service_of(one.endpoint, config.push_services) or ""
        paths[one.practitioner_id].append(Path(PUSH, one.id, service))
    if config.webhooks:
        known = select(Practitioner.id).where(Practitioner.id.in_(people), Practitioner.phone.is_not(None))
        for whom in await session.scalars(known):
            paths[whom] += [Path(WEBHOOK, one, one) for one in config.webhooks]
    return paths


def delivery(
    practitioner_id: str,
    path: Path,
    subject: str,
    body: dict[str, Any],
    now: float,
    until: float,
    rank: Rank = Rank.RING,
) -> dict[str, Any]:
    """The columns of a delivery that is due at once."""
    return {
        "id": new_id("dlv"),
        "practitioner_id": practitioner_id,
        "way": path.way,
        "target": path.target,
        "service": path.service,
        "rank": rank.value,
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
    """Store what is not there yet; where too many wait in a lane, its oldest are given up."""
    dialect = session.get_bind().dialect.name
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    for first in range(0, len(rows), ROWS_AT_ONCE):
        some = insert(DeliveryRow).values(rows[first : first + ROWS_AT_ONCE])
        await session.execute(some.on_conflict_do_nothing())
    for lane in {Lane(Rank(row["rank"]), row["service"]) for row in rows}:
        count = await session.scalar(select(func.count()).select_from(DeliveryRow).where(*_in(lane))) or 0
        if count > lane.rank.waiting:
            oldest = select(DeliveryRow.id).where(*_in(lane)).order_by(DeliveryRow.made_at, DeliveryRow.id)
            given_up = update(DeliveryRow).where(DeliveryRow.id.in_(oldest.limit(count - lane.rank.waiting)))
            await session.execute(given_up.values(state=State.DEAD.value))


def _in(lane: Lane) -> tuple[Any, ...]:
    """What waits in a lane."""
    return (
        DeliveryRow.state == State.WAITING.value,
        DeliveryRow.rank == lane.rank.value,
        DeliveryRow.service == lane.service,
    )


async def call_off(session: AsyncSession, practitioner_id: str, subject: str) -> set[tuple[str, str]]:
    """A ring is over: what waits is not sent any more. The (way, target) by which it may have been told."""
    mine = (DeliveryRow.practitioner_id == practitioner_id, DeliveryRow.subject == subject)
    rows = list(await session.scalars(select(DeliveryRow).where(*mine, DeliveryRow.kind == "ring")))
    for row in rows:
        if row.state == State.WAITING.value:
            row.state = State.OVER.value
    return {(row.way, row.target) for row in rows if row.tries}


async def supersede(session: AsyncSession, about: str, people: Collection[str] | None) -> None:
    """What still waits about it, for ``people`` (None: for anybody), is worth nothing any more."""
    waiting = update(DeliveryRow).where(
        DeliveryRow.state == State.WAITING.value,
        DeliveryRow.rank == Rank.NOTICE.value,
        DeliveryRow.subject.startswith(f"{about}.", autoescape=True),
    )
    if people is not None:
        waiting = waiting.where(DeliveryRow.practitioner_id.in_(people))
    await session.execute(waiting.values(state=State.OVER.value))


async def muted_by(session: AsyncSession, people: Collection[str]) -> set[tuple[str, str]]:
    """(person, kind) of the notices that do not go to their telephones."""
    found = await session.scalars(select(MutedNotice).where(MutedNotice.practitioner_id.in_(people)))
    return {(one.practitioner_id, one.kind) for one in found}


async def mute(session: AsyncSession, practitioner_id: str, kinds: Iterable[str]) -> None:
    """These kinds and no others."""
    await session.execute(delete(MutedNotice).where(MutedNotice.practitioner_id == practitioner_id))
    session.add_all(MutedNotice(practitioner_id=practitioner_id, kind=one) for one in kinds)
    await session.flush()


async def over(session: AsyncSession, now: float) -> list[tuple[str, Offer]]:
    """Who may still hear the ring of an offer that rings no more: its deliveries have not run out."""
    query = select(DeliveryRow.practitioner_id, Offer).join(Offer, Offer.id == DeliveryRow.subject)
    query = query.where(DeliveryRow.kind == "ring", DeliveryRow.expires_at > now, Offer.state != RINGING)
    return [(who, offer) for who, offer in (await session.execute(query.distinct())).all()]


async def fronts(session: AsyncSession) -> dict[Lane, float]:
    """When the first of each lane is due, Unix seconds."""
    lane = (DeliveryRow.rank, DeliveryRow.service)
    query = select(*lane, func.min(DeliveryRow.next_at)).where(DeliveryRow.state == State.WAITING.value)
    found = await session.execute(query.group_by(*lane))
    return {Lane(Rank(rank), service): at for rank, service, at in found}


async def claim(
    session: AsyncSession, lanes: Sequence[tuple[Lane, int]], now: float, until: float
) -> list[DeliveryRow]:
    """What is due at ``now``, for the caller alone to try before ``until``; the try is counted.

    Another node that claims at the same moment gets other rows. If the caller dies, they are due again then.

    :param lanes: in this order, and at most so many of each.
    """
    rows: list[DeliveryRow] = []
    for lane, most in lanes:
        query = select(DeliveryRow).where(*_in(lane), DeliveryRow.next_at <= now)
        query = query.order_by(DeliveryRow.next_at).limit(most).with_for_update(skip_locked=True)
        rows += await session.scalars(query)
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

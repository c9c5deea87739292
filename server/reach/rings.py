"""A ring, and its end, as deliveries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.config import ReachConfig
from server.consults import messages as consult_messages
from server.consults.models import Offer
from server.consults.store import RINGING, load
from server.reach import outbox
from server.reach.limits import TEST_S
from server.reach.messages import ended_body, ring_body
from server.services import Services
from server.times import unix_from_iso

_ENDS = {"timed_out": "timed_out", "declined": "declined"}
"""State of an offer -> why its ring ended; who else took it, if anybody did, is not told any more."""


async def follow(services: Services, user_id: str, event: str, push: Mapping[str, Any], now: float) -> None:
    """What the page was told (``ring``, ``ringEnded``), for every other way."""
    async with services.database.read() as session:
        paths = (await outbox.paths_of(session, [user_id], services.config.reach)).get(user_id)
    if not paths:
        return
    async with services.database.write() as session:
        if event == consult_messages.RING:
            await outbox.put(session, _rings(user_id, paths, push, now))
        else:
            await _call_off(session, user_id, paths, push, now)


async def put_down_missed(services: Services, now: float) -> None:
    """After a process that died between a step and what follows it: rings without deliveries get them, and
    rings that are over by now are called off."""
    config = services.config.reach
    async with services.database.read() as session:
        rows: list[dict[str, Any]] = []
        for offer in await session.scalars(select(Offer).where(Offer.state == RINGING)):
            row = await load(session, offer.consultation_id)
            push = await consult_messages.ring_push(session, row, offer, now)
            rows += _rings(
                offer.practitioner_id, await _paths(session, offer.practitioner_id, config), push, now
            )
    async with services.database.write() as session:
        await outbox.put(session, rows)
        for who, offer in await outbox.over(session, now):
            push = consult_messages.ring_ended_push(offer, _ENDS.get(offer.state, "cancelled"), None)
            await _call_off(session, who, await _paths(session, who, config), push, now)


async def _paths(session: AsyncSession, whom: str, config: ReachConfig) -> list[outbox.Path]:
    return (await outbox.paths_of(session, [whom], config)).get(whom, [])


async def _call_off(
    session: AsyncSession, user_id: str, paths: Iterable[outbox.Path], push: Mapping[str, Any], now: float
) -> None:
    """By the ways by which the ring was told; once."""
    told = await outbox.call_off(session, user_id, push["offerId"])
    body = ended_body(push)
    heard = [one for one in paths if (one.way, one.target) in told]
    rows = [outbox.delivery(user_id, one, body["offer"], body, now, now + TEST_S) for one in heard]
    await outbox.put(session, rows)


def _rings(
    user_id: str, paths: Iterable[outbox.Path], push: Mapping[str, Any], now: float
) -> list[dict[str, Any]]:
    body = ring_body(push)
    until = max(unix_from_iso(push["expiresAt"]), now)
    return [outbox.delivery(user_id, one, body["offer"], body, now, until) for one in paths]

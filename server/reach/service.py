"""Reaching people: what the rest of the application asks of it.

A ring is put down as deliveries (one a browser, one a gateway) once its consult's step stands, and each is
tried (`courier`) until it is taken or the ring is over. After a restart what waits goes on; a ring whose
deliveries were not put down yet gets them.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, bindparam, func, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from media.errors import NOT_FOUND, Fault, RemoteProtocolError
from server.archive.ids import new_id
from server.archive.models import Practitioner
from server.auth.actor import Actor
from server.consults.messages import RING, RING_ENDED
from server.oncall.dispatch import Way
from server.reach import outbox
from server.reach.courier import Courier
from server.reach.errors import TOO_MANY_TESTS
from server.reach.lanes import Rank
from server.reach.limits import TEST_S, TESTS_EACH_HOUR
from server.reach.messages import TEST, trial_body
from server.reach.models import DeliveryRow, PushSubscription
from server.reach.notices import PUSH, Notice
from server.reach.rings import follow
from server.reach.rules import State, check_endpoint, check_webhooks
from server.reach.webpush import Receiver, Vapid
from server.services import Services

_SOME: BindParameter[str] = bindparam("people", expanding=True)
_PUSHED = select(PushSubscription.practitioner_id).where(PushSubscription.practitioner_id.in_(_SOME))
_PHONED = select(Practitioner.id).where(Practitioner.id.in_(_SOME), Practitioner.phone.is_not(None))

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Presence:
    """How somebody can be rung now.

    :param at_screen: a page of theirs is connected.
    :param push: browsers that are pushed to.
    :param phone: a telephone gateway is set up and knows a number.
    :param checked_at: when a ring or a test last arrived for certain, Unix seconds.
    """

    at_screen: bool
    push: int
    phone: bool
    checked_at: float | None

    @property
    def can_be_rung(self) -> bool:
        return self.at_screen or self.push > 0 or self.phone


class Reach:
    """Owns the courier, who delivers.

    :raises LocalProtocolError: config_invalid.
    """

    def __init__(self, services: Services) -> None:
        config = services.config.reach
        check_webhooks(config.webhooks, config.webhook_secret)
        self._services = services
        self._config = config
        self._vapid = Vapid(services.keys.derive("web-push"), config.push_contact)
        self.courier = Courier(services, self._vapid)

    @property
    def public_key(self) -> str:
        """What browsers subscribe to: the VAPID key, base64url."""
        return self._vapid.public_key

    async def start(self) -> None:
        """Idempotent."""
        await self.courier.start()

    async def stop(self) -> None:
        """Idempotent."""
        await self.courier.stop()

    def changed(self) -> None:
        """Something is due now."""
        self.courier.changed()

    # -- what consults tell (server.consults.ports.Pushes) ---------------------------------------------------

    def online(self, user_id: str) -> bool:
        return self._services.gateway.online(user_id)

    async def notify(self, user_id: str, event: str, payload: dict[str, Any]) -> None:
        """To the screens at once; a ring also by every other way."""
        await self._services.gateway.notify(user_id, event, payload)
        if event not in (RING, RING_ENDED):
            return
        try:
            await follow(self._services, user_id, event, payload, self._services.clock.wall())
        except (Fault, SQLAlchemyError) as error:
            # The consult's step stands and must not fail for it: the courier puts down what is missing.
            logger.error("a %s was not put down: %s", event, type(error).__name__)
            self.courier.missed()
        self.changed()

    # -- what rotas tell -------------------------------------------------------------------------------------

    async def put_down(self, session: AsyncSession, notices: Sequence[Notice], now: float) -> None:
        """In the transaction that makes ``notices``: what goes to telephones, and what is called off there.

        Call `tell` once it stands.
        """
        for about, whose in {(one.about, one.people if one.alone else None) for one in notices if one.about}:
            await outbox.supersede(session, about, whose)
        people = {whom for one in notices if one.body is not None for whom in one.people}
        if not people:
            return
        paths = await outbox.paths_of(session, people, self._config)
        muted = await outbox.muted_by(session, people)
        rows = [
            outbox.delivery(whom, path, one.subject, one.body, now, one.until, Rank.NOTICE)
            for one in notices
            if one.body is not None
            for whom in one.people
            if (whom, one.body["type"]) not in muted
            for path in paths.get(whom, ())
        ]
        await outbox.put(session, rows)

    async def tell(self, notices: Sequence[Notice]) -> None:
        """The pages now; the telephones as they answer."""
        for one in notices:
            for whom in one.people:
                await self._services.gateway.notify(whom, PUSH, one.page)
        self.changed()

    # -- presence --------------------------------------------------------------------------------------------

    async def presence(self, session: AsyncSession, people: Collection[str]) -> dict[str, Presence]:
        """How each of ``people`` can be rung now."""
        of = PushSubscription.practitioner_id
        counts = select(of, func.count()).where(of.in_(people)).group_by(of)
        pushes = {row[0]: int(row[1]) for row in await session.execute(counts)}
        whom = DeliveryRow.practitioner_id
        seen = select(whom, func.max(DeliveryRow.seen_at)).where(whom.in_(people)).group_by(whom)
        checked: dict[str, float | None] = {row[0]: row[1] for row in await session.execute(seen)}
        has_phone = select(Practitioner.id).where(
            Practitioner.id.in_(people), Practitioner.phone.is_not(None)
        )
        phones = set(await session.scalars(has_phone)) if self._config.webhooks else set()
        return {
            one: Presence(self.online(one), pushes.get(one, 0), one in phones, checked.get(one))
            for one in people
        }

    async def reachable(self, session: AsyncSession, people: Collection[str]) -> dict[str, Way]:
        """How a ring would reach each of ``people`` now; only of those at no screen the rest is asked."""
        ways = {one: Way.SCREEN if self.online(one) else Way.NONE for one in people}
        away = [one for one, way in ways.items() if way is Way.NONE]
        if away:
            found = set(await session.scalars(_PUSHED, {"people": away}))
            if self._config.webhooks:
                found.update(await session.scalars(_PHONED, {"people": away}))
            ways |= dict.fromkeys(found, Way.ELSEWHERE)
        return ways

    # -- browsers --------------------------------------------------------------------------------------------

    async def subscribe(
        self,
        session: AsyncSession,
        actor: Actor,
        endpoint: str,
        keys: tuple[str, str],
        label: str,
        now: float,
    ) -> tuple[PushSubscription, bool]:
        """Push to this browser from now on; it is nobody else's any more. True when it was not so already.

        :param keys: the subscription's p256dh and auth, base64url.
        :raises RemoteProtocolError: push_service_unknown, push_keys_invalid.
        """
        check_endpoint(endpoint, self._config.push_services)
        Receiver.from_text(*keys)
        digest = hashlib.sha256(endpoint.encode()).hexdigest()
        row = await session.scalar(select(PushSubscription).where(PushSubscription.endpoint_hash == digest))
        if row is None:
            row = PushSubscription(id=new_id("sub"), endpoint=endpoint, endpoint_hash=digest, seen_at=None)
            session.add(row)
        elif (row.practitioner_id, row.p256dh, row.auth) == (actor.id, *keys):
            return row, False
        row.practitioner_id, row.p256dh, row.auth = actor.id, *keys
        row.label, row.made_at, row.seen_at = label, now, None
        await session.flush()
        await outbox.keep_newest(session, actor.id)
        return row, True

    # -- the test ring ---------------------------------------------------------------------------------------

    async def test(self, session: AsyncSession, actor: Actor, now: float) -> str:
        """Ring the actor by every way; the id under which `deliveries_of` tells what worked.

        Call `changed` once the transaction stands. :raises RemoteProtocolError: too_many_tests.
        """
        mine = (DeliveryRow.practitioner_id == actor.id, DeliveryRow.kind == TEST)
        lately = select(func.count(DeliveryRow.subject.distinct())).where(
            *mine, DeliveryRow.made_at > now - 3600
        )
        if (await session.scalar(lately) or 0) >= TESTS_EACH_HOUR:
            raise RemoteProtocolError(TOO_MANY_TESTS)
        subject = new_id("tst")
        elsewhere = (await outbox.paths_of(session, [actor.id], self._config)).get(actor.id, [])
        paths = [outbox.AT_SCREEN, *elsewhere]
        rows = [outbox.delivery(actor.id, one, subject, trial_body(), now, now + TEST_S) for one in paths]
        await outbox.put(session, rows)
        return subject

    async def receipt(self, session: AsyncSession, delivery_id: str, now: float) -> None:
        """A page or a browser's worker has shown it. Unknown ids change nothing."""
        row = await session.get(DeliveryRow, delivery_id)
        if row is None or row.seen_at is not None or row.state == State.OVER.value:
            return
        row.seen_at, row.state = now, State.SEEN.value
        if row.way == outbox.PUSH:
            seen = update(PushSubscription).where(PushSubscription.id == row.target)
            await session.execute(seen.values(seen_at=now))

    async def again(self, session: AsyncSession, delivery_id: str, now: float) -> DeliveryRow:
        """The operator sends what was given up once more. :raises RemoteProtocolError: not_found."""
        row = await session.get(DeliveryRow, delivery_id)
        if row is None or row.state != State.DEAD.value:
            raise RemoteProtocolError(NOT_FOUND, "delivery")
        row.state, row.next_at, row.expires_at = State.WAITING.value, now, now + TEST_S
        row.tries = 0
        return row


async def deliveries_of(session: AsyncSession, subject: str, practitioner_id: str) -> list[DeliveryRow]:
    """Of one test ring or offer, in the order in which they were put down."""
    query = select(DeliveryRow).where(
        DeliveryRow.subject == subject, DeliveryRow.practitioner_id == practitioner_id
    )
    return list(await session.scalars(query.order_by(DeliveryRow.way, DeliveryRow.id)))

"""Reaching people: the task that delivers, and what the rest of the application asks of it.

A ring is put down as deliveries (one a browser, one a gateway) once its consult's step stands, and each is
tried until it is taken or the ring is over. After a restart what waits goes on; a ring whose deliveries were
not put down yet gets them.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, bindparam, func, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from media.errors import NOT_FOUND, Fault, RemoteProtocolError
from server.archive.ids import new_id
from server.archive.models import Practitioner
from server.auth.actor import Actor
from server.consults import messages as consult_messages
from server.consults.models import Offer
from server.consults.store import RINGING, load
from server.oncall.dispatch import Way
from server.reach import outbox
from server.reach.errors import TOO_MANY_TESTS
from server.reach.limits import AT_ONCE, CLAIM_S, TEST_S, TESTS_EACH_HOUR
from server.reach.messages import TEST, ended_body, ring_body, trial_body
from server.reach.models import DeliveryRow, PushSubscription
from server.reach.rules import (
    Next,
    Outcome,
    State,
    after_try,
    check_endpoint,
    check_webhooks,
    outcome_of,
    vouched_hosts,
    webhook_headers,
)
from server.reach.sending import Sender
from server.reach.webpush import Receiver, Vapid, encrypt
from server.services import Services
from server.times import unix_from_iso

TEST_RING = "testRing"
"""The event of the ``/events`` namespace: a page answers it with a receipt."""

LONGEST_SLEEP_S = 5.0
"""The wall clock may jump while we sleep; a jump delays no delivery by more than this."""

_FORGET_EVERY_S = 3600.0

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
    """Owns one task and one HTTP session.

    :raises LocalProtocolError: config_invalid.
    """

    def __init__(self, services: Services) -> None:
        config = services.config.reach
        check_webhooks(config.webhooks, config.webhook_secret)
        self._services = services
        self._config = config
        self._vapid = Vapid(services.keys.derive("web-push"), config.push_contact)
        self._sender = Sender(vouched_hosts((*config.push_services, *config.webhooks)))
        self._changed = asyncio.Event()
        self._ending = False
        self._missed = True  # at a start, and after a failure: look for rings without deliveries
        self._forgot_at = 0.0
        self._task: asyncio.Task[None] | None = None

    @property
    def public_key(self) -> str:
        """What browsers subscribe to: the VAPID key, base64url."""
        return self._vapid.public_key

    async def start(self) -> None:
        """Idempotent."""
        if self._task is None:
            self._ending = False
            self._task = asyncio.create_task(self._run(), name="reach")

    async def stop(self) -> None:
        """Wait for what is under way: a cancelled statement leaves its connection behind. Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            self._ending = True
            self._changed.set()
            await asyncio.wait({task})
        await self._sender.close()

    # -- what consults tell (server.consults.ports.Pushes) ---------------------------------------------------

    def online(self, user_id: str) -> bool:
        return self._services.gateway.online(user_id)

    async def notify(self, user_id: str, event: str, payload: dict[str, Any]) -> None:
        """To the screens at once; a ring also by every other way."""
        await self._services.gateway.notify(user_id, event, payload)
        if event not in (consult_messages.RING, consult_messages.RING_ENDED):
            return
        try:
            await self._follow(user_id, event, payload, self._services.clock.wall())
        except (Fault, SQLAlchemyError) as error:
            # The consult's step stands and must not fail for it: the task puts down what is missing.
            logger.error("a %s was not put down: %s", event, type(error).__name__)
            self._missed = True
        self._changed.set()

    async def _follow(self, user_id: str, event: str, payload: Mapping[str, Any], now: float) -> None:
        async with self._services.database.read() as session:
            ways = await outbox.ways_of(session, user_id, self._config.webhooks)
        if not ways:
            return
        async with self._services.database.write() as session:
            if event == consult_messages.RING:
                await outbox.put(session, _rings(user_id, ways, payload, now))
                return
            await _call_off(session, user_id, ways, payload, now)

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
        ways = [(outbox.SCREEN, ""), *await outbox.ways_of(session, actor.id, self._config.webhooks)]
        rows = [outbox.delivery(actor.id, way, subject, trial_body(), now, now + TEST_S) for way in ways]
        await outbox.put(session, rows)
        return subject

    def changed(self) -> None:
        """Something is due now."""
        self._changed.set()

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

    # -- delivering ------------------------------------------------------------------------------------------

    async def run_due(self, now: float) -> int:
        """Try everything that is due at ``now``; how many were tried."""
        if self._missed:
            await self._put_down_missed(now)
        tried = 0
        while True:
            rows = await self._claim(now)
            if not rows:
                return tried
            results = await asyncio.gather(*(self._try(row, now) for row in rows))
            await self._keep(rows, results, now)
            tried += len(rows)

    async def _claim(self, now: float) -> list[DeliveryRow]:
        async with self._services.database.read() as session:
            first = await outbox.next_due(session)
        if first is None or first > now:
            return []  # nobody waits for the writer's turn in vain
        async with self._services.database.write() as session:
            # Reckoned from this moment: the requests before these may have taken their time.
            until = self._services.clock.wall() + CLAIM_S
            return await outbox.claim(session, now, until, AT_ONCE)

    async def _put_down_missed(self, now: float) -> None:
        async with self._services.database.read() as session:
            rows: list[dict[str, Any]] = []
            for offer in await session.scalars(select(Offer).where(Offer.state == RINGING)):
                row = await load(session, offer.consultation_id)
                push = await consult_messages.ring_push(session, row, offer, now)
                ways = await outbox.ways_of(session, offer.practitioner_id, self._config.webhooks)
                rows += _rings(offer.practitioner_id, ways, push, now)
        async with self._services.database.write() as session:
            await outbox.put(session, rows)
            for who, offer in await outbox.over(session, now):
                push = consult_messages.ring_ended_push(offer, _ENDS.get(offer.state, "cancelled"), None)
                ways = await outbox.ways_of(session, who, self._config.webhooks)
                await _call_off(session, who, ways, push, now)
        self._missed = False

    async def _try(self, row: DeliveryRow, now: float) -> int | None:
        """One request; the HTTP status, None when no answer came. 410 when there is nobody any more."""
        if now >= row.expires_at:
            return None  # the server was down for so long: nobody is rung for what is over
        if row.way == outbox.SCREEN:
            await self._services.gateway.notify(row.practitioner_id, TEST_RING, {"id": row.id})
            return 202 if self.online(row.practitioner_id) else 410
        if row.way == outbox.WEBHOOK:
            return await self._webhook(row, now)
        async with self._services.database.read() as session:
            browser = await session.get(PushSubscription, row.target)
        if browser is None or browser.practitioner_id != row.practitioner_id:
            return 410
        return await self._push(row, browser, now)

    async def _push(self, row: DeliveryRow, browser: PushSubscription, now: float) -> int | None:
        message = json.dumps({**row.body, "id": row.id}, ensure_ascii=False, separators=(",", ":")).encode()
        topic = hashlib.sha256(row.subject.encode()).digest()[:24]
        headers = {
            "Authorization": self._vapid.authorization(browser.endpoint, now),
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(max(0, int(row.expires_at - now))),
            "Urgency": "high",
            # A ring that was not fetched yet is replaced by its own end (RFC 8030 section 5.4).
            "Topic": base64.urlsafe_b64encode(topic).decode(),
        }
        body = encrypt(message, Receiver.from_text(browser.p256dh, browser.auth))
        return await self._sender.post(browser.endpoint, body, headers)

    async def _webhook(self, row: DeliveryRow, now: float) -> int | None:
        if row.target not in self._config.webhooks:
            return 410  # taken out of the configuration since
        async with self._services.database.read() as session:
            person = await session.get_one(Practitioner, row.practitioner_id)
        phone = None if person.phone is None else person.phone.reveal()
        whom = {"id": person.id, "phone": phone, "languages": person.languages}
        message = json.dumps({**row.body, "id": row.id, "to": whom}, ensure_ascii=False).encode()
        headers = webhook_headers(self._config.webhook_secret, row.id, now, message)
        return await self._sender.post(row.target, message, headers)

    async def _keep(self, tried: Sequence[DeliveryRow], results: Sequence[int | None], now: float) -> None:
        """What became of each of ``tried``, in its order."""
        statuses = dict(zip((row.id for row in tried), results, strict=True))
        gone: list[str] = []
        async with self._services.database.write() as session:
            for row in await outbox.claimed(session, {row.id: row.tries for row in tried}):
                row.status = statuses[row.id]
                outcome = outcome_of(row.status)
                _move(row, after_try(outcome, row.tries, now, row.expires_at))
                if outcome is Outcome.GONE and row.way == outbox.PUSH:
                    gone.append(row.target)
            await outbox.drop_subscriptions(session, gone)
            if now - self._forgot_at > _FORGET_EVERY_S:
                self._forgot_at = now
                await outbox.forget_old(session, now)

    async def _run(self) -> None:
        while not self._ending:
            self._changed.clear()
            wait = LONGEST_SLEEP_S
            try:
                now = self._services.clock.wall()
                await self.run_due(now)
                async with self._services.database.read() as session:
                    due = await outbox.next_due(session)
                if due is not None:
                    wait = min(max(due - self._services.clock.wall(), 0.0), LONGEST_SLEEP_S)
            except (Fault, SQLAlchemyError) as error:
                # A locked database: what waits stands in it and is tried at the next look.
                logger.error("delivering failed: %s", type(error).__name__)
            try:
                await asyncio.wait_for(self._changed.wait(), wait)
            except TimeoutError:
                continue


def _move(row: DeliveryRow, then: Next) -> None:
    row.state = then.state.value
    if then.at is not None:
        row.next_at = then.at


_ENDS = {"timed_out": "timed_out", "declined": "declined"}
"""State of an offer -> why its ring ended; who else took it, if anybody did, is not told any more."""


async def _call_off(
    session: AsyncSession, user_id: str, ways: list[tuple[str, str]], push: Mapping[str, Any], now: float
) -> None:
    """By the ways by which the ring was told; once."""
    told = await outbox.call_off(session, user_id, push["offerId"])
    body = ended_body(push)
    rows = [
        outbox.delivery(user_id, way, body["offer"], body, now, now + TEST_S) for way in ways if way in told
    ]
    await outbox.put(session, rows)


def _rings(
    user_id: str, ways: list[tuple[str, str]], push: Mapping[str, Any], now: float
) -> list[dict[str, Any]]:
    body = ring_body(push)
    until = max(unix_from_iso(push["expiresAt"]), now)
    return [outbox.delivery(user_id, way, body["offer"], body, now, until) for way in ways]


async def deliveries_of(session: AsyncSession, subject: str, practitioner_id: str) -> list[DeliveryRow]:
    """Of one test ring or offer, in the order in which they were put down."""
    query = select(DeliveryRow).where(
        DeliveryRow.subject == subject, DeliveryRow.practitioner_id == practitioner_id
    )
    return list(await session.scalars(query.order_by(DeliveryRow.way, DeliveryRow.id)))

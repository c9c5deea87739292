"""The task that delivers: claims what is due and has room in its lane, tries it, writes down what came of it.

Each try is a task of its own, so that nothing waits for a service that hangs but what goes there too.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping

from sqlalchemy.exc import SQLAlchemyError

from media.errors import Fault
from server.archive.models import Practitioner
from server.reach import outbox
from server.reach.lanes import Lane, Lanes, Rank
from server.reach.limits import CLAIM_S, LEAVING_S
from server.reach.messages import urgency_of
from server.reach.models import DeliveryRow, PushSubscription
from server.reach.rings import put_down_missed
from server.reach.rules import (
    Next,
    Outcome,
    after_try,
    outcome_of,
    push_headers,
    vouched_hosts,
    webhook_headers,
)
from server.reach.sending import Sender
from server.reach.webpush import Receiver, Vapid, encrypt
from server.services import Services

TEST_RING = "testRing"
"""The event of the ``/events`` namespace: a page answers it with a receipt."""

LONGEST_SLEEP_S = 5.0
"""The wall clock may jump while we sleep; a jump delays no delivery by more than this."""

_LEAST_SLEEP_S = 0.05
"""What is due and was not ours to claim is being claimed by another node: a pause before the next look."""

_FORGET_EVERY_S = 3600.0

logger = logging.getLogger(__name__)


class Courier:
    """Owns one task, those of the tries under way, and one HTTP session."""

    def __init__(self, services: Services, vapid: Vapid) -> None:
        self._services = services
        self._config = services.config.reach
        self._vapid = vapid
        self._sender = Sender(vouched_hosts((*self._config.push_services, *self._config.webhooks)))
        self._lanes = Lanes()
        self._trying: dict[asyncio.Task[int | None], DeliveryRow] = {}
        self._changed = asyncio.Event()
        self._ending = False
        self._missed = True  # at a start, and after a failure: look for rings without deliveries
        self._forgot_at = 0.0
        self._task: asyncio.Task[None] | None = None

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

    def changed(self) -> None:
        """Something is due now."""
        self._changed.set()

    def missed(self) -> None:
        """A ring was not put down: the next look does."""
        self._missed = True

    async def run_due(self, now: float) -> int:
        """Try everything that is due at ``now``, to the end; how many were tried."""
        tried = 0
        while True:
            tried += await self._turn(now)
            if not self._trying:
                return tried
            await asyncio.wait(self._trying, return_when=asyncio.FIRST_COMPLETED)

    async def _turn(self, now: float) -> int:
        """Write down what has ended, start what has room; how many were started. Waits for no service."""
        if self._missed:
            await put_down_missed(self._services, now)
            self._missed = False
        await self._keep_ended(now)
        rows = await self._claim(now)
        for row in rows:
            task = asyncio.create_task(self._try(row, now), name="delivery")
            task.add_done_callback(lambda _: self._changed.set())
            self._trying[task] = row
            self._lanes.enter(_lane(row))
        return len(rows)

    async def _claim(self, now: float) -> list[DeliveryRow]:
        async with self._services.database.read() as session:
            lanes = self._lanes.open(await outbox.fronts(session), now)
        if not lanes:
            return []  # nobody waits for the writer's turn in vain
        async with self._services.database.write() as session:
            # Reckoned from this moment: what stood before may have taken its time.
            until = self._services.clock.wall() + CLAIM_S
            return await outbox.claim(session, lanes, now, until)

    async def _try(self, row: DeliveryRow, now: float) -> int | None:
        """One request; the HTTP status, None when no answer came. 410 when there is nobody any more."""
        if now >= row.expires_at:
            return None  # the server was down for so long: nobody is rung for what is over
        if row.way == outbox.SCREEN:
            await self._services.gateway.notify(row.practitioner_id, TEST_RING, {"id": row.id})
            return 202 if self._services.gateway.online(row.practitioner_id) else 410
        if row.way == outbox.WEBHOOK:
            return await self._webhook(row, now)
        async with self._services.database.read() as session:
            browser = await session.get(PushSubscription, row.target)
        if browser is None or browser.practitioner_id != row.practitioner_id:
            return 410
        return await self._push(row, browser, now)

    async def _push(self, row: DeliveryRow, browser: PushSubscription, now: float) -> int | None:
        message = json.dumps({**row.body, "id": row.id}, ensure_ascii=False, separators=(",", ":")).encode()
        headers = {
            "Authorization": self._vapid.authorization(browser.endpoint, now),
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            **push_headers(row.subject, urgency_of(row.body), row.expires_at - now),
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

    async def _keep_ended(self, now: float) -> None:
        """Leave the lanes of the tries that are over, and write down what became of them."""
        ended = [(task, row) for task, row in self._trying.items() if task.done()]
        tried: list[DeliveryRow] = []
        statuses: dict[str, int | None] = {}
        for task, row in ended:
            del self._trying[task]
            self._lanes.leave(_lane(row))
            try:
                statuses[row.id] = task.result()
            except (Fault, SQLAlchemyError) as error:
                # A locked database: the claim runs out, and it is due again.
                logger.error("a delivery could not be tried: %s", type(error).__name__)
            else:
                tried.append(row)
        if tried:
            await self._keep(tried, statuses, now)

    async def _keep(self, tried: list[DeliveryRow], statuses: Mapping[str, int | None], now: float) -> None:
        """:param statuses: by delivery id, of each of ``tried``."""
        gone: list[str] = []
        async with self._services.database.write() as session:
            for row in await outbox.claimed(session, {row.id: row.tries for row in tried}):
                row.status = statuses[row.id]
                outcome = outcome_of(row.status)
                _move(row, after_try(outcome, row.tries, now, row.expires_at, Rank(row.rank).longest_retry_s))
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
                started = await self._turn(self._services.clock.wall())
                async with self._services.database.read() as session:
                    due = self._lanes.next_at(await outbox.fronts(session))
                if due is not None:
                    least = 0.0 if started else _LEAST_SLEEP_S
                    wait = min(max(due - self._services.clock.wall(), least), LONGEST_SLEEP_S)
            except (Fault, SQLAlchemyError) as error:
                # A locked database: what waits stands in it and is tried at the next look.
                logger.error("delivering failed: %s", type(error).__name__)
            try:
                await asyncio.wait_for(self._changed.wait(), wait)
            except TimeoutError:
                continue
        await self._finish()

    async def _finish(self) -> None:
        """Answers that come soon are written down; the others are tried again, here or by another node."""
        if not self._trying:
            return
        await asyncio.wait(self._trying, timeout=LEAVING_S)
        self._sender.give_up()
        await asyncio.wait(self._trying)
        try:
            await self._keep_ended(self._services.clock.wall())
        except (Fault, SQLAlchemyError) as error:
            logger.error("what was delivered at the end was not written down: %s", type(error).__name__)


def _lane(row: DeliveryRow) -> Lane:
    return Lane(Rank(row.rank), row.service)


def _move(row: DeliveryRow, then: Next) -> None:
    row.state = then.state.value
    if then.at is not None:
        row.next_at = then.at

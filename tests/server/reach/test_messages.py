"""What push services and gateways get of a notice, to the byte."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import func, select, update

from server.archive.models import Practitioner
from server.config import ReachConfig
from server.reach.limits import PUSH_TTL_S
from server.reach.messages import ask_body, gap_body, handover_body, trial_body, urgency_of
from server.reach.models import DeliveryRow
from server.reach.notices import Notice
from server.reach.rules import push_headers
from server.reach.service import Reach
from signaling.personal import Personal
from tests.server.consults.world import CARDIO1, CARDIO2, World
from tests.server.reach.fake_push import Browser, FakeServices

SECRET = "a-secret-of-24-letters-or-more"
ROTA = {
    "schedule": "sch-1",
    "specialty": {"zh": "心血管内科", "en": "Cardiology"},
    "place": {"zh": "云岭县人民医院", "en": "Yunling County Hospital"},
    "timeZone": "Asia/Shanghai",
    "day": "2026-03-03",
}
AT = "2026-03-03T00:00:00.000Z"
HANDOVER = handover_body(ROTA, AT, [1], [])
GOLDEN = (
    '{"type": "handover", "schedule": "sch-1", "specialty": {"zh": "心血管内科", "en": "Cardiology"}, '
    '"place": {"zh": "云岭县人民医院", "en": "Yunling County Hospital"}, "timeZone": "Asia/Shanghai", '
    '"day": "2026-03-03", "at": "2026-03-03T00:00:00.000Z", "takes": [1], "hands": [], "id": "dlv-golden", '
    '"to": {"id": "prc-cardio1", "phone": "13800000000", "languages": ["zh"]}}'
)
SIGNATURE = "v1,bWYO1F1HtWGLoBjYCPmgb3kc3gW4yBzqUYHow7ioazA="
"""printf 'dlv-golden.1767225600.%s' "$GOLDEN" | openssl dgst -sha256 -hmac $SECRET -binary | base64"""


@dataclass
class Office:
    world: World
    reach: Reach
    gateway: FakeServices

    async def put(self, *notices: Notice) -> None:
        async with self.world.services.database.write() as session:
            await self.reach.put_down(session, notices, self.world.now)
        await self.reach.tell(notices)

    async def rows(self) -> list[tuple[str, str, str, float]]:
        whom = DeliveryRow.practitioner_id
        async with self.world.services.database.read() as session:
            rows = await session.scalars(
                select(DeliveryRow).order_by(DeliveryRow.made_at, DeliveryRow.subject, whom)
            )
            return [(row.practitioner_id, row.subject, row.state, row.expires_at) for row in rows]

    async def next_at(self) -> float:
        async with self.world.services.database.read() as session:
            return float(await session.scalar(select(func.max(DeliveryRow.next_at))) or 0)


@pytest_asyncio.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    gateway = FakeServices(Browser())
    await gateway.start()
    world = await World.begin(tmp_path)
    config = ReachConfig(webhooks=(f"{gateway.origin}/hook",), webhook_secret=SECRET)
    world.services.config = replace(world.services.config, reach=config)
    async with world.services.database.write() as session:
        phone = update(Practitioner).where(Practitioner.id.in_([CARDIO1, CARDIO2]))
        await session.execute(phone.values(phone=Personal("13800000000")))
    reach = Reach(world.services)
    yield Office(world, reach, gateway)
    await reach.stop()
    await world.end()
    await gateway.stop()


def swap(state: str, until: float, *people: str) -> Notice:
    named = {"ask": "swap", "id": "swp-1", "stage": "proposed", "part": "other"}
    return Notice(people, "swp-1", state, {"kind": "ask"}, ask_body(ROTA, named, AT, AT), until)


async def test_a_gateway_gets_these_bytes(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.reach.outbox.new_id", lambda _: "dlv-golden")
    await office.put(Notice((CARDIO1,), "ntc-1", "0", {"kind": "handover"}, HANDOVER, office.world.now + 60))
    assert await office.reach.courier.run_due(office.world.now) == 1
    ((body, headers),) = office.gateway.hooks
    assert body.decode() == GOLDEN
    assert headers["webhook-id"] == "dlv-golden"
    assert headers["webhook-timestamp"] == f"{office.world.now:.0f}"
    assert headers["webhook-signature"] == SIGNATURE
    # The page is told besides; who has no telephone is told there alone.
    assert office.world.gateway.to(CARDIO1, "rota") == [{"kind": "handover"}]


async def test_what_waits_is_called_off_by_what_comes_later_and_nothing_is_put_down_twice(
    office: Office,
) -> None:
    until = office.world.now + 600
    await office.put(swap("1", until, CARDIO2))
    await office.put(swap("1", until, CARDIO2))
    assert await office.rows() == [(CARDIO2, "swp-1.1", "over", until)]
    office.world.clock.advance(1)
    await office.put(swap("2", until, CARDIO1, CARDIO2))
    office.world.clock.advance(1)
    covered = Notice((CARDIO1,), "sch-1", "", {"kind": "gap"})
    gap = Notice((CARDIO1,), "sch-1", "g1", {}, gap_body(ROTA, AT, AT, 1, soon=False), until)
    await office.put(gap)
    await office.put(covered)
    assert [row[:3] for row in await office.rows()] == [
        (CARDIO2, "swp-1.1", "over"),
        (CARDIO1, "swp-1.2", "waiting"),
        (CARDIO2, "swp-1.2", "waiting"),
        (CARDIO1, "sch-1.g1", "over"),
    ]


async def test_a_hand_over_that_changes_for_some_leaves_what_waits_for_others(office: Office) -> None:
    until = office.world.now + 600
    both = Notice((CARDIO1, CARDIO2), "sch-1@1", "1", {}, HANDOVER, until, alone=True)
    await office.put(both)
    office.world.clock.advance(1)
    await office.put(replace(both, people=(CARDIO2,), state="2"))
    assert [row[:3] for row in await office.rows()] == [
        (CARDIO1, "sch-1@1.1", "waiting"),
        (CARDIO2, "sch-1@1.1", "over"),
        (CARDIO2, "sch-1@1.2", "waiting"),
    ]


async def test_a_notice_is_tried_again_until_it_is_worth_nothing(office: Office) -> None:
    """On the counted clock: 1, 2, 4 ... s, then every quarter of an hour."""
    office.gateway.answers = [503] * 100
    begun = office.world.now
    await office.put(swap("1", begun + 3600, CARDIO1))
    tries: list[float] = []
    while [row[2] for row in await office.rows()] == ["waiting"]:
        assert await office.reach.courier.run_due(office.world.now) == 1
        tries.append(office.world.now - begun)
        office.world.clock.advance(await office.next_at() - 0.5 - office.world.now)
        assert await office.reach.courier.run_due(office.world.now) == 0
        office.world.clock.advance(0.5)
    assert tries == [0, 1, 3, 7, 15, 31, 63, 127, 255, 511, 1023, 1923, 2823]
    assert [row[2] for row in await office.rows()] == ["dead"]


def test_how_a_push_service_is_to_treat_it() -> None:
    first, later = push_headers("swp-1.1", "normal", 600.9), push_headers("swp-1.2", "normal", 60 * 86_400)
    assert (first["TTL"], first["Urgency"], len(first["Topic"])) == ("600", "normal", 32)
    assert (later["TTL"], later["Topic"]) == (str(int(PUSH_TTL_S)), first["Topic"])
    assert push_headers("swp-11.1", "normal", -1) | {"Topic": ""} == {
        "TTL": "0",
        "Urgency": "normal",
        "Topic": "",
    }
    assert push_headers("swp-11.1", "normal", 1)["Topic"] != first["Topic"]
    soon, later_gap = (gap_body(ROTA, AT, AT, 1, soon=one) for one in (True, False))
    assert [urgency_of(one) for one in (trial_body(), HANDOVER, soon, later_gap)] == ["high"] * 3 + ["normal"]
    body = swap("1", 0.0).body
    assert body is not None
    assert urgency_of(body) == "normal"

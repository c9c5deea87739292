"""Rings, test rings and their ends, by Web Push and webhook, against services that check everything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select

from media.clock import SystemClock
from server.app import Server
from server.config import ReachConfig
from server.demo import seed
from server.reach.models import DeliveryRow, PushSubscription
from tests.server.migrated import empty_database
from tests.server.reach.fake_push import Browser, FakeServices, check_signature
from tests.server.running import Caller, CallerFactory, config_in

SECRET = "a-secret-of-24-letters-or-more"
PERSONAL = ("张桂英", "Zhang Guiying", "胸痛", "血压", "1958", "pat-demo")


@pytest_asyncio.fixture
async def services() -> AsyncIterator[FakeServices]:
    fake = FakeServices(Browser())
    await fake.start()
    yield fake
    await fake.stop()


@pytest_asyncio.fixture
async def server(tmp_path: Path, services: FakeServices) -> AsyncIterator[Server]:
    reach = ReachConfig(
        push_services=(services.origin,), webhooks=(f"{services.origin}/hook",), webhook_secret=SECRET
    )
    empty_database(tmp_path / "data" / "huizhen.db")
    running = await Server.start(replace(config_in(tmp_path / "data"), reach=reach), SystemClock())
    await seed(running.services)
    yield running
    await running.stop()


async def subscribe(who: Caller, services: FakeServices) -> Any:
    body = {"endpoint": f"{services.origin}/push", "keys": services.browser.keys(), "label": "值班室电脑"}
    status, made = await who.call("POST", "/reach/subscriptions", body)
    assert status == 201, made
    return made


async def first_cardiologist(caller: CallerFactory) -> Caller:
    village = await caller("village")
    (now,) = await village.get("/schedules/on-call?specialty=cardiology")
    return await caller(str(now["practitioners"][0]["id"]).removeprefix("prc-"))


async def request(village: Caller) -> Any:
    body = {
        "kind": "urgent",
        "specialty": "cardiology",
        "patientId": "pat-demo-1",
        "purpose": "胸痛两小时",
        "summary": "血压 100/60",
        "consent": {"consult": True, "recording": False, "by": "patient"},
        "deviceIds": [],
        "submit": True,
    }
    status, made = await village.call("POST", "/consultations", body)
    assert status == 201, made
    return made


async def give_phone(caller: CallerFactory, expert: Caller) -> None:
    desk = await caller("desk")
    me = await expert.get("/auth/me")
    (row,) = (await desk.get(f"/register/practitioners?q={me['name']}"))["items"]
    wanted = ("name", "nameEn", "title", "titleEn", "roles", "specialties", "languages")
    body = {**{key: row[key] for key in wanted}, "organizationId": row["organization"]["id"]}
    body |= {"phone": "13800000000", "version": row["version"]}
    assert (await desk.call("PUT", f"/register/practitioners/{row['id']}", body))[0] == 200


async def settled(server: Server, expected: set[tuple[str, str, str]]) -> None:
    """Wait until the deliveries are these: (way, kind, state)."""
    found: set[tuple[str, str, str]] = set()
    for _ in range(400):
        async with server.services.database.read() as session:
            rows = await session.scalars(select(DeliveryRow))
            found = {(row.way, row.kind, row.state) for row in rows}
        if found == expected:
            return
        await asyncio.sleep(0.025)
    assert found == expected


async def test_a_ring_reaches_a_browser_and_a_telephone_and_is_called_off(
    caller: CallerFactory, server: Server, services: FakeServices
) -> None:
    village, expert = await caller("village"), await first_cardiologist(caller)
    await give_phone(caller, expert)
    await subscribe(expert, services)
    made = await request(village)
    await asyncio.wait_for(services.wait_for(pushes=1, hooks=1), 20)
    body, headers = services.pushes[0]
    assert (body["type"], body["urgency"], body["consultation"]) == ("ring", "urgent", made["id"])
    assert body["specialty"]["zh"] == "心血管内科"
    assert body["place"] == {"zh": "石桥村卫生室", "en": "Shiqiao Village Clinic"}
    assert (headers["Urgency"], len(headers["Topic"])) == ("high", 32)
    assert 0 < int(headers["TTL"]) <= 60
    hook = check_signature(*services.hooks[0], SECRET)
    assert (hook["to"]["phone"], hook["type"]) == ("13800000000", "ring")
    for told in (str(body), str(hook)):
        assert not [word for word in PERSONAL if word in told]
    await settled(server, {("push", "ring", "sent"), ("webhook", "ring", "sent")})
    # The browser's worker says that it was shown; anybody may, nobody learns anything by it.
    assert (await (await caller(None)).call("POST", f"/reach/receipts/{body['id']}"))[0] == 204
    assert (await expert.get("/reach/me"))["presence"]["checkedAt"] is not None
    assert (
        await village.call(
            "POST", f"/consultations/{made['id']}/actions", {"action": "cancel", "reason": "x"}
        )
    )[0] == 200
    await asyncio.wait_for(services.wait_for(pushes=2, hooks=2), 20)
    ended, headers_of_end = services.pushes[1]
    assert (ended["type"], ended["reason"]) == ("ringEnded", "cancelled")
    assert headers_of_end["Topic"] == headers["Topic"]


async def test_a_test_ring_says_which_ways_worked(
    caller: CallerFactory, server: Server, services: FakeServices
) -> None:
    expert = await caller("cardio1")
    await subscribe(expert, services)
    services.answers = [503, 201]
    status, started = await expert.call("POST", "/reach/tests", {})
    assert (status, {way["way"] for way in started["ways"]}) == (201, {"screen", "push"})
    await asyncio.wait_for(services.wait_for(pushes=2), 20)
    # Nobody has a page open, so the screen did not work; the push did at the second try.
    await settled(server, {("screen", "test", "dead"), ("push", "test", "sent")})
    push = next(
        way for way in (await expert.get(f"/reach/tests/{started['id']}"))["ways"] if way["way"] == "push"
    )
    assert (push["label"], push["tries"], push["status"]) == ("值班室电脑", 2, 201)
    await expert.call("POST", f"/reach/receipts/{push['id']}")
    ways = (await expert.get(f"/reach/tests/{started['id']}"))["ways"]
    assert {way["way"]: way["state"] for way in ways} == {"screen": "dead", "push": "seen"}
    assert (await (await caller("cardio2")).call("GET", f"/reach/tests/{started['id']}"))[0] == 404
    assert services.pushes[0][0] | {"id": ""} == {"type": "test", "id": ""}


@pytest.mark.parametrize("status", [404, 410])
async def test_a_browser_that_is_gone_is_forgotten(
    caller: CallerFactory, server: Server, services: FakeServices, status: int
) -> None:
    expert = await caller("cardio1")
    await subscribe(expert, services)
    services.answers = [status]
    await expert.call("POST", "/reach/tests", {})
    await settled(server, {("screen", "test", "dead"), ("push", "test", "dead")})
    mine = await expert.get("/reach/me")
    assert (mine["browsers"], mine["presence"]["canBeRung"]) == ([], False)


async def test_a_shared_computer_rings_whoever_signed_in_last(
    caller: CallerFactory, server: Server, services: FakeServices
) -> None:
    first, second = await caller("cardio1"), await caller("cardio2")
    await subscribe(first, services)
    made = await subscribe(second, services)
    assert (await first.get("/reach/me"))["browsers"] == []
    assert (await first.call("DELETE", f"/reach/subscriptions/{made['id']}"))[0] == 404
    assert (await second.call("DELETE", f"/reach/subscriptions/{made['id']}"))[0] == 204
    async with server.services.database.read() as session:
        assert (await session.scalars(select(PushSubscription))).all() == []


async def test_an_address_inside_is_refused(caller: CallerFactory, services: FakeServices) -> None:
    expert = await caller("cardio1")
    for endpoint in ("http://127.0.0.1:1/x", "https://169.254.169.254/", "https://fcm.googleapis.com/x"):
        body = {"endpoint": endpoint, "keys": services.browser.keys()}
        status, problem = await expert.call("POST", "/reach/subscriptions", body)
        assert (status, problem["code"]) == (422, "push_service_unknown")
    body = {"endpoint": f"{services.origin}/push", "keys": {"p256dh": "x", "auth": "y"}}
    assert (await expert.call("POST", "/reach/subscriptions", body))[1]["code"] == "push_keys_invalid"


async def test_what_a_gateway_refused_is_seen_and_sent_again_by_the_desk(
    caller: CallerFactory, server: Server, services: FakeServices
) -> None:
    expert, desk = await caller("cardio1"), await caller("desk")
    await give_phone(caller, expert)
    services.answers = [400]
    await expert.call("POST", "/reach/tests", {})
    await settled(server, {("screen", "test", "dead"), ("webhook", "test", "dead")})
    dead = (await desk.get("/reach/deliveries"))["items"]
    (row,) = [one for one in dead if one["way"] == "webhook"]
    assert (row["status"], row["person"]["id"], row["target"]) == (
        400,
        "prc-cardio1",
        f"{services.origin}/hook",
    )
    assert (await expert.call("GET", "/reach/deliveries"))[0] == 403
    assert (await desk.call("POST", f"/reach/deliveries/{row['id']}/again", {}))[0] == 200
    await settled(server, {("screen", "test", "dead"), ("webhook", "test", "sent")})


async def test_a_ring_whose_deliveries_were_lost_gets_them_at_the_next_start(
    caller: CallerFactory, server: Server, services: FakeServices
) -> None:
    """As after a process that died between the step and what follows it."""
    village, expert = await caller("village"), await first_cardiologist(caller)
    await request(village)
    # Subscribed after the ring began: nothing was put down for it.
    await subscribe(expert, services)
    await server.services.reach.stop()
    assert services.pushes == []
    server.services.reach.courier.missed()
    await server.services.reach.start()
    await asyncio.wait_for(services.wait_for(pushes=1), 20)
    assert services.pushes[0][0]["type"] == "ring"


async def test_a_ring_whose_end_was_lost_is_called_off_at_the_next_start(
    caller: CallerFactory, server: Server, services: FakeServices
) -> None:
    """The process died between the accept (here: by another screen) and the end of the ring."""
    village, expert = await caller("village"), await first_cardiologist(caller)
    await subscribe(expert, services)
    made = await request(village)
    await asyncio.wait_for(services.wait_for(pushes=1), 20)
    await settled(server, {("push", "ring", "sent")})
    reach = server.services.reach
    await reach.stop()
    server.services.consults.tell_through(server.services.gateway)  # what follows the step is lost
    actions = f"/consultations/{made['id']}/actions"
    assert (await expert.call("POST", actions, {"action": "accept"}))[0] == 200
    server.services.consults.tell_through(reach)
    for _ in range(2):
        reach.courier.missed()
        await reach.start()
        await asyncio.wait_for(services.wait_for(pushes=2), 20)
        await settled(server, {("push", "ring", "sent"), ("push", "ringEnded", "sent")})
        await reach.stop()
    assert [body["type"] for body, _ in services.pushes] == ["ring", "ringEnded"]
    assert services.pushes[1][0]["offer"] == services.pushes[0][0]["offer"]


async def test_who_on_call_can_be_rung(caller: CallerFactory, services: FakeServices) -> None:
    await subscribe(await caller("neuro1"), services)
    desk = await caller("desk")
    found = {one["practitioner"]["id"]: one["presence"] for one in await desk.get("/reach/on-call")}
    assert found["prc-neuro1"] == {
        "atScreen": False,
        "push": 1,
        "phone": False,
        "canBeRung": True,
        "checkedAt": None,
    }
    assert not found["prc-sono1"]["canBeRung"]
    assert (await (await caller("village")).call("GET", "/reach/on-call"))[0] == 403


async def test_tests_have_a_bound(caller: CallerFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.reach.service.TESTS_EACH_HOUR", 2)
    expert = await caller("cardio1")
    statuses = [(await expert.call("POST", "/reach/tests", {}))[0] for _ in range(3)]
    assert statuses == [201, 201, 429]


async def test_a_swap_reaches_the_browser_of_the_one_who_is_asked_unless_they_want_none(
    caller: CallerFactory, server: Server, services: FakeServices
) -> None:
    day = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
    given = {"level": 1, "starts": f"{day}T02:00:00Z", "ends": f"{day}T04:00:00Z"}
    desk = await caller("desk")
    (then,) = await desk.get(f"/schedules/on-call?specialty=cardiology&at={given['starts']}")
    asker_id, other_id = (str(one["id"]) for one in then["practitioners"])
    asker, other = await caller(asker_id.removeprefix("prc-")), await caller(other_id.removeprefix("prc-"))
    await subscribe(other, services)
    body = {"scheduleId": "sch-cardiology", "otherId": other_id, "given": given, "reason": "家里有事"}
    status, swap = await asker.call("POST", "/schedules/swaps", body)
    assert status == 201, swap
    await asyncio.wait_for(services.wait_for(pushes=1), 20)
    told, headers = services.pushes[0]
    assert (told["type"], told["part"], told["askId"], told["day"]) == ("ask", "other", swap["id"], day)
    assert (headers["Urgency"], told["specialty"]["zh"]) == ("normal", "心血管内科")
    assert 0 < int(headers["TTL"]) <= 72 * 3600
    me = await asker.get("/auth/me")
    assert not [one for one in (me["name"], me["nameEn"], asker_id, "家里有事") if one in str(told)]
    assert (await other.get("/reach/me"))["notices"] == {"handover": True, "ask": True, "gap": True}
    chosen = {"handover": True, "ask": False, "gap": False}
    for _ in range(2):  # again is harmless
        assert await other.call("PUT", "/reach/notices", chosen) == (200, chosen)
    assert (await other.get("/reach/me"))["notices"] == chosen
    path = f"/schedules/asks/{swap['id']}/actions"
    assert (await asker.call("POST", path, {"action": "withdraw"}))[0] == 200
    await settled(server, {("push", "ask", "sent")})
    assert len(services.pushes) == 1

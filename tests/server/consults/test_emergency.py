"""Breaking the glass: sight for a while, with a reason, told to the desk, reviewed by somebody else."""

from __future__ import annotations

from sqlalchemy import select

from server.archive.models import AuditEntry
from server.consults.limits import BREAK_GLASS_RUNNING
from server.consults.models import BreakGlass
from server.consults.vocabulary import Action
from tests.server.consults.flow import refused
from tests.server.consults.test_consult_api import REQUEST, people
from tests.server.consults.world import World
from tests.server.running import CallerFactory

WHY = "急诊抢救，需了解既往会诊"


async def opened(world: World, consult: str, by: str = "village2", minutes: int = 30) -> BreakGlass:
    return await world.services.consults.emergency.open(world.actor(by), consult, WHY, minutes, world.now)


async def test_it_gives_sight_for_a_while_and_nothing_else(world: World) -> None:
    consult = await world.request()
    assert await refused(world.see("village2", consult)) == "forbidden"
    await opened(world, consult)
    page = await world.see("village2", consult)
    assert (page.patient.name, page.allowed) == ("张桂英", [])
    assert await refused(world.act("village2", consult, Action.CANCEL, reason="x")) == "forbidden"
    assert await refused(world.enter("village2", consult)) in ("forbidden", "room_not_open")
    world.clock.advance(30 * 60)
    assert await refused(world.see("village2", consult)) == "forbidden"


async def test_the_desk_is_told_at_once_and_the_trail_has_every_step(world: World) -> None:
    consult = await world.request()
    one = await opened(world, consult)
    assert any(push.get("alarm") == "break_glass" for push in world.gateway.to("prc-desk", "consultation"))
    await world.see("village2", consult)
    review = world.services.consults.emergency.review
    assert await refused(review(world.actor("village2"), one.id, True, "", world.now)) == "forbidden"
    await review(world.actor("desk"), one.id, False, "非本院患者", world.now)
    assert await refused(review(world.actor("desk"), one.id, True, "", world.now)) == "already_reviewed"
    assert await refused(review(world.actor("desk"), "bg-none", True, "", world.now)) == "no_such_break_glass"
    trail = await world.trail(consult)
    for step in (
        ("prc-village2", "break_glass"),
        ("prc-village2", "view"),
        ("prc-desk", "break_glass_review"),
    ):
        assert step in trail


async def test_the_reason_stays_out_of_the_trail(world: World) -> None:
    consult = await world.request()
    await opened(world, consult)
    async with world.services.database.read() as session:
        details = [str(one.detail) for one in await session.scalars(select(AuditEntry))]
    assert not any("急诊" in one for one in details)


async def test_it_needs_a_reason_and_has_a_bound(world: World) -> None:
    emergency = world.services.consults.emergency
    consult = await world.request()
    short = emergency.open(world.actor("village2"), consult, " . ", 30, world.now)
    assert await refused(short) == "reason_too_short"
    assert await refused(opened(world, "con-none")) == "not_found"
    for _ in range(BREAK_GLASS_RUNNING):
        await opened(world, consult)
    assert await refused(opened(world, consult)) == "limit_reached"


async def test_over_http_with_its_review(caller: CallerFactory) -> None:
    village, _ = await people(caller)
    _, page = await village.call("POST", "/consultations", REQUEST)
    consult = page["id"]
    other, desk = await caller("village2"), await caller("desk")
    status, problem = await other.call("GET", f"/consultations/{consult}")
    assert (status, problem["code"]) == (403, "forbidden")
    glass = f"/consultations/{consult}/break-glass"
    status, problem = await other.call("POST", glass, {"reason": WHY, "minutes": 61})
    assert (status, problem["code"]) == (422, "validation_failed")
    status, one = await other.call("POST", glass, {"reason": WHY, "minutes": 10})
    assert (status, one["number"], one["justified"]) == (201, page["number"], None)
    assert (await other.get(f"/consultations/{consult}"))["allowed"] == []
    for who in ("regulator", "admin"):
        assert (await (await caller(who)).call("POST", glass, {"reason": WHY}))[0] == 403
    [listed] = await desk.get("/break-glass")
    assert (listed["id"], listed["reason"]) == (one["id"], WHY)
    assert await village.get("/break-glass") == []
    review = f"/break-glass/{one['id']}/review"
    assert (await other.call("POST", review, {"justified": True}))[0] == 403
    status, reviewed = await desk.call("POST", review, {"justified": True, "text": "确为急诊"})
    assert (status, reviewed["justified"], reviewed["reviewedBy"]["id"]) == (200, True, "prc-desk")

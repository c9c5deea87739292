"""Times and plans out of the database: nobody twice at a time, and leave counts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest_asyncio

from server.archive.models import Practitioner
from server.consults.models import Consultation
from server.consults.store import load
from server.consults.vocabulary import Action, Kind, State
from server.oncall.models import AskRow
from server.oncall.planning import plan_for, times_for
from signaling.personal import Personal
from tests.server.consults.flow import ringing
from tests.server.consults.world import World

CHINA = ZoneInfo("Asia/Shanghai")


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    county = await World.begin(tmp_path)
    yield county
    await county.end()


async def routine(world: World, specialty: str = "neurology") -> tuple[str, str]:
    """An accepted routine consult, and its expert."""
    consult = await world.request(kind=Kind.ROUTINE, specialty=specialty)
    await world.act("desk", consult, Action.TRIAGE)
    [expert] = await ringing(world, consult)
    await world.act(expert, consult, Action.ACCEPT)
    return consult, expert


async def times(world: World, consult: str) -> list[float]:
    async with world.services.database.read() as session:
        return await times_for(session, await load(session, consult), world.now, CHINA)


def wall(at: float) -> str:
    return datetime.fromtimestamp(at, CHINA).strftime("%m-%d %H:%M")


async def test_the_clinics_hours_of_workdays(world: World) -> None:
    """The counted clock begins at New Year, a holiday until the third; the fourth is a make-up workday."""
    consult, _ = await routine(world)
    found = await times(world, consult)
    assert wall(found[0]) == "01-04 08:00"
    assert wall(found[1]) == "01-04 08:30"
    assert {wall(at)[6:8] for at in found} <= {f"{hour:02}" for hour in range(8, 18)}
    # In Ürümqi they open two hours later.
    async with world.services.database.read() as session:
        row = await load(session, consult)
        west = await times_for(session, row, world.now, ZoneInfo("Asia/Urumqi"))
    assert west[0] == found[0] + 2 * 3600


async def test_whoever_has_a_consult_or_leave_then_is_not_free(world: World) -> None:
    first, expert = await routine(world)
    at = (await times(world, first))[0]
    await world.act(expert, first, Action.SCHEDULE, at=at)
    second, _ = await routine(world)
    found = await times(world, second)
    assert found[0] == at + 3600
    await leave(world, expert, at, "approved")
    assert (await times(world, second))[0] >= at + 86_400


async def leave(world: World, doctor: str, at: float, stage: str) -> None:
    """A day's, from ``at``."""
    async with world.services.database.write() as session:
        session.add(
            AskRow(
                id="ask-1",
                ask="leave",
                stage=stage,
                asker_id=f"prc-{doctor}",
                starts=at,
                ends=at + 86_400,
                reason=Personal(""),
                asked_at=world.now,
                expires_at=at,
            )
        )


async def test_leave_that_is_only_asked_for_keeps_nobody_away_who_left_is_never_free(world: World) -> None:
    consult, expert = await routine(world)
    [at, *_] = await times(world, consult)
    await leave(world, expert, at, "asked")
    assert (await times(world, consult))[0] == at
    async with world.services.database.write() as session:
        (await session.get_one(Practitioner, f"prc-{expert}")).active = False
    assert await times(world, consult) == []


async def test_nobody_is_planned_for_the_coming_hour(world: World) -> None:
    consult, _ = await routine(world)
    world.clock.advance((await times(world, consult))[0] + 600 - world.now)  # ten past eight of a workday
    assert wall((await times(world, consult))[0]) == "01-04 09:30"


async def test_a_member_has_to_be_free_as_well(world: World) -> None:
    consult = await world.request(kind=Kind.MULTIDISCIPLINARY, members=("neurology",))
    await world.act("desk", consult, Action.TRIAGE)
    for one in await ringing(world, consult):
        await world.act(one, consult, Action.ACCEPT)
    page = await world.see("desk", consult)
    assert [seat.practitioner is not None for seat in page.seats] == [True]
    assert page.expert is not None
    [at, *_] = await times(world, consult)
    other, member = await routine(world)
    async with world.services.database.write() as session:  # nobody but the member is in both
        (await session.get_one(Consultation, other)).requester_id = "prc-township"
    assert page.seats[0].practitioner is not None
    assert page.seats[0].practitioner.id == f"prc-{member}"
    await world.act(page.expert.id.removeprefix("prc-"), consult, Action.SCHEDULE, at=at)
    assert (await times(world, other))[0] == at + 3600


async def test_a_plan_gives_each_a_time_of_its_own_that_can_be_taken(world: World) -> None:
    waiting = dict([await routine(world) for _ in range(3)])
    async with world.services.database.read() as session:
        plan = await plan_for(session, "org-yunling-hospital", world.now, CHINA)
        assert await plan_for(session, "org-of-another-county", world.now, CHINA) == []
    assert {one.consultation_id for one in plan} == set(waiting)
    starts = [one.starts for one in plan]
    assert all(later - earlier >= 3600 for earlier, later in pairwise(starts))
    for one in plan:
        await world.act(waiting[one.consultation_id], one.consultation_id, Action.SCHEDULE, at=one.starts)
        assert await world.state(one.consultation_id) is State.SCHEDULED
    async with world.services.database.read() as session:
        assert await plan_for(session, "org-yunling-hospital", world.now, CHINA) == []


async def plan(world: World) -> dict[str, float]:
    async with world.services.database.read() as session:
        found = await plan_for(session, "org-yunling-hospital", world.now, CHINA)
    return {one.consultation_id: one.starts for one in found}


async def test_one_who_asked_two_experts_is_with_one_at_a_time(world: World) -> None:
    first, _ = await routine(world)
    world.clock.advance(60)  # it has waited longer, and goes first
    second, _ = await routine(world, "cardiology")
    found = await plan(world)
    assert found[second] == found[first] + 3600


async def test_a_busy_expert_has_a_time_for_each(world: World) -> None:
    waiting = [await routine(world) for _ in range(45)]
    assert len(await plan(world)) == len(waiting)


async def test_what_was_cancelled_is_no_work_of_a_day(world: World) -> None:
    first, expert = await routine(world)
    [at, *_] = await times(world, first)
    for _ in range(13):  # at two hours each, another day would be better
        off, _ = await routine(world)
        await world.act(expert, off, Action.SCHEDULE, at=at)
        await world.act("village", off, Action.CANCEL, reason="已转院")
    assert await plan(world) == {first: at}

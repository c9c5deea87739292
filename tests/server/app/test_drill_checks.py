"""What the day of requests counts as wrong is found when it is there, and only then."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import delete

from server.archive.ids import new_id
from server.consults.models import ConsultEvent
from server.consults.vocabulary import Action, State
from server.drill.checks import doubled, overdue, silent, standing
from server.oncall.models import TimerRow
from tests.server.consults.flow import accepted, in_session, ringing
from tests.server.consults.world import World


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    county = await World.begin(tmp_path)
    yield county
    await county.end()


async def wrong(world: World) -> tuple[list[str], list[str], list[str]]:
    """(silent, doubled, overdue)"""
    async with world.services.database.read() as session:
        return await silent(session), await doubled(session), await overdue(session, world.now)


async def lose_timers(world: World) -> None:
    async with world.services.database.write() as session:
        await session.execute(delete(TimerRow))


@pytest.mark.parametrize("state", [State.OFFERED, State.UNFILLED, State.ACCEPTED, State.OPINION_PENDING])
async def test_a_state_without_its_timer_is_silence(world: World, state: State) -> None:
    specialty = "obstetrics" if state is State.UNFILLED else "cardiology"
    consult = await world.request(specialty=specialty)
    if state in (State.ACCEPTED, State.OPINION_PENDING):
        [expert] = await ringing(world, consult)
        await world.act(expert, consult, Action.ACCEPT)
        if state is State.OPINION_PENDING:
            await world.enter("village", consult)
            await world.enter(expert, consult)
            await world.act(expert, consult, Action.END)
    assert await world.state(consult) is state
    assert await wrong(world) == ([], [], [])
    await lose_timers(world)
    assert await wrong(world) == ([consult], [], [])
    async with world.services.database.look() as looking:
        _, quiet, _ = await standing(looking, [consult])
    assert quiet == [consult]


async def test_a_session_rests_until_its_chair_ends_it(world: World) -> None:
    await in_session(world)
    await lose_timers(world)
    assert await wrong(world) == ([], [], [])


async def test_a_timer_that_nobody_takes(world: World) -> None:
    consult = await world.request()
    world.clock.advance(61)
    assert await wrong(world) == ([], [], [consult])


async def test_two_accepts_of_one_patient(world: World) -> None:
    consult, expert = await accepted(world)
    await world.act(expert, consult, Action.RELEASE, reason="急诊手术")
    [second] = await ringing(world, consult)
    await world.act(second, consult, Action.ACCEPT)
    assert await wrong(world) == ([], [], [])  # one after the other
    async with world.services.database.write() as session:
        session.add(
            ConsultEvent(
                id=new_id("ev"),
                consultation_id=consult,
                version=99,
                at=world.now,
                actor_id=f"prc-{expert}",
                action=Action.ACCEPT.value,
                from_state=State.OFFERED.value,
                to_state=State.ACCEPTED.value,
                reason=None,
            )
        )
    assert await wrong(world) == ([], [consult], [])

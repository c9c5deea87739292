"""Timers in the database: exact after a restart, woken in time, and one that fails stops no other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import select, update

from loadtest.dispatch.postgres import Postgres
from media.errors import CLOSED, LocalProtocolError
from server.consults.errors import ActionRefused
from server.consults.models import Consultation
from server.consults.states import DURATIONS
from server.consults.store import facts, load, save
from server.consults.vocabulary import Action, Kind, State
from server.consults.work import Work
from server.oncall.models import TimerRow
from tests.server.consults.flow import accepted, in_session, refused, ringing
from tests.server.consults.world import World
from tests.server.postgres import postgres, postgres_url

__all__ = ["postgres", "postgres_url"]


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    county = await World.begin(tmp_path)
    yield county
    await county.end()


async def timer(world: World, consult: str) -> TimerRow | None:
    async with world.services.database.read() as session:
        return await session.get(TimerRow, consult)


async def test_a_restart_between_two_rings_keeps_the_second(world: World) -> None:
    consult = await world.request()
    [first] = await ringing(world, consult)
    world.clock.advance(40)
    fresh = await world.restart()
    assert await fresh.advance(19.9) == 0
    await fresh.advance(0.1)
    assert await ringing(fresh, consult) != [first]
    assert await fresh.state(consult) is State.OFFERED
    await fresh.end()


async def test_what_fell_due_while_the_server_was_down_is_done_at_once_and_once(world: World) -> None:
    await world.request(specialty="obstetrics")
    world.clock.advance(86400)
    fresh = await world.restart()
    assert await fresh.advance(0) == 1
    alarms = [push for push in fresh.gateway.to("prc-desk", "consultation") if "alarm" in push]
    assert len(alarms) == 1
    assert await fresh.advance(0) == 0
    assert await fresh.advance(60) == 1
    await fresh.end()


async def test_a_session_survives_a_restart(world: World) -> None:
    consult, expert = await in_session(world)
    fresh = await world.restart()
    assert await fresh.state(consult) is State.IN_SESSION
    await fresh.enter("village", consult)
    await fresh.advance(30)
    assert await fresh.state(consult) is State.SUSPENDED
    await fresh.enter(expert, consult)
    assert await fresh.state(consult) is State.IN_SESSION
    assert fresh.rooms.open[f"c-{consult}"].recording_id is not None
    await fresh.end()


async def test_a_lost_timer_is_made_again_at_the_start(world: World) -> None:
    consult = await world.request()
    before = await timer(world, consult)
    async with world.services.database.write() as session:
        await session.delete(await session.get_one(TimerRow, consult))
    fresh = await world.restart()
    after = await timer(fresh, consult)
    assert before is not None
    assert after is not None
    assert (after.due, after.action, after.version) == (before.due, before.action, before.version)
    await fresh.end()


async def test_a_timer_of_another_version_does_nothing(world: World) -> None:
    consult = await world.request()
    async with world.services.database.write() as session:
        await session.execute(update(TimerRow).values(version=1, due=world.now))
    assert await world.advance(0) == 1
    assert await world.state(consult) is State.OFFERED
    assert await world.advance(59) == 0
    assert await world.advance(1) == 1


async def test_final_states_have_no_timer(world: World) -> None:
    consult = await world.request()
    await world.act("village", consult, Action.CANCEL, reason="误报")
    assert await timer(world, consult) is None


async def _cancel_beside_another(world: World, consult: str) -> None:
    async with Work(world.services, DURATIONS, None).transaction(world.now) as tx:
        row = await load(tx.session, consult)
        old = await facts(tx.session, row)
        another = update(Consultation).values(version=old.version + 1)
        await tx.session.execute(another.execution_options(synchronize_session=False))
        save(row, old, replace(old, version=old.version + 1, state=State.CANCELLED), {})


async def test_a_writer_with_an_old_version_loses(world: World) -> None:
    consult, _ = await accepted(world)
    before = await world.state(consult)
    with pytest.raises(ActionRefused, match="version_conflict"):
        await _cancel_beside_another(world, consult)
    assert await world.state(consult) is before


async def test_one_consults_trouble_stops_no_other_timer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = await world.request()
    world.clock.advance(1)
    healthy = await world.request()
    fire = world.services.consults.fire

    async def failing(consultation_id: str, now: float) -> None:
        if consultation_id == broken:
            raise LocalProtocolError(CLOSED, "database")
        await fire(consultation_id, now)

    monkeypatch.setattr(world.services.consults, "fire", failing)
    [first] = await ringing(world, healthy)
    await world.advance(60)
    assert await ringing(world, healthy) != [first]
    stored = await timer(world, broken)
    assert stored is not None
    assert stored.due < world.now
    monkeypatch.undo()
    assert await world.advance(0) == 1


class Heard(logging.Handler):
    """Waits for a line of the dispatcher's log."""

    def __init__(self) -> None:
        super().__init__()
        self._told = asyncio.Event()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        self._told.set()

    async def line(self, part: str) -> None:
        async with asyncio.timeout(30):
            while not any(part in one for one in self.lines):
                self._told.clear()
                await self._told.wait()


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Heard]:
    monkeypatch.setattr("server.oncall.dispatcher.RETRY_S", 0.05)
    handler, named = Heard(), logging.getLogger("server.oncall.dispatcher")
    named.addHandler(handler)
    yield handler
    named.removeHandler(handler)


async def rung_again(world: World, consult: str, first: str) -> None:
    async with asyncio.timeout(30):
        while not world.gateway.to(f"prc-{first}", "ringEnded"):
            world.gateway.arrived.clear()
            await world.gateway.arrived.wait()
    assert await ringing(world, consult) != [first]


async def test_rings_go_on_when_the_database_was_restarted(
    postgres: Postgres, postgres_url: str, tmp_path: Path, heard: Heard
) -> None:
    world = await World.begin(tmp_path, postgres_url)
    await world.services.dispatcher.start()
    consult = await world.request()
    [first] = await ringing(world, consult)
    postgres.away()
    world.clock.advance(60)
    world.services.dispatcher.wake()
    await heard.line("looking for timers failed: OperationalError")  # no connection, after a cut one
    assert world.services.dispatcher.running
    postgres.start()
    await rung_again(world, consult, first)
    await world.end()


async def test_a_timer_that_fails_is_tried_again_after_a_pause(
    world: World, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0

    async def failing(_consultation_id: str, _now: float) -> bool:
        nonlocal tries
        tries += 1
        raise LocalProtocolError(CLOSED, "database")

    await world.request()
    world.clock.advance(60)
    monkeypatch.setattr("server.oncall.dispatcher.RETRY_S", 600.0)
    monkeypatch.setattr(world.services.consults, "fire", failing)
    await world.services.dispatcher.start()
    await heard.line("failed: LocalProtocolError")
    for _ in range(500):  # what does not pause would go round and round
        await asyncio.sleep(0)
    assert tries == 1
    await world.services.dispatcher.stop()


async def test_an_error_of_ours_is_said_and_shows(
    world: World, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_looking: object) -> None:
        raise KeyError("ours")

    dispatcher = world.services.dispatcher
    monkeypatch.setattr("server.oncall.dispatcher.next_due", broken)
    assert not dispatcher.running
    await dispatcher.start()
    await heard.line("the dispatcher ended")
    assert not dispatcher.running
    await dispatcher.stop()


@pytest.fixture
def deep_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop does not look by itself within a test's patience: who is heard of was woken for."""
    monkeypatch.setattr("server.oncall.dispatcher.LONGEST_SLEEP_S", 600.0)


@pytest.mark.usefixtures("deep_sleep")
async def test_the_loop_sleeps_until_the_next_timer_and_is_woken_by_a_new_one(world: World) -> None:
    dispatcher = world.services.dispatcher
    await dispatcher.start()
    await dispatcher.start()
    consult = await world.request()
    [first] = await ringing(world, consult)
    world.clock.advance(60)
    dispatcher.wake()

    await rung_again(world, consult, first)
    await dispatcher.stop()
    await dispatcher.stop()


@pytest.mark.usefixtures("deep_sleep")
async def test_a_clock_that_is_put_back_holds_no_ring(world: World) -> None:
    dispatcher = world.services.dispatcher
    world.clock.advance(7200)
    await dispatcher.start()
    consult = await world.request()
    [first] = await ringing(world, consult)
    world.gateway.notes.clear()
    world.gateway.arrived.clear()
    world.clock.step_wall(-3600)
    dispatcher.wake()
    await asyncio.wait_for(world.gateway.arrived.wait(), 30)
    stored = await timer(world, consult)
    await dispatcher.stop()
    assert stored is not None
    assert stored.due == world.now + 60
    assert await ringing(world, consult) == [first]
    await world.advance(60)
    assert await ringing(world, consult) not in ([], [first])


async def test_a_clock_that_was_put_back_while_the_server_was_down(world: World) -> None:
    consult = await world.request(kind=Kind.MULTIDISCIPLINARY, members=("ultrasound",))
    await world.act("desk", consult, Action.TRIAGE)
    before = await timer(world, consult)
    world.clock.step_wall(-86_400)
    fresh = await world.restart()
    after = await timer(fresh, consult)
    assert before is not None
    assert after is not None
    assert after.due == before.due - 86_400
    page = await fresh.see("desk", consult)
    assert {one.offered_at for one in page.offers} == {fresh.now}
    await fresh.end()


async def test_nothing_is_ever_silent(world: World) -> None:
    """Left alone, a request keeps a timer in every state, for a day."""
    consult = await world.request()
    for _ in range(2000):
        row = await timer(world, consult)
        assert row is not None
        await world.advance(max(0.0, row.due - world.now))
        if world.now > 1_767_225_600.0 + 3600:
            break
    assert await world.state(consult) is State.UNFILLED
    async with world.services.database.read() as session:
        states = set(await session.scalars(select(Consultation.state)))
    assert states == {"UNFILLED"}


async def test_who_did_not_answer_cannot_answer_later(world: World) -> None:
    consult = await world.request()
    [first] = await ringing(world, consult)
    await world.advance(60)
    [second] = await ringing(world, consult)
    await world.act(second, consult, Action.ACCEPT)
    assert await refused(world.act(first, consult, Action.ACCEPT)) == "already_taken"

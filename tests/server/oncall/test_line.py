"""The line out of the database: who comes first, who is left out, and what the desk reads when nobody is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import delete, select, update

from server.archive.models import Organization, Practitioner
from server.consults.models import ConsultEvent, Offer
from server.consults.store import load
from server.consults.vocabulary import Action, Kind, State
from server.oncall.book import Book
from server.oncall.demo import seed_schedules
from server.oncall.line import line_for, tried
from server.oncall.models import LayerRow, ScheduleRow
from signaling.personal import Personal
from tests.server.consults.flow import in_session, ringing, signed
from tests.server.consults.world import World


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    county = await World.begin(tmp_path)
    yield county
    await county.end()


async def hospital(world: World, place: str, level: str, parent: str | None, *doctors: str) -> None:
    """Another hospital with a cardiologists' rota."""
    async with world.services.database.write() as session:
        session.add(Organization(id=place, name=place, name_en=place, level=level, parent_id=parent))
        await session.flush()
        for one in doctors:
            session.add(
                Practitioner(
                    id=f"prc-{one}",
                    organization_id=place,
                    name=Personal(one),
                    name_en=Personal(one),
                    roles=["expert"],
                    specialties=["cardiology"],
                    languages=["zh"],
                )
            )
        session.add(
            ScheduleRow(
                id=f"sch-{place}",
                organization_id=place,
                specialty="cardiology",
                name=place,
                name_en=place,
                time_zone="Asia/Shanghai",
            )
        )
        await session.flush()
        session.add(
            LayerRow(
                id=f"lay-{place}",
                schedule_id=f"sch-{place}",
                level=1,
                unit="day",
                start_date="2026-01-01",
                handover="08:00",
                members=[f"prc-{one}" for one in doctors[:1]],
            )
        )


async def line(world: World, consult: str) -> list[str]:
    async with world.services.database.read() as session:
        row = await load(session, consult)
        found = await line_for(session, row, world.now, world.gateway.reachable, Book())
    return [one.practitioner_id.removeprefix("prc-") for one in found.candidates]


async def why(world: World, consult: str) -> str:
    async with world.services.database.read() as session:
        event = await session.scalar(
            select(ConsultEvent).where(
                ConsultEvent.consultation_id == consult, ConsultEvent.to_state == State.UNFILLED.value
            )
        )
    assert event is not None
    assert event.reason is not None
    return event.reason.reveal()


async def test_the_own_group_first_then_the_city_and_never_the_next_county(world: World) -> None:
    await hospital(world, "org-city", "city", None, "city")
    await hospital(world, "org-next", "county", None, "next")
    consult = await world.request()
    own, backup, *further = await line(world, consult)
    assert {own, backup} == {"cardio1", "cardio2"}
    assert further == ["city"]


async def test_two_hospitals_of_a_county_share_the_rings(world: World) -> None:
    await hospital(world, "org-second", "county", "org-yunling-hospital", "second")
    rung = []
    for _ in range(4):
        consult = await world.request()
        rung += await ringing(world, consult)
        await world.act("village", consult, Action.CANCEL, reason="误报")
        world.clock.advance(60)
    assert rung.count("second") == 2


async def rung_and_off(world: World) -> str:
    """Whom a request rings that is called off."""
    consult = await world.request(devices=())
    [one] = await ringing(world, consult)
    await world.act("village", consult, Action.CANCEL, reason="误报")
    return one


@pytest.mark.parametrize("written", [True, False])
async def test_what_was_done_is_forgotten_after_a_shift_what_is_owed_is_not(
    world: World, written: bool
) -> None:
    await hospital(world, "org-second", "county", "org-yunling-hospital", "second")
    consult, expert = await (signed if written else in_session)(world)
    if not written:
        await world.act(expert, consult, Action.END)
    assert expert == "cardio1"
    assert {await rung_and_off(world), await rung_and_off(world)} == {"second"}  # it has taken less
    world.clock.advance(9 * 3600)
    assert await rung_and_off(world) == (expert if written else "second")


def test_whoever_would_not_sit_may_still_be_asked_for_the_chair() -> None:
    offers = [Offer(practitioner_id="a", ring=3, seat_id="seat"), Offer(practitioner_id="b", ring=3)]
    assert (tried(offers, 3), tried(offers, 4)) == ({"b"}, set())


async def test_who_declined_is_asked_again_in_the_next_round_and_once(world: World) -> None:
    consult = await world.request()
    asked = []
    for _ in range(2):
        for _ in range(2):
            [one] = await ringing(world, consult)
            asked.append(one)
            await world.act(one, consult, Action.DECLINE, reason="手术中")
        assert await world.state(consult) is State.UNFILLED
        if len(asked) == 2:
            await world.act("desk", consult, Action.OFFER_AGAIN)
    assert set(asked[:2]) == set(asked[2:]) == {"cardio1", "cardio2"}


async def test_whoever_is_in_a_session_costs_the_next_patient_no_ring(world: World) -> None:
    _, expert = await in_session(world)
    consult = await world.request(devices=())
    assert set(await ringing(world, consult)) == {"cardio1", "cardio2"}
    assert (await line(world, consult))[0] == expert


async def test_a_rota_with_a_policy_of_its_own(world: World) -> None:
    policy = {"urgent": {"everyoneByS": 300, "steps": [{"seconds": 25, "together": 2}]}}
    async with world.services.database.write() as session:
        await session.execute(update(ScheduleRow).values(policy=policy))
    consult = await world.request()
    assert len(await ringing(world, consult)) == 2
    await world.advance(24.9)
    assert await world.state(consult) is State.OFFERED
    await world.advance(0.1)
    assert await world.state(consult) is State.UNFILLED


@pytest.mark.parametrize("kind", [Kind.URGENT, Kind.DIAGNOSTIC, Kind.ROUTINE])
async def test_a_specialty_that_nobody_has(world: World, kind: Kind) -> None:
    consult = await world.request(specialty="obstetrics", kind=kind)
    if kind is Kind.ROUTINE:
        await world.act("desk", consult, Action.TRIAGE)
    assert await world.state(consult) is State.UNFILLED
    assert "没有覆盖该专科的值班表" in await why(world, consult)
    assert any("alarm" in push for push in world.gateway.to("prc-desk", "consultation"))


async def test_a_rota_with_no_members(world: World) -> None:
    async with world.services.database.write() as session:
        await session.execute(delete(LayerRow))
    consult = await world.request()
    assert await world.state(consult) is State.UNFILLED
    assert "目前无人值班" in await why(world, consult)
    assert any("alarm" in push for push in world.gateway.to("prc-desk", "consultation"))
    async with world.services.database.write() as session:
        await session.execute(delete(ScheduleRow))
        await seed_schedules(session, "org-yunling-hospital", {"cardiology": ["prc-cardio2"]})
    await world.act("desk", consult, Action.OFFER_AGAIN)
    assert await ringing(world, consult) == ["cardio2"]


async def test_everyone_was_rung(world: World) -> None:
    consult = await world.request()
    await world.advance(60)
    await world.advance(60)
    assert "均已呼叫" in await why(world, consult)

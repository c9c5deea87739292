"""What is open: counted whole, ordered and cut by the database; late from the limit on, reminders or not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import insert, select, true

from media.errors import RemoteProtocolError
from server.archive.models import Organization
from server.auth.actor import Role
from server.consults import oversight
from server.consults.access import group_of, overseen_by
from server.consults.models import Consultation
from server.consults.reading import Wanted
from server.consults.states import DURATIONS
from server.consults.vocabulary import FINAL, Action, Kind, State
from server.consults.watching import WATCHED, Asked, Order, Watch, Watching, watching
from tests.server.consults.world import World


async def look(world: World, asked: Asked | None = None) -> Watching:
    async with world.services.database.read() as session:
        reach = await overseen_by(session, world.actor("desk"))
        return await watching(session, reach, asked or Asked(), world.now, DURATIONS)


async def copies(world: World, consult: str, count: int) -> None:
    """So many consults like this one, each sent a second after the one before."""
    async with world.services.database.write() as session:
        row = await session.get_one(Consultation, consult)
        known = {column.key: getattr(row, column.key) for column in Consultation.__table__.columns}
        told = [
            {**known, "id": f"con-{n}", "number": f"HZ-{n}", "submitted_at": row.created_at + n}
            for n in range(count)
        ]
        await session.execute(insert(Consultation), told)


async def test_more_than_a_screen_is_counted_whole_and_said(world: World) -> None:
    consult = await world.request(kind=Kind.ROUTINE)
    await copies(world, consult, 140)
    found = await look(world, Asked(limit=50))
    assert (sum(found.counts.values()), found.counts[Watch.WAITING], found.matched) == (141, 141, 141)
    assert len(found.shown) == 50
    assert {one.id for one in found.organizations} == {"org-shiqiao"}
    assert (found.kinds, found.specialties) == ([Kind.ROUTINE], ["cardiology"])
    # A filter narrows what is shown, never what is counted.
    found = await look(world, Asked(kind=Kind.URGENT))
    assert (found.matched, len(found.shown), sum(found.counts.values())) == (0, 0, 141)
    found = await look(world, Asked(organization_id="org-shiqiao", specialty="cardiology", limit=10))
    assert (found.matched, len(found.shown)) == (141, 10)


async def test_what_passed_its_limit_stays_late_after_its_reminder(world: World) -> None:
    consult = await world.request(kind=Kind.ROUTINE)  # the desk has four hours to agree
    sent = world.now
    found = await look(world)
    assert (found.counts[Watch.WAITING], found.late, found.shown[0].limit) == (1, 0, sent + 4 * 3600)
    for hours in (4.0, 1.0, 20.0):
        assert await world.advance(hours * 3600) <= 1
        found = await look(world, Asked(late=True))
        assert (found.counts[Watch.LATE], found.late, found.matched) == (1, 1, 1)
        assert found.shown[0].limit == sent + 4 * 3600
    page = await world.see("desk", consult)
    assert page.next is not None
    assert (page.next.limit, page.next.at > world.now) == (sent + 4 * 3600, True)
    # Which limit was passed, and what comes next, are two things.
    assert page.next.limit_name.zh == "分诊时限"
    assert page.next.name.zh == "再次提醒值班台"
    # The next state has a limit of its own.
    await world.act("desk", consult, Action.TRIAGE)
    assert (await look(world)).counts == {**dict.fromkeys(Watch, 0), Watch.WAITING: 1}


async def test_the_worst_stands_first_and_drafts_and_sealed_ones_nowhere(world: World) -> None:
    routine = await world.request(kind=Kind.ROUTINE)
    world.clock.advance(1.0)
    late = await world.request(kind=Kind.TEACHING)
    await world.request(kind=Kind.ROUTINE, submit=False)
    async with world.services.database.write() as session:
        (await session.get_one(Consultation, late)).reminders = 1
    world.clock.advance(1.0)
    urgent = await world.request(kind=Kind.URGENT)
    unfilled = await world.request(kind=Kind.URGENT, specialty="surgery")
    by_heading = [unfilled, late, urgent, routine]
    found = await look(world, Asked(grouped=True))
    assert [one.row.id for one in found.shown] == by_heading
    assert [one.watch for one in found.shown] == [Watch.UNFILLED, Watch.LATE, Watch.WAITING, Watch.WAITING]
    assert {State.DRAFT, State.ACKNOWLEDGED} | FINAL == frozenset(State) - WATCHED
    for order, first in ((Order.LONGEST, routine), (Order.LIMIT, late), (Order.PLACE, late)):
        found = await look(world, Asked(order=order))
        assert (found.shown[0].row.id, len(found.shown)) == (first, 4), order


async def test_a_province_sees_its_counties_and_a_county_its_own(world: World) -> None:
    async with world.services.database.write() as session:
        for one, level, parent in (
            ("prov", "province", None),
            ("city", "city", "prov"),
            ("other", "county", "city"),
        ):
            session.add(Organization(id=one, name=one, name_en=one, level=level, parent_id=parent))
            await session.flush()
        (await session.get_one(Organization, "org-yunling-hospital")).parent_id = "city"
    await world.request()
    county = {"org-yunling-hospital", "org-qingshi", "org-shiqiao", "org-liuwan"}
    async with world.services.database.read() as session:
        assert set(await group_of(session, "org-liuwan")) == county
        assert await group_of(session, "city") == ["city"]
        assert await group_of(session, "nowhere") == []

        async def seen(place: str, role: Role) -> int:
            actor = replace(world.actor("desk"), organization_id=place, roles=frozenset({role}))
            query = select(Consultation).where(await overseen_by(session, actor))
            return len(list(await session.scalars(query)))

        assert [await seen(one, Role.REGULATOR) for one in ("prov", "city", "other", "org-qingshi")] == [
            1,
            1,
            0,
            1,
        ]
        assert [await seen(one, Role.DESK) for one in ("prov", "city", "other", "org-qingshi")] == [
            0,
            0,
            0,
            1,
        ]
        nobody = replace(world.actor("regulator"), organization_id=None)
        assert (await watching(session, true(), Asked(), world.now, DURATIONS)).matched == 1
        assert (
            list(await session.scalars(select(Consultation).where(await overseen_by(session, nobody)))) == []
        )


async def test_figures_of_a_part_are_none(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    consult = await world.request()
    async with world.services.database.read() as session:
        assert len(await oversight.responses(session, true(), world.now - 1, world.now + 1)) == 1
    await copies(world, consult, 3)
    monkeypatch.setattr(oversight, "OVERSIGHT_ROWS", 3)
    async with world.services.database.read() as session:
        with pytest.raises(RemoteProtocolError, match="a shorter time"):
            await oversight.responses(session, true(), world.now - 1, world.now + 9)


async def test_whoever_sits_for_another_specialty_finds_it_among_their_own(world: World) -> None:
    kind, members = Kind.MULTIDISCIPLINARY, ("cardiology",)
    consult = await world.request(kind=kind, specialty="neurology", members=members)
    await world.act("desk", consult, Action.TRIAGE)
    page = await world.see("desk", consult)
    [asked] = [one.practitioner.id for one in page.offers if one.specialty == "cardiology"]
    member = asked.removeprefix("prc-")
    await world.act(member, consult, Action.ACCEPT)
    wanted = Wanted("mine", (), 50, None)
    found, _ = await world.services.consults.reading.page(world.actor(member), wanted, world.now)
    assert [one.id for one in found] == [consult]

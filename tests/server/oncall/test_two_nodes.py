"""Two nodes on one PostgreSQL: one accept, each timer once, each gap once, one chain, no number twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import pytest_asyncio
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from media.clock import CountedClock
from server.archive.database import Base, Database
from server.archive.migrate import upgrade_database
from server.archive.models import AuditEntry
from server.auth.actor import Role, system_actor
from server.consults import access
from server.consults.access import overseen_by
from server.consults.errors import ActionRefused
from server.consults.models import Consultation, ConsultEvent
from server.consults.oversight import names_of
from server.consults.states import DURATIONS
from server.consults.vocabulary import Action, Kind, State
from server.consults.watching import Asked, Order, Watch, watching
from server.oncall.asking import asks_for
from server.oncall.models import LayerRow, NoticeRow, RotaChanges, ScheduleRow, TimerRow
from server.oncall.watch import RotaWatch
from server.register.scope import Tree, load_tree
from tests.server.consults.flow import accepted, ringing, signed
from tests.server.consults.world import World
from tests.server.postgres import postgres, postgres_url

__all__ = ["postgres", "postgres_url"]


@dataclass
class Nodes:
    """Two server processes' worth of services on one database and one clock."""

    one: World
    two: World


@pytest_asyncio.fixture
async def nodes(postgres_url: str, tmp_path: Path) -> AsyncIterator[Nodes]:
    one = await World.begin(tmp_path, postgres_url)
    two = World.on(tmp_path, one.clock, postgres_url)
    await two.services.consults.start()
    yield Nodes(one, two)
    for world in (one, two):
        await world.end()


async def accepts(world: World) -> Counter[str]:
    """How many accepts each consult has."""
    async with world.services.database.read() as session:
        found = await session.scalars(
            select(ConsultEvent.consultation_id).where(ConsultEvent.action == Action.ACCEPT.value)
        )
        return Counter(found)


async def chain(world: World) -> int:
    """Entries of the audit trail, which must be whole."""
    async with world.services.database.read() as session:
        count, broken = await world.services.audit.verify(session)
    assert broken is None
    return count


def differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, Base.metadata))


async def test_the_migrations_make_exactly_the_models_there_too(postgres_url: str) -> None:
    first, second = Database(postgres_url), Database(postgres_url)
    await asyncio.gather(upgrade_database(first), upgrade_database(second))
    async with first.engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    for database in (first, second):
        await database.close()


async def test_a_whole_consult(nodes: Nodes) -> None:
    consult, _ = await signed(nodes.one)
    await nodes.two.act("village", consult, Action.ACKNOWLEDGE, text="按意见转院")
    assert await nodes.two.advance(72 * 3600) == 1
    assert await nodes.one.state(consult) is State.ARCHIVED
    assert await chain(nodes.two) > 8


async def test_what_is_open_is_counted_and_ordered(nodes: Nodes) -> None:
    await nodes.one.request()
    async with nodes.two.services.database.read() as session:
        reach = await overseen_by(session, nodes.two.actor("desk"))
        for order in Order:
            asked = Asked(kind=Kind.URGENT, specialty="cardiology", order=order, grouped=True)
            found = await watching(session, reach, asked, nodes.two.now, DURATIONS)
            assert (found.counts[Watch.WAITING], found.matched, len(found.shown)) == (1, 1, 1), order
        assert (await watching(session, reach, Asked(late=True), nodes.two.now, DURATIONS)).matched == 0


async def test_more_places_than_a_statement_has_parameters(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """32,767 is the end of a PostgreSQL statement's parameters; a nation has more village clinics."""
    clinics = [f"org-v{number}" for number in range(32_800)]

    async def nation(session: AsyncSession) -> Tree:
        county = await load_tree(session)
        above = {"org-nation": None, "org-apart": None, "org-yunling-hospital": "org-nation"}
        parents = {**county.parents, **above, **dict.fromkeys(clinics, "org-nation")}
        ours = {**county.levels, "org-nation": "national", "org-apart": "national"}
        return Tree(parents, {**dict.fromkeys(clinics, "village"), **ours}, frozenset(parents))

    monkeypatch.setattr(access, "load_tree", nation)
    await nodes.one.request()
    desk = nodes.two.actor("desk")
    async with nodes.two.services.database.read() as session:
        for role, matched in ((Role.REGULATOR, 1), (Role.DESK, 0)):
            actor = replace(desk, organization_id="org-nation", roles=frozenset({role}))
            reach = await overseen_by(session, actor)
            found = await watching(session, reach, Asked(), nodes.two.now, DURATIONS)
            assert found.matched == matched, role
            assert await asks_for(session, actor, nodes.two.now) == []
        assert set(await names_of(session, [*clinics, "org-liuwan"])) == {"org-liuwan"}


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit_entries SET action = 'y'", "DELETE FROM audit_entries", "TRUNCATE audit_entries"],
)
async def test_the_database_refuses_to_change_the_trail(nodes: Nodes, statement: str) -> None:
    await nodes.one.request()
    with pytest.raises(DBAPIError, match="append-only"):
        async with nodes.one.services.database.write() as session:
            await session.execute(text(statement))


async def test_two_experts_accept_at_once_on_two_nodes(nodes: Nodes) -> None:
    policy = {"urgent": {"everyoneByS": 0, "steps": [{}]}}
    async with nodes.one.services.database.write() as session:
        await session.execute(update(ScheduleRow).values(policy=policy))
    for _ in range(8):
        consult = await nodes.one.request()
        rung = await ringing(nodes.one, consult)
        assert len(rung) == 2
        took = await asyncio.gather(
            nodes.one.act(rung[0], consult, Action.ACCEPT),
            nodes.two.act(rung[1], consult, Action.ACCEPT),
            return_exceptions=True,
        )
        [refusal] = [one for one in took if one is not None]
        assert isinstance(refusal, ActionRefused)
        assert refusal.code.code == "already_taken"
        assert (await accepts(nodes.two))[consult] == 1
    await chain(nodes.one)


async def test_an_accept_and_the_end_of_the_ring_at_once(nodes: Nodes) -> None:
    for _ in range(8):
        consult = await nodes.one.request()
        [expert] = await ringing(nodes.one, consult)
        nodes.one.clock.advance(60)
        took = await asyncio.gather(
            nodes.one.act(expert, consult, Action.ACCEPT),
            nodes.two.services.dispatcher.run_due(nodes.two.now),
            return_exceptions=True,
        )
        await nodes.one.advance(0)
        state = await nodes.one.state(consult)
        assert (state is State.ACCEPTED) == (took[0] is None)
        assert state in (State.ACCEPTED, State.OFFERED, State.UNFILLED)
        if state is State.ACCEPTED:
            await nodes.one.act("village", consult, Action.CANCEL, reason="误报")


async def test_a_change_on_one_node_is_rung_by_the_other_at_once(nodes: Nodes) -> None:
    consult = await nodes.two.request()
    [first] = await ringing(nodes.two, consult)
    async with nodes.one.services.database.write() as session:
        for layer in await session.scalars(select(LayerRow).where(LayerRow.schedule_id == "sch-cardiology")):
            layer.members = [one for one in layer.members if one != f"prc-{first}"]
    consult = await nodes.two.request()
    assert await ringing(nodes.two, consult) not in ([], [first])


async def test_changes_that_cross_do_not_wait_for_each_other(nodes: Nodes) -> None:
    """Each counts its change when it commits: neither holds the count while it waits for a row."""

    async def change(world: World, first: str, second: str) -> None:
        async with world.services.database.write() as session:
            for one in (first, second):
                rota = update(ScheduleRow).where(ScheduleRow.id == one).values(name=f"{first} {second}")
                await session.execute(rota)
                await asyncio.sleep(0)

    before = await changes(nodes.one)
    await asyncio.gather(
        *(change(one, "sch-cardiology", "sch-neurology") for one in (nodes.one, nodes.two) for _ in range(4))
    )
    assert await changes(nodes.one) == before + 8


async def changes(world: World) -> int:
    async with world.services.database.read() as session:
        return (await session.scalars(select(RotaChanges.count))).one()


async def test_a_timer_is_taken_once(nodes: Nodes) -> None:
    consults = [await nodes.one.request() for _ in range(12)]
    nodes.one.clock.advance(60)
    await asyncio.gather(*(one.services.dispatcher.run_due(one.now) for one in (nodes.one, nodes.two)))
    await nodes.one.advance(0)
    async with nodes.one.services.database.read() as session:
        timeouts = Counter(
            await session.scalars(
                select(ConsultEvent.consultation_id).where(ConsultEvent.action == Action.RING_TIMEOUT.value)
            )
        )
        due = await session.scalar(select(func.count()).where(TimerRow.due <= nodes.one.now))
    assert timeouts == dict.fromkeys(consults, 1)
    assert due == 0
    await chain(nodes.two)


async def test_requests_made_at_once_have_numbers_of_their_own(nodes: Nodes) -> None:
    await asyncio.gather(*(one.request() for one in (nodes.one, nodes.two) for _ in range(6)))
    async with nodes.one.services.database.read() as session:
        numbers = sorted(await session.scalars(select(Consultation.number)))
    assert numbers == [f"HZ20260101-{number:04d}" for number in range(1, 13)]
    assert await chain(nodes.one) >= 12


async def test_a_gap_is_announced_once(nodes: Nodes) -> None:
    async with nodes.one.services.database.write() as session:
        await session.execute(delete(LayerRow).where(LayerRow.schedule_id == "sch-neurology"))
    watches = [RotaWatch(one.services) for one in (nodes.one, nodes.two)]
    told = await asyncio.gather(*(watch.look(nodes.one.now) for watch in watches))
    assert sorted(map(bool, told)) == [False, True]
    async with nodes.one.services.database.read() as session:
        notices = select(func.count()).where(
            NoticeRow.schedule_id == "sch-neurology", NoticeRow.kind == "gap"
        )
        entries = select(func.count()).where(AuditEntry.action == "rota.gap")
        assert await session.scalar(notices) == 1
        assert await session.scalar(entries) == 1


async def test_a_node_that_dies_in_the_middle_of_an_accept_leaves_the_ring(
    nodes: Nodes, postgres_url: str
) -> None:
    consult, _ = await accepted(nodes.one)
    await nodes.one.act("village", consult, Action.CANCEL, reason="误报")
    consult = await nodes.one.request()
    [expert] = await ringing(nodes.one, consult)
    database = Database(postgres_url)
    async with database.engine.connect() as connection:
        await connection.execute(text("UPDATE consultations SET state = 'ACCEPTED', version = version + 1"))
        await connection.invalidate()  # the connection is lost before the commit, as by kill -9
    await database.close()
    assert await nodes.two.state(consult) is State.OFFERED
    await nodes.two.act(expert, consult, Action.ACCEPT)
    assert await nodes.one.state(consult) is State.ACCEPTED


async def test_the_clock_jumps_ahead_on_one_node_only(nodes: Nodes) -> None:
    consult = await nodes.one.request()
    nodes.two.clock = CountedClock(wall=nodes.one.now + 3600)
    assert await nodes.two.services.dispatcher.run_due(nodes.two.clock.wall()) >= 1
    assert await nodes.one.advance(0) == 0
    async with nodes.one.services.database.read() as session:
        timer = await session.get(TimerRow, consult)
    assert timer is not None


async def test_the_database_hashes_a_link_as_the_walk_does(nodes: Nodes) -> None:
    odd = {"z": '"\\ 会诊 \n', "a": [1, None, True], "nul": "\0", "nested": {"b": {}, "a": 1.5}}
    for world in (nodes.one, nodes.two):
        async with world.services.database.write() as session:
            for subject in ("con-a", "心内科", 'a"b'):
                await world.services.audit.record(session, system_actor(), "x.do", "thing", subject, odd)
    assert await chain(nodes.one) >= 6
    async with nodes.one.services.database.read() as session:
        details = await session.scalars(select(AuditEntry.detail).where(AuditEntry.action == "x.do"))
        assert list(details) == [odd] * 6

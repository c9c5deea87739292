"""The book of who may be asked: places, rotas and desks in memory, while nothing about them changes.

It is read thousands of times between two changes of a rota. Triggers count the changes (``rota_changes``); a
transaction reads the count, which is one row, and turns a new page when it has moved. So no node ever uses a
rota that a committed change has replaced, and none has to be told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import String, cast, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.archive.models import Alliance, AllianceMember, Organization, Practitioner
from server.auth.actor import Role
from server.consults.vocabulary import Kind
from server.oncall.limits import SCHEDULES_RUNG
from server.oncall.models import RotaChanges, ScheduleRow
from server.oncall.nearness import Place, tiers
from server.oncall.policy import Policy, policies_of
from server.oncall.rota import Schedule
from server.oncall.rota_line import lines_until
from server.oncall.schedules import load_schedules
from server.register.levels import Level
from server.register.limits import DEPTH

PAGE_S = 86_400.0
"""A page is read anew after a day: holidays and overrides are loaded around the time of loading."""

COUNT = select(RotaChanges.__table__.c.count)
COUNT_READ = "book_count"
"""In ``session.info``: the count, when another query of the running transaction has brought it along."""

_PAGE = "book_page"
"""In ``session.info``: the page of the running transaction."""

Lines = list[tuple[int, tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class Rota:
    """A rota and where it is kept."""

    schedule: Schedule
    place: Place
    policies: Mapping[Kind, Policy]


@dataclass(slots=True)
class Page:
    """What stood when ``count`` changes had been made. Specialties are filled in when they are asked for."""

    count: int
    since: float
    parents: Mapping[str, str | None]
    levels: Mapping[str, str]
    allies: Mapping[str, frozenset[str]]
    desks: Mapping[str, tuple[str, ...]]
    rotas: dict[str, dict[str, Rota]] = field(default_factory=dict)
    lines: dict[str, tuple[float, float, Lines]] = field(default_factory=dict)

    def holds(self, count: int, now: float) -> bool:
        return count == self.count and self.since <= now < self.since + PAGE_S

    def above(self, organization_id: str) -> list[str]:
        """The organization and those above it, the topmost last."""
        return _above(self.parents, organization_id)

    def desks_of(self, organization_id: str) -> tuple[str, ...]:
        """As `access.desks_of`."""
        return self.desks.get(_root(self.parents, self.levels, organization_id), ())

    def near(self, rotas: Mapping[str, Rota], home: str) -> list[tuple[int, Rota]]:
        """(tier, rota) of those that somebody at ``home`` may use, the nearest first."""
        above = self.above(home)
        found = tiers((one.place for one in rotas.values()), above, self.levels, SCHEDULES_RUNG)
        return [(tier, rotas[schedule_id]) for tier, schedule_id in found]

    def on_call(self, schedule: Schedule, now: float) -> Lines:
        """As `rota_line.lines_at`, reckoned once for as long as nothing changes in the rota."""
        known = self.lines.get(schedule.id)
        if known is None or not known[0] <= now < known[1]:
            lines, until = lines_until(schedule, now)
            known = self.lines[schedule.id] = (now, until, lines)
        return known[2]


class Book:
    """Holds the newest page. One for a process."""

    def __init__(self) -> None:
        self._page: Page | None = None

    async def open(self, session: AsyncSession, now: float) -> Page:
        """What stands in this transaction."""
        page: Page | None = session.info.get(_PAGE)
        if page is None:
            count = session.info.get(COUNT_READ)
            if count is None:
                count = (await session.execute(COUNT)).scalar_one()
            if self._page is None or not self._page.holds(count, now):
                self._page = await _read(session, count, now)
            page = session.info[_PAGE] = self._page
        return page

    def guess(self, session: AsyncSession, specialty: str, now: float) -> tuple[Page, dict[str, Rota]] | None:
        """What `rotas` would give if nothing has changed since; it is to be confirmed. None: not read yet."""
        page: Page | None = session.info.get(_PAGE, self._page)
        if page is None or not page.holds(page.count, now) or specialty not in page.rotas:
            return None
        return page, page.rotas[specialty]

    def confirm(self, session: AsyncSession, page: Page, count: int | None) -> bool:
        """Whether ``page`` stands in this transaction, which read ``count`` (`COUNT`); then it stays so."""
        stands = count == page.count
        if stands:
            session.info.setdefault(_PAGE, page)
        return stands

    async def rotas(self, session: AsyncSession, specialty: str, now: float) -> tuple[Page, dict[str, Rota]]:
        """The page, and on it all rotas of a specialty by their ids."""
        page = await self.open(session, now)
        if specialty not in page.rotas:
            page.rotas[specialty] = await _rotas(session, page, specialty)
        return page, page.rotas[specialty]


async def _read(session: AsyncSession, count: int, now: float) -> Page:
    places = await session.execute(select(Organization.id, Organization.parent_id, Organization.level))
    parents: dict[str, str | None] = {}
    levels: dict[str, str] = {}
    for one, parent, level in places:
        parents[one], levels[one] = parent, level
    desks: dict[str, list[str]] = {}
    at_desks = select(Practitioner.id, Practitioner.organization_id).where(
        Practitioner.active, cast(Practitioner.roles, String).like(f'%"{Role.DESK.value}"%')
    )
    for one, place in await session.execute(at_desks.order_by(Practitioner.id)):
        desks.setdefault(_root(parents, levels, place), []).append(one)
    told = {root: tuple(people) for root, people in desks.items()}
    return Page(count, now, parents, levels, await _allies(session), told)


async def _allies(session: AsyncSession) -> dict[str, frozenset[str]]:
    """Organization -> those with which it shares a standing alliance."""
    query = select(AllianceMember.alliance_id, AllianceMember.organization_id)
    query = query.join(Alliance, Alliance.id == AllianceMember.alliance_id).where(Alliance.active)
    members: dict[str, set[str]] = {}
    for alliance, one in await session.execute(query):
        members.setdefault(alliance, set()).add(one)
    found: dict[str, set[str]] = {}
    for together in members.values():
        for one in together:
            found.setdefault(one, set()).update(together - {one})
    return {one: frozenset(others) for one, others in found.items()}


async def _rotas(session: AsyncSession, page: Page, specialty: str) -> dict[str, Rota]:
    schedules = await load_schedules(session, specialty, since=page.since)
    found = {}
    for one in schedules:
        row = await session.get_one(ScheduleRow, one.id)  # loaded with its layers just now
        home = row.organization_id
        allies = page.allies.get(home, frozenset())
        place = Place(one.id, page.levels[home], page.above(home), allies)
        found[one.id] = Rota(one, place, policies_of(row.policy))
    return found


def _above(parents: Mapping[str, str | None], organization_id: str) -> list[str]:
    found: list[str] = []
    one: str | None = organization_id
    while one is not None and one in parents and len(found) <= DEPTH:
        found.append(one)
        one = parents[one]
    return found


def _root(parents: Mapping[str, str | None], levels: Mapping[str, str], organization_id: str) -> str:
    """As `access.root_of`."""
    above = _above(parents, organization_id)
    county = (one for one in above if Level(levels[one]).rank >= Level.COUNTY.rank)
    return next(county, above[-1] if above else organization_id)

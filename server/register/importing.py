"""A file into the register, and the register into a file.

Reading and checking run in a thread; what is written is written in one transaction, after the file was held
against the register as that transaction sees it. Who is known again by code or number is changed, never made
twice; a line that changes nothing writes nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import date, datetime
from typing import Any, Literal, cast
from zoneinfo import ZoneInfo

from sqlalchemy import Table, bindparam, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from media.errors import LocalProtocolError
from server.archive.audit import AuditLog
from server.archive.database import Base, Database
from server.archive.ids import new_id
from server.archive.models import Account, AuditEntry, Organization, Practitioner, RefreshToken
from server.archive.specialties import SPECIALTIES
from server.auth.actor import Actor, Role
from server.errors import BUSY
from server.register.csv_check import (
    ROLE_WORDS,
    Known,
    OrganizationLine,
    PersonLine,
    check_organizations,
    check_people,
)
from server.register.csv_columns import COLUMNS, Kind, lines_of
from server.register.csv_text import BadLine, read_table, write_table
from server.register.facts import PersonFacts
from server.register.levels import LEVEL_NAMES, Level
from server.register.limits import NAMED_AT_ONCE, PROBLEMS_TOLD
from server.register.people import NO_PASSWORD
from server.register.scope import Scope, scope_of

Mode = Literal["check", "all", "good"]
"""``check`` writes nothing; ``all`` writes when every line is good; ``good`` writes the good ones."""

_SPECIALTY_WORDS = {one.code: one.zh for one in SPECIALTIES}
_CHUNK = 500  # rows a statement: the event loop breathes between two


@dataclass(frozen=True, slots=True)
class Report:
    """What a file holds, or did. ``problems``: the first ones in the order of lines; ``bad``: bad lines.

    :param lines: rows of the table, header and empty lines left out.
    :param new: lines that are (or would be) new in the register.
    :param changed: lines that change somebody or something known.
    :param same: lines that say what the register says.
    :param written: whether anything was written.
    :param closed: people whose accounts it closed, or would.
    """

    lines: int
    new: int
    changed: int
    same: int
    bad: int
    problems: tuple[BadLine, ...]
    written: bool
    closed: tuple[str, ...] = ()


@dataclass(slots=True)
class _Plan:
    """Rows to write, as columns by name. ``closed``, ``opened``: people whose accounts follow them."""

    new: list[dict[str, Any]] = field(default_factory=list)
    changed: list[dict[str, Any]] = field(default_factory=list)
    same: int = 0
    accounts: list[dict[str, Any]] = field(default_factory=list)
    renamed: list[dict[str, Any]] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)


class Importer:
    """Reads one file at a time: each holds its lines several times over.

    :param zone: the clinics'; closing dates without a day are of its today.
    """

    def __init__(self, database: Database, audit: AuditLog, zone: ZoneInfo) -> None:
        self._database = database
        self._audit = audit
        self._zone = zone
        self._running = False

    async def run(self, actor: Actor, kind: Kind, data: bytes, mode: Mode, now: float) -> Report:
        """Read, check and, as ``mode`` says, write.

        The file is checked before a writer's turn is taken: a consult's step must not wait for a file. What
        changed in the register meanwhile makes it be checked again.

        :raises LocalProtocolError: busy, while another file is being read.
        """
        if self._running:
            raise LocalProtocolError(BUSY, "another file is being read")
        self._running = True
        try:
            return await self._run(actor, kind, data, mode, now)
        finally:
            self._running = False

    async def _run(self, actor: Actor, kind: Kind, data: bytes, mode: Mode, now: float) -> Report:
        async with self._database.read() as session:
            stamp = await _stamp(session)
            checked = await _checked(session, actor, kind, data, (now, self._zone))
        if not checked.writes(mode):
            return checked.report(False)
        async with self._database.write() as session:
            if await _stamp(session) != stamp:
                checked = await _checked(session, actor, kind, data, (now, self._zone))
            if checked.writes(mode):
                plan = checked.plan
                await _write(session, Organization if kind == "organizations" else Practitioner, plan)
                digest = hashlib.sha256(data).hexdigest()
                detail = {"new": len(plan.new), "changed": len(plan.changed), "file": digest}
                await self._audit.record(session, actor, "register.import", "register", kind, detail)
                self._name_rows(session, actor, kind, plan, digest)
        return checked.report(checked.writes(mode))

    def _name_rows(self, session: AsyncSession, actor: Actor, kind: Kind, plan: _Plan, digest: str) -> None:
        """Whom the file changed stands in the trail as after any other change; many to an entry."""
        named = {
            "new": [row["id"] for row in plan.new],
            "changed": [row["row"] for row in plan.changed],
            "closed": plan.closed,
            "opened": plan.opened,
        }
        for what, ids in named.items():
            for start in range(0, len(ids), NAMED_AT_ONCE):
                detail = {what: ids[start : start + NAMED_AT_ONCE], "file": digest}
                self._audit.note(session, actor, "register.import", "register", kind, detail)

    async def export(self, session: AsyncSession, actor: Actor, kind: Kind) -> bytes:
        """The same table, of what ``actor`` maintains; reading it in again changes nothing."""
        scope = await scope_of(session, actor)
        rows = await (_organization_rows if kind == "organizations" else _people_rows)(session, scope)
        await self._audit.record(session, actor, "register.export", "register", kind, {"rows": len(rows)})
        header = [column.zh for column in COLUMNS[kind]]
        return await asyncio.to_thread(write_table, header, rows)


@dataclass(frozen=True, slots=True)
class _Checked:
    count: int
    plan: _Plan
    problems: list[BadLine]

    def writes(self, mode: Mode) -> bool:
        wanted = mode == "good" or (mode == "all" and not self.problems)
        return wanted and bool(self.plan.new or self.plan.changed)

    def report(self, written: bool) -> Report:
        told = tuple(sorted(self.problems, key=lambda one: one.line)[:PROBLEMS_TOLD])
        bad = len({problem.line for problem in self.problems})
        plan = self.plan
        counts = (self.count, len(plan.new), len(plan.changed), plan.same, bad)
        return Report(*counts, told, written, tuple(plan.closed))


async def _checked(
    session: AsyncSession, actor: Actor, kind: Kind, data: bytes, at: tuple[float, ZoneInfo]
) -> _Checked:
    now, zone = at
    today = datetime.fromtimestamp(now, zone).date()
    known = await known_of(session, await scope_of(session, actor), today)
    if kind == "organizations":
        count, places, problems = await asyncio.to_thread(_read_organizations, data, known)
        return _Checked(count, await _plan_organizations(session, known, places), problems)
    count, people, problems = await asyncio.to_thread(_read_people, data, known)
    return _Checked(count, await _plan_people(session, known, people, now), problems)


async def _stamp(session: AsyncSession) -> tuple[int, ...]:
    """Different when the register is: its changes stand in the audit trail, and rows do not go."""
    kinds = ("organization", "practitioner", "account", "register")
    newest = select(func.max(AuditEntry.sequence)).where(AuditEntry.subject_type.in_(kinds))
    counts = [select(func.count()).select_from(one) for one in (Organization, Practitioner, Account)]
    return tuple([await session.scalar(one) or 0 for one in (newest, *counts)])


async def known_of(session: AsyncSession, scope: Scope, today: date) -> Known:
    """The register as this transaction sees it."""
    codes = await session.execute(
        select(Organization.code, Organization.id).where(Organization.code.is_not(None))
    )
    people = await session.execute(
        select(
            Practitioner.registration, Practitioner.id, Practitioner.organization_id, Practitioner.roles
        ).where(Practitioner.registration.is_not(None))
    )
    names = await session.execute(select(Account.username, Account.practitioner_id))
    return Known(
        organizations={row.code: row.id for row in codes},
        levels=scope.tree.levels,
        parents=scope.tree.parents,
        open_ids=frozenset(scope.tree.active),
        scope=scope.organizations,
        people={
            number.reveal(): (one, home, tuple(roles))
            for number, one, home, roles in people
            if number is not None
        },
        usernames={name: owner or "" for name, owner in names},
        admin=scope.admin,
        today=today,
        sender=scope.actor_id,
    )


def _read_people(data: bytes, known: Known) -> tuple[int, list[PersonLine], list[BadLine]]:
    table = read_table(data)
    lines, problems = lines_of(table, "practitioners")
    good, wrong = check_people(lines, known)
    return len(table.rows), good, [*problems, *wrong]


def _read_organizations(data: bytes, known: Known) -> tuple[int, list[OrganizationLine], list[BadLine]]:
    table = read_table(data)
    lines, problems = lines_of(table, "organizations")
    good, wrong = check_organizations(lines, known)
    return len(table.rows), good, [*problems, *wrong]


async def _plan_organizations(session: AsyncSession, known: Known, lines: list[OrganizationLine]) -> _Plan:
    plan, ids = _Plan(), dict(known.organizations)
    standing = {row.id: row for row in await session.scalars(select(Organization))}
    for one in lines:
        parent_id = ids.get(one.parent_code or "")
        columns = {**asdict(one.facts), "parent_id": parent_id}
        columns |= {"active": one.active, "closed_on": one.closed_on}
        row = standing.get(ids.get(one.code, ""))
        if row is None:
            ids[one.code] = new_id("org")
            plan.new.append({"id": ids[one.code], "version": 1, **columns})
        else:
            _compare(plan, row, columns)
    return plan


async def _plan_people(session: AsyncSession, known: Known, lines: list[PersonLine], now: float) -> _Plan:
    plan = _Plan()
    standing = {row.id: row for row in await session.scalars(select(Practitioner))}
    query = select(Account).where(Account.practitioner_id.is_not(None))
    accounts = {row.practitioner_id: row for row in await session.scalars(query)}
    for one in lines:
        columns = {entry.name: getattr(one.facts, entry.name) for entry in fields(PersonFacts)}
        columns |= {name: list(columns[name]) for name in ("roles", "specialties", "languages")}
        columns |= {"active": one.active, "closed_on": one.closed_on}
        person_id = known.people.get(one.registration, (new_id("prc"),))[0]
        row = standing.get(person_id)
        account = accounts.get(person_id)
        # A changed user name changes the person's line: the account has no version of its own.
        touched = one.username is not None and (account is None or account.username != one.username)
        if row is None:
            plan.new.append({"id": person_id, "version": 1, **columns})
        else:
            _compare(plan, row, columns, touched)
            if row.active != one.active:
                (plan.opened if one.active else plan.closed).append(person_id)
        if touched and account is None:
            plan.accounts.append(_account(person_id, one, now))
        elif touched and account is not None:
            plan.renamed.append({"row": account.id, "username": one.username})
    return plan


def _account(person_id: str, line: PersonLine, now: float) -> dict[str, Any]:
    """Without a password: the desk gives a temporary one when the person comes for it."""
    return {
        "id": new_id("acc"),
        "username": line.username,
        "password_hash": NO_PASSWORD,
        "practitioner_id": person_id,
        "disabled": not line.active,
        "created_at": now,
        "temporary_until": None,
    }


def _compare(
    plan: _Plan, row: Organization | Practitioner, columns: Mapping[str, Any], touched: bool = False
) -> None:
    if touched or any(getattr(row, name) != value for name, value in columns.items()):
        plan.changed.append({"row": row.id, "version": row.version + 1, **columns})
    else:
        plan.same += 1


async def _write(session: AsyncSession, kind: type[Organization] | type[Practitioner], plan: _Plan) -> None:
    await _in_chunks(session, insert(kind), plan.new)
    await _in_chunks(session, _update(kind, plan.changed), plan.changed)
    await _in_chunks(session, insert(Account), plan.accounts)
    await _in_chunks(session, _update(Account, plan.renamed), plan.renamed)
    for people, disabled in ((plan.closed, True), (plan.opened, False)):
        for start in range(0, len(people), _CHUNK):
            mine = Account.practitioner_id.in_(people[start : start + _CHUNK])
            signed_in = select(Account.id).where(mine)
            await session.execute(delete(RefreshToken).where(RefreshToken.account_id.in_(signed_in)))
            await session.execute(update(Account).where(mine).values(disabled=disabled))


def _update(kind: type[Base], rows: list[dict[str, Any]]) -> Any:
    table = cast(Table, kind.__table__)
    names = [name for name in (rows[0] if rows else {}) if name != "row"]
    changed = update(table).where(table.c.id == bindparam("row"))
    return changed.values({name: bindparam(name) for name in names})


async def _in_chunks(session: AsyncSession, statement: Any, rows: list[dict[str, Any]]) -> None:
    connection = await session.connection()
    for start in range(0, len(rows), _CHUNK):
        await connection.execute(statement, rows[start : start + _CHUNK])


async def _organization_rows(session: AsyncSession, scope: Scope) -> list[tuple[str, ...]]:
    rows = {row.id: row for row in await session.scalars(select(Organization).order_by(Organization.id))}
    found: list[tuple[str, ...]] = []
    for row in rows.values():
        if row.id not in scope.organizations:
            continue
        parent = rows.get(row.parent_id or "")
        level = LEVEL_NAMES[Level(row.level)][0]
        code, parent_code = row.code or "", (parent.code or "") if parent is not None else ""
        found.append((code, row.name, row.name_en, level, parent_code, row.address, *_standing(row)))
    return found


async def _people_rows(session: AsyncSession, scope: Scope) -> list[tuple[str, ...]]:
    query = (
        select(Practitioner, Organization.code, Account.username)
        .join(Organization, Practitioner.organization_id == Organization.id)
        .outerjoin(Account, Account.practitioner_id == Practitioner.id)
        .order_by(Practitioner.id)
    )
    return [
        (
            row.registration.reveal() if row.registration else "",
            row.name.reveal(),
            row.name_en.reveal(),
            code or "",
            row.title,
            row.title_en,
            "；".join(ROLE_WORDS[Role(role)] for role in row.roles),
            "；".join(_SPECIALTY_WORDS.get(one, one) for one in row.specialties),
            "；".join(row.languages),
            row.phone.reveal() if row.phone else "",
            username or "",
            *_standing(row),
        )
        for row, code, username in await session.execute(query)
        if row.organization_id in scope.organizations
    ]


def _standing(row: Organization | Practitioner) -> tuple[str, str]:
    return ("在用" if row.active else "停用", row.closed_on or "")

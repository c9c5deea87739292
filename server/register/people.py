"""Changes of practitioners and their accounts, and of devices: checked, versioned and noted, in the caller's
transaction."""

from __future__ import annotations

import secrets
from dataclasses import asdict, fields
from datetime import date
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from media.errors import NOT_FOUND, RemoteProtocolError
from server.archive.audit import AuditLog
from server.archive.ids import ALPHABET, new_id
from server.archive.models import Account, Device, Practitioner, RefreshToken, Site
from server.archive.specialties import specialty
from server.auth.actor import Actor, Role
from server.auth.service import DEVICE_TOKEN_PREFIX, token_digest
from server.register import errors
from server.register.facts import DeviceFacts, PersonFacts
from server.register.limits import TEMPORARY_PASSWORD_S
from server.register.places import held
from server.register.scope import Scope, need_other

NO_PASSWORD = "!"  # noqa: S105 - what stands in place of a hash and matches nothing
_LISTS = ("roles", "specialties", "languages")


def temporary_password() -> str:
    """Three groups of four, 60 random bits: can be read over a telephone."""
    groups = ("".join(secrets.choice(ALPHABET) for _ in range(4)) for _ in range(3))
    return "-".join(groups)


class People:
    """Practitioners, accounts, devices. Stateless but for the audit log."""

    def __init__(self, audit: AuditLog) -> None:
        self._audit = audit

    async def add(
        self, session: AsyncSession, actor: Actor, scope: Scope, facts: PersonFacts
    ) -> Practitioner:
        scope.need_open(facts.organization_id)
        scope.need_roles((), facts.roles)
        check_specialties(facts)
        row = Practitioner(id=new_id("prc"), active=True, closed_on=None, version=1)
        fill_person(row, facts)
        await _need_free_registration(session, facts, row.id)
        session.add(row)
        await self._note(session, actor, "practitioner.create", row.id, {"roles": list(facts.roles)})
        return row

    async def change(
        self,
        session: AsyncSession,
        actor: Actor,
        scope: Scope,
        practitioner_id: str,
        version: int,
        facts: PersonFacts,
    ) -> Practitioner:
        row = await held(session, Practitioner, practitioner_id, version)
        scope.need(row.organization_id)
        if facts.organization_id != row.organization_id:
            scope.need_open(facts.organization_id)
        scope.need_roles(row.roles, facts.roles)
        if not set(row.roles) <= set(facts.roles):
            need_other(scope, row)
        check_specialties(facts)
        await _need_free_registration(session, facts, row.id)
        changed = fill_person(row, facts)
        detail = {"version": row.version, "changed": changed, "roles": list(facts.roles)}
        await self._note(session, actor, "practitioner.change", row.id, detail)
        return row

    async def set_active(
        self,
        session: AsyncSession,
        actor: Actor,
        scope: Scope,
        practitioner_id: str,
        version: int,
        active: bool,
        on: date,
    ) -> Practitioner:
        """Close (signed out everywhere) or open again. What they signed stays theirs."""
        row = await held(session, Practitioner, practitioner_id, version)
        scope.need(row.organization_id)
        scope.need_roles(row.roles, ())
        need_other(scope, row)
        if active:
            scope.need_open(row.organization_id)
        row.active, row.closed_on = active, None if active else on.isoformat()
        account = await account_of(session, row.id)
        if account is not None:
            account.disabled = not active
            await _sign_out(session, account)
        action = "practitioner.open" if active else "practitioner.close"
        await self._note(session, actor, action, row.id, {"version": row.version, "on": row.closed_on})
        return row

    async def give_account(
        self,
        session: AsyncSession,
        actor: Actor,
        scope: Scope,
        practitioner_id: str,
        username: str,
        hashed: str,
        now: float,
    ) -> Account:
        """A first account, or another user name; its password is temporary.

        :param hashed: the hash of the temporary password, made before the transaction began.
        """
        person = await self._keeping(session, scope, practitioner_id)
        taken = await session.scalar(select(Account).where(Account.username == username))
        if taken is not None and taken.practitioner_id != person.id:
            raise RemoteProtocolError(errors.USERNAME_TAKEN)
        account = await account_of(session, person.id)
        if account is None:
            account = Account(id=new_id("acc"), practitioner_id=person.id, disabled=False, created_at=now)
            session.add(account)
        account.username = username
        await self._set_temporary(session, actor, account, hashed, now, "account.give")
        return account

    async def reset_password(
        self,
        session: AsyncSession,
        actor: Actor,
        scope: Scope,
        practitioner_id: str,
        hashed: str,
        now: float,
    ) -> Account:
        """A temporary password in place of the person's own; every browser of theirs is signed out."""
        person = await self._keeping(session, scope, practitioner_id)
        account = await account_of(session, person.id)
        if account is None:
            raise RemoteProtocolError(errors.NO_ACCOUNT)
        await self._set_temporary(session, actor, account, hashed, now, "account.reset_password")
        return account

    async def add_device(
        self, session: AsyncSession, actor: Actor, scope: Scope, facts: DeviceFacts
    ) -> tuple[Device, str]:
        """The device and its token, which is shown once."""
        await _check_device(session, scope, facts, "")
        token = DEVICE_TOKEN_PREFIX + secrets.token_urlsafe(32)
        row = Device(id=new_id("dev"), **asdict(facts), token_hash=token_digest(token))
        row.disabled, row.version = False, 1
        session.add(row)
        await self._note(session, actor, "device.create", row.id, {"organization": facts.organization_id})
        return row, token

    async def change_device(
        self,
        session: AsyncSession,
        actor: Actor,
        scope: Scope,
        device_id: str,
        version: int,
        facts: DeviceFacts,
        active: bool,
    ) -> Device:
        row = await held(session, Device, device_id, version)
        scope.need(row.organization_id)
        await _check_device(session, scope, facts, row.id)
        changed = [name for name, value in asdict(facts).items() if getattr(row, name) != value]
        for name in changed:
            setattr(row, name, getattr(facts, name))
        row.disabled = not active
        detail = {"version": row.version, "changed": changed, "active": active}
        await self._note(session, actor, "device.change", row.id, detail)
        return row

    async def new_device_token(
        self, session: AsyncSession, actor: Actor, scope: Scope, device_id: str, version: int
    ) -> tuple[Device, str]:
        """Another token; the old one ends."""
        row = await held(session, Device, device_id, version)
        scope.need(row.organization_id)
        token = DEVICE_TOKEN_PREFIX + secrets.token_urlsafe(32)
        row.token_hash = token_digest(token)
        await self._note(session, actor, "device.token", row.id, {"version": row.version})
        return row, token

    async def _keeping(self, session: AsyncSession, scope: Scope, practitioner_id: str) -> Practitioner:
        person = await session.get(Practitioner, practitioner_id, with_for_update=True)
        if person is None or not person.active:
            raise RemoteProtocolError(NOT_FOUND, "practitioner")
        scope.need(person.organization_id)
        scope.need_roles(person.roles, ())
        return person

    async def _set_temporary(
        self, session: AsyncSession, actor: Actor, account: Account, hashed: str, now: float, action: str
    ) -> None:
        account.password_hash = hashed
        account.temporary_until = now + TEMPORARY_PASSWORD_S
        await session.flush()
        await _sign_out(session, account)
        await self._note(session, actor, action, account.id, {"practitioner": account.practitioner_id})

    async def _note(
        self, session: AsyncSession, actor: Actor, action: str, row_id: str, detail: dict[str, Any]
    ) -> None:
        await self._audit.record(session, actor, action, action.partition(".")[0], row_id, detail)


def fill_person(row: Practitioner, facts: PersonFacts) -> list[str]:
    """Write ``facts`` into ``row``; the names of the columns that changed."""
    changed: list[str] = []
    for entry in fields(facts):
        value = getattr(facts, entry.name)
        value = list(value) if entry.name in _LISTS else value
        if getattr(row, entry.name) != value:
            setattr(row, entry.name, value)
            changed.append(entry.name)
    return changed


def check_specialties(facts: PersonFacts) -> None:
    """:raises RemoteProtocolError: no_such_specialty_code, expert_without_specialty."""
    for code in facts.specialties:
        if specialty(code) is None:
            raise RemoteProtocolError(errors.NO_SPECIALTY)
    if Role.EXPERT in facts.roles and not facts.specialties:
        raise RemoteProtocolError(errors.EXPERT_WITHOUT)


async def account_of(session: AsyncSession, practitioner_id: str) -> Account | None:
    found: Account | None = await session.scalar(
        select(Account).where(Account.practitioner_id == practitioner_id)
    )
    return found


async def _need_free_registration(session: AsyncSession, facts: PersonFacts, row_id: str) -> None:
    if facts.registration is None:
        return
    taken = select(Practitioner.id).where(
        Practitioner.registration == facts.registration, Practitioner.id != row_id
    )
    if await session.scalar(taken) is not None:
        raise RemoteProtocolError(errors.REGISTRATION_TAKEN)


async def _sign_out(session: AsyncSession, account: Account) -> None:
    await session.execute(delete(RefreshToken).where(RefreshToken.account_id == account.id))


async def _check_device(session: AsyncSession, scope: Scope, facts: DeviceFacts, row_id: str) -> None:
    scope.need_open(facts.organization_id)
    if facts.site_id is not None:
        site = await session.get(Site, facts.site_id)
        if site is None or not site.active or site.organization_id != facts.organization_id:
            raise RemoteProtocolError(errors.NO_SUCH_PLACE)
    if facts.serial:
        taken = select(Device.id).where(Device.serial == facts.serial, Device.id != row_id)
        if await session.scalar(taken) is not None:
            raise RemoteProtocolError(errors.SERIAL_TAKEN)

"""Signing in, staying signed in, and the answer to "whose token is this"."""

from __future__ import annotations

import hashlib
import logging
import secrets
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from media.errors import RemoteProtocolError
from server.archive.audit import AuditLog
from server.archive.database import Database
from server.archive.ids import new_id
from server.archive.models import Account, Device, Practitioner, RefreshToken
from server.auth.actor import Actor, ActorKind, Role
from server.auth.attempts import Attempts
from server.auth.passwords import Passwords
from server.auth.tokens import AccountClaims, mint_account_token, verify_account_token
from server.config import AuthConfig
from server.errors import INVALID_CREDENTIALS, TOKEN_INVALID, TOO_MANY_ATTEMPTS, UNAUTHENTICATED
from server.keys import Keys
from server.limits import (
    LOGIN_FAILURES_PER_ACCOUNT,
    LOGIN_FAILURES_PER_ADDRESS,
    LOGIN_KEYS,
    LOGIN_WINDOW_S,
    REFRESH_TOKENS_PER_ACCOUNT,
)
from server.register.errors import PASSWORD_MUST_CHANGE, PASSWORD_WEAK
from server.register.limits import PASSWORD_LETTERS
from signaling.personal import Personal

DEVICE_TOKEN_PREFIX = "hzd_"  # noqa: S105 - a prefix that says what kind of token follows
_REFRESH_GRACE_S = 10.0  # two tabs may renew with the same cookie at once; later, a second use is a theft
_DAY_S = 86_400.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A fresh pair of tokens. ``refresh_token`` is for the cookie only."""

    access_token: str
    expires_in: int
    refresh_token: str
    practitioner_id: str


def token_digest(token: str) -> str:
    """How opaque tokens are kept: SHA-256, hex. They are random, so no salt is needed."""
    return hashlib.sha256(token.encode()).hexdigest()


class AuthService:
    """Accounts and devices. Owns the password threads and the table of failed attempts."""

    def __init__(self, config: AuthConfig, keys: Keys, database: Database, audit: AuditLog) -> None:
        self._config = config
        self._secret = keys.account_secret
        self._database = database
        self._audit = audit
        self.passwords = Passwords(config)
        self._by_account = Attempts(LOGIN_FAILURES_PER_ACCOUNT, LOGIN_WINDOW_S, LOGIN_KEYS)
        self._by_address = Attempts(LOGIN_FAILURES_PER_ADDRESS, LOGIN_WINDOW_S, LOGIN_KEYS)

    def close(self) -> None:
        self.passwords.close()

    async def login(self, username: str, password: str, address: str, now: float) -> SignedIn:
        """Check a password.

        :raises RemoteProtocolError: invalid_credentials, too_many_attempts, password_must_change.
        """
        account = await self._checked(username, password, address, now)
        if account.temporary_until is not None:
            raise RemoteProtocolError(PASSWORD_MUST_CHANGE)
        async with self._database.write() as session:
            return await self._enter(session, account, now)

    async def change_password(
        self, username: str, password: str, fresh: str, address: str, now: float
    ) -> SignedIn:
        """Put a password of one's own in place of ``password``, and sign in; other browsers are signed out.

        :raises RemoteProtocolError: as `login`, and password_weak.
        """
        account = await self._checked(username, password, address, now)
        if len(fresh) < PASSWORD_LETTERS or fresh in (username, password):
            raise RemoteProtocolError(PASSWORD_WEAK)
        hashed = await self.passwords.hash(fresh)
        async with self._database.write() as session:
            stored = await session.get_one(Account, account.id)
            if stored.password_hash != account.password_hash:
                raise RemoteProtocolError(INVALID_CREDENTIALS)  # somebody set another meanwhile
            stored.password_hash, stored.temporary_until = hashed, None
            await session.execute(delete(RefreshToken).where(RefreshToken.account_id == account.id))
            signed_in = await self._enter(session, stored, now)
            actor = practitioner_actor(await self._practitioner(session, stored))
            await self._audit.record(session, actor, "auth.change_password", "account", account.id)
        return signed_in

    async def _checked(self, username: str, password: str, address: str, now: float) -> Account:
        """The account to which the password belongs."""
        self._check_attempts(username, address, now)
        async with self._database.read() as session:
            account = await session.scalar(select(Account).where(Account.username == username))
        usable = account is not None and not account.disabled and (account.temporary_until or now) >= now
        # The check runs outside any transaction: it takes tens of milliseconds.
        if (
            not await self.passwords.matches(account.password_hash if account else None, password)
            or not usable
        ):
            self._by_account.failed(username, now)
            self._by_address.failed(address, now)
            raise RemoteProtocolError(INVALID_CREDENTIALS)
        assert account is not None
        self._by_account.succeeded(username)
        return account

    async def _enter(self, session: AsyncSession, account: Account, now: float) -> SignedIn:
        practitioner = await self._practitioner(session, account)
        signed_in = await self._sign_in(session, account, practitioner, new_id("fam"), now)
        await self._audit.record(
            session, practitioner_actor(practitioner), "auth.login", "account", account.id
        )
        return signed_in

    async def refresh(self, token: str, now: float) -> SignedIn:
        """A new pair for a refresh token; RemoteProtocolError(unauthenticated).

        A token that is used twice ends its whole family (RFC 9700 section 4.14.2).
        """
        async with self._database.write() as session:
            signed_in = await self._renew(session, token, now)
        # Raised outside, so that what the refusal deleted stays deleted.
        if signed_in is None:
            raise RemoteProtocolError(UNAUTHENTICATED)
        return signed_in

    async def _renew(self, session: AsyncSession, token: str, now: float) -> SignedIn | None:
        row = await session.get(RefreshToken, token_digest(token))
        if row is None or row.expires_at <= now:
            return None
        if row.used_at is not None and now - row.used_at > _REFRESH_GRACE_S:
            await session.execute(delete(RefreshToken).where(RefreshToken.family == row.family))
            logger.warning("refresh token of family %s was used twice; family ended", row.family)
            return None
        account = await session.get(Account, row.account_id)
        if account is None or account.disabled or account.temporary_until is not None:
            return None
        row.used_at = row.used_at or now
        practitioner = await self._practitioner(session, account)
        return await self._sign_in(session, account, practitioner, row.family, now)

    async def logout(self, session: AsyncSession, token: str) -> None:
        """End the family of ``token``; unknown tokens are fine."""
        row = await session.get(RefreshToken, token_digest(token))
        if row is not None:
            await session.execute(delete(RefreshToken).where(RefreshToken.family == row.family))

    async def actor(self, session: AsyncSession, token: str, now: float) -> Actor:
        """Who ``token`` (account JWT or device token) belongs to, as the database says now.

        RemoteProtocolError(token_invalid | token_expired) otherwise.
        """
        if token.startswith(DEVICE_TOKEN_PREFIX):
            return await self._device(session, token)
        claims = verify_account_token(self._secret, token, now)
        account = await session.get(Account, claims.account)
        practitioner = await session.get(Practitioner, claims.subject)
        if account is None or account.disabled or practitioner is None or not practitioner.active:
            raise RemoteProtocolError(TOKEN_INVALID)
        if account.temporary_until is not None:
            raise RemoteProtocolError(TOKEN_INVALID)  # reset since: whoever held this signs in anew
        return practitioner_actor(practitioner)

    async def user_id(self, token: str, now: float) -> str:
        """The id behind ``token``, for the signaling layer; raises as `actor` does."""
        async with self._database.read() as session:
            return (await self.actor(session, token, now)).id

    async def confirm_password(self, session: AsyncSession, actor: Actor, password: str, now: float) -> bool:
        """True when ``password`` is ``actor``'s own: before something is signed with their key.

        RemoteProtocolError(too_many_attempts) after repeated failures. Ask before the writing begins where
        possible.
        """
        account = await session.scalar(select(Account).where(Account.practitioner_id == actor.id))
        key = f"confirm:{actor.id}"
        self._refuse_while(self._by_account.wait_s(key, now))
        if await self.passwords.matches(account.password_hash if account else None, password):
            self._by_account.succeeded(key)
            return True
        self._by_account.failed(key, now)
        return False

    def _check_attempts(self, username: str, address: str, now: float) -> None:
        self._refuse_while(max(self._by_account.wait_s(username, now), self._by_address.wait_s(address, now)))

    def _refuse_while(self, wait_s: float) -> None:
        if wait_s > 0:
            raise RemoteProtocolError(TOO_MANY_ATTEMPTS, f"try again in {int(wait_s) + 1} s")

    async def _practitioner(self, session: AsyncSession, account: Account) -> Practitioner:
        practitioner = await session.get(Practitioner, account.practitioner_id)
        if practitioner is None or not practitioner.active:
            raise RemoteProtocolError(INVALID_CREDENTIALS)
        return practitioner

    async def _sign_in(
        self, session: AsyncSession, account: Account, practitioner: Practitioner, family: str, now: float
    ) -> SignedIn:
        expires_in = self._config.access_token_minutes * 60
        claims = AccountClaims(practitioner.id, ActorKind.PRACTITIONER, account.id, now + expires_in)
        access = mint_account_token(
            self._secret, claims, practitioner.roles, practitioner.organization_id, now
        )
        refresh = secrets.token_urlsafe(32)
        session.add(
            RefreshToken(
                token_hash=token_digest(refresh),
                account_id=account.id,
                family=family,
                issued_at=now,
                expires_at=now + self._config.refresh_days * _DAY_S,
            )
        )
        await session.flush()
        await self._drop_old(session, account.id, now)
        return SignedIn(access, expires_in, refresh, practitioner.id)

    async def _drop_old(self, session: AsyncSession, account_id: str, now: float) -> None:
        mine = RefreshToken.account_id == account_id
        await session.execute(delete(RefreshToken).where(mine, RefreshToken.expires_at <= now))
        newest = (
            select(RefreshToken.token_hash)
            .where(mine)
            .order_by(RefreshToken.issued_at.desc())
            .limit(REFRESH_TOKENS_PER_ACCOUNT)
        )
        await session.execute(delete(RefreshToken).where(mine, RefreshToken.token_hash.not_in(newest)))

    async def _device(self, session: AsyncSession, token: str) -> Actor:
        device = await session.scalar(select(Device).where(Device.token_hash == token_digest(token)))
        if device is None or device.disabled:
            raise RemoteProtocolError(TOKEN_INVALID)
        return device_actor(device)


def practitioner_actor(practitioner: Practitioner) -> Actor:
    """The practitioner of a row, acting."""
    return Actor(
        practitioner.id,
        ActorKind.PRACTITIONER,
        practitioner.organization_id,
        frozenset(Role(role) for role in practitioner.roles),
        practitioner.name,
    )


def device_actor(device: Device) -> Actor:
    """The device of a row, acting."""
    return Actor(
        device.id,
        ActorKind.DEVICE,
        device.organization_id,
        frozenset({Role.DEVICE}),
        Personal(device.name),
    )

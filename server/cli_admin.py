"""``huizhen token`` and ``huizhen admin``: what an operator does beside the running server, on its data."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import select

from media.clock import SystemClock
from media.errors import NOT_FOUND, LocalProtocolError
from server.archive.anchor import Anchor
from server.archive.audit import AuditLog
from server.archive.database import Database
from server.archive.ids import new_id
from server.archive.migrate import upgrade_database
from server.archive.models import Account, Device, Organization, Practitioner, RefreshToken
from server.auth.actor import Role, system_actor
from server.auth.passwords import Passwords
from server.auth.service import DEVICE_TOKEN_PREFIX, token_digest
from server.config import Config, load_config
from server.errors import ALREADY_EXISTS
from server.keys import Keys
from server.loop import run
from signaling.access import Identity, RoomGrant, mint_room_token
from signaling.personal import Personal

token_app = typer.Typer(help="Make tokens for rooms, devices and guests.", no_args_is_help=True)
admin_app = typer.Typer(help="Accounts, places, devices, rotas.", no_args_is_help=True)

ConfigOption = Annotated[Path | None, typer.Option("--config", help="The server's TOML file.")]
DataOption = Annotated[
    Path | None, typer.Option("--data", help="Data directory, in place of the configured.")
]

_ALL_SOURCES = frozenset({"microphone", "camera", "screen", "ultrasound"})


def settings_for(config: Path | None, data: Path | None) -> Config:
    """The configuration, with the data directory replaced when one is named."""
    settings = load_config(config)
    if data is not None:
        settings = replace(settings, storage=replace(settings.storage, directory=str(data)))
    return settings


@asynccontextmanager
async def opened_database(settings: Config) -> AsyncIterator[Database]:
    """The server's database, migrated; it may be in use by the running server."""
    settings.data_directory.mkdir(parents=True, exist_ok=True)
    database = Database(settings.database_url)
    try:
        await upgrade_database(database)
        yield database
    finally:
        await database.close()


def audit_log(settings: Config) -> AuditLog:
    """The trail with its anchor, for a command that writes beside the server or without it."""
    keys = Keys.load_or_create(settings.data_directory)
    return AuditLog(SystemClock(), Anchor(settings.data_directory, keys.audit_key))


@token_app.command("room")
def token_room(
    room: Annotated[str, typer.Option(help="Room id; c-CONSULTATION for a consult's.")],
    user: Annotated[str, typer.Option(help="Id the token speaks for.")] = "operator",
    name: Annotated[str, typer.Option(help="Name that the others see.")] = "Operator",
    role: Annotated[str, typer.Option(help="requester, expert, chair, observer, device or desk.")] = "expert",
    minutes: Annotated[int, typer.Option(help="How long it lasts.", min=1)] = 60,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Print a room token with every right of a participant."""
    grant = RoomGrant(
        room,
        publish=_ALL_SOURCES,
        chair=role == "chair",
        record=role in ("chair", "expert"),
        signals=frozenset({"watch", "publish", "acknowledge"}),
    )
    typer.echo(_room_token(settings_for(config, data), Identity(user, Personal(name), role), grant, minutes))


@token_app.command("guest")
def token_guest(
    room: Annotated[str, typer.Option(help="Room id.")],
    name: Annotated[str, typer.Option(help="Name that the others see.")] = "Guest",
    minutes: Annotated[int, typer.Option(help="How long it lasts.", min=1)] = 60,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Print a room token with a guest's rights."""
    grant = RoomGrant(room, publish=frozenset({"microphone", "camera"}), signals=frozenset({"watch"}))
    identity = Identity(new_id("guest"), Personal(name), "guest")
    typer.echo(_room_token(settings_for(config, data), identity, grant, minutes))


def _room_token(settings: Config, identity: Identity, grant: RoomGrant, minutes: int) -> str:
    keys = Keys.load_or_create(settings.data_directory)
    return mint_room_token(keys.room_secret, identity, grant, SystemClock().wall(), minutes * 60)


@token_app.command("device")
def token_device(
    device: Annotated[str, typer.Argument(help="Device id.")],
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Give a device a new token and print it; the old one ends."""
    typer.echo(run(_new_device_token(settings_for(config, data), device)))


async def _new_device_token(settings: Config, device_id: str) -> str:
    token = DEVICE_TOKEN_PREFIX + secrets.token_urlsafe(32)
    async with opened_database(settings) as database, database.write() as session:
        device = await session.get(Device, device_id)
        if device is None:
            raise LocalProtocolError(NOT_FOUND, device_id)
        device.token_hash = token_digest(token)
        audit = audit_log(settings)
        await audit.record(session, system_actor(), "device.token", "device", device_id)
    return token


@admin_app.command("create-account")
def create_account(
    username: Annotated[str, typer.Argument(help="What they type to sign in.")],
    organization: Annotated[str, typer.Option(help="Organization id.")],
    name: Annotated[str, typer.Option(help="Name in Chinese.")],
    role: Annotated[list[Role], typer.Option(help="May be given several times.")],
    name_en: Annotated[str, typer.Option(help="Name in Latin letters.")] = "",
    title: Annotated[str, typer.Option(help="Professional title.")] = "",
    specialty: Annotated[list[str] | None, typer.Option(help="Specialty code, may repeat.")] = None,
    password: Annotated[str, typer.Option(prompt=True, hide_input=True, confirmation_prompt=True)] = "",
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Make a practitioner with an account; prints the practitioner's id."""
    person = Practitioner(
        id=new_id("prc"),
        organization_id=organization,
        name=Personal(name),
        name_en=Personal(name_en),
        title=title,
        title_en="",
        roles=[str(one) for one in role],
        specialties=specialty or [],
        languages=["zh"],
        active=True,
    )
    typer.echo(run(_create_account(settings_for(config, data), person, username, password)))


async def _create_account(settings: Config, person: Practitioner, username: str, password: str) -> str:
    clock = SystemClock()
    hashed = await _hash(settings, password)
    async with opened_database(settings) as database, database.write() as session:
        if await session.scalar(select(Account.id).where(Account.username == username)):
            raise LocalProtocolError(ALREADY_EXISTS, "user name")
        if await session.get(Organization, person.organization_id) is None:
            raise LocalProtocolError(NOT_FOUND, person.organization_id)
        session.add(person)
        await session.flush()
        account = Account(
            id=new_id("acc"),
            username=username,
            password_hash=hashed,
            practitioner_id=person.id,
            disabled=False,
            created_at=clock.wall(),
        )
        session.add(account)
        await session.flush()
        await audit_log(settings).record(session, system_actor(), "account.create", "account", account.id)
    return person.id


@admin_app.command("reset-password")
def reset_password(
    username: Annotated[str, typer.Argument()],
    password: Annotated[str, typer.Option(prompt=True, hide_input=True, confirmation_prompt=True)] = "",
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Set a new password and sign all browsers of the account out."""
    run(_reset_password(settings_for(config, data), username, password))


async def _reset_password(settings: Config, username: str, password: str) -> None:
    hashed = await _hash(settings, password)
    async with opened_database(settings) as database, database.write() as session:
        account = await session.scalar(select(Account).where(Account.username == username))
        if account is None:
            raise LocalProtocolError(NOT_FOUND, "account")
        account.password_hash, account.temporary_until = hashed, None
        for row in await session.scalars(select(RefreshToken).where(RefreshToken.account_id == account.id)):
            await session.delete(row)
        await audit_log(settings).record(
            session, system_actor(), "account.reset_password", "account", account.id
        )


async def _hash(settings: Config, password: str) -> str:
    passwords = Passwords(settings.auth)
    try:
        return await passwords.hash(password)
    finally:
        passwords.close()

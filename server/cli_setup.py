"""``huizhen admin create-...``: the first places, devices and rotas of a server that is not the demo."""

from __future__ import annotations

import secrets
from enum import StrEnum
from typing import Annotated

import typer

from media.errors import NOT_FOUND, LocalProtocolError
from server.archive.ids import new_id
from server.archive.models import Device, Organization, Practitioner
from server.archive.specialties import specialty as known_specialty
from server.auth.actor import system_actor
from server.auth.service import DEVICE_TOKEN_PREFIX, token_digest
from server.cli_admin import ConfigOption, DataOption, admin_app, audit_log, opened_database, settings_for
from server.config import Config
from server.loop import run
from server.oncall.demo import seed_schedules
from server.register.levels import Level


class DeviceKind(StrEnum):
    ECG = "ecg"
    ULTRASOUND = "ultrasound"


@admin_app.command("create-organization")
def create_organization(
    name: Annotated[str, typer.Argument(help="Name in Chinese.")],
    level: Annotated[Level, typer.Option(help="Level of care.")],
    name_en: Annotated[str, typer.Option(help="Name in English.")] = "",
    parent: Annotated[str | None, typer.Option(help="Id of the place above it.")] = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Make a place of care; prints its id."""
    place = Organization(
        id=new_id("org"), name=name, name_en=name_en or name, level=str(level), parent_id=parent
    )
    run(_add(settings_for(config, data), place, parent))
    typer.echo(place.id)


@admin_app.command("create-device")
def create_device(
    name: Annotated[str, typer.Argument(help="Name in Chinese.")],
    organization: Annotated[str, typer.Option(help="Id of the place where it stands.")],
    kind: Annotated[DeviceKind, typer.Option(help="ecg or ultrasound.")],
    name_en: Annotated[str, typer.Option(help="Name in English.")] = "",
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Make a device; prints its id and, this once, its token."""
    token = DEVICE_TOKEN_PREFIX + secrets.token_urlsafe(32)
    device = Device(
        id=new_id("dev"),
        organization_id=organization,
        kind=str(kind),
        name=name,
        name_en=name_en or name,
        token_hash=token_digest(token),
        disabled=False,
    )
    run(_add(settings_for(config, data), device, organization))
    typer.echo(f"{device.id} {token}")


async def _add(settings: Config, row: Organization | Device, place: str | None) -> None:
    async with opened_database(settings) as database, database.write() as session:
        if place is not None and await session.get(Organization, place) is None:
            raise LocalProtocolError(NOT_FOUND, place)
        session.add(row)
        await session.flush()
        kind = "device" if isinstance(row, Device) else "organization"
        await audit_log(settings).record(session, system_actor(), f"{kind}.create", kind, row.id)


@admin_app.command("create-rota")
def create_rota(
    specialty: Annotated[str, typer.Argument(help="Specialty code, such as cardiology.")],
    organization: Annotated[str, typer.Option(help="Id of the hospital that answers.")],
    member: Annotated[list[str], typer.Option(help="Practitioner ids, in the order of their turns.")],
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Make a rota of daily turns from 08:00 of the clinics' zone, in which everybody else stands behind."""
    run(_create_rota(settings_for(config, data), specialty, organization, member))


async def _create_rota(settings: Config, specialty: str, organization: str, members: list[str]) -> None:
    if known_specialty(specialty) is None:
        raise LocalProtocolError(NOT_FOUND, specialty)
    async with opened_database(settings) as database, database.write() as session:
        for wanted in (*((Practitioner, one) for one in members), (Organization, organization)):
            if await session.get(*wanted) is None:
                raise LocalProtocolError(NOT_FOUND, wanted[1])
        await seed_schedules(session, organization, {specialty: members}, settings.site.zone)
        await audit_log(settings).record(
            session, system_actor(), "schedule.create", "schedule", specialty, {"members": members}
        )

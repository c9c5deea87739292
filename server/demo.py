"""The demo: a county that is seeded once and kept, a server, and two simulated gateways beside it."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from rich.console import Console
from rich.table import Table
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server import demo_county as county
from server.app import Server
from server.archive.models import Account, Device, Organization, Patient, Practitioner
from server.auth.passwords import Passwords
from server.auth.service import token_digest
from server.config import Config
from server.oncall.demo import seed_schedules
from server.run import serve
from server.services import Services
from signaling.personal import Personal

_DEVICES_WAIT_S = 15.0  # for both gateways to be online before the demo calls itself ready
_STOP_S = 5.0  # how long a gateway may take to end

logger = logging.getLogger(__name__)


async def run_demo(config: Config, devices: bool, ready_line: Callable[[Server], str]) -> None:
    """Serve the demo county until a signal comes."""

    @asynccontextmanager
    async def county_around(server: Server) -> AsyncIterator[None]:
        await seed(server.services)
        async with AsyncExitStack() as gateways:
            if devices:
                await _start_gateways(server, gateways)
            show(server, Console())
            print(ready_line(server), flush=True)
            yield

    await serve(config, county_around)


async def seed(services: Services) -> bool:
    """Put the county into an empty database; False when somebody is there already."""
    async with services.database.read() as session:
        if await session.scalar(select(Practitioner.id).limit(1)):
            return False
    hashes = await _hashes(services.auth.passwords)
    now = services.clock.wall()
    async with services.database.write() as session:
        await _add_county(session, hashes, now)
        await seed_schedules(session, county.HOSPITAL, county.ON_CALL, services.config.site.zone)
    logger.info("demo county seeded")
    return True


async def _hashes(passwords: Passwords) -> dict[str, str]:
    hashed = await asyncio.gather(*(passwords.hash(county.PASSWORD) for _ in county.PEOPLE))
    return {person.username: text for person, text in zip(county.PEOPLE, hashed, strict=True)}


async def _add_county(session: AsyncSession, hashes: Mapping[str, str], now: float) -> None:
    for place in county.PLACES:
        session.add(
            Organization(
                id=place.id, name=place.zh, name_en=place.en, level=place.level, parent_id=place.parent
            )
        )
        await session.flush()
    for person in county.PEOPLE:
        session.add(_practitioner(person))
    await session.flush()
    for person in county.PEOPLE:
        session.add(
            Account(
                id=f"acc-{person.username}",
                username=person.username,
                password_hash=hashes[person.username],
                practitioner_id=person.id,
                disabled=False,
                created_at=now,
            )
        )
    for number, patient in enumerate(county.PATIENTS):
        session.add(_patient(patient, now - number))
    for device_id, kind, zh, en in county.DEVICES:
        session.add(
            Device(
                id=device_id,
                organization_id=county.DEVICES_PLACE,
                kind=kind,
                name=zh,
                name_en=en,
                token_hash=token_digest(county.DEVICE_TOKENS[device_id]),
                disabled=False,
            )
        )
    await session.flush()


def _practitioner(person: county.Person) -> Practitioner:
    title, title_en = person.titles
    return Practitioner(
        id=person.id,
        organization_id=person.place,
        name=Personal(person.zh),
        name_en=Personal(person.en),
        title=title,
        title_en=title_en,
        roles=[str(role) for role in person.roles],
        specialties=list(person.specialties),
        languages=["zh"],
        active=True,
    )


def _patient(patient: county.DemoPatient, created_at: float) -> Patient:
    return Patient(
        id=patient.id,
        organization_id=patient.place,
        name=Personal(patient.zh),
        name_en=Personal(patient.en),
        sex=patient.sex,
        birth_date=Personal(patient.birth_date),
        identifier=Personal(patient.identifier),
        phone=None,
        created_at=created_at,
    )


async def _start_gateways(server: Server, stack: AsyncExitStack) -> None:
    """Two processes of our own command, as at a clinic; ended before the server stops."""
    online = _watch_gateways(server.services)
    for kind, device_id in (("ecg", county.ECG_DEVICE), ("ultrasound", county.ULTRASOUND_DEVICE)):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "server.cli", "device", kind, "--server", server.url),
            *("--token", county.DEVICE_TOKENS[device_id], "--loop", *_outbox(kind, server)),
            stdout=asyncio.subprocess.DEVNULL,
        )
        stack.push_async_callback(_end, process)
    try:
        await asyncio.wait_for(online.wait(), _DEVICES_WAIT_S)
    except TimeoutError:
        logger.warning("the simulated devices are not online yet")


def _outbox(kind: str, server: Server) -> list[str]:
    """Where the ECG gateway keeps what is not confirmed; the ultrasound keeps nothing."""
    return ["--outbox", str(server.services.config.data_directory / "outbox")] if kind == "ecg" else []


def _watch_gateways(services: Services) -> asyncio.Event:
    """An event that is set when all devices of the demo are connected."""
    online, missing, told = asyncio.Event(), set(county.DEVICE_TOKENS), services.consults.user_connected

    async def connected(user_id: str) -> None:
        missing.discard(user_id)
        if not missing:
            online.set()
        await told(user_id)

    services.gateway.on_user_connected = connected
    return online


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _STOP_S)
    except TimeoutError:
        process.kill()
        await process.wait()


def show(server: Server, console: Console) -> None:
    """Print where to point the browser and who can sign in, in both languages."""
    console.print(f"\n[bold]会诊 Huizhen[/bold]  {server.url}")
    if server.https_url:
        console.print(f"手机 · phone  {server.https_url}")
    table = Table("账号 account", "姓名 name", "单位 place", "身份 role")
    places = {place.id: place for place in county.PLACES}
    for person in county.PEOPLE:
        place = places[person.place]
        table.add_row(
            person.username,
            f"{person.zh} {person.en}",
            f"{place.zh} {place.en}",
            f"{person.titles[0]} {person.titles[1]}",
        )
    console.print(table)
    console.print(f"密码 password: [bold]{county.PASSWORD}[/bold]\n")

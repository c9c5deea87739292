"""One node of a drill: the real consult service and dispatcher, a counted clock, commands in, replies out.

Each command is a JSON object on a line of standard input, ``{"id": 7, "now": 1767225600, "do": "act", ...}``;
each reply is one on standard output. Commands run beside each other as requests to a server do; ``now`` moves
the clock, never back. The process may be killed at any point: that is what drills are for.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, cast

from sqlalchemy import func, select

from media.clock import CountedClock
from media.errors import Fault
from server.archive.audit import AuditLog
from server.archive.database import Database
from server.archive.migrate import upgrade_database
from server.archive.models import Practitioner
from server.archive.recordings import RecordingCatalogue
from server.auth.actor import Actor, ActorKind, Role
from server.auth.service import AuthService
from server.config import AuthConfig, Config, StorageConfig
from server.consults.models import Consultation, Offer
from server.consults.schema import ConsentIn, ConsultationIn, OpinionIn
from server.consults.service import ConsultService
from server.consults.store import RINGING
from server.consults.vocabulary import FINAL, Action, Data, Kind
from server.drill.checks import doubled, overdue, silent, standing
from server.drill.province import PASSWORD, patient_of, settle
from server.drill.stage import Floor, Screens, Told, telling
from server.keys import Keys
from server.oncall.dispatcher import Dispatcher
from server.oncall.timers import next_due
from server.services import Services
from signaling.events import PeerJoined, PeerLeft
from signaling.personal import Personal

_CHEAP = AuthConfig(argon2_time_cost=1, argon2_memory_kib=8, argon2_parallelism=1)
"""Passwords are not what is drilled: an honest one costs as much as thirty decisions."""

_LINE_BYTES = 1 << 24  # the plan of a province is one line of some megabytes

Command = Mapping[str, Any]


class Host:
    """Carries out commands. Made by `open_host`, closed by `close`."""

    def __init__(self, services: Services, clock: CountedClock, screens: Screens, floor: Floor) -> None:
        self._services = services
        self._clock = clock
        self._screens = screens
        self._floor = floor
        self._actors: dict[str, Actor] = {}
        self._does: dict[str, Callable[[Command], Awaitable[dict[str, Any]]]] = {
            "settle": self._settle,
            "presence": self._presence,
            "request": self._request,
            "act": self._act,
            "room": self._room,
            "opinion": self._opinion,
            "tick": self._tick,
            "rings": self._rings,
            "mine": self._mine,
            "check": self._check,
        }

    async def close(self) -> None:
        await self._services.consults.stop()
        self._services.auth.close()
        await self._services.database.close()

    async def begin(self) -> None:
        """As a server's start: what a crash left is put right."""
        await upgrade_database(self._services.database)
        await self._services.consults.start()
        await self._know_people()

    async def carry_out(self, command: Command) -> dict[str, Any]:
        """The reply to one command: what it did or ``refused``, whom it rang, what state things are in."""
        self._clock.advance(max(0.0, float(command.get("now", 0.0)) - self._clock.wall()))
        with telling() as told:
            began = time.perf_counter()
            try:
                reply = await self._does[command["do"]](command)
            except Fault as fault:
                reply = {"refused": fault.code.code}
            reply["ms"] = (time.perf_counter() - began) * 1000.0
        return {"id": command["id"], **reply, **await self._seen(command, told)}

    async def _seen(self, command: Command, told: Told) -> dict[str, Any]:
        """Whom it rang, the states of what it touched, and whether any of those is silent."""
        touched = told.changed | ({command["consult"]} if "consult" in command else set())
        seen: dict[str, Any] = {"rings": told.rings, "ringMs": told.ring_ms}
        async with self._services.database.look() as looking:
            if touched:
                seen["states"], seen["silent"], seen["due"] = await standing(looking, touched)
            if not seen.get("states"):
                seen["due"] = await next_due(looking)
        return seen

    # -- commands ------------------------------------------------------------------------------------------

    async def _settle(self, command: Command) -> dict[str, Any]:
        password = await self._services.auth.passwords.hash(PASSWORD)
        async with self._services.database.write() as session:
            await settle(session, command["plan"], password, self._clock.wall())
        await self._know_people()
        return {"people": len(self._actors)}

    async def _know_people(self) -> None:
        async with self._services.database.read() as session:
            rows = await session.execute(
                select(Practitioner.id, Practitioner.organization_id, Practitioner.roles)
            )
            self._actors = {
                one: Actor(one, ActorKind.PRACTITIONER, place, frozenset(map(Role, roles)), Personal(one))
                for one, place, roles in rows
            }

    async def _presence(self, command: Command) -> dict[str, Any]:
        self._screens.signed_in |= set(command.get("on", ()))
        self._screens.signed_in -= set(command.get("off", ()))
        return {}

    async def _request(self, command: Command) -> dict[str, Any]:
        actor = self._actors[command["by"]]
        body = ConsultationIn(
            kind=Kind(command["kind"]),
            specialty=command["specialty"],
            patient_id=patient_of(actor.organization_id or ""),
            purpose="演练",
            summary="演练",
            consent=ConsentIn(consult=True, recording=False),
            submit=True,
        )
        made = await self._services.consults.requests.create(actor, body, self._clock.wall())
        return {"consult": made}

    async def _act(self, command: Command) -> dict[str, Any]:
        actor = self._actors[command["by"]]
        data = Data(
            actor_id=actor.id,
            reason=command.get("reason", ""),
            text=command.get("text", ""),
            at=command.get("at"),
        )
        now = self._clock.wall()
        await self._services.consults.act(
            actor, command["consult"], Action(command["action"]), now, data=data
        )
        return {}

    async def _room(self, command: Command) -> dict[str, Any]:
        """``inside``: somebody is in the room from now on, or not any more."""
        who, room_id, now = command["by"], f"c-{command['consult']}", self._clock.wall()
        role = command["role"]
        if command["inside"]:
            self._floor.enter(room_id, who)
            await self._services.consults.room_event(PeerJoined(room_id, who, role, now))
        else:
            self._floor.leave(room_id, who)
            await self._services.consults.room_event(PeerLeft(room_id, who, role, "left", now))
        return {}

    async def _opinion(self, command: Command) -> dict[str, Any]:
        """Written and signed."""
        actor, consult, now = self._actors[command["by"]], command["consult"], self._clock.wall()
        opinions = self._services.consults.opinions
        await opinions.write(actor, consult, OpinionIn(findings="演练", conclusion="演练"), now)
        await opinions.sign(actor, consult, PASSWORD, now)
        return {}

    async def _tick(self, command: Command) -> dict[str, Any]:
        return {"taken": await self._services.dispatcher.run_due(self._clock.wall())}

    async def _rings(self, command: Command) -> dict[str, Any]:
        """All running rings: what browsers that sign in again are told."""
        async with self._services.database.read() as session:
            query = select(Offer.consultation_id, Offer.practitioner_id, Offer.ring)
            rows = await session.execute(query.where(Offer.state == RINGING))
            return {"ringing": [list(row) for row in rows]}

    async def _mine(self, command: Command) -> dict[str, Any]:
        """The newest request of somebody: what a clinic sees that does not know whether it was sent."""
        query = select(Consultation.id, Consultation.created_at).where(
            Consultation.requester_id == command["by"], Consultation.created_at >= command["since"]
        )
        async with self._services.database.read() as session:
            rows = (await session.execute(query.order_by(Consultation.created_at.desc()).limit(1))).all()
        return {"mine": rows[0][0] if rows else None}

    async def _check(self, command: Command) -> dict[str, Any]:
        """``whole``: walk the audit chain too."""
        final = [one.value for one in FINAL]
        async with self._services.database.read() as session:
            found: dict[str, Any] = {
                "silentAll": await silent(session),
                "doubled": await doubled(session),
                "overdue": await overdue(session, self._clock.wall()),
                "requests": await session.scalar(select(func.count()).select_from(Consultation)),
                "open": await session.scalar(select(func.count()).where(Consultation.state.not_in(final))),
            }
            if command.get("whole"):
                count, broken = await self._services.audit.verify(session)
                found |= {"audit": count, "broken": broken is not None}
        return found


def open_host(directory: Path, database_url: str, now: float) -> Host:
    """A node on ``directory`` (its keys, and SQLite without a URL), at ``now`` (Unix seconds)."""
    clock = CountedClock(wall=now)
    config = Config(storage=StorageConfig(str(directory), database_url), auth=_CHEAP)
    keys = Keys.load_or_create(directory)
    database = Database(config.database_url)
    audit = AuditLog(clock)
    nothing = cast(Any, None)  # neither media nor HTTP: nobody has a browser in a drill
    services = Services(
        config=config,
        clock=clock,
        keys=keys,
        database=database,
        audit=audit,
        auth=AuthService(config.auth, keys, database, audit),
        metrics=nothing,
        signals=nothing,
        signal_files=nothing,
        recordings=RecordingCatalogue(config.recordings_directory),
        media_socket=nothing,
        openapi={},
    )
    screens, floor = Screens(), Floor()
    services.gateway, services.rooms = cast(Any, screens), cast(Any, floor)
    services.reach = cast(Any, screens)
    services.consults = ConsultService(services)
    services.dispatcher = Dispatcher(services)
    return Host(services, clock, screens, floor)


async def serve(directory: Path, database_url: str, now: float) -> None:
    """Carry out what comes on standard input until it ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_LINE_BYTES)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    host = open_host(directory, database_url, now)
    try:
        await host.begin()
        _say({"id": 0, "ready": True})
        async with asyncio.TaskGroup() as tasks:
            while line := await reader.readline():
                tasks.create_task(_answer(host, json.loads(line)))
    finally:
        await host.close()
        transport.close()


async def _answer(host: Host, command: Command) -> None:
    _say(await host.carry_out(command))


def _say(reply: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(reply, ensure_ascii=False) + "\n")
    sys.stdout.flush()

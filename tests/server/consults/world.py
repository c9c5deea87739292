"""A county on a counted clock: the real service on a real SQLite file, rooms and gateway made of notes."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from sqlalchemy import select

from media.clock import CountedClock
from server import demo_county as county
from server.archive.audit import AuditLog
from server.archive.database import Database
from server.archive.migrate import upgrade_database
from server.archive.models import Account, AuditEntry, Device, Organization, Patient, Practitioner
from server.archive.recordings import RecordingCatalogue
from server.auth.actor import Actor, ActorKind, Role
from server.auth.service import AuthService
from server.config import AuthConfig, Config, StorageConfig
from server.consults.schema import ConsentIn, ConsultationIn, ConsultationOut, OpinionIn
from server.consults.service import ConsultService
from server.consults.vocabulary import Action, Data, Kind, State
from server.keys import Keys
from server.oncall.demo import seed_schedules
from server.oncall.dispatch import Way
from server.oncall.dispatcher import Dispatcher
from server.reach.notices import PUSH, Notice
from server.services import Services
from signaling.access import RoomClaims, verify_room_token
from signaling.events import PeerJoined, PeerLeft, RoomEvent
from signaling.personal import Personal
from signaling.rooms import RoomSettings
from tests.server.migrated import empty_database

PATIENT = "pat-demo-1"
PASSWORD = "huizhen-demo"  # the demo county's
CHEAP = AuthConfig(argon2_time_cost=1, argon2_memory_kib=8, argon2_parallelism=1)


@dataclass
class Note:
    """A message that somebody got."""

    to: str
    event: str
    payload: dict[str, Any]


@dataclass
class FakeGateway:
    """Implements `ports.Pushes`; keeps everything it was told."""

    notes: list[Note] = field(default_factory=list)
    offline: set[str] = field(default_factory=set)
    pushed: set[str] = field(default_factory=set)  # those who would be reached elsewhere
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def notify(self, user_id: str, event: str, payload: dict[str, Any]) -> None:
        self.notes.append(Note(user_id, event, payload))
        self.arrived.set()

    async def put_down(self, _session: Any, notices: Sequence[Notice], now: float) -> None:
        """As `Reach.put_down`: nobody here has a telephone."""

    async def tell(self, notices: Sequence[Notice]) -> None:
        for one in notices:
            for whom in one.people:
                await self.notify(whom, PUSH, one.page)

    def online(self, user_id: str) -> bool:
        return user_id not in self.offline

    async def reachable(self, _session: Any, people: Collection[str]) -> dict[str, Way]:
        """As `Reach.reachable`."""
        away = {one: Way.ELSEWHERE if one in self.pushed else Way.NONE for one in people}
        return {one: Way.SCREEN if self.online(one) else way for one, way in away.items()}

    def to(self, user_id: str, event: str) -> list[dict[str, Any]]:
        return [note.payload for note in self.notes if (note.to, note.event) == (user_id, event)]


@dataclass
class FakeSnapshot:
    recording_id: str | None
    users: frozenset[str]

    def has_user(self, user_id: str) -> bool:
        return user_id in self.users


@dataclass
class FakeRoom:
    record_allowed: bool
    users: set[str] = field(default_factory=set)
    recording_id: str | None = None


@dataclass
class FakeRooms:
    """Implements `ports.Rooms` without media."""

    open: dict[str, FakeRoom] = field(default_factory=dict)
    log: list[tuple[str, ...]] = field(default_factory=list)

    @property
    def router_rtp_capabilities(self) -> dict[str, Any]:
        return {"codecs": []}

    def open_room(self, room_id: str, settings: RoomSettings) -> None:
        room = self.open.setdefault(room_id, FakeRoom(settings.record_allowed))
        room.record_allowed = settings.record_allowed

    async def close_room(self, room_id: str, reason: str) -> None:
        if self.open.pop(room_id, None) is not None:
            self.log.append(("close", room_id, reason))

    async def start_recording(self, room_id: str) -> str:
        assert self.open[room_id].record_allowed
        self.open[room_id].recording_id = "rec-1"
        self.log.append(("record", room_id))
        return "rec-1"

    async def stop_recording(self, room_id: str) -> None:
        self.open[room_id].recording_id = None
        self.log.append(("stop", room_id))

    async def remove_peers(
        self, room_id: str, *, user_id: str | None = None, token_id: str | None = None, reason: str
    ) -> None:
        self.log.append(("remove", room_id, user_id or "", token_id or "", reason))
        if room_id in self.open and user_id is not None:
            self.open[room_id].users.discard(user_id)

    def snapshot(self, room_id: str) -> FakeSnapshot | None:
        room = self.open.get(room_id)
        return None if room is None else FakeSnapshot(room.recording_id, frozenset(room.users))


@dataclass
class World:
    """The county. People are named by their user names."""

    services: Services
    clock: CountedClock
    gateway: FakeGateway
    rooms: FakeRooms

    @classmethod
    async def begin(cls, directory: Path, database_url: str = "") -> World:
        if not database_url:
            empty_database(directory / "huizhen.db")
        world = cls.on(directory, CountedClock(), database_url)
        if database_url:
            await upgrade_database(world.services.database)
        await world.seed()
        await world.services.consults.start()
        return world

    @classmethod
    def on(cls, directory: Path, clock: CountedClock, database_url: str = "") -> World:
        """A server process on this directory, not started yet."""
        storage = StorageConfig(directory=str(directory), database_url=database_url)
        config = Config(storage=storage, auth=CHEAP)
        keys = Keys.load_or_create(directory)
        database = Database(config.database_url)
        audit = AuditLog(clock)
        services = Services(
            config=config,
            clock=clock,
            keys=keys,
            database=database,
            audit=audit,
            auth=AuthService(config.auth, keys, database, audit),
            metrics=cast(Any, None),
            signals=cast(Any, None),
            signal_files=cast(Any, None),
            recordings=RecordingCatalogue(config.recordings_directory),
            media_socket=cast(Any, None),
            openapi={},
        )
        gateway, rooms = FakeGateway(), FakeRooms()
        services.gateway, services.rooms = cast(Any, gateway), cast(Any, rooms)
        services.reach = cast(Any, gateway)
        services.consults = ConsultService(services)
        services.dispatcher = Dispatcher(services)
        return cls(services, clock, gateway, rooms)

    async def restart(self) -> World:
        """The process ends as by ``kill -9`` (nothing is tidied) and another one takes over the directory."""
        storage = self.services.config.storage
        await self.services.database.close()
        self.services.auth.close()
        fresh = World.on(Path(storage.directory), self.clock, storage.database_url)
        await fresh.services.consults.start()
        return fresh

    async def end(self) -> None:
        await self.services.dispatcher.stop()
        await self.services.database.close()
        self.services.auth.close()

    # -- people --------------------------------------------------------------------------------------------

    def actor(self, username: str) -> Actor:
        person = next(one for one in county.PEOPLE if one.username == username)
        return Actor(
            person.id, ActorKind.PRACTITIONER, person.place, frozenset(person.roles), Personal(person.zh)
        )

    async def request(
        self,
        *,
        kind: Kind = Kind.URGENT,
        by: str = "village",
        specialty: str = "cardiology",
        recording: bool = True,
        submit: bool = True,
        devices: tuple[str, ...] = (county.ECG_DEVICE,),
        members: tuple[str, ...] = (),
        channel: Literal["stroke", "infarction"] | None = None,
    ) -> str:
        body = ConsultationIn(
            kind=kind,
            specialty=specialty,
            patient_id=PATIENT,
            purpose="胸痛两小时",
            summary="血压 90/60，大汗",
            consent=ConsentIn(consult=True, recording=recording),
            device_ids=list(devices),
            members=list(members),
            channel=channel,
            submit=submit,
        )
        return await self.services.consults.requests.create(self.actor(by), body, self.now)

    async def act(self, username: str, consult: str, action: Action, **given: Any) -> None:
        version, password = given.pop("version", None), given.pop("password", "")
        actor = self.actor(username)
        data = Data(actor_id=actor.id, **given)
        await self.services.consults.act(
            actor, consult, action, self.now, version=version, data=data, password=password
        )

    async def see(self, username: str, consult: str) -> ConsultationOut:
        return await self.services.consults.reading.one(self.actor(username), consult, self.now)

    async def state(self, consult: str) -> State:
        return (await self.see("desk", consult)).state

    async def enter(self, username: str, consult: str) -> RoomClaims:
        """Ask for a token and join with it."""
        actor = self.actor(username)
        entry = await self.services.consults.door.enter(actor, consult, self.now)
        claims = verify_room_token([self.services.keys.room_secret], entry.token, self.now)
        self.rooms.open[entry.room_id].users.add(actor.id)
        await self.tell(PeerJoined(entry.room_id, actor.id, entry.role, self.now))
        return claims

    async def leave(self, username: str, consult: str) -> None:
        room_id, actor, role = f"c-{consult}", self.actor(username), "x"
        self.rooms.open[room_id].users.discard(actor.id)
        await self.tell(PeerLeft(room_id, actor.id, role, "lost", self.now))

    async def tell(self, event: RoomEvent) -> None:
        await self.services.consults.room_event(event)
        await self.services.consults.settle()

    async def write_opinion(self, username: str, consult: str, *, critical: bool = False) -> None:
        body = OpinionIn(findings="II、III、aVF 导联 ST 段抬高", conclusion="下壁心梗", critical=critical)
        await self.services.consults.opinions.write(self.actor(username), consult, body, self.now)

    async def sign(self, username: str, consult: str, password: str = PASSWORD) -> None:
        await self.services.consults.opinions.sign(self.actor(username), consult, password, self.now)

    # -- time ----------------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        return self.clock.wall()

    async def advance(self, seconds: float) -> int:
        """Let time pass, then take what fell due."""
        self.clock.advance(seconds)
        taken = await self.services.dispatcher.run_due(self.now)
        await self.services.consults.settle()
        return taken

    # -- what is kept --------------------------------------------------------------------------------------

    async def trail(self, consult: str) -> list[tuple[str, str]]:
        """(actor, action) of the consult's audit entries, oldest first."""
        await self.services.consults.settle()
        async with self.services.database.read() as session:
            query = select(AuditEntry).where(AuditEntry.subject_id == consult)
            rows = (await session.scalars(query.order_by(AuditEntry.sequence))).all()
            return [(row.actor_id, row.action.removeprefix("consultation.")) for row in rows]

    async def seed(self) -> None:
        passwords = defaultdict(lambda: "")
        for person in county.PEOPLE:
            if person.username in ("cardio1", "cardio2", "neuro1", "sono1"):
                passwords[person.username] = await self.services.auth.passwords.hash(PASSWORD)
        async with self.services.database.write() as session:
            for place in county.PLACES:
                session.add(
                    Organization(
                        id=place.id,
                        name=place.zh,
                        name_en=place.en,
                        level=place.level,
                        parent_id=place.parent,
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
                        password_hash=passwords[person.username],
                        practitioner_id=person.id,
                        created_at=self.now,
                    )
                )
            for patient in county.PATIENTS:
                session.add(_patient(patient, self.now))
            for device_id, kind, zh, en in county.DEVICES:
                session.add(
                    Device(
                        id=device_id,
                        organization_id=county.DEVICES_PLACE,
                        kind=kind,
                        name=zh,
                        name_en=en,
                        token_hash=device_id,
                    )
                )
            await seed_schedules(session, county.HOSPITAL, county.ON_CALL)


def _practitioner(person: county.Person) -> Practitioner:
    return Practitioner(
        id=person.id,
        organization_id=person.place,
        name=Personal(person.zh),
        name_en=Personal(person.en),
        title=person.titles[0],
        title_en=person.titles[1],
        roles=[role.value for role in person.roles],
        specialties=list(person.specialties),
        languages=["zh"],
    )


def _patient(patient: county.DemoPatient, now: float) -> Patient:
    return Patient(
        id=patient.id,
        organization_id=patient.place,
        name=Personal(patient.zh),
        name_en=Personal(patient.en),
        sex=patient.sex,
        birth_date=Personal(patient.birth_date),
        identifier=Personal(patient.identifier),
        phone=None,
        created_at=now,
    )


DESK, VILLAGE, CARDIO1, CARDIO2 = "prc-desk", "prc-village", "prc-cardio1", "prc-cardio2"
__all__ = ["CARDIO1", "CARDIO2", "DESK", "PASSWORD", "VILLAGE", "Role", "World"]

"""One room of a scenario: its people join, its devices begin, and everybody leaves again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field

import aiohttp

from clients.sdk.errors import SdkError
from loadtest.rooms.ecg import LightDevice, LightViewer, SignalCounts
from loadtest.rooms.scenario_file import Role, Scenario
from loadtest.traffic.participant import Directory, LightParticipant, Published
from loadtest.traffic.tokens import TokenMaker
from loadtest.traffic.transport import Hub, NotConnectedError
from media.transport.certificate import DtlsCertificate

SIGNALS_S = 20.0
"""For a device or a viewer to be taken; as long as anybody waits for a media transport."""


@dataclass(slots=True)
class Joins:
    """How joining went, of everybody so far."""

    seconds: list[float] = field(default_factory=list)
    """From the first byte to signaling done, media connected and tracks taken."""
    failures: list[str] = field(default_factory=list)

    @property
    def tried(self) -> int:
        return len(self.seconds) + len(self.failures)


@dataclass(slots=True)
class Surroundings:
    """What all rooms of a run share."""

    scenario: Scenario
    url: str
    tokens: TokenMaker
    hub: Hub
    certificate: DtlsCertificate
    http: aiohttp.ClientSession
    directory: Directory = field(default_factory=Directory)
    joins: Joins = field(default_factory=Joins)
    signals: SignalCounts = field(default_factory=SignalCounts)


class LightRoom:
    """Made with `open`, ended with `close`."""

    def __init__(self, name: str, number: int, around: Surroundings) -> None:
        self._name = name
        self._number = number
        self._around = around
        self._people: list[LightParticipant] = []
        self._devices: list[LightDevice] = []
        self._viewers: list[LightViewer] = []

    @property
    def gone(self) -> int:
        """People whose signaling ended before they left."""
        return sum(person.closed_reason is not None for person in self._people)

    async def open(self) -> None:
        """Everybody comes at once. Who cannot join is noted and missed."""
        roles = [role for role in self._around.scenario.participants for _ in range(role.count)]
        await asyncio.gather(*(self._join(role, place) for place, role in enumerate(roles)))
        await asyncio.gather(*(self._device(place) for place in range(len(self._around.scenario.devices))))

    async def close(self) -> None:
        """Idempotent."""
        people, self._people = self._people, []
        devices, self._devices = self._devices, []
        viewers, self._viewers = self._viewers, []
        await asyncio.gather(
            *(device.stop() for device in devices),
            *(viewer.stop() for viewer in viewers),
            *(person.leave() for person in people),
        )

    async def _join(self, role: Role, place: int) -> None:
        around = self._around
        user = f"{self._name}-{place}"
        token = around.tokens.make(
            self._name,
            user,
            role.role,
            frozenset(role.publishes),
            signals=frozenset({"watch"}) if role.watches_signals else frozenset(),
        )
        person = LightParticipant(around.hub, around.directory, around.certificate)
        self._people.append(person)
        began = time.perf_counter()
        try:
            published = [self._published(source) for source in role.publishes]
            await person.join(around.url, token, published, paused=role.silent)
        except (SdkError, NotConnectedError) as error:
            around.joins.failures.append(f"{user}: {error}")
            return
        around.joins.seconds.append(time.perf_counter() - began)
        if role.silent:
            return
        # Spread over a picture's interval: nobody's camera is in step with another's.
        phase = (self._number * 7919 + place * 104_729) % 9973 / 9973
        person.start(time.monotonic_ns() + round(phase * 40_000_000))
        if role.watches_signals and around.scenario.devices:
            viewer = LightViewer(around.http, around.signals)
            self._viewers.append(viewer)
            await self._begin(viewer.start(around.url, token))

    async def _device(self, place: int) -> None:
        around = self._around
        token = around.tokens.make(
            self._name,
            f"{self._name}-device{place}",
            "device",
            subscribe=False,
            signals=frozenset({"publish"}),
        )
        device = LightDevice(around.scenario.devices[place], around.http, around.signals)
        self._devices.append(device)
        await self._begin(device.start(around.url, token, self._number * 7919 % 9973 / 9973))

    async def _begin(self, starting: Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(SIGNALS_S):
                await starting
        except (aiohttp.ClientError, SdkError, OSError, TimeoutError) as error:
            self._around.joins.failures.append(f"{self._name} signals: {error or type(error).__name__}")

    def _published(self, source: str) -> Published:
        scenario = self._around.scenario
        kind = scenario.sound if source == "microphone" else scenario.picture
        assert kind is not None  # the scenario file was checked
        return Published(source, kind.track())

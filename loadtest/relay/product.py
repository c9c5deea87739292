"""The product itself, by either plane: `huizhen demo`, rooms over the whole of its signaling."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from loadtest.cpu import on_core
from loadtest.plane import conditions
from loadtest.relay.forwarder import LEAVING_AT_ONCE, SOUND, Rooms, in_groups, picture
from loadtest.server_process import ServerFailedError, ServerProcess
from loadtest.traffic.participant import Directory, LightParticipant, Published
from loadtest.traffic.tokens import TokenMaker
from loadtest.traffic.transport import Hub, certificate_for, profile_named


class Product:
    """A server of its own on ``core``.

    :param plane: ``python``, ``native`` or ``auto``: its configuration's ``media.plane``.

    :ivar running: the plane that really runs, and its build.
    """

    def __init__(self, hub: Hub, plane: str, core: int) -> None:
        self.name = plane
        self._hub = hub
        self._directory = tempfile.TemporaryDirectory(prefix=f"huizhen-relay-{plane}-")
        data = Path(self._directory.name) / "data"
        with on_core(core):
            self._server = ServerProcess(data, ["--no-devices"], settings={"HUIZHEN_MEDIA_PLANE": plane})
        self._tokens = TokenMaker(data)
        self._people: list[LightParticipant] = []
        try:
            self.running = conditions(self._server.url, plane)
        except ServerFailedError:
            self.close()
            raise
        self._generation = 0

    def pids(self) -> Sequence[int]:
        return [self._server.pid]

    async def open_rooms(self, profile: str, rooms: int, fan_out: int, frame_packets: int) -> Rooms:
        certificate, directory = certificate_for(profile_named(profile)), Directory()
        opened = Rooms(profile)
        self._generation += 1

        async def join(room: str, user: str, publishes: bool) -> None:
            person = LightParticipant(self._hub, directory, certificate)
            self._people.append(person)
            rights = frozenset({"camera", "microphone"}) if publishes else frozenset[str]()
            token = self._tokens.make(
                room, user, "expert" if publishes else "observer", rights, subscribe=not publishes
            )
            published = (
                [Published("camera", picture(frame_packets)), Published("microphone", SOUND)]
                if publishes
                else []
            )
            await person.join(self._server.url, token, published)
            if person.profile != profile:
                raise RuntimeError(f"{person.profile} was negotiated instead of {profile}")
            if publishes:
                opened.pictures.append(directory.tracks[person.producers[0]])
                opened.sounds.append(directory.tracks[person.producers[1]])

        names = [f"relay-{self._generation}-{number}" for number in range(rooms)]
        await in_groups(join(name, f"{name}-p", True) for name in names)
        await in_groups(join(name, f"{name}-{n}", False) for name in names for n in range(fan_out))
        return opened

    async def close_rooms(self) -> None:
        people, self._people = self._people, []
        await in_groups((person.leave() for person in people), LEAVING_AT_ONCE)

    def close(self) -> None:
        self._server.kill()
        self._directory.cleanup()

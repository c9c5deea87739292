"""This process as one of several: its beat, its rooms' places, looking while the bus is away."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from media.errors import ErrorCode, Fault
from server.archive.ids import new_id
from server.archive.recordings import consultation_of
from server.consults.models import Consultation
from server.consults.ports import Rooms
from server.consults.states import BEFORE_ROOM, WITH_ROOM
from server.consults.vocabulary import State
from server.nodes import places
from server.nodes.catch_up import CatchUp
from server.nodes.limits import LOOK_BACK_S, LOOK_S, NODE_BEAT_S
from server.nodes.rooms import NodeRooms, carry_out
from server.services import Services
from signaling.bus import Bus
from signaling.fan_out import FanOut

logger = logging.getLogger(__name__)


class Node:
    """Owns the fan-out and one task. `signaling.service.Placement`.

    :param url: where browsers reach this node, ``https://host:port``; may be set until `start`.
    """

    def __init__(self, services: Services, bus: Bus) -> None:
        self.id = new_id("nod")
        self.url = ""
        self._services = services
        self._bus = bus
        self._origins: frozenset[str] = frozenset()
        self._catch_up = CatchUp()
        self._away = False
        self._changed = asyncio.Event()
        self._ending = False
        self._started = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def join(self) -> Rooms:
        """Take part in what rooms and gateway do, once they are made; the consults' door to rooms."""
        gateway = self._services.gateway
        self.fan_out = FanOut(self._bus, self.id, self._services.clock, gateway.deliver, gateway.users_here)
        self.fan_out.on_command = self._command
        self.fan_out.on_change = self._bus_changed
        gateway.fan_out = self.fan_out
        return NodeRooms(self._services.rooms, self.fan_out)

    @property
    def trouble(self) -> ErrorCode | None:
        """What is wrong between the nodes."""
        return self.fan_out.trouble

    @property
    def looking(self) -> bool:
        """It looks into the database for what others did: the bus is away, or was until now."""
        return self._away

    # -- life ----------------------------------------------------------------------------------------------

    async def start(self, url: str) -> None:
        """Idempotent."""
        if self._task is None:
            self.url = url
            async with self._services.database.write() as session:
                former = await places.succeed(session, self.id, url, self._services.clock.wall())
            await self._services.consults.rooms_lost(former)
            await self._beat(self._services.clock.wall())
            self._started.set()
            self._ending = False
            self._task = asyncio.create_task(self._run(), name="node")
            await self.fan_out.start()

    async def stop(self) -> None:
        """After the rooms have closed: others may take them at once. Idempotent."""
        task, self._task = self._task, None
        if task is None:
            return
        self._ending = True
        self._changed.set()
        await asyncio.wait({task})
        async with self._services.database.write() as session:
            await places.leave(session, self.id)
        await self.fan_out.close()

    async def _run(self) -> None:
        beaten = self._services.clock.monotonic()
        while not self._ending:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), LOOK_S)
            self._changed.clear()
            now = self._services.clock.monotonic()
            try:
                if now - beaten >= NODE_BEAT_S:
                    await self._beat(self._services.clock.wall())
                    beaten = now
                if self._away:
                    await self.look(self._services.clock.wall())
            except (SQLAlchemyError, Fault) as error:
                # The database's trouble is told by /readyz; the next round tries again.
                logger.error("a node's round failed: %s", type(error).__name__)

    # -- rooms' places (Placement) ---------------------------------------------------------------------------

    @property
    def origins(self) -> frozenset[str]:
        """The other nodes' addresses, as of the last beat."""
        return self._origins

    async def elsewhere(self, room_id: str) -> str | None:
        """The address of the node that has the room; None when it is this one, also by taking it now."""
        await self._started.wait()
        async with self._services.database.write() as session:
            owner = await places.take(session, room_id, self.id, self._services.clock.wall())
        return None if owner is None else owner.url

    async def rooms_elsewhere(self) -> frozenset[str]:
        """Rooms that other living nodes have."""
        async with self._services.database.read() as session:
            return frozenset(await places.elsewhere(session, self.id, self._services.clock.wall()))

    async def release(self, room_id: str) -> None:
        """It is open nowhere now, unless it was opened again."""
        if room_id in self._services.rooms.open_rooms:
            return
        async with self._services.database.write() as session:
            await places.release(session, room_id, self.id)

    async def _beat(self, now: float) -> None:
        """Live; bury who does not, and put right what went with them."""
        had = self._services.rooms.open_rooms
        async with self._services.database.write() as session:
            await places.beat(session, self.id, self.url, now)
            lost = await places.bury(session, now)
            others = [row.url for row in await places.living(session, now) if row.id != self.id]
            strange = had - await places.rooms_of(session, self.id)
            taken = [one for one in strange if await places.take(session, one, self.id, now) is not None]
        self._origins = frozenset(others)
        if lost:
            logger.warning("a node died: %d rooms are open nowhere now", len(lost))
            await self._services.consults.rooms_lost(lost)
        for room_id in taken:
            # We stood still for so long that another node took it.
            logger.warning("room %s is at another node by now", room_id)
            await self._services.rooms.close_room(room_id, "moved")

    # -- what others tell ------------------------------------------------------------------------------------

    def _command(self, command: Mapping[str, Any]) -> None:
        async def carry(_rooms: Rooms) -> None:
            await carry_out(self._services.rooms, command)

        self._services.consults.later("for another node", carry)

    def _bus_changed(self, up: bool) -> None:
        """Look in the database while it is away, and once more when it is back."""
        self._away = True
        self._changed.set()
        if up:
            logger.info("the nodes hear one another")

    async def look(self, now: float) -> None:
        """Tell this node's people what happened at others, and close rooms of consults that are over."""
        if self.fan_out.trouble is None:
            self._away = False
        users = self._services.gateway.users_here()
        async with self._services.database.read() as session:
            pushes = await self._catch_up.look(session, users, now - LOOK_BACK_S, now)
            over = await self._rooms_over(session)
        for push in pushes:
            self._services.gateway.deliver(push.user_id, push.event, push.payload)
        for room_id in over:
            await self._services.rooms.close_room(room_id, "ended")

    async def _rooms_over(self, session: Any) -> list[str]:
        by_consult = {consultation_of(room_id): room_id for room_id in self._services.rooms.open_rooms}
        ids = [one for one in by_consult if one is not None]
        if not ids:
            return []
        states = await session.execute(
            select(Consultation.id, Consultation.state).where(Consultation.id.in_(ids))
        )
        alive = (*WITH_ROOM, *BEFORE_ROOM)
        return [by_consult[consult] for consult, state in states if State(state) not in alive]

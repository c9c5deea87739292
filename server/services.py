"""The object graph, as handlers see it.

server/app.py builds it, starts it and stops it; nobody else writes to it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from server.auth.attempts import Attempts
from server.limits import (
    LIST_AUDIT_S,
    LISTS_LOOKED_AT,
    LOGIN_KEYS,
    REFUSAL_AUDIT_S,
    REPORT_CHECKS_PER_ADDRESS,
    REPORT_CHECKS_WINDOW_S,
)

if TYPE_CHECKING:
    from media.clock import Clock
    from media.signals import SignalStore
    from media.transport import MediaSocket
    from server.archive.audit import AuditLog
    from server.archive.database import Database
    from server.archive.recordings import RecordingCatalogue
    from server.auth.service import AuthService
    from server.config import Config
    from server.consults.ports import Rooms
    from server.consults.service import ConsultService
    from server.keys import Keys
    from server.metrics import Metrics
    from server.nodes.node import Node
    from server.oncall.dispatcher import Dispatcher
    from server.oncall.watch import RotaWatch
    from server.reach.service import Reach
    from server.register.importing import Importer
    from server.signal_files import SignalFiles
    from signaling.gateway import Gateway
    from signaling.service import RoomService


@dataclass(slots=True, kw_only=True)
class Services:
    """Everything that lives as long as the process.

    What the constructor takes stands before any other object is made. ``rooms`` and ``gateway`` are set next;
    ``consults`` and ``dispatcher`` last, made from this container, because they push, open rooms and write
    the audit trail.
    """

    config: Config
    clock: Clock
    keys: Keys
    database: Database
    audit: AuditLog
    auth: AuthService
    metrics: Metrics
    signals: SignalStore
    signal_files: SignalFiles
    recordings: RecordingCatalogue
    media_socket: MediaSocket
    openapi: dict[str, Any]
    importer: Importer = field(init=False)
    refusals: Attempts = field(default_factory=lambda: Attempts(1, REFUSAL_AUDIT_S, LOGIN_KEYS))
    looks: Attempts = field(default_factory=lambda: Attempts(1, LIST_AUDIT_S, LISTS_LOOKED_AT))
    report_checks: Attempts = field(
        default_factory=lambda: Attempts(REPORT_CHECKS_PER_ADDRESS, REPORT_CHECKS_WINDOW_S, LOGIN_KEYS)
    )
    rooms: RoomService = field(init=False)
    gateway: Gateway = field(init=False)
    consults: ConsultService = field(init=False)
    dispatcher: Dispatcher = field(init=False)
    rota_watch: RotaWatch = field(init=False)
    reach: Reach = field(init=False)
    node: Node | None = None
    node_rooms: Rooms | None = None

    @property
    def consult_rooms(self) -> Rooms:
        """The consults' door to rooms: this process's, or with several nodes everybody's."""
        return self.node_rooms or self.rooms

    async def place_room(self, room_id: str) -> str | None:
        """The address of the node that has the room; None when it is here, also by taking it now."""
        return None if self.node is None else await self.node.elsewhere(room_id)

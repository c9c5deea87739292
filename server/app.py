"""The one place where everything is put together, started and stopped.

Order of starting: secret, database (migrated), media port, rooms, gateway, consults, dispatcher, HTTP.
Stopping goes the other way, so that each part can still use what it stands on: HTTP takes nobody new, rooms
close and finalise their recordings, the dispatcher rests (its timers are in the database), sockets go, then
the media port, the signal store and the database. Stopping twice is harmless.
"""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from types import ModuleType
from typing import Any, cast, get_args

from aiohttp import web

import server.api.audit
import server.api.auth
import server.api.connectivity
import server.api.consultations
import server.api.devices
import server.api.emergencies
import server.api.escalation
import server.api.guest
import server.api.material_signals
import server.api.materials
import server.api.observations
import server.api.organizations
import server.api.oversight
import server.api.patients
import server.api.planning
import server.api.reach
import server.api.recordings
import server.api.register_files
import server.api.register_people
import server.api.register_places
import server.api.reports
import server.api.rota_asks
import server.api.rota_previews
import server.api.schedule_edits
import server.api.schedules
import server.api.service
import server.api.signal_exports
from media.clock import Clock
from media.errors import LocalProtocolError
from media.signals import SignalStore
from media.signals.analysis.alarms import PRESETS, AlarmLimits
from media.transport import MediaSocket, MediaSocketConfig
from media.transport.media_config import Plane, announced_addresses
from server.alarm_patients import AlarmPatients
from server.api.context import SERVICES
from server.api.openapi import openapi_document
from server.api.problem import problem_middleware
from server.api.routing import add_operations, operations_of
from server.archive.anchor import Anchor
from server.archive.audit import AuditLog
from server.archive.database import Database
from server.archive.migrate import upgrade_database
from server.archive.recordings import RecordingCatalogue
from server.auth.service import AuthService
from server.config import Config
from server.consults.service import ConsultService
from server.consults.states import with_ring
from server.errors import CONFIG_INVALID
from server.keys import Keys
from server.limits import MAX_BODY_BYTES
from server.listening import listen
from server.metrics import Metrics
from server.nodes.node import Node
from server.oncall.dispatcher import Dispatcher
from server.oncall.watch import RotaWatch
from server.reach.service import Reach
from server.register.importing import Importer
from server.room_events import RoomEvents
from server.services import Services
from server.signal_files import SignalFiles
from server.tls import ssl_context
from server.web_client import add_web_client
from signaling.gateway import Gateway
from signaling.ice_servers import TurnServer
from signaling.service import RoomService, SignalingConfig

API_MODULES: tuple[ModuleType, ...] = (
    server.api.auth,
    server.api.organizations,
    server.api.register_places,
    server.api.register_people,
    server.api.register_files,
    server.api.reach,
    server.api.patients,
    server.api.devices,
    server.api.consultations,
    server.api.reports,
    server.api.emergencies,
    server.api.material_signals,
    server.api.materials,
    server.api.oversight,
    server.api.guest,
    server.api.schedules,
    server.api.rota_previews,
    server.api.schedule_edits,
    server.api.rota_asks,
    server.api.escalation,
    server.api.planning,
    server.api.recordings,
    server.api.signal_exports,
    server.api.observations,
    server.api.audit,
    server.api.connectivity,
    server.api.service,
)

_SHUTDOWN_S = 3.0  # how long answers under way may take when the server stops

logger = logging.getLogger(__name__)


class Server:
    """A running Huizhen. Made by `Server.start`."""

    def __init__(self, services: Services, closing: AsyncExitStack, ports: dict[str, int]) -> None:
        self.services = services
        self._closing = closing
        self._ports = ports

    @classmethod
    async def start(cls, config: Config, clock: Clock) -> Server:
        """Start everything; whatever fails, what was started is stopped again.

        Raises OSError when a port is taken, Fault(config_invalid) when the configuration cannot work.
        """
        async with AsyncExitStack() as stack:
            services = await _build(_with_addresses(config), clock, stack)
            _build_rooms(services)
            ports = await _run(services, stack)
            return cls(services, stack.pop_all(), ports)

    @property
    def url(self) -> str:
        """Where the browser is pointed to on this machine."""
        return f"http://{_shown_host(self.services.config)}:{self._ports['http']}"

    @property
    def https_url(self) -> str | None:
        """Where phones are pointed to; None without HTTPS."""
        if "https" not in self._ports:
            return None
        address = self.services.config.media.announced_addresses[0]
        return f"https://{address}:{self._ports['https']}"

    async def stop(self) -> None:
        await self._closing.aclose()
        logger.info("stopped")


async def _build(config: Config, clock: Clock, stack: AsyncExitStack) -> Services:
    """What everything stands on. Each part registers its closing as it is made: they run in reverse."""
    config.data_directory.mkdir(parents=True, exist_ok=True)
    keys = Keys.load_or_create(config.data_directory)
    database = Database(config.database_url)
    stack.push_async_callback(database.close)
    await upgrade_database(database)
    audit = AuditLog(clock, Anchor(config.data_directory, keys.audit_key))
    async with database.read() as session:
        await audit.begin(session)
    auth = AuthService(config.auth, keys, database, audit)
    stack.callback(auth.close)
    signals = SignalStore(config.signals_directory, clock)
    stack.push_async_callback(signals.close)
    media_socket = await MediaSocket.open(_media_config(config), clock)
    stack.push_async_callback(media_socket.close)
    return Services(
        config=config,
        clock=clock,
        keys=keys,
        database=database,
        audit=audit,
        auth=auth,
        metrics=Metrics(),
        signals=signals,
        signal_files=SignalFiles(signals, config.data_directory),
        recordings=RecordingCatalogue(config.recordings_directory),
        media_socket=media_socket,
        openapi=_openapi(),
    )


@cache
def _openapi() -> dict[str, Any]:
    """The API's description: one for all servers of a process, which is a great part of a start."""
    return openapi_document(operations_of(API_MODULES), version("huizhen"))


def _build_rooms(services: Services) -> None:
    config, clock = services.config, services.clock
    services.node = _node(services)
    services.rooms = RoomService(
        SignalingConfig(
            allowed_origins=config.http.allowed_origins,
            turn=_turn(config),
            alarm_limits=_alarm_limits(config),
        ),
        services.media_socket,
        clock,
        (services.keys.room_secret,),
        RoomEvents(services),
        services.signals,
        config.recordings_directory,
        placement=services.node,
    )

    async def user_of(token: str) -> str:
        return await services.auth.user_id(token, clock.wall())

    services.gateway = Gateway(services.rooms, user_of)
    if services.node is not None:
        services.node_rooms = services.node.join()
    services.importer = Importer(services.database, services.audit, services.config.zone)
    services.consults = ConsultService(services, with_ring(config.oncall.ring_seconds))
    services.dispatcher = Dispatcher(services)
    services.rota_watch = RotaWatch(services)
    services.reach = Reach(services)
    services.consults.tell_through(services.reach)
    services.gateway.on_user_connected = services.consults.user_connected
    services.gateway.analysis.patients_of = AlarmPatients(services).of_room
    _measure_media(services)


def _node(services: Services) -> Node | None:
    """None where this is the only one. :raises LocalProtocolError: config_invalid."""
    config = services.config
    if not config.cluster.redis_url:
        return None
    if not config.storage.database_url:
        raise LocalProtocolError(
            CONFIG_INVALID, "[cluster] redis_url needs [storage] database_url: one database"
        )
    # Only here: one node needs no Redis client.
    from signaling.redis_bus import RedisBus

    try:
        bus = RedisBus(config.cluster.redis_url, services.keys.derive("bus"), services.clock)
    except ValueError as error:
        raise LocalProtocolError(CONFIG_INVALID, f"[cluster] redis_url: {error}") from None
    return Node(services, bus)


def _alarm_limits(config: Config) -> AlarmLimits:
    """:raises LocalProtocolError: config_invalid."""
    alarms = config.alarms
    limits = PRESETS.get(alarms.patients)
    if limits is None:
        raise LocalProtocolError(CONFIG_INVALID, f"[alarms] patients: one of {', '.join(PRESETS)}")
    limits = replace(limits, low=alarms.low or limits.low, high=alarms.high or limits.high)
    if not 0 < limits.low < limits.high:
        raise LocalProtocolError(CONFIG_INVALID, "[alarms] low must be below high")
    return limits


def _measure_media(services: Services) -> None:
    metrics, media_socket, tcp = services.metrics, services.media_socket, services.media_socket.tcp_counters
    # The compiled plane's socket counts anew at each look: what it gave at the start would stand still.
    metrics.gauge(
        "huizhen_media_garbage", "Datagrams that are nothing", lambda: media_socket.counters.garbage
    )
    metrics.gauge(
        "huizhen_media_unknown", "Datagrams of nobody we know", lambda: media_socket.counters.unknown
    )
    metrics.gauge("huizhen_media_tcp", "Media connections over TCP", lambda: media_socket.tcp_connections)
    metrics.gauge(
        "huizhen_media_tcp_refused", "TCP connections closed for what they sent", lambda: tcp.refused
    )
    metrics.gauge(
        "huizhen_media_tcp_dropped", "Datagrams that a TCP line had no room for", lambda: tcp.dropped
    )
    metrics.gauge(
        "huizhen_media_blocked",
        "Datagrams that the kernel had no room for",
        lambda: media_socket.counters.send_blocked,
    )
    metrics.gauge(
        "huizhen_media_failed", "Datagrams that the kernel refused", lambda: media_socket.counters.send_failed
    )
    _measure_store(metrics, services.signals)


def _measure_store(metrics: Metrics, store: SignalStore) -> None:
    """An operator's alarm belongs on the first; the third warns before."""
    metrics.gauge(
        "huizhen_signals_not_stored",
        "1 while the disk does not take the signals that come",
        lambda: int(store.trouble is not None),
    )
    metrics.gauge(
        "huizhen_signal_store_failures", "Times that signals could not be stored", lambda: store.failures
    )
    metrics.gauge("huizhen_signal_store_free_bytes", "Room on the disk of the signals", store.free_bytes)


async def _run(services: Services, stack: AsyncExitStack) -> dict[str, int]:
    """Start what moves; the ports by scheme."""
    await _adopt_recordings(services)
    runner = web.AppRunner(
        make_web_app(services), access_log=None, shutdown_timeout=_SHUTDOWN_S, handle_signals=False
    )
    stack.push_async_callback(runner.cleanup)
    await runner.setup()
    if services.node is not None:
        # When the rooms have closed: the other nodes may take them at once.
        stack.push_async_callback(services.node.stop)
    # Sockets go before the runner waits for their handlers.
    stack.push_async_callback(services.gateway.close)
    await services.rooms.start()
    stack.push_async_callback(services.dispatcher.stop)
    # Rooms close before the dispatcher rests: what their last events ask for is still carried out.
    stack.push_async_callback(services.rooms.close)
    stack.push_async_callback(services.reach.stop)
    await services.reach.start()
    await services.dispatcher.start()
    stack.push_async_callback(services.rota_watch.stop)
    await services.rota_watch.start()
    ports = await _listen(services, runner, stack)
    if services.node is not None:
        await services.node.start(_own_url(services.config, ports))
    return ports


def _own_url(config: Config, ports: Mapping[str, int]) -> str:
    """Where browsers are told to find this node's rooms."""
    if config.cluster.url:
        return config.cluster.url.rstrip("/")
    if "https" in ports:
        return f"https://{config.media.announced_addresses[0]}:{ports['https']}"
    return f"http://{_shown_host(config)}:{ports['http']}"


async def _adopt_recordings(services: Services) -> None:
    """Finalise what a crash left open, before new recordings begin."""
    async with services.database.write() as session:
        adopted = await services.recordings.adopt(session)
    if adopted:
        logger.warning("%d recordings of an earlier run were finished", adopted)


async def _listen(services: Services, runner: web.AppRunner, stack: AsyncExitStack) -> dict[str, int]:
    http = services.config.http
    wanted: list[tuple[str, int, ssl.SSLContext | None]] = [("http", http.port, None)]
    if http.https_port:
        wanted.append(("https", http.https_port, ssl_context(services.config, services.clock.wall())))
    ports: dict[str, int] = {}
    for scheme, port, context in wanted:
        bound = _bind(http.host, port)
        await listen(runner, bound, context, stack)
        ports[scheme] = bound.getsockname()[1]
    return ports


def make_web_app(services: Services) -> web.Application:
    """Routes, middleware and the web client around a finished object graph."""
    middlewares = [services.metrics.middleware(services.clock), problem_middleware]
    app = web.Application(middlewares=middlewares, client_max_size=MAX_BODY_BYTES)
    app[SERVICES] = services
    add_operations(app, operations_of(API_MODULES))
    services.gateway.attach(app)
    node = services.node
    zone = services.config.site.zone
    add_web_client(app, services.config.web_directory, lambda: () if node is None else node.origins, zone)
    return app


def _with_addresses(config: Config) -> Config:
    """The configuration with what the machine found out about itself: certificate and address name it too."""
    found = announced_addresses(_media_config(config))
    return replace(config, media=replace(config.media, announced_addresses=found))


def _media_config(config: Config) -> MediaSocketConfig:
    media = config.media
    return MediaSocketConfig(
        listen_ip=media.listen_ip,
        port=media.port,
        announced_addresses=media.announced_addresses,
        tcp_port=media.tcp_port,
        udp_announce=media.udp_announce,
        plane=_media_plane(media.plane),
    )


def _media_plane(name: str) -> Plane:
    for plane in get_args(Plane):
        if plane == name:
            return cast(Plane, plane)
    raise LocalProtocolError(CONFIG_INVALID, "[media] plane is auto, python or native")


def _turn(config: Config) -> TurnServer | None:
    turn = config.turn
    if not turn.urls:
        return None
    if not turn.secret or turn.ttl_minutes < 1:
        raise LocalProtocolError(CONFIG_INVALID, "[turn] needs a secret and a lifetime besides urls")
    return TurnServer(turn.urls, turn.secret, turn.ttl_minutes * 60)


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.create_server((host, port), family=family, backlog=512)
    bound.setblocking(False)
    return bound


def _shown_host(config: Config) -> str:
    host = config.http.host
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared with, not bound
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host

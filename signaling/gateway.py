"""Socket.IO: namespaces ``/room`` and ``/events``, and the place where signal sockets and WHIP are mounted.

With `signaling.gateway_packets` and `signaling.gateway_socket` the only importer of ``socketio``. Thin: it
finds the session, acknowledges,
and turns a `Fault` into the error of PROTOCOL.md. No rule of the protocol lives here.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final

import socketio
from aiohttp import web

from media.errors import Fault, LocalProtocolError, RemoteProtocolError
from signaling.connections import Connection
from signaling.connectivity import ConnectivityGateway
from signaling.errors import INTERNAL, TOKEN_MISSING, UNKNOWN_EVENT
from signaling.fan_out import FanOut
from signaling.gateway_packets import REQUEST, RequestPacket, event_packet
from signaling.gateway_socket import NOT_A_PACKET, GatewaySocket, end_the_silent
from signaling.limits import (
    ACCOUNT_SOCKETS_MAX,
    IDENTIFIER_MAX,
    REFUSED_CONNECTS_MAX,
    SILENT_SOCKETS_S,
    SOCKET_MESSAGE_BYTES_MAX,
    SOCKETS_MAX,
)
from signaling.service import RoomService
from signaling.session import RoomSession
from signaling.signal_analysis import SignalAnalysis
from signaling.signals_gateway import SignalsGateway
from signaling.signals_past import SignalsPast
from signaling.whep_http import WhepGateway
from signaling.whip_http import WhipGateway

logger = logging.getLogger(__name__)
# The libraries write whole messages at level info, and a line or a traceback for each malformed one above it:
# a peer must not be able to fill the log. What remains are errors of our own handlers.
_library_logger = logging.getLogger(f"{__name__}.socketio")
_library_logger.setLevel(logging.ERROR)
_library_logger.addFilter(lambda record: record.msg != "Unknown receive error")

ROOM: Final = "/room"
EVENTS: Final = "/events"
# Who is cut off is noticed in 12 s: before its media is given up, so that a dead peer is gone in 15 s.
PING_INTERVAL_S: Final = 5
PING_TIMEOUT_S: Final = 7

Authenticate = Callable[[str], Awaitable[str]]
UserConnected = Callable[[str], Awaitable[None] | None]
Acknowledgement = dict[str, Any]


SIGNED_OUT = "signedOut"
"""The last push to an account that was closed, or whose password was reset: its sockets end with it."""


class Gateway:
    """Mounts the signaling of a `RoomService` on a web application.

    :param authenticate_account: the account id of an account token; raises a `Fault` otherwise.
    """

    def __init__(self, rooms: RoomService, authenticate_account: Authenticate) -> None:
        self.on_user_connected: UserConnected | None = None
        self.fan_out: FanOut | None = None  # where several nodes share the work
        self._rooms = rooms
        self._authenticate = authenticate_account
        self._sessions: dict[str, RoomSession] = {}
        self._connections: dict[str, Connection] = {}
        self._accounts: dict[str, list[Connection]] = {}
        self._upgrades: dict[str, web.Request] = {}
        self._websockets = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stopped = False
        self._sio = self._make_server()
        self._signals = SignalsGateway(rooms)
        self._past = SignalsPast(rooms)
        self._sdp = (WhipGateway(rooms), WhepGateway(rooms))
        self.connectivity = ConnectivityGateway(rooms, authenticate_account)

    @property
    def analysis(self) -> SignalAnalysis:
        """Of the rooms' ECGs."""
        return self._signals.analysis

    def _make_server(self) -> Any:
        origins = self._rooms.config.allowed_origins
        server = socketio.AsyncServer(
            async_mode="aiohttp",
            serializer=RequestPacket,
            # Requests of one socket in order; one that floods waits for itself alone.
            async_handlers=False,
            monitor_clients=False,
            cors_allowed_origins="*" if "*" in origins else self._allowed_origins(origins),
            max_http_buffer_size=SOCKET_MESSAGE_BYTES_MAX,
            ping_interval=PING_INTERVAL_S,
            ping_timeout=PING_TIMEOUT_S,
            logger=_library_logger,
            engineio_logger=_library_logger,
        )
        server.eio._async = {**server.eio._async, "websocket": GatewaySocket}
        server.on("connect", self._room_connected, namespace=ROOM)
        server.on("disconnect", self._room_disconnected, namespace=ROOM)
        server.on(REQUEST, self._room_request, namespace=ROOM)
        server.on("connect", self._events_connected, namespace=EVENTS)
        server.on("disconnect", self._events_disconnected, namespace=EVENTS)
        server.on(REQUEST, self._events_request, namespace=EVENTS)
        return server

    def _allowed_origins(self, origins: tuple[str, ...]) -> Any:
        """What the library takes: None is our own origin alone. Other nodes' pages may come too."""
        if self._rooms.placement is None:
            return list(origins) or None
        placement = self._rooms.placement
        return lambda origin, environ: (
            origin in origins or origin in placement.origins or _same_origin(origin, environ)
        )

    # -- for the application -------------------------------------------------------------------------------

    def attach(self, app: web.Application) -> None:
        """Mount everything; rooms start and close with ``app``."""
        for method in ("GET", "POST", "OPTIONS"):
            app.router.add_route(method, "/socket.io/", self._engine_request)
        self._signals.attach(app)
        for endpoint in (self._past, *self._sdp, self.connectivity):
            endpoint.attach(app)
        app.cleanup_ctx.append(self._lifetime)
        # Long-lived sockets must end before the web server waits for its connections to end.
        app.on_shutdown.append(self._shutdown)

    async def notify(self, user_id: str, event: str, payload: dict[str, Any]) -> None:
        """Push to every socket of an account, at any node; nothing is kept for one that is offline."""
        self.deliver(user_id, event, payload)
        if self.fan_out is not None:
            self.fan_out.push(user_id, event, payload)

    def deliver(self, user_id: str, event: str, payload: dict[str, Any]) -> None:
        """Push to the account's sockets of this process."""
        for connection in list(self._accounts.get(user_id, ())):
            connection.send(event, payload)
            if event == SIGNED_OUT:
                connection.close()

    def online(self, user_id: str) -> bool:
        """Whether the account has a socket on ``/events``, at any node."""
        return self.online_here(user_id) or (self.fan_out is not None and self.fan_out.online(user_id))

    def online_here(self, user_id: str) -> bool:
        return bool(self._accounts.get(user_id))

    def users_here(self) -> frozenset[str]:
        """Whose sockets on ``/events`` are in this process."""
        return frozenset(self._accounts)

    async def close(self) -> None:
        """Close the rooms, then what is mounted. Idempotent."""
        for endpoint in (*self._sdp, self.connectivity):
            await endpoint.close()
        await self._rooms.close()
        await self._signals.close()
        for connection in list(self._connections.values()):
            connection.abort()
        if not self._stopped:
            self._stopped = True
            # A long poll waits for its queue even when its client has gone.
            for socket in self._sio.eio.sockets.values():
                socket.queue.put_nowait(None)
            await self._sio.shutdown()
        if self._tasks:
            await asyncio.wait(set(self._tasks))

    async def _lifetime(self, _app: web.Application) -> AsyncIterator[None]:
        await self._rooms.start()
        looking = asyncio.create_task(self._end_the_silent(), name="silent sockets")
        yield
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        await self.close()

    async def _end_the_silent(self) -> None:
        while True:
            await asyncio.sleep(SILENT_SOCKETS_S)
            await end_the_silent(self._sio.eio.sockets)

    async def _shutdown(self, _app: web.Application) -> None:
        await self.close()

    # -- the socket ----------------------------------------------------------------------------------------

    async def _engine_request(self, request: web.Request) -> web.StreamResponse:
        engine_sid = request.query.get("sid", "")
        upgrade = request.headers.get("Upgrade", "").lower() == "websocket"
        if upgrade:
            if self._websockets >= SOCKETS_MAX:
                return web.Response(status=503)
            self._websockets += 1
            if engine_sid:
                self._upgrades[engine_sid] = request
        try:
            response: web.StreamResponse = await self._sio.handle_request(request)
        except (*NOT_A_PACKET, OSError) as error:
            # Not even an Engine.IO packet: there is nobody to answer in that protocol.
            logger.info("socket dropped: %s", type(error).__name__)
            _drop(request)
            return web.Response(status=400)
        finally:
            if upgrade:
                self._websockets -= 1
                if self._upgrades.get(engine_sid) is request:
                    del self._upgrades[engine_sid]
        return response

    def _connect(self, namespace: str, sid: str, environ: dict[str, Any]) -> Connection:
        engine_sid = self._sio.manager.eio_sid_from_sid(sid, namespace)
        socket = self._sio.eio.sockets[engine_sid]

        def disconnect() -> None:
            self._spawn(self._sio.disconnect(sid, namespace=namespace))

        def abort() -> None:
            _drop(self._upgrades.get(engine_sid) or environ.get("aiohttp.request"))
            self._spawn(socket.close(wait=False, abort=True))

        connection = Connection(
            socket, lambda event, payload: event_packet(namespace, event, payload), disconnect, abort
        )
        self._connections[sid] = connection
        return connection

    def _refuse(self, environ: dict[str, Any], fault: Fault) -> Exception:
        """The refusal to raise; a socket that is refused again and again is dropped."""
        environ["huizhen.refused"] = environ.get("huizhen.refused", 0) + 1
        if environ["huizhen.refused"] > REFUSED_CONNECTS_MAX:
            _drop(environ.get("aiohttp.request"))
        refusal: Exception = socketio.exceptions.ConnectionRefusedError(fault.code.code, fault.as_json())
        return refusal

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._reap)

    def _reap(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("a signaling task failed", exc_info=task.exception())

    # -- /room ---------------------------------------------------------------------------------------------

    async def _room_connected(self, sid: str, environ: dict[str, Any], auth: object = None) -> None:
        fields = auth if isinstance(auth, dict) else {}
        try:
            claims = self._rooms.verify(fields.get("token"))
            await self._rooms.place(claims)
            self._rooms.room_for(claims)
        except Fault as fault:
            raise self._refuse(environ, fault) from None
        connection = self._connect(ROOM, sid, environ)
        resume = fields.get("resume")
        resume = resume if isinstance(resume, str) and len(resume) <= IDENTIFIER_MAX else None
        self._sessions[sid] = RoomSession(self._rooms, claims, resume, connection)

    async def _room_disconnected(self, sid: str, _reason: str) -> None:
        connection = self._connections.pop(sid, None)
        if connection is not None:
            connection.forget()
        session = self._sessions.pop(sid, None)
        if session is not None:
            session.lost()

    async def _room_request(
        self, sid: str, event: str, arguments: tuple[object, ...], wants_ack: bool, fault: Fault | None
    ) -> Acknowledgement | None:
        session, connection = self._sessions.get(sid), self._connections.get(sid)
        if session is None or connection is None:
            return None
        connection.hold()
        answer = _request(session, event, arguments, fault)
        if session.flooding:
            connection.abort()
        return _acknowledge(connection, answer, wants_ack)

    # -- /events -------------------------------------------------------------------------------------------

    async def _events_connected(self, sid: str, environ: dict[str, Any], auth: object = None) -> None:
        token = auth.get("token") if isinstance(auth, dict) else None
        try:
            if not isinstance(token, str) or not token:
                raise RemoteProtocolError(TOKEN_MISSING)
            user_id = await self._authenticate(token)
        except Fault as fault:
            raise self._refuse(environ, fault) from None
        connection = self._connect(EVENTS, sid, environ)
        connection.user_id = user_id
        sockets = self._accounts.setdefault(user_id, [])
        if len(sockets) >= ACCOUNT_SOCKETS_MAX:
            sockets[0].abort()
        sockets.append(connection)
        if len(sockets) == 1 and self.fan_out is not None:
            self.fan_out.came(user_id)
        if self.on_user_connected is not None:
            # Runs after the library has queued the acceptance, which happens in this same step.
            self._spawn(_call(self.on_user_connected, user_id))

    async def _events_disconnected(self, sid: str, _reason: str) -> None:
        connection = self._connections.pop(sid, None)
        if connection is None:
            return
        connection.forget()
        sockets = self._accounts.get(connection.user_id, [])
        if connection in sockets:
            sockets.remove(connection)
        if (
            not sockets
            and self._accounts.pop(connection.user_id, None) is not None
            and self.fan_out is not None
        ):
            self.fan_out.went(connection.user_id)

    async def _events_request(
        self, sid: str, _event: str, _arguments: object, wants_ack: bool, fault: Fault | None
    ) -> Acknowledgement | None:
        connection = self._connections.get(sid)
        if connection is None:
            return None
        connection.hold()
        return _acknowledge(connection, _refusal(fault or RemoteProtocolError(UNKNOWN_EVENT)), wants_ack)


def _request(
    session: RoomSession, event: str, arguments: tuple[object, ...], fault: Fault | None
) -> Acknowledgement:
    """The one place where a `Fault` becomes a reply.

    Any other error is ours: logged whole, told the client as ``internal``, and nobody else is disturbed.
    """
    try:
        return {"ok": True, "data": session.request(event, arguments, fault)}
    except Fault as raised:
        return _refusal(raised)
    except Exception:
        logger.exception("a request failed")
        return _refusal(LocalProtocolError(INTERNAL))


def _refusal(fault: Fault) -> Acknowledgement:
    return {"ok": False, "error": fault.as_json()}


def _acknowledge(connection: Connection, answer: Acknowledgement, wants_ack: bool) -> Acknowledgement | None:
    """What the handler returns to the library, which queues it in this same step; held events follow."""
    asyncio.get_running_loop().call_soon(connection.release)
    if wants_ack:
        return answer
    if not answer["ok"]:
        connection.send("protocolError", answer["error"])
    return None


async def _call(callback: UserConnected, user_id: str) -> None:
    outcome = callback(user_id)
    if inspect.isawaitable(outcome):
        await outcome


def _same_origin(origin: str | None, environ: Mapping[str, Any]) -> bool:
    """As the library reckons it; a proxy in front that ends TLS says so."""
    scheme = (
        str(environ.get("HTTP_X_FORWARDED_PROTO", environ.get("wsgi.url_scheme", ""))).split(",")[0].strip()
    )
    hosts = {environ.get("HTTP_HOST"), environ.get("HTTP_X_FORWARDED_HOST")}
    return origin in {f"{scheme}://{host}" for host in hosts if host}


def _drop(request: web.Request | None) -> None:
    if request is not None and request.transport is not None:
        request.transport.abort()

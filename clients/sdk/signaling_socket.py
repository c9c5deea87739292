"""One Socket.IO namespace of the server: requests with replies, events in order. (python-socketio inside.)"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import socketio

from clients.sdk.errors import ConnectionLost, RequestRefused
from clients.sdk.limits import CONNECT_TIMEOUT_S, REQUEST_TIMEOUT_S
from clients.sdk.trust import Trust


class SignalingSocket:
    """A connection to one namespace; made by `connect`.

    :param on_event: takes event name and payload, in the order of the wire.
    :param on_lost: told once when the connection ended without `close`.
    """

    def __init__(
        self,
        namespace: str,
        on_event: Callable[[str, Any], None],
        on_lost: Callable[[], None],
        ssl_verify: Trust = True,
    ) -> None:
        self._namespace = namespace
        self._on_event = on_event
        self._on_lost = on_lost
        self._closing = False
        self._refusal: object = None
        self._client: Any = socketio.AsyncClient(
            reconnection=False, handle_sigint=False, websocket_extra_options={"ssl": ssl_verify}
        )
        self._client.on("*", self._received, namespace=namespace)
        self._client.on("disconnect", self._disconnected, namespace=namespace)
        self._client.on("connect_error", self._refused, namespace=namespace)

    async def connect(self, url: str, auth: Mapping[str, Any]) -> None:
        """Connect and wait until the namespace took ``auth``.

        :raises RequestRefused: the server's own error, such as token_expired.
        :raises ConnectionLost: not reachable.
        """
        try:
            await self._client.connect(
                url,
                auth=dict(auth),
                namespaces=[self._namespace],
                transports=["websocket"],
                wait_timeout=CONNECT_TIMEOUT_S,
            )
        except socketio.exceptions.ConnectionError as error:
            self._closing = True
            await self._client.disconnect()
            if isinstance(self._refusal, Mapping):
                raise RequestRefused.from_json(_error_of(self._refusal)) from None
            raise ConnectionLost(f"{self._namespace}: {error}") from error

    async def request(self, event: str, data: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Send an event and wait for its acknowledgement's ``data``.

        :raises RequestRefused: the server said no.
        :raises ConnectionLost: no answer in time, or not connected.
        """
        try:
            reply = await self._client.call(
                event, dict(data or {}), namespace=self._namespace, timeout=REQUEST_TIMEOUT_S
            )
        except (TimeoutError, socketio.exceptions.SocketIOError) as error:
            raise ConnectionLost(f"{event}: {type(error).__name__}") from error
        if not isinstance(reply, Mapping):
            raise ConnectionLost(f"{event}: the acknowledgement is no object")
        if not reply.get("ok"):
            raise RequestRefused.from_json(reply.get("error"))
        return dict(reply.get("data") or {})

    async def send(self, event: str, data: Any) -> None:
        """Send an event as it is, without waiting for a reply; for tests of bad input.

        :raises ConnectionLost: not connected.
        """
        try:
            await self._client.emit(event, data, namespace=self._namespace)
        except socketio.exceptions.SocketIOError as error:
            raise ConnectionLost(f"{event}: {type(error).__name__}") from error

    @property
    def connected(self) -> bool:
        """Whether the namespace is connected at present."""
        return self._namespace in self._client.namespaces and bool(self._client.connected)

    async def close(self) -> None:
        """Disconnect; idempotent."""
        self._closing = True
        await self._client.disconnect()

    async def cut(self) -> None:
        """Drop the connection without a goodbye, as a lost network does; `on_lost` is told."""
        await self._client.eio.disconnect(abort=True)

    def _received(self, event: str, *arguments: Any) -> None:
        self._on_event(event, arguments[0] if arguments else None)

    def _refused(self, data: Any = None) -> None:
        self._refusal = data

    def _disconnected(self, *_: Any) -> None:
        if not self._closing:
            self._closing = True
            self._on_lost()


def _error_of(refusal: Mapping[str, Any]) -> object:
    """The error object of a ``connect_error``, which is its data, or itself on older servers."""
    data = refusal.get("data", refusal)
    return data.get("error", data) if isinstance(data, Mapping) else data

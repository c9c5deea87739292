"""The account's stream of events (namespace ``/events``): rings, consultations, device assignments."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from clients.sdk.limits import CONNECT_TIMEOUT_S, EVENT_QUEUE
from clients.sdk.signaling_socket import SignalingSocket
from clients.sdk.trust import Trust

NAMESPACE = "/events"


@dataclass(frozen=True, slots=True)
class AccountEvent:
    """``name`` is consultation, ring, ringEnded, deviceAssigned, deviceReleased, or ``lost`` when cut."""

    name: str
    payload: Mapping[str, Any]


class EventStream:
    """Events of one account; made by `connect`. On each connect the server repeats what is running."""

    def __init__(self, ssl_verify: Trust = True) -> None:
        self._events: asyncio.Queue[AccountEvent] = asyncio.Queue(EVENT_QUEUE)
        self._socket = SignalingSocket(
            NAMESPACE, self._received, lambda: self._received("lost", {}), ssl_verify
        )

    @classmethod
    async def connect(cls, url: str, access_token: str, ssl_verify: Trust = True) -> EventStream:
        """Connect with an account's or a device's token.

        :raises RequestRefused: token_invalid, token_expired.
        :raises ConnectionLost: not reachable.
        """
        stream = cls(ssl_verify)
        await stream._socket.connect(url, {"token": access_token})
        return stream

    async def next_event(self) -> AccountEvent:
        """The next event; waits for it."""
        return await self._events.get()

    async def wait_for(
        self,
        name: str,
        matches: Callable[[Mapping[str, Any]], bool] = lambda _: True,
        timeout_s: float = CONNECT_TIMEOUT_S,
    ) -> Mapping[str, Any]:
        """Skip events up to the first ``name`` whose payload ``matches``; raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while True:
                event = await self._events.get()
                if event.name == name and matches(event.payload):
                    return event.payload

    async def close(self) -> None:
        """Disconnect; idempotent."""
        await self._socket.close()

    def _received(self, name: str, payload: Any) -> None:
        if self._events.full():
            self._events.get_nowait()
        self._events.put_nowait(AccountEvent(name, payload if isinstance(payload, Mapping) else {}))

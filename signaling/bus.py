"""What nodes say to one another, as an interface; and the bus of several nodes in one process (tests)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from media.errors import ErrorCode

Message = Mapping[str, Any]
"""JSON. Every message has ``k`` (its kind) and ``n`` (the node that sent it)."""

BUS_AWAY = ErrorCode(
    "bus_away",
    503,
    "节点间的消息总线不可用，呼叫改由数据库查询，会晚几秒。",
    "The bus between the nodes is away: calls are found in the database, some seconds later.",
)
BUS_FOREIGN = ErrorCode(
    "bus_foreign",
    503,
    "消息总线上有密钥不同的节点：各节点须使用同一个 secret.key。",
    "A node with another secret speaks on the bus: all nodes need the same secret.key.",
)


class Bus(Protocol):
    """Takes a message to every node, the sender too, in the sender's order.

    What is said while it is away is lost.
    """

    @property
    def trouble(self) -> ErrorCode | None:
        """None while messages arrive."""
        ...

    def publish(self, message: Message) -> None:
        """Never waits; lost when the bus is away."""
        ...

    async def start(self, hear: Callable[[Message], None], changed: Callable[[bool], None]) -> None:
        """``hear`` takes each message; ``changed`` is told that the bus is there (True) or away (False)."""
        ...

    async def close(self) -> None:
        """Idempotent."""
        ...


class LocalHub:
    """Joins `LocalBus`es as a Redis would; `cut` and `mend` are its death and return."""

    def __init__(self) -> None:
        self.buses: list[LocalBus] = []
        self.up = True

    def cut(self) -> None:
        self._set(False)

    def mend(self) -> None:
        self._set(True)

    def _set(self, up: bool) -> None:
        self.up = up
        for bus in list(self.buses):
            bus.changed(up)


class LocalBus:
    """A node's end of a `LocalHub`."""

    def __init__(self, hub: LocalHub) -> None:
        self._hub = hub
        self._hear: Callable[[Message], None] | None = None
        self.changed: Callable[[bool], None] = lambda _up: None

    @property
    def trouble(self) -> ErrorCode | None:
        return None if self._hub.up else BUS_AWAY

    def publish(self, message: Message) -> None:
        if self._hub.up:
            for bus in list(self._hub.buses):
                bus._hears(message)

    async def start(self, hear: Callable[[Message], None], changed: Callable[[bool], None]) -> None:
        self._hear, self.changed = hear, changed
        self._hub.buses.append(self)
        changed(self._hub.up)

    async def close(self) -> None:
        self._hear = None
        if self in self._hub.buses:
            self._hub.buses.remove(self)

    def _hears(self, message: Message) -> None:
        if self._hear is not None:
            self._hear(message)

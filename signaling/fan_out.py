"""One node's place among several: pushes and commands to where they belong, and who is online elsewhere.

Kinds of message: ``push`` (to a person's pages, wherever they are), ``do`` (a command for the node that has
the room), ``here`` (all who are online at a node), ``came`` and ``went``, ``beat``, ``ask`` (say all again),
``bye``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from media.clock import Clock
from media.errors import ErrorCode
from signaling.bus import Bus, Message
from signaling.limits import BEAT_S
from signaling.online import OnlineElsewhere

logger = logging.getLogger(__name__)

Deliver = Callable[[str, str, dict[str, Any]], None]
Command = Callable[[Mapping[str, Any]], None]


class FanOut:
    """Owns the bus and one task.

    :param deliver: a push (user, event, payload) to the sockets of this process.
    :param here: whose pages are connected to this process.
    """

    def __init__(
        self, bus: Bus, node_id: str, clock: Clock, deliver: Deliver, here: Callable[[], Iterable[str]]
    ) -> None:
        self.node_id = node_id
        self.on_command: Command = lambda _command: None
        self.on_change: Callable[[bool], None] = lambda _up: None
        self._bus = bus
        self._clock = clock
        self._deliver = deliver
        self._here = here
        self._sequence = 0
        self._elsewhere = OnlineElsewhere()
        self._task: asyncio.Task[None] | None = None
        self._hearing: Mapping[str, Callable[[str, Message], None]] = {
            "push": self._hears_push,
            "do": self._hears_command,
            "here": self._hears_here,
            "came": self._hears_change,
            "went": self._hears_change,
            "beat": self._hears_beat,
            "ask": self._hears_ask,
            "bye": lambda node_id, _message: self._elsewhere.gone(node_id),
        }

    @property
    def trouble(self) -> ErrorCode | None:
        return self._bus.trouble

    @property
    def nodes(self) -> frozenset[str]:
        """The others that are heard."""
        return self._elsewhere.nodes

    async def start(self) -> None:
        """Idempotent."""
        if self._task is None:
            self._task = asyncio.create_task(self._beat_always(), name="node beat")
            await self._bus.start(self._hears, self._changed)

    async def close(self) -> None:
        """Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            self._say("bye")
        await self._bus.close()

    # -- what this node says -------------------------------------------------------------------------------

    def push(self, user_id: str, event: str, payload: Mapping[str, Any]) -> None:
        """To the pages that others hold; this node's own are told without the bus."""
        self._say("push", to=user_id, event=event, data=payload)

    def command(self, **command: Any) -> None:
        """To every other node; those whom it does not concern do nothing."""
        self._say("do", what=command)

    def came(self, user_id: str) -> None:
        """The first page of somebody was connected here."""
        self._sequence += 1
        self._say("came", seq=self._sequence, user=user_id)

    def went(self, user_id: str) -> None:
        """The last one is gone."""
        self._sequence += 1
        self._say("went", seq=self._sequence, user=user_id)

    def online(self, user_id: str) -> bool:
        """At another node."""
        return user_id in self._elsewhere

    def _say(self, kind: str, **fields: Any) -> None:
        self._bus.publish({"k": kind, "n": self.node_id, **fields})

    def _say_all(self) -> None:
        self._say("here", seq=self._sequence, users=sorted(self._here()))

    async def _beat_always(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            self.beat()

    def beat(self) -> None:
        """Say that this node lives, and drop those that say nothing."""
        self._say("beat", seq=self._sequence)
        self._elsewhere.forget_silent(self._clock.monotonic())

    # -- what it hears -------------------------------------------------------------------------------------

    def _changed(self, up: bool) -> None:
        if up:
            self._say_all()
            self._say("ask", of="")
        self.on_change(up)

    def _hears(self, message: Message) -> None:
        kind, node_id = message.get("k"), message.get("n")
        if node_id == self.node_id:
            return
        handler = self._hearing.get(str(kind))
        if handler is None or not isinstance(node_id, str):
            return  # a newer version of ourselves may know more kinds
        try:
            handler(node_id, message)
        except (KeyError, TypeError, ValueError) as error:
            logger.warning("a message %s of another node was not understood: %s", kind, type(error).__name__)

    def _hears_push(self, _node_id: str, message: Message) -> None:
        self._deliver(str(message["to"]), str(message["event"]), dict(message["data"]))

    def _hears_command(self, _node_id: str, message: Message) -> None:
        self.on_command(dict(message["what"]))

    def _hears_here(self, node_id: str, message: Message) -> None:
        users = [str(user) for user in message["users"]]
        self._elsewhere.whole(node_id, int(message["seq"]), users, self._clock.monotonic())

    def _hears_change(self, node_id: str, message: Message) -> None:
        seq, user, now = int(message["seq"]), str(message["user"]), self._clock.monotonic()
        if not self._elsewhere.change(node_id, seq, user, message["k"] == "came", now):
            self._say("ask", of=node_id)

    def _hears_beat(self, node_id: str, message: Message) -> None:
        if not self._elsewhere.alive(node_id, int(message["seq"]), self._clock.monotonic()):
            self._say("ask", of=node_id)

    def _hears_ask(self, _node_id: str, message: Message) -> None:
        if message.get("of") in ("", self.node_id):
            self._say_all()

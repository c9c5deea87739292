"""A page in a room, watched from outside: its statistics, its pictures, and what its socket is told."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, WebSocket

SCRIPT = Path(__file__).with_name("network_watch.js")
_CONTROL_EVENTS = frozenset({"consumerReduced", "consumerLayers", "transportState"})


@dataclass(frozen=True)
class Told:
    """One event of the server to the page; ``at`` is Unix seconds."""

    at: float
    name: str
    payload: dict[str, Any]


@dataclass
class Watch:
    """Made before the page is opened; `sample` once it is in the room.

    :param peer_ids: what each join gave, in order: (Unix seconds, peer id, resumed).
    """

    page: Page
    told: list[Told] = field(default_factory=list)
    peer_ids: list[tuple[float, str, bool]] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.page.add_init_script(path=SCRIPT)
        self.page.on("websocket", self._socket_opened)

    def sample(self) -> dict[str, Any]:
        """The page's figures now; sums since the page was opened."""
        found: dict[str, Any] = self.page.evaluate("() => window.__watched()")
        return found

    def pause(self, seconds: float) -> None:
        """Let time pass; playwright hands over the socket's frames meanwhile."""
        self.page.wait_for_timeout(seconds * 1000)

    def _socket_opened(self, socket: WebSocket) -> None:
        socket.on("framereceived", self._heard)

    def _heard(self, frame: str | bytes) -> None:
        """Socket.IO: ``42/room,[name, payload]`` is an event, ``43/room,N[reply]`` an acknowledgement."""
        if not isinstance(frame, str) or not frame.startswith(("42/room,", "43/room,")):
            return
        message = json.loads(frame[frame.index("[") :])
        if frame.startswith("42"):
            self._event(message[0], message[1] if len(message) > 1 else {})
        elif isinstance(data := message[0].get("data"), dict):
            self._learn(data)
            if "peerId" in data and "resumed" in data:
                self.peer_ids.append((time.time(), data["peerId"], data["resumed"]))

    def _event(self, name: str, payload: dict[str, Any]) -> None:
        self._learn(payload)
        if name in _CONTROL_EVENTS:
            self.told.append(Told(time.time(), name, payload))

    def _learn(self, data: dict[str, Any]) -> None:
        for consumer in data.get("consumers", ()):
            if isinstance(consumer, dict):
                self.sources[consumer["id"]] = consumer["source"]

    def given_up(self, since: float, until: float) -> list[dict[str, Any]]:
        """What the server said it reduced, paused or gave back (`consumerReduced`), by source."""
        return [
            {
                "at_s": round(one.at - since, 1),
                "source": self.sources.get(one.payload.get("consumerId", ""), "unknown"),
                **{name: value for name, value in one.payload.items() if name != "consumerId"},
            }
            for one in self.told
            if one.name == "consumerReduced" and since <= one.at <= until
        ]

    def pauses(self, until: float) -> dict[str, list[tuple[float, float]]]:
        """When the server told that it sends no pictures of a source, or key frames alone: from, to (ms)."""
        found: dict[str, list[tuple[float, float]]] = {}
        since: dict[str, float] = {}
        for one in self.told:
            source = self.sources.get(one.payload.get("consumerId", ""))
            if one.name != "consumerReduced" or source is None:
                continue
            if one.payload.get("state") == "paused" or one.payload.get("keyFramesOnly"):
                since.setdefault(source, one.at * 1000)
            elif (begin := since.pop(source, None)) is not None:
                found.setdefault(source, []).append((begin, one.at * 1000))
        for source, begin in since.items():
            found.setdefault(source, []).append((begin, until * 1000))
        return found

"""Which room a device belongs to now: pushed by the server on ``/events``, repeated on every connection."""

from __future__ import annotations

import asyncio
import enum
import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from clients.device.policy import Verdict, judge, reconnect_delay
from clients.sdk.errors import ConnectionLost, RequestRefused
from clients.sdk.signaling_socket import SignalingSocket
from clients.sdk.trust import Trust, is_untrusted

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Assignment:
    """The device shall send into this room.

    :param token: a room token, good for a while; a later assignment brings a new one.
    :param signals_path: where an ECG goes, relative to the server.
    :param whip_path: where video goes, likewise.
    """

    consultation_id: str
    room_id: str
    token: str = field(repr=False)
    signals_path: str = "/signals/publish"
    whip_path: str = ""

    @classmethod
    def from_json(cls, value: object) -> Assignment:
        """:raises ValueError: a field is missing or no text."""
        keys = ("consultationId", "roomId", "token", "signalsPath", "whipPath")
        return cls(*(_text(value, key) for key in keys))


@dataclass(frozen=True, slots=True)
class Released:
    """The consult is over; the device is free."""

    consultation_id: str


Change = Assignment | Released


class Reach(enum.Enum):
    """Whether the server is reached, and if not, whether its certificate is why."""

    ONLINE = "online"
    OFFLINE = "offline"
    UNTRUSTED = "untrusted"


async def watch_assignments(
    server: str,
    token: str,
    trust: Trust,
    deliver: Callable[[Change], None],
    reached: Callable[[Reach], None],
    longest_s: Callable[[], float],
) -> None:
    """Stay connected for ever and tell every change.

    :param longest_s: how long the wait before another try may be now (`clients.device.policy`).
    :param reached: told whenever the server is reached or lost.
    :raises RequestRefused: the server does not take the device's token.
    """
    attempt = 0
    while True:
        lost = asyncio.Event()
        socket = SignalingSocket("/events", lambda event, data: _tell(event, data, deliver), lost.set, trust)
        reach = Reach.OFFLINE
        try:
            await socket.connect(server, {"token": token})
            attempt = 0
            reached(Reach.ONLINE)
            await lost.wait()
        except RequestRefused as refusal:
            if judge(refusal.code, refusal.blame) is not Verdict.RETRY:
                raise
        except ConnectionLost as problem:
            logger.debug("not reachable: %s", problem)
            reach = Reach.UNTRUSTED if is_untrusted(problem) else Reach.OFFLINE
        finally:
            await socket.close()
        reached(reach)
        await asyncio.sleep(reconnect_delay(attempt, random.random(), longest_s()))
        attempt += 1


def _tell(event: str, data: object, deliver: Callable[[Change], None]) -> None:
    try:
        if event == "deviceAssigned":
            deliver(Assignment.from_json(data))
        elif event == "deviceReleased":
            deliver(Released(_text(data, "consultationId")))
    except ValueError as problem:
        logger.warning("%s cannot be read: %s", event, problem)


def _text(value: object, key: str) -> str:
    found = value.get(key) if isinstance(value, Mapping) else None
    if not isinstance(found, str) or not found:
        raise ValueError(key)
    return found

"""Debian's Janus VideoRoom as a `Forwarder`: the same participants, the same packets."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from loadtest.relay.forwarder import LEAVING_AT_ONCE, SOUND, Rooms, in_groups, picture
from loadtest.relay.janus_api import JanusRefusedError, JanusSession
from loadtest.relay.janus_process import JanusProcess
from loadtest.relay.janus_sdp import (
    NUMBER_URI,
    Description,
    Ourselves,
    publisher_offer,
    read,
    subscriber_answer,
)
from loadtest.traffic.transport import Hub, LightTransport, certificate_for, profile_named
from media.transport.certificate import DtlsCertificate

_FIRST_ROOM = 1000
JOINING_AT_ONCE = 48
"""A join at Janus is a second of waiting."""
FEED_TRIES = 50
FEED_WAIT_S = 0.1


class Janus:
    """One Janus on ``core``; must have been installed."""

    name = "janus"

    def __init__(self, hub: Hub, core: int) -> None:
        self._hub = hub
        self._directory = tempfile.TemporaryDirectory(prefix="huizhen-relay-janus-")
        self._process = JanusProcess(Path(self._directory.name), core)
        self._session: JanusSession | None = None
        self._people: list[_Person] = []
        self._next_room = _FIRST_ROOM

    def pids(self) -> Sequence[int]:
        return [self._process.pid]

    def log_text(self) -> str:
        return self._process.log_text()

    async def open_rooms(self, profile: str, rooms: int, fan_out: int, frame_packets: int) -> Rooms:
        self._session = session = self._session or await JanusSession.connect(self._process.port)
        certificate = certificate_for(profile_named(profile))
        opened = Rooms(profile)
        numbers = range(self._next_room, self._next_room + rooms)
        self._next_room += rooms
        desk = await session.attach()
        for room in numbers:
            await session.message(desk, {"request": "create", "room": room, "publishers": 1, "bitrate": 0})
        await session.detach(desk)
        publishers = {room: _Person(self._hub, session, certificate) for room in numbers}
        self._people += publishers.values()
        await in_groups(
            (person.publish(room, frame_packets) for room, person in publishers.items()), JOINING_AT_ONCE
        )
        sinks = [(room, _Person(self._hub, session, certificate)) for room in numbers for _ in range(fan_out)]
        self._people += (person for _, person in sinks)
        await in_groups((person.subscribe(room, publishers[room]) for room, person in sinks), JOINING_AT_ONCE)
        for person in self._people:
            if person.profile != profile:
                raise RuntimeError(f"{person.profile} was negotiated instead of {profile}")
        opened.sounds = [person.tracks[0] for person in publishers.values()]
        opened.pictures = [person.tracks[1] for person in publishers.values()]
        return opened

    async def close_rooms(self) -> None:
        people, self._people = self._people, []
        await in_groups((person.leave() for person in people), LEAVING_AT_ONCE)
        if self._session is not None:
            await self._session.close()
            self._session = None

    def close(self) -> None:
        self._process.close()
        self._directory.cleanup()


class _Person:
    """A publisher or a subscriber of one room."""

    def __init__(self, hub: Hub, session: JanusSession, certificate: DtlsCertificate) -> None:
        self.tracks: list[int] = []
        self.feed = 0
        self._streams: list[int] = []
        self._hub = hub
        self._session = session
        self._handle = 0
        self._transport = LightTransport(hub, certificate)

    @property
    def profile(self) -> str:
        return self._transport.profile

    async def publish(self, room: int, frame_packets: int) -> None:
        self._handle = await self._session.attach()
        engine, number = self._hub.engine, self._transport.number
        tracks = []
        for mid, kind in enumerate((SOUND, picture(frame_packets))):
            ids = [("mid", 1), ("abs", 4), ("number", 5), *([] if kind.is_video else [("level", 10)])]
            tracks.append(
                replace(
                    kind,
                    ssrc=random.randrange(1, 1 << 31),
                    payload_type=101 if kind.is_video else 100,
                    mid=str(mid),
                    extensions=ids,
                )
            )
        self.tracks = [engine.add_track(number, track) for track in tracks]
        joined = await self._session.message(
            self._handle, {"request": "join", "ptype": "publisher", "room": room}
        )
        self.feed = int(joined["plugindata"]["data"]["id"])
        offer = publisher_offer(self._ourselves(), *tracks)
        answer = await self._session.message(
            self._handle, {"request": "publish"}, {"type": "offer", "sdp": offer}
        )
        await self._connect(read(answer["jsep"]["sdp"]), 0)

    async def subscribe(self, room: int, publisher: _Person) -> None:
        self._handle = await self._session.attach()
        request = {
            "request": "join",
            "ptype": "subscriber",
            "room": room,
            "streams": [{"feed": publisher.feed}],
        }
        attached = await self._attached(request)
        offer = read(attached["jsep"]["sdp"])
        number_id = 0
        for section in offer.sections:
            track = publisher.tracks[section.kind == "video"]
            ssrc, *rtx = section.ssrcs
            self._streams.append(
                self._hub.engine.add_stream(self._transport.number, ssrc, rtx[0] if rtx else 0, track)
            )
            number_id = number_id or section.extension_id(NUMBER_URI)
        answer = {"type": "answer", "sdp": subscriber_answer(self._ourselves(), offer)}
        await self._session.message(self._handle, {"request": "start"}, answer)
        await self._connect(offer, number_id)

    async def _attached(self, request: dict[str, Any]) -> dict[str, Any]:
        """Janus knows a feed only some time after its publisher's transport is up."""
        for _ in range(FEED_TRIES):
            try:
                return await self._session.message(self._handle, request)
            except JanusRefusedError as error:
                if "No such feed" not in str(error):
                    raise
            await asyncio.sleep(FEED_WAIT_S)
        return await self._session.message(self._handle, request)

    async def leave(self) -> None:
        for stream in self._streams:
            self._hub.engine.remove_stream(stream)
        for track in self.tracks:
            self._hub.engine.remove_track(track)
        if self._handle:
            await self._session.detach(self._handle)
        self._transport.close()

    async def _connect(self, theirs: Description, number_id: int) -> None:
        await self._transport.connect(theirs.address, theirs.ice, theirs.dtls, number_id)

    def _ourselves(self) -> Ourselves:
        engine, transport = self._hub.engine, self._transport
        return Ourselves(
            transport.ice_parameters, transport.fingerprint, engine.local_ip(transport.number), engine.port
        )


def versions() -> dict[str, Any]:
    """Conditions to be told with Janus's figures."""
    return {
        "janus_crypto": "Debian's libsrtp2 is built on NSS, whose AES-CM/SHA-1 is slow",
        "janus_settings": "event_loops = 1, ice_lite, VideoRoom, WebSocket",
        "janus_network": "its address is on an idle veth of the namespace, for it offers none of lo's; "
        "its packets go over lo as everybody's",
    }

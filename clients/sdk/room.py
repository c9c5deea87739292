"""One participant in one room, as signaling/PROTOCOL.md describes it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from clients.sdk.errors import ConnectionLost
from clients.sdk.limits import CONNECT_TIMEOUT_S
from clients.sdk.media_session import SendMedia
from clients.sdk.media_source import EncodedSource
from clients.sdk.room_connection import RoomConnection
from clients.sdk.track_sender import TrackSender
from clients.sdk.trust import Trust
from media.clock import Clock, SystemClock


class RoomSession(RoomConnection):
    """A joined participant; made by `join`, ended by `leave` or `close`."""

    def __init__(self, url: str, token: str, clock: Clock, receive: bool, ssl_verify: Trust) -> None:
        super().__init__(url, token, clock, receive, ssl_verify)
        self._next_mid = 0
        self._next_stream_id = 0

    @classmethod
    async def join(
        cls,
        url: str,
        token: str,
        *,
        clock: Clock | None = None,
        receive: bool = True,
        ssl_verify: Trust = True,
    ) -> RoomSession:
        """Connect to ``url`` (http or https), join the token's room and connect media.

        :param receive: take the others' tracks; False for one that only publishes.
        :raises RequestRefused: the server's error, such as token_expired or room_full.
        :raises ConnectionLost: not reachable, by signaling or by media.
        """
        session = cls(url, token, clock or SystemClock(), receive, ssl_verify)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await session._connect({"token": token})
        except TimeoutError:
            await session.close()
            raise ConnectionLost("join took too long") from None
        except BaseException:
            await session.close()
            raise
        return session

    # publishing

    async def publish(self, source: EncodedSource, name: str, *, paused: bool = False) -> TrackSender:
        """Send ``source`` as ``microphone``, ``camera``, ``screen`` or ``ultrasound``.

        :raises RequestRefused: not_granted, limit_reached ...
        """
        send = self._require_send()
        mid = str(self._next_mid)
        self._next_mid += 1
        track = TrackSender(source, mid, send.transport, self._clock)
        track.paused = paused
        request = {
            "transportId": send.id,
            "kind": source.kind,
            "rtpParameters": track.rtp_parameters(),
            "source": name,
            "paused": paused,
        }
        reply = await self._socket.request("produce", request)
        producer_id = str(reply["id"])
        self.tracks[producer_id] = send.tracks[producer_id] = track
        track.start()
        return track

    def producer_id(self, track: TrackSender) -> str:
        """Under which id ``track`` is published."""
        return next(key for key, value in self.tracks.items() if value is track)

    async def unpublish(self, track: TrackSender) -> None:
        """Stop sending a track and close its producer."""
        producer_id = self.producer_id(track)
        del self.tracks[producer_id]
        if self._send is not None:
            self._send.tracks.pop(producer_id, None)
        await track.stop()
        await self._socket.request("closeProducer", {"producerId": producer_id})

    async def set_paused(self, track: TrackSender, paused: bool) -> None:
        """Mute or unmute one of our tracks."""
        track.paused = paused
        event = "pauseProducer" if paused else "resumeProducer"
        await self._socket.request(event, {"producerId": self.producer_id(track)})

    # data

    async def open_data(self, label: str, protocol: str = "", ordered: bool = True) -> int:
        """Publish a data stream; returns its number for `send_data`."""
        send = self._require_send()
        stream_id = self._next_stream_id
        self._next_stream_id += 1
        send.transport.open_data_stream(stream_id, ordered=ordered, label=label, protocol=protocol)
        request = {
            "transportId": send.id,
            "sctpStreamParameters": {"streamId": stream_id, "ordered": ordered},
            "label": label,
            "protocol": protocol,
        }
        await self._socket.request("produceData", request)
        return stream_id

    def send_data(self, stream_id: int, payload: str | bytes) -> bool:
        """Send a message; False when it had to be dropped."""
        return self._require_send().transport.send_data(stream_id, payload)

    # talking, chairing

    async def request(self, event: str, data: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Any request of the protocol; returns its reply's data."""
        return await self._socket.request(event, data)

    async def chat(self, text: str) -> str:
        """Say something; returns the message's id."""
        return str((await self._socket.request("chat", {"text": text}))["id"])

    async def remove_peer(self, peer_id: str, reason: str = "") -> None:
        """Chair: put someone out."""
        await self._socket.request("removePeer", {"peerId": peer_id, "reason": reason})

    async def mute_peer(self, peer_id: str, source: str) -> None:
        """Chair: pause someone's track."""
        await self._socket.request("mutePeer", {"peerId": peer_id, "source": source})

    async def start_recording(self) -> str:
        """Returns the recording's id."""
        return str((await self._socket.request("startRecording"))["recordingId"])

    async def stop_recording(self) -> None:
        """The `RecordingChanged` event tells when it is closed."""
        await self._socket.request("stopRecording")

    # ending

    async def leave(self) -> None:
        """Say goodbye and close."""
        if self._socket.connected:
            await self._socket.request("leave")
        await self.close()

    def _require_send(self) -> SendMedia:
        if self._send is None:
            raise ConnectionLost("this participant may publish nothing")
        return self._send

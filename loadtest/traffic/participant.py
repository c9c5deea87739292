"""One light participant: all of the signaling, ICE, DTLS; its packets are the engine's business."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from clients.sdk.signaling_socket import SignalingSocket
from loadtest.traffic.engine import Track
from loadtest.traffic.transport import Hub, LightTransport
from media.ortc.capabilities import ABS_SEND_TIME, AUDIO_LEVEL, MID, TRANSPORT_CC, router_rtp_capabilities
from media.transport.certificate import DtlsCertificate
from media.transport.parameters import DtlsParameters, IceParameters

_AUDIO_TYPE, _VIDEO_TYPE = 100, 101
_EXTENSIONS = (
    ("mid", MID, 1),
    ("abs", ABS_SEND_TIME, 4),
    ("number", TRANSPORT_CC, 5),
    ("level", AUDIO_LEVEL, 10),
)
"""The router's own numbers (`media.ortc.capabilities`), for what we send as for what we take."""
_NUMBER_ID = 5
_VIDEO_FEEDBACK = [
    {"type": "nack", "parameter": ""},
    {"type": "nack", "parameter": "pli"},
    {"type": "ccm", "parameter": "fir"},
    {"type": "transport-cc", "parameter": ""},
]
_AUDIO_FEEDBACK = [{"type": "transport-cc", "parameter": ""}]


@dataclass(frozen=True, slots=True)
class Published:
    """A track to publish under a source of the protocol (``microphone``, ``camera`` ...)."""

    source: str
    track: Track


@dataclass(slots=True)
class Directory:
    """Which of our tracks a producer of the server is; streams that came before we knew wait here."""

    tracks: dict[str, int] = field(default_factory=dict)
    waiting: dict[str, list[int]] = field(default_factory=dict)


class LightParticipant:
    """Joins with `join`, leaves with `leave`.

    :param token: a room token; its grants say what is published and whether anything is received.
    """

    def __init__(self, hub: Hub, directory: Directory, certificate: DtlsCertificate) -> None:
        self.tracks: list[int] = []
        """Numbers of the engine's tracks, in the order they were published in."""
        self.producers: list[str] = []
        """The server's ids of what is published, in the same order."""
        self.streams: dict[str, int] = {}
        """The engine's streams by consumer id."""
        self.closed_reason: str | None = None
        self.profile = ""
        self._hub = hub
        self._directory = directory
        self._certificate = certificate
        self._socket = SignalingSocket("/room", self._event, self._lost)
        self._send: LightTransport | None = None
        self._send_id = ""
        self._recv: LightTransport | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    async def join(
        self, url: str, token: str, published: Sequence[Published] = (), paused: bool = False
    ) -> None:
        """Connect, join, bring the transports up, publish; tracks stay silent until `start`.

        :param paused: tracks are published paused, as by somebody who is muted.
        :raises SdkError: the server refused or was not reached.
        :raises NotConnectedError: no media transport.
        """
        await self._socket.connect(url, {"token": token})
        reply = await self._socket.request("join", {"rtpCapabilities": capabilities()})
        connecting = []
        if reply["recvTransport"]:
            self._recv = LightTransport(self._hub, self._certificate)
            connecting.append(self._connect(reply["recvTransport"], self._recv, False))
        if published and reply["sendTransport"]:
            self._send = LightTransport(self._hub, self._certificate)
            self._send_id = str(reply["sendTransport"]["id"])
            connecting.append(self._connect(reply["sendTransport"], self._send, True))
        self._take(reply["consumers"])
        await asyncio.gather(*connecting)
        self.producers = await asyncio.gather(
            *(self._publish(one, str(mid), paused) for mid, one in enumerate(published))
        )

    def start(self, start_ns: int = 0) -> None:
        """Let the tracks flow, the first frame at ``start_ns`` (`time.monotonic_ns`)."""
        for track in self.tracks:
            self._hub.engine.set_active(track, True, start_ns)

    def stop(self) -> None:
        """Let the tracks fall silent."""
        for track in self.tracks:
            self._hub.engine.set_active(track, False)

    async def leave(self) -> None:
        """Fall silent, tell the server, close; idempotent."""
        self.stop()
        for task in list(self._tasks):
            task.cancel()
        for stream in self.streams.values():
            self._hub.engine.remove_stream(stream)
        self.streams.clear()
        for track in self.tracks:
            self._hub.engine.remove_track(track)
        self.tracks.clear()
        for transport in (self._send, self._recv):
            if transport is not None:
                transport.close()
        await self._socket.close()

    async def _connect(self, json: Mapping[str, Any], transport: LightTransport, sending: bool) -> None:
        candidate = next(c for c in json["iceCandidates"] if c["protocol"] == "udp")
        dtls = {
            "role": "client",
            "fingerprints": [{"algorithm": "sha-256", "value": transport.fingerprint}],
        }
        await asyncio.gather(
            self._socket.request("connectTransport", {"transportId": json["id"], "dtlsParameters": dtls}),
            transport.connect(
                (str(candidate["ip"]), int(candidate["port"])),
                IceParameters.from_json(json["iceParameters"]),
                DtlsParameters.from_json(json["dtlsParameters"]),
                0 if sending else _NUMBER_ID,
            ),
        )
        self.profile = transport.profile

    async def _publish(self, published: Published, mid: str, paused: bool) -> str:
        assert self._send is not None
        is_video = published.track.is_video
        ssrc = random.randrange(1, 1 << 31)
        track = replace(
            published.track,
            ssrc=ssrc,
            payload_type=_VIDEO_TYPE if is_video else _AUDIO_TYPE,
            mid=mid,
            extensions=[(name, number) for name, _, number in _EXTENSIONS if name != "level" or not is_video],
        )
        number = self._hub.engine.add_track(self._send.number, track)
        self.tracks.append(number)
        reply = await self._socket.request(
            "produce",
            {
                "transportId": self._send_id,
                "kind": "video" if is_video else "audio",
                "source": published.source,
                "paused": paused,
                "rtpParameters": rtp_parameters(track, ssrc + 1),
            },
        )
        producer = str(reply["id"])
        self._directory.tracks[producer] = number
        for stream in self._directory.waiting.pop(producer, []):
            self._hub.engine.set_stream_track(stream, number)
        return producer

    def _take(self, consumers: Sequence[Mapping[str, Any]]) -> list[str]:
        """Make a stream of each consumer that has none; returns all ids."""
        ids = [str(consumer["id"]) for consumer in consumers]
        if self._recv is None:
            return ids
        for consumer in consumers:
            if consumer["id"] in self.streams:
                continue
            encoding = consumer["rtpParameters"]["encodings"][0]
            track = self._directory.tracks.get(consumer["producerId"], -1)
            stream = self._hub.engine.add_stream(
                self._recv.number, encoding["ssrc"], (encoding.get("rtx") or {}).get("ssrc", 0), track
            )
            self.streams[consumer["id"]] = stream
            if track < 0:
                self._directory.waiting.setdefault(consumer["producerId"], []).append(stream)
        return ids

    def _event(self, name: str, payload: Any) -> None:
        if name == "newConsumers":
            ids = self._take(payload["consumers"])
            self._begin(self._socket.request("resumeConsumers", {"consumerIds": ids}))
        elif name == "consumerClosed":
            stream = self.streams.pop(str(payload["consumerId"]), None)
            if stream is not None:
                self._hub.engine.remove_stream(stream)
        elif name in ("removed", "roomClosed"):
            self.closed_reason = name

    def _begin(self, coroutine: Any) -> None:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _lost(self) -> None:
        self.closed_reason = "signaling lost"


def capabilities() -> dict[str, Any]:
    """What a light participant receives: the router's Opus, VP8 and RTX, with the router's extensions."""
    json = router_rtp_capabilities()
    wanted = {_AUDIO_TYPE, _VIDEO_TYPE, _VIDEO_TYPE + 1}
    codecs = [codec for codec in json["codecs"] if codec["preferredPayloadType"] in wanted]
    return {"codecs": codecs, "headerExtensions": json["headerExtensions"]}


def rtp_parameters(track: Track, rtx_ssrc: int) -> dict[str, Any]:
    """mediasoup's JSON of a track as we send it."""
    codec: dict[str, Any] = {
        "mimeType": "video/VP8" if track.is_video else "audio/opus",
        "payloadType": track.payload_type,
        "clockRate": 90_000 if track.is_video else 48_000,
        "parameters": {} if track.is_video else {"useinbandfec": 1},
        "rtcpFeedback": _VIDEO_FEEDBACK if track.is_video else _AUDIO_FEEDBACK,
    }
    codecs = [codec]
    encoding: dict[str, Any] = {"ssrc": track.ssrc}
    if track.is_video:
        codecs.append(
            {
                "mimeType": "video/rtx",
                "payloadType": track.payload_type + 1,
                "clockRate": 90_000,
                "parameters": {"apt": track.payload_type},
                "rtcpFeedback": [],
            }
        )
        encoding["rtx"] = {"ssrc": rtx_ssrc}
    else:
        codec["channels"] = 2
    uris = {name: uri for name, uri, _ in _EXTENSIONS}
    return {
        "mid": track.mid,
        "codecs": codecs,
        "headerExtensions": [{"uri": uris[name], "id": number} for name, number in track.extensions],
        "encodings": [encoding],
        "rtcp": {"cname": track.cname, "reducedSize": True},
    }

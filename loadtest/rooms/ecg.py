"""Light ECG devices and viewers: the real sockets, with samples that were made once."""

from __future__ import annotations

import asyncio
import math
import struct
import time
import uuid
import zlib
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache

import aiohttp
import numpy as np

from clients.sdk.errors import ConnectionLost
from clients.sdk.signals import PUBLISH_PATH, VIEW_PATH
from loadtest.rooms.scenario_file import Device
from media.signals import wire
from media.signals.descriptor import Lead, StreamDescriptor
from media.signals.frames import Frame, encode

_CODES = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
_SEQUENCE = struct.Struct("<QQ")
_SEQUENCE_AT = 20
_STREAM = slice(4, 20)
_RATE = struct.Struct("<I")
_RATE_AT = 36
_SAMPLES = struct.Struct("<H")
_SAMPLES_AT = 42
_CRC = struct.Struct("<I")


@dataclass(slots=True)
class SignalCounts:
    """Of all devices and viewers of a run."""

    closed: list[str] = field(default_factory=list)
    """Why sockets ended before their time."""
    delays_s: list[float] = field(default_factory=list)
    """From a frame's sending, which its device time is here, to a viewer."""
    ages_s: list[float] = field(default_factory=list)
    """The same and the frame's length: how old its first sample is, where a frame is sent when it is full."""
    lengths: Counter[int] = field(default_factory=Counter)
    """Frames sent, by the ms that they hold."""
    sent: int = 0
    late: int = 0
    """Of them more than a frame's time."""
    received: int = 0
    lost: int = 0
    """Left out by the numbers that a viewer saw."""

    def begin_anew(self) -> None:
        """Forget what was sent and received; what was lost stays."""
        self.delays_s.clear()
        self.ages_s.clear()
        self.lengths.clear()
        self.sent = self.received = 0

    def note_lost(self, reason: str) -> None:
        self.closed.append(reason)


class LightDevice:
    """One ECG: announces itself, then sends on the clock's grid, in frames as long as the server wishes.

    A gateway comes to another length by and by; here it is one step, for nobody draws these.
    """

    def __init__(self, device: Device, http: aiohttp.ClientSession, counts: SignalCounts) -> None:
        self._device = device
        self._descriptor = descriptor_of(device, str(uuid.uuid4()))
        self._length_ms = 0
        self._frames: list[bytearray] = []
        self._follow(device.frame_ms or wire.FRAME_MS)
        self._http = http
        self._counts = counts
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, url: str, token: str, phase: float) -> None:
        """Announce and begin; ``phase`` (0..1) is the place in the frame's interval.

        :raises ConnectionLost: not accepted.
        """
        self._socket = socket = await self._http.ws_connect(url + PUBLISH_PATH)
        await socket.send_str(wire.announce(token, self._descriptor))
        reply = wire.parse_reply(str((await socket.receive()).data))
        if not isinstance(reply, wire.Accepted):
            raise ConnectionLost(f"the announcement was not accepted: {reply}")
        self._wished(reply.frame_ms)
        self._tasks = [
            asyncio.create_task(self._send(socket, phase), name="ecg"),
            asyncio.create_task(self._read(socket), name="ecg acknowledgements"),
        ]

    async def stop(self) -> None:
        """Close without a word; idempotent."""
        await _stop(self._tasks, self._socket)
        self._tasks, self._socket = [], None

    async def _send(self, socket: aiohttp.ClientWebSocketResponse, phase: float) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + phase * self._length_ms / 1000
        sequence = 0
        while True:
            delay = due - loop.time()
            if delay > 0:
                await asyncio.sleep(delay)
            length_ms = self._length_ms
            if -delay > length_ms / 1000:
                self._counts.late += 1
            frame = stamped(self._frames[sequence % len(self._frames)], sequence, time.time_ns())
            try:
                await socket.send_bytes(frame)
            except (ConnectionError, aiohttp.ClientError) as error:
                self._counts.note_lost(f"device: {type(error).__name__}")
                return
            self._counts.sent += 1
            self._counts.lengths[length_ms] += 1
            sequence += 1
            due += length_ms / 1000

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            if '"error"' in message.data[:40]:
                self._counts.note_lost(f"device: {message.data[:120]}")
            elif '"frameMs"' in message.data:
                reply = wire.parse_reply(message.data)
                self._wished(reply.frame_ms if isinstance(reply, wire.Ack) else None)

    def _wished(self, length_ms: int | None) -> None:
        """By the server; a length that the scenario's file says stays."""
        if length_ms is not None and self._device.frame_ms is None:
            self._follow(length_ms)

    def _follow(self, length_ms: int) -> None:
        if length_ms == self._length_ms:
            return
        self._length_ms = length_ms
        self._frames = frames_of(self._device, length_ms, self._descriptor.stream_bytes)


class LightViewer:
    """Watches a room's signals and counts."""

    def __init__(self, http: aiohttp.ClientSession, counts: SignalCounts) -> None:
        self._http = http
        self._counts = counts
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, url: str, token: str) -> None:
        self._socket = await self._http.ws_connect(url + VIEW_PATH)
        await self._socket.send_str(wire.watch(token))
        self._tasks = [asyncio.create_task(self._read(self._socket), name="viewer")]

    async def stop(self) -> None:
        """Idempotent."""
        await _stop(self._tasks, self._socket)
        self._tasks, self._socket = [], None

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        counts = self._counts
        began = time.time_ns()
        last: dict[bytes, int] = {}
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.BINARY:
                continue
            stream = message.data[4:20]
            sequence, device_ns = _SEQUENCE.unpack_from(message.data, _SEQUENCE_AT)
            counts.received += 1
            counts.lost += max(0, sequence - last.get(stream, sequence - 1) - 1)
            last[stream] = sequence
            if device_ns > began:  # what came before is the strip of the last seconds
                delay_s = (time.time_ns() - device_ns) / 1e9
                (rate_mhz,) = _RATE.unpack_from(message.data, _RATE_AT)
                (samples,) = _SAMPLES.unpack_from(message.data, _SAMPLES_AT)
                counts.delays_s.append(delay_s)
                counts.ages_s.append(delay_s + samples * 1000 / rate_mhz)
        if socket.close_code not in (None, aiohttp.WSCloseCode.OK, 1006):
            counts.note_lost(f"viewer: closed with {socket.close_code}")


async def _stop(tasks: list[asyncio.Task[None]], socket: aiohttp.ClientWebSocketResponse | None) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    if socket is not None:
        await socket.close()


def descriptor_of(device: Device, stream_id: str) -> StreamDescriptor:
    """Of the stream that a light device sends."""
    leads = tuple(Lead(code, scale=1.25) for code in _CODES[: device.leads])
    return StreamDescriptor(stream_id, device.kind, "load", device.samples_per_second, leads)


def frames_of(device: Device, length_ms: int, stream: bytes) -> list[bytearray]:
    """A heartbeat of a second cut into frames of ``stream``, for `stamped`."""
    frames = [bytearray(frame) for frame in _beat(device, length_ms)]
    for frame in frames:
        frame[_STREAM] = stream
    return frames


def stamped(frame: bytearray, sequence: int, time_ns: int) -> bytes:
    """The frame with this number, time and the CRC that belongs to them."""
    _SEQUENCE.pack_into(frame, _SEQUENCE_AT, sequence, time_ns)
    _CRC.pack_into(frame, len(frame) - 4, zlib.crc32(memoryview(frame)[:-4]))
    return bytes(frame)


@lru_cache(maxsize=8)
def _beat(device: Device, length_ms: int) -> list[bytes]:
    descriptor = descriptor_of(device, str(uuid.UUID(int=0)))
    count = round(device.samples_per_second * length_ms / 1000)
    blocks = max(1, round(1000 / length_ms))
    times = np.arange(count * blocks) / (count * blocks)
    beat = 80 * np.sin(2 * math.pi * times) + 900 * np.exp(-(((times - 0.4) / 0.012) ** 2))
    samples = np.stack([beat * (0.4 + lead / 10) for lead in range(device.leads)], axis=1).astype(np.int16)
    return [
        encode(Frame.of(descriptor, 0, 0, samples[block * count : (block + 1) * count]))
        for block in range(blocks)
    ]

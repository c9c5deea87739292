"""What a device may get wrong: one clear error, a mark in its stream, and the rest of the room untouched."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType

from media.signals import FLAG_SEAM, Frame, Lead, StreamDescriptor, encode, wire
from tests.signaling.support import ROOM
from tests.signaling.test_signals_gateway import (
    acknowledged,
    announce,
    binary,
    descriptor,
    frame,
    refusal,
    text,
    watch,
)
from tests.signaling.web import TIMEOUT_S, Web, running_web

BAD = str(uuid.UUID(int=99))
LIMITED = StreamDescriptor(
    BAD, "ecg", "", 500.0, tuple(Lead(code, code, 1.5, 2047, "uV", (0, 4095)) for code in ("I", "II"))
)
BASE_NS = 1_767_225_600_000_000_000


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[Web]:
    async with running_web(tmp_path) as running:
        yield running


class Bystanders:
    """Another device of the room and its viewer, who must not notice."""

    def __init__(self, device: ClientWebSocketResponse, viewer: ClientWebSocketResponse) -> None:
        self._device = device
        self._viewer = viewer
        self._sent = 0

    @classmethod
    async def join(cls, web: Web) -> Bystanders:
        viewer = await watch(web)
        device = await announce(web, descriptor(), user_id="ecg-2")
        assert (await text(device))["type"] == "accepted"
        found = cls(device, viewer)
        await found.go_on()
        return found

    async def go_on(self) -> None:
        """Three frames more are confirmed, and seen."""
        wanted = [frame(self._sent + more, descriptor()) for more in range(3)]
        for data in wanted:
            await self._device.send_bytes(data)
        self._sent += 3
        await acknowledged(self._device, self._sent - 1)
        seen: list[bytes] = []
        while len(seen) < 3:
            data = await binary(self._viewer)
            if data[4:20] == wanted[0][4:20]:
                seen.append(data)
        assert seen == wanted


def good(sequence: int, value: int = 2000, time_ns: int | None = None, flags: int = 0) -> bytes:
    samples = np.full((50, 2), value, dtype=np.int16)
    begin = BASE_NS + sequence * 100_000_000 if time_ns is None else time_ns
    return encode(Frame.of(LIMITED, sequence, begin, samples, flags))


def as_stream(stream: StreamDescriptor) -> bytes:
    """Frame 2, but of another descriptor."""
    samples = np.zeros((50, len(stream.leads)), dtype=np.int16)
    return encode(Frame.of(stream, 2, BASE_NS, samples))


def flipped() -> bytes:
    data = bytearray(good(2))
    data[60] ^= 1
    return bytes(data)


ANOTHER_RATE = StreamDescriptor(BAD, "ecg", "", 250.0, LIMITED.leads)
ANOTHER_SCALE = StreamDescriptor(
    BAD, "ecg", "", 500.0, tuple(Lead(lead.code, "", 3.0, 2047, "uV") for lead in LIMITED.leads)
)
ANOTHER = StreamDescriptor(str(uuid.UUID(int=98)), "ecg", "", 500.0, LIMITED.leads)


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: as_stream(ANOTHER_RATE), "signal_rate_changed"),
        (lambda: as_stream(ANOTHER_SCALE), "signal_lead_set_changed"),
        (lambda: as_stream(ANOTHER), "signal_wrong_stream"),
        (lambda: good(2, value=4096), "signal_out_of_range"),
        (lambda: good(2, value=-1), "signal_out_of_range"),
        (lambda: good(1, value=1000), "signal_conflict"),
        (lambda: good(10_000_000), "signal_gap_too_large"),
        (flipped, "signal_crc"),
        (lambda: b"RIFF" + bytes(200), "signal_malformed"),
        (lambda: bytes(100_000), "signal_too_large"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_bad_frame_is_one_error_a_mark_and_nobody_elses_trouble(
    web: Web, make: Callable[[], bytes], code: str
) -> None:
    others = await Bystanders.join(web)
    viewer = await watch(web)
    device = await announce(web, LIMITED)
    assert (await text(device))["type"] == "accepted"
    for sequence in range(2):
        await device.send_bytes(good(sequence))
    await acknowledged(device, 1)
    await device.send_bytes(make())
    assert await refusal(device) == code
    assert await told_of_the_end(viewer) == code
    late = [one for one in (await text(await watch(web)))["streams"] if one["streamId"] == BAD]
    assert [(one["live"], one["code"]) for one in late] == [(False, code)]
    await others.go_on()
    assert await marks_of(web) == (code,)
    assert [one.sequence for one in web.signaling.store.read(ROOM, BAD)] == [0, 1]


async def test_a_frame_of_a_hundred_megabytes_is_not_read_and_marked(web: Web) -> None:
    others = await Bystanders.join(web)
    device = await announce(web, LIMITED)
    assert (await text(device))["type"] == "accepted"
    await device.send_bytes(good(0))
    await acknowledged(device, 0)
    sending = asyncio.create_task(device.send_bytes(bytes(100_000_000)))
    closed = await asyncio.wait_for(device.receive(), TIMEOUT_S)
    while closed.type is WSMsgType.TEXT:
        closed = await asyncio.wait_for(device.receive(), TIMEOUT_S)
    assert closed.type in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.ERROR)
    assert device.close_code in (1009, 1006)  # 1006 where the sender was cut off before it read the reason
    await asyncio.gather(sending, return_exceptions=True)
    await others.go_on()
    assert await marks_of(web) == ("signal_too_large",)


async def test_two_gateways_with_one_identity_do_not_mix(web: Web) -> None:
    """The same account and stream from two machines: the second replaces the first, and its other samples are
    refused.
    """
    others = await Bystanders.join(web)
    first = await announce(web, LIMITED)
    await text(first)
    for sequence in range(2):
        await first.send_bytes(good(sequence))
    await acknowledged(first, 1)
    second = await announce(web, LIMITED)
    assert (await text(second))["durableSequence"] == 1
    assert await refusal(first) == "stream_busy"
    await second.send_bytes(good(1, value=1234))
    assert await refusal(second) == "signal_conflict"
    await others.go_on()
    stored = list(web.signaling.store.read(ROOM, BAD))
    assert [int(one.samples[0, 0]) for one in stored] == [2000, 2000]
    assert await marks_of(web) == ("signal_conflict",)


async def test_repeated_and_reordered_frames_are_harmless(web: Web) -> None:
    device = await announce(web, LIMITED)
    await text(device)
    for sequence in (2, 0, 2, 1, 1, 0, 3):
        await device.send_bytes(good(sequence))
    await acknowledged(device, 3)
    assert [one.sequence for one in web.signaling.store.read(ROOM, BAD)] == [0, 1, 2, 3]
    assert await marks_of(web) == ()


async def test_a_clock_that_jumps_is_a_mark_and_the_stream_goes_on(web: Web) -> None:
    others = await Bystanders.join(web)
    viewer = await watch(web)
    device = await announce(web, LIMITED)
    await text(device)
    hour = 3600 * 10**9
    times = [BASE_NS, BASE_NS + 100_000_000, BASE_NS + hour, BASE_NS + hour + 100_000_000, BASE_NS]
    for sequence, time_ns in enumerate(times):
        await device.send_bytes(good(sequence, time_ns=time_ns, flags=FLAG_SEAM if sequence == 4 else 0))
    await acknowledged(device, 4)
    told = {"jumps": 0}
    while told["jumps"] < 2:
        message = await asyncio.wait_for(viewer.receive(), TIMEOUT_S)
        if message.type is WSMsgType.TEXT and '"clock"' in message.data:
            told = message.json()
    await others.go_on()
    await device.send_str(wire.end())
    assert (await text(device))["type"] == "ended"
    assert await marks_of(web) == ("signal_clock_jump", "signal_clock_jump")
    (stored,) = [one for one in web.signaling.store.streams(ROOM) if one.descriptor.stream_id == BAD]
    assert stored.frames == 5
    assert stored.end - stored.start < 10.0  # on our clock nothing took an hour


async def told_of_the_end(viewer: ClientWebSocketResponse) -> str:
    """Why the stream that went wrong ended, as a viewer hears it."""
    while True:
        message = await asyncio.wait_for(viewer.receive(), TIMEOUT_S)
        if message.type is WSMsgType.TEXT and '"ended"' in message.data and BAD in message.data:
            assert message.json()["message"]["zh"]
            return str(message.json()["code"])


async def marks_of(web: Web) -> tuple[str, ...]:
    """Of the stream that went wrong. Marks are written before the socket is let go, and opening waits for
    that.
    """
    log = await web.signaling.store.open(ROOM, LIMITED)
    await log.mark("test")
    await log.close()
    (stored,) = [one for one in web.signaling.store.streams(ROOM) if one.descriptor.stream_id == BAD]
    return stored.marks[:-1]

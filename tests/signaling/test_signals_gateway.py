"""Signal sockets: a device on one end, viewers on the other, the store below."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import struct
import threading
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType

from media.signals import Frame, Lead, StreamDescriptor, encode, wire
from media.signals.analysis.alarms import Preset
from media.signals.analysis.patients import WantedLimits
from signaling import signal_socket
from signaling.access import RoomGrant
from signaling.limits import SIGNAL_AT_ONCE_BYTES, SIGNAL_MESSAGE_BYTES_MAX
from signaling.signal_socket import websocket_frame
from tests.signaling.support import DOCTOR, EVERYTHING, ROOM, kept_room
from tests.signaling.web import TIMEOUT_S, Web, running_web

DEVICE = RoomGrant(ROOM, subscribe=False, chat=False, signals=frozenset({"publish"}))
LEADS = tuple(Lead(code, code, 1.25, 0, "uV") for code in ("I", "II"))


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[Web]:
    async with running_web(tmp_path) as running:
        yield running


def descriptor(leads: tuple[Lead, ...] = LEADS, stream_id: str = str(uuid.UUID(int=7))) -> StreamDescriptor:
    return StreamDescriptor(stream_id, "ecg", "12-lead", 500.0, leads)


def frame(sequence: int, stream: StreamDescriptor) -> bytes:
    samples = np.full((50, len(stream.leads)), sequence, dtype=np.int16)
    time_ns = 1_767_225_600_000_000_000 + sequence * 100_000_000
    return encode(
        Frame(stream.stream_id, sequence, time_ns, stream.sampling_rate_mhz, stream.crc, 0, samples)
    )


async def text(ws: ClientWebSocketResponse) -> dict[str, Any]:
    """The next message, which must be text."""
    message = await asyncio.wait_for(ws.receive(), TIMEOUT_S)
    assert message.type is WSMsgType.TEXT, message
    fields: dict[str, Any] = json.loads(message.data)
    return fields


async def refusal(ws: ClientWebSocketResponse, close_code: int = 4400) -> str:
    """The error that the server tells before it closes."""
    fields = await text(ws)
    while fields["type"] != "error":
        fields = await text(ws)
    assert fields["message"]["zh"]
    closed = await asyncio.wait_for(ws.receive(), TIMEOUT_S)
    assert closed.type is WSMsgType.CLOSE
    assert closed.data == close_code
    return str(fields["code"])


async def announce(
    web: Web, stream: StreamDescriptor, autoping: bool = True, **token: Any
) -> ClientWebSocketResponse:
    ws = await web.http.ws_connect(f"{web.url}/signals/publish", autoping=autoping)
    grant = token.pop("grant", DEVICE)
    name = token.pop("user_id", "ecg-1")
    await ws.send_str(wire.announce(web.signaling.token(name, grant, role="device", **token), stream))
    return ws


async def watch(web: Web, **token: Any) -> ClientWebSocketResponse:
    ws = await web.http.ws_connect(f"{web.url}/signals/view")
    await ws.send_str(wire.watch(web.signaling.token("viewer", **token)))
    return ws


@pytest.mark.parametrize(
    ("message", "head"),
    [
        pytest.param("", "8100", id="empty"),
        pytest.param("é", "8102", id="bytes-not-letters"),
        pytest.param(bytes(125), "827d", id="short"),
        pytest.param(bytes(126), "827e007e", id="16-bit"),
        pytest.param(bytes(65535), "827effff", id="16-bit-longest"),
        pytest.param(bytes(65536), "827f0000000000010000", id="64-bit"),
    ],
)
def test_a_message_as_rfc_6455_frames_it(message: str | bytes, head: str) -> None:
    payload = message.encode() if isinstance(message, str) else message
    assert websocket_frame(message) == bytes.fromhex(head) + payload


async def acknowledged(ws: ClientWebSocketResponse, sequence: int) -> None:
    fields = await text(ws)
    while fields != {"type": "ack", "sequence": sequence}:
        assert fields["type"] == "ack", fields
        fields = await text(ws)


async def binary(ws: ClientWebSocketResponse) -> bytes:
    """The next frame; what is told of streams and clocks is passed over."""
    message = await asyncio.wait_for(ws.receive(), TIMEOUT_S)
    while message.type is WSMsgType.TEXT:
        message = await asyncio.wait_for(ws.receive(), TIMEOUT_S)
    assert message.type is WSMsgType.BINARY, message
    data: bytes = message.data
    return data


@pytest.mark.parametrize(
    "at_once", [pytest.param(SIGNAL_AT_ONCE_BYTES, id="free"), pytest.param(0, id="waited-for")]
)
async def test_frames_go_to_the_disk_and_to_viewers(
    web: Web, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same by lines that take everything at once, and by lines that have to be waited for."""
    monkeypatch.setattr(signal_socket, "SIGNAL_AT_ONCE_BYTES", at_once)
    stream = descriptor()
    viewer = await watch(web)
    assert await text(viewer) == {"type": "streams", "streams": []}
    device = await announce(web, stream)
    assert await text(device) == {
        "type": "accepted",
        "streamId": stream.stream_id,
        "durableSequence": -1,
        "frameMs": 60,
    }
    started = await text(viewer)
    assert (started["type"], started["stream"]["streamId"]) == ("stream", stream.stream_id)
    frames = [frame(sequence, stream) for sequence in range(3)]
    for one in frames:
        await device.send_bytes(one)
    await acknowledged(device, 2)
    assert [await binary(viewer) for _ in frames] == frames
    late = await watch(web)
    assert (await text(late))["streams"][0]["live"] is True
    assert [await binary(late) for _ in frames] == frames
    await device.send_str(wire.end())
    assert await text(device) == {"type": "ended", "streamId": stream.stream_id}
    assert await text(viewer) == {"type": "ended", "streamId": stream.stream_id}
    stored = list(web.signaling.store.read(ROOM, stream.stream_id))
    assert [one.sequence for one in stored] == [0, 1, 2]
    await web.signaling.service.close()
    assert web.signaling.listener.names()[:2] == ["SignalStarted", "SignalEnded"]


async def test_the_end_waits_for_the_disk(web: Web, caplog: pytest.LogCaptureFixture) -> None:
    """The last confirmation, which closes the socket, comes while the server waits for more messages."""
    stream, disk = descriptor(), threading.Event()

    def sync(_: int) -> None:
        disk.wait(TIMEOUT_S)

    web.signaling.store._sync = sync
    device = await announce(web, stream, autoping=False)
    assert (await text(device))["type"] == "accepted"
    await device.send_bytes(frame(0, stream))
    await device.send_str(wire.end())
    await device.ping()
    answer = await asyncio.wait_for(device.receive(), TIMEOUT_S)
    assert answer.type is WSMsgType.PONG  # so the server has read the end, and has confirmed nothing
    disk.set()
    assert await text(device) == {"type": "ack", "sequence": 0}
    assert await text(device) == {"type": "ended", "streamId": stream.stream_id}
    closed = await asyncio.wait_for(device.receive(), TIMEOUT_S)
    assert (closed.type, closed.data) == (WSMsgType.CLOSE, 1000)
    await web.gateway.close()
    assert [entry.message for entry in caplog.records if entry.levelno >= logging.ERROR] == []


async def test_a_device_goes_on_where_it_stopped(web: Web) -> None:
    stream = descriptor()
    first = await announce(web, stream)
    await text(first)
    await first.send_bytes(frame(0, stream))
    await acknowledged(first, 0)
    again = await announce(web, stream)  # the old socket is not yet known to be dead
    assert (await text(again))["durableSequence"] == 0
    assert await refusal(first) == "stream_busy"
    await again.send_bytes(frame(1, stream))
    await acknowledged(again, 1)
    viewer = await watch(web)
    assert (await text(viewer))["streams"][0]["live"] is True


async def test_somebody_else_cannot_take_a_stream_over(web: Web) -> None:
    stream = descriptor()
    device = await announce(web, stream)
    await text(device)
    assert await refusal(await announce(web, stream, user_id="intruder")) == "stream_busy"
    await device.send_bytes(frame(0, stream))
    await acknowledged(device, 0)


async def test_another_lead_set_is_refused_and_what_was_sent_is_kept(web: Web) -> None:
    stream, other = descriptor(), descriptor(LEADS[:1])
    device = await announce(web, stream)
    await text(device)
    await device.send_bytes(frame(0, stream))
    await device.send_bytes(frame(1, other))
    assert await refusal(device) == "signal_lead_set_changed"
    assert [one.sequence for one in web.signaling.store.read(ROOM, stream.stream_id)] == [0]
    assert await refusal(await announce(web, other)) == "signal_lead_set_changed"


@pytest.mark.parametrize(
    ("first", "code"),
    [
        ("not json", "signal_malformed"),
        ('{"type":"watch"}', "signal_malformed"),
        (b"\x00" * 80, "signal_unexpected_message"),
    ],
)
async def test_a_bad_first_message_is_one_clear_error(web: Web, first: str | bytes, code: str) -> None:
    ws = await web.http.ws_connect(f"{web.url}/signals/publish")
    await (ws.send_str(first) if isinstance(first, str) else ws.send_bytes(first))
    assert await refusal(ws) == code


async def test_tokens_that_do_not_fit(web: Web) -> None:
    assert await refusal(await announce(web, descriptor(), grant=DOCTOR)) == "not_granted"
    assert await refusal(await watch(web, grant=DEVICE)) == "not_granted"
    ended = web.signaling.token("ecg-1", DEVICE, ttl_s=1)
    web.signaling.clock.advance(2)
    ws = await web.http.ws_connect(f"{web.url}/signals/publish")
    await ws.send_str(wire.announce(ended, descriptor()))
    assert await refusal(ws) == "token_expired"
    ws = await web.http.ws_connect(f"{web.url}/signals/view")
    await ws.send_str(wire.watch("rubbish"))
    assert await refusal(ws) == "token_invalid"


async def test_a_removed_person_no_longer_sees_the_signals(web: Web) -> None:
    kept_room(web.signaling)
    device = await announce(web, descriptor())
    await text(device)
    viewer, other = await watch(web), await watch(web, token_id="t-other")
    await text(viewer)
    await text(other)
    await web.signaling.service.remove_peers(ROOM, token_id="t-viewer", reason="link_ended")
    assert await refusal(viewer) == "token_revoked"
    await device.send_bytes(frame(0, descriptor()))
    assert await binary(other)
    assert await refusal(await watch(web)) == "token_revoked"


async def test_a_closed_room_ends_its_signals_and_keeps_what_came(web: Web) -> None:
    kept_room(web.signaling)
    stream = descriptor()
    device, viewer = await announce(web, stream), await watch(web, grant=EVERYTHING)
    await text(device)
    await text(viewer)
    await device.send_bytes(frame(0, stream))
    await acknowledged(device, 0)
    await web.signaling.service.close_room(ROOM, "ended")
    assert await refusal(device) == "room_closed"
    while (message := await asyncio.wait_for(viewer.receive(), TIMEOUT_S)).type is WSMsgType.BINARY:
        pass
    assert message.type is WSMsgType.TEXT
    assert len(list(web.signaling.store.read(ROOM, stream.stream_id))) == 1


async def test_a_frame_too_large_is_answered_and_one_far_too_large_closes(web: Web) -> None:
    device = await announce(web, descriptor())
    await text(device)
    await device.send_bytes(b"HZ" + b"\x00" * 100_000)
    assert await refusal(device) in ("signal_too_large", "signal_malformed")
    device = await announce(web, descriptor())
    await text(device)
    await device.send_bytes(b"\x00" * (SIGNAL_MESSAGE_BYTES_MAX + 1))
    message = await asyncio.wait_for(device.receive(), TIMEOUT_S)
    assert message.type in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.ERROR)


async def test_a_recording_names_the_streams_of_its_room(web: Web) -> None:
    kept_room(web.signaling)
    stream = descriptor()
    device = await announce(web, stream)
    await text(device)
    recording_id = await web.signaling.service.start_recording(ROOM)
    second = descriptor(stream_id=str(uuid.UUID(int=8)))
    await text(await announce(web, second, user_id="ecg-2"))
    recorder = web.signaling.plane.recorders[recording_id]
    assert [stream_id for stream_id, _ in recorder.signals] == [stream.stream_id, second.stream_id]


async def test_a_full_disk_is_told_to_device_room_and_operator_and_nothing_is_lost(
    web: Web, caplog: pytest.LogCaptureFixture
) -> None:
    stream, full = descriptor(), threading.Event()
    full.set()

    def write(file: int, data: bytes, offset: int) -> int:
        if full.is_set():
            raise OSError(errno.ENOSPC, "full")
        return os.pwrite(file, data, offset)

    store = web.signaling.store
    store._write = write

    def trouble() -> str | None:
        return None if store.trouble is None else store.trouble.code

    viewer = await watch(web)
    await text(viewer)
    device = await announce(web, stream)
    assert (await text(device))["type"] == "accepted"
    await text(viewer)
    await device.send_bytes(frame(0, stream))
    assert await refusal(device, 4500) == "store_full"
    assert await binary(viewer) == frame(0, stream)  # seen, and not kept
    told = await text(viewer)
    while told["type"] != "storing":
        told = await text(viewer)
    assert told["code"] == "store_full"
    assert told["message"]["zh"]
    assert trouble() == "store_full"
    late = await watch(web)
    assert [(await text(late))["type"] for _ in range(2)] == ["streams", "storing"]
    full.clear()
    again = await announce(web, stream)
    assert (await text(again))["durableSequence"] == -1
    await again.send_bytes(frame(0, stream))
    await acknowledged(again, 0)
    assert await binary(viewer) == frame(0, stream)
    assert await text(viewer) == {"type": "storing", "code": None, "message": None}
    assert trouble() is None
    said = [record.levelname for record in caplog.records if "stored" in record.getMessage()]
    assert said == ["ERROR", "WARNING"]
    assert len(list(store.read(ROOM, stream.stream_id))) == 1


async def test_a_loss_is_in_the_record_and_confirmed(web: Web) -> None:
    stream = descriptor()
    device = await announce(web, stream)
    await text(device)
    await device.send_bytes(frame(0, stream))
    await device.send_str(wire.lost(1, 3, "outbox_damaged"))
    await device.send_bytes(frame(4, stream))
    await acknowledged(device, 4)
    await device.send_str(wire.end())
    assert (await text(device))["type"] == "ended"
    (stored,) = web.signaling.store.streams(ROOM)
    assert (stored.frames, stored.missing) == (2, ((1, 3),))
    assert [loss.reason for loss in stored.losses] == ["outbox_damaged"]
    back = await announce(web, stream)
    assert (await text(back))["durableSequence"] == 4


async def limits_told(ws: ClientWebSocketResponse) -> dict[str, Any]:
    """The next message about limits."""
    message = await asyncio.wait_for(ws.receive(), TIMEOUT_S)
    while message.type is not WSMsgType.TEXT or json.loads(message.data)["type"] != "limits":
        message = await asyncio.wait_for(ws.receive(), TIMEOUT_S)
    fields: dict[str, Any] = json.loads(message.data)
    return fields


async def test_age_chooses_the_limits_and_a_person_changes_them(web: Web) -> None:
    async def newborn(_room_id: str) -> Preset | None:
        return "neonate"

    web.gateway.analysis.patients_of = newborn
    stream = descriptor()
    expert = RoomGrant(ROOM, signals=frozenset({"watch", "acknowledge"}))
    viewer = await watch(web, grant=expert)
    device = await announce(web, stream)
    first = await limits_told(viewer)
    assert (first["patients"], first["low"], first["high"], first["by"]) == ("neonate", 100, 200, None)
    await device.send_bytes(frame(0, stream))
    await viewer.send_str(wire.want_limits(WantedLimits("child", 80, 170)))
    told = await limits_told(viewer)
    assert (told["patients"], told["low"], told["high"]) == ("child", 80, 170)
    assert told["by"]["userId"] == "viewer"
    late = await watch(web)
    assert (await limits_told(late))["high"] == 170
    # A device that comes again does not undo what a person chose.
    await device.close()
    again = await announce(web, stream)
    assert (await text(again))["type"] == "accepted"
    latest = await watch(web)
    assert (await limits_told(latest))["patients"] == "child"
    await web.gateway.analysis.close()
    (stored,) = web.signaling.service.signal_store.streams(ROOM)
    assert stored.marks == ("alarm_limits_child_80_170",)


async def test_limits_are_for_who_may_acknowledge(web: Web) -> None:
    only_watching = RoomGrant(ROOM, signals=frozenset({"watch"}))
    viewer = await watch(web, grant=only_watching)
    await text(viewer)
    await viewer.send_str(wire.want_limits(WantedLimits("adult", 40, 140)))
    refused = await text(viewer)
    assert (refused["type"], refused["id"], refused["code"]) == ("refused", "limits", "not_granted")


async def past(web: Web, path: str, **token: Any) -> tuple[int, bytes]:
    grant = token.pop("grant", RoomGrant(ROOM, signals=frozenset({"watch"})))
    headers = {"Authorization": f"Bearer {web.signaling.token('viewer', grant, **token)}"}
    async with web.http.get(f"{web.url}/signals/past/{path}", headers=headers) as answer:
        return answer.status, await answer.read()


async def test_a_viewer_looks_back(web: Web) -> None:
    stream = descriptor()
    device = await announce(web, stream)
    await text(device)
    for sequence in range(20):
        await device.send_bytes(frame(sequence, stream))
    await acknowledged(device, 19)
    status, body = await past(web, stream.stream_id)
    found = json.loads(body)
    assert status == 200
    assert found["end"] - found["start"] == pytest.approx(2, abs=0.01)
    period = f"from={found['start'] + 0.45}&to={found['start'] + 0.65}"
    status, body = await past(web, f"{stream.stream_id}/part?{period}")
    assert status == 200
    (first,) = struct.unpack_from("<I", body)
    assert body[12 : 12 + first] == frame(4, stream)
    status, body = await past(web, f"{stream.stream_id}/overview?{period}&lead=1")
    assert (status, len(body)) == (200, 4 * 4)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("{id}/part?from=1&to=40", "signal_past_range"),
        ("{id}/part?from=x&to=40", "signal_past_range"),
        ("{id}/overview?from=1&to=2&lead=nan", "signal_past_range"),
        ("nonsense", "signal_malformed"),
        ("00000000-0000-4000-8000-000000000009", "not_found"),
    ],
)
async def test_looking_back_refused(web: Web, path: str, code: str) -> None:
    stream = descriptor()
    device = await announce(web, stream)
    await text(device)
    status, body = await past(web, path.format(id=stream.stream_id))
    assert 400 <= status < 500
    assert json.loads(body)["code"] == code


async def test_looking_back_is_for_who_may_watch(web: Web) -> None:
    status, body = await past(web, str(uuid.UUID(int=7)), grant=RoomGrant(ROOM))
    assert (status, json.loads(body)["code"]) == (403, "not_granted")

"""A signal goes up and is seen by a viewer, through the real gateway and its durable store."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from clients.sdk.errors import ConnectionLost, RequestRefused
from clients.sdk.signals import SignalEnded, SignalPublisher, SignalStream, SignalViewer
from media.signals.descriptor import Lead, StreamDescriptor
from media.signals.frames import Frame, encode
from tests.clients.sdk.real_server import RealServer, running_server

LEADS = tuple(Lead(code, code, 1.25, 0, "uV") for code in ("I", "II"))
START_NS = 1_767_225_600_000_000_000


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RealServer]:
    async with running_server(tmp_path) as running:
        yield running


@pytest.fixture
def descriptor() -> StreamDescriptor:
    return StreamDescriptor(str(uuid.uuid4()), "ecg", "12-lead", 1000.0, LEADS)


def frame(descriptor: StreamDescriptor, sequence: int) -> bytes:
    samples = np.full((100, 2), sequence, np.int16)
    return encode(Frame.of(descriptor, sequence, START_NS + sequence * 100_000_000, samples))


async def publisher(server: RealServer, descriptor: StreamDescriptor) -> SignalPublisher:
    token = server.token("dev-ecg-1", "device", publish=(), signals=("publish",))
    return await SignalPublisher.connect(server.url, token, descriptor)


async def test_frames_are_confirmed_and_seen(server: RealServer, descriptor: StreamDescriptor) -> None:
    device = await publisher(server, descriptor)
    assert device.durable_sequence == -1
    viewer = await SignalViewer.connect(server.url, server.token("wang", "expert", signals=("watch",)))
    for sequence in range(5):
        await device.send(frame(descriptor, sequence))
    await device.wait_acknowledged(4)
    seen = [await viewer.next_frame() for _ in range(5)]
    assert [item.sequence for item in seen] == [0, 1, 2, 3, 4]
    assert seen[3].samples.shape == (100, 2)
    assert int(seen[3].samples[0, 0]) == 3
    await device.end()
    while not isinstance(item := await viewer.receive(), SignalEnded):
        assert isinstance(item, SignalStream | Frame)
    assert item.stream_id == descriptor.stream_id
    await viewer.close()


async def test_after_a_cut_the_device_learns_where_to_go_on(
    server: RealServer, descriptor: StreamDescriptor
) -> None:
    first = await publisher(server, descriptor)
    for sequence in range(3):
        await first.send(frame(descriptor, sequence))
    await first.wait_acknowledged(2)
    await first.close()
    await first.close()
    second = await publisher(server, descriptor)
    assert second.durable_sequence == 2
    await second.send(frame(descriptor, 3))
    await second.wait_acknowledged(3)
    await second.close()


async def test_wrong_frame_is_refused_with_a_code(server: RealServer, descriptor: StreamDescriptor) -> None:
    device = await publisher(server, descriptor)
    await device.send(b"HZ garbage")
    with pytest.raises(RequestRefused) as caught:
        await device.wait_acknowledged(0)
    assert caught.value.code == "signal_malformed"
    with pytest.raises(RequestRefused):
        await device.send(frame(descriptor, 0))
    await device.close()


async def test_no_grant_and_no_server_are_told_apart(
    server: RealServer, descriptor: StreamDescriptor
) -> None:
    with pytest.raises(RequestRefused) as caught:
        await SignalPublisher.connect(server.url, server.token("li"), descriptor)
    assert caught.value.code == "not_granted"
    viewer = await SignalViewer.connect(server.url, server.token("li"))
    with pytest.raises(RequestRefused) as caught:
        await viewer.receive()
    assert caught.value.code == "not_granted"
    await viewer.close()
    with pytest.raises(ConnectionLost):
        await SignalViewer.connect("http://127.0.0.1:9", server.token("li"))

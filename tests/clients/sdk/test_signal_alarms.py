"""A tachycardia on its way: device, analysis, a doctor who acknowledges it, the record."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from clients.sdk.signals import AcknowledgeRefused, SignalPublisher, SignalViewer
from loadtest import qrs_signals as made
from media.signals.analysis.findings import Alarm, Analysis
from media.signals.frames import Frame, encode
from media.signals.replay import StoredStream
from tests.clients.sdk.real_server import ROOM, RealServer, running_server

START_NS = 1_767_225_600_000_000_000
PER_FRAME = 50
PER_ROUND = 10
DOCTOR = ("watch", "acknowledge")
STREAM = made.descriptor()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RealServer]:
    async with running_server(tmp_path) as running:
        yield running


async def watch(server: RealServer, user: str, role: str, signals: tuple[str, ...]) -> SignalViewer:
    return await SignalViewer.connect(server.url, server.token(user, role, signals=signals))


async def device(server: RealServer) -> SignalPublisher:
    token = server.token("dev-ecg-1", "device", publish=(), signals=("publish",))
    return await SignalPublisher.connect(server.url, token, STREAM)


def frames(rate: float, seconds: float) -> list[bytes]:
    """100 ms each."""
    signal = made.ecg(made.beat_times([(rate, seconds)]), seconds)
    samples = made.digitised(signal + made.white(signal.shape, 20, 1))
    return [
        encode(Frame.of(STREAM, number, START_NS + number * 10**8, samples[number * PER_FRAME :][:PER_FRAME]))
        for number in range(len(samples) // PER_FRAME)
    ]


async def play(sender: SignalPublisher, viewer: SignalViewer, data: list[bytes]) -> list[Analysis | Alarm]:
    """Send a second of signal, wait for what is said of it, send the next: faster than the clock."""
    told: list[Analysis | Alarm] = []
    for first in range(0, len(data), PER_ROUND):
        for frame in data[first : first + PER_ROUND]:
            await sender.send(frame)
        while not told or not isinstance(told[-1], Analysis) or len(told_rounds(told)) <= first // PER_ROUND:
            item = await asyncio.wait_for(viewer.receive(), 10)
            if isinstance(item, Analysis | Alarm):
                told.append(item)
    return told


def told_rounds(told: list[Analysis | Alarm]) -> list[Analysis]:
    return [item for item in told if isinstance(item, Analysis)]


async def stored_alarms(server: RealServer, count: int) -> StoredStream:
    """The stream's record, once ``count`` alarms have reached the state that was told last."""
    while True:
        (stream,) = await asyncio.to_thread(server.rooms.signal_store.streams, ROOM)
        if len(stream.alarms) == count and all(alarm.acknowledged_at for alarm in stream.alarms):
            return stream


async def test_a_tachycardia_is_seen_acknowledged_and_kept(server: RealServer) -> None:
    sender = await device(server)
    doctor = await watch(server, "wang", "expert", DOCTOR)
    told = await play(sender, doctor, frames(170, 9.0))
    last = told_rounds(told)[-1]
    assert (last.heart_rate, last.quality, last.skipped_s) == (170, "good", 0)
    assert set(last.leads) == set(made.CODES)
    beats = sorted(beat for analysis in told_rounds(told) for beat in analysis.beats)
    assert len(beats) >= 23
    assert beats[0] * 1e9 - START_NS == pytest.approx(0.4e9, abs=5e6)  # on the device's own clock

    (raised,) = [item for item in told if isinstance(item, Alarm)]
    assert (raised.kind, raised.state, raised.severity) == ("tachycardia", "raised", "medium")
    assert raised.evidence == {"heartRate": 170, "limit": 120}

    late = await watch(server, "li", "requester", DOCTOR)
    assert await late.next_alarm("tachycardia") == raised
    await late.acknowledge(raised.id)
    for viewer in (late, doctor):
        seen = await viewer.next_alarm("tachycardia", "acknowledged")
        assert (seen.acknowledged_by, seen.acknowledged_role, seen.over) == ("li", "requester", False)
    await sender.end()
    over = await doctor.next_alarm("tachycardia", "acknowledged")
    assert over.over
    assert (await stored_alarms(server, 1)).alarms[0].id == raised.id
    for viewer in (doctor, late):
        await viewer.close()


async def test_only_a_doctor_acknowledges_and_only_what_there_is(server: RealServer) -> None:
    sender = await device(server)
    guest = await watch(server, "zhao", "observer", ("watch",))
    told = await play(sender, guest, frames(170, 9.0))
    (raised,) = [item for item in told if isinstance(item, Alarm)]
    await guest.acknowledge(raised.id)
    assert await refusal(guest) == (raised.id, "not_granted")
    doctor = await watch(server, "wang", "expert", DOCTOR)
    await doctor.acknowledge("a-none")
    assert await refusal(doctor) == ("a-none", "not_found")
    await doctor.acknowledge(raised.id)
    assert (await guest.next_alarm("tachycardia", "acknowledged")).acknowledged_by == "wang"
    for socket in (sender, guest, doctor):
        await socket.close()


async def refusal(viewer: SignalViewer) -> tuple[str, str]:
    while not isinstance(item := await asyncio.wait_for(viewer.receive(), 10), AcknowledgeRefused):
        pass
    return item.alarm_id, item.refusal.code


async def test_an_alarm_outlives_its_device_and_the_record_has_the_acknowledgement(
    server: RealServer,
) -> None:
    """The doctor presses the button after the device has gone and its file was closed."""
    sender = await device(server)
    doctor = await watch(server, "wang", "expert", DOCTOR)
    told = await play(sender, doctor, frames(170, 9.0))
    await sender.end()
    ended = await doctor.next_alarm("tachycardia", "ended")
    assert not ended.over
    assert ended.id in {item.id for item in told if isinstance(item, Alarm)}
    await doctor.acknowledge(ended.id)
    assert (await doctor.next_alarm("tachycardia", "acknowledged")).over
    kept = (await stored_alarms(server, 1)).alarms[0]
    assert (kept.acknowledged_by, kept.ended_at is not None) == ("wang", True)
    await doctor.close()

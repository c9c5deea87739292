"""Where a gateway's samples come from: text, TCP, MQTT, the Lab Streaming Layer, a generator."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.device import ecg, faults
from clients.device.ecg import EcgOptions
from clients.device.faults import DeviceFault, Text
from clients.device.sources.choose import choose
from clients.device.sources.feed import TextFeed, tcp_lines
from clients.device.sources.lsl import LslSource
from clients.device.sources.mqtt import mqtt_messages
from clients.device.sources.record import RecordSource
from clients.device.sources.source import (
    CATCH_UP_S,
    FRAME_BYTES,
    FrameLength,
    Gatherer,
    Piece,
    Signal,
    Source,
)
from clients.device.sources.synthetic import SyntheticSource, patient_of
from clients.device.sources.text_feed import MESSAGE_BYTES, FeedError, parse
from media.clock import CountedClock, SystemClock
from media.limits import SIGNAL_MAX_FRAME_BYTES
from media.signals.descriptor import Lead
from media.signals.export import to_array
from media.signals.formats import read_file, sample_record
from media.signals.frames import Frame, encode
from media.signals.kinds import LEADS_18
from tests.clients.device.fake_clinic import ROOM, FakeClinic, room_token

FIELD = {
    "lead": "II",
    "rate": 250,
    "scale": 1.5,
    "baseline": 2047,
    "range": [0, 4095],
    "samples": "2047 2049 2051",
}
SIGNAL = Signal("ecg", "ECG", 250.0, (Lead("II", "II", 1.5, 2047, "uV", (0, 4095)),))


class Told:
    """What the person beside the gateway is told."""

    def __init__(self) -> None:
        self.texts: list[Text] = []

    def __call__(self, text: Text, detail: str) -> None:
        self.texts.append(text)


async def some(source: Source, count: int) -> list[Piece]:
    pieces: list[Piece] = []
    async with asyncio.timeout(20), aclosing(source.pieces()) as found:  # type: ignore[type-var]
        async for piece in found:
            pieces.append(piece)
            if len(pieces) == count:
                break
    return pieces


async def no_sleep(seconds: float) -> None:
    await asyncio.sleep(0)


def test_the_text_of_a_real_monitor() -> None:
    measured = parse(json.dumps(FIELD))
    assert measured.signal == SIGNAL
    assert measured.samples.tolist() == [[2047], [2049], [2051]]


def test_several_leads_in_one_message() -> None:
    measured = parse('{"leads": ["I", "II"], "rate": 500, "samples": {"II": [4, 5], "I": "1,2"}}')
    assert [lead.code for lead in measured.signal.leads] == ["I", "II"]
    assert measured.samples.tolist() == [[1, 4], [2, 5]]


@pytest.mark.parametrize(
    "change",
    [
        {"samples": "2047 4096"},
        {"samples": "2047 -1"},
        {"samples": "2047 x"},
        {"samples": "2047 1.5"},
        {"samples": ""},
        {"samples": [True]},
        {"samples": {"I": "1"}},
        {"samples": None},
        {"range": None, "samples": "40000"},
        {"range": [5, 5]},
        {"rate": 0},
        {"rate": 1e9},
        {"rate": "250"},
        {"rate": None},
        {"scale": 0},
        {"baseline": 0.5},
        {"lead": ""},
        {"leads": ["I", "I"]},
        {"leads": []},
        {"kind": 7},
    ],
)
def test_what_a_monitor_must_not_say(change: dict[str, object]) -> None:
    with pytest.raises(FeedError):
        parse(json.dumps({**FIELD, **change}))


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_anything_else_is_the_one_error(data: bytes | str) -> None:
    with pytest.raises(FeedError):
        parse(data)


def test_a_message_beyond_its_bound_is_not_parsed() -> None:
    with pytest.raises(FeedError, match="longer"):
        parse(b" " * (MESSAGE_BYTES + 1))


@given(st.lists(st.integers(1, 700), min_size=1, max_size=20))
def test_pieces_are_the_samples_in_order_on_the_count_of_samples(sizes: list[int]) -> None:
    clock = CountedClock()
    gatherer = Gatherer(SIGNAL, clock, FrameLength(100))
    samples = np.arange(sum(sizes), dtype=np.int16).reshape(-1, 1)
    pieces: list[Piece] = []
    at = 0
    for size in sizes:
        clock.advance(size / 250)
        pieces += gatherer.add(samples[at : at + size])
        at += size
    whole = np.concatenate([piece.samples for piece in pieces] or [samples[:0]])
    assert np.array_equal(whole, samples[: len(whole)])
    assert len(samples) - len(whole) < 25
    assert [piece.seam for piece in pieces] == [True, *[False] * (len(pieces) - 1)][: len(pieces)]
    for one, other in pairwise(pieces):
        assert other.time_ns - one.time_ns == pytest.approx(len(one.samples) / 250 * 1e9, abs=2)


async def test_a_record_is_cut_as_the_server_would_like_and_stays_whole() -> None:
    length = FrameLength()
    waveforms = read_file(sample_record())
    source = RecordSource(waveforms, False, CountedClock(), no_sleep, length)
    pieces = await some(source, 30)
    assert {len(piece.samples) for piece in pieces} == {60}
    pieces = []
    async for piece in source.pieces():
        pieces.append(piece)
        length.ms = 100 if len(pieces) < 50 else 40
    assert [len(piece.samples) for piece in pieces[:3]] == [60, 100, 100]
    assert {len(piece.samples) for piece in pieces[60:-1]} == {40}
    assert np.array_equal(np.concatenate([piece.samples for piece in pieces]), waveforms[0].samples)


@pytest.mark.parametrize(("ms", "rate", "leads"), [(200, 4000.0, 64), (500, 4000.0, 64), (200, 1000.0, 18)])
def test_a_frame_is_never_longer_than_it_can_be_sent(ms: int, rate: float, leads: int) -> None:
    noise = np.random.default_rng(1).integers(-32768, 32768, (8000, leads), dtype=np.int16)
    count = FrameLength(ms).samples(rate, leads)
    signal = Signal("ecg", "", rate, tuple(Lead(str(lead)) for lead in range(leads)))
    frame = Frame.of(signal.descriptor(str(uuid.uuid4())), 0, 0, noise[:count])
    assert len(encode(frame)) <= SIGNAL_MAX_FRAME_BYTES
    assert count in (round(rate * ms / 1000), FRAME_BYTES // (2 * leads))


def test_a_length_goes_to_the_wish_by_and_by() -> None:
    length = FrameLength()
    length.follow(5.0)
    assert length.ms == 60
    length.wished_ms = 200
    now, lengths = 5.0, [length.ms]
    while length.ms < 200:
        now += length.ms / 1000
        length.follow(now)
        lengths.append(length.ms)
    assert max(after - before for before, after in pairwise(lengths)) <= 12
    assert now < 8
    length.wished_ms = 100
    length.follow(now + 3600)
    assert length.ms == 188


def test_a_silence_is_a_seam_and_the_time_goes_on_from_now() -> None:
    clock = CountedClock()
    gatherer = Gatherer(SIGNAL, clock, FrameLength(100))
    samples = np.zeros((30, 1), dtype=np.int16)
    (first,) = gatherer.add(samples)
    clock.advance(CATCH_UP_S + 1)
    rest, after = gatherer.add(samples)
    assert [len(one.samples) for one in (first, rest, after)] == [25, 5, 25]
    assert (rest.seam, after.seam) == (False, True)
    assert after.time_ns - rest.time_ns == pytest.approx((CATCH_UP_S + 1) * 1e9, abs=0.2e9)


async def test_a_malformed_message_costs_itself_and_is_said_once() -> None:
    told = Told()

    async def messages() -> AsyncIterator[bytes]:
        good = json.dumps({**FIELD, "samples": [1] * 25}).encode()
        for line in (good, b"\n", b"{", b"{", good):
            yield line

    feed = TextFeed(messages, False, CountedClock(), no_sleep, told, FrameLength(100))
    pieces = await some(feed, 5)
    assert [piece.seam for piece in pieces] == [True, True]
    assert told.texts == [faults.FEED_MALFORMED]


async def test_a_monitor_that_changes_its_scale_begins_another_stream(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Over TCP, to a server that stores: two streams, each whole, and the person is told."""
    clinic = FakeClinic(tmp_path / "server")
    await clinic.start()

    async def monitor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for scale, value in ((1.5, 7), (3.0, 9)):
            line = json.dumps({**FIELD, "scale": scale, "samples": [value] * 100})
            writer.write(line.encode() + b"\n")
            await writer.drain()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(monitor, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    source = f"tcp://{host}:{port}"
    options = EcgOptions(
        clinic.url, room_token=room_token(), source=source, outbox=tmp_path / "outbox", lang="en"
    )
    running = asyncio.create_task(ecg.run(options, SystemClock()))
    try:
        await clinic.until(lambda: clinic.frames >= 8 and len(clinic.streams) >= 2)
    finally:
        server.close()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await clinic.stop()
    found = {
        stream.descriptor.leads[0].scale: to_array(clinic.store.read(ROOM, stream.descriptor.stream_id))
        for stream in clinic.store.streams(ROOM)
    }
    await clinic.store.close()
    assert found.keys() == {1.5, 3.0}
    assert set(found[1.5].ravel()) == {7}
    assert set(found[3.0].ravel()) == {9}
    assert "changed its rate or scale" in capsys.readouterr().err


async def test_a_line_without_an_end_is_cut_off_and_tried_again() -> None:
    connections = 0

    async def monitor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        text = (
            b"x" * (2 * MESSAGE_BYTES)
            if connections == 1
            else json.dumps({**FIELD, "samples": [1] * 25}).encode()
        )
        writer.write(text + b"\n")
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(monitor, "127.0.0.1", 0)
    told = Told()
    host, port = server.sockets[0].getsockname()
    feed = TextFeed(tcp_lines(host, port), True, CountedClock(), no_sleep, told, FrameLength(100))
    (piece,) = await some(feed, 1)
    server.close()
    assert piece.signal == SIGNAL
    assert connections >= 2
    assert told.texts[0] == faults.SOURCE_LOST


def test_the_generator_is_what_was_asked_for() -> None:
    patient = patient_of("synthetic:ecg,pleth?rate=60&leads=18&hz=1000&off=V3,V9&noise=2&seed=5")
    assert (patient.rate, patient.leads, patient.hz, patient.off) == (
        60.0,
        18,
        1000.0,
        frozenset({"V3", "V9"}),
    )
    with pytest.raises(DeviceFault):
        patient_of("synthetic:ecg?ratio=60")
    for url in ("synthetic:eeg", "synthetic:ecg?rate=x", "synthetic:ecg?leads=13"):
        with pytest.raises(DeviceFault):
            patient_of(url)


async def test_synthetic_signals_run_side_by_side_at_their_rates() -> None:
    clock = CountedClock()

    async def sleep(seconds: float) -> None:
        clock.advance(seconds)

    kinds = "ecg,respiration,pleth,arterial_pressure,fetal_heart_rate,uterine_activity"
    patient = patient_of(f"synthetic:{kinds}?rate=60&leads=18&off=V3")
    source = SyntheticSource(patient, clock, sleep, FrameLength())
    pieces = await some(source, 500)
    by_kind = {
        kind: np.concatenate([piece.samples for piece in pieces if piece.signal.kind == kind])
        for kind in kinds.split(",")
    }
    seconds = clock.monotonic()
    for signal in source.signals:
        samples = by_kind[signal.kind]
        assert len(samples) == pytest.approx(seconds * signal.sampling_rate_hz, abs=signal.sampling_rate_hz)
    beats = by_kind["ecg"][:, LEADS_18.index("II")]
    over = beats > 400  # 500 uV
    assert np.count_nonzero(np.diff(over.astype(int)) == 1) == pytest.approx(seconds, abs=1.1)
    assert set(by_kind["ecg"][:, LEADS_18.index("V3")]) == {32767}
    pressure = by_kind["arterial_pressure"] * 0.01
    assert 70 <= pressure.min() < pressure.max() <= 125


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


@asynccontextmanager
async def broker(directory: Path, port: int) -> AsyncIterator[None]:
    """A real broker as a process of its own, killed at the end."""
    config = directory / "broker.yaml"
    config.write_text(
        "listeners:\n  default:\n    type: tcp\n"
        f"    bind: 127.0.0.1:{port}\n"
        "plugins:\n  amqtt.plugins.authentication.AnonymousAuthPlugin:\n    allow_anonymous: true\n"
    )
    log = (directory / "broker.log").open("ab")
    with log:
        command = (str(Path(sys.executable).with_name("amqtt")), "-c", str(config))
        process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
    try:
        async with asyncio.timeout(30):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                except OSError:
                    await asyncio.sleep(0.05)
        yield
    finally:
        process.kill()
        await process.wait()


async def _published_until_heard(client: Any, payload: str, pieces: asyncio.Queue[Piece]) -> Piece:
    """Nobody hears what is published before the feed has found the broker and subscribed."""
    async with asyncio.timeout(30):
        while True:
            await client.publish("ward/3/ecg", payload, qos=1)
            with suppress(TimeoutError):
                return await asyncio.wait_for(pieces.get(), 0.05)


async def test_a_topic_of_a_real_broker(tmp_path: Path) -> None:
    """The broker is killed in between; the feed finds it again."""
    import aiomqtt

    port = free_port()
    payload = json.dumps({**FIELD, "samples": [1] * 25})
    told = Told()
    source = mqtt_messages(f"mqtt://127.0.0.1:{port}/ward/3/ecg")
    feed = TextFeed(source, True, SystemClock(), asyncio.sleep, told, FrameLength(100))
    pieces: asyncio.Queue[Piece] = asyncio.Queue()

    async def read() -> None:
        async with aclosing(feed.pieces()) as found:  # type: ignore[type-var]
            async for piece in found:
                pieces.put_nowait(piece)

    reading = asyncio.create_task(read())
    try:
        for _ in range(2):
            async with broker(tmp_path, port), aiomqtt.Client("127.0.0.1", port) as client:
                while not pieces.empty():
                    pieces.get_nowait()
                found = await _published_until_heard(client, payload, pieces)
                assert found.signal == SIGNAL
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    assert faults.SOURCE_LOST in told.texts


async def test_an_outlet_of_the_lab_streaming_layer() -> None:
    import pylsl

    info = pylsl.StreamInfo("bed 4", "ECG", 2, 500, pylsl.cf_int16, "bed-4-ecg")
    channels = info.desc().append_child("channels")
    for code in ("I", "II"):
        channel = channels.append_child("channel")
        channel.append_child_value("label", code)
        channel.append_child_value("unit", "microvolts")
        channel.append_child_value("scaling_factor", "2.5")
    outlet = pylsl.StreamOutlet(info)

    async def publish() -> None:
        value = 0
        while True:
            outlet.push_chunk([[value + n, -value - n] for n in range(25)])
            value = (value + 25) % 10_000
            await asyncio.sleep(0.05)

    publishing = asyncio.create_task(publish())
    try:
        source = LslSource("bed 4", SystemClock(), asyncio.sleep, Told(), FrameLength())
        pieces = await some(source, 4)
    finally:
        publishing.cancel()
        await asyncio.gather(publishing, return_exceptions=True)
    assert pieces[0].signal == Signal(
        "ecg", "bed 4", 500.0, tuple(Lead(code, code, 2.5, 0, "uV") for code in ("I", "II"))
    )
    whole = np.concatenate([piece.samples for piece in pieces])
    assert np.array_equal(np.diff(whole[:, 0]), np.ones(len(whole) - 1))
    assert np.array_equal(whole[:, 1], -whole[:, 0])


@pytest.mark.parametrize(
    "source", ["tcp://127.0.0.1", "tcp://x:y", "mqtt://127.0.0.1/", "synthetic:none", "no-such-file"]
)
def test_a_source_that_there_is_not_is_said(source: str) -> None:
    with pytest.raises(DeviceFault) as caught:
        choose(source, None, False, CountedClock(), no_sleep, Told(), FrameLength())
    assert caught.value.exit_code == faults.EXIT_USAGE


async def test_what_an_earlier_run_left_is_sent_beside_what_is_measured_now(tmp_path: Path) -> None:
    """Another source in the same room: the first stream is finished, not mixed with the second."""
    clinic = FakeClinic(tmp_path / "server")  # which is not up yet
    await clinic.start()
    await clinic.stop()
    pace = Counted()

    def options(source: str) -> EcgOptions:
        return EcgOptions(
            clinic.url, room_token=room_token(), source=source, outbox=tmp_path / "outbox", lang="en"
        )

    first = asyncio.create_task(ecg.run(options("synthetic:ecg?leads=1"), pace.clock, pace.sleep))
    await asyncio.wait_for(pace.reached.wait(), 20)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await clinic.start()
    again = Counted()
    second = asyncio.create_task(ecg.run(options("synthetic:ecg,pleth?leads=12"), again.clock, again.sleep))

    def whole() -> bool:
        return len(clinic.streams) == 3 and clinic.frames >= 60

    await clinic.until(whole)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    await clinic.stop()
    streams = {len(one.descriptor.leads): one for one in clinic.store.streams(ROOM)}
    kinds = sorted(one.descriptor.kind for one in clinic.store.streams(ROOM))
    await clinic.store.close()
    assert kinds == ["ecg", "ecg", "pleth"]
    assert streams[1].missing == streams[12].missing == ()
    groups = {one.descriptor.group for one in streams.values() if len(one.descriptor.leads) == 12}
    assert len(groups) == 1


class Counted:
    """Counted time of which twenty steps pass."""

    def __init__(self) -> None:
        self.clock = CountedClock()
        self.reached = asyncio.Event()
        self._steps = 0

    async def sleep(self, seconds: float) -> None:
        self._steps += 1
        if self._steps > 20:
            self.reached.set()
            await asyncio.Event().wait()
        self.clock.advance(seconds)
        await asyncio.sleep(0)

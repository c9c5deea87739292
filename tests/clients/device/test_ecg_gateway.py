"""The ECG gateway against a real WebSocket and the real store: nothing lost, nothing doubled."""

from __future__ import annotations

import asyncio
import hashlib
import signal
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from clients.device import ecg, faults
from clients.device.ecg import EcgOptions
from media.clock import CountedClock
from media.signals.export import runs, to_array
from media.signals.formats import read_file, sample_record
from tests.clients.device.fake_clinic import ROOM, FakeClinic, peer_fault, room_token


@pytest.fixture
async def clinic(tmp_path: Path) -> AsyncIterator[FakeClinic]:
    clinic = FakeClinic(tmp_path / "server")
    await clinic.start()
    yield clinic
    await clinic.stop()
    await clinic.store.close()


class Pace:
    """Counted time that passes as fast as the machine can, in step with what a test lets through."""

    def __init__(self) -> None:
        self.clock = CountedClock()
        self.blocks = 0
        self.stop_after: int | None = None
        self.go = asyncio.Event()
        self.reached = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        if self.stop_after is not None and self.blocks >= self.stop_after:
            self.go.clear()
            self.reached.set()
            await self.go.wait()
        self.blocks += 1
        self.clock.advance(seconds)
        await asyncio.sleep(0)


def options(clinic: FakeClinic, tmp_path: Path, loop: bool = False) -> EcgOptions:
    return EcgOptions(clinic.url, room_token=room_token(), outbox=tmp_path / "outbox", loop=loop, lang="en")


def kept(clinic: FakeClinic) -> np.ndarray:
    (stream,) = clinic.store.streams(ROOM)
    assert stream.missing == ()
    return to_array(clinic.store.read(ROOM, stream.descriptor.stream_id))


def digest(samples: np.ndarray) -> str:
    return hashlib.sha256(samples.tobytes()).hexdigest()


RECORD = read_file(sample_record())[0].samples
FRAME = 60
"""Samples of 60 ms at 1 kHz."""


async def test_the_record_arrives_sample_for_sample(clinic: FakeClinic, tmp_path: Path) -> None:
    pace = Pace()
    code = await ecg.run(options(clinic, tmp_path), pace.clock, pace.sleep)
    assert code == faults.EXIT_DONE
    assert digest(kept(clinic)) == digest(RECORD)
    assert pace.clock.monotonic() == pytest.approx(10.0, abs=1e-6)
    assert not (tmp_path / "outbox" / ROOM).exists()


async def test_cuts_and_a_restarted_server_lose_nothing(clinic: FakeClinic, tmp_path: Path) -> None:
    pace = Pace()
    pace.stop_after = 20
    running = asyncio.create_task(ecg.run(options(clinic, tmp_path), pace.clock, pace.sleep))
    await clinic.until(lambda: clinic.frames >= 15)
    await clinic.cut()
    pace.stop_after = 60
    pace.go.set()
    await clinic.until(lambda: clinic.announced >= 2 and clinic.frames >= 55)
    await clinic.stop()
    pace.stop_after = None
    pace.go.set()
    await clinic.start()
    assert await asyncio.wait_for(running, 30) == faults.EXIT_DONE
    assert clinic.announced >= 3
    assert len(clinic.streams) == 1
    assert digest(kept(clinic)) == digest(RECORD)


async def test_a_killed_gateway_goes_on_with_its_stream(clinic: FakeClinic, tmp_path: Path) -> None:
    """It measures while there is no server, is killed, starts again: one stream, a seam, all samples."""
    await clinic.stop()
    pace = Pace()
    pace.stop_after = 30
    first = asyncio.create_task(ecg.run(options(clinic, tmp_path), pace.clock, pace.sleep))
    await asyncio.wait_for(pace.reached.wait(), 20)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await clinic.start()
    again = Pace()
    code = await ecg.run(options(clinic, tmp_path), again.clock, again.sleep)
    assert code == faults.EXIT_DONE
    assert len(clinic.streams) == 1
    (stream,) = clinic.store.streams(ROOM)
    parts = runs(clinic.store.read(ROOM, stream.descriptor.stream_id))
    assert len(parts) == 2
    assert digest(parts[1].samples) == digest(RECORD)
    assert digest(parts[0].samples) == digest(RECORD[: len(parts[0].samples)])
    assert len(parts[0].samples) >= 29 * FRAME


async def test_a_backlog_is_sent_although_live_frames_wait_for_their_acks(
    clinic: FakeClinic, tmp_path: Path
) -> None:
    """The first confirmation comes only when the whole rest of the record was measured behind the backlog."""
    await clinic.stop()
    pace = Pace()
    pace.stop_after = 80
    first = asyncio.create_task(ecg.run(options(clinic, tmp_path), pace.clock, pace.sleep))
    await asyncio.wait_for(pace.reached.wait(), 20)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    clinic.may_store.clear()
    await clinic.start()
    again = Pace()
    again.stop_after = 0
    second = asyncio.create_task(ecg.run(options(clinic, tmp_path), again.clock, again.sleep))
    await clinic.until(lambda: clinic.announced >= 1)
    again.stop_after = len(RECORD) // FRAME
    again.go.set()
    again.reached.clear()
    await asyncio.wait_for(again.reached.wait(), 20)
    clinic.may_store.set()
    again.go.set()
    assert await asyncio.wait_for(second, 20) == faults.EXIT_DONE
    assert digest(kept(clinic)) == digest(np.concatenate([RECORD[: 80 * FRAME], RECORD]))


async def test_a_damaged_outbox_is_a_loss_in_the_record_and_not_a_stream_without_an_end(
    clinic: FakeClinic, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await clinic.stop()
    pace = Pace()
    pace.stop_after = 30
    first = asyncio.create_task(ecg.run(options(clinic, tmp_path), pace.clock, pace.sleep))
    await asyncio.wait_for(pace.reached.wait(), 20)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    (path,) = (tmp_path / "outbox" / ROOM).glob("*.seg")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    await clinic.start()
    again = Pace()
    assert await ecg.run(options(clinic, tmp_path), again.clock, again.sleep) == faults.EXIT_DONE
    (stream,) = clinic.store.streams(ROOM)
    (loss,) = stream.losses
    assert loss.first == loss.last
    assert loss.reason == "outbox_damaged"
    assert stream.missing == ((loss.first, loss.last),)
    sequences = [frame.sequence for frame in clinic.store.read(ROOM, stream.descriptor.stream_id)]
    assert sequences == [n for n in range(max(sequences) + 1) if n != loss.first]
    assert digest(kept_parts(clinic)[-1]) == digest(RECORD)
    assert "is damaged" in capsys.readouterr().err
    assert not (tmp_path / "outbox" / ROOM).exists()


def kept_parts(clinic: FakeClinic) -> list[np.ndarray]:
    (stream,) = clinic.store.streams(ROOM)
    return [run.samples for run in runs(clinic.store.read(ROOM, stream.descriptor.stream_id))]


@pytest.mark.parametrize(("crowd", "samples"), [(32, 60), (33, 100), (150, 200)])
async def test_frames_are_as_long_as_the_server_would_like(
    clinic: FakeClinic, tmp_path: Path, crowd: int, samples: int
) -> None:
    clinic.wish.count(crowd)
    pace = Pace()
    pace.stop_after = 0
    running = asyncio.create_task(ecg.run(options(clinic, tmp_path), pace.clock, pace.sleep))
    await clinic.until(lambda: clinic.announced == 1)
    await asyncio.sleep(0)  # the answer is on its way; whenever it comes, all samples are kept
    pace.stop_after = None
    pace.go.set()
    assert await asyncio.wait_for(running, 20) == faults.EXIT_DONE
    assert digest(kept(clinic)) == digest(RECORD)
    (stream,) = clinic.store.streams(ROOM)
    sizes = [len(frame.samples) for frame in clinic.store.read(ROOM, stream.descriptor.stream_id)]
    assert sizes[0] == 60
    assert sizes[-2] == samples
    assert all(0 <= after - before <= 12 for before, after in pairwise(sizes[:-1]))  # no screen's pen stops


async def test_a_wish_that_changes_is_followed_while_frames_go(clinic: FakeClinic, tmp_path: Path) -> None:
    pace = Pace()
    running = asyncio.create_task(ecg.run(options(clinic, tmp_path, loop=True), pace.clock, pace.sleep))
    await clinic.until(lambda: clinic.newest_samples == 60)
    clinic.wish.count(150)
    await clinic.until(lambda: clinic.newest_samples == 200)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_loop_marks_the_seam(clinic: FakeClinic, tmp_path: Path) -> None:
    pace = Pace()
    pace.stop_after = 380
    running = asyncio.create_task(ecg.run(options(clinic, tmp_path, loop=True), pace.clock, pace.sleep))
    await clinic.until(lambda: clinic.frames >= 370)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    (stream,) = clinic.store.streams(ROOM)
    parts = runs(clinic.store.read(ROOM, stream.descriptor.stream_id))
    assert [len(part.samples) for part in parts[:2]] == [10_000, 10_000]
    assert digest(parts[0].samples) == digest(parts[1].samples) == digest(RECORD)


async def test_a_refused_token_is_said_and_nothing_deleted(
    clinic: FakeClinic, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clinic.refuse = peer_fault("token_expired")
    pace = Pace()
    code = await ecg.run(options(clinic, tmp_path), pace.clock, pace.sleep)
    assert code == faults.EXIT_REFUSED
    shown = capsys.readouterr().err
    assert "token_expired" in shown
    assert "no good" in shown
    assert list((tmp_path / "outbox" / ROOM).glob("*.seg")) or pace.blocks == 0


async def test_a_closed_room_is_the_end_and_what_is_unconfirmed_stays(
    clinic: FakeClinic, tmp_path: Path
) -> None:
    pace = Pace()
    pace.stop_after = 10
    running = asyncio.create_task(ecg.run(options(clinic, tmp_path, loop=True), pace.clock, pace.sleep))
    await clinic.until(lambda: clinic.frames >= 5)
    clinic.refuse = peer_fault("room_closed")
    pace.stop_after = None
    await clinic.cut()
    pace.go.set()
    assert await asyncio.wait_for(running, 20) == faults.EXIT_DONE
    assert list((tmp_path / "outbox" / ROOM).glob("*.seg"))


async def test_sigterm_ends_it_in_peace(clinic: FakeClinic, tmp_path: Path) -> None:
    pace = Pace()
    pace.stop_after = 5
    running = asyncio.create_task(ecg.run(options(clinic, tmp_path, loop=True), pace.clock, pace.sleep))
    await clinic.until(lambda: clinic.frames >= 1)
    signal.raise_signal(signal.SIGTERM)
    assert await asyncio.wait_for(running, 20) == faults.EXIT_DONE


async def test_bad_options_are_said_in_plain_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server, outbox = "http://127.0.0.1:9", tmp_path / "outbox"
    text = tmp_path / "text.dcm"
    text.write_text("not an ECG")
    cases = [
        (EcgOptions(server, outbox=outbox), faults.EXIT_USAGE, "令牌"),
        (EcgOptions(server, room_token="x", outbox=outbox), faults.EXIT_USAGE, "会诊室令牌"),
        (EcgOptions(server, room_token="x", file=tmp_path / "none", outbox=outbox), 2, "找不到文件"),
        (EcgOptions(server, room_token="x", file=text, outbox=outbox), 2, "无法读取"),
        (EcgOptions(server, room_token="x", file=tmp_path, outbox=outbox), 2, "无法读取"),
        (EcgOptions(server, room_token=room_token(), outbox=text / "below"), faults.EXIT_DISK, "无法写入"),
    ]
    for case, code, words in cases:
        assert await ecg.run(case) == code
        assert words in capsys.readouterr().err


async def test_two_gateways_do_not_share_an_outbox(clinic: FakeClinic, tmp_path: Path) -> None:
    pace = Pace()
    pace.stop_after = 5
    first = asyncio.create_task(ecg.run(options(clinic, tmp_path, loop=True), pace.clock, pace.sleep))
    await clinic.until(lambda: clinic.frames >= 1)
    other = Pace()
    assert await ecg.run(options(clinic, tmp_path), other.clock, other.sleep) == faults.EXIT_DISK
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)

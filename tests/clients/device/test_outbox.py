"""The outbox on disk."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from clients.device.outbox import SEGMENT_FRAMES, Outbox
from media.clock import CountedClock
from media.errors import LocalProtocolError
from media.signals.commit import AppendFile
from media.signals.descriptor import Lead, StreamDescriptor
from media.signals.frames import Frame, encode

STREAM = "00112233-4455-6677-8899-aabbccddeeff"
OTHER = "ffffffff-4455-6677-8899-aabbccddeeff"


def descriptor(stream: str = STREAM, leads: int = 1) -> StreamDescriptor:
    return StreamDescriptor(stream, "ecg", "", 500.0, tuple(Lead(f"L{n}") for n in range(leads)))


def data_of(sequence: int) -> bytes:
    return encode(Frame.of(descriptor(), sequence, 0, np.full((5, 1), sequence, np.int16)))


def opened(directory: Path, stream: str = OTHER, leads: int = 1, **kwargs: int) -> Outbox:
    return Outbox.open(directory, descriptor(stream, leads), CountedClock(), **kwargs)


def filled(directory: Path, count: int) -> Outbox:
    outbox = opened(directory, STREAM)
    for sequence in range(count):
        outbox.append(data_of(sequence))
    return outbox


def test_survives_a_restart_with_its_stream(tmp_path: Path) -> None:
    filled(tmp_path, 3).close()
    outbox = opened(tmp_path)
    assert outbox.descriptor.stream_id == STREAM
    assert (outbox.first, outbox.last, outbox.waiting) == (0, 2, 3)
    assert [outbox.read(n) for n in range(4)] == [data_of(0), data_of(1), data_of(2), None]
    outbox.append(data_of(3))
    outbox.close()
    assert opened(tmp_path).last == 3


def test_a_torn_last_frame_is_measured_again(tmp_path: Path) -> None:
    filled(tmp_path, 3).close()
    (path,) = tmp_path.glob("*.seg")
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    outbox = opened(tmp_path)
    assert outbox.last == 1
    outbox.append(data_of(2))
    outbox.close()
    assert [opened(tmp_path).read(n) for n in range(3)] == [data_of(0), data_of(1), data_of(2)]


def test_confirmed_segments_are_deleted_and_the_newest_stays(tmp_path: Path) -> None:
    outbox = filled(tmp_path, 2 * SEGMENT_FRAMES + 5)
    assert len(list(tmp_path.glob("*.seg"))) == 3
    outbox.confirm(SEGMENT_FRAMES - 2)
    assert len(list(tmp_path.glob("*.seg"))) == 3
    outbox.confirm(SEGMENT_FRAMES - 1)
    assert len(list(tmp_path.glob("*.seg"))) == 2
    outbox.confirm(10**9)
    outbox.confirm(5)
    assert len(list(tmp_path.glob("*.seg"))) == 1
    assert outbox.waiting == 0
    outbox.close()
    again = opened(tmp_path)
    assert (again.descriptor.stream_id, again.last) == (STREAM, 2 * SEGMENT_FRAMES + 4)
    again.remove()
    assert not tmp_path.exists()


def test_old_frames_are_read_from_the_disk(tmp_path: Path) -> None:
    outbox = filled(tmp_path, 200)
    assert outbox.read(0) == data_of(0)
    assert outbox.read(199) == data_of(199)


def test_another_measurement_is_never_mixed_in(tmp_path: Path) -> None:
    filled(tmp_path, 1).close()
    with pytest.raises(ValueError, match="another measurement"):
        opened(tmp_path, leads=2)


def spoil(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 0xFF
    path.write_bytes(data)


def offset_of(path: Path, sequence: int) -> int:
    """Inside the frame of this number."""
    return path.read_bytes().index(data_of(sequence)) + 60


@pytest.mark.parametrize("damaged", [[0], [1, 2], [5], [0, 5]])
def test_a_damaged_frame_has_a_number_and_no_bytes(tmp_path: Path, damaged: list[int]) -> None:
    """The last one too: it may have been sent, and its number must not be used for other samples."""
    filled(tmp_path, 6).close()
    (path,) = tmp_path.glob("*.seg")
    places = [offset_of(path, sequence) for sequence in damaged]
    for place in places:
        spoil(path, place)
    outbox = opened(tmp_path)
    assert (outbox.first, outbox.last, outbox.waiting) == (0, 5, 6)
    expected = [None if n in damaged else data_of(n) for n in range(6)]
    assert [outbox.read(n) for n in range(6)] == expected
    outbox.append(data_of(6))
    outbox.close()
    assert opened(tmp_path).read(6) == data_of(6)


@pytest.mark.parametrize("segment", [0, 1, 2])
def test_a_segment_with_a_damaged_header_costs_no_frame(tmp_path: Path, segment: int) -> None:
    filled(tmp_path, 2 * SEGMENT_FRAMES + 5).close()
    path = sorted(tmp_path.glob("*.seg"))[segment]
    spoil(path, 20)
    outbox = opened(tmp_path)
    assert (outbox.descriptor.stream_id, outbox.last) == (STREAM, 2 * SEGMENT_FRAMES + 4)
    assert all(outbox.read(n) is not None for n in range(outbox.last + 1))


def test_a_last_segment_that_is_all_damaged_leaves_its_numbers_unused(tmp_path: Path) -> None:
    filled(tmp_path, SEGMENT_FRAMES + 1).close()
    path = sorted(tmp_path.glob("*.seg"))[1]
    path.write_bytes(bytes(len(path.read_bytes())))
    outbox = opened(tmp_path)
    assert outbox.last == 2 * SEGMENT_FRAMES - 1
    assert outbox.read(SEGMENT_FRAMES) is None


def test_full_outbox_refuses_the_new_and_keeps_the_old(tmp_path: Path) -> None:
    outbox = opened(tmp_path, STREAM, max_bytes=1000)
    while outbox.waiting < 5:
        outbox.append(data_of(outbox.last + 1))
    with pytest.raises(LocalProtocolError, match="store_full"):
        outbox.append(bytes(1000))
    assert outbox.waiting == 5
    assert outbox.read(0) == data_of(0)


def test_a_disk_that_fills_up_as_a_segment_begins_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new segment is there and empty; it is used as soon as there is room."""
    outbox = filled(tmp_path, SEGMENT_FRAMES)
    full = FullDisk()
    monkeypatch.setattr("clients.device.outbox.AppendFile", full.file)
    for _ in range(2):
        with pytest.raises(LocalProtocolError, match="store_full"):
            outbox.append(data_of(SEGMENT_FRAMES))
    full.room = True
    outbox.append(data_of(SEGMENT_FRAMES))
    outbox.confirm(SEGMENT_FRAMES - 1)
    assert (outbox.waiting, outbox.read(SEGMENT_FRAMES)) == (1, data_of(SEGMENT_FRAMES))
    outbox.close()
    again = opened(tmp_path)
    assert again.read(SEGMENT_FRAMES) == data_of(SEGMENT_FRAMES)
    again.close()


def test_an_empty_segment_alone_still_knows_the_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = filled(tmp_path, SEGMENT_FRAMES)
    monkeypatch.setattr("clients.device.outbox.AppendFile", FullDisk().file)
    with pytest.raises(LocalProtocolError, match="store_full"):
        outbox.append(data_of(SEGMENT_FRAMES))
    outbox.confirm(SEGMENT_FRAMES - 1)
    outbox.close()
    monkeypatch.undo()
    again = opened(tmp_path)
    assert (again.descriptor.stream_id, again.first, again.last) == (
        STREAM,
        SEGMENT_FRAMES,
        SEGMENT_FRAMES - 1,
    )
    again.append(data_of(SEGMENT_FRAMES))
    assert again.read(SEGMENT_FRAMES) == data_of(SEGMENT_FRAMES)
    again.close()


def test_an_outbox_that_is_half_removed_still_knows_the_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = filled(tmp_path, SEGMENT_FRAMES + 5)
    unlink, removed = Path.unlink, list[Path]()

    def once(path: Path, missing_ok: bool = False) -> None:
        if removed:
            raise KilledError
        removed.append(path)
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", once)
    with pytest.raises(KilledError):
        outbox.remove()
    monkeypatch.undo()
    again = opened(tmp_path)
    assert again.last == SEGMENT_FRAMES + 4
    again.close()


class KilledError(Exception):
    """Stands for the process's end."""


class FullDisk:
    """Where new files take no data until there is ``room``."""

    def __init__(self) -> None:
        self.room = False

    def file(self, path: Path, size: int) -> AppendFile:
        return AppendFile(path, size, write=self._write)

    def _write(self, file: int, data: bytes, offset: int) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "full")
        return os.pwrite(file, data, offset)


def test_an_unwritable_place_is_a_fault(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(LocalProtocolError, match="store_failed") as caught:
        opened(file / "below")
    assert caught.value.__cause__ is not None
    assert getattr(caught.value.__cause__, "errno", 0) in (errno.ENOTDIR, errno.EEXIST)

"""The scenario ``ecg``: its record, its judgement, and one short cut with the real commands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from loadtest.ecg.cases import NAMES, STORED, Case, chosen, limits_of, shortfalls
from loadtest.ecg.kept import StoreTail, compare
from loadtest.ecg.source import samples_of, write_record
from loadtest.ecg.stored import PEER, run_stored
from loadtest.ecg.wire import LENGTHS_MS, wire_cost
from loadtest.impair import NotRootError
from loadtest.impair_network import Network
from media.signals import records
from media.signals.descriptor import StreamDescriptor
from media.signals.formats import read_file
from media.signals.frames import FLAG_SEAM, Frame, Samples, encode
from media.signals.kinds import LEADS_18

STREAM = "00112233-4455-6677-8899-aabbccddeeff"


def test_cases_are_chosen_by_their_beginnings() -> None:
    assert chosen("") == NAMES
    assert chosen("cut-60, kill") == ("cut-60", "kill-gateway", "kill-server")
    assert chosen("cut-6") == ("cut-60", "cut-60-18-leads", "cut-600")
    with pytest.raises(ValueError, match="there is no case"):
        chosen("cut-61")


def test_a_figure_above_its_limit_or_missing_falls_short() -> None:
    case = next(case for case in STORED if case.name == "cut-60")
    good = {name: 0.0 for name, _ in limits_of(case)} | {"case": case.name}
    assert shortfalls(good, limits_of(case)) == []
    assert "lost_samples is 100" in shortfalls({**good, "lost_samples": 100}, limits_of(case))[0]
    del good["backfill_s"]
    assert "could not be measured" in shortfalls(good, limits_of(case))[0]


@pytest.mark.parametrize("leads", [12, 18])
def test_the_record_is_read_back_as_it_was_made(tmp_path: Path, leads: int) -> None:
    made, samples = samples_of(leads)
    (found,) = read_file(write_record(tmp_path, "whole", made, samples))
    assert np.array_equal(found.samples, samples)
    assert found.sampling_rate_hz == 1000
    assert [lead.scale for lead in found.leads] == [1.25] * leads
    assert tuple(lead.code for lead in found.leads) == LEADS_18[:leads]
    assert len({column.tobytes() for column in samples.T}) == leads


def stored(directory: Path, source: Samples, last: Samples, change: Callable[[list[Frame]], None]) -> Path:
    """A store's file: a round and a half of the source, then the last record."""
    leads, _ = samples_of(12)
    stream = StreamDescriptor(STREAM, "ecg", "", 1000.0, leads)
    parts = [source, source[: len(source) // 2], last]
    frames: list[Frame] = []
    for part in parts:
        for start in range(0, len(part), 100):
            flags = FLAG_SEAM if start == 0 else 0
            frames.append(Frame.of(stream, len(frames), 0, part[start : start + 100], flags))
    change(frames)
    body = [records.record(records.KIND_FRAME, 0, encode(frame)) for frame in frames]
    directory.mkdir()
    path = directory / f"{STREAM}.hzs"
    path.write_bytes(records.file_header(stream) + b"".join(body))
    return path


@pytest.mark.parametrize(
    ("change", "lost", "duplicated", "differs"),
    [
        (lambda frames: None, 0, 0, 0),
        (lambda frames: frames.pop(5), 100, 0, 1),
        (lambda frames: frames.append(frames[3]), 0, 100, 0),
        (lambda frames: frames.insert(0, frames.pop()), 0, 0, 0),
        (lambda frames: frames[7].samples.__setitem__((3, 2), 1), 0, 0, 1),
    ],
    ids=["whole", "lost", "twice", "reordered", "changed"],
)
def test_what_is_kept_is_judged_sample_for_sample(
    tmp_path: Path, change: Callable[[list[Frame]], None], lost: int, duplicated: int, differs: int
) -> None:
    _, record = samples_of(12)
    source, last = record[:1000].copy(), record[:500].copy()
    path = stored(tmp_path / "room", source.copy(), last.copy(), change)
    found = compare(path.parent, source, last, measured=15, cuts=1)
    assert (found["lost_samples"], found["duplicated_samples"]) == (lost, duplicated)
    assert found["sha256_differs"] == differs
    tail = StoreTail(path.parent)
    tail.look()
    tail.look()
    assert tail.is_whole(10) is (not lost)


@pytest.mark.network
def test_a_short_cut_loses_nothing(tmp_path: Path) -> None:
    """The installed commands on a line that is cut for two seconds, 18 leads."""
    try:
        network = Network((PEER,))
    except NotRootError as problem:
        pytest.skip(str(problem))
    case = Case("short", leads=18, cut_s=2)
    with network:
        found = run_stored(case, network, tmp_path)
    assert (found["lost_samples"], found["duplicated_samples"], found["sha256_differs"]) == (0, 0, 0)
    assert found["stored_samples"] > 5000


def test_shorter_frames_take_more_of_a_line() -> None:
    costs = {(one["leads"], one["frame_ms"]): one for one in wire_cost()}
    assert costs[12, 60]["frames_per_second"] == 16.7
    for leads in (12, 18):
        used = [costs[leads, length]["kilobits_per_second"] for length in LENGTHS_MS]
        assert used == sorted(used, reverse=True)
        assert used[-1] < 1000 * 16 * leads / 1000  # less than the samples themselves

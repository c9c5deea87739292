"""After a crash: make the files of an unfinished recording whole, so that they play and seek."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import av
from av.stream import Stream

from media.recording.manifest import RECOVERED, RUNNING, Manifest, TrackEntry
from media.recording.recorder import MANIFEST, read_manifest, write_manifest

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Found:
    """What a remuxed file holds."""

    packets: int
    end_ms: int
    width: int
    height: int


def recover(directory: Path) -> Manifest | None:
    """Finish the recording in ``directory`` if it was running; None when there is nothing to do. Blocks.

    :raises OSError: the disk fails.
    """
    try:
        manifest = read_manifest(directory)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if manifest.state != RUNNING:
        return None
    tracks = tuple(track for entry in manifest.tracks if (track := _recover_track(directory, entry)))
    last_ms = max((track.end_ms for track in tracks), default=0)
    ended_at = manifest.started_at + last_ms / 1000
    recovered = replace(manifest, tracks=tracks).finished(ended_at, RECOVERED)
    write_manifest(directory, recovered)
    logger.info("recording %s recovered: %d ms", recovered.recording_id, recovered.duration_ms)
    return recovered


def recover_all(root: Path) -> Iterator[Manifest]:
    """`recover` every recording below ``root``, at whatever depth. Blocks."""
    for path in sorted(root.rglob(MANIFEST)):
        manifest = recover(path.parent)
        if manifest is not None:
            yield manifest


def _recover_track(directory: Path, entry: TrackEntry) -> TrackEntry | None:
    path = directory / entry.file
    if not path.is_file():
        return None
    fresh = path.with_name(f"recovering-{path.name}")
    try:
        found = _remux(path, fresh)
    except (av.FFmpegError, ValueError) as problem:
        logger.warning("recording: %s cannot be read: %s", path.name, type(problem).__name__)
        fresh.unlink(missing_ok=True)
        return replace(entry, error=type(problem).__name__)
    if not found.packets:
        fresh.unlink(missing_ok=True)
        return None
    fresh.replace(path)
    return replace(
        entry, end_ms=entry.start_ms + found.end_ms, width=found.width, height=found.height, error="crash"
    )


def _remux(source: Path, target: Path) -> _Found:
    """Copy every whole packet; the new file gets its duration and index."""
    packets = end_ms = 0
    form = "webm" if source.suffix == ".webm" else "mp4"
    with av.open(str(source)) as reader, av.open(str(target), "w", format=form) as writer:
        original = reader.streams[0]
        copy = writer.add_stream_from_template(original, opaque=True)
        copy.time_base = original.time_base
        for packet in _packets(reader):
            end_ms = round(float((packet.pts or 0) * packet.time_base) * 1000)
            packet.stream = copy
            writer.mux_one(packet)
            packets += 1
        size = (getattr(original, "width", 0), getattr(original, "height", 0))
    with target.open("rb") as file:
        os.fsync(file.fileno())
    return _Found(packets, end_ms, *size)


def _packets(reader: av.container.InputContainer) -> Iterator[av.Packet[Stream]]:
    """Packets up to where the crash cut the file."""
    try:
        for packet in reader.demux(reader.streams[0]):
            if packet.pts is not None and packet.size:
                yield packet
    except av.FFmpegError as problem:
        logger.info("recording: file ends inside a packet: %s", type(problem).__name__)

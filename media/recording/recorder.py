"""A recording of one router's tracks into one directory: a file a track, and a manifest."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
from pathlib import Path
from typing import Any, Protocol

from media.clock import Clock
from media.errors import LIMIT_REACHED, WRONG_STATE, LocalProtocolError
from media.limits import RECORD_MAX_TRACKS
from media.recording.manifest import Manifest, SignalEntry
from media.recording.mux_thread import MuxThread
from media.recording.timeline import PeerClock
from media.recording.track import TappedConsumer, TrackInfo, TrackRecorder
from media.signals.commit import sync_directory
from media.signals.descriptor import StreamDescriptor

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
TICK_S = 0.25  # how often key frames are thought of: half the shortest retry


class RecordedProducer(Protocol):
    """What the recorder needs of a producer."""

    @property
    def id(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def rtp_parameters(self) -> dict[str, Any]: ...


class TappingRouter(Protocol):
    """What the recorder needs of a router."""

    def tap(self, producer_id: str, sink: Any) -> TappedConsumer: ...


class Recorder:
    """Records what is added, from `start` to `stop`. One event loop; files are written in a thread.

    :param router: taps are made on it; the recorder closes its own taps, and nothing else.
    :param directory: of this recording alone; made when it is not there. Its name is the id.
    :param clock: monotonic for the time line, wall for the manifest.
    """

    def __init__(
        self,
        router: TappingRouter,
        directory: Path,
        clock: Clock,
        room_id: str,
        recording_id: str = "",
        mux: MuxThread | None = None,
    ) -> None:
        self.recording_id = recording_id or directory.name
        self._router = router
        self._directory = directory
        self._clock = clock
        self._room_id = room_id
        self._mux = mux or MuxThread()
        self._started = clock.monotonic()
        self._started_at = clock.wall()
        self._tracks: dict[str, TrackRecorder] = {}
        self._ended: list[TrackRecorder] = []
        self._peers: dict[str, PeerClock] = {}
        self._signals: list[SignalEntry] = []
        self._ticking: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._written = ""

    @property
    def manifest_path(self) -> Path:
        return self._directory / MANIFEST

    def start(self) -> None:
        """Begin the time line.

        :raises OSError: the directory cannot be made.
        """
        self._started = self._clock.monotonic()
        self._started_at = self._clock.wall()
        self._directory.mkdir(parents=True, exist_ok=True)
        self._ticking = asyncio.get_running_loop().create_task(self._tick_on())
        logger.info("recording %s started", self.recording_id)

    def add_producer(self, producer: RecordedProducer, peer_label: str, source: str = "") -> None:
        """Record a track from now on. One that is recorded already, or has no file form, is left alone.

        :param peer_label: opaque peer id; tracks of one peer are held in step.
        :raises LocalProtocolError: ``wrong_state`` before `start` or after `stop`, ``limit_reached``.
        """
        if self._ticking is None:
            raise LocalProtocolError(WRONG_STATE, "recorder is not running")
        if producer.id in self._tracks:
            return
        number = len(self._tracks) + len(self._ended) + 1
        if number > RECORD_MAX_TRACKS:
            raise LocalProtocolError(LIMIT_REACHED, f"{RECORD_MAX_TRACKS} tracks")
        codec = next(c for c in producer.rtp_parameters["codecs"] if c["mimeType"].lower() != "audio/red")
        try:
            info = TrackInfo.of(f"t{number}", peer_label, source or producer.source, codec)
        except KeyError:
            logger.warning("recording %s: %s is not recorded", self.recording_id, codec.get("mimeType"))
            return
        peer = self._peers.setdefault(peer_label, PeerClock())
        track = TrackRecorder(info, self._directory, self._mux, peer, self._started)
        self._tracks[producer.id] = track
        track.consumer = self._router.tap(producer.id, track)
        track.tick(self._clock.monotonic())

    def remove_producer(self, producer_id: str) -> None:
        """Stop recording this track; the recording goes on. Idempotent."""
        track = self._tracks.pop(producer_id, None)
        if track is not None:
            track.stop()
            self._ended.append(track)

    def add_signal(self, descriptor: StreamDescriptor, started_at: float) -> None:
        """Name a signal stream in the manifest; its samples lie in the signal store.

        :param started_at: Unix seconds of its first sample, on this server's clock.
        """
        if all(entry.descriptor.stream_id != descriptor.stream_id for entry in self._signals):
            start_ms = round((started_at - self._started_at) * 1000)
            self._signals.append(SignalEntry(descriptor, start_ms))

    def tick(self, now: float) -> None:
        """Let every track think of its key frames."""
        for track in self._tracks.values():
            track.tick(now)

    async def stop(self) -> Path:
        """Close every tap and file, write the manifest; its path. Idempotent."""
        ticking, self._ticking = self._ticking, None
        if ticking is None:
            return self.manifest_path
        self._stopping.set()
        ended_at = self._clock.wall()
        for producer_id in list(self._tracks):
            self.remove_producer(producer_id)
        await ticking
        await asyncio.to_thread(self._mux.stop)
        finished = self.manifest().finished(ended_at)
        await asyncio.to_thread(write_manifest, self._directory, finished)
        logger.info("recording %s complete: %d ms", self.recording_id, finished.duration_ms)
        return self.manifest_path

    def manifest(self) -> Manifest:
        """What the recording consists of so far; once stopped, without tracks that never brought media."""
        running = [*self._ended, *self._tracks.values()]
        if self._ticking is None:
            running = [track for track in running if track.has_media]
        return Manifest(
            self.recording_id,
            self._room_id,
            self._started_at,
            tracks=tuple(track.entry() for track in running),
            signals=tuple(self._signals),
        )

    async def _tick_on(self) -> None:
        while not self._stopping.is_set():
            self.tick(self._clock.monotonic())
            await self._write_when_changed()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), TICK_S)

    async def _write_when_changed(self) -> None:
        """Keep on the disk what a recovery needs: which files there are and where they begin."""
        manifest = self.manifest()
        begun = [(track.file, track.start_ms) for track in manifest.tracks]
        state = repr((begun, len(manifest.signals)))
        if state == self._written:
            return
        try:
            await asyncio.to_thread(write_manifest, self._directory, manifest)
            self._written = state
        except OSError as problem:
            logger.warning("recording %s: manifest: %s", self.recording_id, problem.strerror)


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Replace the manifest so that a crash leaves the old one or the new one.

    :raises OSError: whatever the disk says.
    """
    path = directory / MANIFEST
    fresh = path.with_suffix(".new")
    with fresh.open("w", encoding="utf-8") as file:
        json.dump(manifest.as_json(), file, ensure_ascii=False, indent=1)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync_directory(directory)


def read_manifest(directory: Path) -> Manifest:
    """:raises OSError: there is none. :raises ValueError, KeyError, TypeError: it cannot be read."""
    return Manifest.from_json(json.loads((directory / MANIFEST).read_text(encoding="utf-8")))

"""The one thread that writes a recording's files, and the bounded queue before it.

Nobody waits for the disk. When the queue is half full, video is dropped up to its next key frame; sound
goes on until the queue is full. A file that cannot be written is given up and says why.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from dataclasses import dataclass, field

import av

from media.limits import RECORD_QUEUE_BYTES, RECORD_QUEUE_ITEMS
from media.recording.mux_file import MuxFile, Sample

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class MuxTrack:
    """One file's way into the thread.

    :param is_video: dropped first.
    :param dropped: samples that the queue refused.
    :param error: why the file was given up; empty while all is well. Written by the thread.
    """

    file: MuxFile
    is_video: bool
    dropped: int = 0
    waits_for_key: bool = False
    error: str = ""
    _closing: bool = field(default=False)


_Job = tuple[MuxTrack, Sample | None]  # None: close the file


class MuxThread:
    """Started by the first `put`; `stop` writes what waits and closes every file."""

    def __init__(self, max_bytes: int = RECORD_QUEUE_BYTES, max_items: int = RECORD_QUEUE_ITEMS) -> None:
        self._max_bytes = max_bytes
        self._max_items = max_items
        self._jobs: deque[_Job] = deque()
        self._bytes = 0
        self._stopping = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._open: set[MuxTrack] = set()

    def put(self, track: MuxTrack, sample: Sample) -> bool:
        """Queue a sample; False when it was dropped by the rule above."""
        with self._changed:
            if self._must_drop(track, sample):
                track.dropped += 1
                track.waits_for_key = track.is_video
                return False
            track.waits_for_key = False
            self._bytes += len(sample.data)
            self._enqueue((track, sample))
            return True

    def close(self, track: MuxTrack) -> None:
        """Close the track's file after what waits for it."""
        with self._changed:
            self._enqueue((track, None))

    def stop(self) -> None:
        """Write everything, close all files, end the thread. Blocks; idempotent."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _must_drop(self, track: MuxTrack, sample: Sample) -> bool:
        if track.error or self._stopping:
            return True
        if track.is_video and track.waits_for_key and not sample.keyframe:
            return True
        share = 2 if track.is_video else 1
        full = (self._bytes + len(sample.data)) * share > self._max_bytes
        return full or (len(self._jobs) + 1) * share > self._max_items

    def _enqueue(self, job: _Job) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="recording-mux", daemon=True)
            self._thread.start()
        self._jobs.append(job)
        self._changed.notify()

    def _run(self) -> None:
        while (job := self._take()) is not None:
            self._do(*job)
        for track in list(self._open):
            self._do(track, None)

    def _take(self) -> _Job | None:
        with self._changed:
            while not self._jobs and not self._stopping:
                self._changed.wait()
            if not self._jobs:
                return None
            job = self._jobs.popleft()
            self._bytes -= len(job[1].data) if job[1] is not None else 0
            return job

    def _do(self, track: MuxTrack, sample: Sample | None) -> None:
        try:
            if sample is None:
                self._open.discard(track)
                track.file.close()
            elif not track.error:
                self._open.add(track)
                track.file.write(sample)
        except (OSError, av.FFmpegError, ValueError) as problem:
            track.error = track.error or type(problem).__name__
            logger.warning("recording: %s given up: %s", track.file.path.name, track.error)

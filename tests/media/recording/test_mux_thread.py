"""The bounded queue before the disk, with a file that does not move until it is told to."""

from __future__ import annotations

import threading
from pathlib import Path

from media.recording.mux_file import MuxFile, Sample
from media.recording.mux_thread import MuxThread, MuxTrack
from media.recording.opus import frame_samples, packet_samples, pause_packet


class SlowFile(MuxFile):
    """Waits before each write."""

    def __init__(self) -> None:
        super().__init__(Path("none"), "vp8", 90_000)
        self.go = threading.Event()
        self.entered = threading.Event()
        self.written: list[Sample] = []
        self.closed = 0

    def write(self, sample: Sample) -> None:
        self.entered.set()
        self.go.wait(10)
        self.written.append(sample)

    def close(self) -> None:
        self.closed += 1


class BrokenFile(SlowFile):
    """A disk that is full."""

    def write(self, sample: Sample) -> None:
        self.entered.set()
        raise OSError(28, "No space left on device")


def sample(ticks: int, keyframe: bool = False) -> Sample:
    return Sample(bytes(100), ticks, keyframe)


def test_video_drops_to_its_next_key_frame_and_sound_goes_on() -> None:
    thread = MuxThread(max_bytes=1000, max_items=100)
    file, voice = SlowFile(), SlowFile()
    video, sound = MuxTrack(file, is_video=True), MuxTrack(voice, is_video=False)
    assert thread.put(video, sample(0, keyframe=True))
    assert file.entered.wait(10)
    taken = [thread.put(video, sample(n)) for n in range(1, 8)]
    assert taken == [True] * 5 + [False] * 2
    assert [thread.put(sound, sample(n)) for n in range(8)] == [True] * 5 + [False] * 3
    file.go.set()
    voice.go.set()
    for number in range(2000):
        if thread.put(video, sample(100 + number, keyframe=True)):
            break
        threading.Event().wait(0.005)
    assert thread.put(video, sample(5000))
    thread.stop()
    thread.stop()
    assert [s.ticks for s in file.written][:6] == [0, 1, 2, 3, 4, 5]
    assert file.written[6].keyframe
    assert [s.ticks for s in voice.written] == [0, 1, 2, 3, 4]
    assert (file.closed, voice.closed) == (1, 1)


def test_after_a_drop_only_a_key_frame_is_taken() -> None:
    thread = MuxThread(max_bytes=1000)
    file = SlowFile()
    file.go.set()
    track = MuxTrack(file, is_video=True, waits_for_key=True)
    assert not thread.put(track, sample(0))
    assert thread.put(track, sample(1, keyframe=True))
    assert thread.put(track, sample(2))
    thread.stop()
    assert [s.ticks for s in file.written] == [1, 2]
    assert track.dropped == 1


def test_a_file_that_cannot_be_written_is_given_up_alone() -> None:
    thread = MuxThread()
    broken, good = BrokenFile(), SlowFile()
    good.go.set()
    bad, fine = MuxTrack(broken, is_video=False), MuxTrack(good, is_video=False)
    thread.put(bad, sample(0))
    assert broken.entered.wait(10)
    thread.put(fine, sample(0))
    thread.stop()
    assert bad.error == "OSError"
    assert len(good.written) == 1
    assert not thread.put(bad, sample(1))


def test_opus_durations() -> None:
    """RFC 6716 table 2 and section 3.2: codes 0 to 3."""
    assert [frame_samples(config << 3) for config in (0, 3, 12, 13, 16, 19, 31)] == [
        480,
        2880,
        480,
        960,
        120,
        960,
        960,
    ]
    assert packet_samples(bytes([0xFC])) == 960
    assert packet_samples(bytes([0xFD, 1])) == 1920
    assert packet_samples(bytes([0xFF, 3])) == 2880
    assert packet_samples(bytes([0xFF])) == packet_samples(b"") == packet_samples(bytes([0xFF, 63])) == 0
    assert pause_packet(0xFF) == b"\xfc"

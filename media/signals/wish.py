"""How long a frame a server would like of its devices, by how many streams it takes."""

from __future__ import annotations

from media.signals.wire import FRAME_MS, LONG_FRAME_MS, LONGEST_FRAME_MS

LONG_FROM_STREAMS = 33  # 32 streams with short frames are 533 a second; with these 33 are 330
LONGEST_FROM_STREAMS = 150  # 149 with 100 ms are 1490 a second; 300 with these are 1500
BACK = 0.75
"""Of those numbers: below it frames get shorter again, so that one device more or less changes nothing."""


class FrameWish:
    """One for a server. Every device is told with its next acknowledgement when ``ms`` has changed."""

    def __init__(self) -> None:
        self.ms = FRAME_MS

    def count(self, streams: int) -> None:
        """So many are taken now."""
        self.ms = min(max(self.ms, _for(streams)), _for(streams / BACK))


def _for(streams: float) -> int:
    """Short for the eye, unless they are many."""
    if streams < LONG_FROM_STREAMS:
        return FRAME_MS
    return LONG_FRAME_MS if streams < LONGEST_FROM_STREAMS else LONGEST_FRAME_MS

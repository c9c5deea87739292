"""Where the frames of one stream stand in its file: 24 bytes a frame, found by number and by time."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator


class FrameTable:
    """Frames by sequence number; most come in order, what is late is put into its place."""

    def __init__(self) -> None:
        self._sequences = array("Q")
        self._offsets = array("Q")
        self._begins = array("q")
        self._newest = (0, 0)

    def __len__(self) -> int:
        return len(self._sequences)

    def __iter__(self) -> Iterator[int]:
        """Sequence numbers, ascending."""
        return iter(self._sequences)

    def add(self, sequence: int, offset: int, begin_ns: int) -> None:
        """A frame that is not in it yet.

        :param offset: of its record in the file.
        :param begin_ns: its first sample, the device's clock.
        """
        self._newest = (sequence, offset)
        if not self._sequences or sequence > self._sequences[-1]:
            place = len(self._sequences)
        else:
            place = bisect_left(self._sequences, sequence)
        self._sequences.insert(place, sequence)
        self._offsets.insert(place, offset)
        self._begins.insert(place, begin_ns)

    def at(self, place: int) -> tuple[int, int]:
        """Sequence number and offset of the frame at ``place``."""
        return self._sequences[place], self._offsets[place]

    def newest(self) -> tuple[int, int]:
        """Of the frame that was added last: sequence number and offset."""
        return self._newest

    def place_of(self, sequence: int) -> int:
        """The first place whose number is not below ``sequence``."""
        return bisect_left(self._sequences, sequence)

    def near(self, places: range, begin_ns: int | None, end_ns: int | None) -> range:
        """Of ``places``, those that begin in [begin_ns, end_ns), device time; None is no bound.

        Times must ascend there, as they do between two settings of a clock but for jitter: leave room for it.
        """
        low, high = places.start, places.stop
        first = low if begin_ns is None else bisect_left(self._begins, begin_ns, low, high)
        last = high if end_ns is None else bisect_left(self._begins, end_ns, low, high)
        return range(first, last)

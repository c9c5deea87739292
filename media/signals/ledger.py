"""Which frames of a stream are durable, and which are missing: a set of sequence numbers kept as ranges."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Iterator

from media.errors import RemoteProtocolError
from media.limits import SIGNAL_FINGERPRINTS, SIGNAL_MAX_AHEAD_FRAMES, SIGNAL_MAX_GAPS
from media.signals.errors import SIGNAL_GAP_TOO_LARGE


class StreamLedger:
    """Sequence numbers from 0, held as sorted, disjoint, never adjacent ranges [first, last].

    What a peer may add is bounded by `check`: at most ``SIGNAL_MAX_GAPS`` holes, and nothing further
    than ``SIGNAL_MAX_AHEAD_FRAMES`` beyond the highest contiguous number.
    """

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        self._count = 0

    def __contains__(self, sequence: int) -> bool:
        if not self._lasts or sequence > self._lasts[-1]:
            return False  # so is nearly every one that is asked for: it is the next
        index = bisect_right(self._firsts, sequence) - 1
        return index >= 0 and sequence <= self._lasts[index]

    def __len__(self) -> int:
        """How many numbers it holds."""
        return self._count

    @property
    def contiguous(self) -> int:
        """The highest number such that it and all before it are held; -1 when 0 is missing."""
        return self._lasts[0] if self._firsts and self._firsts[0] == 0 else -1

    @property
    def highest(self) -> int:
        """The highest number held; -1 when empty."""
        return self._lasts[-1] if self._lasts else -1

    def ranges(self) -> Iterator[tuple[int, int]]:
        """What is held: (first, last), ascending."""
        return zip(self._firsts, self._lasts, strict=True)

    def missing(self) -> list[tuple[int, int]]:
        """What is missing below the highest number: (first, last), ascending."""
        holes = []
        following = 0
        for first, last in self.ranges():
            if first > following:
                holes.append((following, first - 1))
            following = last + 1
        return holes

    def check(self, sequence: int) -> None:
        """Ask whether ``sequence`` may be added within the bounds; `add` itself trusts its caller.

        :raises RemoteProtocolError: ``signal_gap_too_large``.
        """
        if not 0 <= sequence <= self.contiguous + SIGNAL_MAX_AHEAD_FRAMES:
            raise RemoteProtocolError(SIGNAL_GAP_TOO_LARGE, f"sequence {sequence} after {self.highest}")
        alone = sequence - 1 not in self and sequence + 1 not in self
        if alone and len(self._firsts) > SIGNAL_MAX_GAPS:
            raise RemoteProtocolError(SIGNAL_GAP_TOO_LARGE, f"{len(self._firsts)} gaps")

    def add_range(self, first: int, last: int) -> None:
        """Hold all numbers from ``first`` to ``last``, whichever were held already."""
        left = bisect_left(self._lasts, first - 1)
        right = bisect_right(self._firsts, last + 1)
        if left < right:
            first, last = min(first, self._firsts[left]), max(last, self._lasts[right - 1])
        held = sum(self._lasts[at] - self._firsts[at] + 1 for at in range(left, right))
        self._firsts[left:right] = [first]
        self._lasts[left:right] = [last]
        self._count += last - first + 1 - held

    def add(self, sequence: int) -> bool:
        """Hold ``sequence``; False when it was held already."""
        if sequence in self:
            return False
        index = bisect_right(self._firsts, sequence)
        joins_left = index > 0 and self._lasts[index - 1] == sequence - 1
        joins_right = index < len(self._firsts) and self._firsts[index] == sequence + 1
        if joins_left and joins_right:
            self._lasts[index - 1] = self._lasts.pop(index)
            self._firsts.pop(index)
        elif joins_left:
            self._lasts[index - 1] = sequence
        elif joins_right:
            self._firsts[index] = sequence
        else:
            self._firsts.insert(index, sequence)
            self._lasts.insert(index, sequence)
        self._count += 1
        return True


class Fingerprints:
    """What the newest ``SIGNAL_FINGERPRINTS`` frames held, so that a repeated number is known for a repeated
    frame.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[int, int] = OrderedDict()

    def differs(self, sequence: int, fingerprint: int) -> bool:
        """Remember a frame, or compare it with the one remembered of this number.

        :param fingerprint: as `media.signals.frames.fingerprint_of` gives it.
        """
        known = self._known.setdefault(sequence, fingerprint)
        if len(self._known) > SIGNAL_FINGERPRINTS:
            self._known.popitem(last=False)
        return known != fingerprint

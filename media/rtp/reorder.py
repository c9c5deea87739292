"""Puts packets back in order before frames are made of them; a retransmission comes late, not lost."""

from __future__ import annotations

from media import limits
from media.rtp.numbers import Unwrapper
from media.rtp.packet import RtpPacket


class ReorderBuffer:
    """Holds packets behind a hole until the hole is filled or given up.

    In order there is no delay at all. A hole is given up when ``capacity`` packets wait behind it, or
    when the newest packet is ``patience`` ticks of RTP time past the oldest waiting one.
    """

    def __init__(self, capacity: int, patience: int) -> None:
        self._capacity = capacity
        self._patience = patience
        self._waiting: dict[int, tuple[int, RtpPacket]] = {}
        self._sequences = Unwrapper(16)
        self._timestamps = Unwrapper(32)
        self._next: int | None = None
        self._newest_timestamp = 0
        self.lost = 0  # packets given up

    def push(self, packet: RtpPacket) -> list[tuple[RtpPacket, bool]]:
        """Take one packet; return those now in order, each with whether a hole stands before it."""
        sequence = self._sequences.unwrap(packet.sequence)
        timestamp = self._timestamps.unwrap(packet.timestamp)
        if self._next is None:
            self._next = sequence
        if sequence < self._next - limits.REORDER_RESTART:
            return self._restart(packet)
        if sequence < self._next:
            return []
        self._newest_timestamp = max(self._newest_timestamp, timestamp)
        self._waiting.setdefault(sequence, (timestamp, packet))
        ready = self._take_run()
        while self._waiting and self._must_skip():
            ready += self._skip_hole()
        return ready

    def flush(self) -> list[tuple[RtpPacket, bool]]:
        """Everything that still waits, holes or not; the stream has ended."""
        ready: list[tuple[RtpPacket, bool]] = []
        while self._waiting:
            ready += self._skip_hole()
        return ready

    def _restart(self, packet: RtpPacket) -> list[tuple[RtpPacket, bool]]:
        self._waiting.clear()
        self._sequences = Unwrapper(16)
        self._timestamps = Unwrapper(32)
        self._next = self._sequences.unwrap(packet.sequence) + 1
        self._newest_timestamp = self._timestamps.unwrap(packet.timestamp)
        return [(packet, True)]

    def _must_skip(self) -> bool:
        if len(self._waiting) >= self._capacity:
            return True
        oldest = self._waiting[min(self._waiting)][0]
        return self._newest_timestamp - oldest > self._patience

    def _skip_hole(self) -> list[tuple[RtpPacket, bool]]:
        first = min(self._waiting)
        assert self._next is not None  # set by the first packet
        self.lost += first - self._next
        self._next = first
        return self._take_run(after_hole=True)

    def _take_run(self, after_hole: bool = False) -> list[tuple[RtpPacket, bool]]:
        run: list[tuple[RtpPacket, bool]] = []
        assert self._next is not None  # set by the first packet
        while self._next in self._waiting:
            run.append((self._waiting.pop(self._next)[1], after_hole and not run))
            self._next += 1
        return run

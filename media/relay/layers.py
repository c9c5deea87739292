"""Which layer a consumer gets: spatial layers by what is alive, temporal layers frame by frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from media.rtp.numbers import ts_diff

ALL_TEMPORAL = 3  # VP8's TID has two bits
KEY_FRAMES = -1  # in the place of a temporal layer: key frames and nothing between them
_LEAST_STEP_S = 0.001  # between the last frame of one layer and the first of the next
_MOST_DISAGREEMENT_S = 3.0  # of sender reports with arrival; beyond it the reports are not believed


def choose_layer(alive: Sequence[bool], preferred: int) -> int | None:
    """The highest live layer up to the preferred one, else the lowest live one above; None: all are dead."""
    live = [index for index, is_alive in enumerate(alive) if is_alive]
    below = [index for index in live if index <= preferred]
    if below:
        return below[-1]
    return live[0] if live else None


class FrameView(Protocol):
    """What the temporal filter needs to see of a packet."""

    timestamp: int
    temporal_layer: int
    layer_sync: bool
    keyframe: bool
    starts_frame: bool


class TemporalFilter:
    """Drops frames above a temporal layer; goes up only where the encoder allows it (RFC 7741, Y bit).

    It is shown packets in order only; late ones follow what was decided for their frame. Below the lowest
    temporal layer there is `KEY_FRAMES`, for streams that have no other.
    """

    __slots__ = ("_is_key", "_timestamp", "current", "target")

    def __init__(self) -> None:
        self.target = ALL_TEMPORAL
        self.current = ALL_TEMPORAL
        self._timestamp: int | None = None
        self._is_key = False  # the frame is a key frame

    def restart(self) -> None:
        """A key frame begins another layer: any temporal layer may follow it."""
        self.current = self.target
        self._timestamp = None

    def admits(self, packet: FrameView) -> bool:
        """Whether the packet's frame is forwarded; the answer never changes within a frame."""
        if packet.timestamp != self._timestamp:
            self._timestamp = packet.timestamp
            self._is_key = packet.keyframe
            if self.current != self.target:
                self._move(packet)
        return self._is_key if self.current == KEY_FRAMES else packet.temporal_layer <= self.current

    def _move(self, packet: FrameView) -> None:
        if self.target < self.current or packet.keyframe:
            self.current = self.target
        elif (
            packet.layer_sync
            and packet.starts_frame
            and KEY_FRAMES < self.current < packet.temporal_layer <= self.target
        ):
            self.current = packet.temporal_layer


def continued_timestamp(
    by_reports: int | None, last: int | None, elapsed: float, clock_rate: int, timestamp: int
) -> int:
    """The outgoing timestamp at which another layer (or the stream after a pause) continues.

    :param by_reports: what the layers' sender reports say, None while one is missing.
    :param last: newest timestamp sent, None when nothing was sent.
    :param elapsed: seconds since it was sent.
    :param timestamp: the packet's own, taken over at the very start.
    :returns: always newer than ``last``, whatever the reports say.
    """
    if last is None:
        return timestamp
    by_arrival = (last + round(elapsed * clock_rate)) & 0xFFFFFFFF
    chosen = by_arrival
    if by_reports is not None and abs(ts_diff(by_reports, by_arrival)) < _MOST_DISAGREEMENT_S * clock_rate:
        chosen = by_reports
    least = (last + max(1, round(_LEAST_STEP_S * clock_rate))) & 0xFFFFFFFF
    return chosen if ts_diff(chosen, least) >= 0 else least

"""One incoming stream: a producer's only one, or one of its simulcast layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from media.relay.feedback import Missing, Rate, Reception
from media.relay.history import History
from media.relay.keyframes import KeyFrameRequests
from media.relay.meter import Meter
from media.rtp.clocks import ClockMap
from media.rtp.numbers import Unwrapper

if TYPE_CHECKING:
    from media.relay.plane import Subscription

_PICTURE_BASE = 1 << 16  # keeps unwrapped picture ids positive, whatever order they come in


class Layer:
    """Everything the relay keeps for one incoming SSRC.

    :param index: 0 is the lowest layer.
    :param rid: empty when the layer is not named by one.
    :param asks_again: whether missing packets are asked for (the producer offered NACK).
    """

    __slots__ = (
        "alive",
        "asks_again",
        "clock",
        "clock_rate",
        "duplicates",
        "history",
        "index",
        "keyframes",
        "last_at",
        "meter",
        "missing",
        "picture_bits",
        "pictures",
        "rate",
        "reception",
        "recovered",
        "rid",
        "rtx_padding",
        "rtx_ssrc",
        "sequences",
        "size",
        "ssrc",
        "subscribers",
    )

    def __init__(
        self, index: int, rid: str, ssrc: int | None, rtx_ssrc: int | None, clock_rate: int, asks_again: bool
    ) -> None:
        self.index = index
        self.rid = rid
        self.ssrc = ssrc
        self.rtx_ssrc = rtx_ssrc
        self.clock_rate = clock_rate
        self.asks_again = asks_again
        self.subscribers: tuple[Subscription, ...] = ()  # replaced, never changed: it may be walked
        self.keyframes = KeyFrameRequests()
        self.rate = Rate()
        self.meter = Meter()
        self.alive = False
        self.last_at = 0.0
        self.size: tuple[int, int] | None = None  # of the last key frame, pixels
        self.recovered = self.duplicates = self.rtx_padding = 0
        self.restart()

    def restart(self) -> None:
        """Another stream took this layer's place: nothing of the old numbers holds."""
        self.sequences = Unwrapper(16)
        self.picture_bits = 0
        self.pictures = Unwrapper(15)
        self.clock = ClockMap(self.clock_rate)
        self.reception = Reception(self.clock_rate)
        self.missing = Missing()
        self.history = History()

    def unwrap_picture(self, picture_id: int, bits: int) -> int:
        """The picture id as a number that keeps counting."""
        if bits != self.picture_bits:
            self.picture_bits = bits
            self.pictures = Unwrapper(bits)
        return self.pictures.unwrap(picture_id) + _PICTURE_BASE

    def subscribe(self, subscription: Subscription) -> None:
        if subscription not in self.subscribers:
            self.subscribers = (*self.subscribers, subscription)

    def unsubscribe(self, subscription: Subscription) -> None:
        """The last one to leave takes what was kept for it along."""
        self.subscribers = tuple(one for one in self.subscribers if one is not subscription)
        if not self.subscribers:
            self.keyframes.satisfied()
            self.missing = Missing()
            self.history.clear()

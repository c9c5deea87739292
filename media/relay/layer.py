"""One incoming stream: a producer's only one, or one of its simulcast layers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from media.relay.feedback import PICTURE, VOICE, CountedReception, Missing, Rate, Reception
from media.relay.history import History
from media.relay.keyframes import KeyFrameRequests
from media.relay.meter import FrameCount, Meter
from media.rtp.clocks import ClockMap, ntp_middle
from media.rtp.numbers import Unwrapper

if TYPE_CHECKING:
    from media.relay.subscription import PlainSubscription

_PICTURE_BASE = 1 << 16  # keeps unwrapped picture ids positive, whatever order they come in


class Gaps(Protocol):
    """What is missing of a stream (`media.relay.feedback.Missing`), for who asks for it."""

    @property
    def due(self) -> float:
        """When `take` wants to be called; inf while nothing is missing."""

    @property
    def requested(self) -> int: ...
    @property
    def round_trip(self) -> float: ...
    def take(self, now: float) -> Sequence[int]: ...
    def forgive(self) -> bool: ...


class Layer(ABC):
    """Everything the relay keeps for one incoming SSRC. What packets touch is a plane's.

    :param index: 0 is the lowest layer.
    :param rid: empty when the layer is not named by one.
    :param asks_again: whether missing packets are asked for (the producer offered NACK).
    :param keyed: it begins with a key frame: video. What is asked for of a voice comes as it was, not by RTX.
    """

    __slots__ = ("asks_again", "clock_rate", "index", "keyed", "keyframes", "rid")

    def __init__(self, index: int, rid: str, clock_rate: int, asks_again: bool, keyed: bool) -> None:
        self.index = index
        self.rid = rid
        self.clock_rate = clock_rate
        self.asks_again = asks_again
        self.keyed = keyed
        self.keyframes = KeyFrameRequests()

    @property
    @abstractmethod
    def ssrc(self) -> int | None: ...
    @property
    @abstractmethod
    def rtx_ssrc(self) -> int | None: ...
    @property
    @abstractmethod
    def alive(self) -> bool:
        """Packets come; set by the producer."""

    @property
    @abstractmethod
    def last_at(self) -> float:
        """When the last packet came, monotonic seconds."""

    @property
    @abstractmethod
    def size(self) -> tuple[int, int] | None:
        """Of the last key frame, pixels."""

    @property
    @abstractmethod
    def recovered(self) -> int:
        """Packets that were missing and came when asked for."""

    @property
    @abstractmethod
    def probes(self) -> int:
        """RTX packets that brought nothing: padding, and what was there already."""

    @property
    @abstractmethod
    def clock(self) -> ClockMap: ...
    @property
    @abstractmethod
    def meter(self) -> Meter: ...
    @property
    def octets(self) -> int:
        """That came since it began, counted as `reception` does."""
        return self.reception.counts.octets

    @property
    @abstractmethod
    def reception(self) -> Reception:
        """Another object when another stream took the layer's place."""

    @property
    @abstractmethod
    def bits_per_second(self) -> int:
        """That came, between the last two reports."""

    @property
    @abstractmethod
    def missing(self) -> Gaps: ...
    @abstractmethod
    def set_alive(self, alive: bool) -> None: ...
    @abstractmethod
    def learn_clock(self, ntp: int, rtp_timestamp: int, now: float) -> None:
        """A sender report came."""

    @abstractmethod
    def bind(self, ssrc: int, is_rtx: bool) -> None:
        """Its packets have this SSRC."""

    @abstractmethod
    def replaced(self, now: float) -> None:
        """Another stream stands behind the layer: its consumers begin again at a key frame."""


class PlainLayer(Layer):
    """A layer of the plain plane."""

    __slots__ = (
        "alive",
        "clock",
        "duplicates",
        "frames",
        "history",
        "last_at",
        "meter",
        "missing",
        "picture_bits",
        "pictures",
        "rate",
        "reception",
        "recovered",
        "rtx_padding",
        "rtx_ssrc",
        "sequences",
        "size",
        "ssrc",
        "subscribers",
    )
    ssrc: int | None
    rtx_ssrc: int | None
    alive: bool
    last_at: float
    size: tuple[int, int] | None
    recovered: int
    clock: ClockMap
    meter: Meter
    reception: CountedReception
    missing: Missing

    def __init__(
        self,
        index: int,
        rid: str,
        ssrc: int | None,
        rtx_ssrc: int | None,
        clock_rate: int,
        asks_again: bool,
        keyed: bool,
    ) -> None:
        super().__init__(index, rid, clock_rate, asks_again, keyed)
        self.ssrc = ssrc
        self.rtx_ssrc = rtx_ssrc
        self.subscribers: tuple[PlainSubscription, ...] = ()  # replaced, never changed: it may be walked
        self.rate = Rate()
        self.frames = FrameCount()
        self.meter = Meter(self.frames)
        self.alive = False
        self.last_at = 0.0
        self.size = None
        self.recovered = self.duplicates = self.rtx_padding = 0
        self.restart()

    def restart(self) -> None:
        """Another stream took this layer's place: nothing of the old numbers holds."""
        self.sequences = Unwrapper(16)
        self.picture_bits = 0
        self.pictures = Unwrapper(15)
        self.clock = ClockMap(self.clock_rate)
        self.reception = CountedReception(self.clock_rate)
        self.missing = self._nothing_missing()
        self.history = History()

    @property
    def probes(self) -> int:
        return self.rtx_padding + self.duplicates

    @property
    def bits_per_second(self) -> int:
        return self.rate.bits_per_second

    def set_alive(self, alive: bool) -> None:
        self.alive = alive

    def learn_clock(self, ntp: int, rtp_timestamp: int, now: float) -> None:
        self.clock.update(ntp, rtp_timestamp, now)
        self.reception.sender_report(ntp_middle(ntp), now)

    def bind(self, ssrc: int, is_rtx: bool) -> None:
        if is_rtx:
            self.rtx_ssrc = ssrc
        else:
            self.ssrc = ssrc

    def replaced(self, now: float) -> None:
        self.restart()
        for subscription in self.subscribers:
            if subscription.timeline is self:
                subscription.timeline = None
            if subscription.current is self:
                subscription.current = None
                if subscription.target is not self:
                    self.unsubscribe(subscription)  # it was about to leave, and waits for another one
                    continue
            if self.keyed:
                self.keyframes.want(now)

    def unwrap_picture(self, picture_id: int, bits: int) -> int:
        """The picture id as a number that keeps counting."""
        if bits != self.picture_bits:
            self.picture_bits = bits
            self.pictures = Unwrapper(bits)
        return self.pictures.unwrap(picture_id) + _PICTURE_BASE

    def subscribe(self, subscription: PlainSubscription) -> None:
        if subscription not in self.subscribers:
            self.subscribers = (*self.subscribers, subscription)

    def unsubscribe(self, subscription: PlainSubscription) -> None:
        """The last one to leave takes what was kept for it along."""
        self.subscribers = tuple(one for one in self.subscribers if one is not subscription)
        if not self.subscribers:
            self.keyframes.satisfied()
            self.missing = self._nothing_missing()
            self.history.clear()

    def _nothing_missing(self) -> Missing:
        return Missing(PICTURE if self.keyed else VOICE)

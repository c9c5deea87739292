"""One consumer as the plane sees it: from which layer, with which numbers, to which outlet."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from media.limits import VOICE_SENT_PACKETS, WITHOUT_REPORTS_S
from media.relay import again
from media.relay.feedback import Rate
from media.relay.history import RetransmissionBudget
from media.relay.layer import Layer, PlainLayer
from media.relay.pacer import CAMERA, Pacer, Waiting
from media.relay.reports import Answers
from media.relay.rewrite import Egress
from media.rtp import rtcp
from media.rtp.clocks import ntp_add, ntp_from_unix


@dataclass(frozen=True, slots=True)
class SubscriptionValues:
    """What was negotiated for one consumer.

    :param numbered: id under which the receiver knows transport-wide numbers, 0 = it does not.
    :param waits: False for voices: they leave at once, whatever the pace.
    :param priority: class of what waits (`media.relay.pacer`).
    :param removed_extensions: the router's ids this receiver does not know.
    :param plain_type: of redundant audio the newest block alone goes, as this payload type; -1 = as it came.
    :param rtx: (payload type, ssrc, first sequence number) for retransmissions, None without RTX.
    :param voice: without RTX: the packets themselves go again when they are asked for.
    :param cname: whose the stream is, told with each report of it.
    """

    ssrc: int
    first_sequence: int
    clock_rate: int
    numbered: int = 0
    waits: bool = True
    priority: int = CAMERA
    removed_extensions: frozenset[int] = frozenset()
    plain_type: int = -1
    rtx: tuple[int, int, int] | None = None
    voice: bool = False
    cname: str = ""


@dataclass(frozen=True, slots=True)
class SubscriptionEvents:
    """What a subscription tells whoever made it.

    :param switched: another layer is forwarded from now on; told at reports, too, if only a temporal one is.
    :param starved: frames were left out, so that a key frame is needed.
    """

    switched: Callable[[], None]
    starved: Callable[[], None]


class Progress(NamedTuple):
    """How far a subscription is: its properties, all of one moment."""

    current: Layer | None
    temporal: int
    timestamp_delta: int
    last_timestamp: int | None
    last_sent_at: float
    packets: int
    octets: int
    started_at: float | None


class Answered(NamedTuple):
    """What the receiver's reports say of a stream; None before they do."""

    block: rtcp.ReportBlock | None
    round_trip: float | None  # seconds


class Subscription(ABC):
    """One consumer's numbers and layers. What packets touch is a plane's."""

    __slots__ = ("clock_rate",)

    def __init__(self, clock_rate: int) -> None:
        self.clock_rate = clock_rate

    @property
    @abstractmethod
    def current(self) -> Layer | None:
        """Forwarded now."""

    @property
    @abstractmethod
    def target(self) -> Layer | None:
        """Forwarded from its next key frame on."""

    @property
    @abstractmethod
    def temporal(self) -> int:
        """Highest temporal layer that is sent now (`media.relay.layers`)."""

    @property
    @abstractmethod
    def started_at(self) -> float | None: ...
    @property
    @abstractmethod
    def timestamp_delta(self) -> int:
        """Outgoing less incoming timestamp, modulo 2**32."""

    @property
    @abstractmethod
    def last_timestamp(self) -> int | None:
        """Newest outgoing; None before the first packet."""

    @property
    @abstractmethod
    def last_sent_at(self) -> float: ...
    @property
    @abstractmethod
    def packets(self) -> int: ...
    @property
    @abstractmethod
    def octets(self) -> int:
        """Of payload."""

    @property
    @abstractmethod
    def retransmitted(self) -> int: ...
    @property
    @abstractmethod
    def refused(self) -> int:
        """Packets the transport would not take."""

    @property
    @abstractmethod
    def begun(self) -> bool:
        """The key frame of the target has come, and waits for the pace."""

    @property
    def progress(self) -> Progress:
        return Progress(
            self.current,
            self.temporal,
            self.timestamp_delta,
            self.last_timestamp,
            self.last_sent_at,
            self.packets,
            self.octets,
            self.started_at,
        )

    @property
    def waiting(self) -> bool:
        """A key frame of the target is needed."""
        target = self.target
        return target is not None and self.current is not target and not self.begun

    def clock_now(self, now: float, wall: float) -> tuple[int, int] | None:
        """The publisher's clock carried over to our timestamps, so that lips match voices.

        :param wall: what time it is by our own clock, for a publisher that does not say.
        :returns: an NTP time and the timestamp of that moment; None when nothing can be said.
        """
        progress = self.progress
        layer, last, started_at = progress.current, progress.last_timestamp, progress.started_at
        if layer is None or last is None or started_at is None:
            return None
        clock = layer.clock
        if clock.received_at is not None:
            elapsed = now - clock.received_at
            timestamp = clock.rtp_timestamp + round(elapsed * layer.clock_rate) + progress.timestamp_delta
            return ntp_add(clock.ntp, elapsed), timestamp & 0xFFFFFFFF
        if now - started_at > WITHOUT_REPORTS_S:
            timestamp = last + round((now - progress.last_sent_at) * layer.clock_rate)
            return ntp_from_unix(wall), timestamp & 0xFFFFFFFF
        return None

    @abstractmethod
    def aim(self, target: Layer) -> None:
        """Another layer is wanted from its next key frame on; the one that is sent goes on until then."""

    @abstractmethod
    def leave(self) -> None:
        """Nothing is wanted any more."""

    @abstractmethod
    def close(self) -> None:
        """Leave, and forget what waits. Idempotent."""

    @abstractmethod
    def aim_temporal(self, target: int) -> None:
        """At most this temporal layer is wanted."""

    @abstractmethod
    def prioritize(self, priority: int) -> None:
        """What waits from now on stands in this class."""

    @property
    @abstractmethod
    def answered(self) -> Answered: ...
    @abstractmethod
    def answer(self, block: rtcp.ReportBlock, now: float) -> None:
        """The receiver says how the stream came."""

    @property
    @abstractmethod
    def bits_per_second(self) -> int:
        """Sent, between the last two reports."""

    @abstractmethod
    def retransmit(self, sequences: Iterable[int], now: float) -> int:
        """The receiver misses these; returns how many can be sent again."""


class PlainOutlet(Protocol):
    """Where finished packets go: a transport's way out, or a tap."""

    @property
    def gate(self) -> Pacer:
        """Says when a packet may leave."""

    def send(self, packet: bytearray, number_at: int, now: float) -> bool:
        """Send at once; False when it was dropped. The buffer is the caller's again afterwards.

        ``number_at`` is where a transport-wide number is to be written, -1 for none.
        """

    def repeat(self, packet: bytes, number_at: int, now: float) -> bool:
        """Send once more, byte for byte, what `send` took before; arguments as there."""

    def hold(self, item: Waiting, now: float) -> None:
        """Keep a packet that may not leave yet; `plane.deliver` or `again.resend` is called when it may."""


class Outlet(Protocol):
    """What a consumer needs of where its packets go."""

    def subscribe(
        self, layers: Sequence[Layer], values: SubscriptionValues, events: SubscriptionEvents
    ) -> Subscription:
        """Make a subscription to one of a producer's layers; it begins with `Subscription.aim`."""


class PlainSubscription(Subscription):
    """A subscription of the plain plane."""

    __slots__ = (
        "_answers",
        "_rate",
        "budget",
        "cname",
        "current",
        "egress",
        "gate",
        "held",
        "hold",
        "layers",
        "numbered",
        "priority",
        "refused",
        "repeat",
        "retransmitted",
        "rtx_payload_type",
        "rtx_sequence",
        "rtx_ssrc",
        "send",
        "started_at",
        "starting",
        "starved",
        "switched",
        "target",
        "timeline",
        "voice",
        "waits",
    )
    current: PlainLayer | None
    target: PlainLayer | None
    started_at: float | None
    retransmitted: int
    refused: int

    def __init__(
        self,
        outlet: PlainOutlet,
        layers: Sequence[Layer],
        values: SubscriptionValues,
        events: SubscriptionEvents,
    ) -> None:
        super().__init__(values.clock_rate)
        self.layers = [layer for layer in layers if isinstance(layer, PlainLayer)]  # all: of one plane
        self.egress = Egress(
            values.ssrc,
            values.first_sequence,
            values.rtx is not None,
            values.removed_extensions,
            values.plain_type,
        )
        self.gate = outlet.gate
        self.send = outlet.send
        self.hold = outlet.hold
        self.repeat = outlet.repeat
        self.switched = events.switched
        self.cname = values.cname
        self._answers = Answers()
        self._rate = Rate()
        self.starved = events.starved
        self.numbered = values.numbered
        self.waits = values.waits
        self.priority = values.priority
        self.held = 0  # packets that wait
        self.starting = -1  # timestamp of the key frame it began with, or will once that may leave
        self.rtx_payload_type, self.rtx_ssrc, self.rtx_sequence = values.rtx or (-1, -1, 0)
        self.voice: again.Spoken | None = [None] * VOICE_SENT_PACKETS if values.voice else None
        self.budget = RetransmissionBudget()
        self.current = None
        self.target = None
        self.timeline: PlainLayer | None = None  # whose clock the timestamp delta refers to
        self.started_at = None
        self.retransmitted = 0
        self.refused = 0

    @property
    def temporal(self) -> int:
        return self.egress.temporal.current

    @property
    def timestamp_delta(self) -> int:
        return self.egress.timestamp_delta

    @property
    def last_timestamp(self) -> int | None:
        return self.egress.last_timestamp

    @property
    def last_sent_at(self) -> float:
        return self.egress.last_sent_at

    @property
    def packets(self) -> int:
        return self.egress.packets

    @property
    def octets(self) -> int:
        return self.egress.octets

    @property
    def begun(self) -> bool:
        return self.current is None and self.starting >= 0

    def aim(self, target: Layer) -> None:
        assert isinstance(target, PlainLayer)  # one plane makes all of a router's tables
        before = self.target
        self.target = target
        if before is not None and before is not target and before is not self.current:
            before.unsubscribe(self)
            if self.begun:  # with another layer
                self.gate.leave_out(self)
                self.starting = -1
        target.subscribe(self)

    def begin(self, timestamp: int) -> None:
        """The target's key frame has to wait: nothing older is of use, and it goes first."""
        self.gate.leave_out(self)
        current, self.current = self.current, None
        if current is not None:
            current.unsubscribe(self)
        self.starting = timestamp

    def leave(self) -> None:
        self.gate.leave_out(self)
        self.starting = -1
        for layer in {self.current, self.target} - {None}:
            if layer is not None:
                layer.unsubscribe(self)
        self.current = self.target = None

    def close(self) -> None:
        self.leave()
        self.gate.forget(self)

    def aim_temporal(self, target: int) -> None:
        self.egress.temporal.target = target

    def prioritize(self, priority: int) -> None:
        self.priority = priority

    def retransmit(self, sequences: Iterable[int], now: float) -> int:
        return again.retransmit(self, sequences, now)

    @property
    def answered(self) -> Answered:
        return Answered(self._answers.block, self._answers.round_trip)

    def answer(self, block: rtcp.ReportBlock, now: float) -> None:
        self._answers.received(block, now)

    @property
    def bits_per_second(self) -> int:
        return self._rate.bits_per_second

    def report(self, now: float, wall: float) -> rtcp.SenderReport | None:
        """To be called once in a report interval; None when nothing can be said."""
        self._rate.read(self.octets, now)
        self.switched()
        clock = self.clock_now(now, wall)
        if clock is None:
            return None
        self._answers.sent(clock[0], now)
        counts = self.packets & 0xFFFFFFFF, self.octets & 0xFFFFFFFF
        return rtcp.SenderReport(self.egress.ssrc, *clock, *counts)

    def cut(self) -> None:
        """Frames were left out before they had numbers: go on with the next key frame."""
        current = self.current
        target = self.target = self.target or current
        if current is not None and current is not target:
            current.unsubscribe(self)
        self.current = None
        self.starting = -1
        self.starved()

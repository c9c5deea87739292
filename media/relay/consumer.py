"""A consumer: a producer's track on its way to one receiver."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Protocol

from media.ortc import RtpParameters
from media.ortc.capabilities import TRANSPORT_CC
from media.relay.allocation import Decision, State
from media.relay.layers import ALL_TEMPORAL, KEY_FRAMES, choose_layer
from media.relay.pacer import CAMERA, SCREEN, ULTRASOUND
from media.relay.producer import STILL_SOURCES, Producer
from media.relay.subscription import Outlet, Progress, SubscriptionEvents, SubscriptionValues

if TYPE_CHECKING:
    from media.relay.layer import Layer

logger = logging.getLogger(__name__)

_PRIORITIES = {"ultrasound": ULTRASOUND, "screen": SCREEN}


class ConsumerOwner(Protocol):
    """What a consumer needs of the transport, or the tap, it lives on."""

    @property
    def connected(self) -> bool: ...
    def now(self) -> float: ...
    def wall(self) -> float: ...
    @property
    def outlet(self) -> Outlet: ...
    def consumer_closed(self, consumer: Consumer) -> None: ...
    def consumer_aimed(self, consumer: Consumer) -> None:
        """It is wanted or not, or there are other layers, or other wishes."""

    def consumer_paused(self, consumer: Consumer, paused_by_producer: bool) -> None: ...
    def consumer_layers(self, consumer: Consumer, spatial: int, temporal: int) -> None: ...


class Consumer:
    """Made by `WebRtcTransport.consume` or `Router.tap`."""

    def __init__(
        self,
        identifier: str,
        owner: ConsumerOwner,
        producer: Producer,
        parameters: RtpParameters,
        paused: bool,
        first_sequences: tuple[int, int],
    ) -> None:
        encoding = parameters.encodings[0]
        if encoding.ssrc is None:
            raise ValueError("a consumer's encoding has an ssrc")
        rtx_codec = next((codec for codec in parameters.codecs if codec.is_rtx), None)
        rtx = None
        if rtx_codec and rtx_codec.payload_type is not None and encoding.rtx_ssrc is not None:
            rtx = (rtx_codec.payload_type, encoding.rtx_ssrc, first_sequences[1])
        known = {extension.id for extension in parameters.header_extensions}
        removed = frozenset(e.id for e in producer.consumable.header_extensions) - known
        unpacks = producer.consumable.red_codec is not None and parameters.red_codec is None
        plain_type = parameters.media_codec.payload_type if unpacks else None
        self.id = identifier
        self.producer = producer
        self.parameters = parameters
        self.ssrc = encoding.ssrc
        self.paused = paused
        self.closed = False
        values = SubscriptionValues(
            ssrc=self.ssrc,
            first_sequence=first_sequences[0],
            clock_rate=producer.codec.clock_rate,
            numbered=next((e.id for e in parameters.header_extensions if e.uri == TRANSPORT_CC), 0),
            waits=producer.kind == "video",
            priority=_PRIORITIES.get(producer.source, CAMERA),
            removed_extensions=removed,
            plain_type=-1 if plain_type is None else plain_type,
            rtx=rtx,
            voice=producer.kind == "audio" and any(f.type == "nack" for f in parameters.media_codec.feedback),
            cname=parameters.cname,
        )
        self.subscription = owner.outlet.subscribe(
            producer.layers, values, SubscriptionEvents(self._switched, self.request_key_frame)
        )
        self._owner = owner
        self._preferred = len(producer.layers) - 1
        self._preferred_temporal = ALL_TEMPORAL
        self.allotted: State = "full"  # of the receiver's bandwidth, by the allocator
        self._most = self._preferred  # spatial layer within the allotment
        self._most_temporal = ALL_TEMPORAL
        self._nacks = self._plis = 0
        self._told_layers: tuple[int, int] | None = None

    # -- what the owner of the consumer may do -------------------------------------------------------------

    @property
    def producer_id(self) -> str:
        return self.producer.id

    @property
    def kind(self) -> str:
        return self.producer.kind

    @property
    def type(self) -> str:
        return self.producer.type

    @property
    def producer_paused(self) -> bool:
        return self.producer.paused

    @property
    def rtp_parameters(self) -> dict[str, Any]:
        return self.parameters.as_json()

    def as_json(self) -> dict[str, Any]:
        """What mediasoup-client's ``consume`` wants, and the source."""
        return {
            "id": self.id,
            "producerId": self.producer.id,
            "kind": self.kind,
            "type": self.type,
            "rtpParameters": self.rtp_parameters,
            "paused": self.paused,
            "producerPaused": self.producer_paused,
            "source": self.producer.source,
            "allotted": self.allotted,
        }

    def pause(self) -> None:
        """Send nothing any more. Idempotent."""
        self.paused = True
        self.choose_layer(self._owner.now())

    def resume(self) -> None:
        """Send again, video from the next key frame on, which is asked for. Idempotent."""
        self.paused = False
        self.choose_layer(self._owner.now())

    def close(self) -> None:
        """Idempotent."""
        if self.closed:
            return
        self.closed = True
        self.subscription.close()
        self.producer.consumers.pop(self.id, None)
        self._owner.consumer_closed(self)
        logger.info("consumer %s closed", self.id)

    def set_preferred_layers(self, spatial: int, temporal: int | None = None) -> None:
        """At most these layers are sent; values beyond what there is mean all.

        A screen or an ultrasound is never reduced: the wish is then without effect.
        """
        if self.producer.source in STILL_SOURCES:
            return
        self._preferred = max(0, min(spatial, len(self.producer.layers) - 1))
        wanted = ALL_TEMPORAL if temporal is None else temporal
        self._preferred_temporal = max(0, min(wanted, ALL_TEMPORAL))
        self._aim_temporal()
        self.choose_layer(self._owner.now())

    def request_key_frame(self) -> None:
        """Ask the publisher for a key frame of what is (or is going to be) sent here."""
        layer = self.subscription.target or self.subscription.current
        if layer is not None:
            self.producer.want_keyframe(layer, self._owner.now())

    # -- what the allocator decides ------------------------------------------------------------------------

    @property
    def wanted(self) -> bool:
        """The receiver wants it and the publisher sends it: bandwidth is to be found for it."""
        return not (self.closed or self.paused or self.producer.paused) and self._owner.connected

    @property
    def preferred_layers(self) -> tuple[int, int]:
        """(spatial, temporal) that the receiver wants at most."""
        return self._preferred, self._preferred_temporal

    def allot(self, decision: Decision) -> bool:
        """Send what the receiver's line has room for; True when that is another state or another step.

        A paused track comes back with its next key frame, which is asked for.
        """
        step, before = decision.step, (self.allotted, self._most, self._most_temporal)
        self.allotted = decision.state
        if step is None or decision.state == "full":
            self._most, self._most_temporal = len(self.producer.layers) - 1, ALL_TEMPORAL
        else:
            self._most, self._most_temporal = step.spatial, step.temporal
        if (self.allotted, self._most, self._most_temporal) == before:
            return False
        self._aim_temporal()
        self.choose_layer(self._owner.now())
        return True

    def _aim_temporal(self) -> None:
        target = min(self._preferred_temporal, self._most_temporal)
        self.subscription.aim_temporal(target)
        if self.subscription.temporal == KEY_FRAMES < target:
            self.request_key_frame()

    # -- what the producer and the owner tell it -----------------------------------------------------------

    def choose_layer(self, now: float) -> None:
        """Something changed: whether to send, and which layer."""
        subscription = self.subscription
        self._owner.consumer_aimed(self)
        if not self.wanted or self.allotted == "paused":
            subscription.leave()
            return
        layers = self.producer.layers
        preferred = min(self._preferred, self._most)
        index = choose_layer([layer.alive for layer in layers], preferred)
        silent = index is None  # all of them: stay where we are, or wait at the best
        best = layers[preferred if index is None else index]
        self._aim(subscription.target or best if silent else best, now)

    def _aim(self, target: Layer, now: float) -> None:
        self.subscription.aim(target)
        if self.subscription.waiting:
            self.producer.want_keyframe(target, now)

    def producer_pause_changed(self) -> None:
        """The publisher paused or resumed."""
        self.choose_layer(self._owner.now())
        self._owner.consumer_paused(self, self.producer.paused)

    @property
    def current_layers(self) -> tuple[int, int] | None:
        """(spatial, temporal) sent at present; None when nothing is."""
        return self._layers_of(self.subscription.progress)

    def _layers_of(self, progress: Progress) -> tuple[int, int] | None:
        if progress.current is None:
            return None
        return progress.current.index, max(0, min(progress.temporal, self.producer.temporal_layers - 1))

    def _switched(self) -> None:
        self._tell_layers(self.subscription.progress)

    def _tell_layers(self, progress: Progress) -> None:
        """Tell of another layer, once; a temporal one moves inside the plane and is noticed later."""
        if self.kind == "audio":
            return
        layers = self._layers_of(progress)
        has_choice = len(self.producer.layers) > 1 or self.producer.temporal_layers > 1
        if has_choice and layers is not None and layers != self._told_layers:
            self._told_layers = layers
            self._owner.consumer_layers(self, *layers)

    # -- feedback ------------------------------------------------------------------------------------------

    def nack_received(self, sequences: tuple[int, ...], now: float) -> None:
        """The receiver misses packets."""
        self._nacks += 1
        self.subscription.retransmit(sequences, now)

    def keyframe_requested(self, now: float) -> None:
        """PLI or FIR of the receiver."""
        self._plis += 1
        layer = self.subscription.current or self.subscription.target
        if layer is not None and not self.subscription.begun:
            self.producer.want_keyframe(layer, now)

    @property
    def round_trip_s(self) -> float | None:
        return self.subscription.answered.round_trip

    @property
    def jitter_s(self) -> float:
        """As the receiver measured it."""
        block = self.subscription.answered.block
        return block.jitter / self.subscription.clock_rate if block else 0.0

    @property
    def received_until(self) -> tuple[int, int]:
        """(lost so far, highest sequence number) by the receiver's last report; zeros before the first."""
        block = self.subscription.answered.block
        return (block.cumulative_lost, block.highest_sequence) if block else (0, 0)

    def clock_now(self, now: float) -> tuple[int, int] | None:
        """An NTP time and its timestamp, by the publisher's clock; None while that is not known."""
        return self.subscription.clock_now(now, self._owner.wall())

    def stats(self) -> dict[str, Any]:
        """Counters since the start; times in seconds, rates in bits per second."""
        subscription = self.subscription
        block, round_trip = subscription.answered
        layers = self.current_layers
        return {
            "id": self.id,
            "producerId": self.producer.id,
            "kind": self.kind,
            "source": self.producer.source,
            "type": self.type,
            "paused": self.paused,
            "packets": subscription.packets,
            "bytes": subscription.octets,
            "bitrate": subscription.bits_per_second,
            "lost": block.cumulative_lost if block else 0,
            "fractionLost": block.fraction_lost / 256 if block else 0.0,
            "jitter": block.jitter / subscription.clock_rate if block else None,
            "roundTrip": round_trip,
            "nacks": self._nacks,
            "retransmitted": subscription.retransmitted,
            "refused": subscription.refused,
            "plis": self._plis,
            "allotted": self.allotted,
            "spatialLayer": layers[0] if layers else None,
            "temporalLayer": layers[1] if layers else None,
        }

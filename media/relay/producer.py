"""A producer: a track that comes in, with one layer or several."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING, Any, Protocol

from media.limits import LAYER_BEHIND_S, LAYER_SILENT_S, STILL_LAYER_SILENT_S
from media.ortc import Codec, ProducerMapping, RtpParameters
from media.ortc.capabilities import ABS_SEND_TIME, AUDIO_LEVEL, MID, REPAIRED_RID, RID, TRANSPORT_CC
from media.relay import plane
from media.relay.layer import Layer, PlainLayer
from media.relay.rewrite import Ingress
from media.relay.speaker import LOUDEST
from media.rtp import rtcp
from media.rtp.packet import RtpHeader, find_extension

if TYPE_CHECKING:
    from media.relay.consumer import Consumer
    from media.relay.lane import Lane

logger = logging.getLogger(__name__)

STILL_SOURCES = frozenset({"screen", "ultrasound"})
"""Never treated as a camera: may stand still, and are not reduced."""


class ProducerOwner(Protocol):
    """What a producer needs of the transport it lives on."""

    local_ssrc: int

    @property
    def lane(self) -> Lane: ...
    def now(self) -> float: ...
    def send_feedback(self, packet: rtcp.RtcpPacket) -> bool: ...
    def wake(self, due: float) -> None: ...
    def levels_heard(self, producer: Producer, levels: bytes, first_at: float, last_at: float) -> None: ...
    def producer_paused(self, producer: Producer) -> None: ...
    def producer_closed(self, producer: Producer) -> None: ...


class Producer:
    """Made by `WebRtcTransport.produce`. Closing it closes its consumers.

    :param source: ``microphone``, ``camera``, ``screen`` or ``ultrasound``.
    """

    def __init__(
        self,
        identifier: str,
        owner: ProducerOwner,
        parameters: RtpParameters,
        consumable: RtpParameters,
        mapping: ProducerMapping,
        source: str,
        paused: bool,
        label: str,
    ) -> None:
        media = parameters.media_codec
        self.id = identifier
        self.kind = media.kind
        self.type = "simulcast" if len(parameters.encodings) > 1 else "simple"
        self.source = source
        self.label = label
        self.paused = paused
        self.closed = False
        self.parameters = parameters
        self.consumable = consumable
        self.codec = consumable.media_codec
        self.consumers: dict[str, Consumer] = {}
        self.plis_sent = 0
        self.due = inf
        self.ingress = _ingress(parameters, consumable, mapping)
        self.mid = parameters.mid.encode()
        self.mid_id, self.rid_id, self.repaired_rid_id = _ids(parameters, MID, RID, REPAIRED_RID)
        asks_again = any(f.type == "nack" and not f.parameter for f in media.feedback)
        self.layers = owner.lane.layers(self, asks_again)
        self._declared = max(encoding.temporal_layers for encoding in parameters.encodings)
        self._holding = False  # key frames are wanted but not yet asked for
        self._owner = owner
        self._silence = STILL_LAYER_SILENT_S if source in STILL_SOURCES else LAYER_SILENT_S

    @property
    def owner(self) -> ProducerOwner:
        """The transport it came by; tracks of one owner are of one participant."""
        return self._owner

    @property
    def temporal_layers(self) -> int:
        """As declared, or as seen in the packets where that is more."""
        return max(self._declared, *(layer.meter.temporal_layers for layer in self.layers))

    @property
    def rtp_parameters(self) -> dict[str, Any]:
        """What the publisher sends, as mediasoup's JSON."""
        return self.parameters.as_json()

    def pause(self) -> None:
        """Forward nothing any more. Idempotent."""
        if not self.paused and not self.closed:
            self.paused = True
            self._pause_changed()

    def resume(self) -> None:
        """Forward again, video from its next key frame on. Idempotent."""
        if self.paused and not self.closed:
            self.paused = False
            self._pause_changed()

    def _pause_changed(self) -> None:
        self._owner.lane.pause_changed(self)
        for consumer in list(self.consumers.values()):
            consumer.producer_pause_changed()
        if self.paused:
            self._owner.producer_paused(self)

    def close(self) -> None:
        """Close, and the consumers before it. Idempotent."""
        if self.closed:
            return
        self.closed = True
        for consumer in list(self.consumers.values()):
            consumer.close()
        self._owner.producer_closed(self)
        logger.info("producer %s closed", self.id)

    # -- packets -------------------------------------------------------------------------------------------

    def receive(self, layer: Layer, is_rtx: bool, data: bytearray, header: RtpHeader, now: float) -> None:
        """Take one packet of one of the layers, on the plain plane. While paused it is only counted.

        :raises RemoteProtocolError: malformed.
        """
        assert isinstance(layer, PlainLayer)
        planned = layer.keyframes.due
        if not is_rtx:
            layer.last_at = now
            if not layer.alive:
                self.layer_woke(layer, now)
            if self.ingress.level_id and not self.paused:
                self._read_level(data, header, now)
        try:
            if is_rtx:
                plane.receive_rtx(layer, self.ingress, data, header, now)
            else:
                plane.receive(layer, self.ingress, data, header, now)
        finally:
            wished = planned != layer.keyframes.due <= now
            if wished or layer.missing.due <= now or layer.missing.lost_for_good:
                self.serve(layer, now)
            elif layer.missing.due < self.due or layer.keyframes.due < self.due:
                self.wake()

    def serve(self, layer: Layer, now: float) -> None:
        """Ask for missing packets and key frames of a layer, where it is time."""
        self._serve(layer, now)
        self._owner.wake(self._next_due())

    def serve_wish(self, layer: Layer, planned: float, now: float) -> None:
        """Ask for a key frame if one was wished for since ``planned`` was due; repeating is the timer's."""
        if planned != layer.keyframes.due <= now:
            self.serve(layer, now)
        elif layer.keyframes.due < self.due:
            self.wake()

    def _read_level(self, data: bytearray, header: RtpHeader, now: float) -> None:
        """RFC 6464: the low seven bits are -dBov, so 127 is silence."""
        at = find_extension(data, header, self.ingress.level_id, 1)
        if at >= 0:
            self.levels_heard(bytes((LOUDEST - (data[at] & 0x7F),)), now, now)

    def levels_heard(self, levels: bytes, first_at: float, last_at: float) -> None:
        """A microphone's levels, 0 (silence) to `LOUDEST`, the newest last; when first and last came."""
        self._owner.levels_heard(self, levels, first_at, last_at)

    def layer_woke(self, layer: Layer, now: float) -> None:
        """Consumers may want this layer now; the packet that woke it is often the key frame they need."""
        layer.set_alive(True)
        self._holding = True
        self._choose_layers(now)
        self._holding = False
        self.wake()

    def _choose_layers(self, now: float) -> None:
        for consumer in list(self.consumers.values()):
            consumer.choose_layer(now)

    def sender_report(self, layer: Layer, report: rtcp.SenderReport, now: float) -> None:
        """What the publisher says of its clock."""
        layer.learn_clock(report.ntp, report.rtp_timestamp, now)

    def want_keyframe(self, layer: Layer, now: float) -> None:
        """A consumer needs a key frame of ``layer``; merged and throttled with the others' wishes."""
        if self.kind == "video" and not self.paused and not self.closed:
            layer.keyframes.want(now)
            if not self._holding:
                self._serve(layer, now)
                self.wake()

    # -- time ----------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Something is due earlier than thought."""
        self._owner.wake(self._next_due())

    def tick(self, now: float) -> None:
        """Do what is due, and plan the next time (`due`, monotonic seconds)."""
        if now >= self.due:
            for layer in self.layers:
                self._serve(layer, now)
            self._bury_silent_layers(now)
        self._next_due()

    def _bury_silent_layers(self, now: float) -> None:
        self._bury([la for la in self.layers if la.alive and now - la.last_at >= self._silence], now)

    @property
    def may_leave_layers(self) -> bool:
        """Several layers of a camera live: its publisher may leave one out."""
        if len(self.layers) == 1 or self.source in STILL_SOURCES:
            return False
        return sum(layer.alive for layer in self.layers) > 1

    def bury_layers_behind(self, now: float) -> None:
        """A camera's layer that its publisher leaves out, while it goes on with a lower one, is dead at once.

        Called each `ALLOCATION_INTERVAL_S` while it `may_leave_layers`.
        """
        if not self.may_leave_layers:
            return
        behind, newest = [], -inf
        for layer in self.layers:
            if layer.alive:
                if newest - layer.last_at >= LAYER_BEHIND_S:
                    behind.append(layer)
                newest = max(newest, layer.last_at)
        self._bury(behind, now)

    def _bury(self, layers: Sequence[Layer], now: float) -> None:
        for layer in layers:
            layer.set_alive(False)
        if layers:
            self._choose_layers(now)

    def _serve(self, layer: Layer, now: float) -> None:
        """Ask for missing packets and key frames of one layer, where it is time."""
        if layer.ssrc is None:
            return
        asked = layer.missing.take(now)
        if asked:
            wrapped = tuple(sequence & 0xFFFF for sequence in asked)
            self._owner.send_feedback(rtcp.Nack(self._owner.local_ssrc, layer.ssrc, wrapped))
        if layer.missing.forgive() and layer.keyed:
            layer.keyframes.want(now)
        if layer.keyframes.take(now):
            self.plis_sent += 1
            self._owner.send_feedback(rtcp.PictureLoss(self._owner.local_ssrc, layer.ssrc))

    def _next_due(self) -> float:
        due = inf
        for layer in self.layers:
            if layer.ssrc is not None:
                due = min(due, layer.missing.due, layer.keyframes.due)
            if layer.alive:
                due = min(due, layer.last_at + self._silence)
        self.due = due
        return due

    def stats(self) -> dict[str, Any]:
        """Counters since the start; times in seconds, rates in bits per second."""
        return {
            "id": self.id,
            "kind": self.kind,
            "source": self.source,
            "type": self.type,
            "paused": self.paused,
            "packets": sum(layer.reception.counts.packets for layer in self.layers),
            "bytes": sum(layer.reception.counts.octets for layer in self.layers),
            "lost": sum(layer.reception.counts.lost for layer in self.layers),
            "bitrate": sum(layer.bits_per_second for layer in self.layers),
            "nacks": sum(layer.missing.requested for layer in self.layers),
            "plis": self.plis_sent,
            "layers": [_layer_stats(layer) for layer in self.layers],
        }


def _layer_stats(layer: Layer) -> dict[str, Any]:
    reception = layer.reception.counts
    return {
        "rid": layer.rid,
        "ssrc": layer.ssrc,
        "alive": layer.alive,
        "packets": reception.packets,
        "bytes": reception.octets,
        "lost": reception.lost,
        "recovered": layer.recovered,
        "rtxPadding": layer.probes,
        "bitrate": layer.bits_per_second,
        "jitter": reception.jitter / layer.clock_rate,
        "roundTrip": layer.missing.round_trip if layer.recovered else None,
        "width": layer.size[0] if layer.size else None,
        "height": layer.size[1] if layer.size else None,
    }


def _ids(parameters: RtpParameters, *uris: str) -> tuple[int, ...]:
    """The producer's ids of some extensions; 0, which no element has, when it does not use one."""
    ids = {extension.uri: extension.id for extension in parameters.header_extensions}
    return tuple(ids.get(uri, 0) for uri in uris)


def _ingress(parameters: RtpParameters, consumable: RtpParameters, mapping: ProducerMapping) -> Ingress:
    forwarded = consumable.media_codec
    by_type: dict[int, Codec] = {c.payload_type: c for c in parameters.codecs if c.payload_type is not None}
    red = consumable.red_codec
    red_type = red.payload_type if red is not None and red.payload_type is not None else -1
    kept = (forwarded.payload_type, red_type)
    media = {theirs: ours for theirs, ours in mapping.payload_types.items() if ours in kept}
    rtx: dict[int, int] = {}
    for payload_type, codec in by_type.items():
        apt = codec.parameter("apt")
        if codec.is_rtx and isinstance(apt, int) and apt in media:
            rtx[payload_type] = apt
    sent = {extension.id for extension in consumable.header_extensions}
    extensions = {theirs: ours for theirs, ours in mapping.extension_ids.items() if ours in sent}
    send_time, number = _ids(consumable, ABS_SEND_TIME, TRANSPORT_CC)
    level = _ids(parameters, AUDIO_LEVEL)[0] if forwarded.kind == "audio" else 0
    return Ingress(media, rtx, extensions, send_time, forwarded.name, number, red_type, level)

"""The packet plane: from a layer's unprotected packet to each consumer's, in plain Python.

This is the reference: a compiled plane must give the same bytes. It holds no state of its own; all of it is
in `PlainLayer` (incoming) and `PlainSubscription` (outgoing), and the rule is in `rewrite`.
"""

from __future__ import annotations

from media.limits import MAX_RTX_STEP
from media.relay import again, rewrite, rtx
from media.relay.layer import PlainLayer
from media.relay.layers import continued_timestamp
from media.relay.pacer import Waiting
from media.relay.rewrite import Ingress, MediaPacket
from media.relay.subscription import PlainSubscription
from media.rtp import red, vp8
from media.rtp.packet import RtpHeader, parse_header


def receive(layer: PlainLayer, ingress: Ingress, data: bytearray, header: RtpHeader, now: float) -> None:
    """Take one packet of a layer's media SSRC and forward it to all that want it.

    ``data`` is the plane's from now on.

    :raises RemoteProtocolError: ``malformed_rtp`` or ``malformed_payload``; the packet is counted anyhow.
    """
    sequence = layer.sequences.unwrap(header.sequence)
    if layer.reception.packets and abs(sequence - layer.reception.highest) > MAX_RTX_STEP:
        layer.replaced(now)
        sequence = layer.sequences.unwrap(header.sequence)
    if not layer.keyed and layer.missing.asked(sequence):
        layer.recovered += 1  # as with RTX: reports tell what the line lost, not what was repaired
    else:
        layer.reception.received(sequence, header.timestamp, len(data), now)
    if not layer.subscribers:
        return
    if layer.asks_again:
        layer.missing.arrived(sequence, now, retransmitted=not layer.keyed)
    if header.payload_start == header.payload_end:
        _leave_out(layer, sequence)
    else:
        _forward_new(layer, ingress, data, header, sequence, now)


def receive_rtx(layer: PlainLayer, ingress: Ingress, data: bytearray, header: RtpHeader, now: float) -> None:
    """Take one packet of a layer's RTX SSRC; what is not missing is a probe and goes no further.

    :raises RemoteProtocolError: as `receive`.
    """
    payload_type = ingress.rtx_payload_types.get(header.payload_type)
    if payload_type is None or layer.ssrc is None:
        return
    original = rtx.original_of_rtx(data, header, layer.ssrc, payload_type)
    if original is None:
        layer.rtx_padding += 1
        return
    inner = parse_header(original)
    if not layer.reception.packets or not layer.subscribers:
        return
    sequence = layer.sequences.unwrap(inner.sequence)
    if not layer.missing.arrived(sequence, now, retransmitted=True):
        layer.duplicates += 1
        return
    layer.recovered += 1
    _forward_new(layer, ingress, original, inner, sequence, now)


def _leave_out(layer: PlainLayer, sequence: int) -> None:
    """Padding alone: it took a number, and receivers are not to miss it."""
    for subscription in layer.subscribers:
        if subscription.current is layer:
            subscription.egress.sequences.drop(sequence)


def _forward_new(
    layer: PlainLayer, ingress: Ingress, data: bytearray, header: RtpHeader, sequence: int, now: float
) -> None:
    packet = rewrite.normalize(data, header, ingress, sequence, now)
    if packet is None:
        return
    if packet.picture_id >= 0:
        packet.picture_id = layer.unwrap_picture(packet.picture_id, packet.picture_id_bits)
    layer.frames.count(packet, now)
    if layer.asks_again and layer.keyed:
        layer.history.add(packet)
    forward(layer, packet, now)
    if packet.keyframe and ingress.codec != "opus":
        _note_keyframe(layer, ingress, packet)


def _note_keyframe(layer: PlainLayer, ingress: Ingress, packet: MediaPacket) -> None:
    if ingress.codec == "vp8":
        start = vp8.parse_descriptor(packet.data, packet.payload_start, packet.payload_end).end
        layer.size = vp8.keyframe_size(packet.data, start, packet.payload_end) or layer.size
    if not any(one.target is layer and one.waiting for one in layer.subscribers):
        layer.keyframes.satisfied()


def forward(layer: PlainLayer, packet: MediaPacket, now: float) -> None:
    """Give one packet to every subscription that is on this layer, or may begin with this packet."""
    rewrite.stamp(packet, rewrite.abs_send_time(now))
    # a key frame's late first packet is no start: what follows it has passed already
    starts = packet.keyframe and packet.sequence >= layer.reception.highest
    for subscription in layer.subscribers:
        if now < subscription.gate.open_at and subscription.waits:
            if _is_wanted(subscription, layer, packet, starts):
                subscription.hold(Waiting(subscription, layer, packet, starts, -1, len(packet.data)), now)
            continue
        deliver(subscription, layer, packet, starts, now)


def _is_wanted(subscription: PlainSubscription, layer: PlainLayer, packet: MediaPacket, starts: bool) -> bool:
    """Whether a packet that may not leave yet is to wait. With a key frame the target begins now."""
    if subscription.current is layer:
        return True
    if starts and subscription.target is layer:
        subscription.begin(packet.timestamp)
    return subscription.begun and subscription.target is layer


def deliver(
    subscription: PlainSubscription, layer: PlainLayer, packet: MediaPacket, starts: bool, now: float
) -> None:
    """Give one packet, stamped, to one subscription; it gets its numbers here, however long it waited.

    :param starts: the subscription may begin, or change its layer, with this packet.
    """
    if subscription.current is not layer:
        if not starts or subscription.target is not layer:
            return
        _switch(subscription, layer, packet, now)
    egress = subscription.egress
    sequence = rewrite.rewrite(packet, egress, layer.index)
    if sequence < 0:
        return
    if not subscription.numbered:
        rewrite.clear_number(packet)
    data = packet.data
    if egress.removed_extensions and packet.extension_profile:
        data = rewrite.without_extensions(data, parse_header(data), egress.removed_extensions)
    if egress.plain_type >= 0 and packet.primary_at >= 0:
        data = red.plain(data, packet.payload_start, packet.primary_at, egress.plain_type)
    number_at = packet.number_at if subscription.numbered else -1
    if not subscription.send(data, number_at, now):
        subscription.refused += 1
    elif subscription.voice is not None:
        again.keep(subscription, subscription.voice, sequence, data, number_at, now)


def _switch(subscription: PlainSubscription, layer: PlainLayer, packet: MediaPacket, now: float) -> None:
    """Continue the consumer's stream with ``packet`` of another layer, or after a pause."""
    egress = subscription.egress
    timestamp = continued_timestamp(
        _by_reports(subscription, layer, packet.timestamp),
        egress.last_timestamp,
        now - egress.last_sent_at,
        subscription.clock_rate,
        packet.timestamp,
    )
    rewrite.begin(egress, packet, (timestamp - packet.timestamp) & 0xFFFFFFFF)
    before = subscription.current
    subscription.current = subscription.timeline = layer
    subscription.starting = packet.timestamp
    if before is not None:
        before.unsubscribe(subscription)
    if subscription.started_at is None:
        subscription.started_at = now
    subscription.switched()


def _by_reports(subscription: PlainSubscription, layer: PlainLayer, timestamp: int) -> int | None:
    """Where ``timestamp`` lies on the outgoing time line, by the layers' sender reports."""
    before = subscription.timeline
    if before is None:
        return None
    delta = subscription.egress.timestamp_delta
    if before is layer:
        return (timestamp + delta) & 0xFFFFFFFF
    if before.clock.known and layer.clock.known:
        return (before.clock.rtp_of(layer.clock.ntp_of(timestamp)) + delta) & 0xFFFFFFFF
    return None

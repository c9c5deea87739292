"""The packet plane: from a layer's unprotected packet to each consumer's, in plain Python.

This is the reference: a compiled plane must give the same bytes. It holds no state of its own; all of it is
in `Layer` (incoming) and `Subscription` (outgoing), and the rule is in `rewrite`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from media.limits import MAX_RTX_STEP, PADDING_HISTORY_PACKETS, RELAY_SENT_PACKETS
from media.relay import rewrite, rtx
from media.relay.history import RetransmissionBudget
from media.relay.layer import Layer
from media.relay.layers import continued_timestamp
from media.relay.pacer import CAMERA, Pacer, Waiting
from media.relay.rewrite import Egress, Ingress, MediaPacket
from media.rtp import red, vp8
from media.rtp.packet import RtpHeader, parse_header


class Outlet(Protocol):
    """Where finished packets go: a transport's way out, or a tap."""

    @property
    def gate(self) -> Pacer:
        """Says when a packet may leave."""

    def send(self, packet: bytearray, number_at: int, now: float) -> bool:
        """Send at once; False when it was dropped. The buffer is the caller's again afterwards.

        ``number_at`` is where a transport-wide number is to be written, -1 for none.
        """

    def hold(self, item: Waiting, now: float) -> None:
        """Keep a packet that may not leave yet; `deliver` or `resend` is called when it may."""


class Subscription:
    """One consumer as the plane sees it.

    :param outlet: where its packets go.
    :param switched: told when another layer is forwarded from now on.
    :param starved: told when frames were left out, so that a key frame is needed.
    :param rtx: (payload type, ssrc, first sequence number) for retransmissions, None without RTX.
    """

    __slots__ = (
        "budget",
        "clock_rate",
        "current",
        "egress",
        "gate",
        "held",
        "hold",
        "numbered",
        "priority",
        "refused",
        "retransmitted",
        "rtx_payload_type",
        "rtx_sequence",
        "rtx_ssrc",
        "send",
        "started_at",
        "starved",
        "switched",
        "target",
        "timeline",
        "waits",
    )

    def __init__(
        self,
        egress: Egress,
        clock_rate: int,
        outlet: Outlet,
        switched: Callable[[], None],
        starved: Callable[[], None],
        rtx: tuple[int, int, int] | None,
    ) -> None:
        self.egress = egress
        self.clock_rate = clock_rate
        self.gate = outlet.gate
        self.send = outlet.send
        self.hold = outlet.hold
        self.switched = switched
        self.starved = starved
        self.numbered = 0  # id under which the receiver knows transport-wide numbers, 0 = it does not
        self.waits = True  # False for voices: they leave at once, whatever the pace
        self.priority = CAMERA  # of what waits
        self.held = 0  # packets that wait
        self.rtx_payload_type, self.rtx_ssrc, self.rtx_sequence = rtx or (-1, -1, 0)
        self.budget = RetransmissionBudget()
        self.current: Layer | None = None  # forwarded now
        self.target: Layer | None = None  # forwarded from its next key frame on
        self.timeline: Layer | None = None  # whose clock the timestamp delta refers to
        self.started_at: float | None = None
        self.retransmitted = 0
        self.refused = 0  # packets the transport would not take

    @property
    def waiting(self) -> bool:
        """A key frame of the target is needed."""
        return self.target is not None and self.current is not self.target


def receive(layer: Layer, ingress: Ingress, data: bytearray, header: RtpHeader, now: float) -> None:
    """Take one packet of a layer's media SSRC and forward it to all that want it.

    ``data`` is the plane's from now on.

    :raises RemoteProtocolError: ``malformed_rtp`` or ``malformed_payload``; the packet is counted anyhow.
    """
    sequence = layer.sequences.unwrap(header.sequence)
    if layer.reception.packets and abs(sequence - layer.reception.highest) > MAX_RTX_STEP:
        restart(layer, now)
        sequence = layer.sequences.unwrap(header.sequence)
    layer.reception.received(sequence, header.timestamp, len(data), now)
    if not layer.subscribers:
        return
    if layer.asks_again:
        layer.missing.arrived(sequence, now)
    if header.payload_start == header.payload_end:
        _leave_out(layer, sequence)
    else:
        _forward_new(layer, ingress, data, header, sequence, now)


def receive_rtx(layer: Layer, ingress: Ingress, data: bytearray, header: RtpHeader, now: float) -> None:
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


def restart(layer: Layer, now: float) -> None:
    """Another stream stands behind the layer: its consumers begin again at a key frame."""
    layer.restart()
    for subscription in layer.subscribers:
        if subscription.current is layer:
            subscription.current = None
        if subscription.timeline is layer:
            subscription.timeline = None
        layer.keyframes.want(now)


def _leave_out(layer: Layer, sequence: int) -> None:
    """Padding alone: it took a number, and receivers are not to miss it."""
    for subscription in layer.subscribers:
        if subscription.current is layer:
            subscription.egress.sequences.drop(sequence)


def _forward_new(
    layer: Layer, ingress: Ingress, data: bytearray, header: RtpHeader, sequence: int, now: float
) -> None:
    packet = rewrite.normalize(data, header, ingress, sequence, now)
    if packet is None:
        return
    if packet.picture_id >= 0:
        packet.picture_id = layer.unwrap_picture(packet.picture_id, packet.picture_id_bits)
    layer.meter.count(packet, now)
    if layer.asks_again:
        layer.history.add(packet)
    forward(layer, packet, now)
    if packet.keyframe and ingress.codec != "opus":
        _note_keyframe(layer, ingress, packet)


def _note_keyframe(layer: Layer, ingress: Ingress, packet: MediaPacket) -> None:
    if ingress.codec == "vp8":
        start = vp8.parse_descriptor(packet.data, packet.payload_start, packet.payload_end).end
        layer.size = vp8.keyframe_size(packet.data, start, packet.payload_end) or layer.size
    if not any(one.target is layer and one.waiting for one in layer.subscribers):
        layer.keyframes.satisfied()


def forward(layer: Layer, packet: MediaPacket, now: float) -> None:
    """Give one packet to every subscription that is on this layer, or may begin with this packet."""
    send_time = rewrite.abs_send_time(now)
    # a key frame's late first packet is no start: what follows it has passed already
    starts = packet.keyframe and packet.sequence >= layer.reception.highest
    for subscription in layer.subscribers:
        if now < subscription.gate.open_at and subscription.waits:
            if starts or subscription.current is layer or subscription.held:
                subscription.hold(Waiting(subscription, layer, packet, starts, -1, len(packet.data)), now)
            continue
        deliver(subscription, layer, packet, starts, send_time, now)


def deliver(
    subscription: Subscription, layer: Layer, packet: MediaPacket, starts: bool, send_time: int, now: float
) -> None:
    """Give one packet to one subscription; it gets its numbers here, however long it waited.

    :param starts: the subscription may begin, or change its layer, with this packet.
    """
    if subscription.current is not layer:
        if not starts or subscription.target is not layer:
            return
        _switch(subscription, layer, packet, now)
    egress = subscription.egress
    if rewrite.rewrite(packet, egress, layer, send_time) < 0:
        return
    data = packet.data
    if egress.removed_extensions and packet.extension_profile:
        data = rewrite.without_extensions(data, parse_header(data), egress.removed_extensions)
    if egress.plain_type >= 0 and packet.primary_at >= 0:
        data = red.plain(data, packet.payload_start, packet.primary_at, egress.plain_type)
    if not subscription.send(data, packet.number_at if subscription.numbered else -1, now):
        subscription.refused += 1


def cut(subscription: Subscription) -> None:
    """Frames were left out before they had numbers: go on with the next key frame."""
    current = subscription.current
    target = subscription.target = subscription.target or current
    if current is not None and current is not target:
        current.unsubscribe(subscription)
    subscription.current = None
    subscription.starved()


def _switch(subscription: Subscription, layer: Layer, packet: MediaPacket, now: float) -> None:
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
    if before is not None:
        before.unsubscribe(subscription)
    if subscription.started_at is None:
        subscription.started_at = now
    subscription.switched()


def _by_reports(subscription: Subscription, layer: Layer, timestamp: int) -> int | None:
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


def retransmit(subscription: Subscription, sequences: Iterable[int], now: float) -> int:
    """Answer a NACK by RTX from the layers' histories, at the line's pace; returns how many can be."""
    count = 0
    for sequence in sequences:
        found = _sent(subscription, sequence)
        if found is None or not subscription.budget.allows(sequence, now):
            continue
        if now < subscription.gate.open_at:
            size = len(found[0].data) + 2
            subscription.hold(Waiting(subscription, None, None, False, sequence, size), now)
        else:
            _resend(subscription, *found, now)
        count += 1
    subscription.retransmitted += count
    return count


def resend(subscription: Subscription, sequence: int, now: float) -> int:
    """Send one packet again by RTX if it is still there; returns its size in bytes, or 0."""
    found = _sent(subscription, sequence)
    return _resend(subscription, *found, now) if found is not None else 0


def pad(subscriptions: Iterable[Subscription], least: int, now: float) -> int:
    """Send at least so many bytes that carry nothing new; returns how many, 0 when no track has RTX.

    The newest packets of a track that is being sent go again, which repairs what was lost without notice;
    where nothing is being sent there is padding alone. By RTX, so that the media's numbers are left alone.
    """
    able = [one for one in subscriptions if one.rtx_ssrc >= 0 and one.numbered]
    for subscription in able:
        newest = subscription.egress.sequences.newest_out
        sent = back = 0
        while sent < least and (size := resend(subscription, newest - back & 0xFFFF, now)):
            sent += size
            back = (back + 1) % PADDING_HISTORY_PACKETS
        if sent:
            return sent
    return _pad_empty(able[0], least, now) if able else 0


def _pad_empty(subscription: Subscription, least: int, now: float) -> int:
    sent = 0
    while sent < least:
        subscription.rtx_sequence = (subscription.rtx_sequence + 1) & 0xFFFF
        packet, number_at = rtx.padding(
            subscription.rtx_payload_type,
            subscription.rtx_ssrc,
            subscription.rtx_sequence,
            subscription.egress.last_timestamp or 0,
            subscription.numbered,
        )
        subscription.send(packet, number_at, now)
        sent += len(packet)
    return sent


def _sent(subscription: Subscription, sequence: int) -> tuple[MediaPacket, rewrite.Sent] | None:
    """A packet that left with this number, and its numbers, while both are remembered."""
    table = subscription.egress.sent
    entry = table[sequence & (RELAY_SENT_PACKETS - 1)] if table is not None else None
    if entry is None or entry[0] != sequence:
        return None
    layer = entry[5]
    packet = layer.history.get(entry[1]) if isinstance(layer, Layer) else None
    return None if packet is None else (packet, entry)


def _resend(subscription: Subscription, packet: MediaPacket, entry: rewrite.Sent, now: float) -> int:
    sequence, _, timestamp, picture_id, tl0, _ = entry
    egress = subscription.egress
    send_time = rewrite.abs_send_time(now)
    rewrite.write(packet, egress, sequence, timestamp, picture_id, tl0, send_time)
    data = packet.data
    if egress.removed_extensions and packet.extension_profile:
        data = rewrite.without_extensions(data, parse_header(data), egress.removed_extensions)
    subscription.rtx_sequence = (subscription.rtx_sequence + 1) & 0xFFFF
    again = rtx.as_rtx(
        data,
        packet.payload_start,
        subscription.rtx_payload_type,
        subscription.rtx_ssrc,
        subscription.rtx_sequence,
    )
    if not subscription.send(again, packet.number_at if subscription.numbered else -1, now):
        subscription.refused += 1
    return len(again)

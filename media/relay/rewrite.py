"""The per-packet rule: what changes in a packet between a producer and each of its consumers.

Two halves, each a function over a small table:

- `normalize` (once per packet, table `Ingress`): the producer's payload type and extension ids become
  the router's, what identified the stream to us (mid, rid) is blanked, the codec's descriptor is read.
- `rewrite` (once per packet and consumer, table `Egress`): ssrc, sequence number, timestamp, picture id,
  TL0PICIDX and send time are overwritten in place. The packet's own values stand beside it in
  `MediaPacket`, so one buffer serves every consumer and, from the history, every retransmission.

Consumers share a packet's length: what is taken out of the header extension becomes its padding. Only where
a producer's packets have no place for a transport-wide number `normalize` makes one, once for all consumers.
"""

from __future__ import annotations

from struct import Struct

from media.limits import RELAY_SENT_PACKETS
from media.relay.layers import TemporalFilter
from media.relay.numbering import NumberMap
from media.rtp import h264, red, vp8
from media.rtp.packet import (
    FIXED_HEADER,
    ONE_BYTE_PROFILE,
    TWO_BYTE_PROFILE,
    RtpHeader,
    iter_extensions,
    parse_header,
)

_SEQ_TS_SSRC = Struct("!HII")
_SENT_MASK = RELAY_SENT_PACKETS - 1

Sent = tuple[int, int, int, int, int, int]
"""A packet that left: (layer's sequence, picture id, timestamp, sequence, TL0PICIDX, layer's index + 1)."""
_SENT = Struct("=qqIHhB")
_SENT_STRIDE = 32
assert _SENT.size <= _SENT_STRIDE


class Ingress:
    """What the rule needs to know of one producer.

    :param payload_types: its media payload types to the router's.
    :param rtx_payload_types: its RTX payload types to its media payload types.
    :param extension_ids: its extension ids to the router's; those absent are blanked.
    :param send_time_id: the router's id of abs-send-time.
    :param number_id: the router's id of transport-wide numbers, 0 to do without.
    :param codec: lower-case codec name.
    :param red_type: the router's payload type of redundant audio, -1 where the producer sends none.
    :param level_id: the producer's id of audio levels, 0 without.
    """

    __slots__ = (
        "block_types",
        "codec",
        "extension_ids",
        "level_id",
        "number_id",
        "payload_types",
        "red_type",
        "rtx_payload_types",
        "send_time_id",
    )

    def __init__(
        self,
        payload_types: dict[int, int],
        rtx_payload_types: dict[int, int],
        extension_ids: dict[int, int],
        send_time_id: int,
        codec: str,
        number_id: int = 0,
        red_type: int = -1,
        level_id: int = 0,
    ) -> None:
        self.number_id = number_id
        self.red_type = red_type
        self.level_id = level_id
        self.block_types = {theirs: ours for theirs, ours in payload_types.items() if ours != red_type}
        self.payload_types = payload_types
        self.rtx_payload_types = rtx_payload_types
        self.extension_ids = extension_ids
        self.send_time_id = send_time_id
        self.codec = codec


class MediaPacket:
    """One packet in the router's numbers, with its own values as they came; -1 = absent."""

    __slots__ = (
        "data",
        "extension_profile",
        "keyframe",
        "layer_sync",
        "number_at",
        "payload_end",
        "payload_start",
        "picture_id",
        "picture_id_at",
        "picture_id_bits",
        "primary_at",
        "received_at",
        "send_time_at",
        "sequence",
        "starts_frame",
        "temporal_layer",
        "timestamp",
        "tl0_picture_index",
        "tl0_picture_index_at",
    )

    data: bytearray
    sequence: int  # unwrapped, of its layer
    timestamp: int
    received_at: float  # monotonic seconds
    extension_profile: int
    payload_start: int
    payload_end: int
    keyframe: bool
    starts_frame: bool
    temporal_layer: int
    layer_sync: bool
    picture_id: int  # unwrapped, of its layer
    picture_id_bits: int
    picture_id_at: int
    tl0_picture_index: int
    tl0_picture_index_at: int
    primary_at: int  # of redundant audio: where its newest block is
    send_time_at: int
    number_at: int  # of the transport-wide number


def normalize(
    data: bytearray, header: RtpHeader, ingress: Ingress, sequence: int, now: float
) -> MediaPacket | None:
    """Bring a packet into the router's numbers, in place; None when its payload type is not forwarded.

    The picture id is left as it stands in the packet: the layer unwraps it.

    :raises RemoteProtocolError: ``malformed_rtp`` or ``malformed_payload``; ``data`` is then half changed.
    """
    payload_type = ingress.payload_types.get(header.payload_type)
    if payload_type is None:
        return None
    data[1] = data[1] & 0x80 | payload_type
    send_time_at, number_at = _renumber_extensions(data, header, ingress)
    if number_at < 0 and ingress.number_id:
        data, number_at = _with_number(data, header, ingress.number_id)
        header = parse_header(data)
    packet = MediaPacket()
    packet.data = data
    packet.sequence = sequence
    packet.timestamp = header.timestamp
    packet.received_at = now
    packet.extension_profile = header.extension_profile
    packet.payload_start = header.payload_start
    packet.payload_end = header.payload_end
    packet.send_time_at = send_time_at
    packet.number_at = number_at
    packet.keyframe = packet.starts_frame = True
    packet.layer_sync = False
    packet.temporal_layer = packet.picture_id_bits = 0
    packet.picture_id = packet.picture_id_at = -1
    packet.tl0_picture_index = packet.tl0_picture_index_at = -1
    packet.primary_at = -1
    if payload_type == ingress.red_type:
        types = ingress.block_types
        packet.primary_at = red.renumber(data, header.payload_start, header.payload_end, types)
    if ingress.codec == "vp8":
        _read_vp8(packet)
    elif ingress.codec == "h264":
        packet.keyframe = h264.starts_keyframe(data, header.payload_start, header.payload_end)
        if h264.is_droppable(data, header.payload_start, header.payload_end):
            packet.temporal_layer = 1
            packet.layer_sync = True  # it refers only to what is always sent
    return packet


def _read_vp8(packet: MediaPacket) -> None:
    descriptor = vp8.parse_descriptor(packet.data, packet.payload_start, packet.payload_end)
    packet.keyframe = descriptor.keyframe
    packet.starts_frame = descriptor.start_of_partition and descriptor.partition == 0
    packet.layer_sync = descriptor.layer_sync
    packet.temporal_layer = descriptor.temporal_layer
    packet.picture_id = descriptor.picture_id
    packet.picture_id_bits = descriptor.picture_id_bits
    packet.picture_id_at = descriptor.picture_id_at
    packet.tl0_picture_index = descriptor.tl0_picture_index
    packet.tl0_picture_index_at = descriptor.tl0_picture_index_at


def _renumber_extensions(data: bytearray, header: RtpHeader, ingress: Ingress) -> tuple[int, int]:
    """Give every element the router's id or blank it; where abs-send-time and number stand, or -1."""
    head = 1 if header.extension_profile == ONE_BYTE_PROFILE else 2
    ids = ingress.extension_ids
    send_time_at = number_at = -1
    for identifier, at, length in iter_extensions(data, header):
        ours = ids.get(identifier, 0)
        if not ours:
            data[at - head : at + length] = bytes(head + length)
            continue
        if head == 1:
            data[at - 1] = ours << 4 | length - 1
        else:
            data[at - 2] = ours
        if ours == ingress.send_time_id and length == 3:
            send_time_at = at
        elif ours == ingress.number_id and length == 2:
            number_at = at
    return send_time_at, number_at


def _with_number(data: bytearray, header: RtpHeader, identifier: int) -> tuple[bytearray, int]:
    """The packet with a place for a transport-wide number (one word, two if it had no extension at all).

    A header extension of another kind than RFC 8285's is left alone: (data, -1).
    """
    profile = header.extension_profile
    if not data[0] & 0x10:
        at = FIXED_HEADER + 4 * (data[0] & 0x0F)
        data[0] |= 0x10
        block = bytes((0xBE, 0xDE, 0, 1, identifier << 4 | 1, 0, 0, 0))
        return data[:at] + block + data[at:], at + 5
    if profile != ONE_BYTE_PROFILE and profile & 0xFFF0 != TWO_BYTE_PROFILE:
        return data, -1
    at = header.extension_end
    words = (at - header.extension_start) // 4 + 1
    data[header.extension_start - 2 : header.extension_start] = words.to_bytes(2, "big")
    if profile == ONE_BYTE_PROFILE:
        return data[:at] + bytes((identifier << 4 | 1, 0, 0, 0)) + data[at:], at + 1
    return data[:at] + bytes((identifier, 2, 0, 0)) + data[at:], at + 2


class Egress:
    """What the rule needs to know of one consumer, and what it counts.

    :param first_sequence: where the outgoing sequence numbers begin.
    :param remember: whether sent numbers are kept for retransmission; in bytes, for the garbage collector
        would look through a tuple for each of them while nothing is forwarded.
    :param removed_extensions: the router's ids this receiver does not know.
    :param plain_type: of redundant audio the newest block alone goes, as this payload type; -1 = as it came.
    """

    __slots__ = (
        "last_sent_at",
        "last_timestamp",
        "octets",
        "packets",
        "pictures",
        "plain_type",
        "removed_extensions",
        "sent",
        "sequences",
        "ssrc",
        "temporal",
        "timestamp_delta",
        "tl0",
        "tl0_delta",
    )

    def __init__(
        self,
        ssrc: int,
        first_sequence: int,
        remember: bool = False,
        removed_extensions: frozenset[int] = frozenset(),
        plain_type: int = -1,
    ) -> None:
        self.ssrc = ssrc
        self.sequences = NumberMap(first_sequence)
        self.pictures = NumberMap(0)
        self.temporal = TemporalFilter()
        self.timestamp_delta = 0
        self.tl0 = -1
        self.tl0_delta = 0
        self.last_timestamp: int | None = None  # newest outgoing; None before the first packet
        self.last_sent_at = 0.0
        self.removed_extensions = removed_extensions
        self.plain_type = plain_type
        self.sent = bytearray(RELAY_SENT_PACKETS * _SENT_STRIDE) if remember else None
        self.packets = 0
        self.octets = 0


def begin(egress: Egress, packet: MediaPacket, timestamp_delta: int) -> None:
    """``packet`` is the first of another layer, or the first after a pause: everything continues there."""
    egress.sequences.restart(packet.sequence)
    if packet.picture_id >= 0:
        egress.pictures.restart(packet.picture_id)
    if packet.tl0_picture_index >= 0:
        egress.tl0_delta = (egress.tl0 + 1 - packet.tl0_picture_index) & 0xFF
    egress.timestamp_delta = timestamp_delta
    egress.temporal.restart()


def sent(egress: Egress, sequence: int) -> Sent | None:
    """The numbers with which the packet left whose outgoing number this is, while they are remembered."""
    if egress.sent is None:
        return None
    entry: Sent = _SENT.unpack_from(egress.sent, (sequence & _SENT_MASK) * _SENT_STRIDE)
    return entry if entry[5] and entry[3] == sequence else None


def rewrite(packet: MediaPacket, egress: Egress, layer: int) -> int:
    """Make ``packet.data`` the consumer's packet; the outgoing sequence number, or -1 to leave it out.

    :param layer: its index, remembered with the numbers to find the packet in that layer's history again.
    """
    sequences = egress.sequences
    sequence = packet.sequence
    picture_id = packet.picture_id
    is_newest = sequence > sequences.newest
    if is_newest and not egress.temporal.admits(packet):
        sequences.drop(sequence)
        if picture_id >= 0:
            egress.pictures.drop(picture_id)
        return -1
    if picture_id >= 0:
        mapped = egress.pictures.map(picture_id)
        if mapped is None:
            return -1
        picture_id = mapped
    out = sequences.map(sequence)
    if out is None:
        return -1
    out &= 0xFFFF
    timestamp = (packet.timestamp + egress.timestamp_delta) & 0xFFFFFFFF
    tl0 = packet.tl0_picture_index
    if tl0 >= 0:
        tl0 = (tl0 + egress.tl0_delta) & 0xFF
    write(packet, egress.ssrc, out, timestamp, picture_id, tl0)
    if is_newest:
        egress.last_timestamp = timestamp
        egress.last_sent_at = packet.received_at
        if tl0 >= 0:
            egress.tl0 = tl0
    ring = egress.sent
    if ring is not None:
        at = (out & _SENT_MASK) * _SENT_STRIDE
        _SENT.pack_into(ring, at, sequence, picture_id, timestamp, out, tl0, layer + 1)
    egress.packets += 1
    egress.octets += packet.payload_end - packet.payload_start
    return out


def write(packet: MediaPacket, ssrc: int, sequence: int, timestamp: int, picture_id: int, tl0: int) -> None:
    """Overwrite the fields that differ between consumers; `stamp` writes the time, the same for all."""
    data = packet.data
    _SEQ_TS_SSRC.pack_into(data, 2, sequence, timestamp, ssrc)
    if picture_id >= 0:
        vp8.write_picture_id(data, packet.picture_id_at, packet.picture_id_bits, picture_id)
    if tl0 >= 0:
        data[packet.tl0_picture_index_at] = tl0


def stamp(packet: MediaPacket, send_time: int) -> None:
    """Write when the packet leaves, a 24-bit abs-send-time, where it has a place for that."""
    at = packet.send_time_at
    if at >= 0:
        packet.data[at : at + 3] = send_time.to_bytes(3, "big")


def clear_number(packet: MediaPacket) -> None:
    """For a receiver that is not numbered: what another one's number left in the shared packet goes.

    Its extension ids are blanked for such a receiver, but an element behind one that ends the reading is not
    found then (id 15, RFC 8285 section 4.2).
    """
    at = packet.number_at
    if at >= 0:
        packet.data[at] = packet.data[at + 1] = 0


def without_extensions(data: bytearray, header: RtpHeader, removed: frozenset[int]) -> bytearray:
    """A copy for a receiver that knows fewer extensions than the router."""
    copy = bytearray(data)
    head = 1 if header.extension_profile == ONE_BYTE_PROFILE else 2
    for identifier, at, length in iter_extensions(data, header):
        if identifier in removed:
            copy[at - head : at + length] = bytes(head + length)
    return copy


def abs_send_time(now: float) -> int:
    """24 bits, 6.18 fixed-point seconds; only differences count."""
    return int(now * 262_144) & 0xFFFFFF

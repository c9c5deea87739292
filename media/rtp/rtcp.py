"""RTCP: parsing compounds, packing our own (RFC 3550 section 6, RFC 4585, RFC 5104, REMB draft).

Anything unknown inside a compound is skipped by its length; anything whose length lies raises.
Reduced-size packets (RFC 5506) are accepted. One class a packet type, `pack` is the way back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from struct import Struct

from media.errors import RemoteProtocolError
from media.rtp import twcc
from media.rtp.errors import MALFORMED_RTCP
from media.rtp.numbers import SEQ_MASK, seq_diff
from media.rtp.packet import Buffer
from media.rtp.twcc import TRANSPORT_FEEDBACK_FORMAT, TransportFeedback

SR, RR, SDES, BYE, RTPFB, PSFB = 200, 201, 202, 203, 205, 206
NACK_FORMAT = 1  # RTPFB, RFC 4585 section 6.2.1
PLI_FORMAT = 1  # PSFB, RFC 4585 section 6.3.1
FIR_FORMAT = 4  # PSFB, RFC 5104 section 4.3.1
APPLICATION_FORMAT = 15  # PSFB, RFC 4585 section 6.4; REMB lives there
SDES_CNAME = 1

_HEADER = Struct("!BBH")
_REPORT = Struct("!IIIIII")
_SENDER = Struct("!IQIII")
_PAIR = Struct("!HH")
_WORD = Struct("!I")
_TWO_WORDS = Struct("!II")


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """What one receiver says of one stream (RFC 3550 section 6.4.1).

    :param fraction_lost: 0..255, share lost since the last report.
    :param cumulative_lost: signed 24 bit.
    :param highest_sequence: extended, cycles in the upper 16 bits.
    :param jitter: clock ticks.
    :param last_sr: middle 32 bits of the last sender report's NTP time, 0 when none came.
    :param delay_since_last_sr: 16.16 seconds.
    """

    ssrc: int
    fraction_lost: int = 0
    cumulative_lost: int = 0
    highest_sequence: int = 0
    jitter: int = 0
    last_sr: int = 0
    delay_since_last_sr: int = 0


@dataclass(frozen=True, slots=True)
class SenderReport:
    """``ntp`` is a 64-bit NTP time, ``rtp_timestamp`` the same instant on the stream's clock."""

    ssrc: int
    ntp: int
    rtp_timestamp: int
    packet_count: int
    octet_count: int
    reports: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    ssrc: int
    reports: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceDescription:
    """``cnames`` are (ssrc, canonical name); the other items are of no use here and are skipped."""

    cnames: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Bye:
    ssrcs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Nack:
    """``sequences`` in the order of the wire, not yet checked for repeats."""

    sender_ssrc: int
    media_ssrc: int
    sequences: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PictureLoss:
    sender_ssrc: int
    media_ssrc: int


@dataclass(frozen=True, slots=True)
class FullIntraRequest:
    """``entries`` are (ssrc of the sender asked, command number)."""

    sender_ssrc: int
    entries: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Remb:
    """Receiver estimated maximum bitrate, bits per second (draft-alvestrand-rmcat-remb-03).

    Packed, the rate is cut to 18 bits of mantissa, downward. Whoever sends one caps the publisher at once.
    """

    sender_ssrc: int
    bitrate: int
    ssrcs: tuple[int, ...]


RtcpPacket = (
    SenderReport
    | ReceiverReport
    | SourceDescription
    | Bye
    | Nack
    | TransportFeedback
    | PictureLoss
    | FullIntraRequest
    | Remb
)


def _broken(detail: str) -> RemoteProtocolError:
    return RemoteProtocolError(MALFORMED_RTCP, detail)


def parse_compound(data: Buffer) -> list[RtcpPacket]:
    """All packets we understand in ``data``, in order.

    :raises RemoteProtocolError: ``malformed_rtcp``; then nothing of the compound counts.
    """
    packets: list[RtcpPacket] = []
    view = memoryview(data)
    position = 0
    if not data:
        raise _broken("empty")
    while position < len(view):
        if position + 4 > len(view):
            raise _broken("header runs over the end")
        first, kind, words = _HEADER.unpack_from(view, position)
        end = position + 4 + 4 * words
        if first >> 6 != 2 or end > len(view):
            raise _broken("version or length")
        body = view[position + 4 : end]
        # Transport feedback tells its own end, and browsers pad it by bytes where RFC 3550 asks for words.
        if first & 0x20 and (kind, first & 0x1F) != (RTPFB, TRANSPORT_FEEDBACK_FORMAT):
            body = _without_padding(body, last=end == len(view))
        parser = _PARSERS.get(kind)
        packet = parser(first & 0x1F, body) if parser else None
        if packet is not None:
            packets.append(packet)
        position = end
    return packets


def _without_padding(body: memoryview, last: bool) -> memoryview:
    if not last or not body or body[-1] == 0 or body[-1] % 4 or body[-1] > len(body):
        raise _broken("padding")  # RFC 3550 section 6.4.1: multiple of four, last packet only
    return body[: len(body) - body[-1]]


def _parse_reports(count: int, body: memoryview, at: int) -> tuple[ReportBlock, ...]:
    if at + 24 * count > len(body):
        raise _broken("report blocks run over the end")
    blocks = []
    for index in range(count):
        ssrc, lost, highest, jitter, last_sr, delay = _REPORT.unpack_from(body, at + 24 * index)
        cumulative = lost & 0xFFFFFF
        if cumulative >= 0x800000:
            cumulative -= 0x1000000
        blocks.append(ReportBlock(ssrc, lost >> 24, cumulative, highest, jitter, last_sr, delay))
    return tuple(blocks)


def _parse_sr(count: int, body: memoryview) -> SenderReport:
    if len(body) < 24:
        raise _broken("short sender report")
    ssrc, ntp, timestamp, packets, octets = _SENDER.unpack_from(body)
    return SenderReport(ssrc, ntp, timestamp, packets, octets, _parse_reports(count, body, 24))


def _parse_rr(count: int, body: memoryview) -> ReceiverReport:
    if len(body) < 4:
        raise _broken("short receiver report")
    return ReceiverReport(_WORD.unpack_from(body)[0], _parse_reports(count, body, 4))


def _parse_sdes(count: int, body: memoryview) -> SourceDescription:
    cnames: list[tuple[int, str]] = []
    at = 0
    for _ in range(count):
        if at + 4 > len(body):
            raise _broken("SDES chunk runs over the end")
        ssrc: int = _WORD.unpack_from(body, at)[0]
        at = _parse_items(ssrc, body, at + 4, cnames)
    return SourceDescription(tuple(cnames))


def _parse_items(ssrc: int, body: memoryview, at: int, cnames: list[tuple[int, str]]) -> int:
    """Read one chunk's items; return where the next chunk starts (RFC 3550 section 6.5)."""
    while at < len(body) and body[at] != 0:
        if at + 2 > len(body) or at + 2 + body[at + 1] > len(body):
            raise _broken("SDES item runs over the end")
        if body[at] == SDES_CNAME:
            value = bytes(body[at + 2 : at + 2 + body[at + 1]])
            cnames.append((ssrc, value.decode("utf-8", "replace")))
        at += 2 + body[at + 1]
    if at >= len(body):
        raise _broken("SDES chunk without its end")
    return (at // 4 + 1) * 4


def _parse_bye(count: int, body: memoryview) -> Bye:
    if 4 * count > len(body):
        raise _broken("BYE runs over the end")
    return Bye(tuple(_WORD.unpack_from(body, 4 * index)[0] for index in range(count)))


def _parse_rtpfb(form: int, body: memoryview) -> Nack | TransportFeedback | None:
    if len(body) < 8:
        raise _broken("short feedback")
    if form == TRANSPORT_FEEDBACK_FORMAT:
        return twcc.parse(body)
    if form != NACK_FORMAT:
        return None
    sender, media = _TWO_WORDS.unpack_from(body)
    sequences: list[int] = []
    for at in range(8, len(body) - 3, 4):
        first, mask = _PAIR.unpack_from(body, at)
        sequences.append(first)
        sequences.extend((first + bit + 1) & SEQ_MASK for bit in range(16) if mask >> bit & 1)
    return Nack(sender, media, tuple(sequences))


def _parse_psfb(form: int, body: memoryview) -> PictureLoss | FullIntraRequest | Remb | None:
    if len(body) < 8:
        raise _broken("short feedback")
    sender, media = _TWO_WORDS.unpack_from(body)
    if form == PLI_FORMAT:
        return PictureLoss(sender, media)
    if form == FIR_FORMAT:
        ends = range(8, len(body) - 7, 8)
        return FullIntraRequest(sender, tuple((_WORD.unpack_from(body, at)[0], body[at + 4]) for at in ends))
    if form == APPLICATION_FORMAT and bytes(body[8:12]) == b"REMB":
        return _parse_remb(sender, body)
    return None


def _parse_remb(sender: int, body: memoryview) -> Remb:
    if len(body) < 16 or len(body) < 16 + 4 * body[12]:
        raise _broken("short REMB")
    exponent = body[13] >> 2
    mantissa = (body[13] & 0x03) << 16 | body[14] << 8 | body[15]
    ssrcs = tuple(_WORD.unpack_from(body, 16 + 4 * index)[0] for index in range(body[12]))
    return Remb(sender, mantissa << exponent, ssrcs)


_PARSERS: dict[int, Callable[[int, memoryview], RtcpPacket | None]] = {
    SR: _parse_sr,
    RR: _parse_rr,
    SDES: _parse_sdes,
    BYE: _parse_bye,
    RTPFB: _parse_rtpfb,
    PSFB: _parse_psfb,
}


def nack_items(sequences: Iterable[int]) -> list[tuple[int, int]]:
    """Sequence numbers as (first, bit mask of the following 16), fewest items (RFC 4585 section 6.2.1).

    The numbers may stand in any order and across the wrap, as long as all of them lie within half the
    range of the first one given. Repeats are dropped.
    """
    pending = list(sequences)
    if not pending:
        return []
    base = pending[0]
    items: list[tuple[int, int]] = []
    for sequence in sorted(set(pending), key=lambda value: seq_diff(value, base)):
        ahead = seq_diff(sequence, items[-1][0]) if items else 17
        if 1 <= ahead <= 16:
            items[-1] = (items[-1][0], items[-1][1] | 1 << (ahead - 1))
        else:
            items.append((sequence, 0))
    return items


def pack(packet: RtcpPacket) -> bytes:
    """One packet as it goes into a compound.

    :raises ValueError: transport feedback whose arrivals cannot be told.
    """
    match packet:
        case SenderReport():
            body = _SENDER.pack(
                packet.ssrc, packet.ntp, packet.rtp_timestamp, packet.packet_count, packet.octet_count
            )
            return _framed(SR, len(packet.reports), body + _pack_reports(packet.reports))
        case ReceiverReport():
            body = _WORD.pack(packet.ssrc) + _pack_reports(packet.reports)
            return _framed(RR, len(packet.reports), body)
        case SourceDescription():
            return _framed(SDES, len(packet.cnames), b"".join(_pack_chunk(*item) for item in packet.cnames))
        case Bye():
            return _framed(BYE, len(packet.ssrcs), b"".join(map(_WORD.pack, packet.ssrcs)))
        case Nack():
            body = _TWO_WORDS.pack(packet.sender_ssrc, packet.media_ssrc)
            items = b"".join(_PAIR.pack(*item) for item in nack_items(packet.sequences))
            return _framed(RTPFB, NACK_FORMAT, body + items)
        case PictureLoss():
            return _framed(PSFB, PLI_FORMAT, _TWO_WORDS.pack(packet.sender_ssrc, packet.media_ssrc))
        case FullIntraRequest():
            body = _TWO_WORDS.pack(packet.sender_ssrc, 0)
            entries = b"".join(_TWO_WORDS.pack(ssrc, number << 24) for ssrc, number in packet.entries)
            return _framed(PSFB, FIR_FORMAT, body + entries)
        case TransportFeedback():
            return _framed(RTPFB, TRANSPORT_FEEDBACK_FORMAT, twcc.pack(packet))
        case Remb():
            return _framed(PSFB, APPLICATION_FORMAT, _pack_remb(packet))


def pack_compound(packets: Iterable[RtcpPacket]) -> bytes:
    """A compound; the caller puts SR or RR first, as RFC 3550 section 6.1 asks."""
    return b"".join(pack(packet) for packet in packets)


def _framed(kind: int, count: int, body: bytes) -> bytes:
    return _HEADER.pack(0x80 | count, kind, len(body) // 4) + body


def _pack_reports(reports: tuple[ReportBlock, ...]) -> bytes:
    return b"".join(
        _REPORT.pack(
            block.ssrc,
            block.fraction_lost << 24 | block.cumulative_lost & 0xFFFFFF,
            block.highest_sequence,
            block.jitter,
            block.last_sr,
            block.delay_since_last_sr,
        )
        for block in reports
    )


def _pack_remb(packet: Remb) -> bytes:
    exponent = max(0, packet.bitrate.bit_length() - 18)
    word = len(packet.ssrcs) << 24 | exponent << 18 | packet.bitrate >> exponent
    head = _TWO_WORDS.pack(packet.sender_ssrc, 0) + b"REMB" + _WORD.pack(word)
    return head + b"".join(map(_WORD.pack, packet.ssrcs))


def _pack_chunk(ssrc: int, cname: str) -> bytes:
    value = cname.encode()[:255]
    chunk = _WORD.pack(ssrc) + bytes((SDES_CNAME, len(value))) + value
    return chunk + bytes(4 - len(chunk) % 4)  # at least one zero ends the list

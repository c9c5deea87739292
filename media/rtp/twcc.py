"""Transport-wide congestion control feedback: which packets of a transport came, and when.

draft-holmer-rmcat-transport-wide-cc-extensions-01, section 3.1. Every packet of a transport carries a 16-bit
number of its own in a header extension; the receiver lists the numbers with their arrival times.

A status that says "not received" costs nothing here, so reading takes time linear in the bytes, not in the
number of packets they speak of.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, compress, groupby
from struct import Struct

from media.errors import RemoteProtocolError
from media.limits import TWCC_MAX_STATUSES
from media.rtp.errors import MALFORMED_RTCP

TRANSPORT_FEEDBACK_FORMAT = 15  # RTPFB
TICK_S = 0.000_25  # unit of a delta
REFERENCE_S = 0.064  # unit of the reference time
TICKS_PER_REFERENCE = 256
REFERENCE_BITS = 24

_FIXED = Struct("!IIHHI")  # sender, media, base, count, reference time and feedback count
_CHUNK = Struct("!H")
_LARGE = Struct("!h")
_NOT_RECEIVED, _SMALL, _LARGE_DELTA, _RESERVED = 0, 1, 2, 3
_MAX_RUN = 0x1FFF


@dataclass(frozen=True, slots=True)
class TransportFeedback:
    """What a receiver says of one stretch of a transport's packets.

    :param base_sequence: number of the first packet spoken of.
    :param status_count: how many packets are spoken of, 1..`TWCC_MAX_STATUSES`.
    :param reference_time: 24 bits, in units of 64 ms on the receiver's clock; wraps.
    :param feedback_count: counts feedback packets, 8 bits; wraps.
    :param arrivals: (offset from the base, arrival in ticks of 250 us after the reference time) of what came,
        by rising offset. What is not listed did not come.
    """

    sender_ssrc: int
    media_ssrc: int
    base_sequence: int
    status_count: int
    reference_time: int
    feedback_count: int
    arrivals: tuple[tuple[int, int], ...]


def _broken(detail: str) -> RemoteProtocolError:
    return RemoteProtocolError(MALFORMED_RTCP, f"transport feedback: {detail}")


def parse(body: memoryview) -> TransportFeedback:
    """Read the feedback after the RTCP header; what follows the last delta is padding, however long.

    :raises RemoteProtocolError: ``malformed_rtcp``.
    """
    if len(body) < _FIXED.size:
        raise _broken("short")
    sender, media, base, count, word = _FIXED.unpack_from(body)
    if not 1 <= count <= TWCC_MAX_STATUSES:
        raise _broken("number of packets")
    offsets, symbols, at = _read_statuses(body, count)
    arrivals = tuple(zip(offsets, accumulate(_deltas(body, symbols, at)), strict=True))
    return TransportFeedback(sender, media, base, count, word >> 8, word & 0xFF, arrivals)


def _deltas(body: memoryview, symbols: Sequence[int], at: int) -> Sequence[int]:
    size = len(body)
    if _LARGE_DELTA not in symbols:
        if at + len(symbols) > size:
            raise _broken("deltas run over the end")
        return body[at : at + len(symbols)]
    deltas: list[int] = []
    for symbol in symbols:
        if at + symbol > size:
            raise _broken("deltas run over the end")
        deltas.append(body[at] if symbol == _SMALL else _LARGE.unpack_from(body, at)[0])
        at += symbol
    return deltas


def _read_statuses(body: memoryview, count: int) -> tuple[list[int], list[int], int]:
    """Offsets and symbols of everything received, and where the deltas begin.

    The work is bounded: what is received needs a byte of delta each, which is checked as it is read.
    """
    at = _FIXED.size
    room = len(body)
    offset = 0
    offsets: list[int] = []
    received: list[int] = []
    while offset < count:
        if at + 2 > room:
            raise _broken("chunks run over the end")
        chunk: int = _CHUNK.unpack_from(body, at)[0]
        at += 2
        symbols = _symbols(chunk, count - offset)
        if isinstance(symbols, int):
            offset += symbols
            continue
        if len(received) + len(symbols) > room + 14:
            raise _broken("deltas run over the end")
        end = offset + len(symbols)
        if 0 in symbols:
            offsets += compress(range(offset, end), symbols)
            received += filter(None, symbols)
        else:
            offsets += range(offset, end)
            received += symbols
        offset = end
    if _RESERVED in received:
        raise _broken("reserved symbol")
    return offsets, received, at


def _symbols(chunk: int, left: int) -> Sequence[int] | int:
    """A chunk's symbols, at most ``left`` of them; a run of packets not received as its mere length."""
    if not chunk & 0x8000:
        run = min(chunk & _MAX_RUN, left)
        symbol = chunk >> 13 & 3
        if run == 0:
            raise _broken("empty run")
        return run if symbol == _NOT_RECEIVED else (symbol,) * run
    if chunk & 0x4000:
        return [chunk >> shift & 3 for shift in range(12, -2, -2)][:left]
    return [chunk >> shift & 1 for shift in range(13, -1, -1)][:left]


def pack(feedback: TransportFeedback) -> bytes:
    """The feedback after the RTCP header, padded with zeros to whole words.

    :raises ValueError: an arrival more than 8 s from the one before it, or out of order by offset.
    """
    symbols = [_NOT_RECEIVED] * feedback.status_count
    deltas = bytearray()
    before, last = 0, -1
    for offset, time in feedback.arrivals:
        delta = time - before
        before = time
        if not last < offset < feedback.status_count or not -0x8000 <= delta <= 0x7FFF:
            raise ValueError("an arrival cannot be told")
        last = offset
        if 0 <= delta <= 0xFF:
            symbols[offset] = _SMALL
            deltas.append(delta)
        else:
            symbols[offset] = _LARGE_DELTA
            deltas += _LARGE.pack(delta)
    head = _FIXED.pack(
        feedback.sender_ssrc,
        feedback.media_ssrc,
        feedback.base_sequence,
        feedback.status_count,
        feedback.reference_time << 8 | feedback.feedback_count,
    )
    body = head + b"".join(map(_CHUNK.pack, _chunks(symbols))) + deltas
    return body + bytes(-len(body) % 4)


def _chunks(symbols: Sequence[int]) -> Iterator[int]:
    """Status chunks, each the one that says most: a long run, 14 one-bit symbols, or 7 two-bit ones."""
    runs = [(symbol, len(list(group))) for symbol, group in groupby(symbols)]
    run_ends: list[int] = []
    for _, length in runs:
        run_ends.append((run_ends[-1] if run_ends else 0) + length)
    at = index = 0
    while at < len(symbols):
        while run_ends[index] <= at:
            index += 1
        run = min(run_ends[index] - at, _MAX_RUN)
        ahead = symbols[at : at + 14]
        one_bit = _LARGE_DELTA not in ahead
        if run >= min(len(ahead), 14 if one_bit else 7):
            yield symbols[at] << 13 | run
            at += run
        elif one_bit:
            yield 0x8000 | sum(symbol << 13 - place for place, symbol in enumerate(ahead))
            at += 14
        else:
            yield 0xC000 | sum(symbol << 12 - 2 * place for place, symbol in enumerate(ahead[:7]))
            at += 7

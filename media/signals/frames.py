"""The wire frame of a sampled signal: about 100 ms of every lead, with its place in the stream.

Layout, little-endian::

     0  2  "HZ"
     2  1  version, 1
     3  1  flags: 1 payload is delta + zlib, 2 backfill, 4 seam (the source restarted before this frame)
     4 16  stream id (UUID, big-endian as RFC 9562 writes it)
    20  8  sequence number, from 0
    28  8  device time of the first sample, ns since the Unix epoch
    36  4  sampling rate, mHz
    40  1  leads
    41  1  reserved, 0
    42  2  samples per lead
    44  4  CRC of the descriptor
    48  4  payload length
    52  n  payload
    52+n 4 CRC-32 of everything before

Plain payload: int16, sample after sample, leads interleaved. Compressed: zlib (RFC 1950) of each
lead's first differences (int16, wrapping, the first one against zero), lead after lead.
"""

from __future__ import annotations

import struct
import uuid
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from media.errors import RemoteProtocolError
from media.limits import SIGNAL_MAX_FRAME_BYTES, SIGNAL_MAX_LEADS, SIGNAL_MAX_SAMPLES
from media.signals.descriptor import StreamDescriptor
from media.signals.errors import (
    SIGNAL_CRC,
    SIGNAL_LEAD_SET_CHANGED,
    SIGNAL_MALFORMED,
    SIGNAL_OUT_OF_RANGE,
    SIGNAL_RATE_CHANGED,
    SIGNAL_TOO_LARGE,
    SIGNAL_WRONG_STREAM,
)

MAGIC = b"HZ"
VERSION = 1
FLAG_DELTA = 1
FLAG_BACKFILL = 2
FLAG_SEAM = 4
KNOWN_FLAGS = FLAG_DELTA | FLAG_BACKFILL | FLAG_SEAM

HEADER = struct.Struct("<2sBB16sQQIBBHII")
TRAILER = struct.Struct("<I")
_KNOWN = struct.Struct("<3sB16sQQ6sHII")  # the same in fewer pieces: magic and version, rate and leads
_START = MAGIC + bytes([VERSION])
HEADER_SIZE = HEADER.size
_FLAGS_AT = 3
_WHOLE_CRC = 0x2144DF1C  # CRC-32 of whatever ends with its own, little-endian: its residue
COMPRESSION_LEVEL = 6  # 100 ms of 12 leads at 1 kHz: about 40 % of raw in 0.1 ms

Samples = NDArray[np.int16]
Payload = bytes


class FrameHeader(NamedTuple):
    """The fixed part of a frame, readable without its descriptor. A tuple: thousands are made a second."""

    flags: int
    stream_id: str
    sequence: int
    device_time_ns: int
    sampling_rate_mhz: int
    leads: int
    samples_per_lead: int
    descriptor_crc: int
    payload_length: int

    @property
    def end_ns(self) -> int:
        """Device time behind the last sample, ns."""
        return self.device_time_ns + self.samples_per_lead * 10**12 // self.sampling_rate_mhz


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A run of samples.

    :param sequence: from 0, one more per frame of the stream.
    :param device_time_ns: the device's clock at the first sample, ns since the Unix epoch.
    :param sampling_rate_mhz: millihertz.
    :param flags: ``FLAG_*``.
    :param samples: int16, shape (samples, leads).
    """

    stream_id: str
    sequence: int
    device_time_ns: int
    sampling_rate_mhz: int
    descriptor_crc: int
    flags: int
    samples: Samples

    @classmethod
    def of(
        cls,
        descriptor: StreamDescriptor,
        sequence: int,
        device_time_ns: int,
        samples: Samples,
        flags: int = FLAG_DELTA,
    ) -> Frame:
        """A frame of the stream that ``descriptor`` describes."""
        return cls(
            descriptor.stream_id,
            sequence,
            device_time_ns,
            descriptor.sampling_rate_mhz,
            descriptor.crc,
            flags,
            samples,
        )

    @property
    def duration_s(self) -> float:
        """Seconds from the first sample to the one after the last."""
        return len(self.samples) * 1000 / self.sampling_rate_mhz


def encode(frame: Frame) -> bytes:
    """The bytes of a frame; compressed when its flags say so.

    :raises ValueError: samples are not int16 of shape (1..n, 1..n), or too large.
    """
    samples = frame.samples
    if samples.dtype != np.int16 or samples.ndim != 2 or 0 in samples.shape:
        raise ValueError("samples must be int16 of shape (samples, leads)")
    if samples.shape[0] > SIGNAL_MAX_SAMPLES or samples.shape[1] > SIGNAL_MAX_LEADS:
        raise ValueError("too many samples or leads for one frame")
    payload = _pack(samples) if frame.flags & FLAG_DELTA else samples.astype("<i2").tobytes()
    head = HEADER.pack(
        MAGIC,
        VERSION,
        frame.flags,
        uuid.UUID(frame.stream_id).bytes,
        frame.sequence,
        frame.device_time_ns,
        frame.sampling_rate_mhz,
        samples.shape[1],
        0,
        samples.shape[0],
        frame.descriptor_crc,
        len(payload),
    )
    body = head + payload
    if len(body) + TRAILER.size > SIGNAL_MAX_FRAME_BYTES:
        raise ValueError("frame is larger than SIGNAL_MAX_FRAME_BYTES")
    return body + TRAILER.pack(zlib.crc32(body))


def read_header(data: bytes) -> FrameHeader:
    """Check a frame's length, CRC and fixed fields.

    :raises RemoteProtocolError: ``signal_too_large``, ``signal_malformed`` or ``signal_crc``.
    """
    if len(data) > SIGNAL_MAX_FRAME_BYTES:
        raise RemoteProtocolError(SIGNAL_TOO_LARGE, f"{len(data)} bytes")
    if len(data) < HEADER_SIZE + TRAILER.size:
        raise RemoteProtocolError(SIGNAL_MALFORMED, "shorter than a header")
    fields = HEADER.unpack_from(data)
    magic, version, flags, stream, sequence, device_time, rate, leads, reserved, samples, crc, length = fields
    if magic != MAGIC or version != VERSION or reserved or flags & ~KNOWN_FLAGS:
        raise RemoteProtocolError(SIGNAL_MALFORMED, "not a frame of version 1")
    if length != len(data) - HEADER_SIZE - TRAILER.size:
        raise RemoteProtocolError(SIGNAL_MALFORMED, "payload length")
    if zlib.crc32(data) != _WHOLE_CRC:
        raise RemoteProtocolError(SIGNAL_CRC)
    if not 0 < samples <= SIGNAL_MAX_SAMPLES or not 0 < leads <= SIGNAL_MAX_LEADS or not rate:
        raise RemoteProtocolError(SIGNAL_MALFORMED, "samples, leads or rate out of range")
    stream_id = str(uuid.UUID(bytes=stream))
    return FrameHeader(flags, stream_id, sequence, device_time, rate, leads, samples, crc, length)


def check_header(header: FrameHeader, descriptor: StreamDescriptor) -> None:
    """Compare a frame with what was announced.

    :raises RemoteProtocolError: ``signal_wrong_stream``, ``signal_rate_changed`` or
        ``signal_lead_set_changed``.
    """
    if header.stream_id != descriptor.stream_id:
        raise RemoteProtocolError(SIGNAL_WRONG_STREAM)
    if header.sampling_rate_mhz != descriptor.sampling_rate_mhz:
        raise RemoteProtocolError(
            SIGNAL_RATE_CHANGED, f"{header.sampling_rate_mhz} mHz, announced {descriptor.sampling_rate_mhz}"
        )
    if header.leads != len(descriptor.leads) or header.descriptor_crc != descriptor.crc:
        raise RemoteProtocolError(
            SIGNAL_LEAD_SET_CHANGED, f"{header.leads} leads, announced {len(descriptor.leads)}"
        )


def _header_of(data: bytes, descriptor: StreamDescriptor) -> FrameHeader:
    """:raises RemoteProtocolError: any code of `read_header` and `check_header`."""
    header = _expected(data, descriptor)
    if header is None:  # then this says why
        header = read_header(data)
        check_header(header, descriptor)
    return header


def _expected(data: bytes, known: StreamDescriptor) -> FrameHeader | None:
    """The header of a frame with which nothing is wrong, as `read_header` and `check_header` would have it.

    What never changes in a stream is compared as bytes, for this is done thousands of times a second.
    """
    if not HEADER_SIZE + TRAILER.size <= len(data) <= SIGNAL_MAX_FRAME_BYTES:
        return None
    start, flags, stream, sequence, time_ns, shape, samples, crc, length = _KNOWN.unpack_from(data)
    if (
        start != _START
        or flags & ~KNOWN_FLAGS
        or stream != known.stream_bytes
        or shape != known.shape_bytes
        or not 0 < samples <= SIGNAL_MAX_SAMPLES
        or crc != known.crc
        or length != len(data) - HEADER_SIZE - TRAILER.size
        or zlib.crc32(data) != _WHOLE_CRC
    ):
        return None
    rate, leads = known.sampling_rate_mhz, len(known.leads)
    return FrameHeader(flags, known.stream_id, sequence, time_ns, rate, leads, samples, crc, length)


def inspect(data: bytes, descriptor: StreamDescriptor) -> tuple[FrameHeader, Payload]:
    """Make sure that `decode` will read a frame of a known stream, without the cost of its samples.

    :returns: its header, and its payload as `payload_of` gives it.
    :raises RemoteProtocolError: any code of `read_header` and `check_header`; ``signal_out_of_range``.
    """
    header = _header_of(data, descriptor)
    payload = payload_of(data, header)
    if descriptor.limits is not None:
        _check_limits(_samples(payload, header), descriptor)
    return header, payload


def decode(data: bytes, descriptor: StreamDescriptor) -> Frame:
    """Read a frame of a known stream.

    :raises RemoteProtocolError: any code of `read_header` and `check_header`.
    """
    header = _header_of(data, descriptor)
    samples = _samples(payload_of(data, header), header)
    return Frame(
        header.stream_id,
        header.sequence,
        header.device_time_ns,
        header.sampling_rate_mhz,
        header.descriptor_crc,
        header.flags,
        samples,
    )


def samples_of(data: bytes, header: FrameHeader) -> Samples:
    """The samples of a frame whose header was read from ``data``: int16, shape (samples, leads).

    :raises RemoteProtocolError: ``signal_malformed``, a payload of another size than the header says.
    """
    return _samples(payload_of(data, header), header)


def samples_of_run(frames: Sequence[tuple[Payload, FrameHeader]]) -> Samples:
    """The samples of frames of one stream that follow each other; all at once when they are alike.

    :param frames: of each, what `payload_of` gave, and its header.
    """
    shapes = {(header.flags & FLAG_DELTA, header.samples_per_lead, header.leads) for _, header in frames}
    delta, samples, leads = next(iter(shapes))
    if len(shapes) > 1 or not delta:
        return np.concatenate([_samples(payload, header) for payload, header in frames])
    raw = b"".join(payload for payload, _ in frames)
    deltas = np.frombuffer(raw, dtype="<i2").reshape(len(frames), leads, samples)
    return deltas.cumsum(axis=2, dtype=np.int16).transpose(0, 2, 1).reshape(-1, leads)


def mark_backfill(data: bytes) -> bytes:
    """The same frame with the backfill flag: it was measured earlier and is sent late."""
    return _flagged(data, data[_FLAGS_AT] | FLAG_BACKFILL)


def _flagged(data: bytes, flags: int) -> bytes:
    body = bytearray(data[: -TRAILER.size])
    body[_FLAGS_AT] = flags
    return bytes(body) + TRAILER.pack(zlib.crc32(body))


def fingerprint_of(data: bytes, header: FrameHeader) -> int:
    """The CRC of the frame as it is sent live, which it brings along; backfill has the same."""
    if header.flags & FLAG_BACKFILL:
        data = _flagged(data, header.flags & ~FLAG_BACKFILL)
    return int.from_bytes(data[-TRAILER.size :], "little")


def without_flags(frame: Frame, flags: int) -> Frame:
    """The same frame with ``flags`` cleared."""
    return replace(frame, flags=frame.flags & ~flags)


def _pack(samples: Samples) -> bytes:
    previous = np.zeros_like(samples)
    previous[1:] = samples[:-1]
    with np.errstate(over="ignore"):
        deltas = samples - previous
    return zlib.compress(np.ascontiguousarray(deltas.T).astype("<i2").tobytes(), COMPRESSION_LEVEL)


def payload_of(data: bytes, header: FrameHeader) -> Payload:
    """The payload as the header says it is, inflated.

    :raises RemoteProtocolError: ``signal_malformed``, another size than the header says.
    """
    payload = data[HEADER_SIZE : HEADER_SIZE + header.payload_length]
    size = header.samples_per_lead * header.leads * 2
    if header.flags & FLAG_DELTA:
        return _inflate(payload, size)
    if len(payload) != size:
        raise RemoteProtocolError(SIGNAL_MALFORMED, "payload size")
    return payload


def _inflate(payload: bytes, size: int) -> bytes:
    """Inflate ``size`` bytes and at most one more, so that a small frame cannot fill the memory.

    With room for that one the end of the stream is seen by the same call; each gives the interpreter away.
    """
    inflater = zlib.decompressobj()
    try:
        raw = inflater.decompress(payload, size + 1)
    except zlib.error:
        raise RemoteProtocolError(SIGNAL_MALFORMED, "zlib") from None
    if len(raw) != size or not inflater.eof or inflater.unused_data:
        raise RemoteProtocolError(SIGNAL_MALFORMED, "payload size")
    return raw


def _samples(payload: Payload, header: FrameHeader) -> Samples:
    if header.flags & FLAG_DELTA:
        return _sum_up(payload, header.samples_per_lead, header.leads)
    return np.frombuffer(payload, dtype="<i2").reshape(header.samples_per_lead, header.leads)


def _check_limits(samples: Samples, descriptor: StreamDescriptor) -> None:
    """:raises RemoteProtocolError: ``signal_out_of_range``, naming the first lead that is."""
    lows, highs = np.array(descriptor.limits, dtype=np.int16).T
    outside = ((samples < lows) | (samples > highs)).any(axis=0)
    if outside.any():
        lead = descriptor.leads[int(outside.argmax())]
        raise RemoteProtocolError(SIGNAL_OUT_OF_RANGE, f"lead {lead.code}, limits {lead.limits}")


def _sum_up(raw: bytes, samples: int, leads: int) -> Samples:
    deltas = np.frombuffer(raw, dtype="<i2").reshape(leads, samples)
    return np.ascontiguousarray(np.cumsum(deltas, axis=1, dtype=np.int16).T)

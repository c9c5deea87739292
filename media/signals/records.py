"""The append-only file of one stream, as bytes: used by the server's store and by the device's outbox.

::

    file    "HZSTREAM" | u16 version 1 | u32 length | descriptor, JSON | u32 CRC-32 of all before
    record  u32 length of body | u8 kind | u64 received at, ns Unix | body | u32 CRC-32 of all before

Kinds: 1 a wire frame exactly as it came, 2 a mark (JSON object with ``code``), 3 a loss: frames that the
device says it can never send (JSON object with ``first``, ``last``, ``reason``), 4 an alarm of the analysis
as it stands (JSON object, PROTOCOL.md; the last one of an ``id`` counts). Little-endian. A record that is not
whole while one after it is was damaged on the disk and is stepped over; a bad record with nothing whole
behind it is a torn tail.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from media.errors import LocalProtocolError, RemoteProtocolError
from media.limits import SIGNAL_MAX_FRAME_BYTES, SIGNAL_MAX_TEXT_BYTES
from media.signals import frames
from media.signals.analysis.findings import Alarm
from media.signals.descriptor import StreamDescriptor
from media.signals.errors import STORE_DAMAGED

MAGIC = b"HZSTREAM"
VERSION = 1
FRAME_START = frames.MAGIC + bytes([frames.VERSION])
RESYNC_BYTES = 4 * SIGNAL_MAX_FRAME_BYTES  # a damaged disk sector spoils one or two records
KIND_FRAME = 1
KIND_MARK = 2
KIND_LOST = 3
KIND_ALARM = 4
KINDS = (KIND_FRAME, KIND_MARK, KIND_LOST, KIND_ALARM)

_FILE_HEAD = struct.Struct("<8sHI")
_RECORD_HEAD = struct.Struct("<IBQ")
_CRC = struct.Struct("<I")
OVERHEAD = _RECORD_HEAD.size + _CRC.size


@dataclass(frozen=True, slots=True)
class Record:
    """One record of the file.

    :param offset: where it begins, bytes.
    :param received_ns: the writer's wall clock, ns since the Unix epoch.
    """

    offset: int
    kind: int
    received_ns: int
    body: bytes

    @property
    def end(self) -> int:
        return self.offset + OVERHEAD + len(self.body)


def file_header(descriptor: StreamDescriptor) -> bytes:
    """The first bytes of a stream's file."""
    text = json.dumps(descriptor.as_json(), separators=(",", ":"), ensure_ascii=False).encode()
    head = _FILE_HEAD.pack(MAGIC, VERSION, len(text)) + text
    return head + _CRC.pack(zlib.crc32(head))


def read_file_header(file: BinaryIO) -> StreamDescriptor:
    """Read the header from the start of ``file`` and stay behind it.

    :raises LocalProtocolError: ``store_damaged``.
    """
    head = file.read(_FILE_HEAD.size)
    if len(head) < _FILE_HEAD.size:
        raise LocalProtocolError(STORE_DAMAGED, "header")
    magic, version, length = _FILE_HEAD.unpack(head)
    if magic != MAGIC or version != VERSION or length > SIGNAL_MAX_TEXT_BYTES:
        raise LocalProtocolError(STORE_DAMAGED, "header")
    text = file.read(length)
    crc = file.read(_CRC.size)
    if len(crc) < _CRC.size or _CRC.unpack(crc)[0] != zlib.crc32(head + text):
        raise LocalProtocolError(STORE_DAMAGED, "header")
    try:
        return StreamDescriptor.from_json(json.loads(text))
    except (ValueError, RemoteProtocolError):
        raise LocalProtocolError(STORE_DAMAGED, "descriptor") from None


def record(kind: int, received_ns: int, body: bytes) -> bytes:
    """The bytes of one record."""
    data = _RECORD_HEAD.pack(len(body), kind, received_ns) + body
    return data + _CRC.pack(zlib.crc32(data))


def mark_body(code: str) -> bytes:
    """The body of a mark: the stream broke off by fault ``code``."""
    return json.dumps({"code": code}).encode()


def mark_code(body: bytes) -> str:
    """The fault code of a mark's body."""
    value = json.loads(body)
    return str(value.get("code", "")) if isinstance(value, dict) else ""


@dataclass(frozen=True, slots=True)
class Loss:
    """Frames ``first`` to ``last`` are lost for ever; the device says why."""

    first: int
    last: int
    reason: str

    def body(self) -> bytes:
        """The body of its record."""
        return json.dumps({"first": self.first, "last": self.last, "reason": self.reason}).encode()

    @classmethod
    def read(cls, body: bytes) -> Loss:
        """From `body`, which a CRC has vouched for."""
        value = json.loads(body)
        return cls(int(value["first"]), int(value["last"]), str(value["reason"]))


def alarm_body(alarm: Alarm) -> bytes:
    """The body of an alarm's record."""
    return json.dumps(alarm.as_json(), separators=(",", ":"), ensure_ascii=False).encode()


def alarm_of(body: bytes) -> Alarm:
    """The alarm of a record's body."""
    return Alarm.from_json(json.loads(body))


def read_record(file: BinaryIO, offset: int) -> Record | None:
    """The record at ``offset``, or None when it is not whole."""
    file.seek(offset)
    head = file.read(_RECORD_HEAD.size)
    if len(head) < _RECORD_HEAD.size:
        return None
    length, kind, received_ns = _RECORD_HEAD.unpack(head)
    if length > SIGNAL_MAX_FRAME_BYTES or kind not in KINDS:
        return None
    body = file.read(length)
    crc = file.read(_CRC.size)
    if len(crc) < _CRC.size or _CRC.unpack(crc)[0] != zlib.crc32(head + body):
        return None
    return Record(offset, kind, received_ns, body)


def scan(file: BinaryIO, offset: int) -> Iterator[Record]:
    """Every whole record from ``offset`` on; ends before a torn tail."""
    while True:
        found = read_record(file, offset) or _next_whole(file, offset)
        if found is None:
            return
        yield found
        offset = found.end


def _next_whole(file: BinaryIO, offset: int) -> Record | None:
    """The first whole frame record behind a damaged place, looking ``RESYNC_BYTES`` ahead."""
    start = offset + _RECORD_HEAD.size + 1
    file.seek(start)
    ahead = file.read(RESYNC_BYTES)
    at = ahead.find(FRAME_START)
    while at >= 0:
        found = read_record(file, start + at - _RECORD_HEAD.size)
        if found is not None:
            return found
        at = ahead.find(FRAME_START, at + 1)
    return None

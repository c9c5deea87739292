"""Targets of the signaling layer: Socket.IO requests, signal frames, the signal sockets' text messages."""

from __future__ import annotations

import json
import zlib
from typing import Any

import numpy as np
from socketio.packet import CONNECT, DISCONNECT

from loadtest.fuzz import Target
from media.errors import RemoteProtocolError
from media.limits import SIGNAL_MAX_FRAME_BYTES, SIGNAL_MAX_TEXT_BYTES
from media.signals import wire
from media.signals.descriptor import Lead, StreamDescriptor
from media.signals.frames import HEADER_SIZE, Frame, decode, encode
from signaling import messages
from signaling.gateway_packets import RequestPacket
from signaling.limits import MESSAGE_BYTES_MAX

_DTLS = {"role": "client", "fingerprints": [{"algorithm": "sha-256", "value": ":".join(["AB"] * 32)}]}
_RTP = {
    "mid": "0",
    "codecs": [{"mimeType": "video/VP8", "payloadType": 96, "clockRate": 90000, "parameters": {}}],
    "headerExtensions": [{"uri": "urn:ietf:params:rtp-hdrext:sdes:mid", "id": 1}],
    "encodings": [{"rid": "q"}, {"rid": "h"}],
    "rtcp": {"cname": "c"},
}
_REQUESTS: dict[str, dict[str, Any]] = {
    "join": {"rtpCapabilities": {"codecs": [], "headerExtensions": []}},
    "connectTransport": {"transportId": "t-1", "dtlsParameters": _DTLS},
    "produce": {"transportId": "t-1", "kind": "video", "rtpParameters": _RTP, "source": "camera"},
    "produceData": {"transportId": "t-1", "sctpStreamParameters": {"streamId": 1, "ordered": True}},
    "resumeConsumers": {"consumerIds": ["k-1", "k-2"]},
    "setPreferredLayers": {"consumerId": "k-1", "spatialLayer": 1, "temporalLayer": 2},
    "chat": {"text": "请把探头往左一点"},
    "removePeer": {"peerId": "p-1", "reason": "x"},
    "mutePeer": {"peerId": "p-1", "source": "microphone"},
    "stats": {},
}
_JSON_WORDS = (
    b"null", b"true", b"-1", b"1e999", b"NaN", b'""', b"[]", b"{}", b"[[[[[[[[", b'"\\ud800"', b"9" * 400,
    b'{"a":', b"\xff\xfe", b'"streamId":', b'"consumerIds":', b",",
)  # fmt: skip


def _parse_message(data: bytes) -> None:
    """As a Socket.IO text frame goes: the packet never raises, its request is read or refused."""
    packet = RequestPacket(encoded_packet=data.decode("utf-8", "replace"))
    if packet.packet_type in (CONNECT, DISCONNECT) or not data:
        return  # the library's own business; an empty packet names no namespace and goes nowhere
    _, name, arguments, _, fault = packet.data
    if fault is not None:
        raise fault
    messages.parse(name, arguments)


def _packets() -> tuple[bytes, ...]:
    return tuple(
        f"2/room,{number}{json.dumps([name, data], ensure_ascii=False)}".encode()
        for number, (name, data) in enumerate(_REQUESTS.items())
    )


_ECG = StreamDescriptor(
    "3f2b8a4e-0d5c-4b7e-9a57-0c1d2e3f4a5b",
    "ecg",
    "12 leads",
    1000.0,
    tuple(Lead(name, scale=1.25) for name in ("I", "II", "V1")),
)


def _frames() -> tuple[bytes, ...]:
    samples = (np.arange(300, dtype=np.int16) * 37 % 1000).reshape(100, 3)
    return tuple(
        encode(Frame.of(_ECG, number, 10**18, samples, flags)) for number, flags in enumerate((0, 1))
    )


def _parse_frame(data: bytes) -> None:
    if not decode(data, _ECG).samples.size:
        raise ValueError("a frame without samples")


def _mend_frame(data: bytes) -> bytes:
    """Right payload length (the header's last field) and CRC."""
    if len(data) < HEADER_SIZE + 4:
        return data
    length = (len(data) - HEADER_SIZE - 4).to_bytes(4, "little")
    body = data[: HEADER_SIZE - 4] + length + data[HEADER_SIZE:-4]
    return body + zlib.crc32(body).to_bytes(4, "little")


def _parse_wire(data: bytes) -> None:
    """Which end's message it is, is told by its type; all three readers must hold whatever comes."""
    text = data.decode("utf-8", "replace")
    readers = (wire.parse_publish, wire.parse_view, wire.parse_reply)
    refusals = []
    for reader in readers:
        try:
            reader(text)
        except RemoteProtocolError as refusal:
            refusals.append(refusal)
    if len(refusals) == len(readers):
        raise refusals[0]


_WIRE = (
    wire.announce("token", _ECG),
    wire.end(),
    wire.watch("token"),
    wire.accepted(_ECG.stream_id, -1, 60),
    wire.ack(41),
    wire.ended(_ECG.stream_id),
)

MESSAGES = Target(_packets(), _parse_message, MESSAGE_BYTES_MAX, words=_JSON_WORDS)
SIGNAL_FRAMES = Target(_frames(), _parse_frame, SIGNAL_MAX_FRAME_BYTES, mend=_mend_frame)
SIGNAL_WIRE = Target(
    tuple(text.encode() for text in _WIRE), _parse_wire, SIGNAL_MAX_TEXT_BYTES, words=_JSON_WORDS
)

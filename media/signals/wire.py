"""The JSON text messages of ``/signals/publish`` and ``/signals/view``; frames travel beside them as binary.

::

    publish   device -> server   announce {token, stream}   lost {first, last, reason}   end {}
              server -> device   accepted {streamId, durableSequence, frameMs}
                                 ack {sequence, frameMs?}   ended {streamId}
    view      viewer -> server   watch {token}   acknowledge {id}   limits {patients, low?, high?}
              server -> viewer   streams {streams}   stream {stream}   ended {streamId, code, message}
                                 limits {patients, low, high, by}
                                 analysis {...}   alarm {...}   refused {id, code, blame, message, detail}
                                 clock {streamId, at, offset, driftPpm, jumps}   storing {code, message}
    both      server -> peer     error {code, blame, message: {zh, en}, detail}
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from media.errors import ErrorCode, Fault, RemoteProtocolError
from media.limits import SIGNAL_MAX_TEXT_BYTES
from media.signals.analysis.findings import Alarm, Analysis
from media.signals.analysis.patients import RoomLimits, WantedLimits
from media.signals.clock import ClockLine
from media.signals.descriptor import StreamDescriptor, stream_uuid
from media.signals.errors import SIGNAL_MALFORMED, SIGNAL_TOO_LARGE

_WORD = re.compile(r"[a-z][a-z_]{0,39}")

FRAME_MS = 60  # asked of a device: a display is behind by one frame, and has 120 ms in all
LONG_FRAME_MS = 100  # asked instead when many send: a frame has its price, whatever it holds
LONGEST_FRAME_MS = 200  # and when very many do: an eye is behind by as much, and the record by nothing
FRAME_MS_MIN, FRAME_MS_MAX = 20, 500  # what a server may ask of a device

CLOSE_DONE = 1000  # RFC 6455 section 7.4.1: normal closure
CLOSE_PEER_FAULT = 4400  # the error message before it says what the peer did wrong; do not retry
CLOSE_TIMEOUT = 4408  # nothing came for too long; connect again when there is something to send
CLOSE_SERVER_FAULT = 4500  # the server could not; keep the data and retry later


@dataclass(frozen=True, slots=True)
class Announce:
    """A device wants to send ``stream`` and shows its room token."""

    token: str = field(repr=False)
    stream: StreamDescriptor


@dataclass(frozen=True, slots=True)
class Lost:
    """The device can never send frames ``first`` to ``last``; ``reason`` is a word for the record."""

    first: int
    last: int
    reason: str


@dataclass(frozen=True, slots=True)
class End:
    """The device has measured what it wanted to; all its frames are sent."""


@dataclass(frozen=True, slots=True)
class Watch:
    """A viewer wants the signals of the room that its token names."""

    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """A viewer has seen the alarm ``alarm_id`` and says so."""

    alarm_id: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """The server takes the stream; it and all before ``durable_sequence`` are kept (-1: none).

    :param frame_ms: how long a frame the server would like; None when it does not say.
    """

    stream_id: str
    durable_sequence: int
    frame_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Ack:
    """``sequence`` and all before it are durable.

    :param frame_ms: as in `Accepted`, when that has changed; None otherwise.
    """

    sequence: int
    frame_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """The stream is over; everything sent is durable."""

    stream_id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """An error message, as a device or viewer reads it."""

    code: str
    blame: str
    zh: str
    en: str


def parse_publish(text: str) -> Announce | Lost | End:
    """A device's message.

    :raises RemoteProtocolError: ``signal_malformed`` or ``signal_too_large``.
    """
    fields = _fields(text)
    match fields.get("type"):
        case "announce":
            return Announce(_string(fields, "token"), StreamDescriptor.from_json(fields.get("stream")))
        case "lost":
            return _lost(fields)
        case "end":
            return End()
        case _:
            raise RemoteProtocolError(SIGNAL_MALFORMED, "type")


def parse_view(text: str) -> Watch | Acknowledge | WantedLimits:
    """A viewer's message.

    :raises RemoteProtocolError: ``signal_malformed`` or ``signal_too_large``.
    """
    fields = _fields(text)
    match fields.get("type"):
        case "watch":
            return Watch(_string(fields, "token"))
        case "acknowledge":
            return Acknowledge(_string(fields, "id"))
        case "limits":
            return WantedLimits.read(fields)
        case _:
            raise RemoteProtocolError(SIGNAL_MALFORMED, "type")


def parse_reply(text: str) -> Accepted | Ack | Ended | Refused:
    """The server's message to a device.

    :raises RemoteProtocolError: ``signal_malformed``.
    """
    fields = _fields(text)
    match fields.get("type"):
        case "accepted":
            stream_id = stream_uuid(fields.get("streamId"))
            return Accepted(stream_id, _sequence(fields, "durableSequence"), _frame_ms(fields))
        case "ack":
            return Ack(_sequence(fields, "sequence"), _frame_ms(fields))
        case "ended":
            return Ended(stream_uuid(fields.get("streamId")))
        case "error":
            message = fields.get("message")
            sentences = message if isinstance(message, dict) else {}
            zh, en = str(sentences.get("zh", "")), str(sentences.get("en", ""))
            return Refused(_string(fields, "code"), _string(fields, "blame"), zh, en)
        case _:
            raise RemoteProtocolError(SIGNAL_MALFORMED, "type")


def announce(token: str, stream: StreamDescriptor) -> str:
    return _text({"type": "announce", "token": token, "stream": stream.as_json()})


def lost(first: int, last: int, reason: str) -> str:
    return _text({"type": "lost", "first": first, "last": last, "reason": reason})


def end() -> str:
    return _text({"type": "end"})


def watch(token: str) -> str:
    return _text({"type": "watch", "token": token})


def acknowledge(alarm_id: str) -> str:
    return _text({"type": "acknowledge", "id": alarm_id})


def accepted(stream_id: str, durable_sequence: int, frame_ms: int) -> str:
    return _text(
        {
            "type": "accepted",
            "streamId": stream_id,
            "durableSequence": durable_sequence,
            "frameMs": frame_ms,
        }
    )


def ack(sequence: int, frame_ms: int | None = None) -> str:
    wish = {} if frame_ms is None else {"frameMs": frame_ms}
    return _text({"type": "ack", "sequence": sequence, **wish})


def ended(stream_id: str, fault: ErrorCode | None = None) -> str:
    """The stream is over.

    :param fault: of the device, by which it broke off; viewers are told.
    """
    return _text({"type": "ended", "streamId": stream_id, **_said(fault)})


def error(fault: Fault) -> str:
    return _text({"type": "error", **fault.as_json()})


def streams(items: Iterable[tuple[StreamDescriptor, bool, ErrorCode | None]]) -> str:
    """The viewer's first message: every stream of the room, whether it is live, and how it broke off if it
    did.
    """
    return _text({"type": "streams", "streams": [_viewed(*item) for item in items]})


def stream(descriptor: StreamDescriptor, live: bool = True) -> str:
    """One stream started, or started again."""
    return _text({"type": "stream", "stream": _viewed(descriptor, live)})


def analysis(found: Analysis) -> str:
    """What a stream shows now, about once a second."""
    return _text({"type": "analysis", **found.as_json()})


def alarm(found: Alarm) -> str:
    """An alarm was raised, ended or acknowledged."""
    return _text({"type": "alarm", **found.as_json()})


def limits(found: RoomLimits) -> str:
    """The limits of a room's alarms, and who chose them."""
    return _text({"type": "limits", **found.as_json()})


def want_limits(wanted: WantedLimits) -> str:
    return _text({"type": "limits", "patients": wanted.patients, "low": wanted.low, "high": wanted.high})


def refused(alarm_id: str, fault: Fault) -> str:
    """An acknowledgement was not taken; the socket stays."""
    return _text({"type": "refused", "id": alarm_id, **fault.as_json()})


def storing(fault: ErrorCode | None) -> str:
    """Whether what comes is being kept: the fault that keeps the store from it, or None again."""
    return _text({"type": "storing", "code": None, "message": None, **_said(fault)})


def clock(stream_id: str, line: ClockLine, jumps: int) -> str:
    """How a viewer puts a stream on the session's clock; times are seconds."""
    return _text(
        {
            "type": "clock",
            "streamId": stream_id,
            "at": line.anchor_ns / 1e9,
            "offset": line.offset_ns / 1e9,
            "driftPpm": round(line.drift * 1e6, 3),
            "jumps": jumps,
        }
    )


def _viewed(descriptor: StreamDescriptor, live: bool, fault: ErrorCode | None = None) -> dict[str, Any]:
    return {**descriptor.as_json(), "live": live, **_said(fault)}


def _said(fault: ErrorCode | None) -> dict[str, Any]:
    return {} if fault is None else {"code": fault.code, "message": {"zh": fault.zh, "en": fault.en}}


def _text(message: Mapping[str, Any]) -> str:
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False)


def _fields(text: str) -> Mapping[str, object]:
    if len(text) > SIGNAL_MAX_TEXT_BYTES:
        raise RemoteProtocolError(SIGNAL_TOO_LARGE, "text message")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise RemoteProtocolError(SIGNAL_MALFORMED, "JSON") from None
    if not isinstance(value, dict):
        raise RemoteProtocolError(SIGNAL_MALFORMED, "not an object")
    return value


def _lost(fields: Mapping[str, object]) -> Lost:
    first, last, reason = _sequence(fields, "first"), _sequence(fields, "last"), _string(fields, "reason")
    if not 0 <= first <= last or not _WORD.fullmatch(reason):
        raise RemoteProtocolError(SIGNAL_MALFORMED, "lost")
    return Lost(first, last, reason)


def _frame_ms(fields: Mapping[str, object]) -> int | None:
    """A wish, not a promise: what makes no sense is as if it were not said."""
    value = fields.get("frameMs")
    return value if isinstance(value, int) and FRAME_MS_MIN <= value <= FRAME_MS_MAX else None


def _string(fields: Mapping[str, object], key: str) -> str:
    value = fields.get(key)
    if not isinstance(value, str) or not value:
        raise RemoteProtocolError(SIGNAL_MALFORMED, key)
    return value


def _sequence(fields: Mapping[str, object], key: str) -> int:
    value = fields.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or not -1 <= value < 1 << 63:
        raise RemoteProtocolError(SIGNAL_MALFORMED, key)
    return value

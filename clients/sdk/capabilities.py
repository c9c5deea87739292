"""What this sdk can receive, as mediasoup's ``rtpCapabilities``; the router's numbers are used, not these."""

from __future__ import annotations

from typing import Any

from media.ortc.capabilities import MID

_TRANSPORT_CC = {"type": "transport-cc", "parameter": ""}
_FEEDBACK = [{"type": "nack", "parameter": ""}, {"type": "nack", "parameter": "pli"}, _TRANSPORT_CC]
NUMBER_URI = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
_EXTENSIONS = ((MID, 1), (NUMBER_URI, 5))


def rtp_capabilities() -> dict[str, Any]:
    """Opus, VP8 and H.264 constrained baseline, with RTX; mid and transport-wide numbers as extensions."""
    return {
        "codecs": [
            _codec("audio", "audio/opus", 100, 48_000, {"useinbandfec": 1}, [_TRANSPORT_CC], channels=2),
            _codec("video", "video/VP8", 101, 90_000, {}, _FEEDBACK),
            _codec("video", "video/rtx", 102, 90_000, {"apt": 101}),
            _codec("video", "video/H264", 103, 90_000, _H264, _FEEDBACK),
            _codec("video", "video/rtx", 104, 90_000, {"apt": 103}),
        ],
        "headerExtensions": [
            {"kind": kind, "uri": uri, "preferredId": number, "direction": "sendrecv"}
            for kind in ("audio", "video")
            for uri, number in _EXTENSIONS
        ],
    }


_H264: dict[str, int | str] = {
    "packetization-mode": 1,
    "profile-level-id": "42e01f",
    "level-asymmetry-allowed": 1,
}


def _codec(
    kind: str,
    mime_type: str,
    payload_type: int,
    clock_rate: int,
    parameters: dict[str, int | str],
    feedback: list[dict[str, str]] | None = None,
    channels: int | None = None,
) -> dict[str, Any]:
    codec: dict[str, Any] = {
        "kind": kind,
        "mimeType": mime_type,
        "preferredPayloadType": payload_type,
        "clockRate": clock_rate,
        "parameters": parameters,
        "rtcpFeedback": feedback or [],
    }
    if channels is not None:
        codec["channels"] = channels
    return codec

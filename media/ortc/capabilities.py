"""What this router forwards, in the order of preference, with payload types and extension ids fixed.

The ids are the router's own: every producer's are mapped to them, every consumer uses them. Feedback is
offered only where the relay answers it; an offer that is not kept starves the sender.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from media.ortc.model import Codec, HeaderExtensionCapability, RtcpFeedback, RtpCapabilities

MID = "urn:ietf:params:rtp-hdrext:sdes:mid"  # RFC 8843
RID = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"  # RFC 8852
REPAIRED_RID = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"  # RFC 8852
ABS_SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
TRANSPORT_CC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
AUDIO_LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"  # RFC 6464
VIDEO_ORIENTATION = "urn:3gpp:video-orientation"  # 3GPP TS 26.114

_CONGESTION_FEEDBACK = (RtcpFeedback("goog-remb"), RtcpFeedback("transport-cc"))
_VIDEO_FEEDBACK = (
    RtcpFeedback("nack"),
    RtcpFeedback("nack", "pli"),
    RtcpFeedback("ccm", "fir"),
    *_CONGESTION_FEEDBACK,
)
_H264 = (("level-asymmetry-allowed", 1), ("packetization-mode", 1), ("profile-level-id", "42e01f"))

ROUTER_CAPABILITIES = RtpCapabilities(
    codecs=(
        # nack without RTX: a voice is sent again as it was (`media.relay.plane.retransmit`)
        Codec(
            "audio/opus",
            100,
            48_000,
            2,
            (("minptime", 10), ("useinbandfec", 1)),
            (RtcpFeedback("nack"), RtcpFeedback("transport-cc")),
        ),
        Codec("audio/red", 63, 48_000, 2),  # after Opus: who does not ask for it does not send it
        Codec("video/VP8", 101, 90_000, feedback=_VIDEO_FEEDBACK),
        Codec("video/rtx", 102, 90_000, parameters=(("apt", 101),)),
        Codec("video/H264", 103, 90_000, parameters=_H264, feedback=_VIDEO_FEEDBACK),
        Codec("video/rtx", 104, 90_000, parameters=(("apt", 103),)),
    ),
    header_extensions=(
        HeaderExtensionCapability("audio", MID, 1),
        HeaderExtensionCapability("video", MID, 1),
        HeaderExtensionCapability("video", RID, 2, "recvonly"),
        HeaderExtensionCapability("video", REPAIRED_RID, 3, "recvonly"),
        HeaderExtensionCapability("audio", ABS_SEND_TIME, 4),
        HeaderExtensionCapability("video", ABS_SEND_TIME, 4),
        HeaderExtensionCapability("audio", TRANSPORT_CC, 5),
        HeaderExtensionCapability("video", TRANSPORT_CC, 5),
        HeaderExtensionCapability("audio", AUDIO_LEVEL, 10),
        HeaderExtensionCapability("video", VIDEO_ORIENTATION, 11),
    ),
)


PLAIN_CAPABILITIES = replace(
    ROUTER_CAPABILITIES,
    codecs=tuple(replace(codec, feedback=()) for codec in ROUTER_CAPABILITIES.codecs if not codec.is_red),
)
"""The same for a receiver that takes every codec as it is, and to which nothing is lost: a recorder."""


def router_rtp_capabilities() -> dict[str, Any]:
    """The capabilities as mediasoup's JSON; a fresh copy each time."""
    return ROUTER_CAPABILITIES.as_json()

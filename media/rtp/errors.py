"""What can be wrong with media packets; all of it is the peer's fault (`RemoteProtocolError`)."""

from __future__ import annotations

from media.errors import ErrorCode

MALFORMED_RTP = ErrorCode("malformed_rtp", 400, "RTP 数据包格式不正确。", "An RTP packet is malformed.")
MALFORMED_RTCP = ErrorCode("malformed_rtcp", 400, "RTCP 数据包格式不正确。", "An RTCP packet is malformed.")
MALFORMED_PAYLOAD = ErrorCode(
    "malformed_payload", 400, "RTP 负载格式不正确。", "The payload of an RTP packet is malformed."
)

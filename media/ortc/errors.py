"""What can go wrong in negotiation."""

from __future__ import annotations

from media.errors import ErrorCode

MALFORMED_RTP_PARAMETERS = ErrorCode(
    "malformed_rtp_parameters", 400, "媒体参数格式不正确。", "The RTP parameters are malformed."
)
MALFORMED_RTP_CAPABILITIES = ErrorCode(
    "malformed_rtp_capabilities", 400, "媒体能力描述格式不正确。", "The RTP capabilities are malformed."
)
UNSUPPORTED_CODEC = ErrorCode(
    "unsupported_codec", 415, "服务器不支持该编码格式。", "The server does not forward this codec."
)
CANNOT_CONSUME = ErrorCode(
    "cannot_consume", 409, "您的设备无法接收该媒体流。", "Your device cannot receive this stream."
)

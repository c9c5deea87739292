"""Error codes of the transports."""

from __future__ import annotations

from media.errors import ErrorCode

DTLS_PARAMETERS_INVALID = ErrorCode(
    "dtls_parameters_invalid", 400, "DTLS 参数无效。", "The DTLS parameters are not usable."
)
ICE_PARAMETERS_INVALID = ErrorCode(
    "ice_parameters_invalid", 400, "ICE 参数无效。", "The ICE parameters are not usable."
)
STUN_MALFORMED = ErrorCode("stun_malformed", 400, "STUN 报文格式不正确。", "The STUN message is malformed.")
TRANSPORT_CONNECTED = ErrorCode(
    "transport_connected", 409, "传输通道已经连接过。", "The transport was connected before."
)
TRANSPORT_FAILED = ErrorCode(
    "transport_failed", 502, "媒体通道未能建立。", "The media transport could not be established."
)
DATA_STREAM_INVALID = ErrorCode(
    "data_stream_invalid", 400, "数据通道参数无效。", "The data stream's parameters are not usable."
)
FRAME_TOO_LONG = ErrorCode(
    "frame_too_long", 400, "TCP 媒体帧过长。", "A frame of media over TCP is too long."
)
NATIVE_UNAVAILABLE = ErrorCode(
    "native_unavailable",
    500,
    "编译的媒体平面不可用。",
    "The compiled media plane was asked for and cannot be used.",
)

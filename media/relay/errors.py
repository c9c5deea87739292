"""What can go wrong in the relay."""

from __future__ import annotations

from media.errors import ErrorCode

DUPLICATE_SSRC = ErrorCode(
    "duplicate_ssrc", 409, "该 SSRC 已被使用。", "The SSRC is already in use on this transport."
)
DUPLICATE_STREAM_ID = ErrorCode(
    "duplicate_stream_id", 409, "该数据流编号已被使用。", "The data stream id is already in use."
)
UNKNOWN_PRODUCER = ErrorCode("unknown_producer", 404, "找不到该媒体流。", "There is no such producer.")
WRONG_KIND = ErrorCode("wrong_kind", 400, "媒体类型与编码不一致。", "The kind is not the kind of the codecs.")
MALFORMED_SCTP_PARAMETERS = ErrorCode(
    "malformed_sctp_parameters", 400, "数据流参数格式不正确。", "The SCTP stream parameters are malformed."
)

"""The stable error codes of signaling; the table in PROTOCOL.md is this list."""

from __future__ import annotations

from media.errors import ErrorCode

TOKEN_MISSING = ErrorCode("token_missing", 401, "缺少访问令牌。", "No token was given.")
TOKEN_INVALID = ErrorCode("token_invalid", 401, "访问令牌无效。", "The token is not valid.")
TOKEN_EXPIRED = ErrorCode(
    "token_expired", 401, "访问令牌已过期，请重新进入。", "The token has expired; enter again."
)
TOKEN_FOREIGN = ErrorCode("token_foreign", 403, "访问令牌不适用于此处。", "The token is for something else.")
TOKEN_REVOKED = ErrorCode("token_revoked", 403, "您的访问已被终止。", "Your access has been ended.")
NOT_GRANTED = ErrorCode("not_granted", 403, "您没有进行此操作的权限。", "You have no grant for this.")
NOT_JOINED = ErrorCode("not_joined", 409, "请先进入会诊室。", "Join the room first.")
ROOM_CLOSED = ErrorCode("room_closed", 410, "会诊室已关闭。", "The room is closed.")
ROOM_ELSEWHERE = ErrorCode(
    "room_elsewhere",
    421,
    "该会诊室在另一台服务器上，请到那里进入。",
    "The room is on another node; enter it there.",
)
ROOM_FULL = ErrorCode("room_full", 409, "会诊室人数已满。", "The room is full.")
TOO_MANY_ROOMS = ErrorCode("too_many_rooms", 503, "服务器上的会诊室过多。", "The server has too many rooms.")
UNKNOWN_EVENT = ErrorCode("unknown_event", 404, "未知的请求。", "There is no such request.")
RATE_LIMITED = ErrorCode("rate_limited", 429, "操作过于频繁，请稍候。", "Too many requests; wait a moment.")
RECORDING_NOT_ALLOWED = ErrorCode(
    "recording_not_allowed", 403, "未取得录制同意，不能录制。", "There is no consent to record."
)
STREAM_BUSY = ErrorCode(
    "stream_busy", 409, "该信号流正由另一连接发送。", "This stream is being sent by another socket."
)
INTERNAL = ErrorCode("internal", 500, "服务器内部错误。", "The server failed.")
RECORDING_FAILED = ErrorCode("recording_failed", 500, "无法开始录制。", "The recording could not be started.")
UNSUPPORTED_MEDIA_TYPE = ErrorCode(
    "unsupported_media_type", 415, "不支持的内容类型。", "The content type is not supported."
)
METHOD_NOT_ALLOWED = ErrorCode(
    "method_not_allowed", 405, "不支持该请求方法。", "The method is not allowed here."
)
NOT_ACCEPTABLE = ErrorCode("not_acceptable", 406, "无法提供所要求的内容类型。", "Only SDP can be answered.")
PRECONDITION_REQUIRED = ErrorCode(
    "precondition_required", 428, "缺少 If-Match 请求头。", "The header If-Match is missing."
)
STREAM_NOT_LIVE = ErrorCode(
    "stream_not_live", 409, "该画面尚未开始传输。", "Nothing of this name is on the air yet."
)
PRECONDITION_FAILED = ErrorCode("precondition_failed", 412, "会话已变更。", "The session has changed.")

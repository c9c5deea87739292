"""The stable error codes of the clinical application. The tree of exceptions is media/errors.py's."""

from __future__ import annotations

from media.errors import ErrorCode

UNAUTHENTICATED = ErrorCode("unauthenticated", 401, "请先登录。", "Please sign in.")
INVALID_CREDENTIALS = ErrorCode(
    "invalid_credentials", 401, "用户名或密码不正确。", "The user name or the password is wrong."
)
TOKEN_INVALID = ErrorCode("token_invalid", 401, "登录凭证无效。", "The sign-in token is not valid.")
TOKEN_EXPIRED = ErrorCode("token_expired", 401, "登录已过期，请重新登录。", "The sign-in has expired.")
FORBIDDEN = ErrorCode("forbidden", 403, "您没有执行此操作的权限。", "You are not allowed to do this.")
TOO_MANY_ATTEMPTS = ErrorCode(
    "too_many_attempts", 429, "尝试次数过多，请稍后再试。", "Too many attempts; please try again later."
)
VALIDATION_FAILED = ErrorCode(
    "validation_failed", 422, "提交的内容不完整或不正确。", "What was sent is incomplete or wrong."
)
METHOD_NOT_ALLOWED = ErrorCode(
    "method_not_allowed", 405, "不支持此请求方法。", "This method is not supported here."
)
VERSION_CONFLICT = ErrorCode(
    "version_conflict",
    409,
    "内容已被他人更新，请刷新后重试。",
    "Someone else changed this; reload and try again.",
)
TICKET_INVALID = ErrorCode(
    "ticket_invalid", 403, "下载链接无效或已过期。", "The download link is not valid or has expired."
)
INTERNAL = ErrorCode("internal", 500, "服务器内部错误。", "The server failed.")
NOT_READY = ErrorCode("not_ready", 503, "服务尚未就绪。", "The service is not ready yet.")
BUSY = ErrorCode("busy", 503, "服务器繁忙，请稍后再试。", "The server is busy; please try again.")
ALREADY_EXISTS = ErrorCode("already_exists", 409, "该内容已存在。", "This exists already.")
CONFIG_INVALID = ErrorCode("config_invalid", 500, "配置文件有误。", "The configuration is not usable.")
PORT_TAKEN = ErrorCode(
    "port_taken",
    500,
    "端口已被占用，可能已有一个服务在运行。",
    "A port is taken already, perhaps by another server of this kind.",
)

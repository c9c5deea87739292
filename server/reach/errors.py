"""The stable error codes of reaching people."""

from __future__ import annotations

from media.errors import ErrorCode

PUSH_SERVICE = ErrorCode(
    "push_service_unknown",
    422,
    "不支持该浏览器的推送服务，请联系管理员。",
    "This browser's push service is not among those that the server is set up for.",
)
PUSH_KEYS = ErrorCode("push_keys_invalid", 422, "推送密钥无效。", "The subscription's keys are not valid.")
TOO_MANY_TESTS = ErrorCode(
    "too_many_tests", 429, "试呼次数过多，请稍后再试。", "Too many test rings; please try again later."
)

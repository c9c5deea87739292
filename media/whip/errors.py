"""Error codes of WHIP and WHEP offers and fragments."""

from __future__ import annotations

from media.errors import ErrorCode

WHIP_OFFER_MALFORMED = ErrorCode(
    "whip_offer_malformed", 400, "SDP 格式不正确。", "The SDP offer cannot be read."
)
WHIP_OFFER_UNUSABLE = ErrorCode(
    "whip_offer_unusable", 422, "服务器无法接受该媒体描述。", "The SDP offer cannot be accepted."
)
WHIP_FRAGMENT_MALFORMED = ErrorCode(
    "whip_fragment_malformed", 400, "SDP 片段格式不正确。", "The SDP fragment cannot be read."
)

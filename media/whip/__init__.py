"""One-shot SDP to and from the relay's parameters, for WHIP (RFC 9725). Text in, values out; no I/O."""

from __future__ import annotations

from media.whip.answer import build_answer
from media.whip.errors import WHIP_OFFER_MALFORMED, WHIP_OFFER_UNUSABLE
from media.whip.offer import OfferedSection, WhipOffer, WhipPart, parse_offer

__all__ = [
    "WHIP_OFFER_MALFORMED",
    "WHIP_OFFER_UNUSABLE",
    "OfferedSection",
    "WhipOffer",
    "WhipPart",
    "build_answer",
    "parse_offer",
]

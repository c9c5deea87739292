"""One-shot SDP to and from the relay's parameters, for WHIP (RFC 9725) and WHEP. Text in and out; no I/O."""

from __future__ import annotations

from media.whip.answer import build_answer
from media.whip.data_offer import DataOffer, build_data_answer, parse_data_offer
from media.whip.errors import WHIP_FRAGMENT_MALFORMED, WHIP_OFFER_MALFORMED, WHIP_OFFER_UNUSABLE
from media.whip.fragment import IceFragment, parse_fragment, restart_fragment
from media.whip.offer import OfferedSection, WhipOffer, WhipPart, parse_offer
from media.whip.play import PlayOffer, PlaySection, build_play_answer, parse_play_offer

__all__ = [
    "WHIP_FRAGMENT_MALFORMED",
    "WHIP_OFFER_MALFORMED",
    "WHIP_OFFER_UNUSABLE",
    "DataOffer",
    "IceFragment",
    "OfferedSection",
    "PlayOffer",
    "PlaySection",
    "WhipOffer",
    "WhipPart",
    "build_answer",
    "build_data_answer",
    "build_play_answer",
    "parse_data_offer",
    "parse_fragment",
    "parse_offer",
    "parse_play_offer",
    "restart_fragment",
]

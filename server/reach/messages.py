"""What leaves the house: urgency, specialty, place and time; no patient, no question, no summary; of a rota
no names, neither whose shift it is nor who asks. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RING, RING_ENDED, TEST = "ring", "ringEnded", "test"
HANDOVER, ASK, GAP = "handover", "ask", "gap"


def ring_body(push: Mapping[str, Any]) -> dict[str, Any]:
    """Of the page's ring, only what a lock screen may show."""
    place = push["from"]["organization"]
    return {
        "type": RING,
        "offer": push["offerId"],
        "consultation": push["consultationId"],
        "urgency": push["kind"],
        "specialty": push["specialty"]["name"],
        "place": {"zh": place["name"], "en": place["nameEn"]},
        "expires": push["expiresAt"],
    }


def ended_body(push: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": RING_ENDED,
        "offer": push["offerId"],
        "consultation": push["consultationId"],
        "reason": push["reason"],
    }


def trial_body() -> dict[str, Any]:
    return {"type": TEST}


def handover_body(rota: Mapping[str, Any], at: str, takes: list[int], hands: list[int]) -> dict[str, Any]:
    """:param takes: lines that the person is on from ``at`` on; ``hands``: lines that they leave then."""
    return {"type": HANDOVER, **rota, "at": at, "takes": takes, "hands": hands}


def gap_body(rota: Mapping[str, Any], starts: str, ends: str, count: int, *, soon: bool) -> dict[str, Any]:
    """:param count: open gaps of the rota, this one among them.
    :param soon: it begins within a day."""
    return {"type": GAP, **rota, "starts": starts, "ends": ends, "count": count, "soon": soon}


def ask_body(rota: Mapping[str, Any], ask: Mapping[str, str], starts: str, ends: str) -> dict[str, Any]:
    """:param rota: nothing for a leave, which is from all.
    :param ask: ``ask`` (swap, leave), its ``id`` and ``stage``, and the person's ``part`` in it."""
    named = {"ask": ask["ask"], "askId": ask["id"], "stage": ask["stage"], "part": ask["part"]}
    return {"type": ASK, **named, **rota, "starts": starts, "ends": ends}


def urgency_of(body: Mapping[str, Any]) -> str:
    """RFC 8030 section 5.3: ``high`` is for what cannot wait until the telephone is picked up."""
    waits = body["type"] == ASK or (body["type"] == GAP and not body["soon"])
    return "normal" if waits else "high"

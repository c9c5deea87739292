"""What leaves the house: urgency, specialty and place; no patient, no question, no summary. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RING, RING_ENDED, TEST = "ring", "ringEnded", "test"


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

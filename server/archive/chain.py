"""The audit chain's arithmetic: each entry carries the hash of the one before, so no byte changes unseen.

``hash = SHA-256(canonical JSON of the entry's fields, previous hash included)``. Canonical JSON: keys sorted,
no spaces, UTF-8 (the part of RFC 8785 that matters here; times are integers of microseconds, so no number has
two spellings).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

GENESIS = "0" * 64
"""What the first entry names as its predecessor."""


@dataclass(frozen=True, slots=True)
class Link:
    """One entry of the chain. ``at_us``: Unix time, microseconds."""

    sequence: int
    at_us: int
    actor_id: str
    actor_kind: str
    action: str
    subject_type: str
    subject_id: str
    detail: Mapping[str, Any]
    previous_hash: str


@dataclass(frozen=True, slots=True)
class Break:
    """Where the chain does not hold, and why."""

    sequence: int
    reason: str


def canonical_json(value: Any) -> bytes:
    """Keys sorted, no spaces, UTF-8; raises ValueError for NaN and infinities."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def link_hash(link: Link) -> str:
    """The entry's hash, 64 hex digits."""
    fields = {name: getattr(link, name) for name in Link.__dataclass_fields__}
    fields["detail"] = dict(link.detail)
    return hashlib.sha256(canonical_json(fields)).hexdigest()


def link_parts(link: Link) -> tuple[str, str]:
    """The canonical JSON before the previous hash, and after the sequence: what is known before its turn.

    Between the two belong ``<previous hash>","sequence":<sequence>``.
    """
    fields = {name: getattr(link, name) for name in ("action", "actor_id", "actor_kind", "at_us")}
    first = canonical_json({**fields, "detail": dict(link.detail)}).decode()
    last = canonical_json({"subject_id": link.subject_id, "subject_type": link.subject_type}).decode()
    return f'{first[:-1]},"previous_hash":"', f",{last[1:]}"


def find_break(
    entries: Iterable[tuple[Link, str]],
    expected: int | None = None,
    *,
    after: int = 0,
    previous: str = GENESIS,
) -> Break | None:
    """The first place where ``(link, stored hash)`` pairs are no chain; None when all is whole.

    :param expected: how many entries there ought to be, when that is known from elsewhere: a cut tail cannot
        be seen from the chain alone.
    :param after: how many entries stand before these, which are whole; ``previous``: the hash of the last.
    """
    count = after
    for link, stored in entries:
        count += 1
        if link.sequence != count:
            return Break(count, f"entry {count} is missing, {link.sequence} stands in its place")
        if link.previous_hash != previous:
            return Break(count, "does not name the hash of the entry before")
        if link_hash(link) != stored:
            return Break(count, "was changed after it was written")
        previous = stored
    if expected is not None and count < expected:
        return Break(count + 1, f"{expected - count} entries are missing at the end")
    return None

"""Times on the wire: ISO 8601 in UTC. Inside they are Unix seconds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any


def iso_from_unix(seconds: float) -> str:
    """Unix seconds -> ``2026-01-01T00:00:00.123Z`` (RFC 3339, UTC, milliseconds)."""
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def unix_from_iso(value: Any) -> Any:
    """ISO 8601 text with a zone -> Unix seconds; numbers pass. Raises ValueError for text without a zone."""
    if not isinstance(value, str):
        return value
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("a time needs its zone, for example 2026-01-01T00:00:00Z")
    return moment.timestamp()

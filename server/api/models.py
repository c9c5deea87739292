"""What every JSON body of the API is built from: camelCase on the wire, snake_case in Python."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel

T = TypeVar("T")


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


Timestamp = Annotated[
    float,
    BeforeValidator(unix_from_iso),
    PlainSerializer(iso_from_unix, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""Unix seconds inside, ISO 8601 UTC with ``Z`` on the wire."""


class ApiModel(BaseModel):
    """Base of all request and response bodies."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, from_attributes=True, str_max_length=20_000
    )


class Bilingual(ApiModel):
    """One text in the product's two languages."""

    zh: str
    en: str


class Page(ApiModel, Generic[T]):
    """One page of a list; ``next_cursor`` is None on the last one."""

    items: list[T]
    next_cursor: str | None = None

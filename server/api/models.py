"""What every JSON body of the API is built from: camelCase on the wire, snake_case in Python."""

from __future__ import annotations

from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel

from server.times import iso_from_unix, unix_from_iso

T = TypeVar("T")


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

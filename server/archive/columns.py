"""Column types of our own."""

from __future__ import annotations

from sqlalchemy import Dialect, Text
from sqlalchemy.types import TypeDecorator

from signaling.personal import Personal


class PersonalText(TypeDecorator[Personal[str]]):
    """Text that belongs to a person: wrapped as soon as it leaves the database.

    Comparisons and searches may pass plain text or `Personal`.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Personal[str] | str | None, dialect: Dialect) -> str | None:
        return value.reveal() if isinstance(value, Personal) else value

    def process_result_value(self, value: str | None, dialect: Dialect) -> Personal[str] | None:
        return None if value is None else Personal(value)

"""The server's secret: made once, private, and never used twice for different things."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.keys import FILE_NAME, Keys


def test_the_secret_is_made_once_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    first = Keys.load_or_create(tmp_path / "data")
    again = Keys.load_or_create(tmp_path / "data")
    assert first.derive("x") == again.derive("x")
    assert (tmp_path / "data" / FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_every_purpose_and_every_server_has_its_own_key(tmp_path: Path) -> None:
    one, other = Keys.load_or_create(tmp_path / "a"), Keys.load_or_create(tmp_path / "b")
    derived = [one.account_secret, one.room_secret, one.ticket_key.hex(), other.account_secret]
    assert len(set(derived)) == len(derived)


def test_a_damaged_secret_is_refused_instead_of_replaced(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"short")
    with pytest.raises(ValueError, match="5 bytes"):
        Keys.load_or_create(tmp_path)

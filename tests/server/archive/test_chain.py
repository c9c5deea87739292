"""The audit chain: whole when untouched, and no change goes unseen."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.archive.chain import GENESIS, Break, Link, canonical_json, find_break, link_hash, link_parts

Entry = tuple[Link, str]

details = st.dictionaries(st.text(max_size=8), st.one_of(st.text(max_size=8), st.integers(), st.booleans()))


def chain(all_details: list[dict[str, Any]]) -> list[Entry]:
    entries: list[Entry] = []
    for number, detail in enumerate(all_details, 1):
        previous = entries[-1][1] if entries else GENESIS
        link = Link(number, 1_000 * number, "prc-a", "practitioner", "x.do", "thing", "t-1", detail, previous)
        entries.append((link, link_hash(link)))
    return entries


@given(st.lists(details, max_size=6))
def test_an_untouched_chain_is_whole(all_details: list[dict[str, Any]]) -> None:
    assert find_break(chain(all_details), len(all_details)) is None


@given(details, st.integers(min_value=1), st.text(max_size=8))
def test_the_parts_are_what_is_hashed(detail: dict[str, Any], sequence: int, subject: str) -> None:
    link = Link(sequence, 1, "prc-a", "practitioner", "x.do", "thing", subject, detail, "ab" * 32)
    head, tail = link_parts(link)
    whole = f'{head}{link.previous_hash}","sequence":{sequence}{tail}'
    assert hashlib.sha256(whole.encode()).hexdigest() == link_hash(link)


CHANGES: dict[str, Any] = {
    "at_us": 7,
    "actor_id": "prc-b",
    "actor_kind": "device",
    "action": "x.undo",
    "subject_type": "other",
    "subject_id": "t-2",
    "detail": {"changed": True},
}


@pytest.mark.parametrize("field", sorted(CHANGES))
@given(st.integers(min_value=0, max_value=4))
def test_every_changed_field_is_found_at_its_entry(field: str, position: int) -> None:
    entries = chain([{"n": n} for n in range(5)])
    link, stored = entries[position]
    entries[position] = (replace(link, **{field: CHANGES[field]}), stored)
    assert find_break(entries) == Break(position + 1, "was changed after it was written")


@given(st.integers(min_value=0, max_value=3))
def test_a_change_with_its_hash_made_anew_breaks_the_next_link(position: int) -> None:
    entries = chain([{"n": n} for n in range(5)])
    forged = replace(entries[position][0], action="x.undo")
    entries[position] = (forged, link_hash(forged))
    found = find_break(entries)
    assert found is not None
    assert found.sequence == position + 2


@given(st.integers(min_value=0, max_value=4))
def test_a_removed_entry_is_found(position: int) -> None:
    entries = chain([{"n": n} for n in range(5)])
    del entries[position]
    found = find_break(entries, 5)
    assert found is not None
    assert found.sequence == position + 1


def test_canonical_json_has_one_spelling() -> None:
    assert canonical_json({"b": 1, "a": "会"}) == '{"a":"会","b":1}'.encode()


def test_canonical_json_refuses_what_json_does_not_have() -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical_json({"x": float("nan")})

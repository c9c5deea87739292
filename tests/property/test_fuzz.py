"""Every parser of strangers' input: reads it or raises the one remote error. Long runs: `loadtest fuzz`."""

from __future__ import annotations

import pytest

from loadtest.fuzz import MAX_ESCAPES, SLOWEST_MS, Mutator, Target, fuzz
from loadtest.fuzz_targets import TARGETS, chosen
from media.errors import RemoteProtocolError
from media.transport.errors import STUN_MALFORMED

INPUTS = {"sdp": 2_000, "signal-frames": 4_000}
DEFAULT_INPUTS = 10_000


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_but_the_remote_error_escapes_in_bounded_time(name: str) -> None:
    result = fuzz(TARGETS[name], INPUTS.get(name, DEFAULT_INPUTS), seed=7)
    assert result.escapes == []
    assert result.slowest_ms < SLOWEST_MS
    assert result.read > 0
    assert result.refused > 0


def parse_fragile(data: bytes) -> None:
    if not data:
        raise RemoteProtocolError(STUN_MALFORMED, "empty")
    if data[0] == 0xFF:
        raise IndexError("fragile")


def test_an_escape_is_found_and_kept_with_its_input() -> None:
    result = fuzz(Target((b"good", b"fine"), parse_fragile), 100_000, seed=1)
    assert len(result.escapes) == MAX_ESCAPES
    assert result.inputs < 100_000
    error, data = result.escapes[0]
    assert error == "IndexError: fragile"
    assert data[0] == 0xFF


def test_the_same_seed_makes_the_same_inputs() -> None:
    first, again, other = (Mutator(TARGETS["rtp"], seed) for seed in (3, 3, 4))
    made = [first.next() for _ in range(200)]
    assert made == [again.next() for _ in range(200)]
    assert made != [other.next() for _ in range(200)]


@pytest.mark.parametrize("name", TARGETS)
def test_inputs_keep_to_the_size_that_reaches_the_parser(name: str) -> None:
    target = TARGETS[name]
    mutator = Mutator(target, 5)
    lengths = [len(mutator.next()) for _ in range(5_000)]
    assert max(lengths) <= target.max_bytes
    assert len(set(lengths)) > 10


def test_a_broken_golden_input_is_not_taken() -> None:
    with pytest.raises(RemoteProtocolError):
        fuzz(Target((b"",), parse_fragile), 1, seed=1)


def test_an_unknown_parser_is_named() -> None:
    with pytest.raises(ValueError, match="nothing"):
        chosen("stun,nothing")
    assert [name for name, _ in chosen("rtp,stun")] == ["rtp", "stun"]

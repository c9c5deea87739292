"""Mutated and random input for one parser: it reads it or raises the one remote error, and soon.

The inputs are made from known good ones by a seeded generator, so every run can be repeated. What else
than `RemoteProtocolError` comes out of a parser is an escape, and is kept with its input.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from loadtest.course import Course
from loadtest.report import Report, machine
from media.errors import RemoteProtocolError

SLOWEST_MS = 100.0
"""CPU time one input may take. The largest SDP and JSON texts that are let in take some ms."""
MAX_ESCAPES = 10
"""A parser that lets so many through is broken; more examples would say nothing new."""
INPUT_S = 65e-6
"""About how long one input takes."""
_RANDOM_SHARE = 0.05
_LARGE_SHARE = 0.002
_ODD_BYTES = bytes((0, 1, 2, 3, 0x0F, 0x10, 0x1F, 0x20, 0x3F, 0x40, 0x7F, 0x80, 0x90, 0xBE, 0xC8, 0xFE, 0xFF))
_ODD_WORDS = tuple(
    value.to_bytes(2, "big") for value in (0, 1, 2, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF)
)


@dataclass(frozen=True)
class Target:
    """One parser.

    :param seeds: good inputs; every one must be readable.
    :param parse: reads one input and looks at everything it gave; raises RemoteProtocolError.
    :param max_bytes: the largest input that reaches this parser; what is before it refuses more.
    :param mend: puts lengths and checksums right, so that a mutated input gets past the outer checks.
    :param words: pieces worth putting in (keywords of a text format).
    """

    seeds: tuple[bytes, ...]
    parse: Callable[[bytes], None]
    max_bytes: int = 1500
    mend: Callable[[bytes], bytes] | None = None
    words: tuple[bytes, ...] = ()


@dataclass
class Result:
    """What a run found. ``slowest_ms`` is CPU time of this thread."""

    inputs: int = 0
    read: int = 0
    refused: int = 0
    slowest_ms: float = 0.0
    slowest_input: bytes = b""
    seconds: float = 0.0
    escapes: list[tuple[str, bytes]] = field(default_factory=list)


class Mutator:
    """Makes inputs from good ones; the same seed makes the same inputs."""

    def __init__(self, target: Target, seed: int) -> None:
        self._target = target
        self._random = random.Random(seed)
        self._operations = (
            self._flip,
            self._odd_byte,
            self._odd_word,
            self._truncate,
            self._delete,
            self._repeat,
            self._insert,
            self._splice,
        )

    def next(self) -> bytes:
        """One input, at most ``max_bytes`` long."""
        draw = self._random.random
        if draw() < _RANDOM_SHARE:
            return self._random.randbytes(int(draw() * 64))
        seeds = self._target.seeds
        data = bytearray(seeds[int(draw() * len(seeds))])
        for _ in range(1 + int(draw() * draw() * 6)):
            self._operations[int(draw() * len(self._operations))](data)
        if draw() < _LARGE_SHARE and data:
            data = data * (self._target.max_bytes // len(data) + 1)
        made = bytes(data[: self._target.max_bytes])
        return self._target.mend(made) if self._target.mend and draw() < 0.7 else made

    def _at(self, data: bytearray) -> int:
        return int(self._random.random() * len(data))

    def _flip(self, data: bytearray) -> None:
        if data:
            data[self._at(data)] ^= 1 << int(self._random.random() * 8)

    def _odd_byte(self, data: bytearray) -> None:
        if data:
            data[self._at(data)] = _ODD_BYTES[int(self._random.random() * len(_ODD_BYTES))]

    def _odd_word(self, data: bytearray) -> None:
        at = self._at(data)
        data[at : at + 2] = _ODD_WORDS[int(self._random.random() * len(_ODD_WORDS))]

    def _truncate(self, data: bytearray) -> None:
        del data[self._at(data) :]

    def _delete(self, data: bytearray) -> None:
        at = self._at(data)
        del data[at : at + 1 + int(self._random.random() * 8)]

    def _repeat(self, data: bytearray) -> None:
        at = self._at(data)
        piece = data[at : at + 1 + int(self._random.random() * 32)]
        data[at:at] = piece * (1 + int(self._random.random() * 4))

    def _insert(self, data: bytearray) -> None:
        words = self._target.words
        piece = (
            words[int(self._random.random() * len(words))]
            if words and self._random.random() < 0.7
            else self._random.randbytes(1 + int(self._random.random() * 8))
        )
        at = self._at(data)
        data[at:at] = piece

    def _splice(self, data: bytearray) -> None:
        seeds = self._target.seeds
        other = seeds[int(self._random.random() * len(seeds))]
        at = self._at(data)
        data[at:] = other[int(self._random.random() * len(other)) :]


def check_seeds(target: Target) -> None:
    """Every good input must be read; also warms caches up before time is taken."""
    for seed in target.seeds:
        target.parse(seed)


def fuzz(target: Target, inputs: int, seed: int) -> Result:
    """Feed ``inputs`` mutated inputs to a parser; ends early after `MAX_ESCAPES` escapes."""
    check_seeds(target)
    mutator, result = Mutator(target, seed), Result()
    clock = time.thread_time_ns
    slowest = 0
    began = time.monotonic()
    while result.inputs < inputs and len(result.escapes) < MAX_ESCAPES:
        data = mutator.next()
        before = clock()
        _feed(target, data, result)
        if clock() - before > slowest and (taken := _again(target, data)) > slowest:
            slowest, result.slowest_input = taken, data
    result.slowest_ms = slowest / 1e6
    result.seconds = time.monotonic() - began
    return result


def _feed(target: Target, data: bytes, result: Result) -> None:
    result.inputs += 1
    try:
        target.parse(data)
    except RemoteProtocolError:
        result.refused += 1
    except Exception as escape:  # noqa: BLE001 - finding every other exception is what this is for
        result.escapes.append((f"{type(escape).__name__}: {escape}", data))
    else:
        result.read += 1


def _again(target: Target, data: bytes) -> int:
    """CPU time of a second try, ns: the first may have paid for collecting others' garbage."""
    before = time.thread_time_ns()
    _feed(target, data, Result())
    return time.thread_time_ns() - before


def fill(
    report: Report,
    parsers: Sequence[tuple[str, Target]],
    inputs: int,
    seed: int,
    say: Callable[[str], None],
) -> None:
    """Run each parser and put figures and shortfalls into ``report``."""
    report.conditions |= machine() | {"inputs_per_parser": inputs, "seed": seed}
    course = Course(report, [(name, inputs * INPUT_S) for name, _ in parsers], say)
    for name, target in parsers:
        result = fuzz(target, inputs, seed)
        report.figures[name] = figures(result)
        if result.escapes:
            report.shortfalls.append(f"{name}: {len(result.escapes)} escaped, first {result.escapes[0][0]}")
        if result.slowest_ms > SLOWEST_MS:
            report.shortfalls.append(f"{name}: one input took {result.slowest_ms:.1f} ms")
        course.done()


def figures(result: Result) -> dict[str, Any]:
    """For the report; inputs in hexadecimal, the slowest cut to what can be read."""
    return {
        "inputs": result.inputs,
        "read": result.read,
        "refused": result.refused,
        "escaped": [{"error": error, "input_hex": data.hex()} for error, data in result.escapes],
        "inputs_per_second": round(result.inputs / max(result.seconds, 1e-9)),
        "slowest_ms": round(result.slowest_ms, 3),
        "slowest_input_bytes": len(result.slowest_input),
        "slowest_input_hex": result.slowest_input[:200].hex(),
    }

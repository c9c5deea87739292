"""The straight lines of a PDF that a browser printed, in millimetres of the sheet."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

MM_PER_POINT = 25.4 / 72

Matrix = tuple[float, float, float, float, float, float]
Line = tuple[float, float, float, float]


def sheets(pdf: bytes) -> int:
    return len(re.findall(rb"/Type\s*/Page\b", pdf))


def lines(pdf: bytes) -> Iterator[Line]:
    """Each straight piece of each path as (x1, y1, x2, y2), by ISO 32000-1 8.4 (q Q cm) and 8.5 (m l)."""
    for found in re.finditer(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL):
        try:
            text = zlib.decompress(found[1])
        except zlib.error:
            continue
        if b" d1\n" not in text:  # a glyph of a font
            yield from _drawn(text)


def _drawn(text: bytes) -> Iterator[Line]:
    matrix: Matrix = (1, 0, 0, 1, 0, 0)
    kept: list[Matrix] = []
    numbers: list[float] = []
    at = (0.0, 0.0)
    for word in text.split():
        if re.fullmatch(rb"[-+]?(\d+\.?\d*|\.\d+)", word):
            numbers.append(float(word))
            continue
        if word == b"q":
            kept.append(matrix)
        elif word == b"Q" and kept:
            matrix = kept.pop()
        elif word == b"cm" and len(numbers) >= 6:
            a, b, c, d, e, f = numbers[-6:]
            matrix = _within((a, b, c, d, e, f), matrix)
        elif word in (b"m", b"l") and len(numbers) >= 2:
            here = _placed(numbers[-2], numbers[-1], matrix)
            if word == b"l":
                yield (*at, *here)
            at = here
        numbers = []


def _within(inner: Matrix, outer: Matrix) -> Matrix:
    a, b, c, d, e, f = inner
    p, q, r, s, t, u = outer
    return a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s, e * p + f * r + t, e * q + f * s + u


def _placed(x: float, y: float, matrix: Matrix) -> tuple[float, float]:
    a, b, c, d, e, f = matrix
    return (a * x + c * y + e) * MM_PER_POINT, (b * x + d * y + f) * MM_PER_POINT

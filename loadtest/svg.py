"""Plots as SVG text: lines over time, and bars. No I/O, no script, no file besides."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 720, 220
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 26, 24
COLORS = ("#1f6feb", "#d1242f", "#1a7f37", "#8250df", "#9a6700")
BAR = 18


def lines(
    title: str, x: Sequence[float], series: Mapping[str, Sequence[float | None]], unit: str = "s"
) -> str:
    """Lines over ``x`` with one scale from 0; missing values leave a gap.

    :param unit: of ``x``.
    :param series: name (with its unit) to values, as many as ``x``.
    """
    values = [value for one in series.values() for value in one if value is not None and math.isfinite(value)]
    top = _rounded(max(values, default=1.0) or 1.0)
    first, last = (x[0], x[-1]) if x else (0.0, 1.0)
    span = (last - first) or 1.0

    def place(at: float, value: float) -> str:
        across = LEFT + (at - first) / span * (WIDTH - LEFT - RIGHT)
        return f"{across:.1f},{HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM):.1f}"

    parts = [_text(LEFT, 14, title, "title")]
    for share in (0, 0.5, 1):
        y = HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_text(LEFT - 6, y + 4, f"{top * share:g}", "scale end"))
    for at in (first, last):
        parts.append(
            _text(LEFT if at == first else WIDTH - RIGHT - 30, HEIGHT - 8, f"{at:g} {unit}", "scale")
        )
    for number, (name, one) in enumerate(series.items()):
        color = COLORS[number % len(COLORS)]
        for run in _runs(x, one):
            points = " ".join(place(at, value) for at, value in run)
            parts.append(f'<polyline fill="none" stroke="{color}" stroke-width="1.5" points="{points}"/>')
        parts.append(_text(WIDTH - RIGHT - 150 * (len(series) - number), 14, name, "scale", color))
    return _svg(WIDTH, HEIGHT, parts)


def bars(title: str, values: Mapping[str, float], unit: str) -> str:
    """Horizontal bars with their values."""
    top = max(values.values(), default=1.0) or 1.0
    left, height = 220, TOP + BAR * len(values) + 6
    parts = [_text(6, 14, title, "title")]
    for number, (name, value) in enumerate(values.items()):
        y = TOP + BAR * number
        width = value / top * (WIDTH - left - 90)
        color = COLORS[number % len(COLORS)]
        parts.append(_text(left - 8, y + 12, name, "scale end"))
        parts.append(f'<rect x="{left}" y="{y}" width="{width:.1f}" height="{BAR - 5}" fill="{color}"/>')
        parts.append(_text(left + width + 6, y + 12, f"{value:g} {unit}", "scale"))
    return _svg(WIDTH, height, parts)


def _runs(x: Sequence[float], values: Sequence[float | None]) -> list[list[tuple[float, float]]]:
    """Stretches without a gap."""
    runs: list[list[tuple[float, float]]] = [[]]
    for at, value in zip(x, values, strict=True):
        if value is not None and math.isfinite(value):
            runs[-1].append((at, value))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _rounded(top: float) -> float:
    """1, 2 or 5 times a power of ten, not below ``top``."""
    power: float = 10.0 ** math.floor(math.log10(top))
    return next(power * step for step in (1, 2, 5, 10) if power * step >= top * 0.999_999)


def _text(x: float, y: float, text: str, kind: str, color: str = "") -> str:
    style = f' style="fill:{color}"' if color else ""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}"{style}>{escape(text)}</text>'


def _svg(width: int, height: int, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">'
        + "".join(parts)
        + "</svg>"
    )

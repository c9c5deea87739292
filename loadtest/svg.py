"""Plots as SVG text: lines over time, and bars. No I/O, no script, no file besides.

Colours are the page's (classes ``c0`` to ``c4``, ``grid``, ``scale``), so that they follow light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 560, 240
LEFT, RIGHT, TOP, BOTTOM = 80, 14, 48, 44
COLORS = 5
BAR = 22
NAMES = 190
"""Width of the names before bars."""
LETTER = 7
"""About the width of a letter of the legend."""


def lines(
    title: str,
    x: Sequence[float],
    series: Mapping[str, Sequence[float | None]],
    axes: tuple[str, str],
    limit: float | None = None,
) -> str:
    """Lines over ``x`` with one scale from 0; missing values leave a gap.

    :param axes: what stands on the horizontal one, and on the vertical one, with their units.
    :param series: name to values, as many as ``x``.
    :param limit: drawn as a line across.
    """
    values = [value for one in series.values() for value in one if value is not None and math.isfinite(value)]
    top = _rounded(max([*values, limit or 0.0]) or 1.0)
    first, last = (x[0], x[-1]) if x else (0.0, 1.0)
    span = (last - first) or 1.0

    def place(at: float, value: float) -> tuple[float, float]:
        across = LEFT + (at - first) / span * (WIDTH - LEFT - RIGHT)
        return across, HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM)

    parts = [_text(6, 16, title, "title"), _text(6, 34, axes[1], "scale")]
    parts += [_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, axes[0], "scale middle")]
    marks = 4 if f"{top:e}".startswith("2") else 5
    for value in (top * number / marks for number in range(marks + 1)):
        y = place(first, value)[1]
        parts.append(_across(y, "grid"))
        parts.append(_text(LEFT - 6, y + 4, f"{value:,.6g}", "scale end"))
    for at in _ticks(first, last):
        parts.append(_text(place(at, 0)[0], HEIGHT - BOTTOM + 16, f"{at:,.6g}", "scale middle"))
    if limit is not None:
        parts.append(_across(place(first, limit)[1], "limit"))
    legend = WIDTH - RIGHT
    for number, (name, one) in reversed(list(enumerate(series.items()))):
        color = f"c{number % COLORS}"
        for run in _runs(x, one):
            points = " ".join(f"{across:.1f},{y:.1f}" for across, y in (place(*point) for point in run))
            parts.append(f'<polyline class="line {color}" points="{points}"/>')
            if len(run) == 1:
                across, y = place(*run[0])
                parts.append(f'<circle class="fill {color}" cx="{across:.1f}" cy="{y:.1f}" r="2.5"/>')
        if len(series) > 1:
            parts.append(_text(legend, 34, name, f"scale end fill {color}"))
            legend -= LETTER * len(name) + 16
    return _svg(WIDTH, HEIGHT, title, parts)


def bars(title: str, values: Mapping[str, float | None], unit: str) -> str:
    """Horizontal bars with their values; what could not be measured has none."""
    known = [value for value in values.values() if value is not None and math.isfinite(value)]
    top, height = max(known, default=0.0) or 1.0, TOP + BAR * len(values)
    parts = [_text(6, 16, title, "title"), _text(6, 34, unit, "scale")]
    for number, (name, value) in enumerate(values.items()):
        y = TOP - 4 + BAR * number
        parts.append(_text(NAMES - 8, y + 13, name, "scale end"))
        if value is None or not math.isfinite(value):
            parts.append(_text(NAMES, y + 13, "not measured", "scale"))
            continue
        width = value / top * (WIDTH - NAMES - 80)
        color = f"c{number % COLORS}"
        parts.append(
            f'<rect class="fill {color}" x="{NAMES}" y="{y}" width="{width:.1f}" height="{BAR - 5}"/>'
        )
        parts.append(_text(NAMES + width + 6, y + 13, f"{value:g}", "scale"))
    return _svg(WIDTH, height, title, parts)


def _ticks(first: float, last: float) -> list[float]:
    """About five round numbers from ``first`` to ``last``; both ends where they are the same."""
    if last <= first:
        return [first]
    step = _rounded((last - first) / 6)
    return [step * number for number in range(math.ceil(first / step), math.floor(last / step) + 1)]


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


def _across(y: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _svg(width: int, height: int, title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"'
        f' aria-label="{escape(title)}">{"".join(parts)}</svg>'
    )

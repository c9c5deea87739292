"""A report as one HTML page with its plots in it: nothing is fetched, nothing runs. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from loadtest import svg
from loadtest.report import Report

_STYLE = """
:root { color-scheme: light dark; --ink: #1f2328; --paper: #fff; --quiet: #59636e; --line: #d1d9e0;
  --short: #d1242f; --good: #1a7f37;
  --c0: #1f6feb; --c1: #d1242f; --c2: #1a7f37; --c3: #8250df; --c4: #9a6700 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117; --quiet: #9198a1;
  --line: #3d444d; --short: #ff7b72; --good: #56d364;
  --c0: #79b8ff; --c1: #ff7b72; --c2: #56d364; --c3: #d2a8ff; --c4: #e3b341 } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 72rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0; font-size: 13px }
th, td { padding: .2rem .6rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line) }
td.number { text-align: right; font-variant-numeric: tabular-nums }
.short { color: var(--short) } .good { color: var(--good) } .wide { overflow-x: auto }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(30rem, 100%), 1fr)); gap: 1rem }
svg { width: 100% }
.grid { stroke: var(--line) } .limit { stroke: var(--short); stroke-dasharray: 6 4 }
.line { fill: none; stroke-width: 1.5 }
.title { font: 600 14px system-ui; fill: var(--ink) } .scale { font: 12px system-ui; fill: var(--quiet) }
.end { text-anchor: end } .middle { text-anchor: middle } .conditions td.number { text-align: left }
.rows td { white-space: nowrap }
@media (max-width: 34rem) { .title { font-size: 19px } .scale { font-size: 17px } }
""" + "".join(
    f".line.c{n} {{ stroke: var(--c{n}) }} .fill.c{n} {{ fill: var(--c{n}) }}" for n in range(svg.COLORS)
)


def page(report: Report) -> str:
    """The whole page."""
    plots = "".join(f"<div>{plot}</div>" for plot in _plots(report))
    parts = [f"<h1>{escape(report.scenario)}</h1>", _shortfalls(report.shortfalls)]
    parts.append(f'<div class="plots">{plots}</div>' if plots else "")
    plain = {key: value for key, value in report.figures.items() if not isinstance(value, list)}
    if plain:
        parts.append("<h2>Figures</h2>" + _pairs(plain))
    for key, value in report.figures.items():
        if isinstance(value, list) and value and isinstance(value[0], Mapping) and key != "timeline":
            parts.append(f"<h2>{escape(key.capitalize())}</h2>" + _rows(value))
    parts.append(f'<h2>Conditions</h2><div class="conditions">{_pairs(report.conditions)}</div>')
    title = escape(f"{report.scenario} - Huizhen load test")
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style><body>{''.join(parts)}</body></html>\n"
    )


def _shortfalls(shortfalls: Sequence[str]) -> str:
    if not shortfalls:
        return '<p class="good">Every threshold was met.</p>'
    return "<ul>" + "".join(f'<li class="short">{escape(one)}</li>' for one in shortfalls) + "</ul>"


def _plots(report: Report) -> list[str]:
    figures = report.figures
    return [
        *_timeline(figures.get("timeline", [])),
        *_steps(figures.get("steps", []), str(report.conditions.get("until", ""))),
        *_costs(figures.get("cases", [])),
        *_cases(figures.get("cases", [])),
    ]


def _timeline(moments: Sequence[Mapping[str, Any]]) -> list[str]:
    if not moments:
        return []
    x = [float(moment["at_s"]) for moment in moments]

    def over_time(title: str, up: str, **series: str) -> str:
        found = {name: [moment[key] for moment in moments] for name, key in series.items()}
        return svg.lines(title, x, found, ("seconds since the first room", up))

    return [
        over_time("Added delay", "ms", p50="delay_p50_ms", p99="delay_p99_ms"),
        over_time("CPU", "% of a core", server="server_cpu_percent", traffic="traffic_cpu_percent"),
        over_time("Rooms", "rooms that stand", rooms="rooms"),
        over_time("Packets to receivers", "a second", packets="packets"),
        over_time("Packets lost", "since the beginning", lost="lost"),
        over_time("Memory of the server", "MB", memory="memory_mb"),
    ]


def _steps(steps: Sequence[Mapping[str, Any]], until: str) -> list[str]:
    """What was looked at on the way to the knee, over the number of rooms."""
    figure, _, limit = until.partition("=")
    rooms = [float(step["rooms"]) for step in steps]
    return [
        svg.lines(
            title,
            rooms,
            {name: [step.get(name) for step in steps]},
            ("rooms", up),
            float(limit) if name == figure else None,
        )
        for name, title, up in (
            ("added_delay_p99_ms", "Added delay, p99", "ms"),
            ("join_p95_ms", "Joins of the rooms opened last, p95", "ms"),
            ("server_cpu_percent", "CPU of the server", "% of a core"),
            ("lost_packets", "Packets lost in the step", "packets"),
        )
        if steps
    ]


def _costs(cases: Sequence[Mapping[str, Any]]) -> list[str]:
    """Of each case of ``relay`` what its planes cost, and how long packets took."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for one in cases:
        if "us_per_egress_packet" in one:
            groups.setdefault(f"{one['case']}, {one['packet_bytes']} B, {one['load']}", []).append(one)
    return [
        svg.bars(f"{title}: {what}", {one["plane"]: one.get(figure) for one in group}, unit)
        for title, group in groups.items()
        for figure, what, unit in (
            ("us_per_egress_packet", "CPU", "us for each packet sent"),
            ("added_delay_p99_ms", "delay p99", "ms"),
        )
    ]


def _cases(cases: Sequence[Mapping[str, Any]]) -> list[str]:
    """What other scenarios compare their cases by."""
    plots = []
    for figure, (title, unit) in _COMPARED.items():
        values = {str(one["case"]): one[figure] for one in cases if figure in one}
        if len(values) > 1 and "us_per_egress_packet" not in cases[0]:
            plots.append(svg.bars(title, values, unit))
    return plots


_COMPARED = {
    "longest_freeze_ms": ("Longest freeze", "ms"),
    "audio_concealed_percent": ("Sound made up", "% of all samples"),
    "recovered_after_s": ("Full quality again after", "s"),
    "backfill_s": ("Nothing missing any more after", "s"),
    "live_delay_during_backfill_p99_ms": ("Live delay meanwhile, p99", "ms"),
    "device_to_screen_p99_ms": ("Device to screen, p99", "ms"),
    "decision_p99_ms": ("Decision, p99", "ms"),
    "ring_p99_ms": ("Ring, p99", "ms"),
}


def _pairs(values: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><th>{escape(str(key))}</th>{_cell(value)}</tr>"
        for key, value in values.items()
        if not isinstance(value, Mapping)
    )
    nested = "".join(
        f"<h3>{escape(str(key))}</h3>{_pairs(value)}"
        for key, value in values.items()
        if isinstance(value, Mapping)
    )
    return f'<div class="wide"><table>{rows}</table></div>{nested}'


def _rows(values: Sequence[Mapping[str, Any]]) -> str:
    keys = list(
        dict.fromkeys(key for one in values for key in one if not isinstance(one[key], list | Mapping))
    )
    head = "".join(f"<th>{escape(key)}</th>" for key in keys)
    body = "".join("<tr>" + "".join(_cell(one.get(key)) for key in keys) + "</tr>" for one in values)
    return f'<div class="wide rows"><table><tr>{head}</tr>{body}</table></div>'


def _cell(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"<td>{'' if value is None else escape(str(value))}</td>"
    return f'<td class="number">{value:,.10g}</td>'

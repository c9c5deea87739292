"""A report as one HTML page with its plots in it: nothing is fetched, nothing runs. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from loadtest import svg
from loadtest.report import Report

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2328;
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0; font-size: 13px }
th, td { padding: .2rem .6rem; text-align: left; border-bottom: 1px solid #d1d9e0 }
td.number { text-align: right; font-variant-numeric: tabular-nums }
.short { color: #d1242f } .good { color: #1a7f37 } .wide { overflow-x: auto }
svg { width: 100%; margin: .5rem 0 } .grid { stroke: #d1d9e0 } .end { text-anchor: end }
.title { font: 600 13px system-ui } .scale { font: 11px system-ui; fill: #59636e }
"""


def page(report: Report) -> str:
    """The whole page."""
    parts = [f"<h1>{escape(report.scenario)}</h1>", _shortfalls(report.shortfalls), *_plots(report.figures)]
    plain = {key: value for key, value in report.figures.items() if not isinstance(value, list)}
    if plain:
        parts.append("<h2>Figures</h2>" + _pairs(plain))
    for key, value in report.figures.items():
        if isinstance(value, list) and value and isinstance(value[0], Mapping) and key != "timeline":
            parts.append(f"<h2>{escape(key.capitalize())}</h2>" + _rows(value))
    parts.append("<h2>Conditions</h2>" + _pairs(report.conditions))
    title = escape(f"{report.scenario} - Huizhen load test")
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style><body>{''.join(parts)}</body></html>\n"
    )


def _shortfalls(shortfalls: Sequence[str]) -> str:
    if not shortfalls:
        return '<p class="good">Every threshold was met.</p>'
    return "<ul>" + "".join(f'<li class="short">{escape(one)}</li>' for one in shortfalls) + "</ul>"


def _plots(figures: Mapping[str, Any]) -> list[str]:
    plots = _timeline(figures.get("timeline", []))
    plots += _costs(figures.get("cases", []))
    steps = figures.get("steps", [])
    if steps:
        rooms = [float(step["rooms"]) for step in steps]
        plots.append(
            svg.lines(
                "Delay by rooms", rooms, {"p99 ms": [one["added_delay_p99_ms"] for one in steps]}, "rooms"
            )
        )
    return plots


def _timeline(moments: Sequence[Mapping[str, Any]]) -> list[str]:
    if not moments:
        return []
    x = [float(moment["at_s"]) for moment in moments]

    def of(name: str) -> list[float | None]:
        return [moment[name] for moment in moments]

    return [
        svg.lines("Added delay", x, {"p50 ms": of("delay_p50_ms"), "p99 ms": of("delay_p99_ms")}),
        svg.lines("CPU", x, {"server %": of("server_cpu_percent"), "traffic %": of("traffic_cpu_percent")}),
        svg.lines("Rooms", x, {"rooms": of("rooms")}),
        svg.lines("Packets a second to receivers", x, {"packets": of("packets")}),
        svg.lines("Memory of the server", x, {"MB": of("memory_mb")}),
    ]


def _costs(cases: Sequence[Mapping[str, Any]]) -> list[str]:
    groups: dict[str, dict[str, float]] = {}
    for one in cases:
        if "us_per_egress_packet" in one:
            title = f"{one['case']}, {one['packet_bytes']} B, {one['load']}"
            groups.setdefault(title, {})[one["plane"]] = one["us_per_egress_packet"]
    return [svg.bars(title, values, "us a packet") for title, values in groups.items()]


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
    return f"<table>{rows}</table>{nested}"


def _rows(values: Sequence[Mapping[str, Any]]) -> str:
    keys = list(
        dict.fromkeys(key for one in values for key in one if not isinstance(one[key], list | Mapping))
    )
    head = "".join(f"<th>{escape(key)}</th>" for key in keys)
    body = "".join("<tr>" + "".join(_cell(one.get(key)) for key in keys) + "</tr>" for one in values)
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def _cell(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"<td>{'' if value is None else escape(str(value))}</td>"
    return f'<td class="number">{value:,.10g}</td>'

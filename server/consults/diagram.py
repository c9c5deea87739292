"""The state diagram, rendered from the table (Mermaid), and its place in DESIGN.md.

``python -m server.consults.diagram`` renews it; a test checks that it is current.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from server.consults.states import DURATIONS, OWNERS, TABLE, TIMERS, Rule, TimerRule
from server.consults.vocabulary import FINAL, Kind, State

BEGIN = "<!-- state diagram: made by server/consults/diagram.py, do not edit -->"
END = "<!-- end of state diagram -->"
DESIGN = Path(__file__).with_name("DESIGN.md")

_LETTER = {
    Kind.URGENT: "E",
    Kind.DIAGNOSTIC: "D",
    Kind.ROUTINE: "R",
    Kind.MULTIDISCIPLINARY: "M",
    Kind.TEACHING: "T",
    Kind.GUIDANCE: "G",
    Kind.PICTURE_TEXT: "P",
}
_PACE = (Kind.URGENT, Kind.DIAGNOSTIC, Kind.ROUTINE)
"""One kind of each pace: the columns of the timers."""


def mermaid() -> str:
    """The diagram: one arrow for each row that moves, self-arrows left out."""
    arrows = [f"    [*] --> {State.DRAFT}"]
    for rule in TABLE:
        arrows += [f"    {state} --> {rule.to}: {_label(rule)}" for state in rule.states if rule.to]
    arrows += [f"    {state} --> [*]" for state in State if state in FINAL]
    return "\n".join(["```mermaid", "stateDiagram-v2", *arrows, "```"])


def _label(rule: Rule) -> str:
    parts = [rule.action.value, f"({', '.join(sorted(role.value for role in rule.who))})"]
    if len(rule.kinds) < len(Kind):
        parts.append("/".join(_LETTER[kind] for kind in Kind if kind in rule.kinds))
    if rule.when is not None:
        parts.append(f"if {rule.when.name}")
    return " ".join(parts)


def timer_table() -> str:
    """The timers and owners as a Markdown table."""
    lines = ["| state | owner | timers: seconds E, D, R -> action |", "|---|---|---|"]
    for state in State:
        if state not in FINAL:
            timers = "; ".join(_timers_of(state)) or "-"
            lines.append(f"| {state} | {OWNERS.get(state, 'system')} | {timers} |")
    return "\n".join(lines)


def _timers_of(state: State) -> Iterator[str]:
    for rule in TIMERS:
        if rule.state is state:
            when = f" ({rule.named})" if rule.named else ""
            yield f"{_seconds(rule)}{when} -> {rule.action}"


def _seconds(rule: TimerRule) -> str:
    duration = DURATIONS[rule.duration]
    if not rule.kinds.intersection(_PACE):
        only = ", ".join(f"{kind} {duration.of(kind):g}" for kind in sorted(rule.kinds))
        return f"{rule.duration} {only}"
    shown = [f"{duration.of(kind):g}" if kind in rule.kinds else "-" for kind in _PACE]
    return f"{rule.duration} {', '.join(shown)}"


def section() -> str:
    """What stands between the two marks in DESIGN.md."""
    return f"{BEGIN}\n\n{mermaid()}\n\n{timer_table()}\n\n{END}"


def renewed(text: str) -> str:
    """``text`` with its diagram section made anew. Raises ValueError when a mark is missing."""
    before, rest = text[: text.index(BEGIN)], text[text.index(END) + len(END) :]
    return before + section() + rest


def main() -> None:
    DESIGN.write_text(renewed(DESIGN.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()

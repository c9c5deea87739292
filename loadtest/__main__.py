"""``python -m loadtest SCENARIO --json FILE``: exit status 1 when a threshold was missed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from loadtest import canvas as canvas_scenario
from loadtest import compare as comparing
from loadtest import fuzz_targets, network_scenario, orderly
from loadtest import idle as idle_scenario
from loadtest import join as join_scenario
from loadtest.course import followed
from loadtest.dispatch import scenario as dispatch_scenario
from loadtest.ecg import cases as ecg_cases
from loadtest.ecg import scenario as ecg_scenario
from loadtest.fuzz import fill as run_fuzz
from loadtest.impair import NotRootError
from loadtest.network import enter_own_network
from loadtest.network_cases import MEASURE_SECONDS, chosen
from loadtest.qrs import run as run_qrs
from loadtest.relay import cases as relay_cases
from loadtest.relay import scenario as relay_scenario
from loadtest.relay.janus_process import ensure_installed
from loadtest.report import Report, lines
from loadtest.rooms import scenario as rooms_scenario
from loadtest.rooms import scenario_file
from loadtest.rooms.figures import Until
from loadtest.rooms.figures import judge as judge_rooms

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)

T = TypeVar("T")
Json = Annotated[Path | None, typer.Option("--json", help="Write the report to this file.")]


@app.callback()
def scenarios() -> None:
    """Measure the server under load."""
    # An orderly end also when killed: a scenario leaves no server, browser or namespace behind.
    orderly.heed()


@app.command()
def join(
    json: Json = None,
    runs: Annotated[int, typer.Option(min=1, help="How often the expert joins.")] = 10,
) -> None:
    """Page open to first picture, ECG device to screen: two Chromium pages."""
    _measure("join", json, lambda report: join_scenario.run(report, runs, _tell))


@app.command()
def canvas(
    json: Json = None,
    cases: Annotated[str, typer.Option(help="Names of cases, comma-separated; empty = all.")] = "",
    seconds: Annotated[float, typer.Option(min=1, help="How long each case is watched.")] = 15.0,
) -> None:
    """Frame times of a live 12-lead ECG on a processor four times slower: desk and phone, worker and page."""
    wanted = _understood(lambda: canvas_scenario.chosen(cases))
    _measure("canvas", json, lambda report: canvas_scenario.run(report, wanted, seconds, _tell))


@app.command()
def network(
    json: Json = None,
    cases: Annotated[str, typer.Option(help="Names of cases, comma-separated; empty = all.")] = "",
    seconds: Annotated[float, typer.Option(min=5, help="Length of the steady cases.")] = MEASURE_SECONDS,
) -> None:
    """A consult on bad lines: freezes, concealment, layers, recovery. Needs root."""
    wanted = _understood(lambda: chosen(cases))
    _measure("network", json, lambda report: network_scenario.run(report, wanted, _tell, seconds))


@app.command()
def relay(
    json: Json = None,
    case_names: Annotated[
        str, typer.Option("--cases", help="Names of cases or their beginnings, comma-separated; empty = all.")
    ] = "",
    planes: Annotated[
        str, typer.Option(help="Of floor, python, native, janus, comma-separated; empty = all.")
    ] = "",
    runs: Annotated[int, typer.Option(min=1, help="How often each is measured; medians count.")] = 5,
) -> None:
    """What a forwarded packet costs: both planes beside the floor and Debian's Janus. Needs two cores."""
    wanted = _understood(lambda: relay_cases.chosen(case_names))
    compared = _understood(lambda: relay_cases.planes_named(planes))
    conditions = {"janus": ensure_installed()} if relay_cases.JANUS in compared else {}

    def run(report: Report) -> None:
        relay_scenario.run(report, wanted, compared, runs, conditions, _tell)

    _measure("relay", json, run)


@app.command()
def rooms(
    json: Json = None,
    scenario: Annotated[
        str, typer.Option(help="A scenario file, or the name of one in loadtest/scenarios.")
    ] = "consults",
    count: Annotated[
        int | None, typer.Option("--rooms", min=1, help="Another number of rooms than the file's.")
    ] = None,
    hold: Annotated[float | None, typer.Option(min=1, help="Seconds for which all rooms stand.")] = None,
    plane: Annotated[str, typer.Option(help="auto, native or python.")] = "auto",
    witnesses: Annotated[bool, typer.Option(help="Two Chromium pages in a room beside.")] = True,
    until: Annotated[
        str, typer.Option(help="Look for the knee: add rooms until FIGURE=LIMIT, as p99_ms=50.")
    ] = "",
    start: Annotated[int, typer.Option("--from", min=1, help="Rooms of the first step to the knee.")] = 25,
    frame_ms: Annotated[
        float | None,
        typer.Option("--ecg-frame-ms", min=10, max=1000, help="Other ECG frames than the file's."),
    ] = None,
) -> None:
    """Rooms of a scenario file on one core: losses, delay, joins, cost of a participant."""
    wanted = _understood(lambda: scenario_file.read(scenario).scaled(count, hold, frame_ms))
    knee = _understood(lambda: Until.parse(until)) if until else None
    options = _understood(lambda: rooms_scenario.Options(plane, witnesses, knee, start))

    def run(report: Report) -> None:
        rooms_scenario.run(report, wanted, options, _tell)
        if not until:
            judge_rooms(report)

    _measure("rooms", json, run)


@app.command()
def idle(
    json: Json = None,
    count: Annotated[int, typer.Option("--rooms", min=1)] = 300,
    hold: Annotated[float, typer.Option(min=1, help="Seconds for which all rooms stand.")] = 30.0,
    plane: Annotated[str, typer.Option(help="auto, native or python.")] = "auto",
) -> None:
    """CPU, memory and wake-ups of rooms in which three people are silent."""
    wanted = scenario_file.read("quiet").scaled(count, hold)
    _measure("idle", json, lambda report: idle_scenario.run(report, wanted, plane, _tell))


@app.command()
def qrs(
    json: Json = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of WFDB records with reference beats; without it made ECGs alone."),
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=0, help="How long 300 streams run beside an event loop; 0 = not.")
    ] = 20.0,
) -> None:
    """Heart beats, rate and alarms of the ECG analysis: records with reference beats, made rhythms, noise."""
    _compute("qrs", json, lambda report: run_qrs(report, data, seconds, _tell))


@app.command()
def ecg(
    json: Json = None,
    case_names: Annotated[
        str, typer.Option("--cases", help="Names of cases or their beginnings, comma-separated; empty = all.")
    ] = "",
    rooms: Annotated[int | None, typer.Option(min=1, help="Another number than 300 streams.")] = None,
) -> None:
    """An ECG that loses nothing: cuts, losses, kills, a full disk; its way to the screen. Needs root."""
    wanted = _understood(lambda: ecg_cases.chosen(case_names))
    _measure("ecg", json, lambda report: ecg_scenario.run(report, wanted, _tell, rooms))


@app.command()
def dispatch(
    json: Json = None,
    cases: Annotated[str, typer.Option(help="Of day, killed, two-nodes, comma-separated; empty = all.")] = "",
    requests: Annotated[int, typer.Option(min=1, help="Requests of the day.")] = 50_000,
    practitioners: Annotated[int, typer.Option(min=100)] = 10_000,
    sites: Annotated[int, typer.Option(min=20)] = 400,
    kills: Annotated[int, typer.Option(min=0, help="How often the case killed is killed.")] = 100,
    seed: Annotated[int, typer.Option(help="Another seed makes another day.")] = 1,
    until: Annotated[float, typer.Option(min=0, max=24, help="Nobody asks after this hour.")] = 24.0,
) -> None:
    """A province's day of requests on a counted clock: rung in time, nobody twice, nobody in silence."""
    wanted = _understood(lambda: dispatch_scenario.chosen(cases))
    size = dispatch_scenario.Size(requests, practitioners, sites, kills, seed, until)
    _compute("dispatch", json, lambda report: dispatch_scenario.run(report, size, wanted, _tell))


@app.command()
def compare(
    before: Annotated[Path, typer.Argument(help="An earlier report (JSON).")],
    after: Annotated[Path, typer.Argument(help="A later one of the same scenario.")],
) -> None:
    """What changed between two reports."""
    old, new = (_understood(partial(comparing.read, path)) for path in (before, after))
    found = _understood(lambda: comparing.differences(old, new))
    blocks = (
        comparing.changed_conditions(old, new),
        comparing.table(found),
        comparing.alone(old, new),
        comparing.shortfalls(old, new),
    )
    typer.echo("\n\n".join("\n".join(block) for block in blocks if block))


@app.command()
def fuzz(
    json: Json = None,
    parser: Annotated[str, typer.Option(help="Names of parsers, comma-separated; empty = all.")] = "",
    inputs: Annotated[int, typer.Option(min=1, help="Inputs for each parser.")] = 1_000_000,
    seed: Annotated[int, typer.Option(help="Another seed makes other inputs.")] = 1,
) -> None:
    """Mutated input for the parsers: read or refused, never anything else, and soon."""
    wanted = _understood(lambda: fuzz_targets.chosen(parser))
    _compute("fuzz", json, lambda report: run_fuzz(report, wanted, inputs, seed, _tell))


def _tell(line: str) -> None:
    typer.echo(line, err=True)


def _understood(read: Callable[[], T]) -> T:
    """What ``read`` makes of the command line; its `ValueError` is the caller's mistake."""
    try:
        return read()
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _measure(scenario: str, json: Path | None, fill: Callable[[Report], None]) -> None:
    """Run a scenario in a network of its own, and end with its report."""
    enter_own_network("loadtest", sys.argv[1:])
    try:
        _compute(scenario, json, fill)
    except NotRootError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None


def _compute(scenario: str, json: Path | None, fill: Callable[[Report], None]) -> None:
    """Run a scenario here, and end with its report."""
    report = Report(scenario, path=json)
    try:
        status = followed(report, fill)
    finally:
        for line in lines(report):
            typer.echo(line)
    raise typer.Exit(status)


if __name__ == "__main__":
    app()

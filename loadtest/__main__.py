"""``python -m loadtest SCENARIO --json FILE``: exit status 1 when a threshold was missed."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from loadtest import fuzz_targets, network_scenario
from loadtest import join as join_scenario
from loadtest.fuzz import fill as run_fuzz
from loadtest.impair import NotRootError
from loadtest.network import enter_own_network
from loadtest.network_cases import MEASURE_SECONDS, chosen
from loadtest.relay import cases as relay_cases
from loadtest.relay import scenario as relay_scenario
from loadtest.relay.janus_process import ensure_installed
from loadtest.report import Report, lines

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)

Json = Annotated[Path | None, typer.Option("--json", help="Write the report to this file.")]


@app.callback()
def scenarios() -> None:
    """Measure the server under load."""
    # An orderly end also when killed: a scenario leaves no server, browser or namespace behind.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


@app.command()
def join(
    json: Json = None,
    runs: Annotated[int, typer.Option(min=1, help="How often the expert joins.")] = 10,
) -> None:
    """Page open to first picture, ECG device to screen: two Chromium pages."""
    enter_own_network("loadtest", sys.argv[1:])
    report = Report("join")
    join_scenario.run(report, runs, lambda line: typer.echo(line, err=True))
    _finish(report, json)


@app.command()
def network(
    json: Json = None,
    cases: Annotated[str, typer.Option(help="Names of cases, comma-separated; empty = all.")] = "",
    seconds: Annotated[float, typer.Option(min=5, help="Length of the steady cases.")] = MEASURE_SECONDS,
) -> None:
    """A consult on bad lines: freezes, concealment, layers, recovery. Needs root."""
    try:
        wanted = chosen(cases)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    enter_own_network("loadtest", sys.argv[1:])
    report = Report("network")
    try:
        network_scenario.run(report, wanted, lambda line: typer.echo(line, err=True), seconds)
    except NotRootError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    _finish(report, json)


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
    try:
        wanted, compared = relay_cases.chosen(case_names), relay_cases.planes_named(planes)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    conditions = {"janus": ensure_installed()} if relay_cases.JANUS in compared else {}
    enter_own_network("loadtest", sys.argv[1:])
    report = Report("relay")
    relay_scenario.run(report, wanted, compared, runs, conditions, lambda line: typer.echo(line, err=True))
    _finish(report, json)


@app.command()
def fuzz(
    json: Json = None,
    parser: Annotated[str, typer.Option(help="Names of parsers, comma-separated; empty = all.")] = "",
    inputs: Annotated[int, typer.Option(min=1, help="Inputs for each parser.")] = 1_000_000,
    seed: Annotated[int, typer.Option(help="Another seed makes other inputs.")] = 1,
) -> None:
    """Mutated input for the parsers: read or refused, never anything else, and soon."""
    try:
        wanted = fuzz_targets.chosen(parser)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    report = Report("fuzz")
    run_fuzz(report, wanted, inputs, seed)
    _finish(report, json)


def _finish(report: Report, json: Path | None) -> None:
    status = report.write(json)
    for line in lines(report):
        typer.echo(line)
    raise typer.Exit(status)


if __name__ == "__main__":
    app()

"""``huizhen export``: what can be carried away without the running server."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from media.clock import SystemClock
from server.cli_admin import ConfigOption, DataOption, opened_database, settings_for
from server.cli_verify import ConsultationArgument
from server.config import Config
from server.export import export_consultation
from server.loop import run

export_app = typer.Typer()


class SignalFormat(StrEnum):
    """`media.signals.formats.FORMATS`, as the command line offers them."""

    DICOM = "dicom"
    EDF = "edf"
    WFDB = "wfdb"
    CSV = "csv"
    FHIR = "fhir"


@export_app.command("export")
def export(
    consultation: ConsultationArgument,
    target: Annotated[Path, typer.Argument(help="ZIP file to write.")],
    signals: Annotated[
        list[SignalFormat] | None,
        typer.Option(help="Add the signals in this format too; may be given several times."),
    ] = None,
    recorded_only: Annotated[
        bool,
        typer.Option(
            help="Leave out signals that were measured while nothing was recorded; the rest comes in the "
            "formats of --signals alone."
        ),
    ] = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Write a consult's whole record (opinion, trail, recordings, signals, materials) into one ZIP file."""
    settings, formats = settings_for(config, data), [str(one) for one in signals or ()]
    names = run(_export(settings, consultation, target, formats, recorded_only))
    typer.echo(f"{target}: {len(names)} files")


async def _export(
    settings: Config, consultation_id: str, target: Path, formats: Sequence[str], recorded_only: bool
) -> list[str]:
    async with opened_database(settings) as database, database.read() as session:
        return await export_consultation(
            session, settings, consultation_id, target, SystemClock(), formats, recorded_only
        )

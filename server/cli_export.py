"""``huizhen export``: what can be carried away without the running server."""

from __future__ import annotations

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


@export_app.command("export")
def export(
    consultation: ConsultationArgument,
    target: Annotated[Path, typer.Argument(help="ZIP file to write.")],
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Write a consult's whole record (opinion, trail, recordings, signals) into one ZIP file."""
    names = run(_export(settings_for(config, data), consultation, target))
    typer.echo(f"{target}: {len(names)} files")


async def _export(settings: Config, consultation_id: str, target: Path) -> list[str]:
    async with opened_database(settings) as database, database.read() as session:
        return await export_consultation(session, settings, consultation_id, target, SystemClock().wall())

"""``huizhen verify`` and ``huizhen export``: what can be checked and carried away without the running server."""

from __future__ import annotations

import typer

from media.clock import SystemClock
from server.archive.audit import AuditLog
from server.cli_admin import ConfigOption, DataOption, opened_database, settings_for
from server.config import Config
from server.run import run

verify_app = typer.Typer(help="Check that nothing kept was changed.", no_args_is_help=True)


@verify_app.command("audit")
def verify_audit(config: ConfigOption = None, data: DataOption = None) -> None:
    """Walk the audit trail's chain of hashes; status 1 when a byte was changed."""
    raise typer.Exit(run(_verify_audit(settings_for(config, data))))


async def _verify_audit(settings: Config) -> int:
    async with opened_database(settings) as database, database.read() as session:
        count, broken = await AuditLog(SystemClock()).verify(session)
    if broken is None:
        typer.echo(f"{count} entries, whole")
        return 0
    typer.echo(f"entry {broken.sequence}: {broken.reason}")
    return 1

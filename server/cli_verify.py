"""``huizhen verify``: what can be checked without the running server."""

from __future__ import annotations

from typing import Annotated

import typer
from sqlalchemy import select

from media.clock import SystemClock
from media.errors import NOT_FOUND, LocalProtocolError
from server.archive.audit import AuditLog
from server.cli_admin import ConfigOption, DataOption, opened_database, settings_for
from server.config import Config
from server.consults.documents import addendum_stands, opinion_stands
from server.consults.models import Addendum, Consultation, Opinion, PractitionerKey
from server.loop import run

verify_app = typer.Typer(help="Check that nothing kept was changed.", no_args_is_help=True)

ConsultationArgument = Annotated[str, typer.Argument(help="The consult's id.")]


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


@verify_app.command("opinion")
def verify_opinion(
    consultation: ConsultationArgument, config: ConfigOption = None, data: DataOption = None
) -> None:
    """Check an opinion's and its addenda's signatures; status 1 when one does not stand."""
    raise typer.Exit(run(_verify_opinion(settings_for(config, data), consultation)))


async def _verify_opinion(settings: Config, consultation_id: str) -> int:
    async with opened_database(settings) as database, database.read() as session:
        row = await session.get(Consultation, consultation_id)
        opinion = await session.get(Opinion, consultation_id)
        if row is None or opinion is None or opinion.key_id is None:
            raise LocalProtocolError(NOT_FOUND, "signed opinion")
        key = await session.get(PractitionerKey, opinion.key_id)
        verdicts = [("opinion", opinion_stands(row, opinion, key))]
        added = select(Addendum).where(Addendum.consultation_id == consultation_id)
        for addendum in await session.scalars(added.order_by(Addendum.signed_at)):
            its_key = await session.get(PractitionerKey, addendum.key_id)
            verdicts.append((addendum.id, addendum_stands(row, opinion, addendum, its_key)))
    for name, stands in verdicts:
        typer.echo(f"{name}: {'stands' if stands else 'DOES NOT STAND'}")
    return 0 if all(stands for _, stands in verdicts) else 1

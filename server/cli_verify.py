"""``huizhen verify``: what can be checked without the running server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from media.clock import SystemClock
from media.errors import NOT_FOUND, LocalProtocolError
from server.archive.anchor import Anchor, Head
from server.archive.audit import AuditLog, check_anchor
from server.archive.chain import Link
from server.archive.models import AuditEntry
from server.archive.trail_file import check_lines, head_text, read_line
from server.cli_admin import ConfigOption, DataOption, opened_database, settings_for
from server.config import Config
from server.consults.models import Consultation, Opinion
from server.consults.seal import seal_broken
from server.consults.signed import verdict_of
from server.keys import Keys
from server.loop import run

verify_app = typer.Typer(help="Check that nothing kept was changed.", no_args_is_help=True)

ConsultationArgument = Annotated[str, typer.Argument(help="The consult's id.")]


@verify_app.command("audit")
def verify_audit(
    file: Annotated[
        Path | None,
        typer.Argument(help="An exported trail (JSON lines); without it the server's own is checked."),
    ] = None,
    head: Annotated[
        str, typer.Option(help="NUMBER:HASH as printed earlier: the trail still has to have this entry.")
    ] = "",
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Walk the audit trail's chain of hashes and hold it against its anchor; status 1 when a byte was
    changed, an entry cut out, or the end cut off.

    Of a FILE: that each entry is as it was written, and how many were left out. It needs no server; the
    heads that it prints are what `--head` asks the server's own trail about."""
    if file is not None:
        raise typer.Exit(_verify_lines(file, head))
    raise typer.Exit(run(_verify_audit(settings_for(config, data), head)))


def _verify_lines(file: Path, noted: str) -> int:
    seen = set()

    def entries(lines: Iterable[bytes]) -> Iterator[tuple[Link, str]]:
        for number, line in enumerate(lines, 1):
            link, digest = read_line(line, number)
            if head_text(Head(link.sequence, digest)) == noted:
                seen.add(noted)
            yield link, digest

    try:
        with file.open("rb") as lines:
            found = check_lines(entries(lines))
    except OSError as problem:
        raise typer.BadParameter(f"{file}: {problem.strerror}") from None
    faults = [] if found.broken is None else [f"entry {found.broken.sequence}: {found.broken.reason}"]
    if not found.entries:
        faults.append("the file holds no entry")
    if noted and not seen:
        faults.append(f"the file does not have the head {noted}")
    for fault in faults:
        typer.echo(fault)
    if not faults:
        typer.echo(f"{found.entries} entries, whole")
        if found.gaps:
            typer.echo(f"{found.gaps} gaps: entries between these were left out")
        for one in dict.fromkeys((found.first, found.last)):
            typer.echo(f"head {one}")
    return 1 if faults else 0


async def _verify_audit(settings: Config, noted: str) -> int:
    anchor = Anchor(settings.data_directory, Keys.load_or_create(settings.data_directory).audit_key)
    async with opened_database(settings) as database, database.read() as session:
        count, broken = await AuditLog(SystemClock()).verify(session)
        faults = [] if broken is None else [f"entry {broken.sequence}: {broken.reason}"]
        # On PostgreSQL each node anchors what it wrote: entries after its own may be another's.
        faults += await _anchor_faults(session, anchor, count if database.is_sqlite else 0)
        newest = await session.get(AuditEntry, count)
        if noted and not await _has_head(session, noted):
            faults.append(f"the trail does not have the head {noted}")
    for fault in faults:
        typer.echo(fault)
    if not faults:
        typer.echo(f"{count} entries, whole")
        if newest is not None:
            typer.echo(f"head {newest.sequence}:{newest.hash}")
    return 1 if faults else 0


async def _anchor_faults(session: AsyncSession, anchor: Anchor, count: int) -> list[str]:
    """What the anchor says against the trail; one that was set aside at a start goes on saying it."""
    faults = [f"at a start the trail did not fit its anchor: {name}" for name in anchor.kept_aside()]
    misfit = await check_anchor(session, anchor)
    if misfit is not None:
        return [*faults, misfit]
    head = anchor.read()
    if head is not None and head.sequence < count:
        faults.append(
            f"entries {head.sequence + 1} to {count} were not anchored (a crash, or put on by hand)"
        )
    return faults


async def _has_head(session: AsyncSession, noted: str) -> bool:
    number, _, digest = noted.partition(":")
    entry = await session.get(AuditEntry, int(number)) if number.isdecimal() else None
    return entry is not None and entry.hash == digest


@verify_app.command("opinion")
def verify_opinion(
    consultation: ConsultationArgument, config: ConfigOption = None, data: DataOption = None
) -> None:
    """Check an opinion's and its addenda's signatures, and that they are those that the audit trail names;
    status 1 when one does not stand or is missing. Whether the trail was changed says `verify audit`."""
    raise typer.Exit(run(_verify_opinion(settings_for(config, data), consultation)))


async def _verify_opinion(settings: Config, consultation_id: str) -> int:
    async with opened_database(settings) as database, database.read() as session:
        row = await session.get(Consultation, consultation_id)
        opinion = await session.get(Opinion, consultation_id)
        if row is None or opinion is None or opinion.key_id is None:
            raise LocalProtocolError(NOT_FOUND, "signed opinion")
        found, addenda = await verdict_of(session, row, opinion)
    verdicts = [("opinion", found.opinion), *((one.id, found.addenda[one.id]) for one in addenda)]
    for name, stands in verdicts:
        typer.echo(f"{name}: {'stands' if stands else 'DOES NOT STAND'}")
    if found.missing:
        typer.echo(f"{found.missing} of what was signed is MISSING")
    return 0 if found.stands else 1


@verify_app.command("record")
def verify_record(
    consultation: ConsultationArgument, config: ConfigOption = None, data: DataOption = None
) -> None:
    """Check that an archived consult is, field by field, as it was when it was sealed, and that the audit
    trail names its seal; status 1 when not. Whether the trail was changed says `verify audit`."""
    raise typer.Exit(run(_verify_record(settings_for(config, data), consultation)))


async def _verify_record(settings: Config, consultation_id: str) -> int:
    async with opened_database(settings) as database, database.read() as session:
        row = await session.get(Consultation, consultation_id)
        if row is None:
            raise LocalProtocolError(NOT_FOUND, "consultation")
        broken = await seal_broken(session, row)
    typer.echo(f"record: {'whole' if broken is None else broken}")
    return 0 if broken is None else 1

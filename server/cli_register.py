"""``huizhen admin import`` and ``export-csv``: places and people as files."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from media.clock import SystemClock
from media.errors import TOO_LARGE, LocalProtocolError
from server import cli_setup
from server.archive.audit import AuditLog
from server.auth.actor import system_actor
from server.cli_admin import ConfigOption, DataOption, admin_app, settings_for
from server.cli_admin import opened_database as opened
from server.config import Config
from server.loop import run
from server.register.csv_columns import Kind
from server.register.importing import Importer, Mode, Report
from server.register.limits import IMPORT_BYTES

__all__ = ["admin_app", "cli_setup"]  # the latter adds its own commands to the same group


class FileKind(StrEnum):
    ORGANIZATIONS = "organizations"
    PRACTITIONERS = "practitioners"


_KINDS: dict[FileKind, Kind] = {
    FileKind.ORGANIZATIONS: "organizations",
    FileKind.PRACTITIONERS: "practitioners",
}


@admin_app.command("import")
def import_file(
    kind: Annotated[FileKind, typer.Argument(help="What the file holds.")],
    file: Annotated[Path, typer.Argument(help="CSV, UTF-8 or GB18030.", exists=True, dir_okay=False)],
    write: Annotated[bool, typer.Option("--write", help="Write it when every line is good.")] = False,
    good_lines: Annotated[bool, typer.Option("--good-lines", help="Write the good lines.")] = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Read a CSV file in. Without an option nothing is written: every bad line is listed.

    Status 1 when a line is bad.
    """
    if file.stat().st_size > IMPORT_BYTES:
        raise LocalProtocolError(TOO_LARGE, f"{file}: over {IMPORT_BYTES} bytes")
    mode: Mode = "good" if good_lines else "all" if write else "check"
    report = run(_import(settings_for(config, data), _KINDS[kind], file.read_bytes(), mode))
    _show(report, Console())
    raise typer.Exit(1 if report.bad else 0)


async def _import(settings: Config, kind: Kind, data: bytes, mode: Mode) -> Report:
    clock = SystemClock()
    async with opened(settings) as database:
        importer = Importer(database, AuditLog(clock), settings.zone)
        return await importer.run(system_actor(), kind, data, mode, clock.wall())


def _show(report: Report, console: Console) -> None:
    if report.problems:
        table = Table("行 line", "列 column", "问题 problem", "内容 value")
        for one in report.problems:
            table.add_row(str(one.line or "-"), one.column, f"{one.zh} {one.en}", one.value)
        console.print(table)
    console.print(
        f"{report.lines} 行 lines: {report.new} 新增 new, {report.changed} 变更 changed, "
        f"{report.same} 不变 same, {report.bad} 有误 bad; "
        + ("已写入 written" if report.written else "未写入 nothing written")
    )


@admin_app.command("export-csv")
def export_file(
    kind: Annotated[FileKind, typer.Argument(help="What to write.")],
    file: Annotated[Path, typer.Argument(help="The file to make.", dir_okay=False)],
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Write the register as the CSV file that ``import`` reads."""
    file.write_bytes(run(_export(settings_for(config, data), _KINDS[kind])))


async def _export(settings: Config, kind: Kind) -> bytes:
    async with opened(settings) as database:
        audit = AuditLog(SystemClock())
        async with database.write() as session:
            return await Importer(database, audit, settings.zone).export(session, system_actor(), kind)

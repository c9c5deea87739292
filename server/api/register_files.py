"""The register as a file: import with a dry run, export, an empty one to begin with."""

from __future__ import annotations

from typing import Literal

from aiohttp import web

from media.errors import TOO_LARGE, RemoteProtocolError
from server.api.context import RequestContext
from server.api.models import ApiModel, Bilingual
from server.api.routing import endpoint
from server.register.csv_columns import COLUMNS, Kind
from server.register.csv_text import write_table
from server.register.limits import IMPORT_BYTES
from server.register.scope import KEEPERS

_PIECE = 64 * 1024


class ImportQuery(ApiModel):
    """``mode``: check writes nothing, all writes when every line is good, good writes the good ones."""

    kind: Literal["organizations", "practitioners"]
    mode: Literal["check", "all", "good"] = "check"


class FileQuery(ApiModel):
    """``empty``: only the header."""

    kind: Literal["organizations", "practitioners"]
    empty: bool = False


class BadLineOut(ApiModel):
    """``line``: in the file, from 1; 0 = the file as a whole. ``value``: what stands there, shortened."""

    line: int
    column: str
    code: str
    message: Bilingual
    value: str


class ReportOut(ApiModel):
    """``bad``: bad lines in all, of which ``problems`` lists the first."""

    lines: int
    new: int
    changed: int
    same: int
    bad: int
    problems: list[BadLineOut]
    written: bool


@endpoint("POST", "/api/v1/register/import", summary="Read a CSV file in", roles=KEEPERS, writes=False)
async def import_file(ctx: RequestContext, query: ImportQuery) -> ReportOut:
    """The body is the file itself, UTF-8 or GB18030. Nothing is written unless every line is good, or
    ``mode=good`` asks for the good ones.
    """
    data = await _body(ctx.request)
    report = await ctx.services.importer.run(ctx.actor, query.kind, data, query.mode, ctx.now)
    if report.written:
        for one in report.closed:
            ctx.services.consults.expert_left(ctx.actor, one)
    told = [
        BadLineOut(
            line=one.line,
            column=one.column,
            code=one.code,
            message=Bilingual(zh=one.zh, en=one.en),
            value=one.value,
        )
        for one in report.problems
    ]
    return ReportOut(
        lines=report.lines,
        new=report.new,
        changed=report.changed,
        same=report.same,
        bad=report.bad,
        problems=told,
        written=report.written,
    )


@endpoint(
    "GET",
    "/api/v1/register/export",
    summary="The register as a CSV file",
    roles=KEEPERS,
    writes=True,
    media_type="text/csv",
)
async def export_file(ctx: RequestContext, query: FileQuery) -> web.Response:
    """UTF-8 with a byte order mark. What a spreadsheet would calculate gets an apostrophe in front."""
    kind: Kind = query.kind
    if query.empty:
        data = write_table([column.zh for column in COLUMNS[kind]], [])
    else:
        data = await ctx.services.importer.export(ctx.session, ctx.actor, kind)
    disposition = f'attachment; filename="{kind}.csv"'
    headers = {"Content-Disposition": disposition, "Cache-Control": "no-store"}
    return web.Response(body=data, content_type="text/csv", charset="utf-8", headers=headers)


async def _body(request: web.Request) -> bytes:
    """The file, at most `IMPORT_BYTES`: larger ones are not read to their end."""
    if (request.content_length or 0) > IMPORT_BYTES:
        raise RemoteProtocolError(TOO_LARGE)
    found = bytearray()
    async for piece in request.content.iter_chunked(_PIECE):
        found += piece
        if len(found) > IMPORT_BYTES:
            raise RemoteProtocolError(TOO_LARGE)
    return bytes(found)

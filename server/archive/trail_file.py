"""The audit trail as a file: JSON lines that anybody can check, or a table for a spreadsheet.

A line is the fields that an entry's hash is over and the hash itself, in canonical JSON
(`server.archive.chain`). Whoever has the file alone sees that no entry was changed; that none was left out,
only where numbers follow each other: a file by a filter has gaps, and `check_lines` counts them.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import BaseModel, ConfigDict
from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from media.errors import MALFORMED, RemoteProtocolError
from server.archive.anchor import Head
from server.archive.audit import PAGE, link_of
from server.archive.chain import Break, Link, canonical_json, link_hash
from server.archive.models import AuditEntry, Practitioner
from server.archive.trail import what_of
from server.register.csv_text import write_rows, write_table
from server.times import iso_from_unix

MEDIA_TYPES = {"csv": "text/csv", "jsonl": "application/x-ndjson"}


async def write_trail(
    session: AsyncSession, wanted: Sequence[ColumnElement[bool]], file_format: str, directory: Path
) -> BinaryIO:
    """The wanted entries, the oldest first, in a file without a name; a page of them is in memory at a time.

    :param wanted: `server.archive.trail.conditions`.
    :param file_format: a key of `MEDIA_TYPES`.
    :param directory: where the file grows; the caller closes it, and nothing is left of it then.
    """
    file: BinaryIO = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115
    try:
        if file_format == "csv":
            file.write(write_table(CSV_COLUMNS, []))
        done = 0
        query = select(AuditEntry).where(*wanted).order_by(AuditEntry.sequence).limit(PAGE)
        while rows := list(await session.scalars(query.where(AuditEntry.sequence > done))):
            entries = [(link_of(row), row.hash) for row in rows]
            names = await _names(session, {row.actor_id for row in rows}) if file_format == "csv" else None
            await asyncio.to_thread(_write, file, entries, names)
            done = rows[-1].sequence
            session.expunge_all()
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


def _write(file: BinaryIO, entries: Iterable[tuple[Link, str]], names: dict[str, str] | None) -> None:
    if names is None:
        file.writelines(line_of(link, own_hash) for link, own_hash in entries)
    else:
        file.write(
            write_rows(csv_row(link, own_hash, names.get(link.actor_id, "")) for link, own_hash in entries)
        )


async def _names(session: AsyncSession, ids: set[str]) -> dict[str, str]:
    rows = await session.scalars(select(Practitioner).where(Practitioner.id.in_(ids)))
    return {row.id: row.name.reveal() for row in rows}


def line_of(link: Link, own_hash: str) -> bytes:
    """One entry as a line, its end included."""
    return canonical_json({**asdict(link), "detail": dict(link.detail), "hash": own_hash}) + b"\n"


class _Entry(BaseModel):
    """A line's fields: a `Link` and its hash."""

    model_config = ConfigDict(extra="forbid", strict=True)

    sequence: int
    at_us: int
    actor_id: str
    actor_kind: str
    action: str
    subject_type: str
    subject_id: str
    detail: dict[str, Any]
    previous_hash: str
    hash: str


def read_line(line: str | bytes, number: int) -> tuple[Link, str]:
    """The entry and the hash that stands with it.

    :raises RemoteProtocolError: malformed, with the line's number.
    """
    try:
        # Not pydantic's own reader: a number that a float cannot hold would come out as another.
        entry = _Entry.model_validate(json.loads(line, parse_constant=_refuse))
    except (ValueError, RecursionError):
        raise RemoteProtocolError(MALFORMED, f"line {number} is no entry of an audit trail") from None
    fields = dict(entry)
    own_hash = fields.pop("hash")
    return Link(**fields), own_hash


def _refuse(name: str) -> None:
    raise ValueError(name)


@dataclass(frozen=True, slots=True)
class Lines:
    """What a file of the trail turned out to be.

    :param entries: how many were looked at, a broken one included.
    :param gaps: places where numbers do not follow each other.
    :param first: ``NUMBER:HASH`` of the first entry, ``last`` of the last whole one; empty without any.
    """

    entries: int
    gaps: int
    broken: Break | None
    first: str
    last: str


def check_lines(entries: Iterable[tuple[Link, str]]) -> Lines:
    """Walk a file of the trail up to its end or to the first entry that was changed.

    Numbers have to rise; where they follow each other, each entry names the hash of the one before.
    """
    count = gaps = 0
    before: Head | None = None
    first = ""
    for link, stored in entries:
        count += 1
        fault = _fault(link, stored, before)
        if fault is not None:
            return Lines(count, gaps, Break(link.sequence, fault), first, head_text(before))
        gaps += before is not None and link.sequence != before.sequence + 1
        before = Head(link.sequence, stored)
        first = first or head_text(before)
    return Lines(count, gaps, None, first, head_text(before))


def _fault(link: Link, stored: str, before: Head | None) -> str | None:
    if link_hash(link) != stored:
        return "was changed after it was written"
    if before is not None and link.sequence <= before.sequence:
        return f"stands after entry {before.sequence}"
    if before is not None and link.sequence == before.sequence + 1 and link.previous_hash != before.hash:
        return "does not name the hash of the entry before"
    return None


def head_text(head: Head | None) -> str:
    return "" if head is None else f"{head.sequence}:{head.hash}"


CSV_COLUMNS = ("number", "at", "name", "actor_kind", "actor_id", "what", "action", "subject_type",
               "subject_id", "detail", "hash")  # fmt: skip


def csv_row(link: Link, own_hash: str, name: str) -> list[str]:
    """What a spreadsheet shows of an entry, as `CSV_COLUMNS`; the detail as JSON. ``name``: the actor's."""
    at = iso_from_unix(link.at_us / 1_000_000)
    detail = json.dumps(dict(link.detail), ensure_ascii=False, sort_keys=True)
    who = [name, link.actor_kind, link.actor_id]
    what = [what_of(link.action).value, link.action, link.subject_type, link.subject_id]
    return [str(link.sequence), at, *who, *what, detail, own_hash]

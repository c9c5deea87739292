"""How long a file of 10,000 people takes: ``python -m tests.server.register.bench_import``.

Prints wall and CPU seconds of the check alone, of the first writing, and of the same file again.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from zoneinfo import ZoneInfo

from media.clock import SystemClock
from server.archive.audit import AuditLog
from server.archive.database import Database
from server.archive.migrate import upgrade_database
from server.auth.actor import system_actor
from server.register.csv_columns import PRACTITIONERS, Kind
from server.register.csv_text import write_table
from server.register.importing import Importer, Mode, Report

PEOPLE = 10_000
PLACES = 20


def places_file() -> bytes:
    header = ("code", "name", "level", "parent")
    rows = [
        ("H0000", "县医院", "县", ""),
        *((f"T{n:04}", f"卫生院{n}", "乡镇", "H0000") for n in range(1, PLACES)),
    ]
    return write_table(header, rows)


def people_file() -> bytes:
    rows = [
        (
            *(
                f"110441{n:09}",
                f"医生{n}",
                f"Doctor {n}",
                "H0000" if n % 2 else f"T{n % (PLACES - 1) + 1:04}",
            ),
            *(
                "主治医师",
                "Attending",
                "专家",
                "心血管内科；急诊科",
                "zh；en",
                "13800000000",
                f"doctor.{n}",
                "在用",
                "",
            ),
        )
        for n in range(PEOPLE)
    ]
    return write_table([column.zh for column in PRACTITIONERS], rows)


async def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        database = Database(f"sqlite+aiosqlite:///{Path(directory) / 'bench.db'}")
        await upgrade_database(database)
        importer = Importer(database, AuditLog(SystemClock()), ZoneInfo("Asia/Shanghai"))
        await _timed("organizations", importer, "organizations", places_file(), "all")
        data = people_file()
        await _timed("check", importer, "practitioners", data, "check")
        await _timed("write", importer, "practitioners", data, "all")
        await _timed("again", importer, "practitioners", data, "all")
        await database.close()


async def _timed(name: str, importer: Importer, kind: Kind, data: bytes, mode: Mode) -> Report:
    wall, cpu = time.perf_counter(), time.process_time()
    report = await importer.run(system_actor(), kind, data, mode, time.time())
    print(
        f"{name}: {time.perf_counter() - wall:.2f} s wall, {time.process_time() - cpu:.2f} s CPU; "
        f"{report.lines} lines, {report.new} new, {report.same} same, {report.bad} bad"
    )
    return report


if __name__ == "__main__":
    asyncio.run(main())

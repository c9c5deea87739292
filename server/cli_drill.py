"""``huizhen drill``: the dispatcher on a counted clock, for load tests. Hidden: it is no server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from server.config import LogConfig
from server.drill.host import serve
from server.log import configure_logging
from server.loop import run

drill_app = typer.Typer()


@drill_app.command("drill", hidden=True)
def drill(
    data: Annotated[Path, typer.Option(help="Directory of its keys and, without a URL, its database.")],
    now: Annotated[float, typer.Option(help="The counted clock's first reading, Unix seconds.")],
    database_url: Annotated[str, typer.Option(help="SQLAlchemy URL; empty: SQLite.")] = "",
) -> None:
    """Carry out commands from standard input on a counted clock; see server/drill/host.py."""
    configure_logging(LogConfig(level="warning"))
    run(serve(data, database_url, now))

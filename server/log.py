"""Log lines:

every module logs with the standard library, this renders them (structlog), for people or as JSON.

Names and patients cannot get here by accident: `Personal` prints a token, database errors hide their
parameters, and there is no access log, because a guest link and a file ticket stand in addresses.
"""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import structlog
from structlog.typing import Processor

from server.config import LogConfig

_QUIET = (
    "aioice",
    "aiortc",
    "engineio",
    "socketio",
    "aiosqlite",
    "sqlalchemy",
    "alembic",
    "libav",
    "asyncio",
)
"""Libraries whose info lines tell of addresses or parameters; their warnings stay."""


def configure_logging(config: LogConfig, stream: TextIO | None = None) -> None:
    """Install the one handler of the root logger; called once by the command line."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(formatter(config.format))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(config.level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def formatter(style: str) -> logging.Formatter:
    """``json``: one object a line; anything else: for people."""
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )

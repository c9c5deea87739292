"""The command ``huizhen``: which module holds which command.

A command's module is imported when the command is asked for. A gateway at a clinic runs ``huizhen device`` on
a small computer, and what it loads of the server would be more than half of its start.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any

import typer
from rich.console import Console
from typer.core import TyperGroup
from typer.main import get_command, get_group

from media.errors import Fault

_GROUPS: Mapping[str, str] = MappingProxyType(
    {
        "device": "server.cli_device:device_app",
        "token": "server.cli_admin:token_app",
        "admin": "server.cli_register:admin_app",
        "verify": "server.cli_verify:verify_app",
    }
)
_COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "serve": "server.cli_server:server_app",
        "demo": "server.cli_server:server_app",
        "check": "server.cli_server:server_app",
        "config": "server.cli_server:server_app",
        "export": "server.cli_export:export_app",
        "drill": "server.cli_drill:drill_app",
    }
)


_HIDDEN = frozenset({"drill"})
"""For programs, not for people."""


def _load(place: str) -> typer.Typer:
    module, _, name = place.partition(":")
    found = getattr(import_module(module), name)
    assert isinstance(found, typer.Typer)
    return found


class _Commands(TyperGroup):
    """The commands of other modules, each imported when it is asked for.

    (Typer keeps the types of its contexts and commands to itself.)
    """

    def list_commands(self, ctx: Any) -> list[str]:
        return [one for one in (*_COMMANDS, *_GROUPS) if one not in _HIDDEN]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name in _GROUPS:
            group = get_command(_load(_GROUPS[cmd_name]))
            group.name = cmd_name
            return group
        if cmd_name in _COMMANDS:
            return get_group(_load(_COMMANDS[cmd_name])).commands[cmd_name]
        return None


app = typer.Typer(
    cls=_Commands,
    name="huizhen",
    help="Huizhen (会诊): teleconsultation server.",
    no_args_is_help=True,
    add_completion=False,
)


@app.callback()
def _huizhen() -> None:
    """Huizhen (会诊): teleconsultation server."""


def main() -> None:
    """Entry point; a fault ends with one sentence and status 1 instead of a traceback."""
    try:
        app()
    except Fault as fault:
        # Without markup: a section's name stands in brackets.
        said = f"{fault.code.zh} {fault.code.en} ({fault.code.code}) {fault.detail}"
        Console(stderr=True).print(said, markup=False)
        sys.exit(1)


if __name__ == "__main__":
    main()

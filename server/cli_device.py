"""``huizhen device``: the gateways that stand at the clinic, with real recorded signals."""

from __future__ import annotations

import typer

device_app = typer.Typer(help="Gateways at the clinic.", no_args_is_help=True)

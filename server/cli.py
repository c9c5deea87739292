"""The command ``huizhen``. Thin: each command reads its options, calls one function and prints."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from media.clock import SystemClock
from media.errors import Fault
from server.app import Server
from server.check import CheckOptions, run_check
from server.cli_admin import admin_app, token_app
from server.cli_device import device_app
from server.cli_setup import create_device, create_organization, create_rota
from server.cli_verify import export, verify_app
from server.config import Config, LogConfig, MediaConfig, load_config, sample_toml
from server.demo import run_demo
from server.demo_county import PASSWORD
from server.log import configure_logging
from server.run import run, serve

app = typer.Typer(
    name="huizhen",
    help="Huizhen (会诊): teleconsultation server.",
    no_args_is_help=True,
    add_completion=False,
)
app.add_typer(device_app, name="device")
app.add_typer(token_app, name="token")
app.add_typer(admin_app, name="admin")
app.add_typer(verify_app, name="verify")
app.command("export")(export)
admin_app.command("create-organization")(create_organization)
admin_app.command("create-device")(create_device)
admin_app.command("create-rota")(create_rota)

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="TOML file; see docs/huizhen.sample.toml.")
]


def ready_line(server: Server) -> str:
    """What a program that started us waits for on standard output."""
    config = server.services.config
    facts = {
        "url": server.url,
        "data": str(config.data_directory),
        "mediaPort": server.services.media_socket.port,
    }
    return "READY " + json.dumps(facts)


@app.command("serve")
def serve_command(config: ConfigOption = None) -> None:
    """Run the server until SIGTERM or Ctrl-C."""
    settings = load_config(config)
    configure_logging(settings.log)

    @asynccontextmanager
    async def announce(server: Server) -> AsyncIterator[None]:
        print(ready_line(server), flush=True)
        yield

    run(serve(settings, announce))


@app.command("demo")
def demo_command(
    data: Annotated[Path, typer.Option(help="Directory that keeps the demo county.")] = Path("demo-data"),
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="TCP port; 0 takes a free one.")] = 8080,
    https_port: Annotated[int, typer.Option(help="HTTPS port for phones, self-signed; 0 = none.")] = 0,
    media_port: Annotated[int, typer.Option(help="UDP port; 0 takes a free one.")] = 40000,
    announce: Annotated[
        list[str] | None, typer.Option(help="Address under which browsers reach this machine.")
    ] = None,
    devices: Annotated[bool, typer.Option(help="Start the simulated ECG and ultrasound.")] = True,
) -> None:
    """Run a demo county with simulated devices; prints where to go and who can sign in."""
    base = load_config(None)
    settings = replace(
        base,
        storage=replace(base.storage, directory=str(data)),
        http=replace(base.http, host=host, port=port, https_port=https_port),
        media=_demo_media(base, host, media_port, announce or []),
        log=replace(base.log, level="warning") if base.log.level == "info" else base.log,
    )
    configure_logging(settings.log)
    run(run_demo(settings, devices=devices, ready_line=ready_line))


def _demo_media(base: Config, host: str, port: int, announce: list[str]) -> MediaConfig:
    # Bound to one address, that one is announced; bound to all, what the machine finds out or was told.
    everywhere = host in ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound
    addresses = tuple(announce) or (() if everywhere else (host,))
    return replace(base.media, listen_ip=host, port=port, announced_addresses=addresses)


@app.command("check")
def check_command(
    url: Annotated[str | None, typer.Option(help="Server to check, with the demo's accounts.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
    config: ConfigOption = None,
    password: Annotated[str, typer.Option(help="Of the demo's accounts.")] = PASSWORD,
    seconds: Annotated[float, typer.Option(help="How long media flows before it is judged.")] = 3.0,
    insecure: Annotated[bool, typer.Option(help="Take a self-signed certificate.")] = False,
) -> None:
    """Run a whole consult and say what works, what does not, and how long it takes."""
    configure_logging(LogConfig(level="error"))
    options = CheckOptions(url, config, password, seconds, tls_verify=not insecure)
    report = run(run_check(options, SystemClock()))
    report.show(Console())
    if json_file is not None:
        conditions = {"url": url, "seconds": seconds}
        json_file.write_text(json.dumps(report.as_json(conditions), ensure_ascii=False, indent=2), "utf-8")
    raise typer.Exit(1 if report.failed else 0)


@app.command("config")
def config_command() -> None:
    """Print the commented sample configuration."""
    typer.echo(sample_toml(), nl=False)


def main() -> None:
    """Entry point; a fault ends with one sentence and status 1 instead of a traceback."""
    try:
        app()
    except Fault as fault:
        Console(stderr=True).print(f"{fault.code.zh} {fault.code.en} ({fault.code.code}) {fault.detail}")
        sys.exit(1)


if __name__ == "__main__":
    main()

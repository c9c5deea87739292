"""The configuration: one frozen tree, each field with a default and a sentence.

`docs/huizhen.sample.toml` is written from this file (``sample_toml``, a test compares them), so its comments
are the manual. Read once at the top and passed down; this is the only module that looks at the environment,
where ``HUIZHEN_HTTP_PORT=9000`` overrides ``port`` of ``[http]``.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar, get_type_hints
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo, available_timezones

from media.errors import LocalProtocolError
from server.errors import CONFIG_INVALID

T = TypeVar("T")

ENVIRONMENT_PREFIX = "HUIZHEN_"


def option(default: T, sentence: str, least: int | None = None) -> T:
    """A field with its default, the sentence that explains it, and the least number it takes."""
    return field(default=default, metadata={"sentence": sentence, "least": least})


DEFAULT_ZONE = "Asia/Shanghai"
"""Of the web client's files too: a page that names no other zone shows this one's time."""


@dataclass(frozen=True, slots=True)
class SiteConfig:
    """The clinics that this installation serves."""

    zone: str = option(
        DEFAULT_ZONE,
        "Their time zone, by its name in the tz database, such as Asia/Urumqi: times on each page and printed"
        " report, hours and days of figures, planned consults. Each rota has one of its own beside it.",
    )

    def __post_init__(self) -> None:
        # Area/City alone: what else the machine's database has (localtime, Factory) no browser knows.
        if self.zone != DEFAULT_ZONE and ("/" not in self.zone or self.zone not in available_timezones()):
            raise LocalProtocolError(
                CONFIG_INVALID, f"[site] zone: the tz database has no Area/City named {self.zone!r}"
            )


def _origin(parts: SplitResult) -> str:
    return f"{parts.scheme}://{parts.netloc}" if parts.hostname else ""


@dataclass(frozen=True, slots=True)
class HttpConfig:
    """The web side: pages, API, signaling."""

    host: str = option("127.0.0.1", "Address to listen on; 0.0.0.0 for every network of this machine.")
    port: int = option(8080, "TCP port of plain HTTP; 0 takes a free one.")
    https_port: int = option(
        0, "TCP port of HTTPS; 0 = none. Browsers give camera and microphone only to HTTPS (or localhost)."
    )
    tls_certificate: str = option(
        "", "PEM file with the certificate chain for HTTPS. Empty: a self-signed one is made and kept."
    )
    tls_key: str = option("", "PEM file with the certificate's private key.")
    allowed_origins: tuple[str, ...] = option(
        (), "Web origins besides our own whose pages may connect to rooms, such as https://app.example.org."
    )
    client_address_header: str = option(
        "", "Header in which a reverse proxy in front passes the client's address, such as X-Real-IP."
    )
    public_url: str = option(
        "",
        "Where everybody reaches this installation, as a whole origin, such as https://consult.example.org:"
        " the code on a printed report leads there for years. Empty: where the one who prints found us.",
    )

    def __post_init__(self) -> None:
        parts = urlsplit(self.public_url)
        if self.public_url and (parts.scheme not in ("http", "https") or self.public_url != _origin(parts)):
            raise LocalProtocolError(CONFIG_INVALID, "[http] public_url is an origin: https://host, no more")


@dataclass(frozen=True, slots=True)
class MediaConfig:
    """Sound, pictures and data of the rooms: one UDP port for everybody, one TCP port beside it."""

    listen_ip: str = option("127.0.0.1", "Address both ports are bound to; 0.0.0.0 for every network.")
    port: int = option(40000, "UDP port; open it in the firewall. 0 takes a free one.")
    tcp_port: int = option(
        -1,
        "TCP port for media where a network passes no UDP; -1: the same number as the UDP port, 0: none.",
    )
    plane: str = option(
        "auto",
        "What moves the packets: auto (the compiled core where it was built and passes its self-test,"
        " else python, with a warning), native (the compiled core, or no start without it), or python.",
    )
    udp_announce: bool = option(
        True, "Whether browsers are told of the UDP port; false only to try out what TCP alone is like."
    )
    announced_addresses: tuple[str, ...] = option(
        (),
        "Addresses told to browsers: under which they reach this machine, the public one behind NAT. "
        "Empty: the bound one, or that of the default route.",
    )


@dataclass(frozen=True, slots=True)
class TurnConfig:
    """A TURN server (coturn) for networks that pass only HTTPS; see docs/deploy-turn.md."""

    urls: tuple[str, ...] = option(
        (),
        "Where it is, such as turn:turn.example.org:3478?transport=udp and"
        " turns:turn.example.org:443?transport=tcp. Empty: none.",
    )
    secret: str = option("", "The static-auth-secret of coturn; with it we make credentials that expire.")
    ttl_minutes: int = option(480, "How long such credentials last: one shift, for a room may stay open.")


@dataclass(frozen=True, slots=True)
class StorageConfig:
    """Where things are kept."""

    directory: str = option("data", "Directory of everything that is kept: database, secret, recordings.")
    database_url: str = option(
        "", "SQLAlchemy URL, such as postgresql+asyncpg://user@host/huizhen. Empty: SQLite in the directory."
    )


@dataclass(frozen=True, slots=True)
class ClusterConfig:
    """Several nodes: one PostgreSQL, one Redis, the same secret.key; see server/nodes/DESIGN.md."""

    redis_url: str = option(
        "", "Redis by which the nodes ring each other's browsers: redis://host:6379/0. Empty: one node."
    )
    url: str = option(
        "",
        "Where browsers reach this very node, such as https://node-a.example.org. Empty: its own address.",
    )


@dataclass(frozen=True, slots=True)
class AuthConfig:
    """Signing in."""

    access_token_minutes: int = option(30, "How long an access token lasts; the browser renews it by itself.")
    refresh_days: int = option(14, "How long a browser stays signed in without being used.")
    ticket_minutes: int = option(240, "How long the links to a recording's files work: one long viewing.")
    argon2_time_cost: int = option(3, "Passes of Argon2id over its memory (RFC 9106, second choice).")
    argon2_memory_kib: int = option(65536, "Memory of one password check, KiB.")
    argon2_parallelism: int = option(4, "Lanes of one password check.")


@dataclass(frozen=True, slots=True)
class OnCallConfig:
    """Ringing who is on call."""

    ring_seconds: int = option(
        60, "How long one expert is rung for an urgent request or a read before the next one is.", least=1
    )


@dataclass(frozen=True, slots=True)
class ReachConfig:
    """Ringing people who are not at a screen; see server/reach/DESIGN.md."""

    push_services: tuple[str, ...] = option(
        (
            "fcm.googleapis.com",
            "updates.push.services.mozilla.com",
            "*.push.apple.com",
            "*.notify.windows.com",
        ),
        "Web Push services that browsers may name, reached by https. A service in the own network is written"
        " as a whole origin, such as http://10.0.0.5:8088. Empty: no Web Push.",
    )
    push_contact: str = option(
        "", "mailto: or https: address that a push service may write to about this server."
    )
    webhooks: tuple[str, ...] = option(
        (), "Gateways for text messages and telephone calls: rings and notices are posted to them, signed."
    )
    webhook_secret: str = option(
        "",
        "Signs what is posted to webhooks (Standard Webhooks, HMAC-SHA256): whsec_ and the base64 of 24 to 64"
        " random bytes, or 24 letters or more.",
    )


@dataclass(frozen=True, slots=True)
class AlarmsConfig:
    """Alarms of the ECG analysis, a help that replaces no monitor."""

    patients: str = option(
        "adult", "adult (50 to 120 beats per minute), child (75 to 160) or neonate (100 to 200)."
    )
    low: int = option(0, "Heart rate per minute below which there is an alarm; 0: as for the patients above.")
    high: int = option(
        0, "Heart rate per minute above which there is an alarm; 0: as for the patients above."
    )


@dataclass(frozen=True, slots=True)
class LogConfig:
    """What is written down about running; never names, patients or tokens."""

    level: str = option("info", "debug, info, warning or error.")
    format: str = option("console", "console for people, json for a log collector.")


@dataclass(frozen=True, slots=True)
class WebConfig:
    """The browser client."""

    directory: str = option("", "Directory of the built web client. Empty: the one that came along.")


@dataclass(frozen=True, slots=True)
class Config:
    """Everything an operator can set."""

    site: SiteConfig = field(default_factory=SiteConfig)
    http: HttpConfig = field(default_factory=HttpConfig)
    media: MediaConfig = field(default_factory=MediaConfig)
    turn: TurnConfig = field(default_factory=TurnConfig)
    storage: StorageConfig = field(default_factory=StorageConfig)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)
    auth: AuthConfig = field(default_factory=AuthConfig)
    oncall: OnCallConfig = field(default_factory=OnCallConfig)
    reach: ReachConfig = field(default_factory=ReachConfig)
    alarms: AlarmsConfig = field(default_factory=AlarmsConfig)
    log: LogConfig = field(default_factory=LogConfig)
    web: WebConfig = field(default_factory=WebConfig)

    @property
    def zone(self) -> ZoneInfo:
        """The clinics'."""
        return ZoneInfo(self.site.zone)

    @property
    def data_directory(self) -> Path:
        return Path(self.storage.directory)

    @property
    def recordings_directory(self) -> Path:
        return self.data_directory / "recordings"

    @property
    def signals_directory(self) -> Path:
        return self.data_directory / "signals"

    @property
    def database_url(self) -> str:
        return self.storage.database_url or f"sqlite+aiosqlite:///{self.data_directory / 'huizhen.db'}"

    @property
    def web_directory(self) -> Path:
        if self.web.directory:
            return Path(self.web.directory)
        return Path(__file__).parent.parent / "clients" / "web" / "dist"


def load_config(path: Path | None, environment: Mapping[str, str] | None = None) -> Config:
    """The configuration from a TOML file (None = defaults) and the environment.

    Raises LocalProtocolError(config_invalid) that names the section and field.
    """
    document: dict[str, Any] = {}
    if path is not None:
        try:
            document = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise LocalProtocolError(CONFIG_INVALID, f"{path}: {error}") from error
    config = _from_document(document)
    return _from_environment(config, os.environ if environment is None else environment)


def _from_document(document: Mapping[str, Any]) -> Config:
    config = Config()
    for section, values in document.items():
        if section not in _sections() or not isinstance(values, dict):
            raise LocalProtocolError(CONFIG_INVALID, f"there is no section [{section}]")
        config = _with_values(config, section, values)
    return config


def _from_environment(config: Config, environment: Mapping[str, str]) -> Config:
    for section, kind in _sections().items():
        for entry in fields(kind):
            text = environment.get(f"{ENVIRONMENT_PREFIX}{section}_{entry.name}".upper())
            if text is not None:
                value = _from_text(get_type_hints(kind)[entry.name], text)
                config = _with_values(config, section, {entry.name: value})
    return config


def _sections() -> dict[str, type[Any]]:
    return dict(get_type_hints(Config))


def _with_values(config: Config, section: str, values: Mapping[str, Any]) -> Config:
    kind = _sections()[section]
    hints = get_type_hints(kind)
    least = {entry.name: entry.metadata["least"] for entry in fields(kind)}
    checked: dict[str, Any] = {}
    for name, value in values.items():
        if name not in hints:
            raise LocalProtocolError(CONFIG_INVALID, f"[{section}] has no {name}")
        checked[name] = _checked(section, name, hints[name], value)
        if least[name] is not None and checked[name] < least[name]:
            raise LocalProtocolError(CONFIG_INVALID, f"[{section}] {name} is below {least[name]}")
    changed = replace(getattr(config, section), **checked)
    return replace(config, **{section: changed})


def _checked(section: str, name: str, hint: Any, value: Any) -> Any:
    if hint == tuple[str, ...]:
        if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
            return tuple(value)
    elif isinstance(value, hint) and isinstance(value, bool) == (hint is bool):
        return value
    raise LocalProtocolError(CONFIG_INVALID, f"[{section}] {name} has the wrong type")


def _from_text(hint: Any, text: str) -> Any:
    if hint == tuple[str, ...]:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if hint is bool:
        return text.lower() in ("1", "true", "yes", "on")
    if hint is int:
        return int(text) if text.lstrip("-").isdigit() else text
    return text


def sample_toml() -> str:
    """The commented sample: every section and field with its sentence and default."""
    blocks = [
        "# Huizhen: the configuration, with its defaults. Every line may be left out.\n"
        "# Start with it:  huizhen serve --config huizhen.toml\n"
        "# A variable such as HUIZHEN_HTTP_PORT=9000 overrides `port` of [http].\n"
    ]
    for section, kind in _sections().items():
        lines = [f"# {(kind.__doc__ or '').strip()}", f"[{section}]"]
        for entry in fields(kind):
            lines += ["", f"# {entry.metadata['sentence']}", f"{entry.name} = {_toml(entry)}"]
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def _toml(entry: Field[Any]) -> str:
    value = entry.default
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{item}"' for item in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)

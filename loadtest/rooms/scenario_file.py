"""What a scenario file says (TOML; `loadtest/scenarios`). No I/O but reading it."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from loadtest.traffic.engine import Track
from signaling.access import ROLES, SOURCES

DIRECTORY = Path(__file__).parent.parent / "scenarios"
_PICTURE_KINDS = 50
"""Different sizes of a picture before they come again."""
_SPREAD = 0.35
"""Of the logarithm of a picture's size: a talking head's pictures differ by a third."""
T = TypeVar("T")


class ScenarioError(ValueError):
    """A scenario file is not usable; the message names what and where."""


@dataclass(frozen=True, slots=True)
class Sound:
    """What a microphone sends."""

    packets_per_second: float
    packet_bytes: int

    def track(self) -> Track:
        return Track(0, 0, False, 1 / self.packets_per_second, [self.packet_bytes], self.packet_bytes)


@dataclass(frozen=True, slots=True)
class Picture:
    """What a camera, screen or ultrasound sends; bytes are those of RTP packets."""

    kilobits_per_second: float
    pictures_per_second: float
    packet_bytes: int
    key_frame_bytes: int

    def track(self) -> Track:
        """The same pictures in every run."""
        mean = self.kilobits_per_second * 125 / self.pictures_per_second
        draw = random.Random(1)
        weights = [draw.lognormvariate(0, _SPREAD) for _ in range(_PICTURE_KINDS)]
        scale = mean * len(weights) / sum(weights)
        sizes = [max(120, round(weight * scale)) for weight in weights]
        return Track(0, 0, True, 1 / self.pictures_per_second, sizes, self.packet_bytes, self.key_frame_bytes)


@dataclass(frozen=True, slots=True)
class Role:
    """``count`` people of one kind in each room; ``silent`` ones publish paused tracks: they are muted."""

    role: str
    publishes: tuple[str, ...] = ()
    silent: bool = False
    watches_signals: bool = False
    count: int = 1


@dataclass(frozen=True, slots=True)
class Device:
    """A signal that a device of each room sends.

    :param frames_per_second: whatever the server would like; None for frames as long as it wishes.
    """

    kind: str
    leads: int
    samples_per_second: float
    frames_per_second: float | None = None

    @property
    def frame_ms(self) -> int | None:
        """Of signal in a frame; None where the server says it."""
        return None if self.frames_per_second is None else round(1000 / self.frames_per_second)


@dataclass(frozen=True, slots=True)
class Scenario:
    """The whole of it.

    :param rooms: that stand in the end, opened at ``rooms_per_second`` and kept for ``hold_seconds``.
    :param stay_seconds: after which a room ends and another opens; 0 = never.
    """

    name: str
    rooms: int
    rooms_per_second: float
    hold_seconds: float
    stay_seconds: float
    participants: tuple[Role, ...]
    devices: tuple[Device, ...] = ()
    sound: Sound | None = None
    picture: Picture | None = None

    @property
    def people(self) -> int:
        """In one room."""
        return sum(role.count for role in self.participants)

    @property
    def viewers(self) -> int:
        """Of signals, in one room."""
        return sum(role.count for role in self.participants if role.watches_signals)

    def scaled(
        self, rooms: int | None, hold_seconds: float | None, frame_ms: float | None = None
    ) -> Scenario:
        """With another number of rooms, another time or other signal frames; None keeps what the file says.

        :param frame_ms: of signal in a frame of each device.
        """
        devices = self.devices
        if frame_ms is not None:
            devices = tuple(replace(device, frames_per_second=1000 / frame_ms) for device in devices)
        return replace(
            self,
            rooms=self.rooms if rooms is None else rooms,
            hold_seconds=self.hold_seconds if hold_seconds is None else hold_seconds,
            devices=devices,
        )


def read(name: str) -> Scenario:
    """A scenario by its file's path, or by the name of one that came along.

    :raises ScenarioError: not there, or not usable.
    """
    path = Path(name) if name.endswith(".toml") else DIRECTORY / f"{name}.toml"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        known = ", ".join(sorted(file.stem for file in DIRECTORY.glob("*.toml")))
        raise ScenarioError(f"{path}: {error.strerror}; there are {known}") from None
    try:
        return parse(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, ScenarioError) as error:
        raise ScenarioError(f"{path}: {error}") from None


def parse(fields_: Mapping[str, Any]) -> Scenario:
    """A scenario from the parsed file.

    :raises ScenarioError: a field is missing, unknown, of the wrong type or out of its range.
    """
    values = dict(fields_)
    values["participants"] = tuple(_made(Role, one) for one in values.get("participants", []))
    values["devices"] = tuple(_made(Device, one) for one in values.get("devices", []))
    for key, kind in (("sound", Sound), ("picture", Picture)):
        if key in values:
            values[key] = _made(kind, values[key])
    scenario = _made(Scenario, values)
    _check(scenario)
    return scenario


def _made(kind: type[T], values: Mapping[str, Any]) -> T:
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    unknown = set(values) - known
    if unknown:
        raise ScenarioError(f"{kind.__name__.lower()}: unknown {', '.join(sorted(unknown))}")
    made = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    try:
        return kind(**made)
    except TypeError as error:
        raise ScenarioError(f"{kind.__name__.lower()}: {str(error).partition(') ')[2]}") from None


def _check(scenario: Scenario) -> None:
    if scenario.rooms < 1 or scenario.rooms_per_second <= 0 or scenario.hold_seconds <= 0:
        raise ScenarioError("rooms, rooms_per_second and hold_seconds have to be positive")
    if scenario.stay_seconds < 0:
        raise ScenarioError("stay_seconds is negative")
    if not scenario.participants:
        raise ScenarioError("there are no participants")
    for role in scenario.participants:
        if role.role not in ROLES:
            raise ScenarioError(f"participants: no role {role.role!r}")
        for source in role.publishes:
            if source not in SOURCES:
                raise ScenarioError(f"participants: no source {source!r}")
            if (scenario.sound if source == "microphone" else scenario.picture) is None:
                raise ScenarioError(f"participants publish {source}, and nothing says what it sends")
    for device in scenario.devices:
        if device.kind != "ecg":
            raise ScenarioError(f"devices: no kind {device.kind!r}")

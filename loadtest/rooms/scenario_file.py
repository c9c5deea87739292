"""What a scenario file says (TOML; `loadtest/scenarios`). No I/O but reading it."""

from __future__ import annotations

import json
import random
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from loadtest.traffic.engine import Track
from signaling.access import ROLES, SOURCES

DIRECTORY = Path(__file__).parent.parent / "scenarios"
_PICTURE_KINDS = 50
"""Different sizes of a picture before they come again."""
_SPREAD = 0.35
"""Of the logarithm of a picture's size: a talking head's pictures differ by a third."""
_RULES = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
"""Nothing is guessed: a key that nobody knows, or a number in quotes, is a mistake of the file's."""
Amount = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
PacketBytes = Annotated[int, Field(ge=80, le=1250)]
"""What the engine can mark and a line without fragments takes."""


def _one_of(what: str, known: frozenset[str]) -> AfterValidator:
    def check(name: str) -> str:
        if name not in known:
            raise ValueError(f"no {what} {name!r}; there are {', '.join(sorted(known))}")
        return name

    return AfterValidator(check)


RoleName = Annotated[str, _one_of("role", ROLES)]
SourceName = Annotated[str, _one_of("source", SOURCES)]


class ScenarioError(ValueError):
    """A scenario file is not usable; the message names what and where."""


@dataclass(frozen=True, slots=True, config=_RULES)
class Sound:
    """What a microphone sends."""

    packets_per_second: Amount
    packet_bytes: PacketBytes

    def track(self) -> Track:
        return Track(0, 0, False, 1 / self.packets_per_second, [self.packet_bytes], self.packet_bytes)


@dataclass(frozen=True, slots=True, config=_RULES)
class Picture:
    """What a camera, screen or ultrasound sends; bytes are those of RTP packets."""

    kilobits_per_second: Amount
    pictures_per_second: Amount
    packet_bytes: PacketBytes
    key_frame_bytes: Count

    def track(self) -> Track:
        """The same pictures in every run."""
        mean = self.kilobits_per_second * 125 / self.pictures_per_second
        draw = random.Random(1)
        weights = [draw.lognormvariate(0, _SPREAD) for _ in range(_PICTURE_KINDS)]
        scale = mean * len(weights) / sum(weights)
        sizes = [max(120, round(weight * scale)) for weight in weights]
        return Track(0, 0, True, 1 / self.pictures_per_second, sizes, self.packet_bytes, self.key_frame_bytes)


@dataclass(frozen=True, slots=True, config=_RULES)
class Role:
    """``count`` people of one kind in each room; ``silent`` ones publish paused tracks: they are muted."""

    role: RoleName
    publishes: tuple[SourceName, ...] = ()
    silent: bool = False
    watches_signals: bool = False
    count: Count = 1


@dataclass(frozen=True, slots=True, config=_RULES)
class Device:
    """A signal that a device of each room sends.

    :param frames_per_second: whatever the server would like; None for frames as long as it wishes.
    """

    kind: Literal["ecg"]
    leads: Annotated[int, Field(ge=1, le=12)]
    samples_per_second: Amount
    frames_per_second: Amount | None = None

    @property
    def frame_ms(self) -> int | None:
        """Of signal in a frame; None where the server says it."""
        return None if self.frames_per_second is None else round(1000 / self.frames_per_second)


@dataclass(frozen=True, slots=True, config=_RULES)
class Scenario:
    """The whole of it.

    :param rooms: that stand in the end, opened at ``rooms_per_second`` and kept for ``hold_seconds``.
    :param stay_seconds: after which a room ends and another opens; 0 = never.
    """

    name: Annotated[str, Field(min_length=1)]
    rooms: Count
    rooms_per_second: Amount
    hold_seconds: Amount
    stay_seconds: Annotated[float, Field(ge=0)]
    participants: Annotated[tuple[Role, ...], Field(min_length=1)]
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


def parse(fields: Mapping[str, Any]) -> Scenario:
    """A scenario from the parsed file.

    :raises ScenarioError: a field is missing, unknown, of the wrong type or out of its range.
    """
    try:
        # As JSON, where strictness still takes a table for a class and an array for a tuple.
        scenario = _SCENARIO.validate_json(json.dumps(fields, default=str))
    except ValidationError as error:
        raise ScenarioError("; ".join(_sentence(dict(one)) for one in error.errors())) from None
    _check(scenario)
    return scenario


_SCENARIO = TypeAdapter(Scenario)


def _sentence(error: dict[str, Any]) -> str:
    """Where it is and what is wrong: ``participants.0.role: no role 'king'; there are ...``."""
    return f"{'.'.join(map(str, error['loc']))}: {str(error['msg']).removeprefix('Value error, ')}"


def _check(scenario: Scenario) -> None:
    """What no field can know of itself."""
    for role in scenario.participants:
        if len(set(role.publishes)) < len(role.publishes):
            raise ScenarioError("participants publish a source twice")
        for source in role.publishes:
            if (scenario.sound if source == "microphone" else scenario.picture) is None:
                raise ScenarioError(f"participants publish {source}, and nothing says what it sends")
    for device in scenario.devices:
        if device.samples_per_second < (device.frames_per_second or 0):
            raise ScenarioError("devices send more frames than samples")

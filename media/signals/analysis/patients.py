"""Whose heart rate it is: the limits of the alarms in one room, chosen by age, changed by a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from media.errors import RemoteProtocolError
from media.signals.analysis.alarms import PRESETS, AlarmLimits, Preset
from media.signals.errors import SIGNAL_MALFORMED

NEONATE_DAYS: Final = 28
CHILD_DAYS: Final = 8 * 365.25
"""From eight years on a resting child is often below the 75 /min of the children's limits."""
LOWEST: Final = 20
HIGHEST: Final = 300
"""What a rate is told for."""


def preset_for(age_days: float) -> Preset:
    """The patients to which somebody of this age belongs."""
    if age_days < NEONATE_DAYS:
        return "neonate"
    return "child" if age_days < CHILD_DAYS else "adult"


@dataclass(frozen=True, slots=True)
class RoomLimits:
    """What holds in a room.

    :param patients: the preset that the limits began with.
    :param by: the user who chose; None: the patient's age, or the server's own setting.
    """

    limits: AlarmLimits
    patients: str
    by: str | None = None
    role: str | None = None

    def as_json(self) -> dict[str, Any]:
        by = None if self.by is None else {"userId": self.by, "role": self.role}
        return {"patients": self.patients, "low": self.limits.low, "high": self.limits.high, "by": by}

    @property
    def mark(self) -> str:
        """What the record says of the change."""
        return f"alarm_limits_{self.patients}_{self.limits.low}_{self.limits.high}"


@dataclass(frozen=True, slots=True)
class WantedLimits:
    """A person's wish. Without ``low`` and ``high`` those of the preset."""

    patients: Preset
    low: int
    high: int

    @classmethod
    def read(cls, fields: Mapping[str, object]) -> WantedLimits:
        """:raises RemoteProtocolError: ``signal_malformed``."""
        patients = fields.get("patients")
        if not isinstance(patients, str) or patients not in PRESETS:
            raise RemoteProtocolError(SIGNAL_MALFORMED, "patients")
        usual = PRESETS[patients]
        low, high = fields.get("low", usual.low), fields.get("high", usual.high)
        if type(low) is not int or type(high) is not int or not LOWEST <= low < high <= HIGHEST:
            raise RemoteProtocolError(SIGNAL_MALFORMED, "limits")
        return cls(patients, low, high)  # type: ignore[arg-type]

    @property
    def limits(self) -> AlarmLimits:
        return replace(PRESETS[self.patients], low=self.low, high=self.high)

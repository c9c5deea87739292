"""Wall times of a named zone as instants. Sans-I/O.

On a change of clocks a shift starts at the first and ends at the last occurrence of its wall time: two shifts
may overlap, there is never a gap.

* Wall time that occurs twice (clocks go back): the new shift starts at the first, the old one ends at the
  second.
* Wall time that does not occur (02:30 when clocks go forward): PEP 495 gives it two readings, one with the
  offset before and one with the offset after; the earlier starts the new shift, the later ends the old.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

LARGEST_JUMP = timedelta(hours=25)
"""Pacific/Apia left out a whole day (2011-12-30); no change of clocks was ever larger."""


def first_occurrence(wall: datetime, zone: ZoneInfo) -> float:
    """The earliest reading of a naive wall time, Unix seconds."""
    return min(_readings(wall, zone))


def last_occurrence(wall: datetime, zone: ZoneInfo) -> float:
    """The latest reading of a naive wall time, Unix seconds."""
    return max(_readings(wall, zone))


def wall_at(at: float, zone: ZoneInfo) -> datetime:
    """What the clock on the wall shows at ``at`` (Unix seconds); naive."""
    return datetime.fromtimestamp(at, UTC).astimezone(zone).replace(tzinfo=None)


def _readings(wall: datetime, zone: ZoneInfo) -> tuple[float, float]:
    return (
        wall.replace(tzinfo=zone, fold=0).timestamp(),
        wall.replace(tzinfo=zone, fold=1).timestamp(),
    )

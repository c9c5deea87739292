"""What a rota, an override or a leave must be. Sans-I/O: each check returns or raises RemoteProtocolError."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from zoneinfo import ZoneInfo, available_timezones

from media.errors import LIMIT_REACHED, ErrorCode, RemoteProtocolError
from server.oncall import limits
from server.oncall import rota_errors as errors
from server.oncall.rota import Change, Layer, Leave, Override, Rotation, Schedule, Unit
from server.oncall.rota_cover import differences
from server.oncall.rota_line import on_call

_DAY_S = 86_400.0


def check_schedule(schedule: Schedule) -> None:
    """A rota as somebody wants to keep it."""
    check_zone(schedule.zone)
    _need(bool(schedule.layers), errors.NO_LAYERS)
    _bound(len(schedule.layers) <= limits.LAYERS, f"layers: {limits.LAYERS}")
    levels = sorted({layer.level for layer in schedule.layers})
    _need(levels == list(range(1, len(levels) + 1)), errors.LEVELS_SKIP)
    places = {(layer.level, layer.rank) for layer in schedule.layers}
    _need(len(places) == len(schedule.layers), errors.SAME_RANK)
    for layer in schedule.layers:
        _check_layer(layer)


def check_zone(name: str) -> ZoneInfo:
    """The zone of this name."""
    if name not in available_timezones():
        raise RemoteProtocolError(errors.UNKNOWN_ZONE)
    return ZoneInfo(name)


def _check_layer(layer: Layer) -> None:
    _need(bool(layer.days.weekdays), errors.NO_DAYS)
    _need((layer.days.starts is None) == (layer.days.ends is None), errors.NO_DAYS, "starts and ends")
    rotation = layer.rotation
    _need(bool(rotation.people), errors.NO_MEMBERS, f"level {layer.level}")
    _need(rotation.length <= timedelta(days=limits.TURN_DAYS), errors.TURN_TOO_LONG)
    if rotation.unit is Unit.CUSTOM:
        _check_slots(rotation)
        return
    _need(len(set(rotation.members)) == len(rotation.members), errors.MEMBER_TWICE)
    _bound(len(rotation.members) <= limits.MEMBERS, f"members: {limits.MEMBERS}")


def _check_slots(rotation: Rotation) -> None:
    _bound(len(rotation.slots) <= limits.SLOTS, f"slots: {limits.SLOTS}")
    for slot in rotation.slots:
        _need(slot.minutes > 0, errors.SHIFT_EMPTY)
        _need(timedelta(minutes=slot.minutes) <= rotation.length, errors.SHIFT_TOO_LONG)
        _need(0 <= slot.day < rotation.every, errors.SHIFT_OUTSIDE)


def check_people(named: Collection[str], known: Collection[str], able: Collection[str]) -> None:
    """Everybody named exists (``known``) and is of the specialty (``able``)."""
    for one in sorted(named):
        _need(one in known, errors.UNKNOWN_MEMBER, one)
        _need(one in able, errors.NOT_OF_SPECIALTY, one)


def check_override(schedule: Schedule, override: Override, now: float) -> None:
    """An override that somebody wants to add to ``schedule`` at ``now`` (Unix seconds)."""
    _need(override.ends > override.starts, errors.OVERRIDE_ENDS_EARLY)
    _need(override.ends > now, errors.OVERRIDE_OVER)
    _need(override.ends - override.starts <= limits.OVERRIDE_DAYS * _DAY_S, errors.OVERRIDE_TOO_LONG)
    _need(override.level in schedule.levels, errors.UNKNOWN_LEVEL)
    _need(_complete(override), errors.OVERRIDE_INCOMPLETE)
    if override.by is not None:
        check_free(schedule, override.by, override.starts, override.ends)
    coming = sum(1 for one in schedule.overrides if one.ends > now)
    _bound(coming < limits.OVERRIDES_AHEAD, f"overrides: {limits.OVERRIDES_AHEAD}")
    changed = with_override(schedule, override)
    effect = differences(schedule, changed, override.starts, override.ends)
    _need(bool(effect), errors.OVERRIDE_WITHOUT_EFFECT)


def check_free(schedule: Schedule, member: str, starts: float, ends: float) -> None:
    """Nobody who is on leave, or whose account ended, takes a shift."""
    _need(member not in schedule.gone, errors.UNKNOWN_MEMBER, member)
    away = any(one.member == member and one.starts < ends and one.ends > starts for one in schedule.leave)
    _need(not away, errors.ON_LEAVE, member)


def _complete(override: Override) -> bool:
    match override.change:
        case Change.ADD:
            return override.by is not None and override.who is None
        case Change.REMOVE:
            return override.who is not None and override.by is None
        case Change.REPLACE:
            return override.by is not None and override.by != override.who


def with_override(schedule: Schedule, *overrides: Override) -> Schedule:
    """The rota with ``overrides`` after those it has; one of a known id takes that one's place."""
    new = {one.id for one in overrides}
    kept = tuple(one for one in schedule.overrides if one.id not in new)
    return Schedule(
        schedule.id,
        schedule.specialty,
        schedule.zone,
        schedule.layers,
        schedule.calendar,
        (*kept, *overrides),
        schedule.leave,
        schedule.gone,
    )


def check_leave(leave: Leave, now: float) -> None:
    _need(leave.ends > leave.starts, errors.LEAVE_ENDS_EARLY)
    _need(leave.ends > now, errors.LEAVE_ENDS_EARLY, "it lies in the past")
    _need(leave.ends - leave.starts <= limits.LEAVE_DAYS * _DAY_S, errors.LEAVE_TOO_LONG)


def take_now(schedule: Schedule, override_id: str, member: str, now: float, hours: float | None) -> Override:
    """The override by which ``member`` takes the first line at once.

    :param hours: for so long; None = until the line would change next.
    """
    level = schedule.levels[0]
    first = on_call(schedule, now)
    ends = now + hours * 3600.0 if hours is not None else first.until or now + _DAY_S
    override = Override(override_id, level, Change.REPLACE, now, ends, who=None, by=member)
    check_free(schedule, member, now, ends)
    _need(bool(differences(schedule, with_override(schedule, override), now, ends)), errors.ALREADY_ON_CALL)
    return override


def _need(holds: bool, code: ErrorCode, detail: str = "") -> None:
    if not holds:
        raise RemoteProtocolError(code, detail)


def _bound(holds: bool, detail: str) -> None:
    _need(holds, LIMIT_REACHED, detail)

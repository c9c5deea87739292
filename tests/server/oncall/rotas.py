"""Rotas to look at, and short ways to say what is wanted of them."""

from __future__ import annotations

from datetime import date, datetime, time

from server.oncall.rota import Layer, Rotation, Schedule, Unit
from server.oncall.rota_days import EVERY_DAY, DayRule
from server.oncall.rota_line import Stretch

SHANGHAI = "Asia/Shanghai"
HOUR, DAY = 3600.0, 86_400.0


def instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def daily(*members: str, start: str = "2026-01-01", at: str = "08:00", every: int = 1) -> Rotation:
    return Rotation(members, date.fromisoformat(start), time.fromisoformat(at), Unit.DAY, every)


def layer(rotation: Rotation, level: int = 1, rank: int = 0, days: DayRule = EVERY_DAY) -> Layer:
    return Layer(level, rotation, rank, days)


def rota(*layers: Layer, zone: str = SHANGHAI) -> Schedule:
    return Schedule("sch", "cardiology", zone, layers)


def told(lines: list[Stretch], level: int = 1) -> list[tuple[float, float, tuple[str, ...]]]:
    return [(one.starts, one.ends, one.people) for one in lines if one.level == level]

"""The people, places and rotas of a drill, put into an empty database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from server.archive.models import Account, Organization, Patient, Practitioner
from server.oncall.models import LayerRow, ScheduleRow
from signaling.personal import Personal

PASSWORD = "drill"  # noqa: S105 - of accounts that exist in a drill's own database only


def patient_of(organization_id: str) -> str:
    """Every place that asks has one patient; a drill is about doctors."""
    return f"pat-{organization_id}"


async def settle(session: AsyncSession, plan: Mapping[str, Any], password_hash: str, now: float) -> None:
    """Store a plan.

    :param plan: ``organizations``: [id, level, parent or None], parents first; ``people``: [id, organization,
        roles, specialties, languages]; ``rotas``: [id, organization, specialty, lines, hours], each line its
        members in turn, a turn so many hours long.
    """
    for one, level, parent in plan["organizations"]:
        row = {"id": one, "name": one, "name_en": one, "level": level, "parent_id": parent}
        await session.execute(insert(Organization), [row])
    people = [_person(*one) for one in plan["people"]]
    await session.execute(insert(Practitioner), people)
    await session.execute(insert(Account), [_account(one["id"], password_hash, now) for one in people])
    await session.execute(insert(Patient), [_patient(one, now) for one, _, _ in plan["organizations"]])
    await session.execute(insert(ScheduleRow), [_rota(*one[:3]) for one in plan["rotas"]])
    layers = [
        _layer(one, number, members, hours)
        for one, _, _, lines, hours in plan["rotas"]
        for number, members in enumerate(lines, start=1)
    ]
    await session.execute(insert(LayerRow), layers)


def _person(
    one: str, organization: str, roles: list[str], specialties: list[str], languages: list[str]
) -> dict[str, Any]:
    return {
        "id": one,
        "organization_id": organization,
        "name": Personal(one),
        "name_en": Personal(one),
        "roles": roles,
        "specialties": specialties,
        "languages": languages,
    }


def _account(one: str, password_hash: str, now: float) -> dict[str, Any]:
    return {
        "id": f"acc-{one}",
        "username": one,
        "password_hash": password_hash,
        "practitioner_id": one,
        "created_at": now,
    }


def _patient(organization: str, now: float) -> dict[str, Any]:
    return {
        "id": patient_of(organization),
        "organization_id": organization,
        "name": Personal(organization),
        "name_en": Personal(organization),
        "sex": "female",
        "birth_date": Personal("1958-03-12"),
        "identifier": Personal(organization),
        "phone": None,
        "created_at": now,
    }


def _rota(one: str, organization: str, specialty: str) -> dict[str, Any]:
    return {
        "id": one,
        "organization_id": organization,
        "specialty": specialty,
        "name": one,
        "name_en": one,
        "time_zone": "Asia/Shanghai",
    }


def _layer(schedule_id: str, number: int, members: list[str], hours: int) -> dict[str, Any]:
    return {
        "id": f"{schedule_id}-{number}",
        "schedule_id": schedule_id,
        "level": number,
        "unit": "hour",
        "every": hours,
        "start_date": "2026-01-01",
        "handover": "08:00",
        "members": members,
    }

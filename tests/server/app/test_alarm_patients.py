"""Which limits a consult's patient gets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from server.alarm_patients import AlarmPatients
from server.app import Server
from server.archive.models import Patient
from signaling.personal import Personal
from tests.server.running import CallerFactory


@pytest.mark.parametrize(("days", "expected"), [(3, "neonate"), (900, "child"), (20_000, "adult")])
async def test_the_patient_of_a_consult_chooses_the_limits(
    server: Server, caller: CallerFactory, days: int, expected: str
) -> None:
    draft = {"kind": "urgent", "specialty": "cardiology", "patientId": "pat-demo-1", "submit": False}
    _, consultation = await (await caller("village")).call("POST", "/consultations", draft)
    patients, now = AlarmPatients(server.services), server.services.clock.wall()
    async with server.services.database.write() as session:
        patient = await session.get(Patient, "pat-demo-1")
        assert patient is not None
        born = datetime.fromtimestamp(now, UTC).date() - timedelta(days=days)
        patient.birth_date = Personal(born.isoformat())
    assert await patients.of_room(consultation["roomId"]) == expected
    assert await patients.of_room("c-none") is None
    assert await patients.of_room("somewhere") is None

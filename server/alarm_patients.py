"""Whose heart rate a room's alarms are about: the consult's patient, by age."""

from __future__ import annotations

from datetime import UTC, date, datetime

from media.signals.analysis.alarms import Preset
from media.signals.analysis.patients import preset_for
from server.archive.models import Patient
from server.archive.recordings import consultation_of
from server.consults.models import Consultation
from server.services import Services


class AlarmPatients:
    """Looks the patient of a room up."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def of_room(self, room_id: str) -> Preset | None:
        """None for a room without a consult, or a patient without a date of birth."""
        consultation_id = consultation_of(room_id)
        if consultation_id is None:
            return None
        async with self._services.database.read() as session:
            consultation = await session.get(Consultation, consultation_id)
            patient = await session.get(Patient, consultation.patient_id) if consultation else None
        return None if patient is None else _preset(patient.birth_date.reveal(), self._services.clock.wall())


def _preset(birth_date: str, now: float) -> Preset | None:
    try:
        born = date.fromisoformat(birth_date)
    except ValueError:
        return None
    return preset_for((datetime.fromtimestamp(now, UTC).date() - born).days)

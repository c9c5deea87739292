"""The clinic's devices in a consult: they learn the room when an expert has accepted."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.archive.models import Device
from server.consults.grants import grant_for
from server.consults.limits import ROOM_TOKEN_S
from server.consults.messages import DEVICE_ASSIGNED, DEVICE_RELEASED
from server.consults.models import Consultation
from server.consults.outbox import Outbox
from server.consults.states import WITH_ROOM
from server.consults.views import room_of
from signaling.access import Identity, mint_room_token
from signaling.personal import Personal


class DeviceDesk:
    """Assigns devices and lets them go. ``room_secret``: signs their room tokens."""

    def __init__(self, room_secret: str) -> None:
        self._room_secret = room_secret

    async def assign(self, session: AsyncSession, row: Consultation, outbox: Outbox, now: float) -> None:
        """Tell the consult's devices where to publish. Again is harmless: they get a fresh token."""
        if not row.device_ids:
            return
        devices = await session.scalars(
            select(Device).where(Device.id.in_(row.device_ids), Device.disabled.is_(False))
        )
        for device in devices:
            outbox.push(device.id, DEVICE_ASSIGNED, self.assignment(row, device, now))

    def release(self, row: Consultation, outbox: Outbox) -> None:
        """Tell them that it is over."""
        for device_id in row.device_ids:
            outbox.push(device_id, DEVICE_RELEASED, {"consultationId": row.id})

    def assignment(self, row: Consultation, device: Device, now: float) -> dict[str, Any]:
        """The ``deviceAssigned`` push."""
        room_id = room_of(row.id)
        identity = Identity(device.id, Personal(device.name), "device")
        grant = grant_for("device", room_id)
        return {
            "consultationId": row.id,
            "roomId": room_id,
            "token": mint_room_token(self._room_secret, identity, grant, now, ROOM_TOKEN_S),
            "signalsPath": "/signals/publish",
            "whipPath": f"/whip/{device.id}",
        }

    async def current(self, session: AsyncSession, device: Device) -> Consultation | None:
        """The consult a device belongs to now, the newest when there are several."""
        running = (
            select(Consultation)
            .where(
                Consultation.state.in_([state.value for state in WITH_ROOM]),
                Consultation.organization_id == device.organization_id,
            )
            .order_by(Consultation.accepted_at.desc())
        )
        rows = await session.scalars(running)
        return next((row for row in rows if device.id in row.device_ids), None)

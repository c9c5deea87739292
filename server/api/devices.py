"""The ECG and ultrasound gateways of one's own place of care."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import select

from server.api.context import RequestContext
from server.api.models import ApiModel
from server.api.routing import endpoint
from server.archive.models import Device


class DeviceOut(ApiModel):
    """``online``: its gateway is connected and can be given to a consult."""

    id: str
    kind: Literal["ecg", "ultrasound"]
    name: str
    name_en: str
    organization_id: str
    online: bool


@endpoint("GET", "/api/v1/devices", summary="Devices of my place of care")
async def list_devices(ctx: RequestContext) -> list[DeviceOut]:
    query = select(Device).where(
        Device.organization_id == ctx.actor.organization_id, Device.disabled.is_(False)
    )
    rows = await ctx.session.scalars(query.order_by(Device.id))
    return [
        DeviceOut(
            id=row.id,
            kind="ecg" if row.kind == "ecg" else "ultrasound",
            name=row.name,
            name_en=row.name_en,
            organization_id=row.organization_id,
            online=ctx.services.gateway.online(row.id),
        )
        for row in rows
    ]

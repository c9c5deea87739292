"""Tables of reaching people: browsers that are pushed to, and what is to be delivered."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from server.archive.database import Base


class PushSubscription(Base):
    """One browser. ``endpoint_hash``: SHA-256 of the endpoint: a browser is one person's at a time."""

    __tablename__ = "push_subscriptions"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    practitioner_id: Mapped[str] = mapped_column(ForeignKey("practitioners.id"), index=True)
    endpoint: Mapped[str] = mapped_column(Text)
    endpoint_hash: Mapped[str] = mapped_column(String(64), unique=True)
    p256dh: Mapped[str] = mapped_column(String(100))
    auth: Mapped[str] = mapped_column(String(40))
    label: Mapped[str] = mapped_column(Text)
    made_at: Mapped[float]
    seen_at: Mapped[float | None]


class DeliveryRow(Base):
    """One message by one way, tried until it is taken or ``expires_at`` comes.

    ``target``: a subscription's id, a webhook's address, or "" for the screens. ``service`` (who takes it:
    `rules.service_of`) and ``rank`` (`lanes.Rank`) are its lane. ``subject``: the offer, the test ring or
    the notice; one message of a kind goes out once for it. ``body`` names no patient.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        Index("ix_deliveries_once", "subject", "kind", "practitioner_id", "way", "target", unique=True),
        Index("ix_deliveries_due", "state", "rank", "service", "next_at"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    practitioner_id: Mapped[str] = mapped_column(ForeignKey("practitioners.id"), index=True)
    way: Mapped[str] = mapped_column(String(8))
    target: Mapped[str] = mapped_column(String(400))
    service: Mapped[str] = mapped_column(String(400), server_default="")
    rank: Mapped[int] = mapped_column(server_default="0")
    subject: Mapped[str] = mapped_column(String(40))
    kind: Mapped[str] = mapped_column(String(12))
    body: Mapped[dict[str, Any]] = mapped_column(JSON)
    made_at: Mapped[float]
    next_at: Mapped[float]
    expires_at: Mapped[float]
    tries: Mapped[int] = mapped_column(default=0)
    state: Mapped[str] = mapped_column(String(8))
    status: Mapped[int | None]
    seen_at: Mapped[float | None]


class MutedNotice(Base):
    """A kind of notices (`notices.Kind`) that somebody does not want on the telephone. No row: they come."""

    __tablename__ = "muted_notices"

    practitioner_id: Mapped[str] = mapped_column(ForeignKey("practitioners.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(12), primary_key=True)

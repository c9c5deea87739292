"""Which nodes live, and which of them has which room."""

from __future__ import annotations

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from server.archive.database import Base


class NodeRow(Base):
    """A running server process. ``beat_at``: when it last said that it lives; a stopped one has no row."""

    __tablename__ = "nodes"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    url: Mapped[str] = mapped_column(Text)
    beat_at: Mapped[float]


class RoomPlace(Base):
    """The one node that has a room; no row while the room is open nowhere."""

    __tablename__ = "room_places"

    room_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    node_id: Mapped[str] = mapped_column(ForeignKey("nodes.id", ondelete="CASCADE"), index=True)

"""Who the peers of a room were."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from server.archive.columns import PersonalText

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "guests",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("display_name", PersonalText(), nullable=False),
        sa.Column("came_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_guests")),
    )
    op.create_table(
        "room_participants",
        sa.Column("room_id", sa.String(length=64), nullable=False),
        sa.Column("peer_id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("joined_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("room_id", "peer_id", name=op.f("pk_room_participants")),
    )


def downgrade() -> None:
    op.drop_table("room_participants")
    op.drop_table("guests")

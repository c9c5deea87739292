"""Several nodes: who lives, which has which room; events are found by their time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "nodes",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("beat_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_nodes")),
    )
    op.create_table(
        "room_places",
        sa.Column("room_id", sa.String(length=128), nullable=False),
        sa.Column("node_id", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["node_id"], ["nodes.id"], name=op.f("fk_room_places_node_id_nodes"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("room_id", name=op.f("pk_room_places")),
    )
    op.create_index(op.f("ix_room_places_node_id"), "room_places", ["node_id"])
    op.create_index("ix_consult_events_at", "consult_events", ["at"])


def downgrade() -> None:
    op.drop_index("ix_consult_events_at", "consult_events")
    for table in ("room_places", "nodes"):
        op.drop_table(table)

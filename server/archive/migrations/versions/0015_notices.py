"""Deliveries leave by lanes: which service takes each, and whether it is a ring or a notice."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_DUE = "ix_deliveries_due"


def upgrade() -> None:
    op.add_column(
        "deliveries", sa.Column("service", sa.String(length=400), server_default="", nullable=False)
    )
    op.add_column("deliveries", sa.Column("rank", sa.Integer(), server_default="0", nullable=False))
    op.drop_index(_DUE, "deliveries")
    op.create_index(_DUE, "deliveries", ["state", "rank", "service", "next_at"])


def downgrade() -> None:
    op.drop_index(_DUE, "deliveries")
    op.create_index(_DUE, "deliveries", ["state", "next_at"])
    op.drop_column("deliveries", "rank")
    op.drop_column("deliveries", "service")

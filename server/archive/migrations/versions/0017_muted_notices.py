"""Notices reach telephones: which ones somebody does not want there, and which gaps were told as close by."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("rota_notices", sa.Column("soon_at", sa.Double(), nullable=True))
    op.create_table(
        "muted_notices",
        sa.Column("practitioner_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.ForeignKeyConstraint(
            ["practitioner_id"],
            ["practitioners.id"],
            name=op.f("fk_muted_notices_practitioner_id_practitioners"),
        ),
        sa.PrimaryKeyConstraint("practitioner_id", "kind", name=op.f("pk_muted_notices")),
    )


def downgrade() -> None:
    op.drop_table("muted_notices")
    op.drop_column("rota_notices", "soon_at")

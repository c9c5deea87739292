"""Escalation policies, the length of a ring, and what the order of a line asks the database."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("schedules", schema=None) as batch_op:
        batch_op.add_column(sa.Column("policy", sa.JSON(none_as_null=True), nullable=True))
    with op.batch_alter_table("consultations", schema=None) as batch_op:
        batch_op.add_column(sa.Column("ring_s", sa.Double(), nullable=True))
        batch_op.drop_index("ix_consultations_expert_id")
        batch_op.create_index("ix_consultations_expert_state", ["expert_id", "state"], unique=False)
    with op.batch_alter_table("offers", schema=None) as batch_op:
        batch_op.create_index(
            "ix_offers_practitioner_offered", ["practitioner_id", "offered_at"], unique=False
        )


def downgrade() -> None:
    with op.batch_alter_table("offers", schema=None) as batch_op:
        batch_op.drop_index("ix_offers_practitioner_offered")
    with op.batch_alter_table("consultations", schema=None) as batch_op:
        batch_op.drop_index("ix_consultations_expert_state")
        batch_op.create_index("ix_consultations_expert_id", ["expert_id"], unique=False)
        batch_op.drop_column("ring_s")
    with op.batch_alter_table("schedules", schema=None) as batch_op:
        batch_op.drop_column("policy")

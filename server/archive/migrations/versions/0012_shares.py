"""What an expert has accepted lately is looked at for every ring."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_NAME = "ix_consultations_expert_accepted"


def upgrade() -> None:
    op.create_index(_NAME, "consultations", ["expert_id", "accepted_at"])


def downgrade() -> None:
    op.drop_index(_NAME, "consultations")

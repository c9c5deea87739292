"""The audit trail is looked through by action and by time."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in ("action", "at"):
        op.create_index(op.f(f"ix_audit_entries_{column}"), "audit_entries", [column])


def downgrade() -> None:
    for column in ("action", "at"):
        op.drop_index(op.f(f"ix_audit_entries_{column}"), "audit_entries")

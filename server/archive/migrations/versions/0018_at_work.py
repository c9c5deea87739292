"""What a decision looks up stays small: consults at work by expert, and PostgreSQL cleans up in time.

The states of a consult are an index's condition and no longer its column, so that those which ended are not
in it. On PostgreSQL every step leaves a dead version of its rows, which whoever looks passes by until they
are cleaned up: by default when a fifth of the table is dead, which of a year's consults is a month.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_TABLE = "consultations"
_AT_WORK = sa.text("state IN ('ACCEPTED', 'READY', 'IN_SESSION', 'SUSPENDED', 'OPINION_PENDING')")

_MOVING = ("consultations", "offers", "timers")
_CLEANED = {"autovacuum_vacuum_scale_factor": 0.01, "autovacuum_vacuum_threshold": 1000}
"""After a thousand dead rows and one in a hundred."""


def upgrade() -> None:
    op.create_index(
        "ix_consultations_at_work", _TABLE, ["expert_id"], sqlite_where=_AT_WORK, postgresql_where=_AT_WORK
    )
    op.drop_index("ix_consultations_expert_state", _TABLE)
    if op.get_bind().dialect.name == "postgresql":
        for table in _MOVING:
            wanted = ", ".join(f"{name} = {value}" for name, value in _CLEANED.items())
            op.execute(f"ALTER TABLE {table} SET ({wanted})")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table in _MOVING:
            op.execute(f"ALTER TABLE {table} RESET ({', '.join(_CLEANED)})")
    op.create_index("ix_consultations_expert_state", _TABLE, ["expert_id", "state"])
    op.drop_index("ix_consultations_at_work", _TABLE)

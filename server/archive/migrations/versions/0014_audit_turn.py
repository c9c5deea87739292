"""PostgreSQL: the turn at the audit chain and the chain's end in one visit.

In a volatile function each statement sees what was committed when it begins: the second one sees what whoever
had the turn before has appended. In one plain statement it would see the state from before the wait.
"""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_TURN = """
CREATE FUNCTION audit_turn(namespace integer, turn integer, OUT sequence bigint, OUT hash text)
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(namespace, turn);
  SELECT e.sequence, e.hash INTO sequence, hash FROM audit_entries e ORDER BY e.sequence DESC LIMIT 1;
END $$
"""


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(_TURN)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_turn(integer, integer)")

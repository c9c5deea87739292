"""PostgreSQL: the turn at the audit chain, the chain's end and the new links in one visit.

Between the turn and the commit every other node waits, so the links are hashed where they are stored. What is
hashed comes as text in two parts; the hash before and the sequence belong between them (`chain.link_parts`).

In a volatile function each statement sees what was committed when it begins: the second one sees what whoever
had the turn before has appended. In one plain statement it would see the state from before the wait.
"""

from __future__ import annotations

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_APPEND = """
CREATE FUNCTION audit_append(
  namespace integer, turn integer, times double precision[], actors text[], actor_kinds text[],
  actions text[], subject_types text[], subjects text[], details text[], heads text[], tails text[],
  OUT last_sequence integer, OUT last_hash text
) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  previous text;
BEGIN
  PERFORM pg_advisory_xact_lock(namespace, turn);
  SELECT e.sequence, e.hash INTO last_sequence, last_hash
    FROM audit_entries e ORDER BY e.sequence DESC LIMIT 1;
  IF last_sequence IS NULL THEN
    last_sequence := 0;
    last_hash := repeat('0', 64);
  END IF;
  FOR i IN 1 .. cardinality(times) LOOP
    previous := last_hash;
    last_sequence := last_sequence + 1;
    last_hash := encode(
      sha256(convert_to(heads[i] || previous || '","sequence":' || last_sequence || tails[i], 'UTF8')), 'hex'
    );
    INSERT INTO audit_entries (
      sequence, at, actor_id, actor_kind, action, subject_type, subject_id, detail, previous_hash, hash
    ) VALUES (
      last_sequence, times[i], actors[i], actor_kinds[i], actions[i], subject_types[i], subjects[i],
      details[i]::json, previous, last_hash
    );
  END LOOP;
END $$
"""

_TURN = """
CREATE FUNCTION audit_turn(namespace integer, turn integer, OUT sequence bigint, OUT hash text)
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(namespace, turn);
  SELECT e.sequence, e.hash INTO sequence, hash FROM audit_entries e ORDER BY e.sequence DESC LIMIT 1;
END $$
"""
"""That of 0014, for the way back."""


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(_APPEND)
        op.execute("DROP FUNCTION audit_turn(integer, integer)")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(_TURN)
        op.execute(
            "DROP FUNCTION audit_append(integer, integer, double precision[], text[], text[], text[], text[],"
            " text[], text[], text[], text[])"
        )

"""A count that moves with every change of what a request's line is drawn from: places, rotas, leave, desks.

The database counts by itself, so that no path of change can be forgotten.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_ALL = "INSERT", "DELETE", "UPDATE"

_WATCHED = {
    "organizations": ("INSERT", "DELETE", "UPDATE OF parent_id, level"),
    "practitioners": ("INSERT", "DELETE", "UPDATE OF active, roles, organization_id"),
    "alliances": _ALL,
    "alliance_members": _ALL,
    "schedules": _ALL,
    "schedule_layers": _ALL,
    "schedule_overrides": _ALL,
    "rota_asks": _ALL,
    "calendar_days": _ALL,
}

_SQLITE = """
CREATE TRIGGER rota_changes_{table}_{event} AFTER {change} ON {table}
BEGIN UPDATE rota_changes SET count = count + 1; END
"""

# At the commit, after every other lock: counting in between, two transactions could wait for each other. Once
# a transaction: a row of a thousand versions would be slow.
_FUNCTION = """
CREATE FUNCTION rota_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('huizhen.rota_changed', true) IS DISTINCT FROM txid_current()::text THEN
    UPDATE rota_changes SET count = count + 1;
    PERFORM set_config('huizhen.rota_changed', txid_current()::text, true);
  END IF;
  RETURN NULL;
END $$
"""
_POSTGRESQL = """
CREATE CONSTRAINT TRIGGER rota_changes AFTER {changes} ON {table}
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION rota_changed()
"""


def upgrade() -> None:
    op.create_table(
        "rota_changes",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rota_changes")),
    )
    op.execute("INSERT INTO rota_changes (id, count) VALUES (1, 0)")
    if op.get_bind().dialect.name == "postgresql":
        op.execute(_FUNCTION)
        for table, changes in _WATCHED.items():
            op.execute(_POSTGRESQL.format(table=table, changes=" OR ".join(changes)))
        return
    for table, changes in _WATCHED.items():
        for change in changes:
            event = change.partition(" ")[0]
            op.execute(_SQLITE.format(table=table, event=event, change=change))


def downgrade() -> None:
    postgresql = op.get_bind().dialect.name == "postgresql"
    for table, changes in _WATCHED.items():
        if postgresql:
            op.execute(f"DROP TRIGGER rota_changes ON {table}")
            continue
        for change in changes:
            op.execute(f"DROP TRIGGER rota_changes_{table}_{change.partition(' ')[0]}")
    if postgresql:
        op.execute("DROP FUNCTION rota_changed()")
    op.drop_table("rota_changes")

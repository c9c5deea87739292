"""The numbers of a day are counted in a row of their own: two nodes get no number twice."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_COUNT = """
INSERT INTO consult_numbers (day, last)
SELECT substr(number, 1, 11), max(CAST(substr(number, 12) AS INTEGER)) FROM consultations
GROUP BY substr(number, 1, 11)
"""


def upgrade() -> None:
    op.create_table(
        "consult_numbers",
        sa.Column("day", sa.String(length=16), nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_consult_numbers")),
    )
    op.execute(_COUNT)


def downgrade() -> None:
    op.drop_table("consult_numbers")

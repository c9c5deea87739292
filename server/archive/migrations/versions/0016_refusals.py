"""Who refused a swap or a leave, and why."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from server.archive.columns import PersonalText

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_TABLE = "rota_asks"


def upgrade() -> None:
    # One by one and in place: a table that is made anew would lose the triggers that count its changes.
    op.add_column(_TABLE, sa.Column("refused_by", sa.String(40), nullable=True))
    op.add_column(_TABLE, sa.Column("refused_why", sa.String(16), nullable=True))
    op.add_column(_TABLE, sa.Column("refused_words", PersonalText(), nullable=True))


def downgrade() -> None:
    for name in ("refused_words", "refused_why", "refused_by"):
        op.drop_column(_TABLE, name)

"""Rotas: layers that cover, overrides, swaps, leave, notices, calendar addresses."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from server.archive.columns import PersonalText

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "calendar_days",
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_calendar_days")),
    )
    op.create_table(
        "rota_asks",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("ask", sa.String(length=8), nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("schedule_id", sa.String(length=40), nullable=True),
        sa.Column("asker_id", sa.String(length=40), nullable=False),
        sa.Column("other_id", sa.String(length=40), nullable=True),
        sa.Column("level", sa.Integer(), nullable=True),
        sa.Column("starts", sa.Double(), nullable=False),
        sa.Column("ends", sa.Double(), nullable=False),
        sa.Column("back_level", sa.Integer(), nullable=True),
        sa.Column("back_starts", sa.Double(), nullable=True),
        sa.Column("back_ends", sa.Double(), nullable=True),
        sa.Column("reason", PersonalText(), nullable=False),
        sa.Column("asked_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["asker_id"], ["practitioners.id"], name=op.f("fk_rota_asks_asker_id_practitioners")
        ),
        sa.ForeignKeyConstraint(
            ["other_id"], ["practitioners.id"], name=op.f("fk_rota_asks_other_id_practitioners")
        ),
        sa.ForeignKeyConstraint(
            ["schedule_id"], ["schedules.id"], name=op.f("fk_rota_asks_schedule_id_schedules")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rota_asks")),
    )
    with op.batch_alter_table("rota_asks", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_rota_asks_asker_id"), ["asker_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_rota_asks_other_id"), ["other_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_rota_asks_schedule_id"), ["schedule_id"], unique=False)
        batch_op.create_index("ix_rota_asks_stage_expires", ["stage", "expires_at"], unique=False)

    op.create_table(
        "rota_events",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("schedule_id", sa.String(length=40), nullable=True),
        sa.Column("subject_id", sa.String(length=40), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("actor_id", sa.String(length=40), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("reason", PersonalText(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["schedule_id"], ["schedules.id"], name=op.f("fk_rota_events_schedule_id_schedules")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rota_events")),
    )
    with op.batch_alter_table("rota_events", schema=None) as batch_op:
        batch_op.create_index("ix_rota_events_schedule_at", ["schedule_id", "at"], unique=False)
        batch_op.create_index(batch_op.f("ix_rota_events_subject_id"), ["subject_id"], unique=False)

    op.create_table(
        "rota_feeds",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("schedule_id", sa.String(length=40), nullable=True),
        sa.Column("practitioner_id", sa.String(length=40), nullable=False),
        sa.Column("made_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["practitioner_id"],
            ["practitioners.id"],
            name=op.f("fk_rota_feeds_practitioner_id_practitioners"),
        ),
        sa.ForeignKeyConstraint(
            ["schedule_id"], ["schedules.id"], name=op.f("fk_rota_feeds_schedule_id_schedules")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rota_feeds")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_rota_feeds_secret_hash")),
    )
    with op.batch_alter_table("rota_feeds", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_rota_feeds_practitioner_id"), ["practitioner_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_rota_feeds_schedule_id"), ["schedule_id"], unique=False)

    op.create_table(
        "rota_notices",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("schedule_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("starts", sa.Double(), nullable=False),
        sa.Column("ends", sa.Double(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("told_at", sa.Double(), nullable=False),
        sa.Column("closed_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["schedule_id"], ["schedules.id"], name=op.f("fk_rota_notices_schedule_id_schedules")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rota_notices")),
    )
    with op.batch_alter_table("rota_notices", schema=None) as batch_op:
        batch_op.create_index("ix_rota_notices_schedule_ends", ["schedule_id", "ends"], unique=False)

    op.create_table(
        "schedule_overrides",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("schedule_id", sa.String(length=40), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("change", sa.String(length=8), nullable=False),
        sa.Column("who", sa.String(length=40), nullable=True),
        sa.Column("by", sa.String(length=40), nullable=True),
        sa.Column("starts", sa.Double(), nullable=False),
        sa.Column("ends", sa.Double(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("made_by", sa.String(length=40), nullable=False),
        sa.Column("made_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.Column("ask_id", sa.String(length=40), nullable=True),
        sa.ForeignKeyConstraint(
            ["by"], ["practitioners.id"], name=op.f("fk_schedule_overrides_by_practitioners")
        ),
        sa.ForeignKeyConstraint(
            ["schedule_id"], ["schedules.id"], name=op.f("fk_schedule_overrides_schedule_id_schedules")
        ),
        sa.ForeignKeyConstraint(
            ["who"], ["practitioners.id"], name=op.f("fk_schedule_overrides_who_practitioners")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedule_overrides")),
    )
    with op.batch_alter_table("schedule_overrides", schema=None) as batch_op:
        batch_op.create_index("ix_schedule_overrides_schedule_ends", ["schedule_id", "ends"], unique=False)

    with op.batch_alter_table("schedule_layers", schema=None) as batch_op:
        batch_op.add_column(sa.Column("rank", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("slots", sa.JSON(), nullable=False, server_default="[]"))
        batch_op.add_column(sa.Column("day_kind", sa.String(length=8), nullable=False, server_default="any"))
        batch_op.add_column(
            sa.Column("weekdays", sa.JSON(), nullable=False, server_default="[0, 1, 2, 3, 4, 5, 6]")
        )
        batch_op.add_column(sa.Column("day_starts", sa.String(length=5), nullable=True))
        batch_op.add_column(sa.Column("day_ends", sa.String(length=5), nullable=True))

    with op.batch_alter_table("schedules", schema=None) as batch_op:
        batch_op.add_column(sa.Column("version", sa.Integer(), nullable=False, server_default="1"))


def downgrade() -> None:
    with op.batch_alter_table("schedules", schema=None) as batch_op:
        batch_op.drop_column("version")

    with op.batch_alter_table("schedule_layers", schema=None) as batch_op:
        batch_op.drop_column("day_ends")
        batch_op.drop_column("day_starts")
        batch_op.drop_column("weekdays")
        batch_op.drop_column("day_kind")
        batch_op.drop_column("slots")
        batch_op.drop_column("rank")

    with op.batch_alter_table("schedule_overrides", schema=None) as batch_op:
        batch_op.drop_index("ix_schedule_overrides_schedule_ends")

    op.drop_table("schedule_overrides")
    with op.batch_alter_table("rota_notices", schema=None) as batch_op:
        batch_op.drop_index("ix_rota_notices_schedule_ends")

    op.drop_table("rota_notices")
    with op.batch_alter_table("rota_feeds", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_rota_feeds_schedule_id"))
        batch_op.drop_index(batch_op.f("ix_rota_feeds_practitioner_id"))

    op.drop_table("rota_feeds")
    with op.batch_alter_table("rota_events", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_rota_events_subject_id"))
        batch_op.drop_index("ix_rota_events_schedule_at")

    op.drop_table("rota_events")
    with op.batch_alter_table("rota_asks", schema=None) as batch_op:
        batch_op.drop_index("ix_rota_asks_stage_expires")
        batch_op.drop_index(batch_op.f("ix_rota_asks_schedule_id"))
        batch_op.drop_index(batch_op.f("ix_rota_asks_other_id"))
        batch_op.drop_index(batch_op.f("ix_rota_asks_asker_id"))

    op.drop_table("rota_asks")
    op.drop_table("calendar_days")

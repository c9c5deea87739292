"""Emergency accesses; materials and messages of consults."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from server.archive.columns import PersonalText

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def _belongs_to(table: str, column: str, other: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{other}.id"], name=op.f(f"fk_{table}_{column}_{other}"))


def upgrade() -> None:
    op.create_table(
        "break_glass",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("consultation_id", sa.String(length=40), nullable=False),
        sa.Column("practitioner_id", sa.String(length=40), nullable=False),
        sa.Column("reason", PersonalText(), nullable=False),
        sa.Column("began_at", sa.Double(), nullable=False),
        sa.Column("until", sa.Double(), nullable=False),
        sa.Column("reviewed_at", sa.Double(), nullable=True),
        sa.Column("reviewed_by", sa.String(length=40), nullable=True),
        sa.Column("justified", sa.Boolean(), nullable=True),
        sa.Column("review", PersonalText(), nullable=True),
        _belongs_to("break_glass", "consultation_id", "consultations"),
        _belongs_to("break_glass", "practitioner_id", "practitioners"),
        _belongs_to("break_glass", "reviewed_by", "practitioners"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_break_glass")),
    )
    op.create_index(op.f("ix_break_glass_consultation_id"), "break_glass", ["consultation_id"])
    op.create_index(op.f("ix_break_glass_practitioner_id"), "break_glass", ["practitioner_id"])
    _create_materials()
    _create_messages()


def _create_materials() -> None:
    op.create_table(
        "materials",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("consultation_id", sa.String(length=40), nullable=False),
        sa.Column("name", PersonalText(), nullable=False),
        sa.Column("media_type", sa.String(length=32), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("added_by", sa.String(length=40), nullable=False),
        sa.Column("added_at", sa.Double(), nullable=False),
        _belongs_to("materials", "consultation_id", "consultations"),
        _belongs_to("materials", "added_by", "practitioners"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_materials")),
    )
    op.create_index(op.f("ix_materials_consultation_id"), "materials", ["consultation_id"])


def _create_messages() -> None:
    op.create_table(
        "thread_messages",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("consultation_id", sa.String(length=40), nullable=False),
        sa.Column("author_id", sa.String(length=40), nullable=False),
        sa.Column("text", PersonalText(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("read_at", sa.Double(), nullable=True),
        _belongs_to("thread_messages", "consultation_id", "consultations"),
        _belongs_to("thread_messages", "author_id", "practitioners"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_thread_messages")),
    )
    op.create_index(op.f("ix_thread_messages_consultation_id"), "thread_messages", ["consultation_id"])


def downgrade() -> None:
    for table in ("thread_messages", "materials", "break_glass"):
        op.drop_table(table)

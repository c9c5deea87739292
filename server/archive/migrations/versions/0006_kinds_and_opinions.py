"""Seats and stages of consults; what an opinion, a decision and what comes after hold."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from server.archive.columns import PersonalText

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("consultations", sa.Column("channel", sa.String(length=16), nullable=True))
    op.add_column("offers", sa.Column("seat_id", sa.String(length=40), nullable=True))
    op.add_column("decisions", sa.Column("outcome", sa.String(8), nullable=False, server_default="adopted"))
    with op.batch_alter_table("opinions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("follow_up", PersonalText(), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("contributions", PersonalText(), nullable=False, server_default="[]"))
        batch_op.add_column(sa.Column("critical_acknowledged_at", sa.Double(), nullable=True))
        batch_op.add_column(sa.Column("critical_acknowledged_by", sa.String(length=40), nullable=True))
        batch_op.add_column(sa.Column("form", sa.Integer(), nullable=False, server_default="1"))
        batch_op.add_column(sa.Column("code", sa.String(length=24), nullable=True))
        batch_op.create_foreign_key(
            batch_op.f("fk_opinions_critical_acknowledged_by_practitioners"),
            "practitioners",
            ["critical_acknowledged_by"],
            ["id"],
        )
        batch_op.create_unique_constraint(batch_op.f("uq_opinions_code"), ["code"])
    _create_seats()
    _create_stages()
    _create_ratings()


def _create_seats() -> None:
    op.create_table(
        "consult_seats",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("consultation_id", sa.String(length=40), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("specialty", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("practitioner_id", sa.String(length=40), nullable=True),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("contribution", PersonalText(), nullable=False),
        sa.Column("contributed_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["consultation_id"],
            ["consultations.id"],
            name=op.f("fk_consult_seats_consultation_id_consultations"),
        ),
        sa.ForeignKeyConstraint(
            ["practitioner_id"],
            ["practitioners.id"],
            name=op.f("fk_consult_seats_practitioner_id_practitioners"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consult_seats")),
    )
    op.create_index(op.f("ix_consult_seats_consultation_id"), "consult_seats", ["consultation_id"])


def _create_stages() -> None:
    op.create_table(
        "consult_stages",
        sa.Column("consultation_id", sa.String(length=40), nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("noted_by", sa.String(length=40), nullable=False),
        sa.Column("noted_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["consultation_id"],
            ["consultations.id"],
            name=op.f("fk_consult_stages_consultation_id_consultations"),
        ),
        sa.ForeignKeyConstraint(
            ["noted_by"], ["practitioners.id"], name=op.f("fk_consult_stages_noted_by_practitioners")
        ),
        sa.PrimaryKeyConstraint("consultation_id", "stage", name=op.f("pk_consult_stages")),
    )


def _create_ratings() -> None:
    op.create_table(
        "ratings",
        sa.Column("consultation_id", sa.String(length=40), nullable=False),
        sa.Column("by_id", sa.String(length=40), nullable=False),
        sa.Column("stars", sa.Integer(), nullable=False),
        sa.Column("text", PersonalText(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["consultation_id"], ["consultations.id"], name=op.f("fk_ratings_consultation_id_consultations")
        ),
        sa.ForeignKeyConstraint(["by_id"], ["practitioners.id"], name=op.f("fk_ratings_by_id_practitioners")),
        sa.PrimaryKeyConstraint("consultation_id", name=op.f("pk_ratings")),
    )


def downgrade() -> None:
    for table in ("ratings", "consult_stages", "consult_seats"):
        op.drop_table(table)
    with op.batch_alter_table("opinions", schema=None) as batch_op:
        for name in (
            "code",
            "form",
            "critical_acknowledged_by",
            "critical_acknowledged_at",
            "contributions",
            "follow_up",
        ):
            batch_op.drop_column(name)
    op.drop_column("decisions", "outcome")
    op.drop_column("offers", "seat_id")
    op.drop_column("consultations", "channel")

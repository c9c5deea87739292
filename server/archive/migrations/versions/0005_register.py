"""The register: closing dates, versions and numbers of places and people; sites and alliances.

Only columns and indexes are added, so that SQLite need not build a table anew under its foreign keys.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from server.archive.columns import PersonalText

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_VERSIONED = ("organizations", "practitioners", "devices")


def upgrade() -> None:
    for table in _VERSIONED:
        op.add_column(table, sa.Column("version", sa.Integer(), server_default="1", nullable=False))
    op.add_column("organizations", sa.Column("code", sa.String(length=64), nullable=True))
    op.add_column("organizations", sa.Column("address", sa.Text(), server_default="", nullable=False))
    op.add_column(
        "organizations", sa.Column("active", sa.Boolean(), server_default=sa.true(), nullable=False)
    )
    op.add_column("organizations", sa.Column("closed_on", sa.String(length=10), nullable=True))
    op.add_column("practitioners", sa.Column("registration", PersonalText(), nullable=True))
    op.add_column("practitioners", sa.Column("phone", PersonalText(), nullable=True))
    op.add_column("practitioners", sa.Column("closed_on", sa.String(length=10), nullable=True))
    op.add_column("devices", sa.Column("site_id", sa.String(length=40), nullable=True))
    op.add_column("devices", sa.Column("serial", sa.Text(), server_default="", nullable=False))
    op.add_column("accounts", sa.Column("temporary_until", sa.Double(), nullable=True))
    op.create_index(op.f("ix_organizations_parent_id"), "organizations", ["parent_id"])
    op.create_index(op.f("ix_organizations_code"), "organizations", ["code"], unique=True)
    op.create_index(op.f("ix_practitioners_registration"), "practitioners", ["registration"], unique=True)
    op.create_table(
        "sites",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("organization_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("closed_on", sa.String(length=10), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_sites_organization_id_organizations")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sites")),
    )
    op.create_index(op.f("ix_sites_organization_id"), "sites", ["organization_id"])
    op.create_table(
        "alliances",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("closed_on", sa.String(length=10), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alliances")),
    )
    op.create_table(
        "alliance_members",
        sa.Column("alliance_id", sa.String(length=40), nullable=False),
        sa.Column("organization_id", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["alliance_id"], ["alliances.id"], name=op.f("fk_alliance_members_alliance_id_alliances")
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_alliance_members_organization_id_organizations"),
        ),
        sa.PrimaryKeyConstraint("alliance_id", "organization_id", name=op.f("pk_alliance_members")),
    )
    op.create_index(op.f("ix_alliance_members_organization_id"), "alliance_members", ["organization_id"])


def downgrade() -> None:
    op.drop_table("alliance_members")
    op.drop_table("alliances")
    op.drop_table("sites")
    op.drop_index(op.f("ix_practitioners_registration"), "practitioners")
    op.drop_index(op.f("ix_organizations_code"), "organizations")
    op.drop_index(op.f("ix_organizations_parent_id"), "organizations")
    op.drop_column("accounts", "temporary_until")
    for column in ("serial", "site_id"):
        op.drop_column("devices", column)
    for column in ("closed_on", "phone", "registration"):
        op.drop_column("practitioners", column)
    for column in ("closed_on", "active", "address", "code"):
        op.drop_column("organizations", column)
    for table in _VERSIONED:
        op.drop_column(table, "version")

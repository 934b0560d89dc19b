"""Shares of credentials by their holders.

All is added, and nothing that the version before reads or writes is changed. It does not know of shares: they
are to be allowed in the configuration when no process of that version runs any more.
"""

import sqlalchemy as sa
from alembic import op

revision = "r0006"
down_revision = "r0005"


def upgrade() -> None:
    """Add the tables, and what grants and issued credentials have to do with shares."""
    op.add_column("issuer_grants", sa.Column("share_id", sa.Text))
    op.add_column("issuer_issued", sa.Column("grant_id", sa.Text))
    there = sa.text("grant_id IS NOT NULL")
    op.create_index(
        "ix_issuer_issued_grant_id",
        "issuer_issued",
        ["grant_id"],
        sqlite_where=there,
        postgresql_where=there,
    )
    op.create_table(
        "issuer_shares",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("tenant", sa.Text, nullable=False, server_default=""),
        sa.Column("grant_id", sa.Text, nullable=False),
        sa.Column("parent_id", sa.Text, nullable=False, index=True),
        sa.Column("issued_id", sa.Text, index=True),
        sa.Column("configuration_id", sa.Text, nullable=False),
        sa.Column("formats", sa.Text, nullable=False),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("level", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("depth", sa.Integer, nullable=False),
        sa.Column("jkt", sa.Text),
        sa.Column("entitlements", sa.Text),
        sa.Column("request_digest", sa.LargeBinary),
        sa.Column("held", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("lease", sa.Integer, nullable=False),
        sa.Column("not_before", sa.BigInteger),
        sa.Column("credential_expires", sa.BigInteger, nullable=False),
        sa.Column("parent_expires", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False, index=True),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False, index=True),
        sa.UniqueConstraint("parent_id", "request_digest", name="issuer_shares_parent_id_request_digest"),
    )
    op.create_table(
        "issuer_share_access",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("tenant", sa.Text, nullable=False, server_default=""),
        sa.Column("parent_id", sa.Text, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False, index=True),
    )

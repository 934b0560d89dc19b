"""Keys, rids and revocation lists of health cards."""

import sqlalchemy as sa
from alembic import op

revision = "r0003"
down_revision = "r0002"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "issuer_card_keys",
        *_key(),
        sa.Column("jwk", sa.Text, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("ctr", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("removed_at", sa.BigInteger),
    )
    op.create_table(
        "issuer_card_rids",
        *_key(),
        sa.Column("rid", sa.Text, primary_key=True),
        sa.Column("subject_digest", sa.LargeBinary, nullable=False, index=True),
        sa.Column("is_current", sa.Boolean, nullable=False),
    )
    op.create_table(
        "issuer_card_entries",
        *_key(),
        sa.Column("rid", sa.Text, primary_key=True),
        sa.Column("reached", sa.Boolean, nullable=False),
        sa.Column("before", sa.BigInteger),
        sa.Column("listed", sa.Boolean, nullable=False),
        sa.Column("listed_before", sa.BigInteger),
        sa.Column("is_pending", sa.Boolean, nullable=False, index=True),
    )
    op.create_table(
        "issuer_card_versions",
        *_key(),
        sa.Column("ctr", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("digest", sa.Text, nullable=False),
    )
    op.create_table(
        "issuer_card_changes",
        *_key(),
        sa.Column("ctr", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("rid", sa.Text, primary_key=True),
        sa.Column("was_listed", sa.Boolean, nullable=False),
        sa.Column("was_before", sa.BigInteger),
        sa.Column("listed", sa.Boolean, nullable=False),
        sa.Column("listed_before", sa.BigInteger),
    )


def _key() -> tuple[sa.Column[str], sa.Column[str]]:
    return sa.Column("tenant", sa.Text, primary_key=True), sa.Column("kid", sa.Text, primary_key=True)

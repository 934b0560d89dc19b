"""The issuer's first tables."""

import sqlalchemy as sa
from alembic import op

revision = "r0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "issuer_grants",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("configuration_ids", sa.Text, nullable=False),
        sa.Column("claims", sa.LargeBinary),
        sa.Column("code_digest", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("reference_digest", sa.LargeBinary, unique=True),
        sa.Column("tx_code", sa.Text),
        sa.Column("tx_digest", sa.LargeBinary),
        sa.Column("attempts_left", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False, index=True),
        sa.Column("expires_at", sa.BigInteger, nullable=False, index=True),
    )
    op.create_table(
        "issuer_tokens",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        _grant_id(),
        sa.Column("thumbprint", sa.Text, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False, index=True),
    )
    op.create_table(
        "issuer_identifiers",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        _grant_id(),
        sa.Column("token_digest", sa.LargeBinary, nullable=False),
        sa.Column("configuration_id", sa.Text, nullable=False),
        sa.Column("remaining", sa.Integer, nullable=False),
    )
    op.create_table(
        "issuer_seen",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("expires_at", sa.BigInteger, nullable=False, index=True),
    )
    op.create_table(
        "issuer_keys",
        sa.Column("kid", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("secret", sa.LargeBinary, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False, index=True),
        sa.UniqueConstraint("kind", "epoch", name="issuer_keys_kind_epoch"),
    )


def _grant_id() -> sa.Column[str]:
    grant = sa.ForeignKey("issuer_grants.id", ondelete="CASCADE")
    return sa.Column("grant_id", sa.Text, grant, nullable=False, index=True)

"""The verifier's first tables."""

import sqlalchemy as sa
from alembic import op

revision = "r0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "verifier_requests",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("nonce_digest", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("keep", sa.Text, nullable=False),
        sa.Column("code", sa.Text),
        sa.Column("issuer", sa.Text),
        sa.Column("claims", sa.LargeBinary),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False, index=True),
    )

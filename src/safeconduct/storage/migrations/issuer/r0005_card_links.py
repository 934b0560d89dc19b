"""Health cards that wait for their holders behind links."""

import sqlalchemy as sa
from alembic import op

revision = "r0005"
down_revision = "r0004"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "issuer_card_links",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("tenant", sa.Text, nullable=False, server_default=""),
        sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("code_digest", sa.LargeBinary),
        sa.Column("attempts_left", sa.Integer, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False, index=True),
    )

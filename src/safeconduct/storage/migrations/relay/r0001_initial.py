"""The relay's first table."""

import sqlalchemy as sa
from alembic import op

revision = "r0001"
down_revision = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "relay_mailboxes",
        sa.Column("id", sa.LargeBinary, primary_key=True),
        sa.Column("creation", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("rights", sa.Integer, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("updates", sa.Integer, nullable=False),
        sa.Column("sender_claim", sa.LargeBinary, nullable=False),
        sa.Column("receiver_claim", sa.LargeBinary),
        sa.Column("claim_key", sa.LargeBinary),
        sa.Column("sender_requests", sa.LargeBinary, nullable=False),
        sa.Column("receiver_requests", sa.LargeBinary, nullable=False),
        sa.Column("display", sa.LargeBinary, nullable=False),
        sa.Column("from_sender", sa.LargeBinary, nullable=False),
        sa.Column("from_receiver", sa.LargeBinary),
    )
    op.create_index("ix_relay_mailboxes_expires_at_state", "relay_mailboxes", ["expires_at", "state"])

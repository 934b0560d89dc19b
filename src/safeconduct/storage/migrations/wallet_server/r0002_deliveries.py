"""Deliveries, wake-ups, keys of stateless sessions, and counts in the place of records."""

import sqlalchemy as sa
from alembic import op

revision = "r0002"
down_revision = "r0001"


def upgrade() -> None:
    """Create the tables; those of r0001 stay while an older process writes them."""
    op.create_table(
        "wallet_server_keys",
        sa.Column("epoch", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("secret", sa.LargeBinary, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "wallet_server_ended",
        sa.Column("owner", sa.LargeBinary, primary_key=True),
        sa.Column("expires_at", sa.BigInteger, nullable=False, index=True),
    )
    op.create_table(
        "wallet_server_deliveries",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("owner", sa.LargeBinary, nullable=False, index=True),
        sa.Column("request", sa.LargeBinary, nullable=False),
        sa.Column("issuer", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("headers", sa.LargeBinary, nullable=False),
        sa.Column("answer", sa.LargeBinary, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("sealed", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("answer_until", sa.BigInteger, nullable=False, index=True),
        sa.Column("expires_at", sa.BigInteger, nullable=False, index=True),
        sa.Column("handed_out", sa.Integer, nullable=False),
        sa.Index("ix_wallet_server_deliveries_sealed_created_at", "sealed", "created_at"),
    )
    op.create_table(
        "wallet_server_wakeups",
        sa.Column("owner", sa.LargeBinary, primary_key=True),
        sa.Column("issuer", sa.Text, primary_key=True),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False, index=True),
        sa.Column("handle", sa.Text, nullable=False),
        sa.Column("push_at", sa.BigInteger, index=True),
        sa.Column("pushes", sa.Integer, nullable=False),
    )
    op.create_table(
        "wallet_server_outcomes",
        sa.Column("issuer", sa.Text, primary_key=True),
        sa.Column("hour", sa.BigInteger, primary_key=True),
        sa.Column("measure", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, primary_key=True),
        sa.Column("count", sa.BigInteger, nullable=False),
    )

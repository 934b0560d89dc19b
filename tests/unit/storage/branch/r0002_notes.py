"""Notes that belong to a counter."""

import sqlalchemy as sa
from alembic import op

revision = "r0002"
down_revision = "r0001"


def upgrade() -> None:
    op.create_table(
        "example_note",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("counter", sa.String(64), sa.ForeignKey("example_counter.name"), nullable=False),
        sa.Column("text", sa.LargeBinary, nullable=False),
    )

"""An index of the places in status lists that are not valid, which alone are read to publish a list."""

import sqlalchemy as sa
from alembic import op

revision = "r0004"
down_revision = "r0003"


def upgrade() -> None:
    """Create the index."""
    unlike = sa.text("value != 0")
    op.create_index(
        "ix_issuer_status_set",
        "issuer_status",
        ["list_id"],
        sqlite_where=unlike,
        postgresql_where=unlike,
    )

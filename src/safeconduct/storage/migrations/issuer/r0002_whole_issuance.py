"""Tenants, authorization codes, deferred and repeated deliveries, notifications, status indices, events."""

import sqlalchemy as sa
from alembic import op

revision = "r0002"
down_revision = "r0001"


def upgrade() -> None:
    """Add columns and tables; rows of the version before belong to the tenant ''."""
    _widen_grants()
    op.add_column("issuer_tokens", _tenant())
    op.add_column("issuer_tokens", sa.Column("configuration_ids", sa.Text))
    op.add_column(
        "issuer_identifiers", sa.Column("named", sa.Boolean, nullable=False, server_default=sa.true())
    )
    with op.batch_alter_table("issuer_keys") as keys:
        keys.add_column(_tenant())
        keys.drop_constraint("issuer_keys_kind_epoch", type_="unique")
        keys.create_unique_constraint("issuer_keys_tenant_kind_epoch", ["tenant", "kind", "epoch"])
    _create_authorization()
    _create_delivery()
    _create_status()
    op.create_table(
        "issuer_events",
        sa.Column("id", sa.Text, primary_key=True),
        _tenant(),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_at", sa.BigInteger, nullable=False, index=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )


def _widen_grants() -> None:
    for column in (
        _tenant(),
        sa.Column("own_reference", sa.Text),
        sa.Column("subject", sa.Text),
        sa.Column("issuer_state_digest", sa.LargeBinary),
        sa.Column("deferred", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("client_id", sa.Text),
        sa.Column("redirect_uri", sa.Text),
        sa.Column("code_challenge", sa.Text),
        sa.Column("thumbprint", sa.Text),
        sa.Column("scope", sa.Text),
        sa.Column("details", sa.Text),
        sa.Column("redeemed_at", sa.BigInteger),
    ):
        op.add_column("issuer_grants", column)
    op.create_index(
        "ix_issuer_grants_issuer_state_digest", "issuer_grants", ["issuer_state_digest"], unique=True
    )


def _create_authorization() -> None:
    op.create_table(
        "issuer_authorizations",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        _tenant(),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("request", sa.LargeBinary, nullable=False),
        sa.Column("client_id", sa.Text, nullable=False),
        sa.Column("grant_id", sa.Text),
        sa.Column("login_digest", sa.LargeBinary),
        sa.Column("attempts_left", sa.Integer, nullable=False),
        sa.Column("identity", sa.LargeBinary),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False, index=True),
    )
    op.create_table(
        "issuer_links",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        _tenant(),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False, index=True),
    )
    op.create_table(
        "issuer_attempts",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False, index=True),
    )
    op.create_table(
        "issuer_refresh_tokens",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        _grant_id(),
        sa.Column("client_id", sa.Text),
        sa.Column("thumbprint", sa.Text, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False, index=True),
    )


def _create_delivery() -> None:
    op.create_table(
        "issuer_issued",
        sa.Column("id", sa.Text, primary_key=True),
        _tenant(),
        sa.Column("configuration_id", sa.Text, nullable=False),
        sa.Column("own_reference", sa.Text, index=True),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("status", sa.Text),
        sa.Column("issued_at", sa.BigInteger, nullable=False, index=True),
        sa.Column("purge_at", sa.BigInteger, nullable=False, index=True),
    )
    op.create_table(
        "issuer_deliveries",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        _grant_id(),
        sa.Column("issued_id", sa.Text, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False, index=True),
    )
    op.create_table(
        "issuer_transactions",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
        _grant_id(),
        sa.Column("identifier_digest", sa.LargeBinary, nullable=False),
        sa.Column("configuration_id", sa.Text, nullable=False),
        sa.Column("holders", sa.LargeBinary),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False, index=True),
        sa.Column("expires_at", sa.BigInteger, nullable=False, index=True),
    )
    op.create_table(
        "issuer_notifications",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column(
            "issued_id",
            sa.Text,
            sa.ForeignKey("issuer_issued.id", ondelete="CASCADE"),
            nullable=False,
            index=True,
        ),
        sa.Column("grant_id", sa.Text, nullable=False),
        sa.Column("event", sa.Text),
        sa.Column("expires_at", sa.BigInteger, nullable=False, index=True),
    )


def _create_status() -> None:
    op.create_table(
        "issuer_status_lists",
        sa.Column("id", sa.Text, primary_key=True),
        _tenant(),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("taken", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "issuer_status",
        sa.Column(
            "list_id",
            sa.Text,
            sa.ForeignKey("issuer_status_lists.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("idx", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("issued_id", sa.Text, index=True),
        sa.Column("value", sa.Integer, nullable=False),
    )


def _tenant() -> sa.Column[str]:
    return sa.Column("tenant", sa.Text, nullable=False, server_default="", index=False)


def _grant_id() -> sa.Column[str]:
    grant = sa.ForeignKey("issuer_grants.id", ondelete="CASCADE")
    return sa.Column("grant_id", sa.Text, grant, nullable=False, index=True)

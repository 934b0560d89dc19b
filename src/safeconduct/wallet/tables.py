"""What the wallet keeps: issuers it has met, and credentials with their private keys."""

from sqlalchemy import BigInteger, Boolean, Column, LargeBinary, MetaData, Table, Text

metadata = MetaData()

issuers = Table(
    "wallet_issuers",
    metadata,
    Column("identifier", Text, primary_key=True),
    Column("encryption_required", Boolean, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
)

credentials = Table(
    "wallet_credentials",
    metadata,
    Column("id", Text, primary_key=True),
    Column("issuer", Text, nullable=False),
    Column("configuration", Text, nullable=False),
    Column("vct", Text, nullable=False),
    Column("token", LargeBinary, nullable=False),
    Column("holder_key", Text, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
)

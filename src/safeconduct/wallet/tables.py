"""What the wallet's database holds: encrypted records, and the master key under its guard.

`issuers` and `credentials` are those of a wallet that did not encrypt yet; they are emptied at opening.
"""

from sqlalchemy import BigInteger, Boolean, Column, Integer, LargeBinary, MetaData, Table, Text

metadata = MetaData()

vault = Table(
    "wallet_vault",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("guard", Text, nullable=False),
    Column("parameters", Text, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
)

records = Table(
    "wallet_records",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("parent", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)

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

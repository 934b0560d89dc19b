"""The wallet server's tables: nothing in them tells one wallet's requests from another's."""

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, Table, Text

metadata = MetaData()

sessions = Table(
    "wallet_server_sessions",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("expires_at", BigInteger, nullable=False, index=True),
)
"""Sessions in force, by the SHA-256 of their token."""

records = Table(
    "wallet_server_records",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("issuer", Text, nullable=False),
    Column("time", BigInteger, nullable=False, index=True),
    Column("bytes_in", BigInteger, nullable=False),
    Column("bytes_out", BigInteger, nullable=False),
    Column("status", Integer, nullable=False),
)
"""What was forwarded: to which issuer, when, how large (by size class), and the status of its answer. Not for
whom: a record has no session."""

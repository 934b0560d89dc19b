"""The verifier's tables."""

from sqlalchemy import BigInteger, Column, LargeBinary, MetaData, Table, Text

metadata = MetaData()

requests = Table(
    "verifier_requests",
    metadata,
    Column("id", Text, primary_key=True),
    Column("nonce_digest", LargeBinary, nullable=False, unique=True),
    Column("state", Text, nullable=False),
    Column("keep", Text, nullable=False),
    Column("code", Text),
    Column("issuer", Text),
    Column("claims", LargeBinary),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)
"""Nonces given out and what became of them. nonce_digest: SHA-256. claims: JSON, only if keep is "claims"."""

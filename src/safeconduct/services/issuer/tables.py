"""The issuer's tables. Times are Unix seconds; of every code, token and identifier only a digest is kept."""

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, LargeBinary, MetaData, Table, Text
from sqlalchemy import UniqueConstraint as Unique

metadata = MetaData()

grants = Table(
    "issuer_grants",
    metadata,
    Column("id", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("configuration_ids", Text, nullable=False),
    Column("claims", LargeBinary),
    Column("code_digest", LargeBinary, nullable=False, unique=True),
    Column("reference_digest", LargeBinary, unique=True),
    Column("tx_code", Text),
    Column("tx_digest", LargeBinary),
    Column("attempts_left", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False, index=True),
    Column("expires_at", BigInteger, nullable=False, index=True),
)
"""Offers and what became of them. claims: JSON, erased at the end of the grant.

tx_digest: of the transaction code, keyed with the pre-authorized code, which is not kept: the few digits
cannot be tried out on a stolen database.
"""

tokens = Table(
    "issuer_tokens",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("grant_id", Text, ForeignKey("issuer_grants.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("thumbprint", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)
"""Access tokens in force, each bound to the thumbprint of a DPoP key."""

identifiers = Table(
    "issuer_identifiers",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("grant_id", Text, ForeignKey("issuer_grants.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("token_digest", LargeBinary, nullable=False),
    Column("configuration_id", Text, nullable=False),
    Column("remaining", Integer, nullable=False),
)
"""Credential identifiers and how many credentials each is still good for."""

seen = Table(
    "issuer_seen",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("expires_at", BigInteger, nullable=False, index=True),
)
"""DPoP proofs received and nonces used up, until they would be refused as too old anyway."""

keys = Table(
    "issuer_keys",
    metadata,
    Column("kid", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("secret", LargeBinary, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Unique("kind", "epoch", name="issuer_keys_kind_epoch"),
)
"""Keys of the epochs, shared by all processes on this database and deleted when they have expired."""

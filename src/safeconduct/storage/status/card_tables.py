"""Tables of the revocation of health cards, in the issuer's database.

tenant: the URL that cards name as their issuer. reached, before: whether cards of a rid are revoked, and if
so, those made before that second, or all of them where it is NULL.
"""

from sqlalchemy import BigInteger, Boolean, Column, LargeBinary, Table, Text

from safeconduct.storage.status.tables import metadata


def _tenant() -> Column[str]:
    return Column("tenant", Text, primary_key=True)


def _kid() -> Column[str]:
    return Column("kid", Text, primary_key=True)


card_keys = Table(
    "issuer_card_keys",
    metadata,
    _tenant(),
    _kid(),
    Column("jwk", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("ctr", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("removed_at", BigInteger),
)
"""Public keys that sign cards, or did. jwk: JSON, as published. method: how its list names cards.

ctr: of the newest list that was taken for publishing, 0 before the first. removed_at: when the key was
revoked; it is never published again.
"""

card_rids = Table(
    "issuer_card_rids",
    metadata,
    _tenant(),
    _kid(),
    Column("rid", Text, primary_key=True),
    Column("subject_digest", LargeBinary, nullable=False, index=True),
    Column("is_current", Boolean, nullable=False),
)
"""Rids that were given to subjects, one in use for each under a key. Of the subject only a digest is kept."""

card_entries = Table(
    "issuer_card_entries",
    metadata,
    _tenant(),
    _kid(),
    Column("rid", Text, primary_key=True),
    Column("reached", Boolean, nullable=False),
    Column("before", BigInteger),
    Column("listed", Boolean, nullable=False),
    Column("listed_before", BigInteger),
    Column("is_pending", Boolean, nullable=False, index=True),
)
"""What is revoked (reached, before), and what the newest list says of it (listed, listed_before).

is_pending: whether these may differ.
"""

card_versions = Table(
    "issuer_card_versions",
    metadata,
    _tenant(),
    _kid(),
    Column("ctr", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", Text, nullable=False),
)
"""The digest of each list that was taken for publishing."""

card_changes = Table(
    "issuer_card_changes",
    metadata,
    _tenant(),
    _kid(),
    Column("ctr", BigInteger, primary_key=True, autoincrement=False),
    Column("rid", Text, primary_key=True),
    Column("was_listed", Boolean, nullable=False),
    Column("was_before", BigInteger),
    Column("listed", Boolean, nullable=False),
    Column("listed_before", BigInteger),
)
"""What each list changed in the one before it."""

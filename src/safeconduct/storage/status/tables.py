"""Tables of status that the issuer and the publication of status share, in the issuer's database.

`metadata` is the whole issuer's. tenant: the Credential Issuer Identifier that a row belongs to.
"""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, MetaData, Table, Text, text

metadata = MetaData()

status_lists = Table(
    "issuer_status_lists",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False, server_default=""),
    Column("size", Integer, nullable=False),
    Column("taken", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)
"""Status lists and how many of their places are taken, with those that were set aside."""

status = Table(
    "issuer_status",
    metadata,
    Column("list_id", Text, ForeignKey("issuer_status_lists.id", ondelete="CASCADE"), primary_key=True),
    Column("idx", Integer, primary_key=True, autoincrement=False),
    Column("issued_id", Text, index=True),
    Column("value", Integer, nullable=False),
)
"""Places taken, each once, and the status that stands there. issued_id: erased with the issued row."""

Index(
    "ix_issuer_status_set",
    status.c.list_id,
    sqlite_where=status.c.value != text("0"),
    postgresql_where=status.c.value != text("0"),
)
# What is published are the places that are not valid: few among millions.

"""The wallet server's tables: what waits for a session, and counts that belong to nobody.

A session is there by the SHA-256 of an identifier that only its wallet has. No token, proof or request of a
wallet is in any of them.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table, Text

metadata = MetaData()

keys = Table(
    "wallet_server_keys",
    metadata,
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("secret", LargeBinary, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)
"""Keys of the authenticators in session tokens and tickets, one a day, shared by all processes."""

ended = Table(
    "wallet_server_ended",
    metadata,
    Column("owner", LargeBinary, primary_key=True),
    Column("expires_at", BigInteger, nullable=False, index=True),
)
"""Sessions that were ended before their time."""

deliveries = Table(
    "wallet_server_deliveries",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner", LargeBinary, nullable=False, index=True),
    Column("request", LargeBinary, nullable=False),
    Column("issuer", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("headers", LargeBinary, nullable=False),
    Column("answer", LargeBinary, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sealed", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("answer_until", BigInteger, nullable=False, index=True),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("handed_out", Integer, nullable=False),
    Index("ix_wallet_server_deliveries_sealed_created_at", "sealed", "created_at"),
)
"""Forwarded requests whose answers their wallets have yet to fetch, or may have to fetch again.

request: SHA-256 over what was asked; code: of the problem in state failed; headers: JSON; sealed: 1 for an
answer that only the wallet can open; answer_until: when the answer is wiped; expires_at: when it is forgotten
what an idempotency key stood for; handed_out: 1 once the wallet was given the answer."""

wakeups = Table(
    "wallet_server_wakeups",
    metadata,
    Column("owner", LargeBinary, primary_key=True),
    Column("issuer", Text, primary_key=True),
    Column("due_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("handle", Text, nullable=False),
    Column("push_at", BigInteger, index=True),
    Column("pushes", Integer, nullable=False),
)
"""When a session wants to be reminded of an issuer. handle: by which the push gateway knows its device, or
""; push_at: when the gateway is told next; pushes: how often it was."""

outcomes = Table(
    "wallet_server_outcomes",
    metadata,
    Column("issuer", Text, primary_key=True),
    Column("hour", BigInteger, primary_key=True),
    Column("measure", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
)
"""How many requests of an hour had which outcome, duration class or size class, each counted by itself."""

sessions = Table(
    "wallet_server_sessions",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("expires_at", BigInteger, nullable=False, index=True),
)
"""Sessions of the version before: no longer written, swept until they are gone, dropped a release later."""

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
"""Records of single requests, by the version before; as `sessions`."""

"""The stored keys of the epochs; each function is one transaction, safe under several processes."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from safeconduct.services.issuer.tables import keys


class StoredKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key of one epoch. kind: "P-256", "X25519" or "nonce"."""

    kid: str
    kind: str
    epoch: int
    secret: bytes
    expires_at: int

    def __repr__(self) -> str:
        return f"<StoredKey {self.kind} of epoch {self.epoch}>"


def rotate_keys(connection: Connection, fresh: Sequence[StoredKey], *, now: int) -> list[StoredKey]:
    """Destroys expired keys, adds those of `fresh` that no process has added yet, and returns all."""
    connection.execute(delete(keys).where(keys.c.expires_at <= now))
    for key in fresh:
        insert_once(connection, keys, msgspec.structs.asdict(key))
    rows = connection.execute(select(keys).order_by(keys.c.epoch.desc(), keys.c.kind))
    return [StoredKey(**row._mapping) for row in rows]


def insert_once(connection: Connection, table: Table, values: dict[str, Any]) -> bool:
    """Inserts a row unless one of its unique keys is there; returns whether it was inserted."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table).values(values).on_conflict_do_nothing().returning(*table.primary_key)
    return connection.execute(statement).first() is not None

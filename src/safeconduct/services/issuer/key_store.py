"""The stored keys of the epochs; each function is one transaction, safe under several processes."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from safeconduct.services.issuer.tables import keys


class StoredKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key of one epoch. kind: "P-256", "X25519" or "nonce".

    epoch: of a key made on demand, minus the second from which it is published.
    """

    kid: str
    kind: str
    epoch: int
    secret: bytes
    expires_at: int

    def __repr__(self) -> str:
        return f"<StoredKey {self.kind} of epoch {self.epoch}>"


def rotate_keys(
    connection: Connection, tenant: str, fresh: Sequence[StoredKey], *, now: int
) -> list[StoredKey]:
    """Destroys expired keys, adds those of `fresh` that none has added yet, returns all of the tenant."""
    connection.execute(delete(keys).where(keys.c.expires_at <= now))
    for key in fresh:
        insert_once(connection, keys, {"tenant": tenant, **msgspec.structs.asdict(key)})
    columns = [keys.c[name] for name in StoredKey.__struct_fields__]
    own = select(*columns).where(keys.c.tenant == tenant)
    rows = connection.execute(own.order_by(keys.c.epoch.desc(), keys.c.kind))
    return [StoredKey(**row._mapping) for row in rows]


def replace_keys(
    connection: Connection,
    tenant: str,
    fresh: Sequence[StoredKey],
    *,
    kinds: Sequence[str],
    last_epoch: int,
    expires_at: int,
) -> None:
    """Adds fresh keys, ends those up to `last_epoch` early, and destroys the ones of later epochs.

    expires_at: latest end of the keys there are.
    """
    own = (keys.c.tenant == tenant, keys.c.kind.in_(kinds))
    connection.execute(delete(keys).where(*own, keys.c.epoch > last_epoch))
    connection.execute(update(keys).where(*own, keys.c.expires_at > expires_at).values(expires_at=expires_at))
    for key in fresh:
        insert_once(connection, keys, {"tenant": tenant, **msgspec.structs.asdict(key)})


def insert_once(connection: Connection, table: Table, values: dict[str, Any]) -> bool:
    """Inserts a row unless one of its unique keys is there; returns whether it was inserted."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table).values(values).on_conflict_do_nothing().returning(*table.primary_key)
    return connection.execute(statement).first() is not None

"""The rows of the wallet's database: each one record, encrypted, bound to its kind, its id and its parent."""

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, RowMapping, and_, delete, func, insert, select, update

from safeconduct.errors import Rejected
from safeconduct.wallet.tables import records
from safeconduct.wallet.vault import Vault

T = TypeVar("T")


def add(connection: Connection, vault: Vault, kind: str, name: str, content: bytes, *, parent: str) -> None:
    """Add a record. content: as it is encrypted."""
    sealed = vault.seal(_place(kind, name, parent), content)
    connection.execute(insert(records).values({"kind": kind, "id": name, "parent": parent, "sealed": sealed}))


def put(
    connection: Connection, vault: Vault, kind: str, name: str, record: msgspec.Struct, *, parent: str = ""
) -> None:
    """Add a record, or put it in the place of the one that is there."""
    content = msgspec.json.encode(record)
    sealed = vault.seal(_place(kind, name, parent), content)
    changed = connection.execute(update(records).where(_here(kind, name)).values(sealed=sealed))
    if changed.rowcount == 0:
        add(connection, vault, kind, name, content, parent=parent)


def get(connection: Connection, vault: Vault, kind: str, name: str, type_: type[T]) -> T | None:
    """Return the record of exactly this id, None without one."""
    found = row(connection, kind, name)
    return None if found is None else read(vault, found, type_)


def every(connection: Connection, vault: Vault, kind: str, type_: type[T]) -> tuple[T, ...]:
    """Return all records of a kind, in no order."""
    return tuple(read(vault, found, type_) for found in of_kind(connection, kind))


def row(connection: Connection, kind: str, name: str) -> RowMapping | None:
    """Return the row of exactly this id, None without one."""
    return connection.execute(select(records).where(_here(kind, name))).mappings().one_or_none()


def of_kind(connection: Connection, kind: str) -> Sequence[RowMapping]:
    """Return all rows of a kind."""
    return connection.execute(select(records).where(records.c.kind == kind)).mappings().all()


def below(connection: Connection, kind: str, parent: str) -> Sequence[RowMapping]:
    """Return the rows of a kind that belong to a record, by their ids."""
    here = and_(records.c.kind == kind, records.c.parent == parent)
    return connection.execute(select(records).where(here).order_by(records.c.id)).mappings().all()


def find(connection: Connection, kind: str, prefix: str, *, what: str = "credential") -> RowMapping:
    """Return the row whose id begins so. what: names the kind to the user.

    Raises Rejected: `what` and "_unknown", or "_ambiguous".
    """
    here = and_(records.c.kind == kind, func.substr(records.c.id, 1, len(prefix)) == prefix)
    found = connection.execute(select(records).where(here).limit(2)).mappings().all() if prefix else []
    if not found:
        raise Rejected(f"{what}_unknown", f"The wallet holds no {what} of this id; list what it holds.")
    if len(found) > 1:
        raise Rejected(f"{what}_ambiguous", f"Several {what}s have ids that begin so; give more of it.")
    return found[0]


def remove(connection: Connection, kind: str, name: str) -> None:
    """Delete the record of exactly this id, if it is there."""
    connection.execute(delete(records).where(_here(kind, name)))


def remove_below(connection: Connection, parent: str) -> None:
    """Delete all that belongs to a record."""
    connection.execute(delete(records).where(records.c.parent == parent))


def opened(vault: Vault, found: RowMapping) -> bytes:
    """Decrypt a row. Raises Rejected: wallet_damaged."""
    return vault.open(_place(found["kind"], found["id"], found["parent"]), found["sealed"])


def read(vault: Vault, found: RowMapping, type_: type[T]) -> T:
    """Return the record of a row. Raises Rejected: wallet_damaged."""
    return msgspec.json.decode(opened(vault, found), type=type_)


def _place(kind: str, name: str, parent: str) -> str:
    return f"{kind}\n{parent}\n{name}"


def _here(kind: str, name: str) -> Any:
    return and_(records.c.kind == kind, records.c.id == name)

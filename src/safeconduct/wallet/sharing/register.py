"""Transactions over the records of transfers."""

import hmac
from typing import Any

import msgspec
from sqlalchemy import Connection, RowMapping

from safeconduct.wallet import rows
from safeconduct.wallet.sharing.records import Given, Parent, Taken, Transfer
from safeconduct.wallet.vault import Vault

TRANSFER = "transfer"
"""Kind of the records of transfers."""

KEPT = 90 * 86400
"""Seconds for which the wallet remembers what became of a share that is over."""


def put(connection: Connection, vault: Vault, record: Transfer) -> None:
    """Keep a transfer that is about to begin."""
    rows.put(connection, vault, TRANSFER, record.id, record)


def change(connection: Connection, vault: Vault, record: Transfer) -> bool:
    """Keep what is new about a transfer; False if another process has ended and forgotten it meanwhile."""
    if rows.row(connection, TRANSFER, record.id) is None:
        return False
    rows.put(connection, vault, TRANSFER, record.id, record)
    return True


def drop(connection: Connection, _vault: Vault, name: str) -> None:
    """Forget a transfer, with its secrets."""
    rows.remove(connection, TRANSFER, name)


def find(connection: Connection, vault: Vault, prefix: str) -> Transfer:
    """Return the transfer whose id begins so. Raises Rejected: transfer_unknown, transfer_ambiguous."""
    return _read(vault, rows.find(connection, TRANSFER, prefix, what="transfer"))


def get(connection: Connection, vault: Vault, name: str) -> Transfer | None:
    """Return the transfer of exactly this id, None without one."""
    row = rows.row(connection, TRANSFER, name)
    return None if row is None else _read(vault, row)


def list_given(connection: Connection, vault: Vault) -> tuple[Given, ...]:
    """Return the transfers that this wallet began, the newest first."""
    found = [record for record in _all(connection, vault) if isinstance(record, Given)]
    return tuple(sorted(found, key=lambda record: (-record.since, record.id)))


def list_taken(connection: Connection, vault: Vault) -> tuple[Taken, ...]:
    """Return the transfers that this wallet opened and has not finished, the oldest first."""
    found = [record for record in _all(connection, vault) if isinstance(record, Taken)]
    return tuple(sorted(found, key=lambda record: (record.since, record.id)))


def has_shares(connection: Connection, vault: Vault, credential: str) -> bool:
    """Tell whether there are shares of the credential of this id that are not over."""
    records = list_given(connection, vault)
    return any(given.credential == credential and given.stage != "over" for given in records)


def keep_parents(connection: Connection, vault: Vault, parent: Parent) -> None:
    """Keep a credential with the shares that were made of it, for when it is not held any more."""
    for record in list_given(connection, vault):
        if record.credential == parent.held.id and record.stage != "over":
            put(connection, vault, msgspec.structs.replace(record, parent=parent))


def parent_of(connection: Connection, vault: Vault, credential: str) -> Parent | None:
    """Return a credential of exactly this id that shares were made of and that is not held any more."""
    records = list_given(connection, vault)
    return next((given.parent for given in records if given.parent and given.credential == credential), None)


def taken_by(connection: Connection, vault: Vault, mailbox: str, secret: bytes) -> Taken | None:
    """Return the transfer that was opened by the link to a mailbox, with this secret in it."""
    for record in list_taken(connection, vault):
        here = record.box is not None and record.box.url == mailbox
        if here and hmac.compare_digest(record.secret, secret):
            return record
    return None


def drop_old(connection: Connection, vault: Vault, *, now: int) -> None:
    """Forget shares that have been over for long."""
    for record in list_given(connection, vault):
        if record.stage == "over" and record.ended <= now - KEPT:
            rows.remove(connection, TRANSFER, record.id)


def _all(connection: Connection, vault: Vault) -> list[Transfer]:
    return [_read(vault, row) for row in rows.of_kind(connection, TRANSFER)]


def _read(vault: Vault, row: RowMapping) -> Transfer:
    kinds: Any = Transfer
    found: Transfer = msgspec.json.decode(rows.opened(vault, row), type=kinds)
    return found

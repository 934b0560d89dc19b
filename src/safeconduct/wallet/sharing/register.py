"""Transactions over the records of transfers."""

import hmac
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, RowMapping

from safeconduct.wallet import rows
from safeconduct.wallet.sharing.records import Given, Parent, Taken, Transfer
from safeconduct.wallet.vault import Vault

T = TypeVar("T", Given, Taken)

TRANSFER = "transfer"
"""Kind of the records of transfers."""

KEPT = 90 * 86400
"""Seconds for which the wallet remembers what became of a share that is over."""


def put(connection: Connection, vault: Vault, record: Transfer) -> None:
    """Keep a transfer that is about to begin."""
    rows.put(connection, vault, TRANSFER, record.id, record)


def put_opened(connection: Connection, vault: Vault, record: Taken) -> Taken:
    """Keep a transfer that is about to be claimed, unless another process has just opened the same link.

    Returns what is kept: of two processes, both go on with the same claim.
    """
    if record.box is not None:
        before = taken_by(connection, vault, record.box.url, record.secret)
        if before is not None:
            return before
    put(connection, vault, record)
    return record


def change(connection: Connection, vault: Vault, record: T) -> T | None:
    """Keep what is new about a transfer, and return it as it is kept.

    None if another process has changed or forgotten it since it was read: what that one did must stand.
    """
    there = get(connection, vault, record.id)
    if there is None or there.revision != record.revision:
        return None
    return _next(connection, vault, record, there)


def overrule(connection: Connection, vault: Vault, record: T) -> T | None:
    """Keep what is certain about a transfer, whatever another process was about to do; None if it is gone."""
    there = get(connection, vault, record.id)
    return None if there is None else _next(connection, vault, record, there)


def take_up(connection: Connection, vault: Vault, record: Taken, *, now: int, seconds: int) -> Taken | None:
    """Take the redeeming of a transfer up for one process, and return it as it is kept.

    None if another process is at it, or was and came to no end, less than so many seconds ago.
    """
    there = get(connection, vault, record.id)
    if isinstance(there, Taken) and is_taken_up(there, now=now, seconds=seconds):
        return None
    return change(connection, vault, msgspec.structs.replace(record, stage="redeeming", taken_up=now))


def let_go(connection: Connection, vault: Vault, name: str) -> None:
    """Leave the redeeming of a transfer to whoever takes it up next, if it is still there."""
    there = get(connection, vault, name)
    if isinstance(there, Taken):
        _next(connection, vault, msgspec.structs.replace(there, taken_up=0), there)


def is_taken_up(record: Taken, *, now: int, seconds: int) -> bool:
    """Tell whether a process may still be redeeming a transfer."""
    return now - seconds < record.taken_up <= now


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
            _next(connection, vault, msgspec.structs.replace(record, parent=parent), record)


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


def _next(connection: Connection, vault: Vault, record: T, there: Transfer) -> T:
    kept = msgspec.structs.replace(record, revision=there.revision + 1)
    put(connection, vault, kept)
    return kept


def _all(connection: Connection, vault: Vault) -> list[Transfer]:
    return [_read(vault, row) for row in rows.of_kind(connection, TRANSFER)]


def _read(vault: Vault, row: RowMapping) -> Transfer:
    kinds: Any = Transfer
    found: Transfer = msgspec.json.decode(rows.opened(vault, row), type=kinds)
    return found

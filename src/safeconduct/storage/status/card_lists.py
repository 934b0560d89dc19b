"""Revocation lists as they are published: taken from what is revoked, one counter after the other.

Each function is one transaction. tenant: the URL that cards name as their issuer.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, select, update

from safeconduct.status.card_revocation.changes import GONE, Change
from safeconduct.status.card_revocation.crl import RevocationList
from safeconduct.storage.status.card_store import StoredKey, require_key, standing
from safeconduct.storage.status.card_tables import card_changes, card_entries, card_keys, card_versions


class History(msgspec.Struct, frozen=True, kw_only=True):
    """A list with everything that led to it.

    changes: by counter, each sorted by rid. digests: of the canonical list, by counter.
    """

    newest: RevocationList
    changes: Mapping[int, tuple[Change, ...]]
    digests: Mapping[int, str]


def take_list(connection: Connection, tenant: str, kid: str) -> int:
    """Puts all that was revoked and taken back since the last time into a new list; returns its counter.

    The first list is taken in any case, then only if something changed. Raises Rejected "card_key_not_ours".
    """
    key = require_key(connection, tenant, kid)
    found = _pending(connection, tenant, kid)
    if not found and _was_taken(connection, tenant, key):
        return key.ctr
    ctr = key.ctr + 1
    if found:
        _keep(connection, tenant, kid, ctr, found)
    digest = _list(connection, tenant, key, ctr).digest()
    connection.execute(card_versions.insert().values(tenant=tenant, kid=kid, ctr=ctr, digest=digest))
    connection.execute(update(card_keys).where(_of(card_keys, tenant, kid)).values(ctr=ctr))
    return ctr


def history(connection: Connection, tenant: str, kid: str) -> History:
    """Returns the newest list that was taken, and how it came about. Raises Rejected "card_key_not_ours"."""
    key = require_key(connection, tenant, kid)
    made = (
        select(card_changes)
        .where(_of(card_changes, tenant, kid))
        .order_by(card_changes.c.ctr, card_changes.c.rid)
    )
    by_counter: dict[int, list[Change]] = {}
    for row in connection.execute(made):
        by_counter.setdefault(row.ctr, []).append(
            Change(row.rid, standing(row.was_listed, row.was_before), standing(row.listed, row.listed_before))
        )
    return History(
        newest=_list(connection, tenant, key, key.ctr),
        changes={ctr: tuple(found) for ctr, found in by_counter.items()},
        digests=digests(connection, tenant, kid),
    )


def digests(connection: Connection, tenant: str, kid: str) -> dict[int, str]:
    """Returns the digests of the lists that were taken of a key, by counter."""
    query = select(card_versions.c.ctr, card_versions.c.digest).where(_of(card_versions, tenant, kid))
    return {row.ctr: row.digest for row in connection.execute(query)}


def _was_taken(connection: Connection, tenant: str, key: StoredKey) -> bool:
    """Whether the list of the key's counter is one of ours; it may have been published elsewhere before."""
    where = and_(_of(card_versions, tenant, key.kid), card_versions.c.ctr == key.ctr)
    return connection.execute(select(card_versions.c.ctr).where(where)).first() is not None


def _pending(connection: Connection, tenant: str, kid: str) -> list[Change]:
    where = and_(_of(card_entries, tenant, kid), card_entries.c.is_pending)
    found = [
        Change(row.rid, standing(row.listed, row.listed_before), standing(row.reached, row.before))
        for row in connection.execute(select(card_entries).where(where))
    ]
    connection.execute(
        update(card_entries)
        .where(where)
        .values(listed=card_entries.c.reached, listed_before=card_entries.c.before, is_pending=False)
    )
    return [change for change in found if change.before != change.after]


def _keep(connection: Connection, tenant: str, kid: str, ctr: int, found: list[Change]) -> None:
    rows = [
        {
            "tenant": tenant,
            "kid": kid,
            "ctr": ctr,
            "rid": change.rid,
            "was_listed": change.before != GONE,
            "was_before": None if change.before == GONE else change.before,
            "listed": change.after != GONE,
            "listed_before": None if change.after == GONE else change.after,
        }
        for change in found
    ]
    connection.execute(card_changes.insert(), rows)


def _list(connection: Connection, tenant: str, key: StoredKey, ctr: int) -> RevocationList:
    query = select(card_entries.c.rid, card_entries.c.listed_before).where(
        _of(card_entries, tenant, key.kid), card_entries.c.listed
    )
    entries = {row.rid: row.listed_before for row in connection.execute(query)}
    return RevocationList(kid=key.kid, ctr=ctr, entries=entries, method=key.method)


def _of(table: Any, tenant: str, kid: str) -> ColumnElement[bool]:
    return and_(table.c.tenant == tenant, table.c.kid == kid)

"""The keys that sign an issuer's cards, the rids of its subjects, and what is revoked.

Each function is one transaction. tenant: the URL that cards name as their issuer.
"""

from collections.abc import Collection
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, delete, select, update

from safeconduct.errors import Malformed, Rejected, Unsupported
from safeconduct.ids import Random
from safeconduct.status.card_revocation import RID, changes, rids
from safeconduct.status.card_revocation.changes import GONE, Standing
from safeconduct.status.card_revocation.crl import RevocationList
from safeconduct.status.card_revocation.rids import Reach
from safeconduct.storage.status.card_tables import card_entries, card_keys, card_rids, card_versions
from safeconduct.storage.upsert import insert_once


class StoredKey(msgspec.Struct, frozen=True, kw_only=True):
    """A public key that signs cards, or did.

    jwk: JSON, as it is published. method: how its list names cards. ctr: of its newest list, 0 before the
    first. removed: whether it was revoked.
    """

    kid: str
    jwk: str
    method: str
    ctr: int
    removed: bool

    def __repr__(self) -> str:
        return f"<StoredKey ctr {self.ctr}>"


def register_key(
    connection: Connection,
    tenant: str,
    kid: str,
    jwk: str,
    *,
    method: str | None = None,
    known: RevocationList | None = None,
    now: int,
) -> None:
    """Makes a key known, so that it is published.

    One that is known gets the new `jwk`, which may have other certificates. A revoked one stays revoked.
    method: how its list names cards; None: as it does already, or by rids. known: a list of the key that was
    published elsewhere, or from a newer copy of the database: counted on from there, with its entries.

    Raises Rejected "card_key_known" if the key names cards otherwise than by the `method` given,
    "card_list_older" if `known` is not newer than the list that is kept; Malformed "crl_kid", Unsupported
    "status_method_unknown" if it is of another key or method.
    """
    row = {"tenant": tenant, "kid": kid, "jwk": jwk, "method": method or RID, "ctr": 0, "created_at": now}
    if not insert_once(connection, card_keys, row):
        connection.execute(update(card_keys).where(_of(card_keys, tenant, kid)).values(jwk=jwk))
    key = require_key(connection, tenant, kid)
    if method not in (None, key.method):
        raise Rejected("card_key_known", "The key is known already, and names cards in another way.")
    if known is not None:
        _go_on_from(connection, tenant, key, known)


def stored_keys(connection: Connection, tenant: str) -> tuple[StoredKey, ...]:
    """Returns the keys of an issuer, the newest first."""
    query = (
        select(card_keys)
        .where(card_keys.c.tenant == tenant)
        .order_by(card_keys.c.created_at.desc(), card_keys.c.kid)
    )
    return tuple(_stored(row) for row in connection.execute(query))


def remove_key(connection: Connection, tenant: str, kid: str, *, now: int) -> bool:
    """Revokes a key with all its cards, for ever; returns whether it was in use before.

    Raises Rejected "card_key_not_ours".
    """
    if require_key(connection, tenant, kid).removed:
        return False
    connection.execute(update(card_keys).where(_of(card_keys, tenant, kid)).values(removed_at=now))
    return True


def require_key(connection: Connection, tenant: str, kid: str) -> StoredKey:
    """Returns a key of the issuer. Raises Rejected "card_key_not_ours"."""
    row = connection.execute(select(card_keys).where(_of(card_keys, tenant, kid))).first()
    if row is None:
        raise Rejected("card_key_not_ours", "The key is none of this issuer's.")
    return _stored(row)


def allocate_rid(
    connection: Connection,
    tenant: str,
    kid: str,
    subject_digest: bytes,
    *,
    derived: str | None,
    random: Random,
    now: int,
) -> str:
    """Returns the rid for a subject's next card, and remembers it; the one before if that can still be used.

    derived: the rid to give for the first time, if not a random one. It is passed over if the card would be
    revoked from the start, because the subject's cards were.

    Raises Rejected "card_key_not_ours", "card_key_revoked", "card_method" (the key's list names cards
    otherwise than by rids).
    """
    key = require_key(connection, tenant, kid)
    if key.removed:
        raise Rejected("card_key_revoked", "The key was revoked: cards that it signs would not be valid.")
    if key.method != RID:
        raise Rejected("card_method", "The key's list names cards otherwise than by rids.")
    mine = and_(_of(card_rids, tenant, kid), card_rids.c.subject_digest == subject_digest)
    current = connection.execute(select(card_rids.c.rid).where(mine, card_rids.c.is_current)).scalar()
    if current is not None and _is_usable(connection, tenant, kid, current, now):
        return str(current)
    connection.execute(update(card_rids).where(mine).values(is_current=False))
    row = {"tenant": tenant, "kid": kid, "subject_digest": subject_digest, "is_current": True}
    if (
        derived is not None
        and _is_usable(connection, tenant, kid, derived, now)
        and insert_once(connection, card_rids, {**row, "rid": derived})
    ):
        return derived
    while not insert_once(connection, card_rids, {**row, "rid": (drawn := rids.draw(random))}):
        pass
    return drawn


def rids_of(connection: Connection, tenant: str, subject_digest: bytes) -> list[tuple[str, str]]:
    """Returns the rids that a subject was ever given, each with the kid of its key."""
    query = select(card_rids.c.kid, card_rids.c.rid).where(
        card_rids.c.tenant == tenant, card_rids.c.subject_digest == subject_digest
    )
    return [(row.kid, row.rid) for row in connection.execute(query)]


def kids_of(connection: Connection, tenant: str, rid: str) -> list[str]:
    """Returns the kids of the keys under which a rid was given."""
    query = select(card_rids.c.kid).where(card_rids.c.tenant == tenant, card_rids.c.rid == rid)
    return [row.kid for row in connection.execute(query)]


def revoke(connection: Connection, tenant: str, named: Collection[tuple[str, str]], reach: Reach) -> int:
    """Revokes cards; returns for how many identifiers that changed something.

    named: kids and identifiers. reach: cards made before that second, or all. What is revoked already stays.
    Raises Rejected "card_key_not_ours"; ValueError for a second that no list can name.
    """
    if reach is not None and not 0 < reach <= rids.LAST_SECOND:
        raise ValueError("a list names times after 1970 and before 2106")
    for kid in {kid for kid, _ in named}:
        require_key(connection, tenant, kid)
    return sum(_change(connection, tenant, kid, rid, reach) for kid, rid in named)


def reinstate(connection: Connection, tenant: str, named: Collection[tuple[str, str]]) -> int:
    """Takes back the revocation of cards; arguments and result as of `revoke`."""
    for kid in {kid for kid, _ in named}:
        require_key(connection, tenant, kid)
    return sum(_change(connection, tenant, kid, rid, GONE) for kid, rid in named)


def _go_on_from(connection: Connection, tenant: str, key: StoredKey, known: RevocationList) -> None:
    if known.kid != key.kid:
        raise Malformed("crl_kid", "The list is of another key.")
    if known.method != key.method:
        raise Unsupported("status_method_unknown", "The list names cards otherwise than the key does.")
    if known.ctr < key.ctr or (known.ctr == key.ctr and not _forget_own(connection, tenant, known)):
        raise Rejected("card_list_older", "The list is not newer than the one that is kept of this key.")
    standings = {rid: changes.storable(reach) for rid, reach in known.entries.items()}
    wanted = {rid: standing for rid, standing in standings.items() if standing != GONE}
    kept = select(card_entries.c.rid).where(_of(card_entries, tenant, key.kid))
    here = {rid for rid in connection.execute(kept).scalars() if rid in wanted}
    rows = [_new_entry(tenant, key.kid, rid, to) for rid, to in wanted.items() if rid not in here]
    if rows:
        connection.execute(card_entries.insert(), rows)
    for rid in here:
        _change(connection, tenant, key.kid, rid, wanted[rid])
    connection.execute(update(card_keys).where(_of(card_keys, tenant, key.kid)).values(ctr=known.ctr))


def _forget_own(connection: Connection, tenant: str, known: RevocationList) -> bool:
    """Forgets the list of our own that has the counter of another; returns whether there was one.

    An old copy of the database makes such a list when something is revoked before the published one is known.
    """
    where = and_(
        _of(card_versions, tenant, known.kid),
        card_versions.c.ctr == known.ctr,
        card_versions.c.digest != known.digest(),
    )
    return connection.execute(delete(card_versions).where(where)).rowcount > 0


def _change(connection: Connection, tenant: str, kid: str, rid: str, wanted: Standing) -> bool:
    where = and_(_of(card_entries, tenant, kid), card_entries.c.rid == rid)
    row = connection.execute(select(card_entries).where(where)).first()
    before = GONE if row is None else standing(row.reached, row.before)
    after = GONE if wanted == GONE else changes.extended(before, wanted)
    if after == before:
        return False
    if row is None:
        connection.execute(card_entries.insert(), [_new_entry(tenant, kid, rid, after)])
    else:
        connection.execute(update(card_entries).where(where).values(**_written(after), is_pending=True))
    return True


def _new_entry(tenant: str, kid: str, rid: str, wanted: Standing) -> dict[str, Any]:
    key = {"tenant": tenant, "kid": kid, "rid": rid}
    return {**key, **_written(wanted), "listed": False, "listed_before": None, "is_pending": True}


def standing(flag: bool, before: int | None) -> Standing:
    """Returns what two columns say together."""
    return before if flag else GONE


def _written(value: Standing) -> dict[str, Any]:
    return {"reached": value != GONE, "before": None if value == GONE else value}


def _is_usable(connection: Connection, tenant: str, kid: str, rid: str, now: int) -> bool:
    where = and_(_of(card_entries, tenant, kid), card_entries.c.rid == rid)
    row = connection.execute(select(card_entries.c.reached, card_entries.c.before).where(where)).first()
    return row is None or not changes.would_be_revoked(standing(row.reached, row.before), now)


def _of(table: Any, tenant: str, kid: str) -> ColumnElement[bool]:
    return and_(table.c.tenant == tenant, table.c.kid == kid)


def _stored(row: Any) -> StoredKey:
    return StoredKey(
        kid=row.kid, jwk=row.jwk, method=row.method, ctr=row.ctr, removed=row.removed_at is not None
    )

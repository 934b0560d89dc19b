"""What the issuer remembers of shares: each function is one transaction, safe under several processes."""

import secrets
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, Row, delete, select

from safeconduct import limits
from safeconduct.encoding import json
from safeconduct.ids import Random
from safeconduct.services.issuer import share_access_store, share_life, share_moves
from safeconduct.services.issuer import shares as life
from safeconduct.services.issuer.offer_store import NewGrant, add_grant
from safeconduct.services.issuer.paging import Page, Span
from safeconduct.services.issuer.share_errors import (
    EntitlementExceedsParent,
    ParentInvalid,
    ShareExists,
    ShareRefused,
    ShareUnknown,
    SharingNotAllowed,
    TooManyShares,
    ValidityExceedsParent,
)
from safeconduct.services.issuer.tables import issued, shares
from safeconduct.storage.status import places
from safeconduct.storage.status.places import Standing, StatusIndex
from safeconduct.storage.status.tables import status, status_lists
from safeconduct.storage.upsert import insert_once

Outcome = Literal["cancelled", "revoked", "already_expired", "already_over"]
"""What ending a share did: the offer was taken back; what it gave was revoked; nothing, it was over."""


class Parent(msgspec.Struct, frozen=True, kw_only=True):
    """A credential that is to be shared, as the issuer knows it.

    depth: 0 for one that the issuer itself offered, 1 for one from a share of such, and so on.
    entitlements: the rights that the share which gave it was narrowed to; None if it was not.
    """

    issued_id: str
    configuration_id: str
    own_reference: str | None
    standing: Standing
    depth: int
    entitlements: tuple[str, ...] | None


class NewShare(msgspec.Struct, frozen=True, kw_only=True):
    """A share to be made. grant: its offer, whose tenant and times are the share's.

    The offer's configurations are the same credential in each format, first that of the sender's: the
    receiver gets one of them.
    jkt: for level `key`. entitlements: None for a kind whose rights cannot be narrowed. request_digest: of
    the sender's name for the request; None without one. not_before, credential_expires: of the receiver's
    credential; parent_expires: of the sender's. max_receivers: live shares that a credential may have at
    once. max_depth: how deep the tree may be. lease: seconds for redeeming, and then to complain of a move.
    """

    grant: NewGrant
    id: str
    parent_id: str
    mode: life.Mode
    level: life.Level
    jkt: str | None
    entitlements: tuple[str, ...] | None
    request_digest: bytes | None
    not_before: int | None
    credential_expires: int
    parent_expires: int
    max_receivers: int
    max_depth: int
    lease: int

    def __post_init__(self) -> None:
        if (self.level == "key") != (self.jkt is not None):
            raise ValueError("A share has a thumbprint from the start if it is bound to a known key.")
        if (self.level == "pin") != (self.grant.tx_digest is not None):
            raise ValueError("A share has a transaction code if it is bound by one.")
        if not self.grant.configuration_ids or self.grant.deferred:
            raise ValueError("A share is of a credential, and issued at once.")

    def __repr__(self) -> str:
        return f"<NewShare, a {self.mode} by {self.level}>"


class ShareView(msgspec.Struct, frozen=True, kw_only=True):
    """What its sender and management may see of a share: nothing that opens it, no claims, no key.

    pinned: whether it is for one key only. expires_at: of the offer.
    """

    share_id: str
    parent_id: str
    configuration_id: str
    state: life.State
    mode: life.Mode
    level: life.Level
    entitlements: tuple[str, ...] | None
    depth: int
    pinned: bool
    created_at: int
    expires_at: int
    not_before: int | None
    credential_expires: int
    issued_id: str | None


class Ended(msgspec.Struct, frozen=True):
    """What became of a share that was to be ended."""

    outcome: Outcome
    state: life.State


def find_parent(connection: Connection, tenant: str, place: StatusIndex) -> Parent:
    """Returns the credential that has a place in a status list. Raises ParentInvalid "parent_unknown"."""
    row = connection.execute(
        select(issued.c.id, issued.c.configuration_id, issued.c.own_reference)
        .join(status, status.c.issued_id == issued.c.id)
        .join(status_lists, status_lists.c.id == status.c.list_id)
        .where(
            status.c.list_id == place.list_id,
            status.c.idx == place.idx,
            status_lists.c.tenant == tenant,
            issued.c.tenant == tenant,
        )
    ).first()
    if row is None:
        raise ParentInvalid("parent_unknown", "The issuer does not know the credential.")
    gave = share_life.share_that_gave(connection, row.id)
    return Parent(
        issued_id=row.id,
        configuration_id=row.configuration_id,
        own_reference=row.own_reference,
        standing=places.standings(connection, [row.id])[row.id],
        depth=0 if gave is None else gave.depth,
        entitlements=None if gave is None else _entitlements(gave),
    )


def create_share(
    connection: Connection, new: NewShare, *, now: int, random: Random = secrets.token_bytes
) -> None:
    """Stores a share and its offer.

    1. The sender's credential is valid, is not still being moved itself, and may be moved if it is to be.
    2. The share is not deeper than allowed, gives no more rights, and ends no later.
    3. The credential has room for another share; and the request is new.

    Raises ParentInvalid "parent_invalid"; SharingNotAllowed "sharing_unsettled", "sharing_unmovable",
    "sharing_too_deep"; EntitlementExceedsParent; ValidityExceedsParent; ShareExists "share_exists";
    TooManyShares "too_many_shares".
    """
    share_life.settle_due(connection, new.parent_id, now=now, random=random)
    parent = _parent(connection, new, now)
    gave = share_life.share_that_gave(connection, new.parent_id)
    depth = (0 if gave is None else gave.depth) + (new.mode == "share")
    _check_allowed(new, parent, gave, depth)
    _check_within(new, gave)
    _check_room(connection, new, now=now, random=random)
    row = {
        "id": new.id,
        "tenant": new.grant.tenant,
        "grant_id": new.grant.id,
        "parent_id": new.parent_id,
        "configuration_id": new.grant.configuration_ids[0],
        "formats": json.dumps(new.grant.configuration_ids).decode(),
        "mode": new.mode,
        "level": new.level,
        "state": "pending",
        "depth": depth,
        "jkt": new.jkt,
        "entitlements": None if new.entitlements is None else json.dumps(new.entitlements).decode(),
        "request_digest": new.request_digest,
        "lease": new.lease,
        "not_before": new.not_before,
        "credential_expires": new.credential_expires,
        "parent_expires": new.parent_expires,
        "created_at": new.grant.created_at,
        "expires_at": new.grant.expires_at,
        "due_at": new.grant.expires_at,
    }
    if not insert_once(connection, shares, row):
        raise _exists()
    add_grant(connection, msgspec.structs.replace(new.grant, share_id=new.id))


def list_shares(
    connection: Connection, tenant: str, parent_id: str, *, now: int, random: Random = secrets.token_bytes
) -> list[ShareView]:
    """Returns the remembered shares of a credential, and of its copies, the newest first."""
    own = {share.parent_id for share in share_moves.shares_of_holder(connection, parent_id)}
    rows = [row for one in own for row in share_life.lapse_all_of(connection, one, now=now, random=random)]
    rows.sort(key=lambda row: (-row.created_at, row.id))
    return [_view(share) for share in rows if share.tenant == tenant]


def find_shares(
    connection: Connection,
    tenant: str,
    *,
    state: life.State | None,
    parent_id: str | None,
    span: Span,
    page: Page,
    now: int,
    random: Random = secrets.token_bytes,
) -> list[ShareView]:
    """Returns a page of shares, the newest first, and one more if there is a next page."""
    lapse_due(connection, now=now, limit=limits.SHARES_LAPSED, random=random)
    query = select(shares).where(shares.c.tenant == tenant)
    if state is not None:
        query = query.where(shares.c.state == state)
    if parent_id is not None:
        query = query.where(shares.c.parent_id == parent_id)
    query = page.of(span.of(query, shares.c.created_at), shares.c.created_at, shares.c.id)
    return [_view(share) for share in connection.execute(query)]


def find_share(
    connection: Connection,
    tenant: str,
    share_id: str,
    *,
    parent_id: str | None,
    now: int,
    random: Random = secrets.token_bytes,
) -> ShareView:
    """Returns one share. parent_id: only of this credential or its copies; None for management.

    Raises ShareUnknown "share_unknown".
    """
    return _view(_share(connection, tenant, share_id, parent_id, now=now, random=random))


def pin_share(
    connection: Connection,
    tenant: str,
    share_id: str,
    jkt: str,
    *,
    parent_id: str | None,
    now: int,
    random: Random = secrets.token_bytes,
) -> ShareView:
    """Says, once, which key the receiver of a share by approval has; until then nobody can redeem it.

    jkt: RFC 7638 thumbprint of the proof key, in base64url. Raises ShareUnknown "share_unknown"; ShareRefused
    "share_level" (it is bound otherwise), "share_pinned", "share_not_pending".
    """
    share = _share(connection, tenant, share_id, parent_id, now=now, random=random)
    if share.level != "approve":
        raise ShareRefused("share_level", "The share is not bound by approval.")
    if share.state != "pending":
        raise ShareRefused("share_not_pending", f"The share is {share.state}.")
    if share.jkt is not None:
        raise ShareRefused("share_pinned", "The share is for another key already.")
    share_life.step(connection, share, "pin", jkt=jkt)
    return _view(_share(connection, tenant, share_id, parent_id, now=now, random=random))


def end_share(
    connection: Connection,
    tenant: str,
    share_id: str,
    *,
    parent_id: str | None,
    now: int,
    random: Random = secrets.token_bytes,
) -> Ended:
    """Takes a share back: the offer is cancelled, or what it gave is revoked, with all that came of it.

    Of a move that is not settled, the sender's credential is reinstated. One that is over stays as it is.
    Raises ShareUnknown "share_unknown".
    """
    share = _share(connection, tenant, share_id, parent_id, now=now, random=random)
    if share.state == "issued":
        state = share_life.withdraw(connection, share, "revoke", now=now, random=random)
        return Ended("revoked", state)
    if share.state in life.LIVE:
        return Ended("cancelled", share_life.end(connection, share, "cancel", now=now))
    return Ended("already_expired" if share.state == "expired" else "already_over", share.state)


def lapse_due(connection: Connection, *, now: int, limit: int, random: Random = secrets.token_bytes) -> int:
    """Does what the time has come for, for at most `limit` shares; returns for how many.

    Offers and credentials expire, leases end, moves are settled, and shares that ended long ago are deleted.
    """
    due = select(shares).where(shares.c.due_at <= now).order_by(shares.c.due_at, shares.c.id).limit(limit)
    rows = connection.execute(due).all()
    over = [share.id for share in rows if share.state not in life.LIVE]
    connection.execute(delete(shares).where(shares.c.id.in_(over)))
    for share in rows:
        if share.id not in over:
            share_life.lapse(connection, share, now=now, random=random)
    share_access_store.forget(connection, now)
    return len(rows)


def _parent(connection: Connection, new: NewShare, now: int) -> Row[Any]:
    query = select(issued).where(issued.c.id == new.parent_id, issued.c.tenant == new.grant.tenant)
    parent = connection.execute(query).first()
    standing = places.standings(connection, [new.parent_id]).get(new.parent_id)
    if parent is None or standing != "valid" or new.parent_expires <= now:
        raise ParentInvalid("parent_invalid", "The credential is not valid.")
    return parent


def _check_allowed(new: NewShare, parent: Row[Any], gave: Row[Any] | None, depth: int) -> None:
    if gave is not None and gave.mode == "move":
        raise SharingNotAllowed("sharing_unsettled", "The credential's own move is not settled.")
    if new.mode == "move" and parent.grant_id is None:  # what else the holder has of it would stay
        raise SharingNotAllowed("sharing_unmovable", "The credential was issued before it could be shared.")
    if depth > new.max_depth:
        raise SharingNotAllowed("sharing_too_deep", "A credential from a share is not shared so far.")


def _check_within(new: NewShare, gave: Row[Any] | None) -> None:
    own = None if gave is None else _entitlements(gave)
    if own is not None and (new.entitlements is None or not set(new.entitlements) <= set(own)):
        raise EntitlementExceedsParent("entitlement_exceeds_parent", "The credential has not these rights.")
    last = new.parent_expires if gave is None else min(new.parent_expires, gave.credential_expires)
    if new.credential_expires > last:
        raise ValidityExceedsParent("validity_exceeds_parent", "The credential is not valid for so long.")


def _check_room(connection: Connection, new: NewShare, *, now: int, random: Random) -> None:
    """Counts the shares of all that the holder has of one offer, in any format: copies give no more room."""
    known = [
        share
        for one in share_moves.sender_holds(connection, new.parent_id, new.grant.configuration_ids)
        for share in share_life.lapse_all_of(connection, one, now=now, random=random)
    ]
    own = {share.request_digest for share in known if share.parent_id == new.parent_id}
    same = new.request_digest is not None and new.request_digest in own
    if same or share_life.share_by_id(connection, new.id) is not None:
        raise _exists()
    live = [share for share in known if share.state in life.LIVE]
    if len(live) >= new.max_receivers or len(known) >= limits.SHARES_REMEMBERED:
        raise TooManyShares("too_many_shares", "The credential has as many shares as it may have.")


def _share(
    connection: Connection, tenant: str, share_id: str, parent_id: str | None, *, now: int, random: Random
) -> Row[Any]:
    share = share_life.share_by_id(connection, share_id)
    if share is None or share.tenant != tenant or not _is_own(connection, share, parent_id):
        raise ShareUnknown("share_unknown", "The credential has no such share.")
    return share_life.lapse(connection, share, now=now, random=random)


def _is_own(connection: Connection, share: Row[Any], parent_id: str | None) -> bool:
    if parent_id is None or parent_id == share.parent_id:
        return True
    return share.id in {one.id for one in share_moves.shares_of_holder(connection, parent_id)}


def _exists() -> ShareExists:
    return ShareExists("share_exists", "A share was made by this request before.")


def _entitlements(share: Row[Any]) -> tuple[str, ...] | None:
    return None if share.entitlements is None else tuple(json.loads(share.entitlements))


def _view(share: Row[Any]) -> ShareView:
    known = share.jkt is not None
    return ShareView(
        share_id=share.id,
        parent_id=share.parent_id,
        configuration_id=share.configuration_id,
        state=share.state,
        mode=share.mode,
        level=share.level,
        entitlements=_entitlements(share),
        depth=share.depth,
        pinned=known or (share.level in ("key", "approve") and share.issued_id is not None),
        created_at=share.created_at,
        expires_at=share.expires_at,
        not_before=share.not_before,
        credential_expires=share.credential_expires,
        issued_id=share.issued_id,
    )

"""Who may redeem the offer of a share, and when what it gives may leave; part of the caller's transaction."""

import hmac
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, Row, func, select, update

from safeconduct.ids import Random
from safeconduct.protocols.oauth.errors import InvalidGrant
from safeconduct.protocols.openid4vci.errors import CredentialRequestDenied, InvalidProof
from safeconduct.services.issuer import share_life
from safeconduct.services.issuer.grant_store import token_invalid
from safeconduct.services.issuer.share_moves import suspend_sender
from safeconduct.services.issuer.shares import Level, Mode
from safeconduct.services.issuer.tables import grants, identifiers, tokens


class ShareTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What a share says of the credential that it gives.

    jkt: RFC 7638 thumbprint, in base64url, of the only key that it may be bound to; None for any.
    not_before, credential_expires: Unix seconds; it is valid in between at most.
    """

    share_id: str
    mode: Mode
    level: Level
    jkt: str | None
    not_before: int | None
    credential_expires: int

    def __repr__(self) -> str:
        return f"<ShareTerms of a {self.mode} by {self.level}>"


class Lease(msgspec.Struct, frozen=True):
    """A redemption that may go on. event: redeem, or retry by the same key. until: Unix seconds."""

    share: Row[Any]
    event: Literal["redeem", "retry"]
    until: int

    def __repr__(self) -> str:
        return f"<Lease by {self.event}>"


def terms_of(connection: Connection, share_id: str) -> ShareTerms:
    """Returns the terms of a share. Raises InvalidToken "token_invalid": it is over."""
    share = share_life.share_by_id(connection, share_id)
    if share is None:
        raise token_invalid()
    return ShareTerms(
        share_id=share.id,
        mode=share.mode,
        level=share.level,
        jkt=share.jkt,
        not_before=share.not_before,
        credential_expires=share.credential_expires,
    )


def lease(
    connection: Connection, grant: Row[Any], thumbprint: str, *, now: int, random: Random
) -> Lease | InvalidGrant:
    """Returns how the offer of a share may be traded for a token, or why it may not.

    1. What time has brought is done: a lease that is over, an offer that has expired.
    2. Who has the lease may repeat, as long as nothing was delivered. Anybody else is refused, and that is
       all: the holder of a link cannot stop the one who was first.
    3. The sender has said who the receiver is, if that is how the share is bound.
    4. The sender's credential is valid, still (A35, A36).

    thumbprint: of the DPoP key. The caller checks the transaction code, and then calls `leased`.
    """
    share = share_life.share_by_id(connection, grant.share_id)
    if share is None:
        return _used()
    share = share_life.lapse(connection, share, now=now, random=random)
    if share.state == "redeeming":
        own = hmac.compare_digest(grant.thumbprint or "", thumbprint)
        return Lease(share, "retry", share.due_at) if own else _used()
    if share.state != "pending":
        return _used()
    if share.level == "approve" and share.jkt is None:
        return InvalidGrant("share_not_approved", "The sender has not approved of the receiver.")
    if not share_life.parent_stands(connection, share, now=now):
        return InvalidGrant("parent_invalid", "The sender's credential is not valid.")
    return Lease(share, "redeem", now + share.lease)


def leased(connection: Connection, given: Lease) -> None:
    """Notes that the offer was traded for a token: the lease begins, or goes on to the same end as before."""
    share_life.step(connection, given.share, given.event, due_at=given.until)
    last = max(given.until, given.share.expires_at)  # the offer outlives the lease, to be released by it
    connection.execute(update(grants).where(grants.c.id == given.share.grant_id).values(expires_at=last))


def tx_code_was_wrong(connection: Connection, share: Row[Any], *, last: bool, now: int) -> None:
    """Notes a wrong transaction code; the last one ends the share (OpenID4VCI 1.0 §6.3; A28)."""
    if last:
        share_life.end(connection, share, "last_wrong_tx_code", now=now)
    else:
        share_life.step(connection, share, "wrong_tx_code")


def deliver(
    connection: Connection,
    share_id: str,
    issued_id: str,
    *,
    holders: tuple[str, ...],
    revocable: bool,
    now: int,
    random: Random,
) -> int:
    """Notes that the receiver's credential leaves; of a move, the sender's is suspended with it.

    The offer gives no more, in no other format either. Returns the second until which the same may at least
    be asked for again: of a move, until it is settled, or an answer that is lost would leave nobody with any.

    holders: thumbprints of the keys that it is bound to. revocable: whether it has a place in a status list.
    Raises InvalidToken "token_invalid" (the lease is over, or the share); InvalidProof
    "proof_key_not_pinned"; CredentialRequestDenied "parent_invalid", "share_not_revocable".
    """
    share = share_life.share_by_id(connection, share_id)
    if share is None or share.state != "redeeming" or share.due_at <= now:
        raise token_invalid()
    if share.jkt is not None and holders != (share.jkt,):
        raise InvalidProof("proof_key_not_pinned", "The share is for another key.")
    if not revocable:  # the kind has lost its status since the share was made
        raise CredentialRequestDenied("share_not_revocable", "What is shared must be revocable.")
    stands = share_life.parent_stands(connection, share, now=now)
    if not stands or (share.mode == "move" and not suspend_sender(connection, share, random)):
        raise CredentialRequestDenied("parent_invalid", "The sender's credential is not valid.")
    settled_at = now + share.lease if share.mode == "move" else share.credential_expires
    share_life.step(connection, share, "deliver", issued_id=issued_id, jkt=None, due_at=settled_at)
    _use_up(connection, share)
    last = settled_at if share.mode == "move" else 0
    _outlive(connection, share, last)
    return last


def _use_up(connection: Connection, share: Row[Any]) -> None:
    rest = identifiers.c.grant_id == share.grant_id, identifiers.c.remaining > 0
    connection.execute(update(identifiers).where(*rest).values(remaining=0))


def _outlive(connection: Connection, share: Row[Any], last: int) -> None:
    """Lets the receiver say what became of a move as long as that counts; the offer ends with its token."""
    own = tokens.c.grant_id == share.grant_id
    connection.execute(update(tokens).where(own, tokens.c.expires_at < last).values(expires_at=last))
    latest = select(func.max(tokens.c.expires_at)).where(own).scalar_subquery()
    connection.execute(update(grants).where(grants.c.id == share.grant_id).values(expires_at=latest))


def notified(connection: Connection, share_id: str, what: str, *, now: int, random: Random) -> None:
    """Settles a move by what the receiver says of its credential; nothing if it is settled.

    failed: the receiver's credential is revoked and the sender's reinstated. accepted or deleted: the
    receiver has had it, so the sender's is revoked.
    """
    share = share_life.share_by_id(connection, share_id)
    if share is None or share.mode != "move" or share.state != "issued":
        return
    if what == "failed":
        share_life.withdraw(connection, share, "fail", now=now, random=random)
    else:
        share_life.complete(connection, share, now=now, random=random)


def _used() -> InvalidGrant:
    return InvalidGrant("code_used", "The code is unknown, used or expired.", rule="RFC 6749 §4.1.2")

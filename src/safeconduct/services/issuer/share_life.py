"""What follows from each arrow of a share: for its offer, for both credentials, and for shares of these.

Each function is part of a transaction that the caller has open, so that all of it happens or nothing.

A share is found by the credential that it is of (its parent) and by the one that it gave. The credential that
a move gave takes the place of the one that it was moved from: a share that gave that one counts from then on
as having given this one, so whoever may revoke the one may revoke the other.
"""

from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from safeconduct.ids import Random
from safeconduct.services.issuer import grants as grant_life
from safeconduct.services.issuer import shares as life
from safeconduct.services.issuer.grant_store import move_by_id, revoke
from safeconduct.services.issuer.share_errors import ShareRefused
from safeconduct.services.issuer.share_moves import complete_move, lift_suspension, unsettled_moves
from safeconduct.services.issuer.tables import deliveries, grants, issued, shares
from safeconduct.storage.status import places

MEMORY = 86400
"""Seconds that the end of a share stays visible to its sender."""


def share_by_id(connection: Connection, share_id: str) -> Row[Any] | None:
    """Returns the row of a share, None without one."""
    return connection.execute(select(shares).where(shares.c.id == share_id)).first()


def shares_of(connection: Connection, parent_id: str) -> list[Row[Any]]:
    """Returns the rows of all shares of a credential, the newest first."""
    query = select(shares).where(shares.c.parent_id == parent_id)
    return list(connection.execute(query.order_by(shares.c.created_at.desc(), shares.c.id)))


def live_shares_of(connection: Connection, parent_id: str) -> list[Row[Any]]:
    """Returns the rows of the shares of a credential that something may still come of."""
    return [share for share in shares_of(connection, parent_id) if share.state in life.LIVE]


def share_that_gave(connection: Connection, issued_id: str) -> Row[Any] | None:
    """Returns the row of the share in whose place a credential stands, None for one of the issuer's own."""
    query = select(shares).where(shares.c.issued_id == issued_id, shares.c.state == "issued")
    return connection.execute(query).first()


def step(connection: Connection, share: Row[Any], event: life.Event, **values: Any) -> life.State:
    """Follows one arrow and returns the state after it. values: what else of the row changes."""
    after = life.advance(share.mode, share.state, event)
    this = update(shares).where(shares.c.id == share.id, shares.c.state == share.state)
    if connection.execute(this.values(state=after, **values)).rowcount != 1:
        raise ShareRefused("transition_refused", "The share has changed meanwhile.")
    return after


def end(connection: Connection, share: Row[Any], event: life.Event, *, now: int) -> life.State:
    """Follows an arrow out of a live state: the offer ends too, and its tokens are revoked."""
    after = step(connection, share, event, jkt=None, due_at=now + MEMORY)
    _end_offer(connection, share.grant_id, "expire" if event == "expire" else "cancel")
    return after


def withdraw(
    connection: Connection, share: Row[Any], event: life.Event, *, now: int, random: Random
) -> life.State:
    """Ends a share that was issued by revoking what it gave, and everything that was shared of that.

    Of a move, the sender's credential is reinstated afterwards, and only then: never are two of them valid.
    event: revoke, or fail.
    """
    after = end(connection, share, event, now=now)
    connection.execute(delete(deliveries).where(deliveries.c.issued_id == share.issued_id))
    if share.issued_id in places.standings(connection, [share.issued_id]):
        places.change_standing(connection, share.issued_id, "invalid", random)
    end_shares_of(connection, share.issued_id, now=now, random=random)
    if share.mode == "move":
        lift_suspension(connection, share, random)
    return after


def end_shares_of(connection: Connection, issued_id: str, *, now: int, random: Random) -> None:
    """Ends all shares of a credential that is revoked: offers are cancelled, what was given is revoked.

    It follows shares of shares; how deep these can be is set for each kind of credential.
    """
    for share in live_shares_of(connection, issued_id):
        if share.state == "issued":
            withdraw(connection, share, "revoke", now=now, random=random)
        else:
            end(connection, share, "cancel", now=now)


def credential_revoked(connection: Connection, issued_id: str, *, now: int, random: Random) -> None:
    """Ends the share that gave a credential which has been revoked, and all shares of it."""
    gave = share_that_gave(connection, issued_id)
    if gave is None:
        end_shares_of(connection, issued_id, now=now, random=random)
    else:
        withdraw(connection, gave, "revoke", now=now, random=random)


def complete(connection: Connection, share: Row[Any], *, now: int, random: Random) -> None:
    """Settles a move: what the receiver has takes the place of the sender's, revoked with its shares."""
    step(connection, share, "complete", due_at=now + MEMORY)
    before = share_that_gave(connection, share.parent_id)
    if before is not None:
        _end_offer(connection, before.grant_id, "cancel")
    for revoked in complete_move(connection, share, random):
        end_shares_of(connection, revoked, now=now, random=random)


def release(connection: Connection, share: Row[Any]) -> None:
    """Ends a lease that came to nothing: the token is revoked, and the offer is open again.

    Wrong transaction codes stay counted.
    """
    step(connection, share, "release", due_at=share.expires_at)
    revoke(connection, share.grant_id)
    connection.execute(
        update(grants)
        .where(grants.c.id == share.grant_id)
        .values(
            state=grant_life.advance("redeemed", "release"),
            client_id=None,
            thumbprint=None,
            redeemed_at=None,
            expires_at=share.expires_at,
        )
    )


def lapse(connection: Connection, share: Row[Any], *, now: int, random: Random) -> Row[Any]:
    """Does what the time has come for, and returns the row as it is then.

    An offer or what was given expires; a lease ends, and a move that was delivered is settled by it.
    """
    if share.due_at > now or share.state not in life.LIVE:
        return share
    share = _row(connection, share.id)  # the end of another may have changed it since it was read
    if share.state not in life.LIVE:
        return share
    if share.state == "issued" and share.mode == "move":
        complete(connection, share, now=now, random=random)
    elif share.state == "redeeming" and share.expires_at > now:
        release(connection, share)
    else:
        end(connection, share, "expire", now=now)
    return _row(connection, share.id)


def lapse_all_of(connection: Connection, parent_id: str, *, now: int, random: Random) -> list[Row[Any]]:
    """As `lapse`, for all shares of a credential, as `shares_of` returns them."""
    found = shares_of(connection, parent_id)
    before = [(share.id, share.state) for share in found]
    after = [lapse(connection, share, now=now, random=random) for share in found]
    if before == [(share.id, share.state) for share in after]:
        return found
    return shares_of(connection, parent_id)  # one that ends may end others


def settle_due(connection: Connection, issued_id: str, *, now: int, random: Random) -> None:
    """As `lapse`, for what decides how a credential stands: its own share, and moves of what is held."""
    gave = share_that_gave(connection, issued_id)
    for share in (*unsettled_moves(connection, issued_id), *(() if gave is None else (gave,))):
        lapse(connection, share, now=now, random=random)


def parent_stands(connection: Connection, share: Row[Any], *, now: int) -> bool:
    """Whether the sender's credential is valid, and the receiver's would still be when it is issued."""
    if now >= min(share.parent_expires, share.credential_expires):
        return False
    known = select(issued.c.id).where(issued.c.id == share.parent_id, issued.c.tenant == share.tenant)
    if connection.execute(known).first() is None:
        return False
    return places.standings(connection, [share.parent_id]).get(share.parent_id) == "valid"


def _row(connection: Connection, share_id: str) -> Row[Any]:
    return connection.execute(select(shares).where(shares.c.id == share_id)).one()


def _end_offer(connection: Connection, grant_id: str, event: grant_life.Event) -> None:
    query = select(grants.c.state).where(grants.c.id == grant_id)
    state: grant_life.State | None = connection.execute(query).scalar()
    if state is not None and state not in grant_life.FINAL:
        move_by_id(connection, grant_id, state, event)

"""The two credentials of a move: never are both valid, and never neither when it fails.

What a holder was issued for one offer may be several deliveries, in several formats: a move takes all of them
that are the same credential, and what credit the offer has left for more. Each function is part of a
transaction that the caller has open.
"""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select, update

from safeconduct.encoding import json
from safeconduct.errors import Rejected
from safeconduct.ids import Random
from safeconduct.services.issuer.tables import identifiers, issued, shares, transactions
from safeconduct.storage.status import places
from safeconduct.storage.status.places import Standing


class MoveUnderWay(Rejected):
    """The credential is suspended because it is being moved, and that has not been settled."""

    http_status = 409


def suspend_sender(connection: Connection, share: Row[Any], random: Random) -> bool:
    """Suspends what the sender holds, when the receiver's is delivered; returns whether it could be.

    It cannot if one of the credentials was suspended before: whoever lifts it would lift that as well.
    """
    standings = places.standings(connection, _held(connection, share))
    if "suspended" in standings.values() or standings.get(share.parent_id) != "valid":
        return False
    for one, standing in standings.items():
        if standing == "valid":
            places.change_standing(connection, one, "suspended", random)
    _set_credit(connection, share, sign=-1)
    return True


def lift_suspension(connection: Connection, share: Row[Any], random: Random) -> None:
    """Reinstates what the sender holds after a move that came to nothing; what was revoked stays so.

    Nothing is reinstated that management wants suspended.
    """
    _set_credit(connection, share, sign=1)
    if share.held:
        return
    for one, standing in places.standings(connection, _held(connection, share)).items():
        if standing == "suspended":
            places.change_standing(connection, one, "valid", random)


def complete_move(connection: Connection, share: Row[Any], random: Random) -> list[str]:
    """Revokes what the sender holds and puts the receiver's in its place; returns the ids of what it held."""
    held = _held(connection, share)
    for one in places.standings(connection, held):
        places.change_standing(connection, one, "invalid", random)
    _set_credit(connection, share, sign=0)
    connection.execute(
        update(shares)
        .where(shares.c.issued_id == share.parent_id, shares.c.state == "issued")
        .values(
            issued_id=share.issued_id,
            grant_id=share.grant_id,
            entitlements=share.entitlements,
            credential_expires=share.credential_expires,
            due_at=share.credential_expires,
        )
    )
    return held


def sender_holds(connection: Connection, parent_id: str, formats: Collection[str]) -> list[str]:
    """Returns the ids of all that was issued for the offer that a credential is of.

    formats: the configurations that are the same credential.
    """
    grant_id = _grant_of(connection, parent_id)
    if grant_id is None:
        return [parent_id]
    same = select(issued.c.id).where(issued.c.grant_id == grant_id, issued.c.configuration_id.in_(formats))
    return list(connection.execute(same.order_by(issued.c.id)).scalars())


def shares_of_holder(connection: Connection, issued_id: str) -> list[Row[Any]]:
    """Returns the rows of all shares of a credential, or of what else its holder has that is the same."""
    query = select(issued.c.grant_id, issued.c.configuration_id).where(issued.c.id == issued_id)
    one = connection.execute(query).first()
    if one is None or one.grant_id is None:
        return list(connection.execute(select(shares).where(shares.c.parent_id == issued_id)))
    return _shares_for(connection, one.grant_id, one.configuration_id)


def unsettled_moves(connection: Connection, issued_id: str) -> list[Row[Any]]:
    """Returns the rows of the moves because of which a credential is suspended."""
    return list(filter(_is_unsettled, shares_of_holder(connection, issued_id)))


def override_move(connection: Connection, issued_id: str, to: Standing) -> bool:
    """Keeps what management wants of a credential that a move has suspended; returns whether that was all.

    Suspended by management, it stays so whatever becomes of the move; reinstated, no longer.
    Raises MoveUnderWay "move_under_way": it was to be reinstated, and nobody but the move has suspended it.
    """
    moves = unsettled_moves(connection, issued_id) if to != "invalid" else []
    if not moves:
        return False
    held = any(share.held for share in moves)
    if to == "valid" and not held:
        raise MoveUnderWay("move_under_way", "The credential is being moved, and that is not settled.")
    ids = [share.id for share in moves]
    connection.execute(update(shares).where(shares.c.id.in_(ids)).values(held=to == "suspended"))
    return True


def is_moving(connection: Connection, grant_id: str, configuration_id: str) -> bool:
    """Returns whether what an offer gave is being moved, so that it gives no more until that is settled."""
    return any(map(_is_unsettled, _shares_for(connection, grant_id, configuration_id)))


def _shares_for(connection: Connection, grant_id: str, configuration_id: str) -> list[Row[Any]]:
    query = select(shares).join(issued, issued.c.id == shares.c.parent_id)
    found = connection.execute(query.where(issued.c.grant_id == grant_id))
    return [share for share in found if configuration_id in _formats(share)]


def _is_unsettled(share: Row[Any]) -> bool:
    return bool(share.mode == "move" and share.state == "issued")


def _held(connection: Connection, share: Row[Any]) -> list[str]:
    return sender_holds(connection, share.parent_id, _formats(share))


def _formats(share: Row[Any]) -> list[str]:
    return list(json.loads(share.formats))


def _grant_of(connection: Connection, issued_id: str) -> str | None:
    grant_id: str | None = connection.execute(
        select(issued.c.grant_id).where(issued.c.id == issued_id)
    ).scalar()
    return grant_id


def _set_credit(connection: Connection, share: Row[Any], *, sign: int) -> None:
    """Makes what more the sender could get unusable (-1), usable again (1), or nothing (0).

    Nothing is good for less than no credential, so the sign hides how many without forgetting it.
    """
    grant_id, formats = _grant_of(connection, share.parent_id), _formats(share)
    if grant_id is None:
        return
    connection.execute(
        update(identifiers)
        .where(identifiers.c.grant_id == grant_id, identifiers.c.configuration_id.in_(formats))
        .values(remaining=func.abs(identifiers.c.remaining) * sign)
    )
    if sign == 0:
        connection.execute(
            delete(transactions).where(
                transactions.c.grant_id == grant_id, transactions.c.configuration_id.in_(formats)
            )
        )

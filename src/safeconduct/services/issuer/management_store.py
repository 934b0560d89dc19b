"""What management sees and decides of issued and deferred credentials; each function is one transaction."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, Row, select, update

from safeconduct.errors import Rejected
from safeconduct.ids import Random
from safeconduct.services.issuer import share_life, share_moves
from safeconduct.services.issuer.grants import TransitionRefused
from safeconduct.services.issuer.paging import Page, Span
from safeconduct.services.issuer.tables import grants, issued, transactions
from safeconduct.storage.status import places
from safeconduct.storage.status.places import Standing

DeferredState = Literal["waiting", "approved", "denied", "delivered"]
Verdict = Literal["approved", "denied"]


class TransactionUnknown(Rejected):
    """There is no such deferred issuance, or none any more."""

    http_status = 404


class IssuedUnknown(Rejected):
    """Nothing of the kind was issued, or it is not remembered any more."""

    http_status = 404


class IssuedView(msgspec.Struct, frozen=True, kw_only=True):
    """What was issued: no claims, keys or status indices. count: credentials of one batch.

    status: how they stand; None for those without a status.
    """

    issued_id: str
    configuration_id: str
    reference: str | None
    count: int
    state: str
    issued_at: int
    status: Standing | None


class DeferredView(msgspec.Struct, frozen=True, kw_only=True):
    """An issuance that waits, or waited, for a decision."""

    transaction_id: str
    configuration_id: str
    reference: str | None
    state: str
    created_at: int
    expires_at: int


def find_issued(
    connection: Connection,
    tenant: str,
    *,
    configuration_id: str | None,
    reference: str | None,
    span: Span,
    page: Page,
) -> list[IssuedView]:
    """Returns a page of what was issued, the newest first, and one row more if there is a next page."""
    query = select(issued).where(issued.c.tenant == tenant)
    if configuration_id is not None:
        query = query.where(issued.c.configuration_id == configuration_id)
    if reference is not None:
        query = query.where(issued.c.own_reference == reference)
    query = page.of(span.of(query, issued.c.issued_at), issued.c.issued_at, issued.c.id)
    rows = connection.execute(query).all()
    standings = places.standings(connection, [row.id for row in rows])
    return [_issued_view(row, standings) for row in rows]


def change_standing(
    connection: Connection, tenant: str, issued_id: str, to: Standing, random: Random, *, now: int
) -> int:
    """Revokes, suspends or reinstates the credentials of one delivery; returns how many have changed.

    With a credential that is revoked end all shares of it, and what they gave is revoked; that is not
    counted. If a move has suspended it, what is asked for holds when the move comes to nothing.
    Raises IssuedUnknown "issued_unknown", MoveUnderWay "move_under_way", and as `places.change_standing`.
    """
    known = select(issued.c.id).where(issued.c.tenant == tenant, issued.c.id == issued_id)
    if connection.execute(known).first() is None:
        raise IssuedUnknown("issued_unknown", "No such credential was issued, or it is not remembered.")
    return _change(connection, issued_id, to, random, now=now)


def change_standings_of(
    connection: Connection, tenant: str, reference: str, to: Standing, random: Random, *, now: int
) -> int:
    """As `change_standing`, for all that was issued under a reference and has a status."""
    known = select(issued.c.id).where(issued.c.tenant == tenant, issued.c.own_reference == reference)
    ids: Sequence[str] = connection.execute(known.order_by(issued.c.id)).scalars().all()
    if not ids:
        raise IssuedUnknown("issued_unknown", "No such credential was issued, or it is not remembered.")
    listed = [one for one in ids if places.standings(connection, [one])]
    return sum(_change(connection, one, to, random, now=now) for one in listed or ids)


def list_deferred(
    connection: Connection, tenant: str, *, state: DeferredState | None, page: Page, now: int
) -> list[DeferredView]:
    """Returns a page of deferred issuances that are not over, the newest first, and one row more."""
    query = (
        select(transactions, grants.c.own_reference)
        .join(grants, grants.c.id == transactions.c.grant_id)
        .where(grants.c.tenant == tenant, transactions.c.expires_at > now)
    )
    if state is not None:
        query = query.where(transactions.c.state == state)
    query = page.of(query, transactions.c.created_at, transactions.c.id)
    return [_deferred_view(row) for row in connection.execute(query)]


def decide(connection: Connection, tenant: str, transaction_id: str, verdict: Verdict, *, now: int) -> None:
    """Approves or denies an issuance that waits; of one denied the holder's keys are erased.

    Raises TransactionUnknown "transaction_unknown"; TransitionRefused "transition_refused" (decided already).
    """
    row = connection.execute(
        select(transactions.c.state)
        .join(grants, grants.c.id == transactions.c.grant_id)
        .where(
            grants.c.tenant == tenant, transactions.c.id == transaction_id, transactions.c.expires_at > now
        )
    ).first()
    if row is None:
        raise TransactionUnknown("transaction_unknown", "There is no such deferred issuance.")
    if row.state != "waiting":
        raise TransitionRefused("transition_refused", "This issuance has been decided already.")
    erased = {"holders": None} if verdict == "denied" else {}
    connection.execute(
        update(transactions).where(transactions.c.id == transaction_id).values(state=verdict, **erased)
    )


def _change(connection: Connection, issued_id: str, to: Standing, random: Random, *, now: int) -> int:
    share_life.settle_due(connection, issued_id, now=now, random=random)
    if share_moves.override_move(connection, issued_id, to):
        return 0
    changed = places.change_standing(connection, issued_id, to, random)
    if to == "invalid":
        share_life.credential_revoked(connection, issued_id, now=now, random=random)
    return changed


def _issued_view(row: Row[Any], standings: Mapping[str, Standing]) -> IssuedView:
    return IssuedView(
        issued_id=row.id,
        configuration_id=row.configuration_id,
        reference=row.own_reference,
        count=row._mapping["count"],
        state=row.state,
        issued_at=row.issued_at,
        status=standings.get(row.id),
    )


def _deferred_view(row: Row[Any]) -> DeferredView:
    return DeferredView(
        transaction_id=row.id,
        configuration_id=row.configuration_id,
        reference=row.own_reference,
        state=row.state,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )

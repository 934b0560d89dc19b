"""What the issuer remembers of offers: each function is one transaction, safe under several processes."""

from typing import Any

import msgspec
from sqlalchemy import Connection, Row, select

from safeconduct.encoding import json
from safeconduct.errors import Rejected
from safeconduct.protocols.openid4vci.offer import TxCode
from safeconduct.services.issuer import grants as life
from safeconduct.services.issuer.grant_store import (
    configuration_ids_of,
    expire,
    grant_by_id,
    move,
    offer_unknown,
)
from safeconduct.services.issuer.key_store import insert_once
from safeconduct.services.issuer.paging import Page, Span
from safeconduct.services.issuer.tables import grants


class NewGrant(msgspec.Struct, frozen=True, kw_only=True):
    """A grant to be stored; the digests are SHA-256, `tx_digest` keyed with the code.

    share_id: of the share that the offer belongs to; None for the issuer's own.
    """

    tenant: str
    id: str
    configuration_ids: tuple[str, ...]
    claims: bytes | None
    code_digest: bytes
    reference_digest: bytes | None
    issuer_state_digest: bytes | None
    tx_code: TxCode | None
    tx_digest: bytes | None
    attempts: int
    subject: str | None
    own_reference: str | None
    deferred: bool
    created_at: int
    expires_at: int
    share_id: str | None = None

    def __repr__(self) -> str:
        return f"<NewGrant expires_at={self.expires_at}>"


class GrantView(msgspec.Struct, frozen=True, kw_only=True):
    """What management may see of a grant: nothing that opens it, and no claims."""

    offer_id: str
    state: life.State
    configuration_ids: tuple[str, ...]
    reference: str | None
    deferred: bool
    created_at: int
    expires_at: int


class Offered(msgspec.Struct, frozen=True):
    """What an offer by reference says, but for its secrets, which only the reference yields.

    code_digest: of the pre-authorized code, if it has one. authorization: whether a login is offered.
    """

    configuration_ids: tuple[str, ...]
    tx_code: TxCode | None
    code_digest: bytes
    authorization: bool


class OfferExists(Rejected):
    """The same request for an offer came before."""

    http_status = 409


def add_grant(connection: Connection, grant: NewGrant) -> None:
    """Stores a grant in state pending. Raises OfferExists "offer_exists": its id is taken."""
    added = insert_once(
        connection,
        grants,
        {
            "id": grant.id,
            "tenant": grant.tenant,
            "state": "pending",
            "configuration_ids": json.dumps(grant.configuration_ids).decode(),
            "claims": grant.claims,
            "code_digest": grant.code_digest,
            "reference_digest": grant.reference_digest,
            "issuer_state_digest": grant.issuer_state_digest,
            "tx_code": None if grant.tx_code is None else msgspec.json.encode(grant.tx_code).decode(),
            "tx_digest": grant.tx_digest,
            "attempts_left": grant.attempts,
            "subject": grant.subject,
            "own_reference": grant.own_reference,
            "deferred": grant.deferred,
            "share_id": grant.share_id,
            "created_at": grant.created_at,
            "expires_at": grant.expires_at,
        },
    )
    if not added:
        raise OfferExists("offer_exists", "An offer was made with this Idempotency-Key before.")


def list_grants(
    connection: Connection,
    tenant: str,
    *,
    state: life.State | None,
    reference: str | None,
    span: Span,
    page: Page,
    now: int,
) -> list[GrantView]:
    """Returns a page of grants, the newest first. state, reference: only those.

    Offers that holders made by sharing are not among them: they are seen and ended as shares.
    """
    expire(connection, now)
    query = select(grants).where(grants.c.tenant == tenant, grants.c.share_id.is_(None))
    if state is not None:
        query = query.where(grants.c.state == state)
    if reference is not None:
        query = query.where(grants.c.own_reference == reference)
    query = page.of(span.of(query, grants.c.created_at), grants.c.created_at, grants.c.id)
    return [_view(row) for row in connection.execute(query)]


def find_grant(connection: Connection, tenant: str, grant_id: str, *, now: int) -> GrantView:
    """Returns one grant. Raises OfferUnknown "offer_unknown"."""
    expire(connection, now)
    return _view(_grant_of(connection, tenant, grant_id))


def cancel_grant(connection: Connection, tenant: str, grant_id: str, *, now: int) -> None:
    """Ends a grant and revokes its tokens. Raises OfferUnknown; TransitionRefused if it is over already."""
    expire(connection, now)
    move(connection, _grant_of(connection, tenant, grant_id), "cancel")


def find_offered(connection: Connection, tenant: str, reference_digest: bytes, *, now: int) -> Offered:
    """Returns what a pending offer says. Raises OfferUnknown "offer_unknown"."""
    row = connection.execute(
        select(grants).where(
            grants.c.tenant == tenant,
            grants.c.reference_digest == reference_digest,
            grants.c.state == "pending",
            grants.c.expires_at > now,
        )
    ).first()
    if row is None:
        raise offer_unknown()
    tx_code = None if row.tx_code is None else msgspec.json.decode(row.tx_code, type=TxCode)
    return Offered(configuration_ids_of(row), tx_code, row.code_digest, row.issuer_state_digest is not None)


def _view(row: Row[Any]) -> GrantView:
    return GrantView(
        offer_id=row.id,
        state=row.state,
        configuration_ids=configuration_ids_of(row),
        reference=row.own_reference,
        deferred=row.deferred,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )


def _grant_of(connection: Connection, tenant: str, grant_id: str) -> Row[Any]:
    grant = grant_by_id(connection, grant_id)
    if grant.tenant != tenant or grant.share_id is not None:
        raise offer_unknown()
    return grant
